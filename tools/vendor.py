"""Fetch the JavaScript and the fonts that keep the book and its browser test off the network.

    python tools/vendor.py            fetch with `npm pack` and `pip download`, verify, write
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
import zipfile
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
    client: str  # "npm" or "pip"
    name: str
    version: str
    licence: str
    source: str
    folder: str
    files: tuple[File, ...]


OFFLINE = "book/_static/offline"
ASSETS = "tests/assets"
OWN = {f"{OFFLINE}/widgets-config.js"}  # written here, lives beside the vendored files

PACKAGES = (
    Package(
        "npm", "mathjax", "3.2.2", "Apache-2.0", "https://github.com/mathjax/MathJax", OFFLINE, (
            File("package/es5/tex-svg.js", "mathjax-tex-svg.js",
                 "d4295dc33744836935c1399feece5159577b34c5c8ffb9f1c6324cd82e03a882"),
            File("package/LICENSE", "licenses/mathjax.txt",
                 "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"),
        ),
    ),
    # The fonts are Font Awesome Free 5, solid, regular and brands: the icons of widgets, and of the theme beside them.
    Package(
        "npm", "@jupyter-widgets/html-manager", "1.0.15", "BSD-3-Clause; fonts OFL-1.1; bundled parts MIT",
        "https://github.com/jupyter-widgets/ipywidgets", OFFLINE, (
            File("package/dist/embed-amd.js", "embed-amd.js",
                 "ca87dff57c70ffb2658794fde0eab0e27e5f5472a1f5df7ab2b08e1039fc4b72"),
            File("package/dist/1551f4f60c37af51121f.woff2", "1551f4f60c37af51121f.woff2",
                 "9834b82ad26e2a37583d22676a12dd2eb0fe7c80356a2114d0db1aa8b3899537"),
            File("package/dist/7a3337626410ca2f4071.woff2", "7a3337626410ca2f4071.woff2",
                 "e42a88444448ac3d60549cc7c1ff2c8a9cac721034c073d80a14a44e79730cca"),
            File("package/dist/d878b0a6a1144760244f.woff2", "d878b0a6a1144760244f.woff2",
                 "8ea8791754915a898a3100e63e32978a6d1763be6df8e73a39d3a90d691cdeef"),
            File("package/dist/embed.js.LICENSE.txt", "licenses/html-manager-bundled.txt",
                 "aed2008aae8123157c4ae564883166b1af7bab928d504a1fa7de1f67aec11268"),
        ),
    ),
    # The licence of html-manager, whose own package leaves it out: both come from one repository.
    Package(
        "pip", "ipywidgets", "8.1.9", "BSD-3-Clause", "https://github.com/jupyter-widgets/ipywidgets",
        OFFLINE, (
            File("ipywidgets-8.1.9.dist-info/licenses/LICENSE", "licenses/html-manager.txt",
                 "e5ac2be30b2bcefe330ee9e5ad7fe5b0d1156fecb3555fcaaa908a8d29f9fded"),
        ),
    ),
    Package(
        "npm", "requirejs", "2.3.8", "MIT (notice in the file's head)", "https://github.com/requirejs/requirejs",
        OFFLINE, (
            File("package/require.js", "require.js",
                 "c1fc6b1d53af7522f78d664922abb32acac64ed0ecccb8f907f1e6fc7262563a"),
        ),
    ),
    Package(
        "pip", "anywidget", "0.11.0", "MIT", "https://github.com/manzt/anywidget", OFFLINE, (
            File("anywidget/nbextension/index.js", "anywidget.js",
                 "b257c384632cd992e1758322ccaeeb6de8af7d57c0173efd462fc93041f9f5b6"),
            File("anywidget-0.11.0.dist-info/licenses/LICENSE", "licenses/anywidget.txt",
                 "22c698b6e5f3878c292471980ffd352ee0fad053f9428c2281f34b5e28a6151f"),
        ),
    ),
    Package(
        "npm", "axe-core", "4.14.1", "MPL-2.0 (notice in the file's head)",
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
    """Fetch one package with its registry's client and return the wanted members by their path in it."""
    pinned = f"{package.name}{'@' if package.client == 'npm' else '=='}{package.version}"
    command = {
        "npm": ["npm", "pack", pinned, "--pack-destination", str(folder), "--silent"],
        "pip": [
            sys.executable,
            "-m",
            "pip",
            "download",
            pinned,
            "--no-deps",
            "--only-binary=:all:",
            "--quiet",
            "--dest",
            str(folder),
        ],
    }[package.client]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise VendorError(f"{command[0]} is not installed: it is needed to fetch {pinned}") from None
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise VendorError(f"{pinned}: {package.client} failed: {reason}")
    archive = next(path for path in folder.iterdir() if path.suffix in {".tgz", ".whl"})
    wanted = [file.member for file in package.files]
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return {member: wheel.read(member) for member in wanted}
        with tarfile.open(archive) as tarball:
            return {member: tarball.extractfile(member).read() for member in wanted}
    except KeyError as error:
        raise VendorError(f"{pinned}: the package has no member {error}") from None


def notice(folder: str) -> str:
    """The text of NOTICE.txt for one folder: its packages with version, licence, source and files."""
    lines = ["Files in this folder that come from other projects, unchanged, fetched by tools/vendor.py.", ""]
    for package in PACKAGES:
        if package.folder == folder:
            lines += [
                f"{package.name} {package.version} ({package.client})",
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
    known = set(OWN) | set(expected_notices())
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
    found += [f"{name}: missing" for name in sorted(OWN) if not (root / name).is_file()]
    present = {path.relative_to(root).as_posix() for path in (root / OFFLINE).rglob("*") if path.is_file()}
    found += [f"{name}: not in the table of tools/vendor.py" for name in sorted(present - known)]
    return found


def fetch(root: Path = ROOT) -> list[str]:
    """Fetch everything, verify everything, then write; returns the names written."""
    ready: dict[str, bytes] = {name: text.encode() for name, text in expected_notices().items()}
    wrong = []
    for package in PACKAGES:
        print(f"{package.client:4} {package.name} {package.version}", flush=True)
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
