"""Two-sample tests and the extrapolated Fréchet distance, against enumerations, closed forms and repeated draws."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import sklearn.model_selection
import sklearn.neighbors
import torch

from gan_course import data, metrics
from gan_course.metrics import inputs, judge, two_sample


def normals(n: int, d: int, generator: torch.Generator, shift: float = 0.0, std: float = 1.0) -> torch.Tensor:
    return torch.randn(n, d, generator=generator, dtype=torch.float64) * std + shift


# --- the extrapolated Fréchet distance --------------------------------------------------------------


@pytest.mark.parametrize(("shift", "std"), [(0.0, 1.0), (0.2, 1.0), (0.1, 1.2)])
def test_extrapolated_frechet_over_resamples(shift, std):
    n, m, d = 800, 400, 16
    generator = torch.Generator().manual_seed(0)
    reference = normals(m, d, generator)
    # With infinitely many samples their moments are known, and the reference is what it is.
    mean, cov = torch.full((d,), shift, dtype=torch.float64), std**2 * torch.eye(d, dtype=torch.float64)
    truth = metrics.frechet_distance_gaussians(mean, cov, reference.mean(0), reference.T.cov())
    found, plain = [], []
    for seed in range(60):
        samples = normals(n, d, generator, shift, std)
        found.append(metrics.extrapolated_frechet(samples, reference, parts=5, seed=seed))
        plain.append(metrics.frechet_distance(samples, reference))
    values, errors = (np.array([getattr(one, name) for one in found]) for name in ("value", "error"))
    assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(60) + 0.1 * (np.mean(plain) - truth)
    assert np.mean(plain) - truth > 4 * np.std(plain) / math.sqrt(60)  # what there was to remove
    stated = math.sqrt((errors**2).mean())
    assert 0.75 * values.std() < stated < (1.35 if shift else 3) * values.std()
    # The bias of the reference stays: a larger one is nearer to the distance of the distributions.
    assert truth > metrics.frechet_distance_gaussians(mean, cov, torch.zeros(d), torch.eye(d)) + 0.01


def test_extrapolated_frechet_is_a_line_through_the_distances():
    samples, reference = torch.randn(601, 5), torch.randn(300, 5) + 1
    two = metrics.extrapolated_frechet(samples, reference, parts=2, seed=7)
    order = torch.randperm(601, generator=torch.Generator().manual_seed(7))
    halves = [metrics.frechet_distance(samples[part], reference) for part in (order[:300], order[300:600])]
    assert two.sizes == (601, 300) and two.distances[0] == pytest.approx(metrics.frechet_distance(samples, reference))
    assert two.distances[1] == pytest.approx(np.mean(halves))
    assert two.slope == pytest.approx((two.distances[1] - two.distances[0]) / (1 / 300 - 1 / 601))
    assert two.value == pytest.approx(two.distances[0] - two.slope / 601)
    assert two.error == pytest.approx(abs(halves[0] - halves[1]) / 2)  # the standard error of the mean of two
    five = metrics.extrapolated_frechet(samples, reference, parts=5)
    line = scipy.stats.linregress([1 / n for n in five.sizes], five.distances)
    assert (five.value, five.slope) == pytest.approx((line.intercept, line.slope))
    assert five == metrics.extrapolated_frechet(samples, reference, parts=5)
    assert five != metrics.extrapolated_frechet(samples, reference, parts=5, seed=1)


def test_parts_are_checked():
    reference = torch.randn(10, 3)
    for parts in (1, 6):
        with pytest.raises(ValueError, match=f"parts must lie in 2 to 5 for 21 samples of 3 features, got {parts}"):
            metrics.extrapolated_frechet(torch.randn(21, 3), reference, parts)
    assert metrics.extrapolated_frechet(torch.randn(21, 3), reference, 5).sizes == (21, 10, 7, 5, 4)
    with pytest.raises(ValueError, match=r"samples must have at least 2 \(d \+ 1\) = 8 rows to be cut, got 7"):
        metrics.extrapolated_frechet(torch.randn(7, 3), reference, 2)


# --- the null distributions, by all ways to divide the rows ------------------------------------------


def halves(n: int):
    """All ways to divide 2n rows into n and n."""
    for first in itertools.combinations(range(2 * n), n):
        yield list(first), [i for i in range(2 * n) if i not in first]


@pytest.mark.parametrize("n", [4, 5])
@pytest.mark.parametrize("d", [1, 6])
def test_neighbour_has_the_moments_of_all_divisions(n, d):
    rows = torch.randn(2 * n, d)
    found = [metrics.two_sample_test(rows[a], rows[b]).neighbour for a, b in halves(n)]
    shares = np.array([one.share for one in found])
    assert {round(one.error, 12) for one in found} == {round(found[0].error, 12)}  # they know the same rows
    assert found[0].expected == pytest.approx(shares.mean()) == (n - 1) / (2 * n - 1)
    assert found[0].error == pytest.approx(shares.std(), rel=1e-9)
    assert found[3].z == pytest.approx((shares[3] - shares.mean()) / shares.std())
    assert found[3].p == pytest.approx(2 * scipy.stats.norm.sf(abs(found[3].z)))


@pytest.mark.parametrize("grid", [False, True])
def test_copy_test_has_the_moments_of_all_divisions(grid):
    rows, samples = torch.randn(8, 2), torch.randn(30, 2)
    if grid:  # many rows are equally near, or equal
        rows, samples = rows.round(), samples.round()
    found = [metrics.copy_test(samples, rows[a], rows[b]) for a, b in halves(4)]
    shares = np.array([one.share for one in found])
    assert shares.mean() == pytest.approx(0.5) == found[0].expected
    assert {round(one.error, 12) for one in found} == {round(shares.std(), 12)}
    distances = torch.cdist(samples.double(), rows.double())
    near = (distances == distances.amin(1, keepdim=True)).double()
    votes = (near / near.sum(1, keepdim=True)).mean(0)
    for (a, _), share in zip(halves(4), shares, strict=True):
        assert share == pytest.approx(votes[a].sum().item())


def test_neighbour_matches_scikit_learn():
    a, b = torch.randn(60, 3), torch.randn(60, 3) + 0.7
    rows, labels = torch.cat([a, b]).numpy(), np.repeat([0, 1], 60)
    classifier = sklearn.neighbors.KNeighborsClassifier(1)
    theirs = sklearn.model_selection.cross_val_score(classifier, rows, labels, cv=sklearn.model_selection.LeaveOneOut())
    assert metrics.two_sample_test(a, b).neighbour.share == pytest.approx(theirs.mean())


# --- equal distributions, over repeats ---------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 20])
def test_two_sample_tests_of_equal_distributions(d):
    generator = torch.Generator().manual_seed(0)
    found = [metrics.two_sample_test(*normals(120, d, generator).exp().split(60)) for _ in range(200)]
    for name in ("linear", "neighbour"):
        z = np.array([getattr(one, name).z for one in found])
        assert abs(z.mean()) < 4 / math.sqrt(200) and z.std() == pytest.approx(1, abs=0.2)
        assert np.mean([getattr(one, name).p < 0.05 for one in found]) < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 200)


def test_copy_test_of_new_samples_counts_the_luck_of_the_images():
    generator, z, binomial = torch.Generator().manual_seed(0), [], []
    for _ in range(200):
        samples, train, held_out = (normals(n, 2, generator) for n in (2000, 30, 30))
        found = metrics.copy_test(samples, train, held_out)
        z.append(found.z)
        binomial.append((found.share - 0.5) / math.sqrt(0.25 / 2000))
    assert abs(np.mean(z)) < 4 / math.sqrt(200) and np.std(z) == pytest.approx(1, abs=0.2)
    assert np.std(binomial) > 3  # many samples share a neighbour: a binomial error would cry wolf


def test_a_collapsed_model_is_no_copy():
    """All samples at one place: their neighbour is a training image or not, by the toss of a coin."""
    train, held_out = torch.randn(50, 4), torch.randn(50, 4)
    found = metrics.copy_test(held_out[:1] + 0.01 * torch.randn(1000, 4), train, held_out)
    assert found.share == 0 and found.error == pytest.approx(0.5) and found.p == pytest.approx(0.317, abs=0.001)


# --- differences that are known ----------------------------------------------------------------------


def test_linear_reaches_the_best_accuracy_for_shifted_normals():
    generator = torch.Generator().manual_seed(0)
    a, b = normals(20_000, 3, generator), normals(20_000, 3, generator)
    b[:, 1] += 1.5
    best = scipy.stats.norm.cdf(0.75)  # the plane half way is the best of all classifiers
    half = two_sample._linear(a, b)
    assert half.share == pytest.approx(best, abs=4 * math.sqrt(best * (1 - best) / 20_000))
    assert half.error == pytest.approx(0.5 / math.sqrt(20_000)) and half.p < 1e-6


def test_what_a_plane_cannot_see():
    generator = torch.Generator().manual_seed(0)
    wide, narrow = normals(1000, 5, generator), normals(1000, 5, generator, std=0.5)
    found = metrics.two_sample_test(narrow, wide)
    assert abs(found.linear.z) < 4 and found.neighbour.z > 10


def test_copies_far_sets_and_halves():
    x = torch.randn(100, 4)
    copies = metrics.two_sample_test(x + 1e-6 * torch.randn(100, 4), x).neighbour
    assert copies.share == 0 and copies.z < -8  # every neighbour is of the other set
    far = metrics.two_sample_test(x + 100, x)
    assert far.linear.share == far.neighbour.share == 1 and far.neighbour.z > 8
    same = metrics.two_sample_test(torch.zeros(40, 2), torch.zeros(40, 2))  # all rows are one point
    assert 0.2 < same.neighbour.share < 0.8 and same.linear.share == 0.5 and same.linear.p == 1
    train, held_out = torch.randn(80, 4), torch.randn(80, 4)
    assert metrics.copy_test(train, train, held_out).share == 1 and metrics.copy_test(train, train, held_out).z > 10
    assert metrics.copy_test(held_out, train, held_out).share == 0
    both = metrics.copy_test(torch.cat([train, held_out]), train, held_out)
    assert both[:4] == (pytest.approx(0.5), 0.5, pytest.approx(0, abs=1e-9), 0) and both.p == 1
    twins = metrics.copy_test(train[:30], train, train)  # equally near to both
    assert twins.share == pytest.approx(0.5) and twins.z == pytest.approx(0, abs=1e-9)
    # Half the samples are copies, half are new: about three quarters.
    mixed = torch.cat([train[:40], torch.randn(40, 4)])
    assert metrics.copy_test(mixed, train, held_out).share == pytest.approx(0.75, abs=0.2)


def test_on_digits():
    """Real digits are not told from real digits, noise is; and training images are copies of themselves."""
    net, test = judge("digits", 8), data.load("digits", split="test").images()
    train = data.load("digits").images()
    features = {name: net.features(x) for name, x in {"test": test, "train": train}.items()}
    noise = net.features(torch.rand(500, 1, 8, 8) * 2 - 1)
    told = metrics.two_sample_test(noise, features["test"])
    assert told.linear.share > 0.95 and told.neighbour.share > 0.95
    seen, unseen = features["train"][:250], features["train"][250:500]
    assert abs(metrics.two_sample_test(seen, unseen).neighbour.z) < 4
    assert abs(metrics.copy_test(features["train"][500:1000], seen, unseen).z) < 4
    assert metrics.copy_test(seen[:100], seen, unseen).share == 1


# --- blocks, dtypes, errors --------------------------------------------------------------------------


def test_small_blocks_give_the_same(monkeypatch):
    a, b, c = (torch.randn(90, 3).mul(4).round() for _ in range(3))
    whole = metrics.two_sample_test(a, b), metrics.copy_test(a, b, c)
    monkeypatch.setattr(inputs, "CHUNK", 500)
    parts = metrics.two_sample_test(a, b), metrics.copy_test(a, b, c)
    assert parts[0] == whole[0] and parts[1] == pytest.approx(whole[1])


def test_the_result_is_that_of_float64_and_of_the_seed():
    a, b, c = (torch.randn(50, 3).half() for _ in range(3))
    found = metrics.two_sample_test(a, b)
    assert found == metrics.two_sample_test(a.double(), b.double())
    assert metrics.copy_test(a, b, c) == metrics.copy_test(a.double(), b.double(), c.double())
    assert metrics.extrapolated_frechet(a, b) == metrics.extrapolated_frechet(a.double(), b.double())
    other = metrics.two_sample_test(a, b, seed=1)
    assert other.linear != found.linear and other.neighbour == found.neighbour


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("two_sample_test", ((6, 2), (7, 2)), "samples and reference must have the same number of rows, got 6 and 7"),
        ("two_sample_test", ((3, 2), (3, 2)), r"samples must be \(n, d\) with at least four rows, got \(3, 2\)"),
        ("two_sample_test", ((6, 2), (6, 3)), "samples and reference must have the same d, got 2 and 3"),
        ("copy_test", ((6, 2), (5, 2), (4, 2)), "train and held_out must have the same number of rows, got 5 and 4"),
        ("copy_test", ((6, 2), (5, 3), (5, 3)), "samples and train must have the same d, got 2 and 3"),
        ("copy_test", ((6, 2), (5, 2), (5, 3)), "train and held_out must have the same d, got 2 and 3"),
        ("copy_test", ((6, 2), (1, 2), (1, 2)), r"train must be \(n, d\) with at least two rows"),
        ("copy_test", ((0, 2), (5, 2), (5, 2)), r"samples must be \(n, d\) with at least one row"),
        ("extrapolated_frechet", ((60, 2), (1, 2)), r"reference must be \(n, d\) with at least two rows"),
        ("extrapolated_frechet", ((60, 2), (6, 3)), "samples and reference must have the same d, got 2 and 3"),
    ],
)
def test_bad_features(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(metrics, function)(*(torch.randn(shape) for shape in arguments))
    with pytest.raises(ValueError, match="must be a floating-point tensor, got torch.int64"):
        getattr(metrics, function)(*(torch.zeros(shape, dtype=torch.long) for shape in arguments))
    with pytest.raises(ValueError, match="must be finite"):
        getattr(metrics, function)(*(torch.full((9, 2), math.nan) for _ in arguments))
