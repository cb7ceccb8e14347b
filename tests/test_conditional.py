"""Label concatenation, AC-GAN and projection: what the label does in each network, and each step by hand."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import nll_loss, normalize
from torch.nn.utils import parametrize

from gan_course import data
from gan_course.layers import advance_spectral_norms
from gan_course.metrics import judge
from gan_course.models import build, common
from gan_course.models.acgan import ACGAN
from gan_course.models.conditional import RECIPES, ConditionalGAN, Generator, ProjectionGAN, halvings, trunk
from gan_course.train import fit

ALL = (ConditionalGAN, ACGAN, ProjectionGAN)
every = pytest.mark.parametrize("model", ALL)


def small(model, **changed):
    return model(**{"shape": (2, 8, 8), "num_classes": 3, "latent_dim": 4, "width": 4, **changed})


def batches(n_critic: int = 1, b: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(n_critic, b, 2, 8, 8) * 2 - 1, torch.randint(0, 3, (n_critic, b))


def weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "count"), [(4, 0), (7, 0), (8, 1), (9, 0), (12, 1), (16, 2), (28, 2), (32, 3), (64, 4)]
)
def test_grids_are_as_small_as_halving_allows(side, count):
    assert halvings((1, side, side)) == count
    assert halvings((3, side, 64)) == count, "both sides must allow it"
    _, features = trunk((3, side, side), 5)
    assert features == (5 * 2**count, side / 2**count, side / 2**count)


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(ALL),
    st.sampled_from([1, 3]),
    st.integers(1, 20),
    st.sampled_from([4, 8, 12, 28]),
    st.integers(1, 4),
)
def test_shapes(model, channels, height, width, classes):
    gan = model((channels, height, width), classes, latent_dim=2, width=2)
    real, labels = torch.rand(1, 3, channels, height, width), torch.randint(0, classes, (1, 3))
    assert all(value.isfinite() for value in gan.step(real, labels).values())
    samples = gan.sample(5)
    assert samples.shape == (5, channels, height, width) and samples.abs().max() <= 1
    if model is ACGAN:
        source, logits = gan.discriminator(real[0])
        assert source.shape == (3,) and logits.shape == (3, classes)
    else:
        assert gan.discriminator(real[0], labels[0]).shape == (3,)


@pytest.mark.parametrize("model", [ConditionalGAN, ProjectionGAN])
def test_the_discriminator_reads_the_label(model):
    discriminator = small(model).discriminator
    x = torch.rand(5, 2, 8, 8)
    by_label = torch.stack([discriminator(x, torch.full((5,), y)) for y in range(3)])
    assert (by_label.std(0) > 1e-5).all()
    # each image with its own label, and no other's
    labels = torch.tensor([2, 0, 1, 1, 0])
    torch.testing.assert_close(discriminator(x, labels), by_label[labels, torch.arange(5)])


@every
def test_the_generator_reads_the_label(model):
    gan = small(model, lr_g=0.05, ema_decay=0.0)
    for _ in range(3):  # the gains of conditional batch norm are equal at first
        gan.step(*batches())
    z = gan.latents(5)
    by_label = torch.stack([gan.decode(z, torch.full((5,), y)) for y in range(3)])
    assert (by_label.std(0).flatten(1).amax(1) > 1e-4).all(), "the same latents with other labels"
    labels = torch.tensor([2, 0, 1, 1, 0])
    torch.testing.assert_close(gan.decode(z, labels), by_label[labels, torch.arange(5)])


def test_concatenated_label_is_one_hot_beside_the_input():
    gan = small(ConditionalGAN)
    z, x, labels = torch.randn(2, 4), torch.rand(2, 2, 8, 8), torch.tensor([2, 0])
    hot = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    gan.generator.eval()
    torch.testing.assert_close(gan.generator(z, labels), Generator.forward(gan.generator, torch.cat([z, hot], 1)))
    seen = []
    gan.discriminator.trunk.register_forward_pre_hook(lambda module, inputs: seen.extend(inputs))
    gan.discriminator(x, labels)
    assert torch.equal(seen[0][:, :2], x)
    assert torch.equal(seen[0][:, 2:], hot[:, :, None, None] * torch.ones(8, 8))


def test_projection_is_an_inner_product_with_the_row_of_the_class():
    discriminator = small(ProjectionGAN).discriminator.double()
    x, labels = torch.rand(4, 2, 8, 8).double(), torch.tensor([1, 0, 2, 1])
    phi = discriminator.trunk(x).reshape(4, -1)
    for i, (features, y) in enumerate(zip(phi, labels, strict=True)):
        inner = sum(v * f for v, f in zip(discriminator.embed.weight[y], features, strict=True))
        expected = torch.dot(discriminator.psi.weight[0], features) + inner
        torch.testing.assert_close(discriminator(x, labels)[i], expected)


def test_every_layer_of_the_projection_discriminator_is_spectrally_normalised():
    gan = small(ProjectionGAN)
    for _ in range(3):
        gan.step(*batches())
    advance_spectral_norms(gan.discriminator, 500)
    kinds = torch.nn.Conv2d | torch.nn.Linear | torch.nn.Embedding
    layers = [m for m in gan.discriminator.modules() if isinstance(m, kinds)]
    assert len(layers) == 4  # two convolutions, psi and the embedding
    for layer in layers:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        torch.testing.assert_close(norm, torch.ones(()), rtol=1e-3, atol=0)
    assert not any(isinstance(m, parametrize.ParametrizationList) for m in gan.generator.modules())


def test_conditional_batch_norm_uses_the_row_of_each_class():
    gan = small(ProjectionGAN)
    z, labels = gan.latents(6), torch.tensor([0, 1, 2, 0, 1, 2])
    before = gan.decode(z, labels)
    with torch.no_grad():
        for norm in gan.ema.network.norms:
            norm.gain.weight[1] *= 2
            norm.bias.weight[1] += 1
    after = gan.decode(z, labels)
    changed = (before != after).flatten(1).any(1)
    assert changed.tolist() == [False, True, False] * 2


@pytest.mark.parametrize("model", ALL)
def test_there_is_no_batch_norm_in_the_discriminator(model):
    """One pass over real and fake images: a logit must not depend on the other images of the batch."""
    discriminator = small(model).discriminator.double()
    x, labels = torch.rand(6, 2, 8, 8).double(), torch.randint(0, 3, (6,))
    inputs = (x,) if model is ACGAN else (x, labels)
    whole = discriminator(*inputs)
    parts = discriminator(*[i[:2] for i in inputs])
    for a, b in zip(whole, parts, strict=True) if model is ACGAN else [(whole, parts)]:
        torch.testing.assert_close(a[:2], b)


# --- steps ----------------------------------------------------------------------------------------


def power_iteration(network: torch.nn.Module) -> None:
    """Algorithm 1 of Miyato et al. (2018), on the buffers of each layer."""
    for module in network.modules():
        if isinstance(module, parametrize.ParametrizationList):
            matrix, norm = module.original.detach().reshape(len(module.original), -1), module[0]
            norm.v = normalize(matrix.T @ norm.u, dim=0)
            norm.u = normalize(matrix @ norm.v, dim=0)


def discriminator_loss(model, d, x, fake, y):
    one, zero = torch.ones(len(x)), torch.zeros(len(x))
    if model is ConditionalGAN:
        return bce(d(x, y), one) + bce(d(fake, y), zero), []
    if model is ProjectionGAN:
        return (1 - d(x, y)).clamp(min=0).mean() + (1 + d(fake, y)).clamp(min=0).mean(), []
    classes = [nll_loss(d(images)[1].softmax(1).log(), y) for images in (x, fake)]
    return bce(d(x)[0], one) + bce(d(fake)[0], zero), classes


def generator_loss(model, d, fake, y):
    if model is ConditionalGAN:
        return bce(d(fake, y), torch.ones(len(y))), 0
    if model is ProjectionGAN:
        return -d(fake, y).mean(), 0
    return bce(d(fake)[0], torch.ones(len(y))), nll_loss(d(fake)[1].softmax(1).log(), y)


@every
def test_step_is_the_published_algorithm(model):
    """Both updates written out with torch's own losses and plain Adam; labels of fakes are those of the real batch."""
    gan = small(model, lr_g=1e-2, lr_d=2e-2)
    d, g = copy.deepcopy(gan.discriminator), copy.deepcopy(gan.generator)
    real, labels = batches(n_critic=2)
    torch.manual_seed(1)
    logs = gan.step(real, labels)

    torch.manual_seed(1)
    adam_d = torch.optim.Adam(d.parameters(), 2e-2, (0.5, 0.999))
    adam_g = torch.optim.Adam(g.parameters(), 1e-2, (0.5, 0.999))
    for x, y in zip(real, labels, strict=True):
        fake = g(torch.randn(6, 4), y).detach()
        power_iteration(d)
        loss_d, classes = discriminator_loss(model, d, x, fake, y)
        adam_d.zero_grad()
        (loss_d + sum(classes)).backward()
        adam_d.step()
    loss_g, class_g = generator_loss(model, d, g(torch.randn(6, 4), y), y)
    adam_g.zero_grad()
    (loss_g + class_g).backward()
    adam_g.step()

    torch.testing.assert_close(weights(gan.discriminator), weights(d), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(weights(gan.generator), weights(g), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(logs["loss_d"], loss_d.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logs["loss_g"], loss_g.detach(), rtol=1e-4, atol=1e-5)
    if model is ACGAN:
        got = [logs["class_real"], logs["class_fake"]]
        torch.testing.assert_close(got, [c.detach() for c in classes], rtol=1e-4, atol=1e-5)


# --- samples and bad input ------------------------------------------------------------------------


@every
def test_samples_without_labels_show_each_class_in_turn(model):
    gan = small(model)
    gan.step(*batches())
    first = gan.sample(7, generator=torch.Generator().manual_seed(3))
    cycled = torch.tensor([0, 1, 2, 0, 1, 2, 0], dtype=torch.int32)
    assert torch.equal(first, gan.sample(7, cycled, torch.Generator().manual_seed(3)))
    other = gan.sample(7, (cycled + 1) % 3, torch.Generator().manual_seed(3))
    assert (first != other).flatten(1).any(1).all()


@every
def test_bad_labels_are_refused(model):
    gan = small(model)
    real, labels = batches()
    for bad, message in [
        (None, "labels must be given, whole numbers from 0 to 2, got None"),
        (labels.float(), "labels must be whole numbers, got torch.float32"),
        (labels + 3, "labels must lie in 0 to 2, got values from 3 to"),
        (labels[0], r"labels must have shape \(1, 6\), got \(6,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            gan.step(real, bad)
    for bad, message in [
        (torch.tensor([0, 3]), "labels must lie in 0 to 2, got values from 0 to 3"),
        (torch.tensor([-1, 0]), "labels must lie in 0 to 2, got values from -1 to 0"),
        (torch.tensor([0.0, 1.0]), "labels must be whole numbers, got torch.float32"),
        (torch.tensor([0]), r"labels must have shape \(2,\), got \(1,\)"),
        ([0, 1], "labels must be a tensor of whole numbers, got list"),
    ]:
        with pytest.raises(ValueError, match=message):
            gan.sample(2, bad)
        with pytest.raises(ValueError, match=message):
            gan.decode(gan.latents(2), bad)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        gan.sample(0)
    with pytest.raises(ValueError, match=r"z must have shape \(n, 4\), got \(2, 5\)"):
        gan.decode(torch.zeros(2, 5), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="at least 2 samples per batch"):
        gan.step(real[:, :1], labels[:, :1])
    assert gan.step(real, labels.int())["loss_d"].isfinite()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (8,)}, r"shape must be \(C, H, W\)"),
        ({"num_classes": 0}, "num_classes must be positive, got 0"),
        ({"latent_dim": 4.0}, "latent_dim must be a whole number, got 4.0"),
        ({"lr_d": float("nan")}, "lr_d must be positive, got nan"),
        ({"beta1": 1.0}, r"beta1 must lie in \[0, 1\), got 1.0"),
        ({"ema_decay": 1.0}, r"decay must lie in \[0, 1\)"),
    ],
)
def test_bad_settings_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        small(ProjectionGAN, **changed)


# --- training -------------------------------------------------------------------------------------


def test_projection_draws_the_digit_that_was_asked_for():
    """The bounds leave room for the spread over seeds in book/results."""
    train_set, critic, recipe = data.load("digits"), judge("digits", 8), dict(RECIPES["digits"])
    steps, batch = recipe.pop("steps"), recipe.pop("batch")
    gan = build("projection", train_set, **recipe)
    fit(gan, train_set, steps, batch=batch, precision="float32", channels_last=False, progress=False)
    samples = gan.sample(2000, generator=torch.Generator().manual_seed(0))
    shown = critic.probabilities(samples).argmax(1)
    assert (shown == common.cycled_labels(2000, 10, shown.device)).double().mean() >= 0.95
    shuffled = torch.randperm(2000) % 10
    samples = gan.sample(2000, shuffled, torch.Generator().manual_seed(0))
    assert (critic.probabilities(samples).argmax(1) == shuffled).double().mean() >= 0.95
