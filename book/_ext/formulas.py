"""Sphinx extension: formulas are typeset by KaTeX while the book is built.

A page then needs no script for its mathematics: it is there with the first paint, nothing moves afterwards, a formula
is no tab stop, and a screen reader gets MathML. KaTeX is JavaScript; it runs in the V8 that mini-racer brings. It is
given each formula as the chapter has it, with its own ``\\tag`` and line breaks, while Sphinx would wrap one of several
lines in ``split``. What KaTeX does not understand is a warning of the build.
"""

from __future__ import annotations

import atexit
import functools
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.fileutil import copy_asset

KATEX = Path(__file__).parent / "katex"
# An error comes back as a value, since mini-racer's exceptions bury the message in a stack.
TYPESET = """(text, display) => {
    try { return katex.renderToString(text, {displayMode: display, strict: "ignore"}); }
    catch (error) { return error.message; }
}"""
logger = logging.getLogger(__name__)


@functools.cache
def engine() -> MiniRacer:
    racer = MiniRacer()
    atexit.register(racer.close)  # or its threads may outlive the interpreter
    racer.eval((KATEX / "katex.min.js").read_text(encoding="utf-8"))
    racer.eval(f"typeset = {TYPESET}")
    return racer


@functools.cache
def typeset(text: str, display: bool) -> str:
    """Return the formula as HTML and MathML; raises ValueError with KaTeX's message."""
    markup = engine().call("typeset", text, display)
    if not markup.startswith("<"):
        raise ValueError(markup)
    return brackets_together(markup, display)


def brackets_together(markup: str, display: bool) -> str:
    """Put what stands between brackets into one box, so that a line breaks inside only where it must.

    KaTeX lets a line break after each relation and sum that is not inside a construct of TeX: each of its bases is a
    piece between two such places, and plain brackets may open in one and close in another.
    """
    ends = "</span>" * (3 if display else 2)  # of the whole formula
    start, *pieces = re.split(r'(?=<span class="(?:katex-base|katex-tag|mspace katex-newline)">)', markup)
    if pieces:
        pieces[-1] = pieces[-1].removesuffix(ends)
    opened = 0
    for place, piece in enumerate(pieces):
        before, opened = opened, opened + brackets(piece, "mopen") - brackets(piece, "mclose")
        if before <= 0 < opened:
            pieces[place] = '<span class="gan-brackets">' + piece
        if before > 0 >= opened:
            pieces[place] = piece + "</span>"
    return start + "".join(pieces) + ("</span>" if opened > 0 else "") + (ends if pieces else "")


def brackets(markup: str, kind: str) -> int:
    """Count brackets of one kind; KaTeX puts neighbours, as in ``))``, into one element."""
    return sum(max(1, len(text)) for text in re.findall(rf'class="{kind}\b[^>]*>([^<]*)', markup))


def write(translator: Any, node: nodes.Element, display: bool) -> None:
    try:
        markup = typeset(node.astext(), display)
    except ValueError as error:
        logger.warning("formula %r: %s", node.astext(), error, location=node)
        markup = f"<code>{translator.encode(node.astext())}</code>"
    tag = "div" if display else "span"
    translator.body.append(translator.starttag(node, tag, "", CLASS="math notranslate nohighlight"))
    translator.body.append(f"{markup}</{tag}>" + "\n" * display)
    raise nodes.SkipNode


def visit_math(translator: Any, node: nodes.math) -> None:
    write(translator, node, display=False)


def visit_math_block(translator: Any, node: nodes.math_block) -> None:
    write(translator, node, display=True)


def copy_katex(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for name in ("katex.min.css", "fonts"):
            target = Path(app.outdir) / "_static" / "katex"
            copy_asset(KATEX / name, target / name if (KATEX / name).is_dir() else target)


def link_katex(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Styles of formulas, on pages that show one in the text or among the headings."""
    if 'class="katex"' in context.get("body", "") + context.get("toc", ""):
        app.add_css_file("katex/katex.min.css", priority=400)  # before the book's own


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("katex", (visit_math, None), (visit_math_block, None))
    app.connect("html-page-context", link_katex)
    app.connect("build-finished", copy_katex)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": False}
