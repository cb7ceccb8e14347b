"""Learning rates over a run: warm-up, then constant, then decay."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from gan_course import checks
from gan_course.errors import unknown
from gan_course.train import checkpoint

DECAYS = ("linear", "cosine")


def rate_factor(step: int, steps: int, warmup: int = 0, decay_from: int | None = None, decay: str = "linear") -> float:
    """Return the factor of all learning rates at ``step``, 1 to ``steps``; see :func:`gan_course.train.loop.fit`."""
    factor = min(step / warmup, 1.0) if warmup else 1.0
    if decay_from is None or step <= decay_from:
        return factor
    remaining = (steps - step + 1) / (steps - decay_from)
    return factor * (remaining if decay == "linear" else (1 - math.cos(math.pi * remaining)) / 2)


class Schedule:
    """The learning rates of all optimizers of ``model``; arguments as of :func:`gan_course.train.loop.fit`."""

    def __init__(self, model: nn.Module, steps: int, warmup: int, decay_from: int | None, decay: str):
        checks.at_least("warmup", warmup, 0)
        if decay_from is not None and not 0 <= decay_from < steps:
            raise ValueError(f"decay_from must lie in [0, steps), got {decay_from} with steps {steps}")
        if decay not in DECAYS:
            raise unknown("decay", decay, DECAYS)
        if decay != "linear" and decay_from is None:
            raise ValueError(f"decay_from must be given for decay {decay!r}, got None")
        self.model, self.arguments = model, (steps, warmup, decay_from, decay)
        self.changes = warmup > 0 or decay_from is not None

    def settings(self) -> dict[str, Any]:
        """Return what is not as usual, to be written down with the run."""
        steps, warmup, decay_from, decay = self.arguments
        ends = {} if decay_from is None else {"decay_from": decay_from, "steps": steps}
        return ends | ({"warmup": warmup} if warmup else {}) | ({"decay": decay} if decay != "linear" else {})

    def set(self, step: int) -> None:
        """Give the optimizers the learning rates of ``step``, from 1."""
        if self.changes:
            self._scale(rate_factor(step, *self.arguments))

    def _scale(self, factor: float) -> None:
        for _, optimizer in checkpoint.optimizers(self.model):
            for group in optimizer.param_groups:
                rate = factor * optimizer.defaults["lr"]
                if isinstance(group["lr"], Tensor):  # of a recorded graph, which reads it there
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def reset(self) -> None:
        """Give them the full ones again, for the next run."""
        if self.changes:
            self._scale(1.0)
