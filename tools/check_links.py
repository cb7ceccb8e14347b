#!/usr/bin/env python3
"""Check that all links of the built book lead somewhere: pages, headings and terms, pictures, style sheets, scripts.

    python tools/check_links.py                  the book in _build/html
    python tools/check_links.py some/folder      a copy of it, for example one unpacked from the zip

Addresses on other sites are not opened, only their form is checked. Fails if something is wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
ATTRIBUTES = {"href", "src", "srcset", "poster", "data", "action"}
STYLE_URL = re.compile(r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^)\s]*))\s*\)|@import\s+(?:"([^"]*)"|'([^']*)')""")
FROM_ROOT = re.compile(r"(?<![\w-])_(?:static|images|sources|downloads)/[\w./-]+\.\w+")  # in scripts and their data
HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?::\d+)?$")
PICTURES = {"og:image"}  # names of a page's descriptions that hold an address


@dataclass
class Contents(HTMLParser):
    """What a page names: its own places, what it links to, and its scripts and styles."""

    ids: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)  # of scripts and styles inside the page

    def __post_init__(self) -> None:
        super().__init__()
        self.within = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.within = tag if tag in ("script", "style") else ""
        given = {name: value or "" for name, value in attributes}
        self.ids += [given["id"]] if "id" in given else []
        self.ids += [given["name"]] if tag == "a" and "name" in given and given["name"] != given.get("id") else []
        for name in ATTRIBUTES & given.keys():
            parts = given[name].split(",") if name == "srcset" else [given[name]]
            self.addresses += [part.split()[0] if name == "srcset" else part for part in parts if part.strip()]
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.addresses.append(given["content"].partition("url=")[2])
        if tag == "meta" and given.get("property") in PICTURES:
            self.addresses.append(given["content"])
        if "style" in given:
            self.code.append(given["style"])

    def handle_endtag(self, tag: str) -> None:
        self.within = ""

    def handle_data(self, data: str) -> None:
        if self.within:
            self.code.append(data)


def read(text: str) -> Contents:
    """What a page names."""
    contents = Contents()
    contents.feed(text)
    contents.close()
    return contents


def inside(address: str) -> bool:
    """Whether an address is relative: of this book, not of another site or of what stands in the page itself."""
    parts = urlsplit(address)
    return not parts.scheme and not parts.netloc


def styled(text: str) -> Iterator[str]:
    """Yield the relative addresses in a style sheet; of a font's sources the first, which is the one that is taken."""
    text = re.sub(r"(@font-face\s*\{[^}]*?src:\s*url\([^)]*\))[^;}]*", r"\1", text)
    for match in STYLE_URL.finditer(text):
        address = next(filter(None, match.groups()), "")
        if address and inside(address) and not address.startswith("#"):
            yield unquote(urlsplit(address).path)


def form(address: str) -> str:
    """Say what is wrong with the form of an address on another site; nothing if it is well."""
    parts = urlsplit(address)
    if parts.scheme in ("data", "blob", "javascript", "about"):
        return "" if parts.scheme == "data" else f"a link must not begin with {parts.scheme}:"
    if parts.scheme == "mailto":
        return "" if re.fullmatch(r"[^@\s]+@[^@\s]+\.\w+", parts.path) else "not an address of mail"
    if parts.scheme not in ("http", "https"):
        return "neither relative nor https"
    if not HOST.fullmatch(parts.netloc.lower()):
        return "the host is not a name"
    if re.search(r"[\s<>\"{}|\\^`]", address):
        return "a character that has to be escaped"
    sign = re.search(r"[.,;:!?]$", parts.path) and not parts.query and not parts.fragment
    return "a sign at its end that belongs to the sentence" if sign else ""


def faults(folder: Path) -> list[str]:
    """Check a built book and say of each link that leads nowhere where it stands."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    names = [name for name in sorted(files) if name.endswith(".html") and not name.startswith("_static/")]
    pages = {name: read((folder / name).read_text(encoding="utf-8")) for name in names}
    places = {name: set(page.ids) for name, page in pages.items()}
    found = []
    for name, page in pages.items():
        found += [
            f"{name}: {count} elements with the id {id_}" for id_, count in Counter(page.ids).items() if count > 1
        ]
        for address in dict.fromkeys(page.addresses):
            if not inside(address):
                found += [f"{name}: {address}: {wrong}"] if (wrong := form(address)) else []
                continue
            parts = urlsplit(address)
            target = normpath(join(dirname(name), unquote(parts.path))) if parts.path else name
            if target not in files:
                found.append(f"{name}: {address}: no such file")
            elif target.endswith("/lab.html") and "=" in parts.fragment:
                pass  # settings of the lab; tests/test_live_pages.py tries them
            elif parts.fragment and target in places and unquote(parts.fragment) not in places[target]:
                found.append(f"{name}: {address}: no such place on that page")
        for code in page.code:
            found += [f"{name}: {path}: no such file" for path in FROM_ROOT.findall(code) if path not in files]
            styles = (normpath(join(dirname(name), path)) for path in styled(code))
            found += [f"{name}: {path}: no such file" for path in styles if path not in files]
    for name in sorted(files):
        if name.endswith(".css"):
            paths = (
                normpath(join(dirname(name), path)) for path in styled((folder / name).read_text(encoding="utf-8"))
            )
            found += [f"{name}: {path}: no such file" for path in paths if path not in files]
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=HTML, help="a built book (default: _build/html)")
    options = parser.parse_args(arguments)
    if not (options.folder / "index.html").is_file():
        print(f"no built book at {options.folder}: make book", file=sys.stderr)
        return 1
    found = faults(options.folder)
    print("\n".join([*found, f"{len(found)} links are wrong" if found else "all links lead somewhere"]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
