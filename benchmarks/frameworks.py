#!/usr/bin/env python3
"""Compare the time of one DCGAN step in PyTorch, Keras on TensorFlow, and JAX, in one run on one CPU.

The programs are the chapter's own cells (see tools/experiments/frameworks.py), a test shows that they compute the same.
All start from the same weights and get the same images and latents, which lie ready in each library's own arrays.

    PyTorch                  as the chapter runs it
    PyTorch, G's slopes only D's weights need no gradient in G's part, as the other two do it: less work, the same step
    PyTorch, channels_last   its weights and images in the layout of the others
    PyTorch, compiled        the three passes of its networks by torch.compile (with --compile: that takes minutes)
    Keras                    as the chapter runs it: a graph made by tf.function
    Keras, eager             the same without tf.function
    Keras, XLA               the graph compiled by XLA
    JAX                      as the chapter runs it: compiled by jax.jit

The process is bound to as many cores as it has threads, so no library can use more. The ways take turns, each round
begins with another one, and the first round, in which graphs are made and compiled, is reported apart. Both the time on
the clock and the processor's time are stored; with one thread the latter hardly depends on what else the machine does,
so ratios are made of it. Losses are read after each step, as a training that shows them would.

Writes book/results/benchmark_frameworks.json (benchmark_frameworks_2_threads.json with two threads). It needs the
environment of `make frameworks`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script's path holds its own folder only

from benchmarks import common  # noqa: E402
from tools.experiments import frameworks  # noqa: E402

NAME = "benchmark_frameworks"
BASE = "PyTorch"


def bind(threads: int) -> None:
    """Bind this process to ``threads`` cores and tell each library; call it before TensorFlow or JAX compute."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    torch.set_num_threads(threads)


def ways(code: Any, width: int, compiled: bool) -> dict[str, Any]:
    """Return a twin for each way, all with the same weights."""
    torch.manual_seed(0)
    first = code.TorchTwin(width)
    made: dict[str, Any] = {BASE: first}

    def torch_twin() -> Any:
        twin = code.TorchTwin(width)
        twin.G.load_state_dict(first.G.state_dict())
        twin.D.load_state_dict(first.D.state_dict())
        return twin

    made["PyTorch, G's slopes only"] = lean = torch_twin()
    lean.opt_d.register_step_post_hook(lambda *_: lean.D.requires_grad_(False))
    lean.opt_g.register_step_post_hook(lambda *_: lean.D.requires_grad_(True))
    made["PyTorch, channels_last"] = last = torch_twin()
    last.G.to(memory_format=torch.channels_last)
    last.D.to(memory_format=torch.channels_last)
    last.native = lambda x: x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    if compiled:
        made["PyTorch, compiled"] = fused = torch_twin()
        fused.G, fused.D = torch.compile(fused.G), torch.compile(fused.D)
    for name in ("Keras", "Keras, eager", "Keras, XLA"):
        made[name] = twin = code.KerasTwin(width)
        twin.take(first.give())
        if name != "Keras":
            plain = type(twin).step.__get__(twin)
            twin.step = plain if name == "Keras, eager" else code.tf.function(plain, jit_compile=True)
    made["JAX"] = code.JaxTwin(width)
    made["JAX"].take(first.give())
    return made


def steps(twin: Any, inputs: tuple[torch.Tensor, ...], count: int) -> Callable[[], list[float]]:
    """Return a function that makes ``count`` steps and gives the last losses."""
    native = [twin.native(x) for x in inputs]

    def run() -> list[float]:
        for _ in range(count):
            losses = [float(loss) for loss in twin.step(*native)]
        return losses

    return run


def clocked(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds on the clock and the processor's seconds that ``work`` takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(code: Any, width: int, batch: int, count: int, rounds: int, compiled: bool) -> list[dict[str, Any]]:
    """Time all ways in turn; return one row for each."""
    latents = torch.Generator().manual_seed(0)
    z_d, z_g = torch.randn(2, batch, 64, generator=latents)
    x = torch.rand(batch, 1, 16, 16, generator=latents) * 2 - 1
    twins = ways(code, width, compiled)
    first = {name: clocked(steps(twin, (x, z_d, z_g), 1)) for name, twin in twins.items()}
    works = {name: steps(twin, (x, z_d, z_g), count) for name, twin in twins.items()}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    names = list(works)
    for turn in range(rounds + 1):
        begin = turn % len(names)
        for name in names[begin:] + names[:begin]:
            seconds = clocked(works[name])
            if turn > 0:  # the first round warms caches and allocators up
                taken[name].append(seconds)
    base = [cpu for _, cpu in taken[BASE]]
    rows = []
    for name in names:
        wall, cpu = ([1e3 * pair[i] / count for pair in taken[name]] for i in (0, 1))
        row = {
            "way": name,
            **common.spread("ms", wall),
            **common.spread("cpu_ms", cpu),
            **common.spread("ratio", common.ratios([pair[1] for pair in taken[name]], base)),
            "first_seconds": round(first[name][1], 2),
        }
        print(f"{name:24} {common.cell(row, 'cpu_ms', 1)} ms of the processor, ratio {row['ratio']:.2f}", flush=True)
        rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> int:
    made = common.parser(__doc__)
    made.add_argument("--steps", type=int, default=10, help="steps of a way in a round (default: %(default)s)")
    made.add_argument("--width", type=int, default=32, help="width of the networks (default: %(default)s)")
    made.add_argument("--batch", type=int, default=64, help="images in a batch (default: %(default)s)")
    made.add_argument("--compile", action="store_true", help="measure torch.compile as well")
    options = common.parse(made, arguments, "steps", "width", "batch")
    bind(options.threads)
    code = frameworks.chapter()
    if code.keras is None or code.jax is None:
        print("TensorFlow with Keras and JAX are needed: `make frameworks` installs them", file=sys.stderr)
        return 2
    rows = measure(code, options.width, options.batch, options.steps, options.rounds, options.compile)
    settings = {
        "shape": [1, 16, 16], "width": options.width, "batch": options.batch, "steps": options.steps,
        "rounds": options.rounds,
    }  # fmt: skip
    packages = {"tensorflow": code.tf, "keras": code.keras, "jax": code.jax}
    versions = {name: package.__version__ for name, package in packages.items()}
    what = "Milliseconds of one training step of the same DCGAN in three libraries, ratios to PyTorch within a round."
    name = common.file_name(NAME, threads=options.threads)
    table = common.table(name, what, settings, rows, options.threads, **versions)
    common.write(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
