// Trains as fast as it can, away from the page's thread, and tells how far it is every tenth of a second.
import { complete, createGan } from "../../lab/src/engine/index.js";

self.onmessage = ({ data }) => {
  const gan = createGan(complete(data));
  for (let next = 0; !gan.diverged;) {
    gan.step();
    if (performance.now() > next) {
      self.postMessage(gan.steps);
      next = performance.now() + 100;
    }
  }
};
