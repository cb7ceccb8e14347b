"""The metrics against torch-fidelity's, on features of real images by the judges."""

import functools

import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from gan_course import data, metrics

SETS = {"digits": (8, 500), "cifar10-jpeg": (32, 2000)}


@functools.cache
def features_of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    size, n = SETS[name]
    train, test = (data.load(name, split=split, limit=n).images() for split in data.SPLITS)
    blurred = torch.nn.functional.avg_pool2d(train, 3, stride=1, padding=1, count_include_pad=False)
    train = train.lerp(blurred, torch.linspace(0, 1, n).view(n, 1, 1, 1))
    net = metrics.judge(name, size)
    return net.features(train).double(), net.features(test).double()


@pytest.fixture(params=["digits", pytest.param("cifar10-jpeg", marks=pytest.mark.data("cifar10-jpeg"))])
def features(request, data_at_hand) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (n, 64) in float64 of training images, each more blurred than the last, and of as many test images."""
    return features_of(request.param)


def test_frechet(features):
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, features), verbose=False)
    assert metrics.frechet_distance(*features) == pytest.approx(*theirs.values(), rel=1e-6)


@pytest.mark.parametrize("n", [200, None])
def test_kernel(features, n):
    """One subset that is the whole is theirs without a draw."""
    a, b = (each[:n] for each in features)
    theirs = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=len(a), verbose=False)
    assert metrics.kernel_distance(a, b)[0] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


def test_kernel_by_subsets(features):
    """Draws differ, so two means over many subsets are compared, by the spread between subsets."""
    size = len(features[0]) // 5
    theirs = kid_features_to_metric(*features, kid_subsets=200, kid_subset_size=size, verbose=False)
    ours, _ = metrics.kernel_distance_subsets(*features, subsets=200, subset_size=size)
    spread = theirs["kernel_inception_distance_std"]
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], abs=4 * spread * (2 / 200) ** 0.5)
    assert ours > 10 * spread / 200**0.5  # there is something to be found


@pytest.mark.parametrize("k", [1, 3, 10])
def test_precision_and_recall(features, k):
    theirs = prc_features_to_metric(*features, prc_neighborhood=k, verbose=False)
    precision, recall = metrics.precision_recall(*features, k=k)
    # Theirs are means of 0 and 1 in float32.
    assert round(precision * len(features[0])) == round(theirs["precision"] * len(features[0]))
    assert round(recall * len(features[1])) == round(theirs["recall"] * len(features[1]))
    assert 0 < precision < 1 and 0 < recall < 1


def test_precision_and_recall_by_hand(features):
    a, b = (each[:300] for each in features)
    between, within_a, within_b = ((x[:, None] - y).norm(dim=2) for x, y in ((a, b), (a, a), (b, b)))
    radii_a, radii_b = (within.sort(1).values[:, 3] for within in (within_a, within_b))  # place 0 is the row itself
    precision = (between <= radii_b).any(1).double().mean().item()
    recall = (between <= radii_a[:, None]).any(0).double().mean().item()
    assert metrics.precision_recall(a, b) == (precision, recall)
