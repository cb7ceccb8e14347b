"""What the bugs of the debugging clinic's cases 15 to 28 cost: the loop, logs and checkpoints, data and evaluation.

Every row trains or measures twice, from one seed: by the program as it was met, and by its repair.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_course import data, metrics
from gan_course.metrics import judge
from gan_course.models import gan
from tools.experiments import Entry, clinic

LATENT, WIDTH, BATCH = 64, 128, 64
SHAPE = (1, 8, 8)
SAMPLES = 2_000


class Digits:
    """What a run on the digits of 8x8 pixels consists of, all of it given by the seed.

    Args:
        seed: of the initial weights, of the order of the images and of the latents.
        device: where everything lives.
        dropout: of the discriminator.
        batch: images that :meth:`batches` gives at a time.
    """

    def __init__(self, seed: int, device: torch.device, dropout: float = 0.3, batch: int = BATCH):
        self.seed, self.device, self.batch = seed, device, batch
        self.train_set = data.load("digits", device=device)
        torch.manual_seed(seed)
        self.generator = gan.Generator(SHAPE, LATENT, WIDTH, batch_norm=True).to(device)
        self.discriminator = gan.Discriminator(SHAPE, WIDTH, dropout).to(device)

    def batches(self) -> Iterator[Tensor]:
        """Real images (B, 1, 8, 8), endlessly."""
        start = 0
        while True:
            yield self.train_set.take(self.seed, start, self.batch)[0]
            start += self.batch

    def adams(self) -> tuple[torch.optim.Adam, torch.optim.Adam]:
        """Optimizers of the generator and of the discriminator."""
        networks = self.generator, self.discriminator
        return tuple(torch.optim.Adam(network.parameters(), 1e-3, (0.5, 0.999)) for network in networks)

    def steps(self, optimizers: tuple[torch.optim.Adam, torch.optim.Adam] | None = None) -> Callable[[], tuple]:
        """A function that updates both networks once (non-saturating loss) and returns their losses."""
        optimizer_g, optimizer_d = optimizers or self.adams()
        batches = self.batches()

        def step() -> tuple[float, float]:
            real = next(batches)
            with torch.no_grad():
                fake = self.generator(self.latents(len(real)))
            loss_d = softplus(-self.discriminator(real)).mean() + softplus(self.discriminator(fake)).mean()
            optimizer_d.zero_grad()
            loss_d.backward()
            optimizer_d.step()
            loss_g = softplus(-self.discriminator(self.generator(self.latents(len(real))))).mean()
            optimizer_g.zero_grad()
            loss_g.backward()
            optimizer_g.step()
            return loss_d.item(), loss_g.item()

        return step

    def latents(self, n: int, seed: int | None = None) -> Tensor:
        """Latents (n, 64), drawn by a generator of their own if a seed is given."""
        own = None if seed is None else torch.Generator().manual_seed(seed)
        return torch.randn(n, LATENT, generator=own).to(self.device)

    @torch.no_grad()
    def draw(self, network: nn.Module | None = None) -> Tensor:
        """2,000 samples of the generator, or of another network, in evaluation mode."""
        return copy.deepcopy(network or self.generator).eval()(self.latents(SAMPLES, self.seed))


def frechet(images: Tensor, reference: Tensor | None = None) -> float:
    """The Frechet distance of digits to the 500 test images, or to others, by the book's judge."""
    reference = data.load("digits", split="test", device=images.device).images() if reference is None else reference
    features = judge("digits", 8, images.device).features
    return metrics.frechet_distance(features(images), features(reference))


def floor(device: torch.device) -> float:
    """The distance of all 1,297 training images to the test images."""
    return frechet(data.load("digits", device=device).images())
