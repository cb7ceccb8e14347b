"""Files that are too large for the package: where they are looked for, how they are fetched, verified and kept.

A set is read from ``$GAN_COURSE_DATA`` if it is there (an absolute path, never written), else from the cache
(``$GAN_COURSE_CACHE``, else ``$XDG_CACHE_HOME/gan-course``, else ``~/.cache/gan-course``), else it is downloaded into
the cache, by pooch. Nothing appears there under its own name before it is whole and verified: all work is done in a
temporary folder beside it, by one process at a time, and what a killed process left is removed by the next.
"""

from __future__ import annotations

import errno
import functools
import gzip
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from gan_course.errors import DataError

DOWNLOAD_TIMEOUT = 30.0  # seconds without a byte before the next mirror is tried
# What a download (errors of requests are OSErrors) or an archive that is not what it should be can end in.
_FAILURES = (OSError, RuntimeError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile)
REPLACE = "replace it, or unset GAN_COURSE_DATA to download the set"


def data_root() -> Path | None:
    """The folder ``$GAN_COURSE_DATA``, only ever read, or None; DataError if it is not absolute or not a folder."""
    root = _absolute("GAN_COURSE_DATA")
    if root is not None and not root.is_dir():
        raise DataError(f"GAN_COURSE_DATA: {root} is not a folder; correct it or unset it")
    return root


def cache_root() -> Path:
    """The folder that downloads go to (it need not exist yet); DataError if ``$GAN_COURSE_CACHE`` is not absolute."""
    base = os.environ.get("XDG_CACHE_HOME", "")  # the XDG rules say to ignore one that is not absolute
    default = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "gan-course"
    return _absolute("GAN_COURSE_CACHE") or default


def _absolute(variable: str) -> Path | None:
    text = os.environ.get(variable)
    if text and not os.path.isabs(text):
        raise DataError(f"{variable}: got {text!r}, expected an absolute path")
    return Path(text) if text else None


def _places() -> list[Path]:
    root = data_root()
    return [cache_root()] if root is None else [root, cache_root()]


# --- one file -------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Download:
    """A published file: its addresses, which all end in its name, how it is known, and what to do without it."""

    mirrors: list[str]
    size: int | None = None  # in bytes
    known_hash: str | None = None  # "sha256:" or "md5:" and the digits
    instead: str

    @property
    def file(self) -> str:
        """Its name."""
        return self.mirrors[0].rpartition("/")[2]

    def fault(self, path: Path) -> str | None:
        """What shows that a file is another one, or None."""
        if self.size is not None and (size := path.stat().st_size) != self.size:
            return f"has {size} bytes, expected {self.size}: it is not complete, or another file"
        return self.known_hash and _other_hash(path, self.known_hash)


def _other_hash(path: Path, known: str) -> str | None:
    from pooch import file_hash

    kind, expected = known.split(":")
    found = file_hash(path, kind)
    return None if found == expected else f"has {kind} {found}, expected {expected}: it is damaged, or another file"


def fetch(name: str, source: Download) -> Path:
    """The path of a published file, verified wherever it is; messages call it ``name``.

    DataError says why it cannot be had, where to put it by hand and what would do instead.
    """
    paths = [place / source.file for place in _places()]
    for path in paths:
        if path.is_file():
            if wrong := source.fault(path):
                raise DataError(f"{path} {wrong}; replace or remove it")
            return path
    by_hand = f"put it ({source.size} bytes, {source.known_hash}) by hand at {' or '.join(map(str, paths))}"
    _fetch(name, source, path, by_hand)
    return path


def _fetch(
    name: str, source: Download, target: Path, by_hand: str, fault: Callable[[Path], str | None] = lambda path: None
) -> None:
    """Put a file, or what an archive holds under the name of ``target``, there: whole and verified, or not at all.

    It is taken from where it may have been laid by hand (messages say how: ``by_hand``), else from a mirror. ``fault``
    tells what is wrong with the result, if anything.
    """
    laid = [place / target.parent.relative_to(cache_root()) / source.file for place in _places()]
    problems = []
    with _workplace(name, target.parent, source.instead) as workplace:
        if target.exists():
            return  # another process was faster
        for origin in (*(path for path in laid if path.is_file()), *source.mirrors):
            try:
                with tempfile.TemporaryDirectory(dir=workplace) as temporary:
                    folder, file = Path(temporary), origin
                    if isinstance(origin, str):
                        file = folder / source.file
                        _retrieve(origin, file)
                    if wrong := source.fault(file):
                        raise DataError(wrong)
                    if file.name != target.name:
                        unpack(file, folder)
                    if wrong := fault(folder / target.name):
                        raise DataError(wrong.replace(f"{folder}{os.sep}", "in it, "))
                    os.replace(folder / target.name, target)
                return
            except _FAILURES as error:
                if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                    raise  # no mirror would help
                problems.append(f"{origin}: {_reason(error)}")
    raise DataError(
        f"cannot download {source.file} of {name!r} ({'; '.join(problems)}); check the network, or {by_hand}, or"
        f" {source.instead}"
    )


def _retrieve(url: str, file: Path) -> None:
    from pooch import HTTPDownloader
    from tqdm.auto import tqdm

    def as_it_is(response, **_) -> None:  # some servers call a .gz "encoded", and requests would decode it
        response.raw.headers.pop("content-encoding", None)

    with tqdm(desc=file.name, total=1, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        HTTPDownloader(bar, 1 << 16, timeout=DOWNLOAD_TIMEOUT, hooks={"response": as_it_is})(url, str(file), None)


def _reason(error: BaseException) -> str:
    """An error in one line; one of the network by its cause, which says the same in fewer words."""
    while type(error).__module__.startswith(("requests.", "urllib3.")) and error.__context__ is not None:
        error = error.__context__
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _workplace(name: str, target: Path, instead: str) -> Iterator[Path]:
    """A temporary folder in ``target`` to fetch something in, for one process and one thread at a time."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target / f".download-{name}.lock")  # which stays: a removed one would not hold others off
        try:
            held = lock.acquire(timeout=0.1)
        except Timeout:
            print(f"waiting for another process that fetches {name!r} into {target}", file=sys.stderr)
            held = lock.acquire()
        with held:
            for left in target.glob(f".download-{name}-*"):  # by processes that were killed
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=target, prefix=f".download-{name}-") as temporary:
                yield Path(temporary)
    except OSError as error:
        raise DataError(
            f"cannot write {name!r} to {target} ({error.strerror or error}); make it writable, with room, set"
            f" GAN_COURSE_CACHE to another folder, or {instead}"
        ) from error


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ``.zip``, a tar archive or a single ``.gz`` into ``folder``.

    Not by pooch, which lets a tar write anywhere before Python 3.12.

    Raises:
        DataError, tarfile.TarError: a member would land outside the folder; nothing of a ``.zip`` is unpacked then.
        OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError: the archive is damaged.
    """
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                path = PurePosixPath(name.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts or ":" in name:
                    raise DataError(f"it holds {name!r}, which would land outside of the folder")
            opened.extractall(folder)
    elif archive.suffixes == [".gz"]:
        (folder / archive.stem).write_bytes(gzip.decompress(archive.read_bytes()))
    else:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")  # which refuses what would land elsewhere


# --- MNIST and Fashion-MNIST: four IDX files each -------------------------------------------------
@dataclass(frozen=True)
class Idx:
    """A set of four IDX files in ``folder/raw``, as the torchvision class named ``folder`` keeps them."""

    folder: str
    classes: list[str]
    mirrors: list[str]  # besides torchvision's own
    sizes: dict[str, int]
    sha256: dict[str, str] = field(default_factory=dict)  # of the unpacked files, where they are known

    def files(self, split: str) -> tuple[str, str]:
        """Names of the image file and the label file of ``"train"`` or ``"test"``."""
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
        classes="T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(","),
        mirrors=["https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"],
        sizes={"train": 60_000, "test": 10_000},
    ),
}


def read_idx(name: str, split: str) -> tuple[Tensor, Tensor]:
    """Images ``(N, 1, 28, 28)``, uint8, and labels ``(N,)``, int64, of a set in :data:`IDX`, fetched if need be.

    DataError says which files are missing, damaged or cannot be downloaded, and what to do.
    """
    source, (raw, remedy) = IDX[name], _idx_folder(name)
    (images, labels), n = source.files(split), source.sizes[split]
    x = _read_idx(raw / images, (n, 28, 28), source.sha256.get(images), remedy)
    y = _read_idx(raw / labels, (n,), source.sha256.get(labels), remedy)
    if int(y.max()) >= len(source.classes):
        raise DataError(f"{raw / labels} holds label {int(y.max())}, expected 0 to 9; {remedy}")
    return x[:, None], y.long()


def _idx_folder(name: str) -> tuple[Path, str]:
    """The folder with the four files of a set, fetched if need be, and the cure if one is damaged."""
    source = IDX[name]
    files = [file for split in source.sizes for file in source.files(split)]
    root, cache = data_root(), cache_root() / source.folder / "raw"
    if root is not None and (given := root / source.folder / "raw").is_dir():
        if all((given / file).is_file() for file in files):
            return given, REPLACE
        for file in files:  # an archive will be unpacked into the cache: the data root is never written
            if not (given / file).is_file() and not (given / f"{file}.gz").is_file():
                raise DataError(f"{given / file} is missing; put it there, or unset GAN_COURSE_DATA")
    if missing := [file for file in files if not (cache / file).is_file()]:
        from torchvision import datasets

        published = getattr(datasets, source.folder)
        mirrors, md5 = [*published.mirrors[:1], *source.mirrors, *published.mirrors[1:]], dict(published.resources)
        by_hand = f"put {', '.join(f'{file}.gz' for file in missing)} into {cache} by hand"
        for file in missing:
            packed = Download(
                mirrors=[f"{mirror}{file}.gz" for mirror in mirrors],
                known_hash=f"md5:{md5[f'{file}.gz']}",
                instead="use the embedded set 'digits'",
            )
            _fetch(name, packed, cache / file, by_hand)
    return cache, "delete it and run again to download it anew"


def _read_idx(path: Path, shape: tuple[int, ...], sha256: str | None, remedy: str) -> Tensor:
    """A uint8 tensor from an IDX file whose size, header and (30 ms for 47 MB) hash are as expected."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    # big-endian: 0, 0, 8 (unsigned byte), number of dimensions, then each dimension
    header = b"".join(n.to_bytes(4, "big") for n in (0x800 + len(shape), *shape))
    expected, start = len(header) + int(np.prod(shape)), raw[: len(header)]
    wrong = sha256 and _other_hash(path, f"sha256:{sha256}")
    if len(raw) != expected:
        wrong = f"has {len(raw)} bytes, expected {expected}: it is not complete"
    elif start != header:
        wrong = f"starts with {start.hex()}, expected {header.hex()}: it is another kind of file"
    if wrong:
        raise DataError(f"{path} {wrong}; {remedy}")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=len(header)).reshape(shape)


# --- sets that come as one archive ----------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Archive(Download):
    """A set that comes as one archive, which unpacks to one folder.

    What is in the folder is known either to torchvision (the md5 of every file) or by the number of its images.
    """

    folder: str  # name of the folder in it
    published: str | None = None  # the torchvision class that reads the folder
    images: dict[str, int] = field(default_factory=dict)  # subfolder -> number of its .jpg files
    image_size: tuple[int, int] | None = None  # width and height that all of them have


_GLYPHS = "use the embedded set 'glyphs'"
_TASKS = "use a task on an embedded set, such as 'neon-digits' or 'red-glyphs'"
ARCHIVES = {
    # sha256 as in Keras, md5 of the archive in it (which torchvision and Paddle give) the same file.
    "cifar10": Archive(
        folder="cifar-10-batches-py",
        mirrors=[
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            "https://dataset.bj.bcebos.com/cifar/cifar-10-python.tar.gz",  # PaddlePaddle's
        ],
        size=170_498_071,
        known_hash="sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        published="CIFAR10",
        instead=_GLYPHS,
    ),
    # sha256 as in TensorFlow Datasets.
    "stl10": Archive(
        folder="stl10_binary",
        mirrors=[
            "https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
        ],
        size=2_640_397_119,
        known_hash="sha256:f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
        published="STL10",
        instead=_GLYPHS,
    ),
    # Nobody publishes a checksum of this archive, only its size: hence the https address first, and the images are
    # counted and measured.
    "facades": Archive(
        folder="facades",
        mirrors=[
            "https://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades.tar.gz",
            "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades.tar.gz",
            "https://people.eecs.berkeley.edu/~tinghuiz/projects/pix2pix/datasets/facades.tar.gz",
        ],
        size=30_168_306,
        images={"train": 400, "val": 100, "test": 106},
        image_size=(512, 256),
        instead=_TASKS,
    ),
    # sha256 as in TensorFlow Datasets.
    "horse2zebra": Archive(
        folder="horse2zebra",
        mirrors=[
            "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
            "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
            "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets/horse2zebra.zip",
        ],
        size=116_867_962,
        known_hash="sha256:a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
        images={"trainA": 1067, "trainB": 1334, "testA": 120, "testB": 140},
        instead=_TASKS,
    ),
}


def is_at_hand(name: str) -> bool:
    """Return whether a set in :data:`ARCHIVES` needs no network: its folder or its archive is there."""
    source = ARCHIVES[name]
    return any((place / part).exists() for place in _places() for part in (source.folder, source.file))


def folder(name: str) -> tuple[Path, str]:
    """The folder of a set in :data:`ARCHIVES`, fetched if need be, and the cure if something in it is damaged.

    DataError says why it cannot be had, and what to do.
    """
    source = ARCHIVES[name]
    root, cached = data_root(), cache_root() / source.folder
    if root is not None and (root / source.folder).is_dir():
        return root / source.folder, REPLACE
    if not cached.is_dir():
        by_hand = f"put {source.file} into {cached.parent} by hand, or the folder {cached.name} into GAN_COURSE_DATA"
        _fetch(name, source, cached, by_hand, functools.partial(fault, name))
    return cached, f"delete {cached} and run again to download it anew"


def fault(name: str, folder: Path, parts: Sequence[str] | None = None) -> str | None:
    """What is wrong with the folder of a set in :data:`ARCHIVES`, or None.

    ``parts`` are the subfolders in which images are counted; by default all, and then their size is looked at too.
    """
    source = ARCHIVES[name]
    if source.published is not None:
        from torchvision import datasets

        reader = getattr(datasets, source.published)
        meta = getattr(reader, "meta", None)
        for file, md5 in [*reader.train_list, *reader.test_list] + ([(meta["filename"], meta["md5"])] if meta else []):
            if not (folder / file).is_file():
                return f"{folder / file} is missing"
            if wrong := _other_hash(folder / file, f"md5:{md5}"):
                return f"{folder / file} {wrong}"
    images = {part: list((folder / part).glob("[!.]*.[jJ][pP][gG]")) for part in parts or source.images}
    for part, files in images.items():
        if len(files) != (n := source.images[part]):
            return f"{folder / part} holds {len(files):,} images (.jpg), expected {n:,}: it is not complete"
    if source.image_size is not None and parts is None:
        from PIL import Image

        for file in sum(images.values(), []):
            with Image.open(file) as image:  # which reads the header only
                if image.size != source.image_size:
                    got, expected = ("x".join(map(str, size)) for size in (image.size, source.image_size))
                    return f"{file} is {got}, expected {expected}"
    return None


# --- what is made once and kept -------------------------------------------------------------------
def kept(file: Path, key: bytes, shape: tuple[int, ...], make: Callable[[], Tensor]) -> Tensor:
    """What ``make()`` returns, uint8 of ``shape`` on the CPU, kept in a file, so that it is made only once.

    The file holds the key, the sha256 of the bytes, and the bytes; where it cannot be written, nothing is kept. ``key``
    is 32 bytes (a sha256) that stand for all that the result depends on; with another key it is made anew.
    """
    with suppress(OSError):
        raw = np.fromfile(file, np.uint8)
        head, body = raw[:64].tobytes(), raw[64:]
        if len(body) == np.prod(shape) and head == key + hashlib.sha256(body).digest():
            return torch.from_numpy(body).reshape(shape)
    x = make()
    body = x.contiguous().numpy().reshape(-1)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".making-") as folder:
            with (unfinished := Path(folder) / file.name).open("wb") as out:
                out.write(key + hashlib.sha256(body).digest())
                out.write(body)
            os.replace(unfinished, file)  # so that it is never half there
    return x
