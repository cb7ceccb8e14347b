// The program of a worker that holds one run: settings come first, then jobs, one answer for each. A page that allows
// no workers takes the session from here and lets it work itself: the engine is in the page's script only once.
import { Session } from "./session.js";

let session;

self.Session = Session;
self.onmessage = ({ data: { settings, job } }) => {
  if (settings) {
    session = new Session(settings);
    return;
  }
  try {
    self.postMessage({ answer: session.run(job) });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
