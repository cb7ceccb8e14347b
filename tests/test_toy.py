"""Toy densities against quadrature and their own samples' moments; the Lipschitz critic against sorted samples."""

import math

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gan_course.theory import toy
from tools.experiments import critics


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


@given(st.integers(1, 4), st.sampled_from([2, 6, 16]), st.integers(1, 3), st.floats(0, 100))
@settings(max_examples=15, deadline=None)
def test_the_critic_is_1_lipschitz_whatever_its_weights(dim, width, depth, scale):
    critic = toy.LipschitzCritic(dim, width, depth).double()
    with torch.no_grad():
        for p in critic.parameters():
            p += scale * torch.randn_like(p)
    toy.advance_spectral_norms(critic, 500)
    x, y = torch.randn(2, 50, dim, dtype=torch.float64)
    x.requires_grad_(True)
    assert critic(x).shape == (50,)
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    assert slope.norm(dim=1).max() <= 1 + 1e-3
    assert ((critic(x) - critic(y)).abs() <= (1 + 1e-3) * (x - y).norm(dim=1)).all()


@pytest.mark.parametrize("name", critics.pairs())
def test_a_groupsort_critic_measures_the_wasserstein_distance(name):
    """One seed of the tables critic_spectral_groupsort; no critic can be above the distance."""
    table = "critic_spectral_groupsort" + ("_long" if name == "two_bumps_mirrored" else "")
    of_table = critics.ENTRIES[table].settings
    p, q = critics.pairs()[name]
    seeded = torch.Generator().manual_seed(0)
    p, q = p.sample(of_table["samples"], seeded), q.sample(of_table["samples"], seeded)
    exact = scipy.stats.wasserstein_distance(p[:, 0].numpy(), q[:, 0].numpy())
    torch.manual_seed(0)
    critic = toy.LipschitzCritic(1, of_table["width"], of_table["depth"])
    estimate = toy.estimate_wasserstein(critic, p, q, steps=of_table["steps"], lr=of_table["lr"])
    assert 0.95 * exact <= estimate <= 1.001 * exact
    assert critics.largest_slope(critic, p.float(), q.float()) <= 1 + 1e-3
    assert all(parameter.grad is None for parameter in critic.parameters())


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [("critic_space_groupsort", -0.01, 0.01), ("critic_space_relu", -0.5, -0.2), ("critic_space_penalty", 0.1, 0.18)],
)
def test_critics_in_the_plane(table, low, high):
    """One bump against two, whose distance the second coordinate does not change: what chapters say of each critic."""
    entry = critics.ENTRIES[table]
    row = entry.run(0, torch.device("cpu"), **{**entry.settings, "dims": [2], "names": ["bimodal"], "fresh": 5_000})
    found = row["bimodal"]["2"]
    assert found["exact"] == pytest.approx(2.6, rel=0.02) and low <= found["error"] <= high


def test_the_estimate_knows_its_sign_sizes_and_dimension():
    """Two point masses in the plane, of unlike numbers of samples: their distance is that of the points."""
    torch.manual_seed(0)
    p, q = torch.tensor([[3.0, 4.0]]).expand(7, 2), torch.zeros(3, 2)
    critic = toy.LipschitzCritic(2, 16, 1)
    assert toy.estimate_wasserstein(critic, p, q, steps=100) == pytest.approx(5, rel=0.02)
    assert (critic(p[:1]) - critic(q[:1])).item() == pytest.approx(5, rel=0.02)
    assert toy.estimate_wasserstein(toy.LipschitzCritic(2, 16, 1), p, p.clone(), steps=10) == pytest.approx(0, abs=1e-5)


def test_relu_cannot_follow_a_slope_that_turns():
    """|x| has slope 1 everywhere: with ReLU only a linear function has, with GroupSort this one too."""
    p, q = torch.tensor([[-3.0], [3.0]]), torch.zeros(1, 1)
    found = {}
    for activation in (toy.GroupSort, nn.ReLU):
        torch.manual_seed(0)
        critic = toy.LipschitzCritic(1, 32, 2, activation)
        found[activation] = toy.estimate_wasserstein(critic, p, q, steps=300)
    assert found[toy.GroupSort] >= 0.98 * 3 and found[nn.ReLU] <= 0.8 * 3


def test_bad_input_of_the_critic_is_refused():
    with pytest.raises(ValueError, match="dim, width and depth must be at least 1, got 1, 0 and 2"):
        toy.LipschitzCritic(1, 0, 2)
    critic, good = toy.LipschitzCritic(1, 4, 1), torch.zeros(5, 1)
    for bad in (torch.zeros(5), torch.zeros(5, 2), torch.zeros(0, 1)):
        with pytest.raises(ValueError, match=r"q_samples must be \(n, 1\) with n at least 1, got \("):
            toy.estimate_wasserstein(critic, good, bad)
    with pytest.raises(ValueError, match="p_samples must be finite, got NaN or infinite values"):
        toy.estimate_wasserstein(critic, good / 0, good)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        toy.estimate_wasserstein(critic, good, good, steps=0)
