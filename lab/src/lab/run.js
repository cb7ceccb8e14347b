// One run: its state, as the page knows it, and its panel with picture, legend, warning and sentences.
import { interval, MEASURE, RECORD } from "./session.js";
import { h, say } from "./dom.js";
import { Runner } from "./runner.js";
import { explain, number, percent } from "./sentences.js";
import { arrowScale, DiracView, PlaneView, surfaceScale, tint } from "./view.js";

const PATIENCE = 4000; // ms between two changes of the sentence while playing: a reader and a screen reader need them

export class Run {
  constructor(name, options) {
    Object.assign(this, { name, options });
    this.canvas = h("canvas", { role: "img", "aria-label": "Not drawn yet" });
    this.badge = h("p", { class: "badge", hidden: true });
    this.sentence = h("p", { class: "sentence", "aria-live": "polite" });
    this.legend = h("div", { class: "legend" });
    this.title = h("p", { class: "title" });
    this.element = h(
      "section",
      { class: `run run-${name}`, "aria-label": "Run" },
      this.title,
      this.canvas,
      this.legend,
      h("div", { class: "says" }, this.badge, this.sentence),
    );
  }

  /** Begin anew, at step 0. */
  begin(settings) {
    this.runner?.end();
    this.settings = settings;
    this.runner = new Runner(settings, this.options);
    const View = settings.game === "dirac" ? DiracView : PlaneView;
    if (!(this.view instanceof View) || this.view.constructor !== View) this.view = new View(this.canvas);
    Object.assign(this, {
      step: 0,
      diverged: null,
      over: false,
      records: [],
      measures: [],
      snapshot: null,
      present: undefined,
      part: null,
      ids: "",
      spoken: -Infinity,
      pace: NaN,
    });
    this.extent = undefined;
  }

  /** Ask for steps; promises whether the answer was taken: it is not if the run has begun anew meanwhile. */
  async ask(job) {
    const { runner } = this;
    const answer = await runner.ask({ ...job, view: { ...job.view, extent: this.extent } });
    if (runner !== this.runner) return false;
    this.take(answer, job);
    return true;
  }

  take(answer, job) {
    const { settings } = this;
    Object.assign(this, { step: answer.steps, diverged: answer.diverged, over: answer.over, part: answer.phase });
    if (job.steps) Object.assign(this, { pace: answer.ms / job.steps, shown: answer.shown });
    if (settings.game === "dirac") {
      Object.assign(this, {
        path: answer.path,
        start: answer.start,
        distances: answer.distances,
        radius: answer.radius,
        extent: answer.extent,
        field: answer.field,
      });
      return;
    }
    for (const [list, added, least] of [
      ["records", answer.records, RECORD],
      ["measures", answer.measures, MEASURE],
    ]) {
      const every = interval(least, answer.steps);
      this[list] = [...this[list], ...added].filter(({ step }, i, all) => step % every === 0 || i === all.length - 1);
    }
    const old = this.snapshot;
    this.snapshot = answer.snapshot;
    this.present = answer.present;
    if (old && !answer.snapshot.surface) answer.snapshot.surface = old.surface;
    // In slow motion each part of a step brings something: what came before in this step stays in the picture.
    this.batch = answer.phase && {
      ...(answer.phase.player === this.batch?.player && answer.phase.phase !== "latents" ? this.batch : {}),
      ...answer.phase,
    };
  }

  get measure() {
    return this.present ?? this.measures.at(-1);
  }

  get state() {
    const { settings, step, diverged, radius, measure, measures } = this;
    return { settings, step, diverged, radius, stats: this.snapshot, measure, before: measures[measures.length >> 1] };
  }

  draw(layers, colors) {
    if (this.settings.game === "dirac") {
      if (this.path) this.view.draw({ ...this, colors });
    } else if (this.snapshot) {
      const { snapshot, settings, batch } = this;
      this.view.draw({ snapshot, layers, extent: snapshot.extent, settings, colors, batch });
    }
  }

  /** What colours and arrows stand for. */
  key(layers, colors) {
    const { snapshot, settings } = this;
    const plane = settings.game === "points" && snapshot;
    const parts = [];
    if (plane && layers.surface && snapshot.surface) {
      const scale = surfaceScale(settings.loss, snapshot.surface, snapshot);
      const stops = [-1, -0.5, 0, 0.5, 1].map((t) => `rgb(${tint(colors, t).map(Math.round)})`);
      parts.push(
        h("span", {}, "fake"),
        h(
          "span",
          {},
          h("span", { class: "bar-of-colors", style: `background: linear-gradient(to right, ${stops})` }),
          h("span", { class: "ticks" }, ...[scale.low, scale.middle, scale.high].map((x) => h("span", {}, number(x)))),
        ),
        h("span", {}, "real"),
        h("small", {}, scale.label),
      );
    }
    if (plane && layers.gradients && snapshot.gradients) {
      parts.push(
        h(
          "small",
          {},
          "Arrows: the way in which each fake lowers G's loss. The longest stand for a slope of " +
            `${number(arrowScale(snapshot.gradients))}.`,
        ),
      );
    }
    if (settings.game === "dirac") {
      parts.push(
        h(
          "small",
          {},
          "Across: θ, the fake. Up: ψ, D's slope. Arrows: where both players walk; line: where they have " +
            "been, in the last 1,500 steps at most; square: the start; blue: the resting point.",
        ),
      );
    }
    this.legend.replaceChildren(...parts);
  }

  /** Say what is seen; while playing not more often than can be read. */
  tell(now, playing) {
    const { ids, text, warn, note } = explain(this.state);
    if (playing && now - this.spoken < (ids === this.ids ? 2 * PATIENCE : PATIENCE / 4)) return;
    Object.assign(this, { ids, spoken: now });
    this.badge.hidden = !warn && !note;
    this.badge.classList.toggle("gl-warning", Boolean(warn));
    say(this.badge, warn ? `⚠ ${warn}` : note);
    say(this.sentence, text);
  }

  /** What the picture shows, for those who do not see it. */
  describe() {
    const { settings, step, measure, snapshot } = this;
    let text = `Run ${this.name} at step ${step}. `;
    if (settings.game === "dirac") {
      if (!this.path) return;
      const [theta, psi] = this.path.slice(-2);
      text +=
        `The Dirac-GAN's plane of θ and ψ with the field of both players' directions; the path has come to ` +
        `(${number(theta)}, ${number(psi)}).`;
    } else {
      text += "Real samples as squares, generated ones as discs, over D's output as colour. ";
      if (measure?.of)
        text +=
          `${measure.modes} of ${measure.of} modes are covered, ${percent(measure.nearMode)} of samples are ` +
          `near one. `;
      if (snapshot) text += `D is right in ${percent(snapshot.accuracyD)} of cases.`;
    }
    this.canvas.setAttribute("aria-label", text);
  }

  end() {
    this.runner?.end();
  }
}
