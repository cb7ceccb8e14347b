"""What every family shares and no paper is about: latents, samples, Adam, one step down a gradient, what is logged."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan_course import checks, parallel

#: Values of images that are computed in one pass where there is no gradient: 170 images of 3x32x32, 2 of 3x256x256.
#: It bounds the memory, to 0.3 to 1 GB for the networks of the papers.
PASS = 2**19


def in_passes(function: Callable[..., Tensor], shape: tuple[int, ...], *inputs: Tensor) -> Tensor:
    """Return ``function(*inputs)``, computed in passes over a few rows each, for images of ``shape``.

    No image may depend on another one, as in networks in evaluation mode.
    """
    rows = max(PASS // math.prod(shape), 1)
    return torch.cat([function(*parts) for parts in zip(*(x.split(rows) for x in inputs), strict=True)])


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
        checks.check_latents(z, self.latent_dim)
        return in_passes(self.ema, self.shape, z)

    def sample(self, n: int, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``(n, *shape)`` samples from the averaged generator; ``labels`` are not used."""
        checks.at_least("n", n, 1)
        return self.decode(self.latents(n, generator))


class LabelledSampler(Sampler):
    """As :class:`Sampler`, of a model whose samples have labels.

    The model has ``checked_labels``, which returns right ones as int64, and ``default_labels``, for samples given none.
    """

    @torch.no_grad()
    def decode(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map latents ``(n, latent_dim)`` and labels ``(n, ...)`` to images ``(n, C, H, W)`` by the averaged
        generator."""
        checks.check_latents(z, self.latent_dim)
        return in_passes(self.ema, self.shape, z, self.checked_labels(labels, z.shape[:1]).to(z.device))

    def sample(self, n: int, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``(n, C, H, W)`` images for ``labels`` (n, ...), the model's ``default_labels`` if not given."""
        checks.at_least("n", n, 1)
        return self.decode(self.latents(n, generator), self.default_labels(n) if labels is None else labels)


class ClassSampler(LabelledSampler):
    """As :class:`LabelledSampler`, of a model whose labels are class numbers, below ``num_classes``."""

    def checked_labels(self, labels: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        """Return ``labels`` as int64 if they are class numbers of ``shape``."""
        return checks.check_labels(labels, shape, self.num_classes).long()

    def default_labels(self, n: int) -> Tensor:
        """Return classes 0, 1, 2, ... in turn, ``(n,)``."""
        return cycled_labels(n, self.num_classes, device_of(self))


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


def logged(**values: Tensor) -> dict[str, Tensor]:
    """Return the means of ``values``, losses and logits, without their graph: what a step returns."""
    return {name: value.detach().mean() if value.ndim else value.detach() for name, value in values.items()}
