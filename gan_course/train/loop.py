"""The one training loop: draws batches, shows progress, keeps a log, saves checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_course import checks, parallel
from gan_course.data.sets import DataSet, Domains
from gan_course.errors import CheckpointError
from gan_course.models import common
from gan_course.train import checkpoint, log, runs, schedule, signals, speed
from gan_course.train import graph as graphs
from gan_course.train.log import History

Probe = Callable[[nn.Module], dict[str, float]]


def fit(
    model: nn.Module, data: DataSet | Domains, steps: int, *,
    batch: int = 64, seed: int = 0,
    warmup: int = 0, decay_from: int | None = None, decay: str = "linear",
    precision: str = "auto", channels_last: bool | str = "auto", graph: bool = False,
    out: Path | str | None = None, resume: bool = True,
    log_every: int = 50, snapshot_every: int | None = None, snapshot_size: int = 64, probe: Probe | None = None,
    checkpoint_seconds: float = 30.0, progress: bool = True,
) -> History:  # fmt: skip
    """Train ``model`` for ``steps`` steps and return the :class:`History`.

    A run is a function of the model's initial weights, the data and ``seed``: the order of the data is drawn from
    ``seed`` (:func:`gan_course.data.sets.order`), and so is torch's random state, from which latents and dropout come.
    With ``out``, an interrupted run that is started again goes on from its last checkpoint and ends, on the same
    machine, with the same bits as one that was never interrupted; a larger ``steps`` extends a finished run.

    In the processes of ``torchrun`` (:mod:`gan_course.parallel`) each takes its share of every batch; the first one
    writes, probes and makes snapshots. All must see the folder ``out``.

    Args:
        model: a model of :mod:`gan_course.models`, on the device to train on; or any module that has ``shape``,
            ``n_critic``, its optimizers as attributes, and a ``step`` and a ``sample`` as they have.
        data: the training set; it is moved to the model's device.
        steps: steps to have been done at the end, over all sessions of the run.
        batch: samples per update, in all processes together.
        seed: seed of the run.
        warmup: steps over which all learning rates rise linearly to their full values.
        decay_from: step after which all learning rates fall, to (nearly) 0 at the last step; constant if not given.
            Such a run cannot be extended, for its learning rates depend on where it ends.
        decay: how they fall, "linear" or "cosine" (half a wave, as Loshchilov and Hutter (2017), equation 5).
        precision: "float32"; "bf16", where autocast computes matrix products and convolutions in bfloat16, weights,
            optimizers and penalties staying as they are; or "auto", what :func:`gan_course.train.speed.choose` finds
            fast here. A run that goes on stays as it was.
        channels_last: whether convolutions see their images and weights in the order that puts channels last: True,
            False or "auto". The numbers differ by rounding.
        graph: whether to record a step as a CUDA graph (:mod:`gan_course.train.graph`) and replay it.
        out: folder for ``checkpoint.pt``, ``log.jsonl`` and ``samples/``; nothing is written without it. Only one
            process at a time may train in it.
        resume: whether to go on from a checkpoint in ``out``; if False, a run that is there is refused.
        log_every: steps per row of the log. Losses stay on the device until then.
        snapshot_every: steps between snapshots (none if not given); one is also made at the start and the end.
        snapshot_size: samples per snapshot, always from the same latents; of a translator, translations of the first
            images of its first domain, or of the data.
        probe: called with the model after each snapshot; returns numbers to be kept. It may draw torch's
            random numbers and put the model into evaluation mode: neither changes the run.
        checkpoint_seconds: least time between checkpoints; in several processes they are made when a row is logged.
        progress: whether to show a progress bar (in a notebook or terminal), a first line with what is trained how, and
            a last one with the totals.

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
    counts = {"steps": steps, "batch": batch, "log_every": log_every, "snapshot_size": snapshot_size}
    for name, value in {**counts, "snapshot_every": 1 if snapshot_every is None else snapshot_every}.items():
        checks.at_least(name, value, 1)
    if batch % parallel.world_size():
        raise ValueError(f"batch must be a multiple of the {parallel.world_size()} processes, got {batch}")
    _check_data(model, data)
    device = common.device_of(model)
    if graph and (device.type != "cuda" or parallel.world_size() > 1):
        where = f"{parallel.world_size()} on {device.type}"
        raise ValueError(f"graph needs a single process on a CUDA device, got {where}")
    data = data.to(device)
    folder = None if out is None else Path(out)
    alone, tells = parallel.world_size() == 1, progress and parallel.rank() == 0
    rates = schedule.Schedule(model, steps, warmup, decay_from, decay)

    with ExitStack() as stack:
        if folder is not None and parallel.rank() == 0:
            stack.enter_context(runs.locked(folder))
        stack.enter_context(parallel.averaged_gradients(model))
        torch.manual_seed(seed)
        state = None if folder is None else runs.read(folder, device, resume)
        fast = speed.choose(model, device, precision, channels_last, state and state["run"])
        if fast.channels_last:
            model.to(memory_format=torch.channels_last)
        settings = {"data": data.name, "samples": len(data), "batch": batch, "seed": seed, **rates.settings()}
        settings |= {} if folder is None else {"data_crc32": data.crc32(), "classes": getattr(data, "classes", None)}
        settings |= fast.settings() | ({"graph": True} if graph else {})
        settings |= {} if alone else {"processes": parallel.world_size()}
        run = runs.Run(model, settings, folder, state)
        start = run.step
        if not alone and parallel.average(torch.tensor(float(start), device=device)).item() != start:
            raise CheckpointError(f"all processes must see the folder {folder}; not all begin after step {start}")
        if tells:
            print(_opening(run, data, device, fast), flush=True)

        batches = partial(_batches, data, seed, model.n_critic, batch, fast.channels_last)
        snapshot = partial(_snapshot, run, data, snapshot_size, seed, probe)
        model.train()
        if start == 0 and snapshot_every is not None:
            snapshot()
        advance = model.step
        if fast.bf16:  # a step updates weights between its passes: a cache of rounded ones would keep the first pass's
            advance = torch.autocast(device.type, torch.bfloat16, cache_enabled=False)(advance)
        stack.callback(rates.reset)
        if graph and start < steps:
            advance = stack.enter_context(graphs.recorded(model, advance, *batches(start)))
        requests = stack.enter_context(signals.requests(terminable=folder is not None))
        agreed = stack.enter_context(parallel.Agreement())
        bar = stack.enter_context(log.Bar(steps, start, batch, tells))

        for step in range(start + 1, steps + 1):
            rates.set(step)
            run.pending.append(advance(*batches(step - 1)))  # losses, left on the device: nothing waits for them
            run.step = step
            asked = agreed(requests.asked)  # to stop, by Ctrl-C or SIGTERM
            last, logged = step == steps, step % log_every == 0
            if last or logged:
                run.log()
                bar.show(run.history.rows[-1])
            if snapshot_every is not None and (last or step % snapshot_every == 0):
                snapshot()
            if asked:
                run.pending = log.averaged(run.pending)
            if last:
                log.check_weights(model, step, run.last_saved())
            if last or asked or ((logged or alone) and run.is_due(checkpoint_seconds)):
                run.save()
            if asked:
                signals.stop(asked, step, folder and folder / runs.CHECKPOINT)
    if tells:
        print(_closing(run, start, steps, batch, device))
    return run.history


def _check_data(model: nn.Module, data: DataSet | Domains) -> None:
    if tuple(data.shape) != tuple(model.shape):
        shapes = f"{tuple(data.shape)}, the model wants {tuple(model.shape)}"
        raise ValueError(f"data {data.name!r} has samples of shape {shapes}")
    if getattr(model, "paired", False) and not data.paired:
        raise ValueError(f"data {data.name!r} must be paired for a model of family {model.family!r}, got unpaired")
    labels = getattr(data, "labels", None)
    if hasattr(model, "num_classes") and labels is not None:  # `step` looks at their range on the CPU only
        checks.check_labels(labels.cpu(), labels.shape, model.num_classes)


def _batches(
    data: DataSet | Domains, seed: int, n_critic: int, batch: int, channels_last: bool, step: int
) -> tuple[Tensor, Tensor | None]:
    """Return what ``model.step`` takes after ``step`` steps: samples and labels (or None), ``(n_critic, B, ...)`` each.

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


def _snapshot(run: runs.Run, data: DataSet | Domains, n: int, seed: int, probe: Probe | None) -> None:
    """Keep samples, always from the same latents (of a translator, translations of the same images), and probe."""
    model, history = run.model, run.history
    if parallel.rank() > 0:
        return
    if hasattr(model, "translate"):
        sources = data.a if isinstance(data, Domains) else data
        samples = model.translate(sources.images(min(n, len(sources))))
    else:
        samples = model.sample(n, generator=torch.Generator().manual_seed(seed))
    if samples.ndim == 4:
        samples = samples.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
    history.snapshots[run.step] = samples.cpu()
    if probe is not None:
        device = common.device_of(model)
        state = checkpoint.random_state(device)
        history.probes.append({"step": run.step, **probe(model)})
        checkpoint.set_random_state(device, state)
        model.train()


def _opening(run: runs.Run, data: DataSet | Domains, device: torch.device, fast: speed.Choice) -> str:
    """What is trained, where and how, in one line."""
    if run.step:
        begins = f"going on with the run in {run.folder} after step {run.step:,}"
    else:
        begins = f"new run of {checkpoint.identity(run.model)['family']}" + (f" in {run.folder}" if run.folder else "")
    return f"{begins}: {data.name}, {len(data):,} of shape {data.shape}, on {device.type} in {fast}"


def _closing(run: runs.Run, start: int, steps: int, batch: int, device: torch.device) -> str:
    if start >= steps:
        return f"nothing to do: the run has {start:,} steps already"
    losses = log.postfix(run.history.rows[-1])
    return f"{steps:,} steps of {batch} in {run.history.seconds:.1f} s on {device.type}: {losses}"
