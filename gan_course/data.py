"""Data sets that live on the device.

:func:`load` returns a :class:`DataSet`: one uint8 tensor on the device and a ``batch`` that gathers
rows and maps them to [-1, 1]. There are no worker processes and no per-item Python, which for small
images is what makes the usual ``DataLoader`` slow. :func:`order` says which rows come next, from the
position alone.

Where the images come from:

- ``digits`` is embedded (scikit-learn) and needs no network.
- ``glyphs`` is drawn (:mod:`gan_course.glyphs`) and needs no network; it is kept in the cache.
- ``mnist``, ``fashion-mnist``, ``cifar10`` and ``stl10`` are read from ``$GAN_COURSE_DATA``, else from the cache, else
  downloaded into it (:mod:`gan_course.downloads`), in the layouts of torchvision: ``MNIST/raw/*-ubyte``,
  ``FashionMNIST/raw/*-ubyte``, ``cifar-10-batches-py/*``, ``stl10_binary/*.bin``.
- ``cifar10-jpeg`` is a folder of that name in ``$GAN_COURSE_DATA``.
- A path is read as a folder of images.
"""

from __future__ import annotations

import functools
import hashlib
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import downloads
from gan_course.errors import DataError, unknown

SPLITS = ("train", "test")
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
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


class DataSet:
    """Images or points on one device, with a fast ``batch``.

    Args:
        x: images, uint8 (N, C, H, W) with C of 1 or 3; or points, finite float32 (N, ...).
        labels: optional class numbers (N,), or sequences of word numbers (N, L), any integer dtype; kept as int64
            on the device of ``x``.
        name: the name it was loaded under.
        classes: optional names of the classes (or words); labels must then be below ``len(classes)``.

    Raises:
        ValueError: empty set, wrong dtype or shape, NaN or infinity, labels of another length or
            out of range.
    """

    def __init__(self, x: Tensor, labels: Tensor | None = None, *, name: str, classes: list[str] | None = None):
        if not isinstance(x, Tensor) or x.dtype not in (torch.uint8, torch.float32):
            got = getattr(x, "dtype", type(x).__name__)
            raise ValueError(f"x: got {got}, expected a tensor, uint8 for images or float32 for points")
        if x.dtype == torch.uint8 and (x.dim() != 4 or x.shape[1] not in (1, 3)):
            raise ValueError(f"x: got uint8 of shape {tuple(x.shape)}, expected images (N, 1 or 3, H, W)")
        if x.dim() < 2:
            raise ValueError(f"x: got shape {tuple(x.shape)}, expected (N, ...) with at least 2 dimensions")
        if x.numel() == 0:
            raise ValueError(f"x: got an empty set of shape {tuple(x.shape)}, expected at least one item")
        if x.dtype == torch.float32 and not torch.isfinite(x).all():
            bad = int((~torch.isfinite(x)).flatten(1).any(1).nonzero()[0])
            raise ValueError(f"x: item {bad} holds NaN or infinity, expected finite numbers")
        if labels is not None:
            labels = _check_labels(labels, len(x), classes).to(x.device)
        self.x = x.contiguous()
        self.labels = labels
        self.name = name
        self.classes = list(classes) if classes is not None else None

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        kind = "images" if self.x.dtype == torch.uint8 else "points"
        classes = f", {len(self.classes)} classes" if self.classes else ""
        size = f"{len(self):,} {kind} of shape {self.shape}"
        return f"DataSet({self.name!r}: {size}{classes}, on {self.x.device})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (C, H, W) for images."""
        return tuple(self.x.shape[1:])

    def batch(self, indices: Tensor) -> Tensor:
        """Rows ``indices`` (int64 (B,), 0 to N-1) as a new float32 (B, ...): images in [-1, 1].

        Raises:
            ValueError: an index is out of range (checked for indices on the CPU, where it is free of
                a device synchronisation).
        """
        if indices.device.type == "cpu" and indices.numel():
            low, high = indices.aminmax()
            if low < 0 or high >= len(self):
                raise ValueError(f"indices: got {int(low)} to {int(high)}, expected 0 to {len(self) - 1}")
        # index_select is about twice as fast as x[indices] on uint8.
        rows = self.x.index_select(0, indices.to(self.x.device, non_blocking=True))
        return _to_signed(rows)

    def images(self, n: int | None = None) -> Tensor:
        """The first ``n`` items (all by default, at most all) as one float32 batch."""
        if n is not None and n < 1:
            raise ValueError(f"n: got {n}, expected at least 1")
        rows = self.x[:n]
        return _to_signed(rows) if rows.dtype == torch.uint8 else rows.clone()

    def take(self, seed: int, start: int, count: int) -> tuple[Tensor, Tensor | None]:
        """Items ``start`` to ``start + count - 1`` of the endless reading that :func:`order` gives for ``seed``.

        Returns:
            ``(count, ...)`` as :meth:`batch` gives them, and their labels or None.
        """
        indices = order(len(self), seed, start, count, self.x.device)
        return self.batch(indices), None if self.labels is None else self.labels[indices]

    def crc32(self) -> int:
        """A checksum of all items and labels: what tells two sets of the same name and size apart."""
        crc = zlib.crc32(self.x.cpu().numpy())
        return crc if self.labels is None else zlib.crc32(self.labels.cpu().numpy(), crc)

    def draw(self, n: int, seed: int = 0) -> Tensor:
        """``n`` different items (at most all) drawn with ``seed``, as one float32 batch.

        For measuring, prefer it to the first ``n``: files are seldom in random order. In MNIST's test
        set, the first 5,000 digits come from other writers than the last 5,000.
        """
        if n < 1:
            raise ValueError(f"n: got {n}, expected at least 1")
        return self.batch(order(len(self), seed, 0, min(n, len(self)), self.x.device))

    def to(self, device: str | torch.device) -> DataSet:
        """The same set on another device."""
        return DataSet(self.x.to(device), self.labels, name=self.name, classes=self.classes)


class Domains:
    """Two sets of images side by side, to train translators between them.

    One item is a stack ``(2, C, H, W)``: an image of the first domain and one of the second.

    Args:
        a, b: images of the same shape on the same device.
        paired: whether image i of ``a`` belongs to image i of ``b``. If not, each domain is read in an order of its
            own, so that nothing can be learned from which images come together, and the sets may differ in size.
        name: the name of the two together.

    Raises:
        ValueError: the shapes differ, or paired sets have different sizes.
    """

    def __init__(self, a: DataSet, b: DataSet, *, paired: bool, name: str):
        if a.shape != b.shape:
            raise ValueError(f"b: got items of shape {b.shape}, expected {a.shape} as in a")
        if paired and len(a) != len(b):
            raise ValueError(f"b: got {len(b):,} items, expected {len(a):,} as in a, for the sets are paired")
        self.a, self.b, self.paired, self.name = a, b, paired, name

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __repr__(self) -> str:
        kind = "pairs" if self.paired else "unpaired"
        return f"Domains({self.name!r}: {kind}, {self.a!r}, {self.b!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (2, C, H, W)."""
        return (2, *self.a.shape)

    def take(self, seed: int, start: int, count: int) -> tuple[Tensor, None]:
        """Items ``start`` to ``start + count - 1`` of an endless reading, ``(count, 2, C, H, W)`` in [-1, 1]."""
        other = seed if self.paired else seed ^ 0x5BD1E995  # any other seed: the two orders are then independent
        return torch.stack([self.a.take(seed, start, count)[0], self.b.take(other, start, count)[0]], 1), None

    def crc32(self) -> int:
        """A checksum of both sets and of whether they are paired."""
        return zlib.crc32(f"{self.a.crc32()} {self.b.crc32()} {self.paired}".encode())

    def images(self, n: int | None = None) -> Tensor:
        """The first ``n`` items (all by default, at most all of the smaller set), ``(n, 2, C, H, W)``."""
        least = min(len(self.a), len(self.b))
        n = least if n is None else min(n, least)
        return torch.stack([self.a.images(n), self.b.images(n)], 1)

    def to(self, device: str | torch.device) -> Domains:
        """The same sets on another device."""
        return Domains(self.a.to(device), self.b.to(device), paired=self.paired, name=self.name)


def _to_signed(rows: Tensor) -> Tensor:
    # A division, because 255 / 127.5 - 1 is exactly 1 and 255 * (1 / 127.5) - 1 is not.
    return rows.float().div_(127.5).sub_(1.0) if rows.dtype == torch.uint8 else rows


def _check_labels(labels: Tensor, n: int, classes: list[str] | None) -> Tensor:
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.dtype == torch.bool:
        got = getattr(labels, "dtype", type(labels).__name__)
        raise ValueError(f"labels: got {got}, expected an integer tensor")
    if labels.dim() not in (1, 2) or len(labels) != n or not labels.numel():
        raise ValueError(f"labels: got shape {tuple(labels.shape)}, expected ({n},) or ({n}, L), one for each item")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (classes is not None and high >= len(classes)):
        top = f"to {len(classes) - 1}" if classes is not None else "or more"
        raise ValueError(f"labels: got values from {low} to {high}, expected 0 {top}")
    return labels.long().contiguous()


# --- which rows come next -------------------------------------------------------------------------


def order(n: int, seed: int, start: int, count: int, device: str | torch.device = "cpu") -> Tensor:
    """Positions ``start`` ... ``start + count - 1`` of an endless reshuffled reading of ``n`` items.

    Epoch e (positions e n ... e n + n - 1) is a permutation of 0 ... n-1 that depends on (n, seed, e)
    only. So there is no state to save: a run that stopped after ``start`` items goes on from that
    number, and several processes take slices of the same sequence.

    A permutation is drawn on the CPU, so that it is the same everywhere, and kept on ``device``: within an epoch
    nothing is copied to it, and it need not be waited for.

    Returns:
        int64 tensor (count,) on ``device``.

    Raises:
        ValueError: n < 1, start < 0 or count < 0.
    """
    for name, value, least in (("n", n, 1), ("start", start, 0), ("count", count, 0)):
        if value < least:
            raise ValueError(f"{name}: got {value}, expected at least {least}")
    parts, position, stop = [], start, start + count
    while position < stop:
        epoch, offset = divmod(position, n)
        take = min(n - offset, stop - position)
        parts.append(_permutation(n, seed, epoch, torch.device(device))[offset : offset + take])
        position += take
    # cat copies, so that a caller cannot write into the cached permutation.
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.long, device=device)


@functools.lru_cache(maxsize=8)  # two epochs of each of two domains, and some room
def _permutation(n: int, seed: int, epoch: int, device: torch.device) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(_epoch_seed(seed, epoch))
    return torch.randperm(n, generator=generator).to(device)


def _epoch_seed(seed: int, epoch: int) -> int:
    """A 32-bit generator seed for one epoch, the same on every machine and in every process.

    torch's CPU generator keeps only the low 32 bits of its seed, so the mixing must reach them:
    splitmix64 of the seed (Steele, Lea and Flood, 2014), its high half added to the epoch, then the
    32-bit finalizer of MurmurHash3. The last two are bijections of the epoch modulo 2**32, so no two
    epochs of one seed share a generator.
    """
    z = (seed + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    z ^= z >> 31
    h = ((z >> 32) + epoch) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return h ^ (h >> 16)


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
        name: one of :data:`NAMES`, ``"stacked-digits"`` or ``"stacked-mnist"`` (:mod:`gan_course.stacked`), or the path
            of a folder of images (anything with a path separator or a dot in it, or that is an existing folder).

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
        DataSet of uint8 images; for glyphs a :class:`gan_course.glyphs.Glyphs`, which knows its factors.

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
        from gan_course import glyphs  # which imports this module

        return glyphs.load(size or 32, split, channels or 3, limit).to(device)
    elif text.startswith("stacked-"):
        from gan_course import stacked  # which imports this module

        if channels not in (None, 3):
            raise ValueError(f"channels: got {channels!r}, expected 3 or None, for {text!r} stacks three digits")
        n = min(stacked.SPLIT_SIZES[split], limit or stacked.SPLIT_SIZES[split])
        single = text.removeprefix("stacked-")
        return stacked.load(single, n, SPLITS.index(split), size=size, split=split, device=device)
    elif text in downloads.IDX:
        x, labels = downloads.read_idx(text, split)
        classes = downloads.IDX[text].classes
    elif text == JPEG_FOLDER or (text == "cifar10" and not downloads.is_at_hand(text) and _jpeg_folder()):
        text = JPEG_FOLDER
        x, labels, classes = _cifar10_jpeg(split, limit)
    elif text in ("cifar10", "stl10"):
        x, labels, classes = _published(text, split, limit)
    elif text in downloads.ARCHIVES:
        raise ValueError(f"name: got {text!r}, which is two domains; expected a data set (see gan_course.domains.load)")
    elif is_path(text):
        return _folder(Path(text).expanduser(), split, size, channels, limit, device)
    else:
        raise unknown("data set", text, [*(name for name in NAMES if " " not in name), "stacked-mnist"])
    x = x[:limit]
    if channels == 1 and x.shape[1] == 3:
        x = _to_grey(x)
    x = _resize(x, size).to(device)  # (N, C, size, size), the same on every device
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


def _resize(x: Tensor, size: int | None) -> Tensor:
    """Middle square of uint8 images (N, C, H, W), resized to (N, C, size, size); None changes nothing."""
    if size is None or x.shape[2:] == (size, size):
        return x
    height, width = x.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    x = x[:, :, top : top + side, left : left + side]
    out = torch.empty(*x.shape[:2], size, size, dtype=torch.uint8, device=x.device)
    step = 1000  # bounds the float copy
    for i in range(0, len(x), step):
        part = F.interpolate(x[i : i + step].float(), size=(size, size), mode="bilinear", antialias=True)
        out[i : i + step] = part.round_().clamp_(0, 255)
    return out


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


def _to_grey(x: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) to (N, 1, H, W): 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, as Pillow does it."""
    out = torch.empty(len(x), 1, *x.shape[2:], dtype=torch.uint8)
    weights = torch.tensor([19595, 38470, 7471], dtype=torch.int32).view(3, 1, 1)
    step = 1000  # bounds the copy in 32 bits
    for i in range(0, len(x), step):
        out[i : i + step, 0] = ((x[i : i + step] * weights).sum(1) + 0x8000) >> 16
    return out


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


def image_files(folder: Path) -> list[Path]:
    """The images below a folder, at any depth, in the order of their paths; hidden ones do not count."""
    found = (f for f in folder.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES and f.is_file())
    return sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(folder).parts))


def no_images(folder: Path) -> DataError:
    """The error for a folder without images."""
    return DataError(f"{folder} holds no images, expected files that end in {' '.join(sorted(IMAGE_SUFFIXES))}")


def read_images(
    files: Sequence[Path], size: int | None = None, channels: int | None = None, parts: int = 1
) -> list[Tensor]:
    """Read images from files, each of which may hold several side by side.

    Args:
        files: at least one.
        size: side that every image is brought to, as in :func:`load`; by default all must be of one size.
        channels: 1 or 3; by default 1 if every file is a grey one, else 3.
        parts: square images that each file holds; 1 may have any shape.

    Returns:
        For each part, from left to right, a tensor ``(len(files), channels, H, W)``, uint8.

    Raises:
        DataError: a file cannot be read, or has another size than the first or than the parts want.
    """
    from tqdm import tqdm

    rows, first = [], None
    for file in tqdm(files, desc="reading images", unit="image", delay=2, leave=False):
        image = _read_image(file, channels)
        height, width = image.shape[1:]
        if parts > 1 and width != parts * height:
            raise DataError(f"{file} is {width}x{height}, expected {parts} square images side by side")
        if size is None and first is not None and image.shape[1:] != first.shape[1:]:
            raise DataError(
                f"{file} is {width}x{height} but {files[0]} is {first.shape[2]}x{first.shape[1]}; give a size to bring"
                " them to one"
            )
        first = image if first is None else first
        rows.append([_resize(part[None], size)[0] for part in image.chunk(parts, 2)])
    if channels is None and any(len(part) == 3 for row in rows for part in row):
        rows = [[part.expand(3, -1, -1) for part in row] for row in rows]
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def _read_image(file: Path, channels: int | None) -> Tensor:
    """uint8 (C, H, W), upright; C is 1 for grey files and 3 for others unless ``channels`` is given."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            image = ImageOps.exif_transpose(image)  # loads the pixels, so a truncated file fails here
            if image.mode == "F":
                raise ValueError("its pixels are floating-point numbers without a known range")
            if image.mode.startswith("I"):  # 16-bit grey, which convert("L") would clip instead of scale
                array = np.asarray(image).astype(np.int64)
                image = Image.fromarray((array.clip(0, 65535) // 257).astype(np.uint8))
            grey = image.mode in ("1", "L", "LA", "La")
            if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            wanted = channels or (1 if grey else 3)
            array = np.array(image.convert("L" if wanted == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file} cannot be read as an image ({reason}); replace it or remove it") from error
    return torch.from_numpy(array).reshape(*array.shape[:2], wanted).permute(2, 0, 1)
