"""How good are samples? What there is to measure, and all of it at once.

A feature extractor is any function of images ``(n, C, H, W)`` in [-1, 1] to features ``(n, d)``: ``judge.features``,
:func:`gan_course.metrics.judges.pixels`, ``metrics.inception.load().features``, or your own. That images are in
range is for the extractor to check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from gan_course.errors import unknown
from gan_course.metrics.distances import frechet_distance, kernel_distance
from gan_course.metrics.modes import class_shares, classes_covered, inception_score, mean_confidence
from gan_course.metrics.neighbours import density_coverage, precision_recall


@dataclass(frozen=True)
class Metric:
    """What is to be known about a metric before its numbers are read.

    Attributes:
        description: what it measures, in one line.
        better: ``"lower"``, ``"higher"``, or ``""`` where neither is.
        needs: what it is computed from: ``"features"``, ``"probabilities"`` of classes, or ``"points"`` (samples
            of a toy distribution whose modes are known, or the modes that a judge reads in stacked digits).
    """

    description: str
    better: str
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
    extractor: Callable[[Tensor], Tensor],
    probabilities: Callable[[Tensor], Tensor] | None = None,
    metrics: Iterable[str] | None = None,
) -> dict[str, float]:
    """Compute many metrics of images at once.

    Args:
        samples: ``(n, C, H, W)`` in [-1, 1], generated or real.
        reference: ``(m, C, H, W)`` in [-1, 1], real images that nothing was trained on.
        extractor: from images to features ``(n, d)``, for instance ``judge.features``.
        probabilities: from images to class probabilities ``(n, K)``, for instance ``judge.probabilities``.
        metrics: names in :data:`METRICS` that need features or probabilities; all that can be had by default.

    Returns:
        From names to values, in the order of :data:`METRICS`. Put them beside those of real images in the same
        numbers, and compare with others only where extractor and numbers are the same. The Inception Score is the mean
        over parts of at least 5,000 samples, ten at most: as published for 50,000, in one piece below 10,000.

    Raises:
        ValueError: a name is unknown or cannot be computed from what is given; too few images; or what the
            extractor objects to.
    """
    possible = [
        name for name, m in METRICS.items() if m.needs == "features" or (m.needs == "probabilities" and probabilities)
    ]
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
        result |= {"inception_score": inception_score(p, parts)[0], "classes": classes_covered(p)}
        result |= {"least_share": class_shares(p).min().item(), "confidence": mean_confidence(p)}
    return {name: result[name] for name in METRICS if name in wanted}


def summarize(samples: Tensor, reference: Tensor, judge: nn.Module) -> dict[str, float]:
    """Judge images beside a reference set.

    Args:
        samples: ``(n, C, H, W)`` in [-1, 1], generated or real.
        reference: ``(m, C, H, W)`` in [-1, 1], real images that nothing was trained on.
        judge: a :class:`gan_course.metrics.judges.Judge` for this data set and size.

    Returns:
        ``frechet``: :func:`frechet_distance` in the judge's features; ``classes``: :func:`classes_covered`;
        ``least_share``: share of the rarest class; ``confidence``: :func:`mean_confidence`.
    """
    probabilities = judge.probabilities(samples)
    return {
        "frechet": frechet_distance(judge.features(samples), judge.features(reference)),
        "classes": classes_covered(probabilities),
        "least_share": class_shares(probabilities).min().item(),
        "confidence": mean_confidence(probabilities),
    }
