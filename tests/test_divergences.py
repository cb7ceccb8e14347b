"""Divergences against quadrature, finite differences, brute-force suprema, scipy and torch's own distributions."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_course.theory import divergences, toy

NAMES = list(divergences.F_DIVERGENCES)
# Divergences between p and q by their own definitions, from log densities on a grid.
DEFINITIONS = {
    "KL": lambda p, q: p * (p / q).log(),
    "reverse KL": lambda p, q: q * (q / p).log(),
    "Jensen-Shannon": lambda p, q: 0.5 * (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()),
    "squared Hellinger": lambda p, q: (p.sqrt() - q.sqrt()).square(),
    "Pearson": lambda p, q: (p - q).square() / q,
    "total variation": lambda p, q: 0.5 * (p - q).abs(),
    "GAN": lambda p, q: p * (p / (p + q)).log() + q * (q / (p + q)).log(),
}


@pytest.fixture(scope="module")
def densities():
    x = torch.linspace(-25, 25, 50_001, dtype=torch.float64)
    p, q = toy.normal(0.0, 1.0), toy.normal(0.8, 1.3)
    return x, p.pdf(x[:, None]), q.pdf(x[:, None])


def inside(name, n=41):
    """Values of t inside the conjugate's domain."""
    high = {"reverse KL": -0.05, "Jensen-Shannon": 0.3, "squared Hellinger": 0.7, "GAN": -0.05, "total variation": 0.5}
    low = {"total variation": -0.5, "Pearson": -2.0}
    return torch.linspace(low.get(name, -3.0), high.get(name, 2.0), n, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_f_gives_the_divergence_and_the_optimal_t_reaches_the_bound(name, densities):
    x, p, q = densities
    row = divergences.f_divergence(name)
    assert row.name == name
    expected = torch.trapezoid(DEFINITIONS[name](p, q), x).item()
    assert torch.trapezoid(q * row.f(p / q), x).item() == pytest.approx(expected, abs=1e-9)
    t = row.derivative(p / q)
    assert torch.trapezoid(p * t - q * row.conjugate(t), x).item() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_f_is_convex_with_the_derivative_given(name):
    row, u = divergences.f_divergence(name), torch.linspace(0.05, 5, 500, dtype=torch.float64)
    u = u[(u - 1).abs() > 1e-3]
    finite = (row.f(u + 1e-6) - row.f(u - 1e-6)) / 2e-6
    torch.testing.assert_close(row.derivative(u), finite, rtol=1e-6, atol=1e-6)
    assert (row.derivative(u).diff() >= 0).all()
    at_one = row.f(torch.ones(1, dtype=torch.float64)).item()
    assert at_one == pytest.approx(-math.log(4) if name == "GAN" else 0, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_conjugate_is_the_supremum(name):
    row, t = divergences.f_divergence(name), inside(name)
    u = torch.logspace(-9, 4, 200_001, dtype=torch.float64)
    supremum = torch.stack([(u * one - row.f(u)).max() for one in t])
    torch.testing.assert_close(row.conjugate(t), supremum, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_activation_reaches_the_domain_and_its_conjugate_is_stable(name):
    row, v = divergences.f_divergence(name), torch.linspace(-6, 6, 121, dtype=torch.float64)
    assert (row.activation(v).diff() > 0).all()
    torch.testing.assert_close(row.conjugate_of_activation(v), row.conjugate(row.activation(v)), rtol=1e-6, atol=1e-9)
    far = torch.tensor([-40.0, 40.0])  # float32
    assert row.conjugate_of_activation(far).isfinite().all() and row.activation(far).isfinite().all()


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.lists(st.floats(0.02, 1), min_size=4, max_size=4),
    st.lists(st.floats(0.02, 1), min_size=4, max_size=4),
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
)
def test_no_output_exceeds_the_divergence(name, p, q, v):
    p, q, v = (torch.tensor(a, dtype=torch.float64) for a in (p, q, v))
    p, q, row = p / p.sum(), q / q.sum(), divergences.f_divergence(name)
    bound = (p * row.activation(v)).sum() - (q * row.conjugate_of_activation(v)).sum()
    assert bound <= (q * row.f(p / q)).sum() + 1e-9


def test_bound_is_the_mean_over_samples_and_differentiable():
    a, b = torch.tensor([0.5, -1.0], requires_grad=True), torch.tensor([0.2, 0.1, -0.4])
    bound = divergences.f_divergence("KL").bound(a, b)
    assert bound.item() == pytest.approx(-0.25 - np.exp(b.numpy() - 1).mean())
    bound.backward()
    torch.testing.assert_close(a.grad, torch.tensor([0.5, 0.5]))


def test_the_gan_row_is_the_loss_of_the_discriminator():
    from gan_course.losses import discriminator_cross_entropy

    torch.manual_seed(0)
    a, b = torch.randn(9), torch.randn(7)
    bound = divergences.f_divergence("GAN").bound(a, b)
    torch.testing.assert_close(bound, -discriminator_cross_entropy(a, b))


def brute_force(x, y, distance):
    within = [
        sum(distance(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j) / (len(s) * (len(s) - 1))
        for s in (x, y)
    ]
    return 2 * sum(distance(a, b) for a in x for b in y) / (len(x) * len(y)) - within[0] - within[1]


def test_mmd_and_energy_distance_are_sums_over_pairs():
    torch.manual_seed(0)
    x, y = torch.randn(6, 2, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64) + 1
    for widths in (0.7, [0.5, 2.0]):
        several = np.atleast_1d(widths)
        expected = brute_force(x, y, lambda a, b, h=several: -np.exp(-((a - b) ** 2).sum().item() / (2 * h**2)).mean())
        assert divergences.mmd_squared(x, y, widths).item() == pytest.approx(expected, abs=1e-12)
    expected = brute_force(x, y, lambda a, b: (a - b).norm().item())
    assert divergences.energy_distance(x, y).item() == pytest.approx(expected, abs=1e-12)


def test_mmd_is_unbiased_and_matches_the_closed_form():
    def mean_kernel(shift, variance, h):  # of two points whose difference is normal
        return h / math.sqrt(h * h + variance) * math.exp(-shift * shift / (2 * (h * h + variance)))

    h, generator = 0.8, torch.Generator().manual_seed(0)
    p, q = toy.normal(0.0, 1.0), toy.normal(0.5, 0.7)
    truth = mean_kernel(0, 2, h) + mean_kernel(0, 2 * 0.49, h) - 2 * mean_kernel(0.5, 1.49, h)
    values = torch.stack(
        [divergences.mmd_squared(p.sample(20, generator), q.sample(15, generator), h) for _ in range(2_000)]
    )
    assert values.mean().item() == pytest.approx(truth, abs=5 * values.std().item() / math.sqrt(2_000))
    assert (values < 0).any()


def test_energy_distance_agrees_with_scipy():
    torch.manual_seed(0)
    x, y = torch.randn(300, 1, dtype=torch.float64), torch.randn(200, 1, dtype=torch.float64) + 0.5
    within = [torch.cdist(s, s).sum() / len(s) * (1 / (len(s) - 1) - 1 / len(s)) for s in (x, y)]
    biased = divergences.energy_distance(x, y) + within[0] + within[1]
    expected = scipy.stats.energy_distance(x[:, 0], y[:, 0]) ** 2
    assert biased.item() == pytest.approx(expected, rel=1e-9)


def test_kernel_distances_have_gradients():
    torch.manual_seed(0)
    x, y = torch.randn(5, 2, dtype=torch.float64, requires_grad=True), torch.randn(4, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: divergences.mmd_squared(x, y, [0.5, 1.0]), x)
    divergences.energy_distance(x, y).backward()
    assert x.grad.isfinite().all() and x.grad.abs().sum() > 0


def test_kl_between_gaussians_matches_torch_and_has_gradients():
    torch.manual_seed(0)
    mean_p, mean_q = torch.randn(2, 3, dtype=torch.float64)
    a, b = torch.randn(2, 3, 3, dtype=torch.float64)
    cov_p, cov_q = a @ a.T + torch.eye(3), b @ b.T + torch.eye(3)
    normal = torch.distributions.MultivariateNormal
    expected = torch.distributions.kl_divergence(normal(mean_p, cov_p), normal(mean_q, cov_q))
    mean_p.requires_grad_(True)
    kl = divergences.kl_gaussians(mean_p, cov_p, mean_q, cov_q)
    torch.testing.assert_close(kl, expected)
    gradient = torch.autograd.grad(kl, mean_p)[0]
    torch.testing.assert_close(gradient, torch.linalg.solve(cov_q, mean_p - mean_q))
    assert divergences.kl_gaussians(mean_q, cov_q, mean_q, cov_q).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: divergences.f_divergence("Jensen Shannon"), "Did you mean 'Jensen-Shannon'"),
        (lambda: divergences.f_divergence("KL").bound(torch.ones(0), torch.ones(1)), r"outputs_p .* got \(0,\)"),
        (lambda: divergences.f_divergence("KL").bound(torch.ones(1), torch.ones(1, 1)), r"outputs_q .* got \(1, 1\)"),
        (lambda: divergences.mmd_squared(torch.ones(2, 1), torch.ones(1, 1), 1.0), r"y must be .* got \(1, 1\)"),
        (lambda: divergences.mmd_squared(torch.ones(2, 1), torch.ones(2, 2), 1.0), "same dimension, got 1 and 2"),
        (lambda: divergences.mmd_squared(torch.ones(2, 1), torch.ones(2, 1), 0.0), "bandwidths .* got 0.0"),
        (lambda: divergences.mmd_squared(torch.ones(2, 1), torch.ones(2, 1), []), r"bandwidths .* got \[\]"),
        (lambda: divergences.energy_distance(torch.ones(2), torch.ones(2, 1)), r"x must be .* got \(2,\)"),
        (
            lambda: divergences.kl_gaussians(torch.ones(1, 2), torch.eye(2), torch.ones(2), torch.eye(2)),
            r"mean_p must be \(d,\), got \(1, 2\)",
        ),
        (
            lambda: divergences.kl_gaussians(torch.ones(2), torch.eye(2), torch.ones(2), torch.eye(3)),
            r"cov_q must be \(2, 2\), got \(3, 3\)",
        ),
        (
            lambda: divergences.kl_gaussians(torch.ones(2), -torch.eye(2), torch.ones(2), torch.eye(2)),
            "cov_p must be symmetric and positive definite",
        ),
        (
            lambda: divergences.kl_gaussians(
                torch.ones(2), torch.eye(2), torch.ones(2), torch.tensor([[1.0, 0.5], [0.0, 1.0]])
            ),
            "cov_q must be symmetric",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
