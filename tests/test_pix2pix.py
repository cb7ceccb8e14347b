"""The U-Net's skips, the patch that each logit sees, the step of the paper, and a translation learned from pairs."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d, conv_transpose2d, l1_loss, leaky_relu

from gan_course.models.pix2pix import PATCHES, PatchGAN, Pix2Pix, UNet
from tools.experiments import translation


def small(size: int = 16, **settings) -> Pix2Pix:
    return Pix2Pix((2, 3, size, size), **{"width": 4, **settings})


def pairs(batch: int = 3, size: int = 16) -> torch.Tensor:
    return torch.rand(1, batch, 2, 3, size, size) * 2 - 1


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def seen(network: nn.Module, channels: int, size: int) -> tuple[int, int]:
    """Height and width of the input that the logit in the middle depends on, by its gradient."""
    x = torch.randn(1, channels, size, size, dtype=torch.float64, requires_grad=True)
    logits = network.double()(x)
    (gradient,) = torch.autograd.grad(logits[0, logits.shape[1] // 2, logits.shape[2] // 2], x)
    touched = gradient[0].abs().sum(0) > 0
    return int(touched.any(1).sum()), int(touched.any(0).sum())


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("patch", [1, 16, 34, 70, 142])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_logit_sees_its_patch_and_nothing_else(patch, norm):
    discriminator = PatchGAN(2, 2, patch, norm).eval()  # batch norm in training mixes the whole batch
    assert discriminator.receptive_field() == patch
    assert seen(discriminator, 2, 2 * patch + 40) == (patch, patch)


def test_the_default_patch_is_70_and_the_closed_form_holds():
    assert Pix2Pix(width=2).settings["patch"] == 70
    for patch, halvings in PATCHES.items():
        expected = 9 * 2**halvings - 2 if halvings else 1  # solves r(n + 1) = 2 r(n) + 2 with r(0) = 7, by hand
        assert PatchGAN(3, 2, patch, "none").receptive_field() == patch == expected


def test_instance_norm_looks_at_the_whole_image():
    """The statement in the docstring, and the reason why the test above leaves it out."""
    assert seen(PatchGAN(2, 2, 16, "instance").eval(), 2, 72) == (72, 72)


def test_the_discriminator_of_256x256_gives_30x30_logits():
    assert PatchGAN(6, 2, 70, "instance")(torch.zeros(2, 6, 256, 256)).shape == (2, 30, 30)
    channels = [m.out_channels for m in PatchGAN(6, 64, 70, "batch").modules() if isinstance(m, nn.Conv2d)]
    assert channels == [64, 128, 256, 512, 1]
    pixel = [m for m in PatchGAN(6, 64, 1, "batch").modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in pixel] == [64, 128, 1] and {m.kernel_size for m in pixel} == {(1, 1)}


def test_the_generator_of_256x256_is_that_of_the_paper():
    net = UNet((3, 256, 256), 64, "batch", 0.5)
    downs = [m.out_channels for m in net.downs.modules() if isinstance(m, nn.Conv2d)]
    ups = [m for m in net.ups.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert downs == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [m.out_channels for m in ups] == [512, 512, 512, 512, 256, 128, 64, 3]
    assert [m.in_channels for m in ups] == [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    assert len([m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]) == 6 + 7


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([(16, 16), (32, 32), (28, 28), (8, 8), (16, 48), (64, 32), (12, 20), (4, 4)]),
    st.sampled_from([1, 3]),
    st.sampled_from(["instance", "batch", "none"]),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_translations_have_the_shape_and_type_of_the_source(size, channels, norm, dtype):
    net = UNet((channels, *size), 2, norm, 0.5).to(dtype)
    out = net(torch.randn(2, channels, *size, dtype=dtype))
    assert out.shape == (2, channels, *size) and out.dtype == dtype and out.abs().max() <= 1


def test_every_skip_carries_what_the_bottleneck_does_not():
    """Cut below a size, the net passes on what that size's skip holds: wider surroundings with every size."""
    widths = []
    for level in range(4):
        net = UNet((1, 128, 128), 8, "none", 0.0).double()  # some channels for the ReLUs to close
        for down in net.downs[level + 1 :]:
            nn.init.zeros_(down[0].weight)  # nothing of the input goes deeper than this
        x = torch.randn(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(net(x)[0, 0, 64, 64], x)
        widths.append(int((gradient[0, 0] != 0).any(0).sum()))
    assert 4 <= widths[0] <= 6 and all(2 * a - 2 <= b <= 2 * a + 6 for a, b in zip(widths, widths[1:], strict=False))
    nn.init.zeros_(net.downs[0][0].weight)  # and without the first layer nothing is left
    with torch.no_grad():
        assert torch.equal(net(x), net(torch.randn_like(x)))


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_the_innermost_pixel_is_not_normalised_away(norm):
    """The erratum of the paper: less its own mean, a bottleneck of a single pixel would be 0 for every image."""
    net, x = UNet((3, 16, 16), 4, norm, 0.0), torch.randn(1, 3, 16, 16)
    for down in net.downs:
        x = down(x)
    assert x.shape[2:] == (1, 1) and x.abs().min() > 0


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_the_decoder_is_shown_no_negative_value(norm):
    """ReLUs are leaky in the encoder only (appendix 6.1); skips and bottleneck pass through plain ones."""
    net, shown = UNet((3, 32, 32), 4, norm, 0.5), []
    for up in net.ups.modules():
        if isinstance(up, nn.ConvTranspose2d):
            up.register_forward_hook(lambda module, inputs, output: shown.append(inputs[0]))
    leaky = []
    net.downs[1].register_forward_hook(lambda module, inputs, output: leaky.append(inputs[0]))
    net(torch.randn(2, 3, 32, 32))
    assert len(shown) == 5 and all(x.min() >= 0 for x in shown)
    assert leaky[0].min() < 0  # further down goes what the leaky one left


def test_a_small_unet_by_hand():
    """Two sizes, without normalisation, written out from the appendix."""
    net, x = UNet((1, 4, 4), 2, "none", 0.0).double(), torch.randn(5, 1, 4, 4, dtype=torch.float64)
    w = net.state_dict()
    a = conv2d(x, w["downs.0.0.weight"], w["downs.0.0.bias"], 2, 1)
    b = conv2d(leaky_relu(a, 0.2), w["downs.1.0.weight"], w["downs.1.0.bias"], 2, 1)
    c = conv_transpose2d(b.relu(), w["ups.0.0.weight"], w["ups.0.0.bias"], 2, 1)
    y = conv_transpose2d(torch.cat([c, a], 1).relu(), w["ups.1.0.weight"], w["ups.1.0.bias"], 2, 1).tanh()
    torch.testing.assert_close(net(x), y)


def test_weights_start_as_in_the_paper():
    model = small(width=32)
    for network in (model.generator, model.discriminator):
        drawn = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, nn.Conv2d)])
        assert abs(drawn.std() - 0.02) < 2e-4 and abs(drawn.mean()) < 2e-4


# --- the step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_step_is_that_of_the_paper(norm):
    """One step equals the two updates written out by hand with torch's own losses and plain Adam."""
    model = small(norm=norm, dropout=0.0, l1=7.0, lr_g=1e-3, lr_d=2e-3).double()
    d, g = copy.deepcopy(model.discriminator), copy.deepcopy(model.generator)
    batch = pairs().double()
    source, target = batch[0, :, 0], batch[0, :, 1]
    logs = model.step(batch)

    adam_d = torch.optim.Adam(d.parameters(), 2e-3, (0.5, 0.999))
    adam_g = torch.optim.Adam(g.parameters(), 1e-3, (0.5, 0.999))
    fake = g(source)
    on_real, on_fake = d(torch.cat([source, target], 1)), d(torch.cat([source, fake.detach()], 1))
    loss_d = binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
    loss_d = 0.5 * (loss_d + binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake)))
    adam_d.zero_grad()
    loss_d.backward()
    adam_d.step()
    on_fake = d(torch.cat([source, fake], 1))
    loss_g = binary_cross_entropy_with_logits(on_fake, torch.ones_like(on_fake)) + 7 * l1_loss(fake, target)
    adam_g.zero_grad()
    loss_g.backward()
    adam_g.step()

    torch.testing.assert_close(weights(model.discriminator), weights(d), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(weights(model.generator), weights(g), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(logs["loss_d"], loss_d.detach())
    torch.testing.assert_close(logs["loss_g"], loss_g.detach())
    torch.testing.assert_close(logs["l1"], l1_loss(fake, target).detach())
    assert all(p.grad is None for p in model.parameters())


def test_the_discriminator_judges_pairs():
    """The same target beside another source gets another verdict: it is conditional."""
    model = small()
    source, target = pairs()[0].unbind(1)
    assert not torch.allclose(model.judge(source, target), model.judge(source.flip(0), target))


@pytest.mark.parametrize("loss", ["least-squares", "hinge"])
def test_other_games_run(loss):
    assert all(value.isfinite() for value in small(loss=loss).step(pairs()).values())


def test_translate_is_deterministic_and_noise_is_dropout():
    model = small(norm="batch").train()
    model.step(pairs())
    x = pairs()[0, :, 0]
    first, state = model.translate(x), torch.get_rng_state()
    assert torch.equal(first, model.translate(x)) and torch.equal(state, torch.get_rng_state())
    torch.testing.assert_close(first[:1], model.translate(x[:1]))  # whatever else is in the batch
    assert model.training and not first.requires_grad
    noisy = [model.translate(x, noise=True) for _ in range(2)]
    assert not torch.equal(*noisy) and not model.ema.network.training
    plain = small(dropout=0.0)
    assert torch.equal(plain.translate(x, noise=True), plain.translate(x))


def test_the_average_translates():
    model, x = small(ema_decay=0.9, dropout=0.0), pairs()[0, :, 0]
    old = weights(model.ema.network)
    model.step(pairs())
    expected = [0.9 * a + 0.1 * b for a, b in zip(old, weights(model.generator), strict=True)]
    torch.testing.assert_close(weights(model.ema.network), expected)
    assert torch.equal(model.translate(x), model.ema.network(x))
    assert not torch.equal(model.translate(x), model.generator(x))


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (3, 16, 16)}, r"shape must be \(2, C, H, W\)"),
        ({"shape": (2, 3, 30, 30)}, r"multiples of 4, got \(3, 30, 30\)"),
        ({"patch": 50}, "patch must be one of 1, 16, 34, 70, 142, 286, got 50"),
        ({"patch": 70}, r"patch 70 needs images of at least 24x24, got shape \(2, 3, 16, 16\)"),
        ({"shape": (2, 3, 4, 4)}, "patch 16 needs images of at least 6x6"),
        ({"norm": "layer"}, "unknown norm 'layer'; known: instance, batch, none"),
        ({"loss": "hing"}, "unknown loss 'hing'.*Did you mean 'hinge'"),
        ({"width": 0}, "width must be positive, got 0"),
        ({"width": 2.0}, "width must be a whole number, got 2.0"),
        ({"l1": -1.0}, r"l1 must lie in \[0, inf\), got -1.0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Pix2Pix(**{"shape": (2, 3, 16, 16), "width": 2, **settings})


def test_bad_input_is_refused():
    model = small()
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3, 16, 16\) with n at least 1, got \(2, 1, 16, 16\)"):
        model.translate(torch.zeros(2, 1, 16, 16))
    with pytest.raises(ValueError, match="n at least 1"):
        model.translate(torch.zeros(0, 3, 16, 16))
    with pytest.raises(ValueError, match="real must hold 1 batch per step, got 2"):
        model.step(pairs().repeat(2, 1, 1, 1, 1, 1))
    assert model.step(pairs(batch=1))["loss_g"].isfinite()  # the batch of one that the paper mostly has


# --- what training is for -------------------------------------------------------------------------


def test_training_on_pairs_finds_the_partners():
    """Drawings of digits become digits, one seed; the bounds leave room for the spread in book/results."""
    entry = translation.ENTRIES["pix2pix_edges"]
    row = entry.run(0, torch.device("cpu"), **entry.settings)
    assert row["error"] <= 0.2 and row["error_identity"] >= 1 and row["error_mean"] >= 0.99
    assert row["class_kept"] >= 0.9
