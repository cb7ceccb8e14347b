// A generator from its file (gan_course.models.export says what that holds): a list of layers, computed in their order.
import * as ops from "./ops.js";

const FORMAT = 1;

/** What layers do with the state {x, height, width, channels, kept, given}; the names are those of the file. */
const OPERATIONS = {
  linear: (state, layer) => ({ x: ops.linear(state.x, layer), channels: layer.out, height: 1, width: 1 }),
  conv: (state, layer) => ({ ...ops.conv(state.x, state.height, state.width, layer), channels: layer.out }),
  transposed: (state, layer) => ({ ...ops.transposed(state.x, state.height, state.width, layer), channels: layer.out }),
  affine: ({ x, given }, { channels, scale, shift, classes }) =>
    ({ x: ops.affine(x, channels, scale, shift, classes ? given.label : 0) }),
  instance: ({ x, channels }, { eps }) => ({ x: ops.instance(x, channels, eps) }),
  relu: ({ x }, { slope }) => ({ x: ops.relu(x, slope) }),
  tanh: ({ x }) => ({ x: ops.tanh(x) }),
  up: ({ x, height, width }) => ops.up(x, height, width),
  reshape: (_, { shape: [channels, height = 1, width = 1] }) => ({ channels, height, width }),
  keep: ({ x, channels, height, width, kept }, { as }) => ({ kept: { ...kept, [as]: { x, channels, height, width } } }),
  recall: ({ kept }, { of }) => kept[of],
  add: ({ x, kept }, layer) => ({ x: ops.add(x, kept[layer.with].x) }),
  concat: ({ x, channels, kept }, layer) =>
    ({ x: ops.concat(x, kept[layer.with].x), channels: channels + kept[layer.with].channels }),
  class: ({ x, channels, given }, { classes }) => {
    const label = new Float32Array(classes);
    label[given.label] = 1;
    return { x: ops.concat(x, label), channels: channels + classes };
  },
  caption: ({ given }, layer) => ({ x: ops.caption(given.words, layer), channels: layer.out }),
};

/**
 * Build a generator from the object in its file. Returned is the object without the numbers, and `run`:
 * from {z} (with {label} or {words}) or {image}, numbers or Float32Arrays, to a Float32Array of `shape`, in [-1, 1].
 */
export function build({ weights, floats, layers, ...about }) {
  if (about.format !== FORMAT) throw new Error(`its format is ${about.format}, expected ${FORMAT}: export it again`);
  const whole = new Int8Array(bytes(weights).buffer), float = new Float32Array(bytes(floats).buffer);
  const numbers = layers.map((layer) => unpacked(layer, whole, float));
  return { ...about, run: (given) => run(about, numbers, given) };
}

function bytes(base64) {
  const text = atob(base64), out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

/** A layer with its own numbers in place of the places at which they begin in the file's. */
function unpacked(layer, whole, float) {
  const filled = { ...layer }, { op, kernel = 1, words, out, channels, classes = 1 } = layer;
  const sizes = { linear: out * layer.in, caption: words * out }; // of the weights
  const outputs = op === "affine" ? channels * classes : words ?? out; // as many scales and shifts
  if ("weight" in layer) {
    const size = sizes[op] ?? out * layer.in * kernel * kernel;
    filled.weight = Float32Array.from(whole.subarray(layer.weight, layer.weight + size));
    if (op === "transposed") filled.weight = ops.turned(filled.weight, layer);
  }
  for (const key of ["scale", "shift"]) {
    if (key in layer) filled[key] = float.subarray(layer[key], layer[key] + outputs);
  }
  return filled;
}

function run(about, layers, given) {
  check(about, given);
  const { kind } = about.input, x = Float32Array.from(kind === "image" ? given.image : given.z);
  const [channels, height, width] = kind === "image" ? about.input.shape : [x.length, 1, 1];
  let state = { x, channels, height, width, given, kept: { input: { x, channels, height, width } } };
  for (const layer of layers) state = { ...state, ...OPERATIONS[layer.op](state, layer) };
  return state.x;
}

function check({ name, input }, { z, label, words, image }) {
  const wrong = (what) => { throw new RangeError(`${name} takes ${what}`); };
  const among = (number, count) => Number.isInteger(number) && number >= 0 && number < count;
  if (input.kind === "image") {
    const size = input.shape.reduce((a, b) => a * b);
    if (image?.length !== size) wrong(`an image of ${size} numbers, got ${image?.length}`);
    return;
  }
  if (z?.length !== input.latent) wrong(`a latent z of ${input.latent} numbers, got ${z?.length}`);
  if (input.classes && !among(label, input.classes)) wrong(`a label from 0 to ${input.classes - 1}, got ${label}`);
  if (input.words && !(words?.length <= input.longest && words.every((word) => among(word, input.words)))) {
    wrong(`up to ${input.longest} words from 0 to ${input.words - 1}, got ${words}`);
  }
}
