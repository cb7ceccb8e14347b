r"""Adversarial losses as pure functions of logits.

The discriminator returns a logit :math:`\ell(x)`; its probability that ``x`` is real is
:math:`D(x) = \sigma(\ell(x))`. Written with logits, every logarithm becomes a softplus,

.. math:: -\log D = \operatorname{softplus}(-\ell), \qquad -\log(1 - D) = \operatorname{softplus}(\ell),

which neither overflows nor loses its gradient, unlike ``log(sigmoid(...))``.

All functions take logits of any (equal or different) shape and return a scalar tensor, the mean over all
elements, **to be minimised**. Values are in nats.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import softplus

from gan_course.errors import unknown


def discriminator_cross_entropy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r"""Minus the value function: :math:`-E[\log D(x)] - E[\log(1 - D(G(z)))]`.

    Goodfellow et al. (2014), equation 1 and the discriminator update of Algorithm 1.
    """
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def generator_saturating(fake_logits: Tensor) -> Tensor:
    r"""The generator's part of the minimax game: :math:`E[\log(1 - D(G(z)))]`.

    Its derivative by the logit is :math:`-D`, which vanishes where the discriminator is sure that the sample is
    fake. Goodfellow et al. (2014), the generator update of Algorithm 1.
    """
    return -softplus(fake_logits).mean()


def generator_non_saturating(fake_logits: Tensor) -> Tensor:
    r""":math:`-E[\log D(G(z))]`, whose derivative by the logit is :math:`-(1 - D)`.

    Goodfellow et al. (2014), end of section 3.
    """
    return softplus(-fake_logits).mean()


def discriminator_least_squares(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r""":math:`\tfrac12 E[(\ell(x) - 1)^2] + \tfrac12 E[\ell(G(z))^2]`.

    Mao et al. (2017), equation 9: targets 1 for real and 0 for fake. There is no sigmoid: the output of the
    network is regressed on the targets.
    """
    return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()


def generator_least_squares(fake_logits: Tensor) -> Tensor:
    r""":math:`\tfrac12 E[(\ell(G(z)) - 1)^2]`. Mao et al. (2017), equation 9."""
    return 0.5 * (fake_logits - 1).square().mean()


#: name -> (discriminator loss, generator loss)
LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "non-saturating": (discriminator_cross_entropy, generator_non_saturating),
    "saturating": (discriminator_cross_entropy, generator_saturating),
    "least-squares": (discriminator_least_squares, generator_least_squares),
}


def pair(name: str) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Return ``(discriminator_loss, generator_loss)`` of the named game.

    Raises:
        ValueError: if the name is unknown; the message names the nearest known one.
    """
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name]
