"""Translators between domains whose hidden truth is known, measured on test images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gan_course import data
from gan_course.data import translation
from gan_course.metrics import judge
from gan_course.models import cyclegan, pix2pix
from gan_course.models.cyclegan import CycleGAN
from gan_course.models.pix2pix import Pix2Pix
from tools.experiments import Entry, defaults, fit


def paired(
    seed: int, device: torch.device, *, name: str, size: int, steps: int, batch: int, **model: Any
) -> dict[str, Any]:
    """Train pix2pix on pairs; how far are translations from the true partners (share of their variance), beside the
    source itself and the mean image, and does the judge read the right digit?"""
    train_set = data.load_domains(name, size=size, paired=True, device=device)
    test_set = data.load_domains(name, size=size, split="test", paired=True, device=device)
    torch.manual_seed(seed)
    translator = Pix2Pix(train_set.shape, **model).to(device)
    history = fit(translator, train_set, steps, batch=batch, seed=seed, progress=False)
    source, target = test_set.images().unbind(1)
    fake, labels = translator.translate(source), test_set.b.labels
    return {
        "error": _error(fake, target),
        "error_identity": _error(source, target),
        "error_mean": _error(train_set.b.images().mean(0), target),
        "class_kept": _accuracy(fake.mean(1, keepdim=True), labels),
        "class_real": _accuracy(target.mean(1, keepdim=True), labels),
        "l1": history["l1"][-1],
    }


def unpaired(
    seed: int, device: torch.device, *, name: str, size: int, steps: int, batch: int, decay_from: int | None = None,
    **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train CycleGAN on digits and changed other digits; does the judge read the right digit in translations of both
    directions, how far are they from the hidden partners (share of their variance), and do the cycles close?
    ``confusion_ab`` counts, for each digit of domain a, as what its translations are read."""
    train_set = data.load_domains(name, size=size, device=device)
    test_set = data.load_domains(name, size=size, split="test", paired=True, device=device)
    torch.manual_seed(seed)
    translator = CycleGAN(train_set.shape, **model).to(device)
    fit(translator, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)
    task = name.partition("-")[0]
    a, b, labels = test_set.a.images(), test_set.b.images(), test_set.a.labels
    fake_a, fake_b = translator.translate(b, "ba"), translator.translate(a, "ab")
    back = translator.translate(fake_b, "ba")
    # The judge was trained on real digits and on nothing of this run. It reads the digits of domain a as they are, and
    # those of domain b after the task was undone by a fixed rule.
    read = _read(translation.undo(fake_b, task))
    return {
        "class_kept_ab": (read == labels).float().mean().item(),
        "class_kept_ba": _accuracy(fake_a.mean(1, keepdim=True), labels),
        "class_real_b": _accuracy(translation.undo(b, task), labels),
        "class_real_a": _accuracy(a.mean(1, keepdim=True), labels),
        "error_ab": _error(fake_b, b),
        "error_ba": _error(fake_a, a),
        "cycle_error": (back - a).abs().mean().item(),
        "class_back": _accuracy(back.mean(1, keepdim=True), labels),
        "confusion_ab": torch.bincount(10 * labels + read, minlength=100).view(10, 10).tolist(),
    }


def _error(fake: Tensor, true: Tensor) -> float:
    """Mean squared error over the variance of the true images around their mean image, which itself has error 1."""
    return ((fake - true).square().mean() / true.var(0, correction=0).mean()).item()


def _accuracy(digits: Tensor, labels: Tensor) -> float:
    return (_read(digits) == labels).float().mean().item()


def _read(digits: Tensor) -> Tensor:
    return judge("digits", digits.shape[-1], digits.device).logits(digits).argmax(1)


_EDGES = {"name": "from-edges-digits", **defaults(Pix2Pix), **pix2pix.RECIPES["from-edges-digits"]}
_NEON = {"name": "neon-digits", **defaults(CycleGAN, "loss", "noise"), **cyclegan.RECIPES["neon-digits"]}

ENTRIES = {
    "pix2pix_edges": Entry(paired, _EDGES, range(5)),
    "cyclegan_neon": Entry(unpaired, _NEON, range(10)),
    "cyclegan_neon_no_cycle": Entry(unpaired, {**_NEON, "cycle": 0.0}, range(10)),
    "cyclegan_rotation": Entry(unpaired, {**_NEON, "name": "rotate-digits"}, range(10)),
}
