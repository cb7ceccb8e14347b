// The lab takes its colours from the page around it, whatever made that page dark.

/** Red, green and blue of a computed colour, 0 to 255, and its opacity. */
export function parseColor(text) {
  const numbers = (text.match(/[\d.]+(e-?\d+)?%?/g) ?? []).map(Number);
  const scale = text.startsWith("color(") ? 255 : 1;
  const [r = 255, g = 255, b = 255, a = 1] = numbers;
  return [r * scale, g * scale, b * scale, text === "transparent" ? 0 : a];
}

/** The background behind an element: that of its nearest ancestor that has one, else white. */
export function background(element) {
  for (let e = element; e; e = e.parentElement) {
    const [r, g, b, a] = parseColor(getComputedStyle(e).backgroundColor);
    if (a > 0.5) return [r, g, b];
  }
  return [255, 255, 255];
}

/** Relative luminance of a colour, 0 to 1, as WCAG defines it. */
export function luminance(rgb) {
  const [r, g, b] = rgb.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export const isDark = (rgb) => luminance(rgb) < 0.18;

const FADE = 600; // ms after which a page's colours have faded over

/** Call `change` whenever the page may have changed its colours; returns a function that ends it. */
export function watch(change) {
  let timer;
  const seen = () => {
    change();
    clearTimeout(timer);
    timer = setTimeout(change, FADE);
  };
  const observer = new MutationObserver(seen);
  for (const element of [document.documentElement, document.body]) {
    observer.observe(element, {
      attributes: true,
      attributeFilter: ["class", "style", "data-theme", "data-mode", "theme", "data-jp-theme-light"],
    });
  }
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", seen);
  return () => {
    clearTimeout(timer);
    observer.disconnect();
    query.removeEventListener("change", seen);
  };
}
