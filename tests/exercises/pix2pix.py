"""What readers may write into the exercises of "pix2pix"."""

PSNR = "def psnr(images, truth):\n    return {}"
EACH = "(images - truth).square().mean((1, 2, 3))"

SIDE = "def side_of_logits(n, h):\n    for _ in range(h):\n        n = {}\n    return {}"

LOSSES = """def losses_of(G, D, x, y, l1):
    fake = G(x)
    at_real, at_fake = D(torch.cat([{first}, y], 1)), D(torch.cat([{first}, fake{cut}], 1))
    loss_d = (softplus(-at_real).mean() + softplus(at_fake).mean()){half}
    loss_g = softplus({sign}D(torch.cat([{first}, fake], 1))).mean() + l1 * (fake - {near}).abs(){how}
    return loss_d, loss_g"""
GOOD = {"first": "x", "cut": ".detach()", "half": " / 2", "sign": "-", "near": "y", "how": ".mean()"}

PAIR = "def pair_of(wide, flip):\n    {}"
HALVES = "a, b = wide.chunk(2, -1)\n    "

NEAREST = "def nearest(images, possible):\n    return {}"

ANSWERS = {
    "Exercise 2": {
        "right": [
            PSNR.format(f"10 * torch.log10(4 / {EACH})"),
            PSNR.format(f"20 * math.log10(2) - 10 * torch.log10({EACH})"),
            PSNR.format(
                "torch.stack([20 * torch.log10(2 / (a - b).square().mean().sqrt()) for a, b in zip(images, truth)])"
            ),
        ],
        "wrong": [
            PSNR.format(f"10 * torch.log10(1 / {EACH})"),  # the peak of [0, 1]
            PSNR.format(f"10 * torch.log10(255**2 / {EACH})"),
            PSNR.format(f"10 * torch.log10(2 / {EACH})"),  # the peak is squared
            PSNR.format(f"10 * torch.log(4 / {EACH})"),  # the natural logarithm
            PSNR.format(f"20 * torch.log10(4 / {EACH})"),
            PSNR.format("10 * torch.log10(4 / (images - truth).abs().mean((1, 2, 3)))"),
            PSNR.format("10 * torch.log10(4 / (images - truth).square().mean())"),  # of the batch
            PSNR.format("10 * torch.log10(4 / (images - truth).square().mean()).expand(len(images))"),
            PSNR.format("10 * torch.log10(images.amax((1, 2, 3)) ** 2 / " + EACH + ")"),  # the image's own peak
            PSNR.format("10 * torch.log10(4 / (images - truth).square()).mean((1, 2, 3))"),
            PSNR.format("10 * torch.log10((images.max() - images.min()) ** 2 / " + EACH + ")"),  # read off the data
            PSNR.format("10 * torch.log10((2 * images.max()) ** 2 / " + EACH + ")"),
            PSNR.format("10 * torch.log10((2 * images.abs().max()) ** 2 / " + EACH + ")"),
        ],
    },
    "Exercise 3": {
        "right": [
            SIDE.format("n // 2", "n - 2"),
            SIDE.format("(n + 2 - 4) // 2 + 1", "n - 2"),
            "def side_of_logits(n, h):\n    return n // 2**h - 2",
        ],
        "wrong": [
            SIDE.format("n / 2", "n - 2"),
            SIDE.format("-(-n // 2)", "n - 2"),  # rounded up
            SIDE.format("n // 2", "n"),
            SIDE.format("n // 2", "n - 1"),  # one layer of stride 1 forgotten
            SIDE.format("n // 2 - 1", "n - 2"),
            "def side_of_logits(n, h):\n    return n // (9 * 2**h - 2)",  # as if patches did not overlap
            "def side_of_logits(n, h):\n    return (n // 2**h - 2) ** 2",  # how many
            "def side_of_logits(n, h):\n    return 9 * 2**h - 2",  # the receptive field
        ],
    },
    "Exercise 4": {
        "right": [
            LOSSES.format(**GOOD),
            LOSSES.format(**GOOD)  # D held while G learns
            .replace("    loss_g", "    D.requires_grad_(False)\n    loss_g")
            .replace("    return", "    D.requires_grad_(True)\n    return"),
            "def losses_of(G, D, x, y, l1):\n"
            "    with torch.no_grad():\n"
            "        made = G(x)\n"
            "    bce = nn.functional.binary_cross_entropy_with_logits\n"
            "    real, fake = D(torch.cat((x, y), 1)), D(torch.cat((x, made), 1))\n"
            "    loss_d = 0.5 * (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake)))\n"
            "    made = G(x)\n"
            "    fake = D(torch.cat((x, made), 1))\n"
            "    return loss_d, bce(fake, torch.ones_like(fake)) + l1 * nn.functional.l1_loss(made, y)",
        ],
        "wrong": [
            LOSSES.format(**{**GOOD, "first": "y"}),  # D sees no source
            LOSSES.format(**{**GOOD, "cut": ""}),
            LOSSES.format(**{**GOOD, "sign": ""}),  # G wants to be recognised
            LOSSES.format(**{**GOOD, "near": "x"}),
            LOSSES.format(**{**GOOD, "half": ""}),
            LOSSES.format(**{**GOOD, "how": ".sum()"}),
            LOSSES.format(**{**GOOD, "how": ".square().mean()"}),
            LOSSES.format(**GOOD).replace("l1 * (fake - y)", "l1 * (fake.detach() - y)"),  # no pull at all
            LOSSES.format(**GOOD).replace("(torch.cat([x, fake], 1))", "(torch.cat([x, fake.detach()], 1))"),
            LOSSES.format(**GOOD).replace("[x, y]", "[y, x]"),
            LOSSES.format(**GOOD).replace("fake.detach()], 1))", "fake.detach()], 1)).detach()"),
            LOSSES.format(**GOOD).replace("D(torch.cat([x, y], 1)),", "D(torch.cat([x, y], 1)).detach(),"),
            LOSSES.format(**GOOD).replace("return loss_d, loss_g", "return loss_d.detach(), loss_g"),
            LOSSES.format(**GOOD).replace("return loss_d, loss_g", "return loss_g, loss_d"),
            LOSSES.format(**GOOD).replace("return loss_d, loss_g", "return (loss_d,)"),  # half an answer
            LOSSES.format(**GOOD).replace("return loss_d, loss_g", "return [loss_d]"),
        ],
    },
    "Exercise 5": {
        "right": [
            PAIR.format(HALVES + "return (a.flip(-1), b.flip(-1)) if flip else (a, b)"),
            PAIR.format(
                "w = wide.shape[-1] // 2\n    pair = wide[..., :w], wide[..., w:]\n"
                "    return [side.flip(2) for side in pair] if flip else pair"
            ),
            PAIR.format(
                "if flip:\n        wide = wide.flip(-1)\n"
                "    a, b = wide.chunk(2, -1)\n"
                "    return (b, a) if flip else (a, b)"
            ),
        ],
        "wrong": [
            PAIR.format("return (wide.flip(-1) if flip else wide).chunk(2, -1)"),  # exchanged
            PAIR.format(HALVES + "return (a.flip(-1), b) if flip else (a, b)"),  # one side only
            PAIR.format(HALVES + "return (a, b.flip(-1)) if flip else (a, b)"),
            PAIR.format(HALVES + "return b, a"),
            PAIR.format(HALVES + "return a, b"),
            PAIR.format(HALVES + "return [a.flip(-1) if flip else a]"),  # the source alone
            PAIR.format(HALVES + "return (a.flip(-1) if flip else a)[None]"),
            PAIR.format(HALVES + "return (a.flip(1), b.flip(1)) if flip else (a, b)"),  # upside down
            PAIR.format(HALVES + "return (a.flip(0), b.flip(0)) if flip else (a, b)"),  # the colours
            PAIR.format("a, b = wide.chunk(2, 1)\n    return (a.flip(-1), b.flip(-1)) if flip else (a, b)"),
        ],
    },
    "Exercise 7": {
        "right": [
            NEAREST.format("(images - possible).square().mean((2, 3, 4)).min(0).values"),
            NEAREST.format("(images - possible).square().flatten(2).mean(2).amin(0)"),
            NEAREST.format(
                "torch.stack([min((a - p).square().mean() for p in possible[:, i]) for i, a in enumerate(images)])"
            ),
        ],
        "wrong": [
            NEAREST.format("(images - possible).square().min(0).values.mean((1, 2, 3))"),  # pixel by pixel
            NEAREST.format("(images - possible).square().mean((2, 3, 4)).mean(0)"),
            NEAREST.format("(images - possible).square().mean((2, 3, 4)).min(1).values"),
            NEAREST.format("(images - possible).square().mean((2, 3, 4)).min(0).indices"),
            NEAREST.format("(images - possible).abs().mean((2, 3, 4)).min(0).values"),
            NEAREST.format("(images - possible).square().sum((2, 3, 4)).min(0).values"),
            NEAREST.format("(images - possible.median(0).values).square().mean((1, 2, 3))"),
            NEAREST.format("(images - possible).square().mean((2, 3, 4)).max(0).values"),
            NEAREST.format("torch.zeros(len(images))"),
            NEAREST.format("(images - possible).square().mean((2, 3, 4)).min(0).values.sqrt()"),
            NEAREST.format("(images - possible[-1]).square().mean((1, 2, 3))"),
        ],
    },
}
