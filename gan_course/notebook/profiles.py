"""One notebook, three scales: ``quick`` (tests), ``book`` (the stored outputs), ``full`` (a GPU)."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import torch

from gan_course.errors import unknown

PROFILES = ("quick", "book", "full")


def current() -> str:
    """Return the profile in force.

    ``GAN_COURSE_PROFILE`` decides; without it, ``full`` where there is an accelerator, else ``quick``.
    """
    name = os.environ.get("GAN_COURSE_PROFILE")
    if not name:
        return "quick" if device().type == "cpu" else "full"
    if name not in PROFILES:
        raise unknown("profile in GAN_COURSE_PROFILE", name, PROFILES)
    return name


def pick(*, quick: dict[str, Any], book: dict[str, Any], full: dict[str, Any]) -> SimpleNamespace:
    """Return the settings of the profile in force, as attributes, with its ``name`` as ``profile``.

    Args:
        quick, book, full: settings; all three must have the same keys.

    Example:
        >>> scale = pick(quick=dict(steps=500), book=dict(steps=5000), full=dict(steps=50_000))
    """
    for name, settings in (("book", book), ("full", full)):
        if different := set(quick) ^ set(settings):
            raise ValueError(f"profiles quick and {name} must have the same keys; only one has {sorted(different)}")
    name = current()
    return SimpleNamespace(profile=name, **{"quick": quick, "book": book, "full": full}[name])


def device(name: str | None = None) -> torch.device:
    """Return the device to compute on: the named one, else CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: if the named device does not exist here.
    """
    if name is not None:
        try:
            chosen = torch.device(name)
            torch.empty(0, device=chosen)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0].split(". ")[0]  # torch goes on for a page
            raise ValueError(f"device {name!r} cannot be used here: {reason}") from error
        return chosen
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
