"""What the use of the label does to a conditional GAN: where classes overlap, where some are rare, where it is misused."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, softplus

from gan_course import data, metrics
from gan_course.layers import advance_spectral_norms
from gan_course.metrics import judge
from gan_course.models import common
from gan_course.models.acgan import ACGAN, AuxiliaryDiscriminator
from gan_course.models.conditional import (
    RECIPES,
    ConcatDiscriminator,
    ConcatGenerator,
    ConditionalGAN,
    Generator,
    ProjectionGAN,
    trunk,
)
from tools.experiments import Entry, defaults, fit
from tools.experiments.conditional import by_class
from tools.experiments.images import SAMPLES

# --- two normal distributions that overlap --------------------------------------------------------


class Reader(nn.Module):
    """A perceptron that reads points and their label in one of three ways."""

    def __init__(self, way: str, dim: int, width: int, classes: int = 2):
        super().__init__()
        self.way, self.classes = way, classes
        inputs = dim + classes if way == "concat" else dim
        self.phi = nn.Sequential(nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2))
        self.source = nn.Linear(width, 1)
        self.heads = nn.Linear(width, classes, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map points ``(B, dim)`` and labels ``(B,)`` to logits of "real" ``(B,)`` and of the classes ``(B, classes)``."""
        if self.way == "concat":
            x = torch.cat([x, one_hot(y, self.classes).to(x)], 1)
        h = self.phi(x)
        logit, classes = self.source(h)[:, 0], self.heads(h)
        if self.way == "projection":
            logit = logit + classes[torch.arange(len(y)), y]
        return logit, classes


def overlap_points(
    seed: int, device: torch.device, *, way: str, dim: int, steps: int, batch: int, width: int, lr: float, decay_from: int
) -> dict[str, Any]:
    """Learn N(-1, 1) and N(+1, 1) along the first of ``dim`` axes (standard normal along the others) as two classes.

    ``beyond`` is the share of samples on the other class's side, in truth 15.9 %; ``deviation`` that of the first
    coordinate within a class, in truth 1; ``w1`` its exact Wasserstein-1 distance from the truth, mean of both classes.
    """
    torch.manual_seed(seed)
    generator = nn.Sequential(
        nn.Linear(dim + 2 + 2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim)
    ).to(device)
    reader = Reader(way, dim, width).to(device)
    adams = [torch.optim.Adam(net.parameters(), lr, (0.0, 0.99)) for net in (generator, reader)]

    def made(y: Tensor) -> Tensor:
        z = torch.randn(len(y), dim + 2, device=device)
        return generator(torch.cat([z, one_hot(y, 2).to(z)], 1))

    def true(y: Tensor) -> Tensor:
        x = torch.randn(len(y), dim, device=device)
        x[:, 0] += 2 * y - 1
        return x

    def class_loss(classes: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(classes, y) if way == "acgan" else classes.new_zeros(())

    for step in range(steps):
        for adam in adams:
            adam.param_groups[0]["lr"] = lr * min(1.0, (steps - step) / (steps - decay_from))
        y = torch.randint(2, (batch,), device=device)
        real, fake = true(y), made(y).detach()
        logits, classes = reader(torch.cat([real, fake]), y.repeat(2))
        (a, b), (ca, cb) = logits.chunk(2), classes.chunk(2)
        loss = softplus(-a).mean() + softplus(b).mean() + class_loss(ca, y) + class_loss(cb, y)
        common.update(adams[1], loss)
        y = torch.randint(2, (batch,), device=device)
        logits, classes = reader(made(y), y)
        common.update(adams[0], softplus(-logits).mean() + class_loss(classes, y))

    with torch.no_grad():
        y = torch.arange(20_000, device=device) % 2
        x, truth = (sample(y)[:, 0] * (2 * y - 1) for sample in (made, true))  # towards the own side
    return {
        "beyond": (x < 0).double().mean().item(),
        "mean": x.mean().item(),
        "deviation": math.sqrt(sum(x[y == c].var().item() for c in (0, 1)) / 2),
        "w1": sum(metrics.wasserstein_1d(x[y == c], truth[y == c]) for c in (0, 1)) / 2,
    }
