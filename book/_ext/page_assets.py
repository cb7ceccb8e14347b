"""Sphinx extension: a page loads the scripts and styles that it uses, once.

- Jupyter Book adds some scripts twice, which redeclares a constant and puts an error into every console.
- The thebe scripts would start a kernel on a remote server; this book needs none.
- Some serve one kind of element, and are left out where a page has none.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

# What stands in the text of a page that uses a script or style (by a part of its name or body).
USED_WITH = {
    "togglebutton": 'class="toggle|admonition.dropdown',
    "toggleHint": 'class="toggle|admonition.dropdown',
    "toggleOpenOnPrint": 'class="toggle|admonition.dropdown',
    "design-tabs": "sd-tab",
    "sphinx-design": "sd-",
    "copybutton": "highlight-",
    "clipboard": "highlight-",
    "mystnb": 'class="cell',
}
NEVER = ("thebe", "window.MathJax", "DOCUMENTATION_OPTIONS.pagename")


def lean(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Keep of the page's scripts and styles the first of each that is used."""
    body = context.get("body", "")

    def used(name: str) -> bool:
        signs = [sign for part, sign in USED_WITH.items() if part in name]
        return not any(part in name for part in NEVER) and all(
            any(word in body for word in sign.split("|")) for sign in signs
        )

    for kind in ("script_files", "css_files"):
        kept, seen = [], set()
        for file in context.get(kind, []):
            name, content = str(getattr(file, "filename", file) or ""), file.attributes.get("body") or ""
            if (name, content) in seen or not used(name + content):
                continue
            seen.add((name, content))
            kept.append(file)
        context[kind] = kept


def setup(app: Sphinx) -> dict[str, Any]:
    # After the themes and extensions, which add scripts at the default priority of 500.
    app.connect("html-page-context", lean, priority=900)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
