"""What can be seen of CUDA graphs without a GPU, and all of it with one."""

import pytest
import torch
from test_families import BATCH, batch, build, noise, same

from gan_course.models import FAMILIES
from gan_course.train import checkpoint, fit, graph

every_family = pytest.mark.parametrize("name", FAMILIES)


@every_family
@pytest.mark.parametrize("steps_before", [0, 2])
def test_warm_up_leaves_no_trace(name, steps_before):
    """Whether the optimizers have made their state before, as in a run that goes on, or not."""
    plain, warmed = build(name), build(name)
    real, labels = batch(plain, name)
    for model in (plain, warmed):
        torch.manual_seed(1)
        for _ in range(steps_before):
            model.step(real, labels)
        state = torch.get_rng_state()
        if model is warmed:
            with graph.without_trace(model):
                for _ in range(graph.WARM_UP):
                    model.step(real, labels)
        assert torch.equal(state, torch.get_rng_state())
        for _ in range(3):
            model.step(real, labels)
    assert same(plain, warmed)


def test_warm_up_that_fails_leaves_no_trace_either():
    model = build("gan")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="out of memory"), graph.without_trace(model):
        model.step(*batch(model, "gan"))
        raise RuntimeError("out of memory")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_recording_that_fails_leaves_the_optimizers_as_they_were(monkeypatch):
    def fail(*args):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(torch.cuda, "device", fail)
    model = build("wgan")
    with pytest.raises(RuntimeError, match="out of memory"), graph.recorded(model, model.step, *batch(model, "wgan")):
        pass
    group = model.optimizer_g.param_groups[0]
    assert type(group["lr"]) is float and group["lr"] == model.settings["lr_g"] and not group["capturable"]


def test_graph_needs_a_gpu():
    with pytest.raises(ValueError, match="graph needs a single process on a CUDA device, got 1 on cpu"):
        fit(build("gan"), noise("gan"), 1, graph=True, progress=False)


@pytest.mark.gpu
@every_family
def test_replayed_steps_are_the_eager_ones(name):
    """A graph may draw other random numbers, so that losses agree in kind; where none are drawn, weights agree."""
    eager, replayed = build(name).cuda(), build(name).cuda()
    settings = {"batch": BATCH, "log_every": 10, "progress": False}
    slow = fit(eager, noise(name), 40, **settings)
    fast = fit(replayed, noise(name), 40, graph=True, **settings)
    assert fast["step"] == slow["step"]
    moved = [not torch.equal(a.cpu(), b) for a, b in zip(replayed.parameters(), build(name).parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2, "a replay trains"
    for _, optimizer in checkpoint.optimizers(replayed):
        assert optimizer.param_groups[0]["lr"] == optimizer.defaults["lr"]
    for key in slow.rows[0]:
        if key.startswith("loss"):
            assert fast[key][0] == pytest.approx(slow[key][0], rel=0.5, abs=0.5)
    assert not checkpoint.not_finite(replayed.state_dict())
    if name == "autoregressive":  # nothing random but dropout, which is 0 here
        for a, b in zip(eager.state_dict().values(), replayed.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
def test_replayed_run_is_scheduled_and_leaves_the_optimizers_as_they_were(tmp_path):
    settings = {"batch": BATCH, "decay_from": 10, "graph": True, "progress": False}
    whole, saved = build("wgan-gp").cuda(), build("wgan-gp").cuda()
    fit(whole, noise("wgan-gp"), 40, **settings)
    fit(saved, noise("wgan-gp"), 40, out=tmp_path, checkpoint_seconds=0, **settings)
    for a, b in zip(whole.state_dict().values(), saved.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    assert saved.optimizer_g.param_groups[0]["lr"] == saved.settings["lr_g"], "a number again"
    assert not saved.optimizer_g.param_groups[0]["capturable"]
    saved.step(*(x if x is None else x.cuda() for x in batch(saved, "wgan-gp")))


@pytest.mark.gpu
def test_replayed_run_goes_on(tmp_path):
    settings = {"batch": BATCH, "graph": True, "progress": False}
    whole, parts = build("gan").cuda(), build("gan").cuda()
    fit(whole, noise("gan"), 40, **settings)
    fit(build("gan").cuda(), noise("gan"), 15, out=tmp_path, **settings)
    fit(parts, noise("gan"), 40, out=tmp_path, **settings)
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
