// One z in all classes, and a z of which two coordinates are in the reader's hand.
import { button, element, menu, painter, picture, slider } from "./dom.js";
import { dot, draw, norm, placed, plane } from "./latents.js";

const REACH = 3; // of the pad, in standard deviations

export function classes(body, network, { names, timed, seed = 1 }) {
  const { latent, classes: count } = network.input, state = { label: 0, seed, u: 0, v: 0 };
  let z, directions;
  const paint = painter(network, timed);
  const large = picture(network.shape, "", ""), row = names.map((name) => picture(network.shape, name, name));
  large.figure.className = "large";
  const length = element("p", { class: "note" });

  function latents() {
    [z] = draw(state.seed, latent);
    directions = plane(state.seed + 1e6, latent);
    [state.u, state.v] = directions.map((d) => Math.min(Math.max(dot(z, d), -REACH), REACH));
  }

  function update() {
    across.set(state.u);
    along.set(state.v);
    spot.style.left = `${50 + (50 * state.u) / REACH}%`;
    spot.style.top = `${50 - (50 * state.v) / REACH}%`;
    const here = placed(z, directions, state.u, state.v), name = names[state.label];
    large.named(`Generated image of class ${name}, z number ${state.seed}`);
    large.figure.querySelector("figcaption").textContent = `class ${name}`;
    length.textContent = `Length of z: ${norm(here).toFixed(1)}. Most of ${latent} normal numbers have a length near`
      + ` √${latent} = ${Math.sqrt(latent).toFixed(1)}.`;
    return paint([[large, { z: here, label: state.label }], ...row.map((p, label) => [p, { z: here, label }])]);
  }

  const moved = (key) => (value) => { state[key] = value; update(); };
  const range = { min: -REACH, max: REACH, step: 0.05, value: 0 };
  const across = slider("first direction", range, moved("u")), along = slider("second direction", range, moved("v"));
  const spot = element("span");
  // For pointers; the two sliders beside it are the same for keyboards.
  const pad = element("div", { class: "pad", "aria-hidden": "true" }, spot);
  const drag = (event) => {
    if (event.type === "pointerdown") pad.setPointerCapture(event.pointerId);
    else if (!pad.hasPointerCapture(event.pointerId)) return;
    const { left, top, width, height } = pad.getBoundingClientRect();
    const inside = (share) => REACH * Math.min(Math.max(2 * share - 1, -1), 1);
    [state.u, state.v] = [inside((event.clientX - left) / width), -inside((event.clientY - top) / height)];
    update();
  };
  for (const kind of ["pointerdown", "pointermove"]) pad.addEventListener(kind, drag);

  const chosen = menu("class", names.map((name, i) => [i, name]), 0, (value) => {
    state.label = Number(value);
    update();
  });
  const again = button("new z", () => { state.seed += 1; latents(); update(); });
  body.append(
    element("div", { class: "split" }, large.figure,
      element("div", { class: "controls" }, chosen.row, again, pad, across.row, along.row, length)),
    element("p", { class: "title" }, `The same z in all ${count} classes`),
    element("div", { class: "strip" }, ...row.map((p) => p.figure)),
  );
  latents();
  return update();
}
