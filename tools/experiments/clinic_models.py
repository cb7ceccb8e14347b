"""The debugging clinic, networks, losses and penalties: the harm that a broken program does, beside its repair.

Losses and networks train a small GAN on the 8x8 digits. Penalties and critics measure a known distance as well, that of
two normal distributions. Both programs of a row begin from the same seed and see the same data in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus

from gan_course import data, losses, metrics
from gan_course.metrics import judge
from gan_course.models import common, gan
from gan_course.models.conditional import ConcatGenerator, Generator, trunk
from gan_course.models.ema import EMA
from tools.experiments.clinic import both, entry
from tools.experiments.images import SAMPLES

LATENT, WIDTH = 64, 128
SHAPE = (1, 8, 8)  # of a digit
SHOWN = 10  # samples that a row keeps
Row = dict[str, Any]
Names = dict[str, Any]


# --- a small GAN on digits ------------------------------------------------------------------------


def drawn(
    seed: int,
    train_set: data.DataSet,
    generator: nn.Module,
    discriminator: nn.Module,
    loss_d: Callable[[Tensor, Tensor, Tensor], Tensor],
    loss_g: Callable[[Tensor, Tensor], Tensor],
    *,
    steps: int,
    lr: float,
    batch: int = 64,
    labelled: bool = False,
) -> tuple[Tensor, float]:
    """Train; return 2,000 samples from averaged weights and the last ``loss_d``.

    Args:
        loss_d: of a real batch, as many fakes, and the labels of both.
        loss_g: of fakes and their labels.
        labelled: whether the generator is told the labels, those of the real batch; samples are of 0 to 9 in turn.
    """
    device = common.device_of(generator)
    ema = EMA(generator, 0.99, ramp=True)
    optimizer_g, optimizer_d = (common.adam(network, lr, 0.5, 0.999) for network in (generator, discriminator))

    def made(network: nn.Module, labels: Tensor, source: torch.Generator | None = None) -> Tensor:
        z = torch.randn(len(labels), LATENT, generator=source).to(device)
        return network(z, labels) if labelled else network(z)

    for step in range(steps):
        real, labels = train_set.take(seed, step * batch, batch)
        with torch.no_grad():
            fake = made(generator, labels)
        last = loss_d(real, fake, labels)
        common.update(optimizer_d, last)
        common.update(optimizer_g, loss_g(made(generator, labels), labels))
        ema.update(generator)
    wanted = common.cycled_labels(SAMPLES, 10, device)
    with torch.no_grad():
        return made(ema, wanted, torch.Generator().manual_seed(seed)), last.item()


def frechet(samples: Tensor) -> float:
    """The Frechet distance of digits to the 500 test images, in the features of their judge."""
    reference = data.load("digits", split="test", device=samples.device).images()
    return metrics.summarize(samples, reference, judge("digits", 8, samples.device))["frechet"]


def obeyed(samples: Tensor) -> float:
    """The share of samples, of 0 to 9 in turn, that their judge reads as the digit that was asked for."""
    read = judge("digits", 8, samples.device).probabilities(samples).argmax(1)
    return (read == common.cycled_labels(len(samples), 10, samples.device)).double().mean().item()


def pictures(samples: Tensor) -> str:
    """The first samples as uint8 pixels in hexadecimal, to be drawn in the notebook."""
    return ((samples[:SHOWN] + 1) * 127.5).round().byte().cpu().numpy().tobytes().hex()


def compared(seed: int, case: str, programs: str, measure: Callable[[Names], Row]) -> Row:
    """Measure both programs of a case: the first value is its measure, the others stand beside it."""
    rows = {}
    for cell, names in both(case, programs).items():
        torch.manual_seed(seed)
        rows[cell] = measure(names)
    first, *rest = rows["solution"]
    return {cell: row[first] for cell, row in rows.items()} | {
        f"{name}_{cell}": row[name] for name in rest for cell, row in rows.items()
    }


def floored(row: Row, floor: float) -> Row:
    """Put what real data, or an ideal program, get on the measure beside it."""
    return {"broken": row.pop("broken"), "solution": row.pop("solution"), "floor": floor, **row}


def frechet_real(device: torch.device) -> float:
    """The distance that all real training images get: what a perfect generator would reach."""
    return frechet(data.load("digits", device=device).images())


# --- losses and networks --------------------------------------------------------------------------


def digits(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, outputs: bool, steps: int, lr: float
) -> Row:
    """Train a GAN of perceptrons on digits with the losses of a program, and its discriminator if it has one.

    The measure is the Frechet distance; ``loss_d`` is that of the last step, and ``pictures`` are ten samples.
    ``outputs`` says whether the losses take the discriminator's outputs or the discriminator itself.
    """
    train_set = data.load("digits", device=device)

    def measure(names: Names) -> Row:
        generator = gan.Generator(SHAPE, LATENT, WIDTH, batch_norm=True).to(device)
        own = names.get("Discriminator")
        network = own() if own else nn.Sequential(gan.Discriminator(SHAPE, WIDTH, 0.3), nn.Unflatten(0, (-1, 1)))
        network.to(device)

        def loss_d(real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
            if outputs:
                return names["loss_d"](network(real).flatten(), network(fake).flatten())
            return names["loss_d"](network, real, fake)

        def loss_g(fake: Tensor, labels: Tensor) -> Tensor:
            return names["loss_g"](network(fake).flatten()) if outputs else names["loss_g"](network, fake)

        samples, last = drawn(seed, train_set, generator, network, loss_d, loss_g, steps=steps, lr=lr)
        return {"frechet": frechet(samples), "loss_d": last, "pictures": pictures(samples)}

    return floored(compared(seed, case, programs, measure), frechet_real(device))


class LabelledMLP(nn.Module):
    """The perceptron generator with the label as a one-hot vector beside the latent."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = gan.Generator(SHAPE, LATENT + 10, WIDTH, batch_norm=True)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map ``(B, 64)`` and ``(B,)`` to ``(B, 1, 8, 8)``."""
        return self.generator(torch.cat([z, one_hot(labels, 10).to(z)], 1))


def class_head(seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, lr: float) -> Row:
    """Train an AC-GAN of perceptrons on digits whose class head and its loss are the program's.

    The measure is the share of samples that the judge reads as the digit that was asked for (``floor``: real test
    images); ``class_loss`` is the program's on real images in the last step.
    """
    train_set = data.load("digits", device=device)

    def measure(names: Names) -> Row:
        generator = LabelledMLP().to(device)
        features = gan.Discriminator(SHAPE, WIDTH, 0.0).layers[:-1].to(device)
        source, head = nn.Linear(WIDTH, 1).to(device), names["ClassHead"]().to(device)
        real_class = torch.zeros(())

        def loss_d(real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
            nonlocal real_class
            a, b = features(real), features(fake)
            real_class = names["class_loss"](head, a, labels)
            fake_class = names["class_loss"](head, b, labels)
            return softplus(-source(a)).mean() + softplus(source(b)).mean() + real_class + fake_class

        def loss_g(fake: Tensor, labels: Tensor) -> Tensor:
            b = features(fake)
            return softplus(-source(b)).mean() + names["class_loss"](head, b, labels)

        both_heads = nn.ModuleList([features, source, head])
        samples, _ = drawn(
            seed, train_set, generator, both_heads, loss_d, loss_g, steps=steps, lr=lr, labelled=True
        )  # fmt: skip
        return {"accuracy": obeyed(samples), "class_loss": real_class.item(), "frechet": frechet(samples)}

    return floored(compared(seed, case, programs, measure), read_real(device))


def read_real(device: torch.device) -> float:
    """The share of real test images that the judge of digits reads rightly."""
    test_set = data.load("digits", split="test", device=device)
    read = judge("digits", 8, device).probabilities(test_set.images()).argmax(1)
    return (read == test_set.labels).double().mean().item()


def first_images(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, lr: float
) -> Row:
    """How much do the images of the program's generator differ before it has learned anything?

    The measure is their standard deviation over 500 latents, the mean of all pixels (range 2); ``floor`` is that of the
    real digits. ``frechet`` is the distance after training on digits.
    """
    train_set = data.load("digits", device=device)

    def measure(names: Names) -> Row:
        generator = names["make_generator"]().to(device)
        network = gan.Discriminator(SHAPE, WIDTH, 0.3).to(device)
        with torch.no_grad():
            spread = generator(torch.randn(500, LATENT).to(device)).std(0).mean().item()
        samples, _ = drawn(
            seed, train_set, generator, network,
            lambda real, fake, labels: losses.discriminator_cross_entropy(network(real), network(fake)),
            lambda fake, labels: losses.generator_non_saturating(network(fake)),
            steps=steps, lr=lr,
        )  # fmt: skip
        return {"spread": spread, "frechet": frechet(samples)}

    real = train_set.images().std(0).mean().item()
    return floored(compared(seed, case, programs, measure), real)


def coloured(seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, lr: float) -> Row:
    """Train a convolutional GAN on digits in coloured ink, brought to the network and back by the program.

    The measure is the Frechet distance of the brightest of the three channels, which is the grey digit.
    """
    grey = data.load("digits", device=device)
    ink = torch.rand(len(grey), 3, generator=torch.Generator().manual_seed(0)).to(device)
    ink = ink / ink.amax(1, keepdim=True)
    files = (grey.x.movedim(1, 3) * ink[:, None, None]).round().byte()  # (N, 8, 8, 3), as images are stored

    def measure(names: Names) -> Row:
        train_set = data.DataSet(names["to_network"](files), grey.labels, name="coloured digits")
        generator = Generator(train_set.shape, LATENT, 16).to(device)
        layers, features = trunk(train_set.shape, 16)
        network = nn.Sequential(layers, nn.Flatten(), nn.Linear(features[0] * features[1] * features[2], 1)).to(device)
        samples, _ = drawn(
            seed, train_set, generator, network,
            lambda real, fake, labels: losses.discriminator_cross_entropy(network(real), network(fake)),
            lambda fake, labels: losses.generator_non_saturating(network(fake)),
            steps=steps, lr=lr,
        )  # fmt: skip
        made = names["to_picture"](samples)
        return {
            "frechet": frechet(made.amax(3)[:, None].float() / 127.5 - 1),
            "pictures": made[:SHOWN].cpu().numpy().tobytes().hex(),
        }

    return floored(compared(seed, case, programs, measure), frechet_real(device))


def label_planes(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, lr: float
) -> Row:
    """Train a conditional GAN on digits whose discriminator is the program's; the generator gets one-hot labels.

    The measure is the share of samples that the judge reads as the digit that was asked for (``floor``: real test
    images).
    """
    train_set = data.load("digits", device=device)

    def measure(names: Names) -> Row:
        generator, network = ConcatGenerator(SHAPE, LATENT, 16, 10).to(device), names["Discriminator"]().to(device)
        samples, _ = drawn(
            seed, train_set, generator, network,
            lambda real, fake, y: losses.discriminator_cross_entropy(network(real, y), network(fake, y)),
            lambda fake, y: losses.generator_non_saturating(network(fake, y)),
            steps=steps, lr=lr, labelled=True,
        )  # fmt: skip
        return {"accuracy": obeyed(samples), "frechet": frechet(samples), "pictures": pictures(samples)}

    return floored(compared(seed, case, programs, measure), read_real(device))


# --- penalties and norms --------------------------------------------------------------------------


def perceptron(dim: int, width: int = 64, activation: Callable[[], nn.Module] = lambda: nn.LeakyReLU(0.2)) -> nn.Module:
    """A critic with two hidden layers, ``(B, dim)`` to ``(B, 1)``."""
    return nn.Sequential(
        nn.Linear(dim, width), activation(), nn.Linear(width, width), activation(), nn.Linear(width, 1)
    )  # fmt: skip


def mean_difference(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    return critic(real).mean() - critic(fake).mean()


def two_normals(n: int, shift: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Draw n points of each of two normal distributions in the plane, ``shift`` apart: their Wasserstein-1 distance."""
    real, fake = torch.randn(2, n, 2, device=device)
    return real + torch.tensor([shift, 0.0], device=device), fake


def learned_distance(
    critic: nn.Module, names: Names, device: torch.device,
    *, shift: float, steps: int, penalty: float, batch: int = 64, every: int = 25,
) -> list[float]:  # fmt: skip
    """Train a critic on two normal distributions under a gradient penalty; what does it say their distance is?

    Returns what it says of 2,000 fresh points each after 0, ``every``, 2 ``every``, ... steps, in evaluation mode; the
    list ends before a step that left a loss or a weight that is not finite.
    """
    distance = names.get("distance", mean_difference)
    slope = names.get("penalty", losses.gradient_penalty)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3, (0.0, 0.9))
    said: list[float] = []
    for step in range(steps + 1):
        if step % every == 0:
            critic.eval()
            with torch.no_grad():
                said.append(distance(critic, *two_normals(2_000, shift, device)).item())
            critic.train()
        real, fake = two_normals(batch, shift, device)
        common.update(optimizer, penalty * slope(critic, real, fake) - distance(critic, real, fake))
    return said


def critics(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, shift: float, steps: int, penalty: float
) -> Row:
    """Train the program's critic, or penalty, on two normal distributions in the plane whose distance is ``shift``.

    The measure is the relative error of the distance that the critic reports at the end (``floor``: that of the best
    critic under the penalty), ``said`` the distance itself, ``curve`` the distance during training.
    """

    def measure(names: Names) -> Row:
        make = names.get("Critic", names.get("make_critic", perceptron))
        curve = learned_distance(make(2, 64).to(device), names, device, shift=shift, steps=steps, penalty=penalty)
        return {"error": abs(curve[-1] / shift - 1), "said": curve[-1], "curve": curve}

    best = shift / (2 * penalty)  # under a two-sided penalty the best slope is 1 + shift / (2 penalty)
    return floored(compared(seed, case, programs, measure), best)


def survival(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, width: int, steps: int, penalty: float
) -> Row:
    """Train a narrow ReLU critic on two normal distributions, 2 apart: how many steps until something is not finite?"""

    def measure(names: Names) -> Row:
        critic = perceptron(2, width, nn.ReLU).to(device)
        optimizer = torch.optim.Adam(critic.parameters(), 1e-3, (0.0, 0.9))
        for step in range(steps):
            real, fake = two_normals(64, 2.0, device)
            loss = penalty * names["penalty"](critic, real, fake) - mean_difference(critic, real, fake)
            common.update(optimizer, loss)
            if not all(weight.isfinite().all() for weight in critic.parameters()):
                return {"steps": step}
        return {"steps": steps}

    return compared(seed, case, programs, measure)


def spectral(seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, lr: float) -> Row:
    """Train a hinge GAN on digits whose discriminator has the program's spectrally normalised layers.

    The measure is the largest true spectral norm of a layer's map at the end (``floor``: 1, what was promised);
    ``slope`` is the product of all, a bound on the discriminator's slope.
    """
    train_set = data.load("digits", device=device)

    def measure(names: Names) -> Row:
        layer = names["SpectralLinear"]
        parts = [layer(64, WIDTH), nn.LeakyReLU(0.2), layer(WIDTH, WIDTH), nn.LeakyReLU(0.2), layer(WIDTH, 1)]
        network = nn.Sequential(nn.Flatten(), *parts, nn.Flatten(0)).to(device)
        generator = gan.Generator(SHAPE, LATENT, WIDTH, batch_norm=True).to(device)
        samples, _ = drawn(
            seed, train_set, generator, network,
            lambda real, fake, labels: losses.discriminator_hinge(network(real), network(fake)),
            lambda fake, labels: losses.generator_wasserstein(network(fake)),
            steps=steps, lr=lr,
        )  # fmt: skip
        network.eval()
        norms = []
        with torch.no_grad():
            for part in (part for part in network if isinstance(part, layer)):
                size = part.linear.in_features
                zero, basis = torch.zeros(1, size, device=device), torch.eye(size, device=device)
                norms.append(torch.linalg.matrix_norm(part(basis) - part(zero), 2).item())
        product = norms[0] * norms[1] * norms[2]
        return {"norm": max(norms), "slope": product, "frechet": frechet(samples)}

    return floored(compared(seed, case, programs, measure), 1.0)


_GAN = {"steps": 400, "lr": 1e-3}
_CRITIC = {"shift": 2.0, "steps": 500, "penalty": 10.0}

ENTRIES = {
    "clinic_softmax_twice": entry(class_head, "01", "higher", steps=200, lr=1e-3),
    "clinic_sigmoid_twice": entry(digits, "02", "lower", outputs=False, **_GAN),
    "clinic_clamped_output": entry(digits, "03", "lower", outputs=True, **_GAN),
    "clinic_sigmoid_critic": entry(critics, "04", "lower", **_CRITIC),
    "clinic_sign": entry(digits, "05", "lower", outputs=True, **_GAN),
    "clinic_broadcasting": entry(digits, "06", "lower", outputs=False, **_GAN),
    "clinic_no_flatten": entry(digits, "07", "lower", outputs=False, **_GAN),
    "clinic_norm_eps": entry(first_images, "08", "higher", steps=60, lr=1e-3),
    "clinic_channels": entry(coloured, "09", "lower", steps=300, lr=2e-3),
    "clinic_label_planes": entry(label_planes, "10", "higher", steps=300, lr=2e-3),
    "clinic_one_norm": entry(critics, "11", "lower", **_CRITIC),
    "clinic_no_graph": entry(critics, "12", "lower", **_CRITIC),
    "clinic_square_root": entry(survival, "13", "higher", width=4, steps=300, penalty=10.0),
    "clinic_spectral": entry(spectral, "14", "lower", steps=150, lr=1e-3),
    "clinic_batch_norm_critic": entry(critics, "29", "lower", **_CRITIC),
    "clinic_epsilon": entry(critics, "30", "lower", **_CRITIC),
}
