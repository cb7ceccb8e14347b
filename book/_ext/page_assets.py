"""Sphinx extension: every script once per page, and none of the live-kernel (thebe) scripts.

Jupyter Book adds some scripts twice, which redeclares a constant and puts an error into every console.
The thebe scripts would start a kernel on a remote server; this book needs none.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def drop_repeated(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Replace the page's `script_files` by its first occurrences, without thebe."""
    kept, seen = [], set()
    for script in context.get("script_files", []):
        attributes = getattr(script, "attributes", {})
        name, body = str(getattr(script, "filename", script) or ""), attributes.get("body") or ""
        if "thebe" in name.lower() or "thebe" in body.lower() or (name, body) in seen:
            continue
        seen.add((name, body))
        kept.append(script)
    context["script_files"] = kept


def setup(app: Sphinx) -> dict[str, Any]:
    # After the themes and extensions, which add scripts at the default priority of 500.
    app.connect("html-page-context", drop_repeated, priority=900)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
