"""What a run tells: rows of means over intervals, a progress bar, and what was not finite."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from gan_course import parallel
from gan_course.train import checkpoint

Pending = list[dict[str, Tensor]]  # what the steps of an interval that is not over returned


@dataclass
class History:
    """What a run leaves behind."""

    #: one dict per log interval: ``step`` (its last one), the means of what ``step()`` returned over it, and
    #: ``seconds`` since the start of the run
    rows: list[dict[str, float]] = field(default_factory=list)
    probes: list[dict[str, float]] = field(default_factory=list)  #: one per probe: ``step`` and what it returned
    #: step -> samples from the same latents, uint8 ``(n, C, H, W)`` for images
    snapshots: dict[int, Tensor] = field(default_factory=dict)
    seconds: float = 0.0  #: time spent training, in all sessions of the run together

    def __getitem__(self, name: str) -> list[float]:
        """Return a column, of the rows or of the probes; their steps are ``["step"]`` and ``["probe_step"]``."""
        if name == "probe_step":
            return [probe["step"] for probe in self.probes]
        for rows in (self.rows, self.probes):
            if rows and name in rows[0]:
                return [row[name] for row in rows]
        names = {name for rows in (self.rows, self.probes) for name in (rows[0] if rows else ())}
        raise KeyError(f"no column {name!r}; there are {sorted(names)}")


def row(model: nn.Module, step: int, pending: Pending, seconds: float, last_saved: int | None) -> dict[str, float]:
    """Average the logged scalars of the interval: the only place where the loop waits for the device."""
    names, logged = list(pending[0]), parallel.average(_joined(pending))
    means = torch.stack([values.mean() for values in logged]).tolist()
    if not all(map(math.isfinite, means)):
        raise _not_finite(model, step, last_saved, names, logged)
    return {"step": step, **dict(zip(names, means, strict=True)), "seconds": round(seconds, 3)}


def check_finite(model: nn.Module, step: int, pending: Pending, last_saved: int | None) -> None:
    """Raise FloatingPointError if a scalar of an interval that is not over is not finite."""
    if pending and not (logged := _joined(pending)).isfinite().all():
        raise _not_finite(model, step, last_saved, list(pending[0]), logged)


def _joined(pending: Pending) -> Tensor:
    """The logged scalars of an interval, ``(names, steps)``."""
    return torch.stack([torch.stack([row[name].float() for row in pending]) for name in pending[0]])


def check_weights(model: nn.Module, step: int, last_saved: int | None) -> None:
    """Raise FloatingPointError if a weight is not finite."""
    if checkpoint.not_finite(model.state_dict()):
        raise _not_finite(model, step, last_saved)


def _not_finite(
    model: nn.Module, step: int, last_saved: int | None, names: Sequence[str] = (), logged: Tensor | None = None
) -> FloatingPointError:
    """Return the error that says what is not finite first, in ``logged`` (names, steps) if given, and in the model."""
    found = []
    if logged is not None:
        finite = logged.isfinite().cpu()
        at = int(finite.all(0).int().argmin())  # the first step where not all are
        worst = int(finite[:, at].int().argmin())
        found.append(f"{names[worst]} is {logged[worst, at].item()} at step {step - logged.shape[1] + 1 + at}")
    state = {"model": model.state_dict()} | {name: o.state_dict() for name, o in checkpoint.optimizers(model)}
    broken = checkpoint.not_finite(state)
    others = f" (and {len(broken) - 1} other tensors)" if len(broken) > 1 else ""
    what = f"{broken[0].removeprefix('state.')}{others} is not finite" if broken else "all weights are finite"
    found.append(f"after step {step}, {what}")
    if last_saved is not None:
        found.append(f"the checkpoint of step {last_saved} stays" if last_saved else "no checkpoint was made yet")
    return FloatingPointError("; ".join(found))


def averaged(pending: Pending) -> Pending:
    """Return the logged scalars of an interval that is not over, as means over the processes: one of them saves."""
    if not pending or parallel.world_size() == 1:
        return pending
    values = parallel.average(torch.stack([torch.stack(list(row.values())) for row in pending]))
    return [dict(zip(row, means.unbind(), strict=True)) for row, means in zip(pending, values, strict=True)]


def postfix(row: dict[str, float]) -> str:
    """Return the losses of a row in words."""
    return ", ".join(f"{name} {value:.3f}" for name, value in row.items() if name.startswith("loss"))


class Bar(tqdm):
    """A progress bar, seen in a notebook or terminal only, and not where ``TQDM_DISABLE`` is set."""

    def __init__(self, steps: int, start: int, batch: int, wanted: bool):
        seen = wanted and ("ipykernel" in sys.modules or sys.stderr.isatty()) and not os.environ.get("TQDM_DISABLE")
        super().__init__(total=steps, initial=start, unit="step", leave=False, dynamic_ncols=True, disable=not seen)
        self.batch, self.shown, self.shown_at = batch, start, time.perf_counter()

    def show(self, row: dict[str, float]) -> None:
        """Move to the step of a logged row, and show its losses and the speed since the last one."""
        steps, seconds = row["step"] - self.shown, time.perf_counter() - self.shown_at
        self.set_postfix_str(f"{postfix(row)}, {steps * self.batch / seconds:,.0f} images/s", refresh=False)
        self.update(steps)
        self.shown, self.shown_at = row["step"], time.perf_counter()
