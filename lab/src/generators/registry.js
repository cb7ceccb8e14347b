// Weights come by a script of their own, because a page that was opened from a file may not fetch. They are asked for
// by name, once, and shared by all explorers of a page.
import { build } from "./network.js";

const files = new Map(), networks = new Map();

/** Called by the scripts that `gan-course export-web` writes. */
export function weights(name, file) {
  files.set(name, file);
}

/** Promise the generator NAME from the script `base`NAME.js; an Error says which address could not be read. */
export function load(name, base) {
  if (!networks.has(name)) {
    const promise = (files.has(name) ? Promise.resolve() : script(`${base}${name}.js`)).then(() => {
      if (!files.has(name)) throw new Error(`${base}${name}.js holds no generator of that name`);
      return build(files.get(name));
    });
    promise.catch(() => networks.delete(name)); // so that it can be tried again
    networks.set(name, promise);
  }
  return networks.get(name);
}

function script(src) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = src;
    element.onload = () => resolve(element.remove());
    element.onerror = () => { element.remove(); reject(new Error(`${src} could not be read`)); };
    document.head.append(element);
  });
}
