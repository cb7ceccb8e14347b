# %% [markdown]
# # Assignment: a GAN that draws digits
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/assignments/vanilla_gan/vanilla_gan.ipynb)
#
# You write the pieces of a GAN (its losses, one training step, a test for copies), train it on handwritten digits, and report what you see. It belongs to the chapter [The vanilla GAN](https://github.com/gan-course/gan-course/blob/main/book/game/vanilla_gan.ipynb).
#
# **You will be able to** write the losses of both players from logits so that they neither overflow nor lose their gradients; find the best discriminator for two known densities; write a training step in which each player changes only itself; test a generator for memorised images; and report an experiment over several seeds.
#
# **Time**: two to three hours. The training takes less than half a minute on a CPU. **Points**: 21 for code that is tested, 8 for the report, which a person reads.
#
# Replace each `...` by your own lines. Below each question stands a check: run it as often as you like. It holds the public tests; when your work is graded, further tests with other numbers are run. A wrong answer to one question costs nothing in another.

# %%
# @title Setup
# In Colab this installs the course.
import sys

if "google.colab" in sys.modules:
    %pip install -q "gan-course @ git+https://github.com/gan-course/gan-course"

import matplotlib.pyplot as plt
import torch
from torch import nn

from gan_course import data, metrics
from gan_course.notebook import plot, profiles

device = profiles.device()
print(f"torch {torch.__version__} on {device}")

# %% [raw]
# # BEGIN QUESTION
# name: q1

# %% [markdown]
# ## Question 1: the discriminator's loss
#
# A discriminator gives a **logit** $\ell$ for each image; $D = \sigma(\ell) = 1/(1 + e^{-\ell})$ is its probability that the image is real. Its loss is
#
# $$\mathcal{L}_D = -\frac{1}{n}\sum_{i} \log \sigma(\ell^{\text{real}}_i) - \frac{1}{m}\sum_{j} \log\bigl(1 - \sigma(\ell^{\text{fake}}_j)\bigr).$$
#
# Write it for logits of any size. At $\ell = \pm 200$ the straightforward `log(sigmoid(...))` gives infinity in single precision; yours must give the right value and the right gradient. Two facts help: $-\log\sigma(\ell) = \log(1 + e^{-\ell})$, and `torch.nn.functional.softplus(x)` is $\log(1 + e^{x})$, computed with care.

# %% [raw]
# # BEGIN SOLUTION

# %%
def discriminator_loss(real_logits, fake_logits):
    """Return the discriminator's loss, a scalar tensor, from logits of shapes (n,) and (m,)."""
    # BEGIN SOLUTION
    softplus = nn.functional.softplus
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_by_hand(discriminator_loss):
    import math
    import torch
    loss = float(discriminator_loss(torch.zeros(3), torch.zeros(2)))
    assert abs(loss - 2 * math.log(2)) < 1e-5, f"With all logits 0 the loss is 2 log 2 = 1.3863; yours is {loss:.4f}."
    loss = float(discriminator_loss(torch.tensor([2.0]), torch.tensor([-1.0])))
    assert abs(loss - 0.44019) < 1e-4, f"For the logits [2] and [-1] the loss is 0.4402; yours is {loss:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_large_logits(discriminator_loss):
    import torch
    loss = float(discriminator_loss(torch.tensor([-200.0]), torch.tensor([200.0])))
    assert abs(loss - 400) < 1e-3, f"A discriminator that is certain and wrong, [-200] and [200], pays 400; yours pays {loss}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_unequal_batches(discriminator_loss):
    import torch
    real, fake = torch.tensor([1.0, -2.0, 0.5, 3.0]), torch.tensor([0.3, -0.7])
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    wanted = cross_entropy(real, torch.ones(4)) + cross_entropy(fake, torch.zeros(2))
    got = discriminator_loss(real, fake)
    assert torch.allclose(got, wanted, atol=1e-5), f"Each half is a mean over its own batch: expected {wanted:.4f}, got {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_gradient_of_large_logits(discriminator_loss):
    import torch
    real = torch.tensor([-100.0], requires_grad=True)
    fake = torch.tensor([100.0], requires_grad=True)
    slopes = torch.autograd.grad(discriminator_loss(real, fake), [real, fake])
    assert abs(float(slopes[0]) + 1) < 1e-4 and abs(float(slopes[1]) - 1) < 1e-4, "At logits of -100 and 100 the gradients are -1 and 1."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2

# %% [markdown]
# ## Question 2: two losses for the generator
#
# Write both losses that the paper by Goodfellow et al. (2014) gives the generator, as means over a batch of logits of generated images:
#
# - **saturating**: $\frac{1}{m}\sum_j \log\bigl(1 - \sigma(\ell_j)\bigr)$, the discriminator's own term, to be made small;
# - **non-saturating**: $-\frac{1}{m}\sum_j \log\sigma(\ell_j)$.
#
# Then fill in `slopes`: the derivative of each loss with respect to the logit of one generated image that the discriminator rejects with $\ell = -5$, to four decimals. Do it on paper; the derivative of $\log(1 + e^x)$ is $\sigma(x)$.

# %% [raw]
# # BEGIN SOLUTION

# %%
def generator_loss(fake_logits, saturating=False):
    """Return the generator's loss, a scalar tensor, from logits of shape (m,)."""
    # BEGIN SOLUTION
    softplus = nn.functional.softplus
    return -softplus(fake_logits).mean() if saturating else softplus(-fake_logits).mean()
    # END SOLUTION


slopes = {"saturating": ..., "non-saturating": ...}
slopes = {"saturating": -0.0067, "non-saturating": -0.9933}  # SOLUTION NO PROMPT

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_both_at_zero(generator_loss, slopes):
    import math
    import torch
    zero = torch.zeros(4)
    got = float(generator_loss(zero)), float(generator_loss(zero, saturating=True))
    assert abs(got[0] - math.log(2)) < 1e-5, f"At logits of 0 the non-saturating loss is log 2 = 0.6931; yours is {got[0]:.4f}."
    assert abs(got[1] + math.log(2)) < 1e-5, f"At logits of 0 the saturating loss is -log 2 = -0.6931; yours is {got[1]:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_gradients(generator_loss):
    import torch
    for saturating, wanted in ((False, -0.9525741), (True, -0.0474259)):
        logit = torch.tensor([-3.0], requires_grad=True)
        (slope,) = torch.autograd.grad(generator_loss(logit, saturating=saturating), logit)
        assert abs(float(slope) - wanted) < 1e-4, f"saturating={saturating}: at a logit of -3 the gradient is {wanted:.4f}, yours is {float(slope):.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_large_logits(generator_loss):
    import torch
    got = float(generator_loss(torch.tensor([-150.0, 150.0]))), float(generator_loss(torch.tensor([-150.0, 150.0]), saturating=True))
    assert abs(got[0] - 75) < 1e-3 and abs(got[1] + 75) < 1e-3, f"For logits of -150 and 150 the losses are 75 and -75; yours are {got[0]} and {got[1]}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_slopes(slopes):
    for kind, wanted in (("saturating", -0.0067), ("non-saturating", -0.9933)):
        assert abs(float(slopes[kind]) - wanted) < 6e-5, f"The slope of the {kind} loss at a logit of -5 is another one."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3

# %% [markdown]
# ## Question 3: the best discriminator
#
# Real data follow $\mathcal{N}(\mu_p, s^2)$ and generated ones $\mathcal{N}(\mu_q, s^2)$ on the line. The best discriminator is $D^*(x) = p(x) / (p(x) + q(x))$, so its logit is $\log p(x) - \log q(x)$.
#
# Derive that logit (a polynomial of first degree in $x$) and write it. Then estimate from samples the smallest *expected* loss that any discriminator can reach: the means of its two terms at $D^*$, over samples of $p$ and of $q$, as in question 1.

# %% [raw]
# # BEGIN SOLUTION

# %%
def best_logit(x, mu_p, mu_q, s):
    """Return the logit of the best discriminator at the points x, a tensor of any shape."""
    # BEGIN SOLUTION
    return (mu_p - mu_q) * (x - (mu_p + mu_q) / 2) / s**2
    # END SOLUTION


def smallest_loss(x_p, x_q, mu_p, mu_q, s):
    """Return the best discriminator's loss on samples x_p (n,) of p and x_q (m,) of q."""
    # BEGIN SOLUTION
    softplus = nn.functional.softplus
    real, fake = best_logit(x_p, mu_p, mu_q, s), best_logit(x_q, mu_p, mu_q, s)
    return softplus(-real).mean() + softplus(fake).mean()
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_the_middle(best_logit, smallest_loss):
    import torch
    got = float(best_logit(torch.tensor([1.0]), 0.0, 2.0, 1.0))
    assert abs(got) < 1e-6, f"Halfway between the two means the best discriminator says 1/2, a logit of 0; yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_logit(best_logit):
    import torch
    x = torch.linspace(-6, 6, 41, dtype=torch.float64)
    for mu_p, mu_q, s in ((0.0, 1.0, 1.0), (-1.5, 2.0, 0.5), (3.0, 1.0, 2.0)):
        p, q = torch.distributions.Normal(mu_p, s), torch.distributions.Normal(mu_q, s)
        difference = (best_logit(x, mu_p, mu_q, s) - (p.log_prob(x) - q.log_prob(x))).abs().max()
        assert difference < 1e-5, f"For means {mu_p} and {mu_q} and s = {s} the logit is off by up to {difference:.3f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_loss(smallest_loss):
    import torch
    normal = torch.distributions.Normal
    names = smallest_loss.__globals__
    own = names.get("best_logit")
    # a right logit, so that this case is about the loss
    names["best_logit"] = lambda x, mu_p, mu_q, s: normal(mu_p, s).log_prob(x) - normal(mu_q, s).log_prob(x)
    p, q = torch.distributions.Normal(-1.0, 0.8), torch.distributions.Normal(1.5, 0.8)
    points = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    x_p, x_q = p.icdf(points), q.icdf(points)
    d_p = torch.sigmoid(p.log_prob(x_p) - q.log_prob(x_p))
    d_q = torch.sigmoid(p.log_prob(x_q) - q.log_prob(x_q))
    wanted = -d_p.log().mean() - (1 - d_q).log().mean()
    try:
        got = smallest_loss(x_p, x_q, -1.0, 1.5, 0.8)
    finally:
        names["best_logit"] = own
    assert abs(float(got - wanted)) < 1e-5, f"For means -1 and 1.5 and s = 0.8 the loss is {wanted:.4f}, yours is {got:.4f}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4

# %% [markdown]
# ## Question 4: one training step
#
# Write one step of the game: one update of the discriminator, then one of the generator with the non-saturating loss, each with **new** latent vectors $z \sim \mathcal{N}(0, I)$ of shape `(batch, latent_dim)`, where `batch` is the number of real images. The generator maps them to images, the discriminator maps images to logits of shape `(batch,)`.
#
# Three things must hold after the step: the discriminator's update has left the generator alone and the other way round; the generator's update went through the *updated* discriminator; and no gradient is left in the discriminator, for a later update may not clear them first.

# %% [raw]
# # BEGIN SOLUTION

# %%
def train_step(generator, discriminator, optimizer_g, optimizer_d, real, latent_dim):
    """Update the discriminator once, then the generator once.

    Args:
        real: images of shape (batch, ...).

    Returns:
        The two losses before their updates, as detached scalars: {"loss_d": ..., "loss_g": ...}.
    """
    # BEGIN SOLUTION
    z = torch.randn(len(real), latent_dim, device=real.device)
    fake = generator(z).detach()
    loss_d = discriminator_loss(discriminator(real), discriminator(fake))
    optimizer_d.zero_grad(set_to_none=True)
    loss_d.backward()
    optimizer_d.step()

    z = torch.randn(len(real), latent_dim, device=real.device)
    loss_g = generator_loss(discriminator(generator(z)))
    optimizer_g.zero_grad(set_to_none=True)
    loss_g.backward()
    optimizer_g.step()
    optimizer_d.zero_grad(set_to_none=True)
    return {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_both_learn(train_step):
    import torch
    names = train_step.__globals__
    own = {name: names.get(name) for name in ("discriminator_loss", "generator_loss")}
    # stand-ins (not the right losses), so that this case does not depend on other questions
    names["discriminator_loss"] = lambda real, fake: (real - 1).square().mean() + fake.square().mean()
    names["generator_loss"] = lambda fake, saturating=False: (fake - 1).square().mean()
    torch.manual_seed(0)
    g = torch.nn.Linear(3, 4)
    d = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    before = [p.detach().clone() for p in (*g.parameters(), *d.parameters())]
    try:
        told = train_step(g, d, torch.optim.SGD(g.parameters(), 0.1), torch.optim.SGD(d.parameters(), 0.1), torch.randn(8, 4), 3)
    finally:
        names.update(own)
    after = [*g.parameters(), *d.parameters()]
    still = [number for number, (a, b) in enumerate(zip(before, after)) if torch.equal(a, b)]
    assert not still, "After a step some parameters of the two networks are what they were before."
    assert set(told) == {"loss_d", "loss_g"}, f"The step returns loss_d and loss_g; yours returns {sorted(told)}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_nothing_is_left(train_step):
    import torch
    names = train_step.__globals__
    own = {name: names.get(name) for name in ("discriminator_loss", "generator_loss")}
    # stand-ins (not the right losses), so that this case does not depend on other questions
    names["discriminator_loss"] = lambda real, fake: (real - 1).square().mean() + fake.square().mean()
    names["generator_loss"] = lambda fake, saturating=False: (fake - 1).square().mean()
    torch.manual_seed(0)
    g = torch.nn.Linear(3, 4)
    d = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    try:
        told = train_step(g, d, torch.optim.SGD(g.parameters(), 0.1), torch.optim.SGD(d.parameters(), 0.1), torch.randn(8, 4), 3)
    finally:
        names.update(own)
    assert told, "The step returns its two losses; yours returns nothing."
    left = [p.grad for p in d.parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert not left, "After the step the discriminator still has gradients: they come from the generator's loss."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_values(train_step):
    import torch
    softplus = torch.nn.functional.softplus
    names = train_step.__globals__
    own = {name: names.get(name) for name in ("discriminator_loss", "generator_loss")}
    # right losses, so that this question does not depend on the first two
    names["discriminator_loss"] = lambda real, fake: softplus(-real).mean() + softplus(fake).mean()
    names["generator_loss"] = lambda fake, saturating=False: -softplus(fake).mean() if saturating else softplus(-fake).mean()
    try:
        # the generator ignores its latent vectors, so the step can be done by hand
        g = torch.nn.Linear(2, 1)
        d = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Flatten(0))
        with torch.no_grad():
            for p, value in zip((g.weight, g.bias, d[0].weight, d[0].bias), (0.0, 0.5, 1.0, 0.25)):
                p.fill_(value)
        real = torch.full((4, 1), 2.0)
        told = train_step(g, d, torch.optim.SGD(g.parameters(), 0.2), torch.optim.SGD(d.parameters(), 0.1), real, 2)
    finally:
        names.update(own)
    weight, bias, moved = (float(p.detach()) for p in (d[0].weight, d[0].bias, g.bias))
    a, b = torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.25, dtype=torch.float64)
    miss, fooled = torch.sigmoid(-(a * 2 + b)), torch.sigmoid(a * 0.5 + b)
    new_a, new_b = a - 0.1 * (-2 * miss + 0.5 * fooled), b - 0.1 * (-miss + fooled)
    assert abs(weight - new_a) < 1e-5 and abs(bias - new_b) < 1e-5, "The discriminator's update is not the gradient step of its loss on real and generated images."
    wanted = 0.5 + 0.2 * new_a * torch.sigmoid(-(new_a * 0.5 + new_b))
    assert abs(moved - wanted) < 1e-5, f"The generator's bias goes from 0.5 to {wanted:.5f} (through the updated discriminator); yours went to {moved:.5f}."
    before = softplus(-(a * 2 + b)) + softplus(a * 0.5 + b)
    assert abs(float(told["loss_d"]) - before) < 1e-5, "loss_d is not the loss before the update."
    losing = softplus(-(new_a * 0.5 + new_b))
    assert abs(float(told["loss_g"]) - losing) < 1e-5, f"loss_g before its update is {losing:.4f}, yours is {float(told['loss_g']):.4f}."
    assert not any(getattr(value, "requires_grad", False) for value in told.values()), "The losses are returned with their graphs; detach them."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_new_latent_vectors(train_step):
    import torch

    class Spy(torch.nn.Linear):
        seen = []

        def forward(self, z):
            Spy.seen.append(z.detach().clone())
            return super().forward(z)

    names = train_step.__globals__
    own = {name: names.get(name) for name in ("discriminator_loss", "generator_loss")}
    names["discriminator_loss"] = lambda real, fake: (real - 1).square().mean() + fake.square().mean()
    names["generator_loss"] = lambda fake, saturating=False: (fake - 1).square().mean()
    torch.manual_seed(3)
    g = Spy(5, 4)
    d = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    try:
        train_step(g, d, torch.optim.SGD(g.parameters(), 0.1), torch.optim.SGD(d.parameters(), 0.1), torch.randn(400, 4), 5)
    finally:
        names.update(own)
    shapes = {tuple(z.shape) for z in Spy.seen}
    assert shapes == {(400, 5)}, f"The latent vectors have the shapes {shapes}, expected (400, 5)."
    assert len(Spy.seen) >= 2 and not torch.equal(Spy.seen[0], Spy.seen[-1]), "Both updates use the same latent vectors."
    assert all(abs(float(z.mean())) < 0.1 and abs(float(z.std()) - 1) < 0.1 for z in Spy.seen), "The latent vectors are not standard normal."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5

# %% [markdown]
# ## Question 5: has it copied?
#
# A generator that repeats training images looks perfect. For each sample find the nearest training image: its index and its Euclidean distance over all pixels. Do it without a loop over samples, and so that it works for images of any shape `(C, H, W)`.
#
# Then say whether a sample is *suspicious*: it is nearer to its nearest training image than **all but a share** `quantile` (5 % by default) of held-out real images are to theirs. Of held-out images themselves about 5 % are suspicious then: that is the floor.

# %% [raw]
# # BEGIN SOLUTION

# %%
def nearest(samples, images):
    """Return (indices, distances), both (n,): for each sample the nearest image.

    Args:
        samples, images: shapes (n, C, H, W) and (m, C, H, W).
    """
    # BEGIN SOLUTION
    distances, indices = torch.cdist(samples.flatten(1), images.flatten(1)).min(dim=1)
    return indices, distances
    # END SOLUTION


def suspicious(samples, images, held_out, quantile=0.05):
    """Return a Boolean tensor (n,): which samples are suspiciously near to `images`.

    Args:
        samples, images, held_out: images of shapes (n, ...), (m, ...) and (k, ...).
        quantile: the share of `held_out` that would be called suspicious.
    """
    # BEGIN SOLUTION
    bound = nearest(held_out, images)[1].quantile(quantile)
    return nearest(samples, images)[1] < bound
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_case(nearest, suspicious):
    import torch
    images = torch.tensor([0.0, 1.0, 5.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    indices, distances = nearest(torch.full((1, 1, 2, 2), 4.0), images)
    assert indices.tolist() == [2], f"The image of fours is nearest to the one of fives, index 2; yours is {indices.tolist()}."
    assert abs(float(distances[0]) - 2) < 1e-4, f"They differ by 1 in four pixels: a distance of 2; yours is {float(distances[0]):.3f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_many(nearest):
    import torch
    generator = torch.Generator().manual_seed(5)
    samples, images = torch.randn(7, 3, 4, 5, generator=generator), torch.randn(11, 3, 4, 5, generator=generator)
    indices, distances = nearest(samples, images)
    for k in range(7):
        each = [float((samples[k] - image).square().sum().sqrt()) for image in images]
        assert int(indices[k]) == min(range(11), key=each.__getitem__), f"Sample {k} has another nearest image."
        assert abs(float(distances[k]) - min(each)) < 1e-3, f"Sample {k} is {min(each):.3f} away, yours says {float(distances[k]):.3f}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_suspicious(suspicious):
    import torch
    images = torch.arange(0.0, 40.0, 10.0).view(4, 1, 1, 1)
    held_out = torch.linspace(0.1, 2.0, 20).view(20, 1, 1, 1)
    samples = torch.tensor([0.0, 10.05, 20.4, 33.0, 9.97]).view(5, 1, 1, 1)
    got = suspicious(samples, images, held_out).tolist()
    assert got == [True, True, False, False, True], f"With a bound between 0.1 and 0.2, samples at distances 0, 0.05, 0.4, 3 and 0.03 give True, True, False, False, True; yours gives {got}."
    got = suspicious(samples, images, held_out, quantile=0.5).tolist()
    assert got == [True, True, True, False, True], f"With quantile=0.5 a sample at a distance of 0.4 is suspicious as well; yours gives {got}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Train it
#
# Your step and your losses, on 8×8 digits. The networks are given. Change `seeds` and `steps` in `scale` as you like; with a GPU the run is longer by itself. The judge has been trained on the training images, so what they get (the first line) may be a little better than what unseen images would.

# %%
scale = profiles.pick(
    quick=dict(steps=1_500, seeds=1),
    book=dict(steps=1_500, seeds=3),
    full=dict(steps=6_000, seeds=3),
)
latent_dim = 64
train_set = data.load("digits", device=device)
test_set = data.load("digits", split="test", device=device)


def networks():
    """Return a generator of digits and a discriminator that gives logits of shape (batch,)."""
    generator = nn.Sequential(
        nn.Linear(latent_dim, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)),
    )
    discriminator = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128), nn.LeakyReLU(0.2), nn.Dropout(0.3),
        nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Dropout(0.3),
        nn.Linear(128, 1), nn.Flatten(0),
    )
    return generator.to(device), discriminator.to(device)


def train(seed, steps):
    """Return a trained generator and its two losses, one of each every 50 steps."""
    torch.manual_seed(seed)
    generator, discriminator = networks()
    optimizer_g, optimizer_d = (
        torch.optim.Adam(network.parameters(), 1e-3, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    )
    losses = []
    for step in range(steps):
        real = train_set.draw(64, seed=step)
        told = train_step(
            generator, discriminator, optimizer_g, optimizer_d, real, latent_dim
        )
        if step % 50 == 0:
            losses.append((float(told["loss_d"]), float(told["loss_g"])))
    return generator.eval(), losses


def distance(images):
    """Return the Frechet distance of 500 images to the 500 test digits."""
    real = judge.features(test_set.images())
    return metrics.frechet_distance(judge.features(images), real)


if passed("q1", "q2", "q4", "q5"):
    judge = metrics.judge("digits", 8, device)
    print(f"500 training digits: Frechet distance {distance(train_set.draw(500)):.1f}")
    for seed in range(scale.seeds):
        generator, losses = train(seed, scale.steps)
        torch.manual_seed(seed)
        with torch.no_grad():
            samples = generator(torch.randn(500, latent_dim, device=device))
        copies = suspicious(samples, train_set.images(), test_set.images())
        print(
            f"seed {seed}: Frechet distance {distance(samples):.1f}, "
            f"suspicious {copies.float().mean():.1%} (real: 5 %)"
        )

# %%
# @title Figure: samples of the last run, none of them chosen, and its losses
if passed("q1", "q2", "q4", "q5"):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    plot.images(samples[:50].cpu(), columns=10, ax=left, title="fifty samples")
    names = (("discriminator", plot.DISCRIMINATOR), ("generator", plot.FAKE))
    for values, (name, color) in zip(zip(*losses), names):
        right.plot(range(0, 50 * len(losses), 50), values, label=name, color=color)
    right.set(xlabel="step", ylabel="loss")
    right.legend()
    plt.show()

# %% [raw]
# # BEGIN QUESTION
# name: q6
# manual: true
# points: 8

# %% [markdown]
# ## Question 6: report
#
# Train with at least **three seeds**, then change **one thing** (a learning rate, the dropout, the saturating loss, the number of steps, the width, ...), say beforehand what you expect, and train with the same seeds again. Report in about 300 words and one table, with at least one figure of samples that are not chosen.
#
# | Points | For |
# |---|---|
# | 2 | a prediction that was made before the run and could have failed, with its reason |
# | 2 | a table with every seed, and the value that real digits get beside it; the same number of images everywhere |
# | 2 | what the samples show, in words that somebody else could check (classes that are missing, blur, copies), not only whether they look good |
# | 1 | what the two loss curves say, and what they do not say |
# | 1 | what your numbers do not show: seeds, budget, the measure itself |

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# A good report states the setting (8×8 digits, two hidden layers of 128, 1,500 steps, batch 64), gives the Frechet distance of each seed with and without the change beside the value of real digits, and compares seed by seed. Losses near $2\log 2$ and $\log 2$ say that the discriminator cannot tell; they do not say that samples are good, as a generator that has collapsed can show them too. Typical limits to name: three seeds, one data set of 1,797 images at 8×8, a measure made by a classifier of digits that does not see what a digit does not need.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run everything from the top once more (*Runtime, Restart and run all* in Colab), save, and hand in this notebook.
