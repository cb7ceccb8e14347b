"""The Wasserstein GANs on real digits, beside the tables of the vanilla GAN."""

from __future__ import annotations

from typing import Any

from torch import nn

from gan_course.models.wgan import RECIPES, WGAN, WGANGP
from tools.experiments import Entry, defaults
from tools.experiments.images import images


def _digits(model: type[nn.Module]) -> dict[str, Any]:
    recipe = RECIPES[model.family]["digits"]
    return {"family": model.family, "data_name": "digits", "batch": 64, **defaults(model), **recipe}


ENTRIES = {
    "wgan_digits": Entry(images, _digits(WGAN), range(5)),
    "wgan_gp_digits": Entry(images, _digits(WGANGP), range(5)),
}
