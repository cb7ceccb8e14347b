# %% [markdown]
# # Assignment: images from captions
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/assignments/conditional_and_text/conditional_and_text.ipynb)
#
# "A large red B on a white background": you write what is needed to train a GAN that draws such sentences, train it, and find out which of its words are obeyed. It belongs to the chapter [Conditional GANs](https://github.com/gan-course/gan-course/blob/main/book/conditional/conditional_gan.ipynb).
#
# **You will be able to** split the best discriminator's logit into what it says about the image and what it says about the condition; derive the projection discriminator and the gradient that one word gets; choose labels for generated images; turn captions into sets of words; teach a discriminator to read with pairs that do not match; and measure obedience word by word, beside what real images get.
#
# **Time**: three to four hours. The training takes about a minute on one thread of a CPU. **Points**: 30 for code that is tested, 8 for the report, which a person reads.
#
# Replace each `...` by your own lines. Below each question stands a check: run it as often as you like. It holds the public tests; when your work is graded, further tests with other numbers are run. A wrong answer to one question costs nothing in another. The checks run on the CPU, the training perhaps on a GPU: make new tensors on the device of those that you are given (`device=x.device`).

# %%
# @title Setup
# In Colab this installs the course.
import sys

if "google.colab" in sys.modules:
    %pip install -q "gan-course @ git+https://github.com/gan-course/gan-course"

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

from gan_course import metrics
from gan_course.data import glyphs
from gan_course.notebook import plot, profiles

device = profiles.device()
print(f"torch {torch.__version__} on {device}")

# %% [raw]
# # BEGIN QUESTION
# name: q1

# %% [markdown]
# ## Question 1: two things to say about a pair
#
# A discriminator that is shown images $x$ with labels $y$ has to tell pairs from the data, $p(x, y)$, from generated pairs, $q(x, y)$. The best one has the logit $\ell^*(x, y) = \log p(x, y) - \log q(x, y)$. Since $p(x, y) = p(x)\,p(y \mid x)$ with $p(x) = \sum_y p(x, y)$, and likewise for $q$, this logit has two parts:
#
# $$\ell^*(x, y) = \underbrace{\log \frac{p(x)}{q(x)}}_{\text{is the image real?}} + \underbrace{\log \frac{p(y \mid x)}{q(y \mid x)}}_{\text{does the label fit it?}}$$
#
# There are only a few images here, so $p$ and $q$ are tables of shape `(K, n)`, one row per label, one column per image, and all entries are positive. **Write both parts.**
#
# Then a case **on paper**. Two labels are equally frequent among real and among generated pairs, and there are two images, $a$ and $b$. In the data label 1 shows $a$ with probability 0.8, label 2 with 0.4. The generator does not care about its orders: for each label it draws $a$ with probability 0.6 and $b$ with 0.4. Give $D^* = \sigma(\ell^*)$ for the pairs $(a, 1)$ and $(b, 1)$, and that of the best discriminator which sees the image $a$ but no label, each with four digits after the point.

# %% [raw]
# # BEGIN SOLUTION

# %%
def two_parts(p, q):
    """Split the best logit for joint probabilities p, q, (K, n), all entries positive.

    Returns:
        (image, label) of shapes (n,) and (K, n); image + label is the best logit.
    """
    # BEGIN SOLUTION
    image = p.sum(0).log() - q.sum(0).log()
    label = (p / p.sum(0)).log() - (q / q.sum(0)).log()
    return image, label
    # END SOLUTION


best = {"a with label 1": ..., "b with label 1": ..., "a without a label": ...}
best = {"a with label 1": 0.5714, "b with label 1": 0.3333, "a without a label": 0.5}  # SOLUTION NO PROMPT

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_image_part(two_parts):
    import torch
    p, q = torch.tensor([[0.5, 0.1], [0.1, 0.3]]), torch.tensor([[0.3, 0.1], [0.2, 0.4]])
    image, label = two_parts(p, q)
    assert tuple(image.shape) == (2,) and tuple(label.shape) == (2, 2), f"Two labels and two images: the parts have the shapes (2,) and (2, 2); yours have {tuple(image.shape)} and {tuple(label.shape)}."
    got = [round(float(value), 4) for value in image]
    assert all(abs(a - b) < 2e-4 for a, b in zip(got, (0.1823, -0.2231))), f"The data show the first image with probability 0.6, the generator with 0.5, so its part is log(0.6/0.5) = 0.1823, and the second's is log(0.4/0.5) = -0.2231; yours are {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_label_part(two_parts):
    import math
    import torch
    generator = torch.Generator().manual_seed(1)
    for K, n in ((3, 5), (4, 2), (1, 3)):
        p, q = (torch.rand(K, n, generator=generator, dtype=torch.float64) + 0.05 for _ in range(2))
        p, q = p / p.sum(), q / q.sum()
        image, label = two_parts(p.clone(), q.clone())
        for x in range(n):
            p_x, q_x = sum(p[:, x].tolist()), sum(q[:, x].tolist())
            assert abs(float(image[x]) - math.log(p_x / q_x)) < 1e-6, f"{K} labels, {n} images: the image part of image {x} is {math.log(p_x / q_x):.4f}, yours is {float(image[x]):.4f}."
            for y in range(K):
                wanted = math.log(float(p[y, x]) / p_x) - math.log(float(q[y, x]) / q_x)
                assert abs(float(label[y, x]) - wanted) < 1e-6, f"{K} labels, {n} images: the label part of pair ({x}, {y}) is {wanted:.4f}, yours is {float(label[y, x]):.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 0
""" # END TEST CONFIG
def test_three_probabilities(best):
    for key in ("a with label 1", "b with label 1", "a without a label"):
        assert 0 <= float(best[key]) <= 1, f"D for {key} is a probability, from 0 to 1; yours is {best[key]}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_on_paper(best):
    for key, wanted in (("a with label 1", 4 / 7), ("b with label 1", 1 / 3), ("a without a label", 1 / 2)):
        assert abs(float(best[key]) - wanted) < 1e-3, f"The best D for {key} is another number."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2

# %% [markdown]
# ## Question 2: the condition as an inner product
#
# How should a network be built so that it can have such a logit? Nearly every classifier ends in a linear layer and a softmax. Suppose that labels given images are of this kind in the data and in the generated images, with common features $\phi(x) \in \mathbb{R}^F$:
#
# $$p(y \mid x) = \frac{e^{\langle A_y, \phi(x)\rangle + a_y}}{\sum_k e^{\langle A_k, \phi(x)\rangle + a_k}}, \qquad q(y \mid x) = \frac{e^{\langle B_y, \phi(x)\rangle + b_y}}{\sum_k e^{\langle B_k, \phi(x)\rangle + b_k}},$$
#
# with one row $A_y$, $B_y$ and one number $a_y$, $b_y$ for each label. Derive that the label part of question 1 is
#
# $$\log p(y \mid x) - \log q(y \mid x) = \langle v_y, \phi(x) \rangle + c_y + r(x),$$
#
# where $r$ does not depend on the label, and **write** $v$, $c$ and $r$. (For large numbers, `torch.logsumexp` does with care what its name says.) So all that the label has to bring is a vector of its own, for an inner product; $r$ and the image part are functions of the image alone, for which a layer $\psi$ that sees no label is enough. This is the projection discriminator of [Miyato and Koyama (2018)](https://arxiv.org/abs/1802.05637). In programs $c_y$ is usually dropped.
#
# A caption is a condition of several words, a row of zeros and ones with a 1 for each word that is said; a label is the special case with a single 1. Each word $w$ has a vector $v_w$, and their inner products are added:
#
# $$\ell(x, c) = \psi(x) + \sum_{w \in c} \langle v_w, \phi(x) \rangle .$$
#
# **Write this logit** for a batch, without a loop over images or words.

# %% [raw]
# # BEGIN SOLUTION

# %%
def label_part(phi, A, a, B, b):
    """Write log p(y | x) - log q(y | x) as an inner product and the rest.

    Args:
        phi: features of n images, (n, F).
        A, B: weights of the two softmax classifiers, (K, F); a, b: their biases, (K,).

    Returns:
        (v, c, r) of shapes (K, F), (K,) and (n,): the label part, (n, K), is
        phi @ v.T + c + r[:, None].
    """
    # BEGIN SOLUTION
    rest = torch.logsumexp(phi @ B.T + b, dim=1) - torch.logsumexp(phi @ A.T + a, dim=1)
    return A - B, a - b, rest
    # END SOLUTION


def projection_logit(base, phi, vectors, conditions):
    """Return the logits (n,) of n images with their conditions.

    Args:
        base: psi of each image, (n,).
        phi: features, (n, F).
        vectors: one row per word (or label), (V, F).
        conditions: zeros and ones, float, (n, V); row i has a 1 for each word that
            caption i says.
    """
    # BEGIN SOLUTION
    return base + ((conditions @ vectors) * phi).sum(1)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_label_part_is_zero(label_part):
    import torch
    phi = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]])
    A, a = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.5, 0.0])
    v, c, r = label_part(phi, A, a, A, a)
    shapes = tuple(v.shape), tuple(c.shape), tuple(r.shape)
    assert shapes == ((2, 2), (2,), (3,)), f"Two labels, two features, three images: v, c, r have the shapes (2, 2), (2,), (3,); yours have {shapes}."
    got = float((phi @ v.T + c + r[:, None]).abs().max())
    assert got < 1e-5, f"If the generated images have the data's classifier, the label part is 0 everywhere; yours goes up to {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_logit_by_hand(projection_logit):
    import torch
    base, phi = torch.tensor([0.5, -1.0]), torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    vectors = torch.tensor([[1.0, 1.0], [0.0, 2.0], [-1.0, 0.0]])
    vectors.requires_grad_(True)
    got = projection_logit(base, phi, vectors, torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]))
    assert tuple(got.shape) == (2,), f"Two images give two logits, shape (2,); yours has {tuple(got.shape)}."
    learns, got = got.requires_grad, [round(float(value), 4) for value in got.detach()]
    assert got == [3.5, -4.0], f"The first image says word 0: 0.5 + (1 + 2) = 3.5; the second says words 1 and 2: -1 + 0 - 3 = -4; yours are {got}."
    assert learns, "The words' vectors could not learn: the logits have lost their graph on the way (by `float`, `.item()`, `.detach()` or a new `torch.tensor`)."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_label_part(label_part):
    import torch
    generator = torch.Generator().manual_seed(2)
    for n, K, F in ((6, 4, 3), (5, 2, 7)):
        phi, A, B = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((n, F), (K, F), (K, F)))
        a, b = torch.randn(2, K, generator=generator, dtype=torch.float64)
        v, c, r = label_part(phi.clone(), A.clone(), a.clone(), B.clone(), b.clone())
        p, q = torch.nn.functional.linear(phi, A, a).softmax(1), torch.nn.functional.linear(phi, B, b).softmax(1)
        wrong = float((phi @ v.T + c + r.reshape(n, 1) - (p / q).log()).abs().max())
        assert wrong < 1e-6, f"For {n} images, {K} labels and {F} features the sum of the parts is off by up to {wrong:.3f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_label_part_of_large_features(label_part):
    import torch
    phi = torch.tensor([[300.0], [-300.0]])
    A, a, B, b = torch.tensor([[1.0], [-1.0]]), torch.zeros(2), torch.tensor([[0.5], [0.0]]), torch.zeros(2)
    v, c, r = label_part(phi, A, a, B, b)
    got = phi @ v.T + c + r.reshape(2, 1)
    wanted = torch.tensor([[0.0, -450.0], [-450.0, 0.0]])
    assert float((got - wanted).abs().max()) < 1e-2, f"Features of 300 give label parts of {wanted.tolist()}; yours are {got.tolist()}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_logit_of_many_words(projection_logit):
    import torch
    generator = torch.Generator().manual_seed(3)
    for n, V, F in ((4, 6, 3), (3, 3, 3), (1, 5, 2)):
        base = torch.randn(n, generator=generator, dtype=torch.float64)
        phi, vectors = (torch.randn(k, F, generator=generator, dtype=torch.float64) for k in (n, V))
        said = (torch.rand(n, V, generator=generator) < 0.5).double()
        said[0] = 0.0
        got = projection_logit(base.clone(), phi.clone(), vectors.clone(), said.clone())
        for i in range(n):
            wanted = float(base[i]) + sum(float(phi[i] @ vectors[w]) for w in range(V) if said[i, w])
            words = int(said[i].sum())
            assert abs(float(got[i]) - wanted) < 1e-6, f"A caption of {words} words: expected the logit {wanted:.4f}, got {float(got[i]):.4f}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3

# %% [markdown]
# ## Question 3: how one word learns, and what labels fakes should have
#
# Let $t_i$ be 1 if pair $i$ of a batch of $n$ is a real one and 0 if not, $\ell_i$ its logit from question 2, and $c_{iw}$ be 1 if word $w$ is said in its condition and else 0. The discriminator's loss is $L = \frac1n \sum_i \bigl(\log(1 + e^{\ell_i}) - t_i \ell_i\bigr)$. Derive $\partial L / \partial v_w$ on paper and **write it** for all words at once, in closed form, without calling autograd. Which words does a batch teach nothing?
#
# The answer says that a word which is hardly ever said hardly ever learns. It looks like help for rare labels when a program makes fakes for all labels equally often, as many do. But labels that are uniform among the fakes and not in the data tell the discriminator something before it has seen the image. Suppose that the generator is perfect, $p(x \mid y) = q(x \mid y)$, and draws its $K$ labels uniformly. **Write the best $D^*$ of a (perfect) image with each label**, from the labels of the training set.
#
# And **write the remedy**: draw labels for $n$ fakes that are as frequent as in the data whatever $n$ is, at random, and with nothing given but the labels of the training set.

# %% [raw]
# # BEGIN SOLUTION

# %%
def vectors_gradient(phi, conditions, logits, targets):
    """Return the gradient (V, F) of the loss with respect to the words' vectors.

    Args:
        phi: features, (n, F); conditions: zeros and ones, float, (n, V).
        logits: of the n pairs, (n,); targets: float, 1 for real pairs, else 0, (n,).
    """
    # BEGIN SOLUTION
    slopes = (torch.sigmoid(logits) - targets) / len(logits)
    return conditions.T @ (slopes[:, None] * phi)
    # END SOLUTION


def verdicts(labels, num_labels):
    """Return the best D (num_labels,) of a perfect image, if fakes have uniform labels.

    Args:
        labels: labels of the training set, integers from 0 to num_labels - 1, (N,).
    """
    # BEGIN SOLUTION
    p = torch.bincount(labels, minlength=num_labels) / len(labels)
    return p / (p + 1 / num_labels)
    # END SOLUTION


def labels_for_fakes(labels, n):
    """Return n labels (n,), drawn independently, as frequent as in labels (N,).

    n may be larger than N.
    """
    # BEGIN SOLUTION
    return labels[torch.randint(len(labels), (n,), device=labels.device)]
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_gradient_by_hand(vectors_gradient):
    import torch
    phi = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    got = vectors_gradient(phi, torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), torch.zeros(2), torch.tensor([1.0, 0.0]))
    assert tuple(got.shape) == (3, 2), f"Three words and two features: the gradient has the shape (3, 2); yours has {tuple(got.shape)}."
    got = [[round(float(value), 4) for value in row] for row in got]
    assert got == [[-0.5, 0.0], [0.0, 1.0], [0.0, 0.0]], f"Two pairs with logits of 0, the first real with word 0, the second fake with word 1: the gradient is [[-0.5, 0], [0, 1], [0, 0]]; yours is {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_balanced_labels(verdicts, labels_for_fakes):
    import torch
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    got = [round(float(value), 4) for value in verdicts(labels, 3)]
    assert got == [0.5, 0.5, 0.5], f"If the labels are uniform in the data as well, a perfect image gets 1/2 whatever its label; yours gives {got}."
    torch.manual_seed(0)
    drawn = torch.as_tensor(labels_for_fakes(labels, 50))
    assert tuple(drawn.shape) == (50,), f"50 labels have the shape (50,); yours have {tuple(drawn.shape)}."
    assert set(drawn.tolist()) <= {0, 1, 2}, f"The training set has the labels 0, 1, 2; yours are {sorted(set(drawn.tolist()))}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_gradient(vectors_gradient):
    import torch
    generator = torch.Generator().manual_seed(4)
    for n, V, F in ((6, 4, 3), (9, 2, 5)):
        base, phi = torch.randn(n, generator=generator, dtype=torch.float64), torch.randn(n, F, generator=generator, dtype=torch.float64)
        vectors = torch.randn(V, F, generator=generator, dtype=torch.float64, requires_grad=True)
        said = (torch.rand(n, V, generator=generator) < 0.5).double()
        targets = (torch.rand(n, generator=generator) < 0.4).double()
        logits = base + torch.einsum("nv,vf,nf->n", said, vectors, phi)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        (wanted,) = torch.autograd.grad(loss, vectors)
        got = vectors_gradient(phi.clone(), said.clone(), logits.detach().clone(), targets.clone())
        wrong = float((torch.as_tensor(got) - wanted).abs().max())
        assert wrong < 1e-6, f"For {n} pairs, {V} words and {F} features, several of them in one caption, the gradient is off by up to {wrong:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_verdicts(verdicts):
    import torch
    labels = torch.tensor([0] * 12 + [2] * 3 + [3])
    got = torch.as_tensor(verdicts(labels[torch.randperm(16, generator=torch.Generator().manual_seed(0))], 4)).double()
    wanted = torch.tensor([0.75, 0.0, 0.1875 / 0.4375, 0.2], dtype=torch.float64)
    assert tuple(got.shape) == (4,) and float((got - wanted).abs().max()) < 1e-5, f"Labels that occur 12, 0, 3 and 1 times get {[round(value, 4) for value in wanted.tolist()]}; yours are {[round(value, 4) for value in got.tolist()]}."
    got = torch.as_tensor(verdicts(torch.tensor([1, 0, 1, 1]), 3)).double()
    wanted = torch.tensor([0.25, 0.75, 0.0]).double() / (torch.tensor([0.25, 0.75, 0.0]).double() + 1 / 3)
    assert tuple(got.shape) == (3,) and float((got - wanted).abs().max()) < 1e-5, f"Labels that occur 1, 3 and 0 times get {[round(value, 4) for value in wanted.tolist()]}; yours are {[round(value, 4) for value in got.tolist()]}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_frequencies(labels_for_fakes):
    import torch
    torch.manual_seed(5)
    labels = torch.tensor([1] * 70 + [4] * 25 + [7] * 5)
    drawn = torch.as_tensor(labels_for_fakes(labels, 20_000))
    shares = {label: float((drawn == label).double().mean()) for label in (1, 4, 7)}
    for label, wanted in ((1, 0.70), (4, 0.25), (7, 0.05)):
        assert abs(shares[label] - wanted) < 0.02, f"Label {label} is {wanted:.0%} of the data and {shares[label]:.1%} of 20,000 labels for fakes."
    first = torch.stack([torch.as_tensor(labels_for_fakes(labels, 5)) for _ in range(400)])
    share = float((first == 1).double().mean())
    assert 0.63 < share < 0.77, f"Of five labels drawn at a time, over and over, 70 % should be the label that is 70 % of the data; yours are {share:.0%}."
    same = float((drawn[1:] == drawn[:-1]).double().mean())
    assert abs(same - 0.555) < 0.03, f"Labels drawn independently equal the one before in 56 % here; yours do in {same:.0%}."
    pairs = torch.stack([torch.as_tensor(labels_for_fakes(torch.tensor([0, 1]), 2)) for _ in range(400)])
    same = float((pairs[:, 0] == pairs[:, 1]).double().mean())
    assert 0.35 < same < 0.65, f"Two labels drawn independently from a 0 and a 1 are equal half of the time; yours are in {same:.0%}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4

# %% [markdown]
# ## Question 4: sentences as sets of words
#
# To a network a caption has to be numbers. The simplest way that works here: a **vocabulary**, a list of all known words, and for each caption a row of zeros with a 1 at the place of each word that it has.
#
# The rules, which matter more than they seem to:
#
# - words are what stands between spaces, without a comma or full stop at their ends; if nothing is left, as of a comma by itself, it is no word (so the row of an empty caption has zeros only);
# - upper and lower case are different: `A` is a letter to be drawn, `a` is an article;
# - the vocabulary begins with `"<unknown>"`; then come, in the order of Python's `sorted`, the words that occur in at least `least` captions. (The vector of a word that was seen twice has hardly learned anything, as question 3 says; it is better called unknown.)
# - a word that is not in the vocabulary sets the 1 of `"<unknown>"`. Nothing raises: users type what they like.
#
# Sets forget things. Say which of the four pairs of captions have **the same row** (with all of their words in the vocabulary), `True` or `False`.

# %% [raw]
# # BEGIN SOLUTION

# %%
def build_vocabulary(captions, least=1):
    """Return ["<unknown>", then the words of `least` or more captions, sorted]."""
    # BEGIN SOLUTION
    counts = {}
    for caption in captions:
        for word in {word.strip(".,") for word in caption.split()} - {""}:
            counts[word] = counts.get(word, 0) + 1
    return ["<unknown>", *sorted(word for word, count in counts.items() if count >= least)]
    # END SOLUTION


def word_sets(captions, vocabulary):
    """Return which words each caption has: zeros and ones, a float32 tensor.

    Its shape is (len(captions), len(vocabulary)).
    """
    # BEGIN SOLUTION
    number = {word: i for i, word in enumerate(vocabulary)}
    rows = torch.zeros(len(captions), len(vocabulary))
    for row, caption in zip(rows, captions):
        for word in (word.strip(".,") for word in caption.split()):
            if word:
                row[number.get(word, 0)] = 1
    return rows
    # END SOLUTION


same_row = {
    "a red A on a pink background / on a pink background a red A": ...,
    "a red A on a red background / a red A on a background": ...,
    "a dog under a cat / a cat under a dog": ...,
    "a red A / a red a": ...,
}
# BEGIN SOLUTION NO PROMPT
same_row = {
    "a red A on a pink background / on a pink background a red A": True,
    "a red A on a red background / a red A on a background": True,
    "a dog under a cat / a cat under a dog": True,
    "a red A / a red a": False,
}
# END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_vocabulary(build_vocabulary):
    got = list(build_vocabulary(["a red B", "on white a blue B"]))
    wanted = ["<unknown>", "B", "a", "blue", "on", "red", "white"]
    assert got == wanted, f"Two captions give the vocabulary {wanted} (sorted puts upper case first); yours is {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_sets(word_sets):
    import torch
    got = word_sets(["a red B", "a green B"], ["<unknown>", "B", "a", "blue", "red"])
    assert tuple(got.shape) == (2, 5) and got.dtype == torch.float32, f"Two captions and five words: float32 of shape (2, 5); yours is {got.dtype} of shape {tuple(got.shape)}."
    assert got.tolist() == [[0, 1, 1, 0, 1], [1, 1, 1, 0, 0]], f"'a red B' has the words 1, 2 and 4; in 'a green B' green is unknown, so it has 0, 1 and 2; yours gives {got.tolist()}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_vocabulary(build_vocabulary):
    captions = ["a red A, large.", "a red a", "A blue A", "a tiny tiny tiny A on a red background."]
    got = list(build_vocabulary(captions))
    wanted = ["<unknown>", "A", "a", "background", "blue", "large", "on", "red", "tiny"]
    assert got == wanted, f"Commas and full stops go, the case stays: expected {wanted}, got {got}."
    got = list(build_vocabulary(captions, least=2))
    assert got == ["<unknown>", "A", "a", "red"], f"With least=2 a word has to be in two captions, and twice in one is not that: expected ['<unknown>', 'A', 'a', 'red'], got {got}."
    got = list(build_vocabulary(captions, least=5))
    assert got == ["<unknown>"], f"With least=5 no word is left but '<unknown>'; yours is {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_sets(word_sets):
    vocabulary = ["<unknown>", "A", "a", "on", "red"]
    captions = ["a red A on a red wall", "a red a", "red, red, red.", "on a A, a.", "", "the blue wall", "a  red , A ."]
    wanted = [[1, 1, 1, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 1, 0, 1]]
    got = word_sets(captions, vocabulary).tolist()
    for caption, a, b in zip(captions, got, wanted):
        assert a == b, f"With the vocabulary {vocabulary} the caption {caption!r} is {b}; yours is {[int(value) for value in a]}."

# %%
""" # BEGIN TEST CONFIG
points: 0
""" # END TEST CONFIG
def test_true_or_false(same_row):
    assert len(same_row) == 4 and all(isinstance(value, bool) for value in same_row.values()), f"Four times True or False; yours is {list(same_row.values())}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_same_row(same_row):
    wanted = {
        "a red A on a pink background / on a pink background a red A": True,
        "a red A on a red background / a red A on a background": True,
        "a dog under a cat / a cat under a dog": True,
        "a red A / a red a": False,
    }
    assert same_row == wanted, "At least one of the four pairs is different from what you say."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5

# %% [markdown]
# ## Question 5: pairs that do not match
#
# A discriminator that is shown real images with their captions, and generated ones, can win for a while by looking at the images alone. So that it has to read, [Reed et al. (2016)](https://arxiv.org/abs/1605.05396) also show it **real images with wrong captions** and have it call them fake. With the logits $\ell$ of right pairs, wrong pairs and generated pairs, the loss is
#
# $$\mathcal{L}_D = \tfrac1n\sum_i \log(1 + e^{-\ell_i^{\text{right}}}) + \tfrac12\,\tfrac1m\sum_j \log(1 + e^{\ell_j^{\text{wrong}}}) + \tfrac12\,\tfrac1k\sum_i \log(1 + e^{\ell_i^{\text{fake}}}) .$$
#
# Wrong captions are those of other images in the batch. But when is one wrong? "A red A on a white background" and "a large red A on a white background" are different captions, and both may be true of one image, since not every caption says the size. Letter, ink and background are said by all captions. So a caption **contradicts** another one if the two differ in at least one of these words; `always` marks their columns.
#
# **Write `wrong_captions`**. Each image gets the caption of some image of the batch that contradicts its own, and where the batch has none, `valid` is `False`. No place of the batch may be preferred: if all contradict one another, each caption must come up equally often in the long run. (If each image got the *first* caption that contradicts its own, nearly all wrong pairs of a batch would have the same caption, and the step would teach little but that this one is wrong.) **Write `matching_loss`** for logits of any size and batches of different sizes; if there are no wrong pairs, their term is 0. It is to be minimised, so it keeps its graph.

# %% [raw]
# # BEGIN SOLUTION

# %%
def wrong_captions(captions, always):
    """Choose for each image of a batch a caption of the batch that contradicts its own.

    Args:
        captions: zeros and ones, float, (B, V).
        always: marks the words of letter, ink and background, Boolean (V,).

    Returns:
        (wrong, valid): float (B, V) and Boolean (B,). Where valid is False, any caption
        of the batch may stand in wrong.
    """
    # BEGIN SOLUTION
    said = captions[:, always]
    contradicts = (said[:, None] != said[None]).any(2)
    valid = contradicts.any(1)
    chances = torch.where(valid[:, None], contradicts, True).float()
    return captions[torch.multinomial(chances, 1)[:, 0]], valid
    # END SOLUTION


def matching_loss(right, wrong, fake):
    """Return the loss, a scalar tensor, of logits (n,), (m,) and (k,); m may be 0."""
    # BEGIN SOLUTION
    softplus = nn.functional.softplus
    loss = softplus(-right).mean() + 0.5 * softplus(fake).mean()
    return loss + 0.5 * softplus(wrong).mean() if len(wrong) else loss
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_other_captions(wrong_captions):
    import torch
    torch.manual_seed(0)
    captions = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]])
    wrong, valid = wrong_captions(captions, torch.tensor([True, True, True, True]))
    assert tuple(wrong.shape) == (3, 4) and tuple(valid.shape) == (3,), f"Three captions of four words: the shapes are (3, 4) and (3,); yours are {tuple(wrong.shape)} and {tuple(valid.shape)}."
    assert str(valid.dtype).endswith("bool"), f"`valid` is Boolean, so that images[valid] picks images; yours is {valid.dtype}."
    assert all(bool(v) for v in valid), f"These three captions all contradict one another, so all three are valid; yours says {valid.tolist()}."
    for own, other in zip(captions.tolist(), wrong.tolist()):
        assert other in captions.tolist() and other != own, f"The wrong caption of {own} is another row of the batch; yours is {other}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_loss_by_hand(matching_loss):
    import math
    import torch
    loss = matching_loss(torch.zeros(2, requires_grad=True), torch.zeros(2), torch.zeros(2))
    assert isinstance(loss, torch.Tensor) and loss.requires_grad, "The discriminator could not learn from this loss: it has lost its graph on the way (by `float`, `.item()` or `.detach()`)."
    got = float(loss.detach())
    assert abs(got - 2 * math.log(2)) < 1e-5, f"With all logits 0 the loss is 2 log 2 = 1.3863; yours is {got:.4f}."
    got = float(matching_loss(torch.tensor([1.0]), torch.tensor([-2.0]), torch.tensor([0.5])))
    assert abs(got - 0.8638) < 2e-4, f"For the logits 1 (right), -2 (wrong) and 0.5 (fake) the loss is 0.3133 + 0.1269 / 2 + 0.9741 / 2 = 0.8638; yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_contradictions(wrong_captions):
    import torch
    torch.manual_seed(1)
    always = torch.tensor([True, True, False, True, True])
    captions = torch.tensor([[1, 0, 1, 1, 0], [1, 0, 0, 1, 0], [0, 1, 1, 1, 0], [1, 0, 0, 1, 0]]).float()
    kept = captions.clone()
    for _ in range(30):
        wrong, valid = wrong_captions(captions, always)
        assert torch.equal(captions, kept), "The captions of the batch themselves have been changed."
        assert all(bool(v) for v in valid), f"Captions 0, 1 and 3 contradict caption 2 and no other; all are valid, yours says {valid.tolist()}."
        for i, row in enumerate(wrong.tolist()):
            assert row in captions.tolist(), "A wrong caption is not one of the batch."
            assert any(a != b for a, b, said in zip(row, captions[i].tolist(), always.tolist()) if said), f"{[int(v) for v in row]} as wrong caption of {[int(v) for v in captions[i]]}: they differ in nothing but a word that need not be said, so it may be true."
    wrong, valid = wrong_captions(captions[[0, 1, 3, 0]], always)
    assert not any(bool(v) for v in valid), f"In a batch whose captions differ in an optional word only, none is valid; yours says {valid.tolist()}."
    many = torch.eye(6)
    counts = torch.zeros(6)
    for _ in range(300):
        wrong, valid = wrong_captions(many, torch.ones(6, dtype=torch.bool))
        counts += wrong.sum(0)
    assert counts.min() > 130 and counts.max() < 470, f"Six captions that all contradict one another, 300 batches: each comes up about 300 times; yours come up {[int(v) for v in counts]} times."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_loss(matching_loss):
    import math
    import torch

    def sp(t):
        return t + math.log1p(math.exp(-t)) if t > 0 else math.log1p(math.exp(t))

    right, wrong, fake = [0.3, -1.2, 2.0, 0.0], [0.7], [1.5, -0.4]
    got = float(matching_loss(torch.tensor(right), torch.tensor(wrong), torch.tensor(fake)))
    wanted = sum(sp(-t) for t in right) / 4 + 0.5 * sp(0.7) + 0.5 * sum(sp(t) for t in fake) / 2
    assert abs(got - wanted) < 1e-4, f"Four right pairs, one wrong, two fakes: each sum is divided by its own number; expected {wanted:.4f}, got {got:.4f}."
    got = float(matching_loss(torch.tensor(right), torch.zeros(0), torch.tensor(fake)))
    assert abs(got - wanted + 0.5 * sp(0.7)) < 1e-4, f"Without wrong pairs the loss is {wanted - 0.5 * sp(0.7):.4f}; yours is {got}."
    got = float(matching_loss(torch.tensor([-200.0]), torch.tensor([150.0]), torch.tensor([100.0])))
    assert abs(got - 325) < 1e-2, f"For the logits -200, 150 and 100 the loss is 200 + 75 + 50 = 325; yours is {got}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q6

# %% [markdown]
# ## Question 6: one training step with captions
#
# Write one step: one update of the discriminator with the loss of question 5, then one of the generator with the non-saturating loss, the mean of $\log(1 + e^{-\ell})$ over its images. The generator maps latent vectors $z \sim \mathcal{N}(0, I)$ of shape `(B, latent_dim)` and captions to images; the discriminator maps images and captions to logits.
#
# - Fakes are made for the captions of the batch, and shown with the captions they were made for, in both updates, each time from **new** latent vectors. (So they are as frequent as in the data: question 3.)
# - Wrong pairs are real images with the captions from `wrong_captions`, and only where these are valid.
# - As in every GAN: each update leaves the other network alone, the generator's goes through the *updated* discriminator, and no gradient is left in the discriminator.

# %% [raw]
# # BEGIN SOLUTION

# %%
def train_step(G, D, optimizer_g, optimizer_d, images, captions, always, latent_dim):
    """Update the discriminator D once, then the generator G once.

    Args:
        G: G(z, captions) gives images; D: D(images, captions) gives logits, (B,).
        images: real images, (B, C, H, W); captions: theirs, (B, V).
        always: see wrong_captions.

    Returns:
        {"loss_d": ..., "loss_g": ...}, both before their updates, detached scalars.
    """
    # BEGIN SOLUTION
    wrong, valid = wrong_captions(captions, always)
    z = torch.randn(len(images), latent_dim, device=images.device)
    fake = G(z, captions).detach()
    loss_d = matching_loss(D(images, captions), D(images[valid], wrong[valid]), D(fake, captions))
    optimizer_d.zero_grad()
    loss_d.backward()
    optimizer_d.step()

    z = torch.randn(len(images), latent_dim, device=images.device)
    loss_g = nn.functional.softplus(-D(G(z, captions), captions)).mean()
    optimizer_g.zero_grad()
    loss_g.backward()
    optimizer_g.step()
    optimizer_d.zero_grad()
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
    softplus = torch.nn.functional.softplus
    names = train_step.__globals__
    own = {name: names[name] for name in ("wrong_captions", "matching_loss") if name in names}

    class Two(torch.nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.linear = torch.nn.Linear(inputs, outputs)

        def forward(self, first, captions):
            out = self.linear(torch.cat([first.flatten(1), captions], 1))
            return out.unflatten(1, (1, 2, 2)) if out.shape[1] == 4 else out[:, 0]

    # some wrong captions and some loss, so that this question does not wait for the last one
    names["wrong_captions"] = lambda captions, always: (captions.flip(0), torch.ones(len(captions), dtype=torch.bool))
    names["matching_loss"] = lambda right, wrong, fake: softplus(-right).sum() + softplus(torch.cat([wrong, fake])).sum()
    try:
        torch.manual_seed(0)
        G, D = Two(3 + 5, 4), Two(4 + 5, 1)
        before = [p.detach().clone() for p in (*G.parameters(), *D.parameters())]
        captions = torch.eye(5).repeat(2, 1)[:8]
        told = train_step(G, D, torch.optim.SGD(G.parameters(), 0.1), torch.optim.SGD(D.parameters(), 0.1), torch.randn(8, 1, 2, 2), captions, torch.ones(5, dtype=torch.bool), 3)
    finally:
        for name in ("wrong_captions", "matching_loss"):
            names.pop(name, None)
        names.update(own)
    after = [*G.parameters(), *D.parameters()]
    still = sum(torch.equal(a, b) for a, b in zip(before, after))
    assert not still, f"After a step {still} of the {len(after)} weights and biases of the two networks are what they were before."
    assert set(told) == {"loss_d", "loss_g"}, f"The step returns loss_d and loss_g; yours returns {sorted(told)}."
    assert not any(getattr(value, "requires_grad", False) for value in told.values()), "The losses that are returned still have their graphs: detach them, or the memory of each step stays occupied."
    left = [p.grad for p in D.parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert not left, "After the step the discriminator still has gradients: clear them at the end, whichever loss they come from."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_values(train_step):
    import torch
    softplus = torch.nn.functional.softplus
    names = train_step.__globals__
    own = {name: names[name] for name in ("wrong_captions", "matching_loss") if name in names}

    class Maker(torch.nn.Module):  # ignores its latent vectors, so the step can be done by hand
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.tensor([[0.5], [-0.3], [0.2]]))

        def forward(self, z, captions):
            return (captions @ self.table + 0 * z.sum(1, keepdim=True))[:, :, None, None]

    class Reader(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Parameter(torch.tensor([1.0, -0.5, 0.25]))

        def forward(self, images, captions):
            return (captions @ self.words) * images.flatten(1)[:, 0] + 0.1

    captions = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 1.0]])
    valid = torch.tensor([True, True, False, True])
    images = torch.tensor([2.0, -1.0, 0.5, 1.5]).view(4, 1, 1, 1)
    seen = []

    def wrong_captions(captions, always):
        seen.append(always)
        return captions.roll(1, 0), valid

    def matching_loss(right, wrong, fake):
        return softplus(-right).mean() + 0.5 * softplus(wrong).mean() + 0.5 * softplus(fake).mean()

    names["wrong_captions"], names["matching_loss"] = wrong_captions, matching_loss
    try:
        G, D = Maker(), Reader()
        always = torch.tensor([True, False, True])
        told = train_step(G, D, torch.optim.SGD(G.parameters(), 0.2), torch.optim.SGD(D.parameters(), 0.1), images, captions, always, 2)
    finally:
        for name in ("wrong_captions", "matching_loss"):
            names.pop(name, None)
        names.update(own)
    assert seen and all(torch.equal(a, always) for a in seen), "`always` does not reach wrong_captions."

    # the same step in double precision, by slopes of softplus
    words, table = torch.tensor([1.0, -0.5, 0.25]).double(), torch.tensor([0.5, -0.3, 0.2]).double()
    x, c = images.flatten().double(), captions.double()
    w, ok, f = c.roll(1, 0), valid.double(), c @ table
    right, wrong, fake = (c @ words) * x + 0.1, (w @ words) * x + 0.1, (c @ words) * f + 0.1
    loss_d = softplus(-right).mean() + 0.5 * (ok * softplus(wrong)).sum() / 3 + 0.5 * softplus(fake).mean()
    slope = (-torch.sigmoid(-right) * x / 4) @ c + 0.5 * (ok * torch.sigmoid(wrong) * x / 3) @ w + 0.5 * (torch.sigmoid(fake) * f / 4) @ c
    new = words - 0.1 * slope
    logit = (c @ new) * f + 0.1
    moved = table + 0.2 * (torch.sigmoid(-logit) * (c @ new) / 4) @ c
    got = float(told["loss_d"])
    assert abs(got - float(loss_d)) < 1e-4, f"loss_d before the update is {float(loss_d):.4f}, from right pairs, the valid wrong pairs and fakes with their captions; yours is {got:.4f}."
    difference = float((D.words.detach().double() - new).abs().max())
    assert difference < 1e-4, f"The discriminator's update is not the gradient step of its loss: its weights are off by {difference:.4f}."
    got = float(told["loss_g"])
    assert abs(got - float(softplus(-logit).mean())) < 1e-4, f"loss_g is {float(softplus(-logit).mean()):.4f}, through the updated discriminator with the captions of the fakes; yours is {got:.4f}."
    difference = float((G.table.detach()[:, 0].double() - moved).abs().max())
    assert difference < 1e-4, f"The generator's update is not the gradient step of its loss: its weights are off by {difference:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_new_latent_vectors(train_step):
    import torch
    softplus = torch.nn.functional.softplus
    names = train_step.__globals__
    own = {name: names[name] for name in ("wrong_captions", "matching_loss") if name in names}
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(5 + 2, 4)

        def forward(self, z, captions):
            seen.append(z.detach().clone())
            return self.linear(torch.cat([z, captions], 1)).unflatten(1, (1, 2, 2))

    class Reader(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4 + 2, 1)

        def forward(self, images, captions):
            return self.linear(torch.cat([images.flatten(1), captions], 1))[:, 0]

    names["wrong_captions"] = lambda captions, always: (captions.flip(0), torch.ones(len(captions), dtype=torch.bool))
    names["matching_loss"] = lambda right, wrong, fake: softplus(-right).sum() + softplus(torch.cat([wrong, fake])).sum()
    try:
        torch.manual_seed(3)
        G, D = Spy(), Reader()
        train_step(G, D, torch.optim.SGD(G.parameters(), 0.1), torch.optim.SGD(D.parameters(), 0.1), torch.randn(400, 1, 2, 2), torch.eye(2).repeat(200, 1), torch.ones(2, dtype=torch.bool), 5)
    finally:
        for name in ("wrong_captions", "matching_loss"):
            names.pop(name, None)
        names.update(own)
    shapes = {tuple(z.shape) for z in seen}
    assert shapes == {(400, 5)}, f"The latent vectors have the shapes {shapes}, expected (400, 5)."
    assert len(seen) >= 2 and not torch.equal(seen[0], seen[-1]), "Both updates use the same latent vectors."
    assert all(abs(float(z.mean())) < 0.1 and abs(float(z.std()) - 1) < 0.1 for z in seen), "The latent vectors are not standard normal."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q7

# %% [markdown]
# ## Question 7: what was ordered, and what is to be seen
#
# A *judge*, a classifier that took no part in the training, reads what each generated image shows. Lay its answers beside the orders in a **confusion matrix**: entry $(i, j)$ counts the images that were ordered as $i$ and read as $j$. Its diagonal holds the orders that were obeyed.
#
# **Write the matrix, the obedience** (the share obeyed, of all orders and of each value by itself, `nan` for a value that was never ordered) **and the worst confusion**: the pair $(i, j)$, $i \ne j$, for which the *share* of the orders $i$ that were read as $j$ is largest. Counts would mislead here, because orders need not be equally frequent.

# %% [raw]
# # BEGIN SOLUTION

# %%
def confusion(ordered, read, num_values):
    """Return the matrix (num_values, num_values) of counts, int64, a row for each order.

    Args:
        ordered, read: integers from 0 to num_values - 1, (n,).

    Returns:
        A tensor, on the device of `ordered`.
    """
    # BEGIN SOLUTION
    pairs = num_values * ordered.long() + read.long()
    return torch.bincount(pairs, minlength=num_values**2).view(num_values, num_values)
    # END SOLUTION


def obedience(table):
    """Return the share of all orders obeyed and that of each value, (K,), of table (K, K)."""
    # BEGIN SOLUTION
    table = table.float()
    obeyed = table.diagonal()
    return obeyed.sum() / table.sum(), obeyed / table.sum(1)
    # END SOLUTION


def worst_confusion(table):
    """Return (ordered, read), two ints, of the largest share off the diagonal of (K, K)."""
    # BEGIN SOLUTION
    shares = table.float() / table.sum(1, keepdim=True).clamp(min=1)
    place = int(shares.fill_diagonal_(-1).argmax())
    return place // len(table), place % len(table)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_matrix(confusion):
    import torch
    got = confusion(torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 0, 1, 1, 0]), 3)
    assert isinstance(got, torch.Tensor) and not got.is_floating_point(), f"A tensor of integers was expected; yours is {got.dtype if isinstance(got, torch.Tensor) else type(got).__name__}."
    assert tuple(got.shape) == (3, 3), f"Three values give a matrix (3, 3); yours is {tuple(got.shape)}."
    assert got.tolist() == [[2, 1, 0], [0, 1, 0], [1, 0, 0]], f"0 was ordered three times and read as 0, 0, 1; 1 was read as 1, 2 as 0: [[2, 1, 0], [0, 1, 0], [1, 0, 0]]; yours is {got.tolist()}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_obedience(obedience, worst_confusion):
    import torch
    table = torch.tensor([[3, 1], [2, 2]])
    whole, each = obedience(table)
    assert abs(float(whole) - 0.625) < 1e-6, f"5 of 8 orders were obeyed, 0.625; yours says {float(whole):.4f}."
    assert [round(float(v), 4) for v in each] == [0.75, 0.5], f"Of the orders 0 three of four were obeyed, of the orders 1 two of four: [0.75, 0.5]; yours is {[round(float(v), 4) for v in each]}."
    got = tuple(int(v) for v in worst_confusion(table))
    assert got == (1, 0), f"Half of the orders 1 were read as 0, the worst of the two confusions: (1, 0); yours is {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_matrix(confusion):
    import torch
    generator = torch.Generator().manual_seed(7)
    for K, n in ((4, 60), (6, 9)):
        ordered, read = torch.randint(K - 1, (2, n), generator=generator)  # the last value never occurs
        got = confusion(ordered, read, K)
        wanted = [[0] * K for _ in range(K)]
        for i, j in zip(ordered.tolist(), read.tolist()):
            wanted[i][j] += 1
        assert got.tolist() == wanted, f"{n} orders of {K} values, of which the last never occurs: expected {wanted}, got {got.tolist()}."
        assert not got.is_floating_point(), f"Counts are integers; yours are {got.dtype}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_shares(obedience, worst_confusion):
    import math
    import torch
    table = torch.tensor([[80, 15, 5, 0], [3, 7, 0, 0], [0, 0, 0, 0], [1, 1, 0, 2]])
    kept = table.clone()
    whole, each = obedience(table)
    assert abs(float(whole) - 89 / 114) < 1e-5, f"89 of 114 orders were obeyed; yours says {float(whole):.4f}, not {89 / 114:.4f}."
    got = [float(v) for v in each]
    assert math.isnan(got[2]), f"A value that was never ordered has no share: nan, yours is {got[2]}."
    assert all(abs(got[i] - wanted) < 1e-5 for i, wanted in ((0, 0.8), (1, 0.7), (3, 0.5))), f"The shares are 0.8, 0.7 and 0.5 (rows, not columns); yours are {got}."
    got = tuple(int(v) for v in worst_confusion(table))
    assert got == (1, 0), f"3 of 10 orders are a worse confusion than 15 of 100: (1, 0); yours is {got}."
    assert torch.equal(table, kept), "The matrix itself has been changed."
    got = tuple(int(v) for v in worst_confusion(torch.tensor([[0, 0, 0], [0, 5, 0], [0, 1, 9]])))
    assert got == (2, 1), f"A row without orders is no confusion: (2, 1); yours is {got}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Train it
#
# Your pieces, in a synthetic world: the letters A to D, bold, in two sizes, six inks and six backgrounds, 12×12 pixels. A caption always names letter, ink and background; of size, weight, slant, font and texture it says each with probability ½. Only the size varies, so the other four are words about which nobody can be wrong. Four pairs of letter and ink are **never shown** in training: a black A, a brown B, a purple C, a blue D. You will see whether they can be ordered all the same.

# %%
scale = profiles.pick(
    quick=dict(steps=1_000, seeds=1, width=12),
    book=dict(steps=1_000, seeds=3, width=12),
    full=dict(steps=6_000, seeds=3, width=32),
)
latent_dim = 32
world = dict(
    family="DejaVu Sans", weight="bold", slant="upright", texture="plain",
    character=list("ABCD"),
)
train_set = glyphs.make(4_000, seed=0, size=12, fixed=world).to(device)
test_set = glyphs.make(1_000, seed=1, size=12, fixed=world).to(device)
judge = metrics.judge("glyphs", 32, device)


def never_shown(images):
    """Return which items (N,) have a pair of letter and ink that is held out."""
    return (images.factors["character"] + images.factors["ink"]) % 6 == 0


for caption in test_set.captions()[:3]:
    print(caption)

# %% [markdown]
# The networks are given (without batch norm in the discriminator: one caption's verdict should not depend on the others). The generator lays an encoding of the caption beside the latent vector; the discriminator ends in your `projection_logit`. Change widths, rates or `steps` as you like; with a GPU the run is larger by itself.

# %%
class Generator(nn.Module):
    """Maps latents (B, latent_dim) and captions (B, V) to images (B, 3, 12, 12)."""

    def __init__(self, num_words, width):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(num_words, 64), nn.LeakyReLU(0.2))
        self.first = nn.Linear(latent_dim + 64, 4 * width * 9, bias=False)
        self.draw = nn.Sequential(
            nn.BatchNorm2d(4 * width), nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 3, 3, padding=1), nn.Tanh(),
        )

    def forward(self, z, captions):
        both = torch.cat([z, self.encode(captions)], 1)
        return self.draw(self.first(both).unflatten(1, (-1, 3, 3)))


class Discriminator(nn.Module):
    """Maps images (B, 3, 12, 12) and captions (B, V) to logits (B,)."""

    def __init__(self, num_words, width):
        super().__init__()
        self.phi = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(),
        )
        self.psi = nn.Linear(4 * width * 9, 1)
        self.vectors = nn.Parameter(0.05 * torch.randn(num_words, 4 * width * 9))

    def forward(self, images, captions):
        phi = self.phi(images)
        return projection_logit(self.psi(phi)[:, 0], phi, self.vectors, captions)


def train(seed, steps):
    """Return a trained generator and its two losses, one of each every 20 steps."""
    torch.manual_seed(seed)
    G = Generator(len(vocabulary), scale.width).to(device)
    D = Discriminator(len(vocabulary), scale.width).to(device)
    adams = [
        torch.optim.Adam(network.parameters(), rate, betas=(0.5, 0.999))
        for network, rate in ((G, 4e-3), (D, 2e-3))
    ]
    falling = [  # the rates fall to 0 in the second half
        torch.optim.lr_scheduler.LambdaLR(adam, lambda t: min(1, 2 - 2 * t / steps))
        for adam in adams
    ]
    losses = []
    for step in range(steps):
        i = torch.randint(len(images), (64,), device=device)
        told = train_step(G, D, *adams, images[i], captions[i], always, latent_dim)
        for schedule in falling:
            schedule.step()
        if step % 20 == 0:
            losses.append((float(told["loss_d"]), float(told["loss_g"])))
    return G.eval(), losses

# %% [markdown]
# **What is measured.** The course's judge of this world, which was trained on other images of it, reads letter and size (of images enlarged to its 32 pixels); ink and background come from the colours themselves, the ink from the four pixels that are farthest from the background. The orders are the captions of 1,000 test images, and the first line says what these *real* images get; a generator with more than that would not be better, only easier to read. Whoever guesses gets 25 % of the letters, 17 % of inks and backgrounds and 50 % of the sizes.
#
# **What to expect.** Three runs as set above (1,000 steps of 64 images, width 12, seeds 0 to 2, on a CPU) drew 94.9 to 96.5 % of the letters as ordered, 71.9 to 76.4 % of the inks, all of the backgrounds and 91.7 to 96.0 % of the sizes. Of the letters in an ink that they were never shown in they drew 82.6 to 86.6 %. Yours need not be the same, but far below it something is wrong.

# %%
def shows(x):
    """Return what images (n, 3, 12, 12) show: numbers (n,) for each kind of word."""
    large = functional.interpolate(x, (32, 32), mode="bilinear")
    letter, size = judge.probabilities(large).argmax(1), judge.factors(large)["scale"]
    return {"letter": letter, **glyphs.measured_colors(x), "size": size}


def measure(name, x):
    """Print the shares obeyed; return the confusion matrices of pairs that were shown."""
    found, new, tables = shows(x), never_shown(test_set), {}
    for label, part in ((name, ~new), ("  never shown", new)):
        line = f"{label:14}"
        for word, (ordered, said, number) in orders.items():
            here = said & part
            table = confusion(ordered[here], found[word][here], number)
            line += f" {word} {float(obedience(table)[0]):6.1%} "
            tables.setdefault(word, table)
        print(line)
    return tables


if passed("q2", "q4", "q5", "q6", "q7"):
    seen = ~never_shown(train_set)
    sentences = train_set.captions()
    vocabulary = build_vocabulary(sentences)
    images = train_set.images()[seen]
    captions = word_sets(sentences, vocabulary).to(device)[seen]
    named = {*"ABCD", *glyphs.INKS, *glyphs.BACKGROUNDS}
    always = torch.tensor([word in named for word in vocabulary], device=device)
    tests = word_sets(test_set.captions(), vocabulary).to(device)
    size_said = tests[:, [vocabulary.index(word) for word in ("small", "large")]].any(1)
    everywhere = torch.ones_like(size_said)
    orders = {
        "letter": (test_set.factors["character"], everywhere, 10),
        "ink": (test_set.factors["ink"], everywhere, 6),
        "background": (test_set.factors["background"], everywhere, 6),
        "size": (test_set.factors["scale"], size_said, 2),
    }
    measure("real", test_set.images())
    for seed in range(scale.seeds):
        G, losses = train(seed, scale.steps)
        with torch.no_grad():
            drawn = G(torch.randn(len(tests), latent_dim, device=device), tests)
        tables = measure(f"seed {seed}", drawn)
        for word in ("letter", "ink"):
            names = list("ABCDEFGHIJ") if word == "letter" else list(glyphs.INKS)
            i, j = worst_confusion(tables[word])
            print(f"  {word}: most often confused, {names[i]} drawn as {names[j]}")

# %%
# @title Figure: letters and inks of the last run, none of them chosen, and what was confused
if passed("q2", "q4", "q5", "q6", "q7"):
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained", width_ratios=(1, 1.2, 1))
    wanted = [f"a large {ink} {letter} on a white background" for letter in "ABCD" for ink in glyphs.INKS]
    with torch.no_grad():
        grid = G(torch.randn(24, latent_dim, device=device), word_sets(wanted, vocabulary).to(device))
    plot.images(grid.cpu(), columns=6, ax=axes[0], title="ordered: A to D, large, on white;\n" + ", ".join(glyphs.INKS))
    for ax, word in zip(axes[1:], ("letter", "ink")):
        table = tables[word].cpu()
        names = list("ABCDEFGHIJ") if word == "letter" else list(glyphs.INKS)
        rows = [i for i in range(len(names)) if table[i].sum()]
        shares = table[rows] / table[rows].sum(1, keepdim=True)
        ax.imshow(shares, cmap="cividis", vmin=0, vmax=1)
        for i, j in ((i, j) for i in range(len(rows)) for j in range(len(names)) if shares[i, j] >= 0.005):
            ax.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=8, color="black" if shares[i, j] > 0.6 else "white")
        ax.set(xlabel=f"{word} that was read", ylabel="ordered", title=f"{word}s in pairs that were shown:\nshare of each row, in %")
        ax.set_xticks(range(len(names)), names, rotation=45 if word == "ink" else 0)
        ax.set_yticks(range(len(rows)), [names[i] for i in rows])
    plt.show()

# %% [markdown]
# Now write captions of your own. What happens with a word that the vocabulary does not have, without any background, or with two inks?

# %%
mine = [
    "a large red B on a white background",
    "a small blue C on a yellow background",
    "a large B",
    "a purple dog on a lime background",
    "a red blue A on a white background",
]
if passed("q2", "q4", "q5", "q6", "q7"):
    rows = word_sets(mine, vocabulary).to(device).repeat_interleave(6, 0)
    with torch.no_grad():
        own = G(torch.randn(len(rows), latent_dim, device=device), rows)
    figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
    plot.images(own.cpu(), columns=6, ax=ax, title="six samples each")
    for row, caption in enumerate(mine):
        ax.text(-2, 13 * row + 7, caption, ha="right", va="center")
    plt.show()

# %% [raw]
# # BEGIN QUESTION
# name: q8
# manual: true
# points: 8

# %% [markdown]
# ## Question 8: report
#
# Train with at least **three seeds**, then change **one thing** that has to do with the condition, say beforehand which words it will touch and why, and train with the same seeds again. For instance: no wrong captions (call no pair valid), a mean over the words in place of their sum, wrong captions that change one word only, fewer images of one letter, a caption encoder that reads in order, half the steps. Change copies under new names: your answers above are graded as they are defined when the whole notebook has run. Report in about 300 words and one table, with at least one figure of samples that are not chosen.
#
# | Points | For |
# |---|---|
# | 2 | a prediction by kind of word (letter, ink, background, size) that was made before the run and could have failed, with its reason |
# | 2 | a table with every seed of both settings, pairs that were shown and never shown apart, and beside them what real images and guessing get; the same test captions everywhere |
# | 2 | what the confusion matrices say: which values are taken for which, in how many seeds, and whether letters that were never shown in an ink differ from the others |
# | 1 | what the samples show besides obedience, in words that somebody else could check: whether images of one caption differ, what becomes of an unknown word or of two inks |
# | 1 | what your numbers do not show: seeds, budget, the judge, the size of this world |

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# A good report states the setting (letters A to D, 12×12 pixels, 1,000 steps of 64 images, width 12) and gives every seed, beside real images (99.6 % of the letters, 100 % of all else) and guessing. With the setting as it is handed out, letters were obeyed in 96.5, 94.9 and 95.5 % (seeds 0, 1, 2), in pairs that were never shown in 82.6, 85.9 and 86.6 %; inks in 71.9, 76.4 and 75.6 %, never shown 73.8, 81.2 and 81.2 %; sizes in 96.0, 91.7 and 92.6 %; backgrounds always. The worst confusion of the letters was B drawn as D in all three, that of the inks was brown, brown and green drawn as black. So the words differ by how much of the image they change: a background is nearly all of it, an ink the few pixels of the strokes, where dark colours are near one another. (Many greens among the samples look green, with a dark core: the measure takes the four pixels farthest from the background, which is right for real images and strict with these.) Letters suffer in pairs that were never shown, in three of three seeds; inks do not, and that no image showed a pair says nothing about each word by itself, which was learned with others.
#
# Predictions that can fail name a kind of word and a direction. An unknown word sets the 1 of `"<unknown>"`, which no training caption has: its weights in the generator's encoder have never been trained, so what comes is whatever they were at the start, and not "nothing". Limits to name: three seeds, one budget and one size of network, a world of four letters in one font, a judge trained at 32 pixels that reads enlarged images, and obedience itself, which one picture per caption would satisfy; samples of one caption should be looked at, or their spread be measured.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run everything from the top once more (*Runtime, Restart and run all* in Colab), save, and hand in this notebook.
