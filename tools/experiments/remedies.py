"""Remedies for a discriminator or a generator that fails, each as one change to a setting that was seen to fail.

``Remedied`` is the vanilla GAN with one option per remedy. The base of the ring's tables is ``ring_slow_momentum``,
which collapses on every seed: a slow discriminator (rates 1e-3 for the generator, 1e-4 for the discriminator) and
Adam's usual momentum of .9. Strengths were chosen before the tables were made, and not tuned. The list was longer at
first: batch norm, dropout and the virtual adversarial penalty in the discriminator, least squares, hinge and averaged
weights were dropped from the ring for lack of computing time (seed 0 of the first and third had been seen: no mode).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from gan_course import data, layers, losses, metrics
from gan_course.metrics import judge
from gan_course.models import common
from gan_course.models.gan import GAN, RECIPES
from gan_course.theory import toy
from tools.experiments import Entry, defaults, fit
from tools.experiments.images import SAMPLES
from tools.experiments.ring import _RING, counted

OPTIONS: dict[str, Any] = {
    "n_critic": 1,  # discriminator updates per step
    "smoothing": 0.0,  # the target of real samples is 1 - smoothing
    "noise": 0.0,  # standard deviation of noise on all that the discriminator sees, falling linearly to 0
    "steps": 1,  # over which it falls
    "clip_norm": 0.0,  # largest norm of a gradient, for both networks; 0 for any
    "vat": 0.0,  # weight of the virtual adversarial penalty at real and generated samples
    "radius": 0.1,  # its radius
    "penalty": 0.0,  # weight of WGAN-GP's penalty
    "clip": 0.0,  # largest weight of the discriminator; then both players use RMSProp, as in WGAN's Algorithm 1
    "unroll": 0,  # discriminator updates that the generator foresees
    "unroll_lr": 0.1,  # their rate: plain gradient steps
    "minibatch_std": False,
    "norm_d": False,  # batch norm in the discriminator, real and generated samples in separate passes
    "augment": False,  # differentiable augmentation of real and generated images
    "frequencies": 0.0,  # scale of random Fourier features that the discriminator sees; 0 for none
}


class Fourier(nn.Module):
    """Random features sin(x B), cos(x B): with them a network learns steep functions easily; Tancik et al. (2020)."""

    def __init__(self, dim: int, features: int, scale: float):
        super().__init__()
        self.register_buffer("matrix", scale * torch.randn(dim, features // 2))

    def forward(self, x: Tensor) -> Tensor:
        angles = x @ self.matrix
        return torch.cat([angles.sin(), angles.cos()], 1)


class Remedied(GAN):
    """The vanilla GAN with the options above; those of the GAN itself come by its own names."""

    family = "remedied"

    def __init__(self, shape: tuple[int, ...], **settings: Any):
        own = {name: settings.pop(name, default) for name, default in OPTIONS.items()}
        super().__init__(shape, **settings)
        self.option, self.n_critic = own, own["n_critic"]
        stack = list(self.discriminator.layers)
        if own["frequencies"]:
            width = self.settings["width"]
            fourier = Fourier(self.pack * shape[0], width, own["frequencies"])
            stack[1:2] = [fourier, nn.Linear(width, width)]
        if own["norm_d"]:
            stack[5:5] = [nn.BatchNorm1d(stack[4].out_features)]
        if own["minibatch_std"]:
            stack[-1:] = [layers.MinibatchStd(), nn.Linear(stack[-1].in_features + 1, 1)]
        self.discriminator.layers = nn.Sequential(*stack)
        rates = self.settings  # with the defaults
        self.optimizer_d = common.adam(self.discriminator, rates["lr_d"], rates["beta1"], rates["beta2"])
        if own["clip"]:
            self.optimizer_g = torch.optim.RMSprop(self.generator.parameters(), rates["lr_g"])
            self.optimizer_d = torch.optim.RMSprop(self.discriminator.parameters(), rates["lr_d"])
        self.register_buffer("done", torch.zeros(()))

    def seen(self, x: Tensor) -> Tensor:
        """What the discriminator sees of samples ``(B, *shape)``."""
        if self.option["augment"]:
            x = layers.augment(x)
        if self.option["noise"]:
            std = self.option["noise"] * (1 - self.done / self.option["steps"])
            x = x + std * torch.randn_like(x)
        return self.packed(x)

    def judged(self, x: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if self.option["norm_d"]:
            return self.discriminator(x), self.discriminator(fake)
        return self.discriminator(torch.cat([x, fake])).chunk(2)

    def loss_d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        if not self.option["smoothing"]:
            return self.discriminator_loss(real_logits, fake_logits)
        target = torch.full_like(real_logits, 1 - self.option["smoothing"])
        return binary_cross_entropy_with_logits(real_logits, target) + softplus(fake_logits).mean()

    def moved(self, optimizer: torch.optim.Optimizer, loss: Tensor, network: nn.Module) -> None:
        if not self.option["clip_norm"]:
            return common.update(optimizer, loss)
        loss.backward(inputs=list(network.parameters()))
        nn.utils.clip_grad_norm_(network.parameters(), self.option["clip_norm"])
        optimizer.step()
        return optimizer.zero_grad()

    def foresee(self, x: Tensor) -> dict[str, Tensor]:
        """The discriminator's weights after updates on x, as functions of the generator; Metz et al. (2017)."""
        weights = dict(self.discriminator.named_parameters())
        for _ in range(self.option["unroll"]):
            fake = self.seen(self.generator(self.latents(x.shape[0])))
            both = torch.cat([self.seen(x), fake])
            loss = self.loss_d(*functional_call(self.discriminator, weights, (both,)).chunk(2))
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            rate = self.option["unroll_lr"]
            weights = {name: w - rate * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
        return weights

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        b, option = real.shape[1], self.option
        for x in real:
            with torch.no_grad():
                fake = self.seen(self.generator(self.latents(b)))
            plain, x = x, self.seen(x)
            real_logits, fake_logits = self.judged(x, fake)
            loss = loss_d = self.loss_d(real_logits, fake_logits)
            if self.r1:
                loss = loss + self.r1 * losses.r1_penalty(self.discriminator, x)
            if option["penalty"]:
                loss = loss + option["penalty"] * losses.gradient_penalty(self.discriminator, x, fake)
            if option["vat"]:
                # Dropout would add its own masks to the divergence, so it is off here.
                self.discriminator.eval()
                both = torch.cat([x, fake])
                smooth = losses.virtual_adversarial_penalty(self.discriminator, both, radius=option["radius"])
                self.discriminator.train()
                loss = loss + option["vat"] * smooth
            self.moved(self.optimizer_d, loss, self.discriminator)
            if option["clip"]:
                losses.clip_weights(self.discriminator, option["clip"])
        fake = self.seen(self.generator(self.latents(b)))
        if option["unroll"]:
            logits = functional_call(self.discriminator, self.foresee(plain), (fake,))
        else:
            logits = self.discriminator(fake)
        loss_g = self.generator_loss(logits)
        self.moved(self.optimizer_g, loss_g, self.generator)
        self.ema.update(self.generator)
        self.done += 1
        return {
            "loss_d": loss_d.detach(), "loss_g": loss_g.detach(),
            "logit_real": real_logits.detach().mean(), "logit_fake": fake_logits.detach().mean(),
        }  # fmt: skip


def _trained(
    seed: int, device: torch.device, points: data.DataSet, *, steps: int, batch: int, decay_from: int | None = None,
    **model: Any,
) -> tuple[GAN, Any]:  # fmt: skip
    torch.manual_seed(seed)
    gan = Remedied(points.shape, steps=steps, **model).to(device)
    history = fit(gan, points, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)
    return gan, history


def modes(seed: int, device: torch.device, *, target: str, divide: float, **settings: Any) -> dict[str, Any]:
    """Train on narrow Gaussians with one change to the base; count the modes that 2,500 samples reach."""
    mixture = {"ring": toy.ring, "grid": toy.grid}[target]()
    mixture = toy.GaussianMixture(mixture.means / divide, mixture.std / divide)
    points = data.DataSet(mixture.sample(100_000, torch.Generator().manual_seed(seed)), name=target)
    gan, history = _trained(seed, device, points, **settings)
    samples = gan.sample(2_500, generator=torch.Generator().manual_seed(seed)).cpu()
    return {**counted(samples, mixture), "loss_d": history["loss_d"][-1]}


def stacks(seed: int, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Train on stacked 8x8 digits; count the modes of 1,000 that the judge reads in 26,000 samples."""
    gan, history = _trained(seed, device, data.stack(data.load("digits", device=device), seed=seed), **settings)
    samples = gan.sample(26_000, generator=torch.Generator().manual_seed(seed))
    return {**metrics.summarize_stacked(samples, judge("digits", 8, device)), "loss_d": history["loss_d"][-1]}


def digits(seed: int, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Train on real 8x8 digits with one change to the recipe; judge 2,000 samples beside the test set."""
    train_set = data.load("digits", device=device)
    reference = data.load("digits", split="test", device=device).draw(SAMPLES)
    gan, history = _trained(seed, device, train_set, **settings)
    samples = gan.sample(SAMPLES, generator=torch.Generator().manual_seed(seed))
    measured = metrics.summarize(samples, reference, judge("digits", 8, device))
    z = gan.latents(512, torch.Generator().manual_seed(seed))
    loss = gan.generator_loss(gan.discriminator.eval()(gan.packed(gan.generator.eval()(z))))
    gradients = torch.autograd.grad(loss, list(gan.generator.parameters()))
    return {
        **{name: measured[name] for name in ("frechet", "classes", "confidence")},
        "gradient": torch.cat([g.flatten() for g in gradients]).norm().item(),
        **{name: history[name][-1] for name in ("loss_d", "loss_g", "logit_real", "logit_fake")},
    }


def few(seed: int, device: torch.device, *, images: int, **settings: Any) -> dict[str, Any]:
    """Train on a few real digits; does the discriminator know them by heart, and what do the samples resemble?"""
    everything = data.load("digits", device=device)
    chosen = torch.randperm(len(everything), generator=torch.Generator().manual_seed(seed))
    train_set = data.DataSet(everything.x[chosen[:images]], name=f"digits-{images}")
    gan, history = _trained(seed, device, train_set, **settings)
    seen, unseen = everything.x[chosen[:images]], everything.x[chosen[-images:]]  # the same number of each
    seen, unseen = (x.float() / 127.5 - 1 for x in (seen, unseen))
    reference = data.load("digits", split="test", device=device).draw(SAMPLES)
    samples = gan.sample(SAMPLES, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        groups = {"seen": seen, "unseen": unseen, "fake": samples}
        logit = {name: gan.discriminator.eval()(x) for name, x in groups.items()}
    critic = judge("digits", 8, device)
    flat = [x.flatten(1) for x in (samples, seen, unseen)]
    nearest = [torch.cdist(flat[0], x).min(1).values for x in flat[1:]]
    # How far the held-out images themselves are from the training images: what new images of the same kind get.
    between = torch.cdist(flat[2], flat[1]).min(1).values
    return {
        **{f"logit_{name}": value.mean().item() for name, value in logit.items()},
        # The chance that a training image looks more real than a held-out one: 1/2 if the discriminator cannot tell.
        "told_apart": (logit["seen"][:, None] > logit["unseen"]).double().mean().item(),
        "frechet": metrics.summarize(samples, reference, critic)["frechet"],
        "nearest_seen": nearest[0].median().item(),
        "nearest_unseen": nearest[1].median().item(),
        "nearest_real": between.median().item(),
        "nearer_seen": (nearest[0] < nearest[1]).double().mean().item(),
        "loss_d": history["loss_d"][-1],
    }


_TEN, _FIVE = range(10), range(5)
_LONG = {"steps": 12_000, "decay_from": None}  # eight times as many steps, and rates that never fall


def _entries(run: Any, base: dict[str, Any], changes: dict[str, dict[str, Any]], seeds: range) -> dict[str, Entry]:
    return {name: Entry(run, {**base, **changed}, seeds) for name, changed in changes.items()}


# The collapsing ring, one change at a time. (beta1 0, a faster discriminator, and both: ring_slow, ring_fast_momentum
# and ring_fast in ring.py.)
_COLLAPSE = {name: value for name, value in _RING.items() if name != "family"}
_COLLAPSE |= {"target": "ring", "divide": 1.0, "lr_d": 1e-4, "beta1": 0.9}
RING = {
    "slow_g": {"lr_g": 1e-4},
    "critic5": {"n_critic": 5},
    "r1": {"r1": 0.1},
    "pac2": {"pack": 2, "batch": 512},
    "minibatch_std": {"minibatch_std": True},
    "unrolled5": {"unroll": 5},
    "smoothing": {"smoothing": 0.1},
    "noise": {"noise": 0.3},
    "batch_norm_g": {"batch_norm": True},
    "wgan_gp": {"loss": "wasserstein", "penalty": 0.1},
    "clip_norm": {"clip_norm": 0.1},
}

# The grid, its coordinates divided by their standard deviation, 2.83. Random Fourier features make the discriminator
# steep, and the generator collapses.
_GRID = {**_COLLAPSE, "target": "grid", "divide": 8**0.5, "steps": 2500, "decay_from": 1250, "lr_d": 2e-3}
_GRID |= {"beta1": 0.0, "slope_g": 0.0}
GRID = {
    "plain": {},
    "fourier": {"frequencies": 3.0},
    "fourier_r1": {"frequencies": 3.0, "r1": 0.1},
    "fourier_minibatch_std": {"frequencies": 3.0, "minibatch_std": True},
}

_DIGITS = {"batch": 64, **defaults(GAN), **RECIPES["digits"]}

STACKED = {
    "plain": {},
    "pac2": {"pack": 2, "batch": 128},
    "minibatch_std": {"minibatch_std": True},
}

# The recipe's neighbours, one at a time. (The recipe itself is vanilla_gan_digits in images.py.)
DIGITS = {
    "lr_d_4": {"lr_d": 4e-3},
    "lr_d_quarter": {"lr_d": 2.5e-4},
    "lr_g_4": {"lr_g": 4e-3},
    "lr_g_quarter": {"lr_g": 2.5e-4},
    "beta1_0": {"beta1": 0.0},
    "beta1_9": {"beta1": 0.9},
    "beta2_9": {"beta2": 0.9},
    "batch_16": {"batch": 16},
    "batch_256": {"batch": 256},
    "batch_256_images": {"batch": 256, "steps": 575},  # as many images as the recipe sees
    "critic_2": {"n_critic": 2},
    "latent_2": {"latent_dim": 2},
    "latent_8": {"latent_dim": 8},
    "latent_256": {"latent_dim": 256},
    "dropout_0": {"dropout": 0.0},
    "dropout_5": {"dropout": 0.5},
    "batch_norm_g_0": {"batch_norm": False},
    "batch_norm_d": {"norm_d": True},
    "smoothing": {"smoothing": 0.1},
    "decay": {"decay_from": 1150},
    "ema_999": {"ema_decay": 0.999},
    "clip_norm": {"clip_norm": 0.1},
    "r1": {"r1": 1.0},
    "vat": {"vat": 1.0, "radius": 1.0},
    "augment": {"augment": True},
}

# A discriminator that wins: fast, without dropout, five updates per step, and the generator has the saturating loss.
_WINS = {**_DIGITS, "dropout": 0.0, "n_critic": 5, "lr_d": 1e-3, "lr_g": 1e-4, "steps": 600, "loss": "saturating"}
WINS = {
    "made": {},
    "non_saturating": {"loss": "non-saturating"},
    "critic_1": {"n_critic": 1},
    "slow_d": {"lr_d": 1e-4},
    "fast_g": {"lr_g": 1e-3},
    "dropout": {"dropout": 0.3},
    "beta2_9": {"beta2": 0.9},
    "smoothing": {"smoothing": 0.1},
    "noise": {"noise": 1.0},
    "r1": {"r1": 1.0},
    "wgan_gp": {"loss": "wasserstein", "penalty": 10.0},
}

FEW = {
    "50": {"images": 50},
    "50_augment": {"images": 50, "augment": True},
    "50_no_dropout": {"images": 50, "dropout": 0.0},
    "50_r1": {"images": 50, "r1": 1.0},
    "500": {"images": 500},
}

ENTRIES = {
    **_entries(modes, _COLLAPSE, {f"remedy_ring_{name}": c for name, c in RING.items()}, _TEN),
    # Packs of two see 512 points in each update, and here as many single ones. The other takes eight times as long.
    **_entries(modes, _COLLAPSE, {"remedy_ring_batch_512": {"batch": 512}}, range(3)),
    **_entries(modes, _COLLAPSE, {"remedy_ring_slow_g_long": {"lr_g": 1e-4, **_LONG}}, range(3)),
    **_entries(modes, _GRID, {f"remedy_grid_{name}": c for name, c in GRID.items()}, _TEN),
    **_entries(stacks, _DIGITS, {f"remedy_stacked_{name}": c for name, c in STACKED.items()}, _FIVE),
    **_entries(digits, _DIGITS, {f"hyper_digits_{name}": c for name, c in DIGITS.items()}, _FIVE),
    **_entries(digits, _WINS, {f"strong_d_{name}": c for name, c in WINS.items()}, _TEN),
    **_entries(few, _DIGITS, {f"few_digits_{name}": c for name, c in FEW.items()}, _TEN),
}
