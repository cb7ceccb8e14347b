// Every setting as a labelled control with a sentence of help. Names, ranges and choices are the engine's.
import { specification as spec } from "../engine/index.js";
import { h, say } from "./dom.js";
import { parse } from "./state.js";

const RATES = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
const WEIGHTS = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const WIDTHS = [2, 4, 8, 16, 32, 64, 128];
const MOMENTA = [0, 0.5, 0.9, 0.95, 0.99, 0.999];
const STEPS = [0, 100, 200, 500, 1000, 1500, 2000, 5000, 10000];
const SPOTS = [-2, -1, -0.5, 0, 0.5, 1, 2];

const narrow = (s) => s.data === "ring" || s.data === "grid";
const adam = (s) => s.optimizer_g === "adam" || s.optimizer_d === "adam";

// [name, label, help, {values: what arrow keys step through, choices: what choices are called, when: where it acts}]
export const GROUPS = [
  [
    "Data and noise",
    [
      [
        "game",
        "Game",
        "Two networks play in the plane. The Dirac-GAN is the smallest case: one number each, so that the " +
          "whole training is one path.",
        { choices: { points: "two networks", dirac: "Dirac-GAN" } },
      ],
      [
        "data",
        "Data",
        "What the generator should learn to imitate. It never sees these points: it learns only from what the " +
          "discriminator makes of its own.",
        {
          choices: {
            ring: "ring of 8 modes",
            grid: "grid of 25 modes",
            gaussians: "a few blobs",
            circle: "circle",
            line: "line",
            disjoint: "two clusters",
            spiral: "spiral",
            drawn: "draw your own",
          },
        },
      ],
      [
        "std",
        "Width of a mode",
        "Standard deviation of each mode of the ring and the grid. What counts as near a mode shrinks with it.",
        { values: [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2], when: narrow },
      ],
      [
        "noise",
        "Noise",
        "What goes into the generator: random numbers, normal or uniform. It bends them into samples.",
        {},
      ],
      [
        "latent_dim",
        "Noise dimension",
        "How many random numbers make one sample. With 1, all samples lie on a curve.",
        {},
      ],
      ["theta", "Start θ", "Where the only fake begins; the only real point is at 0.", { values: SPOTS }],
      ["psi", "Start ψ", "The slope of D at the start: its logit at x is ψ·x.", { values: SPOTS }],
    ],
  ],
  [
    "Networks",
    [
      ["layers_g", "G: hidden layers", "Depth of the generator, which turns noise into samples.", {}],
      [
        "width_g",
        "G: neurons per layer",
        "Width of the generator. More neurons bend the noise more freely and cost time.",
        { values: WIDTHS },
      ],
      [
        "slope_g",
        "G: slope below 0",
        "Slope of LeakyReLU in the generator; 0 is ReLU, which can fold space flat and so make narrow modes.",
        { values: [0, 0.01, 0.1, 0.2, 1] },
      ],
      ["layers_d", "D: hidden layers", "Depth of the discriminator, which tells real from fake.", {}],
      [
        "width_d",
        "D: neurons per layer",
        "Width of the discriminator. Where a small one sees no difference, the generator has nothing to learn from.",
        { values: WIDTHS },
      ],
    ],
  ],
  [
    "Loss and penalties",
    [
      [
        "loss",
        "Loss",
        "What both players make small. Non-saturating is the usual one: it keeps a gradient where D is sure. " +
          "Wasserstein needs a bound on D's slope: clipping, a penalty or spectral normalisation.",
        {},
      ],
      [
        "method",
        "Updates",
        "Alternating: D moves first, then G sees the new D. Simultaneous: both move at once. Extragradient: both " +
          "look one step ahead, and walk by what they saw there.",
        {},
      ],
      [
        "r1",
        "R1 weight",
        "Penalises D's slope at real samples (half its squared length). It calms D near the data.",
        { values: WEIGHTS },
      ],
      ["r2", "R2 weight", "The same at fake samples.", { values: WEIGHTS }],
      [
        "penalty",
        "Gradient penalty",
        "Weight of WGAN-GP's penalty: D's slope between real and fake samples should be 1.",
        { values: WEIGHTS },
      ],
      [
        "one_sided",
        "Penalise slopes above 1 only",
        "The one-sided form of the gradient penalty: slopes below 1 are free.",
        { when: (s) => s.penalty > 0 },
      ],
      [
        "clip",
        "Clip D's weights",
        "After each update D's weights are cut to this size; 0: not. The first way of WGAN.",
        { values: WEIGHTS },
      ],
      [
        "spectral_norm",
        "Spectral normalisation",
        "Divides each layer of D by its largest stretch, as estimated so far: D's slope stays at about 1 or below.",
        {},
      ],
    ],
  ],
  [
    "Training",
    [
      [
        "lr_g",
        "Learning rate of G",
        "Size of the generator's steps; 0 freezes it. In the Dirac-GAN, of both players' steps.",
        { values: RATES },
      ],
      [
        "lr_d",
        "Learning rate of D",
        "Size of the discriminator's steps; 0 freezes it. Where it is slow, the generator learns from old news.",
        { values: RATES },
      ],
      [
        "optimizer_g",
        "Optimiser of G",
        "How a gradient becomes a step: SGD follows it; RMSProp and Adam scale it per weight.",
        {},
      ],
      [
        "optimizer_d",
        "Optimiser of D",
        "How a gradient becomes a step: SGD follows it; RMSProp and Adam scale it per weight.",
        {},
      ],
      [
        "beta1",
        "Momentum β₁",
        "Adam's memory of past gradients. In a game the other player moves on meanwhile: old gradients may mislead.",
        { values: MOMENTA, when: adam },
      ],
      [
        "beta2",
        "Memory β₂",
        "How slowly Adam forgets how large gradients were.",
        { values: [0.9, 0.99, 0.999], when: adam },
      ],
      ["n_critic", "D updates per step", "How often D is trained in each step, each time with fresh samples.", {}],
      ["n_generator", "G updates per step", "How often G is trained in each step.", {}],
      ["batch", "Batch size", "Points per update, as many real as fake.", { values: [8, 16, 32, 64, 128, 256, 512] }],
      [
        "ema_decay",
        "Averaging of G",
        "Samples come from a moving average of G's weights with this decay; 0: from G itself. Training does not " +
          "see it.",
        { values: [0, 0.9, 0.99, 0.995, 0.999] },
      ],
      ["steps", "Stop at step", "Training ends there; 0: it goes on until you stop it.", { values: STEPS }],
      [
        "decay_from",
        "Lower rates from step",
        "From here to the end both learning rates fall to 0, in a line; 0: they stay.",
        { values: STEPS, when: (s) => s.steps > 0 },
      ],
      [
        "seed",
        "Seed",
        "Start of all random numbers. In one browser the same settings and seed give the same run, on any machine.",
        {},
      ],
    ],
  ],
];

const CHOICES = {
  "non-saturating": "non-saturating",
  sgd: "SGD",
  adam: "Adam",
  rmsprop: "RMSProp",
  wasserstein: "Wasserstein",
};

export const label = Object.fromEntries(GROUPS.flatMap(([, rows]) => rows.map(([name, text]) => [name, text])));

/** The next of `values` above (`way` 1) or below (-1) a number; the number itself at the end. */
export function next(values, value, way) {
  return (way > 0 ? values.find((v) => v > value + 1e-12) : values.findLast((v) => v < value - 1e-12)) ?? value;
}

/** Form for all settings. `change(name, value)` is told what the reader chose; `show(settings)` sets it. */
export class Controls {
  constructor(id, change) {
    this.inputs = {};
    this.rows = {};
    this.when = {};
    this.groups = GROUPS.map(([title, rows], i) => {
      const help = h("p", { class: "help" }, "Choose a setting to read here what it does.");
      const group = h(
        "details",
        { class: "group", open: i === 0 },
        h("summary", {}, title),
        h("div", { class: "rows" }, ...rows.map((row) => this.row(id, change, help, ...row))),
        help,
      );
      return group;
    });
    this.element = h("div", { class: "groups" }, ...this.groups);
  }

  row(id, change, help, name, text, about, { values, choices = CHOICES, when }) {
    const { type, min, max, choices: all } = spec[name];
    const common = {
      id: `${id}-${name}`,
      name,
      "aria-describedby": `${id}-${name}-help`,
      onfocus: () => say(help, `${about} (${name})`),
    };
    let input;
    if (type === "choice") {
      input = h("select", common, ...all.map((value) => h("option", { value }, choices[value] ?? value)));
    } else if (type === "flag") {
      input = h("input", { ...common, type: "checkbox" });
    } else {
      input = h("input", {
        ...common,
        type: "number",
        min,
        max,
        step: type === "integer" ? 1 : "any",
        list: values && `${common.id}-list`,
      });
      if (values) {
        input.addEventListener("keydown", (event) => {
          const way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
          if (!way) return;
          event.preventDefault();
          change(name, next(values, Number(input.value), way));
        });
      }
    }
    input.addEventListener("change", () => change(name, type === "flag" ? input.checked : parse(name, input.value)));
    this.inputs[name] = input;
    this.when[name] = when;
    this.rows[name] = h(
      "div",
      { class: `row ${type}` },
      h("label", { for: common.id }, text),
      input,
      values && type !== "choice"
        ? h("datalist", { id: `${common.id}-list` }, ...values.map((value) => h("option", { value })))
        : "",
      h("span", { id: `${common.id}-help`, hidden: true }, about),
    );
    return this.rows[name];
  }

  show(settings) {
    for (const [name, input] of Object.entries(this.inputs)) {
      if (input.type === "checkbox") input.checked = settings[name];
      else input.value = settings[name];
      this.rows[name].hidden = !spec[name].games.includes(settings.game);
      input.disabled = this.when[name]?.(settings) === false;
    }
    for (const group of this.groups) group.hidden = ![...group.querySelectorAll(".gl-row")].some((row) => !row.hidden);
  }

  /** Mark the settings in which two runs differ. */
  mark(names) {
    for (const [name, row] of Object.entries(this.rows)) row.classList.toggle("gl-differs", names.includes(name));
  }
}
