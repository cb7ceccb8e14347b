// What the layers of a generator compute, on one sample at a time. Maps are Float32Arrays: channel after channel, each
// row by row. The reference is torch; test/generators.test.js has the plain loops, tests/test_export.py has torch.

/**
 * All products of the rows of a (m of them) and of b (n of them), k numbers each: out[i * n + j] = a_i . b_j.
 * Blocks of 4 x 2 rows, so that each number that is read serves several sums: most of all time is spent here.
 */
export function products(a, b, m, n, k, out) {
  let i = 0;
  for (; i + 4 <= m; i += 4) {
    const a0 = i * k, a1 = a0 + k, a2 = a1 + k, a3 = a2 + k;
    let j = 0;
    for (; j + 2 <= n; j += 2) {
      const b0 = j * k, b1 = b0 + k;
      let s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
      for (let l = 0; l < k; l++) {
        const x = b[b0 + l], y = b[b1 + l], p = a[a0 + l], q = a[a1 + l], r = a[a2 + l], s = a[a3 + l];
        s00 += p * x; s01 += p * y; s10 += q * x; s11 += q * y; s20 += r * x; s21 += r * y; s30 += s * x; s31 += s * y;
      }
      const o = i * n + j;
      out[o] = s00; out[o + 1] = s01; out[o + n] = s10; out[o + n + 1] = s11;
      out[o + 2 * n] = s20; out[o + 2 * n + 1] = s21; out[o + 3 * n] = s30; out[o + 3 * n + 1] = s31;
    }
    for (; j < n; j++) for (let r = 0; r < 4; r++) out[(i + r) * n + j] = dot(a, (i + r) * k, b, j * k, k);
  }
  for (; i < m; i++) for (let j = 0; j < n; j++) out[i * n + j] = dot(a, i * k, b, j * k, k);
  return out;
}

function dot(a, i, b, j, k) {
  let sum = 0;
  for (let l = 0; l < k; l++) sum += a[i + l] * b[j + l];
  return sum;
}

/** scale * x + shift, channel by channel; `row` chooses among the numbers of several classes. */
export function affine(x, channels, scale, shift, row = 0) {
  const out = new Float32Array(x.length), places = x.length / channels;
  for (let c = 0; c < channels; c++) {
    const s = scale[row * channels + c], t = shift[row * channels + c];
    for (let i = c * places, end = i + places; i < end; i++) out[i] = s * x[i] + t;
  }
  return out;
}

/** weight (out rows of x.length numbers) times x, then scale and shift. */
export function linear(x, { out, weight, scale, shift }) {
  return affine(products(weight, x, out, 1, x.length, new Float32Array(out)), out, scale, shift);
}

/** A convolution, weights (out, in, kernel, kernel), of maps (in, height, width); padded by zeros or by reflection. */
export function conv(x, height, width, layer) {
  const { in: channels, out, kernel, stride, padding, reflect } = layer;
  const h = outer(height, layer), w = outer(width, layer), k = channels * kernel * kernel;
  const seen = new Float32Array(h * w * k); // for each place of the result, what the kernel sees there
  const inside = reflect ? mirror : within;
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const to = (i * w + j) * k;
      for (let u = 0; u < kernel; u++) {
        const row = inside(i * stride + u - padding, height);
        if (row < 0) continue;
        for (let v = 0; v < kernel; v++) {
          const column = inside(j * stride + v - padding, width);
          if (column < 0) continue;
          let from = row * width + column;
          for (let o = to + u * kernel + v, end = to + k; o < end; o += kernel * kernel, from += height * width) {
            seen[o] = x[from];
          }
        }
      }
    }
  }
  const sums = products(layer.weight, seen, out, h * w, k, new Float32Array(out * h * w));
  return { x: affine(sums, out, layer.scale, layer.shift), height: h, width: w };
}

const outer = (side, { kernel, stride, padding }) => Math.floor((side + 2 * padding - kernel) / stride) + 1;
const within = (i, side) => (i < side ? i : -1);
const mirror = (i, side) => (i < 0 ? -i : i < side ? i : 2 * side - 2 - i);

/**
 * A transposed convolution of maps (in, height, width): each place writes its kernel, and what overlaps is added.
 * `weight` is (out, kernel, kernel, in), as `turned` gives it, so that both factors of a product lie in rows.
 */
export function transposed(x, height, width, layer) {
  const { in: channels, out, kernel, stride, padding, extra } = layer;
  const h = (height - 1) * stride - 2 * padding + kernel + extra;
  const w = (width - 1) * stride - 2 * padding + kernel + extra;
  const places = height * width, rows = new Float32Array(x.length);
  for (let c = 0; c < channels; c++) for (let i = 0; i < places; i++) rows[i * channels + c] = x[c * places + i];
  const size = out * kernel * kernel;
  const written = products(layer.weight, rows, size, places, channels, new Float32Array(size * places));
  const sums = new Float32Array(out * h * w);
  for (let o = 0, from = 0; o < out; o++) {
    for (let u = 0; u < kernel; u++) {
      for (let v = 0; v < kernel; v++, from += places) {
        for (let i = 0; i < height; i++) {
          const row = i * stride + u - padding;
          if (row < 0 || row >= h) continue;
          for (let j = 0; j < width; j++) {
            const column = j * stride + v - padding;
            if (column >= 0 && column < w) sums[(o * h + row) * w + column] += written[from + i * width + j];
          }
        }
      }
    }
  }
  return { x: affine(sums, out, layer.scale, layer.shift), height: h, width: w };
}

/** Weights (out, in, kernel, kernel) of a transposed convolution in the order (out, kernel, kernel, in). */
export function turned(weight, { in: channels, out, kernel }) {
  const turned = new Float32Array(weight.length), window = kernel * kernel;
  for (let o = 0, from = 0; o < out; o++) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < window; i++, from++) turned[(o * window + i) * channels + c] = weight[from];
    }
  }
  return turned;
}

/** Instance norm: each channel less its mean, over its (biased) standard deviation. */
export function instance(x, channels, eps) {
  const out = new Float32Array(x.length), places = x.length / channels;
  for (let from = 0; from < x.length; from += places) {
    let mean = 0, variance = 0;
    for (let i = from; i < from + places; i++) mean += x[i] / places;
    for (let i = from; i < from + places; i++) variance += (x[i] - mean) ** 2 / places;
    const factor = 1 / Math.sqrt(variance + eps);
    for (let i = from; i < from + places; i++) out[i] = (x[i] - mean) * factor;
  }
  return out;
}

/** Double height and width by repeating each pixel. */
export function up(x, height, width) {
  const out = new Float32Array(4 * x.length), rows = x.length / width; // of all channels, one after the other
  for (let row = 0, o = 0; row < 2 * rows; row++) {
    for (let j = 0; j < 2 * width; j++) out[o++] = x[(row >> 1) * width + (j >> 1)];
  }
  return { x: out, height: 2 * height, width: 2 * width };
}

/** The mean of the rows of a table of word vectors; 0 is padding and counts for nothing. */
export function caption(words, { out, weight, scale, shift }) {
  const mean = new Float32Array(out), said = words.filter((word) => word !== 0);
  for (const word of said) {
    for (let i = 0; i < out; i++) mean[i] += (scale[word] * weight[word * out + i] + shift[word]) / said.length;
  }
  return mean;
}

export const relu = (x, slope) => x.map((v) => (v > 0 ? v : slope * v));
export const tanh = (x) => x.map(Math.tanh);
export const add = (x, y) => x.map((v, i) => v + y[i]);

/** x with y behind it: more numbers of a vector, more channels of maps. */
export function concat(x, y) {
  const out = new Float32Array(x.length + y.length);
  out.set(x);
  out.set(y, x.length);
  return out;
}
