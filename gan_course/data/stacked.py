"""Stacked digits: a thousand modes that can be counted.

Three random digits become the red, green and blue channel of one image, so that there are 10 x 10 x 10 known modes,
and a judge of single digits, asked about each channel, tells which one an image belongs to
(:func:`gan_course.metrics.modes.read_stacked`). With MNIST's digits this is the "stacked MNIST" of Metz et al. (2017),
which Srivastava et al. (2017) and Lin et al. (2018) use too; the usual number of samples is 26,000.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_course.data.sets import DataSet

CLASSES = 10
CHANNELS = 3
MODES = CLASSES**CHANNELS
SPLIT_SIZES = {"train": 50_000, "test": 10_000}  # what data.load gives


def stack(single: DataSet, n: int = 50_000, seed: int = 0) -> DataSet:
    """Make ``n`` stacked digits, labelled 100 red + 10 green + blue, with the classes ``"000"`` to ``"999"``.

    Args:
        single: a set of grey digits with ten classes, such as ``data.load("digits")`` or ``data.load("mnist")``.
        n: number of images, of 192 bytes each at 8x8 and 2,352 at 28x28.
        seed: of the digits that come together.

    Raises:
        ValueError: n below 1, or the set is not grey or has other classes.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if single.classes is None or len(single.classes) != CLASSES or single.shape[0] != 1:
        raise ValueError(f"single must be a set of grey images of ten classes, got {single!r}")
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(single), (n, CHANNELS), generator=generator).to(single.x.device)
    images = torch.cat([single.x[channel] for channel in rows.unbind(1)], 1)
    classes = [f"{mode:03d}" for mode in range(MODES)]
    return DataSet(images, number(single.labels[rows]), name=f"stacked-{single.name}", classes=classes)


def number(digits: Tensor) -> Tensor:
    """The three-digit number ``(n,)`` of digits ``(n, 3)``."""
    return (digits * digits.new_tensor([100, 10, 1])).sum(1)
