import assert from "node:assert/strict";
import { test } from "node:test";
import { complete, createDirac, createGan } from "../src/engine/index.js";
import { range, trace } from "../src/lab/charts.js";
import { Distances, interval, Session } from "../src/lab/session.js";
import { isDark, luminance, parseColor } from "../src/lab/theme.js";
import { arrowScale, COLORS, position, surfaceScale, tint } from "../src/lab/view.js";

const small = complete({ width_g: 8, width_d: 8, batch: 16, seed: 3 });

// All answers of a run that is played in portions.
function played(settings, portions, whole) {
  const session = new Session(settings);
  const records = [];
  const measures = [];
  let answer;
  for (const steps of [0, ...portions]) {
    answer = whole ? session.run({ steps }) : finish(session.work({ steps }));
    records.push(...answer.records);
    measures.push(...answer.measures);
  }
  return { answer, records, measures };
}

function finish(work) {
  for (;;) {
    const { value, done } = work.next();
    if (done) return value;
  }
}

test("curves and samples do not depend on how a run is portioned", () => {
  const reference = played(small, [60], true);
  assert.deepEqual(
    reference.records.map((r) => r.step),
    [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60],
  );
  assert.deepEqual(
    reference.measures.map((r) => r.step),
    [0, 25, 50],
  );
  for (const [portions, whole] of [
    [[60], false],
    [[7, 13, 1, 39], true],
    [Array(60).fill(1), false],
  ]) {
    const other = played(small, portions, whole);
    assert.deepEqual(other.records, reference.records);
    assert.deepEqual(other.measures, reference.measures);
    assert.deepEqual(other.answer.snapshot.fake, reference.answer.snapshot.fake);
  }
});

test("the session trains as the engine alone does: looking changes nothing", () => {
  const gan = createGan(small);
  for (let i = 0; i < 40; i++) gan.step();
  assert.deepEqual(played(small, [11, 29], true).answer.snapshot.fake, gan.snapshot({ samples: 250 }).fake);
});

test("at rest the numbers are those of the step, and neither curves nor training notice", () => {
  const session = new Session(small);
  session.run({ steps: 7 });
  const answer = session.run({ fresh: true });
  assert.deepEqual([answer.present.step, answer.measures], [7, []]);
  assert.equal(session.run({ steps: 1 }).present, undefined);
  assert.deepEqual(session.run({ steps: 32 }).snapshot.fake, played(small, [40], true).answer.snapshot.fake);
  session.run({ phase: true });
  assert.equal(session.run({ fresh: true }).present, undefined); // half a step belongs to no step
});

test("slow motion goes through the parts of one step and ends where a step ends", () => {
  const session = new Session(small);
  const parts = [];
  let answer;
  do {
    answer = session.run({ phase: true });
    if (answer.phase) parts.push(`${answer.phase.player} ${answer.phase.phase}`);
    assert.equal(answer.steps, answer.phase ? 0 : 1);
  } while (answer.phase);
  assert.deepEqual(parts, [
    ..."data latents samples scores gradients update".split(" ").map((p) => `D ${p}`),
    ..."latents samples scores gradients update".split(" ").map((p) => `G ${p}`),
  ]);
  assert.deepEqual(answer.snapshot.fake, played(small, [1], true).answer.snapshot.fake);
});

test("a step that slow motion has begun is ended by playing, and counts once", () => {
  const session = new Session(small);
  for (let i = 0; i < 4; i++) session.run({ phase: true });
  const answer = session.run({ steps: 3 });
  assert.equal(answer.steps, 3);
  assert.deepEqual(answer.snapshot.fake, played(small, [3], true).answer.snapshot.fake);
});

test("a run stops at its last step, and is measured there", () => {
  const { answer, measures } = played({ ...small, steps: 12 }, [20, 20], true);
  assert.deepEqual([answer.steps, answer.over, answer.diverged], [12, true, null]);
  assert.deepEqual(
    measures.map((m) => m.step),
    [0, 12],
  );
});

test("a run that diverges says so and stops", () => {
  const { answer } = played(
    complete({ loss: "wasserstein", optimizer_g: "sgd", optimizer_d: "sgd", lr_g: 10, lr_d: 10 }),
    [200],
    true,
  );
  assert.equal(answer.over, true);
  assert.match(answer.diverged, /at step \d+/);
});

test("the Dirac-GAN's answers have path, field and distances", () => {
  const settings = complete({ game: "dirac", loss: "wasserstein", lr_g: 0.1 });
  const answer = new Session(settings).run({ steps: 50 });
  const game = createDirac(settings);
  for (let i = 0; i < 50; i++) game.step();
  assert.deepEqual([...answer.path], game.path.flat());
  assert.deepEqual(answer.start, [1, 1]);
  assert.deepEqual(
    answer.distances.map(({ step }) => step),
    game.path.map((_, i) => i),
  );
  assert.equal(answer.field.length, 2 * 15 * 15);
  assert.equal(answer.extent, 2);
  const far = new Session(complete({ ...settings, method: "simultaneous" })).run({ steps: 400 });
  assert.ok(far.extent > Math.max(...far.path.map(Math.abs)));
});

test("only the last part of a long path is shown, one step after the other", () => {
  const answer = new Session(complete({ game: "dirac" })).run({ steps: 2000 });
  assert.equal(answer.path.length, 2 * 1500);
  assert.equal(answer.distances.at(-1).step, 2000);
  assert.deepEqual(answer.start, [1, 1]);
});

test("a long Dirac-GAN takes no more memory, and its last steps are those of the game", () => {
  const settings = complete({ game: "dirac", loss: "wasserstein", lr_g: 0.1 });
  const session = new Session(settings);
  let answer;
  for (let i = 0; i < 100; i++) answer = session.run({ steps: 200 });
  const game = createDirac(settings);
  for (let i = 0; i < 20000; i++) game.step();
  assert.ok(session.game.path.length <= 3000 && session.far.kept.length <= 600);
  assert.equal(answer.steps, 20000);
  assert.deepEqual([...answer.path], game.path.slice(-1500).flat());
  assert.equal(answer.radius.now, Math.hypot(...game.path.at(-1)));
});

test("distances are means over quarters of the steps", () => {
  const of = (values) => {
    const distances = new Distances();
    values.forEach((value) => distances.add(value));
    return distances;
  };
  const r = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  assert.deepEqual(of(r).radii, { start: 0, now: 8, half: 4, late: 6, before: 4.5, last: 7 });
  assert.deepEqual(of([5]).radii, { start: 5, now: 5, half: 0, late: 0, before: 5, last: 5 });
  // Of a long game the means are exact, though few of its distances are kept.
  const waves = Array.from({ length: 50001 }, (_, i) => 2 + Math.sin(i));
  const mean = (from, to) => waves.slice(from, to).reduce((sum, x) => sum + x, 0) / (to - from);
  const { half, late, before, last } = of(waves).radii;
  assert.ok(Math.abs(half - 25000) < 200 && Math.abs(late - 37500) < 200, `${half}, ${late}`);
  assert.ok(Math.abs(before - mean(half, late)) < 1e-9 && Math.abs(last - mean(late, 50001)) < 1e-9);
});

test("long curves are thinned, both ends stay", () => {
  const distances = new Distances();
  for (let i = 0; i <= 10000; i++) distances.add(2 * i);
  const thin = distances.curve.map(({ step, value }) => ({ step, value }));
  assert.ok(thin.length > 300 && thin.length <= 601);
  assert.deepEqual(
    [thin[0], thin.at(-1)],
    [
      { step: 0, value: 0 },
      { step: 10000, value: 20000 },
    ],
  );
});

test("the distance between points of a curve doubles, and old points stay on it", () => {
  assert.deepEqual(
    [0, 1000, 1001, 2000, 2001, 4001].map((step) => interval(5, step)),
    [5, 5, 10, 10, 20, 40],
  );
});

test("logits of logistic losses are shown as probabilities, other outputs around their own middle", () => {
  const surface = [-4, 0, 8];
  const scale = surfaceScale("non-saturating", surface, {});
  assert.deepEqual(
    [-100, 0, 100].map((x) => position(x, scale)),
    [-1, 0, 1],
  );
  assert.ok(Math.abs(position(Math.log(3), scale) - 0.5) < 1e-12); // D = 3/4
  const wasserstein = surfaceScale("wasserstein", surface, { logitReal: 4, logitFake: -2 });
  assert.deepEqual([wasserstein.low, wasserstein.middle, wasserstein.high], [-6, 1, 8]);
  assert.deepEqual(
    [-6, 1, 8].map((x) => position(x, wasserstein)),
    [-1, 0, 1],
  );
  assert.equal(surfaceScale("least-squares", [0.5], {}).middle, 0.5);
  assert.equal(surfaceScale("hinge", [NaN, Infinity, 2], {}).high, 2);
});

test("colours: paper in the middle, fake's and real's at the ends, no further", () => {
  for (const colors of Object.values(COLORS)) {
    assert.deepEqual(tint(colors, 0), colors.paper);
    assert.deepEqual(tint(colors, 5), tint(colors, 1));
    assert.notDeepEqual(tint(colors, 1), tint(colors, -1));
  }
});

test("arrows are scaled by the long ones, not by the longest or by what is not finite", () => {
  const gradients = [];
  for (let i = 1; i <= 100; i++) gradients.push(i, 0);
  assert.equal(arrowScale(gradients), 95);
  assert.equal(arrowScale([NaN, 0, 3, 4]), 5);
  assert.equal(arrowScale([]), 0);
});

test("a chart's range holds lines and references; lines break where a value is not finite", () => {
  const points = [
    [0, 1],
    [1, NaN],
    [2, 3],
  ];
  const [low, high] = range([{ points }], [5], [0]);
  assert.ok(low === 0 && high > 5 && high < 6);
  assert.deepEqual(range([]), [0, 1]);
  assert.equal(
    trace(
      points,
      (x) => x,
      (y) => y,
    ),
    "M0.0 1.0M2.0 3.0",
  );
});

test("backgrounds of pages are read in all forms that browsers give", () => {
  assert.deepEqual(parseColor("rgb(20, 24, 30)"), [20, 24, 30, 1]);
  assert.deepEqual(parseColor("rgba(0, 0, 0, 0)"), [0, 0, 0, 0]);
  assert.deepEqual(parseColor("color(srgb 1 0 0 / 0.5)"), [255, 0, 0, 0.5]);
  assert.ok(Math.abs(luminance([255, 255, 255]) - 1) < 1e-9 && luminance([0, 0, 0]) === 0);
  assert.deepEqual(
    [
      [255, 255, 255],
      [20, 24, 30],
      [56, 56, 56],
      [240, 240, 240],
    ].map(isDark),
    [false, true, true, false],
  );
});
