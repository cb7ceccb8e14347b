// The GAN lab: a GAN that is trained in the page while one looks on.
import { Controls, label } from "./controls.js";
import { Curves } from "./curves.js";
import { Diagram, phaseText } from "./diagram.js";
import { h, say } from "./dom.js";
import { meanings, picture, Table } from "./numbers.js";
import { heart, Pad } from "./pad.js";
import { Run } from "./run.js";
import { differences, isState, parse, preset, presetOf, presets, read, shown, write } from "./state.js";
import style from "./style.css";
import { background, isDark, watch } from "./theme.js";
import { COLORS } from "./view.js";
import { complete } from "../engine/index.js";

export { presets, read, write };

const FRAME = 14; // ms of training between two pictures: one picture for each frame of the screen
const CALM = 400; // the same for readers who asked for less motion
const CHARTS = 200; // ms between two drawings of the curves
const MOST = 200; // steps between two pictures, even if there is time for more: one wants to follow
const PART = 2600; // ms for each part of a step when slow motion plays by itself
const SPEEDS = [
  [1, "1 step a second"],
  [5, "5 steps a second"],
  [20, "20 steps a second"],
  [60, "60 steps a second"],
  [0, "as fast as possible"],
];
const LAYERS = [
  ["real", "real samples", true],
  ["fake", "fakes", true],
  ["surface", "D's output", true],
  ["manifold", "G's lattice", false],
  ["gradients", "gradients on fakes", false],
];

let count = 0; // labs on this page, for names of elements

class Lab {
  constructor(
    root,
    { settings, compare, compact = false, onchange, link, chapters = "", hash = !compact, worker = true } = {},
  ) {
    Object.assign(this, { root, compact, onchange, chapters, hash, options: { worker } });
    this.id = `gan-lab-${++count}`;
    this.playing = this.busy = this.slow = false;
    this.layers = Object.fromEntries(LAYERS.map(([name, , on]) => [name, on]));
    this.speed = 60;
    this.timing = { drawn: 0, longest: 0, total: 0 };
    this.editing = 0;
    this.seen = true;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.build(link);
    this.unwatch = watch(() => this.paint());
    this.onhash = () => this.restore();
    this.onhide = () => this.wake();
    this.onlink = (event) => this.follow(event);
    if (hash) {
      addEventListener("hashchange", this.onhash);
      document.addEventListener("click", this.onlink);
    }
    document.addEventListener("visibilitychange", this.onhide);
    this.observer = new IntersectionObserver((entries) => {
      this.seen = entries.at(-1).isIntersecting; // after a slow frame there are several, the newest last
      this.wake();
    });
    this.observer.observe(root);
    this.sizes = new ResizeObserver(() => this.dirty());
    this.paint();
    const a = complete(settings ?? {});
    this.first = [a, compare ? complete({ ...a, ...(compare === true ? {} : compare) }) : null];
    if (!hash || !this.restore()) this.begin(...this.first);
  }

  // ---- the page's elements -----------------------------------------------------------------------------------------

  build(link) {
    const { id, compact } = this;
    const button = (text, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, text);
    this.play = button("Play", () => this.toggle(), { class: "primary" });
    this.stepper = button("One step", () => this.pauseThen({ steps: 1 }));
    this.slower = button("Slow motion", () => this.setSlow(!this.slow), { "aria-pressed": "false" });
    this.seeder = button("Next seed", () => this.nextSeed());
    this.counter = h("output", { class: "step" }, "step 0");
    const speed = h(
      "select",
      {
        id: `${id}-speed`,
        onchange: () => {
          this.speed = Number(speed.value);
          this.since = null;
        },
      },
      ...SPEEDS.map(([value, text]) => h("option", { value, selected: value === this.speed }, text)),
    );
    const bar = h(
      "div",
      { class: "bar", role: "group", "aria-label": "Run" },
      this.play,
      this.stepper,
      compact ? "" : this.slower,
      button("Start again", () => this.again()),
      this.seeder,
      compact ? "" : h("span", { class: "pair" }, h("label", { for: speed.id }, "Speed"), speed),
      this.counter,
    );
    this.message = h("p", { class: "message", role: "alert", hidden: true });
    this.stage = h("div", { class: "runs" });
    this.table = new Table();
    this.list = h("p", { class: "differences", hidden: true });

    if (compact) {
      this.seed = h("input", {
        id: `${id}-seed`,
        type: "number",
        min: 0,
        max: 4294967295,
        step: 1,
        onchange: () => this.change("seed", parse("seed", this.seed.value)),
      });
      this.root.replaceChildren(
        h("style", {}, style),
        bar,
        h("div", { class: "row seed" }, h("label", { for: this.seed.id }, "Seed"), this.seed),
        this.message,
        this.list,
        h("div", { class: "body" }, this.stage, this.table.element),
        link ? h("p", {}, h("a", { href: link }, "Open in the lab")) : "",
      );
    } else this.buildWhole(bar, button);
    this.root.classList.add("gan-lab");
    this.root.classList.toggle("gl-compact", compact);
    this.root.setAttribute("role", "region");
    this.root.setAttribute("aria-label", compact ? `GAN lab ${count}` : "GAN lab");
  }

  buildWhole(bar, button) {
    const { id } = this;
    this.preset = h(
      "select",
      { id: `${id}-preset`, onchange: () => this.choose(this.preset.value) },
      h("option", { value: "" }, "your own settings"),
      ...Object.entries(presets).map(([name, { title }]) => h("option", { value: name }, title)),
    );
    this.look = h("p", { class: "look", "aria-live": "polite" });
    this.layerBox = h(
      "fieldset",
      { class: "layers" },
      h("legend", {}, "Show"),
      ...LAYERS.map(([name, text, on]) =>
        h(
          "label",
          { class: `layer-${name}` },
          h("input", {
            type: "checkbox",
            checked: on,
            name: `layer-${name}`,
            onchange: ({ target }) => {
              this.layers[name] = target.checked;
              this.refresh();
            },
          }),
          h("span", { class: "swatch", "aria-hidden": "true" }),
          text,
        ),
      ),
    );

    this.meaning = h("details", { class: "group meaning" }, h("summary", {}, "What the numbers mean"), meanings());
    this.help = h("details", { class: "group meaning" }, h("summary", {}, "What the picture shows"), picture());
    this.diagram = new Diagram();
    this.phase = h("p", { class: "phase", "aria-live": "polite" });
    this.slowPlay = button("Play the parts", () => this.toggleParts());
    this.slowPanel = h(
      "section",
      { class: "slow", "aria-label": "Slow motion", hidden: true },
      this.diagram.element,
      h(
        "div",
        {},
        h(
          "div",
          { class: "bar" },
          button("Next part", () => this.nextPart()),
          this.slowPlay,
        ),
        this.phase,
      ),
    );

    this.curves = new Curves();
    this.controls = new Controls(id, (name, value) => this.change(name, value));
    this.pad = new Pad(id, (drawing) => this.change("drawing", drawing));
    this.controls.groups[0].querySelector(".gl-rows").after(this.pad.element);
    this.compareBox = h("input", {
      type: "checkbox",
      id: `${id}-compare`,
      onchange: () => this.setCompare(this.compareBox.checked),
    });
    this.tabs = ["A", "B"].map((name, i) => button(`Settings of ${name}`, () => this.edit(i)));
    this.tabBar = h(
      "div",
      { class: "bar", role: "group", "aria-label": "Which run the settings belong to", hidden: true },
      ...this.tabs,
    );
    this.printed = h("p", { class: "printed" });
    this.address = h("input", { type: "text", readonly: true, id: `${id}-address` });
    this.copied = h("output", {});
    this.body = h(
      "div",
      { class: "body" },
      this.stage,
      h("div", { class: "watch" }, this.layerBox, this.table.element, this.meaning, this.help),
      h(
        "div",
        { class: "settings" },
        h(
          "div",
          { class: "bar" },
          h("label", { class: "check", for: this.compareBox.id }, this.compareBox, "Compare two runs"),
          this.tabBar,
        ),
        this.list,
        this.controls.element,
      ),
      this.curves.element,
    );
    this.root.replaceChildren(
      h("style", {}, style),
      h("div", { class: "bar top" }, h("label", { for: this.preset.id }, "Experiment"), this.preset, this.look),
      bar,
      this.message,
      this.slowPanel,
      this.body,
      h(
        "div",
        { class: "bar share" },
        h("label", { for: this.address.id }, "Link to this experiment"),
        this.address,
        button("Copy link", () => this.copy()),
        this.copied,
      ),
      this.printed,
    );
  }

  // ---- settings ----------------------------------------------------------------------------------------------------

  /** Begin with complete settings: of one run, or of two. */
  begin(a, b = null) {
    this.turn = (this.turn ?? 0) + 1;
    Object.assign(this, { busy: false, queue: [] });
    this.stop(false);
    const all = b ? [a, b] : [a];
    if (this.runs?.length !== all.length) {
      this.runs?.forEach((run) => run.end());
      this.runs = all.map((_, i) => new Run("AB"[i], { ...this.options, runs: all.length }));
      this.stage.replaceChildren(...this.runs.map((run) => run.element));
      this.sizes.disconnect();
      this.runs.forEach((run) => this.sizes.observe(run.canvas));
    }
    all.forEach((settings, i) => this.runs[i].begin(settings));
    this.editing = Math.min(this.editing, all.length - 1);
    this.stage.classList.toggle("gl-two", all.length === 2);
    this.nameRuns(a, b);
    if (this.compact) this.seed.value = a.seed;
    else this.showSettings();
    this.table.draw(this.runs); // it has its height before there are numbers
    this.refresh();
  }

  /** Which run is which, and in what they differ. */
  nameRuns(a, b) {
    this.list.hidden = !b;
    if (b) {
      const differ = differences(a, b);
      const name = (key) => label[key] ?? key;
      const text = differ.map((key) =>
        key === "drawing" ? "the drawing" : `${name(key)}: A ${shown(a[key])}, B ${shown(b[key])}`,
      );
      this.list.textContent = text.length
        ? `A and B differ in: ${text.join("; ")}.${a.seed === b.seed ? " Same seed." : ""}`
        : `A and B have the same settings.${this.compact ? "" : " Change one of B: everything else stays equal."}`;
    }
    this.runs.forEach((run) => {
      run.title.hidden = !b;
      say(run.title, `Run ${run.name}`);
      run.element.setAttribute("aria-label", `Run ${run.name}`);
    });
  }

  showSettings() {
    const all = this.runs.map((run) => run.settings);
    const [a, b] = all;
    const current = all[this.editing];
    this.controls.show(current);
    this.pad.element.hidden = current.data !== "drawn" || current.game !== "points";
    if (!this.pad.element.hidden) this.pad.show(current.drawing, this.colors);
    const name = presetOf(current);
    this.preset.value = name;
    this.tellPreset(name);
    this.controls.mark(b ? differences(a, b) : []);
    this.compareBox.checked = Boolean(b);
    this.tabBar.hidden = !b;
    this.tabs.forEach((tab, i) => tab.setAttribute("aria-pressed", String(i === this.editing)));
    const game = all.every(({ game }) => game === "dirac");
    this.curves.choose(all);
    for (const part of [this.layerBox, this.meaning, this.help, this.seeder]) part.hidden = game;
    this.slower.hidden = game || all.some((s) => s.game === "dirac");
    if (this.slower.hidden) this.setSlow(false);
    const told = (settings) =>
      differences(complete({}), settings)
        .map((key) => `${key} ${shown(settings[key])}`)
        .join(", ");
    this.printed.textContent = all
      .map(
        (s, i) =>
          `Settings${b ? ` of ${"AB"[i]}` : ""}, where they differ from the lab's defaults: ${told(s) || "none"}.`,
      )
      .join(" ");
    this.address.value = location.href.replace(/#.*/, "") + write(a, b);
  }

  tellPreset(name) {
    if (name === this.told) return; // what stands there already is not to be announced again
    this.told = name;
    const { text, chapter } = presets[name] ?? {};
    this.look.replaceChildren(
      ...(text
        ? [text]
        : ["Every change starts the run again at step 0, so that the link below always holds the whole experiment."]),
      ...(chapter && this.chapters !== null
        ? [" ", h("a", { href: `${this.chapters}${chapter}.html` }, "Read the chapter")]
        : []),
    );
  }

  /** Take a new value of the run that is being edited, or tell why not. */
  change(name, value) {
    const all = this.runs.map((run) => run.settings);
    const changed = { ...all[this.editing], [name]: value };
    if (changed.data === "drawn" && !changed.drawing) changed.drawing = heart();
    if (changed.decay_from && changed.decay_from >= changed.steps) {
      if (name === "steps") changed.decay_from = 0;
      else changed.steps = 2 * changed.decay_from;
    }
    try {
      all[this.editing] = complete(changed);
      this.warn("");
    } catch (error) {
      this.warn(`${error.message}. The setting stays as it was.`);
      if (this.compact) this.seed.value = all[0].seed;
      else this.controls.show(all[this.editing]);
      return;
    }
    this.restart(all);
  }

  /** Begin anew with what the reader changed, and go on playing if it played. */
  restart(all) {
    const { playing } = this;
    this.begin(...all);
    this.changed();
    if (playing) this.toggle();
  }

  /** Tell others: the address and the one who embedded the lab. */
  changed() {
    const [a, b] = this.runs.map((run) => run.settings);
    if (this.hash) {
      history.replaceState(history.state, "", write(a, b) || location.pathname + location.search);
    }
    this.onchange?.(a, b);
  }

  choose(name) {
    if (!name) return;
    const all = this.runs.map((run) => run.settings);
    all[this.editing] = preset(name);
    this.warn("");
    this.begin(...all);
    this.changed();
  }

  setCompare(on) {
    const { settings } = this.runs[0];
    this.editing = on ? 1 : 0;
    this.begin(settings, on ? { ...settings } : null);
    this.changed();
  }

  edit(i) {
    this.editing = i;
    this.showSettings();
  }

  /** Take the experiment from the address; whether there was one. A fragment may also be the name of a heading. */
  restore() {
    if (!isState(location.hash) && (location.hash || !this.runs)) return false;
    const [first, second] = this.first;
    const { a, b, messages } = location.hash ? read(location.hash) : { a: first, b: second, messages: [] };
    const same = this.runs && write(a, b) === write(...this.runs.map((run) => run.settings));
    this.warn(messages.join(" "));
    if (!same) this.begin(a, b);
    return true;
  }

  /** After a link in the page's text that sets the lab: go to where it can be seen, and played by keyboard. */
  follow(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const here = ({ origin, pathname, search }) => origin + pathname + search;
    if (here(link) !== here(location) || !isState(link.hash)) return;
    this.root.scrollIntoView({ behavior: this.calm.matches ? "auto" : "smooth" });
    this.play.focus({ preventScroll: true });
  }

  warn(text) {
    this.message.hidden = !text;
    say(this.message, text);
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.address.value);
      say(this.copied, "Copied.");
    } catch {
      // a page in a frame may not write to the clipboard
      this.address.select();
      say(this.copied, document.execCommand("copy") ? "Copied." : "Press Ctrl+C to copy the marked link.");
    }
  }

  // ---- playing -----------------------------------------------------------------------------------------------------

  toggle() {
    if (this.playing) this.stop();
    else {
      if (this.runs.every((run) => run.over)) {
        const ended = this.runs.every(({ diverged }) => diverged === null);
        const where = ended ? " at its last step (“Stop at step”)" : "";
        this.warn(`The run has ended${where}: “Start again” or a new setting begins another.`);
        return;
      }
      this.setParts(false);
      this.playing = true;
      this.since = null;
      say(this.play, "Pause");
      this.wake();
    }
  }

  stop(look = this.playing) {
    this.playing = false;
    this.setParts(false);
    say(this.play, "Play");
    if (look) this.refresh(); // a picture with all that was left out while there was no time
  }

  /** The next seed, for both runs if they had the same. */
  nextSeed() {
    this.warn("");
    const all = this.runs.map((run) => run.settings);
    const { seed } = all[this.editing];
    this.restart(all.map((s) => (s.seed === seed ? { ...s, seed: (seed + 1) % 2 ** 32 } : s)));
  }

  again() {
    this.warn("");
    this.begin(...this.runs.map((run) => run.settings));
  }

  async pauseThen(job) {
    this.stop();
    await this.work(job);
  }

  // One job at a time; what is asked for meanwhile waits. A run that begins anew forgets what was asked before.
  async work(job) {
    if (this.busy) {
      if (!this.playing && (job.steps || job.phase || !this.queue.length)) this.queue.push(job);
      return;
    }
    this.busy = true;
    const { turn } = this;
    const asked = performance.now();
    const { surface, manifold, gradients } = this.layers;
    try {
      await Promise.all(
        this.runs.map((run) => run.ask({ fresh: !this.playing, ...job, view: { surface, manifold, gradients } })),
      );
    } catch (error) {
      if (turn === this.turn) this.warn(`The run had to stop: ${error.message}`);
      this.playing = false;
    }
    if (turn !== this.turn) return;
    this.busy = false;
    if (this.playing && this.runs.every((run) => run.over)) this.stop();
    this.dirty();
    if (this.queue.length) await this.work(this.queue.shift());
    else if (this.playing && !this.speed && performance.now() - asked > FRAME / 2) this.advance(performance.now());
    // Where an answer was quick, the next frame asks for more: nobody sees pictures between two frames.
  }

  /** Ask for a whole picture of the present state. */
  refresh() {
    return this.work({ steps: 0 });
  }

  advance(now) {
    if (this.busy || !this.playing || !this.awake) return;
    let steps;
    const target = this.calm.matches ? CALM : FRAME;
    if (this.speed) {
      this.since ??= { now, made: 0 };
      steps = Math.floor(((now - this.since.now) / 1000) * this.speed) - this.since.made;
      const wait = this.calm.matches ? (CALM / 1000) * this.speed : 1;
      if (steps < wait) return;
      // A machine that cannot keep up does not try to catch up.
      const most = this.most(2 * target);
      if (steps > most) {
        this.since = null;
        steps = most;
      } else this.since.made += steps;
    } else steps = this.most(target);
    this.work({ steps });
  }

  /** How many steps of all runs fit into so many ms, by their last pace; a picture costs less than what it shows. */
  most(ms) {
    const pace = Math.max(...this.runs.map((run) => run.pace || 0));
    const shown = Math.max(...this.runs.map((run) => run.shown || 0));
    return pace ? Math.max(1, Math.min(MOST, Math.floor(Math.max(ms, 2 * shown) / pace))) : 1;
  }

  // ---- slow motion -------------------------------------------------------------------------------------------------

  setSlow(on) {
    if (on === this.slow) return;
    this.slow = on;
    this.slower.setAttribute("aria-pressed", String(on));
    this.slowPanel.hidden = !on;
    if (on) this.stop();
    this.setParts(false);
    this.tellPart();
  }

  nextPart() {
    if (this.playing) this.stop();
    return this.work({ phase: true });
  }

  setParts(on) {
    clearInterval(this.parts);
    this.parts = on ? setInterval(() => this.awake && this.nextPart(), PART) : null;
    if (this.slowPlay) say(this.slowPlay, on ? "Pause the parts" : "Play the parts");
  }

  toggleParts() {
    const on = !this.parts;
    if (on) this.nextPart();
    this.setParts(on);
  }

  tellPart() {
    if (!this.slow) return;
    const { part, settings } = this.runs[this.editing];
    this.diagram.show(part);
    say(this.phase, phaseText(part, settings));
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  get awake() {
    return this.seen && !document.hidden;
  }

  dirty() {
    this.pictureDue = this.chartsDue = true;
    this.wake();
  }

  wake() {
    if (!this.ended && this.awake && !this.request && (this.playing || this.pictureDue || this.chartsDue)) {
      this.request = requestAnimationFrame((now) => this.frame(now));
    }
  }

  frame(now) {
    this.request = 0;
    if (this.ended) return;
    const begun = performance.now();
    // One of the two in a frame. While playing there may be a new picture for each: the curves then take a turn.
    const turn = this.playing ? now - (this.charted ?? -Infinity) > CHARTS : !this.pictureDue;
    if (this.chartsDue && turn) {
      this.chartsDue = false;
      this.charted = now;
      this.showNumbers(now);
    } else if (this.pictureDue) {
      this.pictureDue = false;
      this.runs.forEach((run) => run.draw(this.layers, this.colors));
      this.timing.drawn++;
    }
    const took = performance.now() - begun;
    this.timing.total += took;
    this.timing.longest = Math.max(this.timing.longest, took);
    this.advance(now);
    this.wake();
  }

  paint() {
    const paper = background(this.root);
    const scheme = isDark(paper) ? "dark" : "light";
    this.colors = { ...COLORS[scheme], paper };
    this.root.dataset.scheme = scheme;
    this.root.style.setProperty("--paper", `rgb(${paper})`);
    if (this.pad && !this.pad.element.hidden) this.pad.show(this.runs[this.editing].settings.drawing, this.colors);
    if (this.runs) this.dirty();
  }

  showNumbers(now) {
    const { runs } = this;
    for (const run of runs) {
      run.tell(now, this.playing);
      run.key(this.layers, this.colors);
      if (!this.playing) run.describe();
    }
    const steps = runs.map((run) => `${run.step}${run.over ? ", the end" : ""}`);
    say(this.counter, new Set(steps).size > 1 ? `steps: A ${steps[0]}; B ${steps[1]}` : `step ${steps[0]}`);
    this.tellPart();
    this.table.draw(runs);
    if (!this.compact) this.curves.draw(runs, !this.playing);
    const over = runs.every((run) => run.over);
    this.play.setAttribute("aria-disabled", String(over)); // not `disabled`, which would take the keyboard's place away
  }

  destroy() {
    this.ended = true;
    this.turn++;
    this.stop(false);
    cancelAnimationFrame(this.request);
    this.runs.forEach((run) => run.end());
    this.unwatch();
    this.observer.disconnect();
    this.sizes.disconnect();
    removeEventListener("hashchange", this.onhash);
    document.removeEventListener("click", this.onlink);
    document.removeEventListener("visibilitychange", this.onhide);
    this.root.replaceChildren();
    this.root.classList.remove("gan-lab", "gl-compact");
  }
}

/**
 * Build the lab inside an element.
 *
 * @param {HTMLElement} element its content is replaced
 * @param {object} [options] `settings`: of the experiment, those that differ from the defaults; `compare`: true, or the
 *   settings in which a second run differs; `compact`: the short form for chapters, with `link` as the address of the
 *   whole lab; `onchange(a, b)`: called after each change by the reader with complete settings (b: null or the
 *   second run's);
 *   `chapters`: what comes before the address of a chapter, or null for no links; `hash`: whether the page's fragment
 *   holds the experiment (so in the whole form); `worker`: false to train on the page itself
 * @returns {{destroy: function(), settings: function(): object, set: function(object, object=),
 *   state: function(): object}}
 */
export function render(element, options) {
  const lab = new Lab(element, options);
  return {
    destroy: () => lab.destroy(),
    settings: () => lab.runs[0].settings,
    set: (a, b = null) => lab.begin(complete(a), b && complete(b)),
    /** What is measured at this moment, for tests and benchmarks. */
    state: () => ({
      playing: lab.playing,
      busy: lab.busy,
      due: Boolean(lab.pictureDue || lab.chartsDue),
      timing: { ...lab.timing },
      runs: lab.runs.map(({ name, settings, step, diverged, over, measure, snapshot, radius, ids, runner }) => ({
        name,
        settings,
        step,
        diverged,
        over,
        measure,
        snapshot,
        radius,
        ids,
        mode: runner.mode,
      })),
    }),
  };
}
