"""Where GANs live today: digits that move, and discriminators that see single frames, whole clips or both."""

from __future__ import annotations

from typing import Any

import torch

from gan_course import data
from tools.experiments import Entry
from tools.experiments.applications import PROGRAMS


def move(
    seed: int, device: torch.device, *, program: str, seen: list[str], steps: int, train: int, test: int
) -> dict[str, Any]:
    """Train a generator of clips against a discriminator for each view in ``seen``, and measure its clips: the Frechet
    distances of frames and of clips to real ones of the test digits, how much their speed changes, and how alike the
    shapes are in frames that follow each other; beside them what real clips of the training digits get, real ones
    whose frames are shuffled in time, and real frames that are dealt out to clips at random. The test clips are the
    same for all seeds."""
    names = PROGRAMS.load("video", program)
    digits = {split: data.load("digits", split=split, device=device).images() for split in ("train", "test")}
    draw = torch.Generator().manual_seed(1_000 + seed)
    clips = names["video_clips"](digits["train"], train, draw)
    reference = names["video_clips"](digits["test"], test, torch.Generator().manual_seed(0))
    order = torch.rand(test, names["FRAMES"], generator=draw).argsort(1).to(device)
    G = names["video_train"](clips, seen, steps, seed)
    with torch.no_grad():
        made = G(torch.randn(test, 32, generator=draw).to(device))
    shuffled = clips[:test][torch.arange(test, device=device)[:, None], order]
    dealt = clips[:test].flatten(0, 1)[torch.randperm(order.numel(), generator=draw).to(device)].view_as(shuffled)
    row = {}
    for name, shown in {"real": clips[:test], "shuffled": shuffled, "dealt": dealt, "made": made}.items():
        row[f"{name}_frames"], row[f"{name}_clips"] = names["video_distances"](shown, reference)
        row |= {f"{name}_bend": names["video_bend"](shown), f"{name}_alike": names["video_alike"](shown)}
    return row


def entry(*seen: str) -> Entry:
    return PROGRAMS.entry(move, "video", range(5), seen=list(seen), steps=1_500, train=4_000, test=1_000)


ENTRIES = {
    "video_frames": entry("frames"),
    "video_clips": entry("clips"),
    "video_both": entry("frames", "clips"),
}
