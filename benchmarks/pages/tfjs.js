/* global way */
// The GAN of the course, written for the current TensorFlow.js as fast as we know: one pass of D over real and fake
// samples together, biases and ReLUs fused with the products, the loss from logits, and samples and latents
// stored beforehand.
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-webgl";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

const STORED = 12000; // samples and latents
const SLOPE_D = 0.2;
let settings, generator, discriminator, optimizerG, optimizerD, next;

function network(sizes) {
  return sizes.slice(1).map((out, i) => {
    const bound = 1 / Math.sqrt(sizes[i]);
    return { w: tf.variable(tf.randomUniform([sizes[i], out], -bound, bound)),
      b: tf.variable(tf.randomUniform([out], -bound, bound)) };
  });
}

const variables = (layers) => layers.flatMap(({ w, b }) => [w, b]);

function forward(layers, slope, x) {
  layers.forEach(({ w, b }, i) => {
    const hidden = i < layers.length - 1;
    x = tf.fused.matMul({ a: x, b: w, bias: b, activation: hidden && slope === 0 ? "relu" : "linear" });
    if (hidden && slope > 0) x = tf.leakyRelu(x, slope);
  });
  return x;
}

const critic = (x) => forward(discriminator, SLOPE_D, x);
const generate = (z) => forward(generator, settings.slope_g, z);

function updateD(real, latents) {
  const both = tf.concat([real, generate(latents)]); // outside the loss: no gradient goes to G
  optimizerD.minimize(() => {
    const [logitReal, logitFake] = tf.split(critic(both), 2);
    return tf.add(tf.mean(tf.softplus(tf.neg(logitReal))), tf.mean(tf.softplus(logitFake)));
  }, false, variables(discriminator));
}

function updateG(latents) {
  optimizerG.minimize(() => tf.mean(tf.softplus(tf.neg(critic(generate(latents))))), false, variables(generator));
}

function optimizer(name, rate) {
  return name === "sgd" ? tf.train.sgd(rate) : tf.train.adam(rate, settings.beta1, settings.beta2, 1e-8);
}

globalThis.way = {
  async prepare(asked, backend) {
    settings = asked;
    setWasmPaths("./");
    await tf.setBackend(backend);
    await tf.ready();
    const { batch, latent_dim, layers_g, layers_d, width_g, width_d } = settings;
    generator = network([latent_dim, ...Array(layers_g).fill(width_g), 2]);
    discriminator = network([2, ...Array(layers_d).fill(width_d), 1]);
    optimizerG = optimizer(settings.optimizer_g, settings.lr_g);
    optimizerD = optimizer(settings.optimizer_d, settings.lr_d);
    const stored = { real: tf.randomNormal([STORED, 2]), latents: tf.randomUniform([STORED, latent_dim], -1, 1) };
    let place = 0;
    next = (what) => tf.slice(stored[what], [(place++ * batch) % STORED, 0], [batch, -1]);
    return tf.getBackend();
  },
  step() {
    tf.tidy(() => {
      for (let i = 0; i < settings.n_critic; i++) updateD(next("real"), next("latents"));
      for (let i = 0; i < settings.n_generator; i++) updateG(next("latents"));
    });
  },

  // To see that ours computes the same: take its parameters, and train a step with its batches, in their order.
  load(parameters) {
    [generator, discriminator].forEach((layers, player) => {
      let at = 0;
      const taken = (count) => parameters[player].slice(at, at += count);
      for (const { w, b } of layers) {
        const [inputs, outputs] = w.shape; // ours are laid out the other way round
        w.assign(tf.transpose(tf.tensor(taken(w.size), [outputs, inputs])));
        b.assign(tf.tensor(taken(b.size)));
      }
    });
  },
  stepOn(batches) {
    const drawn = next;
    next = () => tf.tensor(batches.shift(), [settings.batch, 2]);
    way.step();
    next = drawn;
  },
  parameters: () => [generator, discriminator].map((layers) => layers.flatMap(({ w, b }) => [
    ...tf.transpose(w).dataSync(), ...b.dataSync(),
  ])),

  finish: () => [...variables(generator), ...variables(discriminator)]
    .every((v) => v.dataSync().every(Number.isFinite)),
};
