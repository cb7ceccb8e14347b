"""Small games against closed forms, and the Dirac-GAN's penalties against those of networks."""

import math

import pytest
import torch
from torch import nn

from gan_course import losses
from gan_course.theory import dynamics

ORIGIN = torch.zeros(1, dtype=torch.float64)


def point(*values: float) -> list[torch.Tensor]:
    return [torch.tensor([value], dtype=torch.float64) for value in values]


def eigenvalues(matrix: torch.Tensor) -> list[complex]:
    return sorted(torch.linalg.eigvals(matrix).tolist(), key=lambda e: (e.real, e.imag))


@pytest.mark.parametrize("loss", sorted(losses.LOSSES))
@pytest.mark.parametrize(("theta", "psi"), [(0.7, -1.3), (-2.0, 0.4), (1.0, 2.0)])
def test_the_dirac_gan_is_a_gan_with_a_linear_discriminator(loss, theta, psi):
    t, p = point(theta, psi)
    linear = nn.Linear(1, 1, bias=False).double()
    linear.weight.data.fill_(psi)
    sample = torch.tensor([[theta]], dtype=torch.float64, requires_grad=True)
    real = torch.zeros(1, 1, dtype=torch.float64)

    def network(x):
        return linear(x).squeeze(1)

    loss_d, loss_g = losses.pair(loss)
    (gradient_g,) = torch.autograd.grad(loss_g(network(sample)), sample)
    total = loss_d(network(real), network(sample.detach()))
    total = total + 0.3 * losses.r1_penalty(network, real) + 0.2 * losses.gradient_penalty(network, real, sample)
    (gradient_d,) = torch.autograd.grad(total, linear.weight)
    v_theta, v_psi = dynamics.vector_field(dynamics.dirac_gan(loss, r1=0.3, penalty=0.2), t, p)
    assert v_theta.item() == pytest.approx(-gradient_g.item(), abs=1e-12)
    assert v_psi.item() == pytest.approx(-gradient_d.item(), abs=1e-12)


def test_the_dirac_gan_in_space_has_one_norm_for_all_dimensions():
    torch.manual_seed(0)
    theta, psi = torch.randn(2, 5, 3, dtype=torch.float64)
    v_psi = dynamics.vector_field(dynamics.dirac_gan("wasserstein", r1=0.3, penalty=0.2), theta, psi)[1]
    for t, p, v in zip(theta, psi, v_psi, strict=True):
        linear = nn.Linear(3, 1, bias=False).double()
        linear.weight.data = p[None].clone()
        sample, real = t[None], torch.zeros(1, 3, dtype=torch.float64)
        loss = linear(sample).sum() + 0.3 * losses.r1_penalty(linear, real)
        loss = loss + 0.2 * losses.gradient_penalty(linear, real, sample)
        (gradient,) = torch.autograd.grad(loss, linear.weight)
        torch.testing.assert_close(v, -gradient[0])


@pytest.mark.parametrize("dim", [2, 64])
def test_two_sided_penalty_comes_to_rest_on_the_line_only(dim):
    game, settings = dynamics.dirac_gan("wasserstein", penalty=1.5), {"steps": 1_000, "method": "alternating"}
    line, _ = dynamics.simulate(game, *torch.ones(2, 1).double(), lr=0.05, **settings)
    assert line[-1].item() == pytest.approx(3.0, abs=1e-3)  # twice the weight
    torch.manual_seed(0)
    space = dynamics.simulate(game, *torch.randn(2, dim).double(), lr=0.05, **settings)
    for player in space:
        turn = player[-126:]  # one turn of steps of length .05
        assert 0.9 < turn.norm(dim=-1).min() and turn.norm(dim=-1).max() < 1.1
        assert turn.mean(0).norm() < 0.1


def test_the_one_sided_penalty_leaves_small_slopes_alone():
    game, plain = dynamics.dirac_gan("wasserstein", penalty=5.0, one_sided=True), dynamics.dirac_gan("wasserstein")
    for psi, same in ((0.5, True), (-0.9, True), (1.5, False)):
        t, p = point(0.3, psi)
        assert (dynamics.vector_field(game, t, p)[1] == dynamics.vector_field(plain, t, p)[1]).item() is same


@pytest.mark.parametrize(("loss", "slope"), [("non-saturating", 0.5), ("saturating", 0.5), ("wasserstein", 1.0)])
@pytest.mark.parametrize("r1", [0.0, 0.3, 1.0, 5.0])
def test_eigenvalues_at_the_resting_point(loss, slope, r1):
    """-r1/2 +- sqrt(r1^2/4 - f'(0)^2); Mescheder et al. (2018), section 3 (gradient regularisation)."""
    got = eigenvalues(dynamics.jacobian(dynamics.dirac_gan(loss, r1=r1), ORIGIN, ORIGIN))
    root = complex(r1**2 / 4 - slope**2) ** 0.5
    expected = sorted([-r1 / 2 - root, -r1 / 2 + root], key=lambda e: (round(e.real, 9), e.imag))
    for a, b in zip(sorted(got, key=lambda e: (round(e.real, 9), e.imag)), expected, strict=True):
        assert abs(a - b) < 1e-7


def test_one_step_on_the_bilinear_game_by_hand():
    theta, psi = point(1.0, 2.0)
    game, lr = dynamics.bilinear(), 0.1
    expected = {
        "simultaneous": (1 - lr * 2, 2 + lr * 1),
        "alternating": (1 - lr * (2 + lr), 2 + lr),
        "extragradient": (1 - lr * (2 + lr * 1), 2 + lr * (1 - lr * 2)),
        "consensus": (1 - lr * 2 - lr * 0.5 * 1, 2 + lr * 1 - lr * 0.5 * 2),
    }
    assert set(expected) == set(dynamics.METHODS)
    for method, values in expected.items():
        got = dynamics.update(game, theta, psi, method=method, lr=lr, weight=0.5)
        assert [x.item() for x in got] == pytest.approx(values, abs=1e-12)


def test_radius_of_each_method_on_the_bilinear_game():
    """Absolute eigenvalues of the update: sqrt(1 + lr^2), 1, sqrt(1 - lr^2 + lr^4), sqrt((1 - lr w)^2 + lr^2)."""
    lr, weight = 0.2, 1.0
    expected = {
        "simultaneous": math.sqrt(1 + lr**2),
        "alternating": 1.0,
        "extragradient": math.sqrt((1 - lr**2) ** 2 + lr**2),
        "consensus": math.sqrt((1 - lr * weight) ** 2 + lr**2),
    }
    for method, radius in expected.items():
        matrix = dynamics.update_jacobian(dynamics.bilinear(), ORIGIN, ORIGIN, method=method, lr=lr, weight=weight)
        assert torch.linalg.eigvals(matrix).abs().max().item() == pytest.approx(radius, abs=1e-9)


def test_simulated_paths_grow_and_shrink_as_the_eigenvalues_say():
    theta, psi = point(1.0, 0.0)
    for method in ("simultaneous", "extragradient", "consensus"):
        path = dynamics.simulate(dynamics.bilinear(), theta, psi, steps=50, method=method, lr=0.2)
        assert path[0].shape == (51, 1)
        radius = torch.hypot(path[0][:, 0], path[1][:, 0])
        matrix = dynamics.update_jacobian(dynamics.bilinear(), ORIGIN, ORIGIN, method=method, lr=0.2)
        each = torch.linalg.eigvals(matrix).abs().max()
        torch.testing.assert_close(radius[-1], each**50, rtol=1e-9, atol=0)
    theta, psi = dynamics.simulate(dynamics.bilinear(), theta, psi, steps=500, method="alternating", lr=0.2)
    kept = theta**2 + psi**2 + 0.2 * theta * psi  # an invariant: the orbit is an ellipse
    assert (kept - kept[0]).abs().max().item() < 1e-12


def test_many_games_at_once_are_the_games_one_by_one():
    torch.manual_seed(0)
    theta, psi = torch.randn(2, 3, 4, 1, dtype=torch.float64)
    game = dynamics.dirac_gan("non-saturating", r1=0.2)
    for method in dynamics.METHODS:
        together = dynamics.update(game, theta, psi, method=method)
        alone = dynamics.update(game, theta[1, 2], psi[1, 2], method=method)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[1, 2], b, rtol=0, atol=1e-12)


def test_a_matrix_game_between_players_of_unequal_size():
    a = torch.tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]], dtype=torch.float64)
    matrix = dynamics.jacobian(dynamics.bilinear(a), torch.zeros(2).double(), torch.zeros(3).double())
    torch.testing.assert_close(matrix[:2, 2:], -a)
    torch.testing.assert_close(matrix[2:, :2], a.T)
    found = torch.linalg.eigvals(matrix)
    assert found.real.abs().max().item() < 1e-12
    torch.testing.assert_close(found.imag.max(), torch.linalg.svdvals(a)[0])


def test_clipping_keeps_psi_in_its_bounds():
    theta, psi = point(1.0, 0.0)
    _, path = dynamics.simulate(dynamics.dirac_gan("wasserstein"), theta, psi, steps=200, clip=0.25)
    assert path.abs().max().item() == 0.25


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dynamics.dirac_gan("wassertein"), "Did you mean 'wasserstein'"),
        (lambda: dynamics.dirac_gan(r1=-1.0), "r1 must be at least 0, got -1.0"),
        (lambda: dynamics.bilinear(torch.ones(3)), r"matrix must be \(n, m\), got \(3,\)"),
        (lambda: dynamics.update(dynamics.bilinear(), ORIGIN, ORIGIN, method="consensuss"), "Did you mean 'consensus'"),
        (lambda: dynamics.update(dynamics.bilinear(), ORIGIN, ORIGIN, lr=0.0), "lr must be positive, got 0.0"),
        (lambda: dynamics.simulate(dynamics.bilinear(), ORIGIN, ORIGIN, steps=0), "steps must be at least 1, got 0"),
        (lambda: dynamics.simulate(dynamics.bilinear(), ORIGIN, ORIGIN, steps=1, clip=0.0), "clip must be positive"),
        (lambda: dynamics.jacobian(dynamics.bilinear(), ORIGIN[None], ORIGIN[None]), "theta and psi must be"),
        (lambda: dynamics.vector_field(dynamics.bilinear(), ORIGIN[None], ORIGIN), "theta and psi must be"),
        (lambda: dynamics.vector_field(dynamics.bilinear(), ORIGIN.long(), ORIGIN), "must be floating point"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
