"""What was found on the line, repeated in the plane and in 64 dimensions: a property of the method, or of the line?

All seeds run side by side, with one batched product for a layer of all their networks: small networks take hardly
longer that way than one alone. A network has the first weights of its seed; the samples come from one stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, silu

from gan_course import losses
from gan_course.models import common
from tools.experiments import Entry
from tools.experiments.critics import pairs


class Stacked(nn.Module):
    """Networks of several seeds: points ``(S * B, dim)``, those of each seed together, to outputs ``(S * B,)``."""

    def __init__(self, seeds: Sequence[int], dim: int, width: int, hidden: int, smooth: bool):
        super().__init__()
        self.count, self.dim, self.activation = len(seeds), dim, silu if smooth else relu
        sizes = [dim, *[width] * hidden, 1]
        networks = []
        for seed in seeds:
            torch.manual_seed(seed)
            networks.append([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False)])
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layers in zip(*networks, strict=True):
            self.weights.append(torch.stack([layer.weight.T for layer in layers]).detach())
            self.biases.append(torch.stack([layer.bias[None] for layer in layers]).detach())

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(self.count, -1, self.dim)
        *hidden, last = zip(self.biases, self.weights, strict=True)
        for bias, weight in hidden:
            x = self.activation(torch.baddbmm(bias, x, weight))
        return torch.baddbmm(last[0], x, last[1]).flatten()


def first_axis(value: float, count: int, dim: int) -> Tensor:
    """Return ``(count, 1, dim)``: the same point on the first axis for each seed."""
    point = torch.zeros(count, 1, dim)
    point[..., 0] = value
    return point


def noise(count: int, n: int, dim: int) -> Tensor:
    return 0.5 * torch.randn(count, n, dim)


# Losses are means over the samples of all seeds; times their number, each network has the gradient of its own mean.


def rest(
    seeds: Sequence[int], device: torch.device, *, dims: list[int], variants: dict[str, dict[str, Any]], start: float,
    steps: int, batch: int, width: int, lr_g: float, lr_d: float, penalty: float,
) -> list[dict[str, float]]:  # fmt: skip
    """A generator that can only shift N(m, .5^2), with plain steps, plays a Wasserstein game for the data N(0, .5^2);
    the mean of |m| over the second half of the steps, by penalty and dimension; m begins on the first axis."""
    rows: list[dict[str, float]] = [{} for _ in seeds]
    s = len(seeds)
    for dim in dims:
        for name, variant in variants.items():
            network = Stacked(seeds, dim, width, 2, smooth=True).to(device)
            m = nn.Parameter(first_axis(start, s, dim).to(device))
            optimizer_g = torch.optim.SGD([m], lr_g)
            optimizer_d = common.adam(network, lr_d, 0.0, 0.9)
            torch.manual_seed(0)
            distance = 0.0
            for step in range(steps):
                for _ in range(variant["n_critic"]):
                    real = noise(s, batch, dim).to(device).flatten(0, 1)
                    fake = (m.detach() + noise(s, batch, dim).to(device)).flatten(0, 1)
                    loss = losses.critic_wasserstein(network(real), network(fake))
                    if variant["bound"] == "R1":
                        bound = losses.r1_penalty(network, real)
                    else:
                        one_sided = variant["bound"] == "one-sided"
                        bound = losses.gradient_penalty(network, real, fake, one_sided=one_sided)
                    common.update(optimizer_d, s * (loss + penalty * bound))
                fake = m + noise(s, batch, dim).to(device)
                common.update(optimizer_g, s * losses.generator_wasserstein(network(fake)))
                if step >= steps - steps // 2:
                    distance = distance + m.detach().norm(dim=2)[:, 0] / (steps // 2)
            for row, value in zip(rows, distance.tolist(), strict=True):
                row[f"{name}, {dim}"] = round(value, 4)
    return rows


def slopes(
    seeds: Sequence[int], device: torch.device, *, dims: list[int], games: list[str], distance: float, steps: int,
    samples: int, width: int, lr: float, penalty: float,
) -> list[dict[str, float]]:  # fmt: skip
    """Data N(0, .5^2), generator the same, shifted along the first axis; only the discriminator is trained. The
    derivative of the generator's loss by the shift; where it is positive, a step moves the samples towards the data."""
    rows: list[dict[str, float]] = [{} for _ in seeds]
    s = len(seeds)
    for dim in dims:
        torch.manual_seed(0)
        real = noise(s, samples, dim).to(device).flatten(0, 1)
        fake = (first_axis(distance, s, dim) + noise(s, samples, dim)).to(device)
        for name in games:
            discriminator_loss, generator_loss = losses.pair(name)
            network = Stacked(seeds, dim, width, 2, smooth=True).to(device)
            optimizer = common.adam(network, lr, 0.9, 0.99)
            torch.manual_seed(0)
            for _ in range(steps):
                loss = discriminator_loss(network(real), network(fake))
                if name == "wasserstein":
                    loss = loss + penalty * losses.gradient_penalty(network, real, fake.flatten(0, 1))
                common.update(optimizer, s * loss)
            shift = torch.zeros(s, 1, dim, device=device, requires_grad=True)
            (derivative,) = torch.autograd.grad(s * generator_loss(network(fake + shift)), shift)
            for row, value in zip(rows, derivative[:, 0, 0].tolist(), strict=True):
                row[f"{name}, {dim}"] = value
    return rows


def measured(
    seeds: Sequence[int], device: torch.device, *, dims: list[int], names: list[str], steps: int, batch: int,
    judged: int, width: int, lr: float, penalty: float,
) -> list[dict[str, float]]:  # fmt: skip
    """Pairs of the line get further coordinates N(0, .5^2), the same law on both sides, so that their Wasserstein-1
    distance stays what it was. The relative error of penalised critics, by pair, penalty and dimension; each step, and
    the estimate, has new samples."""
    rows: list[dict[str, float]] = [{} for _ in seeds]
    s = len(seeds)

    def draw(name: str, n: int, dim: int) -> list[Tensor]:
        first = [law.sample(s * n).float() for law in pairs()[name]]
        return [torch.cat([x, 0.5 * torch.randn(s * n, dim - 1)], 1).to(device) for x in first]

    for dim in dims:
        for name in names:
            for kind in ("two-sided", "one-sided"):
                critic = Stacked(seeds, dim, width, 3, smooth=False).to(device)
                optimizer = common.adam(critic, lr, 0.9, 0.99)
                schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
                torch.manual_seed(0)
                for _ in range(steps):
                    p, q = draw(name, batch, dim)
                    slope = losses.gradient_penalty(critic, p, q, one_sided=kind == "one-sided")
                    loss = losses.critic_wasserstein(critic(p), critic(q)) + penalty * slope
                    common.update(optimizer, s * loss)
                    schedule.step()
                p, q = draw(name, judged, dim)
                with torch.no_grad():
                    estimate = (critic(p) - critic(q)).view(s, -1).mean(1)
                ordered = [x[:, 0].view(s, -1).sort(1).values for x in (p, q)]
                exact = (ordered[0] - ordered[1]).abs().mean(1)
                for row, value in zip(rows, (estimate / exact - 1).tolist(), strict=True):
                    row[f"{name}, {kind}, {dim}"] = round(value, 4)
    return rows


_DIMS = [1, 2, 64]
_VARIANTS = {
    "two-sided": {"bound": "two-sided", "n_critic": 2},
    "two-sided, 10 critic steps": {"bound": "two-sided", "n_critic": 10},
    "one-sided": {"bound": "one-sided", "n_critic": 2},
    "R1": {"bound": "R1", "n_critic": 2},
}
_REST = {
    "dims": _DIMS, "variants": _VARIANTS, "start": 1.0, "steps": 200, "batch": 128, "width": 32, "lr_g": 0.05,
    "lr_d": 2e-3, "penalty": 1.0,
}  # fmt: skip
_SLOPES = {
    "dims": _DIMS, "games": ["saturating", "non-saturating", "wasserstein"], "distance": 8.0, "steps": 300,
    "samples": 2_000, "width": 64, "lr": 2e-3, "penalty": 10.0,
}  # fmt: skip
_MEASURED = {
    "dims": _DIMS, "names": ["bimodal", "two_bumps_mirrored"], "steps": 500, "batch": 256, "judged": 10_000,
    "width": 64, "lr": 1e-2, "penalty": 10.0,
}  # fmt: skip

ENTRIES = {
    "losses_dimensions_rest": Entry(rest, _REST, range(10), together=True),
    "losses_dimensions_slopes": Entry(slopes, _SLOPES, range(10), together=True),
    "critic_dimensions": Entry(measured, _MEASURED, range(10), together=True),
}
