// What a translator makes of what the reader draws, while it is drawn.
import { button, drawable, element, menu, painter, picture, soon } from "./dom.js";
import { figures, image, sheet, stroke, trace } from "./pen.js";

const PENS = { 1.5: "thin", 2.2: "medium", 3.5: "thick" }; // widths in pixels
const TEXT = "Sheet to draw on. Arrow keys move the pen, with shift by less; space lowers and lifts it.";

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
  const [, side] = network.input.shape, undo = [];
  let page = sheet(side), pen = 2.2, last;
  const paint = painter(network, timed), mine = picture(network.input.shape, "", "your drawing");
  const theirs = picture(network.shape, "", "the answer");
  const read = element("p", { class: "caption", "aria-live": "polite" });
  mine.figure.className = "large sheet";
  theirs.figure.className = "large";

  const answer = soon(async () => {
    const samples = await paint([[theirs, { image: image(page) }]]);
    if (!samples) return;
    const name = nearest(samples[0], colours), empty = page.ink.every((v) => v === 0);
    const words = empty ? "An empty sheet: even so it answers." : `Its colours are nearest to those of ${name}.`;
    if (read.textContent !== words) read.textContent = words;
    theirs.named(`The answer, in colours nearest to those of ${name}`);
  });
  function changed() {
    mine.show(image(page));
    answer();
  }
  function put(lines) {
    undo.push(page);
    page = sheet(side);
    trace(page, lines, pen);
    changed();
  }
  function back() {
    page = undo.pop() ?? page;
    changed();
  }

  function move(place) {
    stroke(page, ...last, ...place, pen);
    last = place;
    changed();
  }
  function begin(place) {
    undo.push({ side, ink: page.ink.slice() });
    last = place;
    move(place);
  }
  const where = drawable(mine, [side, side], TEXT, { begin, move });
  const pens = menu("pen", Object.entries(PENS), pen, (width) => { pen = Number(width); });
  const legend = colours.map(([name, ink, paper]) =>
    element("li", { style: `color: rgb(${ink}); background: rgb(${paper})` }, name));
  body.append(
    element("div", { class: "split even" }, mine.figure, theirs.figure), read, where,
    element("div", { class: "controls wide" }, pens.row, button("undo", back), button("clear", () => put([])),
      element("span", { class: "group" }, "draw for me: ",
        ...Object.keys(figures).map((name) => button(name, () => put(figures[name]))))),
    element("p", { class: "title" }, "The colours of training"),
    element("ul", { class: "legend" }, ...legend),
  );
  put(figures.A);
  undo.length = 0;
}
