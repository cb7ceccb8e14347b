"""Grade a folder of submissions without containers: `python tools/assignments.py grade NAME FOLDER`.

Every notebook runs in a kernel of its own, in an empty folder, under a limit of time for each cell and for the whole,
and a limit of memory. Its cells run first; only then do the tests come in, one question after the other, from this
process: nothing that a submission writes to a folder `tests/` is ever read. Results are written after each submission,
so a run that was interrupted goes on where it was.

**Students' code runs as you.** It can read your files and use your network. Grade in a virtual machine or container,
or as a user who owns nothing; the page "For instructors" says how. Within a kernel a determined program can falsify
its own result as well: flags tell where to look, they prove nothing.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import psutil
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec
from nbformat import NotebookNode

from tools import assignments

if TYPE_CHECKING:
    from tools.assignments import Assignment

#: Runs before a submission: limits memory, and remembers what a submission must leave alone, under a {name} that nobody
#: can guess.
BEFORE = """
def {name}():
    import builtins, gc, math, sys
    try:
        import resource
        resource.setrlimit(resource.RLIMIT_DATA, ({memory}, {memory}))
    except (ImportError, ValueError, OSError):
        pass  # not on this system; the grader watches the memory as well
    import numpy, torch
    watched = [builtins, math, numpy, torch, torch.nn.functional, torch.testing, torch.Tensor, torch.linalg]
    before = [(module, dict(vars(module))) for module in watched]
    def changed():
        return sorted(
            f"{{getattr(module, '__name__', module)}}.{{key}}"
            for module, names in before
            for key, value in names.items()
            if callable(value) and vars(module).get(key) is not value
            and str(getattr(vars(module).get(key), "__module__", "")).split(".")[0] not in ("torch", "ipykernel")
        )
    checks = dict()
    exec({checks!r}, checks)
    return changed, checks["_unfilled"]
{name} = {name}()
"""
#: Runs after it, once for each question: its tests; what they say comes back on one marked line.
AFTER = """
def _():
    import inspect, json
    changed, unfilled = {name}
    cases, defined = [], set()
    for test, source in {tests!r}.items():
        space = dict()
        exec(source, space)
        given = {{asked: globals().get(asked) for asked in inspect.signature(space[test]).parameters}}
        defined |= given.keys() & globals().keys()
        try:
            space[test](**given)
            cases.append([True, ""])
            continue
        except AssertionError as difference:
            said = str(difference)
        except Exception as error:
            said = f"{{type(error).__name__}}: {{error}}"
        missing = [asked for asked in given if asked not in globals()]
        waiting = [asked for asked, value in given.items() if asked not in missing and unfilled(value)]
        said = "not answered: " + ", ".join(waiting) if waiting else said
        cases.append([False, "not defined: " + ", ".join(missing) if missing else said])
    print({mark!r} + json.dumps(dict(cases=cases, defined=sorted(defined), changed=changed())))
_()
"""
SUSPICIOUS = {
    r"\botter\b|\bgrading\b": "names the grader",
    r"\bmaster\.py|\bmutants\b|tools[./]assignments|import assignments": "names the masters",
    r"['\"/]tests/|['\"]tests['\"]": "names a folder tests/",
    r"\bgc\.get_(objects|referrers)|sys\._getframe|inspect\.(currentframe|stack)": "looks into other code's memory",
    r"\bsys\.modules\b|\bsetattr\((builtins|torch|numpy|np|math)\b|\b(torch|np|numpy)\.\w+ = ": "replaces library code",
    r"\batexit\b|\bctypes\b|os\.(kill|fork|_exit)": "reaches for the process",
}
COLOR = re.compile(r"\x1b\[[0-9;]*m")
IGNORED = {".DS_Store", "Thumbs.db", "desktop.ini"}


@dataclass
class Result:
    """What came of one submission.

    Attributes:
        status: "ok", "timeout", "error" (the kernel ended, or memory did), "unreadable", "no result".
        note: why, in words; errors of cells.
        flags: what somebody should look at.
        points: of each tested question.
        cases: of each tested question: whether each test passed, and what it said.
        written: the student's Markdown below each question that is graded by reading.
    """

    student: str
    file: str
    digest: str
    status: str = "ok"
    note: str = ""
    flags: list[str] = field(default_factory=list)
    points: dict[str, float] = field(default_factory=dict)
    cases: dict[str, list[tuple[bool, str]]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class KernelEnded(RuntimeError):
    """The kernel is gone: it crashed, or it was ended because it used too much memory or did not stop."""


class Stopped(Exception):
    """Somebody has interrupted the grading."""


class Kernel:
    """A Python kernel in a folder, which runs cells under limits.

    Args:
        folder: where it runs.
        memory: bytes; above that it is ended.
        stop: once it is set, a cell that runs raises `Stopped`.
    """

    def __init__(self, folder: Path, memory: int, stop: threading.Event) -> None:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = KernelSpec(argv=argv, display_name="grading", language="python")
        self.memory, self.stop = memory, stop
        self.manager = type("Manager", (KernelManager,), {"kernel_spec": spec})()
        env = {key: value for key, value in os.environ.items() if not re.search(r"TOKEN|SECRET|PASSWORD|_KEY$", key)}
        env |= {"GAN_COURSE_PROFILE": "quick", "GAN_COURSE_CACHE": str(folder / "cache"), "HOME": str(folder)}
        env |= {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "TQDM_DISABLE": "1"}
        env.pop("PYTHONPATH", None)  # the course is installed; nothing leads to the masters
        self.manager.start_kernel(cwd=str(folder), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=300)
        self.process = psutil.Process(self.manager.provisioner.pid)

    def family(self) -> list[psutil.Process]:
        try:
            return [self.process, *self.process.children(recursive=True)]
        except psutil.Error:
            return []

    def used(self) -> int:
        """Return the bytes of memory that they hold."""
        held = 0
        for process in self.family():
            try:
                held += process.memory_info().rss
            except psutil.Error:
                pass  # it has just ended
        return held

    def close(self) -> None:
        """End the kernel, and all that it has started."""
        for process in self.family():
            try:
                process.kill()
            except psutil.Error:
                pass
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, source: str, seconds: float) -> tuple[str, str | None]:
        """Run a cell; return what it printed and its error, if any.

        Raises:
            TimeoutError: if it takes longer; the cell has been interrupted then, and the kernel goes on.
            KernelEnded: if the kernel is gone.
            Stopped: if the grading is.
        """
        message = self.client.execute(source, store_history=False, allow_stdin=False)
        deadline, printed, error = time.monotonic() + seconds, [], None
        interrupted = False
        while True:
            try:
                reply = self.client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                reply = None
            if self.stop.is_set():
                raise Stopped
            if not self.manager.is_alive():
                raise KernelEnded("the kernel ended")
            if self.used() > self.memory:
                raise KernelEnded(f"it used more than {self.memory / 1e9:.1f} GB of memory")
            if reply is not None and reply["parent_header"].get("msg_id") == message:
                kind, content = reply["header"]["msg_type"], reply["content"]
                if kind == "stream":
                    printed.append(content["text"])
                elif kind == "error":
                    error = COLOR.sub("", f"{content['ename']}: {content['evalue']}")
                elif kind == "status" and content["execution_state"] == "idle":
                    if interrupted:
                        raise TimeoutError(f"a cell ran longer than {seconds:.0f} s")
                    return "".join(printed), error
            if time.monotonic() > deadline:
                if interrupted:
                    raise KernelEnded(f"a cell ran longer than {seconds:.0f} s and did not stop when interrupted")
                self.manager.interrupt_kernel()
                interrupted, deadline = True, time.monotonic() + 10
            if len(printed) > 10_000:
                printed = printed[-1_000:]  # the marked lines come alone, in cells of their own


@dataclass(frozen=True)
class Limits:
    """Limits for one submission: seconds for a cell and for the whole, and bytes of memory."""

    cell: float = 120
    whole: float = 900
    memory: int = 4_000_000_000


def grade(assignment: Assignment, path: Path, student: str, limits: Limits, stop: threading.Event) -> Result:
    """Grade one file; whatever it is and does, a result comes back (or `Stopped`, once ``stop`` is set)."""
    result = Result(student, path.name, digest(assignment, path))
    began = time.monotonic()
    tested = {name: question for name, question in assignment.questions.items() if question.tests is not None}
    result.points = dict.fromkeys(tested, 0.0)
    try:
        if path.suffix != ".ipynb":
            raise ValueError(f"a notebook (.ipynb) was expected, this is {path.suffix or 'without an ending'}")
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        cells = named_cells(notebook)
        result.written = written(assignment, notebook)
        result.flags = source_flags(assignment, [source for _, source in cells])
    except Exception as error:  # nbformat raises many kinds, json among them
        result.status, result.note = "unreadable", f"{type(error).__name__}: {str(error)[:200]}"
        return result
    if not belongs(assignment, notebook):
        result.status, result.flags = "no result", []
        result.note = "none of the assignment's questions and checks is in it: another notebook? It was not run"
        return result
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(Path(folder), limits.memory, stop)
        try:
            run_cells(assignment, result, cells, kernel, limits, began)
            if (Path(folder) / "tests").exists():
                result.flags.append("wrote a folder tests/")
        except KernelEnded as error:
            result.status = "timeout" if "longer" in str(error) else "error"
            result.note = f"{result.note}; {error}: no test could run after that".lstrip("; ")
        finally:
            kernel.close()
    result.seconds = round(time.monotonic() - began, 1)
    return result


def named_cells(notebook: NotebookNode) -> list[tuple[str, str]]:
    """Return the sources of the code cells, each with where it stands: the last heading, up to its colon."""
    found, place = [], "the beginning"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^#+ (.+)", str(cell.source), re.M):
                place = heading.split(":")[0].strip()
        elif cell.cell_type == "code":
            found.append((place, str(cell.source)))
    return found


def belongs(assignment: Assignment, notebook: NotebookNode) -> bool:
    """Say whether a notebook has anything of the assignment: a question's heading, or a cell that was handed out."""
    handed_out = {normal(cell.source) for cell in assignment.student.cells}
    text = "\n".join(str(cell.source) for cell in notebook.cells)
    titles = any(f"## {question.title}" in text for question in assignment.questions.values())
    return titles or any(normal(str(cell.source)) in handed_out for cell in notebook.cells)


def run_cells(
    assignment: Assignment, result: Result, cells: list[tuple[str, str]], kernel: Kernel, limits: Limits, began: float
) -> None:
    """Run a submission's cells, then the tests of each question."""
    name, mark = f"_{secrets.token_hex(16)}", secrets.token_hex(16)
    _, error = kernel.run(BEFORE.format(name=name, memory=limits.memory, checks=assignments.CHECK), 300)
    if error:
        raise KernelEnded(f"the grader could not start: {error}")
    notes = []
    for place, source in cells:
        left = limits.whole - (time.monotonic() - began)
        if left <= 0:
            result.status = "timeout"
            notes.append(f"the whole ran longer than {limits.whole:.0f} s; cells from {place!r} on did not run")
            break
        try:
            _, error = kernel.run(source, min(limits.cell, left))
        except TimeoutError as late:
            result.status = "timeout"
            notes.append(f"{place}: {late}")
            continue
        finally:
            result.note = "; ".join(notes)
        if error:
            error = re.sub(r"\((?:\d+|<[^>]*>|[\w-]+)(?:\.py)?, line (\d+)\)", r"(line \1 of the cell)", error)
            notes.append(f"{place}: {error[:200]}")
    defined: set[str] = set()
    for question, asked in assignment.questions.items():
        if asked.tests is None:
            continue
        try:
            printed, error = kernel.run(
                AFTER.format(tests=assignments.test_functions(asked.tests), name=name, mark=mark), limits.cell
            )
        except TimeoutError:
            result.status = "timeout"
            notes.append(f"the tests of {question} ran longer than {limits.cell:.0f} s")
            late_cases = assignments.test_cases(asked.tests)
            result.cases[question] = [(False, f"not finished within {limits.cell:.0f} s")] * len(late_cases)
            continue
        finally:
            result.note = "; ".join(notes)
        lines = [line.removeprefix(mark) for line in printed.splitlines() if line.startswith(mark)]
        if not lines:
            notes.append(f"tests of {question}: {error or 'no answer'}")
            result.flags.append(f"the tests of {question} did not answer")
            continue
        answer = json.loads(lines[-1])
        defined |= set(answer["defined"])
        if answer["changed"]:
            result.flags.append("replaced " + ", ".join(answer["changed"][:5]))
        cases = assignments.test_cases(asked.tests)
        result.cases[question] = [(passed, message) for passed, message in answer["cases"]]
        result.points[question] = sum(
            case.points for case, (passed, _) in zip(cases, answer["cases"], strict=True) if passed
        )
    result.flags = sorted(set(result.flags))
    result.note = "; ".join(notes)
    if result.status == "ok" and not defined:
        result.status, reason = "no result", "none of the names that the questions ask for is defined"
        result.note = f"{reason}: another notebook? {result.note}".strip()
    elif result.status == "ok" and any("MemoryError" in note for note in notes):
        result.status = "error"


def digest(assignment: Assignment, path: Path) -> str:
    """Return what a result depends on: the file, and the questions' tests."""
    tests = "\0".join(question.tests or "" for question in assignment.questions.values())
    return hashlib.sha256(path.read_bytes() + tests.encode()).hexdigest()


def source_flags(assignment: Assignment, cells: list[str]) -> list[str]:
    """Say what in a submission's code somebody should look at: no proof, and no complete list."""
    handed_out = {normal(cell.source) for cell in assignment.student.cells if cell.cell_type == "code"}
    own = [source for source in cells if normal(source) not in handed_out]
    flags = {reason for pattern, reason in SUSPICIOUS.items() for source in own if re.search(pattern, source)}
    if any(source.lstrip().startswith(("# @title Check", "# @title The checks")) for source in own):
        flags.add("changed a cell of checks (which gives no points)")
    return sorted(flags)


def normal(source: str) -> str:
    return "\n".join(line.rstrip() for line in source.strip().splitlines())


def written(assignment: Assignment, notebook: NotebookNode) -> dict[str, str]:
    """Return the Markdown that a student has added below the heading of each question that is graded by reading."""
    handed_out = {normal(cell.source) for cell in assignment.student.cells if cell.cell_type == "markdown"}
    titles = {question.title: name for name, question in assignment.questions.items() if question.tests is None}
    texts: dict[str, list[str]] = {name: [] for name in titles.values()}
    current = None
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        if heading := re.search(r"^## (.+)", str(cell.source), re.M):
            current = titles.get(heading[1].strip())
        if current and normal(str(cell.source)) not in handed_out:
            texts[current].append(str(cell.source).strip())
    return {name: "\n\n".join(parts) for name, parts in texts.items()}


def submissions(folder: Path, name: str) -> list[tuple[str, Path]]:
    """Return the files of a folder and its folders, each with its student.

    That is the path without its ending, or the folder, if the file has the assignment's ``name``.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in IGNORED]
    files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    found = []
    for path in files:
        whole = path.relative_to(folder)
        own = path.stem == name and len(whole.parts) > 1
        found.append(((whole.parent if own else whole.with_suffix("")).as_posix(), path))
    return found


def stored(path: Path, wanted: str) -> Result | None:
    """Return a result that an earlier run has left, if it belongs to the same file and the same tests."""
    try:
        result = Result(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return result if result.digest == wanted else None


def save(path: Path, content: str) -> None:
    """Write a file so that it is either whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(content, encoding="utf-8")
    os.replace(beside, path)


def counted(points: float) -> str:
    return f"{points:g} point" + ("" if points == 1 else "s")


def feedback(assignment: Assignment, result: Result, hidden: bool) -> str:
    """Return what a student is told, as Markdown.

    Args:
        hidden: whether what hidden tests said is told as well; without it only that they failed.
    """
    possible = sum(question.points for question in assignment.questions.values() if question.tests is not None)
    lines = [f"# {assignment.name.replace('_', ' ')}: {result.student}", ""]
    lines += [f"**{sum(result.points.values()):g} of {counted(possible)}** for the questions that are tested.", ""]
    if result.status != "ok":
        lines += [f"Status: {result.status}. {result.note}", ""]
    elif result.note:
        lines += [f"Errors while it ran: {result.note}", ""]
    for name, question in assignment.questions.items():
        if question.tests is None:
            lines += [f"## {question.title}", "", f"Read by a person: ... of {counted(question.points)}", ""]
            lines += [f"> {line}" for line in (result.written.get(name) or "Nothing was written.").splitlines()] + [""]
            continue
        lines += [f"## {question.title}", "", f"{result.points[name]:g} of {counted(question.points)}", ""]
        lost: dict[str, float] = {}  # points by what is told, each thing once
        for case, (passed, message) in zip(
            assignments.test_cases(question.tests), result.cases.get(name, []), strict=False
        ):
            if not passed:
                told = message if hidden or not case.hidden or message.startswith("not ") else "a hidden test failed"
                lost[told] = lost.get(told, 0) + case.points
        lines += [*(f"- {told} ({counted(points)})" for told, points in lost.items()), ""]
    return "\n".join(lines).rstrip() + "\n"


def write_table(assignment: Assignment, results: Iterable[Result], path: Path) -> None:
    """Write a CSV file with a row for each student and question; points of questions to be read are empty."""
    rows = []
    for result in results:
        for name, question in assignment.questions.items():
            failed = [message for passed, message in result.cases.get(name, []) if not passed]
            rows.append(
                {
                    "student": result.student,
                    "file": result.file,
                    "status": result.status,
                    "question": name,
                    "points": f"{result.points[name]:g}" if name in result.points else "",
                    "possible": f"{question.points:g}",
                    "failed tests": " | ".join(failed),
                    "flags": "; ".join(result.flags),
                    "note": result.note,
                    "seconds": result.seconds,
                }
            )
    with (beside := path.with_name(path.name + ".part")).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["student"])
        writer.writeheader()
        writer.writerows(rows)
    os.replace(beside, path)


def grade_folder(
    assignment: Assignment,
    folder: Path,
    out: Path,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    workers: int = 1,
    hidden: bool = False,
    report: Callable[[str], None] = print,
) -> list[Result]:
    """Grade all files of a folder; write results, feedback and the table to ``out``.

    What an earlier, perhaps interrupted run has left there is kept where file and tests are the same.

    Raises:
        ValueError: if the folder is missing or empty, or lies inside ``out`` or around it.
    """
    if not folder.is_dir():
        raise ValueError(f"FOLDER must be a folder of submissions, got {folder}")
    if out.resolve().is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(out.resolve()):
        raise ValueError(f"--out must be neither inside FOLDER nor around it, got {out}")
    found = submissions(folder, assignment.name)
    if not found:
        raise ValueError(f"FOLDER has no files: {folder}")
    out.mkdir(parents=True, exist_ok=True)
    results: list[Result | None] = [None] * len(found)

    def one(number: int) -> None:
        student, path = found[number]
        kept = out / "results" / f"{student}{path.suffix}.json"
        result = stored(kept, digest(assignment, path))
        known = result is not None
        if result is None:
            try:
                result = grade(assignment, path, student, limits, stop)
            except Stopped:
                return
            except Exception as error:  # one submission never stops the rest
                result = Result(student, path.name, digest(assignment, path), "error", f"the grader failed: {error!r}")
                result.points = {name: 0.0 for name, asked in assignment.questions.items() if asked.tests is not None}
            save(kept, json.dumps(vars(result), indent=1))
        save(out / "feedback" / f"{student}.md", feedback(assignment, result, hidden))
        results[number] = result
        marks = f"{sum(result.points.values()):5.4g}  {'kept' if known else f'{result.seconds:.0f} s':>6}"
        report(f"{result.status:<10} {marks}  {student}  {'; '.join(result.flags)}".rstrip())

    stop = threading.Event()
    try:
        with ThreadPoolExecutor(workers) as pool:
            tasks = [pool.submit(one, number) for number in range(len(found))]
            try:
                for task in tasks:
                    task.result()
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        write_table(assignment, filter(None, results), out / "points.csv")
    return [result for result in results if result is not None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", metavar="NAME", help="the assignment")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="submissions: NAME.ipynb, or folders of them")
    parser.add_argument("--out", type=Path, required=True, help="where results, feedback and points.csv go")
    parser.add_argument("--cell-limit", type=float, default=Limits.cell, help="seconds for a cell (%(default)s)")
    parser.add_argument("--limit", type=float, default=Limits.whole, help="seconds for a submission (%(default)s)")
    parser.add_argument("--memory", type=float, default=Limits.memory / 1e9, help="GB for a submission (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="submissions at a time (%(default)s)")
    parser.add_argument("--tell-hidden", action="store_true", help="tell students what hidden tests said")


def run(assignment: Assignment, options: argparse.Namespace) -> int:
    """Grade as the command line says; return the exit status."""
    limits = Limits(options.cell_limit, options.limit, int(options.memory * 1e9))
    # SIGINT too: a shell that starts a command in the background has it ignored
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        graded = grade_folder(assignment, options.folder, options.out, limits, options.workers, options.tell_hidden)
    except ValueError as error:
        print(f"assignments: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; the same command goes on. So far: {options.out / 'points.csv'}", file=sys.stderr)
        return 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    print(f"{len(graded)} submissions: {options.out / 'points.csv'}, feedback in {options.out / 'feedback'}")
    return 0
