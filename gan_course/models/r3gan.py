"""R3GAN: a relativistic loss with R1 and R2, and residual networks without normalisation. Huang et al. (2024).

Perceptrons, and any other game, can take the place of the paper's networks and of its loss, to compare.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from gan_course import checks, losses
from gan_course.checks import Count, Positive, SampleShape, Share, Weight, recorded
from gan_course.errors import unknown
from gan_course.models import common, dcgan, gan
from gan_course.models.ema import EMA

#: Settings per data set, chosen after trial runs.
RECIPES = {
    "digits": {"width": 16, "lr_g": 5e-4, "lr_d": 5e-4, "r1": 1.0, "r2": 1.0, "steps": 1_000, "batch": 64, "size": 16},
}

#: Side of the finest feature maps -> side of the coarsest ones.
COARSEST = {8: 4, 14: 7, **dcgan.COARSEST}
SLOPE = 0.2  # of the LeakyReLUs below 0
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance through a LeakyReLU; He et al. (2015), equation 15
GROUP = 16  # channels that a 3x3 convolution of a block sees at once
EXPANSION = 2  # a block's inner channels over its outer ones


def scaled(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    """Draw the weights of ``layer`` from N(0, gain^2 / fan-in) and set its bias to 0; He et al. (2015)."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """``x`` plus a bottleneck turned inside out: 1x1 to more channels, 3x3 in groups of 16, 1x1 back.

    Without normalisation, what keeps activations from growing with depth is the start: the last convolution is 0, so
    that the block is the identity, and the others are scaled by ``blocks`` to the power of -1/4. Fixup, Zhang et al.
    (2019), section 3; Huang et al. (2024), section 3.2.

    Args:
        channels: outer channels; ``2 channels`` must be a multiple of 16 or at most that.
        blocks: residual blocks in the whole network.
    """

    def __init__(self, channels: int, blocks: int):
        super().__init__()
        inner, gain = EXPANSION * channels, GAIN * blocks**-0.25
        self.layers = nn.Sequential(
            scaled(nn.Conv2d(channels, inner, 1), gain), nn.LeakyReLU(SLOPE),
            scaled(nn.Conv2d(inner, inner, 3, padding=1, groups=max(inner // GROUP, 1)), gain), nn.LeakyReLU(SLOPE),
            scaled(nn.Conv2d(inner, channels, 1, bias=False), 0.0),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)`` to the same shape."""
        return x + self.layers(x)


class Doubling(nn.Module):
    """A 1x1 convolution to other channels, and bilinear interpolation to twice the side."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.convolution = scaled(nn.Conv2d(channels_in, channels_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in, H, W)`` to ``(B, out, 2H, 2W)``."""
        return interpolate(self.convolution(x), scale_factor=2, mode="bilinear")


class Halving(nn.Module):
    """The mean of each 2x2 square, and a 1x1 convolution to other channels."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.convolution = scaled(nn.Conv2d(channels_in, channels_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in, H, W)`` to ``(B, out, H/2, W/2)``."""
        return self.convolution(avg_pool2d(x, 2))


def stages(shape: tuple[int, ...], width: int, patch: int) -> tuple[int, list[int]]:
    """Return the side of the coarsest maps for images of ``shape``, and the channels of each stage, coarsest first."""
    channels, height, breadth = checks.check_shape(shape)
    if height % patch or breadth % patch:
        raise ValueError(f"patch must divide the sides of the images, {height} and {breadth}, got {patch}")
    side, doublings = dcgan.plan((channels, height // patch, breadth // patch), COARSEST)
    if width % (GROUP // EXPANSION):
        raise ValueError(f"width must be a multiple of {GROUP // EXPANSION} for networks 'resnet', got {width}")
    return side, [width * 2 ** min(i, 2) for i in range(doublings, -1, -1)]


class Generator(nn.Module):
    """Learned maps, each scaled by a linear function of the latent; then blocks and doublings; then a 1x1 convolution,
    which gives the pixels of a patch at each place.

    There is no tanh at the end: images are clamped to [-1, 1] when they are sampled.

    Args:
        shape: shape of one image, (1 or 3, S, S) with S / patch of 8, 14, 16, 28, 32 or 64.
        latent_dim: see :mod:`gan_course.models`.
        width: channels of the finest maps, a multiple of 8; coarser ones have up to four times as many.
        blocks: residual blocks per stage.
        patch: side of the squares of pixels that one place of the finest maps stands for; 1 in the paper. With 2, the
            stage of full size, which takes most of the time, is left out.
    """

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int, blocks: int, patch: int = 1):
        super().__init__()
        side, channels = stages(shape, width, patch)
        total = blocks * len(channels)
        self.maps = nn.Parameter(torch.randn(channels[0], side, side))
        self.scales = scaled(nn.Linear(latent_dim, channels[0], bias=False))
        layers: list[nn.Module] = [Block(channels[0], total) for _ in range(blocks)]
        for before, after in zip(channels, channels[1:], strict=False):
            layers += [Doubling(before, after), *[Block(after, total) for _ in range(blocks)]]
        layers += [scaled(nn.Conv2d(width, shape[0] * patch**2, 1, bias=False)), nn.PixelShuffle(patch)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` to images ``(B, *shape)``, real numbers without bounds."""
        return self.layers(self.maps * self.scales(z)[:, :, None, None])


class Discriminator(nn.Module):
    """The generator turned round: a convolution of the patches, blocks and halvings, one weighted sum of each coarsest
    map, and a linear layer.

    No bias at the end: the relativistic loss looks at differences of logits, which a bias would not change.
    Arguments as of :class:`Generator`.
    """

    def __init__(self, shape: tuple[int, ...], width: int, blocks: int, patch: int = 1):
        super().__init__()
        side, channels = stages(shape, width, patch)
        channels = channels[::-1]  # finest first
        total = blocks * len(channels)
        layers: list[nn.Module] = [scaled(nn.Conv2d(shape[0], width, patch, stride=patch, bias=False))]
        for before, after in zip(channels, channels[1:], strict=False):
            layers += [*[Block(before, total) for _ in range(blocks)], Halving(before, after)]
        last = channels[-1]
        layers += [Block(last, total) for _ in range(blocks)]
        layers += [scaled(nn.Conv2d(last, last, side, groups=last, bias=False)), nn.Flatten()]
        self.layers = nn.Sequential(*layers, scaled(nn.Linear(last, 1, bias=False)))

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, *shape)`` to logits ``(B,)``."""
        return self.layers(x).squeeze(1)


class R3GAN(common.Sampler, nn.Module):
    """R3GAN: each generated sample is judged beside a real one, and the discriminator is flat at both.

    The paper's gamma is ``r1`` and ``r2``, which are equal there. It is trained with batches of 512 and more, and while
    it trains, its program lets the learning rates, gamma and the share of augmented images move along cosines; here
    they stay as they are (rates can fall: ``decay_from`` of :func:`gan_course.train.fit`). Its widths are equal in all
    stages (768 for CIFAR-10, and two blocks per stage), its filter for resampling is (1, 2, 1); here that of bilinear
    interpolation upwards and the mean of four downwards.

    Args:
        shape, latent_dim, lr_g, lr_d, beta1, beta2, ema_decay: see :mod:`gan_course.models`.
        networks: "resnet" for images (see :class:`Generator` for their sizes), or "mlp": the perceptrons of
            :mod:`gan_course.models.gan`, without batch norm and dropout.
        width: units of each hidden layer, or channels of the finest maps, a multiple of 8.
        blocks, patch: of a resnet, see :class:`Generator`.
        loss: "relativistic", or a key of :data:`gan_course.losses.LOSSES`.
        r1, r2: weights of the penalties at real and at generated samples; 0 for none.
        slope_g: slope of the LeakyReLUs below 0 in the generator that is a perceptron.
    """

    family = "r3gan"
    n_critic = 1

    @recorded
    def __init__(
        self,
        shape: SampleShape = (3, 32, 32), latent_dim: Count = 64, networks: str = "resnet", width: Count = 32,
        blocks: Count = 1, patch: Count = 1, loss: str = "relativistic", r1: Weight = 1.0, r2: Weight = 1.0,
        lr_g: Positive = 2e-4, lr_d: Positive = 2e-4, beta1: Share = 0.0, beta2: Share = 0.99,
        slope_g: Share = 0.2, ema_decay: Share = 0.999, ema_ramp: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.latent_dim, self.r1, self.r2 = shape, latent_dim, r1, r2
        self.discriminator_loss, self.generator_loss = losses.game(loss)
        self.relativistic = loss in losses.RELATIVISTIC
        if networks == "resnet":
            self.generator = Generator(shape, latent_dim, width, blocks, patch)
            self.discriminator = Discriminator(shape, width, blocks, patch)
        elif networks == "mlp":
            self.generator = gan.Generator(shape, latent_dim, width, batch_norm=False, slope=slope_g)
            self.discriminator = gan.Discriminator(shape, width, dropout=0.0)
        else:
            raise unknown("networks", networks, ("resnet", "mlp"))
        self.ema = EMA(self.generator, ema_decay, ema_ramp)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.discriminator, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once per batch in ``real``, ``(n_critic, B, *shape)``, then the generator once.

        Returned is also ``penalty``, the weighted sum of R1 and R2, which is not in ``loss_d``.
        """
        checks.check_real(real, self.shape)
        b = real.shape[1]

        for x in real:
            with torch.no_grad():  # the discriminator's loss moves the discriminator only
                fake = self.generator(self.latents(b))
            # One pass over both halves: allowed because nothing in the discriminator mixes the samples of a batch.
            real_logits, fake_logits = self.discriminator(torch.cat([x, fake])).chunk(2)
            loss_d = self.discriminator_loss(real_logits, fake_logits)  # the i-th real beside the i-th fake
            penalty = self.penalties(x, fake)
            common.update(self.optimizer_d, loss_d + penalty)

        fake_logits_g = self.discriminator(self.generator(self.latents(b)))  # new latents
        real_logits_g = real_logits
        if self.relativistic:
            with torch.no_grad():  # the generator moves nothing here: real samples are the measure
                real_logits_g = self.discriminator(x)
        loss_g = self.generator_loss(real_logits_g, fake_logits_g)
        common.update(self.optimizer_g, loss_g)

        self.ema.update(self.generator)
        return common.logged(
            loss_d=loss_d, loss_g=loss_g, logit_real=real_logits, logit_fake=fake_logits, penalty=penalty
        )

    def penalties(self, x: Tensor, fake: Tensor) -> Tensor:
        """Return r1 R1 + r2 R2 at real and generated samples ``(B, *shape)``."""
        penalty = torch.zeros((), device=x.device)
        if self.r1:
            penalty = penalty + self.r1 * losses.r1_penalty(self.discriminator, x)
        if self.r2:
            penalty = penalty + self.r2 * losses.r2_penalty(self.discriminator, fake)
        return penalty

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Map latents ``(n, latent_dim)`` to samples ``(n, *shape)`` by the averaged generator; images are clamped to
        [-1, 1]."""
        samples = super().decode(z)
        return samples.clamp(-1, 1) if len(self.shape) == 3 else samples
