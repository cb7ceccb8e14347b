// What a translator makes of what the reader draws, while it is drawn.
import { button, element, menu, painter, picture } from "./dom.js";
import { figures, image, sheet, stroke, trace } from "./pen.js";

const PENS = { 1.5: "thin", 2.2: "medium", 3.5: "thick" }; // widths in pixels
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * The class whose two colours fit a picture best: `colours` are [name, ink, background], the pixels of a class lie on
 * the line from the one to the other, in the cube of red, green and blue, and the mean squared distance decides.
 */
export function nearest(values, colours) {
  const places = values.length / 3, misfit = colours.map(([, ink, paper]) => {
    const along = ink.map((v, c) => v - paper[c]), square = along.reduce((s, v) => s + v * v, 0);
    let sum = 0;
    for (let i = 0; i < places; i++) {
      const from = paper.map((v, c) => (values[c * places + i] + 1) * 127.5 - v);
      const t = Math.min(Math.max(from.reduce((s, v, c) => s + v * along[c], 0) / square, 0), 1);
      sum += from.reduce((s, v, c) => s + (v - t * along[c]) ** 2, 0);
    }
    return sum / places;
  });
  return colours[misfit.indexOf(Math.min(...misfit))][0];
}

export function drawing(body, network, { colours, timed }) {
  const [, side] = network.input.shape, state = { pen: 2.2, last: null, down: false, cursor: [side / 2, side / 2] };
  let page = sheet(side), undo = [], soon = null;
  const paint = painter(network, timed), mine = picture(network.input.shape, "", "your drawing");
  const theirs = picture(network.shape, "", "the answer");
  const read = element("p", { class: "caption", "aria-live": "polite" });
  const mark = element("span", { class: "mark" });

  /** Once for all strokes that come together; the answer is as live as the machine is fast. */
  function changed() {
    mine.show(image(page));
    soon ??= setTimeout(async () => {
      soon = null;
      const samples = await paint([[theirs, { image: image(page) }]]);
      if (!samples) return;
      const empty = page.ink.every((v) => v === 0), name = nearest(samples[0], colours);
      const words = empty ? "An empty sheet: even so it answers." : `Its colours are nearest to those of ${name}.`;
      if (read.textContent !== words) read.textContent = words;
      theirs.named(`The answer, in colours nearest to those of ${name}`);
    });
  }

  const remember = () => undo.push(page.ink.slice());
  const to = ([x, y]) => { stroke(page, ...(state.last ?? [x, y]), x, y, state.pen); state.last = [x, y]; changed(); };
  const at = (event) => {
    const { left, top, width, height } = mine.canvas.getBoundingClientRect();
    return [((event.clientX - left) / width) * side, ((event.clientY - top) / height) * side];
  };
  const lift = () => { state.last = null; };

  mine.canvas.addEventListener("pointerdown", (event) => {
    mine.canvas.setPointerCapture(event.pointerId);
    mine.canvas.focus();
    state.down = false;
    remember();
    lift();
    to(at(event));
    marked();
    event.preventDefault();
  });
  mine.canvas.addEventListener("pointermove", (event) => {
    if (!mine.canvas.hasPointerCapture(event.pointerId)) return;
    for (const part of event.getCoalescedEvents?.() ?? []) to(at(part));
    to(at(event));
  });
  for (const kind of ["pointerup", "pointercancel"]) mine.canvas.addEventListener(kind, lift);

  // The pen by keys: arrows move it, space lowers and lifts it.
  mine.canvas.addEventListener("keydown", (event) => {
    const step = KEYS[event.key], fine = event.shiftKey ? 0.5 : 2;
    if (step) {
      state.cursor = state.cursor.map((v, i) => Math.min(Math.max(v + fine * step[i], 0), side));
      if (state.down) to(state.cursor);
    } else if (event.key === " ") {
      state.down = !state.down;
      lift();
      if (state.down) { remember(); to(state.cursor); }
    } else return;
    event.preventDefault();
    marked();
  });
  const marked = () => {
    mark.style.left = `${(100 * state.cursor[0]) / side}%`;
    mark.style.top = `${(100 * state.cursor[1]) / side}%`;
    mark.classList.toggle("down", state.down);
    const [x, y] = state.cursor.map((v) => Math.round(v));
    where.textContent = `pen ${state.down ? "down" : "up"}, column ${x}, row ${y} of ${side}`;
  };
  const where = element("p", { class: "note", "aria-live": "polite" });
  Object.entries({
    tabindex: 0, role: "application",
    "aria-label": "Sheet to draw on. Arrow keys move the pen, with shift by less; space lowers and lifts it.",
  }).forEach(([name, value]) => mine.canvas.setAttribute(name, value));
  const frame = element("div", { class: "frame" }); // of the canvas alone: the mark stands on a place of it
  mine.canvas.replaceWith(frame);
  frame.append(mine.canvas, mark);
  mine.figure.className = "large sheet";
  theirs.figure.className = "large";

  function put(lines) {
    remember();
    page = sheet(side);
    trace(page, lines, state.pen);
    lift();
    changed();
  }
  function back() {
    if (!undo.length) return;
    page = { side, ink: undo.pop() };
    lift();
    changed();
  }
  const letters = Object.keys(figures).map((name) => button(name, () => put(figures[name])));
  const pens = menu("pen", Object.entries(PENS), 2.2, (width) => { state.pen = Number(width); });
  const legend = colours.map(([name, ink, paper]) =>
    element("li", { style: `color: rgb(${ink}); background: rgb(${paper})` }, name));
  body.append(
    element("div", { class: "split even" }, mine.figure, theirs.figure), read, where,
    element("div", { class: "controls wide" }, pens.row,
      button("undo", back), button("clear", () => put([])),
      element("span", { class: "group" }, "draw for me: ", ...letters)),
    element("p", { class: "title" }, "The colours of training"),
    element("ul", { class: "legend" }, ...legend),
  );
  put(figures.A);
  undo = [];
  marked();
}
