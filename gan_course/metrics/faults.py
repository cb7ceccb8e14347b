"""Planted faults: samples that are bad in one known way, by a known amount, to try scores on.

Some change images (:func:`spoil`), the others choose them badly from a pool of good ones (:func:`choose`). All start
from real images that no judge was trained on, so a score that moves has noticed the fault and nothing else.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gan_course.errors import unknown
from gan_course.metrics import inputs


@dataclass(frozen=True)
class Fault:
    """What a fault is, and at which strengths the course plants it."""

    description: str  #: with the unit of the strength
    strengths: tuple[float, ...]  #: from faint to strong
    of_images: bool  #: whether :func:`spoil` makes it; else :func:`choose` does


FAULTS: dict[str, Fault] = {
    "blur": Fault("blurred by a Gaussian; its standard deviation in pixels", (0.4, 0.6, 1.0), True),
    "noise": Fault("normal noise; its standard deviation, of a range of 2", (0.05, 0.1, 0.3), True),
    "jpeg": Fault("compressed as JPEG; the quality, of 100", (90, 50, 10), True),
    "shift": Fault("moved to the right; pixels", (1, 2, 3), True),
    "dropped": Fault("one class is missing; the share of its images", (0.25, 0.5, 1.0), False),
    "imbalance": Fault("classes of unlike sizes; the largest over the smallest", (2, 4, 8), False),
    "duplicates": Fault("fewer different images; how often each one comes", (2, 5, 20), False),
    "collapse": Fault("fewer and alike within each class; how often each one comes", (2, 5, 20), False),
    "memorised": Fault("copies of training images; their share", (0.1, 0.3, 1.0), False),
}


def spoil(images: Tensor, fault: str, strength: float, seed: int = 0) -> Tensor:
    """Return the images ``(n, C, H, W)`` with a fault, in [-1, 1] as they were.

    ``"blur"`` and ``"shift"`` repeat the border outwards. ``"jpeg"`` rounds to the 256 values of a file first, and a
    colour image keeps all its colour samples (4:4:4).

    Args:
        images: ``(n, 1 or 3, H, W)`` in [-1, 1].
        fault: a name in :data:`FAULTS` that changes images.
        strength: in the unit that :data:`FAULTS` names; not negative. 0 changes nothing, and of JPEG is not allowed.
        seed: of the noise.

    Raises:
        ValueError: the name is unknown or chooses images, or the strength is out of range.
    """
    inputs.check_images(images)
    _check_name(fault, of_images=True)
    low, high = {"jpeg": (1, 100), "shift": (0, images.shape[3] - 1)}.get(fault, (0, math.inf))
    whole = fault in ("jpeg", "shift")
    if not low <= strength <= high or (whole and strength != int(strength)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"strength must be {kind} from {low} to {high} for {fault!r}, got {strength}")
    if fault == "jpeg":
        return _through_jpeg(images, int(strength))
    if strength == 0:
        return images.clone()
    if fault == "blur":
        reach = math.ceil(3 * strength)
        padded = F.pad(images, (reach,) * 4, mode="replicate")
        return gaussian_blur(padded, 2 * reach + 1, strength)[..., reach:-reach, reach:-reach].clamp(-1, 1)
    if fault == "shift":
        return F.pad(images, (int(strength), 0, 0, 0), mode="replicate")[..., : images.shape[3]]
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(images.shape, generator=generator).to(images)
    return (images + strength * noise).clamp(-1, 1)


def choose(
    labels: Tensor, n: int, fault: str | None = None, strength: float = 0.0, seed: int = 0, images: Tensor | None = None
) -> Tensor:
    """Return the places ``(n,)`` of images in a pool, int64: drawn without replacement, but for what the fault repeats.

    With the same seed and number, all faults begin with the same draw. ``"dropped"`` replaces images of one class,
    drawn with the seed, by others; ``"imbalance"`` draws classes in shares that fall on a line from the first to the
    last, in an order of the classes drawn with the seed; ``"duplicates"`` keeps the first of them and repeats each.
    ``"collapse"`` does so in each class with those nearest, by pixels, to one of them that is drawn.

    Args:
        labels: the classes ``(N,)`` of the pool, whole numbers from 0.
        n: how many to choose, 1 to N.
        fault: a name in :data:`FAULTS` that chooses images, other than ``"memorised"`` (for which copies are to be
            put in place of the first ones); None for a fair draw.
        strength: in the unit that :data:`FAULTS` names: a share, or a number of at least 1.
        seed: of the draw.
        images: of the pool, ``(N, ...)``; for ``"collapse"`` only.

    Raises:
        ValueError: an argument is out of range, or the pool has too few images of a class.
    """
    if labels.ndim != 1 or labels.is_floating_point() or not 1 <= n <= len(labels):
        got = f"{labels.dtype} {tuple(labels.shape)} and n = {n}"
        raise ValueError(f"labels must be (N,) whole numbers, and n lie in 1 to N; got {got}")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    labels = labels.cpu()
    fair = order[:n]
    if fault is None:
        return fair
    _check_name(fault, of_images=False)
    if fault == "memorised":
        raise ValueError("fault: 'memorised' does not choose from the pool: put training images in place of the first")
    most = 1.0 if fault == "dropped" else math.inf
    if not (0 if fault == "dropped" else 1) <= strength <= most:
        expected = "in 0 to 1" if fault == "dropped" else "of at least 1"
        raise ValueError(f"strength must be {expected} for {fault!r}, got {strength}")
    classes = int(labels.max()) + 1
    if fault == "dropped":
        lost = int(torch.randint(classes, (1,), generator=generator))
        mine = (labels[fair] == lost).nonzero().flatten()
        mine = mine[: round(strength * len(mine))]
        spare = order[n:][labels[order[n:]] != lost]
        if len(spare) < len(mine):
            raise ValueError(f"labels: the pool has {len(spare)} images of other classes left, needed {len(mine)}")
        fair[mine] = spare[: len(mine)]
        return fair
    if fault == "imbalance":
        weights = torch.linspace(strength, 1, classes, dtype=torch.float64)
        weights = weights[torch.randperm(classes, generator=generator)]
        counts = (weights / weights.sum() * n).floor().long()
        counts[weights.argsort(descending=True)[: n - int(counts.sum())]] += 1
        kept = []
        for c, count in enumerate(counts.tolist()):
            mine = order[labels[order] == c]
            if len(mine) < count:
                raise ValueError(f"labels: the pool has {len(mine)} images of class {c}, needed {count}")
            kept.append(mine[:count])
        return torch.cat(kept)
    if fault == "duplicates":
        return fair[: math.ceil(n / strength)].repeat(math.ceil(strength))[:n]
    if images is None or len(images) != len(labels):
        raise ValueError(f"images must be those of the pool, {len(labels)} of them, for 'collapse'")
    for c in labels[fair].unique():
        places = (labels[fair] == c).nonzero().flatten()
        mine = fair[places]
        flat = images[mine.to(images.device)].flatten(1).float()
        anchor = int(torch.randint(len(mine), (1,), generator=generator))
        near = (flat - flat[anchor]).square().sum(1).argsort()[: math.ceil(len(mine) / strength)].cpu()
        fair[places] = mine[near].repeat(math.ceil(strength))[: len(mine)]
    return fair


def _check_name(fault: str, of_images: bool) -> None:
    if fault not in FAULTS:
        raise unknown("fault", fault, FAULTS)
    if FAULTS[fault].of_images != of_images:
        other = "choose" if of_images else "spoil"
        raise ValueError(f"fault: {fault!r} is made by {other}")


def _through_jpeg(images: Tensor, quality: int) -> Tensor:
    pixels = images.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu()
    decoded = []
    for image in pixels.permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(
            file, "jpeg", quality=quality, subsampling=0
        )
        decoded.append(np.asarray(Image.open(file)))
    x = torch.from_numpy(np.stack(decoded))
    x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
    return x.to(images.device, torch.float32).div_(127.5).sub_(1.0)
