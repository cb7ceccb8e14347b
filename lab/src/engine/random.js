// Random numbers from a seed: independent streams, so that drawing never changes training.

/** FNV-1a: a stream's name as 32 bits. */
function hash(text) {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}

/** SplitMix32: fills a state with bits that neighbouring seeds do not share. */
function mixer(seed) {
  let s = seed;
  return () => {
    s = (s + 0x9e3779b9) | 0;
    let x = s ^ (s >>> 16);
    x = Math.imul(x, 0x21f0aaad);
    x ^= x >>> 15;
    x = Math.imul(x, 0x735a2d97);
    return x ^ (x >>> 15);
  };
}

/** A stream of random numbers: xoshiro128** (Blackman and Vigna, 2021), and normal ones by Marsaglia's polar method. */
class Stream {
  constructor(seed, name) {
    const mixed = mixer(seed ^ hash(name));
    this.s = Int32Array.from({ length: 4 }, mixed);
    this.spare = NaN;
  }

  /** A whole number in [0, 2^32). */
  bits() {
    const s = this.s;
    const x = Math.imul(s[1], 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** Uniform on [0, 1). */
  uniform() {
    return this.bits() * 2 ** -32;
  }

  /** Standard normal. */
  normal() {
    if (this.spare === this.spare) {
      const last = this.spare;
      this.spare = NaN;
      return last;
    }
    let u, v, s;
    do {
      u = 2 * this.uniform() - 1;
      v = 2 * this.uniform() - 1;
      s = u * u + v * v;
    } while (s >= 1 || s === 0);
    const factor = Math.sqrt((-2 * Math.log(s)) / s);
    this.spare = v * factor;
    return u * factor;
  }

  /** A whole number in [0, n). */
  integer(n) {
    return Math.floor(this.uniform() * n);
  }
}

/** The stream of random numbers that a seed (a whole number) and a name give. */
export function random(seed, name = "") {
  return new Stream(seed, name);
}
