"""Sphinx extension: small repairs of the generated pages, for reading offline and by screen readers.

- The Colab badge of a notebook lies on a server; in the book it becomes a text link.
- A folded cell is called by its title, as in Colab, instead of "Show code cell source".
- Long signatures are written as a definition list without terms, and bibliographies as a list without items:
  screen readers announce both wrongly.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
FOLDED = re.compile(
    r'(<details class="[^"]*above-input[^"]*">.*?"collapsed admonition-title">)[^<]*'
    r'(.*?"expanded admonition-title">)[^<]*(.*?# @title )([^<]*)',
    re.S,
)
SIGNATURE = re.compile(r'<dl>\n((?:<dd><em class="sig-param">.*</dd>\n)+)</dl>\n')


def badge_to_text(app: Sphinx, doctree: nodes.document) -> None:
    """Replace each badge by its alternative text, inside the link that it had."""
    for image in list(doctree.findall(nodes.image)):
        if image["uri"] == BADGE:
            image.parent.replace(image, nodes.Text(image.get("alt") or "Open in Colab"))


def repair_lists(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give parameters of signatures and entries of bibliographies elements that say what they are."""

    def parameters(match: re.Match[str]) -> str:
        return match[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")

    if "body" in context:
        body = FOLDED.sub(r"\1Code: \4\2Code: \4\3\4", SIGNATURE.sub(parameters, context["body"]))
        context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", badge_to_text, priority=100)  # before Sphinx collects the images
    app.connect("html-page-context", repair_lists)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
