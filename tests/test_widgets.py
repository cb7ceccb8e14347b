"""The scrubber is one piece of HTML that works by itself; an explorer works with a kernel, its picture without; a lab
works with a kernel, and on the pages of the book."""

import base64
import html
import io
import json
import re
from collections.abc import Callable, Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from gan_course.notebook import plot, widgets


def read(png: bytes) -> np.ndarray:
    """Decode to (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


SHADES = [widgets.png_of_images(torch.full((1, 1, 4, 8), i / 6 - 1), scale=8) for i in range(12)]
FRAMES, LABELS = SHADES[:3], ["step 0", 'step "50" </script><b>', "step 100"]
GAMES = {
    loss: {penalty: SHADES[i + j : i + j + 3] for j, penalty in zip((0, 3), ("none", "R1"), strict=True)}
    for i, loss in zip((0, 6), ("saturating", "hinge"), strict=True)
}


def scrubber(**changes) -> str:
    settings = {"frames": FRAMES, "labels": LABELS, "alt": "Samples & noise", "width": 200} | changes
    return widgets.scrubber(**settings)._repr_html_()


def data(markup: str) -> dict:
    """What the script of a scrubber is given."""
    return json.loads(re.search(r"= (\{.*\});", markup)[1])


def test_without_scripts_it_is_its_last_frame_described():
    markup = scrubber(labels=["step 0", "step 50", "step <100>"])
    bare = re.sub(r"<(script|style)>.*?</\1>", "", markup, flags=re.S)
    assert re.findall(r"<(\w+)", bare) == ["div", "div", "small", "p", "img"]  # no dead controls
    assert "<p>step &lt;100&gt;</p>" in bare
    assert f'src="{uri(FRAMES[2])}" alt="Samples &amp; noise: step &lt;100&gt;" width="200" height="100"' in bare


def test_it_asks_for_nothing_and_closes_what_it_opens():
    markup = scrubber()
    assert re.findall(r"(?:https?:)?//\w|@import|<link|\bimport\b", re.sub(r"//  ?\w|base64,[^\"]*", "", markup)) == []
    for tag in ("div", "script", "style"):
        assert len(re.findall(rf"<{tag}\b", markup)) == markup.count(f"</{tag}>") > 0


def test_it_is_the_same_at_each_execution_and_names_differ():
    assert scrubber() == scrubber()
    names = {data(markup)["name"] for markup in (scrubber(), scrubber(alt="Noise"), scrubber(frames=SHADES[1:4]))}
    assert len(names) == 3


def test_equal_pictures_are_stored_once():
    markup = scrubber(frames={"a": [SHADES[0], *FRAMES[1:]], "b": [SHADES[0], SHADES[5], FRAMES[2]]}, choices=["run"])
    assert data(markup)["order"] == [0, 1, 2, 0, 3, 2]
    for picture in (*FRAMES, SHADES[5]):
        assert markup.count(uri(picture)) == 1


def test_it_is_little_more_than_its_pictures():
    pictures = [bytes(f"\x89PNG {i:09}", "latin-1") * 500 for i in range(40)]
    size = len(scrubber(frames=pictures, labels=[f"step {100 * i}" for i in range(40)]))
    assert size < 40 * len(uri(pictures[0])) + 6_000


def test_the_tallest_picture_reserves_the_height():
    tall = widgets.png_of_images(torch.zeros(1, 1, 6, 4))
    assert 'width="200" height="300"' in scrubber(frames=[tall, *FRAMES[1:]])


@pytest.mark.parametrize(
    ("frames", "choices", "message"),
    [
        ({}, ["loss"], "empty dict"),
        ({"a": FRAMES}, [], "each of the 1 levels"),
        (FRAMES, ["loss"], "each of the 0 levels"),
        ({"a": FRAMES, "b": FRAMES[:2]}, ["loss"], "equally many"),
        ({"a": {"x": FRAMES}, "b": {"y": FRAMES}}, ["loss", "penalty"], "same choices everywhere"),
        ({"a": {"x": FRAMES}, "b": FRAMES}, ["loss", "penalty"], "same choices everywhere"),
        ({"a": FRAMES, "b": {"x": FRAMES}}, ["loss"], "equally many"),
        ([*FRAMES[:2], b"GIF89a"], [], "bytes of PNG files, got b'GIF89a'"),
    ],
)
def test_menus_refuse(frames, choices, message):
    with pytest.raises(ValueError, match=message):
        widgets.scrubber(frames, LABELS, alt="nothing", width=100, choices=choices)


@pytest.mark.parametrize(("frames", "labels"), [([], []), (FRAMES, LABELS[:2]), (FRAMES[:1], [])])
def test_scrubber_refuses(frames, labels):
    with pytest.raises(ValueError, match=f"at least one; got {len(frames)} and {len(labels)}$"):
        widgets.scrubber(frames, labels, alt="nothing", width=100)


# In a real browser, from a file.


@pytest.fixture
def show(browser, tmp_path) -> Iterator[Callable]:
    """Open a page with the given body, from a file; at the end, complain about errors and requests."""
    contexts, complaints = [], []

    def open_page(body: str, clock: bool = False, **settings):
        path = tmp_path / f"page{len(contexts)}.html"
        path.write_text(f"<!doctype html><html lang=en><title>x</title><body>{body}</body>", encoding="utf-8")
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        if clock:  # time passes only by page.clock.run_for
            page.clock.install(time="2020-01-01")
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: complaints.append(request.url) if "http" in request.url[:5] else None)
        page.goto(path.as_uri())
        if clock:
            page.clock.pause_at("2020-01-02")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def shown(place) -> tuple[bytes, str, str]:
    """The picture that is seen, its description and the label above it."""
    picture = place.locator("img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    png = base64.b64decode(picture.get_attribute("src").partition(",")[2])
    return png, picture.get_attribute("alt"), place.locator("p").inner_text()


def test_slider_by_keyboard(show):
    page = show(scrubber())
    assert shown(page) == (FRAMES[2], f"Samples & noise: {LABELS[2]}", LABELS[2])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Play"
    page.keyboard.press("Tab")
    slider = page.get_by_role("slider", name="Frame")
    assert slider.evaluate("e => document.activeElement === e && getComputedStyle(e).outlineStyle") == "solid"
    for key, place in (("ArrowLeft", 1), ("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("End", 2)):
        page.keyboard.press(key)
        assert shown(page) == (FRAMES[place], f"Samples & noise: {LABELS[place]}", LABELS[place])
        assert slider.get_attribute("aria-valuetext") == LABELS[place]
    # Without this mark on the element itself, JupyterLab takes the arrow keys to go through the cells.
    assert page.locator("button, input, select").count() == page.locator("[data-lm-suppress-shortcuts]").count() == 2


def test_it_plays_from_the_start_and_stops_at_the_end(show):
    page = show(scrubber(interval=150), clock=True)
    page.get_by_role("button", name="Play").press("Space")
    for label in LABELS:
        assert shown(page)[2] == label
        page.clock.run_for(150)
    assert page.get_by_role("button").inner_text() == "Play"
    page.clock.run_for(1_000)
    assert shown(page)[2] == LABELS[2]


def test_it_pauses_and_goes_on(show):
    page = show(scrubber(interval=150), clock=True)
    page.get_by_role("button").click()
    page.clock.run_for(200)
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(1_000)
    assert shown(page)[2] == LABELS[1]
    page.get_by_role("button", name="Play").click()
    page.get_by_role("slider").press("ArrowLeft")  # pauses as well
    page.clock.run_for(1_000)
    assert shown(page)[2] == LABELS[0] and page.get_by_role("button").inner_text() == "Play"


def test_reduced_motion_is_respected(show):
    """Nothing plays by itself, and what is asked to play does so slowly."""
    page = show(scrubber(interval=150), clock=True, reduced_motion="reduce")
    page.clock.run_for(5_000)
    assert shown(page)[2] == LABELS[2]
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(950)
    assert shown(page)[2] == LABELS[0]
    page.clock.run_for(100)
    assert shown(page)[2] == LABELS[1]


def test_menus_choose_and_keep_the_place(show):
    page = show(scrubber(frames=GAMES, choices=["loss", "penalty"]))
    loss, penalty = page.get_by_role("combobox", name="loss"), page.get_by_role("combobox", name="penalty")
    assert loss.locator("option").all_inner_texts() == ["saturating", "hinge"]
    assert shown(page)[:2] == (SHADES[2], f"Samples & noise: saturating, none, {LABELS[2]}")
    page.get_by_role("slider").press("Home")
    loss.select_option("hinge")
    assert shown(page)[:2] == (SHADES[6], f"Samples & noise: hinge, none, {LABELS[0]}")
    penalty.focus()
    page.keyboard.press("ArrowDown")
    assert shown(page)[:2] == (SHADES[9], f"Samples & noise: hinge, R1, {LABELS[0]}")
    page.get_by_role("slider").press("End")
    loss.select_option("saturating")
    assert shown(page)[:2] == (SHADES[5], f"Samples & noise: saturating, R1, {LABELS[2]}")


def test_one_frame_has_menus_alone(show):
    page = show(scrubber(frames={"a": SHADES[:1], "b": SHADES[1:2]}, labels=["end"], choices=["run"]))
    assert page.locator("button, input").count() == 0
    page.get_by_role("combobox", name="run").select_option("b")
    assert shown(page) == (SHADES[1], "Samples & noise: b, end", "end")


@pytest.mark.parametrize("placed", ["parsed", "inserted"])
def test_widgets_on_a_page_are_independent(show, placed):
    """The same one twice as well; and where a frontend runs the scripts later and not in their places."""
    bodies = [scrubber(), scrubber(frames=SHADES[4:7]), scrubber()]
    if placed == "parsed":
        page = show("".join(bodies))
    else:
        page = show("")
        page.evaluate(
            """bodies => bodies.forEach(body => {
                const output = document.body.appendChild(document.createElement("div"));
                output.innerHTML = body;  // which runs no scripts
                const script = document.createElement("script");
                script.textContent = output.querySelector("script").textContent;
                document.head.append(script);
            })""",
            bodies,
        )
    first, second, third = page.locator(".gan-widget").all()
    assert page.locator("[id]").count() == 0
    third.get_by_role("slider").press("Home")
    second.get_by_role("slider").press("ArrowLeft")
    assert [shown(widget)[0] for widget in (first, second, third)] == [SHADES[2], SHADES[5], SHADES[0]]


def test_it_leaves_no_globals(show):
    page = show(scrubber())
    blank = show("")
    names = "Object.getOwnPropertyNames(window)"
    assert sorted(page.evaluate(names)) == sorted(blank.evaluate(names))


def test_it_works_in_the_frame_of_an_output(show):
    """As in Colab: a document of its own, sandboxed, which grows with what it holds."""
    sandbox = "allow-scripts"
    page = show(f'<iframe sandbox="{sandbox}" width="600" srcdoc="{html.escape(scrubber())}"></iframe>')
    frame = page.frame_locator("iframe")
    frame.get_by_role("slider").press("Home")
    assert shown(frame) == (FRAMES[0], f"Samples & noise: {LABELS[0]}", LABELS[0])


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_jumps_and_nothing_is_wider_than_the_page(show, width):
    wide = scrubber(frames=GAMES, choices=["loss of both players", "penalty of the critic"], width=640)
    page = show(f"{wide}<p id=after>text</p>{wide}", viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    image = page.locator("img").first.bounding_box()
    assert image["width"] == min(640, width - 16) and abs(image["height"] - image["width"] / 2) < 1
    moved = (
        "new Promise(done => new PerformanceObserver(list => done(list.getEntries().length))"
        ".observe({type: 'layout-shift', buffered: true}) || setTimeout(() => done(0), 300))"
    )
    assert page.evaluate(moved) == 0
    before = page.locator("#after").bounding_box()
    page.get_by_role("slider").first.press("Home")
    shown(page.locator(".gan-widget").first)
    assert page.locator("#after").bounding_box() == before


def test_it_takes_its_colours_from_the_page(show):
    page = show(f'<div style="background: #14181e; color: #ced6dd">{scrubber(frames=GAMES, choices=["a", "b"])}</div>')
    for element in page.locator(".gan-widget, .gan-widget p, .gan-widget button, .gan-widget select").all():
        style = element.evaluate("e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]")
        assert style == ["rgb(206, 214, 221)", "rgba(0, 0, 0, 0)"]


# The explorer.


def line(slope=0.5, color="red"):
    figure, ax = plt.subplots(figsize=(2, 1))
    ax.plot([0, 1], [0, slope], color=color)
    ax.set(ylim=(0, 1))
    return figure


def explorer(**changes) -> widgets.Explorer:
    settings = {"slope": (0.0, 1.0, 0.25), "color": ["blue", "red"]} | changes
    return widgets.explore(line, alt="A line & its slope", width=300, **settings)


def picture(markup: str) -> bytes:
    return base64.b64decode(re.search(r'src="data:image/png;base64,([^"]*)"', markup)[1])


def test_explorer_draws_for_each_value():
    slope, color, image = explorer().panel.children
    assert (slope.min, slope.max, slope.step, slope.value, slope.description) == (0, 1, 0.25, 0.5, "slope")
    assert (color.options, color.value, color.description) == (("blue", "red"), "red", "color")
    for change, expected in (({}, line()), ({slope: 1.0}, line(1.0)), ({color: "blue"}, line(1.0, "blue"))):
        for control, value in change.items():
            control.value = value
        assert picture(image.value) == widgets.png_of_figure(expected)
    assert 'alt="A line &amp; its slope: slope 1.0, color blue" width="300" height="150"' in image.value
    assert plt.get_fignums() == []


def test_explorer_without_a_kernel_is_a_picture_and_a_sentence():
    found = explorer()
    bundle = found._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == found.panel.model_id
    still = bundle["text/html"]
    assert picture(still) == widgets.png_of_figure(line()) and "<script" not in still
    assert "Drawn for slope 0.5, color red. Open this page in Colab or JupyterLab" in still
    assert explorer()._repr_mimebundle_()["text/html"] == still
    assert found.panel.model_id not in bundle["text/plain"] + still


@pytest.mark.parametrize("wrong", [{"slope": 3}, {"slope": ()}, {"slope": ("a", "b")}, {"color": "red"}])
def test_explorer_refuses_other_ranges(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"^{name} must be \(low, high\)"):
        explorer(**wrong)


def test_explorer_refuses_what_draw_does_not_take():
    with pytest.raises(ValueError, match="intercept is not an argument of draw, which takes slope, color"):
        explorer(intercept=(0, 1))


# The pictures.


def test_png_of_colour_images_is_exact():
    x = torch.randint(0, 256, (5, 3, 6, 4), dtype=torch.uint8)
    expected = plot.image_grid(x, 3).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(read(widgets.png_of_images(x, columns=3)), expected)


def test_png_of_grey_images_has_16_levels_close_to_the_true_ones():
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    got = read(widgets.png_of_images(x, columns=1)).astype(float)
    assert (got[..., 0] == got[..., 1]).all() and (got[..., 0] == got[..., 2]).all()
    assert np.abs(got[..., 0] - np.arange(256).reshape(16, 16)).max() <= 8.5  # half a level
    assert len(np.unique(got)) == 16
    many = torch.randint(0, 256, (64, 1, 28, 28), dtype=torch.uint8)
    assert len(widgets.png_of_images(many)) < 0.6 * len(widgets.png_of_images(many.expand(-1, 3, -1, -1)))


def test_png_is_enlarged_pixel_by_pixel():
    x = torch.randint(0, 256, (4, 3, 3, 5), dtype=torch.uint8)
    small, large = (read(widgets.png_of_images(x, columns=2, scale=scale)) for scale in (1, 3))
    np.testing.assert_array_equal(large, small.repeat(3, 0).repeat(3, 1))


def test_png_of_a_figure_closes_it():
    figure = plt.figure(figsize=(2, 1))
    assert read(widgets.png_of_figure(figure, dpi=50)).shape == (50, 100, 3)
    assert not plt.fignum_exists(figure.number)


def test_png_of_a_figure_keeps_its_colours_nearly():
    """A heat map of hundreds of colours: none is off by more than a sixteenth of the scale."""
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.imshow(np.linspace(0, 1, 10_000).reshape(100, 100), cmap="cividis", aspect="auto")
    plain = io.BytesIO()
    figure.savefig(plain, format="png", dpi=60)
    got, expected = read(widgets.png_of_figure(figure, dpi=60)), read(plain.getvalue())
    assert len(np.unique(got.reshape(-1, 3), axis=0)) <= 128
    assert np.abs(got.astype(int) - expected.astype(int)).mean() < 4


# The lab.


def test_lab_keeps_its_settings_as_the_page_has_them():
    assert widgets.Lab().state == ""
    assert widgets.Lab("collapse").state == "preset=collapse"
    lab = widgets.Lab("collapse", seed=3, lr_d=2e-3, spectral_norm=True)
    assert lab.state == "preset=collapse&seed=3&lr_d=0.002&spectral_norm=1"
    assert widgets.Lab("dirac", compare={"r1": 1.0}).state == "preset=dirac&b.r1=1.0"
    assert widgets.Lab(compare={}).state == "compare=1"


def test_lab_without_a_kernel_is_a_place_that_pages_fill():
    lab = widgets.Lab("collapse", seed=3)
    bundle, _ = lab._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == lab.model_id
    assert '<div class="gan-lab-place" data-state="preset=collapse&amp;seed=3">' in bundle["text/html"]
    assert lab.model_id not in bundle["text/html"] + bundle["text/plain"]
    assert widgets.Lab.presets()["collapse"]["title"] in bundle["text/html"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"preset": "colapse"}, "unknown preset 'colapse'.*Did you mean 'collapse'"),
        ({"lrd": 0.1}, "unknown setting 'lrd'.*Did you mean 'lr_d'"),
        ({"seed": 1.5}, r"seed must be a whole number from 0 to \d+, got 1.5"),
        ({"n_critic": 0}, "n_critic must be a whole number from 1 to 10, got 0"),
        ({"lr_d": "fast"}, r"lr_d must be a number from [\d.]+ to [\d.]+, got 'fast'"),
        ({"lr_d": float("nan")}, "lr_d must be a number from .* got nan"),
        ({"batch": True}, "batch must be a whole number from .* got True"),
        ({"loss": "log"}, "loss must be one of non-saturating, .*, got 'log'"),
        ({"spectral_norm": 1}, "spectral_norm must be True or False, got 1"),
        ({"drawing": 7}, "drawing must be a string, got 7"),
        ({"compare": {"lr_d": -1}}, "lr_d must be a number from .* got -1"),
    ],
)
def test_lab_refuses(wrong, message):
    with pytest.raises(ValueError, match=message):
        widgets.Lab(**wrong)


MODEL = """<div id=lab></div><script>%s
const model = {
  values: { state: "preset=collapse&seed=3" }, heard: {}, saved: 0,
  get(name) { return this.values[name]; },
  set(name, value) { this.values[name] = value; },
  save_changes() { this.saved++; },
  on(event, heard) { this.heard[event] = heard; },
  off(event) { delete this.heard[event]; },
};
const end = GanLab.widget({ model, el: document.getElementById("lab") });
</script>"""


def test_lab_and_kernel_follow_each_other(show):
    page = show(MODEL % (widgets.BROWSER / "lab.js").read_text(encoding="utf-8"))
    seed = page.get_by_label("Seed")
    assert seed.input_value() == "3"
    seed.fill("4")
    seed.press("Enter")
    assert page.evaluate("[model.values.state, model.saved]") == ["preset=collapse&seed=4", 1]
    page.evaluate("model.values.state = 'preset=collapse&seed=5'; model.heard['change:state']()")
    assert seed.input_value() == "5"
    assert page.evaluate("model.saved") == 1  # what came from there is not sent back
    page.get_by_role("button", name="One step").click()
    page.get_by_text("step 1", exact=True).wait_for()
    page.evaluate("end()")
    assert page.evaluate("Object.keys(model.heard)") == []
