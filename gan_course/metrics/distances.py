"""Distances between two sets of features, and between two samples on the line; on the CPU in float64."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_course.metrics import inputs


def frechet_distance(features_a: Tensor, features_b: Tensor) -> float:
    r"""Squared Fréchet (2-Wasserstein) distance between Gaussians fitted to two sets of features.

    With Inception features this is the FID of Heusel et al. (2017), equation 6. In any other feature space it is a
    number of its own: comparable only with the same features, the same data and the same numbers of samples, for
    it is biased upwards when samples are few. Its units are the squared ones of the features.

    Args:
        features_a, features_b: ``(n, d)`` and ``(m, d)``, at least two rows each; finite.
    """
    return frechet_distance_gaussians(*_moments("features_a", features_a), *_moments("features_b", features_b))


def frechet_distance_gaussians(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    r"""Squared 2-Wasserstein distance between two Gaussians,

    .. math:: \|\mu_a - \mu_b\|^2 + \operatorname{tr}\Sigma_a + \operatorname{tr}\Sigma_b
              - 2\operatorname{tr}(\Sigma_a\Sigma_b)^{1/2}.

    The product of two covariances is not symmetric, and its matrix square root is costly and can turn complex.
    Neither is needed: with :math:`\Sigma_a = AA^\top`, the eigenvalues of :math:`\Sigma_a\Sigma_b` are those of the
    symmetric :math:`A^\top\Sigma_b A`, and the trace is the sum of their roots. Rounding in the smallest ones leaves an
    error of some 1e-8 of the traces. Dowson and Landau (1982) give the closed form.

    Args:
        mean_a, mean_b: ``(d,)``.
        cov_a, cov_b: ``(d, d)``, symmetric and positive semi-definite; they may be singular.
    """
    mean_a, cov_a, mean_b, cov_b = (inputs.double(t) for t in (mean_a, cov_a, mean_b, cov_b))
    d = len(mean_a)
    if mean_b.shape != (d,) or cov_a.shape != (d, d) or cov_b.shape != (d, d):
        shapes = [tuple(t.shape) for t in (mean_a, cov_a, mean_b, cov_b)]
        raise ValueError(f"means and covariances must have shapes (d,) and (d, d), got {shapes}")
    factor_a, factor_b = _factor(cov_a), _factor(cov_b)
    factor, cov = (factor_a, cov_b) if factor_a.shape[1] <= factor_b.shape[1] else (factor_b, cov_a)
    overlap = torch.linalg.eigvalsh(factor.T @ cov @ factor).clamp(min=0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap
    return max(distance.item(), 0.0)


class Extrapolation(NamedTuple):
    """What :func:`extrapolated_frechet` finds: a straight line through distances at several numbers of samples."""

    value: float  #: where the line meets 1 / n = 0
    error: float  #: its standard error, of another draw of as many samples
    slope: float  #: of the line, per 1 / n
    sizes: tuple[int, ...]  #: the numbers of samples n, the largest first
    distances: tuple[float, ...]  #: the Fréchet distance at each of them


def extrapolated_frechet(samples: Tensor, reference: Tensor, parts: int = 8, seed: int = 0) -> Extrapolation:
    r"""Fréchet distance at infinitely many samples, by a straight line in 1 / n (Chong and Forsyth, 2020).

    The mean of the Fréchet distance of n samples is :math:`F_\infty + c / n + O(1 / n^2)`, with a c that depends on
    what made the samples: so the order of two generators at one n need not be that at another. A line is fitted by
    least squares to the distances at n, n / 2, n / 3, ..., and read at 1 / n = 0; with Inception features the
    authors call that :math:`\mathrm{FID}_\infty`. Their program draws one subset at each of 15 sizes. Here the rows
    are shuffled once and cut into k equal parts for each k, and the distances of the parts are averaged: every size
    sees all rows, but for a remainder of fewer than k.

    Only the samples are cut; the reference is used in full at every size. Its own bias, about :math:`c' / m` for
    its m rows, remains, and so do differences that come from which m images it has. The smaller the parts, the
    larger is the term in :math:`1 / n^2` that a line leaves out. Between normal distributions of 16 and 64
    dimensions no bias of the samples was seen to remain where the smallest parts had 10 d rows, and with 4 d rows
    the line took off a twelfth too much. With d rows or fewer a covariance is singular, and there is no line. The
    value can be negative.

    The error comes from how much the parts differ among themselves. That of the least squares is far too small, a
    quarter to two fifths of the true one there: all sizes share the same rows, whose luck moves the whole line. The
    error given is about right where the distributions differ, and too large rather than too small where they are
    equal.

    The cost is that of ``parts (parts + 1) / 2`` Fréchet distances.

    Args:
        samples, reference: features ``(n, d)`` and ``(m, d)``; finite. Two rows of reference, or more.
        parts: the smallest parts have ``n // parts`` rows; at least 2, and these must be more than d.
        seed: of the shuffle.

    Returns:
        The value, in squared units of the features as :func:`frechet_distance`, with its error, the slope and the
        points of the line.

    Raises:
        ValueError: features are not as above, or there are too few samples for these parts.
    """
    samples, reference = inputs.pair("samples", samples, "reference", reference)
    (n, d), most = samples.shape, len(samples) // (samples.shape[1] + 1)
    if most < 2:
        raise ValueError(f"samples must have at least 2 (d + 1) = {2 * (d + 1)} rows to be cut, got {n}")
    if not 2 <= parts <= most:
        raise ValueError(f"parts must lie in 2 to {most} for {n} samples of {d} features, got {parts}")
    target = _moments("reference", reference)
    samples = samples[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
    sizes, distances, variances = [], [], []
    for k in range(1, parts + 1):
        sizes.append(n // k)
        each = [frechet_distance_gaussians(*_moments("samples", part), *target) for part in samples.split(n // k)[:k]]
        distances.append(float(np.mean(each)))
        if k > 1:
            variances.append(np.var(each, ddof=1) / k)
    slope, value = np.polyfit(1 / np.array(sizes), distances, 1)
    return Extrapolation(float(value), math.sqrt(np.mean(variances)), float(slope), tuple(sizes), tuple(distances))


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
    """
    a, b = inputs.pair("features_a", features_a, "features_b", features_b, least=3)
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

    Use it to compare with published KIDs; :func:`kernel_distance`, the limit of many subsets, costs no more than 100
    subsets of a tenth of the rows. Both are unbiased.

    Subsets of the same rows overlap, so their standard deviation divided by :math:`\sqrt{\text{subsets}}`, which is
    often given as the error, goes to zero however few the samples. Here that is only one part; the other is the
    delete-d jackknife's estimate (Shao and Wu, 1989) of what another set of rows would have changed, again too large
    for equal distributions.

    Args:
        features_a, features_b: ``(n, d)`` and ``(m, d)``; finite.
        subsets: how many, at least 2.
        subset_size: rows drawn from each set without replacement; at least 2, below n and m.
        seed: of the subsets.
    """
    a, b = inputs.pair("features_a", features_a, "features_b", features_b, least=3)
    least = min(len(a), len(b))
    if subsets < 2:
        raise ValueError(f"subsets must be at least 2, got {subsets}")
    if not 2 <= subset_size < least:
        sizes = f"{len(a)} and {len(b)}"
        raise ValueError(f"subset_size must lie in 2 to {least - 1} for sets of {sizes}, got {subset_size}")
    generator, values = torch.Generator().manual_seed(seed), []
    for _ in range(subsets):
        x, y = (rows[torch.randperm(len(rows), generator=generator)[:subset_size]] for rows in (a, b))
        within = [_kernel_sums(z, z)[0].sum() - _kernel(z, z, of_pairs=True).sum() for z in (x, y)]
        between = _kernel_sums(x, y)[0].sum()
        values.append(sum(within) / (subset_size * (subset_size - 1)) - 2 * between / subset_size**2)
    values = torch.stack(values)
    error = values.std() * math.sqrt(1 / subsets + subset_size / (least - subset_size))
    return values.mean().item(), error.item()


def wasserstein_1d(a: Tensor, b: Tensor, weights_a: Tensor | None = None, weights_b: Tensor | None = None) -> float:
    r"""Exact Wasserstein-1 distance between two weighted samples on the line, in their units.

    On the line it is the area between the two distribution functions, :math:`\int |F_a(x) - F_b(x)| \, dx`, so sorting
    finds it. The distance of two finite samples of one distribution is positive: it is biased upwards.

    Args:
        a, b: ``(n,)`` and ``(m,)``, or ``(n, 1)`` and ``(m, 1)``; finite.
        weights_a, weights_b: ``(n,)`` and ``(m,)``, not negative, with a positive sum; they are normalised. Equal if
            not given.
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


def _moments(name: str, features: Tensor) -> tuple[Tensor, Tensor]:
    features = inputs.rows(name, features, least=2)
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


def _kernel(a: Tensor, b: Tensor, of_pairs: bool = False) -> Tensor:
    """The cubic kernel of all rows with all, ``(n, m)``; or of row i with row i, ``(n,)``."""
    products = (a * b).sum(1) if of_pairs else a @ b.T
    return (products / a.shape[1] + 1) ** 3


def _kernel_sums(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the kernel matrix over its columns ``(n,)`` and over its rows ``(m,)``."""
    over_columns, over_rows = [], torch.zeros(len(b), dtype=a.dtype)
    for part in a.split(inputs.block(b)):
        kernel = _kernel(part, b)
        over_columns.append(kernel.sum(1))
        over_rows += kernel.sum(0)
    return torch.cat(over_columns), over_rows


def _on_the_line(name: str, x: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sorted values ``(n,)``, and the mass of the first 0, 1, ..., n of them ``(n + 1,)``."""
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or x.shape[1] != 1:
        raise ValueError(f"{name} must be (n,) or (n, 1), got {tuple(x.shape)}")
    values, order = inputs.rows(name, x, least=1).flatten().sort()
    mass = torch.ones_like(values)
    if weights is not None:
        if weights.shape != values.shape:
            raise ValueError(f"weights_{name} must be ({len(values)},), got {tuple(weights.shape)}")
        mass = inputs.double(weights)[order]
        if not ((mass >= 0).all() and 0 < mass.sum() < math.inf):  # written so that NaN fails
            raise ValueError(f"weights_{name} must be finite and not negative, and must not all be 0")
    mass = mass.cumsum(0) / mass.sum()
    mass[-1] = 1.0  # whatever the rounding
    return values, torch.cat([mass.new_zeros(1), mass])
