"""Metrics that ask which rows lie near which: precision and recall, density and coverage, nearest neighbours.

Most move their input to the CPU and compute in float64 there. No matrix of distances has more than
:data:`gan_course.metrics.inputs.CHUNK` elements (or one row, if that is longer).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_course.metrics import inputs


def precision_recall(samples: Tensor, reference: Tensor, k: int = 3) -> tuple[float, float]:
    r"""Improved precision and recall, each in [0, 1] (Kynkäänniemi et al., 2019, equations 1 and 2).

    The support of a set is estimated by balls around its rows that reach to the k-th nearest other row and hold their
    border. Precision is the share of samples in the support of the reference, recall the share of the reference in the
    support of the samples. Both depend on the numbers of rows: compare at equal numbers only, and beside what real data
    get. One outlier in the reference has a huge ball, and makes samples near it count as precise.

    Args:
        samples, reference: features ``(n, d)`` and ``(m, d)``; finite.
        k: the neighbour that sets a radius, not counting the row itself; at least 1, below n and m.
    """
    samples, reference = inputs.pair("samples", samples, "reference", reference)
    _check_k(k, samples, reference)
    held, _ = _hits(samples, reference, _squared_radii(reference, k))
    reached, _ = _hits(reference, samples, _squared_radii(samples, k))
    return _share(held), _share(reached)


def density_coverage(samples: Tensor, reference: Tensor, k: int = 5) -> tuple[float, float]:
    r"""Density, at least 0, and coverage, in [0, 1] (Naeem et al., 2020).

    Both use the balls of the reference alone, which reach to the k-th nearest other row. Density counts how many
    balls hold a sample, divided by k, on average over samples: dense places weigh more and outliers little. Its
    mean is 1 for equal distributions, and it may exceed 1. Coverage is the share of balls that hold a sample at
    all. For equal distributions its mean is

    .. math:: 1 - \prod_{i=1}^{k} \frac{m - i}{n + m - i} \approx 1 - 2^{-k} \quad (n = m),

    so even a perfect generator does not reach 1.

    Balls hold their border. The authors' program leaves it out, which matters where distances are equal, as between
    whole numbers or copies: a copy of the reference has a density of (k + 1) / k here and of 1 there.

    Args:
        samples, reference: features ``(n, d)`` and ``(m, d)``; finite.
        k: the neighbour that sets a radius, not counting the row itself; at least 1, below m.
    """
    samples, reference = inputs.pair("samples", samples, "reference", reference)
    _check_k(k, reference)
    per_sample, per_ball = _hits(samples, reference, _squared_radii(reference, k))
    return per_sample.double().mean().item() / k, _share(per_ball)


def nearest_neighbours(queries: Tensor, references: Tensor, chunk: int | None = None) -> tuple[Tensor, Tensor]:
    """Find each query's nearest reference by Euclidean distance, in float32, on the device of the input.

    Args:
        queries, references: ``(n, ...)`` and ``(m, ...)``, of one shape per row, in whatever space the rows live.
        chunk: queries compared at once, so that no ``n x m`` matrix is ever held; by default what :data:`CHUNK` allows.

    Returns:
        Distances ``(n,)`` in float32 (0 for a copy) and indices into ``references`` ``(n,)``.
    """
    if queries.shape[1:] != references.shape[1:] or not len(queries) or not len(references):
        shapes = f"{tuple(queries.shape)}, {tuple(references.shape)}"
        raise ValueError(f"queries and references must share the shape of a row, got {shapes}")
    return nearest(queries.detach().flatten(1).float(), references.detach().flatten(1).float(), chunk)


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
    for i, j in (part.unbind(1) for part in each.split(max(inputs.CHUNK // a.shape[1], 1))):
        exact = torch.cdist(a[i, None], b[j, None], compute_mode="donot_use_mm_for_euclid_dist")
        squared[i, j] = exact.flatten().square()


def nearest(queries: Tensor, references: Tensor, chunk: int | None = None) -> tuple[Tensor, Tensor]:
    """Distances and indices ``(n,)`` of the nearest references."""
    distances, indices = [], []
    for part in queries.split(chunk or inputs.block(references)):
        squared, bound = _squared_distances(part, references)
        _settle(squared, squared <= squared.amin(1, keepdim=True) + 2 * bound, part, references)
        least = squared.min(1)
        distances.append(least.values.sqrt())
        indices.append(least.indices)
    return torch.cat(distances), torch.cat(indices)


def nearest_others(x: Tensor) -> Tensor:
    """The index ``(n,)`` of each row's nearest other row; of equally near ones, one by its place alone."""
    indices = []
    for rows in torch.arange(len(x)).split(inputs.block(x)):
        squared, bound = _squared_distances(x[rows], x)
        squared[torch.arange(len(rows)), rows] = math.inf
        _settle(squared, squared <= squared.amin(1, keepdim=True) + 2 * bound, x[rows], x)
        indices.append(squared.argmin(1))
    return torch.cat(indices)


def nearest_counts(queries: Tensor, references: Tensor) -> Tensor:
    """Of how many queries each reference is the nearest, ``(m,)``; equally near ones have equal parts of a query."""
    counts = torch.zeros(len(references), dtype=queries.dtype)
    for part in queries.split(inputs.block(references)):
        squared, bound = _squared_distances(part, references)
        _settle(squared, squared <= squared.amin(1, keepdim=True) + 2 * bound, part, references)
        least = (squared == squared.amin(1, keepdim=True)).to(counts.dtype)
        counts += (least / least.sum(1, keepdim=True)).sum(0)
    return counts


def _squared_radii(x: Tensor, k: int) -> Tensor:
    """Squared distance ``(n,)`` of each row from its k-th nearest other row."""
    radii = []
    for rows in torch.arange(len(x)).split(inputs.block(x)):
        squared, bound = _squared_distances(x[rows], x)
        squared[torch.arange(len(rows)), rows] = math.inf  # a row is no neighbour of itself; an equal one is
        farthest = squared.topk(k, largest=False).values[:, -1:]
        _settle(squared, squared <= farthest + 2 * bound, x[rows], x)
        radii.append(squared.topk(k, largest=False).values[:, -1])
    return torch.cat(radii)


def _hits(points: Tensor, centers: Tensor, squared_radii: Tensor) -> tuple[Tensor, Tensor]:
    """Number of closed balls that hold each point ``(n,)``, and number of points in each ball ``(m,)``."""
    per_point, per_ball = [], torch.zeros(len(centers), dtype=torch.long)
    for part in points.split(inputs.block(centers)):
        squared, bound = _squared_distances(part, centers)
        _settle(squared, (squared - squared_radii).abs() <= bound, part, centers)
        inside = squared <= squared_radii
        per_point.append(inside.sum(1))
        per_ball += inside.sum(0)
    return torch.cat(per_point), per_ball


def _share(counts: Tensor) -> float:
    return (counts > 0).double().mean().item()


def _check_k(k: int, *sets: Tensor) -> None:
    most = min(map(len, sets)) - 1
    if not 1 <= k <= most:
        raise ValueError(f"k must lie in 1 to {most}, the number of other rows, got {k}")
