"""Losses against formulas in float64 that do not share their code."""

import math

import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck

from gan_course import losses

LOGITS = torch.cat([torch.linspace(-60, 60, 241), torch.tensor([-1e-3, 1e-3])])


def log1pexp(x: float) -> float:
    """log(1 + e^x) in float64 without torch."""
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def value_and_gradient(loss, logit: torch.Tensor) -> tuple[float, float]:
    logit = logit.clone().requires_grad_(True)
    value = loss(logit)
    value.backward()
    return value.item(), logit.grad.item()


@pytest.mark.parametrize("logit", LOGITS, ids=lambda t: f"{t.item():g}")
def test_cross_entropy_losses_in_float32_match_float64(logit):
    x = logit.item()

    def real_half(logits):
        return losses.discriminator_cross_entropy(logits, torch.full_like(logits, -200.0))

    cases = [
        (losses.generator_non_saturating, log1pexp(-x), -sigmoid(-x)),
        (losses.generator_saturating, -log1pexp(x), -sigmoid(x)),
        (real_half, log1pexp(-x), -sigmoid(-x)),
    ]
    for loss, value, gradient in cases:
        got_value, got_gradient = value_and_gradient(loss, logit)
        assert got_value == pytest.approx(value, rel=1e-6, abs=0)
        assert got_gradient == pytest.approx(gradient, rel=1e-6, abs=0)


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=8), st.lists(st.floats(-60, 60), min_size=1, max_size=8))
def test_losses_are_means_over_each_side(real, fake):
    # 1e-9 and not less: torch's softplus leaves out log1p(e^-x) where x > 20.
    r, f = torch.tensor(real, dtype=torch.float64), torch.tensor(fake, dtype=torch.float64)
    expected = sum(map(lambda x: log1pexp(-x), real)) / len(real) + sum(map(log1pexp, fake)) / len(fake)
    assert losses.discriminator_cross_entropy(r, f).item() == pytest.approx(expected, rel=1e-9)
    expected = sum((x - 1) ** 2 for x in real) / (2 * len(real)) + sum(x**2 for x in fake) / (2 * len(fake))
    assert losses.discriminator_least_squares(r, f).item() == pytest.approx(expected, rel=1e-9)
    expected = sum((x - 1) ** 2 for x in fake) / (2 * len(fake))
    assert losses.generator_least_squares(f).item() == pytest.approx(expected, rel=1e-9)


def test_losses_agree_with_torch_binary_cross_entropy():
    real, fake = torch.randn(50, dtype=torch.float64), torch.randn(50, dtype=torch.float64)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))
    torch.testing.assert_close(losses.discriminator_cross_entropy(real, fake), expected)
    torch.testing.assert_close(losses.generator_non_saturating(fake), bce(fake, torch.ones_like(fake)))
    torch.testing.assert_close(losses.generator_saturating(fake), -bce(fake, torch.zeros_like(fake)))


def test_least_squares_generator_pulls_towards_one():
    logit = torch.tensor([3.0], requires_grad=True)
    losses.generator_least_squares(logit).backward()
    assert logit.grad.item() == pytest.approx(2.0)


def test_pair_names_the_nearest():
    assert losses.pair("saturating")[1] is losses.generator_saturating
    with pytest.raises(ValueError, match="unknown loss 'non-saturatin'.*Did you mean 'non-saturating'"):
        losses.pair("non-saturatin")


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=8), st.lists(st.floats(-60, 60), min_size=1, max_size=8))
def test_hinge_and_wasserstein_are_their_formulas(real, fake):
    r, f = torch.tensor(real, dtype=torch.float64), torch.tensor(fake, dtype=torch.float64)
    expected = sum(max(0, 1 - x) for x in real) / len(real) + sum(max(0, 1 + x) for x in fake) / len(fake)
    assert losses.discriminator_hinge(r, f).item() == pytest.approx(expected, rel=1e-12, abs=1e-12)
    mean_real, mean_fake = sum(real) / len(real), sum(fake) / len(fake)
    assert losses.critic_wasserstein(r, f).item() == pytest.approx(mean_fake - mean_real, rel=1e-12, abs=1e-12)
    assert losses.generator_wasserstein(f).item() == pytest.approx(-mean_fake, rel=1e-12, abs=1e-12)


def test_hinge_ignores_what_is_on_the_right_side_of_its_margin():
    real, fake = torch.tensor([-2.0, 0.5, 1.5], requires_grad=True), torch.tensor([-1.5, -0.5, 2.0], requires_grad=True)
    losses.discriminator_hinge(real, fake).backward()
    torch.testing.assert_close(real.grad, torch.tensor([-1.0, -1.0, 0.0]) / 3)
    torch.testing.assert_close(fake.grad, torch.tensor([0.0, 1.0, 1.0]) / 3)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_gradients_of_losses_match_finite_differences(name):
    discriminator_loss, generator_loss = losses.pair(name)
    real, fake = (torch.randn(7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert gradcheck(discriminator_loss, (real, fake))
    assert gradcheck(generator_loss, (fake,))


@pytest.mark.parametrize("name", losses.RELATIVISTIC)
def test_gradients_of_relativistic_losses_match_finite_differences(name):
    real, fake = (torch.randn(7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    for loss in losses.game(name):
        assert gradcheck(loss, (real, fake))


@given(st.lists(st.tuples(st.floats(-60, 60), st.floats(-60, 60)), min_size=1, max_size=8), st.floats(-10, 10))
def test_relativistic_losses_are_their_formulas_and_see_differences_alone(pairs, shift):
    real, fake = torch.tensor(pairs, dtype=torch.float64).unbind(1)
    expected = sum(log1pexp(f - r) for r, f in pairs) / len(pairs)
    for x in (0.0, shift):
        found = losses.discriminator_relativistic(real + x, fake + x).item()
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
        # The generator's loss is the discriminator's with the roles exchanged.
        found = losses.generator_relativistic(fake + x, real + x).item()
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("logit", [40.0, 1e4])
def test_relativistic_losses_have_their_full_slope_where_a_pair_is_far_wrong(logit):
    real, fake = torch.tensor([-logit], requires_grad=True), torch.tensor([logit], requires_grad=True)
    losses.discriminator_relativistic(real, fake).backward()
    assert real.grad.item() == -1 and fake.grad.item() == 1
    real.grad = fake.grad = None
    losses.generator_relativistic(fake, real).backward()  # the fake one has the low logit here
    assert real.grad.item() == -1 and fake.grad.item() == 1


@pytest.mark.parametrize("loss", losses.game("relativistic"))
def test_relativistic_losses_refuse_what_would_be_broadcast(loss):
    with pytest.raises(ValueError, match=r"one shape.*got \(4,\) and \(4, 1\)"):
        loss(torch.zeros(4), torch.zeros(4, 1))


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_game_is_its_pair_as_functions_of_both_logits(name):
    real, fake = torch.randn(2, 5)
    discriminator_loss, generator_loss = losses.game(name)
    assert discriminator_loss(real, fake) == losses.pair(name)[0](real, fake)
    assert generator_loss(real, fake) == losses.pair(name)[1](fake)
    assert generator_loss(real + 1, fake) == generator_loss(real, fake), "without a look at the real logits"


def test_a_pair_refuses_a_game_whose_generator_needs_real_samples():
    with pytest.raises(ValueError, match="loss must be one whose generator needs no real samples.*'relativistic'"):
        losses.pair("relativistic")
    with pytest.raises(ValueError, match="relativistic"):
        losses.game("relativistc")


def test_r2_is_the_mean_squared_slope_by_finite_differences_and_so_are_its_gradients():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    fake = torch.randn(4, 3, dtype=torch.float64)

    def by_differences() -> torch.Tensor:
        h, squares = 1e-5, 0.0
        for axis in torch.eye(3, dtype=torch.float64):
            squares = squares + ((network(fake + h * axis) - network(fake - h * axis)) / (2 * h)).square()
        return 0.5 * squares.mean()

    penalty = losses.r2_penalty(network, fake)
    torch.testing.assert_close(penalty, by_differences(), rtol=1e-7, atol=0)
    penalty.backward()
    for parameter in list(network.parameters())[:3]:  # the last bias does not show in a slope
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(len(flat)):
            kept = flat[i].item()
            values = []
            for sign in (1, -1):
                flat[i] = kept + sign * 1e-5
                values.append(losses.r2_penalty(network, fake).item())
            flat[i] = kept
            assert gradient[i].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-8)
    assert fake.grad is None and not fake.requires_grad


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("logit", [-1e4, -40.0, 40.0, 1e4])
def test_losses_and_gradients_are_finite_at_large_logits(name, logit):
    real, fake = torch.tensor([logit], requires_grad=True), torch.tensor([-logit], requires_grad=True)
    value = sum(loss(*given) for loss, given in zip(losses.pair(name), [(real, fake), (fake,)], strict=True))
    value.backward()
    assert value.isfinite() and real.grad.isfinite().all() and fake.grad.isfinite().all()
    if logit < 0 and "least" not in name:  # wrong by far: the full slope, not one that has underflowed
        assert real.grad.item() == -1


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3)


@given(st.integers(1, 6), SHAPES, st.floats(0, 3), st.sampled_from([torch.float32, torch.float64]))
def test_penalty_of_a_linear_critic_is_known_for_any_batch_and_shape(batch, shape, slope, dtype):
    real, fake = torch.randn(2, batch, *shape, dtype=dtype)
    direction = torch.randn(math.prod(shape), dtype=dtype)
    direction /= direction.norm()

    def critic(scale):
        return lambda x: scale * (x.flatten(1) @ direction)

    assert losses.gradient_penalty(critic(1.0), real, fake).item() <= 1e-6
    got = losses.gradient_penalty(critic(slope), real, fake)
    assert got.shape == () and got.dtype == dtype
    assert got.item() == pytest.approx((slope - 1) ** 2, abs=1e-5)
    one_sided = losses.gradient_penalty(critic(slope), real, fake, one_sided=True)
    assert one_sided.item() == pytest.approx(max(0, slope - 1) ** 2, abs=1e-5)


@given(st.integers(1, 6), SHAPES, st.booleans())
def test_penalty_of_a_distance_to_a_point_is_zero(batch, shape, one_sided):
    real, fake = torch.rand(2, batch, *shape, dtype=torch.float64)
    centre = torch.full(shape, -1.0, dtype=torch.float64)  # outside of [0, 1): the distance is smooth there
    penalty = losses.gradient_penalty(lambda x: (x - centre).flatten(1).norm(dim=1), real, fake, one_sided=one_sided)
    assert penalty.item() <= 1e-6


def test_each_sample_has_its_own_norm():
    real, fake = torch.randn(2, 6, 2, 3, dtype=torch.float64)
    epsilon = torch.rand(6, dtype=torch.float64)
    got = losses.gradient_penalty(lambda x: 0.5 * x.square().sum((1, 2)), real, fake, epsilon=epsilon)
    expected = 0
    for e, x, g in zip(epsilon.tolist(), real, fake, strict=True):  # the slope of |x|^2 / 2 is |x|
        expected += (math.sqrt((e * x + (1 - e) * g).square().sum().item()) - 1) ** 2 / 6
    assert got.item() == pytest.approx(expected)


def test_epsilon_is_uniform_and_one_per_sample():
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.sum(1)

    torch.manual_seed(0)
    losses.gradient_penalty(critic, torch.ones(4_000, 3), torch.zeros(4_000, 3))
    epsilon = seen[0]
    assert torch.equal(epsilon, epsilon[:, :1].expand(-1, 3)) and 0 <= epsilon.min() and epsilon.max() <= 1
    assert scipy.stats.kstest(epsilon[:, 0].numpy(), "uniform").pvalue > 0.01


@pytest.mark.parametrize("one_sided", [False, True])
def test_gradients_are_finite_where_the_slope_is_zero(one_sided):
    constant = nn.Linear(3, 1)
    nn.init.zeros_(constant.weight)
    dead = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    nn.init.constant_(dead[0].bias, -100.0)
    for critic in (constant, dead):
        penalty = losses.gradient_penalty(critic, torch.randn(5, 3), torch.randn(5, 3), one_sided=one_sided)
        (penalty + losses.r1_penalty(critic, torch.randn(5, 3))).backward()
        assert penalty.item() == (0 if one_sided else 1)
        assert all(p.grad is None or p.grad.isfinite().all() for p in critic.parameters())


def test_r1_of_a_quadratic_is_known():
    """The gradient of x'Ax / 2 is Ax for a symmetric A."""
    a = torch.randn(4, 4, dtype=torch.float64)
    a, real = a + a.T, torch.randn(9, 2, 2, dtype=torch.float64)
    got = losses.r1_penalty(lambda x: 0.5 * torch.einsum("bi,ij,bj->b", x.flatten(1), a, x.flatten(1)), real)
    expected = sum((a @ x).square().sum().item() for x in real.flatten(1)) / (2 * 9)
    assert got.item() == pytest.approx(expected)


@pytest.mark.parametrize("penalty", ["two-sided", "one-sided", "r1"])
def test_gradients_of_penalties_by_the_weights_match_finite_differences(penalty):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 5, 3, dtype=torch.float64)
    epsilon = torch.rand(5, dtype=torch.float64)
    weights = [torch.randn(3, 4, dtype=torch.float64, requires_grad=True)]
    weights.append(torch.randn(4, dtype=torch.float64, requires_grad=True))

    def value(w1, w2):
        def critic(x):
            return torch.tanh(x @ w1) @ w2

        if penalty == "r1":
            return losses.r1_penalty(critic, real)
        return losses.gradient_penalty(critic, real, fake, one_sided=penalty == "one-sided", epsilon=epsilon)

    assert value(*weights).item() > 0
    assert gradcheck(value, weights)


def test_penalties_leave_their_input_alone():
    real, fake = torch.randn(4, 3), torch.randn(4, 3, requires_grad=True)
    critic = nn.Linear(3, 1)
    (losses.gradient_penalty(critic, real, fake) + losses.r1_penalty(critic, real)).backward()
    assert not real.requires_grad and real.grad is None and fake.grad is None and critic.weight.grad is not None


def test_penalties_are_computed_in_full_precision():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    real, fake, epsilon = torch.randn(6, 8), torch.randn(6, 8).bfloat16(), torch.rand(6)
    expected = losses.gradient_penalty(critic, real, fake.float(), epsilon=epsilon), losses.r1_penalty(critic, real)
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(real).dtype == torch.bfloat16
        got = losses.gradient_penalty(critic, real, fake, epsilon=epsilon), losses.r1_penalty(critic, real)
    assert got == expected


def test_bad_input_of_penalties_is_refused():
    with pytest.raises(ValueError, match=r"real and fake must have the same shape, got \(4, 3\) and \(4, 2\)"):
        losses.gradient_penalty(nn.Identity(), torch.zeros(4, 3), torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"epsilon must have shape \(4,\), one for each sample, got \(1,\)"):
        losses.gradient_penalty(nn.Identity(), torch.zeros(4, 3), torch.zeros(4, 3), epsilon=torch.zeros(1))


def test_weights_are_clipped_in_place():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[-5.0, 0.05], [0.1, -0.1], [0.2, -0.02]]))
        network[0].bias.fill_(7.0)
    network[1].running_mean.fill_(3.0)
    weight = network[0].weight
    losses.clip_weights(network, 0.1)
    assert network[0].weight is weight and weight.requires_grad
    torch.testing.assert_close(weight.detach(), torch.tensor([[-0.1, 0.05], [0.1, -0.1], [0.1, -0.02]]), rtol=0, atol=0)
    assert (network[0].bias == 0.1).all() and (network[1].weight == 0.1).all() and (network[1].running_mean == 3).all()
    for bound in (0.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="bound must be positive, got"):
            losses.clip_weights(network, bound)


# ---- virtual adversarial penalty ----


class Linear(nn.Module):
    """Logits w x + c, in float64: its penalty is known for every radius."""

    def __init__(self, slope: list[float], offset: float):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float64))
        self.offset = nn.Parameter(torch.tensor(offset, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.slope + self.offset


def kl(a: float, b: float) -> float:
    """Divergence of the coin sigmoid(b) from the coin sigmoid(a), by its definition."""
    p, q = sigmoid(a), sigmoid(b)
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


@pytest.mark.parametrize("radius", [0.01, 0.5, 3.0])
@pytest.mark.parametrize("logit", [-2.0, 0.3, 4.0])
def test_virtual_adversarial_penalty_of_a_linear_discriminator(radius, logit):
    """The worst direction is along the slope, with either sign: the divergence is that of a logit moved by r |w|."""
    torch.manual_seed(0)
    network = Linear([1.0, -2.0, 2.0], logit)
    got = losses.virtual_adversarial_penalty(network, torch.zeros(1, 3, 1, dtype=torch.float64), radius=radius).item()
    either = [kl(logit, logit + sign * radius * 3.0) for sign in (1, -1)]
    assert min(abs(got - value) / value for value in either) < 1e-6
    small = 0.5 * radius**2 * sigmoid(logit) * sigmoid(-logit) * 9.0
    if radius == 0.01:
        assert got == pytest.approx(small, rel=0.02)


def test_one_iteration_beats_random_directions_in_many_dimensions():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(100, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0)).double()
    x = torch.randn(64, 100, dtype=torch.float64)
    worst = losses.virtual_adversarial_penalty(network, x, radius=0.1).item()
    random = losses.virtual_adversarial_penalty(network, x, radius=0.1, iterations=0).item()
    assert 50 < worst / random < 200  # about the dimension, 100
    again = losses.virtual_adversarial_penalty(network, x, radius=0.1, iterations=5).item()
    assert again == pytest.approx(worst, rel=0.05)


def test_virtual_adversarial_penalty_treats_target_and_direction_as_constants():
    network = Linear([1.0, -2.0, 2.0], 0.3)
    x = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    losses.virtual_adversarial_penalty(network, x, radius=0.5).backward()
    assert x.grad is None
    # By the offset: sigmoid(b) - sigmoid(a). With a target that moves along, the change of a would be subtracted.
    either = [sigmoid(0.3 + sign * 1.5) - sigmoid(0.3) for sign in (1, -1)]
    assert min(abs(network.offset.grad.item() - value) for value in either) < 1e-6


def test_virtual_adversarial_penalty_in_float32_and_on_a_flat_discriminator():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Flatten(0))
    x = torch.rand(8, 1, 8, 8) * 2 - 1
    torch.manual_seed(1)
    single = losses.virtual_adversarial_penalty(network, x, radius=0.5).item()
    torch.manual_seed(1)
    double = losses.virtual_adversarial_penalty(network.double(), x.double(), radius=0.5).item()
    assert single > 0 and single == pytest.approx(double, rel=0.2)  # other random numbers, the same direction
    flat = losses.virtual_adversarial_penalty(lambda x: x.flatten(1).sum(1) * 0, x, radius=0.5)
    assert flat.item() == 0.0


def test_virtual_adversarial_penalty_is_not_rounded_by_autocast():
    """Verdicts on neighbours differ by less than one step of bfloat16, the type of images that come out of autocast."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Flatten(0))
    x = torch.randn(8, 64).bfloat16()
    torch.manual_seed(1)
    exact = losses.virtual_adversarial_penalty(network, x.float(), radius=0.05)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(losses.virtual_adversarial_penalty(network, x, radius=0.05), exact)


def test_virtual_adversarial_penalty_names_what_is_wrong():
    with pytest.raises(ValueError, match="radius must be positive, got 0"):
        losses.virtual_adversarial_penalty(nn.Identity(), torch.zeros(2, 1), radius=0)
    with pytest.raises(ValueError, match="iterations must not be negative, got -1"):
        losses.virtual_adversarial_penalty(nn.Identity(), torch.zeros(2, 1), radius=1, iterations=-1)
