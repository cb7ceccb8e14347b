"""Widgets that move in the built book, where no kernel runs: everything they show is computed beforehand."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from gan_course.plot import image_grid


def scrubber(
    frames: Sequence[bytes], labels: Sequence[str], *, alt: str, width: int, interval: int = 400
) -> ipywidgets.VBox:
    """Return a slider with a play button that leafs through images, linked in the browser alone.

    Args:
        frames: PNG images; see :func:`png_of_images` and :func:`png_of_figure`.
        labels: what to write above each frame, for example its step.
        alt: description of the animation for those who cannot see it; part of each label.
        width: width on the page in pixels; it shrinks on narrow screens.
        interval: milliseconds per frame when playing.
    """
    if len(frames) != len(labels) or not frames:
        raise ValueError(f"frames and labels must be equally many, at least one; got {len(frames)} and {len(labels)}")
    last = len(frames) - 1
    play = ipywidgets.Play(min=0, max=last, interval=interval, value=0)
    slider = ipywidgets.IntSlider(min=0, max=last, value=0, readout=False, description="frame")
    slider.layout.width = "min(100%, 24rem)"
    pages = []
    for frame, label in zip(frames, labels, strict=True):
        # HTML, because an Image widget has no alternative text (and with a tooltip it fails to render).
        source = "data:image/png;base64," + base64.b64encode(frame).decode()
        text = html.escape(f"{alt}: {label}")
        picture = ipywidgets.HTML(f'<img src="{source}" alt="{text}" style="width: {width}px; max-width: 100%">')
        pages.append(ipywidgets.VBox([ipywidgets.Label(label), picture]))
    stack = ipywidgets.Stack(pages, selected_index=0)
    ipywidgets.jslink((play, "value"), (slider, "value"))
    ipywidgets.jslink((slider, "value"), (stack, "selected_index"))
    return ipywidgets.VBox([ipywidgets.HBox([play, slider]), stack])


def png_of_images(x: Tensor, *, columns: int = 8, scale: int = 1) -> bytes:
    """Return a grid of images ``(n, C, H, W)`` as a PNG, each pixel ``scale`` pixels wide.

    Grey images are stored with 16 levels, which halves the file and is not seen.
    """
    grid = image_grid(x, columns)
    grid = grid.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    if x.shape[1] == 1:
        picture = Image.fromarray(grid[0].float().div(17).round().byte().numpy())
        picture.putpalette([17 * level for level in range(16) for _ in range(3)])
    else:
        picture = Image.fromarray(grid.permute(1, 2, 0).contiguous().numpy())
    file = io.BytesIO()
    picture.save(file, "png", optimize=True)
    return file.getvalue()


def png_of_figure(figure: Figure, dpi: int = 80) -> bytes:
    """Return a figure as a PNG and close it."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    plt.close(figure)
    return file.getvalue()
