"""Answers to the exercises of "GANs and classifiers": right ones, and mistakes that readers make."""

BALANCED = "def balanced_accuracy(said, y, classes):\n    "
ECE = """def ece(probabilities, y, bins=10):
    confidence, said = {confidence}
    right, total = (said == y).double(), 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            gap = right[inside].mean() - confidence[inside].mean()
            total = total + {gap} * {weight}
    return total
"""
BOX = "def into_box(at, x, eps):\n    return "
ATTACK = "def loss_of_attacker(generator, net, x, y):\n    "
MARGIN = "logits.gather(1, y[:, None])[:, 0] - logits.scatter(1, y[:, None], -1e9).max(1).values"


def calibration(confidence="probabilities.max(1)", gap="gap.abs()", weight="inside.double().mean()"):
    return ECE.format(confidence=confidence, gap=gap, weight=weight)


ANSWERS = {
    "Exercise 2": {
        "right": [
            BALANCED + "return torch.stack([(said == y)[y == c].double().mean() for c in y.unique()]).mean()",
            BALANCED
            + "table = torch.zeros(classes, classes)\n"
            + "    table.index_put_((y, said), torch.ones(len(y)), accumulate=True)\n"
            + "    there = table.sum(1) > 0\n"
            + "    return (table.diag()[there] / table.sum(1)[there]).mean()",
        ],
        "wrong": [
            BALANCED + "return (said == y).double().mean()",  # the accuracy
            BALANCED + "return sum((said == y)[y == c].double().mean() for c in range(classes)) / classes",  # NaN
            BALANCED + "return sum((said == y)[y == c].double().mean() for c in y.unique()) / classes",
            BALANCED
            + "seen = torch.cat([said, y]).unique()\n"
            + "    return sum((said == y)[y == c].double().sum() / max((y == c).sum(), 1) for c in seen) / len(seen)",
            BALANCED + "return sum((said == y)[said == c].double().mean() for c in said.unique()) / len(said.unique())",
        ],
    },
    "Exercise 3": {
        "right": [calibration(), calibration(weight="inside.sum() / len(y)")],
        "wrong": [
            calibration(confidence="(probabilities.mean(1), probabilities.argmax(1))"),
            calibration(gap="gap"),
            calibration(weight="1 / bins"),
            calibration(gap="gap.square()"),
        ],
    },
    "Exercise 5": {
        "right": [
            BOX + "torch.clamp(at, (x - eps).clamp(min=-1), (x + eps).clamp(max=1))",
            BOX + "(x + (at - x).clamp(-eps, eps)).clamp(-1, 1)",
        ],
        "wrong": [
            BOX + "x + (at - x).clamp(-eps, eps)",  # leaves [-1, 1]
            BOX + "at.clamp(-1, 1)",  # leaves the box
            BOX + "(x + eps * (at - x).sign()).clamp(-1, 1)",  # a corner
            BOX + "(x + eps * (at - x) / (at - x).abs().max()).clamp(-1, 1)",  # all are scaled
        ],
    },
    "Exercise 6": {
        "right": [
            ATTACK + f"logits = net(generator(x))\n    return ({MARGIN}).clamp(min=-1).mean()",
            ATTACK
            + "logits = net(generator(x))\n    own = logits.gather(1, y[:, None])[:, 0]\n    two = logits.topk(2, 1)\n"
            + "    best = torch.where(two.indices[:, 0] == y, two.values[:, 1], two.values[:, 0])\n"
            + "    return (own - best).clamp(min=-1).mean()",
        ],
        "wrong": [
            ATTACK
            + f"with torch.no_grad():\n        logits = net(generator(x))\n    return ({MARGIN}).clamp(min=-1).mean()",
            ATTACK
            + "logits = net(generator(x))\n    own = logits.gather(1, y[:, None])[:, 0]\n"
            + "    return (own - logits.max(1).values).clamp(min=-1).mean()",
            ATTACK + f"logits = net(generator(x).detach())\n    return ({MARGIN}).clamp(min=-1).mean()",
            ATTACK + f"logits = net(generator(x))\n    return ({MARGIN}).clamp(max=-1).mean()",
            ATTACK + f"logits = net(generator(x))\n    return ({MARGIN}).mean()",  # no clamp
            ATTACK + f"logits = net(generator(x))\n    return ({MARGIN}).mean().clamp(min=-1)",  # of the mean
            ATTACK + f"logits = net(generator(x))\n    return -({MARGIN}).clamp(min=-1).mean()",
        ],
    },
}
