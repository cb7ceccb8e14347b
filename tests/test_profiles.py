"""Which profile and which device a chapter runs with."""

import pytest
import torch

from gan_course.notebook import profiles

SCALES = {"quick": {"steps": 1, "n": 2}, "book": {"n": 4, "steps": 3}, "full": {"steps": 5, "n": 6}}


@pytest.fixture(autouse=True)
def no_profile(monkeypatch):
    monkeypatch.delenv("GAN_COURSE_PROFILE", raising=False)


@pytest.mark.parametrize("name", profiles.PROFILES)
def test_the_variable_decides(monkeypatch, name):
    monkeypatch.setenv("GAN_COURSE_PROFILE", name)
    assert profiles.current() == name
    scale = profiles.pick(**SCALES)
    assert (scale.profile, scale.steps, scale.n) == (name, SCALES[name]["steps"], SCALES[name]["n"])


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize(("device", "profile"), [("cpu", "quick"), ("cuda", "full"), ("mps", "full")])
def test_without_it_the_machine_decides(monkeypatch, value, device, profile):
    if value is not None:
        monkeypatch.setenv("GAN_COURSE_PROFILE", value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: device == "mps")
    assert profiles.device() == torch.device(device)
    assert profiles.pick(**SCALES).profile == profile


def test_an_unknown_profile_is_refused_with_the_nearest(monkeypatch):
    monkeypatch.setenv("GAN_COURSE_PROFILE", "fulll")
    with pytest.raises(ValueError, match="unknown profile in GAN_COURSE_PROFILE 'fulll'.*Did you mean 'full'"):
        profiles.pick(**SCALES)


@pytest.mark.parametrize(("profile", "current"), [("book", "quick"), ("full", "quick"), ("full", "full")])
def test_profiles_with_other_keys_are_refused_in_every_profile(monkeypatch, profile, current):
    monkeypatch.setenv("GAN_COURSE_PROFILE", current)
    scales = {**SCALES, profile: {"steps": 1, "m": 2}}
    with pytest.raises(ValueError, match=rf"quick and {profile} must have the same keys; only one has \['m', 'n'\]"):
        profiles.pick(**scales)


def test_device_by_name():
    assert profiles.device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:-1", "fpga"])
def test_a_device_that_is_not_here_is_refused_in_one_short_line(name):
    with pytest.raises(ValueError, match=f"^device {name!r} cannot be used here: ") as error:
        profiles.device(name)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none():
    with pytest.raises(ValueError, match="^device 'cuda' cannot be used here: "):
        profiles.device("cuda")


@pytest.mark.gpu
def test_cuda_is_preferred_and_a_device_too_many_is_refused():
    assert profiles.device().type == "cuda"
    with pytest.raises(ValueError, match="^device 'cuda:99' cannot be used here: "):
        profiles.device("cuda:99")
