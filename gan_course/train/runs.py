"""The folder of a run: one process at a time writes it, its log agrees with its checkpoint, and signals are met."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout

from gan_course import parallel
from gan_course.errors import CheckpointError

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing a run's ``folder``, which is made if need be.

    The lock is the operating system's: it ends with the process, however that ends.

    Raises:
        CheckpointError: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise CheckpointError(f"another process is training in {folder}; wait for it, or choose another folder") from (
            error
        )
    try:
        yield
    finally:
        lock.release()


def rewrite_log(folder: Path, rows: list[dict[str, float]]) -> None:
    """Make the log hold ``rows`` and no more: those up to the checkpoint that a run goes on from."""
    beside = folder / f"{LOG}.part"
    with _named(folder / LOG):
        beside.write_text("".join(json.dumps(row) + "\n" for row in rows))
        os.replace(beside, folder / LOG)


def append_log(folder: Path, row: dict[str, float]) -> None:
    """Add a row to the log, as one line of JSON."""
    with _named(folder / LOG), open(folder / LOG, "a") as file:
        file.write(json.dumps(row) + "\n")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the file in errors of writing, which come without it (the disk is full)."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; what was saved before stays", str(path)) from error


class Signals:
    """What a run was asked by signals: nothing (0), or to stop (the number of the signal)."""

    asked = 0


@contextmanager
def signals(terminable: bool) -> Iterator[Signals]:
    """Turn Ctrl-C (SIGINT) and SIGTERM into requests that the loop meets between two steps, where the state is whole.

    A second Ctrl-C stops at once; a second SIGTERM changes nothing, since schedulers like to repeat it.

    Args:
        terminable: whether SIGTERM is a request too; if not, it ends the process as ever.
    """
    found = Signals()
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield found
        return

    def receive(number: int, frame: object) -> None:
        if found.asked and number == signal.SIGINT:
            raise KeyboardInterrupt("stopped within a step; the last checkpoint stays")
        found.asked = found.asked or number

    numbers = [signal.SIGINT, signal.SIGTERM] if terminable else [signal.SIGINT]
    previous = {number: signal.signal(number, receive) for number in numbers}
    try:
        yield found
    finally:
        for number, handler in previous.items():  # None: one that was not set by Python, and cannot be restored
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def stop(asked: int, step: int, saved: Path | None) -> NoReturn:
    """End a run that was asked to stop: by KeyboardInterrupt, or after SIGTERM by an exit with status 0."""
    message = f"stopped after step {step}" + ("" if saved is None else f"; saved in {saved}")
    if asked == signal.SIGTERM:
        if parallel.rank() == 0:
            print(message, flush=True)
        raise SystemExit(0)
    raise KeyboardInterrupt(message)
