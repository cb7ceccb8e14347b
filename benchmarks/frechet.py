#!/usr/bin/env python3
"""Time the Fréchet distance (FID) from features: ours beside the matrix square root of the product.

    ours      gan_course.metrics.frechet_distance
    sqrtm     np.cov of both sets, then scipy.linalg.sqrtm of the product of the covariances, real part, as the
              published FID codes have it

End to end (from features), and the trace term alone (from means and covariances). Features are made: normal, float32,
correlated, with variances that fall like a power. "full rank" has more rows than dimensions, "rank-deficient" fewer:
there the product is singular, and its square root can come out complex. Both libraries are limited to the same number
of threads. Writes book/results/benchmark_frechet.json (benchmark_frechet_2_threads.json with two threads).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.linalg
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script's path holds its own folder only

from benchmarks import common  # noqa: E402
from gan_course import metrics  # noqa: E402

NAME = "benchmark_frechet"
SEEDS = (0, 1)
Moments = tuple[np.ndarray, np.ndarray]


def made_features(rows: int, dimensions: int, seed: int) -> Tensor:
    """Return ``(rows, dimensions)`` float32: normal, variances falling like 1/i in directions drawn from ``seed``."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.arange(1, dimensions + 1) ** -0.5
    mix = torch.randn(dimensions, dimensions, generator=generator) * scales[:, None] / dimensions**0.5
    return torch.randn(rows, dimensions, generator=generator) @ mix + 0.1 * seed


def moments(features: Tensor) -> Moments:
    """Return mean and covariance by numpy, in float64."""
    return features.numpy().mean(0, dtype=np.float64), np.atleast_2d(np.cov(features.numpy(), rowvar=False))


def sqrtm_distance(a: Moments, b: Moments) -> tuple[float, float]:
    """Return the distance by the square root of the product, and the largest imaginary part on the root's diagonal."""
    (mean_a, cov_a), (mean_b, cov_b) = a, b
    root = scipy.linalg.sqrtm(cov_a.dot(cov_b))
    if not np.isfinite(root).all():  # a nearly singular product: the usual cure is a small multiple of the identity
        offset = 1e-6 * np.eye(len(cov_a))
        root = scipy.linalg.sqrtm((cov_a + offset).dot(cov_b + offset))
    difference, diagonal = mean_a - mean_b, np.diagonal(root)
    distance = difference.dot(difference) + np.trace(cov_a) + np.trace(cov_b) - 2 * diagonal.real.sum()
    return float(distance), float(np.abs(diagonal.imag).max())


def measure(rows: int, dimensions: int, rounds: int) -> list[dict[str, Any]]:
    """Time both ways in turn on ``rows`` features; return a row end to end and one for the trace term."""
    a, b = (made_features(rows, dimensions, seed) for seed in SEEDS)
    of_a, of_b = moments(a), moments(b)
    tensors = [torch.from_numpy(part) for part in (*of_a, *of_b)]
    pairs: dict[str, tuple[Callable[[], float], Callable[[], tuple[float, float]]]] = {
        "end to end": (
            lambda: metrics.frechet_distance(a, b),
            lambda: sqrtm_distance(moments(a), moments(b)),
        ),
        "trace term": (
            lambda: metrics.frechet_distance_gaussians(*tensors),
            lambda: sqrtm_distance(of_a, of_b),
        ),
    }
    measured = []
    for part, (ours, theirs) in pairs.items():
        seconds = common.alternate({"ours": ours, "sqrtm": theirs}, rounds)
        mine, (other, imaginary) = ours(), theirs()
        row = {"case": "full rank" if rows > dimensions else "rank-deficient", "rows": rows, "part": part}
        row |= common.spread("ours_seconds", seconds["ours"]) | common.spread("sqrtm_seconds", seconds["sqrtm"])
        row |= common.spread("speed_up", common.ratios(seconds["sqrtm"], seconds["ours"]))
        row |= {"ours": mine, "sqrtm": other, "relative_difference": float(f"{abs(mine / other - 1):.3g}")}
        measured.append(row | {"imaginary_part": float(f"{imaginary:.3g}")})
    return measured


def show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(
            f"{row['case']:15} {row['part']:11} ours {common.cell(row, 'ours_seconds'):>22} s, sqrtm"
            f" {common.cell(row, 'sqrtm_seconds'):>24} s, {common.cell(row, 'speed_up', 1):>18} times;"
            f" {row['ours']:.6f}, differs by {row['relative_difference']:.1e}, imaginary {row['imaginary_part']:.0e}",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> int:
    parser = common.parser(__doc__, rounds=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000], help="default: %(default)s")
    parser.add_argument("--dimensions", type=int, default=2_048, help="default: %(default)s")
    options = common.parse(parser, arguments, "dimensions")
    if min(options.rows) < 2:
        parser.error("--rows must be at least 2")
    torch.set_num_threads(options.threads)
    rows = []
    with threadpool_limits(options.threads):  # numpy's and scipy's BLAS; torch has its own
        for n in options.rows:
            rows += measure(n, options.dimensions, options.rounds)
            show(rows[-2:])
    settings = {"dimensions": options.dimensions, "seeds": list(SEEDS), "rounds": options.rounds, "goal": 3.0}
    name = common.file_name(NAME, threads=options.threads)
    what = "Fréchet distance of made features: ours beside scipy.linalg.sqrtm of the product of covariances."
    versions = {"numpy": np.__version__, "scipy": scipy.__version__}
    common.write(common.table(name, what, settings, rows, options.threads, **versions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
