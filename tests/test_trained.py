"""Trained generators: loaded from the repository, the cache or a server, and only if they are what they should be."""

from __future__ import annotations

import hashlib
import io
import json
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gan_course
from gan_course import notebook
from gan_course.data import glyphs
from gan_course.errors import DataError
from gan_course.models import trained
from gan_course.models.cyclegan import CycleGAN
from gan_course.models.dcgan import DCGAN
from gan_course.models.pix2pix import Pix2Pix
from gan_course.models.text import TextGAN
from gan_course.models.wgan import WGANGP
from tools.experiments import stargan


def tiny(model):
    torch.manual_seed(0)
    gan = model(shape=(1, 16, 16), latent_dim=4, width=2, **({"networks": "conv"} if model is WGANGP else {}))
    gan.step(torch.rand(gan.n_critic, 4, 1, 16, 16) * 2 - 1)  # the average and the last weights differ now
    return gan


@pytest.fixture
def published(monkeypatch, tmp_path, mirror):
    """A generator at a server on this machine, for a package that lies in no repository; returned with its file."""
    gan = tiny(DCGAN)
    content = trained.pack(gan)
    about = trained.Weights(len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(trained, "TRAINED", {"tiny": about})
    monkeypatch.setattr(trained, "_repository", lambda: mirror.url)
    monkeypatch.setattr(gan_course, "__file__", str(tmp_path / "site-packages" / "gan_course" / "__init__.py"))
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    mirror.files["/raw/main/book/weights/tiny.safetensors"] = content
    return gan, content


def tiles(png: bytes, shape: tuple[int, ...]) -> torch.Tensor:
    """The images of a published grid, row by row: (n, C, H, W) in [-1, 1]."""
    c, h, w = shape[-3:]
    grid = torch.from_numpy(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).copy()).permute(2, 0, 1)[:c]
    cut = grid[:, 1:, 1:].unfold(1, h, h + 1).unfold(2, w, w + 1)  # tiles with a line of one pixel around each
    return cut.flatten(1, 2).transpose(0, 1) / 127.5 - 1


def same(model, gan) -> bool:
    """Whether both draw the same images, up to the rounding of halves."""
    pair = [g.sample(8, generator=torch.Generator().manual_seed(1)) for g in (model, gan)]
    return torch.allclose(*pair, atol=5e-3)


def test_it_is_downloaded_once(published, mirror):
    gan, _ = published
    for _ in range(2):
        model = trained.load("tiny")
        assert same(model, gan) and isinstance(model, DCGAN) and not model.training
    assert mirror.requests == ["/raw/main/book/weights/tiny.safetensors"]
    z = model.latents(8, torch.Generator().manual_seed(1))
    assert torch.equal(model.generator(z), model.decode(z)), "the average and nothing else"
    assert not any(p.requires_grad for p in model.parameters())


def test_what_was_not_trained_is_not_there(published):
    model = trained.load("tiny")
    for name in ("discriminator", "optimizer_g", "optimizer_d"):
        assert not hasattr(model, name)


def test_a_repository_needs_no_server(published, tmp_path, mirror):
    gan, content = published
    folder = tmp_path / "site-packages" / "book" / "weights"
    folder.mkdir(parents=True)
    (folder / "tiny.safetensors").write_bytes(content)
    assert same(trained.load("tiny"), gan) and mirror.requests == []
    (folder / "tiny.safetensors").write_bytes(content[:-1] + b"!")
    with pytest.raises(DataError, match=r"tiny\.safetensors has sha256 .* expected .* get it again"):
        trained.load("tiny")


@pytest.mark.parametrize("served", [b"x", None], ids=["another file", "nothing"])
def test_other_answers_are_refused(published, mirror, tmp_path, served):
    """Also when it has the right length; and the message says where to put it by hand, and what would do instead."""
    _, content = published
    mirror.files["/raw/main/book/weights/tiny.safetensors"] = served and served * len(content)
    with pytest.raises(DataError, match=r"(?s)tiny.*by hand at .*cache.*train one yourself"):
        trained.load("tiny")
    assert not (tmp_path / "cache" / "tiny.safetensors").exists()


def test_offline(published, monkeypatch):
    monkeypatch.setattr(trained, "_repository", lambda: "http://127.0.0.1:1")  # nobody listens there
    with pytest.raises(DataError, match="by hand"):
        trained.load("tiny")


def test_unknown_names_are_told():
    with pytest.raises(ValueError, match="unknown trained generator 'sngan_cifar'"):
        trained.load("sngan_cifar")


def test_the_address_is_the_repository(root):
    assert f"url: {trained._repository()}\n" in (root / "_config.yml").read_text("utf-8")


def test_other_families(published, monkeypatch, mirror):
    gan = tiny(WGANGP)
    content = trained.pack(gan)
    mirror.files["/raw/main/book/weights/w.safetensors"] = content
    monkeypatch.setitem(trained.TRAINED, "w", trained.Weights(len(content), hashlib.sha256(content).hexdigest()))
    model = trained.load("w")
    assert same(model, gan) and not hasattr(model, "critic")


def redrawn(model, row, shown):
    """What the published grid shows, made once more: pairs of images to compare."""
    if model.family == "cyclegan":
        photo, made, _, maps, back = shown.chunk(5)
        return [(model.translate(photo), made), (model.translate(maps, "ba"), back)]
    if model.family == "pix2pix":
        source, made, _ = shown.chunk(3)
        return [(model.translate(source), made)]
    if model.family == "stargan":
        fixed = {"family": glyphs.COMPLETE_FAMILIES}
        characters = glyphs.make(500, glyphs.SPLIT_SEEDS["test"], model.shape[-1], fixed=fixed)
        return [(stargan.sheet(model, characters, torch.device("cpu")), shown)]
    labels = torch.tensor(row["words"]) if model.family == "text" else None
    images = model.sample(64, labels, torch.Generator().manual_seed(0))
    assert images.std() > 0.2
    return [(images, shown)]


@pytest.mark.parametrize("model", [Pix2Pix, CycleGAN])
def test_translators(published, monkeypatch, mirror, model):
    torch.manual_seed(0)
    translator = model((2, 1, 32, 32), width=4, **({"blocks": 1} if model is CycleGAN else {}))
    translator.step(torch.rand(1, 2, 2, 1, 32, 32) * 2 - 1)
    content = trained.pack(translator)
    mirror.files["/raw/main/book/weights/t.safetensors"] = content
    monkeypatch.setitem(trained.TRAINED, "t", trained.Weights(len(content), hashlib.sha256(content).hexdigest()))
    loaded, x = trained.load("t"), torch.rand(2, 1, 32, 32) * 2 - 1
    for way in [("ab",), ("ba",)] if model is CycleGAN else [()]:
        assert torch.allclose(loaded.translate(x, *way), translator.translate(x, *way), atol=5e-3)
    assert not hasattr(loaded, "discriminator") and not hasattr(loaded, "pool")


def test_a_text_generator(published, monkeypatch, mirror):
    torch.manual_seed(0)
    gan = TextGAN((3, 16, 16), 9, 4, width=4)
    content = trained.pack(gan)
    mirror.files["/raw/main/book/weights/t.safetensors"] = content
    monkeypatch.setitem(trained.TRAINED, "t", trained.Weights(len(content), hashlib.sha256(content).hexdigest()))
    words = torch.randint(1, 9, (5, 4))
    pair = [g.sample(5, words, torch.Generator().manual_seed(1)) for g in (gan, trained.load("t"))]
    assert torch.allclose(*pair, atol=5e-3)


@pytest.mark.parametrize("name", trained.TRAINED)
def test_the_books_own(name):
    """Each file is small, is what its table says, and draws what its table shows."""
    table = notebook.stored(name)
    row = table["rows"][0]
    assert row["seed"] == 0 and row["sha256"] == trained.TRAINED[name].sha256
    assert trained.TRAINED[name].size <= 3e6
    model = trained.load(name)
    assert model.family == table["settings"].get("family", model.family)
    of_data = ("shape", "num_classes")
    known = {key: value for key, value in json.loads(json.dumps(model.settings)).items() if key not in of_data}
    assert known.pop("ema_ramp", False) == table["settings"].get("ema_ramp", False)  # off in tables that do not name it
    assert known.items() <= table["settings"].items()
    for again, shown in redrawn(model, row, tiles(b64decode(row["samples_png"]), model.shape)):
        assert again.shape == shown.shape and again.abs().max() <= 1
        assert (again - shown).abs().mean() < 2 / 255, "weights were rounded to halves, grey to 16 levels"


def test_all_weights_are_known_and_small(root):
    files = list((root / "book" / "weights").glob("*.*")) if (root / "book" / "weights").exists() else []
    assert {Path(file).name for file in files} == {f"{name}.safetensors" for name in trained.TRAINED}
    assert sum(file.stat().st_size for file in files) <= 25e6
