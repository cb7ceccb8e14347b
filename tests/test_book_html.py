"""The built book in a real browser, from plain files: it must need no network, no server and no kernel.

Needs a Chromium and the built book (`make book`); without them the tests are skipped, visibly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tools import page_weight

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
AXE = Path(__file__).parent / "assets" / "axe.min.js"
DESKTOP, PHONE, SMALL = ({"width": w, "height": h} for w, h in ((1280, 900), (390, 844), (320, 640)))
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
        self.page.evaluate("document.fonts.ready.then(() => true)")
        self.page.wait_for_timeout(300)  # late complaints

    @property
    def outside(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="module", params=[*toc_pages(), "genindex", "py-modindex", "search"])
def visit(request: pytest.FixtureRequest, browser: sync_api.Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    visit = Visit(request.param, context.new_page())
    visit.open()
    yield visit
    context.close()


def test_page_is_silent_and_needs_no_network(visit: Visit) -> None:
    assert visit.outside == []
    assert visit.complaints == []


def test_pages_load_only_what_they_show(visit: Visit) -> None:
    assert [url for url in visit.requests if re.search("fontawesome|webfonts|mathjax|thebe", url)] == []
    formulas = visit.page.locator(".katex").count()
    assert any("katex" in url for url in visit.requests) == (formulas > 0)
    blocking = visit.page.locator("script[src]").evaluate_all("all => all.filter(e => !e.defer && !e.async).length")
    assert blocking == 0, "scripts that run before the first paint"


def test_page_says_what_it_is(visit: Visit) -> None:
    def meta(name: str) -> str:
        return visit.page.locator(f"meta[name='{name}'], meta[property='{name}']").get_attribute("content") or ""

    assert visit.page.locator("link[rel='icon']").count() == 1
    if visit.name in toc_pages():
        assert 40 < len(meta("description")) <= 165
        assert (HTML / visit.name).parent.joinpath(meta("og:image")).is_file()
        assert meta("og:title") in visit.page.title()
    book, _, rest = visit.page.title().partition(" — ")
    assert book.lower() != rest.lower(), "the book's name twice"


def test_mathematics_is_rendered(visit: Visit) -> None:
    assert visit.page.locator("article .math").count() == visit.page.locator("article .math:has(.katex)").count()
    assert visit.page.locator(".katex-error").count() == 0
    raw = visit.page.evaluate(
        r"""() => {
            const skip = "pre, code, script, style, .katex";
            const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
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
        """() => Promise.all([...document.querySelectorAll("article img:not(.toggler)")].map(async image => {
            const loading = image.loading;
            image.loading = "eager";  // those further down wait until they are near
            await image.decode().catch(() => {});
            image.loading = loading;
            return { source: image.src.slice(0, 120), width: image.naturalWidth,
                text: image.alt || image.title || image.getAttribute("aria-label") || "" };
        }))"""
    )
    for image in images:
        assert image["width"] > 0, f"not loaded: {image['source']}"
        text = image["text"].strip()
        assert len(text) >= 8 and " " in text, f"no description but {text!r}: {image['source']}"
        assert not re.search(r"[0-9a-f]{20}|\.(png|jpe?g|svg)$|_images/", text), f"a file name: {text}"


@contextmanager
def size(visit: Visit, viewport: dict[str, int]) -> Iterator[None]:
    """The page in another size for a while."""
    visit.page.set_viewport_size(viewport)
    visit.page.wait_for_timeout(200)
    # What watches sizes is told in the frame after the layout: on a busy machine that is late.
    visit.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    yield
    visit.page.set_viewport_size(DESKTOP)


@pytest.mark.parametrize("viewport", [PHONE, SMALL], ids=["390", "320"])
def test_phone_does_not_scroll_sideways(visit: Visit, viewport: dict[str, int]) -> None:
    with size(visit, viewport):
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        # What sticks out must stand in a box that scrolls, or it cannot be read.
        cut = visit.page.evaluate(
            """() => {
                const scrolls = e => e && (["auto", "scroll"].includes(getComputedStyle(e).overflowX)
                    || scrolls(e.parentElement));
                return [...document.querySelectorAll("article *")]
                    .filter(e => !e.closest(".katex-mathml, .katex svg") && e.checkVisibility()
                        && e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e))
                    .map(e => e.outerHTML.slice(0, 120));
            }"""
        )
        assert cut == []


def test_boxes_that_go_on_say_so_and_can_be_scrolled_by_keyboard(visit: Visit) -> None:
    for viewport in (DESKTOP, PHONE):
        with size(visit, viewport):
            visit.page.wait_for_timeout(400)  # the theme waits 300 ms after a change of the size
            unmarked = visit.page.evaluate(
                """() => [...document.querySelectorAll("article *")]
                    .filter(e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX) && e.checkVisibility()
                        && e.scrollWidth > e.clientWidth + 1
                        && !(e.matches(".more-right") && e.tabIndex === 0) && !e.matches("p"))
                    .map(e => e.outerHTML.slice(0, 120))"""
            )
            assert unmarked == []


def test_formulas_are_whole_on_a_phone(visit: Visit) -> None:
    """A displayed formula breaks where it may; one that is still too wide for 320 px is to be written in more lines."""
    with size(visit, SMALL):
        wide = visit.page.evaluate(
            """() => [...document.querySelectorAll("article div.math")]
                .map(e => [e.scrollWidth - e.clientWidth, e.querySelector("annotation").textContent])
                .filter(([over]) => over > 1).map(([over, text]) => `${over} px too wide: ${text}`)"""
        )
    assert wide == [], "\n".join(wide)


def test_formulas_are_read_aloud_and_no_tab_stops(visit: Visit) -> None:
    mute = "[...document.querySelectorAll('article .math')].filter(e => !e.querySelector('math')).length"
    assert visit.page.evaluate(mute) == 0
    stops = visit.page.locator("article .math [tabindex], article .math[tabindex]:not(.more-right)").count()
    assert stops == 0


def test_figures_come_when_they_are_near(visit: Visit) -> None:
    """Their place is reserved, so that nothing moves; on a phone a wide one keeps a size in which it can be read."""
    images = "article img:not(.gan-widget img, picture img, .toggler)"  # a <picture> opens the landing page
    for image in visit.page.locator(images).all():
        assert image.get_attribute("loading") == "lazy" and image.get_attribute("decoding") == "async"
        assert image.get_attribute("width") and image.get_attribute("height")
    with size(visit, PHONE):
        for image in visit.page.locator(f".gan-wide img, {images}").all():
            if image.evaluate("image => image.closest('.sd-card, .gallery') !== null"):
                continue  # cards and grids of samples shrink with the page
            box, width = image.bounding_box(), int(image.get_attribute("width"))
            assert box is None or box["width"] >= min(width, 300), "shrunk below what can be read"
            assert box is None or width < 620 or box["width"] >= 620


def test_contents_show_where_one_is(visit: Visit) -> None:
    if visit.page.locator(".page-toc a").count() == 0:
        return
    height = visit.page.evaluate("document.documentElement.scrollHeight")
    for step in range(21):
        visit.page.evaluate(f"scrollTo(0, {height} * {step} / 20)")
        visit.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        current = visit.page.locator(".page-toc a.active")
        assert current.count() == 1 and current.is_visible()
    visit.page.evaluate("scrollTo(0, 0)")


def test_prints_whole(visit: Visit) -> None:
    """On paper nothing scrolls: lines of code wrap, and each moving figure is one picture."""
    visit.page.emulate_media(media="print")
    with size(visit, {"width": 700, "height": 1000}):  # an A4 page without its margins
        cut = visit.page.evaluate(
            """() => [...document.querySelectorAll("article pre")]
                .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
                .map(e => e.textContent.slice(0, 120))"""
        )
        assert cut == []
        assert visit.page.locator(".gan-widget .controls:visible").count() == 0
    visit.page.emulate_media(media="screen")


def test_accessibility(visit: Visit) -> None:
    visit.page.evaluate(AXE.read_text(encoding="utf-8"))
    result = visit.page.evaluate("axe.run({exclude: ['.katex-html']}, {resultTypes: ['violations']})")
    found = [
        f"{v['id']} ({v['impact']}): {node['html'][:160]}"
        for v in result["violations"]
        if v["impact"] in {"serious", "critical"} and v["id"] not in THEME_FINDINGS
        for node in v["nodes"]
    ]
    assert found == []


def test_hidden_solutions_open(visit: Visit) -> None:
    """The first by the mouse; all others by a click from the page's own program, which is many times as fast."""
    solutions = visit.page.locator("article details:not(.gan-lab *)")  # test_lab_page.py tries the lab's own folds
    if solutions.count() == 0:
        return
    assert visit.page.locator("article details[open]:not(.gan-lab *)").count() == 0, "solutions must be hidden at first"
    solutions.first.locator("> summary").click()
    sync_api.expect(solutions.first.locator("> :not(summary)").first).to_be_visible(timeout=2_000)
    solutions.first.locator("> summary").click()
    sync_api.expect(solutions.first.locator("> :not(summary)").first).to_be_hidden(timeout=2_000)
    unseen = solutions.evaluate_all(
        """async all => {
            const click = details => details.querySelector(":scope > summary").click();
            const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)));
            all.forEach(click);  // an outer fold stands before those in it
            await frame();
            const unseen = all.filter(e => !e.querySelector(":scope > :not(summary)")?.checkVisibility());
            all.forEach(click);
            await frame();
            return unseen.map(e => e.outerHTML.slice(0, 160));
        }"""
    )
    assert unseen == []
    assert visit.page.locator("article details[open]:not(.gan-lab *)").count() == 0


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


def test_dark_pages_keep_contrast(visit: Visit) -> None:
    visit.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    visit.page.wait_for_timeout(400)  # colours fade
    visit.page.evaluate(AXE.read_text(encoding="utf-8"))
    where = "{exclude: ['.katex']}"
    result = visit.page.evaluate(f"axe.run({where}, {{runOnly: ['color-contrast'], resultTypes: ['violations']}})")
    assert [node["html"][:160] for v in result["violations"] for node in v["nodes"]] == []
    dimmed = "[...document.querySelectorAll('article img')].filter(e => getComputedStyle(e).filter !== 'none').length"
    assert visit.page.evaluate(dimmed) == 0
    visit.page.evaluate("document.documentElement.dataset.theme = 'light'")


def test_first_view_from_a_server_is_light_and_silent(visit: Visit, browser: sync_api.Browser, address: str) -> None:
    assert page_weight.weigh(browser, address, visit.name, slow=False).faults(timed=False) == []


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with page_weight.served(HTML) as address:
        yield address


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["1280", "390"])
def test_links_land_on_their_headings(browser: sync_api.Browser, viewport: dict[str, int]) -> None:
    """Headings of all pages, opened by their address with an empty cache."""
    wrong = []
    for name in toc_pages():
        text = (HTML / f"{name}.html").read_text(encoding="utf-8")
        headings = re.findall(r'<section id="([^"]+)"', text)[1:]
        for anchor in headings[len(headings) // 2 :: max(1, len(headings) // 2)][:2]:
            context = browser.new_context(viewport=viewport)
            visit = Visit(name, context.new_page())
            visit.open(f"#{anchor}")
            top, below = visit.page.evaluate(
                """id => [document.getElementById(id).getBoundingClientRect().top,
                    document.documentElement.scrollHeight - innerHeight - scrollY]""",
                anchor,
            )
            if not (40 <= top <= 100 or (below < 2 and top > 0)):
                wrong.append(f"{name}#{anchor}: {top:.0f} px below the top")
            context.close()
    assert wrong == []


def test_drawer_closes_when_an_entry_is_chosen(browser: sync_api.Browser) -> None:
    context = browser.new_context(viewport=PHONE)
    visit = Visit("book/game/vanilla_gan", context.new_page())
    visit.open()
    visit.page.locator(".secondary-toggle").click()
    entry = visit.page.locator("dialog[open] .page-toc .toc-h2 > a").nth(3)
    target = entry.get_attribute("href")
    entry.click()
    assert visit.page.locator("dialog[open]").count() == 0
    assert visit.page.evaluate("location.hash") == target
    context.close()


@pytest.mark.parametrize("query", ["discriminator", "saturating"])
def test_search_works_offline(browser: sync_api.Browser, query: str) -> None:
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    visit = Visit("search", context.new_page())
    texts: list[str] = []
    visit.page.on("request", lambda request: texts.append(request.url) if "/search_texts/" in request.url else None)
    visit.open(f"?q={query}")
    visit.page.wait_for_selector("#search-results li a", timeout=10_000)
    links = visit.page.locator("#search-results li a").evaluate_all("links => links.map(a => a.href)")
    assert any("vanilla_gan" in link for link in links)
    excerpts = visit.page.locator("#search-results li .context")
    excerpts.first.wait_for()
    assert query in " ".join(excerpts.all_inner_texts()).lower()
    assert any(re.search(r"vanilla_gan\.html.*#", link) for link in all_links(visit)), "no hit leads to a section"
    assert len(set(texts)) == len(texts) < len(toc_pages()), "texts of results that are far below"
    last = visit.page.locator("#search-results li:has(> a)").last
    for _ in range(20):  # the results above grow meanwhile
        last.scroll_into_view_if_needed()
        visit.page.wait_for_timeout(200)
        if last.locator(".context").is_visible():
            break
    sync_api.expect(last.locator(".context")).to_be_visible()
    assert visit.outside == [] and visit.complaints == []
    context.close()


def all_links(visit: Visit) -> list[str]:
    return visit.page.locator("#search-results li > a").evaluate_all("links => links.map(a => a.href)")


def test_first_page_leads_to_the_book(browser: sync_api.Browser) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto((HTML / "index.html").as_uri())
    page.wait_for_url("**/book/intro.html")
    context.close()
