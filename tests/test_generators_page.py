"""The trained generators in a real browser, on a small page, opened from a file and from a server.

Needs a Chromium; without one the tests are skipped, visibly.
"""

from __future__ import annotations

import json
import re
import statistics
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from gan_course import notebook
from gan_course.data import glyphs
from gan_course.models import export
from gan_course.models.conditional import ConditionalGAN
from gan_course.models.dcgan import DCGAN
from gan_course.models.pix2pix import Pix2Pix
from tools.experiments.handwritten import colours_of

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

AXE = Path(__file__).parent / "assets" / "axe.min.js"
EXPLORERS = ("classes", "captions", "walk", "truncation", "facade", "drawing")
PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Trained generators</title>
<link rel="icon" href="data:,">
<style>body { margin: 1rem; background: #fff } html[data-theme=dark] body { background: #121212; color: #eee }
/* of the book's theme: what an explorer calls its parts must not be what the theme calls its own */
div.body { min-width: 360px } figure { padding: .5rem }
.row { margin: 0 -.75rem } .row > * { padding: 0 .75rem }</style>
<main><h1>Trained generators</h1>PLACES</main><script src="generators.js"></script><script>
window.shown = Object.fromEntries([...document.querySelectorAll("[data-show]")].map((place) =>
  [place.dataset.show, GanGenerators.render(place, { show: place.dataset.show, base: "generators/" })]));
</script></html>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, root) -> Path:
    folder = tmp_path_factory.mktemp("page")
    places = "".join(f'<h2>{show}</h2><div data-show="{show}"></div>' for show in EXPLORERS)
    (folder / "index.html").write_text(PAGE.replace("PLACES", places), encoding="utf-8")
    (folder / "generators.js").symlink_to(root / "gan_course" / "notebook" / "browser" / "generators.js")
    (folder / "generators").symlink_to(root / "book" / "weights" / "web")
    return folder


@pytest.fixture(scope="module")
def served(folder) -> Iterator[str]:
    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


class Visit:
    """The page, with all that it asked for and complained about."""

    def __init__(self, browser, url: str, **context):
        self.context = browser.new_context(**{"viewport": {"width": 1000, "height": 900}, **context})
        self.page, self.requests, self.complaints = self.context.new_page(), [], []
        self.page.on("request", lambda request: self.requests.append(request.url.rpartition("/")[2]))
        self.page.on("pageerror", lambda error: self.complaints.append(f"{error}"))
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.goto(url)

    def open(self, show: str):
        """The card of an explorer, loaded."""
        card = self.page.locator(f"[data-show={show}]")
        card.get_by_role("button", name=re.compile("^Load")).click()
        card.get_by_text("Loaded: nothing more is fetched").wait_for(timeout=60_000)
        return card

    def settled(self, card) -> list[torch.Tensor]:
        """The pictures of a card, uint8 (3, H, W), as soon as they do not change any more."""
        before, same = None, 0
        while same < 3:
            self.page.wait_for_timeout(150)
            now = card.locator("canvas").evaluate_all(
                "all => all.map(c => [c.height, c.width,"
                " ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data])"
            )
            same, before = (same + 1 if now == before else 0), now
        return [torch.tensor(v[2:], dtype=torch.uint8).view(v[0], v[1], 4)[..., :3].permute(2, 0, 1) for v in now]


@pytest.fixture(params=["file", "http"])
def visit(request, browser, folder, served) -> Iterator[Visit]:
    visit = Visit(browser, (folder / "index.html").as_uri() if request.param == "file" else served)
    yield visit
    visit.context.close()


@pytest.fixture
def at_home(browser, folder) -> Iterator[Visit]:
    visit = Visit(browser, (folder / "index.html").as_uri())
    yield visit
    visit.context.close()


def move(slider, value: float) -> None:
    """Put a slider to a value as a hand would: the page is told."""
    slider.evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input', { bubbles: true })); }", value)


def differ(a: list[torch.Tensor], b: list[torch.Tensor]) -> list[bool]:
    return [not torch.equal(x, y) for x, y in zip(a, b, strict=True)]


# --- loading --------------------------------------------------------------------------------------
def test_weights_come_when_they_are_asked_for_and_once(visit):
    assert visit.requests == ["index.html", "generators.js"] and visit.complaints == []
    visit.open("classes")
    assert visit.requests[2:] == ["conditional_mnist.js"]
    visit.open("truncation")  # has the same generator
    visit.open("captions")
    assert visit.requests[2:] == ["conditional_mnist.js", "captions_glyphs.js"] and visit.complaints == []


def test_buttons_say_how_much_comes(at_home, root):
    for show in EXPLORERS:
        text = at_home.page.locator(f"[data-show={show}]").get_by_role("button").inner_text()
        megabytes = float(re.fullmatch(r"Load \((\d\.\d) MB\)", text)[1])
        at_home.open(show)
        file = root / "book" / "weights" / "web" / at_home.requests[-1]
        if show != "truncation":  # which has the file of another one
            assert megabytes == pytest.approx(file.stat().st_size / 1e6, abs=0.051)


def test_what_is_missing_is_said_and_can_be_tried_again(browser, folder):
    visit = Visit(browser, (folder / "index.html").as_uri())
    render = "base => { GanGenerators.render(document.querySelector('[data-show=classes]'), {show: 'classes', base}) }"
    visit.page.evaluate(render, "nowhere/")
    card = visit.page.locator("[data-show=classes]")
    for _ in range(2):
        card.get_by_role("button", name=re.compile("^Load")).click()
        card.get_by_text("nowhere/conditional_mnist.js could not be read").wait_for()
        assert card.locator("canvas").count() == 0
    visit.page.evaluate(render, "generators/")
    assert len(visit.settled(visit.open("classes"))) == 11
    attempt = "o => { try { GanGenerators.render(document.body, o) } catch (error) { return `${error}` } }"
    wrong = {"show must be one of classes": {"show": "x"}, "name must be one of": {"show": "captions", "name": "x"}}
    for message, options in wrong.items():
        error = visit.page.evaluate(attempt, options)
        assert error.startswith("RangeError") and message in error
    visit.page.evaluate("window.shown.walk.destroy()")
    assert visit.page.locator("[data-show=walk] > *").count() == 0
    visit.context.close()


def test_a_generator_of_the_readers_own(browser, folder, tmp_path):
    """What ``gan-course export-web`` writes, in a page of three lines; and in explorers that it does not fit."""
    torch.manual_seed(0)
    own = {
        "plain": DCGAN(shape=(1, 16, 16), latent_dim=5, width=4),
        "classy": ConditionalGAN(shape=(1, 16, 16), latent_dim=5, width=4, num_classes=3),
        "translator": Pix2Pix(shape=(2, 3, 16, 16), width=4),
    }
    for name, model in own.items():
        (tmp_path / f"{name}.js").write_text(export.to_script(model, name), encoding="utf-8")
    shows = [("walk", "plain"), ("truncation", "plain"), ("classes", "classy"), ("walk", "classy")]
    wrong = {
        ("classes", "plain"): "plain takes a latent without a class",
        ("walk", "translator"): "translator takes an image, not a latent",
    }
    places = "".join(f'<div id="{show}-{name}"></div>' for show, name in [*shows, *wrong])
    calls = "".join(
        f'show("{show}-{name}", {json.dumps({"show": show, "name": name, "base": ""})});'
        for show, name in [*shows, *wrong]
    )
    show = "const show = (id, options) => GanGenerators.render(document.getElementById(id), options);"
    script = f'{places}<script src="generators.js"></script><script>{show}{calls}</script>'
    (tmp_path / "index.html").write_text(f'<!doctype html><link rel="icon" href="data:,">{script}', encoding="utf-8")
    (tmp_path / "generators.js").symlink_to(folder / "generators.js")
    visit = Visit(browser, (tmp_path / "index.html").as_uri())
    pictures = {"walk": 10, "truncation": 16, "classes": 4}
    for show, name in shows:
        card = visit.page.locator(f"#{show}-{name}")
        assert card.get_by_role("button").all_inner_texts() == ["Load"]
        card.get_by_role("button").click()
        card.get_by_text("Loaded: nothing more is fetched").wait_for()
        images = visit.settled(card)
        assert len(images) == pictures[show] and len({image.numpy().tobytes() for image in images}) > 2
    assert visit.page.locator("#classes-classy figcaption").all_inner_texts() == ["class 0", "0", "1", "2"]
    for (show, name), message in wrong.items():
        card = visit.page.locator(f"#{show}-{name}")
        card.get_by_role("button").click()
        card.get_by_text(message).wait_for()
        assert card.locator("canvas").count() == 0
    assert visit.complaints == []
    visit.context.close()


# --- explorers ------------------------------------------------------------------------------------
def test_classes(visit):
    card = visit.open("classes")
    first = visit.settled(card)
    assert len(first) == 11 and torch.equal(first[0], first[1]), "the large one is class 0"
    assert len({image.numpy().tobytes() for image in first}) == 10
    card.get_by_role("combobox", name="class", exact=True).select_option("7")
    second = visit.settled(card)
    assert torch.equal(second[0], first[8]) and not any(differ(first[1:], second[1:]))
    move(card.get_by_role("slider", name="first direction", exact=True), 3)
    third = visit.settled(card)
    assert all(differ(second, third))
    box = card.locator(".pad").bounding_box()
    visit.page.mouse.click(box["x"] + 5, box["y"] + 5)
    fourth = visit.settled(card)
    assert all(differ(third, fourth))
    values = [float(card.get_by_role("slider", name=f"{name} direction").input_value()) for name in ("first", "second")]
    assert values[0] < -2.6 and values[1] > 2.6
    card.get_by_role("button", name="new z").click()
    assert all(differ(fourth, visit.settled(card))) and visit.complaints == []


def test_captions_are_obeyed(visit):
    card = visit.open("captions")
    card.get_by_role("combobox", name="ink", exact=True).select_option("blue")
    card.get_by_role("combobox", name="background", exact=True).select_option("white")
    card.get_by_role("combobox", name="slant", exact=True).select_option("italic")
    card.get_by_text("an italic blue A on a white background", exact=True).wait_for()
    images = torch.stack(visit.settled(card))
    assert len(images) == 8
    shown = glyphs.measured_colors(images)
    assert (shown["ink"] == list(glyphs.INKS).index("blue")).sum() >= 7
    assert (shown["background"] == list(glyphs.BACKGROUNDS).index("white")).sum() >= 7
    assert card.get_by_text("Training images had a blue A.").count() == 1
    card.get_by_role("combobox", name="ink", exact=True).select_option("black")
    assert card.get_by_text("No training image had a black A").count() == 1
    before = visit.settled(card)
    card.get_by_role("button", name="new z").click()
    assert all(differ(before, visit.settled(card))) and visit.complaints == []


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_walk(browser, folder, motion):
    visit = Visit(browser, (folder / "index.html").as_uri(), reduced_motion=motion)
    card = visit.open("walk")
    images = visit.settled(card)
    assert len(images) == 10 and torch.equal(images[0], images[1])
    place = card.get_by_role("slider", name="t", exact=True)
    move(place, 1)
    assert torch.equal(visit.settled(card)[0], images[9])
    card.get_by_role("combobox", name="way", exact=True).select_option("line")
    straight = visit.settled(card)
    changed = differ(images[1:], straight[1:])
    assert not changed[0] and not changed[-1] and all(changed[2:7]), "the ends stay"
    middle = re.search(r"here: ([\d.]+), half way: ([\d.]+)", card.inner_text())
    assert float(middle[2]) < 0.85 * float(middle[1])
    move(place, 0)
    card.get_by_role("button", name="play").click()
    seen = set()
    for _ in range(25):
        seen.add(place.input_value())
        visit.page.wait_for_timeout(100)
    card.get_by_role("button", name="pause").click()
    assert len(seen) <= 4 if motion == "reduce" else len(seen) >= 5
    visit.page.wait_for_timeout(1200)
    stopped = place.input_value()
    visit.page.wait_for_timeout(1200)
    assert place.input_value() == stopped and card.get_by_role("button", name="play").count() == 1
    assert visit.complaints == []
    visit.context.close()


def test_truncation(at_home):
    card = at_home.open("truncation")
    note = card.get_by_text("Two of these 16 differ by")
    note.wait_for()
    whole = at_home.settled(card)
    assert len(whole) == 16 and "1.00 times" in note.inner_text()
    card.get_by_role("combobox", name="class", exact=True).select_option("3")
    move(card.get_by_role("slider", name="dial", exact=True), 0)
    none = at_home.settled(card)
    assert not any(differ(none[1:], none[:-1])) and "differ by 0.00" in note.inner_text()
    shares = []
    for dial in (0.5, 1.5):
        move(card.get_by_role("slider", name="dial", exact=True), dial)
        at_home.settled(card)
        shares.append(float(re.search(r": ([\d.]+) times", note.inner_text())[1]))
    assert shares[0] < 0.9 and shares[1] > 1
    card.get_by_role("combobox", name="way", exact=True).select_option("truncated")
    move(card.get_by_role("slider", name="dial", exact=True), 0.5)
    assert len({image.numpy().tobytes() for image in at_home.settled(card)}) == 16
    cut = float(re.search(r": ([\d.]+) times", note.inner_text())[1])
    assert cut < 1, "numbers beyond the dial were drawn again"
    move(card.get_by_role("slider", name="dial", exact=True), 0)  # a bound is never 0: nothing would be left to draw
    at_home.settled(card)
    assert card.get_by_role("slider", name="dial", exact=True).input_value() == "0.05"
    assert at_home.complaints == []


def test_drawing_by_pointer_and_keys(visit):
    card = visit.open("drawing")
    sheet = card.get_by_role("application")
    first = visit.settled(card)
    assert len(first) == 2
    card.get_by_role("button", name="clear").click()
    empty = visit.settled(card)
    assert (empty[0] == 255).all() and not torch.equal(empty[1], first[1])
    assert card.get_by_text("An empty sheet").count() == 1
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])  # noqa: E731
    visit.page.mouse.move(*at(0.5, 0.2))
    visit.page.mouse.down()
    visit.page.mouse.move(*at(0.5, 0.8), steps=8)
    visit.page.mouse.up()
    line = visit.settled(card)
    dark = (line[0][0] < 100).nonzero()
    assert 17 <= len(dark.unique(dim=0)[:, 0].unique()) <= 23, "from a fifth to four fifths of 32 rows"
    assert 14 <= dark[:, 1].min() and dark[:, 1].max() <= 17 and not torch.equal(line[1], empty[1])
    card.get_by_text(re.compile(r"Its colours are nearest to those of [A-J]\.")).wait_for()
    sheet.focus()
    for key in ["ArrowUp"] * 5 + [" "] + ["ArrowRight"] * 5 + [" "] + ["ArrowDown"] * 2:
        visit.page.keyboard.press(key)
    assert card.get_by_text("pen up, column 26, row 10").count() == 1
    mark, box = card.locator(".mark").bounding_box(), sheet.bounding_box()
    where = [(mark[x] + mark[side] / 2 - box[x]) / box[side] * 32 for x, side in (("x", "width"), ("y", "height"))]
    assert where == pytest.approx([26, 10], abs=0.5)
    crossed = visit.settled(card)
    assert (crossed[0][0, 6, 18:25] < 100).all() and not torch.equal(crossed[1], line[1])
    card.get_by_role("button", name="undo").click()
    assert not any(differ(visit.settled(card), line)) and visit.complaints == []


def test_facades(at_home):
    card = at_home.open("facade")
    sheet = card.get_by_role("application")
    first = at_home.settled(card)
    assert len(first) == 2 and first[0].shape == (3, 64, 64)
    card.get_by_role("button", name="a bare wall").click()
    bare = at_home.settled(card)
    assert (bare[0].flatten(1).T == torch.tensor([0, 0, 255])).all() and not torch.equal(bare[1], first[1])
    assert card.get_by_role("button", name="window", pressed=True).count() == 1
    card.get_by_role("button", name="door", exact=True).click()
    assert card.get_by_role("button", pressed=True).all_inner_texts() == ["door"]
    sheet.focus()  # a rectangle by keys: from the middle, four times right by 2, three times down
    for key in [" "] + ["ArrowRight"] * 4 + ["ArrowDown"] * 3 + [" ", "ArrowDown"]:
        at_home.page.keyboard.press(key)
    door = at_home.settled(card)
    painted = (door[0] == torch.tensor([0, 170, 255])[:, None, None]).all(0)
    assert painted.sum() == painted[32:39, 32:41].sum() == 7 * 9 and not torch.equal(door[1], bare[1])
    box = sheet.bounding_box()
    at_home.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    at_home.page.mouse.down()
    at_home.page.mouse.move(box["x"] + 2, box["y"] + 2, steps=4)
    at_home.page.mouse.up()
    more = (at_home.settled(card)[0] == torch.tensor([0, 170, 255])[:, None, None]).all(0)
    assert more[:16, :16].all() and more.sum() - painted.sum() in range(256, 17 * 17 + 1)
    for _ in range(2):
        card.get_by_role("button", name="undo").click()
    assert not any(differ(at_home.settled(card), bare)) and at_home.complaints == []


# --- for everybody --------------------------------------------------------------------------------
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_use_them(browser, folder, theme):
    visit = Visit(browser, (folder / "index.html").as_uri(), viewport={"width": 390, "height": 844})
    visit.page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
    for show in EXPLORERS:
        visit.settled(visit.open(show))
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    beyond = """cards => cards.flatMap(card => [...card.querySelectorAll(":not(option)")].filter(part => {
        const [box, room] = [part, card].map(element => element.getBoundingClientRect());
        return part.checkVisibility() && (box.left < room.left || box.right > room.right);
    }).map(part => part.outerHTML.slice(0, 80)))"""
    assert visit.page.locator(".gan-generators-card").evaluate_all(beyond) == []
    visit.page.add_script_tag(path=AXE)
    found = visit.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    assert [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in found] == []
    assert visit.complaints == []
    visit.context.close()


def test_what_the_cards_say_is_in_the_tables(root):
    said = json.loads((root / "lab" / "src" / "generators" / "models.json").read_text())
    stored = {
        "conditional_mnist": [("conditional_mnist", "accuracy"), ("conditional_mnist_28_real", "accuracy")],
        "projection_cifar10": [("projection_cifar10", "accuracy"), ("conditional_cifar10_real", "accuracy")],
        "captions_glyphs": [("captions_glyphs", "all"), ("captions_glyphs", "all_held_out")],
        "pix2pix_handwritten": [
            ("pix2pix_handwritten", key) for key in ("background", "colours", "unseen_in_colours")
        ],
    }
    real = notebook.stored("pix2pix_facades_real")["rows"][0]["mean"]["psnr"]
    psnr = [notebook.stored("pix2pix_facades")["rows"][0]["psnr"], real]
    text = said["pix2pix_facades"]["text"]
    assert all(f" {value:.1f}" in text for value in psnr) and len(re.findall(r"\d+\.\d", text)) == 2
    for name, sources in stored.items():
        medians = [statistics.median(row[key] for row in notebook.stored(table)["rows"]) for table, key in sources]
        assert re.findall(r"[\d.]+ %", said[name]["text"]) == [f"{100 * value:.1f} %" for value in medians], name
    palettes = [list(map(list, colours.values())) for colours in (glyphs.INKS, glyphs.BACKGROUNDS)]
    numbers = colours_of(torch.arange(10))
    assert said["pix2pix_handwritten"]["colours"] == [
        [letter, palettes[0][ink], palettes[1][behind]]
        for letter, ink, behind in zip(glyphs.CHARACTERS, numbers["ink"], numbers["background"], strict=True)
    ]
