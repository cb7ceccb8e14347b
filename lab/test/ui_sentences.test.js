import assert from "node:assert/strict";
import { test } from "node:test";
import { complete } from "../src/engine/index.js";
import { active, phaseText } from "../src/lab/diagram.js";
import { explain, frames, judges, number, orbits, outside, percent, places, trends } from "../src/lab/sentences.js";

const ring = { of: 8, modes: 8, nearMode: 0.6, largestShare: 0.15, js: 0.2, jsFloor: 0.0013 };
const curve = { of: 0, modes: 0, nearMode: NaN, largestShare: NaN, js: 0.2, jsFloor: 0.01 };
const stats = { lossD: 1, lossG: 1, logitReal: 1, logitFake: -1, accuracyD: 0.8, fake: [0, 0, 1, 1], extent: 1.5 };
const tell = (more = {}) =>
  explain({
    settings: complete(more.settings ?? {}),
    step: 500,
    diverged: null,
    stats: { ...stats, ...more.stats },
    measure: { step: 500, ...ring, ...more.measure },
    before: { step: 250, ...ring, ...more.measure, ...more.before },
    ...more.state,
  });
const dirac = (radius, more = {}) =>
  explain({ settings: complete({ game: "dirac" }), step: 1000, diverged: null, radius, ...more });

// rule -> [state, what the text has to say, what it must not say]
const CASES = {
  "places diverged": [
    { state: { diverged: "the loss of D is NaN at step 33" } },
    /Diverged: the loss of D is NaN at step 33/,
    /covered|JS/,
  ],
  "places start": [{ state: { step: 0, before: undefined } }, /Nothing is trained yet/, /JS/],
  "places early": [
    { measure: { step: 100, modes: 1, nearMode: 0.01, largestShare: 0.9 }, state: { step: 110 } },
    /Early: 1 of 8 modes.*90\u00a0% are nearest/,
    /collapse/,
  ],
  "places one-mode": [
    { measure: { modes: 1, largestShare: 0.97, nearMode: 0.9 } },
    /collapse: 97\u00a0% of 2,500.*nearest to the same one of 8 modes, and 90\u00a0% of them lie within three/,
    /\ball samples/,
  ],
  "places gathered": [
    { measure: { modes: 1, largestShare: 0.6, nearMode: 0.001 } },
    /60\u00a0% of 2,500.*0\.1\u00a0% of them lie within three/,
  ],
  "places covered": [{}, /All 8 of 8 modes are covered: 60\u00a0% of 2,500 samples/, /between/],
  "places thin": [{ measure: { nearMode: 0.2 } }, /but only 20\u00a0%.*hit is not yet a mode that is learned/],
  "places between": [
    { measure: { modes: 0, nearMode: 0 } },
    /0 of 8 modes are covered, and not one of 2,500 samples lies/,
    /only not|between/, // where the samples are instead is not measured
  ],
  "places some": [{ measure: { modes: 5, nearMode: 0.4 } }, /5 of 8 modes are covered/],
  "places disjoint": [{ measure: { ...curve, js: 0.66 } }, /hardly share a place: JS is 0\.66/],
  "places close": [{ measure: { ...curve, js: 0.012 } }, /can hardly tell/],
  "places apart": [{ measure: curve }, /20 times what two sets/],
  "frames outside": [{ stats: { fake: [0, 0, 2, 0] } }, /50\u00a0% lie outside the picture/],
  "frames inside": [{}, /./, /outside/],
  "judges silent": [{ state: { stats: null } }, /./, /D is right/],
  "judges calm": [
    { measure: { modes: 1, nearMode: 0, largestShare: 0.8 }, stats: { lossD: 1.4 } },
    /losses do not show it: D's is 1\.4/,
  ],
  "judges critic": [{ settings: { loss: "wasserstein" } }, /scores real samples 2 higher/, /is right/],
  "judges critic-wrong": [
    { settings: { loss: "wasserstein" }, stats: { logitReal: -1, logitFake: 0 } },
    /scores fakes higher.*by 1/,
  ],
  "judges paired": [{ settings: { loss: "relativistic" } }, /scores the real one higher in 80/],
  "judges sure": [{ stats: { accuracyD: 0.97 } }, /tells real from fake in 97/],
  "judges wrong": [{ stats: { accuracyD: 0.3 } }, /right in 30\u00a0% of cases: less often than a coin/, /hardly more/],
  "judges unsure": [{ stats: { accuracyD: 0.5 } }, /hardly more than a coin.*also where D is weak: JS/],
  "judges judge": [{}, /D is right in 80/],
  "trends unknown": [{ state: { before: undefined } }, /./, /Since/],
  "trends falls": [{ before: { js: 0.5 } }, /Since step 250, JS has fallen from 0\.5 to 0\.2/],
  "trends rises": [{ before: { js: 0.1 } }, /Since step 250, JS has risen from 0\.1 to 0\.2/],
  "trends steady": [{ before: { js: 0.21 } }, /JS was 0\.21 at step 250, and is 0\.2 now/, /stayed/],
};

for (const [name, [state, say, not]] of Object.entries(CASES)) {
  test(name, () => {
    const { ids, text } = tell(state);
    assert.ok(ids.split(" ").includes(name.split(" ")[1]), `${ids}: ${text}`);
    assert.match(text, say);
    if (not) assert.doesNotMatch(text, not);
    assert.doesNotMatch(text, /undefined|NaN(?! at)|null|\[object/);
  });
}

const ORBITS = {
  diverged: [{}, { diverged: "psi is not finite at step 9" }, /Diverged: psi/],
  start: [{}, { step: 0 }, /both rest/],
  rest: [{ start: 1.4, now: 0.01, before: 0.1, last: 0.02, half: 500, late: 750 }, {}, /come from 1\.4 to 0\.01/],
  young: [
    { start: 1.4, now: 1.3, before: 1.4, last: 1.3, half: 5, late: 7 },
    { step: 10 },
    /distance from \(0, 0\) is 1\.3/,
  ],
  inwards: [
    { start: 1.4, now: 0.5, before: 0.8, last: 0.6, half: 500, late: 750 },
    {},
    /come nearer.*0\.8 in the steps 500 to 750.*0\.6/,
  ],
  outwards: [{ start: 1.4, now: 3, before: 2, last: 3, half: 500, late: 750 }, {}, /move outwards/],
  round: [{ start: 1.4, now: 1.4, before: 1.39, last: 1.4, half: 500, late: 750 }, {}, /keep their distance/],
};
for (const [id, [radius, more, say]] of Object.entries(ORBITS)) {
  test(`orbits ${id}`, () => {
    const { ids, text } = dirac(radius, more);
    assert.equal(ids, id);
    assert.match(text, say);
    assert.doesNotMatch(text, /undefined|NaN|null/);
  });
}

test("every rule has a case here", () => {
  const rules = [...places, ...frames, ...judges, ...trends].map(({ id }) => id);
  assert.deepEqual(
    rules.sort(),
    Object.keys(CASES)
      .map((name) => name.split(" ")[1])
      .sort(),
  );
  assert.deepEqual(orbits.map(({ id }) => id).sort(), Object.keys(ORBITS).sort());
});

test("what was measured before the first step is not taken for a result", () => {
  assert.match(tell({ state: { step: 3 }, measure: { step: 0 } }).text, /nothing has been measured since the start/);
});

test("warnings tell what was seen, and only then", () => {
  assert.equal(tell().warn + tell().note, "");
  assert.equal(
    tell({ measure: { modes: 1, largestShare: 0.97, nearMode: 0.9 } }).warn,
    "collapse: the samples belong to one mode",
  );
  assert.match(tell({ measure: { modes: 2, nearMode: 0.01 } }).note, /few samples near a mode/);
  assert.equal(tell({ measure: { modes: 2, nearMode: 0.01 } }).warn, "");
  assert.equal(tell({ state: { diverged: "x" } }).warn, "diverged");
});

test("a trend needs some steps", () => {
  assert.match(tell({ state: { before: { step: 460, js: 0.5 } } }).ids, /unknown/);
  assert.match(tell({ state: { before: { step: 450, js: 0.5 } } }).ids, /falls/);
});

test("samples gathered far from a mode are not near one", () => {
  assert.match(tell({ measure: { modes: 1, largestShare: 0.97, nearMode: 0.1 } }).ids, /gathered/);
});

test("the losses' calm is told for losses with logarithms only", () => {
  const collapsed = { measure: { modes: 1, nearMode: 0 }, stats: { lossD: 1.4 } };
  assert.match(tell(collapsed).ids, /calm/);
  for (const loss of ["hinge", "least-squares", "relativistic"]) {
    assert.doesNotMatch(tell({ ...collapsed, settings: { loss } }).ids, /calm/);
  }
});

test("numbers can be read", () => {
  const cases = [
    [0, "0"],
    [1.23456, "1.23"],
    [-0.5, "−0.5"],
    [0.00131, "0.00131"],
    [1234, "1230"],
    [2e-5, "2.0e−5"],
    [NaN, "–"],
    [Infinity, "∞"],
  ];
  for (const [value, text] of cases) assert.equal(number(value), text);
  assert.deepEqual(
    [0, 0.004, 0.5, 1].map(percent),
    ["0", "0.4", "50", "100"].map((x) => `${x}\u00a0%`),
  );
});

test("what is outside of the picture is counted, what is not finite too", () => {
  assert.equal(outside([0, 0, 1.4, -1.6, NaN, 0, 1.5, 1.5], 1.5), 0.5);
  assert.equal(outside([], 1.5), 0);
});

test("every part of a step has a sentence and something marked", () => {
  for (const player of ["D", "G"]) {
    for (const phase of ["data", "latents", "samples", "scores", "gradients", "update"]) {
      const part = { player, phase, round: 0, rounds: 1, loss: 0.5 };
      assert.match(phaseText(part, complete({})), /\. D's loss is 0\.5|\. G's loss is 0\.5/);
      assert.ok(active(part).length > 0);
    }
  }
  assert.match(phaseText({ player: "D", phase: "data", round: 1, rounds: 3 }, complete({})), /update 2 of 3/i);
  assert.deepEqual(active(null), []);
});
