#!/usr/bin/env python3
"""Run the chapters in the `book` profile, store their outputs, and stamp each with what it was made by.

Without arguments every notebook under book/ is run whose stored outputs do not belong to its code. A notebook is
replaced only after it ran through.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from datetime import date
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import torch
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1_500_000  # bytes
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def chapters() -> list[Path]:
    """Return the notebooks of the book."""
    return sorted(path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def repository_url() -> str:
    """Return the repository's URL, which stands in _config.yml."""
    return yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]


def code_hash(notebook: nbformat.NotebookNode) -> str:
    """Return the SHA-256 of all code cells, whatever the repository's URL: a fork keeps its outputs."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.replace(repository_url(), "REPOSITORY").encode()).hexdigest()


def problem(path: Path) -> str | None:
    """Say why a notebook's stored outputs cannot be trusted, or None."""
    notebook = nbformat.read(path, as_version=4)
    stamp = notebook.metadata.get("gan_course")
    if stamp is None:
        return "it was never executed"
    if stamp["code_sha256"] != code_hash(notebook):
        return "its code has changed since it was executed"
    if stamp["profile"] != "book":
        return f"it was executed in the profile {stamp['profile']!r}"
    if any(WIDGET_VIEW in data for data in output_data(notebook)):
        return "its outputs hold a widget, which needs a kernel"
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if counts != list(range(1, len(counts) + 1)):
        return "its outputs were cleared or made by hand"
    if path.stat().st_size > LIMIT:
        return f"it has {path.stat().st_size:,} bytes, the limit is {LIMIT:,}"
    return None


def version(package: str) -> str:
    """Return the version of an installed package by the name that one imports, without importing it."""
    return metadata.version(metadata.packages_distributions()[package][0])


def missing(path: Path) -> list[str]:
    """Return the packages that a notebook's outputs need, by its metadata, and that are not installed here."""
    return [name for name in nbformat.read(path, as_version=4).metadata.get("needs", []) if find_spec(name) is None]


def execute(path: Path, profile: str, threads: int) -> str:
    """Run a notebook and write it back with outputs and stamp; return a line that says how it went."""
    notebook = nbformat.read(path, as_version=4)
    os.environ |= {"GAN_COURSE_PROFILE": profile, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": str(threads)}
    client = NotebookClient(
        notebook,
        timeout=1200,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": path.parent}},
    )
    began = time.perf_counter()
    client.execute()
    seconds = round(time.perf_counter() - began, 1)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    for data in output_data(notebook):
        data.pop(WIDGET_VIEW, None)  # it needs a kernel; what stands beside it does not
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["gan_course"] = {
        "profile": profile,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {threads} threads",
        "seconds": seconds,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        **{name: version(name) for name in notebook.metadata.get("needs", [])},
        "code_sha256": code_hash(notebook),
    }
    content = (nbformat.writes(notebook) + "\n").encode()
    for folder in (ROOT, Path.home(), Path(tempfile.gettempdir()), Path(sys.prefix)):
        if any(f"{folder}{os.sep}" in text for text in output_texts(notebook)):
            raise ValueError(f"the outputs hold a path of this machine, below {folder}: not written")
    if len(content) > LIMIT:
        aside = Path(tempfile.mkdtemp()) / path.name
        aside.write_bytes(content)  # so that the run is not lost, and one can see what is large
        raise ValueError(f"the outputs make it {len(content):,} bytes, the limit is {LIMIT:,}: written to {aside}")
    beside = path.with_suffix(".part")
    beside.write_bytes(content)
    os.replace(beside, path)
    return f"{seconds} s, {len(content):,} bytes"


def output_data(notebook: nbformat.NotebookNode) -> list[dict[str, Any]]:
    """Return what the outputs show, each as a dict by MIME type."""
    return [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]


def output_texts(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what the outputs say in words, without pictures."""
    texts = []
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        texts.append(output.get("text", "") + "\n".join(output.get("traceback", [])))
        texts += [str(text) for kind, text in output.get("data", {}).items() if not kind.startswith("image/")]
    return [re.sub(r"data:[^\"']*", "", text) for text in texts]  # pictures within HTML


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="run these, whether or not they have changed")
    parser.add_argument("--profile", default="book", choices=["quick", "book", "full"], help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="threads for torch (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="run nothing; say which are stale, exit 1 if any is")
    options = parser.parse_args(arguments)
    stale = {path: reason for path in chapters() if (reason := problem(path))}
    if options.check:
        for path, reason in stale.items():
            print(f"{path.relative_to(ROOT)}: {reason}")
        return 1 if stale else 0
    status = 0
    for path in [path.resolve() for path in options.notebooks] or list(stale):
        try:
            if lacking := missing(path):  # it would run, and its outputs would say that they are not there
                needed = ", ".join(lacking)
                print(f"{path.name}: not run, for its outputs need {needed}: see `make frameworks`", file=sys.stderr)
                status = 1
                continue
            print(f"{path.name}: {execute(path, options.profile, options.threads)}", flush=True)
        except (CellExecutionError, ValueError, OSError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
