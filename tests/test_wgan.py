"""The Wasserstein GANs: their steps against the algorithms written by hand, clipping, the penalty, and training."""

import copy
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gan_course import data, metrics, models
from gan_course.metrics import judge
from gan_course.models.wgan import WGAN, WGANGP
from gan_course.train import fit

both = pytest.mark.parametrize("family", [WGAN, WGANGP])


@pytest.fixture
def float64() -> Iterator[None]:
    """New weights and random numbers in float64, so that two ways to compute the same agree to many digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def small(family: type[nn.Module], **changed) -> nn.Module:
    return family(**{"shape": (1, 4, 4), "latent_dim": 3, "width": 8, "n_critic": 3, **changed})


def real(n_critic: int = 3, batch: int = 5, shape: tuple[int, ...] = (1, 4, 4)) -> Tensor:
    return torch.rand(n_critic, batch, *shape) * 2 - 1


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def moved(before: list[Tensor], module: nn.Module) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def test_wgan_step_is_algorithm_1_of_arjovsky(float64):
    """Lines 2 to 11 written out: RMSProp up the difference of means, clip, and RMSProp for the generator."""
    model = small(WGAN, lr_g=1e-2, lr_d=2e-2, clip=0.05)
    f, g = copy.deepcopy(model.critic), copy.deepcopy(model.generator)
    batches = real()
    torch.manual_seed(1)
    logs = model.step(batches)

    torch.manual_seed(1)
    rms_f, rms_g = torch.optim.RMSprop(f.parameters(), 2e-2), torch.optim.RMSprop(g.parameters(), 1e-2)
    for x in batches:
        fake = g(torch.randn(5, 3)).detach()
        distance = f(x).mean() - f(fake).mean()
        descend(rms_f, -distance)
        for p in f.parameters():
            p.data = p.data.clamp(-0.05, 0.05)
    loss_g = -f(g(torch.randn(5, 3))).mean()
    descend(rms_g, loss_g)

    torch.testing.assert_close(weights(model.critic), weights(f))
    torch.testing.assert_close(weights(model.generator), weights(g))
    torch.testing.assert_close(logs["wasserstein"], distance.detach())
    torch.testing.assert_close(logs["loss_d"], -distance.detach())
    torch.testing.assert_close(logs["loss_g"], loss_g.detach())


@pytest.mark.parametrize("one_sided", [False, True])
def test_wgan_gp_step_is_algorithm_1_of_gulrajani(float64, one_sided):
    """Lines 2 to 12 written out, sample by sample, with a plain square root."""
    model = small(WGANGP, lr_g=1e-2, lr_d=2e-2, one_sided=one_sided, penalty=7.0)
    f, g = copy.deepcopy(model.critic), copy.deepcopy(model.generator)
    with torch.no_grad():  # slopes on both sides of 1, where the two penalties differ
        for module in (f, model.critic):
            module.layers[-1].weight.mul_(10)
    batches = real()
    torch.manual_seed(1)
    logs = model.step(batches)

    torch.manual_seed(1)
    adam_f, adam_g = (torch.optim.Adam(n.parameters(), lr, (0.0, 0.9)) for n, lr in ((f, 2e-2), (g, 1e-2)))
    slopes = []
    for x in batches:
        fake = g(torch.randn(5, 3)).detach()
        epsilon = torch.rand(5)
        loss, penalties = 0.0, 0.0
        for i in range(5):
            between = (epsilon[i] * x[i] + (1 - epsilon[i]) * fake[i])[None].requires_grad_()
            (gradient,) = torch.autograd.grad(f(between).sum(), between, create_graph=True)
            slope = (gradient**2).sum().sqrt()
            excess = slope - 1 if not one_sided or slope > 1 else torch.zeros(())
            slopes.append(slope.item())
            penalties = penalties + excess**2 / 5
            loss = loss + (f(fake[i][None]) - f(x[i][None])).squeeze() / 5
        descend(adam_f, loss + 7 * penalties)
    loss_g = -f(g(torch.randn(5, 3))).mean()
    descend(adam_g, loss_g)

    assert min(slopes) < 1 < max(slopes), "the test says nothing about the sides"
    torch.testing.assert_close(weights(model.critic), weights(f))
    torch.testing.assert_close(weights(model.generator), weights(g))
    torch.testing.assert_close(logs["wasserstein"], -loss.detach())
    torch.testing.assert_close(logs["penalty"], penalties.detach())
    torch.testing.assert_close(logs["loss_d"], (loss + 7 * penalties).detach())
    torch.testing.assert_close(logs["loss_g"], loss_g.detach())


@both
def test_each_critic_update_sees_a_new_batch_and_new_fakes(family):
    model = small(family)
    seen, generated = [], []
    model.critic.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach().clone()))
    model.generator.register_forward_hook(lambda module, args, out: generated.append(out.detach().clone()))
    batches = real()
    model.step(batches)

    assert len(generated) == 4, "one set of fakes for each critic update and one for the generator"
    assert all(not torch.equal(a, b) for i, a in enumerate(generated) for b in generated[:i])
    pairs = [torch.cat([x, fake]) for x, fake in zip(batches, generated[:3], strict=True)]
    judged = [x for x in seen if len(x) == 10]
    assert len(judged) == 3 and all(torch.equal(a, b) for a, b in zip(judged, pairs, strict=True))
    assert torch.equal(seen[-1], generated[-1]), "the generator's update judges its own fakes alone"
    between = [x for x in seen[:-1] if len(x) == 5]
    assert len(between) == (3 if family is WGANGP else 0)
    for x, batch, fake in zip(between, batches, generated, strict=False):
        assert ((x >= torch.minimum(batch, fake) - 1e-6) & (x <= torch.maximum(batch, fake) + 1e-6)).all()


@both
@pytest.mark.parametrize("n_critic", [1, 2, 5])
def test_n_critic_comes_from_the_settings(family, n_critic):
    """`fit` draws n_critic batches for a step; Adam and RMSProp count their updates."""
    model = small(family, n_critic=n_critic, batch_norm=False, shape=(2,))
    fit(model, data.DataSet(torch.randn(40, 2), name="points"), 3, batch=4, progress=False)
    counts = [{int(s["step"]) for s in o.state.values()} for o in (model.optimizer_d, model.optimizer_g)]
    assert counts == [{3 * n_critic}, {3}]


def test_defaults_are_those_of_the_algorithms():
    """As printed at the head of the two algorithms."""
    clipped, penalised = WGAN().settings, WGANGP().settings
    expected = {"n_critic": 5, "clip": 0.01, "lr_g": 5e-5, "lr_d": 5e-5}
    assert clipped | expected == clipped
    expected = {"n_critic": 5, "penalty": 10.0, "lr_g": 1e-4, "lr_d": 1e-4, "beta1": 0.0, "beta2": 0.9}
    assert penalised | expected == penalised
    assert isinstance(WGAN().optimizer_d, torch.optim.RMSprop) and isinstance(WGAN().optimizer_g, torch.optim.RMSprop)
    assert WGANGP().optimizer_d.defaults["betas"] == WGANGP().optimizer_g.defaults["betas"] == (0.0, 0.9)


@settings(max_examples=25, deadline=None)
@given(clip=st.floats(1e-3, 0.5), lr=st.floats(1e-4, 1.0), n_critic=st.integers(1, 3))
def test_weights_are_within_the_bound_after_every_update(clip, lr, n_critic):
    """Whenever the critic is used after its first update, also by the generator: clipping comes after the step."""
    model = small(WGAN, clip=clip, lr_d=lr, n_critic=n_critic, width=4)
    with torch.no_grad():
        for p in model.critic.parameters():
            p.mul_(10)
    largest = []
    model.critic.register_forward_pre_hook(
        lambda module, args: largest.append(max(p.abs().max().item() for p in module.parameters()))
    )
    model.step(real(n_critic))
    assert largest[0] > 0.5, "the first pass comes before any clipping"
    assert len(largest) == n_critic + 1
    assert all(value <= clip * (1 + 1e-6) for value in largest[1:])
    assert max(p.abs().max().item() for p in model.critic.parameters()) <= clip * (1 + 1e-6)


def test_only_the_critic_is_clipped():
    model = small(WGAN, clip=1e-3)
    model.step(real())
    assert max(p.abs().max().item() for p in model.generator.parameters()) > 0.1
    assert max(p.abs().max().item() for p in model.critic.parameters()) == pytest.approx(1e-3)


def test_penalty_of_weight_0_leaves_the_critic_unconstrained(float64):
    """It is then the clipped algorithm with Adam and without bounds: whatever epsilon is drawn."""
    model = small(WGANGP, penalty=0.0, lr_d=1e-2, n_critic=1)
    f, g, batch = copy.deepcopy(model.critic), copy.deepcopy(model.generator), real(1)
    torch.manual_seed(1)
    model.step(batch)
    torch.manual_seed(1)
    fake = g(torch.randn(5, 3)).detach()
    descend(torch.optim.Adam(f.parameters(), 1e-2, (0.0, 0.9)), f(fake).mean() - f(batch[0]).mean())
    torch.testing.assert_close(weights(model.critic), weights(f))


def test_penalty_holds_the_slope_near_1_and_its_absence_does_not():
    """Data and fakes are points at 3 and 0 that hardly move: the best critic has slope 1 + 3 / (2 penalty) between.

    On a segment of length L with slope s, the loss is -L s + penalty (s - 1)^2.
    """
    points = torch.full((200, 2), 0.0)
    points[:, 0] = 3.0
    found = {}
    for penalty in (0.0, 10.0):
        torch.manual_seed(0)
        model = WGANGP(
            (2,), latent_dim=2, width=16, batch_norm=False, n_critic=5, penalty=penalty, lr_d=5e-3, lr_g=1e-12
        )
        with torch.no_grad():  # a generator that draws (0, 0) only
            model.generator.layers[-2].weight.zero_()
            model.generator.layers[-2].bias.zero_()
        history = fit(model, data.DataSet(points, name="point"), 80, batch=8, progress=False)
        found[penalty] = history["wasserstein"][-1]
    assert found[10.0] == pytest.approx(3 * (1 + 3 / 20), rel=0.05)
    assert found[0.0] > 10 * found[10.0]


@both
def test_no_gradient_is_left_behind(family):
    model = small(family)
    logs = model.step(real())
    assert all(p.grad is None for p in model.parameters())
    assert all(p.requires_grad for p in model.critic.parameters())
    assert all(value.ndim == 0 and not value.requires_grad and value.isfinite() for value in logs.values())


@both
def test_each_half_of_the_step_moves_its_own_network(family):
    model = small(family, lr_g=1e-30)
    critic, generator = weights(model.critic), weights(model.generator)
    model.step(real())
    assert moved(critic, model.critic)
    torch.testing.assert_close(weights(model.generator), generator, rtol=0, atol=1e-20)
    model = small(family, lr_d=1e-30, **({"clip": 9.0} if family is WGAN else {}))
    critic, generator = weights(model.critic), weights(model.generator)
    model.step(real())
    assert moved(generator, model.generator)
    torch.testing.assert_close(weights(model.critic), critic, rtol=0, atol=1e-20)


@both
def test_score_of_a_sample_depends_on_that_sample_alone(family):
    x = real(1, 6, (1, 16, 16))[0]
    for networks in ("mlp", "conv"):
        model = family((1, 16, 16), latent_dim=3, width=4, networks=networks)
        alone = torch.cat([model.critic(one[None]) for one in x])
        torch.testing.assert_close(model.critic(x), alone, rtol=1e-4, atol=1e-5)


@both
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 32)])
def test_convolutional_networks(family, shape):
    model = family(shape, latent_dim=3, width=4, networks="conv", n_critic=2)
    before = weights(model)
    logs = model.step(real(2, 3, shape))
    assert all(value.isfinite() for value in logs.values()) and moved(before, model)
    assert any(isinstance(m, nn.ConvTranspose2d) for m in model.generator.modules())
    assert any(isinstance(m, nn.Conv2d) for m in model.critic.modules())
    samples = model.sample(4)
    assert samples.shape == (4, *shape) and samples.abs().max() <= 1 and not samples.requires_grad
    assert family(**model.settings).settings == model.settings


@both
@settings(max_examples=20, deadline=None)
@given(
    shape=st.one_of(
        st.tuples(st.integers(1, 5)), st.tuples(st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6))
    ),
    batch=st.integers(2, 6),
    n_critic=st.integers(1, 3),
    batch_norm=st.booleans(),
    double=st.booleans(),
)
def test_any_shape_and_both_precisions(family, shape, batch, n_critic, batch_norm, double):
    dtype = torch.float64 if double else torch.float32
    model = family(shape, latent_dim=2, width=4, n_critic=n_critic, batch_norm=batch_norm).to(dtype)
    logs = model.step(real(n_critic, batch, shape).to(dtype))
    assert all(value.isfinite() and value.dtype == dtype for value in logs.values())
    assert model.generator(torch.randn(3, 2, dtype=dtype)).shape == (3, *shape)
    samples = model.decode(torch.randn(3, 2, dtype=dtype))
    assert samples.shape == (3, *shape) and samples.dtype == dtype


@both
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": (28, 28)}, r"shape must be \(C, H, W\) or \(dim,\)"),
        ({"latent_dim": 0}, "latent_dim must be positive, got 0"),
        ({"width": -1}, "width must be positive, got -1"),
        ({"n_critic": 0}, "n_critic must be positive, got 0"),
        ({"n_critic": 2.5}, "n_critic must be a whole number, got 2.5"),
        ({"lr_g": -1.0}, "lr_g must be positive, got -1.0"),
        ({"lr_d": float("nan")}, "lr_d must be positive, got nan"),
        ({"slope_g": 1.0}, r"slope_g must lie in \[0, 1\), got 1.0"),
        ({"ema_decay": 1.0}, r"decay must lie in \[0, 1\), got 1.0"),
        ({"networks": "cnov"}, "unknown networks 'cnov'; known: mlp, conv. Did you mean 'conv'"),
        ({"networks": "conv", "slope_g": 0.2}, "must be True and 0 for networks 'conv', got True and 0.2"),
        ({"networks": "conv", "batch_norm": False}, "must be True and 0 for networks 'conv', got False and 0"),
        ({"networks": "conv", "shape": (1, 9, 9)}, r"shape must be .*got \(1, 9, 9\)"),
        ({"networks": "conv", "shape": (2,)}, r"shape must be .*got \(2,\)"),
    ],
)
def test_bad_settings_are_refused(family, changed, message):
    with pytest.raises(ValueError, match=message):
        family(**changed)


@pytest.mark.parametrize(
    ("family", "changed", "message"),
    [
        (WGAN, {"clip": 0.0}, "clip must be positive, got 0.0"),
        (WGANGP, {"penalty": -1.0}, r"penalty must lie in \[0, inf\), got -1.0"),
        (WGANGP, {"beta1": 1.0}, r"beta1 must lie in \[0, 1\), got 1.0"),
        (WGANGP, {"beta2": -0.1}, r"beta2 must lie in \[0, 1\), got -0.1"),
    ],
)
def test_bad_settings_of_one_family_are_refused(family, changed, message):
    with pytest.raises(ValueError, match=message):
        family(**changed)


@both
def test_bad_input_is_refused(family):
    with pytest.raises(ValueError, match="at least 2 samples per batch where there is batch norm, got 1"):
        small(family).step(real(batch=1))
    assert small(family, batch_norm=False).step(real(batch=1))["loss_d"].isfinite()
    with pytest.raises(ValueError, match=r"real must have shape \(n_critic, B, 1, 4, 4\), got \(5, 1, 4, 4\)"):
        small(family).step(real()[0])
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        small(family).sample(0)


def test_latents_come_from_the_given_generator():
    model = small(WGANGP)
    state = torch.get_rng_state()
    z = model.latents(4, torch.Generator().manual_seed(3))
    assert torch.equal(z, torch.randn(4, 3, generator=torch.Generator().manual_seed(3)))
    assert torch.equal(model.sample(4, generator=torch.Generator().manual_seed(3)), model.decode(z))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("name", "frechet"), [("wgan", 30.0), ("wgan-gp", 20.0)])
def test_training_on_digits_makes_digits(name, frechet):
    """One seed of the tables in book/results; the bounds leave room for their spread."""
    train_set, test_set = data.load("digits"), data.load("digits", split="test")
    recipe = models.recipe(name, "digits")
    steps = recipe.pop("steps")
    model = models.build(name, train_set, **recipe)
    fit(model, train_set, steps, progress=False)
    samples = model.sample(2_000, generator=torch.Generator().manual_seed(0))
    measured = metrics.summarize(samples, test_set.images(), judge("digits", 8))
    assert measured["classes"] == 10
    assert measured["confidence"] >= 0.88
    assert measured["frechet"] <= frechet
