"""Which score notices which fault, at which strength: planted faults on held-out real images, and all scores."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics
from gan_course.metrics import faults, judge, pixels
from gan_course.metrics.judges import JUDGES
from tools.experiments import Entry

CLEAN = 3  # fault-free draws beside each reference
POOLS = {"digits": 1, "mnist": 2, "cifar10-jpeg": 4}  # by which the side of the images is divided for pixel features


class Seen:
    """What scores look at: the features and class probabilities of a set of images, as far as they are chosen."""

    def __init__(self, **views: Tensor):
        self.views = views

    def at(self, rows: Tensor) -> Seen:
        return Seen(**{name: view[rows] for name, view in self.views.items()})

    def and_then(self, other: Seen) -> Seen:
        return Seen(**{name: torch.cat([view, other.views[name]]) for name, view in self.views.items()})


def untrained(data_name: str, size: int) -> nn.Module:
    """A small judge with the weights that it was born with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return metrics.Judge(size, JUDGES[data_name, size].channels).eval()


def look(images: Tensor, data_name: str) -> Seen:
    """Let the judge, the untrained network and the pixels see the images; on the CPU."""
    size = images.shape[-1]
    network = judge(data_name, size, images.device)
    features = network.features(images)
    return Seen(
        features=features.cpu(),
        probabilities=network.head(features).softmax(1).cpu(),  # linear, so the mean with the mirror image is the same
        untrained=untrained(data_name, size).to(images.device).features(images).cpu(),
        pixels=pixels(images, POOLS[data_name]).cpu(),
    )


def scores(samples: Seen, reference: Seen, train: Seen) -> dict[str, float]:
    """All scores of samples beside a reference; the copy test knows the training images too."""
    s, r = samples.views, reference.views
    row = {
        "inception_score": metrics.inception_score(s["probabilities"])[0],
        "least_share": metrics.class_shares(s["probabilities"]).min().item(),
        "frechet": metrics.frechet_distance(s["features"], r["features"]),
        "kernel": metrics.kernel_distance(s["features"], r["features"])[0],
    }
    row["precision"], row["recall"] = metrics.precision_recall(s["features"], r["features"])
    row["density"], row["coverage"] = metrics.density_coverage(s["features"], r["features"])
    told = metrics.two_sample_test(s["features"], r["features"])
    row["linear"], row["neighbour"] = told.linear.share, told.neighbour.share
    copied = metrics.copy_test(s["pixels"], train.views["pixels"], r["pixels"])
    row["copies"], row["copies_z"] = copied.share, copied.z
    row["frechet_untrained"] = metrics.frechet_distance(s["untrained"], r["untrained"])
    row["frechet_pixels"] = metrics.frechet_distance(s["pixels"], r["pixels"])
    row["frechet_train"] = metrics.frechet_distance(s["features"], train.views["features"])
    return row


class Panel:
    """All faults of held-out images, each seen once however many seeds there are.

    Args:
        data_name: the test split of which is used: no judge was trained on it.
        images: how many of its images, drawn once.
        n: samples, reference images and training images, each; the rest is the pool that samples come from.
    """

    def __init__(self, data_name: str, images: int, n: int, device: torch.device):
        test_set = data.load(data_name, split="test", device=device)
        self.data_name, self.n = data_name, n
        self.images, labels = test_set.take(0, 0, images)
        self.labels = labels.cpu()
        self.seen = look(self.images, data_name)

    @functools.cache  # noqa: B019 (a panel lives as long as the program)
    def spoiled(self, fault: str, strength: float) -> Seen:
        return look(faults.spoil(self.images, fault, strength), self.data_name)

    def split(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of the training images, of the reference and of the pool."""
        order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(seed))
        return order[: self.n], order[self.n : 2 * self.n], order[2 * self.n :]

    def samples(self, seed: int, fault: str, strength: float) -> Seen:
        """Samples with a fault, of the split of this seed."""
        train, _, pool = self.split(seed)
        fair = pool[faults.choose(self.labels[pool], self.n, seed=seed)]
        if faults.FAULTS[fault].of_images:
            return self.spoiled(fault, strength).at(fair)
        if fault == "memorised":
            copies = round(strength * self.n)
            return self.seen.at(train[:copies]).and_then(self.seen.at(fair[copies:]))
        own = self.images[pool.to(self.images.device)] if fault == "collapse" else None
        return self.seen.at(pool[faults.choose(self.labels[pool], self.n, fault, strength, seed, own)])


panel = functools.cache(Panel)


def planted(
    seed: int, device: torch.device, *, data_name: str, images: int, n: int, strengths: dict[str, list[float]]
) -> dict[str, Any]:
    """All scores of n held-out real images with planted faults, beside n others, and of three fault-free draws.

    A seed splits the images into training images (which a generator may have memorised), reference and pool. The
    two-sample tests give the accuracy of their classifier; ``copies`` is the statistic of the copy test, by pixels.
    """
    made = panel(data_name, images, n, device)
    train, reference, pool = made.split(seed)
    of = functools.partial(scores, reference=made.seen.at(reference), train=made.seen.at(train))
    clean = []
    for draw in range(CLEAN):
        chosen = faults.choose(made.labels[pool], n, seed=seed + 1_000 * draw)
        clean.append(of(made.seen.at(pool[chosen])))
    row: dict[str, Any] = {"clean": clean}
    for fault, steps in strengths.items():
        row[fault] = [of(made.samples(seed, fault, strength)) for strength in steps]
    return row


def _settings(data_name: str, images: int, n: int) -> dict[str, Any]:
    strengths = {name: list(fault.strengths) for name, fault in faults.FAULTS.items()}
    return {"data_name": data_name, "images": images, "n": n, "strengths": strengths}


ENTRIES = {
    "faults_digits": Entry(planted, _settings("digits", 500, 100), range(10)),
    "faults_mnist": Entry(planted, _settings("mnist", 6_000, 1_000), range(10)),
    "faults_cifar10": Entry(planted, _settings("cifar10-jpeg", 2_000, 450), range(10)),
}
