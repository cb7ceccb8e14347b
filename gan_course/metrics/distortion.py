"""How far an image is from the one that it should be: PSNR and SSIM, for images in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_course.metrics import inputs

PEAK = 2.0  #: the largest difference that two pixels in [-1, 1] can have


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, in decibels: ``10 log10(PEAK**2 / MSE)``; infinite for equal images.

    Args:
        images, truth: ``(n, 1 or 3, H, W)`` in [-1, 1], image i beside its own truth.

    Returns:
        ``(n,)``, float64, on the CPU.

    Raises:
        ValueError: shapes differ, or these are no images in [-1, 1].
    """
    images, truth = _pairs(images, truth)
    return 10 * torch.log10(PEAK**2 / (images - truth).square().mean((1, 2, 3)))


def ssim(images: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of each image, 1 for equal ones. Wang et al. (2004), equation 13 and section III.C.

    Brightness counts from black, so the images are shifted to [0, 2]; otherwise an image and its negative would be
    similar. Means, variances and covariance come from windows of 11x11 pixels, weighted by a Gaussian of standard
    deviation 1.5; the mean is over all windows that lie within the image, and over the channels. The paper has grey
    images.

    Args:
        images, truth: ``(n, 1 or 3, H, W)`` in [-1, 1], sides of 11 or more, image i beside its own truth.

    Returns:
        ``(n,)``, float64, on the CPU.

    Raises:
        ValueError: shapes differ, or these are no images in [-1, 1] of 11x11 or more.
    """
    x, y = (x + 1 for x in _pairs(images, truth))
    if min(x.shape[2:]) < 11:
        raise ValueError(f"images must be at least 11x11, got {tuple(x.shape)}")
    down, right = (_windows(side) for side in x.shape[2:])

    def mean(values: Tensor) -> Tensor:
        return down @ values @ right.T

    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + c1) * (2 * covariance + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return alike.mean((1, 2, 3))


def _windows(side: int) -> Tensor:
    """The matrix ``(side - 10, side)`` that averages 11 neighbours with the weights of a Gaussian, at every place."""
    line = torch.exp(-torch.arange(-5, 6, dtype=torch.float64).square() / (2 * 1.5**2))
    windows = torch.zeros(side - 10, side, dtype=torch.float64)
    for i, row in enumerate(windows):
        row[i : i + 11] = line / line.sum()
    return windows


def _pairs(images: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    for name, x in (("images", images), ("truth", truth)):
        try:
            inputs.check_images(x)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if images.shape != truth.shape:
        raise ValueError(f"truth must have the shape of images, {tuple(images.shape)}, got {tuple(truth.shape)}")
    return inputs.double(images), inputs.double(truth)
