"""Generators that were trained for the book, to be loaded by name.

Their settings, times and measurements are in the table of the same name (:func:`gan_course.notebook.stored`).
"""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import nn

import gan_course
from gan_course.data import downloads
from gan_course.errors import DataError, unknown
from gan_course.models import family


@dataclass(frozen=True)
class Weights:
    """What a file of weights must be."""

    size: int  #: in bytes
    sha256: str


#: Lines as printed by ``tools/results.py run`` for the tables of these names.
TRAINED: dict[str, Weights] = {
    "biggan_cifar10": Weights(938412, "2d5e33ab69e4d22f92de5ab73141927e03a2c6c537144d6eb16433c2258120c4"),
    "captions_glyphs": Weights(887518, "2afcc52555e4e8e78553ab6d6d09b732fed1937d4fe5266ac312cb27caaa04b3"),
    "conditional_mnist": Weights(1142898, "76379f012a45c402d017985a128a833eb20b688dcd46d66681e6495d5bb3952d"),
    "cyclegan_facades": Weights(1385964, "be2f9b797ae8ceb7f3c33425192e55e61a0bebf526896839ade712b1bab58b59"),
    "dcgan_cifar10": Weights(858782, "3b29a2d9d21d7f9aca0ef1a95613cd4e03ea9ea11636a2900e8fe7bdadc1088b"),
    "pix2pix_facades": Weights(2803170, "789b258b248e44b668cfeefc8b5d60ca5db23290584f7f028d698b545fd130f1"),
    "pix2pix_handwritten": Weights(822394, "49ee8981c41b10761fd9da44f7fb8abf11bf0c66313d14f59f67c80a1c0eaec0"),
    "projection_cifar10": Weights(1925894, "4070e432ed1cd76bc6f6051af97a9e735ff8e2e8158f95f0e1fa44ea28fa2c17"),
    "r3gan_cifar10": Weights(126304, "2dc381269b1934e0bd4a94a003e0c5554a9c0b4b69955abdb6b2d61ae230f199"),
    "sngan_cifar10": Weights(2441222, "e3544e3d3c745e7d4eda13a999e6fd07135d01d039c7a06e72a06dfc96002a84"),
    "stargan_glyphs": Weights(143488, "40bedb0e164fae55848142e4225314e637b2ff8ed161cf7de03306f810afa4c0"),
    "wgan_gp_cifar10": Weights(858830, "355cc290ccf34e8f031889f81c80c309e383ead84d22d6b7ac40da51d75d58c2"),
}


def load(name: str, device: str | torch.device = "cpu") -> nn.Module:
    """Return the model of a family with a trained generator, in evaluation mode.

    ``sample``, ``latents`` and ``decode``, or ``translate``, are as in training. Of its networks it has the averaged
    generator alone (``ema``, and ``generator`` with the same weights), stored by half precision: it cannot be trained
    further. One that reads captions has none of its own: give ``sample`` some.

    Args:
        name: a key of :data:`TRAINED`.
        device: where to put it.

    Raises:
        ValueError: there is none of that name; names the nearest.
        DataError: the file cannot be downloaded, or is damaged.
    """
    if name not in TRAINED:
        raise unknown("trained generator", name, TRAINED)
    with safe_open(_file(name), "pt") as file:
        made = json.loads(file.metadata()["model"])
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is not a dict)
    model = family(made["family"])(**made["settings"])
    for own in ("discriminator", "critic", "pool", "optimizer_g", "optimizer_d"):
        if hasattr(model, own):
            delattr(model, own)  # what was never trained shall not be taken for what was
    for network in (model.generator, model.ema.network):
        network.load_state_dict(weights)  # into float32
    return model.requires_grad_(False).eval().to(device)


def pack(model: nn.Module) -> bytes:
    """Return what a file of weights holds: family, settings and averaged generator of a model, by half precision."""
    state = model.ema.network.state_dict()
    weights = {key: v.half() if v.is_floating_point() else v for key, v in state.items()}
    made = json.dumps({"family": model.family, "settings": model.settings})
    return to_bytes({key: v.contiguous().cpu() for key, v in weights.items()}, {"model": made})


def _file(name: str) -> Path:
    """Return the verified file: of the repository where the package lies in it, else of the cache, else downloaded."""
    file, about = f"{name}.safetensors", TRAINED[name]
    package = Path(gan_course.__file__).parent
    source = downloads.Download(
        mirrors=[f"{_repository()}/raw/main/book/weights/{file}"],
        size=about.size,
        known_hash=f"sha256:{about.sha256}",
        instead="train one yourself: the chapter that shows it has the command",
    )
    own = package.parent / "book" / "weights" / file
    if not own.is_file():
        return downloads.fetch(f"the trained generator {name}", source)
    if wrong := source.fault(own):
        raise DataError(f"{own} {wrong}; get it again with git")
    return own


def _repository() -> str:
    """Return the repository's address, as the installed package knows it."""
    urls = importlib.metadata.metadata("gan-course").get_all("Project-URL")
    return dict(url.split(", ") for url in urls)["Repository"]
