#!/usr/bin/env python3
"""Unpack archives of images into folders that the package reads.

    python tools/unpack.py FROM TO

looks in FROM for

    cifar10_jpeg_train.npz, cifar10_jpeg_test.npz   CIFAR-10 as JPEGs: all files one after the other (`jpeg`), where
                                                    each begins (`offsets`), `labels` and `classes`
    facades.zip                                     CMP Facades, as facades/{train,val,test}/NUMBER.jpg
    MNIST/raw/                                      MNIST, which is copied if it is there

and writes into TO the folders cifar10-jpeg/{train,test}/CLASS/INDEX.jpg, facades/ and MNIST/. TO can then be the data
root, GAN_COURSE_DATA. A folder appears under its name when it is whole; one that is there already is left alone.
Exits with 2 if something is missing or not what it should be; the other folders are made nevertheless.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # `python tools/unpack.py` would find this folder only

from gan_course.data import SPLITS, downloads  # noqa: E402
from gan_course.data.catalogue import JPEG_FOLDER, JPEG_SIZES  # noqa: E402
from gan_course.errors import DataError  # noqa: E402

JPEG_BEGINS, JPEG_ENDS = b"\xff\xd8\xff", b"\xff\xd9"


def unpack_cifar10(source: Path, target: Path) -> None:
    """Write the JPEGs of both splits below ``target``.

    Raises:
        DataError: an archive is missing, damaged or another one; says what is wrong with it.
    """
    for split, n in JPEG_SIZES.items():
        archive = source / f"cifar10_jpeg_{split}.npz"
        jpeg, offsets, labels, classes = read_npz(archive, n)
        for name in classes:
            (target / split / name).mkdir(parents=True)
        for i, label in enumerate(labels):
            image = jpeg[offsets[i] : offsets[i + 1]]
            if not (image.startswith(JPEG_BEGINS) and image.endswith(JPEG_ENDS)):
                raise DataError(f"{archive}: image {i} is no JPEG, or not a whole one")
            (target / split / classes[label] / f"{i:05d}.jpg").write_bytes(image)


def read_npz(archive: Path, n: int) -> tuple[bytes, list[int], list[int], list[str]]:
    """Read and check the arrays of an archive of ``n`` JPEGs: the bytes, n + 1 offsets, n labels, names of classes.

    Raises:
        DataError: it is missing, damaged or another one.
    """
    if not archive.is_file():
        raise DataError(f"{archive} is missing")
    try:
        with np.load(archive, allow_pickle=False) as arrays:
            jpeg, offsets, labels, classes = (arrays[name] for name in ("jpeg", "offsets", "labels", "classes"))
    except (OSError, TypeError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{archive} cannot be read: {' '.join(str(error).split())}") from error
    whole = (
        (jpeg.dtype == np.uint8 and jpeg.ndim == 1, "jpeg must be one row of uint8"),
        (offsets.dtype.kind in "iu" and offsets.shape == (n + 1,), f"offsets must be {n + 1:,} whole numbers"),
        (labels.dtype.kind in "iu" and labels.shape == (n,), f"labels must be {n:,} whole numbers"),
        (classes.dtype.kind == "U" and classes.ndim == 1, "classes must be a row of names"),
    )
    for right, message in whole:
        if not right:
            raise DataError(f"{archive}: {message}")
    offsets, labels, names = offsets.tolist(), labels.tolist(), classes.tolist()
    if offsets[0] != 0 or offsets[-1] != len(jpeg) or any(b <= a for a, b in zip(offsets, offsets[1:], strict=False)):
        raise DataError(f"{archive}: offsets must rise from 0 to {len(jpeg):,}, the number of bytes")
    if min(labels) < 0 or max(labels) >= len(names):
        raise DataError(f"{archive}: labels must be from 0 to {len(names) - 1}, got {min(labels)} to {max(labels)}")
    if bad := [name for name in names if not re.fullmatch(r"\w[\w -]*", name)] or len(set(names)) < len(names):
        raise DataError(f"{archive}: classes must be different names of letters and digits, got {bad or names}")
    return jpeg.tobytes(), offsets, labels, names


def unpack_facades(source: Path, target: Path) -> None:
    """Unpack the pairs into ``target``, a folder named facades; raise DataError if not all of them are there."""
    archive = source / "facades.zip"
    if not archive.is_file():
        raise DataError(f"{archive} is missing")
    try:
        downloads.unpack(archive, target.parent)  # which holds the folder facades, and nothing else
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError) as error:  # RuntimeError: DataError or a password
        raise DataError(f"{archive} cannot be unpacked: {error}") from error
    if wrong := downloads.fault("facades", target):
        raise DataError(f"{archive}: {wrong.replace(f'{target.parent}{os.sep}', '')}")


def copy_mnist(source: Path, target: Path) -> None:
    """Copy the four files below ``target``; raise DataError if one is missing."""
    raw = source / "MNIST" / "raw"
    files = [file for split in SPLITS for file in downloads.IDX["mnist"].files(split)]
    if missing := [file for file in files if not (raw / file).is_file()]:
        raise DataError(f"{raw / missing[0]} is missing")
    (target / "raw").mkdir()
    for file in files:
        shutil.copyfile(raw / file, target / "raw" / file)


#: folder -> what makes it
SETS: dict[str, Callable[[Path, Path], None]] = {
    JPEG_FOLDER: unpack_cifar10,
    "facades": unpack_facades,
    "MNIST": copy_mnist,
}


def make(name: str, source: Path, target: Path) -> str:
    """Make one of the folders in ``target``, whole or not at all; return what to say about it.

    Raises:
        DataError: what it is made from is missing or not what it should be, or ``target`` cannot be written.
    """
    folder = target / name
    if folder.exists():
        return f"{folder} is there already and left as it is"
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".unpacking-") as temporary:
            unfinished = Path(temporary) / name
            unfinished.mkdir()
            SETS[name](source, unfinished)
            os.replace(unfinished, folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}") from error
    return f"{folder}: {sum(len(files) for *_, files in os.walk(folder)):,} files"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="FROM", help="folder of the archives")
    parser.add_argument("target", type=Path, metavar="TO", help="folder to write; made if need be")
    parser.add_argument(
        "--only", nargs="+", choices=SETS, metavar="NAME", help=f"make these of {', '.join(SETS)} (default: all)"
    )  # fmt: skip
    options = parser.parse_args(arguments)
    names = options.only or [name for name in SETS if name != "MNIST" or (options.source / "MNIST").is_dir()]
    status = 0
    for name in names:
        try:
            print(make(name, options.source, options.target))
        except DataError as error:
            print(f"{name} is not made: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
