// How near are samples to the data? Modes as gan_course.metrics.modes counts them, and divergences of histograms.

export const CELLS = 25; // per side of the data set's square, and one cell for all points outside it
export const PSEUDO_COUNT = 0.1; // added to each cell for the KL divergences, which an empty cell would make infinite

/**
 * Modes with a sample within three standard deviations (of those nearest to it), the share of such samples, each
 * mode's share of all samples (nearest centre), the largest of these, and their KL divergence from equal shares.
 * `points` are [x, y, ...]. Without modes: {modes: 0, of: 0} and NaN.
 */
export function modeCounts(points, { centers, modes, std }) {
  const n = points.length / 2;
  const nearest = new Float64Array(modes), near = new Float64Array(modes);
  for (let i = 0; modes > 0 && i < n; i++) {
    let best = Infinity, mode = 0;
    for (let m = 0; m < modes; m++) {
      const dx = points[2 * i] - centers[2 * m], dy = points[2 * i + 1] - centers[2 * m + 1];
      const squared = dx * dx + dy * dy;
      if (squared < best) {
        best = squared;
        mode = m;
      }
    }
    nearest[mode]++;
    if (best <= 9 * std * std) near[mode]++;
  }
  const shares = nearest.map((count) => count / n);
  const none = modes === 0;
  return {
    modes: near.filter((count) => count > 0).length,
    of: modes,
    nearMode: none ? NaN : near.reduce((a, b) => a + b, 0) / n,
    shares,
    largestShare: none ? NaN : Math.max(...shares),
    reverseKl: none ? NaN : Math.max(0, shares.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p * modes) : 0), 0)),
  };
}

/** How many points [x, y, ...] lie in each cell of the square [-extent, extent]^2; the last count: outside. */
export function histogram(points, extent) {
  const counts = new Float64Array(CELLS * CELLS + 1);
  for (let i = 0; i < points.length; i += 2) {
    const column = Math.floor(((points[i] + extent) / (2 * extent)) * CELLS);
    const row = Math.floor(((points[i + 1] + extent) / (2 * extent)) * CELLS);
    const inside = column >= 0 && column < CELLS && row >= 0 && row < CELLS;
    counts[inside ? row * CELLS + column : CELLS * CELLS]++;
  }
  return counts;
}

/**
 * Divergences of two histograms, in nats: Jensen-Shannon, KL(real || fake) and KL(fake || real). The KL divergences
 * are of counts with PSEUDO_COUNT added, so that they are finite.
 */
export function divergences(real, fake) {
  const total = (counts) => counts.reduce((a, b) => a + b, 0);
  const nReal = total(real), nFake = total(fake), extra = PSEUDO_COUNT * real.length;
  let js = 0, klRealFake = 0, klFakeReal = 0;
  for (let i = 0; i < real.length; i++) {
    const p = real[i] / nReal, q = fake[i] / nFake, m = (p + q) / 2;
    js += (p > 0 ? 0.5 * p * Math.log(p / m) : 0) + (q > 0 ? 0.5 * q * Math.log(q / m) : 0);
    const smoothP = (real[i] + PSEUDO_COUNT) / (nReal + extra), smoothQ = (fake[i] + PSEUDO_COUNT) / (nFake + extra);
    klRealFake += smoothP * Math.log(smoothP / smoothQ);
    klFakeReal += smoothQ * Math.log(smoothQ / smoothP);
  }
  return { js, klRealFake, klFakeReal };
}
