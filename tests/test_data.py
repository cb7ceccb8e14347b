"""Data sets: what is loaded, what is refused, and what a failed download leaves behind."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets

from gan_course import data
from gan_course.data import DataSet, order
from gan_course.errors import DataError

# --- DataSet ---------------------------------------------------------------------------------


def test_batch_maps_bytes_to_signed_floats():
    x = torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1)
    ds = DataSet(x, name="bytes")
    got = ds.batch(torch.arange(256)).flatten()
    assert got.dtype == torch.float32 and got[0] == -1 and got[255] == 1
    np.testing.assert_allclose(got, (np.arange(256) - 127.5) / 127.5, atol=1e-6)
    assert torch.equal((got.add(1).mul(127.5)).round().to(torch.uint8), x.flatten())
    assert torch.equal(ds.batch(torch.tensor([7, 7, 3])).flatten(), got[[7, 7, 3]])


def test_points_stay_as_they_are_and_batches_are_copies():
    points = torch.randn(10, 2)
    ds = DataSet(points.clone(), name="points")
    ds.batch(torch.arange(10)).zero_()
    ds.images().zero_()
    assert torch.equal(ds.images(3), points[:3])
    assert torch.equal(ds.batch(torch.tensor([4, 1])), points[[4, 1]])
    assert ds.shape == (2,) and len(ds) == 10


@pytest.mark.parametrize("indices", [[0, 10], [-1, 0]])
def test_batch_refuses_indices_out_of_range(indices):
    with pytest.raises(ValueError, match="^indices: .*expected 0 to 9$"):
        DataSet(torch.zeros(10, 2), name="points").batch(torch.tensor(indices))


IMAGES = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("x", "labels", "classes", "message"),
    [
        (IMAGES[:0], None, None, "x: got an empty set"),
        (IMAGES.double(), None, None, "x: got torch.float64"),
        (IMAGES.numpy(), None, None, "x: got uint8"),
        (IMAGES[:, 0], None, None, "x: got uint8 of shape"),
        (IMAGES.expand(4, 2, 2, 2), None, None, "x: got uint8 of shape"),
        (torch.zeros(4), None, None, "x: got shape"),
        (torch.tensor([[1.0], [2.0], [float("nan")]]), None, None, "x: item 2 holds NaN"),
        (torch.tensor([[1.0], [-float("inf")]]), None, None, "x: item 1 holds NaN or infinity"),
        (IMAGES, torch.zeros(3, dtype=torch.long), None, "labels: got shape"),
        (IMAGES, torch.zeros(4, 1, 1, dtype=torch.long), None, "labels: got shape"),
        (IMAGES, torch.zeros(4), None, "labels: got torch.float32"),
        (IMAGES, [0, 0, 0, 0], None, "labels: got list"),
        (IMAGES, torch.tensor([0, 1, -1, 0]), None, "labels: got values from -1 to 1"),
        (IMAGES, torch.tensor([0, 1, 2, 0]), ["a", "b"], "labels: got values from 0 to 2, expected 0 to 1"),
    ],
)
def test_dataset_refuses(x, labels, classes, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)) as caught:
        DataSet(x, labels, name="bad", classes=classes)
    assert "\n" not in str(caught.value)


def test_to_moves_everything():
    ds = DataSet(IMAGES, torch.tensor([0, 1, 0, 1]), name="four", classes=["a", "b"])
    moved = ds.to(torch.device("cpu"))
    assert moved is not ds and torch.equal(moved.x, ds.x) and moved.classes == ["a", "b"]
    assert moved.labels.dtype == torch.int64 and moved.name == "four"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_the_gpu_batches_equal_those_on_the_cpu():
    cpu, gpu = data.load("digits"), data.load("digits", device="cuda")
    rows = order(len(cpu), 0, 0, 64)
    assert gpu.batch(rows).device.type == "cuda" and gpu.labels.device.type == "cuda"
    assert torch.equal(gpu.batch(rows).cpu(), cpu.batch(rows))
    assert torch.equal(gpu.batch(rows.cuda()).cpu(), cpu.batch(rows))
    assert torch.equal(gpu.labels[rows.cuda()].cpu(), cpu.labels[rows])


# --- order -----------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 40),
    seed=st.integers(-(2**63), 2**64),
    start=st.integers(0, 200),
    count=st.integers(0, 200),
)
def test_order_any_window_is_the_slice_of_whole_epochs(n, seed, start, count):
    epochs = [order(n, seed, e * n, n) for e in range((start + count) // n + 1)]
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, torch.arange(n))
    window = order(n, seed, start, count)
    assert window.dtype == torch.int64 and window.shape == (count,)
    assert torch.equal(window, torch.cat(epochs)[start : start + count])


def test_order_differs_by_seed_and_by_epoch():
    rows = {tuple(order(50, seed, epoch * 50, 50).tolist()) for seed in range(20) for epoch in range(20)}
    assert len(rows) == 400
    # the high half of a seed counts too, though torch's generator would drop it
    assert not torch.equal(order(50, 1, 0, 50), order(50, 1 + 2**32, 0, 50))


def test_order_is_uniform_over_permutations():
    counts = np.zeros(6)
    index = {(0, 1, 2): 0, (0, 2, 1): 1, (1, 0, 2): 2, (1, 2, 0): 3, (2, 0, 1): 4, (2, 1, 0): 5}
    for triple in order(3, 0, 0, 3 * 6000).view(-1, 3).tolist():
        counts[index[tuple(triple)]] += 1
    assert ((counts - 1000) ** 2 / 1000).sum() < 25.7  # chi-squared with 5 degrees of freedom, p = 1e-4


def test_order_cannot_be_spoilt_by_the_caller_and_leaves_the_global_generator():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = order(10, 0, 0, 10)
    kept = first.clone()
    first.zero_()
    assert torch.equal(order(10, 0, 0, 10), kept)
    assert torch.equal(torch.get_rng_state(), state)


def test_order_far_along_needs_no_walk_from_the_start():
    far = order(1000, 5, 10**12, 1000)
    assert torch.equal(far.sort().values, torch.arange(1000))


@pytest.mark.parametrize(("name", "args"), [("n", (0, 0, 0, 1)), ("start", (5, 0, -1, 1)), ("count", (5, 0, 0, -1))])
def test_order_refuses(name, args):
    with pytest.raises(ValueError, match=f"^{name}: got"):
        order(*args)


# --- digits and the arguments of load --------------------------------------------------------


def test_digits_are_scikit_learns_and_its_splits_are_apart():
    train, test = data.load("digits"), data.load("digits", split="test")
    assert (len(train), len(test)) == (1297, 500) and train.shape == (1, 8, 8)
    assert train.x.min() == 0 and train.x.max() == 255
    ours = torch.cat([train.x, test.x]).flatten(1).double().mul(16 / 255).round().numpy()
    labels = torch.cat([train.labels, test.labels]).numpy()
    theirs, targets = load_digits(return_X_y=True)
    key = lambda x, y: sorted(map(tuple, np.column_stack([x, y]).astype(int).tolist()))  # noqa: E731
    assert key(ours, labels) == key(theirs, targets)
    # the first items of the fixed permutation, so that the split itself cannot move unseen
    rows = np.random.RandomState(0).permutation(1797)
    assert test.labels[:5].tolist() == targets[rows[:5]].tolist()
    assert train.labels[:5].tolist() == targets[rows[500:505]].tolist()
    assert train.labels.bincount().min() > 110


def test_size_channels_limit():
    ds = data.load("digits", size=16, channels=3, limit=7)
    assert ds.x.shape == (7, 3, 16, 16) and len(ds.labels) == 7
    assert torch.equal(ds.x[:, 0], ds.x[:, 1]) and torch.equal(ds.x[:, 0], ds.x[:, 2])
    assert torch.equal(ds.labels, data.load("digits").labels[:7])
    native = data.load("digits", limit=7)
    want = F.interpolate(native.x.double(), size=(16, 16), mode="bilinear", antialias=True)
    assert (ds.x[:, :1].double() - want).abs().max() <= 0.51
    assert torch.equal(data.load("digits", size=8, limit=7).x, native.x)
    assert len(data.load("digits", limit=10**6)) == 1297


def test_shrinking_is_antialiased_and_does_not_depend_on_chunks():
    stripes = torch.zeros(1001, 1, 32, 32, dtype=torch.uint8)
    stripes[:, :, :, ::4] = 255
    small = data._resize(stripes, 8)  # the mean is 64; without antialiasing no sample would meet a stripe
    assert small.min() > 40 and small.max() < 80  # the edges see half a filter
    assert (small == small[:1]).all()


@settings(max_examples=30, deadline=None)
@given(value=st.integers(0, 255), height=st.integers(1, 20), width=st.integers(1, 20), size=st.integers(1, 24))
def test_resizing_keeps_a_constant_image(value, height, width, size):
    out = data._resize(torch.full((2, 3, height, width), value, dtype=torch.uint8), size)
    assert out.shape == (2, 3, size, size) and (out == value).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size": 0}, "size: got 0"),
        ({"size": -8}, "size: got -8"),
        ({"size": 8.0}, "size: got 8.0"),
        ({"size": True}, "size: got True"),
        ({"limit": 0}, "limit: got 0"),
        ({"channels": 2}, "channels: got 2"),
        ({"split": "tset"}, "unknown split 'tset'.*'test'"),
    ],
)
def test_load_refuses_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        data.load("digits", **kwargs)


def test_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match="unknown data set 'mnits'.*Did you mean 'mnist'"):
        data.load("mnits")


# --- folders ---------------------------------------------------------------------------------


def save(path: Path, color, size=(6, 6), mode="RGB", **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path, **options)


def test_folder_with_classes(tmp_path):
    save(tmp_path / "cat" / "a.png", (255, 0, 0))
    save(tmp_path / "cat" / "deeper" / "b.jpg", (255, 0, 0), quality=100)
    save(tmp_path / "dog" / "c.BMP", (0, 0, 255))
    save(tmp_path / "dog" / "d.webp", (0, 0, 255), lossless=True)
    save(tmp_path / "dog" / ".hidden.png", (9, 9, 9))
    (tmp_path / "README.txt").write_text("not an image")
    ds = data.load(tmp_path)
    assert ds.x.shape == (4, 3, 6, 6) and ds.classes == ["cat", "dog"] and ds.labels.tolist() == [0, 0, 1, 1]
    assert ds.x[0, :, 0, 0].tolist() == [255, 0, 0] and ds.x[3, :, 5, 5].tolist() == [0, 0, 255]
    assert (ds.x[1].int() - ds.x[0].int()).abs().max() <= 3  # JPEG
    assert torch.equal(data.load(tmp_path, limit=3).labels, torch.tensor([0, 0, 1]))


def test_folder_flat_or_of_one_class_has_no_labels(tmp_path):
    save(tmp_path / "flat" / "a.png", 7, mode="L")
    save(tmp_path / "one" / "all" / "a.png", 7, mode="L")
    for name in ("flat", "one"):
        ds = data.load(str(tmp_path / name))
        assert ds.labels is None and ds.classes is None and ds.shape == (1, 6, 6) and (ds.x == 7).all()


def test_folder_channels(tmp_path):
    save(tmp_path / "a.png", 200, mode="L")
    assert data.load(tmp_path).shape == (1, 6, 6)
    assert data.load(tmp_path, channels=3).x[0, :, 0, 0].tolist() == [200, 200, 200]
    save(tmp_path / "b.png", (10, 20, 30))
    assert data.load(tmp_path).x[:, :, 0, 0].tolist() == [[200, 200, 200], [10, 20, 30]]
    assert data.load(tmp_path, channels=1).x[1, 0, 0, 0] == 18  # .299 * 10 + .587 * 20 + .114 * 30 = 18.15


def test_folder_unusual_modes(tmp_path):
    Image.fromarray(np.full((6, 6), 65535 // 2, np.uint16)).save(tmp_path / "a16.png")
    save(tmp_path / "bit.png", 1, mode="1")
    assert data.load(tmp_path).x[:, 0, 0, 0].tolist() == [127, 255]
    save(tmp_path / "clear.png", (0, 0, 0, 0), mode="RGBA")
    save(tmp_path / "cmyk.jpg", (0, 0, 0, 0), mode="CMYK", quality=100)
    save(tmp_path / "half.png", (0, 0, 0, 128), mode="RGBA")
    save(tmp_path / "palette.gif", 0, mode="P")
    got = dict(zip(["a16", "bit", "clear", "cmyk", "half"], data.load(tmp_path).x[:, 0, 0, 0].tolist(), strict=False))
    assert got["clear"] == 255 and got["cmyk"] >= 250 and abs(got["half"] - 127) <= 1


def test_folder_respects_exif_orientation(tmp_path):
    image = Image.new("L", (8, 4), 0)
    image.paste(255, (0, 0, 4, 4))  # left half white; orientation 6 shows it turned clockwise: top half white
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", quality=100, exif=exif)
    x = data.load(tmp_path).x[0, 0]
    assert x.shape == (8, 4) and x[:3].min() > 200 and x[5:].max() < 50


def test_folder_size_cuts_the_middle_square(tmp_path):
    image = Image.new("L", (30, 10), 0)
    image.paste(255, (10, 0, 20, 10))
    image.save(tmp_path / "a.png")
    assert data.load(tmp_path).shape == (1, 10, 30)
    assert (data.load(tmp_path, size=5).x == 255).all()


def test_folder_splits_share_their_classes(tmp_path):
    for name in ("train/ant", "train/bee", "test/bee", "test/cow"):
        save(tmp_path / name / "a.png", 1, mode="L")
    assert data.load(tmp_path).labels.tolist() == [0, 1]
    test = data.load(tmp_path, split="test")
    assert test.labels.tolist() == [1, 2] and test.classes == ["ant", "bee", "cow"]


def test_folder_that_is_named_like_nothing_known(tmp_path, monkeypatch):
    save(tmp_path / "faces" / "a.png", 1, mode="L")
    monkeypatch.chdir(tmp_path)
    assert len(data.load("faces")) == len(data.load("./faces")) == len(data.load("faces/.")) == 1


def test_folder_errors(tmp_path):
    def fails(message, name=tmp_path, **kwargs):
        with pytest.raises(DataError, match=message) as caught:
            data.load(name, **kwargs)
        assert "\n" not in str(caught.value)

    fails("holds no images, expected files that end in .*png")
    fails("nowhere does not exist", tmp_path / "nowhere")
    save(tmp_path / "a.png", 1, mode="L")
    fails("a.png is a file, expected a folder", tmp_path / "a.png")
    fails("has no subfolder test/", split="test")
    save(tmp_path / "b.png", 1, mode="L", size=(5, 6))
    fails(r"b.png is 5x6 but .*a.png is 6x6; give a size")
    assert data.load(tmp_path, size=4).x.shape == (2, 1, 4, 4)
    (tmp_path / "c.jpg").write_bytes(b"this is text")
    fails("c.jpg cannot be read as an image .*remove it", size=4)
    assert len(data.load(tmp_path, size=4, limit=2)) == 2
    (tmp_path / "c.jpg").unlink()
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "d.png")
    whole = (tmp_path / "d.png").read_bytes()
    (tmp_path / "d.png").write_bytes(whole[: len(whole) // 2])
    fails("d.png cannot be read as an image .*remove it", size=4)
    (tmp_path / "d.png").unlink()
    Image.fromarray(np.zeros((6, 6), np.float32)).save(tmp_path / "d.tif")
    fails("d.tif cannot be read as an image .*floating-point", size=4)


# --- MNIST and Fashion-MNIST: tiny files under the real names, served on this machine -----------

COUNTS = {"train": 12, "test": 5}


def idx_files(seed: int) -> dict[str, bytes]:
    rng = np.random.RandomState(seed)
    files = {}
    for split, n in COUNTS.items():
        images, labels = data.IDX["mnist"].files(split)
        pixels = rng.randint(0, 256, (n, 28, 28), np.uint8)
        files[images] = np.array([0x803, n, 28, 28], ">i4").tobytes() + pixels.tobytes()
        files[labels] = np.array([0x801, n], ">i4").tobytes() + (np.arange(n) % 10).astype(np.uint8).tobytes()
    return files


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves ``server.files``: bytes, or a function that answers the request itself."""

    def do_GET(self):
        self.server.requests.append(self.path)
        body = self.server.files.get(self.path)
        if callable(body):
            body(self)
        elif body is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Tiny MNIST and Fashion-MNIST behind two local mirrors each, with their true sizes and checksums."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.files, server.requests, server.raw = {}, [], {}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    for seed, (name, source) in enumerate(data.IDX.items()):
        raw = server.raw[name] = idx_files(seed)
        archives = {f"{file}.gz": gzip.compress(body, mtime=0) for file, body in raw.items()}
        for mirror in "ab":
            server.files |= {f"/{mirror}/{name}/{file}": body for file, body in archives.items()}
        published = getattr(datasets, source.folder)
        monkeypatch.setattr(published, "mirrors", [f"{url}/a/{name}/"])
        md5 = [(file, hashlib.md5(body).hexdigest()) for file, body in archives.items()]
        monkeypatch.setattr(published, "resources", md5)
        sha256 = {file: hashlib.sha256(body).hexdigest() for file, body in raw.items()}
        small = data.Idx(source.folder, source.classes, [f"{url}/b/{name}/"], COUNTS, sha256 if seed == 0 else {})
        monkeypatch.setitem(data.IDX, name, small)
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GAN_COURSE_DATA", raising=False)
    yield server
    server.shutdown()
    server.server_close()


IMAGE_FILE = "train-images-idx3-ubyte"


def tree(folder: Path) -> set[str]:
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}


def fails(message: str, name: str = "mnist", **kwargs) -> str:
    with pytest.raises(DataError, match=message) as caught:
        data.load(name, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_raw(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, body in files.items():
        (folder / file).write_bytes(body)
    return folder


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_download_then_read_from_the_cache(tiny, tmp_path, name):
    folder = data.IDX[name].folder
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


def truncated(request):  # promises more than it sends, as a connection that breaks does
    body = gzip.compress(request.server.raw["mnist"][IMAGE_FILE], mtime=0)
    request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body[: len(body) // 2])
    request.close_connection = True


def hangs_up(request):
    request.connection.shutdown(socket.SHUT_RDWR)


def silent(request):
    request.server.stop.wait(10)


BAD_ANSWERS = {
    "truncated": truncated,
    "hangs up": hangs_up,
    "missing": None,
    "wrong": gzip.compress(b"another file", mtime=0),
    "html": b"<html>Log in to the wireless network</html>",
    "empty": b"",
    "silent": silent,
}


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_bad_download_leaves_nothing_and_a_later_one_works(tiny, tmp_path, monkeypatch, answer):
    monkeypatch.setattr(data, "DOWNLOAD_TIMEOUT", 0.3)
    tiny.stop = threading.Event()
    good = tiny.files[f"/a/mnist/{IMAGE_FILE}.gz"]
    for mirror in "ab":
        tiny.files[f"/{mirror}/mnist/{IMAGE_FILE}.gz"] = BAD_ANSWERS[answer]
    message = fails(f"^cannot download {IMAGE_FILE}.gz of 'mnist'")
    tiny.stop.set()
    assert str(tmp_path / "cache" / "MNIST" / "raw") in message and "'digits'" in message
    assert "/a/mnist/" in message and "/b/mnist/" in message
    assert answer != "silent" or message.count("timed out") == 2
    assert tree(tmp_path) == set() and not list((tmp_path / "cache" / "MNIST" / "raw").iterdir())
    assert socket.getdefaulttimeout() is None
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
    assert tree(tmp_path) == set()


def test_archives_put_into_the_cache_by_hand(tiny, tmp_path):
    raw = tmp_path / "cache" / "MNIST" / "raw"
    write_raw(raw, {f"{file}.gz": gzip.compress(body, mtime=0) for file, body in tiny.raw["mnist"].items()})
    tiny.files.clear()
    assert len(data.load("mnist")) == 12 and tiny.requests == []
    (raw / IMAGE_FILE).unlink()
    (raw / f"{IMAGE_FILE}.gz").write_bytes(b"something else")
    fails(f"{IMAGE_FILE}.gz has md5 [0-9a-f]{{32}}, expected")


DOWNLOAD = """
import ast, sys
from torchvision import datasets
from gan_course import data
mirrors, resources, sizes = ast.literal_eval(sys.argv[1])
datasets.MNIST.mirrors, datasets.MNIST.resources = mirrors, resources
data.IDX["mnist"] = data.Idx("MNIST", data.IDX["mnist"].classes, [], sizes)
print(len(data.load("mnist")))
"""


def download_in_another_process() -> subprocess.Popen:
    told = repr((datasets.MNIST.mirrors, datasets.MNIST.resources, COUNTS))
    return subprocess.Popen(
        [sys.executable, "-c", DOWNLOAD, told],
        cwd=Path(data.__file__).resolve().parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_two_processes_that_download_at_once(tiny, tmp_path):
    """The mirror answers when both have asked, so that both write the same file at the same time."""
    barrier, body = threading.Barrier(2), tiny.files[f"/a/mnist/{IMAGE_FILE}.gz"]

    def both(request):
        with suppress(threading.BrokenBarrierError):
            barrier.wait(30)
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    tiny.files[f"/a/mnist/{IMAGE_FILE}.gz"] = both
    processes = [download_in_another_process() for _ in range(2)]
    assert [p.communicate(timeout=60)[0] for p in processes] == ["12\n", "12\n"]
    assert not barrier.broken
    assert tree(tmp_path / "cache") == {f"MNIST/raw/{file}" for file in tiny.raw["mnist"]}
    assert len(data.load("mnist")) == 12  # whole, by sha256


def test_a_process_killed_in_the_middle_of_a_download(tiny, tmp_path):
    file = "t10k-images-idx3-ubyte"  # the third one: two are finished before it
    body, tiny.stop = tiny.files[f"/a/mnist/{file}.gz"], threading.Event()

    def half(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])
        request.server.stop.wait(60)

    tiny.files[f"/a/mnist/{file}.gz"] = half
    process = download_in_another_process()
    for _ in range(1200):
        if begun := list(tmp_path.rglob(f".download-*/{file}.gz")):
            break
        time.sleep(0.05)
    process.kill()
    process.communicate()
    tiny.stop.set()
    assert begun
    raw = tmp_path / "cache" / "MNIST" / "raw"
    assert (raw / IMAGE_FILE).exists() and not (raw / file).exists()
    tiny.files[f"/a/mnist/{file}.gz"] = body
    assert len(data.load("mnist")) == 12 and len(data.load("mnist", split="test")) == 5


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
    raw = write_raw(tmp_path / where / "MNIST" / "raw", tiny.raw["mnist"])
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
    raw = write_raw(tmp_path / "cache" / "FashionMNIST" / "raw", tiny.raw["fashion-mnist"])
    file = raw / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + b"\x0a")
    fails("t10k-labels-idx1-ubyte holds label 10, expected 0 to 9", "fashion-mnist", split="test")


def test_data_root_is_read_first_and_never_written(tiny, tmp_path, monkeypatch):
    root = tmp_path / "root"
    raw = write_raw(root / "MNIST" / "raw", tiny.raw["mnist"])
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
    raw = write_raw(tmp_path / "root" / "MNIST" / "raw", archives)
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    assert len(data.load("mnist")) == 12 and tiny.requests == []
    assert tree(raw) == set(archives)


def test_data_root_errors(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_COURSE_DATA", "some/where")
    fails("^GAN_COURSE_DATA: got 'some/where', expected an absolute path")
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "nowhere"))
    fails("^GAN_COURSE_DATA: .*nowhere is not a folder")
    raw = write_raw(tmp_path / "root" / "MNIST" / "raw", tiny.raw["mnist"])
    (raw / "t10k-labels-idx1-ubyte").unlink()
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    fails("t10k-labels-idx1-ubyte is missing.*unset GAN_COURSE_DATA")
    assert tiny.requests == []


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GAN_COURSE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if os.name == "posix":
        assert data.cache_root() == tmp_path / ".cache" / "gan-course"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data.cache_root() == tmp_path / "xdg" / "gan-course"
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "own"))
    assert data.cache_root() == tmp_path / "own"
    monkeypatch.setenv("GAN_COURSE_CACHE", "own")
    with pytest.raises(DataError, match="GAN_COURSE_CACHE: got 'own', expected an absolute path"):
        data.cache_root()


def test_published_names_and_mirrors_fit_torchvision():
    for source in data.IDX.values():
        published = getattr(datasets, source.folder)
        files = {f"{file}.gz" for split in data.SPLITS for file in source.files(split)}
        assert {file for file, _ in published.resources} == files
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in source.mirrors)


@pytest.mark.skipif(
    not (Path(os.environ.get("GAN_COURSE_DATA", "")) / "MNIST" / "raw").is_dir(),
    reason="no MNIST in GAN_COURSE_DATA",
)
def test_real_mnist_equals_torchvisions_reading():
    ds = data.load("mnist", split="test")
    published = datasets.MNIST(os.environ["GAN_COURSE_DATA"], train=False)
    assert torch.equal(ds.x[:, 0], published.data) and torch.equal(ds.labels, published.targets)
    assert len(data.load("mnist")) == 60_000


def test_checksum_of_domains_sees_each_side_and_whether_they_are_paired():
    a, b = (DataSet(torch.full((3, 1, 2, 2), value, dtype=torch.uint8), name="set") for value in (1, 2))
    sums = [data.Domains(x, y, paired=p, name="d").crc32() for x, y, p in [(a, b, True), (a, b, False), (b, a, True)]]
    assert len(set(sums)) == 3
    assert data.Domains(a, b, paired=True, name="other").crc32() == sums[0]
