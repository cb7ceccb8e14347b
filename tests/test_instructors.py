"""The page for instructors says what is so: minutes of chapters, points of assignments, goals, commands."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import yaml

pytest.importorskip("otter", reason="otter-grader is not installed: requirements-assignments.txt has it")

from tools import assignments, check_text  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "book" / "appendix" / "instructors.md").read_text(encoding="utf-8")
LOADED = {name: assignments.load(name) for name in assignments.names()}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def chapters() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [file[5:] for file in files if (ROOT / f"{file}.ipynb").exists() and "appendix" not in file]


def test_every_chapter_stands_there_with_its_minutes():
    told = {re.search(r"\(\.\./(\S+)\.ipynb\)", row[0])[1]: row for row in rows("What a chapter takes")}
    assert list(told) == chapters()
    for chapter, row in told.items():
        core, whole = check_text.minutes(nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4))
        assert abs(int(row[1]) - core) <= 3 and abs(int(row[2]) - whole) <= 3, (chapter, core, whole)


def test_every_assignment_stands_there_with_its_points():
    told = {re.search(r"`(\w+)`", row[0])[1]: row for row in rows("The assignments")}
    assert list(told) == list(LOADED)
    for name, row in told.items():
        questions = LOADED[name].questions.values()
        tested = sum(question.points for question in questions if question.tests is not None)
        read = sum(question.points for question in questions if question.tests is None)
        assert row[1:4] == [str(len(questions)), f"{tested:g}", f"{read:g}"], name
        hours = re.search(r"\*\*Time\*\*: (\w+) to (\w+) hours", LOADED[name].student.cells[0].source)
        words = {"one": 1, "two": 2, "three": 3, "four": 4}
        assert row[4] == f"{words[hours[1]]} to {words[hours[2]]}", name


def test_every_question_serves_a_goal_and_every_chapter_is_named():
    table = rows("Goals, chapters, questions")
    text = "\n".join("|".join(row) for row in table)
    named = {
        (name, number)
        for name, numbers in re.findall(r"`(\w+)` ([q\d, ]+)", "\n".join(row[2] for row in table))
        for number in re.findall(r"q\d+", numbers)
    }
    there = {(name, question) for name, loaded in LOADED.items() for question in loaded.questions}
    assert named == there, (there - named, named - there)
    assert {chapter for chapter in chapters() if f"(../{chapter}.ipynb)" not in text} == set()


def test_both_plans_name_every_assignment_or_chapter():
    ten_weeks = PAGE.split("\n## A course of ten weeks\n")[1].split("\n## ")[0]
    assert [chapter for chapter in chapters() if f"(../{chapter}.ipynb)" not in ten_weeks] == []
    titles = {row[0].split("`")[0].strip(" (") for row in rows("The assignments")}
    assert titles == {cell for row in rows("A course of ten weeks") for cell in row[3:4] if cell}
    handed_out = [row[3] for row in rows("A course of ten weeks") if row[3]]
    due = [row[4] for row in rows("A course of ten weeks") if row[4]]
    assert due == handed_out[:-1]


def test_commands_and_options_exist(capsys):
    for command, name in re.findall(r"tools/assignments\.py (\w+) (\w+)", PAGE):
        assert command in ("build", "check", "key", "archive", "grade") and name in LOADED
    for tool in set(re.findall(r"python3? (tools/\w+\.py)", PAGE)):
        assert (ROOT / tool).is_file(), tool
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\S+)", PAGE, re.M)):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.M), target
    with pytest.raises(SystemExit):
        assignments.main(["grade", "--help"])
    shown = capsys.readouterr().out
    for option in set(re.findall(r"`(--[\w-]+)`", PAGE)) - {"--mirror"}:
        assert option in shown, option


def test_statuses_are_those_of_the_grader():
    told = {row[0].strip("`") for row in rows("Students' code runs as you")}
    source = (ROOT / "tools" / "grading.py").read_text(encoding="utf-8")
    assert told == {"ok", "timeout", "error", "unreadable", "no result"}
    assert all(f'"{status}"' in source for status in told)
