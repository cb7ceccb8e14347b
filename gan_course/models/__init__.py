"""One file per family of models: its networks and a complete training ``step``."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from gan_course.data import DataSet, Domains
from gan_course.errors import unknown
from gan_course.models.gan import GAN

#: family name -> class; the name is what the command line and checkpoints use.
FAMILIES: dict[str, type[nn.Module]] = {model.family: model for model in (GAN,)}


def family(name: str) -> type[nn.Module]:
    """Return the class of a family, or raise ValueError with the nearest known name."""
    if name not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES[name]


def build(name: str, data: DataSet | Domains, **settings: Any) -> nn.Module:
    """Build a model of a family for a data set: its shape, and its number of classes where the family wants one.

    Args:
        name: name of the family.
        data: the set it will be trained on.
        settings: further arguments of the family's class.

    Raises:
        ValueError: the name is unknown, or the data have no labels where the family needs them.
    """
    model = family(name)
    if "num_classes" in inspect.signature(model).parameters:
        if getattr(data, "classes", None) is None:
            raise ValueError(f"family {name!r} needs data with labels and named classes; {data.name!r} has none")
        settings.setdefault("num_classes", len(data.classes))
    return model(shape=data.shape, **settings)
