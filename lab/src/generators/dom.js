// The few parts that all explorers are made of, with the names and roles that keyboards and screen readers need.

const LATEST = 20; // images whose times are looked at

/** An element with attributes, listeners (`onclick`) and children, elements or texts. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export const button = (text, onclick) => element("button", { type: "button", onclick }, text);

/** A menu in its label; `options` are [value, text] pairs. */
export function menu(label, options, value, onchange) {
  const select = element("select", { "aria-label": label, onchange: () => onchange(select.value) });
  select.append(...options.map(([value, text]) => element("option", { value }, text)));
  select.value = value;
  return { row: element("label", {}, element("span", {}, label), select), select };
}

/** A slider in its label, with its number beside it. */
export function slider(label, { min, max, step, value, shown = (v) => v.toFixed(2) }, oninput) {
  const number = element("output", {}, shown(value));
  const moved = () => { set(range.value); oninput(Number(range.value)); };
  const range = element("input", { type: "range", "aria-label": label, min, max, step, value, oninput: moved });
  const set = (value) => {
    range.value = value;
    number.textContent = shown(Number(value));
    range.setAttribute("aria-valuetext", number.textContent);
  };
  set(value);
  return { row: element("label", {}, element("span", {}, label), range, number), range, set };
}

/** A picture of (channels, height, width) numbers, with a text for who does not see it and, if given, a caption. */
export function picture([channels, height, width], text, caption) {
  const canvas = element("canvas", { width, height, role: "img", "aria-label": text });
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  const show = (values) => {
    const places = width * height;
    for (let i = 0; i < places; i++) {
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = (values[(channels === 1 ? 0 : c) * places + i] + 1) * 127.5;
      pixels.data[4 * i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  };
  const figure = element("figure", {}, canvas, ...(caption === undefined ? [] : [element("figcaption", {}, caption)]));
  return { figure, canvas, show, named: (text) => canvas.setAttribute("aria-label", text) };
}

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Make a picture a sheet to draw on, by pointer or keys: arrows move a cursor (with shift by less), space lowers and
 * lifts it. `begin` and `move` get a place [x, y] in pixels of the picture. Returned is a text that says where it is.
 */
export function drawable({ canvas }, [width, height], text, { begin, move }) {
  const state = { down: false, cursor: [width / 2, height / 2] }, limits = [width, height];
  const mark = element("span", { class: "mark" }), where = element("p", { class: "note", "aria-live": "polite" });
  const frame = element("div", { class: "frame" }); // of the canvas alone: the mark stands on a place of it
  canvas.replaceWith(frame);
  frame.append(canvas, mark);
  for (const pair of [["tabindex", 0], ["role", "application"], ["aria-label", text]]) canvas.setAttribute(...pair);

  function marked() {
    [mark.style.left, mark.style.top] = state.cursor.map((v, i) => `${(100 * v) / limits[i]}%`);
    mark.classList.toggle("down", state.down);
    const [x, y] = state.cursor.map((v) => Math.round(v));
    where.textContent = `pen ${state.down ? "down" : "up"}, column ${x}, row ${y}`;
  }
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus();
    state.down = false;
    begin(at(event));
    marked();
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const part of event.getCoalescedEvents?.() ?? []) move(at(part));
    move(at(event));
  });
  canvas.addEventListener("keydown", (event) => {
    const step = KEYS[event.key], far = event.shiftKey ? 0.5 : 2;
    if (step) {
      state.cursor = state.cursor.map((v, i) => Math.min(Math.max(v + far * step[i], 0), limits[i]));
      if (state.down) move(state.cursor);
    } else if (event.key === " ") {
      state.down = !state.down;
      if (state.down) begin(state.cursor);
    } else return;
    event.preventDefault();
    marked();
  });
  marked();
  return where;
}

/** Call `work` once, soon, for all that was asked for until then. */
export function soon(work) {
  let waiting = null;
  return () => { waiting ??= setTimeout(() => { waiting = null; work(); }); };
}

/**
 * A function that computes pictures one after the other, lets the page breathe between them, and forgets what it still
 * had to do when it is called again. It takes jobs [picture, what the generator is given] and resolves with the
 * samples, or with null if it was called again; `timed` is told the milliseconds that an image took, the median of the
 * latest: the first ones are slower, until the browser has compiled the loops.
 */
export function painter(network, timed) {
  const times = [];
  let current = 0;
  return async (jobs) => {
    const mine = ++current, samples = [];
    let since = performance.now();
    for (const [picture, given] of jobs) {
      if (performance.now() - since > 16) {
        await new Promise((resolve) => setTimeout(resolve));
        since = performance.now();
      }
      if (mine !== current) return null;
      const began = performance.now();
      samples.push(network.run(given));
      times.push(performance.now() - began);
      picture.show(samples.at(-1));
    }
    timed(times.slice(-LATEST).sort((a, b) => a - b)[Math.min(times.length, LATEST) >> 1]);
    return samples;
  };
}
