"""What every chapter begins with: where am I, where do long runs go, which tables are at hand; and how it shows one."""

from __future__ import annotations

import difflib
import html
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import gan_course
from gan_course import __version__
from gan_course.notebook import profiles

COLAB_DRIVE = Path("/content/drive/MyDrive/gan-course")


def start(chapter: str, *, drive: bool = False) -> Path:
    """Report device and profile; return the folder for this chapter's runs (not created here).

    From here on a notebook's figures are drawn as SVG, which stays sharp on every screen; what is ``rasterized`` in
    them has 160 dots per inch. In Colab it warns that a disconnect loses ``/content`` and offers a folder in Google
    Drive instead.

    Args:
        chapter: name of the chapter, used as the folder's name.
        drive: in Colab, mount Google Drive and return a folder there; elsewhere it must stay False.

    Raises:
        ValueError: if ``drive`` is asked for outside Colab.
    """
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:  # a program is spared these
        import matplotlib.pyplot as plt
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None})
        plt.rcParams.update({"figure.dpi": 160, "svg.hashsalt": "gan_course"})  # the same figure, the same file
    device, profile = profiles.device(), profiles.current()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"gan_course {__version__}, torch {torch.__version__}, device {name}, profile {profile}")
    if "google.colab" not in sys.modules:
        if drive:
            raise ValueError("drive=True works in Colab only; elsewhere runs are kept in ./runs")
        return Path("runs") / chapter
    if drive:
        from google.colab import drive as google_drive

        google_drive.mount("/content/drive")
        return COLAB_DRIVE / chapter
    print(
        "A disconnect loses everything under /content. To keep long runs, use\n"
        f"    out = notebook.start({chapter!r}, drive=True)   # a folder in your Google Drive"
    )
    return Path("/content/runs") / chapter


def stored(name: str, *, planned: bool = False) -> dict[str, Any] | None:
    """Return the table ``book/results/{name}.json``, which the installed package has too.

    Args:
        name: the file's name without its ending.
        planned: the table is made where there is a GPU: it need not be there yet.

    Returns:
        The table: its ``settings``, and in ``rows`` one dict per seed. None for a planned one that is not there.

    Raises:
        ValueError: if there is no such table; names the nearest ones.
    """
    package = Path(gan_course.__file__).parent
    folder = package / "results"
    if not folder.exists():  # the working tree, from which nothing is installed
        folder = package.parent / "book" / "results"
    if (path := folder / f"{name}.json").exists():
        return json.loads(path.read_text(encoding="utf-8"))
    if planned:
        return None
    near = difflib.get_close_matches(name, [path.stem for path in folder.glob("*.json")], n=3, cutoff=0)
    raise ValueError(f"unknown table {name!r}; the nearest ones are {', '.join(near)}")


class Table:
    """A table that a notebook shows as HTML, and a terminal as text."""

    def __init__(self, caption: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        if not rows or any(len(row) != len(head) for row in rows):
            counts = [len(row) for row in rows]
            raise ValueError(f"rows must be at least one, each with {len(head)} cells as head has, got {counts}")
        self.caption, self.head, self.rows = caption, [*head], [[str(cell) for cell in row] for row in rows]

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.head)
        rows = "".join(
            f'<tr><th scope="row">{html.escape(row[0])}</th>'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in self.rows
        )
        return (
            f'<div class="gan-table"><table><caption>{html.escape(self.caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def __repr__(self) -> str:
        lines = [self.head, *self.rows]
        first, *rest = [max(map(len, column)) for column in zip(*lines, strict=True)]
        drawn = [
            "  ".join([name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, rest, strict=True))])
            for name, *cells in lines
        ]
        return "\n".join([self.caption, *drawn])


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Return a table for a notebook: the last line of a cell, or to be handed to ``display``.

    Args:
        caption: what it shows, with the setting: data, number of seeds, unit.
        head: the names of the columns; the first one holds the names of the rows.
        rows: one sequence per row, its numbers already written as they shall be read (``f"{x:.2f}"``).
    """
    return Table(caption, head, rows)
