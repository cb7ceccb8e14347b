"""What is fast is chosen by itself: bfloat16 where the device computes it, channels last for convolutions."""

import pytest
import torch
from torch import nn

from gan_course.data import DataSet
from gan_course.models.dcgan import DCGAN
from gan_course.train import fit, speed

CPU, GPU, APPLE = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
MLP = nn.Sequential(nn.Linear(2, 2))
CONVOLUTIONS = nn.Sequential(nn.Flatten(), nn.ConvTranspose2d(1, 1, 2))


@pytest.fixture
def hardware(monkeypatch):
    """Pretend that the CPU has bfloat16 or not, and that the GPU has a compute capability."""

    def pretend(cpu: bool, capability: tuple[int, int]) -> None:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: cpu)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    return pretend


@pytest.mark.parametrize(
    ("cpu", "capability", "device", "network", "expected"),
    [
        (True, (8, 0), CPU, CONVOLUTIONS, "bfloat16, channels last"),
        (False, (8, 0), CPU, CONVOLUTIONS, "float32, channels last"),
        (True, (8, 0), CPU, MLP, "float32"),
        (False, (8, 0), GPU, CONVOLUTIONS, "bfloat16, channels last"),
        (True, (7, 5), GPU, CONVOLUTIONS, "float32"),
        (False, (9, 0), GPU, MLP, "float32"),
        (True, (8, 0), APPLE, CONVOLUTIONS, "float32"),
    ],
)
def test_what_is_chosen(hardware, cpu, capability, device, network, expected):
    hardware(cpu, capability)
    assert str(speed.choose(network, device)) == expected


def test_what_is_asked_for_is_done(hardware):
    hardware(True, (8, 0))
    assert str(speed.choose(CONVOLUTIONS, CPU, "float32", False)) == "float32"
    hardware(False, (7, 5))
    assert str(speed.choose(MLP, CPU, "bf16", True)) == "bfloat16, channels last"
    with pytest.raises(ValueError, match="needs a GPU of compute capability 8, got one of 7.5"):
        speed.choose(MLP, GPU, "bf16")
    with pytest.raises(ValueError, match="channels_last must be True, False or 'auto', got 'yes'"):
        speed.choose(MLP, CPU, channels_last="yes")


def test_a_run_that_goes_on_stays_as_it_was(hardware, tmp_path, capsys):
    """On a machine that would choose otherwise, and for runs from before there was a choice."""
    x = torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8)
    images = DataSet(x, name="noise")
    hardware(True, (8, 0))
    fit(DCGAN((1, 16, 16), width=4), images, 1, batch=4, out=tmp_path / "bf16")
    assert "new run of dcgan in" in (said := capsys.readouterr().out) and "on cpu in bfloat16, channels last" in said
    hardware(False, (8, 0))
    fit(DCGAN((1, 16, 16), width=4), images, 2, batch=4, out=tmp_path / "bf16")
    assert "after step 1: noise, 8 of shape (1, 16, 16), on cpu in bfloat16, channels last" in capsys.readouterr().out

    fit(DCGAN((1, 16, 16), width=4), images, 1, batch=4, out=tmp_path / "old", precision="float32", channels_last=False)
    hardware(True, (8, 0))
    fit(DCGAN((1, 16, 16), width=4), images, 2, batch=4, out=tmp_path / "old")
    assert "on cpu in float32\n" in capsys.readouterr().out
