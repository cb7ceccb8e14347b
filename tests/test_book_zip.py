"""tools/package.py: the zip of the book, unpacked and opened; and its frame in a system that speaks SCORM 1.2."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tools import check_links, package, page_weight

BUILT = (package.HTML / "index.html").is_file()
needs_book = pytest.mark.skipif(not BUILT, reason="the book is not built: make book")
IMS, ADL = "{http://www.imsproject.org/xsd/imscp_rootv1p1p2}", "{http://www.adlnet.org/xsd/adlcp_rootv1p2}"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("zip") / "book.zip"
    package.write(package.HTML, target)
    return target


@pytest.fixture(scope="module")
def unpacked(archive: Path) -> Path:
    folder = archive.parent / "with space"
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(folder)
    return folder / package.FOLDER


@needs_book
def test_one_folder_and_the_manifest_within_the_limit(archive: Path) -> None:
    assert archive.stat().st_size <= package.LIMIT
    with zipfile.ZipFile(archive) as zipped:
        names = zipped.namelist()
    assert {name.split("/")[0] for name in names} == {"imsmanifest.xml", package.FOLDER}
    assert f"{package.FOLDER}/index.html" in names and f"{package.FOLDER}/LICENSE" in names
    assert len(set(map(str.lower, names))) == len(names), "names that a disk may take for the same"
    assert all(re.fullmatch(r"[\w./-]+", name) and ".." not in name for name in names)


@needs_book
def test_no_file_too_many_and_none_too_few(unpacked: Path) -> None:
    assert check_links.faults(unpacked) == []
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    unwanted = re.compile(r"\.doctrees|\.buildinfo|objects\.inv|\.map$|fontawesome\.js$")
    assert list(filter(unwanted.search, names)) == []
    pages = "".join((unpacked / name).read_text(encoding="utf-8") for name in names if name.endswith(".html"))
    assert [name for name in names if name.startswith("_sources/") and name not in pages] == []
    assert {f"{entry}.html" for entry in toc()} <= names
    assert {f"_static/search_texts/{entry}.js" for entry in toc()} <= names


def toc() -> list[str]:
    contents = package.contents()
    return [contents["root"], *(entry["file"] for part in contents["parts"] for entry in part["chapters"])]


@needs_book
def test_the_same_book_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    copy, again = tmp_path / "html", tmp_path / "again.zip"
    shutil.copytree(package.HTML, copy, copy_function=shutil.copy)  # with other times
    package.write(copy, again)
    assert again.read_bytes() == archive.read_bytes()


@needs_book
def test_manifest_keeps_the_rules_of_scorm(archive: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        manifest, names = ElementTree.fromstring(zipped.read("imsmanifest.xml")), zipped.namelist()
    tags = [child.tag.removeprefix(IMS) for child in manifest]
    assert manifest.tag == f"{IMS}manifest" and tags == ["metadata", "organizations", "resources"]
    assert [child.text for child in manifest.find(f"{IMS}metadata")] == ["ADL SCORM", "1.2"]
    (organization,) = manifest.find(f"{IMS}organizations")
    assert manifest.find(f"{IMS}organizations").get("default") == organization.get("identifier")
    title, item = organization
    (resource,) = manifest.find(f"{IMS}resources")
    assert title.tag == f"{IMS}title" and 0 < len(title.text) <= 200 and item[0].text == title.text
    assert item.get("identifierref") == resource.get("identifier")
    assert resource.get(f"{ADL}scormtype") == "sco" and resource.get("type") == "webcontent"
    files = [file.get("href") for file in resource]
    assert resource.get("href") in files and sorted([*files, "imsmanifest.xml"]) == sorted(names)
    identifiers = [element.get("identifier") for element in manifest.iter() if element.get("identifier")]
    assert len(set(identifiers)) == len(identifiers) and all(re.fullmatch(r"[A-Za-z_][\w.-]*", i) for i in identifiers)


def test_manifest_escapes_what_xml_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "title", lambda: "Real & <fake>")
    manifest = ElementTree.fromstring(package.manifest(['a"b&c.html']))
    assert manifest.find(f".//{IMS}item/{IMS}title").text == "Real & <fake>"
    assert manifest.find(f".//{IMS}file").get("href") == 'a"b&c.html'


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    folder = tmp_path / "html"
    for name, text in {
        "index.html": '<meta http-equiv="Refresh" content="0; url=book/a.html">',
        "book/a.html": '<a href="../_sources/a.md"></a><link href="../_static/s.css?v=1"><script src="../_static/x.js">'
        '</script><script>f("../../_images/w.png")</script><i style="background: url(../_images/i.png)"></i>',
        "_static/s.css": "p { background: url(../_images/p.png) }",
        "_static/x.js": 'load("_static/later.js")',
        "_static/later.js": "",
        "_static/unused.js": "",
        "_static/x.js.LICENSE.txt": "MIT",
        "_images/w.png": "", "_images/i.png": "", "_images/p.png": "", "_images/none.png": "",
        "_sources/a.md": "", "_sources/b.md": "", ".buildinfo": "",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_what_pages_name_is_packed_and_nothing_else(tiny: Path) -> None:
    images = {"_images/w.png", "_images/i.png", "_images/p.png"}
    static = {"_static/s.css", "_static/x.js", "_static/later.js", "_static/x.js.LICENSE.txt"}
    assert set(package.needed(tiny)) == {"index.html", "book/a.html", "_sources/a.md", *images, *static}


def test_what_is_too_large_is_refused_and_nothing_is_left(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out" / "book.zip"
    (tiny / "_images" / "w.png").write_bytes(bytes(10_240))
    monkeypatch.setattr(package, "LIMIT", 10_000)
    assert package.main(["--html", str(tiny), "--out", str(target)]) == 1
    assert "_images/w.png has 10,240 bytes, more than 10,000" in capsys.readouterr().err
    monkeypatch.setattr(package, "LIMIT", 11_000)  # which this file keeps, and all together do not
    (tiny / "_images" / "p.png").write_bytes(bytes(5_000))
    assert package.main(["--html", str(tiny), "--out", str(target)]) == 1
    assert "more than 11,000" in capsys.readouterr().err
    assert list(target.parent.iterdir()) == []


def test_a_book_that_is_not_built_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert package.main(["--html", str(tmp_path)]) == 1 and "make book" in capsys.readouterr().err


@needs_book
def test_unpacked_zip_opens_from_a_disk(unpacked: Path, browser: Any) -> None:
    """That nothing is missing on any page is shown above; here, that a page, the search and a moving figure work."""
    tab = browser.new_context().new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    # Pictures on their way are given up when the test goes to the next page.
    tab.on("requestfailed", lambda r: complaints.append(r.url) if r.failure != "net::ERR_ABORTED" else None)
    tab.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    tab.goto((unpacked / "index.html").as_uri())
    tab.wait_for_url("**/book/intro.html")
    tab.goto((unpacked / "book" / "game" / "vanilla_gan.html").as_uri())
    widget = tab.locator(".gan-widget:has(input)").first
    before = widget.locator("img").get_attribute("src")
    widget.locator("input").press("Home")
    assert widget.locator("img").get_attribute("src") != before
    assert widget.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    tab.goto((unpacked / "search.html").as_uri() + "?q=saturating")
    tab.wait_for_selector("#search-results li .context")
    tab.goto((unpacked / package.FRAME.name).as_uri())
    tab.frame_locator("iframe").locator("article h1").wait_for()
    assert complaints == []
    tab.context.close()


SYSTEM = """
    window.said = JSON.parse(sessionStorage.said || "{}");
    window.calls = [];
    const keep = () => { sessionStorage.said = JSON.stringify(said); return "true"; };
    window.API = {
      LMSInitialize: text => { calls.push(`LMSInitialize(${text})`); return "true"; },
      LMSGetValue: name => said[name] ?? "",
      LMSSetValue: (name, value) => { said[name] = value; return keep(); },
      LMSCommit: text => { calls.push(`LMSCommit(${text})`); return "true"; },
      LMSFinish: text => {
        calls.push(`LMSFinish(${text})`);
        sessionStorage.calls = JSON.stringify(calls);
        return "true";
      },
    };
"""


@pytest.fixture
def system(unpacked: Path, browser: Any) -> Iterator[Any]:
    """A page on a server that holds the package in a frame, with the object through which packages speak to it."""
    (unpacked / "system.html").write_text(
        f'<script>{SYSTEM}</script><iframe src="{package.FRAME.name}" width="1000" height="700"></iframe>',
        encoding="utf-8",
    )
    with page_weight.served(unpacked) as address:
        tab = browser.new_context().new_page()
        tab.goto(f"{address}/search.html")  # of the same origin, to prepare what the system knows
        tab.address = f"{address}/system.html"
        yield tab
        tab.context.close()
    (unpacked / "system.html").unlink()


def said(tab: Any) -> dict[str, str]:
    return tab.evaluate("window.said")


@needs_book
def test_frame_remembers_the_page_and_ends_the_session(system: Any) -> None:
    system.goto(system.address)
    book = system.frame_locator("iframe").frame_locator("iframe")
    book.locator("article h1", has_text="Generative adversarial networks").wait_for()
    system.wait_for_function("said['cmi.core.lesson_location'] === 'book/intro.html'")
    assert said(system)["cmi.core.lesson_status"] == "incomplete"
    book.locator("article a[href$='probability.html']").first.evaluate("link => link.click()")
    book.locator("article h1", has_text="Probability").wait_for()
    system.wait_for_function("said['cmi.core.lesson_location'] === 'book/foundations/probability.html'")
    assert said(system)["cmi.suspend_data"] == "0"
    link = book.locator("article a[href^='https://']").first
    with system.context.expect_page() as opened:  # other sites refuse to be shown in a frame
        link.evaluate("link => link.click()")
    opened.value.close()
    system.goto(system.address.replace("system", "search"))
    calls = json.loads(system.evaluate("sessionStorage.calls"))
    assert calls[0] == "LMSInitialize()" and calls[-1] == "LMSFinish()" and calls.count("LMSFinish()") == 1
    known = json.loads(system.evaluate("sessionStorage.said"))
    assert known["cmi.core.exit"] == "suspend" and re.fullmatch(r"\d\d:\d\d:\d\d", known["cmi.core.session_time"])
    system.goto(system.address)  # the next session
    book.locator("article h1", has_text="Probability").wait_for()


@needs_book
def test_frame_reports_completion_when_every_chapter_has_been_opened(system: Any) -> None:
    chapters = package.chapters()
    known = {
        "cmi.core.lesson_status": "incomplete",
        "cmi.suspend_data": ",".join(str(i) for i in range(len(chapters)) if i != 3),
        "cmi.core.lesson_location": f"{chapters[3]}#the-game",
    }
    system.evaluate("known => { sessionStorage.said = JSON.stringify(known); }", known)
    system.goto(system.address)
    system.wait_for_function("said['cmi.core.lesson_status'] === 'completed'")
    assert said(system)["cmi.core.lesson_location"] == f"{chapters[3]}#the-game"


@needs_book
@pytest.mark.parametrize("place", ["https://example.org/x.html", "//example.org/x.html", "../x.html", "javascript:1"])
def test_frame_opens_no_other_place(system: Any, place: str) -> None:
    system.evaluate("known => { sessionStorage.said = JSON.stringify(known); }", {"cmi.core.lesson_location": place})
    system.goto(system.address)
    system.frame_locator("iframe").frame_locator("iframe").locator("article h1", has_text="Generative").wait_for()
