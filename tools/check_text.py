#!/usr/bin/env python3
"""Check what chapters say in plain Markdown: citations, numbers of formulas, links, cells, minutes.

Every reader of a notebook (the book, Colab, GitHub, JupyterLab) shows plain Markdown alike, and none of Sphinx's roles.
Prints one line for each fault, and with --minutes how long each chapter takes to read.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode
from pybtex.database import Entry, parse_file

ROOT = Path(__file__).resolve().parent.parent
ROLE = re.compile(r"\{[a-z:]+\}`|^(?:```|:::)\{", re.M)
TAG = re.compile(r"\\tag\{(\d+)\}")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")
CITATION = re.compile(r"(.+?)(?:'s)?(?: \((\d{4})\)|, (\d{4}))", re.S)
WORK_PAGE = re.compile(r"https?://(?:doi\.org|arxiv\.org)/")
LONGEST_CELL, WIDEST_LINE = 30, 74
WORDS, LINES = 200, 20  # read in a minute
FOLDED = {"hide-cell": "# @title Solution", "hide-input": "# @title "}
HEAD = re.compile(r"core path (\d+) minutes, with the deeper sections (\d+)")


class Work(NamedTuple):
    """An entry of the bibliography: what it is called, "Box and Muller (1958)", and its page on the net, if any."""

    label: str
    target: str | None


@functools.cache
def works() -> dict[str, Work]:
    """Return the entries of book/references.bib by their keys."""

    def name(entry: Entry) -> str:
        people = entry.persons.get("author") or entry.persons["editor"]
        last = [
            " ".join(str(part) for part in (*person.rich_prelast_names, *person.rich_last_names)) for person in people
        ]
        return last[0] if len(last) == 1 else " and ".join(last) if len(last) == 2 else f"{last[0]} et al."

    found = {}
    for key, entry in parse_file(str(ROOT / "book" / "references.bib")).entries.items():
        doi = entry.fields.get("doi")
        target = f"https://doi.org/{doi}" if doi else entry.fields.get("url")
        found[key] = Work(f"{name(entry)} ({entry.fields['year']})", target)
    return found


@functools.cache
def terms() -> dict[str, str]:
    """Return the terms of the glossary as they stand there, by how they are written in lower case, plurals included."""
    text = (ROOT / "book" / "appendix" / "glossary.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\{glossary\}\n(.*?)^```", text, re.S | re.M)
    return {name.lower() + plural: name for name in re.findall(r"^(\S.*)$", block, re.M) for plural in ("", "s")}


def prose(text: str) -> str:
    """Return Markdown without what stands in code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)


def slug(heading: str) -> str:
    """Return a heading's anchor, made as GitHub, Colab and the book make it."""
    plain = re.sub(r"[`*$]|\[([^\]]*)\]\([^)]*\)", r"\1", heading.lower()).strip()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@functools.cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of a page's headings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    named = re.findall(r"^\(([\w-]+)\)=$", text, re.M)
    return frozenset([*map(slug, re.findall(r"^#{1,4} (.+)$", text, re.M)), *named])


def link_problems(path: Path, text: str) -> list[str]:
    """Return what is wrong with the links of a page at ``path``."""
    found, labels = [], {work.target: [] for work in works().values()}
    for work in works().values():
        labels[work.target].append(work.label)
    for words, target in LINK.findall(prose(text)):
        page, _, anchor = target.partition("#")
        citation = CITATION.fullmatch(words)
        if citation and (target in labels or not page or page.endswith("references.md") or WORK_PAGE.match(target)):
            known = labels.get(None if page.endswith("references.md") else target, [])
            label = f"{citation[1]} ({citation[2] or citation[3]})"
            if label not in known:
                found.append(f"[{words}] leads to {target}, in references.bib: {', '.join(known) or 'nothing'}")
        elif WORK_PAGE.match(target) and target not in labels:
            found.append(f"[{words}] leads to {target}, which is not in references.bib")
        elif not re.match(r"[a-z]+:", target):
            other = (path.parent / page).resolve() if page else path
            if not other.exists():
                found.append(f"[{words}] leads to {target}, which does not exist")
            elif other.name == "lab.md" and "=" in anchor:
                pass  # settings of the lab; the test of live pages tries them
            elif anchor and anchor not in anchors(other):
                found.append(f"[{words}] leads to {target}, and {other.name} has no such heading")
            elif other.name == "glossary.md" and not anchor and words.lower() not in {*terms(), "glossary"}:
                found.append(f"[{words}] leads to the glossary, which has no such term")
    return found


def sections(notebook: NotebookNode) -> list[tuple[str, NotebookNode, str]]:
    """Return the cells in pieces: ``core``, ``deeper`` or ``exercises``, the cell, and the piece of its source."""
    found, kind, level = [], "core", 0
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            found.append((kind, cell, cell.source))
            continue
        for piece in re.split(r"^(?=#{1,6} )", re.sub(r"^```.*?^```", "", cell.source, flags=re.S | re.M), flags=re.M):
            if heading := re.match(r"(#+) (.*)", piece):
                depth = len(heading[1])
                if kind == "core" or depth <= level:
                    kind, level = "core", depth
                    if heading[2].startswith("Deeper:"):
                        kind = "deeper"
                    elif heading[2].startswith("Exercises"):
                        kind = "exercises"
            found.append((kind, cell, piece))
    return found


def shown(cell: NotebookNode) -> bool:
    """Say whether the book shows the code of this cell unfolded."""
    return cell.cell_type == "code" and not FOLDED.keys() & set(cell.metadata.get("tags", []))


def words(text: str) -> int:
    """Count the words of Markdown; a formula within a line counts as one, a displayed one as ten."""
    text = re.sub(r"<[^>]+>|\]\([^)]*\)", " ", text)
    text = re.sub(r"\$\$.*?\$\$", " x" * 10, text, flags=re.S)
    return len(re.findall(r"\S*\w\S*", re.sub(r"\$[^$]+\$", " x ", text)))


def minutes(notebook: NotebookNode) -> tuple[int, int]:
    """Return the minutes of a chapter's core path, and those with its deeper sections; exercises come on top."""
    times = {"core": 0.0, "deeper": 0.0, "exercises": 0.0}
    for kind, cell, piece in sections(notebook):
        if cell.cell_type == "markdown":
            times[kind] += words(piece) / WORDS
        elif shown(cell):
            times[kind] += len(piece.splitlines()) / LINES
    return round(times["core"]), round(times["core"] + times["deeper"])


def problems(path: Path, notebook: NotebookNode) -> list[str]:
    """Return what is wrong with a chapter's Markdown and with the form of its cells, one line each."""
    found, tags = [], []
    for number, cell in enumerate(notebook.cells):
        name = f"cell {number}"
        if cell.cell_type == "markdown":
            found += [f"{name}: a role or directive shows raw: {role}" for role in ROLE.findall(cell.source)]
            found += [f"{name}: {line}" for line in link_problems(path, cell.source)]
            tags += map(int, TAG.findall(cell.source))
        elif shown(cell):
            lines = cell.source.splitlines()
            if len(lines) > LONGEST_CELL:
                found.append(f"{name}: {len(lines)} lines are shown, at most {LONGEST_CELL}: fold or split it")
            wide = [line for line in lines if len(line) > WIDEST_LINE]
            found += [f"{name}: wider than {WIDEST_LINE} characters: {line.strip()}" for line in wide]
        if cell.cell_type == "code":
            folded = [tag for tag in FOLDED if tag in cell.metadata.get("tags", [])]
            elsewhere = (
                cell.metadata.get("cellView") == "form",
                cell.metadata.get("jupyter", {}).get("source_hidden") is True,
            )
            if any(folded) != all(elsewhere) or any(folded) != any(elsewhere):
                found.append(f"{name}: what is folded is folded in the book, in Colab and in JupyterLab")
            if "def check" in cell.source and not folded:
                found.append(f"{name}: what checks an answer is folded, for it shows the answer")
            if any(not cell.source.startswith(FOLDED[tag]) for tag in folded):
                found.append(f"{name}: a folded cell begins with {FOLDED[folded[0]]!r}")
    if tags != list(range(1, len(tags) + 1)):
        found.append(f"formulas are numbered {tags}, expected 1, 2, 3, ...")
    head = HEAD.search("\n".join(cell.source for cell in notebook.cells[:4]))
    if "appendix" not in path.parts:
        told = tuple(map(int, head.groups())) if head else None
        if told is None or any(abs(a - b) > 3 for a, b in zip(told, minutes(notebook), strict=True)):
            expected = "core path {} minutes, with the deeper sections {}".format(*minutes(notebook))
            found.append(f"its head says {head and head[0]!r}, counted: {expected!r}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="notebooks and pages (default: all of the book)")
    parser.add_argument("--minutes", action="store_true", help="print the minutes of each chapter")
    options = parser.parse_args()
    pages = [path.resolve() for path in options.pages] or sorted(
        path for path in (ROOT / "book").rglob("*") if path.suffix in (".ipynb", ".md") and "_" not in path.parent.name
    )
    found = 0
    for path in pages:
        if path.suffix == ".md":
            lines = link_problems(path, path.read_text(encoding="utf-8"))
        else:
            notebook = nbformat.read(path, as_version=4)
            lines = problems(path, notebook)
            if options.minutes:
                code = sum(len(cell.source.splitlines()) for cell in notebook.cells if shown(cell))
                count = {kind: 0 for kind in ("core", "deeper", "exercises")}
                for kind, cell, piece in sections(notebook):
                    count[kind] += words(piece) if cell.cell_type == "markdown" else 0
                print(f"{path.stem}: minutes {minutes(notebook)}, words {count}, visible lines of code {code}")
        for line in lines:
            print(f"{path.relative_to(ROOT)}: {line}")
        found += len(lines)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
