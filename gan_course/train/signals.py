"""Ctrl-C and SIGTERM, met between two steps, where the state of a run is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

from gan_course import parallel


@contextmanager
def requests(terminable: bool) -> Iterator[SimpleNamespace]:
    """Turn Ctrl-C (SIGINT) and, if ``terminable``, SIGTERM into requests that the loop meets between two steps.

    A second Ctrl-C stops at once; a second SIGTERM changes nothing, since schedulers like to repeat it.
    """
    found = SimpleNamespace(asked=0)  # the number of the signal that came
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
