"""Sphinx extension: the text of each page's sections in a script, from which the search page takes its excerpts.

Sphinx would fetch every page that was found, which a page opened from a file may not do.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

NOT_READ = (nodes.section, nodes.title, nodes.literal_block, nodes.math_block, nodes.raw, nodes.comment)


def read(app: Sphinx, doctree: nodes.document) -> None:
    """Keep the words below each heading of a page, as pairs of the heading's anchor and its text."""
    sections = [(section["ids"][0], " ".join(words(section))) for section in doctree.findall(nodes.section)]
    texts(app.env)[app.env.docname] = [[anchor, text] for anchor, text in sections if text]


def words(element: nodes.Element) -> list[str]:
    """The words of an element without its code, displayed formulas and sections within."""
    if isinstance(element, nodes.TextElement):
        said = [node for node in element.findall(nodes.Text) if not is_tex(node)]
        return "".join(said).split()
    return [
        word
        for child in element.children
        if isinstance(child, nodes.Element) and not isinstance(child, NOT_READ)
        for word in words(child)
    ]


def is_tex(text: nodes.Text) -> bool:
    """Whether it is a formula that nobody reads as it is written, other than a letter or a number."""
    return isinstance(text.parent, nodes.math) and re.search(r"[\\_^]", text) is not None


def texts(env: Any) -> dict[str, list[list[str]]]:
    """All pages' sections; they stay with the environment when only some pages are read again."""
    if not hasattr(env, "search_texts"):
        env.search_texts = {}
    return env.search_texts


def forget(app: Sphinx, env: Any, page: str) -> None:
    texts(env).pop(page, None)


def write(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_static" / "search_texts"
        shutil.rmtree(folder, ignore_errors=True)  # a page may have gone
        for page, sections in texts(app.env).items():
            name, content = (json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in (page, sections))
            target = folder / f"{page}.js"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(f"(window.SEARCH_TEXTS ??= {{}})[{name}] = {content};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", read, priority=50)  # before the Colab badge becomes text
    app.connect("env-purge-doc", forget)
    app.connect("build-finished", write)
    return {"version": "1.0", "parallel_read_safe": False, "parallel_write_safe": True}
