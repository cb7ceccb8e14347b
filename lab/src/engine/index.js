// The engine of the lab: GANs in the plane and the Dirac-GAN, in plain JavaScript, without a page.
import { DiracGan } from "./dirac.js";
import { PlaneGan } from "./gan.js";
import { complete } from "./settings.js";

export { decodeDrawing, encodeDrawing } from "./data.js";
export { random } from "./random.js";
export { complete, defaults, specification } from "./settings.js";

/** A GAN in the plane (game "points"), new, with its first weights. */
export function createGan(settings) {
  return new PlaneGan(complete(settings));
}

/** A Dirac-GAN (game "dirac") at its start. */
export function createDirac(settings) {
  return new DiracGan(complete(settings));
}
