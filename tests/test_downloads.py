"""Fetching: what is downloaded, what a failed download leaves behind, and what is read from where.

Tiny sets in the true formats stand behind mirrors on this machine, which serve them well or badly.
"""

from __future__ import annotations

import dataclasses
import errno
import gzip
import hashlib
import io
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from gan_course import data
from gan_course.data import DataSet, Domains, catalogue, downloads, translation
from gan_course.data.downloads import Archive
from gan_course.errors import DataError

# --- tiny sets under the real names, served on this machine --------------------------------------

COUNTS = {"train": 12, "test": 5}


def idx_files(seed: int) -> dict[str, bytes]:
    rng = np.random.RandomState(seed)
    files = {}
    for split, n in COUNTS.items():
        images, labels = downloads.IDX["mnist"].files(split)
        pixels = rng.randint(0, 256, (n, 28, 28), np.uint8)
        files[images] = np.array([0x803, n, 28, 28], ">i4").tobytes() + pixels.tobytes()
        files[labels] = np.array([0x801, n], ">i4").tobytes() + (np.arange(n) % 10).astype(np.uint8).tobytes()
    return files


CIFAR_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
# Ten to train on, in five files, and two to test; three to train on, two to test and four unlabeled.
CIFAR = np.random.RandomState(1).randint(0, 256, (12, 3, 32, 32), np.uint8)
STL = np.random.RandomState(2).randint(0, 256, (9, 3, 96, 96), np.uint8)


def cifar_files() -> dict[str, bytes]:
    """Each file is a pickled dictionary; a row is an image: all reds row by row, all greens, all blues."""
    files = {}
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        rows = CIFAR[2 * i : 2 * i + 2].reshape(2, 3072)
        files[name] = pickle.dumps({"data": rows, "labels": [(2 * i) % 10, (2 * i + 1) % 10]}, protocol=2)
    return files | {"batches.meta": pickle.dumps({"label_names": CIFAR_CLASSES}, protocol=2)}


def stl_files() -> dict[str, bytes]:
    """A file of images holds one after the other, channel by channel and each column by column; labels are 1 to 10."""
    by_column = STL.transpose(0, 1, 3, 2)
    parts = {"train_X.bin": by_column[:3], "test_X.bin": by_column[3:5], "unlabeled_X.bin": by_column[5:]}
    files = {name: part.tobytes() for name, part in parts.items()}
    return files | {"train_y.bin": bytes([1, 10, 4]), "test_y.bin": bytes([2, 2]), "class_names.txt": b"airplane\n"}


def jpeg(*colours: tuple[int, int, int], side: int = 16) -> bytes:
    """Squares of one colour each, side by side."""
    image = Image.new("RGB", (side * len(colours), side))
    for i, colour in enumerate(colours):
        image.paste(colour, (side * i, 0, side * (i + 1), side))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


def facades_files() -> dict[str, bytes]:
    """Pair i has the shade 20 i on the left and blue on the right. There are eleven, so that 10 comes after 9."""
    counts = {"train": 11, "val": 1, "test": 2}
    return {f"{s}/{i}.jpg": jpeg((20 * i,) * 3, (0, 0, 200)) for s, n in counts.items() for i in range(1, n + 1)}


def horse2zebra_files() -> dict[str, bytes]:
    """Horses are brown and zebras grey, lighter with their number."""
    colours = {"A": lambda i: (120, 60, 20 * i), "B": lambda i: (100 + 20 * i,) * 3}
    counts = {"trainA": 4, "trainB": 3, "testA": 2, "testB": 2}
    return {f"{p}/n02_{i}.jpg": jpeg(colours[p[-1]](i)) for p, n in counts.items() for i in range(n)}


FILES = {"cifar10": cifar_files, "stl10": stl_files, "facades": facades_files, "horse2zebra": horse2zebra_files}


def packed(name: str, files: dict[str, bytes]) -> bytes:
    """The archive of a set, of the true kind, in its folder."""
    source, out = downloads.ARCHIVES[name], io.BytesIO()
    if source.file.endswith(".zip"):
        with zipfile.ZipFile(out, "w") as archive:
            for file, body in files.items():
                archive.writestr(f"{source.folder}/{file}", body)
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            for file, body in files.items():
                member = tarfile.TarInfo(f"{source.folder}/{file}")
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))
    return out.getvalue()


def describe(name: str, body: bytes, mirrors: list[str]) -> Archive:
    """What the package would know of a tiny archive."""
    source, counts = downloads.ARCHIVES[name], Counter(file.split("/")[0] for file in FILES[name]())
    return dataclasses.replace(
        source,
        mirrors=mirrors,
        size=len(body),
        known_hash=source.known_hash and sha256(body),
        images={part: counts[part] for part in source.images},
        image_size=source.image_size and (32, 16),
    )


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


@pytest.fixture
def tiny(mirror, tmp_path, monkeypatch):
    """Tiny sets behind two local mirrors each, with their true sizes and checksums."""
    server, url = mirror, mirror.url
    server.raw = {}
    for seed, (name, source) in enumerate(downloads.IDX.items()):
        raw = server.raw[name] = idx_files(seed)
        archives = {f"{file}.gz": gzip.compress(body, mtime=0) for file, body in raw.items()}
        for side in "ab":
            server.files |= {f"/{side}/{name}/{file}": body for file, body in archives.items()}
        published = getattr(datasets, source.folder)
        monkeypatch.setattr(published, "mirrors", [f"{url}/a/{name}/"])
        monkeypatch.setattr(published, "resources", [(file, md5(body)) for file, body in archives.items()])
        known = {file: hashlib.sha256(body).hexdigest() for file, body in raw.items()}
        small = downloads.Idx(source.folder, source.classes, [f"{url}/b/{name}/"], COUNTS, known if seed == 0 else {})
        monkeypatch.setitem(downloads.IDX, name, small)
    for name, make in FILES.items():
        server.raw[name] = make()
        body = packed(name, server.raw[name])
        archive = downloads.ARCHIVES[name].file
        server.files |= {f"/{side}/{name}/{archive}": body for side in "ab"}
        mirrors = [f"{url}/{side}/{name}/{archive}" for side in "ab"]
        monkeypatch.setitem(downloads.ARCHIVES, name, describe(name, body, mirrors))
    for published, name in ((datasets.CIFAR10, "cifar10"), (datasets.STL10, "stl10")):
        for part in ("train_list", "test_list"):
            files = [[file, md5(server.raw[name][file])] for file, _ in getattr(published, part)]
            monkeypatch.setattr(published, part, files)
    meta = datasets.CIFAR10.meta | {"md5": md5(server.raw["cifar10"]["batches.meta"])}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GAN_COURSE_DATA", raising=False)
    return server


IMAGE_FILE = "train-images-idx3-ubyte"


def tree(folder: Path) -> set[str]:
    """All files but the locks, which stay."""
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file() and f.suffix != ".lock"}


def load(name: str, **kwargs) -> DataSet | Domains:
    return data.load_domains(name, **kwargs) if name in translation.SETS else data.load(name, **kwargs)


def fails(message: str, name: str = "mnist", **kwargs) -> str:
    with pytest.raises(DataError, match=message) as caught:
        load(name, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for file, body in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(body)
    return folder


# --- answers of a mirror --------------------------------------------------------------------------


def truncated(request):  # promises more than it sends, as a connection that breaks does
    body = request.server.good
    request.begin(body)
    request.wfile.write(body[: len(body) // 2])
    request.close_connection = True


def hangs_up(request):
    request.connection.shutdown(socket.SHUT_RDWR)


def silent(request):
    request.server.stop.wait(10)


def stuck(request):  # in the middle
    body = request.server.good
    request.begin(body)
    request.wfile.write(body[: len(body) // 2])
    request.server.stop.wait(10)


def slow(request):
    body = request.server.good
    request.begin(body)
    for i in range(5):  # for longer than the timeout, but never silent for so long
        time.sleep(0.1)
        request.wfile.write(body[i * len(body) // 5 : (i + 1) * len(body) // 5])


def encoded(request):  # as servers do that take what is asked for to be a form of another file
    body = request.server.good
    request.begin(body, Content_Encoding="gzip")
    request.wfile.write(body)


BAD_ANSWERS = {
    "truncated": truncated,
    "hangs up": hangs_up,
    "missing": None,
    "wrong": gzip.compress(b"another file", mtime=0),
    "html": b"<html>Log in to the wireless network</html>",
    "empty": b"",
    "silent": silent,
    "stuck": stuck,
}

# --- MNIST and Fashion-MNIST ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_download_then_read_from_the_cache(tiny, tmp_path, name):
    folder = downloads.IDX[name].folder
    ds = data.load(name)
    pixels = np.frombuffer(tiny.raw[name][IMAGE_FILE], np.uint8, offset=16).reshape(12, 1, 28, 28)
    assert np.array_equal(ds.x.numpy(), pixels) and ds.labels.tolist() == [i % 10 for i in range(12)]
    assert ds.name == name and len(ds.classes) == 10
    assert tree(tmp_path / "cache") == {f"{folder}/raw/{file}" for file in tiny.raw[name]}
    # torchvision itself reads the same out of it
    published = getattr(datasets, folder)(tmp_path / "cache", train=True)
    assert torch.equal(published.data, ds.x[:, 0]) and torch.equal(published.targets, ds.labels)
    asked = len(tiny.requests)
    assert len(data.load(name, split="test")) == 5 and len(tiny.requests) == asked


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_bad_download_leaves_nothing_and_a_later_one_works(tiny, tmp_path, monkeypatch, answer):
    monkeypatch.setattr(downloads, "DOWNLOAD_TIMEOUT", 0.3)
    good = tiny.files[f"/a/mnist/{IMAGE_FILE}.gz"]
    tiny.good = good
    for mirror in "ab":
        tiny.files[f"/{mirror}/mnist/{IMAGE_FILE}.gz"] = BAD_ANSWERS[answer]
    message = fails(f"^cannot download {IMAGE_FILE}.gz of 'mnist'")
    tiny.stop.set()
    assert str(tmp_path / "cache" / "MNIST" / "raw") in message and "'digits'" in message
    assert "/a/mnist/" in message and "/b/mnist/" in message
    assert answer not in ("silent", "stuck") or message.count("timed out") == 2
    assert tree(tmp_path) == set() and not list(tmp_path.rglob(".download-*/"))
    tiny.files[f"/b/mnist/{IMAGE_FILE}.gz"] = good  # the second mirror is enough
    assert len(data.load("mnist")) == 12


def test_a_failure_half_way_keeps_only_whole_files(tiny, tmp_path):
    labels = "t10k-labels-idx1-ubyte"
    good = [tiny.files.pop(f"/{mirror}/mnist/{labels}.gz") for mirror in "ab"][0]
    fails(f"^cannot download {labels}.gz")
    raw = tmp_path / "cache" / "MNIST" / "raw"
    assert {file: (raw / file).read_bytes() for file in tree(raw)} == {
        file: body for file, body in tiny.raw["mnist"].items() if file != labels
    }
    tiny.files[f"/b/mnist/{labels}.gz"] = good
    tiny.requests.clear()
    assert len(data.load("mnist")) == 12
    assert all(labels in request for request in tiny.requests)


def test_no_network(tiny, tmp_path):
    tiny.shutdown()
    tiny.server_close()  # now the port refuses
    message = fails("^cannot download .*refused.*check the network")
    for file in tiny.raw["mnist"]:
        assert f"{file}.gz" in message
    # after each address what happened there, and not in which object
    assert message.count(f"{IMAGE_FILE}.gz: [Errno {errno.ECONNREFUSED}] Connection refused") == 2
    assert "0x" not in message and len(message) < 700
    assert tree(tmp_path) == set()


def test_archives_put_into_the_cache_by_hand(tiny, tmp_path):
    raw = tmp_path / "cache" / "MNIST" / "raw"
    write(raw, {f"{file}.gz": gzip.compress(body, mtime=0) for file, body in tiny.raw["mnist"].items()})
    tiny.files.clear()
    assert len(data.load("mnist")) == 12 and tiny.requests == []
    (raw / IMAGE_FILE).unlink()
    (raw / f"{IMAGE_FILE}.gz").write_bytes(b"something else")
    fails(f"{IMAGE_FILE}.gz: has md5 [0-9a-f]{{32}}, expected")


def test_cache_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    fails("^cannot write 'mnist' to .*GAN_COURSE_CACHE.*'digits'")


DAMAGE = {
    "truncated": (lambda body: body[:-100], "has 9324 bytes, expected 9424: it is not complete"),
    "longer": (lambda body: body + b"x", "has 9425 bytes, expected 9424"),
    "other header": (lambda body: b"\1" + body[1:], "starts with 01000803.*expected 00000803"),
    "one byte": (
        lambda body: body[:50] + bytes([body[50] ^ 1]) + body[51:],
        "has sha256 [0-9a-f]{64}, expected",
    ),
}


@pytest.mark.parametrize("where", ["cache", "root"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_named_with_what_to_do(tiny, tmp_path, monkeypatch, where, kind):
    if where == "root":
        monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    raw = write(tmp_path / where / "MNIST" / "raw", tiny.raw["mnist"])
    damage, message = DAMAGE[kind]
    (raw / IMAGE_FILE).write_bytes(damage(tiny.raw["mnist"][IMAGE_FILE]))
    remedy = "delete it" if where == "cache" else "unset GAN_COURSE_DATA"
    fails(f"^{re.escape(str(raw / IMAGE_FILE))} {message}.*{remedy}")
    assert len(data.load("mnist", split="test")) == 5  # its files are whole
    assert tiny.requests == []
    if where == "cache":
        (raw / IMAGE_FILE).unlink()
        assert len(data.load("mnist")) == 12


def test_damaged_labels(tiny, tmp_path):
    raw = write(tmp_path / "cache" / "FashionMNIST" / "raw", tiny.raw["fashion-mnist"])
    file = raw / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + b"\x0a")
    fails("t10k-labels-idx1-ubyte holds label 10, expected 0 to 9", "fashion-mnist", split="test")


def test_data_root_is_read_first_and_never_written(tiny, tmp_path, monkeypatch):
    root = tmp_path / "root"
    raw = write(root / "MNIST" / "raw", tiny.raw["mnist"])
    folders = [raw, raw.parent, root]
    for folder in folders:
        folder.chmod(0o555)
    before = {f: (f.stat().st_mtime_ns, f.stat().st_size) for f in root.rglob("*")}
    monkeypatch.setenv("GAN_COURSE_DATA", str(root))
    try:
        assert len(data.load("mnist")) == 12 and tiny.requests == []
        assert not (tmp_path / "cache").exists()
        assert len(data.load("fashion-mnist")) == 12  # not there: into the cache
        assert {f: (f.stat().st_mtime_ns, f.stat().st_size) for f in root.rglob("*")} == before
        assert tree(tmp_path / "cache") == {f"FashionMNIST/raw/{file}" for file in tiny.raw["mnist"]}
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_data_root_of_archives_is_unpacked_into_the_cache(tiny, tmp_path, monkeypatch):
    archives = {f"{file}.gz": gzip.compress(body, mtime=0) for file, body in tiny.raw["mnist"].items()}
    raw = write(tmp_path / "root" / "MNIST" / "raw", archives)
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    assert len(data.load("mnist")) == 12 and tiny.requests == []
    assert tree(raw) == set(archives)


def test_data_root_errors(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_COURSE_DATA", "some/where")
    fails("^GAN_COURSE_DATA: got 'some/where', expected an absolute path")
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "nowhere"))
    fails("^GAN_COURSE_DATA: .*nowhere is not a folder")
    raw = write(tmp_path / "root" / "MNIST" / "raw", tiny.raw["mnist"])
    (raw / "t10k-labels-idx1-ubyte").unlink()
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    fails("t10k-labels-idx1-ubyte is missing.*unset GAN_COURSE_DATA")
    assert tiny.requests == []


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GAN_COURSE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if os.name == "posix":
        assert downloads.cache_root() == tmp_path / ".cache" / "gan-course"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert downloads.cache_root() == tmp_path / "xdg" / "gan-course"
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "own"))
    assert downloads.cache_root() == tmp_path / "own"
    monkeypatch.setenv("GAN_COURSE_CACHE", "own")
    with pytest.raises(DataError, match="GAN_COURSE_CACHE: got 'own', expected an absolute path"):
        downloads.cache_root()


def test_published_names_and_mirrors_fit_torchvision():
    for source in downloads.IDX.values():
        published = getattr(datasets, source.folder)
        files = {f"{file}.gz" for split in data.SPLITS for file in source.files(split)}
        assert {file for file, _ in published.resources} == files
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in source.mirrors)


@pytest.mark.data("MNIST/raw")
def test_real_mnist_equals_torchvisions_reading():
    ds = data.load("mnist", split="test")
    published = datasets.MNIST(os.environ["GAN_COURSE_DATA"], train=False)
    assert torch.equal(ds.x[:, 0], published.data) and torch.equal(ds.labels, published.targets)
    assert len(data.load("mnist")) == 60_000


# --- CIFAR-10, STL-10, facades and horse2zebra ----------------------------------------------------


def check(name: str) -> None:
    """Load a tiny set and compare it with what was packed."""
    if name == "cifar10":
        train, test = data.load(name), data.load(name, split="test")
        assert np.array_equal(train.x.numpy(), CIFAR[:10]) and np.array_equal(test.x.numpy(), CIFAR[10:])
        assert train.labels.tolist() == list(range(10)) and test.labels.tolist() == [0, 1]
        assert train.name == "cifar10" and train.classes == CIFAR_CLASSES
    elif name == "stl10":
        parts = [data.load(name, split=split) for split in ("train", "test", "unlabeled")]
        for part, pixels in zip(parts, np.split(STL, [3, 5]), strict=True):
            assert np.array_equal(part.x.numpy(), pixels) and part.x.is_contiguous()
        assert parts[0].labels.tolist() == [0, 9, 3] and parts[1].labels.tolist() == [1, 1] and parts[2].labels is None
        assert parts[0].classes[0] == "airplane" and parts[0].classes[9] == "truck" and parts[2].classes is None
    elif name == "facades":
        train, test = data.load_domains(name, paired=True), data.load_domains(name, split="test", paired=True)
        assert (len(train), len(test)) == (11, 2) and train.shape == (2, 3, 16, 16)
        shades = train.a.x.float().mean((1, 2, 3))
        assert (shades - torch.arange(1, 12) * 20).abs().max() < 3  # 2.jpg before 10.jpg
        assert (train.b.x.float().mean((2, 3)) - torch.tensor([0.0, 0.0, 200.0])).abs().max() < 4
    else:
        train, test = data.load_domains(name), data.load_domains(name, split="test")
        assert [len(s) for s in (train.a, train.b, test.a, test.b)] == [4, 3, 2, 2] and not train.paired
        for i in range(4):
            assert (train.a.x[i].float().mean((1, 2)) - torch.tensor([120.0, 60.0, 20 * i])).abs().max() < 4
        assert (train.b.x.float().mean((1, 2, 3)) - torch.arange(100, 160, 20)).abs().max() < 3


def path(name: str) -> str:
    return f"{name}/{downloads.ARCHIVES[name].file}"


def serve(tiny, name: str, answer) -> bytes:
    """Let both mirrors answer so; return what they served before."""
    tiny.good = tiny.files[f"/a/{path(name)}"]
    tiny.files |= {f"/{mirror}/{path(name)}": answer for mirror in "ab"}
    return tiny.good


@pytest.mark.parametrize("name", FILES)
def test_an_archive_is_downloaded_once_and_read_from_the_cache(tiny, tmp_path, name):
    check(name)
    check(name)
    assert tiny.requests == [f"/a/{path(name)}"]
    folder = downloads.ARCHIVES[name].folder
    assert {file: (tmp_path / "cache" / file).read_bytes() for file in tree(tmp_path / "cache")} == {
        f"{folder}/{file}": body for file, body in tiny.raw[name].items()
    }


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("answer", [*BAD_ANSWERS, "one byte"])
def test_a_bad_archive_leaves_nothing_and_a_later_one_works(tiny, tmp_path, monkeypatch, name, answer):
    monkeypatch.setattr(downloads, "DOWNLOAD_TIMEOUT", 0.3)
    good = tiny.files[f"/a/{path(name)}"]
    flipped = good[:-100] + bytes([good[-100] ^ 1]) + good[-99:]
    serve(tiny, name, flipped if answer == "one byte" else BAD_ANSWERS[answer])
    archive = downloads.ARCHIVES[name].file
    message = fails(f"^cannot download {archive} of {name!r}.*check the network", name)
    tiny.stop.set()
    instead = "'glyphs'" if name in ("cifar10", "stl10") else "'neon-digits'"
    assert instead in message and f"put {archive} into {tmp_path / 'cache'} by hand" in message
    assert f"/a/{path(name)}: " in message and f"/b/{path(name)}: " in message
    assert answer not in ("silent", "stuck") or message.count("timed out") == 2
    assert tree(tmp_path) == set() and not list(tmp_path.rglob(".download-*/"))
    tiny.files[f"/b/{path(name)}"] = good  # the second mirror is enough
    check(name)


def test_a_slow_mirror_is_waited_for(tiny, monkeypatch):
    monkeypatch.setattr(downloads, "DOWNLOAD_TIMEOUT", 0.3)
    serve(tiny, "facades", slow)
    check("facades")
    assert len(tiny.requests) == 1


def test_no_network_for_an_archive(tiny):
    tiny.shutdown()
    tiny.server_close()
    for name in FILES:
        fails("^cannot download .*refused.*check the network", name)


def repack(tiny, name: str, files: dict[str, bytes], monkeypatch) -> None:
    """Let the mirrors serve, and the package expect, an archive of these files: only its content can be wrong."""
    body = packed(name, files)
    serve(tiny, name, body)
    known = downloads.ARCHIVES[name]
    changed = dataclasses.replace(known, size=len(body), known_hash=known.known_hash and sha256(body))
    monkeypatch.setitem(downloads.ARCHIVES, name, changed)


CONTENTS = {
    "one image is missing": ("facades", {"train/3.jpg": None}, "in it, facades/train holds 10 images .*expected 11"),
    "one image too many": ("facades", {"test/3.jpg": b""}, "in it, facades/test holds 3 images .*expected 2"),
    "an image of another size": ("facades", {"val/1.jpg": jpeg((0, 0, 0))}, "val/1.jpg is 16x16, expected 32x16"),
    "no image": ("facades", {"val/1.jpg": b"text"}, "cannot identify image file"),
    "outside, in a tar": ("facades", {"../../evil": b"evil"}, "outside"),
    "outside, in a zip": ("horse2zebra", {"../../evil": b"evil"}, "it holds '.*evil', which would land outside"),
    "one domain is missing": (
        "horse2zebra",
        {f"testB/n02_{i}.jpg": None for i in range(2)},
        "testB holds 0 images .*expected 2",
    ),
    "another batch": ("cifar10", {"data_batch_3": b"another"}, "in it, .*data_batch_3 has md5 [0-9a-f]{32}, expected"),
    "no labels": ("stl10", {"train_y.bin": None}, "in it, stl10_binary/train_y.bin is missing"),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_an_archive_with_another_content(tiny, tmp_path, monkeypatch, what):
    name, changes, message = CONTENTS[what]
    files = {file: body for file, body in (tiny.raw[name] | changes).items() if body is not None}
    repack(tiny, name, files, monkeypatch)
    fails(f"^cannot download .*{message}", name)
    assert tree(tmp_path) == set() and not list(tmp_path.parent.rglob("evil"))
    repack(tiny, name, tiny.raw[name], monkeypatch)
    check(name)


def test_another_archive_of_the_same_size_is_told_by_its_checksum(tiny, tmp_path):
    files = dict(tiny.raw["horse2zebra"])
    file = "trainA/n02_1.jpg"
    files[file] = files["trainA/n02_0.jpg"].ljust(len(files[file]), b"\0")[: len(files[file])]
    other = packed("horse2zebra", files)
    good = serve(tiny, "horse2zebra", other)
    assert len(other) == len(good)
    fails("/a/.*: has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}.*; .*/b/.*: has sha256", "horse2zebra")
    assert tree(tmp_path) == set()


def test_a_link_in_a_tar_that_leads_outside_is_refused(tmp_path):
    with tarfile.open(tmp_path / "links.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("folder/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../secret"
        archive.addfile(link)
    with pytest.raises(tarfile.FilterError):
        downloads.unpack(tmp_path / "links.tar.gz", tmp_path / "out")


@pytest.mark.parametrize("unsafe", ["/evil", "../evil", "a/../../evil", "..\\evil", "C:evil", "\\evil"])
def test_a_zip_that_would_write_elsewhere_is_refused_before_anything_is_written(tmp_path, unsafe):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good", b"")
        archive.writestr(unsafe, b"")
    with pytest.raises(DataError, match="which would land outside"):
        downloads.unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", ["cache", "root"])
def test_an_archive_laid_there_by_hand_is_unpacked_into_the_cache(tiny, tmp_path, monkeypatch, name, where):
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    archive = downloads.ARCHIVES[name].file
    write(tmp_path / where, {archive: tiny.files[f"/a/{path(name)}"]})
    check(name)
    assert tiny.requests == [] and tree(tmp_path / "root") == ({archive} if where == "root" else set())
    assert (tmp_path / "cache" / downloads.ARCHIVES[name].folder).is_dir()


def test_a_wrong_archive_laid_there_by_hand_is_named(tiny, tmp_path):
    write(tmp_path / "cache", {"horse2zebra.zip": b"something else"})
    serve(tiny, "horse2zebra", None)
    fails(f"{re.escape(str(tmp_path / 'cache' / 'horse2zebra.zip'))}: has 14 bytes, expected", "horse2zebra")


@pytest.mark.parametrize("name", FILES)
def test_folders_in_the_data_root_are_read_first_and_never_written(tiny, tmp_path, monkeypatch, name):
    root = tmp_path / "root"
    write(root / downloads.ARCHIVES[name].folder, tiny.raw[name])
    before = {f: (f.stat().st_mtime_ns, f.stat().st_size) for f in root.rglob("*")}
    monkeypatch.setenv("GAN_COURSE_DATA", str(root))
    check(name)
    assert tiny.requests == [] and not (tmp_path / "cache").exists()
    assert {f: (f.stat().st_mtime_ns, f.stat().st_size) for f in root.rglob("*")} == before


BROKEN = {
    "cifar10": ("data_batch_2", "data_batch_2 has md5 [0-9a-f]{32}, expected [0-9a-f]{32}: it is damaged"),
    "stl10": ("unlabeled_X.bin", "unlabeled_X.bin has md5"),
    "facades": ("train/5.jpg", "5.jpg cannot be read as an image"),
    "horse2zebra": ("trainB/n02_1.jpg", "n02_1.jpg cannot be read as an image"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", ["cache", "root"])
def test_a_damaged_or_missing_file_is_named_with_what_to_do(tiny, tmp_path, monkeypatch, name, where):
    if where == "root":
        monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    folder = write(tmp_path / where / downloads.ARCHIVES[name].folder, tiny.raw[name])
    file, message = BROKEN[name]
    (folder / file).write_bytes(b"damaged")
    remedy = f"delete {folder} and run again" if where == "cache" else "unset GAN_COURSE_DATA"
    images = name in translation.SETS
    fails(f"{message}.*{'replace it or remove it' if images else re.escape(remedy)}", name)
    (folder / file).unlink()
    missing = r"holds \d+ images .*it is not complete" if images else f"{file} is missing"
    fails(f"{missing}; .*{re.escape(remedy)}", name)
    assert tiny.requests == []


def test_a_pickle_that_is_not_cifars_is_never_opened(tiny, tmp_path):
    class Payload:
        def __reduce__(self):
            return exec, ("raise SystemExit('code from a file was run')",)

    for file in ("data_batch_1", "batches.meta"):
        folder = write(tmp_path / "cache" / "cifar-10-batches-py", tiny.raw["cifar10"])
        (folder / file).write_bytes(pickle.dumps(Payload()))
        fails(f"{file} has md5", "cifar10")


def test_original_cifar10_comes_before_jpegs_and_jpegs_before_a_download(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "JPEG_SIZES", {"train": 2, "test": 2})
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    files = {
        f"{split}/{name}/0000{i}.jpg": jpeg((9, 9, 9), side=32) for split in data.SPLITS for i, name in enumerate("ab")
    }
    write(tmp_path / "root" / "cifar10-jpeg", files)
    assert data.load("cifar10").name == "cifar10-jpeg" and tiny.requests == []
    write(tmp_path / "cache", {"cifar-10-python.tar.gz": tiny.files[f"/a/{path('cifar10')}"]})
    check("cifar10")  # unpacked from the archive laid there
    assert len(data.load("cifar10-jpeg")) == 2 and tiny.requests == []


def test_arguments_of_archives(tiny):
    ds = data.load("cifar10", limit=4, size=16, channels=1)
    assert ds.x.shape == (4, 1, 16, 16) and ds.labels.tolist() == [0, 1, 2, 3]
    theirs = np.asarray(Image.fromarray(CIFAR[0].transpose(1, 2, 0)).convert("L"))
    assert np.array_equal(data.load("cifar10", channels=1).x[0, 0].numpy(), theirs)
    assert data.load("stl10", split="unlabeled", limit=2, size=32).x.shape == (2, 3, 32, 32)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_file_comes_as_it_is_from_a_server_that_calls_it_encoded(tiny, name):
    wanted = first_file(name)
    tiny.good = tiny.files[f"/a/{wanted}"]
    tiny.files[f"/a/{wanted}"] = encoded
    assert len(load(name)) == {"mnist": 12, "cifar10": 10}[name]
    assert f"/b/{wanted}" not in tiny.requests


@pytest.mark.parametrize("name", ["mnist", "facades"])
@pytest.mark.parametrize("full", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_at_once(tiny, tmp_path, monkeypatch, full, name):
    def unpack(archive, folder):
        raise OSError(full, os.strerror(full))

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "unpack", unpack)
        fails(f"^cannot write {name!r} to .*{os.strerror(full)}.*with room", name)
    assert len(tiny.requests) == 1 and tree(tmp_path) == set()
    assert len(load(name)) == LENGTHS[name]


# --- one file -------------------------------------------------------------------------------------

WEIGHTS = b"weights of a network"


@pytest.fixture
def weights(mirror, tmp_path, monkeypatch) -> downloads.Download:
    """A file behind two local mirrors."""
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GAN_COURSE_DATA", str(write(tmp_path / "root", {"other": b""})))
    mirror.files |= {f"/{side}/weights.pth": WEIGHTS for side in "ab"}
    return downloads.Download(
        mirrors=[f"{mirror.url}/{side}/weights.pth" for side in "ab"],
        size=len(WEIGHTS),
        known_hash=sha256(WEIGHTS),
        instead="train it yourself",
    )


def test_a_file_is_downloaded_once_and_verified_wherever_it_is(mirror, tmp_path, weights):
    cached, given = tmp_path / "cache" / "weights.pth", tmp_path / "root" / "weights.pth"
    assert downloads.fetch("net", weights) == cached and cached.read_bytes() == WEIGHTS
    assert downloads.fetch("net", weights) == cached and mirror.requests == ["/a/weights.pth"]
    assert tree(tmp_path / "cache") == {"weights.pth"} and tree(tmp_path / "root") == {"other"}
    given.write_bytes(WEIGHTS)
    assert downloads.fetch("net", weights) == given
    for place in (given, cached):
        for body, message in ((b"half", "has 4 bytes, expected 20"), (WEIGHTS.upper(), "has sha256 .* expected .*")):
            place.write_bytes(body)
            with pytest.raises(DataError, match=f"^{place} {message}: .*; replace or remove it$"):
                downloads.fetch("net", weights)
        place.unlink()
    assert downloads.fetch("net", weights) == cached


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_a_file_that_cannot_be_downloaded(mirror, tmp_path, monkeypatch, weights, answer):
    monkeypatch.setattr(downloads, "DOWNLOAD_TIMEOUT", 0.3)
    mirror.good = WEIGHTS
    mirror.files = {f"/{side}/weights.pth": BAD_ANSWERS[answer] for side in "ab"}
    with pytest.raises(DataError, match="^cannot download weights.pth of 'net' .*check the network") as caught:
        downloads.fetch("net", weights)
    mirror.stop.set()
    message = str(caught.value)
    for part in (
        *(f"{url}: " for url in weights.mirrors),
        f"put it (20 bytes, {weights.known_hash}) by hand at",
        f"{tmp_path / 'root' / 'weights.pth'} or {tmp_path / 'cache' / 'weights.pth'}, or train it yourself",
    ):
        assert part in message
    assert answer not in ("silent", "stuck") or message.count("timed out") == 2
    assert "\n" not in message and tree(tmp_path) == {"root/other"}
    mirror.files["/b/weights.pth"] = WEIGHTS  # the second mirror is enough
    assert downloads.fetch("net", weights).read_bytes() == WEIGHTS


# --- several processes ----------------------------------------------------------------------------

CHILD = """
import ast, sys
from torchvision import datasets
from gan_course import data
from gan_course.data import downloads, translation
downloads.DOWNLOAD_TIMEOUT = 300  # on a busy machine the other process may take a minute to start
name, attributes, sizes, archives = sys.argv[1], *map(ast.literal_eval, sys.argv[2:])
for (published, attribute), value in attributes.items():
    setattr(getattr(datasets, published), attribute, value)
downloads.IDX["mnist"] = downloads.Idx("MNIST", downloads.IDX["mnist"].classes, [], sizes)
downloads.ARCHIVES.update({name: downloads.Archive(**fields) for name, fields in archives.items()})
print(len(data.load_domains(name) if name in translation.SETS else data.load(name)))
"""
TOLD = {"MNIST": ("mirrors", "resources"), "CIFAR10": ("train_list", "test_list", "meta")}
LENGTHS = {"mnist": 12, "facades": 6}  # of the eleven pairs of facades, every second photo


def load_in_another_process(name: str, errors: Path) -> subprocess.Popen:
    attributes = {(c, a): getattr(getattr(datasets, c), a) for c, names in TOLD.items() for a in names}
    archives = {n: dataclasses.asdict(archive) for n, archive in downloads.ARCHIVES.items()}
    with errors.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, name, *map(repr, (attributes, COUNTS, archives))],
            cwd=Path(data.__file__).resolve().parents[2],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )


def first_file(name: str) -> str:
    return f"mnist/{IMAGE_FILE}.gz" if name == "mnist" else path(name)


def until(condition, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["mnist", "facades"])
def test_two_processes_at_once_download_once(tiny, tmp_path, name):
    """The mirror answers only when one process has said that it waits for the other."""
    wanted = f"/a/{first_file(name)}"
    body, go_on = tiny.files[wanted], threading.Event()

    def late(request):
        go_on.wait(300)
        request.begin(body)
        request.wfile.write(body)

    tiny.files[wanted] = late
    errors = [tmp_path / "first", tmp_path / "second"]
    processes = [load_in_another_process(name, file) for file in errors]
    until(lambda: any(f"waiting for another process that fetches {name!r}" in file.read_text() for file in errors))
    go_on.set()
    assert [process.communicate(timeout=300)[0] for process in processes] == [f"{LENGTHS[name]}\n"] * 2
    assert set(Counter(tiny.requests).values()) == {1}
    assert len(load(name)) == LENGTHS[name]


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_download_that_is_killed_is_cleaned_up_and_repeated(tiny, tmp_path, name):
    wanted = f"/a/{first_file(name)}"
    tiny.good, cache = tiny.files[wanted], tmp_path / "cache"
    tiny.files[wanted] = stuck
    process = load_in_another_process(name, tmp_path / "errors")
    until(lambda: any(f.is_file() for f in cache.rglob(f".download-{name}-*/**/*")))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    tiny.stop.set()
    assert all(".download-" in file for file in tree(cache)) and tree(cache)  # left behind, under no name that counts
    tiny.files[wanted] = tiny.good
    if name == "mnist":
        assert len(data.load(name)) == 12
    else:
        check(name)
    assert not [file for file in tree(cache) if ".download-" in file] and not list(cache.rglob(".download-*/"))


# --- what is published ----------------------------------------------------------------------------


def test_published_archives_fit_torchvision():
    for name, source in downloads.ARCHIVES.items():
        assert all(mirror.endswith(f"/{source.file}") for mirror in source.mirrors) and len(source.mirrors) > 1
        assert source.known_hash is None or re.fullmatch("sha256:[0-9a-f]{64}", source.known_hash)
        assert source.known_hash or (source.images and source.image_size and source.mirrors[0].startswith("https://"))
        if source.published:
            published = getattr(datasets, source.published)
            assert (source.file, source.folder) == (published.filename, published.base_folder)
            assert published.url in source.mirrors and not source.images
        else:
            assert name in translation.SETS and (source.folder, source.images) == (name, dict(source.images))


@pytest.mark.parametrize("name", [pytest.param(x, marks=pytest.mark.data(downloads.ARCHIVES[x].folder)) for x in FILES])
def test_real_sets_of_the_data_root_are_whole(name):
    assert downloads.fault(name, Path(os.environ["GAN_COURSE_DATA"], downloads.ARCHIVES[name].folder)) is None


# --- what is made once and kept -------------------------------------------------------------------


def test_what_is_kept_is_made_again_when_the_key_the_shape_or_a_byte_differs(tmp_path):
    made = []

    def make() -> torch.Tensor:
        made.append(1)
        return torch.arange(12, dtype=torch.uint8).view(4, 3).T  # not contiguous

    def kept(key: bytes = b"k" * 32, shape=(3, 4), file=tmp_path / "deep" / "x.bin") -> torch.Tensor:
        return downloads.kept(file, key, shape, make)

    assert torch.equal(kept(), make()) and torch.equal(kept(), make()) and len(made) == 3
    kept(key=b"l" * 32)
    assert len(made) == 4
    kept()
    assert len(made) == 5
    file = tmp_path / "deep" / "x.bin"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    assert torch.equal(kept(), make()) and len(made) == 7
    file.write_bytes(file.read_bytes()[:-1])
    assert torch.equal(kept(), make()) and len(made) == 9
    assert [f.name for f in file.parent.iterdir()] == ["x.bin"]
    assert torch.equal(kept(file=file / "below a file"), make())  # which cannot be written
