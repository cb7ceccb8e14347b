"""The original GAN with multilayer perceptrons. Goodfellow et al. (2014), Algorithm 1.

Two options: the R1 penalty (Mescheder et al., 2018) and packing, where the discriminator judges several samples of one
kind together (Lin et al., 2018).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gan_course import checks, losses, parallel
from gan_course.checks import Count, Positive, SampleShape, Share, Weight, recorded
from gan_course.models import common
from gan_course.models.ema import EMA

#: Settings per data set, chosen after trial runs on several seeds. The vanilla GAN chapter tells what they reach.
RECIPES = {
    "digits": {"width": 128, "lr_g": 1e-3, "lr_d": 1e-3, "dropout": 0.3, "steps": 2_300},
    "mnist": {"width": 256, "lr_g": 1e-3, "lr_d": 1e-3, "dropout": 0.3, "ema_decay": 0.998, "steps": 9_000},
}


class Generator(nn.Module):
    """A multilayer perceptron from latents to samples, with two hidden layers.

    Args:
        shape, latent_dim, width: see :mod:`gan_course.models`.
        batch_norm: whether hidden layers are batch-normalised.
        slope: slope of the LeakyReLUs below 0; 0 makes them ReLUs.
    """

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int, batch_norm: bool, slope: float = 0.2):
        super().__init__()
        norm = nn.BatchNorm1d if batch_norm else nn.Identity
        bias = not batch_norm  # batch norm subtracts the mean, and with it any bias before it
        self.shape = shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, width, bias), norm(width), nn.LeakyReLU(slope),
            nn.Linear(width, width, bias), norm(width), nn.LeakyReLU(slope),
            nn.Linear(width, math.prod(shape)),
            nn.Tanh() if len(shape) == 3 else nn.Identity(),  # images are scaled to [-1, 1]; points have no bounds
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` to samples ``(B, *shape)``; images lie in [-1, 1]."""
        return self.layers(z).view(-1, *self.shape)


class Discriminator(nn.Module):
    """A multilayer perceptron from samples to one logit each; ``sigmoid(logit)`` is the probability of "real".

    It has two hidden layers, a share ``dropout`` of whose units is set to zero in training, and no batch norm, so that
    a sample's logit depends on that sample alone.
    """

    def __init__(self, shape: tuple[int, ...], width: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(shape), width), nn.LeakyReLU(0.2), parallel.Dropout(dropout),
            nn.Linear(width, width), nn.LeakyReLU(0.2), parallel.Dropout(dropout),
            nn.Linear(width, 1),  # a logit: the losses contain the sigmoid
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map samples ``(B, *shape)`` to logits ``(B,)``."""
        return self.layers(x).squeeze(1)


class GAN(common.Sampler, nn.Module):
    """The original GAN: two perceptrons, their optimizers, and the training step of Algorithm 1.

    Args:
        shape, latent_dim, width, loss, lr_g, lr_d, beta1, beta2, ema_decay: see :mod:`gan_course.models`.
        dropout: dropout in the discriminator.
        batch_norm: batch norm in the generator.
        r1: weight of :func:`gan_course.losses.r1_penalty`; 0 for none.
        pack: samples that the discriminator judges together (PacGAN); the batch must be a multiple of it.
        slope_g: slope of the generator's LeakyReLUs below 0. A ReLU (0) lets it be flat on large regions of latents and
            steep between them, which suits data in narrow, separate clusters.
        ema_ramp: whether the average's decay begins low (:class:`gan_course.models.ema.EMA`).
    """

    family = "gan"
    n_critic = 1  # discriminator updates per step, k in Algorithm 1: what `fit` puts first in `real`

    @recorded
    def __init__(
        self,
        shape: SampleShape = (1, 28, 28), latent_dim: Count = 64, width: Count = 128, loss: str = "non-saturating",
        lr_g: Positive = 1e-3, lr_d: Positive = 5e-4, beta1: Share = 0.5, beta2: Share = 0.999,
        dropout: Share = 0.0, batch_norm: bool = True, ema_decay: Share = 0.99,
        r1: Weight = 0.0, pack: Count = 1, slope_g: Share = 0.2, ema_ramp: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.latent_dim, self.r1, self.pack = shape, latent_dim, r1, pack
        self.discriminator_loss, self.generator_loss = losses.pair(loss)
        self.generator = Generator(shape, latent_dim, width, batch_norm, slope_g)
        self.discriminator = Discriminator((pack * shape[0], *shape[1:]), width, dropout)
        self.ema = EMA(self.generator, ema_decay, ema_ramp)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.discriminator, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once per batch in ``real``, ``(n_critic, B, *shape)``, then the generator once.

        B is a multiple of ``pack``; the ``loss_d`` that is returned is without the penalty.
        """
        checks.check_real(real, self.shape, least=2 if self.settings["batch_norm"] else 1)
        b = real.shape[1]
        if b % self.pack:
            raise ValueError(f"real must hold a multiple of pack ({self.pack}) samples per batch, got {b}")

        for x in real:
            with torch.no_grad():  # the discriminator's loss moves the discriminator only
                fake = self.generator(self.latents(b))  # fresh latents for every update, as in Algorithm 1
            x, fake = self.packed(x), self.packed(fake)  # PacGAN: m samples of one kind as one input
            # One pass over both halves: allowed because the discriminator has no batch norm.
            real_logits, fake_logits = self.discriminator(torch.cat([x, fake])).chunk(2)
            loss_d = self.discriminator_loss(real_logits, fake_logits)  # minus the value: we descend, the paper ascends
            penalty = self.r1 * losses.r1_penalty(self.discriminator, x) if self.r1 else 0
            common.update(self.optimizer_d, loss_d + penalty)

        # The gradient flows through the discriminator, and is kept in the generator only.
        loss_g = self.generator_loss(self.discriminator(self.packed(self.generator(self.latents(b)))))  # new z
        common.update(self.optimizer_g, loss_g)  # one update for n_critic of the discriminator

        self.ema.update(self.generator)  # only sampling sees the average: training goes on with the raw weights
        return common.logged(loss_d=loss_d, loss_g=loss_g, logit_real=real_logits, logit_fake=fake_logits)

    def packed(self, x: Tensor) -> Tensor:
        """Lay ``pack`` samples at a time side by side: ``(B, C, ...)`` to ``(B / pack, pack C, ...)``."""
        return x.reshape(-1, self.pack * x.shape[1], *x.shape[2:])
