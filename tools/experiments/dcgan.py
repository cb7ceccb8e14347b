"""The convolutional GAN on real digits."""

from __future__ import annotations

from typing import Any

from gan_course.models.dcgan import DCGAN, RECIPES
from tools.experiments import Entry, defaults
from tools.experiments.images import images


def _recipe(name: str, **changed: Any) -> dict[str, Any]:
    return {"family": "dcgan", "data_name": name, **defaults(DCGAN), **RECIPES[name], **changed}


ENTRIES = {
    "dcgan_digits_16": Entry(images, _recipe("digits"), range(5)),
    "dcgan_digits_16_batch_norm": Entry(images, _recipe("digits", batch_norm=True), range(5)),
    "dcgan_digits_16_bf16": Entry(images, _recipe("digits", precision="bf16"), range(5)),
    "dcgan_mnist_16": Entry(images, _recipe("mnist"), range(5)),
}
