"""Fetch the JavaScript that keeps the book and its browser test off the network.

    python tools/vendor.py            fetch with `npm pack`, verify, write
    python tools/vendor.py --check    verify the committed files; needs no network

Every file has its sha256 in the table below: a package that changed under its version is refused and
nothing is written. To take a newer version, change the version and the hashes together (a failed run prints
the new hashes).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 6_000_000  # bytes; no committed file may be larger


@dataclass(frozen=True)
class File:
    member: str  # path inside the package
    target: str  # path inside the folder that receives it
    sha256: str


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    licence: str
    source: str
    folder: str
    files: tuple[File, ...]


OFFLINE = "book/_static/offline"
ASSETS = "tests/assets"

PACKAGES = (
    Package(
        "mathjax", "3.2.2", "Apache-2.0", "https://github.com/mathjax/MathJax", OFFLINE, (
            File("package/es5/tex-svg.js", "mathjax-tex-svg.js",
                 "d4295dc33744836935c1399feece5159577b34c5c8ffb9f1c6324cd82e03a882"),
            File("package/LICENSE", "licenses/mathjax.txt",
                 "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"),
        ),
    ),
    Package(
        "axe-core", "4.14.1", "MPL-2.0 (notice in the file's head)",
        "https://github.com/dequelabs/axe-core", ASSETS, (
            File("package/axe.min.js", "axe.min.js",
                 "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"),
        ),
    ),
)  # fmt: skip


class VendorError(RuntimeError):
    """A package that cannot be fetched or is not what the table says."""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def download(package: Package, folder: Path) -> dict[str, bytes]:
    """Fetch one package with npm and return the wanted members by their path in it."""
    pinned = f"{package.name}@{package.version}"
    command = ["npm", "pack", pinned, "--pack-destination", str(folder), "--silent"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise VendorError(f"npm is not installed: it is needed to fetch {pinned}") from None
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise VendorError(f"{pinned}: npm failed: {reason}")
    try:
        with tarfile.open(next(folder.glob("*.tgz"))) as tarball:
            return {file.member: tarball.extractfile(file.member).read() for file in package.files}
    except KeyError as error:
        raise VendorError(f"{pinned}: the package has no member {error}") from None


def notice(folder: str) -> str:
    """The text of NOTICE.txt for one folder: its packages with version, licence, source and files."""
    lines = ["Files in this folder that come from other projects, unchanged, fetched by tools/vendor.py.", ""]
    for package in PACKAGES:
        if package.folder == folder:
            lines += [
                f"{package.name} {package.version} (npm)",
                f"  licence: {package.licence}",
                f"  source:  {package.source}",
            ]
            lines += [f"  file:    {file.target}" for file in package.files] + [""]
    return "\n".join(lines)


def expected_notices() -> dict[str, str]:
    return {f"{folder}/NOTICE.txt": notice(folder) for folder in sorted({p.folder for p in PACKAGES})}


def problems(root: Path = ROOT) -> list[str]:
    """What is wrong with the committed files; an empty list when all is well."""
    found = []
    known = set(expected_notices())
    for package in PACKAGES:
        for file in package.files:
            name = f"{package.folder}/{file.target}"
            known.add(name)
            path = root / name
            if not path.is_file():
                found.append(f"{name}: missing; run python tools/vendor.py")
                continue
            content = path.read_bytes()
            if digest(content) != file.sha256:
                found.append(f"{name}: sha256 {digest(content)}, expected {file.sha256}")
            if len(content) > LIMIT:
                found.append(f"{name}: {len(content):,} bytes, more than {LIMIT:,}")
    for name, text in expected_notices().items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            found.append(f"{name}: missing or out of date; run python tools/vendor.py")
    present = {path.relative_to(root).as_posix() for path in (root / OFFLINE).rglob("*") if path.is_file()}
    found += [f"{name}: not in the table of tools/vendor.py" for name in sorted(present - known)]
    return found


def fetch(root: Path = ROOT) -> list[str]:
    """Fetch everything, verify everything, then write; returns the names written."""
    ready: dict[str, bytes] = {name: text.encode() for name, text in expected_notices().items()}
    wrong = []
    for package in PACKAGES:
        print(package.name, package.version, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            members = download(package, Path(folder))
        for file in package.files:
            content = members[file.member]
            if digest(content) != file.sha256:
                wrong.append(
                    f"{package.name} {package.version}: {file.member} has sha256 {digest(content)}, "
                    f"expected {file.sha256}"
                )
            ready[f"{package.folder}/{file.target}"] = content
    if wrong:
        raise VendorError("\n".join(wrong + ["nothing was written"]))
    for name, content in ready.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".part")
        beside.write_bytes(content)
        os.replace(beside, path)
    return sorted(ready)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="verify the committed files, without network")
    options = parser.parse_args(arguments)
    try:
        if not options.check:
            written = fetch()
            print(f"{len(written)} files written below {OFFLINE} and {ASSETS}")
    except VendorError as error:
        print(error, file=sys.stderr)
        return 1
    found = problems()
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"all {sum(len(p.files) for p in PACKAGES)} vendored files are as the table says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
