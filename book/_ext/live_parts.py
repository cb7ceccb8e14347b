"""Sphinx extension: parts of the pages that live in the browser, the GAN lab and the trained generators.

- Their scripts and weights lie beside the pages; book/_static/pages.js loads them when a reader comes near or asks.
- A link to ``lab.md#loss=hinge&lr_d=0.01`` leads to the lab with these settings: they are no heading of that page.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "gan_course" / "notebook" / "browser"
WEIGHTS = ROOT / "book" / "weights" / "web"
TO_SETTINGS = re.compile(r"\[([^\]\[]+)\]\(([\w./]*\blab)\.md#([^)\s\"]*=[^)\s\"]*)\)")


def link_settings(app: Sphinx, page: str, source: list[str]) -> None:
    """Make links to the lab with settings HTML, which no search for a heading touches. (A notebook's source is JSON:
    what is put in has no double quotes.)"""
    source[0] = TO_SETTINGS.sub(r"<a class='reference internal' href='\2.html#\3'>\1</a>", source[0])


def copy(app: Sphinx, error: Exception | None) -> None:
    """Copy scripts and weights, as scripts that no page names: Jupyter Book would load those of a static folder on
    every page."""
    if error or app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "live"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(SCRIPTS, target, ignore=shutil.ignore_patterns("*.json"))
    shutil.copytree(WEIGHTS, target / "weights")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", link_settings)
    app.connect("build-finished", copy)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
