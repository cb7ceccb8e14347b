"""The programs of the chapter "Where GANs live today": where its experiments take them from.

Each program stands once, in visible cells of the chapter, so that what is measured is what readers see. The cells of a
part have ids that begin with its name and a hyphen, and the tag ``program``; they define functions and networks, and
run nothing. The rows of the tables are in the modules ``applications_*``.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from tools.experiments import Entry

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "beyond" / "applications.ipynb"
#: What the chapter's first cell imports, as far as its programs need it.
IMPORTS = """
import math
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from gan_course import data, losses, metrics
from gan_course.models.common import update
from gan_course.theory import toy
"""


@functools.cache
def programs() -> dict[str, str]:
    """Return for each part of the chapter its program: the sources of its cells, in order."""
    found: dict[str, list[str]] = {}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if "program" in cell.metadata.get("tags", []):
            found.setdefault(cell.id.split("-")[0], []).append(cell.source)
    return {part: "\n\n\n".join(sources) for part, sources in found.items()}


def source(part: str) -> str:
    """Return the program of a part.

    Raises:
        ValueError: if the chapter has no program of this name.
    """
    if part not in programs():
        raise ValueError(f"part: the chapter has no program {part!r}, expected one of {', '.join(sorted(programs()))}")
    return programs()[part]


def version(part: str) -> str:
    """Return what tells whether the program of a part has changed."""
    return hashlib.sha256(source(part).encode()).hexdigest()[:12]


def load(part: str, program: str) -> dict[str, Any]:
    """Run the program of a part in an empty namespace and return the names that it defines.

    Raises:
        ValueError: if ``program`` is not the :func:`version` of the part.
    """
    if program != version(part):
        raise ValueError(f"program must be {version(part)!r}, the version of {part!r}, got {program!r}")
    names: dict[str, Any] = {"__name__": part}
    for name, code in (("imports", IMPORTS), (part, source(part))):
        exec(compile(code, f"<{name}>", "exec"), names)
    return names


def entry(run: Callable[..., Any], part: str, seeds: range = range(10), **settings: Any) -> Entry:
    """Return a table of rows ``run(seed, device, program=..., **settings)``, where ``run`` takes its functions from
    :func:`load`. The version of the program is one of the settings, so that the table is stale when it changes."""
    return Entry(run, {"program": version(part), **settings}, seeds)


#: The tables stand in the modules with the rows.
ENTRIES: dict[str, Entry] = {}
