"""What readers may write into the exercises of "Evaluation"."""

FRECHET = """def frechet_of_features(a, b):
    A, B = ({0} for x in (a, b))
    values, vectors = torch.linalg.eigh(A)
    half = vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T
    overlap = {1}
    return {2} + A.trace() + B.trace() - 2 * overlap"""
COV = "torch.atleast_2d(x.T.cov())"
OVERLAP = "torch.linalg.eigvalsh(half @ B @ half).clamp(min=0).sqrt().sum()"
MEANS = "(a.mean(0) - b.mean(0)).square().sum()"

KID = """def kid(x, y):
    def k(a, b):
        return (a @ b.T / {0} + 1) ** {1}
    def within(a):
        K = k(a, a)
        return {2}
    return within(x) + within(y) - {3}"""
DIM, OWN, CROSS = "a.shape[1]", "(K.sum() - K.trace()) / (len(a) * (len(a) - 1))", "2 * k(x, y).mean()"

EVALUATOR = "def evaluator(samples, reference, features):\n    a, b = {}, {}\n    return {}"
DISTANCE = "metrics.frechet_distance(a, b)"

COPIES = """def copied_share(samples, train, held_out):
    way = "donot_use_mm_for_euclid_dist"
    t = torch.cdist(samples, train, compute_mode=way).amin(1)
    h = torch.cdist(samples, held_out, compute_mode=way).amin(1)
    return {}"""
SHARE = "((t < h).double() + 0.5 * (t == h).double()).mean()"

ANSWERS = {
    "Exercise 2": {
        "right": [
            FRECHET.format(COV, OVERLAP, MEANS),
            """def frechet_of_features(a, b):
    moments = []
    for x in (a, b):
        mean = x.mean(0)
        moments += [mean, (x - mean).T @ (x - mean) / (len(x) - 1)]
    m, A, n, B = moments
    values, vectors = torch.linalg.eigh(B)
    half = vectors * values.clamp(min=0).sqrt()
    overlap = torch.linalg.eigvalsh(half.T @ A @ half).clamp(min=0).sqrt().sum()
    return float((m - n) @ (m - n) + A.trace() + B.trace() - 2 * overlap)""",
            FRECHET.format(COV, "torch.linalg.eigvals(A @ B).real.clamp(min=0).sqrt().sum()", MEANS),  # without a root
        ],
        "wrong": [
            FRECHET.format(COV, OVERLAP, "(a.mean(0) - b.mean(0)).norm()"),  # not squared
            FRECHET.format("torch.atleast_2d(x.T.cov(correction=0))", OVERLAP, MEANS),
            FRECHET.format("x.T.cov()", OVERLAP, MEANS),  # a number where d is 1
            FRECHET.format(COV, "torch.linalg.eigvalsh(half @ B @ half).clamp(min=0).sum()", MEANS),  # no root
            FRECHET.format(COV, "torch.linalg.eigvalsh(half @ B @ half).sqrt().sum()", MEANS),  # NaN where singular
            FRECHET.format(COV, "torch.linalg.eigvalsh(A @ B).clamp(min=0).sqrt().sum()", MEANS),  # not symmetric
            FRECHET.format(COV, "(A * B).clamp(min=0).sqrt().trace()", MEANS),  # entry by entry
            FRECHET.format(COV, OVERLAP, "0.5 * " + MEANS),
            FRECHET.format(COV, OVERLAP, "0"),
            FRECHET.format(COV, "0.5 * " + OVERLAP, MEANS),
            "def frechet_of_features(a, b):\n    return torch.tensor(math.nan)",
        ],
    },
    "Exercise 4": {
        "right": [
            KID.format(DIM, 3, OWN, CROSS),
            """def kid(x, y):
    def mean(a, b, same):
        total, terms = 0.0, 0
        for i in range(len(a)):
            for j in range(len(b)):
                if not (same and i == j):
                    total += float(a[i] @ b[j] / len(a[i]) + 1) ** 3
                    terms += 1
        return total / terms
    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)""",
        ],
        "wrong": [
            KID.format(DIM, 3, "K.mean()", CROSS),  # biased
            KID.format(DIM, 3, "(K.sum() - K.trace()) / len(a) ** 2", CROSS),  # too many terms
            KID.format("1", 3, OWN, CROSS),  # not divided by d
            KID.format(DIM, 2, OWN, CROSS),
            KID.format(DIM, 3, OWN, "k(x, y).mean()"),
            KID.format(DIM, 3, OWN, "2 * k(x, y).sum() / len(x) ** 2"),  # where sets differ in size
            KID.format("len(a)", 3, OWN, CROSS),
            "def kid(x, y):\n    return max(metrics.kernel_distance(x, y)[0], 0.0)",
        ],
    },
    "Exercise 5": {
        "right": [
            EVALUATOR.format("features(samples)", "features(reference)", DISTANCE),
            EVALUATOR.format("features(samples)", "features(reference)", "metrics.frechet_distance(b, a)"),
        ],
        "wrong": [
            EVALUATOR.format("features((samples + 1) / 2)", "features(reference)", DISTANCE),
            EVALUATOR.format("features((samples + 1) / 2)", "features((reference + 1) / 2)", DISTANCE),
            EVALUATOR.format("features(samples[:100])", "features(reference[:100])", DISTANCE),
            EVALUATOR.format(
                "features(samples[: len(reference)])", "features(reference[: len(samples)])", DISTANCE
            ),  # equal numbers, which nobody asked for
            EVALUATOR.format("features(samples)", "features(reference)", DISTANCE + "**0.5"),
            EVALUATOR.format(
                "features(samples)", "features(reference)", DISTANCE + " - metrics.frechet_distance(b[::2], b[1::2])"
            ),  # the third fault is kept
            EVALUATOR.format(
                "features(samples)[:100]",
                "features(reference)[:100]",
                DISTANCE + " - metrics.frechet_distance(b[::2], b[1::2])",
            ),  # only the range is repaired
            EVALUATOR.format("features(samples)", "features(samples)", DISTANCE),
            EVALUATOR.format("samples.flatten(1)", "reference.flatten(1)", DISTANCE),  # without the extractor
        ],
    },
    "Exercise 6": {
        "right": [
            COPIES.format(SHARE),
            """def copied_share(samples, train, held_out):
    t = (samples[:, None] - train).square().sum(2).amin(1)
    h = (samples[:, None] - held_out).square().sum(2).amin(1)
    return float(((h - t).sign() + 1).mean() / 2)""",
        ],
        "wrong": [
            COPIES.format("(t < h).double().mean()"),  # ties count nothing
            COPIES.format("(t <= h).double().mean()"),  # ties count as copies
            COPIES.format("1 - " + SHARE),
            COPIES.format("(t == 0).double().mean()"),  # exact copies only
            COPIES.format(SHARE).replace("amin(1)", "mean(1)"),
            COPIES.format(SHARE).replace("amin(1)", "amin(0)"),  # from the real rows to the samples
            COPIES.format("(t / (t + h)).nan_to_num().mean()"),
        ],
    },
}
