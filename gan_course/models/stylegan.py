"""StyleGAN's ideas at a small size: a style for every layer, and augmentation that watches the discriminator.

- The mapping network, noise inputs and styles: Karras et al. (2019), figure 1.
- Modulated convolutions (:func:`gan_course.layers.modulated_convolution`) and path length regularisation: StyleGAN2,
  Karras et al. (2020), sections 2.2 and 3.2.
- Adaptive augmentation when data are few: StyleGAN2-ADA, here Karras et al. (2020, ADA), section 3.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from gan_course import checks, losses, parallel
from gan_course.checks import Count, ImageShape, Positive, Share, Weight, Whole, recorded
from gan_course.layers import augment, modulated_convolution
from gan_course.models import common, dcgan
from gan_course.models.ema import EMA

#: Settings per data set, chosen before any run: not tuned.
RECIPES = {
    "glyphs": {"width": 16, "lr_g": 1e-3, "lr_d": 1e-3, "steps": 3_000, "batch": 32, "size": 32},
}

SLOPE = 0.2  # of the LeakyReLUs below 0
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # by which a LeakyReLU's output is multiplied, so that its scale stays


class Mapping(nn.Module):
    """From latents to styles: a perceptron that makes of a normal distribution whatever the synthesis finds handy.

    Latents are first divided by their root mean square, so that their lengths tell nothing; Karras et al. (2019),
    section 2. (Their layers also learn a hundred times more slowly than the others; here all rates are alike.)

    Args:
        latent_dim: dimension of latents and of styles.
        depth: layers; 0 makes the styles the scaled latents themselves.
    """

    def __init__(self, latent_dim: int, depth: int):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(depth):
            linear = nn.Linear(latent_dim, latent_dim)
            nn.init.normal_(linear.weight, 0.0, GAIN / math.sqrt(latent_dim))
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` to styles ``(B, latent_dim)``."""
        return self.layers(z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt())


class Styled(nn.Module):
    """A modulated convolution, noise of a learned strength, a bias, and LeakyReLU; Karras et al. (2020), figure 2.

    Args:
        channels_in, channels_out: of the convolution, 3x3.
        side: of the output maps.
        style_dim: of the styles.
        up: whether the maps are doubled first.
        demodulate, noise: see :class:`StyleGAN`.
    """

    def __init__(
        self, channels_in: int, channels_out: int, side: int, style_dim: int, up: bool, demodulate: bool, noise: bool
    ):
        super().__init__()
        self.up, self.demodulate = up, demodulate
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3) / math.sqrt(9 * channels_in))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.style = nn.Linear(style_dim, channels_in)
        nn.init.normal_(self.style.weight, 0.0, 1 / math.sqrt(style_dim))
        nn.init.ones_(self.style.bias)  # at first every channel is scaled by about 1
        self.strength = nn.Parameter(torch.zeros(())) if noise else None
        # What stands in for noise outside of training, so that a latent always gives the same image.
        self.register_buffer("still", torch.randn(1, 1, side, side) if noise else None)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map ``(B, in, h, h)`` and styles ``(B, style_dim)`` to ``(B, out, side, side)``."""
        if self.up:
            x = interpolate(x, scale_factor=2, mode="bilinear")
        x = modulated_convolution(x, self.weight, self.style(w), self.demodulate)
        if self.strength is not None:
            shape = (len(x), 1, *x.shape[2:])
            noise = parallel.randn(*shape, device=x.device).to(x) if self.training else self.still.to(x)
            x = x + self.strength * noise
        return GAIN * leaky_relu(x + self.bias[:, None, None], SLOPE)


class Generator(nn.Module):
    """A mapping network, and a synthesis network that begins with learned maps: the latent comes in by styles alone.

    Args:
        shape: shape of one image, (1 or 3, S, S) with S of 16, 28, 32 or 64.
        latent_dim, width: see :mod:`gan_course.models`; the finest maps have ``width`` channels.
        mapping, demodulate, noise: see :class:`StyleGAN`.
    """

    def __init__(
        self, shape: tuple[int, ...], latent_dim: int, width: int, mapping: int, demodulate: bool, noise: bool
    ):
        super().__init__()
        side, doublings = dcgan.plan(shape)
        channels = [width * 2**i for i in range(doublings, -1, -1)]  # coarsest first
        self.mapping = Mapping(latent_dim, mapping)
        self.maps = nn.Parameter(torch.randn(1, channels[0], side, side))
        layers = [Styled(channels[0], channels[0], side, latent_dim, False, demodulate, noise)]
        for before, after in zip(channels, channels[1:], strict=False):
            side *= 2
            layers += [
                Styled(before, after, side, latent_dim, True, demodulate, noise),
                Styled(after, after, side, latent_dim, False, demodulate, noise),
            ]
        self.layers = nn.ModuleList(layers)
        self.to_image = nn.Conv2d(width, shape[0], 1)

    def synthesis(self, w: Tensor) -> Tensor:
        """Map styles ``(B, latent_dim)`` to images ``(B, *shape)``, real numbers without bounds."""
        x = self.maps.expand(len(w), -1, -1, -1)
        for layer in self.layers:
            x = layer(x, w)
        return self.to_image(x)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` to images ``(B, *shape)``."""
        return self.synthesis(self.mapping(z))


def path_lengths(synthesis: nn.Module, w: Tensor) -> Tensor:
    r"""Return :math:`\|J_w^\top y\|_2` for each style: how far a short step in w moves the image, some way or other.

    y is a normal image divided by the root of its number of places, so that the number does not depend on the
    resolution; Karras et al. (2020), equation 4 and their code. The gradient with respect to w of the image's product
    with y needs no Jacobian.

    Args:
        synthesis: maps styles ``(B, style_dim)`` to images ``(B, C, H, W)``.
        w: styles.

    Returns:
        ``(B,)``, with its graph.
    """
    w = losses.widened(w if w.requires_grad else w.detach().requires_grad_(True))  # it may come out of autocast
    with torch.autocast(w.device.type, enabled=False):  # second derivatives need full precision
        images = synthesis(w)
        y = parallel.randn(*images.shape, device=w.device).to(images) / math.sqrt(images.shape[2] * images.shape[3])
        (gradients,) = torch.autograd.grad((images * y).sum(), w, create_graph=True)
    return torch.linalg.vector_norm(gradients, dim=1)


class StyleGAN(common.Sampler, nn.Module):
    """StyleGAN2 in small: the non-saturating loss with R1, a generator with styles, and what can be left out of it.

    Other than the paper's program: one style for all layers (there, two are mixed in most images while it trains), one
    1x1 convolution to the image at the end (there, one per size, added up), a discriminator of DCGAN's form without
    normalisation (there, residual with minibatch standard deviation), penalties in every step (there, in every 16th and
    8th, so much stronger), equal learning rates in all layers.

    Args:
        shape, latent_dim, width, lr_g, lr_d, beta1, beta2, ema_decay: see :mod:`gan_course.models`.
        mapping: layers of the mapping network; 0 for none.
        demodulate: whether outputs of a modulated convolution get unit scale back.
        noise: whether each layer adds noise of a learned strength. Outside of training the noise is always the same.
        r1: weight of :func:`gan_course.losses.r1_penalty`; 0 for none.
        path_length: weight of path length regularisation; 0 for none.
        ada_target: the share by which more real images get a positive logit than a negative one, above which
            augmentation grows: r_t of Karras et al. (2020, ADA), who have .6. 0 for no augmentation.
        ada_images: real images over which the probability of augmentation goes from 0 to 1 at most; 500,000 there.
    """

    family = "stylegan"
    n_critic = 1

    @recorded
    def __init__(
        self,
        shape: ImageShape = (3, 32, 32), latent_dim: Count = 64, width: Count = 16,
        mapping: Whole = 4, demodulate: bool = True, noise: bool = True,
        r1: Weight = 1.0, path_length: Weight = 0.0, ada_target: Share = 0.0, ada_images: Count = 500_000,
        lr_g: Positive = 1e-3, lr_d: Positive = 1e-3, beta1: Share = 0.0, beta2: Share = 0.99,
        ema_decay: Share = 0.998, ema_ramp: bool = True,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.latent_dim = shape, latent_dim
        self.r1, self.path_length, self.ada_target, self.ada_images = r1, path_length, ada_target, ada_images
        self.generator = Generator(shape, latent_dim, width, mapping, demodulate, noise)
        self.discriminator = dcgan.Discriminator(shape, width, batch_norm=False)
        self.ema = EMA(self.generator, ema_decay, ema_ramp)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.discriminator, lr_d, beta1, beta2)
        self.register_buffer("mean_length", torch.zeros(()))  # a in equation 4 of Karras et al. (2020)
        self.register_buffer("probability", torch.zeros(()))  # p of Karras et al. (2020, ADA)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once per batch in ``real``, ``(n_critic, B, *shape)``, then the generator once.

        Returned are also ``probability``, that of augmentation, and ``penalty``, the weighted penalties of both
        networks, which are in neither loss.
        """
        checks.check_real(real, self.shape)
        b = real.shape[1]

        for x in real:
            with torch.no_grad():  # the discriminator's loss moves the discriminator only
                fake = self.generator(self.latents(b))
            x, fake = self.augmented(x), self.augmented(fake)  # both kinds, or the changes would tell them apart
            real_logits, fake_logits = self.discriminator(torch.cat([x, fake])).chunk(2)
            loss_d = losses.discriminator_cross_entropy(real_logits, fake_logits)
            penalty = self.r1 * losses.r1_penalty(self.discriminator, x) if self.r1 else torch.zeros_like(loss_d)
            common.update(self.optimizer_d, loss_d + penalty)
            self.adapt(real_logits)

        w = self.generator.mapping(self.latents(b))
        fake = self.generator.synthesis(w)
        loss_g = losses.generator_non_saturating(self.discriminator(self.augmented(fake)))
        smooth = self.unevenness(b) if self.path_length else torch.zeros_like(loss_g)
        common.update(self.optimizer_g, loss_g + smooth)

        self.ema.update(self.generator)
        return common.logged(
            loss_d=loss_d, loss_g=loss_g, logit_real=real_logits, logit_fake=fake_logits,
            penalty=penalty + smooth, probability=self.probability,
        )  # fmt: skip

    def augmented(self, x: Tensor) -> Tensor:
        """Return images ``(B, C, H, W)`` of which a share, ``probability`` on average, is changed at random.

        The paper draws for each kind of change whether it happens; here an image is changed in all ways or in none.
        """
        if not self.ada_target:
            return x
        chosen = parallel.rand(len(x), device=x.device) < self.probability
        return torch.where(chosen[:, None, None, None], augment(x), x)

    @torch.no_grad()
    def adapt(self, real_logits: Tensor) -> None:
        """Augment more often if the discriminator is surer of its training images than it should be, else less."""
        if self.ada_target:
            surer = parallel.average(real_logits.sign().float().mean()) - self.ada_target
            step = len(real_logits) * parallel.world_size() / self.ada_images
            self.probability.add_(step * surer.sign()).clamp_(0, 1)

    def unevenness(self, b: int) -> Tensor:
        """Return the weighted mean square of path lengths minus their mean; Karras et al. (2020), equation 4."""
        lengths = path_lengths(self.generator.synthesis, self.generator.mapping(self.latents(b)))
        with torch.no_grad():
            self.mean_length.lerp_(parallel.average(lengths.mean()), 0.01)
        return self.path_length * (lengths - self.mean_length).square().mean()

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Map latents ``(n, latent_dim)`` to images ``(n, *shape)`` in [-1, 1] by the averaged generator."""
        return super().decode(z).clamp(-1, 1)
