#!/usr/bin/env python3
"""Fill book/results: tables over many seeds that take too long for a notebook.

Each entry is one JSON file with its settings, seeds, device, versions, seconds, date and one row per seed. Rows are
written as they come, so an interrupted run goes on where it was. An entry is stale when its settings here are no
longer those in its file; then all of it is computed anew.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
import torchvision

from gan_course import data, losses, metrics, profiles, toy
from gan_course.errors import DataError, unknown
from gan_course.features import judge
from gan_course.models.gan import GAN, RECIPES
from gan_course.train import fit

FOLDER = Path(__file__).resolve().parent.parent / "book" / "results"
SAMPLES = 2_000


@dataclass
class Entry:
    """One table: ``run(seed, device, **settings)`` gives a row."""

    run: Callable[..., dict[str, Any]]
    settings: dict[str, Any]
    seeds: range
    full: bool = False  # planned for a GPU

    def state(self, name: str) -> str:
        """Return ``ok``, or what is to be done: ``missing``, ``stale``, ``incomplete``."""
        stored = read(name)
        if stored is None:
            return "missing"
        if stored["settings"] != self.settings:
            return "stale"
        return "ok" if {row["seed"] for row in stored["rows"]} >= set(self.seeds) else "incomplete"


def images(seed: int, device: torch.device, *, data_name: str, steps: int, batch: int, **model: Any) -> dict[str, Any]:
    """Train the MLP GAN on images and judge 2,000 samples beside the test set."""
    train_set = data.load(data_name, device=device)
    reference = data.load(data_name, split="test", device=device).draw(SAMPLES)
    critic = judge(data_name, train_set.shape[-1], device)
    torch.manual_seed(seed)
    gan = GAN(train_set.shape, **model).to(device)
    history = fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)
    z = gan.latents(SAMPLES, torch.Generator().manual_seed(seed))
    measured = metrics.summarize(gan.decode(z), reference, critic)
    with torch.no_grad():  # the weights of the last step, not averaged
        last = metrics.summarize(gan.generator.eval()(z), reference, critic)["frechet"]
    return {**measured, "frechet_last": last, "loss_d": history["loss_d"][-1], "loss_g": history["loss_g"][-1]}


def real_images(seed: int, device: torch.device, *, data_name: str) -> dict[str, Any]:
    """The same measurement on real training images: what a perfect generator would get."""
    train_set = data.load(data_name, device=device)
    reference = data.load(data_name, split="test", device=device).draw(SAMPLES)
    return metrics.summarize(train_set.draw(SAMPLES, seed), reference, judge(data_name, train_set.shape[-1], device))


def ring(seed: int, device: torch.device, *, steps: int, batch: int, decay_from: int, **model: Any) -> dict[str, Any]:
    """Train on the ring of eight narrow Gaussians; count the modes that 2,500 samples reach."""
    mixture = toy.ring()
    torch.manual_seed(seed)
    gan = GAN((2,), **model).to(device)
    points = data.DataSet(mixture.sample(100_000, torch.Generator().manual_seed(seed)), name="ring")
    fit(gan, points, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)
    samples = gan.sample(2_500, generator=torch.Generator().manual_seed(seed)).cpu()
    modes, high_quality = metrics.modes_covered(samples, mixture.means, mixture.std[0].item())
    # How much of the circle the samples span, whether or not they hit the modes: shares of the nearest modes.
    shares = torch.cdist(samples, mixture.means).argmin(1).bincount(minlength=len(mixture.means)) / len(samples)
    return {"modes": modes, "high_quality": high_quality, "largest_share": shares.max().item()}


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


#: The model's own defaults are settings too: a table is stale when one of them changes.
_DEFAULTS = {n: p.default for n, p in inspect.signature(GAN).parameters.items() if n not in ("shape", "self")}


def _images(data_name: str, **changed: Any) -> dict[str, Any]:
    return {"data_name": data_name, "batch": 64, **_DEFAULTS, **RECIPES[data_name], **changed}


_RING = {
    **_DEFAULTS,
    "steps": 1500,
    "decay_from": 750,
    "batch": 256,
    "latent_dim": 2,
    "width": 128,
    "batch_norm": False,
    "ema_decay": 0.0,
    "lr_g": 1e-3,
}

ENTRIES = {
    "vanilla_gan_digits": Entry(images, _images("digits"), range(10)),
    "vanilla_gan_digits_saturating": Entry(images, _images("digits", loss="saturating"), range(10)),
    "vanilla_gan_digits_least_squares": Entry(images, _images("digits", loss="least-squares"), range(10)),
    "vanilla_gan_digits_real": Entry(real_images, {"data_name": "digits"}, range(1)),
    "vanilla_gan_mnist": Entry(images, _images("mnist"), range(5)),
    "vanilla_gan_mnist_real": Entry(real_images, {"data_name": "mnist"}, range(5)),
    "vanilla_gan_mnist_full": Entry(images, _images("mnist", steps=40_000), range(5), full=True),
    "gradients_digits": Entry(gradients, {"data_name": "digits", "width": 128, "lr_d": 1e-3, "steps": 300}, range(10)),
    "gradients_mnist": Entry(gradients, {"data_name": "mnist", "width": 256, "lr_d": 1e-3, "steps": 300}, range(10)),
    "ring_slow_momentum": Entry(ring, {**_RING, "lr_d": 1e-4, "beta1": 0.9}, range(10)),
    "ring_slow": Entry(ring, {**_RING, "lr_d": 1e-4, "beta1": 0.0}, range(10)),
    "ring_fast_momentum": Entry(ring, {**_RING, "lr_d": 2e-3, "beta1": 0.9}, range(10)),
    "ring_fast": Entry(ring, {**_RING, "lr_d": 2e-3, "beta1": 0.0}, range(10)),
}


def read(name: str) -> dict[str, Any] | None:
    """Return the stored table, or None."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def fill(name: str, device: torch.device) -> None:
    """Compute the rows of an entry that are missing, or all if it is stale."""
    entry = ENTRIES[name]
    made_by = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    }
    stored = read(name) if entry.state(name) == "incomplete" else None
    # Rows are only added to rows that were made in the same way.
    rows = stored["rows"] if stored and all(stored[key] == value for key, value in made_by.items()) else []
    for seed in entry.seeds:
        if any(row["seed"] == seed for row in rows):
            continue
        began = time.perf_counter()
        row = entry.run(seed, device, **entry.settings)
        rows.append({"seed": seed, **row, "seconds": round(time.perf_counter() - began, 1)})
        table = {
            "name": name,
            "what": entry.run.__doc__,
            "settings": entry.settings,
            **made_by,
            "date": date.today().isoformat(),
            "rows": sorted(rows, key=lambda row: row["seed"]),
        }
        beside = FOLDER / f"{name}.part"
        beside.write_text(json.dumps(table, indent=1) + "\n")
        os.replace(beside, FOLDER / f"{name}.json")
        print(name, rows[-1], flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["list", "run"], help="list the entries and their state, or fill them")
    parser.add_argument("names", nargs="*", help="entries (default: all that are not ok)")
    parser.add_argument("--full", action="store_true", help="the entries planned for a GPU instead of the others")
    parser.add_argument("--threads", type=int, default=1, help="threads on the CPU (default: %(default)s)")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in ENTRIES:
            print(unknown("entry", name, ENTRIES), file=sys.stderr)
            return 2
    if options.command == "list":
        for name, entry in ENTRIES.items():
            print(f"{name:36} {entry.state(name):10} {len(entry.seeds)} seeds{', on a GPU' if entry.full else ''}")
        return 0
    torch.set_num_threads(options.threads)
    device = profiles.device() if options.full else torch.device("cpu")
    if options.full and device.type == "cpu":
        print("no GPU here: the full-scale entries stay as they are")
        return 0
    chosen = options.names or [n for n, e in ENTRIES.items() if e.full == options.full and e.state(n) != "ok"]
    status = 0
    for name in chosen:
        try:
            fill(name, device)
        except DataError as error:  # data that cannot be had are no fault of the experiment
            print(f"{name} skipped: {error}", file=sys.stderr)
        except (RuntimeError, ValueError, FloatingPointError) as error:  # the others still run
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
