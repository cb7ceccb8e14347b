"""What readers may write into the exercises of "CycleGAN"."""

FITS = "def fits(goes_to, p_a, p_b):\n    "
ADD = "arrived = [0.0] * len(p_b)\n    for i, j in enumerate(goes_to):\n        arrived[j] += p_a[i]\n    "

LOSS = "def cycle_loss(g, f, a, b):\n    "

POOL = "def ask_pool(stored, image, size, coin, where):\n    "
FILL = "if len(stored) < size:\n        stored.append(image)\n        return image\n    "
SWAP = "place = int(where * size)\n    old, stored[place] = stored[place], image\n    return old"

FLOOR = "def honest_floor(inks):\n    "

RATE = "def rate(t, done, steps, decay_from):\n    return "

ANSWERS = {
    "Exercise 2": {
        "right": [
            FITS + ADD + "return max(abs(x - y) for x, y in zip(arrived, p_b)) < 1e-6",
            FITS + "return all(abs(sum(p for p, g in zip(p_a, goes_to) if g == j) - q) < 1e-9 for j, q in "
            "enumerate(p_b))",
        ],
        "wrong": [
            FITS + ADD + "return arrived == p_b",  # 0.1 + 0.2 is not 0.3
            FITS + "return sorted(goes_to) == list(range(len(p_b)))",  # one to one, whatever the probabilities
            FITS + "return all(abs(p_a[i] - p_b[j]) < 1e-9 for i, j in enumerate(goes_to))",  # no image may be shared
            FITS + "return set(goes_to) == set(range(len(p_b)))",
            FITS + ADD + "return abs(sum(arrived) - sum(p_b)) < 1e-9",
            FITS + ADD + "return max(abs(x - y) for x, y in zip(arrived, p_b)) < 0.01",  # too loose
            FITS + "return True",
        ],
    },
    "Exercise 3": {
        "right": [
            LOSS + "return (f(g(a)) - a).abs().mean() + (g(f(b)) - b).abs().mean()",
            LOSS + "x, y = g(a), f(b)\n    return l1_loss(g(y), b) + l1_loss(f(x), a)",
        ],
        "wrong": [
            LOSS + "return l1_loss(f(g(a).detach()), a) + l1_loss(g(f(b).detach()), b)",
            LOSS + "return l1_loss(f(g(a)), a)",  # one way only
            LOSS + "return l1_loss(f(g(a)), a) + l1_loss(g(f(b)).detach(), b)",
            LOSS + "return l1_loss(f(g(a)), b) + l1_loss(g(f(b)), a)",
            LOSS + "return (f(g(a)) - a).square().mean() + (g(f(b)) - b).square().mean()",
            LOSS + "return (l1_loss(f(g(a)), a) + l1_loss(g(f(b)), b)) / 2",
            LOSS + "return l1_loss(g(a), b) + l1_loss(f(b), a)",  # there are no pairs
            LOSS + "return l1_loss(f(g(a)), a).detach() + l1_loss(g(f(b)), b)",
            LOSS + "return (l1_loss(f(g(a)), a) + l1_loss(g(f(b)), b)).item()",
        ],
    },
    "Exercise 4": {
        "right": [
            POOL + FILL + "if coin >= 0.5:\n        return image\n    " + SWAP,
            POOL + FILL + "if coin < 0.5:\n        i = int(where * size)\n        stored.append(image)\n        "
            "stored[i], stored[-1] = stored[-1], stored[i]\n        return stored.pop()\n    return image",
        ],
        "wrong": [
            POOL + FILL + "if coin < 0.5:\n        return image\n    " + SWAP,  # the other half
            POOL + FILL + SWAP,  # always an old one
            POOL + "if coin >= 0.5:\n        return image\n    " + FILL + SWAP,  # fills at half the pace
            POOL + FILL + "if coin >= 0.5:\n        return image\n    return stored[int(where * size)]",  # keeps it
            POOL + FILL + "if coin >= 0.5:\n        return image\n    stored.append(image)\n    return stored.pop(0)",
            POOL + "return image",
        ],
    },
    "Exercise 6": {
        "right": [
            FLOOR + "return 2 * (inks - inks.median(0).values).abs().mean()",
            FLOOR + "x = 2 * inks - 1\n    return (x - x.quantile(0.5, 0)).abs().mean().item()",
            FLOOR + "return sum((2 * (c - c.median()).abs()).mean() for c in inks.T) / 3",
        ],
        "wrong": [
            FLOOR + "return 2 * (inks - inks.mean(0)).abs().mean()",  # the best for squares
            FLOOR + "return (inks - inks.median(0).values).abs().mean()",  # the range is 2
            FLOOR + "return 2 * (inks - inks.median()).abs().mean()",  # one grey for all channels
            FLOOR + "return 2 * (inks - 0.5).abs().mean()",
            FLOOR + "return 2 * (inks - inks.median(0).values).abs().mean(0).sum()",
            FLOOR + "return 5 / 6",
        ],
    },
    "Exercise 7": {
        "right": [
            RATE + "min(1, (steps - done - t) / (steps - decay_from))",
            RATE + "1.0 if done + t < decay_from else 1 - (done + t - decay_from) / (steps - decay_from)",
        ],
        "wrong": [
            RATE + "1 - max(0, t - decay_from) / (steps - decay_from)",
            RATE + "1 - max(0, done - decay_from) / (steps - decay_from)",
            RATE + "1 - (done + t - decay_from) / (steps - decay_from)",  # above 1 at first
            RATE + "1 - max(0, done + t - decay_from) / steps",
            RATE + "1 - max(0, done + t - decay_from + 1) / (steps - decay_from + 1)",
            RATE + "1 - max(0, t - decay_from) / (steps - done - decay_from or 1)",
        ],
    },
}
