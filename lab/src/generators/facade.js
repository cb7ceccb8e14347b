// A facade from a map of its parts, which the reader paints in rectangles.
import { button, drawable, element, painter, picture, soon } from "./dom.js";

const TEXT = "Map to paint on. Arrow keys move, with shift by less; space begins a rectangle and ends it.";

/** The numbers of the parts (side * side), with one of them in a rectangle between two places [x, y]. */
export function filled(map, side, [x0, y0], [x1, y1], part) {
  const out = map.slice(), clamp = (v) => Math.min(Math.max(Math.floor(v), 0), side - 1);
  const [left, right] = [clamp(Math.min(x0, x1)), clamp(Math.max(x0, x1))];
  for (let i = clamp(Math.min(y0, y1)); i <= clamp(Math.max(y0, y1)); i++) {
    out.fill(part, i * side + left, i * side + right + 1);
  }
  return out;
}

/** A map as an image (3, side, side) in [-1, 1]: what the translator takes. */
export function image(map, parts) {
  const out = new Float32Array(3 * map.length);
  for (let c = 0; c < 3; c++) map.forEach((part, i) => { out[c * map.length + i] = parts[part][1][c] / 127.5 - 1; });
  return out;
}

/** Maps to begin with, as rectangles [part, left, top, right, bottom] in a square of side 1. */
const WALL = ["wall", 0, 0, 1, 1], BEYOND = ["background", 0, 0, 1, 1];
const BEGINNINGS = {
  "a house": [WALL, ["cornice", 0, 0.03, 1, 0.07], ...rows(3, 4), ["door", 0.45, 0.76, 0.55, 1]],
  "a tower": [BEYOND, ["wall", 0.3, 0.1, 0.7, 1], ...rows(5, 2, 0.3, 0.7), ["door", 0.44, 0.85, 0.56, 1]],
  "a bare wall": [WALL],
  "doors only": [WALL, ...rows(3, 4).map(([, ...box]) => ["door", ...box])],
};

/** Windows in a few rows, between two sides. */
function rows(floors, windows, left = 0, right = 1) {
  const wide = (right - left) / windows, high = 0.88 / floors, boxes = [];
  for (let i = 0; i < floors; i++) {
    for (let j = 0; j < windows; j++) {
      const [x, y] = [left + (j + 0.25) * wide, 0.12 + (i + 0.2) * high];
      boxes.push(["window", x, y, x + wide / 2, y + high / 2]);
    }
  }
  return boxes;
}

export function facade(body, network, { colours: parts, timed }) {
  const [, side] = network.input.shape, number = (name) => parts.findIndex(([part]) => part === name);
  const undo = [], paint = painter(network, timed);
  let map = new Uint8Array(side * side), part = number("window"), corner, before;
  const mine = picture(network.input.shape, "", "your map");
  const theirs = picture(network.shape, "The answer, a generated facade", "the answer");
  mine.figure.className = "large sheet";
  theirs.figure.className = "large";

  const answer = soon(() => paint([[theirs, { image: image(map, parts) }]]));
  function changed(next) {
    map = next;
    mine.show(image(map, parts));
    answer();
  }
  function put(boxes) {
    undo.push(map);
    const all = boxes.map(([name, ...box]) => [number(name), ...box.map((v) => v * side)]);
    changed(all.reduce((m, [n, x0, y0, x1, y1]) => filled(m, side, [x0, y0], [x1 - 1, y1 - 1], n), map));
  }

  const move = (place) => changed(filled(before, side, corner, place, part));
  function begin(place) {
    undo.push(map);
    [before, corner] = [map, place];
    move(place);
  }
  const where = drawable(mine, [side, side], TEXT, { begin, move });
  const choices = parts.map(([name, colour], i) => {
    const chosen = button(name, () => choose(i));
    chosen.prepend(element("span", { class: "chip", style: `background: rgb(${colour})` }));
    return chosen;
  });
  function choose(i) {
    part = i;
    choices.forEach((choice, j) => choice.setAttribute("aria-pressed", i === j));
  }
  body.append(
    element("div", { class: "split even" }, mine.figure, theirs.figure), where,
    element("div", { class: "controls wide", role: "group", "aria-label": "part to paint" }, ...choices),
    element("div", { class: "controls wide" }, button("undo", () => changed(undo.pop() ?? map)),
      element("span", { class: "group" }, "draw for me: ",
        ...Object.keys(BEGINNINGS).map((name) => button(name, () => put(BEGINNINGS[name]))))),
  );
  choose(part);
  put(BEGINNINGS["a house"]);
  undo.length = 0;
}
