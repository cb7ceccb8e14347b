"""Conditional models: do samples show the class that was asked for?"""

from __future__ import annotations

from typing import Any

import torch

from gan_course import metrics
from gan_course.models import common
from gan_course.models.conditional import RECIPES, ConditionalGAN
from tools.experiments import Entry, defaults
from tools.experiments.images import SAMPLES, trained


def conditional(seed: int, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Train a class-conditional generator; judge 2,000 samples, equally many of each class, beside the test set."""
    gan, _, reference, critic = trained(seed, device, **settings)
    samples = gan.sample(SAMPLES, generator=torch.Generator().manual_seed(seed))
    wanted = common.cycled_labels(SAMPLES, gan.num_classes, device)
    return {"accuracy": accuracy(samples, wanted, critic), **metrics.summarize(samples, reference, critic)}


def accuracy(samples: torch.Tensor, wanted: torch.Tensor, critic: torch.nn.Module) -> float:
    """Return the share of ``samples`` whose class, as the judge reads it, is the one that was ``wanted`` (n,)."""
    return (critic.probabilities(samples).argmax(1) == wanted).double().mean().item()


def _settings(family: str, data_name: str) -> dict[str, Any]:
    own = defaults(ConditionalGAN, "num_classes")
    return {"family": family, "data_name": data_name, **own, **RECIPES[data_name]}


ENTRIES = {
    f"conditional_digits_{family}": Entry(conditional, _settings(family, "digits"), range(5))
    for family in ("cgan", "acgan", "projection")
}
