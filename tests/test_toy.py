"""Toy densities against quadrature and their own samples' moments."""

import math

import pytest
import scipy.stats
import torch

from gan_course import toy


@pytest.mark.parametrize("mixture", [toy.two_bumps(), toy.normal(0.3, 2.0)])
def test_densities_on_the_line_integrate_to_one(mixture):
    x = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    assert torch.trapezoid(mixture.pdf(x[:, None]), x).item() == pytest.approx(1, abs=1e-10)


def test_normal_matches_scipy():
    x = torch.linspace(-5, 5, 11, dtype=torch.float64)
    expected = scipy.stats.norm(0.3, 2.0).logpdf(x.numpy())
    torch.testing.assert_close(toy.normal(0.3, 2.0).log_prob(x[:, None]), torch.from_numpy(expected))


def test_ring_and_grid_are_where_they_should_be():
    ring = toy.ring(8)
    torch.testing.assert_close(ring.means.norm(dim=1), torch.ones(8))
    assert torch.pdist(ring.means).min().item() == pytest.approx(2 * math.sin(math.pi / 8), rel=1e-5)
    grid = toy.grid(5)
    assert grid.means.shape == (25, 2)
    assert sorted(set(grid.means.flatten().tolist())) == [-4, -2, 0, 2, 4]


def test_samples_follow_the_mixture():
    mixture = toy.two_bumps()
    x = mixture.sample(400_000, torch.Generator().manual_seed(0))[:, 0]
    mean = 0.4 * -1.5 + 0.6 * 1.0
    variance = 0.4 * (0.4**2 + 1.5**2) + 0.6 * (0.7**2 + 1.0**2) - mean**2
    assert x.mean().item() == pytest.approx(mean, abs=5 * (variance / 400_000) ** 0.5)
    assert x.var().item() == pytest.approx(variance, rel=0.02)
    again = mixture.sample(400_000, torch.Generator().manual_seed(0))[:, 0]
    assert torch.equal(x, again)


def test_density_in_the_plane_is_the_mean_over_modes():
    ring = toy.ring(4, std=0.5)
    point = torch.tensor([[0.2, -0.1]])
    expected = (
        sum(
            scipy.stats.multivariate_normal(mean.double().numpy(), 0.25).pdf(point[0].double().numpy())
            for mean in ring.means
        )
        / 4
    )
    assert ring.pdf(point).item() == pytest.approx(expected, rel=1e-5)


def test_bad_mixtures_are_refused():
    with pytest.raises(ValueError, match=r"means must be \(modes, dim\)"):
        toy.GaussianMixture(torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match="std and weights must be positive"):
        toy.GaussianMixture(torch.zeros(3, 1), 0.0)
    with pytest.raises(ValueError, match=r"x must be \(n, 2\), got \(5,\)"):
        toy.ring().log_prob(torch.zeros(5))
    with pytest.raises(ValueError, match="modes must be at least 1"):
        toy.ring(0)
    with pytest.raises(ValueError, match="side must be at least 1"):
        toy.grid(0)
