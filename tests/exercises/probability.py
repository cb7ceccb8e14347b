"""What readers may write in the exercises of the chapter on probability, right and wrong."""

VARIANCE = "def sample_variance(x):\n    return "
CORRELATION = "def correlation(x, y):\n    a, b = x - x.mean(), y - y.mean()\n    return "
LAPLACE = "def sample_laplace(u):\n    return "
LOG_PROB = "def repaired_log_prob(x, mu, s):\n    d, z = x.shape[1], (x - mu) / s\n    return "
SQUARES = "-0.5 * (z**2).sum(1)"

ANSWERS = {
    "Exercise 3": {
        "right": [
            "def expectation(h, x, p):\n    return torch.trapezoid(h(x) * p, x)",
            "def expectation(h, x, p):\n    y = h(x) * p\n    return (0.5 * (y[1:] + y[:-1]) * x.diff()).sum()",
            "def expectation(h, x, p):\n    return float(np.trapezoid((h(x) * p).numpy(), x.numpy()))",
            "def expectation(h, x, p):\n    return sum(h(x[1:]) * p[1:] * (x[1:] - x[:-1]))",
        ],
        "wrong": [
            "def expectation(h, x, p):\n    return (h(x) * p).sum()",
            "def expectation(h, x, p):\n    return (h(x) * p).sum() * (x[1] - x[0])",
            "def expectation(h, x, p):\n    return (h(x) * p).mean()",
            "def expectation(h, x, p):\n    return (h(x) * p).sum() / p.sum()",
            "def expectation(h, x, p):\n    return torch.trapezoid(h(x) * p)",
            "def expectation(h, x, p):\n    return torch.trapezoid(x**2 * p, x)",  # whatever h is
            "def expectation(h, x, p):\n    return torch.trapezoid(x * p, x)",
            "def expectation(h, x, p):\n    return h(torch.trapezoid(x * p, x))",
            "def expectation(h, x, p):\n    return torch.trapezoid(h(x * p), x)",
            "def expectation(h, x, p):\n    return torch.cumulative_trapezoid(h(x) * p, x)",
            "def expectation(h, x, p):\n    return 'two'",
        ],
    },
    "Exercise 4": {
        "right": [
            VARIANCE + "(x - x.mean()).square().sum() / (len(x) - 1)",
            VARIANCE + "(x.square().sum() - len(x) * x.mean() ** 2) / (len(x) - 1)",
            VARIANCE + "((x[:, None] - x) ** 2).sum() / (2 * len(x) * (len(x) - 1))",
            VARIANCE + "torch.cov(x)",
        ],
        "wrong": [
            VARIANCE + "(x - x.mean()).square().mean()",
            VARIANCE + "(x - x.mean()).square().sum() / 2",  # right for three
            VARIANCE + "(x - x.mean()).abs().mean()",
            VARIANCE + "(x - x.mean()).abs().sum() / (len(x) - 1)",
            VARIANCE + "x.square().sum() / (len(x) - 1)",
            VARIANCE + "((x - x.mean()).square().sum() / (len(x) - 1)).sqrt()",
            VARIANCE + "(x - x.mean()).square() / (len(x) - 1)",
            VARIANCE + "x.square().mean() - x.mean() ** 2",
            VARIANCE + "y.mean()",
        ],
    },
    "Exercise 5": {
        "right": [
            CORRELATION + "(a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()",
            CORRELATION + "torch.nn.functional.cosine_similarity(a, b, dim=0)",
            CORRELATION + "(a * b).sum() / (len(x) - 1) / (x.std() * y.std())",
            "def correlation(x, y):\n    return np.corrcoef(x, y)[0, 1]",
        ],
        "wrong": [
            CORRELATION + "(a * b).mean() / (a.square().mean().sqrt() * b.square().mean())",
            CORRELATION + "((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()).abs()",  # right when it rises
            CORRELATION + "(x * y).sum() / (x.square().sum() * y.square().sum()).sqrt()",
            CORRELATION + "(a * b).mean() / (x.std() * y.std())",  # n above, n - 1 below
            CORRELATION + "(a * b).mean()",
            CORRELATION + "(a * b).sum() / (a.square().sum() * b.square().sum())",
            CORRELATION + "((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()) ** 2",
        ],
    },
    "Exercise 7": {
        "right": [
            LAPLACE + "torch.where(u < 0.5, torch.log(2 * u), -torch.log(2 * (1 - u)))",
            LAPLACE + "-torch.sign(u - 0.5) * torch.log1p(-2 * (u - 0.5).abs())",
            LAPLACE + "torch.where(u < 0.5, -torch.log(2 * u), torch.log(2 * (1 - u)))",  # falling: as good
        ],
        "wrong": [
            LAPLACE + "torch.tensor([5.0])",
            LAPLACE + "torch.tensor(0.0)",
            LAPLACE + "-torch.log(1 - u)",
            LAPLACE + "torch.where(u < 0.5, torch.log(u), -torch.log(1 - u))",
            LAPLACE + "torch.where(u < 0.5, u.exp() / 2, 1 - (-u).exp() / 2)",  # the cdf itself
            LAPLACE + "torch.log(2 * u)",
            LAPLACE + "torch.where(u < 0.5, torch.log(2 * u), torch.log(2 * (1 - u)))",
            LAPLACE + "torch.distributions.Laplace(0.0, 1.0).sample(u.shape)",  # of other random numbers
            LAPLACE + "math.log(2 * u)",
            LAPLACE + "torch.where(u < 0.5, torch.log(2 * u), -torch.log(2 * (1 - u)))[:100]",
        ],
    },
    "Exercise 8": {
        "right": [
            LOG_PROB + SQUARES + " - 0.5 * d * math.log(2 * math.pi) - d * math.log(abs(s))",
            LOG_PROB + "torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) - d * math.log(s * s) / 2",
        ],
        "wrong": [
            LOG_PROB + SQUARES + " - 0.5 * math.log(2 * math.pi) + math.log(s)",
            LOG_PROB + SQUARES + " - 0.5 * math.log(2 * math.pi) - math.log(abs(s))",
            LOG_PROB + SQUARES + " - 0.5 * d * math.log(2 * math.pi) - math.log(abs(s))",
            LOG_PROB + SQUARES + " - 0.5 * d * math.log(2 * math.pi) + d * math.log(abs(s))",
            LOG_PROB + SQUARES + " - 0.5 * d * math.log(2 * math.pi) - d * math.log(s)",
            LOG_PROB + SQUARES + " - 0.5 * math.log(2 * math.pi) - d * math.log(abs(s))",
            LOG_PROB + "-0.5 * (z**2).sum() - 0.5 * d * math.log(2 * math.pi) - d * math.log(abs(s))",
            LOG_PROB + "-0.5 * z**2 - 0.5 * math.log(2 * math.pi) - math.log(abs(s))",
        ],
    },
}
