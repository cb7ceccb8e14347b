"""GANs and classifiers: train on samples, add them to few images, attack, defend, detect, reuse features, leak.

The chapter "GANs and classifiers" has the small functions (classifier, attacks, AdvGAN, scores) written out as well;
``tests/test_classifiers.py`` holds the two to the same numbers. Images lie in [-1, 1], so a bound ``eps`` is half of
what it would be as a share of the range from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn.functional import (
    affine_grid,
    cross_entropy,
    grid_sample,
    kl_div,
    log_softmax,
    one_hot,
    pad,
    softplus,
)

from gan_course import data, metrics
from gan_course.models import common
from gan_course.models.conditional import RECIPES, ConditionalGAN
from gan_course.models.gan import GAN
from gan_course.models.gan import RECIPES as GAN_RECIPES
from tools.experiments import Entry, defaults, fit

Change = Callable[[Tensor, torch.Generator], Tensor]


# --- a classifier, and how it is judged -----------------------------------------------------------


def network(shape: tuple[int, ...], kind: str = "cnn", width: int = 16) -> nn.Sequential:
    """Return a classifier of images ``(C, H, W)`` into ten classes: "cnn", "mlp" or "linear". It gives logits."""
    channels, height, width_px = shape
    if kind == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 10))
    if kind == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shape), 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
            nn.Linear(128, 10),
        )  # fmt: skip
    layers = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
    while height > 4:
        layers += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.ReLU()]
        width, height, width_px = 2 * width, height // 2, width_px // 2
    features = width * height * width_px
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 10))


def learn(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    steps: int,
    seed: int,
    *,
    change: Change | None = None,
    batch: int = 64,
    lr: float = 2e-3,
) -> nn.Module:
    """Train a classifier by cross-entropy for ``steps`` updates; ``change`` alters each batch. Return it in eval mode.

    The learning rate falls linearly to 0. There is no early stopping, hence nothing that could look at other images.
    """
    draw = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(net.parameters(), lr)
    net.train()
    for step in range(steps):
        adam.param_groups[0]["lr"] = lr * (1 - step / steps)
        i = torch.randint(len(x), (batch,), generator=draw).to(x.device)
        shown = x[i] if change is None else change(x[i], draw)
        common.update(adam, cross_entropy(net(shown), y[i]))
    return net.eval()


def trained(x: Tensor, y: Tensor, steps: int, seed: int, kind: str = "cnn", change: Change | None = None) -> nn.Module:
    """Return a new classifier that has learned from ``x`` and ``y``; ``seed`` gives its first weights and batches."""
    torch.manual_seed(seed)
    return learn(network(tuple(x.shape[1:]), kind).to(x.device), x, y, steps, seed, change=change)


@torch.no_grad()
def logits_of(net: nn.Module, x: Tensor) -> Tensor:
    """Logits ``(n, 10)`` in passes over 2,000 images."""
    return torch.cat([net(part) for part in x.split(2_000)])


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of images that are read correctly."""
    return (logits_of(net, x).argmax(1) == y).double().mean().item()


def calibration_error(logits: Tensor, y: Tensor, bins: int = 10) -> float:
    """The expected calibration error: the mean of abs(accuracy - confidence) over equally wide bins of confidence."""
    confidence, read = logits.double().softmax(1).max(1)
    right = (read == y).double()
    place = (confidence * bins).long().clamp(max=bins - 1)
    gaps = [(right[place == b] - confidence[place == b]).sum().abs() for b in range(bins)]
    return (sum(gaps) / len(y)).item()


def calibration_floor(logits: Tensor, draws: int = 200) -> tuple[float, float]:
    """The calibration error of a perfectly calibrated reader with these logits: its median and its 95 % quantile.

    Labels are drawn as the logits say, ``draws`` times. A mean of absolute values is above 0 even so.
    """
    g = torch.Generator().manual_seed(0)
    p = logits.double().softmax(1).cpu()
    found = sorted(calibration_error(p.log(), torch.multinomial(p, 1, generator=g)[:, 0]) for _ in range(draws))
    return found[draws // 2], found[int(0.95 * draws)]


def shifted(x: Tensor, draw: torch.Generator) -> Tensor:
    """Move each image by -1, 0 or 1 pixels along each axis; black (-1) comes in from outside."""
    moves = torch.randint(3, (2, len(x)), generator=draw).to(x.device)
    h, w = x.shape[2:]
    rows = (torch.arange(h, device=x.device) + moves[0][:, None])[:, None, :, None]
    columns = (torch.arange(w, device=x.device) + moves[1][:, None])[:, None, None, :]
    channels = torch.arange(x.shape[1], device=x.device)[None, :, None, None]
    each = torch.arange(len(x), device=x.device)[:, None, None, None]
    return pad(x, (1, 1, 1, 1), value=-1.0)[each, channels, rows, columns]


def turned(x: Tensor, draw: torch.Generator) -> Tensor:
    """Turn each image by up to 10 degrees and move it by up to half a pixel along each axis, bilinearly.

    Black (-1) comes in from outside.
    """
    u = (2 * torch.rand(3, len(x), generator=draw) - 1).to(x)
    angle, across, down = math.pi / 18 * u[0], u[1] / x.shape[3], u[2] / x.shape[2]  # the side has length 2
    rows = [torch.stack([angle.cos(), -angle.sin(), across], 1), torch.stack([angle.sin(), angle.cos(), down], 1)]
    grid = affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return grid_sample(x + 1, grid, align_corners=False) - 1  # zeros come in from outside


def both_splits(name: str, size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return training images and labels, then test images and labels."""
    sets = [data.load(name, size=size, split=split, device=device) for split in ("train", "test")]
    return tuple(part for one in sets for part in (one.images(), one.labels))


def few_labels(y: Tensor, per_class: int, seed: int) -> Tensor:
    """Indices of ``per_class`` images of each class, drawn with the seed."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed)).to(y.device)
    return torch.cat([order[y[order] == c][:per_class] for c in range(10)])


def conditional(x: Tensor, y: Tensor, seed: int, steps: int, batch: int, model: dict[str, Any]) -> ConditionalGAN:
    """Train a class-conditional GAN on images in [-1, 1] with labels, and on nothing else."""
    images = data.DataSet(((x + 1) * 127.5).round().to(torch.uint8), y, name="part", classes=list(map(str, range(10))))
    torch.manual_seed(seed)
    gan = ConditionalGAN(images.shape, 10, **model).to(x.device)
    fit(gan, images, steps, batch=batch, seed=seed, progress=False)
    return gan


# --- 1 and 2: samples as training images ----------------------------------------------------------


def synthetic(
    seed: int, device: torch.device, *, data_name: str, size: int, steps: int, batch: int, learn_steps: int,
    many: int, kind: str, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a class-conditional GAN and classifiers on its samples; test them on the real test images.

    All classifiers begin with the same weights and make the same number of updates. ``fake`` learns from as many
    samples as there are real images, with their labels, ``fake_many`` from ``many`` samples, ``both`` from all real
    images and as many samples. ``real_on_fake`` is the accuracy of ``real`` on samples; ``ece`` is the expected
    calibration error on the test images, ``floor`` what a calibrated reader with the same logits gets in 19 of 20
    draws; ``recalls`` are the accuracies by class. ``ahead`` and ``behind`` count the test images that only this
    classifier, or only ``real``, reads correctly. ``frechet`` is the distance of as many samples as there are test
    images, ``frechet_real`` that of as many training images, which the judge has seen.
    """
    x, y, test_x, test_y = both_splits(data_name, size, device)
    gan = conditional(x, y, seed, steps, batch, model)
    draw = torch.Generator().manual_seed(seed)
    fake, fake_many = gan.sample(len(y), y, draw), gan.sample(many, common.cycled_labels(many, 10, device), draw)
    sets = {
        "real": (x, y),
        "fake": (fake, y),
        "fake_many": (fake_many, common.cycled_labels(many, 10, device)),
        "both": (torch.cat([x, fake]), y.repeat(2)),
    }
    row: dict[str, Any] = {}
    of_real = torch.zeros(0)
    for name, (images, labels) in sets.items():
        net = trained(images, labels, learn_steps, seed, kind)
        logits = logits_of(net, test_x)
        right = logits.argmax(1) == test_y
        row[name] = right.double().mean().item()
        row[f"ece_{name}"] = calibration_error(logits, test_y)
        row[f"floor_{name}"] = calibration_floor(logits)[1]
        row[f"recalls_{name}"] = [round(right[test_y == c].double().mean().item(), 4) for c in range(10)]
        if name == "real":
            row["real_on_fake"] = accuracy(net, fake, y)
            of_real = right
        else:
            row |= {f"ahead_{name}": int((right & ~of_real).sum()), f"behind_{name}": int((of_real & ~right).sum())}
    critic, n = metrics.judge(data_name, size, device), len(test_x)
    pick = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:n].to(device)
    for name, images in {"frechet": fake[pick], "frechet_real": x[pick]}.items():
        row[name] = metrics.summarize(images, test_x, critic)["frechet"]
    return row


def few(
    seed: int, device: torch.device, *, data_name: str, size: int, per_class: int, steps: int, batch: int,
    learn_steps: int, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Learn from ``per_class`` real images of each class: as they are, shifted, and with samples of a GAN.

    The images are drawn with the seed; the GAN and all classifiers see these alone, and the classifiers make equally
    many updates from the same first weights. With ``mixed``, half of the images to draw from are samples;
    ``shifted_mixed`` shifts both. The GAN of ``mixed_shifted_gan`` was trained on shifted copies, 20 of each image.
    """
    all_x, all_y, test_x, test_y = both_splits(data_name, size, device)
    chosen = few_labels(all_y, per_class, seed)
    x, y = all_x[chosen], all_y[chosen]
    draw = torch.Generator().manual_seed(seed)
    gan = conditional(x, y, seed, steps, batch, model)
    copies = shifted(x.repeat(20, 1, 1, 1), draw)
    shift_gan = conditional(copies, y.repeat(20), seed, steps, batch, model)
    labels = common.cycled_labels(2_000, 10, device)
    fake, shift_fake = (one.sample(2_000, labels, draw) for one in (gan, shift_gan))
    repeats = 2_000 // len(y)
    real_x, real_y = x.repeat(repeats, 1, 1, 1), y.repeat(repeats)  # as many as samples: half of each batch
    sets = {
        "real": (x, y, None),
        "fake": (fake, labels, None),
        "mixed": (torch.cat([real_x, fake]), torch.cat([real_y, labels]), None),
        "mixed_shifted_gan": (torch.cat([real_x, shift_fake]), torch.cat([real_y, labels]), None),
        "shifted": (x, y, shifted),
        "shifted_mixed": (torch.cat([real_x, fake]), torch.cat([real_y, labels]), shifted),
    }
    return {
        name: accuracy(trained(images, wanted, learn_steps, seed, change=change), test_x, test_y)
        for name, (images, wanted, change) in sets.items()
    }


def few_simple(seed: int, device: torch.device, *, per_class: int, learn_steps: int) -> dict[str, Any]:
    """Learn from the few digits of :func:`few`, without a GAN: as they are, shifted, and turned a little."""
    x, y, test_x, test_y = both_splits("digits", 8, device)
    i = few_labels(y, per_class, seed)
    return {
        name: accuracy(trained(x[i], y[i], learn_steps, seed, change=change), test_x, test_y)
        for name, change in {"real": None, "shifted": shifted, "turned": turned}.items()
    }


# --- 3: attacks -----------------------------------------------------------------------------------


def random_signs(x: Tensor, eps: float, draw: torch.Generator) -> Tensor:
    """Add plus or minus ``eps`` to each pixel at random."""
    signs = torch.randint(2, x.shape, generator=draw).to(x) * 2 - 1
    return (x + eps * signs).clamp(-1, 1)


def slope(net: nn.Module, x: Tensor, y: Tensor, by: str = "cross-entropy") -> tuple[Tensor, Tensor]:
    """The loss of each image, ``(n,)``, and its gradient with respect to the pixels.

    ``by`` is "cross-entropy" or "margin", the margin with a minus sign.
    """
    x = x.detach().requires_grad_()
    losses = -margin(net(x), y) if by == "margin" else cross_entropy(net(x), y, reduction="none")
    return losses.detach(), torch.autograd.grad(losses.sum(), x)[0]


def fgsm(net: nn.Module, x: Tensor, y: Tensor, eps: float, by: str = "cross-entropy") -> Tensor:
    """The fast gradient sign method, Goodfellow et al. (2015), section 4."""
    return (x + eps * slope(net, x, y, by)[1].sign()).clamp(-1, 1)


def pgd(
    net: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int, draw: torch.Generator, restarts: int = 1,
    by: str = "cross-entropy",
) -> Tensor:  # fmt: skip
    """Projected gradient descent in the box of half width ``eps``, Madry et al. (2018); of each image that one of all
    visited points whose loss was highest. With the margin as the loss, a misread point always counts as worse than one
    that is read correctly; with the cross-entropy of ten classes it need not."""
    best, highest = x.clone(), torch.full((len(x),), -math.inf, device=x.device)
    low, high = (x - eps).clamp(min=-1), (x + eps).clamp(max=1)
    for _ in range(restarts):
        at = x + eps * (2 * torch.rand(x.shape, generator=draw).to(x) - 1)
        at = at.clamp(-1, 1)
        for step in range(steps + 1):
            losses, uphill = slope(net, at, y, by)
            better = losses > highest
            best[better], highest[better] = at[better], losses[better]
            if step < steps:
                at = torch.clamp(at + 2.5 * eps / steps * uphill.sign(), low, high)
    return best


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """How far the right class is ahead of the best other one, ``(n,)``; below 0 the image is misread."""
    own = one_hot(y, logits.shape[1]).bool()
    return logits[own] - logits.masked_fill(own, -math.inf).amax(1)


class Perturber(nn.Module):
    """A generator that reads an image and gives it back, changed by at most ``eps`` at each pixel."""

    def __init__(self, shape: tuple[int, ...], eps: float, width: int):
        super().__init__()
        self.eps, pixels = eps, math.prod(shape)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, pixels), nn.Tanh(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` in [-1, 1] to images of the same shape and range."""
        return (x + self.eps * self.layers(x).view_as(x)).clamp(-1, 1)


def advgan(
    net: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int, seed: int, *, weight: float = 0.1, width: int = 256,
    batch: int = 64, lr: float = 1e-3,
) -> Perturber:  # fmt: skip
    """Train a generator to fool ``net`` within ``eps``, as Xiao et al. (2018), equation 4.

    ``weight`` is that of the GAN's loss beside the mean hinge of the classifier's margin; 0 leaves D out. In place of
    their penalty on the length of the perturbation there is a bound, so that attacks can be compared at equal bounds.
    """
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    generator = Perturber(tuple(x.shape[1:]), eps, width).to(x.device)
    d = nn.Sequential(*network(tuple(x.shape[1:]), "mlp")[:-1], nn.Linear(128, 1)).to(x.device)
    adams = [torch.optim.Adam(part.parameters(), lr, (0.5, 0.999)) for part in (d, generator)]
    for _ in range(steps):
        i = torch.randint(len(x), (batch,), generator=draw).to(x.device)
        if weight:
            with torch.no_grad():
                fake = generator(x[i])
            real_logits, fake_logits = d(torch.cat([x[i], fake])).chunk(2)
            common.update(adams[0], softplus(-real_logits).mean() + softplus(fake_logits).mean())
        fake = generator(x[i])
        loss = margin(net(fake), y[i]).clamp(min=-1).mean()
        if weight:
            loss = loss + weight * softplus(-d(fake)).mean()
        common.update(adams[1], loss)
    return generator.eval()


@torch.no_grad()
def passed(generator: nn.Module, x: Tensor) -> Tensor:
    """What the generator makes of images, in passes."""
    return torch.cat([generator(part) for part in x.split(2_000)])


def attacks(
    seed: int, device: torch.device, *, data_name: str, size: int, learn_steps: int, bounds: list[float],
    transfer: float, gan_steps: int, pgd_steps: int, restarts: int, images: int, weight: float, width: int,
    kind: str = "cnn",
) -> dict[str, Any]:  # fmt: skip
    """Attack a classifier on test images at several bounds: random signs, FGSM, PGD, and generators trained for it.

    Numbers are accuracies on ``images`` test images, drawn with the seed. The generators learn on training images.
    ``no_d`` is the generator without a discriminator. For the bound ``transfer``, the same images are shown to three
    other classifiers with weights and batches of their own: a convolutional network, a perceptron and a linear one.
    """
    x, y, test_x, test_y = both_splits(data_name, size, device)
    chosen = torch.randperm(len(test_y), generator=torch.Generator().manual_seed(seed))[:images].to(device)
    test_x, test_y = test_x[chosen], test_y[chosen]
    net = trained(x, y, learn_steps, seed, kind)
    others = {other: trained(x, y, learn_steps, 1_000 + seed, other) for other in ("cnn", "mlp", "linear")}
    row: dict[str, Any] = {"clean": accuracy(net, test_x, test_y)}
    row |= {f"clean_{name}": accuracy(other, test_x, test_y) for name, other in others.items()}
    for eps in bounds:
        draw = torch.Generator().manual_seed(seed)
        made = {
            "random": random_signs(test_x, eps, draw),
            "fgsm": fgsm(net, test_x, test_y, eps),
            "pgd": pgd(net, test_x, test_y, eps, pgd_steps, draw, restarts),
            "advgan": passed(advgan(net, x, y, eps, gan_steps, seed, weight=weight, width=width), test_x),
        }
        if eps == transfer:
            made["no_d"] = passed(advgan(net, x, y, eps, gan_steps, seed, weight=0.0, width=width), test_x)
        for name, images_made in made.items():
            row[f"{name}_{eps}"] = accuracy(net, images_made, test_y)
            if eps == transfer:
                for other, reader in others.items():
                    row[f"{name}_on_{other}"] = accuracy(reader, images_made, test_y)
    return row


def attack_longer(
    seed: int, device: torch.device, *, learn_steps: int, eps: float, gan_steps: list[int], weight: float, width: int
) -> dict[str, Any]:
    """Train the generator of :func:`attacks` for more updates, with and without a discriminator, on 8x8 digits.

    Numbers are accuracies on all test images; ``train`` are those on the training images that the generator learned on.
    """
    x, y, test_x, test_y = both_splits("digits", 8, device)
    net = trained(x, y, learn_steps, seed)
    row: dict[str, Any] = {}
    for steps in gan_steps:
        for name, share in {"advgan": weight, "no_d": 0.0}.items():
            generator = advgan(net, x, y, eps, steps, seed, weight=share, width=width)
            row[f"{name}_{steps}"] = accuracy(net, passed(generator, test_x), test_y)
            row[f"{name}_train_{steps}"] = accuracy(net, passed(generator, x), y)
    return row


# --- 3 and 4: defences ----------------------------------------------------------------------------


def projected(
    decode: Callable[[Tensor], Tensor], x: Tensor, starts: Tensor, steps: int, lr: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Return the nearest image that gradient steps on latents find for each of ``x``, and its mean squared error.

    ``starts`` are latents ``(restarts, n, latent_dim)``. Samangouei et al. (2018), equation 7.
    """
    restarts, n = starts.shape[:2]
    z, wanted = starts.flatten(0, 1).clone().requires_grad_(), x.repeat(restarts, 1, 1, 1)
    adam = torch.optim.Adam([z], lr)
    for _ in range(steps):
        common.update(adam, (decode(z) - wanted).square().flatten(1).mean(1).sum())
    with torch.no_grad():
        made = decode(z)
        errors = (made - wanted).square().flatten(1).mean(1).view(restarts, n)
    least, which = errors.min(0)
    return made.view(restarts, n, *x.shape[1:])[which, torch.arange(n, device=x.device)], least


def near_samples(
    decode: Callable[[Tensor], Tensor], net: nn.Module, x: Tensor, y: Tensor, eps: float, starts: Tensor, steps: int
) -> Tensor:
    """Look among the generator's own images for misread ones near ``x``: the image moved towards them by up to eps.

    What a projection finds for such an image is, if the attack succeeds, a sample that is read as another class.
    """
    restarts, n = starts.shape[:2]
    wanted, labels = x.repeat(restarts, 1, 1, 1), y.repeat(restarts)
    z = starts.flatten(0, 1).clone().requires_grad_()
    adam = torch.optim.Adam([z], 0.1)
    for _ in range(steps):
        made = decode(z)
        beyond = ((made - wanted).abs() - eps).clamp(min=0).square().flatten(1).sum(1)
        common.update(adam, (margin(net(made), labels).clamp(min=-1) + beyond).sum())
    with torch.no_grad():
        made = decode(z)
        beyond = ((made - wanted).abs() - eps).clamp(min=0).square().flatten(1).sum(1)
        beyond = beyond + 1e3 * (margin(net(made), labels) > 0)  # far above any distance: misread ones come first
        which = beyond.view(restarts, n).argmin(0)
        made = made.view(restarts, n, *x.shape[1:])[which, torch.arange(n, device=x.device)]
    return (x + (made - x).clamp(-eps, eps)).clamp(-1, 1)


def defended(
    seed: int, device: torch.device, *, data_name: str, size: int, learn_steps: int, eps: float, gan_steps: int,
    pgd_steps: int, restarts: int, inner_steps: int, kind: str, weight: float, width: int, images: int,
    latent_starts: int, latent_steps: int, bpda_steps: int, bpda_draws: int, margin_steps: int, wide: float,
    prior: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Defend a classifier at one bound, by adversarial training and by projection onto a GAN, and attack each defence.

    Classifiers: ``plain``; ``pgd_trained`` on images that PGD changes anew in each update; ``gan_trained``, half of
    whose images pass through an AdvGAN that was trained against ``plain``. Each is attacked on all test images by FGSM
    and PGD, by the cross-entropy and (``margin``; PGD with ``margin_steps``) by the margin, by a new AdvGAN that is
    trained against it, and by the images made for ``plain`` (``old``). ``worst`` counts an image only if it is read
    correctly under every one of these and as it is. ``wide`` is PGD at a bound at which any picture can be made: if it
    left much, the gradient would be masked.

    The projection replaces an image by the nearest that a GAN without labels makes and shows it to ``plain``, on
    ``images`` test images drawn with the seed: as they are, with random signs, changed by PGD against ``plain``
    (``old``), and by two attacks that know the defence: ``bpda``, whose gradient passes the projection as if it
    changed nothing and is a mean over ``bpda_draws`` draws of the projection's starts (of all visited points that
    counts which these draws read correctly least often), and ``samples``, that looks for misread samples nearby.
    ``worst`` takes for each image that one of the last three which worked best in the attacker's own trials. Each
    number is the mean over three new draws of the projection's starts; ``bare`` are the same images without the
    projection. ``auc`` is how well the error of the projection tells PGD's images from clean ones, ``auc_worst`` the
    same for the images of ``worst``.
    """
    x, y, test_x, test_y = both_splits(data_name, size, device)
    draw = torch.Generator().manual_seed(seed)
    plain = trained(x, y, learn_steps, seed, kind)
    robust = against_pgd(x, y, learn_steps, seed, eps, inner_steps, kind)
    passing = advgan(plain, x, y, eps, gan_steps, seed, weight=weight, width=width)
    fooled = passed(passing, x)
    hardened = trained(torch.cat([x, fooled]), y.repeat(2), learn_steps, seed, kind)
    row: dict[str, Any] = {}
    old = pgd(plain, test_x, test_y, eps, pgd_steps, draw, restarts)
    for name, net in {"plain": plain, "pgd_trained": robust, "gan_trained": hardened}.items():
        new = advgan(net, x, y, eps, gan_steps, 1_000 + seed, weight=weight, width=width)
        shown = {
            "clean": test_x,
            "fgsm": fgsm(net, test_x, test_y, eps),
            "pgd": pgd(net, test_x, test_y, eps, pgd_steps, draw, restarts),
            "fgsm_margin": fgsm(net, test_x, test_y, eps, "margin"),
            "pgd_margin": pgd(net, test_x, test_y, eps, margin_steps, draw, restarts, "margin"),
            "advgan": passed(new, test_x),
            "old_advgan": passed(passing, test_x),
            "old_pgd": old,
        }
        right = {attack: logits_of(net, images_made).argmax(1) == test_y for attack, images_made in shown.items()}
        row |= {f"{name}_{attack}": found.double().mean().item() for attack, found in right.items()}
        row[f"{name}_worst"] = torch.stack(list(right.values())).all(0).double().mean().item()
        row[f"{name}_wide"] = accuracy(net, pgd(net, test_x, test_y, wide, pgd_steps, draw, 1, "margin"), test_y)

    torch.manual_seed(seed)
    prior = dict(prior)
    steps, batch = prior.pop("steps"), prior.pop("batch")
    gan = GAN(tuple(x.shape[1:]), **prior).to(device)
    fit(gan, data.load(data_name, size=size, device=device), steps, batch=batch, seed=seed, progress=False)
    decode = gan.ema.network.eval().requires_grad_(False)
    chosen = torch.randperm(len(test_y), generator=torch.Generator().manual_seed(seed))[:images].to(device)
    test_x, test_y, old = test_x[chosen], test_y[chosen], old[chosen]

    def through(at: Tensor) -> tuple[Tensor, Tensor]:
        starts = torch.randn(latent_starts, len(at), gan.latent_dim, generator=draw).to(at)
        return projected(decode, at, starts, latent_steps)

    def through_right(at: Tensor, trials: int = 3) -> Tensor:
        """The share of trials in which each image is read correctly through the defence."""
        return sum((logits_of(plain, through(at)[0]).argmax(1) == test_y).double() for _ in range(trials)) / trials

    low, high = (test_x - eps).clamp(min=-1), (test_x + eps).clamp(max=1)
    at = torch.clamp(test_x + eps * (2 * torch.rand(test_x.shape, generator=draw).to(test_x) - 1), low, high)
    bpda, least = at.clone(), torch.full((len(at),), math.inf, device=device)
    for step in range(bpda_steps + 1):
        found = [slope(plain, through(at)[0], test_y, "margin") for _ in range(bpda_draws)]
        margins = -torch.stack([losses for losses, _ in found])
        # The share of draws that read it correctly; the margin, squashed, decides between equal shares only.
        score = (margins > 0).double().mean(0) + 0.01 * margins.mean(0).sigmoid().double() / bpda_draws
        better = score < least
        bpda[better], least[better] = at[better], score[better].to(least)
        if step < bpda_steps:  # backwards, the projection counts as the identity
            uphill = torch.stack([way for _, way in found]).mean(0)
            at = torch.clamp(at + 4 * eps / bpda_steps * uphill.sign(), low, high)
    trials = {"old_pgd": old, "bpda": bpda}
    starts = torch.randn(latent_starts, len(test_x), gan.latent_dim, generator=draw).to(test_x)
    trials["samples"] = near_samples(decode, plain, test_x, test_y, eps, starts, 2 * latent_steps)
    own = [through_right(at, 6) for at in trials.values()]  # the attacker's own trials
    worst = torch.stack(list(trials.values()))[torch.stack(own).argmin(0), torch.arange(len(test_x), device=device)]
    shown = {"clean": test_x, "random": random_signs(test_x, eps, draw)} | trials | {"worst": worst}
    for attack, images_made in shown.items():
        row[f"projection_{attack}"] = through_right(images_made).mean().item()
        row[f"bare_{attack}"] = accuracy(plain, images_made, test_y)
    errors = {name: through(at)[1] for name, at in {"clean": test_x, "old": old, "worst": worst}.items()}
    row["projection_auc"] = auc(errors["old"], errors["clean"])
    row["projection_auc_worst"] = auc(errors["worst"], errors["clean"])
    return row


def against_pgd(x: Tensor, y: Tensor, steps: int, seed: int, eps: float, inner_steps: int, kind: str) -> nn.Module:
    """Train a classifier on images that PGD changes in each update. Madry et al. (2018), equation 2.1."""
    torch.manual_seed(seed)
    net = network(tuple(x.shape[1:]), kind).to(x.device)
    draw, adam = torch.Generator().manual_seed(seed), torch.optim.Adam(net.parameters(), 2e-3)
    for step in range(steps):
        adam.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        i = torch.randint(len(x), (64,), generator=draw).to(x.device)
        common.update(adam, cross_entropy(net(pgd(net, x[i], y[i], eps, inner_steps, draw)), y[i]))
    return net.eval()


def auc(positive: Tensor, negative: Tensor) -> float:
    """The chance that a score of a positive is above that of a negative one; ties count half."""
    labels = [1] * len(positive) + [0] * len(negative)
    return float(roc_auc_score(labels, torch.cat([positive, negative]).cpu().numpy()))


# --- detection ------------------------------------------------------------------------------------


def detection(
    seed: int, device: torch.device, *, families: dict[str, Any], learn_steps: int, samples: int
) -> dict[str, Any]:
    """Show the discriminator of one GAN the fakes of others, and the test images; do the same with classifiers.

    Numbers are the area under the ROC curve by which held-out real images are told from fakes: 0.5 is chance, below
    it the fakes look more real. Readers: the discriminators of the perceptron GAN ``mlp`` and of the convolutional
    ``conv``, and classifiers that were trained to tell training images from samples of ``mlp`` or of ``conv``. Fakes:
    of each reader's own generator, of a perceptron GAN with another seed and of the other family. Classifiers
    never saw the samples that they are tested on. All samples are rounded to the 17 grey levels of the real digits,
    which would otherwise tell them apart at once.

    Samples come from the averaged generator. What a discriminator played against differs in three ways, undone one at
    a time with its own generator: ``own_raw`` takes the last weights in place of the average, ``own_unrounded`` does
    not round, ``own_train`` has training images in place of held-out ones; ``own_all`` undoes the three at once.
    ``levels`` are readers that see of an image only how often each grey level occurs: a logistic regression, trained
    as the classifiers are. ``frechet_real`` is the Fréchet distance of training images, which the judge has seen.
    """
    train_set, test_set = data.load("digits", device=device), data.load("digits", split="test", device=device)
    x, real = train_set.images(), test_set.images()
    made: dict[str, Tensor] = {}
    row: dict[str, Any] = {}
    readers: dict[str, Callable[[Tensor], Tensor]] = {}
    for name, (kind, shift) in {
        "mlp": ("mlp", 0), "mlp_again": ("mlp", 1_000), "conv": ("conv", 0),
    }.items():  # fmt: skip
        settings = dict(families[kind])
        steps, batch = settings.pop("steps"), settings.pop("batch")
        torch.manual_seed(seed + shift)
        model = _FAMILIES[kind](train_set.shape, **settings).to(device)
        one_class = data.DataSet(train_set.x, torch.zeros_like(train_set.labels), name="digits", classes=["digit"])
        fit(model, one_class if kind == "conv" else train_set, steps, batch=batch, seed=seed + shift, progress=False)
        draw = torch.Generator().manual_seed(seed)
        unrounded = model.sample(samples + len(x), generator=draw)
        made[name] = on_levels(unrounded)
        if name in ("mlp", "conv"):
            score = readers[name] = discriminating(model, kind)
            last = last_samples(model, kind, samples, torch.Generator().manual_seed(seed), device)
            on_real, on_train = score(real), score(x)
            row |= {
                f"{name}_own_raw": auc(on_real, score(on_levels(last))),
                f"{name}_own_unrounded": auc(on_real, score(unrounded[:samples])),
                f"{name}_own_train": auc(on_train, score(made[name][:samples])),
                f"{name}_own_all": auc(on_train, score(last)),
            }
    for name in ("mlp", "conv"):  # trained to tell real from fake, on samples that are not tested on
        torch.manual_seed(seed)
        net = network(train_set.shape, "mlp")
        labels = torch.cat([torch.ones(len(x)), torch.zeros(len(x))]).long().to(device)
        net = learn(net.to(device), torch.cat([x, made[name][samples:]]), labels, learn_steps, seed)
        readers[f"classifier_{name}"] = lambda at, net=net: (lambda out: out[:, 1] - out[:, 0])(logits_of(net, at))
        counter = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        counter.fit(level_shares(torch.cat([x, made[name][samples:]])), labels.tolist())
        readers[f"levels_{name}"] = lambda at, counter=counter: torch.from_numpy(
            counter.decision_function(level_shares(at))
        )
    for reader, score in readers.items():
        on_real = score(real)
        for name, images in made.items():
            row[f"{reader}_on_{name}"] = auc(on_real, score(images[:samples]))
    critic = metrics.judge("digits", 8, device)
    row |= {f"frechet_{name}": metrics.summarize(at[:samples], real, critic)["frechet"] for name, at in made.items()}
    row["frechet_real"] = metrics.summarize(x[:samples], real, critic)["frechet"]
    return row


@torch.no_grad()
def last_samples(model: GAN | ConditionalGAN, kind: str, n: int, draw: torch.Generator, device: torch.device) -> Tensor:
    """Samples of the generator's last weights, which the discriminator played against, not of their average."""
    z = torch.randn(n, model.latent_dim, generator=draw).to(device)
    generator = model.generator.eval()
    return generator(z, torch.zeros(n, dtype=torch.long, device=device)) if kind == "conv" else generator(z)


def level_shares(x: Tensor) -> np.ndarray:
    """How often each of the 17 grey levels occurs in each image, ``(n, 17)``."""
    places = ((x + 1) * 8).round().long().flatten(1)
    return one_hot(places, 17).double().mean(1).cpu().numpy()


def on_levels(x: Tensor) -> Tensor:
    """Round images in [-1, 1] to the 17 grey levels of the real digits."""
    return ((x + 1) * 8).round().mul(255 / 16).round() / 127.5 - 1


def discriminating(model: nn.Module, kind: str) -> Callable[[Tensor], Tensor]:
    """Return the logits of a model's discriminator as a function of images alone."""
    d = model.discriminator.eval()

    @torch.no_grad()
    def score(x: Tensor) -> Tensor:
        return d(x, torch.zeros(len(x), dtype=torch.long, device=x.device)) if kind == "conv" else d(x)

    return score


def one_class_gan(shape: tuple[int, ...], **settings: Any) -> ConditionalGAN:
    """A convolutional GAN without labels: the conditional one with a single class."""
    return ConditionalGAN(shape, 1, **settings)


_FAMILIES = {"mlp": GAN, "conv": one_class_gan}


# --- 5: few labels ------------------------------------------------------------------


def divergence(net: nn.Module, x: Tensor, radius: float, power: float = 0.1) -> Tensor:
    """How much the prediction changes in the worst direction of length ``radius``: the mean KL divergence.

    Virtual adversarial training, Miyato et al. (2019), equations 5 and 8 to 11, with one step of the power method. No
    label is needed.
    """
    with torch.no_grad():
        p = net(x).softmax(1)
    way = torch.randn_like(x)
    way = (power * way / way.flatten(1).norm(dim=1)[:, None, None, None]).requires_grad_()
    (uphill,) = torch.autograd.grad(kl_div(log_softmax(net(x + way), 1), p, reduction="batchmean"), way)
    worst = radius * uphill / (uphill.flatten(1).norm(dim=1)[:, None, None, None] + 1e-12)
    return kl_div(log_softmax(net(x + worst), 1), p, reduction="batchmean")


class Sampling(nn.Module):
    """A small generator of images from 32 latents."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(
            nn.Linear(32, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(),
            nn.Linear(128, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, math.prod(shape)),
            nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(B, 32)`` to images ``(B, C, H, W)``."""
        return self.layers(z).view(-1, *self.shape)


def semi_supervised(
    x: Tensor, y: Tensor, unlabelled: Tensor, steps: int, seed: int, *, way: str, change: Change | None = None,
    batch: int = 64, lr: float = 2e-3, radius: float = 1.0,
) -> nn.Module:  # fmt: skip
    """Train a classifier on labelled and unlabelled images: "supervised" (the labelled ones alone), "gan" or "vat".

    "gan" is Salimans et al. (2016), section 5: the classifier is the discriminator, where real means that the
    log-sum-exp of its logits is large, and the generator matches the mean of its last hidden layer. "vat" adds
    :func:`divergence` at unlabelled images. All ways make equally many updates of the classifier.
    """
    torch.manual_seed(seed)
    net = network(tuple(x.shape[1:]), "mlp").to(x.device)
    generator = Sampling(tuple(x.shape[1:])).to(x.device)
    draw = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(net.parameters(), lr, (0.5, 0.999))
    adam_g = torch.optim.Adam(generator.parameters(), lr, (0.5, 0.999))
    body = net[:-1]
    for step in range(steps):
        for one in (adam, adam_g):
            one.param_groups[0]["lr"] = lr * (1 - step / steps)
        i = torch.randint(len(x), (batch,), generator=draw).to(x.device)
        loss = cross_entropy(net(x[i] if change is None else change(x[i], draw)), y[i])
        free = unlabelled[torch.randint(len(unlabelled), (batch,), generator=draw).to(x.device)]
        if way == "vat":
            loss = loss + divergence(net, free, radius)
        if way == "gan":
            with torch.no_grad():
                fake = generator(torch.randn(batch, 32, generator=draw).to(x))
            real_score, fake_score = net(torch.cat([free, fake])).logsumexp(1).chunk(2)
            loss = loss + 0.5 * (softplus(-real_score).mean() + softplus(fake_score).mean())
        common.update(adam, loss)
        if way == "gan":
            fake = generator(torch.randn(batch, 32, generator=draw).to(x))
            with torch.no_grad():
                wanted = body(free).mean(0)
            common.update(adam_g, (body(fake).mean(0) - wanted).square().mean())
    return net.eval()


def semi(
    seed: int, device: torch.device, *, per_class: int, learn_steps: int, radius: float, lr: float
) -> dict[str, Any]:
    """Learn digits from a few labels and 1,297 images without: labels alone, a semi-supervised GAN, VAT; and shifts.

    Accuracies on the test images after the last update. ``_shifted`` also shifts the labelled images.
    """
    x, y, test_x, test_y = both_splits("digits", 8, device)
    i = few_labels(y, per_class, seed)
    row = {}
    for way in ("supervised", "gan", "vat"):
        for name, change in {"": None, "_shifted": shifted}.items():
            net = semi_supervised(x[i], y[i], x, learn_steps, seed, way=way, change=change, radius=radius, lr=lr)
            row[way + name] = accuracy(net, test_x, test_y)
    return row


# --- privacy --------------------------------------------------------------------------------------


def privacy(
    seed: int, device: torch.device, *, arms: list[list[int]], others: int, batch: int, samples: int, **model: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a GAN on some digits; try to tell these from others of the same kind. Nothing is learned by the attacks.

    ``d`` scores an image by the discriminator's logit, ``near`` by its distance to the nearest of ``samples`` samples,
    as somebody could who was given the samples only. ``auc`` is the area under the ROC curve, ``at_5`` the share of
    training images that are found when 5 % of the other images are named by mistake. ``arms`` are pairs: how many
    training images, how many steps. ``control`` are the same two numbers for one half of the other images against the
    other half: the GAN has seen neither, so they must be near 0.5 and 0.05.
    """
    train_set = data.load("digits", device=device)
    order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(seed)).to(device)
    row = {}
    for size, steps in arms:
        members, rest = order[:size], order[len(order) - others :]
        part = data.DataSet(train_set.x[members], name="digits")
        torch.manual_seed(seed)
        gan = GAN(part.shape, **model).to(device)
        fit(gan, part, steps, batch=batch, seed=seed, progress=False)
        inside, outside = train_set.batch(members), train_set.batch(rest)
        made = gan.sample(samples, generator=torch.Generator().manual_seed(seed))
        score_d = discriminating(gan, "mlp")
        scores = {"d": score_d, "near": lambda at, made=made: -metrics.nearest_neighbours(at, made)[0]}
        for name, score in scores.items():
            a, b = score(inside).double(), score(outside).double()
            groups = {"": (a, b), "control_": (b[: others // 2], b[others // 2 :])}
            for group, (one, other) in groups.items():
                row[f"{group}{name}_auc_{size}_{steps}"] = auc(one, other)
                row[f"{group}{name}_at_5_{size}_{steps}"] = (one > other.quantile(0.95)).double().mean().item()
    return row


_DIGITS = {"data_name": "digits", "size": 8}
_MNIST = {"data_name": "mnist", "size": 16, "kind": "mlp", "images": 200}
_CGAN = defaults(ConditionalGAN, "num_classes")
_CGAN_DIGITS = _CGAN | RECIPES["digits"] | _DIGITS
_CONV = _CGAN | RECIPES["digits"] | {"steps": 400}
_GAN = defaults(GAN) | GAN_RECIPES["digits"] | {"batch": 64}
_ATTACKS = {
    "learn_steps": 600, "gan_steps": 300, "pgd_steps": 20, "restarts": 3, "weight": 0.1, "width": 256,
}  # fmt: skip
_BOUNDS = {"bounds": [0.1, 0.2, 0.4], "transfer": 0.4}

ENTRIES = {
    "attacks_digits": Entry(attacks, {**_DIGITS, **_ATTACKS, **_BOUNDS, "images": 500}, range(5)),
    "attacks_digits_long": Entry(
        attack_longer,
        {"learn_steps": 600, "eps": 0.4, "gan_steps": [300, 1_500], "weight": 0.1, "width": 256},
        range(5),
    ),
    "attacks_mnist": Entry(attacks, {**_MNIST, **_ATTACKS, "bounds": [0.2, 0.4], "transfer": 0.4}, range(5)),
    "classifiers_few_digits": Entry(
        few, {**_CGAN_DIGITS, "steps": 400, "per_class": 5, "learn_steps": 300}, range(5)
    ),
    "classifiers_few_digits_simple": Entry(few_simple, {"per_class": 5, "learn_steps": 300}, range(5)),
    "classifiers_few_digits_long": Entry(few_simple, {"per_class": 5, "learn_steps": 1_500}, range(5)),
    "classifiers_synthetic_digits": Entry(
        synthetic, {**_CGAN_DIGITS, "steps": 500, "learn_steps": 600, "many": 13_000, "kind": "mlp"}, range(5)
    ),
    "classifiers_semi": Entry(semi, {"per_class": 3, "learn_steps": 400, "radius": 1.0, "lr": 2e-3}, range(5)),
    "attacks_defended": Entry(
        defended,
        {
            **_DIGITS, **_ATTACKS, "kind": "mlp", "learn_steps": 400, "gan_steps": 200, "eps": 0.4, "inner_steps": 5,
            "images": 100, "latent_starts": 4, "latent_steps": 60, "bpda_steps": 40, "bpda_draws": 4,
            "margin_steps": 100, "wide": 2.0,
            "prior": {**_GAN, "steps": 1_000, "latent_dim": 8},
        },
        range(5),
    ),
    "attacks_detection": Entry(
        detection,
        {
            "families": {"mlp": {**_GAN, "steps": 1_000}, "conv": _CONV}, "learn_steps": 400, "samples": 500,
        },
        range(5),
    ),
    "classifiers_privacy": Entry(
        privacy,
        {
            **{key: value for key, value in _GAN.items() if key != "steps"},
            "arms": [[50, 1_000], [50, 83], [600, 1_000]],  # 83 steps pass over 50 images as often as 1,000 over 600
            "others": 600, "samples": 5_000,
        },
        range(5),
    ),
}  # fmt: skip
