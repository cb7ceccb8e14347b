// The picture of one run: layers on a canvas. Real points are squares, fakes are discs: shape and colour both tell.

// Colours of the book's figures (gan_course.notebook.plot), and lighter ones of the same hue for dark pages.
export const COLORS = {
  light: { real: "#0072B2", fake: "#D55E00", disc: "#009E73", paper: [255, 255, 255], halo: "#fff", line: "#000" },
  dark: { real: "#56B4E9", fake: "#FF9248", disc: "#35C79A", paper: [24, 24, 27], halo: "#000", line: "#fff" },
};

const LOGISTIC = ["non-saturating", "saturating"];

/**
 * How D's outputs become colours: `low` and `high` get the full colours of fake and real, `middle` none.
 *
 * Logits of the logistic losses become probabilities. Other outputs have no scale of their own: the middle lies
 * half-way between the targets (least squares: 0 and 1; hinge: -1 and 1), or half-way between what real and fake
 * samples get.
 */
export function surfaceScale(loss, surface, { logitReal, logitFake }) {
  if (LOGISTIC.includes(loss))
    return { low: 0, middle: 0.5, high: 1, label: "D(x), its probability of “real”", sigmoid: true };
  let middle = { "least-squares": 0.5, hinge: 0 }[loss];
  if (middle === undefined) middle = Number.isFinite(logitReal + logitFake) ? (logitReal + logitFake) / 2 : 0;
  let reach = 1e-9;
  for (const value of surface) if (Number.isFinite(value)) reach = Math.max(reach, Math.abs(value - middle));
  return {
    low: middle - reach,
    middle,
    high: middle + reach,
    label: loss === "wasserstein" ? "critic's score f(x)" : "D's output",
  };
}

/** Mix two colours [r, g, b]. */
const mix = (a, b, share) => a.map((x, i) => x + (b[i] - x) * share);
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** The colour [r, g, b] at `t` from -1 (fake) over 0 (paper) to 1 (real). */
export const tint = (colors, t) =>
  mix(colors.paper, rgb(t < 0 ? colors.fake : colors.real), 0.62 * Math.min(Math.abs(t), 1));

/** The position of an output on the scale, from -1 to 1. */
export function position(value, scale) {
  const x = scale.sigmoid ? 1 / (1 + Math.exp(-value)) : value;
  return (x - scale.middle) / (scale.high - scale.middle);
}

/** The length on the canvas, in pixels, of the longest arrow; and the gradient's length that it stands for. */
export function arrowScale(gradients) {
  const lengths = [];
  for (let i = 0; i < gradients.length; i += 2) {
    const length = Math.hypot(gradients[i], gradients[i + 1]);
    if (Number.isFinite(length)) lengths.push(length);
  }
  return lengths.sort((a, b) => a - b)[Math.floor(0.95 * (lengths.length - 1))] || 0;
}

const ARROWS = 90;
const ARROW = 26;

/** Draws snapshots of a GAN in the plane. */
export class PlaneView {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.small = document.createElement("canvas");
  }

  /** Fit the canvas to its place on the page; the unit is then a CSS pixel, with the origin in the middle. */
  prepare(colors) {
    const { canvas, context } = this;
    const size = Math.max(canvas.clientWidth, 50);
    const density = Math.min(globalThis.devicePixelRatio || 1, 2);
    const pixels = Math.round(size * density);
    if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
    context.setTransform(pixels / size, 0, 0, pixels / size, pixels / 2, pixels / 2);
    context.globalAlpha = 1;
    context.fillStyle = `rgb(${colors.paper})`;
    context.fillRect(-size / 2, -size / 2, size, size);
    this.size = size;
  }

  draw({ snapshot, layers, extent, settings, colors, batch }) {
    this.prepare(colors);
    this.unit = this.size / 2 / extent;
    if (!snapshot) return;
    if (layers.surface && snapshot.surface) this.surface(snapshot, settings, colors);
    if (layers.manifold && snapshot.manifold) this.manifold(snapshot.manifold, settings.latent_dim, colors);
    const faded = batch ? 0.3 : 1; // in slow motion the batch at hand stands out
    if (layers.real) this.points(snapshot.real, colors.real, colors.halo, true, 5.5, faded);
    if (layers.fake) this.points(snapshot.fake, colors.fake, colors.halo, false, 2.2, faded);
    if (batch?.real) this.points(batch.real, colors.real, colors.line, true, 7, 1);
    if (batch?.fake) this.points(batch.fake, colors.fake, colors.line, false, 3.4, 1);
    if (batch?.gradients) this.arrows(batch.fake, batch.gradients, colors);
    else if (layers.gradients && snapshot.gradients) this.arrows(snapshot.fake, snapshot.gradients, colors);
  }

  surface({ surface, ...stats }, settings, colors) {
    const k = Math.round(Math.sqrt(surface.length));
    const scale = surfaceScale(settings.loss, surface, stats);
    const image = new ImageData(k, k);
    const table = []; // 129 colours between which nobody can see a step
    for (let i = -64; i <= 64; i++) table.push(tint(colors, i / 64));
    for (let i = 0; i < k * k; i++) {
      const t = position(surface[i], scale);
      const color = table[Math.round(64 * (Number.isNaN(t) ? 0 : Math.max(-1, Math.min(1, t)))) + 64];
      image.data.set(color, 4 * i);
      image.data[4 * i + 3] = 255;
    }
    this.small.width = this.small.height = k;
    this.small.getContext("2d").putImageData(image, 0, 0);
    this.context.imageSmoothingEnabled = true;
    this.context.drawImage(this.small, -this.size / 2, -this.size / 2, this.size, this.size);
  }

  manifold(points, dim, colors) {
    const { context, unit } = this;
    const at = (i) => [points[2 * i] * unit, -points[2 * i + 1] * unit];
    const n = points.length / 2;
    context.strokeStyle = context.fillStyle = colors.fake;
    context.lineWidth = 1;
    const side = Math.round(Math.sqrt(n));
    if (dim === 1) {
      context.lineWidth = 2;
      context.globalAlpha = 0.8;
      context.beginPath();
      for (let i = 0; i < n; i++) context.lineTo(...at(i));
      context.stroke();
    } else {
      // A small cell holds as much of the noise as a large one: where cells are small, they are dark.
      for (let row = 0; row < side - 1; row++) {
        for (let column = 0; column < side - 1; column++) {
          const i = row * side + column;
          const corners = [at(i), at(i + 1), at(i + side + 1), at(i + side)];
          const [a, b, c, d] = corners;
          const area = Math.abs((c[0] - a[0]) * (d[1] - b[1]) - (d[0] - b[0]) * (c[1] - a[1])) / 2;
          context.globalAlpha = Math.max(0.05, Math.min(0.5, 12 / (area + 12)));
          context.beginPath();
          for (const corner of corners) context.lineTo(...corner);
          context.fill();
        }
      }
      context.globalAlpha = 0.45;
      context.lineWidth = 0.7;
      context.beginPath();
      for (let row = 0; row < side; row++) {
        for (let column = 0; column < side; column++) {
          context[column ? "lineTo" : "moveTo"](...at(row * side + column));
        }
      }
      for (let column = 0; column < side; column++) {
        for (let row = 0; row < side; row++) context[row ? "lineTo" : "moveTo"](...at(row * side + column));
      }
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  points(points, fill, halo, square, size, alpha) {
    const { context, unit } = this;
    const shapes = new Path2D();
    for (let i = 0; i < points.length; i += 2) {
      const x = points[i] * unit;
      const y = -points[i + 1] * unit;
      if (square) shapes.rect(x - size / 2, y - size / 2, size, size);
      else {
        shapes.moveTo(x + size, y);
        shapes.arc(x, y, size, 0, 2 * Math.PI);
      }
    }
    context.globalAlpha = alpha;
    context.lineWidth = 1.2;
    context.strokeStyle = halo;
    context.stroke(shapes);
    context.fillStyle = fill;
    context.fill(shapes);
    context.globalAlpha = 1;
  }

  arrows(points, gradients, colors) {
    const { context, unit } = this;
    const longest = arrowScale(gradients);
    if (!longest) return;
    const every = Math.max(2, 2 * Math.ceil(points.length / 2 / ARROWS));
    context.beginPath();
    for (let i = 0; i < points.length; i += every) {
      const length = Math.hypot(gradients[i], gradients[i + 1]);
      if (!Number.isFinite(length) || !length) continue;
      const pixels = ARROW * Math.min(length / longest, 1.5);
      const [u, v] = [gradients[i] / length, -gradients[i + 1] / length];
      const [x, y] = [points[i] * unit, -points[i + 1] * unit];
      const [tipX, tipY] = [x + u * pixels, y + v * pixels];
      const head = Math.min(5, pixels / 2);
      context.moveTo(x, y);
      context.lineTo(tipX, tipY);
      context.moveTo(tipX - head * (u + 0.6 * v), tipY - head * (v - 0.6 * u));
      context.lineTo(tipX, tipY);
      context.lineTo(tipX - head * (u - 0.6 * v), tipY - head * (v + 0.6 * u));
    }
    context.strokeStyle = colors.halo;
    context.lineWidth = 3;
    context.stroke();
    context.strokeStyle = colors.line;
    context.lineWidth = 1.3;
    context.stroke();
  }
}

/** Draws the Dirac-GAN: the field of both players' directions, and the path that they have taken. */
export class DiracView extends PlaneView {
  draw({ path, start, field, extent, colors }) {
    this.prepare(colors);
    const { context, size } = this;
    const unit = (this.unit = size / 2 / extent);
    context.strokeStyle = colors.line;
    context.globalAlpha = 0.35;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(-size / 2, 0);
    context.lineTo(size / 2, 0);
    context.moveTo(0, -size / 2);
    context.lineTo(0, size / 2);
    context.stroke();
    context.globalAlpha = 1;
    this.field(field, extent, colors);
    context.strokeStyle = colors.fake;
    context.lineWidth = 2;
    context.beginPath();
    for (let i = 0; i < path.length; i += 2) context.lineTo(path[i] * unit, -path[i + 1] * unit);
    context.stroke();
    this.points(start, colors.fake, colors.halo, true, 9, 1);
    this.points(path.slice(-2), colors.fake, colors.line, false, 5, 1);
    this.points([0, 0], colors.real, colors.halo, true, 9, 1);
    context.fillStyle = colors.line;
    context.font = "italic 15px serif";
    context.fillText("θ", size / 2 - 14, -6);
    context.fillText("ψ", 6, -size / 2 + 16);
  }

  // `field` are k x k directions from the middles of the square's cells, row by row from the top. Arrows of one length
  // would hide where the players are slow, and true ones would be dots in most places: lengths grow with the root of
  // the speed.
  field(field, extent, colors) {
    const { context, unit } = this;
    const k = Math.round(Math.sqrt(field.length / 2));
    let longest = 1e-12;
    for (let i = 0; i < k * k; i++) longest = Math.max(longest, Math.hypot(field[2 * i], field[2 * i + 1]));
    context.beginPath();
    for (let i = 0; i < k * k; i++) {
      const speed = Math.hypot(field[2 * i], field[2 * i + 1]);
      if (!(speed > 0)) continue;
      const pixels = ((0.9 * this.size) / k) * Math.sqrt(speed / longest);
      const [dx, dy] = [(field[2 * i] / speed) * pixels, (-field[2 * i + 1] / speed) * pixels];
      const x = extent * ((2 * (i % k) + 1) / k - 1) * unit - dx / 2;
      const y = extent * ((2 * Math.floor(i / k) + 1) / k - 1) * unit - dy / 2;
      context.moveTo(x, y);
      context.lineTo(x + dx, y + dy);
      context.moveTo(x + 0.65 * dx - 0.2 * dy, y + 0.65 * dy + 0.2 * dx);
      context.lineTo(x + dx, y + dy);
      context.lineTo(x + 0.65 * dx + 0.2 * dy, y + 0.65 * dy - 0.2 * dx);
    }
    context.strokeStyle = colors.disc;
    context.lineWidth = 1.2;
    context.stroke();
  }
}
