#!/usr/bin/env python3
"""Print the built book, or some of its pages, as one PDF file.

    python tools/pdf.py                            the whole book: _build/gan-course-book.pdf; `make pdf` does so
    python tools/pdf.py --pages game/vanilla_gan   the pages whose names contain this, in a file named after it
    python tools/pdf.py --paper Letter

A Chromium prints the pages one by one, as book/_print makes them ready: folded code that only draws is left out, hints
and solutions stand at the end of their chapter, moving figures are their last picture, wide tables become smaller.
pypdf joins them behind a title page and a table of contents, with bookmarks down to the subsections; links between
pages become links inside the file. The pages' own look in print is that of book/_static/custom.css.

The PDF is for paper, and for screens without a browser. It carries no structure for screen readers; the book in HTML
does. Needs the built book (`make book`), Playwright, pypdf and a Chromium. The text's font is the machine's; where no
font has Chinese characters, the glossary lacks them, and the tool says so.
"""

from __future__ import annotations

import argparse
import html
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from posixpath import normpath
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from playwright.sync_api import Browser, Page
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DictionaryObject,
    Fit,
    FloatObject,
    NameObject,
    NullObject,
    TextStringObject,
)

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a script's path holds its own folder only

import gan_course  # noqa: E402
from tools import chromium  # noqa: E402

HTML = ROOT / "_build" / "html"
PRINT = ROOT / "book" / "_print"
LIMIT = 60_000_000  # bytes of the PDF
PAPERS = {"A4": (210.0, 297.0), "Letter": (215.9, 279.4)}  # millimetres
MARGINS = (20.0, 17.0, 20.0, 17.0)  # millimetres: top, right, bottom, left
PIXEL = 25.4 / 96  # millimetres
PICTURE = "_static/gallery/digits.webp"
PICTURE_SAYS = "Handwritten digits that a GAN of the course drew, none selected"


@dataclass
class Place:
    """A point of the PDF: page (from 0) and, in PDF units, its left and top."""

    page: int
    left: float = 0.0
    top: float = 0.0


@dataclass
class Printed:
    """One page of the book on paper."""

    name: str  # as in _toc.yml; empty for the front of the book
    reader: PdfReader
    title: str
    label: str  # the title with its number
    part: str  # of which it is the first page, else empty
    headings: list[dict[str, Any]] = field(default_factory=list)  # level, title, place
    complaints: list[str] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)  # by the element's id; pages counted within this one

    def __post_init__(self) -> None:
        height = float(self.reader.pages[0].mediabox.height)
        pages = {page.indirect_reference.idnum: i for i, page in enumerate(self.reader.pages)}
        for name, place in self.reader.named_destinations.items():
            number = pages[place.raw_get("/Page").idnum]
            top = place.get("/Top")
            top = height if top is None or isinstance(top, NullObject) else float(top)
            self.places[unquote(name.removeprefix("/"))] = Place(number, float(place.get("/Left") or 0), top)


def contents() -> Iterator[tuple[str, str]]:
    """Yield the book's pages in their order, each with the title of the part that it opens, or nothing."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    yield toc["root"], ""
    for number, part in enumerate(toc["parts"], 1):
        heading = f"Part {'I II III IV V VI VII VIII IX X'.split()[number - 1]}. " if part.get("numbered") else ""
        for i, entry in enumerate(part["chapters"]):
            yield entry["file"], f"{heading}{part['caption']}" if i == 0 else ""


def style(paper: str, head: str, first: int, roman: bool = False) -> str:
    """The style sheet of a page whose first sheet has the number `first`."""
    top, right, bottom, left = MARGINS
    width, height = PAPERS[paper]
    text = head.replace("\\", "\\\\").replace('"', '\\"')
    number = "counter(page, lower-roman)" if roman else "counter(page)"
    look = "font: 9pt sans-serif; color: #444"
    return f"""
        @page {{ size: {width}mm {height}mm; margin: {top}mm {right}mm {bottom}mm {left}mm;
            @top-left {{ content: "{text}"; {look} }} @bottom-center {{ content: {number}; {look} }} }}
        @page :first {{ counter-set: page {first}; @top-left {{ content: none }} }}
        {(PRINT / "page.css").read_text(encoding="utf-8")}"""


def opened(browser: Browser, url: str, paper: str) -> Page:
    """A page in the width of the paper, laid out as it is printed."""
    width, height = PAPERS[paper]
    inner = round((width - MARGINS[1] - MARGINS[3]) / PIXEL)
    size = {"width": inner, "height": round(height / PIXEL)}
    page = browser.new_context(viewport=size, color_scheme="light").new_page()
    page.set_default_timeout(300_000)  # a busy machine is slow
    page.emulate_media(media="print")
    page.goto(url)
    return page


def to_pdf(page: Page) -> PdfReader:
    return PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True, print_background=True, tagged=False)))


def printed(browser: Browser, folder: Path, name: str, part: str, first: int, paper: str) -> Printed:
    """Print one page of the book, with `first` as the number of its first sheet."""
    page = opened(browser, (folder / f"{name}.html").as_uri(), paper)
    label = page.locator("meta[property='og:title']").get_attribute("content") or name
    page.add_style_tag(content=style(paper, label, first))
    facts = page.evaluate((PRINT / "page.js").read_text(encoding="utf-8"), {"part": part})
    complaints = [f"{name}: a picture is missing: {source}" for source in facts["broken"]]
    if facts["chinese"] and lacks_chinese(browser):
        complaints.append(f"{name}: no font of this machine has Chinese characters, boxes stand for them")
    complaints += [f"{name}: wider than the paper: {start}" for start in facts["wide"]]
    result = Printed(name, to_pdf(page), facts["title"], label, part, facts["headings"], complaints)
    if page.locator(".print-page").count():  # hints and solutions, whose pages are known only now
        numbers = {place: first + where.page for place, where in result.places.items()}
        page.evaluate(
            """numbers => document.querySelectorAll(".print-page").forEach(span => {
                span.textContent = numbers[span.dataset.place];
            })""",
            numbers,
        )
        result = replace(result, reader=to_pdf(page), places={})
    page.context.close()
    return result


def front(browser: Browser, folder: Path, pages: list[Printed], starts: list[int], paper: str) -> Printed:
    """Print the title page and the contents; `starts` has the number of each page's first sheet."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    title, author, url = config["title"], config["author"], config["repository"]["url"]
    whole = len(pages) == len(list(contents()))
    lines = []

    def line(kind: str, text: str, page: Printed, start: int, place: str) -> None:
        number = start + page.places[place].page if place in page.places else start
        target = f"{(folder / page.name).as_uri()}.html#{place}"
        lines.append(f'<li class="print-{kind}"><a href="{target}"><span>{html.escape(text)}</span>'
                     f"<span>{number}</span></a></li>")  # fmt: skip

    for page, start in zip(pages, starts, strict=True):
        if page.part:
            lines.append(f'<li class="print-part-line">{html.escape(page.part)}</li>')
        line("chapter", page.label, page, start, page.headings[0]["place"])
        for heading in page.headings:
            if heading["level"] == 2:
                line("section", heading["title"], page, start, heading["place"])
    picture = f'<img src="{(folder / PICTURE).as_uri()}" alt="{PICTURE_SAYS}">' if (folder / PICTURE).is_file() else ""
    body = f"""
        <div class="print-front"><h1>{html.escape(title)}</h1>
          <p>{"A course in notebooks" if whole else "Pages of a course in notebooks"}</p><p>{html.escape(author)}</p>
          {picture}<p class="print-caption">{PICTURE_SAYS if picture else ""}</p>
          <p class="print-small">Version {gan_course.__version__}. Text and figures: CC BY 4.0. Code: MIT.<br>{url}</p>
          <p class="print-caption">Cells that only draw a figure, print a table or check an answer are left out here;
          they stand in the notebooks. Hints and solutions are at the end of each chapter.</p></div>
        <h1>Contents</h1><div class="print-contents"><ol>{"".join(lines)}</ol></div>"""
    page = opened(browser, (folder / f"{next(contents())[0]}.html").as_uri(), paper)  # for its style sheets
    page.evaluate("body => { document.querySelector('article').innerHTML = body; }", body)
    page.add_style_tag(content=style(paper, "Contents", 1, roman=True))
    page.evaluate("() => Promise.all([...document.images].map(image => image.decode().catch(() => {})))")
    result = Printed("", to_pdf(page), "Contents", "Contents", "")
    page.context.close()
    return result


def lead_inside(writer: PdfWriter, documents: list[Printed], offsets: list[int], folder: Path) -> list[str]:
    """Let links between pages lead inside the file, and give those that lead nowhere; they are taken off."""
    numbers = {document.name: i for i, document in enumerate(documents)}
    lost = []

    def target(document: int, place: str) -> ArrayObject:
        found = documents[document].places.get(place) or Place(0, 0.0, float(writer.pages[0].mediabox.height))
        page = writer.pages[offsets[document] + found.page]
        numbers = [FloatObject(found.left), FloatObject(found.top), NullObject()]
        return ArrayObject([page.indirect_reference, NameObject("/XYZ"), *numbers])

    for i, document in enumerate(documents):
        for number in range(len(document.reader.pages)):
            page, kept = writer.pages[offsets[i] + number], ArrayObject()
            for reference in page.get("/Annots") or []:
                link: DictionaryObject = reference.get_object()
                address = str((link.get("/A") or {}).get("/URI", ""))
                if "/Dest" in link:
                    goal, place = i, unquote(str(link["/Dest"]).removeprefix("/"))
                elif address.startswith("file:"):
                    path = Path(unquote(urlsplit(address).path))
                    name = normpath(path.relative_to(folder).with_suffix("")) if path.is_relative_to(folder) else ""
                    goal, place = numbers.get(name, -1), unquote(urlsplit(address).fragment)
                else:
                    kept.append(reference)  # to another site
                    continue
                if float(link["/Rect"][3]) - float(link["/Rect"][1]) < 1.5:
                    continue  # a mark that page.js has set
                if goal < 0 or (place and place not in documents[goal].places):
                    lost.append(f"{document.name} -> {address or place}")
                if goal >= 0:
                    link.pop("/A", None)
                    link[NameObject("/Dest")] = target(goal, place)
                    kept.append(reference)
            page[NameObject("/Annots")] = kept
    return lost


def outline(writer: PdfWriter, documents: list[Printed], offsets: list[int]) -> None:
    """Add bookmarks: the contents, the parts, their pages, sections and subsections."""
    writer.add_outline_item(title="Contents", page_number=1)
    parent = None
    for document, offset in list(zip(documents, offsets, strict=True))[1:]:
        if document.part:
            parent = writer.add_outline_item(title=document.part, page_number=offset, bold=True)
        above = {0: parent}
        for heading in document.headings:
            place = document.places.get(heading["place"], Place(0))
            level = heading["level"]
            over = next(above[higher] for higher in range(level - 1, -1, -1) if higher in above)
            above = {higher: item for higher, item in above.items() if higher < level}
            text = document.label if level == 1 else heading["title"]
            fit = Fit.xyz(left=place.left, top=place.top)
            above[level] = writer.add_outline_item(
                title=text, page_number=offset + place.page, parent=over, fit=fit, is_open=False
            )


def joined(documents: list[Printed], folder: Path, title: str, author: str) -> tuple[PdfWriter, list[str]]:
    """Join the printed pages, the front first, and give what links lead nowhere."""
    writer, offsets = PdfWriter(), []
    for document in documents:
        offsets.append(len(writer.pages))
        for page in document.reader.pages:
            writer.add_page(page)
    lost = lead_inside(writer, documents, offsets, folder)
    outline(writer, documents, offsets)
    writer.set_page_label(0, offsets[1] - 1, style="/r", start=1)
    writer.set_page_label(offsets[1], len(writer.pages) - 1, style="/D", start=1)
    writer.page_mode = "/UseOutlines"
    writer.root_object[NameObject("/Lang")] = TextStringObject("en")
    shown = DictionaryObject()
    writer.root_object[NameObject("/ViewerPreferences")] = shown
    shown[NameObject("/DisplayDocTitle")] = BooleanObject(True)
    writer.add_metadata({"/Title": title, "/Author": author})
    return writer, lost


def lacks_chinese(browser: Browser) -> bool:
    """Whether the machine has no font with Chinese characters: they look like one that no font has."""
    page = browser.new_page()
    same = page.evaluate(
        """() => {
            const draw = text => {
                const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
                context.font = "40px sans-serif";
                context.fillText(text, 10, 60);
                return canvas.toDataURL();
            };
            return draw("\\u751f") === draw("\\u{10fffd}");
        }"""
    )
    page.close()
    return same


def make(folder: Path, target: Path, part: str, paper: str) -> tuple[int, list[str]]:
    """Print the pages whose name contains `part`; give the number of sheets and what is not right."""
    wanted, opening = [], ""
    for name, opens in contents():
        opening = opens or opening
        if part in name:
            wanted.append((name, opening))
            opening = ""
    if not wanted:
        raise ValueError(f"no page's name contains {part!r}")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    with chromium.launched() as browser:
        pages, starts, first = [], [], 1
        for name, opens in wanted:
            page = printed(browser, folder, name, opens, first, paper)
            pages.append(page)
            starts.append(first)
            first += len(page.reader.pages)
            print(f"{name}: {len(page.reader.pages)} sheets", flush=True)
        documents = [front(browser, folder, pages, starts, paper), *pages]
    writer, lost = joined(documents, folder.resolve(), config["title"], config["author"])
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f"{target.name}.part")
    writer.write(beside)
    beside.replace(target)
    complaints = [complaint for page in pages for complaint in page.complaints]
    if len(wanted) == len(list(contents())):
        complaints += [f"a link leads nowhere: {link}" for link in lost]
    if target.stat().st_size > LIMIT:
        complaints.append(f"{target} has {target.stat().st_size:,} bytes, more than {LIMIT:,}")
    return len(writer.pages), complaints


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", default="", help="only pages whose name contains this")
    parser.add_argument("--paper", choices=PAPERS, default="A4")
    parser.add_argument("--html", type=Path, default=HTML, help="folder of the built book (default: _build/html)")
    parser.add_argument("--out", type=Path, help="the PDF file (default: in _build)")
    options = parser.parse_args(arguments)
    if not (options.html / "index.html").is_file():
        print(f"no built book at {options.html}: make book", file=sys.stderr)
        return 1
    kind = options.pages.strip("/").replace("/", "-") or "book"
    target = options.out or ROOT / "_build" / f"gan-course-{kind}.pdf"
    try:
        sheets, complaints = make(options.html.resolve(), target, options.pages, options.paper)
    except (chromium.Missing, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for complaint in complaints:
        print(f"warning: {complaint}", file=sys.stderr)
    print(f"The PDF is at {target.resolve()} ({sheets} sheets, {target.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
