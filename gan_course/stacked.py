"""Stacked digits: a thousand modes that can be counted.

Three random digits become the red, green and blue channel of one image, so that there are 10 x 10 x 10 known modes,
and a judge of single digits, asked about each channel, tells which one an image belongs to. How many modes do
samples reach, and how evenly? With MNIST's digits this is the "stacked MNIST" of Metz et al. (2017), which
Srivastava et al. (2017) and Lin et al. (2018) use too; the usual number of samples is 26,000.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gan_course import data, metrics
from gan_course.data import DataSet
from gan_course.features import N_CLASSES, Judge

CHANNELS = 3
MODES = N_CLASSES**CHANNELS
SPLIT_SIZES = {"train": 50_000, "test": 10_000}  # what data.load gives


def load(name: str = "digits", n: int = 50_000, seed: int = 0, **settings: Any) -> DataSet:
    """Make a set of stacked digits.

    Args:
        name: a set of grey digits with ten classes: ``"digits"`` or ``"mnist"``.
        n: number of images. As uint8 they take 192 bytes each at 8x8 and 2,352 at 28x28.
        seed: of the digits that come together.
        settings: further arguments of :func:`gan_course.data.load`: ``size``, ``split``, ``device``, ``limit``.

    Returns:
        Images ``(n, 3, size, size)``, with labels 100 red + 10 green + blue and class names ``"000"`` to ``"999"``.

    Raises:
        ValueError: n below 1, or the set has other classes.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    single = data.load(name, channels=1, **settings)
    if single.classes is None or len(single.classes) != N_CLASSES:
        raise ValueError(f"name must be a set of ten classes of digits, got {name!r}: {single!r}")
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(single), (n, CHANNELS), generator=generator).to(single.x.device)
    images = torch.cat([single.x[channel] for channel in rows.unbind(1)], 1)
    return DataSet(
        images, _number(single.labels[rows]), name=f"stacked-{name}", classes=[f"{mode:03d}" for mode in range(MODES)]
    )


def read(images: Tensor, judge: Judge) -> Tensor:
    """Return the modes ``(n,)``, 0 to 999, that a judge reads in images ``(n, 3, size, size)`` in [-1, 1]."""
    if images.ndim != 4 or images.shape[1] != CHANNELS:
        raise ValueError(f"images must be (n, {CHANNELS}, size, size), got {tuple(images.shape)}")
    digits = judge.logits(images.flatten(0, 1)[:, None]).argmax(1)
    return _number(digits.view(-1, CHANNELS))


def shares(modes: Tensor) -> Tensor:
    """Return ``(1000,)``: the share of each mode among ``modes`` ``(n,)``, 0 to 999, in float64."""
    if modes.ndim != 1 or not len(modes) or modes.is_floating_point() or modes.min() < 0 or modes.max() >= MODES:
        raise ValueError(
            f"modes must be (n,) whole numbers from 0 to {MODES - 1}, got {modes.dtype} {tuple(modes.shape)}"
        )
    return modes.cpu().bincount(minlength=MODES).double() / len(modes)


def summarize(samples: Tensor, judge: Judge, weights: Tensor | None = None) -> dict[str, float]:
    """Count the modes that samples reach, and compare their shares with the true weights.

    Args:
        samples: ``(n, 3, size, size)`` in [-1, 1].
        judge: of single digits of this set and size.
        weights: ``(1000,)`` true weights of the modes, for instance ``shares(real.labels)`` of a large set in which
            every mode occurs; equal if not given, as usual.

    Returns:
        ``modes``: how many have at least one sample; ``reverse_kl``: :func:`gan_course.metrics.reverse_kl` of the
        shares from the weights, in nats. Perfect samples do not get 1,000 and 0: n of them reach about
        1000 (1 - exp(-n / 1000)) modes, and the divergence is near 500 / n where n is large.
    """
    found = shares(read(samples, judge))
    weights = torch.full((MODES,), 1 / MODES) if weights is None else weights
    return {"modes": int((found > 0).sum()), "reverse_kl": metrics.reverse_kl(found, weights)}


def _number(digits: Tensor) -> Tensor:
    """The three-digit number ``(n,)`` of digits ``(n, 3)``."""
    return (digits * digits.new_tensor([100, 10, 1])).sum(1)
