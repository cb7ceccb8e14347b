"""Generators for web pages: the JavaScript computes what torch computes, and what the rounding costs is known."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_course import cli, data
from gan_course.models import export, family, trained
from gan_course.models.acgan import ACGAN
from gan_course.models.autoregressive import Autoregressive
from gan_course.models.conditional import ConditionalGAN, ProjectionGAN
from gan_course.models.cyclegan import CycleGAN
from gan_course.models.dcgan import DCGAN
from gan_course.models.gan import GAN
from gan_course.models.pix2pix import Pix2Pix
from gan_course.models.sngan import SNGAN
from gan_course.models.text import TextGAN
from gan_course.models.vae import VAE
from gan_course.models.wgan import WGANGP
from gan_course.train import fit
from tools import standin

GREY, PAIR = (1, 16, 16), (2, 3, 16, 16)
SMALL = {
    "gan": (GAN, {"shape": GREY, "latent_dim": 5, "width": 12}),
    "points": (GAN, {"shape": (2,), "latent_dim": 3, "width": 12, "batch_norm": False}),
    "wgan-gp": (WGANGP, {"shape": GREY, "latent_dim": 5, "width": 4, "networks": "conv"}),
    "dcgan": (DCGAN, {"shape": (3, 16, 16), "latent_dim": 5, "width": 4}),
    "dcgan-resize": (DCGAN, {"shape": GREY, "latent_dim": 5, "width": 4, "up": "resize"}),
    "sngan": (SNGAN, {"shape": (3, 16, 16), "latent_dim": 5, "width": 4}),
    "sngan-resnet": (SNGAN, {"shape": (3, 16, 16), "latent_dim": 5, "width": 4, "networks": "resnet"}),
    "cgan": (ConditionalGAN, {"shape": GREY, "latent_dim": 5, "width": 4}),
    "acgan": (ACGAN, {"shape": GREY, "latent_dim": 5, "width": 4}),
    "projection": (ProjectionGAN, {"shape": GREY, "latent_dim": 5, "width": 4, "num_classes": 3}),
    "text": (TextGAN, {"shape": PAIR[1:], "latent_dim": 5, "width": 4, "num_classes": 20, "text_dim": 6}),
    "pix2pix": (Pix2Pix, {"shape": PAIR, "width": 4}),
    "pix2pix-batch": (Pix2Pix, {"shape": PAIR, "width": 4, "norm": "batch"}),
    "pix2pix-plain": (Pix2Pix, {"shape": PAIR, "width": 4, "norm": "none"}),
    "cyclegan": (CycleGAN, {"shape": PAIR, "width": 4, "blocks": 2}),
    "cyclegan-batch": (CycleGAN, {"shape": PAIR, "width": 4, "blocks": 1, "downs": 1, "norm": "batch"}),
}


def made(name: str) -> torch.nn.Module:
    """A small model with weights, batch statistics and gains (of each class) that are like none at the start."""
    model, settings = SMALL[name]
    torch.manual_seed(0)
    model = model(**settings)
    for key, value in model.ema.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.add_(0.3 * torch.randn_like(value))
        if key.endswith("embed.weight"):
            value[0] = 0  # padding, which stays so in training
    return model


def inputs(model: torch.nn.Module, n: int) -> tuple[list[dict], tuple[torch.Tensor, ...]]:
    """What the script's generator is given, n times, and the same for ``decode`` or ``translate``."""
    torch.manual_seed(1)
    if hasattr(model, "translate"):
        x = torch.rand(n, *model.shape[1:]) * 2 - 1
        return [{"image": image.flatten().tolist()} for image in x], (x,)
    z = model.latents(n)
    given = [{"z": row.tolist()} for row in z]
    if "num_classes" not in model.settings:
        return given, (z,)
    if getattr(model, "reads_captions", False):
        labels = torch.randint(0, model.num_classes, (n, min(model.max_words, 10)))  # padding among them
        labels[0] = 0  # an empty caption
    else:
        labels = torch.arange(n) % model.num_classes
    key = "words" if labels.ndim == 2 else "label"
    return [{**g, key: y.tolist()} for g, y in zip(given, labels, strict=True)], (z, labels)


def in_page(script: str, given: list[dict], folder: Path, root: Path) -> torch.Tensor:
    """What the JavaScript makes of a script and inputs, (n, values)."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (folder / "weights.js").write_text(script, encoding="utf-8")
    command = [node, str(root / "lab" / "run_generator.js"), str(folder / "weights.js")]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return torch.tensor(json.loads(done.stdout)["outputs"])


def body(script: str) -> dict:
    """The object in a script."""
    return json.loads(script.partition(", ")[2].removesuffix(");\n"))


@pytest.mark.parametrize("name", SMALL)
def test_the_page_computes_what_torch_computes_with_the_same_weights(name, tmp_path, root):
    model = made(name)
    given, arguments = inputs(model, 5)
    translates, ways = hasattr(model, "translate"), ("ab", "ba") if name.startswith("cyclegan") else ("ab",)
    for way in ways:
        got = in_page(export.to_script(model, name, direction=way), given, tmp_path, root)
        rounded = export.rounded(model, way)
        extra = (way,) if len(ways) > 1 else ()
        use = [m.translate if translates else m.decode for m in (rounded, model)]
        wanted, exact = (function(*arguments, *extra) for function in use)
        torch.testing.assert_close(got, wanted.flatten(1), atol=1e-4, rtol=1e-4)
        assert not torch.equal(wanted, exact), "rounding changes something, or nothing was rounded"
        assert (wanted - exact).abs().mean() < 0.05 * exact.std()


def test_each_output_has_a_scale_of_its_own_and_batch_norm_is_folded():
    model = made("dcgan")
    layers = body(export.to_script(model, "x"))["layers"]
    assert {layer["op"] for layer in layers} == {"linear", "reshape", "relu", "transposed", "tanh"}
    network = model.ema.network
    before = network.project[0].weight.clone()
    rounded = export.rounded(model).ema.network.project[0].weight
    assert torch.equal(network.project[0].weight, before), "the model itself stays as it is"
    scale = before.abs().amax(1, keepdim=True) / 127
    torch.testing.assert_close((rounded / scale).round() * scale, rounded)
    assert ((rounded - before).abs() <= scale / 2 * 1.001).all()
    found = body(export.to_script(made("projection"), "x"))
    assert [layer["classes"] for layer in found["layers"] if layer["op"] == "affine"] == [3] * 3
    instance = [layer for layer in body(export.to_script(made("pix2pix"), "x"))["layers"] if layer["op"] == "instance"]
    assert instance == [{"op": "instance", "eps": 1e-5}] * 5


def test_a_row_of_zeros_stays_zero(tmp_path, root):
    model = made("dcgan")
    last = model.ema.network.to_image[0]
    last.weight.data[:, 1] = 0  # of a transposed convolution: the second output
    last.bias.data[1] = 0.5
    given, arguments = inputs(model, 2)
    got = in_page(export.to_script(model, "zero"), given, tmp_path, root).view(2, 3, -1)
    torch.testing.assert_close(got[:, 1], torch.full((2, 256), 0.5).tanh())


def test_weights_that_are_almost_nothing_become_nothing(tmp_path, root):
    model = made("gan")
    last = [m for m in model.ema.network.modules() if isinstance(m, torch.nn.Linear)][-1]
    last.weight.data[3] = 1e-44  # a hundred and twenty-seventh of it is none of float32's numbers
    last.weight.data[4] = -0.0
    last.bias.data[3:5] = torch.tensor([0.25, -0.5])
    given, arguments = inputs(model, 2)
    got = in_page(export.to_script(model, "small"), given, tmp_path, root)
    torch.testing.assert_close(got[:, 3:5], torch.tensor([[0.25, -0.5]] * 2).tanh())
    torch.testing.assert_close(export.rounded(model).decode(*arguments).flatten(1), got, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["weight", "running_var"])
def test_a_generator_that_diverged_is_refused(value, part):
    model = made("dcgan")
    state = model.ema.network.state_dict()
    key = [key for key in state if key.endswith(part)][-1]
    state[key].view(-1)[-1] = value
    with pytest.raises(ValueError, match=f"model must have finite weights, got infinities or NaN in {key}$"):
        export.to_script(model, "x")


def test_what_a_file_holds():
    model = made("text")
    script = export.to_script(model, "words-1", classes=[f"w{i}" for i in range(20)])
    assert script.startswith('GanGenerators.weights("words-1", {') and script.isascii()
    found = body(script)
    assert found["family"] == "text" and found["shape"] == [3, 16, 16] and found["format"] == export.FORMAT
    assert found["input"] | {"names": 0} == {"kind": "latent", "latent": 5, "words": 20, "longest": 16, "names": 0}
    assert found["input"]["names"][3] == "w3"
    count = sum(p.numel() for m in model.ema.network.modules() for p in m.parameters(recurse=False) if p.ndim > 1)
    assert len(b64decode(found["weights"])) == count
    assert np.abs(np.frombuffer(b64decode(found["weights"]), np.int8).astype(int)).max() == 127


@pytest.mark.parametrize("model, arguments, message", [
    (lambda: VAE(shape=GREY), {}, "family 'vae' cannot be exported: expected a model whose averaged generator"),
    (lambda: Autoregressive(shape=GREY), {}, "family 'autoregressive' cannot be exported"),
    (lambda: torch.nn.Linear(1, 1), {}, "a Linear cannot be exported"),
    (lambda: made("dcgan"), {"direction": "ba"}, "direction must be 'ab' where there is one generator, got 'ba'"),
    (lambda: made("cyclegan"), {"direction": "up"}, "direction must be one of ab, ba, got 'up'"),
    (lambda: made("dcgan"), {"name": "a b"}, "name must have letters, digits, _ and - only, got 'a b'"),
    (lambda: made("dcgan"), {"name": '");alert("'}, "name must have"),
    (lambda: made("dcgan"), {"classes": ["a"]}, "classes must be left out for a model without classes or words"),
    (lambda: made("pix2pix"), {"classes": ["a"]}, "classes must be left out for a model without classes or words"),
    (lambda: made("projection"), {"classes": ["a"]}, "classes must be the 3 names that the model has numbers for"),
])  # fmt: skip
def test_what_cannot_be_exported_is_said(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        export.to_script(model(), **{"name": "x", **arguments})


def test_layers_from_elsewhere_are_refused():
    model = made("dcgan")
    model.ema.network.to_image.append(torch.nn.Sigmoid())
    with pytest.raises(ValueError, match="a layer of type Sigmoid cannot be exported"):
        export.to_script(model, "x")
    model = made("dcgan")
    model.ema.network.to_image[0] = torch.nn.ConvTranspose2d(4, 3, (4, 2), stride=2, padding=(1, 0))
    with pytest.raises(ValueError, match="other along rows than along columns"):
        export.to_script(model, "x")


@pytest.mark.parametrize("layer, message", [
    (torch.nn.Upsample(scale_factor=2, mode="bilinear"), "a layer of type Upsample cannot be exported: .*bilinear"),
    (torch.nn.Upsample(scale_factor=3), "a layer of type Upsample cannot be exported"),
    (torch.nn.InstanceNorm2d(3, affine=True), "a layer of type InstanceNorm2d cannot be exported"),
    (torch.nn.InstanceNorm2d(3, track_running_stats=True), "a layer of type InstanceNorm2d cannot be exported"),
    (torch.nn.Conv2d(3, 3, 3, dilation=2), "a convolution that is dilated"),
    (torch.nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"), "padded by other than zeros or reflection"),
    (torch.nn.ConvTranspose2d(3, 3, 4, stride=2, output_padding=(1, 0)), "other along rows than along columns"),
])  # fmt: skip
def test_layers_that_the_page_would_compute_otherwise_are_refused(layer, message):
    model = made("dcgan")
    model.ema.network.to_image.append(layer)
    with pytest.raises(ValueError, match=message):
        export.to_script(model, "x")


@pytest.mark.skipif(not standin.AVAILABLE, reason="this torch is too old for a device written in Python")
@pytest.mark.parametrize("name", ["projection", "text", "cyclegan-batch"])
def test_a_model_on_a_device_gives_the_same_file(name):
    model = made(name)
    script, rounded = export.to_script(model, name), export.rounded(model).ema.state_dict()
    with standin.on_device() as device:
        model.to(device)
        assert export.to_script(model, name) == script
        for key, value in export.rounded(model).ema.state_dict().items():
            assert value.device.type == device.type and torch.equal(value.cpu(), rounded[key])


# --- the command ----------------------------------------------------------------------------------
def test_the_command_writes_a_run(tmp_path, monkeypatch, capsys):
    train_set = data.load("digits", size=16, limit=64)
    model = family("cgan")(shape=train_set.shape, width=4, latent_dim=5)
    fit(model, train_set, 2, batch=8, out=tmp_path / "mine", progress=False)
    assert cli.main(["export-web", str(tmp_path / "mine"), str(tmp_path / "web")]) == 0
    text = (tmp_path / "web" / "mine.js").read_text()
    assert text == export.to_script(model, "mine", classes=train_set.classes)
    assert f"{len(text):,} bytes, {len(gzip.compress(text.encode(), 9)):,} compressed" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(["export-web", ".", str(tmp_path / "here")]) == 0
    assert (tmp_path / "here" / "mine.js").read_text() == text
    assert cli.main(["export-web", str(tmp_path / "mine"), str(tmp_path / "other.js"), "--classes", *"abcdefghij"]) == 0
    assert body((tmp_path / "other.js").read_text())["input"]["names"] == list("abcdefghij")


@pytest.mark.parametrize("arguments, message", [
    (["nothing", "web"], "model must be the folder of a run, or one of biggan_cifar10, "),
    (["dcgan_cifar10", "web", "--direction", "ba"], "--direction must be 'ab' where there is one generator"),
    (["conditional_mnist", "web", "--classes", "a"], "--classes must be the 10 names"),
])  # fmt: skip
def test_the_command_says_what_is_wrong(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export-web", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f" {message}" in error
    assert not (tmp_path / "web").exists()


# --- the committed files --------------------------------------------------------------------------
def shown(root: Path) -> dict[str, dict]:
    """What the pages say of the generators that they show."""
    return json.loads((root / "lab" / "src" / "generators" / "models.json").read_text())


def test_pages_have_the_generators_that_they_name(root):
    files = {file.stem: file for file in (root / "book" / "weights" / "web").glob("*")}
    assert set(files) == set(shown(root))
    for name, about in shown(root).items():
        assert about["bytes"] == files[name].stat().st_size <= 1.9e6
        assert len(gzip.compress(files[name].read_bytes(), 9)) <= 1.4e6


@pytest.mark.parametrize("name", [
    "conditional_mnist", "projection_cifar10", "captions_glyphs", "pix2pix_facades", "pix2pix_handwritten",
])  # fmt: skip
def test_the_files_are_those_of_the_trained_generators(name, root, tmp_path):
    model, script = trained.load(name), (root / "book" / "weights" / "web" / f"{name}.js").read_text()
    names = body(script)["input"].get("names")
    assert script == export.to_script(model, name, classes=names)
    if getattr(model, "reads_captions", False):
        assert names == data.glyphs.VOCABULARY
    given, arguments = inputs(model, 3)
    rounded = export.rounded(model)
    wanted = rounded.translate(*arguments) if hasattr(model, "translate") else rounded.decode(*arguments)
    torch.testing.assert_close(in_page(script, given, tmp_path, root), wanted.flatten(1), atol=1e-4, rtol=1e-4)
