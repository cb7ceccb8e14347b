"""Where GANs live today, codecs: a small vector-quantised autoencoder on handwritten digits, with and without an
adversarial term, at two rates."""

from __future__ import annotations

import math
from typing import Any

import torch

from gan_course import data, metrics
from tools.experiments.applications import PROGRAMS

MEASURED = 2_000  # test images that are coded; as many others are the reference


def codec(
    seed: int, device: torch.device, *, program: str, codes: int, width: int, weight: float, steps: int, lr: float
) -> dict[str, Any]:
    """Train a codec of 4x4 numbers on 16x16 MNIST, with the squared error alone and with a patch discriminator.

    Measured on test images: the mean squared error (pixels in [-1, 1]), the Frechet distance in the judge's features
    from other test images, the share that the judge reads as the true digit, and how many of the codes are in use. The
    floor is what the test images themselves get.
    """
    names = PROGRAMS.load("codec", program)
    train = data.load("mnist", size=16, device=device)
    test = data.load("mnist", size=16, split="test", device=device)
    x, labels = test.images()[:MEASURED], test.labels[:MEASURED]
    judge = metrics.judge("mnist", 16, device)
    reference = judge.features(test.images()[MEASURED : 2 * MEASURED])

    def seen(images: torch.Tensor) -> dict[str, float]:
        return {
            "frechet": metrics.frechet_distance(judge.features(images), reference),
            "read": (judge.probabilities(images).argmax(1) == labels).double().mean().item(),
        }

    row: dict[str, Any] = {"bits": 16 * math.log2(codes), **{f"floor_{key}": v for key, v in seen(x).items()}}
    for name in ("error", "judged"):
        torch.manual_seed(seed)
        model = names["ImageCodec"](codes, width).to(device)
        critic = names["patch_judge"]().to(device) if name == "judged" else None
        names["codec_train"](model, train, steps, judge=critic, weight=weight, lr=lr, seed=seed)
        model.eval()
        with torch.no_grad():
            made, numbers = model(x)[0], model.book.nearest(model.encoder(x))
        row |= {f"{name}_mse": (made - x).square().mean().item(), f"{name}_used": len(numbers.unique())}
        row |= {f"{name}_{key}": value for key, value in seen(made).items()}
    return row


_SETTINGS = {"width": 32, "weight": 0.02, "steps": 700, "lr": 2e-3}
ENTRIES = {
    "codec_low": PROGRAMS.entry(codec, "codec", range(5), codes=4, **_SETTINGS),
    "codec_high": PROGRAMS.entry(codec, "codec", range(5), codes=64, **_SETTINGS),
}
