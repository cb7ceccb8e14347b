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
};
