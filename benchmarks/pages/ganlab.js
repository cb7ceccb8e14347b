// GAN Lab's networks, losses, optimisers and inputs (a checkout of its repository, bundled as "ganlab"), trained as its
// program does it while it plays: `n_critic` updates of D, then `n_generator` of G, each on the next slices of
// stored samples and latents. Its pictures, charts and the numbers it reads for them are left out.
import * as tf from "@tensorflow/tfjs-core";
import { GANLabModel } from "ganlab/ganlab_models";
import { GANLabNoiseProviderBuilder, GANLabTrueSampleProviderBuilder } from "ganlab/ganlab_input_providers";

const STORED = 12000; // samples and latents, as in its program
let model, noise, real, settings;

const fakes = () => model.discriminator(model.generator(noise.getNextCopy()));

function iteration() {
  tf.tidy(() => {
    for (let i = 0; i < settings.n_critic; i++) {
      const loss = () => model.dLoss(model.discriminator(real.getNextCopy()), fakes());
      model.dOptimizer.minimize(loss, true, model.dVariables);
    }
    for (let i = 0; i < settings.n_generator; i++) {
      model.gOptimizer.minimize(() => model.gLoss(fakes()), true, model.gVariables);
    }
  });
}

// What is asked for last comes after all that a backend has put off.
const finish = () => [...model.gVariables, ...model.dVariables].every((v) => v.dataSync().every(Number.isFinite));

globalThis.way = {
  async prepare(asked, backend) {
    settings = asked;
    tf.setBackend(backend);
    const { batch, latent_dim, layers_g, layers_d, width_g, width_d } = settings;
    // It counts the layers between the first hidden one and the last.
    model = new GANLabModel(latent_dim, layers_g - 1, layers_d - 1, width_g, width_d, batch, "Log loss");
    model.initializeModelVariables();
    const named = { adam: "Adam", sgd: "SGD" };
    model.updateOptimizer("D", named[settings.optimizer_d], settings.lr_d);
    model.updateOptimizer("G", named[settings.optimizer_g], settings.lr_g);
    const builders = [
      new GANLabNoiseProviderBuilder(latent_dim, `${latent_dim}D Uniform`, STORED, batch),
      new GANLabTrueSampleProviderBuilder(STORED, settings.data, [], batch),
    ];
    builders.forEach((builder) => builder.generateAtlas());
    [noise, real] = builders.map((builder) => builder.getInputProvider());
    return tf.getBackend();
  },
  step: iteration,
  finish,
};
