"""The protocol of PacGAN's synthetic experiments: modes of a ring and of a grid. Lin et al. (2018), section 4.1.

From the paper and its public code (github.com/fjxmlzn/PacGAN, synthetic_data_experiments): 100,000 points; 400 epochs
of 1,000 updates, each with 100 packs, whose points are drawn independently; both players move at once, by gradients
taken at the same point, by Adam with a rate of 1e-4 and a beta1 of 0.8; latents from N(0, I) in the plane; in the end
2,500 samples, of high quality within three standard deviations of a mode. The tables ``pacgan_*_paper`` repeat that
with the networks of the code; they are planned for a GPU. The others differ in the networks, so that a CPU suffices:
two hidden layers of 64 units (LeakyReLUs in the discriminator) with torch's initial weights, instead of four of 400
with batch norm and three of 200 maxouts (Goodfellow et al., 2013) with weights from N(0, 0.02^2).

Two readings are ours. The code's ``beta1=0.8`` goes to Adam of the library Blocks, in which beta1 meant one minus the
usual beta1 until early 2017; we take it as usual. And the code draws 100,000 packs once and shuffles them, where we
draw the points of every pack anew from the 100,000.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, softplus

from gan_course import data
from gan_course.models import common
from gan_course.models.gan import GAN
from gan_course.theory import toy
from tools.experiments import Entry, defaults, fit
from tools.experiments.ring import counted

TARGETS = {"ring": toy.ring, "grid": toy.grid}


class Maxout(nn.Module):
    """Each unit is the largest of ``pieces`` linear functions; Goodfellow et al. (2013)."""

    def __init__(self, features_in: int, features_out: int, pieces: int = 5):
        super().__init__()
        self.linear, self.pieces = nn.Linear(features_in, features_out * pieces), pieces

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


class PaperGenerator(nn.Module):
    """Four hidden layers of 400 units with batch norm and ReLUs."""

    def __init__(self, latent_dim: int = 2, width: int = 400):
        super().__init__()
        layers: list[nn.Module] = []
        for features_in in (latent_dim, width, width, width):
            layers += [nn.Linear(features_in, width, bias=False), nn.BatchNorm1d(width, momentum=0.05), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class PaperDiscriminator(nn.Module):
    """Three layers of 200 maxout units with five pieces each."""

    def __init__(self, pack: int, width: int = 200):
        super().__init__()
        self.layers = nn.Sequential(
            Maxout(2 * pack, width), Maxout(width, width), Maxout(width, width), nn.Linear(width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(1)


class PaperGAN(GAN):
    """The networks of the paper's code, both of which move at once, by gradients taken at the same point."""

    def __init__(self, shape: tuple[int, ...], **settings: Any):
        super().__init__(shape, **settings)
        self.generator, self.discriminator = PaperGenerator(self.latent_dim), PaperDiscriminator(self.pack)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.ema = type(self.ema)(self.generator, self.ema.decay)
        self.optimizer_g, self.optimizer_d = (
            common.adam(network, settings["lr_g"], settings["beta1"], settings["beta2"])
            for network in (self.generator, self.discriminator)
        )

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        x = real[0]
        # Batch norm takes its statistics of each place in the packs, as the paper's code does.
        fake = torch.stack([self.generator(self.latents(len(x) // self.pack)) for _ in range(self.pack)], 1).flatten(1)
        real_logits, fake_logits = self.discriminator(torch.cat([self.packed(x), fake])).chunk(2)
        loss_d = self.discriminator_loss(real_logits, fake_logits)
        loss_g = self.generator_loss(fake_logits)
        weights_g, weights_d = list(self.generator.parameters()), list(self.discriminator.parameters())
        gradients_g = torch.autograd.grad(loss_g, weights_g, retain_graph=True)
        gradients_d = torch.autograd.grad(loss_d, weights_d)
        for parameter, gradient in zip(weights_g + weights_d, gradients_g + gradients_d, strict=True):
            parameter.grad = gradient
        for optimizer in (self.optimizer_d, self.optimizer_g):
            optimizer.step()
            optimizer.zero_grad()
        self.ema.update(self.generator)
        return {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}


def pacgan(seed: int, device: torch.device, *, target: str, steps: int, packs: int, **model: Any) -> dict[str, Any]:
    """Train the paper's networks by its protocol; count modes in the end and at twenty times before."""
    mixture = TARGETS[target]()
    torch.manual_seed(seed)
    gan = PaperGAN((2,), **model).to(device)
    points = data.DataSet(mixture.sample(100_000, torch.Generator().manual_seed(seed)), name=target)

    def count(gan: nn.Module) -> dict[str, float]:
        return counted(gan.sample(2_500, generator=torch.Generator().manual_seed(seed)).cpu(), mixture)

    history = fit(
        gan, points, steps, batch=packs * gan.pack, seed=seed, log_every=1000, snapshot_every=steps // 20,
        probe=count, progress=False, graph=device.type == "cuda",
    )  # fmt: skip
    return {**count(gan), "modes_over_time": history["modes"]}


class SideBySide(nn.Module):
    """As many independent networks of two hidden layers as ``trials``, which one product of matrices serves at once.

    Maps ``(trials, B, sizes[0])`` to ``(trials, B, sizes[-1])``. The initial weights are torch's of a linear layer.
    """

    def __init__(self, trials: int, sizes: tuple[int, ...], slope: float):
        super().__init__()
        self.slope = slope
        self.weights = nn.ParameterList(
            (2 * torch.rand(trials, rows, columns) - 1) / math.sqrt(features_in)
            for features_in, columns in zip(sizes, sizes[1:], strict=False)
            for rows in (features_in, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        *hidden, weight, bias = self.weights
        for w, b in zip(hidden[::2], hidden[1::2], strict=True):
            x = torch.baddbmm(b, x, w)
            x = leaky_relu(x, self.slope) if self.slope else x.relu()
        return torch.baddbmm(bias, x, weight)


class Trials:
    """Several vanilla GANs on points of the plane, trained at once: none feels anything of the others.

    Args:
        trials: how many.
        pack: samples that the discriminator sees together.
        width: units of each hidden layer.
        lr, beta1: of Adam, for both players.
    """

    def __init__(self, trials: int, pack: int, width: int, lr: float, beta1: float):
        self.trials, self.pack = trials, pack
        self.generator = SideBySide(trials, (2, width, width, 2), 0.0)
        self.discriminator = SideBySide(trials, (2 * pack, width, width, 1), 0.2)
        self.players = [list(self.generator.parameters()), list(self.discriminator.parameters())]
        self.optimizer = torch.optim.Adam(sum(self.players, []), lr=lr, betas=(beta1, 0.999), fused=True)

    def losses(self, real: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Losses ``(trials,)`` of generator and discriminator on points and latents ``(trials, packs * pack, 2)``."""
        packed = (x.reshape(self.trials, -1, 2 * self.pack) for x in (real, self.generator(z)))
        real_logits, fake_logits = self.discriminator(torch.cat([*packed], 1)).squeeze(2).chunk(2, 1)
        loss_d = softplus(-real_logits).mean(1) + softplus(fake_logits).mean(1)
        return softplus(-fake_logits).mean(1), loss_d

    def step(self, real: Tensor) -> None:
        """Move both players at once by gradients at the same point."""
        losses = self.losses(real, torch.randn_like(real))
        for player, loss in zip(self.players, losses, strict=True):
            gradients = torch.autograd.grad(loss.sum(), player, retain_graph=True)  # the trials share no weight
            for parameter, gradient in zip(player, gradients, strict=True):
                parameter.grad = gradient
        self.optimizer.step()


def small(
    seed: int, device: torch.device, *, target: str, steps: int, packs: int, trials: int, **model: Any
) -> dict[str, Any]:
    """Train several trials side by side by PacGAN's protocol, on the CPU; for each, count modes at twenty times."""
    mixture = TARGETS[target]()
    torch.manual_seed(seed)
    gans = Trials(trials, **model)
    points = mixture.sample(trials * 100_000).unflatten(0, (trials, -1))
    each = torch.arange(trials)[:, None]
    history: list[list[dict[str, float]]] = []
    for step in range(1, steps + 1):
        chosen = torch.randint(100_000, (trials, packs * gans.pack))
        gans.step(points[each, chosen])
        if step % (steps // 20) == 0:
            with torch.no_grad():
                samples = gans.generator(torch.randn(trials, 2_500, 2))
            if not samples.isfinite().all():
                raise FloatingPointError(f"samples are not finite after step {step}")
            history.append([counted(x, mixture) for x in samples])
    return {
        **{name: [trial[name] for trial in history[-1]] for name in history[-1][0]},
        "modes_over_time": [[then["modes"] for then in trial] for trial in zip(*history, strict=True)],
    }


_PROTOCOL = {"steps": 400_000, "packs": 100}
_PAPER = {**defaults(GAN), "latent_dim": 2, "lr_g": 1e-4, "lr_d": 1e-4, "beta1": 0.8, "ema_decay": 0.0, "slope_g": 0.0}
_SMALL = {"trials": 5, "width": 64, "lr": 1e-4, "beta1": 0.8}
PACKS = {"gan": 1, "pac2": 2}

#: On the CPU two rows of five trials each, and one with the other reading of beta1; on a GPU the paper's networks.
ENTRIES = {}
for _target in TARGETS:
    for _name, _pack in PACKS.items():
        _own = {"target": _target, **_PROTOCOL, "pack": _pack}
        ENTRIES[f"pacgan_{_target}_{_name}"] = Entry(small, {**_own, **_SMALL}, range(2))
        ENTRIES[f"pacgan_{_target}_{_name}_paper"] = Entry(pacgan, {**_own, **_PAPER}, range(10), full=True)
    _own = {"target": _target, **_PROTOCOL, "pack": 1}
    ENTRIES[f"pacgan_{_target}_gan_beta1_2"] = Entry(small, {**_own, **_SMALL, "beta1": 0.2}, range(1))
