"""Wrong answers that people give, each with the points that its question must get."""

SCORES = "def best_scores(real, fake):\n"
SORTED = SCORES + (
    "    points, order = torch.cat([real, fake]).sort()\n"
    "    jumps = torch.cat([torch.full_like(real, -1 / len(real)), torch.full_like(fake, 1 / len(fake))])\n"
    "    climb = jumps[order].cumsum(0)[:-1].sign() * points.diff()\n"
    "    scores = torch.cat([torch.zeros(1, dtype=real.dtype), climb.cumsum(0)])\n"
)
UNSORTED = (
    "    back = torch.empty_like(scores)\n    back[order] = scores\n    return back[: len(real)], back[len(real) :]\n"
)

IN_ORDER_OF_SIZE = (
    "    first = torch.cat([torch.ones_like(real), torch.zeros_like(fake)])[order] == 1\n"
    "    return scores[first], scores[~first]\n"
)

CRITIC = "def critic_loss(real_scores, fake_scores):\n    return fake_scores.mean() - real_scores.mean()\n\n\n"
GENERATOR = "def generator_loss(fake_scores):\n    return -fake_scores.mean()\n\n\n"


def told(*values: float) -> str:
    keys = [f"{network}, {change}" for change in ("f + 5", "2 f", "-f") for network in ("critic", "generator")]
    return f"told = {dict(zip(keys, values, strict=True))}\n"


TOLD = told(-4, -4, -8, 2, 4, -1)

CLIPPED = "def best_clipped(real, fake, clip):\n    return clip * (real.mean(0) - fake.mean(0)).sign()\n\n\n"
COSINE = (
    "def cosine(real, fake):\n"
    "    delta = real.mean(0) - fake.mean(0)\n"
    "    return delta.abs().sum() / (len(delta) ** 0.5 * delta.norm())\n\n\n"
)
STEEPEST = (
    "def largest_slope(sizes, clip):\n"
    "    slope = 1.0\n"
    "    for size_in, size_out in zip(sizes[:-1], sizes[1:]):\n"
    "        slope *= clip * (size_in * size_out) ** 0.5\n"
    "    return slope\n"
)

SLOPES = """
def slopes(critic, real, fake, epsilon):
    share = epsilon.view(-1, *[1] * (real.ndim - 1))
    between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return torch.linalg.vector_norm(gradient.flatten(1), dim=1)


"""
QUADRATIC = "def quadratic_slopes(A, b, x):\n    return (x @ (A + A.T) / 2 + b).norm(dim=1)\n\n\n"
PENALTY = (
    "def penalty(critic, real, fake):\n"
    "    epsilon = torch.rand(len(real), device=real.device, dtype=real.dtype)\n"
    "    return (slopes(critic, real, fake, epsilon) - 1).square().mean()\n"
)

BEST = "def best_slope(distance, weight, target=1.0):\n    return target + distance / (2 * weight)\n\n\n"
REPORTED = (
    "def reported(distance, weight, target=1.0):\n"
    "    estimate = distance * (target + distance / (2 * weight))\n"
    "    return estimate, estimate - weight * (distance / (2 * weight)) ** 2\n\n\n"
)
CORRECTED = (
    "def corrected(estimate, weight, target=1.0):\n"
    "    return weight * ((target**2 + 2 * estimate / weight) ** 0.5 - target)\n"
)


def step(
    draw_first: str = "pass",
    draw: str = "real = draw()",
    fake_z: str = "torch.randn(len(real), latent_dim)",
    fake: str = "generator(z).detach()",
    loss: str = "critic_loss(critic(real), critic(fake)) + weight * steepness",
    clear_c: str = "optimizer_c.zero_grad()",
    clear_g: str = "optimizer_g.zero_grad()",
    last_z: str = "z = torch.randn(len(real), latent_dim)",
    estimate: str = "estimate",
    steepness: str = "steepness.detach()",
    slope_at: str = "penalty(critic, real, fake)",
) -> str:
    return f"""
def train_step(generator, critic, optimizer_g, optimizer_c, draw, latent_dim, n_critic, weight):
    {draw_first}
    for _ in range(n_critic):
        {draw}
        z = {fake_z}
        fake = {fake}
        estimate = (critic(real).mean() - critic(fake).mean()).detach()
        steepness = {slope_at}
        loss = {loss}
        {clear_c}
        loss.backward()
        optimizer_c.step()
    {last_z}
    loss_g = generator_loss(critic(generator(z)))
    {clear_g}
    loss_g.backward()
    optimizer_g.step()
    return {{"estimate": {estimate}, "penalty": {steepness}, "loss_g": loss_g.detach()}}
"""


COUNT = """
def count_modes(points, centers, std, least=0.25):
    distance, mode = torch.cdist(points, centers).min(dim=1)
    hit = distance <= 3 * std
    counts = mode[hit].bincount(minlength=len(centers))
    return float(hit.float().mean()), int((counts >= least * len(points) / len(centers)).sum())


"""
HITS = "real_hits = 0.989\n"

MUTANTS = {
    "q1": [
        ("scores come sorted, not in the order of the samples", 2, SORTED + IN_ORDER_OF_SIZE),
        (
            "jumps are counted, not shares: wrong for samples of unequal size",
            3,
            SORTED.replace(" / len(real)", "").replace(" / len(fake)", "") + UNSORTED,
        ),
        (
            "a straight line: the difference of the means",
            0,
            SCORES + "    return real - fake.mean(), fake - fake.mean()\n",
        ),
        (
            "sign of the slope turned round",
            0,
            SORTED.replace("-1 / len(real)", "1 / len(real)").replace(
                "real), torch.full_like(fake, 1", "real), torch.full_like(fake, -1"
            )
            + UNSORTED,
        ),
        ("the slope is the difference of the shares, not its sign", 0, SORTED.replace(".sign()", "") + UNSORTED),
    ],
    "q2": [
        (
            "the critic's loss with the sign of its estimate",
            1,
            CRITIC.replace("fake_scores.mean() - real_scores.mean()", "real_scores.mean() - fake_scores.mean()")
            + GENERATOR
            + TOLD,
        ),
        ("the generator makes its scores small", 1, CRITIC + GENERATOR.replace("-fake", "fake") + TOLD),
        (
            "numbers without a graph",
            1,
            CRITIC.replace("scores.mean()", "scores.mean().item()")
            + GENERATOR.replace("mean()", "mean().item()")
            + TOLD,
        ),
        ("a constant is thought to change no loss", 2, CRITIC + GENERATOR + told(-4, 1, -8, 2, 4, -1)),
        (
            "scores through a sigmoid",
            1,
            CRITIC.replace("scores.mean()", "scores.sigmoid().mean()")
            + GENERATOR.replace("scores.mean()", "scores.sigmoid().mean()")
            + TOLD,
        ),
    ],
    "q3": [
        (
            "along the difference of the means, shortened to length c",
            3,
            CLIPPED.replace(
                "(real.mean(0) - fake.mean(0)).sign()", "nn.functional.normalize(real.mean(0) - fake.mean(0), dim=0)"
            )
            + COSINE
            + STEEPEST,
        ),
        (
            "the difference of the means, clipped",
            4,
            CLIPPED.replace(
                "clip * (real.mean(0) - fake.mean(0)).sign()", "(real.mean(0) - fake.mean(0)).clamp(-clip, clip)"
            )
            + COSINE
            + STEEPEST,
        ),
        (
            "the root of the dimension forgotten",
            4,
            CLIPPED + COSINE.replace("(len(delta) ** 0.5 * delta.norm())", "delta.norm()") + STEEPEST,
        ),
        (
            "best_clipped used in the cosine, and wrong",
            4,
            CLIPPED.replace(
                "(real.mean(0) - fake.mean(0)).sign()", "(real.mean(0) - fake.mean(0)).clamp(-clip, clip) / clip"
            )
            + "def cosine(real, fake):\n"
            "    w, delta = best_clipped(real, fake, 1.0), real.mean(0) - fake.mean(0)\n"
            "    return w @ delta / (w.norm() * delta.norm())\n\n\n" + STEEPEST,
        ),
        (
            "norms exchanged: the infinity norm",
            4,
            CLIPPED + COSINE.replace("delta.abs().sum() / (len(delta) ** 0.5 * ", "delta.abs().max() / (") + STEEPEST,
        ),
        (
            "only the inputs of each layer counted",
            4,
            CLIPPED + COSINE + STEEPEST.replace("(size_in * size_out) ** 0.5", "size_in ** 0.5"),
        ),
        (
            "a product of the bounds alone",
            3,
            CLIPPED + COSINE + STEEPEST.replace("clip * (size_in * size_out) ** 0.5", "clip"),
        ),
        (
            "half of the units are silent",
            4,
            CLIPPED + COSINE + STEEPEST.replace("return slope", "return slope / 2 ** (len(sizes) - 2)"),
        ),
    ],
    "q4": [
        ("no graph", 5, SLOPES.replace(", create_graph=True", "") + QUADRATIC + PENALTY),
        (
            "one norm for the batch",
            4,
            SLOPES.replace("gradient.flatten(1), dim=1)", "gradient).expand(len(real))") + QUADRATIC + PENALTY,
        ),
        (
            "a norm over the last dimension only",
            5,
            SLOPES.replace("gradient.flatten(1), dim=1", "gradient, dim=-1") + QUADRATIC + PENALTY,
        ),
        (
            "root of a sum of squares: nan where the critic is flat",
            5,
            SLOPES.replace(
                "torch.linalg.vector_norm(gradient.flatten(1), dim=1)", "gradient.flatten(1).square().sum(1).sqrt()"
            )
            + QUADRATIC
            + PENALTY,
        ),
        (
            "epsilon is the share of the generated sample",
            5,
            SLOPES.replace("share * real + (1 - share) * fake", "share * fake + (1 - share) * real")
            + QUADRATIC
            + PENALTY,
        ),
        (
            "the samples are made to require a gradient, in place",
            5,
            SLOPES.replace("    share =", "    real.requires_grad_(True)\n    share =") + QUADRATIC + PENALTY,
        ),
        ("A taken to be symmetric", 6, SLOPES + QUADRATIC.replace("(A + A.T) / 2", "A") + PENALTY),
        (
            "one epsilon for the batch",
            6,
            SLOPES
            + QUADRATIC
            + PENALTY.replace("torch.rand(len(real), ", "torch.rand(1, ").replace(
                "dtype=real.dtype)", "dtype=real.dtype).expand(len(real))"
            ),
        ),
        ("always half-way", 6, SLOPES + QUADRATIC + PENALTY.replace("torch.rand(", "0.5 * torch.ones(")),
        (
            "one-sided: only slopes above 1 pay",
            6,
            SLOPES + QUADRATIC + PENALTY.replace(" - 1).square()", " - 1).clamp(min=0).square()"),
        ),
        ("the square of the mean", 6, SLOPES + QUADRATIC + PENALTY.replace(".square().mean()", ".mean().square()")),
    ],
    "q5": [
        ("a factor of 2 lost in the derivative", 3, BEST.replace("(2 * weight)", "weight") + REPORTED + CORRECTED),
        ("the target taken to be 1", 3, BEST.replace("target +", "1 +") + REPORTED + CORRECTED),
        (
            "the whole objective forgets the penalty",
            3,
            BEST + REPORTED.replace(" - weight * (distance / (2 * weight)) ** 2", "") + CORRECTED,
        ),
        ("the penalty is added", 3, BEST + REPORTED.replace("estimate - weight", "estimate + weight") + CORRECTED),
        (
            "corrected with the estimate in the place of the distance",
            3,
            BEST
            + REPORTED
            + CORRECTED.replace(
                "weight * ((target**2 + 2 * estimate / weight) ** 0.5 - target)",
                "estimate / (target + estimate / (2 * weight)) if estimate else 0.0",
            ),
        ),
        ("the other root", 2, BEST + REPORTED + CORRECTED.replace("** 0.5 - target", "** 0.5 + target")),
    ],
    "q6": [
        ("one batch of real samples for all updates", 1, step(draw_first="real = draw()", draw="pass")),
        ("the same latent vectors for the last critic update and the generator", 3, step(last_z="pass")),
        (
            "uniform latent vectors",
            3,
            step(fake_z="torch.rand(len(real), latent_dim)", last_z="z = torch.rand(len(real), latent_dim)"),
        ),
        (
            "one batch of latent vectors for all critic updates",
            3,
            step(draw_first="z_first = torch.randn(400, latent_dim)", fake_z="z_first[: len(real)]"),
        ),
        ("the penalty without its weight", 2, step(loss="critic_loss(critic(real), critic(fake)) + steepness")),
        ("the penalty at real samples only", 3, step(slope_at="penalty(critic, real, real)")),
        ("the penalty does not reach the critic", 2, step(slope_at="penalty(critic, real, fake).detach()")),
        ("the penalty subtracted", 2, step(loss="critic_loss(critic(real), critic(fake)) - weight * steepness")),
        ("the critic's gradients are never cleared", 2, step(clear_c="pass")),
        ("gradients of the critic's loss are left in the generator", 2, step(fake="generator(z)", clear_g="pass")),
        ("the penalty is returned with its graph", 2, step(steepness="steepness")),
        ("the estimate is the critic's loss", 2, step(estimate="-estimate")),
    ],
    "q7": [
        (
            "one sample covers a mode",
            2,
            COUNT.replace("counts >= least * len(points) / len(centers)", "counts > 0") + HITS,
        ),
        (
            "a share of the hits, not of the samples",
            2,
            COUNT.replace("least * len(points)", "least * int(hit.sum())") + HITS,
        ),
        ("more than the share, not at least", 2, COUNT.replace("counts >= least", "counts > least") + HITS),
        ("share of all samples, not of those a mode should get", 2, COUNT.replace(" / len(centers)", "") + HITS),
        (
            "a point may hit several modes",
            2,
            COUNT.replace(
                "mode[hit].bincount(minlength=len(centers))", "(torch.cdist(points, centers) <= 3 * std).sum(0)"
            )
            + HITS,
        ),
        ("stray samples count for their nearest mode", 2, COUNT.replace("mode[hit]", "mode") + HITS),
        ("one standard deviation", 2, COUNT.replace("3 * std", "std") + HITS),
        ("three standard deviations on the line", 2, COUNT + "real_hits = 0.997\n"),
    ],
}
