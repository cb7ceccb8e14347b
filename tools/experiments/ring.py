"""The ring of eight narrow Gaussians: how many modes do samples reach?"""

from __future__ import annotations

from typing import Any

import torch

from gan_course import data, metrics, models, toy
from gan_course.models.gan import GAN
from gan_course.train import fit
from tools.experiments import Entry, defaults


def ring(
    seed: int, device: torch.device, *, family: str, steps: int, batch: int, decay_from: int, **model: Any
) -> dict[str, Any]:
    """Train on the ring of eight narrow Gaussians; count the modes that 2,500 samples reach."""
    mixture = toy.ring()
    torch.manual_seed(seed)
    gan = models.family(family)((2,), **model).to(device)
    points = data.DataSet(mixture.sample(100_000, torch.Generator().manual_seed(seed)), name="ring")
    fit(gan, points, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)
    samples = gan.sample(2_500, generator=torch.Generator().manual_seed(seed)).cpu()
    modes, high_quality = metrics.modes_covered(samples, mixture.means, mixture.std[0].item())
    # How much of the circle the samples span, whether or not they hit the modes: shares of the nearest modes.
    shares = torch.cdist(samples, mixture.means).argmin(1).bincount(minlength=len(mixture.means)) / len(samples)
    return {"modes": modes, "high_quality": high_quality, "largest_share": shares.max().item()}


_RING = {
    **defaults(GAN),
    "family": "gan",
    "steps": 1500,
    "decay_from": 750,
    "batch": 256,
    "latent_dim": 2,
    "width": 128,
    "batch_norm": False,
    "ema_decay": 0.0,
    "lr_g": 1e-3,
}

ENTRIES = {
    "ring_slow_momentum": Entry(ring, {**_RING, "lr_d": 1e-4, "beta1": 0.9}, range(10)),
    "ring_slow": Entry(ring, {**_RING, "lr_d": 1e-4, "beta1": 0.0}, range(10)),
    "ring_fast_momentum": Entry(ring, {**_RING, "lr_d": 2e-3, "beta1": 0.9}, range(10)),
    "ring_fast": Entry(ring, {**_RING, "lr_d": 2e-3, "beta1": 0.0}, range(10)),
}
