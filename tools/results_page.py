#!/usr/bin/env python3
"""Write book/appendix/results.md, the page that shows all tables over seeds, from the tables themselves.

python tools/results_page.py            write it
python tools/results_page.py --check    say whether it is what the tables give
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import experiments, results  # noqa: E402

PAGE = ROOT / "book" / "appendix" / "results.md"
NUMBERS = 4  # columns of results, so that a table can be read
ROLE = re.compile(r":[a-z]+:(?=`)")  # Sphinx's, in docstrings; the page is plain Markdown
NOT_RESULTS = ("seed", "seconds", "training_seconds")
HEAD = """# Results

All tables over seeds that the chapters load, in short: the median over the seeds, and the smallest and the largest
value in brackets. Each line is a file `book/results/NAME.json` with all settings, one row per seed, the device, the
versions, the seconds and the date; in a notebook, `notebook.stored("NAME")` returns it, and
`python tools/results.py run NAME` makes it again. This page is written by `python tools/results_page.py`.

A Fréchet distance is one in the features of this book's own small judges: comparable within one data set, size and
number of images, and with nothing published. What real images get stands in the tables called `real`.
"""


def number(value: float) -> str:
    """Return a number as it can be read: three digits that matter, none after the point where there are enough."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value)}"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values: list[float]) -> str:
    """Return a median with its range, or the one value that all are."""
    low, middle, high = (number(f(values)) for f in (min, statistics.median, max))
    return middle if low == high else f"{middle} ({low} to {high})"


def scalars(table: dict[str, Any]) -> list[str]:
    """Return the names of a table's results that are one number in every row."""
    kinds = [{key for key, value in row.items() if isinstance(value, int | float)} for row in table["rows"]]
    return [key for key in table["rows"][0] if key in set.intersection(*kinds) and key not in NOT_RESULTS]


def changed(settings: dict[str, Any], usual: dict[str, Any]) -> str:
    """Return what an entry sets otherwise than the first one of its group."""
    return told({key: value for key, value in settings.items() if usual.get(key) != value})


def told(settings: dict[str, Any]) -> str:
    """Return settings in words; long ones are left to the file."""
    known = {key: str(value) for key, value in settings.items() if key != "name"}
    return ", ".join(f"{key} {value if len(value) <= 40 else '...'}" for key, value in known.items())


def group(tables: dict[str, dict[str, Any]]) -> str:
    """Return one Markdown table of entries that were made by the same function."""
    first = next(iter(tables.values()))
    names = scalars(first)[:NUMBERS]
    names = [name for name in names if all(name in scalars(table) for table in tables.values())]
    what = ROLE.sub("", " ".join(first["what"].split()))
    lines = [f"{what} Settings of the first line: {told(first['settings'])}.", ""]
    lines.append("| " + " | ".join(["table", "seeds", *names, "other settings"]) + " |")
    lines.append("|---" * (len(names) + 3) + "|")
    for name, table in tables.items():
        cells = [spread([row[key] for row in table["rows"]]) for key in names]
        cells = [f"`{name}`", str(len(table["rows"])), *cells, changed(table["settings"], first["settings"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for module in pkgutil.iter_modules(experiments.__path__):
        made = importlib.import_module(f"{experiments.__name__}.{module.name}")
        groups: dict[Any, dict[str, Any]] = {}
        for name, entry in made.ENTRIES.items():
            if table := results.read(name):
                groups.setdefault(entry.run, {})[name] = table
        if groups:
            title = re.split(r"[:.;?]", " ".join(made.__doc__.split()))[0]
            parts.append(f"## {title}\n")
            parts += [group(tables) + "\n" for tables in groups.values()]
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if it would be another page")
    options = parser.parse_args(arguments)
    written = page()
    if not options.check:
        PAGE.write_text(written, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == written:
        return 0
    print(f"{PAGE.relative_to(ROOT)} is not what the tables give; run python tools/results_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
