// A pad to draw data on, by pointer or by keys.
import { decodeDrawing, encodeDrawing } from "../engine/index.js";
import { h, say } from "./dom.js";

const EXTENT = 1.5; // drawings lie in [-1.5, 1.5] squared, as the engine's
const GAP = 0.04; // between two points of a stroke
const MOST = 900; // points, below what a link may hold

/** The points to add when a stroke goes on from one point to another; none if it has not moved by `GAP`. */
export function between([x, y], [toX, toY]) {
  const n = Math.floor(Math.hypot(toX - x, toY - y) / GAP);
  return Array.from({ length: n }, (_, i) => [x + ((i + 1) / n) * (toX - x), y + ((i + 1) / n) * (toY - y)]);
}

/** A drawing to begin with: a heart. */
export function heart() {
  const points = [];
  for (let i = 0; i < 72; i++) {
    const t = (i / 72) * 2 * Math.PI;
    points.push(
      Math.sin(t) ** 3,
      (13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t)) / 16 + 0.1,
    );
  }
  return encodeDrawing(points);
}

export class Pad {
  constructor(id, change) {
    this.change = change;
    this.strokes = [];
    this.cursor = [0, 0];
    this.down = false; // the pen, when drawing by keys
    this.canvas = h("canvas", {
      width: 480,
      height: 480,
      tabindex: 0,
      role: "application",
      "aria-label": "Drawing pad",
      "aria-describedby": `${id}-pad-help`,
    });
    this.status = h("output", { class: "pad-status" });
    this.element = h(
      "div",
      { class: "pad", hidden: true },
      h(
        "p",
        { id: `${id}-pad-help`, class: "pad-help" },
        "Draw with mouse, pen or finger. By keys: arrows move the cross (with Shift in " +
          "small steps), Space sets a point, Enter lowers or lifts the pen, Backspace takes the last stroke back.",
      ),
      this.canvas,
      h(
        "div",
        { class: "bar" },
        h("button", { type: "button", onclick: () => this.undo() }, "Undo stroke"),
        h("button", { type: "button", onclick: () => this.clear() }, "Clear"),
      ),
      this.status,
    );
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const place = (share) => Math.max(-EXTENT, Math.min(EXTENT, (2 * share - 1) * EXTENT));
      return [place((event.clientX - box.left) / box.width), -place((event.clientY - box.top) / box.height)];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.cursor = at(event);
      this.begin();
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (this.canvas.hasPointerCapture(event.pointerId)) this.extend(at(event));
    });
    this.canvas.addEventListener("pointerup", () => this.finish());
    this.canvas.addEventListener("pointercancel", () => this.finish());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => {
      if (this.down) this.pen();
    });
  }

  get count() {
    return this.strokes.reduce((sum, stroke) => sum + stroke.length, 0);
  }

  begin() {
    this.strokes.push(this.count < MOST ? [this.cursor] : []);
    this.draw();
  }

  extend(to) {
    const stroke = this.strokes.at(-1);
    const added = between(stroke.at(-1) ?? to, to).slice(0, Math.max(0, MOST - this.count));
    stroke.push(...added);
    this.cursor = to;
    this.draw();
  }

  finish() {
    this.draw();
    if (this.count) this.change(encodeDrawing(this.strokes.flat(2)));
    else say(this.status, "Nothing is drawn yet: the run keeps its last data until there is a point.");
  }

  undo() {
    this.strokes.pop();
    this.finish();
  }

  clear() {
    this.strokes = [];
    this.finish();
  }

  pen() {
    this.down = !this.down;
    if (this.down) this.begin();
    else this.finish();
  }

  key(event) {
    const step = event.shiftKey ? 0.02 : 0.1;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (way) {
      const to = this.cursor.map((x, i) => Math.max(-EXTENT, Math.min(EXTENT, x + step * way[i])));
      if (this.down) this.extend(to);
      else this.cursor = to;
    } else if (event.key === " ") {
      this.begin();
      this.finish();
    } else if (event.key === "Enter") this.pen();
    else if (event.key === "Backspace") this.undo();
    else return;
    event.preventDefault();
    this.draw();
  }

  /** Show a drawing of the settings, unless it is the one that was just made here. */
  show(drawing, colors) {
    this.colors = colors;
    if (!this.count || encodeDrawing(this.strokes.flat(2)) !== drawing) {
      const points = decodeDrawing(drawing);
      this.strokes = points.length
        ? [Array.from({ length: points.length / 2 }, (_, i) => [points[2 * i], points[2 * i + 1]])]
        : [];
    }
    this.draw();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    const { width } = this.canvas;
    const pixel = (x) => (x / EXTENT + 1) * (width / 2);
    context.fillStyle = `rgb(${this.colors.paper})`;
    context.fillRect(0, 0, width, width);
    context.fillStyle = this.colors.real;
    for (const [x, y] of this.strokes.flat()) context.fillRect(pixel(x) - 4, pixel(-y) - 4, 8, 8);
    const [x, y] = [pixel(this.cursor[0]), pixel(-this.cursor[1])];
    context.strokeStyle = this.colors.line;
    context.lineWidth = this.down ? 5 : 2;
    context.beginPath();
    context.moveTo(x - 14, y);
    context.lineTo(x + 14, y);
    context.moveTo(x, y - 14);
    context.lineTo(x, y + 14);
    context.stroke();
    say(
      this.status,
      `Cross at (${this.cursor.map((v) => v.toFixed(2)).join(", ")}), pen ${this.down ? "down" : "up"}, ` +
        `${this.count} ` +
        `point${this.count === 1 ? "" : "s"}${this.count >= MOST ? ": no room for more" : ""}.`,
    );
  }
}
