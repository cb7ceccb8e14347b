"""The sources in lab/: their linter, their own tests, and that what the package ships was built from them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAB = ROOT / "lab"
BROWSER = ROOT / "gan_course" / "notebook" / "browser"
pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js is not installed")


def npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["npm", *arguments], cwd=LAB, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def packages() -> None:
    """The packages of the lock file, installed anew if they are missing or older."""
    there, lock = LAB / "node_modules" / ".package-lock.json", LAB / "package-lock.json"
    if not there.exists() or there.stat().st_mtime < lock.stat().st_mtime:
        done = npm("ci")
        assert done.returncode == 0, done.stderr


def test_lock_file_pins_all_and_names_no_host() -> None:
    packages = json.loads((LAB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert all(about["version"] and about["integrity"] for name, about in packages.items() if name)
    assert not any("resolved" in about for about in packages.values())
    wanted = json.loads((LAB / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())


def test_linter(packages: None) -> None:
    done = npm("run", "lint")
    assert done.returncode == 0, done.stdout


def test_own_tests(packages: None) -> None:
    done = npm("test")
    assert done.returncode == 0, done.stdout[-5_000:]
    assert int(re.search(r"^\S* ?pass (\d+)$", done.stdout, re.M)[1]) > 0


def test_what_is_shipped_was_built_from_the_sources(packages: None) -> None:
    done = npm("run", "build", "--", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    sizes = dict(re.findall(r"(\w+)\.js: \d+ characters, (\d+) bytes", done.stdout))
    assert sizes.keys() == {"lab", "generators"}
    assert sum(map(int, sizes.values())) < 60_000


def test_shipped_scripts_ask_for_nothing() -> None:
    for file in BROWSER.glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\bfetch\(|XMLHttpRequest|importScripts|https?://(?!www\.w3\.org)", text), file.name
