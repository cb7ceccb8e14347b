"""What readers may write into the exercises of "Generative models"."""

KL = "def repaired_kl(mean, log_variance):\n    "
BITS = "def dequantised_bits(log_prob, level, generator):\n    "
NOISE = "u = torch.rand(level.shape, generator=generator, dtype=level.dtype)\n    "
FLOW = """def s_of(x):
    return 0.5 * torch.sin(2 * x[:, 0]) - 0.4


def t_of(x):
    return x[:, 0] ** 2 / 4


def repaired_log_prob(x):
    """
LAYER = "z = torch.stack([x[:, 0], x[:, 1] * {} + {}], 1)\n    return Normal(0.0, 1.0).log_prob(z).sum(1) {}"
BOUND = "def importance_bound(log_weights):\n    "
MASK = "def causal_mask(size, kind):\n    mask, c = torch.zeros(size, size), size // 2\n    {}\n    return mask"

ANSWERS = {
    "Exercise 3": {
        "right": [
            KL + "return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)",
            KL + "return -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).mean(1) * mean.shape[1]",
            KL + "return kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(-1)",
        ],
        "wrong": [
            KL + "return -0.5 * torch.mean(1 + log_variance - mean.pow(2) - log_variance.exp())",
            KL + "return -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).mean(1)",
            KL + "return -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum()",
            KL + "return -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum(0)",
            KL + "return -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).mean(1) * 16",
            KL + "return 0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum(1)",
            KL + "return -(1 + log_variance - mean.pow(2) - log_variance.exp()).sum(1)",
            KL + "return -0.5 * (1 + log_variance - mean.pow(2) - (2 * log_variance).exp()).sum(1)",  # a log of std
            KL + "return -0.5 * (log_variance - mean.pow(2) - log_variance.exp()).sum(1)",
            KL + "return 0.0",  # has no shape
        ],
    },
    "Exercise 4": {
        "right": [
            BITS + NOISE + "return -(log_prob(level + u)).mean() / math.log(2)",
            BITS + "u = torch.rand(level.shape, generator=generator)\n"
            "    return -float(log_prob(level + u).mean()) / 0.69314718",
        ],
        "wrong": [
            BITS + "return -log_prob(level).mean() / math.log(2)",
            BITS + "return -log_prob(level + 0.5).mean() / math.log(2)",
            BITS + "return -log_prob(level + torch.rand(1, generator=generator)).mean() / math.log(2)",
            BITS + "return -log_prob(level + torch.rand(level.shape)).mean() / math.log(2)",
            BITS + NOISE + "return -log_prob(level + u).mean()",  # nats
            BITS + NOISE + "return log_prob(level + u).mean() / math.log(2)",
            BITS + NOISE + "return -log_prob(level + u).sum() / math.log(2)",
            BITS + NOISE + "return -log_prob(level + u) / math.log(2)",  # raises
            BITS + NOISE + "return -log_prob(level + u - 0.5).mean() / math.log(2)",
            BITS + NOISE + "return -log_prob(level + u).exp().mean().log() / math.log(2)",
            BITS
            + "u = torch.randn(level.shape, generator=generator)\n    return -log_prob(level + u).mean() / math.log(2)",
        ],
    },
    "Exercise 6": {
        "right": [
            FLOW + LAYER.format("s_of(x).exp()", "t_of(x)", "+ s_of(x)"),
            FLOW
            + "z = x[:, 1] * s_of(x).exp() + t_of(x)\n    f = Normal(0.0, 1.0).log_prob\n"
            + "    return f(x[:, 0]) + f(z) + s_of(x).exp().log()",
        ],
        "wrong": [
            FLOW + LAYER.format("s_of(x).exp()", "t_of(x)", "- s_of(x)"),  # as given
            FLOW + LAYER.format("s_of(x).exp()", "t_of(x)", ""),
            FLOW + "return Normal(0.0, 1.0).log_prob(x).sum(1)",  # a density, but of no flow
            FLOW + LAYER.format("(-s_of(x)).exp()", "t_of(x)", "- s_of(x)"),  # a density, of another layer
            FLOW + LAYER.format("s_of(x).exp()", "0", "+ s_of(x)"),  # a density, without the shift
            FLOW + LAYER.format("s_of(x).exp()", "-t_of(x)", "+ s_of(x)"),
            FLOW + "z = (x[:, 1] - t_of(x)) * (-s_of(x)).exp()\n    z = torch.stack([x[:, 0], z], 1)\n"
            "    return Normal(0.0, 1.0).log_prob(z).sum(1) - s_of(x)",  # its inverse
            FLOW + LAYER.format("s_of(x).exp()", "t_of(x)", "+ s_of(x)").replace("sum(1)", "sum()"),
            FLOW + LAYER.format("s_of(x).exp()", "t_of(x)", "+ s_of(x).exp()"),
        ],
    },
    "Exercise 8": {
        "right": [
            BOUND + "return torch.logsumexp(log_weights, dim=0) - torch.log(torch.tensor(len(log_weights)).double())",
            BOUND + "top = log_weights.max(0).values\n    return (log_weights - top).exp().mean(0).log() + top",
        ],
        "wrong": [
            BOUND + "return log_weights.exp().mean(0).log()",
            BOUND + "return log_weights.mean(0)",
            BOUND + "return torch.logsumexp(log_weights, 0)",
            BOUND + "return torch.logsumexp(log_weights, 1) - math.log(log_weights.shape[1])",
            BOUND + "return torch.logsumexp(log_weights, 0) - math.log(log_weights.shape[1])",
            BOUND + "return torch.logsumexp(log_weights, 0) / len(log_weights)",
            BOUND + "top = log_weights.max()\n    return (log_weights - top).exp().mean(0).log() + top",  # of all
            BOUND + "return (torch.logsumexp(log_weights, 0) - math.log(len(log_weights))).mean()",
            BOUND + "return log_weights.max(0).values",
            BOUND + "return torch.logsumexp(log_weights.clamp(min=-700), 0) - math.log(len(log_weights))",
        ],
    },
    "Exercise 11": {
        "right": [
            MASK.format("mask[:c] = 1\n    mask[c, : c + (kind == 'B')] = 1"),
            MASK.format(
                "mask = torch.tril(torch.ones(size**2, size**2), -1)[size**2 // 2].view(size, size)\n"
                "    mask[c, c] = kind == 'B'"
            ),
        ],
        "wrong": [
            MASK.format("mask[:c] = 1\n    mask[c, : c + 1] = 1"),  # the hole
            MASK.format("mask[:c] = 1\n    mask[c, :c] = 1"),  # B as A
            MASK.format("mask[:c] = 1\n    mask[c, : c + (kind == 'A')] = 1"),
            MASK.format("mask[:c, :] = 1"),
            MASK.format("mask[:, :c] = 1\n    mask[: c + (kind == 'B'), c] = 1"),  # columns before rows
            MASK.format("mask[c + 1 :] = 1\n    mask[c, c + (kind == 'A') :] = 1"),  # the other way round
            MASK.format("mask = torch.tril(torch.ones(size, size), -1 if kind == 'A' else 0)"),
            MASK.format("mask[: c + 1] = 1\n    mask[c, c] = kind == 'B'"),  # its right neighbours too
            MASK.format("mask = mask[0]"),
        ],
    },
}
