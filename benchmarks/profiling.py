#!/usr/bin/env python3
"""Say where the time of a training step goes, and which change to the textbook's step saves how much.

- The profile: torch.profiler over both loops, self times of all operations added up by kind. What no operation accounts
  for is Python, and PIL in the textbook's data loading. Profiling itself slows short operations down: shares are
  rough, milliseconds are scaled to the step's time without the profiler.
- The ladder: the textbook's iteration (loader without worker processes) is turned into ours one change at a time; the
  ways take turns, and a ratio compares two ways within one round.

Writes book/results/benchmark_profile.json and benchmark_ladder.json (with _2_threads or _cuda in the name where they
were measured so). Where MNIST or the device is missing it says so and writes nothing.
"""

from __future__ import annotations

import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.profiler import ProfilerActivity, profile, record_function

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script's path holds its own folder only

from benchmarks import common, textbook, training  # noqa: E402
from gan_course import data  # noqa: E402
from gan_course.errors import DataError  # noqa: E402
from gan_course.notebook import profiles  # noqa: E402
from gan_course.train import fit, speed  # noqa: E402

MODELS = ("mlp", "dcgan-32")
BATCHES, STEP = "batch", "step"  # labels of what is profiled
#: kind -> operations, the first that matches counts; names as torch.profiler gives them on CPU and CUDA
KINDS = {
    "convolution backward": r"convolution_backward|conv\w*_?(bwd|backward)",
    "convolution forward": r"conv",
    "matrix products": r"::(add)?(b?mm|mv|bmm|addmv)\b|gemm",
    "batch norm": r"batch_norm",
    "optimizer": r"Optimizer|adam|_foreach_|zero_grad",
    "activations and losses": r"relu|tanh|sigmoid|softplus|binary_cross_entropy|threshold",
    "dropout": r"bernoulli|dropout",
    "random numbers": r"normal_|random|uniform_",
    ".item()": r"item|_local_scalar_dense",
    "copies": r"copy|::cat|clone|contiguous|fill_|zero_",
}


# --- the profile ------------------------------------------------------------------------------------


def kind_of(event: Any) -> str:
    """Return the kind of a profiled operation: that of the labelled part that it is in, or that of its name."""
    name, parent = event.name, event
    while parent is not None:
        if parent.name == BATCHES:
            return "data"
        if parent.name.startswith("Optimizer."):
            return "optimizer"
        parent = parent.cpu_parent
    if name == STEP:
        return "Python"
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name)), "other operations")


def self_times(work: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Return the share of each kind in the self times of all operations, on a GPU of all its kernels."""
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    with profile(activities=activities) as profiled, record_function(STEP):
        work()
        common.synchronize(device)
    spent: dict[str, float] = defaultdict(float)
    for event in profiled.events():
        if device.type == "cuda":
            spent[kind_of(event)] += event.self_device_time_total
        else:
            spent[kind_of(event)] += event.self_cpu_time_total
    total = sum(spent.values())
    return {kind: time / total for kind, time in spent.items() if time > 0}


def labelled(images: Iterator[Tensor]) -> Iterator[Tensor]:
    """Yield the same batches, labelled for the profiler."""
    while True:
        with record_function(BATCHES):
            x = next(images)
        yield x


class Labelled:
    """A data set whose ``take`` is labelled for the profiler."""

    def __init__(self, of: data.DataSet):
        self.of = of

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)

    def __len__(self) -> int:
        return len(self.of)

    def to(self, device: torch.device) -> Labelled:
        return Labelled(self.of.to(device))

    def take(self, seed: int, start: int, count: int) -> tuple[Tensor, Tensor | None]:
        with record_function(BATCHES):
            return self.of.take(seed, start, count)


def measure_profile(name: str, device: torch.device, rounds: int, scale: float) -> list[dict[str, Any]]:
    """Return a row for each loop and kind of operation: its share, and what it takes of a step."""
    case = training.CASES[name]
    steps = max(1, round(scale * case.steps))
    train_set = data.load(case.data, size=case.size, device=device)
    torch.manual_seed(0)
    model = case.make(**case.settings).to(device)
    plain = training.textbook_model(model)
    images = textbook.batches(training.textbook_set(case), training.BATCH, 0, device)

    def ours(source: Any = train_set) -> None:
        fit(model, source, steps, batch=training.BATCH, progress=False)

    def theirs(source: Iterator[Tensor] = images) -> None:
        for _ in range(steps):
            getattr(plain, case.loop)(source)

    seconds = common.alternate({training.OURS: ours, "textbook": theirs}, rounds, device)
    shares = {training.OURS: self_times(lambda: ours(Labelled(train_set)), device)}
    shares["textbook"] = self_times(lambda: theirs(labelled(images)), device)
    images.close()
    rows = []
    for path, found in shares.items():
        step_ms = 1e3 * statistics.median(seconds[path]) / steps
        for kind, share in sorted(found.items(), key=lambda item: -item[1]):
            row = {"model": name, "path": path, "kind": kind, "share": round(share, 4), "ms": round(share * step_ms, 4)}
            rows.append(row | {"step_ms": round(step_ms, 4)})
    return rows


# --- the ladder -------------------------------------------------------------------------------------


def computed_by_us(name: str, device: torch.device) -> str:
    """Return what ``fit`` chooses for a model."""
    case = training.CASES[name]
    return str(speed.choose(case.make(**case.settings), device))


class Ladder(textbook.Textbook):
    """The textbook's iteration of the cross-entropy game, with some of our changes.

    Args:
        model: a GAN or DCGAN, of whose networks copies are trained.
        changes: names of :data:`RUNGS`.
    """

    def __init__(self, model: torch.nn.Module, changes: tuple[str, ...]):
        of = training.textbook_model(model)
        self.__dict__.update(of.__dict__)
        self.changes = changes
        if "fused Adam" in changes:
            for optimizer in (self.optimizerG, self.optimizerD):
                optimizer.defaults["fused"] = True
                for group in optimizer.param_groups:
                    group["fused"] = True
        if "channels last" in changes:
            self.netG.to(memory_format=torch.channels_last)
            self.netD.to(memory_format=torch.channels_last)
        # With batch norm, real and fake go through the discriminator one after the other, as in the textbook.
        self.joined = not any(isinstance(m, torch.nn.BatchNorm2d) for m in self.netD.modules())

    def cross_entropy(self, images: Iterator[Tensor]) -> None:
        """One iteration; without changes, the textbook's."""
        if "one pass" not in self.changes:
            real, fake, logged = self.separate_passes(images)
        else:
            real = next(images)
            b = real.size(0)
            self.netD.zero_grad()
            fake = self.netG(torch.randn(b, self.latent_dim, device=real.device))
            if self.joined:
                output_real, output_fake = self.netD(torch.cat([real, fake.detach()])).chunk(2)
            else:
                output_real, output_fake = self.netD(real), self.netD(fake.detach())
            errD = softplus(-output_real).mean() + softplus(output_fake).mean()
            errD.backward()
            self.optimizerD.step()
            logged = {"loss_d": errD, "D_x": output_real.mean(), "D_G_z1": output_fake.mean()}

        self.netG.zero_grad()
        output = self.netD(fake)
        errG = self.criterion(output, torch.ones_like(output))
        only = list(self.netG.parameters()) if "no wasted gradients" in self.changes else None
        errG.backward(inputs=only)
        self.optimizerG.step()
        logged |= {"loss_g": errG, "D_G_z2": output.mean()}
        self.log.append({k: v.detach() if "no .item()" in self.changes else v.item() for k, v in logged.items()})

    def separate_passes(self, images: Iterator[Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Update the discriminator by two passes with a backward pass each."""
        real = next(images)
        b = real.size(0)
        self.netD.zero_grad()
        output_real = self.netD(real)
        errD_real = self.criterion(output_real, torch.ones_like(output_real))
        errD_real.backward()
        fake = self.netG(torch.randn(b, self.latent_dim, device=real.device))
        output_fake = self.netD(fake.detach())
        errD_fake = self.criterion(output_fake, torch.zeros_like(output_fake))
        errD_fake.backward()
        self.optimizerD.step()
        return real, fake, {"loss_d": errD_real + errD_fake, "D_x": output_real.mean(), "D_G_z1": output_fake.mean()}


#: The changes, in the order in which they are made; the last rung is gan_course.train.fit itself.
RUNGS = ("data on the device", "no wasted gradients", "one pass", "fused Adam", "no .item()", "channels last")


def resident(train_set: data.DataSet, channels_last: bool) -> Iterator[Tensor]:
    """Yield batches of a set on the device for ever."""
    start = 0
    while True:
        x, _ = train_set.take(0, start, training.BATCH)
        yield x.contiguous(memory_format=torch.channels_last) if channels_last else x
        start += training.BATCH


def repeat(way: Ladder, images: Iterator[Tensor], steps: int) -> None:
    way.log.clear()
    for _ in range(steps):
        way.cross_entropy(images)


def measure_ladder(name: str, device: torch.device, rounds: int, scale: float) -> list[dict[str, Any]]:
    """Return a row for each rung: its step, and how many times faster it is than the rung before and the textbook."""
    case = training.CASES[name]
    steps = max(1, round(scale * case.steps))
    train_set = data.load(case.data, size=case.size, device=device)
    torch.manual_seed(0)
    model = case.make(**case.settings).to(device)
    rungs = [rung for rung in RUNGS if rung != "channels last" or speed.choose(model, device).channels_last]
    images = textbook.batches(training.textbook_set(case), training.BATCH, 0, device)
    works: dict[str, Callable[[], object]] = {}
    for count in range(len(rungs) + 1):
        changes = tuple(rungs[:count])
        source = resident(train_set, "channels last" in changes) if changes else images
        name_of = f"+ {changes[-1]}" if changes else "textbook, 0 workers"
        works[name_of] = partial(repeat, Ladder(model, changes), source, steps)
    works[training.OURS] = lambda: fit(model, train_set, steps, batch=training.BATCH, progress=False)

    seconds = common.alternate(works, rounds, device)
    images.close()
    rows, names = [], list(works)
    for before, rung in zip([names[0], *names], names, strict=False):
        row = {"model": name, "rung": rung} | common.spread("step_ms", [1e3 * t / steps for t in seconds[rung]])
        row |= common.spread("times_rung_before", common.ratios(seconds[before], seconds[rung]))
        rows.append(row | common.spread("times_textbook", common.ratios(seconds[names[0]], seconds[rung])))
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if "kind" in row:
            print(f"{row['model']:10} {row['path']:12} {row['kind']:24} {row['share']:7.1%} {row['ms']:8.3f} ms")
        else:
            cells = [common.cell(row, name) for name in ("step_ms", "times_rung_before", "times_textbook")]
            print(f"{row['model']:10} {row['rung']:24} {cells[0]:>30} ms {cells[1]:>22} {cells[2]:>22}")


def main(arguments: list[str] | None = None) -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many steps per round (default: %(default)s)")
    options = common.parse(parser, arguments)
    torch.set_num_threads(options.threads)
    tables: dict[str, list[dict[str, Any]]] = {"benchmark_profile": [], "benchmark_ladder": []}
    try:
        device = profiles.device(options.device)
        for name in MODELS:
            tables["benchmark_profile"] += measure_profile(name, device, options.rounds, options.scale)
            tables["benchmark_ladder"] += measure_ladder(name, device, options.rounds, options.scale)
    except (ValueError, DataError) as error:
        print(f"benchmark skipped: {error}")
        return 0
    what = {
        "benchmark_profile": "Where the time of a training step goes: self times by kind of operation, torch.profiler.",
        "benchmark_ladder": "The textbook's iteration turned into ours one change at a time.",
    }
    settings = {"batch": training.BATCH, "rounds": options.rounds, "scale": options.scale}
    settings["computed"] = {name: computed_by_us(name, device) for name in MODELS}
    for name, rows in tables.items():
        show(rows)
        file = common.file_name(name, device, options.threads)
        common.write(common.table(file, what[name], settings, rows, options.threads, device))
    return 0


if __name__ == "__main__":
    sys.exit(main())
