"""Checks of what comes in. Each raises ValueError naming the argument, what came, and what was expected."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import operator
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from torch import Tensor


class Rule:
    """What a number has to be: ``wanted`` follows "must" in the error, ``holds`` tells whether a number is so."""

    def __init__(self, wanted: str, holds: Callable[[Any], bool], whole: bool = False):
        self.wanted, self.holds, self.whole = wanted, holds, whole

    def __call__(self, name: str, value: Any) -> Any:
        """Return ``value``, or raise ValueError, naming the argument."""
        if self.whole and not isinstance(value, numbers.Integral):
            raise ValueError(f"{name} must be a whole number, got {value!r}")
        if not isinstance(value, numbers.Real) or not self.holds(value):
            raise ValueError(f"{name} must {self.wanted}, got {value!r}")
        return value


def between(low: float, high: float, whole: bool = False) -> Rule:
    """Return the rule to lie in [low, high)."""
    return Rule(f"lie in [{low}, {high})", lambda value: low <= value < high, whole)


def check_shape(shape: tuple[int, ...], dimensions: Iterable[int] = (3,)) -> tuple[int, ...]:
    """Return ``shape`` as a tuple of ints; raise ValueError unless it has one of the numbers of ``dimensions``."""
    names, dimensions = {1: "(dim,)", 3: "(C, H, W)", 4: "(2, C, H, W)"}, sorted(dimensions, reverse=True)
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:  # not a sequence, or not of whole numbers
        sizes = ()
    if len(sizes) not in dimensions or min(sizes) < 1 or (len(sizes) == 4 and sizes[0] != 2):
        forms = " or ".join(names[d] for d in dimensions)
        raise ValueError(f"shape must be {forms} with positive sizes, got {shape}")
    return sizes


def at_least(name: str, value: Any, least: int) -> int:
    """Return ``value`` if it is a whole number of at least ``least``, or raise ValueError, naming the argument."""
    return Rule(f"be at least {least}", lambda value: value >= least, whole=True)(name, value)


positive = Rule("be positive", lambda value: 0 < value < math.inf)

#: What the arguments of models are; :func:`recorded` holds them to it.
Count = Annotated[int, Rule("be positive", lambda value: value > 0, whole=True)]
Whole = Annotated[int, between(0, math.inf, whole=True)]
Levels = Annotated[int, between(2, math.inf, whole=True)]
Positive = Annotated[float, positive]
Weight = Annotated[float, between(0, math.inf)]
Share = Annotated[float, between(0, 1)]
ImageShape = Annotated[tuple[int, ...], lambda name, shape: check_shape(shape)]
SampleShape = Annotated[tuple[int, ...], lambda name, shape: check_shape(shape, (1, 3))]
PairShape = Annotated[tuple[int, ...], lambda name, shape: check_shape(shape, (4,))]


def recorded(constructor: Callable[..., None]) -> Callable[..., None]:
    """Hold a model's arguments to the rules in their annotations, and keep them, defaults included, in ``settings``.

    So they are said once, in the signature; ``type(model)(**model.settings)`` builds the model again.
    """
    signature = inspect.signature(constructor, eval_str=True)

    @functools.wraps(constructor)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        del bound.arguments["self"]
        for name in bound.arguments:
            for rule in getattr(signature.parameters[name].annotation, "__metadata__", ()):
                bound.arguments[name] = rule(name, bound.arguments[name])
        self.settings = dict(bound.arguments)
        constructor(self, **bound.arguments)

    return checked


def check_real(real: Tensor, shape: tuple[int, ...], least: int = 1, batches: int | None = None) -> None:
    """Check what ``step`` is given: ``(n_critic, B, *shape)`` with B at least ``least`` (2 where there is batch norm),
    and n_critic ``batches`` where it is fixed.

    Values are checked on the CPU only: elsewhere the check would wait for the device, and
    :func:`gan_course.train.loop.fit` looks at the losses.
    """
    if real.shape[2:] != shape or not real.numel():
        raise ValueError(f"real must have shape (n_critic, B, {str(shape)[1:]}, got {tuple(real.shape)}")
    if batches is not None and real.shape[0] != batches:
        raise ValueError(f"real must hold {batches} batch per step, got {real.shape[0]}")
    if not real.is_floating_point():
        raise ValueError(f"real must be of a floating-point type, images in [-1, 1], got {real.dtype}")
    if real.shape[1] < least:
        raise ValueError(f"real must hold at least {least} samples per batch where there is batch norm, got 1")
    if real.device.type == "cpu":
        low, high = real.aminmax()  # NaN if there is any
        if not (low > -math.inf and high < math.inf):
            raise ValueError("real must be finite, got NaN or infinite values")
        if len(shape) > 1 and not (low >= -1.001 and high <= 1.001):
            raise ValueError(f"real must hold images in [-1, 1], got values from {low:.4g} to {high:.4g}")


def check_labels(labels: Tensor | None, shape: tuple[int, ...], num_classes: int) -> Tensor:
    """Return ``labels`` if they are whole numbers of ``shape`` in [0, num_classes).

    The range is checked on the CPU only, where it is free of a synchronisation.
    """
    if labels is None:
        raise ValueError(f"labels must be given, whole numbers from 0 to {num_classes - 1}, got None")
    if not isinstance(labels, Tensor):
        raise ValueError(f"labels must be a tensor of whole numbers, got {type(labels).__name__}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be whole numbers, got {labels.dtype}")
    if labels.shape != shape:
        raise ValueError(f"labels must have shape {tuple(shape)}, got {tuple(labels.shape)}")
    if labels.device.type == "cpu" and labels.numel():
        low, high = (int(v) for v in labels.aminmax())
        if low < 0 or high >= num_classes:
            raise ValueError(f"labels must lie in 0 to {num_classes - 1}, got values from {low} to {high}")
    return labels


def check_images(x: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless ``x`` is ``(n, *shape)`` with n at least 1 and, checked on the CPU only, in [-1, 1]."""
    if x.shape[1:] != shape or not x.numel():
        raise ValueError(f"x must have shape (n, {str(shape)[1:]} with n at least 1, got {tuple(x.shape)}")
    if x.device.type == "cpu" and not x.abs().max() <= 1 + 1e-4:  # false for NaN as well
        raise ValueError(f"x must lie in [-1, 1], got values from {x.min():g} to {x.max():g}")


def check_latents(z: Tensor, latent_dim: int) -> None:
    """Raise ValueError unless ``z`` is ``(n, latent_dim)``."""
    if z.ndim != 2 or z.shape[1] != latent_dim:
        raise ValueError(f"z must have shape (n, {latent_dim}), got {tuple(z.shape)}")
