"""The VAE: its likelihood, the closed-form KL, its bounds beside integrals on a grid, and what training reaches."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.distributions import Normal, kl_divergence

from gan_course.models.autoregressive import from_levels, to_levels
from gan_course.models.vae import VAE, DiscretizedLogistic, kl_to_standard_normal
from tools.experiments import likelihood


def small(**settings) -> VAE:
    return VAE(**{"shape": (1, 3, 4), "levels": 5, "latent_dim": 2, "width": 8, **settings})


def images(n: int, levels: int = 5, shape: tuple[int, ...] = (1, 3, 4), dtype: torch.dtype = torch.float32):
    return from_levels(torch.randint(levels, (n, *shape)).to(dtype), levels)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_bfloat16_rounds_the_networks_and_not_the_likelihood():
    """In bfloat16 the loss would be off by percents, for neighbouring levels differ by less than a rounding."""
    model, losses = VAE((1, 8, 8), levels=256, latent_dim=3, width=16), []
    for p in model.parameters():
        p.data.copy_(p.data.bfloat16())
    with torch.no_grad():
        model.decoder.layers[-1].weight.mul_(0.1)
        model.decoder.layers[-1].bias[64:].fill_(-4.0)  # sharp, as after training
        model.decoder.layers[-1].bias[:64].fill_(0.5)
    for enabled in (False, True):
        torch.manual_seed(1)
        x = 0.5 + images(32, 3, (1, 8, 8)).mul(0.02)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logs = copy.deepcopy(model).step(x[None])
        assert all(value.dtype == torch.float32 for value in logs.values())
        losses.append(logs["loss"].item())
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)


# --- the likelihood of a pixel --------------------------------------------------------------------


@settings(max_examples=50)
@given(st.integers(2, 256), st.floats(-20, 20), st.floats(-9, 9))
def test_probabilities_of_all_levels_sum_to_one(levels, mean, log_scale):
    mean, log_scale = torch.tensor(mean, dtype=torch.float64), torch.tensor(log_scale, dtype=torch.float64)
    log_p = DiscretizedLogistic(mean, log_scale, levels).log_prob(torch.arange(levels))
    assert torch.isfinite(log_p).all()
    assert torch.logsumexp(log_p, 0).abs() < 1e-9


def test_probabilities_are_differences_of_the_logistic_distribution_function():
    mean, scale, levels = 0.31, 0.2, 9
    edges = np.array([-np.inf, *(-1 + (2 * np.arange(1, levels) - 1) / (levels - 1)), np.inf])
    expected = np.diff(stats.logistic.cdf(edges, mean, scale))
    parameters = torch.tensor([mean, math.log(scale)], dtype=torch.float64)
    made = DiscretizedLogistic(*parameters, levels)
    np.testing.assert_allclose(made.log_prob(torch.arange(levels)).exp(), expected, rtol=1e-10)
    # The mean of the levels, by its definition.
    np.testing.assert_allclose(made.mean(), (expected * np.linspace(-1, 1, levels)).sum(), rtol=1e-10)


def test_log_probability_and_gradient_stay_right_far_out():
    """Far in the tail, log p of an inner level falls by 1/s per unit: minus infinity and NaN are for naive forms."""
    mean = torch.tensor([-40.0, 40.0], requires_grad=True)
    log_p = DiscretizedLogistic(mean, torch.full((2,), -2.0), 17).log_prob(torch.tensor([8, 8]))
    log_p.sum().backward()
    slope = math.exp(2.0)
    torch.testing.assert_close(mean.grad, torch.tensor([slope, -slope]))
    inner = -slope * (40 - 1 / 16) + math.log(1 - math.exp(-slope / 8))
    torch.testing.assert_close(log_p.detach(), torch.full((2,), inner))


def test_frequencies_of_draws_match_probabilities():
    n, levels = 20_000, 5
    made = DiscretizedLogistic(torch.full((n,), 0.2), torch.full((n,), -1.0), levels)
    counts = to_levels(made.sample(seeded(0)), levels).bincount(minlength=levels)
    expected = n * made.log_prob(torch.arange(levels)[:, None].expand(-1, n)).exp().mean(1).double()
    assert stats.chisquare(counts.numpy(), expected.numpy() * (n / expected.sum().item())).pvalue > 1e-3


# --- the bound ------------------------------------------------------------------------------------


def test_kl_matches_torch():
    mean, log_variance = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    q, p = Normal(mean, log_variance.exp().sqrt()), Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), kl_divergence(q, p).sum(1))
    assert kl_to_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0, 0]


def exact_log2(vae: VAE, x: torch.Tensor, step: float = 0.04) -> torch.Tensor:
    """log2 p(x) of each image, by summing p(z) p(x|z) over a fine grid of the two-dimensional latent."""
    ticks = torch.arange(-7, 7, step, dtype=torch.float64)
    z = torch.cartesian_prod(ticks, ticks)
    log_prior, given_z = Normal(0.0, 1.0).log_prob(z).sum(1) + 2 * math.log(step), vae.decoder(z)
    log_p = [torch.logsumexp(log_prior + given_z.log_prob(k).flatten(1).sum(1), 0) for k in to_levels(x, vae.levels)]
    return torch.stack(log_p) / math.log(2)


@pytest.fixture(scope="module")
def tiny() -> tuple[VAE, torch.Tensor, torch.Tensor]:
    """A model of four pixels that has learned a little, eight images, and their exact log2 p(x)."""
    torch.manual_seed(0)
    vae = VAE((1, 2, 2), levels=3, latent_dim=2, width=16, lr=1e-2, ema_decay=0.0).double()
    bright = torch.rand(512, 1, 1, 1) < 0.5  # images are bright or dark as a whole, with noise
    x = from_levels((torch.randint(0, 2, (512, 1, 2, 2)) + bright).double(), 3)
    for start in range(0, 100 * 64, 64):
        vae.step(x.roll(start, 0)[None, :64])
    with torch.no_grad():
        return vae, x[:8], exact_log2(vae, x[:8])


def test_the_grid_is_fine_enough_to_be_the_truth(tiny):
    vae, x, exact = tiny
    every = torch.cartesian_prod(*[torch.arange(3.0)] * 4).view(-1, 1, 2, 2).double()
    with torch.no_grad():
        torch.testing.assert_close(exact_log2(vae, x, 0.06), exact, rtol=0, atol=1e-3)
        assert exact_log2(vae, from_levels(every, 3), 0.25).exp2().sum().item() == pytest.approx(1, abs=1e-6)


def test_bounds_lie_above_the_exact_bits_and_tighten(tiny):
    vae, x, exact = tiny
    draws = lambda k, n: vae.bits_per_pixel(x.repeat_interleave(n, 0), k).view(len(x), n)  # noqa: E731
    one, five, fifty = draws(1, 10_000), draws(5, 2_000), draws(50, 400)
    gaps = torch.stack([bits.mean(1) + exact / 4 for bits in (one, five, fifty)])
    assert (gaps[0] > 1e-3).all() and (gaps > -2e-3).all()
    assert (gaps.mean(1).diff() < -1e-3).all() and gaps[2].mean() < 0.2 * gaps[0].mean()
    # The weights themselves are not biased: their mean is p(x).
    p = torch.exp2(-4 * one)
    assert ((p.mean(1) - exact.exp2()).abs() < 5 * p.std(1) / 100).all()


def test_loss_is_minus_the_elbo_and_beta_counts_the_kl(tiny):
    """The closed form of step() and the importance weights, two estimates of one number, agree in the mean."""
    vae, x, _ = tiny
    many = x.repeat_interleave(10_000, 0)
    bound = vae.bits_per_pixel(many).mean()
    for beta in (1.0, 4.0):
        still = VAE(**{**vae.settings, "beta": beta, "lr": 1e-30}).double()
        still.load_state_dict(vae.state_dict())
        logs = still.step(many[None])
        torch.testing.assert_close(logs["reconstruction"] + logs["kl"], bound, rtol=0, atol=5e-3)
        torch.testing.assert_close(logs["loss"], logs["reconstruction"] + beta * logs["kl"])


def test_reparametrised_gradient_is_that_of_the_integral():
    """E[f(z)] of z ~ N(m, s^2) by quadrature, its derivatives by finite differences; beside the mean over draws."""
    f = lambda z: np.sin(2 * z) + 0.3 * z**2  # noqa: E731
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    mean, log_variance, h = 0.4, -0.7, 1e-5
    integral = lambda m, v: (weights * f(m + math.exp(v / 2) * nodes)).sum() / math.sqrt(2 * math.pi)  # noqa: E731
    expected = [
        (integral(mean + h, log_variance) - integral(mean - h, log_variance)) / (2 * h),
        (integral(mean, log_variance + h) - integral(mean, log_variance - h)) / (2 * h),
    ]
    m = torch.tensor(mean, dtype=torch.float64, requires_grad=True)
    v = torch.tensor(log_variance, dtype=torch.float64, requires_grad=True)
    z = VAE.reparametrize(m, v, torch.randn(400_000, dtype=torch.float64))
    (torch.sin(2 * z) + 0.3 * z.square()).mean().backward()
    np.testing.assert_allclose([m.grad, v.grad], expected, atol=6e-3)


def test_step_is_one_adam_update_down_the_loss():
    """The first step of Adam is lr times the sign of the gradient, which finite differences of the loss give."""
    vae = small(lr=1e-3).double()
    x, torch_state = images(6, dtype=torch.float64)[None], torch.get_rng_state()

    def loss(change: float) -> float:
        other = VAE(**{**vae.settings, "lr": 1e-30}).double()
        other.load_state_dict(vae.state_dict())
        other.decoder.layers[-1].bias.data[3] += change
        torch.set_rng_state(torch_state)
        return other.step(x)["loss"].item()

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    before = vae.decoder.layers[-1].bias.detach()[3].clone()
    torch.set_rng_state(torch_state)
    vae.step(x)
    moved = vae.decoder.layers[-1].bias.detach()[3] - before
    assert moved.item() == pytest.approx(-1e-3 * math.copysign(1, slope), rel=1e-3)
    assert all(p.grad is None for p in vae.parameters())


# --- shapes, randomness, bad input ----------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 3, 4), (3, 5, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_ranges(shape, dtype):
    vae = small(shape=shape).to(dtype)
    x = images(6, shape=shape, dtype=dtype)
    logs = vae.step(x[None])
    assert set(logs) == {"loss", "reconstruction", "kl"}
    assert all(value.ndim == 0 and not value.requires_grad for value in logs.values())
    drawn, mean = vae.sample(7), vae.sample(7, mean=True)
    for made in (drawn, mean, vae.decode(vae.latents(7))):
        assert made.shape == (7, *shape) and made.abs().max() <= 1 and not made.requires_grad and made.dtype == dtype
    assert set(drawn.unique().tolist()) <= {-1, -0.5, 0, 0.5, 1} and not set(mean.unique().tolist()) <= {0, 1}
    assert vae.reconstruct(x).shape == x.shape
    bits = vae.bits_per_pixel(x, samples=3)
    assert bits.shape == (6,) and not bits.requires_grad and (bits > 0).all()


def test_draws_depend_on_their_generator_alone():
    vae, x = small(), images(4)
    for made in (
        lambda: vae.sample(4, generator=seeded(3)),
        lambda: vae.sample(4, generator=seeded(3), mean=True),
        lambda: vae.bits_per_pixel(x, 2, seeded(3)),
    ):
        state, first = torch.get_rng_state(), made()
        assert torch.equal(first, made()) and torch.equal(state, torch.get_rng_state())
    assert not torch.equal(vae.sample(4), vae.sample(4))


def test_averages_follow_and_are_what_is_measured():
    vae, x = small(ema_decay=0.5, lr=0.1), images(8)
    old = vae.encoder.layers[0].weight.detach().clone()
    vae.step(x[None])
    expected = (old + vae.encoder.layers[0].weight.detach()) / 2
    torch.testing.assert_close(vae.ema_encoder.network.layers[0].weight, expected)
    before = vae.bits_per_pixel(x, generator=seeded(0)), vae.reconstruct(x)
    for p in [*vae.encoder.parameters(), *vae.decoder.parameters()]:
        p.data.zero_()
    assert torch.equal(vae.bits_per_pixel(x, generator=seeded(0)), before[0])
    assert torch.equal(vae.reconstruct(x), before[1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (12,)}, r"shape must be \(C, H, W\)"),
        ({"levels": 4.5}, "levels must be a whole number, got 4.5"),
        ({"levels": 1}, r"levels must lie in \[2, inf\), got 1"),
        ({"latent_dim": 0}, "latent_dim must be positive, got 0"),
        ({"beta": -1.0}, r"beta must lie in \[0, inf\), got -1.0"),
        ({"lr": float("nan")}, "lr must be positive, got nan"),
        ({"ema_decay": 1.0}, r"decay must lie in \[0, 1\)"),
    ],
)
def test_bad_settings_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        small(**changed)


def test_bad_input_is_refused():
    vae, x = small(), images(4)
    with pytest.raises(ValueError, match=r"real must have shape \(n_critic, B, 1, 3, 4\), got \(4, 1, 3, 4\)"):
        vae.step(x)
    for call in (vae.bits_per_pixel, vae.reconstruct):
        with pytest.raises(ValueError, match=r"x must have shape \(n, 1, 3, 4\) with n at least 1, got \(4, 3, 4\)"):
            call(x[:, 0])
        with pytest.raises(ValueError, match=r"x must have shape \(n, 1, 3, 4\) with n at least 1, got \(0, 1, 3, 4\)"):
            call(x[:0])
        with pytest.raises(ValueError, match=r"x must lie in \[-1, 1\], got values from 0 to 255"):
            call(torch.linspace(0, 255, 12).view(1, 1, 3, 4))
        with pytest.raises(ValueError, match=r"x must lie in \[-1, 1\], got values from nan"):
            call(x / 0 * 0)
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        vae.bits_per_pixel(x, 0)
    with pytest.raises(ValueError, match=r"z must have shape \(n, 2\), got \(3,\)"):
        vae.decode(torch.zeros(3))
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        vae.sample(0)


def test_training_on_digits_beats_independent_pixels():
    """One seed of the experiment; the bounds leave room for the spread in book/results."""
    cpu = torch.device("cpu")
    row = likelihood.likelihood(0, cpu, **likelihood.ENTRIES["likelihood_digits_vae"].settings)
    independent = likelihood.independent_pixels(0, cpu, data_name="digits", levels=17)
    assert row["bits_test"] <= 2.1 < 2.4 < independent["bits_test"]
    assert row["bits_test_50"] < row["bits_test"] - 0.02  # the tighter bound
    assert row["bits_train"] < row["bits_test"]
    assert row["classes"] == 10 and row["confidence"] >= 0.85
    assert row["frechet"] <= 60 < 200 <= independent["frechet"]
