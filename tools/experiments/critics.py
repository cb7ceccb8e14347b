"""How well do critics measure a distance that is known? Pairs of samples on the line, where sorting gives it, and the
same pairs in more dimensions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_course import layers, losses
from gan_course.theory import toy
from tools.experiments import Entry


def pairs() -> dict[str, tuple[toy.GaussianMixture, toy.GaussianMixture]]:
    """Return the pairs of distributions, by name."""
    bumps, centre = toy.two_bumps(), toy.normal(0.0, 0.5)
    return {
        "shift_2": (centre, toy.normal(2.0, 0.5)),
        "shift_4": (centre, toy.normal(4.0, 0.5)),
        "shift_8": (centre, toy.normal(8.0, 0.5)),
        "bimodal": (centre, toy.GaussianMixture(torch.tensor([[-3.0], [3.0]], dtype=torch.float64), 0.5)),
        "two_bumps_mirrored": (bumps, toy.GaussianMixture(-bumps.means, bumps.std, bumps.weights)),
    }


def largest_slope(critic: nn.Module, p: Tensor, q: Tensor) -> float:
    """Return the largest slope at 20,001 places from below the smallest sample to above the largest."""
    both = torch.cat([p, q])
    places = torch.linspace(both.min() - 1, both.max() + 1, 20_001).to(both)[:, None].requires_grad_(True)
    return torch.autograd.grad(critic(places).sum(), places)[0].abs().max().item()


def relu_critic(dim: int, width: int, depth: int) -> nn.Sequential:
    """Return a critic without any constraint."""
    hidden = [layer for _ in range(depth - 1) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(dim, width), nn.ReLU(), *hidden, nn.Linear(width, 1), nn.Flatten(0))


def penalised(p: Tensor, q: Tensor, *, width: int, depth: int, steps: int, lr: float, penalty: float, one_sided: bool):
    """Train a ReLU critic with a gradient penalty on all samples; return it and its estimate of the distance."""
    critic = relu_critic(1, width, depth).to(p.device)
    optimizer = torch.optim.Adam(critic.parameters(), lr, betas=(0.9, 0.99), fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
    for _ in range(steps):
        loss = losses.critic_wasserstein(critic(p), critic(q))
        loss = loss + penalty * losses.gradient_penalty(critic, p, q, one_sided=one_sided)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return critic, -losses.critic_wasserstein(critic(p), critic(q)).item()


def critics(
    seed: int,
    device: torch.device,
    *,
    kind: str,
    samples: int,
    width: int,
    depth: int,
    steps: int,
    names: list[str] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Train a critic on two samples; its estimate of their Wasserstein-1 distance, its relative error and slope."""
    row = {}
    for name in names or pairs():
        p, q = pairs()[name]
        seeded = torch.Generator().manual_seed(seed)
        p, q = (mixture.sample(samples, seeded).float().to(device) for mixture in (p, q))
        exact = (p.sort(0).values - q.sort(0).values).abs().mean().item()
        torch.manual_seed(seed)
        if kind == "gradient penalty":
            critic, estimate = penalised(p, q, width=width, depth=depth, steps=steps, **settings)
        else:
            activation = {"GroupSort": layers.GroupSort, "ReLU": nn.ReLU}[kind]
            critic = toy.LipschitzCritic(1, width, depth, activation).to(device)
            estimate = toy.estimate_wasserstein(critic, p, q, steps=steps, **settings)
        row[name] = {
            "exact": exact, "estimate": estimate, "error": estimate / exact - 1,
            "slope": largest_slope(critic, p, q),
        }  # fmt: skip
    return row


def in_space(
    seed: int,
    device: torch.device,
    *,
    kind: str,
    dims: list[int],
    names: list[str],
    batch: int,
    fresh: int,
    width: int,
    depth: int,
    steps: int,
    lr: float,
    iterations: int = 0,
    penalty: float = 0.0,
) -> dict[str, Any]:
    """Train a critic with new samples in each step; its estimate on others, and that one's relative error.

    The first coordinate is that of a pair on the line, all others are N(0, 0.5^2) in both distributions. So the
    distance is that of the pair, at which the samples' first coordinates give it by sorting.
    """
    row = {}
    for name in names:
        row[name] = {}
        for dim in dims:
            seeded = torch.Generator().manual_seed(seed)

            def draw(n: int, mixture: toy.GaussianMixture, dim=dim, seeded=seeded) -> Tensor:
                others = 0.5 * torch.randn(n, dim - 1, generator=seeded)
                return torch.cat([mixture.sample(n, seeded).float(), others], 1).to(device)

            torch.manual_seed(seed)
            if kind == "gradient penalty":
                critic = relu_critic(dim, width, depth).to(device)
            else:
                activation = {"GroupSort": layers.GroupSort, "ReLU": nn.ReLU}[kind]
                critic = toy.LipschitzCritic(dim, width, depth, activation).to(device)
            optimizer = torch.optim.Adam(critic.parameters(), lr, betas=(0.9, 0.99), fused=True)
            schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
            for _ in range(steps):
                p, q = (draw(batch, mixture) for mixture in pairs()[name])
                layers.advance_spectral_norms(critic, iterations)
                loss = losses.critic_wasserstein(critic(p), critic(q))
                if penalty:
                    loss = loss + penalty * losses.gradient_penalty(critic, p, q)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            layers.advance_spectral_norms(critic, 200)  # after the last update: now the slope is at most 1
            with torch.no_grad():
                p, q = (draw(fresh, mixture) for mixture in pairs()[name])
                estimate = -losses.critic_wasserstein(critic(p), critic(q)).item()
            exact = (p[:, 0].sort().values - q[:, 0].sort().values).abs().mean().item()
            row[name][str(dim)] = {"exact": exact, "estimate": estimate, "error": estimate / exact - 1}
    return row


_SIZES = {"samples": 1_000, "width": 64, "depth": 3, "steps": 500}
_SPECTRAL = {**_SIZES, "lr": 1e-2, "iterations": 3}
_PENALTY = {**_SIZES, "kind": "gradient penalty", "lr": 1e-2, "penalty": 10.0}
_SPACE = {
    "dims": [2, 64], "names": ["shift_4", "bimodal"], "batch": 256, "fresh": 20_000, "width": 64, "depth": 3,
    "steps": 300, "lr": 1e-2,
}  # fmt: skip

ENTRIES = {
    "critic_spectral_groupsort": Entry(critics, {**_SPECTRAL, "kind": "GroupSort"}, range(5)),
    # The finest structure of the five pairs: 500 steps fall short of it by up to 6 %.
    "critic_spectral_groupsort_long": Entry(
        critics, {**_SPECTRAL, "kind": "GroupSort", "steps": 1_000, "names": ["two_bumps_mirrored"]}, range(5)
    ),
    "critic_spectral_relu": Entry(critics, {**_SPECTRAL, "kind": "ReLU"}, range(5)),
    "critic_penalty_two_sided": Entry(critics, {**_PENALTY, "one_sided": False}, range(5)),
    "critic_penalty_one_sided": Entry(critics, {**_PENALTY, "one_sided": True}, range(5)),
    "critic_space_groupsort": Entry(in_space, {**_SPACE, "kind": "GroupSort", "iterations": 1}, range(5)),
    "critic_space_relu": Entry(in_space, {**_SPACE, "kind": "ReLU", "iterations": 1}, range(5)),
    "critic_space_penalty": Entry(in_space, {**_SPACE, "kind": "gradient penalty", "penalty": 10.0}, range(5)),
}
