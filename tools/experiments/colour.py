"""Long runs on images, most of them on CIFAR-10 (JPEG), and the generators of theirs that readers can load.

A run takes from half an hour to an hour and a half on one thread. It is kept in ``runs/`` of the cache and goes on
where it was interrupted.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan_course import data, metrics, models
from gan_course.data import downloads
from gan_course.metrics import judge
from gan_course.models import common, trained
from gan_course.models.biggan import BigGAN
from gan_course.models.conditional import ProjectionGAN
from gan_course.models.dcgan import DCGAN
from gan_course.models.r3gan import R3GAN
from gan_course.models.sngan import SNGAN
from gan_course.models.wgan import WGANGP
from gan_course.notebook import widgets
from gan_course.train import loop
from tools.experiments import Entry, defaults
from tools.experiments.conditional import by_class

WEIGHTS = Path(__file__).resolve().parents[2] / "book" / "weights"
SAMPLES = 10_000  # beside the 10,000 images of the test split
CHUNK = 100  # more images at a time are slower on a CPU


def colour(
    seed: int, device: torch.device, *,
    name: str, family: str, data_name: str, steps: int, batch: int, decay_from: int, every: int,
    precision: str = "float32", **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a generator of images, and judge 10,000 samples beside the test split at every snapshot, those of a
    conditional one by class as well; seed 0 is kept."""
    train_set = data.load(data_name, device=device)
    folder = downloads.cache_root() / "runs" / f"{name}_{seed}"
    torch.manual_seed(seed)
    gan = models.build(family, train_set, **model).to(device)
    snapshots = folder / "averages"
    snapshots.mkdir(parents=True, exist_ok=True)

    def keep(gan: nn.Module) -> dict[str, float]:
        updates = list(gan.optimizer_g.state.values())
        step = int(updates[0]["step"]) if updates else 0
        torch.save(gan.ema.network.state_dict(), snapshots / f"{step:06d}.pt")
        return {}

    history = loop.fit(
        gan, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, precision=precision, channels_last=True,
        snapshot_every=every, probe=keep, checkpoint_seconds=120, out=folder / "run",
    )  # fmt: skip
    critic = judge(data_name, train_set.shape[-1], device)
    reference = critic.features(data.load(data_name, split="test", device=device).images(), CHUNK)
    curve = []
    for path in sorted(snapshots.glob("*.pt")):
        gan.ema.network.load_state_dict(torch.load(path, weights_only=True))
        samples = gan.sample(SAMPLES, generator=torch.Generator().manual_seed(0))
        found = critic.features(samples, CHUNK)
        curve.append([int(path.stem), round(metrics.frechet_distance(found, reference), 4)])
    row = {
        **_measured(found, reference, critic),
        "curve": curve,
        "training_seconds": history["seconds"][-1],
        "commit": commit(),
    }
    if isinstance(gan, common.ClassSampler):
        row |= by_class(samples, common.cycled_labels(SAMPLES, gan.num_classes, device), critic, data_name=data_name)
    return row | (publish(gan, name, gan.sample(64, generator=torch.Generator().manual_seed(0))) if seed == 0 else {})


def real(seed: int, device: torch.device, *, data_name: str) -> dict[str, Any]:
    """The same measurement on 10,000 real training images: what a perfect generator would get."""
    reference = data.load(data_name, split="test", device=device)
    critic = judge(data_name, reference.shape[-1], device)
    images = data.load(data_name, device=device).draw(SAMPLES, seed)
    return _measured(critic.features(images, CHUNK), critic.features(reference.images(), CHUNK), critic)


def _measured(found: torch.Tensor, reference: torch.Tensor, critic: metrics.Judge) -> dict[str, float]:
    """Metrics of features, each computed once."""
    names = ("frechet", "classes", "least_share", "confidence", "precision", "recall")
    return metrics.evaluate(found, reference, lambda x: x, lambda x: critic.head(x).softmax(1), names)


def publish(model: nn.Module, name: str, images: torch.Tensor, columns: int = 8) -> dict[str, Any]:
    """Write the averaged generator for readers, print its line for TRAINED, and return what the table says of it, with
    a grid of ``images`` that it made."""
    content = trained.pack(model)
    WEIGHTS.mkdir(exist_ok=True)
    (WEIGHTS / f"{name}.safetensors").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    print(f'    "{name}": Weights({len(content)}, "{sha256}"),')
    return {"sha256": sha256, "samples_png": base64.b64encode(widgets.png_of_images(images, columns=columns)).decode()}


def commit() -> str:
    """Return the version of the code, for the row of a run that nobody repeats by the way."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=WEIGHTS.parent, capture_output=True, text=True, check=True).stdout.strip()


def _long(model: type[nn.Module], steps: int, every: int, **changed: Any) -> dict[str, Any]:
    # Fixed before these runs, from the papers and one trial of the SNGAN, but for the steps: what the time allowed.
    shared = {"latent_dim": 128, "width": 32, "ema_decay": 0.999, "batch": 64, "decay_from": steps // 2, "every": every}
    own = {**defaults(model, "num_classes"), "family": model.family, "data_name": "cifar10-jpeg", "steps": steps}
    return {**own, **shared, **changed}


_RUNS = {
    "dcgan_cifar10": (_long(DCGAN, 12_000, 2_000), range(3)),
    "sngan_cifar10": (_long(SNGAN, 5_000, 1_000, networks="cnn", n_critic=1, lr_g=5e-4, lr_d=5e-4), range(1)),
    "wgan_gp_cifar10": (_long(WGANGP, 4_000, 1_000, networks="conv", lr_g=2e-4, lr_d=2e-4), range(1)),
    "projection_cifar10": (
        _long(ProjectionGAN, 10_000, 2_000, lr_g=5e-4, lr_d=5e-4, latent_dim=64, precision="bf16"),
        range(1),
    ),
    "biggan_cifar10": (
        _long(BigGAN, 3_000, 1_000, lr_g=5e-4, lr_d=1e-3, latent_dim=60, width=24, precision="bf16"),
        range(1),
    ),
    # A step takes 2.7 times the processor's time of one of the DCGAN in bfloat16 (0.212 s beside 0.079 s, one thread):
    # as many steps as a DCGAN of 12,000 leaves time for.
    "r3gan_cifar10": (
        _long(
            R3GAN, 4_500, 500, latent_dim=64, width=16, patch=2, r1=0.05, r2=0.05, lr_g=5e-4, lr_d=5e-4,
            precision="bf16",
        ),
        range(1),
    ),
    "conditional_mnist": (
        _long(ProjectionGAN, 4_000, 1_000, data_name="mnist", lr_g=1e-3, lr_d=5e-4, latent_dim=64),
        range(1),
    ),
}
ENTRIES = {
    "cifar10_real": Entry(real, {"data_name": "cifar10-jpeg"}, range(3)),
    "mnist_real": Entry(real, {"data_name": "mnist"}, range(3)),
    **{name: Entry(colour, {"name": name, **settings}, seeds) for name, (settings, seeds) in _RUNS.items()},
}
