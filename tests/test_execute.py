"""tools/execute.py: a notebook is run, stamped and replaced, or left as it was."""

import os
from pathlib import Path

import nbformat
import numpy as np
import pytest

from tools import execute

URL = "https://github.com/some/where"


@pytest.fixture
def book(tmp_path, monkeypatch) -> Path:
    """A repository with an empty book; the environment is put back afterwards, because execute sets variables."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    (tmp_path / "_config.yml").write_text(f"repository:\n  url: {URL}\n")
    (tmp_path / "book" / "part").mkdir(parents=True)
    return tmp_path / "book" / "part"


def write(folder: Path, *sources: str, name: str = "chapter.ipynb") -> Path:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell("# Chapter"), *map(nbformat.v4.new_code_cell, sources)]
    nbformat.write(notebook, folder / name)
    return folder / name


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def test_outputs_and_stamp_are_stored(book, capsys):
    path = write(book, "import os\nprint(os.environ['GAN_COURSE_PROFILE'], os.path.basename(os.getcwd()))", "6 * 7")
    assert execute.problem(path) == "it was never executed"
    assert execute.main(["--check"]) == 1
    assert capsys.readouterr().out == "book/part/chapter.ipynb: it was never executed\n"

    assert execute.main(["--threads", "1"]) == 0
    assert "chapter.ipynb: " in capsys.readouterr().out
    notebook = read(path)
    assert notebook.cells[1].outputs[0].text == "book part\n"
    assert notebook.cells[2].outputs[0].data["text/plain"] == "42"
    stamp = notebook.metadata["gan_course"]
    assert set(stamp) == {"profile", "device", "seconds", "date", "torch", "code_sha256"}
    assert stamp["profile"] == "book" and stamp["seconds"] > 0
    assert execute.problem(path) is None
    assert not list(book.glob("*.part"))

    before = path.read_bytes()  # what is not stale is not run again
    assert execute.main([]) == 0 and execute.main(["--check"]) == 0
    assert path.read_bytes() == before

    execute.main(["--profile", "quick", str(path)])
    assert execute.problem(path) == "it was executed in the profile 'quick'"
    assert read(path).cells[1].outputs[0].text == "quick part\n"


def test_widgets_are_not_stored_but_what_stands_beside_them_is(book):
    source = """from IPython.display import display
from ipywidgets import IntSlider
view = {"version_major": 2, "version_minor": 0, "model_id": IntSlider().model_id}
display({"application/vnd.jupyter.widget-view+json": view, "text/html": "<b>still</b>"}, raw=True)"""
    path = write(book, source)
    assert execute.main([]) == 0
    notebook = read(path)
    assert notebook.cells[1].outputs[0].data == {"text/html": "<b>still</b>"}
    assert "widgets" not in notebook.metadata and execute.problem(path) is None

    notebook.cells[1].outputs[0].data[execute.WIDGET_VIEW] = {}
    nbformat.write(notebook, path)
    assert execute.problem(path) == "its outputs hold a widget, which needs a kernel"


def executed(book: Path) -> Path:
    path = write(book, f"%pip --version # {URL}", "1 + 1")
    notebook = read(path)
    for number, cell in enumerate(notebook.cells[1:], start=1):
        cell.execution_count = number
    notebook.metadata["gan_course"] = {"profile": "book", "code_sha256": execute.code_hash(notebook)}
    nbformat.write(notebook, path)
    assert execute.problem(path) is None
    return path


def test_code_that_changed_is_found_and_text_is_not_code(book):
    path = executed(book)
    notebook = read(path)
    notebook.cells[0].source = "# Another title"
    nbformat.write(notebook, path)
    assert execute.problem(path) is None
    for change in (
        lambda cells: cells[2].update(source="1 + 2"),
        lambda cells: cells.insert(1, cells.pop()),
        lambda cells: cells.pop(),
        lambda cells: cells.append(nbformat.v4.new_code_cell("3")),
    ):
        notebook = read(path)
        change(notebook.cells)
        nbformat.write(notebook, book / "changed.ipynb")
        assert execute.problem(book / "changed.ipynb") == "its code has changed since it was executed"


def test_a_fork_keeps_its_outputs(book, tmp_path):
    path = executed(book)
    before = execute.code_hash(read(path))
    fork = "https://github.com/a-fork/of-it"
    (tmp_path / "_config.yml").write_text(f"repository:\n  url: {fork}\n")
    path.write_text(path.read_text().replace(URL, fork))
    assert execute.code_hash(read(path)) == before
    assert execute.problem(path) is None


def test_cleared_outputs_and_large_files_are_found(book, monkeypatch):
    path = executed(book)
    notebook = read(path)
    notebook.cells[1].execution_count = None
    nbformat.write(notebook, path)
    assert execute.problem(path) == "its outputs were cleared or made by hand"
    executed(book)
    monkeypatch.setattr(execute, "LIMIT", 100)
    assert "bytes, the limit is 100" in execute.problem(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise ValueError('broken on purpose')", "broken on purpose"),
        ("import os\nprint(os.getcwd())", "a path of this machine"),
        ("import tempfile\nprint('in', tempfile.gettempdir() + '/x.py:1: UserWarning')", "a path of this machine"),
        ("import torch\nprint([torch.__file__])", "a path of this machine"),
        ("'\u4e2d' * 500_001", "bytes, the limit is 1,500,000"),
    ],
)
def test_what_fails_leaves_the_file_as_it_was(book, capsys, source, message):
    path = write(book, "1 + 1", source)
    before = path.read_bytes()
    assert execute.main([str(path)]) == 1
    assert message in capsys.readouterr().err
    assert path.read_bytes() == before
    assert not list(book.glob("*.part"))


def test_a_picture_is_no_path():
    output = nbformat.v4.new_output(
        "display_data", {"image/png": "/tmp/", "text/html": '<img src="data:image/png;base64,/tmp/"> <b>5</b>'}
    )
    cell = nbformat.v4.new_code_cell("0", outputs=[output])
    texts = execute.output_texts(nbformat.v4.new_notebook(cells=[cell]))
    assert not any("/tmp/" in text for text in texts) and any("<b>5</b>" in text for text in texts)


def test_missing_file(book, capsys):
    assert execute.main([str(book / "none.ipynb")]) == 1
    assert "none.ipynb" in capsys.readouterr().err


def test_a_notebook_is_left_alone_where_a_package_is_missing_that_its_outputs_need(book, capsys):
    path = write(book, "6 * 7")
    other = write(book, "1", name="other.ipynb")
    notebook = read(path)
    notebook.metadata["needs"] = ["no_such_package", "json"]
    nbformat.write(notebook, path)
    before = path.read_bytes()
    assert execute.main([]) == 1
    told = capsys.readouterr()
    assert "chapter.ipynb: not run, for its outputs need no_such_package: see" in told.err
    assert "other.ipynb: " in told.out and execute.problem(other) is None  # the others are run
    assert path.read_bytes() == before


def test_the_stamp_has_the_versions_of_packages_that_the_outputs_need(book):
    path = write(book, "6 * 7")
    notebook = read(path)
    notebook.metadata["needs"] = ["numpy"]
    nbformat.write(notebook, path)
    assert execute.main([str(path)]) == 0
    assert read(path).metadata["gan_course"]["numpy"] == np.__version__
