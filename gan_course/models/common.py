"""What every family shares and no paper is about: checks of what comes in, latents, and Adam."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def check_shape(shape: tuple[int, ...], dimensions: Iterable[int] = (3,)) -> tuple[int, ...]:
    """Return ``shape`` as a tuple of ints; raise ValueError unless it has one of the numbers of ``dimensions``."""
    names = {1: "(dim,)", 3: "(C, H, W)", 4: "(2, C, H, W)"}
    shape, dimensions = tuple(int(size) for size in shape), sorted(dimensions, reverse=True)
    if len(shape) not in dimensions or min(shape) < 1 or (len(shape) == 4 and shape[0] != 2):
        forms = " or ".join(names[d] for d in dimensions)
        raise ValueError(f"shape must be {forms} with positive sizes, got {shape}")
    return shape


def check_positive(**values: float) -> None:
    """Raise ValueError, naming the argument, unless all values are positive and finite."""
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive, got {value}")


def check_between(low: float, high: float, **values: float) -> None:
    """Raise ValueError, naming the argument, unless all values lie in [low, high)."""
    for name, value in values.items():
        if not low <= value < high:
            raise ValueError(f"{name} must lie in [{low}, {high}), got {value}")


def check_real(real: Tensor, shape: tuple[int, ...], least: int = 1) -> None:
    """Check what ``step`` is given: ``(n_critic, B, *shape)`` with B at least ``least`` (2 where there is batch norm).

    Values are checked on the CPU only: elsewhere the check would wait for the device, and
    :func:`gan_course.train.fit` looks at the losses.
    """
    if real.shape[2:] != shape or not real.numel():
        raise ValueError(f"real must have shape (n_critic, B, {str(shape)[1:]}, got {tuple(real.shape)}")
    if real.shape[1] < least:
        raise ValueError(f"real must hold at least {least} samples per batch where there is batch norm, got 1")
    if real.device.type == "cpu" and not torch.isfinite(real).all():
        raise ValueError("real must be finite, got NaN or infinite values")


def check_labels(labels: Tensor | None, shape: tuple[int, ...], num_classes: int) -> Tensor:
    """Return ``labels`` if they are whole numbers of ``shape`` in [0, num_classes).

    The range is checked on the CPU only, where it is free of a synchronisation.
    """
    if labels is None:
        raise ValueError(f"labels must be given, whole numbers from 0 to {num_classes - 1}, got None")
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
        drawn_on = weight.device if generator is None else generator.device
        return torch.randn(n, self.latent_dim, generator=generator, device=drawn_on).to(weight)

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Map latents ``(n, latent_dim)`` to samples ``(n, *shape)`` by the averaged generator."""
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
    loss.backward(inputs=parameters)
    optimizer.step()
    optimizer.zero_grad()
