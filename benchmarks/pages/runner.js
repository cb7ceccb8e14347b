/* global way */
// How time is taken in a page, the same for every way to train: `way.step` trains a step, `way.finish` waits until the
// last one is done and says whether all numbers are finite.

// Train; return the seconds that it took.
globalThis.run = (steps) => {
  const began = performance.now();
  for (let i = 0; i < steps; i++) way.step();
  const finite = way.finish();
  return { seconds: (performance.now() - began) / 1000, finite };
};

// Return the milliseconds between frames for so many seconds, of two at least; `each` is done in every one, as by a page
// that trains there.
globalThis.frames = (seconds, each = () => {}) => new Promise((done) => {
  const times = [];
  requestAnimationFrame(function frame(now) {
    times.push(now);
    each();
    if (now - times[0] < 1000 * seconds || times.length < 3) requestAnimationFrame(frame);
    else done(times.slice(1).map((time, i) => time - times[i]));
  });
});
