"""Point the course at another repository: after a fork, run this once and commit the result.

    python tools/set_repository.py https://github.com/ORG/REPO
    python tools/set_repository.py --check

The URL is written in `_config.yml`; the badges, the first cell of each notebook, the citation and the package's
metadata repeat it, because they are read where `_config.yml` is not. The first form replaces the old URL by the
new one in all of them and changes no other byte. `--check` changes nothing, lists the places that disagree with
`_config.yml`, and exits with 1 if there are any. CHANGELOG.md is history and is left as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "gan-course"
LEFT_ALONE = ("book/_ext/katex/", "book/_slides/reveal/", "tests/assets/", "CHANGELOG.md")  # of others, and history
URL = re.compile(r"https://github\.com/([A-Za-z0-9][A-Za-z0-9-]{0,38})/(?!\.{1,2}$)([A-Za-z0-9._-]{1,100})")
OWNER_AND_NAME = r"([A-Za-z0-9-]+/[A-Za-z0-9._-]*[A-Za-z0-9_-])"
# What is ours wherever it stands: the line that installs or clones the course, and links that open it in Colab.
OURS = re.compile(
    rf"{PACKAGE}(?:\[[\w,]+\])? @ git\+https://github\.com/{OWNER_AND_NAME}"
    rf"|git clone (?:--?\S+ )*https://github\.com/{OWNER_AND_NAME}"
    rf"|colab\.research\.google\.com/github/{OWNER_AND_NAME}/"
)
METADATA = {"pyproject.toml", "CITATION.cff"}  # every GitHub URL in these is ours


class RepositoryError(ValueError):
    """A URL or a working tree that the command cannot use."""


def parse(url: str) -> tuple[str, str]:
    """Split `https://github.com/ORG/REPO` into (ORG, REPO); a trailing slash or `.git` is allowed."""
    match = URL.fullmatch(url.rstrip("/").removesuffix(".git"))
    if not match:
        raise RepositoryError(f"URL must look like https://github.com/ORG/REPO, got {url!r}")
    return match[1], match[2]


def configured(root: Path = ROOT) -> tuple[str, str, str]:
    """Read (ORG, REPO, branch) from `_config.yml`."""
    text = (root / "_config.yml").read_text(encoding="utf-8")
    section = re.search(r"^repository:[ \t]*\n((?:[ \t]+.*\n|[ \t]*\n)+)", text, re.MULTILINE)
    values = dict(re.findall(r"^[ \t]+(\w+):[ \t]*(\S+)", section[1] if section else "", re.MULTILINE))
    if "url" not in values:
        raise RepositoryError("_config.yml has no repository: url: to start from")
    return *parse(values["url"]), values.get("branch", "main")


def texts(root: Path = ROOT) -> dict[str, str]:
    """All text files that git tracks or would track, by their path."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        raise RepositoryError(f"{root} is not a git working tree (or git is not installed)") from None
    found = {}
    for name in sorted(set(filter(None, names))):
        path = root / name
        if name.startswith(LEFT_ALONE) or path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            try:
                found[name] = content.decode("utf-8")
            except UnicodeDecodeError:
                continue  # not a text of ours
    return found


def rewrite(text: str, old: tuple[str, str], new: tuple[str, str]) -> str:
    """Replace the repository wherever a GitHub, Colab, raw-file, Binder or GitHub Pages address names it."""
    (org, repo), (new_org, new_repo) = old, new
    after = r"(?![A-Za-z0-9_-])"  # not a longer name that begins alike
    hosts = r"((?:github\.com|raw\.githubusercontent\.com)[/:]|/github/|/gh/)"
    text = re.sub(rf"{hosts}{re.escape(org)}/{re.escape(repo)}{after}", rf"\g<1>{new_org}/{new_repo}", text)
    return re.sub(rf"\b{re.escape(org)}\.github\.io/{re.escape(repo)}{after}", f"{new_org}.github.io/{new_repo}", text)


def set_repository(url: str, root: Path = ROOT) -> list[str]:
    """Rewrite the tree for `url`; returns the files that changed."""
    new = parse(url)
    *old, _ = configured(root)
    changed = []
    for name, text in texts(root).items():
        if (rewritten := rewrite(text, tuple(old), new)) != text:
            (root / name).write_bytes(rewritten.encode("utf-8"))
            changed.append(name)
    return changed


def disagreements(root: Path = ROOT) -> list[str]:
    """Every place that names another repository than `_config.yml`, as "file:line: what"."""
    org, repo, branch = configured(root)
    slug = f"{org}/{repo}"
    found = []
    for name, text in texts(root).items():
        pattern = re.compile(rf"github\.com/{OWNER_AND_NAME}") if name in METADATA else OURS
        for match in pattern.finditer(text):
            named = next(filter(None, match.groups())).removesuffix(".git")
            if named != slug:
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{name}:{line}: names {named}, _config.yml names {slug}")
        if name.startswith("book/") and name.endswith(".ipynb"):
            found += [f"{name}: {what}" for what in chapter_problems(name, text, slug, branch)]
    return found


def chapter_problems(name: str, text: str, slug: str, branch: str) -> list[str]:
    """What a chapter lacks: the link that opens this very notebook, and the line that installs the course."""
    cells = json.loads(text)["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    prose = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    link = f"https://colab.research.google.com/github/{slug}/blob/{branch}/{name}"
    problems = []
    if link not in prose:
        problems.append(f"no link to {link}")
    install = rf'"{re.escape(PACKAGE)}(\[\w+\])? @ git\+https://github\.com/{re.escape(slug)}"'  # perhaps with an extra
    if not code or not re.search(install, code[0]):
        problems.append(f"the first code cell does not install from https://github.com/{slug}")
    return problems


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="https://github.com/ORG/REPO")
    parser.add_argument("--check", action="store_true", help="list the places that disagree with _config.yml")
    options = parser.parse_args(arguments)
    if (options.url is None) != options.check:
        parser.error("give either a URL or --check")
    try:
        if options.url is not None:
            changed = set_repository(options.url)
            print(f"{len(changed)} files changed" + "".join(f"\n  {name}" for name in changed))
        found = disagreements()
    except RepositoryError as error:
        print(f"set_repository: {error}", file=sys.stderr)
        return 2
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print("every place agrees with https://github.com/{}/{}".format(*configured()))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
