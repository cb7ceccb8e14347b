"""How much of the variety is there: classes by a classifier's probabilities, and modes that are known.

Stacked digits (:mod:`gan_course.data.stacked`) have a thousand modes, which a judge of single digits reads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_course.data.stacked import CHANNELS, MODES, number
from gan_course.metrics import inputs
from gan_course.metrics.judges import Judge
from gan_course.metrics.neighbours import nearest


def inception_score(probabilities: Tensor, splits: int = 1) -> tuple[float, float]:
    r"""Inception Score (Salimans et al., 2016, section 4),

    .. math:: \exp\Bigl(\frac1n \sum_i \mathrm{KL}\bigl(p(y \mid x_i) \,\|\, \tfrac1n \sum_j p(y \mid x_j)\bigr)\Bigr),

    with logarithms in nats. It looks at samples alone: memorised images, or one perfect image per class, get the
    best score.

    The score of a finite set is biased: the entropy of an estimated mean is too small, so the logarithm comes out too
    low. The mean over splits has the bias of the smaller sets, and the geometric mean of the scores of equal splits
    never exceeds the score of the whole. State how many samples and splits there were: published scores are mostly of
    50,000 samples in 10 splits.

    Args:
        probabilities: ``(n, K)``, rows that sum to 1.
        splits: parts of nearly equal size, in the order of the rows (shuffle rows that are sorted by class), cut where
            the authors' code and torch-fidelity cut them.

    Returns:
        The mean of the splits' scores, each between 1 and K, and their standard deviation (NaN for one split).
    """
    probabilities = inputs.checked_probabilities(probabilities)
    if not 1 <= splits <= len(probabilities):
        raise ValueError(f"splits must lie in 1 to the number of rows, {len(probabilities)}, got {splits}")
    scores, n = [], len(probabilities)
    for i in range(splits):
        part = probabilities[i * n // splits : (i + 1) * n // splits]
        marginal = part.mean(0)
        kl = torch.special.xlogy(part, part).sum(1).mean() - torch.special.xlogy(marginal, marginal).sum()
        scores.append(kl.exp())
    scores = torch.stack(scores)
    return scores.mean().item(), scores.std(correction=0).item() if splits > 1 else math.nan


def class_shares(probabilities: Tensor) -> Tensor:
    """Return ``(K,)``: the share of samples that a classifier puts in each class. ``probabilities``: ``(n, K)``."""
    probabilities = inputs.checked_probabilities(probabilities)
    return probabilities.argmax(1).bincount(minlength=probabilities.shape[1]).double() / len(probabilities)


def classes_covered(probabilities: Tensor, least_share: float = 0.03) -> int:
    """Return how many classes hold at least ``least_share`` of the samples. ``probabilities``: ``(n, K)``."""
    return int((class_shares(probabilities) >= least_share).sum())


def mean_confidence(probabilities: Tensor) -> float:
    """Return the mean over samples of the largest class probability, between 1/K and 1.

    It tells how clearly samples belong to some class, not how many classes there are: a generator that draws one
    perfect digit for ever has a confidence of 1. ``probabilities``: ``(n, K)``.
    """
    return inputs.checked_probabilities(probabilities).amax(1).mean().item()


def modes_covered(points: Tensor, centers: Tensor, std: float) -> tuple[int, float]:
    """Return how many modes of a mixture samples reach, and the share of samples of high quality.

    A sample is of high quality if it lies within three standard deviations of its nearest centre; a mode is covered
    if at least one sample of high quality is nearest to it; Srivastava et al. (2017), as Lin et al. (2018) use them.

    Args:
        points, centers: ``(n, dim)`` and ``(modes, dim)``.
        std: standard deviation of each mode, positive.
    """
    points, centers = inputs.pair("points", points, "centers", centers, least=1)
    if not std > 0:
        raise ValueError(f"std must be positive, got {std}")
    distance, mode = nearest(points, centers)
    good = distance <= 3 * std
    return mode[good].unique().numel(), good.double().mean().item()


def mode_shares(points: Tensor, centers: Tensor) -> Tensor:
    """Return ``(modes,)``: the share of points ``(n, dim)`` nearest to each of the centres ``(modes, dim)``.

    All points count. PacGAN's program takes shares among points of high quality only (see :func:`modes_covered`), so
    that noise far from all modes does not show in its divergence.
    """
    points, centers = inputs.pair("points", points, "centers", centers, least=1)
    return nearest(points, centers)[1].bincount(minlength=len(centers)).double() / len(points)


def reverse_kl(shares: Tensor, weights: Tensor) -> float:
    r"""Kullback-Leibler divergence of the samples' shares of the modes from the true weights, in nats,

    .. math:: \mathrm{KL}(p \,\|\, q) = \sum_i p_i \log (p_i / q_i), \qquad 0 \log 0 = 0,

    called reverse because the samples come first (Lin et al., 2018). A mode that is lost costs only what the others
    have too much: with one of K equal modes left it is log K. The shares of n perfect samples of K modes give
    (K - 1) / (2 n) on average, where n is much larger than K. It is infinite if a mode of weight 0 has samples.

    Args:
        shares, weights: ``(modes,)``, of the samples and the true ones; not negative, with sum 1.
    """
    for name, value in (("shares", shares), ("weights", weights)):
        if value.ndim != 1 or not len(value) or len(value) != len(shares):
            got = f"{tuple(shares.shape)}, {tuple(weights.shape)}"
            raise ValueError(f"{name} must be (modes,), alike for both, got {got}")
        if not (value >= 0).all() or not abs(inputs.double(value).sum() - 1) <= 1e-3:  # written so that NaN fails
            raise ValueError(f"{name} must not be negative and must have sum 1, got {value.tolist()[:8]}")
    p, q = (inputs.double(value) / inputs.double(value).sum() for value in (shares, weights))
    # xlogy(p, 0) is minus infinity where p > 0, and 0 where p = 0
    return max((torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum().item(), 0.0)


def read_stacked(images: Tensor, judge: Judge) -> Tensor:
    """Return the modes ``(n,)``, 0 to 999, that a judge reads in images ``(n, 3, size, size)`` in [-1, 1]."""
    if images.ndim != 4 or images.shape[1] != CHANNELS:
        raise ValueError(f"images must be (n, {CHANNELS}, size, size), got {tuple(images.shape)}")
    digits = judge.logits(images.flatten(0, 1)[:, None]).argmax(1)
    return number(digits.view(-1, CHANNELS))


def stacked_shares(modes: Tensor) -> Tensor:
    """Return ``(1000,)``: the share of each mode among ``modes`` ``(n,)``, 0 to 999, in float64."""
    if modes.ndim != 1 or not len(modes) or modes.is_floating_point() or modes.min() < 0 or modes.max() >= MODES:
        got = f"{modes.dtype} {tuple(modes.shape)}"
        raise ValueError(f"modes must be (n,) whole numbers from 0 to {MODES - 1}, got {got}")
    return modes.cpu().bincount(minlength=MODES).double() / len(modes)


def summarize_stacked(samples: Tensor, judge: Judge, weights: Tensor | None = None) -> dict[str, float]:
    """Count the modes that samples reach, and compare their shares with the true weights.

    Args:
        samples: ``(n, 3, size, size)`` in [-1, 1].
        judge: of single digits of this set and size.
        weights: ``(1000,)`` true weights of the modes, for instance ``stacked_shares(real.labels)`` of a large set in
            which every mode occurs; equal if not given, as usual.

    Returns:
        ``modes``, how many have at least one sample, and ``reverse_kl`` of the shares from the weights, in nats.
        Perfect samples do not get 1,000 and 0: n of them reach about 1000 (1 - exp(-n / 1000)) modes, and the
        divergence is near 500 / n where n is large.
    """
    found = stacked_shares(read_stacked(samples, judge))
    weights = torch.full((MODES,), 1 / MODES) if weights is None else weights
    return {"modes": int((found > 0).sum()), "reverse_kl": reverse_kl(found, weights)}
