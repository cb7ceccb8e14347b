// What a generator makes of a list of inputs: node run_generator.js WEIGHTS.js < inputs.json > outputs.json
// (tests/test_export.py compares it with torch.)
import { readFileSync } from "node:fs";
import { build } from "./src/generators/network.js";

let network;
globalThis.GanGenerators = { weights: (_, file) => { network = build(file); } };
(0, eval)(readFileSync(process.argv[2], "utf8"));
const inputs = JSON.parse(readFileSync(0, "utf8"));
const began = performance.now();
const outputs = inputs.map((given) => Array.from(network.run(given)));
const milliseconds = (performance.now() - began) / inputs.length;
process.stdout.write(JSON.stringify({ outputs, milliseconds }));
