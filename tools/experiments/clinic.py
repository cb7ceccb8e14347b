"""The broken programs of the debugging clinic, beside their repairs: where experiments take them from.

Each program stands once, in a cell of the clinic's notebook; what is measured is what readers see. The rows of the
tables are in :mod:`.clinic_models` and :mod:`.clinic_training`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import nbformat

from tools.experiments import Entry

FOLDER = Path(__file__).resolve().parents[2] / "book" / "appendix"
SETUP = "case-setup"  # the cell with the imports that all cases share
Cell = Literal["broken", "solution"]
Better = Literal["lower", "higher"]


@functools.cache
def cells() -> dict[str, str]:
    """Return the sources of the cells of the clinic's notebooks by their ids."""
    found: dict[str, str] = {}
    for path in sorted(FOLDER.glob("debugging_clinic*.ipynb")):
        found |= {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}
    return found


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
    names: dict[str, Any] = {"__name__": "clinic"}
    for name, code in ((SETUP, cells()[SETUP]), (f"case-{case}-{cell}", source(case, cell))):
        exec(compile(code, f"<{name}>", "exec"), names)
    return names


def version(case: str) -> str:
    """Return what tells whether one of a case's two programs has changed."""
    both = source(case, "broken") + "\0" + source(case, "solution")
    return hashlib.sha256(both.encode()).hexdigest()[:12]


def both(case: str, programs: str) -> dict[Cell, dict[str, Any]]:
    """Return the names of the broken and of the repaired program.

    Raises:
        ValueError: if ``programs`` is not their :func:`version`.
    """
    if programs != version(case):
        raise ValueError(f"programs must be {version(case)!r}, the version of case {case}, got {programs!r}")
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
