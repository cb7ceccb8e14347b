"""From a name to a data set.

``digits`` comes with scikit-learn (Pedregosa et al., 2011), ``glyphs`` is drawn: neither needs a network.
What is downloaded (:mod:`gan_course.data.downloads`) lies in the layouts of torchvision: ``MNIST/raw/*-ubyte``,
``FashionMNIST/raw/*-ubyte``, ``cifar-10-batches-py/*``, ``stl10_binary/*.bin``; and ``cifar10-jpeg`` as
``{train,test}/CLASS/INDEX.jpg``.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_course.data import downloads, glyphs, images, stacked
from gan_course.data.images import Size, channels_of, image_files, read_images, some_images
from gan_course.data.sets import SPLITS, DataSet
from gan_course.errors import DataError, NoSplitError, unknown

#: name -> what it is; folders of images come by their path
NAMES = {
    "digits": "1,797 real handwritten digits, grey, 8x8; embedded (scikit-learn)",
    "glyphs": "coloured characters with known factors, RGB, drawn at any size; embedded",
    "mnist": "70,000 real handwritten digits, grey, 28x28; downloaded",
    "fashion-mnist": "70,000 articles of clothing (Xiao et al., 2017), grey, 28x28; downloaded",
    "cifar10": "60,000 photos of animals and vehicles, RGB, 32x32; downloaded (170 MB)",
    "cifar10-jpeg": "CIFAR-10 (JPEG): the same, compressed with loss; from GAN_COURSE_DATA only",
    "stl10": "13,000 photos of animals and vehicles, RGB, 96x96, and 100,000 unlabeled; downloaded (2.6 GB)",
    "stacked-digits": "three digits in the colours of one image, 1,000 known modes; also stacked-mnist",
    "a folder": "images below a folder, given by its path; train/ and test/ (or val/), and subfolders as classes",
}
STL10_CLASSES = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
JPEG_FOLDER = "cifar10-jpeg"
JPEG_SIZES = {"train": 50_000, "test": 10_000}
KEPT_FROM = 10_000_000  # bytes of image files from which on the decoded images are kept, for it takes seconds


# --- loading --------------------------------------------------------------------------------------
def load(
    name: str | os.PathLike,
    *,
    size: Size = None,
    split: str = "train",
    channels: int | None = None,
    device: str | torch.device = "cpu",
    limit: int | None = None,
) -> DataSet:
    """Load a data set onto ``device``.

    Args:
        name: one of :data:`NAMES`, or the path of a folder of images (anything with a path separator or a dot in it, or
            that is an existing folder).

            ``"cifar10"`` is CIFAR-10 where it is at hand, in ``$GAN_COURSE_DATA`` or the cache; else the JPEG version
            if ``$GAN_COURSE_DATA`` has that; else it is downloaded. The compression loses detail, so results on it are
            reported as "CIFAR-10 (JPEG)", never as CIFAR-10; the ``name`` of the set tells which one it is.

            In a folder, ``train/`` and ``test/`` are the splits if there are any (see
            :data:`gan_course.data.images.SPLIT_NAMES` for other names). Below that, images of any depth count; if they
            lie in two or more subfolders, these are the classes, in the order of their names, 2 before 10. Images
            beside such subfolders are left out if they are fewer than a tenth; if there are more, there are no classes.
            Files are read in the order of their paths. Transparent pixels become white; grey of 16 bits is divided by
            257. From 10 MB of files on, what was read is kept in the cache until a file changes.
        size: side of the square images, or ``(height, width)``; by default as stored
            (:func:`gan_course.data.images.resize`). glyphs are drawn at the size: 8 to 256, by default 32.
        split: ``"train"`` or ``"test"``. digits has 1,297 and 500 images, glyphs has 20,000 and 2,000, MNIST and
            Fashion-MNIST have 60,000 and 10,000, stacked sets and CIFAR-10 50,000 and 10,000, STL-10 5,000 and 8,000,
            and also ``"unlabeled"`` with 100,000 (2.8 GB).
        channels: 1 (grey) or 3 (colour); by default as stored, 3 for glyphs, and for a folder 1 if every file (of
            all splits) is a grey one, else 3. Colours become grey by the weights of ITU-R BT.601, as Pillow does it.
        device: where the set lives.
        limit: keep the first ``limit`` items only (of a folder: the first paths, so perhaps one class).

    Returns:
        DataSet of uint8 images; for glyphs a :class:`gan_course.data.glyphs.world.Glyphs`, which knows its factors.

    Raises:
        ValueError: an argument is out of range, or the name is unknown.
        DataError: files are missing, damaged or cannot be downloaded; says which and what to do.
    """
    text = os.fspath(name)
    size = check_arguments(size, split, limit, (*SPLITS, "unlabeled") if text == "stl10" else SPLITS)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels: got {channels!r}, expected 1, 3 or None")

    if text == "digits":
        x, labels, classes = _digits(split)
    elif text == "glyphs":
        return glyphs.load(size or 32, split, channels or 3, limit).to(device)
    elif text.startswith("stacked-"):
        if channels == 1:
            raise ValueError(f"channels: got 1, expected 3 or None, for {text!r} stacks three digits")
        n = min(stacked.SPLIT_SIZES[split], limit or stacked.SPLIT_SIZES[split])
        single = load(text.removeprefix("stacked-"), size=size, split=split, channels=1, device=device)
        return stacked.stack(single, n, SPLITS.index(split))
    elif text in downloads.IDX:
        x, labels = downloads.read_idx(text, split)
        classes = downloads.IDX[text].classes
    elif text == JPEG_FOLDER or (text == "cifar10" and not downloads.is_at_hand(text) and _jpeg_folder()):
        text = JPEG_FOLDER
        x, labels, classes = _cifar10_jpeg(split, limit)
    elif text in ("cifar10", "stl10"):
        x, labels, classes = _published(text, split, limit)
    elif text in downloads.ARCHIVES:
        raise ValueError(f"name: got {text!r}, two domains; expected a data set (see gan_course.data.load_domains)")
    elif is_path(text):
        return _folder(absolute(text), split, size, channels, limit).to(device)
    else:
        raise unknown("data set", text, [*(name for name in NAMES if " " not in name), "stacked-mnist"])
    x = x[:limit]
    if channels == 1 and x.shape[1] == 3:
        x = images.to_grey(x)
    x = images.resize(x, size).to(device)  # before it goes there, so that it is the same on every device
    if channels == 3:
        x = x.expand(-1, 3, -1, -1)
    return DataSet(x, None if labels is None else labels[:limit], name=text, classes=classes)


def check_arguments(size: Size, split: str, limit: int | None, splits: Sequence[str] = SPLITS) -> Size:
    """Return ``size``, that of a square as one number; ValueError unless it and ``limit`` are whole, of at least 1."""
    sides = size if isinstance(size, tuple) and len(size) == 2 else (size,)
    for name, value in (*(("size", side) for side in sides), ("limit", limit)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"{name}: got {value!r}, expected a whole number of at least 1, or None")
    if split not in splits:
        raise unknown("split", split, splits)
    return size[0] if isinstance(size, tuple) and size[0] == size[1] else size


def is_path(text: str) -> bool:
    """Return whether a name is taken for the path of a folder."""
    if text in NAMES or text.startswith("stacked-"):
        return False
    return any(c in text for c in (os.sep, os.altsep or os.sep, ".")) or text == "~" or os.path.isdir(text)


def absolute(text: str) -> Path:
    """The path of a folder, good in any working directory, so that a run finds its data again."""
    return Path(os.path.abspath(os.path.expanduser(text)))


def _digits(split: str) -> tuple[Tensor, Tensor, list[str]]:
    from sklearn.datasets import load_digits  # takes a second to import

    x, labels = load_digits(return_X_y=True)
    rows = np.random.RandomState(0).permutation(len(x))
    rows = rows[:500] if split == "test" else rows[500:]
    x = torch.from_numpy(x[rows] * (255.0 / 16.0)).round().to(torch.uint8).reshape(-1, 1, 8, 8)
    return x, torch.from_numpy(labels[rows]), [str(i) for i in range(10)]


# --- CIFAR-10 and STL-10 --------------------------------------------------------------------------
def _published(name: str, split: str, limit: int | None) -> tuple[Tensor, Tensor | None, list[str] | None]:
    """Images, labels and classes as torchvision reads them, which verifies every file before it opens it."""
    from torchvision import datasets

    folder, remedy = downloads.folder(name)
    try:
        if name == "cifar10":
            read = datasets.CIFAR10(folder.parent, train=split == "train")
            x, labels, classes = read.data.transpose(0, 3, 1, 2), read.targets, read.classes
        else:
            read = datasets.STL10(folder.parent, split=split)
            x, labels, classes = read.data, read.labels, STL10_CLASSES
    except (OSError, RuntimeError) as error:
        raise DataError(f"{downloads.fault(name, folder) or error}; {remedy}") from error
    x = torch.from_numpy(x[:limit]).contiguous()
    return (x, None, None) if split == "unlabeled" else (x, torch.as_tensor(labels, dtype=torch.long), classes)


def _jpeg_folder() -> Path | None:
    """The folder of the JPEG version of CIFAR-10, if there is one."""
    root = downloads.data_root()
    return root / JPEG_FOLDER if root is not None and (root / JPEG_FOLDER).is_dir() else None


def _cifar10_jpeg(split: str, limit: int | None) -> tuple[Tensor, Tensor, list[str]]:
    """Images, labels and classes of the folder of JPEGs."""
    parent = _jpeg_folder()
    if parent is None or not (parent / split).is_dir():
        raise DataError(
            f"GAN_COURSE_DATA has no folder {JPEG_FOLDER}/{split}; tools/unpack.py in the course's repository makes it;"
            " or use 'cifar10' (downloaded) or 'glyphs' (embedded)"
        )
    folder, n = parent / split, JPEG_SIZES[split]
    files = sorted(folder.glob("*/*.jpg"), key=lambda file: file.name)  # by index, not by class
    if [file.name for file in files] != [f"{i:05d}.jpg" for i in range(n)]:
        wanted = f"00000.jpg to {n - 1:05d}.jpg, each once"
        raise DataError(f"{folder} holds {len(files):,} images, expected {wanted}; make it anew with tools/unpack.py")
    files = [files[i] for i in np.random.RandomState(0).permutation(n)]  # their numbers go class by class
    classes = sorted({file.parent.name for file in files})
    labels = torch.tensor([classes.index(file.parent.name) for file in files])
    return decoded(files, 32, 3, limit=limit)[0], labels[:limit], classes


# --- folders of images ----------------------------------------------------------------------------
def _folder(folder: Path, split: str, size: Size, channels: int | None, limit: int | None) -> DataSet:
    images.check_folder(folder, "images")
    if parts := images.splits(folder):
        for name, place in images.subfolders(folder).items():
            if place not in parts.values() and name not in ("val", "valid", "validation") and image_files(place):
                read = ", ".join(part.name for part in parts.values())
                warnings.warn(f"{place} is not read: only {read} are", stacklevel=3)
    parts = parts or {"train": folder}
    part = split_of(folder, parts, split)
    # Both splits are looked at: a class or a colour that is missing in one must not change what the other one is.
    files = {s: (some_images if s == split else image_files)(place) for s, place in parts.items()}
    files, classes = _classes(folder, parts, files)
    if not files[split]:
        raise DataError(f"{part} holds no images in subfolders, expected those of classes, as {' '.join(classes[:5])}")
    if channels is None:
        known = [file for s in parts for file in files[s][:limit]]
        made = _kept(known, "channels", (1,), lambda: torch.tensor([channels_of(known)]).byte(), keep=limit is None)
        channels = int(made)
    x = decoded(files[split], size, channels, limit=limit)[0]
    numbers = {name: number for number, name in enumerate(classes)}
    labels = torch.tensor([numbers[_class(file, part)] for file in files[split][:limit]]) if classes else None
    return DataSet(x, labels, name=str(folder), classes=classes or None)


def split_of(folder: Path, parts: dict[str, Path], split: str, name: str | None = None) -> Path:
    """The subfolder of a split, or NoSplitError if it is not among ``parts``."""
    if split in parts:
        return parts[split]
    aim = "trained on" if split == "train" else "measured by, and not trained on"
    raise NoSplitError(f"{folder} has no subfolder {name or split}/, expected one with the images to be {aim}")


def _class(file: Path, part: Path) -> str | None:
    """The folder of a class in the folder of a split that an image lies in, if it does."""
    below = file.parts[len(part.parts) :]
    return below[0] if len(below) > 1 else None


def _classes(
    folder: Path, parts: dict[str, Path], files: dict[str, list[Path]]
) -> tuple[dict[str, list[Path]], list[str]]:
    """The images that count and the names of their classes, none if they have none."""
    found = {file: _class(file, parts[s]) for s in parts for file in files[s]}
    classes = sorted({name for name in found.values() if name is not None}, key=images.natural)
    loose = [file for file, name in found.items() if name is None]
    if len(classes) < 2 or not loose:
        return files, classes if len(classes) > 1 else []
    few = 10 * len(loose) < len(found)
    what = "are left out" if few else f"mean that the {len(classes)} subfolders are no classes"
    warnings.warn(f"{folder}: {len(loose)} images beside its subfolders, such as {loose[0].name}, {what}", stacklevel=4)
    return ({s: [file for file in files[s] if found[file] is not None] for s in parts}, classes) if few else (files, [])


# --- decoded images, kept -------------------------------------------------------------------------
def decoded(files: list[Path], size: Size, channels: int, parts: int = 1, limit: int | None = None) -> Tensor:
    """The first ``limit`` images as :func:`gan_course.data.images.read_images` reads them.

    All of them, if they are large, are kept in the cache (:func:`gan_course.data.downloads.kept`) until a file changes.
    A set without any bright pixel is warned of.
    """
    chosen = files[:limit]
    _, _, *image = read_images(chosen[:1], size, channels, parts).shape
    about, shape = (size, channels, parts), (parts, len(chosen), *image)
    x = _kept(chosen, about, shape, lambda: read_images(chosen, *about), keep=len(chosen) == len(files))
    if (brightest := int(x.max())) < 16:
        warnings.warn(
            f"{files[0].parent}: no pixel is brighter than {brightest} of 255 (16 bits are taken to be used in full:"
            " multiply grey of 12 bits by 16 first)",
            stacklevel=4,
        )
    return x


def _kept(files: list[Path], about: object, shape: tuple[int, ...], make: Callable[[], Tensor], keep: bool) -> Tensor:
    """What ``make()`` returns of ``files``, kept in the cache if they are large."""
    state = [(str(file), stat.st_size, stat.st_mtime_ns) for file in files for stat in [file.stat()]]
    if not keep or sum(size for _, size, _ in state) < KEPT_FROM:
        return make()
    name, key = (hashlib.sha256(repr((x, about)).encode()) for x in (os.path.commonpath(files), state))
    file = downloads.cache_root() / "folders" / f"{name.hexdigest()[:32]}.bin"
    return downloads.kept(file, key.digest(), shape, make)
