"""The debugging clinic: each case has its cells, a check that knows right from wrong, and a table that shows the harm.

The answers that readers may give stand in tests/exercises/debugging_clinic.py and are tried by tests/test_exercises.py.
"""

from __future__ import annotations

import json
import re

import nbformat
import pytest
import torch
from test_exercises import ANSWERS, NOTEBOOKS, checked, prepared, quick, told  # noqa: F401 (fixtures)

from tools import results
from tools.experiments import clinic, programs
from tools.results_page import spread

PAGES = [stem for stem in NOTEBOOKS if stem.startswith("debugging_clinic")]
PLACES = {case[5:]: stem for stem in PAGES for case in checked(stem) if case.startswith("case-")}
TABLES = {entry.settings["case"]: name for name, entry in results.ENTRIES.items() if name.startswith("clinic_")}
CASES = sorted(PLACES)
#: tables of other pages that an answer quotes
QUOTED = {"01": ("labels_mistake_softmax", "conditional_digits_acgan"), "10": ("labels_mistake_number",)}


def test_there_are_cases_and_no_table_without_one():
    assert CASES == [f"{case:02}" for case in range(1, 31)]
    assert sorted(TABLES) == CASES


@pytest.mark.parametrize("case", CASES)
def test_a_case_has_its_cells(case):
    order = [cell.id for cell in nbformat.read(NOTEBOOKS[PLACES[case]], as_version=4).cells]
    start = order.index(f"case-{case}")
    parts = ("", "-broken", "-check", "-solution", "-harm")
    assert order[start : start + 5] == [f"case-{case}{part}" for part in parts]
    text = clinic.cells()[f"case-{case}"]
    assert re.match(rf"### Case {int(case)}: \w", text) and "<summary>Hint" in text
    assert "<summary>Answer: what was wrong, and what it costs</summary>" in clinic.cells()[f"case-{case}-harm"]
    answer = clinic.cells()[f"case-{case}-harm"]
    assert [answer.count(piece) for piece in ("**Repair**", "**What it costs**", "\n\nMore: ")] == [1, 1, 1]
    assert clinic.cells()[f"case-{case}-check"].startswith("# @title Check\n")
    assert clinic.cells()[f"case-{case}-solution"].startswith("# @title Solution\n")


@pytest.mark.parametrize("case", CASES)
def test_the_check_knows_the_repaired_program(case, prepared):  # noqa: F811
    assert "correct" in told(PLACES[case], f"case-{case}", clinic.source(case, "solution"), prepared)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("answer", [None, "..."], ids=["as it was", "stub"])
def test_the_check_refuses(case, answer, prepared):  # noqa: F811
    said = told(PLACES[case], f"case-{case}", answer, prepared)
    assert "correct" not in said and "not yet" in said


@pytest.mark.parametrize("case", CASES)
def test_each_check_is_tried_with_answers(case):
    kinds = ANSWERS[PLACES[case]][f"case-{case}"]
    assert len(set(kinds["right"])) >= 2 and len(set(kinds["wrong"])) >= 4
    assert not set(kinds["right"]) & set(kinds["wrong"])


@pytest.mark.parametrize("case", CASES)
def test_the_table_shows_the_harm_that_the_text_tells(case):
    table = results.read(TABLES[case])
    assert len(table["rows"]) >= 5
    sign = {"lower": -1, "higher": 1}[table["settings"]["better"]]
    broken, solution = ([row[cell] for row in table["rows"]] for cell in ("broken", "solution"))
    wins = sum(sign * b > sign * a for a, b in zip(broken, solution, strict=True))
    text = clinic.cells()[f"case-{case}-harm"]
    for quoted in (spread(broken), spread(solution), f"{wins} of {len(broken)} seeds"):
        assert quoted in text, f"case {case} does not say {quoted!r}"
    if wins < 0.9 * len(broken):
        assert re.search(r"by chance|no (gain|harm|difference)|not (better|worse|seen)|little", text), (
            "it must say so in words"
        )


@pytest.mark.parametrize("case", CASES)
def test_each_median_with_a_range_stands_in_a_table(case):
    found = set()
    for name in (TABLES[case], *QUOTED.get(case, ())):
        rows = results.read(name)["rows"]
        found |= {
            spread([row[key] for row in rows]) for key, value in rows[0].items() if isinstance(value, int | float)
        }
    texts = "".join(clinic.cells()[f"case-{case}{part}"] for part in ("", "-harm"))
    told = re.findall(r"-?[\d.]+ \(-?[\d.]+ to -?[\d.]+\)", texts)
    assert told and set(told) <= found, set(told) - found


def test_a_table_is_stale_when_its_program_changes(tmp_path, monkeypatch):
    case = CASES[0]
    before = clinic.version(case)
    notebook = nbformat.read(NOTEBOOKS[PLACES[case]], as_version=4)
    next(cell for cell in notebook.cells if cell.id == f"case-{case}-solution").source += "\n# another line"
    (tmp_path / "appendix").mkdir()
    nbformat.write(notebook, tmp_path / "appendix" / "debugging_clinic.ipynb")
    programs.cells.cache_clear()
    monkeypatch.setattr(programs, "BOOK", tmp_path)
    try:
        assert clinic.version(case) != before
        stored = results.read(TABLES[case])["settings"]
        assert json.loads(json.dumps(clinic.entry(print, case, "lower").settings))["programs"] != stored["programs"]
        with pytest.raises(ValueError, match=f"programs must be '{clinic.version(case)}'.*, got '{before}'"):
            clinic.both(case, before)
    finally:
        programs.cells.cache_clear()


def test_programs_are_run_apart():
    first, again = (clinic.program("05", cell) for cell in ("broken", "solution"))
    x = torch.ones(3)
    assert first["loss_g"](x) == 1 and again["loss_g"](x) == -1
    assert "check" not in first


def test_an_unknown_case_is_refused():
    with pytest.raises(ValueError, match="the clinic has no 'case-99-broken', expected one of case-01-broken, "):
        clinic.program("99", "broken")
