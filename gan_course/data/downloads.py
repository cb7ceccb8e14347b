"""Files that are too large for the package: where they are looked for, how they are fetched, verified and kept.

A set is read from ``$GAN_COURSE_DATA`` if it is there (an absolute path, never written), else from the cache
(``$GAN_COURSE_CACHE``, else ``$XDG_CACHE_HOME/gan-course``, else ``~/.cache/gan-course``), else it is downloaded into
the cache. Nothing appears there under its own name before it is whole and verified: all work is done in a temporary
folder beside it, by one process at a time, and what a killed process left is removed by the next.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import shutil
import socket
import sys
import tarfile
import tempfile
import threading
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
_DOWNLOADING = threading.Lock()
# What a download or an archive that is not what it should be can end in.
_FAILURES = (
    OSError, RuntimeError, EOFError, zlib.error, http.client.HTTPException, tarfile.TarError, zipfile.BadZipFile,
)  # fmt: skip
REPLACE = "replace it, or unset GAN_COURSE_DATA to download the set"


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
        classes=(
            ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"]
            + ["Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
        ),
        mirrors=["https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"],
        sizes={"train": 60_000, "test": 10_000},
    ),
}


def read_idx(name: str, split: str) -> tuple[Tensor, Tensor]:
    """Images ``(N, 1, 28, 28)``, uint8, and labels ``(N,)``, int64, of a set in :data:`IDX`, fetched if need be.

    Raises:
        DataError: files are missing, damaged or cannot be downloaded; says which and what to do.
    """
    source = IDX[name]
    raw, remedy = _idx_folder(name)
    images, labels = source.files(split)
    n = source.sizes[split]
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
    archives = [cache]
    if root is not None and (given := root / source.folder / "raw").is_dir():
        if all((given / file).is_file() for file in files):
            return given, REPLACE
        for file in files:
            if not (given / file).is_file() and not (given / f"{file}.gz").is_file():
                raise DataError(f"{given / file} is missing; put it there, or unset GAN_COURSE_DATA")
        archives = [given, cache]  # unpacked into the cache: the data root is never written
    missing = [file for file in files if not (cache / file).is_file()]
    if missing:
        _fetch_idx(name, missing, cache, archives)
    return cache, "delete it and run again to download it anew"


def _read_idx(path: Path, shape: tuple[int, ...], expected_sha256: str | None, remedy: str) -> Tensor:
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
    if expected_sha256 is not None and found != expected_sha256:
        raise DataError(f"{path} has sha256 {found}, expected {expected_sha256}: it is damaged; {remedy}")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=len(header)).reshape(shape)


def _fetch_idx(name: str, files: list[str], target: Path, archives: list[Path]) -> None:
    """Put the IDX ``files`` into ``target``: from ``file.gz`` in one of the ``archives``, else from a mirror.

    A file is renamed into place when it is whole and its archive had the right md5.
    """
    from torchvision import datasets
    from torchvision.datasets.utils import calculate_md5, download_and_extract_archive

    source = IDX[name]
    published = getattr(datasets, source.folder)
    md5 = dict(published.resources)
    mirrors = [*published.mirrors[:1], *source.mirrors, *published.mirrors[1:]]
    instead = "use the embedded set 'digits'"
    with _workplace(name, target, instead) as temporary:
        for file in files:
            if (target / file).is_file():
                continue  # another process was faster
            archive, problems = f"{file}.gz", []
            for found in (folder / archive for folder in archives):
                if found.is_file() and (digest := calculate_md5(found)) == md5[archive]:
                    shutil.copyfile(found, temporary / archive)
                    break
                elif found.is_file():
                    problems.append(f"{found} has md5 {digest}, expected {md5[archive]}")
            for mirror in mirrors:
                try:  # downloads nothing where the archive is there already
                    download_and_extract_archive(mirror + archive, str(temporary), filename=archive, md5=md5[archive])
                    break
                except _FAILURES as error:
                    problems.append(f"{mirror + archive}: {_reason(error)}")
            else:
                wanted = ", ".join(f"{f}.gz" for f in files)
                raise DataError(
                    f"cannot download {archive} of {name!r} ({'; '.join(problems)}); check the network,"
                    f" or put {wanted} into {target} by hand, or {instead}"
                )
            os.replace(temporary / file, target / file)


# --- sets that come as one archive ----------------------------------------------------------------


@dataclass(frozen=True)
class Archive:
    """A set that comes as one archive, which unpacks to one folder.

    What is in the folder is known either to torchvision (the md5 of every file) or by the number of its images.
    """

    archive: str  # name of the archive
    folder: str  # name of the folder in it
    mirrors: list[str]
    size: int  # of the archive, in bytes
    instead: str  # what to do without it
    sha256: str | None = None  # of the archive
    published: str | None = None  # the torchvision class that reads the folder
    images: dict[str, int] = field(default_factory=dict)  # subfolder -> number of its .jpg files
    image_size: tuple[int, int] | None = None  # width and height that all of them have


_GLYPHS = "use the embedded set 'glyphs'"
_TASKS = "use a task on an embedded set, such as 'neon-digits' or 'red-glyphs'"
ARCHIVES = {
    # sha256 as in Keras, md5 of the archive in it (which torchvision and Paddle give) the same file.
    "cifar10": Archive(
        archive="cifar-10-python.tar.gz",
        folder="cifar-10-batches-py",
        mirrors=[
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            "https://dataset.bj.bcebos.com/cifar/cifar-10-python.tar.gz",  # PaddlePaddle's
        ],
        size=170_498_071,
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        published="CIFAR10",
        instead=_GLYPHS,
    ),
    # sha256 as in TensorFlow Datasets.
    "stl10": Archive(
        archive="stl10_binary.tar.gz",
        folder="stl10_binary",
        mirrors=[
            "https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
        ],
        size=2_640_397_119,
        sha256="f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
        published="STL10",
        instead=_GLYPHS,
    ),
    # Nobody publishes a checksum of this archive, only its size: hence the https address first, and the images are
    # counted and measured.
    "facades": Archive(
        archive="facades.tar.gz",
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
        archive="horse2zebra.zip",
        folder="horse2zebra",
        mirrors=[
            "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
            "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
            "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets/horse2zebra.zip",
        ],
        size=116_867_962,
        sha256="a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
        images={"trainA": 1067, "trainB": 1334, "testA": 120, "testB": 140},
        instead=_TASKS,
    ),
}


def is_at_hand(name: str) -> bool:
    """Return whether a set in :data:`ARCHIVES` needs no network: its folder or its archive is there."""
    source = ARCHIVES[name]
    return any((place / part).exists() for place in _places() for part in (source.folder, source.archive))


def folder(name: str) -> tuple[Path, str]:
    """The folder of a set in :data:`ARCHIVES`, fetched if need be, and the cure if something in it is damaged.

    Raises:
        DataError: it cannot be had; says why, and what to do.
    """
    source = ARCHIVES[name]
    root, cached = data_root(), cache_root() / source.folder
    if root is not None and (root / source.folder).is_dir():
        return root / source.folder, REPLACE
    if not cached.is_dir():
        _fetch_archive(name)
    return cached, f"delete {cached} and run again to download it anew"


def fault(name: str, folder: Path, parts: Sequence[str] | None = None) -> str | None:
    """What is wrong with the folder of a set in :data:`ARCHIVES`, or None.

    Args:
        name: of the set.
        folder: where it is.
        parts: the subfolders in which images are counted; by default all, and then their size is looked at too.
    """
    source = ARCHIVES[name]
    if source.published is not None:
        return _wrong_file(source.published, folder)
    for part, n in source.images.items():
        if parts is None or part in parts:
            found = len(_jpegs(folder / part))
            if found != n:
                return f"{folder / part} holds {found:,} images (.jpg), expected {n:,}: it is not complete"
    return None if source.image_size is None or parts is not None else _wrong_size(source, folder)


def _wrong_file(published: str, folder: Path) -> str | None:
    from torchvision import datasets
    from torchvision.datasets.utils import calculate_md5

    reader = getattr(datasets, published)
    files = [*reader.train_list, *reader.test_list]
    if hasattr(reader, "meta"):
        files.append((reader.meta["filename"], reader.meta["md5"]))
    for file, md5 in files:
        if not (folder / file).is_file():
            return f"{folder / file} is missing"
        if (found := calculate_md5(folder / file)) != md5:
            return f"{folder / file} has md5 {found}, expected {md5}: it is damaged"
    return None


def _wrong_size(source: Archive, folder: Path) -> str | None:
    from PIL import Image

    for file in (file for part in source.images for file in _jpegs(folder / part)):
        with Image.open(file) as image:  # which reads the header only
            if image.size != source.image_size:
                got, expected = ("x".join(map(str, size)) for size in (image.size, source.image_size))
                return f"{file} is {got}, expected {expected}"
    return None


def _jpegs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [f for f in folder.iterdir() if f.suffix.lower() == ".jpg" and not f.name.startswith(".")]


def _places() -> list[Path]:
    root = data_root()
    return [cache_root()] if root is None else [root, cache_root()]


def _fetch_archive(name: str) -> None:
    """Put the folder of a set into the cache: from an archive laid there or into the data root, else from a mirror."""
    source, target = ARCHIVES[name], cache_root()
    with _workplace(name, target, source.instead) as temporary:
        if (target / source.folder).is_dir():
            return  # another process was faster
        problems = []
        by_hand = [file for place in _places() if (file := place / source.archive).is_file()]
        for origin in (*by_hand, *source.mirrors):
            unpacked = temporary / "unpacked"
            try:
                archive = origin
                if isinstance(origin, str):
                    archive = temporary / source.archive
                    torch.hub.download_url_to_file(origin, str(archive))
                _verify(archive, source)
                unpack(archive, unpacked)
                if wrong := fault(name, unpacked / source.folder):
                    raise DataError(wrong.replace(f"{unpacked}{os.sep}", "in it, "))
                os.replace(unpacked / source.folder, target / source.folder)
                return
            except _FAILURES as error:
                if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                    raise  # no mirror would help
                problems.append(f"{origin}: {_reason(error)}")
                shutil.rmtree(unpacked, ignore_errors=True)
    raise DataError(
        f"cannot download {source.archive} of {name!r} ({'; '.join(problems)}); check the network, or put"
        f" {source.archive} into {target} by hand, or the folder {source.folder} into GAN_COURSE_DATA,"
        f" or {source.instead}"
    )


def _verify(archive: Path, source: Archive) -> None:
    if (size := archive.stat().st_size) != source.size:
        raise DataError(f"has {size} bytes, expected {source.size}: it is not complete, or another file")
    if source.sha256 is not None and (found := sha256(archive)) != source.sha256:
        raise DataError(f"has sha256 {found}, expected {source.sha256}: it is damaged, or another file")


# --- tools ----------------------------------------------------------------------------------------


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ``.zip`` or a tar archive into ``folder``.

    Raises:
        DataError, tarfile.TarError: a member would land outside the folder; nothing of a ``.zip`` is unpacked then.
        OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError: the archive is damaged.
    """
    if archive.suffix != ".zip":
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")  # which refuses what would land elsewhere
        return
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in name:
                raise DataError(f"it holds {name!r}, which would land outside of the folder")
        opened.extractall(folder)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def kept(file: Path, key: bytes, shape: tuple[int, ...], make: Callable[[], Tensor]) -> Tensor:
    """What ``make()`` returns, kept in a file, so that it is made only once.

    Args:
        file: the file, of key, sha256 of the bytes, and bytes. Where it cannot be written, nothing is kept.
        key: 32 bytes (a sha256) that stand for all that the result depends on; with another key it is made anew.
        shape: of the result, uint8 on the CPU.
        make: what makes it.
    """
    x = _read_kept(file, key, shape)
    if x is None:
        x = make()
        with suppress(OSError):
            _write_kept(file, key, x)
    return x


def _read_kept(file: Path, key: bytes, shape: tuple[int, ...]) -> Tensor | None:
    """The tensor in the file, or None if it is missing, damaged or has another key."""
    try:
        raw = np.fromfile(file, np.uint8)
    except OSError:
        return None
    head, body = raw[:64].tobytes(), raw[64:]
    whole = len(body) == np.prod(shape) and head == key + hashlib.sha256(body).digest()
    return torch.from_numpy(body).reshape(shape) if whole else None


def _write_kept(file: Path, key: bytes, x: Tensor) -> None:
    """Write beside the file and rename, so that it is never half there."""
    body = x.contiguous().numpy().reshape(-1)
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".making-")
    try:
        with open(handle, "wb") as out:
            out.write(key + hashlib.sha256(body).digest())
            out.write(body)
        os.replace(temporary, file)
    finally:
        Path(temporary).unlink(missing_ok=True)


@contextmanager
def _workplace(name: str, target: Path, instead: str) -> Iterator[Path]:
    """A temporary folder in ``target`` to fetch a set in, for one process and one thread at a time."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target / f".download-{name}.lock")  # which stays: a removed one would not hold others off
        try:
            lock.acquire(timeout=0.1)
        except Timeout:
            print(f"waiting for another process that fetches {name!r} into {target}", file=sys.stderr)
            lock.acquire()
        try:
            for left in target.glob(f".download-{name}-*"):  # by processes that were killed
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=target, prefix=f".download-{name}-") as temporary, one_at_a_time():
                yield Path(temporary)
        finally:
            lock.release()
    except OSError as error:
        raise DataError(
            f"cannot write {name!r} to {target} ({error.strerror or error}); make it writable, with room, set"
            f" GAN_COURSE_CACHE to another folder, or {instead}"
        ) from error


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """One thread at a time downloads, with a timeout: urllib's own waits for a silent server for ever.

    The default timeout belongs to the process, hence the lock.
    """
    with _DOWNLOADING:
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        try:
            yield
        finally:
            socket.setdefaulttimeout(before)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
