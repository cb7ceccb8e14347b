"""BigGAN: each part against an independent truth, and the step written out with torch's own functions."""

import copy
import itertools

import pytest
import torch
from scipy import stats
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from gan_course import layers
from gan_course.models import biggan
from gan_course.models.biggan import BigGAN, Discriminator, Generator, orthogonal_penalty, truncated

SWITCHES = ("attention", "spectral_g", "shared", "split")


def small(**changed) -> BigGAN:
    torch.manual_seed(0)
    return BigGAN(**{"shape": (2, 16, 16), "num_classes": 3, "latent_dim": 6, "width": 8, "embed_dim": 5, **changed})


def batches(n_critic: int = 1, b: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(n_critic, b, 2, 16, 16) * 2 - 1, torch.randint(0, 3, (n_critic, b))


def random_start(network: nn.Module) -> nn.Module:
    """Every parameter random, so that nothing is hidden by a gain of 0 or 1."""
    with torch.no_grad():
        for p in network.parameters():
            p.normal_(std=0.5)
    layers.advance_spectral_norms(network, 30)
    return network


# --- attention ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spectral", [False, True])
def test_attention_is_scaled_dot_product_attention_without_the_scale(spectral):
    torch.manual_seed(0)
    layer = layers.SelfAttention(16, spectral).double()
    nn.init.constant_(layer.gamma, 0.7)
    x = torch.randn(3, 16, 4, 5, dtype=torch.float64)
    query, key, value = (m(x).flatten(2).mT for m in (layer.query, layer.key, layer.value))
    taken = F.scaled_dot_product_attention(query, key, value, scale=1.0)  # (B, HW, C / 2)
    expected = x + 0.7 * layer.out(taken.mT.unflatten(2, (4, 5)))
    torch.testing.assert_close(layer(x), expected)

    attention = layer.attention(x)
    assert attention.shape == (3, 20, 20) and (attention >= 0).all()
    torch.testing.assert_close(attention.sum(2), torch.ones(3, 20, dtype=torch.float64))
    torch.testing.assert_close(attention @ value, taken)


# --- conditional batch norm -----------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("spectral", [True, False])
def test_a_norm_told_a_vector_is_one_batch_norm_per_vector(training, spectral):
    """Gains and biases of torch's own batch norm, set for each sample apart, with the statistics of the batch."""
    torch.manual_seed(0)
    norm = random_start(layers.VectorBatchNorm2d(3, 4, spectral)).double().train(training)
    x, vectors = torch.randn(5, 3, 4, 4).double(), torch.randn(5, 4).double()
    if not training:
        norm.norm.running_mean.normal_(), norm.norm.running_var.uniform_(0.5, 2)
    mean, var = (norm.norm.running_mean.clone(), norm.norm.running_var.clone())
    got = norm(x, vectors)
    for i, vector in enumerate(vectors):
        gain, bias = 1 + norm.gain.weight @ vector, norm.bias.weight @ vector
        expected = F.batch_norm(x, mean.clone(), var.clone(), gain, bias, training=training)
        torch.testing.assert_close(got[i], expected[i])


def test_one_hot_vectors_make_the_norm_of_classes():
    norm = random_start(layers.VectorBatchNorm2d(3, 4)).double()
    classes = layers.ConditionalBatchNorm2d(3, 4).double()
    with torch.no_grad():
        classes.gain.weight.copy_(1 + norm.gain.weight.T), classes.bias.weight.copy_(norm.bias.weight.T)
    x, labels = torch.randn(6, 3, 2, 2).double(), torch.tensor([0, 3, 1, 1, 2, 3])
    torch.testing.assert_close(norm(x, torch.eye(4).double()[labels]), classes(x, labels))


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("switches", list(itertools.product([True, False], repeat=4)))
def test_every_part_can_be_left_out(switches):
    gan = small(**dict(zip(SWITCHES, switches, strict=True)))
    attention, spectral, shared, split = switches
    assert all(value.isfinite() for value in gan.step(*batches()).values())
    assert gan.sample(5).shape == (5, 2, 16, 16)
    for network in (gan.generator, gan.discriminator):
        assert isinstance(network.attention, layers.SelfAttention) == attention
    normalised = {n for n, m in gan.generator.named_modules() if parametrize.is_parametrized(m)}
    kinds = (nn.Linear, nn.Conv2d) if shared else (nn.Conv2d,)
    weighted = {n for n, m in gan.generator.named_modules() if isinstance(m, kinds)} | {"first"}
    assert normalised == (weighted if spectral else set())
    assert (gan.generator.embed is not None) == shared
    told = (5 if shared else 3) + (2 if split else 0)
    assert {b.norm1.gain.in_features for b in gan.generator.blocks} == {told}
    assert gan.generator.first.in_features == (2 if split else 6)


def test_every_layer_of_the_discriminator_is_spectrally_normalised():
    gan = small()
    for _ in range(3):
        gan.step(*batches())
    for network in (gan.discriminator, gan.generator):
        layers.advance_spectral_norms(network, 500)
    kinds = nn.Conv2d | nn.Linear | nn.Embedding
    for layer in [m for m in gan.discriminator.modules() if isinstance(m, kinds)]:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        torch.testing.assert_close(norm, torch.ones(()), rtol=1e-3, atol=0)
    for layer in [m for m in gan.generator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        torch.testing.assert_close(norm, torch.ones(()), rtol=1e-3, atol=0)


def test_each_part_of_the_latent_enters_its_own_block():
    """A changed part leaves all that comes before its block as it is, and changes what comes after."""
    gan = small(latent_dim=9)
    network = random_start(gan.generator).eval()
    z, labels = torch.randn(2, 9), torch.tensor([0, 2])
    seen: list[torch.Tensor] = []
    for module in (network.first, *network.blocks):
        module.register_forward_hook(lambda module, inputs, output: seen.append(output))

    def stages(z):
        seen.clear()
        network(z, labels)
        return list(seen)

    before = stages(z)
    assert len(before) == 3
    for part in range(3):
        other = z.clone()
        other[:, 3 * part : 3 * part + 3] += 1
        same = [torch.equal(a, b) for a, b in zip(before, stages(other), strict=True)]
        assert same == [stage < part for stage in range(3)]


def test_without_the_split_the_latent_enters_the_first_layer_only():
    gan = small(split=False)
    network = random_start(gan.generator).eval()
    with torch.no_grad():
        network.first.parametrizations.weight.original.zero_()
        network.first.parametrizations.weight[0].forward = lambda weight: weight
    z, labels = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    images = network(z, labels)
    torch.testing.assert_close(images[0], images[3])
    assert not torch.allclose(images[0], images[1]), "the class still does"


def test_projection_is_an_inner_product_with_the_row_of_the_class():
    discriminator = small().discriminator.double()
    x, labels = torch.rand(4, 2, 16, 16).double(), torch.tensor([1, 0, 2, 1])
    phi = discriminator.blocks(discriminator.attention(discriminator.first(x))).sum((2, 3))
    expected = torch.stack([(discriminator.psi.weight[0] + discriminator.embed.weight[y]) @ f
                            for f, y in zip(phi, labels, strict=True)])  # fmt: skip
    torch.testing.assert_close(discriminator(x, labels), expected)
    torch.testing.assert_close(discriminator(x[:2], labels[:2]), expected[:2])  # no image sees another


def test_weights_start_orthogonal():
    for network in (small(spectral_g=False).generator, small().discriminator):
        for name, p in network.named_parameters():
            if p.ndim > 1:
                w = p.detach().flatten(1)
                w = w if w.shape[0] <= w.shape[1] else w.T
                torch.testing.assert_close(w @ w.T, torch.eye(len(w)), atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"latent_dim": 7}, "latent_dim must be a multiple of 3, one part per block, got 7"),
    ({"shape": (1, 6, 6)}, r"shape must be of images whose sides can be halved, 8 pixels or more, got \(1, 6, 6\)"),
    ({"orthogonal": -1.0}, "orthogonal must"),
    ({"width": 4}, "channels must be at least 8, got 4"),
])  # fmt: skip
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        small(**wrong)


# --- orthogonal regularisation --------------------------------------------------------------------


def test_the_penalty_is_its_definition_and_so_is_its_gradient():
    """By a loop over pairs of filters; finite differences; and 4 (W W' o (1 - I)) W."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Linear(2, 5), layers.spectral_norm(nn.Linear(3, 4))).double()
    network.append(nn.Embedding(4, 2).double())  # which is left out
    weights = [network[0].weight, network[1].weight, network[2].parametrizations.weight.original]
    expected = 0.0
    for weight in weights:
        rows = weight.detach().flatten(1)
        for i, j in itertools.permutations(range(len(rows)), 2):
            expected += (rows[i] @ rows[j]).item() ** 2
    assert orthogonal_penalty(network).item() == pytest.approx(expected)

    gradients = torch.autograd.grad(orthogonal_penalty(network), weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        w = weight.detach().flatten(1)
        gram = w @ w.T
        torch.testing.assert_close(gradient.flatten(1), 4 * (gram - torch.diag(gram.diagonal())) @ w)

    def of(w):
        return orthogonal_penalty(_Holder(w))

    for shape in ((3, 5), (5, 3)):
        assert gradcheck(of, (torch.randn(shape, dtype=torch.float64, requires_grad=True),))


class _Holder(nn.Linear):
    """A linear layer whose weight is a given tensor."""

    def __init__(self, weight):
        super().__init__(1, 1)
        del self.weight
        self.weight = weight


def test_the_penalty_is_zero_for_orthogonal_filters_of_any_length():
    layer = nn.Conv2d(2, 4, 3, bias=False)
    nn.init.orthogonal_(layer.weight)
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([0.1, 1.0, 3.0, 7.0]).view(4, 1, 1, 1))
    assert orthogonal_penalty(layer).item() == pytest.approx(0, abs=1e-2)
    with torch.no_grad():
        layer.weight[0] += layer.weight[3] / 7
    assert orthogonal_penalty(layer).item() == pytest.approx(2 * 49, rel=1e-2)


# --- the step -------------------------------------------------------------------------------------


def test_step_is_the_published_algorithm():
    """Two updates of the discriminator, one of the generator, written with torch's own losses and plain Adam."""
    gan = small(n_critic=2, orthogonal=0.3, lr_g=1e-2, lr_d=2e-2, ema_decay=0.0, beta2=0.9).double()
    d, g = copy.deepcopy(gan.discriminator), copy.deepcopy(gan.generator)
    real, labels = batches(n_critic=2)
    real = real.double()  # biases before a batch norm have no gradient but rounding's, which Adam would enlarge
    torch.manual_seed(1)
    logs = gan.step(real, labels)

    torch.manual_seed(1)
    adam_d = torch.optim.Adam(d.parameters(), 2e-2, (0.0, 0.9))
    adam_g = torch.optim.Adam(g.parameters(), 1e-2, (0.0, 0.9))
    for x, y in zip(real, labels, strict=True):
        fake = g(torch.randn(6, 6).double(), y).detach()
        layers.advance_spectral_norms(d)
        loss_d = (1 - d(x, y)).clamp(min=0).mean() + (1 + d(fake, y)).clamp(min=0).mean()
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()
    layers.advance_spectral_norms(g)
    loss_g = -d(g(torch.randn(6, 6).double(), y), y).mean()
    adam_g.zero_grad()
    loss_g.backward()
    for name, p in g.named_parameters():
        if p.ndim > 1 and name != "embed.weight":
            w = p.detach().flatten(1)
            gram = w @ w.T
            p.grad += 0.3 * (4 * (gram - torch.diag(gram.diagonal())) @ w).view_as(p)
    adam_g.step()

    for mine, other in ((gan.discriminator, d), (gan.generator, g)):
        for (name, a), b in zip(mine.named_parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")
    torch.testing.assert_close(logs["loss_d"], loss_d.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logs["loss_g"], loss_g.detach(), rtol=1e-4, atol=1e-5)
    for a, b in zip(gan.ema.network.parameters(), g.parameters(), strict=True):  # a decay of 0 is a plain copy
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_spectral_norms_of_the_generator_advance_once_per_step():
    gan = small(n_critic=3)
    layer = gan.generator.blocks[0].conv1
    theirs = parametrizations.spectral_norm(nn.Conv2d(1, 1, 1)).parametrizations.weight[0]  # torch's, for the rule
    mine = layer.parametrizations.weight[0]
    matrix, u = layer.parametrizations.weight.original.detach().flatten(1).clone(), mine.u.clone()
    gan.step(*batches(n_critic=3))
    v = F.normalize(matrix.T @ u, dim=0, eps=theirs.eps)
    torch.testing.assert_close(mine.v, v)
    torch.testing.assert_close(mine.u, F.normalize(matrix @ v, dim=0, eps=theirs.eps))


# --- truncation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.3, 1.0, 2.0])
def test_truncated_latents_are_truncated_normals(threshold):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(500, 40, generator=generator)
    kept = z.clone()
    cut = truncated(z, threshold, generator)
    assert torch.equal(z, kept) and cut.shape == z.shape and cut.abs().max() <= threshold
    within = z.abs() <= threshold
    assert torch.equal(cut[within], z[within]), "what lies within stays"
    found = stats.kstest(cut.flatten().double().numpy(), stats.truncnorm(-threshold, threshold).cdf)
    assert found.pvalue > 1e-3


def test_a_wide_threshold_changes_nothing_and_none_is_refused():
    z = torch.randn(10, 4)
    assert torch.equal(truncated(z, 10.0), z)
    with pytest.raises(ValueError, match="threshold must be positive, got 0"):
        truncated(z, 0)


def test_filters_are_the_learned_weights():
    gan = small()
    found = biggan.filters(gan.generator)
    assert set(found) == {n for n, m in gan.generator.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    original = gan.generator.first.parametrizations.weight.original
    assert torch.equal(found["first"], original) and found["last"].shape == (2, 8 * 9)
    assert not torch.equal(found["first"] * 2, gan.generator.first.weight)


def test_networks_can_be_built_alone():
    torch.manual_seed(0)
    images = Generator((3, 8, 8), 4, 8, 2, 3)(torch.randn(2, 4), torch.tensor([0, 1]))
    assert images.shape == (2, 3, 8, 8) and Discriminator((3, 8, 8), 8, 2)(images, torch.tensor([0, 1])).shape == (2,)
