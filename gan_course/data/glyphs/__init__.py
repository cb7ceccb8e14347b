"""The made world of coloured characters; :mod:`gan_course.data.glyphs.world` describes it."""

from gan_course.data.glyphs.captions import CAPTION_LENGTH, PADDING, VOCABULARY, parse, tokens, vocabulary
from gan_course.data.glyphs.drawing import MIN_CONTRAST, measured_colors, render
from gan_course.data.glyphs.factors import (
    ALLOWED,
    BACKGROUNDS,
    CHARACTERS,
    COMPLETE_FAMILIES,
    FACES,
    FACTORS,
    FONTS,
    INKS,
    RANGES,
    STYLE_NAMES,
    STYLE_OF_FAMILY,
    VALUES,
    draw_factors,
)
from gan_course.data.glyphs.world import SPLIT_SEEDS, SPLIT_SIZES, Glyphs, domains, load, make
