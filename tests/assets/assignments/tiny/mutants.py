"""Wrong answers to the tiny assignment."""

MEAN = "def mean(x):\n    return sum(x) / len(x)\n\n\n"
MUTANTS = {
    "q1": [
        ("biased", 1, MEAN + "def variance(x):\n    return sum((v - mean(x)) ** 2 for v in x) / len(x)\n"),
        ("not centred", 1, MEAN + "def variance(x):\n    return sum(v**2 for v in x) / (len(x) - 1)\n"),
        ("nothing", 0, "mean = variance = None\n"),
    ],
    "q2": [
        ("smaller", 0, "def larger(a, b):\n    return torch.minimum(a, b)\n"),
        ("the first", 0, "def larger(a, b):\n    return a\n"),
        ("one number", 0, "def larger(a, b):\n    return torch.maximum(a.max(), b.max())\n"),
    ],
}
