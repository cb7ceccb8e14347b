#!/usr/bin/env python3
"""Run chapters and assignments with the versions that Colab has (tools/colab.txt), in the profile `quick`.

The environment .venv-colab is made when it is missing or stale; Python, torch and torchvision are borrowed from the
one that runs this tool. The course is installed as Colab installs it, from a wheel of this working tree, and every
notebook runs in an empty folder far from the repository: it finds what a reader in Colab finds, and the trained
generators as if they had been downloaded.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import re
import shutil
import subprocess
import symtable
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import nbformat
from filelock import FileLock
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # `python tools/colab.py` would find this folder only

from tools.execute import chapters  # noqa: E402

VERSIONS = ROOT / "tools" / "colab.txt"
FOLDER = ROOT / ".venv-colab"
BORROWED = ("torch", "torchvision")
#: Runs before what needs trained models only to show them.
FEW_STEPS = """
from gan_course import train

def cut(model, data, steps, *, fit=train.fit, decay_from=None, **options):
    decay_from = None if decay_from is None else min(decay_from, 19)
    return fit(model, data, min(steps, 20), decay_from=decay_from, **options)

train.fit = cut
"""
COLOR = re.compile(r"\x1b\[[0-9;]*m")


def pins() -> dict[str, str]:
    """Return Colab's versions by the names of the packages."""
    lines = VERSIONS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def needed(names: Iterable[str], without: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Return the installed distributions of these names and of all that they require, but for those in `without`."""
    left_out = {canonicalize_name(name) for name in without}
    found: dict[str, metadata.Distribution] = {}
    todo, seen = [Requirement(name) for name in names], set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if name in left_out or (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        found[name] = metadata.distribution(name)
        for requirement in map(Requirement, found[name].requires or []):
            extras = ("", *wanted.extras)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(requirement)
    return found


def pip(*arguments: str | Path) -> None:
    """Run pip in silence; on failure `CalledProcessError.stderr` has what it said."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)


def environment(folder: Path = FOLDER) -> Path:
    """Return the Python of the environment with Colab's versions, which is made where it is missing or stale."""
    python, stamp = folder / "bin" / "python", folder / "stamp.json"
    borrowed = needed(BORROWED, without=set(pins()) - set(BORROWED))
    contents = json.dumps([sys.version, sys.prefix, pins(), {name: d.version for name, d in borrowed.items()}])
    with FileLock(f"{folder}.lock"):
        if stamp.exists() and stamp.read_text(encoding="utf-8") == contents:
            return python
        venv.create(folder, clear=True, with_pip=False, symlinks=True)
        names = [name for name in pins() if name not in BORROWED]
        pip("--python", python, "install", "--no-deps", "--constraint", VERSIONS, *names)
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
        for distribution in borrowed.values():
            for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
                if not (packages / top).exists():  # many share nvidia/
                    (packages / top).symlink_to(distribution.locate_file(top))
        stamp.write_text(contents, encoding="utf-8")
    return python


def copy_tree(folder: Path) -> None:
    """Copy what a commit of this working tree would hold."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def build_wheel(folder: Path) -> Path:
    """Build the course's wheel into a folder, from a copy: where setuptools has built before, it takes old files in."""
    with tempfile.TemporaryDirectory() as source:
        copy_tree(Path(source))
        pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    return next(folder.glob("gan_course-*.whl"))


def names(tree: ast.AST) -> tuple[set[str], set[str]]:
    """Return the notebook's names that a piece of it uses as they were before, and those that it binds."""
    if isinstance(tree, ast.For | ast.With):
        heads = [tree] if isinstance(tree, ast.For) else tree.items
        used, bound = set(), set()
        for head in heads:
            used |= names(head.iter if isinstance(tree, ast.For) else head.context_expr)[0]
            target = head.target if isinstance(tree, ast.For) else head.optional_vars
            bound |= {name.id for name in ast.walk(target) if isinstance(name, ast.Name)} if target else set()
        for statement in tree.body:
            inside = names(statement)
            used |= inside[0] - bound
            bound |= inside[1]
        return used, bound
    scopes = [symtable.symtable(ast.unparse(tree), "cell", "exec")]
    own = scopes[0].get_symbols()
    for scope in scopes:
        scopes += scope.get_children()
    inner = [symbol for scope in scopes[1:] for symbol in scope.get_symbols() if symbol.is_global()]
    used = {symbol.get_name() for symbol in [*own, *inner] if symbol.is_referenced()}
    return used, {symbol.get_name() for symbol in own if symbol.is_assigned() or symbol.is_imported()}


class Statement:
    """A statement of a cell, and the notebook's names that it uses, binds or changes."""

    def __init__(self, tree: ast.stmt, cell: str) -> None:
        begin = min(part.lineno for part in (tree, *getattr(tree, "decorator_list", [])))
        self.source = "\n".join(cell.splitlines()[begin - 1 : tree.end_lineno])
        self.uses, self.binds = names(tree)
        self.imports = isinstance(tree, ast.Import | ast.ImportFrom)
        self.defines = isinstance(tree, ast.FunctionDef | ast.ClassDef)
        #: after anything else, what the names were before does not matter
        self.may_keep = isinstance(tree, ast.If | ast.Try | ast.While | ast.AugAssign)
        self.changes = set()  # by items, attributes or methods
        for node in ast.walk(tree):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if called or (isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store)):
                target = node.func if called else node
                while isinstance(target, ast.Attribute | ast.Subscript):
                    target = target.value
                self.changes |= {target.id} if isinstance(target, ast.Name) else set()
            if isinstance(node, ast.Attribute) and node.attr in ("backward", "grad"):  # changes all gradients; uses one
                (self.changes if node.attr == "backward" else self.uses).add(".grad")


def assignments() -> list[Path]:
    """Return the notebooks that students get."""
    return sorted(path.parent / f"{path.parent.name}.ipynb" for path in ROOT.glob("assignments/*/master.py"))


def shows_widget(source: str) -> bool:
    """Say whether a cell shows a widget: it calls `widgets.something(` at the beginning of a line."""
    return re.search(r"^widgets\.\w+\(", source, re.MULTILINE) is not None


def widget_cells(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the cells that show widgets, behind the first cell and those statements that they need.

    A statement is needed if it binds or changes a name that a needed one uses after it. (What functions do to their
    arguments is not seen.) Trainings by `fit` are cut to 20 steps: what the widgets show has the form of what the
    chapter shows, not its quality, and what is asserted about that does not hold.
    """
    cut = copy.deepcopy(notebook)
    first, *others = [cell for cell in cut.cells if cell.cell_type == "code"]
    parts = [[Statement(tree, cell.source) for tree in ast.parse(cell.source).body] for cell in others]
    every = [statement for statements in parts for statement in statements]
    setup = ast.parse(re.sub(r"(?m)^( *)[%!].*", r"\1pass", first.source))  # without what only IPython reads
    imports = [statement for statement in every if statement.imports]
    imports += [Statement(node, first.source) for node in setup.body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {name for statement in imports for name in statement.binds}
    inside = {name: statement.uses for statement in every if statement.defines for name in statement.binds}
    kept, needed = [], set()
    for cell, statements in zip(reversed(others), reversed(parts), strict=True):
        whole, lines = shows_widget(cell.source), []
        for statement in reversed(statements):
            if whole or needed & (statement.binds | statement.changes - modules):
                needed -= set() if statement.may_keep else statement.binds
                needed |= statement.uses
                while more := {name for f in needed & inside.keys() for name in inside[f]} - needed:
                    needed |= more  # what a function uses may be bound between its definition and its call
                lines.insert(0, statement.source)
        if lines:
            cell.source = "\n".join(lines)
            kept.insert(0, cell)
    cut.cells = [first, nbformat.v4.new_code_cell(FEW_STEPS), *kept] if kept else []
    return cut


@dataclass
class Machine:
    """Colab's versions with the course in them, and nothing of the user's or the repository's."""

    python: Path
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its processes."""
        ours = ("GAN_COURSE_", "IPYTHON", "JUPYTER_", "MPL", "PYTHON", "XDG_")
        return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
            "GAN_COURSE_PROFILE": "quick",
            "HOME": str(self.folder / "home"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a warning about frozen modules
            "PYTHONPATH": str(self.folder / "package"),
            "TQDM_DISABLE": "1",
        }

    def run(self, notebook: nbformat.NotebookNode, assertions: bool = True) -> float:
        """Run a notebook's cells in an empty folder, with or without what they assert; return the seconds.

        Raises:
            CellExecutionError, CellTimeoutError, DeadKernelError: if it fails.
        """
        python = [str(self.python)] if assertions else [str(self.python), "-O"]
        argv = [*python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = KernelSpec(argv=argv, display_name="Colab's versions", language="python")
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=self.folder) as content:
            client = NotebookClient(
                notebook,
                kernel_manager_class=type("Kernel", (AsyncKernelManager,), {"kernel_spec": spec}),
                resources={"metadata": {"path": content}},
                record_timing=False,
                timeout=300,
            )
            client.execute(env=self.variables)
        return time.perf_counter() - began


@contextmanager
def machine() -> Iterator[Machine]:
    """Provide a machine with the course installed from this working tree; it is gone afterwards.

    Raises:
        subprocess.CalledProcessError: if pip failed; its `stderr` says why.
    """
    python = environment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Trained generators lie where a download would put them: this machine may have no network.
        shutil.copytree(ROOT / "book" / "weights", folder / "home" / ".cache" / "gan-course")
        pip("install", "--no-deps", "--no-compile", "--target", folder / "package", build_wheel(folder))
        yield Machine(python, folder)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the book and the assignments")
    parser.add_argument("--widgets", action="store_true", help="run only cells with widgets, and what they need")
    options = parser.parse_args(arguments)
    failed = 0
    try:
        with machine() as here:
            for path in options.notebooks or [*chapters(), *assignments()]:
                notebook = nbformat.read(path, as_version=4)
                try:
                    if options.widgets:
                        seconds = here.run(widget_cells(notebook), assertions=False)
                    else:
                        seconds = here.run(notebook)
                    print(f"passed {seconds:6.1f} s  {path.stem}", flush=True)
                except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                    failed += 1
                    print(f"FAILED           {path.stem}\n{COLOR.sub('', str(error))}", flush=True)
    except subprocess.CalledProcessError as error:
        print(f"pip failed: {error.stderr.strip()}", file=sys.stderr)
        return 1
    print(f"{failed} failed" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
