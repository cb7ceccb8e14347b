"""Distributions whose density is known: mixtures of Gaussians on the line and in the plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class GaussianMixture:
    """A mixture of isotropic Gaussians with known density.

    Args:
        means: ``(modes, dim)``.
        std: standard deviation, one for all modes or ``(modes,)``; positive.
        weights: ``(modes,)``, positive; they are normalised. Equal if not given.
    """

    def __init__(self, means: Tensor, std: float | Tensor, weights: Tensor | None = None):
        if means.ndim != 2:
            raise ValueError(f"means must be (modes, dim), got {tuple(means.shape)}")
        modes = len(means)
        self.means = means
        self.std = torch.as_tensor(std, dtype=means.dtype).expand(modes)
        self.weights = torch.ones(modes, dtype=means.dtype) if weights is None else weights.to(means.dtype)
        if not (self.std > 0).all() or self.weights.shape != (modes,) or not (self.weights > 0).all():
            raise ValueError(f"std and weights must be positive, one per mode ({modes}), got {std} and {weights}")
        self.weights = self.weights / self.weights.sum()

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``(n, dim)`` points."""
        mode = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        return self.means[mode] + self.std[mode, None] * noise

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log density ``(n,)``, in nats, at points ``(n, dim)``."""
        if x.ndim != 2 or x.shape[1] != self.means.shape[1]:
            raise ValueError(f"x must be (n, {self.means.shape[1]}), got {tuple(x.shape)}")
        dim = x.shape[1]
        squared = (x[:, None] - self.means).square().sum(2) / self.std**2
        each = -0.5 * squared - dim * (self.std.log() + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(each + self.weights.log(), 1)

    def pdf(self, x: Tensor) -> Tensor:
        """Return the density ``(n,)`` at points ``(n, dim)``."""
        return self.log_prob(x).exp()


def normal(mean: float, std: float) -> GaussianMixture:
    """A normal distribution on the line, in float64."""
    return GaussianMixture(torch.tensor([[mean]], dtype=torch.float64), std)


def two_bumps() -> GaussianMixture:
    """The density on the line that the vanilla GAN chapter uses as data: two bumps of unlike width and weight."""
    means, std, weights = torch.tensor([[-1.5, 1.0], [0.4, 0.7], [0.4, 0.6]], dtype=torch.float64)
    return GaussianMixture(means[:, None], std, weights)


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.01) -> GaussianMixture:
    """``modes`` narrow Gaussians evenly spaced on a circle (Lin et al., 2018, section 4.1)."""
    if modes < 1:
        raise ValueError(f"modes must be at least 1, got {modes}")
    angle = torch.arange(modes) * (2 * math.pi / modes)
    return GaussianMixture(radius * torch.stack([angle.cos(), angle.sin()], 1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> GaussianMixture:
    """``side`` squared narrow Gaussians on a square grid around the origin (Lin et al., 2018, section 4.1)."""
    if side < 1:
        raise ValueError(f"side must be at least 1, got {side}")
    ticks = (torch.arange(side) - (side - 1) / 2) * spacing
    return GaussianMixture(torch.cartesian_prod(ticks, ticks), std)
