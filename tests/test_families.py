"""What holds for every family: the protocol that training, checkpoints and the command line rely on."""

import copy
import inspect
import math
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gan_course import checks, models
from gan_course.data import DataSet, Domains
from gan_course.errors import CheckpointError
from gan_course.models import FAMILIES
from gan_course.train import checkpoint, fit
from gan_course.train.runs import CHECKPOINT

#: The least that each family can be built with, beside the shape of its data.
SMALL = {
    "gan": {"shape": (1, 4, 4), "latent_dim": 3, "width": 8, "dropout": 0.3, "r1": 0.1, "pack": 2},
    "wgan": {"shape": (1, 4, 4), "latent_dim": 3, "width": 8, "n_critic": 2},
    "wgan-gp": {"shape": (1, 4, 4), "latent_dim": 3, "width": 8, "n_critic": 2},
    "dcgan": {"shape": (3, 16, 16), "latent_dim": 4, "width": 4},
    "sngan": {"shape": (3, 8, 8), "latent_dim": 4, "width": 8},
    "r3gan": {"shape": (1, 8, 8), "latent_dim": 4, "width": 8},
    "stylegan": {
        "shape": (3, 16, 16), "latent_dim": 4, "width": 4, "mapping": 1, "path_length": 0.1, "ada_target": 0.6,
        "ada_images": 50,
    },
    "cgan": {"shape": (1, 8, 8), "latent_dim": 4, "width": 8, "num_classes": 3},
    "acgan": {"shape": (1, 8, 8), "latent_dim": 4, "width": 8, "num_classes": 3},
    "projection": {"shape": (1, 8, 8), "latent_dim": 4, "width": 8, "num_classes": 3},
    "text": {"shape": (3, 16, 16), "latent_dim": 4, "width": 8, "num_classes": 5},
    "pix2pix": {"shape": (2, 3, 16, 16), "width": 4},
    "cyclegan": {"shape": (2, 3, 16, 16), "width": 4, "blocks": 1},
    "vae": {"shape": (1, 4, 4), "latent_dim": 2, "width": 8, "levels": 5},
    "autoregressive": {"shape": (1, 4, 4), "width": 4, "levels": 5},
}
#: The Wasserstein loss does not see a constant in the critic's score.
WITHOUT_GRADIENT = {"wgan-gp": ["critic.layers.7.bias"]}
STEPS, BATCH = 8, 4


def build(name: str, **changed) -> torch.nn.Module:
    torch.manual_seed(0)
    return models.family(name)(**{**SMALL[name], **changed})


def noise(name: str, n: int = 30) -> DataSet | Domains:
    """Random images (and labels, where the family wants them) in the form that the family is trained on."""
    generator = torch.Generator().manual_seed(9)
    settings = SMALL[name]
    shape, classes = settings["shape"], settings.get("num_classes")

    def images() -> DataSet:
        x = torch.randint(0, 256, (n, *shape[-3:]), generator=generator, dtype=torch.uint8)
        labels = None
        if classes is not None:
            form = (n, 6) if name == "text" else (n,)
            labels = torch.randint(0, classes, form, generator=generator)
        return DataSet(x, labels, name="noise")

    return Domains(images(), images(), paired=True, name="noise") if len(shape) == 4 else images()


def batch(model: torch.nn.Module, name: str, size: int = BATCH) -> tuple[torch.Tensor, torch.Tensor | None]:
    x, labels = noise(name).take(0, 0, model.n_critic * size)
    form = (model.n_critic, size)
    return x.unflatten(0, form), None if labels is None else labels.unflatten(0, form)


def output(model: torch.nn.Module, name: str, n: int = 3) -> torch.Tensor:
    """Samples, or translations of fixed images, from a generator with a fixed seed."""
    if hasattr(model, "translate"):
        return model.translate(noise(name).a.images(n).to(next(model.parameters()).dtype))
    return model.sample(n, generator=torch.Generator().manual_seed(1))


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    left, right = (checkpoint.tensors(checkpoint.capture(model)) for model in (a, b))
    return all(name == other and torch.equal(x, y) for (name, x), (other, y) in zip(left, right, strict=True))


every_family = pytest.mark.parametrize("name", FAMILIES)


def test_every_family_is_tested_here():
    assert set(SMALL) == set(FAMILIES)
    assert all(models.family(name).family == name for name in FAMILIES)


@every_family
def test_settings_rebuild_the_model(name):
    model = build(name)
    parameters = inspect.signature(type(model)).parameters
    assert set(model.settings) == set(parameters), "every argument, and nothing else"
    again = type(model)(**model.settings)
    again.load_state_dict(model.state_dict())
    assert again.settings == model.settings and again.shape == model.shape == noise(name).shape
    from_list = type(model)(**{**model.settings, "shape": list(model.shape)})
    assert from_list.settings == model.settings and from_list.shape == model.shape


@every_family
def test_a_step_moves_every_network_and_leaves_no_gradient(name):
    model = build(name)
    before = copy.deepcopy(model.state_dict())
    real, labels = batch(model, name)
    kept = real.clone()
    logs = model.step(real, labels)
    logs = model.step(real, labels)  # where a gain starts at 0, what is below it moves in the second step
    assert torch.equal(real, kept), "the data are not changed"
    assert any(key.startswith("loss") for key in logs)
    assert all(v.ndim == 0 and not v.requires_grad and v.isfinite() for v in logs.values())
    assert all(p.grad is None for p in model.parameters())
    trained = {id(p) for o in checkpoint.optimizers(model) for g in o[1].param_groups for p in g["params"]}
    still = [k for k, p in model.named_parameters() if id(p) in trained and torch.equal(p, before[k])]
    assert still == WITHOUT_GRADIENT.get(name, []), "parameters that the steps did not move"
    outside = [k for k, p in model.named_parameters() if p.requires_grad and id(p) not in trained]
    assert not outside, "parameters that no optimizer holds"
    assert all(p.requires_grad for key, p in model.named_parameters() if id(p) in trained)


@every_family
def test_samples(name):
    model = build(name)
    model.step(*batch(model, name))
    state = torch.get_rng_state()
    first, again = output(model, name), output(model, name)
    assert first.shape == (3, *model.shape[-3:]) and first.abs().max() <= 1 and first.dtype == torch.float32
    assert torch.equal(first, again) and not first.requires_grad
    assert torch.equal(state, torch.get_rng_state()), "drawn from the given generator alone"
    assert all(m.training for m in model.children() if not isinstance(m, models.gan.EMA)), "the mode stays as it was"
    model.eval()
    assert torch.equal(first, output(model, name))
    if not hasattr(model, "translate"):
        other = model.sample(3, generator=torch.Generator().manual_seed(2))
        assert not torch.equal(first, other)
        with pytest.raises(ValueError, match="n must be at least 1, got 0"):
            model.sample(0)


@every_family
@pytest.mark.parametrize("end", ["interrupted", "crashed"])
def test_stopped_and_resumed_run_ends_with_the_same_bits(name, end, tmp_path):
    """Ctrl-C saves the fifth step; a crash leaves the checkpoint of the fourth, and the run goes on from there."""
    model = build(name)
    settings = {"batch": BATCH, "log_every": 3, "snapshot_every": 3, "snapshot_size": 4, "progress": False}
    settings |= {"checkpoint_seconds": 0, "channels_last": False}  # as a loaded model has it, for equal bits at the end

    class Stopped(type(model)):
        def step(self, real, labels=None):
            logs = super().step(real, labels)
            self.done = getattr(self, "done", 0) + 1
            if self.done == 5 and end == "crashed":
                raise RuntimeError("out of memory")
            if self.done == 5:
                os.kill(os.getpid(), signal.SIGINT)
            return logs

    torch.manual_seed(0)
    stopped = Stopped(**SMALL[name])
    expected = fit(model, noise(name), STEPS, out=tmp_path / "whole", **settings)
    with pytest.raises((KeyboardInterrupt, RuntimeError), match="stopped after step 5|out of memory"):
        fit(stopped, noise(name), STEPS, out=tmp_path / "parts", **settings)
    assert checkpoint.load(tmp_path / "parts" / CHECKPOINT)["step"] == (4 if end == "crashed" else 5)
    resumed = build(name)
    with torch.no_grad():  # all that the run knows must come from the file
        for p in resumed.parameters():
            p.add_(1)
    history = fit(resumed, noise(name), STEPS, out=tmp_path / "parts", **settings)
    assert same(model, resumed)
    assert [{**row, "seconds": 0} for row in history.rows] == [{**row, "seconds": 0} for row in expected.rows]
    assert all(torch.equal(history.snapshots[step], x) for step, x in expected.snapshots.items())

    loaded, _ = checkpoint.load_model(tmp_path / "whole" / CHECKPOINT)
    assert not loaded.training and torch.equal(output(loaded, name), output(model, name))


@every_family
def test_checkpoint_of_another_family_is_refused(name, tmp_path):
    other = "vae" if name == "gan" else "gan"
    path = tmp_path / CHECKPOINT
    checkpoint.save(path, checkpoint.capture(build(other)))
    with pytest.raises(CheckpointError, match=f"the checkpoint is of family '{other}', the model of '{name}'"):
        checkpoint.restore(build(name), checkpoint.load(path))
    fit(build(other), noise(other), 1, batch=BATCH, out=tmp_path / "run", progress=False)
    before = (tmp_path / "run" / CHECKPOINT).read_bytes()
    with pytest.raises(CheckpointError, match=f"is a run of family '{other}', the model is of '{name}'; choose"):
        fit(build(name), noise(name), 2, batch=BATCH, out=tmp_path / "run", progress=False)
    assert (tmp_path / "run" / CHECKPOINT).read_bytes() == before


class NoWaiting(TorchDispatchMode):
    """Refuse what fetches a value from the device: each would stop the host until the device is done."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket._qualified_op_name
        assert name not in {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal"}, name
        return function(*args, **(kwargs or {}))


@every_family
def test_a_step_never_waits_for_the_device(name, monkeypatch):
    monkeypatch.setattr(checks, "check_real", lambda *args, **kwargs: None)  # values on the CPU only, and free
    monkeypatch.setattr(checks, "check_labels", lambda labels, *args: labels)
    monkeypatch.setattr(models.conditional, "one_hot", lambda labels, n: torch.eye(n)[labels])  # torch's, too
    model = build(name)
    real, labels = batch(model, name)
    with NoWaiting():
        model.step(real, labels)
    with pytest.raises(AssertionError, match="_local_scalar_dense"), NoWaiting():
        real.sum().item()


@every_family
def test_deterministic_algorithms(name):
    torch.use_deterministic_algorithms(True)
    try:
        runs = [build(name) for _ in range(2)]
        for model in runs:
            torch.manual_seed(5)
            for _ in range(3):
                model.step(*batch(model, name))
        assert same(*runs)
    finally:
        torch.use_deterministic_algorithms(False)


@every_family
def test_float64(name):
    model = build(name).double()
    real, labels = batch(model, name)
    logs = model.step(real.double(), labels)
    assert all(v.isfinite() for v in logs.values())
    assert all(p.dtype == torch.float64 for p in model.parameters())


@every_family
def test_bfloat16_trains_weights_in_float32(name):
    """Autocast rounds products to 8 bits; losses stay near, and weights, moments and penalties as they are.

    With autocast's cache, all passes of a step would see the weights of the first: the Wasserstein losses show it.
    """
    exact, rounded = build(name), build(name)
    settings = {"batch": BATCH, "log_every": 1, "progress": False}
    first = fit(exact, noise(name), 4, precision="float32", **settings).rows[0]
    history = fit(rounded, noise(name), 4, precision="bf16", **settings)
    assert not same(exact, rounded)
    for key in first:
        if key.startswith("loss"):
            assert history.rows[0][key] == pytest.approx(first[key], rel=0.05, abs=0.05)
    assert all(x.dtype == torch.float32 for _, x in checkpoint.tensors(checkpoint.capture(rounded)["optimizers"]))
    assert all(p.dtype == torch.float32 for p in rounded.parameters())
    assert output(rounded, name).dtype == torch.float32


@every_family
def test_backward_passes_are_outside_of_autocast(name, monkeypatch):
    """Within, the second derivatives of a penalty would be rounded."""
    seen = []
    backward = torch.Tensor.backward
    monkeypatch.setattr(
        torch.Tensor, "backward", lambda *a, **k: (seen.append(torch.is_autocast_enabled("cpu")), backward(*a, **k))
    )
    fit(build(name), noise(name), 1, batch=BATCH, precision="bf16", progress=False)
    assert seen and not any(seen)


@every_family
def test_channels_last_changes_the_layout_only(name, tmp_path):
    plain, turned = build(name).double(), build(name).double()
    real, labels = batch(plain, name)
    turned.to(memory_format=torch.channels_last)
    for model in (plain, turned):
        torch.manual_seed(2)
        model.step(real.double(), labels)
    for key, x in plain.state_dict().items():
        torch.testing.assert_close(turned.state_dict()[key], x, rtol=1e-9, atol=1e-9)
    whole, parts = build(name), build(name)
    settings = {"batch": BATCH, "channels_last": True, "progress": False}
    fit(whole, noise(name), 6, **settings)
    fit(build(name), noise(name), 3, out=tmp_path, **settings)
    fit(parts, noise(name), 6, out=tmp_path, **settings)
    assert same(whole, parts)
    with pytest.raises(CheckpointError, match="channels_last was True, now None"):
        fit(build(name), noise(name), 6, out=tmp_path, **settings | {"channels_last": False})


@every_family
def test_wrong_input_is_refused(name):
    model = build(name)
    real, labels = batch(model, name)
    before = copy.deepcopy(model.state_dict())
    for wrong in (real[0], real[..., :-1], real[:, :0]):
        with pytest.raises(ValueError, match=r"real must have shape \(n_critic, B, .*\), got \("):
            model.step(wrong, labels)
    with pytest.raises(ValueError, match=r"real must hold images in \[-1, 1\], got values from [01] to 25[0-5]"):
        model.step(((real + 1) * 127.5).round(), labels)
    for value in (float("nan"), float("inf")):
        broken = real.clone()
        broken[0, 1, 0, 0, 0] = value
        with pytest.raises(ValueError, match="real must be finite, got NaN or infinite values"):
            model.step(broken, labels)
    if labels is not None:
        classes = SMALL[name]["num_classes"]
        for wrong, message in [
            (None, "labels must be given"),
            (labels.float(), "labels must be whole numbers, got torch.float32"),
            (labels[:, 1:], "labels must have shape"),
            (torch.full_like(labels, classes), f"labels must lie in 0 to {classes - 1}, got values from {classes}"),
            (torch.full_like(labels, -1), "labels must lie in 0 to"),
        ]:
            with pytest.raises(ValueError, match=message):
                model.step(real, wrong)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()), "nothing moved"
    with pytest.raises(ValueError, match=r"shape must be .*got \("):
        build(name, shape=(28, 28))
    if "lr_g" in model.settings:
        with pytest.raises(ValueError, match="lr_g must be positive, got -1.0"):
            build(name, lr_g=-1.0)


@every_family
def test_data_of_another_shape_are_refused(name):
    other = DataSet(torch.zeros(9, 1, 5, 5, dtype=torch.uint8), name="small")
    with pytest.raises(ValueError, match=r"data 'small' has samples of shape \(1, 5, 5\), the model wants"):
        fit(build(name), other, 1, progress=False)


@every_family
def test_the_file_can_be_read_at_one_go(name):
    source = Path(inspect.getfile(models.family(name)))
    assert len(source.read_text().splitlines()) <= 260, f"{source.name}: one family, one short file"
    assert re.search(r"\(\d{4}", inspect.getmodule(models.family(name)).__doc__), "the module names its paper"


def test_build_takes_shape_and_classes_from_the_data():
    x = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    labelled = DataSet(x, torch.arange(6) % 3, name="three", classes=["a", "b", "c"])
    model = models.build("projection", labelled, width=8)
    assert model.shape == (1, 8, 8) and model.settings["num_classes"] == 3
    assert models.build("gan", DataSet(x, name="plain"), width=8).shape == (1, 8, 8)
    with pytest.raises(ValueError, match="family 'projection' needs data with labels and named classes; 'plain'"):
        models.build("projection", DataSet(x, name="plain"))
    with pytest.raises(ValueError, match="unknown family 'dcgam'.*Did you mean 'dcgan'"):
        models.build("dcgam", labelled)


@pytest.mark.gpu
@every_family
def test_step_and_samples_on_a_gpu(name):
    model = build(name).cuda()
    real, labels = batch(model, name)
    logs = model.step(real.cuda(), None if labels is None else labels.cuda())
    assert all(v.is_cuda and v.isfinite() for v in logs.values())
    if hasattr(model, "translate"):
        assert model.translate(noise(name).a.images(3).cuda()).is_cuda
    else:
        assert model.sample(3, generator=torch.Generator().manual_seed(1)).is_cuda


@pytest.mark.gpu
@every_family
def test_a_run_on_a_gpu_goes_on_there_and_is_read_on_the_cpu(name, tmp_path):
    settings = {"batch": BATCH, "snapshot_every": 2, "snapshot_size": 4, "out": tmp_path, "progress": False}
    fit(build(name).cuda(), noise(name), 2, **settings)
    model = build(name).cuda()
    history = fit(model, noise(name), 4, **settings)
    assert history["step"] == [2, 4] and list(history.snapshots) == [0, 2, 4]
    loaded, _ = checkpoint.load_model(tmp_path / CHECKPOINT)
    assert output(loaded, name).device.type == "cpu"
    assert all(torch.equal(v, model.state_dict()[k].cpu()) for k, v in loaded.state_dict().items())


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"autoregressive"}))  # which has a test of its own
def test_images_are_computed_in_passes_of_bounded_size(name, monkeypatch):
    model = build(name).eval()
    whole, shape = output(model, name, 8), SMALL[name]["shape"][-3:]
    largest = []
    for network in (model.ema_decoder if name == "vae" else model.ema).modules():  # whichever of them is called
        network.register_forward_pre_hook(lambda _, inputs: largest.append(len(inputs[0])))
    monkeypatch.setattr(models.common, "PASS", 3 * math.prod(shape) + 1)
    torch.testing.assert_close(output(model, name, 8), whole)
    assert max(largest) == 3
    if name == "vae":
        model.bits_per_pixel(noise(name).images(8)), model.reconstruct(noise(name).images(8))
        assert max(largest) == 3


def test_the_passes_of_a_sequence_model_depend_on_size_and_levels():
    for shape, levels, expected in (((1, 8, 8), 17, 500), ((1, 64, 64), 256, 8), ((1, 512, 512), 256, 1)):
        model = build("autoregressive", shape=shape, levels=levels)
        assert model._chunk() == expected
