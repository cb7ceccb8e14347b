"""fit and checkpoints: determinism, resuming, logs, snapshots, damage."""

import errno
import json
import os
import signal
import stat
import threading

import numpy as np
import pytest
import torch

from gan_course.data import DataSet, Domains
from gan_course.errors import CheckpointError
from gan_course.models.conditional import ConditionalGAN
from gan_course.models.gan import GAN
from gan_course.models.pix2pix import Pix2Pix
from gan_course.models.wgan import WGAN
from gan_course.train import checkpoint, fit
from gan_course.train.runs import CHECKPOINT, LOG
from gan_course.train.schedule import rate_factor


def images(n: int = 50) -> DataSet:
    x = torch.randint(0, 256, (n, 1, 4, 4), generator=torch.Generator().manual_seed(9), dtype=torch.uint8)
    return DataSet(x, name="noise")


def model(**settings) -> GAN:
    torch.manual_seed(0)
    return GAN((1, 4, 4), latent_dim=3, width=8, dropout=0.3, **settings)


def same(a: GAN, b: GAN) -> bool:
    left, right = checkpoint.capture(a), checkpoint.capture(b)
    tensors = zip(checkpoint.tensors(left), checkpoint.tensors(right), strict=True)
    return all(name == other and torch.equal(x, y) for (name, x), (other, y) in tensors)


def test_a_run_is_a_function_of_weights_data_and_seed():
    runs = [model() for _ in range(3)]
    torch.manual_seed(123)  # the state outside has no influence
    fit(runs[0], images(), 30, seed=1, progress=False)
    fit(runs[1], images(), 30, seed=1, progress=False)
    fit(runs[2], images(), 30, seed=2, progress=False)
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


def test_every_update_gets_a_new_batch():
    """Two steps of three critic updates with four points each read a set of 24 exactly once."""

    class Watching(WGAN):
        seen = []

        def step(self, real, labels=None):
            self.seen.append(real.clone())
            return super().step(real, labels)

    points = torch.arange(24.0)[:, None]
    fit(Watching((1,), n_critic=3, width=4), DataSet(points, name="points"), 2, batch=4, progress=False)
    assert [x.shape for x in Watching.seen] == [(3, 4, 1)] * 2
    assert torch.equal(torch.cat(Watching.seen).flatten().sort().values, points[:, 0])


def test_resumed_run_ends_with_the_same_bits(tmp_path):
    whole, first = model(), model()
    settings = {"batch": 16, "log_every": 10, "snapshot_every": 15, "progress": False, "checkpoint_seconds": 0}
    expected = fit(whole, images(), 100, out=tmp_path / "whole", **settings)
    fit(first, images(), 35, out=tmp_path / "parts", **settings)
    second = model()
    got = fit(second, images(), 100, out=tmp_path / "parts", **settings)
    assert same(whole, second)
    assert got.snapshots.keys() - {35} == expected.snapshots.keys()
    assert all(torch.equal(got.snapshots[step], samples) for step, samples in expected.snapshots.items())
    assert got.rows[-1]["loss_d"] == expected.rows[-1]["loss_d"]


def test_a_checkpoint_does_not_grow_with_the_snapshots(tmp_path):
    """They lie in files beside it, and are read when they are asked for."""
    settings = {"snapshot_size": 64, "progress": False}
    fit(model(), images(), 3, out=tmp_path / "few", **settings)
    history = fit(model(), images(), 3, out=tmp_path / "many", snapshot_every=1, **settings)
    sizes = [(tmp_path / name / CHECKPOINT).stat().st_size for name in ("few", "many")]
    assert sizes[1] - sizes[0] < history.snapshots[3].numel()
    assert list(history.snapshots) == [0, 1, 2, 3] and 4 not in history.snapshots
    again = fit(model(), images(), 3, out=tmp_path / "many", snapshot_every=1, **settings)
    assert all(torch.equal(again.snapshots[step], history.snapshots[step]) for step in range(4))


def test_snapshots_of_a_process_that_did_not_save_are_made_again(tmp_path):
    settings = {"snapshot_every": 2, "progress": False}
    fit(model(), images(), 4, out=tmp_path, **settings)
    history = fit(model(), images(), 4, out=tmp_path, **settings)
    history.snapshots[6] = history.snapshots[4] * 0
    history = fit(model(), images(), 6, out=tmp_path, probe=lambda m: {"one": 1.0}, **settings)
    assert history.snapshots[6].any() and history["probe_step"] == [6]


def test_what_a_run_left_that_never_saved_is_not_taken_for_the_next(tmp_path):
    class Failing(GAN):
        def step(self, real, labels=None):
            raise RuntimeError("out of memory")

    settings = {"snapshot_every": 2, "probe": lambda m: {"one": 1.0}, "progress": False}
    with pytest.raises(RuntimeError, match="out of memory"):
        fit(Failing((1, 4, 4), latent_dim=3, width=8), images(), 4, out=tmp_path, **settings)
    history, alone = fit(model(), images(), 4, out=tmp_path, **settings), fit(model(), images(), 4, **settings)
    assert history["probe_step"] == [0, 2, 4] and torch.equal(history.snapshots[0], alone.snapshots[0])
    with pytest.raises(RuntimeError, match="out of memory"):
        fit(Failing((1, 4, 4), latent_dim=3, width=8), images(), 4, out=tmp_path / "other", **settings)
    assert not fit(model(), images(), 4, out=tmp_path / "other", progress=False).snapshots


def test_checkpoints_that_hold_their_snapshots_still_load(tmp_path):
    whole = fit(model(), images(), 4, out=tmp_path, snapshot_every=2, progress=False)
    state = checkpoint.load(tmp_path / CHECKPOINT)
    kept = {step: whole.snapshots[step] for step in (0, 2, 4)}
    checkpoint.save(tmp_path / CHECKPOINT, state | {"snapshots": kept})
    for file in (tmp_path / "samples").iterdir():
        file.unlink()
    history = fit(model(), images(), 6, out=tmp_path, snapshot_every=2, progress=False)
    assert list(history.snapshots) == [0, 2, 4, 6] and torch.equal(history.snapshots[2], kept[2])


def test_a_checkpoint_may_be_made_between_two_rows(tmp_path):
    class Stopping(GAN):
        def step(self, real, labels=None):
            self.done = getattr(self, "done", 0) + 1
            if self.done == 8:
                raise RuntimeError("out of power")
            return super().step(real, labels)

    torch.manual_seed(0)
    stopped = Stopping((1, 4, 4), latent_dim=3, width=8, dropout=0.3)
    with pytest.raises(RuntimeError, match="out of power"):
        fit(stopped, images(), 20, out=tmp_path, checkpoint_seconds=0, progress=False)
    assert checkpoint.load(tmp_path / CHECKPOINT)["step"] == 7
    resumed, whole = model(), model()
    history = fit(resumed, images(), 20, out=tmp_path, progress=False)
    expected = fit(whole, images(), 20, progress=False)
    assert same(resumed, whole) and history.rows[0]["loss_d"] == expected.rows[0]["loss_d"]


def test_the_same_data_may_go_by_another_name(tmp_path):
    """A folder that was moved, or is named from another working directory: the checksum decides."""
    fit(model(), images(), 5, out=tmp_path, progress=False)
    moved = DataSet(images().x, name="elsewhere/noise")
    assert fit(model(), moved, 10, out=tmp_path, progress=False)["step"][-1] == 10


def test_log_is_cut_back_to_the_checkpoint(tmp_path):
    fit(model(), images(), 40, out=tmp_path, log_every=10, progress=False)
    with open(tmp_path / LOG, "a") as log:
        log.write('{"step": 50, "loss_d": 0}\n{"step": 6')  # a process killed while it wrote
    history = fit(model(), images(), 60, out=tmp_path, log_every=10, progress=False)
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20, 30, 40, 50, 60] == history["step"]
    assert rows == history.rows


def test_interruption_stops_between_steps_and_saves(tmp_path):
    class Interrupting(GAN):
        def step(self, real, labels=None):
            logs = super().step(real, labels)
            self.done = getattr(self, "done", 0) + 1
            if self.done == 17:
                os.kill(os.getpid(), signal.SIGINT)
            return logs

    torch.manual_seed(0)
    interrupted = Interrupting((1, 4, 4), latent_dim=3, width=8, dropout=0.3)
    with pytest.raises(KeyboardInterrupt, match="stopped after step 17; saved in"):
        fit(interrupted, images(), 40, out=tmp_path, log_every=10, progress=False)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed, whole = model(), model()
    history = fit(resumed, images(), 40, out=tmp_path, log_every=10, progress=False)
    expected = fit(whole, images(), 40, log_every=10, progress=False)
    assert same(resumed, whole)
    # The half-full log interval survived too.
    assert [r["loss_d"] for r in history.rows] == [r["loss_d"] for r in expected.rows]


def test_a_second_interruption_stops_within_the_step(tmp_path):
    class Hanging(GAN):
        def step(self, real, labels=None):
            self.done = getattr(self, "done", 0) + 1
            if self.done == 17:
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)
                raise AssertionError("the second signal did not stop the step")
            return super().step(real, labels)

    torch.manual_seed(0)
    hanging = Hanging((1, 4, 4), latent_dim=3, width=8, dropout=0.3)
    with pytest.raises(KeyboardInterrupt, match="stopped within a step; the last checkpoint stays"):
        fit(hanging, images(), 40, out=tmp_path, log_every=10, checkpoint_seconds=0, progress=False)
    assert checkpoint.load(tmp_path / CHECKPOINT)["step"] == 16
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_fit_runs_outside_the_main_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(model(), images(), 5, progress=False)))
    thread.start()
    thread.join()
    assert results[0]["step"] == [5]


def test_snapshots_and_probe_do_not_disturb_the_run(tmp_path):
    plain, watched = model(), model()
    fit(plain, images(), 20, progress=False)
    history = fit(
        watched, images(), 20, out=tmp_path, snapshot_every=5, snapshot_size=9, progress=False,
        probe=lambda m: {"noise": torch.randn(3).sum().item()},
    )  # fmt: skip
    assert same(plain, watched)
    assert list(history.snapshots) == [0, 5, 10, 15, 20] == history["probe_step"]
    assert history.snapshots[5].shape == (9, 1, 4, 4) and history.snapshots[5].dtype == torch.uint8
    assert len(history["noise"]) == 5
    assert len(list((tmp_path / "samples").glob("*.png"))) == 5
    with pytest.raises(KeyError, match="no column 'los_d'"):
        history["los_d"]


def test_a_probe_may_leave_evaluation_mode_behind():
    plain, watched = model(), model()
    fit(plain, images(), 10, progress=False)
    fit(watched, images(), 10, snapshot_every=2, probe=lambda m: {"mode": m.eval().training}, progress=False)
    assert same(plain, watched)


def test_random_state_is_that_of_the_device_of_the_model(monkeypatch):
    """Each accelerator has a generator of its own, and the current one need not be the model's."""
    first, second = torch.device("cuda:0"), torch.device("cuda:1")
    states = {first: torch.zeros(16), second: torch.ones(16)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device=first: states[device])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda new, device=first: states.update({device: new}))
    saved = checkpoint.random_state(second)
    states[second] = torch.full((16,), 7.0)
    checkpoint.set_random_state(second, saved)
    assert torch.equal(states[second], torch.ones(16)) and torch.equal(states[first], torch.zeros(16))


def test_random_state_on_apple(monkeypatch):
    kept = [torch.ones(8)]
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: kept[0])
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda new: kept.__setitem__(0, new))
    saved = checkpoint.random_state(torch.device("mps"))
    kept[0] = torch.zeros(8)
    checkpoint.set_random_state(torch.device("mps"), saved)
    assert torch.equal(kept[0], torch.ones(8))
    assert checkpoint.random_state(torch.device("cpu"))["device"] is None


def test_points_are_snapshots_as_they_are():
    points = DataSet(torch.randn(40, 2), name="points")
    gan = GAN((2,), latent_dim=2, width=8, batch_norm=False)
    history = fit(gan, points, 4, snapshot_every=2, progress=False)
    assert history.snapshots[4].dtype == torch.float32 and history.snapshots[4].shape == (64, 2)


def test_report(capsys, tmp_path):
    fit(model(), images(), 12, out=tmp_path, batch=8)
    assert "12 steps of 8 in" in capsys.readouterr().out
    fit(model(), images(), 10, out=tmp_path, batch=8)
    assert "nothing to do: the run has 12 steps already" in capsys.readouterr().out


def test_other_settings_are_refused_and_named(tmp_path):
    fit(model(), images(), 5, out=tmp_path, progress=False)
    before = (tmp_path / CHECKPOINT).read_bytes()
    for gan, batch, message in [
        (model(lr_g=0.5), 64, "lr_g was 0.001, now 0.5"),
        (model(), 32, "batch was 64, now 32"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            fit(gan, images(), 10, batch=batch, out=tmp_path, progress=False)
    with pytest.raises(CheckpointError, match="is there already"):
        fit(model(), images(), 10, out=tmp_path, resume=False, progress=False)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_other_data_of_the_same_name_and_size_are_refused(tmp_path):
    fit(model(), images(), 5, out=tmp_path, progress=False)
    changed = images()
    changed.x[7, 0, 2, 2] += 1
    labelled = DataSet(images().x, torch.zeros(50, dtype=torch.long), name="noise")
    for other in (changed, labelled):
        with pytest.raises(CheckpointError, match="data_crc32 was [0-9]+, now [0-9]+"):
            fit(model(), other, 10, out=tmp_path, progress=False)
    assert fit(model(), images(), 10, out=tmp_path, progress=False)["step"][-1] == 10


def test_learning_rate_decay_is_linear_to_zero_and_resumes(tmp_path):
    class Watching(GAN):
        def step(self, real, labels=None):
            self.rates = [*getattr(self, "rates", []), self.optimizer_d.param_groups[0]["lr"]]
            return super().step(real, labels)

    torch.manual_seed(0)
    gan = Watching((1, 4, 4), latent_dim=3, width=8, dropout=0.3, lr_d=0.8)
    fit(gan, images(), 6, decay_from=2, progress=False)
    assert gan.rates == pytest.approx([0.8, 0.8, 0.8, 0.6, 0.4, 0.2])
    assert gan.optimizer_d.param_groups[0]["lr"] == 0.8  # for the next run with this model

    class Stopping(GAN):
        def step(self, real, labels=None):
            self.done = getattr(self, "done", 0) + 1
            if self.done == 5:
                os.kill(os.getpid(), signal.SIGINT)
            return super().step(real, labels)

    torch.manual_seed(0)
    stopped = Stopping((1, 4, 4), latent_dim=3, width=8, dropout=0.3, lr_d=0.8)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, images(), 6, decay_from=2, out=tmp_path, progress=False)
    resumed = model(lr_d=0.8)
    fit(resumed, images(), 6, decay_from=2, out=tmp_path, progress=False)
    assert same(gan, resumed)
    assert stopped.optimizer_d.param_groups[0]["lr"] == 0.8, "also where the run did not come to its end"
    with pytest.raises(CheckpointError, match="steps was 6, now 8"):
        fit(model(lr_d=0.8), images(), 8, decay_from=2, out=tmp_path, progress=False)


def test_rate_factor():
    linear = [rate_factor(step, 6, decay_from=2) for step in range(1, 7)]
    assert linear == pytest.approx([1, 1, 1, 0.75, 0.5, 0.25])
    warmed = [rate_factor(step, 10, warmup=4) for step in range(1, 7)]
    assert warmed == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    cosine = [rate_factor(step, 102, decay_from=2, decay="cosine") for step in (2, 3, 53, 103)]
    assert cosine == pytest.approx([1, 1, 0.5, 0], abs=1e-12)  # step 103 would be the first after the run
    assert rate_factor(3, 10, warmup=4, decay_from=0) == pytest.approx(0.75 * 0.8)
    assert rate_factor(7, 10) == 1


def test_schedules_reach_the_optimizers_and_belong_to_the_run(tmp_path):
    class Watching(GAN):
        def step(self, real, labels=None):
            self.rates = [*getattr(self, "rates", []), self.optimizer_d.param_groups[0]["lr"]]
            return super().step(real, labels)

    gan = Watching((1, 4, 4), latent_dim=3, width=8, lr_d=0.8)
    fit(gan, images(), 4, warmup=2, decay_from=2, decay="cosine", out=tmp_path, progress=False)
    assert gan.rates == pytest.approx([0.4, 0.8, 0.8, 0.4])
    assert gan.optimizer_d.param_groups[0]["lr"] == 0.8
    for changed, message in [
        ({"warmup": 3}, "warmup was 2, now 3"),
        ({"decay": "linear"}, "decay was cosine, now None"),
    ]:
        settings = {"warmup": 2, "decay_from": 2, "decay": "cosine", **changed}
        with pytest.raises(CheckpointError, match=message):
            fit(GAN((1, 4, 4), latent_dim=3, width=8, lr_d=0.8), images(), 4, out=tmp_path, progress=False, **settings)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_truncated_checkpoint_is_refused_and_kept(tmp_path, share):
    fit(model(), images(), 5, out=tmp_path, progress=False)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint") as error:
        fit(model(), images(), 10, out=tmp_path, progress=False)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


def test_a_flipped_bit_is_found_or_harmless(tmp_path):
    """torch.load alone reads a changed weight without a word."""
    path = tmp_path / CHECKPOINT
    checkpoint.save(path, checkpoint.capture(model()))
    whole, original = path.read_bytes(), dict(checkpoint.tensors(checkpoint.load(path)))
    refused = 0
    for position in torch.randint(len(whole), (200,)).tolist():
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        try:
            state = checkpoint.load(path)
        except CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
        else:  # it was in the padding between the members of the archive
            assert all(torch.equal(tensor, original[name]) for name, tensor in checkpoint.tensors(state))
    assert refused > 100


def test_checkpoint_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({"format": 1, "evil": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint"):
        checkpoint.load(tmp_path / "evil.pt")
    assert not (tmp_path / "executed").exists()


def test_foreign_and_missing_files(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        checkpoint.load(tmp_path / "none.pt")
    torch.save({"epoch": 3}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of this version"):
        checkpoint.load(tmp_path / "other.pt")


@pytest.mark.parametrize("key", ["family", "settings", "model", "optimizers", "rng", "run", "step", "rows", "pending"])
def test_a_checkpoint_that_lacks_something_is_refused_in_one_line(tmp_path, key):
    fit(model(), images(), 2, out=tmp_path, progress=False)
    state = checkpoint.load(tmp_path / CHECKPOINT)
    del state[key]
    checkpoint.save(tmp_path / CHECKPOINT, state)
    with pytest.raises(CheckpointError, match=key) as error:
        fit(model(), images(), 4, out=tmp_path, progress=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["settings"].update(width=10**12),
        lambda state: state["settings"].update(width=9),
        lambda state: state["settings"].update(depth=3),
        lambda state: state["settings"].pop("shape"),
        lambda state: state.update(family="diffusion"),
        lambda state: state["model"].popitem(),
        lambda state: state.update(model=3),
    ],
)
def test_a_checkpoint_that_does_not_fit_itself_is_refused_in_one_line(tmp_path, change):
    fit(model(), images(), 2, out=tmp_path, progress=False)
    state = checkpoint.load(tmp_path / CHECKPOINT)
    change(state)
    checkpoint.save(tmp_path / CHECKPOINT, state)
    with pytest.raises(CheckpointError, match="does not fit what it says of itself") as error:
        checkpoint.load_model(tmp_path / CHECKPOINT)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_non_finite_state_is_never_saved(tmp_path):
    gan = model()
    path = tmp_path / CHECKPOINT
    checkpoint.save(path, checkpoint.capture(gan))
    before = path.read_bytes()
    with torch.no_grad():
        gan.generator.layers[0].weight[0, 0] = float("nan")
    with pytest.raises(CheckpointError, match=r"generator.layers.0.weight holds values that are not finite"):
        checkpoint.save(path, checkpoint.capture(gan))
    assert path.read_bytes() == before


def test_non_finite_loss_stops_and_is_named(tmp_path):
    gan = model(lr_g=1e-3)
    with torch.no_grad():
        gan.discriminator.layers[1].weight.fill_(float("inf"))
    message = "loss_d is nan at step 1; after step 10, model.*weight .* not finite; no checkpoint was made yet"
    with pytest.raises(FloatingPointError, match=message):
        fit(gan, images(), 20, out=tmp_path, log_every=10, progress=False)
    assert not (tmp_path / CHECKPOINT).exists()


def test_the_first_step_that_is_not_finite_is_named_and_the_checkpoint_stays(tmp_path):
    class Breaking(GAN):
        def step(self, real, labels=None):
            self.done = getattr(self, "done", 0) + 1
            if self.done == 17:
                with torch.no_grad():
                    self.generator.layers[3].weight[0, 0] = float("inf")
            return super().step(real, labels)

    torch.manual_seed(0)
    gan = Breaking((1, 4, 4), latent_dim=3, width=8)
    message = "loss_. is (nan|inf) at step 17; after step 17, model.*; the checkpoint of step 16 stays"
    with pytest.raises(FloatingPointError, match=message):
        fit(gan, images(), 40, out=tmp_path, log_every=10, checkpoint_seconds=0, progress=False)
    assert checkpoint.load(tmp_path / CHECKPOINT)["step"] == 16
    assert len((tmp_path / LOG).read_text().splitlines()) == 1


def test_weights_that_break_in_the_last_step_are_named():
    """After the last losses: without this look, the run would seem to have gone well."""

    class Breaking(GAN):
        def step(self, real, labels=None):
            logs = super().step(real, labels)
            with torch.no_grad():
                self.generator.layers[6].bias[1] = float("nan")
            return logs

    gan = Breaking((1, 4, 4), latent_dim=3, width=8)
    with pytest.raises(FloatingPointError, match=r"^after step 1, model.generator.layers.6.bias is not finite$"):
        fit(gan, images(), 1, progress=False)


def test_loss_that_breaks_without_breaking_weights_is_told_apart():
    class Breaking(GAN):
        def step(self, real, labels=None):
            return {**super().step(real, labels), "loss_d": torch.tensor(float("inf"))}

    gan = Breaking((1, 4, 4), latent_dim=3, width=8)
    with pytest.raises(FloatingPointError, match="^loss_d is inf at step 1; after step 2, all weights are finite$"):
        fit(gan, images(), 2, progress=False)


def test_numbers_of_numpy_come_back_as_plain_ones(tmp_path):
    """Left as they are, ``weights_only`` would refuse the whole file, and the run would be lost."""
    gan = model(lr_g=np.float64(1e-3), pack=np.int64(2))
    probe = lambda m: {"share": np.float32(0.5), "modes": np.int64(8)}  # noqa: E731
    fit(gan, images(), 4, out=tmp_path, snapshot_every=2, probe=probe, progress=False)
    state = checkpoint.load(tmp_path / CHECKPOINT)
    assert state["probes"][-1] == {"step": 4, "share": 0.5, "modes": 8}
    assert type(state["settings"]["lr_g"]) is float and type(state["settings"]["pack"]) is int
    assert state["settings"]["shape"] == (1, 4, 4), "a tuple stays one"
    history = fit(model(lr_g=1e-3, pack=2), images(), 6, out=tmp_path, snapshot_every=2, probe=probe, progress=False)
    assert history["modes"] == [8, 8, 8, 8]


def test_what_could_not_be_read_again_is_not_saved(tmp_path):
    path = tmp_path / CHECKPOINT
    checkpoint.save(path, {"step": 1})
    for value, kind in [(np.zeros(3), "ndarray"), ({1, 2}, "set"), (tmp_path, "PosixPath|WindowsPath")]:
        with pytest.raises(CheckpointError, match=rf"state\.probes\[0\]\.a is of type ({kind}), not saved"):
            checkpoint.save(path, {"probes": [{"a": value}]})
    assert checkpoint.load(path)["step"] == 1


def test_crash_while_writing_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / CHECKPOINT
    checkpoint.save(path, {"step": 1})
    monkeypatch.setattr(torch, "save", lambda state, file: (file.write(b"half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        checkpoint.save(path, {"step": 2})
    assert checkpoint.load(path)["step"] == 1


def test_a_folder_that_cannot_be_flushed_does_no_harm(tmp_path, monkeypatch):
    """Some network file systems flush files only."""
    flush = os.fsync

    def files_only(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    checkpoint.save(tmp_path / CHECKPOINT, {"step": 1})
    assert checkpoint.load(tmp_path / CHECKPOINT)["step"] == 1


def test_load_model_rebuilds_the_model(tmp_path):
    gan = model()
    fit(gan, images(), 5, out=tmp_path, progress=False)
    loaded, state = checkpoint.load_model(tmp_path / CHECKPOINT)
    assert state["step"] == 5 and not loaded.training
    draw = [m.sample(3, generator=torch.Generator().manual_seed(0)) for m in (gan, loaded)]
    assert torch.equal(*draw)


def test_restore_refuses_another_model():
    state = checkpoint.capture(model())
    with pytest.raises(CheckpointError, match="made with other settings: width was 8, now 4"):
        checkpoint.restore(GAN((1, 4, 4), latent_dim=3, width=4, dropout=0.3), state)
    with pytest.raises(CheckpointError, match="of family 'wgan', the model of 'gan'"):
        checkpoint.restore(model(), {**state, "family": "wgan"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch": -3}, "batch must be at least 1, got -3"),
        ({"steps": 1e4}, "steps must be a whole number, got 10000.0"),
        ({"decay_from": 5}, r"decay_from must lie in \[0, steps\), got 5 with steps 5"),
        ({"snapshot_every": 0}, "snapshot_every must be at least 1, got 0"),
        ({"warmup": -1}, "warmup must be at least 0, got -1"),
        ({"decay": "cosin"}, "unknown decay 'cosin'; known: linear, cosine. Did you mean 'cosine'"),
        ({"decay": "cosine"}, "decay_from must be given for decay 'cosine', got None"),
        ({"precision": "fp16"}, "unknown precision 'fp16'; known: auto, float32, bf16"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        fit(model(), images(), **{"steps": 5, "progress": False, **change})


def test_data_of_another_shape_are_refused():
    colour = DataSet(torch.zeros(5, 3, 4, 4, dtype=torch.uint8), name="colour")
    with pytest.raises(
        ValueError, match=r"data 'colour' has samples of shape \(3, 4, 4\), the model wants \(1, 4, 4\)"
    ):
        fit(model(), colour, 5, progress=False)


def test_data_that_the_model_cannot_learn_from_are_refused(tmp_path):
    """Before the first step, which looks at the range of labels on the CPU only."""
    x = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="labels must lie in 0 to 1, got values from 0 to 2"):
        fit(ConditionalGAN((1, 8, 8), 2, width=4), DataSet(x, torch.arange(6) % 3, name="three"), 1, progress=False)
    a = DataSet(torch.zeros(6, 3, 16, 16, dtype=torch.uint8), name="a")
    with pytest.raises(ValueError, match="data 'a and a' must be paired for a model of family 'pix2pix', got unpaired"):
        fit(Pix2Pix((2, 3, 16, 16), width=4), Domains(a, a, paired=False, name="a and a"), 1, progress=False)
    checkpoint.save(tmp_path / CHECKPOINT, checkpoint.capture(model()))
    with pytest.raises(CheckpointError, match="is not the checkpoint of a run: it lacks run, step"):
        fit(model(), images(), 1, out=tmp_path, progress=False)


@pytest.mark.gpu
def test_resume_on_a_gpu(tmp_path):
    whole, second = model().cuda(), model().cuda()
    fit(whole, images(), 60, progress=False)
    fit(model().cuda(), images(), 25, out=tmp_path, progress=False)
    fit(second, images(), 60, out=tmp_path, progress=False)
    for a, b in zip(whole.state_dict().values(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
