// Adversarial losses of logits, as gan_course.losses has them, and the relativistic one of R3GAN. To be minimised.
//
// `discriminator(real, fake, byReal, byFake, n)` and `generator(real, fake, byFake, n)` return the mean loss of n
// logits of each kind and write its derivatives by each of them. Only the relativistic generator looks at `real`.

/** log(1 + exp(x)), without overflow. */
export function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** 1 / (1 + exp(-x)). */
export function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

function crossEntropy(real, fake, byReal, byFake, n) {
  let loss = 0;
  for (let i = 0; i < n; i++) {
    loss += softplus(-real[i]) + softplus(fake[i]);
    byReal[i] = -sigmoid(-real[i]) / n;
    byFake[i] = sigmoid(fake[i]) / n;
  }
  return loss / n;
}

function minusMean(real, fake, byFake, n) {
  let loss = 0;
  for (let i = 0; i < n; i++) {
    loss -= fake[i];
    byFake[i] = -1 / n;
  }
  return loss / n;
}

/** What is subtracted from a logit to make it a decision: real if positive. NaN: only differences have a meaning. */
const ZERO = 0, HALF = 0.5, NONE = NaN;

export const losses = {
  "non-saturating": {
    threshold: ZERO,
    discriminator: crossEntropy,
    generator(real, fake, byFake, n) {
      let loss = 0;
      for (let i = 0; i < n; i++) {
        loss += softplus(-fake[i]);
        byFake[i] = -sigmoid(-fake[i]) / n;
      }
      return loss / n;
    },
  },
  saturating: {
    threshold: ZERO,
    discriminator: crossEntropy,
    generator(real, fake, byFake, n) {
      let loss = 0;
      for (let i = 0; i < n; i++) {
        loss -= softplus(fake[i]);
        byFake[i] = -sigmoid(fake[i]) / n;
      }
      return loss / n;
    },
  },
  "least-squares": {
    threshold: HALF,
    discriminator(real, fake, byReal, byFake, n) {
      let loss = 0;
      for (let i = 0; i < n; i++) {
        loss += 0.5 * ((real[i] - 1) ** 2 + fake[i] ** 2);
        byReal[i] = (real[i] - 1) / n;
        byFake[i] = fake[i] / n;
      }
      return loss / n;
    },
    generator(real, fake, byFake, n) {
      let loss = 0;
      for (let i = 0; i < n; i++) {
        loss += 0.5 * (fake[i] - 1) ** 2;
        byFake[i] = (fake[i] - 1) / n;
      }
      return loss / n;
    },
  },
  wasserstein: {
    threshold: NONE,
    discriminator(real, fake, byReal, byFake, n) {
      let loss = 0;
      for (let i = 0; i < n; i++) {
        loss += fake[i] - real[i];
        byReal[i] = -1 / n;
        byFake[i] = 1 / n;
      }
      return loss / n;
    },
    generator: minusMean,
  },
  hinge: {
    threshold: ZERO,
    discriminator(real, fake, byReal, byFake, n) {
      let loss = 0;
      for (let i = 0; i < n; i++) {
        loss += Math.max(0, 1 - real[i]) + Math.max(0, 1 + fake[i]);
        byReal[i] = real[i] < 1 ? -1 / n : 0;
        byFake[i] = fake[i] > -1 ? 1 / n : 0;
      }
      return loss / n;
    },
    generator: minusMean,
  },
  relativistic: {
    threshold: NONE,
    discriminator(real, fake, byReal, byFake, n) {
      let loss = 0;
      for (let i = 0; i < n; i++) {
        loss += softplus(fake[i] - real[i]);
        byFake[i] = sigmoid(fake[i] - real[i]) / n;
        byReal[i] = -byFake[i];
      }
      return loss / n;
    },
    generator(real, fake, byFake, n) {
      let loss = 0;
      for (let i = 0; i < n; i++) {
        loss += softplus(real[i] - fake[i]);
        byFake[i] = -sigmoid(real[i] - fake[i]) / n;
      }
      return loss / n;
    },
  },
};

/**
 * The share of right decisions of a discriminator: logits on the right side of the loss's threshold. Where only
 * differences of scores mean something, the share of pairs of which the real one has the higher score.
 */
export function accuracy(name, real, fake, n) {
  const { threshold } = losses[name];
  let right = 0;
  for (let i = 0; i < n; i++) {
    if (threshold === threshold) right += ((real[i] > threshold) + (fake[i] <= threshold)) / 2;
    else right += real[i] > fake[i];
  }
  return right / n;
}

/**
 * Penalties on the slope of D, from the gradients g = (gx, gy) of its logits by the samples in columns `from` to
 * `from` + n of `deltas` (two rows, `stride` apart). They return the penalty, weighted, and write its derivatives by g
 * to the same columns of `tangents`.
 *
 * R1 at real and R2 at generated samples: half the mean squared norm (Mescheder et al., 2018).
 */
export function squaredNorm(weight, deltas, tangents, stride, from, n) {
  let sum = 0;
  for (let i = from; i < from + n; i++) {
    const gx = deltas[i], gy = deltas[stride + i];
    sum += gx * gx + gy * gy;
    tangents[i] = (weight * gx) / n;
    tangents[stride + i] = (weight * gy) / n;
  }
  return (weight * 0.5 * sum) / n;
}

/** WGAN-GP: the mean of (norm - 1)^2, or of max(0, norm - 1)^2 if one-sided; its derivative at norm 0 is taken as 0. */
export function normMinusOne(weight, oneSided, deltas, tangents, stride, from, n) {
  let sum = 0;
  for (let i = from; i < from + n; i++) {
    const gx = deltas[i], gy = deltas[stride + i];
    const norm = Math.sqrt(gx * gx + gy * gy);
    const excess = oneSided ? Math.max(0, norm - 1) : norm - 1;
    sum += excess * excess;
    const factor = norm > 0 ? (2 * weight * excess) / (norm * n) : 0;
    tangents[i] = factor * gx;
    tangents[stride + i] = factor * gy;
  }
  return (weight * sum) / n;
}
