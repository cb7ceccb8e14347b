"""Answers to the exercises of "Where GANs live today": right ones, and mistakes that readers make."""

LEVEL = "def best_answer(snr):\n    rho = {rho}\n    return {level}, {cost}\n"
RHO, OF_LEVEL = "1 / (1 + 10 ** (-snr / 10))", "10 * math.log10(rho)"
COST = "10 * math.log10(2 / (1 + rho ** 0.5))"
RATIO = "def scale_invariant(clean, sound):\n    "
WINDOWS = "def windows(clips, k):\n    "


def level(rho=RHO, of_level=OF_LEVEL, cost=COST):
    return LEVEL.format(rho=rho, level=of_level, cost=cost)


ANSWERS = {
    "Exercise 1": {
        "right": [
            level(),
            level(rho="10 ** (snr / 10) / (10 ** (snr / 10) + 1)"),
            level(cost="10 * math.log10(2 * (1 - rho ** 0.5) / (1 - rho))"),
            level(of_level="20 * math.log10(rho ** 0.5)"),
        ],
        "wrong": [
            level(of_level="20 * math.log10(rho)"),  # the variance is rho, not rho squared
            level(rho="10 ** (snr / 10)"),
            level(rho="1 / (1 + 10 ** (-snr / 20))"),  # a ratio of amplitudes
            level(cost="2 / (1 + rho ** 0.5)"),  # no decibels
            level(cost="10 * math.log10(2)"),  # the bound
            "def best_answer(snr):\n    return -10 * math.log10(2), 0.0\n",
        ],
    },
    "Exercise 2": {
        "right": [
            RATIO
            + "alpha = (sound * clean).sum(1) / (clean * clean).sum(1)\n"
            + "    target = alpha[:, None] * clean\n"
            + "    return 10 * (target.norm(dim=1) / (sound - target).norm(dim=1)).square().log10()",
            RATIO
            + "c = nn.functional.cosine_similarity(clean, sound, dim=1, eps=0).square()\n"
            + "    return 10 * torch.log10(c / (1 - c))",
        ],
        "wrong": [
            RATIO + "return 10 * torch.log10(clean.square().sum(1) / (sound - clean).square().sum(1))",
            RATIO
            + "alpha = (sound * clean).sum() / clean.square().sum()\n"
            + "    target = alpha * clean\n"
            + "    return 10 * torch.log10(target.square().sum(1) / (sound - target).square().sum(1))",
            RATIO
            + "alpha = (sound * clean).sum(1, keepdim=True) / sound.square().sum(1, keepdim=True)\n"
            + "    target = alpha * clean\n"
            + "    return 10 * torch.log10(target.square().sum(1) / (sound - target).square().sum(1))",
            RATIO
            + "alpha = (sound * clean).sum(1, keepdim=True) / clean.square().sum(1, keepdim=True)\n"
            + "    target = alpha * clean\n"
            + "    return 20 * torch.log10(target.square().sum(1) / (sound - target).square().sum(1))",
            RATIO
            + "alpha = (sound * clean).sum(1, keepdim=True) / clean.square().sum(1, keepdim=True)\n"
            + "    target = alpha * clean\n"
            + "    return (10 * torch.log10(target.square().sum(1) / (sound - target).square().sum(1))).mean()",
        ],
    },
    "Exercise 3": {
        "right": [
            WINDOWS + "return torch.cat([clips[:, t : t + k] for t in range(clips.shape[1] - k + 1)])",
            WINDOWS + "return clips.unfold(1, k, 1).movedim(-1, 2).reshape(-1, k, *clips.shape[2:])",
        ],
        "wrong": [
            WINDOWS + "return clips.reshape(-1, k, *clips.shape[2:])",  # no overlap
            WINDOWS
            + "return torch.cat([clips[:, t : t + k] for t in range(clips.shape[1] - k)])",  # the last is missing
            WINDOWS + "return clips.unfold(1, k, 1).reshape(-1, k, *clips.shape[2:])",  # axes in the wrong order
            WINDOWS + "return clips.flatten(0, 1).unfold(0, k, 1).movedim(-1, 1)",  # across clips
            WINDOWS + "return torch.stack([clips[:, t : t + k] for t in range(clips.shape[1] - k + 1)])",
        ],
    },
}

# --- distillation, codecs, text ---

ANSWERS |= {
    "Exercise 5": {
        "right": [
            ("def best_velocity(x, t):\n    m = torch.tanh((1 - t) * x / t**2)\n    return (x - m) / t\n"),
            (
                "def best_velocity(x, t):\n"
                "    m = torch.tanh((1 - t) * x / t**2)\n"
                "    return (x - (1 - t) * m) / t - m\n"
            ),
            (
                "def best_velocity(x, t):\n"
                "    w = torch.sigmoid(2 * (1 - t) * x / t**2)\n"
                "    up = (x - (1 - t)) / t - 1\n"
                "    down = (x + (1 - t)) / t + 1\n"
                "    return w * up + (1 - w) * down\n"
            ),
        ],
        "wrong": [
            ("def best_velocity(x, t):\n    m = torch.tanh((1 - t) * x / t**2)\n    return (m - x) / t\n"),
            "def best_velocity(x, t):\n    m = torch.tanh((1 - t) * x / t**2)\n    return x - m\n",
            "def best_velocity(x, t):\n    m = torch.tanh((1 - t) * x / t)\n    return (x - m) / t\n",
            "def best_velocity(x, t):\n    m = torch.tanh(x / t**2)\n    return (x - m) / t\n",
            "def best_velocity(x, t):\n    return (x - x.sign()) / t\n",
            "def best_velocity(x, t):\n    return x\n",
        ],
    },
    "Exercise 6": {
        "right": [
            (
                "def matching_loss(x, direction):\n"
                "    away = direction(x).detach()\n"
                "    return (x * away).sum(1).mean()\n"
            ),
            (
                "def matching_loss(x, direction):\n"
                "    with torch.no_grad():\n"
                "        away = direction(x)\n"
                "    return (x * away).sum() / len(x)\n"
            ),
            (
                "def matching_loss(x, direction):\n"
                "    goal = (x - direction(x)).detach()\n"
                "    return 0.5 * (x - goal).square().sum(1).mean()\n"
            ),
            (
                "def matching_loss(x, direction):\n"
                "    away = direction(x.detach()).detach()\n"
                "    return torch.einsum('bi,bi->b', x, away).mean()\n"
            ),
        ],
        "wrong": [
            ("def matching_loss(x, direction):\n    away = direction(x)\n    return (x * away).sum(1).mean()\n"),
            (
                "def matching_loss(x, direction):\n"
                "    away = direction(x).detach()\n"
                "    return (away**2).sum(1).mean()\n"
            ),
            (
                "def matching_loss(x, direction):\n"
                "    away = direction(x).detach()\n"
                "    return -(x * away).sum(1).mean()\n"
            ),
            ("def matching_loss(x, direction):\n    away = direction(x).detach()\n    return (x * away).mean()\n"),
            ("def matching_loss(x, direction):\n    away = direction(x).detach()\n    return (x * away).sum(1)\n"),
            (
                "def matching_loss(x, direction):\n"
                "    goal = (x - direction(x)).detach()\n"
                "    return (x - goal).square().sum(1).mean()\n"
            ),
            (
                "def matching_loss(x, direction):\n"
                "    away = direction(x.detach())\n"
                "    return (x * away).sum(1).mean()\n"
            ),
        ],
    },
    "Exercise 7": {
        "right": [
            "def two_decoders(q):\n    return q * (1 - q), 2 * q * (1 - q)\n",
            "def two_decoders(q):\n    return [q - q**2, 2 * (q - q**2)]\n",
            "def two_decoders(q):\n    return torch.tensor([1.0, 2.0]).double() * q * (1 - q)\n",
        ],
        "wrong": [
            "def two_decoders(q):\n    return q * (1 - q), q * (1 - q)\n",
            "def two_decoders(q):\n    return 2 * q * (1 - q), q * (1 - q)\n",
            "def two_decoders(q):\n    return min(q, 1 - q), 2 * q * (1 - q)\n",
            "def two_decoders(q):\n    return q * (1 - q), 1 - q * (1 - q)\n",
            "def two_decoders(q):\n    return (q * (1 - q),)\n",
        ],
    },
    "Exercise 8": {
        "right": [
            (
                "def bits_per_image(numbers, codes):\n"
                "    share = numbers.flatten().bincount(minlength=codes) / numbers.nume"
                "l()\n"
                "    h = torch.special.entr(share).sum() / math.log(2)\n"
                "    n = numbers[0].numel()\n"
                "    return n * math.log2(codes), n * h\n"
            ),
            (
                "def bits_per_image(numbers, codes):\n"
                "    n = numbers.shape[1] * numbers.shape[2]\n"
                "    _, counts = numbers.unique(return_counts=True)\n"
                "    p = counts / counts.sum()\n"
                "    return n * math.log(codes, 2), -n * (p * p.log2()).sum().item()\n"
            ),
        ],
        "wrong": [
            (
                "def bits_per_image(numbers, codes):\n"
                "    share = numbers.flatten().bincount(minlength=codes) / numbers.nume"
                "l()\n"
                "    n = numbers[0].numel()\n"
                "    return n * math.log2(codes), -n * (share * share.log2()).sum()\n"
            ),
            (
                "def bits_per_image(numbers, codes):\n"
                "    share = numbers.flatten().bincount(minlength=codes) / numbers.nume"
                "l()\n"
                "    share = share[share > 0]\n"
                "    n = numbers[0].numel()\n"
                "    return n * math.log2(codes), -n * (share * share.log()).sum()\n"
            ),
            (
                "def bits_per_image(numbers, codes):\n"
                "    share = numbers.flatten().bincount(minlength=codes) / numbers.nume"
                "l()\n"
                "    share = share[share > 0]\n"
                "    return math.log2(codes), -(share * share.log2()).sum()\n"
            ),
            (
                "def bits_per_image(numbers, codes):\n"
                "    share = numbers.flatten().bincount(minlength=codes) / numbers.nume"
                "l()\n"
                "    share = share[share > 0]\n"
                "    n = numbers[0].numel()\n"
                "    return n * codes, -n * (share * share.log2()).sum()\n"
            ),
            (
                "def bits_per_image(numbers, codes):\n"
                "    share = numbers.flatten().bincount(minlength=codes) / numbers.nume"
                "l()\n"
                "    share = share[share > 0]\n"
                "    n = numbers.numel()\n"
                "    return n * math.log2(codes), -n * (share * share.log2()).sum()\n"
            ),
            "def bits_per_image(numbers, codes):\n    return (numbers[0].numel() * math.log2(codes),)\n",
        ],
    },
    "Exercise 9": {
        "right": [
            ('language = {"a": 1, "b": 0, "c": math.inf, "d": math.log2(40), "e": 12 - math.log2(40), "f": 224}\n'),
            'language = {"a": 1.0, "b": 0, "c": float("inf"), "d": 5.32, "e": 6.68, "f": 224}\n',
            (
                'language = {"a": 1, "b": 0, "c": math.inf, "d": math.log2(40), "e": 12'
                ' - math.log2(40), "f": 14 * 2**4}\n'
            ),
        ],
        "wrong": [
            (
                'language = {"a": 1 / 40, "b": 0, "c": math.inf, "d": math.log2(40), "e'
                '": 12 - math.log2(40), "f": 224}\n'
            ),
            (
                'language = {"a": 1, "b": 0, "c": math.log2(40), "d": math.log2(40), "e'
                '": 12 - math.log2(40), "f": 224}\n'
            ),
            ('language = {"a": 1, "b": 0, "c": math.inf, "d": math.inf, "e": 12 - math.log2(40), "f": 224}\n'),
            'language = {"a": 1, "b": 0, "c": math.inf, "d": math.log2(40), "e": 12, "f": 224}\n',
            ('language = {"a": 1, "b": 0, "c": math.inf, "d": math.log2(40), "e": 12 - math.log2(40), "f": 14}\n'),
            ('language = {"a": 1, "b": 0, "c": math.inf, "d": math.log2(40), "e": 12 - math.log2(40), "f": 256}\n'),
            ('language = {"a": 1, "b": None, "c": math.inf, "d": math.log2(40), "e": 12 - math.log2(40), "f": 224}\n'),
            "language = {}\n",
        ],
    },
    "Exercise 10": {
        "right": [
            (
                "def exact_gradient(logits, rewards):\n"
                "    p = logits.softmax(0)\n"
                "    return p * (rewards - p @ rewards)\n"
            ),
            (
                "def exact_gradient(logits, rewards):\n"
                "    p = torch.softmax(logits, 0)\n"
                "    return (torch.diag(p) - torch.outer(p, p)) @ rewards\n"
            ),
            (
                "def exact_gradient(logits, rewards):\n"
                "    p = logits.exp() / logits.exp().sum()\n"
                "    g = torch.zeros_like(p)\n"
                "    for i in range(len(p)):\n"
                "        for k in range(len(p)):\n"
                "            g[i] += p[k] * rewards[k] * ((k == i) * 1.0 - p[i])\n"
                "    return g\n"
            ),
        ],
        "wrong": [
            ("def exact_gradient(logits, rewards):\n    p = logits.softmax(0)\n    return p * rewards\n"),
            (
                "def exact_gradient(logits, rewards):\n"
                "    p = logits.softmax(0)\n"
                "    return p * (rewards - rewards.mean())\n"
            ),
            (
                "def exact_gradient(logits, rewards):\n"
                "    p = logits.softmax(0)\n"
                "    return -p * (rewards - p @ rewards)\n"
            ),
            ("def exact_gradient(logits, rewards):\n    p = logits.softmax(0)\n    return rewards - p @ rewards\n"),
            (
                "def exact_gradient(logits, rewards):\n"
                "    logits = logits.clone().requires_grad_()\n"
                "    return torch.autograd.grad(logits.softmax(0) @ rewards, logits)[0]"
                "\n"
            ),
            (
                "def exact_gradient(logits, rewards):\n"
                "    p = logits.softmax(0)\n"
                "    return (p * (rewards - p @ rewards)).sum()\n"
            ),
        ],
    },
}
