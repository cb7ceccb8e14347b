"""Wasserstein GANs: instead of a discriminator that classifies, a critic that measures how far fakes are from data.

- :class:`WGAN` clips the critic's weights. Arjovsky et al. (2017), Algorithm 1.
- :class:`WGANGP` penalises the critic's slope. Gulrajani et al. (2017), Algorithm 1.

The Wasserstein-1 distance between data and fakes is the largest E f(x) - E f(G(z)) over all functions f whose slope is
nowhere above 1. The critic looks for that f; the generator moves its samples up the slope of f.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_course import checks, losses
from gan_course.checks import Count, Positive, SampleShape, Share, Weight, recorded
from gan_course.errors import unknown
from gan_course.models import common, dcgan, gan
from gan_course.models.ema import EMA

#: Settings per family and data set, chosen after trial runs on several seeds.
RECIPES = {
    "wgan": {
        "digits": {"clip": 0.05, "lr_g": 1e-3, "lr_d": 1e-3, "steps": 2_000},
        "mnist": {"n_critic": 2, "clip": 0.05, "lr_g": 1e-3, "lr_d": 1e-3, "ema_decay": 0.998, "steps": 7_000},
    },
    "wgan-gp": {
        "digits": {"n_critic": 2, "penalty": 1.0, "lr_g": 1e-3, "lr_d": 1e-3, "steps": 2_500},
        "mnist": {"n_critic": 2, "lr_g": 1e-3, "lr_d": 1e-3, "ema_decay": 0.998, "steps": 7_000},
    },
}


class Wasserstein(common.Sampler, nn.Module):
    """What both families share: the two networks, the generator's average, and how to sample.

    Neither critic has batch norm, so that a sample's score depends on that sample alone: a penalty on the slope at each
    sample makes sense only then. (The clipped critic of Arjovsky et al. had batch norm.)

    Args:
        shape, latent_dim, width, ema_decay, n_critic: see :mod:`gan_course.models`.
        networks: "mlp" for the perceptrons of :mod:`gan_course.models.gan`, or "conv" for the convolutional networks of
            :mod:`gan_course.models.dcgan`, which take square images of some sizes.
        batch_norm: batch norm in the generator; True for "conv".
        slope_g: slope of the generator's LeakyReLUs below 0; 0 (a ReLU) for "conv".
    """

    def __init__(
        self, shape: tuple[int, ...], latent_dim: int, width: int, networks: str, batch_norm: bool, slope_g: float,
        n_critic: int, ema_decay: float,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.latent_dim = shape, latent_dim
        self.n_critic = n_critic  # what `fit` puts first in `real`
        self.least = 2 if batch_norm else 1  # samples per batch
        if networks == "mlp":
            self.generator = gan.Generator(shape, latent_dim, width, batch_norm, slope_g)
            self.critic = gan.Discriminator(shape, width, dropout=0.0)
        elif networks == "conv":
            if not batch_norm or slope_g:
                fixed = "batch_norm and slope_g must be True and 0 for networks 'conv'"
                raise ValueError(f"{fixed}, got {batch_norm} and {slope_g}")
            self.generator = dcgan.Generator(shape, latent_dim, width)
            self.critic = dcgan.Discriminator(shape, width, batch_norm=False)
        else:
            raise unknown("networks", networks, ("mlp", "conv"))
        self.ema = EMA(self.generator, ema_decay)


class WGAN(Wasserstein):
    """WGAN: the critic's slope is bounded by keeping each of its weights in [-clip, clip].

    The bound depends on ``clip``, depth and width, so the critic estimates some multiple of the distance. The defaults
    of rates, ``clip`` and ``n_critic`` are those of Algorithm 1, and so is the order. The authors' program clips before
    a step instead of after it, and gives the critic 100 updates in each of the generator's first 25 steps and in every
    500th.

    Args:
        shape, latent_dim, width, networks, batch_norm, slope_g, n_critic, ema_decay: see :class:`Wasserstein`.
        clip: c in Algorithm 1.
        lr_g, lr_d: learning rates of RMSProp; with momentum, the paper reports, training was unstable.
    """

    family = "wgan"

    @recorded
    def __init__(
        self,
        shape: SampleShape = (1, 28, 28), latent_dim: Count = 64, width: Count = 128,
        networks: str = "mlp", batch_norm: bool = True, slope_g: Share = 0.0,
        n_critic: Count = 5, clip: Positive = 0.01,
        lr_g: Positive = 5e-5, lr_d: Positive = 5e-5, ema_decay: Share = 0.99,
    ):  # fmt: skip
        super().__init__(shape, latent_dim, width, networks, batch_norm, slope_g, n_critic, ema_decay)
        self.clip = clip
        self.optimizer_g = torch.optim.RMSprop(self.generator.parameters(), lr_g)  # not Adam: see lr_g
        self.optimizer_d = torch.optim.RMSprop(self.critic.parameters(), lr_d)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the critic once per batch in ``real``, ``(n_critic, B, *shape)``, clipping it each time, then the
        generator once. Returned is also ``wasserstein``, the critic's estimate E f(x) - E f(G(z)): minus ``loss_d``.
        """
        checks.check_real(real, self.shape, self.least)
        b = real.shape[1]

        for x in real:
            with torch.no_grad():  # the critic's loss moves the critic only
                fake = self.generator(self.latents(b))  # a new z for every critic update: lines 3 and 4 of Algorithm 1
            real_scores, fake_scores = self.critic(torch.cat([x, fake])).chunk(2)
            loss_d = losses.critic_wasserstein(real_scores, fake_scores)  # minus the estimate: the critic maximises it
            common.update(self.optimizer_d, loss_d)
            losses.clip_weights(self.critic, self.clip)  # after the step, or the weights would leave the bounds again

        # The gradient flows through the critic, and is kept in the generator only.
        loss_g = losses.generator_wasserstein(self.critic(self.generator(self.latents(b))))  # -E f(G(z)): lines 9 to 11
        common.update(self.optimizer_g, loss_g)

        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, wasserstein=-loss_d)


class WGANGP(Wasserstein):
    """WGAN-GP: the critic's slope is pulled to 1 by a penalty at points between real and fake samples.

    The defaults of rates, ``penalty`` and ``n_critic`` are those of Algorithm 1.

    Args:
        shape, latent_dim, width, networks, batch_norm, slope_g, n_critic, ema_decay: see :class:`Wasserstein`.
        penalty: weight of :func:`gan_course.losses.gradient_penalty`, lambda in Algorithm 1; 0 for no constraint.
        one_sided: penalise slopes above 1 only (Petzka et al., 2018).
        lr_g, lr_d, beta1, beta2: see :mod:`gan_course.models`.
    """

    family = "wgan-gp"

    @recorded
    def __init__(
        self,
        shape: SampleShape = (1, 28, 28), latent_dim: Count = 64, width: Count = 128,
        networks: str = "mlp", batch_norm: bool = True, slope_g: Share = 0.0,
        n_critic: Count = 5, penalty: Weight = 10.0, one_sided: bool = False,
        lr_g: Positive = 1e-4, lr_d: Positive = 1e-4, beta1: Share = 0.0, beta2: Share = 0.9,
        ema_decay: Share = 0.99,
    ):  # fmt: skip
        super().__init__(shape, latent_dim, width, networks, batch_norm, slope_g, n_critic, ema_decay)
        self.penalty, self.one_sided = penalty, one_sided
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.critic, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the critic once per batch in ``real``, ``(n_critic, B, *shape)``, then the generator once.

        Returned are also ``wasserstein`` (the estimate E f(x) - E f(G(z))) and ``penalty`` (without its weight), which
        make up ``loss_d``, minus the one plus the weighted other.
        """
        checks.check_real(real, self.shape, self.least)
        b = real.shape[1]

        for x in real:
            with torch.no_grad():  # the critic's loss moves the critic only
                fake = self.generator(self.latents(b))  # a new z for every critic update: line 4 of Algorithm 1
            real_scores, fake_scores = self.critic(torch.cat([x, fake])).chunk(2)
            negative_distance = losses.critic_wasserstein(real_scores, fake_scores)  # no log and no sigmoid: scores
            penalty = losses.gradient_penalty(self.critic, x, fake, one_sided=self.one_sided)  # at points between them
            loss_d = negative_distance + self.penalty * penalty  # line 7 of Algorithm 1
            common.update(self.optimizer_d, loss_d)

        # The gradient flows through the critic, and is kept in the generator only.
        loss_g = losses.generator_wasserstein(self.critic(self.generator(self.latents(b))))  # -E f(G(z)): line 12
        common.update(self.optimizer_g, loss_g)

        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, wasserstein=-negative_distance, penalty=penalty)
