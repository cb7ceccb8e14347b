"""A made world whose truth is known: coloured characters of the fonts that matplotlib carries.

Each image shows one character. What it shows is written down in *factors* (:data:`VALUES` names their values):

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

All factors are independent and uniform, but one thing: Computer Modern has no bold italic, and its sans and typewriter
families have only one face here. So the *face* (family, weight, slant) is drawn uniformly from the 21 that exist
(:data:`FACES`), and 9/21 of the items are bold, 9/21 italic. Within :data:`COMPLETE_FAMILIES` all are independent.

Promises, kept for every factor: no glyph touches what lies beyond the border; where the ink covers a pixel fully, its
contrast to every tone of the background is at least :data:`MIN_CONTRAST` (a WCAG 2 contrast ratio; 4.5 is the AA level
for text); an image depends on its factors, the size, and the versions of Pillow, FreeType and the fonts alone.

    train = data.load("glyphs", size=32)
    upright = make(1000, seed=0, fixed={"slant": "upright", "family": COMPLETE_FAMILIES})
    italic = upright.changed(slant="italic")  # the same items: the hidden truth of a translation
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_course.data.downloads import cache_root, kept
from gan_course.data.glyphs.captions import sentences, tokens, vocabulary
from gan_course.data.glyphs.drawing import render
from gan_course.data.glyphs.factors import CHARACTERS, FACTORS, VALUES, Fixed, Value, draw_factors, dtype_of, number_of
from gan_course.data.sets import DataSet, Domains
from gan_course.errors import unknown

SPLIT_SEEDS = {"train": 0, "test": 1}
SPLIT_SIZES = {"train": 20_000, "test": 2_000}


class Glyphs(DataSet):
    """Images of the made world with the factors that made them. Labels are the numbers of the characters, the classes.

    Args:
        x: uint8 (N, 3, size, size), or (N, 1, size, size) for grey.
        factors: as :func:`render` takes them: (N,) each, int64, and float32 for ``x``, ``y``, ``texture_x``,
            ``texture_y``; kept on the device of ``x``.
        characters: what the numbers of the factor ``character`` mean.

    Attributes:
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
            if not isinstance(value, Tensor):
                value = torch.tensor(number_of(name, value, self.characters))
            wanted = dtype_of(name)
            if value.dim() and value.shape != (len(self),) or value.is_floating_point() != wanted.is_floating_point:
                got = f"{value.dtype} {tuple(value.shape)}"
                raise ValueError(f"{name}: got {got}, expected {wanted} ({len(self)},) or a value for all")
            new[name] = value.cpu().to(wanted).expand(len(self)).clone()
        x = render(new, self.shape[-1], characters=self.characters, channels=self.shape[0])
        return Glyphs(x.to(self.x.device), new, characters=self.characters)

    def captions(self, seed: int | None = 0) -> list[str]:
        """A sentence for each item, e.g. ``"a bold red A in a serif font on a striped yellow background"``.

        Character, ink and background are always named. For each item, ``seed`` draws which of scale, weight, slant,
        style and texture are said (each with probability 1/2) and whether the background comes first; None says
        everything, the background last.
        """
        return sentences(self.factors, self.characters, seed)

    def labelled(self, *factors: str) -> DataSet:
        """The same images labelled by some discrete factors, as domains for StarGAN: (N, L) for L factors.

        A label holds one word for each factor, numbered through: for ``labelled("weight", "ink")``, 0 and 1 are the
        weights, 2 to 7 the inks. ``classes`` are the words.
        """
        for name in factors or ("",):
            if name not in self.values:
                raise unknown("discrete factor", name, self.values)
        words = [word for name in factors for word in self.values[name]]
        starts = itertools.accumulate((len(self.values[name]) for name in factors), initial=0)
        labels = torch.stack([first + self.factors[name] for name, first in zip(factors, starts, strict=False)], 1)
        return DataSet(self.x, labels, name="glyphs by " + ", ".join(factors), classes=words)

    def captioned(self, seed: int | None = 0) -> DataSet:
        """The same images labelled with the words of their captions, (N, CAPTION_LENGTH); classes: the vocabulary."""
        words = vocabulary(self.characters)
        return DataSet(self.x, tokens(self.captions(seed), words), name="glyphs with captions", classes=words)


def make(
    n: int, seed: int, size: int = 32, *, characters: str = CHARACTERS, fixed: Fixed | None = None, channels: int = 3
) -> Glyphs:
    """``n`` images drawn with ``seed``; arguments and errors as for :func:`draw_factors` and :func:`render`."""
    factors = draw_factors(n, seed, characters, fixed)
    return Glyphs(render(factors, size, characters=characters, channels=channels), factors, characters=characters)


def domains(
    n: int, seed: int, size: int = 32, *, a: Fixed, b: Fixed, paired: bool, fixed: Fixed | None = None, **options: Any
) -> Domains:
    """Two domains that differ in some factors, e.g. ``a={"slant": "upright"}, b={"slant": "italic"}``.

    Both sides are :class:`Glyphs`. Paired, item i of one is item i of the other with those factors changed. Unpaired,
    the items of the second are others, and ``domains.a.changed(**b)`` is the truth that a translator never sees.

    Args:
        a, b: what makes the domains, one value for each factor.
        fixed: what both share; for weights and slants choose ``{"family": COMPLETE_FAMILIES}``.
        options: ``characters`` and ``channels``; all else, and the errors, as for :func:`make`.

    Raises:
        ValueError: ``a`` and ``b`` name different factors.
    """
    if set(a) != set(b):
        raise ValueError(f"b: got {sorted(b)}, expected the factors of a, {sorted(a)}")
    first = make(n, seed, size, fixed={**(fixed or {}), **a}, **options)
    # seeds beyond 32 bits are left to the second domain
    second = first.changed(**b) if paired else make(n, seed + 2**32, size, fixed={**(fixed or {}), **b}, **options)
    return Domains(first, second, paired=paired, name="glyphs")


# --- loading --------------------------------------------------------------------------------------
def load(size: int, split: str, channels: int, limit: int | None) -> Glyphs:
    """What ``data.load("glyphs", ...)`` gives.

    The colour images of a whole split are kept in the cache, in one file for each split and size (61 MB for training at
    32x32), and made anew when the versions or this package change. With a ``limit``, only those items are made.
    """
    n = min(SPLIT_SIZES[split], limit or SPLIT_SIZES[split])
    if n < SPLIT_SIZES[split] or channels == 1:
        return make(n, SPLIT_SEEDS[split], size, channels=channels)
    factors = draw_factors(n, SPLIT_SEEDS[split])
    file = cache_root() / "glyphs" / f"{split}-{size}.bin"
    return Glyphs(kept(file, _key(factors), (n, 3, size, size), lambda: render(factors, size)), factors)


def _key(factors: Mapping[str, Tensor]) -> bytes:
    """What the images depend on besides the size: the factors, this package, and who draws."""
    import matplotlib
    import PIL
    from PIL import features

    versions = f"{PIL.__version__} {features.version('freetype2')} {matplotlib.__version__}"
    sources = (file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    parts = [versions.encode(), *sources, *(factors[name].numpy().tobytes() for name in FACTORS)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()
