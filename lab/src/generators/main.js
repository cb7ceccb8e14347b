// Trained generators in a page: each explorer is a card with a button that loads its weights, and then computes here.
import { captions } from "./captions.js";
import { classes } from "./classes.js";
import { button, element } from "./dom.js";
import { drawing } from "./drawing.js";
import models from "./models.json";
import { load, weights } from "./registry.js";
import style from "./style.css";
import { truncation } from "./truncation.js";
import { walk } from "./walk.js";

const EXPLORERS = { classes, captions, walk, truncation, drawing };
const USUAL = { classes: "conditional_mnist", captions: "captions_glyphs", walk: "projection_cifar10",
  truncation: "conditional_mnist", drawing: "pix2pix_handwritten" };

/**
 * Put an explorer into an element.
 *
 * @param {Element} target
 * @param {{show: string, name?: string, base?: string}} options `show`: classes, captions, walk, truncation or drawing;
 *   `name`: of the generator, each explorer has a usual one; `base`: address of the folder with the weights.
 * @returns {{destroy: function(): void, load: function(): Promise<void>}}
 */
export function render(target, { show, name = USUAL[show], base = "_static/generators/" }) {
  known("show", show, EXPLORERS);
  known("name", name, models);
  dress();
  const about = models[name], status = element("p", { class: "note", role: "status" });
  const speed = element("p", { class: "note" }), body = element("div", { class: "body" });
  const size = `${(about.bytes / 1e6).toFixed(1)} MB`;
  const begin = button(`Load (${size})`, () => open());
  const card = element("section", { class: "gan-generators-card", "aria-label": about.title },
    element("p", {}, element("strong", {}, about.title), " ", about.text), begin, status, body, speed);
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
      await EXPLORERS[show](body, network, { names, colours: about.colours, timed });
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
}

function dress() {
  if (document.getElementById("gan-generators-style")) return;
  document.head.append(element("style", { id: "gan-generators-style" }, style));
}

export { models, weights };
