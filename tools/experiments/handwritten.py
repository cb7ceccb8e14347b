"""Letters as a pen might draw them, and the same letters in bold and in the two colours of their class.

Which colours are right, no stroke tells: the whole letter has to be recognised. So the colours of a translation show
what the translator takes a drawing for, also of a drawing that is like nothing it was trained on.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import metrics
from gan_course.data import DataSet, Domains, downloads, glyphs
from gan_course.models.pix2pix import Pix2Pix
from gan_course.train import loop
from tools.experiments import Entry, defaults
from tools.experiments.colour import commit, publish
from tools.experiments.pix2pix import distortion

UNSEEN = "0123456789"  # drawn to translators that were trained on letters alone


def colours_of(character: Tensor) -> dict[str, Tensor]:
    """The ink and the background of each class, ``(n,)``: ten different pairs, of six colours each."""
    return {"ink": character % 6, "background": (character + character // 6) % 6}


def handwritten(n: int, seed: int, size: int, characters: str = glyphs.CHARACTERS) -> Domains:
    """Pairs: a letter in a thin face, black on white, and its bold one in the colours of its class, warped alike."""
    plain = {"texture": "plain", "background": "white", "ink": "black", "weight": "regular"}
    thin = glyphs.make(n, seed, size, characters=characters, fixed={**plain, "family": glyphs.COMPLETE_FAMILIES})
    bold = thin.changed(weight="bold", **colours_of(thin.labels))
    grid = warp(n, seed, size)
    sides = [DataSet(_warped(side.x, grid), thin.labels, name=name, classes=list(characters))
             for side, name in ((thin, "drawings"), (bold, "letters"))]  # fmt: skip
    return Domains(*sides, paired=True, name="handwritten")


def warp(n: int, seed: int, size: int) -> Tensor:
    """Where each pixel comes from, ``(n, size, size, 2)``, as :func:`torch.nn.functional.grid_sample` takes it.

    An unsteady hand: each image is turned by up to 15 degrees, slanted and stretched by up to a fifth, and bent by a
    smooth field of about 0.08 of the half side (standard deviation), drawn on 4x4 places.
    """
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(n, 4, generator=generator) * 2 - 1
    angle, slant, wide, high = u[:, 0] * 0.26, u[:, 1] * 0.2, 1 + 0.2 * u[:, 2], 1 + 0.2 * u[:, 3]
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(n)
    rows = [cos * wide, (slant * cos - sin) * high, zero, sin * wide, (slant * sin + cos) * high, zero]
    affine = F.affine_grid(torch.stack(rows, 1).view(n, 2, 3), (n, 3, size, size), align_corners=False)
    field = F.interpolate(0.08 * torch.randn(n, 2, 4, 4, generator=generator), (size, size), mode="bicubic")
    return affine + field.permute(0, 2, 3, 1)


def _warped(x: Tensor, grid: Tensor) -> Tensor:
    parts = [F.grid_sample(a.float(), b, padding_mode="border", align_corners=False)
             for a, b in zip(x.split(2_000), grid.split(2_000), strict=True)]  # fmt: skip
    return torch.cat(parts).round().clamp(0, 255).to(torch.uint8)


def in_colours(images: Tensor, character: Tensor) -> float:
    """The share of images (n, 3, H, W) whose ink and background, as measured, are those of ``character`` (n,)."""
    shown, wanted = glyphs.measured_colors(images), colours_of(character)
    right = torch.stack([shown[factor] == wanted[factor] for factor in wanted]).all(0)
    return right.double().mean().item()


def of_one_letter(images: Tensor) -> float:
    """The share of images (n, 3, H, W) whose ink and background, as measured, are together those of some letter."""
    shown, classes = glyphs.measured_colors(images), colours_of(torch.arange(len(glyphs.CHARACTERS)))
    pairs = {(int(ink), int(behind)) for ink, behind in zip(classes["ink"], classes["background"], strict=True)}
    found = zip(shown["ink"].tolist(), shown["background"].tolist(), strict=True)
    return sum(pair in pairs for pair in found) / len(images)


def drawn(
    seed: int, device: torch.device, *,
    name: str, images: int, size: int, steps: int, batch: int, decay_from: int, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train pix2pix from drawings to letters in the colours of their class; on 2,000 other drawings, how often are both
    colours right, or that of the background, and does the judge read the right letter? And of 1,000 drawn digits, which
    are no class of this task: how many come out in the colours of some letter? Seed 0 is kept."""
    train_set, test_set = (handwritten(n, s, size).to(device) for n, s in ((images, 0), (2_000, 1)))
    torch.manual_seed(seed)
    translator = Pix2Pix(train_set.shape, **model).to(device)
    history = loop.fit(
        translator, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, precision="float32",
        channels_last=False, progress=False, checkpoint_seconds=60,
        out=downloads.cache_root() / "runs" / f"{name}_{seed}",
    )  # fmt: skip
    source, true = test_set.images().unbind(1)
    fake, labels = translator.translate(source), test_set.a.labels
    right = glyphs.measured_colors(fake)["background"] == colours_of(labels)["background"]
    digits = handwritten(1_000, 2, size, UNSEEN).a.images().to(device)
    critic = metrics.judge("glyphs", size, device)
    row = {
        "colours": in_colours(fake, labels),
        "background": right.double().mean().item(),
        "colours_real": in_colours(true, labels),
        "class_kept": (critic.logits(fake).argmax(1) == labels).double().mean().item(),
        "class_real": (critic.logits(true).argmax(1) == labels).double().mean().item(),
        "unseen_in_colours": of_one_letter(translator.translate(digits)),
        **distortion(fake, true),
        "training_seconds": history["seconds"][-1],
        "commit": commit(),
    }
    shown = torch.cat([source[:16], fake[:16], true[:16]])
    return row | (publish(translator, name, shown, 16) if seed == 0 else {})


# After one trial with instance norm (20,000 steps; colours right in .79 of the same 2,000 drawings, with blotches): it
# subtracts each channel's mean, and with it what makes the colour of an area.
_DRAWN = {**defaults(Pix2Pix), "name": "pix2pix_handwritten", "images": 20_000, "size": 32, "steps": 5_000,
          "batch": 16, "decay_from": 2_500, "width": 10, "norm": "batch", "patch": 34, "dropout": 0.0,
          "lr_g": 1e-3, "lr_d": 3e-4}  # fmt: skip

ENTRIES = {"pix2pix_handwritten": Entry(drawn, _DRAWN, range(1))}
