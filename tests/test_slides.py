"""Slides of the chapters: what must be on them, what must not, and how they look in a browser without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

bs4 = pytest.importorskip("bs4", reason="beautifulsoup4 is not installed: it comes with nbconvert")
slides = pytest.importorskip("tools.slides", reason="what builds the book is not installed")

ROOT = Path(__file__).resolve().parent.parent
SIZE = {"width": 1280, "height": 720}
TALKS = ["vanilla_gan", "evaluation", "distances"]  # opened in a browser: text and formulas, wide tables, widgets
DETAILS = re.compile(r"<details>(.*?)</details>", re.S)
PNG = re.compile(r'<img src="data:image/png;base64,([^"]+)"')


def notebooks() -> list[Path]:
    """The notebooks of _toc.yml."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = [ROOT / f"{entry['file']}.ipynb" for part in toc["parts"] for entry in part["chapters"]]
    return [path for path in pages if path.is_file()]


@dataclass
class Made:
    """A chapter and the deck that was made of it."""

    notebook: nbformat.NotebookNode
    path: Path

    @cached_property
    def page(self) -> Any:
        return bs4.BeautifulSoup(self.path.read_text(encoding="utf-8"), "html.parser")

    @cached_property
    def shown(self) -> Any:
        """The slides without what only the speaker sees."""
        shown = bs4.BeautifulSoup(str(self.page.select_one(".slides")), "html.parser")
        for notes in shown.select("aside.notes"):
            notes.decompose()
        return shown

    @property
    def all_slides(self) -> list[Any]:
        return self.shown.select("section section")

    def told(self) -> list[nbformat.NotebookNode]:
        """The cells before the exercises."""
        cells = []
        for cell in self.notebook.cells:
            if cell.cell_type == "markdown" and re.search(r"^## Exercises", cell.source, re.M):
                break
            cells.append(cell)
        return cells


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slides")


@pytest.fixture(scope="module", params=notebooks(), ids=lambda path: path.stem)
def made(request: pytest.FixtureRequest, folder: Path) -> Made:
    return Made(nbformat.read(request.param, as_version=4), slides.make(request.param, folder))


def plain(text: str) -> str:
    return " ".join(text.split())


def secrets(notebook: nbformat.NotebookNode) -> list[str]:
    """Pieces of hints, solutions and checks that occur nowhere else in the chapter."""
    hidden, rest = [], []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            hidden += [piece for text in DETAILS.findall(cell.source) for piece in re.split(r"[$*`\[\]\n<>\\]+", text)]
            rest.append(DETAILS.sub("", cell.source))
        elif re.match(r"# @title (Solution|Check)", cell.source):
            hidden += cell.source.splitlines()[1:]
        else:
            rest.append(cell.source)
    visible = plain(" ".join(rest))
    pieces = [plain(piece) for piece in hidden]
    return [piece for piece in pieces if len(piece) > 24 and piece not in visible]


def leaks(made: Made) -> list[str]:
    """What of the solutions is in the deck, the speaker's notes included."""
    text = plain(made.page.select_one(".slides").get_text())
    return [piece for piece in secrets(made.notebook) if piece in text]


def test_deck_is_a_deck(made: Made) -> None:
    assert made.path.stat().st_size < 6_000_000
    assert len(made.all_slides) >= 10
    for heading in made.shown.select("h1, h2"):
        assert heading.get_text(strip=True)
    first, last = made.all_slides[0].get_text(), made.all_slides[-1]
    assert "Generative Adversarial Networks" in first
    assert made.all_slides[0].select_one(f"a[href$='{made.path.stem}.ipynb']")
    assert last.select_one("a[href='https://creativecommons.org/licenses/by/4.0/']")


def test_nothing_comes_from_elsewhere(made: Made) -> None:
    for element in made.page.select("[src]"):
        assert element["src"].startswith("data:"), str(element)[:200]
    assert made.page.select("link, iframe, object, script[src]") == []
    for style in made.page.select("style"):
        assert set(re.findall(r"url\(['\"]?(\w+):", style.string)) <= {"data"}
        assert "@import" not in style.string
    for link in made.page.select("a[href]"):
        assert re.match(r"https?://", link["href"]), link  # works from wherever the file lies


def test_headings_are_on_slides(made: Made) -> None:
    titles = {plain(heading.get_text()) for heading in made.shown.select("h1, h2, p.section")}
    text = "\n".join(cell.source for cell in made.told() if cell.cell_type == "markdown")
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    for heading in re.findall(r"^##? (.+)$", text, re.M):
        if "$" not in heading:
            assert re.sub("[`*]", "", heading) in titles


def test_figures_are_on_slides(made: Made) -> None:
    expected = 0
    sources = {image["src"] for image in made.shown.select("figure img")}
    for cell in made.told():
        if cell.cell_type == "code" and "hide-cell" not in cell.metadata.get("tags", []):
            for data in (output.get("data", {}) for output in cell.outputs):
                pictures = [data[kind] for kind in ("image/svg+xml", "image/png") if kind in data]
                pictures += PNG.findall(data.get("text/html", ""))
                for kind, picture in (("svg+xml", p) if p.lstrip().startswith("<") else ("png", p) for p in pictures):
                    expected += 1
                    assert slides.data_uri({f"image/{kind}": picture}) in sources, cell.source[:80]
    assert expected >= 3 and len(made.shown.select("figure img")) == expected
    for image in made.shown.select("figure img"):
        assert len(image["alt"]) >= 8 and len(image.find_next("figcaption").get_text()) >= 8


def test_tables_are_on_slides(made: Made) -> None:
    shown = plain(" ".join(table.get_text(" ") for table in made.shown.select("table")))
    for cell in made.told():
        if cell.cell_type == "code" and "hide-cell" not in cell.metadata.get("tags", []):
            for markup in (output.get("data", {}).get("text/html", "") for output in cell.outputs):
                for row in re.findall(r"<tr>.*?</tr>", markup, re.S):
                    assert plain(bs4.BeautifulSoup(row, "html.parser").get_text(" ")) in shown


def test_numbered_formulas_are_on_slides(made: Made) -> None:
    text = "\n".join(cell.source for cell in made.told() if cell.cell_type == "markdown")
    typeset = [plain(note.get_text()) for note in made.shown.select("annotation")]
    for number in re.findall(r"\\tag\{(\d+)\}", text):
        assert sum(rf"\tag{{{number}}}" in formula for formula in typeset) == 1, f"({number})"
    assert made.page.select(".katex-error") == []
    words = bs4.BeautifulSoup(str(made.shown), "html.parser")
    for element in words.select("code, pre, .katex, annotation"):
        element.decompose()
    assert re.findall(r"\$[^$\n]+\$|\*\*|\\[a-z]{3,}|\]\(", words.get_text()) == []


def test_no_solution_is_in_a_deck(made: Made) -> None:
    assert leaks(made) == []


def test_exercises_end_the_deck(made: Made) -> None:
    sections = [slide.select_one("h1, h2").get_text() for slide in made.all_slides]
    numbers = [int(title[1]) for title in map(re.compile(r"Exercise (\d+):").match, sections) if title]
    text = "\n".join(cell.source for cell in made.notebook.cells if cell.cell_type == "markdown")
    assert sorted(set(numbers)) == sorted({int(n) for n in re.findall(r"^### Exercise (\d+):", text, re.M)})
    if numbers:
        assert sections.index("Exercises") > max(i for i, title in enumerate(sections) if title == "Summary")


SMALL = [
    new_markdown_cell(
        "# A small chapter\n\n[![Open in Colab](https://x/y.svg)](https://x)\n\nIt has everything. " + "Much. " * 60
    ),
    new_code_cell("# @title Setup\nimport torch", outputs=[new_output("stream", text="torch 2")]),
    new_markdown_cell("**After this chapter you can**\n\n- read it;\n- leave it.\n\n**You need** nothing."),
    new_markdown_cell("## A question\n\nWhy $x$? **What do you expect?**"),
    new_code_cell(
        "# @title Figure: an answer\nplot()",
        outputs=[new_output("display_data", {"image/svg+xml": '<svg viewBox="0 0 300 100"></svg>'})],
        metadata={"mystnb": {"image": {"alt": "A curve that rises"}}},
    ),
    new_markdown_cell(
        "The curve rises, as [Box et al. (1958)](https://doi.org/1) say, e.g. (there. Here.) always.\n\n"
        "### Deeper: more of it\n\nThe law is\n\n$$\na = b \\tag{1}\n$$\n\nwith $b$ from [next](#a-question)."
    ),
    new_markdown_cell("## The algorithm\n\nIn short:\n\n1. think;\n2. write."),
    new_code_cell("def step():\n    return 42"),
    new_markdown_cell("## Exercises\n\nEach has a hint."),
    new_markdown_cell(
        "### Exercise 1: a task (derive)\n\nShow it.\n\n"
        "<details><summary>Hint</summary>\n\nThe first secret hint of it.\n\n</details>\n\n"
        "<details><summary>Solution</summary>\n\nThe second secret: the answer.\n\n</details>"
    ),
    new_code_cell("# @title Check\ndef check(answer):\n    return answer == 'the third secret'"),
    new_code_cell("# @title Solution\nprint('the fourth secret of all')", metadata={"tags": ["hide-cell"]}),
    new_markdown_cell("## Summary\n\n- It was small.\n\n**Read next.** Another one."),
]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chapter with one thing of each kind."""
    monkeypatch.setattr(slides, "ROOT", tmp_path)
    for name in ("_config.yml", "book/_ext/katex", "book/_slides"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    path = tmp_path / "book" / "part" / "small.ipynb"
    path.parent.mkdir()
    nbformat.write(new_notebook(cells=[nbformat.from_dict(cell) for cell in SMALL]), path)
    return path


def build(path: Path) -> Made:
    return Made(nbformat.read(path, as_version=4), slides.make(path, path.parent))


def test_small_chapter(small: Path) -> None:
    made = build(small)
    columns = [
        [slide.select_one("h1, h2").get_text() for slide in column.select("section")]
        for column in made.shown.select(".slides > section")
    ]
    assert columns == [
        ["A small chapter"], ["After this chapter you can"], ["A question"],
        ["An answer", "Deeper: more of it"],
        ["The algorithm"], ["Summary"], ["Exercises", "Exercise 1: a task (derive)"], ["Read next"],
    ]  # fmt: skip
    assert [plain(item.get_text()) for item in made.all_slides[1].select("li")] == ["read it;", "leave it."]
    assert "What do you expect?" in made.all_slides[2].get_text()
    figure, deeper = made.all_slides[3], made.all_slides[4]
    assert figure.select_one("img")["alt"] == "A curve that rises" == figure.select_one("figcaption").get_text()
    notes = made.page.select("section section")[3].select_one("aside.notes")
    assert plain(notes.get_text()).startswith("The curve rises, as Box et al. (1958) say")
    assert notes.select_one("a[href='https://doi.org/1']")
    assert "The law is" in deeper.get_text() and deeper.select_one(".katex-display")
    assert deeper.select_one("a[href$='/book/part/small.ipynb#a-question']")
    assert "return 42" in made.all_slides[5].get_text()
    assert "Colab" not in made.shown.get_text() and "import torch" not in made.shown.get_text()
    assert leaks(made) == []


def test_planted_secrets_are_found(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test on leaks can fail: a deck that shows what is folded holds all four."""
    assert len(secrets(nbformat.read(small, as_version=4))) == 4
    monkeypatch.setattr(slides, "DETAILS", re.compile("never"))
    assert [piece.split()[1] for piece in leaks(build(small))] == ["first", "second"]
    notebook = nbformat.read(small, as_version=4)
    for cell in list(notebook.cells):  # folded cells where the algorithm's code is shown
        if cell.source.startswith(("# @title Check", "# @title Solution")):
            notebook.cells.insert(8, new_code_cell("def shown():\n" + cell.source.split("\n", 1)[1]))
    text = "".join(str(slide.shown) for slide in slides.Deck(notebook, "https://x").slides())
    assert "third secret" in text and "fourth secret" in text


def test_bad_input_gets_a_clear_error(small: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert slides.main([str(small.with_name("missing.ipynb"))]) == 1
    assert "missing.ipynb" in capsys.readouterr().err
    monkeypatch.setattr(slides, "LIMIT", 1000)
    assert slides.main([str(small), "--out", str(small.parent)]) == 1
    assert re.search(r"book/part/small.ipynb: its deck has [\d,]+ bytes, more than 1,000", capsys.readouterr().err)
    nbformat.write(new_notebook(cells=[new_markdown_cell("No heading.")]), small)
    assert slides.main([str(small)]) == 1
    assert "small.ipynb: a chapter begins with '# Title' and a paragraph" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text, parts",
    [
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ("See Lee et al. (2001). And e.g. Box.", ["See Lee et al. (2001).", "And e.g. Box."]),
        ("**Run in.** Then $a. B$ and `c. D`.", ["**Run in.**", "Then $a. B$ and `c. D`."]),
        ("(An aside.) It is 3.5 of [A. B](https://c.d/e) all. (Or. Not.)",
         ["(An aside.)", "It is 3.5 of [A. B](https://c.d/e) all.", "(Or. Not.)"]),
        ('She says "no." He agrees.', ['She says "no."', "He agrees."]),
    ],
)  # fmt: skip
def test_sentences(text: str, parts: list[str]) -> None:
    assert slides.sentences(text) == parts


def test_long_lists_and_tables_are_distributed_evenly() -> None:
    pieces = slides.in_pieces(list("abcdefgh"), [1.0] * 8, 6.0)
    assert pieces == [list("abcd"), list("efgh")]
    assert slides.in_pieces(["a", "b"], [9.0, 1.0], 5.0) == [["a"], ["b"]]


def test_talk_of_an_hour(folder: Path) -> None:
    deck = slides.Deck(nbformat.read(ROOT / "book/game/vanilla_gan.ipynb", as_version=4), "https://x")
    beside = [slide for slide in deck.slides() if not slide.down]
    assert 25 <= len(beside) <= 45


# ---- in a browser

OUTSIDE = """() => {
    const slide = Reveal.getCurrentSlide(), found = [];
    const frame = slide.getBoundingClientRect();
    for (const element of slide.querySelectorAll("*")) {
        if (element.closest("aside") || element.closest(".katex") && !element.matches(".katex")) continue;
        const box = element.getBoundingClientRect();
        if (box.width && (box.right > frame.right + 1 || box.bottom > frame.bottom - 20 || box.left < frame.left - 1))
            found.push(`${element.tagName} ${element.className}: ${[box.left, box.right, box.bottom].map(Math.round)}`);
    }
    for (const image of slide.querySelectorAll("figure img"))
        if (image.getBoundingClientRect().height < 150) found.push(`a picture of ${image.height} pixels`);
    if (slide.dataset.fitted < 60) found.push(`letters of ${slide.dataset.fitted} %`);
    return found.map(what => `${slide.querySelector("h1, h2").textContent}: ${what}`);
}"""


@pytest.fixture(scope="module", params=TALKS)
def talk(request: pytest.FixtureRequest, folder: Path, browser: Any) -> Iterator[tuple[Any, list[str]]]:
    """A deck in a browser, with what it asked for and complained about."""
    (path,) = (path for path in notebooks() if path.stem == request.param)
    page = browser.new_page(viewport=SIZE)
    heard: list[str] = []
    page.on("request", lambda r: heard.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None)
    page.on("pageerror", lambda error: heard.append(f"page error: {error}"))
    page.on("console", lambda m: heard.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.goto(slides.make(path, folder).as_uri())
    page.wait_for_function("Reveal.isReady()")
    page.evaluate("document.fonts.ready.then(() => true)")
    yield page, heard
    page.close()


def test_no_slide_overflows(talk: tuple[Any, list[str]]) -> None:
    page, heard = talk
    places = page.evaluate("Reveal.getSlides().map(slide => Reveal.getIndices(slide)).map(({h, v}) => [h, v || 0])")
    found = []
    for h, v in places:
        page.evaluate(f"Reveal.slide({h}, {v})")
        found += page.evaluate(OUTSIDE)
    assert found == []
    assert heard == []
    page.evaluate("Reveal.slide(2, 0); Reveal.getCurrentSlide().style.fontSize = '90px'")
    assert page.evaluate(OUTSIDE) != [], "this test cannot fail"
    page.evaluate("Reveal.getCurrentSlide().style.fontSize = ''")


def test_keys_move_on(talk: tuple[Any, list[str]]) -> None:
    page, _ = talk

    def place(key: str | None = None) -> list[int]:
        if key:
            page.keyboard.press(key)
        return page.evaluate("(({h, v}) => [h, v || 0])(Reveal.getIndices())")

    page.evaluate("Reveal.slide(0, 0)")
    assert place() == [0, 0]
    assert place("ArrowRight") == [1, 0]
    assert place("ArrowLeft") == [0, 0]
    deeper = page.evaluate("Reveal.getSlides().map(s => Reveal.getIndices(s)).find(({h, v}) => v === 1).h")
    page.evaluate(f"Reveal.slide({deeper}, 0)")
    assert place("ArrowDown") == [deeper, 1]
    assert place("ArrowRight") == [deeper + 1, 0]
    assert page.locator(".slide-number").inner_text().replace(" ", "").startswith(f"{deeper + 2}/")
    assert page.locator("aside.notes:visible").count() == 0
