"""Fetch what typesets the book's formulas, what shows its slides, and what its browser test checks accessibility with.

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
LIMIT = 1_000_000  # bytes; no committed file may be larger


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


KATEX = "book/_ext/katex"
REVEAL = "book/_slides/reveal"
ASSETS = "tests/assets"

PACKAGES = (
    Package(
        "katex", "0.19.1", "MIT", "https://github.com/KaTeX/KaTeX", KATEX, (
            File("package/dist/katex.min.js", "katex.min.js",
                 "fa140498b8cfc8302cbe5e7cb1bdbc1f952bc38b3fa258ede09e73edbf9a74bc"),
            File("package/dist/katex.min.css", "katex.min.css",
                 "00e0b094171b07f58422075f469b4feac2b2f7bce1aeec943c08da4d697f4dcf"),
            File("package/LICENSE", "LICENSE.txt",
                 "766ccc1f306c885aa45542a9846bbd0a505b27a0374f146778171c2254ce18e3"),
            File("package/dist/fonts/KaTeX_AMS-Regular.woff2", "fonts/KaTeX_AMS-Regular.woff2",
                 "0cdd387c9590a1a9f9794560022dbb59654a7d86f187aa0c81495ad42d3a7308"),
            File("package/dist/fonts/KaTeX_Caligraphic-Bold.woff2", "fonts/KaTeX_Caligraphic-Bold.woff2",
                 "de7701e42cf1f4cf0b766c03fb27977207eee2f4fd5d76fa82188406da43ea4c"),
            File("package/dist/fonts/KaTeX_Caligraphic-Regular.woff2", "fonts/KaTeX_Caligraphic-Regular.woff2",
                 "5d53e70ad607c2352162dec9e0923fb54ecdafaccbf604cd8dcf7d00facb989b"),
            File("package/dist/fonts/KaTeX_Fraktur-Bold.woff2", "fonts/KaTeX_Fraktur-Bold.woff2",
                 "74444efd593c005e3f4573b44524704c0af0a937fe911cca9e94068d0d140d3f"),
            File("package/dist/fonts/KaTeX_Fraktur-Regular.woff2", "fonts/KaTeX_Fraktur-Regular.woff2",
                 "51814d270d06ff0255dba0799994fa4d8c84d11f09951d47595f4abb1f3602dc"),
            File("package/dist/fonts/KaTeX_Main-Bold.woff2", "fonts/KaTeX_Main-Bold.woff2",
                 "0f60d1b897938ec918c8ce073092411baf9438f6739465693ff18b0f9d20b021"),
            File("package/dist/fonts/KaTeX_Main-BoldItalic.woff2", "fonts/KaTeX_Main-BoldItalic.woff2",
                 "99cd42a3c072d918f2f44984a807cf7aa16e13545fd0875fc07c6c65f99e715b"),
            File("package/dist/fonts/KaTeX_Main-Italic.woff2", "fonts/KaTeX_Main-Italic.woff2",
                 "97479ca6cce906abc961ecac96faa5f9ca2e61b8e7670d475826bcdee9a7c267"),
            File("package/dist/fonts/KaTeX_Main-Regular.woff2", "fonts/KaTeX_Main-Regular.woff2",
                 "c2342cd8b869e01752a9321dc17213fc40d4d04c79688c1d43f2cf316abd7866"),
            File("package/dist/fonts/KaTeX_Math-BoldItalic.woff2", "fonts/KaTeX_Math-BoldItalic.woff2",
                 "dc47344dbb6cb5b655c8460d561f4df5f501b90c804ad3c6cec65fe322351ab1"),
            File("package/dist/fonts/KaTeX_Math-Italic.woff2", "fonts/KaTeX_Math-Italic.woff2",
                 "7af58c5ec8f132a2ddde9027c6d7814decce4d3b822a11192a42a20e2e973264"),
            File("package/dist/fonts/KaTeX_SansSerif-Bold.woff2", "fonts/KaTeX_SansSerif-Bold.woff2",
                 "e99ae51144bf1232efcc1bfe5add36262c6866b0faab24fa75740e1b98577a62"),
            File("package/dist/fonts/KaTeX_SansSerif-Italic.woff2", "fonts/KaTeX_SansSerif-Italic.woff2",
                 "00b26ac825e2095056396e0553b8ac26d3f8ad158c3826e28b4c45b385c4714a"),
            File("package/dist/fonts/KaTeX_SansSerif-Regular.woff2", "fonts/KaTeX_SansSerif-Regular.woff2",
                 "68e8c73ef42afd3ccec58bf0fba302cce448938e7fc020a5e31f8a952eee1342"),
            File("package/dist/fonts/KaTeX_Script-Regular.woff2", "fonts/KaTeX_Script-Regular.woff2",
                 "036d4e95149b69ff9bcc0cd55771efeb25ffa3947293e69acd78d5ac328c684b"),
            File("package/dist/fonts/KaTeX_Size1-Regular.woff2", "fonts/KaTeX_Size1-Regular.woff2",
                 "6b47c40166b6dbe21a5dfca7718413f2147fd2399be1ba605d8ad39cedf25dfe"),
            File("package/dist/fonts/KaTeX_Size2-Regular.woff2", "fonts/KaTeX_Size2-Regular.woff2",
                 "d04c54219f9eaec6d4d4fd42dfb28785975a4794d6b2fc71e566b9cd6db842dd"),
            File("package/dist/fonts/KaTeX_Size3-Regular.woff2", "fonts/KaTeX_Size3-Regular.woff2",
                 "73d591271b1604960cb10bb90fee021670af7297017e0e98480b332d11f51995"),
            File("package/dist/fonts/KaTeX_Size4-Regular.woff2", "fonts/KaTeX_Size4-Regular.woff2",
                 "a4af7d414440a1c1790825cfb700cf9cf43b0f2c4b04f0ebc523011ad9853ec0"),
            File("package/dist/fonts/KaTeX_Typewriter-Regular.woff2", "fonts/KaTeX_Typewriter-Regular.woff2",
                 "71d517d67827787cfabdf186914cc3358eda539e37931941f2b2fd4a21f68c0b"),
        ),
    ),
    Package(
        "reveal.js", "6.0.2", "MIT; notes.js holds marked, MIT (notice in the file)",
        "https://github.com/hakimel/reveal.js", REVEAL, (
            File("package/dist/reveal.js", "reveal.js",
                 "aa1bbbf2617b23a623b23612cb3c5bdb63de512e652bf20fcfa832b045d37844"),
            File("package/dist/reveal.css", "reveal.css",
                 "615ee850cbbb98a0f688b60ed37b21819a3f54c9f3e6f20e33e63693ab74a0c0"),
            File("package/dist/plugin/notes.js", "notes.js",
                 "447c42f365876e41853de81453d0c53c580c5b2099132e8f61200de4a0ba2af3"),
            File("package/LICENSE", "LICENSE.txt",
                 "b2883e4b610bfa1b4d8fff84c4d4b825cc7d553cbd9fec4777c04068a2859dc0"),
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
    present = {
        path.relative_to(root).as_posix()
        for folder in (KATEX, REVEAL)
        for path in (root / folder).rglob("*")
        if path.is_file()
    }
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
            print(f"{len(written)} files written below {KATEX}, {REVEAL} and {ASSETS}")
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
