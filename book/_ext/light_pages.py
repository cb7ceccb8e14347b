"""Sphinx extension: finished pages are made to open at once, and to tell others what they are.

- Font Awesome's script (1.5 MB that run before the first paint) gives way to the few glyphs that the book shows, cut
  from the theme's own font into one small style sheet.
- Images are loaded when they come near, in the size that is reserved for them; pictures that stand inside the HTML
  (those of moving figures) become files, equal ones once.
- What stands wide or scrolls is marked for the book's style sheet and script.
- Sections far below are laid out only when the page has been shown, unless a link led to one of them.
- A description, a picture and a title for search engines and for links that are shared.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image
from sphinx.application import Sphinx
from sphinx.jinja2glue import BuiltinTemplateLoader

ARRIVING = """<script>
    if (!location.hash && performance.getEntriesByType("navigation")[0]?.type === "navigate")
      document.documentElement.classList.add("arriving");  // until it has loaded: custom.css, pages.js
  </script>
"""
WIDE = 620  # pixels: on a phone a wider figure keeps this width and scrolls, so that its text can be read
PREVIEW = "gallery/digits.webp"  # shown where a link to the book is shared
FONTS = {  # of the theme: what its style sheet calls them, and their files
    'normal 900 1em/1 "Font Awesome 6 Free"': "fa-solid-900.ttf",
    'normal 400 1em/1 "Font Awesome 6 Brands"': "fa-brands-400.ttf",
}


class Pages(BuiltinTemplateLoader):
    """Sphinx's way from templates to pages, with the finished pages made lighter."""

    def init(self, builder: Any, theme: Any = None, dirs: Any = None) -> None:
        super().init(builder, theme, dirs)
        self.builder = builder

    def render(self, template: str, context: dict[str, Any]) -> str:
        page = super().render(template, context)
        if "<html" not in page:
            return page  # something else that is made from a template
        root = posixpath.dirname(context["pagename"])
        page = page.replace("</head>", f"{ARRIVING}</head>", 1)
        return lazy_images(data_to_files(without_hindrances(page), Path(self.builder.outdir), root), self.builder, root)


def without_hindrances(page: str) -> str:
    """Let scripts wait until the page has been read, in their order. Drop Font Awesome's, the theme's highlighting of
    the contents, which loses its place, and a name of folded cells that hides what their handle says."""
    page = re.sub(r'<script src="[^"]*fontawesome\.js[^"]*"></script>', "", page)
    page = re.sub(r"<script (?=[^>]*\bsrc=)(?![^>]*\bdefer)", "<script defer ", page)
    page = page.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    return page.replace('<body data-bs-spy="scroll"', "<body", 1)


def data_to_files(page: str, outdir: Path, root: str) -> str:
    """Write pictures of more than 1,000 characters that stand in the page to files beside the others."""

    def write(match: re.Match[str]) -> str:
        content = base64.b64decode(match[2])
        name = f"_images/{hashlib.sha256(content).hexdigest()[:20]}.{match[1]}"
        target = outdir / name
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            target.write_bytes(content)
        return posixpath.relpath(name, root or ".")

    return re.sub(r"data:image/(png|jpeg|webp);base64,([A-Za-z0-9+/=]{1000,})", write, page)


def lazy_images(page: str, builder: Any, root: str) -> str:
    """Give the images of the text their size, load them when they come near, and let wide ones scroll."""
    sources = {name: Path(builder.srcdir) / source for source, name in builder.images.items()}

    def improve(match: re.Match[str]) -> str:
        tag = match[0]
        source = re.search(r'src="([^"]*)"', tag)
        if not source or 'loading="' in tag:
            return tag
        added = ' loading="lazy" decoding="async"'
        name = unquote(posixpath.normpath(posixpath.join(root, source[1])))
        path = sources.get(posixpath.basename(name))
        if name.startswith("_static/"):
            found = [Path(builder.confdir) / folder / name[8:] for folder in builder.config.html_static_path]
            path = next(filter(Path.is_file, found), None)
        if path and not re.search(r"\b(width|height)[=:]", tag):
            width, height = natural_size(path)
            added += f' width="{width}" height="{height}"'
            if width >= WIDE:
                return f'<span class="gan-wide">{tag[:4]}{added}{tag[4:]}</span>'
        return f"{tag[:4]}{added}{tag[4:]}"

    return re.sub(
        r"<article\b.*</article>", lambda article: re.sub(r"<img [^>]*>", improve, article[0]), page, flags=re.DOTALL
    )


def natural_size(path: Path) -> tuple[int, int]:
    """Width and height on the page: a picture drawn for more than 100 dots per inch is that much smaller."""
    if path.suffix == ".svg":
        drawing = ElementTree.parse(path).getroot()
        pixels = {"pt": 4 / 3, "in": 96, "": 1, "px": 1}
        sizes = [re.fullmatch(r"([\d.]+)([a-z]*)", drawing.get(side, "")) for side in ("width", "height")]
        if all(size and size[2] in pixels for size in sizes):
            width, height = (float(size[1]) * pixels[size[2]] for size in sizes if size)
        else:
            width, height = map(float, drawing.get("viewBox", "0 0 300 150").split()[2:])
        return round(width), round(height)
    with Image.open(path) as picture:
        density = max(1.0, picture.info.get("dpi", (100,))[0] / 100)
        return round(picture.width / density), round(picture.height / density)


def write_icons(app: Sphinx, error: Exception | None) -> None:
    """Cut the glyphs that any page shows out of the theme's fonts, into the style sheet icons.css."""
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    theme = (static / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8")
    names = {
        name
        for page in Path(app.outdir).rglob("*.html")
        for name in re.findall(r"\bfa-[a-z-]+", page.read_text(encoding="utf-8"))
    }
    # Those that pages name, and those that the theme's styles put before and after elements.
    rules = re.findall(r'([^{}]*):before\{content:"([^"]+)"\}', theme)
    shown = {text for selectors, text in rules if names & set(re.findall(r"fa-[a-z-]+", selectors))}
    shown |= set(re.findall(r'--pst-icon-[a-z-]+:\s*"([^"]+)"', theme))
    shown |= set(re.findall(r'--pst-breadcrumb-divider:\s*"([^"]+)"', theme))
    glyphs = {_character(text) for text in shown}
    styles = []
    for family, file in FONTS.items():
        font = TTFont(static / "vendor" / "fontawesome" / "webfonts" / file)
        cutter = subset.Subsetter()
        cutter.populate(unicodes=glyphs & set(font.getBestCmap()))
        cutter.subset(font)
        font.flavor = "woff"
        cut = io.BytesIO()
        font.save(cut)
        weight, name = family.split()[1], family.split('"')[1]
        uri = base64.b64encode(cut.getvalue()).decode()
        styles.append(f'@font-face{{font-family:"{name}";font-weight:{weight};font-display:block;'
                      f'src:url(data:font/woff;base64,{uri}) format("woff")}}')  # fmt: skip
    (static / "icons.css").write_text("\n".join(styles), encoding="utf-8")


def _character(text: str) -> int:
    """The code point of a CSS string of one character, which may be escaped."""
    return int(text[1:], 16) if text.startswith("\\") else ord(text)


def describe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Add what search engines and link previews show; the first page bears the book's name alone."""
    if doctree is None:
        return
    paragraphs = (node.astext() for node in doctree.findall(nodes.paragraph))
    text = " ".join(next((text for text in paragraphs if len(text) > 60), "").split())
    if len(text) > 160:
        text = text[:160].rsplit(" ", 1)[0] + " …"
    picture = posixpath.relpath(f"_static/{PREVIEW}", posixpath.dirname(page) or ".")
    if app.config.html_baseurl:
        picture = posixpath.join(app.config.html_baseurl, "_static", PREVIEW)
    title = html.unescape(re.sub("<[^>]*>", "", context["title"]))
    for kind, name, content in (
        ("name", "description", text),
        ("property", "og:title", title),
        ("property", "og:description", text),
        ("property", "og:type", "website"),
        ("property", "og:image", picture),
    ):
        if content:
            context["metatags"] += f'<meta {kind}="{name}" content="{html.escape(content)}" />\n'
    if page == app.config.root_doc:
        context["theme_logo"] = {**context.get("theme_logo", {}), "text": context["docstitle"]}
        context["docstitle"] = ""


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_css_file("icons.css", priority=400)
    app.connect("html-page-context", describe)
    app.connect("build-finished", write_icons)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
