"""CycleGAN taken apart: each part of the neon recipe changed alone, and what a translation hides of its source."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gan_course import data
from gan_course.data import DataSet, Domains, translation
from gan_course.metrics import judge
from gan_course.models.cyclegan import CycleGAN
from tools.experiments import Entry, defaults, fit
from tools.experiments.translation import ENTRIES as TRANSLATION
from tools.experiments.translation import unpaired


def glyphs(
    seed: int, device: torch.device, *, name: str, size: int, steps: int, batch: int, limit: int, **model: Any
) -> dict[str, Any]:
    """Train CycleGAN on characters with one factor changed; on 500 hidden pairs, does the judge read the right
    character in the translations, and the factor of the other domain; how far are they from the partners (share of
    their variance)? The same for the partners and for the source itself."""
    train_set = data.load_domains(name, size=size, device=device, limit=limit)
    test_set = data.load_domains(name, size=size, split="test", paired=True, device=device, limit=500)
    torch.manual_seed(seed)
    translator = CycleGAN(train_set.shape, **model).to(device)
    fit(translator, train_set, steps, batch=batch, seed=seed, progress=False)
    (a, b), critic = test_set.images().unbind(1), judge("glyphs", size, device)
    labels, row = test_set.a.labels, {}
    task = name.partition("-")[0]
    for way, source, target in (("ab", a, b), ("ba", b, a)):
        fake = translator.translate(source, way)
        factor = "slant" if task == "italic" else "weight"
        read, untouched, wanted = (critic.factors(x)[factor] for x in (fake, source, target))
        row |= {
            f"class_kept_{way}": (critic.logits(fake).argmax(1) == labels).float().mean().item(),
            f"class_real_{way}": (critic.logits(target).argmax(1) == labels).float().mean().item(),
            f"factor_{way}": (read == wanted).float().mean().item(),
            f"factor_source_{way}": (untouched == wanted).float().mean().item(),
            f"error_{way}": _error(fake, target),
            f"error_source_{way}": _error(source, target),
        }
    return row


def hidden(
    seed: int, device: torch.device, *, size: int, steps: int, batch: int, decay_from: int | None, **model: Any
) -> dict[str, Any]:
    """Train CycleGAN between digits in inks of any hue and white digits, a pair of domains that is many to one; can the
    hue be read from the white translations of test images (mean error in degrees, 90 by chance), how loud is what
    tells it (standard deviation over hues, of a range of 2), and what does it survive?"""
    white, chosen = data.load("digits", size=size, channels=3), torch.Generator().manual_seed(1)
    inks = translation.inked(white.x[::2], torch.rand(len(white.x[::2]), generator=chosen))
    train_set = Domains(DataSet(inks, name="inked"), DataSet(white.x[1::2], name="white"), paired=False, name="inks")
    train_set = train_set.to(device)
    torch.manual_seed(seed)
    translator = CycleGAN(train_set.shape, **model).to(device)
    fit(translator, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)

    white = data.load("digits", size=size, split="test", channels=3)
    hues = torch.rand(len(white), generator=torch.Generator().manual_seed(2))
    a = DataSet(translation.inked(white.x, hues), name="inked").images().to(device)
    b = white.images().to(device)
    fake = translator.translate(a, "ab")
    back = translator.translate(fake, "ba")
    brightness = ((b + 1) / 2).mean().item()

    def degrees(images: Tensor) -> Tensor:
        """Distance of the hue that the way back finds in translations from the true one."""
        gap = translation.hue_of(translator.translate(images.clamp(-1, 1), "ba")) - translation.hue_of(a)
        return 360 * ((gap + 0.5) % 1 - 0.5).abs()

    in_all = torch.stack([translator.translate(_all_in(white, hue).to(device), "ab") for hue in torch.arange(16) / 16])
    message = in_all - in_all.mean(0)
    rms = degrees(fake).square().mean().sqrt().item()
    row = {
        "hue_error": degrees(fake).mean().item(),
        "hue_error_true": degrees(b).mean().item(),  # from true white digits, which tell nothing
        "bits": max(0.0, math.log2(360) - 0.5 * math.log2(2 * math.pi * math.e * rms**2)),
        "message": message.square().mean().sqrt().item(),
        "error_b": _error(in_all.mean(0), b),
        "cycle_error": (back - a).abs().mean().item(),
        "cycle_honest": 5 / 6 * brightness,
        "high_message": _high(message.flatten(0, 1)),
        "high_white": _high(b - b.mean(0)),
    }
    draw = torch.Generator().manual_seed(3)
    noise = torch.randn(fake.shape, generator=draw).to(device)
    row |= {f"noise_{sigma}": degrees(fake + sigma * noise).mean().item() for sigma in (0.05, 0.1, 0.2, 0.4, 0.8)}
    for bits in (8, 4, 2, 1):
        levels = 2**bits - 1
        row[f"bits_{bits}"] = degrees(((fake + 1) / 2 * levels).round() / levels * 2 - 1).mean().item()
    return row | {"grey": degrees(fake.mean(1, keepdim=True).expand_as(fake)).mean().item()}


def _error(fake: Tensor, true: Tensor) -> float:
    return ((fake - true).square().mean() / (true - true.mean(0)).square().mean()).item()


def _all_in(white: DataSet, hue: Tensor) -> Tensor:
    return DataSet(translation.inked(white.x, hue.expand(len(white))), name="inked").images()


def _high(x: Tensor) -> float:
    """The share of the energy that lies at more than half of the highest frequency, in either direction."""
    energy = torch.fft.fft2(x).abs().square().mean((0, 1))
    pace = torch.fft.fftfreq(x.shape[-1]).abs().to(x.device)
    high = torch.maximum(pace[:, None], pace[None]) > 0.25
    return (energy[high].sum() / energy.sum()).item()


_NEON = TRANSLATION["cyclegan_neon"].settings
_ALONE = {
    "identity": {"identity": 5.0},
    "no_pool": {"pool": 0},
    "logarithms": {"loss": "non-saturating"},
    "decay": {"decay_from": 100},
    "cycle_1": {"cycle": 1.0},
    "cycle_100": {"cycle": 100.0},
}
_HIDDEN = {
    **defaults(CycleGAN), "width": 16, "downs": 0, "blocks": 2, "norm": "batch", "patch": 16, "lr_g": 1e-3,
    "lr_d": 1e-3, "size": 8, "batch": 32, "steps": 600, "decay_from": 300,
}  # fmt: skip
_GLYPHS = {
    **defaults(CycleGAN), "width": 16, "downs": 2, "blocks": 2, "norm": "batch", "patch": 34, "lr_g": 1e-3,
    "lr_d": 1e-3, "size": 32, "batch": 16, "steps": 300, "limit": 4_000,
}  # fmt: skip

ENTRIES = {
    **{f"cyclegan_neon_{name}": Entry(unpaired, {**_NEON, **one}, range(5)) for name, one in _ALONE.items()},
    "cyclegan_hidden": Entry(hidden, _HIDDEN, range(10)),
    "cyclegan_hidden_no_cycle": Entry(hidden, {**_HIDDEN, "cycle": 0.0}, range(5)),
    "cyclegan_hidden_cycle_1": Entry(hidden, {**_HIDDEN, "cycle": 1.0}, range(5)),
    "cyclegan_hidden_noise_3": Entry(hidden, {**_HIDDEN, "noise": 0.3}, range(5)),
    "cyclegan_hidden_noise_10": Entry(hidden, {**_HIDDEN, "noise": 1.0}, range(5)),
    "cyclegan_italic": Entry(glyphs, {**_GLYPHS, "name": "italic-glyphs"}, range(5)),
}
