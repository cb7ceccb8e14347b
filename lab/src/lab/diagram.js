// Slow motion: who hands what to whom in one step, with the part that is at work marked, and a sentence for it.
import { s } from "./dom.js";

// [name, text, x, y, width, height, kind]
const NODES = [
  ["latents", "noise z", 6, 22, 72, 40, ""],
  ["G", "G", 116, 18, 56, 48, "fake"],
  ["fake", "fakes", 214, 22, 72, 40, "fake"],
  ["real", "real data", 92, 122, 84, 40, "real"],
  ["D", "D", 222, 118, 56, 48, "disc"],
  ["loss", "loss", 316, 122, 58, 40, ""],
];
const EDGES = [
  ["latents-G", "M78 42H112"],
  ["G-fake", "M172 42H210"],
  ["fake-D", "M242 62V114"],
  ["real-D", "M176 142H218"],
  ["D-loss", "M278 136H312"],
  ["loss~D", "M316 152H283", "back"],
  ["D~fake", "M260 118V67", "back"],
  ["fake~G", "M214 54H177", "back"],
];

const ACTIVE = {
  "D data": "real",
  "D latents": "latents",
  "D samples": "latents-G G G-fake fake",
  "D scores": "real real-D fake fake-D D D-loss loss",
  "D gradients": "loss loss~D D",
  "D update": "D",
  "G data": "real",
  "G latents": "latents",
  "G samples": "latents-G G G-fake fake",
  "G scores": "fake fake-D D D-loss loss",
  "G gradients": "loss loss~D D~fake fake fake~G G",
  "G update": "G",
};

const TEXT = {
  "D data": (n) => `The discriminator's turn. A batch of ${n} real points is drawn (large squares).`,
  "D latents": (n) => `${n} noise vectors z are drawn: random numbers, nothing else.`,
  "D samples": () =>
    "The generator turns each z into a sample. These are the fakes (large discs). In D's turn the generator only " +
    "supplies them: its weights stay as they are.",
  "D scores": () =>
    "D gives every point a score: high means “real”. Its loss is small if real points score high and fakes low.",
  "D gradients": () =>
    "Back-propagation goes from the loss into D: for each of its weights, in which direction the loss falls.",
  "D update": () =>
    "D's weights take one step, which the optimiser makes of these gradients. The coloured surface changes; the " +
    "fakes stay where they are.",
  "G data": (n) =>
    `The generator's turn. This loss compares each fake with a real point, so ${n} real points are drawn.`,
  "G latents": (n) => `The generator's turn. ${n} new noise vectors are drawn.`,
  "G samples": () => "The generator turns them into new fakes.",
  "G scores": () => "D, whose weights stay as they are now, scores the fakes. G's loss is small if they score high.",
  "G gradients": () =>
    "The gradient goes back through D to the fakes: each arrow shows which way that fake would lower G's loss. " +
    "From there it goes on into G's weights.",
  "G update": () =>
    "G's weights take one step. All fakes move together, since they share the weights: none simply follows its arrow.",
};

/** The sentence for a part of a step: `part` is what the engine's `phases` yields, or null between two steps. */
export function phaseText(part, { batch }) {
  if (!part) return "Between two steps. “Next part” begins one: first D learns, then G.";
  const which = part.rounds > 1 ? `${part.player}'s update ${part.round + 1} of ${part.rounds} in this step. ` : "";
  const text = which + TEXT[`${part.player} ${part.phase}`](batch);
  return Number.isFinite(part.loss) ? `${text} ${part.player}'s loss is ${Number(part.loss.toPrecision(3))}.` : text;
}

/** What is marked in a part of a step: names of nodes and edges. */
export const active = (part) => (part ? ACTIVE[`${part.player} ${part.phase}`].split(" ") : []);

export class Diagram {
  constructor() {
    const end = (id) =>
      s(
        "marker",
        { id, viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 6, markerHeight: 6, orient: "auto" },
        s("path", { d: "M0 0L8 4L0 8Z", fill: "currentColor" }),
      );
    const id = `gan-lab-end-${Math.random().toString(36).slice(2)}`;
    this.parts = {};
    const edges = EDGES.map(
      ([name, d, kind = ""]) =>
        (this.parts[name] = s("path", {
          d,
          class: `edge ${kind}`,
          fill: "none",
          stroke: "currentColor",
          "marker-end": `url(#${id})`,
        })),
    );
    const nodes = NODES.map(
      ([name, text, x, y, width, height, kind]) =>
        (this.parts[name] = s(
          "g",
          { class: `node ${kind}` },
          s("rect", { x, y, width, height, rx: kind && name.length === 1 ? 4 : 18 }),
          s("text", { x: x + width / 2, y: y + height / 2 + 4.5, "text-anchor": "middle" }, text),
        )),
    );
    this.element = s(
      "svg",
      { viewBox: "0 0 380 184", role: "img", class: "diagram" },
      s("defs", {}, end(id)),
      ...edges,
      ...nodes,
    );
    this.show(null);
  }

  show(part) {
    const marked = active(part);
    for (const [name, element] of Object.entries(this.parts))
      element.classList.toggle("gl-active", marked.includes(name));
    this.element.setAttribute(
      "aria-label",
      "One step of training: noise goes through G to fakes; D scores fakes and real data; the loss's " +
        `gradients go back. At work now: ${part ? `${part.player}'s turn, ${part.phase}` : "nothing"}.`,
    );
  }
}
