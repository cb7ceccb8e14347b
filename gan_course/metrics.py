"""How good are samples? Functions of feature matrices, class probabilities, or points.

All but :func:`nearest_neighbours` move their input to the CPU and compute in float64 there. What compares every row
with every other works through blocks of rows: no matrix of distances or kernel values has more than :data:`CHUNK`
elements (or one row, if that is longer). :data:`METRICS` lists them, :func:`evaluate` computes many at once.

A feature extractor is any function of images ``(n, C, H, W)`` in [-1, 1] to features ``(n, d)``: ``judge.features``,
:func:`gan_course.features.pixels`, ``gan_course.inception.load().features``, or your own. That images are in
range is for the extractor to check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gan_course.errors import unknown

#: Elements in the largest block of pairwise values; 32 MB in float64.
CHUNK = 4_000_000


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


def frechet_distance(features_a: Tensor, features_b: Tensor) -> float:
    r"""Squared Fréchet (2-Wasserstein) distance between Gaussians fitted to two sets of features.

    With Inception features this is the FID of Heusel et al. (2017), equation 6. In any other feature space it is a
    number of its own: comparable only with the same features, the same data and the same numbers of samples, for
    it is biased upwards when samples are few.

    Args:
        features_a, features_b: ``(n, d)`` and ``(m, d)``, at least two rows each; finite.

    Returns:
        The distance, at least 0, in squared units of the features.
    """
    return frechet_distance_gaussians(*_moments("features_a", features_a), *_moments("features_b", features_b))


def frechet_distance_gaussians(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    r"""Squared 2-Wasserstein distance between two Gaussians,

    .. math:: \|\mu_a - \mu_b\|^2 + \operatorname{tr}\Sigma_a + \operatorname{tr}\Sigma_b
              - 2\operatorname{tr}(\Sigma_a\Sigma_b)^{1/2}.

    The product of two covariances is not symmetric, and its matrix square root is costly and can turn complex.
    Neither is needed: with :math:`\Sigma_a = AA^\top`, the eigenvalues of :math:`\Sigma_a\Sigma_b` are those of the
    symmetric :math:`A^\top\Sigma_b A`, and the trace is the sum of their roots. Rounding in the smallest ones leaves an
    error of some 1e-8 of the traces. (Dowson & Landau, 1982, give the closed form.)

    Args:
        mean_a, mean_b: ``(d,)``.
        cov_a, cov_b: ``(d, d)``, symmetric and positive semi-definite; they may be singular.
    """
    mean_a, cov_a, mean_b, cov_b = (_double(t) for t in (mean_a, cov_a, mean_b, cov_b))
    d = len(mean_a)
    if mean_b.shape != (d,) or cov_a.shape != (d, d) or cov_b.shape != (d, d):
        shapes = [tuple(t.shape) for t in (mean_a, cov_a, mean_b, cov_b)]
        raise ValueError(f"means and covariances must have shapes (d,) and (d, d), got {shapes}")
    factor_a, factor_b = _factor(cov_a), _factor(cov_b)
    factor, cov = (factor_a, cov_b) if factor_a.shape[1] <= factor_b.shape[1] else (factor_b, cov_a)
    overlap = torch.linalg.eigvalsh(factor.T @ cov @ factor).clamp(min=0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap
    return max(distance.item(), 0.0)


def kernel_distance(features_a: Tensor, features_b: Tensor) -> tuple[float, float]:
    r"""Unbiased squared maximum mean discrepancy (MMD) between two sets of features, and its standard error.

    The kernel is :math:`k(x, y) = (x^\top y / d + 1)^3`; with Inception features this is the Kernel Inception Distance
    (KID) of Bińkowski et al. (2018), section 4. The estimate is the U-statistic over all pairs of rows,

    .. math:: \frac{1}{n(n-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m(m-1)} \sum_{i \ne j} k(y_i, y_j)
              - \frac{2}{nm} \sum_{i, j} k(x_i, y_j).

    Leaving out :math:`i = j` makes its mean right at any number of samples: 0 for equal distributions, so that it
    can turn out negative. That mean is 0, too, for unlike distributions that agree in their first three moments.

    The error is the delete-one jackknife's: the spread of the estimates that leave one row out. For equal
    distributions it is too large rather than too small.

    Args:
        features_a, features_b: ``(n, d)`` and ``(m, d)``, at least three rows each; finite.

    Returns:
        The estimate and its standard error.
    """
    a, b = _pair("features_a", features_a, "features_b", features_b, least=3)
    n, m = len(a), len(b)
    (rows_a, _), (rows_b, _), (between_a, between_b) = (_kernel_sums(*pair) for pair in ((a, a), (b, b), (a, b)))
    rows_a, rows_b = rows_a - _kernel(a, a, of_pairs=True), rows_b - _kernel(b, b, of_pairs=True)
    within_a, within_b, between = rows_a.sum(), rows_b.sum(), between_a.sum()
    estimate = within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * between / (n * m)
    variance = 0.0
    for size, other, rows, within, shared in ((n, m, rows_a, within_a, between_a), (m, n, rows_b, within_b, between_b)):
        # What the terms with rows of this set would be without row i, for every i.
        without = (within - 2 * rows) / ((size - 1) * (size - 2)) - 2 * (between - shared) / ((size - 1) * other)
        variance += (size - 1) * without.var(correction=0).item()
    return estimate.item(), math.sqrt(variance)


def kernel_distance_subsets(
    features_a: Tensor, features_b: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    r"""The kernel distance as the literature reports it: the mean over random subsets, and its standard error.

    Use it to compare with published KIDs; :func:`kernel_distance` costs no more than 100 subsets of a tenth of the
    rows, and is the limit of many subsets. Like it, the mean over subsets is unbiased.

    Subsets of the same rows overlap, so their standard deviation divided by :math:`\sqrt{\text{subsets}}`, which is
    often given as the error, goes to zero however few the samples. Here that is only one part; the other is the
    delete-d jackknife's estimate (Shao & Wu, 1989) of what another set of rows would have changed, again too large
    for equal distributions.

    Args:
        features_a, features_b: ``(n, d)`` and ``(m, d)``; finite.
        subsets: how many, at least 2.
        subset_size: rows drawn from each set without replacement; at least 2, below n and m.
        seed: of the subsets.

    Returns:
        The estimate and its standard error.
    """
    a, b = _pair("features_a", features_a, "features_b", features_b, least=3)
    least = min(len(a), len(b))
    if subsets < 2:
        raise ValueError(f"subsets must be at least 2, got {subsets}")
    if not 2 <= subset_size < least:
        raise ValueError(
            f"subset_size must lie in 2 to {least - 1} for sets of {len(a)} and {len(b)}, got {subset_size}"
        )
    generator, values = torch.Generator().manual_seed(seed), []
    for _ in range(subsets):
        x, y = (rows[torch.randperm(len(rows), generator=generator)[:subset_size]] for rows in (a, b))
        within = [_kernel_sums(z, z)[0].sum() - _kernel(z, z, of_pairs=True).sum() for z in (x, y)]
        between = _kernel_sums(x, y)[0].sum()
        values.append(sum(within) / (subset_size * (subset_size - 1)) - 2 * between / subset_size**2)
    values = torch.stack(values)
    error = values.std() * math.sqrt(1 / subsets + subset_size / (least - subset_size))
    return values.mean().item(), error.item()


def precision_recall(samples: Tensor, reference: Tensor, k: int = 3) -> tuple[float, float]:
    r"""Improved precision and recall (Kynkäänniemi et al., 2019, equations 1 and 2).

    The support of a set is estimated by balls around its rows that reach to the k-th nearest other row. Precision
    is the share of samples in the support of the reference, recall the share of the reference in the support of
    the samples. Both depend on the numbers of rows: compare at equal numbers only, and beside what real data get.
    One outlier in the reference has a huge ball, and makes samples near it count as precise.

    Args:
        samples, reference: features ``(n, d)`` and ``(m, d)``; finite.
        k: the neighbour that sets a radius, not counting the row itself; at least 1, below n and m.

    Returns:
        Precision and recall, in [0, 1].
    """
    samples, reference = _pair("samples", samples, "reference", reference)
    _check_k(k, samples, reference)
    held, _ = _hits(samples, reference, _squared_radii(reference, k))
    reached, _ = _hits(reference, samples, _squared_radii(samples, k))
    return _share(held), _share(reached)


def density_coverage(samples: Tensor, reference: Tensor, k: int = 5) -> tuple[float, float]:
    r"""Density and coverage (Naeem et al., 2020).

    Both use the balls of the reference alone, which reach to the k-th nearest other row. Density counts how many
    balls hold a sample, divided by k, on average over samples: dense places weigh more and outliers little. Its
    mean is 1 for equal distributions, and it may exceed 1. Coverage is the share of balls that hold a sample at
    all. For equal distributions its mean is

    .. math:: 1 - \prod_{i=1}^{k} \frac{m - i}{n + m - i} \approx 1 - 2^{-k} \quad (n = m),

    so even a perfect generator does not reach 1.

    Args:
        samples, reference: features ``(n, d)`` and ``(m, d)``; finite.
        k: the neighbour that sets a radius, not counting the row itself; at least 1, below m.

    Returns:
        Density, at least 0, and coverage, in [0, 1].
    """
    samples, reference = _pair("samples", samples, "reference", reference)
    _check_k(k, reference)
    per_sample, per_ball = _hits(samples, reference, _squared_radii(reference, k))
    return per_sample.double().mean().item() / k, _share(per_ball)


def inception_score(probabilities: Tensor, splits: int = 1) -> tuple[float, float]:
    r"""Inception Score (Salimans et al., 2016, section 4),

    .. math:: \exp\Bigl(\frac1n \sum_i \mathrm{KL}\bigl(p(y \mid x_i) \,\|\, \tfrac1n \sum_j p(y \mid x_j)\bigr)\Bigr),

    with logarithms in nats. It looks at samples alone: memorised images, or one perfect image per class, get the
    best score.

    The score of a finite set is biased: the entropy of an estimated mean is too small, so the logarithm comes out too
    low. The mean over splits has the bias of the smaller sets, and the geometric mean of the scores of equal splits
    never exceeds the score of the whole. State how many samples and splits there were.

    Args:
        probabilities: ``(n, K)``, rows that sum to 1.
        splits: parts of nearly equal size, in the order of the rows (shuffle rows that are sorted by class).

    Returns:
        The mean of the splits' scores, each between 1 and K, and their standard deviation (NaN for one split).
    """
    probabilities = _checked_probabilities(probabilities)
    if not 1 <= splits <= len(probabilities):
        raise ValueError(f"splits must lie in 1 to the number of rows, {len(probabilities)}, got {splits}")
    scores = []
    for part in probabilities.tensor_split(splits):
        marginal = part.mean(0)
        kl = torch.special.xlogy(part, part).sum(1).mean() - torch.special.xlogy(marginal, marginal).sum()
        scores.append(kl.exp())
    scores = torch.stack(scores)
    return scores.mean().item(), scores.std(correction=0).item() if splits > 1 else math.nan


def class_shares(probabilities: Tensor) -> Tensor:
    """Return ``(K,)``: the share of samples that a classifier puts in each of its ``K`` classes.

    Args:
        probabilities: ``(n, K)``, rows that sum to 1.
    """
    probabilities = _checked_probabilities(probabilities)
    return probabilities.argmax(1).bincount(minlength=probabilities.shape[1]).double() / len(probabilities)


def classes_covered(probabilities: Tensor, least_share: float = 0.03) -> int:
    """Return how many classes hold at least ``least_share`` of the samples. ``probabilities``: ``(n, K)``."""
    return int((class_shares(probabilities) >= least_share).sum())


def mean_confidence(probabilities: Tensor) -> float:
    """Return the mean over samples of the largest class probability, between 1/K and 1.

    It tells how clearly samples belong to some class, not how many classes there are: a generator that draws one
    perfect digit for ever has a confidence of 1. ``probabilities``: ``(n, K)``.
    """
    return _checked_probabilities(probabilities).amax(1).mean().item()


def modes_covered(points: Tensor, centers: Tensor, std: float) -> tuple[int, float]:
    """Count the modes of a mixture that samples reach.

    A sample is of high quality if it lies within three standard deviations of its nearest centre; a mode is covered
    if at least one sample of high quality is nearest to it (Lin et al., 2018).

    Args:
        points: ``(n, dim)``.
        centers: ``(modes, dim)``.
        std: standard deviation of each mode, positive.

    Returns:
        Number of modes covered, and the share of samples of high quality.
    """
    points, centers = _points(points, centers)
    if not std > 0:
        raise ValueError(f"std must be positive, got {std}")
    distance, nearest = _nearest(points, centers)
    good = distance <= 3 * std
    return nearest[good].unique().numel(), good.double().mean().item()


def mode_shares(points: Tensor, centers: Tensor) -> Tensor:
    """Return ``(modes,)``: the share of points ``(n, dim)`` nearest to each of the centres ``(modes, dim)``."""
    points, centers = _points(points, centers)
    return _nearest(points, centers)[1].bincount(minlength=len(centers)).double() / len(points)


def reverse_kl(shares: Tensor, weights: Tensor) -> float:
    r"""Kullback-Leibler divergence of the samples' shares of the modes from the true weights, in nats,

    .. math:: \mathrm{KL}(p \,\|\, q) = \sum_i p_i \log (p_i / q_i), \qquad 0 \log 0 = 0,

    called reverse because the samples come first (Lin et al., 2018). A mode that is lost costs only what
    the others have too much: with one of K equal modes left it is log K. The shares of n perfect samples of K
    modes give (K - 1) / (2 n) on average, where n is much larger than K.

    Args:
        shares: ``(modes,)``, of the samples; not negative, with sum 1.
        weights: ``(modes,)``, true ones; not negative, with sum 1.

    Returns:
        At least 0; infinite if a mode of weight 0 has samples.
    """
    for name, value in (("shares", shares), ("weights", weights)):
        if value.ndim != 1 or not len(value) or len(value) != len(shares):
            raise ValueError(
                f"{name} must be (modes,), alike for both, got {tuple(shares.shape)}, {tuple(weights.shape)}"
            )
        if not (value >= 0).all() or not abs(_double(value).sum() - 1) <= 1e-3:  # written so that NaN fails
            raise ValueError(f"{name} must not be negative and must have sum 1, got {value.tolist()[:8]}")
    p, q = (_double(value) / _double(value).sum() for value in (shares, weights))
    # xlogy(p, 0) is minus infinity where p > 0, and 0 where p = 0
    return max((torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum().item(), 0.0)


def wasserstein_1d(a: Tensor, b: Tensor, weights_a: Tensor | None = None, weights_b: Tensor | None = None) -> float:
    r"""Exact Wasserstein-1 distance between two weighted samples on the line.

    On the line it is the area between the two distribution functions, :math:`\int |F_a(x) - F_b(x)| \, dx`, so sorting
    finds it. The distance of two finite samples of one distribution is positive: it is biased upwards.

    Args:
        a, b: ``(n,)`` and ``(m,)``, or ``(n, 1)`` and ``(m, 1)``; finite.
        weights_a, weights_b: ``(n,)`` and ``(m,)``, not negative, with a positive sum; they are normalised. Equal if
            not given.

    Returns:
        The distance, in the units of the samples.
    """
    (a, mass_a), (b, mass_b) = _on_the_line("a", a, weights_a), _on_the_line("b", b, weights_b)
    ends = torch.cat([a, b]).sort().values
    starts = ends[:-1].contiguous()
    gap = mass_a[torch.searchsorted(a, starts, right=True)] - mass_b[torch.searchsorted(b, starts, right=True)]
    return (gap.abs() * ends.diff()).sum().item()


def wasserstein_normals(mean_a: float, std_a: float, mean_b: float, std_b: float) -> float:
    r"""Wasserstein-1 distance between two normal distributions on the line.

    Their quantile functions differ by :math:`\Delta + s z` at the standard normal quantile z, with
    :math:`\Delta = \mu_a - \mu_b` and :math:`s = \sigma_a - \sigma_b`. The distance is the mean of its absolute value:
    :math:`|\Delta|` for equal widths, else the mean of a folded normal distribution,
    :math:`|s| \sqrt{2/\pi} \, e^{-\Delta^2 / 2 s^2} + \Delta \operatorname{erf}(\Delta / \sqrt{2 s^2})`.
    """
    if not (std_a >= 0 and std_b >= 0):
        raise ValueError(f"std_a and std_b must not be negative, got {std_a} and {std_b}")
    shift, scale = mean_a - mean_b, abs(std_a - std_b)
    if scale == 0:
        return abs(shift)
    ratio = shift / (math.sqrt(2) * scale)
    return scale * math.sqrt(2 / math.pi) * math.exp(-(ratio**2)) + shift * math.erf(ratio)


def nearest_neighbours(queries: Tensor, references: Tensor, chunk: int | None = None) -> tuple[Tensor, Tensor]:
    """Find each query's nearest reference by Euclidean distance, in whatever space the rows live.

    Unlike the other functions it computes in float32, on the device of its input.

    Args:
        queries: ``(n, ...)``; all but the first dimension are flattened.
        references: ``(m, ...)``, the same shape per row.
        chunk: queries compared at once, so that no ``n x m`` matrix is ever held; by default what :data:`CHUNK` allows.

    Returns:
        Distances ``(n,)`` in float32 (0 for a copy) and indices into ``references`` ``(n,)``.
    """
    if queries.shape[1:] != references.shape[1:] or not len(queries) or not len(references):
        shapes = f"{tuple(queries.shape)}, {tuple(references.shape)}"
        raise ValueError(f"queries and references must share the shape of a row, got {shapes}")
    return _nearest(queries.detach().flatten(1).float(), references.detach().flatten(1).float(), chunk)


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
        numbers, and compare with others only where extractor and numbers are the same.

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
        result |= {"inception_score": inception_score(p)[0], "classes": classes_covered(p)}
        result |= {"least_share": class_shares(p).min().item(), "confidence": mean_confidence(p)}
    return {name: result[name] for name in METRICS if name in wanted}


def summarize(samples: Tensor, reference: Tensor, judge: nn.Module) -> dict[str, float]:
    """Judge images beside a reference set.

    Args:
        samples: ``(n, C, H, W)`` in [-1, 1], generated or real.
        reference: ``(m, C, H, W)`` in [-1, 1], real images that nothing was trained on.
        judge: a :class:`gan_course.features.Judge` for this data set and size.

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


def _moments(name: str, features: Tensor) -> tuple[Tensor, Tensor]:
    features = _rows(name, features, least=2)
    # NumPy's product of a matrix with its own transpose computes one half of it only, torch's both.
    return features.mean(0), torch.from_numpy(np.atleast_2d(np.cov(features.numpy(), rowvar=False)))


def _factor(cov: Tensor) -> Tensor:
    """Return ``A`` with ``A @ A.T == cov`` and no more columns than ``cov`` has directions of any length."""
    factor, failed = torch.linalg.cholesky_ex(cov)
    if not failed:
        return factor
    values, vectors = torch.linalg.eigh(cov)  # it is singular
    kept = values > len(values) * torch.finfo(values.dtype).eps * values.max()
    return vectors[:, kept] * values[kept].sqrt()


# --- comparing every row with every other -----------------------------------------------------------


def _kernel(a: Tensor, b: Tensor, of_pairs: bool = False) -> Tensor:
    """The cubic kernel of all rows with all, ``(n, m)``; or of row i with row i, ``(n,)``."""
    products = (a * b).sum(1) if of_pairs else a @ b.T
    return (products / a.shape[1] + 1) ** 3


def _kernel_sums(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the kernel matrix over its columns ``(n,)`` and over its rows ``(m,)``."""
    over_columns, over_rows = [], torch.zeros(len(b), dtype=a.dtype)
    for part in a.split(_block(b)):
        kernel = _kernel(part, b)
        over_columns.append(kernel.sum(1))
        over_rows += kernel.sum(0)
    return torch.cat(over_columns), over_rows


def _squared_distances(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances ``(n, m)`` by one matrix product, and a bound ``(n, 1)`` on their rounding error.

    The product is five (d = 64) to twenty times (d = 2048) faster than differences, but near-duplicates lose all
    digits in it. So what depends on a value in doubt is settled by :func:`_settle`.
    """
    a2, b2 = a.square().sum(1, keepdim=True), b.square().sum(1)
    # (d + 2) rounding errors of at most eps / 2 in (|a| + |b|)^2 <= 2 (|a|^2 + |b|^2), and as much again to be safe
    bound = 2 * (a.shape[1] + 4) * torch.finfo(a.dtype).eps * (a2 + b2.max())
    return torch.addmm(b2.expand(len(a), -1), a, b.T, alpha=-2).add_(a2), bound


def _settle(squared: Tensor, doubtful: Tensor, a: Tensor, b: Tensor) -> None:
    """Replace the doubtful squared distances by those from differences, the same to the last bit for the same pair."""
    each = doubtful.nonzero()
    for i, j in (part.unbind(1) for part in each.split(max(CHUNK // a.shape[1], 1))):
        exact = torch.cdist(a[i, None], b[j, None], compute_mode="donot_use_mm_for_euclid_dist")
        squared[i, j] = exact.flatten().square()


def _nearest(queries: Tensor, references: Tensor, chunk: int | None = None) -> tuple[Tensor, Tensor]:
    """Distances and indices ``(n,)`` of the nearest references."""
    distances, indices = [], []
    for part in queries.split(chunk or _block(references)):
        squared, bound = _squared_distances(part, references)
        _settle(squared, squared <= squared.amin(1, keepdim=True) + 2 * bound, part, references)
        least = squared.min(1)
        distances.append(least.values.sqrt())
        indices.append(least.indices)
    return torch.cat(distances), torch.cat(indices)


def _squared_radii(x: Tensor, k: int) -> Tensor:
    """Squared distance ``(n,)`` of each row from its k-th nearest other row."""
    radii = []
    for rows in torch.arange(len(x)).split(_block(x)):
        squared, bound = _squared_distances(x[rows], x)
        squared[torch.arange(len(rows)), rows] = math.inf  # a row is no neighbour of itself; an equal one is
        farthest = squared.topk(k, largest=False).values[:, -1:]
        _settle(squared, squared <= farthest + 2 * bound, x[rows], x)
        radii.append(squared.topk(k, largest=False).values[:, -1])
    return torch.cat(radii)


def _hits(points: Tensor, centers: Tensor, squared_radii: Tensor) -> tuple[Tensor, Tensor]:
    """Number of closed balls that hold each point ``(n,)``, and number of points in each ball ``(m,)``."""
    per_point, per_ball = [], torch.zeros(len(centers), dtype=torch.long)
    for part in points.split(_block(centers)):
        squared, bound = _squared_distances(part, centers)
        _settle(squared, (squared - squared_radii).abs() <= bound, part, centers)
        inside = squared <= squared_radii
        per_point.append(inside.sum(1))
        per_ball += inside.sum(0)
    return torch.cat(per_point), per_ball


def _block(columns: Tensor) -> int:
    """How many rows may be compared with all ``columns`` at once."""
    return max(CHUNK // len(columns), 1)


def _share(counts: Tensor) -> float:
    return (counts > 0).double().mean().item()


# --- what comes in ----------------------------------------------------------------------------------


def _double(x: Tensor) -> Tensor:
    """Return ``x`` on the CPU in float64; moved before it is converted, because Apple's MPS has no float64."""
    return x.detach().cpu().double()


def _rows(name: str, x: Tensor, least: int) -> Tensor:
    """Return a matrix of at least ``least`` rows in float64."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ValueError(f"{name} must be a floating-point tensor, got {getattr(x, 'dtype', type(x).__name__)}")
    if x.ndim != 2 or len(x) < least or not x.shape[1]:
        rows = {1: "one row", 2: "two rows", 3: "three rows"}[least]
        raise ValueError(f"{name} must be (n, d) with at least {rows}, got {tuple(x.shape)}")
    x = _double(x)
    low, high = x.aminmax()  # NaN if there is any
    if not (low > -math.inf and high < math.inf):
        raise ValueError(f"{name} must be finite, got NaN or infinite values")
    return x


def _pair(name_a: str, a: Tensor, name_b: str, b: Tensor, least: int = 2) -> tuple[Tensor, Tensor]:
    a, b = _rows(name_a, a, least), _rows(name_b, b, least)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{name_a} and {name_b} must have the same d, got {a.shape[1]} and {b.shape[1]}")
    return a, b


def _points(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    if points.ndim != 2 or centers.ndim != 2 or points.shape[1] != centers.shape[1]:
        raise ValueError(
            f"points and centers must be (n, dim) and (modes, dim), got {tuple(points.shape)}, {tuple(centers.shape)}"
        )
    return _pair("points", points, "centers", centers, least=1)


def _check_k(k: int, *sets: Tensor) -> None:
    most = min(map(len, sets)) - 1
    if not 1 <= k <= most:
        raise ValueError(f"k must lie in 1 to {most}, the number of other rows, got {k}")


def _on_the_line(name: str, x: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sorted values ``(n,)``, and the mass of the first 0, 1, ..., n of them ``(n + 1,)``."""
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or x.shape[1] != 1:
        raise ValueError(f"{name} must be (n,) or (n, 1), got {tuple(x.shape)}")
    values, order = _rows(name, x, least=1).flatten().sort()
    mass = torch.ones_like(values)
    if weights is not None:
        if weights.shape != values.shape:
            raise ValueError(f"weights_{name} must be ({len(values)},), got {tuple(weights.shape)}")
        mass = _double(weights)[order]
        if not ((mass >= 0).all() and 0 < mass.sum() < math.inf):  # written so that NaN fails
            raise ValueError(f"weights_{name} must be finite and not negative, and must not all be 0")
    mass = mass.cumsum(0) / mass.sum()
    mass[-1] = 1.0  # whatever the rounding
    return values, torch.cat([mass.new_zeros(1), mass])


def _checked_probabilities(probabilities: Tensor) -> Tensor:
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(f"probabilities must be (n, K) with n at least 1, got {tuple(probabilities.shape)}")
    probabilities = _double(probabilities)
    if not ((probabilities.sum(1) - 1).abs() <= 1e-3).all() or (probabilities < 0).any():
        raise ValueError("probabilities must have rows that sum to 1; apply softmax to logits first")
    return probabilities
