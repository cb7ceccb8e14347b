"""Wrong answers that people give, each with the points that its question must get."""

BEST = "def best_answers(targets, shares):\n    weights = shares.view(-1, 1, 1, 1).to(targets)\n"
MEDIAN = (
    "    values, order = targets.sort(dim=0)\n"
    "    place = (weights.expand_as(targets).gather(0, order).cumsum(0) < 0.5 - 1e-6).sum(0, keepdim=True)\n"
    "    return values.gather(0, place)[0], (weights * targets).sum(0)\n"
)
PIXEL = '\n\none_pixel = {"L1 answers": -1, "its PSNR": 3.98, "L2 answers": -0.2, "PSNR of that": 6.20}\n'


def patches(
    room: str = "side = room // stride + 1",
    refuse: str = "if room < 0: raise ValueError(kernel)",
    layers: str = "reversed(layers)",
    first: str = "first * stride - padding",
    last: str = "last * stride - padding + kernel - 1",
    window: str = "first, last",
    inside: str = "first <= pixel <= last",
) -> str:
    return f"""
def map_side(layers, side):
    for kernel, stride, padding in layers:
        room = side + 2 * padding - kernel
        {refuse}
        {room}
    return side


def window(layers, i):
    first = last = i
    for kernel, stride, padding in {layers}:
        first, last = {first}, {last}
    return {window}


def votes(layers, side, pixel):
    windows = [window(layers, i) for i in range(map_side(layers, side))]
    return sum({inside} for first, last in windows)
"""


def unet(
    fit: str = "h[:, :, : kept.shape[2], : kept.shape[3]]",
    level: str = "len(ups) - 2 - number",
    joined: str = "torch.cat([h, torch.zeros_like(kept) if level in cut else kept], 1)",
) -> str:
    return f"""
def unet_pass(downs, ups, x, cut=()):
    maps = [x]
    for down in downs:
        maps.append(down(maps[-1]))
    h = maps.pop()
    for number, up in enumerate(ups):
        kept = maps.pop()
        h = up(h)
        h = {fit}
        level = {level}
        if maps:
            h = {joined}
    return h
"""


def augmented(
    top: str = "torch.randint(height - side + 1, (n,), generator=generator)",
    left: str = "torch.randint(width - side + 1, (n,), generator=generator)",
    turned: str = "torch.rand(n, generator=generator) < 0.5",
    axis: int = -1,
    again: str = "",
) -> str:
    return f"""
def augment(source, target, side, mirror, generator):
    n, _, height, width = source.shape

    def drawn():
        return {top}, {left}, {turned}

    top, left, turned = drawn()
    results = []
    for images in (source, target):
        {again}
        cut = []
        for image, i, j, turn in zip(images, top, left, turned):
            image = image[:, i : i + side, j : j + side]
            cut.append(image.flip({axis}) if mirror and turn else image)
        results.append(torch.stack(cut))
    return tuple(results)
"""


def step(
    freeze: str = "for p in frozen: p.requires_grad_(False)",
    thaw: str = "for p in frozen: p.requires_grad_(True)",
    fake: str = "g(a), f(b)",
    judged: str = "fake_b, fake_a",
    noises: str = "torch.randn_like(fake_b), torch.randn_like(fake_a)",
    back: str = "fake_b + sigma * noise_b, fake_a + sigma * noise_a",
    gan: str = "(d_b(judged_b) - 1).square().mean() + (d_a(judged_a) - 1).square().mean()",
    error: str = "abs()",
    clear: str = "optimizer.zero_grad()",
) -> str:
    return f"""
def generators_step(g, f, d_a, d_b, optimizer, a, b, weight=10.0, sigma=0.0):
    frozen = [p for d in (d_a, d_b) for p in d.parameters() if p.requires_grad]
    {freeze}
    fake_b, fake_a = {fake}
    noise_b, noise_a = {noises}
    judged_b, judged_a = {judged}
    loss_gan = {gan}
    sent_b, sent_a = {back}
    loss_cycle = (f(sent_b) - a).{error}.mean() + (g(sent_a) - b).{error}.mean()
    {clear}
    (loss_gan + weight * loss_cycle).backward()
    optimizer.step()
    {thaw}
    told = dict(fake_a=fake_a, fake_b=fake_b, loss_gan=loss_gan, loss_cycle=loss_cycle)
    return {{name: value.detach() for name, value in told.items()}}
"""


def history(
    copy: str = ".clone()",
    places: str = "torch.randperm(self.size)[:half].tolist()",
    numbers: str = "torch.randperm(len(batch))[:half].tolist()",
    images: str = "[]",
    new: str = "batch[torch.randperm(len(batch))[:half]].clone()",
    young: str = "0.5",
    old: str = "0.5 * leaves * (1 - leaves) ** (age - 1)",
) -> str:
    return f"""
class History:
    def __init__(self, size):
        self.size, self.images = size, {images}

    def __call__(self, batch):
        batch, half = batch.detach(), len(batch) // 2
        room = self.size - len(self.images)
        if room:
            self.images += [image{copy} for image in batch[:room]]
            return batch.clone()
        new = {new}
        shown = torch.randperm(self.size)[:half].tolist()
        old = torch.stack([self.images[place] for place in shown])
        for place, number in zip({places}, {numbers}):
            self.images[place] = batch[number]{copy}
        return torch.cat([new, old])


def age_share(age, size, n):
    leaves = n / 2 / size
    return {young} if age == 0 else {old}
"""


COIN = """
class History:
    def __init__(self, size):
        self.size, self.images = size, []

    def __call__(self, batch):
        returned = []
        for image in batch.detach().clone():
            if len(self.images) < self.size:
                self.images.append(image)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(self.size, ()))
                image, self.images[place] = self.images[place], image
            returned.append(image)
        return torch.stack(returned)


def age_share(age, size, n):
    leaves = n / 2 / size
    return 0.5 if age == 0 else 0.5 * leaves * (1 - leaves) ** (age - 1)
"""


def tools(
    wanted: str = "torch.tensor(becomes)[labels_a]",
    theirs: str = "labels_b",
    check: str = "if not torch.equal(wanted[order_a], theirs[order_b]): raise ValueError",
    back: str = "f[order_b] = order_a",
    sent: str = "(g(a) + sigma * torch.randn(a.shape, generator=generator)).clamp(-1, 1)",
    error: str = "abs()",
) -> str:
    return f"""
def wrong_pair(labels_a, labels_b, becomes):
    wanted, theirs = {wanted}, {theirs}
    order_a, order_b = wanted.argsort(), theirs.argsort()
    {check}
    g, f = torch.empty_like(order_a), torch.empty_like(order_b)
    g[order_a] = order_b
    {back}
    return g, f


@torch.no_grad()
def way_back(g, f, a, sigma, generator):
    noisy = {sent}
    return float((f(g(a)) - a).{error}.mean()), float((f(noisy) - a).{error}.mean())
"""


MUTANTS = {
    "q1": [
        (
            "a median that does not know the probabilities",
            1,
            BEST + "    return targets.median(0).values, (weights * targets).sum(0)\n" + PIXEL,
        ),
        (
            "the most probable target, right only where it has more than half",
            2,
            BEST + "    return targets[shares.argmax()], (weights * targets).sum(0)\n" + PIXEL,
        ),
        ("the mean for both", 1, BEST + "    mean = (weights * targets).sum(0)\n    return mean, mean\n" + PIXEL),
        (
            "PSNR with a range of 1",
            3,
            BEST + MEDIAN + PIXEL.replace("3.98", "-2.04").replace("6.20", "0.18"),
        ),
        (
            "an expected squared error from absolute errors",
            2,
            BEST + MEDIAN + PIXEL.replace("3.98", "7.96").replace("6.20", "6.38"),
        ),
    ],
    "q2": [
        ("rounded up where the stride does not fit", 3, patches(room="side = -(-room // stride) + 1")),
        ("no error where a kernel has no room", 3, patches(refuse="pass")),
        (
            "room asked for at the end only",
            3,
            patches(refuse="pass").replace(
                "    return side\n", "    if side < 1: raise ValueError(side)\n    return side\n"
            ),
        ),
        ("from the first layer to the last", 2, patches(layers="layers")),
        (
            "padding forgotten",
            1,
            patches(first="first * stride", last="last * stride + kernel - 1"),
        ),
        ("windows end at the border", 2, patches(window="max(first, 0), last")),
        ("the last pixel of a window does not count", 2, patches(inside="first <= pixel < last")),
    ],
    "q3": [
        (
            "kept maps first",
            1,
            unet(joined="torch.cat([torch.zeros_like(kept) if level in cut else kept, h], 1)"),
        ),
        ("sides must be even", 3, unet(fit="h")),
        ("cut off on the wrong sides", 3, unet(fit="h[:, :, -kept.shape[2] :, -kept.shape[3] :]")),
        (
            "shrunk in place of cut off",
            3,
            unet(fit="nn.functional.interpolate(h, size=kept.shape[2:], mode='bilinear')"),
        ),
        ("skips are never cut", 3, unet(joined="torch.cat([h, kept], 1)")),
        ("levels counted from the inside", 3, unet(level="number")),
    ],
    "q4": [
        ("source and target draw for themselves", 1, augmented(again="top, left, turned = drawn()")),
        (
            "one draw for the whole batch",
            2,
            augmented(
                top="torch.randint(height - side + 1, (1,), generator=generator).expand(n)",
                left="torch.randint(width - side + 1, (1,), generator=generator).expand(n)",
                turned="(torch.rand(1, generator=generator) < 0.5).expand(n)",
            ),
        ),
        (
            "never at the last place",
            3,
            augmented(
                top="torch.randint(max(1, height - side), (n,), generator=generator)",
                left="torch.randint(max(1, width - side), (n,), generator=generator)",
            ),
        ),
        (
            "torch's global random numbers",
            3,
            augmented(
                top="torch.randint(height - side + 1, (n,))",
                left="torch.randint(width - side + 1, (n,))",
                turned="torch.rand(n) < 0.5",
            ),
        ),
        ("upside down", 3, augmented(axis=-2)),
        ("always mirrored", 3, augmented(turned="torch.ones(n)")),
    ],
    "q5": [
        ("discriminators learn along", 3, step(freeze="pass")),
        (
            "gradients of the discriminators computed, then cleared",
            4,
            step(freeze="pass", thaw="d_a.zero_grad(), d_b.zero_grad()"),
        ),
        (
            "weights that somebody else had frozen are set free",
            4,
            step(thaw="for p in [*d_a.parameters(), *d_b.parameters()]: p.requires_grad_(True)"),
        ),
        ("never set free again", 3, step(thaw="pass")),
        (
            "the cycle does not teach the first of its translators",
            4,
            step(back="fake_b.detach() + sigma * noise_b, fake_a.detach() + sigma * noise_a"),
        ),
        ("old gradients stay", 4, step(clear="pass")),
        (
            "the square of the mean logit",
            4,
            step(gan="(d_b(judged_b).mean() - 1).square() + (d_a(judged_a).mean() - 1).square()"),
        ),
        ("squared error of the cycle", 3, step(error="square()")),
        ("noise for the discriminators too", 4, step(judged="fake_b + sigma * noise_b, fake_a + sigma * noise_a")),
        ("sigma taken for a variance", 4, step(back="fake_b + sigma**0.5 * noise_b, fake_a + sigma**0.5 * noise_a")),
    ],
    "q6": [
        ("the coin of CycleGAN's pool", 3, COIN),
        ("no copies", 4, history(copy="")),
        ("always the same places are overwritten", 4, history(places="range(half)")),
        ("what was shown is overwritten", 4, history(places="shown")),
        ("always the first half of a batch is stored", 4, history(numbers="range(half)")),
        ("always the first half of a batch is shown", 4, history(new="batch[:half].clone()")),
        ("first in, first out", 4, history(old="0.5 * leaves * (age <= 1 / leaves)")),
        ("ages of the buffer alone", 3, history(young="0.5", old="leaves * (1 - leaves) ** (age - 1)")),
        ("it survives its first call too", 3, history(old="0.5 * leaves * (1 - leaves) ** age")),
    ],
    "q7": [
        ("the way back by the same table", 2, tools(back="f = g")),
        ("no error where there are no tables", 3, tools(check="pass")),
        (
            "classes exchanged the other way round",
            3,
            tools(wanted="labels_a", theirs="torch.tensor(becomes)[labels_b]"),
        ),
        (
            "uniform noise",
            3,
            tools(sent="(g(a) + sigma * (2 * torch.rand(a.shape, generator=generator) - 1)).clamp(-1, 1)"),
        ),
        ("not clipped", 3, tools(sent="g(a) + sigma * torch.randn(a.shape, generator=generator)")),
        (
            "noise on the source in place of its translation",
            3,
            tools(sent="g((a + sigma * torch.randn(a.shape, generator=generator)).clamp(-1, 1))"),
        ),
        ("tensors in place of floats", 3, tools().replace("float((", "((")),
        ("squared error", 2, tools(error="square()")),
    ],
}
