// What a link holds: settings to fragment and back. Pure functions, without the page.
//
//     #loss=hinge&spectral_norm=1             what differs from the defaults
//     #preset=collapse&seed=3                 what differs from a preset
//     #preset=collapse&b.beta1=0              a second run: what differs from the first
//     #preset=collapse&b.preset=ring          ... or from a preset; `compare=1` if nothing differs
import { complete, defaults } from "../engine/index.js";
import presets from "../../../gan_course/notebook/browser/presets.json" with { type: "json" };

export { presets };
export const names = Object.keys(defaults);

/** All settings of a preset. */
export const preset = (name) => complete(presets[name].settings);

/** The names of the settings in which two runs differ. */
export const differences = (a, b) => names.filter((name) => a[name] !== b[name]);

/** A value of the type of the setting's default; text that is not a number stays text, for `complete` to refuse. */
export function parse(name, text) {
  const kind = typeof defaults[name];
  if (kind === "boolean") return { 1: true, true: true, 0: false, false: false }[text] ?? text;
  return kind === "number" && text.trim() !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
}

const format = (value) => (typeof value === "boolean" ? Number(value) : value);

/** What a value is called in a list of differences. */
export const shown = (value) =>
  typeof value === "boolean" ? (value ? "yes" : "no") : value === "" ? "none" : `${value}`;

// All together first, for rules between several of them; if that fails one by one, so that a value that is refused
// costs only itself.
function apply(base, pairs, messages) {
  const known = pairs.filter(([name]) => {
    const there = Object.hasOwn(defaults, name);
    if (!there) messages.push(`The link names a setting that the lab does not have, “${name}”: it was left out.`);
    return there;
  });
  try {
    return complete({ ...base, ...Object.fromEntries(known.map(([name, text]) => [name, parse(name, text)])) });
  } catch {
    /* which one it was is found below */
  }
  let settings = base;
  for (const [name, text] of known) {
    try {
      settings = complete({ ...settings, [name]: parse(name, text) });
    } catch (error) {
      messages.push(`${error.message}: the lab took ${shown(settings[name])}.`);
    }
  }
  return settings;
}

function start(name, base, messages) {
  if (name === null) return base;
  if (Object.hasOwn(presets, name)) return preset(name);
  messages.push(`The link names an experiment that the lab does not have, “${name}”: the default was taken.`);
  return base;
}

/**
 * Read a fragment. Never throws: what cannot be understood is told in `messages` and replaced by the default.
 *
 * @returns {{a: object, b: object|null, messages: string[]}}
 */
export function read(fragment) {
  const messages = [];
  const pairs = [...new URLSearchParams(fragment.replace(/^#/, ""))];
  const own = pairs.filter(([name]) => !name.startsWith("b."));
  const second = pairs.filter(([name]) => name.startsWith("b.")).map(([name, text]) => [name.slice(2), text]);
  const choose = (list, base) => {
    const found = list.find(([name]) => name === "preset");
    const rest = list.filter(([name]) => name !== "preset" && name !== "compare");
    return apply(start(found ? found[1] : null, base, messages), rest, messages);
  };
  const a = choose(own, complete({}));
  const compare = second.length > 0 || own.some(([name, value]) => name === "compare" && value !== "0");
  return { a, b: compare ? choose(second, a) : null, messages };
}

/** Whether a fragment is meant for the lab, and not the name of a heading. */
export const isState = (fragment) => /^#[\w.]+=/.test(fragment);

// The shortest list of differences: from the defaults, from one of the presets, or from the other run. A preset that
// fits (its seed apart) is named even where a single setting would say the same.
function shortest(settings, bases, prefix = "") {
  const lists = bases.map(([name, base]) => {
    const keys = differences(base, settings);
    const pairs = keys.map((key) => [prefix + key, format(settings[key])]);
    const fits = name && keys.every((key) => key === "seed");
    return { cost: keys.length + (name && !fits ? 1 : 0), pairs: name ? [[`${prefix}preset`, name], ...pairs] : pairs };
  });
  return lists.reduce((best, list) => (list.cost < best.cost ? list : best)).pairs;
}

/** The fragment, with its `#`, from which `read` gets the same settings; empty for one run with the defaults. */
export function write(a, b = null) {
  const all = Object.keys(presets).map((name) => [name, preset(name)]);
  const pairs = shortest(a, [["", complete({})], ...all]);
  if (b) {
    const second = shortest(b, [["", a], ...all], "b.");
    pairs.push(...(second.length ? second : [["compare", 1]]));
  }
  return pairs.length ? `#${new URLSearchParams(pairs)}` : "";
}

/** The name of the preset that has exactly these settings (the seed apart), or "". */
export function presetOf(settings) {
  return Object.keys(presets).find((name) => differences(preset(name), settings).every((key) => key === "seed")) ?? "";
}
