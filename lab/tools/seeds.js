// Trains with given settings and seeds, and prints what 2,500 samples reach: one line of JSON for each seed.
//
//     node lab/tools/seeds.js '{"loss": "hinge", "steps": 1500}' 0 1 2
//
// "steps" says how long; every 25 steps the modes are counted, for the first step after which there are all.
import { createGan } from "../src/engine/index.js";

const EVERY = 25;
const [what, ...seeds] = process.argv.slice(2);
const settings = JSON.parse(what);
for (const seed of seeds.map(Number)) {
  const gan = createGan({ ...settings, seed });
  if (gan.settings.steps === 0) throw new RangeError("steps must be at least 1, for a run must end, got 0");
  let stepsToAll = null;
  while (!gan.finished && gan.diverged === null) {
    gan.step();
    if (stepsToAll === null && gan.steps % EVERY === 0) {
      const { modes, of } = gan.measure();
      if (of > 0 && modes === of) stepsToAll = gan.steps;
    }
  }
  const { modes, nearMode, largestShare, reverseKl, js, jsFloor } = gan.measure();
  console.log(JSON.stringify({
    seed, modes, high_quality: nearMode, largest_share: largestShare, reverse_kl: reverseKl, js, js_floor: jsFloor,
    steps_to_all: stepsToAll, diverged: gan.diverged, node: process.version,
  }));
}
