"""notebook.start, in and outside a stand-in for Colab. test_colab.py runs the whole first cell."""

import sys
import types
from pathlib import Path

import pytest
import torch

from gan_course import __version__, notebook


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


@pytest.mark.parametrize("place", ["chapter", "repository"])
def test_stored_tables_are_found_from_both_folders(place, tmp_path, monkeypatch):
    results, part = tmp_path / "book" / "results", tmp_path / "book" / "game"
    results.mkdir(parents=True)
    part.mkdir()
    (results / "ring.json").write_text('{"rows": [{"seed": 0}]}', encoding="utf-8")
    monkeypatch.chdir(part if place == "chapter" else tmp_path)
    assert notebook.stored("ring") == {"rows": [{"seed": 0}]}
    assert notebook.stored("missing") is None


def test_stored_tables_are_not_at_hand_elsewhere():
    assert notebook.stored("ring_fast") is None
