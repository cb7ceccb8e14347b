"""tools/check_links.py: all links of the built book lead somewhere, and it notices those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import check_links

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"


@pytest.mark.skipif(not (HTML / "index.html").is_file(), reason="the book is not built: make book")
def test_all_links_of_the_book_lead_somewhere() -> None:
    assert check_links.faults(HTML) == []


def small_book(folder: Path, body: str, **files: str) -> list[str]:
    """What is wrong with a book of two pages, the first of which has this body."""
    pages = {"index.html": f"<h1 id='top'>A</h1>{body}", "part/second.html": "<h2 id='größe'>B</h2>"}
    for name, text in {**pages, **files}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return check_links.faults(folder)


@pytest.mark.parametrize(
    "body",
    [
        '<a href="part/second.html#gr%C3%B6%C3%9Fe">x</a><a href="#top">x</a><a href="#">x</a>',
        '<a href="index.html?q=1#top">x</a><img src="data:image/png;base64,AAAA">',
        '<a href="https://arxiv.org/abs/1406.2661">x</a><a href="mailto:a.b@example.org">x</a>',
        '<a href="https://example.org/search?text=one%20two.">x</a>',
        '<script>const text = "<a href=nowhere.html>";</script>',
        "<style>p { background: url(part/second.html) } i { fill: url(#shade) }</style>",
    ],
)
def test_good_links_pass(tmp_path: Path, body: str) -> None:
    assert small_book(tmp_path, body) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="part/third.html">x</a>', "part/third.html: no such file"),
        ('<a href="part/second.html#grosse">x</a>', "no such place on that page"),
        ('<a href="#bottom">x</a>', "#bottom: no such place"),
        ("<p id='top'>x</p>", "2 elements with the id top"),
        ('<img src="a.png">', "a.png: no such file"),
        ('<img srcset="index.html 1x, b.png 2x">', "b.png: no such file"),
        ('<script src="c.js?v=1"></script>', "c.js?v=1: no such file"),
        ('<meta http-equiv="Refresh" content="0; url=d.html">', "d.html: no such file"),
        ('<p style="background: url(e.png)">x</p>', "e.png: no such file"),
        ('<script>show(["../_images/f.png"])</script>', "_images/f.png: no such file"),
        ('<a href="http:/example.org">x</a>', "the host is not a name"),
        ('<a href="https://localhost/x">x</a>', "the host is not a name"),
        ('<a href="https://example.org/a b">x</a>', "a character that has to be escaped"),
        ('<a href="https://example.org/page.">x</a>', "a sign at its end"),
        ('<a href="file:///home/me/x.html">x</a>', "neither relative nor https"),
        ('<a href="javascript:void(0)">x</a>', "must not begin with javascript:"),
    ],
)
def test_bad_links_are_noticed(tmp_path: Path, body: str, fault: str) -> None:
    found = small_book(tmp_path, body)
    assert len(found) == 1 and found[0].startswith("index.html: ") and fault in found[0]


def test_style_sheets_are_read_and_of_a_font_the_first_source(tmp_path: Path) -> None:
    font = "@font-face { font-family: A; src: url(a.woff2) format('woff2'), url(a.ttf) }"
    assert small_book(tmp_path, "", **{"part/one.css": font, "part/a.woff2": ""}) == []
    wrong = '@import "../d.css";' + font.replace("a.", "b.") + "p { background: url('../c.png') }"
    found = small_book(tmp_path, "", **{"part/two.css": wrong})
    assert [fault.split(": ")[1] for fault in found] == ["d.css", "part/b.woff2", "c.png"]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_links.main([str(tmp_path)]) == 1 and "make book" in capsys.readouterr().err
    small_book(tmp_path, "<a href='#nowhere'>x</a>")
    assert check_links.main([str(tmp_path)]) == 1 and "1 links are wrong" in capsys.readouterr().out
    small_book(tmp_path, "")
    assert check_links.main([str(tmp_path)]) == 0
