"""Translation learned from pairs: a U-Net, a discriminator of patches, and L1. Isola et al. (2017)."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_course import checks, losses, parallel
from gan_course.checks import Count, PairShape, Positive, Share, Weight, recorded
from gan_course.errors import unknown
from gan_course.layers import initialize
from gan_course.models import common
from gan_course.models.ema import EMA

#: Settings per data set, chosen after trial runs on several seeds.
RECIPES = {
    "from-edges-digits": {"width": 16, "patch": 16, "dropout": 0.0, "lr_g": 1e-3, "lr_d": 1e-3,
                          "batch": 32, "steps": 200, "size": 16},
}  # fmt: skip

NORMS = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d, "none": nn.Identity}
PATCHES = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}  # receptive field -> layers of stride 2


def norm_named(name: str) -> type[nn.Module]:
    """Return the class of a normalisation, to be called with the number of channels."""
    if name not in NORMS:
        raise unknown("norm", name, NORMS)
    return NORMS[name]


def fitting_patch(shape: tuple[int, ...]) -> int:
    """Return the largest patch of 70, 34 and 16 that is not larger than images of ``shape``, at least 16."""
    return max((patch for patch in (16, 34, 70) if patch <= min(shape[-2:])), default=16)


class UNet(nn.Module):
    """An encoder and a decoder, with a skip connection at every size. Isola et al. (2017), appendix 6.1.1.

    Every layer halves or doubles the size; channels are 1, 2, 4, 8, 8, ... times width. What the bottleneck cannot
    hold, such as where exactly an edge lies, goes past it. Layers without a norm have a bias, as in the authors' Lua
    code; in their PyTorch code the encoder's outermost and innermost have none.

    Args:
        shape: ``(C, H, W)`` of both the source and the target. The depth is how often H and W can both be halved, at
            most 8 times: a power of two goes down to 1x1.
        width: channels of the first layer.
        norm: name of the normalisation. The outermost layers have none, and neither has the innermost: a single pixel
            less its own mean is 0, and nothing would pass.
        dropout: share of the channels' values set to 0 in the (at most three) innermost layers of the decoder.
    """

    def __init__(self, shape: tuple[int, ...], width: int, norm: str, dropout: float):
        super().__init__()
        plain = norm == "none"  # a norm would subtract a bias before it
        norm, size = norm_named(norm), math.gcd(*shape[1:])
        depth = min((size & -size).bit_length() - 1, 8)
        if depth < 2:
            raise ValueError(f"shape must have a height and a width that are multiples of 4, got {shape}")
        channels = [shape[0], *(width * min(2**i, 8) for i in range(depth))]
        self.dropout, self.noisy = dropout, min(3, depth - 1)
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for i in range(depth):
            outer, inner, last = channels[i], channels[i + 1], i == depth - 1
            down = nn.Conv2d(outer, inner, 4, 2, 1, bias=i == 0 or last or plain)
            between = norm(inner) if i and not last else nn.Identity()
            self.downs.append(nn.Sequential(down, between, nn.LeakyReLU(0.2)))
            wide = inner if last else 2 * inner  # what came up, and beside it what was kept on the way down
            up = nn.ConvTranspose2d(wide, outer, 4, 2, 1, bias=i == 0 or plain)
            self.ups.insert(0, nn.Sequential(up, *([norm(outer), nn.ReLU()] if i else [nn.Tanh()])))

    def forward(self, x: Tensor, noise: bool = False) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape in [-1, 1]; ``noise`` keeps dropout in evaluation mode too."""
        kept = []
        for down in self.downs:
            x = down(x)
            kept.append(x.relu())  # the paper's ReLUs are leaky on the way down only
        x = kept.pop()
        for i, up in enumerate(self.ups):
            x = up(x if i == 0 else torch.cat([x, kept.pop()], 1))
            if i < self.noisy:
                x = parallel.dropout(x, self.dropout, self.training or noise)
        return x


class PatchGAN(nn.Module):
    """A discriminator that judges every patch of an image by a logit of its own. Isola et al. (2017), appendix 6.1.2.

    Each logit sees a patch and nothing beyond it (with instance norm also the whole image's mean and variance). The
    last layer has a bias, for single pixels too, where the authors' PyTorch code has none.

    Args:
        channels: of the input.
        width: channels of the first layer.
        patch: side of the patch: 70, 34, 16; 142 and 286 for large images; 1 for single pixels.
        norm: name of the normalisation; the first and the last layer have none.
    """

    def __init__(self, channels: int, width: int, patch: int, norm: str):
        super().__init__()
        if patch not in PATCHES:
            raise ValueError(f"patch must be one of {', '.join(map(str, PATCHES))}, got {patch!r}")
        plain, norm, halvings = norm == "none", norm_named(norm), PATCHES[patch]
        kernel, padding, strides = (4, 1, [2] * halvings + [1]) if halvings else (1, 0, [1, 1])
        widths = [channels, *(width * min(2**i, 8) for i in range(len(strides)))]
        layers = []
        for i, stride in enumerate(strides):
            convolution = nn.Conv2d(widths[i], widths[i + 1], kernel, stride, padding, bias=i == 0 or plain)
            layers += [convolution, norm(widths[i + 1]) if i else nn.Identity(), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel, 1, padding))
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)`` to logits ``(B, h, w)``, one for each patch."""
        return self.layers(x).squeeze(1)

    def receptive_field(self) -> int:
        """The side of the patch that a logit sees: n outputs of a layer see (n - 1) stride + kernel inputs."""
        side = 1
        for layer in reversed(self.layers):
            if isinstance(layer, nn.Conv2d):
                side = (side - 1) * layer.stride[0] + layer.kernel_size[0]
        return side

    def check_size(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless at least one logit comes out of images of ``shape``."""
        least = 3 * 2 ** PATCHES[self.patch] if self.patch > 1 else 1
        if min(shape[-2:]) < least:
            raise ValueError(f"patch {self.patch} needs images of at least {least}x{least}, got shape {shape}")


class Pix2Pix(nn.Module):
    r"""pix2pix: a U-Net that translates, judged by a conditional PatchGAN, and the training step of section 3.3.

    .. math:: G^* = \arg\min_G \max_D \mathcal L_{cGAN}(G, D) + \lambda\, \mathcal L_{L1}(G)

    (equation 4), the logarithm in G's part replaced by the non-saturating one. The discriminator sees the source beside
    the target, so that it can tell a good picture from the right one.

    Args:
        shape: ``(2, C, H, W)``: source and target, with values in [-1, 1]; H and W are multiples of 4.
        width: channels of the first layer, in both networks; 64 in the paper.
        norm: ``"instance"``, ``"batch"`` or ``"none"``. The paper has batch norm with the batch's statistics in testing
            too, and batches of 1 to 10; with 1, that is instance norm: the default, because then an image's translation
            depends on that image alone, in training and after it.
        patch: see :class:`PatchGAN`; by default 70, or 34 or 16 for smaller images.
        l1: :math:`\lambda`, the weight of the mean absolute difference to the target.
        dropout: in the inner layers of the decoder, the only noise there is; 0.5 in the paper.
        loss, lr_g, lr_d, beta1, beta2: see :mod:`gan_course.models`.
        ema_decay: decay of the generator average that :meth:`translate` uses; 0, as in the paper, for none.
    """

    family = "pix2pix"
    n_critic = 1
    paired = True  # the data that it is trained on

    @recorded
    def __init__(
        self,
        shape: PairShape = (2, 3, 256, 256), width: Count = 64, norm: str = "instance", patch: int | None = None,
        loss: str = "non-saturating", l1: Weight = 100.0, dropout: Share = 0.5,
        lr_g: Positive = 2e-4, lr_d: Positive = 2e-4, beta1: Share = 0.5, beta2: Share = 0.999,
        ema_decay: Share = 0.0,
    ):  # fmt: skip
        super().__init__()
        patch = fitting_patch(shape) if patch is None else patch
        self.settings["patch"] = patch
        self.shape, self.l1 = shape, l1
        self.discriminator_loss, self.generator_loss = losses.pair(loss)
        self.generator = UNet(shape[1:], width, norm, dropout)
        self.discriminator = PatchGAN(2 * shape[1], width, patch, norm)
        self.discriminator.check_size(shape)
        initialize(self)
        self.ema = EMA(self.generator, ema_decay)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.discriminator, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once, then the generator, with the same translations.

        ``real`` is ``(1, B, 2, C, H, W)``: pairs of source and target. ``l1``, a part of ``loss_g``, is unweighted.
        """
        checks.check_real(real, self.shape, batches=1)
        source, target = real[0].unbind(1)

        fake = self.generator(source)  # with its graph: both updates use the same translations
        # Separate passes: with batch norm, real and fake must not share their statistics.
        real_logits = self.judge(source, target)
        fake_logits = self.judge(source, fake.detach())  # detached: the generator is updated below
        # Halved as in the paper, to slow D down. Adam, whose steps do not depend on the loss's scale, hardly notices.
        loss_d = self.discriminator_loss(real_logits, fake_logits) / 2
        common.update(self.optimizer_d, loss_d)

        l1 = l1_loss(fake, target)  # equation 3: the coarse structure; D is left the texture
        loss_g = self.generator_loss(self.judge(source, fake)) + self.l1 * l1  # equation 4, D as just updated
        common.update(self.optimizer_g, loss_g)

        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, l1=l1)

    def judge(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the logits ``(B, h, w)`` of patches of the pair, source and target stacked as channels."""
        return self.discriminator(torch.cat([source, target], 1))

    @torch.no_grad()
    def translate(self, x: Tensor, noise: bool = False) -> Tensor:
        """Translate sources ``(n, C, H, W)`` in [-1, 1] into targets of the same form, by the averaged generator.

        ``noise`` keeps dropout on, as the paper does: a weak source of variety. Draws from torch's global generator.
        """
        checks.check_images(x, self.shape[1:])
        return common.in_passes(partial(self.ema, noise=noise), x.shape[1:], x)
