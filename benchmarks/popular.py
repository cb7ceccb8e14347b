"""The networks of a popular program, the DCGAN example of PyTorch, and a model around them for our loop.

Its defaults: images of 64x64, latents of 100 dimensions as maps of 1x1, and in both networks five layers of 4x4 kernels
with 64 channels in the finest hidden maps, batch norm in all but the outermost (the generator's first has it too), no
biases, and initial weights of standard deviation 0.02. What differs: its discriminator ends in a sigmoid, here in a
logit (see :mod:`benchmarks.textbook`), and latents come as ``(B, 100)`` and are given their 1x1 here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_course import checks


def generator(channels: int, latent_dim: int = 100, width: int = 64) -> nn.Sequential:
    """Return the network from latents ``(B, latent_dim)`` to images ``(B, channels, 64, 64)`` in [-1, 1]."""
    layers, before = [nn.Unflatten(1, (latent_dim, 1, 1))], latent_dim
    for i, c in enumerate((8 * width, 4 * width, 2 * width, width)):
        stride, padding = (2, 1) if i else (1, 0)  # the first makes maps of 4x4
        layers += [nn.ConvTranspose2d(before, c, 4, stride, padding, bias=False), nn.BatchNorm2d(c), nn.ReLU(True)]
        before = c
    return nn.Sequential(*layers, nn.ConvTranspose2d(before, channels, 4, 2, 1, bias=False), nn.Tanh())


def discriminator(channels: int, width: int = 64) -> nn.Sequential:
    """Return the network from images ``(B, channels, 64, 64)`` to logits ``(B,)``."""
    layers, before = [], channels
    for i, c in enumerate((width, 2 * width, 4 * width, 8 * width)):
        layers += [nn.Conv2d(before, c, 4, 2, 1, bias=False), *[nn.BatchNorm2d(c)] * (i > 0), nn.LeakyReLU(0.2, True)]
        before = c
    return nn.Sequential(*layers, nn.Conv2d(before, 1, 4, bias=False), nn.Flatten(0))


def initialize(module: nn.Module) -> None:
    """Draw the initial weights as the example does; for ``network.apply``."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Popular(nn.Module):
    """The two networks with the step of the page "Your own model in the loop": what a reader would write."""

    n_critic = 1

    @checks.recorded
    def __init__(
        self,
        shape: tuple[int, ...] = (3, 64, 64),
        latent_dim: int = 100,
        width: int = 64,
        lr_g: float = 2e-4,
        lr_d: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
    ):
        super().__init__()
        self.shape, self.latent_dim = shape, latent_dim
        self.generator = generator(shape[0], latent_dim, width).apply(initialize)
        self.discriminator = discriminator(shape[0], width).apply(initialize)
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr_g, (beta1, beta2))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr_d, (beta1, beta2))
        self.criterion = nn.BCEWithLogitsLoss()

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        x = real[0]
        fake = self.generator(torch.randn(len(x), self.latent_dim, device=x.device))
        one, zero = x.new_ones(len(x)), x.new_zeros(len(x))

        loss_d = self.criterion(self.discriminator(x), one)
        loss_d = loss_d + self.criterion(self.discriminator(fake.detach()), zero)
        self.optimizer_d.zero_grad()
        loss_d.backward()
        self.optimizer_d.step()

        loss_g = self.criterion(self.discriminator(fake), one)
        self.optimizer_g.zero_grad()
        loss_g.backward()
        self.optimizer_g.step()
        return {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}
