// Latents: drawn from a seed, mixed, shortened; and the directions in which a generator is most sensitive.

/** A stream of standard normal numbers that the seed decides (mulberry32, then Box and Muller). */
export function normal(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** `count` latents of `size` numbers each. */
export function draw(seed, size, count = 1) {
  const next = normal(seed);
  return Array.from({ length: count }, () => Float64Array.from({ length: size }, next));
}

export const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
export const norm = (z) => Math.sqrt(dot(z, z));
/** a z + b y. */
export const mix = (a, z, b, y) => z.map((v, i) => a * v + b * y[i]);

/** From z (t = 0) to y (t = 1) along the great circle between their directions, the length changing evenly. */
export function slerp(z, y, t) {
  const angle = Math.acos(Math.min(Math.max(dot(z, y) / (norm(z) * norm(y)), -1), 1)), sine = Math.sin(angle);
  if (sine < 1e-6) return mix(1 - t, z, t, y);
  const length = (1 - t) * norm(z) + t * norm(y);
  const [a, b] = [Math.sin((1 - t) * angle) / sine / norm(z), Math.sin(t * angle) / sine / norm(y)];
  return mix(a * length, z, b * length, y);
}

/** A normal latent whose numbers beyond `bound` are drawn again, as often as need be: those of Brock et al. (2019). */
export function truncated(seed, size, bound) {
  const next = normal(seed);
  return Float64Array.from({ length: size }, () => {
    let v = next();
    while (Math.abs(v) > bound) v = next();
    return v;
  });
}

/** Two orthonormal directions at random. */
export function plane(seed, size) {
  const [a, b] = draw(seed, size, 2), first = mix(1 / norm(a), a, 0, a);
  const rest = mix(1, b, -dot(b, first), first);
  return [first, mix(1 / norm(rest), rest, 0, rest)];
}

/** z with the coordinates u and v in a plane, and its own ones in all other directions. */
export function placed(z, [first, second], u, v) {
  return mix(1, mix(1, z, u - dot(z, first), first), v - dot(z, second), second);
}

/** Mean distance of two of the samples, Float32Arrays: the root of the mean squared difference of their pixels. */
export function variety(samples) {
  let sum = 0, pairs = 0;
  for (let i = 0; i < samples.length; i++) {
    for (let j = 0; j < i; j++, pairs++) {
      sum += Math.sqrt(samples[i].reduce((s, v, k) => s + (v - samples[j][k]) ** 2, 0) / samples[i].length);
    }
  }
  return sum / pairs;
}
