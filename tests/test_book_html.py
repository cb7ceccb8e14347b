"""The built book in a real browser, from plain files: it must need no network, no server and no kernel.

Needs a Chromium and the built book (`make book`); without them the tests are skipped, visibly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
AXE = Path(__file__).parent / "assets" / "axe.min.js"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# Findings in the theme's own frame (search button; landmarks), which a page's author cannot change.
THEME_FINDINGS = {"label-content-name-mismatch", "region"}

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BUILT = (HTML / "index.html").is_file()
pytestmark = pytest.mark.skipif(not BUILT, reason="the book is not built: make book")


def toc_pages() -> list[str]:
    """All pages of _toc.yml, in reading order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]


@dataclass
class Visit:
    """One page opened in a browser, with all that it asked for and complained about."""

    name: str
    page: sync_api.Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, query: str = "") -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("console", lambda m: self.complaints.append(f"console: {m.text}") if m.type == "error" else None)
        self.page.goto((HTML / f"{self.name}.html").as_uri() + query)
        if self.page.evaluate("Boolean(window.MathJax && MathJax.startup)"):
            self.page.evaluate("MathJax.startup.promise.then(() => true)")
        self.page.wait_for_timeout(300)  # late complaints

    @property
    def outside(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="module", params=toc_pages())
def visit(request: pytest.FixtureRequest, browser: sync_api.Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    visit = Visit(request.param, context.new_page())
    visit.open()
    yield visit
    context.close()


def test_page_is_silent_and_needs_no_network(visit: Visit) -> None:
    assert visit.outside == []
    assert visit.complaints == []


def test_mathematics_is_rendered(visit: Visit) -> None:
    formulas = visit.page.locator("article .math").count()
    assert visit.page.locator("article mjx-container").count() >= formulas
    # An unknown macro is shown in red, a syntax error as a merror node.
    wrong = "mjx-merror, [data-mml-node='merror'], mjx-assistive-mml [mathcolor='red']"
    assert visit.page.locator(wrong).count() == 0
    raw = visit.page.evaluate(
        r"""() => {
            const skip = "pre, code, script, style, mjx-container, .MathJax";
            const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
            const found = [];
            while (walker.nextNode()) {
                const text = walker.currentNode.textContent;
                if (!walker.currentNode.parentElement.closest(skip) &&
                    /\$\$|\\\(|\\\[|\\begin\{|\$[^$\n]+\$|\{[a-z]+(:[a-z]+)?\}`/.test(text))
                    found.push(text.trim());
            }
            return found;
        }"""
    )
    assert raw == [], "unrendered mathematics or roles"


def test_images_are_there_and_described(visit: Visit) -> None:
    images = visit.page.evaluate(
        """() => [...document.querySelectorAll("article img")].map(image => ({
            source: image.currentSrc.slice(0, 120), width: image.naturalWidth,
            text: image.alt || image.title || image.getAttribute("aria-label") || "" }))"""
    )
    for image in images:
        assert image["width"] > 0, f"not loaded: {image['source']}"
        text = image["text"].strip()
        assert len(text) >= 8 and " " in text, f"no description but {text!r}: {image['source']}"
        assert not re.search(r"[0-9a-f]{20}|\.(png|jpe?g|svg)$|_images/", text), f"a file name: {text}"


def test_phone_does_not_scroll_sideways(visit: Visit) -> None:
    visit.page.set_viewport_size(PHONE)
    visit.page.wait_for_timeout(200)
    try:
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        # What sticks out must stand in a box that scrolls, or it cannot be read.
        cut = visit.page.evaluate(
            """() => {
                const scrolls = e => e && (["auto", "scroll"].includes(getComputedStyle(e).overflowX)
                    || scrolls(e.parentElement));
                return [...document.querySelectorAll("article *")]
                    .filter(e => !e.closest("mjx-assistive-mml") && e.checkVisibility()
                        && e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e))
                    .map(e => e.outerHTML.slice(0, 120));
            }"""
        )
        assert cut == []
    finally:
        visit.page.set_viewport_size(DESKTOP)


def test_accessibility(visit: Visit) -> None:
    visit.page.evaluate(AXE.read_text(encoding="utf-8"))
    result = visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    found = [
        f"{v['id']} ({v['impact']}): {node['html'][:160]}"
        for v in result["violations"]
        if v["impact"] in {"serious", "critical"} and v["id"] not in THEME_FINDINGS
        for node in v["nodes"]
    ]
    assert found == []


def test_hidden_solutions_open(visit: Visit) -> None:
    for details in visit.page.locator("article details").all():
        assert details.get_attribute("open") is None, "a solution must be hidden at first"
        details.locator("> summary").click()
        body = details.locator("> :not(summary)").first
        sync_api.expect(body).to_be_visible(timeout=2_000)
    for details in reversed(visit.page.locator("article details").all()):
        details.locator("> summary").click()


def test_animations_move_without_a_kernel(visit: Visit) -> None:
    """How they move is tried in test_widgets.py; here, that each one of the notebook does so on the built page."""
    source = ROOT / f"{visit.name}.ipynb"
    promised = source.read_text(encoding="utf-8").count("widgets.scrubber(") if source.exists() else 0
    found = visit.page.locator(".cell_output .gan-widget:has(input)").all()
    assert len(found) == promised
    for widget in found:
        picture, slider = widget.locator("img"), widget.locator("input")
        before = [picture.get_attribute(name) for name in ("src", "alt")]
        slider.press("Home")
        for old, name in zip(before, ("src", "alt"), strict=True):
            assert picture.get_attribute(name) != old, f"moving the slider leaves {name} as it is"
    assert visit.page.locator("script[type^='application/vnd.jupyter.widget']").count() == 0, "needs a widget manager"


@pytest.mark.parametrize("query", ["discriminator", "saturating"])
def test_search_works_offline(browser: sync_api.Browser, query: str) -> None:
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    visit = Visit("search", context.new_page())
    visit.open(f"?q={query}")
    visit.page.wait_for_selector("#search-results li a", timeout=10_000)
    links = visit.page.locator("#search-results li a").evaluate_all("links => links.map(a => a.href)")
    assert any("vanilla_gan" in link for link in links)
    assert visit.outside == [] and visit.complaints == []
    context.close()


def test_first_page_leads_to_the_book(browser: sync_api.Browser) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto((HTML / "index.html").as_uri())
    page.wait_for_url("**/book/intro.html")
    context.close()
