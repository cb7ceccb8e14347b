"""The first cell of the chapters, as Colab runs it: torch is there, the course is not; nothing else changes.

A new environment borrows every installed package but the course by symbolic links; `google.colab` is a
stand-in; git redirects the repository URL to a copy of this working tree; pip may not ask any index.

Then the chapters with Colab's versions, in the environment that `make colab` uses.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
import tomllib
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gan_course.data import glyphs
from tools import colab, execute

ROOT = Path(__file__).resolve().parent.parent
URL = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
CHAPTERS = execute.chapters()

HAS_GIT = shutil.which("git") is not None and (ROOT / ".git").exists()

pytestmark = [
    pytest.mark.skipif(not HAS_GIT, reason="needs git and a git working tree"),
    pytest.mark.skipif(sys.platform == "win32", reason="borrows installed packages by symbolic links"),
    *(
        pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")
        for name in ("pip", "setuptools", "IPython")
    ),
]

# Runs in the new environment: the cell, then what a reader might do next; leaves a report.
RUNNER = """
import json, sys
from pathlib import Path

cell, colab, report = Path(sys.argv[1]), sys.argv[2] == "colab", Path(sys.argv[3])
if colab:
    import google.colab
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_cell(cell.read_text(encoding="utf-8")).raise_error()
print("-- end of the cell --")
import gan_course, torch

found = {"package": gan_course.__file__, "torch": torch.__file__, "out": str(shell.user_ns["out"])}
if colab:
    from google.colab import drive
    from gan_course import notebook
    found["mounted before"] = list(drive.MOUNTED)
    found["out on drive"] = str(notebook.start("chapter", drive=True))
    found["mounted"] = drive.MOUNTED
report.write_text(json.dumps(found))
"""


@dataclass
class Machine:
    """An environment of its own, and what git and pip in it are told."""

    folder: Path
    variables: dict[str, str]

    @property
    def packages(self) -> Path:
        return next((self.folder / "env" / "lib").glob("python3*")) / "site-packages"

    def state(self) -> dict[str, tuple]:
        """What stands in site-packages, the contents of borrowed packages included as far as torch goes."""
        entries = ((path.name, path.lstat()) for path in self.packages.iterdir())
        state = {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in entries}
        for path in self.packages.glob("torch*"):
            for name in ("__init__.py", "version.py", "METADATA", "RECORD", "INSTALLER"):
                if (path / name).is_file():
                    stat = (path / name).stat()
                    state[f"{path.name}/{name}"] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        return state

    def run_cell(self, source: str, where: str) -> tuple[str, dict[str, object]]:
        """Run a cell in a fresh Python, in "colab" or "elsewhere"; returns its output and the report."""
        cell, runner, report = (self.folder / name for name in ("cell.py", "runner.py", "report.json"))
        cell.write_text(source, encoding="utf-8")
        runner.write_text(RUNNER, encoding="utf-8")
        report.unlink(missing_ok=True)
        command = [self.folder / "env" / "bin" / "python", runner, cell, where, report]
        done = subprocess.run(
            command, cwd=self.folder / "content", env=self.variables, text=True, timeout=300,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout.split("-- end of the cell --")[0], json.loads(report.read_text())

    @property
    def pip_was_run(self) -> bool:
        return Path(self.variables["PIP_LOG"]).exists()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with this working tree as its one commit, uncommitted work included."""
    folder = tmp_path_factory.mktemp("repository")
    colab.copy_tree(folder)
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "--no-verify", "-m", "tree"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def machine(tmp_path: Path, repository: Path) -> Machine:
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    machine = Machine(tmp_path, {})
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.startswith(("gan_course", "__editable__", "__pycache__")):
            (machine.packages / path.name).symlink_to(path)
    colab = tmp_path / "standin" / "google" / "colab"
    colab.mkdir(parents=True)
    (colab / "__init__.py").touch()
    (colab / "drive.py").write_text("MOUNTED = []\n\n\ndef mount(path):\n    MOUNTED.append(path)\n")
    (tmp_path / "content").mkdir()
    (tmp_path / "tmp").mkdir()
    ours = ("PIP_", "GIT_", "PYTHON", "GAN_COURSE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    machine.variables = kept | {
        "PYTHONPATH": str(tmp_path / "standin"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(tmp_path),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "TMPDIR": str(tmp_path / "tmp"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": URL,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",  # what is not there cannot be fetched, and what is there cannot be replaced
        "PIP_NO_BUILD_ISOLATION": "0",  # means: no isolation; pip reads the value as that of build isolation
        "PIP_LOG": str(tmp_path / "pip.log"),
    }
    return machine


def first_code_cell(chapter: Path) -> str:
    cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
    return next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def installs_and_starts(chapter: Path) -> str:
    """What of the first cell differs between Colab and elsewhere; that its imports and the rest run is nbval's part."""
    lines = first_code_cell(chapter).replace(f'"{chapter.stem}"', "NAME").splitlines()
    kept = [line for line in lines if re.search(r"google\.colab|%pip|notebook\.start", line)]
    assert len(kept) == 3, f"{chapter.stem}: {kept}"
    return re.sub(r" *#.*", "", "\n".join(kept))


#: One chapter of all whose first cells do the same: two starts of Python and an installation take seconds.
DIFFERENT = {installs_and_starts(path): path for path in CHAPTERS}.values()


@pytest.mark.parametrize("chapter", DIFFERENT, ids=lambda path: path.stem)
def test_first_cell_in_colab_and_elsewhere(chapter: Path, machine: Machine) -> None:
    source = first_code_cell(chapter)
    before = machine.state()

    output, report = machine.run_cell(source, "colab")

    assert machine.pip_was_run
    assert report["package"] == str(machine.packages / "gan_course" / "__init__.py"), "not from this environment"
    after = machine.state()
    assert {name: after.get(name) for name in before} == before, "something that was there has changed"
    added = sorted(set(after) - set(before))
    assert all(name.startswith("gan_course") for name in added), added
    assert "device" in output and "profile" in output
    assert "disconnect" in output and "/content" in output and "Drive" in output
    assert str(report["out"]).startswith("/content/")
    assert report["mounted before"] == [], "Drive is offered, not taken"
    assert report["mounted"] == ["/content/drive"]
    assert str(report["out on drive"]).startswith("/content/drive/MyDrive/")

    # The same cell on a machine of one's own, where the course is installed: it reports and installs nothing.
    Path(machine.variables["PIP_LOG"]).unlink()
    output, report = machine.run_cell(source, "elsewhere")
    assert not machine.pip_was_run
    assert machine.state() == after
    assert "device" in output and "profile" in output
    assert "disconnect" not in output
    assert not Path(str(report["out"])).is_absolute()


def seconds_when_stored(chapter: Path) -> float:
    return json.loads(chapter.read_text(encoding="utf-8"))["metadata"]["gan_course"]["seconds"]


def kinds_of_widgets(chapter: Path) -> set[str]:
    cells = colab.widget_cells(nbformat.read(chapter, as_version=4)).cells
    return {name for cell in cells for name in re.findall(r"\bwidgets\.(\w+)\(", cell.source)}


KINDS = {path: kinds for path in CHAPTERS if (kinds := kinds_of_widgets(path))}
SHORTEST = min(KINDS, key=seconds_when_stored)
#: For each kind of widget the shortest chapter that has it; `make colab` runs all chapters whole.
WITH_WIDGETS = {kind: path for path in sorted(KINDS, key=seconds_when_stored, reverse=True) for kind in KINDS[path]}


@pytest.fixture(scope="module")
def colab_machine() -> Iterator[colab.Machine]:
    """A machine with Colab's versions and the course."""
    try:
        colab.environment()
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"Colab's versions could not be installed: {error.stderr.strip().splitlines()[-1]}")
    with colab.machine() as machine:
        yield machine


def test_colab_has_what_the_package_requires() -> None:
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    versions = {canonicalize_name(name): version for name, version in colab.pins().items()}
    assert {r.name for r in map(Requirement, requirements) if versions[r.name] not in r.specifier} == set()


def printed(machine: colab.Machine, code: str, *arguments: str) -> str:
    """Run code on the machine, in an empty folder; return what it prints."""
    command = [machine.python, "-c", code, *arguments]
    done = subprocess.run(command, env=machine.variables, cwd=machine.folder / "home", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_colabs_versions_are_installed_and_torch_is_borrowed(colab_machine: colab.Machine) -> None:
    wanted = {name: version for name, version in colab.pins().items() if name not in colab.BORROWED}
    code = "import json, sys, torch; from importlib.metadata import version; "
    code += "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    assert json.loads(printed(colab_machine, code, *wanted)) == wanted


def test_the_wheel_is_whole_and_brings_the_tables(colab_machine: colab.Machine) -> None:
    """Every module, weights, fonts, and the tables over seeds, as a notebook without the repository finds them."""
    package, results = ROOT / "gan_course", ROOT / "book" / "results"
    kinds = (".py", ".safetensors", ".ttf", ".txt")
    files = [path.relative_to(ROOT) for path in package.rglob("*") if path.suffix in kinds]
    files += [Path("gan_course/results", path.name) for path in results.glob("*.json")]
    assert [path for path in files if not (colab_machine.folder / "package" / path).exists()] == []
    code = "import json; from gan_course import notebook; print(json.dumps(notebook.stored('ring_fast')))"
    assert json.loads(printed(colab_machine, code)) == json.loads((results / "ring_fast.json").read_text("utf-8"))


def test_imports_of_all_chapters_in_colab(colab_machine: colab.Machine) -> None:
    """One Python imports what any chapter imports with Colab's versions."""
    wanted = set()
    for chapter in CHAPTERS:
        for cell in nbformat.read(chapter, as_version=4).cells:
            if cell.cell_type == "code":
                ours = r"^(?:import|from) (?:gan_course|torch|numpy|matplotlib)\b.*[^(\\]$"  # on one line
                wanted |= set(re.findall(ours, cell.source, re.M))
    assert len(wanted) > len(CHAPTERS)
    printed(colab_machine, "import sys\nfor line in sys.argv[1:]:\n    exec(line)", *sorted(wanted))


@pytest.mark.parametrize("chapter", sorted(set(WITH_WIDGETS.values())), ids=lambda path: path.stem)
def test_widgets_in_colab(chapter: Path, colab_machine: colab.Machine) -> None:
    """The shortest chapter runs whole; of the others the cells with widgets, with their trainings cut."""
    notebook = nbformat.read(chapter, as_version=4)
    if chapter == SHORTEST:
        colab_machine.run(notebook)
    else:
        notebook = colab.widget_cells(notebook)
        colab_machine.run(notebook, assertions=False)
    for cell in notebook.cells:
        if cell.cell_type == "code" and colab.shows_widget(cell.source):
            shown = {kind for output in cell.outputs for kind in output.get("data", {})}
            assert shown & {"text/html", "application/vnd.jupyter.widget-view+json"}, cell.source


@pytest.mark.parametrize("path", colab.assignments(), ids=lambda path: path.stem)
def test_a_students_notebook_in_colab(path: Path, colab_machine: colab.Machine) -> None:
    """As it is handed out, and with all metadata lost; it imports nothing but what Colab and the course have."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata = {}
    notebook.metadata = {}
    colab_machine.run(notebook)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("still to be written" in output.get("text", "") for output in outputs)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    imported = {name.split(".")[0] for name in re.findall(r"^ *(?:import|from) ([\w.]+)", code, re.M)}
    assert imported - set(sys.stdlib_module_names) <= {"torch", "numpy", "matplotlib", "gan_course"}


def test_glyphs_are_the_same_in_colab(colab_machine: colab.Machine) -> None:
    """Every face: an older matplotlib has fewer fonts, and another Pillow draws them."""
    code = "import hashlib; from gan_course.data import glyphs; "
    code += "print(hashlib.sha256(glyphs.make(300, 7, 16).x.numpy().tobytes()).hexdigest())"
    here = glyphs.make(300, 7, 16)
    faces = set(zip(*(here.factors[name].tolist() for name in ("family", "weight", "slant")), strict=True))
    assert len(faces) == len(glyphs.FONTS)
    assert printed(colab_machine, code).strip() == hashlib.sha256(here.x.numpy().tobytes()).hexdigest()


def test_widget_cells_bring_what_they_need() -> None:
    sources = [
        "import math\nif colab:\n    %pip install course",
        "from gan_course.notebook import widgets\nother = 1",
        "frames = []\nunused = frames, 1\nassert other == 2",
        "def draw(n):\n    return factor * n",
        "factor = 3\nfor n in range(4):\n    frames.append(draw(n))",
        "figure = math.pi\nmath.show()",
        "lost(frames).backward()\nslope = weight.grad",
        "factor += slope\nwidgets.show(frames)",
        "frames = None",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    assert [cell.source for cell in colab.widget_cells(notebook).cells] == [
        sources[0],
        colab.FEW_STEPS,
        "from gan_course.notebook import widgets",
        "frames = []",
        *sources[3:5],
        *sources[6:8],
    ]
    assert colab.widget_cells(nbformat.v4.new_notebook(cells=notebook.cells[:6])).cells == []


def test_a_notebook_that_fails_in_colab_is_told(
    tmp_path: Path, colab_machine: colab.Machine, capsys: pytest.CaptureFixture
) -> None:
    """What Colab has not is not found, though our environment has it; the repository is not around."""
    cells = ["import os; assert not os.listdir()", "import pytest"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, tmp_path / "fails.ipynb")
    assert colab.main([str(tmp_path / "fails.ipynb")]) == 1
    shown = capsys.readouterr().out
    assert "FAILED" in shown and "No module named 'pytest'" in shown and "1 failed" in shown and "\x1b" not in shown
