// The layers against plain loops over their definitions, and what the explorers compute beside them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { heldOut, sentence, tokens } from "../src/generators/captions.js";
import { nearest } from "../src/generators/drawing.js";
import * as facade from "../src/generators/facade.js";
import * as latents from "../src/generators/latents.js";
import { build } from "../src/generators/network.js";
import * as ops from "../src/generators/ops.js";
import { figures, image, sheet, stroke, trace } from "../src/generators/pen.js";

const numbers = (size, seed = 1) => Float32Array.from({ length: size }, latents.normal(seed));

function close(got, wanted, within = 1e-5) {
  assert.equal(got.length, wanted.length);
  got.forEach((v, i) => {
    assert.ok(Math.abs(v - wanted[i]) <= within * (1 + Math.abs(wanted[i])), `${i}: got ${v}, wanted ${wanted[i]}`);
  });
}

/** The definition of a convolution, place by place; `pad` gives the value at a place that may be outside. */
function plainConv(x, h, w, { in: channels, out, kernel, stride, padding, weight, scale, shift }, pad) {
  const height = Math.floor((h + 2 * padding - kernel) / stride) + 1;
  const width = Math.floor((w + 2 * padding - kernel) / stride) + 1, result = [];
  for (let o = 0; o < out; o++) for (let i = 0; i < height; i++) for (let j = 0; j < width; j++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) for (let u = 0; u < kernel; u++) for (let v = 0; v < kernel; v++) {
      const at = ((o * channels + c) * kernel + u) * kernel + v;
      sum += weight[at] * pad(c, i * stride + u - padding, j * stride + v - padding);
    }
    result.push(scale[o] * sum + shift[o]);
  }
  return { result, height, width };
}

const layer = (channels, out, kernel, more) => ({
  in: channels, out, kernel, stride: 1, padding: 0, extra: 0, weight: numbers(out * channels * kernel ** 2, 2),
  scale: numbers(out, 3), shift: numbers(out, 4), ...more,
});

test("products of rows, whatever remains of the blocks", () => {
  for (const [m, n, k] of [[1, 1, 1], [4, 2, 3], [5, 3, 7], [9, 1, 4], [3, 5, 2]]) {
    const a = numbers(m * k), b = numbers(n * k, 2), wanted = [];
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) {
      wanted.push(a.slice(i * k, i * k + k).reduce((s, v, l) => s + v * b[j * k + l], 0));
    }
    close(ops.products(a, b, m, n, k, new Float32Array(m * n)), wanted);
  }
});

test("a linear layer", () => {
  const x = numbers(6), one = { out: 5, weight: numbers(30, 2), scale: numbers(5, 3), shift: numbers(5, 4) };
  const sums = [0, 1, 2, 3, 4].map((o) => x.reduce((s, v, i) => s + v * one.weight[6 * o + i], 0));
  close(ops.linear(x, one), sums.map((s, o) => s * one.scale[o] + one.shift[o]));
});

test("convolutions, padded by zeros and by reflection, with strides", () => {
  const [h, w] = [6, 5], x = numbers(3 * h * w);
  const zeros = (c, i, j) => (i >= 0 && i < h && j >= 0 && j < w ? x[(c * h + i) * w + j] : 0);
  const mirrored = (i, side) => { const t = Math.abs(i); return t < side ? t : 2 * (side - 1) - t; };
  const reflected = (c, i, j) => x[(c * h + mirrored(i, h)) * w + mirrored(j, w)];
  for (const one of [layer(3, 4, 3, { padding: 1 }), layer(3, 2, 4, { stride: 2, padding: 1 }), layer(3, 5, 1),
    layer(3, 2, 3, { stride: 2, padding: 1 }), layer(3, 4, 7, { padding: 3, reflect: true })]) {
    const wanted = plainConv(x, h, w, one, one.reflect ? reflected : zeros), got = ops.conv(x, h, w, one);
    assert.deepEqual([got.height, got.width], [wanted.height, wanted.width]);
    close(got.x, wanted.result);
  }
});

test("a transposed convolution is the transpose of a convolution", () => {
  const none = { scale: [1, 1, 1, 1, 1], shift: [0, 0, 0, 0, 0] };
  for (const [kernel, stride, padding, extra] of [[4, 2, 1, 0], [3, 2, 1, 1], [3, 1, 1, 0]]) {
    const [h, w] = [4, 3], one = layer(5, 2, kernel, { stride, padding, extra, ...none });
    const x = numbers(5 * h * w, 5), { x: up, height, width } = ops.transposed(x, h, w,
      { ...one, weight: ops.turned(one.weight, one) });
    assert.deepEqual([height, width], [h, w].map((side) => stride * (side - 1) + kernel - 2 * padding + extra));
    // <transposed(x), y> = <x, conv(y)> for all y, with weights whose first two dimensions change places
    const y = numbers(2 * height * width, 6), weight = new Float32Array(one.weight.length), k = kernel ** 2;
    for (let o = 0; o < 2; o++) for (let c = 0; c < 5; c++) for (let i = 0; i < k; i++) {
      weight[(c * 2 + o) * k + i] = one.weight[(o * 5 + c) * k + i];
    }
    const down = plainConv(y, height, width, { ...one, in: 2, out: 5, weight },
      (c, i, j) => (i >= 0 && i < height && j >= 0 && j < width ? y[(c * height + i) * width + j] : 0));
    assert.deepEqual([down.height, down.width], [h, w]);
    close([latents.dot(up, y)], [latents.dot(x, Float32Array.from(down.result))]);
  }
});

test("norms, up-sampling, and the rest", () => {
  const x = numbers(2 * 3 * 2);
  for (const half of [0, 6]) {
    const part = [...ops.instance(x, 2, 0)].slice(half, half + 6);
    close([part.reduce((s, v) => s + v, 0), part.reduce((s, v) => s + v * v, 0) / 6], [0, 1]);
  }
  const [a, b] = ops.instance(Float32Array.of(1, 3), 1, 3); // mean 2, variance 1, eps 3
  close([a, b], [-0.5, 0.5]);
  close(ops.affine(Float32Array.of(1, 2, 3, 4), 2, [2, 3, 20, 30], [1, 0, 5, 6], 1), [25, 45, 96, 126]);
  const { x: large, height, width } = ops.up(Float32Array.of(1, 2, 3, 4), 1, 2); // two channels of one row
  assert.deepEqual([height, width, ...large], [2, 4, 1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
  close(ops.relu(Float32Array.of(-2, 0, 2), 0.2), [-0.4, 0, 2]);
  close(ops.concat(Float32Array.of(1), Float32Array.of(2, 3)), [1, 2, 3]);
  const table = { out: 2, weight: [0, 0, 1, 2, 3, 4], scale: [1, 2, 10], shift: [0, 0, 0] };
  close(ops.caption([1, 2, 0, 0], table), [16, 22]);
  close(ops.caption([0], table), [0, 0]);
});

test("a network computes its list of layers, and refuses what it does not take", () => {
  const base64 = (array) => Buffer.from(array.buffer).toString("base64");
  const file = {
    format: 1, name: "tiny", shape: [1, 2, 2], input: { kind: "latent", latent: 1, classes: 2 },
    weights: base64(Int8Array.of(1, 2, 3, 1, 0, -1, 0, 0, 0, 1, 1, 1)),
    floats: base64(Float32Array.of(1, 1, 1, 1, 0, 0, 0, 0.5)),
    layers: [
      { op: "class", classes: 2 }, { op: "linear", in: 3, out: 4, weight: 0, scale: 0, shift: 4 },
      { op: "reshape", shape: [1, 2, 2] }, { op: "keep", as: "a" }, { op: "relu", slope: 0 }, { op: "add", with: "a" },
    ],
  };
  const network = build(file);
  // weights [1 2 3; 1 0 -1; 0 0 0; 1 1 1], x = [-2, 0, 1]: [1, -3, 0, -1 + 0.5]
  close(network.run({ z: [-2], label: 1 }), [2, -3, 0, -0.5]);
  assert.throws(() => network.run({ z: [1, 2], label: 1 }), /tiny takes a latent z of 1 numbers, got 2/);
  for (const label of [2, -1, 0.5, undefined]) assert.throws(() => network.run({ z: [1], label }), /label from 0 to 1/);
  assert.throws(() => build({ ...file, format: 2 }), /format is 2, expected 1/);
  const words = build({ ...file, input: { kind: "latent", latent: 1, words: 3, longest: 2 } });
  for (const bad of [[1, 2, 1], [3], undefined]) {
    assert.throws(() => words.run({ z: [1], words: bad }), /up to 2 words from 0 to 2/);
  }
  for (const right of [[], [2, 0]]) assert.doesNotThrow(() => words.run({ z: [1], words: right }));
  const pictures = build({ ...file, input: { kind: "image", shape: [1, 2, 2] } });
  assert.throws(() => pictures.run({ image: [1] }), /image of 4 numbers, got 1/);
});

test("latents: moments, great circles, planes, truncation", () => {
  const many = numbers(40000, 7), mean = many.reduce((s, v) => s + v, 0) / 40000;
  const moment = (p) => many.reduce((s, v) => s + v ** p, 0) / 40000;
  assert.ok(Math.abs(mean) < 0.02 && Math.abs(moment(2) - 1) < 0.03 && Math.abs(moment(4) - 3) < 0.25);
  const [z, y] = latents.draw(3, 64, 2);
  assert.deepEqual(latents.draw(3, 64, 2)[1], y);
  close(latents.slerp(z, y, 0), z);
  close(latents.slerp(z, y, 1), y);
  const length = (latents.norm(z) + latents.norm(y)) / 2;
  close([latents.norm(latents.slerp(z, y, 0.5))], [length]);
  assert.ok(latents.norm(latents.mix(0.5, z, 0.5, y)) < 0.85 * length, "the straight line passes through the middle");
  close(latents.slerp(z, z, 0.3), z);
  const [a, b] = latents.plane(5, 64);
  close([latents.norm(a), latents.norm(b), latents.dot(a, b)], [1, 1, 0]);
  const moved = latents.placed(z, [a, b], 1.5, -2);
  close([latents.dot(moved, a), latents.dot(moved, b)], [1.5, -2]);
  const rest = latents.mix(1, moved, -1, z);
  close([latents.norm(rest) ** 2], [latents.dot(rest, a) ** 2 + latents.dot(rest, b) ** 2]);
  const cut = latents.truncated(2, 5000, 0.5);
  assert.ok(cut.every((v) => Math.abs(v) <= 0.5));
  close([cut.reduce((s, v) => s + v * v, 0) / 5000], [0.0806], 0.05); // 1 - 2 b phi(b) / (2 Phi(b) - 1) at b = 0.5
  close([latents.variety([[0, 0], [2, 2], [0, 0]].map((v) => Float32Array.from(v)))], [4 / 3]);
});

test("captions: the sentences, words and held-out pairs of training", () => {
  const all = { size: "small", weight: "bold", slant: "italic", ink: "red", character: "A", style: "serif",
    texture: "striped", background: "orange" };
  assert.equal(sentence(all), "a small bold italic red A in a serif font on a striped orange background");
  assert.equal(sentence({ slant: "upright", ink: "red", character: "B", background: "orange" }),
    "an upright red B on an orange background");
  const vocabulary = ["<pad>", "on", "background", "red", "orange", "B"];
  assert.deepEqual(tokens("a red B on an orange background", vocabulary), [3, 5, 1, 4, 2]);
  assert.throws(() => tokens("a teal B", vocabulary), /teal/);
  assert.ok(heldOut({ character: "A", ink: "black" }) && heldOut({ character: "B", ink: "brown" }));
  assert.ok(!heldOut({ character: "A", ink: "red" }));
});

test("a pen leaves as much ink as it covers, and figures stay on the sheet", () => {
  const page = sheet(32);
  stroke(page, 8, 16, 24, 16, 2);
  const sum = page.ink.reduce((s, v) => s + v, 0);
  assert.ok(Math.abs(sum - (2 * 16 + Math.PI)) < 3, `${sum}: a strip of 16 x 2 with two half discs`);
  assert.equal(page.ink[16 * 32 + 16], 1);
  assert.equal(page.ink[0], 0);
  stroke(page, -50, -50, 90, 90, 2); // beyond the sheet on both sides
  const got = image(page);
  assert.equal(got.length, 3 * 32 * 32);
  assert.deepEqual([got[16 * 32 + 16], got[31], got[2 * 1024 + 31]], [-1, 1, 1]);
  for (const [name, lines] of Object.entries(figures)) {
    const one = sheet(32);
    trace(one, lines, 2.2);
    assert.ok(lines.flat().every((v) => v > 0.1 && v < 0.9), name);
    assert.ok(one.ink.some((v) => v === 1), name);
  }
});

test("rectangles on a map of parts, from any corner and beyond the map", () => {
  const map = new Uint8Array(16), wanted = [0, 0, 0, 0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 0, 0, 0];
  for (const [from, to] of [[[1, 1], [2, 2]], [[2.9, 1.2], [1.5, 2.1]]]) {
    assert.deepEqual([...facade.filled(map, 4, from, to, 2)], wanted);
  }
  assert.deepEqual([...facade.filled(map, 4, [-5, 3], [9, 9], 1)], [...Array(12).fill(0), 1, 1, 1, 1]);
  assert.ok(map.every((part) => part === 0), "the map itself stays");
  const image = facade.image(Uint8Array.of(1, 0), [["a", [0, 0, 255]], ["b", [255, 0, 0]]]);
  assert.deepEqual([...image], [1, -1, -1, -1, -1, 1]);
});

test("the nearest pair of colours is that of the picture", () => {
  const colours = [
    ["A", [0, 0, 0], [255, 255, 255]], ["B", [160, 0, 20], [255, 235, 90]], ["C", [0, 90, 20], [255, 195, 230]],
  ];
  for (const [name, ink, paper] of colours) {
    const places = 20, values = new Float32Array(3 * places);
    for (let i = 0; i < places; i++) {
      const t = i < 5 ? i / 4 : 0; // some of the pixels are ink, or partly
      for (let c = 0; c < 3; c++) values[c * places + i] = (paper[c] + t * (ink[c] - paper[c])) / 127.5 - 1;
    }
    assert.equal(nearest(values, colours), name);
  }
});

test("what the cards say of their models is there", () => {
  const models = JSON.parse(readFileSync(new URL("../src/generators/models.json", import.meta.url)));
  for (const [name, about] of Object.entries(models)) assert.ok(about.text && about.bytes > 1e5, name);
});
