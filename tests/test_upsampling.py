"""What the tables of "Upsampling" measure, and that its generators are the package's but for the layers that double."""

from __future__ import annotations

import math

import pytest
import torch

from gan_course.models.dcgan import DCGAN
from tools.experiments.upsampling import ENTRIES, Doubling, doubling, fixed_pattern, shells

WAYS = ["transposed 3", "transposed 4", "transposed 5", "pixel shuffle", "nearest", "bilinear"]


@pytest.mark.parametrize("frequency", [(0, 1), (3, 2), (5, 7), (8, 0), (2, 8), (8, 8)])
def test_a_wave_lies_in_the_shell_of_its_frequency(frequency):
    places = torch.arange(16) * 2 * math.pi / 16
    wave = torch.cos(frequency[0] * places[:, None] + frequency[1] * places[None, :] + 0.3)
    found = shells(wave[None, None] + 5)  # the mean does not count
    assert found.shape == (8,) and found.sum().item() == pytest.approx(1)
    assert found[max(frequency) - 1].item() == pytest.approx(1)


def test_white_noise_has_the_share_of_frequencies_in_each_shell():
    torch.manual_seed(0)
    found = shells(torch.randn(2_000, 3, 16, 16))
    counts = torch.tensor([(2 * k + 1) ** 2 - (2 * k - 1) ** 2 for k in range(1, 8)] + [31.0])
    torch.testing.assert_close(found, counts.double() / 255, atol=3e-3, rtol=0)


def test_a_fixed_pattern_is_told_from_random_signs():
    torch.manual_seed(0)
    board = torch.ones(1, 1, 16, 16)
    board[..., ::2] = -1
    signs = torch.randn(400, 1, 1, 1).sign()
    assert fixed_pattern(board.expand(400, -1, -1, -1)) == pytest.approx(1)
    assert fixed_pattern(board * signs) < 0.02


@pytest.mark.parametrize("way", WAYS)
def test_every_way_doubles(way):
    assert doubling(way, 3, 2, bias=True)(torch.zeros(1, 3, 5, 7)).shape == (1, 2, 10, 14)


@pytest.mark.parametrize(("way", "up"), [("transposed 4", "transposed"), ("nearest", "resize")])
def test_two_of_the_generators_are_those_of_the_package(way, up):
    settings = {"latent_dim": 8, "width": 4, "lr_g": 1e-3, "beta1": 0.5, "beta2": 0.9, "ema_decay": 0.9}
    ours, theirs = Doubling(way, shape=(1, 16, 16), **settings), DCGAN((1, 16, 16), up=up, **settings)
    values = theirs.generator.state_dict().values()
    ours.generator.load_state_dict(dict(zip(ours.generator.state_dict(), values, strict=True)))
    z = torch.randn(5, 8)
    assert torch.equal(ours.generator(z), theirs.generator(z))
    assert {id(p) for p in ours.generator.parameters()} == {id(p) for p in ours.optimizer_g.param_groups[0]["params"]}


def test_all_tables_train_alike_but_for_the_way_the_data_and_the_steps():
    trained = [entry.settings for entry in ENTRIES.values() if "way" in entry.settings]
    free = ("way", "data_name", "steps")
    assert len({tuple(sorted((k, str(v)) for k, v in s.items() if k not in free)) for s in trained}) == 1
