#!/usr/bin/env python3
"""Run the cells of chapters where something is missing that they want: a GPU, or hours.

With --device standin the chapters find a device that is as strict as a GPU and computes on the CPU (tools/standin.py).
With --steps each training by `fit` is cut, and so is each number of steps that a chapter's scale names. What it asserts
about trained models cannot hold then, and is listed instead of raised. All cells run, whatever fails before them, and
their figures are drawn; nothing is stored.

--estimate says how long a chapter takes in the profile `full` on a T4. It runs on the stand-in with each `fit` cut, but
with loops that the chapter writes out in full length, and counts. What a step of the cut trainings costs, in the second
half of the steps done, is multiplied by the steps left out. Assumed are 30 us for the launch of an operation and the
Python around it or, if that is longer, the time of the operations themselves: FLOPs at 30 % of 8.1 TFLOPS and bytes at
half of 320 GB/s. To these comes what a cell takes on the CPU here, for which the machine should be idle. Downloads and
the start of Python are not in it.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.execute import chapters  # noqa: E402

OPERATION, FLOPS, BYTES = 30e-6, 0.3 * 8.1e12, 0.5 * 320e9  # seconds, and per second, of a T4; see above

Costs = dict[str, float]  # "operations", "flops" and "bytes" of the stand-in; "python": the CPU's other seconds


class _Noted(ast.NodeTransformer):
    """Turns ``assert test`` into a note of its line if the test fails, so that the rest of the cell runs."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        note = ast.Expr(ast.Call(ast.Name("__unmet__", ast.Load()), [ast.Constant(node.lineno)], []))
        found = ast.copy_location(ast.If(ast.UnaryOp(ast.Not(), node.test), [note], []), node)
        return ast.fix_missing_locations(found)


def run_cells(path: Path, device: str | None = None, steps: int | None = None, loops: bool = True) -> dict[str, Any]:
    """Run a notebook's code cells in one namespace, in this process.

    Args:
        path: the notebook.
        device: what ``profiles.device()`` is to return; what is there if not given.
        steps: most steps of a training; assertions are counted, not raised.
        loops: whether ``steps`` also cuts what the chapter's scale calls ``steps`` or ``..._steps``.

    Returns:
        ``cells``: for each code cell its ``index``, ``seconds``, ``unmet`` (lines of assertions that do not hold),
        ``error`` (or None), ``costs``, and ``left_out``, the costs of the steps that were cut from its trainings;
        ``peak``: largest memory of the process, in MB.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import torch
    from IPython.core.inputtransformer2 import TransformerManager

    from gan_course import train
    from gan_course.notebook import profiles
    from tools import standin

    def costs() -> Costs:
        found = {name: standin.counts[name] for name in ("operations", "flops", "bytes")}
        return found | {"python": time.process_time() - standin.counts["seconds"]}

    left_out = dict.fromkeys(costs(), 0.0)
    if device == standin.NAME:
        torch.__future__.set_swap_module_params_on_conversion(True)
        standin.install()
    if device is not None:
        chosen = torch.device(device)
        profiles.device = lambda name=None: chosen
    if steps is not None:
        train.fit = _cut_fit(train.fit, steps, costs, left_out)
        if loops:
            profiles.pick = _cut_pick(profiles.pick, steps)
    plt.show = lambda *_, **__: None

    cells, names = [], {"__name__": "__main__", "display": print}
    for index, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] != "code":
            continue
        unmet: list[int] = []
        names["__unmet__"] = unmet.append
        left_out.update(dict.fromkeys(left_out, 0.0))
        error, before, began = None, costs(), time.perf_counter()
        try:
            tree = ast.parse(TransformerManager().transform_cell("".join(cell["source"])))
            tree = tree if steps is None else _Noted().visit(tree)
            exec(compile(tree, f"<cell {index}>", "exec"), names)
            for number in plt.get_fignums():
                plt.figure(number).canvas.draw()
        except Exception as raised:
            frames = [frame for frame in traceback.extract_tb(raised.__traceback__)[1:] if "site-pack" not in frame[0]]
            where = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:])
            error = f"{type(raised).__name__}: {str(raised).partition(chr(10))[0]} ({where})"
        plt.close("all")
        spent = {name: value - before[name] for name, value in costs().items()}
        cells.append({
            "index": index, "error": error, "unmet": unmet, "seconds": time.perf_counter() - began,
            "costs": spent, "left_out": dict(left_out),
        })  # fmt: skip
    return {"cells": cells, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _cut_pick(pick: Callable[..., Any], most: int) -> Callable[..., Any]:
    def cut(**given: dict[str, Any]) -> Any:
        scale = pick(**given)
        for name, value in vars(scale).items():
            if name.endswith("steps"):
                setattr(scale, name, min(value, most))
        return scale

    return cut


def _cut_fit(fit: Callable[..., Any], most: int, costs: Callable[[], Costs], left_out: Costs) -> Callable[..., Any]:
    """Return ``fit`` with at most ``most`` steps, which adds to ``left_out`` what the others would have cost."""

    def cut(*args: Any, **options: Any) -> Any:
        given = inspect.signature(fit).bind(*args, **options)
        model, wanted = given.arguments["model"], given.arguments["steps"]
        given.arguments["steps"] = done = min(wanted, most)
        if given.arguments.get("decay_from") is not None:
            given.arguments["decay_from"] = min(given.arguments["decay_from"], done - 1)
        step, by_step = model.step, []

        def counted(*args: Any) -> Any:
            before = costs()
            logs = step(*args)
            by_step.append({name: value - before[name] for name, value in costs().items()})
            return logs

        model.step = counted
        try:
            history = fit(*given.args, **given.kwargs)
        finally:
            del model.step
        later = by_step[len(by_step) // 2 :]  # the first ones also set up optimizers
        for name in left_out if later else ():
            if name != "python" or not later[0]["operations"]:  # else it is the stand-in's, and counted by operations
                left_out[name] += (wanted - done) * statistics.median(step[name] for step in later)
        return history

    return cut


def rehearse(
    path: Path, profile: str, device: str | None = None, steps: int | None = None, loops: bool = True
) -> dict[str, Any]:
    """Run a notebook in a process of its own, in a folder beside book/results; see :func:`run_cells`."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "results").symlink_to(ROOT / "book" / "results")  # where a chapter looks for it
        report, place = Path(folder) / "report.json", Path(folder) / "chapter"
        place.mkdir()
        variables = os.environ | {"GAN_COURSE_PROFILE": profile, "TQDM_DISABLE": "1", "PYTHONPATH": str(ROOT)}
        code = (
            "import json, pathlib, sys; from tools import rehearse; path, report, options = sys.argv[1:];"
            "found = rehearse.run_cells(pathlib.Path(path), **json.loads(options));"
            "pathlib.Path(report).write_text(json.dumps(found))"
        )
        options = json.dumps({"device": device, "steps": steps, "loops": loops})
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), str(report), options], cwd=place, env=variables, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{path.name} ended with status {done.returncode}:\n{done.stdout[-2000:]}")
        return json.loads(report.read_text())


def seconds_on_t4(cell: dict[str, Any]) -> float:
    """Return the estimate for a cell in the profile ``full``, as the tool's description says."""
    at = {name: cell["costs"][name] + cell["left_out"][name] for name in cell["costs"]}
    return at["python"] + max(OPERATION * at["operations"], at["flops"] / FLOPS + at["bytes"] / BYTES)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the book")
    parser.add_argument("--device", help="what profiles.device() returns: standin, cpu, ... (default: what is there)")
    parser.add_argument("--profile", default="full", choices=["quick", "book", "full"], help="default: %(default)s")
    parser.add_argument("--steps", type=int, help="most steps of a training (default: as the profile says)")
    parser.add_argument("--estimate", action="store_true", help="minutes in `full` on a T4, from --steps (default: 20)")
    parser.add_argument("--cells", action="store_true", help="show each cell")
    options = parser.parse_args(arguments)
    failed = False
    for path in [path.resolve() for path in options.notebooks] or chapters():
        if options.estimate:
            found = rehearse(path, "full", "standin", options.steps or 20, loops=False)
        else:
            found = rehearse(path, options.profile, options.device, options.steps)
        cells = found["cells"]
        errors = [cell for cell in cells if cell["error"]]
        print(f"{path.name}: {len(cells)} cells, {sum(cell['seconds'] for cell in cells):.0f} s,", end=" ")
        print(f"{found['peak']:,.0f} MB, {len(errors)} failed", end="")
        if unmet := [f"{cell['index']}:{line}" for cell in cells for line in cell["unmet"]]:
            print(f"; not held (cell:line) {' '.join(unmet)}", end="")
        if options.estimate:
            print(f"; full on a T4 {sum(map(seconds_on_t4, cells)) / 60:.1f} minutes (estimated)", end="")
        print(flush=True)
        for cell in cells if options.cells else errors:
            print(f"  cell {cell['index']:3}  {cell['seconds']:6.1f} s", end="")
            if options.estimate:
                print(f"  {seconds_on_t4(cell):6.1f} s on a T4, of which CPU {cell['costs']['python']:.1f} s", end="")
            print(f"  {cell['error'] or ''}", flush=True)
        failed = failed or bool(errors)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
