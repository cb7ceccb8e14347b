"""The made world: what is drawn is what the factors say, and what is written in captions."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import PIL
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from scipy import stats

from gan_course import data
from gan_course.data import glyphs
from gan_course.data.glyphs import COMPLETE_FAMILIES, FACTORS, FONTS, VALUES, Glyphs, draw_factors, make, render, world

FACE = ("family", "weight", "slant")
SIZES = st.integers(8, 128)
SEEDS = st.integers(0, 2**64)


def coverage(ds: Glyphs) -> torch.Tensor:
    """How much of each pixel is ink, from 0 to 255: black ink on plain white tells."""
    return 255 - ds.changed(ink="black", background="white", texture="plain").x[:, :1].int()


def colors(palette: dict[str, tuple], numbers: torch.Tensor) -> torch.Tensor:
    return torch.tensor(list(palette.values()))[numbers][:, :, None, None]


# --- pixels ----------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(size=SIZES, seed=SEEDS)
def test_pixels_are_mixtures_of_the_two_colours(size, seed):
    ds = make(6, seed, size, fixed={"texture": "plain"})
    assert ds.x.shape == (6, 3, size, size) and ds.x.dtype == torch.uint8
    ink, behind = colors(glyphs.INKS, ds.factors["ink"]), colors(glyphs.BACKGROUNDS, ds.factors["background"])
    share = coverage(ds).expand(-1, 3, -1, -1)
    x, ink, behind = ds.x.int(), ink.expand(share.shape), behind.expand(share.shape)
    assert torch.equal(x[share == 255], ink[share == 255].int())
    assert torch.equal(x[share == 0], behind[share == 0].int())
    assert (x - (behind + (ink - behind) * share / 255)).abs().max() <= 0.5 + 1e-4


@settings(max_examples=25, deadline=None)
@given(
    size=SIZES,
    face=st.sampled_from(list(FONTS)),
    character=st.sampled_from(glyphs.ALLOWED),
    place=st.tuples(*[st.floats(-0.1, 0.1)] * 2),
    scale=st.sampled_from(["small", "large"]),
)
def test_glyphs_are_those_of_the_fonts(size, face, character, place, scale):
    """Against one drawn at 1,024 pixels and shrunk by PIL."""
    fixed = dict(zip(FACE, face, strict=True)) | {"x": place[0], "y": place[1], "scale": scale}
    ours = coverage(make(1, 0, size, characters=character, fixed=fixed))[0, 0].numpy() / 255
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", FONTS[face] + ".ttf")

    def drawn(text, points):
        canvas = Image.new("L", (1600, 1600))
        ImageDraw.Draw(canvas).text((400, 200), text, fill=255, font=ImageFont.truetype(str(path), points))
        return canvas.crop(canvas.getbbox())

    points = {"small": 0.48, "large": 0.64}[scale] * 1024 / drawn("H", 1000).height
    points = min(points, 0.75 * 1024 / max(drawn(character, 1000).size))
    glyph, canvas = drawn(character, round(1000 * points)), Image.new("L", (1024, 1024))
    canvas.paste(glyph, tuple(round(512 + 1024 * p - side / 2) for p, side in zip(place, glyph.size, strict=True)))
    theirs = np.asarray(canvas.resize((size, size), Image.Resampling.BOX)) / 255
    # Over 500 such cases: at most .07, at most .20, at least .94. Hinting and the grid of 1/128 make the difference.
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.1)
    assert np.abs(ours - theirs).sum() < 0.3 * theirs.sum()
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9


def luminance(rgb: torch.Tensor) -> torch.Tensor:
    """Relative luminance of sRGB colours (..., 3) in bytes, as WCAG 2 defines it."""
    c = rgb.double() / 255
    linear = torch.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return linear @ torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)


def contrast(a, b):
    a, b = a + 0.05, b + 0.05
    return torch.maximum(a / b, b / a)


def test_contrast_on_rendered_pixels():
    known = torch.tensor([[0, 0, 0], [119, 119, 119], [255, 255, 255]])
    assert contrast(*luminance(known)[[0, 2]]).item() == pytest.approx(21)
    assert contrast(*luminance(known)[[1, 2]]).item() == pytest.approx(4.478, abs=1e-3)  # a well-known near miss
    combinations = torch.tensor(list(itertools.product(range(6), range(6), range(5))))
    ds = make(180, 1, 32)
    ds = ds.changed(**dict(zip(("ink", "background", "texture"), combinations.T, strict=True)))
    share, light = coverage(ds)[:, 0], luminance(ds.x.permute(0, 2, 3, 1))
    for i in range(len(ds)):
        full, outside = light[i][share[i] == 255], light[i][share[i] == 0]
        assert len(full) >= 3  # each glyph has pixels of pure ink at this size
        assert contrast(full.max(), outside.min()) >= glyphs.MIN_CONTRAST == 4.5


def test_no_glyph_is_cut_off():
    """In every face the mass of every character is the same in a corner as in the middle."""
    faces = [[VALUES[k].index(v) for k, v in zip(FACE, face, strict=True)] for face in FONTS]
    rows = torch.tensor([[c, *face, 1] for c in range(62) for face in faces])  # 1: large
    f = draw_factors(len(rows), 0, glyphs.ALLOWED, fixed={"ink": 0, "background": 0, "texture": 0, "x": 0, "y": 0})
    f |= dict(zip(("character", *FACE, "scale"), rows.T, strict=True))

    def masses(size, **moved):
        moved = {k: torch.full((len(rows),), v) for k, v in moved.items()}
        return (255 - render(f | moved, size, characters=glyphs.ALLOWED, channels=1).double()).sum((1, 2, 3)) / 255

    middle = masses(32)
    assert middle.min() > 10
    for corner in ({"x": 0.1, "y": -0.1}, {"x": -0.1, "y": 0.1}):
        assert (masses(32, **corner) / middle - 1).abs().max() < 0.01
    assert (masses(8, x=0.1, y=0.1) / masses(8) - 1).abs().max() < 0.03


@settings(max_examples=20, deadline=None)
@given(size=st.integers(16, 128), seed=SEEDS, by=st.tuples(*[st.floats(-0.1, 0.1)] * 2))
def test_positions_move_the_centroid(size, seed, by):
    ds = make(4, seed, size, fixed={"x": 0, "y": 0})
    moved = ds.changed(x=by[0], y=by[1])

    def centroid(ds):
        share = coverage(ds)[:, 0].double()
        place = (torch.arange(size) + 0.5) / size
        return torch.stack([(share.sum(1) * place).sum(1), (share.sum(2) * place).sum(1)]) / share.sum((1, 2))

    shift = centroid(moved) - centroid(ds)
    # Places lie on a grid of 1/128; and the centroid of whole pixels wanders where a stroke is thinner than they are.
    assert (shift - torch.tensor(by)[:, None]).abs().max() < 1.2 / 128 + 0.4 / size


def test_scale_and_box():
    """Capitals have the same height in all faces; a W of a wide face is made to fit."""
    ds = make(300, 0, 64, characters="EW", fixed={"character": "E", "x": 0, "y": 0})
    heights = (coverage(ds)[:, 0] > 127).any(2).sum(1)
    for scale, height in (("small", 0.48), ("large", 0.64)):
        found = heights[ds.factors["scale"] == VALUES["scale"].index(scale)]
        assert (found - height * 64).abs().max() <= 1.5  # of a position between the pixels
    wide = coverage(ds.changed(character="W", scale="large"))[:, 0] > 127
    assert 46 <= wide.any(1).sum(1).max() <= 0.75 * 64


def test_the_same_items_at_another_size():
    ds = make(50, 2, 64)
    small = render(ds.factors, 32)
    shrunk = F.avg_pool2d(ds.x.float(), 2)
    plain = ds.factors["texture"] == 0
    assert plain.sum() > 3 and (small - shrunk)[plain].abs().mean() < 3


def test_textures():
    base = make(40, 3, 32, fixed={"background": "white", "ink": "black"})
    outside = coverage(base)[:, 0] == 0
    counts = {}
    for texture in VALUES["texture"]:
        x = base.changed(texture=texture).x
        assert (x[:, :1] == x).all()  # white and its darker tones are grey
        tones = x[:, 0][outside]
        assert tones.min() >= 229 and tones.max() <= 255
        counts[texture] = len(tones.unique())
        if texture != "plain":
            assert (tones < 255).float().mean() > 0.2 and tones.min() == 230
    assert counts.pop("plain") == 1 and counts.pop("noisy") > 20 and set(counts.values()) == {2}
    moved = base.changed(texture="noisy", texture_x=0.25, texture_y=0.5), base.changed(texture="noisy", texture_x=0.5)
    seen = [ds.changed(texture_y=0.5).x[0, 0].int() for ds in moved]
    both = outside[0][:, 8:] & outside[0][:, :-8]  # a quarter of the side is 8 pixels
    assert torch.equal(seen[0][:, 8:][both], seen[1][:, :-8][both])
    assert not torch.equal(seen[0][outside[0]], seen[1][outside[0]])


def test_grey_is_what_pil_makes_of_the_colours():
    ds = make(30, 4, 32)
    grey = make(30, 4, 32, channels=1)
    assert grey.shape == (1, 32, 32) and torch.equal(grey.factors["ink"], ds.factors["ink"])
    pil = np.stack([np.asarray(Image.fromarray(x.permute(1, 2, 0).numpy()).convert("L")) for x in ds.x])
    assert (grey.x[:, 0].int() - torch.from_numpy(pil).int()).abs().max() <= 2
    assert grey.changed(ink="red").shape == (1, 32, 32)


# --- factors ---------------------------------------------------------------------------------


def test_factors_are_uniform_and_independent():
    n = 20_000
    f = {k: v.numpy() for k, v in draw_factors(n, 0).items()}
    assert list(f) == FACTORS
    table = {face: i for i, face in enumerate(glyphs.FACES)}
    f["face"] = np.array([table[face] for face in zip(*(f.pop(k).tolist() for k in FACE), strict=True)])
    discrete = {"character": 10, "face": 21, "scale": 2, "ink": 6, "background": 6, "texture": 5}
    for name, k in discrete.items():
        assert stats.chisquare(np.bincount(f[name], minlength=k)).pvalue > 1e-3, name
    for a, b in itertools.combinations(discrete, 2):
        assert stats.chi2_contingency(stats.contingency.crosstab(f[a], f[b]).count).pvalue > 1e-3, (a, b)
    places = ["x", "y", "texture_x", "texture_y"]
    for name in places:
        low, high = glyphs.RANGES[name]
        assert stats.kstest(f[name], "uniform", (low, high - low)).pvalue > 1e-3
        for other in [*discrete, *places]:
            assert other == name or abs(stats.spearmanr(f[name], f[other]).statistic) < 4 / n**0.5


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, n=st.integers(1, 40), more=st.integers(0, 40), name=st.sampled_from(list(VALUES)))
def test_draws_depend_on_seed_and_place_only(seed, n, more, name):
    few, many = draw_factors(n, seed), draw_factors(n + more, seed)
    assert all(torch.equal(few[k], many[k][:n]) for k in FACTORS)
    fixed = draw_factors(n, seed, fixed={name: 0})
    assert (fixed[name] == 0).all()
    drawn_together = FACE if name in FACE else [name]
    assert all(torch.equal(few[k], fixed[k]) for k in FACTORS if k not in drawn_together)
    assert set(zip(*(fixed[k].tolist() for k in FACE), strict=True)) <= set(glyphs.FACES)
    other = draw_factors(n, seed + 1)
    assert not torch.equal(few["x"], other["x"])


def test_fixed_values_by_number_name_or_several():
    assert (draw_factors(50, 0, fixed={"ink": "red"})["ink"] == 1).all()
    assert (draw_factors(50, 0, fixed={"character": "C", "x": 0.05})["character"] == 2).all()
    some = draw_factors(500, 0, fixed={"family": COMPLETE_FAMILIES, "slant": 1, "ink": ["red", 3]})
    assert set(some["family"].tolist()) == {0, 1, 2, 3} and set(some["ink"].tolist()) == {1, 3}
    assert set(some["weight"].tolist()) == {0, 1} and (some["slant"] == 1).all()
    for family in COMPLETE_FAMILIES:
        assert all((family, w, s) in FONTS for w in VALUES["weight"] for s in VALUES["slant"])


def test_the_generators_of_others_are_left_alone():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    make(5, 0)
    assert torch.equal(torch.get_rng_state(), states[0]) and (np.random.get_state()[1] == states[1]).all()


DIGEST = "hashlib.sha256(ds.x.numpy().tobytes() + ''.join(ds.captions(3)).encode()).hexdigest()"


def test_another_process_draws_the_same(root):
    code = f"import hashlib; from gan_course.data.glyphs import make; ds = make(40, 7, 24); print({DIGEST})"
    env = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [eval(DIGEST, {"hashlib": hashlib, "ds": make(40, 7, 24)})]


# --- Glyphs ----------------------------------------------------------------------------------


def test_labels_and_names():
    ds = make(20, 0, 16, characters="x7Q")
    assert isinstance(ds, data.DataSet) and ds.classes == ["x", "7", "Q"] and ds.name == "glyphs"
    assert torch.equal(ds.labels, ds.factors["character"]) and ds.labels.max() <= 2
    assert set(ds.values) == set(FACTORS) - set(glyphs.RANGES)
    assert all(ds.factors[k].dtype == torch.int64 for k in ds.values)
    assert all(ds.factors[k].dtype == torch.float32 for k in glyphs.RANGES)
    moved = ds.to("cpu")
    assert isinstance(moved, Glyphs) and torch.equal(moved.x, ds.x) and moved.classes == ds.classes
    assert all(torch.equal(moved.factors[k], ds.factors[k]) for k in FACTORS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_the_gpu():
    ds = make(20, 0, 16, fixed={"family": 0}).to("cuda")
    assert ds.x.is_cuda and all(v.is_cuda for v in ds.factors.values())
    italic = ds.changed(slant="italic")
    assert italic.x.is_cuda and torch.equal(italic.x.cpu(), ds.to("cpu").changed(slant="italic").x)
    assert torch.equal(glyphs.measured_colors(ds.images())["ink"], ds.factors["ink"])


def test_changed_gives_the_partner_and_nothing_else():
    upright = make(60, 5, 32, fixed={"slant": "upright", "family": COMPLETE_FAMILIES})
    italic = upright.changed(slant="italic")
    assert torch.equal(italic.labels, upright.labels) and (italic.factors["slant"] == 1).all()
    assert all(torch.equal(italic.factors[k], upright.factors[k]) for k in FACTORS if k != "slant")
    assert (italic.x != upright.x).flatten(1).any(1).all()
    assert torch.equal(italic.changed(slant=0).x, upright.x) and torch.equal(upright.changed().x, upright.x)
    # an italic stem leans to the right: the upper half of an I has its mass further right than the lower half
    letter = upright.changed(character="I", slant="italic", x=0, y=0)
    columns = (coverage(letter)[:, 0] * (torch.arange(32) + 0.5)).double()
    share = coverage(letter)[:, 0].double()
    upper, lower = (columns[:, rows].sum((1, 2)) / share[:, rows].sum((1, 2)) for rows in (slice(16), slice(16, 32)))
    assert (upper - lower > 0.5).all()
    # a bold glyph has more ink
    bold = upright.changed(weight=1)
    regular = upright.changed(weight=0)
    assert (coverage(bold).sum((1, 2, 3)) > 1.15 * coverage(regular).sum((1, 2, 3))).all()
    inks = torch.arange(60) % 6
    assert torch.equal(upright.changed(ink=inks).factors["ink"], inks)
    assert torch.equal(coverage(upright.changed(ink=inks)), coverage(upright))


def test_a_face_that_does_not_exist():
    ds = make(200, 0, 8)
    few = int((ds.factors["family"] > 3).sum())
    with pytest.raises(ValueError, match=r"^factors: \d+ of 200 items have no font face .*Computer Modern.*italic"):
        ds.changed(slant="italic", weight="bold")
    with pytest.raises(ValueError, match=rf"^factors: {few} of 200"):
        ds.changed(slant=1, weight=1)
    with pytest.raises(ValueError, match="^fixed: got .*'Computer Modern Sans'.*at least one face that exists"):
        make(5, 0, fixed={"family": "Computer Modern Sans", "weight": "bold"})


GOOD = draw_factors(4, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make(0, 0), "n: got 0, expected a whole number of at least 1"),
        (lambda: make(3, -1), "seed: got -1"),
        (lambda: make(3, 0.5), "seed: got 0.5"),
        (lambda: make(3, 0, 7), "size: got 7, expected a whole number from 8 to 256"),
        (lambda: make(3, 0, 257), "size: got 257"),
        (lambda: make(3, 0, True), "size: got True"),
        (lambda: make(3, 0, channels=2), "channels: got 2"),
        (lambda: make(3, 0, characters=""), "characters: got ''"),
        (lambda: make(3, 0, characters="AA"), "characters: got 'AA'"),
        (lambda: make(3, 0, characters="A<"), "characters: got 'A<'"),
        (lambda: make(3, 0, characters="é"), "characters: got 'é'"),
        (lambda: make(3, 0, fixed={"colour": 1}), "unknown factor 'colour'"),
        (lambda: make(3, 0, fixed={"ink": "rde"}), "unknown ink 'rde'.*Did you mean 'red'"),
        (lambda: make(3, 0, fixed={"ink": 6}), "ink: got 6, expected a whole number from 0 to 5"),
        (lambda: make(3, 0, fixed={"x": 0.2}), "x: got 0.2, expected a number from -0.1 to 0.1"),
        (lambda: make(3, 0, fixed={"x": [0.0, 0.1]}), "fixed: got .* for 'x', expected one value"),
        (lambda: make(3, 0, fixed={"ink": []}), r"fixed: got \[\] for 'ink'"),
        (lambda: make(3, 0).changed(character="K"), "unknown character 'K'"),
        (lambda: make(3, 0).changed(slant=2), "slant: got 2"),
        (lambda: make(3, 0).changed(ink=torch.tensor([0, 1])), r"ink: got torch.int64 \(2,\), expected .* \(3,"),
        (lambda: make(3, 0).changed(ink=torch.tensor([0, 1, 6])), "ink: got 0 to 6, expected 0 to 5"),
        (lambda: make(3, 0).changed(ink=torch.zeros(3)), "ink: got torch.float32"),
        (lambda: make(3, 0).changed(x=torch.full((3,), float("nan"))), "x: got nan to nan"),
        (lambda: render({k: GOOD[k] for k in FACTORS[:-2]}, 32), "factors: got none for texture_x, texture_y"),
        (lambda: render(GOOD | {"hue": GOOD["ink"]}, 32), "unknown factor 'hue'"),
        (lambda: render(GOOD | {"ink": GOOD["ink"][:3]}, 32), r"ink: got torch.int64 \(3,\), expected .*\(4,\)"),
        (lambda: render(GOOD | {"ink": [0, 0, 0, 0]}, 32), "ink: got list"),
        (lambda: render(GOOD | {"character": GOOD["character"] + 9}, 32), "character: got .*expected 0 to 9"),
        (lambda: render({k: v[:0] for k, v in GOOD.items()}, 32), "character: got nothing"),
    ],
)  # fmt: skip
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_domains():
    shared = {"family": COMPLETE_FAMILIES}
    change = {"a": {"slant": "upright"}, "b": {"slant": "italic"}}
    pairs = glyphs.domains(30, 0, 16, **change, paired=True, fixed=shared)
    assert pairs.shape == (2, 3, 16, 16) and torch.equal(pairs.b.x, pairs.a.changed(slant=1).x)
    apart = glyphs.domains(30, 0, 16, **change, paired=False, fixed=shared, characters="AB", channels=1)
    assert not apart.paired and apart.shape == (2, 1, 16, 16) and apart.b.classes == ["A", "B"]
    assert (apart.a.factors["slant"] == 0).all() and (apart.b.factors["slant"] == 1).all()
    assert not set(apart.a.factors["x"].tolist()) & set(apart.b.factors["x"].tolist())
    assert (apart.b.factors["family"] < 4).all()
    with pytest.raises(ValueError, match=r"^b: got \['ink'\], expected the factors of a, \['slant'\]"):
        glyphs.domains(3, 0, a={"slant": 0}, b={"ink": 0}, paired=True)


# --- captions --------------------------------------------------------------------------------


def test_captions_say_what_is_there():
    ds = make(1500, 6, 8)
    style = glyphs.STYLE_OF_FAMILY[ds.factors["family"]]
    truth = {k: v.tolist() for k, v in ds.factors.items()} | {"style": style.tolist()}
    always, optional = {"character", "ink", "background"}, {"scale", "weight", "slant", "texture", "style"}
    said = []
    for i, caption in enumerate(ds.captions(1)):
        found = glyphs.parse(caption)
        assert always <= set(found) and all(truth[k][i] == v for k, v in found.items())
        said.append([k in found for k in sorted(optional)] + [caption.startswith("on ")])
        assert " a italic" not in f" {caption}" and " an red" not in f" {caption}"
    assert np.abs(np.mean(said, 0) - 0.5).max() < 0.06  # 4.6 standard errors
    for i, caption in enumerate(ds.captions(None)):
        found = glyphs.parse(caption)
        assert set(found) == always | optional and all(truth[k][i] == v for k, v in found.items())
    assert ds.captions(1) == ds.captions(1) != ds.captions(2)


def test_a_caption_word_for_word():
    names = {"family": "STIX General", "weight": "bold", "slant": "italic", "scale": "small", "ink": "red"}
    ds = make(1, 0, 8, fixed={**names, "character": "B", "background": "orange", "texture": "checked"})
    assert ds.captions(None) == ["a small bold italic red B in a serif font on a checked orange background"]
    found = glyphs.parse("on an orange background an italic red B")
    assert found == {"character": 1, "ink": 1, "background": 5, "slant": 1}
    assert glyphs.STYLE_NAMES[glyphs.STYLE_OF_FAMILY[VALUES["family"].index("Computer Modern Typewriter")]] == "mono"


@pytest.mark.parametrize(
    "caption",
    ["", "a red A", "a red bold A on a pink background", "a red K on a pink background", "a red A on a red one"],
)
def test_other_sentences_are_refused(caption):
    with pytest.raises(ValueError, match="^caption: got .*expected 'a ") as caught:
        glyphs.parse(caption)
    assert "\n" not in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(characters=st.text("abcxyzABC019", min_size=1, max_size=6).filter(lambda s: len(set(s)) == len(s)), seed=SEEDS)
def test_tokens_tell_the_words(characters, seed):
    """Also for characters that look like an article."""
    ds = make(20, seed % 2**32, 8, characters=characters)
    captions, words = ds.captions(seed), glyphs.vocabulary(characters)
    got = glyphs.tokens(captions, words)
    assert got.shape == (20, glyphs.CAPTION_LENGTH) and got.dtype == torch.int64
    assert len(set(words)) == len(words)
    for row, caption, character in zip(got.tolist(), captions, ds.labels.tolist(), strict=True):
        said = [words[i] for i in row if i]
        assert row[len(said) :] == [0] * (len(row) - len(said))
        rest = caption.split()
        for word in said:  # the words in their order, and only articles between them
            while rest[0] != word:
                assert rest.pop(0) in ("a", "an")
            rest.pop(0)
        assert not rest and said.count(characters[character]) == 1
        assert glyphs.parse(caption, characters)["character"] == character


def test_captioned():
    ds = make(50, 0, 16)
    labelled = ds.captioned()
    assert labelled.classes == glyphs.VOCABULARY and torch.equal(labelled.x, ds.x)
    assert torch.equal(labelled.labels, glyphs.tokens(ds.captions()))
    full = glyphs.tokens(ds.captions(None))
    assert (full > 0).all()  # the longest caption fills the length
    with pytest.raises(ValueError, match="unknown word 'reb'.*Did you mean 'red'"):
        glyphs.tokens(["a reb A on a pink background"])
    with pytest.raises(ValueError, match="^captions: got .*at most 12 words"):
        glyphs.tokens(["red " * 13])
    assert glyphs.tokens([]).shape == (0, 12)


# --- reading the pixels ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_colours_are_read_from_the_pixels(size):
    ds = make(600 if size < 64 else 200, 8, size, characters=glyphs.ALLOWED)
    for images in (ds.x, ds.images()):
        found = glyphs.measured_colors(images)
        for name in ("ink", "background"):
            assert found[name].dtype == torch.int64
            assert (found[name] == ds.factors[name]).double().mean() >= 0.99
    if size == 32:  # as a generator might draw
        rough = ds.images() + 0.08 * torch.randn(ds.x.shape, generator=torch.Generator().manual_seed(0))
        found = glyphs.measured_colors(F.avg_pool2d(rough, 3, 1, 1, count_include_pad=False).clamp(-1, 1))
        assert all((found[k] == ds.factors[k]).double().mean() >= 0.98 for k in found)


@pytest.mark.parametrize("images", [torch.zeros(2, 1, 8, 8), torch.zeros(3, 8, 8), torch.zeros(0, 3, 8, 8), None])
def test_only_colour_images_have_colours(images):
    with pytest.raises(ValueError, match="^images: got .*expected colour images"):
        glyphs.measured_colors(images)


# --- loading ---------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(world, "SPLIT_SIZES", {"train": 60, "test": 20})
    return tmp_path / "cache" / "glyphs"


def drawn_again(monkeypatch) -> list[int]:
    """A list that grows with each call of render."""
    calls = []
    monkeypatch.setattr(world, "render", lambda *a, **k: calls.append(1) or render(*a, **k))
    return calls


def test_load_keeps_the_images(cache, monkeypatch):
    train, test = data.load("glyphs"), data.load("glyphs", split="test", size=16)
    assert isinstance(train, Glyphs) and train.shape == (3, 32, 32) and len(train) == 60
    assert test.shape == (3, 16, 16) and len(test) == 20 and test.classes == list("ABCDEFGHIJ")
    assert not set(train.factors["x"].tolist()) & set(test.factors["x"].tolist())
    assert {f.name for f in cache.iterdir()} == {"train-32.bin", "test-16.bin"}
    calls = drawn_again(monkeypatch)
    again = data.load("glyphs", device="cpu")
    assert not calls and torch.equal(again.x, train.x) and torch.equal(again.x, render(again.factors, 32))
    assert torch.equal(again.labels, train.labels)
    again.x.zero_()  # what is done to one does not reach the file
    assert torch.equal(data.load("glyphs").x, train.x)
    monkeypatch.setattr(PIL, "__version__", "0.0")
    data.load("glyphs")
    assert calls == [1] and {f.name for f in cache.iterdir()} == {"train-32.bin", "test-16.bin"}


def test_load_of_a_part_or_in_grey_keeps_nothing(cache):
    few = data.load("glyphs", size=16, limit=7, split="test")
    grey = data.load("glyphs", size=16, channels=1, split="test")
    assert not cache.exists() and len(few) == 7 and grey.shape == (1, 16, 16)
    whole = data.load("glyphs", size=16, split="test", limit=20)
    assert torch.equal(few.x, whole.x[:7]) and torch.equal(few.factors["y"], whole.factors["y"][:7])
    assert torch.equal(grey.factors["ink"], whole.factors["ink"])
    with pytest.raises(ValueError, match="^size: got 4, expected a whole number from 8 to 256"):
        data.load("glyphs", size=4)
    with pytest.raises(ValueError, match="unknown data set 'glyph'.*Did you mean 'glyphs'"):
        data.load("glyph")


DAMAGE = {
    "truncated": lambda raw: raw[:-5],
    "empty": lambda raw: b"",
    "longer": lambda raw: raw + b"x",
    "one byte": lambda raw: raw[:5000] + bytes([raw[5000] ^ 1]) + raw[5001:],
    "other factors": lambda raw: b"x" + raw[1:],
    "text": lambda raw: b"text",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_made_anew(cache, kind):
    want = data.load("glyphs", size=16)
    file = cache / "train-16.bin"
    raw = file.read_bytes()
    file.write_bytes(DAMAGE[kind](raw))
    assert torch.equal(data.load("glyphs", size=16).x, want.x) and file.read_bytes() == raw
    assert list(cache.iterdir()) == [file]


def test_a_cache_that_cannot_be_written(cache):
    cache.parent.write_text("a file where the folder should be")
    assert torch.equal(data.load("glyphs", size=8).x, make(60, 0, 8).x)
    cache.parent.unlink()
    (cache / "train-8.bin").mkdir(parents=True)  # it can be neither read nor replaced
    assert len(data.load("glyphs", size=8)) == 60 and [f.name for f in cache.iterdir()] == ["train-8.bin"]


def test_the_sizes_of_the_real_splits(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path))
    assert glyphs.SPLIT_SIZES["train"] == 20_000
    assert len(data.load("glyphs", size=8, split="test")) == 2000
