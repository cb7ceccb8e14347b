// Sixteen samples from less of the latent space: what each gains, and what all of them lose together.
import { button, element, menu, painter, picture, slider } from "./dom.js";
import { draw, truncated, variety } from "./latents.js";

const SAMPLES = 16;
const WAYS = { scaled: "scaled: each z times the dial", truncated: "truncated: numbers beyond the dial drawn again" };

export function truncation(body, network, { names, timed, seed = 1 }) {
  const { latent, classes } = network.input, state = { dial: 1, way: "scaled", label: "all", seed };
  const paint = painter(network, timed), pictures = Array.from({ length: SAMPLES }, () => picture(network.shape, ""));
  const note = element("p", { class: "note", "aria-live": "polite" });
  let whole; // the variety of sixteen of which nothing is cut

  const latents = (way, dial) => way === "scaled"
    ? draw(state.seed, latent, SAMPLES).map((z) => z.map((v) => dial * v))
    : pictures.map((_, i) => truncated(1000 * state.seed + i, latent, dial));
  const given = (z, i) => ({ z, label: state.label === "all" ? i % classes : Number(state.label) });

  async function update() {
    pictures.forEach((p, i) => p.named(`Sample ${i + 1} of ${SAMPLES}, dial at ${state.dial.toFixed(2)}`));
    const zs = latents(state.way, state.dial), samples = await paint(pictures.map((p, i) => [p, given(zs[i], i)]));
    if (!samples) return;
    whole ??= variety(draw(state.seed, latent, SAMPLES).map((z, i) => network.run(given(z, i))));
    const share = variety(samples) / whole;
    note.textContent = `Two of these ${SAMPLES} differ by ${variety(samples).toFixed(2)} (root of the mean squared`
      + ` difference of their pixels, which lie between -1 and 1): ${share.toFixed(2)} times as much as at 1, scaled.`;
  }

  const fresh = (change) => (value) => { change(value); whole = undefined; update(); };
  function turn(value, way = state.way) {
    state.way = way;
    state.dial = Math.max(value, way === "truncated" ? 0.05 : 0); // with a bound of 0 nothing would be left to draw
    dial.set(state.dial);
    update();
  }
  const dial = slider("dial", { min: 0, max: 2, step: 0.05, value: 1 }, (value) => turn(value));
  const controls = [
    dial.row,
    menu("way", Object.entries(WAYS), "scaled", (way) => turn(state.dial, way)).row,
    ...(classes ? [menu("class", [["all", "all in turn"], ...names.map((name, i) => [i, name])], "all",
      fresh((value) => { state.label = value; })).row] : []),
    button("new z", fresh(() => { state.seed += 1; })),
  ];
  body.append(element("div", { class: "controls wide" }, ...controls),
    element("div", { class: "strip eight" }, ...pictures.map((p) => p.figure)), note);
  return update();
}
