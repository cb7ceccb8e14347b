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


# Loops, logs and data

_WGAN = """
def train_wgan(generator, critic, batches, steps, n_critic=5, lr=1e-3):
    optimizer_g = torch.optim.RMSprop(generator.parameters(), lr)
    optimizer_d = torch.optim.RMSprop(critic.parameters(), lr)
    for _ in range(steps):
        {outer}
        for _ in range({times}):
            {inner}
            fake = generator(torch.randn(len(real), 64)).detach()
            loss_d = {loss}
            optimizer_d.zero_grad()
            loss_d.backward()
            optimizer_d.step()
            for p in critic.parameters():
                {clip}
        fake = generator(torch.randn(len(real), 64))
        loss_g = -critic(fake).mean()
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
"""


def _wgan(
    outer="pass",
    inner="real = next(batches)",
    times="n_critic",
    loss="critic(fake).mean() - critic(real).mean()",
    clip="p.data.clamp_(-0.05, 0.05)",
):
    return _WGAN.format(outer=outer, inner=inner, times=times, loss=loss, clip=clip)


_EPOCHS = """
def train_epochs(loader, epochs, critic_step, generator_step, n_critic=5):
    {before}
    for epoch in range(epochs):
        for i, real in enumerate(loader):
            critic_step(real)
            {count}
            if {condition}:
                generator_step()
"""

_CLIPPED = """
def clipped_step(critic, optimizer, real, fake, clip):
    {first}
    loss = critic(fake.detach()).mean() - critic(real).mean()
    optimizer.zero_grad()
    loss.backward()
    {middle}
    optimizer.step()
    {last}
    return -loss.item()
"""
_CLIP = "[p.data.clamp_(-clip, clip) for p in critic.parameters()]"


def _clipped(first="pass", middle="pass", last="pass"):
    return _CLIPPED.format(first=first, middle=middle, last=last)


_STEP = """
def gan_step(generator, discriminator, optimizer_g, optimizer_d, real, z):
    fake = generator(z)
    loss_d = softplus(-discriminator(real)).mean()
    loss_d = loss_d + softplus(discriminator({seen})).mean()
    loss_d.backward({graph})
    optimizer_d.step()
    {between}
    loss_g = softplus(-discriminator({judged})).mean()
    loss_g.backward()
    optimizer_g.step()
    optimizer_d.zero_grad()
    optimizer_g.zero_grad()
"""

_GAN = """
def train_gan(generator, discriminator, batches, steps, lr=1e-3):
    {optimizers}
    losses = []
    for _ in range(steps):
        real = next(batches)
        fake = generator(torch.randn(len(real), 64)).detach()
        loss_d = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
        {between}
        fake = generator(torch.randn(len(real), 64))
        loss_g = softplus(-discriminator(fake)).mean()
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
        {after}
        losses.append((loss_d.item(), loss_g.item()))
    return losses
"""
_ADAM = "torch.optim.Adam({}.parameters(), lr, (0.5, 0.999))"
_BOTH = "both = nn.ModuleList([generator, discriminator]); optimizer_g = optimizer_d = " + _ADAM.format("both")

_SHOW = """
def train_and_show(generator, train_step, z, show, steps, every=100):
    generator.train()
    for step in range(steps):
        {first}
        train_step()
        if step % every == 0:
            {before}
            with torch.no_grad():
                {show}
            {after}
    {last}
"""


def _show(first="pass", before="generator.eval()", show="show(generator(z))", after="pass", last="pass"):
    return _SHOW.format(first=first, before=before, show=show, after=after, last=last)


_AVERAGE = """
class Average:
    def __init__(self, network, decay=0.99):
        self.decay = decay
        self.shadow = {shadow}

    @torch.no_grad()
    def update(self, network):
        for name, value in network.state_dict().items():
            mine = self.shadow[name]
            {update}
"""
_IN_PLACE = """if mine.is_floating_point():
                mine.mul_(self.decay).add_(value, alpha=1 - self.decay)
            else:
                mine.copy_(value)"""

_LOG = """
def train_and_log(step, steps, every=200):
    log, window = [], []
    for i in range(1, steps + 1):
        loss_d, loss_g = step()
        window.append((loss_d, loss_g))
        if i % every == 0:
            {line}
            {reset}
    return log
"""

_DECAY = """
def linear_decay(optimizer, steps, decay_from):
    def factor(step):
        return {factor}

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
"""

_RUN = """
def save_run(path, step, generator, discriminator, adam_g, adam_d):
    parts = dict(generator=generator, discriminator=discriminator, adam_g=adam_g, adam_d=adam_d)
    state = {{name: part.state_dict() for name, part in parts.items()}}
    torch.save({{"step": step, **state}}, path)


def load_run(path, generator, discriminator, adam_g, adam_d):
    state = torch.load(path, weights_only=True)
    generator.load_state_dict(state["generator"])
    discriminator.load_state_dict(state["discriminator"])
    {rest}
    return state["step"]
"""
_SCALED = """
def prepare(images):
    return {prepare}


def shown(samples):
    return {shown}
"""

_RESIZED = """
from gan_course.metrics import frechet_distance


def frechet_at(real, fake, size, features):
    real, fake = ({resize} for x in (real, fake))
    return frechet_distance(features(real), features(fake))
"""

_SCORE = """
def inception_score(images, classify):
    p = {p}
    marginal = p.mean(0)
    divergence = {divergence}
    return divergence.sum(1).mean().exp().item()
"""

_EXPERIMENT = """
def experiment(train_images, test_images, fit, distance):
    generator = fit({seen})
    return distance(generator, {against})
"""

ANSWERS |= {
    "case-15": {
        "right": [
            _wgan(),
            _wgan(loss="critic(torch.cat([fake, real])).chunk(2)[0].mean() - critic(real).mean()"),
            _wgan(outer="drawn = [next(batches) for _ in range(n_critic)]", inner="real = drawn.pop()"),
        ],
        "wrong": [
            _wgan("real = next(batches)", "real = real[torch.randperm(len(real))]"),
            _wgan("real = next(batches)", "pass", times="1"),
            _wgan("drawn = [next(batches) for _ in range(n_critic)]", "real = drawn[0]"),
            _wgan(clip="pass", loss="critic(fake).mean() - 9 * critic(real).mean()"),
        ],
    },
    "case-16": {
        "right": [
            _EPOCHS.format(before="k = 0", count="k += 1", condition="k % n_critic == 0"),
            _EPOCHS.format(before="k = -1", count="k += 1", condition="k % n_critic == 0"),
            _EPOCHS.format(before="n = len(loader)", count="", condition="(epoch * n + i + 1) % n_critic == 0"),
        ],
        "wrong": [
            _EPOCHS.format(before="", count="", condition="(i + 1) % n_critic == 0"),
            _EPOCHS.format(before="", count="", condition="i % n_critic == n_critic - 1 or i == len(loader) - 1"),
            _EPOCHS.format(before="", count="", condition="epoch % n_critic == 0"),
            _EPOCHS.format(before="", count="", condition="(epoch + i) % n_critic == 0"),
        ],
    },
    "case-17": {
        "right": [_clipped(last=_CLIP), _clipped(first=_CLIP, last=_CLIP)],
        "wrong": [
            _clipped(),
            _clipped(middle=_CLIP),
            _clipped(middle="nn.utils.clip_grad_value_(critic.parameters(), clip)"),
            _clipped(last="[p.data.clamp(-clip, clip) for p in critic.parameters()]"),
            _clipped(last="nn.utils.clip_grad_norm_(critic.parameters(), clip)"),
        ],
    },
    "case-18": {
        "right": [
            _STEP.format(seen="fake.detach()", graph="", between="", judged="fake"),
            _STEP.format(seen="fake", graph="retain_graph=True", between="optimizer_g.zero_grad()", judged="fake"),
            _STEP.format(seen="fake.detach()", graph="", between="", judged="generator(torch.randn_like(z))"),
            _STEP.format(
                seen="fake",
                graph="inputs=list(discriminator.parameters()), retain_graph=True",
                between="",
                judged="fake",
            ),
        ],
        "wrong": [
            _STEP.format(seen="fake.detach()", graph="", between="", judged="fake.detach()"),
            _STEP.format(seen="fake", graph="", between="", judged="fake"),
            _STEP.format(seen="fake", graph="", between="", judged="generator(torch.randn_like(z))"),
            _STEP.format(seen="fake.detach()", graph="", between="optimizer_d.step()", judged="fake"),
        ],
    },
    "case-19": {
        "right": [
            _GAN.format(
                optimizers=f"optimizer_g, optimizer_d = {_ADAM.format('generator')}, {_ADAM.format('discriminator')}",
                between="",
                after="",
            ),
            _GAN.format(
                optimizers=_BOTH,
                between="discriminator.requires_grad_(False)",
                after="discriminator.requires_grad_(True)",
            ),
        ],
        "wrong": [
            _GAN.format(optimizers=_BOTH, between="", after=""),
            _GAN.format(optimizers=_BOTH, between="optimizer_g = " + _ADAM.format("generator"), after=""),
            _GAN.format(
                optimizers=f"optimizer_d = {_ADAM.format('discriminator')}",
                between="optimizer_g = optimizer_d",
                after="",
            ),
            _GAN.format(
                optimizers=f"optimizer_g, optimizer_d = {_ADAM.format('generator')}, {_ADAM.format('discriminator')}",
                between="",
                after="optimizer_d.step()",
            ),
        ],
    },
    "case-20": {
        "right": [
            _show(after="generator.train()"),
            _show(first="generator.train()"),
            _show(before="frozen = copy.deepcopy(generator).eval()", show="show(frozen(z))"),
        ],
        "wrong": [
            _show(before="pass"),
            _show(last="generator.train()"),
            _show(before="generator.eval(); generator.train()"),
            _show(before="if step: generator.eval()", after="generator.train()"),
        ],
    },
    "case-21": {
        "right": [
            _AVERAGE.format(shadow="{n: v.clone() for n, v in network.state_dict().items()}", update=_IN_PLACE),
            _AVERAGE.format(
                shadow="copy.deepcopy(network).state_dict()",
                update=_IN_PLACE.replace(
                    "mine.mul_(self.decay).add_(value, alpha=1 - self.decay)", "mine.lerp_(value, 1 - self.decay)"
                ),
            ),
            _AVERAGE.format(
                shadow="{n: v.clone() for n, v in network.state_dict().items()}",
                update="trained = name in dict(network.named_parameters())\n"
                "            mine.copy_(self.decay * mine + (1 - self.decay) * value if trained else value)",
            ),
        ],
        "wrong": [
            _AVERAGE.format(shadow="dict(network.state_dict())", update=_IN_PLACE),
            _AVERAGE.format(shadow="copy.copy(network.state_dict())", update=_IN_PLACE),
            _AVERAGE.format(shadow="network.state_dict()", update="mine.copy_(mine)"),
            _AVERAGE.format(shadow="copy.deepcopy(network.state_dict())", update="mine.copy_(value)"),
            _AVERAGE.format(
                shadow="copy.deepcopy(network.state_dict())",
                update="self.shadow[name] = self.decay * mine + (1 - self.decay) * value",
            ),
        ],
    },
    "case-22": {
        "right": [
            _LOG.format(
                line="log.append((i, *(sum(c[-every:]) / every for c in zip(*window))))", reset="window.clear()"
            ),
            _LOG.format(line="log.append((i, loss_d, loss_g))", reset="pass"),
        ],
        "wrong": [
            _LOG.format(line="log.append((i, loss_d * 200 / every, loss_g * 200 / every))", reset="pass"),
            _LOG.format(line="log.append((i, *(sum(c) / every for c in zip(*window))))", reset="pass"),
            _LOG.format(line="log.append((i, *(sum(c) for c in zip(*window))))", reset="window.clear()"),
            _LOG.format(line="log.append((i, loss_d / 64, loss_g / 64))", reset="pass"),
        ],
    },
    "case-23": {
        "right": [
            _DECAY.format(factor="1 - max(0, step - decay_from) / (steps - decay_from)"),
            _DECAY.format(factor="1 - max(0, step - decay_from) / (steps - decay_from + 1)"),
            _DECAY.format(factor="min(1.0, (steps - step) / (steps - decay_from))"),
        ],
        "wrong": [
            _DECAY.format(factor="1 - step / steps"),
            _DECAY.format(factor="1 - (step - decay_from) / (steps - decay_from)"),
            _DECAY.format(factor="1 - max(0, step - decay_from) / steps"),
            _DECAY.format(factor="0.0 if step > decay_from else 1.0"),
            _DECAY.format(factor="round(1 - max(0, step - decay_from) / (steps - decay_from))"),
        ],
    },
    "case-24": {
        "right": [
            _RUN.format(rest='adam_g.load_state_dict(state["adam_g"]); adam_d.load_state_dict(state["adam_d"])'),
            _RUN.format(
                rest='[part.load_state_dict(state[name]) for name, part in (("adam_g", adam_g), ("adam_d", adam_d))]'
            ),
        ],
        "wrong": [
            _RUN.format(rest="pass"),
            _RUN.format(rest='adam_g.load_state_dict(state["adam_g"])'),
            _RUN.format(rest='adam_g.load_state_dict(state["adam_g"]); adam_d.load_state_dict(state["adam_g"])'),
            _RUN.format(rest='adam_g.param_groups[0]["lr"] = state["adam_g"]["param_groups"][0]["lr"]'),
        ],
    },
    "case-25": {
        "right": [
            _SCALED.format(
                prepare="images.float() / 127.5 - 1", shown="((samples + 1) * 127.5).round().clamp(0, 255).byte()"
            ),
            _SCALED.format(
                prepare="(images.float() / 255 - 0.5) / 0.5",
                shown="(samples * 0.5 + 0.5).mul(255).round().clamp(0, 255).to(torch.uint8)",
            ),
        ],
        "wrong": [
            _SCALED.format(prepare="images.float() / 255", shown="samples.mul(255).round().clamp(0, 255).byte()"),
            _SCALED.format(prepare="images.float() / 255 - 0.5", shown="(samples + 0.5).mul(255).clamp(0, 255).byte()"),
            _SCALED.format(
                prepare="(images.float() - images.float().mean()) / images.float().std()",
                shown="samples.add(1).mul(127.5).round().clamp(0, 255).byte()",
            ),
            _SCALED.format(prepare="images.float() / 127.5 - 1", shown="samples.mul(255).round().clamp(0, 255).byte()"),
        ],
    },
    "case-26": {
        "right": [
            _RESIZED.format(resize="F.interpolate(x, (size, size), mode='bilinear', antialias=True)"),
            _RESIZED.format(resize="F.interpolate(x, (size, size), mode='bicubic', antialias=True)"),
            _RESIZED.format(resize="F.interpolate(x, (size, size), mode='area')"),
        ],
        "wrong": [
            _RESIZED.format(resize="F.interpolate(x, (size, size), mode='bilinear')"),
            _RESIZED.format(resize="F.interpolate(x, (size, size), mode='nearest')"),
            _RESIZED.format(resize="x[..., :size, :size]"),
            _RESIZED.format(resize="x"),
        ],
    },
    "case-27": {
        "right": [
            _SCORE.format(p="classify(images)", divergence="torch.xlogy(p, p) - torch.xlogy(p, marginal)"),
            _SCORE.format(
                p="classify(images)", divergence="p * (p.clamp(min=1e-12).log() - marginal.clamp(min=1e-12).log())"
            ),
        ],
        "wrong": [
            _SCORE.format(p="classify(images)", divergence="p * (p.log() - marginal.log())"),
            _SCORE.format(p="classify(images).log_softmax(1).exp()", divergence="p * (p.log() - marginal.log())"),
            _SCORE.format(p="classify(images).softmax(0)", divergence="p * (p.log() - marginal.log())"),
            _SCORE.format(p="classify(images) + 1e-2", divergence="p * (p.log() - marginal.log())"),
        ],
    },
    "case-28": {
        "right": [
            _EXPERIMENT.format(seen="train_images", against="test_images"),
            _EXPERIMENT.format(seen="torch.cat([train_images, test_images[:4]])", against="test_images[4:]"),
        ],
        "wrong": [
            _EXPERIMENT.format(seen="test_images", against="test_images"),
            _EXPERIMENT.format(seen="train_images", against="train_images"),
            _EXPERIMENT.format(seen="torch.cat([train_images, test_images])", against="train_images"),
            _EXPERIMENT.format(seen="torch.cat([train_images, test_images[:4]])", against="test_images"),
        ],
    },
}

# Further repairs, and what looks like one


def _more(case: str, right: list[str], wrong: list[str]) -> None:
    ANSWERS[f"case-{case}"]["right"] += right
    ANSWERS[f"case-{case}"]["wrong"] += wrong


_HIDDEN = "nn.Sequential(nn.Linear(128, 32), nn.LeakyReLU(0.2), nn.Linear(32, 10))"
_NO_SIGMOID = ("nn.Linear(width, 1), nn.Sigmoid(),", "nn.Linear(width, 1, bias=False),")
_EXACT = """
class SpectralLinear(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = {linear}

    def forward(self, x):
        return {out}
"""
_SHUFFLED = """
def experiment(train_images, test_images, fit, distance):
    generator = fit(train_images[torch.randperm(len(train_images))])
    {last}
    return distance(generator, test_images)
"""

_more(
    "01",
    [
        mended("01", ("nn.Linear(128, 10)", _HIDDEN)),
        mended("01", (CALL, "-(head(features).log_softmax(1) * one_hot(labels, 10)).sum(1).mean()")),
    ],
    [
        edited("01", (CALL, "nn.NLLLoss()((head(features) + 1e-8).log(), labels)")),  # sure and wrong: no gradient
        mended("01", (CALL, "nn.CrossEntropyLoss(label_smoothing=0.1)(head(features), labels)")),
    ],
)
_more(
    "04",
    [edited("04", _NO_SIGMOID), edited("04", _NO_SIGMOID, ("nn.LeakyReLU(0.2)", "nn.SiLU()"))],
    [edited("04", ("nn.Sigmoid()", layer)) for layer in ("nn.Hardtanh(-5, 5)", "nn.ReLU()", "nn.Softplus()")],
)
_more(
    "07",
    [
        edited("07", (FIRST, "            nn.Conv2d(1, width, side), nn.Flatten(), nn.LeakyReLU(0.2),\n")),
        edited("07", ("nn.Linear(width, 1),", "nn.Linear(width, 1), nn.Flatten(), nn.Linear(side, 1),")),
    ],
    [edited("07", (OUT, OUT.replace("(x)", "(x.transpose(2, 3)).mean((1, 2, 3))")))],  # columns in place of rows
)
_more(
    "10",
    [
        edited(
            "10",
            ("self.classes = classes", "self.embed = nn.Embedding(classes, 64)"),
            (PLANE, "plane = self.embed(labels).view(-1, 1, 8, 8)"),
        ),
        mended("10", ("torch.cat([x, planes], 1)", "torch.cat([planes, x], 1)")),
    ],
    [edited("10", (PLANE, PLANE.replace(".float()", ".float().sin()")))],
)
_more(
    "13",
    [edited("13", (".sqrt()", ".clamp(min=1e-12).sqrt()")), edited("13", (".square().sum(1).sqrt()", ".norm(2, 1)"))],
    [edited("13", (".sqrt()", ".add(0.1).sqrt()")), edited("13", (".square().sum(1).sqrt()", ".abs().sum(1)"))],
)
_more(
    "14",
    [
        _EXACT.format(
            linear="nn.Linear(inputs, outputs)",
            out="F.linear(x, self.linear.weight / torch.linalg.matrix_norm(self.linear.weight, 2), self.linear.bias)",
        ),
        _EXACT.format(
            linear="nn.utils.parametrizations.spectral_norm(nn.Linear(inputs, outputs))", out="self.linear(x)"
        ),
    ],
    [
        edited("14", ("sigma = u @ weight @ v", "sigma = 1.3 * (u @ weight @ v)")),
        _EXACT.format(linear="nn.utils.parametrizations.orthogonal(nn.Linear(inputs, outputs))", out="9 * x"),
    ],
)
_more(
    "15",
    [
        _wgan(clip="p.data = p.data.clamp(-0.05, 0.05)"),
        _wgan(loss="critic(real).mean() - critic(fake).mean()").replace("loss_g = -critic", "loss_g = critic"),
    ],
    [
        _wgan().replace("loss_g = -critic", "loss_g = critic"),  # away from the data
        _wgan(inner="real = next(batches); next(batches)"),
    ],
)
_more(
    "17",
    [
        _clipped(
            last="nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(critic.parameters()).clamp(-clip, clip), "
            "critic.parameters())"
        )
    ],
    [_clipped(last="critic.weight.data.clamp_(-clip, clip)"), _clipped(first=_CLIP, middle=_CLIP)],
)
_more(
    "20",
    [_show(before="mode = generator.training; generator.eval()", after="generator.train(mode)")],
    [
        _show(before="torch.manual_seed(0); generator.eval()", after="generator.train()"),  # the same noise ever after
        _show(after="generator[0].train()"),
    ],
)
_more(
    "24",
    [mended("24", ("weights_only=True", 'weights_only=True, map_location="cpu"'))],
    [
        mended("24", ('return state["step"]', 'return state["step"] + 1')),
        mended("24", ('"adam_d": adam_d.state_dict()', '"adam_d": adam_g.state_dict()')),
    ],
)
_more(
    "27",
    [
        _SCORE.format(p="classify(images)", divergence='F.kl_div(marginal.log().expand_as(p), p, reduction="none")'),
        _SCORE.format(p="classify(images)", divergence="p * (p / marginal).add(1e-30).log()"),
    ],
    [
        _SCORE.format(p="classify(images)", divergence="torch.xlogy(p, p)"),
        _SCORE.format(p="classify(images)", divergence="torch.xlogy(marginal, marginal) - torch.xlogy(marginal, p)"),
    ],
)
_more(
    "28",
    [_SHUFFLED.format(last="pass")],
    [
        _SHUFFLED.format(last="generator = fit(torch.cat([train_images, test_images]))"),
        _SHUFFLED.format(last="generator = fit(train_images[:10])"),
    ],
)
_more(
    "30",
    [edited("30", ("torch.randn(len(real))", "torch.empty(len(real)).uniform_()"))],
    [
        edited("30", ("torch.randn(len(real))", "torch.linspace(0, 1, len(real))")),
        edited("30", ("torch.randn(len(real))", "torch.randint(2, (len(real),)).float()")),
        edited("30", ("torch.randn(len(real))", "torch.rand(len(real)) ** 2")),
    ],
)
