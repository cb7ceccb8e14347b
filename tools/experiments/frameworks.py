"""One DCGAN in PyTorch, Keras and JAX: how far the three agree, and what a setting that was left as it comes costs.

The networks and steps are the chapter's own cells, those with the tag ``frameworks``: what readers see is measured.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Iterator
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan_course import data, metrics
from gan_course.layers import initialize
from gan_course.metrics import judge
from tools.experiments import Entry, programs

NEEDS = ("tensorflow", "keras", "jax")
SAMPLES = 2_000
BETA2 = 1 - 2**-10  # exact in float32


@functools.cache
def chapter() -> SimpleNamespace:
    """Run the chapter's cells with the tag ``frameworks``; return the names that they define.

    ``keras``, ``tf`` and ``jax`` are None where the package is missing.
    """
    cells = programs.cells("beyond/frameworks.ipynb").values()
    sources = {f"cell {cell.id}": cell.source for cell in cells if "frameworks" in cell.metadata.get("tags", [])}
    names = programs.run(sources, find_spec=find_spec, os=os, np=np, torch=torch, nn=nn, initialize=initialize)
    return SimpleNamespace(**names)


@contextlib.contextmanager
def precision(name: str) -> Iterator[SimpleNamespace]:
    """Within, new networks of the chapter compute in ``name``, "float32" or "float64"; gives the chapter's names."""
    code, before = chapter(), torch.get_default_dtype()

    def choose(dtype: str) -> None:
        torch.set_default_dtype(getattr(torch, dtype))
        if code.keras:
            code.keras.config.set_floatx(dtype)
            code.keras.config.set_dtype_policy(dtype)  # kept from the first layer on, whatever floatx becomes
        if code.jax:
            code.jax.config.update("jax_enable_x64", dtype == "float64")

    choose(name)
    try:
        yield code
    finally:
        choose(str(before).removeprefix("torch."))


@functools.cache
def sets(data_name: str, device: torch.device) -> tuple[data.DataSet, Tensor]:
    """Return the training set, and 2,000 test images (or all)."""
    train_set = data.load(data_name, size=16, device=device)
    return train_set, data.load(data_name, size=16, split="test", device=device).draw(SAMPLES)


def batches(seed: int, train_set: data.DataSet, batch: int, steps: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield real images and the latents of both updates, the same ones for every library."""
    latents = torch.Generator().manual_seed(seed)
    dtype = torch.get_default_dtype()
    for step in range(steps):
        real = train_set.batch(data.order(len(train_set), seed, batch * step, batch))
        yield real.to(dtype), *torch.randn(2, batch, 64, generator=latents, dtype=dtype)


def distances(ours: list[list[list[np.ndarray]]], theirs: list[list[list[np.ndarray]]]) -> np.ndarray:
    """Return the differences between two sets of weights (not the statistics of batch norm), as one row."""
    pairs = [
        (a, b)
        for our_network, their_network in zip(ours, theirs, strict=True)
        for our_layer, their_layer in zip(our_network, their_network, strict=True)
        for a, b in list(zip(our_layer, their_layer, strict=True))[:2]
    ]
    return np.concatenate([(np.asarray(a, float) - np.asarray(b, float)).ravel() for a, b in pairs])


def rms(x: Any) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(np.asarray(x, float)))))


# --- the same weights, the same inputs ----------------------------------------------------------------


def exact(ours: Any, theirs: Any) -> None:
    """Give a twin of PyTorch's and one of Keras's two numbers that float32 holds exactly.

    Keras keeps Adam's beta2, and TensorFlow the slope of LeakyReLU, in float32, whatever the networks compute in. There
    0.999 is off by 1.3e-8 and 0.2 by 3e-9; 1 - 2^-10 and 1/4 are not.
    """
    for optimizer in (ours.opt_g, ours.opt_d):
        optimizer.param_groups[0]["betas"] = (0.5, BETA2)
    theirs.opt_g.beta_2 = theirs.opt_d.beta_2 = BETA2
    for layer in [*ours.D, *theirs.D.layers]:
        if type(layer).__name__ == "LeakyReLU":
            layer.negative_slope = 0.25


def agreement(seed: int, device: torch.device, *, width: int, batch: int, lr: float, data_name: str) -> dict[str, Any]:
    """Give all three the same weights, latents and images, and take one training step.

    In float32 the largest differences from PyTorch's numbers: of generated images and of logits (in training mode), of
    the two losses of the step, and of all weights after it. In float64 those of the weights in units of the learning
    rate, the most that Adam's first step moves anything: the largest, and the root mean square.

    Keras gets Adam's epsilon times sqrt(1 - beta2), which makes its first step PyTorch's. In float64 it and the PyTorch
    beside it have the numbers of :func:`exact`.
    """
    train_set, _ = sets(data_name, device)
    found: dict[str, Any] = {}
    for dtype, name in itertools.product(("float32", "float64"), ("Keras", "JAX")):
        rounds = (dtype, name) == ("float64", "Keras")
        beta2 = BETA2 if rounds else 0.999
        with precision(dtype) as code:
            torch.manual_seed(seed)
            twins = code.twins(width, lr, epsilon=1e-8 * (1 - beta2) ** 0.5)
            pair = ours, theirs = twins["PyTorch"], twins[name]
            if rounds:
                exact(ours, theirs)
            ((x, z_d, z_g),) = batches(seed, train_set, batch, 1)
            images = [twin.run(twin.G, z_d, True) for twin in pair]
            logits = [twin.run(twin.D, x, True) for twin in pair]
            losses = [code.one_step(twin, x, z_d, z_g) for twin in pair]
            off = abs(distances(*[twin.give() for twin in pair]))
        key = name.lower()
        if dtype == "float64":
            found |= {f"{key}_step_largest": float(off.max() / lr), f"{key}_step_rms": rms(off) / lr}
            continue
        found |= {
            f"{key}_images": (images[0] - images[1]).abs().max().item(),
            f"{key}_logits": (logits[0] - logits[1]).abs().max().item(),
            f"{key}_losses": max(abs(a - b) for a, b in zip(*losses, strict=True)),
            f"{key}_weights": float(off.max()),
        }
    return found


def reference(seed: int, device: torch.device, *, width: int) -> dict[str, Any]:
    """What Keras on TensorFlow computes with weights that a formula gives, in float64: for readers without it.

    Entry k of each of PyTorch's parameters is sin(k + 1) / 5, plus 1 for the gains of batch norm; latents and images
    are sines and cosines as well. Stored are the logits of the images, the first generated image (both in training
    mode), and the losses of a step.
    """
    with precision("float64") as code:
        ours = code.TorchTwin(width)
        fixed(ours.G), fixed(ours.D)
        theirs = code.KerasTwin(width, epsilon=1e-8 * 0.001**0.5)
        theirs.take(ours.give())
        x, z_d, z_g = fixed_inputs()
        logits, images = theirs.run(theirs.D, x, True), theirs.run(theirs.G, z_d, True)
        loss_d, loss_g = code.one_step(theirs, x, z_d, z_g)
    return {"loss_d": loss_d, "loss_g": loss_g, "logits": logits.flatten().tolist(), "image": images[0, 0].tolist()}


@torch.no_grad()
def fixed(network: nn.Module) -> None:
    """Fill a network of PyTorch by the formula of :func:`reference`."""
    for module in network:
        for name, p in module.named_parameters():
            gain = isinstance(module, nn.BatchNorm2d) and name == "weight"
            p.copy_((torch.arange(p.numel(), dtype=p.dtype) + 1).sin().view_as(p) / 5 + gain)


def fixed_inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Return images (8, 1, 16, 16) and two batches of latents (8, 64), of the default dtype."""
    k = torch.arange(8 * 256, dtype=torch.get_default_dtype())
    return (0.37 * k).sin().view(8, 1, 16, 16), (0.73 * k[:512]).cos().view(8, 64), (1.1 * k[:512]).sin().view(8, 64)


# --- one setting left as it comes ---------------------------------------------------------------------


def without_training_flag(twin: Any) -> None:
    """Make a twin of Keras's call its networks as one who forgets ``training=True``."""
    for name in ("G", "D"):
        network = getattr(twin, name)
        setattr(twin, name, _Forgetful(network))


class _Forgetful:
    """A network that is never told that it is being trained."""

    def __init__(self, network: Any):
        self.network = network

    def __call__(self, x: Any, training: bool = False) -> Any:
        return self.network(x)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


def leave(change: str, twin: Any, width: int, seed: int) -> None:
    """Put one setting of a twin of Keras's back to its default, before its first step.

    Args:
        change: "nothing"; "slope" of LeakyReLU, 0.3; "epsilon" of batch norm, 1e-3; "momentum" of batch norm, 0.99;
            "adam" for its epsilon, 1e-7; "weights" as the layers draw them; "training" for a forgotten flag;
            "logits" for a loss that expects probabilities; "order" for dense layers whose arrays are transposed only;
            "settings" for the first five together.
        width, seed: of the networks, and of new weights.
    """
    code = chapter()
    keras = code.keras
    every = ("slope", "epsilon", "momentum", "adam", "weights")
    changes = every if change == "settings" else (change,)
    layers = [layer for network in (twin.G, twin.D) for layer in network.layers]
    for layer in layers:
        if "slope" in changes and isinstance(layer, keras.layers.LeakyReLU):
            layer.negative_slope = keras.layers.LeakyReLU().negative_slope
        if isinstance(layer, keras.layers.BatchNormalization):
            default = keras.layers.BatchNormalization()
            layer.epsilon = default.epsilon if "epsilon" in changes else layer.epsilon
            layer.momentum = default.momentum if "momentum" in changes else layer.momentum
    if "adam" in changes:
        twin.opt_g.epsilon = twin.opt_d.epsilon = keras.optimizers.Adam().epsilon
    if "weights" in changes:
        keras.utils.set_random_seed(seed)
        drawn = code.keras_generator(width=width), code.keras_discriminator(width)
        twin.take([[layer.get_weights() for layer in network.layers if layer.weights] for network in drawn])
    if "logits" in changes:
        twin.bce = keras.losses.BinaryCrossentropy()
    if "order" in changes:
        g, d = twin.give()
        g[0][0] = g[0][0].reshape(64, 4, 4, -1).transpose(0, 3, 1, 2).reshape(64, -1)
        d[-1][0] = d[-1][0].reshape(4, 4, -1, 1).transpose(2, 0, 1, 3).reshape(-1, 1)
        twin.take([g, d])
    if "training" in changes:
        without_training_flag(twin)


def left(
    seed: int, device: torch.device, *, change: str, width: int, batch: int, lr: float, steps: int, data_name: str,
) -> dict[str, Any]:  # fmt: skip
    """Leave one setting of the Keras program at its default; compare with PyTorch's from the same weights and batches.

    In float64, relative root mean squares of differences: of logits and of generated images in training mode before
    the first step, of what the first step does to the weights of each network, and after some steps of the images
    that are drawn in evaluation mode.
    """
    train_set, _ = sets(data_name, device)
    with precision("float64") as code:
        code.tf.config.run_functions_eagerly(True)  # so few steps are not worth a graph
        torch.manual_seed(seed)
        twins = code.twins(width, lr)
        ours, theirs = twins["PyTorch"], twins["Keras"]
        leave(change, theirs, width, seed)
        seen = list(batches(seed, train_set, batch, steps))
        x, z_d, z_g = seen[0]
        found = {
            "logits": _relative(ours.run(ours.D, x, True), theirs.run(theirs.D, x, True)),
            "images": _relative(ours.run(ours.G, z_d, True), theirs.run(theirs.G, z_d, True)),
        }
        before = ours.give(), theirs.give()
        for step, drawn in enumerate(seen):
            losses = [code.one_step(twin, *drawn) for twin in (ours, theirs)]
            if step == 0:
                found |= {"loss_d": losses[1][0], "loss_d_torch": losses[0][0]}
                for network, name in enumerate(("update_g", "update_d")):
                    moved = [
                        distances([twin.give()[network]], [start[network]])
                        for twin, start in zip((ours, theirs), before, strict=True)
                    ]
                    found[name] = _relative(*moved)
        z = torch.randn(200, 64, generator=torch.Generator().manual_seed(seed + 1))
        found["drawn"] = _relative(ours.run(ours.G, z, False), theirs.run(theirs.G, z, False))
        code.tf.config.run_functions_eagerly(False)
    return found


def _relative(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    return rms(theirs - ours) / rms(ours)


# --- trained ------------------------------------------------------------------------------------------


def apart(
    seed: int, device: torch.device, *, width: int, batch: int, lr: float, steps: int, at: list[int], data_name: str,
) -> dict[str, Any]:  # fmt: skip
    """Train all three from the same weights on the same batches and latents, and PyTorch once more, nudged.

    Nudged: one weight of the discriminator is the next number of float32. ``apart`` has for each of the others how far
    its images are from PyTorch's after some steps, the root mean square over pixels of 64 images in evaluation mode.
    ``frechet_...`` judges 2,000 images of the end, in evaluation mode, without averaged weights.
    """
    train_set, test = sets(data_name, device)
    code = chapter()
    torch.manual_seed(seed)
    twins = code.twins(width, lr)
    torch.manual_seed(seed)
    twins["nudged"] = code.TorchTwin(width, lr)
    with torch.no_grad():
        first = twins["nudged"].D[0].weight.view(-1)[:1]
        first.copy_(torch.nextafter(first, first + 1))
    z = torch.randn(64, 64, generator=torch.Generator().manual_seed(seed + 1))
    off: dict[str, list[float]] = {name: [] for name in twins if name != "PyTorch"}
    for step, drawn in enumerate(batches(seed, train_set, batch, steps), 1):
        for twin in twins.values():
            code.one_step(twin, *drawn)
        if step in at:
            images = {name: twin.run(twin.G, z, False) for name, twin in twins.items()}
            for name, row in off.items():
                row.append(rms(images[name] - images["PyTorch"]))
    found = {f"frechet_{name.lower()}": _frechet(twin, test, data_name, device, seed) for name, twin in twins.items()}
    return {**found, "apart": {name.lower(): row for name, row in off.items()}}


def _frechet(twin: Any, test: Tensor, data_name: str, device: torch.device, seed: int) -> float:
    z = torch.randn(SAMPLES, 64, generator=torch.Generator().manual_seed(seed + 2))
    images = twin.run(twin.G, z, False).float().clamp(-1, 1)
    return metrics.summarize(images, test, judge(data_name, 16, device))["frechet"]


def trained(
    seed: int, device: torch.device, *, change: str, width: int, batch: int, lr: float, steps: int, data_name: str,
) -> dict[str, Any]:  # fmt: skip
    """Train the Keras program with one setting left at its default; judge 2,000 images drawn in evaluation mode."""
    train_set, test = sets(data_name, device)
    code = chapter()
    torch.manual_seed(seed)
    twin = code.twins(width, lr)["Keras"]
    leave(change, twin, width, seed)
    for drawn in batches(seed, train_set, batch, steps):
        losses = code.one_step(twin, *drawn)
    return {
        "frechet": _frechet(twin, test, data_name, device, seed),
        "loss_d": losses[0], "loss_g": losses[1],
    }  # fmt: skip


_SMALL = {"width": 16, "batch": 32, "lr": 5e-4, "data_name": "digits"}
_CHANGES = ("nothing", "slope", "epsilon", "momentum", "adam", "weights", "training", "logits")
ENTRIES = {
    "frameworks_agreement": Entry(agreement, {**_SMALL, "batch": 64}, range(10), needs=NEEDS),
    "frameworks_reference": Entry(reference, {"width": 4}, range(1), needs=NEEDS),
    **{
        f"frameworks_left_{change}": Entry(left, {"change": change, **_SMALL, "steps": 10}, range(10), needs=NEEDS)
        for change in (*_CHANGES, "order")
    },
    "frameworks_apart": Entry(
        apart,
        {**_SMALL, "steps": 400, "at": [1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 400]},
        range(10),
        needs=NEEDS,
    ),
    **{
        f"frameworks_trained_{change}": Entry(
            trained, {"change": change, **_SMALL, "steps": 400}, range(10), needs=NEEDS
        )
        for change in (*_CHANGES, "settings")
    },
}
