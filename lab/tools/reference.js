// For tests in Python: computes what the cases on the standard input ask for, and prints the answers. Both are JSON.
import { readFileSync } from "node:fs";
import { createDirac } from "../src/engine/index.js";
import { dataset } from "../src/engine/data.js";
import { PlaneGan } from "../src/engine/gan.js";
import { divergences, histogram, modeCounts } from "../src/engine/metrics.js";
import { rateFactor } from "../src/engine/optimizers.js";
import { complete } from "../src/engine/settings.js";

/** Draws from lists: one list of columns [x, y, ...] per call, for each kind. */
class Given {
  constructor(lists) {
    this.lists = lists;
    this.next = { real: 0, latents: 0, epsilon: 0 };
  }

  rows(kind, x, stride, n) {
    const list = this.lists[kind][this.next[kind]++];
    const rows = list.length / n;
    for (let i = 0; i < n; i++) for (let r = 0; r < rows; r++) x[r * stride + i] = list[rows * i + r];
  }

  real(x, stride, n) {
    this.rows("real", x, stride, n);
  }

  latents(x, stride, n) {
    this.rows("latents", x, stride, n);
  }

  epsilon(x, n) {
    this.rows("epsilon", x, 1, n);
  }
}

const array = (x) => Array.from(x);

const answers = {
  train({ settings, generator, discriminator, u, draws, steps }) {
    const gan = new PlaneGan(complete(settings), new Given(draws));
    gan.generator.parameters.set(generator);
    gan.averaged.parameters.set(generator);
    gan.discriminator.parameters.set(discriminator);
    if (settings.spectral_norm) {
      gan.discriminator.layers.forEach((layer, l) => layer.u.set(u[l]));
      gan.discriminator.iterate(15);
      gan.discriminator.normalise();
    }
    const rows = [];
    for (let k = 0; k < steps; k++) {
      gan.step();
      const { passG: { outputDeltas: byFake, stride, columns: n } } = gan;
      const arrows = Array.from({ length: 2 * n }, (_, i) => -n * byFake[(i % 2) * stride + (i >> 1)]);
      rows.push({
        ...gan.last, arrows,
        gradient_d: array(gan.gradient_d), gradient_g: array(gan.gradient_g),
        generator: array(gan.generator.parameters), averaged: array(gan.averaged.parameters),
        discriminator: array(gan.discriminator.parameters),
        u: gan.discriminator.layers.map(({ u }) => array(u ?? [])),
        v: gan.discriminator.layers.map(({ v }) => array(v ?? [])),
      });
    }
    return rows;
  },

  dirac({ settings, steps }) {
    const dirac = createDirac(settings);
    for (let k = 0; k < steps; k++) dirac.step();
    return dirac.path;
  },

  modes({ points, centers, std }) {
    const { shares, ...counts } = modeCounts(points, { centers, modes: centers.length / 2, std });
    return { ...counts, shares: array(shares) };
  },

  divergences({ real, fake, extent }) {
    return divergences(histogram(real, extent), histogram(fake, extent));
  },

  rates({ cases }) {
    return cases.map((arguments_) => rateFactor(...arguments_));
  },

  data({ settings }) {
    const { centers, std, extent } = dataset(complete(settings));
    return { centers: array(centers), std, extent };
  },
};

const cases = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(cases.map(({ kind, ...rest }) => answers[kind](rest))));
