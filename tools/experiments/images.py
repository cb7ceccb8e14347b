"""Image models on real digits, judged beside the test set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics, models
from gan_course.metrics import Judge, judge
from gan_course.models.gan import GAN, RECIPES
from gan_course.train import History
from tools.experiments import Entry, defaults, fit

SAMPLES = 2_000


def trained(
    seed: int,
    device: torch.device,
    *,
    family: str,
    data_name: str,
    steps: int,
    batch: int,
    size: int | None = None,
    precision: str = "float32",
    **model: Any,
) -> tuple[nn.Module, History, Tensor, Judge]:
    """Train a model of images; return it, its history, 2,000 test images (or all) and their judge."""
    train_set = data.load(data_name, size=size, device=device)
    reference = data.load(data_name, size=size, split="test", device=device).draw(SAMPLES)
    critic = judge(data_name, train_set.shape[-1], device)
    torch.manual_seed(seed)
    gan = models.build(family, train_set, **model).to(device)
    history = fit(gan, train_set, steps, batch=batch, seed=seed, precision=precision, progress=False)
    return gan, history, reference, critic


def images(seed: int, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Train a generator of images and judge 2,000 samples beside the test set."""
    gan, history, reference, critic = trained(seed, device, **settings)
    samples = gan.sample(SAMPLES, generator=_seeded(seed))
    measured = metrics.summarize(samples, reference, critic)
    measured["shares"] = metrics.class_shares(critic.probabilities(samples)).tolist()
    with torch.no_grad():  # the weights of the last step, not averaged
        last = gan.generator.eval()(gan.latents(SAMPLES, _seeded(seed)))
    measured["frechet_last"] = metrics.summarize(last, reference, critic)["frechet"]
    return {**measured, "loss_d": history["loss_d"][-1], "loss_g": history["loss_g"][-1]}


def real_images(seed: int, device: torch.device, *, data_name: str) -> dict[str, Any]:
    """The same measurement on real training images: what a perfect generator would get."""
    train_set = data.load(data_name, device=device)
    reference = data.load(data_name, split="test", device=device).draw(SAMPLES)
    return metrics.summarize(train_set.draw(SAMPLES, seed), reference, judge(data_name, train_set.shape[-1], device))


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _digits(data_name: str, **changed: Any) -> dict[str, Any]:
    return {"family": "gan", "data_name": data_name, "batch": 64, **defaults(GAN), **RECIPES[data_name], **changed}


ENTRIES = {
    "vanilla_gan_digits": Entry(images, _digits("digits"), range(10)),
    "vanilla_gan_digits_saturating": Entry(images, _digits("digits", loss="saturating"), range(10)),
    "vanilla_gan_digits_least_squares": Entry(images, _digits("digits", loss="least-squares"), range(10)),
    "vanilla_gan_digits_real": Entry(real_images, {"data_name": "digits"}, range(1)),
    "vanilla_gan_mnist": Entry(images, _digits("mnist"), range(5)),
    "vanilla_gan_mnist_real": Entry(real_images, {"data_name": "mnist"}, range(5)),
    "vanilla_gan_mnist_full": Entry(images, _digits("mnist", steps=40_000), range(5), full=True),
}
