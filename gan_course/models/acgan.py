"""The auxiliary classifier GAN. Odena et al. (2017)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gan_course import checks
from gan_course.models import common, conditional
from gan_course.models.conditional import ConcatGenerator, ConditionalGAN, trunk

RECIPES = conditional.RECIPES  # its networks have the same size


class AuxiliaryDiscriminator(nn.Module):
    """A discriminator with two heads: is the image real, and which class does it show?"""

    def __init__(self, shape: tuple[int, ...], width: int, num_classes: int):
        super().__init__()
        self.trunk, features = trunk(shape, width)
        self.source, self.classifier = nn.Linear(math.prod(features), 1), nn.Linear(math.prod(features), num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images ``(B, C, H, W)`` to logits of "real" ``(B,)`` and of the classes ``(B, num_classes)``."""
        phi = self.trunk(x).flatten(1)
        return self.source(phi).squeeze(1), self.classifier(phi)


class ACGAN(ConditionalGAN):
    r"""The auxiliary classifier GAN. Odena et al. (2017), section 3.

    With :math:`L_S` the log-likelihood of the source and

    .. math:: L_C = E[\log P(c \mid x)] + E[\log P(c \mid G(z, c))]

    that of the class, the discriminator maximises :math:`L_S + L_C` and the generator :math:`L_C - L_S` (here in the
    non-saturating form). The label enters the generator only.

    A known bias: the generator is paid for images that are classified with ease, not for the images of a class in
    their own frequencies. So it avoids those near the border to another class, and where classes overlap it does not
    learn the distribution, even with perfect networks (Shu et al., 2017; Gong et al., 2019). A high class accuracy
    says nothing about it: look at a Frechet distance too.

    Its arguments are those of :class:`ConditionalGAN`.
    """

    family = "acgan"
    networks = (ConcatGenerator, AuxiliaryDiscriminator)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once per batch in ``real``, then the generator once.

        ``real`` is ``(n_critic, B, C, H, W)``, ``labels`` are ``(n_critic, B)``. The returned ``loss_d`` and ``loss_g``
        are the source's part; ``class_real`` and ``class_fake`` are D's cross-entropies of the class, in nats.
        """
        checks.check_real(real, self.shape, least=2)
        labels, b = self.checked_labels(labels, real.shape[:2]), real.shape[1]
        for x, y in zip(real, labels, strict=True):
            with torch.no_grad():
                fake = self.generator(self.latents(b), y)  # the label enters here; D is not told it
            source, classes = self.discriminator(torch.cat([x, fake]))
            loss_d = self.discriminator_loss(*source.chunk(2))  # -L_S
            # cross_entropy takes logits: it contains the softmax.
            class_real, class_fake = (cross_entropy(logits, y) for logits in classes.chunk(2))
            common.update(self.optimizer_d, loss_d + class_real + class_fake)  # -(L_S + L_C), L_C on fakes too

        source, classes = self.discriminator(self.generator(self.latents(b), y))
        loss_g = self.generator_loss(source)  # the non-saturating form of L_S
        common.update(self.optimizer_g, loss_g + cross_entropy(classes, y))  # -(L_C - L_S): L_C has the same sign
        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, class_real=class_real, class_fake=class_fake)
