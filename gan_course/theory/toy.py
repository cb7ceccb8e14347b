"""Distributions whose density is known, mixtures of Gaussians on the line and in the plane, and a critic that measures
the distance between any two of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_course import checks
from gan_course.layers import GroupSort, advance_spectral_norms, spectral_norm
from gan_course.losses import critic_wasserstein


class GaussianMixture:
    """A mixture of isotropic Gaussians with known density; all of it is computed on the CPU.

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
    checks.at_least("modes", modes, 1)
    angle = torch.arange(modes) * (2 * math.pi / modes)
    return GaussianMixture(radius * torch.stack([angle.cos(), angle.sin()], 1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> GaussianMixture:
    """``side`` squared narrow Gaussians on a square grid around the origin (Lin et al., 2018, section 4.1)."""
    checks.at_least("side", side, 1)
    ticks = (torch.arange(side) - (side - 1) / 2) * spacing
    return GaussianMixture(torch.cartesian_prod(ticks, ticks), std)


class LipschitzCritic(nn.Module):
    r"""A network that cannot be steeper than 1: :math:`|f(x) - f(y)| \le \|x - y\|_2`, whatever its parameters are.

    Each linear layer is divided by its spectral norm and each activation is 1-Lipschitz. GroupSort loses no slope, so
    that the bound is reached on both sides of a kink; Anil et al. (2019).

    Args:
        dim: dimension of the points.
        width, depth: units per hidden layer, an even number for GroupSort, and hidden layers.
        activation: makes an activation, 1-Lipschitz and without parameters.
    """

    def __init__(self, dim: int = 1, width: int = 64, depth: int = 3, activation: Callable[[], nn.Module] = GroupSort):
        super().__init__()
        if min(dim, width, depth) < 1:
            raise ValueError(f"dim, width and depth must be at least 1, got {dim}, {width} and {depth}")
        self.dim = dim
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise([dim] + [width] * depth):
            linear = nn.Linear(size_in, size_out)
            nn.init.orthogonal_(linear.weight)  # all singular values are 1: no slope is lost at the start
            nn.init.uniform_(linear.bias, -(width**-0.5), width**-0.5)  # as small as the weights: kinks near the origin
            layers += [spectral_norm(linear), activation()]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Linear(width, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Map points ``(B, dim)`` to scores ``(B,)``."""
        return self.layers(x).squeeze(1)


def estimate_wasserstein(
    critic: LipschitzCritic, p_samples: Tensor, q_samples: Tensor,
    *, steps: int = 500, lr: float = 1e-2, iterations: int = 3,
) -> float:  # fmt: skip
    r"""Train ``critic`` to tell two samples apart; return :math:`E_p[f] - E_q[f]`, an estimate of their distance, in
    their units.

    By Kantorovich and Rubinstein :math:`W_1(p, q)` is the maximum over all 1-Lipschitz f; Arjovsky et al. (2017),
    equation 2. So the estimate is never above the exact distance between the two samples (but for rounding and what the
    power iterations leave), and falls short of it by what training has not found. Each step uses all samples; the
    learning rate falls linearly to 1 % of ``lr``.

    Args:
        critic: trained in place, and 1-Lipschitz to the precision of 200 power iterations when this returns.
        p_samples, q_samples: ``(n, dim)`` and ``(m, dim)``, at least one each, finite; converted to the critic's type.
        steps, lr, iterations: updates of the critic, Adam's learning rate, and power iterations per update.
    """
    for name, samples in (("p_samples", p_samples), ("q_samples", q_samples)):
        if samples.ndim != 2 or samples.shape[1] != critic.dim or not len(samples):
            raise ValueError(f"{name} must be (n, {critic.dim}) with n at least 1, got {tuple(samples.shape)}")
        if not torch.isfinite(samples).all():
            raise ValueError(f"{name} must be finite, got NaN or infinite values")
    checks.at_least("steps", steps, 1)
    p, q = (samples.to(next(critic.parameters())) for samples in (p_samples, q_samples))
    optimizer = torch.optim.Adam(critic.parameters(), lr, betas=(0.9, 0.99), fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
    for _ in range(steps):
        advance_spectral_norms(critic, iterations)
        scores_p, scores_q = critic(torch.cat([p, q])).split([len(p), len(q)])
        optimizer.zero_grad()
        critic_wasserstein(scores_p, scores_q).backward()
        optimizer.step()
        schedule.step()
    optimizer.zero_grad()
    advance_spectral_norms(critic, 200)  # after the last update: now the slope is at most 1
    with torch.no_grad():
        return -critic_wasserstein(critic(p), critic(q)).item()
