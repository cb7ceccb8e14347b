"""Stacked digits: three known digits per image, read back by a judge of single digits."""

import math

import pytest
import torch

from gan_course import data, metrics
from gan_course.metrics import judge


def test_channels_are_the_digits_of_the_label():
    made, single = data.stack(data.load("digits"), n=300, seed=1), data.load("digits")
    assert made.shape == (3, 8, 8) and len(made) == 300 and made.x.dtype == torch.uint8
    assert made.classes[7] == "007" and len(made.classes) == 1000 and made.name == "stacked-digits"
    known = {image.numpy().tobytes(): int(label) for image, label in zip(single.x, single.labels, strict=True)}
    for image, label in zip(made.x, made.labels, strict=True):
        digits = [known[channel[None].contiguous().numpy().tobytes()] for channel in image]
        assert made.classes[label] == "".join(map(str, digits))


def test_digits_come_together_independently():
    labels = data.stack(data.load("digits"), n=20_000).labels
    digits = torch.stack([labels // 100, labels // 10 % 10, labels % 10])
    share = data.load("digits").labels.bincount() / 1297
    for digit in digits:
        assert (digit.bincount() / 20_000 - share).abs().max() < 4 * math.sqrt(0.1 * 0.9 / 20_000)
    assert torch.corrcoef(digits.float()).fill_diagonal_(0).abs().max() < 4 / math.sqrt(20_000)


def test_seed_size_split_and_limit():
    first, again, other = (data.stack(data.load("digits"), n=50, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.x, again.x) and torch.equal(first.labels, again.labels)
    assert not torch.equal(first.labels, other.labels)
    assert data.stack(data.load("digits", size=16, split="test"), n=5).shape == (3, 16, 16)
    one = data.stack(data.load("digits", limit=1), n=5)
    assert (one.x == data.load("digits", limit=1).x).all()


def test_the_judge_reads_the_labels_back():
    real = data.stack(data.load("digits", split="test"), n=1000, seed=2)
    read = metrics.read_stacked(real.images(), judge("digits", 8))
    # Each digit is read correctly with probability .992.
    assert (read == real.labels).double().mean() > 0.95
    assert ((read // 100) == (real.labels // 100)).double().mean() > 0.98  # red is the first digit


def test_lost_modes_are_counted():
    real = data.stack(data.load("digits"), n=3000, seed=5)
    net = judge("digits", 8)
    whole = metrics.summarize_stacked(real.images(), net)
    assert abs(whole["modes"] - 1000 * (1 - math.exp(-3))) < 25
    # A generator that draws a single digit in red: a tenth of the modes, and log 10 more divergence.
    one = real.images()
    one[:, 0] = one[0, 0]
    lost = metrics.summarize_stacked(one, net)
    assert lost["modes"] <= 100
    assert lost["reverse_kl"] == pytest.approx(math.log(10), abs=0.1)
    # One image for ever.
    collapsed = metrics.summarize_stacked(real.images(1).expand(200, -1, -1, -1), net)
    assert collapsed == {"modes": 1, "reverse_kl": pytest.approx(math.log(1000))}


def test_weights_may_be_those_of_real_data():
    real = data.stack(data.load("digits"), n=400)
    net = judge("digits", 8)
    weights = metrics.stacked_shares(metrics.read_stacked(real.images(), net))
    assert metrics.summarize_stacked(real.images(), net, weights)["reverse_kl"] == pytest.approx(0, abs=1e-12)
    assert weights.sum().item() == pytest.approx(1) and weights.shape == (1000,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.stack(data.load("digits"), n=0), "n must be at least 1, got 0"),
        (lambda: data.load("stacked-nothing"), "unknown data set 'nothing'"),
        (lambda: metrics.read_stacked(torch.zeros(2, 1, 8, 8), None), r"images must be \(n, 3, size, size\)"),
        (lambda: metrics.read_stacked(torch.zeros(2, 3, 9, 9), judge("digits", 8)), "x: got shape"),
        (lambda: metrics.stacked_shares(torch.tensor([1000])), "whole numbers from 0 to 999"),
        (lambda: metrics.stacked_shares(torch.tensor([-1])), "whole numbers from 0 to 999"),
        (lambda: metrics.stacked_shares(torch.tensor([0.5])), "whole numbers from 0 to 999"),
        (lambda: metrics.stacked_shares(torch.zeros(0, dtype=torch.long)), "whole numbers from 0 to 999"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_other_classes_are_refused(tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / name / "x.png")
    for single in (data.load(tmp_path), data.load("digits", channels=3)):
        with pytest.raises(ValueError, match="a set of grey images of ten classes"):
            data.stack(single, n=5)


def test_the_splits_by_name_come_from_other_digits():
    train_set, test_set = (data.load("stacked-digits", split=split, limit=50) for split in data.SPLITS)
    assert train_set.name == "stacked-digits" and train_set.shape == (3, 8, 8) and len(train_set) == 50
    for stacks, split in ((train_set, "train"), (test_set, "test")):
        single = {tuple(x.flatten().tolist()) for x in data.load("digits", split=split).x}
        assert all(tuple(channel.flatten().tolist()) in single for channel in stacks.x.flatten(0, 1))
    with pytest.raises(ValueError, match="unknown data set 'stacked'.*Did you mean 'stacked-"):
        data.load("stacked")
