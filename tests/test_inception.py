"""Extractors that are not judges: pixels, and torch-fidelity's Inception with weights made up for the test."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import sys

import pytest
import torch

from gan_course import data
from gan_course.errors import DataError
from gan_course.metrics import inception, pixels
from gan_course.metrics.inputs import check_images


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights, of the right shapes."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    patch = pytest.MonkeyPatch()
    patch.setattr(module, "load_state_dict_from_url", lambda *args, **kwargs: {})
    patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
    torch.manual_seed(0)
    network = module.FeatureExtractorInceptionV3("random", ["2048"])
    patch.undo()
    for name, parameter in network.named_parameters():
        if parameter.dim() == 4:  # from torch's default to He's variance, so that the signal survives fifty layers
            parameter.mul_(6**0.5)
        if name == "fc.bias":
            parameter.copy_(torch.linspace(-5, 5, 1008))
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No test reads or writes the user's cache, or the network."""
    monkeypatch.delenv("GAN_COURSE_DATA", raising=False)
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    publish(monkeypatch, "http://127.0.0.1:1")  # where nothing answers


FILE = inception.WEIGHTS.file


def publish(monkeypatch, url: str, content: bytes | None = None) -> None:
    """Let the weights be published at another address, and be known as others."""
    known = (
        {} if content is None else {"size": len(content), "known_hash": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    )
    changed = dataclasses.replace(inception.WEIGHTS, mirrors=[f"{url}/{FILE}"], **known)
    monkeypatch.setattr(inception, "WEIGHTS", changed)


def test_it_is_torch_fidelitys_network_on_the_bytes_of_the_images(weights):
    from torch_fidelity import FeatureExtractorInceptionV3

    net = FeatureExtractorInceptionV3("direct", ["2048", "logits_unbiased", "logits"], str(weights))
    digits = data.load("digits", limit=2)
    features, unbiased, biased = net(digits.x.repeat(1, 3, 1, 1))  # the bytes as they are stored
    ours = inception.load(weights=weights)
    torch.testing.assert_close(ours.features(digits.images(), chunk=1), features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.probabilities(digits.images()), unbiased.softmax(1), rtol=1e-3, atol=1e-6)
    assert not torch.allclose(unbiased.softmax(1), biased.softmax(1), rtol=1e-2)
    assert features.std(0).max() > 1e-3  # images do differ
    assert not ours.features(digits.images(1)).requires_grad


class Spy(torch.nn.Module):
    """Stands in for the network and keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = torch.nn.Parameter(torch.zeros(1)), []

    def forward(self, x):
        self.seen.append(x)
        return (x.flatten(1).float().mean(1, keepdim=True), x[:, :2, 0, 0].float())

    def convert_features_tuple_to_dict(self, features):
        return dict(zip(("2048", "logits_unbiased"), features, strict=True))


def test_images_become_bytes_of_rgb_in_chunks():
    spy = Spy()
    levels = torch.arange(256).view(256, 1, 1, 1)
    images = levels / 127.5 - 1
    inception.Inception(spy).features(images, chunk=100)
    assert [len(part) for part in spy.seen] == [100, 100, 56]
    given = torch.cat(spy.seen)
    assert given.dtype == torch.uint8 and torch.equal(given, levels.expand(-1, 3, -1, -1).to(torch.uint8))
    spy.seen.clear()
    # Rounded to the nearest, not cut off; a hair outside the range stays at its end; colours keep their place.
    colour = torch.tensor([0.9999, -0.9961, 1.0005], dtype=torch.float64).view(1, 3, 1, 1)
    probabilities = inception.Inception(spy).probabilities(colour)
    assert spy.seen[0].flatten().tolist() == [255, 0, 255]
    torch.testing.assert_close(probabilities, torch.tensor([[255.0, 0.0]]).softmax(1))


def test_loaded_once_per_process(weights, tmp_path):
    first = inception.load(weights=weights)
    assert inception.load("cpu", str(weights)) is first
    assert not first.network.training and not any(p.requires_grad for p in first.network.parameters())


def test_found_in_the_data_root_then_in_the_cache_then_downloaded(weights, mirror, monkeypatch, tmp_path):
    content, cached = weights.read_bytes(), tmp_path / "cache" / FILE
    publish(monkeypatch, mirror.url, content)
    mirror.files[f"/{FILE}"] = content
    zeros = torch.zeros(1, 3, 8, 8)
    assert inception.load().features(zeros).shape == (1, 2048) and cached.read_bytes() == content  # downloaded
    inception._load.cache_clear()
    assert inception.load().features(zeros).shape == (1, 2048) and mirror.requests == [f"/{FILE}"]
    cached.rename(tmp_path / FILE)
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path))
    assert inception.load().features(zeros).shape == (1, 2048) and mirror.requests == [f"/{FILE}"]
    assert not cached.exists()


def test_without_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setenv("GAN_COURSE_DATA", str(root))
    with pytest.raises(DataError) as caught:
        inception.load()
    message, weights = str(caught.value), inception.WEIGHTS
    for part in (*weights.mirrors, "95628359 bytes", weights.known_hash, "metrics.pixels", "metrics.judge"):
        assert part in message
    assert str(root / FILE) in message and str(tmp_path / "cache" / FILE) in message
    assert "\n" not in message


def test_another_file_is_not_kept(mirror, monkeypatch, tmp_path):
    publish(monkeypatch, mirror.url, b"the true page")
    mirror.files[f"/{FILE}"] = b"an error page"
    with pytest.raises(DataError, match=f"cannot download {FILE} of 'inception'.*has sha256 [0-9a-f]{{64}}, expected"):
        inception.load()
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".lock"]


def test_damaged_files(monkeypatch, tmp_path):
    cached = tmp_path / "cache" / FILE
    cached.parent.mkdir()
    cached.write_bytes(b"half")
    with pytest.raises(DataError, match="has 4 bytes, expected 95628359"):
        inception.load()
    publish(monkeypatch, "http://127.0.0.1:1", b"full")
    with pytest.raises(DataError, match="has sha256 .*: it is damaged"):
        inception.load()


class Payload:
    def __reduce__(self):
        return exec, ("raise SystemExit('code from a file was run')",)


@pytest.mark.parametrize("what", ["missing", "not weights", "another network", "code"])
def test_weights_that_cannot_be_read(tmp_path, what):
    path = tmp_path / "weights.pth"
    if what == "not weights":
        path.write_bytes(b"text")
    elif what == "another network":
        torch.save(torch.nn.Linear(1, 1).state_dict(), path)
    elif what == "code":
        torch.save(Payload(), path)
    with pytest.raises(DataError, match="cannot be read as Inception weights .*or use another extractor"):
        inception.load(weights=path)


def test_without_the_package(monkeypatch, weights):
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    inception._load.cache_clear()
    for given in (weights, None):  # before anything is downloaded
        with pytest.raises(DataError, match="pip install torch-fidelity, or use another extractor"):
            inception.load(weights=given)


def test_pixels():
    x = torch.linspace(-1, 1, 2 * 3 * 4 * 6).view(2, 3, 4, 6)
    assert torch.equal(pixels(x), x.reshape(2, -1))
    pooled = functools.partial(pixels, pool=2)(x.double())
    assert pooled.shape == (2, 3 * 2 * 3) and pooled.dtype == torch.float32
    assert pooled[1, 0].item() == pytest.approx(x[1, 0, :2, :2].mean().item(), rel=1e-5)
    assert not pixels(x.clone().requires_grad_()).requires_grad
    odd = pixels(x[..., :5], 2).view(2, 3, 2, 2)  # squares of two rows and three columns, which share the middle one
    torch.testing.assert_close(odd[0, 0, 0], torch.stack([x[0, 0, :2, :3].mean(), x[0, 0, :2, 2:5].mean()]))
    for pool in (0, 5):
        with pytest.raises(ValueError, match=rf"pool must lie in 1 to the smaller side of \(4, 6\), got {pool}"):
            pixels(x, pool)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 8, 8), r"images must be \(n, 1 or 3, H, W\) with n at least 1, got \(3, 8, 8\)"),
        (torch.zeros(1, 2, 8, 8), "images must be"),
        (torch.zeros(0, 3, 8, 8), "images must be"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "images must be floating point in .*got torch.uint8"),
        (torch.full((1, 3, 8, 8), 255.0), "images must lie in .* got values from 255 to 255"),
        (torch.full((1, 3, 8, 8), float("nan")), "images must lie in"),
    ],
)
@pytest.mark.parametrize("extractor", [check_images, pixels, inception.Inception(Spy()).features])
def test_bad_images(images, message, extractor):
    with pytest.raises(ValueError, match=message):
        extractor(images)
