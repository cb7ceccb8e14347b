"""Divergences between distributions: the f-divergences with their variational bound, kernel distances, and the
Kullback-Leibler divergence between Gaussians. Everything is in nats and differentiable."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from gan_course.errors import unknown


@dataclass(frozen=True)
class FDivergence:
    r"""One row of the f-GAN table: :math:`D_f(p \| q) = \int q \, f(p / q)` and its variational form.

    For every function T with values in the domain of the conjugate :math:`f^*(t) = \sup_u \{u t - f(u)\}`,

    .. math:: D_f(p \| q) \ge E_p[T(x)] - E_q[f^*(T(x))],

    with equality at :math:`T = f'(p / q)`; Nguyen et al. (2010), Nowozin et al. (2016), equation 4. A network returns
    any real number v; the activation :math:`g_f` takes it into that domain, :math:`T = g_f(v)`. All fields map tensors
    to tensors of the same shape.
    """

    name: str  #: the key in :data:`F_DIVERGENCES`
    f: Callable[[Tensor], Tensor]  #: the convex function, of density ratios u > 0
    derivative: Callable[[Tensor], Tensor]  #: :math:`f'`, of density ratios u > 0: the optimal T
    conjugate: Callable[[Tensor], Tensor]  #: :math:`f^*`, of t in its domain
    activation: Callable[[Tensor], Tensor]  #: :math:`g_f`, of any real v
    #: :math:`f^*(g_f(v))`, computed without the overflow and the lost digits of its parts
    conjugate_of_activation: Callable[[Tensor], Tensor]

    def bound(self, outputs_p: Tensor, outputs_q: Tensor) -> Tensor:
        r"""Return the estimate :math:`E_p[g_f(v)] - E_q[f^*(g_f(v))]` of a lower bound on the divergence.

        A discriminator maximises it. It is a bound in expectation: on the samples that the network was trained with it
        can lie far above the divergence.

        ``outputs_p`` and ``outputs_q``, ``(n,)`` and ``(m,)``, at least one each, are what the network returns on
        samples of p and of q, without activation. The result is in nats.
        """
        for name, outputs in (("outputs_p", outputs_p), ("outputs_q", outputs_q)):
            if outputs.ndim != 1 or not len(outputs):
                raise ValueError(f"{name} must be (n,) with n at least 1, got {tuple(outputs.shape)}")
        return self.activation(outputs_p).mean() - self.conjugate_of_activation(outputs_q).mean()


def _same(v: Tensor) -> Tensor:
    return v


#: The f-GAN table (Nowozin et al., 2016, Tables 1 and 2 and their longer versions in the appendix), for the divergences
#: of this course. The "Jensen-Shannon" f is half of theirs, so that it gives the usual divergence, at most log 2.
#: "Pearson" is the integral of (p - q)^2 / q, the one that f = (u - 1)^2 gives; its conjugate is that of f on the whole
#: line (T >= -2 at the optimum, where nothing depends on that). "total variation" is half the L1 distance, at most 1.
#: "GAN" is 2 JS - log 4, the value of the game with the optimal discriminator: its f(1) is -log 4, not 0.
F_DIVERGENCES: dict[str, FDivergence] = {
    row.name: row
    for row in (
        FDivergence(
            "KL", f=lambda u: torch.xlogy(u, u), derivative=lambda u: 1 + u.log(),
            conjugate=lambda t: (t - 1).exp(),
            activation=_same, conjugate_of_activation=lambda v: (v - 1).exp(),
        ),
        FDivergence(
            "reverse KL", f=lambda u: -u.log(), derivative=lambda u: -1 / u,
            conjugate=lambda t: -1 - (-t).log(),  # t < 0
            activation=lambda v: -(-v).exp(), conjugate_of_activation=lambda v: v - 1,
        ),
        FDivergence(
            "Jensen-Shannon", f=lambda u: 0.5 * (torch.xlogy(u, u) - (u + 1) * ((u + 1) / 2).log()),
            derivative=lambda u: 0.5 * (2 * u / (u + 1)).log(),
            conjugate=lambda t: -0.5 * (2 - (2 * t).exp()).log(),  # t < log(2) / 2
            activation=lambda v: 0.5 * (math.log(2) + logsigmoid(v)),
            conjugate_of_activation=lambda v: 0.5 * (softplus(v) - math.log(2)),
        ),
        FDivergence(
            "squared Hellinger", f=lambda u: (u.sqrt() - 1).square(), derivative=lambda u: 1 - u.rsqrt(),
            conjugate=lambda t: t / (1 - t),  # t < 1
            activation=lambda v: 1 - (-v).exp(), conjugate_of_activation=lambda v: v.exp() - 1,
        ),
        FDivergence(
            "Pearson", f=lambda u: (u - 1).square(), derivative=lambda u: 2 * (u - 1),
            conjugate=lambda t: t.square() / 4 + t,
            activation=_same, conjugate_of_activation=lambda v: v.square() / 4 + v,
        ),
        FDivergence(
            "total variation", f=lambda u: 0.5 * (u - 1).abs(), derivative=lambda u: 0.5 * (u - 1).sign(),
            conjugate=_same,  # -1/2 <= t <= 1/2
            activation=lambda v: 0.5 * v.tanh(), conjugate_of_activation=lambda v: 0.5 * v.tanh(),
        ),
        FDivergence(
            "GAN", f=lambda u: torch.xlogy(u, u) - (u + 1) * (u + 1).log(), derivative=lambda u: (u / (u + 1)).log(),
            conjugate=lambda t: -(-t.expm1()).log(),  # t < 0
            activation=logsigmoid, conjugate_of_activation=softplus,
        ),
    )
}  # fmt: skip


def f_divergence(name: str) -> FDivergence:
    """Return the row of :data:`F_DIVERGENCES` with this name."""
    if name not in F_DIVERGENCES:
        raise unknown("f-divergence", name, F_DIVERGENCES)
    return F_DIVERGENCES[name]


def mmd_squared(x: Tensor, y: Tensor, bandwidths: float | Sequence[float]) -> Tensor:
    r"""Return the unbiased squared maximum mean discrepancy between two samples, with Gaussian kernels.

    The kernel is the mean over the bandwidths h of :math:`\exp(-\|x - y\|^2 / 2 h^2)`, so that the population's value
    lies in [0, 2]. The estimate is the U-statistic of Gretton et al. (2012), Lemma 6: pairs of a point with itself are
    left out, its mean is right at any number of samples, and it can turn out negative.

    Args:
        x, y: ``(n, dim)`` and ``(m, dim)``, at least two rows each.
        bandwidths: h > 0, in the units of the samples; one or several.
    """
    widths = [bandwidths] if isinstance(bandwidths, (int, float)) else list(bandwidths)
    if not widths or not all(0 < h < math.inf for h in widths):
        raise ValueError(f"bandwidths must be positive and finite, at least one, got {bandwidths}")

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        squared = (a[:, None] - b).square().sum(2)
        return torch.stack([(-squared / (2 * h * h)).exp() for h in widths]).mean(0)

    return _between_minus_within(lambda a, b: -kernel(a, b), x, y, diagonal=-1.0)


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    r"""Return the unbiased (squared) energy distance :math:`2 E\|X - Y\| - E\|X - X'\| - E\|Y - Y'\|` of two samples.

    It is the squared maximum mean discrepancy of the kernel :math:`-\|x - y\|`, which has no width to choose; Székely
    and Rizzo (2013). On the line it is :math:`2 \int (F - G)^2`. ``scipy.stats.energy_distance`` is the square root of
    the biased estimate. The distributions need finite first moments. The gradient is 0 where two points coincide.

    ``x`` and ``y`` are ``(n, dim)`` and ``(m, dim)``, at least two rows each. The result is in their units, and can
    turn out negative.
    """
    distance = partial(torch.cdist, compute_mode="donot_use_mm_for_euclid_dist")  # the other mode loses digits
    return _between_minus_within(distance, x, y, diagonal=0.0)


def _between_minus_within(distance: Callable[..., Tensor], x: Tensor, y: Tensor, diagonal: float) -> Tensor:
    """Return ``2 E d(X, Y) - E d(X, X') - E d(Y, Y')``, without the pairs of a point with itself (``diagonal``)."""
    for name, sample in (("x", x), ("y", y)):
        if sample.ndim != 2 or len(sample) < 2:
            raise ValueError(f"{name} must be (n, dim) with n at least 2, got {tuple(sample.shape)}")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have the same dimension, got {x.shape[1]} and {y.shape[1]}")
    within = [(distance(a, a).sum() - diagonal * len(a)) / (len(a) * (len(a) - 1)) for a in (x, y)]
    return 2 * distance(x, y).mean() - within[0] - within[1]


def kl_gaussians(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> Tensor:
    r"""Return :math:`\mathrm{KL}(p \| q)` between two Gaussians in d dimensions, in closed form.

    .. math:: \tfrac12 \bigl(\operatorname{tr}(\Sigma_q^{-1} \Sigma_p) - d
              + (\mu_q - \mu_p)^\top \Sigma_q^{-1} (\mu_q - \mu_p) + \log\det \Sigma_q - \log\det \Sigma_p\bigr)

    Means are ``(d,)``, covariances ``(d, d)``, symmetric and positive definite; the result is in nats.
    """
    if mean_p.ndim != 1:
        raise ValueError(f"mean_p must be (d,), got {tuple(mean_p.shape)}")
    d, factors = len(mean_p), []
    for name, value, wanted in (("cov_p", cov_p, (d, d)), ("mean_q", mean_q, (d,)), ("cov_q", cov_q, (d, d))):
        if value.shape != wanted:
            raise ValueError(f"{name} must be {wanted}, got {tuple(value.shape)}")
    for name, cov in (("cov_p", cov_p), ("cov_q", cov_q)):
        factor, failed = torch.linalg.cholesky_ex(cov)
        if failed or not torch.allclose(cov, cov.T):
            raise ValueError(f"{name} must be symmetric and positive definite, got {cov.tolist()}")
        factors.append(factor)
    factor_p, factor_q = factors
    ratio = torch.linalg.solve_triangular(factor_q, factor_p, upper=False)
    shift = torch.linalg.solve_triangular(factor_q, (mean_q - mean_p)[:, None], upper=False)
    log_det = 2 * (factor_q.diagonal().log().sum() - factor_p.diagonal().log().sum())
    return 0.5 * (ratio.square().sum() + shift.square().sum() - d + log_det)
