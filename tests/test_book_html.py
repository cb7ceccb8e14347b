"""The built book in a real browser, from plain files: it must need no network, no server and no kernel.

Needs a Chromium and the built book (`make book`); without them the tests are skipped, visibly.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
AXE = Path(__file__).parent / "assets" / "axe.min.js"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",  # the tests may run as root
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
]  # fmt: skip
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
        views = self.page.locator("script[type='application/vnd.jupyter.widget-view+json']").count()
        if views:
            self.page.wait_for_function(
                "n => document.querySelectorAll('.cell_output .jupyter-widgets').length >= n", arg=views
            )
        self.page.wait_for_timeout(300)  # late complaints

    @property
    def outside(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        program = CHROMIUM or playwright.chromium.executable_path  # what `playwright install chromium` brings
        if not Path(program).is_file():
            pytest.skip("no Chromium: install one, or run `playwright install chromium`")
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


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
    # Shadowed, so that the require.js of widget pages does not catch it.
    visit.page.evaluate(
        "source => { (new Function('define', 'module', 'exports', source)).call(window) }",
        AXE.read_text(encoding="utf-8"),
    )
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


VISIBLE = """output => [...output.querySelectorAll("img, canvas")].filter(e => e.getClientRects().length)
    .map(e => e.currentSrc || e.toDataURL()).join(" ")"""


def test_animations_move_without_a_kernel(visit: Visit) -> None:
    sliders = visit.page.locator(".cell_output [role='slider'], .cell_output input[type='range']")
    moved = 0
    for slider in sliders.all():
        output = slider.locator("xpath=ancestor::div[contains(@class, 'cell_output')][1]").element_handle()
        before = output.evaluate(VISIBLE)
        if not before:
            continue
        slider.focus()
        slider.press("ArrowRight")
        visit.page.wait_for_timeout(300)
        after = output.evaluate(VISIBLE)
        if after == before:  # it stood at its right end
            slider.press("ArrowLeft")
            visit.page.wait_for_timeout(300)
            after = output.evaluate(VISIBLE)
        assert after and after != before, "moving the slider leaves the picture as it is"
        moved += 1
    for menu in visit.page.locator(".cell_output select").all():
        output = menu.locator("xpath=ancestor::div[contains(@class, 'cell_output')][1]").element_handle()
        before = output.evaluate(VISIBLE)
        menu.select_option(index=1)
        visit.page.wait_for_timeout(300)
        assert output.evaluate(VISIBLE) != before, "the menu leaves the picture as it is"
    for button in visit.page.locator(".cell_output .widget-play button:visible").all()[:1]:
        output = button.locator("xpath=ancestor::div[contains(@class, 'cell_output')][1]").element_handle()
        before = output.evaluate(VISIBLE)
        button.click()
        visit.page.wait_for_timeout(1_500)
        assert output.evaluate(VISIBLE) != before, "the play button plays nothing"
    source = ROOT / f"{visit.name}.ipynb"
    promised = source.read_text(encoding="utf-8").count("widgets.scrubber(") if source.exists() else 0
    assert moved >= promised, "each scrubber of the notebook moves"


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
