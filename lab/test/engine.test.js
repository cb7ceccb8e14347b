// The engine on its own: what is promised of runs, settings, drawings and random numbers. What it computes is compared
// with torch in tests/test_lab_engine.py.
import assert from "node:assert/strict";
import test from "node:test";
import { complete, createDirac, createGan, decodeDrawing, defaults, encodeDrawing, random, specification }
  from "../src/engine/index.js";
import { dataset } from "../src/engine/data.js";
import { multiply, plainKernel, reserve } from "../src/engine/kernel.js";
import { accuracy, softplus } from "../src/engine/losses.js";
import { product } from "../src/engine/matrix.js";
import presets from "../../gan_course/notebook/browser/presets.json" with { type: "json" };

const SMALL = { width_g: 8, width_d: 8, batch: 16 };

function trained(settings, steps) {
  const gan = createGan(settings);
  for (let k = 0; k < steps; k++) gan.step();
  return gan;
}

const weights = ({ generator, discriminator, averaged }) =>
  [generator, discriminator, averaged].flatMap(({ parameters }) => Array.from(parameters));

test("a run is a function of settings and seed", () => {
  assert.deepEqual(weights(trained(SMALL, 5)), weights(trained(SMALL, 5)));
  assert.notDeepEqual(weights(trained(SMALL, 5)), weights(trained({ ...SMALL, seed: 1 }, 5)));
});

test("drawing and measuring change no training", () => {
  const watched = createGan({ ...SMALL, spectral_norm: true, penalty: 1 });
  for (let k = 0; k < 5; k++) {
    watched.snapshot({ samples: 50, surface: 5, manifold: 3, gradients: true });
    watched.measure(100);
    watched.step();
  }
  assert.deepEqual(weights(watched), weights(trained({ ...SMALL, spectral_norm: true, penalty: 1 }, 5)));
});

test("phases run to their end are a step, also if everything is looked at in between", () => {
  for (const loss of specification.loss.choices) {
    const settings = { ...SMALL, loss, n_critic: 2, n_generator: 2, r1: 0.1 };
    const slow = createGan(settings);
    for (let k = 0; k < 3; k++) {
      for (const part of slow.phases()) {
        assert.deepEqual(structuredClone(part), part); // can be posted from a worker
        slow.snapshot({ samples: 20, surface: 4, manifold: 2, gradients: true });
        slow.measure(20);
      }
    }
    assert.equal(slow.steps, 3);
    assert.deepEqual(weights(slow), weights(trained(settings, 3)));
  }
});

test("the phases of one step", () => {
  const told = [...createGan({ ...SMALL, n_critic: 2 }).phases()];
  const d = ["data", "latents", "samples", "scores", "gradients", "update"].map((phase) => `D ${phase}`);
  const g = ["latents", "samples", "scores", "gradients", "update"].map((phase) => `G ${phase}`);
  assert.deepEqual(told.map(({ player, phase }) => `${player} ${phase}`), [...d, ...d, ...g]);
  assert.deepEqual(told.map(({ round }) => round), [...Array(6).fill(0), ...Array(6).fill(1), ...Array(5).fill(0)]);
  assert.equal(told[0].real.length, 32);
  assert.equal(told[1].latents.length, 32);
  assert.equal(told[3].scoresReal.length, 16);
  assert.equal(told.at(-2).gradients.length, 32);
  const paired = [...createGan({ ...SMALL, loss: "relativistic" }).phases()];
  assert.equal(paired[6].phase, "data"); // the relativistic G compares with real samples of its own
});

test("D is updated first, with its own fresh samples", () => {
  const told = [...createGan(SMALL).phases()];
  const [first, second] = told.filter(({ phase }) => phase === "latents");
  assert.notDeepEqual(first.latents, second.latents);
  const gan = createGan(SMALL);
  const before = Array.from(gan.generator.parameters), d = Array.from(gan.discriminator.parameters);
  for (const { player, phase } of gan.phases()) {
    if (player === "D" && phase === "update") {
      assert.deepEqual(Array.from(gan.generator.parameters), before);
      assert.notDeepEqual(Array.from(gan.discriminator.parameters), d);
    }
  }
  assert.notDeepEqual(Array.from(gan.generator.parameters), before);
});

/** Draws that repeat themselves, so that a loss can be differentiated by finite differences. */
class Repeated {
  constructor(latentDim) {
    this.latentDim = latentDim;
  }

  fill(name, rows, x, stride, n) {
    const stream = random(3, name);
    for (let i = 0; i < n; i++) for (let r = 0; r < rows; r++) x[r * stride + i] = stream.normal();
  }

  real(x, stride, n) {
    this.fill("real", 2, x, stride, n);
  }

  latents(x, stride, n) {
    this.fill("latents", this.latentDim, x, stride, n);
  }

  epsilon(x, n) {
    const stream = random(3, "epsilon");
    for (let i = 0; i < n; i++) x[i] = stream.uniform();
  }
}

test("gradients are those of finite differences", () => {
  const penalties = [{}, { r1: 0.5, r2: 0.3, penalty: 0.7 }, { penalty: 0.7, one_sided: true }];
  for (const loss of specification.loss.choices) {
    for (const [i, penalty] of penalties.entries()) {
      // Both rates are 0: a step computes losses and gradients, and moves nothing.
      const gan = createGan({
        ...SMALL, ...penalty, loss, seed: i, lr_g: 0, lr_d: 0, ema_decay: 0, slope_g: 0.3, layers_d: 1 + i,
        layers_g: 3 - i,
      });
      gan.draws = new Repeated(2);
      for (const [network, gradient, value] of [
        [gan.discriminator, gan.gradient_d, () => gan.last.lossD + gan.last.penalty],
        [gan.generator, gan.gradient_g, () => gan.last.lossG],
      ]) {
        const { parameters } = network, stream = random(i, "which");
        if (network === gan.discriminator) for (let k = 0; k < parameters.length; k++) parameters[k] *= 2;
        for (let k = 0; k < 25; k++) {
          const at = stream.integer(parameters.length), there = parameters[at], h = 1e-6;
          const values = [there + h, there - h].map((moved) => {
            parameters[at] = moved;
            gan.step();
            return value();
          });
          parameters[at] = there;
          gan.step();
          const slope = (values[0] - values[1]) / (2 * h), error = Math.abs(slope - gradient[at]);
          assert.ok(error < 1e-6 * (1 + Math.abs(slope)), `${loss} ${i}: ${slope} ${gradient[at]}`);
        }
      }
    }
  }
});

test("arrows point where each sample's loss falls, by its gradient times n", () => {
  for (const loss of specification.loss.choices) {
    const gan = trained({ ...SMALL, loss }, 20);
    const n = 40, { fake, gradients, real } = gan.snapshot({ samples: n, gradients: true });
    const { discriminator } = gan;
    const logit = (x, y) => { // of one point, without any of the engine's passes
      let values = [x, y];
      discriminator.layers.forEach(({ inputs, weight, bias }, l) => {
        values = Array.from(bias, (b, o) => values.reduce((sum, v, i) => sum + weight[o * inputs + i] * v, b));
        if (l < discriminator.layers.length - 1) values = values.map((v) => (v > 0 ? v : 0.2 * v));
      });
      return values[0];
    };
    const losses = {
      "non-saturating": (l) => softplus(-l), saturating: (l) => -softplus(l),
      "least-squares": (l) => 0.5 * (l - 1) ** 2, wasserstein: (l) => -l, hinge: (l) => -l,
      relativistic: (l, r) => softplus(r - l),
    };
    let wrong = 0;
    for (let i = 0; i < n; i++) {
      const [x, y] = [fake[2 * i], fake[2 * i + 1]], h = 1e-4, r = logit(real[2 * i], real[2 * i + 1]);
      const value = (dx, dy) => losses[loss](logit(x + dx, y + dy), r);
      const [byX, byY] = [value(h, 0) - value(-h, 0), value(0, h) - value(0, -h)].map((d) => d / (2 * h));
      wrong += Math.hypot(byX + gradients[2 * i], byY + gradients[2 * i + 1]) > 1e-3;
    }
    assert.ok(wrong <= 2, `${loss}: ${wrong} of ${n}`); // a kink between x - h and x + h
  }
});

test("a snapshot's surface and statistics are D's, from the top", () => {
  const gan = trained(SMALL, 50);
  const k = 6, { surface, extent } = gan.snapshot({ surface: k, samples: 10 });
  const wide = gan.snapshot({ surface: 3 * k, samples: 10 }).surface;
  // The middles of a coarse lattice are middles of a three times finer one.
  for (let r = 0; r < k; r++) {
    for (let c = 0; c < k; c++) {
      assert.ok(Math.abs(surface[r * k + c] - wide[(3 * r + 1) * 3 * k + 3 * c + 1]) < 1e-6);
    }
  }
  assert.equal(extent, 1.5);
  gan.discriminator.parameters.fill(0);
  const { layers } = gan.discriminator;
  layers[0].weight[1] = 1; // the logit is y where it is positive
  layers[1].weight[0] = 1;
  layers[2].weight[0] = 1;
  const told = gan.snapshot({ surface: 2, samples: 500, gradients: true });
  const close = (a, b, message) => assert.ok(Math.abs(a - b) < 1e-6, `${message}: ${a} ${b}`);
  for (const [i, y] of [0.75, 0.75, -0.75 * 0.04, -0.75 * 0.04].entries()) close(told.surface[i], y, "surface");
  const rows = Array.from({ length: 500 }, (_, i) => told.fake[2 * i + 1]);
  const slopes = gan.snapshot({ samples: 500 }).slopeD;
  assert.ok(slopes > 0.04 && slopes < 1, `${slopes}`);
  assert.equal(told.gradients.every((g, i) => (i % 2 ? true : g === 0)), true); // no logit depends on x
  assert.ok(rows.every(Number.isFinite));
});

test("a manifold's cells hold equal shares of the noise", () => {
  for (const noise of ["normal", "uniform"]) {
    const gan = createGan({ ...SMALL, noise });
    const m = 9;
    assert.equal(gan.snapshot({ manifold: m, samples: 1 }).manifold.length, 200);
    const ticks = gan.lattice.slice(0, m + 1);
    const stream = random(1), shares = new Float64Array(m + 2), n = 50000;
    for (let i = 0; i < n; i++) {
      const z = noise === "normal" ? stream.normal() : 2 * stream.uniform() - 1;
      shares[ticks.filter((t) => t < z).length] += 1 / n;
    }
    for (let k = 1; k <= m; k++) assert.ok(Math.abs(shares[k] - 1 / (m + 1)) < 0.006, `${noise} ${k}: ${shares[k]}`);
  }
  assert.equal(createGan({ ...SMALL, latent_dim: 1 }).snapshot({ manifold: 9, samples: 1 }).manifold.length, 200);
});

test("a run that leaves the numbers says so, and stops", () => {
  const fast = { optimizer_d: "sgd", optimizer_g: "sgd", lr_d: 10, lr_g: 10 };
  const gan = createGan({ ...SMALL, ...fast, loss: "least-squares" });
  for (let k = 0; k < 200 && gan.diverged === null; k++) gan.step();
  assert.match(gan.diverged, /^the (loss|gradient's norm) of [DG] is (NaN|Infinity) at step \d+$/);
  assert.equal(Number(gan.diverged.split(" ").at(-1)), gan.steps + 1);
  const { steps } = gan, there = weights(gan);
  gan.step();
  assert.deepEqual([...gan.phases()], []);
  assert.equal(gan.steps, steps);
  assert.deepEqual(weights(gan), there);
  assert.equal(gan.snapshot({ samples: 5 }).diverged, gan.diverged);
  gan.measure(20);
});

test("first weights are torch's: uniform within 1 / sqrt(inputs), biases as well", () => {
  const gan = createGan({ width_g: 64, width_d: 64 });
  for (const { layers } of [gan.generator, gan.discriminator]) {
    for (const { inputs, weight, bias } of layers) {
      const all = [...weight, ...bias], bound = 1 / Math.sqrt(inputs);
      assert.ok(all.every((w) => Math.abs(w) <= bound));
      if (all.length < 150) continue;
      const squares = all.reduce((sum, w) => sum + w * w, 0) / all.length;
      assert.ok(Math.abs(squares / (bound * bound / 3) - 1) < 0.25, `${squares}`);
    }
  }
  assert.notEqual(gan.generator.parameters[0], gan.discriminator.parameters[0]); // both have 2 inputs
});

test("a run of given steps ends there", () => {
  const gan = trained({ ...SMALL, steps: 3 }, 5);
  assert.equal(gan.steps, 3);
  assert.ok(gan.finished);
  assert.ok(!trained(SMALL, 3).finished);
});

test("the average follows, and is what is drawn", () => {
  const fast = trained({ ...SMALL, ema_decay: 0 }, 3), slow = trained({ ...SMALL, ema_decay: 0.9 }, 3);
  assert.deepEqual(Array.from(fast.generator.parameters), Array.from(slow.generator.parameters));
  assert.equal(fast.averaged, fast.generator);
  assert.notDeepEqual(fast.snapshot().fake, slow.snapshot().fake);
  assert.equal(fast.snapshot().lossD, slow.snapshot().lossD); // of the players as they are
});

test("clipping keeps all of D's parameters within its bound", () => {
  const gan = trained({ ...SMALL, loss: "wasserstein", clip: 0.05, optimizer_d: "rmsprop" }, 10);
  assert.ok(gan.discriminator.parameters.every((p) => Math.abs(p) <= 0.05));
  assert.ok(gan.discriminator.parameters.some((p) => Math.abs(p) === 0.05));
});

test("spectral norm: the largest singular value of each used weight is 1", () => {
  const gan = trained({ ...SMALL, spectral_norm: true }, 50);
  gan.discriminator.iterate(500);
  gan.discriminator.normalise();
  for (const { inputs, outputs, weight } of gan.discriminator.layers) {
    let v = Array.from({ length: inputs }, (_, i) => 1 + i), norm = 0;
    for (let k = 0; k < 500; k++) {
      const u = Array.from({ length: outputs }, (_, o) => v.reduce((sum, x, i) => sum + weight[o * inputs + i] * x, 0));
      v = v.map((_, i) => u.reduce((sum, x, o) => sum + weight[o * inputs + i] * x, 0));
      norm = Math.hypot(...v);
      v = v.map((x) => x / norm);
    }
    assert.ok(Math.abs(Math.sqrt(norm) - 1) < 1e-6, `${Math.sqrt(norm)}`);
  }
});

test("both kernels give the same bits", () => {
  const stream = random(0);
  for (const [tiles, depth] of [[1, 1], [3, 7], [32, 128], [2, 300]]) {
    const a = 0, b = 4 * tiles * depth, c = b + 4 * depth;
    const x = reserve(c + 16 * tiles);
    for (let i = 0; i < c; i++) x[i] = stream.normal();
    const plain = Float64Array.from(x);
    plainKernel(plain, tiles, depth, a, b, c);
    multiply(tiles, depth, a, b, c);
    for (let i = c; i < c + 16 * tiles; i++) assert.ok(Object.is(plain[i], x[i]), `${tiles} ${depth} ${i}`);
  }
});

test("products of all sizes, rows or columns first", () => {
  const stream = random(0);
  const normal = (n) => Float64Array.from({ length: n }, () => stream.normal());
  for (let k = 0; k < 100; k++) {
    const [rows, columns, depth] = [0, 0, 0].map(() => 1 + stream.integer(13));
    const a = normal(rows * depth), b = normal(depth * columns + 3);
    const [flipA, flipB] = [stream.integer(2), stream.integer(2)];
    const [aRow, aDepth] = flipA ? [1, rows] : [depth, 1], [bDepth, bColumn] = flipB ? [1, depth] : [columns, 1];
    const c = new Float64Array(rows * (columns + 2) + 1);
    product(rows, columns, depth, a, aRow, aDepth, b, 3, bDepth, bColumn, c, 1, columns + 2);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns + 2; j++) {
        let sum = 0;
        for (let l = 0; j < columns && l < depth; l++) {
          sum += a[i * aRow + l * aDepth] * b[3 + l * bDepth + j * bColumn];
        }
        const got = c[1 + i * (columns + 2) + j] ?? 0; // beside the product nothing is written
        assert.ok(Math.abs(got - sum) < 1e-12, `${rows} ${columns} ${depth}`);
      }
    }
  }
});

test("random numbers: moments, independence, streams", () => {
  const n = 200000, stream = random(5, "a"), other = random(5, "b"), next = random(6, "a");
  const x = Float64Array.from({ length: n }, () => stream.normal());
  const mean = (f) => x.reduce((sum, v, i) => sum + f(v, i), 0) / n;
  assert.ok(Math.abs(mean((v) => v)) < 0.01);
  assert.ok(Math.abs(mean((v) => v * v) - 1) < 0.015);
  assert.ok(Math.abs(mean((v) => v ** 4) - 3) < 0.1);
  assert.ok(Math.abs(mean((v) => Math.abs(v) < 1) - 0.6827) < 0.005);
  assert.ok(Math.abs(mean((v, i) => v * x[(i + 1) % n])) < 0.01);
  assert.ok(Math.abs(mean((v) => v * other.normal())) < 0.01);
  assert.ok(Math.abs(mean((v) => v * next.normal())) < 0.01);
  const counts = new Float64Array(7);
  for (let i = 0; i < 70000; i++) counts[stream.integer(7)]++;
  assert.ok(counts.every((count) => Math.abs(count - 10000) < 400));
  const firsts = new Set(Array.from({ length: 1000 }, (_, seed) => random(seed, "a").uniform()));
  assert.equal(firsts.size, 1000);
});

test("data sets: samples lie where they should", () => {
  const drawing = encodeDrawing([0.5, -0.5, -1, 1]);
  for (const data of specification.data.choices) {
    const set = dataset(complete({ data, drawing, std: 0.03 })), stream = random(0), point = new Float64Array(2);
    let near = 0, inside = 0;
    const hit = new Set();
    for (let i = 0; i < 4000; i++) {
      set.draw(stream, point);
      inside += Math.max(Math.abs(point[0]), Math.abs(point[1])) < set.extent;
      for (let m = 0; m < set.modes; m++) {
        const distance = Math.hypot(point[0] - set.centers[2 * m], point[1] - set.centers[2 * m + 1]);
        if (distance < 3 * set.std) {
          near++;
          hit.add(m);
        }
      }
    }
    assert.ok(inside >= 3999, `${data}: ${inside}`);
    assert.equal(hit.size, set.modes);
    if (set.modes) assert.ok(Math.abs(near / 4000 - (1 - Math.exp(-4.5))) < 0.006, `${data}: ${near}`); // in the plane
  }
});

test("what is measured of perfect samples is the floor, and of data without modes no modes", () => {
  const gan = createGan({ ...SMALL, data: "grid" });
  const stream = random(77), point = new Float64Array(2);
  gan.samples = (n) => Float32Array.from({ length: 2 * n }, (_, i) => {
    if (i % 2 === 0) gan.data.draw(stream, point);
    return point[i % 2];
  });
  const { modes, of, nearMode, reverseKl, js, jsFloor, klRealFake, klFakeReal, klFloor } = gan.measure(2500);
  assert.deepEqual([modes, of], [25, 25]);
  assert.ok(Math.abs(nearMode - 0.989) < 0.01 && reverseKl < 0.012);
  for (const [value, floor] of [[js, jsFloor], [klRealFake, klFloor], [klFakeReal, klFloor]]) {
    assert.ok(value > floor / 2 && value < 2 * floor, `${value} ${floor}`);
  }
  const spiral = trained({ ...SMALL, data: "spiral" }, 3).measure(200);
  assert.deepEqual([spiral.modes, spiral.of, spiral.nearMode], [0, 0, NaN]);
  assert.ok(spiral.js > spiral.jsFloor && spiral.js <= Math.log(2));
});

test("drawings survive their encoding", () => {
  const points = Float64Array.from({ length: 200 }, (_, i) => ((i * 37) % 200) / 70 - 1.4);
  const text = encodeDrawing(points);
  assert.match(text, /^[A-Za-z0-9_-]+$/);
  const back = decodeDrawing(text);
  assert.equal(back.length, points.length);
  back.forEach((x, i) => assert.ok(Math.abs(x - points[i]) <= 1.5 / 512 + 1e-12));
  assert.equal(encodeDrawing(back), text);
  assert.equal(encodeDrawing([1, 1, 1, 1]), encodeDrawing([1, 1]));
  assert.ok(decodeDrawing(encodeDrawing([9, -9])).every((x) => Math.abs(x) < 1.5));
  assert.throws(() => decodeDrawing("ab"), /drawing must be a string that encodeDrawing made.*got "ab"/);
  assert.throws(() => decodeDrawing("a%c"), RangeError);
  const many = Float64Array.from({ length: 4000 }, (_, i) => (i % 2 ? i / 2000 - 1 : (i % 90) / 45 - 1));
  assert.throws(() => encodeDrawing(many), /at most 1000 points/);
});

test("settings are completed, or refused by name", () => {
  assert.deepEqual(complete(), defaults);
  assert.deepEqual(complete({ loss: "hinge" }), { ...defaults, loss: "hinge" });
  for (const [partial, message] of [
    [{ lr_g: -1 }, /^lr_g must be a number from 0 to 10, got -1$/],
    [{ lr_g: "0.1" }, /^lr_g must be a number from 0 to 10, got "0.1"$/],
    [{ lr_g: NaN }, /^lr_g must be .* got NaN$/],
    [{ batch: 20.5 }, /^batch must be a whole number from 8 to 512, got 20.5$/],
    [{ loss: "toString" }, /^loss must be one of non-saturating, .*, got "toString"$/],
    [{ spectral_norm: 1 }, /^spectral_norm must be true or false, got 1$/],
    [{ learning_rate: 1 }, /^a setting must be one of game, .*, got "learning_rate"$/],
    [{ constructor: 1 }, /^a setting must be/],
    [{ data: "drawn" }, /^drawing must be a drawing of one point or more/],
    [{ drawing: "!" }, /^drawing must be/],
    [{ decay_from: 10 }, /^decay_from must be 0 \(no decay\) or below steps \(0\), got 10$/],
    [{ steps: 10, decay_from: 10 }, /^decay_from must be/],
  ]) {
    assert.throws(() => complete(partial), { name: "RangeError", message });
  }
  for (const [name, { default: value }] of Object.entries(specification)) complete({ [name]: value });
  for (const { settings } of Object.values(presets)) complete(settings);
});

test("accuracy: on the right side of the threshold, or the pairs in order", () => {
  assert.equal(accuracy("hinge", [1, -1], [-2, -3], 2), 0.75);
  assert.equal(accuracy("least-squares", [0.6, 0.4], [0.4, 0.2], 2), 0.75);
  assert.equal(accuracy("wasserstein", [5, 5], [4, 6], 2), 0.5);
});

test("the Dirac-GAN: path, field, divergence, end", () => {
  const dirac = createDirac({ game: "dirac", method: "simultaneous", lr_g: 0.1, theta: 0.5, psi: -0.25, steps: 3 });
  const arrows = dirac.field(1, 4); // middles at -0.75, -0.25, 0.25, 0.75
  dirac.step();
  const [[t0, p0], [t1, p1]] = dirac.path;
  const there = createDirac({ game: "dirac", theta: 0.75, psi: 0.75, method: "simultaneous", lr_g: 1 });
  there.step();
  assert.ok(Math.abs(there.path[1][0] - 0.75 - arrows[2 * 3]) < 1e-12); // the top right corner
  assert.ok(Math.abs(there.path[1][1] - 0.75 - arrows[2 * 3 + 1]) < 1e-12);
  assert.ok(t1 < t0 && p1 < p0);
  for (let k = 0; k < 5; k++) dirac.step();
  assert.equal(dirac.steps, 3);
  assert.ok(dirac.finished);
  const wild = createDirac({ game: "dirac", loss: "least-squares", method: "simultaneous", lr_g: 10 });
  for (let k = 0; k < 500; k++) wild.step();
  assert.match(wild.diverged, /^(theta|psi) is not finite at step \d+$/);
  assert.ok(wild.path.flat().every(Number.isFinite));
});
