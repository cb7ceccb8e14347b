import assert from "node:assert/strict";
import { test } from "node:test";
import { complete, defaults, specification } from "../src/engine/index.js";
import { GROUPS, next } from "../src/lab/controls.js";
import { between, heart } from "../src/lab/pad.js";
import { differences, isState, preset, presetOf, presets, read, write } from "../src/lab/state.js";

test("no fragment is the default experiment, and the default experiment needs none", () => {
  for (const fragment of ["", "#"]) assert.deepEqual(read(fragment), { a: complete({}), b: null, messages: [] });
  assert.equal(write(complete({})), "");
});

// Another valid value of a setting than its default.
function other(name) {
  const { type, default: value, min, max, choices } = specification[name];
  if (type === "choice") return choices.find((choice) => choice !== value && choice !== "drawn");
  if (type === "flag") return !value;
  if (type === "text") return heart();
  return value === max ? min : type === "integer" ? Math.min(max, value + 3) : (value + max) / 2;
}

test("every setting comes back from the fragment", () => {
  for (const name of Object.keys(defaults)) {
    const settings = complete({ [name]: other(name), ...(name === "decay_from" ? { steps: 100 } : {}) });
    const found = read(write(settings));
    assert.deepEqual(found, { a: settings, b: null, messages: [] }, name);
  }
});

test("two runs come back, whatever the second differs in", () => {
  const a = complete({ loss: "hinge", spectral_norm: true });
  for (const b of [
    a,
    complete({}),
    complete({ ...a, seed: 7 }),
    preset("collapse"),
    complete({ ...preset("dirac"), theta: -0.5 }),
  ]) {
    assert.deepEqual(read(write(a, b)), { a, b, messages: [] });
  }
});

test("presets are valid, named by the fragment, and recognised", () => {
  assert.ok(Object.keys(presets).length >= 3);
  for (const [name, { title, text, chapter }] of Object.entries(presets)) {
    const settings = preset(name);
    assert.ok(title && text && chapter, name);
    assert.equal(presetOf(settings), name);
    assert.equal(presetOf({ ...settings, seed: 99 }), name);
    assert.equal(presetOf({ ...settings, batch: 33 }), "");
    assert.deepEqual(read(`#preset=${name}`), { a: settings, b: null, messages: [] });
  }
  assert.equal(write(preset("collapse")), "#preset=collapse");
  assert.equal(write({ ...preset("collapse"), seed: 3 }), "#preset=collapse&seed=3");
});

test("the second run builds on the first, or on a preset", () => {
  const { a, b } = read("#loss=hinge&lr_g=0.01&b.lr_g=0.02");
  assert.deepEqual([a.loss, a.lr_g, b.loss, b.lr_g], ["hinge", 0.01, "hinge", 0.02]);
  assert.deepEqual(read("#loss=hinge&b.preset=collapse").b, preset("collapse"));
  assert.deepEqual(read("#compare=1").b, complete({}));
});

test("bad fragments cost what is bad, with a message, and nothing else", () => {
  const cases = {
    "#lr_g=fast": ["lr_g", { lr_g: defaults.lr_g }],
    "#lr_g=-1&batch=64": ["lr_g", { lr_g: defaults.lr_g, batch: 64 }],
    "#lr_g=fast&batch=64&seed=4": ["lr_g", { batch: 64, seed: 4 }],
    "#batch=12.5": ["batch", { batch: defaults.batch }],
    "#loss=crossentropy&seed=4": ["loss", { loss: defaults.loss, seed: 4 }],
    "#spectral_norm=maybe": ["spectral_norm", { spectral_norm: false }],
    "#colour=red&seed=4": ["colour", { seed: 4 }],
    "#preset=nothing&seed=4": ["nothing", { seed: 4 }],
    "#data=drawn&drawing=%3C%3E": ["drawing", { drawing: "", data: "ring" }],
    "#decay_from=50": ["decay_from", { decay_from: 0 }],
    "#constructor=1": ["constructor", {}],
    "#batch=": ["batch", {}],
    "#preset=toString": ["toString", {}],
    "#%E0%A4%A=1": ["�", {}],
    "#width_g=1e99": ["width_g", {}],
  };
  for (const [fragment, [word, expected]] of Object.entries(cases)) {
    const { a, messages } = read(fragment);
    assert.ok(messages.length >= 1 && messages.some((text) => text.includes(word)), `${fragment}: ${messages}`);
    assert.deepEqual(differences(a, complete(expected)), [], fragment);
  }
  const { b, messages } = read("#seed=1&b.batch=none");
  assert.equal(b.batch, defaults.batch);
  assert.match(messages.join(), /batch must be/);
});

test("rules between settings are seen with all of them together, in any order", () => {
  for (const fragment of ["#decay_from=50&steps=100", "#steps=100&decay_from=50"]) {
    const { a, messages } = read(fragment);
    assert.deepEqual([a.decay_from, a.steps, messages], [50, 100, []]);
  }
  assert.deepEqual(read(`#data=drawn&drawing=${heart()}`).messages, []);
});

test("a heading's name is not an experiment", () => {
  for (const name of ["", "#the-game", "#equation-1", "#b"]) assert.equal(isState(name), false, name);
  for (const name of ["#seed=1", "#b.seed=1", "#preset=ring"]) assert.equal(isState(name), true, name);
});

test("every setting has a control, a label and a sentence of help; the drawing has its pad", () => {
  const rows = GROUPS.flatMap(([, rows]) => rows);
  const named = rows.map(([name]) => name);
  assert.deepEqual([...named, "drawing"].sort(), Object.keys(defaults).sort());
  for (const [name, label, help] of rows) assert.ok(label.length > 2 && help.length > 20 && help.endsWith("."), name);
  for (const [name, , , { values }] of rows) {
    for (const value of values ?? []) complete({ [name]: value, steps: 1e6 }); // none of them is refused
  }
});

test("arrow keys step through the usual values and stay at the ends", () => {
  const values = [0, 0.1, 0.5];
  assert.deepEqual(
    [0, 0.05, 0.1, 0.5, 2].map((x) => next(values, x, 1)),
    [0.1, 0.1, 0.5, 0.5, 2],
  );
  assert.deepEqual(
    [0, 0.05, 0.1, 0.5, 2].map((x) => next(values, x, -1)),
    [0, 0, 0, 0.1, 0.5],
  );
});

test("a stroke's points are evenly spaced and end where it ends", () => {
  assert.deepEqual(between([0, 0], [0.01, 0]), []);
  const points = between([0, 0], [0.3, 0.4]);
  assert.equal(points.length, 12);
  assert.deepEqual(points.at(-1), [0.3, 0.4]);
});
