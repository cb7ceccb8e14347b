// The engine of the lab, with the settings that are asked for.
import { complete, createGan } from "../../lab/src/engine/index.js";

let gan;

globalThis.way = {
  prepare(asked) {
    gan = createGan(complete(asked));
    return null; // no backend but one
  },
  step: () => gan.step(),
  finish: () => !gan.diverged,

  // To see that others compute the same: all parameters, and what one step has drawn.
  parameters: () => [gan.generator, gan.discriminator].map(({ parameters }) => [...parameters]),
  drawn() {
    const batches = [];
    for (const part of gan.phases()) {
      if (part.phase === "data") batches.push([...part.real]);
      if (part.phase === "latents") batches.push([...part.latents]);
    }
    return batches;
  },
};
