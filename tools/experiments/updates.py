"""Who is updated when, and by which loss: programs that look like a GAN, on real digits.

In all of them both networks get as many updates as in the vanilla GAN's own tables (`vanilla_gan_digits`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics, models
from gan_course.data import DataSet
from gan_course.metrics import judge
from gan_course.models import common
from gan_course.models.gan import GAN, RECIPES
from tools.experiments import Entry, defaults

SAMPLES = 2_000


def built(seed: int, device: torch.device, data_name: str, model: dict[str, Any]) -> tuple[nn.Module, DataSet]:
    """Return a new model, and the data that it is to be trained on."""
    train_set = data.load(data_name, device=device)
    torch.manual_seed(seed)
    gan = models.build("gan", train_set, **model).to(device)
    torch.manual_seed(seed)  # as `fit` does
    return gan, train_set


def judged(gan: nn.Module, data_name: str, device: torch.device, seed: int) -> dict[str, Any]:
    """Judge 2,000 samples of the last weights and of the average; say what the discriminator takes them for."""
    reference = data.load(data_name, split="test", device=device).draw(SAMPLES)
    critic = judge(data_name, gan.shape[-1], device)
    z = gan.latents(SAMPLES, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        last = gan.generator.eval()(z)
        verdict = torch.sigmoid(gan.discriminator.eval()(last)).mean().item()
    measured = metrics.summarize(last, reference, critic)
    averaged = metrics.summarize(gan.decode(z), reference, critic)["frechet"]
    share = torch.bincount(critic.probabilities(last).argmax(1), minlength=10).max().item() / SAMPLES
    return {
        "frechet": averaged,
        "frechet_last": measured["frechet"],
        "classes": measured["classes"],
        "largest_share": share,
        "verdict": verdict,
    }


def phases(
    seed: int, device: torch.device, *, data_name: str, steps: int, batch: int, phase: int, **model: Any
) -> dict[str, Any]:
    """Train the discriminator alone for ``phase`` updates, then the generator alone for as many, and so on; each gets
    ``steps`` updates in all."""
    gan, train_set = built(seed, device, data_name, model)
    for update in range(2 * steps):
        turn, within = divmod(update, phase)
        fake = gan.generator(gan.latents(batch))
        if turn % 2 == 0:
            at = (turn // 2 * phase + within) * batch
            real = train_set.batch(data.order(len(train_set), seed, at, batch))
            loss = gan.discriminator_loss(gan.discriminator(real), gan.discriminator(fake.detach()))
            common.update(gan.optimizer_d, loss)
        else:
            common.update(gan.optimizer_g, gan.generator_loss(gan.discriminator(fake)))
            gan.ema.update(gan.generator)
    return judged(gan, data_name, device, seed)


def one_optimizer(
    seed: int, device: torch.device, *, data_name: str, steps: int, batch: int, joined: str, **model: Any
) -> dict[str, Any]:
    """Train both networks as one, by one Adam and one loss: the discriminator's ("one loss"), or the sum of both
    players' ("sum"), where generated images are detached in the discriminator's."""
    gan, train_set = built(seed, device, data_name, model)
    rates, betas = (model["lr_g"], model["lr_d"]), (model["beta1"], model["beta2"])
    if rates[0] != rates[1]:
        raise ValueError(f"one optimizer has one learning rate, got {rates}")
    both = torch.optim.Adam([*gan.generator.parameters(), *gan.discriminator.parameters()], rates[0], betas)

    def total(real: Tensor, fake: Tensor) -> Tensor:
        seen = fake if joined == "one loss" else fake.detach()
        loss_d = gan.discriminator_loss(gan.discriminator(real), gan.discriminator(seen))
        return loss_d if joined == "one loss" else loss_d + gan.generator_loss(gan.discriminator(fake))

    for step in range(steps):
        real = train_set.batch(data.order(len(train_set), seed, step * batch, batch))
        common.update(both, total(real, gan.generator(gan.latents(batch))))
        gan.ema.update(gan.generator)
    return judged(gan, data_name, device, seed)


_DIGITS = {"data_name": "digits", "batch": 64, **defaults(GAN), **RECIPES["digits"]}

ENTRIES = {
    "vanilla_gan_phases_100": Entry(phases, {**_DIGITS, "phase": 100}, range(3)),
    "vanilla_gan_phases_2300": Entry(phases, {**_DIGITS, "phase": 2300}, range(4)),
    "vanilla_gan_sum": Entry(one_optimizer, {**_DIGITS, "joined": "sum"}, range(3)),
    "vanilla_gan_one_loss": Entry(one_optimizer, {**_DIGITS, "joined": "one loss"}, range(3)),
}
