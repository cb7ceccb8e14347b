"""Assignments: masters, students' notebooks and wrong answers agree, and the tools notice where they do not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytest.importorskip("otter", reason="otter-grader is not installed: requirements-assignments.txt has it")

from tools import assignments, grading  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "tests" / "assets" / "assignments"
NAMES = assignments.names()
END = '""" # END TEST CONFIG'


@pytest.fixture
def tiny(tmp_path):
    """A copy of the tiny assignment, with its student's notebook."""
    folder = tmp_path / "masters"
    shutil.copytree(TINY, folder)
    write_student(folder)
    return folder


def write_student(folder: Path) -> None:
    loaded = assignments.load("tiny", folder)
    (folder / "tiny" / "tiny.ipynb").write_text(assignments.text(loaded.student), encoding="utf-8")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def execute(notebook: nbformat.NotebookNode, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run a notebook in an empty folder in the profile `quick`; return what its cells print."""
    for name, value in {"GAN_COURSE_PROFILE": "quick", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, value)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [line for output in outputs if output.output_type == "stream" for line in output.text.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_master_student_and_mutants_agree(name):
    assert assignments.problems(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_four_to_eight_questions_with_a_rubric(name):
    loaded = assignments.load(name)
    assert 4 <= len(loaded.questions) <= 8
    read = [question for question in loaded.questions.values() if question.tests is None]
    assert read
    handed_out = "\n".join(cell.source for cell in loaded.student.cells if cell.cell_type == "markdown")
    for question in read:
        part = handed_out.split(f"## {question.title}")[1].split("\n## ")[0]
        points = [float(row.split("|")[1]) for row in part.splitlines() if row.startswith("| ") and row[2].isdigit()]
        assert sum(points) == question.points, f"the rubric of {question.name} has {points}"
    assert "**Points**: " in handed_out  # `problems` compares it with the questions


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_notebook_fails_kindly(name, monkeypatch):
    loaded = assignments.load(name)
    printed = execute(loaded.student, monkeypatch)
    for question in loaded.questions.values():
        if question.tests is not None:
            said = [line for line in printed if line.startswith(f"{question.name}: ")]
            assert said and all("still to be written" in line for line in said), said


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_pass_where_students_check_and_where_the_grader_does(name, tmp_path):
    loaded = assignments.load(name)
    (tmp_path / "in").mkdir()
    nbformat.write(loaded.answers, tmp_path / "in" / "key.ipynb")
    (result,) = grading.grade_folder(loaded, tmp_path / "in", tmp_path / "out")
    full = {question.name: question.points for question in loaded.questions.values() if question.tests is not None}
    assert (result.status, result.flags, result.note, result.points) == ("ok", [], "", full)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_otter_or_of_metadata_is_needed(name):
    text = (assignments.FOLDER / name / f"{name}.ipynb").read_text(encoding="utf-8")
    assert "otter" not in text and "ipywidgets" not in text and "BEGIN" not in text
    loaded = assignments.load(name)
    for cell in loaded.student.cells:
        assert cell.metadata in ({}, assignments.FOLDED)


def test_a_rebuild_gives_the_same_bytes(tiny):
    first = assignments.text(assignments.load("tiny", tiny).student)
    assert first == assignments.text(assignments.load("tiny", tiny).student)
    assert assignments.problems("tiny", tiny) == []


def test_checks_say_what_differs(monkeypatch):
    loaded = assignments.load("tiny", TINY)
    student = loaded.student
    answers = {
        "def mean": "def mean(x):\n    return max(x)\n\n\ndef variance(x):\n    ...",
        "def larger": "def larger(a, b):\n    c = ...\n    return torch.maximum(a, c)",
    }
    for cell in student.cells:
        for start, code in answers.items():
            if cell.source.startswith(start):
                cell.source = code
    assert execute(student, monkeypatch) == [
        "q1: not yet. The mean of 1, 2 and 6 is 3, yours is 6.",
        "q2: still to be written: larger (run the cell above when it is).",
        "This cell waits for the check of q1, q2.",
    ]


def test_checks_survive_an_error_and_open_what_waits(monkeypatch):
    student = assignments.load("tiny", TINY).answers
    broken = "def larger(a, b):\n    return a.no_such_method(b)"
    cells = [cell for cell in student.cells if cell.source.startswith("def larger")]
    check = next(cell.source for cell in student.cells if cell.source.startswith("# @title Check q2"))
    fixed, cells[0].source = cells[0].source, broken
    place = next(number for number, cell in enumerate(student.cells) if cell.source == check) + 1
    student.cells[place:place] = [nbformat.v4.new_code_cell(fixed), nbformat.v4.new_code_cell(check)]
    assert execute(student, monkeypatch) == [
        "q1: all public tests pass.",
        "q2: not yet. While it was tried, it raised AttributeError: 'Tensor' object has no attribute 'no_such_method'",
        "q2: all public tests pass.",
        "trained",
    ]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("return sum(x) / len(x)", "return sum(x) / (len(x) + 1)", "their own tests: q1 gets 0, expected 3"),
        ("larger are [4, 5]", "larger are [5, 4]", "is not what its master gives"),
        ("    # BEGIN SOLUTION\n    secret_centre", "    secret_centre", "otter cannot read"),
        ("# name: q2", "# name: q2\n# points: [1, 1]", "otter cannot read"),
        ('1\n""" # END TEST CONFIG\ndef test_larger', f'1\nhidden: true\n{END}\ndef test_larger', "no public"),
        ("def test_variance(", "def test_mean(", "have one name"),
        ("for the tests of the tools", "**Points**: 5 for code that is tested, 2 for you", "questions have 4 and 2"),
        ("# ## Question 2: the larger one", "# The larger one", "q2 has no title"),
        ("    got = mean([1, 2, 6])\n", "    return\n    got = mean([1, 2, 6])\n", "the untouched notebook gets"),
    ],
)  # fmt: skip
def test_faults_of_a_master_are_named(tiny, old, new, complaint):
    change(tiny / "tiny" / "master.py", old, new)
    try:
        told = "\n".join(assignments.problems("tiny", tiny))
    except assignments.AssignmentError as error:
        told = str(error)
    assert complaint in told


def test_a_leak_is_noticed(tiny):
    change(
        tiny / "tiny" / "master.py", "    # BEGIN SOLUTION\n    return sum(x) / len(x)\n    # END SOLUTION", "    ..."
    )
    master = tiny / "tiny" / "master.py"
    loaded = assignments.load("tiny", tiny)
    loaded.student.cells[0].source += "\nown_secret_numbers = [0, 0, 3, 3]\n`secret_centre = mean(x)`"
    assert assignments.leaks(loaded) == ["own_secret_numbers = [0, 0, 3, 3]", "secret_centre = mean(x)"]
    change(master, "# # A tiny assignment", "# # A tiny assignment\n#\n# secret_centre = mean(x)")
    assert "secret_centre = mean(x)" not in assignments.load("tiny", tiny).secret  # it stands in the open anyway


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"biased", 1,', '"biased", 2,', "wrong answer to q1, 'biased': q1 gets 1, expected 2"),
        ('"nothing", 0, "mean = variance = None\\n"', '"nothing", 0, "mean = variance = larger = None\\n"', None),
        ('("the first", 0, "def larger(a, b):\\n    return a\\n"),', "", "q2 has 2 wrong answers"),
        ('"smaller", 0,', '"smaller", 1,', "1 are full points"),
        ('"q2": [', '"q4": [', "expected ['q1', 'q2']"),
    ],
)
def test_faults_of_mutants_are_named(tiny, old, new, complaint):
    change(tiny / "tiny" / "mutants.py", old, new)
    told = "\n".join(assignments.problems("tiny", tiny)) if complaint != "expected ['q1', 'q2']" else None
    if told is None:
        told = "\n".join(assignments.problems("tiny", tiny))
    assert (complaint in told) if complaint else told == ""


def test_the_archive_for_gradescope_gives_the_answers_full_points(tmp_path):
    loaded = assignments.load("tiny", TINY)
    (tmp_path / "autograder.zip").write_bytes(loaded.archive)
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        names = archive.namelist()
        assert {"tests/q1.py", "tests/q2.py", "setup.sh", "run_autograder", "environment.yml"} <= set(names)
        assert "gan-course @ git+https://github.com/" in archive.read("environment.yml").decode()
    program = (
        "import sys; from otter.api import grade_submission; "
        "print('TOTAL', grade_submission(sys.argv[1], sys.argv[2]).total)"
    )
    for notebook, points in ((loaded.answers, 4), (loaded.student, 0)):
        nbformat.write(notebook, tmp_path / "tiny.ipynb")
        command = [sys.executable, "-c", program, tmp_path / "tiny.ipynb", tmp_path / "autograder.zip"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert f"TOTAL {points}" in told.stdout.replace(".0", ""), told.stdout + told.stderr


def test_the_key_has_answers_outputs_and_rubric(monkeypatch, tmp_path):
    loaded = assignments.load("tiny", TINY)
    monkeypatch.setattr(assignments, "load", lambda name: loaded)
    monkeypatch.setattr(assignments, "OUTPUT", tmp_path)
    notebook, page = assignments.key("tiny")
    assert "SOLUTION" not in notebook.read_text(encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    assert "secret_centre" in text and "trained" in text and "estimated from the same numbers" in text


def test_unknown_names_are_refused(capsys):
    assert assignments.main(["build", "no_such"]) == 2
    said = capsys.readouterr().err
    assert "no assignment 'no_such'" in said and NAMES[0] in said


def test_commands(capsys):
    assert assignments.main(["check", NAMES[0]]) == 0
    assert capsys.readouterr().out == f"{NAMES[0]}: all agrees\n"
    path = assignments.FOLDER / NAMES[0] / f"{NAMES[0]}.ipynb"
    before = path.read_bytes()
    assert assignments.main(["build", NAMES[0]]) == 0
    assert path.read_bytes() == before


def test_a_fork_with_another_address_stays_in_step(tmp_path):
    """As an instructor does: a copy, its address set once; then what students get is still what the master gives."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (
            name.startswith(("tools/", "assignments/", "_config", "pyproject", "gan_course/"))
            and (ROOT / name).is_file()
        ):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"MPLBACKEND": "Agg"}
    address = "https://github.com/some-school/gan-2027"
    for program in (["tools/set_repository.py", address], ["tools/assignments.py", "check", NAMES[0]]):
        done = subprocess.run([sys.executable, *program], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    student = (tmp_path / "assignments" / NAMES[0] / f"{NAMES[0]}.ipynb").read_text(encoding="utf-8")
    assert f"{address}" in student and "gan-course/gan-course" not in student
