// A page that does nothing but let a worker train.
let worker, steps = 0, time = 0, reported = [0, 0];

globalThis.start = (settings) => new Promise((ready) => {
  worker = new Worker("training_worker.js");
  worker.onmessage = ({ data }) => {
    [steps, time] = [data, performance.now()];
    ready();
  };
  worker.postMessage(settings);
});

// Steps per second since the last call.
globalThis.rate = () => {
  const [stepsBefore, timeBefore] = reported;
  reported = [steps, time];
  return (1000 * (steps - stepsBefore)) / (time - timeBefore);
};
