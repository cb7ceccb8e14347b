"""The spectrally normalised GAN on real digits."""

from __future__ import annotations

from gan_course.models.sngan import RECIPES, SNGAN
from tools.experiments import Entry, defaults
from tools.experiments.images import images

_DIGITS = {"family": "sngan", "data_name": "digits", **defaults(SNGAN), **RECIPES["digits"]}

ENTRIES = {
    "sngan_digits_16": Entry(images, _DIGITS, range(5)),
    "sngan_digits_16_bf16": Entry(images, {**_DIGITS, "precision": "bf16"}, range(5)),
}
