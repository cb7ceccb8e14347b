r"""Adversarial losses as pure functions of logits, and penalties on the discriminator's slope.

The discriminator returns a logit :math:`\ell(x)`; its probability that ``x`` is real is
:math:`D(x) = \sigma(\ell(x))`. Written with logits, every logarithm becomes a softplus,

.. math:: -\log D = \operatorname{softplus}(-\ell), \qquad -\log(1 - D) = \operatorname{softplus}(\ell),

which neither overflows nor loses its gradient, unlike ``log(sigmoid(...))``.

The losses take logits of any (equal or different) shape and return a scalar tensor, the mean over all elements, in
float32 or better, **to be minimised**; those with logarithms are in nats. The penalties take the network itself, for
they are about its slope, and come without their weight: multiply and add.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from gan_course import checks, parallel
from gan_course.errors import unknown


def widened(x: Tensor) -> Tensor:
    """Return ``x`` in float32 if autocast left it narrower."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _in_float32(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Compute ``loss`` in float32 where autocast gives logits of 8 bits, whose mean would have no more."""
    return functools.wraps(loss)(lambda *logits: loss(*map(widened, logits)))


@_in_float32
def discriminator_cross_entropy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r"""Minus the value function, :math:`-E[\log D(x)] - E[\log(1 - D(G(z)))]`; Goodfellow et al. (2014), equation 1."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


@_in_float32
def generator_saturating(fake_logits: Tensor) -> Tensor:
    r"""The generator's part of the minimax game: :math:`E[\log(1 - D(G(z)))]`.

    Its derivative by the logit is :math:`-D`, which vanishes where the discriminator is sure that the sample is
    fake. Goodfellow et al. (2014), the generator update of Algorithm 1.
    """
    return -softplus(fake_logits).mean()


@_in_float32
def generator_non_saturating(fake_logits: Tensor) -> Tensor:
    r""":math:`-E[\log D(G(z))]`, of slope :math:`-(1 - D)` by the logit; Goodfellow et al. (2014), end of section 3."""
    return softplus(-fake_logits).mean()


@_in_float32
def discriminator_least_squares(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r""":math:`\tfrac12 E[(\ell(x) - 1)^2] + \tfrac12 E[\ell(G(z))^2]`.

    Mao et al. (2017), equation 9: targets 1 for real and 0 for fake. There is no sigmoid: the output of the
    network is regressed on the targets.
    """
    return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()


@_in_float32
def generator_least_squares(fake_logits: Tensor) -> Tensor:
    r""":math:`\tfrac12 E[(\ell(G(z)) - 1)^2]`. Mao et al. (2017), equation 9."""
    return 0.5 * (fake_logits - 1).square().mean()


@_in_float32
def critic_wasserstein(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    r""":math:`E[f(G(z))] - E[f(x)]`: minus the critic's estimate of the Wasserstein-1 distance, up to its slope.

    The critic must be kept (nearly) 1-Lipschitz by other means: :func:`clip_weights`, :func:`gradient_penalty` or
    spectral normalisation. Its scores are not logits, and no sigmoid follows. Arjovsky et al. (2017), Algorithm 1.
    """
    return fake_scores.mean() - real_scores.mean()


@_in_float32
def generator_wasserstein(fake_scores: Tensor) -> Tensor:
    r""":math:`-E[f(G(z))]`. Arjovsky et al. (2017), Algorithm 1. Also the generator's part of the hinge game."""
    return -fake_scores.mean()


@_in_float32
def discriminator_hinge(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r""":math:`E[\max(0, 1 - \ell(x))] + E[\max(0, 1 + \ell(G(z)))]`. Miyato et al. (2018), equation 16.

    First used for GANs by Lim and Ye (2017) and Tran et al. (2017). Samples on the right side of their margin have no
    gradient; the generator is trained by :func:`generator_wasserstein` (equation 17 of Miyato et al.).
    """
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def _paired(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Refuse logits of unequal shapes, which would be broadcast: every sample against every other one."""

    @functools.wraps(loss)
    def checked(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        if real_logits.shape != fake_logits.shape:
            got = f"{tuple(real_logits.shape)} and {tuple(fake_logits.shape)}"
            raise ValueError(f"real_logits and fake_logits must have one shape, for they are compared, got {got}")
        return loss(real_logits, fake_logits)

    return checked


@_paired
@_in_float32
def discriminator_relativistic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r""":math:`E[\operatorname{softplus}(\ell(G(z)) - \ell(x))]`: the i-th real sample is judged beside the i-th fake.

    With :math:`\sigma(\ell(x) - \ell(G(z)))` as the probability that x is the real one of the two, this is the cross
    entropy of telling which is which: the relativistic standard GAN of Jolicoeur-Martineau (2019), which Sun et al.
    (2020) and Huang et al. (2024) call RpGAN. A number added to all logits changes nothing. Both arguments have the
    same shape.
    """
    return softplus(fake_logits - real_logits).mean()


@_paired
@_in_float32
def generator_relativistic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r""":math:`E[\operatorname{softplus}(\ell(x) - \ell(G(z)))]`: a fake should look more real than the real sample
    beside it.

    The generator's part, as the non-saturating loss is of the original game; no gradient is needed through the real
    logits. References and shapes as of :func:`discriminator_relativistic`.
    """
    return softplus(real_logits - fake_logits).mean()


#: name -> (discriminator loss, generator loss)
LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "non-saturating": (discriminator_cross_entropy, generator_non_saturating),
    "saturating": (discriminator_cross_entropy, generator_saturating),
    "least-squares": (discriminator_least_squares, generator_least_squares),
    "hinge": (discriminator_hinge, generator_wasserstein),
    "wasserstein": (critic_wasserstein, generator_wasserstein),
}


#: name -> (discriminator loss, generator loss), both of real and fake logits
RELATIVISTIC: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "relativistic": (discriminator_relativistic, generator_relativistic),
}


def pair(name: str) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Return ``(discriminator_loss, generator_loss)`` of the named game, a key of :data:`LOSSES`.

    The generator's loss is a function of its own samples' logits. For the games where it is not, see :func:`game`.
    """
    if name in RELATIVISTIC:
        raise ValueError(f"loss must be one whose generator needs no real samples ({', '.join(LOSSES)}), got {name!r}")
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name]


def game(name: str) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]:
    """Return ``(discriminator_loss, generator_loss)`` of a game, a key of :data:`LOSSES` or :data:`RELATIVISTIC`, both
    as functions of ``(real_logits, fake_logits)``.

    The generator's loss of a game of :data:`LOSSES` does not look at its first argument.
    """
    if name in RELATIVISTIC:
        return RELATIVISTIC[name]
    if name not in LOSSES:
        raise unknown("loss", name, {**LOSSES, **RELATIVISTIC})
    discriminator_loss, generator_loss = LOSSES[name]
    return discriminator_loss, lambda real_logits, fake_logits: generator_loss(fake_logits)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor,
    *, one_sided: bool = False, epsilon: Tensor | None = None,
) -> Tensor:  # fmt: skip
    r""":math:`E[(\|\nabla f(\hat x)\|_2 - 1)^2]` at :math:`\hat x = \epsilon x + (1 - \epsilon) G(z)`.

    Gulrajani et al. (2017), equation 3 and Algorithm 1, without the factor :math:`\lambda`. One epsilon, uniform on
    [0, 1], and one norm over all dimensions for each sample: for this reason the critic must treat the samples of a
    batch separately and have no batch norm.

    Args:
        critic: maps ``(B, ...)`` to scores ``(B,)``; if there are several per sample, ``(B, ...)``, the slope is that
            of their sum. Gradients of the returned scalar flow to its parameters.
        real, fake: ``(B, ...)`` of the same shape; no gradient flows to them.
        one_sided: penalise slopes above 1 only, :math:`E[\max(0, \|\nabla f\| - 1)^2]` (WGAN-LP, Petzka et al., 2018).
        epsilon: ``(B,)`` in [0, 1] to use instead of drawing it.
    """
    if real.shape != fake.shape:
        raise ValueError(f"real and fake must have the same shape, got {tuple(real.shape)} and {tuple(fake.shape)}")
    if epsilon is None:
        epsilon = parallel.rand(len(real), dtype=real.dtype, device=real.device)
    if epsilon.shape != (len(real),):
        raise ValueError(f"epsilon must have shape ({len(real)},), one for each sample, got {tuple(epsilon.shape)}")
    epsilon = epsilon.view(-1, *[1] * (real.ndim - 1))
    between = torch.lerp(fake.detach().to(real.dtype), real.detach(), epsilon)  # fake may come out of autocast
    # Unlike a written-out sqrt, vector_norm has a gradient (of 0) where the slope is 0.
    excess = torch.linalg.vector_norm(_gradients(critic, between), dim=1) - 1
    return (relu(excess) if one_sided else excess).square().mean()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    r""":math:`\tfrac12 E[\|\nabla \ell(x)\|_2^2]` at real samples.

    Mescheder et al. (2018), equation 9, without the factor :math:`\gamma`. (Their program leaves out the half as well:
    a weight of 10 there is 20 here.) ``discriminator`` maps ``(B, ...)`` to logits that begin with B. Gradients of the
    returned scalar flow to its parameters.
    """
    return 0.5 * _gradients(discriminator, real.detach()).square().sum(1).mean()


def r2_penalty(discriminator: Callable[[Tensor], Tensor], fake: Tensor) -> Tensor:
    r""":math:`\tfrac12 E[\|\nabla \ell(G(z))\|_2^2]`: :func:`r1_penalty` at generated samples.

    Mescheder et al. (2018), equation 10, without the factor :math:`\gamma`. No gradient flows to ``fake``.
    """
    return r1_penalty(discriminator, widened(fake))


def virtual_adversarial_penalty(
    discriminator: Callable[[Tensor], Tensor], x: Tensor,
    *, radius: float, iterations: int = 1, probe: float | None = None,
) -> Tensor:  # fmt: skip
    r"""How much the verdict on ``x`` changes within a distance: :math:`E[\max_{\|r\| \le \rho} KL(D(x) \| D(x + r))]`.

    The local distributional smoothness of Miyato et al. (2019), section 3.2, for the two outcomes "real" and "fake" of
    a discriminator. With logits :math:`a = \ell(x)` and :math:`b = \ell(x + r)` the divergence is

    .. math:: KL(\sigma(a) \| \sigma(b))
        = \operatorname{softplus}(b) - \operatorname{softplus}(a) - \sigma(a) (b - a),

    which is 0 with gradient 0 at r = 0: the direction comes from its second derivative. Each power iteration
    (their section 3.3) replaces the unit vector d by the direction of the divergence's gradient at r = ``probe`` d,
    from a random start. For small radii, the penalty is close to
    :math:`\tfrac12 \rho^2 E[D (1 - D) \|\nabla \ell\|^2]`.

    No gradient flows through :math:`D(x)`, the target, nor through r, as in the paper. The discriminator must give the
    same logits twice: with dropout, the divergence would also measure the masks.

    Args:
        discriminator: maps ``(B, ...)`` to logits ``(B,)``. Gradients of the returned scalar flow to its parameters.
        x: ``(B, ...)``, real or generated samples; no gradient flows to them.
        radius: :math:`\rho`, the Euclidean length of r, in units of x; positive.
        iterations: power iterations. One finds the leading direction of a single logit; 0 leaves r random, and the
            penalty far smaller in many dimensions.
        probe: how far to step to see the curvature; a tenth of ``radius`` if not given.
    """
    checks.positive("radius", radius)
    if iterations < 0:
        raise ValueError(f"iterations must not be negative, got {iterations}")
    probe = radius / 10 if probe is None else probe
    x = widened(x.detach())  # generated ones may come out of autocast

    def divergence(r: Tensor) -> Tensor:
        logits = discriminator(x + r)
        return (softplus(logits) - softplus(target) - torch.sigmoid(target) * (logits - target)).mean()

    with torch.autocast(x.device.type, enabled=False):  # verdicts on neighbours differ by less than bfloat16 can tell
        with torch.no_grad():
            target = discriminator(x)
        direction = _unit(parallel.randn(*x.shape, dtype=x.dtype, device=x.device))
        for _ in range(iterations):
            r = (probe * direction).requires_grad_(True)
            (gradient,) = torch.autograd.grad(divergence(r), r)
            direction = _unit(gradient)
        return divergence(radius * direction)


def _unit(x: Tensor) -> Tensor:
    """Return each sample of ``(B, ...)`` divided by its norm over all other dimensions."""
    norm = torch.linalg.vector_norm(x.flatten(1), dim=1).clamp_min(torch.finfo(x.dtype).tiny)
    return x / norm.view(-1, *[1] * (x.ndim - 1))


def _gradients(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the gradients of each sample's output by that sample, ``(B, everything else)``, with their graph."""
    x = x.requires_grad_(True)
    with torch.autocast(x.device.type, enabled=False):  # second derivatives need full precision
        (gradients,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    return gradients.flatten(1)


@torch.no_grad()
def clip_weights(network: nn.Module, bound: float) -> None:
    """Force every parameter into [-bound, bound], in place, after the optimizer's step. Arjovsky et al. (2017)."""
    checks.positive("bound", bound)
    for parameter in network.parameters():
        parameter.clamp_(-bound, bound)
