"""Models that give images a probability, on real digits: bits per pixel, and their samples beside the test set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gan_course import data, metrics, models
from gan_course.metrics import judge
from gan_course.models import autoregressive, vae
from gan_course.models.autoregressive import from_levels, to_levels
from tools.experiments import Entry, defaults, fit

SAMPLES = 2_000


def likelihood(
    seed: int, device: torch.device, *, family: str, data_name: str, steps: int, batch: int, **model: Any
) -> dict[str, Any]:
    """Train, then measure bits per pixel (of a VAE: a bound) on both splits and judge 2,000 samples; CPU seconds."""
    train_set, test_set = (data.load(data_name, split=split, device=device) for split in data.SPLITS)
    torch.manual_seed(seed)
    network = models.build(family, train_set, **model).to(device)
    began = time.process_time()
    fit(network, train_set, steps, batch=batch, seed=seed, progress=False)
    trained = time.process_time() - began
    row = _measure(seed, train_set, test_set, lambda x: network.bits_per_pixel(x), network.sample)
    if family == "vae":
        x = test_set.draw(SAMPLES)
        row["bits_test_50"] = network.bits_per_pixel(x, 50, _seeded(seed)).mean().item()
        means = network.sample(SAMPLES, generator=_seeded(seed), mean=True)
        row["frechet_means"] = metrics.summarize(means, x, judge(data_name, x.shape[-1], device))["frechet"]
    return {**row, "training_seconds": trained}


def independent_pixels(seed: int, device: torch.device, *, data_name: str, levels: int) -> dict[str, Any]:
    """The same numbers of a model without any structure: each pixel's own histogram, with one added to each count."""
    train_set, test_set = (data.load(data_name, split=split, device=device) for split in data.SPLITS)
    counts = one_hot(to_levels(train_set.images(), levels), levels).sum(0) + 1.0
    p = counts / counts.sum(-1, keepdim=True)  # (C, H, W, levels)

    def bits(x: Tensor) -> Tensor:
        return -(one_hot(to_levels(x, levels), levels) * p.log2()).sum(-1).flatten(1).mean(1)

    def sample(n: int, generator: torch.Generator) -> Tensor:
        drawn = torch.multinomial(p.cpu().flatten(0, -2), n, replacement=True, generator=generator)
        return from_levels(drawn.T.reshape(n, *p.shape[:-1]).float(), levels).to(device)

    return _measure(seed, train_set, test_set, bits, sample)


def leaky(seed: int, device: torch.device, *, data_name: str, steps: int, batch: int, **model: Any) -> dict[str, Any]:
    """The same numbers of a PixelCNN whose first layer sees the pixel that it is to predict: its mask has a hole."""
    train_set, test_set = (data.load(data_name, split=split, device=device) for split in data.SPLITS)
    torch.manual_seed(seed)
    network = models.build("autoregressive", train_set, **model).to(device)
    for copy in (network.network, network.ema.network):
        mask = copy.layers[0].left.mask
        mask[..., mask.shape[-1] // 2] = 1
    fit(network, train_set, steps, batch=batch, seed=seed, progress=False)
    return _measure(seed, train_set, test_set, network.bits_per_pixel, network.sample)


def _measure(
    seed: int,
    train_set: data.DataSet,
    test_set: data.DataSet,
    bits: Callable[[Tensor], Tensor],
    sample: Callable[..., Tensor],
) -> dict[str, Any]:
    torch.manual_seed(seed)
    train, test = bits(train_set.draw(SAMPLES)), bits(test_set.draw(SAMPLES))
    began = time.process_time()
    samples = sample(SAMPLES, generator=_seeded(seed))
    seconds = time.process_time() - began
    reference = test_set.draw(SAMPLES)
    judged = metrics.summarize(samples, reference, judge(test_set.name, reference.shape[-1], reference.device))
    return {
        **judged,
        "bits_train": train.mean().item(),
        "bits_test": test.mean().item(),
        "bits_test_error": (test.std() / math.sqrt(len(test))).item(),  # standard error over images
        "sampling_seconds": seconds,
    }


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _settings(module: Any, model: type[torch.nn.Module], data_name: str) -> dict[str, Any]:
    return {"family": model.family, "data_name": data_name, "batch": 64, **defaults(model), **module.RECIPES[data_name]}


ENTRIES = {
    "likelihood_digits_vae": Entry(likelihood, _settings(vae, vae.VAE, "digits"), range(5)),
    "likelihood_digits_autoregressive": Entry(
        likelihood, _settings(autoregressive, autoregressive.Autoregressive, "digits"), range(5)
    ),
    "likelihood_digits_leaky": Entry(
        leaky,
        {
            "data_name": "digits",
            **defaults(autoregressive.Autoregressive),
            **autoregressive.RECIPES["digits"],
            "steps": 240,
            "ema_decay": 0.9,
        },
        range(5),
    ),
    "likelihood_digits_independent": Entry(independent_pixels, {"data_name": "digits", "levels": 17}, range(5)),
}
