"""The spectrally normalised GAN on real digits."""

from __future__ import annotations

from gan_course.models.sngan import RECIPES, SNGAN
from tools.experiments import Entry, defaults
from tools.experiments.images import images

ENTRIES = {
    "sngan_digits_16": Entry(
        images, {"family": "sngan", "data_name": "digits", **defaults(SNGAN), **RECIPES["digits"]}, range(5)
    ),
}
