#!/usr/bin/env python3
"""Compare the engine of the browser's lab with that of GAN Lab: the same training, in the same browser, in turns.

    ours          lab/src/engine, plain JavaScript
    GAN Lab       its own networks, losses, optimisers and inputs, on each backend that the browser offers it
    TensorFlow.js our loop for its current version, on each of its backends (with --tfjs)

GAN Lab (Kahng et al., 2019) is taken from a checkout of its repository, given by `--ganlab`; the version of
TensorFlow.js that it locks comes from npm. Without it ours runs alone. The experiment is the default of GAN
Lab, at several widths, with SGD and with Adam; nothing is drawn. Each way has a page of its own in a headless
Chromium, is warmed up, and then takes its turn in every round; `--threads` is the number of cores that the browser may
use, and a turn takes the processor time of its busiest thread (see `measure`). A second table holds the frames that a
page shows on one core while it trains.

Writes book/results/benchmark_lab.json and benchmark_lab_frames.json. Needs Playwright, Chromium, and `npm ci` in lab/;
where one of them is missing it says so and writes nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script's path holds its own folder only

from benchmarks import common  # noqa: E402

NAME = "benchmark_lab"
ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "benchmarks" / "pages"
BUILT = ROOT / "gan_course" / "notebook" / "browser" / "lab.js"  # the lab that readers get
ESBUILD = ROOT / "lab" / "node_modules" / ".bin" / "esbuild"
OURS, GANLAB, TFJS = "ours", "GAN Lab", "TensorFlow.js"
MODELS = ("ganlab_models", "ganlab_input_providers")  # what of GAN Lab trains
TFJS_VERSION = "4.22.0"
WIDTHS = (8, 16, 32, 64, 128)  # GAN Lab begins with 8, and takes up to 100
# The default experiment of GAN Lab, in the names of our settings. Adam's rate is one of its choices: with the
# rate of SGD it diverges.
EXPERIMENT = {
    "data": "gaussians", "noise": "uniform", "latent_dim": 2, "layers_g": 2, "layers_d": 2, "slope_g": 0,
    "loss": "non-saturating", "batch": 150, "n_critic": 2, "n_generator": 1, "beta1": 0.9, "beta2": 0.999,
}  # fmt: skip
RATES = {"sgd": 0.1, "adam": 0.001}
FRAME = 1000 / 60  # ms
MISSED = 1.5 * FRAME  # above it, at least one picture was shown twice
# WebGL without a graphics card: SwiftShader computes it on the processor. It would compute what a page shows, too, far
# more slowly than Chromium does without it.
SWIFTSHADER = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@dataclass(frozen=True)
class Way:
    """A way to train: the program of its page, and the backend that it is asked for."""

    name: str
    page: str
    backend: str | None = None


def ways(ganlab: bool, tfjs: bool) -> list[Way]:
    """Return ours and those that are asked for."""
    found = [Way(OURS, "ours")]
    found += [Way(f"{GANLAB}, {backend}", "ganlab", backend) for backend in ("webgl", "cpu") if ganlab]
    found += [Way(f"{TFJS}, {backend}", "tfjs", backend) for backend in ("wasm", "webgl", "cpu") if tfjs]
    return found


def settings(optimizer: str, width: int) -> dict[str, Any]:
    """Return the settings of one experiment."""
    both = {"width": width, "lr": RATES[optimizer], "optimizer": optimizer}
    return EXPERIMENT | {f"{name}_{player}": value for name, value in both.items() for player in "gd"}


# --- pages ------------------------------------------------------------------------------------------


def bundle(source: Path, target: Path, modules: Path | None = None, **alias: Path) -> None:
    """Bundle a page's program with all that it imports; ``modules`` holds what comes from npm."""
    options = ["--bundle", "--format=iife", "--log-level=error", f"--outfile={target}"]
    options += ['--tsconfig-raw={"compilerOptions":{"useDefineForClassFields":false}}']  # as TypeScript was in 2018
    options += [f"--alias:{name}={path}" for name, path in alias.items()]
    environment = os.environ | ({"NODE_PATH": str(modules)} if modules else {})
    done = subprocess.run([ESBUILD, source, *options], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"esbuild cannot bundle {source.name}: {done.stderr.strip()}")


def write_page(folder: Path, name: str) -> None:
    """Write the page ``name``.html, which runs the program of its name and what takes its time."""
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>{name}</title>'
    scripts = "".join(f'<script src="{script}.js"></script>' for script in ("runner", name))
    (folder / f"{name}.html").write_text(f'{head}<body><div id="root"></div>{scripts}</body></html>\n')


def install(folder: Path, *packages: str) -> Path:
    """Install packages, "name@version", from npm into a folder; return where the modules are."""
    folder.mkdir(exist_ok=True)
    command = ["npm", "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    done = subprocess.run([*command, *packages], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"npm cannot install {', '.join(packages)}: {done.stderr.strip().splitlines()[-1]}")
    return folder / "node_modules"


def locked(checkout: Path, package: str) -> str:
    """Return the version of a package that a checkout's yarn.lock names."""
    found = re.search(rf'^"?{re.escape(package)}@.*:\n\s+version "(.+)"', (checkout / "yarn.lock").read_text(), re.M)
    if found is None:
        raise RuntimeError(f"{checkout}/yarn.lock names no version of {package}")
    return found[1]


def make_pages(folder: Path, ganlab: Path | None, tfjs: bool) -> dict[str, str]:
    """Write all pages that are needed into ``folder``; return the versions of what they hold."""
    versions = {}
    shutil.copy(PAGES / "runner.js", folder)
    bundle(PAGES / "ours.js", folder / "ours.js")
    bundle(PAGES / "worker.js", folder / "worker.js")
    bundle(PAGES / "training_worker.js", folder / "training_worker.js")
    if ganlab:
        core = "@tensorflow/tfjs-core"
        version = locked(ganlab, core)
        versions["GAN Lab"] = json.loads((ganlab / "package.json").read_text())["version"]
        versions["tfjs-core of GAN Lab"] = version
        modules = install(folder / "ganlab_npm", f"{core}@{version}")
        sources = folder / "ganlab_sources"
        sources.mkdir()
        for name in MODELS:
            shutil.copy(ganlab / "demo" / f"{name}.ts", sources)
        bundle(PAGES / "ganlab.js", folder / "ganlab.js", modules, ganlab=sources)
    if tfjs:
        parts = ("core", "backend-cpu", "backend-webgl", "backend-wasm")
        modules = install(folder / "tfjs_npm", *(f"@tensorflow/tfjs-{part}@{TFJS_VERSION}" for part in parts))
        versions["tfjs"] = TFJS_VERSION
        bundle(PAGES / "tfjs.js", folder / "tfjs.js", modules)
        for file in (modules / "@tensorflow" / "tfjs-backend-wasm" / "dist").glob("*.wasm"):
            shutil.copy(file, folder)
    shutil.copy(BUILT, folder)
    for name in ("ours", "worker", "lab", *["ganlab"] * bool(ganlab), *["tfjs"] * tfjs):
        write_page(folder, name)
    return versions


@contextmanager
def pinned(cores: int) -> Iterator[None]:
    """What is started inside runs on so many cores; where the system cannot do it, all must be asked for."""
    if not hasattr(os, "sched_setaffinity"):
        if cores < (os.cpu_count() or 1):
            raise RuntimeError(f"this system cannot hold a program on {cores} core(s)")
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def chromium(cores: int, webgl: bool = False) -> Iterator[Any]:
    """Start a headless Chromium on so many cores, with WebGL on the processor if asked for."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    manager = sync_playwright()
    with pinned(cores):
        playwright = manager.start()
        flags = ["--no-sandbox", *SWIFTSHADER * webgl]  # it may run as root
        browser = playwright.chromium.launch(executable_path=program, args=flags)
    try:
        yield browser
    finally:
        browser.close()
        playwright.stop()


def opened(browser: Any, address: str) -> Any:
    """Open a page in a context of its own; what its program throws is raised by the next call."""
    made = browser.new_context().new_page()
    made.goto(address)
    return made


def thread_seconds(browser: Any) -> dict[str, float]:
    """Return the processor time that each thread of a browser has had, by its place in /proc; nothing without it."""
    session = browser.new_browser_cdp_session()
    found = {}
    for process in session.send("SystemInfo.getProcessInfo")["processInfo"]:
        for thread in Path(f"/proc/{process['id']}/task").glob("*/schedstat"):
            with suppress(OSError):  # a thread may end meanwhile
                found[str(thread)] = int(thread.read_text().split()[0]) / 1e9
    session.detach()
    return found


# --- training ---------------------------------------------------------------------------------------


def measure(
    browser: Any, address: str, chosen: list[Way], asked: dict[str, Any], cores: int, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Train with all ways in turn, about ``seconds`` in each turn; return a row per way.

    What other programs do at the same time does not count: a turn takes the processor time of its busiest thread, or of
    all threads shared among the cores if that is more. On idle cores it could not be done in less. Where the system
    tells no such times it is the clock's, which a row holds in any case.
    """
    pages, steps = {}, {}
    per_step: dict[str, list[float]] = {way.name: [] for way in chosen}
    clock: dict[str, list[float]] = {way.name: [] for way in chosen}
    finite = dict.fromkeys(per_step, True)

    def turn(name: str) -> float:
        before = thread_seconds(browser)
        done = pages[name].evaluate("(steps) => run(steps)", steps[name])
        after = thread_seconds(browser)
        spent = [took - before.get(thread, 0.0) for thread, took in after.items()]
        needed = max(max(spent), sum(spent) / cores) if spent else max(done["seconds"], 1e-4)  # the clock's grain
        per_step[name].append(needed / steps[name])
        clock[name].append(done["seconds"] / steps[name])
        finite[name] &= done["finite"]
        return needed

    for way in chosen:
        pages[way.name] = opened(browser, f"{address}/{way.page}.html")
        backend = pages[way.name].evaluate("([s, b]) => way.prepare(s, b)", [asked, way.backend])
        if backend != way.backend:
            raise RuntimeError(f"{way.name}: the browser offers no {way.backend}, but {backend}")
        steps[way.name], warm = 1, 0.0
        while warm < 2 * seconds:  # until compilers and caches are warm
            needed = turn(way.name)
            warm += needed
            steps[way.name] = max(1, min(2 * steps[way.name], round(seconds * steps[way.name] / needed)))
        per_step[way.name].clear(), clock[way.name].clear()
    common.alternate({name: lambda name=name: turn(name) for name in pages}, rounds)
    for opened_page in pages.values():
        opened_page.context.close()
    rows = []
    for name, times in per_step.items():
        times = times[1:]  # the first round warms up
        row = {"way": name, "steps": steps[name], "finite": finite[name]}
        row |= common.spread("steps_per_second", [1 / t for t in times])
        row |= common.spread("by_the_clock", [1 / t for t in clock[name][1:]])
        row |= common.spread("slower_than_ours", common.ratios(times, per_step[OURS][1:]))
        rows.append(row)
    return rows


def disagreement(browser: Any, address: str, way: Way, asked: dict[str, Any]) -> float:
    """Train one step by ours and by our loop for TensorFlow.js, from the same parameters and on the same batches.

    Returns the greatest difference between parameters afterwards, over the greatest change of one.
    """
    ours, theirs = (opened(browser, f"{address}/{name}.html") for name in ("ours", way.page))
    ours.evaluate("(settings) => way.prepare(settings)", asked)
    theirs.evaluate("([s, b]) => way.prepare(s, b)", [asked, way.backend])
    before = ours.evaluate("() => way.parameters()")
    theirs.evaluate("(parameters) => way.load(parameters)", before)
    theirs.evaluate("(batches) => way.stepOn(batches)", ours.evaluate("() => way.drawn()"))
    after, other = (shown.evaluate("() => way.parameters()") for shown in (ours, theirs))
    ours.context.close(), theirs.context.close()
    start, mine, its = (np.concatenate(parts) for parts in (before, after, other))
    return float(abs(mine - its).max() / abs(mine - start).max())


def opponent(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the faster of GAN Lab's ways among the rows of one experiment, None if it was not measured."""
    theirs = [row for row in rows if row["way"].startswith(GANLAB)]
    return min(theirs, key=lambda row: row["slower_than_ours"], default=None)


def show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        wrong = "" if row["finite"] else ", NOT FINITE"
        print(
            f"{row['optimizer']:5} width {row['width']:4} {row['way']:22}"
            f" {common.cell(row, 'steps_per_second', 1):>32} steps/s"
            f" {common.cell(row, 'slower_than_ours'):>28} times as long as ours{wrong}",
            flush=True,
        )


# --- frames -----------------------------------------------------------------------------------------


def frame_times(deltas: list[float]) -> dict[str, float]:
    """Summarise the milliseconds between frames: median, two percentiles, and shares of late ones.

    ``above_budget`` counts what took longer than a sixtieth of a second, 0.1 ms of the clock's grain allowed;
    ``missed`` what took so much longer that a picture was shown twice.
    """
    if len(deltas) < 2:
        raise ValueError(f"deltas must hold at least two frames, got {len(deltas)}")
    cuts = statistics.quantiles(deltas, n=100, method="inclusive")
    return {
        "frame_ms": statistics.median(deltas),
        "frame_ms_95": cuts[94],
        "frame_ms_99": cuts[98],
        "above_budget": sum(delta > FRAME + 0.1 for delta in deltas) / len(deltas),
        "missed": sum(delta > MISSED for delta in deltas) / len(deltas),
    }


# What trains while frames are counted.
TRAINED = {
    "width 32, batch 128": {"width_g": 32, "width_d": 32, "batch": 128},
    "width 128, batch 256": {"width_g": 128, "width_d": 128, "batch": 256},
}


def idle_turn(page: Any, asked: None, seconds: float) -> dict[str, float]:
    """Count frames while nothing trains: the best that can be had."""
    return frame_times(page.evaluate("(seconds) => frames(seconds)", seconds))


def worker_turn(page: Any, asked: dict[str, Any], seconds: float) -> dict[str, float]:
    """Count frames of an empty page while a worker trains."""
    page.evaluate("(settings) => start(settings)", asked)
    page.evaluate("() => frames(1)")
    page.evaluate("() => rate()")
    found = frame_times(page.evaluate("(seconds) => frames(seconds)", seconds))
    return found | {"steps_per_second": page.evaluate("() => rate()")}


def lab_turn(page: Any, asked: dict[str, Any], seconds: float) -> dict[str, float]:
    """Count frames of the lab as the package ships it, played as fast as it can; `picture_ms` is for one drawing."""
    page.evaluate("(settings) => { window.lab = GanLab.render(root, { settings }); }", asked)
    page.locator("select[id$=-speed]").select_option("0")
    page.get_by_role("button", name="Play", exact=True).click()
    page.evaluate("() => frames(1)")
    before = page.evaluate("() => [lab.state().runs[0].step, performance.now(), lab.state().timing]")
    found = frame_times(page.evaluate("(seconds) => frames(seconds)", seconds))
    after = page.evaluate("() => [lab.state().runs[0].step, performance.now(), lab.state().timing]")
    drawn, total = (after[2][name] - before[2][name] for name in ("drawn", "total"))
    return found | {
        "steps_per_second": 1000 * (after[0] - before[0]) / (after[1] - before[1]),
        "picture_ms": total / max(drawn, 1),
    }


def ganlab_turn(page: Any, asked: dict[str, Any], seconds: float) -> dict[str, float]:
    """Count frames of a page that trains as GAN Lab does: one iteration in every frame, on the page's thread."""
    page.evaluate("(settings) => way.prepare(settings, 'cpu')", asked)
    page.evaluate("() => frames(1, way.step)")
    deltas = page.evaluate("(seconds) => frames(seconds, way.step)", seconds)
    return frame_times(deltas) | {"steps_per_second": 1000 * len(deltas) / sum(deltas)}


def measure_frames(browser: Any, address: str, ganlab: bool, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Count frames with all kinds of training in turn, each in a new page; return a row for each kind."""
    turns: dict[tuple[str, str], tuple[str, Callable[..., dict[str, float]], Any]] = {}
    turns["nothing", ""] = "worker", idle_turn, None
    for trained, asked in TRAINED.items():
        turns["the engine in a worker", trained] = "worker", worker_turn, asked
        turns["the whole lab", trained] = "lab", lab_turn, asked
    if ganlab:
        for width in (WIDTHS[0], 32):
            trained = f"width {width}, batch {EXPERIMENT['batch']}"
            turns[f"{GANLAB}, cpu, nothing drawn", trained] = "ganlab", ganlab_turn, settings("sgd", width)
    found: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in turns}
    for _ in range(rounds):
        for key, (name, turn, asked) in turns.items():
            page = opened(browser, f"{address}/{name}.html")
            found[key].append(turn(page, asked, seconds))
            page.context.close()
    rows = []
    for (way, trained), rounds_of in found.items():
        row: dict[str, Any] = {"way": way, "trained": trained}
        for name in rounds_of[0]:
            row |= common.spread(name, [one[name] for one in rounds_of])
        rows.append(row)
    return rows


def show_frames(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        rate = common.cell(row, "steps_per_second", 0) if "steps_per_second" in row else ""
        print(
            f"{row['way']:54} {row['trained']:22} frame {row['frame_ms']:6.2f} ms, 95 % {row['frame_ms_95']:6.2f}, 99 %"
            f" {row['frame_ms_99']:6.2f}, late {row['above_budget']:6.2%}, missed {row['missed']:6.2%} {rate} steps/s",
            flush=True,
        )


def missing() -> str | None:
    """Return what a measurement lacks here, None if nothing."""
    if not importlib.util.find_spec("playwright"):
        return "playwright is not installed"
    if not ESBUILD.exists():
        return "esbuild is missing (npm ci in lab/)"
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        return "there is no Chromium"
    return None


def main(arguments: list[str] | None = None) -> int:
    parser = common.parser(__doc__, rounds=7)
    parser.set_defaults(threads=os.cpu_count() or 1)
    parser.add_argument("--ganlab", type=Path, metavar="PATH", help="a checkout of GAN Lab's repository")
    parser.add_argument("--tfjs", action="store_true", help=f"time our loop for TensorFlow.js {TFJS_VERSION} as well")
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS), help="default: %(default)s")
    parser.add_argument("--optimizers", nargs="+", choices=RATES, default=list(RATES), help="default: all")
    parser.add_argument("--seconds", type=float, default=0.5, help="training in each turn (default: %(default)s)")
    parser.add_argument("--frames", type=float, default=5, help="seconds of frames in each turn (default: %(default)s)")
    options: argparse.Namespace = common.parse(parser, arguments)
    if min(options.seconds, options.frames, *options.widths) <= 0:
        parser.error("--seconds, --frames and --widths must be above 0")
    if options.ganlab and not (options.ganlab / "demo" / f"{MODELS[0]}.ts").is_file():
        parser.error(f"--ganlab must be a checkout of GAN Lab, {options.ganlab} has no demo/{MODELS[0]}.ts")
    if lacks := missing():
        print(f"benchmark skipped: {lacks}")
        return 0
    from tools.page_weight import served  # needs playwright

    chosen, rows, apart = ways(bool(options.ganlab), options.tfjs), [], {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        versions = make_pages(folder, options.ganlab, options.tfjs)
        with served(folder) as address:
            with chromium(options.threads, webgl=len(chosen) > 1) as browser:
                versions["chromium"] = browser.version
                for way in chosen:
                    if way.page == "tfjs":
                        apart[way.name] = float(f"{disagreement(browser, address, way, settings('sgd', 16)):.1g}")
                        print(f"{way.name}: a step differs from ours by {apart[way.name]} of its size", flush=True)
                        if apart[way.name] > 1e-3:
                            raise RuntimeError(f"{way.name} does not compute what ours does")
                for optimizer in options.optimizers:
                    for width in options.widths:
                        asked = settings(optimizer, width)
                        measured = measure(
                            browser, address, chosen, asked, options.threads, options.rounds, options.seconds
                        )
                        measured = [{"optimizer": optimizer, "width": width, **row} for row in measured]
                        show(measured)
                        rows += measured
            with chromium(1) as browser:
                frames = measure_frames(browser, address, bool(options.ganlab), options.rounds, options.frames)
                show_frames(frames)
    what = "Steps of the browser's lab per second of processor time, beside GAN Lab's; ratios are within a round."
    shared = {"rounds": options.rounds, "seconds": options.seconds, **EXPERIMENT, "rates": RATES, "step_differs": apart}
    common.write(common.table(NAME, what, shared, rows, options.threads, **versions))
    what = "Milliseconds between the frames of a page on one core that trains as fast as it can."
    shared = {"rounds": options.rounds, "seconds": options.frames, "trained": TRAINED}
    common.write(common.table(f"{NAME}_frames", what, shared, frames, 1, **versions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
