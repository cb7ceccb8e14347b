"""How good are samples? What there is to measure, and all of it at once.

A feature extractor is any function of images ``(n, C, H, W)``, in [-1, 1] as it has to check, to features ``(n, d)``:
``judge.features``, :func:`gan_course.metrics.judges.pixels`, ``metrics.inception.load().features``, or your own.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gan_course.data import DataSet, Domains, glyphs, order
from gan_course.errors import unknown
from gan_course.metrics import inception, inputs, modes
from gan_course.metrics.distances import frechet_distance, kernel_distance
from gan_course.metrics.judges import JUDGES, Judge, judge, pixels
from gan_course.metrics.neighbours import density_coverage, precision_recall
from gan_course.models import common

Function = Callable[[Tensor], Tensor]
Space = tuple[Function, Function | None, str]  # to features, to class probabilities if there are any, and its name
EXTRACTORS = ("judge", "pixels", "inception")
LEAST = 6  # images, for the metrics by neighbours


@dataclass(frozen=True)
class Metric:
    """What is to be known about a metric before its numbers are read."""

    description: str  #: what it measures, in one line
    better: str  #: ``"lower"``, ``"higher"``, or ``""`` where neither is
    #: ``"features"``, ``"probabilities"`` of classes, or ``"points"`` (samples of a toy distribution whose modes are
    #: known, or the modes that a judge reads in stacked digits)
    needs: str


METRICS: dict[str, Metric] = {
    "frechet": Metric("Fréchet distance (squared) of fitted Gaussians; FID by Inception", "lower", "features"),
    "kernel": Metric("unbiased squared MMD, cubic kernel; KID by Inception", "lower", "features"),
    "kernel_error": Metric("standard error of kernel", "", "features"),
    "precision": Metric("share of samples inside the estimated support of the reference", "higher", "features"),
    "recall": Metric("share of the reference inside the estimated support of the samples", "higher", "features"),
    "density": Metric("reference neighbourhoods that hold a sample, over the number expected", "higher", "features"),
    "coverage": Metric("share of reference neighbourhoods that hold a sample", "higher", "features"),
    "inception_score": Metric("sure of each image, many classes in all; 1 to their number", "higher", "probabilities"),
    "classes": Metric("classes that hold at least 3 % of the samples", "higher", "probabilities"),
    "least_share": Metric("share of the rarest class", "higher", "probabilities"),
    "confidence": Metric("mean largest class probability", "higher", "probabilities"),
    "modes": Metric("modes of a known distribution that the samples reach", "higher", "points"),
    "high_quality": Metric("share of points within three standard deviations of a mode", "higher", "points"),
    "reverse_kl": Metric("KL of the samples' shares of the modes from the true weights, in nats", "lower", "points"),
    "wasserstein": Metric("exact Wasserstein-1 distance between samples on the line", "lower", "points"),
}  # fmt: skip


def evaluate(
    samples: Tensor,
    reference: Tensor,
    extractor: Function,
    probabilities: Function | None = None,
    metrics: Iterable[str] | None = None,
) -> dict[str, float]:
    """Compute many metrics of images at once.

    Args:
        samples: ``(n, C, H, W)`` in [-1, 1], generated or real.
        reference: ``(m, C, H, W)`` in [-1, 1], real images that nothing was trained on.
        extractor: from images to features ``(n, d)``.
        probabilities: from images to class probabilities ``(n, K)``, for instance ``judge.probabilities``.
        metrics: names in :data:`METRICS` that need features or probabilities; all that can be had by default.

    Returns:
        From names to values, in the order of :data:`METRICS`. Put them beside those of real images in the same
        numbers, and compare with others only where extractor and numbers are the same. The Inception Score is the mean
        over parts of at least 5,000 samples, ten at most: as published for 50,000, in one piece below 10,000.

    Raises:
        ValueError: a name is unknown or cannot be computed from what is given; too few images; or the extractor's.
    """
    given = ("features", "probabilities") if probabilities else ("features",)
    possible = [name for name, metric in METRICS.items() if metric.needs in given]
    wanted = set(possible if metrics is None else metrics)
    for name in sorted(wanted):
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
        if name not in possible:
            raise ValueError(f"metrics: {name!r} needs {METRICS[name].needs}, which are not given here")
    result: dict[str, float] = {}
    if any(METRICS[name].needs == "features" for name in wanted):
        a, b = extractor(samples), extractor(reference)
        if "frechet" in wanted:
            result["frechet"] = frechet_distance(a, b)
        if wanted & {"kernel", "kernel_error"}:
            result["kernel"], result["kernel_error"] = kernel_distance(a, b)
        if wanted & {"precision", "recall"}:
            result["precision"], result["recall"] = precision_recall(a, b)
        if wanted & {"density", "coverage"}:
            result["density"], result["coverage"] = density_coverage(a, b)
    if any(METRICS[name].needs == "probabilities" for name in wanted):
        p = probabilities(samples)
        parts = min(max(len(p) // 5_000, 1), 10)
        result |= {"inception_score": modes.inception_score(p, parts)[0], "classes": modes.classes_covered(p)}
        result |= {"least_share": modes.class_shares(p).min().item(), "confidence": modes.mean_confidence(p)}
    return {name: result[name] for name in METRICS if name in wanted}


def summarize(samples: Tensor, reference: Tensor, judge: Judge) -> dict[str, float]:
    """The four numbers of :func:`evaluate` that chapters show, by the judge of this data set and size.

    Args:
        samples: ``(n, C, H, W)`` in [-1, 1], generated or real.
        reference: ``(m, C, H, W)`` in [-1, 1], real images that nothing was trained on.
        judge: gives the features and the probabilities.

    Returns:
        ``frechet``; ``classes`` that are covered; ``least_share``, that of the rarest class; ``confidence``.
    """
    shown = ("frechet", "classes", "least_share", "confidence")
    return evaluate(samples, reference, judge.features, judge.probabilities, shown)


def evaluate_model(
    model: nn.Module,
    train_set: DataSet | Domains,
    test_set: DataSet | Domains,
    *,
    n: int = 2000,
    features: str | None = None,
    seed: int = 0,
    direction: str = "ab",
    classes: list[str] | None = None,
) -> dict[str, Any]:
    """Measure samples of a model, or its translations, and as many real training images, each against test images.

    Args:
        model: a model of :mod:`gan_course.models`.
        train_set: what it was trained on; for a translator, Domains.
        test_set: what nothing was trained on, of the same shape, on the model's device.
        n: samples; at most as many as there are training images (or images to translate).
        features: the space to measure in, one of :data:`EXTRACTORS`; by default the judge of the data, else pixels.
        seed: of the latents.
        direction: of a translator, which of its two ways.
        classes: names of the classes that the model knows, by default those of ``test_set``.

    Returns:
        ``samples``, ``reference`` (their numbers), ``features`` (as used), ``seed``, and by the names of metrics
        ``generated`` and ``real``, numbers that JSON can hold: None where one is not finite. Beside what
        :func:`evaluate` gives, ``generated`` has what only its family can be asked: ``class_accuracy``, where the judge
        tells the classes that the model knows; ``bits_per_pixel`` with the number of grey ``levels``; ``ink_obeyed``
        and ``background_obeyed`` of captions; ``error_to_truth`` of translations whose truth is known, over the
        variance of the truth. For stacked digits both have their modes.

    Raises:
        ValueError: shapes differ, there are too few images, or there is no such judge.
        DataError: the weights of Inception cannot be had.
    """
    for one in (train_set, test_set):
        if one.shape != tuple(model.shape):
            raise ValueError(f"data {one.name!r} has images of shape {one.shape}, the model makes {tuple(model.shape)}")
    translates = isinstance(test_set, Domains)
    numbers = [len(one) for one in ((train_set.b, test_set.a, test_set.b) if translates else (train_set, test_set))]
    if min(n, *numbers) < LEAST:
        raise ValueError(f"n must be at least {LEAST}, and so must the numbers of images, {numbers}; got {n}")
    n = min(n, *(numbers if translates else numbers[:1]))
    device = common.device_of(model)
    space = _extractor(features, train_set.name, model.shape, device)
    if translates:
        real, reference = train_set.b.draw(n), test_set.b.images(n)
        way = {} if direction == "ab" else {"direction": direction}  # not every family has a way back
        samples, extra = model.translate(test_set.a.images(n), **way), {}
        if test_set.paired:  # then b is the truth of a
            error, spread = (samples - reference).square().mean(), reference.var(0).mean()
            extra["error_to_truth"] = (error / spread).item()
    else:
        real, reference = train_set.draw(n), test_set.draw(n)
        told = space[1] if space[2].startswith("judge") and classes in (None, test_set.classes) else None
        samples, extra = _judged_samples(model, test_set, reference, told, n, seed)
    rows = _rows(samples, real, reference, space, train_set.name, extra)
    return {"samples": len(samples), "reference": len(reference), "features": space[2], "seed": seed, **rows}


def evaluate_samples(
    samples: Tensor,
    train_set: DataSet,
    test_set: DataSet,
    *,
    n: int | None = None,
    features: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure images that any program made, and as many real training images, each against test images.

    Args:
        samples: ``(N, C, H, W)`` in [-1, 1], of the shape of the data. They must not have seen more of a resizing or of
            a lossy compression than the data, or the distances measure that.
        train_set: what they imitate.
        test_set: what nothing was trained on, of the same shape, on the same device.
        n: how many of the samples are measured; by default all, at most as many as there are training images.
        features: the space to measure in, one of :data:`EXTRACTORS`; by default the judge of the data, else pixels.
        seed: of the choice of n samples.

    Returns:
        As :func:`evaluate_model`, without what only a model can be asked. A warning says so where there are no more
        samples than features.

    Raises:
        ValueError: shapes or ranges differ, there are too few images, or there is no such judge.
        DataError: the weights of Inception cannot be had.
    """
    inputs.check_images(samples)
    for one in (train_set, test_set):
        if one.shape != tuple(samples.shape[1:]):
            got = tuple(samples.shape[1:])
            raise ValueError(f"samples must have the shape of the data {one.name!r}, {one.shape}, got {got}")
    n = len(samples) if n is None else n
    numbers = {"samples": len(samples), "train_set": len(train_set), "test_set": len(test_set), "n": n}
    for name, number in numbers.items():
        if number < LEAST:
            raise ValueError(f"{name} must be at least {LEAST} images, got {number}")
    n = min(n, len(samples), len(train_set))
    device = test_set.x.device
    space = _extractor(features, train_set.name, test_set.shape, device)
    samples, reference = samples[order(len(samples), seed, 0, n, samples.device)].to(device), test_set.draw(n)
    if n <= (d := space[0](reference[:1]).shape[1]):
        warnings.warn(
            f"{n:,} samples for {d:,} features: with so few, much of the Fréchet distance is bias; read it only"
            " beside that of as many real images",
            stacklevel=2,
        )
    rows = _rows(samples, train_set.draw(n), reference, space, train_set.name, {})
    return {"samples": n, "reference": len(reference), "features": space[2], "seed": seed, **rows}


def _rows(
    samples: Tensor, real: Tensor, reference: Tensor, space: Space, name: str, extra: dict[str, float]
) -> dict[str, dict[str, float | None]]:
    """``generated``, with what is ``extra``, and ``real`` of :func:`evaluate_model`, for the data of this name."""
    extractor, probabilities, _ = space
    rows = {
        "generated": {**evaluate(samples, reference, extractor, probabilities), **extra},
        "real": evaluate(real, reference, extractor, probabilities),
    }
    if name.startswith("stacked-"):
        digits = judge(name.removeprefix("stacked-"), samples.shape[-1], samples.device)
        rows["generated"] |= modes.summarize_stacked(samples, digits)
        rows["real"] |= modes.summarize_stacked(real, digits)
    for row in rows.values():
        row.update({name: None for name, value in row.items() if not math.isfinite(value)})
    return rows


def _extractor(wanted: str | None, name: str, shape: tuple[int, ...], device: torch.device) -> Space:
    """Return functions to features and (or None) class probabilities, and what to call them."""
    *_, channels, height, width = shape
    known = JUDGES.get((name, width)) if len(shape) == 3 and height == width else None
    if wanted is None:
        wanted = "judge" if known is not None and known.channels == channels else "pixels"
    if wanted not in EXTRACTORS:
        raise unknown("features", wanted, EXTRACTORS)
    if wanted == "pixels":
        pool = max(min(max(height, width) // 16, height, width), 1)  # about 16x16 values per channel
        return partial(pixels, pool=pool), None, f"pixels, averaged over {pool}x{pool}" if pool > 1 else "pixels"
    network = judge(name, width, device) if wanted == "judge" else inception.load(device)
    called = f"judge of {name} at {width}x{width}" if wanted == "judge" else "inception"
    return network.features, network.probabilities, called


def _judged_samples(
    model: nn.Module, test_set: DataSet, reference: Tensor, probabilities: Function | None, n: int, seed: int
) -> tuple[Tensor, dict[str, float]]:
    """Draw samples; return them with what only their family can be asked: is the condition obeyed, how many bits?"""
    generator = torch.Generator().manual_seed(seed)
    if getattr(model, "reads_captions", False):
        captions = test_set.labels[torch.arange(n, device=reference.device) % len(test_set)]
        samples = model.sample(n, labels=captions, generator=generator)
        return samples, _obeyed(samples, captions, test_set.classes)
    if hasattr(model, "translate"):  # of images of all domains, to all of them in turn
        return model.translate(reference), {}
    samples = model.sample(n, generator=generator)
    if hasattr(model, "bits_per_pixel"):
        drawn = {"generator": generator} if hasattr(model, "latents") else {}  # by which a VAE estimates them
        bits = model.bits_per_pixel(reference, **drawn).mean().item()
        return samples, {"bits_per_pixel": bits, "levels": model.levels}
    if probabilities and getattr(model, "num_classes", None) == len(test_set.classes or []):
        wanted = common.cycled_labels(n, len(test_set.classes), reference.device)
        return samples, {"class_accuracy": (probabilities(samples).argmax(1) == wanted).float().mean().item()}
    return samples, {}


def _obeyed(samples: Tensor, captions: Tensor, words: list[str]) -> dict[str, float]:
    """The shares of samples in the ink and on the background that their captions name, which all of them do."""
    obeyed = {}
    for factor, found in glyphs.measured_colors(samples).items():
        numbers = captions.new_tensor([words.index(value) for value in glyphs.VALUES[factor]])
        wanted = (captions[:, :, None] == numbers).any(1).float().argmax(1)
        obeyed[f"{factor}_obeyed"] = (found == wanted).float().mean().item()
    return obeyed
