"""notebook.start, in and outside a stand-in for Colab. test_colab.py runs the whole first cell."""

import json
import sys
import types
from pathlib import Path

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from gan_course import __version__, notebook

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_COURSE_PROFILE", "quick")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mounted(monkeypatch) -> list[str]:
    """Put a stand-in for google.colab into place; return the list of what is mounted."""
    calls: list[str] = []
    colab = types.ModuleType("google.colab")
    colab.drive = types.SimpleNamespace(mount=calls.append)
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    return calls


def test_elsewhere(capsys, tmp_path):
    assert "google.colab" not in sys.modules
    assert notebook.start("vanilla_gan") == Path("runs/vanilla_gan")
    (line,) = capsys.readouterr().out.splitlines()
    assert f"gan_course {__version__}, torch {torch.__version__}, device" in line and "profile quick" in line
    assert not list(tmp_path.iterdir())


def test_drive_is_refused_elsewhere():
    with pytest.raises(ValueError, match="drive=True works in Colab only"):
        notebook.start("vanilla_gan", drive=True)


def test_colab_warns_and_offers_drive(capsys, mounted):
    assert notebook.start("vanilla_gan") == Path("/content/runs/vanilla_gan")
    shown = capsys.readouterr().out
    assert "A disconnect loses everything under /content" in shown
    assert "out = notebook.start('vanilla_gan', drive=True)" in shown
    assert mounted == []


def test_colab_with_drive(capsys, mounted):
    assert notebook.start("vanilla_gan", drive=True) == Path("/content/drive/MyDrive/gan-course/vanilla_gan")
    assert mounted == ["/content/drive"]
    assert "disconnect" not in capsys.readouterr().out


def test_an_accelerator_is_called_by_its_name(capsys, monkeypatch):
    monkeypatch.setattr(notebook.profiles, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    notebook.start("vanilla_gan")
    assert "device Tesla T4, profile quick" in capsys.readouterr().out


def test_stored_tables_are_found_from_anywhere():
    table = notebook.stored("ring_fast")
    assert table == json.loads((ROOT / "book" / "results" / "ring_fast.json").read_text(encoding="utf-8"))
    assert table["rows"][0]["seed"] == 0


def test_a_table_that_is_planned_need_not_be_there():
    assert notebook.stored("vanilla_gan_mnist_huge", planned=True) is None
    assert notebook.stored("ring_fast", planned=True) == notebook.stored("ring_fast")


def test_a_misspelt_table_is_told_with_the_nearest():
    with pytest.raises(ValueError, match="unknown table 'ring_fats'; the nearest ones are ring_fast, "):
        notebook.stored("ring_fats")


def test_a_table_is_html_in_a_notebook_and_text_in_a_terminal():
    shown = notebook.table("Losses <of> D", ["method", "mean", "n"], [["GAN", "1.25", 10], ["WGAN & GP", "-0.5", 9]])
    assert repr(shown) == "Losses <of> D\nmethod     mean   n\nGAN        1.25  10\nWGAN & GP  -0.5   9"
    page = shown._repr_html_()
    assert page.startswith('<div class="gan-table"><table><caption>Losses &lt;of&gt; D</caption>')
    assert '<tr><th scope="row">WGAN &amp; GP</th><td>-0.5</td><td>9</td></tr>' in page
    assert page.count('<th scope="col">') == 3


@pytest.mark.parametrize("rows", [[], [["a", 1], ["b"]]])
def test_a_table_refuses_rows_that_do_not_fit_its_head(rows):
    with pytest.raises(ValueError, match="rows must be at least one, each with 2 cells as head has, got"):
        notebook.table("caption", ["name", "value"], rows)


def test_figures_of_a_chapter_are_svg_and_the_same_each_time():
    cells = [
        "import matplotlib.pyplot as plt\nfrom gan_course import notebook\nout = notebook.start('x')",
        "plt.plot([0, 1])\nplt.show()",
    ]
    runs = []
    for _ in range(2):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        NotebookClient(book, kernel_name="python3", timeout=120).execute()
        (output,) = [output for output in book.cells[1].outputs if "data" in output]
        assert set(output.data) == {"image/svg+xml", "text/plain"}
        runs.append(output.data["image/svg+xml"])
    assert runs[0] == runs[1] and "<dc:date>" not in runs[0]
