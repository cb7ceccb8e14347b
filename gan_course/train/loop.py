"""The one training loop: draws batches, shows progress, keeps a log, saves checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import checks, parallel
from gan_course.data.sets import DataSet, Domains
from gan_course.errors import CheckpointError, unknown
from gan_course.models import common
from gan_course.train import checkpoint, log, runs, schedule
from gan_course.train import graph as graphs
from gan_course.train.log import History

PRECISIONS = ("float32", "bf16", "auto")


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
    ``seed`` (:func:`gan_course.data.sets.order`), and so is torch's random state, from which latents and dropout come.
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
        graph: whether to record a step as a CUDA graph (:mod:`gan_course.train.graph`) and replay it.
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
        checks.check_whole(**{name: value})
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if decay_from is not None and not 0 <= decay_from < steps:
        raise ValueError(f"decay_from must lie in [0, steps), got {decay_from} with steps {steps}")
    if decay not in schedule.DECAYS:
        raise unknown("decay", decay, schedule.DECAYS)
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
        stack.enter_context(schedule.rates_restored(model, scheduled := warmup > 0 or decay_from is not None))
        if graph and start < steps:
            advance = stack.enter_context(graphs.recorded(model, advance, *batches(start)))
        signals = stack.enter_context(runs.signals(terminable=folder is not None))
        agreed = stack.enter_context(parallel.Agreement())
        bar = stack.enter_context(log.bar(steps, start, progress and writes))
        last_save = shown_at = time.perf_counter()
        shown = start
        for step in range(start + 1, steps + 1):
            if scheduled:
                schedule.scale_learning_rates(model, schedule.rate_factor(step, steps, warmup, decay_from, decay))
            pending.append(advance(*batches(step - 1)))
            asked = agreed(signals.asked)
            if step % log_every == 0 or step == steps:
                history.rows.append(log.row(model, step, pending, seconds(), last_saved if saved else None))
                pending.clear()
                if folder is not None and writes:
                    runs.append_log(folder, history.rows[-1])
                rate = (step - shown) * batch / (time.perf_counter() - shown_at)
                bar.set_postfix_str(log.postfix(history.rows[-1]) + f", {rate:,.0f} images/s", refresh=False)
                bar.update(step - shown)
                shown, shown_at = step, time.perf_counter()
            if snapshot_every is not None and (step % snapshot_every == 0 or step == steps):
                snapshot(step)
            if asked:
                pending = log.averaged(pending)
            if step == steps and checkpoint.not_finite(model.state_dict()):
                log.stop_not_finite(model, step, [], None, last_saved if saved else None)
            due = step % log_every == 0 and time.perf_counter() - last_save >= checkpoint_seconds
            if due or step == steps or asked:
                save(step)
                last_save, last_saved = time.perf_counter(), step
            if asked:
                runs.stop(asked, step, saved)
    if progress and writes:
        log.report(history, start, steps, batch, device)
    return history


def _check_data(model: nn.Module, data: DataSet | Domains) -> None:
    if tuple(data.shape) != tuple(model.shape):
        raise ValueError(
            f"data {data.name!r} has samples of shape {tuple(data.shape)}, the model wants {tuple(model.shape)}"
        )
    if getattr(model, "paired", False) and not data.paired:
        raise ValueError(f"data {data.name!r} must be paired for a model of family {model.family!r}, got unpaired")
    labels = getattr(data, "labels", None)
    if hasattr(model, "num_classes") and labels is not None:  # `step` looks at their range on the CPU only
        checks.check_labels(labels.cpu(), labels.shape, model.num_classes)


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
