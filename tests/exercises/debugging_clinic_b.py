"""Answers to the cases of the debugging clinic about loops, logs and data: right repairs, and plausible wrong ones."""

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

ANSWERS = {
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
