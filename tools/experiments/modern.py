"""R3GAN's claims where a CPU can repeat them over seeds: its loss and its penalties, taken apart.

Huang et al. (2024) report one run of each game on stacked MNIST. Here the same games, and penalties that are applied
in every eighth step only, play on a ring, on a grid and on stacked digits, with networks and rates that are the same
for all. The seeds of a table train side by side: one product of matrices serves them all.
"""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from gan_course import data, metrics
from gan_course.metrics import judge
from gan_course.models import gan as perceptrons
from gan_course.models.ema import EMA
from gan_course.models.r3gan import R3GAN
from gan_course.models.wgan import WGANGP
from gan_course.theory import toy
from gan_course.train.schedule import Schedule
from tools.experiments import Entry, defaults
from tools.experiments.programs import Programs
from tools.experiments.remedies import Fourier
from tools.experiments.ring import counted

PROGRAMS = Programs(
    "beyond/modern_gans",
    imports="""
import torch
from torch import nn

from gan_course import data, metrics
from gan_course.models.r3gan import R3GAN
from gan_course.theory import toy
from gan_course.train import fit
""",
)


class SideBySide(nn.Module):
    """Perceptrons of one form, in one module: the i-th sees the i-th part of the samples and feels nothing of the rest.

    Args:
        networks: what to serve at once, layers as in :mod:`gan_course.models.gan`, after a :class:`Fourier` or none.
        batch: samples of each in one batch.
    """

    def __init__(self, networks: list[nn.Sequential], batch: int):
        super().__init__()
        linear = zip(*([x for x in n if isinstance(x, nn.Linear)] for n in networks), strict=True)
        self.layers = nn.ParameterList(
            p for same in linear
            for p in (
                torch.stack([x.weight.detach().T for x in same]), torch.stack([x.bias.detach() for x in same])[:, None]
            )
        )  # fmt: skip
        self.slope = next(x.negative_slope for x in networks[0] if isinstance(x, nn.LeakyReLU))
        self.tanh = isinstance(networks[0][-1], nn.Tanh)
        self.trials, self.batch = len(networks), batch
        fourier = [x.matrix for n in networks for x in n if isinstance(x, Fourier)]
        self.register_buffer("matrix", torch.stack(fourier) if fourier else None)

    def forward(self, x: Tensor) -> Tensor:
        """Map one or several batches of all, laid end to end, ``(k * trials * batch, in)`` to the same of outputs."""
        x = x.reshape(-1, self.trials, self.batch, x[0].numel()).transpose(0, 1).flatten(1, 2)
        x = self.each(x)
        return x.unflatten(1, (-1, self.batch)).transpose(0, 1).flatten(0, 2)

    def each(self, x: Tensor) -> Tensor:
        """Map ``(trials, n, in)`` to ``(trials, n, out)``."""
        if self.matrix is not None:
            angles = x @ self.matrix
            x = torch.cat([angles.sin(), angles.cos()], 2)
        *hidden, weight, bias = self.layers
        for w, b in zip(hidden[::2], hidden[1::2], strict=True):
            x = leaky_relu(torch.baddbmm(b, x, w), self.slope)
        x = torch.baddbmm(bias, x, weight)
        return x.tanh() if self.tanh else x


class Samples(nn.Module):
    """Give flat outputs the shape of a sample; of a discriminator, that of logits."""

    def __init__(self, network: SideBySide, shape: tuple[int, ...]):
        super().__init__()
        self.network, self.shape = network, shape

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).view(-1, *self.shape)


def trials(
    seeds: list[int], shape: tuple[int, ...], batch: int, *, family: str, every: int = 1, frequencies: float = 0.0,
    **model: Any,
) -> nn.Module:  # fmt: skip
    """Return one model of ``family`` whose networks are as many independent ones as ``seeds``.

    A loss that is the mean over all samples of all trials has 1 / trials of each trial's gradient. Adam's step is the
    same for a gradient times a constant, but for its epsilon, which is divided likewise.

    Args:
        every: penalties are applied in every ``every``-th step only, ``every`` times as strong, as StyleGAN2 has it to
            save time (Karras et al. (2020), section 4.1).
        frequencies: scale of the random Fourier features that discriminators see; 0 for none.
    """
    gan = (WGANGP if family == "wgan-gp" else R3GAN if every == 1 else Lazy)(shape, **model)
    if every > 1:
        gan.every = every
    own, name = gan.settings, "critic" if family == "wgan-gp" else "discriminator"
    generators, discriminators = [], []
    for seed in seeds:
        torch.manual_seed(seed)
        width = own["width"]
        generators.append(perceptrons.Generator(shape, own["latent_dim"], width, False, own["slope_g"]).layers)
        layers = perceptrons.Discriminator(shape, width, 0.0).layers
        layers = [x for x in layers if isinstance(x, nn.Linear | nn.LeakyReLU)]
        if frequencies:
            layers[:1] = [Fourier(shape[0], width, frequencies), nn.Linear(width, width)]
        discriminators.append(nn.Sequential(*layers))
    gan.generator = Samples(SideBySide(list(generators), batch), shape)
    setattr(gan, name, Samples(SideBySide(discriminators, batch), ()))
    gan.ema = EMA(gan.generator, own["ema_decay"])
    for player, network in (("g", gan.generator), ("d", getattr(gan, name))):
        optimizer = torch.optim.Adam(
            network.parameters(), own[f"lr_{player}"], (own["beta1"], own["beta2"]), eps=1e-8 / len(seeds), fused=True
        )
        setattr(gan, f"optimizer_{player}", optimizer)
    return gan


class Lazy(R3GAN):
    """R3GAN whose penalties are applied in some steps only."""

    every, done = 1, 0

    def penalties(self, x: Tensor, fake: Tensor) -> Tensor:
        self.done += 1
        return self.every * super().penalties(x, fake) if self.done % self.every == 1 else torch.zeros(())


def trained(
    seeds: list[int], train_set: data.DataSet, *, steps: int, batch: int, decay_from: int | None, n: int, **model: Any
) -> tuple[nn.Module, Tensor, list[dict[str, Any]]]:
    """Train as many trials as ``seeds``; return the model, ``n`` samples of each, and what became of each.

    A trial diverged if weights or samples are not finite, or if the discriminator's mean logit of real or generated
    samples is beyond a thousand.
    """
    gan = trials(seeds, train_set.shape, batch, **model)
    rates = Schedule(gan, steps, 0, decay_from, "linear")
    torch.manual_seed(seeds[0])
    draws = torch.Generator().manual_seed(seeds[0])
    each = len(seeds) * batch
    for step in range(1, steps + 1):
        rates.set(step)
        rows = torch.randint(len(train_set), (gan.n_critic * each,), generator=draws)
        gan.step(train_set.batch(rows).unflatten(0, (gan.n_critic, each)))
    z = torch.randn(len(seeds), n, gan.latent_dim, generator=draws)
    judging = getattr(gan, "critic", None) or gan.discriminator
    with torch.no_grad():
        samples = gan.ema.network.network.each(z)
        real = train_set.images(1_000).flatten(1).expand(len(seeds), -1, -1)
        logits = [judging.network.each(x).mean((1, 2)) for x in (real, samples)]
    fates = []
    for trial in range(len(seeds)):
        parts = [logit[trial].item() for logit in logits]
        finite = samples[trial].isfinite().all().item() and all(p[trial].isfinite().all() for p in gan.parameters())
        fates.append({
            "diverged": not (finite and max(map(abs, parts)) <= 1_000), "logit_real": parts[0], "logit_fake": parts[1]
        })  # fmt: skip
    return gan, samples.unflatten(2, train_set.shape), fates


def points(seeds: list[int], device: torch.device, *, target: str, divide: float, **how: Any) -> list[dict[str, Any]]:
    """Train on narrow Gaussians in the plane; count the modes that 2,500 samples reach, and how they are shared."""
    mixture = {"ring": toy.ring, "grid": toy.grid}[target]()
    mixture = toy.GaussianMixture(mixture.means / divide, mixture.std / divide)
    train_set = data.DataSet(mixture.sample(100_000, torch.Generator().manual_seed(0)), name=target)
    _, samples, fates = trained(seeds, train_set, n=2_500, **how)
    lost = {"modes": 0, "high_quality": 0.0, "largest_share": None, "reverse_kl": None}
    return [
        {**fate, **(counted(x, mixture) if x.isfinite().all() else lost)}
        for x, fate in zip(samples, fates, strict=True)
    ]


def alone(
    seed: int, device: torch.device, *, program: str, penalties: dict[str, list[float]], divide: float, points: int,
    steps: int, batch: int,
) -> dict[str, Any]:  # fmt: skip
    """Train on the grid as the chapter does, one trial alone, with the weights of R1 and R2 in ``penalties``; count the
    modes that 2,500 samples reach, and how they are shared."""
    mixture = toy.grid()
    mixture = toy.GaussianMixture(mixture.means / divide, mixture.std / divide)
    train_set = data.DataSet(mixture.sample(points, torch.Generator().manual_seed(0)), name="grid")
    scale = SimpleNamespace(steps=steps, batch=batch, frames=2)
    chapter = PROGRAMS.load("grid", program, device=device, scale=scale, mixture=mixture, points=train_set)
    return {name: chapter["trained_points"](r1, r2, seed=seed)[0] for name, (r1, r2) in penalties.items()}


def stacks(seeds: list[int], device: torch.device, *, n: int, **how: Any) -> list[dict[str, Any]]:
    """Train on stacked 8x8 digits; count the modes of 1,000 that the judge reads in samples of each trial."""
    train_set = data.stack(data.load("digits"), seed=0)
    _, samples, fates = trained(seeds, train_set, n=n, **how)
    read = judge("digits", 8, device)
    lost = {"modes": 0, "reverse_kl": None}
    return [
        {**fate, **(metrics.summarize_stacked(x, read) if x.isfinite().all() else lost)}
        for x, fate in zip(samples, fates, strict=True)
    ]


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
            own = {**defaults(R3GAN), "family": "r3gan", **base, **changed}
        entries[f"modern_{name}_{game}"] = Entry(function, own, range(10), together=True)
    return entries


_NETWORKS = {"networks": "mlp", "latent_dim": 2, "width": 128, "slope_g": 0.0, "ema_decay": 0.0, "beta2": 0.999}
_WGAN = {"batch_norm": False, "beta2": 0.9}

# The ring in the setting in which the plain game collapses on every seed: ring_slow_momentum in ring.py.
_RING = {"target": "ring", "divide": 1.0, "steps": 1500, "decay_from": 750, "batch": 256, **_NETWORKS, "lr_g": 1e-3}
_SLOW = {**_RING, "lr_d": 1e-4, "beta1": 0.9, "slope_g": 0.2}
# The grid as in remedies.py, where random Fourier features make the discriminator steep and the plain game collapses.
_GRID = {**_RING, "target": "grid", "divide": 8**0.5, "steps": 1500, "decay_from": 750, "lr_d": 2e-3, "beta1": 0.0}
_STEEP = {**_GRID, "frequencies": 3.0}
_STACKED = {
    "steps": 3_000, "batch": 64, "decay_from": None, "n": 26_000,
    "networks": "mlp", "latent_dim": 64, "width": 128, "slope_g": 0.2, "ema_decay": 0.99,
    "lr_g": 5e-4, "lr_d": 5e-4, "beta1": 0.0, "beta2": 0.99,
}  # fmt: skip
# As the chapter trains it, one seed after the other.
_ALONE = {
    "penalties": {"R1 and R2": [0.1, 0.1], "R1": [0.1, 0.0], "none": [0.0, 0.0]}, "divide": 8**0.5, "points": 50_000,
    "steps": 1_500, "batch": 256,
}  # fmt: skip

ENTRIES = {
    "modern_grid": PROGRAMS.entry(alone, "grid", **_ALONE),
    **_games("slow", points, _SLOW, 0.1, {**_WGAN, "penalty": 0.1, "n_critic": 2}),
    **_games("steep", points, _STEEP, 0.1, {**_WGAN, "penalty": 1.0, "n_critic": 1}),
    **_games("stacked", stacks, _STACKED, 1.0, {"batch_norm": False, "penalty": 10.0, "n_critic": 1}),
}
# Near the end of the game R1 and R2 together are twice as strong as R1 alone. Here R1 alone has both weights.
for _target in ("steep", "stacked"):
    _r1 = ENTRIES[f"modern_{_target}_relativistic_r1"]
    _twice = {**_r1.settings, "r1": 2 * _r1.settings["r1"]}
    ENTRIES[f"modern_{_target}_relativistic_r1_twice"] = dataclasses.replace(_r1, settings=_twice)
