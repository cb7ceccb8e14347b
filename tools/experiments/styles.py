"""StyleGAN's ideas on the made world, whose factors are known; and its adaptive augmentation on few digits."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import interpolate

from gan_course import data, metrics
from gan_course.metrics import judge
from gan_course.models.stylegan import StyleGAN
from tools.experiments import Entry, defaults, fit
from tools.experiments.modern import PROGRAMS

SAMPLES = 2_000
#: What the chapter's program reads off an image: the colour of its border, and where its ink sits.
MEASURES = ("red", "green", "blue", "x", "y")


def shares(gan: StyleGAN, seed: int, program: str) -> dict[str, dict[str, float]]:
    """Return how much of the variance of each measure a linear function of z explains, and one of w."""
    chapter = PROGRAMS.load("styles", program)
    z = gan.latents(SAMPLES, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        codes, measure = {"z": z, "w": gan.ema.network.mapping(z)}, chapter["seen"](gan.decode(z))
    found = {name: chapter["explained"](code, measure)[0].tolist() for name, code in codes.items()}
    return {f"explained_{name}": dict(zip(MEASURES, values, strict=True)) for name, values in found.items()}


def styles(
    seed: int, device: torch.device, *, program: str, steps: int, batch: int, size: int, **model: Any
) -> dict[str, Any]:
    """Train a small StyleGAN on glyphs; how much of colour and position is a linear function of z, and of w? Beside it,
    2,000 samples judged beside the test set, enlarged to the judge's size; and as many real training images."""
    train_set = data.load("glyphs", size=size, device=device)
    reference = data.load("glyphs", size=size, split="test", device=device).draw(SAMPLES)
    torch.manual_seed(seed)
    gan = StyleGAN(train_set.shape, **model).to(device)
    history = fit(gan, train_set, steps, batch=batch, seed=seed, decay_from=steps // 2, progress=False)
    samples = gan.sample(SAMPLES, generator=torch.Generator().manual_seed(seed))
    read = judge("glyphs", 32, device)
    enlarged = [interpolate(x, 32, mode="bilinear") for x in (samples, train_set.draw(SAMPLES), reference)]
    measured = metrics.summarize(enlarged[0], enlarged[2], read)
    return {
        **{name: measured[name] for name in ("frechet", "classes", "confidence")},
        "frechet_real": metrics.summarize(enlarged[1], enlarged[2], read)["frechet"],
        **shares(gan, seed, program),
        **{name: history[name][-1] for name in ("loss_d", "loss_g")},
    }


def few(
    seed: int, device: torch.device, *, images: int, steps: int, batch: int, size: int, **model: Any
) -> dict[str, Any]:
    """Train on a few real digits; does the discriminator know them by heart, and how good are the samples?"""
    everything = data.load("digits", size=size, device=device)
    chosen = torch.randperm(len(everything), generator=torch.Generator().manual_seed(seed)).to(device)
    train_set = data.DataSet(everything.x[chosen[:images]], name=f"digits-{images}")
    torch.manual_seed(seed)
    gan = StyleGAN(train_set.shape, **model).to(device)
    history = fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)
    known, unknown = everything.batch(chosen[:images]), everything.batch(chosen[-images:])
    with torch.no_grad():
        logit = [gan.discriminator.eval()(x) for x in (known, unknown)]
    reference = data.load("digits", size=size, split="test", device=device).draw(SAMPLES)
    samples = gan.sample(SAMPLES, generator=torch.Generator().manual_seed(seed))
    return {
        "frechet": metrics.summarize(samples, reference, judge("digits", size, device))["frechet"],
        # The chance that a training image looks more real than a held-out one: 1/2 if the discriminator cannot tell.
        "told_apart": (logit[0][:, None] > logit[1]).double().mean().item(),
        "sign": logit[0].sign().mean().item(),
        "probability": history["probability"][-1],
    }


# Nothing here is tuned: size and steps are what the time allowed.
_GLYPHS = {**defaults(StyleGAN), "width": 16, "steps": 1_500, "batch": 32, "size": 16}
STYLES = {
    "": {},
    "_no_mapping": {"mapping": 0},
    "_no_demodulation": {"demodulate": False},
    "_path_length": {"path_length": 1.0},
    "_path_length_gentle": {"path_length": 0.01},  # chosen after the rows of weight 1, in which no letters form
}
_FEW = {**defaults(StyleGAN), "width": 16, "noise": False, "steps": 2_000, "batch": 32, "size": 16, "images": 100}
# The aim of Karras et al. (2020, ADA) is .6. That of .2 was chosen after four rows without augmentation, whose r_t
# was .6 at most.
FEW = {"none": {}, "adaptive": {"ada_target": 0.2, "ada_images": 20_000}}

ENTRIES = {
    **{
        f"styles_glyphs{name}": PROGRAMS.entry(
            styles, "styles", range(3 if "path_length" in changed else 10), **{**_GLYPHS, **changed}
        )
        for name, changed in STYLES.items()
    },
    **{f"few_styles_{name}": Entry(few, {**_FEW, **changed}, range(10)) for name, changed in FEW.items()},
}
