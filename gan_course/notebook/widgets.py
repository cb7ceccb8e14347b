"""Pictures that move. A scrubber holds all its pictures and needs no kernel; an explorer asks the kernel for each; in a
lab a GAN trains in the reader's browser."""

from __future__ import annotations

import base64
import hashlib
import html
import inspect
import io
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anywidget
import ipywidgets
import matplotlib.pyplot as plt
import traitlets
from IPython.display import HTML
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from gan_course.errors import unknown
from gan_course.notebook.plot import image_grid

#: The frames of one animation, or a dict from a name to the frames (or again such a dict) of that choice.
Frames = Sequence[bytes] | Mapping[str, "Frames"]

# Colours come from the page around (any theme, light or dark); blue has a contrast above 3 on white and on black.
STYLE = """<style>
.gan-widget .controls { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem .8rem; padding: 5px; }
.gan-widget button, .gan-widget select { font: inherit; color: inherit; background: transparent; min-height: 2rem;
  border: 1px solid #808080; border-radius: 4px; padding: .1rem .6rem; max-width: 100%; }
.gan-widget option { color: black; background: white; }
.gan-widget button { min-width: 5rem; cursor: pointer; }
.gan-widget input { flex: 1 1 8rem; min-width: 0; max-width: 22rem; height: 2rem; margin: 0; accent-color: #3584e4; }
.gan-widget :focus-visible { outline: 3px solid #3584e4; outline-offset: 2px; }
.gan-widget p { margin: .4rem 0; }
.gan-widget img { display: block; max-width: 100%; height: auto; object-fit: contain; object-position: left top; }
@media print { .gan-widget .controls { display: none; } }
</style>"""

# Builds the controls, so that a page that runs no scripts (GitHub, an untrusted notebook) has no dead ones. It stands
# before the picture: the controls are there when the picture is laid out, and nothing moves afterwards.
SCRIPT = """<script>
(() => {
  const { name, alt, labels, menus, frames, order, interval } = DATA;
  const root = document.currentScript?.closest(".gan-widget") ||  // some frontends run scripts from elsewhere
    document.querySelector(`.gan-widget[data-name="${name}"]:not([data-ready])`);
  root.dataset.ready = "";
  const controls = root.querySelector(".controls");
  controls.replaceChildren();
  const add = (parent, tag, properties) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.dataset.lmSuppressShortcuts = "true";  // JupyterLab would take the arrow keys
    return parent.appendChild(element);
  };

  const selects = menus.map(([title, options]) => {
    const select = add(add(controls, "label", { textContent: title + " " }), "select", { onchange: show });
    options.forEach(option => select.add(new Option(option)));
    return select;
  });
  const last = labels.length - 1;
  let slider = { value: last }, timer;
  if (last) {
    const button = add(controls, "button", { type: "button", textContent: "Play" });
    slider = add(controls, "input", { type: "range", max: last, value: last, ariaLabel: "Frame" });
    slider.ariaValueText = labels[last];
    const stop = () => {
      timer = clearInterval(timer);
      button.textContent = "Play";
    };
    const go = place => {
      slider.value = place;
      show();
      if (place === last) stop();
    };
    slider.oninput = () => { stop(); show(); };
    button.onclick = () => {
      if (timer) return stop();
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      timer = setInterval(() => go(+slider.value + 1), calm ? Math.max(interval, 1000) : interval);
      button.textContent = "Pause";
      if (+slider.value === last) go(0);
    };
  }

  function show() {
    const picture = root.querySelector("img");
    frames[order[last]] ||= picture.src;  // the first one shown stands only there
    const group = selects.reduce((place, select) => place * select.length + select.selectedIndex, 0);
    picture.src = frames[order[group * labels.length + +slider.value]];
    const label = labels[slider.value];
    picture.alt = `${alt}: ${[...selects.map(select => select.value), label].join(", ")}`;
    slider.ariaValueText = root.querySelector("p").textContent = label;
  }
})();
</script>"""


def scrubber(
    frames: Frames,
    labels: Sequence[str],
    *,
    alt: str,
    width: int,
    interval: int = 400,
    choices: Sequence[str] = (),
) -> HTML:
    """Return a slider with a play button that leafs through images: one piece of HTML that holds all it needs.

    It works in Colab, in JupyterLab and on the pages of the book, without a kernel and without any other script. It
    opens on its last frame. Where scripts do not run (GitHub, a notebook that is not trusted) that frame is shown. With
    a dict of frames there is a menu above the slider: the same place of the slider can be compared for different
    choices.

    Args:
        frames: PNG images; see :func:`png_of_images` and :func:`png_of_figure`. Or a dict from a choice's name to
            its images; or, for two menus, a dict of such dicts, all with the same names.
        labels: what to write above each frame, for example its step.
        alt: description of the animation for those who cannot see it; part of each frame's alternative text.
        width: width on the page in pixels; it shrinks on narrow screens.
        interval: milliseconds per frame when playing (at least 1,000 where the system asks for reduced motion).
        choices: what each menu chooses, the outermost first, for example ``["loss", "penalty"]``.
    """
    menus, inner = [], frames
    while isinstance(inner, Mapping):
        if not inner:
            raise ValueError("frames must not hold an empty dict: there is nothing to choose")
        menus.append(list(inner))
        inner = inner[menus[-1][0]]
    if len(menus) != len(choices):
        raise ValueError(f"choices must name each of the {len(menus)} levels of frames, got {list(choices)}")

    def flat(frames: Frames, level: int) -> list[bytes]:
        if level < len(menus):
            if not isinstance(frames, Mapping) or list(frames) != menus[level]:
                raise ValueError(f"frames must have the same choices everywhere, expected {menus[level]}")
            return [frame for name in frames for frame in flat(frames[name], level + 1)]
        if isinstance(frames, Mapping) or len(frames) != len(labels) or not frames:
            raise ValueError(
                f"frames and labels must be equally many, at least one; got {len(frames)} and {len(labels)}"
            )
        for frame in frames:
            if not frame.startswith(b"\x89PNG"):
                raise ValueError(f"frames must be the bytes of PNG files, got {frame[:20]!r}")
        return list(frames)

    every = flat(frames, 0)
    pictures = list(dict.fromkeys(every))  # equal ones are stored once
    place = {picture: number for number, picture in enumerate(pictures)}
    shown = every[len(labels) - 1]
    data = {
        "name": hashlib.sha256(repr((every, labels, alt, choices)).encode()).hexdigest()[:12],
        "alt": alt,
        "labels": list(labels),
        "menus": list(zip(choices, menus, strict=True)),
        "frames": [None if picture == shown else _uri(picture) for picture in pictures],
        "order": [place[picture] for picture in every],
        "interval": interval,
    }
    # "<" would be read as HTML in a script ("</script>", "<!--").
    script = SCRIPT.replace("DATA", json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))
    note = f"The last of {len(labels)} pictures: a slider moves them where scripts may run, as in Colab."
    described = f"{alt}: {', '.join([*(names[0] for names in menus), labels[-1]])}"
    return HTML(
        f'<div class="gan-widget" role="group" aria-label="{html.escape(alt)}" data-name="{data["name"]}">{STYLE}'
        f'<div class="controls"><small>{note}</small></div>{script}'
        f"<p>{html.escape(labels[-1])}</p>{_image(shown, described, width, pictures)}</div>"
    )


class Explorer:
    """What :func:`explore` returns: controls where a kernel runs, and a still picture for readers without one."""

    def __init__(self, panel: ipywidgets.VBox, still: str) -> None:
        self.panel, self.still = panel, still

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.panel.model_id}
        return {
            "application/vnd.jupyter.widget-view+json": view,
            "text/html": self.still,
            "text/plain": "An explorer, which needs a kernel",
        }


def explore(draw: Callable[..., Figure], *, alt: str, width: int, **ranges: Any) -> Explorer:
    """Return sliders and menus that draw a figure again whenever one of them changes; this takes a kernel.

    The output holds the first figure as well. ``tools/execute.py`` stores that alone, for readers without a kernel.

    Args:
        draw: takes the names of ``ranges`` and returns a figure; the defaults of its arguments are shown first.
        alt: description of the figure for those who cannot see it; the values are added to it.
        width: width on the page in pixels; it shrinks on narrow screens.
        **ranges: for each argument of ``draw`` either ``(low, high)`` or ``(low, high, step)`` for a slider, or a list
            for a menu.
    """
    parameters, controls = inspect.signature(draw).parameters, {}
    for name, values in ranges.items():
        if name not in parameters:
            raise ValueError(f"{name} is not an argument of draw, which takes {', '.join(parameters)}")
        control = None
        if isinstance(values, (tuple, list)) and values:
            control = ipywidgets.interactive.widget_from_abbrev(values, parameters[name].default)
        if control is None:
            raise ValueError(f"{name} must be (low, high), (low, high, step) or a list of choices, got {values!r}")
        control.description, control.style.description_width = name.replace("_", " "), "initial"
        controls[name] = control
    picture = ipywidgets.HTML()

    def described() -> str:
        return ", ".join(f"{control.description} {control.value}" for control in controls.values())

    def show(change: Any = None) -> None:
        drawn = png_of_figure(draw(**{name: control.value for name, control in controls.items()}))
        picture.value = _image(drawn, f"{alt}: {described()}", width, [drawn])

    for control in controls.values():
        control.observe(show, "value")
    show()
    note = f"Drawn for {described()}. Open this page in Colab or JupyterLab and run the cell to change these values."
    still = f'<div class="gan-widget">{STYLE}{picture.value}<p><small>{html.escape(note)}</small></p></div>'
    return Explorer(ipywidgets.VBox([*controls.values(), picture]), still)


BROWSER = Path(__file__).parent / "browser"  # what is made from the sources in lab/, and what both languages read


class Lab(anywidget.AnyWidget):
    """A GAN with points in the plane, or a Dirac-GAN, that trains in the reader's browser: the book's GAN lab, small.

    It works where a kernel runs (Colab, JupyterLab) and on the pages of the book, which load the same program. Where
    scripts do not run, a sentence stands in its place.

    Args:
        preset: name of an experiment, a key of ``Lab.presets()``; the defaults if not given.
        compare: a second run beside the first: the settings in which it differs, none if it shall be the same at first.
        **settings: what differs from it, by the names of the lab's settings (``Lab.settings()``), for example
            ``seed=3, lr_d=2e-3``.

    Attributes:
        state: the settings as the lab's page has them in its address, ``"preset=collapse&seed=3"``. It follows what
            the reader changes, and changes the lab when it is set.

    Raises:
        ValueError: there is no such preset or setting, or its value is none that it may have.
    """

    _esm = (BROWSER / "lab.js").read_text(encoding="utf-8") + "export default { render: GanLab.widget };"
    state = traitlets.Unicode().tag(sync=True)

    def __init__(self, preset: str | None = None, *, compare: Mapping[str, Any] | None = None, **settings: Any):
        presets = self.presets()
        if preset is not None and preset not in presets:
            raise unknown("preset", preset, presets)
        pairs = [("preset", preset)] if preset else []
        for prefix, chosen in (("", settings), ("b.", compare or {})):
            for name, value in chosen.items():
                _check_setting(name, value)
                pairs.append((prefix + name, int(value) if isinstance(value, bool) else value))
        if compare is not None and not compare:
            pairs.append(("compare", 1))
        self.about = presets[preset]["title"] if preset else "a GAN in the plane"
        super().__init__(state=urlencode(pairs))

    @staticmethod
    def presets() -> dict[str, dict[str, Any]]:
        """Return the lab's experiments: name -> title, text, settings."""
        return json.loads((BROWSER / "presets.json").read_text(encoding="utf-8"))

    @staticmethod
    def settings() -> dict[str, dict[str, Any]]:
        """Return the lab's settings: name -> type, default, range or choices."""
        return json.loads((BROWSER / "settings.json").read_text(encoding="utf-8"))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        note = (
            f"Here, {self.about} trains live: on the pages of the book, and where this cell has been run in Colab or "
            "JupyterLab."
        )
        state = html.escape(self.state)
        data["text/html"] = f'<div class="gan-lab-place" data-state="{state}"><p><small>{note}</small></p></div>'
        data["text/plain"] = "A lab, which needs a browser"
        return data, metadata

    _ipython_display_ = None  # of ipywidgets 7: it would show the widget without what stands beside it


def _check_setting(name: str, value: Any) -> None:
    """Refuse a setting that the lab would refuse."""
    if name not in Lab.settings():
        raise unknown("setting", name, Lab.settings())
    about = Lab.settings()[name]
    kind = about["type"]
    if kind in ("number", "integer"):
        wanted = f"{'a whole number' if kind == 'integer' else 'a number'} from {about['min']} to {about['max']}"
        number = isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
        fits = number and about["min"] <= value <= about["max"]
    elif kind == "flag":
        wanted, fits = "True or False", isinstance(value, bool)
    elif kind == "choice":
        wanted, fits = f"one of {', '.join(about['choices'])}", value in about["choices"]
    else:
        wanted, fits = "a string", isinstance(value, str)
    if not fits:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _image(png: bytes, alt: str, width: int, pictures: Sequence[bytes]) -> str:
    """Return an <img> of this width that reserves the height of the tallest of the pictures."""
    sizes = [struct.unpack(">II", picture[16:24]) for picture in pictures]  # as a PNG begins
    height = max(round(width * tall / wide) for wide, tall in sizes)
    return (
        f'<img src="{_uri(png)}" alt="{html.escape(alt)}" width="{width}" height="{height}" '
        f'style="aspect-ratio: {width} / {height}">'
    )


def png_of_images(x: Tensor, *, columns: int = 8, scale: int = 1) -> bytes:
    """Return a grid of images ``(n, C, H, W)`` as a PNG, each pixel ``scale`` pixels wide.

    Grey images are stored with 16 levels, which halves the file and is not seen.
    """
    grid = image_grid(x, columns)
    grid = grid.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    if x.shape[1] == 1:
        picture = Image.fromarray(grid[0].float().div(17).round().byte().numpy())
        picture.putpalette([17 * level for level in range(16) for _ in range(3)])
    else:
        picture = Image.fromarray(grid.permute(1, 2, 0).contiguous().numpy())
    file = io.BytesIO()
    picture.save(file, "png", optimize=True)
    return file.getvalue()


def png_of_figure(figure: Figure, dpi: int = 100, colors: int = 128) -> bytes:
    """Return a figure as a PNG of at most ``colors`` colours, and close it: a third of the usual file or less."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    plt.close(figure)
    file = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(colors, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return file.getvalue()
