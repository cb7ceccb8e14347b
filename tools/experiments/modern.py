"""R3GAN's claims where a CPU can repeat them over seeds: its loss and its penalties, taken apart.

Huang et al. (2024) report one run each on stacked MNIST. Here the same six games, and penalties that are applied every
eighth step only, play on a ring, on a grid and on stacked digits, with networks and rates that are the same for all.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics, models
from gan_course.metrics import judge
from gan_course.models import common
from gan_course.models.r3gan import R3GAN
from gan_course.models.wgan import WGANGP
from gan_course.theory import toy
from tools.experiments import Entry, defaults, fit
from tools.experiments.remedies import Fourier
from tools.experiments.ring import counted


class Lazy(R3GAN):
    """R3GAN whose penalties are applied in every ``every``-th step only, ``every`` times as strong.

    So StyleGAN2 does it (Karras et al. (2020), section 4.1), to save time.
    """

    family = "lazy-r3gan"

    def __init__(self, shape: tuple[int, ...], every: int, **settings: Any):
        super().__init__(shape, **settings)
        self.every, self.done = every, 0

    def penalties(self, x: Tensor, fake: Tensor) -> Tensor:
        self.done += 1
        if (self.done - 1) % self.every:
            return torch.zeros(())
        return self.every * super().penalties(x, fake)


def built(shape: tuple[int, ...], *, family: str, frequencies: float = 0.0, **model: Any) -> nn.Module:
    """Build a model; with ``frequencies`` its discriminator sees random Fourier features of points of the plane."""
    if "every" in model:
        gan = Lazy(shape, **model)
    else:
        gan = models.family(family)(shape, **model)
    if frequencies:
        name = "critic" if hasattr(gan, "critic") else "discriminator"
        stack = list(getattr(gan, name).layers)
        width = gan.settings["width"]
        stack[1:2] = [Fourier(shape[0], width, frequencies), nn.Linear(width, width)]
        getattr(gan, name).layers = nn.Sequential(*stack)
        own = gan.settings
        gan.optimizer_d = common.adam(getattr(gan, name), own["lr_d"], own["beta1"], own["beta2"])
    return gan


def points(
    seed: int, device: torch.device, *, target: str, divide: float, steps: int, batch: int, decay_from: int | None,
    **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train on narrow Gaussians in the plane; count the modes that 2,500 samples reach, and how they are shared."""
    mixture = {"ring": toy.ring, "grid": toy.grid}[target]()
    mixture = toy.GaussianMixture(mixture.means / divide, mixture.std / divide)
    train_set = data.DataSet(mixture.sample(100_000, torch.Generator().manual_seed(seed)), name=target)
    torch.manual_seed(seed)
    gan = built((2,), **model).to(device)

    def measured(gan: nn.Module) -> dict[str, Any]:
        return counted(gan.sample(2_500, generator=torch.Generator().manual_seed(seed)).cpu(), mixture)

    return run(gan, train_set, measured, steps=steps, batch=batch, seed=seed, decay_from=decay_from)


def stacks(seed: int, device: torch.device, *, steps: int, batch: int, **model: Any) -> dict[str, Any]:
    """Train on stacked 8x8 digits; count the modes of 1,000 that the judge reads in 26,000 samples."""
    train_set = data.stack(data.load("digits", device=device), seed=seed)
    torch.manual_seed(seed)
    gan = built(train_set.shape, **model).to(device)

    def measured(gan: nn.Module) -> dict[str, Any]:
        samples = gan.sample(26_000, generator=torch.Generator().manual_seed(seed))
        return metrics.summarize_stacked(samples, judge("digits", 8, device))

    return run(gan, train_set, measured, steps=steps, batch=batch, seed=seed, decay_from=None)


def run(gan: nn.Module, train_set: data.DataSet, measured: Any, **how: Any) -> dict[str, Any]:
    """Train and measure. A run diverged if a loss or a sample became infinite (or NaN), or if in the end the mean logit
    of a batch is beyond a thousand: then the generator gets no gradient, or a useless one."""
    try:
        history = fit(gan, train_set, progress=False, **how)
    except FloatingPointError as error:
        return {"diverged": True, "modes": 0, "reverse_kl": None, "why": str(error)}
    if not all(p.isfinite().all() for p in gan.ema.parameters()):
        return {"diverged": True, "modes": 0, "reverse_kl": None, "why": "weights are not finite"}
    last = {name: history[name][-1] for name in ("loss_d", "loss_g")}
    logits = [abs(history[name][-1]) for name in ("logit_real", "logit_fake") if name in history.rows[-1]]
    beyond = max(logits, default=0.0) > 1_000 or not math.isfinite(sum(last.values()))
    return {"diverged": beyond, **measured(gan), **last, **({"largest_logit": max(logits)} if logits else {})}


#: The six games, and the lazy one. ``gamma`` is the strength of whichever penalty a game has.
GAMES: dict[str, dict[str, Any]] = {
    "relativistic_r1_r2": {"loss": "relativistic", "r1": "gamma", "r2": "gamma"},
    "relativistic_r1": {"loss": "relativistic", "r1": "gamma", "r2": 0.0},
    "non_saturating_r1_r2": {"loss": "non-saturating", "r1": "gamma", "r2": "gamma"},
    "non_saturating_r1": {"loss": "non-saturating", "r1": "gamma", "r2": 0.0},
    "wgan_gp": {},
    "plain": {"loss": "non-saturating", "r1": 0.0, "r2": 0.0},
    "relativistic": {"loss": "relativistic", "r1": 0.0, "r2": 0.0},
    "lazy": {"loss": "relativistic", "r1": "gamma", "r2": "gamma", "every": 8},
}


def _games(name: str, function: Any, base: dict[str, Any], gamma: float, wgan: dict[str, Any]) -> dict[str, Entry]:
    """The tables of all games for one set of data, over ten seeds."""
    entries = {}
    for game, changed in GAMES.items():
        if game == "wgan_gp":
            own = {**defaults(WGANGP), "family": "wgan-gp", **base, **wgan}
        else:
            changed = {key: gamma if value == "gamma" else value for key, value in changed.items()}
            own = {**defaults(R3GAN), "family": "r3gan", "blocks": 1, **base, **changed}
        entries[f"modern_{name}_{game}"] = Entry(function, own, range(10))
    return entries


_NETWORKS = {"networks": "mlp", "latent_dim": 2, "width": 128, "slope_g": 0.0, "ema_decay": 0.0, "beta2": 0.999}
_WGAN = {"batch_norm": False, "beta2": 0.9}

# The ring as in ring.py: `slow` is the setting in which the plain game collapses on every seed (ring_slow_momentum),
# but for the generator's ReLUs; `ring` the one in which it does not (ring_non_saturating).
_RING = {"target": "ring", "divide": 1.0, "steps": 1500, "decay_from": 750, "batch": 256, **_NETWORKS, "lr_g": 1e-3}
_SLOW = {**_RING, "lr_d": 1e-4, "beta1": 0.9, "slope_g": 0.2}
_FAST = {**_RING, "lr_d": 2e-3, "beta1": 0.0}
# The grid as in remedies.py, where random Fourier features make the discriminator steep and the plain game collapses.
_GRID = {**_RING, "target": "grid", "divide": 8**0.5, "steps": 2500, "decay_from": 1250, "lr_d": 2e-3, "beta1": 0.0}
_STEEP = {**_GRID, "frequencies": 3.0}
_STACKED = {
    "steps": 3_000, "batch": 64, "networks": "mlp", "latent_dim": 64, "width": 128, "slope_g": 0.2,
    "ema_decay": 0.99, "lr_g": 5e-4, "lr_d": 5e-4, "beta1": 0.0, "beta2": 0.99,
}  # fmt: skip

ENTRIES = {
    **_games("slow", points, _SLOW, 0.1, {**_WGAN, "penalty": 0.1, "n_critic": 2}),
    **_games("ring", points, _FAST, 0.02, {**_WGAN, "penalty": 0.1, "n_critic": 2}),
    **_games("steep", points, _STEEP, 0.1, {**_WGAN, "penalty": 1.0, "n_critic": 1}),
    **_games("stacked", stacks, _STACKED, 1.0, {"batch_norm": False, "penalty": 10.0, "n_critic": 1}),
}
