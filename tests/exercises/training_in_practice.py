"""Right and wrong answers to the exercises of Training in practice that check themselves."""

STEP = """
def clipped_step(network, optimizer, loss, limit):
"""
VARIETY = """
def with_variety(x, group=4):
"""
SMOOTH = """
def smoothness(discriminator, x, radius):
    unit = lambda v: v / v.norm(dim=1, keepdim=True)
    kl = lambda a, b: (softplus(b) - softplus(a) - torch.sigmoid(a) * (b - a)).mean()
"""
EXTRA = """
def extragradient_step(loss_g, loss_d, theta, psi, lr):
    def gradients(t, p):
        t, p = t.detach().requires_grad_(), p.detach().requires_grad_()
        return torch.autograd.grad(loss_g(t, p), t)[0], torch.autograd.grad(loss_d(t, p), p)[0]

"""

ANSWERS = {
    "Exercise 4": {
        "right": [
            STEP
            + """
    network.zero_grad(set_to_none=True)
    loss.backward()
    gradients = [p.grad for p in network.parameters()]
    length = sum(g.square().sum() for g in gradients).sqrt()
    for g in gradients:
        g.mul_(min(1.0, limit / length.item()))
    optimizer.step()
    return network
""",
        ],
        "wrong": [
            # The order of the question, without the clamp.
            STEP
            + """
    optimizer.zero_grad()
    nn.utils.clip_grad_norm_(network.parameters(), limit)
    loss.backward()
    optimizer.step()
    return network
""",
            # Old gradients are left in.
            STEP
            + """
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), limit)
    optimizer.step()
    return network
""",
            # Each entry is clipped, not the norm.
            STEP
            + """
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(network.parameters(), limit)
    optimizer.step()
    return network
""",
            # Short gradients are made longer.
            STEP
            + """
    optimizer.zero_grad()
    loss.backward()
    length = torch.cat([p.grad.flatten() for p in network.parameters()]).norm()
    for p in network.parameters():
        p.grad.mul_(limit / length)
    optimizer.step()
    return network
""",
            # Weights are clipped as well.
            STEP
            + """
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), limit)
    optimizer.step()
    for p in network.parameters():
        p.data.clamp_(-1.0, 1.0)
    return network
""",
            # Each tensor has a norm of its own.
            STEP
            + """
    optimizer.zero_grad()
    loss.backward()
    for p in network.parameters():
        nn.utils.clip_grad_norm_([p], limit)
    optimizer.step()
    return network
""",
        ],
    },
    "Exercise 5": {
        "right": [
            VARIETY
            + """
    parts = []
    for part in x.split(group):
        spread = (part - part.mean(0)).square().mean(0).sqrt().mean()
        parts.append(torch.cat([part, spread.expand(len(part), 1)], 1))
    return torch.cat(parts)
""",
        ],
        "wrong": [
            # Bessel's correction.
            VARIETY
            + """
    std = x.view(-1, group, x.shape[1]).std(1)
    return torch.cat([x, std.mean(1).repeat_interleave(group)[:, None]], 1)
""",
            # The spread over the features of each sample.
            VARIETY
            + """
    return torch.cat([x, x.std(1, correction=0)[:, None]], 1)
""",
            # One number for the whole batch.
            VARIETY
            + """
    return torch.cat([x, x.std(0, correction=0).mean().expand(len(x), 1)], 1)
""",
            # The numbers go to the wrong samples.
            VARIETY
            + """
    std = x.view(-1, group, x.shape[1]).std(1, correction=0)
    return torch.cat([x, std.mean(1).repeat(group)[:, None]], 1)
""",
            # Groups of samples that are not consecutive.
            VARIETY
            + """
    std = x.view(group, -1, x.shape[1]).std(0, correction=0)
    return torch.cat([x, std.mean(1).repeat(group)[:, None]], 1)
""",
            # The group's size is ignored.
            VARIETY
            + """
    std = x.view(-1, 6, x.shape[1]).std(1, correction=0)
    return torch.cat([x, std.mean(1).repeat_interleave(6)[:, None]], 1)
""",
            # All features and samples of a group in one standard deviation.
            VARIETY
            + """
    std = x.view(-1, group * x.shape[1]).std(1, correction=0)
    return torch.cat([x, std.repeat_interleave(group)[:, None]], 1)
""",
        ],
    },
    "Exercise 6": {
        "right": [
            # For one logit the worst direction is that of the logit's own gradient.
            SMOOTH
            + """
    leaf = x.detach().requires_grad_(True)
    logits = discriminator(leaf)
    (gradient,) = torch.autograd.grad(logits.sum(), leaf)
    return kl(logits.detach(), discriminator(x - radius * unit(gradient)))
""",
            """
def smoothness(discriminator, x, radius):
    return losses.virtual_adversarial_penalty(discriminator, x, radius=radius)
""",
        ],
        "wrong": [
            # A random direction.
            SMOOTH
            + """
    with torch.no_grad():
        a = discriminator(x)
    return kl(a, discriminator(x + radius * unit(torch.randn_like(x))))
""",
            # The target moves, too.
            SMOOTH
            + """
    a = discriminator(x)
    r = (0.1 * radius * unit(torch.randn_like(x))).requires_grad_(True)
    (direction,) = torch.autograd.grad(kl(a.detach(), discriminator(x + r)), r)
    return kl(a, discriminator(x + radius * unit(direction)))
""",
            # The gradient at r = 0.
            SMOOTH
            + """
    with torch.no_grad():
        a = discriminator(x)
    r = torch.zeros_like(x).requires_grad_(True)
    (direction,) = torch.autograd.grad(kl(a, discriminator(x + r)), r)
    return kl(a, discriminator(x + radius * unit(direction)))
""",
            # One outcome of the coin only.
            SMOOTH
            + """
    with torch.no_grad():
        a = discriminator(x)
    r = (0.1 * radius * unit(torch.randn_like(x))).requires_grad_(True)
    (direction,) = torch.autograd.grad(kl(a, discriminator(x + r)), r)
    p, q = torch.sigmoid(a), torch.sigmoid(discriminator(x + radius * unit(direction)))
    return (p * torch.log(p / q)).mean()
""",
            # The divergence the other way round.
            SMOOTH
            + """
    with torch.no_grad():
        a = discriminator(x)
    r = (0.1 * radius * unit(torch.randn_like(x))).requires_grad_(True)
    (direction,) = torch.autograd.grad(kl(a, discriminator(x + r)), r)
    return kl(discriminator(x + radius * unit(direction)), a)
""",
            # One length for the whole batch.
            SMOOTH
            + """
    with torch.no_grad():
        a = discriminator(x)
    r = (0.1 * radius * unit(torch.randn_like(x))).requires_grad_(True)
    (direction,) = torch.autograd.grad(kl(a, discriminator(x + r)), r)
    return kl(a, discriminator(x + radius * direction / direction.norm()))
""",
            # The first sample's direction for all.
            SMOOTH
            + """
    leaf = x.detach().requires_grad_(True)
    logits = discriminator(leaf)
    (gradient,) = torch.autograd.grad(logits.sum(), leaf)
    return kl(logits.detach(), discriminator(x + radius * unit(gradient[:1])))
""",
            # The sum over the batch.
            SMOOTH
            + """
    leaf = x.detach().requires_grad_(True)
    logits = discriminator(leaf)
    (gradient,) = torch.autograd.grad(logits.sum(), leaf)
    return len(x) * kl(logits.detach(), discriminator(x + radius * unit(gradient)))
""",
        ],
    },
    "Exercise 8": {
        "right": [
            """
def extragradient_step(loss_g, loss_d, theta, psi, lr):
    trial, at = (theta, psi), None
    for _ in range(2):
        at = [x.detach().clone().requires_grad_() for x in trial]
        g = torch.autograd.grad(loss_g(*at), at[0])[0]
        d = torch.autograd.grad(loss_d(*at), at[1])[0]
        trial = theta - lr * g, psi - lr * d
    return list(trial)
""",
        ],
        "wrong": [
            # A plain simultaneous step.
            EXTRA
            + """
    g, d = gradients(theta, psi)
    return theta - lr * g, psi - lr * d
""",
            # Two simultaneous steps: applied to the trial point.
            EXTRA
            + """
    g, d = gradients(theta, psi)
    trial = theta - lr * g, psi - lr * d
    g, d = gradients(*trial)
    return trial[0] - lr * g, trial[1] - lr * d
""",
            # Alternating steps.
            EXTRA
            + """
    psi = psi - lr * gradients(theta, psi)[1]
    return theta - lr * gradients(theta, psi)[0], psi
""",
            # Only the generator looks ahead.
            EXTRA
            + """
    g, d = gradients(theta, psi)
    ahead, _ = gradients(theta - lr * g, psi - lr * d)
    return theta - lr * ahead, psi - lr * d
""",
            # Each looks ahead of the other only, not of itself.
            EXTRA
            + """
    g, d = gradients(theta, psi)
    ahead_g, _ = gradients(theta, psi - lr * d)
    _, ahead_d = gradients(theta - lr * g, psi)
    return theta - lr * ahead_g, psi - lr * ahead_d
""",
            # Both descend the generator's loss.
            EXTRA
            + """
    loss_d = loss_g
    g, d = gradients(theta, psi)
    g, d = gradients(theta - lr * g, psi - lr * d)
    return theta - lr * g, psi - lr * d
""",
            # The discriminator climbs.
            EXTRA
            + """
    g, d = gradients(theta, psi)
    g, d = gradients(theta - lr * g, psi + lr * d)
    return theta - lr * g, psi + lr * d
""",
            # The psi is forgotten.
            EXTRA
            + """
    g, d = gradients(theta, psi)
    g, d = gradients(theta - lr * g, psi - lr * d)
    return theta - lr * g
""",
        ],
    },
}
