#!/usr/bin/env python3
"""Time the made world `glyphs`: images drawn per second, and images loaded per second from the cache.

The cache is a temporary folder, so the first load draws and keeps the whole training set; the later ones read it.
Writes book/results/benchmark_glyphs.json.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script's path holds its own folder only

from benchmarks import common  # noqa: E402
from gan_course import data  # noqa: E402
from gan_course.data import glyphs  # noqa: E402

NAME = "benchmark_glyphs"


def measure(size: int, images: int, rounds: int) -> dict[str, Any]:
    """Time drawing ``images`` glyphs of side ``size``, then loading the training set without and with its cache."""
    drawn = common.alternate({"draw": lambda: glyphs.make(images, size=size, seed=0)}, rounds)["draw"]
    row = {"size": size} | common.spread("drawn_per_second", [images / t for t in drawn])
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("GAN_COURSE_CACHE")
        os.environ["GAN_COURSE_CACHE"] = folder
        try:
            began = time.perf_counter()
            count = len(data.load("glyphs", size=size))
            row["first_load_per_second"] = float(f"{count / (time.perf_counter() - began):.4g}")
            again = common.alternate({"load": lambda: data.load("glyphs", size=size)}, rounds)["load"]
        finally:
            os.environ.pop("GAN_COURSE_CACHE")
            if before is not None:
                os.environ["GAN_COURSE_CACHE"] = before
    return row | common.spread("from_cache_per_second", [count / t for t in again])


def main(arguments: list[str] | None = None) -> int:
    parser = common.parser(__doc__, rounds=5)
    parser.add_argument("--images", type=int, default=1_000, help="images per round (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64], help="default: %(default)s")
    options = common.parse(parser, arguments, "images")
    torch.set_num_threads(options.threads)
    rows = []
    for size in options.sizes:
        rows.append(measure(size, options.images, options.rounds))
        print(
            f"{size}x{size}: drawn {common.cell(rows[-1], 'drawn_per_second', 0)}, first load"
            f" {rows[-1]['first_load_per_second']:,.0f}, from the cache"
            f" {common.cell(rows[-1], 'from_cache_per_second', 0)} images/s",
            flush=True,
        )
    what = "Drawing glyphs, and loading them without and with the cache of drawn images."
    settings = {"images": options.images, "rounds": options.rounds}
    common.write(common.table(common.file_name(NAME, threads=options.threads), what, settings, rows, options.threads))
    return 0


if __name__ == "__main__":
    sys.exit(main())
