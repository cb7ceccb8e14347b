"""Right and typical wrong answers to the exercises with an automatic check; see tests/test_exercises.py."""


def forces(**changed: str) -> str:
    values = {"a": "0.9526", "b": "0.7311", "c": "0.9526", "d": "0.018", **changed}
    return "forces = {" + ", ".join(f'"{letter}": {value}' for letter, value in values.items()) + "}\n"


def average(result: str) -> str:
    return f"def average_d(real_logits, fake_logits):\n    return {result}\n"


def loss_of(*lines: str) -> str:
    return "def loss_of(real_logits, fake_logits):\n" + "\n".join(f"    {line}" for line in lines) + "\n"


def slopes(*lines: str, result: str = "0.5 * squares.mean()") -> str:
    body = ["squares = 0", *lines, f"return {result}"]
    return "def slope_by_differences(D, x, h=1e-4):\n" + "\n".join(f"    {line}" for line in body) + "\n"


def demodulated(*lines: str) -> str:
    return "def demodulated(weight, style):\n" + "\n".join(f"    {line}" for line in lines) + "\n"


REAL, FAKE = "softplus(fake_logits.mean() - real_logits).mean()", "softplus(fake_logits - real_logits.mean()).mean()"
FLAT = "real, fake = real_logits.flatten(), fake_logits.flatten()"
REFUSED = "if len(real) != len(fake): raise ValueError('unequal')"
AXES = "for axis in torch.eye(x.shape[1], dtype=x.dtype):"
CENTRAL = "    squares = squares + ((D(x + h * axis) - D(x - h * axis)) / (2 * h)) ** 2"
OWN = "own = weight * style[None, :, None, None]"

ANSWERS = {
    "Exercise 1": {
        "right": [forces(), forces(a="1 / (1 + math.exp(-3))", c="torch.tensor(3.0).sigmoid()")],
        "wrong": [
            forces(a="0.0474"),
            forces(b="0.2689"),
            forces(c="1.0"),
            forces(d="0.7311"),
        ],
    },
    "Exercise 2": {
        "right": [
            average(f"{REAL} + {FAKE}"),
            average(
                "-nn.functional.logsigmoid(real_logits - fake_logits.mean()).mean()"
                " - nn.functional.logsigmoid(real_logits.mean() - fake_logits).mean()"
            ),
        ],
        "wrong": [
            average(REAL),
            average(f"({REAL} + {FAKE}) / 2"),
            average(f"{REAL} + softplus(real_logits.mean() - fake_logits).mean()"),
            average(f"{REAL} + {FAKE}".replace("mean() - real", "mean().detach() - real")),
            average("torch.log1p(torch.exp(fake_logits.mean() - real_logits)).mean() + " + FAKE),
            average("softplus(fake_logits - real_logits).mean()"),
        ],
    },
    "Exercise 3": {
        "right": [
            loss_of(FLAT, REFUSED, "return softplus(fake - real).mean()"),
            loss_of(FLAT, REFUSED, "return -nn.functional.logsigmoid(real - fake).mean()"),
        ],
        "wrong": [
            loss_of("return softplus(fake_logits - real_logits).mean()"),
            loss_of(FLAT, "return softplus(fake - real).mean()"),
            loss_of(FLAT, REFUSED, "return softplus(real - fake).mean()"),
            loss_of(FLAT, REFUSED, "return softplus(fake - real).sum()"),
            loss_of(FLAT, "n = min(len(real), len(fake))", "return softplus(fake[:n] - real[:n]).mean()"),
        ],
    },
    "Exercise 5": {
        "right": [
            slopes(AXES, CENTRAL),
            slopes(AXES, CENTRAL, result="squares.mean() / 2"),
        ],
        "wrong": [
            slopes(AXES, CENTRAL, result="squares.mean()"),
            slopes(AXES, CENTRAL, result="0.5 * squares.sum()"),
            slopes(AXES, CENTRAL.replace("(2 * h)", "h")),
            slopes(AXES, CENTRAL.replace(" ** 2", ".abs()")),
            slopes("axis = torch.ones(x.shape[1], dtype=x.dtype)", CENTRAL.strip()),
            "def slope_by_differences(D, x, h=1e-4):\n"
            "    x = x.clone().requires_grad_()\n"
            "    gradient = torch.autograd.grad(D(x).sum(), x)[0]\n"
            "    return 0.5 * gradient.square().sum(1).mean()\n",
        ],
    },
    "Exercise 7": {
        "right": ["growth_plain, growth_half = 64, 3.815\n", "growth_plain, growth_half = 2**6, 1.25**6\n"],
        "wrong": [
            "growth_plain, growth_half = 4096, 14.55\n",
            "growth_plain, growth_half = 64, 1.5**12\n",
            "growth_plain, growth_half = 12, 3.815\n",
        ],
    },
    "Exercise 8": {
        "right": [
            demodulated(OWN, "return own / own.square().sum((1, 2, 3), keepdim=True).sqrt()"),
            demodulated(OWN, "return own / own.flatten(1).norm(dim=1).view(-1, 1, 1, 1)"),
        ],
        "wrong": [
            demodulated(OWN, "return own"),
            demodulated("return weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()"),
            demodulated(OWN, "return own / own.square().sum((1, 2, 3), keepdim=True)"),
            demodulated(OWN, "return own / own.square().sum((0, 2, 3), keepdim=True).sqrt()"),
            demodulated(OWN, "return own / own.square().sum().sqrt()"),
        ],
    },
}
