"""From factors to images, and back from pixels to colours."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_course.data.glyphs import factors as spec
from gan_course.data.glyphs.factors import CHARACTERS, FACE_OF, FACES, FONTS, SCALES, VALUES

MIN_CONTRAST = 4.5
SHADE = 0.9  # the dark tone of a background, as a multiple of its colour
BOX = 0.75  # no glyph is wider or higher than this share of the side


# --- drawing --------------------------------------------------------------------------------------
def render(factors: Mapping[str, Tensor], size: int, *, characters: str = CHARACTERS, channels: int = 3) -> Tensor:
    """Draw images, uint8 (N, channels, size, size) on the CPU, from their factors.

    The glyph is drawn by FreeType at several times the size without hinting to speak of, put at its place to a fraction
    of a pixel, and averaged over each pixel: the share that the ink covers, by which colours are mixed.

    Args:
        factors: all of :data:`FACTORS`, each (N,).
        size: side of the images, 8 to 256 pixels.
        characters: what the numbers of the factor ``character`` mean.
        channels: 3, or 1 for grey (0.299 R + 0.587 G + 0.114 B).

    Raises:
        ValueError: a factor is missing or out of range, or a font face does not exist.
    """
    spec.check_number("size", size, 8, 256)
    if channels not in (1, 3):
        raise ValueError(f"channels: got {channels!r}, expected 1 or 3")
    spec.check_characters(characters)
    f = spec.check_factors(factors, characters)
    out = np.empty((len(f["x"]), channels, size, size), np.uint8)
    step = max(1, 2**20 // size**2)
    for start in range(0, len(out), step):  # in parts, so that the temporary arrays stay small
        part = {name: values[start : start + step] for name, values in f.items()}
        ink, light = _INKS[part["ink"]], _BACKGROUNDS[part["background"]]
        dark = np.round(light * SHADE).astype(np.uint8)
        coverage, pattern = _coverage(part, size, characters), _pattern(part, size)
        if channels == 1:
            ink, light, dark = _grey(ink), _grey(light), _grey(dark)
        behind = _mix(light[:, :, None, None], dark[:, :, None, None], pattern[:, None])
        out[start : start + step] = _mix(behind, ink[:, :, None, None], coverage[:, None])
    return torch.from_numpy(out)


_INKS = np.array(list(spec.INKS.values()), np.uint8)
_BACKGROUNDS = np.array(list(spec.BACKGROUNDS.values()), np.uint8)


def _grey(colors: np.ndarray) -> np.ndarray:
    return np.round(colors @ np.array([[0.299], [0.587], [0.114]])).astype(np.uint8)


def _mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """a + (b - a) share / 255, rounded, all of them bytes: at most 255 * 255 + 127, which fits 16 bits."""
    share = share.astype(np.uint16)
    return ((a * (255 - share) + b * share + 127) // 255).astype(np.uint8)


def _coverage(f: dict[str, np.ndarray], size: int, characters: str) -> np.ndarray:
    """How much of each pixel is ink, uint8 (n, size, size)."""
    fine = _fine(size)
    face = FACE_OF[f["family"], f["weight"], f["slant"]]
    kind = (f["character"] * len(FACES) + face) * len(SCALES) + f["scale"]
    order = np.argsort(kind, kind="stable")
    out = np.empty((len(kind), size, size), np.uint8)
    for rows in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1):
        i = rows[0]
        means = _glyph(characters[f["character"][i]], int(face[i]), int(f["scale"][i]), size)
        places = []
        for axis, name in enumerate("yx"):
            extent = means.shape[axis] - fine - 1  # of the glyph, in fine pixels
            start = np.round(size * fine * (0.5 + f[name][rows]) - extent / 2).astype(int)
            # means[v] averages the fine pixels v - fine ... v - 1 of the glyph; both ends are outside of it: 0
            first = np.arange(size) * fine - start[:, None]
            places.append(np.clip(first + fine, 0, extent + fine))
        out[rows] = means[places[0][:, :, None], places[1][:, None, :]]
    return out


def _fine(size: int) -> int:
    """Fine pixels in a pixel, along each side: the glyphs are drawn on a grid of at least 128."""
    return -(-128 // size)


@functools.lru_cache(maxsize=4096)
def _glyph(character: str, face: int, scale: int, size: int) -> np.ndarray:
    """The glyph averaged over windows of ``fine`` x ``fine`` fine pixels, at every place that may meet it."""
    fine = _fine(size)
    side = size * fine
    height = SCALES[VALUES["scale"][scale]] * side
    points = max(1, round(1000 * height / _cap_height(face)))
    mask = _bitmap(character, face, points)
    while max(mask.shape) > BOX * side:
        points = min(points - 1, int(points * BOX * side / max(mask.shape)))
        mask = _bitmap(character, face, points)
    table = np.zeros((mask.shape[0] + 2 * fine + 1, mask.shape[1] + 2 * fine + 1), np.int64)
    table[1:, 1:] = np.pad(mask, fine).cumsum(0, dtype=np.int64).cumsum(1)  # a summed-area table
    sums = table[fine:, fine:] - table[:-fine, fine:] - table[fine:, :-fine] + table[:-fine, :-fine]
    return ((sums + fine**2 // 2) // fine**2).astype(np.uint8)


def _bitmap(character: str, face: int, points: int) -> np.ndarray:
    """The glyph, uint8 (h, w), without empty rows and columns at its sides."""
    from PIL import Image, ImageDraw

    font = _font(face, points)
    left, top, right, bottom = font.getbbox(character)
    image = Image.new("L", (right - left + 2, bottom - top + 2))  # a pixel of room on each side
    ImageDraw.Draw(image).text((1 - left, 1 - top), character, fill=255, font=font)
    array = np.asarray(image)
    rows, columns = array.any(1).nonzero()[0], array.any(0).nonzero()[0]
    return array[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@functools.lru_cache(maxsize=len(FONTS))
def _cap_height(face: int) -> int:
    """Height of a capital in thousandths of the font size."""
    return _bitmap("H", face, 1000).shape[0]


@functools.lru_cache(maxsize=256)
def _font(face: int, points: int):
    import matplotlib
    from PIL import ImageFont

    name = list(FONTS.values())[face] + ".ttf"
    file = Path(__file__).with_name("fonts") / name  # what matplotlib below 3.11 has not
    if not file.exists():
        file = Path(matplotlib.get_data_path(), "fonts", "ttf", name)
    return ImageFont.truetype(str(file), points, layout_engine=ImageFont.Layout.BASIC)


def _pattern(f: dict[str, np.ndarray], size: int) -> np.ndarray:
    """How much of each pixel is the dark tone, uint8 (n, size, size)."""
    bank, places = _bank(size), np.arange(size)
    y, x = ((f[name] * size).astype(int)[:, None] + places for name in ("texture_y", "texture_x"))
    return bank[f["texture"][:, None, None], y[:, :, None], x[:, None, :]]


@functools.lru_cache(maxsize=8)
def _bank(size: int) -> np.ndarray:
    """The five patterns, (5, 2 size, 2 size), of which an image shows a part."""
    period = max(2, round(size / 6))
    y, x = np.mgrid[: 2 * size, : 2 * size]
    striped = (x + y) % period * 2 < period
    fx, fy = ((v % period + 0.5) / period - 0.5 for v in (x, y))
    dotted = fx**2 + fy**2 < 0.11
    checked = (x % (2 * period) < period) ^ (y % (2 * period) < period)
    grain = max(1, size // 32)
    noisy = np.random.RandomState(0).randint(0, 256, (-(-2 * size // grain),) * 2).repeat(grain, 0).repeat(grain, 1)
    flat = [np.zeros_like(x), striped * 255, dotted * 255, checked * 255, noisy[: 2 * size, : 2 * size]]
    return np.stack(flat).astype(np.uint8)


# --- reading the pixels ---------------------------------------------------------------------------
def measured_colors(images: Tensor) -> dict[str, Tensor]:
    """The numbers, int64 (N,), of the ``ink`` and ``background`` that images show, the nearest of the palettes.

    The background is the median of the outermost pixels. The ink is the one that explains best, as mixtures with the
    background, those pixels that are farthest from it (3 %, at least 4); where there is no glyph at all, an ink is
    still named. Both are right for all of 2,000 true images of 8x8 to 32x32, also when those of 32x32 are blurred (3x3
    mean) or noisy (standard deviation 10 of 255); with noise of 25, 98.8 % of the inks are.

    Args:
        images: (N, 3, H, W), uint8 or in [-1, 1].

    Raises:
        ValueError: not colour images.
    """
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[1] != 3 or not images.numel():
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"images: got {got}, expected colour images (N, 3, H, W)")
    rgb = images.float() if images.dtype == torch.uint8 else (images.float() + 1) * 127.5
    edges = torch.cat([rgb[:, :, 0], rgb[:, :, -1], rgb[:, :, :, 0], rgb[:, :, :, -1]], 2)
    behind = edges.median(2).values  # (N, 3)
    palette = torch.tensor(_BACKGROUNDS, device=rgb.device).float()
    tones = torch.stack([palette, palette * SHADE])  # (2, 6, 3)
    background = _to_segment(behind[:, None], tones[0], tones[1]).argmin(1)

    pixels = rgb.flatten(2).transpose(1, 2)  # (N, HW, 3)
    light, dark = tones[:, background, None]  # (N, 1, 3)
    far = _to_segment(pixels, light, dark).topk(max(4, pixels.shape[1] * 3 // 100), 1).indices
    strokes = pixels.gather(1, far[:, :, None].expand(-1, -1, 3))  # (N, k, 3)
    inks = torch.tensor(_INKS, device=rgb.device).float()
    misfit = _to_segment(strokes[:, :, None], ((light + dark) / 2)[:, :, None], inks)  # (N, k, 6)
    return {"ink": misfit.sum(1).argmin(1), "background": background}


def _to_segment(points: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Distances of points (..., 3) to the segments from a to b (broadcast)."""
    along = ((points - a) * (b - a)).sum(-1) / (b - a).square().sum(-1)
    return (points - torch.lerp(a, b, along.clamp(0, 1)[..., None])).norm(dim=-1)
