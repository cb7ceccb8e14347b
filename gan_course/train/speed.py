"""What makes a step fast on the device at hand, chosen without being asked: bfloat16, and channels last.

Both pay where convolutions take the time. Perceptrons of this course are small: their steps are bound by the calls,
and casting adds more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gan_course.errors import unknown

PRECISIONS = ("auto", "float32", "bf16")


@dataclass(frozen=True)
class Choice:
    """How a step is computed."""

    bf16: bool  #: matrix products and convolutions in bfloat16, by autocast; weights, optimizers, penalties in float32
    channels_last: bool  #: images and weights of convolutions lie in memory with the channels last

    def settings(self) -> dict[str, Any]:
        """Return what is not as it was before there was a choice, to be written down with the run."""
        return ({"precision": "bf16"} if self.bf16 else {}) | ({"channels_last": True} if self.channels_last else {})

    def __str__(self) -> str:
        return ("bfloat16" if self.bf16 else "float32") + (", channels last" if self.channels_last else "")


def choose(
    model: nn.Module, device: torch.device,
    precision: str = "auto", channels_last: bool | str = "auto", before: Mapping[str, Any] | None = None,
) -> Choice:  # fmt: skip
    """Return how the steps of ``model`` are computed on ``device``.

    Args:
        precision: "float32", "bf16", or "auto": bf16 where there are convolutions and the device computes it in
            hardware (CUDA from compute capability 8, CPUs with AMX or AVX-512 BF16).
        channels_last: True, False, or "auto": where there are convolutions, on CPUs always, on CUDA in bf16.
        before: settings of the run that goes on; "auto" is then what it was.

    Raises:
        ValueError: an argument is none of these, or the device cannot compute it.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if channels_last not in (True, False, "auto"):
        raise ValueError(f"channels_last must be True, False or 'auto', got {channels_last!r}")
    if precision == "bf16" and device.type == "cuda" and not computes_bf16(device):
        major, minor = torch.cuda.get_device_capability(device)
        raise ValueError(f"precision 'bf16' needs a GPU of compute capability 8, got one of {major}.{minor}")
    convolves = any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules())
    bf16 = precision == "bf16"
    if precision == "auto":
        bf16 = convolves and computes_bf16(device) if before is None else before.get("precision") == "bf16"
    if channels_last == "auto":
        helps = convolves and (device.type == "cpu" or (device.type == "cuda" and bf16))
        channels_last = helps if before is None else before.get("channels_last", False)
    return Choice(bf16, channels_last)


def computes_bf16(device: torch.device) -> bool:
    """Return whether ``device`` has instructions for bfloat16; elsewhere it is emulated, and slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        known = (getattr(torch.cpu, f"_is_{name}_supported", bool) for name in ("amx_tile", "avx512_bf16"))
        return any(supported() for supported in known)
    return False
