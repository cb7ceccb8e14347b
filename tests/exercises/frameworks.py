"""What readers may write into the exercises of "PyTorch, TensorFlow and JAX"."""

SHAPES = "shapes = dict(conv={conv}, transposed={transposed}, dense={dense}, images={images})"
GOOD = {"conv": "(5, 5, 3, 64)", "transposed": "(4, 4, 64, 128)", "dense": "(100, 512)", "images": "(8, 32, 48, 3)"}
BACK = "def back(kernel, channels, side):\n    return "
STEPS = "momentum, keras_steps, torch_steps = {}, {}, {}"
RATE_BEFORE = "lr * (1 - b2 ** (t - 1)) ** 0.5 / (1 - b1 ** (t - 1))"
ADAM = """def keras_adam(p, g, m, v, t, lr, b1, b2, eps):
    m, v = {averages}
    return {new}, m, v"""
AVERAGES = "b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2"
RATE = "lr * (1 - b2**t) ** 0.5 / (1 - b1**t)"
PROGRAM = '''program = """{head}
class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear({inner}, 128), nn.ReLU(),
            nn.Linear(128, 784), nn.Tanh())

    def forward(self, z):
        return self.layers(z)


latent_dim = {latent}
generator = Generator()
discriminator = nn.Sequential(
    nn.Linear(784, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
fake = generator(torch.randn(16, latent_dim))
{loss}
"""'''
LOSS = "loss = nn.BCEWithLogitsLoss()({}, torch.{}(16, 1))"
MENDED = {
    "head": "import torch\nfrom torch import nn",
    "inner": "latent_dim",
    "latent": "100",
    "loss": LOSS.format("discriminator(fake)", "ones"),
}
UNDEFINED = """def undefined(source):
    used, bound = set(), {start}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            {name}
        elif isinstance(node, {kinds}):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            {argument}
        elif isinstance(node, ast.alias):
            bound.add({alias})
    return used - bound"""
FINDS = {
    "start": "set(dir(builtins))",
    "name": "(used if isinstance(node.ctx, ast.Load) else bound).add(node.id)",
    "kinds": "ast.FunctionDef | ast.ClassDef | ast.ExceptHandler",
    "argument": "bound.add(node.arg)",
    "alias": 'node.asname or node.name.split(".")[0]',
}
SIDE = """def keras_side(side, layers):
    for k, s, padding in layers:
        side = {}
    return side
strides = {}"""
RIGHT_SIDE = 's * side if padding == "same" or k < s else s * (side - 1) + k'

ANSWERS = {
    "Exercise 1": {
        "right": [
            SHAPES.format(**GOOD),
            "shapes = {'conv': [5, 5, 3, 64], 'transposed': [4, 4, 64, 128], 'dense': [100, 512],\n"
            "          'images': torch.Size([8, 32, 48, 3])}",
        ],
        "wrong": [
            SHAPES.format(**{**GOOD, "conv": "(5, 5, 64, 3)"}),
            SHAPES.format(**{**GOOD, "conv": "(64, 3, 5, 5)"}),  # as in PyTorch
            SHAPES.format(**{**GOOD, "transposed": "(4, 4, 128, 64)"}),  # in, out
            SHAPES.format(**{**GOOD, "dense": "(512, 100)"}),
            SHAPES.format(**{**GOOD, "images": "(8, 48, 32, 3)"}),  # width first
            SHAPES.format(**{**GOOD, "images": "None"}),
            "shapes = 3",  # raises
        ],
    },
    "Exercise 2": {
        "right": [
            BACK + "kernel.view(side, side, channels, -1).permute(3, 2, 0, 1).flatten(1)",
            "import numpy as np\n" + BACK + "np.transpose(\n        kernel.numpy().reshape(side, side, channels, -1), "
            "(3, 2, 0, 1)).reshape(-1, channels * side * side)",
            "def back(kernel, channels, side):\n"
            "    weight = torch.zeros(kernel.shape[1], channels * side * side)\n"
            "    for c in range(channels):\n"
            "        for h in range(side):\n"
            "            for w in range(side):\n"
            "                weight[:, (c * side + h) * side + w] = kernel[(h * side + w) * channels + c]\n"
            "    return weight",
            "import numpy as np\n" + BACK + "np.moveaxis(  # in float64\n"
            "        kernel.numpy().astype(float).reshape(side, side, channels, -1), (3, 2), (0, 1)\n"
            "    ).reshape(-1, channels * side**2)",
        ],
        "wrong": [
            BACK + "kernel.T",  # the right shape, the wrong order
            BACK + "kernel",
            BACK + "kernel.view(channels, side, side, -1).permute(3, 0, 1, 2).flatten(1)",  # as if channels came first
            BACK + "kernel.view(side, side, channels, -1).permute(3, 2, 1, 0).flatten(1)",  # transposed images
            BACK + "kernel.view(side, side, channels, -1).permute(3, 0, 1, 2).flatten(1)",
            BACK + "kernel.view(side, side, channels, -1).permute(3, 2, 0, 1)",  # not folded
        ],
    },
    "Exercise 3": {
        "right": [STEPS.format(0.2, 459, 44), STEPS.format("1 - 0.8", 459.0, 44)],
        "wrong": [
            STEPS.format(0.8, 459, 44),
            STEPS.format(0.2, 458, 44),  # not yet below
            STEPS.format(0.2, 459, 43),
            STEPS.format(0.2, 460, 44),  # not the first
            STEPS.format(0.2, 44, 459),
            STEPS.format(0.2, 458.2, 43.7),
            STEPS.format(0.2, 459, None),
            STEPS.format("'0.2'", 459, 44),  # raises
        ],
    },
    "Exercise 4": {
        "right": [
            ADAM.format(averages=AVERAGES, new=f"p - {RATE} * m / (v**0.5 + eps)"),
            ADAM.format(
                averages=AVERAGES,
                new="p - lr * m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + eps / (1 - b2**t) ** 0.5)",
            ),
        ],
        "wrong": [
            ADAM.format(averages=AVERAGES, new="p - lr * m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + eps)"),  # (4)
            ADAM.format(averages=AVERAGES, new="p - lr * m / (v**0.5 + eps)"),  # no correction
            ADAM.format(averages=AVERAGES, new=f"p - {RATE} * m / (v + eps) ** 0.5"),
            ADAM.format(averages=AVERAGES, new=f"p + {RATE} * m / (v**0.5 + eps)"),
            ADAM.format(averages=AVERAGES, new=f"p - {RATE} * g / (v**0.5 + eps)"),
            ADAM.format(averages="b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g", new=f"p - {RATE} * m / abs(v) ** 0.5"),
            ADAM.format(averages=AVERAGES, new=f"p - {RATE_BEFORE} * m / (v**0.5 + eps)"),  # raises
        ],
    },
    "Exercise 5": {
        "right": [
            PROGRAM.format(**MENDED),
            PROGRAM.format(**{
                **MENDED,
                "head": "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\nz_dim = 100",
                "inner": "z_dim",
                "loss": "loss = F.softplus(-discriminator(fake)).mean()",
            }),
        ],
        "wrong": [
            PROGRAM.format(**{**MENDED, "head": ""}),  # as it was
            PROGRAM.format(**{**MENDED, "head": "from torch import nn"}),
            PROGRAM.format(**{**MENDED, "inner": "z_dim"}),
            PROGRAM.format(**{**MENDED, "loss": "loss = criterion(discriminator(fake), torch.ones(16, 1))"}),
            PROGRAM.format(**{  # probabilities expected
                **MENDED, "loss": "loss = nn.BCELoss()(discriminator(fake).clamp(0, 1), torch.ones(16, 1))",
            }),
            PROGRAM.format(**{**MENDED, "loss": LOSS.format("torch.sigmoid(discriminator(fake))", "ones")}),
            PROGRAM.format(**{**MENDED, "loss": LOSS.format("discriminator(fake)", "zeros")}),
            PROGRAM.format(**MENDED).replace("nn.Linear(128, 1))", "nn.Linear(128, 1), nn.Sigmoid())"),  # sigmoid twice
            PROGRAM.format(**{**MENDED, "latent": "10"}),
            PROGRAM.format(**{**MENDED, "loss": MENDED["loss"] + "\nfake = fake.detach()"}),
        ],
    },
    "Exercise 6": {
        "right": [
            UNDEFINED.format(**FINDS),
            UNDEFINED.format(**{
                **FINDS, "start": "{*dir(builtins)}", "kinds": "(ast.FunctionDef, ast.ClassDef, ast.ExceptHandler)",
            }),
        ],
        "wrong": [
            UNDEFINED.format(**{**FINDS, "start": "set()"}),  # print is undefined
            UNDEFINED.format(**{**FINDS, "name": "used.add(node.id)"}),
            UNDEFINED.format(**{**FINDS, "argument": "pass"}),
            UNDEFINED.format(**{**FINDS, "kinds": "ast.FunctionDef | ast.ExceptHandler"}),
            UNDEFINED.format(**{**FINDS, "kinds": "ast.FunctionDef | ast.ClassDef"}),
            UNDEFINED.format(**{**FINDS, "alias": "node.name"}),  # import numpy as np binds np
            UNDEFINED.format(**{**FINDS, "alias": "node.asname or node.name"}),  # import os.path binds os
            "def undefined(source):\n    return {'y'}",
            "def undefined(source):\n    exec(source)\n    return set()",  # raises
        ],
    },
    "Exercise 7": {
        "right": [
            SIDE.format(RIGHT_SIDE, "(1, 2, 2)"),
            SIDE.format(RIGHT_SIDE, "[2, 1, 2]"),
            SIDE.format(RIGHT_SIDE, "(4, 1, 1)"),
            SIDE.format('s * side + (padding == "valid") * max(k - s, 0)', "(2, 2, 1)"),
        ],
        "wrong": [
            SIDE.format(RIGHT_SIDE, "(2, 2, 2)"),  # 56
            SIDE.format(RIGHT_SIDE, "(2, 2)"),
            SIDE.format(RIGHT_SIDE, "(1, 1, 2)"),
            SIDE.format(RIGHT_SIDE, "(0.5, 2, 4)"),  # no whole number
            SIDE.format("s * (side - 1) + k", "(1, 2, 2)"),
            SIDE.format("s * side", "(1, 2, 2)"),
            SIDE.format('s * side if padding == "same" else s * (side - 1) + k', "(1, 2, 2)"),  # kernel below stride
            SIDE.format('s * (side - 1) + 1 if padding == "same" else s * side + max(k - s, 0)', "(1, 2, 2)"),
        ],
    },
}
