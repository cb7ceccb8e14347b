"""One file per family of models: its networks and a complete training ``step``. All families have in common:

``step(real, labels=None)`` makes ``n_critic`` updates of the discriminator and one of the generator.

- ``real``: ``(n_critic, B, *shape)``, floating point, a new batch for each update of the discriminator; images lie in
  [-1, 1]. B is at least 2 where there is batch norm.
- ``labels``: ``(n_critic, B)``, whole numbers, where a family is told the class; not used elsewhere.
- It returns detached scalars of each network's last update: its loss, ``loss_d`` and ``loss_g``, and of a discriminator
  with logits the means over the real and the generated batch, ``logit_real`` and ``logit_fake``; more where it says so.

``sample(n, labels=None, generator=None)`` draws ``(n, *shape)`` from the averaged generator. The same seed of a
``generator`` on the CPU gives the same latents on every device.

Arguments of the constructors, each refused by a ValueError where it is out of range:

- ``shape``: of one sample: ``(C, H, W)`` for images, with values in [-1, 1], or ``(dim,)`` for points.
- ``latent_dim``: dimension of the standard normal latent.
- ``width``: units of each hidden layer of a perceptron, or channels of the finest maps of a convolutional network.
- ``loss``: name of the game, a key of :data:`gan_course.losses.LOSSES` (of an R3GAN "relativistic" as well).
- ``lr_g``, ``lr_d``: learning rates of generator and discriminator; ``beta1``, ``beta2``: Adam's decay rates, for both.
- ``ema_decay``: decay of the average of the generator that is sampled from; 0 for its last weights.
- ``n_critic``: updates of the discriminator per step.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from gan_course.data.sets import DataSet, Domains
from gan_course.errors import unknown
from gan_course.models.acgan import ACGAN
from gan_course.models.autoregressive import Autoregressive
from gan_course.models.conditional import ConditionalGAN, ProjectionGAN
from gan_course.models.cyclegan import CycleGAN
from gan_course.models.dcgan import DCGAN
from gan_course.models.gan import GAN
from gan_course.models.pix2pix import Pix2Pix
from gan_course.models.r3gan import R3GAN
from gan_course.models.sngan import SNGAN
from gan_course.models.stylegan import StyleGAN
from gan_course.models.text import TextGAN
from gan_course.models.vae import VAE
from gan_course.models.wgan import WGAN, WGANGP

#: family name -> class; the name is what the command line and checkpoints use.
FAMILIES: dict[str, type[nn.Module]] = {
    model.family: model
    for model in (
        GAN, WGAN, WGANGP, DCGAN, SNGAN, R3GAN, StyleGAN, ConditionalGAN, ACGAN, ProjectionGAN, TextGAN,
        Pix2Pix, CycleGAN, VAE, Autoregressive,
    )
}  # fmt: skip


def family(name: str) -> type[nn.Module]:
    """Return the class of a family, or raise ValueError with the nearest known name."""
    if name not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES[name]


def recipes(name: str) -> dict[str, dict[str, Any]]:
    """Return a family's settings for the data sets on which it was tried, from their names.

    Beside arguments of the family's class there may be ``size``, and ``steps``, ``batch`` and ``decay_from`` of
    :func:`gan_course.train.loop.fit`.
    """
    found = inspect.getmodule(family(name)).RECIPES
    return found.get(name, found)  # a file with several families has a table for each


def recipe(name: str, data_name: str) -> dict[str, Any]:
    """Return a copy of a family's settings for a data set.

    Where there are none, those for the first one it has, without what belongs to that one's images.
    """
    found = recipes(name)
    if data_name in found:
        return dict(found[data_name])
    first = next(iter(found.values()))
    return {setting: value for setting, value in first.items() if setting not in ("size", "levels", "patch")}


def settings(name: str) -> list[str]:
    """Return the names of the arguments of a family's class."""
    return list(inspect.signature(family(name)).parameters)


def build(name: str, data: DataSet | Domains, **given: Any) -> nn.Module:
    """Build a model of a family for a data set: its shape, its number of classes where the family wants one, and what
    is ``given`` of the arguments of the family's class.

    Raises:
        ValueError: the name is unknown, or the data have no labels where the family needs them.
    """
    model = family(name)
    if "num_classes" in settings(name):
        if getattr(data, "classes", None) is None:
            raise ValueError(f"family {name!r} needs data with labels and named classes; {data.name!r} has none")
        given.setdefault("num_classes", len(data.classes))
    return model(**{"shape": data.shape, **given})


def fitting_size(name: str, data: DataSet | Domains, **given: Any) -> int | None:
    """Return None if a family can be built for images of the size that ``data`` have; else the side of squares, the
    largest that these can fill for which it can. Arguments as of :func:`build`."""
    *front, height, width = data.shape
    torch.optim.Adam(nn.Linear(1, 1).parameters())  # the first optimizer imports what torch 2.6 cannot import below
    for side in (None, *(side for side in (256, 128, 64, 32, 28, 16, 8) if side <= min(height, width))):
        shape = data.shape if side is None else (*front, side, side)
        try:
            with torch.device("meta"):  # which computes nothing
                build(name, data, shape=shape, **given)
        except ValueError:
            continue
        except RuntimeError:  # what this device cannot do comes after the shape was taken
            pass
        return side
    return None  # what is wrong has to do with something else
