"""What every family shares and no paper is about: checks of what comes in, latents, and Adam."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gan_course import parallel


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


def check_whole(**values: int) -> None:
    """Raise ValueError, naming the argument, unless all values are whole numbers."""
    for name, value in values.items():
        if not isinstance(value, numbers.Integral):
            raise ValueError(f"{name} must be a whole number, got {value!r}")


def check_positive(**values: float) -> None:
    """Raise ValueError, naming the argument, unless all values are positive and finite."""
    for name, value in values.items():
        if not isinstance(value, numbers.Real) or not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive, got {value!r}")


def check_between(low: float, high: float, **values: float) -> None:
    """Raise ValueError, naming the argument, unless all values lie in [low, high)."""
    for name, value in values.items():
        if not isinstance(value, numbers.Real) or not low <= value < high:
            raise ValueError(f"{name} must lie in [{low}, {high}), got {value!r}")


def check_real(real: Tensor, shape: tuple[int, ...], least: int = 1, batches: int | None = None) -> None:
    """Check what ``step`` is given: ``(n_critic, B, *shape)`` with B at least ``least`` (2 where there is batch norm),
    and n_critic ``batches`` where it is fixed.

    Values are checked on the CPU only: elsewhere the check would wait for the device, and
    :func:`gan_course.train.fit` looks at the losses.
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


def check_count(n: int) -> None:
    """Raise ValueError unless a number of samples is at least 1."""
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")


def cycled_labels(n: int, num_classes: int, device: torch.device) -> Tensor:
    """Return ``(n,)``: 0, 1, ..., num_classes - 1, 0, 1, ...: each class as often as any other."""
    return torch.arange(n, device=device) % num_classes


def device_of(model: nn.Module) -> torch.device:
    """Return the device that a model's parameters live on."""
    return next(model.parameters()).device


class Sampler:
    """How to sample from a model with a ``latent_dim`` and an averaged generator ``ema``; stands beside nn.Module."""

    def latents(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``(n, latent_dim)`` standard normal latents, from ``generator`` (on any device) if given."""
        weight = next(self.parameters())
        if generator is None:
            return parallel.randn(n, self.latent_dim, device=weight.device).to(weight)
        return torch.randn(n, self.latent_dim, generator=generator, device=generator.device).to(weight)

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Map latents ``(n, latent_dim)`` to samples ``(n, *shape)`` by the averaged generator."""
        check_latents(z, self.latent_dim)
        return self.ema(z)

    def sample(self, n: int, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``(n, *shape)`` samples from the averaged generator; ``labels`` are not used.

        The same ``generator`` seed gives the same latents on every device if it lives on the CPU.
        """
        check_count(n)
        return self.decode(self.latents(n, generator))


def adam(network: nn.Module, lr: float, beta1: float, beta2: float) -> torch.optim.Adam:
    """Return Adam over a network's parameters, in one fused call per step."""
    return torch.optim.Adam(network.parameters(), lr, (beta1, beta2), fused=True)


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take one step down the gradient of ``loss`` by the optimizer's own parameters, and leave no gradient behind."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    with torch.autocast(loss.device.type, enabled=False):  # each gradient has the precision of its forward pass
        loss.backward(inputs=parameters)
        optimizer.step()
    optimizer.zero_grad()
