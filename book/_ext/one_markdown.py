"""Sphinx extension: what chapters say in plain Markdown, so that every reader shows it, gets its place in the book.

- A link to the page of a work in book/references.bib leads to its entry on the page of references. So does a name and
  year in a docstring of the package, as in "Radford et al. (2016)".
- A link to the glossary leads to the term that it shows.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tools import check_text  # noqa: E402


def link_references(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Lead links to works, and their names in docstrings, to the page of references; terms to the glossary."""
    named = {name: place for (kind, name), place in app.env.get_domain("std").objects.items() if kind == "term"}
    glossary = next(iter(named.values()))[0]
    for link in doctree.findall(nodes.reference):
        name = check_text.terms().get(link.astext().lower())
        if name and docname != glossary and link.get("refuri") == app.builder.get_relative_uri(docname, glossary):
            link["refuri"] += f"#{named[name][1]}"

    entries = {citation.key: citation for citation in app.env.get_domain("cite").citations}
    works = check_text.works()

    def place(key: str) -> str:
        page = app.builder.get_relative_uri(docname, entries[key].bibliography_key.docname)
        return f"{page}#{entries[key].citation_id}"

    by_target = {work.target: key for key, work in works.items() if work.target}
    for link in doctree.findall(nodes.reference):
        if (key := by_target.get(link.get("refuri"))) and not link.get("classes"):
            link["refuri"], link["internal"] = place(key), True

    by_name: dict[str, list[str]] = {}
    for key, work in works.items():
        by_name.setdefault(work.label, []).append(key)
    unique = {label: keys[0] for label, keys in by_name.items() if len(keys) == 1}
    pattern = re.compile("|".join(re.escape(label) for label in sorted(unique, key=len, reverse=True)))
    for description in doctree.findall(lambda node: node.tagname == "desc_content"):
        for text in list(description.findall(nodes.Text)):
            if isinstance(text.parent, (nodes.reference, nodes.literal)) or not pattern.search(text):
                continue
            parts, end = [], 0
            for match in pattern.finditer(text):
                parts += [nodes.Text(text[end : match.start()])]
                parts += [nodes.reference("", match[0], refuri=place(unique[match[0]]), internal=True)]
                end = match.end()
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-resolved", link_references)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
