"""PSNR and SSIM against values by hand and against a slow reading of the paper, window by window."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_course.metrics import psnr, ssim


def images(n: int = 2, channels: int = 3, height: int = 14, width: int = 13, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_psnr_by_hand():
    """Black beside white is the worst, 0 dB; an error of a tenth of the range everywhere is 20 dB."""
    black, white = torch.full((1, 1, 4, 4), -1.0), torch.full((1, 1, 4, 4), 1.0)
    assert psnr(black, white).item() == 0
    assert psnr(black, black + 0.2).item() == pytest.approx(20, abs=1e-5)
    assert psnr(white, white).item() == math.inf
    half = torch.full((1, 1, 4, 4), -1.0)
    half[..., :2] += 0.2  # half of the pixels wrong: half the squared error
    assert psnr(black, half).item() == pytest.approx(20 + 10 * math.log10(2), abs=1e-5)


def test_each_image_has_its_own_value():
    x, y = images(), images(seed=1)
    for measure in (psnr, ssim):
        both = measure(x, y)
        assert both.shape == (2,) and both.dtype == torch.float64
        assert torch.allclose(both[1:], measure(x[1:], y[1:]))


def slow_ssim(x: torch.Tensor, y: torch.Tensor) -> float:
    """Equation 13 of the paper in one channel, window by window, for brightness from 0 to L = 2."""
    x, y = x + 1, y + 1
    weights = torch.tensor([[math.exp(-(i**2 + j**2) / 4.5) for j in range(-5, 6)] for i in range(-5, 6)]).double()
    weights /= weights.sum()
    found = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11].double(), y[i : i + 11, j : j + 11].double()
            ma, mb = (weights * a).sum(), (weights * b).sum()
            va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
            cov = (weights * (a - ma) * (b - mb)).sum()
            top = (2 * ma * mb + 0.02**2) * (2 * cov + 0.06**2)
            found.append((top / ((ma**2 + mb**2 + 0.02**2) * (va + vb + 0.06**2))).item())
    return sum(found) / len(found)


def test_ssim_as_the_paper_has_it():
    x, y = images(), images(seed=1)
    y = 0.5 * x + 0.5 * y
    slow = [sum(slow_ssim(x[i, c], y[i, c]) for c in range(3)) / 3 for i in range(2)]
    assert ssim(x, y).tolist() == pytest.approx(slow, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(-1, 1), st.floats(-1, 1))
def test_ssim_of_constants(a, b):
    """Without any structure only the luminances are compared."""
    x, y = torch.full((1, 1, 12, 12), a), torch.full((1, 1, 12, 12), b)
    a, b = a + 1, b + 1  # brightness, from black
    expected = (2 * a * b + 0.02**2) / (a * a + b * b + 0.02**2)
    assert ssim(x, y).item() == pytest.approx(expected, abs=1e-4)


def test_equal_images_have_ssim_1_and_negatives_less_than_0():
    x = images()
    assert ssim(x, x).tolist() == pytest.approx([1, 1])
    assert (ssim(x, -x) < 0).all()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (images(), images(n=1), "truth must have the shape of images"),
        (images() * 100, images(), "images: "),
        (images(), images()[0], "truth: images must be"),
    ],
)
def test_bad_input(x, y, message):
    for measure in (psnr, ssim):
        with pytest.raises(ValueError, match=message):
            measure(x, y)


def test_windows_need_room():
    with pytest.raises(ValueError, match="at least 11x11"):
        ssim(images(height=10), images(height=10))
