"""Adversarial losses side by side: the same networks, data, steps and random numbers, and one training step for all."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, losses, metrics
from gan_course.metrics import judge
from gan_course.models import common
from gan_course.theory import toy
from tools.experiments import Entry, fit
from tools.experiments.remedies import Remedied
from tools.experiments.ring import counted


def digits(
    seed: int, device: torch.device, *, steps: int, batch: int, probe_every: int, late: int, **model: Any
) -> dict[str, Any]:
    """Train on the digits; judge 2,000 samples, and correlate minus the discriminator's loss with their distance."""
    train_set = data.load("digits", device=device)
    reference = data.load("digits", split="test", device=device).draw(2_000)
    classifier = judge("digits", train_set.shape[-1], device)
    features = classifier.features(reference)

    def probe(gan: nn.Module) -> dict[str, float]:
        samples = gan.sample(2_000, generator=torch.Generator().manual_seed(seed))
        return {"frechet": metrics.frechet_distance(classifier.features(samples), features)}

    torch.manual_seed(seed)
    gan = Remedied(train_set.shape, **model).to(device)
    began = time.process_time()
    history = fit(
        gan, train_set, steps, batch=batch, seed=seed, log_every=probe_every, snapshot_every=probe_every,
        snapshot_size=1, probe=probe, progress=False,
    )  # fmt: skip
    seconds = time.process_time() - began
    samples = gan.sample(2_000, generator=torch.Generator().manual_seed(seed))
    measured = metrics.summarize(samples, reference, classifier)
    signal, distance = [-loss for loss in history["loss_d"]], history["frechet"][1:]
    first = sum(step <= late for step in history["step"])
    return {
        **measured,
        "rank_correlation": rank_correlation(signal, distance),
        "rank_correlation_late": rank_correlation(signal[first:], distance[first:]),
        "signal": [round(value, 4) for value in signal],
        "distance": [round(value, 2) for value in distance],
        "cpu_seconds": round(seconds, 1),
    }


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Return Spearman's coefficient: the correlation of the ranks (there are no ties among measured numbers)."""
    if len(a) < 2:
        return float("nan")
    ranks = torch.tensor([a, b], dtype=torch.float64).argsort(1).argsort(1)
    return torch.corrcoef(ranks.double())[0, 1].item()


def grid(seed: int, device: torch.device, *, trials: dict[str, dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """Train on the digits with each of the settings in ``trials``; the Frechet distance that each reaches."""
    return {name: digits(seed, device, **settings, **changed)["frechet"] for name, changed in trials.items()}


def ring(seed: int, device: torch.device, *, steps: int, batch: int, decay_from: int, **model: Any) -> dict[str, Any]:
    """Train on the ring of eight narrow Gaussians; count the modes that 2,500 samples reach."""
    mixture = toy.ring()
    torch.manual_seed(seed)
    gan = Remedied((2,), **model).to(device)
    points = data.DataSet(mixture.sample(100_000, torch.Generator().manual_seed(seed)), name="ring")
    began = time.process_time()
    fit(gan, points, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)
    seconds = time.process_time() - began
    samples = gan.sample(2_500, generator=torch.Generator().manual_seed(seed)).cpu()
    weights = torch.cat([p.detach().flatten() for p in gan.discriminator.parameters() if p.ndim == 2]).abs()
    return {
        **counted(samples, mixture),
        "at_bounds": (weights > 0.99 * weights.max()).double().mean().item(),
        "cpu_seconds": round(seconds, 1),
    }


def line_network(width: int) -> nn.Sequential:
    """A smooth network on the line: points ``(B, 1)`` to logits ``(B,)``."""
    return nn.Sequential(
        nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1), nn.Flatten(0)
    )


def shift_game(
    seed: int, device: torch.device, *, starts: list[float], steps: int, width: int, lr_d: float, penalty: float,
    clip: float, n_critic: int, optimizers: dict[str, float], games: list[str],
) -> dict[str, Any]:  # fmt: skip
    """A generator that can only shift N(m, .5^2) plays for the data N(0, .5^2); where is m at the end?

    Returned is the mean of |m| over the last tenth of the steps, for each game, optimizer of the generator and start.
    """
    row: dict[str, Any] = {}
    for game in games:
        name = "wasserstein" if game.startswith("wasserstein") else game
        discriminator_loss, generator_loss = losses.pair(name)
        for kind, lr_g in optimizers.items():
            for start in starts:
                torch.manual_seed(seed)
                network = line_network(width).to(device)
                m = nn.Parameter(torch.tensor(float(start), device=device))
                if kind == "adam":
                    optimizer_g = torch.optim.Adam([m], lr_g, (0.0, 0.9))
                else:
                    optimizer_g = torch.optim.SGD([m], lr_g)
                optimizer_d = torch.optim.Adam(network.parameters(), lr_d, (0.0, 0.9), fused=True)
                path = []
                for _ in range(steps):
                    for _ in range(n_critic):
                        real = 0.5 * torch.randn(128, 1, device=device)
                        fake = m.detach() + 0.5 * torch.randn(128, 1, device=device)
                        loss = discriminator_loss(*network(torch.cat([real, fake])).chunk(2))
                        if game.endswith("penalty"):
                            loss = loss + penalty * losses.gradient_penalty(network, real, fake)
                        common.update(optimizer_d, loss)
                        if game.endswith("clip"):
                            losses.clip_weights(network, clip)
                    loss = generator_loss(network(m + 0.5 * torch.randn(128, 1, device=device)))
                    common.update(optimizer_g, loss)
                    path.append(m.detach().clone())
                last = torch.stack(path[-(steps // 10) :]).abs().mean().item()
                row[f"{game}, {kind}, {start:g}"] = round(last, 4)
    return row


def deep_critic(
    seed: int, device: torch.device, *, depth: int, width: int, steps: int, lr: float, noise: float, **constraint: Any
) -> dict[str, Any]:
    """Train a deep critic between the ring and the same with noise added; weights at the bounds, gradients by layer."""
    mixture = toy.ring()
    torch.manual_seed(seed)
    sizes = [2] + [width] * depth
    hidden = [layer for a, b in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(a, b), nn.ReLU())]
    critic = nn.Sequential(*hidden, nn.Linear(width, 1), nn.Flatten(0)).to(device)
    clip, penalty = constraint.get("clip", 0.0), constraint.get("penalty", 0.0)
    if clip:
        optimizer: torch.optim.Optimizer = torch.optim.RMSprop(critic.parameters(), lr)
    else:
        optimizer = common.adam(critic, lr, 0.0, 0.9)
    seeded = torch.Generator().manual_seed(seed)

    def batch() -> tuple[Tensor, Tensor]:
        fake = mixture.sample(256, seeded)
        return mixture.sample(256, seeded).to(device), (fake + noise * torch.randn(256, 2, generator=seeded)).to(device)

    for _ in range(steps):
        real, fake = batch()
        loss = losses.critic_wasserstein(critic(real), critic(fake))
        if penalty:
            loss = loss + penalty * losses.gradient_penalty(critic, real, fake)
        common.update(optimizer, loss)
        if clip:
            losses.clip_weights(critic, clip)

    real, fake = batch()
    values, x = [], torch.cat([real, fake])
    for layer in critic:
        x = layer(x)
        if isinstance(layer, nn.Linear):
            values.append(x)
    real_scores, fake_scores = x.chunk(2)
    gradients = torch.autograd.grad(losses.critic_wasserstein(real_scores, fake_scores), values)
    norms = [gradient.norm().item() for gradient in gradients]
    matrices = [p.detach().flatten() for p in critic.parameters() if p.ndim == 2]
    weights = torch.cat(matrices)
    bound = clip or weights.abs().max().item()
    return {
        "at_bounds": (weights.abs() > 0.99 * bound).double().mean().item(),
        "histogram": torch.histc(weights / bound, 40, -1, 1).div(len(weights)).tolist(),
        "largest_weight": weights.abs().max().item(),
        "gradient_norms": norms,
        "per_layer_factor": (norms[0] / norms[-2]) ** (1 / (depth - 1)) if min(norms) > 0 else 0.0,
        "estimate": (real_scores.mean() - fake_scores.mean()).item(),
    }


_NETWORKS = {"latent_dim": 64, "width": 128, "dropout": 0.0, "batch_norm": True, "ema_decay": 0.99, "slope_g": 0.2}
_DIGITS = {"steps": 1_000, "batch": 64, "probe_every": 50, "late": 500, "n_critic": 2, **_NETWORKS}
_METHODS: dict[str, dict[str, Any]] = {
    "saturating": {"loss": "saturating"},
    "non_saturating": {"loss": "non-saturating"},
    "least_squares": {"loss": "least-squares"},
    "hinge": {"loss": "hinge"},
    "clip": {"loss": "wasserstein"},
    "penalty": {"loss": "wasserstein", "beta1": 0.0, "beta2": 0.9},
    "non_saturating_penalty": {"loss": "non-saturating", "beta1": 0.0, "beta2": 0.9},
}
# Six trials for each method on seeds that the tables do not use: three learning rates, and two values of one constant.
_CONSTANTS: dict[str, list[dict[str, float]]] = {
    "clip": [{"clip": 0.02}, {"clip": 0.1}],
    "penalty": [{"penalty": 1.0}, {"penalty": 10.0}],
    "non_saturating_penalty": [{"penalty": 1.0}, {"penalty": 10.0}],
}


def _trials(method: str) -> dict[str, dict[str, Any]]:
    constants = _CONSTANTS.get(method, [{"beta1": 0.0}, {"beta1": 0.5}])
    return {
        f"lr {lr:g}, " + ", ".join(f"{key} {value:g}" for key, value in constant.items()): {
            "lr_g": lr, "lr_d": lr, **constant,
        }
        for lr in (3e-4, 1e-3, 3e-3) for constant in constants
    }  # fmt: skip


#: The best of the six trials of each method.
_BEST = {
    "saturating": "lr 0.001, beta1 0", "non_saturating": "lr 0.001, beta1 0", "least_squares": "lr 0.003, beta1 0",
    "hinge": "lr 0.001, beta1 0", "clip": "lr 0.001, clip 0.1", "penalty": "lr 0.003, penalty 10",
    "non_saturating_penalty": "lr 0.003, penalty 10",
}  # fmt: skip


def _tuned(method: str) -> dict[str, Any]:
    return {**_METHODS[method], **_trials(method)[_BEST[method]]}


_GAMES = ["saturating", "non-saturating", "least-squares", "hinge", "wasserstein, clip", "wasserstein, penalty"]
_SHIFT = {
    "starts": [8.0], "steps": 1_000, "width": 32, "lr_d": 2e-3, "penalty": 1.0, "clip": 0.1, "n_critic": 2,
    "optimizers": {"sgd": 0.05, "adam": 0.02}, "games": _GAMES,
}  # fmt: skip
_DEEP = {"depth": 8, "width": 64, "steps": 500, "lr": 1e-3, "noise": 1.0}
# The collapsing setting of the table ring_slow_momentum, with other losses.
_SLOW = {
    "steps": 1_500, "decay_from": 750, "batch": 256, "latent_dim": 2, "width": 128, "batch_norm": False,
    "ema_decay": 0.0, "slope_g": 0.2, "lr_g": 1e-3, "lr_d": 1e-4, "beta1": 0.9, "beta2": 0.999,
}  # fmt: skip
_SLOW_PENALTY = {**_SLOW, "loss": "wasserstein", "penalty": 0.1}
# A critic that keeps up: Adam, the number of critic steps and the weight of the penalty are those of Gulrajani et al.
# (2017); both rates are 1e-3, ten times theirs, for there are 1,500 steps only.
_KEEPS_UP = {
    **_SLOW, "lr_d": 1e-3, "beta1": 0.0, "beta2": 0.9, "n_critic": 5, "loss": "wasserstein", "penalty": 10.0,
}  # fmt: skip

ENTRIES: dict[str, Entry] = {
    **{
        f"losses_grid_{name}": Entry(
            grid, {**_DIGITS, "probe_every": 500, **method, "trials": _trials(name)}, range(100, 101)
        )
        for name, method in _METHODS.items()
    },
    **{f"losses_digits_{name}": Entry(digits, {**_DIGITS, **_tuned(name)}, range(5)) for name in _METHODS},
    "losses_digits_unbounded": Entry(digits, {**_DIGITS, **_tuned("penalty"), "penalty": 0.0}, range(10)),
    "losses_shift": Entry(shift_game, _SHIFT, range(10)),
    "losses_deep_clip_001": Entry(deep_critic, {**_DEEP, "clip": 0.01}, range(10)),
    "losses_deep_clip_003": Entry(deep_critic, {**_DEEP, "clip": 0.03}, range(10)),
    "losses_deep_clip_01": Entry(deep_critic, {**_DEEP, "clip": 0.1}, range(10)),
    "losses_deep_clip_03": Entry(deep_critic, {**_DEEP, "clip": 0.3}, range(10)),
    "losses_deep_penalty": Entry(deep_critic, {**_DEEP, "penalty": 10.0}, range(10)),
    "losses_ring_slow_penalty": Entry(ring, _SLOW_PENALTY, range(10)),
    "losses_ring_slow_penalty_five": Entry(ring, {**_SLOW_PENALTY, "n_critic": 5}, range(10)),
    "losses_ring_slow_five": Entry(ring, {**_SLOW, "loss": "non-saturating", "n_critic": 5}, range(10)),
    "losses_ring_slow_clip": Entry(ring, {**_SLOW, "loss": "wasserstein", "clip": 0.1}, range(10)),
    "losses_ring_keeps_up": Entry(ring, _KEEPS_UP, range(5)),
}
