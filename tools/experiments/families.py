"""Three families of generative models on the same digits, each with about the same training time on a CPU; and what
the discriminator of one of them draws."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics, models
from gan_course.metrics import judge
from gan_course.models import autoregressive, gan, vae
from tools.experiments import Entry, defaults, fit


def families(seed: int, device: torch.device, *, data_name: str, families: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Train one model of each family, one after the other; judge as many samples as there are real training images,
    beside the test set. Times are CPU seconds; bits are per pixel, of the VAE a bound, and the GAN has none."""
    train_set, test_set = (data.load(data_name, split=split, device=device) for split in data.SPLITS)
    reference = test_set.draw(len(test_set))
    critic = judge(data_name, train_set.shape[-1], device)
    row: dict[str, Any] = {"real": metrics.summarize(train_set.images(), reference, critic)}
    for family, settings in families.items():
        settings = dict(settings)
        steps, batch = settings.pop("steps"), settings.pop("batch")
        torch.manual_seed(seed)
        model = models.build(family, train_set, **settings).to(device)
        began = time.process_time()
        fit(model, train_set, steps, batch=batch, seed=seed, progress=False)
        trained = time.process_time() - began
        samples = model.sample(len(train_set), generator=_seeded(seed))
        row[family] = {
            **metrics.summarize(samples, reference, critic),
            "training_seconds": trained,
            "sampling_seconds_1000": _sampling_seconds(model, 1_000),
        }
        if family != "gan":
            torch.manual_seed(seed)
            train, test = (model.bits_per_pixel(s.images()) for s in (train_set, test_set))
            row[family] |= {"bits_train": train.mean().item(), "bits_test": test.mean().item()}
            row[family]["bits_test_error"] = (test.std() / math.sqrt(len(test))).item()  # standard error over images
        if family == "vae":
            row[family]["bits_test_50"] = model.bits_per_pixel(test_set.images(), 50, _seeded(seed)).mean().item()
            means = model.sample(len(train_set), generator=_seeded(seed), mean=True)
            row[family]["frechet_means"] = metrics.summarize(means, reference, critic)["frechet"]
    return row


def teacher(
    seed: int, device: torch.device, *, data_name: str, steps: int, batch: int, climb: int, images: int, **model: Any
) -> dict[str, Any]:
    """Train a GAN, then let its discriminator draw: noise that climbs up the logit, in steps of length 0.1."""
    train_set, test_set = (data.load(data_name, split=split, device=device) for split in data.SPLITS)
    torch.manual_seed(seed)
    network = models.build("gan", train_set, **model).to(device)
    fit(network, train_set, steps, batch=batch, seed=seed, progress=False)
    generator, discriminator = _seeded(seed), network.discriminator.eval()
    start = 0.6 * torch.randn(images, *train_set.shape, generator=generator).to(device)
    x = start.clone().requires_grad_()
    for _ in range(climb):
        (slope,) = torch.autograd.grad(discriminator(x.clamp(-1, 1)).sum(), x)
        x.data += 0.1 * slope / (slope.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-8)
    kinds = {
        "real": test_set.draw(images),
        "generated": network.sample(images, generator=generator),
        "climbed": x.detach().clamp(-1, 1),
        "noise": start.clamp(-1, 1),
    }
    reference, critic = test_set.draw(len(test_set)), judge(data_name, train_set.shape[-1], device)
    row: dict[str, Any] = {}
    with torch.no_grad():
        row |= {f"logit_{kind}": discriminator(image).median().item() for kind, image in kinds.items()}
    row |= {f"frechet_{kind}": metrics.summarize(kinds[kind], reference, critic)["frechet"] for kind in kinds}
    return row


def _sampling_seconds(model: nn.Module, n: int) -> float:
    """CPU seconds for n images, on average over as many calls as take at least half a second."""
    generator, calls = _seeded(0), 0
    model.sample(n, generator=generator)
    began = time.process_time()
    while time.process_time() - began < 0.5:
        _: Tensor = model.sample(n, generator=generator)
        calls += 1
    return (time.process_time() - began) / calls


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _settings(model: type[nn.Module], module: Any, steps: int) -> dict[str, Any]:
    return {"batch": 64, **defaults(model), **module.RECIPES["digits"], "steps": steps}


def _budget(times: int) -> dict[str, Any]:
    # Steps that take about the same time on one thread: a step of the autoregressive model (batch 32) took 8.4 times
    # as long as one of the VAE, and one of the GAN 0.84 times (medians of 15 interleaved measurements).
    return {
        "data_name": "digits",
        "families": {
            "vae": _settings(vae.VAE, vae, 2_000 * times),
            "autoregressive": _settings(autoregressive.Autoregressive, autoregressive, 240 * times),
            "gan": _settings(gan.GAN, gan, 2_400 * times),
        },
    }


ENTRIES = {
    "families_digits": Entry(families, _budget(1), range(10)),
    "families_digits_long": Entry(families, _budget(4), range(5)),
    "families_digits_teacher": Entry(
        teacher,
        {"data_name": "digits", "climb": 80, "images": 500, **_settings(gan.GAN, gan, 600)},
        range(10),
    ),
}
