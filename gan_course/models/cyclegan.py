"""Translation learned without pairs: two translators that undo each other. Zhu et al. (2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_course import checks, losses, parallel
from gan_course.checks import Count, PairShape, Positive, Share, Weight, Whole, recorded
from gan_course.errors import unknown
from gan_course.layers import ResidualBlock, initialize
from gan_course.models import common
from gan_course.models.ema import EMA
from gan_course.models.pix2pix import PatchGAN, fitting_patch, norm_named

#: Settings per data set, chosen after trial runs on several seeds.
RECIPES = {
    "neon-digits": {"width": 16, "downs": 2, "blocks": 2, "norm": "batch", "patch": 34, "cycle": 10.0,
                    "lr_g": 1e-3, "lr_d": 1e-3, "batch": 32, "steps": 200, "size": 16},
}  # fmt: skip


class ResNetGenerator(nn.Module):
    """Halve the size a few times, change the image in residual blocks, double the size again.

    Zhu et al. (2017), appendix 7.2, after Johnson et al. (2016). Borders are padded by reflection, which leaves fewer
    traces than zeros.

    Args:
        channels: of the images.
        width, downs, blocks, norm: as of :class:`CycleGAN`; each of ``downs`` halvings doubles the channels.
    """

    def __init__(self, channels: int, width: int, downs: int, blocks: int, norm: str):
        super().__init__()
        if norm == "none":
            raise unknown("norm of residual blocks", norm, ("instance", "batch"))
        norm = norm_named(norm)  # which would subtract a bias before it
        layers = [nn.Conv2d(channels, width, 7, padding=3, padding_mode="reflect", bias=False), norm(width), nn.ReLU()]
        for c in (width * 2**i for i in range(downs)):
            layers += [nn.Conv2d(c, 2 * c, 3, stride=2, padding=1, bias=False), norm(2 * c), nn.ReLU()]
        layers += [ResidualBlock(width * 2**downs, norm) for _ in range(blocks)]
        for c in (width * 2**i for i in reversed(range(downs))):
            up = nn.ConvTranspose2d(2 * c, c, 3, stride=2, padding=1, output_padding=1, bias=False)
            layers += [up, norm(c), nn.ReLU()]
        layers += [nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect"), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape in [-1, 1]."""
        return self.layers(x)


class ImagePool(nn.Module):
    """Earlier fakes, so that the discriminator does not forget them. Zhu et al. (2017), section 4; Shrivastava et al.
    (2017), section 2.3.

    Until it is full, each image that comes is stored and returned. After that, with probability 1/2 an image is
    returned as it came, else it takes the place of a stored one (each as likely as any other), which is returned. The
    images and their number are buffers, so a checkpoint holds them.

    Args:
        size: images to keep; 0 returns what comes.
        shape: ``(C, H, W)`` of an image.
    """

    def __init__(self, size: int, shape: tuple[int, ...]):
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Take ``(B, C, H, W)`` and return as many, new and old; one after the other, as the paper has them come."""
        size = len(self.images)
        if not size:
            return images.detach()
        images = parallel.gather(images)  # several processes keep the same pool
        places = torch.randint(size, (len(images), 1), device=images.device)
        swaps = torch.rand(len(images), 1, device=images.device) < 0.5
        returned = []
        for image, place, swap in zip(images.split(1), places, swaps, strict=True):
            filling = self.count < size  # tensors of one element, so that the device is never waited for
            place = torch.where(filling, self.count, place)
            old = self.images[place]
            self.images[place] = torch.where(filling | swap, image, old)
            self.count += filling
            returned.append(torch.where(swap & ~filling, old, image))
        return parallel.own(torch.cat(returned))


class CycleGAN(nn.Module):
    r"""CycleGAN: two generators that undo each other, a discriminator for each domain, and their training step.

    With :math:`G: A \to B` and :math:`F: B \to A`, the loss is

    .. math:: \mathcal L_{GAN}(G, D_B) + \mathcal L_{GAN}(F, D_A)
              + \lambda\,E\big[\|F(G(a)) - a\|_1 + \|G(F(b)) - b\|_1\big]

    (equations 2 and 3), with least squares in place of logarithms (section 4). The discriminators ask for images of the
    right kind, the cycles for information enough to go back: neither asks for the *right* image.

    Args:
        shape: ``(2, C, H, W)``: an image of each domain, with values in [-1, 1]; they need not belong together.
        width: channels of the first layer, in all networks; 64 in the paper.
        downs: how often the generators halve the size.
        blocks: residual blocks in each generator; the paper has 6 for 128x128 and 9 for 256x256.
        norm: ``"instance"`` (the paper's) or ``"batch"``.
        patch: side of the patch that the discriminators judge, see :class:`gan_course.models.pix2pix.PatchGAN`; by
            default 70, or 34 or 16 for smaller images.
        cycle: :math:`\lambda`, the weight of the cycles.
        identity: weight of :math:`E[\|G(b) - b\|_1 + \|F(a) - a\|_1]` (section 5.2), which keeps colours where both
            domains have the same; the paper takes ``0.5 * cycle`` where it has this loss, as for paintings to photos.
            The authors' programs take ``0.5 * cycle`` unless told otherwise.
        noise: standard deviation of the normal noise that is added to translations before they go back: what is
            hidden in small differences does not survive it (Bashkirova et al., 2019).
        pool: earlier fakes that each discriminator is shown again, see :class:`ImagePool`.
        loss: "least-squares" as in the paper, or another key of :data:`gan_course.losses.LOSSES`.
        lr_g, lr_d, beta1, beta2: see :mod:`gan_course.models`.
        ema_decay: decay of the average of the generators that :meth:`translate` uses; 0, as in the paper, for none.
    """

    family = "cyclegan"
    n_critic = 1
    paired = False  # the data that it is trained on

    @recorded
    def __init__(
        self,
        shape: PairShape = (2, 3, 256, 256), width: Count = 64, downs: Whole = 2, blocks: Whole = 9,
        norm: str = "instance", patch: int | None = None,
        cycle: Weight = 10.0, identity: Weight = 0.0, noise: Weight = 0.0, pool: Whole = 50,
        loss: str = "least-squares",
        lr_g: Positive = 2e-4, lr_d: Positive = 2e-4, beta1: Share = 0.5, beta2: Share = 0.999,
        ema_decay: Share = 0.0,
    ):  # fmt: skip
        super().__init__()
        least = max(4, 2 ** (downs + 1))
        if any(side % 2**downs or side < least for side in shape[2:]):
            sides = f"a height and a width of at least {least} that are multiples of {2**downs} for {downs} downs"
            raise ValueError(f"shape must have {sides}, got {shape}")
        patch = fitting_patch(shape) if patch is None else patch
        self.settings["patch"] = patch
        self.shape, self.cycle, self.identity, self.noise = shape, cycle, identity, noise
        self.discriminator_loss, self.generator_loss = losses.pair(loss)
        # The paper's least squares have no factor 1/2 for the generators, and those of Mao et al. have.
        self.gan_weight = 2.0 if loss == "least-squares" else 1.0
        c = shape[1]
        self.generator = nn.ModuleDict({way: ResNetGenerator(c, width, downs, blocks, norm) for way in ("ab", "ba")})
        self.discriminator = nn.ModuleDict({domain: PatchGAN(c, width, patch, norm) for domain in ("a", "b")})
        self.discriminator["a"].check_size(shape)
        self.pool = nn.ModuleDict({domain: ImagePool(pool, shape[1:]) for domain in ("a", "b")})
        initialize(self)
        self.ema = EMA(self.generator, ema_decay)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.discriminator, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update both generators together, then both discriminators.

        ``real`` is ``(1, B, 2, C, H, W)``: images of the two domains. ``loss_d`` and ``loss_g`` are sums over them; the
        parts of the latter come without their weights: ``loss_gan``, ``loss_cycle`` and, where it has a weight,
        ``loss_identity``.
        """
        checks.check_real(real, self.shape, batches=1)
        a, b = real[0].unbind(1)
        g, f = self.generator["ab"], self.generator["ba"]
        d_a, d_b = self.discriminator["a"], self.discriminator["b"]

        fake_b, fake_a = g(a), f(b)  # G: A to B, and F: B to A, of the paper
        loss_gan = self.gan_weight * (self.generator_loss(d_b(fake_b)) + self.generator_loss(d_a(fake_a)))
        back_a, back_b = f(self._noisy(fake_b)), g(self._noisy(fake_a))
        loss_cycle = l1_loss(back_a, a) + l1_loss(back_b, b)  # equation 2: forward and backward cycle
        loss_g = loss_gan + self.cycle * loss_cycle  # equation 3
        parts = {"loss_gan": loss_gan, "loss_cycle": loss_cycle}
        if self.identity:
            parts["loss_identity"] = l1_loss(g(b), b) + l1_loss(f(a), a)
            loss_g = loss_g + self.identity * parts["loss_identity"]
        common.update(self.optimizer_g, loss_g)  # one Adam for both generators: their losses are one sum

        fake_b, fake_a = self.pool["b"](fake_b), self.pool["a"](fake_a)
        # For the discriminators the paper divides by 2: the loss of Mao et al. as it is. Separate passes: with batch
        # norm, real and fake must not share their statistics.
        loss_d_b = self.discriminator_loss(d_b(b), d_b(fake_b))
        loss_d_a = self.discriminator_loss(d_a(a), d_a(fake_a))
        loss_d = loss_d_a + loss_d_b  # they share no weights, so one update is two
        common.update(self.optimizer_d, loss_d)

        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, **parts)

    def _noisy(self, images: Tensor) -> Tensor:
        if not self.noise:
            return images
        return images + self.noise * parallel.randn(*images.shape, dtype=images.dtype, device=images.device)

    @torch.no_grad()
    def translate(self, x: Tensor, direction: str = "ab") -> Tensor:
        """Translate images ``(n, C, H, W)`` in [-1, 1] of the first domain (``"ab"``) or the second (``"ba"``) to the
        other one, by the averaged generators."""
        if direction not in self.generator:
            raise unknown("direction", direction, self.generator)
        checks.check_images(x, self.shape[1:])
        return common.in_passes(self.ema.network[direction], x.shape[1:], x)
