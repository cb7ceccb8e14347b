"""What bounds a discriminator, on one pair of small networks: learning rates, Adam's settings, places of the norm.

All runs have the generator of :mod:`gan_course.models.dcgan` and its discriminator, on digits at 16x16; what differs is
what a discriminator's layers are normalised by and the loss that goes with it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics
from gan_course.layers import advance_spectral_norms, spectral_norm
from gan_course.metrics import judge
from gan_course.models import common, dcgan
from gan_course.models.dcgan import DCGAN
from gan_course.models.sngan import SNGAN
from gan_course.models.wgan import WGAN, WGANGP
from tools.experiments import Entry, fit

SAMPLES = 1_000

#: Miyato et al. (2018), table 1: learning rate, beta1, beta2, discriminator updates per generator update.
ADAMS = {
    "A": (1e-4, 0.5, 0.9, 5), "B": (1e-4, 0.5, 0.999, 1), "C": (2e-4, 0.5, 0.999, 1),
    "D": (1e-3, 0.5, 0.9, 5), "E": (1e-3, 0.5, 0.999, 5), "F": (1e-3, 0.9, 0.999, 5),
}  # fmt: skip


def normalized(network: nn.Module) -> nn.Module:
    """Normalise the weights of all convolutions and linear layers spectrally, in place."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            spectral_norm(module)
    return network


class SmallSNGAN(SNGAN):
    """SNGAN's step on DCGAN's networks: "d", "g", "both" or "none" of them spectrally normalised."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int, where: str, **settings: Any):
        super().__init__(shape, latent_dim, width=width, n_critic=1, **settings)
        self.generator = dcgan.Generator(shape, latent_dim, width)
        self.discriminator = dcgan.Discriminator(shape, width, batch_norm=False)
        self.discriminator.to_logit[1].register_parameter("bias", None)  # the hinge loss would let it drift
        if where in ("d", "both"):
            normalized(self.discriminator)
        if where in ("g", "both"):
            normalized(self.generator)
        self.ema = type(self.ema)(self.generator, self.ema.decay)
        for name, network in (("optimizer_g", self.generator), ("optimizer_d", self.discriminator)):
            group = getattr(self, name).param_groups[0]
            setattr(self, name, common.adam(network, group["lr"], *group["betas"]))

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        advance_spectral_norms(self.generator)  # where there are any: once per step
        return super().step(real, labels)


def build(
    method: str, shape: tuple[int, ...], latent_dim: int, width: int, n_critic: int = 1,
    clip: float = 0.05, ema_decay: float = 0.95, logit_scale: float = 1.0, **adam: float,
) -> nn.Module:  # fmt: skip
    """Return DCGAN ("batch norm"), WGAN-GP ("penalty"), WGAN ("clip"), or the hinge loss with spectral norm in D
    ("spectral"), in G, in both, or nowhere ("none")."""
    if method == "batch norm":
        model = DCGAN(shape, latent_dim, width, ema_decay=ema_decay, **adam)
    elif method == "penalty":
        model = WGANGP(shape, latent_dim, width, "conv", ema_decay=ema_decay, **adam)
    elif method == "clip":
        rates = {name: adam[name] for name in ("lr_g", "lr_d")}  # its optimizer is RMSProp
        model = WGAN(shape, latent_dim, width, "conv", clip=clip, ema_decay=ema_decay, **rates)
    else:
        where = {"spectral": "d", "spectral in G": "g", "spectral in both": "both", "none": "none"}[method]
        model = SmallSNGAN(shape, latent_dim, width, where, logit_scale=logit_scale, ema_decay=ema_decay, **adam)
    model.n_critic = n_critic
    return model


@cache
def _world(size: int) -> tuple[data.DataSet, Tensor, metrics.Judge]:
    train_set = data.load("digits", size=size)
    return train_set, data.load("digits", size=size, split="test").images(), judge("digits", size)


def spectra(model: nn.Module) -> dict[str, list[float]]:
    """Return, for each layer of the discriminator, the largest singular value of the weight that is used, as a matrix
    with a row per output, and its stable rank, the sum of squared singular values over the largest square."""
    network = model.critic if hasattr(model, "critic") else model.discriminator
    largest, ranks = [], []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            values = torch.linalg.svdvals(module.weight.detach().flatten(1).double())
            largest.append(values[0].item())
            ranks.append((values.square().sum() / values[0] ** 2).item())
    return {"largest": largest, "stable_rank": ranks}


def slopes(model: nn.Module, n: int = 256) -> dict[str, float]:
    """Return the mean length of the gradient of what the losses see by the image, at generated images, and its spread
    (standard deviation over mean)."""
    network = getattr(model, "critic", None) or getattr(model, "logits", None) or model.discriminator
    with torch.no_grad():
        fake = model.generator(model.latents(n))
    x = fake.requires_grad_(True)
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    lengths = gradient.flatten(1).norm(dim=1)
    return {"slope": lengths.mean().item(), "slope_spread": (lengths.std() / lengths.mean()).item()}


def once(seed: int, method: str, *, size: int, steps: int, batch: int, **settings: Any) -> dict[str, Any]:
    """Train once and judge 1,000 samples of the averaged generator beside the test set; a run whose losses stopped
    being finite has no Frechet distance."""
    train_set, reference, critic = _world(size)
    torch.manual_seed(seed)
    model = build(method, train_set.shape, **settings)
    try:
        fit(model, train_set, steps, batch=batch, seed=seed, progress=False)
    except FloatingPointError:
        return {"frechet": None}
    samples = model.sample(SAMPLES, generator=torch.Generator().manual_seed(seed))
    measured = metrics.summarize(samples, reference, critic)
    kept = {name: measured[name] for name in ("frechet", "classes")}
    return {**kept, **spectra(model), **slopes(model)}


def rates(
    seed: int, device: torch.device, *, methods: tuple[str, ...], pairs: dict[str, tuple[float, float]], **settings: Any
) -> dict[str, Any]:
    """For each method and each pair of learning rates (generator, discriminator): what one run reaches."""
    return {
        method: {name: once(seed, method, lr_g=g, lr_d=d, **settings) for name, (g, d) in pairs.items()}
        for method in methods
    }


def adams(seed: int, device: torch.device, *, methods: tuple[str, ...], adams: dict[str, Any], **settings: Any) -> dict:
    """For each method and each of Adam's settings (rate, beta1, beta2, n_critic): what one run reaches."""
    return {
        method: {
            name: once(seed, method, lr_g=lr, lr_d=lr, beta1=b1, beta2=b2, n_critic=n, **settings)
            for name, (lr, b1, b2, n) in adams.items()
        }
        for method in methods
    }


_SMALL = {"size": 16, "latent_dim": 64, "width": 16, "batch": 32, "ema_decay": 0.95}
_ADAM = {"beta1": 0.5, "beta2": 0.9}
#: Learning rates of generator and discriminator: a usual one, ten times it for both, ten times it for D alone.
PAIRS = {"usual": (5e-4, 5e-4), "both x10": (5e-3, 5e-3), "D x10": (5e-4, 5e-3)}
METHODS = ("batch norm", "penalty", "spectral")

ENTRIES = {
    "spectral_rates": Entry(rates, {"methods": METHODS, "pairs": PAIRS, "steps": 300, **_SMALL, **_ADAM}, range(5)),
    "spectral_places": Entry(
        rates,
        {
            "methods": ("none", "clip", "spectral in G", "spectral in both"),
            "pairs": {name: PAIRS[name] for name in ("usual", "both x10")}, "steps": 300, **_SMALL, **_ADAM,
        },
        range(3),
    ),
    "spectral_unbounded": Entry(
        rates, {"methods": ("none",), "pairs": {"D x10": PAIRS["D x10"]}, "steps": 300, **_SMALL, **_ADAM}, range(5)
    ),
    "spectral_adams": Entry(adams, {"methods": METHODS, "adams": ADAMS, "steps": 150, **_SMALL}, range(3)),
}  # fmt: skip
