// The table of what is measured, a column for each run.
import { h, say } from "./dom.js";
import { number, percent } from "./sentences.js";

// The column of a run.
function figures({ settings, step, measure: m, snapshot: s, radius, path }) {
  if (settings.game === "dirac") {
    const [theta, psi] = path?.slice(-2) ?? [];
    return { step: `${step}`, θ: number(theta), ψ: number(psi), "distance from (0, 0)": number(radius?.now) };
  }
  const critic = settings.loss === "wasserstein";
  return {
    ...(m?.of === 0
      ? {}
      : {
          "modes covered": m ? `${m.modes} of ${m.of}` : "–",
          "near a mode": m ? percent(m.nearMode) : "–",
          "at the fullest mode": m ? percent(m.largestShare) : "–",
        }),
    "JS (floor)": m ? `${number(m.js)} (${number(m.jsFloor)})` : "–",
    "KL real‖fake (floor)": m ? `${number(m.klRealFake)} (${number(m.klFloor)})` : "–",
    "KL fake‖real (floor)": m ? `${number(m.klFakeReal)} (${number(m.klFloor)})` : "–",
    "loss of D": number(s?.lossD),
    "loss of G": number(s?.lossG),
    [critic ? "mean score, real / fake" : "mean logit, real / fake"]:
      `${number(s?.logitReal)} / ${number(s?.logitFake)}`,
    "D is right": s ? percent(s.accuracyD) : "–",
    "slope of D at fakes": number(s?.slopeD),
  };
}

const MEANINGS = [
  ["modes covered", "Modes with at least one of 2,500 samples within three standard deviations."],
  ["near a mode", "Share of the samples within three standard deviations of a mode; of real data it is 98.9 %."],
  [
    "at the fullest mode",
    "Share of the samples that are nearest to one and the same mode. Even shares: 1 / number of modes.",
  ],
  [
    "JS, KL",
    "How far the samples' histogram is from the data's, in nats, without D's help. KL(real‖fake) grows where data " +
      "have no samples, " +
      "KL(fake‖real) where samples have no data. The floor is what two sets of real points give on average: a " +
      "perfect G would get as much.",
  ],
  [
    "D is right",
    "Share of right decisions on real points and fakes. For losses of pairs: how often the real one of a pair " +
      "scores higher.",
  ],
  [
    "slope of D at fakes",
    "How steep D is where the fakes are. Each fake is pushed along D's slope, times a weight that the loss gives it.",
  ],
];
const PICTURE = [
  [
    "The game",
    "The generator G turns noise into samples, the fakes. The discriminator D tells them from real samples, and G " +
      "learns " +
      "from D's answers alone. Each step trains D, then G.",
  ],
  ["real samples, fakes", "250 of each: squares are real, discs are made by G, always from the same noise."],
  ["D's output", "What D says at each place of the plane: blue where it takes points for real, orange for fake."],
  [
    "G's lattice",
    "The noise's square (or line), cut into cells of equal share, as G bends it. Where cells are small and dark, " +
      "many " +
      "samples fall.",
  ],
  ["gradients on fakes", "The way in which each fake would lower G's loss, if it could move alone."],
  [
    "Slow motion",
    "Goes through the parts of one step: who gives what to whom, and who learns. “Next seed” starts with other " +
      "random " +
      "numbers: what differs then is chance.",
  ],
];

const list = (entries) => h("dl", {}, ...entries.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
export const picture = () => list(PICTURE);
export const meanings = () => list(MEANINGS);

export class Table {
  constructor() {
    this.element = h("table", { class: "numbers" });
  }

  draw(runs) {
    const columns = runs.map(figures);
    const names = [...new Set(columns.flatMap((column) => Object.keys(column)))];
    const shape = names.join() + columns.length;
    if (shape !== this.shape) {
      this.shape = shape;
      this.cells = names.map(() => columns.map(() => h("td")));
      const heads =
        runs.length > 1 ? [h("tr", {}, h("td"), ...runs.map(({ name }) => h("th", { scope: "col" }, name)))] : [];
      const rows = names.map((name, i) => h("tr", {}, h("th", { scope: "row" }, name), ...this.cells[i]));
      this.caption = h("caption");
      this.element.replaceChildren(this.caption, ...heads, ...rows);
    }
    const steps = new Set(runs.map(({ measure }) => measure?.step));
    const [step] = steps;
    say(this.caption, steps.size === 1 && step !== undefined ? `Measured at step ${step}` : "Measured");
    names.forEach((name, i) => columns.forEach((column, j) => say(this.cells[i][j], column[name] ?? "–")));
  }
}
