"""From a name to a data set.

- ``digits`` is embedded (scikit-learn) and needs no network.
- ``glyphs`` is drawn (:mod:`gan_course.data.glyphs`) and needs no network; it is kept in the cache.
- ``mnist``, ``fashion-mnist``, ``cifar10`` and ``stl10`` are read from ``$GAN_COURSE_DATA``, else from the cache, else
  downloaded into it (:mod:`gan_course.data.downloads`), in the layouts of torchvision: ``MNIST/raw/*-ubyte``,
  ``FashionMNIST/raw/*-ubyte``, ``cifar-10-batches-py/*``, ``stl10_binary/*.bin``.
- ``cifar10-jpeg`` is a folder of that name in ``$GAN_COURSE_DATA``.
- A path is read as a folder of images.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_course.data import downloads, glyphs, stacked
from gan_course.data.images import image_files, no_images, read_images, resize, to_grey
from gan_course.data.sets import SPLITS, DataSet
from gan_course.errors import DataError, unknown

#: name -> what it is; folders of images come by their path
NAMES = {
    "digits": "1,797 real handwritten digits, grey, 8x8; embedded (scikit-learn)",
    "glyphs": "coloured characters with known factors, RGB, drawn at any size; embedded",
    "mnist": "70,000 real handwritten digits, grey, 28x28; downloaded",
    "fashion-mnist": "70,000 articles of clothing, grey, 28x28; downloaded",
    "cifar10": "60,000 photos of animals and vehicles, RGB, 32x32; downloaded (170 MB)",
    "cifar10-jpeg": "CIFAR-10 (JPEG): the same, compressed with loss; from GAN_COURSE_DATA only",
    "stl10": "13,000 photos of animals and vehicles, RGB, 96x96, and 100,000 unlabeled; downloaded (2.6 GB)",
    "stacked-digits": "three digits in the colours of one image, 1,000 known modes; also stacked-mnist",
    "a folder": "images below a folder, given by its path; train/ and test/, and subfolders as classes",
}
STL10_CLASSES = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
JPEG_FOLDER = "cifar10-jpeg"
JPEG_SIZES = {"train": 50_000, "test": 10_000}


# --- loading --------------------------------------------------------------------------------------
def load(
    name: str | os.PathLike,
    *,
    size: int | None = None,
    split: str = "train",
    channels: int | None = None,
    device: str | torch.device = "cpu",
    limit: int | None = None,
) -> DataSet:
    """Load a data set onto ``device``.

    Args:
        name: one of :data:`NAMES`, ``"stacked-digits"`` or ``"stacked-mnist"`` (:mod:`gan_course.data.stacked`), or the
            path of a folder of images (anything with a path separator or a dot in it, or that is an existing folder).

            ``"cifar10"`` is CIFAR-10 where it is at hand, in ``$GAN_COURSE_DATA`` or the cache; else the JPEG version
            if ``$GAN_COURSE_DATA`` has that; else it is downloaded. ``"cifar10-jpeg"`` is the JPEG version and nothing
            else: ``cifar10-jpeg/{train,test}/CLASS/INDEX.jpg``, in the order of the indices (by class, as
            ``tools/unpack.py`` finds them). The compression loses detail, so results on it are reported as
            "CIFAR-10 (JPEG)", never as CIFAR-10; the ``name`` of the set tells which one it is.

            In a folder, ``train/`` and ``test/`` are the splits if there are any. Below that, images of any depth
            count; if all of them lie in subfolders, and these are two or more, the subfolders are the classes. Files
            are read in the order of their paths. Transparent pixels become white.
        size: side of the square images; by default as stored. Resizing is antialiased and bilinear, after
            cutting out the middle square. glyphs are drawn at the size: 8 to 256, by default 32.
        split: ``"train"`` or ``"test"``. digits has 1,297 and 500 images, glyphs has 20,000 and 2,000, MNIST and
            Fashion-MNIST have 60,000 and 10,000, stacked sets and CIFAR-10 50,000 and 10,000, STL-10 5,000 and 8,000,
            and also ``"unlabeled"`` with 100,000 (2.8 GB).
        channels: 1 (grey) or 3 (colour); by default as stored, 3 for glyphs, and for a folder 1 if every file is
            a grey one, else 3. Colours become grey by the weights of ITU-R BT.601, as Pillow does it.
        device: where the set lives.
        limit: keep the first ``limit`` items only (of a folder: the first paths, so perhaps one class).

    Returns:
        DataSet of uint8 images; for glyphs a :class:`gan_course.data.glyphs.world.Glyphs`, which knows its factors.

    Raises:
        ValueError: an argument is out of range, or the name is unknown.
        DataError: files are missing, damaged or cannot be downloaded; says which and what to do.
    """
    text = os.fspath(name)
    check_arguments(size, split, limit, (*SPLITS, "unlabeled") if text == "stl10" else SPLITS)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels: got {channels!r}, expected 1, 3 or None")

    if text == "digits":
        x, labels, classes = _digits(split)
    elif text == "glyphs":
        return glyphs.load(size or 32, split, channels or 3, limit).to(device)
    elif text.startswith("stacked-"):
        if channels not in (None, 3):
            raise ValueError(f"channels: got {channels!r}, expected 3 or None, for {text!r} stacks three digits")
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
        return _folder(Path(text).expanduser(), split, size, channels, limit, device)
    else:
        raise unknown("data set", text, [*(name for name in NAMES if " " not in name), "stacked-mnist"])
    x = x[:limit]
    if channels == 1 and x.shape[1] == 3:
        x = to_grey(x)
    x = resize(x, size).to(device)  # (N, C, size, size), the same on every device
    if channels == 3:
        x = x.expand(-1, 3, -1, -1)
    return DataSet(x, None if labels is None else labels[:limit], name=text, classes=classes)


def check_arguments(size: int | None, split: str, limit: int | None, splits: Sequence[str] = SPLITS) -> None:
    """Raise ValueError unless size and limit are whole numbers of at least 1 (or None) and split is one of splits."""
    for name, value in (("size", size), ("limit", limit)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"{name}: got {value!r}, expected a whole number of at least 1, or None")
    if split not in splits:
        raise unknown("split", split, splits)


def is_path(text: str) -> bool:
    """Return whether a name is taken for the path of a folder."""
    return any(c in text for c in (os.sep, os.altsep or os.sep, ".")) or text == "~" or os.path.isdir(text)


def _digits(split: str) -> tuple[Tensor, Tensor, list[str]]:
    from sklearn.datasets import load_digits  # takes a second to import

    images, labels = load_digits(return_X_y=True)
    rows = np.random.RandomState(0).permutation(len(images))
    rows = rows[:500] if split == "test" else rows[500:]
    x = torch.from_numpy(images[rows] * (255.0 / 16.0)).round().to(torch.uint8).reshape(-1, 1, 8, 8)
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
    """Images, labels and classes of the folder of JPEGs. Decoding them all takes seconds, so a split is kept."""
    parent = _jpeg_folder()
    if parent is None or not (parent / split).is_dir():
        raise DataError(
            f"GAN_COURSE_DATA has no folder {JPEG_FOLDER}/{split}; tools/unpack.py in the course's repository makes it"
            " from cifar10_jpeg_train.npz and cifar10_jpeg_test.npz; or use 'cifar10' (downloaded) or the embedded set"
            " 'glyphs'"
        )
    folder = parent / split
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    files = sorted(  # by index, not by class
        (entry.name, number, entry.stat())
        for number, name in enumerate(classes)
        for entry in os.scandir(folder / name)
        if entry.name.endswith(".jpg")
    )
    n = JPEG_SIZES[split]
    if [name for name, *_ in files] != [f"{i:05d}.jpg" for i in range(n)]:
        raise DataError(
            f"{folder} holds {len(files):,} images, expected 00000.jpg to {n - 1:05d}.jpg, each once: it is not"
            " complete; make it anew with tools/unpack.py"
        )
    labels = torch.tensor([number for _, number, _ in files])

    def decode(limit: int | None = None) -> Tensor:
        paths = [folder / classes[number] / name for name, number, _ in files[:limit]]
        return read_images(paths, 32, 3)[0]

    if limit is not None and limit < n:
        return decode(limit), labels, classes
    state = repr([(name, number, stat.st_size, stat.st_mtime_ns) for name, number, stat in files])
    key = hashlib.sha256(f"{folder} {classes} {state}".encode()).digest()
    file = downloads.cache_root() / JPEG_FOLDER / f"{split}.bin"
    return downloads.kept(file, key, (n, 3, 32, 32), decode), labels, classes


# --- folders of images ----------------------------------------------------------------------------
def _folder(
    folder: Path,
    split: str,
    size: int | None,
    channels: int | None,
    limit: int | None,
    device: str | torch.device,
) -> DataSet:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}, expected a folder of images")
    parts = {s: folder / s for s in SPLITS if (folder / s).is_dir()} or {"train": folder}
    if split not in parts:
        raise DataError(f"{folder} has no subfolder {split}/, expected one for split={split!r}")
    files = {s: image_files(path) for s, path in parts.items()}
    if not files[split]:
        raise no_images(parts[split])

    # The classes of both splits together: one that is missing in a split must not shift the numbers.
    tops = {s: [f.relative_to(parts[s]).parts for f in files[s]] for s in parts}
    nested = all(len(top) > 1 for s in parts for top in tops[s])
    classes = sorted({top[0] for s in parts for top in tops[s]}) if nested else []
    labels = None
    if len(classes) > 1:
        labels = torch.tensor([classes.index(top[0]) for top in tops[split][:limit]])

    x = read_images(files[split][:limit], size, channels)[0].to(device)
    return DataSet(x, labels, name=str(folder), classes=classes if labels is not None else None)
