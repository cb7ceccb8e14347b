"""The generators that run in pages: what their weights of 8 bits cost, what truncation does to them, how much of what
a caption leaves open they vary, and what classes share that come from one latent."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from gan_course import data, metrics
from gan_course.data import glyphs
from gan_course.metrics import Judge, judge
from gan_course.models import common, export, trained
from tools.experiments import Entry
from tools.experiments.captions import obeyed
from tools.experiments.conditional import accuracy
from tools.experiments.handwritten import handwritten, in_colours
from tools.experiments.pix2pix import distortion, patches

SAMPLES = 2_000
MEASURED = ("frechet", "precision", "recall", "confidence")
CHUNK = 100  # more images at a time are slower on a CPU


def rounded(seed: int, device: torch.device, *, name: str, data_name: str) -> dict[str, Any]:
    """Judge 2,000 samples of a trained generator with its stored weights, of 16 bits, and with those of 8 bits that
    pages have, from the same latents: Frechet distance to the test split, beside that of 2,000 real training images,
    and share that shows what was asked for. ``mean_pixel`` and ``worst_pixel`` are differences of the two, on the scale
    of 0 to 255."""
    model = trained.load(name, device)
    train_set, test_set = (data.load(data_name, split=split, device=device) for split in data.SPLITS)
    critic = judge(data_name, model.shape[-1], device)
    reference = critic.features(test_set.draw(SAMPLES), CHUNK)
    z = model.latents(SAMPLES, torch.Generator().manual_seed(seed))
    if getattr(model, "reads_captions", False):
        asked = test_set.captioned().labels[:SAMPLES]
    elif "num_classes" in model.settings:
        asked = common.cycled_labels(SAMPLES, model.num_classes, device)
    else:
        asked = None
    real = critic.features(train_set.draw(SAMPLES, seed), CHUNK)
    row, images = {"frechet_real": metrics.frechet_distance(real, reference)}, {}
    for kind, network in {"stored": model, "rounded": export.rounded(model)}.items():
        images[kind] = network.decode(z) if asked is None else network.decode(z, asked)
        row[f"frechet_{kind}"] = metrics.frechet_distance(critic.features(images[kind], CHUNK), reference)
        if getattr(model, "reads_captions", False):
            row[f"obeyed_{kind}"] = obeyed(images[kind], test_set.factors)["all"].double().mean().item()
        elif asked is not None:
            row[f"obeyed_{kind}"] = accuracy(images[kind], asked, critic)
    difference = (images["rounded"] - images["stored"]).abs() * 127.5
    return row | {"mean_pixel": difference.mean().item(), "worst_pixel": difference.max().item()}


def rounded_translator(seed: int, device: torch.device, *, name: str) -> dict[str, Any]:
    """Translate test images with the stored weights of 16 bits and with those of 8 bits that pages have. Of facades,
    the 106 test maps: PSNR to the true photos and distance of their textures. Of drawn letters, 2,000 others than in
    training: share in the two colours of their class. ``mean_pixel`` and ``worst_pixel`` are as of :func:`rounded`."""
    model = trained.load(name, device)
    if name == "pix2pix_facades":
        pairs = data.load_domains("from-facades", size=model.shape[-1], split="test", paired=True, device=device)
    else:
        pairs = handwritten(2_000, 1, model.shape[-1]).to(device)
    source, true = pairs.images().unbind(1)
    row, images = {}, {}
    for kind, network in {"stored": model, "rounded": export.rounded(model)}.items():
        fake = images[kind] = network.translate(source)
        if name == "pix2pix_facades":
            row[f"psnr_{kind}"] = distortion(fake, true)["psnr"]
            row[f"texture_{kind}"] = metrics.frechet_distance(patches(fake), patches(true))
        else:
            row[f"colours_{kind}"] = in_colours(fake, pairs.a.labels)
    difference = (images["rounded"] - images["stored"]).abs() * 127.5
    return row | {"mean_pixel": difference.mean().item(), "worst_pixel": difference.max().item()}


def truncated(seed: int, device: torch.device, *, name: str, data_name: str, dials: list[float]) -> dict[str, Any]:
    """Judge 2,000 samples of a class-conditional generator, equally many of each class, from latents that were
    multiplied by a number (``scaled``), and from latents whose numbers beyond it were drawn again (``cut``): Frechet
    distance, precision, recall, confidence, share of the class that was asked for, and mean root of the mean squared
    difference of two images of a class (``variety``)."""
    model, test_set = trained.load(name, device), data.load(data_name, split="test", device=device)
    critic = judge(data_name, model.shape[-1], device)
    reference = critic.features(test_set.draw(SAMPLES), CHUNK)
    labels = common.cycled_labels(SAMPLES, model.num_classes, device)
    row = {}
    for dial in dials:
        generator = torch.Generator().manual_seed(seed)
        z = model.latents(SAMPLES, generator)
        for way, chosen in {"scaled": dial * z, "cut": redrawn(z, dial, generator)}.items():
            found = measured(model.decode(chosen, labels), labels, reference, critic)
            row |= {f"{key}_{way}_{dial:g}": value for key, value in found.items()}
    return row


def half_way(seed: int, device: torch.device, *, name: str, data_name: str) -> dict[str, Any]:
    """Judge 2,000 samples of a class-conditional generator, equally many of each class, from latents half way between
    two others: along the great circle (``circle``), and on the straight line (``line``), where they have the
    distribution of latents that were multiplied by the root of a half. Frechet distance, precision, recall, and share
    of the class that was asked for; ``length`` is the mean length of the latents."""
    model, test_set = trained.load(name, device), data.load(data_name, split="test", device=device)
    critic = judge(data_name, model.shape[-1], device)
    reference = critic.features(test_set.draw(SAMPLES), CHUNK)
    labels = common.cycled_labels(SAMPLES, model.num_classes, device)
    ends = model.latents(2 * SAMPLES, torch.Generator().manual_seed(seed)).view(2, SAMPLES, -1)
    line, lengths = ends.mean(0), ends.norm(dim=2).mean(0)
    directions = (ends / ends.norm(dim=2, keepdim=True)).sum(0)
    circle = directions / directions.norm(dim=1, keepdim=True) * lengths[:, None]
    row = {}
    for way, z in {"circle": circle, "line": line}.items():
        found = measured(model.decode(z, labels), labels, reference, critic) | {"length": z.norm(dim=1).mean().item()}
        row |= {f"{key}_{way}": value for key, value in found.items()}
    return row


def redrawn(z: Tensor, bound: float, generator: torch.Generator) -> Tensor:
    """Latents (n, dim) whose numbers beyond ``bound`` are drawn again until none is: Brock et al. (2019)."""
    z = z.clone()
    while (beyond := z.abs() > bound).any():
        z[beyond] = torch.randn(int(beyond.sum()), generator=generator).to(z)
    return z


def measured(images: Tensor, labels: Tensor, reference: Tensor, critic: Judge) -> dict[str, float]:
    found = critic.features(images, CHUNK)
    row = metrics.evaluate(found, reference, lambda x: x, lambda x: critic.head(x).softmax(1), MEASURED)
    row["accuracy"] = (critic.head(found).argmax(1) == labels).double().mean().item()
    groups = [images[labels == c][:50].flatten(1) for c in range(int(labels.max()) + 1)]
    return row | {"variety": torch.stack([spread(group) for group in groups]).mean().item()}


def spread(images: Tensor) -> Tensor:
    """Mean over pairs of images (n, d) of the root of the mean squared difference."""
    return torch.pdist(images.double()).mean() / images.shape[1] ** 0.5


def truncated_real(seed: int, device: torch.device, *, data_name: str) -> dict[str, Any]:
    """The same measures on 2,000 real training images, in the classes that they are of."""
    train_set, test_set = (data.load(data_name, split=split, device=device) for split in data.SPLITS)
    critic = judge(data_name, train_set.shape[-1], device)
    chosen = data.order(len(train_set), seed, 0, SAMPLES, device)
    reference = critic.features(test_set.draw(SAMPLES), CHUNK)
    return measured(train_set.batch(chosen), train_set.labels[chosen], reference, critic)


def captions_variety(seed: int, device: torch.device, *, name: str, each: int) -> dict[str, Any]:
    """All 60 captions "a red A on a yellow background" of ten characters and six inks, each on one of six backgrounds:
    how much do the answers to one caption differ (mean root of the mean squared difference of two), beside real images
    of which the caption is true, with everything else drawn."""
    model = trained.load(name, device)
    generator = torch.Generator().manual_seed(seed)
    answers, real = [], []
    for i, (character, ink) in enumerate(itertools.product(glyphs.CHARACTERS, glyphs.INKS)):
        background = list(glyphs.BACKGROUNDS)[i % 6]
        words = glyphs.tokens([f"a {ink} {character} on a {background} background"], glyphs.VOCABULARY)
        answers.append(model.sample(each, words.expand(each, -1), generator))
        said = {"character": character, "ink": ink, "background": background}
        real.append(glyphs.make(each, 1_000 * seed + i, model.shape[-1], fixed=said).images().to(device))
    return {
        "variety": _mean_spread(answers),
        "variety_real": _mean_spread(real),
        "ratio": _mean_spread(answers) / _mean_spread(real),
    }


def captions_weight(seed: int, device: torch.device, *, name: str, each: int) -> dict[str, Any]:
    """All 60 captions "a large red A on a plain yellow background" of ten characters and six inks, as they are and with
    "regular" or "bold" after "large": how much of the image is nearer to the ink than to the background? ``bold_...``
    is the share of the images that have more ink than the middle between the medians of both weights, of the same
    caption; ``spread_...`` the standard deviation of the ink's area among the answers that were free in their
    weight."""
    model = trained.load(name, device)
    generator = torch.Generator().manual_seed(seed)
    area: dict[str, list[Tensor]] = {}
    for i, (character, ink) in enumerate(itertools.product(glyphs.CHARACTERS, glyphs.INKS)):
        background = list(glyphs.BACKGROUNDS)[i % 6]
        said = {"character": character, "ink": ink, "background": background, "scale": "large", "texture": "plain"}
        for weight in ("", "regular", "bold"):
            caption = " ".join(f"a large {weight} {ink} {character} on a plain {background} background".split())
            words = glyphs.tokens([caption], glyphs.VOCABULARY).expand(each, -1)
            fixed = said | ({"weight": weight} if weight else {})
            images = {
                "answers": model.sample(each, words, generator),
                "real": glyphs.make(each, 1_000 * seed + i, model.shape[-1], fixed=fixed).images().to(device),
            }
            for kind, x in images.items():
                area.setdefault(f"{weight or 'free'}_{kind}", []).append(_inked(x, ink, background))
    areas, row = {key: torch.stack(values) for key, values in area.items()}, {}
    for kind in ("answers", "real"):
        middle = (areas[f"regular_{kind}"].median(1).values + areas[f"bold_{kind}"].median(1).values) / 2
        for said in ("free", "regular", "bold"):
            row[f"bold_{said}_{kind}"] = (areas[f"{said}_{kind}"] > middle[:, None]).double().mean().item()
        row[f"spread_{kind}"] = areas[f"free_{kind}"].std(1).mean().item()
    return row


def _inked(images: Tensor, ink: str, background: str) -> Tensor:
    """The share of each image's pixels (N, 3, H, W) that are nearer to the ink than to the background."""
    paint, paper = (
        torch.tensor(colour, device=images.device).view(3, 1, 1) / 127.5 - 1
        for colour in (glyphs.INKS[ink], glyphs.BACKGROUNDS[background])
    )
    nearer = (images - paint).square().sum(1) < (images - paper).square().sum(1)
    return nearer.double().mean((1, 2))


def same_latent(seed: int, device: torch.device, *, name: str, latents: int) -> dict[str, Any]:
    """Draw all classes from each of many latents: how much do brightness and slant of a digit correlate with those of
    another class from the same latent (mean over pairs of classes; smallest)? Between different latents, that is 0."""
    model = trained.load(name, device)
    z, k = model.latents(latents, torch.Generator().manual_seed(seed)), model.num_classes
    images = torch.stack([model.decode(z, torch.full((latents,), c, device=device)) for c in range(k)])  # (k, n, ...)
    ink = (images.mean(2).double() + 1) / 2  # (k, n, H, W)
    place = torch.linspace(-0.5, 0.5, ink.shape[-1], dtype=ink.dtype, device=device)
    share = ink / ink.sum((2, 3), keepdim=True).clamp(min=1e-9)
    x = place - (share.sum(2) * place).sum(2)[..., None]  # from the middle of each digit's ink
    y = place - (share.sum(3) * place).sum(2)[..., None]
    down = (share.sum(3) * y.square()).sum(2)
    slant = -torch.einsum("knij,kni,knj->kn", share, y, x) / down.clamp(min=1e-9)  # to the right, per height
    row = {}
    for quantity, values in {"brightness": ink.mean((2, 3)), "slant": slant}.items():
        pairs = torch.corrcoef(values)[tuple(torch.triu_indices(k, k, 1))]
        row |= {quantity: pairs.mean().item(), f"{quantity}_least": pairs.min().item()}
    return row


def _mean_spread(groups: list[Tensor]) -> float:
    return torch.stack([spread(group.flatten(1)) for group in groups]).mean().item()


_DATA = {"conditional_mnist": "mnist", "projection_cifar10": "cifar10-jpeg", "captions_glyphs": "glyphs"}

ENTRIES = {
    **{f"browser_rounded_{name}": Entry(rounded, {"name": name, "data_name": data_name}, range(3))
       for name, data_name in _DATA.items()},
    **{f"browser_rounded_{name}": Entry(rounded_translator, {"name": name}, range(1))
       for name in ("pix2pix_handwritten", "pix2pix_facades")},
    "browser_truncated": Entry(
        truncated, {"name": "conditional_mnist", "data_name": "mnist", "dials": [0.25, 0.5, 0.75, 1.0, 1.5]}, range(3)
    ),
    **{f"browser_half_way_{name}": Entry(half_way, {"name": name, "data_name": _DATA[name]}, range(3))
       for name in ("conditional_mnist", "projection_cifar10")},
    "browser_truncated_real": Entry(truncated_real, {"data_name": "mnist"}, range(3)),
    "browser_same_latent": Entry(same_latent, {"name": "conditional_mnist", "latents": 500}, range(3)),
    "browser_captions_variety": Entry(captions_variety, {"name": "captions_glyphs", "each": 32}, range(3)),
    "browser_captions_weight": Entry(captions_weight, {"name": "captions_glyphs", "each": 32}, range(3)),
}  # fmt: skip
