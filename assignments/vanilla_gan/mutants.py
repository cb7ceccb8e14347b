"""Wrong answers that people give, each with the points that its question must get."""

LOSS = "def discriminator_loss(real_logits, fake_logits):\n"
GENERATOR = "def generator_loss(fake_logits, saturating=False):\n"
SLOPES = '\n\nslopes = {"saturating": -0.0067, "non-saturating": -0.9933}\n'
SOFTPLUS = "nn.functional.softplus"
BOTH = f"    return -{SOFTPLUS}(fake_logits).mean() if saturating else {SOFTPLUS}(-fake_logits).mean()\n"
LOGIT = "def best_logit(x, mu_p, mu_q, s):\n"
LOGIT_RIGHT = LOGIT + "    return (mu_p - mu_q) * (x - (mu_p + mu_q) / 2) / s**2\n\n\n"
SMALLEST = "def smallest_loss(x_p, x_q, mu_p, mu_q, s):\n"
SMALLEST_RIGHT = SMALLEST + (
    "    real, fake = best_logit(x_p, mu_p, mu_q, s), best_logit(x_q, mu_p, mu_q, s)\n"
    f"    return {SOFTPLUS}(-real).mean() + {SOFTPLUS}(fake).mean()\n"
)
NEAREST = "def nearest(samples, images):\n"
NEAREST_RIGHT = NEAREST + (
    "    distances, indices = torch.cdist(samples.flatten(1), images.flatten(1)).min(dim=1)\n"
    "    return indices, distances\n\n\n"
)
SUSPICIOUS = "def suspicious(samples, images, held_out, quantile=0.05):\n"
SUSPICIOUS_RIGHT = SUSPICIOUS + (
    "    bound = nearest(held_out, images)[1].quantile(quantile)\n    return nearest(samples, images)[1] < bound\n"
)


def step(
    fake: str = "generator(z).detach()",
    update_d: str = "optimizer_d.step()",
    between: str = "z = torch.randn(len(real), latent_dim)",
    loss_g: str = "generator_loss(discriminator(generator(z)))",
    last: str = "optimizer_d.zero_grad()",
    first_z: str = "torch.randn(len(real), latent_dim)",
    clear_g: str = "optimizer_g.zero_grad()",
    told: str = '{"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}',
) -> str:
    return f"""
def train_step(generator, discriminator, optimizer_g, optimizer_d, real, latent_dim):
    z = {first_z}
    fake = {fake}
    loss_d = discriminator_loss(discriminator(real), discriminator(fake))
    optimizer_d.zero_grad()
    loss_d.backward()
    {update_d}
    {between}
    loss_g = {loss_g}
    {clear_g}
    loss_g.backward()
    optimizer_g.step()
    {last}
    return {told}
"""


MUTANTS = {
    "q1": [
        (
            "logarithm of the sigmoid: infinite at large logits",
            2,
            LOSS + "    return -real_logits.sigmoid().log().mean() - (1 - fake_logits.sigmoid()).log().mean()\n",
        ),
        (
            "a small number added inside the logarithm: finite and wrong",
            2,
            LOSS
            + "    d_real, d_fake = real_logits.sigmoid(), fake_logits.sigmoid()\n"
            + "    return -(d_real + 1e-8).log().mean() - (1 - d_fake + 1e-8).log().mean()\n",
        ),
        (
            "half of it, as a mean over both batches together",
            0,
            LOSS + f"    return torch.cat([{SOFTPLUS}(-real_logits), {SOFTPLUS}(fake_logits)]).mean()\n",
        ),
        (
            "cross-entropy of sigmoids, whose logarithm torch cuts at -100",
            2,
            LOSS
            + "    entropy = nn.functional.binary_cross_entropy\n"
            + "    real, fake = real_logits.sigmoid(), fake_logits.sigmoid()\n"
            + "    return entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))\n",
        ),
        ("signs exchanged", 0, LOSS + f"    return {SOFTPLUS}(real_logits).mean() + {SOFTPLUS}(-fake_logits).mean()\n"),
        (
            "mean of real and fake pairs: needs batches of one size",
            3,
            LOSS
            + "    n = min(len(real_logits), len(fake_logits))\n"
            + f"    return ({SOFTPLUS}(-real_logits[:n]) + {SOFTPLUS}(fake_logits[:n])).mean()\n",
        ),
    ],
    "q2": [
        ("the two exchanged", 1, GENERATOR + BOTH.replace("if saturating", "if not saturating") + SLOPES),
        ("sign of the saturating loss", 1, GENERATOR + BOTH.replace("return -", "return ") + SLOPES),
        (
            "logarithm of the sigmoid",
            3,
            GENERATOR
            + "    d = fake_logits.sigmoid()\n    return (1 - d).log().mean() if saturating else -d.log().mean()\n"
            + SLOPES,
        ),
        ("slopes without their signs", 3, GENERATOR + BOTH + SLOPES.replace("-0", "0")),
        (
            "slopes exchanged",
            3,
            GENERATOR + BOTH + '\n\nslopes = {"saturating": -0.9933, "non-saturating": -0.0067}\n',
        ),
    ],
    "q3": [
        (
            "square of the standard deviation forgotten",
            2,
            LOGIT + "    return (mu_p - mu_q) * (x - (mu_p + mu_q) / 2) / s\n\n\n" + SMALLEST_RIGHT,
        ),
        (
            "generated over real",
            2,
            LOGIT + "    return (mu_q - mu_p) * (x - (mu_p + mu_q) / 2) / s**2\n\n\n" + SMALLEST_RIGHT,
        ),
        (
            "the probability instead of its logit",
            1,
            LOGIT + "    return torch.sigmoid((mu_p - mu_q) * (x - (mu_p + mu_q) / 2) / s**2)\n\n\n" + SMALLEST_RIGHT,
        ),
        (
            "the value of the game, which is minus the loss",
            3,
            LOGIT_RIGHT + SMALLEST_RIGHT.replace("return ", "return -1 * (").replace("(fake).mean()", "(fake).mean())"),
        ),
    ],
    "q4": [
        ("gradients of the generator's loss stay in the discriminator", 4, step(last="pass")),
        (
            "generator's gradients are never cleared: those of the discriminator's loss are added",
            3,
            step(fake="generator(z)", clear_g="pass"),
        ),
        ("the same latent vectors for both updates", 4, step(between="pass")),
        (
            "uniform latent vectors",
            4,
            step(first_z="torch.rand(len(real), latent_dim)", between="z = torch.rand(len(real), latent_dim)"),
        ),
        ("saturating loss", 3, step(loss_g="generator_loss(discriminator(generator(z)), saturating=True)")),
        (
            "through the discriminator before its update",
            3,
            step(
                update_d="kept = [p.grad.clone() for p in discriminator.parameters()]",
                last="[setattr(p, 'grad', g) for p, g in zip(discriminator.parameters(), kept)]; "
                "optimizer_d.step(); optimizer_d.zero_grad()",
            ),
        ),
        (
            "the discriminator's loss returned twice",
            3,
            step(told='{"loss_d": loss_d.detach(), "loss_g": loss_d.detach()}'),
        ),
        ("losses with their graphs", 3, step(told='{"loss_d": loss_d, "loss_g": loss_g}')),
        (
            "the fake of the generator's update is detached",
            2,
            step(loss_g="generator_loss(discriminator(generator(z).detach()))"),
        ),
    ],
    "q5": [
        (
            "squared distances",
            2,
            NEAREST
            + "    distances, indices = torch.cdist(samples.flatten(1), images.flatten(1)).square().min(dim=1)\n"
            + "    return indices, distances\n\n\n"
            + SUSPICIOUS_RIGHT,
        ),
        (
            "a mean over pixels instead of a sum",
            2,
            NEAREST
            + "    difference = samples[:, None] - images[None]\n"
            + "    distances, indices = difference.square().mean(dim=(2, 3, 4)).sqrt().min(dim=1)\n"
            + "    return indices, distances\n\n\n"
            + SUSPICIOUS_RIGHT,
        ),
        ("farther instead of nearer", 2, NEAREST_RIGHT + SUSPICIOUS_RIGHT.replace("< bound", "> bound")),
        (
            "bound from the samples' own distances",
            2,
            NEAREST_RIGHT + SUSPICIOUS_RIGHT.replace("nearest(held_out, images)", "nearest(samples, images)"),
        ),
        (
            "a quantile of 5 %, whatever is asked",
            2,
            NEAREST_RIGHT + SUSPICIOUS_RIGHT.replace("quantile(quantile)", "quantile(0.05)"),
        ),
    ],
}
