"""The command line as a user types it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from gan_course import cli, data, metrics, models
from gan_course.data import downloads, glyphs, stacked
from gan_course.models.gan import RECIPES
from gan_course.train import checkpoint, fit
from gan_course.train.runs import CHECKPOINT

SMALL = ["--data", "digits", "--seed", "3"]


def run(*arguments: str | Path) -> int:
    return cli.main([str(a) for a in arguments])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(checkpoint.tensors(checkpoint.load(folder / CHECKPOINT)["model"]))


def test_train_sample_evaluate(tmp_path, capsys):
    out = tmp_path / "run"
    assert run("train", "gan", *SMALL, "--steps", 40, "--out", out) == 0
    assert f"new run of gan in {out}: digits, 1,297 of shape (1, 8, 8)" in capsys.readouterr().out
    assert {p.name for p in out.iterdir()} == {"checkpoint.pt", "log.jsonl", "samples", ".lock"}
    assert len(list((out / "samples").glob("*.png"))) == 21

    assert run("sample", out, "--n", 12, "--out", tmp_path / "deep" / "grid.png") == 0
    assert Image.open(tmp_path / "deep" / "grid.png").size == (1 + 9 * 3, 1 + 9 * 4)

    assert run("evaluate", out, "--n", 300) == 0
    result = json.loads((out / "metrics.json").read_text())
    assert result["step"] == 40 and result["reference"] == 300
    assert result["generated"]["frechet"] > 20 * result["real"]["frechet"]  # hardly trained
    assert result["real"]["classes"] == 10 and result["features"] == "judge of digits at 8x8"
    assert "generated" in capsys.readouterr().out


#: For every family what makes it small and quick; the data are those of its first recipe.
QUICK = {
    "gan": ["--set", "width=16"],
    "wgan": ["--set", "width=16"],
    "wgan-gp": ["--set", "width=16"],
    "dcgan": ["--set", "width=4"],
    "sngan": ["--set", "width=4"],
    "r3gan": ["--set", "width=8"],
    "stylegan": ["--set", "width=4"],
    "cgan": ["--set", "width=4"],
    "acgan": ["--set", "width=4"],
    "projection": ["--set", "width=4"],
    "text": ["--set", "width=4"],
    "pix2pix": ["--set", "width=4"],
    "cyclegan": ["--set", "width=4", "--set", "blocks=1"],
    "vae": ["--set", "width=16"],
    "autoregressive": ["--set", "width=4", "--set", "layers=2"],
}


@pytest.mark.parametrize("family", models.FAMILIES)
def test_every_family_trains_samples_and_evaluates(family, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(glyphs.SPLIT_SIZES, "train", 300)  # drawing 20,000 takes seconds
    name, out = next(iter(models.recipes(family))), tmp_path / "run"
    command = ["train", family, "--data", name, "--steps", 3, "--batch", 8, "--out", out, *QUICK[family]]
    assert run(*command) == 0
    assert f"new run of {family} in {out}: {name}" in capsys.readouterr().out
    assert run(*command) == 0  # goes on with the run, which is done
    assert "nothing to do" in capsys.readouterr().out

    assert run("sample", out, "--n", 4, "--out", tmp_path / "grid.png") == 0
    width, height = Image.open(tmp_path / "grid.png").size
    side = checkpoint.load(out / CHECKPOINT)["settings"]["shape"][-1] + 1
    both = hasattr(models.family(family), "translate")  # each image beside its translation
    assert (width, height) == (1 + 2 * side, 1 + (4 if both else 2) * side)
    assert run("evaluate", out, "--n", 40) == 0
    result = json.loads((out / "metrics.json").read_text())
    assert result["data"] == name and result["samples"] == 40 and result["step"] == 3
    assert {"frechet", "kernel", "precision", "coverage"} <= set(result["generated"]) & set(result["real"])
    assert result["generated"]["frechet"] > result["real"]["frechet"]
    printed = capsys.readouterr().out
    for extra in {
        "vae": ["bits_per_pixel"],
        "projection": ["class_accuracy", "inception_score"],
        "pix2pix": ["error_to_truth"],
        "text": ["ink_obeyed", "background_obeyed"],
    }.get(family, []):
        assert extra in result["generated"] and extra in printed


def test_the_wanted_classes_and_captions(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(glyphs.SPLIT_SIZES, "train", 300)
    plain, labelled, text, pairs = (tmp_path / name for name in ("gan", "cgan", "text", "pix2pix"))
    for out, name in ((plain, "digits"), (labelled, "digits"), (text, "glyphs"), (pairs, "from-edges-digits")):
        assert run("train", out.name, "--data", name, "--steps", 1, "--batch", 8, "--out", out, *QUICK[out.name]) == 0

    def grid(*arguments) -> bytes:
        assert run("sample", *arguments, "--n", 9, "--out", tmp_path / "grid.png") == 0
        return (tmp_path / "grid.png").read_bytes()

    assert grid(labelled, "--labels", 3) != grid(labelled, "--labels", 4) != grid(labelled)
    assert grid(labelled, "--labels", *range(10)) == grid(labelled)
    red, blue = (f"a {ink} A on a yellow background" for ink in ("red", "blue"))
    assert grid(text, "--caption", red) != grid(text, "--caption", blue)
    for arguments, message in [
        ((plain, "--labels", 3), "--labels is for families that are conditioned on a class; 'gan' is not"),
        ((labelled, "--labels", 10), "labels must lie in 0 to 9"),
        ((labelled, "--caption", red), "--caption is for families that read captions; 'cgan' does not"),
        ((text, "--labels", 3), "--labels is for families that are conditioned on a class; 'text' is not"),
        ((text, "--caption", "a mauve A"), "mauve"),
        ((text, "--caption", ""), "--caption must have words, and no --labels beside it"),
        ((text, "--caption", red, "--labels", 3), "--caption must have words, and no --labels beside it"),
        ((pairs, "--labels", 3), "--labels and --caption are not for translators such as 'pix2pix'"),
        ((plain, "--data", "mnist"), "--data is for translators, which need images; 'gan' does not"),
        ((plain, "--out", tmp_path / "grid"), "--out must be the name of an image file, such as grid.png"),
    ]:
        assert message in errors(capsys, "sample", *arguments)


def test_features_can_be_chosen(tmp_path, capsys):
    assert run("train", "gan", *SMALL, "--steps", 3, "--out", tmp_path, "--set", "width=16") == 0
    for wanted, called in (("pixels", "pixels"), ("judge", "judge of digits at 8x8")):
        assert run("evaluate", tmp_path, "--n", 40, "--features", wanted) == 0
        assert json.loads((tmp_path / "metrics.json").read_text())["features"] == called


def test_false_is_false(tmp_path):
    for text in ("false", "False"):
        out = tmp_path / text
        assert run("train", "gan", *SMALL, "--steps", 1, "--out", out, "--set", f"batch_norm={text}") == 0
        assert checkpoint.load(out / CHECKPOINT)["settings"]["batch_norm"] is False


def test_modes_of_stacked_digits_are_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(stacked, "SPLIT_SIZES", {"train": 300, "test": 300})
    assert run("train", "gan", "--data", "stacked-digits", "--steps", 3, "--out", tmp_path, "--set", "width=16") == 0
    assert "stacked-digits, 300 of shape (3, 8, 8)" in capsys.readouterr().out
    assert run("evaluate", tmp_path, "--n", 300) == 0
    result = json.loads((tmp_path / "metrics.json").read_text())
    assert result["generated"]["modes"] < 100 < 200 < result["real"]["modes"] <= 300
    assert result["generated"]["reverse_kl"] > result["real"]["reverse_kl"]
    assert "channels: got 1, expected 3" in errors(
        capsys, "train", "gan", "--data", "stacked-digits", "--channels", 1, "--out", tmp_path / "new"
    )


def test_list_names_everything_that_there_is(capsys):
    assert run("list") == 0
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    known = {"digits", "glyphs", "mnist", "cifar10", "cifar10-jpeg", "stl10", "neon", "facades", "horse2zebra"}
    assert set(models.FAMILIES) | set(metrics.METRICS) | known <= set(shown)


def test_kill_9_then_the_same_command_ends_with_the_same_bits(tmp_path):
    command = [sys.executable, "-m", "gan_course.cli", "train", "gan", *SMALL, "--steps", "700"]
    command += ["--checkpoint-seconds", "0.05", "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, whole], env=environment, check=True, capture_output=True)

    process = subprocess.Popen([*command, killed], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (killed / CHECKPOINT).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
    stopped_at = checkpoint.load(killed / CHECKPOINT)["step"]
    assert 0 < stopped_at < 700

    subprocess.run([*command, killed], env=environment, check=True, capture_output=True)
    a, b = weights(whole), weights(killed)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    strip = lambda p: [{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in p.read_text().splitlines()]  # noqa: E731
    assert strip(whole / "log.jsonl") == strip(killed / "log.jsonl")


def test_ctrl_c_is_130_and_resumable(tmp_path):
    command = [sys.executable, "-m", "gan_course.cli", "train", "gan", *SMALL, "--steps", "100000", "--out", tmp_path]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("samples/*.png")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "stopped after step" in errors and "the same command goes on from there" in errors
    assert checkpoint.load(tmp_path / CHECKPOINT)["step"] > 0


def test_ctrl_c_before_the_first_step(tmp_path, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.data, "load", interrupted)
    assert run("train", "gan", *SMALL, "--out", tmp_path / "new") == 130
    assert capsys.readouterr().err.startswith("gan-course: interrupted; ")


def test_more_steps_extend_a_run(tmp_path, capsys):
    assert run("train", "gan", *SMALL, "--steps", 60, "--out", tmp_path / "a") == 0
    assert run("train", "gan", *SMALL, "--steps", 30, "--out", tmp_path / "b", "--snapshot-every", 10) == 0
    assert run("train", "gan", *SMALL, "--steps", 60, "--out", tmp_path / "b") == 0
    a, b = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert "going on with the run" in capsys.readouterr().out


def images(folder: Path, colour: bool) -> Path:
    folder.mkdir()
    for i in range(6):
        Image.new("RGB" if colour else "L", (8, 8), (i * 40, 9, 90) if colour else i * 40).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def trained(tmp_path) -> Path:
    assert run("train", "gan", *SMALL, "--steps", 5, "--out", tmp_path / "run") == 0
    return tmp_path / "run"


def errors(capsys, *arguments) -> str:
    """Run, expect exit code 2 and one line on stderr, return it."""
    capsys.readouterr()
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("gan-course: error: ") and captured.err.count("\n") == 1
    return captured.err


def test_mistakes_are_one_line_and_code_2(trained, tmp_path, capsys):
    new = tmp_path / "new"
    assert "Did you mean 'mnist'?" in errors(capsys, "train", "gan", "--data", "mnits", "--out", new)
    assert "--steps must be at least 1, got -1" in errors(capsys, "train", "gan", *SMALL, "--steps", -1, "--out", new)
    assert "Did you mean 'gan'?" in errors(capsys, "train", "gam", *SMALL, "--out", new)
    assert "lr_g must be positive, got -1.0" in errors(capsys, "train", "gan", *SMALL, "--lr", -1, "--out", new)
    assert "error: --batch must be at least 1" in errors(capsys, "train", "gan", *SMALL, "--batch", 0, "--out", new)
    assert "device 'gpu' cannot be used" in errors(capsys, "train", "gan", *SMALL, "--device", "gpu", "--out", new)
    assert "Did you mean 'width'?" in errors(capsys, "train", "gan", *SMALL, "--set", "widht=9", "--out", new)
    assert "Did you mean 'neon'?" in errors(capsys, "train", "cyclegan", "--data", "noen-digits", "--out", new)
    for name in ("neon-digits", "facades", "from-horse2zebra"):
        assert f"--data {name!r} is for translators; family 'gan' needs a data set" in errors(
            capsys, "train", "gan", "--data", name, "--out", new
        )
    assert "size: got 0" in errors(capsys, "train", "gan", *SMALL, "--size", 0, "--out", new)
    assert "size: got 0" in errors(capsys, "train", "cyclegan", "--data", "bold-glyphs", "--size", 0, "--out", new)
    for wrong, message in (
        ("loss=[1]", "--set gives a value of the wrong type"),
        ("shape=3", "unknown setting of family 'gan' 'shape'"),
        ("batch_norm=no", "--set batch_norm must be true or false, got 'no'"),
    ):
        assert message in errors(capsys, "train", "gan", *SMALL, "--set", wrong, "--out", new)
    grey = ["--data", "neon-digits", "--channels", 1]
    assert "--channels must be 3 for family 'cyclegan'" in errors(capsys, "train", "cyclegan", *grey, "--out", new)
    assert "--data must be task-base" in errors(capsys, "train", "pix2pix", "--data", "digits", "--out", new)
    assert "--data must be glyphs for family 'text'" in errors(capsys, "train", "text", *SMALL, "--out", new)
    assert "expected a folder of images" in errors(capsys, "train", "gan", "--data", "./none", "--out", new)
    assert not new.exists()

    before = (trained / CHECKPOINT).read_bytes()
    colour = images(tmp_path / "colour", colour=True)
    line = errors(capsys, "train", "gan", "--data", colour, "--out", trained)
    assert "is a run with other settings" in line and "shape was (1, 8, 8), now (3, 8, 8)" in line
    line = errors(capsys, "train", "gan", *SMALL, "--lr", 0.1, "--out", trained)
    assert f"lr_g was {RECIPES['digits']['lr_g']}, now 0.1" in line
    assert (trained / CHECKPOINT).read_bytes() == before

    assert "--n must be at least 6" in errors(capsys, "evaluate", trained, "--n", 5)
    grey = images(tmp_path / "grey", colour=False)
    assert "has no subfolder test/" in errors(capsys, "evaluate", trained, "--data", grey)
    assert "--n must be at least 1, got 0" in errors(capsys, "sample", trained, "--n", 0)
    for seed in (2**64, -(2**63) - 1):
        line = errors(capsys, "sample", trained, "--seed", seed, "--out", tmp_path / "grid.png")
        assert f"--seed must lie in -2**63 to 2**64 - 1, got {seed}" in line
    dcgan = ["dcgan", "--data", "digits", "--set", "width=4", "--set", "batch_norm=true", "--batch", 1, "--out", new]
    assert "error: --batch must hold at least 2 samples" in errors(capsys, "train", *dcgan)


def test_the_channels_are_those_of_the_model(trained, tmp_path, capsys):
    """Grey test images beside coloured training images; colours for a grey model; a grey set for a coloured one."""
    folder = tmp_path / "sets"
    folder.mkdir()
    images(folder / "train", colour=True)
    images(folder / "test", colour=False)
    assert run("data", folder) == 0
    assert capsys.readouterr().out.count("of shape (3, 8, 8)") == 2
    assert run("evaluate", trained, "--data", folder) == 0
    assert "training images of shape (1, 8, 8)" in capsys.readouterr().out
    assert run("train", "gan", *SMALL, "--channels", 3, "--steps", 1, "--out", tmp_path / "wide") == 0
    assert run("evaluate", tmp_path / "wide", "--n", 40, "--data", "digits") == 0
    assert run("train", "gan", "--data", folder, "--steps", 1, "--out", tmp_path / "own", "--set", "width=8") == 0
    assert run("evaluate", tmp_path / "own") == 0


def test_damaged_and_missing_runs(trained, tmp_path, capsys):
    assert "no checkpoint at" in errors(capsys, "sample", tmp_path / "nowhere")
    path = trained / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-200])
    before = path.read_bytes()
    for command in (["train", "gan", *SMALL, "--out"], ["evaluate"], ["sample"]):
        assert "is damaged or not a checkpoint" in errors(capsys, *command, trained)
    assert path.read_bytes() == before


def test_missing_data_and_no_network(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("GAN_COURSE_DATA", raising=False)
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies that it was made with
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # refuses every connection
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    line = errors(capsys, "data", "mnist")
    assert "check the network" in line and "by hand" in line and "digits" in line
    (tmp_path / "root" / "MNIST" / "raw").mkdir(parents=True)
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "root"))
    assert "train-images-idx3-ubyte is missing" in errors(capsys, "train", "gan", "--data", "mnist", "--out", tmp_path)


def test_show_data(tmp_path, capsys):
    assert run("data", "digits", "--out", tmp_path / "grid.png") == 0
    out = capsys.readouterr().out
    assert "digits train: 1,297 images of shape (1, 8, 8); classes: 0 (" in out
    assert "digits test: 500 images" in out
    assert Image.open(tmp_path / "grid.png").size == (73, 73)


def test_photos_and_label_maps_from_the_data_root(tmp_path, capsys, monkeypatch):
    """Tiny facades and horse2zebra in the data root: shown, trained on, translated and measured."""
    counts = {"facades": {"train": 8, "val": 1, "test": 6}}
    counts["horse2zebra"] = {"trainA": 8, "trainB": 7, "testA": 6, "testB": 7}
    for name, parts in counts.items():
        archive = dataclasses.replace(downloads.ARCHIVES[name], images=parts)
        monkeypatch.setitem(downloads.ARCHIVES, name, archive)
        for part, n in parts.items():
            (tmp_path / name / part).mkdir(parents=True)
            for i in range(n):
                image = Image.new("RGB", (64 if name == "facades" else 32, 32), (20 * i, 90, 9))
                image.save(tmp_path / name / part / f"{i}.jpg")
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path))
    assert run("data", "facades", "--out", tmp_path / "grid.png") == 0
    assert run("data", "from-horse2zebra") == 0
    printed = capsys.readouterr().out
    assert "facades train: 8 pairs of shape (3, 32, 32)" in printed and "facades test: 6 pairs" in printed
    assert "from-horse2zebra train: 7 and 8 unpaired images of shape (3, 32, 32)" in printed
    assert Image.open(tmp_path / "grid.png").size == (1 + 8 * 33, 1 + 2 * 33)

    usual = ["--size", 16, "--steps", 1, "--batch", 2, "--out"]
    assert run("train", "pix2pix", "--data", "from-facades", *usual, tmp_path / "pix2pix", *QUICK["pix2pix"]) == 0
    assert run("train", "cyclegan", "--data", "horse2zebra", *usual, tmp_path / "cyclegan", *QUICK["cyclegan"]) == 0
    for family in ("pix2pix", "cyclegan"):
        assert run("sample", tmp_path / family, "--n", 4, "--out", tmp_path / "grid.png") == 0
        assert run("evaluate", tmp_path / family) == 0
        result = json.loads((tmp_path / family / "metrics.json").read_text())
        assert result["samples"] == 6 and ("error_to_truth" in result["generated"]) == (family == "pix2pix")
    new = ["--size", 16, "--out", tmp_path / "new"]
    message = "paired: got True, but in 'horse2zebra' no image has a partner"
    assert message in errors(capsys, "train", "pix2pix", "--data", "horse2zebra", *new)


def test_generated_and_real_images_are_measured_in_the_same_number(trained, capsys):
    assert run("evaluate", trained) == 0
    result = json.loads((trained / "metrics.json").read_text())
    assert (result["samples"], result["reference"]) == (1297, 500)  # of 2,000 wanted, all that the splits have
    floor = metrics.JUDGES["digits", 8].floor
    assert result["real"]["frechet"] == pytest.approx(floor, abs=0.01)
    assert "1,297 generated and as many real training images" in capsys.readouterr().out


def square(path: Path, color, size=(8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(color, int) else "RGB", size, color).save(path)


@pytest.fixture
def translators(tmp_path) -> Path:
    """Red and blue squares, apart and in pairs, and runs of one step on them with networks that add and subtract."""
    for i in range(6):
        for split in ("train", "test"):
            red, blue = (200 + i, 20, 10), (15, 20, 200 + i)
            square(tmp_path / "apart" / f"{split}A" / f"{i}.png", red)
            square(tmp_path / "apart" / f"{split}B" / f"{i}.png", blue)
            both = Image.new("RGB", (16, 8), red)
            both.paste(blue, (8, 0, 16, 8))
            (tmp_path / "pairs" / split).mkdir(parents=True, exist_ok=True)
            both.save(tmp_path / "pairs" / split / f"{i}.png")
        square(tmp_path / "photos" / f"{i}.png", (100, 110 + i, 120), (12, 9))
    small = ["--steps", 1, "--batch", 2, "--set", "patch=1", "--set", "width=4", "--out"]
    assert run("train", "cyclegan", "--data", tmp_path / "apart", "--set", "blocks=1", *small, tmp_path / "cycle") == 0
    assert run("train", "pix2pix", "--data", tmp_path / "pairs", *small, tmp_path / "pix") == 0
    return tmp_path


def test_the_way_back_is_translated_by_the_network_of_the_way_back(translators, monkeypatch, capsys):
    seen = []

    def translate(self, x, direction="ab"):
        seen.append((direction, "red" if x[0, 0].mean() > x[0, 2].mean() else "blue"))
        return x

    monkeypatch.setattr(models.CycleGAN, "translate", translate)
    monkeypatch.chdir(translators)
    grid = translators / "grid.png"
    for name, way in (("apart", ("ab", "red")), ("from-apart", ("ba", "blue")), ("from-pairs", ("ba", "blue"))):
        assert run("sample", "cycle", "--data", name, "--out", grid) == 0
        assert run("evaluate", "cycle", "--data", name) == 0
        assert seen == [way, way]
        seen.clear()
    for name in ("photos", "from-photos"):  # images without partners: forward, unless asked for the way back
        assert run("sample", "cycle", "--data", name, "--out", grid) == 0
    assert seen == [("ab", "blue"), ("ba", "blue")]
    for command in ("sample", "evaluate"):
        line = errors(capsys, command, "pix", "--data", "from-pairs")
        assert "--data from-pairs asks for the way back, which a run of 'pix2pix' on" in line
    assert "asks for the way back" in errors(capsys, "sample", "pix", "--data", "from-photos")


def test_images_without_partners_are_translated(translators, monkeypatch):
    monkeypatch.chdir(translators)
    square(translators / "only" / "testA" / "a.png", (200, 10, 10))
    square(translators / "left" / "test" / "a.png", (200, 10, 10), (9, 16))
    for out in ("cycle", "pix"):
        for name, n in (("photos", 6), ("only", 1), ("left", 1), ("apart/testA", 6), ("pairs", 6)):
            assert run("sample", out, "--data", name, "--out", "grid.png") == 0
            columns = 2 * max(round((n / 2) ** 0.5), 1)
            rows = -(-2 * n // columns)
            assert Image.open("grid.png").size == (1 + 9 * min(columns, 2 * n), 1 + 9 * rows)


def test_equal_truths_make_no_infinite_number(translators, capsys):
    for i in range(6):
        for split in ("train", "test"):
            both = Image.new("RGB", (16, 8), (40 * i, 0, 0))
            both.paste((0, 0, 200), (8, 0, 16, 8))
            both.save(translators / "pairs" / split / f"{i}.png")
    assert run("evaluate", translators / "pix") == 0
    refuse = {"parse_constant": lambda text: pytest.fail(f"{text} is no JSON")}
    result = json.loads((translators / "pix" / "metrics.json").read_text(), **refuse)
    assert result["generated"]["error_to_truth"] is None and result["generated"]["frechet"] > 0
    assert "error_to_truth      not finite" in capsys.readouterr().out


@pytest.mark.parametrize("family", ["gan", "wgan", "wgan-gp", "vae", "cyclegan"])
@pytest.mark.parametrize("size", [(32, 20), (50, 50), (33, 41)])
def test_images_of_any_shape_are_measured_in_that_shape(family, size, tmp_path):
    width, height = size
    both = family == "cyclegan"
    width, height = (width // 4 * 4, height // 4 * 4) if both else size
    for part in ("trainA", "trainB", "testA", "testB") if both else ("train", "test"):
        for i in range(6):
            square(tmp_path / "set" / part / f"{i}.png", (30 * i, 90, 9), (width, height))
    command = ["train", family, "--data", tmp_path / "set", "--steps", 1, "--batch", 2, "--out", tmp_path / "run"]
    assert run(*command, *QUICK[family]) == 0
    shape = checkpoint.load(tmp_path / "run" / CHECKPOINT)["settings"]["shape"]
    assert tuple(shape) == ((2,) if both else ()) + (3, height, width)
    assert run("sample", tmp_path / "run", "--n", 2, "--out", tmp_path / "grid.png") == 0
    assert run("evaluate", tmp_path / "run") == 0
    result = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert result["reference"] == 6 and result["generated"]["frechet"] > 0


@pytest.mark.parametrize(
    ("family", "size", "expected"),
    [
        ("dcgan", (100, 80), (3, 64, 64)), ("dcgan", (32, 32), (3, 32, 32)), ("sngan", (30, 30), (3, 28, 28)),
        ("wgan", (40, 24), (3, 24, 40)), ("vae", (24, 24), (3, 24, 24)), ("projection", (40, 40), (3, 40, 40)),
    ],
)  # fmt: skip
def test_own_data_have_their_own_size_where_the_family_allows_it(family, size, expected, tmp_path):
    for name in "ab":
        for i in range(3):
            square(tmp_path / "set" / name / f"{i}.png", (30 * i, 90, 9), size)
    command = ["train", family, "--data", tmp_path / "set", "--steps", 1, "--batch", 2, "--out", tmp_path / "run"]
    assert run(*command, *QUICK[family]) == 0
    settings = checkpoint.load(tmp_path / "run" / CHECKPOINT)["settings"]
    assert tuple(settings["shape"]) == expected and settings.get("levels", 256) == 256


def test_bits_stand_beside_the_number_of_levels(tmp_path, capsys):
    assert run("train", "vae", "--data", "digits", "--steps", 1, "--out", tmp_path, *QUICK["vae"]) == 0
    found = []
    for seed in (0, 0, 1):  # an estimate from latents, which are those of the seed
        assert run("evaluate", tmp_path, "--n", 40, "--seed", seed) == 0
        found.append(json.loads((tmp_path / "metrics.json").read_text())["generated"])
    assert found[0]["levels"] == 17 and found[0] == found[1]
    assert found[0]["bits_per_pixel"] != found[2]["bits_per_pixel"]


def test_a_run_finds_its_data_from_another_folder(tmp_path, monkeypatch, capsys):
    for part in ("train", "test"):
        (tmp_path / "set").mkdir(exist_ok=True)
        images(tmp_path / "set" / part, colour=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("train", "gan", "--data", "set", "--steps", 1, "--out", "run", "--set", "width=8") == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("evaluate", "../run") == 0
    for name in ("../set", tmp_path / "set", "../set/"):
        assert run("train", "gan", "--data", name, "--steps", 1, "--out", "../run", "--set", "width=8") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_classes_are_shown_with_their_numbers(tmp_path, capsys):
    for name in ("2 cat", "10 dog"):
        for i in range(3):
            square(tmp_path / "set" / name / f"{i}.png", 60 * i + 20)
    named = "0 2 cat, 1 10 dog"
    assert run("data", tmp_path / "set") == 0
    out = capsys.readouterr().out
    assert "; classes: 0 2 cat (3), 1 10 dog (3)" in out and "no test images: " in out and "no subfolder test/" in out
    command = ["train", "cgan", "--data", tmp_path / "set", "--size", 8, "--steps", 1, "--batch", 2, "--out"]
    assert run(*command, tmp_path / "run", *QUICK["cgan"]) == 0
    assert f"classes: {named}\n" in capsys.readouterr().out
    assert run("sample", tmp_path / "run", "--n", 2, "--labels", 1, "--out", tmp_path / "grid.png") == 0
    assert f"classes: 1; known: {named}\n" in capsys.readouterr().out


def test_class_accuracy_is_by_a_judge_of_the_same_classes(tmp_path, monkeypatch):
    """Not by ImageNet's classes, and not of a model of other classes than the data's."""
    assert run("train", "cgan", "--data", "digits", "--steps", 1, "--out", tmp_path / "run", *QUICK["cgan"]) == 0

    class Imagenet:
        features = staticmethod(metrics.pixels)
        probabilities = staticmethod(lambda x: torch.full((len(x), 1008), 1 / 1008))

    monkeypatch.setattr(metrics.report.inception, "load", lambda device: Imagenet)
    found = {}
    for features in ("judge", "inception"):
        assert run("evaluate", tmp_path / "run", "--n", 40, "--features", features) == 0
        found[features] = json.loads((tmp_path / "run" / "metrics.json").read_text())["generated"]
    assert "class_accuracy" in found["judge"] and "class_accuracy" not in found["inception"]
    assert "inception_score" in found["inception"]

    state = checkpoint.load(tmp_path / "run" / CHECKPOINT)
    state["run"]["classes"] = [f"article {i}" for i in range(10)]
    checkpoint.save(tmp_path / "run" / CHECKPOINT, {key: value for key, value in state.items() if key != "format"})
    assert run("evaluate", tmp_path / "run", "--n", 40, "--features", "judge") == 0
    assert "class_accuracy" not in json.loads((tmp_path / "run" / "metrics.json").read_text())["generated"]


def test_the_report_can_be_had_without_the_command_line(trained):
    model, _ = checkpoint.load_model(trained / CHECKPOINT)
    train_set, test_set = (cli.data.load("digits", split=split) for split in cli.data.SPLITS)
    found = metrics.evaluate_model(model, train_set, test_set, n=60)
    assert run("evaluate", trained, "--n", 60) == 0
    written = json.loads((trained / "metrics.json").read_text())
    assert written == {"data": "digits", "step": 5, **found}


def write(x: torch.Tensor, folder: Path, colour: bool = False, suffix: str = "png") -> Path:
    """Files of uint8 (n, C, H, W), without loss as PNG; grey ones with three equal channels if ``colour``."""
    folder.mkdir()
    for i, image in enumerate(x.permute(0, 2, 3, 1).squeeze(-1).numpy()):
        Image.fromarray(image).convert("RGB" if colour else None).save(folder / f"{i}.{suffix}")
    return folder


@pytest.mark.parametrize("colour", [False, True])
def test_files_are_measured_as_the_same_images_in_memory(colour, tmp_path, capsys):
    train_set, test_set = (data.load("digits", split=split) for split in data.SPLITS)
    made = train_set.x[:200].roll(1, 3)  # shifted by a pixel
    folder = write(made, tmp_path / "made", colour)
    command = ["evaluate", "--samples", folder, "--data", "digits", "--out", tmp_path / "deep" / "numbers.json"]
    assert run(*command) == 0
    printed = capsys.readouterr()
    assert f"digits, {folder}: 200 generated and as many real training images of shape (1, 8, 8), each" in printed.out
    found = json.loads((tmp_path / "deep" / "numbers.json").read_text())
    asked = {name: found.pop(name) for name in ("data", "folder")}
    assert asked == {"data": "digits", "folder": str(folder)} and not printed.err
    x = data.DataSet(made, name="made").images()
    assert found == metrics.evaluate_samples(x, train_set, test_set)
    assert found["samples"] == found["reference"] == 200 and found["features"] == "judge of digits at 8x8"
    net = metrics.judge("digits", 8)
    by_hand = metrics.evaluate(x, test_set.draw(200), net.features, net.probabilities)
    assert found["generated"] == pytest.approx(by_hand)
    real = metrics.evaluate(train_set.draw(200), test_set.draw(200), net.features, net.probabilities)
    assert found["real"] == real and found["generated"]["frechet"] > 2 * real["frechet"]

    # Some of them, by the seed; in another space; and without a file.
    assert run(*command, "--n", 50, "--seed", 4, "--features", "pixels") == 0
    found = json.loads((tmp_path / "deep" / "numbers.json").read_text())
    some, reference = (metrics.pixels(images) for images in (x[data.order(200, 4, 0, 50)], test_set.draw(50)))
    assert found["generated"]["frechet"] == metrics.frechet_distance(some, reference)
    assert "50 samples for 64 features: with so few, much of the Fréchet distance is bias" in capsys.readouterr().err
    assert run(*command[:-2], "--n", 50) == 0 and "written to" not in capsys.readouterr().out


def test_files_and_data_are_brought_to_one_size_by_one_function(tmp_path, capsys):
    test = data.load("digits", split="test")
    folder = write(test.x[:80], tmp_path / "made")
    out = tmp_path / "numbers.json"
    assert run("evaluate", "--samples", folder, "--data", "digits", "--size", 16, "--out", out) == 0
    larger = data.load("digits", size=16, split="test").images(80)
    sets = [data.load("digits", size=16, split=split) for split in data.SPLITS]
    found = json.loads(out.read_text())
    assert found["features"] == "judge of digits at 16x16"
    assert found["generated"] == metrics.evaluate_samples(larger, *sets)["generated"]


def test_more_files_than_training_images(tmp_path, capsys):
    """Measured are as many as there are real ones to put beside them."""
    own = tmp_path / "own"
    own.mkdir()
    digits = data.load("digits")
    write(digits.x[:20], own / "train"), write(digits.x[20:40], own / "test")
    folder = write(digits.x[40:70], tmp_path / "made")
    assert run("evaluate", "--samples", folder, "--data", own) == 0
    assert f"{own}, {folder}: 20 generated and as many real training images" in capsys.readouterr().out


def test_mistakes_in_files_are_told_by_their_option(tmp_path, capsys, trained):
    digits = data.load("digits").x
    grey, few = write(digits[:8], tmp_path / "grey"), write(digits[:5], tmp_path / "few")
    own = tmp_path / "own"
    own.mkdir()
    for split in data.SPLITS:
        images(own / split, colour=True)
    colour = images(tmp_path / "colour", colour=True)
    mixed = write(digits[:8], tmp_path / "mixed")
    square(mixed / "z.png", 90, (9, 8))
    broken = write(digits[:8], tmp_path / "broken")
    (broken / "3.png").write_bytes(b"no image")
    (tmp_path / "empty").mkdir()
    for samples, arguments, message in [
        (tmp_path / "none", ["--data", "digits"], "--samples: {} does not exist, expected a folder of images"),
        (tmp_path / "empty", ["--data", "digits"], "--samples: {} holds no images, expected files that end in"),
        (few, ["--data", "digits"], "--samples must be at least 6 images, got 5"),
        (grey, ["--data", "digits", "--n", 5], "--n must be at least 6 images, got 5"),
        (grey, ["--data", "digits", "--n", 0], "--n must be at least 6 images, got 0"),
        (grey, ["--data", "glyphs"], "--samples: {}/0.png is 8x8, expected images of 32x32 as those of 'glyphs'; "),
        (grey, ["--data", own], "--samples: {}/0.png and all others are grey, expected images in colour as those of"),
        (colour, ["--data", "digits"], "--samples: {}/0.png is in colour, expected grey images as those of 'digits'"),
        (mixed, ["--data", "digits"], "/z.png is 9x8 but {}/0.png is 8x8; give a size to bring them to one"),
        (broken, ["--data", "digits"], "--samples: {}/3.png cannot be read as an image"),
        (grey, ["--data", grey], "has no subfolder test/"),
        (grey, [], "--data must be given beside --samples"),
        (grey, ["--data", "digitz"], "Did you mean 'digits'?"),
        (grey, ["--data", "neon-digits"], "--data 'neon-digits' is for translators; --samples are compared with"),
        (grey, ["--data", "digits", "--size", 0], "--size: got 0"),
        (colour, ["--data", own, "--features", "judge"], "no judge for"),
    ]:
        assert message.format(samples) in errors(capsys, "evaluate", "--samples", samples, *arguments)
    assert "evaluate needs the folder of a run, or --samples" in errors(capsys, "evaluate")
    assert "and not both" in errors(capsys, "evaluate", trained, "--samples", grey, "--data", "digits")
    assert "--size is for --samples" in errors(capsys, "evaluate", trained, "--size", 8)
    dark = write(digits[:70] // 255, tmp_path / "dark")  # 0 and 1, as of values in [0, 1]
    assert run("evaluate", "--samples", dark, "--data", "digits") == 0
    assert f"warning: {dark}: no pixel is brighter than 1 of 255" in capsys.readouterr().err


def test_the_numbers_of_a_run_can_go_elsewhere(trained, tmp_path):
    assert run("evaluate", trained, "--n", 60, "--out", tmp_path / "numbers.json") == 0
    assert json.loads((tmp_path / "numbers.json").read_text())["step"] == 5 and not (trained / "metrics.json").exists()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(9, 1, 8, 9), r"samples must have the shape of the data 'digits', \(1, 8, 8\), got \(1, 8, 9\)"),
        (torch.full((9, 1, 8, 8), 255.0), r"images must lie in \[-1, 1\], got values from 255 to 255"),
        (torch.zeros(9, 1, 8, 8, dtype=torch.uint8), "images must be floating point"),
        (torch.zeros(5, 1, 8, 8), "samples must be at least 6 images, got 5"),
    ],
)
def test_samples_in_memory_are_checked(samples, message):
    with pytest.raises(ValueError, match=message):
        metrics.evaluate_samples(samples, *(data.load("digits", split=split) for split in data.SPLITS))


@pytest.mark.data("cifar10-jpeg")
def test_files_like_those_of_cifar10(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", partial(data.load, limit=600))  # to read all takes a minute
    test = data.load("cifar10-jpeg", split="test")
    folder = write(test.x[:300], tmp_path / "made")
    assert run("evaluate", "--samples", folder, "--data", "cifar10", "--out", tmp_path / "numbers.json") == 0
    found = json.loads((tmp_path / "numbers.json").read_text())
    assert found["data"] == "cifar10-jpeg" and found["features"] == "judge of cifar10-jpeg at 32x32"
    net = metrics.judge("cifar10-jpeg", 32)
    expected = metrics.frechet_distance(net.features(test.images(300)), net.features(test.draw(300)))
    assert found["generated"]["frechet"] == pytest.approx(expected)


def test_help_and_usage(capsys):
    for arguments in (["--help"], ["train", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as stop:
            run(*arguments)
        assert stop.value.code == 0
    with pytest.raises(SystemExit) as stop:
        run("train", "gan")
    assert stop.value.code == 2
    assert "required: --data, --out" in capsys.readouterr().err


def test_a_run_may_start_from_the_weights_of_another(capsys, tmp_path):
    """After a decay, a run cannot be extended: another one goes on from its weights, with a schedule of its own."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("train", "gan", *SMALL, "--steps", 4, "--decay-from", 2, "--out", first) == 0
    assert run("train", "gan", *SMALL, "--steps", 3, "--batch", 8, "--start-from", first, "--out", second) == 0
    by_hand, state = checkpoint.load_model(first / CHECKPOINT)
    checkpoint.restore(by_hand, state)  # with Adam's moments
    fit(by_hand, data.load("digits"), 3, batch=8, seed=3, progress=False)
    got = weights(second)
    assert all(torch.equal(tensor, got[name]) for name, tensor in checkpoint.tensors(by_hand.state_dict()))
    # The same command goes on with the new run, not with the old one.
    assert run("train", "gan", *SMALL, "--steps", 5, "--batch", 8, "--start-from", first, "--out", second) == 0
    assert "after step 3" in capsys.readouterr().out
    wider = ["--set", "width=9", "--start-from", first, "--out", tmp_path / "wider"]
    said = errors(capsys, "train", "gan", *SMALL, *wider)
    assert "made with other settings: width was 128, now 9" in said
