"""The MLP GAN: shapes, what each half of the step may touch, bad input, and what training is for."""

import copy
import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_course import data, losses, metrics, models
from gan_course.metrics import judge
from gan_course.models.gan import GAN, RECIPES
from gan_course.train import fit


@pytest.fixture
def float64() -> Iterator[None]:
    """New weights and random numbers in float64, so that two ways to compute the same agree to many digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def small(**changed) -> GAN:
    return GAN((1, 4, 4), latent_dim=3, width=8, **changed)


def real(n_critic: int = 1, batch: int = 5) -> torch.Tensor:
    return torch.rand(n_critic, batch, 1, 4, 4) * 2 - 1


def weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def test_shapes_and_ranges():
    gan = small()
    assert gan.generator(gan.latents(7)).shape == (7, 1, 4, 4)
    assert gan.discriminator(real()[0]).shape == (5,)
    samples = gan.sample(7)
    assert samples.shape == (7, 1, 4, 4) and samples.abs().max() <= 1 and not samples.requires_grad
    points = GAN((2,), latent_dim=2, width=8, batch_norm=False).sample(6)
    assert points.shape == (6, 2)


def test_step_is_algorithm_1():
    """One step equals the two updates written out by hand with torch's own losses and plain Adam."""
    gan = small(lr_g=1e-2, lr_d=2e-2)
    d, g = copy.deepcopy(gan.discriminator), copy.deepcopy(gan.generator)
    batches = real(n_critic=2)
    torch.manual_seed(1)
    logs = gan.step(batches)

    torch.manual_seed(1)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    adam_d = torch.optim.Adam(d.parameters(), 2e-2, (0.5, 0.999))
    adam_g = torch.optim.Adam(g.parameters(), 1e-2, (0.5, 0.999))
    for x in batches:
        fake = g(torch.randn(5, 3)).detach()
        loss_d = bce(d(x), torch.ones(5)) + bce(d(fake), torch.zeros(5))
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()
    loss_g = bce(d(g(torch.randn(5, 3))), torch.ones(5))
    adam_g.zero_grad()
    loss_g.backward()
    adam_g.step()

    torch.testing.assert_close(weights(gan.discriminator), weights(d), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(weights(gan.generator), weights(g), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(logs["loss_d"], loss_d.detach())
    torch.testing.assert_close(logs["loss_g"], loss_g.detach())


def test_r1_step_adds_the_penalty_at_real_samples(float64):
    """One discriminator update with gamma / 2 E |grad logit(x)|^2 written out sample by sample."""
    gan = small(r1=3.0, lr_d=2e-2)
    d, g, x = copy.deepcopy(gan.discriminator), copy.deepcopy(gan.generator), real()
    torch.manual_seed(1)
    logs = gan.step(x)

    torch.manual_seed(1)
    fake = g(torch.randn(5, 3)).detach()
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    loss_d = bce(d(x[0]), torch.ones(5)) + bce(d(fake), torch.zeros(5))
    penalty = 0.0
    for sample in x[0]:
        sample = sample[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(d(sample).squeeze(), sample, create_graph=True)
        penalty = penalty + 3.0 / 2 * (gradient**2).sum() / 5
    (loss_d + penalty).backward()
    torch.optim.Adam(d.parameters(), 2e-2, (0.5, 0.999)).step()
    torch.testing.assert_close(weights(gan.discriminator), weights(d))
    torch.testing.assert_close(logs["loss_d"], loss_d.detach())
    assert all(p.grad is None for p in gan.parameters())


def test_r1_flattens_the_discriminator_at_the_data():
    """A generator that hardly moves, and data around it: the slope at the data falls as the penalty's weight rises."""
    slopes = []
    for r1 in (0.0, 0.1, 10.0):
        torch.manual_seed(0)
        gan = GAN((2,), latent_dim=2, width=16, batch_norm=False, lr_g=1e-12, lr_d=1e-2, r1=r1)
        points = data.DataSet(torch.randn(200, 2) + 1, name="points")
        fit(gan, points, 100, batch=32, progress=False)
        x = points.images().requires_grad_()
        (gradient,) = torch.autograd.grad(gan.discriminator(x).sum(), x)
        slopes.append(gradient.norm(dim=1).mean().item())
    assert slopes[0] > 2 * slopes[1] > 4 * slopes[2]


@settings(max_examples=30, deadline=None)
@given(
    pack=st.integers(1, 4),
    groups=st.integers(1, 3),
    shape=st.sampled_from([(1, 4, 4), (3, 2, 5), (2,), (1,)]),
)
def test_packs_are_samples_side_by_side(pack, groups, shape):
    """Each sample is in one pack, whole, and neighbours in the batch are neighbours in the pack."""
    gan = GAN(shape, latent_dim=3, width=8, pack=pack, batch_norm=False)
    x = torch.randn(pack * groups, *shape)
    packs = gan.packed(x)
    assert packs.shape == (groups, pack * shape[0], *shape[1:])
    assert torch.equal(packs, torch.stack([torch.cat(list(group)) for group in x.split(pack)]))
    assert gan.discriminator(packs).shape == (groups,)


@pytest.mark.parametrize("pack", [2, 3])
def test_discriminator_judges_packs_of_one_kind(pack):
    gan = small(pack=pack, batch_norm=False)
    seen, generated, x = [], [], real(batch=6)
    gan.discriminator.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    gan.generator.register_forward_hook(lambda module, args, out: generated.append(out.detach()))
    gan.step(x)
    judged, after = seen
    assert judged.shape == (2 * 6 // pack, pack, 4, 4) and after.shape == (6 // pack, pack, 4, 4)
    assert torch.equal(judged.flatten(0, 1)[:, None], torch.cat([x[0], generated[0]]))
    assert torch.equal(after.flatten(0, 1)[:, None], generated[1])


def test_packing_shows_a_lack_of_variety_that_single_samples_hide():
    """Data are coins; fakes are coins that always fall in twins. Alone, a real one and a fake look the same."""

    def pairs(n: int, twins: bool) -> torch.Tensor:
        coins = torch.randint(2, (n, 2, 1)) * 2.0 - 1
        return (coins[:, :1].expand(n, 2, 1) if twins else coins).reshape(2 * n, 1)

    reached = {}
    for pack in (1, 2):
        torch.manual_seed(0)
        gan = GAN((1,), latent_dim=1, width=16, batch_norm=False, pack=pack)
        adam = torch.optim.Adam(gan.discriminator.parameters(), 1e-2)
        for step in range(151):
            n = 64 if step < 150 else 10_000
            logits = [gan.discriminator(gan.packed(pairs(n, twins))) for twins in (False, True)]
            loss = gan.discriminator_loss(*logits)
            adam.zero_grad()
            loss.backward()
            adam.step()
        reached[pack] = loss.item()
    # Of real pairs half are twins, of fake pairs all: the best D is 1/3 on twins and 1 on others.
    assert reached[1] == pytest.approx(2 * math.log(2), abs=0.02)
    assert reached[2] == pytest.approx(math.log(3) / 2 + math.log(3 / 2), abs=0.04)


def test_packs_need_a_batch_that_they_divide():
    with pytest.raises(ValueError, match=r"real must hold a multiple of pack \(3\) samples per batch, got 5"):
        small(pack=3).step(real())


def test_slope_of_the_generators_activations():
    """slope_g 0 gives ReLUs, and leaves the discriminator's LeakyReLUs as they are."""
    z = torch.randn(50, 3)
    for slope in (0.0, 0.2, 0.5):
        gan = small(slope_g=slope, batch_norm=False)
        first, _, activation = gan.generator.layers[:3]
        h = first(z)
        torch.testing.assert_close(activation(h), torch.where(h > 0, h, slope * h))
        h = gan.discriminator.layers[1](real()[0].flatten(1))
        torch.testing.assert_close(gan.discriminator.layers[2](h), torch.where(h > 0, h, 0.2 * h))
    with pytest.raises(ValueError, match=r"slope_g must lie in \[0, 1\), got 1.0"):
        small(slope_g=1.0)


def test_discriminator_update_leaves_the_generator_and_the_reverse():
    gan = small(lr_g=1e-30)
    before = weights(gan.generator)
    gan.step(real())
    torch.testing.assert_close(weights(gan.generator), before, rtol=0, atol=1e-20)
    gan = small(lr_d=1e-30)
    before = weights(gan.discriminator)
    gan.step(real())
    torch.testing.assert_close(weights(gan.discriminator), before, rtol=0, atol=1e-20)


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_no_gradient_is_left_behind(loss):
    gan = small(loss=loss)
    logs = gan.step(real())
    assert all(p.grad is None for p in gan.parameters())
    assert all(p.requires_grad for p in gan.discriminator.parameters())
    assert all(value.ndim == 0 and not value.requires_grad for value in logs.values())


def test_average_follows_the_formula_and_copies_buffers():
    gan = small(ema_decay=0.9)
    old = weights(gan.ema.network)
    gan.step(real())
    expected = [0.9 * a + 0.1 * b for a, b in zip(old, weights(gan.generator), strict=True)]
    torch.testing.assert_close(weights(gan.ema.network), expected)
    for mine, theirs in zip(gan.ema.network.buffers(), gan.generator.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    assert not gan.train().ema.network.training


def test_sample_depends_on_its_generator_alone():
    gan = small()
    first = gan.sample(4, generator=torch.Generator().manual_seed(3))
    state = torch.get_rng_state()
    again = gan.sample(4, generator=torch.Generator().manual_seed(3))
    assert torch.equal(first, again) and torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (28, 28)}, r"shape must be \(C, H, W\) or \(dim,\)"),
        ({"latent_dim": 0}, "latent_dim must be positive, got 0"),
        ({"shape": 28}, r"shape must be .*got 28"),
        ({"width": 8.5}, "width must be a whole number, got 8.5"),
        ({"pack": "2"}, "pack must be a whole number, got '2'"),
        ({"lr_g": "0.1"}, "lr_g must be positive, got '0.1'"),
        ({"dropout": None}, r"dropout must lie in \[0, 1\), got None"),
        ({"lr_d": -1.0}, "lr_d must be positive, got -1.0"),
        ({"lr_g": float("nan")}, "lr_g must be positive, got nan"),
        ({"pack": 0}, "pack must be positive"),
        ({"r1": -1.0}, r"r1 must lie in \[0, inf\)"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"ema_decay": 1.0}, r"decay must lie in \[0, 1\)"),
        ({"loss": "hing"}, "unknown loss 'hing'.*Did you mean 'hinge'"),
    ],
)
def test_bad_settings_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        GAN(**changed)


def test_bad_input_is_refused():
    gan = small()
    with pytest.raises(ValueError, match=r"real must have shape \(n_critic, B, 1, 4, 4\), got \(5, 1, 4, 4\)"):
        gan.step(real()[0])
    for empty in (real(n_critic=0), real(batch=0)):
        with pytest.raises(ValueError, match=r"real must have shape \(n_critic, B, 1, 4, 4\), got \("):
            gan.step(empty)
    with pytest.raises(ValueError, match="at least 2 samples per batch where there is batch norm, got 1"):
        gan.step(real(batch=1))
    assert small(batch_norm=False).step(real(batch=1))["loss_d"].isfinite()
    with pytest.raises(ValueError, match="real must be of a floating-point type, images in .* got torch.uint8"):
        gan.step(torch.zeros(1, 5, 1, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"z must have shape \(n, 3\), got \(2, 4\)"):
        gan.decode(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        gan.sample(0)
    with pytest.raises(ValueError, match="unknown family 'gam'.*Did you mean 'gan'"):
        models.family("gam")


def test_training_on_digits_makes_digits():
    """The quick experiment of the chapter, one seed; the bounds leave room for the spread in book/results."""
    train_set, test_set = data.load("digits"), data.load("digits", split="test")
    critic, recipe = judge("digits", 8), dict(RECIPES["digits"])
    gan = GAN(train_set.shape, **{k: v for k, v in recipe.items() if k != "steps"})
    fit(gan, train_set, recipe["steps"], progress=False)
    reference = test_set.images()
    samples = metrics.summarize(gan.sample(2000, generator=torch.Generator().manual_seed(0)), reference, critic)
    floor = metrics.summarize(train_set.images(), reference, critic)
    assert samples["classes"] == 10
    assert samples["confidence"] >= 0.88
    assert samples["frechet"] <= 8 * floor["frechet"]


@pytest.mark.gpu
def test_step_runs_on_a_gpu_and_agrees_with_the_cpu():
    cpu = small()
    gpu = small().cuda()
    gpu.load_state_dict(cpu.state_dict())
    z, x = torch.randn(5, 3), real()
    torch.testing.assert_close(gpu.generator(z.cuda()).cpu(), cpu.generator(z), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gpu.discriminator(x[0].cuda()).cpu(), cpu.discriminator(x[0]), rtol=1e-4, atol=1e-5)
    logs = gpu.step(x.cuda())
    assert all(value.is_cuda and value.isfinite() for value in logs.values())
    seeded = [model.latents(4, torch.Generator().manual_seed(3)) for model in (cpu, gpu)]
    assert torch.equal(seeded[0], seeded[1].cpu())
