"""The page "Bring your own images": its commands run, and what it says is so."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_course import cli
from gan_course.data.images import IMAGE_SUFFIXES, SPLIT_NAMES

PAGE = (Path(__file__).parent.parent / "book" / "appendix" / "own_images.md").read_text()
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture
def folders(tmp_path, monkeypatch) -> Path:
    """The folders of the page, small."""
    rng = np.random.RandomState(0)

    def images(folder: str, n: int, suffix: str = "png", size: tuple[int, int] = (32, 32)) -> None:
        (tmp_path / folder).mkdir(parents=True)
        for i in range(n):
            pixels = rng.randint(0, 255, (*size[::-1], 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.{suffix}")

    for split, n in (("train", 9), ("test", 6)):
        images(f"photos/{split}", n, "jpg", (44, 40))
        images(f"pets/{split}/cat", n)
        images(f"pets/{split}/dog", n)
        images(f"houses/{split}", n, "jpg", (64, 32))
        images(f"drawings/{split}/a", n, "png")
        images(f"drawings/{split}/b", n, "jpg")
        images(f"summer/{split}A", n)
        images(f"summer/{split}B", n + 1)
    images("photos/train/more", 3, "png", (44, 40))
    images("mixed/trainA", 3, "png", (45, 61))
    images("mixed/trainB", 2, "jpg", (100, 37))
    images("mixed/trainB/more", 1, "png", (33, 33))
    images("holidays", 5, "jpg", (30, 50))
    images("made", 8, "png", (44, 40))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_page_run(folders, capsys):
    small = {"sngan": "width=4", "projection": "width=4", "pix2pix": "width=4", "cyclegan": "blocks=1"}
    done = []
    for language, block in BLOCKS:
        if language == "python":
            exec(block, {})
            continue
        for command in block.splitlines():
            program, *arguments = shlex.split(command)
            if arguments[0] == "train":
                arguments += ["--steps", "1", "--batch", "2", "--set", small.get(arguments[1], "width=4")]
            assert program == "gan-course" and cli.main(arguments) == 0, f"{command}: {capsys.readouterr().err}"
            done.append(arguments[0])
    out = capsys.readouterr().out
    assert [done.count(name) for name in ("data", "train", "sample", "evaluate")] == [1, 8, 6, 4]
    assert "photos train: 12 images of shape (3, 40, 44)" in out and "photos test: 6 images" in out
    assert "of shape (3, 32, 32), on" in out and "classes: 0 cat, 1 dog" in out and "for real images" in out
    assert "made: 8 generated and as many real training images of shape (3, 40, 44), each against 6 test" in out
    for name in re.findall(r"--out (\S+\.png)", PAGE.split("## A folder")[1]):
        assert Image.open(folders / name).size[0] > 32


SIDES = [("cyclegan", ("trainA", "trainB")), ("pix2pix", ("train/a", "train/b"))]


def odd(folder: Path, *names: str, n: int = 1, size: tuple[int, int] = (45, 45)) -> None:
    """Images with another size than the page's folders."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.new("RGB", size, (40 * i, 90, 200)).save(folder / name / f"{size[0]}_{i}.png")


def train(family: str, folder: str, *more: str) -> int:
    small = ("--set", "width=4", *(("--set", "blocks=1") if family == "cyclegan" else ()))
    return cli.main(["train", family, "--data", folder, "--steps", "1", "--batch", "2", "--out", "run", *small, *more])


@pytest.mark.parametrize(("family", "folders"), SIDES)
def test_one_image_with_an_odd_side_is_enough_to_start(family, folders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    odd(tmp_path / "few", *folders)
    assert train(family, "few") == 0, capsys.readouterr().err
    assert "1 of shape (2, 3, 32, 32)" in capsys.readouterr().out
    assert cli.main(["sample", "run", "--data", "few", "--out", "translated.png"]) == 0


def test_halves_with_an_odd_side(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    odd(tmp_path / "pairs", "train", n=2, size=(90, 45))
    assert train("pix2pix", "pairs") == 0 and "2 of shape (2, 3, 32, 32)" in capsys.readouterr().out
    odd(tmp_path / "pairs", "train", n=1, size=(91, 45))
    assert train("pix2pix", "pairs") != 0 and "91_0.png is 91x45, expected 2 square images" in capsys.readouterr().err


@pytest.mark.parametrize(("family", "folders"), SIDES)
@pytest.mark.parametrize("within", [True, False])
def test_sizes_that_differ_need_a_size_and_are_told_so(family, folders, within, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sizes = [((45, 61), (100, 37)), ((45, 61), (100, 37))] if within else [((45, 61),), ((100, 37),)]
    for name, mine in zip(folders, sizes, strict=True):
        odd(tmp_path / "mixed", name)
        (tmp_path / "mixed" / name / "45_0.png").unlink()
        for i, size in enumerate(mine):
            Image.new("RGB", size).save(tmp_path / "mixed" / name / f"{i}.png")
    assert train(family, "mixed") != 0
    told = capsys.readouterr().err
    assert "45x61" in told and "100x37" in told and "give a size to bring them to one" in told
    assert train(family, "mixed", "--size", "32") == 0
    assert "of shape (2, 3, 32, 32)" in capsys.readouterr().out


def test_the_page_names_what_is_read():
    named = re.search(r"Files that end in `([^`]*)`", PAGE)[1].split()
    assert len(named) == len(IMAGE_SUFFIXES) and set(named) == IMAGE_SUFFIXES
    assert {name for names in SPLIT_NAMES.values() for name in names} <= set(re.findall(r"`(\w+)/`", PAGE))
