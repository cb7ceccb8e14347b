"""Where GANs live today, distillation: one-step students of a flow-matching model in the plane, with and without a
discriminator, beside their teacher."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import metrics
from gan_course.theory import toy
from tools.experiments.applications import PROGRAMS

STEPS = (1, 2, 4, 8, 16, 50)
#: The students: which term draws them to the teacher, whether a discriminator sees data and them, and whether they
#: begin as a copy of the teacher.
STUDENTS: dict[str, tuple[str | None, bool, bool]] = {
    "regression": ("regression", False, True),
    "matching": ("matching", False, True),
    "regression_judged": ("regression", True, True),
    "matching_judged": ("matching", True, True),
    "judged": (None, True, True),
    "scratch": (None, True, False),
}


def judge(width: int = 128) -> nn.Sequential:
    """A discriminator of points in the plane; it returns logits ``(B,)``."""
    return nn.Sequential(
        nn.Linear(2, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
        nn.Linear(width, 1), nn.Flatten(0),
    )  # fmt: skip


def measured(points: Tensor, reference: Tensor, mixture: toy.GaussianMixture) -> dict[str, float]:
    """Modes reached, the share within three standard deviations of one, and the sliced Wasserstein distance from the
    reference: the mean over 32 directions, evenly spaced over half a turn."""
    angles = torch.arange(32) * (math.pi / 32)
    directions = torch.stack([angles.cos(), angles.sin()])
    modes, near = metrics.modes_covered(points, mixture.means, mixture.std[0].item())
    pairs = zip((points @ directions).T, (reference @ directions).T, strict=True)
    return {"modes": modes, "near": near, "sliced": sum(metrics.wasserstein_1d(a, b) for a, b in pairs) / 32}


def students(
    seed: int, device: torch.device, *, program: str, std: float, teacher_steps: int, steps: int, samples: int
) -> dict[str, Any]:
    """Train a flow-matching model on the ring of eight Gaussians; distil it to one step in six ways.

    Measured are the teacher at 1 to 50 steps of Euler's method; the teacher after ``steps`` more
    updates at the rate 1e-3 (``longer50``), at 50 steps; the students; and other real points (the floor).
    """
    names = PROGRAMS.load("distil", program)
    mixture = toy.ring(std=std)
    generator = torch.Generator().manual_seed(seed)
    points = mixture.sample(20_000, generator).to(device)
    reference, floor = mixture.sample(samples, generator), mixture.sample(samples, generator)
    z = torch.randn(samples, 2, generator=generator).to(device)
    torch.manual_seed(seed)

    def of(name: str, made: Tensor) -> dict[str, float]:
        return {f"{name}_{key}": value for key, value in measured(made.detach().cpu(), reference, mixture).items()}

    teacher = names["FlowVelocity"]().to(device)
    names["flow_train"](teacher, points, teacher_steps)
    row = of("floor", floor)
    for k in STEPS:
        row |= of(f"teacher{k}", names["flow_sample"](teacher, z, k))
    for name, (term, judged, copied) in STUDENTS.items():
        student = names["distilled"](
            teacher, points, steps, term=term, judge=judge().to(device) if judged else None,
            student=None if copied else names["FlowVelocity"]().to(device),
        )  # fmt: skip
        row |= of(name, names["one_step"](student, z))
    names["flow_train"](teacher, points, steps, lr=1e-3)
    return row | of("longer50", names["flow_sample"](teacher, z, 50))


def alone(
    seed: int,
    device: torch.device,
    *,
    program: str,
    std: float,
    teacher_steps: int,
    steps: int,
    samples: int,
    rounds: int,
) -> dict[str, Any]:
    """Train what the table of the students leaves open, with its points and settings.

    ``scratch``: a GAN of the student's form from random weights, for as many updates as a teacher and a student have
    together. ``matching``: a student by distribution matching alone whose second network has ``rounds`` updates for
    each of its own.
    """
    names = PROGRAMS.load("distil", program)
    mixture = toy.ring(std=std)
    generator = torch.Generator().manual_seed(seed)
    points = mixture.sample(20_000, generator).to(device)
    reference = mixture.sample(samples, generator)
    mixture.sample(samples, generator)  # the floor of the other table
    z = torch.randn(samples, 2, generator=generator).to(device)
    torch.manual_seed(seed)
    teacher = names["FlowVelocity"]().to(device)
    names["flow_train"](teacher, points, teacher_steps)
    made = {
        "matching": names["distilled"](teacher, points, steps, term="matching", rounds=rounds),
        "scratch": names["distilled"](
            teacher, points, teacher_steps + steps, judge=judge().to(device), student=names["FlowVelocity"]().to(device)
        ),
    }
    row = {}
    for name, student in made.items():
        found = measured(names["one_step"](student, z).detach().cpu(), reference, mixture)
        row |= {f"{name}_{key}": value for key, value in found.items()}
    return row


_RING = {"std": 0.05, "teacher_steps": 2_000, "steps": 1_000, "samples": 4_000}
ENTRIES = {
    "distil_ring": PROGRAMS.entry(students, "distil", range(10), **_RING),
    "distil_alone": PROGRAMS.entry(alone, "distil", range(10), **_RING, rounds=5),
}
