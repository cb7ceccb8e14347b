"""The lab in a real browser: a small page in which the built ``lab.js`` is all there is, from a file and from a server.

Needs a Chromium; without one the tests are skipped, visibly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools import page_weight

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "gan_course" / "notebook" / "browser" / "lab.js"
AXE = Path(__file__).parent / "assets" / "axe.min.js"
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Lab</title>
<link rel="icon" href="data:,">POLICY
<style>
  body { margin: 0; background: #fff; color: #222; font-family: sans-serif }
  html[data-theme=dark] body { background: #14181e; color: #ced6dd }
  main { max-width: 1240px; margin: auto; padding: 0 12px }
</style></head>
<body><main><h1>Lab</h1><p id="far"></p><div id="lab"></div>
<table><tr><td>1</td></tr></table><button>other</button></main>
<script src="lab.js"></script>
<script>window.options = new URLSearchParams(location.search).get("options");
window.lab = GanLab.render(document.getElementById("lab"), options ? JSON.parse(options) : undefined);</script>
</body></html>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the lab, and one whose policy forbids workers."""
    folder = tmp_path_factory.mktemp("lab")
    folder.joinpath("lab.js").write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    forbidden = "<meta http-equiv=\"Content-Security-Policy\" content=\"worker-src 'none'\">"
    for name, policy in (("index.html", ""), ("strict.html", forbidden)):
        folder.joinpath(name).write_text(PAGE.replace("POLICY", policy), encoding="utf-8")
    return folder


class Lab:
    """The page with the lab, seen through its controls."""

    def __init__(self, page: sync_api.Page, address: str):
        self.page, self.address = page, address
        page.set_default_timeout(30_000)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("console", lambda m: self.complaints.append(f"console: {m.text}") if m.type == "error" else None)

    def open(self, fragment: str = "", *, options: str = "") -> Lab:
        query = "?options=" + options if options else ""
        self.page.goto("about:blank")  # a new fragment alone would not load the page again
        self.page.goto(self.address + query + fragment)
        self.settled()
        return self

    def button(self, name: str) -> sync_api.Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def setting(self, name: str) -> sync_api.Locator:
        return self.page.locator(f".gan-lab .gl-settings [name='{name}']")

    @property
    def state(self) -> dict[str, Any]:
        return self.page.evaluate("lab.state()")

    @property
    def run(self) -> dict[str, Any]:
        return self.state["runs"][0]

    @property
    def text(self) -> str:
        return self.page.locator(".gan-lab").inner_text()

    @property
    def fragment(self) -> str:
        return self.page.evaluate("location.hash")

    def until(self, condition: str, timeout: float = 60_000) -> None:
        """Wait for a condition on ``s``, the state of the lab, and on ``a``, its first run."""
        self.page.wait_for_function(
            f"() => {{ const s = lab.state(), a = s.runs[0]; return {condition}; }}", timeout=timeout
        )

    def settled(self) -> None:
        self.until("!s.playing && !s.busy && !s.due")

    def play(self, condition: str) -> None:
        """Play as fast as it goes until a condition holds, and pause."""
        self.page.locator("select[id$=speed]").select_option("0")
        self.button("Play").click()
        self.until(condition)
        if self.state["playing"]:
            self.button("Pause").click()
        self.settled()

    def unfold(self) -> None:
        self.page.locator(".gan-lab details").evaluate_all("all => all.forEach(e => { e.open = true; })")


@pytest.fixture
def opened(browser: sync_api.Browser, folder: Path) -> Iterator[Callable[..., Lab]]:
    """Opens pages, in contexts of their own, and looks at the end that none asked for or complained of anything."""
    contexts, labs = [], []

    def new(
        fragment: str = "", *, address: str = "", page: str = "index.html", options: str = "", **context: Any
    ) -> Lab:  # fmt: skip
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}, **context))
        labs.append(Lab(contexts[-1].new_page(), (address or folder.as_uri()) + "/" + page))
        return labs[-1].open(fragment, options=options)

    yield new
    for lab in labs:
        assert lab.complaints == []
        own = (lab.address.rpartition("/")[0], "blob:", "about:", "data:")
        assert [url for url in lab.requests if not url.startswith(own)] == []
    for context in contexts:
        context.close()


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if request.param == "file":
        yield folder.as_uri()
    else:
        with page_weight.served(folder) as served:
            yield served.rstrip("/")


def test_finds_all_modes(opened: Callable[..., Lab], address: str) -> None:
    lab = opened("#steps=600", address=address)
    assert "Nothing is trained yet" in lab.text
    assert lab.run["step"] == 0
    lab.play("a.over")
    run = lab.run
    assert (run["step"], run["mode"], run["diverged"]) == (600, "worker", None)
    assert (run["measure"]["modes"], run["measure"]["of"]) == (8, 8)
    assert run["measure"]["js"] < 0.55
    assert "8 of 8" in lab.text
    assert "step 600" in lab.text
    assert lab.button("Play").is_disabled()
    assert "8 of 8 modes are covered" in lab.page.locator("canvas[role=img]").get_attribute("aria-label")
    lab.button("Start again").click()
    lab.settled()
    assert lab.run["step"] == 0
    assert lab.button("Play").is_enabled()


def test_a_page_without_workers_trains_the_same(opened: Callable[..., Lab]) -> None:
    measures = []
    for page, mode in (("index.html", "worker"), ("strict.html", "slices")):
        lab = opened("#steps=50&width_g=8&width_d=8", page=page)
        lab.play("a.over")
        assert lab.run["mode"] == mode
        measures.append(lab.run["measure"])
        # That the policy was kept is what the browser complains about.
        lab.complaints = [text for text in lab.complaints if "Content Security Policy" not in text]
    assert measures[0] == measures[1]


def test_a_collapse_is_told(opened: Callable[..., Lab]) -> None:
    # A D that never learns: lr_d 0 would leave no gradient worth the name; this is the collapse preset, smaller.
    lab = opened("#preset=collapse&width_g=64&width_d=64&batch=128&steps=400&decay_from=0")
    lab.play("a.over")
    measure = lab.run["measure"]
    assert measure["modes"] <= 2
    assert "collapse" in lab.page.locator(".gl-badge").inner_text()
    assert f"{measure['modes']} of 8" in lab.text


def test_divergence_is_told(opened: Callable[..., Lab]) -> None:
    lab = opened("#loss=wasserstein&optimizer_g=sgd&optimizer_d=sgd&lr_g=10&lr_d=10&width_g=8&width_d=8")
    lab.play("a.over")
    assert "at step" in lab.run["diverged"]
    assert "diverged" in lab.page.locator(".gl-badge").inner_text()
    assert lab.run["diverged"] in lab.page.locator(".gl-sentence").inner_text()


def test_one_step_is_one_step(opened: Callable[..., Lab]) -> None:
    lab = opened()
    for step in range(1, 4):
        lab.button("One step").click()
        lab.until(f"a.step === {step} && !s.busy")
    lab.settled()
    assert lab.page.locator(".gl-step").inner_text() == "step 3"
    assert lab.page.locator(".gl-numbers caption").inner_text() == "Measured at step 3"
    assert lab.run["measure"]["step"] == 3


def test_each_control_reacts(opened: Callable[..., Lab]) -> None:
    for fragment in ("#batch=16&width_g=8&width_d=8&penalty=1&steps=50", "#game=dirac&penalty=1"):
        lab = opened(fragment)
        lab.unfold()
        names = lab.page.locator(".gan-lab .gl-settings [name]:visible").evaluate_all("all => all.map(e => e.name)")
        assert len(names) >= 8
        for name in names:
            if name == "game":
                continue  # it has another form, and a test of its own
            before = lab.run["settings"][name]
            control = lab.setting(name)
            assert control.is_enabled(), name
            if isinstance(before, bool):
                control.click()
            elif isinstance(before, str):
                values = control.locator("option").evaluate_all("all => all.map(e => e.value)")
                control.select_option(next(v for v in values if v not in (before, "drawn")))
            else:
                low, high = float(control.get_attribute("min")), float(control.get_attribute("max"))
                whole = control.get_attribute("step") == "1"
                step = 1 if before < high else -1
                value = before + step if whole else (before + low) / 2 or high / 2
                control.fill(f"{value:g}")
                control.press("Enter")
            lab.settled()
            after = lab.run["settings"][name]
            assert after != before, name
            assert name in lab.fragment, name
            assert lab.page.locator(".gl-message").is_hidden(), name
            lab.open(fragment)
            lab.unfold()


def test_controls_say_what_they_do(opened: Callable[..., Lab]) -> None:
    lab = opened()
    lab.unfold()
    help_line = lab.page.locator(".gl-group:has([name='loss']) .gl-help")
    lab.setting("clip").focus()
    assert "weights are cut" in help_line.inner_text()
    lab.setting("r1").focus()
    assert "slope at real samples" in help_line.inner_text()
    for control in lab.page.locator(".gan-lab .gl-settings [name]").all():
        described = lab.page.locator(f"#{control.get_attribute('aria-describedby')}")
        assert len(described.text_content()) > 20


def test_bad_values_are_refused_with_a_reason(opened: Callable[..., Lab]) -> None:
    lab = opened()
    lab.unfold()
    lab.setting("batch").fill("4")
    lab.setting("batch").press("Enter")
    assert "batch must be a whole number from 8 to 512, got 4" in lab.page.get_by_role("alert").inner_text()
    assert lab.setting("batch").input_value() == "128"
    assert lab.run["settings"]["batch"] == 128


def test_arrow_keys_step_through_usual_values(opened: Callable[..., Lab]) -> None:
    lab = opened()
    lab.unfold()
    lab.setting("lr_g").press("ArrowUp")
    lab.until("a.settings.lr_g === 0.005")
    lab.setting("lr_g").press("ArrowDown")
    lab.setting("lr_g").press("ArrowDown")
    lab.until("a.settings.lr_g === 0.001")


def test_links_hold_the_experiment(opened: Callable[..., Lab]) -> None:
    lab = opened()
    lab.unfold()
    lab.setting("loss").select_option("hinge")
    lab.setting("spectral_norm").click()
    lab.setting("seed").fill("5")
    lab.setting("seed").press("Enter")
    lab.settled()
    assert lab.fragment == "#loss=hinge&spectral_norm=1&seed=5"
    link = lab.page.get_by_label("Link to this experiment").input_value()
    assert link == lab.address + lab.fragment
    settings = lab.run["settings"]
    other = opened(lab.fragment)
    assert other.run["settings"] == settings
    assert other.setting("loss").input_value() == "hinge"
    lab.page.evaluate("location.hash = '#preset=collapse&seed=2'")  # a link on the page itself
    lab.until("a.settings.lr_d === 0.0001 && a.settings.seed === 2")
    lab.settled()
    lab.page.evaluate("location.hash = '#some-heading'")
    lab.page.wait_for_timeout(100)
    assert lab.run["settings"]["seed"] == 2


def test_a_link_in_the_text_leads_to_the_lab(opened: Callable[..., Lab]) -> None:
    """The page may be long: who presses such a link sees what it set, and can play at once."""
    lab = opened()
    page = lab.page
    page.evaluate(
        """document.body.insertAdjacentHTML("beforeend", "<p style='margin-top: 3000px'>" +
        "<a href='#preset=collapse&seed=2'>set</a> <a href='#heading'>away</a></p><h2 id='heading'>Heading</h2>")"""
    )
    link, top = page.get_by_role("link", name="set"), "document.querySelector('.gan-lab').getBoundingClientRect().top"
    for _ in range(2):  # the second time the address stays the same
        link.focus()
        assert page.evaluate(top) < -1000
        page.keyboard.press("Enter")
        page.wait_for_function(f"Math.abs({top}) < 20")
        assert page.evaluate("document.activeElement.textContent") == "Play"
        assert lab.run["settings"]["seed"] == 2
        assert "fly out" in page.locator(".gl-look[aria-live=polite]").inner_text()
    page.get_by_role("link", name="away").click()
    page.wait_for_timeout(300)
    assert page.evaluate(top) < -1000
    lab.settled()


def test_two_runs_in_the_compact_form_have_names(opened: Callable[..., Lab]) -> None:
    lab = opened()
    lab.page.evaluate("""() => {
        const place = document.createElement("div");
        document.body.prepend(place);
        window.small = GanLab.render(place, { compact: true, compare: { lr_d: 0.02 } });
    }""")
    small = lab.page.locator(".gan-lab").first
    assert small.locator(".gl-title").all_inner_texts() == ["Run A", "Run B"]
    assert "Learning rate of D: A 0.004, B 0.02" in small.locator(".gl-differences").inner_text()
    assert [run.get_attribute("aria-label") for run in small.locator(".gl-run").all()] == ["Run A", "Run B"]


def test_of_several_sightings_the_newest_counts(opened: Callable[..., Lab]) -> None:
    """A slow frame tells at once that the lab left the window and came back: it is not at rest then."""
    lab = opened()
    lab.page.evaluate("""() => {
        window.IntersectionObserver = class {
            constructor(tell) { window.tell = tell; }
            observe() {}
            disconnect() {}
        };
        lab.destroy();
        window.lab = GanLab.render(document.querySelector("#lab"));
        tell([{ isIntersecting: false }, { isIntersecting: true }]);
    }""")
    lab.button("One step").click()
    lab.until("a.step === 1")
    lab.page.wait_for_function("document.querySelector('.gl-step').textContent === 'step 1'")


def test_a_run_that_has_ended_says_so(opened: Callable[..., Lab]) -> None:
    lab = opened("#steps=2&width_g=8&width_d=8")
    lab.play("a.over")
    lab.button("Play").click(force=True)  # marked as disabled, yet it says why
    assert "ended at its last step" in lab.page.get_by_role("alert").inner_text()
    lab.button("Start again").click()
    lab.until("a.step === 0")
    assert not lab.page.locator(".gl-message").is_visible()


def test_copying_the_link(opened: Callable[..., Lab]) -> None:
    lab = opened("#seed=3", permissions=["clipboard-read", "clipboard-write"])
    lab.button("Copy link").click()
    lab.page.get_by_text("Copied.").wait_for()
    assert lab.page.evaluate("navigator.clipboard.readText()") == lab.address + "#seed=3"


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("#lr_g=fast&seed=4", "lr_g must be"), ("#colour=red&seed=4", "“colour”"), ("#preset=best&seed=4", "“best”"),
        ("#data=drawn&seed=4", "drawing must be"), ("#b.batch=0&seed=4", "batch must be"),
        ("#seed=4&loss=%3Cimg%20src=x%20onerror=alert(1)%3E", "loss must be one of"),
    ],
)  # fmt: skip
def test_bad_links_give_a_message_and_the_default(opened: Callable[..., Lab], fragment: str, message: str) -> None:
    lab = opened(fragment)
    assert message in lab.page.get_by_role("alert").inner_text()
    assert lab.run["settings"]["seed"] == 4
    assert lab.run["settings"]["lr_g"] == 0.002
    lab.button("One step").click()
    lab.until("a.step === 1")


def test_presets(opened: Callable[..., Lab]) -> None:
    lab = opened()
    menu = lab.page.get_by_label("Experiment", exact=True)
    names = [name for name in menu.locator("option").evaluate_all("all => all.map(e => e.value)") if name]
    assert len(names) >= 8
    for name in names:
        menu.select_option(name)
        lab.settled()
        assert menu.input_value() == name
        assert len(lab.page.locator(".gl-look").inner_text()) > 60
        chapter = lab.page.locator(".gl-look a").get_attribute("href")
        assert ROOT.joinpath("book", chapter.replace(".html", ".ipynb")).is_file(), chapter
        assert lab.fragment in ("", f"#preset={name}")
    menu.select_option("collapse")
    lab.settled()
    lab.unfold()
    lab.setting("batch").fill("33")
    lab.setting("batch").press("Enter")
    lab.settled()
    assert menu.input_value() == ""


def test_two_runs_are_played_together(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16&steps=60")
    lab.page.get_by_label("Compare two runs").check()
    lab.settled()
    assert "have the same settings" in lab.text
    lab.unfold()
    lab.setting("beta1").fill("0.9")
    lab.setting("beta1").press("Enter")
    lab.settled()
    assert "Momentum β₁: A 0, B 0.9" in lab.text
    assert "Same seed" in lab.text
    assert "b.beta1=0.9" in lab.fragment
    lab.play("s.runs.every(run => run.over)")
    a, b = lab.state["runs"]
    assert a["step"] == b["step"] == 60
    assert (a["settings"]["beta1"], b["settings"]["beta1"]) == (0, 0.9)
    assert a["measure"]["js"] != b["measure"]["js"]
    assert lab.page.locator("canvas[role=img]").count() == 2
    assert lab.page.locator(".gl-numbers th[scope=col]").all_inner_texts() == ["A", "B"]
    lab.button("Settings of A").click()
    assert lab.setting("beta1").input_value() == "0"
    lab.button("Next seed").click()
    lab.settled()
    assert [run["settings"]["seed"] for run in lab.state["runs"]] == [1, 1]
    other = opened(lab.fragment)
    assert [run["settings"] for run in other.state["runs"]] == [run["settings"] for run in lab.state["runs"]]
    lab.page.get_by_label("Compare two runs").uncheck()
    lab.settled()
    assert len(lab.state["runs"]) == 1
    assert "b." not in lab.fragment


def test_equal_runs_stay_equal(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16&steps=40&compare=1")
    lab.play("s.runs.every(run => run.over)")
    a, b = lab.state["runs"]
    assert a["measure"] == b["measure"]


def test_slow_motion_shows_each_part(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16")
    lab.button("Slow motion").click()
    sentence, marked = lab.page.locator(".gl-phase"), lab.page.locator(".gl-diagram .gl-node.gl-active")
    assert "Between two steps" in sentence.inner_text()
    told, marks = [], []
    for _ in range(11):
        before = sentence.inner_text()
        lab.button("Next part").click()
        lab.page.wait_for_function("before => document.querySelector('.gl-phase').innerText !== before", arg=before)
        lab.settled()
        assert lab.run["step"] == 0
        told.append(sentence.inner_text())
        marks.append(marked.all_text_contents())
    assert told[0].startswith("The discriminator's turn. A batch of 16")
    assert told[6].startswith("The generator's turn. 16 new noise")
    assert "D's loss is" in told[3]
    assert "arrow" in told[9]
    assert marks[0] == ["real data"]
    assert marks[5] == ["D"]
    assert marks[10] == ["G"]
    assert len(set(told)) == 11
    lab.button("Next part").click()
    lab.until("a.step === 1 && !s.busy")
    lab.button("Next part").click()
    lab.settled()
    lab.button("One step").click()  # ends the step that was begun
    lab.until("a.step === 2 && !s.busy")


def test_slow_motion_plays_by_itself_and_stops(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16")
    lab.button("Slow motion").click()
    lab.button("Play the parts").click()
    lab.page.get_by_text("The discriminator's turn.").wait_for()
    lab.page.get_by_text("noise vectors z are drawn").wait_for(timeout=10_000)
    lab.button("Pause the parts").click()
    lab.settled()
    text = lab.page.locator(".gl-phase").inner_text()
    lab.page.wait_for_timeout(3_200)
    assert lab.page.locator(".gl-phase").inner_text() == text


def test_layers_are_drawn(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16")
    lab.button("One step").click()
    lab.until("a.step === 1")
    lab.settled()
    picture = "document.querySelector('canvas[role=img]').toDataURL()"
    for name in ("real", "fake", "surface", "manifold", "gradients"):
        before = lab.page.evaluate(picture)
        lab.page.locator(f"input[name=layer-{name}]").click()
        lab.settled()
        assert lab.page.evaluate(picture) != before, name
    assert "The longest stand for a slope of" in lab.text
    assert lab.run["step"] == 1  # looking does not train


def test_drawing_by_pointer(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16")
    lab.setting("data").select_option("drawn")
    lab.settled()
    first = lab.run["settings"]["drawing"]
    assert len(first) > 100  # something to begin with
    lab.button("Clear").click()
    assert "Nothing is drawn yet" in lab.text
    pad = lab.page.locator(".gl-pad canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    lab.page.mouse.move(box["x"] + 20, box["y"] + 20)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 20, steps=8)
    lab.page.mouse.up()
    lab.settled()
    drawing = lab.run["settings"]["drawing"]
    assert drawing != first
    assert drawing in lab.fragment
    lab.button("One step").click()
    lab.until("a.step === 1")
    lab.settled()
    real = lab.page.evaluate("Array.from(lab.state().runs[0].snapshot.real)")
    assert all(y > 1 for y in real[1::2]), "the line was drawn at the top"
    assert min(real[::2]) < -1 < 1 < max(real[::2])
    other = opened(lab.fragment)
    assert other.run["settings"]["drawing"] == drawing
    other.setting("noise").select_option("uniform")
    other.settled()
    assert other.run["settings"]["drawing"] == drawing


def test_drawing_by_keys(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16")
    lab.setting("data").select_option("drawn")
    lab.settled()
    lab.button("Clear").press("Enter")
    pad = lab.page.locator(".gl-pad canvas")
    pad.press("ArrowRight")
    pad.press("Space")
    assert "1 point." in lab.text
    one = lab.run["settings"]["drawing"]
    assert len(one) == 3
    pad.press("Enter")
    for _ in range(5):
        pad.press("ArrowUp")
    assert "pen down" in lab.text
    pad.press("Enter")
    lab.settled()
    line = lab.run["settings"]["drawing"]
    assert len(line) > 20
    pad.press("Backspace")
    lab.settled()
    assert lab.run["settings"]["drawing"] == one


def test_dirac_gan(opened: Callable[..., Lab]) -> None:
    lab = opened("#game=dirac&loss=wasserstein&lr_g=0.1&steps=500")
    assert lab.page.locator(".gl-layers").is_hidden()
    assert lab.button("Slow motion").is_hidden()
    lab.play("a.over")
    radius = lab.run["radius"]
    assert radius["start"] == pytest.approx(math.sqrt(2))
    assert 1.3 < radius["now"] < 1.5  # alternating updates of a bilinear game stay on an ellipse
    assert "keep their distance" in lab.text
    lab.open("#game=dirac&loss=wasserstein&lr_g=0.1&steps=500&r1=1")
    lab.play("a.over")
    assert lab.run["radius"]["now"] < 0.01
    assert "less than a hundredth of the start" in lab.text
    lab.open("#game=dirac&loss=wasserstein&lr_g=0.1&steps=500&method=simultaneous")
    lab.play("a.over")
    assert lab.run["radius"]["now"] > 10
    assert "move outwards" in lab.text
    lab.setting("game").select_option("points")
    lab.settled()
    assert lab.page.locator(".gl-layers").is_visible()
    assert lab.run["settings"]["game"] == "points"


def test_nothing_moves_by_itself(opened: Callable[..., Lab]) -> None:
    for motion in ("reduce", "no-preference"):
        lab = opened("#width_g=8&width_d=8&batch=16", reduced_motion=motion)
        drawn = lab.state["timing"]["drawn"]
        lab.page.wait_for_timeout(600)
        assert lab.run["step"] == 0
        assert lab.state["timing"]["drawn"] == drawn


def test_reduced_motion_draws_less(opened: Callable[..., Lab]) -> None:
    shown = {}
    for motion in ("reduce", "no-preference"):
        lab = opened("#width_g=8&width_d=8&batch=16&steps=120", reduced_motion=motion)
        lab.button("Play").click()  # 60 steps a second: two seconds or more
        lab.until("a.over")
        lab.settled()
        shown[motion] = lab.state["timing"]["drawn"]
    assert shown["reduce"] <= 12
    assert shown["no-preference"] > 2 * shown["reduce"]


def test_draws_at_most_once_a_frame(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16")
    count = "window.shown = 0; requestAnimationFrame(function next() { shown++; requestAnimationFrame(next); })"
    lab.page.evaluate(count)
    before = lab.state["timing"]["drawn"]
    lab.play("a.step > 300")
    frames = lab.page.evaluate("shown")
    assert 0 < lab.state["timing"]["drawn"] - before <= frames


def test_curves_and_numbers_follow_while_playing(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16")
    lab.page.locator("select[id$=speed]").select_option("0")
    lab.button("Play").click()
    lab.page.wait_for_function("() => Number(document.querySelector('.gl-step').innerText.match(/[0-9]+/)[0]) > 100")
    curve = lab.page.locator(".gl-chart svg g path").first.get_attribute("d")
    assert curve.count("L") > 5
    assert lab.state["playing"]
    lab.button("Pause").click()
    lab.settled()


HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.parametrize("way", ["scrolled", "hidden"])
def test_rests_while_nobody_looks(opened: Callable[..., Lab], way: str) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16")

    def look(seen: bool) -> None:
        if way == "scrolled":
            lab.page.evaluate(f"scrollTo(0, {4000 if seen else 0})")
        else:
            lab.page.evaluate(HIDE, not seen)

    lab.page.evaluate("document.body.style.paddingTop = '4000px'; scrollTo(0, 4000)")
    lab.page.locator("select[id$=speed]").select_option("0")
    lab.button("Play").click()
    lab.until("a.step > 5")
    look(False)
    lab.page.wait_for_timeout(500)
    step = lab.run["step"]
    lab.page.wait_for_timeout(500)
    assert lab.run["step"] == step
    look(True)
    lab.until(f"a.step > {step + 5}")
    lab.button("Pause").click()
    lab.settled()


def test_keyboard_alone(opened: Callable[..., Lab]) -> None:
    lab = opened("#width_g=8&width_d=8&batch=16")
    page = lab.page

    def focused() -> str:
        name = "(e => e.ariaLabel || e.innerText || e.labels?.[0]?.innerText || e.name)(document.activeElement)"
        return page.evaluate(name)

    def reach(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            assert outline == "3px", f"no visible focus at {focused()}"
            if focused().strip().startswith(name):
                return
        raise AssertionError(f"{name} cannot be reached")

    page.evaluate("document.querySelector('#far').tabIndex = -1; document.querySelector('#far').focus()")
    reach("Play")
    page.keyboard.press("Enter")
    lab.until("s.playing && a.step > 0")
    page.keyboard.press("Enter")
    lab.settled()
    assert lab.run["step"] > 0
    reach("Start again")
    page.keyboard.press("Space")
    lab.settled()
    assert lab.run["step"] == 0
    reach("G's lattice")
    page.keyboard.press("Space")
    reach("Training")
    page.keyboard.press("Enter")
    reach("Learning rate of D")
    page.keyboard.press("ArrowUp")
    lab.until("a.settings.lr_d === 0.005")
    reach("Copy link")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "fragment", ["", "#compare=1&preset=collapse", "#preset=dirac", "#bad=1"], ids=["one", "two", "dirac", "message"]
)
def test_accessibility(opened: Callable[..., Lab], fragment: str, theme: str) -> None:
    lab = opened(fragment)
    lab.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    lab.page.wait_for_timeout(100)
    assert lab.page.locator(".gan-lab").get_attribute("data-scheme") == theme
    lab.button("One step").click()
    lab.until("a.step === 1")
    lab.settled()
    if not fragment:
        lab.button("Slow motion").click()
        lab.button("Next part").click()
        lab.setting("data").select_option("drawn")
    lab.unfold()
    lab.settled()
    lab.page.evaluate(AXE.read_text(encoding="utf-8"))
    result = lab.page.evaluate("axe.run({include: ['.gan-lab']}, {resultTypes: ['violations', 'incomplete']})")
    found = [f"{v['id']}: {node['html'][:160]}" for v in result["violations"] for node in v["nodes"]]
    assert found == []
    doubtful = [node["html"][:120] for v in result["incomplete"] if v["id"] == "color-contrast" for node in v["nodes"]]
    assert [html for html in doubtful if not html.startswith("<text")] == []  # those in SVG have the page's colour
    colors = lab.page.locator(".gan-lab svg text").evaluate_all("all => all.map(e => getComputedStyle(e).fill)")
    assert set(colors) == {lab.page.locator(".gan-lab").evaluate("e => getComputedStyle(e).color")}


@pytest.mark.parametrize("background", ["#111111", "rgb(250, 250, 250)"])
def test_colours_follow_any_page(opened: Callable[..., Lab], background: str) -> None:
    """A page that is dark without saying so, as Colab's and JupyterLab's outputs are."""
    lab = opened()
    lab.page.evaluate(f"document.body.style.background = '{background}'")
    scheme = "dark" if background == "#111111" else "light"
    lab.page.wait_for_function(f"document.querySelector('.gan-lab').dataset.scheme === '{scheme}'")
    lab.settled()
    corner = "[...document.querySelector('canvas[role=img]').getContext('2d').getImageData(2, 2, 1, 1).data]"
    lab.page.locator("input[name=layer-surface]").click()
    lab.settled()
    assert lab.page.evaluate(corner)[0] == (17 if scheme == "dark" else 250)


@pytest.mark.parametrize("width", [390, 320])
def test_phones(opened: Callable[..., Lab], width: int) -> None:
    for fragment in ("", "#compare=1&b.r1=0.5", "#preset=dirac"):
        lab = opened(fragment)
        lab.page.set_viewport_size({"width": width, "height": 800})
        lab.unfold()
        if not fragment:
            lab.setting("data").select_option("drawn")
            lab.button("Slow motion").click()
        lab.settled()
        assert lab.page.evaluate("document.documentElement.scrollWidth") <= width
        targets = "button, select, summary, input:not([type=checkbox]), label:has(input)"
        for target in lab.page.locator(".gan-lab").locator(targets).all():
            if target.is_visible():
                box = target.bounding_box()
                assert box["height"] >= 32, target.evaluate("e => e.outerHTML.slice(0, 100)")
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width + 0.5


def test_styles_stay_inside(opened: Callable[..., Lab]) -> None:
    lab = opened()
    seen = """() => ['h1', 'main > table td', 'main > button', 'body'].map(name => {
        const style = getComputedStyle(document.querySelector(name));
        return [...style].map(property => style.getPropertyValue(property)).join();
    })"""
    with_lab = lab.page.evaluate(seen)
    lab.page.evaluate("lab.destroy()")
    assert lab.page.locator(".gan-lab, #lab > *").count() == 0
    without = lab.page.evaluate(seen)
    # Sizes of what holds the lab differ; nothing of the look does.
    assert with_lab[1:3] == without[1:3]


def test_prints_a_still_picture_with_its_settings(opened: Callable[..., Lab]) -> None:
    lab = opened("#preset=collapse&seed=3")
    lab.page.emulate_media(media="print")
    assert lab.page.locator(".gan-lab").locator("button:visible, select:visible, input:visible").count() == 0
    assert lab.page.locator("canvas[role=img]").is_visible()
    assert lab.page.locator(".gl-numbers").is_visible()
    printed = lab.page.locator(".gl-printed")
    assert printed.is_visible()
    assert "lr_d 0.0001" in printed.inner_text()
    assert "seed 3" in printed.inner_text()


def test_compact_form(opened: Callable[..., Lab]) -> None:
    lab = opened(options='{"compact":true,"settings":{"steps":30,"width_g":8},"link":"lab.html%23steps=30"}')
    assert lab.page.locator(".gl-settings, .gl-charts, .gl-layers").count() == 0
    assert lab.page.get_by_role("link", name="Open in the lab").get_attribute("href") == "lab.html#steps=30"
    lab.page.get_by_label("Seed").fill("7")
    lab.page.get_by_label("Seed").press("Enter")
    lab.settled()
    assert lab.run["settings"]["seed"] == 7
    assert lab.fragment == "", "a chapter's address is not the lab's"
    lab.button("Play").click()
    lab.until("a.over")
    lab.settled()
    assert "step 30" in lab.text
    assert "of 8" in lab.text
    lab.page.evaluate(AXE.read_text(encoding="utf-8"))
    result = lab.page.evaluate("axe.run({include: ['.gan-lab']}, {resultTypes: ['violations']})")
    assert [v["id"] for v in result["violations"]] == []


def test_several_labs_on_a_page(opened: Callable[..., Lab]) -> None:
    lab = opened("#seed=2")
    lab.page.evaluate(
        """() => {
            const place = document.body.appendChild(document.createElement("div"));
            window.second = GanLab.render(place, { compact: true, settings: { seed: 9 } });
        }"""
    )
    assert lab.run["settings"]["seed"] == 2
    assert lab.page.evaluate("second.settings().seed") == 9
    ids = lab.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_changes_are_told_to_who_embeds_the_lab(opened: Callable[..., Lab]) -> None:
    lab = opened()
    lab.page.evaluate(
        """() => {
            lab.destroy();
            window.told = [];
            window.lab = GanLab.render(document.getElementById("lab"),
                { settings: { seed: 3 }, hash: false, onchange: (a, b) => told.push([a, b]) });
        }"""
    )
    lab.settled()
    lab.setting("data").select_option("grid")
    lab.settled()
    told = lab.page.evaluate("told")
    assert len(told) == 1
    assert (told[0][0]["data"], told[0][0]["seed"], told[0][1]) == ("grid", 3, None)
    assert lab.fragment == ""
    lab.page.evaluate("lab.set({ data: 'spiral' })")
    lab.settled()
    assert lab.run["settings"]["data"] == "spiral"
    assert lab.setting("data").input_value() == "spiral"
