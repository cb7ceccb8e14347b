"""Ctrl-C and SIGTERM, met between two steps, where the state of a run is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from gan_course import parallel


class Signals:
    """What a run was asked by signals: nothing (0), or to stop (the number of the signal)."""

    asked = 0


@contextmanager
def requests(terminable: bool) -> Iterator[Signals]:
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
