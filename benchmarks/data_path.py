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

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms

from gan_course import data, profiles
from gan_course.errors import DataError
from gan_course.models.gan import GAN, RECIPES
from gan_course.train import fit

FOLDER = Path(__file__).resolve().parent.parent / "book" / "results"
BATCH = 64
OURS = "gan_course"
WORKERS = (0, 2)


def textbook_batches(workers: int, device: torch.device) -> Iterator[Tensor]:
    """Yield ``(BATCH, 1, 28, 28)`` in [-1, 1] for ever, as most tutorials load MNIST; workers outlive the epochs."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    loader = DataLoader(
        torchvision.datasets.MNIST(mnist_root(), transform=transform),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    while True:
        for images, _ in loader:
            yield images.to(device, non_blocking=True)


def mnist_root() -> Path:
    """Return the folder that torchvision can read MNIST from; call it after :func:`gan_course.data.load`."""
    roots = [root for root in (data.data_root(), data.cache_root()) if root is not None]
    names = [name for split in data.SPLITS for name in data.IDX["mnist"].files(split)]
    return next(root for root in roots if all((root / "MNIST" / "raw" / name).is_file() for name in names))


def measure(train_set: data.DataSet, rounds: int, steps: int) -> dict[str, Any]:
    """Time all ways in turn; return the settings and one row per way, medians with the least and greatest round."""
    device = train_set.x.device
    recipe = {name: value for name, value in RECIPES["mnist"].items() if name != "steps"}
    torch.manual_seed(0)
    first = GAN(train_set.shape, **recipe).to(device)
    loaders = {f"DataLoader, {workers} workers": textbook_batches(workers, device) for workers in WORKERS}
    models = {name: GAN(train_set.shape, **recipe).to(device) for name in (OURS, *loaders)}
    for model in models.values():
        model.load_state_dict(first.state_dict())

    def train_ours(turn: int) -> None:
        fit(models[OURS], train_set, steps, batch=BATCH, seed=turn, progress=False)

    def draw_ours(turn: int) -> None:
        for step in range(steps):
            train_set.batch(data.order(len(train_set), turn, step * BATCH, BATCH))

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
                elapsed = timed(lambda work=work, what=what: work(what), device)
                if turn > 0:  # the first round warms up caches, worker processes and the clock
                    times[kind].append(elapsed)
    for loader in loaders.values():
        loader.close()

    ours = seconds[OURS]["train"]
    rows = []
    for name, times in seconds.items():
        row = {"path": name}
        row |= spread("step_ms", [1e3 * t / steps for t in times["train"]])
        row |= spread("slower_than_ours", [t / mine for t, mine in zip(times["train"], ours, strict=True)])
        row |= spread("data_only_images_per_second", [steps * BATCH / t for t in times["draw"]])
        rows.append(row)
    settings = {"data": train_set.name, "batch": BATCH, "rounds": rounds, "steps": steps, **first.settings}
    return {"settings": settings, "rows": rows}


def timed(work: Callable[[], None], device: torch.device) -> float:
    """Return the seconds that ``work`` takes, the device's part included."""
    synchronize(device)
    began = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - began


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def spread(name: str, values: list[float]) -> dict[str, float]:
    """Return the median under ``name``, the least under ``name_min`` and the greatest under ``name_max``."""
    found = {name: statistics.median(values), f"{name}_min": min(values), f"{name}_max": max(values)}
    return {key: float(f"{value:.4g}") for key, value in found.items()}


def show(table: dict[str, Any]) -> None:
    print(f"{table['device']}, {table['threads']} threads; median (least to greatest) of the rounds")
    print(f"{'':24} {'one step, ms':>24} {'times as long as ours':>26} {'data alone, images/s':>32}")
    for row in table["rows"]:
        cells = [
            f"{row[name]:,.{digits}f} ({row[name + '_min']:,.{digits}f} to {row[name + '_max']:,.{digits}f})"
            for name, digits in (("step_ms", 2), ("slower_than_ours", 2), ("data_only_images_per_second", 0))
        ]
        print(f"{row['path']:24} {cells[0]:>24} {cells[1]:>26} {cells[2]:>32}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads for torch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds after the first (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="training steps per round (default: %(default)s)")
    options = parser.parse_args(arguments)
    if min(options.threads, options.rounds, options.steps) < 1:
        parser.error("--threads, --rounds and --steps must be at least 1")
    try:
        device = profiles.device(options.device)
        train_set = data.load("mnist", device=device)
    except (ValueError, DataError) as error:
        print(f"benchmark skipped: {error}")
        return 0
    torch.set_num_threads(options.threads)
    measured = measure(train_set, options.rounds, options.steps)
    name = "benchmark_data_path" + ("" if device.type == "cpu" else f"_{device.type}")
    table = {
        "name": name,
        "what": "One training step of the MLP GAN on MNIST, fed by our data path and by torchvision's DataLoader.",
        "settings": measured["settings"],
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": options.threads,
        "cpus": os.cpu_count(),
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
        "date": date.today().isoformat(),
        "rows": measured["rows"],
    }
    show(table)
    FOLDER.mkdir(parents=True, exist_ok=True)
    beside = FOLDER / f"{name}.part"
    beside.write_text(json.dumps(table, indent=1) + "\n")
    os.replace(beside, FOLDER / f"{name}.json")
    print(f"written to {FOLDER / name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
