"""Text to image: which words of a caption does a discriminator read, and which does a generator obey?

One pair of ten characters and six inks in six is never trained on: no A is black, no B is brown, and so on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_course import data, losses
from gan_course.data import DataSet, downloads, glyphs
from gan_course.metrics import judge
from gan_course.models import common, text
from gan_course.models.conditional import trunk
from gan_course.train import loop
from tools.experiments import Entry, defaults, fit
from tools.experiments.colour import commit, publish

SAID = ("character", "ink", "background")  # by every caption


class Beside(nn.Module):
    """The discriminator of Reed et al. (2016): the encoded caption is laid beside the features of every place."""

    def __init__(self, shape: tuple[int, ...], width: int, num_words: int, text_dim: int = 64):
        super().__init__()
        self.trunk, (features, height, width) = trunk(shape, width)
        self.encoder = text.CaptionEncoder(num_words, text_dim)
        self.head = nn.Sequential(
            nn.Conv2d(features + text_dim, features, 1), nn.LeakyReLU(0.2),
            nn.Flatten(), nn.Linear(features * height * width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        return self.match(self.trunk(x), words)

    def match(self, maps: Tensor, words: Tensor) -> Tensor:
        caption = self.encoder(words)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        return self.head(torch.cat([maps, caption], 1)).squeeze(1)


class BesideGAN(text.TextGAN):
    networks = (text.TextGenerator, Beside)


class UnawareGAN(text.TextGAN):
    """Without wrong captions: as :class:`gan_course.models.conditional.ProjectionGAN`, by cross-entropy."""

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        for x, words in zip(real, labels, strict=True):
            with torch.no_grad():
                fake = self.generator(self.latents(len(x)), words)
            right, fakes = self.discriminator(torch.cat([x, fake]), words.repeat(2, 1)).chunk(2)
            loss_d = losses.discriminator_cross_entropy(right, fakes)
            common.update(self.optimizer_d, loss_d)
        logits = self.discriminator(self.generator(self.latents(len(x)), words), words)
        loss_g = losses.generator_non_saturating(logits)
        common.update(self.optimizer_g, loss_g)
        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, logit_right=right, logit_fake=fakes)


VARIANTS = {"projected": text.TextGAN, "beside": BesideGAN, "projected, no wrong captions": UnawareGAN}


def held_out(factors: dict[str, Tensor]) -> Tensor:
    """Return which items (N,) have one of the ten pairs of character and ink that are never trained on."""
    return (factors["character"] + factors["ink"]) % len(glyphs.INKS) == 0


def split(size: int, device: torch.device) -> tuple[DataSet, glyphs.Glyphs, Tensor]:
    """Return the captioned training set without what is held out, the test set, and the words of its captions."""
    whole, test_set = (data.load("glyphs", size=size, split=name, device=device) for name in ("train", "test"))
    seen, captioned = ~held_out(whole.factors), whole.captioned()
    train_set = DataSet(captioned.x[seen], captioned.labels[seen], name=captioned.name, classes=captioned.classes)
    return train_set, test_set, test_set.captioned().labels


def changed(words: Tensor, factor: str, generator: torch.Generator | None = None) -> Tensor:
    """Return the captions ``(B, L)`` with another word, drawn at random, for one factor of :data:`SAID`."""
    values = list(glyphs.CHARACTERS) if factor == "character" else glyphs.VALUES[factor]
    numbers = torch.tensor([glyphs.VOCABULARY.index(value) for value in values], device=words.device)
    where = (words[:, :, None] == numbers).any(2)  # exactly one word of each caption
    now = (words[where][:, None] == numbers).int().argmax(1)
    shift = torch.randint(1, len(numbers), now.shape, generator=generator).to(words.device)
    return torch.where(where, numbers[(now + shift) % len(numbers)][:, None], words)


def one_word_wrong(words: Tensor) -> Tensor:
    """Return the captions ``(B, L)`` with one wrong word: the character, the ink or the background, equally often."""
    which = torch.randint(len(SAID), (len(words), 1)).to(words.device)
    wrong = words
    for i, factor in enumerate(SAID):
        wrong = torch.where(which == i, changed(words, factor), wrong)
    return wrong


@torch.no_grad()
def read(discriminator: nn.Module, images: Tensor, words: Tensor) -> dict[str, float]:
    """Return how often an image's own caption gets a higher logit than one with one word changed; chance is 1/2."""
    generator = torch.Generator().manual_seed(0)
    maps = discriminator.trunk(images)
    right = discriminator.match(maps, words)
    wrong = {factor: discriminator.match(maps, changed(words, factor, generator)) for factor in SAID}
    return {f"read_{factor}": (right > logits).double().mean().item() for factor, logits in wrong.items()}


def obeyed(images: Tensor, factors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return for each of :data:`SAID`, and for all of them, which images (N,) show what ``factors`` say.

    The judge reads 32 pixels. Smaller images are enlarged by repeating pixels: so enlarged it reads .987 of real
    ones of 16 pixels, and .963 by bilinear interpolation.
    """
    large = images if images.shape[-1] == 32 else interpolate(images, (32, 32), mode="nearest")
    shown = {"character": judge("glyphs", 32, images.device).probabilities(large.clamp(-1, 1)).argmax(1)}
    shown |= glyphs.measured_colors(images)
    right = {factor: shown[factor] == factors[factor] for factor in SAID}
    return {**right, "all": right["character"] & right["ink"] & right["background"]}


def captions(
    seed: int, device: torch.device, *,
    variant: str, size: int, steps: int, batch: int, decay_from: int, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train on captioned glyphs; share of 2,000 test captions that are obeyed, seen pairs and held-out ones apart."""
    train_set, test_set, words = split(size, device)
    torch.manual_seed(seed)
    gan = VARIANTS[variant](train_set.shape, len(train_set.classes), **model).to(device)
    fit(gan, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)

    def shares(images: Tensor, suffix: str = "") -> dict[str, float]:
        return _shares(obeyed(images, test_set.factors), held_out(test_set.factors), suffix)

    seeded = torch.Generator().manual_seed(seed)
    drawn, others = (gan.sample(len(w), w, seeded) for w in (words, words.roll(1, 0)))
    return {
        **shares(drawn), **read(gan.discriminator, test_set.images(), words),
        **shares(others, "_other_captions"), **shares(test_set.images(), "_real"),
    }  # fmt: skip


def captions_long(
    seed: int, device: torch.device, *,
    name: str, size: int, steps: int, batch: int, decay_from: int, precision: str, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """As :func:`captions`, but for a long time; the generator of seed 0 is kept for readers."""
    train_set, test_set, words = split(size, device)
    torch.manual_seed(seed)
    gan = text.TextGAN(train_set.shape, len(train_set.classes), **model).to(device)
    history = loop.fit(
        gan, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, precision=precision, channels_last=True,
        checkpoint_seconds=120, progress=False, out=downloads.cache_root() / "runs" / f"{name}_{seed}",
    )  # fmt: skip
    images = gan.sample(len(words), words, torch.Generator().manual_seed(seed))
    row = _shares(obeyed(images, test_set.factors), held_out(test_set.factors))
    row |= {"training_seconds": history["seconds"][-1], "commit": commit()}
    if seed == 0:
        sample = gan.sample(64, words[:64], torch.Generator().manual_seed(0))
        row |= {"words": words[:64].tolist(), **publish(gan, name, sample)}
    return row


def _shares(right: dict[str, Tensor], new: Tensor, suffix: str = "") -> dict[str, float]:
    """Return what share is ``right``, of the seen pairs and of those that are ``new``, apart."""
    return {
        f"{name}{which}{suffix}": ok[part].double().mean().item()
        for name, ok in right.items()
        for which, part in (("", ~new), ("_held_out", new))
    }


def reading(seed: int, device: torch.device, *, size: int, steps: int, batch: int, width: int, lr: float) -> dict:
    """Train discriminators to tell right captions of real images from wrong ones, without a generator; share read."""
    train_set, test_set, words = split(size, device)
    rows = {}
    for name, network in (("projected", text.TextDiscriminator), ("beside", Beside)):
        for wrong in ("other", "one_word"):
            torch.manual_seed(seed)
            d = network(train_set.shape, width, len(train_set.classes)).to(device)
            adam = common.adam(d, lr, 0.5, 0.999)
            for step in range(steps):
                x, right = train_set.take(seed, step * batch, batch)
                mismatched = right.roll(1, 0) if wrong == "other" else one_word_wrong(right)
                logits = d.match(d.trunk(x).repeat(2, 1, 1, 1), torch.cat([right, mismatched]))
                common.update(adam, losses.discriminator_cross_entropy(*logits.chunk(2)))
            found = read(d, test_set.images(), words)
            rows |= {f"{key}_{name}_{wrong}": value for key, value in found.items()}
    return dict(sorted(rows.items(), key=lambda row: "character" not in row[0]))  # stable: the characters first


def _settings(variant: str) -> dict[str, Any]:
    return {"variant": variant, **defaults(text.TextGAN, "num_classes"), **text.RECIPES["glyphs"], "decay_from": 1_500}


_LONG = {
    **defaults(text.TextGAN, "num_classes"), **text.RECIPES["glyphs"], "name": "captions_glyphs", "size": 32,
    "lr_g": 2e-3, "lr_d": 1e-3, "steps": 10_000, "decay_from": 5_000, "precision": "bf16",
}  # fmt: skip

ENTRIES = {
    "text_glyphs": Entry(captions, _settings("projected"), range(5)),
    "text_glyphs_beside": Entry(captions, _settings("beside"), range(3)),
    "text_glyphs_unaware": Entry(captions, _settings("projected, no wrong captions"), range(3)),
    "text_reading": Entry(reading, {"size": 16, "steps": 600, "batch": 64, "width": 16, "lr": 2e-3}, range(5)),
    "captions_glyphs": Entry(captions_long, _LONG, range(1)),
}
