"""The average of weights: its recursion, and a decay that begins low."""

import copy
import math

import pytest
import torch
from torch import nn

from gan_course import data
from gan_course.models.ema import EMA
from gan_course.models.gan import GAN
from gan_course.train import fit


def constant(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(layer.weight, value)
    return layer


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_share_of_the_initial_weights_under_a_ramp(steps):
    """The product of (1 + t) / (10 + t) over the first ``steps`` updates is one over "steps + 9 choose 9"."""
    ema = EMA(constant(1.0), 0.998, ramp=True)
    for _ in range(steps):
        ema.update(constant(0.0))
    assert ema.network.weight.item() == pytest.approx(1 / math.comb(steps + 9, 9), rel=1e-4)


def test_ramp_ends_at_the_decay():
    """(1 + t) / (10 + t) is 0.5 at t = 8: from there on each update halves the distance."""
    ema, values = EMA(constant(1.0), 0.5, ramp=True), [1.0]
    for _ in range(14):
        ema.update(constant(0.0))
        values.append(ema.network.weight.item())
    ratios = [after / before for before, after in zip(values, values[1:], strict=False)]
    assert ratios == pytest.approx([(1 + t) / (10 + t) for t in range(8)] + [0.5] * 6, rel=1e-5)


def test_without_a_ramp_nothing_counts():
    ema = EMA(constant(1.0), 0.9)
    for _ in range(3):
        ema.update(constant(0.0))
    assert ema.network.weight.item() == pytest.approx(0.9**3) and list(ema.state_dict()) == ["network.weight"]


@pytest.mark.parametrize("ramp", [False, True])
def test_average_goes_on_after_saving(ramp):
    ema = EMA(constant(1.0), 0.9, ramp)
    ema.update(constant(0.0))
    other = EMA(constant(5.0), 0.9, ramp)
    other.load_state_dict(copy.deepcopy(ema.state_dict()))
    for average in (ema, other):
        average.update(constant(-1.0))
    assert torch.equal(ema.network.weight, other.network.weight)


def test_interrupted_ramp_ends_as_an_uninterrupted_one(tmp_path):
    points = data.DataSet(torch.randn(50, 2), name="points")

    def trained(*stops: int) -> GAN:
        for steps in stops:
            torch.manual_seed(0)
            gan = GAN((2,), latent_dim=2, width=8, batch_norm=False, ema_decay=0.9, ema_ramp=True)
            out = tmp_path / f"{len(stops)}"
            fit(gan, points, steps, batch=8, out=out, resume=steps != stops[0], progress=False)
        return gan

    whole, parts = trained(12), trained(5, 12)
    assert parts.ema.updates == 12
    for mine, theirs in zip(whole.ema.parameters(), parts.ema.parameters(), strict=True):
        assert torch.equal(mine, theirs)
