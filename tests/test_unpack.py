"""tools/unpack.py: what it makes of archives, and that it makes nothing of damaged ones."""

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_course import data
from gan_course.data import catalogue, downloads
from tools import unpack

SIZES = {"train": 12, "test": 4}
CLASSES = np.array(["ant", "bee wolf", "cat"])


def jpeg(shade: int, size: tuple[int, int] = (32, 32)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(file, "JPEG", quality=95)
    return file.getvalue()


def arrays(n: int) -> dict[str, np.ndarray]:
    """Image i has the shade 20 i and the class i modulo 3."""
    images = [jpeg(20 * i) for i in range(n)]
    return {
        "jpeg": np.frombuffer(b"".join(images), np.uint8),
        "offsets": np.cumsum([0, *map(len, images)]),
        "labels": (np.arange(n) % 3).astype(np.uint8),
        "classes": CLASSES,
    }


def facades(path: Path, **extra: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for part, n in downloads.ARCHIVES["facades"].images.items():
            for i in range(1, n + 1):
                archive.writestr(f"facades/{part}/{i}.jpg", jpeg(20 * i, (512, 256)))
        for name, body in extra.items():
            archive.writestr(name, body)


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A folder with tiny archives of all kinds."""
    monkeypatch.setattr(catalogue, "JPEG_SIZES", SIZES)
    monkeypatch.setattr(unpack, "JPEG_SIZES", SIZES)
    archive = downloads.ARCHIVES["facades"]
    monkeypatch.setitem(downloads.ARCHIVES, "facades", smaller(archive, train=3, val=1, test=2))
    source = tmp_path / "source"
    (source / "MNIST" / "raw").mkdir(parents=True)
    for split in data.SPLITS:
        np.savez(source / f"cifar10_jpeg_{split}.npz", **arrays(SIZES[split]))
        for file in downloads.IDX["mnist"].files(split):
            (source / "MNIST" / "raw" / file).write_bytes(file.encode())
    facades(source / "facades.zip")
    return source


def smaller(archive: downloads.Archive, **images: int) -> downloads.Archive:
    return downloads.Archive(**{**vars(archive), "images": images})


def run(*arguments: str | Path) -> int:
    return unpack.main([str(a) for a in arguments])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_what_is_unpacked_can_be_the_data_root(source, tmp_path, monkeypatch, capsys):
    target = tmp_path / "deep" / "target"
    assert run(source, target) == 0
    assert "cifar10-jpeg: 16 files" in capsys.readouterr().out
    assert {f.name for f in target.iterdir()} == {"cifar10-jpeg", "facades", "MNIST"}
    given = arrays(12)
    for i, (begin, end) in enumerate(zip(given["offsets"], given["offsets"][1:], strict=False)):
        file = target / "cifar10-jpeg" / "train" / CLASSES[i % 3] / f"{i:05d}.jpg"
        assert file.read_bytes() == given["jpeg"][begin:end].tobytes()
    assert tree(target / "MNIST") == tree(source / "MNIST")

    monkeypatch.setenv("GAN_COURSE_DATA", str(target))
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    ds = data.load("cifar10-jpeg")
    shades = ds.x.float().mean((1, 2, 3)).numpy() / 20
    indices = shades.round().astype(int)  # in an order of its own
    assert sorted(indices) == list(range(12)) and np.abs(shades - indices).max() < 0.15
    assert ds.labels.tolist() == given["labels"][indices].tolist() and ds.classes == CLASSES.tolist()
    assert len(data.load("cifar10-jpeg", split="test")) == 4
    assert len(data.load_domains("facades", paired=True)) == 3
    assert len(data.load_domains("facades", split="test").a) == 1


def test_what_is_there_is_left_alone(source, tmp_path, capsys):
    target = tmp_path / "target"
    assert run(source, target, "--only", "facades") == 0
    assert {f.name for f in target.iterdir()} == {"facades"}
    (target / "facades" / "train" / "1.jpg").write_bytes(b"changed by its owner")
    before = tree(target)
    (source / "facades.zip").unlink()
    assert run(source, target, "--only", "facades") == 0
    assert "facades is there already and left as it is" in capsys.readouterr().out and tree(target) == before


def test_mnist_is_copied_only_if_it_is_there(source, tmp_path, capsys):
    (source / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    assert run(source, tmp_path / "a") == 2
    assert "MNIST is not made: " in capsys.readouterr().err
    (source / "MNIST").rename(source / "other")
    assert run(source, tmp_path / "b") == 0
    assert {f.name for f in (tmp_path / "b").iterdir()} == {"cifar10-jpeg", "facades"}


def changed(**arrays_: object):
    """Rewrite an archive with some arrays replaced; None leaves one out."""

    def change(path: Path) -> None:
        given = {**arrays(SIZES["train"]), **arrays_}
        np.savez(path, **{name: array for name, array in given.items() if array is not None})

    return change


GOOD = arrays(SIZES["train"])
TORN = GOOD["jpeg"].copy()
TORN[GOOD["offsets"][5]] = 0
SHIFTED = GOOD["offsets"].copy()
SHIFTED[5] += 1

JPEG_START = GOOD["jpeg"][:5].tobytes()

WRONG = {
    "missing": (Path.unlink, "cifar10_jpeg_train.npz is missing"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-300]), "cannot be read"),
    "damaged": (
        lambda path: path.write_bytes(path.read_bytes().replace(bytes(TORN[5:200]), bytes(195))),
        "cannot be read",
    ),
    "text": (lambda path: path.write_text("text"), "cannot be read"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read"),
    "an .npy": (lambda path: np.save(path.open("wb"), np.zeros(3)), "cannot be read"),
    "pickled": (changed(classes=np.array(["ant", None], object)), "cannot be read: Object arrays cannot be loaded"),
    "without labels": (changed(labels=None), "cannot be read: .*labels"),
    "floats": (changed(jpeg=np.zeros(9)), "jpeg must be one row of uint8"),
    "fewer": (changed(offsets=GOOD["offsets"][:-1]), "offsets must be 13 whole numbers"),
    "fewer labels": (changed(labels=GOOD["labels"][1:]), "labels must be 12 whole numbers"),
    "no names": (changed(classes=np.arange(3)), "classes must be a row of names"),
    "short": (changed(jpeg=GOOD["jpeg"][:-1]), "offsets must rise from 0 to"),
    "backwards": (changed(offsets=GOOD["offsets"][::-1].copy()), "offsets must rise from 0 to"),
    "class 3": (changed(labels=np.full(12, 3)), "labels must be from 0 to 2, got 3 to 3"),
    "class -1": (changed(labels=np.full(12, -1)), "labels must be from 0 to 2, got -1 to -1"),
    "a path": (changed(classes=np.array(["ant", "../bee", "cat"])), r"classes must be different names .*'\.\./bee'"),
    "a hidden one": (changed(classes=np.array(["ant", "..", "cat"])), "classes must be different names"),
    "twice": (changed(classes=np.array(["ant", "ant", "cat"])), "classes must be different names"),
    "no JPEG": (changed(jpeg=TORN), "image 5 is no JPEG, or not a whole one"),
    "shifted": (changed(offsets=SHIFTED), "image 4 is no JPEG, or not a whole one"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_archives_of_jpegs(source, tmp_path, capsys, what):
    change, message = WRONG[what]
    change(source / "cifar10_jpeg_train.npz")
    assert run(source, tmp_path / "target") == 2
    error = capsys.readouterr().err
    assert error.startswith("cifar10-jpeg is not made: ") and error.count("\n") == 1
    assert re.search(message, error), error
    assert {f.name for f in (tmp_path / "target").iterdir()} == {"facades", "MNIST"}  # the others are made


def encrypted(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[6] |= 1  # the flag in the header of the first file, and in the directory
    body[body.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(body))


WRONG_ZIPS = {
    "missing": (Path.unlink, "facades.zip is missing"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-30]), "cannot be unpacked"),
    "damaged": (lambda path: path.write_bytes(path.read_bytes().replace(b"\xff\xd8", b"\xff\xd7")), "Bad CRC-32"),
    "encrypted": (encrypted, "cannot be unpacked: .*password"),
    "outside": (lambda path: facades(path, **{"../evil": b""}), "it holds '../evil', which would land outside"),
    "too many": (
        lambda path: facades(path, **{"facades/train/9.jpg": jpeg(0, (512, 256))}),
        "facades/train holds 4 images .*, expected 3",
    ),
    "no facades": (lambda path: zipfile.ZipFile(path, "w").close(), "facades/train holds 0 images .*, expected 3"),
}


@pytest.mark.parametrize("what", WRONG_ZIPS)
def test_wrong_zips(source, tmp_path, capsys, what):
    change, message = WRONG_ZIPS[what]
    change(source / "facades.zip")
    assert run(source, tmp_path / "target", "--only", "facades") == 2
    error = capsys.readouterr().err
    assert error.startswith("facades is not made: ") and error.count("\n") == 1
    assert re.search(message, error), error
    assert list((tmp_path / "target").iterdir()) == [] and not list(tmp_path.rglob("evil"))


def test_images_of_another_size(source, tmp_path, capsys):
    with zipfile.ZipFile(source / "facades.zip", "w") as archive:
        for part, n in (("train", 3), ("val", 1), ("test", 2)):
            for i in range(n):
                archive.writestr(f"facades/{part}/{i}.jpg", jpeg(9, (300, 256)))
    assert run(source, tmp_path / "target", "--only", "facades") == 2
    assert "is 300x256, expected 512x256" in capsys.readouterr().err


def test_a_target_that_cannot_be_written(source, tmp_path, capsys):
    (tmp_path / "target").write_text("a file")
    assert run(source, tmp_path / "target") == 2
    assert "facades cannot be written" in capsys.readouterr().err


def test_as_a_command(source, tmp_path, root):
    command = [sys.executable, root / "tools" / "unpack.py"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True)
    assert shown.returncode == 0 and "cifar10_jpeg_train.npz" in shown.stdout and "--only" in shown.stdout


@pytest.mark.data("cifar10_jpeg_test.npz")
def test_the_real_archive_of_test_images():
    archive = Path(os.environ["GAN_COURSE_DATA"], "cifar10_jpeg_test.npz")
    jpeg, offsets, labels, classes = unpack.read_npz(archive, 10_000)
    assert np.bincount(labels).tolist() == [1000] * 10 and (classes[0], classes[9]) == ("airplane", "truck")
    with Image.open(io.BytesIO(jpeg[offsets[7] : offsets[8]])) as image:
        assert image.size == (32, 32) and image.mode == "RGB"


@pytest.mark.data("facades.zip")
def test_the_real_facades(tmp_path):
    assert run(Path(os.environ["GAN_COURSE_DATA"]), tmp_path, "--only", "facades") == 0
    counts = {part.name: len(list(part.iterdir())) for part in (tmp_path / "facades").iterdir()}
    assert counts == {"train": 400, "val": 100, "test": 106}
