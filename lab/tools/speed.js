// How fast is the engine here? Steps on the ring, in the settings of the collapse but for width and batch, per second
// of the processor's time: on a machine with other work, fewer than this per second of the clock.
//
//     node lab/tools/speed.js
import { createGan } from "../src/engine/index.js";
import presets from "../../gan_course/notebook/browser/presets.json" with { type: "json" };

const SECONDS = 2;
for (const width of [16, 32, 64, 128]) {
  for (const batch of [128, 256]) {
    const size = { width_g: width, width_d: width, batch };
    const gan = createGan({ ...presets.collapse.settings, ...size, steps: 0, decay_from: 0 });
    for (let k = 0; k < 30; k++) gan.step(); // until it is compiled
    let steps = 0, seconds = 0;
    for (const began = process.cpuUsage(); seconds < SECONDS; steps++) {
      gan.step();
      seconds = process.cpuUsage(began).user / 1e6;
    }
    console.log(`width ${width}, batch ${batch}: ${(steps / seconds).toFixed(0)} steps a second`);
  }
}
