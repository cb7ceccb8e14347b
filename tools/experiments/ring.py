"""The ring of eight narrow Gaussians: how many modes do samples reach?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics, models
from gan_course.models.gan import GAN
from gan_course.models.wgan import WGAN, WGANGP
from gan_course.theory import toy
from tools.experiments import Entry, defaults, fit


def counted(samples: Tensor, mixture: toy.GaussianMixture) -> dict[str, float]:
    """Count the modes that samples reach; the share within three standard deviations of one; and how the samples
    spread, whether or not they hit: the largest share of a nearest mode, the divergence of the shares."""
    modes, high_quality = metrics.modes_covered(samples, mixture.means, mixture.std[0].item())
    shares = metrics.mode_shares(samples, mixture.means)
    return {
        "modes": modes,
        "high_quality": high_quality,
        "largest_share": shares.max().item(),
        "reverse_kl": metrics.reverse_kl(shares, mixture.weights),
    }


def trained(
    seed: int, device: torch.device, *, family: str, steps: int, batch: int, decay_from: int, **model: Any
) -> tuple[nn.Module, toy.GaussianMixture]:
    """Train a model on the ring of eight narrow Gaussians."""
    mixture = toy.ring()
    torch.manual_seed(seed)
    gan = models.family(family)((2,), **model).to(device)
    points = data.DataSet(mixture.sample(100_000, torch.Generator().manual_seed(seed)), name="ring")
    fit(gan, points, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)
    return gan, mixture


def ring(seed: int, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Train on the ring of eight narrow Gaussians; count the modes that 2,500 samples reach."""
    gan, mixture = trained(seed, device, **settings)
    return counted(gan.sample(2_500, generator=torch.Generator().manual_seed(seed)).cpu(), mixture)


def steepness(seed: int, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Train on the ring; how far does the generator move its output when a latent moves? The larger singular value of
    its Jacobian (median and least of 4,000 latents), and how many latents it maps with a Jacobian of rank below 2."""
    gan, mixture = trained(seed, device, **settings)
    z = gan.latents(4_000, torch.Generator().manual_seed(seed))
    jacobians = torch.func.vmap(torch.func.jacrev(lambda z: gan.generator.layers(z[None])[0]))(z).detach()
    larger, smaller = torch.linalg.svdvals(jacobians.cpu()).unbind(1)
    return {
        "high_quality": counted(gan.decode(z).cpu(), mixture)["high_quality"],
        "median_slope": larger.median().item(),
        "least_slope": larger.min().item(),
        "rank_below_2": (smaller < 1e-6).float().mean().item(),
    }


_RUN = {"steps": 1500, "decay_from": 750, "batch": 256}
_NETWORKS = {"latent_dim": 2, "width": 128, "batch_norm": False, "ema_decay": 0.0}
_RING = {**defaults(GAN), "family": "gan", **_RUN, **_NETWORKS, "lr_g": 1e-3}

# Chosen after trials on two seeds each: ReLUs in the generator (a high-quality share of about .6; with LeakyReLUs .2 to
# .3), the weights of the penalties, the clipping bound, and n_critic.
_RELU = {**_RUN, **_NETWORKS, "slope_g": 0.0, "lr_g": 1e-3, "lr_d": 2e-3}
_GAN = {**defaults(GAN), "family": "gan", **_RELU, "beta1": 0.0}

ENTRIES = {
    "ring_slow_momentum": Entry(ring, {**_RING, "lr_d": 1e-4, "beta1": 0.9}, range(10)),
    "ring_slow": Entry(ring, {**_RING, "lr_d": 1e-4, "beta1": 0.0}, range(10)),
    "ring_fast_momentum": Entry(ring, {**_RING, "lr_d": 2e-3, "beta1": 0.9}, range(10)),
    "ring_fast_momentum_more": Entry(ring, {**_RING, "lr_d": 2e-3, "beta1": 0.9}, range(10, 30)),
    "ring_fast": Entry(ring, {**_RING, "lr_d": 2e-3, "beta1": 0.0}, range(10)),
    "ring_non_saturating": Entry(ring, _GAN, range(10)),
    "ring_steepness_leaky": Entry(steepness, {**_RING, "lr_d": 2e-3, "beta1": 0.0}, range(3)),
    "ring_steepness_relu": Entry(steepness, _GAN, range(3)),
    "ring_r1": Entry(ring, {**_GAN, "r1": 0.02}, range(10)),
    # Twice the batch, so that the discriminator judges as many packs as it judges samples elsewhere.
    "ring_pac2": Entry(ring, {**_GAN, "pack": 2, "batch": 512}, range(10)),
    "ring_wgan_gp": Entry(
        ring, {**defaults(WGANGP), "family": "wgan-gp", **_RELU, "penalty": 0.1, "n_critic": 2}, range(10)
    ),
    "ring_wgan_clip": Entry(ring, {**defaults(WGAN), "family": "wgan", **_RELU, "clip": 0.1, "n_critic": 3}, range(10)),
}
