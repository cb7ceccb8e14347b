"""Programs that stand in the visible cells of notebooks: experiments run them, so that what is measured is what readers
see. The version of a program is one of the settings of its tables, so that they are stale when it changes."""

from __future__ import annotations

import functools
import hashlib
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from tools.experiments import Entry

BOOK = Path(__file__).resolve().parents[2] / "book"


@functools.cache
def cells(pattern: str) -> dict[str, NotebookNode]:
    """Return the cells of the notebooks under ``book/`` whose path matches ``pattern``, by their ids, in order."""
    return {cell.id: cell for path in sorted(BOOK.glob(pattern)) for cell in nbformat.read(path, as_version=4).cells}


def version(source: str) -> str:
    """Return what tells whether a program has changed."""
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def run(sources: dict[str, str], **names: Any) -> dict[str, Any]:
    """Run sources, one after the other, where ``names`` are defined and nothing else; return all names that are defined
    then. The keys of ``sources`` are what error messages call them."""
    names = {"__name__": "program", **names}
    for name, source in sources.items():
        linecache.cache[f"<{name}>"] = len(source), None, source.splitlines(keepends=True), f"<{name}>"
        exec(compile(source, f"<{name}>", "exec"), names)
    return names


@dataclass(frozen=True)
class Programs:
    """The programs of one chapter, by its parts. The cells of a part have ids that begin with its name and a hyphen,
    and the tag ``program``; they define functions and networks, and run nothing.

    Args:
        notebook: the chapter, as ``"beyond/applications"``.
        imports: what the chapter's first cell imports, as far as the programs need it.
    """

    notebook: str
    imports: str

    def sources(self) -> dict[str, str]:
        """Return for each part the sources of its cells, in order, as one program."""
        found: dict[str, list[str]] = {}
        for cell in cells(f"{self.notebook}.ipynb").values():
            if "program" in cell.metadata.get("tags", []):
                found.setdefault(cell.id.split("-")[0], []).append(cell.source)
        return {part: "\n\n\n".join(sources) for part, sources in found.items()}

    def source(self, part: str) -> str:
        """Return the program of a part.

        Raises:
            ValueError: if the chapter has no program of this name.
        """
        sources = self.sources()
        if part not in sources:
            raise ValueError(f"part: the chapter has no program {part!r}, expected one of {', '.join(sorted(sources))}")
        return sources[part]

    def version(self, part: str) -> str:
        """Return what tells whether the program of a part has changed."""
        return version(self.source(part))

    def load(self, part: str, program: str, **names: Any) -> dict[str, Any]:
        """Run the program of a part where the imports and ``names`` are defined; return all names defined then.

        Raises:
            ValueError: if ``program`` is not the :meth:`version` of the part.
        """
        if program != self.version(part):
            raise ValueError(f"program must be {self.version(part)!r}, the version of {part!r}, got {program!r}")
        return run({"imports": self.imports, part: self.source(part)}, **names)

    def entry(self, run: Callable[..., Any], part: str, seeds: range = range(10), **settings: Any) -> Entry:
        """Return a table of rows ``run(seed, device, program=..., **settings)``, where ``run`` takes its functions from
        :meth:`load`."""
        return Entry(run, {"program": self.version(part), **settings}, seeds)


#: The tables stand in the modules with the rows.
ENTRIES: dict[str, Entry] = {}
