"""What readers may write into the exercises of "StarGAN"."""

PLANES = "def label_planes(labels, k, height, width):\n    "
SPREAD = "[:, :, None, None].expand(-1, -1, height, width)"

CLASSES = "def class_loss(logits, labels, groups):\n    "
LOOP = "first, total = 0, 0.0\n    for i, part in enumerate(logits.split(groups, 1)):\n        "
NEXT = "\n        first += groups[i]\n    return total"

LOSS = "def generator_loss(g, d, x, source, target):\n    fake = g(x, target)\n    score, logits = d(fake)\n    "
CYCLE = "10 * l1_loss(g(fake, source), x)"

ANSWERS = {
    "Exercise 2": {
        "right": [
            PLANES + "c = (labels[:, :, None] == torch.arange(k)).any(1).float()\n    return c" + SPREAD,
            PLANES + "c = nn.functional.one_hot(labels, k).sum(1).float()\n    return c" + SPREAD,
            PLANES + "out = torch.zeros(len(labels), k, height, width)\n    for i, row in enumerate(labels):\n        "
            "out[i, row] = 1\n    return out",
        ],
        "wrong": [
            PLANES + "c = nn.functional.one_hot(labels[:, 0], k).float()\n    return c" + SPREAD,  # the first word only
            PLANES + "return nn.functional.one_hot(labels, k).sum(1)" + SPREAD,  # whole numbers
            PLANES + "c = nn.functional.one_hot(labels, k).float().mean(1)\n    return c" + SPREAD,  # shares, not ones
            PLANES
            + "c = nn.functional.one_hot(labels, k).sum(1).float()\n    return c"
            + SPREAD.replace("height, width", "width, height"),
            PLANES + "return nn.functional.one_hot(labels, k).sum(1).float()",  # no places
            PLANES + "c = torch.zeros(len(labels), k)\n    c[:, labels] = 1\n    return c" + SPREAD,  # words of all
        ],
    },
    "Exercise 3": {
        "right": [
            CLASSES + LOOP + "total = total + cross_entropy(part, labels[:, i] - first)" + NEXT,
            CLASSES + LOOP + "rows = torch.arange(len(part))\n        "
            "total = total - part.log_softmax(1)[rows, labels[:, i] - first].mean()" + NEXT,
        ],
        "wrong": [
            CLASSES + "return sum(cross_entropy(logits, labels[:, i]) for i in range(len(groups)))",  # one softmax
            CLASSES + LOOP + "total = total + cross_entropy(part, labels[:, i] - first) / len(groups)" + NEXT,  # a mean
            CLASSES + LOOP + "total = total + cross_entropy(part.softmax(1), labels[:, i] - first)" + NEXT,  # twice
            CLASSES + LOOP + "total = total + cross_entropy(part, labels[:, i] - first).item()" + NEXT,  # no graph
            CLASSES + LOOP + "total = total + cross_entropy(part, labels[:, i] - first, reduction='sum')" + NEXT,
            CLASSES + LOOP + "total = total + cross_entropy(part, labels[:, i] % groups[i])" + NEXT,  # 3 % 2 is not 0
        ],
    },
    "Exercise 4": {
        "right": [
            LOSS + "return cross_entropy(logits, target) - score.mean() + " + CYCLE,
            LOSS + "return -score.mean() + cross_entropy(logits, target) + 10 * (g(fake, source) - x).abs().mean()",
        ],
        "wrong": [
            LOSS + "return cross_entropy(logits, source) + score.mean() + 10 * l1_loss(g(fake.detach(), source), x)",
            LOSS + "return cross_entropy(logits, target) + score.mean() + " + CYCLE,  # the score's sign
            LOSS + "return cross_entropy(logits, source) - score.mean() + " + CYCLE,  # the source's class
            LOSS + "return cross_entropy(logits, target) - score.mean() + 10 * l1_loss(g(fake.detach(), source), x)",
            LOSS + "return cross_entropy(logits, target) - score.mean() + 10 * l1_loss(g(fake, target), x)",
            LOSS + "return cross_entropy(logits, target) - score.mean() + l1_loss(g(fake, source), x)",  # weight 1
            LOSS + "return cross_entropy(logits, target) - score.mean() + 10 * l1_loss(fake, x)",  # no way back
        ],
    },
}
