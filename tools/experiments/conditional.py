"""Conditional models: do samples show the class that was asked for?"""

from __future__ import annotations

import statistics
from typing import Any

import torch

from gan_course import data, metrics
from gan_course.metrics import Judge, judge
from gan_course.models import common
from gan_course.models.conditional import RECIPES, ConditionalGAN
from tools.experiments import Entry, defaults
from tools.experiments.images import SAMPLES, trained


def conditional(seed: int, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Train a class-conditional generator; judge 2,000 samples, equally many of each class, beside the test set."""
    gan, _, reference, critic = trained(seed, device, **settings)
    samples = gan.sample(SAMPLES, generator=torch.Generator().manual_seed(seed))
    wanted = common.cycled_labels(SAMPLES, gan.num_classes, device)
    return {**metrics.summarize(samples, reference, critic), **by_class(samples, wanted, critic, **settings)}


def real(seed: int, device: torch.device, *, data_name: str, size: int | None = None) -> dict[str, Any]:
    """The same measurement on real training images with their labels: what a perfect generator would get."""
    train_set = data.load(data_name, size=size, device=device)
    chosen = data.order(len(train_set), seed, 0, min(SAMPLES, len(train_set)), device)
    images, labels = train_set.batch(chosen), train_set.labels[chosen]
    reference = data.load(data_name, size=size, split="test", device=device).draw(SAMPLES)
    critic = judge(data_name, train_set.shape[-1], device)
    measured = metrics.summarize(images, reference, critic)
    return measured | by_class(images, labels, critic, data_name=data_name, size=size)


def by_class(
    images: torch.Tensor, wanted: torch.Tensor, critic: Judge, *, data_name: str, size: int | None = None, **_: Any
) -> dict[str, Any]:
    """Judge ``images`` class by class: is it the one that was ``wanted`` (n,), how far is each class from its test
    images, and how far apart are two images of a class, relative to two test images of it?

    ``frechet_class`` is the mean over classes of a Frechet distance between at most 100 images and as many test images
    (40 of digits): compare it at these numbers only. ``unsure`` is the share that the judge reads with less than 0.9.
    """
    test_set = data.load(data_name, size=size, split="test", device=images.device)
    most = 40 if data_name == "digits" else 100
    sure = critic.probabilities(images).max(1).values
    found, true = critic.features(images), critic.features(test_set.images())
    distances, spreads = [], []
    for c in range(len(test_set.classes)):
        a, b = found[wanted == c][:most].double(), true[test_set.labels == c][:most].double()
        distances.append(metrics.frechet_distance(a, b))
        spreads.append((torch.pdist(a).mean() / torch.pdist(b).mean()).item())
    return {
        "accuracy": accuracy(images, wanted, critic),
        "unsure": (sure < 0.9).double().mean().item(),
        "frechet_class": statistics.mean(distances),
        "diversity": statistics.mean(spreads),
        "frechet_classes": [round(d, 2) for d in distances],
    }


def accuracy(samples: torch.Tensor, wanted: torch.Tensor, critic: torch.nn.Module) -> float:
    """Return the share of ``samples`` whose class, as the judge reads it, is the one that was ``wanted`` (n,)."""
    return (critic.probabilities(samples).argmax(1) == wanted).double().mean().item()


def _settings(family: str, data_name: str) -> dict[str, Any]:
    own = defaults(ConditionalGAN, "num_classes")
    return {"family": family, "data_name": data_name, **own, **RECIPES[data_name]}


ENTRIES = {
    f"conditional_digits_{family}": Entry(conditional, _settings(family, "digits"), range(10))
    for family in ("cgan", "acgan", "projection")
} | {
    "conditional_digits_real": Entry(real, {"data_name": "digits"}, range(10)),
    "conditional_mnist_real": Entry(real, {"data_name": "mnist", "size": 16}, range(10)),
    "conditional_mnist_28_real": Entry(real, {"data_name": "mnist"}, range(10)),
    "conditional_cifar10_real": Entry(real, {"data_name": "cifar10-jpeg"}, range(5)),
    "conditional_mnist_projection": Entry(conditional, _settings("projection", "mnist"), range(10)),
}
