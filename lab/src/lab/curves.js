// The charts of the lab: what is measured over the steps, of one run or of two in the same charts.
import { Chart } from "./charts.js";
import { h } from "./dom.js";

const MODAL = ["ring", "grid", "gaussians"]; // data with modes to count

export class Curves {
  constructor() {
    this.charts = {
      loss: new Chart("Losses"),
      modes: new Chart("Modes", { least: [0, 1], note: "shares" }),
      js: new Chart("JS divergence", { least: [0], note: "nats" }),
      kl: new Chart("KL divergences", { least: [0], note: "nats" }),
      radius: new Chart("Distance from (0, 0)", { least: [0] }),
    };
    this.element = h("div", { class: "charts" }, ...Object.values(this.charts).map((chart) => chart.element));
  }

  /** Show the charts that settings, those of each run, have something for. */
  choose(all) {
    const plane = all.filter(({ game }) => game === "points");
    for (const [name, chart] of Object.entries(this.charts)) {
      const wanted =
        name === "radius"
          ? plane.length < all.length
          : name === "modes"
            ? plane.some(({ data }) => MODAL.includes(data))
            : plane.length > 0;
      chart.element.hidden = !wanted;
    }
  }

  /** Draw what runs have measured; with `describe` the charts are told in words as well. */
  draw(runs, describe) {
    const lines = { loss: [], modes: [], js: [], kl: [], radius: [] };
    const floors = { loss: [], modes: [], js: [], kl: [], radius: [] };
    runs.forEach((run, i) => addRun(lines, floors, runs, run, i));
    for (const [name, chart] of Object.entries(this.charts)) {
      if (chart.element.hidden) continue;
      chart.draw(lines[name], floors[name]);
      if (describe) chart.describe(lines[name], floors[name]);
    }
  }
}

// Put the lines of a run into the charts. The second run has colours and dashes of its own.
function addRun(lines, floors, runs, { name, settings, records, measures, measure: m, distances }, i) {
  const which = runs.length > 1 ? ` ${name}` : "";
  const line = (chart, list, label, color, dash, y) =>
    lines[chart].push({
      label: label + which,
      color: `var(--${color}${i ? "-b" : ""})`,
      dash: i ? dash || "7 2" : dash,
      points: list.map((entry) => [entry.step, y(entry)]),
    });
  if (settings.game === "dirac") {
    line("radius", distances ?? [], "distance", "fake", "", (r) => r.value);
    return;
  }
  line("loss", records, "D", "disc", "", (r) => r.lossD);
  line("loss", records, "G", "fake", "4 2", (r) => r.lossG);
  if (m?.of) {
    line("modes", measures, `covered (of ${m.of})`, "real", "", (r) => r.modes / r.of);
    line("modes", measures, "near a mode", "fake", "4 2", (r) => r.nearMode);
  }
  line("js", measures, "JS", "disc", "", (r) => r.js);
  line("kl", measures, "KL(real‖fake)", "real", "", (r) => r.klRealFake);
  line("kl", measures, "KL(fake‖real)", "fake", "4 2", (r) => r.klFakeReal);
  if (!m || (i > 0 && m.jsFloor === runs[0].measure?.jsFloor)) return; // the same floor once
  const whose = runs.every((other) => other.measure?.jsFloor === m.jsFloor) ? "" : which;
  floors.js.push({ label: `floor${whose}: real against real`, value: m.jsFloor });
  floors.kl.push({ label: `floor${whose}`, value: m.klFloor });
}
