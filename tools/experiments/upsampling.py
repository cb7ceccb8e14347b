"""How a convolutional generator enlarges its maps, and what that leaves at the highest frequency of its images."""

from __future__ import annotations

import copy
import functools
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data, metrics
from gan_course.layers import initialize
from gan_course.metrics import judge
from gan_course.models import common
from gan_course.models.dcgan import DCGAN
from gan_course.models.ema import EMA
from tools.experiments import Entry, defaults, fit

SAMPLES = 2_000


def doubling(way: str, channels_in: int, channels_out: int, bias: bool) -> nn.Module:
    """Return a linear layer that doubles height and width."""
    if way.startswith("transposed"):  # "transposed 3": the kernel
        kernel = int(way.split()[1])
        padding = (kernel - 1) // 2
        extra = 2 * padding + 2 - kernel  # the side becomes 2n
        return nn.ConvTranspose2d(channels_in, channels_out, kernel, 2, padding, extra, bias=bias)
    if way == "pixel shuffle":
        return nn.Sequential(nn.Conv2d(channels_in, 4 * channels_out, 3, padding=1, bias=bias), nn.PixelShuffle(2))
    grow = nn.Upsample(scale_factor=2, mode=way)
    return nn.Sequential(grow, nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias))


class Doubling(DCGAN):
    """A DCGAN whose generator doubles its maps in a given way; all else stays."""

    def __init__(self, way: str, **settings: Any):
        super().__init__(**settings)
        maps = [block[0].in_channels for block in self.generator.ups] + [settings["width"]]
        self.generator.ups = nn.Sequential(*[
            nn.Sequential(doubling(way, a, b, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(maps[:-1], maps[1:], strict=True)
        ])  # fmt: skip
        self.generator.to_image = nn.Sequential(doubling(way, maps[-1], self.shape[0], bias=True), nn.Tanh())
        initialize(self.generator)
        self.ema = EMA(self.generator, settings["ema_decay"])
        self.optimizer_g = common.adam(self.generator, settings["lr_g"], settings["beta1"], settings["beta2"])


def shells(x: Tensor) -> Tensor:
    """Return ``(H / 2,)``: how the power of images ``(n, C, H, H)`` is shared among frequencies.

    Entry k - 1 belongs to all (u, v) with max(|u|, |v|) = k; the last one to those with the highest frequency, H / 2,
    in at least one direction. The mean of each image is left out.
    """
    power = torch.fft.fft2(x.double()).abs().square().sum((0, 1))
    side = len(power)
    u = torch.fft.fftfreq(side, 1 / side, device=x.device).abs().round().long()
    shell = torch.maximum(u[:, None], u[None, :])
    total = torch.stack([power[shell == k].sum() for k in range(1, side // 2 + 1)])
    return total / total.sum()


def fixed_pattern(x: Tensor) -> float:
    """Return the share of the checkerboards' power that all images have in common: 1 / n if their signs are random."""
    half = x.shape[-1] // 2
    corners = torch.fft.fft2(x.double())[..., [half, 0, half], [0, half, half]]
    return (corners.mean(0).abs().square().sum() / corners.abs().square().mean(0).sum()).item()


def measured(images: Tensor) -> dict[str, Any]:
    found = shells(images)
    return {"nyquist": found[-1].item(), "fixed_pattern": fixed_pattern(images), "shells": found.tolist()}


@functools.cache
def sets(data_name: str, size: int, device: torch.device) -> tuple[data.DataSet, Tensor]:
    """Return the training set, and 2,000 test images (or all)."""
    train_set = data.load(data_name, size=size, device=device)
    return train_set, data.load(data_name, size=size, split="test", device=device).draw(SAMPLES)


def checkerboard(
    seed: int, device: torch.device, *, way: str, data_name: str, size: int, steps: int, batch: int, **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a DCGAN that doubles its maps in a given way; judge 2,000 samples, and their share of power at the Nyquist
    frequency, before, on the way (with the weights of that step, as the discriminator sees them), and after."""
    train_set, reference = sets(data_name, size, device)
    torch.manual_seed(seed)
    gan = Doubling(way, shape=train_set.shape, **settings).to(device)
    z = gan.latents(250, torch.Generator().manual_seed(seed))

    def probe(model: nn.Module) -> dict[str, float]:
        with torch.no_grad():  # with the statistics of the batch, as in training; they are left as they were
            return {"nyquist": shells(copy.deepcopy(model.generator).train()(z))[-1].item()}

    history = fit(
        gan, train_set, steps, batch=batch, seed=seed, probe=probe, snapshot_every=50, snapshot_size=1, progress=False
    )
    samples = gan.sample(SAMPLES, generator=torch.Generator().manual_seed(seed))
    return {
        **measured(samples),
        **metrics.summarize(samples, reference, judge(data_name, size, device)),
        "curve": list(zip(history["probe_step"], history["nyquist"], strict=True)),
        "parameters": sum(p.numel() for p in gan.generator.parameters()),
    }


def real(seed: int, device: torch.device, *, data_name: str, size: int) -> dict[str, Any]:
    """The same measurement on real images: training images beside the test set, and the test set's own power."""
    train_set, reference = sets(data_name, size, device)
    return {
        **measured(reference),
        **metrics.summarize(train_set.draw(SAMPLES, seed), reference, judge(data_name, size, device)),
    }


def _settings(data_name: str, way: str) -> dict[str, Any]:
    small = {"width": 16, "batch_norm": False, "lr_g": 1e-3, "lr_d": 5e-4, "steps": 600, "batch": 32, "size": 16}
    return {"way": way, "data_name": data_name, **defaults(DCGAN, "up"), **small}


_WAYS = {
    "digits": {
        "transposed_4": "transposed 4", "transposed_3": "transposed 3", "resize": "nearest", "bilinear": "bilinear",
        "shuffle": "pixel shuffle",
    },
    "mnist": {"transposed_4": "transposed 4", "transposed_3": "transposed 3", "resize": "nearest"},
}  # fmt: skip
ENTRIES = {
    f"upsampling_{name}_{key}": Entry(checkerboard, _settings(name, way), range(5))
    for name, ways in _WAYS.items()
    for key, way in ways.items()
} | {f"upsampling_{name}_real": Entry(real, {"data_name": name, "size": 16}, range(1)) for name in _WAYS}
