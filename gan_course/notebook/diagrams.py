"""Drawn diagrams: boxes and arrows, in inches. Drawn by a cell, so that every reader of a notebook shows them."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

GREY = "#595959"


def canvas(width: float, height: float) -> Axes:
    """Return empty axes of this size, from (0, 0) at the lower left to (width, height); 7 inches fill the column."""
    ax = plt.figure(figsize=(width, height)).add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
    return ax


def box(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    *,
    color: str = GREY,
    width: float = 1.2,
    height: float = 0.6,
    filled: bool = True,
) -> FancyBboxPatch:
    """Draw a box around (x, y) and return it, for arrows to begin and end at.

    Args:
        filled: with a pale fill, for what computes; without, for what is computed.
    """
    corner = (x - width / 2, y - height / 2)
    patch = FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.08", edgecolor=color, lw=1.5)
    patch.set_facecolor((*plt.matplotlib.colors.to_rgb(color), 0.14) if filled else "white")
    ax.add_patch(patch)
    ax.text(x, y, text, ha="center", va="center", fontsize=10)
    return patch


def arrow(
    ax: Axes,
    start: FancyBboxPatch | tuple[float, float],
    end: FancyBboxPatch | tuple[float, float],
    text: str = "",
    *,
    color: str = "black",
    dashed: bool = False,
    bend: float = 0.0,
    offset: tuple[float, float] = (0.0, 0.14),
) -> None:
    """Draw an arrow between two boxes or points, with words beside its middle.

    Args:
        dashed: for what flows backwards, such as gradients.
        bend: how far the arrow bows to its right, as a part of its length.
        offset: of the words from the middle of the straight line.
    """
    places = [end_ if isinstance(end_, tuple) else _middle(end_) for end_ in (start, end)]
    patches = [None if isinstance(end_, tuple) else end_ for end_ in (start, end)]
    ax.add_patch(
        FancyArrowPatch(
            *places,
            patchA=patches[0],
            patchB=patches[1],
            arrowstyle="-|>",
            mutation_scale=12,
            shrinkA=1,
            shrinkB=1,
            linestyle="--" if dashed else "-",
            connectionstyle=f"arc3,rad={bend}",
            color=color,
            lw=1.5,
        )
    )
    if text:
        (x0, y0), (x1, y1) = places
        at = ((x0 + x1) / 2 + offset[0], (y0 + y1) / 2 + offset[1])
        ax.text(*at, text, ha="center", va="center", fontsize=9, color=color)


def _middle(patch: FancyBboxPatch) -> tuple[float, float]:
    return patch.get_x() + patch.get_width() / 2, patch.get_y() + patch.get_height() / 2
