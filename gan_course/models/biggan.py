"""A small BigGAN. Zhang et al. (2019), whose SAGAN it grew from; Brock et al. (2019), sections 3 and 4, appendix B.

Beside what stood before (the projection discriminator and the hinge loss) it has parts that each have a switch:
self-attention in both networks, spectral norm in the generator too, one embedding of the classes for all conditional
batch norms, a latent of which each block has a part of its own, a penalty on filters that are not orthogonal, and an
average of the generator. :func:`truncated` is its trick at sampling time.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan_course import checks, losses
from gan_course.checks import Count, ImageShape, Positive, Share, Weight, recorded
from gan_course.layers import (
    ResBlockDown,
    ResBlockUp,
    SelfAttention,
    VectorBatchNorm2d,
    advance_spectral_norms,
    spectral_norm,
)
from gan_course.models import common
from gan_course.models.conditional import halvings
from gan_course.models.ema import EMA

#: Settings per data set, chosen after four trial runs on digits; they serve MNIST too.
_SMALL = {"width": 16, "lr_g": 2e-3, "lr_d": 4e-3, "ema_decay": 0.99, "batch": 64}
RECIPES = {"digits": {**_SMALL, "steps": 700}, "mnist": {**_SMALL, "steps": 1_200, "size": 16}}


class Generator(nn.Module):
    """A linear layer to a small grid, residual blocks that double its size, self-attention before the last of them.

    Args:
        shape: shape of one image, (C, H, W); the grid is as small as halving allows without going below 4x4.
        latent_dim: length of the latent; with ``split`` a multiple of the number of blocks plus 1.
        width: channels at full size; twice as many after each halving.
        num_classes: number of classes.
        embed_dim: length of the shared embedding.
        attention: whether there is self-attention, at half of the height and width.
        spectral: whether linear and convolutional layers are spectrally normalised (the shared embedding is not, nor
            are tables of gains and biases where it is not shared: as in the authors' code).
        shared: whether gains and biases of all conditional norms are linear in one embedding of the class; else each
            norm has a table of its own.
        split: whether the latent is cut into equal parts, one for the first layer and one for each block, whose
            conditional norms see it beside the class; else all of it enters the first layer.
    """

    def __init__(
        self, shape: tuple[int, ...], latent_dim: int, width: int, num_classes: int, embed_dim: int = 32,
        attention: bool = True, spectral: bool = True, shared: bool = True, split: bool = True,
    ):  # fmt: skip
        super().__init__()
        normalised = spectral_norm if spectral else nn.Identity()
        ups = halvings(shape)
        if not ups:
            raise ValueError(f"shape must be of images whose sides can be halved, 8 pixels or more, got {shape}")
        self.parts = ups + 1 if split else 1
        if latent_dim % self.parts:
            raise ValueError(f"latent_dim must be a multiple of {self.parts}, one part per block, got {latent_dim}")
        channels = [width << i for i in range(ups, -1, -1)]
        self.grid = (channels[0], shape[1] >> ups, shape[2] >> ups)
        self.num_classes = num_classes
        self.embed = nn.Embedding(num_classes, embed_dim) if shared else None
        part = latent_dim // self.parts
        told = (embed_dim if shared else num_classes) + (part if split else 0)
        norm = functools.partial(VectorBatchNorm2d, inputs=told, spectral=spectral and shared)
        self.first = normalised(nn.Linear(part, math.prod(self.grid)))
        self.blocks = nn.ModuleList(ResBlockUp(c, c // 2, norm, spectral) for c in channels[:-1])
        self.attention = SelfAttention(2 * width, spectral) if attention else nn.Identity()
        self.norm = nn.BatchNorm2d(width)
        self.last = normalised(nn.Conv2d(width, shape[0], 3, padding=1))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` and class numbers ``(B,)`` to images ``(B, C, H, W)`` in [-1, 1]."""
        own, *others = z.chunk(self.parts, 1)  # one part only without the split
        told = self.classes(labels).to(z)
        given = [torch.cat([told, part], 1) for part in others] or [told] * len(self.blocks)
        h = self.first(own).unflatten(1, self.grid)
        for block, vector in zip(self.blocks[:-1], given[:-1], strict=True):
            h = block(h, vector)
        h = self.blocks[-1](self.attention(h), given[-1])
        return self.last(self.norm(h).relu()).tanh()

    def classes(self, labels: Tensor) -> Tensor:
        """Return the embedding of class numbers ``(B,)``, or one-hot vectors where it is not shared."""
        if self.embed is None:
            return labels[:, None] == torch.arange(self.num_classes, device=labels.device)
        return self.embed(labels)


class Discriminator(nn.Module):
    r"""Residual blocks, the sum over all places, and :math:`\ell(x, y) = \psi(\phi(x)) + \langle V_y, \phi(x) \rangle`.

    Miyato and Koyama (2018), equation 3. Every weight is spectrally normalised. :math:`\psi` has no bias, as in
    :class:`gan_course.models.conditional.ProjectionDiscriminator`.

    Args:
        shape, num_classes, attention: as of :class:`Generator`.
        width: channels of the first block; twice as many after each further halving.
    """

    def __init__(self, shape: tuple[int, ...], width: int, num_classes: int, attention: bool = True):
        super().__init__()
        channels = [width << i for i in range(halvings(shape))]
        self.first = ResBlockDown(shape[0], width, first=True)
        self.attention = SelfAttention(width, spectral=True) if attention else nn.Identity()
        self.blocks = nn.Sequential(
            *[ResBlockDown(c, 2 * c) for c in channels[:-1]],
            ResBlockDown(channels[-1], channels[-1], downsample=False), nn.ReLU(),
        )  # fmt: skip
        self.psi = spectral_norm(nn.Linear(channels[-1], 1, bias=False))
        self.embed = spectral_norm(nn.Embedding(num_classes, channels[-1]))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` and class numbers ``(B,)`` to logits ``(B,)``."""
        phi = self.blocks(self.attention(self.first(x))).sum((2, 3))
        return self.psi(phi).squeeze(1) + (self.embed(labels) * phi).sum(1)


class BigGAN(common.ClassSampler, nn.Module):
    r"""A small BigGAN, and the training step. Brock et al. (2019), section 3.

    Both networks are spectrally normalised, as in SAGAN; the loss is hinge; fakes have the labels of the real batch.
    Where the authors' networks differ, it is in size: 64 to 128 channels at full size, batches of 256 to 2,048,
    latents of 120 numbers and more, an embedding of 128, rates of 5e-5 and 2e-4, :math:`\beta_2` of .999, two updates
    of the discriminator per step, an average with decay .9999. Samples are made with the running statistics of the
    generator in training; the authors compute those of the averaged one anew.

    Args:
        shape, lr_g, lr_d, beta1, beta2, ema_decay, n_critic: see :mod:`gan_course.models`.
        latent_dim, width, num_classes, embed_dim, attention, shared, split: as of :class:`Generator`; ``attention`` is
            in both networks. 60 can be split for every number of blocks up to 5.
        spectral_g: whether the generator is spectrally normalised, as the discriminator is.
        orthogonal: weight of :func:`orthogonal_penalty`, :math:`\beta` in equation 3; 0 for none.
        ema_ramp: whether the average's decay begins low (:class:`gan_course.models.ema.EMA`).
    """

    family = "biggan"

    @recorded
    def __init__(
        self,
        shape: ImageShape = (3, 32, 32), num_classes: Count = 10, latent_dim: Count = 60, width: Count = 32,
        embed_dim: Count = 32, attention: bool = True, spectral_g: bool = True, shared: bool = True,
        split: bool = True, orthogonal: Weight = 1e-4, n_critic: Count = 1,
        lr_g: Positive = 2e-4, lr_d: Positive = 5e-4, beta1: Share = 0.0, beta2: Share = 0.999,
        ema_decay: Share = 0.999, ema_ramp: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.num_classes, self.latent_dim = shape, num_classes, latent_dim
        self.n_critic, self.orthogonal = n_critic, orthogonal
        self.generator = Generator(
            shape, latent_dim, width, num_classes, embed_dim, attention, spectral_g, shared, split
        )
        self.discriminator = Discriminator(shape, width, num_classes, attention)
        for network in (self.generator, self.discriminator):
            start_orthogonal(network)
        self.ema = EMA(self.generator, ema_decay, ema_ramp)
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
                fake = self.generator(self.latents(b), y)
            advance_spectral_norms(self.discriminator)
            real_logits, fake_logits = self.discriminator(torch.cat([x, fake]), y.repeat(2)).chunk(2)
            loss_d = losses.discriminator_hinge(real_logits, fake_logits)
            common.update(self.optimizer_d, loss_d)

        advance_spectral_norms(self.generator)  # where it has any
        loss_g = losses.generator_wasserstein(self.discriminator(self.generator(self.latents(b), y), y))
        penalty = self.orthogonal * orthogonal_penalty(self.generator) if self.orthogonal else 0.0
        common.update(self.optimizer_g, loss_g + penalty)
        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, logit_real=real_logits, logit_fake=fake_logits)


def filters(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of linear and convolutional layers, by name, as matrices with one filter per row.

    They are the learned ones, before any spectral normalisation; embeddings are left out.
    """
    found = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            learned = module.parametrizations.weight.original if parametrize.is_parametrized(module) else module.weight
            found[name] = learned.flatten(1)
    return found


def orthogonal_penalty(network: nn.Module) -> Tensor:
    r""":math:`\sum_W \|W W^\top \odot (\mathbf 1 - I)\|_F^2`: how far the filters of a network are from orthogonal.

    Brock et al. (2019), equation 3, without its weight :math:`\beta`; a filter is a row of W here and a column there.
    The inner products of different filters are pushed to 0, their lengths are free. As in the authors' code, W are the
    weights before spectral normalisation, and embeddings are left out. (That code writes the gradient down, and half
    of it.)
    """
    total = torch.zeros(())
    with torch.autocast(common.device_of(network).type, enabled=False):
        for weight in filters(network).values():
            # The sum of all squared inner products of rows is that of columns, and the smaller matrix is cheaper.
            gram = weight @ weight.mT if weight.shape[0] <= weight.shape[1] else weight.mT @ weight
            total = total.to(weight) + gram.square().sum() - weight.square().sum(1).square().sum()
    return total


@torch.no_grad()
def start_orthogonal(network: nn.Module) -> None:
    """Draw all weights anew as orthogonal matrices, as Brock et al. (2019) do; biases stay.

    Rows are orthonormal where there are no more of them than columns, else columns are (Saxe et al., 2014).
    """
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.orthogonal_(parameter)
    advance_spectral_norms(network, 15)


def truncated(z: Tensor, threshold: float, generator: torch.Generator | None = None) -> Tensor:
    """Return latents ``(n, latent_dim)`` whose numbers beyond ``threshold`` are drawn again, from ``generator`` if
    given, until none is.

    So a standard normal ``z`` becomes a normal one that is cut off at plus and minus the threshold: the truncation
    trick of Brock et al. (2019), section 3.1.
    """
    checks.positive("threshold", threshold)
    z = z.clone()
    while (beyond := z.abs() > threshold).any():
        count = int(beyond.sum())
        device = z.device if generator is None else generator.device
        z[beyond] = torch.randn(count, generator=generator, device=device).to(z)
    return z
