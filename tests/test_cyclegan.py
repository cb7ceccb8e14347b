"""The image pool, the generators, the step of the paper, and translations learned without pairs."""

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, mse_loss

from gan_course.models.cyclegan import CycleGAN, ImagePool, ResNetGenerator
from tools.experiments import translation


def small(size: int = 16, **settings) -> CycleGAN:
    return CycleGAN((2, 3, size, size), **{"width": 4, "blocks": 1, **settings})


def images(batch: int = 3, size: int = 16) -> torch.Tensor:
    return torch.rand(1, batch, 2, 3, size, size) * 2 - 1


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def numbered(numbers: range) -> torch.Tensor:
    """Images of one pixel that carry a number, so that each can be followed through the pool."""
    return torch.tensor(list(numbers), dtype=torch.float32).view(-1, 1, 1, 1)


def followed(pool: ImagePool, batches: int, batch: int) -> tuple[list[int], list[int]]:
    """The numbers that went into a pool and those that came out, in order."""
    into, out = [], []
    for start in range(0, batches * batch, batch):
        into += range(start, start + batch)
        out += pool(numbered(range(start, start + batch))).flatten().int().tolist()
    return into, out


# --- the pool -------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 12))
def test_nothing_is_lost_or_doubled(size, batch, batches):
    """Whatever the sizes: until it is full, images come out as they went in; after that, what went in is either out
    (once) or in the pool (once), and the pool never holds more than its size."""
    pool = ImagePool(size, (1, 1, 1))
    into, out = followed(pool, batches, batch)
    assert out[:size] == into[:size]
    count = int(pool.count)
    assert count == min(size, len(into)) and pool.images.shape == (size, 1, 1, 1)
    stored = pool.images.flatten()[:count].int().tolist()
    # While filling, an image is both returned and stored; from then on each one that comes in pushes one out.
    assert sorted(out[size:] + stored) == sorted(into)


def test_half_of_the_images_are_old_ones_and_each_place_is_as_likely_as_any_other():
    n, size = 8_000, 50
    pool = ImagePool(size, (1, 1, 1))
    into, out = followed(pool, n // 32, 32)
    into, out = torch.tensor(into[size:]), torch.tensor(out[size:])
    old = into != out
    assert stats.binomtest(int(old.sum()), len(old)).pvalue > 1e-4
    assert (out[old] < into[old]).all()
    # The age, counted in swaps, of an image that is replaced is geometric with mean 50 only if places are uniform.
    swaps = old.cumsum(0)
    entered = {int(i): int(s) for i, s in zip(into[old], swaps[old], strict=True)}
    ages = [int(s) - entered[int(o)] for o, s in zip(out[old], swaps[old], strict=True) if int(o) in entered]
    bins = torch.tensor([0, 10, 20, 35, 50, 70, 100, 150])
    seen = torch.bucketize(torch.tensor(ages), bins).bincount(minlength=9)[1:]
    edges = torch.cat([bins.double(), torch.tensor([torch.inf], dtype=torch.float64)]).numpy()
    expected = torch.from_numpy(stats.geom(1 / size).cdf(edges)).diff() * len(ages)
    assert stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-4


def test_places_are_uniform():
    """Of many equal pools, which stored image comes back for the next one? (And in half of them: none.)"""
    size, n = 5, 1_500
    hits = torch.zeros(size + 1)
    pool = ImagePool(size, (1, 1, 1))
    pool(numbered(range(size)))
    full = copy.deepcopy(pool.state_dict())
    for _ in range(n):
        pool.load_state_dict(full)
        hits[int(pool(numbered(range(size, size + 1))))] += 1
    expected = torch.tensor([0.5 / size] * size + [0.5]) * n
    assert stats.chisquare(hits, expected).pvalue > 1e-4


def test_the_pool_survives_a_state_dict():
    pool, other = ImagePool(4, (1, 2, 2)), ImagePool(4, (1, 2, 2))
    pool(torch.randn(3, 1, 2, 2))
    other.load_state_dict(pool.state_dict())
    x = torch.randn(6, 1, 2, 2)
    torch.manual_seed(1)
    expected = pool(x)
    torch.manual_seed(1)
    assert torch.equal(other(x), expected) and torch.equal(other.images, pool.images)


def test_what_comes_out_of_the_pool_has_no_graph():
    fake = torch.randn(3, 1, 2, 2, requires_grad=True)
    for pool in (ImagePool(2, (1, 2, 2)), ImagePool(0, (1, 2, 2))):
        assert not pool(fake * 2).requires_grad
    assert torch.equal(ImagePool(0, (1, 2, 2))(fake), fake)


# --- networks -------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([(16, 16), (28, 28), (8, 12), (16, 32)]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([1, 3]),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_translations_have_the_shape_and_type_of_the_source(size, downs, blocks, channels, dtype):
    net = ResNetGenerator(channels, 2, downs, blocks, "instance").to(dtype)
    out = net(torch.randn(2, channels, *size, dtype=dtype))
    assert out.shape == (2, channels, *size) and out.dtype == dtype and out.abs().max() <= 1


def test_the_generator_is_that_of_the_paper():
    net = ResNetGenerator(3, 64, 2, 9, "instance")
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [m.out_channels for m in convolutions] == [64, 128, 256] + 18 * [256] + [128, 64, 3]
    assert [m.kernel_size[0] for m in convolutions] == [7, 3, 3] + 18 * [3] + [3, 3, 7]
    # 11.4 million parameters: 7x7 and 3x3 kernels, and the last layer's biases, counted by hand
    kernels = 49 * 3 * 64 + 9 * (64 * 128 + 128 * 256 + 18 * 256 * 256 + 256 * 128 + 128 * 64) + 49 * 64 * 3
    assert sum(p.numel() for p in net.parameters()) == kernels + 3


# --- the step -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cycle", "identity", "norm", "loss"),
    [
        (10.0, 5.0, "instance", "least-squares"),
        (3.0, 0.0, "batch", "least-squares"),
        (5.0, 0.0, "batch", "non-saturating"),
    ],
)
def test_step_is_that_of_the_paper(cycle, identity, norm, loss):
    """Two steps equal the updates written out by hand: the pool is not full, so fakes come back as they went in."""
    model = small(cycle=cycle, identity=identity, norm=norm, loss=loss, lr_g=1e-3, lr_d=2e-3).double()
    g, f = (copy.deepcopy(model.generator[way]) for way in ("ab", "ba"))
    d_a, d_b = (copy.deepcopy(model.discriminator[domain]) for domain in ("a", "b"))
    adam_g = torch.optim.Adam(itertools.chain(g.parameters(), f.parameters()), 1e-3, (0.5, 0.999))
    adam_d = torch.optim.Adam(itertools.chain(d_a.parameters(), d_b.parameters()), 2e-3, (0.5, 0.999))

    def wanted(logits, target):
        if loss == "least-squares":
            return mse_loss(logits, torch.full_like(logits, target))
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    halved = 2 if loss == "least-squares" else 1

    for _ in range(2):
        batch = images().double()
        logs = model.step(batch)
        a, b = batch[0, :, 0], batch[0, :, 1]
        fake_b, fake_a = g(a), f(b)
        loss_gan = wanted(d_b(fake_b), 1.0) + wanted(d_a(fake_a), 1.0)
        loss_cycle = l1_loss(f(fake_b), a) + l1_loss(g(fake_a), b)
        loss_g = loss_gan + cycle * loss_cycle
        if identity:
            loss_identity = l1_loss(g(b), b) + l1_loss(f(a), a)
            loss_g = loss_g + identity * loss_identity
            torch.testing.assert_close(logs["loss_identity"], loss_identity.detach())
        adam_g.zero_grad()
        loss_g.backward()
        adam_g.step()
        adam_d.zero_grad()
        loss_d_b = (wanted(d_b(b), 1.0) + wanted(d_b(fake_b.detach()), 0.0)) / halved
        loss_d_a = (wanted(d_a(a), 1.0) + wanted(d_a(fake_a.detach()), 0.0)) / halved
        (loss_d_a + loss_d_b).backward()
        adam_d.step()
        torch.testing.assert_close(logs["loss_d"], (loss_d_a + loss_d_b).detach())
        torch.testing.assert_close(logs["loss_g"], loss_g.detach())
        torch.testing.assert_close(logs["loss_gan"], loss_gan.detach())
        torch.testing.assert_close(logs["loss_cycle"], loss_cycle.detach())
        assert ("loss_identity" in logs) == bool(identity)

    for mine, theirs in ((model.generator["ab"], g), (model.generator["ba"], f)):
        torch.testing.assert_close(weights(mine), weights(theirs), rtol=1e-6, atol=1e-8)
    for mine, theirs in ((model.discriminator["a"], d_a), (model.discriminator["b"], d_b)):
        torch.testing.assert_close(weights(mine), weights(theirs), rtol=1e-6, atol=1e-8)
    assert all(p.grad is None for p in model.parameters())


def test_the_discriminators_are_shown_pooled_fakes():
    """With a pool full of one image, half of what each discriminator gets as fake is that image."""
    model = small(pool=8)
    marked = {}
    for domain, value in (("a", 0.25), ("b", -0.5)):
        model.pool[domain](torch.full((8, 3, 16, 16), value))
        passes = []
        model.discriminator[domain].register_forward_pre_hook(lambda module, args, kept=passes: kept.append(args[0]))
        marked[domain] = (value, passes)
    model.step(images(batch=6))
    for value, passes in marked.values():
        shown = passes[-1]  # the generators' pass comes first, then the real images, then the fakes
        old = [bool((x == value).all()) for x in shown]
        assert len(passes) == 3 and 1 <= sum(old) <= 5 and not shown.requires_grad


def test_noise_goes_with_what_is_translated_back_and_with_nothing_else():
    model, seen = small(noise=0.5), {}
    for way in ("ab", "ba"):
        passes = []
        model.generator[way].register_forward_hook(lambda module, args, out, kept=passes: kept.append((args[0], out)))
        seen[way] = passes
    batch = images(batch=8)
    model.step(batch)
    (first_ab, back_b), (first_ba, back_a) = seen["ab"], seen["ba"]
    assert torch.equal(first_ab[0], batch[0, :, 0]) and torch.equal(first_ba[0], batch[0, :, 1])
    for translated, returned in ((first_ab[1], back_a[0]), (first_ba[1], back_b[0])):
        noise = returned - translated
        assert 0.48 < noise.std() < 0.52 and noise.mean().abs() < 0.03


def test_translate_goes_both_ways_without_a_trace():
    model = small(norm="batch", ema_decay=0.5).train()
    model.step(images())
    x = images()[0, :, 0]
    state = torch.get_rng_state()
    for way in ("ab", "ba"):
        out = model.translate(x, way)
        assert out.shape == x.shape and not out.requires_grad
        assert torch.equal(out, model.ema.network[way](x)) and not torch.equal(out, model.generator[way](x))
        torch.testing.assert_close(out[:1], model.translate(x[:1], way))
    assert torch.equal(model.translate(x), model.translate(x, "ab"))
    assert not torch.equal(model.translate(x, "ab"), model.translate(x, "ba"))
    assert model.training and torch.equal(state, torch.get_rng_state())


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (3, 16, 16)}, r"shape must be \(2, C, H, W\)"),
        ({"shape": (2, 3, 18, 18)}, "at least 8 that are multiples of 4 for 2 downs"),
        ({"shape": (2, 3, 4, 4)}, "at least 8 that are multiples of 4 for 2 downs"),
        ({"shape": (2, 3, 3, 3), "downs": 0}, "at least 4 that are multiples of 1 for 0 downs"),
        ({"patch": 70}, "patch 70 needs images of at least 24x24"),
        ({"norm": "layer"}, "unknown norm 'layer'"),
        ({"norm": "none"}, "unknown norm of residual blocks 'none'; known: instance, batch"),
        ({"cycle": -1.0}, r"cycle must lie in \[0, inf\), got -1.0"),
        ({"noise": -0.1}, r"noise must lie in \[0, inf\), got -0.1"),
        ({"loss": "least_squares"}, "unknown loss 'least_squares'.*least-squares"),
        ({"identity": float("nan")}, r"identity must lie in \[0, inf\), got nan"),
        ({"pool": 0.5}, "pool must be a whole number, got 0.5"),
        ({"pool": -1}, r"pool must lie in \[0, inf\), got -1"),
        ({"blocks": -1}, "blocks must lie in"),
        ({"lr_d": 0.0}, "lr_d must be positive"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CycleGAN(**{"shape": (2, 3, 16, 16), "width": 2, **settings})


def test_bad_input_is_refused():
    model = small()
    with pytest.raises(ValueError, match="real must hold 1 batch per step, got 2"):
        model.step(images().repeat(2, 1, 1, 1, 1, 1))
    with pytest.raises(ValueError, match="unknown direction 'ac'; known: ab, ba"):
        model.translate(images()[0, :, 0], "ac")
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3, 16, 16\)"):
        model.translate(images(size=8)[0, :, 0])


# --- what training is for -------------------------------------------------------------------------


def run(name: str) -> dict[str, float]:
    entry = translation.ENTRIES[name]
    return entry.run(0, torch.device("cpu"), **entry.settings)


def test_with_the_cycle_loss_the_class_is_kept():
    """Unpaired digits and neon digits, one seed; the bounds leave room for the spread in book/results."""
    row = run("cyclegan_neon")
    assert row["class_kept_ab"] >= 0.88 and row["class_kept_ba"] >= 0.88
    assert row["error_ab"] <= 0.5 and row["error_ba"] <= 0.4


def test_without_it_the_class_is_lost():
    row = run("cyclegan_neon_no_cycle")
    assert row["class_kept_ab"] <= 0.3 and row["class_kept_ba"] <= 0.3
