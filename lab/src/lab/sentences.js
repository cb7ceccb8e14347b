// What is happening, said from what was measured. Each rule says when it holds and what it says then; of each list the
// first that holds is used. A rule reports numbers; it never claims a cause that was not measured.

const SAMPLES = "2,500";
const EARLY = 200; // before this step samples that are still gathered are not called a collapse
export const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)}\u00a0%`; // unparted
export const LN2 = Math.LN2;

/** A number for reading: three significant digits, no exponent where it can be helped. */
export function number(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(1) : `${Number(value.toPrecision(3))}`;
  return text.replace("-", "−");
}

const real3 = "98.9\u00a0%"; // 1 − exp(−9/2): how much of a Gaussian in the plane lies within three standard deviations
const within = (m, of = `${SAMPLES} samples`) =>
  `${m.nearMode ? `${percent(m.nearMode)} of ${of} lie` : `not one of ${of} lies`} ` +
  `within three standard deviations of a mode (real data: ${real3})`;
const critic = (settings) => settings.loss === "wasserstein";
const paired = (settings) => settings.loss === "relativistic";
const logistic = (settings) => ["non-saturating", "saturating"].includes(settings.loss);

// Where the samples are. The state is {settings, step, diverged, stats, measure, before}: `stats` are the snapshot's
// numbers, `measure` the newest measurement and `before` one from about the middle of the run, or undefined.
export const places = [
  {
    id: "diverged",
    warn: "diverged",
    when: ({ diverged }) => diverged,
    text: ({ diverged }) => `Diverged: ${diverged}. Training has stopped.`,
  },
  {
    id: "start",
    when: ({ step, measure }) => !step || !measure?.step,
    text: ({ step }) =>
      step
        ? "Training has begun; nothing has been measured since the start."
        : "Nothing is trained yet: the fakes lie where the generator's random starting weights put the noise. Press " +
          "Play.",
  },
  {
    id: "early",
    when: ({ measure: m }) => m.step < EARLY && m.of > 1 && m.modes < m.of,
    text: ({ measure: m }) =>
      `Early: ${m.modes} of ${m.of} modes are covered, and ${within(m)}. ${percent(m.largestShare)} are nearest to ` +
      `the same one (an even spread gives ${percent(1 / m.of)}).`,
  },
  {
    id: "one-mode",
    warn: "collapse: the samples belong to one mode",
    when: ({ measure: m }) => m.of > 1 && m.largestShare >= 0.9 && m.nearMode >= 0.5,
    text: ({ measure: m }) =>
      `Mode collapse: ${percent(m.largestShare)} of ${SAMPLES} samples are nearest to the same one ` +
      `of ${m.of} modes, and ${within(m, "them")}.`,
  },
  {
    id: "gathered",
    warn: "collapse: samples gathered, modes lost",
    when: ({ measure: m }) => m.of > 1 && m.largestShare >= Math.max(0.5, 2 / m.of) && m.modes < m.of,
    text: ({ measure: m }) =>
      `Mode collapse: ${percent(m.largestShare)} of ${SAMPLES} samples are nearest to the same one ` +
      `of ${m.of} modes (an even spread gives ${percent(1 / m.of)}), and ${within(m, "them")}.`,
  },
  {
    id: "covered",
    when: ({ measure: m }) => m.of > 0 && m.modes === m.of && m.nearMode >= 0.5,
    text: ({ measure: m }) => `All ${m.of} of ${m.of} modes are covered: ${within(m)}.`,
  },
  {
    id: "thin",
    when: ({ measure: m }) => m.of > 0 && m.modes === m.of,
    text: ({ measure: m }) =>
      `Each of the ${m.of} modes has a sample near it, but only ${within(m)}. A mode that is hit ` +
      "is not yet a mode that is learned.",
  },
  {
    id: "between",
    note: "few samples near a mode",
    when: ({ measure: m }) => m.of > 0 && m.nearMode < 0.1,
    text: ({ measure: m }) =>
      `${m.modes} of ${m.of} modes are covered, and ${m.nearMode ? "only " : ""}${within(m)}.`,
  },
  {
    id: "some",
    when: ({ measure: m }) => m.of > 0,
    text: ({ measure: m }) =>
      `${m.modes} of ${m.of} modes are covered; near the others not one of ${SAMPLES} samples was ` +
      `seen. ${within(m)}.`,
  },
  {
    id: "disjoint",
    when: ({ measure: m }) => m.js > 0.9 * LN2,
    text: ({ measure: m }) =>
      `Samples and data hardly share a place: JS is ${number(m.js)}, and ln\u00a02 = 0.693 is the most that ` +
      "it can be.",
  },
  {
    id: "close",
    when: ({ measure: m }) => m.js <= 1.5 * m.jsFloor,
    text: ({ measure: m }) =>
      `JS is ${number(m.js)}; two sets of ${SAMPLES} real points give ${number(m.jsFloor)}. At this ` +
      "size JS can hardly tell samples from data.",
  },
  {
    id: "apart",
    when: () => true,
    text: ({ measure: m }) =>
      `JS is ${number(m.js)}, ${number(m.js / m.jsFloor)} times what two sets of ${SAMPLES} real points ` +
      `give (${number(m.jsFloor)}).`,
  },
];

// What the discriminator makes of them.
export const judges = [
  { id: "silent", when: ({ diverged, step, stats }) => diverged || !step || !stats, text: () => "" },
  {
    id: "calm",
    when: ({ settings, stats, measure: m }) =>
      logistic(settings) &&
      m?.of > 1 &&
      m.step >= EARLY &&
      m.modes <= m.of / 2 &&
      Math.abs(stats.lossD - 2 * LN2) < 0.1,
    text: ({ stats, measure: m }) =>
      `The losses do not show it: D's is ${number(stats.lossD)}, close to 2\u00a0ln\u00a02 = 1.39, the loss of a D ` +
      `that always answers one half, with ${m.modes} of ${m.of} modes covered.`,
  },
  {
    id: "critic-wrong",
    when: ({ settings, stats }) => critic(settings) && stats.logitReal <= stats.logitFake,
    text: ({ stats }) =>
      `The critic scores fakes higher than real samples, by ${number(stats.logitFake - stats.logitReal)}: at ` +
      "this moment it has them the wrong way round.",
  },
  {
    id: "critic",
    when: ({ settings }) => critic(settings),
    text: ({ stats }) =>
      `The critic scores real samples ${number(stats.logitReal - stats.logitFake)} higher than fakes, on average.`,
  },
  {
    id: "paired",
    when: ({ settings }) => paired(settings),
    text: ({ stats }) =>
      `Of pairs of a real point and a fake, D scores the real one higher in ${percent(stats.accuracyD)}.`,
  },
  {
    id: "sure",
    when: ({ stats }) => stats.accuracyD >= 0.95,
    text: ({ stats }) => `D tells real from fake in ${percent(stats.accuracyD)} of cases.`,
  },
  {
    id: "wrong",
    when: ({ stats }) => stats.accuracyD < 0.45,
    text: ({ stats }) => `D is right in ${percent(stats.accuracyD)} of cases: less often than a coin.`,
  },
  {
    id: "unsure",
    when: ({ stats }) => stats.accuracyD <= 0.55,
    text: ({ stats, measure: m }) =>
      `D is right in ${percent(stats.accuracyD)} of cases, hardly more than a coin. That is so ` +
      "where samples are good and also where D is weak" +
      (m ? `: JS, measured without D, is ${number(m.js)} (floor ${number(m.jsFloor)}).` : "."),
  },
  { id: "judge", when: () => true, text: ({ stats }) => `D is right in ${percent(stats.accuracyD)} of cases.` },
];

/** The share of points [x, y, ...] outside the square [-extent, extent]^2. */
export function outside(points, extent) {
  let n = 0;
  for (let i = 0; i < points.length; i += 2) n += !(Math.max(Math.abs(points[i]), Math.abs(points[i + 1])) <= extent);
  return points.length ? (2 * n) / points.length : 0;
}

// What the picture cannot show.
export const frames = [
  {
    id: "outside",
    when: ({ stats }) => stats && outside(stats.fake, stats.extent) >= 0.05,
    text: ({ stats }) => `Of the fakes drawn, ${percent(outside(stats.fake, stats.extent))} lie outside the picture.`,
  },
  { id: "inside", when: () => true, text: () => "" },
];

// Where it is going.
const known = ({ diverged, measure, before }) => !diverged && measure && before && before.step + 50 <= measure.step;
export const trends = [
  { id: "unknown", when: (state) => !known(state), text: () => "" },
  {
    id: "falls",
    when: ({ measure: m, before: b }) => m.js < 0.85 * b.js && b.js - m.js > 0.5 * m.jsFloor,
    text: ({ measure: m, before: b }) => `Since step ${b.step}, JS has fallen from ${number(b.js)} to ${number(m.js)}.`,
  },
  {
    id: "rises",
    when: ({ measure: m, before: b }) => m.js > 1.15 * b.js && m.js - b.js > 0.5 * m.jsFloor,
    text: ({ measure: m, before: b }) => `Since step ${b.step}, JS has risen from ${number(b.js)} to ${number(m.js)}.`,
  },
  {
    id: "steady",
    when: () => true,
    text: ({ measure: m, before: b }) => `JS was ${number(b.js)} at step ${b.step}, and is ${number(m.js)} now.`,
  },
];

// The Dirac-GAN: how far both players are from the resting point (0, 0). The state is {step, diverged, radius},
// with what session.js measures as `radius`.
export const orbits = [
  {
    id: "diverged",
    warn: "diverged",
    when: ({ diverged }) => diverged,
    text: ({ diverged }) => `Diverged: ${diverged}. The game has stopped.`,
  },
  {
    id: "start",
    when: ({ step }) => !step,
    text: () =>
      "One real point at 0, one fake at θ, and a D whose logit is ψ·x. At (0, 0) both rest. Press Play to see " +
      "whether they get there.",
  },
  {
    id: "rest",
    when: ({ radius: r }) => r.now < 0.01 * r.start,
    text: ({ radius: r }) =>
      `The players have come from ${number(r.start)} to ${number(r.now)} away from (0, 0): less than a ` +
      "hundredth of the start.",
  },
  {
    id: "young",
    when: ({ step }) => step < 20,
    text: ({ radius: r }) => `The distance from (0, 0) is ${number(r.now)}.`,
  },
  ...[
    ["inwards", ({ last, before }) => last < 0.98 * before, "The players come nearer"],
    ["outwards", ({ last, before }) => last > 1.02 * before, "The players move outwards"],
    ["round", () => true, "The players keep their distance"],
  ].map(([id, holds, what]) => ({
    id,
    when: ({ radius }) => holds(radius),
    text: ({ step, radius: r }) =>
      `${what}: the mean distance from (0, 0) was ${number(r.before)} in the steps ${r.half} to ` +
      `${r.late}, and ${number(r.last)} from there to ${step} (start: ${number(r.start)}).`,
  })),
];

const first = (rules, state) => rules.find((rule) => rule.when(state));

/**
 * Say what a state shows.
 *
 * @returns {{ids: string, text: string, warn: string, note: string}} the rules that were used, the sentences, and a
 *   short warning or remark, or ""
 */
export function explain(state) {
  const used = (state.settings.game === "dirac" ? [orbits] : [places, frames, judges, trends]).map((rules) =>
    first(rules, state),
  );
  return {
    ids: used.map((rule) => rule.id).join(" "),
    text: used
      .map((rule) => rule.text(state))
      .filter(Boolean)
      .join(" "),
    warn: used[0].warn ?? "",
    note: used[0].note ?? "",
  };
}
