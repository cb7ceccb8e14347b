// A GAN in the plane: the training step of gan_course.models.gan.GAN with every loss and penalty of the lab, what is
// drawn of it, and what is measured.
import { dataset } from "./data.js";
import { accuracy, losses, normMinusOne, squaredNorm } from "./losses.js";
import { divergences, histogram, modeCounts } from "./metrics.js";
import { Network, Pass } from "./network.js";
import { clip, follow, optimizer, rateFactor } from "./optimizers.js";
import { random } from "./random.js";

const SLOPE_D = 0.2; // of D's LeakyReLUs, as in the package
const AT_ONCE = 512; // samples that evaluation passes through a network at once
const FLOOR_DRAWS = 10; // pairs of real samples whose mean divergences are the floor

/** Real samples, latents and the epsilons of WGAN-GP, from streams of a seed that begin with a name. */
class Draws {
  constructor({ seed, noise, latent_dim: dimensions }, data, name) {
    this.data = data;
    this.normal = noise === "normal";
    this.dimensions = dimensions;
    this.point = new Float64Array(2);
    this.streams = ["real", "latents", "epsilon"].map((kind) => random(seed, `${name} ${kind}`));
  }

  /** Write n real samples to columns 0 to n of x: two rows, `stride` apart. */
  real(x, stride, n) {
    const { data, point, streams } = this;
    for (let i = 0; i < n; i++) {
      data.draw(streams[0], point);
      x[i] = point[0];
      x[stride + i] = point[1];
    }
  }

  /** Write n latents in the same way: standard normal coordinates, or uniform ones in [-1, 1]. */
  latents(z, stride, n) {
    const stream = this.streams[1];
    for (let i = 0; i < n; i++) {
      for (let d = 0; d < this.dimensions; d++) {
        z[d * stride + i] = this.normal ? stream.normal() : 2 * stream.uniform() - 1;
      }
    }
  }

  /** Write n numbers in [0, 1). */
  epsilon(out, n) {
    for (let i = 0; i < n; i++) out[i] = this.streams[2].uniform();
  }
}

/** Columns `from` to `from` + n of rows `stride` apart, as [x, y, x, y, ...]. */
function interleaved(x, rows, stride, from, n) {
  const points = new Float32Array(rows * n);
  for (let i = 0; i < n; i++) for (let r = 0; r < rows; r++) points[rows * i + r] = x[r * stride + from + i];
  return points;
}

function norm(x) {
  let squares = 0;
  for (let i = 0; i < x.length; i++) squares += x[i] * x[i];
  return Math.sqrt(squares);
}

function mean(x) {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i];
  return sum / x.length;
}

/** Numbers at which the standard normal distribution has the shares (k + 1/2) / n below it. */
function normalQuantiles(n) {
  const step = 1e-3, quantiles = new Float64Array(n);
  let below = 0;
  for (let k = 0, x = -6; k < n && x < 6; x += step) {
    const more = (step * Math.exp(-((x + step / 2) ** 2) / 2)) / Math.sqrt(2 * Math.PI);
    for (; k < n && below + more >= (k + 0.5) / n; k++) quantiles[k] = x + (step * ((k + 0.5) / n - below)) / more;
    below += more;
  }
  return quantiles;
}

export class PlaneGan {
  /** `settings` are complete; `draws` gives the samples of training (as Draws does) if they come from elsewhere. */
  constructor(settings, draws = null) {
    const s = settings, b = s.batch;
    this.settings = s;
    this.data = dataset(s);
    this.draws = draws ?? new Draws(s, this.data, "training");
    this.steps = 0;
    this.diverged = null; // or a sentence
    /** Of the last update of each player, NaN before it: the loss, D's weighted penalties, norms of whole gradients. */
    this.last = { lossD: NaN, penalty: NaN, gradientNormD: NaN, lossG: NaN, gradientNormG: NaN };

    const hidden = (width, layers) => Array.from({ length: layers }, () => width);
    this.generator = new Network([s.latent_dim, ...hidden(s.width_g, s.layers_g), 2], s.slope_g);
    this.discriminator = new Network([2, ...hidden(s.width_d, s.layers_d), 1], SLOPE_D, s.spectral_norm);
    this.generator.initialise(random(s.seed, "generator"));
    this.discriminator.initialise(random(s.seed, "discriminator"));
    this.averaged = this.generator;
    if (s.ema_decay > 0) {
      this.averaged = new Network(this.generator.sizes, s.slope_g);
      this.averaged.parameters.set(this.generator.parameters);
    }
    for (const [player, network] of [["g", this.generator], ["d", this.discriminator]]) {
      const size = network.parameters.length;
      this[`gradient_${player}`] = new Float64Array(size);
      this[`optimizer_${player}`] = optimizer(s[`optimizer_${player}`], size, s.beta1, s.beta2);
    }

    // D's columns: a batch of real samples, one of generated ones, and, for WGAN-GP, one of points between them.
    this.passG = new Pass(this.generator, b);
    this.passD = new Pass(this.discriminator, s.penalty > 0 ? 3 * b : 2 * b);
    this.passD.outputDeltas.fill(1); // so that backward() gives the slopes of the logits themselves
    this.weights = new Float64Array(this.passD.columns); // derivatives of a loss by each logit; 0 between
    this.byReal = this.weights.subarray(0, b);
    this.byFake = this.weights.subarray(b, 2 * b);
    this.realLogits = this.passD.outputs.subarray(0, b);
    this.fakeLogits = this.passD.outputs.subarray(b, 2 * b);
    this.epsilon = new Float64Array(b);

    this.evaluation = {
      averaged: new Pass(this.averaged, AT_ONCE),
      generator: new Pass(this.generator, AT_ONCE),
      discriminator: new Pass(this.discriminator, AT_ONCE),
    };
    this.evaluation.discriminator.outputDeltas.fill(1);
    this.floors = new Map();
  }

  /** Whether all steps of a run of `steps` have been made. */
  get finished() {
    return this.settings.steps > 0 && this.steps >= this.settings.steps;
  }

  /** One whole step; nothing if the run is finished or has diverged. */
  step() {
    const parts = this.phases(false);
    while (!parts.next().done);
  }

  /**
   * The same step in parts: D's updates, then G's. Yields after each part {player, phase, round, rounds, ...} with what
   * it made, as copies; nothing is copied without `detail`. It must be run to its end before the next step.
   */
  *phases(detail = true) {
    if (this.diverged !== null || this.finished) return;
    const { settings: s } = this;
    const factor = rateFactor(this.steps + 1, s.steps, s.decay_from);
    for (let k = 0; k < s.n_critic; k++) {
      yield* this.#updateD(factor * s.lr_d, detail && { player: "D", round: k, rounds: s.n_critic });
      if (this.diverged !== null) return;
    }
    for (let k = 0; k < s.n_generator; k++) {
      yield* this.#updateG(factor * s.lr_g, detail && { player: "G", round: k, rounds: s.n_generator });
      if (this.diverged !== null) return;
    }
    if (s.ema_decay > 0) follow(this.averaged.parameters, this.generator.parameters, s.ema_decay);
    this.steps++;
  }

  *#updateD(lr, told) {
    const { settings: s, discriminator: d, passD, last, gradient_d: gradient } = this;
    const b = s.batch, { stride, columns } = passD;

    this.draws.real(passD.inputs, stride, b);
    yield told && { ...told, phase: "data", real: this.#real() };

    yield* this.#samples(told);

    if (s.spectral_norm) {
      d.iterate(1); // once per update of D, as in the package
      d.normalise();
    }
    if (s.penalty > 0) this.#between();
    passD.forward(0, columns);
    last.lossD = losses[s.loss].discriminator(this.realLogits, this.fakeLogits, this.byReal, this.byFake, b);
    yield told && { ...told, phase: "scores", ...this.#scores(), loss: last.lossD };

    const sloped = s.r1 > 0 || s.r2 > 0 || s.penalty > 0;
    passD.backward(0, columns, sloped);
    last.penalty = sloped ? this.#penalise() : 0;
    this.#weigh(sloped);
    passD.gradient(columns, gradient, passD.right, this.weights);
    last.gradientNormD = norm(gradient);
    if (!this.#finite("D", last.lossD + last.penalty, last.gradientNormD)) return;
    yield told && { ...told, phase: "gradients", penalty: last.penalty, gradientNorm: last.gradientNormD };

    this.optimizer_d.update(d.parameters, gradient, lr);
    if (s.clip > 0) clip(d.parameters, s.clip);
    d.normalise();
    yield told && { ...told, phase: "update", lr };
  }

  *#updateG(lr, told) {
    const { settings: s, generator: g, passD, passG, last, gradient_g: gradient } = this;
    const b = s.batch, { stride } = passD, paired = s.loss === "relativistic";

    if (paired) {
      this.draws.real(passD.inputs, stride, b);
      yield told && { ...told, phase: "data", real: this.#real() };
    }
    yield* this.#samples(told);

    passD.forward(paired ? 0 : b, 2 * b);
    last.lossG = losses[s.loss].generator(this.realLogits, this.fakeLogits, this.byFake, b);
    yield told && { ...told, phase: "scores", ...this.#scores(paired), loss: last.lossG };

    // The gradient flows through D to the samples, and on to G's parameters.
    passD.backward(b, 2 * b, true);
    for (let r = 0; r < 2; r++) {
      for (let i = 0; i < b; i++) {
        passG.outputDeltas[r * passG.stride + i] = this.byFake[i] * passD.deltas[0][r * stride + b + i];
      }
    }
    passG.backward(0, b, false);
    passG.gradient(b, gradient);
    last.gradientNormG = norm(gradient);
    if (!this.#finite("G", last.lossG, last.gradientNormG)) return;
    yield told && {
      ...told, phase: "gradients", fake: this.#fake(), gradientNorm: last.gradientNormG,
      gradients: interleaved(passG.outputDeltas, 2, passG.stride, 0, b).map((x) => -b * x),
    };

    this.optimizer_g.update(g.parameters, gradient, lr);
    yield told && { ...told, phase: "update", lr };
  }

  *#samples(told) {
    const { draws, passG, settings: { batch: b } } = this;
    draws.latents(passG.inputs, passG.stride, b);
    yield told && { ...told, phase: "latents", latents: this.#latents() };

    this.#generate();
    yield told && { ...told, phase: "samples", fake: this.#fake() };
  }

  /** G's samples of the latents in its pass, put into D's columns for them. */
  #generate() {
    const { passD, passG, settings: { batch: b } } = this;
    passG.forward(0, b);
    for (let r = 0; r < 2; r++) {
      const to = r * passD.stride + b, from = r * passG.stride;
      for (let i = 0; i < b; i++) passD.inputs[to + i] = passG.outputs[from + i];
    }
  }

  /** WGAN-GP's points: epsilon real + (1 - epsilon) fake, one epsilon per sample. */
  #between() {
    const { passD: { inputs: x, stride }, epsilon, settings: { batch: b } } = this;
    this.draws.epsilon(epsilon, b);
    for (let row = 0; row < 2 * stride; row += stride) {
      for (let i = 0; i < b; i++) {
        x[row + 2 * b + i] = epsilon[i] * x[row + i] + (1 - epsilon[i]) * x[row + b + i];
      }
    }
  }

  /** The penalties of D's loss, weighted; their derivatives go through the network as tangents. */
  #penalise() {
    const { settings: s, passD } = this;
    const b = s.batch, { stride, deltas: [g], right: [tangents] } = passD;
    let penalty = squaredNorm(s.r1, g, tangents, stride, 0, b) + squaredNorm(s.r2, g, tangents, stride, b, b);
    if (s.penalty > 0) penalty += normMinusOne(s.penalty, s.one_sided, g, tangents, stride, 2 * b, b);
    passD.tangents(s.r1 > 0 ? 0 : s.r2 > 0 ? b : 2 * b, s.penalty > 0 ? 3 * b : s.r2 > 0 ? 2 * b : b);
    return penalty;
  }

  /**
   * Make `right` of D's pass: each sample's activations times the derivative of the loss by its logit (with one logit
   * per sample, that is the loss's backward pass), plus its tangents where there is a penalty.
   */
  #weigh(sloped) {
    const { settings: s, passD: { activations, right, columns, stride, network: { sizes } }, weights } = this;
    const b = s.batch;
    const penalised = [s.r1 > 0, s.r2 > 0, s.penalty > 0];
    for (let l = 0; l < sizes.length - 1; l++) {
      for (let part = 0; part * b < columns; part++) {
        for (let r = 0; r < sizes[l]; r++) {
          const from = r * stride + part * b;
          weigh(right[l], activations[l], weights, from, part * b, b, sloped && penalised[part]);
        }
      }
    }
  }

  #finite(player, loss, gradientNorm) {
    if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return true;
    const [what, value] = Number.isFinite(loss) ? ["the gradient's norm", gradientNorm] : ["the loss", loss];
    this.diverged = `${what} of ${player} is ${value} at step ${this.steps + 1}`;
    return false;
  }

  #real() {
    return interleaved(this.passD.inputs, 2, this.passD.stride, 0, this.settings.batch);
  }

  #fake() {
    return interleaved(this.passG.outputs, 2, this.passG.stride, 0, this.settings.batch);
  }

  #latents() {
    const { batch, latent_dim: dimensions } = this.settings;
    return interleaved(this.passG.inputs, dimensions, this.passG.stride, 0, batch);
  }

  #scores(paired = true) {
    const fake = Float32Array.from(this.fakeLogits);
    return paired ? { scoresReal: Float32Array.from(this.realLogits), scoresFake: fake } : { scoresFake: fake };
  }

  /**
   * What is to be drawn, of samples that no training sees and that are the same in every call.
   *
   * `samples`: how many; `surface`: k for k x k scores of D, at the middles of the square's cells, row by row from the
   * top; `manifold`: m for a lattice of (m + 1) x (m + 1) latents between equal shares of the noise (or as many on a
   * line); `gradients`: whether arrows are wanted; `extent`: half the side of the square.
   *
   * The statistics are those of both players as they are, on these samples; `fake`, `manifold` and `gradients` are of
   * the averaged G. `accuracyD`: see losses.js; `slopeD`: mean norm of D's slope at generated samples.
   */
  snapshot({ samples = 256, surface = 0, manifold = 0, gradients = false, extent = this.data.extent } = {}) {
    const { settings: s, evaluation: { averaged, generator } } = this;
    const draws = new Draws(s, this.data, "snapshot");
    const real = new Float64Array(2 * samples), latents = new Float64Array(s.latent_dim * samples);
    draws.real(real, samples, samples);
    draws.latents(latents, samples, samples);
    const fake = mapped(averaged, latents, samples), own = s.ema_decay > 0 ? mapped(generator, latents, samples) : fake;
    const judgedReal = this.#judged(real, samples), judged = this.#judged(own, samples);
    const loss = losses[s.loss], byReal = new Float64Array(samples), byFake = new Float64Array(samples);
    let slope = 0;
    for (let i = 0; i < samples; i++) slope += Math.hypot(judged.slopes[i], judged.slopes[samples + i]) / samples;
    const result = {
      step: this.steps, finished: this.finished, diverged: this.diverged, extent,
      real: interleaved(real, 2, samples, 0, samples),
      fake: interleaved(fake, 2, samples, 0, samples),
      latents: interleaved(latents, s.latent_dim, samples, 0, samples),
      lossD: loss.discriminator(judgedReal.logits, judged.logits, byReal, byFake, samples),
      lossG: loss.generator(judgedReal.logits, judged.logits, byFake, samples),
      logitReal: mean(judgedReal.logits),
      logitFake: mean(judged.logits),
      accuracyD: accuracy(s.loss, judgedReal.logits, judged.logits, samples),
      slopeD: slope,
      penalty: this.last.penalty, // the last update's
      gradientNormD: this.last.gradientNormD,
      gradientNormG: this.last.gradientNormG,
    };
    if (gradients) result.gradients = this.#arrows(judgedReal.logits, fake, samples);
    if (surface > 0) result.surface = this.#surface(surface, extent);
    if (manifold > 0) result.manifold = this.#manifold(manifold);
    return result;
  }

  /** D's logits of n samples, two rows of n, and their slopes there. */
  #judged(x, n) {
    const { discriminator: pass } = this.evaluation;
    const slopes = new Float64Array(2 * n);
    const logits = mapped(pass, x, n, (from, count) => {
      pass.backward(0, count, true);
      for (let r = 0; r < 2; r++) {
        for (let i = 0; i < count; i++) slopes[r * n + from + i] = pass.deltas[0][r * pass.stride + i];
      }
    });
    return { logits, slopes };
  }

  /** Minus n times the gradient of G's loss by each of n samples, two rows of n. */
  #arrows(realLogits, fake, n) {
    const { logits, slopes } = this.#judged(fake, n);
    const byFake = new Float64Array(n), arrows = new Float32Array(2 * n);
    losses[this.settings.loss].generator(realLogits, logits, byFake, n);
    for (let i = 0; i < n; i++) {
      arrows[2 * i] = -n * byFake[i] * slopes[i];
      arrows[2 * i + 1] = -n * byFake[i] * slopes[n + i];
    }
    return arrows;
  }

  #surface(k, extent) {
    const n = k * k, x = new Float64Array(2 * n);
    for (let i = 0; i < n; i++) {
      x[i] = extent * ((2 * (i % k) + 1) / k - 1);
      x[n + i] = extent * (1 - (2 * Math.floor(i / k) + 1) / k);
    }
    return Float32Array.from(mapped(this.evaluation.discriminator, x, n));
  }

  #manifold(m) {
    const { noise, latent_dim: dimensions } = this.settings;
    const n = (m + 1) ** 2, along = dimensions === 1 ? n : m + 1;
    if (this.lattice?.length !== dimensions * n) {
      const ticks = noise === "normal" ? normalQuantiles(along)
        : Float64Array.from({ length: along }, (_, k) => (2 * k + 1) / along - 1);
      this.lattice = Float64Array.from({ length: dimensions * n }, (_, i) =>
        ticks[i < n ? i % along : Math.floor((i - n) / along)]);
    }
    return interleaved(mapped(this.evaluation.averaged, this.lattice, n), 2, n, 0, n);
  }

  /**
   * How near n samples of the averaged G are to n new real ones: modeCounts() and divergences() of metrics.js, and
   * as floor the mean divergences of pairs of real samples of the same size. The draws depend on the step only.
   */
  measure(n = 2500) {
    const fake = this.samples(n), real = this.#fresh(`measure ${this.steps}`, n);
    const { extent } = this.data;
    return {
      step: this.steps, n, ...modeCounts(fake, this.data),
      ...divergences(histogram(real, extent), histogram(fake, extent)), ...this.#floor(n),
    };
  }

  /** n samples of the averaged G, [x, y, ...], as measure(n) uses them. */
  samples(n) {
    const { latent_dim: dimensions } = this.settings;
    const latents = new Float64Array(dimensions * n);
    new Draws(this.settings, this.data, `measure ${this.steps}`).latents(latents, n, n);
    return interleaved(mapped(this.evaluation.averaged, latents, n), 2, n, 0, n);
  }

  #fresh(name, n) {
    const x = new Float64Array(2 * n);
    new Draws(this.settings, this.data, name).real(x, n, n);
    return interleaved(x, 2, n, 0, n);
  }

  #floor(n) {
    if (!this.floors.has(n)) {
      const sum = { jsFloor: 0, klFloor: 0 };
      for (let k = 0; k < FLOOR_DRAWS; k++) {
        const [a, b] = ["a", "b"].map((name) => histogram(this.#fresh(`floor ${k} ${name}`, n), this.data.extent));
        const { js, klRealFake } = divergences(a, b);
        sum.jsFloor += js / FLOOR_DRAWS;
        sum.klFloor += klRealFake / FLOOR_DRAWS;
      }
      this.floors.set(n, sum);
    }
    return this.floors.get(n);
  }
}

function weigh(right, activations, weights, from, column, n, penalised) {
  if (penalised) for (let i = 0; i < n; i++) right[from + i] += weights[column + i] * activations[from + i];
  else for (let i = 0; i < n; i++) right[from + i] = weights[column + i] * activations[from + i];
}

/** What a pass makes of n samples (rows of n), in rows of n; `each(from, count)` is called after every part. */
function mapped(pass, x, n, each = () => {}) {
  const { inputs, outputs, stride } = pass, rowsIn = pass.network.sizes[0], rowsOut = pass.network.sizes.at(-1);
  const y = new Float64Array(rowsOut * n);
  for (let from = 0; from < n; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, n - from);
    for (let r = 0; r < rowsIn; r++) for (let i = 0; i < count; i++) inputs[r * stride + i] = x[r * n + from + i];
    pass.forward(0, count);
    for (let r = 0; r < rowsOut; r++) for (let i = 0; i < count; i++) y[r * n + from + i] = outputs[r * stride + i];
    each(from, count);
  }
  return y;
}
