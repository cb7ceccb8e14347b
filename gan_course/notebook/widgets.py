"""Widgets that move in the built book, where no kernel runs: everything they show is computed beforehand."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from gan_course.notebook.plot import image_grid

#: The frames of one animation, or a dict from a name to the frames (or again such a dict) of that choice.
Frames = Sequence[bytes] | Mapping[str, "Frames"]


def scrubber(
    frames: Frames,
    labels: Sequence[str],
    *,
    alt: str,
    width: int,
    interval: int = 400,
    choices: Sequence[str] = (),
) -> ipywidgets.VBox:
    """Return a slider with a play button that leafs through images, linked in the browser alone.

    With a dict of frames there is a menu above the slider: the same place of the slider can be compared for different
    choices.

    Args:
        frames: PNG images; see :func:`png_of_images` and :func:`png_of_figure`. Or a dict from a choice's name to
            its images; or, for two menus, a dict of such dicts, all with the same names.
        labels: what to write above each frame, for example its step.
        alt: description of the animation for those who cannot see it; part of each label.
        width: width on the page in pixels; it shrinks on narrow screens.
        interval: milliseconds per frame when playing.
        choices: what each menu chooses, the outermost first, for example ``["loss", "penalty"]``.
    """
    last = len(labels) - 1
    play = ipywidgets.Play(min=0, max=max(last, 0), interval=interval, value=0)
    slider = ipywidgets.IntSlider(min=0, max=max(last, 0), value=0, readout=False, description="frame")
    slider.layout.width = "min(100%, 24rem)"
    ipywidgets.jslink((play, "value"), (slider, "value"))

    names, inner = [], frames
    while isinstance(inner, Mapping):
        if not inner:
            raise ValueError("frames must not hold an empty dict: there is nothing to choose")
        names.append(list(inner))
        inner = inner[names[-1][0]]
    if len(names) != len(choices):
        raise ValueError(f"choices must name each of the {len(names)} levels of frames, got {list(choices)}")
    menus = [
        ipywidgets.Dropdown(options=options, index=0, description=choice)
        for choice, options in zip(choices, names, strict=True)
    ]

    # One layout and style for all pages: each has dozens of fields, and all of them would be stored with the notebook.
    shared = {"layout": ipywidgets.Layout(), "style": ipywidgets.HTML().style}

    def page(frame: bytes, label: str, described: str) -> ipywidgets.HTML:
        # HTML, because an Image widget has no alternative text (and with a tooltip it fails to render).
        source = "data:image/png;base64," + base64.b64encode(frame).decode()
        picture = f'<img src="{source}" alt="{html.escape(described)}" style="width: {width}px; max-width: 100%">'
        return ipywidgets.HTML(f"{html.escape(label)}<br>{picture}", **shared)

    def stack(frames: Frames, level: int, chosen: str) -> ipywidgets.Stack:
        if level < len(menus):
            if not isinstance(frames, Mapping) or list(frames) != names[level]:
                raise ValueError(f"frames must have the same choices everywhere, expected {names[level]}")
            control, attribute = menus[level], "index"
            pages = [stack(frames[name], level + 1, f"{chosen}{name}, ") for name in frames]
        else:
            if isinstance(frames, Mapping) or len(frames) != len(labels) or not frames:
                raise ValueError(
                    f"frames and labels must be equally many, at least one; got {len(frames)} and {len(labels)}"
                )
            control, attribute = slider, "value"
            pages = [page(frame, label, f"{alt}: {chosen}{label}") for frame, label in zip(frames, labels, strict=True)]
        pages = ipywidgets.Stack(pages, selected_index=0)
        ipywidgets.jslink((control, attribute), (pages, "selected_index"))
        return pages

    pages = stack(frames, 0, "")
    return ipywidgets.VBox([*menus, ipywidgets.HBox([play, slider]), pages])


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


def png_of_figure(figure: Figure, dpi: int = 100, colors: int = 128) -> bytes:
    """Return a figure as a PNG of at most ``colors`` colours, and close it: a third of the usual file or less."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    plt.close(figure)
    file = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(colors, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return file.getvalue()
