"""The committed files of other projects are what the table of tools/vendor.py says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools import vendor

ROOT = Path(__file__).resolve().parent.parent


def test_committed_files_are_right_and_small_enough() -> None:
    assert vendor.problems(ROOT) == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in (vendor.KATEX, vendor.REVEAL, vendor.ASSETS):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_changed_missing_and_unknown_files_are_found(copy: Path) -> None:
    katex = copy / vendor.KATEX
    with (katex / "katex.min.js").open("a") as file:
        file.write("//")
    (katex / "LICENSE.txt").unlink()
    (katex / "stray.js").touch()
    (copy / vendor.REVEAL / "plugin.js").touch()
    found = vendor.problems(copy)
    assert len(found) == 4
    for name in ("katex.min.js: sha256", "LICENSE.txt: missing", "stray.js: not in", "plugin.js: not in"):
        assert any(name in line for line in found)


def test_refused_download_writes_nothing(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tampered(package: vendor.Package, folder: Path) -> dict[str, bytes]:
        return {file.member: b"something else" for file in package.files}

    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    monkeypatch.setattr(vendor, "download", tampered)
    with pytest.raises(vendor.VendorError, match="nothing was written"):
        vendor.fetch(copy)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
