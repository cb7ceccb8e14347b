"""The folder of a run: one process at a time writes it, its log agrees with its checkpoint, snapshots lie beside."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from gan_course import parallel
from gan_course.errors import CheckpointError
from gan_course.train import checkpoint, log
from gan_course.train.log import History

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
LOCK = ".lock"
SNAPSHOTS = "samples"


class Run:
    """A run on its way: what it has logged, and what is saved of it.

    Args:
        model: what is trained.
        settings: all that must stay the same when the run goes on.
        folder: where it lives; None for memory only.
        state: what :func:`read` found in the folder, to go on from; None for a new run.
    """

    def __init__(self, model: nn.Module, settings: dict[str, Any], folder: Path | None, state: dict[str, Any] | None):
        self.model, self.settings, self.folder = model, settings, folder
        self.writes = folder is not None and parallel.rank() == 0
        self.step = self.saved_at = 0
        self.pending: log.Pending = []
        self.history = History(snapshots=Snapshots(folder / SNAPSHOTS) if self.writes else {})
        if state is not None:
            self._resume(state)
        if self.writes:  # what a process left that ended before it saved
            self.history.snapshots.cut(-1 if state is None else self.step)
            with written_beside(folder / LOG) as beside:
                beside.write_text("".join(json.dumps(row) + "\n" for row in self.history.rows))
        self.before, self.began = self.history.seconds, time.perf_counter()
        self.saved_when = self.began

    def _resume(self, state: dict[str, Any]) -> None:
        path, old = self.folder / CHECKPOINT, dict(state["run"])
        family, settings = checkpoint.identity(self.model).values()
        if state["family"] != family:
            families = f"family {state['family']!r}, the model is of {family!r}"
            raise CheckpointError(f"{path} is a run of {families}; choose another folder")
        if old.get("data_crc32") == self.settings["data_crc32"]:
            # The same data may go by another name, or lie at another place.
            old |= {name: self.settings[name] for name in ("data", "classes")}
        if differing := checkpoint.differences(old | state["settings"], self.settings | settings):
            mended = "keep them, or choose another folder"
            raise CheckpointError(f"{path} is a run with other settings: {differing}; {mended}")
        checkpoint.restore(self.model, state)
        self.step = self.saved_at = state["step"]
        self.pending = state["pending"]
        self.history.rows, self.history.probes, self.history.seconds = state["rows"], state["probes"], state["seconds"]
        for step, samples in state.get("snapshots", {}).items():  # checkpoints of version 0.1 held them
            self.history.snapshots[step] = samples.cpu()

    def seconds(self) -> float:
        """Return the time spent training, in all sessions together."""
        return self.before + time.perf_counter() - self.began

    def log(self) -> None:
        """Close the interval: add its row to the history and to the folder's log."""
        self.history.rows.append(log.row(self.model, self.step, self.pending, self.seconds(), self.last_saved()))
        self.pending.clear()
        if self.writes:
            with _named(self.folder / LOG), open(self.folder / LOG, "a") as file:
                file.write(json.dumps(self.history.rows[-1]) + "\n")

    def last_saved(self) -> int | None:
        """Return the step of the checkpoint, 0 if there is none yet, None if there will be none."""
        return None if self.folder is None else self.saved_at

    def is_due(self, seconds: float) -> bool:
        """Return whether the last checkpoint is that many seconds old."""
        return self.folder is not None and time.perf_counter() - self.saved_when >= seconds

    def save(self) -> None:
        """Write the checkpoint."""
        self.history.seconds = self.seconds()
        if self.writes:
            log.check_finite(self.model, self.step, self.pending, self.last_saved())
            state = {"step": self.step, "run": self.settings, "seconds": self.history.seconds, "pending": self.pending}
            state |= {"rows": self.history.rows, "probes": self.history.probes}
            checkpoint.save(self.folder / CHECKPOINT, {**checkpoint.capture(self.model), **state})
        self.saved_at, self.saved_when = self.step, time.perf_counter()


def read(folder: Path, device: torch.device, resume: bool = True) -> dict[str, Any] | None:
    """Return the checkpoint of the run in ``folder``, or None if there is none.

    Raises:
        CheckpointError: it is damaged or not of a run; or it is there and ``resume`` is False.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    if not resume:
        raise CheckpointError(f"{path} is there already; resume it, or choose another folder")
    state = checkpoint.load(path, device)
    wanted = "family settings model optimizers rng run step seconds rows pending probes".split()
    if missing := [key for key in wanted if key not in state]:
        raise CheckpointError(f"{path} is not the checkpoint of a run: it lacks {', '.join(missing)}")
    return state


class Snapshots(MutableMapping[int, Tensor]):
    """Samples by the step that they were made at, in files: however many there are, they fill no memory.

    They lie in ``folder`` as ``0000500.npz``, and images for the eye as ``0000500.png``.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def _file(self, step: int) -> Path:
        return self.folder / f"{step:07d}.npz"

    def __getitem__(self, step: int) -> Tensor:
        if step not in list(self):
            raise KeyError(step)
        with np.load(self._file(step)) as file:
            return torch.from_numpy(file["samples"])

    def __setitem__(self, step: int, samples: Tensor) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with written_beside(self._file(step)) as beside, open(beside, "wb") as file:
            np.savez_compressed(file, samples=samples.numpy())
        if samples.dtype == torch.uint8:
            from torchvision.utils import save_image  # takes a second to import

            save_image(samples.float() / 255, self._file(step).with_suffix(".png"), nrow=8)

    def __delitem__(self, step: int) -> None:
        self._file(step).unlink()
        self._file(step).with_suffix(".png").unlink(missing_ok=True)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(int(file.stem) for file in self.folder.glob("*.npz") if file.stem.isdigit()))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def cut(self, step: int) -> None:
        """Remove what was made after ``step``."""
        for later in [made for made in self if made > step]:
            del self[later]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing a run's ``folder``, which is made if need be.

    The lock is the operating system's: it ends with the process, however that ends.

    Raises:
        CheckpointError: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(folder / LOCK).acquire(timeout=0)
    except Timeout as error:
        busy = f"another process is training in {folder}; wait for it, or choose another folder"
        raise CheckpointError(busy) from error
    with held:
        yield


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which takes the place of ``path`` when all is written."""
    beside = path.with_name(f"{path.name}.part")
    with _named(path):
        yield beside
        os.replace(beside, path)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the file in errors of writing, which come without it (the disk is full)."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; what was saved before stays", str(path)) from error
