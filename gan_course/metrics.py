"""How good are samples? Functions of feature matrices, class probabilities, or points; all computed in float64."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
    Neither is needed: with :math:`\Sigma_a = AA^\top` and :math:`\Sigma_b = BB^\top` the trace is the sum of the
    singular values of :math:`A^\top B`, since their squares are the eigenvalues of :math:`\Sigma_a\Sigma_b`.
    (Dowson & Landau, 1982, give the closed form.)

    Args:
        mean_a, mean_b: ``(d,)``.
        cov_a, cov_b: ``(d, d)``, symmetric and positive semi-definite; they may be singular.
    """
    mean_a, cov_a, mean_b, cov_b = (_double(t) for t in (mean_a, cov_a, mean_b, cov_b))
    d = len(mean_a)
    if mean_b.shape != (d,) or cov_a.shape != (d, d) or cov_b.shape != (d, d):
        shapes = [tuple(t.shape) for t in (mean_a, cov_a, mean_b, cov_b)]
        raise ValueError(f"means and covariances must have shapes (d,) and (d, d), got {shapes}")
    overlap = torch.linalg.svdvals(_factor(cov_a).T @ _factor(cov_b)).sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap
    return max(distance.item(), 0.0)


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
    if at least one sample of high quality is nearest to it (Lin et al., 2018, section 4.1).

    Args:
        points: ``(n, dim)``.
        centers: ``(modes, dim)``.
        std: standard deviation of each mode, positive.

    Returns:
        Number of modes covered, and the share of samples of high quality.
    """
    if points.ndim != 2 or centers.ndim != 2 or points.shape[1] != centers.shape[1]:
        raise ValueError(
            f"points and centers must be (n, dim) and (modes, dim), got {tuple(points.shape)}, {tuple(centers.shape)}"
        )
    if not std > 0:
        raise ValueError(f"std must be positive, got {std}")
    distance, nearest = torch.cdist(_double(points), _double(centers)).min(1)
    good = distance <= 3 * std
    return nearest[good].unique().numel(), good.double().mean().item()


def nearest_neighbours(queries: Tensor, references: Tensor, chunk: int = 1024) -> tuple[Tensor, Tensor]:
    """Find each query's nearest reference by Euclidean distance, in whatever space the rows live.

    Args:
        queries: ``(n, ...)``; all but the first dimension are flattened.
        references: ``(m, ...)``, the same shape per row.
        chunk: queries compared at once, so that no ``n x m`` matrix is ever held.

    Returns:
        Distances ``(n,)`` in float32 and indices into ``references`` ``(n,)``.
    """
    if queries.shape[1:] != references.shape[1:] or not len(queries) or not len(references):
        shapes = f"{tuple(queries.shape)}, {tuple(references.shape)}"
        raise ValueError(f"queries and references must share the shape of a row, got {shapes}")
    flat = references.flatten(1).float()
    found = [torch.cdist(part.flatten(1).float(), flat).min(1) for part in queries.split(chunk)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


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
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"{name} must be (n, d) with at least two rows, got {tuple(features.shape)}")
    features = _double(features)
    if not torch.isfinite(features).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite values")
    return features.mean(0), torch.atleast_2d(features.T.cov())


def _factor(cov: Tensor) -> Tensor:
    """Return ``A`` with ``A @ A.T == cov``; rounding may have made tiny eigenvalues negative."""
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp(min=0).sqrt()


def _double(x: Tensor) -> Tensor:
    """Return ``x`` on the CPU in float64; moved before it is converted, because Apple's MPS has no float64."""
    return x.detach().cpu().double()


def _checked_probabilities(probabilities: Tensor) -> Tensor:
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(f"probabilities must be (n, K) with n at least 1, got {tuple(probabilities.shape)}")
    probabilities = _double(probabilities)
    if not ((probabilities.sum(1) - 1).abs() <= 1e-3).all():
        raise ValueError("probabilities must have rows that sum to 1; apply softmax to logits first")
    return probabilities
