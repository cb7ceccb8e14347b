# %% [markdown]
# # Assignment: judging a generator, and the judge
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/assignments/evaluation_and_classifiers/evaluation_and_classifiers.ipynb)
#
# A number says that one generator is better than another. You write the measures yourself, find out what each cannot see, attack the classifier that they rest on, and ask of each image whether the generator was trained on it. At the end all of it meets two generators, one of which has seen only sixty images. It belongs to the chapters [Evaluation](https://github.com/gan-course/gan-course/blob/main/book/judging/evaluation.ipynb) and [GANs and classifiers](https://github.com/gan-course/gan-course/blob/main/book/judging/gans_and_classifiers.ipynb).
#
# **You will be able to** compute the Fréchet distance of features without the root of any matrix, and recognise wrong forms of it; remove the part of its bias that can be removed exactly; take an Inception Score apart and say what fools it; measure how near a sample is to real images in a way that one outlier cannot spoil; attack a classifier within a ball, and report its accuracy honestly; and test whether distances give away who was in the training set.
#
# **Time**: three to four hours. The experiment takes about half a minute on a CPU. **Points**: 28 for code that is tested, 8 for the report, which a person reads.
#
# Replace each `...` by your own lines. Below each question stands a check: run it as often as you like. It holds the public tests; when your work is graded, further tests with other numbers are run. A wrong answer to one question costs nothing in another. The checks run on the CPU, the experiment perhaps on a GPU: make new tensors on the device of those that you are given (`device=x.device`).

# %%
# @title Setup
# In Colab this installs the course.
import sys

if "google.colab" in sys.modules:
    %pip install -q "gan-course @ git+https://github.com/gan-course/gan-course"

import math

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import cross_entropy

from gan_course import data, metrics, train
from gan_course.models import GAN
from gan_course.notebook import plot, profiles

device = profiles.device()
print(f"torch {torch.__version__} on {device}")

# %% [raw]
# # BEGIN QUESTION
# name: q1

# %% [markdown]
# ## Question 1: a Fréchet distance without matrix roots
#
# The Fréchet distance of two normal distributions, with means $\mu_i$ and covariances $\Sigma_i$, is
#
# $$\mathrm{FD} = \lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr} \Sigma_1 + \operatorname{tr} \Sigma_2 - 2 \operatorname{tr} \bigl(\Sigma_1^{1/2} \Sigma_2\, \Sigma_1^{1/2}\bigr)^{1/2}.$$
#
# **By hand** first, rounded to four digits after the point:
#
# - `"right"`: the distance of $\mathcal{N}(0, 1)$ and $\mathcal{N}(3, 4)$ on the line (4 is the variance);
# - `"no square"`: the same with $\lvert \mu_1 - \mu_2 \rvert$ in place of its square, a slip that is easily made;
# - `"root of each entry"`: the value of $2 \operatorname{tr} \Sigma - 2 \operatorname{tr} R$ for two *equal* distributions in the plane with $\Sigma = \bigl(\begin{smallmatrix} 2 & 1 \\ 1 & 2 \end{smallmatrix}\bigr)$, where $R$ has the roots of the entries of $\Sigma \Sigma$ as its entries. A program that writes `(cov_a @ cov_b).sqrt()` computes this. What should it be?
#
# Then the function, for features $a$ of shape $(n, d)$ and $b$ of shape $(m, d)$. Let $X$ be $a$ minus the mean of its rows, divided by $\sqrt{n - 1}$, and $Y$ the same from $b$, so that $\Sigma_1 = X^\top X$ and $\Sigma_2 = Y^\top Y$. The matrix under the last root has the eigenvalues of $\Sigma_1 \Sigma_2 = X^\top (X Y^\top Y)$, and $AB$ has the same eigenvalues as $BA$, apart from zeros. Find an $n \times m$ matrix whose **singular values** are the roots of these eigenvalues. It works as well where there are fewer images than features and the covariances are singular.

# %% [raw]
# # BEGIN SOLUTION

# %%
by_hand = {"right": ..., "no square": ..., "root of each entry": ...}
by_hand = {"right": 10.0, "no square": 4.0, "root of each entry": -0.9443}  # SOLUTION NO PROMPT


def frechet(a, b):
    """Return the Fréchet distance of the normal distributions fitted to two sets.

    Args:
        a, b: features (n, d) and (m, d) in float64; covariances have n - 1 and m - 1.
    """
    # BEGIN SOLUTION
    x = (a - a.mean(0)) / math.sqrt(len(a) - 1)
    y = (b - b.mean(0)) / math.sqrt(len(b) - 1)
    overlap = torch.linalg.svdvals(x @ y.T).sum()
    means = (a.mean(0) - b.mean(0)).square().sum()
    return means + x.square().sum() + y.square().sum() - 2 * overlap
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_on_the_line(frechet):
    import torch
    a, b = torch.tensor([[0.0], [2.0]]).double(), torch.tensor([[4.0], [8.0]]).double()
    got = float(frechet(a, b))
    assert abs(got - 27) < 1e-4, f"Means 1 and 6, variances 2 and 8: (1 - 6)² + (√2 - √8)² = 25 + 2 = 27; yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 0
""" # END TEST CONFIG
def test_filled_in(by_hand):
    import math
    for name, value in by_hand.items():
        assert math.isfinite(float(value)), f"{name!r} is a number; yours is {value}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_by_hand(by_hand):
    assert abs(float(by_hand["right"]) - 10) < 6e-5, "The right distance is another number: the standard deviations are 1 and 2."
    assert abs(float(by_hand["no square"]) - 4) < 6e-5, "Without the square it is another number; the term of the spreads stays as it is."
    assert abs(float(by_hand["root of each entry"]) + 0.9443) < 6e-5, "With the root of each entry it is another number, and not 0."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_a_known_map(frechet):
    import torch
    generator = torch.Generator().manual_seed(1)
    for n, d in ((40, 3), (200, 8), (30, 1)):
        a = torch.randn(n, d, generator=generator).double() @ torch.randn(d, d, generator=generator).double() + 2
        half = torch.randn(d, d, generator=generator).double()
        stretch = half @ half.T / d + 0.1 * torch.eye(d).double()
        b = a @ stretch - 1
        # a symmetric positive matrix moves one normal distribution to the other at the least cost
        moved = stretch - torch.eye(d).double()
        wanted = float((a.mean(0) - b.mean(0)).square().sum() + (moved @ torch.atleast_2d(a.T.cov()) @ moved).trace())
        got = float(frechet(a, b))
        assert abs(got - wanted) < 1e-5 * (1 + wanted), f"n = {n}, d = {d}, b = a S - 1 with a symmetric positive S: the distance is {wanted:.5f}, yours is {got:.5f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_few_images(frechet):
    import torch
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(7, 20, generator=generator).double()
    b = 3 * torch.randn(12, 20, generator=generator).double() + 1
    values = torch.linalg.eigvals(a.T.cov() @ b.T.cov()).real.clamp(min=0)
    wanted = float((a.mean(0) - b.mean(0)).square().sum() + a.var(0).sum() + b.var(0).sum() - 2 * values.sqrt().sum())
    got = float(frechet(a, b))
    assert abs(got - wanted) < 1e-3 * wanted, f"7 and 12 images, 20 features: the distance is {wanted:.4f}, yours is {got:.4f}."
    got = float(frechet(a, a.flip(0)))
    assert abs(got) < 1e-4, f"The same seven images in another order: the distance is 0, yours is {got:.6f}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2

# %% [markdown]
# ## Question 2: the part of the bias that can be removed
#
# Two sets from one distribution have a Fréchet distance above 0, since every deviation counts upwards. Look at the term of the means. For independent samples, $n$ from a distribution with mean $\mu_1$ and covariance $\Sigma_1$, $m$ from one with $\mu_2$ and $\Sigma_2$, the difference of the sample means has the expectation $\mu_1 - \mu_2$ and a covariance. What is it, and how much does it add to $\mathbb{E} \lVert \bar x - \bar y \rVert^2$, beyond $\lVert \mu_1 - \mu_2 \rVert^2$?
#
# 1. Write this `expected_excess` as a function of the two covariances and the two numbers.
# 2. Write `unbiased_mean_term`: an estimate of $\lVert \mu_1 - \mu_2 \rVert^2$ from samples whose expectation is exactly right, for any distributions. (Sample variances, with $n - 1$, have the right expectation.) It may be negative.
#
# The two traces have the right expectation already; for the last term no such trick exists, because a root stands in it. That is why a Fréchet distance is reported with its number of images, beside what real images get at the same number.

# %% [raw]
# # BEGIN SOLUTION

# %%
def expected_excess(cov_a, cov_b, n, m):
    """Return the expectation of the mean term above its true value.

    Args:
        cov_a, cov_b: the true covariances, (d, d) each.
        n, m: numbers of samples.
    """
    # BEGIN SOLUTION
    return cov_a.trace() / n + cov_b.trace() / m
    # END SOLUTION


def unbiased_mean_term(a, b):
    """Return an unbiased estimate of the squared distance of two means.

    Args:
        a, b: features (n, d) and (m, d), at least two rows each.
    """
    # BEGIN SOLUTION
    excess = a.var(0).sum() / len(a) + b.var(0).sum() / len(b)
    return (a.mean(0) - b.mean(0)).square().sum() - excess
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_equal_covariances(expected_excess):
    import torch
    got = float(expected_excess(torch.eye(64), torch.eye(64), 500, 500))
    assert abs(got - 0.256) < 1e-5, f"64 features of variance 1, 500 images of each: 0.256; yours is {got:.5f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_term(unbiased_mean_term):
    import torch
    got = float(unbiased_mean_term(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0], [1.0]])))
    assert abs(got + 1) < 1e-5, f"Both means are 1, the sample variances 2 and 0: the estimate is -1; yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_unequal(expected_excess):
    import torch
    a, b = torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([[7.0, -2.0], [-2.0, 1.0]])
    got = float(expected_excess(a, b, 10, 40))
    assert abs(got - 0.7) < 1e-5, f"Traces 5 and 8, for 10 and 40 samples: 0.5 + 0.2 = 0.7; yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_all_samples(unbiased_mean_term):
    import itertools
    import torch
    ones, twos = [(0.0, 1.0), (1.0, -2.0), (5.0, 1.0)], [(2.0, 0.0), (4.0, 6.0)]
    total, count = 0.0, 0
    for a in itertools.product(ones, repeat=2):
        for b in itertools.product(twos, repeat=3):
            total += float(unbiased_mean_term(torch.tensor(a).double(), torch.tensor(b).double()))
            count += 1
    # the means of the two distributions are (2, 0) and (3, 3)
    assert abs(total / count - 10) < 1e-4, f"Over all equally likely samples of two and of three points the estimate has the mean {total / count:.4f}; the squared distance of the means is 10."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3

# %% [markdown]
# ## Question 3: a score taken apart
#
# A classifier gives each image a verdict, $K$ probabilities. The logarithm of the Inception Score is the mutual information between image and class, and a difference of two entropies (in nats):
#
# $$\log \mathrm{IS} = \underbrace{H\Bigl(\frac{1}{n} \sum_i p(y \mid x_i)\Bigr)}_{\text{variety}} - \underbrace{\frac{1}{n} \sum_i H\bigl(p(y \mid x_i)\bigr)}_{\text{doubt}}.$$
#
# Write `score_parts`, with $0 \log 0 = 0$. Then fill in, rounded to four digits after the point, the score of three generators for a classifier of ten classes:
#
# - `"half without a digit"`: one half of the images are clear digits (verdicts that are certain), all ten equally often; the other half shows nothing, and the verdict is $\tfrac{1}{10}$ for each class;
# - `"half zeros"`: one half are clear digits, all ten equally often; the other half are clear zeros (certain verdicts, too);
# - `"ten pictures"`: the generator always draws one of the same ten pictures, a clear one for each class, equally often.
#
# Which of the three would you want, and which one does the score want?

# %% [raw]
# # BEGIN SOLUTION

# %%
def score_parts(probabilities):
    """Return variety, doubt and score of verdicts (n, K), each row of sum 1.

    Returns:
        {"variety": ..., "doubt": ..., "score": ...}, three numbers.
    """
    # BEGIN SOLUTION
    marginal = probabilities.mean(0)
    variety = -torch.xlogy(marginal, marginal).sum()
    doubt = -torch.xlogy(probabilities, probabilities).sum(1).mean()
    return {"variety": variety, "doubt": doubt, "score": (variety - doubt).exp()}
    # END SOLUTION


scores = {"half without a digit": ..., "half zeros": ..., "ten pictures": ...}
scores = {"half without a digit": 3.1623, "half zeros": 5.3490, "ten pictures": 10.0}  # SOLUTION NO PROMPT

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_certain(score_parts):
    import math
    import torch
    got = score_parts(torch.eye(4))
    assert set(got) == {"variety", "doubt", "score"}, f"The parts are variety, doubt and score; yours are {sorted(got)}."
    parts = [float(got[name]) for name in ("variety", "doubt", "score")]
    wanted = [math.log(4), 0.0, 4.0]
    assert all(abs(a - b) < 1e-4 for a, b in zip(parts, wanted)), f"Four certain verdicts for four classes: variety log 4 = 1.3863, doubt 0 and a score of 4; yours are {parts}."

# %%
""" # BEGIN TEST CONFIG
points: 0
""" # END TEST CONFIG
def test_filled_in(scores):
    for name, value in scores.items():
        assert 1 <= float(value) <= 10, f"With ten classes a score lies between 1 and 10; yours for {name!r} is {value}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_parts(score_parts):
    import math
    import torch
    rows = [[0.7, 0.2, 0.1], [0.1, 0.9, 0.0], [0.25, 0.25, 0.5], [0.0, 1.0, 0.0], [0.6, 0.4, 0.0]]
    entropy = lambda law: -sum(v * math.log(v) for v in law if v > 0)
    variety = entropy([sum(row[i] for row in rows) / 5 for i in range(3)])
    doubt = sum(entropy(row) for row in rows) / 5
    got = score_parts(torch.tensor(rows))
    for name, wanted in (("variety", variety), ("doubt", doubt), ("score", math.exp(variety - doubt))):
        assert abs(float(got[name]) - wanted) < 1e-4, f"Five verdicts on three classes: {name} is {wanted:.4f}, yours is {float(got[name]):.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_scores(scores):
    import math
    half_zeros = math.exp(-0.55 * math.log(0.55) - 0.45 * math.log(0.05))
    for name, wanted in (("half without a digit", math.sqrt(10)), ("half zeros", half_zeros), ("ten pictures", 10)):
        assert abs(float(scores[name]) - wanted) < 2e-4, f"The score of the generator {name!r} is another one."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4

# %% [markdown]
# ## Question 4: how real is one image?
#
# Precision asks which share of the samples lies where real images are: inside a ball around some real image that reaches to its $k$-th nearest *other* real image. A single outlier has a huge ball, and everything that lies in it is excused. [Kynkäänniemi et al. (2019)](https://arxiv.org/abs/1904.06991), equation 3, therefore give each sample $x$ a number and leave the larger half of the balls out: with the radii $r_i$ of the real images $c_i$,
#
# $$R(x) = \max_{i:\; r_i \le \operatorname{median}(r)} \frac{r_i}{\lVert x - c_i \rVert}.$$
#
# It is 1 or more exactly if $x$ lies in one of the balls that are left, and infinite if $x$ is one of their centres.
#
# 1. Write `realism`, with a switch for leaving balls out. (`radii.median()` is the median here.)
# 2. With all balls, the share of samples of realism 1 or more is the **precision**. Exchange the roles of samples and real images, and it is the **recall**. Write both.

# %% [raw]
# # BEGIN SOLUTION

# %%
def realism(points, centers, k=3, pruned=True):
    """Return how real each point is, (n,), from 0 on.

    Args:
        points: (n, d).
        centers: (m, d), the real images' features, all different; m is larger than k.
        k: a ball reaches to the k-th nearest other center.
        pruned: whether balls larger than the median are left out.
    """
    # BEGIN SOLUTION
    radii = torch.cdist(centers, centers).sort(dim=1).values[:, k]  # column 0 is the center itself
    if pruned:
        kept = radii <= radii.median()
        centers, radii = centers[kept], radii[kept]
    return (radii / torch.cdist(points, centers)).max(dim=1).values
    # END SOLUTION


def precision_and_recall(samples, real, k=3):
    """Return precision and recall, two numbers.

    Args:
        samples, real: features (n, d) and (m, d).
        k: as above.
    """
    # BEGIN SOLUTION
    shares = (realism(x, y, k, pruned=False) >= 1 for x, y in ((samples, real), (real, samples)))
    return tuple(float(inside.double().mean()) for inside in shares)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_on_the_line(realism):
    import torch
    centers = torch.tensor([[0.0], [1.0], [3.0], [10.0], [30.0]]).double()
    got = [float(value) for value in realism(torch.tensor([[4.0], [12.0]]).double(), centers, k=1)]
    assert abs(got[0] - 2) < 1e-4, f"With k = 1 the radii are 1, 1, 2, 7, 20. The point 4 is 1 away from 3, whose radius is 2: a realism of 2; yours is {got[0]:.4f}."
    assert abs(got[1] - 2 / 9) < 1e-4, f"The median radius is 2, so the balls around 10 and 30 are left out; for the point 12 the ball around 3 is left: 2/9 = 0.2222; yours is {got[1]:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 0
""" # END TEST CONFIG
def test_all_or_nothing(precision_and_recall):
    import torch
    real = torch.tensor([[0.0], [1.0], [3.0], [10.0], [30.0]]).double()
    got = [float(value) for value in precision_and_recall(real.clone(), real, k=1)]
    assert got == [1, 1], f"Samples that are the real points have precision and recall 1; yours are {got}."
    got = [float(value) for value in precision_and_recall(real + 1000, real, k=1)]
    assert got == [0, 0], f"Samples that lie 1,000 away from the real points have precision and recall 0; yours are {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_many(realism):
    import torch
    generator = torch.Generator().manual_seed(3)
    points, centers = (torch.randn(n, 4, generator=generator).double() for n in (9, 31))
    for k, pruned in ((1, True), (3, True), (5, False)):
        radii = [sorted(float((a - b).norm()) for b in centers)[k] for a in centers]
        limit = sorted(radii)[15] if pruned else float("inf")
        got = realism(points, centers, k=k, pruned=pruned)
        for number, point in enumerate(points):
            wanted = max(r / float((point - c).norm()) for r, c in zip(radii, centers) if r <= limit + 1e-12)
            assert abs(float(got[number]) - wanted) < 1e-4 * (1 + wanted), f"k = {k}, pruned = {pruned}: point {number} has a realism of {wanted:.4f}, yours is {float(got[number]):.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_shares(precision_and_recall):
    import torch
    names = precision_and_recall.__globals__
    own = names.get("realism")

    # a right realism, so that this test is about the shares
    def right(points, centers, k=3, pruned=True):
        spread = (centers[:, None] - centers).norm(dim=2)
        radii = spread.sort(dim=1).values[:, k]
        if pruned:
            centers, radii = centers[radii <= radii.median()], radii[radii <= radii.median()]
        return (radii / (points[:, None] - centers).norm(dim=2)).amax(dim=1)

    names["realism"] = right
    try:
        samples = torch.tensor([[0.4], [0.6], [3.2], [60.0]]).double()
        real = torch.tensor([[0.0], [1.0], [3.0], [10.0], [30.0]]).double()
        got = [float(value) for value in precision_and_recall(samples, real, k=1)]
        assert abs(got[0] - 0.75) < 1e-6, f"Radii 1, 1, 2, 7, 20 around 0, 1, 3, 10, 30: of the samples 0.4, 0.6, 3.2, 60 three lie in a ball, a precision of 0.75; yours is {got[0]:.4f}."
        assert abs(got[1] - 0.8) < 1e-6, f"Radii 0.2, 0.2, 2.6, 56.8 around the samples: of the real points 0, 1, 3, 10, 30 all but the first lie in a ball, a recall of 0.8; yours is {got[1]:.4f}."
        generator = torch.Generator().manual_seed(4)
        samples, real = torch.randn(40, 3, generator=generator).double(), 2 * torch.randn(25, 3, generator=generator).double()
        wanted = [float((right(x, y, 3, False) >= 1).double().mean()) for x, y in ((samples, real), (real, samples))]
        got = [float(value) for value in precision_and_recall(samples, real)]
        assert max(abs(a - b) for a, b in zip(got, wanted)) < 1e-6, f"40 samples, 25 real points, k = 3: precision and recall are {wanted}, yours are {got}."
    finally:
        names["realism"] = own

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5

# %% [markdown]
# ## Question 5: attack the judge
#
# All these measures rest on a classifier. How little change does it take to mislead it? The attacker may change an image $x$, whose pixels lie in $[-1, 1]$, by a $\delta$ of **length** at most $\rho$: $\lVert \delta \rVert_2 \le \rho$ over all pixels, and the changed image must be an image again.
#
# 1. `into_ball` brings any point back: first shorten $\delta$ to the length $\rho$ where it is longer, then cut each pixel off at $-1$ and $1$. (Why does the second step never make $\delta$ longer?)
# 2. `attack`: start at $x$. In each of `steps` steps take the gradient of the classifier's cross-entropy with respect to the image, **divide each image's gradient by its own length** (a confident verdict has a tiny gradient, and its direction is as good as any), move by $2.5 \rho / \text{steps}$ along it, and go back into the ball. Return for each image the point with the **highest loss** of all that were met, the start and the last one included. With `targeted=True` the labels are those that the attacker wants to see: then he makes the cross-entropy small, and the point with the lowest loss counts. An image whose gradient is exactly 0 stays where it is. The classifier's weights must be left without gradients.
# 3. `worst_case_accuracy`: an image counts as right only if the classifier is right under *every* attack that was tried. A mean over attacks says something else, and it looks better.

# %% [raw]
# # BEGIN SOLUTION

# %%
def into_ball(at, x, rho):
    """Return a point near `at` that is an image and at most rho from x.

    Args:
        at, x: images (n, C, H, W); x lies in [-1, 1].
        rho: radius of the ball around each image.
    """
    # BEGIN SOLUTION
    change = at - x
    lengths = change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return (x + change * (rho / lengths.clamp(min=rho))).clamp(-1, 1)
    # END SOLUTION


def attack(classifier, x, y, rho, steps=10, targeted=False):
    """Return changed images, of the shape of x, without a graph.

    Args:
        classifier: maps images (n, C, H, W) to logits (n, K).
        x: images in [-1, 1].
        y: labels (n,), the true ones or, if targeted, those that are wanted.
        rho: largest length of a change, above 0.
    """
    # BEGIN SOLUTION
    sign = -1 if targeted else 1
    at = best = x.detach()
    highest = torch.full((len(x),), -math.inf, device=x.device)
    for step in range(steps + 1):
        at = at.detach().requires_grad_()
        losses = sign * cross_entropy(classifier(at), y, reduction="none")
        (uphill,) = torch.autograd.grad(losses.sum(), at)
        better = losses.detach() > highest
        best = torch.where(better.view(-1, 1, 1, 1), at.detach(), best)
        highest = torch.where(better, losses.detach(), highest)
        if step < steps:
            lengths = uphill.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            direction = uphill / torch.where(lengths > 0, lengths, torch.ones_like(lengths))
            at = into_ball(at.detach() + 2.5 * rho / steps * direction, x, rho)
    return best
    # END SOLUTION


def worst_case_accuracy(verdicts, y):
    """Return the share of images that are read rightly under every attack, a float.

    Args:
        verdicts: classes (a, n), a row for each attack.
        y: the true classes (n,).
    """
    # BEGIN SOLUTION
    return float((verdicts == y).all(dim=0).double().mean())
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_ball(into_ball):
    import torch
    x = torch.zeros(2, 1, 1, 2)
    at = torch.tensor([[3.0, 4.0], [0.3, -0.4]]).view(2, 1, 1, 2)
    got = into_ball(at, x, 1.0).view(2, 2)
    wanted = torch.tensor([[0.6, 0.8], [0.3, -0.4]])
    assert (got - wanted).abs().max() < 1e-5, f"Around 0 with rho = 1, the point (3, 4) goes to (0.6, 0.8), and (0.3, -0.4) stays; yours are {got.tolist()}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_worst_case(worst_case_accuracy):
    import torch
    verdicts = torch.tensor([[1, 2, 3, 4], [1, 0, 3, 4], [1, 2, 0, 4]])
    got = float(worst_case_accuracy(verdicts, torch.tensor([1, 2, 3, 0])))
    assert abs(got - 0.25) < 1e-6, f"Only the first of four images is read rightly under all three attacks: 0.25; yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 0
""" # END TEST CONFIG
def test_some_steps(attack):
    import torch
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1.0, -1.0, 0.5, 0.0], [0.0, 1.0, 0.0, -1.0]]))
        net[1].bias.zero_()
    x, y = torch.full((3, 1, 2, 2), 0.1), torch.tensor([0, 1, 0])
    got = attack(net, x.clone(), y, 0.5, steps=5)
    assert got.shape == x.shape and not got.requires_grad, f"The result has the shape of x, {tuple(x.shape)}, and no graph; yours has the shape {tuple(got.shape)}."
    length = float((got - x).flatten(1).norm(dim=1).max())
    assert length < 0.501, f"With rho = 0.5 no change may be longer; yours has the length {length:.4f}."
    before, after = (torch.nn.functional.cross_entropy(net(images), y, reduction="none") for images in (x, got))
    assert (after > before).all(), f"The attack makes the loss of each image larger: it was {before.tolist()}, and with yours it is {after.tolist()}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_ball_of_images(into_ball):
    import torch
    generator = torch.Generator().manual_seed(5)
    x = 2 * torch.rand(7, 3, 4, 5, generator=generator).double() - 1
    at = x + torch.randn(7, 3, 4, 5, generator=generator).double() * torch.tensor([0.01, 0.1, 0.3, 1, 3, 9, 0]).view(7, 1, 1, 1)
    got = into_ball(at, x, 1.5)
    for number in range(7):
        change = (at[number] - x[number]).flatten().tolist()
        length = sum(c * c for c in change) ** 0.5
        wanted = [min(max(p + c * min(1.0, 1.5 / max(length, 1.5)), -1.0), 1.0) for p, c in zip(x[number].flatten().tolist(), change)]
        off = max(abs(a - b) for a, b in zip(got[number].flatten().tolist(), wanted))
        assert off < 1e-5, f"Image {number}, whose change has the length {length:.2f}, with rho = 1.5: a pixel is off by {off:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_linear_classifier(attack):
    import torch
    names = attack.__globals__
    own = names.get("into_ball")
    # a right ball, so that this test is about the attack
    names["into_ball"] = lambda at, x, rho: torch.clamp(
        x + (at - x) * torch.clamp(rho / (at - x).flatten(1).norm(dim=1).clamp(min=1e-12), max=1).view(-1, 1, 1, 1), -1, 1
    )
    try:
        generator = torch.Generator().manual_seed(6)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 2))
        with torch.no_grad():
            net[1].weight.copy_(torch.randn(2, 9, generator=generator) ** 3)
        x = 0.2 * torch.randn(5, 1, 3, 3, generator=generator).clamp(-2, 2)
        y = torch.tensor([0, 1, 1, 0, 1])
        slope = (net[1].weight[1] - net[1].weight[0]).detach()
        for steps, targeted in ((20, False), (20, True), (1, False)):
            got = attack(net, x.clone(), y, 0.3, steps=steps, targeted=targeted)
            assert got.shape == x.shape and not got.requires_grad, "The result has the shape of x and no graph."
            assert all(p.grad is None for p in net.parameters()), "The classifier's weights have gradients after the attack."
            assert all(p.requires_grad for p in net.parameters()), "The classifier could not be trained any more after the attack: its weights take no gradients."
            lengths = (got - x).flatten(1).norm(dim=1)
            assert lengths.max() < 0.3 + 1e-4, f"With rho = 0.3 a change has the length {float(lengths.max()):.4f}."
            gain = ((got - x).flatten(1) @ slope) * torch.where(y == 1, -1.0, 1.0) * (-1 if targeted else 1)
            most = 0.3 * float(slope.norm())
            assert gain.min() > 0.98 * most, f"steps = {steps}, targeted = {targeted}: for a linear classifier the difference of the two logits can be moved by {most:.3f} (along the weights); yours moved it by {float(gain.min()):.3f}."
    finally:
        names["into_ball"] = own

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_path(attack):
    import torch
    names = attack.__globals__
    own = names.get("into_ball")
    ball = lambda at, x, rho: torch.clamp(
        x + (at - x) * torch.clamp(rho / (at - x).flatten(1).norm(dim=1).clamp(min=1e-12), max=1).view(-1, 1, 1, 1), -1, 1
    )
    first = torch.tensor([[4.0, -1.0, 0.5], [1.0, 3.0, -2.0], [-0.5, 1.0, 4.0]])
    second = torch.tensor([[2.0, -1.0], [-1.5, 1.0], [1.0, 2.0]])
    met = []

    def classifier(images):
        met.append(images.detach().clone().flatten(1))
        return torch.tanh(images.flatten(1) @ first) @ second

    x, y = torch.tensor([0.3, -0.2, 0.1]).view(1, 1, 1, 3), torch.tensor([0])
    names["into_ball"] = ball
    try:
        attack(classifier, x.clone(), y, 0.4, steps=4)
    finally:
        names["into_ball"] = own
    seen, point = list(met), x
    for number in (1, 2, 3):
        there = point.clone().requires_grad_()
        slope = torch.autograd.grad(torch.nn.functional.cross_entropy(classifier(there), y), there)[0]
        point = ball(point + 0.25 * slope / slope.norm(), x, 0.4)
        off = min(float((images - point.flatten(1)).abs().amax(dim=1).min()) for images in seen)
        assert off < 1e-3, f"With rho = 0.4 and 4 steps each step has the length 2.5 * 0.4 / 4 = 0.25, along the gradient at the point where it starts, and ends in the ball around x. After step {number} the classifier has not been asked there: the nearest point that it was asked is off by {off:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_highest_loss(attack):
    import torch
    names = attack.__globals__
    own = names.get("into_ball")
    names["into_ball"] = lambda at, x, rho: torch.clamp(
        x + (at - x) * torch.clamp(rho / (at - x).flatten(1).norm(dim=1).clamp(min=1e-12), max=1).view(-1, 1, 1, 1), -1, 1
    )

    def wavy(images):
        height = torch.sin(9 * images.sum(dim=(1, 2, 3)))
        return torch.stack([height, -height], dim=1)

    try:
        generator = torch.Generator().manual_seed(7)
        x = 0.3 * torch.randn(40, 1, 2, 2, generator=generator).clamp(-2, 2)
        y = torch.zeros(40, dtype=torch.long)
        before = torch.nn.functional.cross_entropy(wavy(x), y, reduction="none")
        for steps in (1, 2):
            after = torch.nn.functional.cross_entropy(wavy(attack(wavy, x, y, 0.5, steps=steps)), y, reduction="none")
            assert (after >= before - 1e-5).all(), "Some images end with a lower loss than they had at the start: return the point of the highest loss that was met."
        flat = attack(lambda images: 0 * images.flatten(1)[:, :2], x, y, 0.5, steps=3)
        assert torch.isfinite(flat).all() and (flat - x).abs().max() < 1e-6, "Where the gradient is 0 the image must stay as it is."
    finally:
        names["into_ball"] = own

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q6

# %% [markdown]
# ## Question 6: was it in the training set?
#
# Someone has 1,000 samples of a generator and a digit, and asks: was the generator trained on this digit? A simple score is the distance to the nearest sample: small means suspicious. How much do such scores give away? Two answers, from the scores of images that were in the training set (members) and of others of the same kind:
#
# 1. `area`: the probability that a member has a smaller distance than another image, where a tie counts one half. (It is the area under the ROC curve.) One half is chance.
# 2. `found`: an accusation should seldom be wrong. Accuse every image whose distance lies below a threshold, and choose the threshold as large as possible such that at most a share `accused` of the *others* is accused. Which share of the members is found? A mean hides it if few people are given away completely; this number does not.
#
# In both, think of ties: two images at the same distance are accused together or not at all.

# %% [raw]
# # BEGIN SOLUTION

# %%
def area(members, others):
    """Return the probability that a member's distance is smaller; a tie counts one half.

    Args:
        members, others: distances (n,) and (m,).
    """
    # BEGIN SOLUTION
    less = (members[:, None] < others).double() + 0.5 * (members[:, None] == others).double()
    return less.mean()
    # END SOLUTION


def found(members, others, accused=0.05):
    """Return the share of members that are found.

    Args:
        members, others: distances (n,) and (m,).
        accused: largest share of the others that may be accused, from 0 to below 1.
    """
    # BEGIN SOLUTION
    innocent = others.sort().values[math.floor(accused * len(others))]  # the nearest who must not be accused
    return (members < innocent).double().mean()
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_area(area):
    import torch
    got = float(area(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 4.0])))
    assert abs(got - 0.75) < 1e-5, f"Of the four pairs of a member (1 or 3) and another (2 or 4), the member is nearer in three: 0.75; yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_found(found):
    import torch
    got = float(found(torch.tensor([1.0, 3.0, 4.5, 9.0]), torch.tensor([2.0, 4.0, 6.0, 8.0]), accused=0.25))
    assert abs(got - 0.5) < 1e-5, f"One of the four others may be accused: the one at 2, but not the one at 4. Of the members 1, 3, 4.5, 9 two lie below 4: 0.5; yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_ties(area):
    import torch
    generator = torch.Generator().manual_seed(9)
    members, others = torch.randint(0, 6, (13,), generator=generator).float(), torch.randint(1, 9, (8,), generator=generator).float()
    wanted = sum((a < b) + 0.5 * (a == b) for a in members.tolist() for b in others.tolist()) / (13 * 8)
    got = float(area(members, others))
    assert abs(got - wanted) < 1e-5, f"13 members and 8 others with ties: {wanted:.4f}, yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_found(found):
    import torch
    others = torch.tensor([5.0, 3.0, 3.0, 7.0, 9.0, 8.0, 6.5, 4.0, 10.0, 11.0])
    members = torch.tensor([3.0, 2.0, 3.5, 8.5, 2.5, 3.0, 6.0, 1.0])
    for accused, wanted in ((0.0, 3 / 8), (0.15, 3 / 8), (0.19, 3 / 8), (0.25, 6 / 8), (0.55, 7 / 8)):
        got = float(found(members.clone(), others.clone(), accused=accused))
        assert abs(got - wanted) < 1e-5, f"Others at {sorted(others.tolist())}, members at {sorted(members.tolist())}, at most {accused:.0%} of the others accused: {wanted:.4f} of the members are found, yours is {got:.4f}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Two generators, and noise in disguise
#
# The same small GAN is trained twice for the same number of steps on 8×8 digits: once with 60 images, once with 600. The other training images stay out, as the *others* of question 6. Your measures compare 250 samples of each, through the features of the course's judge, with 250 test images; 250 other test images show what real data get. (The judge itself has been trained on the training split, all of it.) Beside them stand 250 images of noise, each changed by your attack with $\rho = 2$ so that the judge sees the digit that was asked for. In the table, *means* is your unbiased estimate of the term of the means, and *realism* the median over the samples.
#
# Then the judge itself is tested: how often does it read test images rightly when they are changed by at most $\rho$, by your attack, and by a random change of the same length?
#
# Think before you run: which measure will prefer the generator with 60 images, if any? Which will be fooled by the noise? (To see whether your functions work: in our three runs, seeds 0 to 2 on a CPU, the generator with 600 images had Fréchet distances between 50 and 71.)

# %%
scale = profiles.pick(
    quick=dict(steps=800, seeds=1),
    book=dict(steps=800, seeds=3),
    full=dict(steps=3_000, seeds=3),
)
held_out = data.load("digits", split="test", device=device)
order = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))
test_x = held_out.images()[order]
test_y = held_out.labels[order]
reference = test_x[:250]
train_set = data.load("digits", device=device)
judge = metrics.judge("digits", 8, device)


def trained_generator(images, seed, steps):
    """Return a GAN trained on images (n, 1, 8, 8); its method `sample` draws images."""
    torch.manual_seed(seed)
    gan = GAN((1, 8, 8), width=128, lr_g=1e-3, lr_d=1e-3, dropout=0.3).to(device)
    some = data.DataSet(images, name="some digits")
    train.fit(gan, some, steps=steps, seed=seed, progress=False)
    return gan


def distances(images, samples):
    """Return the distance of each image (n, ...) to the nearest sample, (n,)."""
    return torch.cdist(images.flatten(1), samples.flatten(1)).min(dim=1).values.cpu()


def row(name, samples):
    """Print the measures of the first 250 of samples (k, 1, 8, 8)."""
    samples = samples[:250]
    a, b = (judge.features(images).cpu().double() for images in (samples, reference))
    parts = score_parts(judge.probabilities(samples).cpu())
    real = torch.as_tensor(realism(a, b))
    precision, recall = precision_and_recall(a, b)
    print(
        f"{name:24} {float(frechet(a, b)):8.1f} {float(unbiased_mean_term(a, b)):8.1f}"
        f" {float(parts['score']):6.2f} {float(parts['doubt']):6.3f}"
        f" {float(precision):9.2f} {float(recall):6.2f} {float(real.median()):7.2f}"
    )


if passed("q1", "q2", "q3", "q4", "q5", "q6"):
    print(
        f"{'':24}{'FD':>9}{'means':>9}{'score':>7}{'doubt':>7}"
        f"{'precision':>10}{'recall':>7}{'realism':>8}"
    )
    row("other test images", test_x[250:500])
    draw = torch.Generator().manual_seed(0)
    noise = (0.3 * torch.randn(250, 1, 8, 8, generator=draw)).clamp(-1, 1).to(device)
    wished = torch.arange(250, device=device) % 10
    attacked = attack(judge, noise, wished, 2.0, steps=20, targeted=True)
    row("noise, attacked", attacked)
    shown = {"real": reference, "noise, attacked": attacked}
    for seed in range(scale.seeds):
        pool = train_set.draw(len(train_set), seed=seed)
        others = pool[600:]
        for n in (60, 600):
            gan = trained_generator(pool[:n], seed, scale.steps)
            latents = torch.Generator().manual_seed(seed)
            samples = gan.sample(1_000, generator=latents)
            row(f"seed {seed}: {n} images", samples)
            near, far = distances(pool[:n], samples), distances(others, samples)
            half = len(far) // 2
            print(
                f"    members: area {float(area(near, far)):.3f}, found at 5 %"
                f" {float(found(near, far)):.1%}; others against others:"
                f" {float(area(far[:half], far[half:])):.3f},"
                f" {float(found(far[:half], far[half:])):.1%}"
            )
            shown[f"{n} images"] = samples

# %%
# @title The judge under attack
if passed("q1", "q2", "q3", "q4", "q5", "q6"):
    radii = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
    x, y = test_x[:250], test_y[:250]
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(x)
    direction = direction / direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    curves = {"attack": [], "random change": [], "both: worst case": []}
    for rho in radii:
        changed = attack(judge, x, y, rho), into_ball(x + rho * direction, x, rho)
        verdicts = torch.stack([judge(images).argmax(dim=1) for images in changed])
        for name, rows in zip(curves, (verdicts[:1], verdicts[1:], verdicts)):
            curves[name].append(float(worst_case_accuracy(rows.cpu(), y.cpu())))
    lengths = x.flatten(1).norm(dim=1)
    apart = torch.cdist(x.flatten(1), x.flatten(1)).masked_fill(y[:, None] == y, math.inf)
    print(f"medians: an image has the length {float(lengths.median()):.1f}, and the nearest")
    print(f"of another class is {float(apart.min(dim=1).values.median()):.1f} away")
    for name, values in curves.items():
        told = ", ".join(f"{value:.1%} at {rho}" for value, rho in zip(values, radii))
        print(f"{name}: {told}")

# %%
# @title Figure: samples, none of them chosen, and the judge's accuracy under attack
if passed("q1", "q2", "q3", "q4", "q5", "q6"):
    figure, axes = plt.subplots(
        1, 5, figsize=(11, 2.9), layout="constrained", width_ratios=(1, 1, 1, 1, 1.7)
    )
    for (name, images), ax in zip(shown.items(), axes):
        plot.images(images[:40].cpu(), columns=5, ax=ax, title=name)
    clean = float((judge(x).argmax(dim=1) == y).float().mean())
    for (name, values), style, color in zip(
        curves.items(), ("-o", "--s", ":"), (plot.FAKE, plot.REAL, "black")
    ):
        axes[4].plot((0, *radii), (clean, *values), style, label=name, color=color)
    axes[4].set(xlabel=r"largest length of a change, $\rho$", ylabel="share read rightly")
    axes[4].set_ylim(0, 1.02)
    axes[4].legend()
    plt.show()

# %% [raw]
# # BEGIN QUESTION
# name: q7
# manual: true
# points: 8

# %% [markdown]
# ## Question 7: report
#
# Run the experiment with at least **three seeds** (`scale.seeds = 3` before the loop), once as it is and once with **one thing changed** (the number of images, the steps, the number of samples, $k$, the judge's features replaced by pixels, ...). Say beforehand what you expect. Report in about 300 words and one table.
#
# | Points | For |
# |---|---|
# | 2 | a prediction that was made before the run and could have failed, with its reason |
# | 2 | a table with every seed, the same number of images in every row, and the value of real images beside it |
# | 2 | for two of the measures: something that they saw and something that they could not see, with your numbers (think of the noise and of the sixty images) |
# | 1 | what the areas and shares of question 6 say about these two generators, beside those of others against others, and what a value near chance would not prove |
# | 1 | what the attack says about the judge, and whether it makes the measures above worthless |

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# With the settings as they are, a good report has a table like this one (seeds 0, 1, 2; 800 steps; 250 images in each row, beside 250 test images; $k = 3$):
#
# | Images | FD | score | doubt | precision | recall |
# |---|---|---|---|---|---|
# | other test images | 13.0 | 9.57 | 0.035 | 0.90 | 0.89 |
# | noise, attacked | 303.1 | 9.73 | 0.027 | 0.32 | 0.00 |
# | 60 images | 111.5, 130.2, 126.1 | 6.50, 5.62, 6.24 | 0.281, 0.251, 0.272 | 0.72, 0.78, 0.70 | 0.61, 0.53, 0.57 |
# | 600 images | 50.0, 70.5, 54.8 | 7.12, 6.73, 7.11 | 0.291, 0.317, 0.298 | 0.68, 0.67, 0.64 | 0.80, 0.82, 0.78 |
#
# In these three runs precision and doubt prefer the generator with 60 images, in three of three (and so does the median realism, 0.67 to 0.74 beside 0.65 to 0.66): it draws fewer things, and each of them more clearly. Recall, the score and the Fréchet distance prefer the one with 600, in three of three. None of them knows why; that takes the training images. The noise gets a better score than real digits and less doubt, although it shows no digit, and a third of it counts as precise: the judge is the only eye of these measures, and it was attacked. The Fréchet distance and recall, 0, give the noise away here, and so does a look at the figure; but with $\rho = 4$, where the judge's digits begin to show in the noise, its Fréchet distance is 87, below those of the generator with 60 images. (The attack knew this very judge. No generator here did, so this is what can happen, not what does.)
#
# Members: areas of 0.777, 0.787, 0.787 with 60 images, and 23 to 32 % of them found at 5 % false accusations; others against others, 0.490 to 0.498 and 1 to 2 %. With 600 images the areas are 0.513, 0.530, 0.542, beside 0.476 to 0.494, and 4 to 8 % are found, beside 1 to 6 %: hardly more than chance. That would prove nothing about another score, another threshold or one unusual digit. Sixty images were each seen ten times as often, so the runs do not say whether their number or the repetitions gave them away.
#
# The judge reads 250 test images rightly in 95 % of the cases at $\rho = 0.25$, in 46 % at 1, in 10 % at 1.5 and in none at 3; a random change of the same length leaves 98 % at 1 and 94 % at 3. An image has a median length of 6.8, and the nearest image of another class is 4.1 away (median), so a change of 1.5 is far from making another digit. The worst case is that of the attack alone: the random change adds nothing. So the judge is no robust classifier, and a measure by it can be pushed by whoever has its gradient. For generators that were trained without it, it still tells the two apart; but this has to be argued for, or shown with a second judge. Limits to name: three seeds, 250 images of 8×8 pixels, one judge, which knows the whole training split, and an attack of ten steps, which gives an upper bound of the accuracy that a stronger one would leave.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run everything from the top once more (*Runtime, Restart and run all* in Colab), save, and hand in this notebook.
