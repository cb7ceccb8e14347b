"""A made world whose truth is known: coloured characters of the fonts that matplotlib carries.

Each image shows one character. What it shows is written down in *factors* (:data:`VALUES` lists the
names of their values, in order):

=============  =========================================================================================
character      the class: its position in ``characters``
family         font family, of 7
weight         regular, bold
slant          upright, italic (the sans-serif and monospaced fonts are inclined instead)
scale          small, large: capitals are 0.48 or 0.64 of the image high; a wider glyph is made to fit
ink            colour of the character, of 6 dark ones
background     colour behind it, of 6 light ones
texture        plain, striped, dotted, checked or noisy: patches of the background in a darker tone of it
x, y           centre of the glyph minus centre of the image, as a share of its side, in [-0.1, 0.1];
               positive is right and down; drawn to about 1/128 of the side
texture_x, _y  which part of the pattern is seen, in [0, 1]
=============  =========================================================================================

All factors are independent and uniform, but one thing: Computer Modern has no bold italic, and its sans
and typewriter families have only one face here. So the *face* (family, weight, slant) is drawn uniformly
from the 21 that exist (:data:`FACES`), and 9/21 of the items are bold, 9/21 italic. Within
:data:`COMPLETE_FAMILIES` all three are independent.

Promises, kept for every factor: no glyph touches what lies beyond the border; where the ink covers a
pixel fully, its contrast to every tone of the background is at least :data:`MIN_CONTRAST` (a WCAG 2
contrast ratio; 4.5 is the AA level for text); an image depends on its factors, the size, and the
versions of Pillow, FreeType and the fonts, and on nothing else.

    train = data.load("glyphs", size=32)
    upright = make(1000, seed=0, fixed={"slant": "upright", "family": COMPLETE_FAMILIES})
    italic = upright.changed(slant="italic")  # the same items: the hidden truth of a translation
"""

from __future__ import annotations

import functools
import hashlib
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_course.data import DataSet, Domains
from gan_course.downloads import cache_root, kept
from gan_course.errors import unknown

CHARACTERS = "ABCDEFGHIJ"
ALLOWED = string.ascii_letters + string.digits  # Computer Modern keeps other signs under wrong code points
SPLIT_SEEDS = {"train": 0, "test": 1}
SPLIT_SIZES = {"train": 20_000, "test": 2_000}
MIN_CONTRAST = 4.5

# Files in matplotlib's data folder, fonts/ttf, as (family, weight, slant): file.
FONTS = {
    ("DejaVu Sans", "regular", "upright"): "DejaVuSans",
    ("DejaVu Sans", "regular", "italic"): "DejaVuSans-Oblique",
    ("DejaVu Sans", "bold", "upright"): "DejaVuSans-Bold",
    ("DejaVu Sans", "bold", "italic"): "DejaVuSans-BoldOblique",
    ("DejaVu Serif", "regular", "upright"): "DejaVuSerif",
    ("DejaVu Serif", "regular", "italic"): "DejaVuSerif-Italic",
    ("DejaVu Serif", "bold", "upright"): "DejaVuSerif-Bold",
    ("DejaVu Serif", "bold", "italic"): "DejaVuSerif-BoldItalic",
    ("DejaVu Sans Mono", "regular", "upright"): "DejaVuSansMono",
    ("DejaVu Sans Mono", "regular", "italic"): "DejaVuSansMono-Oblique",
    ("DejaVu Sans Mono", "bold", "upright"): "DejaVuSansMono-Bold",
    ("DejaVu Sans Mono", "bold", "italic"): "DejaVuSansMono-BoldOblique",
    ("STIX General", "regular", "upright"): "STIXGeneral",
    ("STIX General", "regular", "italic"): "STIXGeneralItalic",
    ("STIX General", "bold", "upright"): "STIXGeneralBol",
    ("STIX General", "bold", "italic"): "STIXGeneralBolIta",
    ("Computer Modern", "regular", "upright"): "cmr10",
    ("Computer Modern", "regular", "italic"): "cmti10",
    ("Computer Modern", "bold", "upright"): "cmb10",
    ("Computer Modern Sans", "regular", "upright"): "cmss10",
    ("Computer Modern Typewriter", "regular", "upright"): "cmtt10",
}
STYLES = {
    "DejaVu Sans": "sans",
    "DejaVu Serif": "serif",
    "DejaVu Sans Mono": "mono",
    "STIX General": "serif",
    "Computer Modern": "serif",
    "Computer Modern Sans": "sans",
    "Computer Modern Typewriter": "mono",
}
STYLE_NAMES = ["serif", "sans", "mono"]
STYLE_OF_FAMILY = torch.tensor([STYLE_NAMES.index(style) for style in STYLES.values()])
COMPLETE_FAMILIES = ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "STIX General")

INKS = {
    "black": (0, 0, 0),
    "red": (160, 0, 20),
    "green": (0, 90, 20),
    "blue": (0, 40, 200),
    "purple": (125, 0, 140),
    "brown": (105, 60, 0),
}
BACKGROUNDS = {
    "white": (255, 255, 255),
    "yellow": (255, 235, 90),
    "pink": (255, 195, 230),
    "cyan": (140, 240, 250),
    "lime": (185, 245, 120),
    "orange": (255, 205, 130),
}
SHADE = 0.9  # the dark tone of a background, as a multiple of its colour
SCALES = {"small": 0.48, "large": 0.64}
BOX = 0.75  # no glyph is wider or higher than this share of the side
REACH = 0.1  # largest x and y; BOX / 2 + REACH < 1 / 2 keeps the glyph inside

VALUES: dict[str, list[str]] = {
    "family": list(STYLES),
    "weight": ["regular", "bold"],
    "slant": ["upright", "italic"],
    "scale": list(SCALES),
    "ink": list(INKS),
    "background": list(BACKGROUNDS),
    "texture": ["plain", "striped", "dotted", "checked", "noisy"],
}
RANGES = {"x": (-REACH, REACH), "y": (-REACH, REACH), "texture_x": (0.0, 1.0), "texture_y": (0.0, 1.0)}
FACTORS = ["character", *VALUES, *RANGES]

FACES = [tuple(VALUES[k].index(v) for k, v in zip(("family", "weight", "slant"), f, strict=True)) for f in FONTS]
_FACE_OF = np.full((len(STYLES), 2, 2), -1)  # (family, weight, slant) -> row of FACES, -1 where there is none
_FACE_OF[tuple(zip(*FACES, strict=True))] = range(len(FACES))

Value = int | float | str | Sequence | Tensor


class Glyphs(DataSet):
    """Images of the made world with the factors that made them.

    Labels are the character's numbers, classes the characters.

    Args:
        x: uint8 (N, 3, size, size), or (N, 1, size, size) for grey.
        factors: as :func:`render` takes them; kept on the device of ``x``.
        characters: what the numbers of the factor ``character`` mean.

    Attributes:
        factors: dict of the factors (N,): int64, and float32 for ``x``, ``y``, ``texture_x``, ``texture_y``.
        values: for each discrete factor the names of its values, so that ``values[f][factors[f][i]]`` can be read.
    """

    def __init__(self, x: Tensor, factors: Mapping[str, Tensor], *, characters: str = CHARACTERS):
        super().__init__(x, factors["character"], name="glyphs", classes=list(characters))
        self.characters = characters
        self.factors = {name: factors[name].to(x.device) for name in FACTORS}
        self.values = {"character": list(characters), **VALUES}

    def to(self, device: str | torch.device) -> Glyphs:
        """The same set on another device."""
        return Glyphs(self.x.to(device), self.factors, characters=self.characters)

    def changed(self, **factors: Value) -> Glyphs:
        """The same items drawn again with other values of some factors: the truth of a translation.

        Args:
            factors: for each factor to change a value for all (its number or its name) or one for each item (N,).

        Raises:
            ValueError: unknown factor or value, or a font face that does not exist.
        """
        new = {name: f.cpu() for name, f in self.factors.items()}
        for name, value in factors.items():
            _check_factor_name(name)
            if not isinstance(value, Tensor):
                value = torch.tensor(_number(name, value, self.characters))
            if value.dim() and value.shape != (len(self),) or value.is_floating_point() != (name in RANGES):
                got, wanted = f"{value.dtype} {tuple(value.shape)}", _dtype(name)
                raise ValueError(f"{name}: got {got}, expected {wanted} ({len(self)},) or a value for all")
            new[name] = value.cpu().to(_dtype(name)).expand(len(self)).clone()
        x = render(new, self.shape[-1], characters=self.characters, channels=self.shape[0])
        return Glyphs(x.to(self.x.device), new, characters=self.characters)

    def captions(self, seed: int | None = 0) -> list[str]:
        """A sentence for each item, e.g. ``"a bold red A in a serif font on a striped yellow background"``.

        Character, ink and background are always named; what else is said is true. For each item, ``seed`` draws
        which of scale, weight, slant, style and texture are said (each with probability 1/2) and whether the
        background comes first; None says everything, the background last.
        """
        f = {k: [self.values[k][i] for i in v.tolist()] for k, v in self.factors.items() if k in self.values}
        n = len(self)
        said = np.arange(6) < np.full((n, 1), 5) if seed is None else _uniforms(n, 6, seed) < 0.5
        sentences = []
        for i in range(n):
            scale, weight, slant, texture, style = said[i, :5]
            words = [f[k][i] for k, say in (("scale", scale), ("weight", weight), ("slant", slant)) if say]
            glyph = _a(" ".join([*words, f["ink"][i], f["character"][i]]))
            glyph += f" in {_a(STYLES[f['family'][i]])} font" if style else ""
            behind = "on " + _a((f["texture"][i] + " " if texture else "") + f["background"][i] + " background")
            sentences.append(f"{behind} {glyph}" if said[i, 5] else f"{glyph} {behind}")
        return sentences

    def captioned(self, seed: int | None = 0) -> DataSet:
        """The same images labelled with the words of their captions, (N, CAPTION_LENGTH); classes: the vocabulary."""
        words = vocabulary(self.characters)
        labels = tokens(self.captions(seed), words)
        return DataSet(self.x, labels, name="glyphs with captions", classes=words)


# --- making ---------------------------------------------------------------------------------------


def draw_factors(
    n: int, seed: int, characters: str = CHARACTERS, fixed: Mapping[str, Value] | None = None
) -> dict[str, Tensor]:
    """The factors of ``n`` items, uniform over all that exist.

    Item i depends on the seed and i only, so fewer items are the first ones of more; and fixing one
    factor changes no other, except that family, weight and slant are drawn together.

    Args:
        n: number of items.
        seed: 0 or more.
        characters: letters and digits without repetition.
        fixed: values that are not drawn: for a factor its number or name, or several of them to choose among.

    Returns:
        dict of tensors (n,), as in :class:`Glyphs`.

    Raises:
        ValueError: an argument is out of range, unknown factors or values, or no font face fits.
    """
    _check_number("n", n, 1)
    _check_characters(characters)
    u = dict(zip(["character", "face", *FACTORS[4:]], _uniforms(n, len(FACTORS) - 2, seed).T, strict=True))
    allowed = {"character": list(range(len(characters)))} | {k: list(range(len(v))) for k, v in VALUES.items()}
    given = {}
    for name, value in (fixed or {}).items():
        _check_factor_name(name)
        several = isinstance(value, Sequence) and not isinstance(value, str)
        numbers = [_number(name, v, characters) for v in (value if several else [value])]
        if name in allowed and numbers:
            allowed[name] = numbers
        elif len(numbers) == 1:
            given[name] = np.full(n, numbers[0])
        else:
            raise ValueError(f"fixed: got {value!r} for {name!r}, expected one value")
    faces = [f for f in FACES if all(v in allowed[k] for k, v in zip(("family", "weight", "slant"), f, strict=True))]
    if not faces:
        wanted = {k: [VALUES[k][i] for i in allowed[k]] for k in ("family", "weight", "slant") if k in fixed}
        raise ValueError(f"fixed: got {wanted}, expected at least one face that exists (glyphs.FONTS)")

    def choose(name: str, among: Sequence) -> np.ndarray:
        return np.asarray(among)[(u[name] * len(among)).astype(int)]

    discrete = {name: choose(name, allowed[name]) for name in allowed if name in u}
    discrete |= dict(zip(("family", "weight", "slant"), choose("face", faces).T, strict=True))
    continuous = {name: low + (high - low) * u[name] for name, (low, high) in RANGES.items()} | given
    drawn = {**discrete, **continuous}
    return {name: torch.as_tensor(drawn[name], dtype=_dtype(name)) for name in FACTORS}


def make(
    n: int,
    seed: int,
    size: int = 32,
    *,
    characters: str = CHARACTERS,
    fixed: Mapping[str, Value] | None = None,
    channels: int = 3,
) -> Glyphs:
    """``n`` images drawn with ``seed``. Arguments and errors as for :func:`draw_factors` and :func:`render`."""
    factors = draw_factors(n, seed, characters, fixed)
    return Glyphs(render(factors, size, characters=characters, channels=channels), factors, characters=characters)


def domains(
    n: int,
    seed: int,
    size: int = 32,
    *,
    a: Mapping[str, Value],
    b: Mapping[str, Value],
    paired: bool,
    fixed: Mapping[str, Value] | None = None,
    **options: str | int,
) -> Domains:
    """Two domains that differ in some factors, e.g. ``a={"slant": "upright"}, b={"slant": "italic"}``.

    Both sides of the result are :class:`Glyphs`. Paired, item i of one is item i of the other with those factors
    changed. Unpaired, the items of the second are others, and ``domains.a.changed(**b)`` is the truth that a
    translator never sees.

    Args:
        a, b: what makes the domains, one value for each factor.
        fixed: what both share; for weights and slants choose ``{"family": COMPLETE_FAMILIES}``.
        options: ``characters`` and ``channels``, as for :func:`make`.

    Raises:
        ValueError: as for :func:`make`; or ``a`` and ``b`` name different factors.
    """
    if set(a) != set(b):
        raise ValueError(f"b: got {sorted(b)}, expected the factors of a, {sorted(a)}")
    first = make(n, seed, size, fixed={**(fixed or {}), **a}, **options)
    # seeds beyond 32 bits are left to the second domain
    second = first.changed(**b) if paired else make(n, seed + 2**32, size, fixed={**(fixed or {}), **b}, **options)
    return Domains(first, second, paired=paired, name="glyphs")


def _uniforms(n: int, k: int, seed: int) -> np.ndarray:
    """(n, k) uniform numbers in [0, 1); numpy promises that RandomState's stream never changes."""
    _check_number("seed", seed, 0)
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed))).random_sample((n, k))


# --- drawing --------------------------------------------------------------------------------------


def render(factors: Mapping[str, Tensor], size: int, *, characters: str = CHARACTERS, channels: int = 3) -> Tensor:
    """Draw images from their factors.

    The glyph is drawn by FreeType at several times the size without hinting to speak of, put at its
    place to a fraction of a pixel, and averaged over each pixel: the share of the pixel that the ink
    covers. Colours are mixed by that share.

    Args:
        factors: all of :data:`FACTORS`, each (N,).
        size: side of the images, 8 to 256 pixels.
        characters: what the numbers of the factor ``character`` mean.
        channels: 3, or 1 for grey (0.299 R + 0.587 G + 0.114 B).

    Returns:
        uint8 (N, channels, size, size) on the CPU.

    Raises:
        ValueError: a factor is missing or out of range, or a font face does not exist.
    """
    _check_number("size", size, 8, 256)
    if channels not in (1, 3):
        raise ValueError(f"channels: got {channels!r}, expected 1 or 3")
    _check_characters(characters)
    f = _check_factors(factors, characters)
    n = len(f["x"])
    out = np.empty((n, channels, size, size), np.uint8)
    step = max(1, 2**20 // size**2)
    for start in range(0, n, step):  # in parts, so that the temporary arrays stay small
        part = {name: values[start : start + step] for name, values in f.items()}
        ink, light = _INKS[part["ink"]], _BACKGROUNDS[part["background"]]
        dark = np.round(light * SHADE).astype(np.uint8)
        coverage, pattern = _coverage(part, size, characters), _pattern(part, size)
        if channels == 1:
            ink, light, dark = _grey(ink), _grey(light), _grey(dark)
        behind = _mix(light[:, :, None, None], dark[:, :, None, None], pattern[:, None])
        out[start : start + step] = _mix(behind, ink[:, :, None, None], coverage[:, None])
    return torch.from_numpy(out)


_INKS = np.array(list(INKS.values()), np.uint8)
_BACKGROUNDS = np.array(list(BACKGROUNDS.values()), np.uint8)


def _grey(colors: np.ndarray) -> np.ndarray:
    return np.round(colors @ np.array([[0.299], [0.587], [0.114]])).astype(np.uint8)


def _mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """a + (b - a) share / 255, rounded, all of them bytes: at most 255 * 255 + 127, which fits 16 bits."""
    share = share.astype(np.uint16)
    return ((a * (255 - share) + b * share + 127) // 255).astype(np.uint8)


def _coverage(f: dict[str, np.ndarray], size: int, characters: str) -> np.ndarray:
    """How much of each pixel is ink, uint8 (n, size, size)."""
    fine = _fine(size)
    side = size * fine
    face = _FACE_OF[f["family"], f["weight"], f["slant"]]
    kind = (f["character"] * len(FACES) + face) * len(SCALES) + f["scale"]
    order = np.argsort(kind, kind="stable")
    out = np.empty((len(kind), size, size), np.uint8)
    for rows in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1):
        i = rows[0]
        means = _glyph(characters[f["character"][i]], int(face[i]), int(f["scale"][i]), size)
        places = []
        for axis, name in enumerate("yx"):
            extent = means.shape[axis] - fine - 1  # of the glyph, in fine pixels
            start = np.round(side * (0.5 + f[name][rows]) - extent / 2).astype(int)
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

    file = Path(matplotlib.get_data_path(), "fonts", "ttf", list(FONTS.values())[face] + ".ttf")
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
    """The ink and the background that images show, read without a network: the nearest of the palettes.

    The background is the median of the outermost pixels. The ink is the one that explains best, as mixtures with
    the background, those pixels that are farthest from the background (3 %, at least 4). Where there is
    no glyph at all, an ink is still named. Both are right for all of 2,000 true images of 8x8 to 32x32, also
    when those of 32x32 are blurred (3x3 mean) or noisy (standard deviation 10 of 255); with noise of 25, 98.8 % of
    the inks are.

    Args:
        images: (N, 3, H, W), uint8 or in [-1, 1].

    Returns:
        ``ink`` and ``background``: int64 (N,), positions in :data:`INKS` and :data:`BACKGROUNDS`.

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


# --- captions -------------------------------------------------------------------------------------

PADDING = "<pad>"
# The longest has scale, weight, slant, ink, character, in, style, font, on, texture, background, "background".
CAPTION_LENGTH = 12


def vocabulary(characters: str = CHARACTERS) -> list[str]:
    """The words of the captions: padding first, then the fixed ones, then the characters."""
    named = [w for k in ("scale", "weight", "slant", "ink", "texture", "background") for w in VALUES[k]]
    return [PADDING, "in", "on", "font", "background", *named, *STYLE_NAMES, *characters]


VOCABULARY = vocabulary()


def tokens(captions: Sequence[str], words: Sequence[str] = VOCABULARY) -> Tensor:
    """Word numbers (N, CAPTION_LENGTH), int64, filled up with 0. Articles are left out: they tell nothing.

    Raises:
        ValueError: a caption is too long, or has a word that is not among ``words``.
    """
    number = {word: i for i, word in enumerate(words)}
    rows = []
    for caption in captions:
        sentence = _words(caption)
        for word in sentence:
            if word not in number:
                raise unknown("word", word, words)
        if len(sentence) > CAPTION_LENGTH:
            raise ValueError(f"captions: got {caption!r}, expected at most {CAPTION_LENGTH} words without articles")
        rows.append([number[word] for word in sentence] + [0] * (CAPTION_LENGTH - len(sentence)))
    return torch.tensor(rows, dtype=torch.long).view(-1, CAPTION_LENGTH)


def parse(caption: str, characters: str = CHARACTERS) -> dict[str, int]:
    """The factors that a caption states, as numbers, to check whether it was obeyed.

    Keys: ``character``, ``ink``, ``background``; where they are said, ``scale``, ``weight``, ``slant``,
    ``texture``; and ``style``, a position in :data:`STYLE_NAMES` (``STYLE_OF_FAMILY[family]`` gives that of a
    family).

    Raises:
        ValueError: the caption does not follow the grammar; shows it.
    """
    values = {"character": list(characters), **VALUES, "style": STYLE_NAMES}
    for pattern in _sentences(characters):
        if match := pattern.fullmatch(caption):
            return {name: values[name].index(word) for name, word in match.groupdict().items() if word}
    grammar = (
        "'a [scale] [weight] [slant] INK CHARACTER [in a style font] on a [texture] BACKGROUND background', or what"
        " comes from 'on' first"
    )
    raise ValueError(f"caption: got {caption!r}, expected {grammar}")


@functools.lru_cache(maxsize=8)
def _sentences(characters: str) -> list[re.Pattern]:
    def one(name: str, words: Sequence[str]) -> str:
        return f"(?P<{name}>{'|'.join(words)})"

    adjectives = "".join(f"({one(name, VALUES[name])} )?" for name in ("scale", "weight", "slant"))
    glyph = f"an? {adjectives}{one('ink', INKS)} {one('character', characters)}"
    glyph += f"( in an? {one('style', STYLE_NAMES)} font)?"
    behind = f"on an? ({one('texture', VALUES['texture'])} )?{one('background', BACKGROUNDS)} background"
    return [re.compile(f"{glyph} {behind}"), re.compile(f"{behind} {glyph}")]


def _a(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _words(caption: str) -> list[str]:
    """Without articles; the character that comes after the ink is kept, be it an a."""
    words = caption.split()
    return [w for i, w in enumerate(words) if w not in ("a", "an") or (i and words[i - 1] in INKS)]


# --- loading --------------------------------------------------------------------------------------


def load(size: int, split: str, channels: int, limit: int | None) -> Glyphs:
    """What ``data.load("glyphs", ...)`` gives: 20,000 items for training or 2,000 for testing.

    The colour images of a whole split are kept in the cache folder, in one file for each split and size
    (61 MB for training at 32x32). It is made anew when the versions or this module change, or when it
    is damaged; where it cannot be written, nothing is kept. With a ``limit``, only those items are made.
    """
    n = SPLIT_SIZES[split]
    if limit is not None and limit < n:
        return make(limit, SPLIT_SEEDS[split], size, channels=channels)
    factors = draw_factors(n, SPLIT_SEEDS[split])
    if channels == 1:
        return Glyphs(render(factors, size, channels=1), factors)
    file = cache_root() / "glyphs" / f"{split}-{size}.bin"
    return Glyphs(kept(file, _key(factors), (n, 3, size, size), lambda: render(factors, size)), factors)


def _key(factors: Mapping[str, Tensor]) -> bytes:
    """What the images depend on besides the size: the factors, this module, and who draws."""
    import matplotlib
    import PIL
    from PIL import features

    versions = f"{PIL.__version__} {features.version('freetype2')} {matplotlib.__version__}"
    parts = [versions.encode(), Path(__file__).read_bytes(), *(factors[name].numpy().tobytes() for name in FACTORS)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


# --- checks ---------------------------------------------------------------------------------------


def _dtype(name: str) -> torch.dtype:
    return torch.float32 if name in RANGES else torch.int64


def _check_number(name: str, value: int, low: int, high: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low or value > (high or value):
        wanted = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}: got {value!r}, expected a whole number {wanted}")


def _check_characters(characters: str) -> None:
    if not characters or set(characters) - set(ALLOWED) or len(set(characters)) < len(characters):
        raise ValueError(f"characters: got {characters!r}, expected letters and digits (ASCII), each once")


def _check_factor_name(name: str) -> None:
    if name not in FACTORS:
        raise unknown("factor", name, FACTORS)


def _number(name: str, value: Value, characters: str) -> int | float:
    """The number of a value given by its number or its name."""
    if name in RANGES:
        low, high = RANGES[name]
        if isinstance(value, (int, float)) and low <= value <= high:
            return float(value)
        raise ValueError(f"{name}: got {value!r}, expected a number from {low:g} to {high:g}")
    names = list(characters) if name == "character" else VALUES[name]
    if isinstance(value, str):
        if value not in names:
            raise unknown(name, value, names)
        return names.index(value)
    _check_number(name, value, 0, len(names) - 1)
    return int(value)


def _check_factors(factors: Mapping[str, Tensor], characters: str) -> dict[str, np.ndarray]:
    for name in factors:
        _check_factor_name(name)
    if missing := [name for name in FACTORS if name not in factors]:
        raise ValueError(f"factors: got none for {', '.join(missing)}, expected all of {', '.join(FACTORS)}")
    f = {}
    for name in FACTORS:
        value, dtype = factors[name], _dtype(name)
        if not isinstance(value, Tensor) or value.shape != (len(factors["x"]),) or value.dtype != dtype:
            got = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"{name}: got {got}, expected a tensor {dtype} ({len(factors['x'])},)")
        low, high = RANGES.get(name) or (0, len(characters if name == "character" else VALUES[name]) - 1)
        low, high = (float(torch.tensor(v, dtype=dtype)) for v in (low, high))
        if len(value) == 0 or not (low <= value.min() and value.max() <= high):  # written so that NaN fails too
            got = f"{value.min().item():g} to {value.max().item():g}" if len(value) else "nothing"
            raise ValueError(f"{name}: got {got}, expected {low:g} to {high:g}")
        f[name] = value.cpu().numpy()
    bad = np.flatnonzero(_FACE_OF[f["family"], f["weight"], f["slant"]] < 0)
    if len(bad):
        i = bad[0]
        face = " ".join(VALUES[k][f[k][i]] for k in ("family", "weight", "slant"))
        raise ValueError(
            f"factors: {len(bad)} of {len(f['x'])} items have no font face (item {i}: {face!r}), expected those of"
            " glyphs.FONTS; COMPLETE_FAMILIES have all"
        )
    return f
