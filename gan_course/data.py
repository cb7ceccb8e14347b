"""Data sets that live on the device.

:func:`load` returns a :class:`DataSet`: one uint8 tensor on the device and a ``batch`` that gathers
rows and maps them to [-1, 1]. There are no worker processes and no per-item Python, which for small
images is what makes the usual ``DataLoader`` slow. :func:`order` says which rows come next, from the
position alone.

Where the files come from:

- ``digits`` is embedded (scikit-learn) and needs no network.
- ``glyphs`` is drawn (:mod:`gan_course.glyphs`) and needs no network; it is kept in the cache.
- ``mnist`` and ``fashion-mnist`` are read from ``$GAN_COURSE_DATA`` if they are there (an absolute
  path, never written), else from the cache (``$GAN_COURSE_CACHE``, else ``$XDG_CACHE_HOME/gan-course``,
  else ``~/.cache/gan-course``), else downloaded into the cache. The layout is torchvision's:
  ``MNIST/raw/*-ubyte``.
- A path is read as a folder of images.
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import os
import shutil
import socket
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.errors import DataError, unknown

SPLITS = ("train", "test")
#: name -> what it is; folders of images come by their path
NAMES = {
    "digits": "1,797 real handwritten digits, grey, 8x8; embedded (scikit-learn)",
    "glyphs": "coloured characters with known factors, RGB, drawn at any size; embedded",
    "mnist": "70,000 real handwritten digits, grey, 28x28; downloaded",
    "fashion-mnist": "70,000 articles of clothing, grey, 28x28; downloaded",
    "stacked-digits": "three digits in the colours of one image, 1,000 known modes; also stacked-mnist",
    "a folder": "images below a folder, given by its path; train/ and test/, and subfolders as classes",
}
EMBEDDED = "digits"
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
DOWNLOAD_TIMEOUT = 30.0  # seconds without a byte before the next mirror is tried
_DOWNLOADING = threading.Lock()


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
        indices = order(len(self), seed, start, count).to(self.x.device)
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
        return self.batch(order(len(self), seed, 0, min(n, len(self))))

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


def order(n: int, seed: int, start: int, count: int) -> Tensor:
    """Positions ``start`` ... ``start + count - 1`` of an endless reshuffled reading of ``n`` items.

    Epoch e (positions e n ... e n + n - 1) is a permutation of 0 ... n-1 that depends on (n, seed, e)
    only. So there is no state to save: a run that stopped after ``start`` items goes on from that
    number, and several processes take slices of the same sequence.

    Returns:
        int64 tensor (count,) on the CPU.

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
        parts.append(_permutation(n, seed, epoch)[offset : offset + take])
        position += take
    # cat copies, so that a caller cannot write into the cached permutation.
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.long)


@functools.lru_cache(maxsize=4)
def _permutation(n: int, seed: int, epoch: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(_epoch_seed(seed, epoch))
    return torch.randperm(n, generator=generator)


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
        name: ``"digits"``, ``"glyphs"``, ``"mnist"``, ``"fashion-mnist"``, ``"stacked-digits"`` and ``"stacked-mnist"``
            (:mod:`gan_course.stacked`), or the path of a folder of images (anything
            with a path separator or a dot in it, or that is an existing folder). In a folder, ``train/``
            and ``test/`` are the splits if there are any. Below that, images of any depth count; if all
            of them lie in subfolders, and these are two or more, the subfolders are the classes. Files
            are read in the order of their paths. Transparent pixels become white.
        size: side of the square images; by default as stored. Resizing is antialiased and bilinear, after
            cutting out the middle square. glyphs are drawn at the size: 8 to 256, by default 32.
        split: ``"train"`` or ``"test"``. digits has 1,297 and 500 images, glyphs has 20,000 and 2,000, MNIST and
            Fashion-MNIST have 60,000 and 10,000, stacked sets 50,000 and 10,000.
        channels: 1 (grey) or 3 (colour); by default as stored, 3 for glyphs, and for a folder 1 if every file is
            a grey one, else 3.
        device: where the set lives.
        limit: keep the first ``limit`` items only (of a folder: the first paths, so perhaps one class).

    Returns:
        DataSet of uint8 images; for glyphs a :class:`gan_course.glyphs.Glyphs`, which knows its factors.

    Raises:
        ValueError: an argument is out of range, or the name is unknown.
        DataError: files are missing, damaged or cannot be downloaded; says which and what to do.
    """
    _check_count("size", size)
    _check_count("limit", limit)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels: got {channels!r}, expected 1, 3 or None")
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)

    text = os.fspath(name)
    if text == EMBEDDED:
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
    elif text in IDX:
        x, labels, classes = _idx(text, split)
    elif _looks_like_path(text):
        return _folder(Path(text).expanduser(), split, size, channels, limit, device)
    else:
        raise unknown("data set", text, [EMBEDDED, "glyphs", "stacked-digits", "stacked-mnist", *IDX])
    x = _resize(x[:limit], size).to(device)  # (N, 1, size, size), the same on every device
    if channels == 3:
        x = x.expand(-1, 3, -1, -1)
    return DataSet(x, labels[:limit], name=text, classes=classes)


def _check_count(name: str, value: int | None) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{name}: got {value!r}, expected a whole number of at least 1, or None")


def _looks_like_path(text: str) -> bool:
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


# --- MNIST and Fashion-MNIST ----------------------------------------------------------------------


@dataclass(frozen=True)
class Idx:
    """A set of four IDX files in ``folder/raw``, as the torchvision class named ``folder`` keeps them."""

    folder: str
    classes: list[str]
    mirrors: list[str]  # besides torchvision's own
    sizes: dict[str, int]
    sha256: dict[str, str] = field(default_factory=dict)  # of the unpacked files, where they are known

    def files(self, split: str) -> tuple[str, str]:
        """Names of the image file and the label file."""
        stem = {"train": "train", "test": "t10k"}[split]
        return f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"


IDX = {
    "mnist": Idx(
        folder="MNIST",
        classes=[str(i) for i in range(10)],
        mirrors=["https://storage.googleapis.com/cvdf-datasets/mnist/"],
        sizes={"train": 60_000, "test": 10_000},
        sha256={
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion-mnist": Idx(
        folder="FashionMNIST",
        classes=(
            ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"]
            + ["Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
        ),
        mirrors=["https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"],
        sizes={"train": 60_000, "test": 10_000},
    ),
}


def data_root() -> Path | None:
    """The folder ``$GAN_COURSE_DATA``, which is only ever read, or None.

    Raises:
        DataError: it is not absolute or not a folder.
    """
    text = os.environ.get("GAN_COURSE_DATA")
    if not text:
        return None
    if not os.path.isabs(text):
        raise DataError(f"GAN_COURSE_DATA: got {text!r}, expected an absolute path")
    if not os.path.isdir(text):
        raise DataError(f"GAN_COURSE_DATA: {text} is not a folder; correct it or unset it")
    return Path(text)


def cache_root() -> Path:
    """The folder that downloads go to (it need not exist yet).

    Raises:
        DataError: ``$GAN_COURSE_CACHE`` is not absolute.
    """
    text = os.environ.get("GAN_COURSE_CACHE")
    if text:
        if not os.path.isabs(text):
            raise DataError(f"GAN_COURSE_CACHE: got {text!r}, expected an absolute path")
        return Path(text)
    base = os.environ.get("XDG_CACHE_HOME", "")  # the XDG rules say to ignore one that is not absolute
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "gan-course"


def _idx(name: str, split: str) -> tuple[Tensor, Tensor, list[str]]:
    source = IDX[name]
    raw, remedy = _idx_folder(name)
    images, labels = source.files(split)
    n = source.sizes[split]
    x = _read_idx(raw / images, (n, 28, 28), source.sha256.get(images), remedy)
    y = _read_idx(raw / labels, (n,), source.sha256.get(labels), remedy)
    if int(y.max()) >= len(source.classes):
        raise DataError(f"{raw / labels} holds label {int(y.max())}, expected 0 to 9; {remedy}")
    return x[:, None], y.long(), source.classes


def _idx_folder(name: str) -> tuple[Path, str]:
    """The folder with the four files of a set, fetched if need be, and the cure if one is damaged."""
    source = IDX[name]
    files = [file for split in SPLITS for file in source.files(split)]
    root, cache = data_root(), cache_root() / source.folder / "raw"
    archives = [cache]
    if root is not None and (given := root / source.folder / "raw").is_dir():
        if all((given / file).is_file() for file in files):
            return given, "replace it, or unset GAN_COURSE_DATA to download the set"
        for file in files:
            if not (given / file).is_file() and not (given / f"{file}.gz").is_file():
                raise DataError(f"{given / file} is missing; put it there, or unset GAN_COURSE_DATA")
        archives = [given, cache]  # unpacked into the cache: the data root is never written
    missing = [file for file in files if not (cache / file).is_file()]
    if missing:
        _fetch(name, missing, cache, archives)
    return cache, "delete it and run again to download it anew"


def _read_idx(path: Path, shape: tuple[int, ...], sha256: str | None, remedy: str) -> Tensor:
    """A uint8 tensor from an IDX file whose size, header and (30 ms for 47 MB) hash are as expected."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    # big-endian: 0, 0, 8 (unsigned byte), number of dimensions, then each dimension
    header = b"".join(n.to_bytes(4, "big") for n in (0x800 + len(shape), *shape))
    expected = len(header) + int(np.prod(shape))
    if len(raw) != expected:
        raise DataError(f"{path} has {len(raw)} bytes, expected {expected}: it is not complete; {remedy}")
    if not raw.startswith(header):
        got, want = raw[: len(header)].hex(), header.hex()
        raise DataError(f"{path} starts with {got}, expected {want}: it is another kind of file; {remedy}")
    found = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and found != sha256:
        raise DataError(f"{path} has sha256 {found}, expected {sha256}: it is damaged; {remedy}")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=len(header)).reshape(shape)


def _fetch(name: str, files: list[str], target: Path, archives: list[Path]) -> None:
    """Put the IDX ``files`` into ``target``: from ``file.gz`` in one of the ``archives``, else from a mirror.

    Everything happens in a temporary folder inside the target. A file is renamed into place when it is
    whole and its archive had the right md5, so a crash leaves nothing that looks finished, and two
    processes at once replace a good file by the same good file.
    """
    from torchvision import datasets
    from torchvision.datasets.utils import calculate_md5, download_and_extract_archive

    source = IDX[name]
    published = getattr(datasets, source.folder)
    md5 = dict(published.resources)
    mirrors = [*published.mirrors[:1], *source.mirrors, *published.mirrors[1:]]
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".download-") as temporary, _one_at_a_time():
            for file in files:
                if (target / file).is_file():
                    continue  # another process was faster
                archive, problems = f"{file}.gz", []
                for found in (folder / archive for folder in archives):
                    if found.is_file() and (digest := calculate_md5(found)) == md5[archive]:
                        shutil.copyfile(found, os.path.join(temporary, archive))
                        break
                    elif found.is_file():
                        problems.append(f"{found} has md5 {digest}, expected {md5[archive]}")
                for mirror in mirrors:
                    try:  # downloads nothing where the archive is there already
                        download_and_extract_archive(mirror + archive, temporary, filename=archive, md5=md5[archive])
                        break
                    except (OSError, RuntimeError, http.client.HTTPException) as error:
                        reason = " ".join(str(error).split()) or type(error).__name__
                        problems.append(f"{mirror + archive}: {reason}")
                else:
                    wanted = ", ".join(f"{f}.gz" for f in files)
                    raise DataError(
                        f"cannot download {archive} of {name!r} ({'; '.join(problems)}); check the network,"
                        f" or put {wanted} into {target} by hand, or use the embedded set {EMBEDDED!r}"
                    )
                os.replace(os.path.join(temporary, file), target / file)
    except OSError as error:
        raise DataError(
            f"cannot write {name!r} to {target} ({error.strerror or error}); make it writable, set"
            f" GAN_COURSE_CACHE to another folder, or use the embedded set {EMBEDDED!r}"
        ) from error


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """One thread at a time downloads, with a timeout: torchvision's own waits for a silent server for ever.

    The default timeout belongs to the process, hence the lock.
    """
    with _DOWNLOADING:
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        try:
            yield
        finally:
            socket.setdefaulttimeout(before)


# --- folders of images ----------------------------------------------------------------------------


def _folder(
    folder: Path,
    split: str,
    size: int | None,
    channels: int | None,
    limit: int | None,
    device: str | torch.device,
) -> DataSet:
    from tqdm import tqdm

    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}, expected a folder of images")
    parts = {s: folder / s for s in SPLITS if (folder / s).is_dir()} or {"train": folder}
    if split not in parts:
        raise DataError(f"{folder} has no subfolder {split}/, expected one for split={split!r}")
    files = {s: _image_files(path) for s, path in parts.items()}
    if not files[split]:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"{parts[split]} holds no images, expected files that end in {suffixes}")

    # The classes of both splits together: one that is missing in a split must not shift the numbers.
    tops = {s: [f.relative_to(parts[s]).parts for f in files[s]] for s in parts}
    nested = all(len(top) > 1 for s in parts for top in tops[s])
    classes = sorted({top[0] for s in parts for top in tops[s]}) if nested else []
    labels = None
    if len(classes) > 1:
        labels = torch.tensor([classes.index(top[0]) for top in tops[split][:limit]])

    images, first = [], None
    for file in tqdm(files[split][:limit], desc=f"reading {folder.name}", unit="image", delay=2, leave=False):
        image = _read_image(file, channels)
        if size is None and first is not None and image.shape[1:] != first.shape[1:]:
            raise DataError(
                f"{file} is {image.shape[2]}x{image.shape[1]} but {files[split][0]} is {first.shape[2]}x"
                f"{first.shape[1]}; give a size to bring them to one"
            )
        first = image if first is None else first
        images.append(_resize(image[None], size)[0])
    if channels is None and any(len(image) == 3 for image in images):
        images = [image.expand(3, -1, -1) for image in images]
    x = torch.stack(images).to(device)
    return DataSet(x, labels, name=str(folder), classes=classes if labels is not None else None)


def _image_files(folder: Path) -> list[Path]:
    found = (f for f in folder.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES and f.is_file())
    return sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(folder).parts))


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
