// From one z to another: along the great circle between them, or straight through the middle, where no z ever is.
import { button, element, menu, painter, picture, slider } from "./dom.js";
import { draw, mix, norm, slerp } from "./latents.js";

const STOPS = 9, SECONDS = 4; // pictures along the way; time of a walk
const WAYS = {
  circle: { name: "great circle", at: slerp },
  line: { name: "straight line", at: (z, y, t) => mix(1 - t, z, t, y) },
};

export function walk(body, network, { names, timed, seed = 1 }) {
  const { latent, classes } = network.input, state = { t: 0, way: "circle", label: 0, seed };
  const [paint, along] = [painter(network, timed), painter(network, timed)];
  const large = picture(network.shape, "", ""), row = [];
  for (let i = 0; i < STOPS; i++) row.push(picture(network.shape, "", String(Math.round(100 * i / (STOPS - 1)) / 100)));
  large.figure.className = "large";
  const length = element("p", { class: "note" });
  let ends, timer = null, walking = 0;

  const z = (t) => WAYS[state.way].at(ends[0], ends[1], t), given = (t) => ({ z: z(t), label: state.label });

  function show() {
    place.set(state.t);
    large.named(`Generated image at ${state.t.toFixed(2)} of the way`);
    large.figure.querySelector("figcaption").textContent = `t = ${state.t.toFixed(2)}`;
    length.textContent = `Length of z here: ${norm(z(state.t)).toFixed(1)}, half way: ${norm(z(0.5)).toFixed(1)};`
      + ` typical is √${latent} = ${Math.sqrt(latent).toFixed(1)}.`;
    return paint([[large, given(state.t)]]);
  }

  async function restart() {
    stop();
    ends = draw(state.seed, latent, 2);
    row.forEach((p, i) => p.named(`Generated image at ${i} of ${STOPS - 1} parts of the ${WAYS[state.way].name}`));
    await show();
    return along(row.map((p, i) => [p, given(i / (STOPS - 1))]));
  }

  function stop() {
    clearTimeout(timer);
    timer = null;
    walking += 1;
    play.textContent = "play";
  }

  /** There and back, until stopped; who asked for less motion gets one picture a second. */
  function start() {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches, mine = ++walking;
    const seconds = calm ? STOPS - 1 : SECONDS;
    const began = performance.now() - (state.back ? 2 - state.t : state.t) * seconds * 1000;
    play.textContent = "pause";
    const step = async () => {
      if (mine !== walking || !body.isConnected) return;
      let turn = ((performance.now() - began) / 1000 / seconds) % 2;
      if (calm) turn = Math.floor(turn * (STOPS - 1)) / (STOPS - 1);
      [state.t, state.back] = turn <= 1 ? [turn, false] : [2 - turn, true];
      await show();
      timer = setTimeout(step, calm ? 1000 : 30);
    };
    step();
  }

  const play = button("play", () => (play.textContent === "play" ? start() : stop()));
  const place = slider("t", { min: 0, max: 1, step: 0.01, value: 0 }, (t) => {
    stop();
    Object.assign(state, { t, back: false });
    show();
  });
  const way = menu("way", Object.entries(WAYS).map(([key, { name }]) => [key, name]), "circle", (value) => {
    state.way = value;
    restart();
  });
  const controls = [play, button("new ends", () => { state.seed += 1; state.t = 0; restart(); }), place.row, way.row];
  if (classes) {
    controls.push(menu("class", names.map((name, i) => [i, name]), 0, (value) => {
      state.label = Number(value);
      restart();
    }).row);
  }
  body.append(
    element("div", { class: "split" }, large.figure, element("div", { class: "controls" }, ...controls, length)),
    element("div", { class: "strip nine" }, ...row.map((p) => p.figure)),
  );
  return restart();
}
