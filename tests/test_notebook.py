"""notebook.start, in and outside a stand-in for Colab. test_colab.py runs the whole first cell."""

import json
import sys
import types
from pathlib import Path

import pytest
import torch

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
