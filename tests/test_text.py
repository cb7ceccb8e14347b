"""The text condition: the encoder against torch's own layer, Algorithm 1 by hand, what is sampled without captions."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_course import data
from gan_course.data import glyphs
from gan_course.models import build
from gan_course.models.text import EXAMPLES, CaptionEncoder, TextDiscriminator, TextGAN
from gan_course.train import fit


def small(**changed) -> TextGAN:
    return TextGAN(**{"shape": (3, 8, 8), "num_classes": 9, "max_words": 6, "latent_dim": 4, "width": 4, **changed})


def batches(n_critic: int = 1, b: int = 5, length: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(n_critic, b, 3, 8, 8) * 2 - 1, torch.randint(1, 9, (n_critic, b, length))


def weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


# --- the encoder ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 6), max_size=5), min_size=1, max_size=4), st.integers(5, 8))
def test_encoder_is_a_mean_without_padding(captions, length):
    """The same as torch's EmbeddingBag on the words alone, however much padding follows."""
    encoder = CaptionEncoder(7, 3).double()
    words = torch.tensor([caption + [0] * (length - len(caption)) for caption in captions])
    bag = torch.nn.EmbeddingBag.from_pretrained(encoder.embed.weight.detach(), mode="mean")
    offsets = torch.tensor([0] + [len(caption) for caption in captions]).cumsum(0)[:-1]
    means = bag(torch.tensor([word for caption in captions for word in caption], dtype=torch.long), offsets)
    torch.testing.assert_close(encoder(words), encoder.out(means))


def test_padding_is_never_trained():
    gan = small()
    real, _ = batches()
    words = torch.tensor([[[3, 0, 0], [0, 0, 0], [2, 1, 0], [5, 6, 7], [8, 4, 0]]])
    for _ in range(2):
        assert all(value.isfinite() for value in gan.step(real, words).values())
    for rows in (gan.generator.encoder.embed.weight, gan.discriminator.embed.weight):
        assert (rows[0] == 0).all() and (rows[1:] != 0).any(1).all()


# --- the discriminator ----------------------------------------------------------------------------


def test_each_word_is_a_direction():
    """The logit word by word, from the features; neither order nor padding matters."""
    d = small().discriminator.double()
    x, words = torch.rand(2, 3, 8, 8).double() * 2 - 1, torch.tensor([[3, 1, 0], [8, 0, 0]])
    phi = d.trunk(x).reshape(2, -1)
    parts = [torch.dot(d.embed.weight[word], phi[i]) for i, word in ((0, 3), (0, 1), (1, 8))]
    real = phi @ d.psi.weight[0] + d.psi.bias
    torch.testing.assert_close(d(x, words), real + torch.stack([parts[0] + parts[1], parts[2]]))
    torch.testing.assert_close(d(x, torch.tensor([[0, 1, 3, 0], [0, 0, 8, 0]])), d(x, words))


def test_a_combination_has_no_weight_of_its_own():
    """What is read in "red A" and "blue B" is read in "red B" and "blue A"."""
    d = small().discriminator.double()
    x = torch.rand(5, 3, 8, 8).double()
    red_a, blue_b, red_b, blue_a = (
        d(x, torch.tensor([[ink, character, 7]]).expand(5, -1)) for ink, character in ((1, 3), (2, 4), (1, 4), (2, 3))
    )
    torch.testing.assert_close(red_a + blue_b, red_b + blue_a)
    assert ((red_a - red_b).abs() > 1e-6).all()


def test_characters_are_read():
    """Shapes that move, in several fonts: 200 updates by real images alone, with their captions and with others'."""
    train_set, test_set = glyphs.make(4_000, seed=0, size=16), glyphs.make(500, seed=1, size=16)
    captioned, right = train_set.captioned(), test_set.captioned().labels
    torch.manual_seed(0)
    d = TextDiscriminator(train_set.shape, 16, len(captioned.classes))
    adam = torch.optim.Adam(d.parameters(), 2e-3, (0.5, 0.999))
    for step in range(200):
        x, words = captioned.take(0, step * 64, 64)
        logits = d(torch.cat([x, x]), torch.cat([words, words.roll(1, 0)]))
        loss = bce(logits, torch.cat([torch.ones(64), torch.zeros(64)]))
        adam.zero_grad()
        loss.backward()
        adam.step()
    characters = [glyphs.VOCABULARY.index(character) for character in glyphs.CHARACTERS]
    of_character = torch.isin(right, torch.tensor(characters))
    others = torch.tensor(characters)[(test_set.labels + 1 + torch.arange(500) % 9) % 10]
    wrong = torch.where(of_character, others[:, None], right)
    with torch.no_grad():
        better = d(test_set.images(), right) > d(test_set.images(), wrong)
    assert better.double().mean() >= 0.75  # .85 over three seeds; with the caption beside the features .54


# --- the step -------------------------------------------------------------------------------------


def test_step_is_algorithm_1():
    """Both updates with torch's own losses and plain Adam: right, wrong and fake pairs, the last two halved."""
    gan = small(lr_g=1e-2, lr_d=2e-2)
    d, g = copy.deepcopy(gan.discriminator), copy.deepcopy(gan.generator)
    real, captions = batches(n_critic=2)
    torch.manual_seed(1)
    logs = gan.step(real, captions)

    torch.manual_seed(1)
    adam_d = torch.optim.Adam(d.parameters(), 2e-2, (0.5, 0.999))
    adam_g = torch.optim.Adam(g.parameters(), 1e-2, (0.5, 0.999))
    one, zero = torch.ones(5), torch.zeros(5)
    for x, h in zip(real, captions, strict=True):
        fake = g(torch.randn(5, 4), h).detach()
        wrong = torch.stack([h[4], h[0], h[1], h[2], h[3]])
        s_r, s_w, s_f = d(x, h), d(x, wrong), d(fake, h)
        loss_d = bce(s_r, one) + (bce(s_w, zero) + bce(s_f, zero)) / 2
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()
    loss_g = bce(d(g(torch.randn(5, 4), h), h), one)
    adam_g.zero_grad()
    loss_g.backward()
    adam_g.step()

    torch.testing.assert_close(weights(gan.discriminator), weights(d), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(weights(gan.generator), weights(g), rtol=1e-3, atol=1e-5)
    expected = {"loss_d": loss_d, "loss_g": loss_g}
    expected |= {"logit_right": s_r.mean(), "logit_wrong": s_w.mean(), "logit_fake": s_f.mean()}
    assert logs.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(logs[name], value.detach(), rtol=1e-4, atol=1e-5)


def test_both_networks_read_the_caption():
    gan = small(ema_decay=0.0)
    gan.step(*batches())
    z, x = gan.latents(5), torch.rand(5, 3, 8, 8)
    one, other = torch.tensor([[1, 2]]).expand(5, 2), torch.tensor([[1, 3]]).expand(5, 2)
    assert (gan.decode(z, one) != gan.decode(z, other)).flatten(1).any(1).all()
    assert (gan.discriminator(x, one) != gan.discriminator(x, other)).all()
    mixed = torch.stack([one[0], other[0], one[0], one[0], other[0]])
    picked = torch.where(
        torch.tensor([True, False, True, True, False]), *(gan.discriminator(x, w) for w in (one, other))
    )
    torch.testing.assert_close(gan.discriminator(x, mixed), picked)


# --- samples --------------------------------------------------------------------------------------


def test_samples_without_captions_use_those_of_the_first_batch():
    gan = small()
    seeded = lambda: torch.Generator().manual_seed(3)  # noqa: E731
    empty = gan.sample(3, generator=seeded())
    assert torch.equal(empty, gan.sample(3, torch.zeros(3, 1, dtype=torch.long), seeded())), "empty before training"
    real, captions = batches(n_critic=2)
    gan.step(real, captions)
    first = captions[0]
    for _ in range(2):
        gan.step(*batches())
        assert gan.examples.shape == (EXAMPLES, 6) and (gan.examples[:, 4:] == 0).all()
        assert torch.equal(gan.examples[:, :4], first.repeat(EXAMPLES, 1)[:EXAMPLES]), "the first ones, in turn"
    samples = gan.sample(EXAMPLES + 2, generator=seeded())
    cycled = torch.cat([first.repeat(EXAMPLES, 1)[:EXAMPLES], first[:2]])
    torch.testing.assert_close(samples, gan.sample(EXAMPLES + 2, cycled, seeded()))
    again = small()
    again.load_state_dict(gan.state_dict())
    assert torch.equal(samples, again.sample(EXAMPLES + 2, generator=seeded())), "checkpoints hold them"


def test_bad_captions_are_refused():
    gan = small()
    real, captions = batches()
    for bad, message in [
        (None, "labels must be given, whole numbers from 0 to 8, got None"),
        (captions.float(), "labels must be whole numbers, got torch.float32"),
        (captions + 8, "labels must lie in 0 to 8, got values from 9 to"),
        (captions[0], r"labels must have shape \(1, 5, 4\), got \(5, 4\)"),
        (torch.tensor(1), r"labels must have shape \(1, 5, 1\), got \(\)"),
        (torch.ones(1, 5, 7, dtype=torch.long), "labels must hold 1 to 6 words per caption, got 7"),
        (captions[..., :0], "labels must hold 1 to 6 words per caption, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            gan.step(real, bad)
    with pytest.raises(ValueError, match=r"labels must have shape \(2, 4\), got \(5, 4\)"):
        gan.sample(2, captions[0])
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        gan.sample(0)
    with pytest.raises(ValueError, match="text_dim must be positive, got 0"):
        small(text_dim=0)
    with pytest.raises(ValueError, match="max_words must be a whole number, got 6.0"):
        small(max_words=6.0)
    with pytest.raises(ValueError, match=r"z must have shape \(n, 4\), got \(5, 3\)"):
        gan.decode(torch.zeros(5, 3), captions[0])
    with pytest.raises(ValueError, match="labels must be a tensor of whole numbers, got list"):
        gan.sample(2, [[1, 2], [2, 1]])
    assert gan.sample(5, captions[0].int()).shape == (5, 3, 8, 8)


# --- training -------------------------------------------------------------------------------------


def test_captions_are_obeyed():
    """Plain images, with captions that name the tone of the upper and of the lower half in either order."""
    tones = torch.randint(0, 2, (500, 2), generator=torch.Generator().manual_seed(0))
    x = (tones * 155 + 50).to(torch.uint8).repeat_interleave(4, 1)[:, None, :, None].expand(-1, 3, -1, 8)
    words = torch.stack([1 + tones[:, 0], 3 + tones[:, 1]], 1)
    words[::2] = words[::2].flip(1)
    halves = data.DataSet(
        x, words, name="halves", classes=["<pad>", "dark above", "light above", "dark below", "light below"]
    )
    gan = build("text", halves, width=8, lr_g=5e-3, lr_d=5e-3)
    fit(gan, halves, 300, batch=32, precision="float32", channels_last=False, progress=False)
    shown = gan.sample(500, halves.labels, torch.Generator().manual_seed(0)).unflatten(2, (2, 4)).mean((1, 3, 4)) > 0
    assert (shown == tones.bool()).double().mean() >= 0.95
