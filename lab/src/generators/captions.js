// A caption from menus, and eight answers to it.
import { button, element, menu, painter, picture } from "./dom.js";
import { draw } from "./latents.js";

const SAMPLES = 8;
const SAID = {
  size: ["small", "large"],
  weight: ["regular", "bold"],
  slant: ["upright", "italic"],
  ink: ["black", "red", "green", "blue", "purple", "brown"],
  character: [..."ABCDEFGHIJ"],
  style: ["serif", "sans", "mono"],
  texture: ["plain", "striped", "dotted", "checked", "noisy"],
  background: ["white", "yellow", "pink", "cyan", "lime", "orange"],
};
const ALWAYS = ["ink", "character", "background"]; // the others may be left unsaid, as in the captions of training

/** The sentence of what is said, in the words and the order of the training captions. */
export function sentence(said) {
  const font = said.style ? `in a ${said.style} font` : "";
  const thing = [said.size, said.weight, said.slant, said.ink, said.character].filter(Boolean).join(" ");
  const behind = [said.texture, said.background, "background"].filter(Boolean).join(" ");
  return [article(thing), font, `on ${article(behind)}`].filter(Boolean).join(" ");
}

const article = (words) => (/^[aeiou]/.test(words) ? `an ${words}` : `a ${words}`);

/** Whether no training image had this ink on this character: one pair in six was held out. */
export function heldOut({ character, ink }) {
  return (SAID.character.indexOf(character) + SAID.ink.indexOf(ink)) % SAID.ink.length === 0;
}

/** Numbers of the words of a sentence, articles left out. */
export function tokens(text, vocabulary) {
  return text.split(" ").filter((word) => word !== "a" && word !== "an").map((word) => {
    const number = vocabulary.indexOf(word);
    if (number < 0) throw new RangeError(`${word} is none of the words that the generator knows`);
    return number;
  });
}

export function captions(body, network, { timed, seed = 1 }) {
  const said = { ink: "red", character: "A", background: "yellow" }, vocabulary = network.input.names;
  let latents = draw(seed, network.input.latent, SAMPLES);
  const paint = painter(network, timed), pictures = latents.map(() => picture(network.shape, ""));
  const text = element("p", { class: "caption", "aria-live": "polite" }), held = element("p", { class: "note" });

  function update() {
    const words = sentence(said);
    text.textContent = words;
    held.textContent = heldOut(said)
      ? `No training image had a ${said.ink} ${said.character}: the generator has to put together what it knows apart.`
      : `Training images had a ${said.ink} ${said.character}.`;
    pictures.forEach((p, i) => p.named(`Answer ${i + 1} to: ${words}`));
    const numbers = tokens(words, vocabulary);
    return paint(pictures.map((p, i) => [p, { z: latents[i], words: numbers }]));
  }

  const menus = Object.entries(SAID).map(([part, values]) => {
    const options = values.map((word) => [word, word]);
    if (!ALWAYS.includes(part)) options.unshift(["", "not said"]);
    return menu(part, options, said[part] ?? "", (word) => { said[part] = word; update(); }).row;
  });
  const again = button("new z", () => { latents = draw(++seed, network.input.latent, SAMPLES); update(); });
  body.append(element("div", { class: "menus" }, ...menus), text, held,
    element("div", { class: "strip eight" }, ...pictures.map((p) => p.figure)), again);
  return update();
}
