# %% [markdown]
# # Assignment: layers that fit, and a bound on the discriminator
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/assignments/dcgan_and_sngan/dcgan_and_sngan.ipynb)
#
# A convolutional GAN is made of a few kinds of layers. You compute what they do before you run them (their sides, their overlap, the size of what they return), take batch norm apart, bound the weights of a discriminator, and train with and without that bound. The assignment belongs to the chapters [Upsampling](https://github.com/gan-course/gan-course/blob/main/book/convolutional/upsampling.ipynb), [DCGAN](https://github.com/gan-course/gan-course/blob/main/book/convolutional/dcgan.ipynb) and [Spectral normalisation and the SNGAN](https://github.com/gan-course/gan-course/blob/main/book/convolutional/sngan.ipynb).
#
# **You will be able to** choose padding and output padding for the sides that you need; take the checkerboard out of a kernel; say what batch norm computes in training and in evaluation, and which biases it makes useless; choose the scale of the first weights; bound a weight's norm by power iteration with the right gradient; measure how much a convolution really stretches; write a training step with the hinge loss; and report an experiment over several seeds.
#
# **Time**: three to four hours. The training takes less than a minute on a CPU. **Points**: 30 for code that is tested, 11 for a proof and a report, which a person reads.
#
# Replace each `...` by your own lines. Below each question stands a check: run it as often as you like. It holds the public tests; when your work is graded, further tests with other numbers are run. A wrong answer to one question costs nothing in another.

# %%
# @title Setup
# In Colab this installs the course.
import sys

if "google.colab" in sys.modules:
    %pip install -q "gan-course @ git+https://github.com/gan-course/gan-course"

import copy
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from gan_course import data, metrics
from gan_course.notebook import plot, profiles

device = profiles.device()
print(f"torch {torch.__version__} on {device}")

# %% [raw]
# # BEGIN QUESTION
# name: q1

# %% [markdown]
# ## Question 1: the padding that fits
#
# A convolution with kernel $k$, stride $s$ and padding $p$ turns a side $n_\text{in}$ into
#
# $$n_\text{out} = \left\lfloor \frac{n_\text{in} + 2p - k}{s} \right\rfloor + 1 ,$$
#
# a transposed one, with the output padding $a \in \{0, \dots, s - 1\}$, into
#
# $$n_\text{out} = s\,(n_\text{in} - 1) + k - 2p + a .$$
#
# When you design a network you ask the other way round: both sides, $k$ and $s$ are given, which padding fits? Answer it for both layers:
#
# - `conv_padding`: the **smallest** $p \ge 0$;
# - `transposed_padding`: the pair $(p, a)$ with the **smallest** $a$ (and $p \ge 0$).
#
# Sometimes there is none; then return `None`.

# %% [raw]
# # BEGIN SOLUTION

# %%
def conv_padding(n_in, n_out, k, s):
    """Return the smallest padding with which a convolution turns side n_in into n_out.

    All four are integers from 1. Returns an int, or None if no padding does it.
    """
    # BEGIN SOLUTION
    p = max(0, math.ceil((s * (n_out - 1) + k - n_in) / 2))
    return p if (n_in + 2 * p - k) // s + 1 == n_out else None
    # END SOLUTION


def transposed_padding(n_in, n_out, k, s):
    """Return (padding, output_padding) for a transposed convolution from n_in to n_out.

    All four are integers from 1. Of the pairs that fit it is the one with the smallest
    output_padding, which must be below s; None if there is no such pair.
    """
    # BEGIN SOLUTION
    cut = s * (n_in - 1) + k - n_out  # this must be 2 p - a
    a = cut % 2 if cut >= 0 else -cut
    return ((cut + a) // 2, a) if a < s else None
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_two_layers(conv_padding, transposed_padding):
    got = conv_padding(28, 14, 4, 2)
    assert got == 1 and isinstance(got, int), f"Kernel 4 and stride 2 turn 28 into 14 with a padding of 1: (28 + 2 - 4) / 2 + 1 = 14; yours is {got!r} (an int is needed)."
    got = conv_padding(28, 28, 4, 1)
    assert got is None, f"With kernel 4 and stride 1, a side of 28 becomes 25, 27, 29, ...: no padding gives 28, so None; yours is {got}."
    got = transposed_padding(7, 14, 3, 2)
    assert got is not None and tuple(got) == (1, 1) and all(isinstance(x, int) for x in got), f"Kernel 3 and stride 2 turn 7 into 14 with padding 1 and output padding 1: 12 + 3 - 2 + 1; yours is {got} (two ints are needed)."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_down(conv_padding):
    import torch
    for n_in in range(1, 9):
        for k in range(1, 6):
            for s in range(1, 4):
                sides = {}
                for p in range(15):
                    if n_in + 2 * p >= k:
                        y = torch.nn.functional.conv1d(torch.zeros(1, 1, n_in), torch.zeros(1, 1, k), None, s, p)
                        sides.setdefault(y.shape[-1], p)
                for n_out in range(1, 9):
                    got = conv_padding(n_in, n_out, k, s)
                    assert got == sides.get(n_out), f"From {n_in} to {n_out} with kernel {k} and stride {s}: expected {sides.get(n_out)}, got {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_up(transposed_padding):
    import torch
    for n_in in range(1, 6):
        for k in range(1, 6):
            for s in range(1, 5):
                pairs = {}
                for a in range(s):
                    for p in range(12):
                        if s * (n_in - 1) + k - 2 * p + a >= 1:
                            y = torch.nn.functional.conv_transpose1d(torch.zeros(1, 1, n_in), torch.zeros(1, 1, k), None, s, p, a)
                            pairs.setdefault(y.shape[-1], (p, a))
                for n_out in range(1, 20):
                    got = transposed_padding(n_in, n_out, k, s)
                    got = got if got is None else tuple(got)
                    assert got == pairs.get(n_out), f"From {n_in} up to {n_out} with kernel {k} and stride {s}: expected {pairs.get(n_out)}, got {got}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2

# %% [markdown]
# ## Question 2: a kernel without a checkerboard
#
# In a transposed convolution each input stamps a copy of the kernel, scaled by its value, onto the output; the stamps lie $s$ apart and add up. Far from the border, what a pixel gets from a **constant** input depends only on its *phase* $(r, c)$, with $r, c \in \{0, \dots, s - 1\}$: it gets the weights $w_{ij}$ with $i \equiv r$ and $j \equiv c$ modulo $s$, and no others. Call their number $N_{rc}$ and their sum $S_{rc}$.
#
# Unequal sums are the checkerboard: a constant input becomes a pattern of period $s$. Equal numbers do not make equal sums. So
#
# - write `counts`, the numbers $N_{rc}$;
# - write `level`, which takes the pattern out of a kernel: to all weights of one phase it **adds** one and the same number, so that afterwards every phase has the sum $\bar S$, the mean of the $s^2$ sums before. Each pair of an input and an output channel has a kernel of its own, and its own $\bar S$.

# %% [raw]
# # BEGIN SOLUTION

# %%
def counts(k, s):
    """Return the numbers of weights in each phase of a k x k kernel, (s, s)."""
    # BEGIN SOLUTION
    line = torch.tensor([len(range(r, k, s)) for r in range(s)])
    return line[:, None] * line
    # END SOLUTION


def level(weight, s):
    """Return a new kernel in which all phases have the same sum.

    Args:
        weight: of shape (in, out, k, k), as ConvTranspose2d has it; it is not changed.
        s: the stride, at most k.
    """
    # BEGIN SOLUTION
    phases = [(r, c) for r in range(s) for c in range(s)]
    mean = sum(weight[..., r::s, c::s].sum((2, 3), keepdim=True) for r, c in phases) / s**2
    new = weight.clone()
    for r, c in phases:
        part = weight[..., r::s, c::s]
        missing = mean - part.sum((2, 3), keepdim=True)
        new[..., r::s, c::s] += missing / (part.shape[2] * part.shape[3])
    return new
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_cases(counts, level):
    import torch
    got = torch.as_tensor(counts(4, 2)).tolist()
    assert got == [[4, 4], [4, 4]], f"In a 4x4 kernel at stride 2 each phase has 4 weights; yours are {got}."
    got = torch.as_tensor(level(torch.tensor([[[[1.0, 0.0], [3.0, 4.0]]]]), 2))
    assert tuple(got.shape) == (1, 1, 2, 2), f"The new kernel has the shape {tuple(got.shape)}, expected that of the old one, (1, 1, 2, 2)."
    assert (got - 2).abs().max() < 1e-5, f"In a 2x2 kernel at stride 2 each weight is a phase; 1, 0, 3 and 4 all become their mean, 2; yours is {got.tolist()}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_counts(counts):
    import torch
    for k, s in ((3, 2), (5, 3), (2, 3), (6, 3), (5, 1), (7, 4)):
        wanted = [[sum(i % s == r and j % s == c for i in range(k) for j in range(k)) for c in range(s)] for r in range(s)]
        got = torch.as_tensor(counts(k, s)).tolist()
        assert got == wanted, f"Kernel {k}, stride {s}: expected {wanted}, got {got}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_level(level):
    import torch
    random = torch.Generator().manual_seed(2)
    names = level.__globals__
    own = names.get("counts")

    def right_counts(k, s):
        line = torch.tensor([-(-(k - r) // s) for r in range(s)])
        return torch.outer(line, line)

    for channels_in, channels_out, k, s in ((2, 3, 4, 2), (3, 2, 3, 2), (1, 2, 5, 3), (2, 2, 3, 1)):
        weight = torch.randn(channels_in, channels_out, k, k, dtype=torch.float64, generator=random)
        before = weight.clone()
        names["counts"] = right_counts  # so that this case does not depend on the other function
        try:
            got = torch.as_tensor(level(weight, s)).double()
        finally:
            names["counts"] = own
        assert torch.equal(weight, before), "The kernel that was given has changed; return a new one."
        for a in range(channels_in):
            flat = torch.nn.functional.conv_transpose2d(torch.ones(1, 1, 7, 7, dtype=torch.float64), got[a : a + 1], stride=s)
            inside = flat[0, :, k:-k, k:-k]
            for b in range(channels_out):
                wanted = float(before[a, b].sum()) / s**2
                assert (inside[b] - wanted).abs().max() < 1e-4, f"Kernel {k}, stride {s}: a constant of 1 does not become the constant mean of the sums of this pair of channels."
        added = got - before
        for r in range(s):
            for c in range(s):
                spread = added[..., r::s, c::s].flatten(2)
                assert (spread - spread[..., :1]).abs().max() < 1e-4, f"Kernel {k}, stride {s}: within one phase different numbers were added."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3

# %% [markdown]
# ## Question 3: batch norm, taken apart
#
# For each channel, batch norm computes $y = \gamma\,(x - \mu) / \sqrt{v + \varepsilon} + \beta$. In training, $\mu$ and $v$ are mean and variance of that channel over the batch and over all places, $v$ with division by the number $m$ of values; the *running* mean and variance, which start at 0 and 1, move by one tenth towards those of the batch, the variance with division by $m - 1$. In evaluation $\mu$ and $v$ are the running ones, and nothing moves.
#
# **(a) By hand.** One channel, $\gamma = 1$, $\beta = 0$, and $\varepsilon$ may be ignored. The first batch in training has the four values 0, 2, 4 and 6. Fill in, to three digits after the point: what becomes of the value 6, the running mean and variance after this batch, and what becomes of a 6 in evaluation afterwards.
#
# **(b) Useless biases.** A bias does nothing in training if the batch norm behind it subtracts it again. That takes two things: batch norm comes **directly** behind (`nn.Flatten` and `nn.Unflatten` in between move numbers and change none), and all numbers that **share one mean** were given the same bias. `BatchNorm2d` takes one mean per channel, over all its places; `BatchNorm1d`, on vectors, one mean per unit. Return the positions, in an `nn.Sequential`, of the linear and convolutional layers whose biases are useless (batch norm has biases of its own, which are not asked for).
#
# **(c) Folding.** In evaluation batch norm is the same affine map for every image. So it can be folded into the convolution before it: return one layer with bias that computes `norm(layer(x))` in evaluation. Derive its weights on paper first. In the weights of `Conv2d`, (out, in, k, k), the output channels come first; in those of `ConvTranspose2d`, (in, out, k, k), they come second.

# %% [raw]
# # BEGIN SOLUTION

# %%
by_hand = {"training": ..., "running mean": ..., "running var": ..., "evaluation": ...}
by_hand = {"training": 1.342, "running mean": 0.3, "running var": 1.567, "evaluation": 4.554}  # SOLUTION NO PROMPT


def useless_biases(network):
    """Return the positions of the layers whose biases do nothing in training.

    Args:
        network: an nn.Sequential of Linear, Conv2d and ConvTranspose2d (with or without
            bias), BatchNorm1d and BatchNorm2d, Flatten, Unflatten (from vectors to maps
            of several places), activations, and Dropout.

    Returns:
        A list of integers, counted from 0, in ascending order.
    """
    # BEGIN SOLUTION
    found, layers = [], list(network)
    moves, norms = (nn.Flatten, nn.Unflatten), (nn.BatchNorm1d, nn.BatchNorm2d)
    for position, layer in enumerate(layers):
        if isinstance(layer, norms) or getattr(layer, "bias", None) is None:
            continue
        behind = [other for other in layers[position + 1 :] if not isinstance(other, moves)]
        # a linear layer adds another bias to each place of a channel
        wanted = nn.BatchNorm1d if isinstance(layer, nn.Linear) else norms
        if behind and isinstance(behind[0], wanted):
            found.append(position)
    return found
    # END SOLUTION


def fold(layer, norm):
    """Return one layer that computes norm(layer(x)) as in evaluation; change neither.

    Args:
        layer: a Conv2d or ConvTranspose2d (groups=1), with or without bias.
        norm: the BatchNorm2d behind it; mind norm.eps.

    Returns:
        A layer of the same kind, with bias.
    """
    # BEGIN SOLUTION
    with torch.no_grad():
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shape = (1, -1, 1, 1) if isinstance(layer, nn.ConvTranspose2d) else (-1, 1, 1, 1)
        bias = torch.zeros_like(scale) if layer.bias is None else layer.bias
        folded = copy.deepcopy(layer)
        folded.weight = nn.Parameter(layer.weight * scale.view(shape))
        folded.bias = nn.Parameter(norm.bias + (bias - norm.running_mean) * scale)
    return folded
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_plain_cases(useless_biases, fold):
    import torch
    from torch import nn
    network = nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.2))
    got = list(useless_biases(network))
    assert got == [2], f"Only the second convolution, at position 2, has batch norm directly behind it; yours are {got}."
    layer, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)
    with torch.no_grad():
        for value, number in ((layer.weight, 3.0), (layer.bias, 1.0), (norm.running_mean, 5.0), (norm.running_var, 4.0), (norm.weight, 2.0), (norm.bias, 0.5)):
            value.fill_(number)
        got = float(fold(layer, norm)(torch.full((1, 1, 1, 1), 2.0)))
    assert abs(got - 2.5) < 1e-5, f"A 2 becomes 3 * 2 + 1 = 7, and (7 - 5) / 2 * 2 + 0.5 = 2.5; your layer gives {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_by_hand_agrees(by_hand):
    follows = (6 - by_hand["running mean"]) / by_hand["running var"] ** 0.5
    assert abs(by_hand["evaluation"] - follows) < 3e-3, f"From your running mean and variance a 6 becomes {follows:.3f} in evaluation; you have {by_hand['evaluation']}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_by_hand(by_hand):
    for name, wanted in (("training", 1.34164), ("running mean", 0.3), ("running var", 1.56667), ("evaluation", 4.55396)):
        assert abs(float(by_hand[name]) - wanted) < 2e-3, f"'{name}' is another number."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_useless_biases(useless_biases):
    from torch import nn
    cases = [
        ([nn.Linear(4, 32), nn.Unflatten(1, (8, 2, 2)), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.BatchNorm2d(1)], [3]),
        ([nn.Linear(4, 32), nn.BatchNorm1d(32), nn.Unflatten(1, (8, 2, 2)), nn.ConvTranspose2d(8, 1, 4, 2, 1)], [0]),
        ([nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, 8), nn.ReLU(), nn.BatchNorm1d(8)], []),
        ([nn.Conv2d(3, 4, 1), nn.Flatten(), nn.BatchNorm1d(4 * 9), nn.Linear(36, 5), nn.BatchNorm1d(5)], [0, 3]),
        ([nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1)], [0]),
        ([nn.Conv2d(3, 4, 1), nn.Dropout(0.5), nn.BatchNorm2d(4), nn.Tanh()], []),
    ]
    for layers, wanted in cases:
        got = sorted(useless_biases(nn.Sequential(*layers)))
        assert got == wanted, f"In {layers} the useless biases are at {wanted}; yours are {got}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_fold(fold):
    import torch
    from torch import nn
    torch.manual_seed(4)
    for layer in (nn.Conv2d(3, 5, 3, 2, 1, bias=False), nn.Conv2d(2, 2, 3), nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=False), nn.ConvTranspose2d(4, 4, 3, 2, 1, 1)):
        norm = nn.BatchNorm2d(layer.out_channels, eps=0.1)
        with torch.no_grad():
            for value in (norm.weight, norm.bias, norm.running_mean):
                value.normal_()
            norm.running_var.uniform_(0.05, 2)
            norm.eval()
            x = torch.randn(2, layer.in_channels, 6, 6)
            wanted = norm(layer(x))
            difference = (fold(layer, norm)(x) - wanted).abs().max()
            assert difference < 1e-4, f"{layer}: folded, it differs from norm(layer(x)) by up to {difference:.3g}."
            assert torch.equal(norm(layer(x)), wanted), f"{layer}: folding has changed the layer or the norm itself."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4

# %% [markdown]
# ## Question 4: how far does a signal get?
#
# A discriminator without batch norm has nothing that corrects the size of its activations, so the first weights must be right. Let a layer without bias have independent weights from $\mathcal{N}(0, \tau^2)$, and let each of its outputs be a sum of $n$ products of a weight and an input (the *fan-in*). Let $m$ be the mean of the squared inputs. Then an output is normal, with mean 0 and a variance that you find, and behind a LeakyReLU of slope $a$ the mean square is half from positive outputs and half, times $a^2$, from negative ones.
#
# - `fan_in`: the $n$ of a layer, far from the border of the map. For a transposed convolution count with question 2: how many weights reach one output pixel? The stride divides the kernel.
# - `mean_square`: the mean square behind a stack of layers with fan-ins $n_1, n_2, \dots$, each followed by a LeakyReLU, where $m$ went in. Derive the factor of one layer first.
# - `keeping_std`: the $\tau$ with which the factor of a layer is 1.

# %% [raw]
# # BEGIN SOLUTION

# %%
def fan_in(layer):
    """Return how many inputs an output of a layer sums, an int.

    Args:
        layer: a Linear, Conv2d or ConvTranspose2d (groups=1). Kernel and stride are
            square, and in a ConvTranspose2d the stride divides the kernel.
    """
    # BEGIN SOLUTION
    if isinstance(layer, nn.Linear):
        return layer.in_features
    reach = layer.kernel_size[0]
    if isinstance(layer, nn.ConvTranspose2d):
        reach //= layer.stride[0]
    return layer.in_channels * reach**2
    # END SOLUTION


def mean_square(m, fan_ins, std, slope):
    """Return the mean square behind a stack of layers with LeakyReLU(slope), a float.

    Args:
        m: mean square of the input.
        fan_ins: a list of integers, one for each layer.
        std: standard deviation of all weights.
        slope: of the LeakyReLU behind each layer; 0 is ReLU, 1 is no activation.
    """
    # BEGIN SOLUTION
    for n in fan_ins:
        m = m * n * std**2 * (1 + slope**2) / 2
    return m
    # END SOLUTION


def keeping_std(n, slope):
    """Return the standard deviation of weights that keeps the mean square, a float."""
    # BEGIN SOLUTION
    return math.sqrt(2 / (n * (1 + slope**2)))
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_plain_cases(fan_in, mean_square, keeping_std):
    from torch import nn
    got = fan_in(nn.Conv2d(3, 8, 4, 2, 1))
    assert got == 48, f"Each output of a 4x4 convolution of 3 channels sums 16 places of 3 channels, 48 products; yours says {got}."
    got = float(mean_square(2.0, [100], 0.1, 1.0))
    assert abs(got - 2) < 1e-6, f"100 products of variance 0.01 times 2, and no activation (slope 1): 2; yours is {got:.4f}."
    got = float(keeping_std(4, 1.0))
    assert abs(got - 0.5) < 1e-6, f"Fan-in 4 and slope 1: four weights of variance 1/4 keep the mean square, so 0.5; yours is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_fan_in(fan_in):
    import torch
    from torch import nn
    names = fan_in.__globals__
    own = names.get("counts")
    cases = [
        (nn.Linear(7, 3), 7), (nn.Conv2d(5, 2, 3), 45), (nn.Conv2d(16, 32, 4, 2, 1), 256),
        (nn.ConvTranspose2d(32, 16, 4, 2, 1), 128), (nn.ConvTranspose2d(10, 3, 6, 3), 40), (nn.ConvTranspose2d(6, 9, 3), 54),
    ]
    for layer, wanted in cases:
        # right where the stride divides the kernel, so that this case does not depend on question 2
        names["counts"] = lambda k, s: torch.full((s, s), (k // s) ** 2)
        try:
            got = fan_in(layer)
        finally:
            names["counts"] = own
        assert got == wanted, f"{layer}: expected {wanted}, got {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_mean_square(mean_square):
    import torch
    for m, fan_ins, std, slope, wanted in ((1.0, [100, 50], 0.1, 0.0, 0.125), (0.5, [16, 256, 512], 0.02, 0.2, 9.43604e-6), (3.0, [], 0.5, 0.3, 3.0)):
        got = float(mean_square(m, fan_ins, std, slope))
        assert abs(got - wanted) < 1e-4 * wanted, f"m = {m}, fan-ins {fan_ins}, std {std}, slope {slope}: expected {wanted:.6g}, got {got:.6g}."
    random = torch.Generator().manual_seed(0)
    x = torch.rand(64, 600, generator=random)
    m = float(x.square().mean())
    for _ in range(2):
        x = torch.nn.functional.leaky_relu(x @ (0.07 * torch.randn(600, 600, generator=random)), 0.2)
    got, wanted = float(mean_square(m, [600, 600], 0.07, 0.2)), float(x.square().mean())
    assert abs(got / wanted - 1) < 0.25, f"Two random layers of 600 units have the mean square {wanted:.3f}, yours says {got:.3f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_keeping_std(keeping_std):
    import math
    names = keeping_std.__globals__
    own = names.get("mean_square")
    for n, slope, wanted in ((50, 0.0, 0.2), (512, 0.2, 0.0612863), (200, 1.0, 0.07071068)):
        # a right one, so that this case does not depend on the other function
        names["mean_square"] = lambda m, fan_ins, std, a: m * math.prod(k * std**2 * (1 + a**2) / 2 for k in fan_ins)
        try:
            got = float(keeping_std(n, slope))
        finally:
            names["mean_square"] = own
        assert abs(got - wanted) < 1e-5, f"Fan-in {n}, slope {slope}: expected {wanted:.5f}, got {got:.5f}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5

# %% [markdown]
# ## Question 5: a weight whose norm is at most $b$
#
# SNGAN divides every weight by its norm, so that all norms are 1. A gentler way leaves small weights alone and only **shrinks** those that are too large:
#
# $$\bar W = \begin{cases} W & \text{if } \hat\sigma \le b, \\ (b / \hat\sigma)\, W & \text{if } \hat\sigma > b. \end{cases}$$
#
# Here $W$ is seen as a matrix with one row per output, and $\hat\sigma$ is the estimate after **one** round of power iteration from a unit vector $u$, which is kept from update to update:
#
# $$v = \frac{W^\top u}{\lVert W^\top u \rVert}, \qquad u' = \frac{W v}{\lVert W v \rVert}, \qquad \hat\sigma = u'^\top W v .$$
#
# Write it with the right gradient: $u'$ and $v$ count as constants, but $\hat\sigma$ depends on $W$, and the gradient of a shrunk weight must know it. (Otherwise the loss pushes $W$ to grow, which changes nothing.)

# %% [raw]
# # BEGIN SOLUTION

# %%
def bounded(weight, u, bound=1.0):
    """Return the weight to use, and the new u; change neither argument.

    Args:
        weight: of shape (out, ...), for instance (out, in) or (out, in, k, k).
        u: a unit vector of shape (out,).
        bound: the largest norm allowed, above 0.

    Returns:
        (weight to use, of the shape of weight; new unit vector of shape (out,), without
        graph).
    """
    # BEGIN SOLUTION
    matrix = weight.flatten(1)
    with torch.no_grad():
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    sigma = u @ matrix @ v
    return weight / (sigma / bound).clamp(min=1), u
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_diagonal(bounded):
    import torch
    weight, u = torch.diag(torch.tensor([3.0, 1.0])), torch.tensor([1.0, 0.0])
    used, new = bounded(weight, u)
    assert torch.allclose(used, weight / 3), f"diag(3, 1) has norm 3; with a bound of 1 it becomes diag(1, 1/3); yours is {used.tolist()}."
    assert torch.allclose(new, u), f"u = (1, 0) is its leading direction already and stays; yours becomes {new.tolist()}."
    used, _ = bounded(weight, u, bound=5.0)
    assert torch.allclose(used, weight), f"With a bound of 5 the same weight is small enough and stays; yours is {used.tolist()}."
    used, new = bounded(torch.full((2, 3, 4, 4), 0.5), u)
    assert tuple(used.shape) == (2, 3, 4, 4) and tuple(new.shape) == (2,), f"A kernel (2, 3, 4, 4) and u of shape (2,) keep their shapes; yours become {tuple(used.shape)} and {tuple(new.shape)}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_one_round(bounded):
    import torch
    weight, start = torch.tensor([[3.0, 0.0], [4.0, 5.0]]), torch.tensor([1.0, 0.0])
    used, u = bounded(weight, start, 2.0)
    assert torch.allclose(used, weight * 0.4, atol=1e-5) and torch.allclose(u, torch.tensor([0.6, 0.8]), atol=1e-5), "One round for ((3, 0), (4, 5)) from (1, 0) gives the estimate 5 and u = (0.6, 0.8); with a bound of 2 the weight is used 0.4 times."
    assert start.tolist() == [1.0, 0.0], "The vector u that was given has changed."
    used, u = bounded(weight, u, 2.0)
    assert torch.allclose(used, weight * 2 / 6.6718, atol=1e-4), "A second round, from the vector of the first, estimates 6.672."
    used, u = bounded(0.1 * weight, start)
    assert torch.allclose(u, torch.tensor([0.6, 0.8]), atol=1e-5), "The vector moves on where the weight is not shrunk, too."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_kernels(bounded):
    import torch
    random = torch.Generator().manual_seed(8)
    weight = torch.randn(6, 3, 4, 4, generator=random, dtype=torch.float64).requires_grad_()
    u = torch.nn.functional.normalize(torch.randn(6, generator=random, dtype=torch.float64), dim=0)
    for _ in range(300):
        used, u = bounded(weight, u, 1.5)
        assert not u.requires_grad, "The new u has a graph, which would grow from update to update."
    assert used.shape == weight.shape, f"A kernel {tuple(weight.shape)} comes back as {tuple(used.shape)}."
    norm = float(torch.linalg.matrix_norm(used.detach().flatten(1), 2))
    assert abs(norm - 1.5) < 1e-4, f"After many rounds the reshaped kernel has norm 1.5; yours has {norm:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_gradient(bounded):
    import torch
    random = torch.Generator().manual_seed(9)
    weight = torch.randn(4, 5, generator=random, dtype=torch.float64)
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    gamma = torch.randn(4, 5, generator=random, dtype=torch.float64)
    for bound in (0.7, 10.0):
        w = weight.clone().requires_grad_()
        used, _ = bounded(w, left[:, 0].clone(), bound)
        (gradient,) = torch.autograd.grad((used * gamma).sum(), w)

        def loss(changed):
            norm = float(torch.linalg.matrix_norm(changed, 2))
            return float((changed * min(1.0, bound / norm) * gamma).sum())

        for i in range(4):
            for j in range(5):
                step = torch.zeros(4, 5, dtype=torch.float64)
                step[i, j] = 1e-6
                wanted = (loss(weight + step) - loss(weight - step)) / 2e-6
                assert abs(float(gradient[i, j]) - wanted) < 1e-5, f"With a bound of {bound} (the norm is {float(values[0]):.2f}) the gradient of entry ({i}, {j}) is {wanted:.5f}, yours is {float(gradient[i, j]):.5f}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q6

# %% [markdown]
# ## Question 6: the image that is stretched most
#
# The norm of question 5 is that of the kernel as a matrix $(\text{out}, \text{in} \cdot k \cdot k)$. A convolution applies it at many places at once, and as a map of images it can stretch more: its own norm is the largest $\lVert \text{conv}(x) \rVert / \lVert x \rVert$. Find the image that reaches it:
#
# - `steepest_image`: power iteration on the convolution $A$ itself, $x \leftarrow A^\top A\, x$, then divided by its norm. $A$ is `F.conv2d`, with zero padding and without bias; $A^\top$ is the transposed convolution with the same kernel, stride and padding. Mind its size: without the right output padding it does not come back to $n$.
# - `tap_bound`: an upper bound that needs no iteration. Write $K_{ij}$ for the matrix (out, in) that the kernel has at place $(i, j)$; the bound is $\sum_{i,j} \lVert K_{ij} \rVert_2$, the sum of their largest singular values. (Why it is one, you prove in question 8.)

# %% [raw]
# # BEGIN SOLUTION

# %%
def steepest_image(weight, n, stride, padding, rounds=100):
    """Return (image, stretch) for a convolution of images of side n.

    Args:
        weight: of shape (out, in, k, k), on any device.

    Returns:
        image: of shape (1, in, n, n) and norm 1, the one that is stretched most.
        stretch: the norm of its convolution, a float.
    """
    # BEGIN SOLUTION
    weight = weight.detach()
    rest = (n + 2 * padding - weight.shape[-1]) % stride
    x = torch.randn(1, weight.shape[1], n, n).to(weight)
    for _ in range(rounds):
        y = F.conv2d(x, weight, stride=stride, padding=padding)
        x = F.conv_transpose2d(y, weight, None, stride, padding, rest)
        x = x / x.norm()
    return x, float(F.conv2d(x, weight, stride=stride, padding=padding).norm())
    # END SOLUTION


def tap_bound(weight):
    """Return the sum of the norms of the K_ij of a kernel (out, in, k, k), a float."""
    # BEGIN SOLUTION
    return float(torch.linalg.matrix_norm(weight.detach().permute(2, 3, 0, 1), 2).sum())
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_plain_cases(steepest_image, tap_bound):
    import torch
    torch.manual_seed(0)
    image, stretch = steepest_image(torch.full((1, 1, 1, 1), -2.0), 4, 1, 0)
    assert tuple(image.shape) == (1, 1, 4, 4), f"The image has the shape {tuple(image.shape)}, expected (1, 1, 4, 4)."
    assert abs(float(image.norm()) - 1) < 1e-4, f"The image has norm 1; yours has {float(image.norm()):.4f}."
    assert abs(float(stretch) - 2) < 1e-4, f"A 1x1 kernel of -2 makes every image twice as long; yours says {float(stretch):.4f}."
    got = float(tap_bound(torch.ones(1, 1, 3, 3)))
    assert abs(got - 9) < 1e-5, f"Nine matrices (1,) have norm 1 each, 9 together; yours says {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_against_the_matrix(steepest_image):
    import torch
    names = steepest_image.__globals__
    own = names.get("transposed_padding")

    def right_padding(n_in, n_out, k, s):
        fits = [((s * (n_in - 1) + k - n_out + a) // 2, a) for a in range(s) if (s * (n_in - 1) + k - n_out + a) % 2 == 0]
        return next(((p, a) for p, a in fits if p >= 0), None)

    torch.manual_seed(1)
    for shape, n, stride, padding in (((3, 2, 3, 3), 5, 1, 1), ((2, 1, 4, 4), 7, 2, 1), ((2, 3, 4, 4), 6, 2, 1), ((2, 2, 3, 3), 6, 3, 1)):
        weight = torch.randn(shape)
        basis = torch.eye(shape[1] * n * n).view(-1, shape[1], n, n)
        columns = torch.nn.functional.conv2d(basis, weight, stride=stride, padding=padding).flatten(1)
        wanted = float(torch.linalg.matrix_norm(columns, 2))
        names["transposed_padding"] = right_padding  # so that this case does not depend on question 1
        try:
            image, stretch = steepest_image(weight, n, stride, padding, rounds=150)
        finally:
            names["transposed_padding"] = own
        what = f"Kernel {shape}, side {n}, stride {stride}, padding {padding}"
        assert abs(float(stretch) - wanted) < 0.01 * wanted, f"{what}: the norm is {wanted:.4f}, yours is {float(stretch):.4f}."
        image = image.detach()
        assert tuple(image.shape) == (1, shape[1], n, n) and abs(float(image.norm()) - 1) < 1e-4, f"{what}: not an image of norm 1 of the right shape."
        reached = float(torch.nn.functional.conv2d(image, weight, stride=stride, padding=padding).norm())
        assert abs(reached - wanted) < 0.01 * wanted, f"{what}: your image is stretched {reached:.4f} times, {wanted:.4f} is possible."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_tap_bound(tap_bound):
    import torch
    weight = torch.zeros(2, 2, 2, 2)
    weight[:, :, 0, 0] = torch.tensor([[3.0, 0.0], [4.0, 5.0]])
    weight[:, :, 1, 0] = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    weight[:, :, 1, 1] = torch.tensor([[-1.0, 0.0], [0.0, -1.0]])
    got, wanted = float(tap_bound(weight)), 45**0.5 + 2 + 1
    assert abs(got - wanted) < 1e-4, f"Three matrices with norms sqrt(45), 2 and 1 give {wanted:.4f}; yours says {got:.4f}."
    got = float(tap_bound(torch.full((3, 2, 1, 2), 1.0)))
    assert abs(got - 2 * 6**0.5) < 1e-4, f"Two matrices (3, 2) of ones have norm sqrt(6) each; yours says {got:.4f} together."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q7

# %% [markdown]
# ## Question 7: a step with the hinge loss
#
# The hinge loss asks a discriminator for logits above 1 on real images and below −1 on generated ones, and takes no notice of those that are beyond:
#
# $$L_D = \frac1B \sum_i \max\bigl(0, 1 - \ell(x_i)\bigr) + \frac1B \sum_j \max\bigl(0, 1 + \ell(G(z_j))\bigr), \qquad L_G = -\frac1B \sum_j \ell(G(z_j)) .$$
#
# Only the discriminator is bounded. Each of its bounded weights keeps a vector $u$, and `advance(discriminator)`, which is given, moves all of them by one round. It must be called **once before each update of the discriminator** and at no other time, so that all passes between two updates, the generator's among them, see the same weights.
#
# Write a step: one update of the discriminator for each batch in `real`, each with new latent vectors $z \sim \mathcal{N}(0, I)$, then one update of the generator, again with new ones, through the updated discriminator. Each update changes one network only, and no gradient may be left in the discriminator. This discriminator has no batch norm; so one pass over real and generated images together is allowed.

# %%
class Bounded(nn.Module):
    """Uses a weight as `bounded` returns it, and keeps the vector u."""

    def __init__(self, weight, bound):
        super().__init__()
        self.bound = bound
        u = F.normalize(torch.randn(len(weight)).to(weight), dim=0)
        self.register_buffer("u", u)
        for _ in range(20):
            self.advance(weight)

    def forward(self, weight):
        return bounded(weight, self.u, self.bound)[0]  # u stays

    @torch.no_grad()
    def advance(self, weight):
        self.u.copy_(bounded(weight, self.u, self.bound)[1])


def advance(network):
    """One round of power iteration in every bounded weight of a network."""
    for module in network.modules():
        if isinstance(module, parametrize.ParametrizationList):
            module[0].advance(module.original)

# %% [raw]
# # BEGIN SOLUTION

# %%
def hinge_step(generator, discriminator, optimizer_g, optimizer_d, real, latent_dim):
    """Update the discriminator once for each batch, then the generator once.

    Args:
        generator: maps latents (B, latent_dim) to images.
        discriminator: maps images to logits (B,).
        real: images of shape (batches, B, ...).

    Returns:
        A dictionary of detached scalars: "loss_d" and "loss_g", the losses before the
        last update of each network, and "inside", the share of the real images in the
        last batch whose logits, before that update, were below 1.
    """
    # BEGIN SOLUTION
    for x in real:
        advance(discriminator)
        with torch.no_grad():
            fake = generator(torch.randn(len(x), latent_dim, device=x.device))
        real_logits, fake_logits = discriminator(x), discriminator(fake)
        loss_d = F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()

    z = torch.randn(real.shape[1], latent_dim, device=real.device)
    loss_g = -discriminator(generator(z)).mean()
    optimizer_g.zero_grad()
    loss_g.backward()
    optimizer_g.step()
    optimizer_d.zero_grad()
    inside = (real_logits < 1).float().mean()
    return {"loss_d": loss_d.detach(), "loss_g": loss_g.detach(), "inside": inside}
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_both_learn(hinge_step):
    import torch
    torch.manual_seed(0)
    g = torch.nn.Linear(3, 4)
    d = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    before = [p.detach().clone() for p in (g.weight, d[0].weight)]
    told = hinge_step(g, d, torch.optim.SGD(g.parameters(), 0.1), torch.optim.SGD(d.parameters(), 0.1), torch.randn(2, 8, 4), 3)
    assert not torch.equal(g.weight, before[0]), "After a step the generator is what it was before."
    assert not torch.equal(d[0].weight, before[1]), "After a step the discriminator is what it was before."
    assert set(told) == {"loss_d", "loss_g", "inside"}, f"The step returns loss_d, loss_g and inside; yours returns {sorted(told)}."
    left = [p.grad for p in d.parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert not left, "After the step the discriminator still has gradients that are not 0; no gradient may be left in it."
    assert all(p.requires_grad for p in d.parameters()), "After the step weights of the discriminator do not require a gradient any more, so it cannot learn in the next step."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_values(hinge_step):
    import torch
    # the generator ignores its latent vectors, so the steps can be done by hand
    steps = [[[2.0, 2.0, 2.0, 2.0], [0.3, 0.3, 2.0, 0.3]], [[1.0, 0.2, 3.0, -1.0], [0.5, 1.5, 0.1, 2.0]]]
    for start in (0.5, -2.0):  # from the second, the generated logits are below -1 at first
        g = torch.nn.Linear(2, 1)
        d = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Flatten(0))
        with torch.no_grad():
            for p, value in zip((g.weight, g.bias, d[0].weight, d[0].bias), (0.0, start, 1.0, 0.25)):
                p.fill_(value)
        optimizers = torch.optim.SGD([g.bias], 0.2), torch.optim.SGD(d.parameters(), 0.1)
        w, b, at = 1.0, 0.25, start
        for number, real in enumerate(steps):
            told = hinge_step(g, d, *optimizers, torch.tensor(real).unsqueeze(2), 2)
            for batch in real:
                pays = [w * x + b < 1 for x in batch]
                fake_pays = w * at + b > -1
                loss_d = sum(max(0, 1 - w * x - b) for x in batch) / 4 + max(0, 1 + w * at + b)
                by_w = fake_pays * at - sum(x for x, pay in zip(batch, pays) if pay) / 4
                w, b = w - 0.1 * by_w, b - 0.1 * (fake_pays - sum(pays) / 4)
            loss_g, at = -(w * at + b), at + 0.2 * w
            got = [float(p.detach()) for p in (d[0].weight, d[0].bias, g.bias)]
            when = f"Start {start}, step {number}:"
            assert abs(got[0] - w) < 1e-5 and abs(got[1] - b) < 1e-5, f"{when} by hand, the discriminator's weight and bias become {w:.4f} and {b:.4f}; yours are {got[0]:.4f} and {got[1]:.4f}."
            assert abs(got[2] - at) < 1e-5, f"{when} by hand, the generator's bias becomes {at:.4f}; yours is {got[2]:.4f}. It follows the updated discriminator, with the gradient of this step only."
            for name, wanted in (("loss_d", loss_d), ("loss_g", loss_g), ("inside", sum(pays) / 4)):
                assert abs(float(told[name]) - wanted) < 1e-5, f"{when} {name} is {wanted:.5f}, yours is {float(told[name]):.5f}."
    assert not any(getattr(value, "requires_grad", False) for value in told.values()), "The step returns numbers with their graphs; detach them."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_when_it_advances(hinge_step):
    import torch

    class Spy(torch.nn.Linear):
        def forward(self, z):
            seen.append(z.detach().clone())
            return super().forward(z)

    seen, times, passes = [], [], []
    names = hinge_step.__globals__
    own = names.get("advance")
    torch.manual_seed(3)
    g = Spy(5, 4)
    d = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    optimizer_d = torch.optim.SGD(d.parameters(), 0.1)
    updates = []
    optimizer_d.register_step_post_hook(lambda *_: updates.append(1))
    d.register_forward_hook(lambda *_: passes.append((len(updates), len(times))))
    names["advance"] = lambda network: times.append((network is d, len(updates)))
    try:
        hinge_step(g, d, torch.optim.SGD(g.parameters(), 0.1), optimizer_d, torch.randn(3, 200, 4), 5)
    finally:
        if own is None:
            del names["advance"]
        else:
            names["advance"] = own
    assert times == [(True, 0), (True, 1), (True, 2)], "For three batches, advance(discriminator) is called three times: before the first, the second and the third update of the discriminator."
    between = [{advanced for done, advanced in passes if done == update} for update in range(4)]
    assert all(len(counts) < 2 for counts in between), "All passes between two updates of the discriminator see the same weights, so advance must not be called between its pass over real images and that over generated ones."
    shapes = {tuple(z.shape) for z in seen}
    assert all(len(shape) == 2 and shape[1] == 5 for shape in shapes), f"The latent vectors have the shapes {shapes}, expected (200, 5)."
    different = len(torch.cat(seen).unique(dim=0))
    assert different >= 800, f"Each of the three updates of the discriminator and the generator's update have 200 latent vectors of their own, 800 together; yours used {different} different ones."
    assert all(abs(float(z.mean())) < 0.15 and abs(float(z.std()) - 1) < 0.15 for z in seen), "The latent vectors are not standard normal."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Train it
#
# Now everything that you wrote comes together, on digits of 8×8 pixels enlarged to 16×16: your paddings make both networks, `keeping_std` draws the discriminator's first weights, `useless_biases` cleans the generator, your step trains them, with and without a bound on the discriminator's weights. The discriminator has a learning rate **fifty times** that of the generator. No one would choose that; it is a discriminator that runs away, and the question is what the bound can do about it. After 300 steps on a CPU expect Fréchet distances of about 50 to 60 with the bound and above 100 without (measured with three seeds, seed by seed the same way round); real digits get about 6. So even the better samples are unfinished: some are digits, many are only strokes. For three seeds set `seeds` to 3 in the line of `scale` that is in force (`quick` without a GPU).
#
# Samples are compared with held-out digits, by the Fréchet distance in the features of a small classifier. As a floor, real training digits are measured against the same held-out ones. The classifier was trained on the training digits, so this floor may be a little lower than that of unseen digits.

# %%
scale = profiles.pick(
    quick=dict(steps=300, seeds=1),
    book=dict(steps=300, seeds=3),
    full=dict(steps=3_000, seeds=3),
)
latent_dim, batches = 64, 1
rate_g, rate_d = 1e-3, 5e-2
bounds = (None, 1.0)  # None: weights are used as they are
smooth_start = False  # True: the generator's first kernels go through level


def draw_weights(network, std=None, smooth=False):
    """First weights: of this std, or such that they keep the mean square; biases 0."""
    for layer in network:
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            tau = std or float(keeping_std(fan_in(layer), 0.2))
            nn.init.normal_(layer.weight, 0.0, tau)
            nn.init.zeros_(layer.bias)
        if smooth and isinstance(layer, nn.ConvTranspose2d):
            layer.weight.data = level(layer.weight.data, layer.stride[0])


def networks(bound, smooth=False):
    """Return a generator of digits, and a discriminator with norms of at most bound."""
    up = [(n, 2 * n, 4, 2) for n in (4, 8)]  # sides, kernel and stride
    down = [(2 * n, n, 4, 2) for n in (8, 4)]
    generator = nn.Sequential(
        nn.Linear(latent_dim, 512), nn.Unflatten(1, (32, 4, 4)),
        nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, *transposed_padding(*up[0])),
        nn.BatchNorm2d(16), nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, *transposed_padding(*up[1])), nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, conv_padding(*down[0])), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 2, conv_padding(*down[1])), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(512, 1), nn.Flatten(0),
    )
    draw_weights(generator, 0.02, smooth)  # as in DCGAN: batch norm corrects the scale
    draw_weights(discriminator)
    for position in useless_biases(generator):
        generator[position].bias = None
    for layer in discriminator:
        if bound is not None and hasattr(layer, "weight"):
            wrap = Bounded(layer.weight.detach(), bound)
            parametrize.register_parametrization(layer, "weight", wrap)
    return generator.to(device), discriminator.to(device)


def train(seed, bound, steps):
    """Return both trained networks, and pairs (loss_d, inside), one every 20 steps."""
    torch.manual_seed(seed)
    generator, discriminator = networks(bound, smooth_start)
    optimizer_g = torch.optim.Adam(generator.parameters(), rate_g, betas=(0.0, 0.9))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), rate_d, betas=(0.0, 0.9))
    kept = []
    for step in range(steps):
        real = train_set.draw(64 * batches, seed=step).unflatten(0, (batches, 64))
        told = hinge_step(
            generator, discriminator, optimizer_g, optimizer_d, real, latent_dim
        )
        if step % 20 == 0:
            kept.append((float(told["loss_d"]), float(told["inside"])))
    return generator.eval(), discriminator, kept


# %%
# @title Figure: three constant inputs to the last layer, untrained (contrast times 4)
if passed("q1", "q2", "q3", "q4"):
    figure, axes = plt.subplots(1, 2, figsize=(7, 1.8), layout="constrained")
    x = torch.randn(3, 16, 1, 1, generator=torch.Generator().manual_seed(0))
    for smooth, ax in zip((False, True), axes):
        torch.manual_seed(0)
        generator, _ = networks(None, smooth)
        with torch.no_grad():
            y = generator[7](x.expand(-1, -1, 8, 8).to(device)).cpu()
        title = "kernels through level" if smooth else "kernels as drawn"
        plot.images((4 * y).clamp(-1, 1), columns=3, ax=ax, title=title)
    plt.show()

# %%
runs = {}
if passed("q1", "q2", "q3", "q4", "q5", "q6", "q7"):
    train_set = data.load("digits", size=16, device=device)
    test_set = data.load("digits", size=16, split="test", device=device)
    judge = metrics.judge("digits", 16, device)
    reference = judge.features(test_set.draw(500))
    floor = metrics.frechet_distance(judge.features(train_set.draw(500)), reference)
    print(f"500 training digits: Frechet distance {floor:.1f} from 500 test digits")
    for seed in range(scale.seeds):
        for bound in bounds:
            generator, discriminator, kept = train(seed, bound, scale.steps)
            torch.manual_seed(seed)
            with torch.no_grad():
                samples = generator(torch.randn(500, latent_dim, device=device))
            found = judge.features(samples)
            distance = metrics.frechet_distance(found, reference)
            runs[bound] = generator, discriminator, kept, samples.cpu()
            print(f"seed {seed}, bound {bound}: Frechet distance {distance:.1f}")

# %%
# @title Figure: samples of the last seed, none of them chosen, and two curves
if runs:
    columns = max(2, len(runs))
    figure, axes = plt.subplots(
        2, columns, figsize=(4.5 * columns, 4.6), layout="constrained", squeeze=False
    )
    styles = dict(zip(runs, ("-", "--", ":", "-.") * len(runs)))
    for bound, ax in zip(runs, axes[0]):
        title = "no bound" if bound is None else f"norms of at most {bound}"
        plot.images(runs[bound][3][:40], columns=10, ax=ax, title=title)
    for place, (ax, name) in enumerate(
        zip(axes[1], ("discriminator's loss", "share of real logits below 1"))
    ):
        for bound, (_, _, kept, _) in runs.items():
            steps = range(0, 20 * len(kept), 20)
            label = "no bound" if bound is None else f"bound {bound}"
            ax.plot(steps, [pair[place] for pair in kept], styles[bound], label=label)
        ax.set(xlabel="step", ylabel=name, ylim=(0, None))
    axes[1, 0].legend()
    for ax in [*axes[0, len(runs):], *axes[1, 2:]]:
        ax.set_axis_off()
    plt.show()

# %% [markdown]
# **How much do the convolutions stretch?** For each one of the discriminator: the norm of the kernel as a matrix (which is what the bound acts on), the norm of the convolution by your `steepest_image`, and two upper bounds: the chapter's, $\lceil k / s \rceil = 2$ times the first, and your `tap_bound`. The image that the first convolution stretches most is drawn as well. And in the last cell one batch norm of the generator is put into its convolution by your `fold`: the pixels may differ by rounding only, about $10^{-6}$ at most. If they differ by more, or if that cell raises an error, look at your `fold` again.

# %%
# @title Table and figure: norms of the discriminators' convolutions, last seed
if runs:
    figure, axes = plt.subplots(
        1, len(runs), squeeze=False, figsize=(2.5 * len(runs), 2.4),
        layout="constrained",
    )
    print("bound  kernel       as matrix  convolution  twice the matrix  taps")
    for ax, (bound, (_, discriminator, _, _)) in zip(axes[0], runs.items()):
        for position, n in ((0, 16), (2, 8)):
            layer = discriminator[position]
            weight = layer.weight.detach().cpu()
            matrix = float(torch.linalg.matrix_norm(weight.flatten(1), 2))
            image, stretch = steepest_image(weight, n, 2, layer.padding[0])
            shape = "x".join(str(size) for size in weight.shape)
            print(
                f"{bound!s:5}  {shape:11}  {matrix:9.2f}  {float(stretch):11.2f}"
                f"  {2 * matrix:16.2f}  {float(tap_bound(weight)):4.2f}"
            )
            if position == 0:
                picture = image[0, 0].detach()
                top = float(picture.abs().max())
                shown = ax.imshow(picture, cmap="cividis", vmin=-top, vmax=top)
                title = "no bound" if bound is None else f"bound {bound}"
                ax.set_title(title, fontsize=10)
                ax.set(xlabel="pixel", ylabel="pixel", xticks=[0, 15], yticks=[0, 15])
                figure.colorbar(shown, ax=ax, shrink=0.8, label="value")
    plt.show()

# %%
if runs:
    generator = copy.deepcopy(next(iter(runs.values()))[0]).cpu()
    layers = list(generator)
    layers[4:6] = [fold(layers[4], layers[5])]
    z = torch.randn(100, latent_dim)
    with torch.no_grad():
        difference = float((nn.Sequential(*layers)(z) - generator(z)).abs().max())
    print(f"with one batch norm folded, pixels differ by at most {difference:.1e}")

# %% [raw]
# # BEGIN QUESTION
# name: q8
# manual: true
# points: 11

# %% [markdown]
# ## Question 8: a proof and a report
#
# **The proof** (at most ten lines). Show that the norm of a convolution with zero padding and any stride is at most your `tap_bound`. Then give one kernel for which `tap_bound` is smaller than $\lceil k / s \rceil$ times the norm of the kernel as a matrix, and one for which it is larger, with both numbers. (Write the convolution as a sum of $k^2$ maps. What does a map with a single place $(i, j)$ do to an image?)
#
# **The report** (about 300 words, one table, one figure of samples that are not chosen). Train with at least **three seeds** with and without the bound. Then change **one thing** (`rate_d`, the bound, `batches`, the first weights, `level`, ...), say beforehand what you expect, and train with the same seeds again.
#
# | Points | For |
# |---|---|
# | 2 | the convolution as a sum of maps that shift, stride and multiply by $K_{ij}$, the norm of each, and the triangle inequality |
# | 1 | two kernels, one in each direction, with numbers |
# | 2 | a prediction that was made before the run and could have failed, with its reason |
# | 2 | a table with every seed, and the value of real digits beside it; the same number of images everywhere |
# | 1 | what the samples show, in words that somebody else could check |
# | 2 | what the norms in the table say: on what the bound acts, what it does not bound, how far the two upper bounds are from the norm |
# | 1 | what your numbers do not show: seeds, budget, one data set, the measure itself |

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# **The proof.** Output place $(a, b)$ is $\sum_{i,j} K_{ij}\, x_{sa + i - p,\, sb + j - p}$, with zeros outside the image. So the convolution is $\sum_{ij} A_{ij}$, where $A_{ij}$ takes from the image the pixels $(sa + i - p, sb + j - p)$, each of them for one place $(a, b)$ only, and multiplies the vector of channels of each by $K_{ij}$. Different places take different pixels, and some pixels are not taken or lie outside, so $\lVert A_{ij} x \rVert^2 = \sum_{a,b} \lVert K_{ij}\, x_{\dots} \rVert^2 \le \lVert K_{ij} \rVert_2^2 \lVert x \rVert^2$. By the triangle inequality $\lVert \sum A_{ij} x \rVert \le \sum \lVert K_{ij} \rVert_2 \, \lVert x \rVert$.
#
# Smaller: a 3×3 kernel, stride 1, with a single 1 has the bound 1, and 3 times its norm as a matrix is 3. Larger: one input channel and nine output channels, each with a 1 at another place; as a matrix it is the identity, so the other bound is 3, and the taps sum to 9. (The norm of this convolution, with padding 1 and stride 1, is 3 as well: a pixel that is not at the border is copied nine times.)
#
# **The report.** A good one states the setting (digits enlarged to 16×16, 300 steps, batches of 64, rates 0.001 and 0.05, hinge loss, Adam with $\beta_1 = 0$), gives each seed and compares seed by seed. Our three seeds gave 104, 121 and 116 without a bound, 51, 54 and 58 with norms of at most 1, and 6.0 for 500 training digits, always 500 images against the same 500 test digits.
#
# What the norms say: the weights as matrices have norms of 1.0 to 1.2 where they are bounded (one round for each update lags behind at such a rate), 2.1 to 2.4 and 8.7 to 10.5 in the two layers where they are not. The bound acts on these numbers; the convolutions themselves stretch 1.5 to 2.1 times, near twice the norm of the matrix at most, so the discriminator as a whole may be steeper than 1. In the curves of seed 0 all real logits are soon below 1 where norms are bounded (a share of 1 from step 100 on): the bounded discriminator does not get beyond the margin, every real image pays, and the loss stays near 2, what a discriminator pays that answers 0 everywhere. Without a bound the loss jumps up to 23. The sum of taps is four to six times the norm of these convolutions, far looser than twice the matrix: with many channels the taps do not stretch the same directions.
#
# The rate was chosen after looking, so that the bound has something to do. At ten times the generator's rate we saw no such gap (seed 0: 48 without, 46 with the bound; one seed says little). Another surprise to be found: with `smooth_start = True` at that rate the bounded run of seed 0 got 73 in place of 46, so a start without a pattern is not for free; one seed again. Limits: three seeds, 300 steps, one data set, rates that nobody would choose, and a measure made by a classifier that sees only what tells digits apart.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run everything from the top once more (*Runtime, Restart and run all* in Colab), save, and hand in this notebook.
