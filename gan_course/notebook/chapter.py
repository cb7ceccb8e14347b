"""What every chapter begins with: where am I, what will run here, where do long runs go, which tables are at hand?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

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


def stored(name: str) -> dict[str, Any] | None:
    """Return the table ``book/results/{name}.json``: its settings, and in ``rows`` one dict per seed.

    Returns:
        The table; None where a notebook stands alone, as in Colab, without the book's folder beside it.
    """
    for folder in (Path("../results"), Path("book/results")):  # from a chapter's folder, or from the repository's
        if (path := folder / f"{name}.json").exists():
            return json.loads(path.read_text(encoding="utf-8"))
    return None
