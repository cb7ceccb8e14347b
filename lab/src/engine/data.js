// Data sets in the plane. Each is a recipe for drawing points; some are mixtures whose modes can be counted.

const TAU = 2 * Math.PI;
const DRAWN = 1.5; // drawings lie in [-1.5, 1.5] squared,
const LEVELS = 512; // on a lattice of so many places per axis
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; // URL safe
const ROUGHNESS = 0.02; // standard deviation around shapes and drawn points
const MOST = 1000; // points of a drawing

/**
 * A string for points, a Float64Array or list [x, y, x, y, ...]: 9 bits per coordinate, 3 characters per point.
 * Points outside the square come to its edge, and of points at one place one is kept.
 */
export function encodeDrawing(points) {
  const level = (x) => Math.min(LEVELS - 1, Math.max(0, Math.floor(((x + DRAWN) / (2 * DRAWN)) * LEVELS)));
  const places = new Set();
  for (let i = 0; i + 1 < points.length; i += 2) places.add(level(points[i]) * LEVELS + level(points[i + 1]));
  if (places.size > MOST) throw new RangeError(`drawing must have at most ${MOST} points, got ${places.size}`);
  return [...places].map((p) => DIGITS[p >> 12] + DIGITS[(p >> 6) & 63] + DIGITS[p & 63]).join("");
}

/** The points [x, y, x, y, ...] of an encoded drawing; a RangeError if the string is none. */
export function decodeDrawing(text) {
  const wrong = text.length % 3 ? text : [...text].find((c) => !DIGITS.includes(c));
  if (wrong !== undefined || text.length > 3 * MOST) {
    throw new RangeError(
      `drawing must be a string that encodeDrawing made, of at most ${MOST} points, got ` +
        JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text),
    );
  }
  const points = new Float64Array((2 * text.length) / 3);
  for (let i = 0, at = 0; i < text.length; i += 3) {
    let p = 0;
    for (let k = 0; k < 3; k++) p = 64 * p + DIGITS.indexOf(text[i + k]);
    points[at++] = ((Math.floor(p / LEVELS) + 0.5) / LEVELS) * 2 * DRAWN - DRAWN;
    points[at++] = (((p % LEVELS) + 0.5) / LEVELS) * 2 * DRAWN - DRAWN;
  }
  return points;
}

/** Equally likely Gaussians at `centers` [x, y, ...]. */
function mixture(centers, std, extent) {
  const modes = centers.length / 2;
  return {
    centers, modes, std, extent,
    draw(random, point) {
      const mode = random.integer(modes);
      point[0] = centers[2 * mode] + std * random.normal();
      point[1] = centers[2 * mode + 1] + std * random.normal();
    },
  };
}

/** A curve: at(t, point) for t uniform on [0, 1), blurred; it has no modes to count. */
function curve(at, extent = DRAWN) {
  return {
    centers: new Float64Array(0), modes: 0, std: NaN, extent,
    draw(random, point) {
      at(random.uniform(), point);
      point[0] += ROUGHNESS * random.normal();
      point[1] += ROUGHNESS * random.normal();
    },
  };
}

const GRID = 2 / Math.sqrt(8); // spacing of PacGAN's grid, in units of the standard deviation of its coordinates

const recipes = {
  ring({ std }) {
    const centers = Float64Array.from({ length: 16 }, (_, i) => {
      const angle = ((i >> 1) * TAU) / 8;
      return i % 2 ? Math.sin(angle) : Math.cos(angle);
    });
    return mixture(centers, std, 1.5);
  },
  // The square has 25 x 25 cells of histograms: modes lie in the middle of one, every fifth.
  grid({ std }) {
    const at = (k) => (k - 2) * GRID;
    return mixture(Float64Array.from({ length: 50 }, (_, i) => at(i % 2 ? (i >> 1) % 5 : Math.floor(i / 10))), std,
      2.5 * GRID);
  },
  gaussians: () => mixture(Float64Array.of(-0.7, 0.6, 0.75, 0.45, 0, -0.7), 0.15, 1.5),
  circle: () => curve((t, point) => {
    point[0] = Math.cos(TAU * t);
    point[1] = Math.sin(TAU * t);
  }),
  line: () => curve((t, point) => {
    point[0] = 2 * t - 1;
    point[1] = 1.2 * t - 0.6;
  }),
  // Two parallel pieces with nothing between them: a continuous G cannot leave the gap empty.
  disjoint: () => curve((t, point) => {
    point[0] = t < 0.5 ? -0.8 : 0.8;
    point[1] = 4 * (t % 0.5) - 1;
  }),
  spiral: () => curve((t, point) => {
    const radius = 0.15 + Math.sqrt(t) * 1.05; // nearly evenly filled along its length
    point[0] = radius * Math.cos(2 * TAU * Math.sqrt(t));
    point[1] = radius * Math.sin(2 * TAU * Math.sqrt(t));
  }),
  drawn({ drawing }) {
    const points = decodeDrawing(drawing);
    return curve((t, point) => {
      const i = 2 * Math.floor((t * points.length) / 2);
      point[0] = points[i];
      point[1] = points[i + 1];
    });
  },
};

/**
 * The data set of complete settings: {centers, modes, std, extent, draw(random, point)}.
 *
 * `extent` is half the side of the square that shows it, around the origin; draw() writes one point's coordinates.
 */
export function dataset(settings) {
  return recipes[settings.data](settings);
}
