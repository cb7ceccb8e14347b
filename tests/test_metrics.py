"""Metrics against closed forms and constructed sets."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_course import metrics


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


def test_logits_are_not_probabilities():
    with pytest.raises(ValueError, match="apply softmax"):
        metrics.class_shares(torch.randn(5, 10))
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
