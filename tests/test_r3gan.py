"""R3GAN: its networks against what is claimed of them, its step against Algorithm and autograd written out."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.functional import softplus

from gan_course import losses, models
from gan_course.models import r3gan
from gan_course.models.r3gan import R3GAN


@pytest.mark.parametrize(("shape", "patch"), [((1, 8, 8), 1), ((3, 28, 28), 1), ((3, 28, 28), 2), ((3, 32, 32), 2)])
def test_networks_map_latents_to_images_and_images_to_logits(shape, patch):
    torch.manual_seed(0)
    model = R3GAN(shape, latent_dim=5, width=8, patch=patch)
    images = model.generator(torch.randn(2, 5))
    assert images.shape == (2, *shape)
    assert model.discriminator(images).shape == (2,)


def test_blocks_are_the_identity_at_the_start_and_learn_from_the_first_step():
    torch.manual_seed(0)
    block = r3gan.Block(16, 4)
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.layers[-1].weight.grad.abs().max() > 0


def test_a_3x3_convolution_sees_groups_of_sixteen_channels():
    assert [r3gan.Block(c, 1).layers[2].groups for c in (8, 16, 32)] == [1, 2, 4]
    assert all(r3gan.Block(c, 1).layers[2].weight.shape[1] == 16 for c in (8, 16, 32))


@pytest.mark.parametrize("blocks", [1, 16])
def test_weights_start_with_the_scale_that_depth_asks_for(blocks):
    torch.manual_seed(0)
    first = r3gan.Block(128, blocks).layers[0]
    x = torch.randn(64, 128, 4, 4)
    out = torch.nn.functional.leaky_relu(first(x), 0.2)
    # He's gain keeps the mean square through a convolution and its LeakyReLU; that of a block is blocks^(-1/4) of it.
    assert out.square().mean().item() == pytest.approx(blocks**-0.5, rel=0.05)
    assert first.bias.abs().max() == 0


def test_a_logit_depends_on_its_image_alone():
    torch.manual_seed(0)
    discriminator = r3gan.Discriminator((1, 8, 8), 8, 1)
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(discriminator(x)[1:2], discriminator(x[1:2]))


@pytest.mark.parametrize("loss", ["relativistic", "non-saturating"])
def test_a_step_is_the_algorithm_written_out(loss):
    torch.manual_seed(0)
    own = {"latent_dim": 3, "networks": "mlp", "width": 6, "r1": 0.7, "r2": 0.3, "ema_decay": 0.5, "loss": loss}
    model = R3GAN((2,), **own).double()
    g, d, ema = (copy.deepcopy(x) for x in (model.generator, model.discriminator, model.ema.network))
    adam_g, adam_d = (torch.optim.Adam(n.parameters(), 2e-4, (0.0, 0.99)) for n in (g, d))
    real = torch.randn(1, 5, 2, dtype=torch.float64)
    torch.manual_seed(7)
    logs = model.step(real)

    torch.manual_seed(7)
    x = real[0].clone().requires_grad_(True)
    fake = g(torch.randn(5, 3).double()).detach().requires_grad_(True)
    a, b = d(x), d(fake)
    value = softplus(b - a).mean() if loss == "relativistic" else softplus(-a).mean() + softplus(b).mean()
    slope_real, slope_fake = torch.autograd.grad(a.sum() + b.sum(), (x, fake), create_graph=True)
    penalty = 0.35 * slope_real.square().sum(1).mean() + 0.15 * slope_fake.square().sum(1).mean()
    adam_d.zero_grad()
    (value + penalty).backward()
    adam_d.step()
    fake = g(torch.randn(5, 3).double())
    value_g = softplus(d(real[0]).detach() - d(fake)).mean() if loss == "relativistic" else softplus(-d(fake)).mean()
    adam_g.zero_grad()
    value_g.backward()
    adam_g.step()

    for mine, network in ((model.generator, g), (model.discriminator, d)):
        for p, q in zip(mine.parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)
    for p, q, old in zip(model.ema.parameters(), g.parameters(), ema.parameters(), strict=True):
        torch.testing.assert_close(p, 0.5 * old + 0.5 * q, rtol=1e-9, atol=1e-12)
    assert logs["loss_d"].item() == pytest.approx(value.item(), rel=1e-9)
    assert logs["loss_g"].item() == pytest.approx(value_g.item(), rel=1e-9)
    assert logs["penalty"].item() == pytest.approx(penalty.item(), rel=1e-6)


def test_penalties_are_left_out_where_their_weight_is_zero(monkeypatch):
    monkeypatch.setattr(losses, "r1_penalty", lambda *_: pytest.fail("was computed"))
    model = R3GAN((2,), latent_dim=2, networks="mlp", width=4, r1=0.0, r2=0.0)
    assert model.step(torch.randn(1, 4, 2))["penalty"] == 0


def test_samples_of_images_are_clamped_and_points_are_not():
    torch.manual_seed(0)
    images = R3GAN((1, 8, 8), latent_dim=4, width=8)
    with torch.no_grad():
        images.ema.network.maps.mul_(100)
    assert images.sample(8).abs().max() == 1
    points = R3GAN((2,), latent_dim=2, networks="mlp", width=4)
    with torch.no_grad():
        points.ema.network.layers[-2].bias.fill_(5)
    assert points.sample(8).max() > 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"networks": "cnn"}, "networks"),
        ({"loss": "relativistc"}, "relativistic"),
        ({"shape": (3, 32, 32), "width": 12}, "width must be a multiple of 8.*12"),
        ({"shape": (3, 32, 32), "patch": 3}, "patch must divide.*3"),
        ({"shape": (3, 20, 20)}, "shape"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        R3GAN(**{"shape": (3, 32, 32), **settings})


def test_other_families_say_that_they_cannot_play_the_relativistic_game():
    with pytest.raises(ValueError, match="needs no real samples"):
        models.family("gan")((2,), loss="relativistic")
