"""tools/results.py: which tables are to be made, and that an interrupted one goes on; then the committed tables."""

import json
import os

import pytest
import torch

from gan_course.errors import DataError
from tools import experiments, results, results_page

ROOT_FOLDER = results.FOLDER  # the committed tables
FIELDS = {"name", "what", "settings", "device", "threads", "versions", "date", "rows"}


def tiny(seed: int, device: torch.device, *, offset: int) -> dict[str, int]:
    """A number that the seed gives."""
    tiny.calls.append(seed)
    if seed in tiny.broken:
        raise tiny.broken[seed]
    return {"value": seed + offset}


@pytest.fixture
def entry(tmp_path, monkeypatch) -> experiments.Entry:
    tiny.calls, tiny.broken = [], {}
    entry = experiments.Entry(tiny, {"offset": 10}, range(4))
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    large = experiments.Entry(tiny, {"offset": 0}, range(2), full=True)
    monkeypatch.setattr(results, "ENTRIES", {"tiny": entry, "large": large})
    monkeypatch.setattr(results.profiles, "device", lambda: torch.device("cpu"))
    yield entry
    torch.set_num_threads(1)


def run(*arguments: str) -> int:
    return results.main(list(arguments))


def test_a_table_is_filled_and_then_left_alone(entry, tmp_path, capsys):
    assert results.state("tiny") == "missing"
    assert run("run") == 0
    table = json.loads((tmp_path / "tiny.json").read_text())
    assert set(table) == FIELDS
    assert [(row["seed"], row["value"]) for row in table["rows"]] == [(0, 10), (1, 11), (2, 12), (3, 13)]
    assert table["settings"] == {"offset": 10} and table["what"] == tiny.__doc__ and table["device"] == "cpu"
    assert results.state("tiny") == "ok" and run("run") == 0 and tiny.calls == [0, 1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.json"]
    capsys.readouterr()
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["tiny", "ok", "4", "seeds"]
    assert lines[1].split() == ["large", "missing", "2", "seeds,", "on", "a", "GPU"]


def test_an_interrupted_table_goes_on(entry, tmp_path):
    tiny.broken = {2: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        run("run")
    assert results.state("tiny") == "incomplete" and len(results.read("tiny")["rows"]) == 2
    tiny.broken = {}
    assert run("run") == 0
    assert tiny.calls == [0, 1, 2, 2, 3] and results.state("tiny") == "ok"
    entry.seeds = range(6)
    assert results.state("tiny") == "incomplete" and run("run") == 0 and tiny.calls[5:] == [4, 5]
    entry.seeds = range(3)  # more rows than asked for do no harm
    assert results.state("tiny") == "ok"


def test_seeds_that_run_together_get_their_rows(entry):
    asked = []

    def side_by_side(seeds: list[int], device: torch.device, *, offset: int) -> list[dict[str, int]]:
        asked.append(seeds)
        return [{"value": seed + offset} for seed in seeds]

    entry.run, entry.together, entry.seeds = side_by_side, True, range(2)
    assert run("run") == 0
    entry.seeds = range(4)
    assert run("run") == 0 and asked == [[0, 1], [2, 3]]
    assert [(row["seed"], row["value"]) for row in results.read("tiny")["rows"]] == [(0, 10), (1, 11), (2, 12), (3, 13)]


def test_other_settings_make_a_table_stale(entry):
    run("run")
    entry.settings = {"offset": 20}
    assert results.state("tiny") == "stale" and run("run") == 0
    assert [row["value"] for row in results.read("tiny")["rows"]] == [20, 21, 22, 23]


def test_a_named_table_is_made_anew(entry):
    run("run")
    assert run("run", "tiny") == 0 and tiny.calls == [0, 1, 2, 3] * 2


def test_a_crash_while_writing_keeps_the_old_table(entry, tmp_path, monkeypatch):
    run("run")
    before = (tmp_path / "tiny.json").read_text()
    entry.settings = {"offset": 20}
    monkeypatch.setattr(os, "replace", lambda *paths: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("run")
    assert (tmp_path / "tiny.json").read_text() == before


@pytest.mark.parametrize("error", [RuntimeError, ValueError, FloatingPointError])
def test_what_fails_does_not_keep_others_from_running(entry, capsys, error):
    tiny.broken = {0: error("no such data")}
    results.ENTRIES["other"] = experiments.Entry(tiny, {"offset": 5}, range(1, 3))
    assert run("run") == 1
    assert "tiny: no such data" in capsys.readouterr().err
    assert results.state("other") == "ok"


def test_missing_data_are_skipped_without_a_fault(entry, capsys):
    tiny.broken = {0: DataError("no network")}
    assert run("run") == 0
    assert "tiny skipped: no network" in capsys.readouterr().err


def test_rows_of_other_versions_are_not_mixed_in(entry, tmp_path):
    tiny.broken = {2: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        run("run")
    tiny.broken = {}
    path = tmp_path / "tiny.json"
    path.write_text(path.read_text().replace(torch.__version__, "1.0"))
    assert run("run") == 0 and tiny.calls == [0, 1, 2, 0, 1, 2, 3]


def test_the_entries_for_a_gpu_wait_for_one(entry, capsys):
    assert run("run", "--full") == 0
    assert "no GPU here" in capsys.readouterr().out and tiny.calls == []


def test_an_unknown_entry_is_refused_with_the_nearest(entry, capsys):
    assert run("run", "tinny") == 2
    line = capsys.readouterr().err
    assert "unknown entry 'tinny'" in line and "Did you mean 'tiny'?" in line and line.count("\n") == 1
    assert tiny.calls == []


def stored() -> list[str]:
    return sorted(path.stem for path in ROOT_FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", stored())
def test_committed_tables_are_whole(name):
    table = results.read(name)
    assert FIELDS <= set(table) and table["name"] == name
    assert table["rows"] and all(table[field] for field in ("settings", "device", "versions", "date"))
    if name.startswith("benchmark_"):
        return
    assert name in results.ENTRIES, "no entry makes this file: delete it"
    assert results.state(name) == "ok"
    assert all(row["seconds"] >= 0 for row in table["rows"])


def test_every_entry_for_a_cpu_has_its_table():
    assert {name for name, entry in results.ENTRIES.items() if not entry.full} <= set(stored())


def test_the_page_of_results_is_what_the_tables_give(capsys):
    assert results_page.main(["--check"]) == 0, capsys.readouterr().err


def test_the_page_shows_medians_and_ranges():
    rows = [{"seed": s, "frechet": f, "classes": 10, "seconds": 1.0} for s, f in enumerate((12.34, 9.0, 100.4))]
    made = {"what": "Do\n    :func:`it`.", "settings": {"lr": 0.1, "loss": "hinge"}, "rows": rows}
    other = {**made, "settings": {"lr": 0.2, "loss": "hinge"}, "rows": rows[:1]}
    assert results_page.group({"a": made, "b": other}).splitlines() == [
        "Do `it`. Settings of the first line: lr 0.1, loss hinge.",
        "",
        "| table | seeds | frechet | classes | other settings |",
        "|---|---|---|---|---|",
        "| `a` | 3 | 12.3 (9 to 100) | 10 |  |",
        "| `b` | 1 | 12.3 | 10 | lr 0.2 |",
    ]


def test_a_table_that_needs_a_missing_package_is_skipped_and_says_so(entry, capsys):
    entry.needs = ("no_such_package",)
    assert run("run", "tiny") == 0 and results.state("tiny") == "missing"
    assert "tiny skipped: it needs no_such_package" in capsys.readouterr().err
    entry.needs = ("numpy",)
    assert run("run", "tiny") == 0
    assert set(results.read("tiny")["versions"]) == {"torch", "torchvision", "numpy"}
