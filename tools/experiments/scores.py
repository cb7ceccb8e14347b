"""How far scores can be trusted: against closed forms, at other numbers of samples, in other hands; and what they say
about the trained generators of the book."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import data, metrics, models
from gan_course.metrics import faults, judge, pixels
from gan_course.models import autoregressive, gan, trained, vae, wgan
from tools.experiments import Entry, defaults, fit
from tools.experiments.faults import POOLS, Seen, look, scores, untrained

PARTS = 8  # of the samples, for the line of the extrapolation
SIZES = [100, 200, 500, 1_000, 2_000, 5_000, 10_000]  # of samples


# --- two normal distributions, whose distances are known --------------------------------------------
def kernel_truth(mean: Tensor, cov: Tensor) -> float:
    """The squared MMD, cubic kernel, of N(0, I) from N(mean, cov): the mean of (x.y / d + 1)^3 from its moments."""
    d, m2 = len(mean), mean.square().sum()
    own = cov + torch.outer(mean, mean)  # second moments
    within_0 = 1 + 3 * d / d**2
    between = 1 + 3 * own.trace() / d**2  # odd moments of N(0, I) are 0
    third = m2**3 + 6 * m2 * mean @ cov @ mean + 3 * cov.square().sum() * m2 + 6 * mean @ cov @ cov @ mean
    within_1 = 1 + 3 * m2 / d + 3 * own.square().sum() / d**2 + third / d**3
    return (within_0 + within_1 - 2 * between).item()


def gaussians(
    seed: int, device: torch.device, *, dim: int, shift: float, stds: tuple[float, float], sizes: list[int]
) -> dict[str, Any]:
    """Fréchet and kernel distance of n draws of N(0, I) from n draws of N(shift, diag), beside the true ones.

    The mean has the same ``shift`` in every coordinate, standard deviations go from one to the other of ``stds``.
    ``one_sided`` are Fréchet distances of n draws to the most draws of the reference, ``extrapolated`` the ends of
    lines through such distances (None where n is too small for two parts).
    """
    generator = torch.Generator().manual_seed(seed)
    mean, std = torch.full((dim,), shift).double(), torch.linspace(*stds, dim).double()
    zero, eye, cov = torch.zeros(dim).double(), torch.eye(dim).double(), std.square().diag()
    most = max(sizes)
    x = torch.randn(most, dim, generator=generator, dtype=torch.float64) * std + mean
    y = torch.randn(most, dim, generator=generator, dtype=torch.float64)
    row: dict[str, Any] = {
        "frechet_truth": metrics.frechet_distance_gaussians(mean, cov, zero, eye),
        "kernel_truth": kernel_truth(mean, cov),
    }
    for name in ("frechet", "one_sided", "extrapolated", "kernel", "kernel_error"):
        row[name] = []
    for n in sizes:
        _append(row, x[:n], y[:n], y)
    return row


def _append(row: dict[str, Any], samples: Tensor, reference: Tensor, whole: Tensor) -> None:
    """Add the distances of samples from as many reference rows, and from all of them, to the lists of a row."""
    row["frechet"].append(metrics.frechet_distance(samples, reference))
    row["one_sided"].append(metrics.frechet_distance(samples, whole))
    parts = min(PARTS, len(samples) // (samples.shape[1] + 1))
    line = metrics.extrapolated_frechet(samples, whole, parts) if parts >= 2 else None
    row["extrapolated"].append(line and line.value)
    value, error = metrics.kernel_distance(samples, reference)
    row["kernel"].append(value)
    row["kernel_error"].append(error)


# --- a generator of MNIST ----------------------------------------------------------------------------
@functools.cache
def drawn(name: str, n: int, device: torch.device) -> Tensor:
    """``n`` samples of a trained generator, drawn once."""
    return trained.load(name, device).sample(n, generator=torch.Generator().manual_seed(0))


@functools.cache
def seen_mnist(what: str, device: torch.device) -> Tensor:
    """Features by the judge: of 10,000 samples, or of the 10,000 test images."""
    x = drawn("conditional_mnist", 10_000, device) if what == "samples" else _mnist("test", 10_000, device)
    return judge("mnist", 28, device).features(x).cpu()


def _mnist(split: str, n: int, device: torch.device) -> Tensor:
    return data.load("mnist", split=split, device=device).draw(n)


def numbers(seed: int, device: torch.device, *, sizes: list[int]) -> dict[str, Any]:
    """The same for n samples of the loaded generator of MNIST, and n test images, beside 5,000 other test images.

    Distances are by the judge. A seed divides 10,000 samples and the test images. Lists as for two normal
    distributions, first of the generator and then of ``real_`` images.
    """
    generator = torch.Generator().manual_seed(seed)
    samples, test = (seen_mnist(what, device) for what in ("samples", "test"))
    samples, test = (x[torch.randperm(len(x), generator=generator)] for x in (samples, test))
    reference, real = test[:5_000], test[5_000:]
    row: dict[str, Any] = {}
    for prefix, x in {"": samples, "real_": real}.items():
        lists: dict[str, Any] = {key: [] for key in ("frechet", "one_sided", "extrapolated", "kernel", "kernel_error")}
        for n in sizes:
            _append(lists, x[:n], reference[:n], reference)
        row |= {prefix + key: value for key, value in lists.items()}
    return row


def _resized(x: Tensor, side: int, **how: Any) -> Tensor:
    """Down to a smaller side and up again."""
    small = F.interpolate(x, (side, side), **how)
    up = {key: value for key, value in how.items() if key != "antialias"}
    return F.interpolate(small, x.shape[2:], **up).clamp(-1, 1)


HANDS = {
    "as it is": lambda x: x,
    "nearest": lambda x: _resized(x, 20, mode="nearest"),
    "bilinear": lambda x: _resized(x, 20, mode="bilinear", align_corners=False),
    "antialiased": lambda x: _resized(x, 20, mode="bilinear", align_corners=False, antialias=True),
    "bicubic": lambda x: _resized(x, 20, mode="bicubic", align_corners=False, antialias=True),
    "range 0 to 1": lambda x: (x + 1) / 2,
    "jpeg 75": lambda x: faults.spoil(x, "jpeg", 75),
}


@functools.cache
def handled(what: str, hand: str, count: int, device: torch.device) -> Tensor:
    """Features by the judge of images that went through a hand."""
    x = {
        "samples": lambda: drawn("conditional_mnist", 10_000, device)[:count],
        "test": lambda: _mnist("test", 10_000, device)[:count],
        "train": lambda: _mnist("train", count, device),
    }[what]()
    return judge("mnist", 28, device).features(HANDS[hand](x)).cpu()


@functools.cache
def extracted(what: str, extractor: str, count: int, device: torch.device) -> Tensor:
    """Features of images by an extractor other than the judge's last hidden layer."""
    x = drawn("conditional_mnist", 10_000, device)[:count] if what == "samples" else _mnist("test", 10_000, device)
    x = x if what == "samples" else (x[:count] if what == "test" else x[count : 2 * count])
    seen = {
        "judge": lambda: judge("mnist", 28, device).features(x),
        "its logits": lambda: judge("mnist", 28, device).logits(x),
        "judge of 16x16": lambda: judge("mnist", 16, device).features(F.interpolate(x, (16, 16), mode="area")),
        "untrained": lambda: untrained("mnist", 28).to(device).features(x),
        "pixels": lambda: pixels(x, 4),
    }
    return seen[extractor]().cpu()


EXTRACTORS = ("judge", "its logits", "judge of 16x16", "untrained", "pixels")


def evaluators(seed: int, device: torch.device, *, count: int, n: int) -> dict[str, Any]:
    """One generator of MNIST in many hands: its Fréchet distance where one thing at a time is done otherwise.

    ``both`` changes samples and reference alike, ``samples`` only the samples, ``reference`` only the reference. In
    ``extractors`` there is beside each number the one of real test images. A seed chooses n of ``count`` samples and n
    of as many reference images.
    """
    generator = torch.Generator().manual_seed(seed)
    mine, theirs = (torch.randperm(count, generator=generator)[:n] for _ in range(2))

    def distance(a: str, b: str, reference: str = "test") -> float:
        samples, images = handled("samples", a, count, device), handled(reference, b, count, device)
        return metrics.frechet_distance(samples[mine], images[theirs])

    row: dict[str, Any] = {"both": {}, "samples": {}, "reference": {}, "extractors": {}}
    for hand in HANDS:
        row["both"][hand] = distance(hand, hand)
        row["samples"][hand] = distance(hand, "as it is")
        row["reference"][hand] = distance("as it is", hand)
    row["train"] = distance("as it is", "as it is", "train")
    few = mine[: n // 5]
    samples, images = (handled(what, "as it is", count, device) for what in ("samples", "test"))
    row["fewer samples"] = metrics.frechet_distance(samples[few], images[theirs])
    for name in EXTRACTORS:
        made, real, reference = (extracted(what, name, count, device) for what in ("samples", "real", "test"))
        row["extractors"][name] = [
            metrics.frechet_distance(made[mine], reference[theirs]),
            metrics.frechet_distance(real[mine], reference[theirs]),
        ]
    return row


# --- the book's generators, by all scores -------------------------------------------------------------
def ranked_digits(seed: int, device: torch.device, *, n: int, families: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Train generators of digits and give n samples of each all scores, beside n test images; ``real`` are n others."""
    train_set, test_set = (data.load("digits", split=split, device=device) for split in data.SPLITS)
    test = look(test_set.draw(len(test_set), seed), "digits")
    reference, real = test.at(torch.arange(n)), test.at(torch.arange(n, 2 * n))
    train = look(train_set.draw(n, seed), "digits")
    row = {"real": scores(real, reference, train)}
    for family, settings in families.items():
        settings = dict(settings)
        steps, batch = settings.pop("steps"), settings.pop("batch")
        torch.manual_seed(seed)
        model = models.build(family, train_set, **settings).to(device)
        fit(model, train_set, steps, batch=batch, seed=seed, progress=False)
        generator = torch.Generator().manual_seed(seed)
        row[family] = scores(look(model.sample(n, generator=generator), "digits"), reference, train)
        if family == "vae":
            means = model.sample(n, generator=generator, mean=True)
            row["vae means"] = scores(look(means, "digits"), reference, train)
    return row


@functools.cache
def photos(split: str, n: int, device: torch.device) -> Seen:
    """n photos, drawn once, as they are seen."""
    return look(data.load("cifar10-jpeg", split=split, device=device).draw(n), "cifar10-jpeg")


def ranked_cifar10(seed: int, device: torch.device, *, n: int, names: list[str]) -> dict[str, Any]:
    """Give n samples of each loaded generator of photos all scores, beside n test photos; ``real`` are n others.

    A seed draws the samples and divides 2n test photos. Each generator was trained once.
    """
    generator = torch.Generator().manual_seed(seed)
    halves = torch.randperm(2 * n, generator=generator)
    test, train = photos("test", 2 * n, device), photos("train", n, device)
    reference, real = test.at(halves[:n]), test.at(halves[n:])
    row = {"real": scores(real, reference, train)}
    for name in names:
        model = trained.load(name, device)
        samples = look(model.sample(n, generator=torch.Generator().manual_seed(seed)), "cifar10-jpeg")
        row[name] = scores(samples, reference, train)
    return row


@functools.cache
def pooled(data_name: str, split: str, device: torch.device) -> Tensor:
    """The pixel features of all images of a split, in a fixed order."""
    images = data.load(data_name, split=split, device=device)
    return pixels(images.draw(len(images)), POOLS[data_name]).cpu()


def copied(
    seed: int, device: torch.device, *, data_name: str, n: int, sizes: list[int], names: list[str]
) -> dict[str, Any]:
    """The copy test by pixels where only some training images are looked at: n samples beside m of either split.

    For each m of ``sizes`` the share and z of ``all copies`` (n training images, drawn from all of them without regard
    to which m are looked at), of ``real`` (n test images that are not among the m) and of n samples of each loaded
    generator. A seed draws all of them.
    """
    generator = torch.Generator().manual_seed(seed)
    train, test = (pooled(data_name, split, device) for split in data.SPLITS)
    train, test = (x[torch.randperm(len(x), generator=generator)] for x in (train, test))
    sets = {"all copies": train[torch.randperm(len(train), generator=generator)[:n]], "real": test[:n]}
    for name in names:
        images = trained.load(name, device).sample(n, generator=torch.Generator().manual_seed(seed))
        sets[name] = pixels(images, POOLS[data_name]).cpu()
    outcomes = {name: [metrics.copy_test(x, train[:m], test[n : n + m]) for m in sizes] for name, x in sets.items()}
    return {name: [{"share": one.share, "z": one.z} for one in each] for name, each in outcomes.items()}


#: Half of the steps of the recipes, so that generators are not all good.
FAMILIES = {
    "gan": {**defaults(gan.GAN), **gan.RECIPES["digits"], "batch": 64, "steps": 1_150},
    "wgan-gp": {**defaults(wgan.WGANGP), **wgan.RECIPES["wgan-gp"]["digits"], "batch": 64, "steps": 1_250},
    "vae": {**defaults(vae.VAE), **vae.RECIPES["digits"], "batch": 64, "steps": 1_250},
    "autoregressive": {**defaults(autoregressive.Autoregressive), **autoregressive.RECIPES["digits"], "steps": 350},
}
PHOTOS = ["dcgan_cifar10", "wgan_gp_cifar10", "sngan_cifar10"]
UNLIKE = {"shift": 0.25, "stds": (0.6, 1.4)}
EQUAL = {"shift": 0.0, "stds": (1.0, 1.0)}

ENTRIES = {
    **{
        f"faults_bias_gaussians_{name}": Entry(gaussians, {"dim": 64, **case, "sizes": sizes}, range(10))
        for name, case, sizes in (("equal", EQUAL, SIZES[:-1]), ("unlike", UNLIKE, SIZES))
    },
    "faults_bias_mnist": Entry(numbers, {"sizes": SIZES[:-1]}, range(10)),
    "faults_evaluators": Entry(evaluators, {"count": 4_000, "n": 2_000}, range(10)),
    "faults_ranking_digits": Entry(ranked_digits, {"n": 250, "families": FAMILIES}, range(5)),
    "faults_ranking_cifar10": Entry(ranked_cifar10, {"n": 1_000, "names": PHOTOS}, range(5)),
    "faults_copies_digits": Entry(copied, {"data_name": "digits", "n": 250, "sizes": [250], "names": []}, range(5)),
    "faults_copies_cifar10": Entry(
        copied, {"data_name": "cifar10-jpeg", "n": 1_000, "sizes": [1_000, 9_000], "names": PHOTOS}, range(5)
    ),
}
