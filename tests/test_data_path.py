"""The benchmark of the data path runs, and both ways feed the same images. No time is asserted."""

import json

import pytest
import torch

from benchmarks import data_path
from gan_course import data


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """200 random images in MNIST's files, where torchvision and the course look for them."""
    sizes = {"train": 200, "test": 100}
    monkeypatch.setitem(data.IDX, "mnist", data.Idx("MNIST", data.IDX["mnist"].classes, [], sizes))
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, n in sizes.items():
        for file, shape in zip(data.IDX["mnist"].files(split), [(n, 28, 28), (n,)], strict=True):
            header = b"".join(k.to_bytes(4, "big") for k in (0x800 + len(shape), *shape))
            body = torch.randint(0, 256 if len(shape) == 3 else 10, shape, dtype=torch.uint8)
            (raw / file).write_bytes(header + body.numpy().tobytes())
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data_path, "FOLDER", tmp_path / "results")
    return tmp_path


def test_the_benchmark_runs_and_writes_its_table(tiny_mnist, capsys):
    assert data_path.main(["--rounds", "2", "--steps", "2"]) == 0
    table = json.loads((tiny_mnist / "results" / "benchmark_data_path.json").read_text())
    assert {row["path"] for row in table["rows"]} == {"gan_course", "DataLoader, 0 workers", "DataLoader, 2 workers"}
    for row in table["rows"]:
        for name in ("step_ms", "slower_than_ours", "data_only_images_per_second"):
            assert 0 < row[f"{name}_min"] <= row[name] <= row[f"{name}_max"]
    assert table["rows"][0]["slower_than_ours"] == 1
    assert table["settings"]["rounds"] == 2 and table["settings"]["shape"] == [1, 28, 28]
    assert table["device"] == "cpu" and table["threads"] == 1
    assert [path.name for path in (tiny_mnist / "results").iterdir()] == ["benchmark_data_path.json"]
    assert "times as long as ours" in capsys.readouterr().out


def test_both_ways_feed_the_same_images(tiny_mnist):
    ours = data.load("mnist").images()
    batches = data_path.textbook_batches(0, torch.device("cpu"))
    theirs = torch.cat([next(batches) for _ in range(3)])
    assert theirs.shape == (192, 1, 28, 28)
    distance = (theirs.flatten(1)[:, None] - ours.flatten(1)).abs().amax(2)
    assert distance.amin(1).max() < 1e-6 and len(distance.argmin(1).unique()) == 192


def test_without_mnist_or_device_it_is_skipped(tiny_mnist, monkeypatch, capsys):
    monkeypatch.setenv("GAN_COURSE_DATA", "relative")
    assert data_path.main([]) == 0
    assert "benchmark skipped: GAN_COURSE_DATA" in capsys.readouterr().out
    assert data_path.main(["--device", "fpga"]) == 0
    assert "benchmark skipped: device 'fpga'" in capsys.readouterr().out
    assert not (tiny_mnist / "results").exists()


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--steps", "-1"], ["--threads", "0"]])
def test_bad_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        data_path.main(arguments)
    assert stop.value.code == 2 and "must be at least 1" in capsys.readouterr().err
