"""Wrong answers that people give, each with the points that its question must get."""

NORMAL = "-z.square() / 2 - math.log(2 * math.pi) / 2"
DENSITY = "def log_density(x, a):\n    z = torch.asinh(a * x) / a\n"
DENSITY_RIGHT = DENSITY + f"    return {NORMAL} - torch.log1p((a * x) ** 2) / 2\n\n\n"
FOLDED = "def folded_log_density(x, a):\n"
FOLDED_RIGHT = (
    FOLDED + "    return torch.where(x >= 0, math.log(2) + log_density(x, a), torch.tensor(-math.inf).to(x))\n"
)

MEAN = "def mean_and_error(values):\n    return values.mean(), values.std() / math.sqrt(len(values))\n\n\n"
DIFFERENCE = "def difference_and_error(a, b, paired=False):\n"
PAIRED = "    if paired:\n        return mean_and_error(a - b)\n"
DIFFERENCE_RIGHT = (
    DIFFERENCE + PAIRED + "    return a.mean() - b.mean(), (a.var() / len(a) + b.var() / len(b)).sqrt()\n\n\n"
)
NEEDED = 'needed = {"variance of |z|": 0.3634, "samples": 3634}\n'

BY_HAND = 'by_hand = {"KL(p || q)": 0.6931, "KL(q || p)": math.inf, "JS(p, q)": 0.2158}\n\n\n'
KL = "def kl(p, q):\n"
KL_RIGHT = KL + "    there = p > 0\n    return (p[there] * (p[there] / q[there]).log()).sum()\n\n\n"
JS = "def jensen_shannon(laws, shares):\n"
JS_RIGHT = JS + (
    "    mixture = shares @ laws\n"
    "    return sum(share * kl(law, mixture) for share, law in zip(shares, laws) if share > 0)\n\n\n"
)
LOSS = "def smallest_loss(p, q, share):\n"
BEST = "    real, fake = share * p, (1 - share) * q\n    d = real / (real + fake)\n"
LOSS_RIGHT = LOSS + BEST + "    return -(torch.xlogy(real, d) + torch.xlogy(fake, 1 - d)).sum()\n"


def plan(
    rows: str = "x.argsort().tolist()",
    columns: str = "y.argsort().tolist()",
    last: str = "return plan",
    moved: str = "float(min(left[i], wanted[j]))",
) -> str:
    return f"""
def best_plan(x, p, y, q):
    plan = p.new_zeros(len(x), len(y))
    rows, columns = {rows}, {columns}
    left, wanted = p.clone(), q.clone()
    while rows and columns:
        i, j = rows[0], columns[0]
        moved = {moved}
        plan[i, j] += moved
        if left[i] <= wanted[j]:
            rows.pop(0)
        else:
            columns.pop(0)
        left[i] = left[i] - moved
        wanted[j] = wanted[j] - moved
    {last}


"""


def dual(
    slope: str = "-surplus.sign()", last: str = "f[order] = rises", surplus: str = "torch.cat([p, -q])[order]"
) -> str:
    return f"""
def dual_values(x, p, y, q):
    places = torch.cat([x, y])
    order = places.argsort()
    surplus = {surplus}.cumsum(0)[:-1]
    rises = torch.cat([x.new_zeros(1), ({slope} * places[order].diff()).cumsum(0)])
    f = torch.empty_like(places)
    {last}
    return f[: len(x)], f[len(x) :]
"""


RATIO = "def log_ratio(logits, n, m):\n    return logits - math.log(n / m)\n\n\n"
ESTIMATE = (
    "def kl_estimate(real_logits, n, m):\n    ratios = log_ratio(real_logits, n, m)\n"
    "    return ratios.mean(), ratios.std() / math.sqrt(len(ratios))\n\n\n"
)
WEIGHTS = "(log_weights - log_weights.max()).exp()"
SIZE = "def effective_size(log_weights):\n"
SIZE_RIGHT = SIZE + f"    w = {WEIGHTS}\n    return w.sum() ** 2 / w.square().sum()\n\n\n"
ACCEPTED = "def accepted(log_weights, u):\n"
ACCEPTED_RIGHT = ACCEPTED + f"    return u < {WEIGHTS}\n"


def mmd(
    within: str = "(s @ kernel @ s - s @ kernel.diagonal()) / (s.sum() * (s.sum() - 1))",
    between: str = "2 * (one @ kernel @ two) / (one.sum() * two.sum())",
    last: str = "",
) -> str:
    return f"""
def mmd_squared(kernel, first):
    one, two = first.to(kernel), (~first).to(kernel)
    within = sum({within} for s in (one, two))
    return (within - {between}){last}


"""


def test(count: str = "1 + larger", of: str = "1 + permutations", larger: str = "value >= real") -> str:
    return f"""
def p_value(kernel, first, permutations=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    real = mmd_squared(kernel, first)
    larger = 0
    for _ in range(permutations):
        value = mmd_squared(kernel, first[torch.randperm(len(first), generator=generator)])
        larger += int({larger})
    return ({count}) / ({of})
"""


MUTANTS = {
    "q1": [
        (
            "density multiplied by the stretch",
            2,
            DENSITY + f"    return {NORMAL} + torch.log1p((a * x) ** 2) / 2\n\n\n" + FOLDED_RIGHT,
        ),
        ("the slope is forgotten", 2, DENSITY + f"    return {NORMAL}\n\n\n" + FOLDED_RIGHT),
        (
            "slope cosh(z) instead of cosh(a z)",
            2,
            DENSITY + f"    return {NORMAL} - torch.cosh(z).log()\n\n\n" + FOLDED_RIGHT,
        ),
        (
            "logarithm of the density: minus infinity in the tail",
            3,
            DENSITY + f"    return (({NORMAL}).exp() / torch.sqrt(1 + (a * x) ** 2)).log()\n\n\n" + FOLDED_RIGHT,
        ),
        (
            "logarithm of a density in float64: farther out, but minus infinity as well",
            3,
            DENSITY
            + f"    return (({NORMAL}).double().exp() / torch.sqrt(1 + (a * x) ** 2)).log()\n\n\n"
            + FOLDED_RIGHT,
        ),
        (
            "one latent instead of two",
            3,
            DENSITY_RIGHT + FOLDED_RIGHT.replace("math.log(2) + ", ""),
        ),
        (
            "negative points have a density",
            3,
            DENSITY_RIGHT + FOLDED + "    return math.log(2) + log_density(x, a)\n",
        ),
    ],
    "q2": [
        (
            "standard deviation without the root of n",
            3,
            MEAN.replace(" / math.sqrt(len(values))", "") + DIFFERENCE_RIGHT + NEEDED,
        ),
        (
            "squares divided by n",
            3,
            MEAN.replace("std()", "std(correction=0)") + DIFFERENCE_RIGHT + NEEDED,
        ),
        (
            "errors added instead of their squares",
            4,
            MEAN
            + DIFFERENCE
            + PAIRED
            + "    return a.mean() - b.mean(), mean_and_error(a)[1] + mean_and_error(b)[1]\n\n\n"
            + NEEDED,
        ),
        (
            "pairs are ignored",
            3,
            MEAN + DIFFERENCE_RIGHT.replace(PAIRED, "") + NEEDED,
        ),
        (
            "variance of z instead of |z|",
            4,
            MEAN + DIFFERENCE_RIGHT + 'needed = {"variance of |z|": 1.0, "samples": 10_000}\n',
        ),
    ],
    "q3": [
        (
            "0 log 0 is not a number",
            3,
            BY_HAND + KL + "    return (p * (p / q).log()).sum()\n\n\n" + JS_RIGHT + LOSS_RIGHT,
        ),
        (
            "a small number instead of infinity",
            4,
            BY_HAND + KL + "    return (p * ((p + 1e-12) / (q + 1e-12)).log()).sum()\n\n\n" + JS_RIGHT + LOSS_RIGHT,
        ),
        (
            "torch's kl_div: not a number where neither has an outcome",
            4,
            BY_HAND
            + KL
            + "    return nn.functional.kl_div(q.log(), p, reduction='sum')\n\n\n"
            + JS_RIGHT
            + LOSS_RIGHT,
        ),
        (
            "a share of 0 times infinity",
            4,
            BY_HAND + KL_RIGHT + JS_RIGHT.replace(" if share > 0", "") + LOSS_RIGHT,
        ),
        (
            "mean of the divergences from the plain mean of the laws",
            4,
            BY_HAND
            + KL_RIGHT
            + JS
            + "    mixture = laws.mean(0)\n    return torch.stack([kl(law, mixture) for law in laws]).mean()\n\n\n"
            + LOSS_RIGHT,
        ),
        (
            "directions exchanged, by hand",
            4,
            BY_HAND.replace("0.6931", "math.nan").replace("math.inf", "0.6931").replace("math.nan", "math.inf")
            + KL_RIGHT
            + JS_RIGHT
            + LOSS_RIGHT,
        ),
        (
            "the discriminator for equal shares",
            4,
            BY_HAND + KL_RIGHT + JS_RIGHT + LOSS_RIGHT.replace("d = real / (real + fake)", "d = p / (p + q)"),
        ),
        (
            "twice log 2 minus JS, as for equal shares of a sum",
            4,
            BY_HAND
            + KL_RIGHT
            + JS_RIGHT
            + LOSS
            + "    shares = torch.tensor([share, 1 - share], dtype=p.dtype)\n"
            + "    return math.log(4) - 2 * jensen_shannon(torch.stack([p, q]), shares)\n",
        ),
    ],
    "q4": [
        (
            "places taken in the order in which they come",
            4,
            plan(rows="list(range(len(x)))", columns="list(range(len(y)))") + dual(),
        ),
        (
            "the plan of the sorted places",
            4,
            plan(last="return plan[x.argsort()][:, y.argsort()]") + dual(),
        ),
        (
            "masses multiplied: a plan, but not the best",
            3,
            "def best_plan(x, p, y, q):\n    return p[:, None] * q\n\n\n" + dual(),
        ),
        ("an amount that changes while it is used", 3, plan(moved="min(left[i], wanted[j])") + dual()),
        ("slopes of the wrong sign", 3, plan() + dual(slope="surplus.sign()")),
        ("slopes as large as the surplus", 3, plan() + dual(slope="-surplus")),
        ("values stay in the order of the sorted places", 3, plan() + dual(last="f = rises")),
        ("masses of the places before they are sorted", 3, plan() + dual(surplus="torch.cat([p, -q])")),
    ],
    "q5": [
        (
            "number of images ignored",
            4,
            RATIO.replace(" - math.log(n / m)", "") + ESTIMATE + SIZE_RIGHT + ACCEPTED_RIGHT,
        ),
        ("its sign", 4, RATIO.replace("- math", "+ math") + ESTIMATE + SIZE_RIGHT + ACCEPTED_RIGHT),
        (
            "the estimate forgets the number of images",
            4,
            RATIO + ESTIMATE.replace("log_ratio(real_logits, n, m)", "real_logits") + SIZE_RIGHT + ACCEPTED_RIGHT,
        ),
        (
            "weights overflow",
            4,
            RATIO + ESTIMATE + SIZE_RIGHT.replace(WEIGHTS, "log_weights.exp()") + ACCEPTED_RIGHT,
        ),
        (
            "softmax's largest weight is not 1",
            4,
            RATIO + ESTIMATE + SIZE_RIGHT + ACCEPTED + "    return u < log_weights.softmax(0)\n",
        ),
        (
            "accepted with the discriminator's probability",
            4,
            RATIO + ESTIMATE + SIZE_RIGHT + ACCEPTED + "    return u < log_weights.sigmoid()\n",
        ),
    ],
    "q6": [
        (
            "pairs of a point with itself counted",
            3,
            mmd(within="(s @ kernel @ s) / s.sum() ** 2") + test(),
        ),
        (
            "a diagonal of 1 taken for granted",
            4,
            mmd(within="(s @ kernel @ s - s.sum()) / (s.sum() * (s.sum() - 1))") + test(),
        ),
        ("the terms between counted once", 3, mmd(between="(one @ kernel @ two) / (one.sum() * two.sum())") + test()),
        ("a p-value of 0", 3, mmd() + test(count="larger", of="permutations")),
        ("ties do not count", 4, mmd() + test(larger="value > real")),
        ("counts the smaller ones", 3, mmd() + test(larger="value <= real")),
        ("large negative values count as well", 4, mmd() + test(larger="abs(value) >= abs(real)")),
        (
            "divisions of any size",
            3,
            mmd()
            + test().replace(
                "first[torch.randperm(len(first), generator=generator)]",
                "torch.rand(len(first), generator=generator) < first.float().mean()",
            ),
        ),
        (
            "a new seed each time",
            4,
            mmd() + test().replace("torch.Generator().manual_seed(seed)", "torch.Generator()\n    generator.seed()"),
        ),
        (
            "seeds torch's own random numbers",
            4,
            mmd() + test().replace("torch.Generator().manual_seed(seed)", "torch.manual_seed(seed)"),
        ),
    ],
}
