"""Figures: the pixels and numbers in them, against values worked out by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from gan_course.models.gan import GAN
from gan_course.notebook import diagrams, plot
from gan_course.train import History


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_grid_is_exact_to_the_pixel():
    levels = torch.tensor([-1.0, 0.0, 1.0, 3.0, -7.0])  # the last two lie outside and are clipped
    x = levels.view(5, 1, 1, 1).expand(5, 1, 2, 3)
    got = plot.image_grid(x, columns=2)
    assert got.dtype == torch.uint8
    line = 128  # one grey pixel between images and around them
    expected = np.full((3 * 3 + 1, 2 * 4 + 1), line, dtype=np.uint8)
    # 0 lies half-way between two bytes and goes to the even one; the sixth place stays black.
    for i, value in enumerate([0, 128, 255, 255, 0, line]):
        top, left = 1 + 3 * (i // 2), 1 + 4 * (i % 2)
        expected[top : top + 2, left : left + 3] = value
    assert got.shape == (3, *expected.shape)
    for channel in got:
        np.testing.assert_array_equal(channel.numpy(), expected)


def test_grid_of_bytes_and_of_colours():
    x = torch.randint(0, 256, (4, 3, 2, 2), dtype=torch.uint8)
    got = plot.image_grid(x, columns=4)
    for i in range(4):
        assert torch.equal(got[:, 1:3, 1 + 3 * i : 3 + 3 * i], x[i])
    assert torch.equal(plot.image_grid(x.float() / 127.5 - 1, columns=4), got)


def test_images_draws_the_grid():
    x = torch.rand(6, 1, 4, 4) * 2 - 1
    ax = plot.images(x, columns=3, title="six")
    shown = ax.get_images()[0].get_array()
    np.testing.assert_array_equal(shown, plot.image_grid(x, 3).permute(1, 2, 0).numpy())
    assert ax.get_title() == "six" and not ax.axison
    _, mine = plt.subplots()
    assert plot.images(x, ax=mine) is mine


@pytest.mark.parametrize(
    ("shape", "columns", "message"),
    [
        ((4, 4), 8, r"x must be \(n, 1 or 3, H, W\) with n at least 1, got \(4, 4\)"),
        ((2, 2, 4, 4), 8, r"got \(2, 2, 4, 4\)"),
        ((0, 1, 4, 4), 8, r"got \(0, 1, 4, 4\)"),
        ((2, 1, 4, 4), 0, "columns must be at least 1, got 0"),
    ],
)
def test_bad_images_are_refused(shape, columns, message):
    with pytest.raises(ValueError, match=message):
        plot.images(torch.zeros(shape), columns=columns)


def test_losses_draws_the_columns():
    history = History([{"step": s, "loss_d": s / 10, "loss_g": s / 5, "logit_real": -s} for s in (50, 100, 150)])
    ax = plot.losses(history)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines) == ["loss_d", "loss_g"]
    assert list(lines["loss_g"].get_xdata()) == [50, 100, 150]
    assert list(lines["loss_g"].get_ydata()) == [10, 20, 30]
    assert lines["loss_d"].get_color() == plot.DISCRIMINATOR and lines["loss_g"].get_color() == plot.FAKE
    assert len({line.get_linestyle() for line in lines.values()}) == 2  # told apart without colour
    assert ax.get_xlabel() == "step"
    assert [line.get_label() for line in plot.losses(history, ["logit_real"]).get_lines()] == ["logit_real"]
    with pytest.raises(KeyError, match="no column 'los'"):
        plot.losses(history, ["los"])


class Linear(nn.Module):
    """A discriminator that is known: logit = a x + b y + c, and noise in training mode."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.noise = nn.Dropout(0.5)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[2.0, -0.5]]))
            self.layer.bias.fill_(0.25)

    def forward(self, x):
        return self.noise(self.layer(x)).squeeze(1)


@pytest.mark.parametrize("training", [True, False])
def test_decision_surface_is_the_sigmoid_of_the_logit(training):
    discriminator = Linear().train(training)
    ax = plot.decision_surface(discriminator, extent=3.0, resolution=7)
    mesh = ax.collections[0]
    ticks = np.linspace(-3, 3, 7)
    x, y = np.meshgrid(ticks, ticks)  # y from row to row
    expected = 1 / (1 + np.exp(-(2 * x - 0.5 * y + 0.25)))
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(7, 7), expected, atol=1e-6)
    np.testing.assert_allclose(mesh.get_coordinates()[..., 0], x, atol=1e-6)
    np.testing.assert_allclose(mesh.get_coordinates()[..., 1], y, atol=1e-6)
    assert mesh.get_clim() == (0, 1)
    assert discriminator.training == discriminator.noise.training == training
    assert all(p.grad is None for p in discriminator.parameters())


def test_latent_walk_draws_what_the_average_generates():
    gan = GAN((1, 4, 4), latent_dim=3, width=8)
    z = torch.randn(6, 3)
    ax = plot.latent_walk(gan, z, columns=6, title="walk")
    expected = plot.image_grid(gan.ema(z), 6).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), expected)
    assert ax.get_title() == "walk"


def test_slerp_follows_the_arc():
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    angle = torch.tensor([0.0, 30.0, 60.0, 90.0]).deg2rad()
    torch.testing.assert_close(plot.slerp(a, b, 4), 2 * torch.stack([angle.cos(), angle.sin()], 1))


def test_slerp_keeps_ends_and_length():
    a, b = torch.randn(2, 64, dtype=torch.float64)
    b = b * a.norm() / b.norm()
    path = plot.slerp(a, b, 9)
    assert path.shape == (9, 64) and path.dtype == torch.float64
    torch.testing.assert_close(path[0], a)
    torch.testing.assert_close(path[-1], b)
    torch.testing.assert_close(path.norm(dim=1), a.norm().expand(9))
    steps = torch.nn.functional.cosine_similarity(path[1:], path[:-1])
    torch.testing.assert_close(steps, steps[:1].expand(8))  # equal angles
    assert (a + b).norm() / 2 < 0.9 * a.norm()  # what a straight line would do


def test_slerp_refuses():
    a = torch.randn(8)
    for b in (a, -2 * a):
        with pytest.raises(ValueError, match="a and b must not be parallel"):
            plot.slerp(a, b, 5)
    with pytest.raises(ValueError, match="steps must be at least 2, got 1"):
        plot.slerp(a, torch.randn(8), 1)


def test_an_arrow_goes_from_the_edge_of_one_box_to_the_edge_of_the_other():
    ax = diagrams.canvas(6, 2)
    left, right = diagrams.box(ax, 1, 1, "G", width=1), diagrams.box(ax, 5, 1, "D", width=2)
    diagrams.arrow(ax, left, right, "images")
    (arrow,) = [patch for patch in ax.patches if patch not in (left, right)]
    ax.figure.canvas.draw()
    extent = arrow.get_path().get_extents()
    assert extent.x0 == pytest.approx(1.5, abs=0.03)  # in inches: half a box beside its middle
    assert extent.x1 == pytest.approx(4.0, abs=0.1)  # the tip is as blunt as its line is wide
    assert [text.get_text() for text in ax.texts] == ["G", "D", "images"]
    assert ax.texts[2].get_position() == pytest.approx((3.0, 1.14))
    assert tuple(ax.figure.get_size_inches()) == (6, 2)
