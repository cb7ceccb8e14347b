/* global way, run */
// How time is taken in a page, the same for every way to train: `way.step` trains a step, `way.finish` waits until the
// last one is done and says whether all numbers are finite.

// Train; return the seconds that it took.
globalThis.run = (steps) => {
  const began = performance.now();
  for (let i = 0; i < steps; i++) way.step();
  const finite = way.finish();
  return { seconds: (performance.now() - began) / 1000, finite };
};

// Train for about so many seconds, until compilers and caches are warm; return the steps per second of the last part.
globalThis.warm = (seconds) => {
  const began = performance.now();
  let rate, steps = 1;
  do {
    const one = run(steps).seconds;
    rate = steps / Math.max(one, 1e-4);
    steps = Math.max(1, Math.min(2 * steps, Math.round((rate * seconds) / 4)));
  } while (performance.now() - began < 1000 * seconds);
  return rate;
};

// Return the milliseconds between frames for so many seconds, of two at least; `each` is done in every one, as a page that trains there.
globalThis.frames = (seconds, each = () => {}) => new Promise((done) => {
  const times = [];
  requestAnimationFrame(function frame(now) {
    times.push(now);
    each();
    if (now - times[0] < 1000 * seconds || times.length < 3) requestAnimationFrame(frame);
    else done(times.slice(1).map((time, i) => time - times[i]));
  });
});
