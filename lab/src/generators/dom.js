// The few parts that all explorers are made of, with the names and roles that keyboards and screen readers need.

const LATEST = 20; // images whose times are looked at

/** An element with attributes, listeners (`onclick`) and children, elements or texts. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export const button = (text, onclick) => element("button", { type: "button", onclick }, text);

/** A menu in its label; `options` are [value, text] pairs. */
export function menu(label, options, value, onchange) {
  const select = element("select", { "aria-label": label, onchange: () => onchange(select.value) });
  select.append(...options.map(([value, text]) => element("option", { value }, text)));
  select.value = value;
  return { row: element("label", {}, element("span", {}, label), select), select };
}

/** A slider in its label, with its number beside it. */
export function slider(label, { min, max, step, value, shown = (v) => v.toFixed(2) }, oninput) {
  const number = element("output", {}, shown(value));
  const moved = () => { set(range.value); oninput(Number(range.value)); };
  const range = element("input", { type: "range", "aria-label": label, min, max, step, value, oninput: moved });
  const set = (value) => {
    range.value = value;
    number.textContent = shown(Number(value));
    range.setAttribute("aria-valuetext", number.textContent);
  };
  set(value);
  return { row: element("label", {}, element("span", {}, label), range, number), range, set };
}

/** A picture of (channels, height, width) numbers, with a text for who does not see it and, if given, a caption. */
export function picture([channels, height, width], text, caption) {
  const canvas = element("canvas", { width, height, role: "img", "aria-label": text });
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  const show = (values) => {
    const places = width * height;
    for (let i = 0; i < places; i++) {
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = (values[(channels === 1 ? 0 : c) * places + i] + 1) * 127.5;
      pixels.data[4 * i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  };
  const figure = element("figure", {}, canvas, ...(caption === undefined ? [] : [element("figcaption", {}, caption)]));
  return { figure, canvas, show, named: (text) => canvas.setAttribute("aria-label", text) };
}

/**
 * A function that computes pictures one after the other, lets the page breathe between them, and forgets what it still
 * had to do when it is called again. It takes jobs [picture, what the generator is given] and resolves with the
 * samples, or with null if it was called again; `timed` is told the milliseconds that an image took, the median of the
 * latest: the first ones are slower, until the browser has compiled the loops.
 */
export function painter(network, timed) {
  const times = [];
  let current = 0;
  return async (jobs) => {
    const mine = ++current, samples = [];
    let since = performance.now();
    for (const [picture, given] of jobs) {
      if (performance.now() - since > 16) {
        await new Promise((resolve) => setTimeout(resolve));
        since = performance.now();
      }
      if (mine !== current) return null;
      const began = performance.now();
      samples.push(network.run(given));
      times.push(performance.now() - began);
      picture.show(samples.at(-1));
    }
    timed(times.slice(-LATEST).sort((a, b) => a - b)[Math.min(times.length, LATEST) >> 1]);
    return samples;
  };
}
