"""The repository URL: every place agrees with _config.yml, and a fork is one command away."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
URL = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
SLUG = URL.removeprefix("https://github.com/")
FORK_SLUG = "my-University/gan_course.2"
FORK = "https://github.com/" + FORK_SLUG  # not in one piece, or the command would find it here
COLAB = "https://colab.research.google.com/github"
LEFT_ALONE = ("book/_ext/katex/", "book/_slides/reveal/", "tests/assets/", "CHANGELOG.md")

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="needs git and a git working tree"
)


def files(root: Path) -> dict[str, bytes]:
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name: (root / name).read_bytes() for name in names if name and (root / name).is_file()}


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "set_repository.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what git would track, uncommitted work included, with one more chapter."""
    for name, content in files(ROOT).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    # Also what the course itself may not hold: other forms of the address, and names that only begin alike.
    (tmp_path / "extra.md").write_text(
        f"[raw](https://raw.githubusercontent.com/{SLUG}/main/a.png) [ssh](git@github.com:{SLUG}.git)\n"
        f"[pages](https://{SLUG.replace('/', '.github.io/', 1)}/book)\n"
        f"git clone {URL}.git\n"
        f"[another]({URL}-extras) [one more](https://github.com/someone/else)\n",
        encoding="utf-8",
    )
    add_chapter(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def add_chapter(root: Path) -> Path:
    name = "book/game/another.ipynb"
    notebook = {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": [f"[Colab]({COLAB}/{SLUG}/blob/main/{name})"]},
            {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
             "source": [f'%pip install -q "gan-course @ git+{URL}"']},
        ],
        "metadata": {"note": "é"}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def test_every_place_agrees() -> None:
    done = run(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_fork_changes_the_url_everywhere_and_nothing_else(clone: Path) -> None:
    before = files(clone)
    done = run(clone, FORK)
    assert done.returncode == 0, done.stderr
    assert run(clone, "--check").returncode == 0
    after = files(clone)
    assert after.keys() == before.keys()
    assert FORK in after["_config.yml"].decode()
    for name, content in after.items():
        if name.startswith(LEFT_ALONE):
            assert content == before[name], name
        else:
            old = SLUG.encode()
            for host in (b"github.com/", b"github.com:", b"/github/", b"githubusercontent.com/"):
                rest = content.replace(host + old + b"-extras", b"")
                assert host + old not in rest, f"{name} still names {SLUG}"
    extra = after["extra.md"].decode()
    assert f"https://raw.githubusercontent.com/{FORK_SLUG}/main/a.png" in extra
    assert f"git@github.com:{FORK_SLUG}.git" in extra
    assert f"https://{FORK_SLUG.replace('/', '.github.io/')}/book" in extra
    assert f"{URL}-extras" in extra and "https://github.com/someone/else" in extra
    # The way back gives the same bytes: nothing but the URL was touched.
    assert run(clone, URL).returncode == 0
    assert files(clone) == before


def test_fork_keeps_the_stored_outputs(clone: Path) -> None:
    """The hash that ties stored outputs to the code leaves the URL out: a fork need not execute anything."""

    def stale() -> str:
        command = [sys.executable, str(clone / "tools" / "execute.py"), "--check"]
        return subprocess.run(command, capture_output=True, text=True).stdout

    before = stale()
    assert "another.ipynb" in before  # the check works: this chapter was never executed
    assert run(clone, FORK).returncode == 0
    assert stale() == before


def test_disagreement_is_listed(clone: Path) -> None:
    chapter = clone / "book/game/another.ipynb"
    chapter.write_text(chapter.read_text(encoding="utf-8").replace(SLUG, "another/place"), encoding="utf-8")
    citation = clone / "CITATION.cff"
    citation.write_text("repository-code: https://github.com/third/place\n", encoding="utf-8")
    done = run(clone, "--check")
    assert done.returncode == 1
    assert "book/game/another.ipynb" in done.stderr and "another/place" in done.stderr
    assert "CITATION.cff:1: names third/place" in done.stderr


def test_chapter_must_open_itself_in_colab(clone: Path) -> None:
    chapter = clone / "book/game/another.ipynb"
    chapter.rename(clone / "book/game/renamed.ipynb")
    done = run(clone, "--check")
    assert done.returncode == 1
    assert "book/game/renamed.ipynb: no link to" in done.stderr


@pytest.mark.parametrize(
    "url",
    ["", "my-fork", "http://github.com/a/b", "https://gitlab.com/a/b", "https://github.com/a",
     "https://github.com/a/b/c", "https://github.com/a b/c", "https://github.com/-a/b", "https://github.com/a/.."],
)  # fmt: skip
def test_bad_url_is_refused(clone: Path, url: str) -> None:
    before = files(clone)
    done = run(clone, url)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and "https://github.com/ORG/REPO" in done.stderr
    assert files(clone) == before


def test_trailing_slash_and_git_are_allowed(clone: Path) -> None:
    assert run(clone, FORK + ".git").returncode == 0
    assert run(clone, URL + "/").returncode == 0
