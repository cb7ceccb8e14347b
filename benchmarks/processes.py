#!/usr/bin/env python3
"""Compare one process with two that share every batch: images per second of DCGAN and of the MLP GAN.

    1 process, 1 thread      as the other benchmarks
    1 process, 2 threads     torch divides each operation
    2 processes, 1 thread    gan_course.parallel: each takes half of every batch, gradients are averaged (gloo)

All train the same model on the same batches of 64 embedded glyphs at 32x32 (the MLP: digits at 8x8). The ways take
turns; a ratio compares two within one round. Starting the processes is not counted. On one machine this shows what the
messages cost; several processes pay where each has a GPU. Writes book/results/benchmark_processes.json.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as multiprocessing

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # `python benchmarks/x.py` finds this folder only

from benchmarks import common  # noqa: E402
from gan_course import data, models, parallel  # noqa: E402
from gan_course.train import fit  # noqa: E402

NAME = "benchmark_processes"
BATCH, WARM_UP = 64, 5
WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread each": (2, 1)}
CASES = {
    "dcgan-32": {"family": "dcgan", "data": "glyphs", "size": 32, "steps": 30, "width": 32},
    "mlp": {"family": "gan", "data": "digits", "size": 8, "steps": 300, "width": 128},
}


def train(rank: int, size: int, threads: int, port: int, answer: Path, case: dict[str, Any]) -> None:
    """Train as process ``rank`` of ``size``; the first one writes the seconds to ``answer``."""
    torch.set_num_threads(threads)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(size)}
    with parallel.processes() as device:
        train_set = data.load(case["data"], size=case["size"], limit=1_000, device=device)
        model = models.build(case["family"], train_set, width=case["width"])
        options = {"batch": BATCH, "progress": False}
        fit(model, train_set, WARM_UP, **options)
        parallel.average(torch.zeros(1))  # all begin together
        began = time.perf_counter()
        fit(model, train_set, case["steps"], **options)
        if rank == 0:
            answer.write_text(str(time.perf_counter() - began))


def seconds(size: int, threads: int, case: dict[str, Any]) -> float:
    """Return the seconds that a training takes in ``size`` new processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "seconds"
        multiprocessing.spawn(train, (size, threads, port, answer, case), nprocs=size)
        return float(answer.read_text())


def main(arguments: list[str] | None = None) -> int:
    made = common.parser(__doc__, rounds=5)
    options = common.parse(made, arguments)
    rows = []
    for name, case in CASES.items():
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(options.rounds + 1):
            for way, (size, threads) in WAYS.items():
                took = seconds(size, threads, case)
                if turn > 0:
                    found[way].append(took)
        alone = found["1 process, 1 thread"]
        for way, took in found.items():
            row = {"model": name, "way": way}
            row |= common.spread("images_per_second", [case["steps"] * BATCH / s for s in took])
            row |= common.spread("times_one_process", common.ratios(alone, took))
            rows.append(row)
            cells = [common.cell(row, "images_per_second", 0), common.cell(row, "times_one_process")]
            print(f"{name:10} {way:28} {cells[0]:>28} {cells[1]}", flush=True)
    what = "Training in one process, in one with two threads, and in two processes that share every batch."
    settings = {"batch": BATCH, "rounds": options.rounds, "cases": CASES}
    common.write(common.table(NAME, what, settings, rows, threads=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
