"""What the use of the label does: where classes overlap, where some are rare, and where it is misused."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, softplus

from gan_course import data, metrics
from gan_course.data import glyphs
from gan_course.layers import advance_spectral_norms
from gan_course.metrics import judge
from gan_course.models import common
from gan_course.models.acgan import ACGAN, AuxiliaryDiscriminator
from gan_course.models.conditional import (
    RECIPES,
    ConcatDiscriminator,
    ConcatGenerator,
    ConditionalGAN,
    Generator,
    ProjectionGAN,
    trunk,
)
from gan_course.models.gan import GAN
from gan_course.models.gan import RECIPES as GAN_RECIPES
from tools.experiments import Entry, defaults, fit
from tools.experiments.conditional import by_class
from tools.experiments.images import SAMPLES

# --- two normal distributions that overlap --------------------------------------------------------


class Reader(nn.Module):
    """A perceptron that reads points and their label in one of three ways."""

    def __init__(self, way: str, dim: int, width: int, classes: int = 2):
        super().__init__()
        self.way, self.classes = way, classes
        inputs = dim + classes if way == "concat" else dim
        self.phi = nn.Sequential(
            nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2)
        )
        self.source = nn.Linear(width, 1)
        self.heads = nn.Linear(width, classes, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map points ``(B, dim)`` and labels ``(B,)`` to logits of "real" ``(B,)`` and of classes ``(B, classes)``."""
        if self.way == "concat":
            x = torch.cat([x, one_hot(y, self.classes).to(x)], 1)
        h = self.phi(x)
        logit, classes = self.source(h)[:, 0], self.heads(h)
        if self.way == "projection":
            logit = logit + classes[torch.arange(len(y)), y]
        return logit, classes


def overlap_points(
    seed: int,
    device: torch.device,
    *,
    way: str,
    dim: int,
    steps: int,
    batch: int,
    width: int,
    lr: float,
    decay_from: int,
) -> dict[str, Any]:
    """Learn N(-1, 1) and N(+1, 1) along the first of ``dim`` axes (standard normal along the others) as two classes.

    ``beyond`` is the share of samples on the other class's side, in truth 15.9 %; ``deviation`` that of the first
    coordinate within a class, in truth 1; ``w1`` its exact Wasserstein-1 distance from the truth, mean of both classes.
    """
    torch.manual_seed(seed)
    generator = nn.Sequential(
        nn.Linear(dim + 2 + 2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim)
    ).to(device)
    reader = Reader(way, dim, width).to(device)
    adams = [torch.optim.Adam(net.parameters(), lr, (0.0, 0.99)) for net in (generator, reader)]

    def made(y: Tensor) -> Tensor:
        z = torch.randn(len(y), dim + 2, device=device)
        return generator(torch.cat([z, one_hot(y, 2).to(z)], 1))

    def true(y: Tensor) -> Tensor:
        x = torch.randn(len(y), dim, device=device)
        x[:, 0] += 2 * y - 1
        return x

    def class_loss(classes: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(classes, y) if way == "acgan" else classes.new_zeros(())

    for step in range(steps):
        for adam in adams:
            adam.param_groups[0]["lr"] = lr * min(1.0, (steps - step) / (steps - decay_from))
        y = torch.randint(2, (batch,), device=device)
        real, fake = true(y), made(y).detach()
        logits, classes = reader(torch.cat([real, fake]), y.repeat(2))
        (a, b), (ca, cb) = logits.chunk(2), classes.chunk(2)
        loss = softplus(-a).mean() + softplus(b).mean() + class_loss(ca, y) + class_loss(cb, y)
        common.update(adams[1], loss)
        y = torch.randint(2, (batch,), device=device)
        logits, classes = reader(made(y), y)
        common.update(adams[0], softplus(-logits).mean() + class_loss(classes, y))

    with torch.no_grad():
        y = torch.arange(20_000, device=device) % 2
        x, truth = (sample(y)[:, 0] * (2 * y - 1) for sample in (made, true))  # towards the own side
    return {
        "beyond": (x < 0).double().mean().item(),
        "mean": x.mean().item(),
        "deviation": math.sqrt(sum(x[y == c].var().item() for c in (0, 1)) / 2),
        "w1": sum(metrics.wasserstein_1d(x[y == c], truth[y == c]) for c in (0, 1)) / 2,
    }


# --- digits with labels that overlap, or are rare -------------------------------------------------


def overlap_digits(
    seed: int, device: torch.device, *, family: str, steps: int, batch: int, **model: Any
) -> dict[str, Any]:
    """Learn two classes of digits that share 4 and 5: 0 to 5 are of the first, 4 to 9 of the second one.

    A digit 4 or 5 got one of the two labels at random. ``shared`` is the share of samples that the judge reads as 4 or
    5, ``shared_real`` that of the training images; ``outside`` the share of samples that are read as a digit of the
    other class alone.
    """
    train_set = data.load("digits", device=device)
    coin = torch.randint(2, (len(train_set),), generator=torch.Generator().manual_seed(0)).to(device)
    digit = train_set.labels
    labels = torch.where(digit < 4, 0, torch.where(digit > 5, 1, coin))
    merged = data.DataSet(train_set.x, labels, name="digits", classes=["0 to 5", "4 to 9"])
    torch.manual_seed(seed)
    gan = CLASSES[family](merged.shape, 2, **model).to(device)
    fit(gan, merged, steps, batch=batch, seed=seed, progress=False)
    wanted = common.cycled_labels(SAMPLES, 2, device)
    samples = gan.sample(SAMPLES, wanted, torch.Generator().manual_seed(seed))
    critic, reference = judge("digits", 8, device), data.load("digits", split="test", device=device).images()
    read = critic.probabilities(samples).argmax(1)
    both = (read == 4) | (read == 5)
    return {
        "shared": both.double().mean().item(),
        "shared_real": ((digit == 4) | (digit == 5)).double().mean().item(),
        "outside": torch.where(wanted == 0, read > 5, read < 4).double().mean().item(),
        "frechet": metrics.summarize(samples, reference, critic)["frechet"],
    }


RARE = (5, 6, 7, 8, 9)  # the classes of which one image in ten is kept


def rare_digits(
    seed: int, device: torch.device, *, family: str, uniform: bool, steps: int, batch: int, **model: Any
) -> dict[str, Any]:
    """Learn digits of which 5 to 9 are ten times as rare; fakes are given the labels of the batch, or ``uniform`` ones.

    Judged as ever, for the common and the rare classes apart.
    """
    train_set = data.load("digits", device=device)
    place = torch.zeros_like(train_set.labels)  # of each image within its class
    for c in range(10):
        mine = train_set.labels == c
        place[mine] = torch.arange(int(mine.sum()), device=device)
    rare = torch.isin(train_set.labels, torch.tensor(RARE, device=device))
    kept = ~rare | (place % 10 == 0)
    thinned = data.DataSet(train_set.x[kept], train_set.labels[kept], name="digits", classes=train_set.classes)
    torch.manual_seed(seed)
    gan = (UNIFORM if uniform else CLASSES)[family](thinned.shape, 10, **model).to(device)
    fit(gan, thinned, steps, batch=batch, seed=seed, progress=False)
    wanted = common.cycled_labels(SAMPLES, 10, device)
    samples = gan.sample(SAMPLES, wanted, torch.Generator().manual_seed(seed))
    critic = judge("digits", 8, device)
    right = (critic.probabilities(samples).argmax(1) == wanted).double()
    distances = by_class(samples, wanted, critic, data_name="digits")["frechet_classes"]
    few = torch.isin(wanted, torch.tensor(RARE, device=device))
    return {
        "accuracy_common": right[~few].mean().item(),
        "accuracy_rare": right[few].mean().item(),
        "frechet_common": sum(d for c, d in enumerate(distances) if c not in RARE) / 5,
        "frechet_rare": sum(distances[c] for c in RARE) / 5,
        "images": int(kept.sum()),
    }


class UniformLabels:
    """What stands in front of a conditional family: fakes get labels drawn uniformly, in both updates."""

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        for x, y in zip(real, labels, strict=True):
            other = torch.randint_like(y, self.num_classes)
            with torch.no_grad():
                fake = self.generator(self.latents(len(y)), other)
            advance_spectral_norms(self.discriminator)
            loss_d = self.loss_of_both(x, y, fake, other)
            common.update(self.optimizer_d, loss_d)
        other = torch.randint_like(y, self.num_classes)
        loss_g = self.loss_of_fakes(self.generator(self.latents(len(y)), other), other)
        common.update(self.optimizer_g, loss_g)
        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g)

    def loss_of_both(self, x: Tensor, y: Tensor, fake: Tensor, other: Tensor) -> Tensor:
        logits = self.discriminator(torch.cat([x, fake]), torch.cat([y, other]))
        return self.discriminator_loss(*logits.chunk(2))

    def loss_of_fakes(self, fake: Tensor, y: Tensor) -> Tensor:
        return self.generator_loss(self.discriminator(fake, y))


class UniformProjectionGAN(UniformLabels, ProjectionGAN):
    """Projection with uniform fake labels."""


class UniformACGAN(UniformLabels, ACGAN):
    """An auxiliary classifier with uniform fake labels."""

    def loss_of_both(self, x: Tensor, y: Tensor, fake: Tensor, other: Tensor) -> Tensor:
        source, classes = self.discriminator(torch.cat([x, fake]))
        return self.discriminator_loss(*source.chunk(2)) + sum(map(cross_entropy, classes.chunk(2), (y, other)))

    def loss_of_fakes(self, fake: Tensor, y: Tensor) -> Tensor:
        source, classes = self.discriminator(fake)
        return self.generator_loss(source) + cross_entropy(classes, y)


CLASSES = {model.family: model for model in (ConditionalGAN, ACGAN, ProjectionGAN)}
UNIFORM = {"acgan": UniformACGAN, "projection": UniformProjectionGAN}


# --- mistakes -------------------------------------------------------------------------------------


class BlindDiscriminator(ConcatDiscriminator):
    """It is never told the label."""

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return super().forward(x, torch.zeros_like(labels))


class NumberGenerator(Generator):
    """The label as one number beside the latent, 0 to 9 scaled to [-1, 1]."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int, num_classes: int):
        super().__init__(shape, latent_dim + 1, width)
        self.last_class = num_classes - 1

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return super().forward(torch.cat([z, (2 * labels / self.last_class - 1)[:, None].to(z)], 1))


class NumberDiscriminator(nn.Module):
    """The label as one further channel, as bright everywhere as the number says."""

    def __init__(self, shape: tuple[int, ...], width: int, num_classes: int):
        super().__init__()
        self.last_class = num_classes - 1
        self.trunk, features = trunk((shape[0] + 1, *shape[1:]), width)
        self.logit = nn.Linear(math.prod(features), 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        plane = (2 * labels / self.last_class - 1).to(x)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        return self.logit(self.trunk(torch.cat([x, plane], 1)).flatten(1)).squeeze(1)


class SoftmaxedDiscriminator(AuxiliaryDiscriminator):
    """A softmax before the cross-entropy, which has one of its own."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        source, classes = super().forward(x)
        return source, classes.softmax(1)


class BlindGAN(ConditionalGAN):
    """Its discriminator is blind to the label."""

    networks = (ConcatGenerator, BlindDiscriminator)


class NumberGAN(ConditionalGAN):
    """Both networks are given the label as a number."""

    networks = (NumberGenerator, NumberDiscriminator)


class SoftmaxedACGAN(ACGAN):
    """Its classifier's softmax comes twice."""

    networks = (ConcatGenerator, SoftmaxedDiscriminator)


MISTAKES = {"blind": BlindGAN, "number": NumberGAN, "softmax": SoftmaxedACGAN}


def mistakes(seed: int, device: torch.device, *, mistake: str, steps: int, batch: int, **model: Any) -> dict[str, Any]:
    """Train a conditional GAN with a mistake in its use of the label, on digits; judge it as those without."""
    train_set = data.load("digits", device=device)
    torch.manual_seed(seed)
    gan = MISTAKES[mistake](train_set.shape, 10, **model).to(device)
    history = fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)
    wanted = common.cycled_labels(SAMPLES, 10, device)
    samples = gan.sample(SAMPLES, wanted, torch.Generator().manual_seed(seed))
    critic, reference = judge("digits", 8, device), data.load("digits", split="test", device=device).images()
    measured = metrics.summarize(samples, reference, critic) | by_class(samples, wanted, critic, data_name="digits")
    return measured | {name: history[name][-1] for name in ("class_real", "class_fake") if mistake == "softmax"}


# --- control after training -----------------------------------------------------------------------


def steering(
    seed: int, device: torch.device, *, steps: int, batch: int, climb: int, pull: float, **model: Any
) -> dict[str, Any]:
    """Train a GAN without labels and a classifier; move latents up the classifier's log-probability of a class.

    ``classifier`` and ``judge`` are the shares of 1,000 images that each of them reads as the class that was wanted,
    ``unguided`` what the judge reads without moving; ``length`` is the mean length of a moved latent, of 64 dimensions.
    """
    train_set = data.load("digits", device=device)
    torch.manual_seed(seed)
    gan = GAN(train_set.shape, **model).to(device)
    fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).to(device)
    adam = torch.optim.Adam(classifier.parameters(), 3e-3)
    for step in range(400):
        x, y = train_set.take(seed, step * batch, batch)
        common.update(adam, cross_entropy(classifier(x), y))
    start, wanted = gan.latents(1_000, torch.Generator().manual_seed(seed)), common.cycled_labels(1_000, 10, device)
    generator = gan.ema.network

    def steered(pull: float) -> Tensor:
        z = start.clone().requires_grad_()
        adam = torch.optim.Adam([z], 0.1)
        for _ in range(climb):
            loss = cross_entropy(classifier(generator(z)), wanted, reduction="sum") + 0.5 * pull * z.square().sum()
            common.update(adam, loss)
        return z.detach()

    critic, reference = judge("digits", 8, device), data.load("digits", split="test", device=device).images()
    row: dict[str, Any] = {}
    for name, z in {"unguided": start, "free": steered(0.0), "pulled": steered(pull)}.items():
        images = gan.decode(z)
        with torch.no_grad():
            row[f"classifier_{name}"] = (classifier(images).argmax(1) == wanted).double().mean().item()
        row[f"judge_{name}"] = (critic.probabilities(images).argmax(1) == wanted).double().mean().item()
        row[f"frechet_{name}"] = metrics.summarize(images, reference, critic)["frechet"]
        row[f"length_{name}"] = z.norm(dim=1).mean().item()
    return row


INKS = ("red", "green", "blue")


def directions(seed: int, device: torch.device, *, size: int, steps: int, batch: int, **model: Any) -> dict[str, Any]:
    """Train on ten letters (the labels) in two weights, two slants and three inks, 120 images in all, and look for
    the latent direction of each other factor.

    A direction is the difference of mean latents between two values. Latents are moved along it to 2.5 on its side.
    ``got`` is the share of 1,000 images that then show the wanted value, ``kept`` the share whose letter and other
    factors are still what they were before; ``random`` is ``got`` for a direction drawn at random.
    """
    images, truth = letters(size)
    train_set = data.DataSet(images, truth[:, 0], name="letters", classes=list(glyphs.CHARACTERS)).to(device)
    torch.manual_seed(seed)
    gan = ProjectionGAN(train_set.shape, 10, **model).to(device)
    fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)

    def read(images: Tensor) -> Tensor:
        return truth[metrics.nearest_neighbours(images, train_set.images())[1].cpu()]

    seeded = torch.Generator().manual_seed(seed)
    z, y = gan.latents(10_000, seeded), common.cycled_labels(10_000, 10, device)
    shown = read(gan.decode(z, y))
    row: dict[str, Any] = {"letter": (shown[:, 0] == y.cpu()).double().mean().item()}
    for factor, (column, values) in {"weight": (1, (0, 1)), "slant": (2, (0, 1)), "ink": (3, (0, 2))}.items():
        ends = [z[shown[:, column] == value] for value in values]
        if min(map(len, ends)) < 2:
            continue
        found = ends[1].mean(0) - ends[0].mean(0)
        for name, way in {"": found, "_random": torch.randn(gan.latent_dim, generator=seeded).to(z)}.items():
            way = way / way.norm()
            moved = z[:1_000] + (2.5 - z[:1_000] @ way)[:, None] * way
            after = read(gan.decode(moved, y[:1_000]))
            others = [c for c in range(4) if c != column]
            row[f"{factor}_got{name}"] = (after[:, column] == values[1]).double().mean().item()
            row[f"{factor}_kept{name}"] = (after == shown[:1_000])[:, others].all(1).double().mean().item()
        row[f"{factor}_before"] = (shown[:1_000, column] == values[1]).double().mean().item()
    return row


def letters(size: int) -> tuple[Tensor, Tensor]:
    """Return all 120 images, uint8, and what they show (120, 4): letter, weight, slant, ink."""
    drawn, truth = [], []
    for weight, slant, ink in product(range(2), range(2), range(3)):
        fixed = {
            "family": "DejaVu Sans", "weight": weight, "slant": slant, "scale": "large", "ink": INKS[ink],
            "background": "white", "texture": "plain", "x": 0.0, "y": 0.0, "texture_x": 0.0, "texture_y": 0.0,
        }  # fmt: skip
        drawn.append(glyphs.make(10, 0, size, fixed=fixed).changed(character=torch.arange(10)).x)
        truth += [(letter, weight, slant, ink) for letter in range(10)]
    return torch.cat(drawn), torch.tensor(truth)


_DIGITS = defaults(ConditionalGAN, "num_classes") | RECIPES["digits"]
_POINTS = {"steps": 800, "batch": 256, "width": 64, "lr": 2e-3, "decay_from": 400}
WAYS = ("concat", "projection", "acgan")

ENTRIES = {
    **{
        f"labels_overlap_{way}_{dim}": Entry(overlap_points, {"way": way, "dim": dim, **_POINTS}, range(10))
        for dim in (1, 2, 64)
        for way in WAYS
    },
    **{
        f"labels_overlap_digits_{family}": Entry(overlap_digits, {"family": family, **_DIGITS, "steps": 800}, range(10))
        for family in CLASSES
    },
    **{
        f"labels_rare_{family}_{'uniform' if uniform else 'data'}": Entry(
            rare_digits, {"family": family, "uniform": uniform, **_DIGITS, "steps": 800}, range(5)
        )
        for family in ("projection", "acgan")
        for uniform in (False, True)
    },
    **{f"labels_mistake_{mistake}": Entry(mistakes, {"mistake": mistake, **_DIGITS}, range(5)) for mistake in MISTAKES},
    "labels_steering": Entry(
        steering, {**defaults(GAN), **GAN_RECIPES["digits"], "batch": 64, "climb": 60, "pull": 0.02}, range(5)
    ),
    "labels_directions": Entry(directions, {**_DIGITS, "size": 16, "steps": 800}, range(5)),
}
