// Lets a run work without holding up the page: in a worker, whose program this script carries as text, or in slices.
import program from "./program.js";

/** A session on the page itself. */
function sessionHere(settings) {
  const scope = {};
  program(scope);
  return new scope.Session(settings);
}

const SLICE = 8; // ms at a time on the page itself: what is left of a frame is for drawing

/** One of so many `runs`; `ask(job)` promises the answer. Only one job at a time. */
export class Runner {
  constructor(settings, { worker = true, runs = 1 } = {}) {
    this.settings = settings;
    this.share = SLICE / runs;
    this.mode = "slices";
    if (worker) this.start();
    if (this.mode === "slices") this.session = sessionHere(settings);
  }

  start() {
    const url = (this.url = URL.createObjectURL(new Blob([`(${program})(self)`], { type: "text/javascript" })));
    try {
      this.worker = new Worker(url);
    } catch {
      // a page may forbid workers
      URL.revokeObjectURL(url);
      return;
    }
    this.mode = "worker";
    this.worker.onmessage = ({ data: { answer, error } }) => {
      URL.revokeObjectURL(url);
      this.alive = true;
      const { resolve, reject } = this.waiting;
      this.waiting = null;
      if (error) reject(new Error(error));
      else resolve(answer);
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      if (this.alive) this.waiting?.reject(new Error(event.message));
      else this.instead(); // it never began: a policy of the page forbids it
    };
    this.worker.postMessage({ settings: this.settings });
  }

  instead() {
    this.worker.terminate();
    this.worker = null;
    this.mode = "slices";
    this.session = sessionHere(this.settings);
    if (this.waiting) this.slice(this.waiting.job).then(this.waiting.resolve, this.waiting.reject);
  }

  ask(job) {
    if (!this.worker) return this.slice(job);
    return new Promise((resolve, reject) => {
      this.waiting = { job, resolve, reject };
      this.worker.postMessage({ job });
    });
  }

  async slice(job) {
    const work = this.session.work(job);
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve)); // frames are drawn here
      if (this.ended) return new Promise(() => {}); // nobody waits for it any more
      const until = performance.now() + this.share;
      do {
        const { value, done } = work.next();
        if (done) return value;
      } while (performance.now() < until);
    }
  }

  end() {
    this.ended = true;
    this.worker?.terminate();
    URL.revokeObjectURL(this.url); // a worker that ends before its first answer
  }
}
