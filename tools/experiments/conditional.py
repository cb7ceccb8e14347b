"""Conditional models: do samples show the class, or what the caption says, that was asked for?"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import interpolate

from gan_course import data, metrics, models
from gan_course.data import glyphs
from gan_course.metrics import judge
from gan_course.models import common, text
from gan_course.models.conditional import RECIPES, ConditionalGAN
from tools.experiments import Entry, defaults, fit
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


def captions(seed: int, device: torch.device, *, size: int, steps: int, batch: int, **model: Any) -> dict[str, Any]:
    """Train on captioned glyphs; share of 2,000 test captions whose ink, background and character are drawn."""
    train_set = data.load("glyphs", size=size, device=device).captioned()
    test_set = data.load("glyphs", size=size, split="test", device=device)
    words = test_set.captioned().labels
    torch.manual_seed(seed)
    gan = models.build("text", train_set, **model).to(device)
    fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)

    def obeyed(images: torch.Tensor) -> dict[str, float]:
        colors = glyphs.measured_colors(images)
        large = images if size == 32 else interpolate(images, (32, 32), mode="bilinear", antialias=True)
        shares = {name: (colors[name] == test_set.factors[name]).double().mean().item() for name in colors}
        return {**shares, "character": accuracy(large.clamp(-1, 1), test_set.labels, judge("glyphs", 32, device))}

    seeded = torch.Generator().manual_seed(seed)
    drawn, others = (gan.sample(len(w), w, seeded) for w in (words, words.roll(1, 0)))
    results = {"": drawn, "_other_captions": others, "_real": test_set.images()}
    return {name + suffix: share for suffix, images in results.items() for name, share in obeyed(images).items()}


def _settings(family: str, data_name: str) -> dict[str, Any]:
    own = defaults(ConditionalGAN, "num_classes")
    return {"family": family, "data_name": data_name, **own, **RECIPES[data_name]}


ENTRIES = {
    f"conditional_digits_{family}": Entry(conditional, _settings(family, "digits"), range(5))
    for family in ("cgan", "acgan", "projection")
} | {
    "text_glyphs": Entry(captions, {**defaults(text.TextGAN, "num_classes"), **text.RECIPES["glyphs"]}, range(5)),
}
