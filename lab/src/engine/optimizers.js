// Optimisers with torch's formulas and constants, on flat arrays of parameters; and what else moves parameters.

class Sgd {
  update(parameters, gradient, lr) {
    for (let i = 0; i < parameters.length; i++) parameters[i] -= lr * gradient[i];
  }
}

class Adam {
  constructor(size, beta1, beta2) {
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.t = 0;
    this.mean = new Float64Array(size);
    this.square = new Float64Array(size);
  }

  update(parameters, gradient, lr) {
    const { beta1, beta2, mean, square } = this;
    this.t++;
    const rate = lr / (1 - beta1 ** this.t), unbias = 1 / Math.sqrt(1 - beta2 ** this.t);
    for (let i = 0; i < parameters.length; i++) {
      const g = gradient[i];
      mean[i] += (1 - beta1) * (g - mean[i]);
      square[i] = beta2 * square[i] + (1 - beta2) * g * g;
      parameters[i] -= (rate * mean[i]) / (Math.sqrt(square[i]) * unbias + 1e-8);
    }
  }
}

class RmsProp {
  constructor(size) {
    this.square = new Float64Array(size);
  }

  update(parameters, gradient, lr) {
    const { square } = this;
    for (let i = 0; i < parameters.length; i++) {
      const g = gradient[i];
      square[i] = 0.99 * square[i] + 0.01 * g * g;
      parameters[i] -= (lr * g) / (Math.sqrt(square[i]) + 1e-8);
    }
  }
}

/** The optimiser of a name, for `size` parameters; its update(parameters, gradient, lr) moves them in place. */
export function optimizer(name, size, beta1, beta2) {
  if (name === "adam") return new Adam(size, beta1, beta2);
  return name === "rmsprop" ? new RmsProp(size) : new Sgd();
}

/** The factor of both rates at a step, from 1: falls linearly from step `decayFrom` (0: never) to step `steps`. */
export function rateFactor(step, steps, decayFrom) {
  return decayFrom === 0 || step <= decayFrom ? 1 : Math.max(0, (steps - step + 1) / (steps - decayFrom));
}

/** Force all parameters into [-bound, bound]. */
export function clip(parameters, bound) {
  for (let i = 0; i < parameters.length; i++) parameters[i] = Math.min(bound, Math.max(-bound, parameters[i]));
}

/** Move an average of parameters one step towards them. */
export function follow(average, parameters, decay) {
  for (let i = 0; i < average.length; i++) average[i] += (1 - decay) * (parameters[i] - average[i]);
}
