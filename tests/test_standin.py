"""The whole package on a device that is as strict as a GPU (tools/standin.py), which most machines have not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from test_families import FAMILIES, SMALL, batch, build, noise, output, same, sources
from torch import Tensor, nn

from gan_course import cli, data, layers, losses, metrics, train
from gan_course.data import glyphs
from gan_course.metrics import inception
from gan_course.models.ema import EMA
from gan_course.notebook import plot, profiles, widgets
from gan_course.theory import toy
from gan_course.train import History, checkpoint, fit
from gan_course.train.runs import CHECKPOINT
from tools import rehearse, standin

pytestmark = pytest.mark.skipif(not standin.AVAILABLE, reason="this torch is too old for a device written in Python")
every_family = pytest.mark.parametrize("name", FAMILIES)
#: Their step differentiates a gradient in the pass of the loss itself. A device has a thread of its own for backward
#: passes, and there the three gradients of a weight are added in another order than on the CPU.
ADDED_IN_ANOTHER_ORDER = ("r3gan", "stylegan")


def assert_equal(name: str, found: Any, expected: Any, what: str = "") -> None:
    """Compare tensors, numbers, or rows of them: equal to the bit, or to rounding where sums have another order."""
    if name in ADDED_IN_ANOTHER_ORDER:
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6, msg=lambda text: f"{what}: {text}")
    elif isinstance(found, Tensor):
        assert torch.equal(found, expected), what
    else:
        assert found == expected, what


@pytest.fixture(autouse=True, scope="module")
def device():
    with standin.on_device() as device:
        yield device


def test_it_refuses_what_a_gpu_refuses(device):
    x, y, indices = torch.randn(2, 3, device=device), torch.randn(2, 3), torch.tensor([1], device=device)
    linear = nn.Linear(3, 1)
    for what, error, message in (
        (lambda: x + y, RuntimeError, "two devices"),
        (lambda: torch.cat([x, y]), RuntimeError, "two devices"),
        (lambda: torch.stack([x.sum(), y.sum()]), RuntimeError, "two devices"),
        (lambda: linear(x), RuntimeError, "two devices"),
        (lambda: y[indices], RuntimeError, "two devices"),
        (lambda: y.index_select(0, indices), RuntimeError, "two devices"),
        (lambda: x.__setitem__(0, y[0]) or x.add_(y), RuntimeError, "two devices"),
        (lambda: nn.functional.cross_entropy(x, torch.tensor([0, 1])), RuntimeError, "two devices"),
        (lambda: torch.randn(2, device=device, generator=torch.Generator()), RuntimeError, "for generator"),
        (lambda: x.numpy(), TypeError, "to numpy"),
        (lambda: np.asarray(x), TypeError, "to numpy"),
        (lambda: plt.figure().gca().plot(x), TypeError, "to numpy"),
        (lambda: plt.figure().gca().scatter(*x.T[:2]), TypeError, "to numpy"),
    ):
        with pytest.raises(error, match=message):
            what()
    plt.close("all")


def test_it_allows_what_a_gpu_allows_and_computes_as_the_cpu(device):
    assert torch.arange(10, device=device).shape == (10,) and torch.arange(2.0, 4.0, 0.5, device=device).shape == (4,)
    y = torch.randn(2, 3)
    x = y.to(device)
    assert (x.device.type, x.cpu().device.type) == (device.type, "cpu") and torch.equal(x.cpu(), y)
    assert torch.equal((x * torch.tensor(2.0)).cpu(), 2 * y), "a single number may come from the CPU"
    assert torch.equal(x[torch.tensor([1])].cpu(), y[[1]]), "and so may indices"
    x[0, 1] = torch.tensor(7.0)
    assert (x[0, 1].item(), f"{x[0, 1]:.1f}", x[0].tolist()[1], y[0, 1] == 7) == (7, "7.0", 7, False)
    sound, window = torch.sin(torch.arange(64.0)), torch.hann_window(16)  # inside, a tensor is transposed in place
    spectrum = torch.stft(sound.to(device), 16, 4, window=window.to(device), return_complex=True)
    assert torch.equal(spectrum.cpu(), torch.stft(sound, 16, 4, window=window, return_complex=True))

    torch.manual_seed(5)
    first, of_cpu = torch.randn(3, device=device), torch.get_rng_state()
    assert torch.equal(torch.get_rng_state(), of_cpu), "its random numbers are not the CPU's"
    torch.manual_seed(5)
    assert torch.equal(first.cpu(), torch.randn(3)), "but from the same seed"
    again = torch.randn(3, device=device)
    assert torch.equal(first.cpu(), again.cpu())


# --- families, the loop, the command line ---------------------------------------------------------


@every_family
def test_steps_and_samples_are_those_of_the_cpu(name, device):
    results = []
    for place in (torch.device("cpu"), device):
        model = build(name).to(place)
        real, labels = batch(model, name)
        torch.manual_seed(1)
        for _ in range(2):
            logs = model.step(real.to(place), None if labels is None else labels.to(place))
        assert all(value.device.type == place.type for value in logs.values()), "nothing waits for the device"
        if hasattr(model, "translate"):
            made = model.eval().translate(sources(name, 3).to(place))
        else:
            made = model.eval().sample(3, generator=torch.Generator().manual_seed(1))
            assert model.sample(2).device.type == place.type
        assert made.device.type == place.type
        results.append(([value.item() for value in logs.values()], made.cpu()))
    (logs, made), (logs_there, made_there) = results
    assert_equal(name, logs_there, logs)
    assert_equal(name, made_there, made)


@every_family
def test_an_interrupted_run_ends_as_on_the_cpu(name, device, tmp_path):
    options = {"batch": 4, "snapshot_every": 2, "snapshot_size": 3, "log_every": 2, "progress": False}
    options |= {"precision": "float32", "channels_last": False}  # which differ by device where they are chosen

    def run(place: torch.device, *parts: int) -> tuple[nn.Module, History]:
        for steps in parts:  # each in a new model, as after a restart
            model = build(name).to(place)
            folder = tmp_path / f"{place.type} {len(parts)}"
            probe = {"probe": lambda model: {"mean": next(model.parameters()).mean().item()}}
            history = fit(model, noise(name), steps, out=folder, **probe, **options)
        return model, history

    (alone, history), (there, history_there), (resumed, _) = (
        run(torch.device("cpu"), 4), run(device, 4), run(device, 2, 4),
    )  # fmt: skip
    assert same(there, resumed), "weights, optimizers, random states"
    for (key, value), other in zip(alone.state_dict().items(), there.state_dict().values(), strict=True):
        assert_equal(name, other.cpu(), value, key)
    for row, row_there in zip(history.rows, history_there.rows, strict=True):
        assert_equal(name, row_there | {"seconds": 0}, row | {"seconds": 0})
    assert_equal(name, history_there.probes, history.probes)
    for step, samples in history_there.snapshots.items():
        assert samples.device.type == "cpu"
        assert_equal(name, samples, history.snapshots[step], f"samples of step {step}")
    on_cpu, _ = checkpoint.load_model(tmp_path / f"{device.type} 1" / CHECKPOINT)
    assert_equal(name, output(on_cpu, name), output(alone.eval(), name), "a run on a GPU can be looked at elsewhere")


@pytest.mark.parametrize("name", ["dcgan", "sngan", "wgan-gp", "cyclegan"])
def test_low_precision_and_channels_last(name, device):
    histories = []
    for precision in ("float32", "bf16"):
        model = build(name).to(device)
        options = {"precision": precision, "channels_last": SMALL[name]["shape"][-1] > 4}
        histories.append(fit(model, noise(name), 2, batch=4, progress=False, **options).rows[0])
    full, low = histories
    for key in full.keys() - {"step", "seconds"}:
        assert low[key] == pytest.approx(full[key], rel=0.1, abs=0.05) and low[key] != full[key], key


@pytest.mark.parametrize(
    ("family", "name", "settings"),
    [
        ("gan", "digits", ["width=8"]),  # a judge's numbers
        ("cgan", "digits", ["width=8"]),  # is the class obeyed?
        ("vae", "digits", ["width=8"]),  # bits per pixel
        ("pix2pix", "edges-digits", ["width=4"]),  # the distance to the truth
        ("wgan", "stacked-digits", ["width=8"]),  # modes
    ],
)
def test_the_command_line(family, name, settings, tmp_path, monkeypatch):
    load = data.load
    monkeypatch.setattr(data, "load", lambda name, **options: load(name, **options | {"limit": 100}))
    found = []
    for place in ("cpu", standin.NAME):
        out = tmp_path / place
        train = ["train", family, "--data", name, "--size", "16", "--out", out, "--steps", "2", "--batch", "4"]
        train += ["--precision", "float32", "--no-channels-last"]
        train += [part for setting in settings for part in ("--set", setting)]
        sample = ["sample", out, "--n", "3", "--out", tmp_path / "grid.png"]
        for command in (train, sample, ["evaluate", out, "--n", "8"]):
            assert cli.main([*map(str, command), "--device", place]) == 0
        found.append(json.loads((out / "metrics.json").read_text()))
    assert found[0] == found[1]


def test_captions_obeyed(device):
    texts = glyphs.make(20, seed=0, size=16).captioned().to(device)
    model = build("text").to(device)
    assert model.sample(4, labels=texts.labels[:4] % 5).device.type == device.type
    found = glyphs.measured_colors(texts.images())
    assert {value.device.type for value in found.values()} == {device.type}
    drawn = glyphs.make(20, seed=0, size=16).to(device)
    for factor in found:
        assert (found[factor] == drawn.factors[factor]).float().mean() > 0.9, factor


# --- the functions --------------------------------------------------------------------------------


def agree(function: Callable[..., Any], *inputs: Tensor | nn.Module, close: float = 0.0) -> None:
    """``function`` returns the same on both devices, and what are tensors on the device."""
    torch.manual_seed(3)
    expected = function(*copy.deepcopy(inputs))
    torch.manual_seed(3)
    found = function(*(x.to(standin.NAME) for x in copy.deepcopy(inputs)))
    for a, b in zip(*(torch.utils._pytree.tree_leaves(value) for value in (expected, found)), strict=True):
        if isinstance(a, Tensor):
            assert b.device.type == standin.NAME
            torch.testing.assert_close(b.detach().cpu(), a.detach(), rtol=close, atol=close)
        else:
            assert a == b or (a != a and b != b)


class Critic(nn.Module):
    """Images of 8x8 to one logit each."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(layers.spectral_norm(nn.Conv2d(3, 4, 8)), nn.Flatten(), layers.GroupSort())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).sum(1)


IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_losses(name):
    discriminator, generator = losses.pair(name)
    agree(lambda a, b: (discriminator(a, b), generator(b)), torch.randn(5), torch.randn(5))


@pytest.mark.parametrize(
    "penalty",
    [
        lambda critic, x: losses.gradient_penalty(critic, x, x.flip(0)),
        lambda critic, x: losses.gradient_penalty(critic, x, x.flip(0), one_sided=True),
        losses.r1_penalty,
        lambda critic, x: losses.virtual_adversarial_penalty(critic, x, radius=0.5),
    ],
)
def test_penalties_and_their_gradients(penalty):
    def loss(critic: nn.Module, x: Tensor) -> list[Tensor]:
        value = penalty(critic, x)
        return [value, *torch.autograd.grad(value, [p for p in critic.parameters() if p.ndim > 1])]

    agree(loss, Critic(), IMAGES)


@pytest.mark.parametrize(
    "layer",
    [
        layers.MinibatchStd(3),
        layers.SelfAttention(8),
        layers.resize_up(8, 4),
        layers.transposed_up(8, 4),
        layers.ResBlockUp(8, 4),
        layers.ResBlockDown(8, 4),
        layers.ResidualBlock(8),
        EMA(nn.Conv2d(8, 3, 3), 0.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_and_their_gradients(layer):
    def value(layer: nn.Module, x: Tensor) -> list[Tensor]:
        layers.advance_spectral_norms(layer)
        y = layer(x.requires_grad_())
        return [y, *torch.autograd.grad(y.square().sum(), x)]

    agree(value, layer, torch.randn(6, 8, 8, 8))


def test_more_layers():
    agree(lambda x: layers.augment(x), IMAGES)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    agree(lambda layer, x, labels: layer(x, labels), layers.ConditionalBatchNorm2d(3, 3), IMAGES, labels)

    def clipped(critic: nn.Module, x: Tensor) -> Tensor:
        layers.initialize(critic)
        losses.clip_weights(critic, 0.01)
        return critic(x)

    agree(clipped, Critic(), IMAGES)
    points = torch.randn(20, 2)
    agree(lambda critic, p, q: toy.estimate_wasserstein(critic, p, q, steps=2), toy.LipschitzCritic(2), points, -points)


def test_data_sets(device):
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    images = data.DataSet((IMAGES * 127 + 127).to(torch.uint8), labels, name="six", classes=["a", "b", "c"])
    points = data.DataSet(torch.randn(6, 2), name="points")
    both = data.Domains(images, data.DataSet(images.x.flip(0), name="other"), paired=False, name="both")
    for kept in (images, points, both):
        there = kept.to(device)
        assert there.crc32() == kept.crc32() and repr(there)
        pairs = zip((*there.take(1, 4, 5), there.images(2)), (*kept.take(1, 4, 5), kept.images(2)), strict=True)
        for got, expected in pairs:
            assert (got is None and expected is None) or torch.equal(got.cpu(), expected)
    there = images.to(device)
    assert torch.equal(there.draw(4).cpu(), images.draw(4))
    for rows in (torch.tensor([1, 5]), torch.tensor([1, 5], device=device)):  # in range: free to check on the CPU only
        assert torch.equal(there.batch(rows).cpu(), images.batch(torch.tensor([1, 5])))
    for name, size in (("digits", 8), ("glyphs", 16), ("stacked-digits", 8)):
        loaded = [data.load(name, size=size, limit=9, device=place).x for place in (device, "cpu")]
        assert torch.equal(loaded[0].cpu(), loaded[1])
    for task in ("neon-digits", "edges-digits", "rotate-digits"):
        loaded = data.load_domains(task, size=16, limit=8, device=device)
        assert torch.equal(loaded.images().cpu(), data.load_domains(task, size=16, limit=8).images())


def test_metrics():
    a, b = torch.randn(30, 4), torch.randn(30, 4)
    for metric in (
        metrics.frechet_distance,
        metrics.kernel_distance,
        lambda a, b: metrics.kernel_distance_subsets(a, b, 3, 10),
        metrics.precision_recall,
        metrics.density_coverage,
        metrics.nearest_neighbours,
        lambda a, b: metrics.modes_covered(a, b, 0.5),
        lambda a, b: metrics.reverse_kl(metrics.mode_shares(a, b), metrics.mode_shares(b, b)),
        lambda a, b: metrics.wasserstein_1d(a[:, 0], b[:, 0], b[:, 1].abs(), a[:, 1].abs()),
        lambda a, _: (metrics.inception_score(a.softmax(1), 3), metrics.classes_covered(a.softmax(1))),
        lambda a, _: (metrics.mean_confidence(a.softmax(1)), metrics.class_shares(a.softmax(1)).tolist()),
    ):
        agree(metric, a, b)


def test_extractors_and_the_numbers_made_of_them():
    digits = data.load("digits", limit=20).images()
    judge = metrics.judge("digits", 8)
    agree(lambda judge, x: (judge.features(x), judge.probabilities(x)), judge, digits)
    agree(lambda judge, x: metrics.summarize(x, x.flip(0), judge), judge, digits)
    agree(lambda judge, x: metrics.evaluate(x, x.flip(0), judge.features, judge.probabilities), judge, digits)
    agree(lambda x: metrics.pixels(x, 2), digits)
    three = data.load("stacked-digits", limit=20).images()
    agree(lambda judge, x: (metrics.read_stacked(x, judge), metrics.summarize_stacked(x, judge)), judge, three)
    agree(lambda judge, x: judge.factors(x), metrics.judge("glyphs", 32), glyphs.make(4, seed=0).images())

    class Network(nn.Conv2d):
        """Stands for the Inception network: images in bytes to features and logits."""

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            assert x.dtype == torch.uint8
            found = super().forward(x.float()).flatten(1)
            return found, found

        @staticmethod
        def convert_features_tuple_to_dict(found: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
            return dict(zip(("2048", "logits_unbiased"), found, strict=True))

    def measured(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        extractor = inception.Inception(network)
        return extractor.features(x), extractor.probabilities(x)

    agree(measured, Network(3, 5, 8), digits)


def test_figures_and_widgets(device):
    images, labels = IMAGES.to(device), [f"step {i}" for i in range(2)]
    model = build("gan").to(device)
    plot.images(images, columns=3)
    plot.latent_walk(model, plot.slerp(*model.latents(2), 4), columns=2)
    plot.decision_surface(nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)).to(device), extent=1, resolution=5)
    plot.losses(fit(model, noise("gan"), 2, batch=4, progress=False))
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")
    for x in (images, images[:, :1]):
        frames = [widgets.png_of_images(x, columns=3), widgets.png_of_images(x.cpu(), columns=3)]
        assert frames[0] == frames[1]
    assert widgets.scrubber(frames, labels, alt="noise", width=100)


# --- chapters -------------------------------------------------------------------------------------


def chapter(folder: Path, *cells: str) -> Path:
    sources = [{"cell_type": "code", "source": cell.strip().splitlines(True)} for cell in cells]
    (folder / "chapter.ipynb").write_text(json.dumps({"cells": sources}))
    return folder / "chapter.ipynb"


CELLS = (
    """
import sys, torch
import matplotlib.pyplot as plt
if "google.colab" in sys.modules:
    %pip install nothing
""",
    """
from gan_course.notebook import profiles
scale = profiles.pick(quick=dict(steps=2, n=1), book=dict(steps=3, n=2), full=dict(steps=50, n=9))
""",
    """
x = torch.zeros(scale.n, device=profiles.device())
assert scale.steps == 50, "cut, so it does not hold"
for _ in range(scale.steps):
    x += 1
assert (x.cpu() == 7).all()
""",
    "x + torch.ones(9)",
    "plt.plot(x)",
    "plt.plot(x.cpu())",
)


@pytest.fixture
def here(monkeypatch, tmp_path):
    """What a rehearsal changes in its process is undone after the test; it finds the profile ``full``."""
    for place, name in ((profiles, "device"), (profiles, "pick"), (train, "fit"), (plt, "show")):
        monkeypatch.setattr(place, name, getattr(place, name))
    monkeypatch.setenv("GAN_COURSE_PROFILE", "full")


def test_a_rehearsal_finds_what_a_gpu_would(tmp_path, capsys):
    path = chapter(tmp_path, *CELLS)
    assert rehearse.main([str(path), "--device", standin.NAME, "--steps", "7"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "6 cells" in lines[0] and "2 failed; not held (cell:line) 2:2" in lines[0] and len(lines) == 3
    assert "cell   3" in lines[1] and "RuntimeError: Expected all tensors to be on the same device" in lines[1]
    assert "cell   4" in lines[2] and "TypeError: can't convert standin:0 device type tensor to numpy" in lines[2]


def test_what_a_chapter_asserts_counts_unless_it_is_cut(tmp_path, here):
    cells = rehearse.run_cells(chapter(tmp_path, *CELLS))["cells"]
    assert [cell["index"] for cell in cells if cell["error"]] == [2] and "AssertionError" in cells[2]["error"]


def test_the_estimate_follows_the_steps(tmp_path, here):
    source = """
from gan_course.train import fit
from test_families import build, noise
for name, steps in (("gan", scale.steps), ("wgan", 3)):
    fit(build(name).to(profiles.device()), noise(name), steps, batch=4, decay_from=steps - 1, progress=False)
x = torch.zeros(1000, 1000, device=profiles.device())
for _ in range(scale.steps):
    x @ x
"""
    path = chapter(tmp_path, *CELLS[:2], source)
    found = rehearse.run_cells(path, standin.NAME, steps=4, loops=False)["cells"][2]
    assert found["error"] is None
    product = 2 * 1000**3
    assert 50 * product < found["costs"]["flops"] < 50.1 * product, "a loop written out runs in full"
    model, (real, labels) = build("gan").to(standin.NAME), batch(build("gan"), "gan")
    for _ in range(2):  # the first one also sets up the optimizers
        before = standin.counts["operations"]
        model.step(real.to(standin.NAME), labels)
    each = standin.counts["operations"] - before - 1  # without the copy of the batch
    assert found["left_out"]["operations"] == 46 * each, "and a step that was left out costs what the others do"
    for costs, seconds in (
        ({"operations": 1e6, "flops": 0, "bytes": 0, "python": 5}, 35),
        ({"operations": 10, "flops": 8.1e12, "bytes": 0, "python": 0}, 1 / 0.3),
        ({"operations": 10, "flops": 8.1e12, "bytes": 320e9, "python": 1}, 1 / 0.3 + 3),
    ):
        assert rehearse.seconds_on_t4({"costs": costs, "left_out": dict.fromkeys(costs, 0)}) == pytest.approx(seconds)
        assert rehearse.seconds_on_t4({"costs": costs, "left_out": costs}) == pytest.approx(2 * seconds)
