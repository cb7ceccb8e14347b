"""What the extensions of the book do to its pages, on small ones; the built pages are tried in test_book_html.py."""

from __future__ import annotations

import base64
import io
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "book" / "_ext"))
formulas = pytest.importorskip("formulas", reason="mini-racer is not installed")
light_pages = pytest.importorskip("light_pages")
search_texts = pytest.importorskip("search_texts")


def picture(width: int, height: int, dpi: int | None = None) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 80).save(file, "png", **({"dpi": (dpi, dpi)} if dpi else {}))
    return file.getvalue()


def test_formula_becomes_html_and_mathml_with_its_own_number() -> None:
    markup = formulas.typeset(r"\min_G \max_D V \\ = 0 \tag{7}", True)
    assert markup.count("<math") == 1 and 'class="katex-tag"' in markup and "7" in markup
    assert formulas.typeset("x", False).startswith('<span class="katex">')


def test_lines_of_formulas_break_between_brackets_first() -> None:
    def boxes(formula: str, display: bool) -> list[str]:
        """What is said in each box, in the order of their ends."""
        reader = Boxes()
        reader.feed(formulas.typeset(formula, display))
        reader.close()
        assert reader.open == []
        return reader.texts

    for display in (True, False):
        assert boxes("a + b = c", display) == []
        assert boxes("V = E[f(x) + 1] + E[g(1 - h(z))]", display) == ["E[f(x)+1]+", "E[g(1−h(z))]"]
        assert boxes(r"\left(a + b\right) + [0, 1) + (", display) == ["("]
        assert boxes(r"(a + b", display) == ["(a+b"]
    assert boxes(r"(a \\ + b) \tag{2}", True) == ["(a+b)"]
    # Neighbouring brackets are one element of KaTeX's; the number stands outside of all boxes.
    assert boxes(r"a = \lvert b + f(c) \rvert . \tag{3}", True) == ["∣b+f(c)∣."]


class Boxes(HTMLParser):
    """Collects the text of each span that keeps brackets together."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        kind = dict(attributes).get("class")
        self.open.append((tag, kind))
        if kind == "gan-brackets":
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if any(kind == "gan-brackets" for _, kind in self.open):
            self.texts[-1] += data.replace("\u200b", "")


def test_formula_that_is_not_understood_is_named() -> None:
    with pytest.raises(ValueError, match=r"Undefined control sequence: \\nonsense"):
        formulas.typeset(r"x + \nonsense{y}", False)


@pytest.mark.parametrize(
    ("dpi", "size"), [(None, (900, 300)), (72, (900, 300)), (100, (900, 300)), (200, (450, 150)), (300, (300, 100))]
)
def test_sharp_figures_keep_their_size(tmp_path: Path, dpi: int | None, size: tuple[int, int]) -> None:
    (tmp_path / "a.png").write_bytes(picture(900, 300, dpi))
    assert light_pages.natural_size(tmp_path / "a.png") == size


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="360pt" height="216.75pt"', (480, 289)),
        ('width="7in" height="20px"', (672, 20)),
        ('width="100%" viewBox="0 0 64 32"', (64, 32)),
    ],
)
def test_size_of_drawings(tmp_path: Path, attributes: str, size: tuple[int, int]) -> None:
    (tmp_path / "a.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}/>', encoding="utf-8")
    assert light_pages.natural_size(tmp_path / "a.svg") == size


def test_images_get_size_and_wait_and_wide_ones_a_box(tmp_path: Path) -> None:
    for name, width in (("wide", 700), ("small", 300)):
        (tmp_path / f"{name}.png").write_bytes(picture(width, 100))
    config = SimpleNamespace(html_static_path=["static"])
    images = {"wide.png": "0a.png", "small.png": "0b.png"}
    builder = SimpleNamespace(srcdir=tmp_path, confdir=tmp_path, images=images, config=config)
    page = (
        '<img src="logo.png"><article class="x"><img alt="a" src="../_images/0a.png" /><img src="../_images/0b.png" />'
        '<img src="data:image/png;base64,AA" width="3" height="4"></article><img src="last.png">'
    )
    waits = 'loading="lazy" decoding="async"'
    assert light_pages.lazy_images(page, builder, "book") == (
        f'<img src="logo.png"><article class="x"><span class="gan-wide"><img {waits} width="700" height="100" alt="a" '
        f'src="../_images/0a.png" /></span><img {waits} width="300" height="100" src="../_images/0b.png" />'
        f'<img {waits} src="data:image/png;base64,AA" width="3" height="4"></article><img src="last.png">'
    )


def test_pictures_in_the_page_become_files_equal_ones_once(tmp_path: Path) -> None:
    first, second = picture(60, 40), picture(60, 41)
    uris = ["data:image/png;base64," + base64.b64encode(content).decode() for content in (first, second, first)]
    text = f'<img src="{uris[0]}"> ["{uris[1]}","{uris[2]}"] {uris[0][:200]}'
    page = light_pages.data_to_files(text, tmp_path, "a/b")
    files = sorted((tmp_path / "_images").iterdir())
    assert sorted(file.read_bytes() for file in files) == sorted([first, second])
    assert page.count("../../_images/") == 3 and page.endswith(uris[0][:200])  # a short one stays


def test_search_reads_the_words_of_each_section(tmp_path: Path) -> None:
    formulas = nodes.math("", "x"), nodes.Text(" and "), nodes.math("", r"\\hat x"), nodes.Text(" below")
    inner = nodes.section("", nodes.title("", "Inner"), nodes.paragraph("", "", *formulas), ids=["inner"])
    code = nodes.literal_block("", "import torch")
    outer = nodes.section("", nodes.title("", "Outer"), nodes.paragraph("", "some  words"), code, inner, ids=["outer"])
    document = nodes.document(None, None, "", outer)
    app = SimpleNamespace(env=SimpleNamespace(docname="page"))
    search_texts.read(app, document)
    assert app.env.search_texts == {"page": [["outer", "some words"], ["inner", "x and below"]]}
    search_texts.write(SimpleNamespace(env=app.env, builder=SimpleNamespace(format="html"), outdir=tmp_path), None)
    written = (tmp_path / "_static" / "search_texts" / "page.js").read_text(encoding="utf-8")
    assert written.endswith('["page"] = [["outer","some words"],["inner","x and below"]];\n')
    search_texts.forget(app, app.env, "page")
    assert app.env.search_texts == {}
