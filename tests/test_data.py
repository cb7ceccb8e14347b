"""Data sets: what is loaded, in which order it is read, and what is refused. Downloads are in test_downloads.py."""

from __future__ import annotations

import os
import re
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

from gan_course import data
from gan_course.data import DataSet, catalogue, images, order
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


def test_taking_reads_in_order_and_keeps_nothing_of_the_callers():
    ds = DataSet(torch.arange(7.0)[:, None], torch.arange(7), name="numbers")
    rows = order(7, 3, 5, 20)
    items, labels = ds.take(3, 5, 20)
    assert torch.equal(items[:, 0], rows.float()) and torch.equal(labels, rows)
    assert torch.equal(order(7, 3, 5, 20, torch.device("cpu")), rows) and order(7, 3, 5, 0, "cpu").shape == (0,)
    assert order(7, 3, 5, 9, "meta").device.type == "meta"


@pytest.mark.gpu
def test_taking_on_the_gpu_gives_the_same_numbers_and_waits_for_nothing():
    cpu = DataSet(torch.randint(256, (500, 1, 4, 4), dtype=torch.uint8), torch.arange(500), name="noise")
    gpu = cpu.to("cuda")
    for start in (0, 40, 490, 1000):  # also across the end of an epoch
        (x, y), (theirs, numbers) = gpu.take(1, start, 20), cpu.take(1, start, 20)
        assert (
            x.device.type == y.device.type == "cuda" and torch.equal(x.cpu(), theirs) and torch.equal(y.cpu(), numbers)
        )
    torch.cuda.set_sync_debug_mode("error")  # a copy from ordinary memory waits
    try:
        for start in range(0, 480, 20):
            gpu.take(1, start, 20)
    finally:
        torch.cuda.set_sync_debug_mode("default")


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
    small = images.resize(stripes, 8)  # the mean is 64; without antialiasing no sample would meet a stripe
    assert small.min() > 40 and small.max() < 80  # the edges see half a filter
    assert (small == small[:1]).all()


@settings(max_examples=30, deadline=None)
@given(value=st.integers(0, 255), height=st.integers(1, 20), width=st.integers(1, 20), size=st.integers(1, 24))
def test_resizing_keeps_a_constant_image(value, height, width, size):
    out = images.resize(torch.full((2, 3, height, width), value, dtype=torch.uint8), size)
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


def test_folder_follows_links_but_not_in_circles(tmp_path):
    for i, name in enumerate(("ant", "bee", "cow")):
        save(tmp_path / "elsewhere" / name / "a.png", 60 * i + 20, mode="L")
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "cow" / "around").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "cow" / "itself").symlink_to("itself")
    (tmp_path / "set" / "broken.png").symlink_to(tmp_path / "nowhere")
    ds = data.load(tmp_path / "set")
    assert ds.classes == ["ant", "bee", "cow"]
    # cow/around holds ant, bee and cow again, and there the circle ends
    assert ds.labels.tolist() == [0, 1, 2, 2, 2] and ds.x[:, 0, 0, 0].tolist() == [20, 80, 140, 20, 80]


def tiff(path: Path, array: np.ndarray) -> None:
    """Write a grey TIFF of whole numbers as they are: uncompressed, one strip. (Pillow writes no signed 16 bits.)"""
    signed, bits = array.dtype.kind == "i", array.dtype.itemsize * 8
    height, width = array.shape
    entries = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1), (278, height)]
    entries += [(279, array.nbytes), (339, 2 if signed else 1)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", t, 4, 1, v) for t, v in entries)
    head = struct.pack("<2sHI", b"II", 42, 8 + array.nbytes)
    path.write_bytes(head + array.astype(array.dtype.newbyteorder("<")).tobytes() + directory + struct.pack("<I", 0))


@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        (np.int16, [-1024, 3071], "whole numbers from -1024 to 3071, not 0 to 65535"),
        (np.int32, [0, 10**9], "whole numbers from 0 to 1000000000, not 0 to 65535"),
        (np.int32, [-1, 65535], "whole numbers from -1 to 65535, not 0 to 65535"),
    ],
)
def test_greys_out_of_range_are_refused_not_clipped(tmp_path, dtype, values, message):
    tiff(tmp_path / "a.tif", np.array([values, values], dtype))
    with pytest.raises(DataError, match=f"a.tif cannot be read as an image .*{message}"):
        data.load(tmp_path)


def test_greys_of_16_bits_are_scaled_and_12_bits_are_warned_of(tmp_path):
    tiff(tmp_path / "signed.tif", np.array([[0, 257], [2570, 32767]], np.int16))
    tiff(tmp_path / "wide.tif", np.array([[0, 257], [2570, 65535]], np.int32))
    Image.fromarray(np.array([[0, 257], [2570, 65535]], np.uint16)).save(tmp_path / "x.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.load(tmp_path).x.flatten(1).tolist() == [[0, 1, 10, 127], [0, 1, 10, 255], [0, 1, 10, 255]]
    for name, brightest, seen in (("twelve", 4095, 15), ("eight", 255, 0), ("black", 0, 0)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((2, 2), brightest, np.uint16)).save(tmp_path / name / "a.png")
        with pytest.warns(UserWarning, match=f"{name}: no pixel is brighter than {seen} of 255 .*12 bits by 16"):
            data.load(tmp_path / name)


@pytest.mark.parametrize(
    ("tag", "kind", "count", "value"),
    [
        (0x0100, 2, 4, b"abc\0"),  # ImageWidth as text
        (0x010F, 5, 1, b"\x08\0\0\0"),  # Make as a rational
        (0x011A, 2, 4, b"abc\0"),  # XResolution as text
        (0x0101, 3, 1, b"\xff\xff\xff\xff"),
    ],
)
def test_odd_exif_values_do_not_keep_an_image_from_being_turned(tmp_path, tag, kind, count, value):
    image = Image.new("L", (8, 4), 0)
    image.paste(255, (0, 0, 4, 4))
    entries = sorted([(tag, kind, count, value), (0x0112, 3, 1, struct.pack("<HH", 6, 0))])
    packed = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", 0)
    image.save(tmp_path / "a.jpg", quality=100, exif=exif)
    x = data.load(tmp_path).x[0, 0]
    assert x.shape == (8, 4) and x[:3].min() > 200 and x[5:].max() < 50


@pytest.mark.parametrize("orientation", range(10))
def test_all_orientations_are_pillows(tmp_path, orientation):
    pixels = np.random.RandomState(0).randint(0, 255, (4, 6), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(data.load(tmp_path).x[0, 0], expected)


def test_broken_exif_is_passed_over_and_broken_files_are_named(tmp_path, monkeypatch):
    Image.new("L", (4, 4), 99).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert data.load(tmp_path).x.float().mean().round() == 99

    def broken(*args):
        raise struct.error("a fault of a kind that Pillow did not foresee")

    monkeypatch.setattr(Image.Image, "convert", broken)
    with pytest.raises(DataError, match="a.jpg cannot be read as an image .*did not foresee"):
        data.load(tmp_path, channels=3)


def test_classes_named_by_numbers_are_in_the_order_of_the_numbers(tmp_path):
    for i in range(12):
        save(tmp_path / str(i) / "a.png", 20 * i + 20, mode="L")
    ds = data.load(tmp_path)
    assert ds.classes == [str(i) for i in range(12)] and ds.labels.tolist() == list(range(12))
    assert ds.x[:, 0, 0, 0].tolist() == [20 * i + 20 for i in range(12)]


def test_both_splits_have_the_same_channels(tmp_path):
    save(tmp_path / "train" / "a.png", (10, 20, 30))
    save(tmp_path / "test" / "a.png", 200, mode="L")
    for split in data.SPLITS:
        assert data.load(tmp_path, split=split).shape == (3, 6, 6)
        assert data.load(tmp_path, split=split, channels=1).shape == (1, 6, 6)


@pytest.mark.parametrize(
    ("first", "second"), [("Train", "Test"), ("training", "validation"), ("train", "val"), ("TRAIN", "Valid")]
)
def test_other_names_of_splits(tmp_path, first, second):
    save(tmp_path / first / "a.png", 20, mode="L")
    save(tmp_path / second / "a.png", 40, mode="L")
    train, test = (data.load(tmp_path, split=split) for split in data.SPLITS)
    assert train.x[:, 0, 0, 0].tolist() == [20] and test.x[:, 0, 0, 0].tolist() == [40] and train.classes is None


def test_what_is_no_split(tmp_path):
    save(tmp_path / "coins" / "valid" / "a.png", 20, mode="L")
    save(tmp_path / "coins" / "invalid" / "a.png", 40, mode="L")
    assert data.load(tmp_path / "coins").classes == ["invalid", "valid"]
    for name in ("train", "test", "val", "more"):
        save(tmp_path / "parts" / name / "a.png", 20, mode="L")
    with pytest.warns(UserWarning, match="more is not read: only train, test are"):
        assert len(data.load(tmp_path / "parts")) == 1
    save(tmp_path / "alone" / "test" / "a.png", 20, mode="L")
    assert len(data.load(tmp_path / "alone", split="test")) == 1
    with pytest.raises(DataError, match="alone has no subfolder train/, expected one with the images to be trained on"):
        data.load(tmp_path / "alone")


def test_stray_images_beside_classes(tmp_path):
    for i in range(10):
        save(tmp_path / "ab"[i % 2] / f"{i}.png", 20, mode="L")
    save(tmp_path / "cover.png", 40, mode="L")
    with pytest.warns(UserWarning, match="1 images beside its subfolders, such as cover.png, are left out"):
        ds = data.load(tmp_path)
    assert ds.classes == ["a", "b"] and len(ds) == 10
    save(tmp_path / "other.png", 40, mode="L")
    with pytest.warns(UserWarning, match="2 images .* mean that the 2 subfolders are no classes"):
        ds = data.load(tmp_path)
    assert ds.classes is None and len(ds) == 12


def test_a_split_without_the_classes_of_the_other(tmp_path):
    for i in range(22):
        save(tmp_path / "train" / "ab"[i % 2] / f"{i}.png", 20, mode="L")
    save(tmp_path / "test" / "a.png", 20, mode="L")
    with pytest.warns(UserWarning, match="1 images beside its subfolders, such as a.png, are left out"):
        assert data.load(tmp_path).classes == ["a", "b"]
    with pytest.warns(UserWarning), pytest.raises(DataError, match="test holds no images in subfolders, .* as a b"):
        data.load(tmp_path, split="test")


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "JPE", "avif", "jp2", "tga", "pnm"])
def test_other_suffixes(tmp_path, suffix):
    image = Image.new("RGB", (16, 16), (250, 20, 30))
    try:
        image.save(tmp_path / f"a.{suffix}")
    except (KeyError, OSError, ValueError):
        pytest.skip(f"this Pillow cannot write {suffix}")
    assert (data.load(tmp_path).x[0, :, 5, 5].int() - torch.tensor([250, 20, 30])).abs().max() < 6


@pytest.mark.parametrize(("height", "width"), [(20, 32), (32, 20), (7, 3), (40, 10)])
def test_resizing_to_a_rectangle_cuts_its_proportions_out_of_the_middle(height, width):
    x = torch.zeros(2, 1, 30, 40, dtype=torch.uint8)
    scale = min(30 / height, 40 / width)
    tall, wide = round(height * scale), round(width * scale)
    top, left = (30 - tall) // 2, (40 - wide) // 2
    x[:, :, top : top + tall, left : left + wide] = 200
    out = images.resize(x, (height, width))
    assert out.shape == (2, 1, height, width) and (out == 200).all() and max(tall / 30, wide / 40) == 1


def test_a_folder_is_kept_when_it_is_large_and_read_again_when_it_changes(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    for i in range(5):
        save(tmp_path / "set" / "ab"[i % 2] / f"{i}.png", 40 * i + 20, mode="L")
    first = data.load(tmp_path / "set")
    assert not (tmp_path / "cache").exists()  # a small folder is not kept
    monkeypatch.setattr(catalogue, "KEPT_FROM", 1)
    assert torch.equal(data.load(tmp_path / "set").x, first.x)
    assert len(data.load(tmp_path / "set", limit=2)) == 2
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "read_images", only_the_first(catalogue.read_images))
        patch.setattr(catalogue, "channels_of", lambda files: pytest.fail("looked at again"))
        again = data.load(tmp_path / "set")
        assert torch.equal(again.x, first.x) and torch.equal(again.labels, first.labels)
        for change in ({"size": 3}, {"channels": 3}):
            with pytest.raises(pytest.fail.Exception, match="decoded again"):
                data.load(tmp_path / "set", **change)
    save(tmp_path / "set" / "a" / "9.png", (250, 0, 0))
    assert data.load(tmp_path / "set").shape == (3, 6, 6) and len(data.load(tmp_path / "set")) == 6
    assert capfd.readouterr().err == ""  # no bar where there is no terminal


# --- CIFAR-10 as JPEGs, in a folder -----------------------------------------------------------------


@pytest.fixture
def jpegs(tmp_path, monkeypatch):
    """Twelve and four images of one colour each, whose classes take turns."""
    monkeypatch.setattr(catalogue, "JPEG_SIZES", {"train": 12, "test": 4})
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    for split, n in catalogue.JPEG_SIZES.items():
        for i in range(n):
            file = tmp_path / "root" / "cifar10-jpeg" / split / "abc"[i % 3] / f"{i:05d}.jpg"
            save(file, (20 * i, 100, 255 - 20 * i), (32, 32), quality=95)
    return tmp_path / "root" / "cifar10-jpeg"


@pytest.mark.parametrize("name", ["cifar10-jpeg", "cifar10"])
def test_jpegs_are_read_in_an_order_of_their_own_not_by_class(jpegs, name):
    ds = data.load(name)
    assert ds.name == "cifar10-jpeg" and ds.shape == (3, 32, 32) and ds.classes == ["a", "b", "c"]
    indices = np.random.RandomState(0).permutation(12).tolist()
    assert ds.labels.tolist() == [i % 3 for i in indices]
    for i, image in zip(indices, ds.x, strict=True):
        assert (image.int() - torch.tensor([20 * i, 100, 255 - 20 * i]).view(3, 1, 1)).abs().max() <= 4
    assert len(data.load(name, split="test")) == 4
    few = data.load(name, limit=5, size=8, channels=1)
    assert few.x.shape == (5, 1, 8, 8) and len(few.labels) == 5


def only_the_first(read):
    """Read one image, which tells the shape, and fail if there are more."""
    return lambda files, *args: read(files, *args) if len(files) == 1 else pytest.fail("decoded again")


def test_decoded_jpegs_are_kept_until_the_folder_changes(jpegs, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "KEPT_FROM", 1)
    file = jpegs / "train" / "b" / "00001.jpg"
    file.write_bytes(file.read_bytes().ljust(5000, b"\0"))
    first = data.load("cifar10-jpeg").x
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "read_images", only_the_first(catalogue.read_images))
        assert torch.equal(data.load("cifar10-jpeg").x, first)
    before = file.stat()
    save(file, (200, 0, 0), (32, 32), quality=95)
    file.write_bytes(file.read_bytes().ljust(5000, b"\0"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # of the same size, but written later
    again = data.load("cifar10-jpeg").x
    changed = torch.from_numpy(np.random.RandomState(0).permutation(12) == 1)
    assert again[changed][0, 0].min() > 190 and torch.equal(again[~changed], first[~changed])
    (kept,) = (tmp_path / "cache" / "folders").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")  # damaged
    assert torch.equal(data.load("cifar10-jpeg").x, again)


def test_jpegs_that_are_missing(jpegs, tmp_path, monkeypatch):
    def fails(message: str, **kwargs) -> None:
        with pytest.raises(DataError, match=message) as caught:
            data.load("cifar10-jpeg", **kwargs)
        assert "\n" not in str(caught.value)

    moved = (jpegs / "train" / "a" / "00003.jpg").rename(tmp_path / "kept.jpg")
    fails("train holds 11 images, expected 00000.jpg to 00011.jpg.*tools/unpack.py")
    save(jpegs / "train" / "c" / "00004.jpg", 0, (32, 32))  # as many as there should be, but one twice
    fails("train holds 12 images, expected 00000.jpg to 00011.jpg, each once")
    (jpegs / "train" / "c" / "00004.jpg").unlink()
    moved.rename(jpegs / "train" / "a" / "00003.jpg")
    (jpegs / "train" / "a" / "00003.jpg").write_bytes(b"no image")
    fails("00003.jpg cannot be read as an image")
    (jpegs / "test").rename(jpegs / "tset")
    fails("GAN_COURSE_DATA has no folder cifar10-jpeg/test; tools/unpack.py", split="test")
    monkeypatch.delenv("GAN_COURSE_DATA")
    fails("GAN_COURSE_DATA has no folder cifar10-jpeg/train; tools/unpack.py.*'glyphs'")


def test_grey_is_pillows():
    x = torch.randint(256, (1500, 3, 5, 4), dtype=torch.uint8)
    theirs = [np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")) for image in x]
    assert np.array_equal(images.to_grey(x)[:, 0].numpy(), np.stack(theirs))


def test_names_of_domains_are_refused_with_a_hint():
    with pytest.raises(ValueError, match="name: got 'facades', two domains.*gan_course.data.load_domains"):
        data.load("facades")
    with pytest.raises(ValueError, match="unknown data set 'cifar-10'.*Did you mean 'cifar10'"):
        data.load("cifar-10")
    with pytest.raises(ValueError, match="unknown split 'unlabeled'"):
        data.load("cifar10", split="unlabeled")


@pytest.mark.data("cifar10-jpeg")
def test_real_jpegs_have_the_colours_of_cifar10():
    """The means and deviations of CIFAR-10 are well known: 125.3, 123.0, 113.9 and 63.0, 62.1, 66.7 of 255."""
    ds = data.load("cifar10-jpeg")
    assert ds.x.shape == (50_000, 3, 32, 32) and ds.labels.bincount().tolist() == [5000] * 10
    assert ds.labels[:1000].bincount(minlength=10).min() > 70  # binomial: 100, standard deviation 9.5
    assert (ds.classes[0], ds.classes[9]) == ("airplane", "truck")
    values = torch.arange(256).double()
    for channel, mean, deviation in zip(ds.x.unbind(1), (125.3, 123.0, 113.9), (63.0, 62.1, 66.7), strict=True):
        shares = channel.flatten().bincount(minlength=256) / channel.numel()
        found = (shares * values).sum()
        assert abs(found - mean) < 1 and abs((shares * (values - found) ** 2).sum().sqrt() - deviation) < 1


def test_checksum_of_domains_sees_each_side_and_whether_they_are_paired():
    a, b = (DataSet(torch.full((3, 1, 2, 2), value, dtype=torch.uint8), name="set") for value in (1, 2))
    sums = [data.Domains(x, y, paired=p, name="d").crc32() for x, y, p in [(a, b, True), (a, b, False), (b, a, True)]]
    assert len(set(sums)) == 3
    assert data.Domains(a, b, paired=True, name="other").crc32() == sums[0]
