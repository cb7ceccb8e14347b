// Small charts over the steps, as SVG: sharp, printable, in the page's colours.
import { h, s, say } from "./dom.js";
import { number } from "./sentences.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [320, 116, 44, 8, 8, 20];

/** The smallest and largest finite value of lines, widened to `least` and by a little; [0, 1] without any. */
export function range(lines, references = [], least = []) {
  let [low, high] = [Infinity, -Infinity];
  const see = (y) => {
    if (Number.isFinite(y)) [low, high] = [Math.min(low, y), Math.max(high, y)];
  };
  for (const { points } of lines) for (const [, y] of points) see(y);
  for (const y of [...references, ...least]) see(y);
  if (low > high) return [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  return [least.includes(low) ? low : low - margin, least.includes(high) ? high : high + margin];
}

/** The `d` of a path through points; it is interrupted where a value is not finite. */
export function trace(points, x, y) {
  let d = "";
  let pen = "M";
  for (const [step, value] of points) {
    if (Number.isFinite(value)) {
      d += `${pen}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    } else pen = "M";
  }
  return d;
}

/** A chart; `draw` shows lines {label, color, dash, points: [[step, value], ...]} and references {label, value}. */
export class Chart {
  constructor(title, { least = [], note = "" } = {}) {
    Object.assign(this, { title, least });
    this.plot = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
    this.axis = s("path", {
      class: "axis",
      d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}`,
      fill: "none",
      stroke: "currentColor",
    });
    const text = (x, y, anchor) => s("text", { x, y, "text-anchor": anchor });
    this.high = text(LEFT - 4, TOP + 8, "end");
    this.low = text(LEFT - 4, HEIGHT - BOTTOM, "end");
    this.first = text(LEFT, HEIGHT - 5, "start");
    this.last = text(WIDTH - RIGHT, HEIGHT - 5, "end");
    this.body = s("g");
    this.plot.append(this.axis, this.high, this.low, this.first, this.last, this.body);
    this.key = h("p", { class: "key" });
    this.element = h(
      "figure",
      { class: "chart" },
      h("figcaption", {}, title, note && h("small", {}, ` ${note}`)),
      this.plot,
      this.key,
    );
    this.paths = [];
    this.shape = "";
  }

  draw(lines, references = []) {
    const [low, high] = range(
      lines,
      references.map((r) => r.value),
      this.least,
    );
    const last = Math.max(1, ...lines.map(({ points }) => points.at(-1)?.[0] ?? 0));
    const x = (step) => LEFT + (step / last) * (WIDTH - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
    const all = [...lines, ...references.map((r) => ({ ...r, dash: "1.5 3", color: "currentColor" }))];
    const shape = all.map(({ label, color, dash }) => label + color + dash).join();
    if (shape !== this.shape) {
      this.shape = shape;
      this.paths = all.map(({ color, dash }) =>
        s("path", {
          fill: "none",
          stroke: color,
          "stroke-width": 1.8,
          "stroke-dasharray": dash,
          "stroke-linejoin": "round",
        }),
      );
      this.body.replaceChildren(...this.paths);
      this.key.replaceChildren(
        ...all.map(({ label, color, dash }) =>
          h(
            "span",
            {},
            s(
              "svg",
              { viewBox: "0 0 24 8", width: 24, height: 8, "aria-hidden": "true" },
              s("path", { d: "M0 4H24", stroke: color, "stroke-width": 2, "stroke-dasharray": dash }),
            ),
            label,
          ),
        ),
      );
    }
    all.forEach(({ points, value }, i) => {
      this.paths[i].setAttribute(
        "d",
        points
          ? trace(points, x, y)
          : trace(
              [
                [0, value],
                [last, value],
              ],
              x,
              y,
            ),
      );
    });
    say(this.high, number(high));
    say(this.low, number(low));
    say(this.first, "0");
    say(this.last, `step ${last}`);
  }

  /** Tell in words what the chart shows, for those who do not see it. */
  describe(lines, references = []) {
    const ends = lines
      .filter(({ points }) => points.length)
      .map(({ label, points }) => `${label}: from ` + `${number(points[0][1])} to ${number(points.at(-1)[1])}`);
    const fixed = references.map(({ label, value }) => `${label}: ${number(value)}`);
    this.plot.setAttribute("aria-label", [`${this.title} over the steps`, ...ends, ...fixed].join("; "));
  }
}
