"""What the pages of the lab and of the generators say is so: numbers of the tables, names of presets, links."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from gan_course.notebook import widgets

ROOT = Path(__file__).resolve().parent.parent
LAB = (ROOT / "book" / "lab.md").read_text(encoding="utf-8")
GENERATORS = (ROOT / "book" / "generators.md").read_text(encoding="utf-8")
EXPECTED = re.findall(r"^\| \[.+?\]\(lab\.md#preset=([\w-]+)\)[^|]*\| ([\d,]+) \| (.+?) \| (.+?) \|$", LAB, re.M)


def stored(name: str) -> dict:
    return json.loads((ROOT / "book" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def test_every_experiment_with_a_table_is_expected():
    measured = [name for name, about in widgets.Lab.presets().items() if about.get("table", "").startswith("lab_ring_")]
    assert sorted(name for name, *_ in EXPECTED) == sorted(measured)


@pytest.mark.parametrize(("preset", "steps", "modes", "near"), EXPECTED)
def test_what_to_expect(preset, steps, modes, near):
    table = stored(widgets.Lab.presets()[preset]["table"])
    rows = table["rows"]
    assert int(steps.replace(",", "")) == table["settings"]["steps"] and len(rows) == (30 if preset == "fast" else 10)
    counts, shares = [row["modes"] for row in rows], [100 * row["high_quality"] for row in rows]
    low, high, all_eight = min(counts), max(counts), sum(count == 8 for count in counts)
    assert modes == (f"{low} in all" if low == high else f"{low} to {high}" + f", all 8 in {all_eight}" * (high == 8))
    assert near == f"{statistics.median(shares):.1f} %, {min(shares):.1f} to {max(shares):.1f}"


def test_numbers_of_the_package_beside_them():
    def medians(name: str) -> tuple[list[int], float]:
        rows = stored(name)["rows"]
        assert len(rows) == 10
        return sorted(row["modes"] for row in rows), 100 * statistics.median(row["high_quality"] for row in rows)

    counts, _ = medians("ring_slow_momentum")
    assert f"reaches {counts[0]} to {counts[-1]} modes" in LAB
    counts, share = medians("ring_non_saturating")
    assert counts[0] == 8 and f"the cure 8 with {share:.0f} % near one" in LAB
    _, other = medians("ring_fast")
    assert f"{share:.0f} % against {other:.0f} %" in LAB
    lab, package = stored("lab_ring_fast_momentum")["rows"], stored("ring_fast_momentum")["rows"]
    assert sum(row["modes"] == 8 for row in package) == len(package) == 10
    more = stored("ring_fast_momentum_more")["rows"]
    assert len(more) == 20 and len(lab) == 30
    hits = [sum(row["modes"] == 8 for row in rows) for rows in (more, lab)]
    text = " ".join(LAB.split())
    assert f"in twenty more all eight came back in {hits[0]}, and in the lab's own thirty in {hits[1]}" in text
    share = 100 * statistics.median(row["high_quality"] for row in package)
    assert f"only {share:.0f} % of the samples are near one (median; `ring_fast_momentum`)" in text
    five = stored("remedy_ring_critic5")["rows"]
    share = 100 * statistics.median(row["high_quality"] for row in five)
    assert sum(row["modes"] == 8 for row in five) == 9
    assert f"seeds of ten, {share:.0f} % of the samples near one" in text
    counts, _ = medians("remedy_ring_r1")
    assert counts[-1] < 8


PAGES = sorted([*ROOT.glob("book/*.md"), *ROOT.glob("book/*/*.md"), *ROOT.glob("book/*/*.ipynb")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_to_settings_are_experiments(page):
    presets, settings = widgets.Lab.presets(), widgets.Lab.settings()
    for fragment in re.findall(r"\blab\.md#([\w.-]+=[^)\s\"]*)", page.read_text(encoding="utf-8")):
        for name, value in parse_qsl(fragment, strict_parsing=True):
            name = name.removeprefix("b.")
            if name == "preset":
                assert value in presets, fragment
                continue
            kind = settings[name]["type"]
            read = {"number": float, "integer": int, "flag": lambda text: {"0": False, "1": True}[text]}.get(kind, str)
            widgets.Lab(**{name: read(value)})


def table(heading: str, row: str) -> list[str]:
    """The cells of a row of the first table below a heading of the generators' page."""
    part = GENERATORS.split(f"{heading}\n", 1)[1]
    (line,) = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", part, re.M)[:1]
    return [cell.strip() for cell in line.split("|")]


def median(rows: list[dict], key: str) -> float:
    return statistics.median(row[key] for row in rows)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("digits (MNIST, 28x28)", "conditional_mnist"),
        ("photographs (CIFAR-10, 32x32)", "projection_cifar10"),
        ("captions (glyphs, 32x32)", "captions_glyphs"),
    ],
)
def test_what_eight_bits_cost(row, name):
    rows = stored(f"browser_rounded_{name}")["rows"]
    assert len(rows) == 3

    def distance(key: str) -> str:
        value = median(rows, key)
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

    worst = max(row["worst_pixel"] for row in rows)
    assert table("# Trained generators", row) == [
        distance("frechet_stored"), distance("frechet_rounded"), distance("frechet_real"),
        f"{100 * median(rows, 'obeyed_stored'):.1f} %", f"{100 * median(rows, 'obeyed_rounded'):.1f} %",
        f"{median(rows, 'mean_pixel'):.2f}, at most {worst:.1f}",
    ]  # fmt: skip


@pytest.mark.parametrize("scale", ["0.25", "0.5", "0.75", "1", "1.5", "real images"])
def test_what_truncation_does(scale):
    real = scale == "real images"
    rows = stored("browser_truncated" + "_real" * real)["rows"]
    assert len(rows) == 3
    frechet, *shares, obeyed, variety = (
        median(rows, key if real else f"{key}_scaled_{scale}")
        for key in ("frechet", "precision", "recall", "accuracy", "variety")
    )
    told = table("## Truncation", scale)
    assert told[0] == (f"{frechet:.0f}" if frechet >= 100 else f"{frechet:.1f}")
    assert told[1:] == [*(f"{share:.2f}" for share in shares), f"{100 * obeyed:.1f} %", f"{variety:.2f}"]


def test_numbers_in_the_generators_sentences():
    text = " ".join(GENERATORS.split())
    (digits,), (photos,) = stored("conditional_mnist")["rows"], stored("projection_cifar10")["rows"]
    (captions,), (drawn,) = stored("captions_glyphs")["rows"], stored("pix2pix_handwritten")["rows"]
    real_digits = median(stored("conditional_mnist_28_real")["rows"], "accuracy")
    real_photos = median(stored("conditional_cifar10_real")["rows"], "accuracy")
    assert f"asked for in {100 * digits['accuracy']:.1f} %; of 2,000 real images in {100 * real_digits:.1f} %" in text
    assert f"asked for in {100 * photos['accuracy']:.1f} %; of 2,000 real images in {100 * real_photos:.1f} %" in text
    assert f"together in {100 * captions['all']:.1f} % where training images had" in text
    assert f"in {100 * captions['all_held_out']:.1f} % where none had" in text
    ratios = [row["ratio"] for row in stored("browser_captions_variety")["rows"]]
    assert f"{statistics.median(ratios):.2f} times as much as two real images" in text
    assert f"{min(ratios):.2f} to {max(ratios):.2f} over three seeds" in text
    behind, both = (100 * drawn[key] for key in ("background", "colours"))
    assert f"{behind:.1f} % get the right background, and {both:.1f} % both" in text
    assert f"{100 * drawn['unseen_in_colours']:.1f} % come out with the ink and the background" in text
    shared = stored("browser_same_latent")["rows"]
    assert f"correlation of {median(shared, 'slant'):.2f}" in text
    assert f"less than {min(row['slant_least'] for row in shared):.2f}" in text
    assert f"it is {median(shared, 'brightness'):.2f}" in text


def test_what_eight_bits_cost_in_the_sentences():
    text = " ".join(GENERATORS.split())
    for name in ("conditional_mnist", "projection_cifar10"):
        rows = stored(f"browser_rounded_{name}")["rows"]
        distances = [row["frechet_stored"] for row in rows]
        assert f"{min(distances):.2f} to {max(distances):.2f}" in text
        assert all(abs(r["frechet_rounded"] - r["frechet_stored"]) < max(distances) - min(distances) for r in rows)
    rows = stored("browser_rounded_captions_glyphs")["rows"]
    distances = [row["frechet_stored"] for row in rows]
    assert f"by {max(distances) - min(distances):.0f} ({min(distances):.0f} to {max(distances):.0f})" in text
    better = statistics.median(row["frechet_stored"] - row["frechet_rounded"] for row in rows)
    assert f"{better:.0f}, to the better" in text
    (drawn,), (facade,) = (stored(f"browser_rounded_pix2pix_{name}")["rows"] for name in ("handwritten", "facades"))
    assert f"colours {100 * drawn['colours_stored']:.1f} % with" in text
    assert f"{100 * drawn['colours_rounded']:.1f} % here" in text
    assert f"{facade['psnr_stored']:.2f} dB and {facade['psnr_rounded']:.2f} dB PSNR" in text


def test_what_is_half_way_and_what_is_left_open():
    """The numbers in the sentences on the straight line, on redrawn latents, and on bold answers."""
    text = " ".join(GENERATORS.split())
    photos, digits = (stored(f"browser_half_way_{n}")["rows"] for n in ("projection_cifar10", "conditional_mnist"))
    assert len(photos) == len(digits) == 3
    for rows, sentence in (
        (photos, "the Fréchet distance is {0:.1f}, along the great circle {1:.1f}; recall is {2:.2f} and {3:.2f}."),
        (digits, "the distance is not larger ({0:.1f} and {1:.1f}), and recall {2:.2f} and {3:.2f} (the middle"),
    ):
        keys = ("frechet_line", "frechet_circle", "recall_line", "recall_circle")
        assert sentence.format(*(median(rows, key) for key in keys)) in text
        assert all(row["recall_line"] < row["recall_circle"] for row in rows)
    assert all(row["frechet_line"] > row["frechet_circle"] + 1 for row in photos)
    assert median(digits, "frechet_line") <= median(digits, "frechet_circle")
    cut = stored("browser_truncated")["rows"]
    assert f"times 0.75 (Fréchet distance {median(cut, 'frechet_cut_1.5'):.1f})" in text
    assert f"times 0.54 ({median(cut, 'frechet_cut_1'):.0f})" in text
    rows = stored("browser_captions_weight")["rows"]
    assert len(rows) == 3
    told, free, real = (100 * median(rows, f"bold_{key}") for key in ("bold_answers", "free_answers", "free_real"))
    assert f"in {told:.0f} % of its answers; left free" in text
    assert f"to its regular ones in {free:.0f} %, real images do in {real:.0f} %" in text
    spreads = [100 * median(rows, f"spread_{key}") for key in ("answers", "real")]
    assert "(standard deviations of {:.1f} and {:.1f} % of the pixels".format(*spreads) in text
    assert 0.3 < spreads[0] / spreads[1] < 0.37, "about a third"
