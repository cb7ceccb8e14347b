"""The automatic checks of exercises take right answers and refuse typical wrong ones, which stand in tests/exercises/.

There, ``ANSWERS`` has for each exercise what a reader may write in place of the stub, the first code cell below the
exercise's heading. The cells after it, up to the solution, are the check: it says "correct" or it does not, and never
raises. Cells with the tag `exercise-setup` run before. Cases of the debugging clinic are found by the ids of their
cells: `case-07-broken` is what readers change, `case-07-check` the check.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from IPython.core.inputtransformer2 import TransformerManager
from test_chapters import CHAPTERS, SOLUTION, Exercise, exercises

FOLDER = Path(__file__).parent / "exercises"
ANSWERS = {path.stem: runpy.run_path(str(path))["ANSWERS"] for path in sorted(FOLDER.glob("*.py"))}
CASES = [
    pytest.param(chapter, title, kind, answer, id=f"{chapter}-{title}-{kind}-{number}")
    for chapter, answered in ANSWERS.items()
    for title, kinds in answered.items()
    for kind in ("right", "wrong")
    for number, answer in enumerate(kinds[kind])
]
NOTEBOOKS = {path.stem: path for path in CHAPTERS}


def checked(chapter: str) -> dict[str, Exercise]:
    """Return a chapter's exercises that have an automatic check: a stub and at least one cell before the solution."""
    notebook, found = nbformat.read(NOTEBOOKS[chapter], as_version=4), {}
    for task in exercises(notebook):
        before = [cell for cell in task.code if not cell.source.startswith(SOLUTION)]
        if len(before) >= 2:
            found[re.match(r"### (Exercise \d+)", task.title)[1]] = task
    cells = {cell.id: cell for cell in notebook.cells}
    for case in [name.removesuffix("-broken") for name in cells if re.fullmatch(r"case-\d\d-broken", name)]:
        found[case] = Exercise(case, code=[cells[f"{case}-broken"], cells[f"{case}-check"]])
    return found


def run(source: str, names: dict[str, Any]) -> None:
    exec(compile(TransformerManager().transform_cell(source), "<cell>", "exec"), names)


@pytest.fixture(scope="module")
def prepared() -> dict[str, tuple[dict[str, Any], torch.dtype]]:
    """The names that a chapter's setup cells have defined, and the dtype that they chose for new tensors."""
    return {}


def told(chapter: str, title: str, answer: str | None, prepared: dict[str, tuple[dict[str, Any], torch.dtype]]) -> str:
    """Return what the check of an exercise prints for an answer (None: the stub as it is)."""
    if chapter not in prepared:
        names = {"__name__": "__main__", "display": print}
        for cell in nbformat.read(NOTEBOOKS[chapter], as_version=4).cells:
            if "exercise-setup" in cell.metadata.get("tags", []):
                run(cell.source, names)
        prepared[chapter] = names, torch.get_default_dtype()
    stub, *check = [cell.source for cell in checked(chapter)[title].code if not cell.source.startswith(SOLUTION)]
    defined, dtype = prepared[chapter]
    torch.set_default_dtype(dtype)
    names, printed = dict(defined), io.StringIO()
    with contextlib.redirect_stdout(printed):
        for source in [stub if answer is None else answer, *check]:
            run(source, names)
    plt.close("all")
    return printed.getvalue()


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_COURSE_PROFILE", "quick")
    monkeypatch.chdir(tmp_path)
    yield
    torch.set_default_dtype(torch.float32)  # a chapter may have chosen another one


@pytest.mark.parametrize(("chapter", "title", "kind", "answer"), CASES)
def test_answers(chapter, title, kind, answer, prepared):
    said = told(chapter, title, answer, prepared)
    assert ("correct" in said.lower()) == (kind == "right"), said


@pytest.mark.parametrize("chapter", [path.stem for path in CHAPTERS if "appendix" not in path.parts])
def test_each_check_is_tried(chapter, prepared):
    answered = ANSWERS[chapter]
    assert answered.keys() == checked(chapter).keys()
    for title, kinds in answered.items():
        assert len(set(kinds["right"])) >= 1 and len(set(kinds["wrong"])) >= 3, title
        assert "correct" not in told(chapter, title, None, prepared).lower(), f"{title}: the stub as it is"
