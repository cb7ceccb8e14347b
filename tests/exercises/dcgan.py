"""What readers may write into the exercises of "DCGAN"."""

NORM = "def batch_norm(x, gain, bias, mean, var, training):\n    "
BATCH = "m, v = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)\n"
SAFE = "s = lambda t: t[:, None, None]\n"
FULL = f"""{SAFE}    if training:
        m, v = x.mean((0, 2, 3)), x.var((0, 2, 3), correction={{0}})
        mean = {{2}} * mean + {{3}} * m
        var = {{2}} * var + {{3}} * x.var((0, 2, 3), correction={{1}})
    else:
        m, v = mean, var
    hat = (x - s(m)) / {{4}}
    return s(gain) * hat + s(bias), mean, var"""
ROOT = "s(v + 1e-5).sqrt()"

NET = "def repaired_discriminator():\n    return nn.Sequential(\n        "
TWO = "nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(64, 128, 4, 2, 1), "
END = "nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(128 * 8 * 8, 1), nn.Flatten(0))"

THERE = "def to_images(stored):\n    return {}\n\n\n"
BACK = "def to_bytes(images):\n    return {}"
RIGHT_THERE, RIGHT_BACK = "stored.float() / 127.5 - 1", "((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)"

DRAW = "def draw(generator, z):\n    "

BLOCK = "def halve(channels_in, channels_out):\n    return nn.Sequential({}, {}, {})"
CONV = "nn.Conv2d(channels_in, channels_out, {}, bias=False)"
LEAKY, BN = "nn.LeakyReLU(0.2)", "nn.BatchNorm2d(channels_out)"

ARC = "def slerp(a, b, t):\n    "
ANGLE = "w = torch.acos(a @ b / (a.norm() * b.norm()))\n    "

ANSWERS = {
    "Exercise 2": {
        "right": [
            NORM + FULL.format(0, 1, 0.9, 0.1, ROOT),
            NORM + "mean, var = mean.clone(), var.clone()\n    y = nn.functional.batch_norm(x, mean, var, gain, bias, "
            "training)\n    return y, mean, var",
        ],
        "wrong": [
            NORM + "return x * math.nan, mean * math.nan, var * math.nan",
            NORM + FULL.format(1, 1, 0.9, 0.1, ROOT),  # normalised by m - 1
            NORM + FULL.format(0, 0, 0.9, 0.1, ROOT),  # kept with m
            NORM + FULL.format(0, 1, 0.1, 0.9, ROOT),  # Keras's momentum
            NORM + FULL.format(0, 1, 0.9, 0.1, "(s(v).sqrt() + 1e-5)"),
            NORM + FULL.format(0, 1, 0.9, 0.1, "s(v + 0.8).sqrt()"),
            NORM + FULL.format(0, 1, 0.9, 0.1, "s(v + 1e-5)"),
            NORM + FULL.format(0, 1, 0.9, 0.1, ROOT).replace("if training", "if True"),
            NORM + FULL.format(0, 1, 0.9, 0.1, ROOT).replace("(0, 2, 3)", "0"),
            NORM + f"{SAFE}    {BATCH}    return s(gain) * (x - s(m)) / {ROOT} + s(bias)",
            NORM + "return x, mean, var",
        ],
    },
    "Exercise 3": {
        "right": [
            NET + TWO + "nn.BatchNorm2d(128), " + END,
            NET
            + TWO.replace("2, 1), nn.L", "stride=2, padding=1), nn.L")
            + "nn.BatchNorm2d(128, momentum=0.2), "
            + END,
        ],
        "wrong": [
            NET + TWO.replace("4, 2, 1", "3, 2, 1") + "nn.BatchNorm2d(128), " + END,
            NET + TWO.replace("4, 2, 1", "6, 2, 2") + "nn.BatchNorm2d(128), " + END,
            NET + TWO + "nn.BatchNorm1d(128), " + END,
            NET + TWO + "nn.BatchNorm2d(128, 0.8), " + END,
            NET + TWO + "nn.BatchNorm2d(128), " + END.replace("8 * 8", "16 * 16"),
            NET + TWO + "nn.BatchNorm2d(128), " + END.replace("nn.Flatten(0)", "nn.Sigmoid(), nn.Flatten(0)"),
            NET + TWO + "nn.BatchNorm2d(128), " + END.replace(", nn.Flatten(0)", ""),  # (B, 1)
            NET + TWO + END,
            NET
            + TWO.replace("nn.LeakyReLU(0.2), ", "nn.BatchNorm2d(64), nn.LeakyReLU(0.2), ")
            + "nn.BatchNorm2d(128), "
            + END,
            NET + TWO + "nn.LeakyReLU(0.2), nn.BatchNorm2d(128), " + END.replace("nn.LeakyReLU(0.2), ", ""),
            NET + TWO.replace("0.2", "0.01") + "nn.BatchNorm2d(128), " + END,
            NET + TWO + "nn.BatchNorm2d(128), nn.AdaptiveAvgPool2d(16), " + END.replace("8 * 8", "16 * 16"),
            NET + TWO + "nn.Upsample(scale_factor=2), nn.BatchNorm2d(128), " + END.replace("8 * 8", "16 * 16"),
        ],
    },
    "Exercise 5": {
        "right": [
            THERE.format(RIGHT_THERE) + BACK.format(RIGHT_BACK),
            THERE.format("2 * (stored.double() / 255) - 1")
            + BACK.format("(images.clamp(-1, 1) * 127.5 + 127.5).round().byte()"),
        ],
        "wrong": [
            THERE.format("stored.float() / 255") + BACK.format(RIGHT_BACK),
            THERE.format("stored / 255") + BACK.format("(images * 255).round().clamp(0, 255).to(torch.uint8)"),
            THERE.format("(stored.float() - 128) / 128") + BACK.format(RIGHT_BACK),
            THERE.format("(stored.float() - 127.5) / 255") + BACK.format(RIGHT_BACK),
            THERE.format("2 * (stored.float() - stored.min()) / (stored.max() - stored.min() + 1e-8) - 1")
            + BACK.format(RIGHT_BACK),  # by the batch
            THERE.format(RIGHT_THERE) + BACK.format("((images + 1) * 127.5).clamp(0, 255).to(torch.uint8)"),  # cut off
            THERE.format(RIGHT_THERE) + BACK.format("((images + 1) * 127.5).round().to(torch.int32).to(torch.uint8)"),
            THERE.format(RIGHT_THERE) + BACK.format("((images + 1) * 127.5).round().clamp(0, 255)"),
            THERE.format(RIGHT_THERE) + BACK.format("(images * 255).round().clamp(0, 255).to(torch.uint8)"),
            THERE.format(RIGHT_THERE) + BACK.format("None"),
        ],
    },
    "Exercise 6": {
        "right": [
            DRAW + "mode = generator.training\n    generator.eval()\n    with torch.no_grad():\n"
            "        x = generator(z)\n    generator.train(mode)\n    return x",
            DRAW + "return copy.deepcopy(generator).eval()(z).detach()",
        ],
        "wrong": [
            DRAW + "m = generator.training\n    generator.eval().requires_grad_(False)\n    x = generator(z)\n"
            "    generator.train(m)\n    return x",
            DRAW + "generator.eval()\n    return generator(z)",  # as it was
            DRAW + "with torch.no_grad():\n        return generator(z)",
            DRAW + "generator.eval()\n    x = generator(z).detach()\n    generator.train()\n    return x",
            DRAW + "generator.eval()\n    with torch.no_grad():\n        return generator(z)",
            DRAW + "mode = generator.training\n    generator.eval()\n    x = generator(z)\n    generator.train(mode)\n"
            "    return x",  # a graph
            DRAW + "mode = generator.training\n    generator.training = False\n    x = generator(z).detach()\n"
            "    generator.training = mode\n    return x",  # the flag of the outermost module only
            DRAW + "mode = generator.training\n    generator.eval()\n    x = generator(z).detach()\n"
            "    generator.train(not mode)\n    return x",
        ],
    },
    "Exercise 7": {
        "right": [
            "def halve(a, b):\n"
            "    layers = nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)\n"
            "    nn.init.normal_(layers[0].weight, 0, 0.02), nn.init.normal_(layers[1].weight, 1, 0.02)\n"
            "    return nn.Sequential(*layers)",
            BLOCK.format(CONV.format("4, 2, 1"), BN, LEAKY),
            BLOCK.format(CONV.format("3, stride=2, padding=1"), BN, "nn.LeakyReLU(0.2, inplace=True)"),
            BLOCK.format(CONV.format("2, 2"), BN, LEAKY),
        ],
        "wrong": [
            BLOCK.format(
                CONV.format("3, padding=1"), "nn.BatchNorm2d(channels_out), nn.LeakyReLU(0.2)", "nn.MaxPool2d(2)"
            ),
            BLOCK.format(CONV.format("4, 2"), BN, LEAKY),  # no padding
            BLOCK.format(CONV.format("1, 2"), BN, LEAKY),  # three quarters are never seen
            BLOCK.format(CONV.format("4, 2, 1"), BN, "nn.ReLU()"),
            BLOCK.format(CONV.format("4, 2, 1"), BN, "nn.LeakyReLU()"),
            BLOCK.format(CONV.format("4, 2, 1"), "nn.BatchNorm1d(channels_out)", LEAKY),
            BLOCK.format(CONV.format("4, 2, 1"), "nn.Identity()", LEAKY),
            BLOCK.format(CONV.format("4, 2, 1").replace("False", "True"), BN, LEAKY),
            BLOCK.format("nn.BatchNorm2d(channels_in)", LEAKY, CONV.format("4, 2, 1")),
            BLOCK.format(CONV.format("4, 2, 1"), LEAKY, BN),
            BLOCK.format("nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1, bias=False)", BN, LEAKY),
        ],
    },
    "Exercise 9": {
        "right": [
            ARC + ANGLE + "return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)",
            ARC + "w = math.acos(a @ b / (a.norm() * b.norm()))\n    "
            "return math.sin((1 - t) * w) / math.sin(w) * a + math.sin(t * w) / math.sin(w) * b",
        ],
        "wrong": [
            ARC + "return (1 - t) * a + t * b",
            ARC + "x = (1 - t) * a + t * b\n    return x / x.norm() * a.norm()",  # the arc, not at this pace
            ARC + "return math.sqrt(1 - t) * a + math.sqrt(t) * b",
            ARC + "return math.cos(t * math.pi / 2) * a + math.sin(t * math.pi / 2) * b",
            ARC + "w = torch.acos((a @ b).clamp(-1, 1))\n    "
            "return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)",
            ARC + ANGLE + "return (torch.sin(t * w) * a + torch.sin((1 - t) * w) * b) / torch.sin(w)",
            ARC + ANGLE + "return torch.sin((1 - t) * w) * a + torch.sin(t * w) * b",
            ARC + ANGLE + "e, f = a / a.norm(), b / b.norm()\n    "
            "return (torch.sin((1 - t) * w) * e + torch.sin(t * w) * f) / torch.sin(w)",
        ],
    },
}
