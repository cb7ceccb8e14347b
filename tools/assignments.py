#!/usr/bin/env python3
"""Make the assignments: what students get, what the grader needs, and the answer key.

assignments/NAME/master.py holds questions, answers, tests and rubric in otter-grader's blocks (jupytext's percent
format), assignments/NAME/mutants.py wrong answers with the points that each must get. From these

    python tools/assignments.py build [NAME ...]    writes assignments/NAME/NAME.ipynb, the student's notebook
    python tools/assignments.py check [NAME ...]    proves that master, student's notebook and mutants agree
    python tools/assignments.py key NAME            runs the answers and writes the key, as a notebook and a page
    python tools/assignments.py archive NAME        writes the autograder for Gradescope
    python tools/assignments.py grade NAME FOLDER   grades a folder of submissions (tools/grading.py)

otter-grader splits answers from questions and writes the test files; the student's notebook needs neither otter nor
any file beside it: every question is followed by a folded cell with its public tests and a call of `check`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import re
import runpy
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # `python tools/assignments.py` would find this folder only

from tools import set_repository  # noqa: E402

FOLDER = ROOT / "assignments"
OUTPUT = ROOT / "_build" / "assignments"
#: What otter is told of every master. Colab wants tests in files, and `name` would bind a submission to one file name.
CONFIG = """# ASSIGNMENT CONFIG
init_cell: false
check_all_cell: false
export_cell: false
show_question_points: true
strip_solutions_from_all_cells: true
generate: true
tests:
    files: true
    ok_format: false
requirements:
    - torch
    - matplotlib
    - gan-course @ git+https://github.com/{repository}
"""
#: Stands in front of the questions in every student's notebook. It must not need more than Python.
CHECK = '''# @title The checks (run this cell once, you need not read it)
import dis
import inspect

_passed = set()


def _told(function):
    return [(step.opname, step.argval) for step in dis.get_instructions(function)]


def _leaves_dots(function):
    """Whether dots are named, returned or handed on; in an index, as in x[..., 0], they are an answer."""
    steps = _told(function) + [("", None)]
    uses = [(name, following) for (name, value), (following, _) in zip(steps, steps[1:]) if value is ...]
    handed_on = ("RETURN", "STORE_FAST", "STORE_DEREF", "PRECALL", "CALL")
    return any(name.startswith("RETURN") or following.startswith(handed_on) for name, following in uses)


def _unfilled(value):
    """Whether an answer, or a part of it, still is or has the dots of the handout."""
    def empty(): ...
    if value is None or value is ...:
        return True
    parts = vars(value).values() if inspect.isclass(value) else value.values() if isinstance(value, dict) else [value]
    functions = [part for part in parts if inspect.isfunction(part)]
    dots = any(_told(f) == _told(empty) or _leaves_dots(f) for f in functions)
    return dots or any(part is ... for part in parts)


def check(question, *tests):
    """Run a question's public tests on what is defined now; say what differs, and never raise."""
    _passed.discard(question)
    for test in tests:
        given = {name: globals().get(name) for name in inspect.signature(test).parameters}
        if waiting := [name for name, value in given.items() if _unfilled(value)]:
            print(f"{question}: still to be written: {' and '.join(waiting)} (run the cell above when it is).")
            return
        try:
            test(**given)
        except AssertionError as difference:
            print(f"{question}: not yet. {difference}")
            return
        except Exception as error:
            print(f"{question}: not yet. While it was tried, it raised {type(error).__name__}: {error}")
            return
    _passed.add(question)
    print(f"{question}: all public tests pass.")


def passed(*questions):
    """Whether the checks of these questions have passed; says which have not."""
    if waiting := [question for question in questions if question not in _passed]:
        print(f"This cell waits for the check of {', '.join(waiting)}.")
    return not waiting
'''
MARKS = re.compile(
    r"^ *# (BEGIN|END) SOLUTION( NO PROMPT)?\n?| *# SOLUTION( NO PROMPT)?$|^<!-- (BEGIN|END) QUESTION -->\n*", re.M
)
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}
METADATA = {
    "colab": {"provenance": [], "toc_visible": True},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class AssignmentError(ValueError):
    """A master, a mutant or a student's notebook that is not as it must be."""


class Mutant(NamedTuple):
    """A wrong answer: what is wrong with it, the points that its question must get, and its code."""

    what: str
    points: float
    code: str


@dataclass
class Question:
    """A question: its title, its points, the answer's code, and its tests as otter wrote them (none if it is read)."""

    name: str
    title: str
    points: float
    answer: str
    tests: str | None


@dataclass
class Assignment:
    """What a master gives.

    Attributes:
        name: the folder's name.
        student, answers: the notebook that is handed out, and the same with the answers.
        questions: by their names, in their order.
        code: the sources of all code cells but tests, each with the question that it answers, if any.
        secret: lines of answers and hidden tests, which the student's notebook must not have.
        archive: otter's autograder for Gradescope, a zip file.
    """

    name: str
    student: NotebookNode
    answers: NotebookNode
    questions: dict[str, Question]
    code: list[tuple[str | None, str]]
    secret: list[str]
    archive: bytes


def names() -> list[str]:
    """Return the assignments, in the order in which a course takes them: that of assignments/order.txt."""
    listed = (FOLDER / "order.txt").read_text(encoding="utf-8").split()
    there = {path.parent.name for path in FOLDER.glob("*/master.py")}
    if sorted(listed) != sorted(there):
        raise AssignmentError(f"assignments/order.txt has {listed}, expected each of {sorted(there)} once")
    return listed


def load(name: str, folder: Path = FOLDER) -> Assignment:
    """Read a master and let otter take it apart.

    Raises:
        AssignmentError: if there is none of that name, or it is not in the form that otter or this tool needs.
    """
    path = folder / name / "master.py"
    if not path.is_file():
        known = ", ".join(sorted(other.parent.name for other in folder.glob("*/master.py")))
        raise AssignmentError(f"no assignment {name!r}: there is no {path.name} for it; known are {known}")
    import jupytext  # slow, as is otter

    master = jupytext.read(path)
    org, repo, _ = set_repository.configured()
    config = CONFIG.format(repository=f"{org}/{repo}")
    master.metadata.update(METADATA)
    master.cells.insert(0, nbformat.v4.new_raw_cell(config))
    with tempfile.TemporaryDirectory() as temporary:
        written = Path(temporary) / f"{name}.ipynb"
        nbformat.write(master, written)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                otter_assign(written, Path(temporary) / "split")
        except Exception as error:
            raise AssignmentError(f"otter cannot read {path}: {type(error).__name__}: {error}") from error
        split = Path(temporary) / "split"
        tests = {file.stem: file.read_text(encoding="utf-8") for file in (split / "autograder" / "tests").glob("*.py")}
        public = {file.stem: file.read_text(encoding="utf-8") for file in (split / "student" / "tests").glob("*.py")}
        student = nbformat.read(split / "student" / written.name, as_version=4)
        answers = nbformat.read(split / "autograder" / written.name, as_version=4)
        (archive,) = (split / "autograder").glob("*.zip")
        archived = archive.read_bytes()
    questions = {question.name: question for question in parsed(path, master, tests)}
    for notebook in (student, answers):
        finish(notebook, name, public)
    code = [
        (question["name"] if inside == "solution" else None, cell.source)
        for question, inside, cell in blocks(master)
        if cell.cell_type == "code" and inside != "tests"
    ]
    return Assignment(name, student, answers, questions, code, secrets(master), archived)


def otter_assign(master: Path, result: Path) -> None:
    from otter.assign import main

    main(str(master), str(result), no_pdfs=True, no_run_tests=True)


def blocks(master: NotebookNode) -> Iterator[tuple[dict[str, Any] | None, str | None, NotebookNode]]:
    """Walk through a master: the configuration of the question that a cell is in, its inner block, and the cell."""
    question, inside = None, None
    for cell in master.cells[1:]:
        edge = re.match(r"# (BEGIN|END) (\w+)", cell.source) if cell.cell_type == "raw" else None
        if edge is None:
            yield question, inside, cell
        elif edge[2] == "QUESTION":
            question = yaml.safe_load(cell.source) if edge[1] == "BEGIN" else None
        else:
            inside = edge[2].lower() if edge[1] == "BEGIN" else None


def parsed(path: Path, master: NotebookNode, tests: dict[str, str]) -> list[Question]:
    """Return the questions of a master.

    Raises:
        AssignmentError: if one has no heading of its own, no answer, no points, or no public test.
    """
    found: dict[str, Question] = {}
    for config, inside, cell in blocks(master):
        if config is None:
            continue
        name = config["name"]
        if name not in found:
            found[name] = Question(name, "", float(config.get("points") or 0), "", tests.get(name))
        question = found[name]
        heading = re.match(r"## (.+)", cell.source) if cell.cell_type == "markdown" and inside is None else None
        if heading and not question.title:
            question.title = heading[1]
        if inside == "solution":
            question.answer += ("\n\n" if question.answer else "") + cell.source
    for question in found.values():
        if question.tests is not None:
            test_functions(question.tests)  # of two with one name otter would forget the first
            cases = test_cases(question.tests)
            question.points = sum(case.points for case in cases)
            if all(case.hidden for case in cases):
                raise AssignmentError(f"{path}: {question.name} has no public test")
        missing = [what for what in ("title", "points", "answer") if not getattr(question, what)]
        if missing:
            raise AssignmentError(f"{path}: {question.name} has no {' and no '.join(missing)}")
    return list(found.values())


def test_cases(source: str) -> list[Any]:
    """Return the cases of a test file, as otter reads it; each has `points`, `hidden` and `body`."""
    from otter.test_files.exception_test import ExceptionTestFile

    return ExceptionTestFile.from_string(source).test_cases


def finish(notebook: NotebookNode, name: str, public: dict[str, str]) -> None:
    """Make a notebook stand alone, in place: public tests instead of calls of otter, and the same bytes every time.

    Nothing depends on metadata: they only fold cells, and may be lost.
    """
    cells = []
    for cell in notebook.cells:
        cell.source = MARKS.sub("", cell.source).rstrip()
        if cell.cell_type == "raw" or not cell.source:
            continue
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if check := re.fullmatch(r'grader\.check\("(\w+)"\)', cell.source):
                cell.source = check_cell(check[1], public[check[1]])
            if cell.source.startswith("# @title "):
                cell.metadata = FOLDED
        cells.append(cell)
    first = next(number for number, cell in enumerate(cells) if cell.cell_type == "code")
    cells.insert(first + 1, nbformat.v4.new_code_cell(CHECK.rstrip(), metadata=FOLDED))
    for number, cell in enumerate(cells):
        cell.id = f"{name[:48].replace('_', '-')}-{number:02}"
    notebook.cells = cells
    notebook.metadata = METADATA
    notebook.nbformat, notebook.nbformat_minor = 4, 5


def check_cell(question: str, tests: str) -> str:
    """Return the cell that checks a question in the student's notebook, from otter's file of its public tests."""
    functions = test_functions(tests)
    called = ", ".join([f'"{question}"', *functions])
    return f"# @title Check {question}\n" + "\n\n\n".join([*functions.values(), f"check({called})"])


def test_functions(tests: str) -> dict[str, str]:
    """Return the sources of the tests in a file of otter's, by their names, without its decorators."""
    functions = [node for node in ast.parse(tests).body if isinstance(node, ast.FunctionDef)]
    for function in functions:
        function.decorator_list = []
    found = {function.name: ast.unparse(function) for function in functions}
    if len(found) < len(functions):
        raise AssignmentError(f"two tests of a question have one name: {sorted(f.name for f in functions)}")
    return found


def secrets(master: NotebookNode) -> list[str]:
    """Return the lines of answers and hidden tests that tell something and stand nowhere else in the master."""
    hidden: list[str] = []
    shown: list[str] = []
    for _, inside, cell in blocks(master):
        hides = inside == "tests" and re.search(r"^hidden: *true", cell.source, re.M | re.I) is not None
        hides |= inside == "solution" and cell.cell_type == "markdown"
        answering = False
        for line in cell.source.splitlines():
            mark = line.rstrip()
            answering |= mark.endswith(("# BEGIN SOLUTION", "# BEGIN SOLUTION NO PROMPT"))
            secret = hides or answering or mark.endswith(("# SOLUTION", "# SOLUTION NO PROMPT"))
            (hidden if secret else shown).append(line.split("# SOLUTION")[0].strip())
            answering &= not mark.endswith("# END SOLUTION")
    told = "\n".join(shown)
    marks = ('"""', "points:", "hidden:", "import ", "from ", "# BEGIN", "# END")
    lines = {line for line in hidden if len(line) > 12 and not line.startswith(marks) and line not in told}
    return sorted(lines)


def mutants(name: str, folder: Path = FOLDER) -> dict[str, list[Mutant]]:
    """Return the wrong answers to the questions of an assignment."""
    listed = runpy.run_path(str(folder / name / "mutants.py"))["MUTANTS"]
    return {question: [Mutant(*entry) for entry in entries] for question, entries in listed.items()}


def scores(assignment: Assignment, answers: dict[str, str] | None = None) -> dict[str, float]:
    """Return the points of each tested question for the master's answers, some of them replaced.

    Runs in this process, without the cells that wait for checks (`if passed(...)`), that is, without the trainings:
    for answers that are known and harmless. Submissions go through `tools.grading`.
    """
    replaced, sources = dict(answers or {}), []
    for question, source in assignment.code:
        if question in (answers or {}):
            source = replaced.pop(question, "")  # once, in place of all cells of the answer
        sources.append(source)
    return points(assignment, sources)


def points(assignment: Assignment, sources: list[str]) -> dict[str, float]:
    """Return the points of each tested question for what these cells define."""
    from IPython.core.inputtransformer2 import TransformerManager
    from otter.test_files.exception_test import ExceptionTestFile

    space: dict[str, Any] = {"__name__": "__main__", "passed": lambda *_: False}
    found = {}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what wrong answers provoke
        for source in sources:
            exec(compile(TransformerManager().transform_cell(source), "<cell>", "exec"), space)
        for name, question in assignment.questions.items():
            if question.tests is not None:
                file = ExceptionTestFile.from_string(question.tests)
                file.run(space)
                found[name] = float(file.score)
    return found


def differences(got: dict[str, float], expected: dict[str, float]) -> str:
    """Say which questions get other points than expected; empty if none does."""
    return ", ".join(
        f"{name} gets {got[name]:g}, expected {expected[name]:g}" for name in got if got[name] != expected[name]
    )


def problems(name: str, folder: Path = FOLDER) -> list[str]:
    """Return what is wrong with an assignment, one line each; nothing is trained.

    The student's notebook must be the one that the master gives and must hold no secret; the master's answers get all
    points, nothing gets none, and each wrong answer gets what is stated for it, with all others untouched.
    """
    assignment = load(name, folder)
    found = []
    path = folder / name / f"{name}.ipynb"
    if not path.exists() or path.read_text(encoding="utf-8") != text(assignment.student):
        found.append(f"{path.name} is not what its master gives: run `python tools/assignments.py build {name}`")
    found += [f"{path.name} gives away {line!r}" for line in leaks(assignment)]
    full = {question.name: question.points for question in assignment.questions.values() if question.tests is not None}
    if told := differences(scores(assignment), full):
        return [*found, f"the answers do not pass their own tests: {told}; wrong answers were not tried"]
    handout = "\n".join(cell.source for cell in assignment.student.cells)
    read = sum(question.points for question in assignment.questions.values() if question.tests is None)
    if totals := re.search(r"\*\*Points\*\*: ([\d.]+) for code that is tested, ([\d.]+) for", handout):
        if (float(totals[1]), float(totals[2])) != (sum(full.values()), read):
            found.append(f"its text says {totals[0]!r}, the questions have {sum(full.values()):g} and {read:g}")
    handed_out = [cell.source for cell in assignment.student.cells if cell.cell_type == "code"]
    got = points(assignment, [source for source in handed_out if not source.startswith("# @title Check")])
    if any(got.values()):
        found.append(f"the untouched notebook gets {got}, expected no points")
    wrong = mutants(name, folder)
    if wrong.keys() != full.keys():
        found.append(f"mutants.py is about {sorted(wrong)}, expected {sorted(full)}")
    for question, entries in wrong.items():
        if len(entries) < 3:
            found.append(f"{question} has {len(entries)} wrong answers, expected at least 3")
        for mutant in entries:
            expected = full | {question: mutant.points}
            if mutant.points >= full.get(question, 0):
                found.append(f"wrong answer to {question}, {mutant.what!r}: {mutant.points} are full points")
            if told := differences(scores(assignment, {question: mutant.code}), expected):
                found.append(f"wrong answer to {question}, {mutant.what!r}: {told}")
    return found


def leaks(assignment: Assignment) -> list[str]:
    """Return the lines of answers and hidden tests that the student's notebook has."""
    handed_out = "\n".join(cell.source for cell in assignment.student.cells)
    return [line for line in assignment.secret if line in handed_out]


def text(notebook: NotebookNode) -> str:
    """Return a notebook's file."""
    return nbformat.writes(notebook) + "\n"


def build(name: str) -> Path:
    """Write the student's notebook beside its master; return its path."""
    assignment = load(name)
    if given_away := leaks(assignment):
        raise AssignmentError(f"{name}: the student's notebook would give away {given_away}")
    path = FOLDER / name / f"{name}.ipynb"
    path.write_text(text(assignment.student), encoding="utf-8")
    return path


def key(name: str) -> list[Path]:
    """Run a master's answers, trainings too, and write them with their outputs as a notebook and as a page."""
    import nbconvert
    from nbclient import NotebookClient

    notebook = load(name).answers
    with tempfile.TemporaryDirectory() as empty:
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": empty}}).execute()
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    written = [OUTPUT / f"{name}_key.ipynb", OUTPUT / f"{name}_key.html"]
    for path, content in zip(written, (text(notebook), page), strict=True):
        path.write_text(content, encoding="utf-8")
    return written


def archive(name: str) -> Path:
    """Write otter's autograder for Gradescope; return its path."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / f"{name}_gradescope.zip"
    path.write_bytes(load(name).archive)
    return path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, what in (("build", "write the student's notebooks"), ("check", "prove that all agrees")):
        commands.add_parser(command, help=what).add_argument("names", nargs="*", metavar="NAME", help="default: all")
    for command, what in (("key", "write the answer key"), ("archive", "write the autograder for Gradescope")):
        commands.add_parser(command, help=what).add_argument("names", nargs="+", metavar="NAME")
    from tools import grading

    grading.add_arguments(commands.add_parser("grade", help="grade a folder of submissions"))
    options = parser.parse_args(arguments)
    try:
        if options.command == "grade":
            return grading.run(load(options.name), options)
        failed = False
        for name in options.names or names():
            if options.command == "check":
                found = problems(name)
                print(f"{name}: " + ("\n    ".join(["", *found]).strip() if found else "all agrees"), flush=True)
                failed |= bool(found)
            else:
                written = {"build": build, "key": key, "archive": archive}[options.command](name)
                for path in written if isinstance(written, list) else [written]:
                    print(path.relative_to(ROOT))
        return int(failed)
    except (AssignmentError, set_repository.RepositoryError) as error:
        print(f"assignments: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
