"""The one training loop: draws batches, shows progress, keeps a log, saves checkpoints."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from gan_course import checkpoint
from gan_course.data import DataSet, Domains
from gan_course.errors import CheckpointError
from gan_course.models import common

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


@dataclass
class History:
    """What a run leaves behind.

    Attributes:
        rows: one dict per log interval: ``step`` (the last one of the interval), the means of what ``step()``
            returned over the interval, and ``seconds`` since the start of the run.
        probes: one dict per probe: ``step`` and what the probe returned.
        snapshots: step -> samples from the same latents, uint8 ``(n, C, H, W)`` for images.
        seconds: time spent training, in all sessions of the run together.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    probes: list[dict[str, float]] = field(default_factory=list)
    snapshots: dict[int, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    def __getitem__(self, name: str) -> list[float]:
        """Return a column, of the rows or of the probes; their steps are ``["step"]`` and ``["probe_step"]``."""
        if name == "probe_step":
            return [probe["step"] for probe in self.probes]
        for rows in (self.rows, self.probes):
            if rows and name in rows[0]:
                return [row[name] for row in rows]
        raise KeyError(f"no column {name!r}; there are {sorted({*self._names()})}")

    def _names(self) -> list[str]:
        return [name for rows in (self.rows, self.probes) if rows for name in rows[0]]


def fit(
    model: nn.Module,
    data: DataSet | Domains,
    steps: int,
    *,
    batch: int = 64,
    seed: int = 0,
    decay_from: int | None = None,
    out: Path | str | None = None,
    resume: bool = True,
    log_every: int = 50,
    snapshot_every: int | None = None,
    snapshot_size: int = 64,
    probe: Callable[[nn.Module], dict[str, float]] | None = None,
    checkpoint_seconds: float = 30.0,
    progress: bool = True,
) -> History:
    """Train ``model`` for ``steps`` steps and return the :class:`History`.

    A run is a function of the model's initial weights, the data and ``seed``: the order of the data is drawn from
    ``seed`` (:func:`gan_course.data.order`), and so is torch's random state, from which latents and dropout come.
    With ``out``, an interrupted run that is started again goes on from its last checkpoint and ends, on the same
    machine, with the same bits as one that was never interrupted; a larger ``steps`` extends a finished run.

    Args:
        model: a model of :mod:`gan_course.models`, on the device to train on.
        data: the training set; it is moved to the model's device.
        steps: steps to have been done at the end, over all sessions of the run.
        batch: samples per update.
        seed: seed of the run.
        decay_from: step after which all learning rates fall linearly, to reach 0 after the last step; constant if
            not given. Such a run cannot be extended, for its learning rates depend on where it ends.
        out: folder for ``checkpoint.pt``, ``log.jsonl`` and ``samples/``; nothing is written without it.
        resume: whether to go on from a checkpoint in ``out``; if False, a run that is there is refused.
        log_every: steps per row of the log. Losses stay on the device until then.
        snapshot_every: steps between snapshots (none if not given); one is also made at the start and the end.
        snapshot_size: samples per snapshot, always from the same latents; of a translator, translations of the first
            images of its first domain.
        probe: called with the model after each snapshot; returns numbers to be kept. It may draw torch's
            random numbers and put the model into evaluation mode: neither changes the run.
        checkpoint_seconds: least time between checkpoints, which are made when a row is logged.
        progress: whether to show a progress bar (in a notebook or terminal) and a last line with the totals.

    Raises:
        ValueError: if an argument is out of range, or the data do not have the model's shape, have labels that it does
            not know, or are unpaired where it learns from pairs.
        CheckpointError: if the run in ``out`` is damaged or was made with other settings.
        FloatingPointError: if a loss is not finite; the last checkpoint stays.
    """
    for name, value in (
        ("steps", steps),
        ("batch", batch),
        ("log_every", log_every),
        ("snapshot_size", snapshot_size),
    ):
        common.check_whole(**{name: value})
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if snapshot_every is not None and snapshot_every < 1:
        raise ValueError(f"snapshot_every must be at least 1, got {snapshot_every}")
    if decay_from is not None and not 0 <= decay_from < steps:
        raise ValueError(f"decay_from must lie in [0, steps), got {decay_from} with steps {steps}")
    if tuple(data.shape) != tuple(model.shape):
        raise ValueError(
            f"data {data.name!r} has samples of shape {tuple(data.shape)}, the model wants {tuple(model.shape)}"
        )
    if getattr(model, "paired", False) and not data.paired:
        raise ValueError(f"data {data.name!r} must be paired for a model of family {model.family!r}, got unpaired")
    labels = getattr(data, "labels", None)
    if hasattr(model, "num_classes") and labels is not None:  # `step` looks at their range on the CPU only
        common.check_labels(labels.cpu(), labels.shape, model.num_classes)

    device = next(model.parameters()).device
    data = data.to(device)
    run = {"data": data.name, "samples": len(data), "batch": batch, "seed": seed}
    if out is not None:
        run["data_crc32"] = data.crc32()
    if decay_from is not None:
        run |= {"decay_from": decay_from, "steps": steps}
    history, pending = History(), []
    start = 0
    saved = Path(out) / CHECKPOINT if out is not None else None
    torch.manual_seed(seed)
    if saved is not None and saved.exists():
        if not resume:
            raise CheckpointError(f"{saved} is there already; resume it, or choose another folder")
        start, history, pending = _resume(saved, model, run)
    if saved is not None:
        _rewrite_log(saved.with_name(LOG), history)

    def save(step: int) -> None:
        history.seconds = seconds()
        if saved is not None:
            kept = {"rows": history.rows, "probes": history.probes, "snapshots": history.snapshots}
            state = {"step": step, "run": run, "seconds": history.seconds, "pending": pending, **kept}
            checkpoint.save(saved, {**checkpoint.capture(model), **state})

    def snapshot(step: int) -> None:
        if snapshot_every is None or step in history.snapshots:
            return
        samples = _samples(model, data, snapshot_size, seed)
        if samples.ndim == 4:
            samples = samples.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
            if out is not None:
                from torchvision.utils import save_image  # takes a second to import

                folder = Path(out) / "samples"
                folder.mkdir(parents=True, exist_ok=True)
                save_image(samples.float() / 255, folder / f"{step:07d}.png", nrow=8)
        history.snapshots[step] = samples.cpu()
        if probe is not None:
            state = checkpoint.random_state(device)
            history.probes.append({"step": step, **probe(model)})
            checkpoint.set_random_state(device, state)
            model.train()

    before, began = history.seconds, time.perf_counter()
    seconds = lambda: before + time.perf_counter() - began  # noqa: E731
    last_save = time.perf_counter()
    model.train()
    if start == 0:
        snapshot(0)
    with _bar(steps, start, progress) as bar, _interruption() as interrupted, _decay_undone(model, decay_from):
        shown, shown_at = start, time.perf_counter()
        for step in range(start + 1, steps + 1):
            if decay_from is not None and step > decay_from:
                _scale_learning_rates(model, (steps - step + 1) / (steps - decay_from))
            pending.append(model.step(*_batches(data, seed, step - 1, model.n_critic, batch)))
            if step % log_every == 0 or step == steps:
                history.rows.append(_row(step, pending, seconds()))
                pending.clear()
                _append_log(saved, history.rows[-1])
                rate = (step - shown) * batch / (time.perf_counter() - shown_at)
                bar.set_postfix_str(_postfix(history.rows[-1]) + f", {rate:,.0f} images/s", refresh=False)
                bar.update(step - shown)
                shown, shown_at = step, time.perf_counter()
            if snapshot_every is not None and (step % snapshot_every == 0 or step == steps):
                snapshot(step)
            due = step % log_every == 0 and time.perf_counter() - last_save >= checkpoint_seconds
            if due or step == steps or interrupted:
                save(step)
                last_save = time.perf_counter()
            if interrupted:
                raise KeyboardInterrupt(f"stopped after step {step}" + ("" if saved is None else f"; saved in {saved}"))
    if progress:
        _report(history, start, steps, batch, device)
    return history


def _scale_learning_rates(model: nn.Module, factor: float) -> None:
    for optimizer in vars(model).values():
        if isinstance(optimizer, torch.optim.Optimizer):
            for group in optimizer.param_groups:
                group["lr"] = factor * optimizer.defaults["lr"]


@contextmanager
def _decay_undone(model: nn.Module, decay_from: int | None) -> Iterator[None]:
    """However the run ends, the next one with this model starts with its full learning rates."""
    try:
        yield
    finally:
        if decay_from is not None:
            _scale_learning_rates(model, 1.0)


def _batches(data: DataSet | Domains, seed: int, step: int, n_critic: int, batch: int) -> tuple[Tensor, Tensor | None]:
    """Return what ``model.step`` takes: ``(n_critic, B, ...)`` samples and ``(n_critic, B, ...)`` labels or None."""
    count = n_critic * batch
    x, labels = data.take(seed, step * count, count)
    return x.unflatten(0, (n_critic, batch)), None if labels is None else labels.unflatten(0, (n_critic, batch))


def _samples(model: nn.Module, data: DataSet | Domains, n: int, seed: int) -> Tensor:
    """Return what a snapshot shows: samples, always from the same latents; of a translator, the same images of the
    first domain translated."""
    if hasattr(model, "translate"):
        return model.translate(data.a.images(min(n, len(data.a))))
    return model.sample(n, generator=torch.Generator().manual_seed(seed))


def _row(step: int, pending: list[dict[str, Tensor]], seconds: float) -> dict[str, float]:
    """Average the logged scalars of the interval: the only place where the loop waits for the device."""
    names = list(pending[0])
    means = torch.stack([torch.stack([logged[name].float() for logged in pending]).mean() for name in names]).tolist()
    for name, mean in zip(names, means, strict=True):
        if mean != mean or mean in (float("inf"), float("-inf")):
            raise FloatingPointError(
                f"{name} is {mean} within the {len(pending)} steps up to step {step}; the last checkpoint stays"
            )
    return {"step": step, **dict(zip(names, means, strict=True)), "seconds": round(seconds, 3)}


def _resume(path: Path, model: nn.Module, run: dict[str, Any]) -> tuple[int, History, list[dict[str, Tensor]]]:
    state = checkpoint.load(path, next(model.parameters()).device)
    if "run" not in state:
        raise CheckpointError(f"{path} holds a model without the run it comes from; choose another folder")
    if state["family"] != model.family:
        families = f"family {state['family']!r}, the model is of {model.family!r}"
        raise CheckpointError(f"{path} is a run of {families}; choose another folder")
    if differing := checkpoint.differences(state["run"] | state["settings"], run | model.settings):
        raise CheckpointError(f"{path} is a run with other settings: {differing}; keep them, or choose another folder")
    checkpoint.restore(model, state)
    snapshots = {step: samples.cpu() for step, samples in state["snapshots"].items()}
    return (
        state["step"],
        History(state["rows"], state["probes"], snapshots, state["seconds"]),
        state["pending"],
    )


def _rewrite_log(path: Path, history: History) -> None:
    """Cut the log back to the checkpoint."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text("".join(json.dumps(row) + "\n" for row in history.rows))
    os.replace(beside, path)


def _append_log(saved: Path | None, row: dict[str, float]) -> None:
    if saved is not None:
        with open(saved.with_name(LOG), "a") as file:
            file.write(json.dumps(row) + "\n")


def _postfix(row: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in row.items() if name.startswith("loss"))


def _bar(steps: int, start: int, progress: bool) -> tqdm:
    in_notebook = "ipykernel" in sys.modules
    visible = progress and (in_notebook or sys.stderr.isatty()) and not os.environ.get("TQDM_DISABLE")
    return tqdm(total=steps, initial=start, unit="step", leave=False, dynamic_ncols=True, disable=not visible)


def _report(history: History, start: int, steps: int, batch: int, device: torch.device) -> None:
    if start >= steps:
        print(f"nothing to do: the run has {start:,} steps already")
        return
    print(f"{steps:,} steps of {batch} in {history.seconds:.1f} s on {device.type}: {_postfix(history.rows[-1])}")


@contextmanager
def _interruption() -> Iterator[list[int]]:
    """Turn Ctrl-C into a request that the loop meets between two steps, where the state is whole.

    A second one stops at once; the last checkpoint stays.

    Yields:
        A list, empty until a signal came.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield received
        return

    def receive(number: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt("stopped within a step; the last checkpoint stays")
        received.append(number)

    previous = signal.signal(signal.SIGINT, receive)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, previous)
