"""The original GAN with multilayer perceptrons. Goodfellow et al. (2014), Algorithm 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gan_course import losses
from gan_course.ema import EMA

#: Settings per data set, chosen after trial runs on several seeds. The vanilla GAN chapter tells what they reach.
RECIPES = {
    "digits": {"width": 128, "lr_g": 1e-3, "lr_d": 1e-3, "dropout": 0.3, "steps": 2_300},
    "mnist": {"width": 256, "lr_g": 1e-3, "lr_d": 1e-3, "dropout": 0.3, "ema_decay": 0.998, "steps": 9_000},
}


class Generator(nn.Module):
    """A multilayer perceptron from latents to samples.

    Args:
        shape: shape of one sample: ``(C, H, W)`` for images, which end in a tanh, or ``(dim,)`` for points.
        latent_dim: dimension of the latent vector.
        width: units in each of the two hidden layers.
        batch_norm: whether hidden layers are batch-normalised.
    """

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int, batch_norm: bool):
        super().__init__()
        norm = nn.BatchNorm1d if batch_norm else nn.Identity
        bias = not batch_norm  # batch norm subtracts the mean, and with it any bias before it
        self.shape = shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, width, bias), norm(width), nn.LeakyReLU(0.2),
            nn.Linear(width, width, bias), norm(width), nn.LeakyReLU(0.2),
            nn.Linear(width, math.prod(shape)),
            nn.Tanh() if len(shape) == 3 else nn.Identity(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` to samples ``(B, *shape)``; images lie in [-1, 1]."""
        return self.layers(z).view(-1, *self.shape)


class Discriminator(nn.Module):
    """A multilayer perceptron from samples to one logit each; ``sigmoid(logit)`` is the probability of "real".

    It has no batch norm, so that a sample's logit depends on that sample alone.

    Args:
        shape: shape of one sample.
        width: units in each of the two hidden layers.
        dropout: share of hidden units set to zero in training.
    """

    def __init__(self, shape: tuple[int, ...], width: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(shape), width), nn.LeakyReLU(0.2), nn.Dropout(dropout),
            nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Dropout(dropout),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map samples ``(B, *shape)`` to logits ``(B,)``."""
        return self.layers(x).squeeze(1)


class GAN(nn.Module):
    """Two perceptrons, their optimizers, and the training step of Algorithm 1.

    Args:
        shape: shape of one sample, ``(C, H, W)`` with values in [-1, 1] or ``(dim,)``.
        latent_dim: dimension of the standard normal latent.
        width: hidden units per layer, in both networks.
        loss: name of the game, a key of :data:`gan_course.losses.LOSSES`.
        lr_g, lr_d: Adam's learning rates.
        beta1, beta2: Adam's decay rates, for both networks.
        dropout: dropout in the discriminator.
        batch_norm: batch norm in the generator.
        ema_decay: decay of the generator average that :meth:`sample` draws from.

    Raises:
        ValueError: if an argument is out of range.
    """

    family = "gan"
    n_critic = 1  # discriminator updates per step, k in Algorithm 1: what `fit` puts first in `real`

    def __init__(
        self,
        shape: tuple[int, ...] = (1, 28, 28),
        latent_dim: int = 64,
        width: int = 128,
        loss: str = "non-saturating",
        lr_g: float = 1e-3,
        lr_d: float = 5e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        dropout: float = 0.0,
        batch_norm: bool = True,
        ema_decay: float = 0.99,
    ):
        super().__init__()
        shape = tuple(shape)
        if len(shape) not in (1, 3) or min(shape) < 1:
            raise ValueError(f"shape must be (C, H, W) or (dim,) with positive sizes, got {shape}")
        if latent_dim < 1 or width < 1:
            raise ValueError(f"latent_dim and width must be positive, got {latent_dim} and {width}")
        if not (lr_g > 0 and lr_d > 0):
            raise ValueError(f"lr_g and lr_d must be positive, got {lr_g} and {lr_d}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {dropout}")
        self.settings = {
            "shape": shape, "latent_dim": latent_dim, "width": width, "loss": loss, "lr_g": lr_g, "lr_d": lr_d,
            "beta1": beta1, "beta2": beta2, "dropout": dropout, "batch_norm": batch_norm, "ema_decay": ema_decay,
        }  # fmt: skip
        self.shape = shape
        self.latent_dim = latent_dim
        self.discriminator_loss, self.generator_loss = losses.pair(loss)
        self.generator = Generator(shape, latent_dim, width, batch_norm)
        self.discriminator = Discriminator(shape, width, dropout)
        self.ema = EMA(self.generator, ema_decay)
        betas = (beta1, beta2)
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr_g, betas, fused=True)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr_d, betas, fused=True)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once per batch in ``real``, then the generator once.

        Args:
            real: ``(n_critic, B, *shape)``, a new batch for each discriminator update.
            labels: not used.

        Returns:
            Detached scalars of the last discriminator update and the generator update: ``loss_d``, ``loss_g``,
            and the mean logits ``logit_real``, ``logit_fake``.
        """
        if real.shape[2:] != self.shape or not real.numel():
            raise ValueError(f"real must have shape (n_critic, B, {str(self.shape)[1:]}, got {tuple(real.shape)}")
        b = real.shape[1]
        if b == 1 and self.settings["batch_norm"]:
            raise ValueError("real must hold at least 2 samples per batch where the generator has batch norm, got 1")

        for x in real:
            with torch.no_grad():  # the discriminator's loss moves the discriminator only
                fake = self.generator(self.latents(b))
            # One pass over both halves: allowed because the discriminator has no batch norm.
            real_logits, fake_logits = self.discriminator(torch.cat([x, fake])).chunk(2)
            loss_d = self.discriminator_loss(real_logits, fake_logits)
            loss_d.backward()
            self.optimizer_d.step()
            self.optimizer_d.zero_grad()

        # The gradient flows through the discriminator, and is kept in the generator only.
        loss_g = self.generator_loss(self.discriminator(self.generator(self.latents(b))))
        loss_g.backward(inputs=list(self.generator.parameters()))
        self.optimizer_g.step()
        self.optimizer_g.zero_grad()

        self.ema.update(self.generator)
        return {
            "loss_d": loss_d.detach(), "loss_g": loss_g.detach(),
            "logit_real": real_logits.detach().mean(), "logit_fake": fake_logits.detach().mean(),
        }  # fmt: skip

    def latents(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``(n, latent_dim)`` standard normal latents, from ``generator`` (on any device) if given."""
        device = next(self.parameters()).device
        drawn_on = device if generator is None else generator.device
        return torch.randn(n, self.latent_dim, generator=generator, device=drawn_on).to(device)

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Map latents ``(n, latent_dim)`` to samples ``(n, *shape)`` by the averaged generator."""
        return self.ema(z)

    def sample(self, n: int, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``(n, *shape)`` samples from the averaged generator; ``labels`` are not used.

        The same ``generator`` seed gives the same latents on every device if it lives on the CPU.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        return self.decode(self.latents(n, generator))
