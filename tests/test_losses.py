"""Losses against formulas in float64 that do not share their code."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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
