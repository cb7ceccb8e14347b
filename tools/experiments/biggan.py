"""BigGAN on small images: its parts one by one, the batch, truncation, the end of a long run."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import statistics
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics
from gan_course.metrics import Judge, judge
from gan_course.models import common
from gan_course.models.biggan import RECIPES, BigGAN, filters, truncated
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


def batches(seed: int, device: torch.device, *, data_name: str, runs: list[list[int]], **model: Any) -> dict[str, Any]:
    """Train a BigGAN with each batch and number of steps of ``runs``; judge as ``biggan_parts``."""
    train_set, judged = _begin(data_name, device)
    row = {}
    for batch, steps in runs:
        gan = _trained(seed, train_set, steps, batch, model)
        row[f"{batch}x{steps}"] = judged(gan, gan.ema, seed)
    return row


def late(
    seed: int, device: torch.device, *, data_name: str, steps: int, batch: int, every: int, **model: Any
) -> dict[str, Any]:
    """Train a BigGAN far longer. ``every`` so many steps: the measures of ``biggan_parts``; the share of training
    images, of test images and of samples that the discriminator takes for real (a logit above 0); and the largest
    singular value of each weight before spectral normalisation, by the layer's name, in both networks."""
    train_set, judged = _begin(data_name, device)
    test_set = data.load(data_name, split="test", device=device)
    seen = data.order(len(train_set), seed, 0, min(SAMPLES, len(train_set)), device)
    curve: list[dict[str, Any]] = []

    @torch.no_grad()
    def probe(gan: BigGAN) -> dict[str, float]:
        d, fakes = gan.discriminator, common.cycled_labels(SAMPLES, gan.num_classes, device)
        groups = {
            "train": (train_set.batch(seen), train_set.labels[seen]),
            "test": (test_set.images(), test_set.labels),
            "fake": (gan.sample(SAMPLES, fakes, torch.Generator().manual_seed(seed + 1)), fakes),
        }
        curve.append(
            judged(gan, gan.ema, seed)
            | {f"taken_{name}": _share(d(x, y) > 0) for name, (x, y) in groups.items()}
            | {
                f"largest_{key}": {name: _norm(weight) for name, weight in filters(network).items()}
                for key, network in (("g", gan.generator), ("d", gan.discriminator))
            }
        )
        return {}

    _trained(seed, train_set, steps, batch, model, snapshot_every=every, snapshot_size=10, probe=probe)
    return {"steps": list(range(0, steps + 1, every)), "curve": curve}


def lengths(
    seed: int, device: torch.device, *,
    data_name: str, steps: int, batch: int, every: int, penalties: list[float], **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a BigGAN with each weight of the penalty. Of the generator's first layer, and as the median over its other
    layers: by how many degrees a step turned the weights, every so many steps of the second half of the run, on average
    (``turned``); and at the end how long they are, as a share of how long they were drawn (``size``), and the mean of
    their squared singular values beside the largest, 1 for orthogonal matrices (``even``)."""
    train_set = data.load(data_name, device=device)
    row = {}
    for penalty in penalties:
        torch.manual_seed(seed)
        gan = BigGAN(train_set.shape, len(train_set.classes), orthogonal=penalty, **model).to(device)
        drawn, angles = _copied(gan), _watch(gan, steps // 2, every)
        fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)
        measured = {
            "turned": {key: statistics.mean(found) for key, found in angles.items()},
            "size": {key: (w.norm() / drawn[key].norm()).item() for key, w in _copied(gan).items()},
            "even": {key: _evenness(w) for key, w in filters(gan.generator).items() if min(w.shape) > 1},
        }
        row[f"{penalty:g}"] = {}
        for what, found in measured.items():
            row[f"{penalty:g}"][f"{what}_first"] = round(found.pop("first"), 3)
            row[f"{penalty:g}"][f"{what}_others"] = round(statistics.median(found.values()), 3)
    return row


def _copied(gan: BigGAN) -> dict[str, Tensor]:
    return {name: weight.detach().double().flatten() for name, weight in filters(gan.generator).items()}


def _evenness(weight: Tensor) -> float:
    squares = torch.linalg.svdvals(weight.detach().double()).square()
    return (squares.mean() / squares[0]).item()


def _watch(gan: BigGAN, after: int, every: int) -> dict[str, list[float]]:
    """Let ``gan`` note, every so many steps, by how many degrees a step turns each weight of the generator."""
    step, angles, count = gan.step, defaultdict(list), itertools.count(1)

    @functools.wraps(step)
    def watched(*batch: Tensor) -> dict[str, Tensor]:
        number = next(count)
        if number <= after or number % every:
            return step(*batch)
        before, logged = _copied(gan), step(*batch)
        for name, weight in _copied(gan).items():
            cosine = torch.cosine_similarity(weight, before[name], dim=0).clamp(-1, 1)
            angles[name].append(math.degrees(math.acos(cosine.item())))
        return logged

    gan.step = watched
    return angles


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


def _trained(
    seed: int, train_set: data.DataSet, steps: int, batch: int, model: dict[str, Any], **fitting: Any
) -> BigGAN:
    torch.manual_seed(seed)
    gan = BigGAN(train_set.shape, len(train_set.classes), **model).to(train_set.x.device)
    fit(gan, train_set, steps, batch=batch, seed=seed, progress=False, **fitting)
    return gan


def _share(right: Tensor) -> float:
    return round(right.double().mean().item(), 4)


def _norm(weight: Tensor) -> float:
    return round(torch.linalg.matrix_norm(weight.double(), 2).item(), 3)


_DIGITS = {"data_name": "digits", **defaults(BigGAN, "num_classes"), **RECIPES["digits"]}
_MODEL = {key: value for key, value in _DIGITS.items() if key not in ("steps", "batch")}
ENTRIES = {
    "biggan_parts": Entry(
        parts, {**_DIGITS, "variants": VARIANTS, "thresholds": [0.25, 0.5, 0.75, 1.0, 1.5, 2.0]}, range(5)
    ),
    # A batch of 64 with as many steps is "whole" of biggan_parts.
    "biggan_batches": Entry(batches, {**_MODEL, "runs": [[16, 700], [256, 700], [16, 2_800], [256, 175]]}, range(3)),
    "biggan_late": Entry(late, {**_DIGITS, "steps": 4_000, "every": 200}, range(2)),
    "biggan_lengths": Entry(
        lengths,
        {key: value for key, value in _DIGITS.items() if key != "orthogonal"}
        | {"steps": 150, "every": 5, "penalties": [1e-4, 1e-2]},
        range(5),
    ),
    "biggan_digits_real": Entry(real, {"data_name": "digits"}, range(5)),
}
