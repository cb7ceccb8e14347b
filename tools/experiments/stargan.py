"""StarGAN: one translator for many domains whose truth is known, and one CycleGAN for each pair of them."""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, l1_loss

from gan_course import data
from gan_course.data import DataSet, Domains, downloads, glyphs, translation
from gan_course.metrics import judge
from gan_course.models import cyclegan, stargan
from gan_course.models.cyclegan import CycleGAN
from gan_course.models.stargan import StarGAN
from gan_course.train import loop
from tools.experiments import Entry, defaults, fit
from tools.experiments.colour import commit, publish

FACTORS = stargan.GLYPH_FACTORS
KEPT = ("ink", "background", "weight", "slant", "scale", "texture")  # beside the character
STYLES = ("plain", "glow", "copper")  # bright strokes on dark paper


def characters(
    seed: int, device: torch.device, *, name: str, size: int, limit: int, steps: int, batch: int,
    decay_from: int | None, precision: str, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train StarGAN on characters of all inks, backgrounds and weights. Of 500 test characters one factor at a time is
    changed to another value. Does the judge read the new value (reached: the least share over the three factors), and
    character, slant, scale, texture and the two other factors as they were (kept: the least share over all of them)?
    The same for the true partners; then each by itself, with the font family, and the error (share of the partners'
    variance) beside that of the source. Seed 0 is kept."""
    shared = {"fixed": {"family": glyphs.COMPLETE_FAMILIES}}  # in which all factors are independent
    train_set = glyphs.make(limit, glyphs.SPLIT_SEEDS["train"], size, **shared).labelled(*FACTORS).to(device)
    test_set = glyphs.make(500, glyphs.SPLIT_SEEDS["test"], size, **shared)
    torch.manual_seed(seed)
    translator = StarGAN(train_set.shape, len(train_set.classes), **model).to(device)
    history = loop.fit(
        translator, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, precision=precision,
        channels_last=True, progress=False, out=downloads.cache_root() / "runs" / f"{name}_{seed}",
    )  # fmt: skip
    critic, row = judge("glyphs", size, device), {}
    for factor in FACTORS:
        changed = test_set.changed(**{factor: elsewhere(test_set, factor)})
        source, target = test_set.images().to(device), changed.images().to(device)
        made = translator.translate(source, changed.labelled(*FACTORS).labels)
        row |= _read(critic, made, changed, factor, "")
        row |= _read(critic, target, changed, factor, "real_")
        row[f"error_{factor}"], row[f"error_source_{factor}"] = _error(made, target), _error(source, target)
    least = {kind: min(v for k, v in row.items() if k.startswith(kind)) for kind in ("reached_", "kept_", "real_kept_")}
    row = {kind[:-1]: value for kind, value in least.items()} | row
    row |= {"cycle": history["cycle"][-1], "training_seconds": history["seconds"][-1], "commit": commit()}
    return row | (publish(translator, name, sheet(translator, test_set, device), 15) if seed == 0 else {})


def told(
    seed: int, device: torch.device, *,
    size: int, limit: int, steps: int, batch: int, decay_from: int, precision: str,
    width: int, downs: int, blocks: int, norm: str, lr_g: float, beta1: float, beta2: float,
) -> dict[str, Any]:  # fmt: skip
    """Train the generator of ``characters`` alone, by its mean absolute distance to the truth: once to the character in
    the domain that is asked for (partner), once to the very image that came in (same). What does the judge read, and
    how large is the distance to test characters (distance), beside the one by which characters differ from those
    without a texture (distance_texture)? What a network of this size can draw after so many steps."""
    shared = {"fixed": {"family": glyphs.COMPLETE_FAMILIES}}
    train_set = glyphs.make(limit, glyphs.SPLIT_SEEDS["train"], size, **shared).to(device)
    test_set = glyphs.make(500, glyphs.SPLIT_SEEDS["test"], size, **shared)
    order = torch.randperm(limit, generator=torch.Generator().manual_seed(seed))  # whose domain is asked for
    asked = train_set.changed(**{factor: train_set.factors[factor][order] for factor in FACTORS})
    critic, row, words = judge("glyphs", size, device), {}, sum(len(train_set.values[factor]) for factor in FACTORS)
    for kind, truth in (("partner", asked), ("same", train_set)):
        torch.manual_seed(seed)
        generator = stargan.Generator(3, words, width, downs, blocks, norm).to(device)
        optimizer = torch.optim.Adam(generator.parameters(), lr_g, (beta1, beta2))
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1, (steps - i) / (steps - decay_from)))
        labels = truth.labelled(*FACTORS).labels
        for _ in range(steps):
            which = torch.randint(limit, (batch,)).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                made = generator(train_set.x[which] / 127.5 - 1, labels[which])
            optimizer.zero_grad()
            l1_loss(made.float(), truth.x[which] / 127.5 - 1).backward()
            optimizer.step()
            rate.step()
        generator.eval()
        for factor in FACTORS if kind == "partner" else ("nothing",):
            goal = test_set.changed(**{factor: elsewhere(test_set, factor)}) if kind == "partner" else test_set
            with torch.no_grad():
                made = generator(test_set.images().to(device), goal.labelled(*FACTORS).labels.to(device))
            row |= {f"{kind}_{k}": v for k, v in _read(critic, made, goal, factor, "").items()}
            row[f"{kind}_distance_{factor}"] = l1_loss(made, goal.images().to(device)).item()
    smooth = test_set.changed(texture="plain").images()
    return row | {"distance_texture": l1_loss(test_set.images(), smooth).item(), "commit": commit()}


def elsewhere(images: glyphs.Glyphs, factor: str) -> Tensor:
    """Another value of a factor for each image, drawn uniformly with a fixed seed, ``(N,)``."""
    n, draw = len(images.values[factor]), torch.Generator().manual_seed(5)
    return (images.factors[factor] + 1 + torch.randint(n - 1, (len(images),), generator=draw)) % n


def _read(critic: Any, images: Tensor, truth: glyphs.Glyphs, factor: str, kind: str) -> dict[str, float]:
    """The shares of images in which the judge reads the changed factor, and every other one, right."""
    found = {**critic.factors(images), "character": critic.logits(images).argmax(1)}
    right = {name: (found[name].cpu() == truth.factors[name]).float().mean().item() for name in found}
    kept = {f"{kind}kept_{name}_by_{factor}": right[name] for name in ("character", *KEPT) if name != factor}
    reached = {f"{kind}reached_{factor}": right[factor]} if factor in right else {}
    return reached | kept | {f"{kind}family_by_{factor}": right["family"]}


def sheet(translator: StarGAN, images: glyphs.Glyphs, device: torch.device) -> Tensor:
    """Ten characters, each beside its translations to all inks, all backgrounds and both weights."""
    source, labels, first = images.images(10).to(device), images.labelled(*FACTORS).labels[:10], 0
    columns = [source]
    for place, factor in enumerate(FACTORS):
        for value in range(len(images.values[factor])):
            asked = labels.clone()
            asked[:, place] = first + value
            columns.append(translator.translate(source, asked))
        first += len(images.values[factor])
    return torch.stack(columns, 1).flatten(0, 1)


def digits(
    seed: int, device: torch.device, *,
    styles: Sequence[str], size: int, steps: int, batch: int, decay_from: int | None, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train StarGAN on digits of several styles, the first of which is plain. In all directions, is a translated test
    digit nearest to its partner in the style that was asked for (reached), and does the judge read the right digit
    (kept)? How well do its deviations from the mean image of the style agree with the partner's (agreement, a cosine:
    1 is perfect, -1 has strokes and gaps exchanged)? The least of all directions, then each; with numbers of weights,
    the seconds of one core, the last cycle loss, and the critic's mean estimate E D(x) - E D(G) in the first half."""
    torch.manual_seed(seed)
    train_set = translation.in_turn(data.load("digits", size=size, channels=3), *styles[1:]).to(device)
    translator = StarGAN(train_set.shape, len(styles), **model).to(device)
    began = time.process_time()
    history = fit(
        translator, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, log_every=20, progress=False
    )
    seconds = time.process_time() - began
    early = [w for step, w in zip(history["step"], history["wasserstein"], strict=True) if step <= steps // 2]

    def translate(x: Tensor, a: int, b: int) -> Tensor:
        return translator.translate(x, torch.full((len(x),), b))

    return _directions(translate, styles, size, device) | {
        "generators": 1, "weights_g": _weights(translator.generator), "weights_d": _weights(translator.critic),
        "cpu_seconds": seconds, "cycle": history["cycle"][-1], "early_wasserstein": sum(early) / len(early),
    }  # fmt: skip


def pairs(
    seed: int, device: torch.device, *, styles: Sequence[str], size: int, steps: int, batch: int, **model: Any
) -> dict[str, Any]:
    """Train a CycleGAN for each pair of styles, on the same digits; the numbers are as of ``digits``."""
    torch.manual_seed(seed)
    whole = translation.in_turn(data.load("digits", size=size, channels=3), *styles[1:]).to(device)
    parts = [DataSet(whole.x[whole.labels == i], name=style) for i, style in enumerate(styles)]
    models, began = {}, time.process_time()
    for a, b in itertools.combinations(range(len(styles)), 2):
        both = Domains(parts[a], parts[b], paired=False, name=f"{styles[a]} {styles[b]}")
        models[a, b] = CycleGAN(both.shape, **model).to(device)
        fit(models[a, b], both, steps, batch=batch, seed=seed, progress=False)
    seconds = time.process_time() - began

    def translate(x: Tensor, a: int, b: int) -> Tensor:
        return models[a, b].translate(x) if a < b else models[b, a].translate(x, "ba")

    networks = models.values()
    return _directions(translate, styles, size, device) | {
        "generators": 2 * len(models), "weights_g": sum(_weights(m.generator) for m in networks),
        "weights_d": sum(_weights(m.discriminator) for m in networks), "cpu_seconds": seconds,
    }  # fmt: skip


def _directions(
    translate: Callable[[Tensor, int, int], Tensor], styles: Sequence[str], size: int, device: torch.device
) -> dict[str, float]:
    """Measure a translator between all styles of the test digits."""
    plain = data.load("digits", size=size, channels=3, split="test")
    sets = [plain, *(translation.partners(plain, task) for task in styles[1:])]
    truth, labels = torch.stack([one.images() for one in sets]).to(device), plain.labels.to(device)
    row = {}
    for a, b in itertools.permutations(range(len(styles)), 2):
        made, way = translate(truth[a], a, b), f"{styles[a]}_{styles[b]}"
        nearest = (made - truth).square().mean((2, 3, 4)).argmin(0)
        row[f"reached_{way}"] = (nearest == b).float().mean().item()
        row[f"kept_{way}"] = (_digit(made, styles[b]) == labels).float().mean().item()
        deviations = [(x - truth[b].mean(0)).flatten(1) for x in (made, truth[b])]
        row[f"agreement_{way}"] = cosine_similarity(*deviations).mean().item()
        row[f"error_{way}"] = _error(made, truth[b])
        row[f"real_kept_{way}"] = (_digit(truth[b], styles[b]) == labels).float().mean().item()
    kinds = ("reached_", "kept_", "agreement_", "real_kept_")
    return {kind[:-1]: min(v for k, v in row.items() if k.startswith(kind)) for kind in kinds} | row


def _digit(images: Tensor, style: str) -> Tensor:
    """What the judge reads in images of a style, which is undone by a fixed rule."""
    grey = images.mean(1, keepdim=True) if style == STYLES[0] else translation.undo(images, style)
    return judge("digits", grey.shape[-1], grey.device).logits(grey).argmax(1)


def _error(made: Tensor, true: Tensor) -> float:
    """Mean squared error over the variance of the true images around their mean image."""
    return ((made - true).square().mean() / true.var(0, correction=0).mean()).item()


def _weights(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


_GLYPHS = {
    **defaults(StarGAN, "num_classes"), **stargan.RECIPES["glyphs"], "name": "stargan_glyphs", "limit": 8_000,
    "decay_from": 1_200, "precision": "bf16",
}  # fmt: skip
_TOLD = {name: _GLYPHS[name] for name in inspect.signature(told).parameters if name in _GLYPHS}
_DIGITS = {
    **defaults(StarGAN, "num_classes", "groups"), "width": 16, "downs": 1, "blocks": 2, "norm": "batch",
    "lr_g": 1e-3, "lr_d": 1e-3, "styles": STYLES, "size": 16, "batch": 32, "steps": 400, "decay_from": 200,
}  # fmt: skip
_PAIRS = {**defaults(CycleGAN), **cyclegan.RECIPES["neon-digits"], "styles": STYLES}

ENTRIES = {
    "stargan_glyphs": Entry(characters, _GLYPHS, range(5)),
    "stargan_glyphs_told": Entry(told, _TOLD, range(3)),
    "stargan_digits": Entry(digits, _DIGITS, range(5)),
    "stargan_digits_lagging": Entry(digits, {**_DIGITS, "n_critic": 2}, range(5)),
    "stargan_digits_pairs": Entry(pairs, _PAIRS, range(5)),
}
