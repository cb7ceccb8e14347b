"""Networks that are told the class: two ways for a discriminator to use the label (:mod:`.acgan` has a third).

- :class:`ConditionalGAN`: the label is laid beside the input of both networks. Mirza and Osindero (2014).
- :class:`ProjectionGAN`: the label is a direction that the image's features are projected on. Miyato and Koyama (2018);
  the generator has the conditional batch norm of de Vries et al. (2017).

The papers' networks differ in much else; here all have convolutional networks of one size, so that the use of the
label is what differs. They take images of any size: the generator starts from a grid as small as halving allows
without going below 4x4 (for 8, 16 and 32 pixels: 4x4; for 28: 7x7), and the discriminator goes back to that grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from gan_course import checks, losses
from gan_course.checks import Count, ImageShape, Positive, Share, recorded
from gan_course.layers import ConditionalBatchNorm2d, advance_spectral_norms, spectral_norm
from gan_course.models import common
from gan_course.models.ema import EMA

#: Settings per data set, chosen after trial runs.
RECIPES = {
    "digits": {"width": 16, "lr_g": 4e-3, "lr_d": 2e-3, "steps": 1_200, "batch": 64},
    "mnist": {"width": 16, "lr_g": 2e-3, "lr_d": 1e-3, "steps": 1_200, "batch": 64, "size": 16},
}


class Generator(nn.Module):
    """A linear layer to a small grid, then transposed convolutions that double its size, down to ``width`` channels.

    With ``num_classes``, its batch norms are conditional.
    """

    def __init__(self, shape: tuple[int, ...], inputs: int, width: int, num_classes: int | None = None):
        super().__init__()
        self.conditional = num_classes is not None
        ups = halvings(shape)
        channels = [width << i for i in range(ups, -1, -1)]
        self.grid = (channels[0], shape[1] >> ups, shape[2] >> ups)
        # No bias, as in DCGAN. (The norm would subtract its mean over the places only.)
        self.first = nn.Linear(inputs, math.prod(self.grid), bias=False)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 4, stride=2, padding=1, bias=False) for c in channels[1:])
        norm = (lambda c: ConditionalBatchNorm2d(c, num_classes)) if self.conditional else nn.BatchNorm2d
        self.norms = nn.ModuleList(norm(c) for c in channels)
        self.last = nn.Conv2d(width, shape[0], 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map ``(B, inputs)``, and class numbers ``(B,)`` if it has classes, to images ``(B, C, H, W)`` in [-1, 1]."""
        given = (labels,) if self.conditional else ()
        h = self.norms[0](self.first(z).unflatten(1, self.grid), *given).relu()
        for up, norm in zip(self.ups, self.norms[1:], strict=True):
            h = norm(up(h), *given).relu()
        return self.last(h).tanh()


def halvings(shape: tuple[int, ...]) -> int:
    """Return how often height and width of ``(C, H, W)`` can be halved without becoming odd or smaller than 4."""
    (height, width), count = shape[1:], 0
    while height % 2 == width % 2 == 0 and min(height, width) >= 8:
        height, width, count = height // 2, width // 2, count + 1
    return count


def trunk(shape: tuple[int, ...], width: int, spectral: bool = False) -> tuple[nn.Sequential, tuple[int, ...]]:
    """Return a discriminator's convolutions and the shape of the features ``(F, h, w)`` they make of ``(C, H, W)``.

    There is no batch norm, so that a sample's features depend on that sample alone.
    """
    norm = spectral_norm if spectral else nn.Identity()
    downs = halvings(shape)
    layers = [norm(nn.Conv2d(shape[0], width, 3, padding=1)), nn.LeakyReLU(0.2)]
    for c in [width << i for i in range(downs)]:
        layers += [norm(nn.Conv2d(c, 2 * c, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers), (width << downs, shape[1] >> downs, shape[2] >> downs)


class ConcatGenerator(Generator):
    """A generator whose input is the latent and, beside it, the label as a one-hot vector."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int, num_classes: int):
        super().__init__(shape, latent_dim + num_classes, width)
        self.num_classes = num_classes

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` and class numbers ``(B,)`` to images ``(B, C, H, W)`` in [-1, 1]."""
        return super().forward(torch.cat([z, one_hot(labels, self.num_classes).to(z)], 1))


class ConcatDiscriminator(nn.Module):
    """A discriminator that sees the label as further channels: that of the class is 1 everywhere, the others 0."""

    def __init__(self, shape: tuple[int, ...], width: int, num_classes: int):
        super().__init__()
        self.num_classes = num_classes
        self.trunk, features = trunk((shape[0] + num_classes, *shape[1:]), width)
        self.logit = nn.Linear(math.prod(features), 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` and class numbers ``(B,)`` to logits ``(B,)``."""
        planes = one_hot(labels, self.num_classes).to(x)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.logit(self.trunk(torch.cat([x, planes], 1)).flatten(1)).squeeze(1)


class ProjectionDiscriminator(nn.Module):
    r""":math:`\ell(x, y) = \psi(\phi(x)) + \langle V_y, \phi(x) \rangle`. Miyato and Koyama (2018), equation 3.

    Every layer is spectrally normalised, the embedding :math:`V` too. Their :math:`\phi` ends in a sum over places;
    here the places stay apart, because the few channels of a small network do not tell classes apart without them.
    :math:`\psi` has no bias: while no logit is beyond its margin, the hinge loss has the slopes -1 and +1 by it for
    real and fake, and rounding would decide its way.
    """

    def __init__(self, shape: tuple[int, ...], width: int, num_classes: int):
        super().__init__()
        self.trunk, features = trunk(shape, width, spectral=True)
        self.psi = spectral_norm(nn.Linear(math.prod(features), 1, bias=False))
        self.embed = spectral_norm(nn.Embedding(num_classes, math.prod(features)))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` and class numbers ``(B,)`` to logits ``(B,)``."""
        phi = self.trunk(x).flatten(1)
        return self.psi(phi).squeeze(1) + (self.embed(labels) * phi).sum(1)


class ConditionalGAN(common.ClassSampler, nn.Module):
    """Conditional GAN: both networks are given the label beside their input. Mirza and Osindero (2014), equation 2.

    The label is laid beside the input as a one-hot vector, and the loss is the non-saturating one. Subclasses
    change the networks and the loss, and inherit the rest.

    Fakes are given the labels of the real batch. So real and fake labels have the same distribution, whatever it is
    in the data, and the label alone never tells a fake; labels drawn uniformly would do so where classes are not
    equally frequent.

    Args:
        shape, latent_dim, lr_g, lr_d, beta1, beta2, ema_decay: see :mod:`gan_course.models`.
        num_classes: number of classes; labels are 0 to num_classes - 1.
        width: channels at full size, in both networks; twice as many after each halving.
    """

    family = "cgan"
    n_critic = 1
    loss = "non-saturating"  #: key of :data:`gan_course.losses.LOSSES`
    networks = (ConcatGenerator, ConcatDiscriminator)

    @recorded
    def __init__(
        self,
        shape: ImageShape = (1, 28, 28), num_classes: Count = 10, latent_dim: Count = 64, width: Count = 16,
        lr_g: Positive = 2e-3, lr_d: Positive = 1e-3, beta1: Share = 0.5, beta2: Share = 0.999,
        ema_decay: Share = 0.99,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.num_classes, self.latent_dim = shape, num_classes, latent_dim
        self.discriminator_loss, self.generator_loss = losses.pair(self.loss)
        generator, discriminator = self.networks
        self.generator = generator(shape, latent_dim, width, num_classes)
        self.discriminator = discriminator(shape, width, num_classes)
        self.ema = EMA(self.generator, ema_decay)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.discriminator, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once per batch in ``real``, ``(n_critic, B, C, H, W)``, then the generator once.

        ``labels`` are their class numbers, ``(n_critic, B)``.
        """
        checks.check_real(real, self.shape, least=2)
        labels, b = self.checked_labels(labels, real.shape[:2]), real.shape[1]
        for x, y in zip(real, labels, strict=True):
            with torch.no_grad():
                fake = self.generator(self.latents(b), y)  # with the labels of the real batch: see the class
            advance_spectral_norms(self.discriminator)  # where it has any
            real_logits, fake_logits = self.discriminator(torch.cat([x, fake]), y.repeat(2)).chunk(2)
            loss_d = self.discriminator_loss(real_logits, fake_logits)  # equation 2, per sample and its label
            common.update(self.optimizer_d, loss_d)

        loss_g = self.generator_loss(self.discriminator(self.generator(self.latents(b), y), y))  # the last labels
        common.update(self.optimizer_g, loss_g)
        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, logit_real=real_logits, logit_fake=fake_logits)


class ProjectionGAN(ConditionalGAN):
    """The projection discriminator, against a generator with conditional batch norm. Miyato and Koyama (2018).

    The discriminator is :class:`ProjectionDiscriminator`, the loss is hinge. The label reaches the generator through
    the gains and biases of its batch norms only. Arguments and step are those of :class:`ConditionalGAN`.
    """

    family = "projection"
    loss = "hinge"
    networks = (Generator, ProjectionDiscriminator)
