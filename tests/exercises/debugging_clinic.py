"""What readers may make of the programs in "The debugging clinic": the broken one, with some of its text replaced."""

from tools.experiments import clinic


def edited(case: str, *changes: tuple[str, str], cell: clinic.Cell = "broken") -> str:
    """Return a program with pieces of its text replaced, each of which must be there."""
    text = clinic.source(case, cell)
    for old, new in changes:
        assert old in text, f"case {case} has no {old!r}"
        text = text.replace(old, new)
    return text


def mended(case: str, *changes: tuple[str, str]) -> str:
    return edited(case, *changes, cell="solution")


SUM = "critic(x).sum(), x, create_graph=True"
NORM = "    slopes = gradients.flatten(1).norm(dim=1)\n    return (slopes - 1).square().mean()"
RETURN = "return (slopes - 1).square().mean()"
EPSILON = "epsilon = torch.rand(len(real))"
VIEW = "    epsilon = epsilon.view(-1, *[1] * (real.ndim - 1))\n"
BLIND = "def penalty(critic, real, fake):\n    return "
POINTS = "x = (epsilon * real + (1 - epsilon) * fake).requires_grad_()"
#: what is wrong in every case with a gradient penalty
PENALTIES_WRONG = [
    BLIND + "torch.tensor(0.0)",
    mended("11", (", create_graph=True", "")),
    mended("11", (NORM, "    return (gradients.norm(2) - 1).square()")),
    mended("11", (RETURN, "return (slopes - 1).square().sum()")),
    mended("11", (RETURN, "return slopes.square().mean()")),
    mended("11", (RETURN, "return (slopes - 1).mean()")),
    mended("11", (RETURN, "return (slopes.mean() - 1).square()")),
    mended("11", (RETURN, "return (slopes - 1).relu().square().mean().detach()")),
    mended("11", (".flatten(1).norm(dim=1)", ".norm(dim=1)")),  # over the channels only, if they are images
    mended("11", (EPSILON, "epsilon = torch.randn(len(real))")),
    mended("11", (EPSILON, "epsilon = torch.rand(1)")),
    mended("11", (EPSILON, "epsilon = torch.rand_like(real)"), (VIEW, "")),
    mended("11", (EPSILON, "epsilon = torch.full((len(real),), 0.5)")),
    mended("11", (EPSILON, "epsilon = torch.randn(len(real)).clamp(0, 1)")),
    mended("11", (EPSILON, "epsilon = torch.randn(len(real)).sigmoid()")),
    mended("11", (POINTS, "x = real.clone().requires_grad_()")),
]
PENALTIES_RIGHT = [
    mended("11", (".norm(dim=1)", ".square().sum(1).add(1e-12).sqrt()")),
    mended(
        "11",
        (NORM, "    g = gradients.reshape(len(x), -1)\n    return ((g.pow(2).sum(1) + 1e-9).sqrt() - 1).pow(2).mean()"),
    ),
    mended("11", (POINTS, "x = torch.lerp(fake, real, epsilon).requires_grad_()")),
    mended("11", (POINTS, "x = (fake + epsilon * (real - fake)).requires_grad_()")),
]

HEAD, CALL = "self.linear(features)", "nn.CrossEntropyLoss()(head(features), labels)"
SIGMOID = "nn.Linear(128, 1), nn.Sigmoid(),"
WITH = "nn.BCEWithLogitsLoss()"
CLAMP = "real, fake = real.clamp(0, 1), fake.clamp(0, 1)"
CLAMP_G, CLAMPED = "fake = fake.clamp(0, 1)\n    return nn.BCELoss()", "real.clamp(0, 1), fake.clamp(0, 1)"
TWO_LOSSES = "def loss_d(real, fake):\n    return {}\n\n\ndef loss_g(fake):\n    return {}"
HINGE = "relu(1 - real).mean() + relu(1 + fake).mean()"
LEAST = "return 0.5 * (outputs - targets).square().mean()"
FIRST = "            nn.Linear(side, width), nn.LeakyReLU(0.2),\n"
OUT = "        return self.layers(x)\n\n\ndef loss_d"
SQUARE = (FIRST, FIRST.replace("side,", "side * side,"))
EPS = "nn.BatchNorm2d(width, 0.8)"
TO, BACK = "return x.reshape(b, c, h, w)", "return images.reshape(b, h, w, c)"
PLANE = "plane = labels.view(-1, 1, 1, 1).expand(-1, 1, 8, 8).float()"
PLANES = "planes = one_hot(labels, self.classes).to(x)"
BATCH, LAYER = "nn.BatchNorm1d(width)", "nn.LayerNorm(width)"

ANSWERS = {
    "case-01": {
        "right": [
            edited("01", (".softmax(1)", "")),
            edited("01", (".softmax(1)", ".log_softmax(1)")),  # a second logarithm of the softmax changes nothing
            edited("01", (".softmax(1)", ".log_softmax(1)"), (CALL, "nn.NLLLoss()(head(features), labels)")),
        ],
        "wrong": [
            edited("01", (CALL, "nn.NLLLoss()(head(features), labels)")),
            edited("01", (CALL, "nn.NLLLoss()(head(features).log(), labels)")),  # infinite where it is sure and wrong
            edited("01", (CALL, f"{CALL} - 1.4612")),
            edited("01", (".softmax(1)", ".sigmoid()")),
            edited("01", (".softmax(1)", ".softmax(0)")),
            edited("01", (HEAD, f"20 * {HEAD}")),
            edited("01", (".softmax(1)", ""), (CALL, f"{CALL}.detach()")),
        ],
    },
    "case-02": {
        "right": [
            edited("02", (SIGMOID, "nn.Linear(128, 1),")),
            edited("02", (WITH, "nn.BCELoss()")),
        ],
        "wrong": [
            edited("02", (SIGMOID, "nn.Linear(128, 1),"), (WITH, "nn.BCELoss()")),  # raises
            edited("02", ("nn.Sigmoid()", "nn.Tanh()")),
            edited("02", ("return self.layers(x)", "return 10 * self.layers(x)")),
            edited("02", ("return self.layers(x)", "return self.layers(x) - 0.5")),
            edited("02", ("criterion = nn.BCEWithLogitsLoss()", "criterion = nn.BCELoss()")),  # the generator's is not
            edited("02", (SIGMOID, "nn.Linear(128, 1),"), ("torch.zeros_like(fake)", "torch.ones_like(fake)")),
        ],
    },
    "case-03": {
        "right": [
            TWO_LOSSES.format(
                "nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()",
                "nn.functional.softplus(-fake).mean()",
            ),
            edited(
                "03",
                (CLAMP, "real, fake = real.sigmoid(), fake.sigmoid()"),
                ("fake.clamp(0, 1)\n    return", "fake.sigmoid()\n    return"),
            ),
        ],
        "wrong": [
            edited("03", (CLAMPED, "real.clamp(1e-6, 1 - 1e-6), fake.clamp(1e-6, 1 - 1e-6)")),
            edited("03", (CLAMP, "real, fake = real.sigmoid(), fake.sigmoid()")),  # one of the two losses
            edited("03", ("nn.BCELoss()", WITH)),  # still clamped
            edited("03", (CLAMP, "real, fake = real.abs() / 9, fake.abs() / 9")),
            edited(
                "03",
                (CLAMP, "real, fake = real.tanh() / 2 + 0.5, fake.tanh() / 2 + 0.5"),
                ("fake.clamp(0, 1)\n    return", "(fake.tanh() / 2 + 0.5)\n    return"),
            ),
            edited("03", ("real.clamp(0, 1), fake.clamp(0, 1)", "real, fake")),  # raises
        ],
    },
    "case-04": {
        "right": [
            edited("04", (", nn.Sigmoid()", "")),
            edited("04", ("nn.Sigmoid()", "nn.Identity()")),
        ],
        "wrong": [
            edited("04", ("nn.Sigmoid()", "nn.Tanh()")),
            edited(
                "04",
                (
                    "return critic(real).mean() - critic(fake).mean()",
                    "return 2 * (critic(real).mean() - critic(fake).mean())",
                ),
            ),
            edited(
                "04",
                (", nn.Sigmoid()", ""),
                ("critic(real).mean() - critic(fake).mean()", "critic(fake).mean() - critic(real).mean()"),
            ),
            edited("04", (", nn.Sigmoid()", ""), ("critic(real).mean()", "critic(real).log().mean()")),
            edited("04", (", nn.Sigmoid()", ""), (".squeeze(1)", "")),
        ],
    },
    "case-05": {
        "right": [
            edited("05", ("return fake.mean()", "return -fake.mean()")),
            edited("05", ("return fake.mean()", "return (1 - fake).mean()")),
        ],
        "wrong": [
            TWO_LOSSES.format("relu(1 + real).mean() + relu(1 - fake).mean()", "fake.mean()"),  # high for fakes
            TWO_LOSSES.format(HINGE, "relu(1 - fake).mean()"),  # believed fakes teach nothing
            TWO_LOSSES.format(HINGE, "-fake.sum()"),
            TWO_LOSSES.format("relu(1 - real).mean() - fake.mean()", "-fake.mean()"),
            TWO_LOSSES.format("relu(1 + real).mean() + relu(1 - fake).mean()", "-fake.mean()"),
            TWO_LOSSES.format(HINGE, "-fake.detach().mean()"),
        ],
    },
    "case-06": {
        "right": [
            edited("06", ("torch.cat([real, fake]))  # (2B, 1)", "torch.cat([real, fake])).squeeze(1)")),
            edited("06", (LEAST, "return 0.5 * (outputs - targets[:, None]).square().mean()")),
            "def loss_d(discriminator, real, fake):\n"
            "    a, b = discriminator(real), discriminator(fake)\n"
            "    return ((a - 1).square().mean() + b.square().mean()) / 4\n\n\n"
            + clinic.source("06", "solution").split("\n\n\n")[1],
        ],
        "wrong": [
            edited("06", (LEAST, "return 0.5 * (outputs.T - targets).square().mean() * 2")),  # all in a row, twice
            edited("06", (LEAST, "return 0.5 * (outputs - targets).square().mean() - 0.125")),
            edited("06", (LEAST, "return 0.5 * (outputs.mean() - targets).square().mean()")),
            edited("06", ("torch.zeros(len(fake))", "torch.ones(len(fake))")),
            edited("06", (LEAST, "return 0.5 * (outputs.squeeze() - targets).square().sum()")),
            edited(
                "06",
                ("return 0.5 * (discriminator(fake) - 1)", "return 0.5 * (discriminator(fake).squeeze() - 0)"),
                cell="solution",
            ),
        ],
    },
    "case-07": {
        "right": [
            edited("07", (FIRST, "            nn.Flatten(), nn.Linear(side * side, width), nn.LeakyReLU(0.2),\n")),
            edited("07", SQUARE, ("self.layers(x)", "self.layers(x.flatten(1))")),
            edited(
                "07",
                (FIRST, FIRST.replace("side,", "side**2,")),
                (OUT, OUT.replace("(x)", "(x.flatten(1)).squeeze(1)")),
            ),
        ],
        "wrong": [
            edited("07", (OUT, OUT.replace("(x)", "(x).mean((1, 2, 3))"))),
            edited("07", (OUT, OUT.replace("(x)", "(x)[:, 0, 0]"))),
            edited("07", SQUARE),  # raises
            edited("07", (OUT, OUT.replace("(x)", "(x.mean(2)).flatten(1)"))),  # the mean row
            edited("07", SQUARE, (OUT, OUT.replace("(x)", "(x.flatten())"))),
            edited(
                "07", (FIRST, FIRST.replace("side,", "6 * side * side,")), (OUT, OUT.replace("(x)", "(x.flatten())"))
            ),
        ],
    },
    "case-08": {
        "right": [
            edited("08", (EPS, "nn.BatchNorm2d(width, momentum=0.2)")),
            edited("08", (EPS, "nn.BatchNorm2d(width, 1e-5, 0.2)")),
        ],
        "wrong": [
            edited("08", (EPS, "nn.BatchNorm2d(width, momentum=0.8)")),  # the other framework's meaning
            edited("08", (EPS, "nn.BatchNorm2d(width, 0.2)")),
            edited("08", (EPS, "nn.BatchNorm2d(width)")),
            edited("08", (EPS, "nn.Identity()")),
            edited("08", (EPS, "nn.BatchNorm2d(width, momentum=0.2)"), ("0.0, 0.02", "0.0, 0.2")),
            edited("08", ("0.0, 0.02", "0.0, 1.0")),
        ],
    },
    "case-09": {
        "right": [
            edited("09", (TO, "return x.movedim(3, 1)"), (BACK, "return images.movedim(1, 3)")),
            edited("09", (TO, "return torch.einsum('bhwc->bchw', x)"), (BACK, "return images.permute(0, 2, 3, 1)")),
        ],
        "wrong": [
            edited("09", (TO, "return x.transpose(1, 3)"), (BACK, "return images.transpose(1, 3)")),  # on its side
            edited("09", (TO, "return x.permute(0, 3, 1, 2)")),
            edited("09", (BACK, "return images.permute(0, 2, 3, 1)")),
            edited("09", (TO, "return x.view(b, c, h, w)")),
            edited("09", (TO, "return x.permute(3, 0, 1, 2).reshape(b, c, h, w)")),
            edited(
                "09", (TO, "return x.flip(3).permute(0, 3, 1, 2)"), (BACK, "return images.permute(0, 2, 3, 1).flip(3)")
            ),
        ],
    },
    "case-10": {
        "right": [
            mended("10", (PLANES, "planes = torch.eye(self.classes)[labels]")),
            mended("10", (PLANES, "planes = 2 * one_hot(labels, self.classes).to(x) - 1")),
        ],
        "wrong": [
            edited("10", (PLANE, PLANE.replace(".float()", ".float() / 9"))),
            edited("10", (PLANE, PLANE.replace(".float()", ".float() / 4.5 - 1"))),
            edited("10", (PLANE, PLANE.replace(".float()", ".float() * 0"))),
            edited("10", ("torch.cat([x, plane], 1)", "torch.cat([x, x + 0 * plane], 1)")),
            mended("10", (PLANES, "planes = 10 * one_hot(labels, self.classes).to(x)")),
            mended("10", ("torch.cat([x, planes], 1)", "torch.cat([0 * x, planes], 1)")),
            edited("10", ("x, plane]", "x, plane.log1p() / 3]")),
        ],
    },
    "case-11": {"right": PENALTIES_RIGHT, "wrong": PENALTIES_WRONG},
    "case-12": {
        "right": [edited("12", ("critic(x).sum(), x", SUM)), *PENALTIES_RIGHT],
        "wrong": [
            edited("12", ("critic(x).sum(), x", "critic(x).sum(), x, retain_graph=True")),
            edited("12", ("return (slopes - 1)", "return (slopes.requires_grad_() - 1)")),
            *PENALTIES_WRONG,
        ],
    },
    "case-13": {
        "right": PENALTIES_RIGHT,
        "wrong": [
            edited("13", ("return (slopes - 1).square().mean()", "return (slopes - 1).square().mean().nan_to_num()")),
            edited("13", (".sqrt()", ".sqrt() + 1e-12")),
            edited("13", (".sqrt()", "")),
            edited("13", (".sqrt()", ".sqrt().clamp(min=1e-6)")),
            edited("13", (".sqrt()", ".add(1).sqrt()")),
            edited("13", (".sqrt()", ".sqrt().nan_to_num()")),
            *PENALTIES_WRONG,
        ],
    },
    "case-14": {
        "right": [
            mended("14", ("self.u.copy_(u)", "self.u = u")),
            mended("14", ("sigma = u @ weight @ v", "sigma = torch.dot(u, weight @ v)")),
        ],
        "wrong": [
            mended("14", ("if self.training", "if not self.training")),
            mended("14", ("if self.training", "if True")),  # it changes in evaluation, too
            mended("14", ("weight / sigma", "weight / sigma.detach()")),
            mended("14", ("weight / sigma", "weight / weight.norm()")),
            mended("14", ("weight / sigma", "weight")),
            mended("14", ("weight / sigma", "2 * weight / sigma")),
            mended("14", ("self.u.copy_(u)", "self.u.copy_(u)\n            self.linear.weight /= 2")),
        ],
    },
    "case-29": {
        "right": [
            edited("29", (f"{BATCH}, ", "")),
            mended("29", (LAYER, "nn.GroupNorm(1, width)")),
        ],
        "wrong": [
            edited("29", (BATCH, "nn.BatchNorm1d(width, track_running_stats=False)")),
            edited("29", (BATCH, "nn.BatchNorm1d(width, affine=False)")),
            edited("29", (BATCH, "nn.BatchNorm1d(width).eval()")),  # train() brings it back
            edited("29", (f"{BATCH}, nn.LeakyReLU(0.2),", "")),
            mended("29", (LAYER, "nn.Softmax(0)")),
            mended("29", ("nn.Linear(width, 1),", "nn.Linear(width, 1), nn.BatchNorm1d(1),")),
        ],
    },
    "case-30": {
        "right": [edited("30", ("torch.randn(len(real))", "torch.rand(len(real))")), *PENALTIES_RIGHT],
        "wrong": [
            edited("30", ("torch.randn(len(real))", "torch.randn(len(real)).abs()")),
            edited("30", ("torch.randn(len(real))", "torch.randn(len(real)).softmax(0)")),
            *PENALTIES_WRONG,
        ],
    },
}
