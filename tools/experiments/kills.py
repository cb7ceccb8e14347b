"""Runs that are killed and go on: do they end as if nothing had happened?"""

from __future__ import annotations

import functools
import json
import multiprocessing
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from gan_course import models
from gan_course.cli import load_data
from gan_course.train import checkpoint
from gan_course.train.runs import CHECKPOINT, LOG
from tools.experiments import Entry, fit

# A server that has torch loaded and starts processes quickly; each is a process of its own.
_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload([__name__, "torchvision.utils"])


def killed(seed: int, device: torch.device, *, families: list[str], steps: int) -> dict[str, Any]:
    """Kill one run of each family by SIGKILL at a random moment, let it go on, compare all bits with a whole run."""
    moments = random.Random(seed)
    at_kill, equal = {}, {}
    for name in families:
        expected, seconds = _whole(name, steps, str(device))
        with tempfile.TemporaryDirectory() as folder:
            while not _alive_until(moments.uniform(0, seconds), name, steps, str(device), Path(folder) / "run"):
                pass  # it was over before: another moment
            saved = Path(folder) / "run" / CHECKPOINT
            at_kill[name] = checkpoint.load(saved)["step"] if saved.exists() else 0
            _train_in_process(name, steps, str(device), Path(folder) / "run")
            equal[name] = same(expected, contents(Path(folder) / "run"))
    return {"bit_equal": sum(equal.values()), "of": len(equal), "differing": [n for n in equal if not equal[n]]} | {
        "step_of_checkpoint_at_kill": at_kill
    }


def _alive_until(moment: float, name: str, steps: int, device: str, out: Path) -> bool:
    """Kill a run ``moment`` seconds after training has begun; return whether it was still going on."""
    process = _forked.Process(target=_train, args=(name, steps, device, out))
    process.start()
    while not (out / LOG).exists() and process.is_alive():
        time.sleep(0.001)
    process.join(moment)
    alive = process.is_alive()
    process.kill()
    process.join()
    if not alive:
        for path in sorted(out.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    return alive


@functools.cache
def _whole(name: str, steps: int, device: str) -> tuple[dict[str, Any], float]:
    """Return what an uninterrupted run leaves, and the seconds that its training takes."""
    with tempfile.TemporaryDirectory() as folder:
        _train_in_process(name, steps, device, Path(folder) / "run")
        seconds = checkpoint.load(Path(folder) / "run" / CHECKPOINT)["seconds"]
        return contents(Path(folder) / "run"), seconds


def _train_in_process(name: str, steps: int, device: str, out: Path) -> None:
    process = _forked.Process(target=_train, args=(name, steps, device, out))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the run of {name} ended with {process.exitcode}")


def _train(name: str, steps: int, device: str, out: Path) -> None:
    """Train a family by its first recipe; rows, snapshots and checkpoints come often."""
    torch.set_num_threads(1)
    data_name = next(iter(models.recipes(name)))
    recipe = models.recipe(name, data_name)
    batch, size = recipe.pop("batch", 64), recipe.pop("size", None)
    for key in ("steps", "decay_from"):
        recipe.pop(key, None)
    train_set = load_data(models.family(name), data_name, "train", size, None, torch.device(device))
    torch.manual_seed(0)
    model = models.build(name, train_set, **recipe).to(device)
    fit(
        model, train_set, steps, batch=batch, out=out, log_every=2, snapshot_every=10, snapshot_size=16,
        checkpoint_seconds=0, progress=False,
    )  # fmt: skip


def contents(out: Path) -> dict[str, Any]:
    """Return all that a run leaves but the seconds it took."""
    state = checkpoint.load(out / CHECKPOINT)
    rows = [json.loads(line) for line in (out / LOG).read_text().splitlines()]
    return {
        "tensors": dict(checkpoint.tensors(state)),
        "rows": [{key: value for key, value in row.items() if key != "seconds"} for row in rows],
        "samples": {path.name: path.read_bytes() for path in (out / "samples").iterdir()},
    }


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    if a["tensors"].keys() != b["tensors"].keys() or (a["rows"], a["samples"]) != (b["rows"], b["samples"]):
        return False
    return all(torch.equal(tensor, b["tensors"][name]) for name, tensor in a["tensors"].items())


# Families that came later have a table of their own, so that a new one does not ask for all the others again.
_LATER = ("biggan", "r3gan", "stargan", "stylegan")

ENTRIES = {
    f"kill_resume{name}": Entry(
        killed, {"families": [f for f in models.FAMILIES if (f in _LATER) == later], "steps": 40}, range(seeds)
    )
    for name, later, seeds in (("", False, 20), ("_later", True, 5))
}
