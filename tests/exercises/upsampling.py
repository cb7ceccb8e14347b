"""What readers may write into the exercises of "Upsampling"."""

ZEROS = """def transposed(x, w, s, p):
    spread = x.new_zeros({length})
    spread[::{every}] = x
    return F.conv1d(spread[None], {kernel}[None, None], padding={padding})[0]"""
GOOD = {"length": "s * (len(x) - 1) + 1", "every": "s", "kernel": "w.flip(0)", "padding": "len(w) - 1 - p"}
REACH = "def reach(stack):\n    f = 1\n    for k, s in stack:\n        f = {}\n    return f"

LAYERS = """def generator():
    def up(a, b, *sizes):
        return nn.ConvTranspose2d(a, b, *sizes)
    return nn.Sequential(
        nn.Linear(100, 64 * {side}**2), nn.Unflatten(1, (64, {side}, {side})), nn.BatchNorm2d(64), nn.ReLU(),
        up(64, 32, {first}), nn.BatchNorm2d(32), nn.ReLU(),
        up(32, 16, {second}), nn.BatchNorm2d(16), nn.ReLU(),
        up(16, 1, {third}){last})"""
SIZES = {"side": 7, "first": "5, 1, 2", "second": "5, 2, 2, 1", "third": "5, 2, 2, 1", "last": ", nn.Tanh()"}

MERGED = "def merged(weight):\n    stamp = {}\n    return {}"
STAMP = "F.pad(weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))"
FOUR = "stamp[..., :-1, :-1] + stamp[..., 1:, :-1] + stamp[..., :-1, 1:] + stamp[..., 1:, 1:]"
SMOOTH = "def smooth(weight):\n    return "
SAME = "def same_transposed(x, w, s):\n    y = F.conv_transpose1d(x[None], w[None, None], None, s)[0]\n    "

ANSWERS = {
    "Exercise 1": {
        "right": [
            "sides = [14, 3, 16, 14, 13, 7, 56]",
            "down = lambda n, k, s, p: (n + 2 * p - k) // s + 1\n"
            "up = lambda n, k, s, p: s * (n - 1) + k - 2 * p\n"
            "sides = (down(28, 5, 2, 2), down(7, 4, 2, 1), down(32, 3, 2, 1), up(7, 4, 2, 1), up(7, 3, 2, 1), 7, 56)",
        ],
        "wrong": [
            "sides = [14, 4, 16, 14, 13, 7, 56]",  # rounded up
            "sides = [14, 3.5, 16, 14, 13, 7, 56]",
            "sides = [14, 3, 16, 14, 14, 7, 56]",  # as if there were output padding
            "sides = [14, 3, 16, 14, 13, 7, 28]",
            "sides = [13, 2, 15, 14, 13, 7, 56]",  # without the + 1
            "sides = [14, 3, 16, 14, 13, 1, 56]",
            "sides = [14, 3, 16, 14, 13, 7]",
            "sides = 14",  # raises
        ],
    },
    "Exercise 3": {
        "right": [
            ZEROS.format(**GOOD),
            "def transposed(x, w, s, p):\n"
            "    y = [0.0] * (s * (len(x) - 1) + len(w))\n"
            "    for i, a in enumerate(x.tolist()):\n"
            "        for j, b in enumerate(w.tolist()):\n"
            "            y[s * i + j] += a * b\n"
            "    return torch.tensor(y[p : len(y) - p])",
            "import numpy as np\n"
            "def transposed(x, w, s, p):\n"
            "    y = np.zeros(s * (len(x) - 1) + len(w))\n"
            "    for i in range(len(x)):\n"
            "        y[s * i : s * i + len(w)] += x[i].item() * w.numpy()\n"
            "    return y[p : len(y) - p]",
        ],
        "wrong": [
            ZEROS.format(**{**GOOD, "kernel": "w"}),  # not turned around
            ZEROS.format(**{**GOOD, "padding": "p"}),
            ZEROS.format(**{**GOOD, "padding": "len(w) - 1"}),
            ZEROS.format(**{**GOOD, "length": "s * len(x)"}),  # zeros after the last one, too
            ZEROS.format(**{**GOOD, "length": "(s + 1) * (len(x) - 1) + 1", "every": "(s + 1)"}),
            "def transposed(x, w, s, p):\n    return F.conv1d(x[None], w[None, None], None, s, p)[0]",
            "def transposed(x, w, s, p):\n    return F.interpolate(x[None, None], scale_factor=s)[0, 0]",
            "def transposed(x, w, s, p):\n    return torch.zeros(s * (len(x) - 1) + len(w) - 2 * p)",
        ],
    },
    "Exercise 4": {
        "right": [
            REACH.format("s * (f - 1) + k"),
            "def reach(stack):\n    return receptive_fields(stack[::-1])[-1]",
        ],
        "wrong": [
            "def reach(stack):\n    return receptive_fields(stack)[-1]",  # in the wrong order
            REACH.format("s * f"),
            REACH.format("s * f + k"),
            REACH.format("f * k"),
            REACH.format("f + k - 1"),
            "def reach(stack):\n    return math.prod(s for k, s in stack)",
            "def reach(stack):\n    return 3 * 2 ** len(stack) - 2",  # right for k = 4, s = 2
        ],
    },
    "Exercise 5": {
        "right": [
            LAYERS.format(**SIZES),
            LAYERS.format(**{**SIZES, "first": "5, 2, 2, 1", "second": "5, 1, 2"}),
            LAYERS.format(**{**SIZES, "side": 4, "first": "5, 2, 2", "second": "5, 2, 2, 1", "third": "5, 2, 2, 1"}),
        ],
        "wrong": [
            LAYERS.format(**{**SIZES, "first": "5, 2, 2, 1"}),  # 56, as it was
            LAYERS.format(**{**SIZES, "first": "5, 2, 2, 1", "third": "5, 2, 16, 1"}),  # 28, cut out of 56
            LAYERS.format(**{**SIZES, "first": "5, 2, 2, 1", "last": ", nn.AvgPool2d(2), nn.Tanh()"}),
            LAYERS.format(**{**SIZES, "first": "5, 2, 2, 1", "last": ", nn.Upsample(size=28), nn.Tanh()"}),
            LAYERS.format(**{**SIZES, "second": "5, 2, 2", "third": "5, 2, 2"}),  # 25
            LAYERS.format(**{**SIZES, "last": ""}),  # no tanh
            LAYERS.format(**{**SIZES, "last": ", nn.ReLU()"}),
            LAYERS.format(**{**SIZES, "first": "4, 2, 1", "second": "4, 2, 1", "third": "3, 1, 1"}),
            LAYERS.format(**{**SIZES, "first": "5, 1, 2, 1"}),  # raises: output padding at stride 1
        ],
    },
    "Exercise 6": {
        "right": [
            MERGED.format(STAMP, FOUR),
            "def merged(weight):\n"
            "    out, channels = weight.shape[:2]\n"
            "    kernel = torch.zeros(channels, out, 4, 4)\n"
            "    for i in range(2):\n"
            "        for j in range(2):\n"
            "            kernel[:, :, i : i + 3, j : j + 3] += weight.flip(2, 3).transpose(0, 1)\n"
            "    return kernel",
        ],
        "wrong": [
            MERGED.format(STAMP.replace(".flip(2, 3)", ""), FOUR),  # not turned around
            MERGED.format(STAMP.replace(".transpose(0, 1)", ""), FOUR),  # in and out
            MERGED.format(STAMP, f"({FOUR}) / 4"),
            MERGED.format("F.pad(weight.flip(2, 3).transpose(0, 1), (0, 1, 0, 1))", "stamp"),
            MERGED.format(
                "weight.transpose(0, 1)", "stamp.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :4, :4]"
            ),
            MERGED.format("weight.flip(2, 3).transpose(0, 1)", "F.interpolate(stamp, size=4)"),
            MERGED.format(STAMP, "stamp[..., :-1, :-1]"),
        ],
    },
    "Exercise 7": {
        "right": [
            SMOOTH + "weight[::4].repeat_interleave(4, 0)",
            SMOOTH + "weight.unflatten(0, (-1, 4))[:, :1].expand(-1, 4, -1, -1, -1).flatten(0, 1)",
        ],
        "wrong": [
            SMOOTH + "weight",
            SMOOTH + "weight[::4].repeat(4, 1, 1, 1)",  # the phases are not 4 C, but next to each other
            SMOOTH + "weight[: len(weight) // 4].repeat_interleave(4, 0)",
            SMOOTH + "weight[:1].expand_as(weight)",
            SMOOTH + "weight.unflatten(0, (-1, 4)).mean(1).repeat_interleave(4, 0)",
            SMOOTH + "torch.zeros_like(weight)",
            SMOOTH + "weight[::4]",
        ],
    },
    "Exercise 8": {
        "right": [
            SAME + "before = (len(w) - s) // 2\n    return y[before : before + s * len(x)]",
            "def same_transposed(x, w, s):\n"
            "    n = s * len(x)\n"
            "    before, after = same_padding(n, len(w), s)\n"
            "    A = convolution_matrix(w, n + before + after, s)\n"
            "    return (A.T @ x)[before : before + n]",
        ],
        "wrong": [
            SAME + "before = len(w) // 2\n    return y[before : before + s * len(x)]",  # PyTorch's
            SAME
            + "before = len(w) - s - (len(w) - s) // 2\n    return y[before : before + s * len(x)]",  # the other end
            SAME + "return y[: s * len(x)]",
            SAME + "return y[len(w) - s :]",
            SAME + "return y",
            "def same_transposed(x, w, s):\n"
            "    return F.conv_transpose1d(x[None], w[None, None], None, s, len(w) // 2, s - 1)[0]",
            "def same_transposed(x, w, s):\n    return same_conv(x.repeat_interleave(s), w, 1)",
            "def same_transposed(x, w, s):\n    return same_conv(x, w, s)",
        ],
    },
}
