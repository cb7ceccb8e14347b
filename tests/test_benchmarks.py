"""The benchmarks run, and what they compare computes the same. No time is asserted."""

from __future__ import annotations

import json
import math
import stat
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision

from benchmarks import common, data_path, frechet, glyphs, lab, popular, profiling, textbook, training
from gan_course import data
from gan_course.data import downloads
from gan_course.layers import advance_spectral_norms
from gan_course.models.dcgan import DCGAN
from gan_course.models.gan import GAN
from gan_course.models.sngan import SNGAN
from gan_course.models.wgan import WGANGP
from gan_course.train import speed


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The folder that tables are written to."""
    monkeypatch.setattr(common, "FOLDER", tmp_path / "results")
    threads = torch.get_num_threads()
    yield tmp_path / "results"
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch, results):
    """200 random images in MNIST's files, where torchvision and the course look for them."""
    sizes = {"train": 200, "test": 100}
    monkeypatch.setitem(downloads.IDX, "mnist", downloads.Idx("MNIST", downloads.IDX["mnist"].classes, [], sizes))
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, n in sizes.items():
        for file, shape in zip(downloads.IDX["mnist"].files(split), [(n, 28, 28), (n,)], strict=True):
            header = b"".join(k.to_bytes(4, "big") for k in (0x800 + len(shape), *shape))
            body = torch.randint(0, 256 if len(shape) == 3 else 10, shape, dtype=torch.uint8)
            (raw / file).write_bytes(header + body.numpy().tobytes())
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "data"))
    return results


def read(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


# --- both loops compute the same ----------------------------------------------------------------------

TINY = {
    "mlp": (GAN, {"shape": (1, 4, 4), "width": 8}),
    "dcgan": (DCGAN, {"shape": (1, 16, 16), "width": 2}),
    "dcgan without batch norm": (DCGAN, {"shape": (1, 16, 16), "width": 2, "batch_norm": False}),
    "wgan-gp mlp": (WGANGP, {"shape": (1, 4, 4), "width": 8, "n_critic": 2}),
    "wgan-gp": (WGANGP, {"shape": (1, 16, 16), "width": 2, "n_critic": 3, "networks": "conv"}),
    "sngan cnn": (SNGAN, {"shape": (1, 8, 8), "width": 4, "n_critic": 1, "lr_d": 1e-9}),
    "sngan resnet": (SNGAN, {"shape": (1, 8, 8), "width": 4, "n_critic": 1, "lr_d": 1e-9, "networks": "resnet"}),
    "popular": (popular.Popular, {"shape": (1, 64, 64), "width": 2}),
}
CROSS_ENTROPY = dict.fromkeys(["mlp", "dcgan", "popular"], "cross_entropy")
LOOPS = {**CROSS_ENTROPY, "wgan": "wasserstein", "sngan": "hinge"}


@pytest.fixture
def exact(monkeypatch):
    """Numbers in float64, and whoever draws latents or epsilons gets the same ones."""
    torch.set_default_dtype(torch.float64)
    generator = torch.Generator().manual_seed(1)
    z, epsilon = torch.randn(6, 3, generator=generator), torch.rand(6, generator=generator)
    randn = torch.randn  # for the singular vectors of new networks
    monkeypatch.setattr(torch, "randn", lambda *n, **made: z.clone() if n == (6, 3) else randn(*n, **made))
    monkeypatch.setattr(torch, "rand", lambda *sizes, **made: epsilon.clone().view(*sizes))
    yield torch.Generator().manual_seed(2)
    torch.set_default_dtype(torch.float32)


def gradients(optimizer):
    """Adam's means of the gradients, which tell more than its steps: these forget the gradients' sizes."""
    return [optimizer.state[p]["exp_avg"] for group in optimizer.param_groups for p in group["params"]]


def tiny(name):
    torch.manual_seed(0)  # not every seed leaves some of so few ReLUs alive
    make, settings = TINY[name]
    return make(latent_dim=3, **settings)


def assert_near(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", TINY)
def test_an_iteration_of_the_textbook_is_one_of_our_steps(name, exact):
    ours = tiny(name)
    critic = ours.critic if hasattr(ours, "critic") else ours.discriminator
    # Torch's spectral norm iterates in every pass: from singular vectors that have converged, both norms agree.
    advance_spectral_norms(critic, 3_000)
    theirs = training.textbook_model(ours)
    theirs.netD.double()
    start = [p.detach().clone() for p in (*ours.generator.parameters(), *critic.parameters())]
    iteration = getattr(theirs, next(loop for key, loop in LOOPS.items() if name.startswith(key)))
    for _ in range(1 if name.startswith("sngan") else 2):  # the second sees gradients that the first left behind
        real = torch.empty(ours.n_critic, 6, *ours.shape).uniform_(-1, 1, generator=exact)
        ours.step(real)
        iteration(iter(real))

    assert_near(gradients(ours.optimizer_g), gradients(theirs.optimizerG))
    assert_near(gradients(ours.optimizer_d), gradients(theirs.optimizerD))
    mine = [*ours.generator.parameters(), *critic.parameters()]
    assert_near(mine, [*theirs.netG.parameters(), *theirs.netD.parameters()])
    moved = [not torch.equal(before, after) for before, after in zip(start, mine, strict=True)]
    assert any(moved[: len(list(ours.generator.parameters()))]) and any(moved[-len(list(critic.parameters())) :])
    assert all(map(math.isfinite, theirs.log[-1].values()))


@pytest.mark.parametrize("name", ["sngan cnn", "sngan resnet"])
def test_torch_spectral_norms_start_as_ours(name, exact):
    ours = tiny(name)
    theirs = training.textbook_model(ours).netD.double()
    x = torch.empty(5, 1, 8, 8).uniform_(-1, 1, generator=exact)
    torch.testing.assert_close(theirs.eval()(x), ours.discriminator(x), rtol=1e-9, atol=1e-12)
    before = theirs.state_dict()
    assert sum(name.endswith("_u") for name in before) == sum(n.endswith(".u") for n in ours.discriminator.state_dict())


@pytest.mark.parametrize("name", ["mlp", "dcgan"])
@pytest.mark.parametrize("count", range(len(profiling.RUNGS) + 1))
def test_no_rung_of_the_ladder_changes_what_is_computed(name, count, exact):
    model = tiny(name)
    expected, rung = training.textbook_model(model), profiling.Ladder(model, profiling.RUNGS[:count])
    real = torch.empty(1, 6, *model.shape).uniform_(-1, 1, generator=exact)
    expected.cross_entropy(iter(real))
    rung.cross_entropy(iter(real))
    assert_near(gradients(rung.optimizerG), gradients(expected.optimizerG))
    assert_near(gradients(rung.optimizerD), gradients(expected.optimizerD))
    assert_near([*rung.netG.parameters()], [*expected.netG.parameters()])
    assert_near([*rung.netD.parameters()], [*expected.netD.parameters()])
    assert rung.log[0] == pytest.approx(expected.log[0], rel=1e-9)
    assert isinstance(rung.log[0]["loss_d"], torch.Tensor) == ("no .item()" in rung.changes)


@pytest.mark.parametrize(("size", "distance"), [(None, 1e-6), (32, 2.5 / 127.5)])
def test_both_ways_feed_the_same_images(tiny_mnist, size, distance):
    ours = data.load("mnist", size=size).images()
    pictures = torchvision.datasets.MNIST(common.mnist_root(), transform=textbook.transform(size, 1))
    batches = textbook.batches(pictures, 64, 0, torch.device("cpu"))
    theirs = torch.cat([next(batches) for _ in range(3)])
    assert theirs.shape == (192, *ours.shape[1:])
    apart = torch.cdist(theirs.flatten(1), ours.flatten(1)).argmin(1)
    assert (theirs - ours[apart]).abs().max() < distance and len(apart.unique()) == 192


# --- how time is taken ----------------------------------------------------------------------------------


def test_works_take_turns_after_a_first_round():
    order = []
    seconds = common.alternate({name: lambda name=name: order.append(name) for name in "abc"}, rounds=2)
    assert "".join(order) == "abcbcacab"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_the_spread_of_rounds():
    assert common.spread("x", [3.0, 1.0, 20.0]) == {"x": 3.0, "x_min": 1.0, "x_max": 20.0}
    assert common.ratios([4.0, 9.0], [2.0, 3.0]) == [2.0, 3.0]
    assert common.file_name("b") == "b" and common.file_name("b", threads=2) == "b_2_threads"
    assert common.file_name("b", torch.device("cuda"), 2) == "b_cuda"


def test_utilisation_is_what_nvidia_smi_samples(tmp_path, monkeypatch, capsys):
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="1-2"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with training.Utilisation(cuda) as missing:
        assert missing.between([(0.0, math.inf)]) is None
    assert "nvidia-smi cannot be started" in capsys.readouterr().out
    fake = tmp_path / "nvidia-smi"
    fake.write_text('#!/bin/sh\necho "$1" >&2\nwhile :; do echo 40; echo "[N/A]"; echo 60; /bin/sleep 0.05; done\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    with training.Utilisation(cuda) as utilisation:
        began = time.perf_counter()
        while len(utilisation.samples) < 4 and time.perf_counter() < began + 10:
            time.sleep(0.01)
    assert utilisation.between([(0.0, math.inf)]) == pytest.approx(50, abs=8)
    assert utilisation.between([(0.0, began - 100)]) is None
    with training.Utilisation(torch.device("cpu")) as none:
        assert none.between([(0.0, math.inf)]) is None


# --- the benchmarks run ---------------------------------------------------------------------------------


def test_the_data_path_writes_its_table(tiny_mnist, capsys):
    assert data_path.main(["--rounds", "2", "--steps", "2"]) == 0
    table = read(tiny_mnist, "benchmark_data_path")
    assert {row["path"] for row in table["rows"]} == {"gan_course", "DataLoader, 0 workers", "DataLoader, 2 workers"}
    for row in table["rows"]:
        for name in ("step_ms", "slower_than_ours", "data_only_images_per_second"):
            assert 0 < row[f"{name}_min"] <= row[name] <= row[f"{name}_max"]
    assert table["rows"][0]["slower_than_ours"] == 1
    assert table["settings"]["rounds"] == 2 and table["settings"]["shape"] == [1, 28, 28]
    assert table["device"] == "cpu" and table["threads"] == 1 and table["processor"] == common.processor() != ""
    assert [path.name for path in tiny_mnist.iterdir()] == ["benchmark_data_path.json"]
    assert "times as long as ours" in capsys.readouterr().out


def test_training_writes_its_table_and_keeps_other_models(tiny_mnist, monkeypatch, capsys):
    settings = ["--rounds", "1", "--scale", "0.02", "--models"]
    assert training.main([*settings, "mlp", "dcgan-32-cifar10"]) == 0
    assert "dcgan-32-cifar10 skipped: " in capsys.readouterr().out
    first = read(tiny_mnist, "benchmark_training")["rows"]
    paths = ["gan_course", "textbook, 0 workers", "textbook, 2 workers"]
    assert [row["path"] for row in first] == paths and {row["computed"] for row in first} == {"float32"}
    monkeypatch.setattr(speed, "computes_bf16", lambda device: True)
    assert training.main([*settings, "sngan-cnn"]) == 0
    table = read(tiny_mnist, "benchmark_training")
    assert table["rows"][:3] == first and [row["model"] for row in table["rows"][3:]] == ["sngan-cnn"] * 4
    assert [(row["path"], row["computed"], row["goal"]) for row in table["rows"][3:5]] == [
        ("gan_course", "bfloat16, channels last", 3.0), ("gan_course, float32", "float32, channels last", 1.3),
    ]  # fmt: skip
    for rows in (table["rows"][:3], table["rows"][3:]):
        plain = [row for row in rows if row["path"].startswith("textbook")]
        fastest = min(plain, key=lambda row: row["step_ms"])
        assert fastest["speed_up"] == 1 and rows[0]["goal"] > 1 and fastest["goal"] is None
        for row in rows:
            assert row["speed_up"] == pytest.approx(fastest["step_ms"] / row["step_ms"], rel=5e-3)  # of one round
            assert row["images_per_second"] == pytest.approx(64_000 / row["step_ms"], rel=5e-3)
    assert training.main(["--rounds", "2", *settings[2:], "mlp"]) == 0  # other settings: the old rows go
    assert {row["model"] for row in read(tiny_mnist, "benchmark_training")["rows"]} == {"mlp"}


def test_every_case_can_be_trained_by_both():
    for case in training.CASES.values():
        model = case.make(**case.settings | {"width": 2})
        assert callable(getattr(training.textbook_model(model), case.loop))
        assert case.size in (None, model.shape[-1])


def test_our_way_has_no_flags():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "computes_bf16", lambda device: False)
        (ours,) = training.our_ways(DCGAN((1, 16, 16), width=2), cpu).items()
        patch.setattr(speed, "computes_bf16", lambda device: True)
        assert list(training.our_ways(GAN((1, 4, 4), width=2), cpu)) == ["gan_course"]
        found = training.our_ways(DCGAN((1, 16, 16), width=2), cuda)
    assert (ours[0], ours[1][0], str(ours[1][1])) == ("gan_course", {}, "float32, channels last")
    assert {name: (options, str(fast)) for name, (options, fast) in found.items()} == {
        "gan_course": ({}, "bfloat16, channels last"),
        "gan_course, float32": ({"precision": "float32"}, "float32"),
        "gan_course, graph": ({"graph": True}, "bfloat16, channels last"),
    }


def test_the_popular_networks_have_their_parameters():
    """As the program's description gives them: kernels of 4x4 without biases, and batch norm."""
    model = popular.Popular()
    up = [100, 512, 256, 128, 64, 3]
    down = [3, 64, 128, 256, 512, 1]
    for network, channels, normed in ((model.generator, up, up[1:-1]), (model.discriminator, down, down[2:-1])):
        expected = sum(16 * a * b for a, b in zip(channels, channels[1:], strict=False)) + 2 * sum(normed)
        assert sum(p.numel() for p in network.parameters()) == expected
    assert sum(p.numel() for p in model.generator.parameters()) == 3_576_704
    weights = torch.cat([m.weight.flatten() for m in model.generator if isinstance(m, torch.nn.ConvTranspose2d)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    images = model.generator(torch.randn(2, 100))
    assert images.shape == (2, 3, 64, 64) and model.discriminator(images).shape == (2,)


def test_profile_and_ladder_are_written(tiny_mnist, monkeypatch, capsys):
    monkeypatch.setattr(profiling, "MODELS", ("mlp",))
    assert profiling.main(["--rounds", "1", "--scale", "0.02"]) == 0
    profile = read(tiny_mnist, "benchmark_profile")["rows"]
    for path in ("gan_course", "textbook"):
        shares = {row["kind"]: row["share"] for row in profile if row["path"] == path}
        assert sum(shares.values()) == pytest.approx(1, abs=0.01)
        assert {"data", "matrix products", "optimizer", "batch norm", "Python"} <= set(shares)
        assert not any(kind.startswith("convolution") for kind in shares)
    ladder = read(tiny_mnist, "benchmark_ladder")["rows"]
    assert [row["rung"] for row in ladder] == [
        "textbook, 0 workers", "+ data on the device", "+ no wasted gradients", "+ one pass", "+ fused Adam",
        "+ no .item()", "gan_course",
    ]  # fmt: skip
    assert ladder[0]["times_textbook"] == 1
    product = math.prod(row["times_rung_before"] for row in ladder)
    assert product == pytest.approx(ladder[-1]["times_textbook"], rel=5e-3)  # of one round


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("aten::mkldnn_convolution", "convolution forward"),
        ("aten::convolution_backward", "convolution backward"),
        ("aten::addmm", "matrix products"),
        ("aten::native_batch_norm_backward", "batch norm"),
        ("aten::_fused_adam_", "optimizer"),
        ("aten::leaky_relu_backward", "activations and losses"),
        ("aten::bernoulli_", "dropout"),
        ("aten::_local_scalar_dense", ".item()"),
        ("step", "Python"),
        ("aten::view", "other operations"),
    ],
)
def test_operations_are_told_apart(name, kind):
    event = SimpleNamespace(name=name, cpu_parent=SimpleNamespace(name="step", cpu_parent=None))
    assert profiling.kind_of(event) == kind
    event.cpu_parent = SimpleNamespace(name="batch", cpu_parent=None)
    assert profiling.kind_of(event) == "data"


def test_frechet_writes_its_table(results, capsys):
    arguments = ["--rows", "90", "20", "--dimensions", "40", "--rounds", "1", "--threads", "2"]
    assert frechet.main(arguments) == 0
    rows = read(results, "benchmark_frechet_2_threads")["rows"]
    assert [(row["case"], row["part"]) for row in rows] == [
        ("full rank", "end to end"), ("full rank", "trace term"),
        ("rank-deficient", "end to end"), ("rank-deficient", "trace term"),
    ]  # fmt: skip
    assert all(row["relative_difference"] < 1e-4 and row["speed_up"] > 0 for row in rows)
    assert rows[0]["ours"] == pytest.approx(rows[1]["ours"], rel=1e-6)


def test_sqrtm_distance_of_diagonal_covariances():
    a = np.zeros(3), np.diag([1.0, 4.0, 9.0])
    b = np.array([3.0, 0.0, 4.0]), np.diag([4.0, 4.0, 1.0])
    distance, imaginary = frechet.sqrtm_distance(a, b)
    assert distance == pytest.approx(25 + 1 + 0 + 4) and imaginary == 0
    features = frechet.made_features(4_000, 5, seed=1)
    assert features.dtype == torch.float32 and features.mean(0).tolist() == pytest.approx([0.1] * 5, abs=0.1)
    correlation = np.corrcoef(features.numpy(), rowvar=False)
    assert np.abs(correlation - np.eye(5)).max() > 0.1


def test_glyphs_writes_its_table_and_leaves_the_cache_alone(results, monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    assert glyphs.main(["--images", "20", "--sizes", "8", "--rounds", "1"]) == 0
    (row,) = read(results, "benchmark_glyphs")["rows"]
    assert row["size"] == 8 and row["drawn_per_second"] > 0 and row["first_load_per_second"] > 0
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("benchmark", [data_path, training, profiling])
def test_without_data_or_device_it_is_skipped(benchmark, tiny_mnist, monkeypatch, capsys):
    monkeypatch.setenv("GAN_COURSE_DATA", "relative")
    assert benchmark.main([]) == 0
    assert "skipped: GAN_COURSE_DATA" in capsys.readouterr().out
    assert benchmark.main(["--device", "fpga"]) == 0
    assert "benchmark skipped: device 'fpga'" in capsys.readouterr().out
    assert not tiny_mnist.exists()


@pytest.mark.parametrize(
    ("benchmark", "arguments"),
    [(data_path, ["--rounds", "0"]), (data_path, ["--steps", "-1"]), (training, ["--threads", "0"])]
    + [(frechet, ["--dimensions", "0"]), (glyphs, ["--images", "0"]), (profiling, ["--rounds", "0"])],
)
def test_bad_arguments_are_refused(benchmark, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        benchmark.main(arguments)
    assert stop.value.code == 2 and "must be at least 1" in capsys.readouterr().err


# --- the lab of the browser -----------------------------------------------------------------------------


def test_frames_are_summed_up():
    on_time, late, missed = [16.7] * 90, [17.0] * 6, [33.4] * 4
    found = lab.frame_times([*late, *on_time, *missed])
    assert found["frame_ms"] == 16.7 and found["frame_ms_95"] == pytest.approx(17.0)
    assert found["frame_ms_99"] == pytest.approx(33.4)
    assert found["above_budget"] == pytest.approx(0.1) and found["missed"] == pytest.approx(0.04)
    with pytest.raises(ValueError, match="deltas must hold at least two frames, got 1"):
        lab.frame_times([16.7])


def test_the_opponent_is_the_faster_of_its_ways():
    assert [way.name for way in lab.ways(False, False)] == ["ours"]
    chosen = lab.ways(True, True)
    assert {(way.page, way.backend) for way in chosen} == {
        ("ours", None), ("ganlab", "webgl"), ("ganlab", "cpu"), ("tfjs", "wasm"), ("tfjs", "webgl"), ("tfjs", "cpu"),
    }  # fmt: skip
    slower = {"ours": 1.0, "GAN Lab, webgl": 9.0, "GAN Lab, cpu": 7.0, "TensorFlow.js, wasm": 2.0}
    rows = [{"way": way, "slower_than_ours": times} for way, times in slower.items()]
    assert lab.opponent(rows) == rows[2] and lab.opponent(rows[:1]) is None


def test_the_version_that_ganlab_locks_is_read(tmp_path):
    block = '"@tensorflow/{}@^0.12.0":\n  version "{}"\n  resolved "https://example.org/x.tgz"\n\n'
    lock = block.format("tfjs-core-not", "9.9.9") + block.format("tfjs-core", "0.12.4") + "seedrandom@1:\n"
    (tmp_path / "yarn.lock").write_text(lock)
    assert lab.locked(tmp_path, "@tensorflow/tfjs-core") == "0.12.4"
    with pytest.raises(RuntimeError, match="names no version of seedrandom"):
        lab.locked(tmp_path, "seedrandom")


def test_the_lab_benchmark_says_what_is_wrong(tmp_path, results, monkeypatch, capsys):
    for arguments in (["--ganlab", str(tmp_path)], ["--widths", "0"], ["--frames", "-1"], ["--rounds", "0"]):
        with pytest.raises(SystemExit, match="2"):
            lab.main(arguments)
    assert f"{tmp_path} has no demo/ganlab_models.ts" in capsys.readouterr().err
    monkeypatch.setattr(lab, "ESBUILD", tmp_path / "esbuild")
    assert lab.main([]) == 0 and "benchmark skipped: " in capsys.readouterr().out and not results.exists()


@pytest.fixture
def browser_tools():
    if lacks := lab.missing():
        pytest.skip(lacks)


FAKE_TFJS = """
// Numbers in place of tensors, and a list of what was asked for.
const calls = globalThis.calls = [];
export const tidy = (work) => work();
export const setBackend = (name) => { globalThis.backend = name; };
export const getBackend = () => globalThis.backend;
export { calls };
"""
FAKE_MODELS = """
import { calls } from "@tensorflow/tfjs-core";
export class GANLabModel {
  constructor(private noise: number, private g: number, private d: number, private widthG: number,
    private widthD: number, private batch: number, loss: string) { calls.push(["model", ...arguments]); }
  initializeModelVariables() {
    this.dVariables = [{ name: "d", dataSync: () => [calls.push(["read"])] }];
    this.gVariables = [{ name: "g", dataSync: () => [1] }];
  }
  updateOptimizer(player: string, kind: string, rate: number) {
    const minimize = (loss, keep, variables) => calls.push([player, variables[0].name, ...loss()]);
    this[player === "D" ? "dOptimizer" : "gOptimizer"] = { minimize };
    calls.push(["optimizer", player, kind, rate]);
  }
  generator(x) { return `G(${x})`; }
  discriminator(x) { return `D(${x})`; }
  dLoss(real, fake) { return [real, fake]; }
  gLoss(fake) { return [fake]; }
}
"""
FAKE_INPUTS = """
class Builder {
  constructor(...given) { this.given = given; }
  generateAtlas() { this.drawn = true; }
  getInputProvider() { let n = 0; return { getNextCopy: () => this.drawn && `${this.name}${++n}` }; }
}
export class GANLabNoiseProviderBuilder extends Builder { name = "z"; }
export class GANLabTrueSampleProviderBuilder extends Builder { name = "x"; }
"""


def test_an_iteration_of_ganlab_is_two_updates_of_d_and_one_of_g(tmp_path, browser_tools, monkeypatch):
    checkout = tmp_path / "checkout"
    (checkout / "demo").mkdir(parents=True)
    (checkout / "demo" / "ganlab_models.ts").write_text(FAKE_MODELS)
    (checkout / "demo" / "ganlab_input_providers.ts").write_text(FAKE_INPUTS)
    (checkout / "package.json").write_text('{"version": "0.2.1"}')
    (checkout / "yarn.lock").write_text('"@tensorflow/tfjs-core@^0.12.0":\n  version "0.12.4"\n')

    def install(folder, *packages):
        assert packages == ("@tensorflow/tfjs-core@0.12.4",)
        module = folder / "node_modules" / "@tensorflow" / "tfjs-core"
        module.mkdir(parents=True)
        (module / "package.json").write_text('{"name": "@tensorflow/tfjs-core", "type": "module", "main": "index.js"}')
        (module / "index.js").write_text(FAKE_TFJS)
        return folder / "node_modules"

    monkeypatch.setattr(lab, "install", install)
    versions = lab.make_pages(tmp_path, checkout, tfjs=False)
    assert versions == {"GAN Lab": "0.2.1", "tfjs-core of GAN Lab": "0.12.4"}
    with lab.chromium(1) as browser:
        page = lab.opened(browser, (tmp_path / "ganlab.html").as_uri())
        asked = lab.settings("sgd", 8)
        assert page.evaluate("([s, b]) => way.prepare(s, b)", [asked, "cpu"]) == "cpu"
        # One hidden layer, as it counts them, has a first one before it: two of ours.
        assert page.evaluate("calls.splice(0)") == [
            ["model", 2, 1, 1, 8, 8, 150, "Log loss"], ["optimizer", "D", "SGD", 0.1], ["optimizer", "G", "SGD", 0.1],
        ]  # fmt: skip
        done = page.evaluate("run(2)")
        assert done["finite"] and 0 <= done["seconds"] < 5
        updates = [["D", "d", "D(x1)", "D(G(z1))"], ["D", "d", "D(x2)", "D(G(z2))"], ["G", "g", "D(G(z3))"]]
        again = [["D", "d", "D(x3)", "D(G(z4))"], ["D", "d", "D(x4)", "D(G(z5))"], ["G", "g", "D(G(z6))"]]
        assert page.evaluate("calls") == [*updates, *again, ["read"]]  # the time ends when the numbers are there


def test_the_lab_benchmark_writes_its_tables(results, browser_tools, capsys):
    quick = ["--rounds", "1", "--widths", "4", "--optimizers", "adam", "--seconds", "0.02", "--frames", "0.2"]
    assert lab.main(quick) == 0
    table = read(results, "benchmark_lab")
    (row,) = table["rows"]
    assert (row["optimizer"], row["width"], row["way"], row["finite"]) == ("adam", 4, "ours", True)
    assert row["slower_than_ours"] == 1 and 0 < row["steps_per_second_min"] <= row["steps_per_second_max"]
    assert 0 < row["by_the_clock"] < 2 * row["steps_per_second"]  # no thread computes for longer than the clock runs
    assert table["settings"]["n_critic"] == 2 and table["settings"]["rates"]["adam"] == 0.001
    assert table["versions"]["chromium"] and "tfjs" not in table["versions"]
    frames = read(results, "benchmark_lab_frames")
    assert frames["threads"] == 1
    assert [row["way"] for row in frames["rows"]] == ["nothing", *["the engine in a worker", "the whole lab"] * 2]
    for row in frames["rows"]:
        assert 5 < row["frame_ms"] <= row["frame_ms_95"] <= row["frame_ms_99"] and 0 <= row["missed"] <= 1
    for row in frames["rows"][1:]:
        assert row["steps_per_second"] > 1
    assert "steps/s" in capsys.readouterr().out
