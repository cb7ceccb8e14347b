#!/usr/bin/env python3
"""Make slides of the chapters: for each a deck in one HTML file that opens without a network.

    python tools/slides.py                                all notebooks of the book
    python tools/slides.py book/game/vanilla_gan.ipynb    writes _build/slides/vanilla_gan.html

A chapter says nothing about its slides; they follow from its structure and its stored outputs. Each heading opens a
slide, with the first sentences below it. Further slides show each figure, each table, each formula that has a number,
with the sentence that introduces it, lists, the sentences that hold something in bold, and the code of the section
"The algorithm" or to which a sentence leads. All other text becomes speaker notes of the slide before it (press S).
Sections headed "Deeper:" hang below the slide that they follow, the tasks of the exercises below a list of their
titles; hints, solutions and what checks answers are left out. Add ?print-pdf to the address to print.
"""

from __future__ import annotations

import argparse
import base64
import html
import math
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import normpath
from typing import Any

import nbformat
import yaml
from jinja2 import pass_context
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "book" / "_ext")]  # a script's path holds its own folder only

import formulas  # noqa: E402

from tools import check_text, set_repository, vendor  # noqa: E402

TEMPLATE = ROOT / "book" / "_slides"
OUT = ROOT / "_build" / "slides"
LIMIT = 6_000_000  # bytes of a deck
LINES, WIDTH, TABLE_WIDTH = 15.0, 86, 104  # of text on a slide; letters in a line, and in one of a table
LEAD, ITEM, REMARK = 45, 28, 30  # words of a heading's first sentences, of a list's item, of what follows a bold start
FEW = 12  # words that alone would say too little below a heading
PRINTED = 3  # printed lines that stand below a figure or a table
GOALS = "After this chapter you can"
TITLE = re.compile(r"# @title (?:[A-Z]\w*(?: \w+)?: )?(.*)")
DETAILS = re.compile(r"<details>.*?</details>", re.S)
TALL = re.compile(r"\\(?:d?frac|sum|int|prod)\b")
BOLD = re.compile(r"\*\*(.+?)\*\*", re.S)
WIDGET_PICTURE = re.compile(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]*)"')
# What no sentence ends in: formulas, code, bold words, links, brackets.
ATOM = re.compile(
    r"\$[^$]+\$|`[^`\n]+`|\*\*.+?\*\*"
    rf"|!?{check_text.LINK.pattern.removeprefix('(?<!!)')}"
    r"|\([^()]*(?:\([^()]*\)[^()]*)*\)",
    re.S,
)
ABBREVIATIONS = ("al.", "e.g.", "i.e.", "vs.", "cf.", "etc.", "approx.")


@dataclass
class Slide:
    """One slide: Markdown, perhaps code or an output, and what the speaker may say."""

    title: str
    section: str
    down: bool = False  # below the slide before it, not beside it
    body: list[str] = field(default_factory=list)
    shown: NotebookNode | None = None  # a code cell, its source or an output of it
    below: list[str] = field(default_factory=list)  # Markdown below a table
    notes: list[str] = field(default_factory=list)
    room: float = LINES
    level: int = 2

    def cells(self) -> Iterator[NotebookNode]:
        """Yield the cells of which nbconvert makes the slide."""
        head = f"{'#' * self.level} {self.title}"
        kind = "subslide" if self.down else "slide"
        text = "\n\n".join([head, *self.body])
        size = "large" if self.shown is None and self.level > 1 and self.room > LINES / 2 else "normal"
        about = {"slide_type": kind, "data": {"size": size}}
        yield new_markdown_cell(text, metadata={"slideshow": about, "section": self.section})
        if self.shown is not None:
            yield self.shown
        if self.below:
            yield new_markdown_cell("\n\n".join(self.below))
        if self.notes:
            yield new_markdown_cell("\n\n".join(self.notes), metadata={"slideshow": {"slide_type": "notes"}})


def sentences(text: str) -> list[str]:
    """Split a paragraph of Markdown into its sentences."""
    atoms: list[str] = []

    def hide(match: re.Match[str]) -> str:
        atoms.append(match[0])
        ended = re.search(r"[.?!](?:\*\*|\))$", match[0])
        return f"\ue000{len(atoms) - 1}" + ("\ue001" if ended else "\ue002")

    hidden = ATOM.sub(hide, " ".join(text.split()))
    found, start = [], 0
    for end in re.finditer(r'(?:[.?!]["”*]?|\ue001)\s+(?=["“A-Z\d*\ue000])', hidden):
        if not hidden[start : end.end()].rstrip().endswith(ABBREVIATIONS):
            found.append(hidden[start : end.end()].strip())
            start = end.end()
    found.append(hidden[start:].strip())
    shown = [re.sub(r"\ue000(\d+)[\ue001\ue002]", lambda match: atoms[int(match[1])], part) for part in found]
    return [part for part in shown if part]


def within(parts: list[str], limit: int, at_least: int = 1, few: int = 0) -> int:
    """Count the sentences from the start that have at most ``limit`` words together, but more than ``few``."""
    count, total = 0, 0
    for part in parts:
        before, total = total, total + check_text.words(part)
        if count >= at_least and total > limit and before >= few:
            break
        count += 1
    return count


def letters(text: str) -> int:
    """Count what is to be seen of Markdown in a line, roughly: of a formula half of its TeX."""
    text = check_text.LINK.sub(r"\1", text)
    text = re.sub(r"\$[^$]+\$", lambda m: "x" * max(1, len(re.sub(r"\\[a-z]+|[{}\s]", "x", m[0])) * 2 // 3), text)
    return len(re.sub(r"[*`]", "", text))


def cost(kind: str, text: str) -> float:
    """Say how many lines of a slide a block takes."""
    if kind == "math_block":
        return 0.6 + sum(1.6 if TALL.search(row) else 1.1 for row in text.split(r"\\"))
    if kind == "fence":
        return 0.65 * len(text.splitlines()) + 0.5
    if kind.endswith("list"):
        return sum(cost("item", shortened(item)) for item in items(text))
    if kind == "table":
        return sum(row_lines(cells_of(text)))
    if kind == "item":
        return sum(math.ceil(letters(line) / (WIDTH - 4)) for line in text.splitlines() if line.strip()) + 0.3
    return math.ceil(letters(text) / WIDTH) + 0.5


def blocks(source: str) -> list[tuple[str, str]]:
    """Return the outermost blocks of Markdown: the parser's name of each, and its source."""
    lines = source.split("\n")
    return [
        (token.type.removesuffix("_open"), "\n".join(lines[token.map[0] : token.map[1]]).rstrip())
        for token in PARSER.parse(source)
        if token.level == 0 and token.map and token.nesting >= 0
    ]


def items(source: str) -> list[str]:
    """Return the items of a list with their marks; those of an ordered one with their numbers."""
    lines = source.split("\n")
    tokens = [token for token in PARSER.parse(source) if token.type == "list_item_open" and token.level == 1]
    found = ["\n".join(lines[token.map[0] : token.map[1]]).rstrip() for token in tokens]
    if tokens and tokens[0].info:
        found = [re.sub(r"^\s*\d+", token.info, text, count=1) for token, text in zip(tokens, found, strict=True)]
    return found


def shortened(item: str) -> str:
    """Keep the first sentences of an item of a list; one that holds more than a paragraph stays whole."""
    mark, text = re.match(r"(\s*(?:[-*+]|\d+[.)])\s+)(.*)", item, re.S).groups()
    if "\n" in text.strip() and [kind for kind, _ in blocks(re.sub(r"^ {1,4}", "", text, flags=re.M))] != ["paragraph"]:
        return item
    parts = sentences(text)
    return mark + " ".join(parts[: within(parts, ITEM, 1 + run_in(parts[0]))])


def run_in(sentence: str) -> bool:
    """Say whether a sentence is a heading within the text: bold or italic, and perhaps a citation."""
    start = re.match(r"\*\*.+?\*\*|\*[^*]+\*", sentence, re.S)
    return start is not None and check_text.words(check_text.LINK.sub("", sentence[start.end() :])) < 3


def prompts(text: str) -> bool:
    """Say whether Markdown ends by asking the reader for a guess: what comes next would give it away."""
    last = sentences(text.strip().splitlines()[-1])[-1]
    return last.rstrip("*").endswith("?") or any(re.search(r"[Gg]uess|[Pp]redict", bold) for bold in BOLD.findall(text))


def cells_of(table: str) -> list[list[str]]:
    """Return the cells of a table of Markdown, row by row, its head first."""
    head, _, *rows = table.splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))] for row in [head, *rows]]


def row_lines(rows: list[list[str]]) -> list[float]:
    """Say how many lines of text each row of a table is high if its columns get the widths that they need."""
    columns = list(zip(*rows, strict=False))
    wanted = [max(letters(cell) for cell in column) + 2 for column in columns]
    scale = min(1.0, TABLE_WIDTH / sum(wanted))
    if scale < 1:  # what is short keeps its width
        short = [width if width <= TABLE_WIDTH / len(wanted) else 0 for width in wanted]
        rest = sum(width for width, kept in zip(wanted, short, strict=True) if not kept)
        scale = (TABLE_WIDTH - sum(short)) / rest
        wanted = [kept or width * scale for width, kept in zip(wanted, short, strict=True)]
    fit = [max(math.ceil((letters(c) + 1) / max(w, 6)) for c, w in zip(row, wanted, strict=False)) for row in rows]
    return [0.76 * count + 0.4 for count in fit]


def in_pieces(parts: list[str], lines: list[float], room: float) -> list[list[str]]:
    """Distribute rows or items evenly to as few slides as have ``room`` for their lines, or nearly."""
    room *= 1.08  # a little too much gets a smaller font
    share = sum(lines) / math.ceil(sum(lines) / room)
    pieces: list[list[str]] = [[]]
    filled = 0.0
    for part, needed in zip(parts, lines, strict=True):
        if pieces[-1] and (filled + needed > room or filled + needed / 2 > share):
            pieces.append([])
            filled = 0.0
        pieces[-1].append(part)
        filled += needed
    return pieces


class Deck:
    """The slides of one chapter, in the order of the talk; filled by reading its cells one after the other."""

    def __init__(self, notebook: NotebookNode, address: str) -> None:
        """Read a chapter; ``address`` is where it can be read on the net."""
        self.address = address
        self.core: list[Slide] = []
        self.summary: list[Slide] = []
        self.exercises: list[Slide] = []
        self.read_next: list[str] = []
        self.title = self.section = self.heading = ""
        self.part, self.depth = "core", 0
        self.opening = True  # before the first section
        self.fresh = True  # nothing below the present heading has been shown yet
        self.before = ""  # the kind of the block or output before
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                self.markdown(cell.source)
            elif self.part != "exercises" and self.title:
                self.code(cell)

    @property
    def place(self) -> list[Slide]:
        """The part of the deck that is being filled."""
        return {"exercises": self.exercises, "summary": self.summary}.get(self.part, self.core)

    def add(self, title: str, section: str | None = None) -> Slide:
        """Begin a slide."""
        down = bool(self.place) and (self.part == "deeper" or self.part == "exercises")
        if section is None:
            section = self.section if self.section != title else self.title
        self.place.append(Slide(title, section, down, room=LINES - 1.3 * (letters(title) // 56)))
        self.fresh = False
        return self.place[-1]

    def note(self, text: str) -> None:
        self.place[-1].notes.append(text)

    def text(self, kind: str, text: str, also: float = 0.0) -> None:
        """Put a block on the present slide of text, or on a new one if it, and ``also`` so many lines, do not fit."""
        needed = cost(kind, text)
        last = self.place[-1] if self.place and not self.fresh else None
        if last and kind == "paragraph" and not also and "lines" in (last.shown or {}).get("metadata", {}):
            if needed <= last.room:
                last.below.append(text)
                last.room -= needed
                return
        slide = self.open_slide()
        if slide is None or (slide.body and needed + also > slide.room):
            slide = self.add(self.heading)
        if kind == "item" and self.before == "item" and slide.body:
            slide.body[-1] += "\n" + text
        else:
            slide.body.append(text)
        slide.room -= needed
        self.before = kind

    def open_slide(self) -> Slide | None:
        """Return the last slide if it is one of text below the present heading."""
        slide = self.place[-1] if self.place and not self.fresh else None
        return slide if slide and slide.title == self.heading and slide.shown is None else None

    def markdown(self, source: str) -> None:
        """Read a cell of text."""
        found = blocks(DETAILS.sub("", source))
        if not found or self.part == "exercises" and not any(kind == "heading" for kind, _ in found):
            return  # all of it is folded, or it belongs to a solution
        for (kind, text), (after, following) in zip(found, [*found[1:], ("", "")], strict=True):
            if kind == "heading":
                self.head(text)
            elif self.part == "exercises":
                self.task(kind, text)
            elif kind == "paragraph":
                self.paragraph(text, after, following)
            elif kind in ("bullet_list", "ordered_list"):
                self.listing(text)
            elif kind == "table":
                self.table(text)
            elif kind == "math_block" and (self.before == "intro" or check_text.TAG.search(text)):
                self.text(kind, text)
                self.before = "tagged" if check_text.TAG.search(text) else kind
            elif self.place:
                self.note(text)
                self.before = ""

    def head(self, text: str) -> None:
        marks, title = re.match(r"(#+)\s+(.*)", text).groups()
        if len(marks) == 1:
            self.title = self.heading = title
            return
        if len(marks) == 2:
            self.section, self.opening = title, False
        if self.part == "core" or len(marks) <= self.depth:
            self.part, self.depth = "core", len(marks)
            for start, part in (("Deeper:", "deeper"), ("Exercises", "exercises"), ("Summary", "summary")):
                if title.startswith(start):
                    self.part = part
        self.heading, self.fresh, self.before = title, True, "heading"
        if self.part == "exercises":
            self.add(title)

    def paragraph(self, text: str, after: str, following: str) -> None:
        """Show what a paragraph has to say on a slide; its whole text is a note."""
        if self.opening:
            self.welcome(text)
            return
        if self.part == "summary" and text.startswith("**Read next"):
            self.read_next.append(text)
            return
        parts = sentences(text)
        chosen: set[int] = set()
        if self.fresh or self.part == "summary":
            chosen |= set(range(within(parts, LEAD, few=FEW)))
        leads = after in ("math_block", "table", "bullet_list", "ordered_list")
        tagged = after == "math_block" and check_text.TAG.search(following)
        if tagged or (after != "math_block" and leads and (text.endswith(":") or check_text.words(text) < FEW)):
            chosen.add(len(parts) - 1)
        goes_on = self.before == "math_block" or (self.before == "tagged" and not text[0].isupper())
        if goes_on:
            chosen.add(0)  # the formula's sentence goes on, or says what to think of it
        for i, part in enumerate(parts):
            if any(check_text.words(bold) >= 3 for bold in BOLD.findall(part)):
                chosen.add(i)
                if run_in(part):
                    chosen |= set(range(i + 1, i + 1 + within(parts[i + 1 :], REMARK)))
        visual = self.place[-1] if self.before == "visual" and self.place else None
        whole = len(chosen) == len(parts)
        if visual and (not whole):
            visual.notes.append(text)
        introduces = after if leads and len(parts) - 1 in chosen else ""
        starts = [i for i in sorted(chosen) if i - 1 not in chosen or (goes_on and i == 1)]
        for start in starts:
            end = next(i for i in range(start + 1, len(parts) + 1) if i not in chosen or i in starts)
            also = cost(after, following) if introduces and end == len(parts) else 0.0
            words = " ".join(parts[start:end])
            self.text("paragraph", words, min(also, LINES - cost("paragraph", words)))
        if not visual and not whole:
            self.note(text)
        leads_to_code = not after and text.endswith(":") and len(parts) - 1 in chosen
        self.before = "intro" if introduces == "math_block" or leads_to_code else "paragraph"

    def welcome(self, text: str) -> None:
        """Show the first words of a chapter beside its title; the heading of its goals is one of a slide."""
        if text.startswith("[![") or not self.title:
            return  # the link to Colab
        if text.rstrip(":") == f"**{GOALS}**":
            self.heading, self.fresh = GOALS, True
            return
        if not self.core:
            slide = self.add(self.title, "")
            slide.level, slide.room = 1, 0.0
            parts = sentences(text)
            slide.body.append(" ".join(parts[: within(parts, LEAD)]))
        self.note(text)

    def listing(self, text: str) -> None:
        whole = items(text)
        keep = self.part == "summary" or self.heading == GOALS
        short = whole if keep else [shortened(item) for item in whole]
        slide = self.open_slide()
        lines = [cost("item", item) for item in short]
        if slide is None or (sum(lines) > slide.room and len(slide.body) > 1):
            slide = self.add(self.heading)
        room = LINES if sum(lines) <= LINES else max(slide.room, *lines)
        for number, piece in enumerate(in_pieces(short, lines, room)):
            if number:
                slide = self.add(self.heading)
            slide.body.append("\n".join(piece))
            slide.room -= sum(cost("item", item) for item in piece)
        self.before = "list"
        for item, shown in zip(whole, short, strict=True):
            if item != shown:
                self.note(item)

    def table(self, text: str) -> None:
        """Show a table of Markdown, long ones on several slides."""
        head, line, *rows = text.splitlines()
        lines = row_lines(cells_of(text))
        slide = self.open_slide()
        if slide is None or (sum(lines) > slide.room and len(slide.body) > 1):
            slide = self.add(self.heading)
        for number, piece in enumerate(in_pieces(rows, lines[1:], slide.room - lines[0])):
            if number:
                slide = self.add(self.heading)
            slide.body.append("\n".join([head, line, *piece]))
            slide.room = 0.0 if number else slide.room - sum(lines)
        self.before = "table"

    def task(self, kind: str, text: str) -> None:
        """Show what an exercise asks for."""
        if len(self.exercises) == 1:
            self.note(text)  # of all exercises
        elif kind.endswith("list"):
            for item in items(text):
                self.text("item", item)
        else:
            self.text(kind, text)

    def code(self, cell: NotebookNode) -> None:
        """Show the pictures and tables of a code cell, and the code of the algorithm."""
        titled = TITLE.match(cell.source)
        if "hide-cell" in cell.metadata.get("tags", []) or (titled and titled[1] in ("Setup", "Check", "Solution")):
            return
        algorithm = self.heading.startswith("The algorithm") and re.search(r"^(?:def|class) ", cell.source, re.M)
        if check_text.shown(cell) and (algorithm or self.before == "intro"):
            slide = self.open_slide()
            if slide is None or cost("fence", cell.source) > slide.room:
                slide = self.add(self.heading)
            slide.shown, slide.room = new_code_cell(cell.source), 0.0
            self.before = "visual"
        printed = "".join(output.text for output in cell.outputs if output.output_type == "stream").rstrip()
        title = titled[1] if titled else ""
        for output in cell.outputs:
            for shown in self.visuals(cell, output.get("data", {}), printed):
                name = title[:1].upper() + title[1:]
                slide = self.open_slide()
                headed = self.fresh and not self.opening
                joins = slide is not None and slide.level > 1 and self.fits(shown, slide)
                if not joins:
                    slide = self.add(self.heading if headed or not name else name)
                if (joins or headed) and name and "caption" in shown.metadata:
                    shown.metadata.caption = f"**{name}.** {shown.metadata.caption}"
                if slide.title != self.heading and self.heading not in (self.section, self.title):
                    slide.section += f" · {self.heading}"
                if printed and printed.count("\n") < PRINTED:
                    shown.outputs.append(nbformat.v4.new_output("stream", text=printed))
                    printed = ""
                slide.shown = shown
                slide.room -= shown.metadata.get("lines", LINES)
                self.before = "visual"
        if printed and self.place:
            self.note(f"```\n{printed}\n```")

    def fits(self, shown: NotebookNode, slide: Slide) -> bool:
        """Say whether a picture or a table has a place below the text of a slide, and gives no answer away."""
        if not slide.body or prompts(slide.body[-1]):
            return False
        if "lines" in shown.metadata:
            return shown.metadata.lines <= slide.room
        return LINES - slide.room <= (5.0 if shown.metadata.wide else 2.6)

    def visuals(self, cell: NotebookNode, data: dict[str, Any], printed: str) -> Iterator[NotebookNode]:
        """Yield cells that show the picture or the pieces of the table that an output holds."""
        markup = data.get("text/html", "")
        about = cell.metadata.get("mystnb", {})
        alt = about.get("image", {}).get("alt", "")
        caption = about.get("figure", {}).get("caption", alt)
        if picture := WIDGET_PICTURE.search(markup):
            data, alt = {"image/png": picture[1]}, html.unescape(picture[2])
            link = f"{self.address}#{check_text.slug(self.heading)}"
            caption = f"{alt}. It moves in [the chapter]({link})."
        if kinds := [kind for kind in ("image/svg+xml", "image/png") if kind in data]:
            output = nbformat.v4.new_output("display_data", {kinds[0]: data[kinds[0]]})
            about = {"alt": alt, "caption": caption, "wide": aspect(kinds[0], data[kinds[0]]) > 1.9}
            yield new_code_cell("", outputs=[output], metadata=about)
        elif "<table>" in markup:
            start, rows, end = re.match(r"(.*<tbody>)(.*)(</tbody>.*)", markup, re.S).groups()
            each = re.findall(r"<tr>.*?</tr>", rows, re.S)
            lines = [1.25 * math.ceil(len(re.sub(r"<[^>]+>", "", row)) / TABLE_WIDTH) for row in each]
            for piece in in_pieces(each, lines, LINES - 2.5):
                output = nbformat.v4.new_output("display_data", {"text/html": start + "".join(piece) + end})
                about = {"lines": 2.5 + sum(lines) + 0.8 * min(PRINTED, len(printed.splitlines()))}
                yield new_code_cell("", outputs=[output], metadata=about)

    def slides(self) -> list[Slide]:
        """Return all slides: the chapter, its summary, its exercises, and where it comes from."""
        settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
        book, author = settings["title"], settings["author"]
        first = self.core[0]
        first.body.append(f'<p class="book">{book} · {author}<br><a href="{self.address}">{self.address}</a></p>')
        if self.exercises:
            titles = dict.fromkeys(re.sub(r"^Exercise (\d+): ", r"\1. ", slide.title) for slide in self.exercises[1:])
            self.exercises[0].body.append("\n".join(['<div class="titles">\n', *titles, "\n</div>"]))
        licence = "https://creativecommons.org/licenses/by/4.0/"
        last = Slide("Read next" if self.read_next else "Where this comes from", self.title)
        for text in self.read_next:
            last.body.append(text.removeprefix("**Read next.**").strip())
        last.body.append(
            f'<p class="book">Slides made from the chapter <a href="{self.address}">{html.escape(self.title)}</a> '
            f'of “{book}”, {author}, <a href="{licence}">CC BY 4.0</a>.</p>'
        )
        return [*self.core, *self.summary, *self.exercises, last]

    def notebook(self) -> NotebookNode:
        """Return the slides as a notebook whose cells say which slide they belong to."""
        return new_notebook(cells=[cell for slide in self.slides() for cell in slide.cells()])


def mathml(text: str, options: dict[str, Any]) -> str:
    """Return a formula for the speaker's window, which has none of KaTeX's styles."""
    return re.search(r"<math.*?</math>", formulas.typeset(text, options["display_mode"]), re.S)[0]


def parser(renderer: Any) -> MarkdownIt:
    """Return a reader of Markdown as the book's: tables, and formulas between dollars."""
    reader = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=renderer)

    def link_open(self: Any, tokens: Any, place: int, options: Any, env: dict[str, Any]) -> str:
        token = tokens[place]
        token.attrSet("href", absolute(token.attrGet("href"), env["page"]))
        return self.renderToken(tokens, place, options, env)

    reader.add_render_rule("link_open", link_open)
    return reader


PARSER = parser(lambda text, options: formulas.typeset(text, options["display_mode"]))
NOTES = parser(mathml)


def address(page: str) -> str:
    """Return where a page of the book, by its path in the repository, can be read on the net."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    if published := settings["sphinx"]["config"].get("html_baseurl"):
        return f"{published.rstrip('/')}/{Path(page).with_suffix('.html').as_posix()}"
    owner, name, branch = set_repository.configured(ROOT)
    return f"https://github.com/{owner}/{name}/blob/{branch}/{page}"


def absolute(target: str, page: str) -> str:
    """Return a link of a page as one that leads there from anywhere."""
    if re.match(r"[a-z]+:", target):
        return target
    path, hash_, anchor = target.partition("#")
    return address(normpath(f"{Path(page).parent.as_posix()}/{path}") if path else page) + hash_ + anchor


class DeckExporter(SlidesExporter):
    """nbconvert's slides, with the formulas typeset and everything in one file."""

    page = ""

    def __init__(self, page: str) -> None:
        """``page`` is the chapter's path in the repository."""
        config = Config({"CSSHTMLHeaderPreprocessor": {"style": "default"}})
        super().__init__(config, extra_template_basedirs=[str(TEMPLATE.parent)], template_name=TEMPLATE.name)
        self.page = page

    def default_filters(self) -> Iterator[tuple[str, Any]]:
        yield from super().default_filters()
        yield "markdown_line", lambda text: PARSER.renderInline(text, {"page": self.page})
        yield "data_uri", data_uri

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        notes = context["cell"].metadata.get("slide_type") == "notes"
        return (NOTES if notes else PARSER).render(source, {"page": self.page})


def aspect(kind: str, content: str) -> float:
    """Return the width of a picture over its height."""
    if kind == "image/png":
        width, height = struct.unpack(">II", base64.b64decode(content)[16:24])
    else:
        width, height = map(float, re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', content).groups())
    return width / height


def data_uri(data: dict[str, str]) -> str:
    """Return a picture as an address that holds it."""
    ((kind, content),) = data.items()
    if kind == "image/svg+xml":
        content = base64.b64encode(content.encode()).decode()
    return f"data:{kind};base64,{''.join(content.split())}"


def resources(title: str) -> dict[str, Any]:
    """Return what the template puts into the file besides the slides."""
    katex, reveal = ROOT / vendor.KATEX, ROOT / vendor.REVEAL

    def embedded(match: re.Match[str]) -> str:
        return f"url(data:font/woff2;base64,{base64.b64encode((katex / match[1]).read_bytes()).decode()})"

    def read(path: Path) -> str:
        return path.read_text(encoding="utf-8")

    formula_styles = re.sub(r"url\((fonts/[\w-]+\.woff2)\)", embedded, read(katex / "katex.min.css"))
    formula_styles = re.sub(r',url\(fonts/[\w-]+\.(?:woff|ttf)\) format\("\w+"\)', "", formula_styles)
    scripts = [read(reveal / "reveal.js"), read(reveal / "notes.js"), read(TEMPLATE / "deck.js")]
    return {
        "title": title,
        "language": "en",
        "licences": "\n".join(f"{folder.name}\n{read(folder / 'LICENSE.txt')}" for folder in (reveal, katex)),
        "styles": [read(reveal / "reveal.css"), formula_styles, read(TEMPLATE / "deck.css")],
        "scripts": [script.replace("</script", r"<\/script") for script in scripts],
    }


def make(path: Path, folder: Path = OUT) -> Path:
    """Write the deck of a chapter and return where it is; raises ValueError if it is too large."""
    page = path.resolve().relative_to(ROOT).as_posix()
    deck = Deck(nbformat.read(path, as_version=4), address(page))
    if not deck.title or not deck.core:
        raise ValueError(f"{page}: a chapter begins with '# Title' and a paragraph")
    text, _ = DeckExporter(page).from_notebook_node(deck.notebook(), {"deck": resources(deck.title)})
    if len(text.encode()) > LIMIT:
        raise ValueError(f"{page}: its deck has {len(text.encode()):,} bytes, more than {LIMIT:,}")
    target = folder / path.with_suffix(".html").name
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target


def chapters() -> list[Path]:
    """Return the notebooks of _toc.yml, in reading order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = [ROOT / f"{entry['file']}.ipynb" for part in toc["parts"] for entry in part["chapters"]]
    return [path for path in pages if path.exists()]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="chapters (default: all of the book)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the decks (default: _build/slides)")
    options = parser.parse_args(arguments)
    for path in options.notebooks or chapters():
        try:
            print(make(path, options.out))
        except (OSError, ValueError) as error:
            print(f"slides: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
