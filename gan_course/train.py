"""The one training loop: draws batches, shows progress, keeps a log, saves checkpoints."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from gan_course import checkpoint, parallel, runs
from gan_course import graph as graphs
from gan_course.data import DataSet, Domains
from gan_course.errors import CheckpointError, unknown
from gan_course.models import common

DECAYS = ("linear", "cosine")
PRECISIONS = ("float32", "bf16", "auto")


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
    warmup: int = 0,
    decay_from: int | None = None,
    decay: str = "linear",
    precision: str = "float32",
    channels_last: bool = False,
    graph: bool = False,
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

    In the processes of ``torchrun`` (:mod:`gan_course.parallel`) each takes its share of every batch; the first one
    writes, probes and makes snapshots. All must see the folder ``out``.

    Args:
        model: a model of :mod:`gan_course.models`, on the device to train on.
        data: the training set; it is moved to the model's device.
        steps: steps to have been done at the end, over all sessions of the run.
        batch: samples per update, in all processes together.
        seed: seed of the run.
        warmup: steps over which all learning rates rise linearly to their full values.
        decay_from: step after which all learning rates fall, to (nearly) 0 at the last step; constant if not given.
            Such a run cannot be extended, for its learning rates depend on where it ends.
        decay: how they fall, "linear" or "cosine" (half a wave, as Loshchilov & Hutter (2017), equation 5).
        precision: "float32"; "bf16", where autocast computes matrix products and convolutions in bfloat16, weights,
            optimizers and penalties staying as they are; "auto", bf16 on CUDA devices of compute capability 8 or more.
        channels_last: whether convolutions see their images and weights in the order that puts channels last, which
            is often faster. The numbers differ by rounding.
        graph: whether to record a step as a CUDA graph (:mod:`gan_course.graph`) and replay it.
        out: folder for ``checkpoint.pt``, ``log.jsonl`` and ``samples/``; nothing is written without it. Only one
            process at a time may train in it.
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
        CheckpointError: if the run in ``out`` is damaged, was made with other settings, or is being trained by another
            process; or a checkpoint cannot be written.
        FloatingPointError: if a loss or, at the end, a weight is not finite; the last checkpoint stays.
        KeyboardInterrupt: after Ctrl-C, when the step is done and saved.
        SystemExit: after SIGTERM, when the step is done and saved; the status is 0. Without ``out``, SIGTERM ends the
            process as ever.
    """
    for name, value, least in (
        ("steps", steps, 1),
        ("batch", batch, 1),
        ("warmup", warmup, 0),
        ("log_every", log_every, 1),
        ("snapshot_every", 1 if snapshot_every is None else snapshot_every, 1),
        ("snapshot_size", snapshot_size, 1),
    ):
        common.check_whole(**{name: value})
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if decay_from is not None and not 0 <= decay_from < steps:
        raise ValueError(f"decay_from must lie in [0, steps), got {decay_from} with steps {steps}")
    if decay not in DECAYS:
        raise unknown("decay", decay, DECAYS)
    if decay != "linear" and decay_from is None:
        raise ValueError(f"decay_from must be given for decay {decay!r}, got None")
    if batch % parallel.world_size():
        raise ValueError(f"batch must be a multiple of the {parallel.world_size()} processes, got {batch}")
    _check_data(model, data)
    device = common.device_of(model)
    bf16 = _use_bf16(precision, device)
    if graph and (device.type != "cuda" or parallel.world_size() > 1):
        where = f"{parallel.world_size()} on {device.type}"
        raise ValueError(f"graph needs a single process on a CUDA device, got {where}")

    data = data.to(device)
    run = {"data": data.name, "samples": len(data), "batch": batch, "seed": seed}
    if out is not None:
        run["data_crc32"] = data.crc32()
    if decay_from is not None:
        run |= {"decay_from": decay_from, "steps": steps}
    usual = {"warmup": 0, "decay": "linear", "precision": "float32", "channels_last": False, "graph": False}
    chosen = {"warmup": warmup, "decay": decay, "precision": "bf16" if bf16 else "float32"}
    chosen |= {"channels_last": channels_last, "graph": graph}
    run |= {name: value for name, value in chosen.items() if value != usual[name]}  # so that older runs go on
    if parallel.world_size() > 1:
        run["processes"] = parallel.world_size()
    if channels_last:
        model.to(memory_format=torch.channels_last)
    writes = parallel.rank() == 0
    folder = Path(out) if out is not None else None
    saved = folder / runs.CHECKPOINT if folder is not None else None

    with ExitStack() as stack:
        if folder is not None and writes:
            stack.enter_context(runs.locked(folder))
        stack.enter_context(parallel.averaged_gradients(model))
        history, pending = History(), []
        start = last_saved = 0
        torch.manual_seed(seed)
        if saved is not None and saved.exists():
            if not resume:
                raise CheckpointError(f"{saved} is there already; resume it, or choose another folder")
            start, history, pending = _resume(saved, model, run)
            last_saved = start
        if parallel.world_size() > 1 and parallel.average(torch.tensor(float(start), device=device)).item() != start:
            raise CheckpointError(f"all processes must see the folder {folder}; not all begin after step {start}")
        if folder is not None and writes:
            runs.rewrite_log(folder, history.rows)
        before, began = history.seconds, time.perf_counter()

        def seconds() -> float:
            return before + time.perf_counter() - began

        def save(step: int) -> None:
            history.seconds = seconds()
            if saved is not None and writes:
                kept = {"rows": history.rows, "probes": history.probes, "snapshots": history.snapshots}
                state = {"step": step, "run": run, "seconds": history.seconds, "pending": pending, **kept}
                checkpoint.save(saved, {**checkpoint.capture(model), **state})

        def snapshot(step: int) -> None:
            if snapshot_every is None or step in history.snapshots or not writes:
                return
            history.snapshots[step] = _snapshot(model, data, snapshot_size, seed, step, folder)
            if probe is not None:
                state = checkpoint.random_state(device)
                history.probes.append({"step": step, **probe(model)})
                checkpoint.set_random_state(device, state)
                model.train()

        def advance(real: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
            if not bf16:
                return model.step(real, labels)
            # A step updates weights between its passes: a cache of rounded ones would keep those of the first pass.
            with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
                return model.step(real, labels)

        def batches(step: int) -> tuple[Tensor, Tensor | None]:
            return _batches(data, seed, step, model.n_critic, batch, channels_last)

        model.train()
        if start == 0:
            snapshot(0)
        stack.enter_context(_rates_restored(model, scheduled := warmup > 0 or decay_from is not None))
        if graph and start < steps:
            advance = stack.enter_context(graphs.recorded(model, advance, *batches(start)))
        signals = stack.enter_context(runs.signals(terminable=folder is not None))
        agreed = stack.enter_context(parallel.Agreement())
        bar = stack.enter_context(_bar(steps, start, progress and writes))
        last_save = shown_at = time.perf_counter()
        shown = start
        for step in range(start + 1, steps + 1):
            if scheduled:
                _scale_learning_rates(model, rate_factor(step, steps, warmup, decay_from, decay))
            pending.append(advance(*batches(step - 1)))
            asked = agreed(signals.asked)
            if step % log_every == 0 or step == steps:
                history.rows.append(_row(model, step, pending, seconds(), last_saved if saved else None))
                pending.clear()
                if folder is not None and writes:
                    runs.append_log(folder, history.rows[-1])
                rate = (step - shown) * batch / (time.perf_counter() - shown_at)
                bar.set_postfix_str(_postfix(history.rows[-1]) + f", {rate:,.0f} images/s", refresh=False)
                bar.update(step - shown)
                shown, shown_at = step, time.perf_counter()
            if snapshot_every is not None and (step % snapshot_every == 0 or step == steps):
                snapshot(step)
            if asked:
                pending = _averaged(pending)
            if step == steps and checkpoint.not_finite(model.state_dict()):
                _stop_not_finite(model, step, [], None, last_saved if saved else None)
            due = step % log_every == 0 and time.perf_counter() - last_save >= checkpoint_seconds
            if due or step == steps or asked:
                save(step)
                last_save, last_saved = time.perf_counter(), step
            if asked:
                runs.stop(asked, step, saved)
    if progress and writes:
        _report(history, start, steps, batch, device)
    return history


def rate_factor(step: int, steps: int, warmup: int = 0, decay_from: int | None = None, decay: str = "linear") -> float:
    """Return what the learning rates are multiplied by at ``step`` (from 1 to ``steps``), see :func:`fit`."""
    factor = min(step / warmup, 1.0) if warmup else 1.0
    if decay_from is None or step <= decay_from:
        return factor
    remaining = (steps - step + 1) / (steps - decay_from)
    return factor * (remaining if decay == "linear" else (1 - math.cos(math.pi * remaining)) / 2)


def _scale_learning_rates(model: nn.Module, factor: float) -> None:
    for _, optimizer in checkpoint.optimizers(model):
        for group in optimizer.param_groups:
            rate = factor * optimizer.defaults["lr"]
            if isinstance(group["lr"], Tensor):  # of a recorded graph, which reads it there
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


@contextmanager
def _rates_restored(model: nn.Module, scheduled: bool) -> Iterator[None]:
    """However the run ends, the next one with this model starts with its full learning rates."""
    try:
        yield
    finally:
        if scheduled:
            _scale_learning_rates(model, 1.0)


def _check_data(model: nn.Module, data: DataSet | Domains) -> None:
    if tuple(data.shape) != tuple(model.shape):
        raise ValueError(
            f"data {data.name!r} has samples of shape {tuple(data.shape)}, the model wants {tuple(model.shape)}"
        )
    if getattr(model, "paired", False) and not data.paired:
        raise ValueError(f"data {data.name!r} must be paired for a model of family {model.family!r}, got unpaired")
    labels = getattr(data, "labels", None)
    if hasattr(model, "num_classes") and labels is not None:  # `step` looks at their range on the CPU only
        common.check_labels(labels.cpu(), labels.shape, model.num_classes)


def _use_bf16(precision: str, device: torch.device) -> bool:
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if device.type == "cuda" and precision != "float32":
        major, minor = torch.cuda.get_device_capability(device)
        if precision == "bf16" and major < 8:
            raise ValueError(f"precision 'bf16' needs a GPU of compute capability 8, got one of {major}.{minor}")
        return major >= 8
    return precision == "bf16"


def _batches(
    data: DataSet | Domains, seed: int, step: int, n_critic: int, batch: int, channels_last: bool
) -> tuple[Tensor, Tensor | None]:
    """Return what ``model.step`` takes: ``(n_critic, B, ...)`` samples and ``(n_critic, B, ...)`` labels or None.

    In several processes, B is this one's share of each batch.
    """
    first, share = step * n_critic * batch, batch // parallel.world_size()
    if share == batch:
        x, labels = data.take(seed, first, n_critic * batch)
    else:
        first += parallel.rank() * share
        parts = [data.take(seed, first + i * batch, share) for i in range(n_critic)]
        x = torch.cat([x for x, _ in parts])
        labels = None if parts[0][1] is None else torch.cat([labels for _, labels in parts])
    if channels_last and x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    return x.unflatten(0, (n_critic, share)), None if labels is None else labels.unflatten(0, (n_critic, share))


def _snapshot(model: nn.Module, data: DataSet | Domains, n: int, seed: int, step: int, folder: Path | None) -> Tensor:
    """Return samples on the CPU, images as uint8; write images to ``folder``, too."""
    samples = _samples(model, data, n, seed)
    if samples.ndim == 4:
        samples = samples.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
        if folder is not None:
            from torchvision.utils import save_image  # takes a second to import

            path = folder / "samples" / f"{step:07d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_image(samples.float() / 255, path, nrow=8)
    return samples.cpu()


def _samples(model: nn.Module, data: DataSet | Domains, n: int, seed: int) -> Tensor:
    """Return what a snapshot shows: samples, always from the same latents; of a translator, the same images of the
    first domain translated."""
    if hasattr(model, "translate"):
        return model.translate(data.a.images(min(n, len(data.a))))
    return model.sample(n, generator=torch.Generator().manual_seed(seed))


def _row(
    model: nn.Module, step: int, pending: list[dict[str, Tensor]], seconds: float, last_saved: int | None
) -> dict[str, float]:
    """Average the logged scalars of the interval: the only place where the loop waits for the device."""
    names = list(pending[0])
    logged = torch.stack([torch.stack([row[name].float() for row in pending]) for name in names])  # (names, steps)
    logged = parallel.average(logged)
    means = torch.stack([values.mean() for values in logged]).tolist()
    if not all(map(math.isfinite, means)):
        _stop_not_finite(model, step, names, logged, last_saved)
    return {"step": step, **dict(zip(names, means, strict=True)), "seconds": round(seconds, 3)}


def _stop_not_finite(
    model: nn.Module, step: int, names: list[str], logged: Tensor | None, last_saved: int | None
) -> NoReturn:
    """Say what is not finite first, in ``logged`` (names, steps) if given, and in the model."""
    found = []
    if logged is not None:
        finite = logged.isfinite().cpu()
        at = int(finite.all(0).int().argmin())  # the first step where not all are
        worst = int(finite[:, at].int().argmin())
        found.append(f"{names[worst]} is {logged[worst, at].item()} at step {step - logged.shape[1] + 1 + at}")
    state = {"model": model.state_dict()} | {name: o.state_dict() for name, o in checkpoint.optimizers(model)}
    broken = checkpoint.not_finite(state)
    if broken:
        others = f" (and {len(broken) - 1} other tensors)" if len(broken) > 1 else ""
        found.append(f"after step {step}, {broken[0].removeprefix('state.')}{others} is not finite")
    else:
        found.append(f"after step {step}, all weights are finite")
    if last_saved is not None:
        found.append(f"the checkpoint of step {last_saved} stays" if last_saved else "no checkpoint was made yet")
    raise FloatingPointError("; ".join(found))


def _averaged(pending: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """Return the logged scalars of an interval that is not over, as means over the processes: one of them saves."""
    if not pending or parallel.world_size() == 1:
        return pending
    values = parallel.average(torch.stack([torch.stack(list(row.values())) for row in pending]))
    return [dict(zip(row, means.unbind(), strict=True)) for row, means in zip(pending, values, strict=True)]


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
