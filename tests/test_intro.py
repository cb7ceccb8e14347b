"""The landing page says what is so: minutes of the chapters, numbers of the tables, how its pictures were made."""

import json
import re
import statistics
from pathlib import Path

import nbformat
import pytest
import yaml
from PIL import Image

from tools import check_text, gallery

ROOT = Path(__file__).resolve().parent.parent
INTRO = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
CARDS = re.findall(r"item-card\} \d+\. .*?\n:link: (\S+)\n(.*?)\n:::\n", INTRO, re.S)


def test_every_chapter_has_a_card_in_order():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    chapters = [file for file in files if (ROOT / f"{file}.ipynb").exists() and "appendix" not in file]
    assert [f"book/{link}" for link, _ in CARDS] == chapters


@pytest.mark.parametrize(("link", "card"), CARDS)
def test_cards(link, card):
    path = ROOT / "book" / f"{link}.ipynb"
    told = int(re.search(r"\*\*(\d+) minutes\*\*$", card)[1])
    assert abs(told - check_text.minutes(nbformat.read(path, as_version=4))[0]) <= 3
    drawn = (gallery.FOLDER / f"{path.stem}.svg").read_text(encoding="utf-8")
    assert drawn == gallery.first_figure(path), f"python tools/gallery.py cards makes the picture of {link} anew"


def test_the_example_has_the_numbers_of_the_tables():
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| (.*?) ?\|$", INTRO, re.M)
    assert len(rows) == 4
    for (name, median, ends), table in zip(rows, ("", "_saturating", "_least_squares", "_real"), strict=True):
        stored = json.loads((ROOT / "book" / "results" / f"vanilla_gan_digits{table}.json").read_text())["rows"]
        values = [row["frechet"] for row in stored]
        assert median == f"{statistics.median(values):.1f}", name
        assert ends == (f"{min(values):.1f} to {max(values):.1f}" if len(values) > 1 else ""), name


def test_pictures_are_those_of_the_command():
    told = json.loads((gallery.FOLDER / "gallery.json").read_text())
    assert told.keys() == gallery.PICTURES.keys()
    for name, facts in told.items():
        assert f"{facts['steps']:,} steps" in INTRO, name
    for number in (told["digits"]["frechet"], told["digits"]["floor"]):
        assert f"{number:.1f}" in INTRO
    for file, width, height in re.findall(r'src="\.\./_static/gallery/(\S+)" width="(\d+)" height="(\d+)"', INTRO):
        with Image.open(gallery.FOLDER / file) as image:
            assert image.size == (int(width), int(height)), file
