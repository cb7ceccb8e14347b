"""The spectrally normalised GAN: the tables of the paper, when u moves, and what the norm bounds."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from gan_course import layers, losses
from gan_course.models.sngan import (
    NETWORKS,
    SNGAN,
    CNNDiscriminator,
    CNNGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
)

every_network = pytest.mark.parametrize("networks", NETWORKS)
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def small(**changed) -> SNGAN:
    return SNGAN(**{"shape": (1, 8, 8), "latent_dim": 3, "width": 2, "n_critic": 2, **changed})


def real(n_critic: int = 2, batch: int = 6) -> torch.Tensor:
    return torch.rand(n_critic, batch, 1, 8, 8) * 2 - 1


def us(network: nn.Module) -> list[torch.Tensor]:
    return [m.u.clone() for m in network.modules() if isinstance(m, layers.SpectralNorm)]


def matrices(network: nn.Module) -> list[torch.Tensor]:
    """The weights that the layers use, one row per output."""
    return [m.weight.detach().flatten(1) for m in network.modules() if isinstance(m, WEIGHTED)]


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


def test_shapes_are_those_of_table_3():
    """With a width of 1 for the paper's 64."""
    g = CNNGenerator((3, 32, 32), 128, 1)
    z = torch.randn(2, 128)
    assert outputs(g, (nn.ReLU,), z) == [(8, 4, 4), (4, 8, 8), (2, 16, 16), (1, 32, 32)]
    assert g(z).shape == (2, 3, 32, 32)
    d = CNNDiscriminator((3, 32, 32), 1)
    expected = [(1, 32, 32), (1, 16, 16), (2, 16, 16), (2, 8, 8), (4, 8, 8), (4, 4, 4), (8, 4, 4)]
    assert outputs(d, (nn.LeakyReLU,), g(z)) == expected
    assert all(m.negative_slope == 0.1 for m in d.modules() if isinstance(m, nn.LeakyReLU))


def test_shapes_are_those_of_table_4():
    """With a width of 2 for the paper's 128."""
    g = ResNetGenerator((3, 32, 32), 128, 2)
    z = torch.randn(2, 128)
    assert outputs(g, (nn.Unflatten, layers.ResBlockUp), z) == [(4, 4, 4), (4, 8, 8), (4, 16, 16), (4, 32, 32)]
    d = ResNetDiscriminator((3, 32, 32), 2)
    assert outputs(d, (layers.ResBlockDown,), g(z)) == [(2, 16, 16), (2, 8, 8), (2, 8, 8), (2, 8, 8)]
    assert outputs(d, (nn.Linear,), g(z)) == [(1,)]


def test_resnet_features_are_summed_over_all_places():
    """Summed, not averaged: with constant features of 1 the linear layer is given the number of places."""
    d = ResNetDiscriminator((3, 32, 32), 2)
    d.blocks = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(3, 2, 1))
    nn.init.zeros_(d.blocks[1].weight)
    nn.init.ones_(d.blocks[1].bias)
    torch.testing.assert_close(d(torch.randn(2, 3, 32, 32)), (64 * d.to_logit.weight.sum()).expand(2))


def test_numbers_of_weights_are_those_of_the_tables():
    """Weights of linear and convolutional layers, counted by hand: kernel x inputs x outputs."""

    def weights(network: nn.Module) -> int:
        return sum(m.numel() for m in matrices(network))

    k3, k4, k1 = 9, 16, 1
    up = k3 * 256 * 256 + k3 * 256 * 256 + k1 * 256 * 256
    assert weights(ResNetGenerator((3, 32, 32), 128, 128)) == 128 * 256 * 4 * 4 + 3 * up + k3 * 256 * 3
    first = k3 * 3 * 128 + k3 * 128 * 128 + k1 * 3 * 128
    down, keep = k3 * 128 * 128 * 2 + k1 * 128 * 128, k3 * 128 * 128 * 2
    assert weights(ResNetDiscriminator((3, 32, 32), 128)) == first + down + 2 * keep + 128
    expected = 128 * 512 * 4 * 4 + k4 * (512 * 256 + 256 * 128 + 128 * 64) + k3 * 64 * 3
    assert weights(CNNGenerator((3, 32, 32), 128, 64)) == expected
    threes = k3 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    fours = k4 * (64 * 64 + 128 * 128 + 256 * 256)
    assert weights(CNNDiscriminator((3, 32, 32), 64)) == threes + fours + 512 * 4 * 4


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([8, 16, 28, 32, 64]), st.sampled_from([1, 3]), st.integers(1, 3), st.sampled_from(list(NETWORKS))
)
def test_any_size_goes_there_and_back(side, channels, width, networks):
    generator, discriminator = NETWORKS[networks]
    x = generator((channels, side, side), 3, width)(torch.randn(2, 3))
    assert x.shape == (2, channels, side, side) and x.abs().max() <= 1
    assert discriminator((channels, side, side), width)(x).shape == (2,)


@every_network
@pytest.mark.parametrize("spectral", [True, False])
def test_spectral_norm_is_in_the_discriminator_only(networks, spectral):
    """A popular tutorial puts it into the generator too, and batch norm into both."""
    model = small(networks=networks, spectral=spectral)
    for network in (model.generator, model.ema.network):
        assert not any(parametrize.is_parametrized(m) for m in network.modules())
        assert any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    weighted = [m for m in model.discriminator.modules() if isinstance(m, WEIGHTED)]
    assert all(parametrize.is_parametrized(m, "weight") == spectral for m in weighted)
    assert len(us(model.discriminator)) == (len(weighted) if spectral else 0)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.discriminator.modules())


@every_network
def test_largest_singular_values_are_1(networks):
    d = small(networks=networks, width=8, shape=(3, 16, 16)).double().discriminator
    layers.advance_spectral_norms(d, 500)
    for matrix in matrices(d):
        assert torch.linalg.matrix_norm(matrix, ord=2).item() == pytest.approx(1, abs=1e-3)
    free = small(networks=networks, width=8, shape=(3, 16, 16), spectral=False).double().discriminator
    assert max(abs(torch.linalg.matrix_norm(m, ord=2).item() - 1) for m in matrices(free)) > 0.1


@every_network
def test_discriminator_does_not_depend_on_the_scale_of_its_weights(networks):
    d = small(networks=networks).double().discriminator
    x = real()[0].double()
    layers.advance_spectral_norms(d, 500)
    before = d(x)
    with torch.no_grad():
        for name, p in d.named_parameters():
            if name.endswith("original"):
                p.mul_(7)
    torch.testing.assert_close(d(x), before)


def operator_norm(layer: nn.Module, shape: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
    """Exact Lipschitz constant of an affine layer on inputs of ``shape``: of its Jacobian, written out."""
    x = torch.zeros(1, *shape, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(layer, x).reshape(-1, math.prod(shape))
    return torch.linalg.matrix_norm(jacobian, ord=2).item(), tuple(layer(x).shape[1:])


def test_product_of_the_layers_bounds_the_slope():
    """LeakyReLU has slopes of at most 1. A convolution of kernel k and stride s can stretch ceil(k / s) times as far
    as its weight seen as a matrix, for a pixel enters that many patches in each direction."""
    torch.manual_seed(0)
    model = small(width=3, logit_scale=5.0).double()
    with torch.no_grad():
        for p in model.discriminator.parameters():
            p.mul_(20)  # without the norm, the slope would be enormous
    layers.advance_spectral_norms(model.discriminator, 500)
    bound, coarse, shape = 5.0, 5.0, (1, 8, 8)
    for layer in model.discriminator.layers:
        if isinstance(layer, WEIGHTED):
            norm, shape = operator_norm(layer, shape)
            if isinstance(layer, nn.Conv2d):
                most = math.ceil(layer.kernel_size[0] / layer.stride[0])
                assert norm <= most * 1.001
                coarse *= most
            else:
                assert norm == pytest.approx(1, abs=1e-3)
            bound *= norm
        elif isinstance(layer, nn.Flatten):
            shape = (math.prod(shape),)
    x = torch.randn(200, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.logits(x).sum(), x)
    slopes = gradient.flatten(1).norm(dim=1)
    assert 0 < slopes.max() <= bound <= coarse * 1.01
    a, b = torch.randn(2, 200, 1, 8, 8, dtype=torch.float64)
    assert ((model.logits(a) - model.logits(b)).abs() <= bound * (a - b).flatten(1).norm(dim=1)).all()


def test_step_is_algorithm_1():
    """Two discriminator updates and one generator update, with power iteration, hinge and Adam written out here."""

    def draw(n: int) -> torch.Tensor:
        return torch.randn(n, 3, dtype=torch.float64)

    model = small(logit_scale=3.0, lr_g=1e-2, lr_d=2e-2).double()
    model.latents = draw
    g = copy.deepcopy(model.generator)
    affine = [m for m in model.discriminator.layers if isinstance(m, WEIGHTED)]
    weights = [m.parametrizations.weight.original.detach().clone().requires_grad_() for m in affine]
    biases = [m.bias.detach().clone().requires_grad_() for m in affine[:-1]]
    u = [m.parametrizations.weight[0].u.clone() for m in affine]
    v = [torch.empty(0)] * len(u)
    batches = real(batch=4).double()
    torch.manual_seed(1)
    logs = model.step(batches)

    def iterate() -> None:
        for i, weight in enumerate(weights):
            matrix = weight.detach().reshape(len(weight), -1)
            v[i] = F.normalize(matrix.T @ u[i], dim=0)
            u[i] = F.normalize(matrix @ v[i], dim=0)

    def logits(x: torch.Tensor) -> torch.Tensor:
        normalised = []
        for weight, left, right in zip(weights, u, v, strict=True):
            normalised.append(weight / (left @ weight.reshape(len(weight), -1) @ right))
        for i, (stride, padding) in enumerate([(1, 1), (2, 1), (1, 1)]):
            x = F.leaky_relu(F.conv2d(x, normalised[i], biases[i], stride, padding), 0.1)
        return 3 * F.linear(x.flatten(1), normalised[-1])[:, 0]

    torch.manual_seed(1)
    adam_d = torch.optim.Adam([*weights, *biases], 2e-2, (0.0, 0.9))
    adam_g = torch.optim.Adam(g.parameters(), 1e-2, (0.0, 0.9))
    for x in batches:
        iterate()
        fake = g(draw(4)).detach()
        loss_d = (1 - logits(x)).clamp(min=0).mean() + (1 + logits(fake)).clamp(min=0).mean()
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()
    loss_g = -logits(g(draw(4))).mean()
    adam_g.zero_grad()
    loss_g.backward()
    adam_g.step()

    torch.testing.assert_close(logs["loss_d"], loss_d.detach())
    torch.testing.assert_close(logs["loss_g"], loss_g.detach())
    for i, module in enumerate(affine):
        torch.testing.assert_close(module.parametrizations.weight[0].u, u[i])
        torch.testing.assert_close(module.parametrizations.weight.original, weights[i])
    torch.testing.assert_close([m.bias for m in affine[:-1]], biases)
    torch.testing.assert_close(list(model.generator.parameters()), list(g.parameters()))


@every_network
def test_u_moves_once_for_each_discriminator_update_and_never_else(networks):
    """torch's own spectral norm would move it in every pass of training mode."""
    model = small(networks=networks, n_critic=2)
    seen = [us(model.discriminator)]
    hook = model.discriminator.register_forward_hook(lambda *_: seen.append(us(model.discriminator)))
    model.step(real(n_critic=2))
    hook.remove()
    start, first, second, generator = seen  # one joint pass over real and fake in each update

    def moved(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
        return any(not torch.equal(x, y) for x, y in zip(a, b, strict=True))

    assert moved(start, first) and moved(first, second) and not moved(second, generator)
    model.discriminator.train()(real()[0])
    model.discriminator.eval()(real()[0])
    model.sample(2)
    assert not moved(generator, us(model.discriminator))


@every_network
def test_a_logit_depends_on_its_own_image(networks):
    d = small(networks=networks).discriminator
    x = real()[0]
    torch.testing.assert_close(d(x)[:2], d(x[:2]))


def test_logit_scale_is_a_factor():
    one, eight = (small(logit_scale=scale) for scale in (1.0, 8.0))
    eight.load_state_dict(one.state_dict())
    x = real()[0]
    torch.testing.assert_close(eight.logits(x), 8 * one.logits(x))


@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("spectral", [True, False])
@every_network
def test_every_game_runs(loss, spectral, networks):
    model = small(loss=loss, spectral=spectral, networks=networks)
    logs = model.step(real())
    assert set(logs) == {"loss_d", "loss_g", "logit_real", "logit_fake"}
    assert all(v.isfinite() for v in logs.values())


def test_the_cifar_model_at_full_size_does_a_step():
    model = SNGAN((3, 32, 32), networks="resnet", width=128, n_critic=1)
    assert model.optimizer_g.defaults["betas"] == (0.0, 0.9) and model.optimizer_d.defaults["lr"] == 2e-4
    assert SNGAN(width=1).n_critic == 5
    before = [p.detach().clone() for p in model.generator.parameters()]
    logs = model.step(torch.rand(1, 2, 3, 32, 32) * 2 - 1)
    assert all(v.isfinite() for v in logs.values())
    assert any(not torch.equal(p, q) for p, q in zip(model.generator.parameters(), before, strict=True))
    assert model.sample(1).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (1, 20, 20)}, r"shape must be \(1 or 3, S, S\) with a side S of 8, 16, 28, 32, 64, got"),
        ({"networks": "resnets"}, "unknown networks 'resnets'; known: cnn, resnet. Did you mean 'resnet'"),
        ({"logit_scale": 0.0}, "logit_scale must be positive, got 0.0"),
        ({"n_critic": 0}, "n_critic must be positive, got 0"),
        ({"lr_g": -1.0}, "lr_g must be positive, got -1.0"),
        ({"beta2": 1.0}, r"beta2 must lie in \[0, 1\), got 1.0"),
        ({"loss": "hing"}, "unknown loss 'hing'"),
    ],
)
def test_bad_settings_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        small(**changed)


def test_a_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="at least 2 samples per batch where there is batch norm, got 1"):
        small().step(real(batch=1))


@pytest.mark.gpu
@every_network
def test_networks_agree_on_a_gpu(networks):
    cpu, gpu = small(networks=networks), small(networks=networks).cuda()
    gpu.load_state_dict(cpu.state_dict())
    z = torch.randn(4, 3)
    x = cpu.generator(z)
    torch.testing.assert_close(gpu.generator(z.cuda()).cpu(), x, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(gpu.logits(x.cuda()).cpu(), cpu.logits(x), rtol=1e-3, atol=1e-4)
    assert all(v.is_cuda and v.isfinite() for v in gpu.step(real().cuda()).values())
