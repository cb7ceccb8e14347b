"""The engine of the lab in JavaScript computes what the package computes with torch, in double precision."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_course import losses, metrics
from gan_course.layers import advance_spectral_norms, spectral_norm
from gan_course.models.ema import EMA
from gan_course.theory import dynamics, toy
from gan_course.train.schedule import rate_factor
from tools import results
from tools.experiments import lab

ROOT = Path(__file__).resolve().parent.parent
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs node, which runs the lab's JavaScript")

B = 8  # the batch
STEPS = 2


def answers(*cases: dict[str, Any]) -> list[Any]:
    """Return what the engine answers; see lab/tools/reference.js."""
    command = [NODE, "--no-warnings", str(ROOT / "lab" / "tools" / "reference.js")]
    done = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def network(sizes: list[int], slope: float, spectral: bool = False) -> nn.Sequential:
    """A perceptron in float64, with torch's own initial weights."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        linear = nn.Linear(a, b, dtype=torch.float64)
        layers += [spectral_norm(linear) if spectral else linear, nn.LeakyReLU(slope)]
    return nn.Sequential(*layers[:-1])


def tensors(net: nn.Sequential) -> list[Tensor]:
    """Return the parameters in the engine's order: weight and bias of each layer, before any division."""
    linears = [layer for layer in net if isinstance(layer, nn.Linear)]
    raw = [linear.parametrizations.weight.original if hasattr(linear, "parametrizations") else linear.weight
           for linear in linears]  # fmt: skip
    return [p for weight, linear in zip(raw, linears, strict=True) for p in (weight, linear.bias)]


def flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.detach().flatten() for part in parts])


class Reference:
    """The same training in torch, with the package's losses, penalties, norms, averages and rates."""

    def __init__(self, s: dict[str, Any]):
        torch.manual_seed(s["seed"])
        self.s = s
        self.g = network([s["latent_dim"]] + [s["width_g"]] * s["layers_g"] + [2], s["slope_g"])
        self.d = network([2] + [s["width_d"]] * s["layers_d"] + [1], 0.2, s["spectral_norm"])
        with torch.no_grad():
            for p in self.d.parameters():
                p *= 2.5  # steep enough for one-sided penalties, and for hinges to be reached
        self.ema = EMA(self.g, s["ema_decay"])
        self.norms = [layer.parametrizations.weight[0] for layer in self.d if hasattr(layer, "parametrizations")]
        self.draws: dict[str, list[Any]] = {"real": [], "latents": [], "epsilon": []}
        self.start = {
            "generator": flat(tensors(self.g)).tolist(), "discriminator": flat(tensors(self.d)).tolist(),
            "u": [norm.u.tolist() for norm in self.norms],
        }  # fmt: skip
        for norm, weight in zip(self.norms, tensors(self.d)[::2], strict=False):
            norm.advance(weight, 15)  # the engine does so from the same u
        self.optimizers = {player: self.optimizer(player) for player in "gd"}

    def optimizer(self, player: str) -> torch.optim.Optimizer:
        s, parameters = self.s, tensors(self.g if player == "g" else self.d)
        if s[f"optimizer_{player}"] == "adam":
            return torch.optim.Adam(parameters, s[f"lr_{player}"], (s["beta1"], s["beta2"]))
        kind = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}[s[f"optimizer_{player}"]]
        return kind(parameters, s[f"lr_{player}"])

    def drawn(self, kind: str) -> Tensor:
        x = {
            "real": lambda: torch.randn(B, 2, dtype=torch.float64),
            "latents": lambda: torch.randn(B, self.s["latent_dim"], dtype=torch.float64),
            "epsilon": lambda: torch.rand(B, dtype=torch.float64),
        }[kind]()
        self.draws[kind].append(x.flatten().tolist())
        return x

    def logits(self, x: Tensor) -> Tensor:
        return self.d(x).squeeze(1)

    def loss_d(self, real: Tensor, fake: Tensor) -> Tensor:
        if self.s["loss"] == "relativistic":
            return softplus(self.logits(fake) - self.logits(real)).mean()
        return losses.pair(self.s["loss"])[0](self.logits(real), self.logits(fake))

    def penalties(self, real: Tensor, fake: Tensor) -> Tensor:
        s = self.s
        total = torch.zeros((), dtype=torch.float64)
        if s["r1"]:
            total = total + s["r1"] * losses.r1_penalty(self.logits, real)
        if s["r2"]:
            x = fake.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(self.logits(x).sum(), x, create_graph=True)
            total = total + s["r2"] / 2 * (slope**2).sum() / B
        if s["penalty"]:
            total = total + s["penalty"] * losses.gradient_penalty(
                self.logits, real, fake, one_sided=s["one_sided"], epsilon=self.drawn("epsilon")
            )
        return total

    def moved(self, player: str, loss: Tensor, step: int) -> Tensor:
        """Update a player; return its gradient."""
        optimizer, s = self.optimizers[player], self.s
        optimizer.zero_grad()
        parameters = tensors(self.g if player == "g" else self.d)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for p, gradient in zip(parameters, gradients, strict=True):
            p.grad = torch.zeros_like(p) if gradient is None else gradient
        for group in optimizer.param_groups:
            group["lr"] = s[f"lr_{player}"] * rate_factor(step, s["steps"], decay_from=s["decay_from"] or None)
        optimizer.step()
        return flat([p.grad for p in parameters])

    def step(self, step: int) -> dict[str, Any]:
        s, row = self.s, {}
        for _ in range(s["n_critic"]):
            real, z = self.drawn("real"), self.drawn("latents")
            fake = self.g(z).detach()
            advance_spectral_norms(self.d)
            loss, penalty = self.loss_d(real, fake), self.penalties(real, fake)
            row |= {"lossD": loss.item(), "penalty": penalty.item()}
            row["gradient_d"] = self.moved("d", loss + penalty, step)
            if s["clip"]:
                losses.clip_weights(self.d, s["clip"])
        for _ in range(s["n_generator"]):
            real = self.drawn("real") if s["loss"] == "relativistic" else None
            fake = self.g(self.drawn("latents"))
            if real is not None:
                loss = softplus(self.logits(real) - self.logits(fake)).mean()
            else:
                loss = losses.pair(s["loss"])[1](self.logits(fake))
            row["lossG"] = loss.item()
            row["arrows"] = -B * torch.autograd.grad(loss, fake, retain_graph=True)[0].flatten()
            row["gradient_g"] = self.moved("g", loss, step)
        self.ema.update(self.g)
        row |= {"generator": flat(tensors(self.g)), "discriminator": flat(tensors(self.d))}
        row["averaged"] = flat(tensors(self.ema.network if s["ema_decay"] else self.g))
        row |= {"u": [norm.u.clone() for norm in self.norms], "v": [norm.v.clone() for norm in self.norms]}
        return row


PENALTIES: dict[str, dict[str, Any]] = {
    "none": {},
    "r1": {"r1": 0.7},
    "r2": {"r2": 0.4},
    "two-sided": {"penalty": 0.9},
    "one-sided": {"penalty": 0.9, "one_sided": True},
    "r1 and r2": {"r1": 0.3, "r2": 0.6},
    "all": {"r1": 0.3, "r2": 0.6, "penalty": 0.8},
    "the outer two": {"r1": 0.3, "penalty": 0.8},
}
ALL_LOSSES = [*losses.LOSSES, "relativistic"]


def cases() -> dict[str, dict[str, Any]]:
    """Every loss with every penalty, with and without spectral norm; all else goes round."""
    chosen = {}
    for i, (loss, penalty, spectral) in enumerate(itertools.product(ALL_LOSSES, PENALTIES, (False, True))):
        chosen[f"{loss}, {penalty}{', spectral norm' if spectral else ''}"] = {
            "loss": loss, "spectral_norm": spectral, "batch": B, "seed": i, "latent_dim": 1 + i % 2,
            "layers_g": 1 + i % 4, "layers_d": 1 + (i // 2) % 4, "width_g": 5 + i % 3, "width_d": 6 + i % 4,
            "slope_g": (0.0, 0.2, 0.5)[i % 3], "n_critic": 1 + i % 2, "n_generator": 1 + (i // 2) % 2,
            "optimizer_g": ("adam", "sgd", "rmsprop")[i % 3], "optimizer_d": ("adam", "sgd", "rmsprop")[(i // 3) % 3],
            "lr_g": 0.01, "lr_d": 0.02, "beta1": (0.0, 0.5, 0.9)[(i // 2) % 3], "beta2": 0.99,
            "ema_decay": (0.0, 0.9)[(i // 2) % 2], "clip": (0.0, 0.3)[(i // 5) % 2],
            "steps": 3, "decay_from": (0, 1)[(i // 3) % 2],
            "r1": 0.0, "r2": 0.0, "penalty": 0.0, "one_sided": False, **PENALTIES[penalty],
        }  # fmt: skip
    return chosen


CASES = cases()


@pytest.fixture(scope="module")
def trained() -> dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """name -> (rows of torch, rows of the engine)."""
    asked, rows = [], {}
    for name, settings in CASES.items():
        reference = Reference(settings)
        rows[name] = [reference.step(k) for k in range(1, STEPS + 1)]
        asked.append(
            {"kind": "train", "settings": settings, **reference.start, "draws": reference.draws, "steps": STEPS}
        )
    return {name: (rows[name], got) for name, got in zip(CASES, answers(*asked), strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_torch(trained, name):
    """Losses, penalties, gradients of both players and at the samples, weights, averages, and the norms' vectors."""
    for step, (want, got) in enumerate(zip(*trained[name], strict=True), 1):
        for key, value in want.items():
            pairs = zip(value, got[key], strict=False) if key in "uv" else [(value, got[key])]
            for a, b in pairs:
                wanted, computed = (torch.as_tensor(x, dtype=torch.float64) for x in (a, b))
                # Where the gradient of D's last bias is 0 but for rounding, Adam and RMSProp divide it by 1e-8; all
                # that follows has a little of it.
                atol = 1e-8 if key == "discriminator" else 1e-11 if step == 1 else 1e-9
                torch.testing.assert_close(
                    computed, wanted, rtol=1e-8, atol=atol, msg=lambda m, k=key, s=step: f"{k} of step {s}: {m}"
                )


def test_the_cases_reach_what_they_are_for(trained):
    """Penalties that are not 0, hinges on both sides, clipped weights, rates that fall, averages that lag."""
    for name, (rows, _) in trained.items():
        s = CASES[name]
        if s["one_sided"]:
            assert rows[0]["penalty"] > 0 or s["spectral_norm"]  # which keeps slopes near 1
        else:
            assert (rows[0]["penalty"] > 0) == bool(s["r1"] or s["r2"] or s["penalty"])
        assert not s["clip"] or rows[-1]["discriminator"].abs().max() <= s["clip"]
    assert any(s["clip"] and s["spectral_norm"] for s in CASES.values())
    for key, count in (("layers_d", 4), ("layers_g", 4), ("optimizer_d", 3), ("optimizer_g", 3), ("slope_g", 3)):
        assert len({s[key] for s in CASES.values()}) == count
    lag = [(rows[-1]["averaged"] - rows[-1]["generator"]).abs().max() for rows, _ in trained.values()]
    assert sum(x > 1e-3 for x in lag) > len(lag) / 3


def relativistic(r1: float, r2: float) -> dynamics.Game:
    """The Dirac-GAN of the relativistic loss: one real sample, at 0, for the one at theta."""
    return dynamics.Game(
        lambda theta, psi: softplus(-psi * theta).sum(),
        lambda theta, psi: (softplus(psi * theta) + (r1 + r2) / 2 * psi**2).sum(),
    )


@pytest.mark.parametrize("method", ["alternating", "simultaneous", "extragradient"])
def test_the_dirac_gan_walks_as_the_package_has_it(method):
    asked, wanted, start = [], [], torch.tensor([[0.8], [-1.4]], dtype=torch.float64)
    for loss, (name, penalty) in itertools.product(ALL_LOSSES, PENALTIES.items()):
        if loss == "relativistic" and penalty.get("penalty"):
            continue
        r1, r2 = penalty.get("r1", 0.0), penalty.get("r2", 0.0)
        if loss == "relativistic":
            game = relativistic(r1, r2)
        else:  # D's slope is the same everywhere: R2 is R1 again
            others = {"penalty": penalty.get("penalty", 0.0), "one_sided": penalty.get("one_sided", False)}
            game = dynamics.dirac_gan(loss, r1=r1 + r2, **others)
        clip = 0.6 if name in ("none", "r2") else 0.0
        settings = {"game": "dirac", "loss": loss, **penalty, "method": method, "lr_g": 0.07, "clip": clip}
        asked.append({"kind": "dirac", "settings": settings | {"theta": 0.8, "psi": -1.4}, "steps": 25})
        wanted.append(dynamics.simulate(game, *start, steps=25, method=method, lr=0.07, clip=clip or None))
    for case, (theta, psi), got in zip(asked, wanted, answers(*asked), strict=True):
        path = torch.tensor(got, dtype=torch.float64)
        torch.testing.assert_close(
            path, torch.cat([theta, psi], 1), rtol=1e-9, atol=1e-12, msg=lambda m, c=case: f"{c}: {m}"
        )


def test_modes_and_divergences_are_counted_as_in_the_package():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(6, 2))
    samples = [np.concatenate([c + 0.1 * rng.normal(size=(200, 2)), 3 * rng.normal(size=(50, 2))])
               for c in (centers[rng.integers(0, 4, 200)], centers[rng.integers(2, 6, 200)])]  # fmt: skip
    extent = 1.5
    samples[0] = np.concatenate([samples[0], np.full((5, 2), -1.45)])  # in a corner: the first cell is not the outside
    modes = [{"kind": "modes", "points": x.ravel().tolist(), "centers": centers.ravel().tolist(), "std": 0.1}
             for x in samples]  # fmt: skip
    both = dict(zip(("real", "fake"), (x.ravel().tolist() for x in samples), strict=True))
    *counted, diverging = answers(*modes, {"kind": "divergences", **both, "extent": extent})
    for x, got in zip(samples, counted, strict=True):
        points, means = torch.tensor(x), torch.tensor(centers)
        covered, quality = metrics.modes_covered(points, means, 0.1)
        shares = metrics.mode_shares(points, means)
        assert (got["modes"], got["of"]) == (covered, 6) and 1 < covered
        assert got["nearMode"] == pytest.approx(quality, rel=1e-12) and 0.1 < quality < 0.99
        assert got["shares"] == pytest.approx(shares.tolist(), rel=1e-12)
        assert got["largestShare"] == pytest.approx(shares.max().item(), rel=1e-12)
        assert got["reverseKl"] == pytest.approx(metrics.reverse_kl(shares, torch.full((6,), 1 / 6)), rel=1e-6)

    cells, pseudo_count = 25, 0.1
    counts = []
    for x in samples:
        inside = np.histogram2d(*x.T, bins=cells, range=[[-extent, extent]] * 2)[0].ravel()
        counts.append(np.append(inside, len(x) - inside.sum()))
        assert counts[-1][-1] > 0  # points outside count as well
    p, q = (c / c.sum() for c in counts)
    smooth_p, smooth_q = ((c + pseudo_count) / (c + pseudo_count).sum() for c in counts)
    assert diverging["js"] == pytest.approx(scipy.spatial.distance.jensenshannon(p, q) ** 2, rel=1e-10)
    assert diverging["klRealFake"] == pytest.approx(scipy.stats.entropy(smooth_p, smooth_q), rel=1e-10)
    assert diverging["klFakeReal"] == pytest.approx(scipy.stats.entropy(smooth_q, smooth_p), rel=1e-10)


def test_rates_fall_as_in_the_package():
    asked = [(step, steps, start) for steps in (7, 100) for start in (0, 1, 5) for step in range(1, steps + 1)]
    got = answers({"kind": "rates", "cases": asked})[0]
    assert got == pytest.approx([rate_factor(step, steps, decay_from=start or None) for step, steps, start in asked])


def test_ring_and_grid_are_those_of_the_package():
    """The grid's coordinates are divided by their standard deviation, as in the tables of the remedies."""
    ring, grid = answers(
        {"kind": "data", "settings": {"data": "ring"}}, {"kind": "data", "settings": {"data": "grid", "std": 0.0177}}
    )
    for got, mixture, unit in ((ring, toy.ring(), 1.0), (grid, toy.grid(), math.sqrt(8))):
        means = torch.tensor(got["centers"], dtype=torch.float64).view(-1, 2)
        torch.testing.assert_close(means, mixture.means.double() / unit, rtol=0, atol=1e-6)  # they are float32
        assert got["std"] == pytest.approx(mixture.std[0].item() / unit, rel=2e-3)


#: Tables that the package made with torch; the lab's, with the same settings, are called lab_NAME.
TABLES = ("ring_slow_momentum", "ring_fast_momentum", "ring_non_saturating")


@pytest.mark.parametrize("name", TABLES)
def test_the_lab_has_the_settings_of_the_package_s_table(name):
    table = results.read(name)["settings"]
    assert not table["batch_norm"] and table.get("dropout", 0) == 0 and table.get("pack", 1) == 1
    both = ("latent_dim", "slope_g", "batch", "lr_g", "lr_d", "beta1", "beta2", "ema_decay", "steps", "decay_from")
    wanted = {key: table[key] for key in both} | {
        "game": "points", "data": "ring", "std": 0.01, "drawing": "", "noise": "normal",
        "layers_g": 2, "layers_d": 2, "width_g": table["width"], "width_d": table["width"],
        "loss": "wasserstein" if table["family"] == "wgan-gp" else table["loss"],
        "r1": table.get("r1", 0), "r2": 0, "penalty": table.get("penalty", 0), "one_sided": False, "clip": 0,
        "spectral_norm": False, "n_critic": table.get("n_critic", 1), "n_generator": 1,
        "optimizer_g": "adam", "optimizer_d": "adam",
    }  # fmt: skip
    assert lab.ENTRIES[f"lab_{name}"].settings == wanted


@pytest.mark.parametrize("name", [name for name in TABLES if name != "ring_fast_momentum"])
def test_the_same_settings_reach_the_same_modes(name):
    """Ten seeds each: as many modes, and shares near a mode that overlap."""
    assert results.state(f"lab_{name}") == "ok", f"run: python tools/results.py run lab_{name}"
    package, browser = (results.read(table)["rows"] for table in (name, f"lab_{name}"))
    assert len(package) == len(browser) == 10
    counts = [row["modes"] for row in package]
    assert all(min(counts) <= row["modes"] <= max(counts) for row in browser)
    (low, high), (lab_low, lab_high) = (
        (min(shares), max(shares)) for shares in ([row["high_quality"] for row in rows] for rows in (package, browser))
    )
    assert max(low, lab_low) <= min(high, lab_high)


def test_a_border_case_agrees_over_thirty_seeds():
    """Not all modes come back in each run, here and there: the two programs cannot be told apart by how often."""
    assert results.state("lab_ring_fast_momentum") == results.state("ring_fast_momentum_more") == "ok"
    package = [row for name in ("ring_fast_momentum", "ring_fast_momentum_more") for row in results.read(name)["rows"]]
    browser = results.read("lab_ring_fast_momentum")["rows"]
    assert len(package) == len(browser) == 30
    hits = [sum(row["modes"] == 8 for row in rows) for rows in (package, browser)]
    assert all(20 <= count < 30 for count in hits)
    assert scipy.stats.fisher_exact([[count, 30 - count] for count in hits]).pvalue > 0.1
    shares = [[row["high_quality"] for row in rows] for rows in (package, browser)]
    assert scipy.stats.mannwhitneyu(*shares).pvalue > 0.1
