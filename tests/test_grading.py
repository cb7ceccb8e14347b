"""Grading a folder: whatever a submission is and does, it gets the right row, and none stops the rest."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

pytest.importorskip("otter", reason="otter-grader is not installed: requirements-assignments.txt has it")

from tools import assignments, grading  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "tests" / "assets" / "assignments"
LIMITS = grading.Limits(cell=15, whole=120, memory=2_000_000_000)
ENDLESS = "while True:\n    pass"
STUBBORN = """
import time
while True:
    try:
        time.sleep(1)
    except BaseException:
        pass
"""
HUNGRY = "kept = []\nwhile True:\n    kept.append(bytearray(b'x' * 50_000_000))"
HUNGRY_CHILDREN = """
import subprocess, sys
code = "import time; kept = [b'x' * 100_000_000 for _ in range(9)]; time.sleep(60)"
for child in [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]:
    child.wait()
"""
TAMPERING = """
import os, torch
os.makedirs("tests", exist_ok=True)
for name in ("q1", "q2"):
    open(f"tests/{name}.py", "w").write("test = {'name': '', 'suites': []}")
torch.allclose = lambda *_: True
"""
BIASED = """
def mean(x):
    return sum(x) / len(x)


def variance(x):
    return sum((value - mean(x)) ** 2 for value in x) / len(x)
"""


@pytest.fixture(scope="module")
def tiny():
    return assignments.load("tiny", TINY)


def notebook(tiny, q1: str | None = None, q2: str | None = None, first: str | None = None, answer: str = "") -> str:
    """Return a submission's file: the handout with some answers filled in."""
    made = nbformat.from_dict(tiny.student)
    for cell in made.cells:
        if q1 and cell.source.startswith("def mean"):
            cell.source = q1
        if q2 and cell.source.startswith("def larger"):
            cell.source = q2
    if first:
        made.cells.insert(1, nbformat.v4.new_code_cell(first))
    if answer:
        made.cells.append(nbformat.v4.new_markdown_cell(answer))
    return nbformat.writes(made)


def perfect(tiny) -> str:
    return nbformat.writes(tiny.answers)


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def table(out: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (out / "points.csv").open(newline="", encoding="utf-8") as file:
        return {(row["student"], row["question"]): row for row in csv.DictReader(file)}


def test_a_class_with_all_kinds_of_submissions(tiny, tmp_path):
    answers = {"q1": tiny.questions["q1"].answer, "q2": tiny.questions["q2"].answer}
    unrelated = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    files = {
        "perfect.ipynb": perfect(tiny),
        "partial.ipynb": notebook(tiny, q1=BIASED, answer="Because one degree of freedom is *gone*."),
        "crashing.ipynb": notebook(tiny, q1="raise RuntimeError('no idea')", q2=answers["q2"]),
        "dying.ipynb": notebook(tiny, **answers, first="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
        "endless.ipynb": notebook(tiny, q1=ENDLESS, q2=answers["q2"]),
        "stubborn.ipynb": notebook(tiny, q1=STUBBORN, q2=answers["q2"]),
        "hungry.ipynb": notebook(tiny, q1=HUNGRY, q2=answers["q2"]),
        "hungry_children.ipynb": notebook(tiny, **answers, first=HUNGRY_CHILDREN),
        "tampering.ipynb": notebook(tiny, q2="def larger(a, b):\n    return a", first=TAMPERING),
        "truncated.ipynb": perfect(tiny)[:1500],
        "unrelated.ipynb": nbformat.writes(unrelated),
        "grace/tiny.ipynb": notebook(tiny, q1="def mean(x):\n    return sum(x) / len(x", q2=answers["q2"]),
        "essay.pdf": b"%PDF-1.7 \xff\xfe",
        ".DS_Store": b"",
        "late/after_all.ipynb": perfect(tiny),
    }
    out = tmp_path / "out"
    grading.grade_folder(tiny, write(tmp_path / "in", files), out, LIMITS, workers=2)
    rows = table(out)
    expected = {  # status, points of q1 and q2
        "perfect": ("ok", "3", "1"),
        "partial": ("ok", "1", "0"),
        "crashing": ("ok", "0", "1"),
        "dying": ("error", "0", "0"),
        "endless": ("timeout", "0", "1"),
        "stubborn": ("timeout", "0", "0"),
        "hungry": ("error", "0", "1"),
        "hungry_children": ("error", "0", "0"),
        "tampering": ("ok", "0", "1"),  # what it gained stands beside a flag
        "truncated": ("unreadable", "0", "0"),
        "unrelated": ("no result", "0", "0"),
        "essay": ("unreadable", "0", "0"),
        "late/after_all": ("ok", "3", "1"),
        "grace": ("ok", "0", "1"),
    }
    got = {name: (rows[name, "q1"]["status"], *(rows[name, q]["points"] for q in ("q1", "q2"))) for name in expected}
    assert got == expected, {name: rows[name, "q1"]["note"] for name in expected if got[name] != expected[name]}
    assert len(rows) == 3 * len(expected)
    assert {row["points"] for (_, question), row in rows.items() if question == "q3"} == {""}
    flags = rows["tampering", "q1"]["flags"]
    assert "replaced torch.allclose" in flags and "wrote a folder tests/" in flags and "names a folder" in flags
    assert not any(rows[name, "q1"]["flags"] for name in expected if name not in ("tampering", "dying"))
    assert "no idea" in rows["crashing", "q1"]["note"] and "memory" in rows["hungry_children", "q1"]["note"].lower()
    assert "another notebook" in rows["unrelated", "q1"]["note"]
    assert re.fullmatch(r"Question 1: SyntaxError: .* \(line 2 of the cell\)", rows["grace", "q1"]["note"])
    told = (out / "feedback" / "grace.md").read_text(encoding="utf-8")
    assert "not defined: mean (1 point)" in told and "not defined: variance (2 points)" in told
    assert "> Nothing was written." in told
    assert "Question 1: a cell ran longer than 15 s" in rows["endless", "q1"]["note"]

    told = (out / "feedback" / "partial.md").read_text(encoding="utf-8")
    assert "**1 of 4 points**" in told and "a hidden test failed (2 points)" in told
    assert "not answered: larger" in told and "q3" not in told and "> Because one degree of freedom is *gone*." in told
    assert "The variance is another one" not in told


def test_a_second_run_keeps_what_is_known(tiny, tmp_path):
    folder = write(tmp_path / "in", {"a.ipynb": perfect(tiny), "b.ipynb": notebook(tiny)})
    first, second, said = tmp_path / "out", [], []
    grading.grade_folder(tiny, folder, first, LIMITS, report=second.append)
    before = (first / "points.csv").read_text(encoding="utf-8")
    write(folder, {"b.ipynb": notebook(tiny, q1=BIASED)})
    grading.grade_folder(tiny, folder, first, LIMITS, report=said.append)
    assert ["kept" in line for line in said] == [True, False]
    assert before.splitlines()[1:4] == (first / "points.csv").read_text(encoding="utf-8").splitlines()[1:4]
    assert table(first)["b", "q1"]["points"] == "1"
    (first / "results" / "a.ipynb.json").write_text("{", encoding="utf-8")  # damaged: graded again
    said.clear()
    grading.grade_folder(tiny, folder, first, LIMITS, report=said.append)
    assert ["kept" in line for line in said] == [False, True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on(tiny, tmp_path, number):
    slow = notebook(tiny, first="import time\ntime.sleep(40)")
    folder = write(tmp_path / "in", {"a.ipynb": perfect(tiny), "b.ipynb": slow, "c.ipynb": perfect(tiny)})
    program = (
        "import sys; from pathlib import Path; from tools import assignments, grading; import argparse;"
        "p = argparse.ArgumentParser(); grading.add_arguments(p);"
        f"sys.exit(grading.run(assignments.load('tiny', Path({str(TINY)!r})), p.parse_args(sys.argv[1:])))"
    )
    command = [sys.executable, "-c", program, "tiny", str(folder), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    kernels: list[psutil.Process] = []
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not (kernels and (tmp_path / "out" / "results" / "a.ipynb.json").exists()):
        time.sleep(0.2)
        if (tmp_path / "out" / "results" / "a.ipynb.json").exists():
            kernels = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and b"the same command goes on" in said
    assert kernels and not any(kernel.is_running() and kernel.status() != "zombie" for kernel in kernels)
    assert {student for student, _ in table(tmp_path / "out")} == {"a"}

    write(folder, {"b.ipynb": perfect(tiny)})
    said = []
    grading.grade_folder(tiny, folder, tmp_path / "out", LIMITS, report=said.append)
    assert ["kept" in line for line in said] == [True, False, False]
    assert {row["points"] for (_, question), row in table(tmp_path / "out").items() if question == "q1"} == {"3"}


def test_a_grader_that_fails_on_one_goes_on(tiny, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr(grading, "grade", fail)
    folder = write(tmp_path / "in", {"a.ipynb": perfect(tiny), "b.ipynb": perfect(tiny)})
    results = grading.grade_folder(tiny, folder, tmp_path / "out", LIMITS)
    assert [(result.status, "no space" in result.note) for result in results] == [("error", True)] * 2


def test_the_whole_has_a_limit_too(tiny, tmp_path):
    slow = "import time\ntime.sleep(5)"
    made = nbformat.from_dict(tiny.answers)
    made.cells[1:1] = [nbformat.v4.new_code_cell(slow) for _ in range(20)]
    folder = write(tmp_path / "in", {"a.ipynb": nbformat.writes(made)})
    (result,) = grading.grade_folder(tiny, folder, tmp_path / "out", grading.Limits(15, 40, 2_000_000_000))
    assert (
        result.status == "timeout" and "did not run" in result.note and result.points == {"q1": 0, "q2": 0}
    )  # what ran so far has defined nothing


def test_hidden_tests_are_told_on_request(tiny):
    result = grading.Result("a", "a.ipynb", "", points={"q1": 1.0, "q2": 1.0})
    result.cases = {"q1": [(True, ""), (False, "The variance is another one.")], "q2": [(True, "")]}
    assert "The variance is another one. (2 points)" in grading.feedback(tiny, result, hidden=True)
    assert "The variance" not in grading.feedback(tiny, result, hidden=False)


@pytest.mark.parametrize(
    ("source", "flag"),
    [
        ("import otter", "names the grader"),
        ("torch.allclose = max", "replaces library code"),
        ("text = open('/home/me/course/assignments/tiny/master.py').read()", "names the masters"),
        ("import gc; gc.get_objects()", "looks into other code's memory"),
        ("# @title Check q1\nprint('fine')", "changed a cell of checks"),
        ("x = torch.zeros(3)\ny = x == 1", None),
    ],
)
def test_flags(tiny, source, flag):
    flags = grading.source_flags(tiny, [source])
    assert (not flags) if flag is None else any(flag in said for said in flags)


def test_the_handout_itself_is_not_flagged(tiny):
    assert grading.source_flags(tiny, [cell.source for cell in tiny.student.cells if cell.cell_type == "code"]) == []


def test_bad_folders_are_refused(tiny, tmp_path, capsys):
    with pytest.raises(ValueError, match="FOLDER must be a folder of submissions"):
        grading.grade_folder(tiny, tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no files"):
        grading.grade_folder(tiny, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ValueError, match="neither inside FOLDER nor around it"):
        grading.grade_folder(tiny, tmp_path / "empty", tmp_path / "empty" / "out")
    assert assignments.main(["grade", "vanilla_gan", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    assert "FOLDER must be" in capsys.readouterr().err


def test_results_are_plain_json(tiny, tmp_path):
    grading.grade_folder(tiny, write(tmp_path / "in", {"a.ipynb": perfect(tiny)}), tmp_path / "out", LIMITS)
    kept = json.loads((tmp_path / "out" / "results" / "a.ipynb.json").read_text(encoding="utf-8"))
    assert kept["points"] == {"q1": 3, "q2": 1} and kept["status"] == "ok"
