"""The folder of a run under bad conditions: killed, stopped, shared, full."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_families import BATCH, build, noise, same

from gan_course.data import DataSet
from gan_course.errors import CheckpointError
from gan_course.models import FAMILIES
from gan_course.models.gan import GAN
from gan_course.train import checkpoint, fit, runs
from gan_course.train.runs import CHECKPOINT, LOG
from tools.experiments import kills

STEPS = 25
forked = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
forked.set_forkserver_preload(["gan_course.train", "test_families", "torchvision.utils"])


def images(n: int = 50) -> DataSet:
    generator = torch.Generator().manual_seed(7)
    return DataSet(torch.randint(0, 256, (n, 1, 4, 4), generator=generator, dtype=torch.uint8), name="noise")


def model(**settings) -> GAN:
    torch.manual_seed(0)
    return GAN((1, 4, 4), latent_dim=3, width=8, dropout=0.3, **settings)


def train(name: str, out: Path) -> None:
    torch.set_num_threads(1)
    fit(
        build(name), noise(name), STEPS, batch=BATCH, out=out, log_every=2, snapshot_every=5, snapshot_size=4,
        warmup=5, decay_from=10, checkpoint_seconds=0, progress=False,
    )  # fmt: skip


def in_process(name: str, out: Path, kill_after: float | None = None) -> None:
    """Train in a process of its own, killed ``kill_after`` seconds after it has begun, which its log tells."""
    log = out / LOG
    before = log.stat().st_mtime_ns if log.exists() else None
    process = forked.Process(target=train, args=(name, out))
    process.start()
    while process.is_alive() and (not log.exists() or log.stat().st_mtime_ns == before):
        time.sleep(0.001)
    process.join(kill_after)
    if kill_after is not None:
        process.kill()
        process.join()
    else:
        assert process.exitcode == 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run of a family and how long its training takes."""
    found = {}

    def get(name: str):
        if name not in found:
            out = tmp_path_factory.mktemp(name)
            in_process(name, out)
            found[name] = kills.contents(out), checkpoint.load(out / CHECKPOINT)["seconds"]
        return found[name]

    return get


@pytest.mark.parametrize("name", FAMILIES)
def test_killed_run_ends_with_the_same_bits(name, whole, tmp_path):
    """By ``kill -9``, twice, at random moments. ``kill_resume`` in book/results has twenty for each of thirteen
    families, ``kill_resume_later`` five for the others."""
    expected, seconds = whole(name)
    moments = random.Random(name)
    for _ in range(2):
        in_process(name, tmp_path, kill_after=moments.uniform(0, seconds))
    in_process(name, tmp_path)
    found = kills.contents(tmp_path)
    assert kills.same(expected, found)
    found["rows"][-1]["loss_d" if "loss_d" in found["rows"][-1] else "loss"] += 1e-6
    assert not kills.same(expected, found)


def test_sigterm_saves_and_ends_well(tmp_path):
    """By the command line, as a scheduler would; then the same command goes on."""
    command = [sys.executable, "-m", "gan_course", "train", "gan", "--data", "digits", "--device", "cpu"]
    command += ["--out", str(tmp_path / "parts"), "--checkpoint-seconds", "0.05"]
    started = subprocess.Popen([*command, "--steps", "100000"], stdout=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 300
        while not (tmp_path / "parts" / CHECKPOINT).exists():
            assert started.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.3)
        started.send_signal(signal.SIGTERM)
        said = started.communicate(timeout=300)[0]
    finally:
        started.kill()
    assert started.returncode == 0
    state = checkpoint.load(tmp_path / "parts" / CHECKPOINT)
    assert f"stopped after step {state['step']}; saved in" in said and len(state["pending"]) == state["step"] % 50
    steps = ["--steps", str(state["step"] + 60)]
    subprocess.run([*command, *steps], check=True, stdout=subprocess.PIPE)
    command[command.index("--out") + 1] = str(tmp_path / "whole")
    subprocess.run([*command, *steps], check=True, stdout=subprocess.PIPE)
    parts, whole = (checkpoint.load(tmp_path / name / CHECKPOINT)["model"] for name in ("parts", "whole"))
    assert all(torch.equal(x, parts[key]) for key, x in whole.items())


class Asked(GAN):
    """Gets signals in its 17th step."""

    numbers = ()

    def step(self, real, labels=None):
        self.done = getattr(self, "done", 0) + 1
        if self.done == 17:
            for number in self.numbers:
                os.kill(os.getpid(), number)
        return super().step(real, labels)


def test_a_second_sigterm_changes_nothing(tmp_path, capsys):
    torch.manual_seed(0)
    gan = Asked((1, 4, 4), latent_dim=3, width=8, dropout=0.3)
    gan.numbers = [signal.SIGTERM, signal.SIGTERM]
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        fit(gan, images(), 40, out=tmp_path, log_every=10, progress=False)
    assert end.value.code == 0 and "stopped after step 17; saved in" in capsys.readouterr().out
    assert checkpoint.load(tmp_path / CHECKPOINT)["step"] == 17
    assert signal.getsignal(signal.SIGTERM) is before
    resumed, expected = model(), model()
    fit(resumed, images(), 40, out=tmp_path, log_every=10, progress=False)
    fit(expected, images(), 40, progress=False)
    assert same(resumed, expected)


def test_without_a_folder_sigterm_is_left_alone():
    seen = []

    class Looking(GAN):
        def step(self, real, labels=None):
            seen.append(signal.getsignal(signal.SIGTERM))
            return super().step(real, labels)

    fit(Looking((1, 4, 4), latent_dim=3, width=8), images(), 2, progress=False)
    assert seen == [signal.getsignal(signal.SIGTERM)] * 2


def hold(folder: Path, ready, done) -> None:
    with runs.locked(folder):
        ready.set()
        done.wait(30)


def test_a_second_process_is_refused(tmp_path):
    fit(model(), images(), 5, out=tmp_path, progress=False)
    before = (tmp_path / CHECKPOINT).read_bytes()
    ready, done = forked.Event(), forked.Event()
    process = forked.Process(target=hold, args=(tmp_path, ready, done))
    process.start()
    try:
        assert ready.wait(30)
        with pytest.raises(CheckpointError, match="another process is training in .*; wait for it, or choose another"):
            fit(model(), images(), 10, out=tmp_path, progress=False)
        assert (tmp_path / CHECKPOINT).read_bytes() == before
        process.kill()  # whatever happens to it, the lock does not stay
        process.join()
        assert fit(model(), images(), 10, out=tmp_path, progress=False)["step"] == [5, 10]
    finally:
        process.kill()


def test_a_second_run_in_the_same_process_is_refused(tmp_path):
    with runs.locked(tmp_path), pytest.raises(CheckpointError, match="another process is training"):
        fit(model(), images(), 5, out=tmp_path, progress=False)
    fit(model(), images(), 5, out=tmp_path, progress=False)


def fill_up(out: Path, answer) -> None:
    """Train with room for files of the size that the first checkpoint has, and then for half of it."""
    torch.set_num_threads(1)
    fit(model(), images(), 10, out=out, log_every=5, progress=False)
    size = (out / CHECKPOINT).stat().st_size
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
    try:
        fit(model(), images(), 20, out=out, log_every=5, checkpoint_seconds=0, progress=False)
    except CheckpointError as error:
        answer.send(str(error))


def test_full_disk_loses_nothing(tmp_path):
    """A limit on the size of files, which fails as a full disk does: in the middle of writing."""
    pytest.importorskip("resource", reason="no limits on the size of files here")
    mine, theirs = forked.Pipe()
    process = forked.Process(target=fill_up, args=(tmp_path, theirs))
    process.start()
    assert mine.poll(60), "no error came"
    message = mine.recv()
    process.join()
    assert "checkpoint.pt cannot be written (" in message and "what was saved before stays" in message
    assert "\n" not in message
    assert checkpoint.load(tmp_path / CHECKPOINT)["step"] == 10
    assert not (tmp_path / f"{CHECKPOINT}.part").exists(), "room is given back"
    resumed, whole = model(), model()
    fit(resumed, images(), 20, out=tmp_path, log_every=5, progress=False)  # when there is room again
    fit(whole, images(), 20, log_every=5, progress=False)
    assert same(resumed, whole)
    assert [json.loads(line)["step"] for line in (tmp_path / LOG).read_text().splitlines()] == [5, 10, 15, 20]


def test_log_that_ends_in_half_a_line_is_mended(tmp_path):
    """What a full disk leaves of the log."""
    fit(model(), images(), 10, out=tmp_path, log_every=5, progress=False)
    log = tmp_path / LOG
    log.write_text(log.read_text() + '{"step": 15, "loss_d": 1.')
    fit(model(), images(), 20, out=tmp_path, log_every=5, progress=False)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [5, 10, 15, 20]
