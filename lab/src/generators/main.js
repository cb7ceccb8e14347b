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

/** What there is to see: how, under which name, and of which generator unless another is asked for. */
const EXPLORERS = {
  classes: { explore: classes, heading: "Class and latent", usual: "conditional_mnist" },
  captions: { explore: captions, heading: "Captions", usual: "captions_glyphs" },
  walk: { explore: walk, heading: "A walk between two latents", usual: "projection_cifar10" },
  truncation: { explore: truncation, heading: "Truncation", usual: "conditional_mnist" },
  facade: { explore: facade, heading: "A facade from your map", usual: "pix2pix_facades" },
  drawing: { explore: drawing, heading: "Your drawing, translated", usual: "pix2pix_handwritten" },
};

/**
 * Put an explorer into an element.
 *
 * @param {Element} target
 * @param {{show: string, name?: string, base?: string}} options `show`: classes, captions, walk, truncation, facade or
 *   drawing; `name`: of the generator, each explorer has a usual one; `base`: address of the folder with the weights.
 * @returns {{destroy: function(): void, load: function(): Promise<void>}}
 */
export function render(target, { show, name, base = "_static/generators/" }) {
  const { explore, heading, usual } = known("show", show, EXPLORERS);
  const about = known("name", name ??= usual, models);
  dress();
  const status = element("p", { class: "note", role: "status" });
  const speed = element("p", { class: "note" }), body = element("div", { class: "body" });
  const size = `${(about.bytes / 1e6).toFixed(1)} MB`;
  const begin = button(`Load (${size})`, () => open());
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
      const names = about.names ?? network.input.names ?? [];
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

function known(what, got, all) {
  if (!(got in all)) throw new RangeError(`${what} must be one of ${Object.keys(all).join(", ")}, got ${got}`);
  return all[got];
}

function dress() {
  if (document.getElementById("gan-generators-style")) return;
  document.head.append(element("style", { id: "gan-generators-style" }, style));
}

export { load, models, weights };
