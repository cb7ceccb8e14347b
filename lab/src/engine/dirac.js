// The Dirac-GAN: all data at 0, all samples at theta, logits psi x. As gan_course.theory.dynamics plays it.
//
// Mescheder et al. (2018), section 2. D's slope is psi everywhere, so R1 and R2 are both psi^2 / 2.
import { losses, normMinusOne } from "./losses.js";

const real = Float64Array.of(0), fake = new Float64Array(1), byReal = new Float64Array(1), byFake = new Float64Array(1);
const slope = new Float64Array(2), byPsi = new Float64Array(2);

export class DiracGan {
  /** `settings` are complete. */
  constructor(settings) {
    this.settings = settings;
    this.path = [[settings.theta, settings.psi]]; // of each step; a long game's owner may take away the oldest
    this.steps = 0;
    this.diverged = null;
  }

  get finished() {
    return this.settings.steps > 0 && this.steps >= this.settings.steps;
  }

  /** The direction in which G walks: minus the gradient of its loss by theta. */
  #walkG(theta, psi) {
    fake[0] = psi * theta;
    losses[this.settings.loss].generator(real, fake, byFake, 1);
    return -byFake[0] * psi;
  }

  /** The direction in which D walks; the data's logit is 0, whatever psi is. */
  #walkD(theta, psi) {
    const { loss, r1, r2, penalty, one_sided: oneSided } = this.settings;
    fake[0] = psi * theta;
    losses[loss].discriminator(real, fake, byReal, byFake, 1);
    slope[0] = psi;
    normMinusOne(penalty, oneSided, slope, byPsi, 1, 0, 1);
    return -byFake[0] * theta - (r1 + r2) * psi - byPsi[0];
  }

  /** One step of both players. */
  step() {
    if (this.diverged !== null || this.finished) return;
    const { method, lr_g: lr, clip } = this.settings;
    let [theta, psi] = this.path.at(-1);
    if (method === "alternating") {
      psi += lr * this.#walkD(theta, psi); // G sees the new psi, as GANs are trained
      theta += lr * this.#walkG(theta, psi);
    } else {
      let at = [theta, psi];
      if (method === "extragradient") at = [theta + lr * this.#walkG(theta, psi), psi + lr * this.#walkD(theta, psi)];
      theta += lr * this.#walkG(...at);
      psi += lr * this.#walkD(...at);
    }
    if (clip > 0) psi = Math.min(clip, Math.max(-clip, psi));
    if (Number.isFinite(theta) && Number.isFinite(psi)) {
      this.path.push([theta, psi]);
      this.steps++;
    } else this.diverged = `${Number.isFinite(theta) ? "psi" : "theta"} is not finite at step ${this.steps + 1}`;
  }

  /**
   * Where both players walk from the middles of k x k cells of the square [-extent, extent]^2 of (theta, psi), row by
   * row from the top: [along theta, along psi, ...].
   */
  field(extent, k) {
    const arrows = new Float64Array(2 * k * k);
    for (let i = 0; i < k * k; i++) {
      const theta = extent * ((2 * (i % k) + 1) / k - 1), psi = extent * (1 - (2 * Math.floor(i / k) + 1) / k);
      arrows[2 * i] = this.#walkG(theta, psi);
      arrows[2 * i + 1] = this.#walkD(theta, psi);
    }
    return arrows;
  }
}
