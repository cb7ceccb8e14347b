"""How the generator's gradient fares while the discriminator alone is trained."""

from __future__ import annotations

from typing import Any

import torch

from gan_course import data, losses
from gan_course.models.gan import GAN
from tools.experiments import Entry


def gradients(
    seed: int, device: torch.device, *, data_name: str, width: int, lr_d: float, steps: int
) -> dict[str, Any]:
    """Train the discriminator alone; by which factor does the generator's gradient norm change, for both losses?"""
    train_set = data.load(data_name, device=device)
    torch.manual_seed(seed)
    gan = GAN(train_set.shape, width=width, lr_d=lr_d).to(device)
    weights = list(gan.generator.parameters())

    def norms() -> tuple[float, dict[str, float]]:
        logits = gan.discriminator(gan.generator(gan.latents(512)))
        found = {}
        for name in ("saturating", "non-saturating"):
            gradient = torch.autograd.grad(losses.pair(name)[1](logits), weights, retain_graph=True)
            found[name] = torch.cat([g.flatten() for g in gradient]).norm().item()
        return torch.sigmoid(logits).mean().item(), found

    _, before = norms()
    for step in range(steps):
        real = train_set.batch(data.order(len(train_set), seed, 64 * step, 64))
        fake = gan.generator(gan.latents(64)).detach()
        gan.optimizer_d.zero_grad()
        losses.discriminator_cross_entropy(gan.discriminator(real), gan.discriminator(fake)).backward()
        gan.optimizer_d.step()
    verdict, after = norms()
    return {"verdict": verdict, **{name: after[name] / before[name] for name in after}}


ENTRIES = {
    "gradients_digits": Entry(gradients, {"data_name": "digits", "width": 128, "lr_d": 1e-3, "steps": 300}, range(10)),
    "gradients_mnist": Entry(gradients, {"data_name": "mnist", "width": 256, "lr_d": 1e-3, "steps": 300}, range(10)),
}
