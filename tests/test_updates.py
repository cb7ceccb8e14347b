"""The programs that look like a GAN (tools/experiments/updates.py) do what they say, and nothing else."""

import pytest
import torch

from gan_course import data
from gan_course.models.gan import GAN
from gan_course.train import fit
from tools.experiments import updates

SETTINGS = {**updates._DIGITS, "steps": 12, "width": 16, "dropout": 0.0}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """An experiment returns what it has trained."""
    monkeypatch.setattr(updates, "judged", lambda gan, *_: gan)


def by_fit() -> GAN:
    model = {key: value for key, value in SETTINGS.items() if key not in ("data_name", "batch", "steps")}
    torch.manual_seed(3)
    gan = GAN((1, 8, 8), **model)
    fit(gan, data.load("digits"), 12, seed=3, progress=False)
    return gan


def difference(one: GAN, other: GAN) -> float:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def test_phases_of_one_update_are_the_algorithm():
    assert difference(updates.phases(3, CPU, phase=1, **SETTINGS), by_fit()) < 1e-4
    assert difference(updates.phases(3, CPU, phase=2, **SETTINGS), by_fit()) > 1e-2


def test_phases_give_each_network_its_updates():
    first = {"phase": 12, **SETTINGS}
    once = updates.phases(3, CPU, **first)
    for optimizer in (once.optimizer_g, once.optimizer_d):
        assert all(state["step"] == 12 for state in optimizer.state.values())
    # A second phase of the discriminator would see the images that come next, not the first ones again.
    taken = []
    order, updates.data.order = updates.data.order, lambda *at: taken.append(at[2]) or order(*at)
    try:
        updates.phases(3, CPU, phase=3, **SETTINGS)
    finally:
        updates.data.order = order
    assert taken == [64 * i for i in range(12)]


@pytest.mark.parametrize("joined", ["one loss", "sum"])
def test_one_optimizer_descends_what_it_says(joined):
    """The first step of Adam moves each weight by the learning rate, against the sign of its gradient."""
    gan = updates.one_optimizer(3, CPU, joined=joined, **{**SETTINGS, "steps": 1})
    model = {key: value for key, value in SETTINGS.items() if key not in ("data_name", "batch", "steps")}
    torch.manual_seed(3)
    start = GAN((1, 8, 8), **model)
    torch.manual_seed(3)
    real, z = data.load("digits").batch(data.order(1297, 3, 0, 64)), start.latents(64)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    fake, ones, zeros = start.generator(z), torch.ones(64), torch.zeros(64)
    seen = fake if joined == "one loss" else fake.detach()
    loss = bce(start.discriminator(real), ones) + bce(start.discriminator(seen), zeros)
    if joined != "one loss":
        loss = loss + bce(start.discriminator(fake), ones)
    loss.backward()
    for network in ("generator", "discriminator"):
        for old, new in zip(getattr(start, network).parameters(), getattr(gan, network).parameters(), strict=True):
            large = old.grad.abs() > 1e-5
            torch.testing.assert_close((new - old)[large], -1e-3 * old.grad[large].sign(), rtol=0.02, atol=1e-6)
