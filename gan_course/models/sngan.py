"""Spectral normalisation of the discriminator. Miyato et al. (2018), Algorithm 1 and appendix B.4."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_course import checks, losses
from gan_course.checks import Count, ImageShape, Positive, Share, recorded
from gan_course.errors import unknown
from gan_course.layers import ResBlockDown, ResBlockUp, advance_spectral_norms, spectral_norm, transposed_up
from gan_course.models import common, dcgan
from gan_course.models.ema import EMA

#: Settings per data set, chosen after trial runs on digits; they serve MNIST too.
_CNN = {"networks": "cnn", "width": 16, "latent_dim": 64, "n_critic": 1, "lr_g": 1e-3, "lr_d": 2e-3}
RECIPES = {name: {**_CNN, "steps": 700, "batch": 64, "size": 16} for name in ("digits", "mnist")}

#: Side of the images -> side of the coarsest feature maps.
COARSEST = {8: 4, **dcgan.COARSEST}


class CNNGenerator(nn.Module):
    """A projection to the coarsest maps, doublings by transposed convolutions, and a convolution to the image.

    Table 3 for CIFAR-10 is ``CNNGenerator((3, 32, 32), 128, 64)``, but that the table has neither batch norm nor ReLU
    after the dense layer. Like DCGAN and public programs for the table (chainer-gan-lib from the authors' company,
    Google's compare_gan), this has both. There that batch norm has statistics of each unit, which makes the bias before
    it idle; here of each channel, over all places, as everywhere else.

    Args:
        shape: shape of one image, (1 or 3, S, S) with S of 8, 16, 28, 32 or 64.
        latent_dim, width: see :mod:`gan_course.models`; the finest maps have the side S.
    """

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int):
        super().__init__()
        side, doublings = dcgan.plan(shape, COARSEST)
        channels = [width * 2**i for i in range(doublings, -1, -1)]  # coarsest first
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, channels[0] * side**2), nn.Unflatten(1, (channels[0], side, side)),
            nn.BatchNorm2d(channels[0]), nn.ReLU(),
            *[transposed_up(c, c // 2) for c in channels[:-1]],
            nn.Conv2d(width, shape[0], 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` to images ``(B, *shape)`` in [-1, 1]."""
        return self.layers(z)


class CNNDiscriminator(nn.Module):
    """Pairs of a convolution and a halving one, a last convolution, and a linear layer without bias.

    Table 3 for CIFAR-10 is ``CNNDiscriminator((3, 32, 32), 64)``. A last bias would drift: while no logit is beyond
    its margin, the hinge loss pulls it by -1 for real and +1 for fake, and rounding decides where it goes.

    Args:
        shape, width: as of :class:`CNNGenerator`.
        spectral: whether all weights are spectrally normalised.
    """

    def __init__(self, shape: tuple[int, ...], width: int, spectral: bool = True):
        super().__init__()
        norm = spectral_norm if spectral else nn.Identity()
        side, halvings = dcgan.plan(shape, COARSEST)
        layers, channels = [], shape[0]
        for c in [width * 2**i for i in range(halvings)]:
            layers += [norm(nn.Conv2d(channels, c, 3, padding=1)), nn.LeakyReLU(0.1)]
            layers += [norm(nn.Conv2d(c, c, 4, stride=2, padding=1)), nn.LeakyReLU(0.1)]
            channels = c
        layers += [norm(nn.Conv2d(channels, 2 * channels, 3, padding=1)), nn.LeakyReLU(0.1), nn.Flatten()]
        self.layers = nn.Sequential(*layers, norm(nn.Linear(2 * channels * side**2, 1, bias=False)))

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, *shape)`` to logits ``(B,)``."""
        return self.layers(x).squeeze(1)


class ResNetGenerator(nn.Module):
    """A projection to the coarsest maps, residual blocks that double the side, and a convolution to the image.

    Table 4 is ``ResNetGenerator((3, 32, 32), 128, 128)``: three blocks of 256 channels. ``width`` is half of those:
    its blocks have twice the channels of the discriminator's. Shapes are those of :class:`CNNGenerator`.
    """

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int):
        super().__init__()
        side, doublings = dcgan.plan(shape, COARSEST)
        c = 2 * width
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, c * side**2), nn.Unflatten(1, (c, side, side)),
            *[ResBlockUp(c, c) for _ in range(doublings)],
            nn.BatchNorm2d(c), nn.ReLU(),
            nn.Conv2d(c, shape[0], 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` to images ``(B, *shape)`` in [-1, 1]."""
        return self.layers(z)


class ResNetDiscriminator(nn.Module):
    """Two residual blocks that halve the side, two that keep it, the sum over all places, and a linear layer.

    Table 4 is ``ResNetDiscriminator((3, 32, 32), 128)``; all blocks have ``width`` channels.
    """

    def __init__(self, shape: tuple[int, ...], width: int, spectral: bool = True):
        super().__init__()
        dcgan.plan(shape, COARSEST)  # refuses other shapes
        norm = spectral_norm if spectral else nn.Identity()
        self.blocks = nn.Sequential(
            ResBlockDown(shape[0], width, first=True, spectral=spectral),
            ResBlockDown(width, width, spectral=spectral),
            *[ResBlockDown(width, width, downsample=False, spectral=spectral) for _ in range(2)],
            nn.ReLU(),
        )
        self.to_logit = norm(nn.Linear(width, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, *shape)`` to logits ``(B,)``."""
        return self.to_logit(self.blocks(x).sum((2, 3))).squeeze(1)


NETWORKS = {"cnn": (CNNGenerator, CNNDiscriminator), "resnet": (ResNetGenerator, ResNetDiscriminator)}


class SNGAN(common.Sampler, nn.Module):
    """SNGAN: a discriminator with spectral norm, a generator with batch norm, and the training step.

    The optimizers' defaults are the paper's for the ResNet. With ``networks="resnet", width=128`` and images
    (3, 32, 32) this is its CIFAR-10 model, of which single steps were tested; it was not trained at full scale.
    The norm bounds the slope of the discriminator, and is there alone (Zhang et al. (2019) have it in both networks).

    Other than in the authors' program (sngan_projection): weights start as torch draws them (there Glorot's uniform,
    with a gain of the root of 2 in the residual branches, and biases of 0); the generator's batch is as large as one of
    the discriminator's (there twice, 128 and 64); rates stay (there they fall linearly from the first step to 0:
    ``decay_from=0`` of :func:`gan_course.train.fit`); samples come from an average (there from the last weights:
    ``ema_decay=0``).

    Args:
        latent_dim, loss, lr_g, lr_d, beta1, beta2, ema_decay: see :mod:`gan_course.models`.
        shape: shape of one image, (1 or 3, S, S) with S of 8, 16, 28, 32 or 64.
        networks: "cnn" (table 3) or "resnet" (table 4, made for 32x32).
        width: channels of the discriminator's first layer.
        spectral: whether the discriminator is spectrally normalised; False to compare.
        logit_scale: factor on the logits, and so on the bound of the discriminator's slope. The paper has 1. More may
            help a discriminator so flat that its logits fill a small part of the hinge's margins; it is no rule. With
            the recipe for digits, 8 was worse than 1 (Frechet distance 26 to 30 beside 15 to 19; three and five seeds,
            with a generator whose dense layer had no bias yet; with it, 1 gives 16 to 23).
        n_critic: discriminator updates per step; the paper has 5 for the ResNet and 1 or 5 for the CNN.
    """

    family = "sngan"

    @recorded
    def __init__(
        self,
        shape: ImageShape = (3, 32, 32), latent_dim: Count = 128, networks: str = "cnn", width: Count = 64,
        spectral: bool = True, logit_scale: Positive = 1.0, n_critic: Count = 5, loss: str = "hinge",
        lr_g: Positive = 2e-4, lr_d: Positive = 2e-4, beta1: Share = 0.0, beta2: Share = 0.9,
        ema_decay: Share = 0.99,
    ):  # fmt: skip
        super().__init__()
        if networks not in NETWORKS:
            raise unknown("networks", networks, NETWORKS)
        self.shape, self.latent_dim = shape, latent_dim
        self.logit_scale, self.n_critic = logit_scale, n_critic
        self.discriminator_loss, self.generator_loss = losses.pair(loss)
        generator, discriminator = NETWORKS[networks]
        self.generator = generator(shape, latent_dim, width)
        self.discriminator = discriminator(shape, width, spectral)  # normalised; the generator is not
        self.ema = EMA(self.generator, ema_decay)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.discriminator, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once per batch in ``real``, ``(n_critic, B, *shape)``, then the generator once."""
        checks.check_real(real, self.shape, least=2)
        b = real.shape[1]

        for x in real:
            # One power iteration for each update; every pass until the next update sees the same weights.
            advance_spectral_norms(self.discriminator)
            with torch.no_grad():  # the discriminator's loss moves the discriminator only
                fake = self.generator(self.latents(b))
            # One pass over both halves: allowed because the discriminator has no batch norm.
            real_logits, fake_logits = self.logits(torch.cat([x, fake])).chunk(2)
            loss_d = self.discriminator_loss(real_logits, fake_logits)  # hinge: equation 16 by default
            common.update(self.optimizer_d, loss_d)

        # The gradient flows through the discriminator, and is kept in the generator only.
        loss_g = self.generator_loss(self.logits(self.generator(self.latents(b))))  # equation 17; same u and v as above
        common.update(self.optimizer_g, loss_g)

        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, logit_real=real_logits, logit_fake=fake_logits)

    def logits(self, x: Tensor) -> Tensor:
        """Map images ``(B, *shape)`` to what the losses see, ``logit_scale`` times the discriminator's output."""
        return self.logit_scale * self.discriminator(x)
