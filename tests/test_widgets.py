"""The scrubber works without a kernel: all it needs is in its state. Its pictures are what went in."""

import base64
import io
import json
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from ipywidgets.embed import dependency_state
from PIL import Image

from gan_course.notebook import plot, widgets


def read(png: bytes) -> np.ndarray:
    """Decode to (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


FRAMES = [widgets.png_of_images(torch.full((1, 1, 4, 4), v)) for v in (-1.0, 0.0, 1.0)]
LABELS = ["step 0", 'step "50" <b>', "step 100"]


@pytest.fixture
def box() -> ipywidgets.VBox:
    return widgets.scrubber(FRAMES, LABELS, alt="Samples & noise", width=200, interval=250)


def test_scrubber_has_one_page_per_frame(box):
    controls, stack = box.children
    play, slider = controls.children
    assert isinstance(play, ipywidgets.Play) and isinstance(slider, ipywidgets.IntSlider)
    for widget in (play, slider):
        assert (widget.min, widget.max, widget.value) == (0, 2, 0)
    assert play.interval == 250 and stack.selected_index == 0
    shown = [page.value.split("<br>")[0] for page in stack.children]
    assert shown == ["step 0", "step &quot;50&quot; &lt;b&gt;", "step 100"]


def test_scrubber_pictures_and_their_descriptions(box):
    for page, frame, text in zip(
        box.children[1].children,
        FRAMES,
        ["step 0", "step &quot;50&quot; &lt;b&gt;", "step 100"],
        strict=True,
    ):
        tag = page.value
        assert f'alt="Samples &amp; noise: {text}"' in tag
        assert "width: 200px; max-width: 100%" in tag
        assert base64.b64decode(re.search(r'src="data:image/png;base64,([^"]*)"', tag)[1]) == frame


def test_scrubber_is_linked_in_the_browser(box):
    """What a page without a kernel gets holds the links play -> slider -> stack."""
    controls, stack = box.children
    play, slider = controls.children
    models = dependency_state([box], drop_defaults=False).values()
    links = [(m["state"]["source"], m["state"]["target"]) for m in models if m["model_name"] == "LinkModel"]

    def end(widget: ipywidgets.Widget, name: str) -> list[str]:
        return [f"IPY_MODEL_{widget.model_id}", name]

    assert (end(play, "value"), end(slider, "value")) in links
    assert (end(slider, "value"), end(stack, "selected_index")) in links


def test_menus_share_one_slider():
    frames = {loss: {penalty: FRAMES for penalty in ("none", "R1", "GP")} for loss in ("saturating", "hinge")}
    box = widgets.scrubber(frames, LABELS, alt="Game", width=200, choices=["loss", "penalty"])
    loss, penalty, controls, outer = box.children
    assert (loss.description, loss.options) == ("loss", ("saturating", "hinge"))
    assert (penalty.description, penalty.options) == ("penalty", ("none", "R1", "GP"))
    assert [len(middle.children) for middle in outer.children] == [3, 3]
    text = outer.children[1].children[2].children[0].value
    assert 'alt="Game: hinge, GP, step 0"' in text
    models = dependency_state([box], drop_defaults=False).values()
    links = [m["state"]["source"] for m in models if m["model_name"] == "LinkModel"]
    slider = controls.children[1]
    assert links.count([f"IPY_MODEL_{loss.model_id}", "index"]) == 1
    assert links.count([f"IPY_MODEL_{penalty.model_id}", "index"]) == 2
    assert links.count([f"IPY_MODEL_{slider.model_id}", "value"]) == 6


def test_pages_add_little_to_their_pictures(box):
    """Forty frames must fit into a notebook of 1.5 MB."""

    def size(count: int) -> int:
        box = widgets.scrubber([b"png"] * count, ["step"] * count, alt="Samples", width=200)
        return len(json.dumps(dependency_state([box], drop_defaults=False)))

    assert (size(21) - size(1)) / 20 < 900  # bytes for each


@pytest.mark.parametrize(
    ("frames", "choices", "message"),
    [
        ({}, ["loss"], "empty dict"),
        ({"a": FRAMES}, [], "each of the 1 levels"),
        (FRAMES, ["loss"], "each of the 0 levels"),
        ({"a": FRAMES, "b": FRAMES[:2]}, ["loss"], "equally many"),
        ({"a": {"x": FRAMES}, "b": {"y": FRAMES}}, ["loss", "penalty"], "same choices everywhere"),
        ({"a": {"x": FRAMES}, "b": FRAMES}, ["loss", "penalty"], "same choices everywhere"),
        ({"a": FRAMES, "b": {"x": FRAMES}}, ["loss"], "equally many"),
    ],
)
def test_menus_refuse(frames, choices, message):
    with pytest.raises(ValueError, match=message):
        widgets.scrubber(frames, LABELS, alt="nothing", width=100, choices=choices)


@pytest.mark.parametrize(("frames", "labels"), [([], []), (FRAMES, LABELS[:2]), (FRAMES[:1], [])])
def test_scrubber_refuses(frames, labels):
    with pytest.raises(ValueError, match=f"at least one; got {len(frames)} and {len(labels)}$"):
        widgets.scrubber(frames, labels, alt="nothing", width=100)


def test_png_of_colour_images_is_exact():
    x = torch.randint(0, 256, (5, 3, 6, 4), dtype=torch.uint8)
    expected = plot.image_grid(x, 3).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(read(widgets.png_of_images(x, columns=3)), expected)


def test_png_of_grey_images_has_16_levels_close_to_the_true_ones():
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    got = read(widgets.png_of_images(x, columns=1)).astype(float)
    assert (got[..., 0] == got[..., 1]).all() and (got[..., 0] == got[..., 2]).all()
    assert np.abs(got[..., 0] - np.arange(256).reshape(16, 16)).max() <= 8.5  # half a level
    assert len(np.unique(got)) == 16
    many = torch.randint(0, 256, (64, 1, 28, 28), dtype=torch.uint8)
    assert len(widgets.png_of_images(many)) < 0.6 * len(widgets.png_of_images(many.expand(-1, 3, -1, -1)))


def test_png_is_enlarged_pixel_by_pixel():
    x = torch.randint(0, 256, (4, 3, 3, 5), dtype=torch.uint8)
    small, large = (read(widgets.png_of_images(x, columns=2, scale=scale)) for scale in (1, 3))
    np.testing.assert_array_equal(large, small.repeat(3, 0).repeat(3, 1))


def test_png_of_a_figure_closes_it():
    figure = plt.figure(figsize=(2, 1))
    assert read(widgets.png_of_figure(figure, dpi=50)).shape == (50, 100, 3)
    assert not plt.fignum_exists(figure.number)


def test_png_of_a_figure_keeps_its_colours_nearly():
    """A heat map of hundreds of colours: none is off by more than a sixteenth of the scale."""
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.imshow(np.linspace(0, 1, 10_000).reshape(100, 100), cmap="cividis", aspect="auto")
    plain = io.BytesIO()
    figure.savefig(plain, format="png", dpi=60)
    got, expected = read(widgets.png_of_figure(figure, dpi=60)), read(plain.getvalue())
    assert len(np.unique(got.reshape(-1, 3), axis=0)) <= 128
    assert np.abs(got.astype(int) - expected.astype(int)).mean() < 4
