"""One file per family of models: its networks and a complete training ``step``."""

from __future__ import annotations

from torch import nn

from gan_course.errors import unknown
from gan_course.models.gan import GAN

#: family name -> class; the name is what the command line and checkpoints use.
FAMILIES: dict[str, type[nn.Module]] = {GAN.family: GAN}


def family(name: str) -> type[nn.Module]:
    """Return the class of a family, or raise ValueError with the nearest known name."""
    if name not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES[name]
