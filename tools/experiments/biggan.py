"""BigGAN on small images: its parts one by one, and truncation."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics
from gan_course.metrics import Judge, judge
from gan_course.models import common
from gan_course.models.biggan import RECIPES, BigGAN, truncated
from tools.experiments import Entry, defaults, fit

SAMPLES = 1_000  # equally many of each class
MEASURED = ("frechet", "precision", "recall")

#: What is changed of the whole for each line of the table. "none" has an own table of gains and biases per norm, all of
#: the latent in the first layer, spectral norm in the discriminator alone, and neither attention nor penalty.
VARIANTS: dict[str, dict[str, Any]] = {
    "whole": {},
    "attention": {"attention": False},
    "spectral_g": {"spectral_g": False},
    "shared": {"shared": False},
    "split": {"split": False},
    "orthogonal": {"orthogonal": 0.0},
    "strong_penalty": {"orthogonal": 1e-2},
    "none": {"attention": False, "spectral_g": False, "shared": False, "split": False, "orthogonal": 0.0},
}


def parts(
    seed: int, device: torch.device, *,
    data_name: str, steps: int, batch: int, variants: dict[str, dict[str, Any]], thresholds: list[float], **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a BigGAN whole, and again with one part changed or left out, for each of ``variants``; judge 1,000 samples
    of the averaged generator, equally many of each class, beside the test set: Frechet distance, precision, recall,
    share of the class that was asked for; the Frechet distance of the last weights (``frechet_last``); and the same
    measures from latents cut off at each of ``thresholds`` (``truncated``)."""
    train_set, judged = _begin(data_name, device)
    row = {}
    for name, changed in variants.items():
        gan = _trained(seed, train_set, steps, batch, {**model, **changed})
        row[name] = judged(gan, gan.ema, seed)
        row[name]["frechet_last"] = judged(gan, copy.deepcopy(gan.generator).eval(), seed)["frechet"]
        row[name]["truncated"] = [[t, judged(gan, gan.ema, seed, t)] for t in thresholds]
    return row


def real(seed: int, device: torch.device, *, data_name: str) -> dict[str, Any]:
    """The measures of ``biggan_parts`` of 1,000 real training images with their labels, what a perfect generator would
    get."""
    train_set = data.load(data_name, device=device)
    critic, reference = _reference(data_name, train_set, device)
    chosen = data.order(len(train_set), seed, 0, SAMPLES, device)
    return _measured(train_set.batch(chosen), train_set.labels[chosen], reference, critic)


def _begin(data_name: str, device: torch.device) -> tuple[data.DataSet, Any]:
    train_set = data.load(data_name, device=device)
    critic, reference = _reference(data_name, train_set, device)

    @torch.no_grad()
    def judged(gan: BigGAN, network: nn.Module, seed: int, threshold: float | None = None) -> dict[str, float]:
        generator, labels = torch.Generator().manual_seed(seed), common.cycled_labels(SAMPLES, gan.num_classes, device)
        z = gan.latents(SAMPLES, generator)
        if threshold is not None:
            z = truncated(z, threshold, generator)
        return _measured(network(z, labels), labels, reference, critic)

    return train_set, judged


def _reference(data_name: str, train_set: data.DataSet, device: torch.device) -> tuple[Judge, Tensor]:
    critic = judge(data_name, train_set.shape[-1], device)
    return critic, critic.features(data.load(data_name, split="test", device=device).images())


def _measured(images: Tensor, labels: Tensor, reference: Tensor, critic: Judge) -> dict[str, float]:
    found = critic.features(images)
    row = metrics.evaluate(found, reference, lambda x: x, lambda x: critic.head(x).softmax(1), MEASURED)
    row["accuracy"] = _share(critic.head(found).argmax(1) == labels)
    return {key: round(value, 4) for key, value in row.items()}


def _trained(seed: int, train_set: data.DataSet, steps: int, batch: int, model: dict[str, Any]) -> BigGAN:
    torch.manual_seed(seed)
    gan = BigGAN(train_set.shape, len(train_set.classes), **model).to(train_set.x.device)
    fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)
    return gan


def _share(right: Tensor) -> float:
    return round(right.double().mean().item(), 4)


_DIGITS = {"data_name": "digits", **defaults(BigGAN, "num_classes"), **RECIPES["digits"]}
ENTRIES = {
    "biggan_parts": Entry(
        parts, {**_DIGITS, "variants": VARIANTS, "thresholds": [0.25, 0.5, 0.75, 1.0, 1.5, 2.0]}, range(2)
    ),
    "biggan_digits_real": Entry(real, {"data_name": "digits"}, range(5)),
}
