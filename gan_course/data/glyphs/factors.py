"""What a glyph's image shows: the factors, their values, and how they are drawn at random."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from gan_course.errors import unknown

CHARACTERS = "ABCDEFGHIJ"
ALLOWED = string.ascii_letters + string.digits  # Computer Modern keeps other signs under wrong code points

# family -> its style, and its files in ./fonts or in matplotlib's data folder, fonts/ttf: regular and regular italic,
# bold and bold italic, as far as they exist
_FAMILIES = {
    "DejaVu Sans": ("sans", [f"DejaVuSans{face}" for face in ("", "-Oblique", "-Bold", "-BoldOblique")]),
    "DejaVu Serif": ("serif", [f"DejaVuSerif{face}" for face in ("", "-Italic", "-Bold", "-BoldItalic")]),
    "DejaVu Sans Mono": ("mono", [f"DejaVuSansMono{face}" for face in ("", "-Oblique", "-Bold", "-BoldOblique")]),
    "STIX General": ("serif", [f"STIXGeneral{face}" for face in ("", "Italic", "Bol", "BolIta")]),
    "Computer Modern": ("serif", ["cmr10", "cmti10", "cmb10"]),
    "Computer Modern Sans": ("sans", ["cmss10"]),
    "Computer Modern Typewriter": ("mono", ["cmtt10"]),
}
STYLES = {family: style for family, (style, _) in _FAMILIES.items()}
STYLE_NAMES = ["serif", "sans", "mono"]
STYLE_OF_FAMILY = torch.tensor([STYLE_NAMES.index(style) for style in STYLES.values()])

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
SCALES = {"small": 0.48, "large": 0.64}
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

FACE = ("family", "weight", "slant")
FONTS = {
    (family, weight, slant): file
    for family, (_, files) in _FAMILIES.items()
    for (weight, slant), file in zip(product(VALUES["weight"], VALUES["slant"]), files, strict=False)
}
COMPLETE_FAMILIES = tuple(family for family, (_, files) in _FAMILIES.items() if len(files) == 4)
FACES = [tuple(VALUES[k].index(v) for k, v in zip(FACE, font, strict=True)) for font in FONTS]
FACE_OF = np.full((len(STYLES), 2, 2), -1)  # (family, weight, slant) -> row of FACES, -1 where there is none
FACE_OF[tuple(zip(*FACES, strict=True))] = range(len(FACES))

Value = int | float | str | Sequence | Tensor
Fixed = Mapping[str, Value]  # values of some factors


# --- making ---------------------------------------------------------------------------------------
def draw_factors(n: int, seed: int, characters: str = CHARACTERS, fixed: Fixed | None = None) -> dict[str, Tensor]:
    """The factors of ``n`` items, (n,) each, uniform over all that exist.

    Item i depends on the seed and i only, so fewer items are the first ones of more; and fixing one factor changes no
    other, except that family, weight and slant are drawn together.

    Args:
        n: number of items.
        seed: 0 or more.
        characters: letters and digits without repetition.
        fixed: values that are not drawn: for a factor its number or name, or several of them to choose among.

    Raises:
        ValueError: an argument is out of range, unknown factors or values, or no font face fits.
    """
    check_number("n", n, 1)
    check_characters(characters)
    u = dict(zip(["character", "face", *FACTORS[4:]], uniforms(n, len(FACTORS) - 2, seed).T, strict=True))
    allowed = {"character": list(range(len(characters)))} | {k: list(range(len(v))) for k, v in VALUES.items()}
    drawn = {name: low + (high - low) * u[name] for name, (low, high) in RANGES.items()}
    for name, value in (fixed or {}).items():
        several = isinstance(value, Sequence) and not isinstance(value, str)
        numbers = [number_of(name, v, characters) for v in (value if several else [value])]
        if name in allowed and numbers:
            allowed[name] = numbers
        elif len(numbers) == 1:
            drawn[name] = np.full(n, numbers[0])
        else:
            raise ValueError(f"fixed: got {value!r} for {name!r}, expected one value")
    allowed["face"] = [face for face in FACES if all(v in allowed[k] for k, v in zip(FACE, face, strict=True))]
    if not allowed["face"]:
        wanted = {k: [VALUES[k][i] for i in allowed[k]] for k in FACE if k in fixed}
        raise ValueError(f"fixed: got {wanted}, expected at least one face that exists (glyphs.FONTS)")
    for name in allowed.keys() & u.keys():
        drawn[name] = np.asarray(allowed[name])[(u[name] * len(allowed[name])).astype(int)]
    drawn |= zip(FACE, drawn["face"].T, strict=True)
    return {name: torch.as_tensor(drawn[name], dtype=dtype_of(name)) for name in FACTORS}


def uniforms(n: int, k: int, seed: int) -> np.ndarray:
    """(n, k) uniform numbers in [0, 1); numpy promises that RandomState's stream never changes."""
    check_number("seed", seed, 0)
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed))).random_sample((n, k))


# --- checks ---------------------------------------------------------------------------------------
def dtype_of(name: str) -> torch.dtype:
    return torch.float32 if name in RANGES else torch.int64


def check_number(name: str, value: int, low: int, high: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low or value > (high or value):
        wanted = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}: got {value!r}, expected a whole number {wanted}")


def check_characters(characters: str) -> None:
    if not characters or set(characters) - set(ALLOWED) or len(set(characters)) < len(characters):
        raise ValueError(f"characters: got {characters!r}, expected letters and digits (ASCII), each once")


def number_of(name: str, value: Value, characters: str) -> int | float:
    """The number of a value given by its number or its name."""
    if name not in FACTORS:
        raise unknown("factor", name, FACTORS)
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
    check_number(name, value, 0, len(names) - 1)
    return int(value)


def check_factors(factors: Mapping[str, Tensor], characters: str) -> dict[str, np.ndarray]:
    for name in factors:
        if name not in FACTORS:
            raise unknown("factor", name, FACTORS)
    if missing := [name for name in FACTORS if name not in factors]:
        raise ValueError(f"factors: got none for {', '.join(missing)}, expected all of {', '.join(FACTORS)}")
    f, n = {}, len(factors["x"])
    for name in FACTORS:
        value, dtype = factors[name], dtype_of(name)
        got = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        if got != f"{dtype} ({n},)":
            raise ValueError(f"{name}: got {got}, expected a tensor {dtype} ({n},)")
        low, high = RANGES.get(name) or (0, len(characters if name == "character" else VALUES[name]) - 1)
        low, high = (float(torch.tensor(v, dtype=dtype)) for v in (low, high))
        if len(value) == 0 or not (low <= value.min() and value.max() <= high):  # written so that NaN fails too
            got = f"{value.min().item():g} to {value.max().item():g}" if len(value) else "nothing"
            raise ValueError(f"{name}: got {got}, expected {low:g} to {high:g}")
        f[name] = value.cpu().numpy()
    bad = np.flatnonzero(FACE_OF[f["family"], f["weight"], f["slant"]] < 0)
    if len(bad):
        face = " ".join(VALUES[k][f[k][bad[0]]] for k in FACE)
        raise ValueError(f"factors: {len(bad)} of {n} items have no font face ({face!r}); see glyphs.FONTS")
    return f
