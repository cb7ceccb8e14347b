"""The guidelines of Radford et al. (2016) one by one, on MNIST at 16x16; then settings, features and latent arithmetic.

Every variant begins as the package's DCGAN, and one thing is changed. Budget, learning rates and seeds are the same for
all, and were fixed before the first result was seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import checks, data, metrics
from gan_course.data import DataSet, glyphs
from gan_course.layers import initialize
from gan_course.metrics import judge
from gan_course.models import common
from gan_course.models.dcgan import DCGAN
from gan_course.models.ema import EMA
from tools.experiments import Entry, defaults, fit

SAMPLES = 2_000


class Bias(nn.Module):
    """What a convolution without bias lacks where the batch norm after it is taken away."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias[:, None, None]


def swap(network: nn.Module, kind: type[nn.Module], new: Callable[[nn.Module], nn.Module]) -> None:
    """Replace every layer of a kind."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, kind):
                setattr(module, name, new(child))


def _pooled(features: nn.Sequential) -> nn.Sequential:
    layers: list[nn.Module] = []
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            layer = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1, bias=layer.bias is not None)
        layers += [layer, nn.MaxPool2d(2)] if isinstance(layer, nn.LeakyReLU) else [layer]
    return nn.Sequential(*layers)


def _no_norm(network: nn.Module) -> None:
    swap(network, nn.BatchNorm2d, lambda norm: Bias(norm.num_features))


def change(gan: DCGAN, variant: str, hidden: int = 256) -> None:
    """Change one thing about a DCGAN as the package makes it, and draw the weights again as it draws them."""
    g, d = gan.generator, gan.discriminator
    if variant in ("no norm in G", "no norm", "no norm, torch's weights"):
        _no_norm(g)
    if variant in ("no norm in D", "no norm", "no norm, torch's weights"):
        _no_norm(d)
    if variant == "norm in all layers":
        g.to_image.insert(1, nn.BatchNorm2d(gan.shape[0]))
        d.features.insert(1, nn.BatchNorm2d(d.features[0].out_channels))
    if variant == "no bias at D's input":
        d.features[0].bias = None
    if variant == "max pooling in D":
        d.features = _pooled(d.features)
    if variant == "dense layers":
        first, last = g.project[0], d.to_logit[1]
        g.project[0] = nn.Linear(hidden, first.out_features, bias=False)
        before = nn.Linear(gan.latent_dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()
        g.project = nn.Sequential(*before, *g.project)
        middle = nn.Linear(last.in_features, hidden), nn.LeakyReLU(0.2)
        d.to_logit = nn.Sequential(nn.Flatten(), *middle, nn.Linear(hidden, 1))
    if variant == "ReLU in D":
        swap(d, nn.LeakyReLU, lambda _: nn.ReLU())
    for network in (g, d):
        if variant.endswith("torch's weights"):
            for module in network.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
        else:
            initialize(network)


class MixedDCGAN(DCGAN):
    """A DCGAN whose discriminator sees the real and the generated images of an update as one batch."""

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        checks.check_real(real, self.shape, least=2)
        with torch.no_grad():
            fake = self.generator(self.latents(real.shape[1]))
        real_logits, fake_logits = self.discriminator(torch.cat([real[0], fake])).chunk(2)
        loss_d = self.discriminator_loss(real_logits, fake_logits)
        common.update(self.optimizer_d, loss_d)
        loss_g = self.generator_loss(self.discriminator(self.generator(self.latents(real.shape[1]))))
        common.update(self.optimizer_g, loss_g)
        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, logit_real=real_logits, logit_fake=fake_logits)


@functools.lru_cache
def loaded(data_name: str, size: int, split: str, device: torch.device) -> DataSet:
    return data.load(data_name, size=size, split=split, device=device)


def built(seed: int, device: torch.device, shape: tuple[int, ...], variant: str = "", **model: Any) -> DCGAN:
    """Return a new DCGAN with one change (none for the empty name), its average and optimizers."""
    torch.manual_seed(seed)
    gan = (MixedDCGAN if variant == "one mixed batch" else DCGAN)(shape, **model)
    if variant not in ("", "one mixed batch"):
        change(gan, variant)
        gan.ema = EMA(gan.generator, model["ema_decay"])
        gan.optimizer_g = common.adam(gan.generator, model["lr_g"], model["beta1"], model["beta2"])
        gan.optimizer_d = common.adam(gan.discriminator, model["lr_d"], model["beta1"], model["beta2"])
    return gan.to(device)


def judged(gan: DCGAN, seed: int, data_name: str, device: torch.device) -> dict[str, Any]:
    """Judge 2,000 samples of the average, and of the last weights in evaluation and in training mode."""
    size = gan.shape[-1]
    reference = loaded(data_name, size, "test", device).draw(SAMPLES)
    critic = judge(data_name, size, device)
    z = gan.latents(SAMPLES, torch.Generator().manual_seed(seed))
    samples = gan.decode(z)
    measured = metrics.summarize(samples, reference, critic)
    measured["shares"] = metrics.class_shares(critic.probabilities(samples)).tolist()
    of_reference = critic.features(reference)
    with torch.no_grad():
        last = gan.generator.eval()(z)
        batches = torch.cat([gan.generator.train()(part) for part in z.split(64)])  # moves its running statistics
    measured["frechet_last"] = metrics.frechet_distance(critic.features(last), of_reference)
    measured["frechet_train_mode"] = metrics.frechet_distance(critic.features(batches), of_reference)
    return measured


def guideline(
    seed: int, device: torch.device, *,
    data_name: str, size: int, variant: str, steps: int, batch: int, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a DCGAN with one change, and judge 2,000 samples beside the test set."""
    train_set = loaded(data_name, size, "train", device)
    gan = built(seed, device, train_set.shape, variant, **model)
    history = fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)
    measured = judged(gan, seed, data_name, device)
    if variant == "no bias at D's input":  # which cannot see the contrast of a batch
        measured["deviation"] = gan.sample(SAMPLES, generator=torch.Generator().manual_seed(seed)).std().item()
    return {**measured, "loss_d": history["loss_d"][-1], "loss_g": history["loss_g"][-1]}


# --- what the discriminator learned ---------------------------------------------------------------
@torch.no_grad()
def layers_of(discriminator: nn.Module, x: Tensor) -> Tensor:
    """Features ``(n, d)``: the outputs of all activations, pooled to 4x4 by their maxima, as in section 5.1."""
    pooled = []
    for part in x.split(500):
        h, found = part, []
        for layer in discriminator.features:
            h = layer(h)
            if isinstance(layer, nn.LeakyReLU):
                found.append(nn.functional.adaptive_max_pool2d(h, 4).flatten(1))
        pooled.append(torch.cat(found, 1))
    return torch.cat(pooled)


def probe(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor) -> float:
    """Accuracy on the test set of the best linear map to one-hot labels, by ridge regression.

    Features are standardised by the training set. The penalty, among powers of ten, is the one that does best when
    the fit to four fifths of the training set is tried on the rest.
    """
    mean, std = train.mean(0), train.std(0) + 1e-6
    train, test = (torch.cat([(x - mean) / std, x.new_ones(len(x), 1)], 1).double() for x in (train, test))
    targets = nn.functional.one_hot(labels, 10).double() * 2 - 1
    eye = torch.eye(train.shape[1], dtype=torch.float64, device=train.device)

    def solve(x: Tensor, y: Tensor, penalty: float) -> Tensor:
        return torch.linalg.solve(x.T @ x / len(x) + penalty * eye, x.T @ y / len(x))

    def right(weight: Tensor, x: Tensor, y: Tensor) -> float:
        return ((x @ weight).argmax(1) == y).double().mean().item()

    cut = len(train) * 4 // 5
    penalties = [10.0**k for k in range(-4, 2)]
    tried = [right(solve(train[:cut], targets[:cut], p), train[cut:], labels[cut:]) for p in penalties]
    return right(solve(train, targets, penalties[tried.index(max(tried))]), test, truth)


def features(
    seed: int, device: torch.device, *,
    data_name: str, size: int, labelled: list[int], steps: int, batch: int, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a DCGAN; read the class of test images by linear probes of its discriminator, of one that was never
    trained, and of the pixels."""
    train_set, test_set = (loaded(data_name, size, split, device) for split in data.SPLITS)
    gan = built(seed, device, train_set.shape, **model)
    untrained = built(seed, device, train_set.shape, **model).discriminator
    with torch.no_grad():  # the statistics of its batch norm are those of real images
        for start in range(0, 6_400, 64):
            untrained(train_set.batch(data.order(len(train_set), seed, start, 64)))
    fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)
    measured = judged(gan, seed, data_name, device)
    chosen = data.order(len(train_set), seed + 1_000, 0, max(labelled))
    x, labels = train_set.batch(chosen), train_set.labels[chosen]
    held, truth = test_set.images(5_000), test_set.labels[:5_000]
    spaces = {
        "trained": functools.partial(layers_of, gan.discriminator.eval()),
        "untrained": functools.partial(layers_of, untrained.eval()),
        "pixels": metrics.pixels,
    }
    for name, extract in spaces.items():
        known, asked = extract(x), extract(held)
        for n in labelled:
            measured[f"{name}_{n}"] = probe(known[:n], labels[:n], asked, truth)
    return measured


# --- arithmetic on latents ------------------------------------------------------------------------
INKS, BACKGROUNDS, LETTERS = ("red", "green", "blue"), ("white", "yellow", "cyan"), "ABCDEFGHIJ"
PLAIN = {
    "family": "DejaVu Sans", "weight": "bold", "slant": "upright", "scale": "large", "texture": "plain",
    "x": 0.0, "y": 0.0, "texture_x": 0.0, "texture_y": 0.0,
}  # fmt: skip


@functools.lru_cache
def alphabet(size: int) -> tuple[DataSet, Tensor]:
    """All 90 letters in three inks on three backgrounds, and their factors ``(90, 3)``: letter, ink, background."""
    drawn, factors = [], []
    for i, ink in enumerate(INKS):
        for b, background in enumerate(BACKGROUNDS):
            fixed = {**PLAIN, "ink": ink, "background": background}
            one = glyphs.make(len(LETTERS), 0, size, fixed=fixed)
            one = one.changed(character=torch.arange(len(LETTERS)))
            drawn.append(one.x)
            factors += [[letter, i, b] for letter in range(len(LETTERS))]
    return DataSet(torch.cat(drawn), name="alphabet"), torch.tensor(factors)


def read(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The factors ``(n, 3)`` of the nearest of the 90 images, and the distance to it per value (root mean square)."""
    known, factors = alphabet(size)
    distance, index = metrics.nearest_neighbours(x.cpu(), known.images())
    return factors[index], distance / x[0].numel() ** 0.5


def arithmetic(
    seed: int, device: torch.device, *,
    size: int, steps: int, batch: int, averaged: list[int], trials: int, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a DCGAN on 90 known images; add the difference of two mean latents to a third one, and read the image.

    A trial: two letters and two inks, on one background. Of each concept the latents of ``averaged`` samples are
    averaged, and the difference (letter 1, ink 1) - (letter 1, ink 2) is added to (letter 2, ink 2): letter 2 in ink 1
    is expected, on that background.
    """
    train_set = alphabet(size)[0].to(device)
    gan = built(seed, device, train_set.shape, **model)
    fit(gan, train_set, steps, batch=batch, seed=seed, progress=False)
    random = torch.Generator().manual_seed(seed)
    z = gan.latents(20_000, random)
    seen, distance = read(gan.decode(z), size)
    number = (seen[:, 0] * 3 + seen[:, 1]) * 3 + seen[:, 2]
    counts = number.bincount(minlength=90)
    measured = {"images_drawn": int((counts > 0).sum()), "distance": distance.mean().item()}

    def concept(letter: int, ink: int, background: int, n: int) -> Tensor | None:
        found = (number == (letter * 3 + ink) * 3 + background).nonzero()[:, 0]
        if len(found) < n:
            return None
        return z[found[torch.randperm(len(found), generator=random)[:n]]].mean(0)

    for n in averaged:
        ends, lengths, third = [], [], []
        while len(ends) < trials:
            one, two = torch.randperm(10, generator=random)[:2].tolist()
            new, old = torch.randperm(3, generator=random)[:2].tolist()
            background = int(torch.randint(3, (), generator=random))
            a, b, c = (concept(*what, background, n) for what in ((one, new), (one, old), (two, old)))
            if a is None or b is None or c is None:
                third.append(None)
                if len(third) > 20 * trials:
                    break
                continue
            ends.append((a - b + c, c, torch.tensor([two, new, background])))
            lengths.append((a - b + c).norm().item())
        if not ends:
            measured[f"right_{n}"] = None
            continue
        sums, thirds, wanted = (torch.stack(column) for column in zip(*ends, strict=True))
        scaled = sums * model["latent_dim"] ** 0.5 / sums.norm(dim=1, keepdim=True)
        for name, latents in (("", sums), ("scaled_", scaled), ("third_", thirds)):
            got = read(gan.decode(latents), size)[0]
            equal = got == wanted
            measured[f"{name}right_{n}"] = equal.all(1).double().mean().item()
            measured[f"{name}ink_{n}"] = equal[:, 1].double().mean().item()
            measured[f"{name}letter_{n}"] = equal[:, 0].double().mean().item()
            measured[f"{name}background_{n}"] = equal[:, 2].double().mean().item()
        measured[f"length_{n}"] = sum(lengths) / len(lengths)
    return measured


_SMALL = {**defaults(DCGAN), "latent_dim": 64, "width": 16, "lr_g": 5e-4, "lr_d": 5e-4}
_REFERENCE = {"data_name": "mnist", "size": 16, "variant": "", "steps": 600, "batch": 64, **_SMALL}
_CHANGES = {
    "reference": {},
    "no_norm": {"variant": "no norm"},
    "no_norm_g": {"variant": "no norm in G"},
    "no_norm_d": {"variant": "no norm in D"},
    "norm_everywhere": {"variant": "norm in all layers"},
    "beta1_9": {"beta1": 0.9},
    "torch_weights": {"variant": "torch's weights"},
    "no_norm_torch_weights": {"variant": "no norm, torch's weights"},
    "max_pooling": {"variant": "max pooling in D"},
    "dense": {"variant": "dense layers"},
    "relu_d": {"variant": "ReLU in D"},
    "no_bias_d": {"variant": "no bias at D's input"},
    "mixed": {"variant": "one mixed batch"},
    "lr_2e_3": {"lr_g": 2e-3, "lr_d": 2e-3},
    "latent_2": {"latent_dim": 2},
    "batch_128": {"batch": 128, "steps": 300},
}

ENTRIES = {
    **{
        f"dcgan_guideline_{name}": Entry(guideline, {**_REFERENCE, **changed}, range(5))
        for name, changed in _CHANGES.items()
    },
    "dcgan_arithmetic": Entry(
        arithmetic, {"size": 16, "steps": 1_500, "batch": 64, "averaged": [1, 3, 10], "trials": 500, **_SMALL}, range(5)
    ),
    "dcgan_features_mnist": Entry(
        features,
        {"labelled": [100, 1_000], **{k: v for k, v in _REFERENCE.items() if k != "variant"}}, range(5),
    ),
}  # fmt: skip
