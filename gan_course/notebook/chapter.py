"""What every chapter begins with: where am I, what will run here, where do long runs go, which tables are at hand?"""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import torch

import gan_course
from gan_course import __version__
from gan_course.notebook import profiles

COLAB_DRIVE = Path("/content/drive/MyDrive/gan-course")


def start(chapter: str, *, drive: bool = False) -> Path:
    """Report device and profile; return the folder for this chapter's runs (not created here).

    In Colab it warns that a disconnect loses ``/content`` and offers a folder in Google Drive instead.

    Args:
        chapter: name of the chapter, used as the folder's name.
        drive: in Colab, mount Google Drive and return a folder there; elsewhere it must stay False.

    Raises:
        ValueError: if ``drive`` is asked for outside Colab.
    """
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
