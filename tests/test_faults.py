"""Planted faults: each is what it says, by its own measure; and the closed form that the table of biases stands on."""

import math

import numpy as np
import pytest
import torch

from gan_course import data
from gan_course.metrics import faults
from tools.experiments import scores


@pytest.fixture(scope="module")
def pool():
    test_set = data.load("digits", split="test")
    return test_set.images(), test_set.labels


# --- faults of images -------------------------------------------------------------------------------
def test_blur_is_the_gaussian_that_it_names():
    image = torch.full((1, 1, 41, 41), -1.0)
    image[0, 0, 20, 20] = 1
    spread = (faults.spoil(image, "blur", 2.0)[0, 0] + 1) / 2
    offsets = torch.arange(41.0) - 20
    assert spread.sum().item() == pytest.approx(1, abs=1e-4)
    assert (spread.sum(0) * offsets.square()).sum().sqrt().item() == pytest.approx(2.0, rel=0.03)
    assert torch.allclose(spread, spread.T, atol=1e-6)
    flat = torch.full((2, 3, 8, 8), 0.25)
    assert torch.allclose(faults.spoil(flat, "blur", 1.0), flat, atol=1e-6)  # no dark border


def test_noise_has_its_spread_and_its_seed():
    grey = torch.zeros(50, 1, 28, 28)
    noisy = faults.spoil(grey, "noise", 0.1, seed=1)
    assert noisy.std().item() == pytest.approx(0.1, rel=0.02) and abs(noisy.mean()) < 0.002
    assert torch.equal(noisy, faults.spoil(grey, "noise", 0.1, seed=1))
    assert not torch.equal(noisy, faults.spoil(grey, "noise", 0.1, seed=2))
    assert faults.spoil(torch.ones(4, 1, 8, 8), "noise", 1.0).abs().max() <= 1


def test_shift_moves_and_repeats_the_border(pool):
    x = pool[0][:10]
    moved = faults.spoil(x, "shift", 2)
    assert torch.equal(moved[..., 2:], x[..., :-2])
    assert torch.equal(moved[..., 0], x[..., 0]) and torch.equal(moved[..., 1], x[..., 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_loses_more_at_lower_quality(channels):
    x = data.load("glyphs", size=32, channels=channels, limit=20).images()
    errors = [(faults.spoil(x, "jpeg", quality) - x).square().mean().item() for quality in (100, 90, 50, 10)]
    assert errors == sorted(errors) and errors[0] < 2e-4 < errors[-1]
    assert faults.spoil(x, "jpeg", 50).shape == x.shape and faults.spoil(x, "jpeg", 10).abs().max() <= 1


@pytest.mark.parametrize("fault", ["blur", "noise", "shift"])
def test_no_strength_changes_nothing(pool, fault):
    x = pool[0][:5]
    spoiled = faults.spoil(x, fault, 0)
    assert torch.equal(spoiled, x) and spoiled.data_ptr() != x.data_ptr()


# --- faults of choice -------------------------------------------------------------------------------
def test_a_fair_draw_takes_each_image_once(pool):
    places = faults.choose(pool[1], 200, seed=3)
    assert len(places.unique()) == 200
    assert torch.equal(places, faults.choose(pool[1], 200, seed=3))
    assert not torch.equal(places, faults.choose(pool[1], 200, seed=4))


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_dropped_replaces_images_of_one_class(pool, strength):
    fair, places = (faults.choose(pool[1], 200, *fault, seed=5) for fault in ((), ("dropped", strength)))
    before, after = (pool[1][rows].bincount(minlength=10) for rows in (fair, places))
    (lost,) = [c for c in range(10) if after[c] < before[c]] or [None]
    assert len(places.unique()) == 200
    if strength == 0:
        assert torch.equal(fair, places)
    else:
        assert before[lost] - after[lost] == round(strength * int(before[lost]))
        assert (fair != places).sum() == before[lost] - after[lost]


def test_imbalance_has_its_ratio(pool):
    places = faults.choose(pool[1], 240, "imbalance", 5, seed=0)
    counts = pool[1][places].bincount(minlength=10).sort().values
    assert len(places) == 240 and len(places.unique()) == 240
    expected = 240 * torch.linspace(1, 5, 10) / torch.linspace(1, 5, 10).sum()
    assert (counts - expected).abs().max() <= 1
    even = pool[1][faults.choose(pool[1], 240, "imbalance", 1)].bincount()
    assert set(even.tolist()) == {24}


def test_duplicates_come_as_often_as_told(pool):
    places = faults.choose(pool[1], 200, "duplicates", 5, seed=6)
    assert set(places.bincount()[places].tolist()) == {5}
    assert torch.equal(places.unique(), faults.choose(pool[1], 200, seed=6)[:40].sort().values)


def test_collapse_is_narrow_within_each_class_and_keeps_the_classes(pool):
    x, labels = pool
    fair = faults.choose(labels, 200, seed=7)
    narrow = faults.choose(labels, 200, "collapse", 5, seed=7, images=x)
    spread = faults.choose(labels, 200, "duplicates", 5, seed=7)
    assert torch.equal(labels[fair], labels[narrow])
    assert set(narrow.tolist()) <= set(fair.tolist())
    assert 40 <= len(narrow.unique()) <= 50  # a fifth of each class, rounded up

    def within(rows):
        return np.mean([x[rows][labels[rows] == c].flatten(1).var(0).sum().item() for c in labels[fair].unique()])

    assert within(narrow) < 0.8 * within(fair)
    assert within(narrow) < within(spread)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: faults.spoil(x, "blurr", 1), "Did you mean 'blur'"),
        (lambda x, y: faults.spoil(x, "dropped", 1), "'dropped' is made by choose"),
        (lambda x, y: faults.choose(y, 10, "blur", 1), "'blur' is made by spoil"),
        (lambda x, y: faults.spoil(x, "blur", -1), "strength must be a number from 0 to inf for 'blur', got -1"),
        (lambda x, y: faults.spoil(x, "jpeg", 0), "strength must be a whole number from 1 to 100"),
        (lambda x, y: faults.spoil(x, "shift", 1.5), "strength must be a whole number from 0 to 7"),
        (lambda x, y: faults.spoil(x, "noise", math.nan), "strength must be a number"),
        (lambda x, y: faults.spoil(127 * x, "noise", 0.1), r"images must lie in \[-1, 1\]"),
        (lambda x, y: faults.choose(y, 501), "n lie in 1 to N"),
        (lambda x, y: faults.choose(y.float(), 10), "labels must be"),
        (lambda x, y: faults.choose(y, 10, "dropped", 1.5), "strength must be in 0 to 1 for 'dropped', got 1.5"),
        (lambda x, y: faults.choose(y, 10, "imbalance", 0.5), "strength must be of at least 1"),
        (lambda x, y: faults.choose(y, 490, "imbalance", 8), "the pool has .* images of class"),
        (lambda x, y: faults.choose(y, 499, "dropped", 1), "the pool has 1 images of other classes|has 0 images"),
        (lambda x, y: faults.choose(y, 10, "collapse", 2), "images must be those of the pool, 500 of them"),
        (lambda x, y: faults.choose(y, 10, "memorised", 0.5), "put training images in place of the first"),
    ],
)
def test_bad_input(pool, call, message):
    with pytest.raises(ValueError, match=message):
        call(*pool)


# --- what the tables stand on -----------------------------------------------------------------------
def test_kernel_truth_by_quadrature():
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)  # exact up to degree 15
    weights = weights / weights.sum()
    x = torch.tensor([[a, b] for a in nodes for b in nodes])
    w = torch.tensor([a * b for a in weights for b in weights])
    mean, root = torch.tensor([0.3, -0.7]).double(), torch.tensor([[1.0, 0.3], [-0.2, 0.8]]).double()
    y = x @ root.T + mean

    def expected(a, b):
        return (w[:, None] * w * (a @ b.T / 2 + 1) ** 3).sum()

    truth = expected(x, x) + expected(y, y) - 2 * expected(x, y)
    assert scores.kernel_truth(mean, root @ root.T) == pytest.approx(truth.item(), rel=1e-9)
    assert scores.kernel_truth(torch.zeros(5).double(), torch.eye(5).double()) == pytest.approx(0, abs=1e-12)
