"""What the bugs of the debugging clinic's cases 15 to 28 cost: the loop, logs and checkpoints, data and evaluation.

Every row trains or measures twice, from one seed: by the program as it was met, and by its repair.
"""

from __future__ import annotations

import copy
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_course import data, losses, metrics
from gan_course.metrics import judge
from gan_course.models import gan
from gan_course.models.ema import EMA
from gan_course.theory import toy
from tools.experiments import clinic
from tools.experiments.ring import counted

LATENT, WIDTH, BATCH, LR = 64, 128, 64, 1e-3
SHAPE = (1, 8, 8)
SAMPLES = 2_000


class Digits:
    """What a run on the digits of 8x8 pixels consists of, all of it given by the seed.

    Args:
        seed: of the initial weights, of the order of the images and of the latents.
        device: where everything lives.
        dropout: of the discriminator.
        batch: images that :meth:`batches` gives at a time.
    """

    def __init__(self, seed: int, device: torch.device, dropout: float = 0.3, batch: int = BATCH):
        self.seed, self.device, self.batch = seed, device, batch
        self.train_set = data.load("digits", device=device)
        self.length, self.batch_of = len(self.train_set), self.train_set.batch
        self.skipped = 0  # batches that an earlier part of the run has had
        torch.manual_seed(seed)
        self.generator = gan.Generator(SHAPE, LATENT, WIDTH, batch_norm=True).to(device)
        self.discriminator = gan.Discriminator(SHAPE, WIDTH, dropout).to(device)

    def batches(self) -> Iterator[Tensor]:
        """Real images (B, 1, 8, 8), endlessly."""
        for number in itertools.count(self.skipped):
            yield self.batch_of(data.order(self.length, self.seed, number * self.batch, self.batch))

    def adams(self) -> tuple[torch.optim.Adam, torch.optim.Adam]:
        """Optimizers of the generator and of the discriminator."""
        networks = self.generator, self.discriminator
        return tuple(torch.optim.Adam(network.parameters(), LR, (0.5, 0.999), fused=True) for network in networks)

    def steps(self, optimizers: tuple[torch.optim.Adam, torch.optim.Adam] | None = None) -> Callable[[], tuple]:
        """A function that updates both networks once (non-saturating loss) and returns their losses."""
        optimizer_g, optimizer_d = optimizers or self.adams()
        batches = self.batches()

        def step() -> tuple[float, float]:
            real = next(batches)
            with torch.no_grad():
                fake = self.generator(self.latents(len(real)))
            loss_d = softplus(-self.discriminator(real)).mean() + softplus(self.discriminator(fake)).mean()
            optimizer_d.zero_grad()
            loss_d.backward()
            optimizer_d.step()
            loss_g = softplus(-self.discriminator(self.generator(self.latents(len(real))))).mean()
            optimizer_g.zero_grad()
            loss_g.backward()
            optimizer_g.step()
            return loss_d.item(), loss_g.item()

        return step

    def latents(self, n: int, seed: int | None = None) -> Tensor:
        """Latents (n, 64), drawn by a generator of their own if a seed is given."""
        own = None if seed is None else torch.Generator().manual_seed(seed)
        return torch.randn(n, LATENT, generator=own).to(self.device)

    @torch.no_grad()
    def draw(self, network: nn.Module | None = None) -> Tensor:
        """2,000 samples of the generator, or of another network, in evaluation mode."""
        return copy.deepcopy(network or self.generator).eval()(self.latents(SAMPLES, self.seed))


def frechet(images: Tensor, reference: Tensor | None = None) -> float:
    """The Frechet distance of digits to the 500 test images, or to others, by the book's judge."""
    reference = data.load("digits", split="test", device=images.device).images() if reference is None else reference
    features = judge("digits", 8, images.device).features
    return metrics.frechet_distance(features(images), features(reference))


def beside(case: str, programs: str, measure: Callable[[dict[str, Any]], dict[str, float]], **more: float) -> dict:
    """Return the row of a case: what ``measure`` finds for both programs. Its first number is the measure of the
    case, the others get the names ``broken_...`` and ``solution_...``."""
    row: dict[str, float] = {}
    others: dict[str, float] = {}
    for cell, names in clinic.both(case, programs).items():
        first, *rest = measure(names).items()
        row[cell] = first[1]
        others |= {f"{cell}_{name}": value for name, value in rest}
    return {**row, **others, **more}


def digits_floor(device: torch.device) -> dict[str, float]:
    """What real images get on :func:`frechet`: all 1,297 for training."""
    return {"floor": frechet(data.load("digits", device=device).images())}


# --- the training loop ------------------------------------------------------------------------------
def one_real_batch(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, batch: int, n_critic: int
) -> dict[str, Any]:
    """Train a clipped WGAN on digits. How far above 500 training images does the critic score a batch when it asks for
    the next one, in standard deviations of their scores (mean of the last 100 batches)? Also the Frechet distance of
    the samples, and that of all training images."""
    others = data.load("digits", device=device).draw(500, seed)

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run, lifts = Digits(seed, device, dropout=0.0, batch=batch), []

        def watched() -> Iterator[Tensor]:
            for real in run.batches():
                yield real
                with torch.no_grad():
                    scores = run.discriminator(torch.cat([others, real]))
                lifts.append((scores[len(others) :].mean() - scores[: len(others)].mean()) / scores.std())

        names["train_wgan"](run.generator, run.discriminator, watched(), steps, n_critic)
        return {"lift": torch.stack(lifts[-100:]).mean().item(), "frechet": frechet(run.draw())}

    return beside(case, programs, measure, floor_frechet=digits_floor(device)["floor"])


def epochs_counter(
    seed: int,
    device: torch.device,
    *,
    case: str,
    programs: str,
    better: str,
    images: int,
    updates: int,
    batch: int,
    n_critic: int,
    lr: float,
    clip: float,
) -> dict[str, Any]:
    """Train a clipped WGAN on few digits, in a few batches per epoch; how many updates of the critic were there for one
    of the generator? Also the Frechet distance of its samples, and that of the digits that it trains on."""
    train_images = data.load("digits", device=device).draw(images, seed)

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run, turns = Digits(seed, device, dropout=0.0), {"critic": 0, "generator": 0}
        optimizers = [torch.optim.RMSprop(n.parameters(), lr) for n in (run.generator, run.discriminator)]

        class Loader:
            def __iter__(self) -> Iterator[Tensor]:
                yield from train_images[torch.randperm(images)].split(batch)

            def __len__(self) -> int:
                return -(-images // batch)

        def critic_step(real: Tensor) -> None:
            turns["critic"] += 1
            fake = run.generator(run.latents(len(real))).detach()
            loss = run.discriminator(fake).mean() - run.discriminator(real).mean()
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
            losses.clip_weights(run.discriminator, clip)

        def generator_step() -> None:
            turns["generator"] += 1
            loss = -run.discriminator(run.generator(run.latents(batch))).mean()
            optimizers[0].zero_grad()
            loss.backward()
            optimizers[0].step()

        loader = Loader()
        names["train_epochs"](loader, updates // len(loader), critic_step, generator_step, n_critic)
        return {"updates": turns["critic"] / turns["generator"], "frechet": frechet(run.draw())}

    return beside(case, programs, measure, floor_frechet=frechet(train_images))


def clipped_first(
    seed: int,
    device: torch.device,
    *,
    case: str,
    programs: str,
    better: str,
    steps: int,
    n_critic: int,
    lr: float,
    clip: float,
) -> dict[str, Any]:
    """Train a clipped WGAN on digits; Frechet distance of its samples. How large is the critic's largest weight,
    beside the bound, when the generator looks (median over the steps)?"""

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run, largest = Digits(seed, device, dropout=0.0), []
        batches = run.batches()
        optimizers = [torch.optim.RMSprop(n.parameters(), lr) for n in (run.generator, run.discriminator)]
        for _ in range(steps):
            for _ in range(n_critic):
                fake = run.generator(run.latents(BATCH))
                names["clipped_step"](run.discriminator, optimizers[1], next(batches), fake, clip)
            largest.append(max(p.abs().max() for p in run.discriminator.parameters()) / clip)
            loss = -run.discriminator(run.generator(run.latents(BATCH))).mean()
            optimizers[0].zero_grad()
            loss.backward()
            optimizers[0].step()
        return {"frechet": frechet(run.draw()), "largest": torch.stack(largest).median().item()}

    return beside(case, programs, measure, **digits_floor(device))


def lost_detach(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int
) -> dict[str, Any]:
    """Train a GAN on digits; Frechet distance of its samples."""

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run = Digits(seed, device)
        batches, optimizers = run.batches(), run.adams()
        for _ in range(steps):
            names["gan_step"](run.generator, run.discriminator, *optimizers, next(batches), run.latents(BATCH))
        return {"frechet": frechet(run.draw())}

    return beside(case, programs, measure, **digits_floor(device))


def one_optimizer(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int
) -> dict[str, Any]:
    """Train a GAN on digits; Frechet distance of its samples, and both losses (means over the last 100 steps)."""

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run = Digits(seed, device)
        logged = torch.tensor(names["train_gan"](run.generator, run.discriminator, run.batches(), steps))
        loss_d, loss_g = logged[-100:].mean(0).tolist()
        return {"frechet": frechet(run.draw()), "loss_d": loss_d, "loss_g": loss_g}

    return beside(case, programs, measure, **digits_floor(device))


def eval_stays(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, every: int
) -> dict[str, Any]:
    """Train a GAN on digits, with a look at its samples every now and then; Frechet distance of its samples."""

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run = Digits(seed, device)
        z = run.latents(BATCH, seed)
        names["train_and_show"](run.generator, run.steps(), z, lambda images: None, steps, every)
        return {"frechet": frechet(run.draw())}

    return beside(case, programs, measure, **digits_floor(device))


# --- logging, schedules and checkpoints ---------------------------------------------------------------
def shared_average(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, decay: float
) -> dict[str, Any]:
    """Train a GAN on digits; Frechet distance of samples of the averaged generator, and of the last one."""

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run = Digits(seed, device)
        average, step = names["Average"](run.generator, decay), run.steps()
        for _ in range(steps):
            step()
            average.update(run.generator)
        network = copy.deepcopy(run.generator)
        network.load_state_dict(average.shadow)
        return {"frechet": frechet(run.draw(network)), "last": frechet(run.draw())}

    return beside(case, programs, measure, **digits_floor(device))


def divided_log(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, every: int
) -> dict[str, Any]:
    """Train a GAN on digits; how many times the loss of the discriminator that the last line of the log tells, is its
    mean over the steps since the line before? Also what the line says."""

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run, kept = Digits(seed, device), []
        step = run.steps()

        def remembered() -> tuple[float, float]:
            kept.append(step())
            return kept[-1]

        log = names["train_and_log"](remembered, steps, every)
        true = sum(loss_d for loss_d, _ in kept[-every:]) / every
        return {"factor": true / log[-1][1], "says": log[-1][1]}

    return beside(case, programs, measure)


def constant_rate(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, batch: int
) -> dict[str, Any]:
    """Train a GAN on the ring of eight narrow Gaussians; the share of samples within three standard deviations of a
    mode, and the modes that are reached. The floor is the share of samples of the ring itself."""
    ring = toy.ring()

    def measure(names: dict[str, Any]) -> dict[str, float]:
        torch.manual_seed(seed)
        generator = gan.Generator((2,), 2, WIDTH, batch_norm=False, slope=0.0).to(device)
        discriminator = gan.Discriminator((2,), WIDTH, 0.0).to(device)
        optimizer_g = torch.optim.Adam(generator.parameters(), 1e-3, (0.0, 0.999), fused=True)
        optimizer_d = torch.optim.Adam(discriminator.parameters(), 2e-3, (0.0, 0.999), fused=True)
        schedules = [names["linear_decay"](o, steps, steps // 2) for o in (optimizer_g, optimizer_d)]
        for _ in range(steps):
            real, z = ring.sample(batch).to(device), torch.randn(2, batch, 2).to(device)
            with torch.no_grad():
                fake = generator(z[0])
            loss_d = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
            optimizer_d.zero_grad()
            loss_d.backward()
            optimizer_d.step()
            loss_g = softplus(-discriminator(generator(z[1]))).mean()
            optimizer_g.zero_grad()
            loss_g.backward()
            optimizer_g.step()
            for schedule in schedules:
                schedule.step()
        with torch.no_grad():
            found = counted(generator(torch.randn(2_500, 2).to(device)).cpu(), ring)
        return {"high_quality": found["high_quality"], "modes": found["modes"]}

    real = ring.sample(2_500, torch.Generator().manual_seed(seed))
    return beside(case, programs, measure, floor=counted(real, ring)["high_quality"])


def no_optimizers(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int, after: list[int]
) -> dict[str, Any]:
    """Stop a GAN on digits, save it, load it into new networks and go on. How long is the first step of the generator's
    weights (root mean square, in learning rates)? Also the Frechet distance of its samples after some steps, minus that
    of the run that was not stopped. The floor is the first step of the latter."""

    def weights(run: Digits) -> Tensor:
        return nn.utils.parameters_to_vector(run.generator.parameters()).detach()

    def walk(run: Digits, optimizers: tuple, position: int) -> tuple[float, list[float]]:
        start, found = weights(run), []
        run.skipped = position
        torch.manual_seed(seed + 1)  # both runs go on with the same latents
        step = run.steps(optimizers)
        for number in range(1, after[-1] + 1):
            step()
            if number == 1:
                first = (weights(run) - start).square().mean().sqrt().item() / LR
            if number in after:
                found.append(frechet(run.draw()))
        return first, found

    undisturbed: dict[str, Any] = {}

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run = Digits(seed, device)
        optimizers, again = run.adams(), Digits(seed + 1_000, device)
        again.seed = seed
        torch.manual_seed(seed)
        step = run.steps(optimizers)
        for _ in range(steps):
            step()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.pt"
            names["save_run"](path, steps, run.generator, run.discriminator, *optimizers)
            loaded = again.adams()
            position = names["load_run"](path, again.generator, again.discriminator, *loaded)
        first, interrupted = walk(again, loaded, position)
        if not undisturbed:  # the same for both programs
            undisturbed["first"], undisturbed["distances"] = walk(run, optimizers, steps)
        apart = zip(after, interrupted, undisturbed["distances"], strict=True)
        return {"first_step": first, **{f"after_{n}": a - b for n, a, b in apart}}

    row = beside(case, programs, measure)
    return {**row, "floor": undisturbed["first"]}


# --- data and evaluation ---------------------------------------------------------------------------------
def zero_to_one(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, steps: int
) -> dict[str, Any]:
    """Train a GAN on digits as the program prepares them; Frechet distance of the samples as it shows them, and of the
    same samples read on the scale of the images that it trained on."""

    def measure(names: dict[str, Any]) -> dict[str, float]:
        run = Digits(seed, device)
        prepared = names["prepare"](run.train_set.x)
        run.batch_of = lambda rows: prepared[rows]
        step = run.steps()
        for _ in range(steps):
            step()
        drawn = run.draw()
        low, high = prepared.aminmax()
        read = ((drawn.clamp(low, high) - low) / (high - low)).mul(2).sub(1)
        return {"shown": frechet(names["shown"](drawn).float() / 127.5 - 1), "read": frechet(read)}

    return beside(case, programs, measure, **digits_floor(device))


def resized_twice(
    seed: int, device: torch.device, *, case: str, programs: str, better: str, data_name: str, size: int, n: int
) -> dict[str, Any]:
    """The Frechet distance of n real test images of 28x28 to n others, by the judge for smaller images. The floor: both
    made smaller by the book's own loader."""
    features = judge(data_name, size, device).features

    def measure(names: dict[str, Any]) -> dict[str, float]:
        real, other = data.load(data_name, split="test", device=device).draw(2 * n, seed).chunk(2)
        return {"frechet": names["frechet_at"](real, other, size, lambda x: features(x.clamp(-1, 1)))}

    small = data.load(data_name, size=size, split="test", device=device).draw(2 * n, seed).chunk(2)
    return beside(case, programs, measure, floor=metrics.frechet_distance(*map(features, small)))


def softmax_again(seed: int, device: torch.device, *, case: str, programs: str, better: str, n: int) -> dict[str, Any]:
    """The Inception Score of n real test digits by the book's judge, and that of noise (uniform in every pixel)."""
    network = judge("digits", 8, device)

    def measure(names: dict[str, Any]) -> dict[str, float]:
        real = data.load("digits", split="test", device=device).draw(n, seed)
        noise = torch.rand(real.shape, generator=torch.Generator().manual_seed(seed)).to(device) * 2 - 1
        return {
            kind: names["inception_score"](x, network.probabilities) for kind, x in (("real", real), ("noise", noise))
        }

    return beside(case, programs, measure)


def test_images(
    seed: int,
    device: torch.device,
    *,
    case: str,
    programs: str,
    better: str,
    train: int,
    test: int,
    steps: int,
    dropout: float,
    decay: float,
) -> dict[str, Any]:
    """Train a GAN on few digits; how much lower is the Frechet distance that the program reports than that of the same
    samples to as many real images that nobody has seen? Means over two runs, in which the two sets of images change
    places. The floor is the distance of the two sets to each other."""
    halves = data.load("digits", split="test", device=device).draw(2 * test, seed).split(test)
    train_images = data.load("digits", device=device).draw(train, seed)

    def measure(names: dict[str, Any]) -> dict[str, float]:
        reported, unseen = 0.0, 0.0
        for known, unknown in (halves, halves[::-1]):
            kept: list[Tensor] = []

            def fit(images: Tensor, kept: list[Tensor] = kept) -> Tensor:
                run = Digits(seed, device, dropout)
                run.length, run.batch_of = len(images), lambda rows: images[rows]
                average, step = EMA(run.generator, decay), run.steps()
                for _ in range(steps):
                    step()
                    average.update(run.generator)
                kept.append(run.draw(average.network))
                return kept[-1]

            reported += names["experiment"](train_images, known, fit, frechet) / 2
            unseen += frechet(kept[-1], unknown) / 2
        return {"flattery": unseen - reported, "reported": reported, "unseen": unseen}

    return beside(case, programs, measure, floor=frechet(*halves))


_WGAN = {"n_critic": 5, "lr": 1e-3}

# Steps, batches and bounds were chosen after looking at one or two seeds of each.
ENTRIES = {
    "clinic_one_real_batch": clinic.entry(one_real_batch, "15", "lower", steps=200, batch=16, n_critic=5),
    "clinic_epochs_counter": clinic.entry(
        epochs_counter, "16", "higher", images=256, batch=128, updates=500, clip=0.05, **_WGAN
    ),
    "clinic_clipped_first": clinic.entry(clipped_first, "17", "lower", steps=150, clip=0.01, **_WGAN),
    "clinic_lost_detach": clinic.entry(lost_detach, "18", "lower", steps=400),
    "clinic_one_optimizer": clinic.entry(one_optimizer, "19", "lower", steps=400),
    "clinic_eval_stays": clinic.entry(eval_stays, "20", "lower", steps=400, every=100),
    "clinic_shared_average": clinic.entry(shared_average, "21", "lower", steps=400, decay=0.99),
    "clinic_divided_log": clinic.entry(divided_log, "22", "lower", steps=400, every=200),
    "clinic_constant_rate": clinic.entry(constant_rate, "23", "higher", steps=600, batch=256),
    "clinic_no_optimizers": clinic.entry(no_optimizers, "24", "lower", steps=300, after=[1, 10, 50]),
    "clinic_zero_to_one": clinic.entry(zero_to_one, "25", "lower", steps=400),
    "clinic_resized_twice": clinic.entry(resized_twice, "26", "lower", data_name="mnist", size=16, n=2_000),
    "clinic_softmax_again": clinic.entry(softmax_again, "27", "higher", n=400),
    "clinic_test_images": clinic.entry(
        test_images, "28", "lower", train=100, test=200, steps=300, dropout=0.0, decay=0.99
    ),
}
