"""One translator between many domains: the generator is told where to go. Choi et al. (2018)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, l1_loss

from gan_course import checks, losses, parallel
from gan_course.checks import Count, ImageShape, Positive, Share, Weight, Whole, recorded
from gan_course.errors import unknown
from gan_course.layers import ResidualBlock
from gan_course.models import common
from gan_course.models.ema import EMA

#: Settings per data set. With the paper's weight of the cycle, 10, and 1,500 steps, textures were lost (one seed).
RECIPES = {
    "glyphs": {"groups": (6, 6, 2), "width": 16, "downs": 1, "blocks": 2, "norm": "batch", "reconstruct": 50.0,
               "n_critic": 2, "lr_g": 1e-3, "lr_d": 1e-3, "batch": 16, "steps": 2_000, "size": 32},
}  # fmt: skip

#: What the command line calls a domain of ``glyphs``.
GLYPH_FACTORS = ("ink", "background", "weight")
NORMS = {"instance": partial(nn.InstanceNorm2d, affine=True), "batch": nn.BatchNorm2d}


def words(labels: Tensor, num_classes: int) -> Tensor:
    """Return the vectors c, ``(B, num_classes)``: 1 at each word of the labels ``(B, L)``, else 0."""
    return (labels[:, :, None] == torch.arange(num_classes, device=labels.device)).any(1)


class Generator(nn.Module):
    """As :class:`gan_course.models.cyclegan.ResNetGenerator`, with the label laid beside the image. Table 4.

    Each word of the label is a plane that is 1 or 0 everywhere. The borders are padded by zeros: with reflection, the
    planes stay constant under the first convolution, and instance norm, which subtracts each channel's mean, removes
    all that they said. With zeros they leave a trace: loud near the border, faint everywhere else.

    Args:
        channels: of the images.
        num_classes: words of the labels.
        width, downs, blocks, norm: as of :class:`StarGAN`; each of ``downs`` halvings doubles the channels.
    """

    def __init__(self, channels: int, num_classes: int, width: int, downs: int, blocks: int, norm: str):
        super().__init__()
        if norm not in NORMS:
            raise unknown("norm", norm, NORMS)
        self.num_classes, norm = num_classes, NORMS[norm]
        layers = [nn.Conv2d(channels + num_classes, width, 7, padding=3, bias=False), norm(width), nn.ReLU()]
        for c in (width * 2**i for i in range(downs)):
            layers += [nn.Conv2d(c, 2 * c, 4, stride=2, padding=1, bias=False), norm(2 * c), nn.ReLU()]
        layers += [ResidualBlock(width * 2**downs, norm, padding="zeros") for _ in range(blocks)]
        for c in (width * 2**i for i in reversed(range(downs))):
            layers += [nn.ConvTranspose2d(2 * c, c, 4, stride=2, padding=1, bias=False), norm(c), nn.ReLU()]
        layers += [nn.Conv2d(width, channels, 7, padding=3, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` and labels ``(B, L)`` to images of the same shape in [-1, 1]."""
        planes = words(labels, self.num_classes).to(x)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.layers(torch.cat([x, planes], 1))


class Critic(nn.Module):
    """Two questions to one network: how real is the image, and which domain does it show? Table 5.

    There is no norm, for the penalty on the slope. The label is no input: the critic has to find it.

    Args:
        shape: ``(C, H, W)`` of the images. They are halved down to a side of 2 or 3, as 128x128 in the paper, or as
            often as both sides are even.
        num_classes: words of the labels.
        width: channels after the first halving, doubled by each further one.
    """

    def __init__(self, shape: tuple[int, ...], num_classes: int, width: int):
        super().__init__()
        (channels, height, width_), layers = shape, []
        while height % 2 == width_ % 2 == 0 and min(height, width_) >= 4:
            out = width << len(layers) // 2
            layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1), nn.LeakyReLU(0.01)]
            channels, height, width_ = out, height // 2, width_ // 2
        self.trunk = nn.Sequential(*layers)
        self.source = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.classifier = nn.Conv2d(channels, num_classes, (height, width_), bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images ``(B, C, H, W)`` to scores ``(B,)``, means over patches, and logits ``(B, num_classes)``."""
        h = self.trunk(x)
        return self.source(h).mean((1, 2, 3)), self.classifier(h).flatten(1)


class StarGAN(nn.Module):
    r"""StarGAN: one generator that is told the domain, a critic that also names it, and their training step.

    With an image :math:`x` of domain :math:`c'` and a target :math:`c`, the critic minimises

    .. math:: E[D(G(x, c))] - E[D(x)] + \lambda_{gp} E[(\|\nabla D(\hat x)\| - 1)^2]
              - \lambda_{cls} E[\log D_{cls}(c' \mid x)]

    and the generator

    .. math:: -E[D(G(x, c))] - \lambda_{cls} E[\log D_{cls}(c \mid G(x, c))]
              + \lambda_{rec} E[\|x - G(G(x, c), c')\|_1]

    (equations 2 to 6 and 8). D learns the domains from real images alone, and so has no part in a game about them.

    A domain is a label of ``len(groups)`` words, one of each group: with 6 inks and 2 weights, word 3 and word 7 are
    the fourth ink and the second weight. The paper's attributes of faces are groups of two, with one sigmoid each;
    its expressions are one group.

    Args:
        shape, n_critic, lr_g, lr_d, beta1, beta2: see :mod:`gan_course.models`.
        num_classes: words in all.
        groups: numbers of words in each group; they add up to ``num_classes``. By default one group of all.
        width: channels of the first layer, in both networks; 64 in the paper.
        downs: how often the generator halves the size.
        blocks: residual blocks of the generator; 6 in the paper.
        norm: of the generator, ``"instance"`` (the paper's) or ``"batch"``.
        classify: :math:`\lambda_{cls}`.
        reconstruct: :math:`\lambda_{rec}`, the weight of the cycle.
        penalty: :math:`\lambda_{gp}`, the weight of :func:`gan_course.losses.gradient_penalty`. D is the mean over
            patches, here and in the losses; the authors' program penalises the slope of their sum.
        ema_decay: decay of the average of the generator that :meth:`translate` uses; 0, as in the paper, for none.
    """

    family = "stargan"

    @recorded
    def __init__(
        self,
        shape: ImageShape = (3, 128, 128), num_classes: Count = 5, groups: tuple[int, ...] | None = None,
        width: Count = 64, downs: Whole = 2, blocks: Whole = 6, norm: str = "instance",
        classify: Weight = 1.0, reconstruct: Weight = 10.0, penalty: Weight = 10.0, n_critic: Count = 5,
        lr_g: Positive = 1e-4, lr_d: Positive = 1e-4, beta1: Share = 0.5, beta2: Share = 0.999,
        ema_decay: Share = 0.0,
    ):  # fmt: skip
        super().__init__()
        least = max(4, 2 ** (downs + 1))
        if any(side % 2**downs or side < least for side in shape[1:]):
            sides = f"a height and a width of at least {least} that are multiples of {2**downs} for {downs} downs"
            raise ValueError(f"shape must have {sides}, got {shape}")
        groups = (num_classes,) if groups is None else tuple(groups)
        if sum(groups) != num_classes or min(groups, default=0) < 1:
            raise ValueError(f"groups must be positive and add up to {num_classes} classes, got {groups}")
        self.settings["groups"] = groups
        self.shape, self.num_classes, self.groups, self.n_critic = shape, num_classes, groups, n_critic
        self.classify, self.reconstruct, self.penalty = classify, reconstruct, penalty
        self.generator = Generator(shape[0], num_classes, width, downs, blocks, norm)
        self.critic = Critic(shape, num_classes, width)
        self.ema = EMA(self.generator, ema_decay)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.critic, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the critic once per batch in ``real``, ``(n_critic, B, C, H, W)``, then the generator once.

        ``labels`` are the domains of the images, ``(n_critic, B, L)`` with L groups, or ``(n_critic, B)`` where there
        is one. An image's target is the domain of the one before it in the batch; by chance it is its own.

        Returned are also the parts of the losses without their weights: ``wasserstein`` (the estimate E D(x) - E D(G)),
        ``penalty``, ``class_real`` and ``class_fake`` (in nats, summed over groups), and ``cycle``.
        """
        checks.check_real(real, self.shape, least=2)
        labels = self.checked_labels(labels, real.shape[:2])
        for x, source in zip(real, labels, strict=True):
            target = parallel.own(parallel.gather(source).roll(1, 0))  # the order of the data is random
            with torch.no_grad():
                fake = self.generator(x, target)
            scores, logits = self.critic(torch.cat([x, fake]))  # one pass: it has no batch norm
            distance = -losses.critic_wasserstein(*scores.chunk(2))
            penalty = losses.gradient_penalty(lambda between: self.critic(between)[0], x, fake)
            class_real = self.class_loss(logits.chunk(2)[0], source)  # equation 2: real images and their own domains
            loss_d = -distance + self.penalty * penalty + self.classify * class_real  # equations 5 and 8
            common.update(self.optimizer_d, loss_d)

        fake = self.generator(x, target)
        scores, logits = self.critic(fake)
        class_fake = self.class_loss(logits, target)  # equation 3: where it was sent
        cycle = l1_loss(self.generator(fake, source), x)  # equation 4: and back, with the same generator
        loss_g = losses.generator_wasserstein(scores) + self.classify * class_fake + self.reconstruct * cycle
        common.update(self.optimizer_g, loss_g)  # equation 6

        self.ema.update(self.generator)
        parts = {"wasserstein": distance, "penalty": penalty, "class_real": class_real, "class_fake": class_fake}
        return common.logged(loss_d=loss_d, loss_g=loss_g, cycle=cycle, **parts)

    def class_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of labels ``(B, L)``, summed over the groups, of logits ``(B, num_classes)``."""
        parts = zip(self._firsts(), logits.split(self.groups, 1), labels.unbind(1), strict=True)
        return torch.stack([cross_entropy(group, word - first) for first, group, word in parts]).sum()

    def checked_labels(self, labels: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        """Return ``labels`` as int64 ``(*shape, L)`` if they hold one word of each group.

        The ranges are checked on the CPU only.
        """
        if len(self.groups) == 1 and isinstance(labels, Tensor) and labels.ndim == len(shape):
            labels = labels.unsqueeze(-1)
        labels = checks.check_labels(labels, (*shape, len(self.groups)), self.num_classes).long()
        if labels.device.type == "cpu" and len(self.groups) > 1:
            for place, (first, size) in enumerate(zip(self._firsts(), self.groups, strict=True)):
                low, high = (int(v) for v in labels[..., place].aminmax())
                if low < first or high >= first + size:
                    wanted = f"words from {first} to {first + size - 1} in place {place}"
                    raise ValueError(f"labels must hold {wanted}, got values from {low} to {high}")
        return labels

    def default_labels(self, n: int) -> Tensor:
        """Return domains in which each group's words come in turn, ``(n, L)``."""
        device, groups = common.device_of(self), zip(self._firsts(), self.groups, strict=True)
        return torch.stack([first + common.cycled_labels(n, size, device) for first, size in groups], 1)

    def _firsts(self) -> list[int]:
        """The first word of each group."""
        return [sum(self.groups[:i]) for i in range(len(self.groups))]

    @torch.no_grad()
    def translate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Translate images ``(n, C, H, W)`` in [-1, 1] to the domains ``labels``, ``(n, L)``, or ``(n,)`` for one group
        (:meth:`default_labels` if not given), by the averaged generator."""
        checks.check_images(x, self.shape)
        labels = self.default_labels(len(x)) if labels is None else self.checked_labels(labels, x.shape[:1])
        return common.in_passes(self.ema, x.shape[1:], x, labels.to(x.device))
