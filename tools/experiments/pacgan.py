"""The protocol of PacGAN's synthetic experiments: modes of a ring and of a grid. Lin et al. (2018), section 4.1.

From the paper and its public code (github.com/fjxmlzn/PacGAN, synthetic_data_experiments): 100,000 points; 400 epochs
of 1,000 updates, each with 100 packs, whose points are drawn independently; Adam with a rate of 1e-4 and a beta1 of
0.8; latents from N(0, I) in the plane; in the end 2,500 samples, of high quality within three standard deviations of a
mode. The tables ``pacgan_*_paper`` repeat that with the networks of the code; they are planned for a GPU. The others
keep the data, the number of updates, the batch and Adam, and differ in what makes a CPU suffice: two hidden layers of
128 units (LeakyReLUs in the discriminator) with torch's initial weights instead of four of 400 and three of 200
maxouts with weights from N(0, 0.02^2); and the generator moves after the discriminator, not together with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics, toy
from gan_course.models import common
from gan_course.models.gan import GAN
from gan_course.train import fit
from tools.experiments import Entry, defaults

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


def pacgan(
    seed: int, device: torch.device, *, target: str, networks: str, steps: int, packs: int, **model: Any
) -> dict[str, Any]:
    """Train by PacGAN's protocol; count the modes that 2,500 samples reach, in the end and at twenty times before."""
    mixture = TARGETS[target]()
    torch.manual_seed(seed)
    gan = {"small": GAN, "paper": PaperGAN}[networks]((2,), **model).to(device)
    points = data.DataSet(mixture.sample(100_000, torch.Generator().manual_seed(seed)), name=target)

    def count(gan: nn.Module) -> dict[str, float]:
        samples = gan.sample(2_500, generator=torch.Generator().manual_seed(seed)).cpu()
        modes, high_quality = metrics.modes_covered(samples, mixture.means, mixture.std[0].item())
        shares = metrics.mode_shares(samples, mixture.means)
        return {"modes": modes, "high_quality": high_quality, "largest_share": shares.max().item()}

    history = fit(
        gan, points, steps, batch=packs * gan.pack, seed=seed, log_every=1000, snapshot_every=steps // 20,
        probe=count, progress=False, graph=device.type == "cuda",
    )  # fmt: skip
    return {**count(gan), "modes_over_time": history["modes"]}


_PROTOCOL = {"steps": 400_000, "packs": 100, **defaults(GAN), "latent_dim": 2, "lr_g": 1e-4, "lr_d": 1e-4}
_PROTOCOL |= {"beta1": 0.8, "ema_decay": 0.0, "slope_g": 0.0}

#: All that the protocol asks for.
PLANNED = {
    f"pacgan_{target}_{name}{'_paper' * (networks == 'paper')}": Entry(
        pacgan,
        {"target": target, "networks": networks, **_PROTOCOL, "pack": pack},
        range(10),
        full=networks == "paper",
    )
    for networks in ("small", "paper")
    for target in TARGETS
    for name, pack in (("gan", 1), ("pac2", 2))
}

#: Trials on the CPU whose rows are in book/results; a trial takes 20 to 40 minutes. Raise the numbers as rows come.
TRIALS: dict[str, int] = {}

ENTRIES = {
    name: entry if entry.full else replace(entry, seeds=range(TRIALS[name]))
    for name, entry in PLANNED.items()
    if entry.full or name in TRIALS
}
