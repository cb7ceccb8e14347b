"""Experiments that are repeated over seeds: what a row of a table is, and which tables there are.

Each module here has functions that train and measure once, and a dict ``ENTRIES`` from the name of a table to an
:class:`Entry`; ``tools/results.py`` collects and runs them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from gan_course.train import loop

#: How tables train: what `fit` finds fast differs between machines, and with it would the numbers. An entry that asks
#: for something else says so in its settings.
fit = functools.partial(loop.fit, precision="float32", channels_last=False)


@dataclass
class Entry:
    """One table: ``run(seed, device, **settings)`` gives a row; with ``together``, ``run`` takes all seeds and gives
    their rows, for what is faster side by side; ``needs`` names packages beyond requirements.txt."""

    run: Callable[..., Any]
    settings: dict[str, Any]
    seeds: range
    full: bool = False  # planned for a GPU
    together: bool = False
    needs: tuple[str, ...] = ()


def defaults(model: type[nn.Module], *without: str) -> dict[str, Any]:
    """Return a model's own defaults but for ``shape`` and ``without``: written into a table's settings, they make it
    stale when one of them changes.

    ``ema_ramp`` is left out: it is younger than most tables, and off in all that do not name it.
    """
    parameters = inspect.signature(model).parameters
    return {name: p.default for name, p in parameters.items() if name not in ("self", "shape", "ema_ramp", *without)}


def collect() -> dict[str, Entry]:
    """Return the entries of all modules of this package."""
    found: dict[str, Entry] = {}
    for module in pkgutil.iter_modules(__path__):
        entries = importlib.import_module(f"{__name__}.{module.name}").ENTRIES
        if again := found.keys() & entries:
            raise ValueError(f"tables defined twice: {', '.join(sorted(again))}")
        found |= entries
    return found
