// The few helpers with which the lab builds its elements.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.setAttribute(name, value.replace(/[\w-]+/g, "gl-$&"));
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** An element of HTML: `h("label", {for: "x"}, ` +
  `"text")`. `on...` are listeners; `undefined` and `false` are left out. */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** An element of SVG. */
export const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** Set the text of an element, only if it differs: what did not change is not announced again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
