#!/usr/bin/env python3
"""Fill book/results: tables over many seeds that take too long for a notebook.

Each entry is one JSON file with its settings, seeds, device, versions, seconds, date and one row per seed. Rows are
written as they come, so an interrupted run goes on where it was. An entry is stale when its settings here are no
longer those in its file; then all of it is computed anew.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torchvision

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # `python tools/results.py` would find this folder only

from gan_course.errors import DataError, unknown  # noqa: E402
from gan_course.notebook import profiles  # noqa: E402
from tools import experiments  # noqa: E402
from tools.execute import version  # noqa: E402

FOLDER = ROOT / "book" / "results"
ENTRIES = experiments.collect()


def read(name: str) -> dict[str, Any] | None:
    """Return the stored table, or None."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def state(name: str) -> str:
    """Return ``ok``, or what is to be done with a table: ``missing``, ``stale``, ``incomplete``."""
    entry, stored = ENTRIES[name], read(name)
    if stored is None:
        return "missing"
    if stored["settings"] != json.loads(json.dumps(entry.settings)):  # JSON has no tuples
        return "stale"
    return "ok" if {row["seed"] for row in stored["rows"]} >= set(entry.seeds) else "incomplete"


def fill(name: str, device: torch.device) -> None:
    """Compute the rows of an entry that are missing, or all if it is stale."""
    entry = ENTRIES[name]
    if missing := [package for package in entry.needs if find_spec(package) is None]:
        raise DataError(f"it needs {', '.join(missing)}, which `make frameworks` installs in .venv-frameworks")
    made_by = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "versions": {
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            **{package: version(package) for package in entry.needs},
        },
    }
    stored = read(name) if state(name) == "incomplete" else None
    # Rows are only added to rows that were made in the same way.
    rows = stored["rows"] if stored and all(stored[key] == value for key, value in made_by.items()) else []
    missing = [seed for seed in entry.seeds if all(row["seed"] != seed for row in rows)]
    for seeds in [missing] if entry.together else [[seed] for seed in missing]:
        began = time.perf_counter()
        made = entry.run(seeds if entry.together else seeds[0], device, **entry.settings)
        seconds = round((time.perf_counter() - began) / len(seeds), 1)
        for seed, row in zip(seeds, made if entry.together else [made], strict=True):
            rows.append({"seed": seed, **row, "seconds": seconds})
        table = {
            "name": name,
            "what": entry.run.__doc__,
            "settings": entry.settings,
            **made_by,
            "date": date.today().isoformat(),
            "rows": sorted(rows, key=lambda row: row["seed"]),
        }
        beside = FOLDER / f"{name}.part"
        beside.write_text(json.dumps(table, indent=1) + "\n")
        os.replace(beside, FOLDER / f"{name}.json")
        print(name, rows[-1], flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["list", "run"], help="list the entries and their state, or fill them")
    parser.add_argument("names", nargs="*", help="entries (default: all that are not ok)")
    parser.add_argument("--full", action="store_true", help="the entries planned for a GPU instead of the others")
    parser.add_argument("--threads", type=int, default=1, help="threads on the CPU (default: %(default)s)")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in ENTRIES:
            print(unknown("entry", name, ENTRIES), file=sys.stderr)
            return 2
    if options.command == "list":
        for name, entry in ENTRIES.items():
            print(f"{name:36} {state(name):10} {len(entry.seeds)} seeds{', on a GPU' if entry.full else ''}")
        return 0
    torch.set_num_threads(options.threads)
    device = profiles.device() if options.full else torch.device("cpu")
    if options.full and device.type == "cpu":
        print("no GPU here: the full-scale entries stay as they are")
        return 0
    chosen = options.names or [n for n, e in ENTRIES.items() if e.full == options.full and state(n) != "ok"]
    status = 0
    for name in chosen:
        try:
            fill(name, device)
        except DataError as error:  # data that cannot be had are no fault of the experiment
            print(f"{name} skipped: {error}", file=sys.stderr)
        except (RuntimeError, ValueError, FloatingPointError) as error:  # the others still run
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
