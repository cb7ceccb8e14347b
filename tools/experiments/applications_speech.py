"""Where GANs live today: noise is taken out of voice-like sounds, with and without an adversarial term."""

from __future__ import annotations

from typing import Any

import torch

from tools.experiments import Entry
from tools.experiments.applications import PROGRAMS

SOUNDS = {"train": 192, "test": 64}


def enhance(
    seed: int, device: torch.device, *,
    program: str, steps: int, adversarial: float, spectral: float, train: int, test: int,
) -> dict[str, Any]:  # fmt: skip
    """Train a network to take white noise out of sounds (5 decibels), and measure it on sounds that it has not met: the
    ratio of signal to noise, the level of the hisses and a Frechet distance of spectra to other clean sounds; beside
    them what the noisy sounds get, and as ``floor`` the distance of the clean ones."""
    names = PROGRAMS.load("speech", program)
    draw = torch.Generator().manual_seed(1_000 + seed)
    clean, held_out, others = (names["speech_voices"](n, draw).to(device) for n in (train, test, test))
    noisy = names["speech_noisy"](held_out, draw)
    G = names["speech_train"](clean, steps, seed, adversarial=adversarial, spectral=spectral)
    with torch.no_grad():
        made = G(noisy)
    row = {"floor": names["speech_distance"](held_out, others)}
    for name, sound in {"noisy": noisy, "made": made}.items():
        row |= {
            f"{name}_ratio": names["speech_ratio"](held_out, sound),
            f"{name}_hiss": names["speech_hiss"](held_out, sound),
            f"{name}_distance": names["speech_distance"](sound, others),
        }
    return row


def entry(**weights: float) -> Entry:
    settings = {"steps": 2_000, "adversarial": 0.0, "spectral": 0.0, **SOUNDS}
    return PROGRAMS.entry(enhance, "speech", range(5), **{**settings, **weights})


ENTRIES = {
    "speech_absolute": entry(),
    "speech_adversarial": entry(adversarial=0.03),
    "speech_spectral": entry(spectral=0.03),
}
