"""Every chapter has the form that CONTRIBUTING.md asks for, and stored outputs that belong to its code."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat import NotebookNode

from tools import check_text, execute

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = execute.chapters()
PAGES = sorted(path for path in (ROOT / "book").rglob("*.md") if ".ipynb_checkpoints" not in path.parts)
MACHINE_PATH = re.compile(r"(?<![\w.~/-])(/(home|root|work|tmp|Users)/|[A-Z]:\\)\w")
SOLUTION = check_text.FOLDED["hide-cell"]
FIGURE_NAME = re.compile(r"fig-[a-z]{2}[a-z0-9-]*")
PLACEHOLDER = re.compile(r"\b(to be (written|added)|written later|placeholder|TODO|lorem ipsum)\b", re.I)


@dataclass
class Exercise:
    title: str
    text: str = ""
    code: list[NotebookNode] = field(default_factory=list)


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """Return the exercises: each goes from its `### Exercise` heading to the next heading of that level or above."""
    found, current = [], None
    for cell in notebook.cells:
        if cell.cell_type == "code" and current:
            current.code.append(cell)
        if cell.cell_type != "markdown":
            continue
        fenced = False
        for line in cell.source.splitlines():
            fenced ^= line.lstrip().startswith("```")
            if re.match(r"#{1,3} ", line) and not fenced:
                current = Exercise(line) if line.startswith("### Exercise") else None
                found += [current] if current else []
            elif current:
                current.text += line + "\n"
    return found


def figure_problems(cell: NotebookNode) -> list[str]:
    """Return what a cell's metadata say of its figure that was put there for want of the real words."""
    told = cell.metadata.get("mystnb", {})
    figure, alt = told.get("figure", {}), told.get("image", {}).get("alt", "")
    found, caption = [], figure.get("caption", "")
    if figure and len(caption) < 20:
        found.append(f"its figure has no caption of at least 20 characters: {caption!r}")
    if figure and not FIGURE_NAME.fullmatch(name := figure.get("name", "")):
        found.append(f"the name of its figure is not fig- and a word in lower case: {name!r}")
    for kind, text in (("caption", caption), ("alternative text", alt)):
        if match := PLACEHOLDER.search(text):
            found.append(f"the {kind} of its figure is still to come: {match[0]!r}")
    return found


def takes_nan(check: str) -> list[str]:
    """Return the lines of a check that refuse an answer which is too far off: with nan both > and < are false."""
    return [line for line in check.splitlines() if re.search(r"\babs\([^<]* > ", line)]


def problems(notebook: NotebookNode, least_exercises: int = 8) -> list[str]:
    """Return what is wrong with a chapter, one line each."""
    found = []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not code or "notebook.start(" not in code[0].source:
        found.append("the first code cell does not call notebook.start")

    tasks = exercises(notebook)
    if len(tasks) < least_exercises:
        found.append(f"it has {len(tasks)} exercises, expected at least {least_exercises}")
    for task in tasks:
        if not re.search(r"<summary>\W*Hint", task.text):
            found.append(f"{task.title}: no hint")
        in_code = any(cell.source.startswith(SOLUTION) for cell in task.code)
        if not in_code and not re.search(r"<summary>\W*Solution", task.text):
            found.append(f"{task.title}: no solution")

    for number, cell in enumerate(notebook.cells):
        tags, name = cell.metadata.get("tags", []), f"cell {number}"
        if (cell.source.splitlines()[:1] == [SOLUTION]) != ("hide-cell" in tags):
            found.append(f"{name}: a solution has the tag hide-cell and begins with {SOLUTION!r}, nothing else has")
        if re.search(r"\b(TODO|FIXME|XXX)\b", cell.source):
            found.append(f"{name}: something is left to do")
        if cell.source.startswith("# @title Check"):
            found += [f"{name}: takes nan for an answer: {line.strip()}" for line in takes_nan(cell.source)]
        found += [f"{name}: {problem}" for problem in figure_problems(cell)]
        outputs = cell.get("outputs", [])
        if any(output.output_type == "error" for output in outputs):
            found.append(f"{name}: its output is an error")
        if any(kind.startswith("image/") for output in outputs for kind in output.get("data", {})):
            if len(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")) < 20:
                found.append(f"{name}: its figure has no alternative text of at least 20 characters")

    for text in execute.output_texts(notebook):
        if match := MACHINE_PATH.search(text):
            found.append(f"an output holds a path of a machine: {text[match.start() : match.start() + 60]!r}")
    return found


def test_there_are_chapters_and_all_are_in_the_book():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = {toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])}
    pages = {path.relative_to(ROOT).with_suffix("").as_posix() for path in CHAPTERS + PAGES}
    assert CHAPTERS and pages == listed


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_stored_outputs_belong_to_the_code(path):
    assert execute.problem(path) is None


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_is_small_and_valid(path):
    assert path.stat().st_size < 1_500_000
    nbformat.validate(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_has_the_form(path):
    notebook = nbformat.read(path, as_version=4)
    least = 0 if "appendix" in path.parts else 8
    assert problems(notebook, least) + check_text.problems(path, notebook) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_of_pages(path):
    assert check_text.link_problems(path, path.read_text(encoding="utf-8")) == []


def test_each_work_of_the_bibliography_is_named_somewhere():
    code = [path for folder in ("gan_course", "tools") for path in (ROOT / folder).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in [*CHAPTERS, *PAGES, *code]]
    text = re.sub(r"\s+", " ", " ".join(texts))
    for key, work in check_text.works().items():
        name, year = work.label[:-7], work.label[-5:-1]
        assert any(f"{name}{between}{year}" in text for between in (" (", "'s (", ", ")), key


def good() -> NotebookNode:
    """A chapter with nothing wrong in it."""
    md, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    figure = nbformat.v4.new_output("display_data", {"image/png": "aaaa", "text/plain": "<Figure>"})
    told = {
        "figure": {"caption": "Two curves of what is to be seen.", "name": "fig-curves"},
        "image": {"alt": "Two curves that cross at one half"},
    }
    cells = [
        md("# Chapter\n\n**Time:** core path 2 minutes, with the deeper sections 2, apart from exercises."),
        code("out = notebook.start('chapter')"),
        code("plot()", outputs=[figure], metadata={"mystnb": told}),
    ]
    for number in range(8):
        hint = f"### Exercise {number}\n\nShow it.\n\n<details><summary>Hint</summary>\n\nLook.\n\n</details>\n"
        if number % 2:
            cells.append(md(hint + "\n<details><summary>Solution</summary>\n\nSeen.\n\n</details>"))
            continue
        folded = {"tags": ["hide-cell"], "cellView": "form", "jupyter": {"source_hidden": True}}
        cells += [md(hint), code("answer = None"), code(f"{SOLUTION}\nprint(1)", metadata=folded)]
    return nbformat.v4.new_notebook(cells=[*cells, md("## Summary\n\n```\n### Exercise in a listing\n```")])


PLACE = ROOT / "book" / "game" / "new.ipynb"
FOLDED = {"tags": ["hide-input"], "cellView": "form", "jupyter": {"source_hidden": True}}


def test_a_good_chapter_has_no_problem():
    assert problems(good()) + check_text.problems(PLACE, good()) == []


def output(kind: str, **content) -> list[NotebookNode]:
    return [nbformat.v4.new_output(kind, **content)]


def drawn(cells: list[NotebookNode], **told: str) -> None:
    """Change what the metadata say of the figure: its caption, name or alt."""
    mystnb = cells[2].metadata.mystnb
    for key, text in told.items():
        (mystnb.image if key == "alt" else mystnb.figure)[key] = text


def said(cells: list[NotebookNode], text: str) -> None:
    """Add words to the first cell."""
    cells[0].source += "\n\n" + text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cells: cells[1].update(source="1"), "does not call notebook.start"),
        (lambda cells: cells.pop(-2), "it has 7 exercises"),
        (lambda cells: cells[3].update(source="### Exercise 0\n\nNo help."), "### Exercise 0: no hint"),
        (lambda cells: cells.pop(5), "### Exercise 0: no solution"),
        (lambda cells: cells[5].metadata.pop("cellView"), "cell 5: what is folded is folded in the book, in Colab"),
        (lambda cells: cells[5].metadata.pop("jupyter"), "cell 5: what is folded is folded in the book, in Colab"),
        (lambda cells: cells[5].metadata.update(tags=["hide-input"]), "cell 5: a solution has the tag hide-cell"),
        (lambda cells: cells[2].metadata.update(FOLDED), "cell 2: a folded cell begins with '# @title '"),
        (lambda cells: cells[4].update(source="def check(answer): ..."), "cell 4: what checks an answer is folded"),
        (lambda cells: cells[4].update(source="# TODO"), "cell 4: something is left to do"),
        (
            lambda cells: cells[4].update(source="# @title Check\nif abs(got - 1) > 0.1:\n    pass"),
            "cell 4: takes nan for an answer: if abs(got - 1) > 0.1:",
        ),
        (lambda cells: said(cells, "{cite:p}`lin1991divergence`"), "cell 0: a role or directive shows raw: {cite:p}`"),
        (lambda cells: said(cells, "[Lin (1990)](https://doi.org/10.1109/18.61115)"), "in references.bib: Lin (1991)"),
        (lambda cells: said(cells, "[Lin, 1991](https://arxiv.org/abs/1406.2661)"), "Goodfellow et al. (2014)"),
        (lambda cells: said(cells, "[a paper](https://arxiv.org/abs/1)"), "which is not in references.bib"),
        (lambda cells: said(cells, "[Vanilla](vanila_gan.ipynb)"), "leads to vanila_gan.ipynb, which does not exist"),
        (lambda cells: said(cells, "[V](vanilla_gan.ipynb#nowhere)"), "vanilla_gan.ipynb has no such heading"),
        (lambda cells: said(cells, "[crittic](../appendix/glossary.md)"), "the glossary, which has no such term"),
        (lambda cells: said(cells, r"$$a \tag{1}$$ and $$b \tag{3}$$"), "formulas are numbered [1, 3]"),
        (lambda cells: said(cells, "word " * 2000), "counted: 'core path 11 minutes, with the deeper sections 11'"),
        (lambda cells: said(cells, "## Deeper: more\n\n" + "word " * 2000), "'core path 0 minutes, with the deeper"),
        (lambda cells: cells[4].update(source="x = 1\n" * 31), "cell 4: 31 lines are shown, at most 30"),
        (lambda cells: cells[4].update(source="x" * 75), "cell 4: wider than 74 characters"),
        (lambda cells: cells[4].update(outputs=output("error", ename="E")), "cell 4: its output is an error"),
        (lambda cells: cells[2].metadata.update(mystnb={}), "cell 2: its figure has no alternative text"),
        (lambda cells: drawn(cells, caption="caption"), "cell 2: its figure has no caption of at least 20 characters"),
        (lambda cells: cells[2].metadata.mystnb.figure.pop("caption"), "no caption of at least 20 characters: ''"),
        (lambda cells: drawn(cells, name="fig-x"), "cell 2: the name of its figure is not fig- and a word"),
        (lambda cells: drawn(cells, name="two-curves"), "the name of its figure is not fig- and a word"),
        (lambda cells: cells[2].metadata.mystnb.figure.pop("name"), "the name of its figure is not fig- and a word"),
        (lambda cells: drawn(cells, alt="A text that is to be written later"), "the alternative text of its figure"),
        (lambda cells: drawn(cells, alt="A placeholder for this figure"), "the alternative text of its figure"),
        (lambda cells: drawn(cells, caption="TODO: say what the curves are"), "cell 2: the caption of its figure is"),
        (lambda cells: cells[4].update(outputs=output("stream", text="/tmp/x.py:1: Warning")), "a path of a machine"),
        (lambda cells: cells[4].update(outputs=output("stream", text=r"in C:\Users")), "a path of a machine"),
    ],
)
def test_each_problem_is_found(change, message):
    notebook = copy.deepcopy(good())
    change(notebook.cells)
    found = problems(notebook) + check_text.problems(PLACE, notebook)
    assert 1 <= len(found) <= 2 and any(message in line for line in found)


@pytest.mark.parametrize(
    "text",
    [
        "[Lin (1991)](https://doi.org/10.1109/18.61115) and ([Box and Muller, 1958](https://doi.org/10.1214/aoms/1177706645))",
        "[Lin's (1991)](https://doi.org/10.1109/18.61115) bound",
        "[Csiszár (1967)](../appendix/references.md), for which we know no page",
        r"$$a \tag{1}$$, then $$\begin{aligned} b \\ c \end{aligned} \tag{2}$$",
        "```\n[a listing](nowhere.ipynb) with {cite:p}\n```",
        "[the minimax game](vanilla_gan.ipynb#exercises)",
        "[Critics](../appendix/glossary.md) and the [glossary](../appendix/glossary.md)",
    ],
)
def test_what_is_right_is_let_through(text):
    notebook = copy.deepcopy(good())
    said(notebook.cells, text)
    assert check_text.problems(PLACE, notebook) == []
