"""The MLP GAN: shapes, what each half of the step may touch, bad input, and what training is for."""

import copy

import pytest
import torch

from gan_course import data, losses, metrics, models
from gan_course.features import judge
from gan_course.models.gan import GAN, RECIPES
from gan_course.train import fit


def small(**settings) -> GAN:
    return GAN((1, 4, 4), latent_dim=3, width=8, **settings)


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
    ("settings", "message"),
    [
        ({"shape": (28, 28)}, r"shape must be \(C, H, W\) or \(dim,\)"),
        ({"latent_dim": 0}, "latent_dim must be positive, got 0"),
        ({"lr_d": -1.0}, "lr_d must be positive, got -1.0"),
        ({"lr_g": float("nan")}, "lr_g must be positive, got nan"),
        ({"pack": 0}, "pack must be positive"),
        ({"r1": -1.0}, r"r1 must lie in \[0, inf\)"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"ema_decay": 1.0}, r"decay must lie in \[0, 1\)"),
        ({"loss": "hing"}, "unknown loss 'hing'.*Did you mean 'hinge'"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GAN(**settings)


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
    seeded = [model.sample(4, generator=torch.Generator().manual_seed(3)).shape for model in (cpu, gpu)]
    assert seeded[0] == seeded[1]
