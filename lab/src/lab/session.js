// One run as the page sees it: it makes steps, measures at fixed steps and answers with what is to be shown. It lives
// in a worker, or in slices on the page itself where a worker is not allowed.
import { createDirac, createGan } from "../engine/index.js";

export const RECORD = 5; // steps between two points of the loss curves at first,
export const MEASURE = 25; // and between two measurements;
const POINTS = 200; // both double whenever a curve has so many points
const CURVE = 256; // samples behind each point of the loss curves
const TRAIL = 1500; // steps of the Dirac-GAN's path that are shown,
const KEPT = 600; // and distances of its whole game
const LEISURE = 0.35; // the largest part of the time that goes into pictures

const STATS = ["lossD", "lossG", "logitReal", "logitFake", "accuracyD"];

/** Steps between two points of a curve whose shortest distance is `least`, at `step`. */
export function interval(least, step) {
  let every = least;
  while (step > POINTS * every) every *= 2;
  return every;
}

/** Distances from (0, 0), one for each step, in bounded memory: at most `KEPT` of them stay, at equal intervals. */
export class Distances {
  constructor() {
    this.every = 1; // steps between two that are kept; doubles when there are too many
    this.count = this.sum = 0; // of all distances
    this.kept = []; // {step, value, sum: of all distances before}
  }

  add(value) {
    if (this.count % this.every === 0) {
      this.kept.push({ step: this.count, value, sum: this.sum });
      if (this.kept.length > KEPT) {
        this.every *= 2;
        this.kept = this.kept.filter((_, i) => i % 2 === 0);
      }
    }
    this.count++;
    this.sum += value;
    this.now = value;
  }

  /** Those kept, with their steps, and the last one. */
  get curve() {
    const step = this.count - 1;
    return this.kept.at(-1).step === step ? this.kept : [...this.kept, { step, value: this.now }];
  }

  /** At the start, now, and exact means over about the last quarter of the steps and the quarter before it. */
  get radii() {
    const { kept, count, sum, now } = this;
    const at = (part) => kept[Math.min(kept.length - 1, Math.floor((part * count) / this.every))];
    const [half, late] = [at(0.5), at(0.75)];
    const last = (sum - late.sum) / (count - late.step);
    return {
      start: kept[0].value,
      now,
      half: half.step,
      late: late.step,
      before: late === half ? half.value : (late.sum - half.sum) / (late.step - half.step),
      last,
    };
  }
}

export class Session {
  constructor(settings) {
    this.settings = settings;
    this.dirac = settings.game === "dirac";
    this.game = this.dirac ? createDirac(settings) : createGan(settings);
    if (this.dirac) {
      this.far = new Distances();
      this.far.add(Math.hypot(settings.theta, settings.psi));
    }
    this.phases = null; // the step that slow motion has begun
    this.drawn = { at: -Infinity, cost: 0 };
  }

  get over() {
    const { game } = this;
    return game.diverged !== null || game.finished;
  }

  /**
   * Do a job in parts: a generator that can be left between two parts of a step, and returns the answer.
   *
   * `steps` whole steps are made (one that slow motion has begun is ended first, and counts as one), or with `phase`
   * the next part of one step; `view` says what the picture needs, and `fresh` that it needs all of it now. With
   * `whole` it is not left within a step.
   */
  *work({ steps = 0, phase = false, view = {}, fresh = false, whole = false }) {
    const answer = { records: [], measures: [], phase: null };
    const begun = performance.now();
    if (this.game.steps === 0 && !this.phases && steps === 0 && !phase) this.note(answer);
    if (phase && !this.over) {
      this.phases ??= this.game.phases();
      const { value, done } = this.phases.next();
      if (done) {
        this.phases = null;
        this.note(answer);
      } else answer.phase = value;
    }
    for (let i = 0; i < steps && !this.over; i++) {
      if (this.dirac || (whole && !this.phases)) this.game.step();
      else {
        this.phases ??= this.game.phases();
        while (!this.phases.next().done) yield;
        this.phases = null;
      }
      this.note(answer);
      yield;
    }
    const stepped = performance.now();
    Object.assign(answer, {
      steps: this.game.steps,
      diverged: this.game.diverged,
      over: this.over,
      ms: stepped - begun,
    });
    if (this.dirac) this.showDirac(answer, view);
    else yield* this.show(answer, view, fresh, stepped);
    answer.shown = performance.now() - stepped;
    return answer;
  }

  // Curves and measurements belong to fixed steps: they do not depend on how fast or in what portions a run was played.
  note(answer) {
    const { game } = this;
    if (this.dirac) {
      if (this.far.count <= game.steps) this.far.add(Math.hypot(...game.path.at(-1)));
      if (game.path.length > 2 * TRAIL) game.path.splice(0, TRAIL);
      return;
    }
    const last = game.diverged || this.over;
    if (last || game.steps % interval(RECORD, game.steps) === 0) {
      const shot = game.snapshot({ samples: CURVE });
      answer.records.push({ step: game.steps, ...Object.fromEntries(STATS.map((name) => [name, shot[name]])) });
    }
    if (!game.diverged && (last || game.steps % interval(MEASURE, game.steps) === 0)) {
      answer.measures.push({ step: game.steps, ...game.measure() });
    }
  }

  // The surface of a wide D costs more than several steps: while playing it waits until it has been earned.
  *show(answer, { samples = 250, surface, manifold, gradients, extent }, fresh, now) {
    const due = fresh || now - this.drawn.at > this.drawn.cost / LEISURE;
    yield;
    const shot = this.game.snapshot({
      samples,
      extent,
      gradients,
      surface: surface && due ? (fresh ? 64 : 40) : 0,
      manifold: manifold ? 20 : 0,
    });
    if (due) this.drawn = { at: now, cost: performance.now() - now };
    answer.snapshot = shot;
    // At rest, numbers are those of this very step; the curves keep to their own.
    if (fresh && !this.phases && this.game.diverged === null) answer.present = this.game.measure();
  }

  showDirac(answer, { extent = 2 }) {
    const { path } = this.game;
    answer.radius = this.far.radii;
    answer.distances = this.far.curve;
    // The last steps are shown one by one: of a path that turns, no step may be left out.
    answer.path = Float64Array.from(path.slice(-TRAIL).flat());
    answer.start = [this.settings.theta, this.settings.psi];
    const reach = Math.min(1e9, 1.1 * answer.path.reduce((most, x) => Math.max(most, Math.abs(x)), 0));
    answer.extent = reach > extent ? 1.5 * reach : extent; // seldom, not at each step
    answer.field = this.game.field(answer.extent, 15);
  }

  /** Do a whole job at once. */
  run(job) {
    const work = this.work({ ...job, whole: true });
    for (;;) {
      const { value, done } = work.next();
      if (done) return value;
    }
  }
}
