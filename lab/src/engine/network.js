// Multilayer perceptrons, and everything that differentiates them.
//
// All arrays are feature-major: a batch of n samples with f features is f rows of n numbers, `stride` apart.
import { product } from "./matrix.js";

/**
 * A perceptron of sizes [in, hidden, ..., out]: linear layers with LeakyReLUs of the given slope between them.
 *
 * With `spectral`, each weight matrix is divided by (an estimate of) its largest singular value, as
 * gan_course.layers.SpectralNorm does it; the parameters are the matrices before the division.
 */
export class Network {
  constructor(sizes, slope, spectral = false) {
    this.sizes = sizes;
    this.slope = slope;
    this.spectral = spectral;
    let size = 0;
    for (let l = 1; l < sizes.length; l++) size += sizes[l] * (sizes[l - 1] + 1);
    this.parameters = new Float64Array(size);
    this.layers = [];
    for (let l = 1, at = 0; l < sizes.length; l++) {
      const inputs = sizes[l - 1], outputs = sizes[l], from = at;
      const raw = this.parameters.subarray(from, from + inputs * outputs);
      const bias = this.parameters.subarray(from + inputs * outputs, from + (inputs + 1) * outputs);
      at += (inputs + 1) * outputs;
      const layer = { inputs, outputs, from, raw, bias, weight: raw };
      if (spectral) {
        Object.assign(layer, {
          weight: new Float64Array(raw.length), u: new Float64Array(outputs), v: new Float64Array(inputs), sigma: 1,
        });
      }
      this.layers.push(layer);
    }
  }

  /** Draw all weights and biases as torch's nn.Linear does: uniform within 1 / sqrt(inputs). */
  initialise(random) {
    for (const { inputs, raw, bias } of this.layers) {
      const bound = 1 / Math.sqrt(inputs);
      for (let i = 0; i < raw.length; i++) raw[i] = bound * (2 * random.uniform() - 1);
      for (let i = 0; i < bias.length; i++) bias[i] = bound * (2 * random.uniform() - 1);
    }
    if (!this.spectral) return;
    for (const { u } of this.layers) for (let i = 0; i < u.length; i++) u[i] = random.normal();
    this.iterate(15); // as the package begins
    this.normalise();
  }

  /** Power iterations towards the leading singular vectors u and v of each weight. */
  iterate(iterations) {
    for (const { inputs, outputs, raw, u, v } of this.layers) {
      for (let k = 0; k < iterations; k++) {
        product(1, inputs, outputs, u, 0, 1, raw, 0, inputs, 1, v, 0, 0);
        unit(v);
        product(1, outputs, inputs, v, 0, 1, raw, 0, 1, inputs, u, 0, 0);
        unit(u);
      }
    }
  }

  /** After a change of parameters: divide each weight by sigma = u' W v. */
  normalise() {
    if (!this.spectral) return;
    for (const layer of this.layers) {
      const { inputs, outputs, raw, weight, u, v } = layer;
      let sigma = 0;
      for (let o = 0, i = 0; o < outputs; o++) for (let j = 0; j < inputs; j++) sigma += u[o] * raw[i++] * v[j];
      layer.sigma = sigma;
      for (let i = 0; i < raw.length; i++) weight[i] = raw[i] / sigma;
    }
  }

  /** Turn a gradient by the divided weights W / sigma into one by W, in place; u and v are constants, sigma is not. */
  throughNorm(gradient) {
    if (!this.spectral) return;
    for (const { inputs, outputs, from, weight, u, v, sigma } of this.layers) {
      let inner = 0;
      for (let i = 0; i < weight.length; i++) inner += gradient[from + i] * weight[i];
      for (let o = 0, i = from; o < outputs; o++) {
        for (let j = 0; j < inputs; j++, i++) gradient[i] = (gradient[i] - inner * u[o] * v[j]) / sigma;
      }
    }
  }
}

function unit(x) {
  let squares = 0;
  for (let i = 0; i < x.length; i++) squares += x[i] * x[i];
  const norm = Math.max(Math.sqrt(squares), 1e-12); // as torch's normalize
  for (let i = 0; i < x.length; i++) x[i] /= norm;
}

/** What a network makes of up to `columns` samples at once: room for activations and derivatives, made once. */
export class Pass {
  constructor(network, columns) {
    // Rows an odd number of cache lines (of 8 numbers) apart: else many would compete for the same places of the cache.
    this.stride = 8 * (((columns + 7) >> 3) | 1);
    const room = () => network.sizes.map((size) => new Float64Array(size * this.stride));
    this.network = network;
    this.columns = columns;
    this.activations = room(); // [0]: the samples; [l]: what layer l gives
    this.deltas = room(); // [l]: derivatives by the output of layer l before its LeakyReLU; [0]: by the samples
    this.right = room(); // [l]: see tangents() and gradient()
  }

  get inputs() {
    return this.activations[0];
  }

  get outputs() {
    return this.activations[this.activations.length - 1];
  }

  get outputDeltas() {
    return this.deltas[this.deltas.length - 1];
  }

  /** Outputs of the samples `from` to `to`. */
  forward(from, to) {
    const { network: { layers, slope }, activations, stride } = this;
    layers.forEach(({ inputs, outputs, weight, bias }, l) => {
      const x = activations[l], y = activations[l + 1];
      product(outputs, to - from, inputs, weight, inputs, 1, x, from, stride, 1, y, from, stride);
      const kink = l < layers.length - 1 ? slope : 1;
      for (let o = 0; o < outputs; o++) addBias(y, o * stride + from, o * stride + to, bias[o], kink);
    });
  }

  /**
   * Derivatives of the outputs, weighted by `outputDeltas`, by what each layer gives, for the samples `from` to `to`;
   * down to the samples themselves, deltas[0], if `toInputs`.
   */
  backward(from, to, toInputs) {
    const { network: { layers, slope }, activations, deltas, stride } = this;
    for (let l = layers.length - 1; l >= (toInputs ? 0 : 1); l--) {
      const { inputs, outputs, weight } = layers[l];
      const above = deltas[l + 1], below = deltas[l];
      product(inputs, to - from, outputs, weight, 1, inputs, above, from, stride, 1, below, from, stride);
      if (l > 0) throughSlopes(below, activations[l], inputs, stride, from, to, slope);
    }
  }

  /**
   * For a penalty on the gradients g of the outputs by the samples: from its derivatives by g, in right[0], those by
   * what backward() handed on below each layer, right[l], for samples `from` to `to`.
   *
   * g is a product of weights and slopes, so this is a forward pass without biases, with the slopes of the first one;
   * a LeakyReLU's slope has derivative 0 itself.
   */
  tangents(from, to) {
    const { network: { layers, slope }, activations, right, stride } = this;
    for (let l = 1; l < layers.length; l++) {
      const { inputs, outputs, weight } = layers[l - 1];
      product(outputs, to - from, inputs, weight, inputs, 1, right[l - 1], from, stride, 1, right[l], from, stride);
      throughSlopes(right[l], activations[l], outputs, stride, from, to, slope);
    }
  }

  /**
   * The gradient by all parameters, written to `gradient`: each weight's is deltas x right', each bias's the sum of
   * deltas times `weights` (one per sample; all 1 if not given). `right` is what the deltas are multiplied with:
   * the activations, or a sum of them (times `weights`) and of tangents.
   */
  gradient(n, gradient, right = this.activations, weights = null) {
    const { network, deltas, stride } = this;
    network.layers.forEach(({ inputs, outputs, from }, l) => {
      const delta = deltas[l + 1];
      product(outputs, inputs, n, delta, stride, 1, right[l], 0, 1, stride, gradient, from, inputs);
      for (let o = 0; o < outputs; o++) {
        const row = o * stride;
        let sum = 0;
        if (weights) for (let i = 0; i < n; i++) sum += delta[row + i] * weights[i];
        else for (let i = 0; i < n; i++) sum += delta[row + i];
        gradient[from + inputs * outputs + o] = sum;
      }
    });
    network.throughNorm(gradient);
  }
}

/** The slopes of a LeakyReLU below and above 0: looked up, for half of all branches would be guessed wrongly. */
const kinks = Float64Array.of(0, 1);

function addBias(y, from, to, bias, slope) {
  kinks[0] = slope;
  for (let i = from; i < to; i++) {
    const x = y[i] + bias;
    y[i] = x * kinks[(x > 0) | 0];
  }
}

/** Multiply x by the slopes of the LeakyReLUs that gave `activations`, whose signs tell on which side they were. */
function throughSlopes(x, activations, rows, stride, from, to, slope) {
  kinks[0] = slope;
  for (let r = 0; r < rows; r++) {
    for (let i = r * stride + from, end = r * stride + to; i < end; i++) x[i] *= kinks[(activations[i] > 0) | 0];
  }
}
