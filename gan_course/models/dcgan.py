"""The convolutional GAN with batch norm. Radford et al. (2016), section 3 and figure 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gan_course import checks, losses
from gan_course.checks import Count, ImageShape, Positive, Share, recorded
from gan_course.errors import unknown
from gan_course.layers import initialize, resize_up, transposed_up
from gan_course.models import common
from gan_course.models.ema import EMA

#: Settings per data set, chosen after trial runs on several seeds. On the 1,297 digits a discriminator with batch norm
#: soon knows the training images, and the rarest class sinks to a third of its share.
RECIPES = {
    "digits": {"width": 24, "batch_norm": False, "lr_g": 1e-3, "lr_d": 5e-4, "steps": 1_400, "batch": 64, "size": 16},
    "mnist": {"width": 32, "lr_g": 5e-4, "lr_d": 5e-4, "steps": 1_400, "batch": 64, "size": 16},
}

#: Side of the images -> side of the coarsest feature maps. The step between two sides is a factor of 2.
COARSEST = {16: 4, 28: 7, 32: 4, 64: 4}
#: How the generator doubles its maps: name -> block with batch norm and ReLU.
UP_BLOCKS = {"transposed": transposed_up, "resize": resize_up}


def plan(shape: tuple[int, ...], coarsest: dict[int, int] = COARSEST) -> tuple[int, int]:
    """Return the side of the coarsest maps for images of ``shape`` and how often it is doubled to give the image's."""
    channels, height, width = checks.check_shape(shape)
    if channels not in (1, 3) or height != width or height not in coarsest:
        sides = ", ".join(map(str, coarsest))
        raise ValueError(f"shape must be (1 or 3, S, S) with a side S of {sides}, got {tuple(shape)}")
    return coarsest[height], int(math.log2(height // coarsest[height]))


class Generator(nn.Module):
    """From latents to images: a projection to the coarsest maps, then doublings, with half the channels each.

    The paper's figure 1 has the maps of ``Generator((3, 64, 64), 100, 128)``, of 1024, 512, 256 and 128 channels, and
    kernels of 5x5; here they are 4x4, see :func:`gan_course.layers.transposed_up`. All layers but the last have batch
    norm and ReLU. The projection has no bias, as in the authors' code, where batch norm has statistics of each of its
    units; here, as in PyTorch's example, of each channel. That example and the authors' code have no bias in the
    outermost layers of both networks; here they have one.

    Args:
        shape: shape of one image, (1 or 3, S, S) with S of 16, 28, 32 or 64.
        latent_dim, width: see :mod:`gan_course.models`; the finest maps have a side of S / 2.
        up: how maps are doubled, "transposed" convolution (the paper) or "resize" and convolve.
    """

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int, up: str = "transposed"):
        super().__init__()
        side, doublings = plan(shape)
        if up not in UP_BLOCKS:
            raise unknown("up", up, UP_BLOCKS)
        channels = [width * 2**i for i in reversed(range(doublings))]  # of the hidden maps, coarsest first
        self.project = nn.Sequential(
            nn.Linear(latent_dim, channels[0] * side**2, bias=False), nn.Unflatten(1, (channels[0], side, side)),
            nn.BatchNorm2d(channels[0]), nn.ReLU(),
        )  # fmt: skip
        self.ups = nn.Sequential(*[UP_BLOCKS[up](c, c // 2) for c in channels[:-1]])
        if up == "transposed":
            last = [nn.ConvTranspose2d(width, shape[0], 4, stride=2, padding=1)]
        else:
            last = [nn.Upsample(scale_factor=2), nn.Conv2d(width, shape[0], 3, padding=1)]
        self.to_image = nn.Sequential(*last, nn.Tanh())  # no batch norm: images have means and scales of their own
        initialize(self)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` to images ``(B, *shape)`` in [-1, 1]."""
        return self.to_image(self.ups(self.project(z)))


class Discriminator(nn.Module):
    """From images to one logit each: halvings by strided convolutions, with twice the channels each, and LeakyReLU.

    The first layer has no batch norm, so that the images' own mean and contrast stay visible. With batch norm, a
    logit depends on the whole batch: show real and fake images in separate passes.

    Args:
        shape, width: as of :class:`Generator`.
        batch_norm: batch norm from the second layer on. Without it (as under a gradient penalty) the weights start
            as torch draws them: those of 0.02 are made for layers whose outputs are rescaled.
    """

    def __init__(self, shape: tuple[int, ...], width: int, batch_norm: bool = True):
        super().__init__()
        side, halvings = plan(shape)
        layers = [nn.Conv2d(shape[0], width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]  # no norm: see above
        for c in [width * 2**i for i in range(halvings - 1)]:
            convolution = nn.Conv2d(c, 2 * c, 4, stride=2, padding=1, bias=not batch_norm)
            layers += [convolution, *([nn.BatchNorm2d(2 * c)] if batch_norm else []), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)  # (B, width 2^(halvings - 1), side, side)
        self.to_logit = nn.Sequential(nn.Flatten(), nn.Linear(width * 2 ** (halvings - 1) * side**2, 1))
        if batch_norm:
            initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, *shape)`` to logits ``(B,)``."""
        return self.to_logit(self.features(x)).squeeze(1)


class DCGAN(common.Sampler, nn.Module):
    """DCGAN: two convolutional networks with batch norm, their optimizers, and the training step.

    The paper trains with latents of 100 dimensions, uniform in a cube (here normal), batches of 128, and widths of 128
    at 64x64. It samples from the last weights (``ema_decay=0``). The generator's update has latents of its own, as in
    Algorithm 1 of Goodfellow et al. (2014); PyTorch's example judges the discriminator's fakes once more.

    Args:
        latent_dim, width, loss, lr_g, lr_d, beta1, beta2, ema_decay: see :mod:`gan_course.models`.
        shape: shape of one image, (1 or 3, S, S) with S of 16, 28, 32 or 64.
        up: the generator's way to double its maps, "transposed" or "resize".
        batch_norm: batch norm in the discriminator.
    """

    family = "dcgan"
    n_critic = 1

    @recorded
    def __init__(
        self,
        shape: ImageShape = (1, 28, 28), latent_dim: Count = 64, width: Count = 32,
        up: str = "transposed", batch_norm: bool = True, loss: str = "non-saturating",
        lr_g: Positive = 2e-4, lr_d: Positive = 2e-4, beta1: Share = 0.5, beta2: Share = 0.999,
        ema_decay: Share = 0.99,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.latent_dim = shape, latent_dim
        self.discriminator_loss, self.generator_loss = losses.pair(loss)
        self.generator = Generator(shape, latent_dim, width, up)
        self.discriminator = Discriminator(shape, width, batch_norm)
        self.ema = EMA(self.generator, ema_decay)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.discriminator, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once per batch in ``real``, ``(n_critic, B, *shape)``, then the generator once."""
        checks.check_real(real, self.shape, least=2)
        b = real.shape[1]

        for x in real:
            with torch.no_grad():  # the discriminator's loss moves the discriminator only
                fake = self.generator(self.latents(b))  # batch norm takes the statistics of these fakes
            # Two passes: batch norm over a mixed batch would tell from the statistics how the halves differ.
            real_logits, fake_logits = self.discriminator(x), self.discriminator(fake)
            loss_d = self.discriminator_loss(real_logits, fake_logits)  # one update for both passes together
            common.update(self.optimizer_d, loss_d)

        # The gradient flows through the discriminator, and is kept in the generator only.
        loss_g = self.generator_loss(self.discriminator(self.generator(self.latents(b))))  # fakes alone, as above
        common.update(self.optimizer_g, loss_g)

        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, logit_real=real_logits, logit_fake=fake_logits)
