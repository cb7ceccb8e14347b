#!/usr/bin/env python3
"""Compare training with the course's loop and with the plain loop of tutorials, in one run.

    ours        gan_course.train.fit without any flag, the generator's average included; "computed" in a row says what
                it chose on this device. Where that is bfloat16, in float32 as well; on a CUDA device also as one
                recorded graph
    textbook    benchmarks/textbook.py, its DataLoader with 0 and with 2 worker processes; always float32

The model "popular" has the networks of a popular program and a step as a reader would write it (benchmarks/popular.py);
the textbook's iteration is that program's loop.

Networks, initial weights, batch size, device, threads, losses, and the numbers of discriminator and generator updates
are the same. The ways take turns; a ratio compares two ways within one round, and is taken to the faster of the two
textbook ways. Images per second are real images that the discriminator has seen. Worker processes compute beside the
threads. Rows with bf16 differ from the others in their rounding.

Writes book/results/benchmark_training.json (benchmark_training_2_threads.json with two threads,
benchmark_training_cuda.json on a GPU) after each model; models that are not run keep their rows. Where a data set or
the device is missing it says so and writes nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script's path holds its own folder only

from benchmarks import common, popular, textbook  # noqa: E402
from gan_course import data  # noqa: E402
from gan_course.data import downloads  # noqa: E402
from gan_course.errors import DataError  # noqa: E402
from gan_course.models import common as models  # noqa: E402
from gan_course.models import dcgan, gan, sngan, wgan  # noqa: E402
from gan_course.notebook import profiles  # noqa: E402
from gan_course.train import fit, speed  # noqa: E402

NAME = "benchmark_training"
BATCH = 64
OURS = "gan_course"
WORKERS = (0, 2)


@dataclass(frozen=True)
class Case:
    """A model to be trained in both ways.

    Attributes:
        make: its class.
        settings: what the class is called with.
        loop: the method of :class:`benchmarks.textbook.Textbook` that trains it.
        steps: training steps per round on a CPU; one to three seconds.
        goal: the ratio that is aimed at in float32, None where there is no goal.
        goal_bf16: that in bfloat16.
        data: name of the data set.
        resized: whether its images are brought to the model's size.
    """

    make: Callable[..., nn.Module]
    settings: dict[str, Any]
    loop: str
    steps: int
    goal: float | None
    goal_bf16: float | None = None
    data: str = "mnist"
    resized: bool = True

    @property
    def size(self) -> int | None:
        return self.settings["shape"][-1] if self.resized else None


def recipe(settings: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return a recipe's settings of the model, without those of the run."""
    return {key: value for key, value in settings.items() if key not in ("steps", "batch", "size")} | changed


DIGITS, PADDED, COLOUR, LARGE = (1, 28, 28), (1, 32, 32), (3, 32, 32), (1, 64, 64)
MLP, CONV = recipe(gan.RECIPES["mnist"], shape=DIGITS), recipe(dcgan.RECIPES["mnist"], shape=PADDED)
GP, SN = recipe(wgan.RECIPES["wgan-gp"]["mnist"]), recipe(sngan.RECIPES["mnist"], shape=PADDED)
CASES = {
    "mlp": Case(gan.GAN, {"shape": DIGITS}, "cross_entropy", 300, 2.0, resized=False),
    "mlp-mnist": Case(gan.GAN, MLP, "cross_entropy", 150, None, resized=False),
    "dcgan-32": Case(dcgan.DCGAN, CONV, "cross_entropy", 30, 1.3, 3.0),
    "dcgan-32-wide": Case(dcgan.DCGAN, CONV | {"width": 64}, "cross_entropy", 10, None),
    "dcgan-32-cifar10": Case(dcgan.DCGAN, CONV | {"shape": COLOUR}, "cross_entropy", 30, None, data="cifar10-jpeg"),
    "wgan-gp-mlp": Case(wgan.WGANGP, GP | {"shape": DIGITS}, "wasserstein", 150, 1.3, resized=False),
    "wgan-gp": Case(wgan.WGANGP, GP | {"shape": PADDED, "networks": "conv", "width": 32}, "wasserstein", 12, 1.3, 3.0),
    "sngan-cnn": Case(sngan.SNGAN, SN, "hinge", 30, 1.3, 3.0),
    "sngan-resnet": Case(sngan.SNGAN, SN | {"networks": "resnet"}, "hinge", 15, None),
    "popular": Case(popular.Popular, {"shape": LARGE}, "cross_entropy", 2, None),
}


def our_ways(model: nn.Module, device: torch.device) -> dict[str, tuple[dict[str, Any], speed.Choice]]:
    """Return the options of ``fit`` for each of our ways, and what they come to for ``model`` on ``device``."""
    options: dict[str, dict[str, Any]] = {OURS: {}}
    if speed.choose(model, device).bf16:
        options[f"{OURS}, float32"] = {"precision": "float32"}
    found = {name: (given, speed.choose(model, device, **given)) for name, given in options.items()}
    if device.type == "cuda":
        found[f"{OURS}, graph"] = {"graph": True}, found[OURS][1]
    return found


def textbook_model(model: nn.Module) -> textbook.Textbook:
    """Return the textbook's way to train copies of the networks of ``model``, with its settings."""
    discriminator = copy.deepcopy(model.critic if hasattr(model, "critic") else model.discriminator)
    if model.settings.get("spectral"):
        plain = type(model)(**model.settings | {"spectral": False}).discriminator.to(models.device_of(model))
        discriminator = textbook.torch_spectral_norms(plain, model.discriminator)
    given = {name: model.settings[name] for name in ("latent_dim", "lr_g", "lr_d", "beta1", "beta2")}
    given |= {name: model.settings[name] for name in ("n_critic", "penalty") if name in model.settings}
    return textbook.Textbook(copy.deepcopy(model.generator), discriminator, **given)


def textbook_set(case: Case) -> Dataset:
    """Return the data set as torchvision reads it, PIL images; call it after :func:`gan_course.data.load`."""
    transform = textbook.transform(case.size, case.settings["shape"][0])
    if case.data == "mnist":
        return torchvision.datasets.MNIST(common.mnist_root(), transform=transform)
    return torchvision.datasets.ImageFolder(downloads.data_root() / case.data / "train", transform=transform)


class Utilisation:
    """How busy the GPU is while ways run: the share of time in which a kernel ran, as nvidia-smi samples it.

    On other devices, and where nvidia-smi cannot be started, there are no samples.
    """

    def __init__(self, device: torch.device):
        self.samples: list[tuple[float, float]] = []  # time, percent
        self.process = None
        if device.type == "cuda":
            command = ["nvidia-smi", f"--id=GPU-{torch.cuda.get_device_properties(device).uuid}", "--loop-ms=100"]
            command += ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
            try:
                self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            except OSError as error:
                print(f"no utilisation: nvidia-smi cannot be started ({error.strerror})")

    def _read(self) -> None:
        for line in self.process.stdout:
            if line.strip().isdigit():
                self.samples.append((time.perf_counter(), float(line)))

    def between(self, intervals: list[tuple[float, float]]) -> float | None:
        """Return the mean over samples in the intervals, None if there are none."""
        inside = [value for at, value in self.samples if any(a <= at <= b for a, b in intervals)]
        return round(statistics.mean(inside), 1) if inside else None

    def __enter__(self) -> Utilisation:
        if self.process is not None:
            self.thread = threading.Thread(target=self._read, daemon=True)
            self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.thread.join()


def measure(case: Case, device: torch.device, rounds: int, steps: int) -> list[dict[str, Any]]:
    """Train in all ways in turn; return one row per way, medians with the least and greatest round."""
    train_set = data.load(case.data, size=case.size, device=device)
    pictures = textbook_set(case)
    torch.manual_seed(0)
    first = case.make(**case.settings).to(device)

    def ours(**options: Any) -> Callable[[], object]:
        model = case.make(**case.settings).to(device)
        model.load_state_dict(first.state_dict())
        return lambda: fit(model, train_set, steps, batch=BATCH, progress=False, **options)

    def theirs(images: Iterator[Tensor]) -> Callable[[], None]:
        model = textbook_model(first)
        iteration = getattr(model, case.loop)

        def train() -> None:
            model.log.clear()
            for _ in range(steps):
                iteration(images)

        return train

    loaders = {f"textbook, {n} workers": textbook.batches(pictures, BATCH, n, device) for n in WORKERS}
    chosen = our_ways(first, device)
    ways = {name: ours(**options) for name, (options, _) in chosen.items()}
    ways |= {name: theirs(images) for name, images in loaders.items()}

    intervals: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}

    def noted(name: str, work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            began = time.perf_counter()
            work()
            common.synchronize(device)
            intervals[name].append((began, time.perf_counter()))

        return run

    with Utilisation(device) as utilisation:
        seconds = common.alternate({name: noted(name, work) for name, work in ways.items()}, rounds, device)
    for images in loaders.values():
        images.close()

    fastest = min(loaders, key=lambda name: statistics.median(seconds[name]))
    seen = steps * first.n_critic * BATCH
    rows = []
    for name, times in seconds.items():
        row = {"path": name, "computed": "float32", "steps": steps, "goal": None}
        if name in chosen:
            fast = chosen[name][1]
            row |= {"computed": str(fast), "goal": case.goal_bf16 if fast.bf16 else case.goal}
        row |= common.spread("step_ms", [1e3 * t / steps for t in times])
        row |= common.spread("images_per_second", [seen / t for t in times])
        row |= common.spread("speed_up", common.ratios(seconds[fastest], times))
        row["utilisation"] = utilisation.between(intervals[name][1:])
        rows.append(row)
    return rows


def stored_rows(made: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table of this name if it was made in the same way, else none."""
    path = common.FOLDER / f"{made['name']}.json"
    if not path.exists():
        return []
    before, same = json.loads(path.read_text()), ("settings", "device", "processor", "versions")
    return before["rows"] if all(before.get(key) == made[key] for key in same) else []


def show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        busy = "" if row["utilisation"] is None else f"{row['utilisation']:6.0f} % busy"
        print(
            f"{row['model']:18} {row['path']:20} {row['computed']:24} {common.cell(row, 'step_ms'):>30} ms"
            f" {common.cell(row, 'images_per_second', 0):>28} images/s {common.cell(row, 'speed_up'):>22} times{busy}",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES), help="default: all")
    scale = "times as many steps per round (default: 1, on a CUDA device 20)"
    parser.add_argument("--scale", type=float, help=scale)
    options: argparse.Namespace = common.parse(parser, arguments)
    try:
        device = profiles.device(options.device)
    except ValueError as error:
        print(f"benchmark skipped: {error}")
        return 0
    torch.set_num_threads(options.threads)
    scale = options.scale or (20 if device.type == "cuda" else 1)
    what = "Training with gan_course.train.fit beside the plain loop of tutorials; speed_up is to its faster way."
    settings = {"batch": BATCH, "rounds": options.rounds, "scale": scale}
    settings["models"] = {n: {"data": c.data, "size": c.size, **c.settings} for n, c in CASES.items()}
    settings = json.loads(json.dumps(settings))
    made = common.table(common.file_name(NAME, device, options.threads), what, settings, [], options.threads, device)
    by_model = {name: [row for row in stored_rows(made) if row["model"] == name] for name in CASES}
    for name in options.models:
        try:
            rows = measure(CASES[name], device, options.rounds, max(1, round(scale * CASES[name].steps)))
        except (DataError, ValueError) as error:
            print(f"{name} skipped: {error}")
            continue
        by_model[name] = [{"model": name, **row} for row in rows]
        show(by_model[name])
        made["rows"] = [row for rows in by_model.values() for row in rows]
        common.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
