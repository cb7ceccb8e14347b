#!/usr/bin/env python3
"""Compare our data path with the textbook's: the same training step, fed in two ways, in one run.

    ours        gan_course.train.fit: uint8 images on the device, gathered and scaled a batch at a time
    textbook    torchvision's DataLoader over MNIST with ToTensor and Normalize, with 0 and with 2 worker processes

Both train the MLP GAN of the course on MNIST by the same `GAN.step` from the same weights. The ways take turns, so
that whatever else the machine does meets all of them; a ratio compares two ways within one round. Writes
book/results/benchmark_data_path.json (benchmark_data_path_cuda.json on a GPU). Where MNIST or the device is missing it
says so and writes nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torchvision

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script's path holds its own folder only

from benchmarks import common, textbook  # noqa: E402
from gan_course import data  # noqa: E402
from gan_course.errors import DataError  # noqa: E402
from gan_course.models.gan import GAN, RECIPES  # noqa: E402
from gan_course.notebook import profiles  # noqa: E402
from gan_course.train import fit  # noqa: E402

NAME = "benchmark_data_path"
BATCH = 64
OURS = "gan_course"
WORKERS = (0, 2)


def measure(train_set: data.DataSet, rounds: int, steps: int) -> dict[str, Any]:
    """Time all ways in turn; return the settings and one row per way, medians with the least and greatest round."""
    device = train_set.x.device
    recipe = {name: value for name, value in RECIPES["mnist"].items() if name != "steps"}
    torch.manual_seed(0)
    first = GAN(train_set.shape, **recipe).to(device)
    pictures = torchvision.datasets.MNIST(common.mnist_root(), transform=textbook.transform(None, 1))
    loaders = {f"DataLoader, {n} workers": textbook.batches(pictures, BATCH, n, device) for n in WORKERS}
    models = {name: GAN(train_set.shape, **recipe).to(device) for name in (OURS, *loaders)}
    for model in models.values():
        model.load_state_dict(first.state_dict())

    def train_ours(turn: int) -> None:
        fit(models[OURS], train_set, steps, batch=BATCH, seed=turn, progress=False)

    def draw_ours(turn: int) -> None:
        for step in range(steps):
            train_set.take(turn, step * BATCH, BATCH)

    def train_textbook(name: str) -> None:
        for _ in range(steps):
            models[name].step(next(loaders[name])[None])

    def draw_textbook(name: str) -> None:
        for _ in range(steps):
            next(loaders[name])

    seconds: dict[str, dict[str, list[float]]] = {name: {"train": [], "draw": []} for name in models}
    for turn in range(rounds + 1):
        for name, times in seconds.items():
            train, draw, what = (train_ours, draw_ours, turn) if name == OURS else (train_textbook, draw_textbook, name)
            for kind, work in (("train", train), ("draw", draw)):
                elapsed = common.timed(lambda work=work, what=what: work(what), device)
                if turn > 0:  # the first round warms up caches, worker processes and the clock
                    times[kind].append(elapsed)
    for loader in loaders.values():
        loader.close()

    ours = seconds[OURS]["train"]
    rows = []
    for name, times in seconds.items():
        row = {"path": name}
        row |= common.spread("step_ms", [1e3 * t / steps for t in times["train"]])
        row |= common.spread("slower_than_ours", common.ratios(times["train"], ours))
        row |= common.spread("data_only_images_per_second", [steps * BATCH / t for t in times["draw"]])
        rows.append(row)
    settings = {"data": train_set.name, "batch": BATCH, "rounds": rounds, "steps": steps, **first.settings}
    return {"settings": settings, "rows": rows}


def show(table: dict[str, Any]) -> None:
    print(f"{table['device']}, {table['threads']} threads; median (least to greatest) of the rounds")
    print(f"{'':24} {'one step, ms':>24} {'times as long as ours':>26} {'data alone, images/s':>32}")
    for row in table["rows"]:
        shown = (("step_ms", 2), ("slower_than_ours", 2), ("data_only_images_per_second", 0))
        cells = [common.cell(row, name, digits) for name, digits in shown]
        print(f"{row['path']:24} {cells[0]:>24} {cells[1]:>26} {cells[2]:>32}")


def main(arguments: list[str] | None = None) -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="training steps per round (default: %(default)s)")
    options = common.parse(parser, arguments, "steps")
    try:
        device = profiles.device(options.device)
        train_set = data.load("mnist", device=device)
    except (ValueError, DataError) as error:
        print(f"benchmark skipped: {error}")
        return 0
    torch.set_num_threads(options.threads)
    measured = measure(train_set, options.rounds, options.steps)
    what = "One training step of the MLP GAN on MNIST, fed by our data path and by torchvision's DataLoader."
    name = common.file_name(NAME, device, options.threads)
    table = common.table(name, what, measured["settings"], measured["rows"], options.threads, device)
    show(table)
    common.write(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
