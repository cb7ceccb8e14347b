"""PixelCNN: causality, exact probabilities by enumeration, draws that follow them, and what training reaches."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gan_course import data
from gan_course.models import autoregressive
from gan_course.models.autoregressive import RECIPES, Autoregressive, MaskedConv2d, from_levels, to_levels
from tools.experiments import likelihood


def small(shape: tuple[int, ...] = (1, 3, 4), **changed) -> Autoregressive:
    return Autoregressive(shape, **{"levels": 5, "width": 8, "layers": 2, **changed})


def images(n: int, shape: tuple[int, ...] = (1, 3, 4), levels: int = 5, dtype: torch.dtype = torch.float32):
    return from_levels(torch.randint(levels, (n, *shape)).to(dtype), levels)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- levels ---------------------------------------------------------------------------------------


@given(st.integers(2, 256), st.sampled_from([torch.float32, torch.float64]))
def test_levels_come_back(levels, dtype):
    every = torch.arange(levels)
    x = from_levels(every.to(dtype), levels)
    assert x[0] == -1 and x[-1] == 1 and x.dtype == dtype
    assert torch.equal(to_levels(x, levels), every)
    stored = (every * (255 / (levels - 1))).round() / 127.5 - 1  # as the data sets keep them, in 8 bits
    assert torch.equal(to_levels(stored, levels), every)


def test_other_values_go_to_the_nearest_level():
    x = torch.tensor([-1.0, -0.76, -0.74, 0.1, 0.24, 0.26, 0.99, 1.00001])
    assert to_levels(x, 5).tolist() == [0, 0, 1, 2, 2, 3, 4, 4]  # levels at -1, -.5, 0, .5, 1


def test_digits_have_17_levels():
    x = data.load("digits").images()
    level = to_levels(x, 17)
    assert level.unique().numel() == 17 == x.unique().numel()
    assert (from_levels(level.float(), 17) - x).abs().max() <= 0.5 / 127.5 + 1e-6  # half a step of 8 bits


# --- causality ------------------------------------------------------------------------------------


def dependence(model: Autoregressive) -> torch.Tensor:
    """Return ``(HW, HW)``: row i holds the size of the gradient of pixel i's logits by each pixel, raster order."""
    _, h, w = model.shape
    x = torch.rand(1, 1, h, w, dtype=torch.float64, requires_grad=True)
    logits = model.network(x)[0].flatten(1)
    rows = []
    for i in range(h * w):
        weights = torch.randn(len(logits), dtype=torch.float64)
        (gradient,) = torch.autograd.grad(logits[:, i] @ weights, x, retain_graph=True)
        rows.append(gradient.abs().flatten())
    return torch.stack(rows)


def test_a_pixel_depends_on_all_earlier_ones_and_no_others():
    """No blind spot: with the five layers of the recipe, every earlier pixel of an 8 x 8 image counts."""
    seen = dependence(small((1, 8, 8), layers=RECIPES["digits"]["layers"]).double()) > 0
    assert torch.equal(seen, torch.ones(64, 64).tril(-1).bool())


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
def test_field_of_view(layers, h, w):
    """As documented: all earlier pixels within layers + 2 rows and columns, never a later one."""
    seen = dependence(small((1, h, w), layers=layers).double()) > 0
    reach, place = layers + 2, [(i, j) for i in range(h) for j in range(w)]
    for (i, j), row in zip(place, seen.tolist(), strict=True):
        assert row == [p < (i, j) and i - p[0] <= reach and abs(j - p[1]) <= reach for p in place]


def test_values_of_later_pixels_change_nothing():
    """Not only the gradient: exactly the same logits whatever comes later."""
    network = small((1, 5, 6), layers=3).network
    x = images(1, (1, 5, 6))
    logits = network(x).flatten(2)
    for i in range(30):
        other = x.flatten().clone()
        other[i:] = torch.randn(30 - i)
        assert torch.equal(network(other.view_as(x)).flatten(2)[..., : i + 1], logits[..., : i + 1])


def test_masks():
    up_a, up_b = (MaskedConv2d(1, 1, (5, 5), 2, kind).mask for kind in "AB")
    left_a, left_b = (MaskedConv2d(1, 1, (1, 5), 3, kind).mask for kind in "AB")
    assert up_a.flatten().tolist() == left_a.flatten().tolist() == [1, 1, 0, 0, 0]
    assert up_b.flatten().tolist() == left_b.flatten().tolist() == [1, 1, 1, 0, 0]
    assert up_a.shape == (5, 1) and left_a.shape == (1, 5)


# --- exact probabilities --------------------------------------------------------------------------


def world(h: int, w: int, levels: int) -> torch.Tensor:
    """All images of a size, float64."""
    every = torch.cartesian_prod(*[torch.arange(float(levels))] * (h * w)).double()
    return from_levels(every, levels).view(-1, 1, h, w)


@pytest.fixture(scope="module")
def trained() -> Autoregressive:
    """A model of a world of 2 x 3 binary images, most of which are stripes: far from uniform, with some zeros."""
    torch.manual_seed(0)
    model = Autoregressive((1, 2, 3), levels=2, width=8, layers=2, lr=1e-2, ema_decay=0.5).double()
    stripes = torch.tensor([[1.0, -1, 1, 1, -1, 1], [-1, 1, -1, -1, 1, -1], [1, 1, 1, -1, -1, -1]]).double()
    for _ in range(60):
        x = stripes[torch.randint(3, (64,))]
        x = torch.where(torch.rand(64, 6) < 0.1, -x, x).view(-1, 1, 2, 3)
        model.step(x[None])
    return model


@pytest.mark.parametrize(("h", "w", "levels"), [(2, 2, 2), (3, 2, 2), (2, 2, 4), (1, 5, 3), (5, 1, 3)])
def test_probabilities_of_all_images_sum_to_one(h, w, levels):
    model = small((1, h, w), levels=levels).double()
    for p in model.ema.network.parameters():
        p.data.mul_(3)  # far from uniform
    p = torch.exp2(-h * w * model.bits_per_pixel(world(h, w, levels)))
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    assert p.max() > 1.5 * p.min()


def test_training_raises_the_probability_of_what_is_seen(trained):
    p = torch.exp2(-6 * trained.bits_per_pixel(world(2, 3, 2)))
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    assert p.topk(3).values.sum() > 0.3  # 0.53 in truth (0.9 ** 6), 0.05 at the start


def test_draws_follow_the_probabilities(trained):
    n, every = 8_000, world(2, 3, 2)
    drawn = trained.sample(n, generator=seeded(1))
    code = lambda x: ((x > 0).flatten(1) * 2 ** torch.arange(6)).sum(1)  # noqa: E731
    counts = code(drawn).bincount(minlength=64)[code(every)]
    expected = n * torch.exp2(-6 * trained.bits_per_pixel(every))
    rare = expected < 5  # too few for the test of chi-square one by one
    counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    assert stats.chisquare(counts.numpy(), expected.numpy()).pvalue > 1e-3


def test_bits_by_hand():
    """With only the head's last bias, all pixels share one softmax."""
    model = small(levels=4)
    for p in model.ema.network.parameters():
        p.data.zero_()
    model.ema.network.head[-1].bias.data = torch.tensor([0.5, 0.25, 0.125, 0.125]).log() + 3
    x = from_levels(torch.tensor([0.0, 0, 1, 2, 3, 0, 1, 1, 0, 0, 0, 0]), 4).view(1, 1, 3, 4)
    assert model.bits_per_pixel(x).item() == pytest.approx((7 * 1 + 3 * 2 + 2 * 3) / 12, rel=1e-6)


def test_values_between_levels_count_as_the_nearest():
    model, x = small(), images(3)
    torch.testing.assert_close(model.bits_per_pixel((x + 0.2).clamp(max=1)), model.bits_per_pixel(x))


def test_step_is_one_adam_update_down_the_mean_bits():
    """Adam's first step is lr times the sign of the gradient, which finite differences of the bits give."""
    model = small(lr=1e-3, ema_decay=0.0).double()
    x = images(6, dtype=torch.float64)
    weight = model.network.layers[1].left.weight.data

    def loss(change: float) -> float:
        other = copy.deepcopy(model)
        other.ema.network.layers[1].left.weight.data[3, 2, 0, 1] += change
        return other.bits_per_pixel(x).mean().item()

    expected, slope, before = loss(0), (loss(1e-5) - loss(-1e-5)) / 2e-5, weight[3, 2, 0, 1].item()
    assert model.step(x[None])["loss"].item() == pytest.approx(expected, rel=1e-12)
    assert weight[3, 2, 0, 1].item() - before == pytest.approx(-1e-3 * math.copysign(1, slope), rel=1e-2)
    assert all(p.grad is None for p in model.parameters())


# --- shapes, randomness, bad input ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_ranges(dtype):
    model, x = small(dropout=0.5).to(dtype), images(6, dtype=dtype)
    logs = model.step(x[None])
    assert set(logs) == {"loss"} and logs["loss"].ndim == 0 and not logs["loss"].requires_grad
    assert model.network(x).shape == (6, 5, 3, 4)
    bits, drawn = model.bits_per_pixel(x), model.sample(7)
    assert bits.shape == (6,) and not bits.requires_grad and bits.dtype == dtype
    assert drawn.shape == (7, 1, 3, 4) and not drawn.requires_grad and drawn.dtype == dtype
    assert set(drawn.unique().tolist()) <= {-1, -0.5, 0, 0.5, 1}
    assert torch.equal(model.bits_per_pixel(x), bits)  # no dropout, whatever the mode of the model


def test_draws_depend_on_their_generator_alone():
    model, state = small(), torch.get_rng_state()
    first = model.sample(4, generator=seeded(3))
    assert torch.equal(first, model.sample(4, generator=seeded(3))) and torch.equal(state, torch.get_rng_state())
    assert model.training and not torch.equal(model.sample(4), model.sample(4))


def test_chunks_change_no_probability(monkeypatch):
    model, x = small(), images(7)
    whole = model.bits_per_pixel(x)
    monkeypatch.setattr(autoregressive, "CHUNK", 3)
    torch.testing.assert_close(model.bits_per_pixel(x), whole)
    assert model.sample(7).shape == (7, 1, 3, 4)


def test_average_follows_and_is_what_is_measured():
    model, x = small(ema_decay=0.5, lr=0.1), images(8)
    old = model.network.head[-1].weight.detach().clone()
    model.step(x[None])
    expected = (old + model.network.head[-1].weight.detach()) / 2
    torch.testing.assert_close(model.ema.network.head[-1].weight, expected)
    before = model.bits_per_pixel(x), model.sample(3, generator=seeded(0))
    for p in model.network.parameters():
        p.data.zero_()
    assert torch.equal(model.bits_per_pixel(x), before[0])
    assert torch.equal(model.sample(3, generator=seeded(0)), before[1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (3, 8, 8)}, r"shape must be \(1, H, W\), for this model draws grey images only, got \(3, 8, 8\)"),
        ({"shape": (12,)}, r"shape must be \(C, H, W\)"),
        ({"levels": 4.5}, "levels must be a whole number, got 4.5"),
        ({"levels": 1}, r"levels must lie in \[2, inf\), got 1"),
        ({"layers": 0}, "layers must be positive, got 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"lr": float("nan")}, "lr must be positive, got nan"),
        ({"ema_decay": 1.0}, r"decay must lie in \[0, 1\)"),
    ],
)
def test_bad_settings_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        small(**changed)


def test_bad_input_is_refused():
    model, x = small(), images(4)
    with pytest.raises(ValueError, match=r"real must have shape \(n_critic, B, 1, 3, 4\), got \(4, 1, 3, 4\)"):
        model.step(x)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 1, 3, 4\) with n at least 1, got \(4, 3, 4\)"):
        model.bits_per_pixel(x[:, 0])
    with pytest.raises(ValueError, match=r"x must lie in \[-1, 1\], got values from 0 to 255"):
        model.bits_per_pixel(torch.linspace(0, 255, 12).view(1, 1, 3, 4))
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        model.sample(0)


def test_training_on_digits_beats_independent_pixels():
    """One seed of the experiment; the bounds leave room for the spread in book/results."""
    cpu = torch.device("cpu")
    row = likelihood.likelihood(0, cpu, **likelihood.ENTRIES["likelihood_digits_autoregressive"].settings)
    independent = likelihood.independent_pixels(0, cpu, data_name="digits", levels=17)
    assert row["bits_test"] <= 1.9 < 2.4 < independent["bits_test"]
    assert row["bits_train"] < row["bits_test"]
    assert row["classes"] == 10 and row["confidence"] >= 0.85
    assert row["frechet"] <= 45 < 200 <= independent["frechet"]
