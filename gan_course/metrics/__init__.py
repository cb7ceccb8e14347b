"""How good are samples? Functions of feature matrices, class probabilities, or points.

Most move their input to the CPU and compute in float64 there. What compares every row with every other works through
blocks of rows, so that no large matrix is ever held. :data:`METRICS` lists them, :func:`evaluate` computes many.
"""

from gan_course.metrics.distances import (
    extrapolated_frechet,
    frechet_distance,
    frechet_distance_gaussians,
    kernel_distance,
    kernel_distance_subsets,
    wasserstein_1d,
    wasserstein_normals,
)
from gan_course.metrics.distortion import psnr, ssim
from gan_course.metrics.judges import JUDGES, Judge, judge, pixels
from gan_course.metrics.modes import (
    class_shares,
    classes_covered,
    inception_score,
    mean_confidence,
    mode_shares,
    modes_covered,
    read_stacked,
    reverse_kl,
    stacked_shares,
    summarize_stacked,
)
from gan_course.metrics.neighbours import density_coverage, nearest_neighbours, precision_recall
from gan_course.metrics.report import METRICS, Metric, evaluate, evaluate_model, evaluate_samples, summarize
from gan_course.metrics.two_sample import copy_test, two_sample_test
