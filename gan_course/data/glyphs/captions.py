"""Sentences about glyphs: made from factors, turned into word numbers, and read again."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from gan_course.data.glyphs.factors import BACKGROUNDS, CHARACTERS, INKS, STYLE_NAMES, STYLES, VALUES, uniforms
from gan_course.errors import unknown

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

    Keys: ``character``, ``ink``, ``background``; where they are said, ``scale``, ``weight``, ``slant``, ``texture`` and
    ``style``, a position in :data:`STYLE_NAMES` (``STYLE_OF_FAMILY[family]`` gives that of a family).

    Raises:
        ValueError: the caption does not follow the grammar; shows it.
    """
    values = {"character": list(characters), **VALUES, "style": STYLE_NAMES}
    for pattern in _sentences(characters):
        if match := pattern.fullmatch(caption):
            return {name: values[name].index(word) for name, word in match.groupdict().items() if word}
    raise ValueError(
        f"caption: got {caption!r}, expected 'a [scale] [weight] [slant] INK CHARACTER [in a style font] on a [texture]"
        " BACKGROUND background', or what comes from 'on' first"
    )


@functools.lru_cache(maxsize=8)
def _sentences(characters: str) -> list[re.Pattern]:
    def one(name: str, words: Sequence[str]) -> str:
        return f"(?P<{name}>{'|'.join(words)})"

    adjectives = "".join(f"({one(name, VALUES[name])} )?" for name in ("scale", "weight", "slant"))
    glyph = f"an? {adjectives}{one('ink', INKS)} {one('character', characters)}"
    glyph += f"( in an? {one('style', STYLE_NAMES)} font)?"
    behind = f"on an? ({one('texture', VALUES['texture'])} )?{one('background', BACKGROUNDS)} background"
    return [re.compile(f"{glyph} {behind}"), re.compile(f"{behind} {glyph}")]


def sentences(factors: Mapping[str, Tensor], characters: str, seed: int | None) -> list[str]:
    """A caption for each item, as :meth:`gan_course.data.glyphs.world.Glyphs.captions` describes them."""
    values = {"character": list(characters), **VALUES}
    f = {k: [values[k][i] for i in v.tolist()] for k, v in factors.items() if k in values}
    n = len(f["character"])
    said = np.arange(6) < np.full((n, 1), 5) if seed is None else uniforms(n, 6, seed) < 0.5
    found = []
    for i in range(n):
        scale, weight, slant, texture, style = said[i, :5]
        words = [f[k][i] for k, say in (("scale", scale), ("weight", weight), ("slant", slant)) if say]
        glyph = _a(" ".join([*words, f["ink"][i], f["character"][i]]))
        glyph += f" in {_a(STYLES[f['family'][i]])} font" if style else ""
        behind = "on " + _a((f["texture"][i] + " " if texture else "") + f["background"][i] + " background")
        found.append(f"{behind} {glyph}" if said[i, 5] else f"{glyph} {behind}")
    return found


def _a(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _words(caption: str) -> list[str]:
    """Without articles; the character that comes after the ink is kept, be it an a."""
    words = caption.split()
    return [w for i, w in enumerate(words) if w not in ("a", "an") or (i and words[i - 1] in INKS)]
