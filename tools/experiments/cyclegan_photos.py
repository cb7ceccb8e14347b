"""Photos of facades and maps of their parts, translated without pairs; their generators, for readers to load."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import l1_loss
from torchvision.io import decode_jpeg, encode_jpeg

from gan_course import data
from gan_course.data import DataSet, Domains, downloads
from gan_course.models.cyclegan import CycleGAN
from gan_course.train import loop
from tools.experiments import Entry, defaults
from tools.experiments.colour import commit, publish
from tools.experiments.pix2pix import PALETTE, parts


def facades(
    seed: int, device: torch.device, *, name: str, size: int, steps: int, batch: int, decay_from: int, **model: Any
) -> dict[str, Any]:
    """Train CycleGAN on photos of 200 facades and maps of 200 others; on the 106 test pairs, is a photo's map right
    (share of pixels, beside a map that says facade everywhere), and how far (mean absolute, range 2) is the way back to
    the photo from its own map, from that map in JPEG, from it with its colours rounded to those of maps, and from the
    true map, which tells nothing in secret? Seed 0 is kept."""
    torch.manual_seed(seed)
    translator = CycleGAN((2, 3, size, size), **model).to(device)
    history = loop.fit(
        translator, _crops(size).to(device), steps, batch=batch, seed=seed, decay_from=decay_from,
        precision="float32", channels_last=False, checkpoint_seconds=120, progress=False,
        out=downloads.cache_root() / "runs" / f"{name}_{seed}",
    )  # fmt: skip
    photos, maps = data.load_domains("facades", size=size, split="test", paired=True, device=device).images().unbind(1)
    made = translator.translate(photos)
    ways = {"own": made, "own_jpeg": _jpeg(made, 75), "own_rounded": _to_image(parts(made)), "true": maps}
    ways["own_noise"] = made + 0.05 * torch.randn(made.shape, generator=torch.Generator().manual_seed(0)).to(device)
    right = (parts(made) == parts(maps)).float().mean().item()
    back = {way: translator.translate(x.clamp(-1, 1), "ba") for way, x in ways.items()}
    row = {
        "map_right": right,
        "map_right_facade": max((parts(maps) == part).float().mean().item() for part in range(len(PALETTE))),
        **{f"back_{way}": l1_loss(x, photos).item() for way, x in back.items()},
        "training_seconds": history["seconds"][-1],
        "commit": commit(),
    }
    rows = (photos, made, back["own"], maps, back["true"])
    return row | (publish(translator, name, torch.cat([x[:12] for x in rows]), 12) if seed == 0 else {})


def _crops(size: int) -> Domains:
    """The training split: five crops of slightly larger images, each also mirrored; the two domains of other houses."""
    whole, sides = data.load_domains("facades", size=size + size // 8), []
    for domain in (whole.a, whole.b):
        far = domain.x.shape[-1] - size
        corners = [(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)]
        crops = torch.cat([domain.x[:, :, y : y + size, x : x + size] for y, x in corners])
        sides.append(DataSet(torch.cat([crops, crops.flip(3)]), name=domain.name))
    return Domains(*sides, paired=False, name="facades, jittered")


def _to_image(numbers: Tensor) -> Tensor:
    return torch.tensor(PALETTE, device=numbers.device)[numbers].permute(0, 3, 1, 2) / 127.5 - 1


def _jpeg(images: Tensor, quality: int) -> Tensor:
    stored = [encode_jpeg(x, quality) for x in (images + 1).mul(127.5).round().clamp(0, 255).byte().cpu()]
    return torch.stack([decode_jpeg(file) for file in stored]).to(images.device) / 127.5 - 1


# The networks of the paper, narrower; steps are what half an hour of one thread holds.
_FACADES = {
    **defaults(CycleGAN), "name": "cyclegan_facades", "width": 16, "downs": 2, "blocks": 4, "patch": 34, "size": 64,
    "batch": 1, "steps": 12_000, "decay_from": 6_000,
}  # fmt: skip

ENTRIES = {"cyclegan_facades": Entry(facades, _FACADES, range(1))}
