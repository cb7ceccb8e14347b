"""Metrics against closed forms and constructed sets."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import sklearn.neighbors
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from gan_course import data, metrics
from gan_course.data import glyphs
from gan_course.metrics import inputs, judge, neighbours, pixels


def gaussians(d: int, seed: int):
    rng = np.random.default_rng(seed)
    moments = []
    for _ in range(2):
        a = rng.normal(size=(d, d))
        moments += [rng.normal(size=d), a @ a.T / d + 0.1 * np.eye(d)]
    return moments


@given(st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_frechet_of_gaussians_matches_sqrtm(d, seed):
    mean_a, cov_a, mean_b, cov_b = gaussians(d, seed)
    root = scipy.linalg.sqrtm(cov_a)
    cross = scipy.linalg.sqrtm(root @ cov_b @ root).real  # Dowson and Landau's symmetric form
    expected = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2 * cross)
    got = metrics.frechet_distance_gaussians(*map(torch.from_numpy, (mean_a, cov_a, mean_b, cov_b)))
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_frechet_of_gaussians_closed_forms():
    zero, eye = torch.zeros(3), torch.eye(3)
    assert metrics.frechet_distance_gaussians(zero, eye, zero, eye) == pytest.approx(0, abs=1e-12)
    # Commuting covariances: the sum of squared differences of standard deviations.
    a, b = torch.tensor([1.0, 4.0, 9.0]).diag(), torch.tensor([4.0, 4.0, 1.0]).diag()
    shift = torch.tensor([3.0, 0.0, 4.0])
    assert metrics.frechet_distance_gaussians(zero, a, shift, b) == pytest.approx(25 + 1 + 0 + 4, rel=1e-6)


def test_frechet_of_singular_covariances():
    mean, cov = torch.zeros(5), torch.zeros(5, 5)
    cov[0, 0] = 4
    other = torch.zeros(5, 5)
    other[1, 1] = 9
    assert metrics.frechet_distance_gaussians(mean, cov, mean, other) == pytest.approx(13, rel=1e-9)


def test_frechet_distance_estimates_the_gaussians():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(200_000, 2, generator=generator)
    b = torch.randn(200_000, 2, generator=generator) * 2 + torch.tensor([1.0, 0.0])
    assert metrics.frechet_distance(a, b) == pytest.approx(1 + 2, rel=0.02)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(a, b) == pytest.approx(metrics.frechet_distance(b, a), rel=1e-9)


def test_frechet_distance_with_fewer_samples_than_dimensions():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(10, 64, generator=generator).double() for _ in range(2))
    cov_a, cov_b = np.cov(a.numpy().T), np.cov(b.numpy().T)
    # Tr sqrt(cov_a cov_b) is the nuclear norm of the centred samples' product.
    centred = (a - a.mean(0)) @ (b - b.mean(0)).T / 9
    trace = np.linalg.svd(centred.numpy(), compute_uv=False).sum()
    expected = (a.mean(0) - b.mean(0)).square().sum().item() + np.trace(cov_a) + np.trace(cov_b) - 2 * trace
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(1, 3), r"features_a must be \(n, d\) with at least two rows, got \(1, 3\)"),
        (torch.zeros(4), "features_a must be"),
        (torch.full((4, 3), float("nan")), "features_a must be finite"),
    ],
)
def test_frechet_rejects_bad_features(features, message):
    with pytest.raises(ValueError, match=message):
        metrics.frechet_distance(features, torch.randn(5, 3))


def test_frechet_rejects_other_dimension():
    with pytest.raises(ValueError, match="means and covariances must have shapes"):
        metrics.frechet_distance(torch.randn(5, 3), torch.randn(5, 4))


@given(st.sampled_from([torch.float16, torch.bfloat16, torch.float32]), st.integers(4, 30), st.integers(1, 8))
@settings(deadline=None, max_examples=20)
def test_all_dtypes_are_computed_in_float64(dtype, n, d):
    a, b = (torch.randn(n, d).to(dtype) for _ in range(2))
    b[:, 0] += 3
    for metric in (metrics.frechet_distance, metrics.kernel_distance):
        assert metric(a, b) == metric(a.double(), b.double())
    assert metrics.precision_recall(a, b, 2) == metrics.precision_recall(a.double(), b.double(), 2)
    assert metrics.density_coverage(a, b, 2) == metrics.density_coverage(a.double(), b.double(), 2)
    assert metrics.wasserstein_1d(a[:, 0], b[:, 0]) == metrics.wasserstein_1d(a[:, 0].double(), b[:, 0].double())


def test_frechet_divides_by_n_minus_one():
    # Variances 2 and 0 (with n: 1 and 0), means 1 and 0.
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [0.0]])
    assert metrics.frechet_distance(a, b) == pytest.approx(1 + 2)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 400, 64), (70, 90, 64), (500, 500, 3)])
def test_frechet_agrees_with_torch_fidelity(n, m, d):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    mix = torch.randn(d, d, dtype=torch.float64)
    a, b = torch.randn(n, d, dtype=torch.float64) @ mix, torch.randn(m, d, dtype=torch.float64).exp()
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, (a, b)), verbose=False)
    assert metrics.frechet_distance(a, b) == pytest.approx(*theirs.values(), rel=1e-6)


# --- kernel distance --------------------------------------------------------------------------------


def mmd_by_loops(x: np.ndarray, y: np.ndarray) -> float:
    """The definition, term by term."""

    def k(u, v):
        return (float(u @ v) / len(u) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i, j in itertools.permutations(range(n), 2)) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i, j in itertools.permutations(range(m), 2)) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(u, v) for u in x for v in y) / (n * m)


def jackknife_by_loops(x: np.ndarray, y: np.ndarray) -> float:
    parts = [[mmd_by_loops(np.delete(x, i, 0), y) for i in range(len(x))]]
    parts += [[mmd_by_loops(x, np.delete(y, i, 0)) for i in range(len(y))]]
    return math.sqrt(sum((len(each) - 1) * np.var(each) for each in parts))


@given(st.integers(3, 7), st.integers(3, 7), st.integers(1, 4), st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_kernel_distance_and_its_error_match_the_definition(n, m, d, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1
    value, error = metrics.kernel_distance(torch.from_numpy(x), torch.from_numpy(y))
    assert value == pytest.approx(mmd_by_loops(x, y), rel=1e-9, abs=1e-9)
    assert error == pytest.approx(jackknife_by_loops(x, y), rel=1e-9, abs=1e-9)


def test_kernel_distance_agrees_with_torch_fidelity():
    from torch_fidelity.metric_kid import kernel_mmd

    a, b = torch.randn(60, 16).double(), torch.randn(60, 16).double() * 1.2
    theirs = kernel_mmd(a.numpy(), b.numpy(), kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_coef0=1.0)
    assert metrics.kernel_distance(a, b)[0] == pytest.approx(theirs, rel=1e-9)


def test_kernel_distance_is_unbiased_exactly():
    # All 3^3 x 3^3 equally likely samples from two distributions on three points each.
    p, q = torch.tensor([[0.0], [1.0], [2.5]]).double(), torch.tensor([[-1.0], [0.5], [2.0]]).double()
    draws = [torch.tensor(rows) for rows in itertools.product(range(3), repeat=3)]
    mean = np.mean([metrics.kernel_distance(p[i], q[j])[0] for i in draws for j in draws])
    # E (x x' + 1)^3 - ... is a weighted sum of squared differences of the first three moments.
    moments = [((p**j).mean() - (q**j).mean()).item() for j in range(4)]
    assert mean == pytest.approx(sum(math.comb(3, j) * moments[j] ** 2 for j in range(4)), rel=1e-9)
    same = np.mean([metrics.kernel_distance(p[i], p[j])[0] for i in draws for j in draws])
    assert same == pytest.approx(0, abs=1e-9)


def normal_moments(mean, std):
    return 1, mean, mean**2 + std**2, mean**3 + 3 * mean * std**2


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.5, 1.0), (0.3, 1.5)])
@pytest.mark.parametrize("subsets", [False, True])
def test_kernel_distance_over_resamples(mean, std, subsets):
    pairs = zip(normal_moments(0, 1), normal_moments(mean, std), strict=True)
    truth = sum(math.comb(3, j) * (a - b) ** 2 for j, (a, b) in enumerate(pairs))
    generator, found = torch.Generator().manual_seed(0), []
    for repeat in range(150):
        a, b = (torch.randn(100, 1, generator=generator, dtype=torch.float64) for _ in range(2))
        b = b * std + mean
        found.append(
            metrics.kernel_distance_subsets(a, b, subsets=20, subset_size=25, seed=repeat)
            if subsets
            else metrics.kernel_distance(a, b)
        )
    values, errors = np.array(found).T
    assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(len(values))
    spread, stated = values.std(), math.sqrt((errors**2).mean())
    # For equal distributions the error is known to be on the safe side.
    assert 0.75 * spread < stated < (1.4 if truth else 4) * spread


def test_error_of_subsets_does_not_vanish_with_their_number():
    a, b = torch.randn(200, 1), torch.randn(200, 1) + 0.5
    _, full = metrics.kernel_distance(a, b)
    few, many = (metrics.kernel_distance_subsets(a, b, subsets, subset_size=50) for subsets in (50, 2000))
    assert many[1] == pytest.approx(full, rel=0.3) and few[1] > 0.7 * full
    assert many[0] == pytest.approx(metrics.kernel_distance(a, b)[0], abs=full / 5)
    assert metrics.kernel_distance_subsets(a, b, 50, 50) == few
    assert metrics.kernel_distance_subsets(a, b, 50, 50, seed=1) != few


# --- precision, recall, density, coverage -----------------------------------------------------------


def test_precision_recall_density_coverage_of_identical_sets():
    x = torch.randn(50, 4)
    assert metrics.precision_recall(x, x.flip(0)) == (1, 1)
    # Each closed ball holds its own centre's twin and k neighbours.
    assert metrics.density_coverage(x, x.flip(0)) == (pytest.approx(6 / 5), 1)
    assert metrics.density_coverage(x, x.flip(0), k=2) == (pytest.approx(3 / 2), 1)


def test_far_clusters():
    x, y = torch.randn(40, 3), torch.randn(30, 3) + 100
    assert metrics.precision_recall(y, x) == (0, 0) == metrics.density_coverage(y, x)


def test_half_the_modes():
    left, right = torch.randn(100, 2), torch.randn(100, 2) + 50
    samples, reference = torch.randn(400, 2).clamp(-1, 1), torch.cat([left, right])
    precision, recall = metrics.precision_recall(samples, reference)
    assert precision > 0.99 and 0.1 < recall <= 0.5
    assert metrics.precision_recall(left, reference) == (1, 0.5)
    density, coverage = metrics.density_coverage(left, reference)
    assert coverage == 0.5 and density == pytest.approx(6 / 5)
    assert metrics.precision_recall(reference, left) == (0.5, 1)


def test_a_neighbour_is_another_row():
    # 0, 1, 3, 6 on a line: distances from the nearest other are 1, 1, 2, 3; from the second 3, 2, 3, 5.
    x = torch.tensor([[0.0], [1.0], [3.0], [6.0]])
    assert neighbours._squared_radii(x.double(), 1).sqrt().tolist() == [1, 1, 2, 3]
    assert neighbours._squared_radii(x.double(), 2).sqrt().tolist() == [3, 2, 3, 5]
    # Balls [-1, 1], [0, 2], [1, 5], [3, 9]: closed, so 9 is inside; counting the row itself would leave points.
    y = torch.tensor([[-1.0], [2.0], [4.0], [9.0], [9.1]])
    assert metrics.precision_recall(y, x, k=1)[0] == pytest.approx(4 / 5)
    assert metrics.density_coverage(y, x, k=1) == (pytest.approx((1 + 2 + 2 + 1) / 5), 1)


def test_an_outlier_fools_precision_and_not_density():
    # As in figure 1 of Naeem et al. (2020): one real outlier, and samples gathered around it.
    reference = torch.cat([torch.randn(100, 2), torch.tensor([[60.0, 0.0]])])
    samples = torch.randn(100, 2) + torch.tensor([40.0, 0.0])
    precision, _ = metrics.precision_recall(samples, reference, k=5)
    density, coverage = metrics.density_coverage(samples, reference, k=5)
    assert precision == 1
    assert density == pytest.approx(1 / 5) and coverage == pytest.approx(1 / 101)


def test_density_may_exceed_one():
    # The sides of a regular pentagon are longer than its radius: all five balls hold the centre.
    angles = torch.arange(5) * 2 * math.pi / 5
    pentagon = torch.stack([angles.cos(), angles.sin()], 1)
    assert metrics.density_coverage(torch.zeros(3, 2), pentagon, k=1) == (5, 1)


@pytest.mark.parametrize(("n", "m", "k"), [(60, 60, 5), (90, 40, 3), (30, 80, 1)])
def test_density_and_coverage_of_equal_distributions(n, m, k):
    generator = torch.Generator().manual_seed(0)
    runs = [
        metrics.density_coverage(*(torch.rand(size, 3, generator=generator) for size in (n, m)), k=k)
        for _ in range(150)
    ]
    density, coverage = np.array(runs).T
    # A ball is empty if its k nearest among all n + m - 1 others are from the reference. The closed ball of the
    # k-th of m - 1 holds a new point with probability k / m.
    expected = 1 - math.prod((m - i) / (n + m - i) for i in range(1, k + 1))
    assert abs(coverage.mean() - expected) < 4 * coverage.std() / math.sqrt(150)
    assert abs(density.mean() - 1) < 4 * density.std() / math.sqrt(150)


@given(st.integers(6, 30), st.integers(6, 30), st.integers(1, 3), st.integers(1, 5), st.integers(0, 100))
@settings(deadline=None, max_examples=30)
def test_balls_match_scikit_learn(n, m, d, k, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(0, 4, size=(size, d)).astype(float) for size in (n, m))  # many ties and duplicates

    def radii(rows):  # scikit-learn leaves out the row itself when asked about the rows it was fitted to
        return sklearn.neighbors.NearestNeighbors(n_neighbors=k).fit(rows).kneighbors()[0][:, -1]

    distances = np.linalg.norm(x[:, None] - y[None], axis=2)
    in_y, in_x = distances <= radii(y) + 1e-12, distances <= radii(x)[:, None] + 1e-12
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    assert metrics.precision_recall(x, y, k) == pytest.approx((in_y.any(1).mean(), in_x.any(0).mean()))
    assert metrics.density_coverage(x, y, k) == pytest.approx((in_y.sum(1).mean() / k, in_y.any(0).mean()))


def test_near_duplicates_far_from_the_origin():
    # Squared distances of 1e-12 between squared norms of 1e6: a matrix product alone knows nothing about them.
    steps = torch.tensor([0.0, 1.0, 3.0, 6.0], dtype=torch.float64)[:, None] * 2.0**-20
    x = torch.cat([torch.full((4, 8), 1000.0, dtype=torch.float64), steps], 1)
    assert (neighbours._squared_radii(x, 1).sqrt() * 2**20).tolist() == [1, 1, 2, 3]
    y = x[:1].repeat(3, 1)
    y[:, -1] += torch.tensor([-1.0, -1.001, 2.0], dtype=torch.float64) * 2.0**-20
    assert metrics.precision_recall(y, x, k=1)[0] == pytest.approx(2 / 3)
    copies = x[[0, 0, 0, 0]]
    assert metrics.precision_recall(copies, copies, k=3) == (1, 1)  # radius zero holds a copy
    assert metrics.precision_recall(x[1:], copies, k=2)[0] == 0  # and nothing else


def test_a_copy_is_at_distance_zero():
    images = torch.rand(300, 1, 28, 28) + 3
    distances, indices = metrics.nearest_neighbours(images, images.flip(0))
    assert distances.max() == 0 and torch.equal(indices, torch.arange(299, -1, -1))


# --- Inception Score ---------------------------------------------------------------------------------


def test_inception_score_closed_forms():
    sure = torch.eye(10).repeat(7, 1)
    assert metrics.inception_score(sure)[0] == pytest.approx(10)
    assert metrics.inception_score(sure[:1].repeat(5, 1))[0] == pytest.approx(1)  # one class
    assert metrics.inception_score(torch.full((5, 10), 0.1))[0] == pytest.approx(1)  # no idea
    # Two classes, sure to p: mutual information log 2 - H(p), in nats; base 2 would give another score.
    p = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    expected = 2 * math.exp(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert metrics.inception_score(p)[0] == pytest.approx(expected, rel=1e-6)
    assert math.isnan(metrics.inception_score(p)[1])


def test_inception_score_agrees_with_torch_fidelity():
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = torch.randn(100, 20) * 3
    theirs = isc_features_to_metric(logits, splits=5, shuffle=False)
    assert metrics.inception_score(logits.softmax(1), splits=5) == pytest.approx(tuple(theirs.values()), rel=1e-5)


def test_splits_are_cut_where_the_authors_cut_them():
    """Part i of s holds rows i n // s to (i + 1) n // s: of 5 rows, 2 and then 3."""
    sure = torch.eye(3)
    two, three = sure[:2], sure
    assert metrics.inception_score(torch.cat([two, three]), splits=2) == (pytest.approx(2.5), pytest.approx(0.5))


def test_the_report_splits_as_the_literature_does():
    """Parts of at least 5,000 and at most ten: 50,000 samples are scored as published, below 10,000 in one piece."""
    rows = torch.eye(100).repeat_interleave(500, 0)  # 5,000 rows hold ten classes, all of them a hundred

    def score(n: int) -> float:
        return metrics.evaluate(rows[:n], rows[:n], lambda x: x, lambda x: x, ["inception_score"])["inception_score"]

    assert score(50_000) == score(10_000) == pytest.approx(10)  # ten parts, two parts
    assert score(9_500) == pytest.approx(19)  # one part
    assert metrics.inception_score(rows)[0] == pytest.approx(100)


def test_splits_have_the_bias_of_small_sets():
    probabilities = (torch.randn(1000, 50) * 2).softmax(1)
    scores = [metrics.inception_score(probabilities, splits)[0] for splits in (1, 10, 100)]
    assert scores[0] > scores[1] > scores[2]
    in_order_of_class = torch.eye(4).repeat_interleave(25, 0)
    assert metrics.inception_score(in_order_of_class, splits=4) == (pytest.approx(1), pytest.approx(0))
    with pytest.raises(ValueError, match="splits must lie in 1 to the number of rows, 100, got 101"):
        metrics.inception_score(in_order_of_class, splits=101)


# --- modes and divergences ---------------------------------------------------------------------------


def test_reverse_kl_closed_forms():
    uniform = torch.full((8,), 1 / 8)
    one = torch.zeros(8)
    one[3] = 1
    assert metrics.reverse_kl(uniform, uniform) == 0
    assert metrics.reverse_kl(one, uniform) == pytest.approx(math.log(8))
    half = torch.tensor([0.25, 0.25, 0.25, 0.25, 0, 0, 0, 0])
    assert metrics.reverse_kl(half, uniform) == pytest.approx(math.log(2))
    assert metrics.reverse_kl(uniform, half) == math.inf  # a mode that does not exist
    assert metrics.reverse_kl(half, half) == 0  # 0 log (0 / 0) = 0
    p, q = torch.tensor([0.2, 0.8]).double(), torch.tensor([0.6, 0.4]).double()
    assert metrics.reverse_kl(p, q) == pytest.approx(0.2 * math.log(1 / 3) + 0.8 * math.log(2))
    assert metrics.reverse_kl(q, p) == pytest.approx(scipy.stats.entropy([0.6, 0.4], [0.2, 0.8]))


def test_reverse_kl_of_perfect_samples():
    weights, values = torch.full((40,), 1 / 40), []
    for _ in range(300):
        draws = torch.multinomial(weights, 2000, replacement=True)
        values.append(metrics.reverse_kl(draws.bincount(minlength=40) / 2000, weights))
    assert np.mean(values) == pytest.approx(39 / 4000, rel=0.1)


def test_mode_shares():
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    points = torch.tensor([[0.4, 0.0], [0.6, 0.0], [-9.0, 0.0], [2.0, 0.0]])
    assert metrics.mode_shares(points, centers).tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize(
    ("shares", "weights", "message"),
    [
        (torch.ones(2, 1), torch.ones(2), r"shares must be \(modes,\)"),
        (torch.tensor([1.0]), torch.tensor([0.5, 0.5]), r"weights must be \(modes,\)"),
        (torch.tensor([3.0, 1.0]), torch.tensor([0.5, 0.5]), "shares must not be negative and must have sum 1"),
        (torch.tensor([1.5, -0.5]), torch.tensor([0.5, 0.5]), "shares must not be negative"),
        (torch.tensor([0.5, 0.5]), torch.tensor([0.5, math.nan]), "weights must not be negative"),
    ],
)
def test_reverse_kl_rejects(shares, weights, message):
    with pytest.raises(ValueError, match=message):
        metrics.reverse_kl(shares, weights)


# --- Wasserstein on the line -------------------------------------------------------------------------

numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=12)


@given(st.data(), numbers, numbers, st.booleans(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_wasserstein_matches_scipy(given_data, a, b, weigh_a, weigh_b):
    def weights(values):
        each = st.floats(0, 5)
        drawn = given_data.draw(st.lists(each, min_size=len(values), max_size=len(values)))
        drawn[0] += 0.1
        return drawn

    u, v = weights(a) if weigh_a else None, weights(b) if weigh_b else None
    expected = scipy.stats.wasserstein_distance(a, b, u, v)
    a, b, u, v = (None if x is None else torch.tensor(x, dtype=torch.float64) for x in (a, b, u, v))
    assert metrics.wasserstein_1d(a, b, u, v) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_wasserstein_closed_forms():
    x = torch.randn(1000, 1).double()
    assert metrics.wasserstein_1d(x, x + 2.5) == pytest.approx(2.5, rel=1e-12)
    assert metrics.wasserstein_1d(x, x.flip(0).flatten()) == 0
    assert metrics.wasserstein_1d(x, x.repeat(3, 1)) == pytest.approx(0, abs=1e-12)
    assert metrics.wasserstein_1d(torch.tensor([0.0]), torch.tensor([1.0, 3.0])) == 2
    # Quantiles of normal distributions, against the integral of the difference of the quantile functions.
    z = torch.special.ndtri((torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000)
    for shift, std in ((0.0, 2.0), (1.5, 1.0), (0.7, 3.0), (-3.0, 0.5)):
        closed = metrics.wasserstein_normals(0, 1, shift, std)
        assert metrics.wasserstein_1d(z, shift + std * z) == pytest.approx(closed, rel=1e-3)
    assert metrics.wasserstein_normals(1, 2, 4, 2) == 3
    assert metrics.wasserstein_normals(0, 1, 0, 3) == pytest.approx(2 * math.sqrt(2 / math.pi))
    with pytest.raises(ValueError, match="std_a and std_b must not be negative, got -1 and 2"):
        metrics.wasserstein_normals(0, -1, 0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(3, 2), torch.zeros(3)), r"a must be \(n,\) or \(n, 1\), got \(3, 2\)"),
        ((torch.zeros(3), torch.zeros(0)), r"b must be \(n, d\) with at least one row"),
        ((torch.zeros(3), torch.tensor([math.inf])), "b must be finite"),
        ((torch.zeros(3), torch.zeros(3), torch.ones(2)), r"weights_a must be \(3,\), got \(2,\)"),
        (
            (torch.zeros(3), torch.zeros(2), None, torch.tensor([1.0, -1.0])),
            "weights_b must be finite and not negative",
        ),
        ((torch.zeros(3), torch.zeros(2), None, torch.zeros(2)), "weights_b must be finite and not negative"),
        ((torch.zeros(3), torch.zeros(2), None, torch.tensor([1.0, math.nan])), "weights_b must be finite"),
    ],
)
def test_wasserstein_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        metrics.wasserstein_1d(*arguments)


# --- blocks ------------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor) and not tensor._is_view():
                self.elements = max(self.elements, tensor.numel())
        return out


PAIRWISE = {
    "kernel_distance": lambda a, b: metrics.kernel_distance(a, b),
    "kernel_distance_subsets": lambda a, b: metrics.kernel_distance_subsets(a, b, 3, 100),
    "precision_recall": lambda a, b: metrics.precision_recall(a, b),
    "density_coverage": lambda a, b: metrics.density_coverage(a, b),
    "mode_shares": lambda a, b: tuple(metrics.mode_shares(a, b).tolist()),
    "modes_covered": lambda a, b: metrics.modes_covered(a, b, 0.1),
    "nearest_neighbours": lambda a, b: tuple(torch.cat([*metrics.nearest_neighbours(a, b)]).tolist()),
}


@pytest.mark.parametrize("name", PAIRWISE)
@pytest.mark.parametrize("degenerate", [False, True])
def test_small_blocks_give_the_same_and_hold_no_large_matrix(name, degenerate, monkeypatch):
    a, b = torch.randn(300, 3), torch.randn(200, 3)
    if degenerate:  # all pairs equal or nearly so: each has to be settled one by one
        a, b = a.round() * 1e-9 + 1000, b.round() * 1e-9 + 1000
    whole = PAIRWISE[name](a, b)
    monkeypatch.setattr(inputs, "CHUNK", 1500)
    with Largest() as largest:
        parts = PAIRWISE[name](a, b)
    assert parts == pytest.approx(whole, rel=1e-12, abs=1e-12)
    assert largest.elements <= 2 * 1500  # the pairs in doubt are listed by two numbers each


# --- errors, devices, evaluate -----------------------------------------------------------------------

FEATURE_METRICS = [metrics.kernel_distance, metrics.precision_recall, metrics.density_coverage]


@pytest.mark.parametrize("function", [*FEATURE_METRICS, metrics.frechet_distance])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(6, 2, dtype=torch.long), "must be a floating-point tensor, got torch.int64"),
        (np.zeros((6, 2)), "must be a floating-point tensor, got float64"),
        ([[0.0]], "must be a floating-point tensor, got list"),
        (torch.zeros(6), r"must be \(n, d\) with at least (two|three) rows, got \(6,\)"),
        (torch.zeros(1, 2), r"must be \(n, d\) with at least (two|three) rows, got \(1, 2\)"),
        (torch.zeros(6, 0), r"must be \(n, d\)"),
        (torch.tensor([[math.nan, 0.0]] * 6), "must be finite, got NaN"),
        (torch.tensor([[math.inf, 0.0]] * 6), "must be finite, got NaN or infinite"),
        (torch.randn(6, 3), "(have the same d, got 3 and 2|means and covariances must have shapes)"),
    ],
)
def test_features_are_checked(function, bad, message):
    with pytest.raises(ValueError, match=message):
        function(bad, torch.randn(6, 2))
    with pytest.raises(ValueError):
        function(torch.randn(6, 2), bad)


def test_k_and_subsets_are_checked():
    a, b = torch.randn(6, 2), torch.randn(9, 2)
    for k in (0, 6):
        with pytest.raises(ValueError, match=f"k must lie in 1 to 5, the number of other rows, got {k}"):
            metrics.precision_recall(a, b, k)
    with pytest.raises(ValueError, match="k must lie in 1 to 5, the number of other rows, got 6"):
        metrics.density_coverage(b, a, 6)
    assert metrics.density_coverage(a, b, 8)[1] > 0  # the samples have no balls
    with pytest.raises(ValueError, match="subset_size must lie in 2 to 5 for sets of 6 and 9, got 6"):
        metrics.kernel_distance_subsets(a, b, 10, 6)
    with pytest.raises(ValueError, match="subsets must be at least 2, got 1"):
        metrics.kernel_distance_subsets(a, b, 1, 3)
    with pytest.raises(ValueError, match="at least three rows"):
        metrics.kernel_distance(a[:2], b)


def test_class_coverage_of_a_constructed_set():
    labels = torch.tensor([0] * 50 + [1] * 48 + [2] * 2)
    probabilities = torch.nn.functional.one_hot(labels, 4).double() * 0.7 + 0.075
    assert metrics.class_shares(probabilities).tolist() == [0.5, 0.48, 0.02, 0.0]
    assert metrics.classes_covered(probabilities) == 2
    assert metrics.classes_covered(probabilities, least_share=0.02) == 3
    assert metrics.mean_confidence(probabilities) == pytest.approx(0.775)


class WithoutFloat64(torch.Tensor):
    """Stands in for a tensor on Apple's MPS: float64 only once it is on the CPU."""

    def double(self):
        raise TypeError("no float64 here")

    def to(self, *args, **kwargs):  # a move and a conversion at once converts first
        raise TypeError("no float64 here")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_metrics_run_where_there_is_no_float64():
    x, probabilities = torch.randn(20, 3), torch.rand(20, 4).softmax(1)
    device_x, device_probabilities = x.as_subclass(WithoutFloat64), probabilities.as_subclass(WithoutFloat64)
    assert metrics.frechet_distance(device_x, device_x + 1) == pytest.approx(3, rel=1e-4)
    assert torch.equal(metrics.class_shares(device_probabilities), metrics.class_shares(probabilities))
    assert metrics.mean_confidence(device_probabilities) == metrics.mean_confidence(probabilities)
    assert metrics.modes_covered(device_x, device_x[:2], 0.1) == metrics.modes_covered(x, x[:2], 0.1)
    assert torch.equal(metrics.mode_shares(device_x, device_x[:2]), metrics.mode_shares(x, x[:2]))
    for function in FEATURE_METRICS:
        assert function(device_x, device_x + 1) == function(x, x + 1)
    assert metrics.kernel_distance_subsets(device_x, device_x, 3, 5) == metrics.kernel_distance_subsets(x, x, 3, 5)
    assert metrics.inception_score(device_probabilities, 2) == metrics.inception_score(probabilities, 2)
    line, shares = x[:, 0].as_subclass(WithoutFloat64), (probabilities[0].as_subclass(WithoutFloat64))
    assert metrics.wasserstein_1d(line, line + 1, line.abs()) == metrics.wasserstein_1d(
        x[:, 0], x[:, 0] + 1, line.abs()
    )
    assert metrics.reverse_kl(shares, shares) == 0


def test_evaluate_computes_all_that_can_be_had():
    net = judge("digits", 8)
    samples, reference = data.load("digits").draw(300), data.load("digits", split="test").draw(300)
    full = metrics.evaluate(samples, reference, net.features, net.probabilities)
    assert list(full) == [name for name, metric in metrics.METRICS.items() if metric.needs != "points"]
    a, b, p = net.features(samples), net.features(reference), net.probabilities(samples)
    assert full["frechet"] == metrics.frechet_distance(a, b) == metrics.summarize(samples, reference, net)["frechet"]
    assert (full["kernel"], full["kernel_error"]) == metrics.kernel_distance(a, b)
    assert (full["precision"], full["recall"]) == metrics.precision_recall(a, b)
    assert (full["density"], full["coverage"]) == metrics.density_coverage(a, b)
    assert full["inception_score"] == metrics.inception_score(p)[0] and full["classes"] == 10
    assert full["confidence"] == metrics.mean_confidence(p) and 0.05 < full["least_share"] < 0.1
    some = metrics.evaluate(samples, reference, pixels, metrics=["recall", "frechet"])
    assert list(some) == ["frechet", "recall"] and some["frechet"] == metrics.frechet_distance(
        pixels(samples), pixels(reference)
    )
    assert set(metrics.evaluate(samples, reference, pixels)) == set(full) - {
        "inception_score",
        "classes",
        "least_share",
        "confidence",
    }

    def untouched(images):
        raise AssertionError("features are not needed")

    one = metrics.evaluate(samples, reference, untouched, net.probabilities, ["inception_score"])
    assert one == {"inception_score": full["inception_score"]}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("FID", "unknown metric 'FID'; known: frechet, kernel"),
        ("inception_score", "metrics: 'inception_score' needs probabilities, which are not given here"),
        ("modes", "metrics: 'modes' needs points"),
    ],
)
def test_evaluate_rejects(name, message):
    with pytest.raises(ValueError, match=message):
        metrics.evaluate(torch.zeros(9, 1, 8, 8), torch.zeros(9, 1, 8, 8), pixels, metrics=["frechet", name])


def test_evaluate_tells_good_from_bad():
    net, test = judge("digits", 8), data.load("digits", split="test").images()
    real = metrics.evaluate(data.load("digits").draw(500), test, net.features, net.probabilities)
    noise = torch.rand(500, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    zeros = data.load("digits").images()[data.load("digits").labels == 0]
    bad = metrics.evaluate(noise, test, net.features, net.probabilities)
    one = metrics.evaluate(zeros, test, net.features, net.probabilities)
    for name, metric in metrics.METRICS.items():  # the directions in the table are right
        if metric.needs != "points" and metric.better == "lower":
            assert real[name] < min(bad[name], one[name])
        elif metric.needs != "points" and metric.better == "higher":
            assert real[name] > min(bad[name], one[name])
    assert one["precision"] > 0.8 and one["recall"] < 0.2 and one["coverage"] < 0.2 and one["inception_score"] < 1.5
    assert abs(real["kernel"]) < 4 * real["kernel_error"] and bad["kernel"] > 10 * bad["kernel_error"]


def test_captions_are_those_of_the_test_set_whatever_it_is():
    made = glyphs.make(40, seed=7, size=16, characters="xyz")

    class Obedient(torch.nn.Module):
        shape, reads_captions = (3, 16, 16), True

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def sample(self, n, labels, generator):
            assert torch.equal(labels, test_set.labels[torch.arange(n) % 10])
            return made.images(10)[torch.arange(n) % 10]

    train_set = made.captioned()
    test_set = data.DataSet(made.x[:10], train_set.labels[:10], name="some", classes=train_set.classes)
    found = metrics.evaluate_model(Obedient(), train_set, test_set, n=30)["generated"]
    assert found["ink_obeyed"] > 0.95 and found["background_obeyed"] > 0.95


def test_logits_are_not_probabilities():
    with pytest.raises(ValueError, match="apply softmax"):
        metrics.class_shares(torch.randn(5, 10))
    with pytest.raises(ValueError, match="apply softmax"):
        metrics.inception_score(torch.tensor([[1.5, -0.5]]))
    with pytest.raises(ValueError, match=r"probabilities must be \(n, K\)"):
        metrics.mean_confidence(torch.zeros(0, 10))


def test_modes_covered_on_constructed_points():
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    points = torch.tensor([[0.02, 0.0], [1.0, 0.029], [0.5, 0.5], [0.0, 1.031]])
    assert metrics.modes_covered(points, centers, 0.01) == (2, 0.5)
    with pytest.raises(ValueError, match="std must be positive"):
        metrics.modes_covered(points, centers, 0.0)
    with pytest.raises(ValueError, match="points and centers"):
        metrics.modes_covered(points[:, :1], centers, 0.1)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 7))
@settings(deadline=None, max_examples=25)
def test_nearest_neighbours_match_a_double_loop(n, m, chunk):
    generator = torch.Generator().manual_seed(n * 31 + m)
    queries, references = (torch.randn(k, 2, 3, generator=generator) for k in (n, m))
    distances, indices = metrics.nearest_neighbours(queries, references, chunk)
    for query, distance, index in zip(queries, distances, indices, strict=True):
        each = [(query - reference).norm().item() for reference in references]
        assert distance.item() == pytest.approx(min(each), abs=1e-4)
        assert each[index] == pytest.approx(min(each), abs=1e-4)


def test_nearest_neighbours_rejects_other_shapes():
    with pytest.raises(ValueError, match="share the shape of a row"):
        metrics.nearest_neighbours(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"got \(0, 3\), \(2, 3\)"):
        metrics.nearest_neighbours(torch.zeros(0, 3), torch.zeros(2, 3))
