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
    """Train the discriminator alone; by which factor does the generator's gradient norm change, for both losses?

    And what of that is the discriminator's own slope: the mean norm of its logit's gradient by the image, and how well
    these gradients agree over the images (the norm of their mean by the mean of their norms, at most 1).
    """
    train_set = data.load(data_name, device=device)
    torch.manual_seed(seed)
    gan = GAN(train_set.shape, width=width, lr_d=lr_d).to(device)
    weights = list(gan.generator.parameters())

    def measured() -> tuple[float, float, dict[str, float]]:
        images = gan.generator(gan.latents(512))
        logits = gan.discriminator(images)
        slopes = torch.autograd.grad(logits.sum(), images, retain_graph=True)[0].flatten(1)
        found = {"slope": slopes.norm(dim=1).mean().item()}
        agreement = slopes.mean(0).norm().item() / found["slope"]
        for name in ("saturating", "non-saturating"):
            gradient = torch.autograd.grad(losses.pair(name)[1](logits), weights, retain_graph=True)
            found[name] = torch.cat([g.flatten() for g in gradient]).norm().item()
        return torch.sigmoid(logits).mean().item(), agreement, found

    _, agreement_before, before = measured()
    for step in range(steps):
        real = train_set.batch(data.order(len(train_set), seed, 64 * step, 64))
        fake = gan.generator(gan.latents(64)).detach()
        gan.optimizer_d.zero_grad()
        losses.discriminator_cross_entropy(gan.discriminator(real), gan.discriminator(fake)).backward()
        gan.optimizer_d.step()
    verdict, agreement, after = measured()
    return {
        "verdict": verdict,
        **{name: after[name] / before[name] for name in after},
        "agreement_before": agreement_before,
        "agreement": agreement,
    }


ENTRIES = {
    "gradients_digits": Entry(gradients, {"data_name": "digits", "width": 128, "lr_d": 1e-3, "steps": 300}, range(10)),
    "gradients_mnist": Entry(gradients, {"data_name": "mnist", "width": 256, "lr_d": 1e-3, "steps": 300}, range(10)),
}
