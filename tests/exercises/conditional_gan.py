"""What readers may write into the exercises of "Conditional GANs"."""

VALUE = "def conditional_value(p, g, p_y, q_y):\n    P, Q = {}, {}\n    both = {}\n    return {}"
PAIRS = "p_y[:, None] * p", "q_y[:, None] * g"
SAFE = "(P + Q).clamp(min=1e-300)"
SUM = "(torch.xlogy(P, P / both) + torch.xlogy(Q, Q / both)).sum()"

NORM = """def conditional_norm(h, labels, gains, biases):
    mean, var = h.mean({0}, keepdim=True), h.var({0}, correction={1}, keepdim=True)
    hat = (h - mean) / {2}
    return {3} * hat + {4}"""
ALL, ROOT = "(0, 2, 3)", "(var + 1e-5).sqrt()"
GAIN, BIAS = "gains[labels][:, :, None, None]", "biases[labels][:, :, None, None]"

LOGIT = "def caption_logit(phi, psi, v, words):\n    mask = (words != 0)[:, :, None]\n    return "
ADDED = "phi @ psi + ({} * phi).sum(1)"

LOSS = "def loss_of_generator(discriminator, fake, labels):\n    source, classes = discriminator({})\n    return {}"
BOTH = "softplus(-source).mean() + cross_entropy(classes, labels)"

HOLD = "def hold_out(first, second, n_first, n_second):\n    return "

ANSWERS = {
    "Exercise 2": {
        "right": [
            VALUE.format(*PAIRS, SAFE, SUM),
            """def conditional_value(p, g, p_y, q_y):
    P, Q = (p_y[:, None] * p).flatten(), (q_y[:, None] * g).flatten()
    some = P + Q > 0
    P, Q = P[some], Q[some]
    D = P / (P + Q)
    return (torch.xlogy(P, D) + torch.xlogy(Q, 1 - D)).sum().item()""",
        ],
        "wrong": [
            VALUE.format(*PAIRS, "P + Q", SUM),  # 0 / 0
            VALUE.format(PAIRS[0], "p_y[:, None] * g", SAFE, SUM),  # the labels of the data for the fakes
            VALUE.format("p", "g", SAFE, SUM),  # labels forgotten
            VALUE.format(*PAIRS, SAFE, SUM.replace(".sum()", ".mean()")),
            VALUE.format(*PAIRS, SAFE, "-" + SUM),
            VALUE.format("(p_y[:, None] * p).sum(0)", "(q_y[:, None] * g).sum(0)", SAFE, SUM),  # the blind one
            VALUE.format(*PAIRS, "(p + g).clamp(min=1e-300)", SUM),
            VALUE.format(*PAIRS, "(P + Q).clamp(min=1e-300) / 2", SUM),  # twice JS, without - 2 log 2
            VALUE.format(*PAIRS, SAFE, "P.sum() * math.nan"),
        ],
    },
    "Exercise 3": {
        "right": [
            NORM.format(ALL, 0, ROOT, GAIN, BIAS),
            "def conditional_norm(h, labels, gains, biases):\n"
            "    hat = nn.functional.batch_norm(h, None, None, training=True)\n"
            "    return torch.einsum('bc,bchw->bchw', gains[labels], hat) + biases[labels][..., None, None]",
        ],
        "wrong": [
            NORM.format("(2, 3)", 0, ROOT, GAIN, BIAS),  # each image by itself
            NORM.format("0", 0, ROOT, GAIN, BIAS),
            NORM.format(ALL, 1, ROOT, GAIN, BIAS),
            NORM.format(ALL, 0, "(var.sqrt() + 1e-5)", GAIN, BIAS),
            NORM.format(ALL, 0, "(var + 1e-5)", GAIN, BIAS),
            NORM.format(ALL, 0, ROOT, BIAS, GAIN),
            NORM.format(ALL, 0, ROOT, "(1 + gains[labels][:, :, None, None])", BIAS),
            NORM.format(ALL, 0, ROOT, GAIN.replace("labels", "0")[:-18] + "[None, :, None, None]", BIAS),
            """def conditional_norm(h, labels, gains, biases):
    out = torch.zeros_like(h)
    for c in labels.unique():  # class by class
        x = h[labels == c]
        hat = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
        out[labels == c] = gains[c][:, None, None] * hat + biases[c][:, None, None]
    return out""",
            "def conditional_norm(h, labels, gains, biases):\n    return h",
        ],
    },
    "Exercise 4": {
        "right": [
            LOGIT + ADDED.format("(v[words] * mask).sum(1)"),
            "def caption_logit(phi, psi, v, words):\n    v = v.clone()\n    v[0] = 0\n"
            "    return phi @ psi + v[words].sum(1).mul(phi).sum(1)",
        ],
        "wrong": [
            LOGIT + ADDED.format("v[words].sum(1)"),  # the padding counts
            LOGIT + ADDED.format("(v[words] * mask).mean(1)"),
            LOGIT + ADDED.format("((v[words] * mask).sum(1) / mask.sum(1).clamp(min=1))"),
            LOGIT + ADDED.format("(v[words] * mask).sum(1)").replace("phi @ psi + ", ""),
            LOGIT + "(phi @ psi)[:, None] + ((v[words] * mask).sum(1) * phi).sum(1)",  # (B, B)
            LOGIT + "phi @ psi + ((v[words] * mask).sum(1) * phi).mean(1)",
            LOGIT + "(phi @ psi) * ((v[words] * mask).sum(1) * phi).sum(1)",
            LOGIT + "phi @ psi * math.nan",
        ],
    },
    "Exercise 5": {
        "right": [
            LOSS.format("fake", BOTH),
            LOSS.format("fake", "softplus(-source).mean() - classes.log_softmax(1).gather(1, labels[:, None]).mean()"),
        ],
        "wrong": [
            LOSS.format("fake.detach()", BOTH),
            LOSS.format("fake", BOTH.replace("classes, ", "classes.softmax(1), ")),
            LOSS.format("fake.detach()", BOTH.replace("classes, ", "classes.softmax(1), ")),
            LOSS.format("fake", BOTH.replace("classes, ", "classes.detach(), ")),
            LOSS.format("fake", BOTH.replace("-source", "source")),  # of the wrong player
            LOSS.format("fake", "-softplus(source).mean() + cross_entropy(classes, labels)"),  # the saturating loss
            LOSS.format("fake", "softplus(-source).mean() - cross_entropy(classes, labels)"),
            LOSS.format("fake", "softplus(-source).mean()"),
            LOSS.format("fake", "cross_entropy(classes, labels)"),
            LOSS.format("fake", "softplus(-source) + cross_entropy(classes, labels)"),
        ],
    },
    "Exercise 10": {
        "right": [
            HOLD + "first % n_second == second",
            HOLD + "(first + second) % n_second == 0",
            HOLD + "second == (n_second - 1 - first) % n_second",
        ],
        "wrong": [
            HOLD + "first == 0",  # a whole value
            HOLD + "torch.rand(len(first)) < 0.1",  # items
            HOLD + "first == second",  # some first values without a pair
            HOLD + "second == 0",  # a second value lost
            HOLD + "(first + second) % 2 == 0",
            HOLD + "torch.zeros_like(first, dtype=torch.bool)",
            HOLD + "(first % n_second == second).long()",
            HOLD + "second % n_first == first",
        ],
    },
}
