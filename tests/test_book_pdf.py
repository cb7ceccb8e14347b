"""tools/pdf.py: a chapter on paper, with its links, bookmarks, numbers of pages, hints and solutions."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

from tools import chromium, pdf  # noqa: E402

BUILT = (pdf.HTML / "index.html").is_file()
needs_book = pytest.mark.skipif(not BUILT, reason="the book is not built: make book")
CHAPTER = "game/vanilla_gan"


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    """The chapter's PDF, and what the tool complained of."""
    target = tmp_path_factory.mktemp("pdf") / "chapter.pdf"
    try:
        sheets, complaints = pdf.make(pdf.HTML, target, CHAPTER, "A4")
    except chromium.Missing as missing:
        pytest.skip(str(missing))
    reader = pypdf.PdfReader(target)
    assert sheets == len(reader.pages) and not target.with_name("chapter.pdf.part").exists()
    return reader, complaints


@pytest.fixture(scope="module")
def texts(paper: tuple[Any, list[str]]) -> list[str]:
    return [page.extract_text() for page in paper[0].pages]


@needs_book
def test_nothing_is_missing_or_too_wide(paper: tuple[Any, list[str]]) -> None:
    """What is wider than the paper would make the browser shrink all of the page."""
    assert paper[1] == []


@needs_book
def test_sheets_have_their_size_and_number(paper: tuple[Any, list[str]], texts: list[str]) -> None:
    reader, _ = paper
    for page in reader.pages:
        assert [float(side) / 72 * 25.4 for side in page.mediabox[2:]] == pytest.approx(pdf.PAPERS["A4"], abs=0.5)
    front = reader.page_labels.index("1")
    assert front >= 2 and reader.page_labels[:front] == ["i", "ii", "iii", "iv", "v"][:front]
    assert reader.page_labels[front:] == [str(i + 1) for i in range(len(texts) - front)]
    for label, text in zip(reader.page_labels[1:], texts[1:], strict=True):
        assert re.search(rf"^{label}$", text, re.M), f"sheet {label} does not say its number"
    assert "Generative Adversarial Networks" in texts[0] and "CC BY 4.0" in texts[0]


@needs_book
def test_contents_and_bookmarks_lead_to_the_headings(paper: tuple[Any, list[str]], texts: list[str]) -> None:
    reader, _ = paper
    found: dict[str, int] = {}

    def walk(items: list[Any], depth: int) -> None:
        for item in items:
            if isinstance(item, list):
                walk(item, depth + 1)
            else:
                found[f"{depth} {item.title}"] = reader.get_destination_page_number(item)

    walk(reader.outline, 0)
    levels = {entry.split(" ")[0] for entry in found}
    assert levels == {"0", "1", "2", "3"}, "part, chapter, sections, subsections"
    assert "0 Part II. The game" in found and "1 4. The vanilla GAN" in found
    plain = [re.sub(r"\W", "", text) for text in texts]
    for entry, number in found.items():
        depth, title = entry.split(" ", 1)
        words = re.sub(r"\W", "", title)
        if words.isascii():  # formulas are said otherwise
            assert words in plain[number], f"{title} is not on sheet {number}"
        if depth == "2":
            contents = "".join(plain[1 : reader.page_labels.index("1")])
            assert not words.isascii() or f"{words}{reader.page_labels[number]}" in contents
    assert {"2 Hints", "2 Solutions"} <= found.keys()


@needs_book
def test_links_stay_inside_or_lead_to_the_web(paper: tuple[Any, list[str]]) -> None:
    reader, _ = paper
    sheets = {page.indirect_reference.idnum for page in reader.pages}
    inside, outside = 0, set()
    for page in reader.pages:
        for link in page.get("/Annots") or []:
            link = link.get_object()
            if "/Dest" in link:
                target = link["/Dest"]
                assert target[0].indirect_reference.idnum in sheets and target[1] == "/XYZ"
                inside += 1
            else:
                outside.add(link["/A"]["/URI"])
    assert inside > 50
    assert all(url.startswith("https://") for url in outside)


@needs_book
def test_hints_and_solutions_stand_at_the_end_and_pages_name_them(
    paper: tuple[Any, list[str]], texts: list[str]
) -> None:
    reader, _ = paper
    whole = "\n".join(texts)
    assert "# @title" not in whole and "Code: Figure" not in whole
    summary = next(i for i, text in enumerate(texts) if re.search(r"^Summary$", text, re.M) and i > 2)
    named = [(i, int(page)) for i, text in enumerate(texts) for page in re.findall(r"[Ss]olution on page (\d+)", text)]
    exercises = (pdf.ROOT / "book" / f"{CHAPTER}.ipynb").read_text(encoding="utf-8").count("### Exercise ")
    assert len(named) == exercises >= 8
    for sheet, page in named:
        target = reader.page_labels.index(str(page))
        assert sheet <= summary < target
    first = texts[reader.page_labels.index(str(named[0][1]))]
    assert re.search(r"Exercise 1: ", first), "the first exercise's solution is on the page that is named"


@needs_book
def test_what_is_to_be_tried_says_where(tmp_path: Path) -> None:
    try:
        _, complaints = pdf.make(pdf.HTML, tmp_path / "page.pdf", "book/generators", "A4")
    except chromium.Missing as missing:
        pytest.skip(str(missing))
    text = " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "page.pdf").pages).split())
    places = (pdf.ROOT / "book" / "generators.md").read_text(encoding="utf-8").count("gan-generators-place")
    assert complaints == []
    assert text.count("Here the page has something to try") == places > 0 and "if scripts could" not in text


@needs_book
def test_moving_figures_say_that_they_move(texts: list[str]) -> None:
    source = (pdf.ROOT / "book" / f"{CHAPTER}.ipynb").read_text(encoding="utf-8")
    assert "\n".join(texts).count("they move on the page") == source.count("widgets.scrubber(") > 0


def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pdf.main(["--html", str(tmp_path)]) == 1 and "make book" in capsys.readouterr().err
    (tmp_path / "index.html").touch()
    assert pdf.main(["--html", str(tmp_path), "--pages", "nowhere"]) == 1
    assert "no page's name contains 'nowhere'" in capsys.readouterr().err

    class Without:
        """Playwright where no Chromium is installed."""

        def __enter__(self) -> Any:
            return SimpleNamespace(chromium=SimpleNamespace(executable_path=str(tmp_path / "chromium")))

        def __exit__(self, *error: Any) -> None:
            pass

    monkeypatch.setattr(chromium, "NAMES", ())
    monkeypatch.setattr(chromium, "sync_playwright", Without)
    assert pdf.main(["--html", str(tmp_path), "--pages", CHAPTER, "--out", str(tmp_path / "x.pdf")]) == 1
    assert "no Chromium: install" in capsys.readouterr().err
    assert not (tmp_path / "x.pdf").exists()


def test_every_page_is_printed_once_under_its_part() -> None:
    entries = list(pdf.contents())
    assert len({name for name, _ in entries}) == len(entries)
    assert [opens for _, opens in entries if opens][:2] == ["Part I. Foundations", "Part II. The game"]
    assert entries[-1][0] == "book/appendix/api"
