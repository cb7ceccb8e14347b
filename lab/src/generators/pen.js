// What a pen or a palette leaves on a small picture: grey strokes, or filled rectangles of one colour.

/** A white sheet, `side` x `side`, on which strokes are 0 (paper) to 1 (ink). */
export const sheet = (side) => ({ side, ink: new Float32Array(side * side) });

/** Draw from (x0, y0) to (x1, y1), in pixels, with a round pen; a pixel is as dark as the pen covers it. */
export function stroke({ side, ink }, x0, y0, x1, y1, width) {
  const reach = width / 2 + 1, dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
  const [left, right] = [Math.min(x0, x1) - reach, Math.max(x0, x1) + reach].map((v) => Math.floor(v));
  const [top, bottom] = [Math.min(y0, y1) - reach, Math.max(y0, y1) + reach].map((v) => Math.floor(v));
  for (let i = Math.max(top, 0); i <= Math.min(bottom, side - 1); i++) {
    for (let j = Math.max(left, 0); j <= Math.min(right, side - 1); j++) {
      const px = j + 0.5 - x0, py = i + 0.5 - y0; // from the beginning to the middle of the pixel
      const t = length ? Math.min(Math.max((px * dx + py * dy) / length, 0), 1) : 0;
      const covered = width / 2 + 0.5 - Math.hypot(px - t * dx, py - t * dy);
      ink[i * side + j] = Math.max(ink[i * side + j], Math.min(Math.max(covered, 0), 1));
    }
  }
}

/** The sheet as an image (3, side, side) in [-1, 1], black on white: what a translator takes. */
export function image({ side, ink }) {
  const out = new Float32Array(3 * side * side);
  for (let i = 0; i < out.length; i++) out[i] = 1 - 2 * ink[i % ink.length];
  return out;
}

/** Figures to begin with, as strokes in a square of side 1: lists of x, y, x, y, ... */
export const figures = {
  A: [[0.2, 0.82, 0.5, 0.16, 0.8, 0.82], [0.31, 0.58, 0.69, 0.58]],
  E: [[0.72, 0.2, 0.3, 0.2, 0.3, 0.8, 0.72, 0.8], [0.3, 0.5, 0.62, 0.5]],
  H: [[0.28, 0.18, 0.28, 0.82], [0.72, 0.18, 0.72, 0.82], [0.28, 0.5, 0.72, 0.5]],
  "a star": [[0.5, 0.14, 0.71, 0.82, 0.16, 0.4, 0.84, 0.4, 0.29, 0.82, 0.5, 0.14]],
  "a house": [[0.2, 0.45, 0.5, 0.16, 0.8, 0.45], [0.26, 0.42, 0.26, 0.82, 0.74, 0.82, 0.74, 0.42]],
};

/** Draw a figure on a sheet. */
export function trace(page, lines, width) {
  for (const line of lines) {
    const at = line.map((v) => v * page.side);
    for (let i = 2; i < at.length; i += 2) stroke(page, at[i - 2], at[i - 1], at[i], at[i + 1], width);
  }
}
