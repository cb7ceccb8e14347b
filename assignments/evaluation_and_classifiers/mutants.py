"""Wrong answers that people give, each with the points that its question must get."""

BY_HAND = 'by_hand = {"right": 10.0, "no square": 4.0, "root of each entry": -0.9443}\n\n\n'


def frechet(
    centred: str = " - a.mean(0)",
    count: str = "len(a) - 1",
    overlap: str = "torch.linalg.svdvals(x @ y.T).sum()",
    means: str = "(a.mean(0) - b.mean(0)).square().sum()",
    factor: str = "2",
) -> str:
    return f"""
def frechet(a, b):
    x = (a{centred}) / math.sqrt({count})
    y = (b{centred.replace("a", "b", 1)}) / math.sqrt({count.replace("a", "b")})
    return {means} + x.square().sum() + y.square().sum() - {factor} * {overlap}
"""


EXCESS = "def expected_excess(cov_a, cov_b, n, m):\n"
EXCESS_RIGHT = EXCESS + "    return cov_a.trace() / n + cov_b.trace() / m\n\n\n"
TERM = (
    "def unbiased_mean_term(a, b):\n"
    "    excess = a.var(0).sum() / len(a) + b.var(0).sum() / len(b)\n"
    "    return (a.mean(0) - b.mean(0)).square().sum() - excess\n"
)

PARTS = """
def score_parts(probabilities):
    marginal = probabilities.mean(0)
    variety = -torch.xlogy(marginal, marginal).sum()
    doubt = -torch.xlogy(probabilities, probabilities).sum(1).mean()
    return {"variety": variety, "doubt": doubt, "score": (variety - doubt).exp()}


"""
SCORES = 'scores = {"half without a digit": 3.1623, "half zeros": 5.3490, "ten pictures": 10.0}\n'


def realism(
    radii: str = "spread.sort(dim=1).values[:, k]",
    kept: str = "radii <= radii.median()",
    ratio: str = "(radii / torch.cdist(points, centers)).max(dim=1).values",
) -> str:
    return f"""
def realism(points, centers, k=3, pruned=True):
    spread = torch.cdist(centers, centers)
    radii = {radii}
    if pruned:
        kept = {kept}
        centers, radii = centers[kept], radii[kept]
    return {ratio}


"""


SHARES = """
def precision_and_recall(samples, real, k=3):
    precision = (realism(samples, real, k, pruned=False) >= 1).double().mean()
    recall = (realism(real, samples, k, pruned=False) >= 1).double().mean()
    return precision, recall
"""

BALL = """
def into_ball(at, x, rho):
    change = at - x
    lengths = change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return (x + change * (rho / lengths.clamp(min=rho))).clamp(-1, 1)


"""
WORST = """
def worst_case_accuracy(verdicts, y):
    return float((verdicts == y).all(dim=0).double().mean())
"""


def attack(
    sign: str = "-1 if targeted else 1",
    better: str = "losses.detach() > highest",
    rounds: str = "range(steps + 1)",
    gradient: str = "torch.autograd.grad(losses.sum(), at)[0]",
    lengths: str = "uphill.flatten(1).norm(dim=1).view(-1, 1, 1, 1)",
    direction: str = "uphill / torch.where(lengths > 0, lengths, torch.ones_like(lengths))",
    around: str = "x",
    step: str = "2.5 * rho / steps",
) -> str:
    return f"""
def attack(classifier, x, y, rho, steps=10, targeted=False):
    sign = {sign}
    at = best = x.detach()
    highest = torch.full((len(x),), -math.inf)
    for step in {rounds}:
        at = at.detach().requires_grad_()
        losses = sign * cross_entropy(classifier(at), y, reduction="none")
        uphill = {gradient}
        better = {better}
        best = torch.where(better.view(-1, 1, 1, 1), at.detach(), best)
        highest = torch.where(better, losses.detach(), highest)
        lengths = {lengths}
        direction = {direction}
        at = into_ball(at.detach() + {step} * direction, {around}, rho)
    return best


"""


AREA = """
def area(members, others):
    less = (members[:, None] < others).double() + 0.5 * (members[:, None] == others).double()
    return less.mean()


"""
FOUND = """
def found(members, others, accused=0.05):
    innocent = others.sort().values[math.floor(accused * len(others))]
    return (members < innocent).double().mean()
"""

MUTANTS = {
    "q1": [
        ("distance of the means without its square", 1, BY_HAND + frechet(means="(a.mean(0) - b.mean(0)).norm()")),
        ("covariances with n", 1, BY_HAND + frechet(count="len(a)")),
        ("features that are not centred", 1, BY_HAND + frechet(centred="")),
        (
            "root of each entry of the product: right on the line only",
            2,
            BY_HAND + frechet(overlap="(x.T @ x @ y.T @ y).clamp(min=0).sqrt().trace()"),
        ),
        (
            "eigenvalues as if the product were symmetric",
            2,
            BY_HAND + frechet(overlap="torch.linalg.eigvalsh(x.T @ x @ y.T @ y).clamp(min=0).sqrt().sum()"),
        ),
        ("the last term taken once", 1, BY_HAND + frechet(factor="1")),
        ("a program's root of each entry taken to be right", 4, BY_HAND.replace("-0.9443", "0.0") + frechet()),
    ],
    "q2": [
        (
            "covariances added before they are divided by all samples",
            3,
            EXCESS + "    return 2 * (cov_a + cov_b).trace() / (n + m)\n\n\n" + TERM,
        ),
        ("sums over all entries of the covariances", 3, EXCESS_RIGHT.replace("trace", "sum") + TERM),
        ("sample variances with n", 2, EXCESS_RIGHT + TERM.replace("var(0)", "var(0, correction=0)")),
        (
            "cut off at zero",
            2,
            EXCESS_RIGHT + TERM.replace("return (a", "return ((a").replace("- excess", "- excess).clamp(min=0)"),
        ),
        ("standard deviations instead of variances", 2, EXCESS_RIGHT + TERM.replace("var(0)", "std(0)")),
        (
            "excess of one set only",
            3,
            EXCESS_RIGHT + TERM.replace(" + b.var(0).sum() / len(b)", ""),
        ),
    ],
    "q3": [
        (
            "0 log 0 is not a number",
            2,
            PARTS.replace("torch.xlogy(probabilities, probabilities)", "(probabilities * probabilities.log())")
            + SCORES,
        ),
        (
            "bits instead of nats",
            2,
            PARTS.replace(".sum()\n", ".sum() / math.log(2)\n").replace(".mean()\n", ".mean() / math.log(2)\n")
            + SCORES,
        ),
        (
            "doubt of the most probable class only",
            3,
            PARTS.replace(
                "-torch.xlogy(probabilities, probabilities).sum(1).mean()", "-probabilities.amax(1).log().mean()"
            )
            + SCORES,
        ),
        ("a mean of the scores of both halves", 2, PARTS + SCORES.replace("3.1623", "5.5")),
        ("ten pictures taken to be a bad score", 2, PARTS + SCORES.replace("10.0}", "1.0}")),
    ],
    "q4": [
        (
            "the center itself counted as its first neighbour",
            2,
            realism(radii="spread.sort(dim=1).values[:, k - 1]") + SHARES,
        ),
        ("the smaller half left out", 2, realism(kept="radii >= radii.median()") + SHARES),
        ("nothing is left out", 2, realism(kept="radii > 0") + SHARES),
        (
            "the nearest center decides",
            3,
            realism(ratio="radii[torch.cdist(points, centers).argmin(1)] / torch.cdist(points, centers).amin(1)")
            + SHARES,
        ),
        ("radii of the first neighbour, whatever k is", 3, realism(radii="spread.sort(dim=1).values[:, 1]") + SHARES),
        ("precision with the larger balls left out", 2, realism() + SHARES.replace(", pruned=False", "")),
        (
            "precision and recall exchanged",
            2,
            realism() + SHARES.replace("return precision, recall", "return recall, precision"),
        ),
    ],
    "q5": [
        (
            "all changes shortened by the longest one",
            5,
            BALL.replace(".norm(dim=1).view(-1, 1, 1, 1)", ".norm(dim=1).max()") + attack() + WORST,
        ),
        (
            "every change has the length rho",
            5,
            BALL.replace("lengths.clamp(min=rho)", "lengths.clamp(min=1e-12)") + attack() + WORST,
        ),
        ("pixels are not cut off", 6, BALL.replace(".clamp(-1, 1)", "") + attack() + WORST),
        ("signs of the gradient", 4, BALL + attack(direction="uphill.sign() / 3") + WORST),
        ("gradient divided by the length of the whole batch's", 4, BALL + attack(lengths="uphill.norm() * 20") + WORST),
        ("the last point instead of the worst one", 6, BALL + attack(better="losses.detach() > -math.inf") + WORST),
        (
            "backward leaves gradients in the classifier",
            5,
            BALL + attack(gradient="(losses.sum().backward(), at.grad)[1]") + WORST,
        ),
        ("targeted as if it were not", 5, BALL + attack(sign="1") + WORST),
        ("the point after the last step is not looked at", 5, BALL + attack(rounds="range(steps)") + WORST),
        (
            "an image without a change becomes not a number",
            6,
            BALL.replace("change * (rho / lengths.clamp(min=rho))", "change / lengths * lengths.clamp(max=rho)")
            + attack()
            + WORST,
        ),
        ("steps of the length rho", 6, BALL + attack(step="rho") + WORST),
        ("steps that reach the edge of the ball with the last one", 6, BALL + attack(step="rho / steps") + WORST),
        ("each step in a ball around the point before it", 4, BALL + attack(around="at.detach()") + WORST),
        (
            "the gradient at the start, in every step",
            6,
            BALL
            + attack(
                gradient="torch.autograd.grad("
                'cross_entropy(classifier(s := x.clone().requires_grad_()), y, reduction="none").sum() * sign, s)[0]'
            )
            + WORST,
        ),
        (
            "the start is not looked at",
            6,
            BALL + attack(better="(losses.detach() > highest) & (step > 0)") + WORST,
        ),
        (
            "freezes the classifier and leaves it so",
            5,
            BALL
            + attack(
                gradient="[getattr(classifier, 'requires_grad_', bool)(False),"
                " torch.autograd.grad(losses.sum(), at)[0]][1]"
            )
            + WORST,
        ),
        (
            "mean over attacks",
            6,
            BALL + attack() + WORST.replace(".all(dim=0)", ""),
        ),
    ],
    "q6": [
        ("ties count nothing", 3, AREA.replace("0.5 * ", "0.0 * ") + FOUND),
        ("ties count whole", 3, AREA.replace("0.5 * ", "1.0 * ") + FOUND),
        ("the larger distance counts", 2, AREA.replace("< others", "> others") + FOUND),
        ("accused together with the nearest innocent", 3, AREA + FOUND.replace("members < ", "members <= ")),
        (
            "a quantile that lies between two of the others",
            3,
            AREA + FOUND.replace("others.sort().values[math.floor(accused * len(others))]", "others.quantile(accused)"),
        ),
        (
            "the nearest of the quantiles",
            3,
            AREA
            + FOUND.replace(
                "others.sort().values[math.floor(accused * len(others))]",
                'others.quantile(accused, interpolation="nearest")',
            ),
        ),
        (
            "a share of the members accused instead of the others",
            2,
            AREA
            + FOUND.replace("others.sort().values", "members.sort().values").replace(
                "(accused * len(others))", "(accused * len(members))"
            ),
        ),
    ],
}
