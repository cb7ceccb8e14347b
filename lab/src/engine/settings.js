// The settings of an experiment: names, defaults, ranges and choices stand in one file, which Python reads too.
import settings from "../../../gan_course/notebook/browser/settings.json" with { type: "json" };
import { decodeDrawing } from "./data.js";

/** name -> {type, default, min, max, choices, games}. */
export const specification = settings;

export const defaults = Object.freeze(
  Object.fromEntries(Object.entries(settings).map(([name, { default: value }]) => [name, value])),
);

function expected({ type, min, max, choices }) {
  if (type === "choice") return `one of ${choices.join(", ")}`;
  if (type === "flag") return "true or false";
  if (type === "text") return "a string";
  return `${type === "integer" ? "a whole number" : "a number"} from ${min} to ${max}`;
}

function fits(value, { type, min, max, choices }) {
  if (type === "choice") return choices.includes(value);
  if (type === "flag") return typeof value === "boolean";
  if (type === "text") return typeof value === "string";
  return typeof value === "number" && value >= min && value <= max && (type === "number" || Number.isInteger(value));
}

function refuse(name, wanted, value) {
  const told = String(typeof value === "string" ? JSON.stringify(value) : value);
  throw new RangeError(`${name} must be ${wanted}, got ${told.length > 60 ? `${told.slice(0, 60)}...` : told}`);
}

/** All settings, the defaults where `partial` has none. Throws a RangeError that names the first one that is wrong. */
export function complete(partial = {}) {
  for (const [name, value] of Object.entries(partial)) {
    if (!Object.hasOwn(settings, name)) refuse("a setting", `one of ${Object.keys(settings).join(", ")}`, name);
    if (!fits(value, settings[name])) refuse(name, expected(settings[name]), value);
  }
  const all = { ...defaults, ...partial };
  if (all.decay_from > 0 && all.decay_from >= all.steps) {
    refuse("decay_from", `0 (no decay) or below steps (${all.steps})`, all.decay_from);
  }
  if (all.drawing !== "") decodeDrawing(all.drawing);
  if (all.game === "points" && all.data === "drawn" && all.drawing === "") {
    refuse("drawing", 'a drawing of one point or more where data is "drawn"', all.drawing);
  }
  return all;
}
