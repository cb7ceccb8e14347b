"""What perfect generators get: real images beside real images, and stacked real digits."""

from __future__ import annotations

from typing import Any

import torch

from gan_course import data, metrics
from gan_course.data import stacked
from gan_course.metrics import judge
from tools.experiments import Entry


def real(seed: int, device: torch.device, *, data_name: str, n: int) -> dict[str, Any]:
    """All metrics of n real training images beside as many real test images."""
    train_set, test_set = (data.load(data_name, split=split, device=device) for split in data.SPLITS)
    critic = judge(data_name, train_set.shape[-1], device)
    return metrics.evaluate(train_set.draw(n, seed), test_set.draw(n, seed), critic.features, critic.probabilities)


def stacked_real(seed: int, device: torch.device, *, data_name: str, n: int) -> dict[str, Any]:
    """The modes that a judge reads in n stacks of three real test digits."""
    images = data.stack(data.load(data_name, split="test", device=device), n=n, seed=seed)
    critic = judge(data_name, images.shape[-1], device)
    read = [metrics.read_stacked(images.batch(rows), critic) for rows in torch.arange(n).split(2_000)]
    shares = metrics.stacked_shares(torch.cat(read))
    uniform = torch.full_like(shares, 1 / stacked.MODES)
    right = (torch.cat(read) == images.labels).double().mean().item()
    return {"modes": int((shares > 0).sum()), "reverse_kl": metrics.reverse_kl(shares, uniform), "read_right": right}


ENTRIES = {
    "metrics_real_digits": Entry(real, {"data_name": "digits", "n": 500}, range(5)),
    "metrics_real_mnist": Entry(real, {"data_name": "mnist", "n": 2_000}, range(5)),
    "metrics_stacked_real_digits": Entry(stacked_real, {"data_name": "digits", "n": 26_000}, range(5)),
    "metrics_stacked_real_mnist": Entry(stacked_real, {"data_name": "mnist", "n": 26_000}, range(5)),
}
