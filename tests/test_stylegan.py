"""StyleGAN's parts against their definitions, written in another way."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import conv2d

from gan_course import layers
from gan_course.models import stylegan
from gan_course.models.stylegan import StyleGAN

SMALL = {"shape": (3, 16, 16), "latent_dim": 4, "width": 4, "mapping": 2}


@pytest.mark.parametrize("demodulate", [True, False])
def test_modulation_is_a_convolution_by_weights_of_each_samples_own(demodulate):
    torch.manual_seed(0)
    x, weight = torch.randn(3, 5, 6, 6).double(), torch.randn(7, 5, 3, 3).double()
    style = torch.randn(3, 5).double()
    for i in range(3):
        own = weight * style[i][None, :, None, None]  # equation 1
        if demodulate:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()  # equation 3
        found = layers.modulated_convolution(x[i : i + 1], weight, style[i : i + 1], demodulate)
        torch.testing.assert_close(found, conv2d(x[i : i + 1], own, padding=1))


def test_demodulated_outputs_of_white_noise_have_unit_variance_whatever_the_style():
    torch.manual_seed(0)
    x, weight = torch.randn(2_000, 6, 5, 5), torch.randn(4, 6, 3, 3)
    style = torch.tensor([0.01, 0.1, 1.0, 3.0, 10.0, 30.0]).expand(2_000, -1)
    middle = layers.modulated_convolution(x, weight, style)[:, :, 2, 2]  # no padding reaches it
    assert (middle.var(0) - 1).abs().max() < 0.15  # 2,000 draws: a standard error of .03
    loud = layers.modulated_convolution(x, weight, style, demodulate=False)[:, :, 2, 2]
    assert loud.var(0).min() > 100


def test_styles_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"style must be \(2, 5\)"):
        layers.modulated_convolution(torch.zeros(2, 5, 4, 4), torch.zeros(3, 5, 3, 3), torch.zeros(5))


def test_the_length_of_a_latent_tells_nothing():
    mapping = stylegan.Mapping(4, 2)
    z = torch.randn(3, 4)
    torch.testing.assert_close(mapping(z), mapping(7 * z))


def test_path_lengths_of_a_linear_synthesis_are_known(monkeypatch):
    torch.manual_seed(0)
    matrix = torch.randn(2 * 3 * 4, 5).double()  # from styles of 5 dimensions to images (2, 3, 4)
    y = torch.randn(6, 2, 3, 4).double()
    monkeypatch.setattr("gan_course.parallel.randn", lambda *size, **options: y)
    found = stylegan.path_lengths(lambda w: (w @ matrix.T).view(-1, 2, 3, 4), torch.randn(6, 5).double())
    expected = (y.flatten(1) / math.sqrt(12)) @ matrix
    torch.testing.assert_close(found, expected.norm(dim=1))


def test_path_length_regularisation_makes_the_lengths_more_equal():
    torch.manual_seed(0)
    model = StyleGAN(**SMALL, path_length=1.0)
    optimizer = torch.optim.Adam(model.generator.parameters(), 1e-2)

    def spread() -> float:
        torch.manual_seed(1)
        lengths = stylegan.path_lengths(model.generator.synthesis, model.generator.mapping(model.latents(64)))
        return (lengths.std() / lengths.mean()).item()

    before = spread()
    for _ in range(60):
        loss = model.unevenness(16)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model.mean_length > 0
    assert spread() < before


def test_noise_is_fresh_in_training_and_still_afterwards():
    torch.manual_seed(0)
    generator = StyleGAN(**SMALL).generator
    with torch.no_grad():
        for layer in generator.layers:
            layer.strength.fill_(1.0)
    z = torch.randn(2, 4)
    assert not torch.equal(generator.train()(z), generator(z))
    assert torch.equal(generator.eval()(z), generator(z))
    assert StyleGAN(**SMALL, noise=False).generator.layers[0].strength is None


@pytest.mark.parametrize(("logit", "expected"), [(1.0, 0.4), (-1.0, 0.0)])
def test_augmentation_grows_while_training_images_look_too_real(logit, expected):
    model = StyleGAN(**SMALL, ada_target=0.6, ada_images=40)
    for _ in range(2):
        model.adapt(torch.full((8,), logit))
    assert model.probability.item() == pytest.approx(expected)
    for _ in range(20):
        model.adapt(torch.full((8,), logit))
    assert model.probability.item() == (1.0 if logit > 0 else 0.0)


def test_the_share_of_augmented_images_is_the_probability():
    torch.manual_seed(0)
    model = StyleGAN(**SMALL, ada_target=0.6)
    model.probability.fill_(0.3)
    x = torch.rand(1_000, 3, 16, 16) * 2 - 1
    changed = (model.augmented(x) != x).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.06)  # four standard errors
    assert StyleGAN(**SMALL).augmented(x) is x
