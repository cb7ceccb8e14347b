"""Several processes: the same numbers as one, the same decisions, one that writes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from test_families import SMALL, noise

from gan_course import models, parallel
from gan_course.train import checkpoint, fit
from gan_course.train.runs import CHECKPOINT, LOG

BATCH, STEPS = 8, 50
#: Dropout over real and fake samples in one pass has other masks in several processes; pix2pix' is checked.
EXACT = {name: {**settings, "dropout": 0.0} if "dropout" in settings else settings for name, settings in SMALL.items()}


def freeze_batch_norm(model: torch.nn.Module) -> None:
    """Make batch norm a fixed map, for its statistics are those of a process's share."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
            module.train = lambda mode=True, module=module: module


def run(name: str, out: Path | None = None, **changed) -> torch.nn.Module:
    """Train a family in float64 for 50 steps, in as many processes as there are."""
    family = models.family(name)

    class Double(family):
        def step(self, real, labels=None):
            return super().step(real.double(), labels)

    torch.manual_seed(parallel.rank())  # the weights of the first process must be given to all
    model = Double(**{**EXACT[name], **changed}).double()
    freeze_batch_norm(model)
    model.history = fit(model, noise(name), STEPS, batch=BATCH, log_every=20, out=out, progress=False)
    return model


def worker(rank: int, size: int, port: int, jobs, folder: Path) -> None:
    """Do the jobs (functions of this module, their arguments), each in all processes; write what they return."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(size)}
    with parallel.processes(timeout=120):
        for key, job, arguments in jobs:
            torch.save(globals()[job](**arguments), folder / f"{key}-{rank}.pt")
            dist.barrier()


def in_processes(size: int, jobs, folder: Path) -> dict:
    """Return ``{(key, rank): what the job returned}``."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    multiprocessing.spawn(worker, (size, port, jobs, folder), nprocs=size)
    keys = [(key, rank) for key, _, _ in jobs for rank in range(size)]
    return {(key, rank): torch.load(folder / f"{key}-{rank}.pt", weights_only=False) for key, rank in keys}


def trained(name: str, out: Path | None = None, **changed) -> tuple[dict, list]:
    model = run(name, out, **changed)
    return model.state_dict(), model.history.rows


def draws() -> dict[str, torch.Tensor]:
    """What the shares of a batch are made of."""
    torch.manual_seed(3)
    ones = torch.ones(2, 1000)
    return {
        "normal": parallel.randn(2, 5), "uniform": parallel.rand(2, dtype=torch.float64),
        "dropped": parallel.Dropout(0.5)(ones), "kept": parallel.Dropout(0.5).eval()(ones),
        "gathered": parallel.gather(torch.full((1, 2), float(parallel.rank()))),
        "mean": parallel.average(torch.tensor([1.0, 3.0 * parallel.rank()])),
        "after": torch.rand(3),
    }  # fmt: skip


def agreement() -> list[int]:
    with parallel.Agreement() as agreed:
        return [agreed(15 if parallel.rank() == 1 and i == 2 else 0) for i in range(5)]


def stopped(name: str, out: Path) -> str:
    """One process is asked to stop; all must stop after the same step."""
    model = models.family(name)(**SMALL[name])
    calls = []

    def step(real, labels=None, step=model.step):
        calls.append(1)
        if parallel.rank() == 1 and len(calls) == 13:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(real, labels)

    model.step = step
    try:
        fit(model, noise(name), STEPS, batch=BATCH, out=out, progress=False, log_every=20)
    except SystemExit as end:
        return f"status {end.code} after {len(calls)}"
    return "ran to the end"


def apart(folder: Path) -> str:
    """Each process sees a folder of its own, so that a run goes on in the first one only."""
    folder = folder / str(parallel.rank())
    fit(models.family("gan")(**SMALL["gan"]), noise("gan"), 2, batch=BATCH, out=folder, progress=False)
    try:
        fit(models.family("gan")(**SMALL["gan"]), noise("gan"), 4, batch=BATCH, out=folder, progress=False)
    except checkpoint.CheckpointError as error:
        return str(error)
    return "ran to the end"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """All that is to be seen in two processes, in one start of two: starting takes seconds."""
    folder = tmp_path_factory.mktemp("pairs")
    jobs = [(name, "trained", {"name": name}) for name in SMALL]
    jobs += [("with dropout", "trained", {"name": "pix2pix", "dropout": 0.5})]
    jobs += [("written", "trained", {"name": "wgan-gp", "out": folder / "run"})]
    jobs += [("draws", "draws", {}), ("agreement", "agreement", {})]
    jobs += [("stopped", "stopped", {"name": "gan", "out": folder / "stopped"})]
    jobs += [("apart", "apart", {"folder": folder / "apart"})]
    return in_processes(2, jobs, folder), folder


@pytest.mark.parametrize("name", [*SMALL, "with dropout"])
def test_two_processes_train_as_one(name, pairs):
    """On joined batches, in float64, without the statistics of batch norm."""
    one = run("pix2pix", dropout=0.5) if name == "with dropout" else run(name)
    two, rows = pairs[0][name, 0]
    other, _ = pairs[0][name, 1]
    assert all(torch.equal(x, other[key]) for key, x in two.items()), "both hold the same bits"
    for key, x in one.state_dict().items():
        torch.testing.assert_close(two[key], x, rtol=0, atol=1e-9, msg=lambda m, key=key: f"{key}: {m}")
    for mine, theirs in zip(one.history.rows, rows, strict=True):
        assert {k: v for k, v in theirs.items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in mine.items() if k != "seconds"}, rel=1e-5, abs=1e-6
        ), "what is logged is the mean over both"


def test_the_comparison_can_fail():
    """A learning rate that is off by a five-thousandth is far outside the margin."""
    one, other = run("gan"), run("gan", lr_g=5.001e-4)
    difference = max((a - b).abs().max() for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert difference > 1e-7


def test_shares_of_joined_draws(pairs):
    first, second = (pairs[0]["draws", rank] for rank in (0, 1))
    torch.manual_seed(3)
    torch.testing.assert_close(torch.cat([first["normal"], second["normal"]]), torch.randn(4, 5), rtol=0, atol=0)
    uniform = torch.rand(4, dtype=torch.float64)
    assert torch.equal(torch.cat([first["uniform"], second["uniform"]]), uniform)
    masks = torch.nn.functional.dropout(torch.ones(4, 1000), 0.5)
    assert torch.equal(torch.cat([first["dropped"], second["dropped"]]), masks)
    assert not torch.equal(first["dropped"], second["dropped"])
    assert torch.equal(first["kept"], torch.ones(2, 1000))
    for drawn in (first, second):
        assert drawn["gathered"].tolist() == [[0, 0], [1, 1]]
        assert drawn["mean"].tolist() == [1, 1.5]
    assert torch.equal(first["after"], second["after"]), "the random state stays the same in both"


def test_alone_all_is_as_torch_has_it():
    torch.manual_seed(3)
    alone = draws()
    torch.manual_seed(3)
    assert torch.equal(alone["normal"], torch.randn(2, 5))
    assert torch.equal(alone["uniform"], torch.rand(2, dtype=torch.float64))
    assert torch.equal(alone["dropped"], torch.nn.functional.dropout(torch.ones(2, 1000), 0.5))
    assert parallel.rank() == 0 and parallel.world_size() == 1 and agreement() == [0, 0, 0, 0, 0]
    with parallel.Agreement() as agreed:
        assert agreed(2) == 2
    with parallel.processes("cpu") as device:
        assert device == torch.device("cpu") and not dist.is_initialized()


def test_all_learn_of_a_request_at_the_same_step(pairs):
    assert [pairs[0]["agreement", rank] for rank in (0, 1)] == [[0, 0, 0, 15, 0]] * 2
    assert [pairs[0]["stopped", rank] for rank in (0, 1)] == ["status 0 after 14"] * 2
    state = checkpoint.load(pairs[1] / "stopped" / CHECKPOINT)
    assert state["step"] == 14 and len(state["pending"]) == 14


def test_one_process_writes(pairs):
    state = checkpoint.load(pairs[1] / "run" / CHECKPOINT)
    assert state["step"] == STEPS and state["run"]["processes"] == 2
    assert len((pairs[1] / "run" / LOG).read_text().splitlines()) == 3
    with pytest.raises(checkpoint.CheckpointError, match="processes was 2, now None"):
        run("wgan-gp", pairs[1] / "run")


def test_a_folder_that_not_all_see_is_refused(pairs):
    for rank, step in ((0, 2), (1, 0)):
        message = pairs[0]["apart", rank]
        assert "all processes must see the folder" in message and f"not all begin after step {step}" in message


def test_devices_that_processes_cannot_share(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ValueError, match="device must be cpu or cuda where several processes train .*, got mps"):
        with parallel.processes("mps"):
            pass
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="--nproc-per-node must be at most the number of GPUs, 1"):
        with parallel.processes("cuda"):
            pass
    assert not dist.is_initialized()


def test_batch_must_be_shared(monkeypatch):
    monkeypatch.setattr(parallel, "world_size", lambda: 3)
    with pytest.raises(ValueError, match="batch must be a multiple of the 3 processes, got 64"):
        fit(models.family("gan")(**SMALL["gan"]), noise("gan"), 1, progress=False)


def test_torchrun_stops_and_goes_on(tmp_path):
    """The command of the README, ended by SIGTERM, and again to the end."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "gan_course", "train", "gan", "--data", "digits", "--device", "cpu", "--out", str(tmp_path)]
    command += ["--checkpoint-seconds", "0.05"]
    started = subprocess.Popen(
        [*command, "--steps", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 300
        while not (tmp_path / CHECKPOINT).exists():
            assert started.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        started.send_signal(signal.SIGTERM)
        said = started.communicate(timeout=300)[0]
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
    assert said.count("new run of gan in") == 1 and said.count("stopped after step") == 1
    step = checkpoint.load(tmp_path / CHECKPOINT)["step"]
    assert f"stopped after step {step}" in said
    ended = subprocess.run([*command, "--steps", str(step + 10)], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "going on with the run" in ended.stdout and f"{step + 10:,} steps of 64" in ended.stdout
    assert checkpoint.load(tmp_path / CHECKPOINT)["step"] == step + 10
