"""What readers may write into the exercises of "The vanilla GAN"."""

LOSS = "def repaired_loss(real_logits, fake_logits):\n    "
FACTOR = "def factor(epoch, start, epochs):\n    return "
MEAN = "def reweighted_mean(f_values, logits):\n    "
STEP = "def generator_loss(generator, discriminator, z):\n    "
CRITERION = """criterion = nn.BCEWithLogitsLoss()
    real, fake = real_logits, fake_logits
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    """
BCE = """real, fake = {}
    return nn.BCELoss()(real, torch.ones_like(real)) + nn.BCELoss()(fake, torch.zeros_like(fake))"""

ANSWERS = {
    "Exercise 4": {
        "right": [
            LOSS + "return softplus(-real_logits).mean() + softplus(fake_logits).mean()",
            LOSS + CRITERION + "return criterion(real, ones) + criterion(fake, zeros)",
            LOSS + "f = nn.functional.logsigmoid\n    return -f(real_logits).mean() - f(-fake_logits).mean()",
        ],
        "wrong": [
            LOSS + BCE.format("real_logits, fake_logits"),  # raises
            LOSS + BCE.format("real_logits.clamp(0, 1), fake_logits.clamp(0, 1)"),
            LOSS + BCE.format("torch.sigmoid(real_logits), torch.sigmoid(fake_logits)"),  # at logits of 40 it is not
            LOSS + CRITERION + "return criterion(real.logit(), ones) + criterion(fake.logit(), zeros)",  # nan
            LOSS + "return torch.tensor(1.7314)",
            LOSS + CRITERION + "return criterion(real.sigmoid(), ones) + criterion(fake.sigmoid(), zeros)",
            LOSS + CRITERION + "return criterion(real, 1 - ones) + criterion(fake, 1 - zeros)",
            LOSS + CRITERION + "return criterion(torch.cat([real, fake]), torch.cat([ones, zeros]))",
            LOSS + CRITERION + "return (criterion(real, ones) + criterion(fake, zeros)) / 2",
            LOSS + CRITERION + "return criterion(real, ones) + criterion(fake.detach(), zeros)",
            LOSS + "return (softplus(-real_logits).mean() + softplus(fake_logits).mean()).item()",
            LOSS + "return softplus(-real_logits).sum() + softplus(fake_logits).sum()",
            LOSS + "return softplus(-real_logits) + softplus(fake_logits)",  # raises
        ],
    },
    "Exercise 5": {
        "right": [
            FACTOR + "1 - max(0, epoch - start) / (epochs - start)",
            FACTOR + "min(1.0, (epochs - epoch) / (epochs - start))",
            FACTOR + "1 if epoch <= start else (epochs - epoch) / (epochs - start)",
        ],
        "wrong": [
            FACTOR + "1",
            FACTOR + "1 - epoch // epochs",
            FACTOR + "1 - epoch / epochs",
            FACTOR + "1 - max(0, epoch - 5) / 5",
            FACTOR + "1 - max(0, epoch - start) / epochs",
            FACTOR + "1 - max(0, epoch - start) / (epochs - start + 1)",
            FACTOR + "1 - max(0, epoch - start) // (epochs - start)",
            FACTOR + "[1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0][epoch]",
            FACTOR + "max(0, epoch - start) / (epochs - start)",
            FACTOR + "'1'",
        ],
    },
    "Exercise 6": {
        "right": [
            MEAN + "return (torch.softmax(logits, 0) * f_values).sum()",
            MEAN + "w = (logits - logits.max()).exp()\n    return (w * f_values).sum() / w.sum()",
            MEAN + "return ((logits - torch.logsumexp(logits, 0)).exp() @ f_values).item()",
        ],
        "wrong": [
            MEAN + "return (logits.exp() * f_values).mean()",  # weights whose sum is not 1
            MEAN + "w = logits.exp()\n    return (w * f_values).sum() / w.sum()",  # overflows
            MEAN + "w = torch.sigmoid(logits)\n    return (w * f_values).sum() / w.sum()",
            MEAN + "d = torch.sigmoid(logits)\n    w = d / (1 - d)\n    return (w * f_values).sum() / w.sum()",
            MEAN + "return (torch.softmax(-logits, 0) * f_values).sum()",
            MEAN + "return (torch.softmax(logits, 0) * f_values).mean()",
            MEAN + "w = logits.exp().clamp(max=10)\n    return (w * f_values).sum() / w.sum()",
            MEAN + "return f_values.mean()",
            MEAN + "return 1.858",
        ],
    },
    "Exercise 7": {
        "right": [
            STEP + "return softplus(-discriminator(generator(z))).mean()",
            STEP + "return -nn.functional.logsigmoid(discriminator(generator(z))).mean()",
            STEP + "x = discriminator(generator(z))\n    return nn.BCEWithLogitsLoss()(x, torch.ones_like(x))",
        ],
        "wrong": [
            STEP + "return softplus(discriminator(generator(z).detach())).mean()",  # as it was
            STEP + "return softplus(-discriminator(generator(z).detach())).mean()",
            STEP + "return softplus(discriminator(generator(z))).mean()",
            STEP + "return -softplus(discriminator(generator(z))).mean()",  # the saturating one
            STEP + "return -discriminator(generator(z)).mean()",
            STEP + "return softplus(-discriminator(generator(z)))[0]",
            STEP + "return softplus(-discriminator(generator(z))).sum()",
            STEP + "return (discriminator(generator(z)) - 100).square().mean()",
            STEP + "return (-discriminator(generator(z))).exp().mean()",
            STEP + "return softplus(-discriminator(generator(z)).mean())",
            STEP + "return softplus(-discriminator(generator(torch.randn(64, 64)))).mean()",
            STEP + "return softplus(-discriminator(generator(z))).mean().item()",
        ],
    },
}
