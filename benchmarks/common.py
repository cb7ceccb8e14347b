"""What the benchmarks share: their options, how they take time, and the form of their tables."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
import torchvision

from gan_course import data
from gan_course.data import downloads

FOLDER = Path(__file__).resolve().parent.parent / "book" / "results"


def parser(description: str, rounds: int = 9) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--threads", type=int, default=1, help="threads for computing (default: %(default)s)")
    made.add_argument("--rounds", type=int, default=rounds, help="rounds after the first (default: %(default)s)")
    return made


def parse(made: argparse.ArgumentParser, arguments: list[str] | None, *counts: str) -> argparse.Namespace:
    """Parse, and exit with status 2 unless ``threads``, ``rounds`` and the other ``counts`` are at least 1."""
    options, counts = made.parse_args(arguments), ("threads", "rounds", *counts)
    if min(getattr(options, name) for name in counts) < 1:
        named = [f"--{name}" for name in counts]
        made.error(f"{', '.join(named[:-1])} and {named[-1]} must be at least 1")
    return options


def mnist_root() -> Path:
    """Return the folder that torchvision can read MNIST from; call it after :func:`gan_course.data.load`."""
    roots = [root for root in (downloads.data_root(), downloads.cache_root()) if root is not None]
    names = [name for split in data.SPLITS for name in downloads.IDX["mnist"].files(split)]
    return next(root for root in roots if all((root / "MNIST" / "raw" / name).is_file() for name in names))


# --- time -------------------------------------------------------------------------------------------


def timed(work: Callable[[], object], device: torch.device | None = None) -> float:
    """Return the seconds that ``work`` takes, the device's part included."""
    synchronize(device)
    began = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - began


def synchronize(device: torch.device | None) -> None:
    if device is not None and device.type != "cpu":
        getattr(torch, device.type).synchronize()


def alternate(
    works: dict[str, Callable[[], object]], rounds: int, device: torch.device | None = None
) -> dict[str, list[float]]:
    """Time all ``works`` in turn, ``rounds`` times after a first round that warms up; return seconds per round.

    They take turns, so that whatever else the machine does meets all of them, and each round starts with another one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for turn in range(rounds + 1):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            elapsed = timed(works[name], device)
            if turn > 0:
                seconds[name].append(elapsed)
    return seconds


# --- tables -----------------------------------------------------------------------------------------


def spread(name: str, values: list[float]) -> dict[str, float]:
    """Return the median under ``name``, the least under ``name_min`` and the greatest under ``name_max``."""
    found = {name: statistics.median(values), f"{name}_min": min(values), f"{name}_max": max(values)}
    return {key: float(f"{value:.4g}") for key, value in found.items()}


def ratios(of: list[float], to: list[float]) -> list[float]:
    """Return ``of`` over ``to`` within each round."""
    return [a / b for a, b in zip(of, to, strict=True)]


def cell(row: dict[str, Any], name: str, digits: int = 2) -> str:
    """Return median, least and greatest of a row in one text."""
    return f"{row[name]:,.{digits}f} ({row[name + '_min']:,.{digits}f} to {row[name + '_max']:,.{digits}f})"


def table(
    name: str,
    what: str,
    settings: dict[str, Any],
    rows: list[dict[str, Any]],
    threads: int,
    device: torch.device | None = None,
    **versions: str,
) -> dict[str, Any]:
    """Return a table in the form of book/results."""
    on_gpu = device is not None and device.type == "cuda"
    return {
        "name": name,
        "what": what,
        "settings": settings,
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu" if device is None else device.type,
        "processor": processor(),
        "threads": threads,
        "cpus": os.cpu_count(),
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__, **versions},
        "date": date.today().isoformat(),
        "rows": rows,
    }


def processor() -> str:
    """Return the name of the CPU, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def file_name(name: str, device: torch.device | None = None, threads: int = 1) -> str:
    """Return the name of a table: that of the benchmark, and where it ran if not on one thread of a CPU."""
    if device is not None and device.type != "cpu":
        return f"{name}_{device.type}"
    return name if threads == 1 else f"{name}_{threads}_threads"


def write(made: dict[str, Any]) -> None:
    """Write a table to book/results in one go, so that a file there is always whole."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    beside = FOLDER / f"{made['name']}.part"
    beside.write_text(json.dumps(made, indent=1) + "\n")
    os.replace(beside, FOLDER / f"{made['name']}.json")
    print(f"written to {FOLDER / made['name']}.json", flush=True)
