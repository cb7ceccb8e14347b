r"""Games so small that their training can be followed exactly: the Dirac-GAN and the bilinear game.

A game has two players with parameters :math:`\theta` (the generator) and :math:`\psi` (the discriminator), each with a
loss of its own. Both walk downhill on their own loss, and the arrows along which they walk form the vector field

.. math:: v(\theta, \psi) = \bigl(-\nabla_\theta L_G, \; -\nabla_\psi L_D\bigr),

which is in general not the gradient of anything. Near a resting point its Jacobian decides whether the players spiral
in or out; Mescheder et al. (2017), section 3.

Parameters are tensors ``(..., n)`` and ``(..., m)``; leading dimensions hold independent games. Use float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu

from gan_course import checks, losses
from gan_course.errors import unknown

#: How both players move; see :func:`update`.
METHODS = ("simultaneous", "alternating", "extragradient", "consensus")


@dataclass(frozen=True)
class Game:
    """Two losses, which theta ``(..., n)`` and psi ``(..., m)`` make small; each returns its sum over all games."""

    loss_g: Callable[[Tensor, Tensor], Tensor]
    loss_d: Callable[[Tensor, Tensor], Tensor]


def bilinear(matrix: Tensor | None = None) -> Game:
    r"""The zero-sum game :math:`L_G = \theta^\top A \psi = -L_D`, whose players turn around the origin.

    ``matrix`` is A, ``(n, m)``; the number 1 if not given.
    """
    a = torch.ones(1, 1, dtype=torch.float64) if matrix is None else matrix
    if a.ndim != 2:
        raise ValueError(f"matrix must be (n, m), got {tuple(a.shape)}")

    def value(theta: Tensor, psi: Tensor) -> Tensor:
        return ((theta @ a.to(theta)) * psi).sum()

    return Game(value, lambda theta, psi: -value(theta, psi))


def dirac_gan(loss: str = "non-saturating", *, r1: float = 0.0, penalty: float = 0.0, one_sided: bool = False) -> Game:
    r"""The Dirac-GAN: all data at 0, all samples at :math:`\theta`, and logits :math:`\ell(x) = \psi \cdot x`.

    Mescheder et al. (2018), section 2, with the loss of any game of :mod:`gan_course.losses`. The penalties are those
    of that module, for this discriminator: its gradient is :math:`\psi` everywhere, so R1 is
    :math:`\tfrac12 \|\psi\|^2` and the penalty of WGAN-GP is :math:`(\|\psi\| - 1)^2`, wherever the points are taken.

    Both players are points ``(..., d)``, on the line or in more dimensions. ``loss`` is a key of
    :data:`gan_course.losses.LOSSES`, ``r1`` and ``penalty`` are weights; with ``one_sided``, the latter penalises
    slopes above 1 only.
    """
    loss_d, loss_g = losses.pair(loss)
    for name, value in (("r1", r1), ("penalty", penalty)):
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value}")

    def generator(theta: Tensor, psi: Tensor) -> Tensor:
        logits = (psi * theta).sum(-1)
        return loss_g(logits) * logits.numel()  # the losses are means

    def discriminator(theta: Tensor, psi: Tensor) -> Tensor:
        fake = (psi * theta).sum(-1)
        value = loss_d(torch.zeros_like(fake), fake) * fake.numel()
        if penalty:  # not always, for the norm has no second derivative at 0
            excess = torch.linalg.vector_norm(psi, dim=-1) - 1
            value = value + penalty * (relu(excess) if one_sided else excess).square().sum()
        return value + r1 * 0.5 * psi.square().sum()

    return Game(generator, discriminator)


def vector_field(game: Game, theta: Tensor, psi: Tensor) -> tuple[Tensor, Tensor]:
    """Return the directions in which both players walk, of the shapes of ``theta`` and ``psi``, with their graph."""
    if theta.ndim < 1 or theta.shape[:-1] != psi.shape[:-1]:
        shapes = f"{tuple(theta.shape)} and {tuple(psi.shape)}"
        raise ValueError(f"theta and psi must be (..., n) and (..., m), got {shapes}")
    if not (theta.is_floating_point() and psi.is_floating_point()):
        raise ValueError(f"theta and psi must be floating point, got {theta.dtype} and {psi.dtype}")
    # New nodes of the graph: where psi was itself computed from theta, the derivative by theta must not pass there.
    theta, psi = (x.view_as(x) if x.requires_grad else x.detach().requires_grad_(True) for x in (theta, psi))
    return _downhill(game.loss_g, 0, theta, psi), _downhill(game.loss_d, 1, theta, psi)


def update(
    game: Game, theta: Tensor, psi: Tensor, *, method: str = "simultaneous", lr: float = 0.1, weight: float = 1.0
) -> tuple[Tensor, Tensor]:
    r"""Return both players after one step.

    ``simultaneous``: both take the gradient at the same point. ``alternating``: first psi, then theta, which sees the
    new psi, as GANs are trained. ``extragradient``: both look one step ahead and take the gradient from there
    (Korpelevich, 1976; Gidel et al., 2019, section 3.2). ``consensus``: simultaneous, and both also make
    :math:`\tfrac12 \|v\|^2` small, with a weight (Mescheder et al., 2017, Algorithm 2).

    ``theta`` is ``(..., n)``, ``psi`` ``(..., m)``, ``lr`` the learning rate of both, ``weight`` that of the last term
    in ``consensus``.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    checks.positive("lr", lr)
    v_theta, v_psi = vector_field(game, theta, psi)
    if method == "alternating":
        psi = psi + lr * v_psi
        return theta + lr * vector_field(game, theta, psi)[0], psi
    if method == "extragradient":
        v_theta, v_psi = vector_field(game, theta + lr * v_theta, psi + lr * v_psi)
    if method == "consensus":
        theta, psi = (x if x.requires_grad else x.detach().requires_grad_(True) for x in (theta, psi))
        v_theta, v_psi = vector_field(game, theta, psi)
        size = 0.5 * (v_theta.square().sum() + v_psi.square().sum())
        slopes = torch.autograd.grad(size, (theta, psi), create_graph=True)
        v_theta, v_psi = v_theta - weight * slopes[0], v_psi - weight * slopes[1]
    return theta + lr * v_theta, psi + lr * v_psi


def simulate(
    game: Game, theta: Tensor, psi: Tensor, *, steps: int,
    method: str = "simultaneous", lr: float = 0.1, weight: float = 1.0, clip: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Play ``steps`` steps; return the paths ``(steps + 1, ..., n)`` and ``(steps + 1, ..., m)``, start included.

    With ``clip``, psi is kept in [-clip, clip] after each step, as WGAN clips its weights. All else: :func:`update`.
    """
    checks.at_least("steps", steps, 1)
    if clip is not None:
        checks.positive("clip", clip)
    path = [(theta.detach(), psi.detach())]
    for _ in range(steps):
        theta, psi = (x.detach() for x in update(game, *path[-1], method=method, lr=lr, weight=weight))
        path.append((theta, psi if clip is None else psi.clamp(-clip, clip)))
    return tuple(torch.stack(player) for player in zip(*path, strict=True))


def jacobian(game: Game, theta: Tensor, psi: Tensor) -> Tensor:
    """Return the Jacobian of :func:`vector_field` at ``(n,)`` and ``(m,)``: ``(n + m, n + m)``, theta first.

    Its eigenvalues tell what infinitely small steps do nearby: towards the resting point where all real parts are
    negative, around it where they are 0.
    """
    return _jacobian(lambda t, p: vector_field(game, t, p), theta, psi)


def update_jacobian(game: Game, theta: Tensor, psi: Tensor, **settings: str | float) -> Tensor:
    """As :func:`jacobian`, of one step of :func:`update` with its ``settings``.

    Nearby, steps lead to the resting point where all eigenvalues are smaller than 1 in absolute value.
    """
    return _jacobian(lambda t, p: update(game, t, p, **settings), theta, psi)


def _jacobian(step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], theta: Tensor, psi: Tensor) -> Tensor:
    if theta.ndim != 1 or psi.ndim != 1:
        raise ValueError(f"theta and psi must be (n,) and (m,), got {tuple(theta.shape)} and {tuple(psi.shape)}")
    n = len(theta)
    both = torch.cat([theta, psi]).detach()
    return torch.autograd.functional.jacobian(lambda x: torch.cat(step(x[:n], x[n:])), both)


def _downhill(loss: Callable[[Tensor, Tensor], Tensor], player: int, theta: Tensor, psi: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss(theta, psi), (theta, psi)[player], create_graph=True)
    return -gradient
