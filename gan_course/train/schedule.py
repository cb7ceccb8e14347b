"""Learning rates over a run: warm-up, then constant, then decay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from gan_course.train import checkpoint

DECAYS = ("linear", "cosine")


def rate_factor(step: int, steps: int, warmup: int = 0, decay_from: int | None = None, decay: str = "linear") -> float:
    """Return what the learning rates are multiplied by at ``step`` (from 1 to ``steps``), see :func:`fit`."""
    factor = min(step / warmup, 1.0) if warmup else 1.0
    if decay_from is None or step <= decay_from:
        return factor
    remaining = (steps - step + 1) / (steps - decay_from)
    return factor * (remaining if decay == "linear" else (1 - math.cos(math.pi * remaining)) / 2)


def scale_learning_rates(model: nn.Module, factor: float) -> None:
    for _, optimizer in checkpoint.optimizers(model):
        for group in optimizer.param_groups:
            rate = factor * optimizer.defaults["lr"]
            if isinstance(group["lr"], Tensor):  # of a recorded graph, which reads it there
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


@contextmanager
def rates_restored(model: nn.Module, scheduled: bool) -> Iterator[None]:
    """However the run ends, the next one with this model starts with its full learning rates."""
    try:
        yield
    finally:
        if scheduled:
            scale_learning_rates(model, 1.0)
