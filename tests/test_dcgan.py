"""The convolutional GAN: the paper's shapes and weights, batch norm in the step, and what training is for."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_course import data, losses, metrics
from gan_course.metrics import judge
from gan_course.models.dcgan import DCGAN, RECIPES, Discriminator, Generator
from gan_course.train import fit

SIDES = [16, 28, 32, 64]


def small(**changed) -> DCGAN:
    return DCGAN(**{"shape": (1, 16, 16), "latent_dim": 5, "width": 4, **changed})


def real(n_critic: int = 1, batch: int = 6) -> torch.Tensor:
    return torch.rand(n_critic, batch, 1, 16, 16) * 2 - 1


def outputs(network: nn.Module, kinds: tuple[type[nn.Module], ...], x: torch.Tensor) -> list[tuple[int, ...]]:
    """Shapes (without the batch) that leave the layers of ``kinds``, in order."""
    shapes = []
    hooks = [
        m.register_forward_hook(lambda m, i, o: shapes.append(tuple(o.shape[1:])))
        for m in network.modules()
        if isinstance(m, kinds)
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    return shapes


@pytest.mark.parametrize("up", ["transposed", "resize"])
def test_shapes_are_those_of_figure_1(up):
    """Figure 1 of the paper, with a width of 2 for its 128."""
    z = torch.randn(2, 100)
    g = Generator((3, 64, 64), 100, 2, up)
    assert outputs(g, (nn.ReLU,), z) == [(16, 4, 4), (8, 8, 8), (4, 16, 16), (2, 32, 32)]
    assert g(z).shape == (2, 3, 64, 64)
    d = Discriminator((3, 64, 64), 2)
    assert outputs(d, (nn.LeakyReLU,), g(z)) == [(2, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4)]
    assert outputs(Generator((1, 28, 28), 100, 2, up), (nn.ReLU,), z) == [(4, 7, 7), (2, 14, 14)]


def test_number_of_weights():
    """Counted by hand from the maps of figure 1, kernels of 4 x 4, and two numbers for each channel with batch norm."""
    g = Generator((3, 64, 64), 100, 128)
    kernels = 1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3
    expected = 100 * 1024 * 4 * 4 + 16 * kernels + 2 * (1024 + 512 + 256 + 128) + 3
    assert sum(p.numel() for p in g.parameters()) == expected
    d = Discriminator((3, 64, 64), 128)
    expected = 16 * kernels + 128 + 2 * (256 + 512 + 1024) + 1024 * 4 * 4 + 1
    assert sum(p.numel() for p in d.parameters()) == expected


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(SIDES), st.sampled_from([1, 3]), st.integers(1, 5), st.sampled_from(["transposed", "resize"]))
def test_any_size_goes_there_and_back(side, channels, width, up):
    shape = (channels, side, side)
    x = Generator(shape, 3, width, up)(torch.randn(2, 3))
    assert x.shape == (2, *shape) and x.abs().max() <= 1
    assert Discriminator(shape, width, batch_norm=up == "resize")(x).shape == (2,)


def test_where_batch_norm_and_which_activation():
    """Section 3: batch norm but in the generator's output and the discriminator's input; ReLU and LeakyReLU of .2."""
    model = DCGAN((3, 32, 32), width=4)
    for network, last in ((model.generator, True), (model.discriminator, False)):
        layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        plain = {layers[-1]} if last else {layers[0], layers[-1]}
        assert len(norms) == len(layers) - len(plain)
        for layer in layers:  # a bias before batch norm is subtracted with the mean
            assert (layer.bias is not None) == (layer in plain)
        assert all(norm.eps == 1e-5 for norm in norms)
    assert all(m.negative_slope == 0.2 for m in model.modules() if isinstance(m, nn.LeakyReLU))
    assert not any(isinstance(m, nn.LeakyReLU) for m in model.generator.modules())
    assert not any(isinstance(m, nn.ReLU | nn.Tanh | nn.Sigmoid) for m in model.discriminator.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in Discriminator((3, 32, 32), 4, False).modules())


def test_without_batch_norm_every_layer_has_a_bias_and_every_logit_its_own_image():
    d = Discriminator((1, 16, 16), 4, batch_norm=False)
    assert all(m.bias is not None for m in d.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    x = real()[0]
    torch.testing.assert_close(d(x)[:2], d(x[:2]))


def test_weights_start_as_in_section_4():
    torch.manual_seed(0)
    for network in (Generator((3, 64, 64), 100, 32), Generator((3, 64, 64), 100, 32, "resize"),
                    Discriminator((3, 64, 64), 32)):  # fmt: skip
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                n = module.weight.numel()
                # Four standard errors: of a mean, std / sqrt(n), and of a standard deviation, std / sqrt(2 n).
                assert abs(module.weight.mean()) < 4 * 0.02 / math.sqrt(n)
                assert abs(module.weight.std() - 0.02) < 4 * 0.02 / math.sqrt(2 * n)
            elif isinstance(module, nn.BatchNorm2d):
                n = module.weight.numel()
                assert abs(module.weight.mean() - 1) < 4 * 0.02 / math.sqrt(n)
                assert 0 < module.weight.std() < 0.02 * (1 + 4 / math.sqrt(2 * n))
            if getattr(module, "bias", None) is not None:
                assert not module.bias.any()
    first = Discriminator((3, 64, 64), 32, batch_norm=False).features[0]  # torch's own bound, 1 / sqrt(fan in)
    assert 0.9 / math.sqrt(3 * 16) < first.weight.abs().max() <= 1 / math.sqrt(3 * 16)


@pytest.mark.parametrize("loss", ["non-saturating", "hinge"])
def test_step_is_the_algorithm(loss):
    """One step equals the updates written out with torch's own losses and plain Adam, real and fake separately."""
    model = small(loss=loss, lr_g=1e-2, lr_d=2e-2)
    d, g = copy.deepcopy(model.discriminator), copy.deepcopy(model.generator)
    batches = real(n_critic=2)
    torch.manual_seed(1)
    logs = model.step(batches)

    torch.manual_seed(1)
    adam_d = torch.optim.Adam(d.parameters(), 2e-2, (0.5, 0.999))
    adam_g = torch.optim.Adam(g.parameters(), 1e-2, (0.5, 0.999))
    for x in batches:
        fake = g(torch.randn(6, 5)).detach()
        on_real, on_fake = d(x), d(fake)
        if loss == "hinge":
            loss_d = (1 - on_real).clamp(min=0).mean() + (1 + on_fake).clamp(min=0).mean()
        else:
            loss_d = bce(on_real, torch.ones(6)) + bce(on_fake, torch.zeros(6))
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()
    on_fake = d(g(torch.randn(6, 5)))
    loss_g = -on_fake.mean() if loss == "hinge" else bce(on_fake, torch.ones(6))
    adam_g.zero_grad()
    loss_g.backward()
    adam_g.step()

    torch.testing.assert_close(logs["loss_d"], loss_d.detach())
    torch.testing.assert_close(logs["loss_g"], loss_g.detach())
    # Adam's first steps have the sign of the gradient: where it is nearly 0, rounding may choose the other.
    for mine, theirs in ((model.generator, g), (model.discriminator, d)):
        for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert (p - q).abs().gt(1e-4).float().mean() < 0.01
        for p, q in zip(mine.buffers(), theirs.buffers(), strict=True):  # running means: how often, and of what
            torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-5)


def test_batch_norm_sees_real_and_fake_separately():
    """Fakes far from the real images must not move the real images' logits, as they would in a joint batch."""
    model = small(lr_d=1e-30, lr_g=1e-30)
    x = real()
    model.discriminator.train()
    expected = model.discriminator(x[0]).mean()
    with torch.no_grad():
        for p in model.generator.to_image.parameters():
            p.zero_()
        model.generator.to_image[0].bias.fill_(5.0)  # white images
    logs = model.step(x)
    torch.testing.assert_close(logs["logit_real"], expected.detach())
    mixed = model.discriminator(torch.cat([x[0], torch.ones_like(x[0])]))[:6].mean()
    assert (mixed - expected).abs() > 10 * (logs["logit_real"] - expected).abs() + 1e-4, "the check would see it"


def test_halves_of_the_step_leave_each_other_alone():
    model = small(lr_g=1e-30)
    before = [p.detach().clone() for p in model.generator.parameters()]
    model.step(real())
    torch.testing.assert_close(list(model.generator.parameters()), before, rtol=0, atol=1e-20)
    model = small(lr_d=1e-30)
    before = [p.detach().clone() for p in model.discriminator.parameters()]
    model.step(real())
    torch.testing.assert_close(list(model.discriminator.parameters()), before, rtol=0, atol=1e-20)


@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_every_game_runs(loss, batch_norm):
    model = small(loss=loss, batch_norm=batch_norm, up="resize")
    logs = model.step(real())
    assert set(logs) == {"loss_d", "loss_g", "logit_real", "logit_fake"}
    assert all(v.isfinite() for v in logs.values())


def test_samples_come_from_the_average_in_evaluation_mode():
    model = small(ema_decay=0.9)
    start = copy.deepcopy(model.generator)
    model.step(real())
    z = torch.randn(3, 5)
    by_hand = copy.deepcopy(model.generator).eval()
    with torch.no_grad():
        for average, old in zip(by_hand.parameters(), start.parameters(), strict=True):
            average.copy_(0.9 * old + 0.1 * average)
        torch.testing.assert_close(model.decode(z), by_hand(z))
    # In evaluation mode a sample does not depend on the others in its batch.
    torch.testing.assert_close(model.decode(z)[:1], model.decode(z[:1]))
    assert (model.decode(z) - model.generator(z)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (1, 20, 20)}, r"shape must be \(1 or 3, S, S\) with a side S of 16, 28, 32, 64, got \(1, 20, 20\)"),
        ({"shape": (1, 16, 32)}, r"shape must be \(1 or 3, S, S\).*got \(1, 16, 32\)"),
        ({"shape": (2, 16, 16)}, r"shape must be \(1 or 3, S, S\).*got \(2, 16, 16\)"),
        ({"shape": (16,)}, r"shape must be \(C, H, W\) with positive sizes, got \(16,\)"),
        ({"up": "resized"}, "unknown up 'resized'; known: transposed, resize. Did you mean 'resize'"),
        ({"width": 0}, "width must be positive, got 0"),
        ({"lr_d": -1.0}, "lr_d must be positive, got -1.0"),
        ({"beta1": 1.0}, r"beta1 must lie in \[0, 1\), got 1.0"),
        ({"loss": "hing"}, "unknown loss 'hing'"),
    ],
)
def test_bad_settings_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        small(**changed)


def test_a_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="at least 2 samples per batch where there is batch norm, got 1"):
        small().step(real(batch=1))


def test_training_on_digits_makes_all_ten():
    """The recipe at 16x16, one seed. Five seeds (book/results) gave a distance of 21 to 30.5, a confidence of at least
    .87, and at least .059 for the rarest class, where .03 makes it count."""
    train_set, reference = data.load("digits", size=16), data.load("digits", size=16, split="test").images()
    recipe = dict(RECIPES["digits"])
    steps, batch, size = (recipe.pop(name) for name in ("steps", "batch", "size"))
    assert (steps, size) == (1_400, 16)
    model = DCGAN(train_set.shape, **recipe)
    fit(model, train_set, steps, batch=batch, precision="float32", channels_last=False, progress=False)
    samples = model.sample(2_000, generator=torch.Generator().manual_seed(0))
    measured = metrics.summarize(samples, reference, judge("digits", 16))
    assert measured["classes"] == 10
    assert measured["confidence"] >= 0.84
    assert measured["frechet"] <= 42


@pytest.mark.gpu
@pytest.mark.parametrize("side", SIDES)
def test_networks_agree_on_a_gpu(side):
    cpu = DCGAN((3, side, side), width=8)
    gpu = DCGAN((3, side, side), width=8).cuda()
    gpu.load_state_dict(cpu.state_dict())
    z = torch.randn(4, 64)
    x = cpu.generator(z)
    torch.testing.assert_close(gpu.generator(z.cuda()).cpu(), x, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(gpu.discriminator(x.cuda()).cpu(), cpu.discriminator(x), rtol=1e-3, atol=1e-4)
