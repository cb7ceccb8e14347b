"""The models of tools/experiments/remedies.py and pacgan.py, on which the tables of training in practice rest."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from gan_course.models.gan import GAN
from tools.experiments import pacgan, remedies

SETTINGS = {"width": 16, "lr_g": 1e-3, "lr_d": 1e-3, "beta1": 0.5, "dropout": 0.3}
IMAGES = (1, 8, 8)


def trained(make, shape=IMAGES, steps=4, **settings) -> torch.Tensor:
    """All weights after a few steps."""
    torch.manual_seed(0)
    model = make(shape, **SETTINGS, **settings)
    torch.manual_seed(1)
    for _ in range(steps):
        logged = model.step(torch.rand(model.n_critic, 16, *shape) * 2 - 1)
    assert all(torch.isfinite(value) for value in logged.values())
    both = [*model.generator.parameters(), *model.discriminator.parameters()]
    return torch.cat([weight.detach().flatten() for weight in both])


@pytest.mark.parametrize("settings", [{}, {"r1": 0.1}, {"pack": 2}, {"loss": "saturating"}])
def test_without_a_remedy_it_is_the_gan(settings):
    assert torch.equal(trained(remedies.Remedied, **settings), trained(GAN, **settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"smoothing": 0.1}, {"noise": 0.5}, {"clip_norm": 0.01}, {"vat": 1.0}, {"penalty": 1.0}, {"unroll": 2},
        {"augment": True}, {"n_critic": 2}, {"clip": 0.01},
    ],
    ids=lambda settings: next(iter(settings)),
)  # fmt: skip
def test_each_remedy_changes_the_training(settings):
    assert not torch.allclose(trained(remedies.Remedied, **settings), trained(remedies.Remedied), atol=1e-5)


@pytest.mark.parametrize("settings", [{"minibatch_std": True}, {"norm_d": True}])
def test_other_discriminators_can_be_trained(settings):
    trained(remedies.Remedied, **settings)


def test_fourier_features_can_be_trained():
    trained(remedies.Remedied, (2,), frequencies=3.0, batch_norm=False)


def test_unrolled_steps_are_plain_gradient_steps_of_the_discriminator():
    torch.manual_seed(0)
    model = remedies.Remedied((2,), batch_norm=False, unroll=1, **{**SETTINGS, "dropout": 0.0})
    x = torch.randn(16, 2)
    torch.manual_seed(1)
    foreseen = model.foresee(x)
    torch.manual_seed(1)
    fake = model.generator(model.latents(16)).detach()
    loss = softplus(-model.discriminator(x)).mean() + softplus(model.discriminator(fake)).mean()
    gradients = torch.autograd.grad(loss, list(model.discriminator.parameters()))
    for (name, weight), gradient in zip(model.discriminator.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(foreseen[name], weight - 0.1 * gradient)
    # The generator feels how the discriminator will answer.
    (through,) = torch.autograd.grad(foreseen["layers.1.weight"].sum(), model.generator.layers[0].weight)
    assert through.abs().sum() > 0


@pytest.mark.parametrize("pack", [1, 2])
def test_the_papers_networks_take_a_simultaneous_step(pack):
    torch.manual_seed(0)
    model = pacgan.PaperGAN((2,), latent_dim=2, lr_g=1e-4, lr_d=1e-4, beta1=0.8, beta2=0.999, pack=pack)
    count = {name: sum(p.numel() for p in net.parameters()) for name, net in model.named_children() if name != "ema"}
    # By hand: linear maps without bias and batch norm (2 per unit) in the generator, five pieces per maxout unit.
    assert count["generator"] == 2 * 400 + 3 * 400 * 400 + 4 * 800 + 400 * 2 + 2
    assert count["discriminator"] == (2 * pack + 1) * 1000 + 2 * (200 + 1) * 1000 + 201
    before = [p.detach().clone() for p in model.parameters()]
    model.step(torch.randn(1, 20 * pack, 2))
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2
    assert model.sample(7).shape == (7, 2)


def test_a_maxout_unit_is_the_largest_of_its_pieces():
    torch.manual_seed(0)
    layer = pacgan.Maxout(3, 4, pieces=5)
    x = torch.randn(6, 3)
    values = x @ layer.linear.weight.T + layer.linear.bias
    expected = torch.stack([values[:, 5 * unit : 5 * unit + 5].max(1).values for unit in range(4)], 1)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("pack", [1, 2])
def test_trials_side_by_side_are_gans_of_their_own(pack):
    torch.manual_seed(0)
    trials = pacgan.Trials(3, pack=pack, width=8, lr=0.01, beta1=0.8)
    before = copy.deepcopy([trials.generator, trials.discriminator])
    real = torch.randn(3, 5 * pack, 2)
    for trial in range(3):  # by torch's own layers
        networks = []
        for net, slope in zip(before, (0.0, 0.2), strict=True):
            layers = []
            for weight, bias in zip(net.weights[::2], net.weights[1::2], strict=True):
                linear = nn.Linear(*weight.shape[1:])
                linear.weight.data, linear.bias.data = weight[trial].detach().T.clone(), bias[trial, 0].detach().clone()
                layers += [linear, nn.LeakyReLU(slope)]
            networks.append(nn.Sequential(*layers[:-1]))
        generator, discriminator = networks
        torch.manual_seed(1)
        z = torch.randn_like(real)[trial]
        fake_logits = discriminator(generator(z).reshape(5, -1))
        loss_g = softplus(-fake_logits).mean()
        loss_d = softplus(-discriminator(real[trial].reshape(5, -1))).mean() + softplus(fake_logits).mean()
        players = [list(net.parameters()) for net in networks]
        gradients = torch.autograd.grad(loss_g, players[0], retain_graph=True) + torch.autograd.grad(loss_d, players[1])
        optimizer = torch.optim.Adam(players[0] + players[1], lr=0.01, betas=(0.8, 0.999))
        for parameter, gradient in zip(players[0] + players[1], gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        if trial == 0:
            torch.manual_seed(1)
            trials.step(real)
        for net, moved in zip(networks, (trials.generator, trials.discriminator), strict=True):
            for linear, (weight, bias) in zip(
                net[::2], zip(moved.weights[::2], moved.weights[1::2], strict=True), strict=True
            ):
                torch.testing.assert_close(weight[trial], linear.weight.T)
                torch.testing.assert_close(bias[trial, 0], linear.bias)


def test_side_by_side_starts_as_linear_layers_do():
    torch.manual_seed(0)
    weight, bias = list(pacgan.SideBySide(50, (16, 40), 0.0).weights)
    for values in (weight, bias):  # uniform on [-1/4, 1/4]
        assert 0.24 < values.abs().max() <= 0.25
    assert abs(weight.std().item() - 0.25 / 3**0.5) < 0.003


def test_small_counts_the_modes_of_each_trial():
    row = pacgan.small(
        0, torch.device("cpu"), target="grid", steps=40, packs=10, trials=3, pack=2, width=8, lr=1e-3, beta1=0.8
    )
    for name in ("modes", "high_quality", "largest_share", "modes_over_time"):
        assert len(row[name]) == 3
    for end, over_time in zip(row["modes"], row["modes_over_time"], strict=True):
        assert len(over_time) == 20 and over_time[-1] == end
