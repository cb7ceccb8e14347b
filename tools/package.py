#!/usr/bin/env python3
"""Pack the built book into one zip file, for learning-management systems and for reading without a network.

    python tools/package.py                   writes _build/gan-course-book.zip; `make book` does so
    python tools/package.py --out book.zip    elsewhere

The zip holds a folder gan-course-book, whose index.html opens the book from a disk, a web server or a system that shows
an unpacked zip as a web page. Beside the folder stands imsmanifest.xml, by which systems that speak SCORM 1.2 or IMS
Content Packaging take the zip as it is: they open the book in a frame (lms.html), remember the page last read, and are
told "completed" when every chapter has been opened.

Only what a page needs is in it: pages and what they name, directly or through style sheets and scripts, and the
licences of what comes from other projects. Names are in order and times are fixed: the same book gives the same bytes.
"""

from __future__ import annotations

import argparse
import functools
import html
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import quoteattr

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a script's path holds its own folder only

from tools import check_links  # noqa: E402

HTML = ROOT / "_build" / "html"
OUT = ROOT / "_build" / "gan-course-book.zip"
FRAME = ROOT / "book" / "_package" / "lms.html"  # what a system opens
FOLDER = "gan-course-book"
LIMIT = 50_000_000  # bytes of the zip, and of one file in it
TIME = (1980, 1, 1, 0, 0, 0)  # of every file: the earliest that a zip can hold
FIRST = ("index.html", "search.html", "genindex.html", "py-modindex.html")  # what links lead to, and the way in
PACKED = {".png", ".webp", ".jpg", ".jpeg", ".gif", ".woff", ".woff2"}  # gain nothing by compression
LICENCE = re.compile(r"licen[cs]e|copying|notice", re.I)
LATER = ("_static/live/", "_static/search_texts/")  # what pages load when it comes near or is asked for


def named(name: str, text: str) -> Iterator[str]:
    """Yield what a page, style sheet or script names, as paths from the book's root; some of them may not exist."""
    styles = [text] if name.endswith(".css") else []
    if name.endswith(".html"):
        page = check_links.read(text)
        styles = page.code
        addresses = (urlsplit(address).path for address in page.addresses if check_links.inside(address))
        yield from (normpath(join(dirname(name), unquote(path))) for path in addresses if path)
    for style in styles:
        yield from (normpath(join(dirname(name), path)) for path in check_links.styled(style))
    yield from check_links.FROM_ROOT.findall(text)


def needed(folder: Path) -> list[str]:
    """The files of a built book that its pages need, as sorted paths from the book's root."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    found: set[str] = set()
    waiting = [name for name in FIRST if name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name.endswith((".html", ".css", ".js")):
            text = (folder / name).read_text(encoding="utf-8")
            waiting += [other for other in named(name, text) if other in names]
    return sorted(found | {name for name in names if name.startswith(LATER) or LICENCE.search(name.rsplit("/", 1)[-1])})


@functools.cache
def contents() -> dict:
    """What _toc.yml says."""
    return yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))


def title() -> str:
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]


def chapters() -> list[str]:
    """The pages of all numbered chapters, as paths from the book's root."""
    parts = [part for part in contents()["parts"] if part.get("numbered")]
    return [f"{entry['file']}.html" for part in parts for entry in part["chapters"]]


def frame() -> str:
    """The page that keeps a system's session open around the book."""
    return FRAME.read_text(encoding="utf-8").replace("{{ title }}", html.escape(title())).replace(
        "{{ chapters }}", json.dumps(chapters())
    )  # fmt: skip


def manifest(names: list[str]) -> str:
    """The manifest of SCORM 1.2: one thing to open, which consists of all files (names as in the zip)."""
    files = "\n".join(f"      <file href={quoteattr(name)}/>" for name in names)
    name = html.escape(title())
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<manifest identifier="gan-course-book" version="1.0" xmlns="http://www.imsproject.org/xsd/imscp_rootv1p1p2"
    xmlns:adlcp="http://www.adlnet.org/xsd/adlcp_rootv1p2">
  <metadata>
    <schema>ADL SCORM</schema>
    <schemaversion>1.2</schemaversion>
  </metadata>
  <organizations default="book">
    <organization identifier="book">
      <title>{name}</title>
      <item identifier="read" identifierref="pages" isvisible="true">
        <title>{name}</title>
      </item>
    </organization>
  </organizations>
  <resources>
    <resource identifier="pages" type="webcontent" adlcp:scormtype="sco" href="{FOLDER}/{FRAME.name}">
{files}
    </resource>
  </resources>
</manifest>
"""


def write(folder: Path, target: Path) -> int:
    """Pack the built book and give the number of files; the zip appears when it is complete."""
    content = {name: (folder / name).read_bytes() for name in needed(folder)}
    content[FRAME.name] = frame().encode()
    content["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    for name, body in content.items():
        if len(body) > LIMIT:
            raise ValueError(f"{name} has {len(body):,} bytes, more than {LIMIT:,}")
    content = {f"{FOLDER}/{name}": content[name] for name in sorted(content)}
    content = {"imsmanifest.xml": manifest(list(content)).encode(), **content}
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        with zipfile.ZipFile(part, "w") as archive:
            for name, body in content.items():
                info = zipfile.ZipInfo(name, TIME)
                info.create_system, info.external_attr = 3, 0o644 << 16  # Unix, whatever system packs it
                info.compress_type = zipfile.ZIP_STORED if Path(name).suffix in PACKED else zipfile.ZIP_DEFLATED
                archive.writestr(info, body, compresslevel=9)
        if part.stat().st_size > LIMIT:
            raise ValueError(f"{target} would have {part.stat().st_size:,} bytes, more than {LIMIT:,}")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return len(content)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--html", type=Path, default=HTML, help="folder of the built book (default: _build/html)")
    parser.add_argument("--out", type=Path, default=OUT, help="the zip file (default: _build/gan-course-book.zip)")
    options = parser.parse_args(arguments)
    if not (options.html / "index.html").is_file():
        print(f"no built book at {options.html}: make book", file=sys.stderr)
        return 1
    try:
        count = write(options.html, options.out)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    size = options.out.stat().st_size / 1e6
    print(f"The book in one file is at {options.out.resolve()} ({count} files, {size:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
