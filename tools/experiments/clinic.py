"""The broken programs of the debugging clinic, beside their repairs: where experiments take them from.

Each program stands once, in a cell of the clinic's notebook; what is measured is what readers see. The rows of the
tables are in :mod:`.clinic_models` and :mod:`.clinic_training`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from tools.experiments import Entry, programs

SETUP = "case-setup"  # the cell with the imports that all cases share
Cell = Literal["broken", "solution"]
Better = Literal["lower", "higher"]


def cells() -> dict[str, str]:
    """Return the sources of the cells of the clinic's notebooks by their ids."""
    return {name: cell.source for name, cell in programs.cells("appendix/debugging_clinic*.ipynb").items()}


def source(case: str, cell: Cell) -> str:
    """Return the source of a case's program.

    Args:
        case: two digits, ``"07"``.
        cell: ``"broken"`` as it was met, or ``"solution"``, repaired.

    Raises:
        ValueError: if the notebook has no such cell.
    """
    name = f"case-{case}-{cell}"
    if name not in cells():
        known = sorted(key for key in cells() if key.endswith(f"-{cell}"))
        raise ValueError(f"case and cell: the clinic has no {name!r}, expected one of {', '.join(known)}")
    return cells()[name]


def program(case: str, cell: Cell) -> dict[str, Any]:
    """Run the shared imports and a case's program in an empty namespace; return the names that are defined then."""
    return programs.run({SETUP: cells()[SETUP], f"case-{case}-{cell}": source(case, cell)})


def version(case: str) -> str:
    """Return what tells whether one of a case's two programs has changed."""
    return programs.version(source(case, "broken") + "\0" + source(case, "solution"))


def both(case: str, versions: str) -> dict[Cell, dict[str, Any]]:
    """Return the names of the broken and of the repaired program.

    Raises:
        ValueError: if ``versions`` is not their :func:`version`.
    """
    if versions != version(case):
        raise ValueError(f"programs must be {version(case)!r}, the version of case {case}, got {versions!r}")
    return {cell: program(case, cell) for cell in ("broken", "solution")}


def entry(
    run: Callable[..., Any], case: str, better: Better, seeds: range = range(10), **settings: Any
) -> Entry:  # fmt: skip
    """Return a case's table: one row per seed with the measure of both programs, as ``broken`` and ``solution``.

    The version of the programs is one of the settings, so that a table is stale when one of them changes.

    Args:
        run: ``run(seed, device, *, case, programs, better, **settings)`` gives a row; it takes its programs from
            :func:`both`. Where a floor exists, the row has it as ``floor``.
        case: two digits.
        better: which measure is better, the lower or the higher one.
    """
    return Entry(run, {"case": case, "programs": version(case), "better": better, **settings}, seeds)


#: The tables stand in the two modules with the rows.
ENTRIES: dict[str, Entry] = {}
