"""Wrong answers that people give, each with the points that its question must get."""

DOWN = """
def conv_padding(n_in, n_out, k, s):
    p = max(0, math.ceil((s * (n_out - 1) + k - n_in) / 2))
    return p if (n_in + 2 * p - k) // s + 1 == n_out else None
"""
UP = """
def transposed_padding(n_in, n_out, k, s):
    cut = s * (n_in - 1) + k - n_out
    a = cut % 2 if cut >= 0 else -cut
    return ((cut + a) // 2, a) if a < s else None
"""
COUNTS = """
def counts(k, s):
    line = torch.tensor([len(range(r, k, s)) for r in range(s)])
    return line[:, None] * line
"""
LEVEL = """
def level(weight, s):
    phases = [(r, c) for r in range(s) for c in range(s)]
    mean = sum(weight[..., r::s, c::s].sum((2, 3), keepdim=True) for r, c in phases) / s**2
    new = weight.clone()
    for r, c in phases:
        part = weight[..., r::s, c::s]
        missing = mean - part.sum((2, 3), keepdim=True)
        new[..., r::s, c::s] += missing / (part.shape[2] * part.shape[3])
    return new
"""
BY_HAND = """
by_hand = {"training": 1.342, "running mean": 0.3, "running var": 1.567, "evaluation": 4.554}
"""
USELESS = """
def useless_biases(network):
    found, layers = [], list(network)
    moves, norms = (nn.Flatten, nn.Unflatten), (nn.BatchNorm1d, nn.BatchNorm2d)
    for position, layer in enumerate(layers):
        if isinstance(layer, norms) or getattr(layer, "bias", None) is None:
            continue
        behind = [other for other in layers[position + 1 :] if not isinstance(other, moves)]
        wanted = nn.BatchNorm1d if isinstance(layer, nn.Linear) else norms
        if behind and isinstance(behind[0], wanted):
            found.append(position)
    return found
"""
FOLD = """
def fold(layer, norm):
    with torch.no_grad():
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shape = (1, -1, 1, 1) if isinstance(layer, nn.ConvTranspose2d) else (-1, 1, 1, 1)
        bias = torch.zeros_like(scale) if layer.bias is None else layer.bias
        folded = copy.deepcopy(layer)
        folded.weight = nn.Parameter(layer.weight * scale.view(shape))
        folded.bias = nn.Parameter(norm.bias + (bias - norm.running_mean) * scale)
    return folded
"""
FAN_IN = """
def fan_in(layer):
    if isinstance(layer, nn.Linear):
        return layer.in_features
    reach = layer.kernel_size[0]
    if isinstance(layer, nn.ConvTranspose2d):
        reach //= layer.stride[0]
    return layer.in_channels * reach**2
"""
MEAN_SQUARE = """
def mean_square(m, fan_ins, std, slope):
    for n in fan_ins:
        m = m * n * std**2 * (1 + slope**2) / 2
    return m
"""
KEEPING = """
def keeping_std(n, slope):
    return math.sqrt(2 / (n * (1 + slope**2)))
"""
STEEPEST = """
def steepest_image(weight, n, stride, padding, rounds=100):
    weight = weight.detach()
    rest = (n + 2 * padding - weight.shape[-1]) % stride
    x = torch.randn(1, weight.shape[1], n, n).to(weight)
    for _ in range(rounds):
        y = F.conv2d(x, weight, stride=stride, padding=padding)
        x = F.conv_transpose2d(y, weight, None, stride, padding, rest)
        x = x / x.norm()
    return x, float(F.conv2d(x, weight, stride=stride, padding=padding).norm())
"""
STRETCH = "float(F.conv2d(x, weight, stride=stride, padding=padding).norm())"
TAPS = """
def tap_bound(weight):
    return float(torch.linalg.matrix_norm(weight.detach().permute(2, 3, 0, 1), 2).sum())
"""


def bounded(
    sigma: str = "u @ matrix @ v",
    used: str = "weight / (sigma / bound).clamp(min=1)",
    graph: str = "torch.no_grad()",
    rows: str = "weight.flatten(1)",
    new: str = "u",
) -> str:
    return f"""
def bounded(weight, u, bound=1.0):
    matrix, old = {rows}, u
    with {graph}:
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    sigma = {sigma}
    return {used}, {new}
"""


def step(
    first: str = "pass",
    inner: str = "advance(discriminator)",
    fake: str = "generator(torch.randn(len(x), latent_dim)).detach()",
    loss_d: str = "F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()",
    loss_g: str = "-discriminator(generator(z)).mean()",
    middle: str = "pass",
    last: str = "optimizer_d.zero_grad()",
    clear_g: str = "optimizer_g.zero_grad()",
    between: str = "pass",
    told: str = "loss_d.detach()",
) -> str:
    return f"""
def hinge_step(generator, discriminator, optimizer_g, optimizer_d, real, latent_dim):
    z = torch.randn(real.shape[1], latent_dim)
    {first}
    for x in real:
        {inner}
        fake = {fake}
        real_logits = discriminator(x)
        {between}
        fake_logits = discriminator(fake)
        loss_d = {loss_d}
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
    {middle}
    loss_g = {loss_g}
    {clear_g}
    loss_g.backward()
    optimizer_g.step()
    {last}
    inside = (real_logits < 1).float().mean()
    return {{"loss_d": {told}, "loss_g": loss_g.detach(), "inside": inside}}
"""


MUTANTS = {
    "q1": [
        ("the division is taken to leave no rest", 2, DOWN.replace("math.ceil(", "int(") + UP),
        (
            "not checked whether the padding gives the side",
            1,
            DOWN.replace(" if (n_in + 2 * p - k) // s + 1 == n_out else None", "") + UP,
        ),
        (
            "output padding taken to be 0 or 1 only",
            2,
            DOWN + UP.replace("cut % 2 if cut >= 0 else -cut", "cut % 2").replace("if a < s", "if a < s and cut >= -1"),
        ),
        (
            "output padding as large as the stride",
            2,
            DOWN + UP.replace("if a < s else", "if a <= s else"),
        ),
        ("negative padding", 2, DOWN + UP.replace(" if cut >= 0 else -cut", "")),
    ],
    "q2": [
        (
            "as many weights in every phase",
            3,
            "\ndef counts(k, s):\n    return torch.full((s, s), (k // s) ** 2)\n" + LEVEL,
        ),
        ("a mean over all channels", 2, COUNTS + LEVEL.replace(" / s**2\n", " / s**2\n    mean = mean.mean()\n")),
        (
            "weights are scaled",
            1,
            COUNTS
            + LEVEL.replace("+= missing / (part.shape[2] * part.shape[3])", "*= mean / part.sum((2, 3), keepdim=True)"),
        ),
        (
            "the same number of weights in each phase taken for granted",
            2,
            COUNTS + LEVEL.replace("(part.shape[2] * part.shape[3])", "(weight.shape[2] // s) ** 2"),
        ),
        ("the kernel that was given is changed", 2, COUNTS + LEVEL.replace("weight.clone()", "weight")),
        (
            "level with wrong counts",
            3,
            COUNTS.replace("len(range(r, k, s))", "k // s")
            + LEVEL.replace("(part.shape[2] * part.shape[3])", "counts(weight.shape[2], s)[r, c]"),
        ),
        ("all sums become 0", 1, COUNTS + LEVEL.replace("mean - part", "-part")),
    ],
    "q3": [
        (
            "variance with n where n - 1 is kept",
            5,
            BY_HAND.replace("1.567", "1.4").replace("4.554", "4.817") + USELESS + FOLD,
        ),
        (
            "a linear layer in front of maps counted as well",
            5,
            BY_HAND + USELESS.replace("nn.BatchNorm1d if isinstance(layer, nn.Linear) else norms", "norms") + FOLD,
        ),
        (
            "only the very next layer is looked at",
            5,
            BY_HAND + USELESS.replace("not isinstance(other, moves)", "True") + FOLD,
        ),
        (
            "any batch norm that comes later counts",
            4,
            BY_HAND
            + USELESS.replace("behind[0], wanted", "behind[0], wanted) or any(isinstance(b, wanted) for b in behind")
            + FOLD,
        ),
        ("epsilon forgotten", 4, BY_HAND + USELESS + FOLD.replace("(norm.running_var + norm.eps)", "norm.running_var")),
        ("output channels always first", 4, BY_HAND + USELESS + FOLD.replace("(1, -1, 1, 1) if", "(-1, 1, 1, 1) if")),
        (
            "the old bias is not scaled",
            4,
            BY_HAND + USELESS + FOLD.replace("(bias - norm.running_mean) * scale", "bias - norm.running_mean * scale"),
        ),
        ("the layer itself is changed", 4, BY_HAND + USELESS + FOLD.replace("copy.deepcopy(layer)", "layer")),
    ],
    "q4": [
        (
            "kernel of a transposed convolution counted whole",
            3,
            FAN_IN.replace("reach //= layer.stride[0]", "pass") + MEAN_SQUARE + KEEPING,
        ),
        (
            "output channels in place of input channels",
            2,
            FAN_IN.replace("layer.in_channels", "layer.out_channels") + MEAN_SQUARE + KEEPING,
        ),
        ("slope not squared", 2, FAN_IN + (MEAN_SQUARE + KEEPING).replace("slope**2", "slope")),
        (
            "activations forgotten",
            2,
            FAN_IN
            + MEAN_SQUARE.replace("* (1 + slope**2) / 2", "")
            + KEEPING.replace("2 / (n * (1 + slope**2))", "1 / n"),
        ),
        ("the variance in place of its root", 2, FAN_IN + MEAN_SQUARE + KEEPING.replace("math.sqrt", "float")),
        ("only the first layer", 3, FAN_IN + MEAN_SQUARE.replace("in fan_ins:", "in fan_ins[:1]:") + KEEPING),
    ],
    "q5": [
        ("always divided: spectral normalisation", 2, bounded(used="weight * bound / sigma")),
        ("the estimate detached", 3, bounded(sigma="(u @ matrix @ v).detach()")),
        ("the old u is returned", 3, bounded(new="old")),
        ("gradient through u and v, which keep their graph", 4, bounded(graph="torch.enable_grad()")),
        ("Frobenius norm", 0, bounded(sigma="matrix.norm()")),
        ("the bound forgotten", 0, bounded(used="weight / sigma.clamp(min=1)")),
        ("the matrix is returned in place of the kernel", 3, bounded(used="matrix / (sigma / bound).clamp(min=1)")),
        (
            "u moves only where the weight is shrunk",
            4,
            bounded(new="(u if sigma > bound else old)"),
        ),
    ],
    "q6": [
        ("no output padding", 2, STEEPEST.replace("padding, rest)", "padding)") + TAPS),
        (
            "output padding of question 1, which fits another padding",
            2,
            STEEPEST.replace(
                "(n + 2 * padding - weight.shape[-1]) % stride",
                "transposed_padding((n + 2 * padding - (k := len(weight[0, 0]))) // stride + 1, n, k, stride)[1]",
            )
            + TAPS,
        ),
        (
            "stretch after A and its transpose: the square",
            1,
            STEEPEST.replace(
                STRETCH, "float(F.conv_transpose2d(" + STRETCH[6:-8] + ", weight, None, stride, padding, rest).norm())"
            )
            + TAPS,
        ),
        (
            "norm of the reshaped kernel",
            2,
            STEEPEST.replace(STRETCH, "float(torch.linalg.matrix_norm(weight.flatten(1), 2))") + TAPS,
        ),
        ("a single round", 2, STEEPEST.replace("range(rounds)", "range(1)") + TAPS),
        (
            "sum of absolute values",
            3,
            STEEPEST + TAPS.replace("torch.linalg.matrix_norm(weight.detach().permute(2, 3, 0, 1), 2)", "weight.abs()"),
        ),
        ("Frobenius norms of the taps", 3, STEEPEST + TAPS.replace("0, 1), 2).sum()", "0, 1)).sum()")),
        ("norms of the kernels of each pair of channels", 2, STEEPEST + TAPS.replace(".permute(2, 3, 0, 1)", "")),
    ],
    "q7": [
        ("gradients of the generator's loss stay in the discriminator", 3, step(last="pass")),
        ("advances before the generator's update as well", 3, step(middle="advance(discriminator)")),
        ("advances between its passes", 3, step(inner="pass", between="advance(discriminator)")),
        ("the generator's gradients are never cleared", 2, step(clear_g="pass")),
        ("the loss is returned with its graph", 2, step(told="loss_d")),
        ("the discriminator is frozen and stays so", 1, step(middle="discriminator.requires_grad_(False)")),
        ("no margin for generated images", 2, step(loss_d="F.relu(1 - real_logits).mean() + 1 + fake_logits.mean()")),
        ("advances once a step", 3, step(first="advance(discriminator)", inner="pass")),
        ("never advances", 3, step(inner="pass")),
        ("the same latent vectors for all updates", 3, step(fake="generator(z).detach()")),
        (
            "cross-entropy",
            2,
            step(
                loss_d="F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()",
                loss_g="F.softplus(-discriminator(generator(z))).mean()",
            ),
        ),
        (
            "no margin: the critic's loss of a Wasserstein GAN",
            2,
            step(loss_d="fake_logits.mean() - real_logits.mean()"),
        ),
        ("margins at 0", 2, step(loss_d="F.relu(-real_logits).mean() + F.relu(fake_logits).mean()")),
        ("the generator has a hinge as well", 2, step(loss_g="F.relu(1 - discriminator(generator(z))).mean()")),
        ("signs exchanged", 2, step(loss_d="F.relu(1 + real_logits).mean() + F.relu(1 - fake_logits).mean()")),
        (
            "half of the discriminator's loss",
            2,
            step(loss_d="(F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()) / 2"),
        ),
    ],
}
