"""Can two sets of features be told apart, and are samples nearer to the training set than they should be?

Each answer is a share beside what it would be by chance, with the spread that chance gives it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gan_course.metrics import inputs
from gan_course.metrics.neighbours import nearest_counts, nearest_others


class Outcome(NamedTuple):
    """A share beside its distribution under the null hypothesis."""

    share: float  #: as observed, in [0, 1]
    expected: float  #: its mean under the null hypothesis
    error: float  #: its standard deviation under the null hypothesis
    z: float  #: ``(share - expected) / error``
    p: float  #: two-sided, for a normal distribution


class TwoSampleTest(NamedTuple):
    """The accuracies of two classifiers that tell samples from the reference."""

    linear: Outcome  #: of a logistic regression, on rows that it has not seen
    neighbour: Outcome  #: of the nearest other row


def two_sample_test(samples: Tensor, reference: Tensor, seed: int = 0) -> TwoSampleTest:
    r"""Classifier two-sample tests (Lopez-Paz and Oquab, 2017): how often is it guessed which set a row comes from?

    Under the null hypothesis both sets are draws from one distribution, and no classifier beats chance.

    ``linear`` is a logistic regression (standardised features, a ridge of scikit-learn's default strength), fitted to
    half of either set and asked about the rest. Its right answers are taken to be binomial with probability 1/2, as
    in the paper; equal numbers of both sets among the questions make their true variance at most a little
    larger, by a factor of 2h / (2h - 1) for h of each. It sees what a plane separates, so in the main
    differences of means: a collapse that keeps all means stays hidden from it.

    ``neighbour`` gives each row of both sets the set of its nearest other row. No row is left out of the fit, but rows
    answer about one another: the right answers are not independent, and not binomial. So mean and variance are taken
    over all ways to divide the same 2n rows into two sets of n, which under the null hypothesis were equally likely,
    whatever the distribution. The mean is (n - 1) / (2n - 1), a little below one half; the variance depends on how
    many rows are nearest to one another and on how many are nearest to none (Henze, 1988). Only that z is normal is an
    approximation. A share *below* chance is a difference, too: each sample lies beside a row of the reference that it
    might be a copy of (Xu et al., 2018).

    Where the null hypothesis is false, the accuracy depends on the number of rows and on the features. Compare at equal
    numbers, and beside what real data get.

    Args:
        samples, reference: features ``(n, d)``, four rows at least and the same number of both; finite.
        seed: of the order of the rows, which decides who is left out, and which of equally near rows is the nearest.

    Raises:
        ValueError: features are not as above.
    """
    samples, reference = inputs.pair("samples", samples, "reference", reference, least=4)
    n = _same_number("samples", samples, "reference", reference)
    generator = torch.Generator().manual_seed(seed)
    sets = [rows[torch.randperm(n, generator=generator)] for rows in (samples, reference)]
    shuffled = torch.randperm(2 * n, generator=generator)
    labels = torch.arange(2).repeat_interleave(n)[shuffled]
    return TwoSampleTest(_linear(*sets), _neighbour(torch.cat(sets)[shuffled], labels))


def copy_test(samples: Tensor, train: Tensor, held_out: Tensor) -> Outcome:
    r"""The share of samples that are nearer to a training image than to any of as many held-out images.

    The null hypothesis is that which of these images were trained on makes no difference to the samples: then the mean
    is 1/2. A model that hands out training images, or images like them, has a larger share. Meehan et al. (2020) have a
    finer test, which compares the distances from the training set of samples and of held-out images in each
    region. A sample that is equally near to several images counts in parts.

    Mean and variance are taken over all ways to divide these 2m images into two sets of m, which under the null
    hypothesis were equally likely, whatever the samples are. A binomial error would be too small where many samples
    share a neighbour: they then have only the luck of a few images.

    What it cannot tell: the null hypothesis fails also where the two sets differ in more than luck, as train and
    test splits that were made at different places do; what real data that nothing was trained on get in place
    of the samples shows that. A model that has collapsed has few neighbours, so the error is large and the share may
    be anywhere. A single copy among many new images hardly moves a share of all. And near is what the features say.

    Args:
        samples: features ``(n, d)``; finite.
        train, held_out: features ``(m, d)``, two rows at least and the same number of both; finite.

    Raises:
        ValueError: features are not as above.
    """
    samples, train = inputs.pair("samples", samples, "train", train, least=1)
    train, held_out = inputs.pair("train", train, "held_out", held_out)
    m = _same_number("train", train, "held_out", held_out)
    weights = nearest_counts(samples, torch.cat([train, held_out])) / len(samples)
    # The sum of m of these 2m numbers, drawn without replacement.
    variance = m / 2 * weights.var().item()
    return _outcome(weights[:m].sum().item(), 0.5, variance)


def _linear(samples: Tensor, reference: Tensor) -> Outcome:
    from sklearn.linear_model import LogisticRegression  # takes a second to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    half = len(samples) // 2
    known, asked = (torch.cat([samples[part], reference[part]]) for part in (slice(half), slice(half, None)))
    labels = [torch.arange(2).repeat_interleave(len(rows) // 2).numpy() for rows in (known, asked)]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(known.numpy(), labels[0])
    return _outcome(classifier.score(asked.numpy(), labels[1]), 0.5, 0.25 / len(asked))


def _neighbour(rows: Tensor, labels: Tensor) -> Outcome:
    """``rows`` ``(2n, d)`` in random order, n of them with label 0 and n with label 1."""
    total, nearest = len(rows), nearest_others(rows)
    n, each = total // 2, torch.arange(total)
    right = (labels == labels[nearest]).double().mean().item()
    # Two pairs of a row and its neighbour are the same two rows, share one row, or share none.
    same = total + (nearest[nearest] == each).sum().item()
    degrees = nearest.bincount(minlength=total) + 1
    shared = degrees.square().sum().item() - 2 * same
    apart = total**2 - same - shared
    # The probabilities that both pairs have equal labels.
    one = (n - 1) / (2 * n - 1)
    three = (n - 2) / (2 * (2 * n - 1))
    four = ((n - 1) * (n - 2) * (n - 3) + n * (n - 1) ** 2) / ((2 * n - 1) * (2 * n - 2) * (2 * n - 3))
    variance = (same * one + shared * three + apart * four) / total**2 - one**2
    return _outcome(right, one, variance)


def _outcome(share: float, expected: float, variance: float) -> Outcome:
    error = math.sqrt(max(variance, 0.0))
    difference = share - expected
    z = difference / error if error > 1e-9 else math.copysign(math.inf, difference) if abs(difference) > 1e-9 else 0.0
    return Outcome(share, expected, error, z, math.erfc(abs(z) / math.sqrt(2)))


def _same_number(name_a: str, a: Tensor, name_b: str, b: Tensor) -> int:
    if len(a) != len(b):
        raise ValueError(f"{name_a} and {name_b} must have the same number of rows, got {len(a)} and {len(b)}")
    return len(a)
