"""Pairs, one part of pix2pix at a time: its losses, skips, patches and noise; enlarging and colouring; facades."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course import checks, data, metrics
from gan_course.data import DataSet, Domains, downloads, glyphs, translation
from gan_course.metrics.distortion import PEAK
from gan_course.models import common
from gan_course.models.pix2pix import Pix2Pix, UNet
from gan_course.train import loop
from tools.experiments import Entry, defaults, fit
from tools.experiments.colour import commit, publish

INKS = ("red", "green", "blue")  # of the letters; which one, the drawing does not tell
SEEDS = range(5)


# --- the parts that are changed -------------------------------------------------------------------
class L1Only(Pix2Pix):
    """The same generator without an opponent: regression."""

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        checks.check_real(real, self.shape, batches=1)
        source, target = real[0].unbind(1)
        l1 = F.l1_loss(self.generator(source), target)
        common.update(self.optimizer_g, l1)
        self.ema.update(self.generator)
        return common.logged(l1=l1)


class Blind(Pix2Pix):
    """A discriminator that sees the target without the source beside it."""

    def judge(self, source: Tensor, target: Tensor) -> Tensor:
        return super().judge(torch.zeros_like(source), target)


class Bottleneck(UNet):
    """The same layers with zeros in place of what the skips would bring: all must pass the innermost pixel."""

    def forward(self, x: Tensor, noise: bool = False) -> Tensor:
        for down in self.downs:
            x = down(x)
        x = x.relu()
        for i, up in enumerate(self.ups):
            x = up(x if i == 0 else torch.cat([x, torch.zeros_like(x)], 1))
            if i < self.noisy:
                x = F.dropout(x, self.dropout, self.training or noise)
        return x


KINDS = {"both": Pix2Pix, "gan": Pix2Pix, "l1": L1Only, "blind": Blind}


def built(kind: str, shape: tuple[int, ...], skips: bool, **model: Any) -> Pix2Pix:
    translator = KINDS[kind](shape, **model)
    if not skips:
        for network in (translator.generator, translator.ema.network):
            network.__class__ = Bottleneck  # the same weights, another way through them
    return translator


# --- pairs ----------------------------------------------------------------------------------------
def colouring(n: int, seed: int) -> Domains:
    """Drawings of letters, and the letters in one of three inks on white: the drawing does not say which."""
    plain = {"scale": "large", "texture": "plain", "background": "white", "ink": "black"}
    black = glyphs.make(n, seed, 32, fixed=plain)
    numbers = torch.tensor([black.values["ink"].index(name) for name in INKS])
    ink = numbers[torch.randint(len(INKS), (n,), generator=torch.Generator().manual_seed(seed))]
    drawing = DataSet(translation.edges(black.x), black.labels, name="drawings")
    return Domains(drawing, black.changed(ink=ink), paired=True, name="colouring")


def possible(letters: glyphs.Glyphs) -> Tensor:
    """All targets that a drawing may have, ``(inks, n, 3, H, W)``."""
    return torch.stack([letters.changed(ink=name).images() for name in INKS])


def enlarged(images: DataSet) -> Domains:
    """Images at a quarter of their side, brought back by bicubic interpolation, and the images themselves."""
    x = images.x.float()
    small = F.interpolate(x, scale_factor=0.25, mode="area")
    large = F.interpolate(small, scale_factor=4, mode="bicubic").round().clamp(0, 255).to(torch.uint8)
    return Domains(DataSet(large, images.labels, name="enlarged"), images, paired=True, name="enlarged")


def greyed(images: DataSet) -> Domains:
    """Images in grey, by the brightness of ITU-R BT.601, and the images themselves."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    grey = (images.x * weights).sum(1, keepdim=True).round().to(torch.uint8).expand(-1, 3, -1, -1)
    return Domains(DataSet(grey, images.labels, name="grey"), images, paired=True, name="greyed")


TASKS = {"enlarged": enlarged, "greyed": greyed}


def jittered(size: int, device: torch.device) -> Domains:
    """The facades of the training split, maps to photos: five crops of slightly larger images, each also mirrored."""
    whole = data.load_domains("from-facades", size=size + size // 8, paired=True)
    far, middle = size // 8, size // 16
    sides = []
    for side in (whole.a, whole.b):
        crops = [side.x[:, :, i : i + size, j : j + size] for i, j in
                 ((middle, middle), (0, 0), (0, far), (far, 0), (far, far))]  # fmt: skip
        crops += [crop.flip(3) for crop in crops]
        sides.append(DataSet(torch.cat(crops), name=side.name))
    return Domains(*sides, paired=True, name="from-facades, jittered").to(device)


# --- measuring ------------------------------------------------------------------------------------
def sharpness(images: Tensor) -> float:
    """Mean absolute difference of neighbouring pixels, to the right and below."""
    return (images.diff(dim=3).abs().mean() + images.diff(dim=2).abs().mean()).item() / 2


def patches(images: Tensor, side: int = 8) -> Tensor:
    """Squares of 8x8 pixels, every four pixels, ``(n, 192)``: what a Frechet distance of textures compares."""
    return F.unfold(images, side, stride=side // 2).transpose(1, 2).flatten(0, 1)


def distortion(fake: Tensor, true: Tensor) -> dict[str, float]:
    """How far translations are from the truth, and how sharp beside it; PSNR is that of all images together, because an
    answer that is exactly right has infinitely many decibels by itself."""
    mse = (fake - true).square().mean().item()
    return {
        "l1": (fake - true).abs().mean().item(),
        "mse": mse,
        "psnr": 10 * math.log10(PEAK**2 / mse),
        "ssim": metrics.ssim(fake, true).mean().item(),
        "sharpness": sharpness(fake) / sharpness(true),
    }


def coloured(fake: Tensor, test_set: Domains) -> dict[str, float]:
    """The same for letters, and what only this world can tell: how far is the nearest *possible* truth?"""
    true, all_true = test_set.b.images(), possible(test_set.b)
    error = (fake - all_true).square().mean((2, 3, 4))  # (inks, n)
    inside = (all_true[0] - all_true[1]).abs().mean(1, keepdim=True) > 0.25  # pixels of the letter
    colour, colours = ((x * inside).sum((-2, -1)) / inside.sum((-2, -1)) for x in (fake, all_true))  # (.., n, 3)
    ink = (fake - all_true).square().sum(2).argmin(0)  # (n, 32, 32): which one is nearest to this pixel?
    votes = torch.stack([((ink == i) & inside[:, 0]).sum((1, 2)) for i in range(len(INKS))])
    critic = metrics.judge("glyphs", 32, fake.device)
    return {
        **distortion(fake, true),
        "nearest": error.min(0).values.mean().item(),
        "colour": ((colour - colours).norm(dim=2).min(0).values.mean() * 127.5).item(),
        "one_ink": (votes.max(0).values / inside.sum((1, 2, 3))).mean().item(),  # share of the letter in its main ink
        "inks": (error.argmin(0).bincount(minlength=len(INKS)) / len(fake)).tolist(),
        "class_kept": (critic.logits(fake).argmax(1) == test_set.b.labels).float().mean().item(),
        "frechet": metrics.frechet_distance(critic.features(fake), critic.features(true)),
    }


def variety(translator: Pix2Pix, source: Tensor, true: Tensor, draws: int = 8) -> float:
    """Standard deviation of a pixel over translations of one source by dropout, over that of possible truths: roots of
    mean variances, so that one of the possible truths by lot has 1."""
    torch.manual_seed(0)
    drawn = torch.stack([translator.translate(source, noise=True) for _ in range(draws)])
    return (drawn.var(0).mean() / true.var(0, correction=0).mean()).sqrt().item()


# --- rows -----------------------------------------------------------------------------------------
def letters(
    seed: int, device: torch.device, *,
    kind: str, skips: bool, images: int, steps: int, batch: int, decay_from: int, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train on drawings of letters and the letters in one of three inks; measure translations of 500 other drawings."""
    train_set, test_set = colouring(images, 0).to(device), colouring(500, 1).to(device)
    torch.manual_seed(seed)
    translator = built(kind, train_set.shape, skips, **model).to(device)
    history = fit(translator, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)
    source, true = test_set.images().unbind(1)
    all_true = possible(test_set.b)
    row = coloured(translator.translate(source), test_set)
    row["median_error"] = (translator.translate(source) - all_true.median(0).values).abs().mean().item()
    if translator.settings["dropout"]:
        row["variety"] = variety(translator, source, all_true)
        with_noise = translator.translate(source, noise=True)
        row["with_noise"] = coloured(with_noise, test_set)
    return row | {f"last_{name}": value for name, value in history.rows[-1].items() if name.startswith("loss")}


def answers(seed: int, device: torch.device, *, images: int) -> dict[str, Any]:
    """What could be answered to 500 drawings: the median and the mean of all possible truths, one of them at random;
    and how far the letters of other drawings are, of other shapes."""
    test_set = colouring(images, 1).to(device)
    all_true = possible(test_set.b)
    chosen = torch.randint(len(INKS), (images,), generator=torch.Generator().manual_seed(100 + seed))
    others = colouring(images, 2 + seed)
    critic = metrics.judge("glyphs", 32, device)
    far = metrics.frechet_distance(critic.features(others.b.images()), critic.features(test_set.b.images()))
    return {
        "median": coloured(all_true.median(0).values, test_set),
        "mean": coloured(all_true.mean(0), test_set),
        "random": coloured(all_true[chosen, torch.arange(images)], test_set),
        "others": far,
    }


def restored(
    seed: int,
    device: torch.device,
    *,
    data_name: str,
    task: str,
    kind: str,
    steps: int,
    batch: int,
    decay_from: int,
    **model: Any,
) -> dict[str, Any]:
    """Enlarge small photos four times, or colour grey ones: translations of 1,000 test images, beside the source as
    it is (bicubic interpolation, or grey), and how many the judge of the data still reads."""
    train_set = TASKS[task](data.load(data_name, device=device))
    test_set = TASKS[task](data.load(data_name, split="test", device=device, limit=1_000))
    torch.manual_seed(seed)
    translator = built(kind, train_set.shape, True, **model).to(device)
    fit(translator, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)
    source, true = test_set.images().unbind(1)
    critic = metrics.judge(data_name, train_set.shape[-1], device)

    def judged(images: Tensor) -> dict[str, float]:
        return {
            **distortion(images, true),
            "class_kept": (critic.logits(images).argmax(1) == test_set.b.labels).float().mean().item(),
            "frechet": metrics.frechet_distance(critic.features(images), critic.features(true)),
        }

    other = data.load(data_name, device=device).draw(1_000, seed)
    far = metrics.frechet_distance(critic.features(other), critic.features(true))
    real = (critic.logits(true).argmax(1) == test_set.b.labels).float().mean().item()
    return {**judged(translator.translate(source)), "source": judged(source), "others": far, "class_real": real}


PALETTE = [(0, 0, 170), (0, 0, 255), (0, 85, 255), (0, 170, 255), (0, 255, 255), (85, 255, 170),
           (170, 255, 85), (255, 255, 0), (255, 170, 0), (255, 85, 0), (255, 0, 0), (170, 0, 0)]  # fmt: skip


def parts(maps: Tensor) -> Tensor:
    """The numbers ``(n, H, W)`` of the parts of a facade in a map, by the nearest of the twelve colours."""
    colours = torch.tensor(PALETTE, device=maps.device).float().div(127.5).sub(1)
    return (maps[:, None] - colours[None, :, :, None, None]).square().sum(2).argmin(1)


@functools.cache
def reader(size: int, device: torch.device) -> L1Only:
    """A translator of the way back, photos to maps, by L1 alone, trained on real training photos: it reads the parts of
    a facade in a photo, as the FCN does that the paper measures by."""
    maps_to_photos = jittered(size, device)
    pairs = Domains(maps_to_photos.b, maps_to_photos.a, paired=True, name="facades")
    torch.manual_seed(0)
    back = L1Only(pairs.shape, width=16, lr_g=1e-3, dropout=0.0).to(device)
    fit(back, pairs, 800, batch=8, seed=0, decay_from=400, progress=False)
    return back


def photographed(fake: Tensor, test_set: Domains, device: torch.device) -> dict[str, float]:
    """How far from the true photos; how far are their textures; how many pixels does the reader still read."""
    source, true = test_set.images().unbind(1)
    read = reader(source.shape[-1], device).translate(fake)
    return {
        **distortion(fake, true),
        "texture": metrics.frechet_distance(patches(fake), patches(true)),
        "parts_read": (parts(read) == parts(source)).float().mean().item(),
    }


def facades(
    seed: int, device: torch.device, *,
    kind: str, size: int, steps: int, batch: int, decay_from: int, leak: bool, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train on maps and photos of 400 facades for a short while; measure translations of the 106 test maps. With
    ``leak`` the test split is trained on as well: what a program that does so would report."""
    train_set = jittered(size, device)
    test_set = data.load_domains("from-facades", size=size, split="test", paired=True, device=device)
    if leak:
        a, b = (DataSet(torch.cat([s.x, *[t.x] * 10]), name=s.name)
                for s, t in ((train_set.a, test_set.a), (train_set.b, test_set.b)))  # fmt: skip
        train_set = Domains(a, b, paired=True, name="from-facades, with the test split")
    torch.manual_seed(seed)
    translator = built(kind, train_set.shape, True, **model).to(device)
    fit(translator, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, progress=False)
    return photographed(translator.translate(test_set.a.images()), test_set, device)


def facades_real(seed: int, device: torch.device, *, size: int) -> dict[str, Any]:
    """The same measures on the true photos, on 106 training photos, and on the mean photo of the training split."""
    test_set = data.load_domains("from-facades", size=size, split="test", paired=True, device=device)
    train_set = data.load_domains("from-facades", size=size, paired=True, device=device)
    other, true = train_set.b.draw(len(test_set.b), seed), test_set.b.images()
    mean = train_set.b.images().mean(0).expand_as(true)
    read = reader(size, device).translate(true)
    return {
        "texture": metrics.frechet_distance(patches(other), patches(true)),
        "parts_read": (parts(read) == parts(test_set.a.images())).float().mean().item(),
        "wall": (parts(test_set.a.images()) == 1).float().mean().item(),
        "other": distortion(other, true),
        "mean": photographed(mean, test_set, device),
    }


def facades_long(
    seed: int, device: torch.device, *,
    name: str, size: int, steps: int, batch: int, decay_from: int, every: int, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train pix2pix from maps to photos of facades for a long time, and judge translations of the 106 test maps, which
    nothing is trained on, at every snapshot; the generator of seed 0 is kept."""
    train_set = jittered(size, device)
    test_set = data.load_domains("from-facades", size=size, split="test", paired=True, device=device)
    source, folder = test_set.a.images(), downloads.cache_root() / "runs" / f"{name}_{seed}"
    torch.manual_seed(seed)
    translator = Pix2Pix(train_set.shape, **model).to(device)
    snapshots = folder / "translations"
    snapshots.mkdir(parents=True, exist_ok=True)

    def keep(translator: nn.Module) -> dict[str, float]:
        updates = list(translator.optimizer_g.state.values())
        step = int(updates[0]["step"]) if updates else 0
        torch.save(translator.translate(source), snapshots / f"{step:06d}.pt")
        return {}

    history = loop.fit(
        translator, train_set, steps, batch=batch, seed=seed, decay_from=decay_from, precision="float32",
        channels_last=False, snapshot_every=every, probe=keep, checkpoint_seconds=120, out=folder / "run",
    )  # fmt: skip
    curve = []
    for path in sorted(snapshots.glob("*.pt")):
        measured = photographed(torch.load(path, weights_only=True).to(device), test_set, device)
        curve.append([int(path.stem), *(round(measured[key], 4) for key in ("psnr", "texture", "parts_read"))])
    known = train_set.a.images(400)  # the middle crops, as they are
    on_train = distortion(translator.translate(known), train_set.b.images(400))
    row = {**measured, "curve": curve, "train": on_train, "training_seconds": history["seconds"][-1]}
    shown = torch.cat([source[:16], translator.translate(source[:16]), test_set.b.images(16)])
    return {**row, "commit": commit()} | (publish(translator, name, shown, 16) if seed == 0 else {})


# --- tables ---------------------------------------------------------------------------------------
_MODEL = {**defaults(Pix2Pix), "dropout": 0.0}
_LETTERS = {**_MODEL, "kind": "both", "skips": True, "images": 2_000, "steps": 1_000, "batch": 8,
            "decay_from": 500, "width": 8, "patch": 34, "lr_g": 2e-3, "lr_d": 3e-4}  # fmt: skip
_PHOTOS = {**_MODEL, "data_name": "cifar10-jpeg", "steps": 500, "batch": 16, "decay_from": 250,
           "width": 16, "patch": 16, "lr_g": 1e-3, "lr_d": 3e-4}  # fmt: skip
_FACADES = {**_MODEL, "kind": "both", "size": 64, "steps": 500, "batch": 4, "decay_from": 250, "leak": False,
            "width": 16, "patch": 34, "lr_g": 5e-4, "lr_d": 5e-4}  # fmt: skip
_LONG = {**_MODEL, "name": "pix2pix_facades", "size": 64, "steps": 34_000, "batch": 4, "decay_from": 17_000,
         "every": 2_000, "width": 14, "patch": 34, "dropout": 0.5}  # fmt: skip

ENTRIES = {
    "pix2pix_letters_answers": Entry(answers, {"images": 500}, SEEDS),
    **{f"pix2pix_letters_{name}": Entry(letters, {**_LETTERS, **changed}, SEEDS) for name, changed in {
        "l1": {"kind": "l1"},
        "both": {},
        "gan": {"kind": "gan", "l1": 0.0},
        "both_20": {"l1": 20.0},
        "both_5": {"l1": 5.0},
        "patch_16": {"patch": 16},
        "blind": {"kind": "blind", "l1": 0.0},
        "no_skips": {"skips": False},
        "l1_no_skips": {"kind": "l1", "skips": False},
        "noise": {"dropout": 0.5},
    }.items()},
    "pix2pix_facades_real": Entry(facades_real, {"size": 64}, range(3)),
    **{f"pix2pix_facades_{name}": Entry(facades, {**_FACADES, **changed}, SEEDS) for name, changed in {
        "l1": {"kind": "l1"},
        "patch_1": {"patch": 1},
        "patch_16": {"patch": 16},
        "patch_34": {},
        "patch_70": {"patch": 70},
        "leak": {"leak": True},
    }.items()},
    **{f"pix2pix_{task}_{kind}": Entry(restored, {**_PHOTOS, "task": task, "kind": kind}, range(3))
       for task in TASKS for kind in ("l1", "both")},
    "pix2pix_facades": Entry(facades_long, _LONG, range(1)),
}  # fmt: skip
