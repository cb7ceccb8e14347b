// Trained generators in a page: each explorer is a card with a button that loads its weights, and then computes here.
import { captions } from "./captions.js";
import { classes } from "./classes.js";
import { button, element } from "./dom.js";
import { drawing } from "./drawing.js";
import { facade } from "./facade.js";
import models from "./models.json";
import { load, weights } from "./registry.js";
import style from "./style.css";
import { truncation } from "./truncation.js";
import { walk } from "./walk.js";

const drawn = ({ kind, words }) => kind === "latent" && !words;
/**
 * What there is to see: how, under which name, and of which generator unless another is asked for. Those that have
 * `takes` show any generator of whose input it is true, also one that this page knows nothing of.
 */
const EXPLORERS = {
  classes: {
    explore: classes, heading: "Class and latent", usual: "conditional_mnist",
    takes: (input) => drawn(input) && input.classes,
  },
  captions: { explore: captions, heading: "Captions", usual: "captions_glyphs" },
  walk: { explore: walk, heading: "A walk between two latents", usual: "projection_cifar10", takes: drawn },
  truncation: { explore: truncation, heading: "Truncation", usual: "conditional_mnist", takes: drawn },
  facade: { explore: facade, heading: "A facade from your map", usual: "pix2pix_facades" },
  drawing: { explore: drawing, heading: "Your drawing, translated", usual: "pix2pix_handwritten" },
};

/**
 * Put an explorer into an element.
 *
 * @param {Element} target
 * @param {{show: string, name?: string, base?: string}} options `show`: classes, captions, walk, truncation, facade or
 *   drawing; `name`: of the generator, each explorer has a usual one, and classes, walk and truncation show one of your
 *   own as well; `base`: address of the folder with the weights.
 * @returns {{destroy: function(): void, load: function(): Promise<void>}}
 */
export function render(target, { show, name, base = "_static/generators/" }) {
  const { explore, heading, usual, takes } = known("show", show, EXPLORERS);
  name ??= usual;
  const about = takes && !(name in models) ? { text: `The generator ${name}.` } : known("name", name, models);
  dress();
  const status = element("p", { class: "note", role: "status" });
  const speed = element("p", { class: "note" }), body = element("div", { class: "explorer" });
  const size = about.bytes ? `(${(about.bytes / 1e6).toFixed(1)} MB)` : "";
  const begin = button(`Load ${size}`.trim(), () => open());
  const card = element("section", { class: "gan-generators-card", "aria-label": heading },
    element("p", { class: "title" }, heading), element("p", {}, about.text), begin, status, body, speed);
  target.classList.add("gan-generators");
  target.replaceChildren(card);

  const timed = (milliseconds) => {
    speed.textContent = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms for each image, here.`;
  };

  async function open() {
    begin.disabled = true;
    status.textContent = `Loading ${size} ...`;
    try {
      const network = await load(name, base);
      if (takes && !takes(network.input)) throw new RangeError(`${name} takes ${taken(network.input)}`);
      const { classes: count = 0, names = Array.from({ length: count }, (_, i) => i) } = { ...network.input, ...about };
      await new Promise((resolve) => setTimeout(resolve)); // lets the page show that something happens
      await explore(body, network, { names, colours: about.colours, timed });
      status.textContent = "Loaded: nothing more is fetched, all is computed in this page.";
      begin.remove();
      body.querySelector("select, button, input")?.focus({ preventScroll: true });
    } catch (error) {
      status.textContent = `This could not be loaded (${error.message}). The rest of the page does not need it.`;
      begin.disabled = false;
      body.replaceChildren();
    }
  }
  return { load: open, destroy: () => { target.replaceChildren(); target.classList.remove("gan-generators"); } };
}

function taken({ kind, words, classes }) {
  if (kind === "image") return "an image, not a latent";
  return words ? "a caption" : `a latent ${classes ? "and a class" : "without a class"}`;
}

function known(what, got, all) {
  if (!(got in all)) throw new RangeError(`${what} must be one of ${Object.keys(all).join(", ")}, got ${got}`);
  return all[got];
}

function dress() {
  if (document.getElementById("gan-generators-style")) return;
  document.head.append(element("style", { id: "gan-generators-style" }, style));
}

export { load, models, weights };
