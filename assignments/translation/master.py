# %% [markdown]
# # Assignment: translating images, with pairs and without
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gan-course/gan-course/blob/main/assignments/translation/translation.ipynb)
#
# A white digit is to be painted, in red, green or blue, and nothing in it says which. You work out what a network must answer to such a question when it learns from pairs, write the pieces of pix2pix and CycleGAN (a U-Net's pass, the windows of a PatchGAN, the generators' step, a buffer of old translations), and find out what two networks do that have to bring back a colour which is not in the picture. It belongs to the chapters [pix2pix](https://github.com/gan-course/gan-course/blob/main/book/conditional/pix2pix.ipynb) and [CycleGAN](https://github.com/gan-course/gan-course/blob/main/book/conditional/cyclegan.ipynb).
#
# **You will be able to** compute the best answers under L1 and L2 when several are right; say which pixels each logit of a discriminator sees; join the two halves of a U-Net for images of any size; change both images of a pair in the same way; write the generators' step of CycleGAN so that the discriminators stay out of it; show a discriminator old translations and say how old they are; and test a translator by more than its cycle error.
#
# **Time**: three to four hours. The two experiments take less than a minute together on one thread of a CPU. **Points**: 30 for code that is tested, 8 for the report, which a person reads.
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

from gan_course import data, metrics
from gan_course.data import translation
from gan_course.models.pix2pix import Pix2Pix
from gan_course.notebook import plot, profiles

device = profiles.device()
print(f"torch {torch.__version__} on {device}")

# %% [raw]
# # BEGIN QUESTION
# name: q1

# %% [markdown]
# ## Question 1: the best answer when several are right
#
# For one source image there are $k$ possible targets $y_1, \dots, y_k$ with the probabilities $p_1, \dots, p_k$. A regression answers with one image, whichever target it will be compared with. Each value of each pixel is a case of its own: under L1 the best value $c$ makes $\sum_i p_i\, |y_i - c|$ smallest, under L2 it makes $\sum_i p_i\, (y_i - c)^2$ smallest. The first is a **weighted median**: walk through the values from the smallest to the largest and add up their probabilities, until half of the probability is reached. (If more than one value does equally well, any of them is right.)
#
# Write a function that returns both images. Then work out one pixel on paper. It is $-1$ with probability $0.6$ and $+1$ with probability $0.4$: what are the two best answers, and what is the PSNR of each, $10 \log_{10}(R^2 / \mathrm{MSE})$ in decibels, with its *expected* squared error as the MSE and the $R$ that belongs to images in $[-1, 1]$? Give the decibels with two digits after the point.

# %% [raw]
# # BEGIN SOLUTION

# %%
def best_answers(targets, shares):
    """Return the two images that are the best answers under L1 and under L2.

    Args:
        targets: the possible targets, shape (k, C, H, W).
        shares: their probabilities, shape (k,), with a sum of 1.

    Returns:
        (best for L1, best for L2), both of shape (C, H, W).
    """
    # BEGIN SOLUTION
    weights = shares.view(-1, 1, 1, 1).to(targets)
    values, order = targets.sort(dim=0)
    reached = weights.expand_as(targets).gather(0, order).cumsum(0)
    place = (reached < 0.5 - 1e-6).sum(0, keepdim=True)
    return values.gather(0, place)[0], (weights * targets).sum(0)
    # END SOLUTION


one_pixel = {"L1 answers": ..., "its PSNR": ..., "L2 answers": ..., "PSNR of that": ...}
one_pixel = {"L1 answers": -1, "its PSNR": 3.98, "L2 answers": -0.2, "PSNR of that": 6.20}  # SOLUTION NO PROMPT

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_small_case(best_answers, one_pixel):
    import torch
    # three targets of one pixel with two channels
    targets = torch.tensor([[0.0, 1.0], [0.5, -1.0], [1.0, 0.0]]).view(3, 2, 1, 1)
    l1, l2 = best_answers(targets, torch.tensor([0.25, 0.125, 0.625]))
    assert l1.shape == l2.shape == (2, 1, 1), f"Two targets of shape (2, 1, 1) give answers of that shape; yours are {tuple(l1.shape)} and {tuple(l2.shape)}."
    got = [round(float(v), 4) for v in l1.flatten()]
    assert got == [1.0, 0.0], f"The third target has more than half of the probability, so L1 answers with its values, 1 and 0; yours are {got}."
    got = [round(float(v), 4) for v in l2.flatten()]
    assert got == [0.6875, 0.125], f"The means of the two channels are 0.6875 and 0.125; your answer for L2 is {got}."
    assert float(one_pixel["its PSNR"]) < float(one_pixel["PSNR of that"]), "No answer has a smaller squared error than L2's, so the other one cannot have the higher PSNR."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_no_value_is_better(best_answers):
    import torch
    generator = torch.Generator().manual_seed(1)
    for k, shape, shares in ((3, (3, 4, 5), [0.4, 0.35, 0.25]), (5, (1, 6, 2), [0.1, 0.15, 0.3, 0.2, 0.25]), (4, (2, 3, 3), [0.25, 0.25, 0.25, 0.25]), (1, (1, 2, 2), [1.0])):
        targets, p = torch.randn(k, *shape, generator=generator), torch.tensor(shares)
        answers = best_answers(targets.clone(), p.clone())
        for power, answer in enumerate(answers, 1):
            assert answer.shape == torch.Size(shape), f"Targets of shape {shape} give answers of that shape, not {tuple(answer.shape)}."
            cost = lambda c: (p.view(-1, 1, 1, 1) * (targets - c).abs() ** power).sum(0)  # noqa: E731
            tried = torch.stack([cost(c) for c in (*targets, answer + 0.01, answer - 0.01)])
            worse = float((cost(answer) - tried.min(0).values).max())
            assert worse < 1e-5, f"With shares {shares} some value has an expected error (L{power}) that another answer makes {worse:.3f} smaller."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_one_pixel(one_pixel):
    for name, wanted, error in (("L1 answers", -1, 1e-6), ("its PSNR", 3.98, 0.0101), ("L2 answers", -0.2, 1e-6), ("PSNR of that", 6.20, 0.0101)):
        assert abs(float(one_pixel[name]) - wanted) <= error, f"'{name}' is another number."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2

# %% [markdown]
# ## Question 2: what a logit sees
#
# A PatchGAN ends in a map of logits, each of which judges a part of the image. Which part, follows from its convolutions, here a list of triples `(kernel, stride, padding)`, the first layer first. Everything is the same for rows and columns, so one side is enough. Padding adds zeros on both ends, so that the first input of a layer bears the number $-\text{padding}$.
#
# - `map_side(layers, side)`: how many logits there are along a side. A layer takes as many steps of its stride as it can without its kernel leaving the padded input. If some layer has no room even for one, raise a `ValueError`.
# - `window(layers, i)`: the first and the last pixel that logit number `i` sees, counted from 0; in the padding they are smaller than 0 or larger than the last pixel. Begin at the last layer: which inputs does its output number `i` see? Then ask the layer before, for the first and for the last of these.
# - `votes(layers, side, pixel)`: how many of the logits along a side have this pixel in their window. Pixels at the border may have fewer votes: what happens there moves fewer of the logits.

# %% [raw]
# # BEGIN SOLUTION

# %%
def map_side(layers, side):
    """Return the number of logits along a side, an int; ValueError if there is none."""
    # BEGIN SOLUTION
    for kernel, stride, padding in layers:
        room = side + 2 * padding - kernel
        if room < 0:
            raise ValueError(f"a kernel of {kernel} finds no place in {side} pixels")
        side = room // stride + 1
    return side
    # END SOLUTION


def window(layers, i):
    """Return (first, last), two ints: from and to which pixel logit number i sees."""
    # BEGIN SOLUTION
    first = last = i
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    return first, last
    # END SOLUTION


def votes(layers, side, pixel):
    """Return how many logits along a side see `pixel` (0 to side - 1), an int."""
    # BEGIN SOLUTION
    windows = [window(layers, i) for i in range(map_side(layers, side))]
    return sum(first <= pixel <= last for first, last in windows)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_one_layer(map_side, window, votes):
    one = [(4, 2, 1)]
    got = map_side(one, 8)
    assert got == 4, f"A kernel of 4 with stride 2 and padding 1 has 4 places along 8 pixels; yours has {got}."
    got = tuple(window(one, 0)), tuple(window(one, 1))
    assert got == ((-1, 2), (1, 4)), f"Its outputs 0 and 1 see the pixels -1 to 2 and 1 to 4; yours see {got[0]} and {got[1]}."
    got = votes(one, 8, 0), votes(one, 8, 2)
    assert got == (1, 2), f"Pixel 0 lies in one window, pixel 2 in two; yours are {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_sides(map_side):
    import torch
    stacks = ([(4, 2, 1)] * 3 + [(4, 1, 1)] * 2, [(3, 2, 0), (5, 3, 2), (1, 1, 0)], [(4, 2, 1), (3, 1, 1), (4, 2, 0)])
    for layers in stacks:
        net = torch.nn.Sequential(*[torch.nn.Conv2d(1, 1, k, s, p) for k, s, p in layers])
        for side in (24, 37, 64, 101):
            with torch.no_grad():
                wanted = net(torch.zeros(1, 1, side, side)).shape[-1]
            got = map_side(list(layers), side)
            assert got == wanted, f"{layers} give {wanted} logits along {side} pixels; yours are {got}."
    assert map_side([(70, 1, 0)], 70) == 1, "A kernel as large as the image has one place."
    for layers, side in (([(4, 2, 1)] * 3 + [(4, 1, 1)] * 2, 16), ([(5, 1, 0)], 3), ([(5, 1, 0), (1, 1, 2)], 3)):
        try:
            got = map_side(layers, side)
        except ValueError:
            continue
        assert False, f"{layers} have no logit for {side} pixels: a ValueError was expected, not {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_windows(window):
    import torch
    stacks = ([(4, 2, 1), (4, 1, 1), (4, 1, 1)], [(4, 2, 1)] * 3 + [(4, 1, 1)] * 2, [(7, 1, 3), (3, 2, 1), (5, 3, 0)])
    for layers in stacks:
        x = torch.ones(1, 1, 160, dtype=torch.float64, requires_grad=True)
        h = x
        for kernel, stride, padding in layers:
            h = torch.nn.functional.conv1d(h, torch.ones(1, 1, kernel, dtype=torch.float64) / kernel, stride=stride, padding=padding)
        for i in (0, 1, h.shape[-1] // 2, h.shape[-1] - 1):
            seen = torch.autograd.grad(h[0, 0, i], x, retain_graph=True)[0][0, 0].nonzero().flatten()
            first, last = window(list(layers), i)
            assert (max(first, 0), min(last, 159)) == (int(seen[0]), int(seen[-1])), f"Logit {i} of {layers} sees the pixels {int(seen[0])} to {int(seen[-1])} of 160; yours sees {first} to {last}."
    sides = [window([(4, 2, 1)] * halvings + [(4, 1, 1)] * 2, 0) for halvings in (1, 2, 3)]
    widths = [last - first + 1 for first, last in sides]
    assert widths == [16, 34, 70], f"The three usual PatchGANs see 16, 34 and 70 pixels; yours see {widths} (do not cut off what lies in the padding)."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_votes(votes):
    import torch
    for layers, side in (([(4, 2, 1), (4, 1, 1), (4, 1, 1)], 16), ([(4, 2, 1)] * 2 + [(4, 1, 1)] * 2, 40), ([(3, 1, 1), (5, 2, 2)], 21)):
        x = torch.ones(1, 1, side, dtype=torch.float64, requires_grad=True)
        h = x
        for kernel, stride, padding in layers:
            h = torch.nn.functional.conv1d(h, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride, padding=padding)
        seen = torch.stack([torch.autograd.grad(value, x, retain_graph=True)[0][0, 0] > 0 for value in h[0, 0]])
        for pixel in range(side):
            got, wanted = votes(list(layers), side, pixel), int(seen[:, pixel].sum())
            assert got == wanted, f"Pixel {pixel} of {side} is seen by {wanted} logits of {layers}; yours says {got}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
# @title What the discriminators of question 7's experiment see
LAYERS = [(4, 2, 1), (4, 1, 1), (4, 1, 1)]  # for images of 8x8
if passed("q2"):
    for number in range(map_side(LAYERS, 8)):
        print(f"logit {number}: pixels {window(LAYERS, number)} of 0 to 7")
    print("votes of the eight pixels:", [votes(LAYERS, 8, pixel) for pixel in range(8)])
    print("logits along 256 pixels:", map_side(LAYERS, 256))

# %% [raw]
# # BEGIN QUESTION
# name: q3

# %% [markdown]
# ## Question 3: the pass through a U-Net
#
# On the way down each layer makes the image smaller, and its result is **kept**. On the way up, each result is joined with the kept map of its size before the next layer: first the channels of what came up, then those that were kept. The innermost map is not joined with anything, it *is* where the way up begins. So with three layers each way
#
# - `downs[0]`, `downs[1]`, `downs[2]` make the maps of levels 0, 1 and 2;
# - `ups[0]` takes the map of level 2; its result is joined with the map of level 1; `ups[1]` takes that, its result is joined with the map of level 0; and `ups[2]` makes the image.
#
# Two details. If a side is odd, halving rounds and doubling comes out a pixel too large: cut such rows and columns off at the bottom and on the right, so that sizes agree with the kept map, and at the end with the source. (A height of 7 becomes 4 and comes back as 8.) And to measure what a skip is worth one must be able to cut it: for a level in `cut`, join zeros of the same shape in place of the kept map.

# %% [raw]
# # BEGIN SOLUTION

# %%
def unet_pass(downs, ups, x, cut=()):
    """Return the translation of x.

    Args:
        downs: functions or modules, from the outermost to the innermost.
        ups: as many, from the innermost to the outermost.
        x: source images, shape (n, C, H, W).
        cut: the levels whose skips bring zeros, out of 0 to len(downs) - 2.

    Returns:
        What the last of `ups` makes, shape (n, any, H, W).
    """
    # BEGIN SOLUTION
    maps = [x]
    for down in downs:
        maps.append(down(maps[-1]))
    h = maps.pop()
    for number, up in enumerate(ups):
        kept = maps.pop()
        h = up(h)[..., : kept.shape[-2], : kept.shape[-1]]
        level = len(ups) - 2 - number
        if level >= 0:
            h = torch.cat([h, torch.zeros_like(kept) if level in cut else kept], dim=1)
    return h
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_shapes(unet_pass):
    import torch
    seen = []

    def layer(channels, factor):
        def forward(x):
            seen.append(tuple(x.shape[1:]))
            return torch.nn.functional.interpolate(torch.ones(len(x), channels, *x.shape[2:]), scale_factor=factor)
        return forward

    downs = [layer(4, 0.5), layer(6, 0.5), layer(9, 0.5)]
    ups = [layer(5, 2), layer(7, 2), layer(3, 2)]
    out = unet_pass(downs, ups, torch.zeros(2, 3, 16, 8))
    wanted = [(3, 16, 8), (4, 8, 4), (6, 4, 2), (9, 2, 1), (5 + 6, 4, 2), (7 + 4, 8, 4)]
    assert seen == wanted, f"The six layers should be given the shapes {wanted}; yours are given {seen}."
    assert tuple(out.shape) == (2, 3, 16, 8), f"Sources of shape (2, 3, 16, 8) give translations of that size; yours are {tuple(out.shape)}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_order_and_values(unet_pass):
    import torch
    half = lambda x: torch.nn.functional.avg_pool2d(x, 2)  # noqa: E731
    seen = []

    def double(x):
        seen.append(x.clone())
        return torch.nn.functional.interpolate(x[:, :1] * 3, scale_factor=2)

    x = torch.arange(32.0).view(1, 1, 4, 8) + 1
    out = unet_pass([half, half], [double, double], x)
    one, two = half(x), half(half(x))
    up = torch.nn.functional.interpolate(two * 3, scale_factor=2)
    assert torch.equal(seen[0], two), "The first layer on the way up is not given the innermost map as it is."
    assert seen[1].shape == (1, 2, 2, 4) and torch.equal(seen[1][:, :1], up), "The channels of what came up do not stand first."
    assert torch.equal(seen[1][:, 1:], one), "The kept map is not joined as it was."
    assert torch.equal(out, torch.nn.functional.interpolate(up * 3, scale_factor=2)), "The translation is not what the last layer made."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_odd_sides(unet_pass):
    import torch
    torch.manual_seed(2)
    downs = [torch.nn.Conv2d(a, b, 3, 2, 1) for a, b in ((3, 4), (4, 5), (5, 6))]
    places = []

    def growing(channels):
        def forward(x):
            places.append(x[0, :channels, -1, -1].tolist())
            grid = torch.arange(4.0 * x.shape[2] * x.shape[3]).view(1, 1, 2 * x.shape[2], 2 * x.shape[3])
            return grid.expand(len(x), channels, -1, -1)
        return forward

    for height, width in ((13, 9), (28, 15), (7, 7), (16, 5)):
        places.clear()
        out = unet_pass(downs, [growing(5), growing(4), growing(3)], torch.randn(2, 3, height, width))
        assert tuple(out.shape) == (2, 3, height, width), f"Sources of {height}x{width} give translations of {tuple(out.shape[2:])}."
        inner = ((width + 1) // 2 + 1) // 2
        inner_h = ((height + 1) // 2 + 1) // 2
        full = 2 * ((inner + 1) // 2)
        assert places[1][0] == (inner_h - 1) * full + inner - 1, "Rows and columns are to be cut off at the bottom and on the right, and nowhere else."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_cut(unet_pass):
    import torch
    torch.manual_seed(3)
    downs = [torch.nn.Conv2d(a, b, 4, 2, 1) for a, b in ((2, 3), (3, 4), (4, 5))]
    given = []

    def up(layer):
        def forward(x):
            given.append(x.detach().clone())
            return layer(x)
        return forward

    ups = [up(torch.nn.ConvTranspose2d(a, b, 4, 2, 1)) for a, b in ((5, 4), (8, 3), (6, 2))]
    x = torch.randn(2, 2, 8, 8)
    with torch.no_grad():
        zero = downs[0](x)
        one = downs[1](zero)
        for cut in ((), (0,), (1,), [0, 1], {1}):
            given.clear()
            out = unet_pass(downs, ups, x, cut=cut) if cut else unet_pass(downs, ups, x)
            assert tuple(out.shape) == (2, 2, 8, 8), f"With cut={cut} translations have the shape {tuple(out.shape)}."
            for level, kept, joined in ((1, one, given[1][:, 4:]), (0, zero, given[2][:, 3:])):
                wanted = torch.zeros_like(kept) if level in cut else kept
                assert joined.shape == kept.shape and torch.allclose(joined, wanted, atol=1e-6), f"With cut={cut} the skip of level {level} does not bring what it should."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4

# %% [markdown]
# ## Question 4: the same change for both
#
# With few pairs one shows each of them in many ways: cut out at another place, mirrored or not. Where a thing is may change, but it must be the same place in source and target. Otherwise the network learns from pairs that do not fit (and answers, as in question 1, with a median or mean of the target at all the places where it may be).
#
# Write `augment`. For each pair it draws the upper left corner of a square of `side` × `side` pixels, each possible place with the same probability, and cuts that square out of both images. If `mirror`, it then turns both left to right with probability 1/2. Each pair of the batch draws for itself. All randomness comes from `generator` (a `torch.Generator` of the CPU, whatever device the images are on): the same generator in the same state gives the same result.

# %% [raw]
# # BEGIN SOLUTION

# %%
def augment(source, target, side, mirror, generator):
    """Cut the same random square out of both images of a pair; mirror both or none.

    Args:
        source, target: pairs, shapes (n, C, H, W) and (n, D, H, W).
        side: of the squares, at most H and at most W.
        mirror: whether to mirror a pair left to right with probability 1/2.
        generator: torch.Generator of the CPU.

    Returns:
        (source, target) of shapes (n, C, side, side) and (n, D, side, side).
    """
    # BEGIN SOLUTION
    n, _, height, width = source.shape
    top = torch.randint(height - side + 1, (n, 1, 1), generator=generator)
    left = torch.randint(width - side + 1, (n, 1, 1), generator=generator)
    rows = top + torch.arange(side).view(1, side, 1)
    columns = left + torch.arange(side).view(1, 1, side)
    if mirror:
        turned = torch.rand(n, 1, 1, generator=generator) < 0.5
        columns = torch.where(turned, columns.flip(2), columns)
    pair = torch.arange(n).view(n, 1, 1)
    pair, rows, columns = (place.to(source.device) for place in (pair, rows, columns))
    cut = [x.movedim(1, -1)[pair, rows, columns].movedim(-1, 1) for x in (source, target)]
    return cut[0], cut[1]
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_pairs_stay_pairs(augment):
    import torch
    source = torch.arange(4 * 3 * 6 * 7.0).view(4, 3, 6, 7)
    target = source[:, :1] + 1000  # its partner: the first channel, brighter by 1000
    a, b = augment(source, target, 4, True, torch.Generator().manual_seed(0))
    assert tuple(a.shape) == (4, 3, 4, 4) and tuple(b.shape) == (4, 1, 4, 4), f"Squares of side 4 were asked for; yours have the shapes {tuple(a.shape)} and {tuple(b.shape)}."
    assert torch.equal(b, a[:, :1] + 1000), "The two images of a pair were not cut out, or mirrored, in the same way."
    whole, _ = augment(source, target, 6, False, torch.Generator().manual_seed(0))
    assert torch.equal(whole[:, :, :, 1:] - whole[:, :, :, :-1], torch.ones(4, 3, 6, 5)), "Without mirror=True neighbours stay neighbours, in their order."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_every_place(augment):
    import torch
    n, height, width, side = 3000, 5, 6, 4
    source = torch.arange(float(height * width)).view(1, 1, height, width).expand(n, 2, -1, -1)
    a, b = augment(source, source[:, :1] * 2, side, False, torch.Generator().manual_seed(4))
    corners, counts = a[:, 0, 0, 0].unique(return_counts=True)
    wanted = [0.0, 1.0, 2.0, 6.0, 7.0, 8.0]
    assert corners.tolist() == wanted, f"In 5x6 pixels a square of side 4 has its corner at one of {wanted} (numbered row by row); yours have {corners.tolist()}."
    assert (counts / n - 1 / 6).abs().max() < 0.035, f"The six places are equally likely; yours have the shares {[round(v, 3) for v in (counts / n).tolist()]}."
    square = torch.arange(float(side)).view(1, -1) + width * torch.arange(float(side)).view(-1, 1)
    assert torch.equal(a, a[:, :, :1, :1] + square), "What is cut out is not a square of neighbouring pixels."
    assert torch.equal(b, a[:, :1] * 2), "Source and target are cut out at different places."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_mirror(augment):
    import torch
    n = 3000
    source = torch.stack(torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")).expand(n, 2, 6, 7)
    a, b = augment(source, source + 50, 5, True, torch.Generator().manual_seed(5))
    assert torch.equal(b, a + 50), "The two images of a pair were not mirrored in the same way."
    rows, columns = a.unbind(1)
    assert ((rows[:, 1:] - rows[:, :-1]) == 1).all(), "The images are to be mirrored left to right only."
    step = columns[:, :, 1:] - columns[:, :, :-1]
    turned = step[:, 0, 0] == -1
    assert (step == torch.where(turned, -1.0, 1.0).view(n, 1, 1)).all(), "An image is mirrored as a whole or not at all."
    assert 0.45 < turned.float().mean() < 0.55, f"Half of the pairs are mirrored; yours are {turned.float().mean():.2f} of them."
    corner = rows[:, 0, 0] * 10 + columns.amin((1, 2))
    for place in corner.unique():
        share = turned[corner == place].float().mean()
        assert 0.35 < share < 0.65, "Whether a pair is mirrored depends on where it was cut out."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_generator(augment):
    import torch
    source = torch.arange(8 * 9 * 9.0).view(8, 1, 9, 9)
    torch.manual_seed(6)
    before = torch.get_rng_state()
    first, _ = augment(source, source, 5, True, torch.Generator().manual_seed(7))
    torch.rand(3)
    again, _ = augment(source, source, 5, True, torch.Generator().manual_seed(7))
    other, _ = augment(source, source, 5, True, torch.Generator().manual_seed(8))
    assert torch.equal(first, again), "The same generator in the same state gave two results."
    assert not torch.equal(first, other), "Another generator gave the same result."
    generator = torch.Generator().manual_seed(7)
    augment(source, source, 5, True, generator)
    further, _ = augment(source, source, 5, True, generator)
    assert not torch.equal(first, further), "A second call with the same generator repeats the first one."
    torch.set_rng_state(before)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## First experiment: painting digits from pairs
#
# The world of this assignment: digits of 8×8 pixels in white, and the same digits in red, green or blue ink, drawn by lot with the probabilities 0.40, 0.35 and 0.25. Nothing in a white digit says which ink it was. **Before you run it**: what does question 1 say that a network trained with L1 will paint, and one trained with L2? The inks are pure: red is $(1, -1, -1)$ where the stroke is full, and the background black, $(-1, -1, -1)$, for all of them.
#
# The network is a small U-Net, run by your `unet_pass` on pairs from your `augment`. (A mirrored digit is no digit: here pairs are only moved, by a pixel at most.) The third network has no skips: all that it paints must pass the innermost map of one pixel. The last one is pix2pix as the course's package has it, a U-Net with a PatchGAN that sees the white digit beside the painted one, here with a weight of 10 for L1. (It was chosen in trial runs: with the usual 100, its digits were as good as black in two of two seeds.)

# %%
SHARES = torch.tensor([0.40, 0.35, 0.25], device=device)  # of red, green and blue
scale = profiles.pick(
    quick=dict(paint_steps=300, cycle_steps=200, seeds=1),
    book=dict(paint_steps=300, cycle_steps=200, seeds=3),
    full=dict(paint_steps=3_000, cycle_steps=2_000, seeds=3),
)


def world(split, seed):
    """Return white digits, each in the three inks, its own ink, and its class.

    The shapes are (n, 3, 8, 8), (3, n, 3, 8, 8), (n,) and (n,).
    """
    digits = data.load("digits", size=8, channels=3, split=split)
    n = len(digits)
    hues = [torch.full((n,), k / 3) for k in range(3)]
    inked = torch.stack([translation.inked(digits.x, hue) for hue in hues])
    lots = torch.Generator().manual_seed(seed)
    ink = SHARES.cpu().multinomial(n, replacement=True, generator=lots)
    found = digits.images(), inked / 127.5 - 1, ink, digits.labels
    return tuple(x.to(device) for x in found)


def in_own_ink(inked, ink):
    """Return each digit in its own ink, shape (n, 3, 8, 8)."""
    return inked[ink, torch.arange(len(ink), device=device)]


white, inked, ink, digit = world("train", 0)
test_white, test_inked, test_ink, test_digit = world("test", 1)
colour, test_colour = in_own_ink(inked, ink), in_own_ink(test_inked, test_ink)


def unet_layers(width=16):
    """Return the layers down and up of a U-Net for 8x8, as unet_pass takes them."""
    c = [3, width, 2 * width, 4 * width]
    downs, ups = nn.ModuleList(), nn.ModuleList()
    for i in range(3):
        down = nn.Conv2d(c[i], c[i + 1], 4, 2, 1)
        downs.append(nn.Sequential(down, nn.BatchNorm2d(c[i + 1]), nn.LeakyReLU(0.2)))
        both = c[i + 1] if i == 2 else 2 * c[i + 1]
        up = nn.ConvTranspose2d(both, c[i], 4, 2, 1)
        end = [nn.BatchNorm2d(c[i]), nn.ReLU()] if i else [nn.Tanh()]
        ups.insert(0, nn.Sequential(up, *end))
    return downs.to(device), ups.to(device)


def falling(optimizer, steps):
    """Return a schedule: the rate falls to 0 over the second half of the steps."""
    schedule = torch.optim.lr_scheduler.LambdaLR
    return schedule(optimizer, lambda t: min(1, 2 - 2 * t / steps))


def pairs(n, lots):
    """Return n white digits and their inked partners, moved by a pixel at most."""
    some = torch.randint(len(white), (n,), generator=lots).to(device)
    edge = dict(pad=(1, 1, 1, 1), value=-1.0)  # black
    x, y = (nn.functional.pad(images[some], **edge) for images in (white, colour))
    return augment(x, y, 8, False, lots)


def paint(power, cut, seed, steps):
    """Train a U-Net on pairs with L1 or L2 (power 1 or 2); return its test images."""
    torch.manual_seed(seed)
    downs, ups = unet_layers()
    weights = [*downs.parameters(), *ups.parameters()]
    adam = torch.optim.Adam(weights, 2e-3)
    rate = falling(adam, steps)
    lots = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x, y = pairs(64, lots)
        loss = ((unet_pass(downs, ups, x, cut) - y).abs() ** power).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        rate.step()
    with torch.no_grad():
        return unet_pass(downs.eval(), ups.eval(), test_white)


def paint_with_opponent(seed, steps):
    """Train the package's pix2pix on the same pairs; return its test images."""
    torch.manual_seed(seed)
    settings = dict(width=16, norm="batch", patch=16, dropout=0.0, lr_g=1e-3, lr_d=1e-3)
    model = Pix2Pix((2, 3, 8, 8), l1=10.0, **settings).to(device)
    lots = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x, y = pairs(32, lots)
        model.step(torch.stack([x, y], dim=1)[None])
    return model.translate(test_white)


def decibels(images, truth):
    """PSNR of all images together, in [-1, 1]."""
    return 10 * float(torch.log10(4 / (images - truth).square().mean()))


def described(images):
    """A line of numbers about painted test images, over all of them together."""
    bright = (test_white > 0.5).float()
    tone = ((images + 1) / 2 * bright).sum((0, 2, 3)) / bright.sum((0, 2, 3))
    tone = " ".join(f"{float(v):.2f}" for v in tone)
    l1, psnr = (images - test_colour).abs().mean(), decibels(images, test_colour)
    to_each = (images - test_inked).square().mean((2, 3, 4))  # (3, n)
    nearest = to_each.min(0).values.mean()
    found = f"L1 {l1:.3f}, PSNR {psnr:.2f}, tone {tone}"
    return f"{found}, squared error to the nearest {nearest:.3f}"


if passed("q1", "q3", "q4"):
    best = [best_answers(three, SHARES) for three in test_inked.unbind(1)]
    best_l1, best_l2 = (torch.stack(answers) for answers in zip(*best))
    print(f"best for L1: {described(best_l1)}")
    print(f"best for L2: {described(best_l2)}")
    for seed in range(scale.seeds):
        painted = {
            "L1": paint(1, (), seed, scale.paint_steps),
            "L2": paint(2, (), seed, scale.paint_steps),
            "L2, no skips": paint(2, (0, 1), seed, scale.paint_steps),
            "pix2pix": paint_with_opponent(seed, scale.paint_steps),
        }
        for name, images in painted.items():
            print(f"seed {seed}, {name}: {described(images)}")
        for name in ("L2", "L2, no skips"):
            psnr = decibels(painted[name], best_l2)
            print(f"seed {seed}, {name}: PSNR {psnr:.2f} to the best for L2")

# %%
# @title Figure: what was asked, what was true, and what the networks painted
if passed("q1", "q3", "q4"):
    rows = {"white digit": test_white, "truth": test_colour, "best for L1": best_l1, "best for L2": best_l2, **painted}
    figure = plt.figure(figsize=(8.4, 4.2))
    ax = plot.images(torch.cat([images[::30][:16] for images in rows.values()]), columns=16, ax=figure.add_axes((0.18, 0, 0.82, 1)))
    for number, name in enumerate(rows):
        ax.text(-2, 9 * number + 5, name, ha="right", va="center", fontsize=10)
    plt.show()

# %% [raw]
# # BEGIN QUESTION
# name: q5

# %% [markdown]
# ## Question 5: the generators' step
#
# Now without pairs. $G$ translates from domain A to B and $F$ from B to A; $D_A$ and $D_B$ give a logit for each patch. The two generators together minimise
#
# $$\begin{aligned} & \mathbb{E}\,(D_B(G(a)) - 1)^2 + \mathbb{E}\,(D_A(F(b)) - 1)^2 \\ & + \lambda\,\bigl(\mathbb{E}\,|F(G(a) + \sigma\varepsilon) - a| + \mathbb{E}\,|G(F(b) + \sigma\varepsilon') - b|\bigr), \end{aligned}$$
#
# each $\mathbb{E}$ a mean over images, channels and places (or over images and patches). The noise $\varepsilon, \varepsilon' \sim \mathcal{N}(0, I)$ is an option that you will try: it disturbs what a translation carries to the way back and nowhere else (the discriminators judge undisturbed translations). With $\sigma = 0$ it is the paper's loss.
#
# The gradient has to pass *through* the discriminators, but must not be kept *for* them: computing it would take time, and what is left lying there could get into their next update. So **freeze** them: as long as they are called in this step, none of their weights requires a gradient (`requires_grad_(False)`), and afterwards each requires one if, and only if, it did so before.

# %% [raw]
# # BEGIN SOLUTION

# %%
def generators_step(g, f, d_a, d_b, optimizer, a, b, weight=10.0, sigma=0.0):
    """Update both generators once.

    Args:
        g, f: generators from A to B and from B to A.
        d_a, d_b: discriminators of A and of B; their weights stay as they are.
        optimizer: holds the weights of both generators.
        a, b: images of the two domains, shapes (n, C, H, W).
        weight: of the cycles, lambda.
        sigma: standard deviation of the noise before the way back.

    Returns:
        A dictionary of detached tensors, all from before the update: "fake_a" is f(b),
        "fake_b" is g(a); "loss_gan" and "loss_cycle" are scalars, each the sum of its
        two terms, without the weight.
    """
    # BEGIN SOLUTION
    frozen = [p for d in (d_a, d_b) for p in d.parameters() if p.requires_grad]
    for p in frozen:
        p.requires_grad_(False)
    fake_b, fake_a = g(a), f(b)
    loss_gan = (d_b(fake_b) - 1).square().mean() + (d_a(fake_a) - 1).square().mean()
    back_a = f(fake_b + sigma * torch.randn_like(fake_b))
    back_b = g(fake_a + sigma * torch.randn_like(fake_a))
    loss_cycle = (back_a - a).abs().mean() + (back_b - b).abs().mean()
    optimizer.zero_grad()
    (loss_gan + weight * loss_cycle).backward()
    optimizer.step()
    for p in frozen:
        p.requires_grad_(True)
    told = dict(fake_a=fake_a, fake_b=fake_b, loss_gan=loss_gan, loss_cycle=loss_cycle)
    return {name: value.detach() for name, value in told.items()}
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_losses(generators_step):
    import torch

    class Times(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = torch.nn.Parameter(torch.tensor(factor))

        def forward(self, x):
            return self.factor * x

    g, f, d_a, d_b = Times(2.0), Times(1.0), Times(0.5), Times(3.0)
    optimizer = torch.optim.SGD([g.factor, f.factor], 0.001)
    told = generators_step(g, f, d_a, d_b, optimizer, torch.ones(2, 1, 2, 2), torch.full((2, 1, 2, 2), 4.0))
    assert set(told) == {"fake_a", "fake_b", "loss_gan", "loss_cycle"}, f"The step returns fake_a, fake_b, loss_gan and loss_cycle; yours returns {sorted(told)}."
    gan, cycle = float(told["loss_gan"]), float(told["loss_cycle"])
    assert abs(gan - 26) < 1e-4, f"D_B gives 6 to the translation 2, and D_A gives 2 to the translation 4: (6 - 1)^2 + (2 - 1)^2 = 26; your loss_gan is {gan:.3f}."
    assert abs(cycle - 5) < 1e-4, f"1 comes back as 2 and 4 comes back as 8: 1 + 4 = 5; your loss_cycle is {cycle:.3f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_who_learns(generators_step):
    import torch
    torch.manual_seed(0)
    g, f, d_a, d_b = (torch.nn.Conv2d(3, c, 3, padding=1) for c in (3, 3, 1, 1))
    nets = dict(G=g, F=f, D_A=d_a, D_B=d_b)
    before = {name: net.weight.detach().clone() for name, net in nets.items()}
    optimizer = torch.optim.Adam([*g.parameters(), *f.parameters()], 0.01)
    generators_step(g, f, d_a, d_b, optimizer, torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4))
    moved = [name for name, net in nets.items() if not torch.equal(net.weight, before[name])]
    assert moved == ["G", "F"], f"The step changes G and F, and nothing else; yours changed {moved or 'nothing'}."
    left = [name for name in ("D_A", "D_B") if any(p.grad is not None and p.grad.any() for p in nets[name].parameters())]
    assert not left, f"A gradient is left in {' and '.join(left)}."
    stiff = [name for name in ("D_A", "D_B") if not all(p.requires_grad for p in nets[name].parameters())]
    assert not stiff, f"After the step {' and '.join(stiff)} could not learn any more: the weights require no gradient."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_update(generators_step):
    import torch

    class Line(torch.nn.Module):
        def __init__(self, factor, shift=0.0):
            super().__init__()
            self.factor = torch.nn.Parameter(torch.tensor(factor))
            self.shift = shift

        def forward(self, x):
            return self.factor * x + self.shift

    g, f, d_a, d_b = Line(0.5), Line(1.5), Line(0.5, -1.0), Line(2.0, 0.25)
    g.factor.grad, f.factor.grad = torch.tensor(3.0), torch.tensor(-2.0)  # left by somebody else
    optimizer = torch.optim.SGD([g.factor, f.factor], 0.1)
    told = generators_step(g, f, d_a, d_b, optimizer, torch.ones(3, 1, 2, 2), torch.full((3, 1, 2, 2), 2.0), weight=4.0)
    got = float(g.factor.detach()), float(f.factor.detach())
    assert abs(got[0] - 2.2) < 1e-4, f"G's factor goes from 0.5 to 2.2 (the gradient is 1 - 4 (1.5 + 3)); yours went to {got[0]:.4f}."
    assert abs(got[1] - 2.2) < 1e-4, f"F's factor goes from 1.5 to 2.2 (the gradient is -1 - 4 (0.5 + 1)); yours went to {got[1]:.4f}."
    values = [float(told[name].mean()) for name in ("fake_a", "fake_b", "loss_gan", "loss_cycle")]
    assert all(abs(v - w) < 1e-4 for v, w in zip(values, (3.0, 0.5, 0.3125, 0.75))), f"The translations are 3 and 0.5 and the losses 0.3125 and 0.75, before the update; yours are {values}."
    assert not any(value.requires_grad for value in told.values()), "What is returned is not detached."
    # patches that differ, so that a mean of squares is not the square of a mean
    a, b = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2), torch.tensor([[2.0], [-2.0]]).view(2, 1, 1, 1).expand(2, 1, 1, 2)
    told = generators_step(Line(1.0), Line(1.0), Line(1.0), Line(1.0), torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1), a.expand(2, 1, 1, 2), b)
    got = float(told["loss_gan"])
    assert abs(got - 7) < 1e-4, f"Logits of 1 and 3 cost (0 + 4) / 2, those of 2 and -2 cost (1 + 9) / 2, together 7; your loss_gan is {got:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_frozen(generators_step):
    import torch

    class Watched(torch.nn.Conv2d):
        seen = []

        def forward(self, x):
            Watched.seen.append(any(p.requires_grad for p in self.parameters()))
            return super().forward(x)

    torch.manual_seed(1)
    g, f = (torch.nn.Conv2d(2, 2, 3, padding=1) for _ in range(2))
    d_a, d_b = Watched(2, 1, 3), Watched(2, 1, 3)
    d_b.bias.requires_grad_(False)  # by somebody else, on purpose
    optimizer = torch.optim.Adam([*g.parameters(), *f.parameters()], 0.01)
    for _ in range(2):
        generators_step(g, f, d_a, d_b, optimizer, torch.randn(2, 2, 6, 6), torch.randn(2, 2, 6, 6))
    assert Watched.seen and not any(Watched.seen), "A discriminator was called while its weights required gradients."
    found = [p.requires_grad for p in (d_a.weight, d_a.bias, d_b.weight, d_b.bias)]
    assert found == [True, True, True, False], "After the step each weight requires a gradient if and only if it did before; one that somebody else had frozen has to stay so."
    assert all(p.requires_grad for net in (g, f) for p in net.parameters()), "The generators must go on learning."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_noise(generators_step):
    import torch

    class Spy(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor, self.seen = torch.nn.Parameter(torch.tensor(factor)), []

        def forward(self, x):
            self.seen.append(x.detach().clone())
            return self.factor * x

    torch.manual_seed(2)
    g, f, d_a, d_b = Spy(2.0), Spy(0.5), Spy(1.0), Spy(1.0)
    a, b = torch.randn(300, 3, 4, 4), torch.randn(300, 3, 4, 4)
    optimizer = torch.optim.SGD([g.factor, f.factor], 0.0)
    told = generators_step(g, f, d_a, d_b, optimizer, a, b, sigma=0.7)
    for d, name in ((d_a, "fake_a"), (d_b, "fake_b")):
        assert torch.allclose(torch.cat(d.seen), told[name]), "The discriminators judge the translations without noise."
    for net in (g, f):
        net.seen = torch.cat(net.seen).split(len(a))  # two batches may have been given at once
    assert any(torch.equal(x, a) for x in g.seen) and any(torch.equal(x, b) for x in f.seen), "The images themselves get no noise."
    noises = []
    for net, name in ((f, "fake_b"), (g, "fake_a")):
        gaps = [x - told[name] for x in net.seen if x.shape == a.shape]
        nearest = min(gaps, key=lambda gap: float(gap.std()))
        noises.append(nearest)
        assert abs(float(nearest.std()) - 0.7) < 0.03 and abs(float(nearest.mean())) < 0.03, f"Before the way back a translation gets noise of mean 0 and standard deviation sigma = 0.7; yours has {float(nearest.mean()):.2f} and {float(nearest.std()):.2f}."
        assert abs(float((nearest.abs() < 0.7).float().mean()) - 0.683) < 0.03, "The noise is not normal."
    assert abs(float((noises[0] * noises[1]).mean())) < 0.05, "Both ways get the same noise."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q6

# %% [markdown]
# ## Question 6: old translations
#
# A discriminator that sees the newest translations only may forget what it knew about earlier ones, and the generator comes back to them. So one keeps a **buffer** of old translations. CycleGAN's exchanges single images by the toss of a coin; the method that it took this from ([Shrivastava et al., 2017](https://arxiv.org/abs/1612.07828)) goes by halves of batches. Write that one, for batches of $n$ images, $n$ even, and a buffer with room for `size` images, at least $n/2$:
#
# - **As long as it is not full**: store the images of the batch, as many as still fit, and return the batch as it came.
# - **When it is full**: return $n$ images, in any order, $n/2$ different ones of the batch and $n/2$ different ones of the buffer, all chosen at random. *Then* choose $n/2$ different places of the buffer at random, whatever was just shown, and put $n/2$ different images of the batch there, again chosen at random (that they were just shown, or not, plays no part).
#
# What is stored must be a copy, without a graph: nothing that happens to the batch later may change it. (A picture from the buffer may well be shown again and again, until chance overwrites it.)
#
# How old is what the discriminator gets to see? Let an image be $0$ steps old if it belongs to the newest batch, $1$ if it was put into the buffer by the call before, and so on. In the long run, which share of what is returned is `age` steps old? Derive it: with what probability does a stored image survive one call?

# %% [raw]
# # BEGIN SOLUTION

# %%
class History:
    """Half old, half new images: call it with a batch (n, C, H, W), n even."""

    def __init__(self, size):
        # BEGIN SOLUTION
        self.size, self.images = size, []
        # END SOLUTION

    def __call__(self, batch):
        """Return as many images, detached."""
        # BEGIN SOLUTION
        batch, half = batch.detach(), len(batch) // 2
        room = self.size - len(self.images)
        if room:
            self.images += [image.clone() for image in batch[:room]]
            return batch
        new = batch[torch.randperm(len(batch))[:half].to(batch.device)]
        old = torch.stack([self.images[place] for place in torch.randperm(self.size)[:half].tolist()])
        places, numbers = torch.randperm(self.size)[:half], torch.randperm(len(batch))[:half]
        for place, number in zip(places.tolist(), numbers.tolist()):
            self.images[place] = batch[number].clone()
        return torch.cat([new, old])
        # END SOLUTION


def age_share(age, size, n):
    """Return which share of what is returned is `age` (0, 1, 2, ...) steps old."""
    # BEGIN SOLUTION
    leaves = n / 2 / size
    return 0.5 if age == 0 else 0.5 * leaves * (1 - leaves) ** (age - 1)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_filling_and_halves(History):
    import torch
    torch.manual_seed(0)
    history = History(6)
    batches = torch.arange(12.0).view(3, 4, 1, 1, 1)
    for number in range(2):  # the second fills it: two of its four images fit
        got = history(batches[number])
        assert torch.equal(got, batches[number]), f"As long as the buffer is not full, a batch is returned as it came; batch {number} was {batches[number].flatten().tolist()}, yours is {got.flatten().tolist()}."
    got = sorted(int(v) for v in history(batches[2]).flatten())
    new, old = [v for v in got if v >= 8], [v for v in got if v < 8]
    assert len(got) == 4 and len(set(new)) == 2 and len(set(old)) == 2, f"Two of the images 8 to 11 and two of the stored ones were expected; yours are {got}."
    assert set(old) <= set(range(6)), f"Only the first six images found room in the buffer; yours returned {old}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_youngest(age_share):
    got = float(age_share(0, 50, 10))
    assert abs(got - 0.5) < 1e-6, f"Half of the images come from the newest batch: a share of 0.5; yours is {got}."
    got = float(age_share(1, 50, 10))
    assert abs(got - 0.05) < 1e-6, f"With 50 places and batches of 10, five of the 50 places hold images of the call before, a tenth of the other half: 0.05; yours is {got}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_turnover(History):
    import random
    import numpy as np
    import torch
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    n, size, steps = 4, 6, 1500
    history = History(size)
    ages, times, fresh = [], {}, []
    for step in range(steps):
        got = history((torch.arange(float(n)) + n * step).view(n, 1, 1, 1)).flatten()
        if step < 2:
            continue
        assert len(got) == n, f"Batches of {n} are returned as batches of {n}; yours has {len(got)}."
        made = [int(v) for v in got]
        old = [v for v in made if v < n * step]
        fresh += [v % n for v in made if v >= n * step]
        assert len(set(made)) == n and len(old) == n // 2, f"Step {step} of a full buffer: {n // 2} different new images and as many different old ones were expected; yours are {made}."
        for v in old:
            times[v] = times.get(v, 0) + 1
            ages.append(step - v // n)
    ages = torch.tensor(ages[400:]).double()
    assert max(times.values()) >= 3, "An image that was shown may be shown again, until it is overwritten; yours never is."
    first = float((ages == 1).double().mean())
    assert abs(first - 1 / 3) < 0.05, f"With 6 places and batches of 4, a third of the old images are one step old; yours are {first:.3f}."
    assert abs(float(ages.mean()) - 3) < 0.4, f"They are three steps old on average; yours are {float(ages.mean()):.2f}."
    shares = torch.bincount(torch.tensor(fresh), minlength=n) / len(fresh)
    assert (shares - 1 / n).abs().max() < 0.06, f"Which images of a batch are returned is left to chance; by their places in the batch, yours have the shares {[round(float(c), 2) for c in shares]}."
    kept = torch.tensor([v % n for v in times if 40 * n < v < (steps - 60) * n])
    counts = torch.bincount(kept, minlength=n) / len(kept)
    assert (counts - 1 / n).abs().max() < 0.06, f"Which images of a batch are stored is left to chance; by their places in the batch, yours have the shares {[round(float(c), 2) for c in counts]}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_copies(History):
    import torch
    torch.manual_seed(2)
    history = History(4)
    seen = []
    for step in range(40):
        source = torch.full((2, 1, 2, 2), float(step + 1), requires_grad=True)
        batch = source * 1.0
        got = history(batch)
        assert not got.requires_grad, "What is returned still has its graph."
        assert tuple(got.shape) == (2, 1, 2, 2), f"Batches of shape (2, 1, 2, 2) keep their shape; yours have {tuple(got.shape)}."
        seen += got.flatten().tolist()
        with torch.no_grad():
            batch.fill_(-1.0)  # somebody writes into it afterwards
    assert min(seen) > 0, "Stored images changed when somebody wrote into the batch later: store copies."
    first, second = History(2), History(2)
    first(torch.zeros(2, 1, 1, 1)), second(torch.ones(2, 1, 1, 1))
    assert float(second(torch.ones(2, 1, 1, 1)).min()) == 1, "Two buffers share their images."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_ages(age_share):
    for size, n in ((50, 10), (6, 4), (50, 2), (8, 16)):
        shares = [float(age_share(age, size, n)) for age in range(3000)]
        assert abs(sum(shares) - 1) < 1e-6, f"size={size}, n={n}: over all ages the shares have the sum {sum(shares):.4f}."
        mean = sum(age * share for age, share in enumerate(shares))
        assert abs(mean - size / n) < 1e-4, f"size={size}, n={n}: what is returned is size / n = {size / n:.2f} steps old on average; yours is {mean:.3f}."
    for age, wanted in ((2, 0.045), (4, 0.03645)):
        got = float(age_share(age, 50, 10))
        assert abs(got - wanted) < 1e-7, f"50 places, batches of 10: the share of age {age} is {wanted}; yours is {got:.5f}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q7

# %% [markdown]
# ## Question 7: a small cycle error is no proof
#
# A translator may close its cycles, satisfy any discriminator, and be wrong. Build two tools to see that.
#
# **A perfect pair that exchanges the classes.** Heap A and heap B have $n$ images each, with known classes. Translate by a table: image $i$ of A becomes image `g[i]` of B, and image $j$ of B becomes image `f[j]` of A. Make both tables so that every cycle closes, that each image of B is used exactly once (no discriminator can object: the translations *are* heap B), and that an image of class $c$ becomes one of class `becomes[c]`. If there are no such tables, raise a `ValueError`.
#
# **What the way back lives on.** If $F$ gets back what the picture $G(a)$ does not show, it reads it from something small or hidden, and noise may destroy that. Measure the mean absolute error of the way back twice: $F(G(a))$, and $F$ of $G(a)$ with normal noise of standard deviation `sigma`, clipped to $[-1, 1]$ like any image.

# %% [raw]
# # BEGIN SOLUTION

# %%
def wrong_pair(labels_a, labels_b, becomes):
    """Return tables (g, f) that close all cycles and exchange the classes.

    Args:
        labels_a, labels_b: classes of the two heaps' images, int64, shape (n,).
        becomes: a list; becomes[c] is the class that images of class c turn into.

    Returns:
        Two int64 tensors of shape (n,).

    Raises:
        ValueError: there are no such tables.
    """
    # BEGIN SOLUTION
    wanted = torch.tensor(becomes, device=labels_a.device)[labels_a]
    order_a, order_b = wanted.argsort(), labels_b.argsort()
    if not torch.equal(wanted[order_a], labels_b[order_b]):
        raise ValueError("the heaps do not hold the same number of images of these classes")
    g, f = torch.empty_like(order_a), torch.empty_like(order_b)
    g[order_a], f[order_b] = order_b, order_a
    return g, f
    # END SOLUTION


def way_back(g, f, a, sigma, generator):
    """Return the errors of the way back, without and with noise on the translations.

    Args:
        g, f: translators from A to B and from B to A, on images in [-1, 1].
        a: images of A, shape (n, C, H, W).
        sigma: standard deviation of the noise.
        generator: torch.Generator of the CPU, for the noise.

    Returns:
        (error, error with noise), two floats: mean absolute differences.
    """
    # BEGIN SOLUTION
    with torch.no_grad():
        fake = g(a)
        noise = torch.randn(fake.shape, generator=generator).to(fake.device)
        noisy = (fake + sigma * noise).clamp(-1, 1)
        return float((f(fake) - a).abs().mean()), float((f(noisy) - a).abs().mean())
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_four_images(wrong_pair):
    import torch
    labels_a, labels_b = torch.tensor([0, 1, 1, 0]), torch.tensor([1, 1, 0, 0])
    g, f = (list(map(int, table)) for table in wrong_pair(labels_a, labels_b, [1, 0]))
    assert sorted(g) == [0, 1, 2, 3], f"Each image of B is used exactly once; your g is {g}."
    assert [f[j] for j in g] == [0, 1, 2, 3], f"Image i of A must come back as itself; with your tables the four come back as {[f[j] for j in g]}."
    found = [int(labels_b[j]) for j in g]
    assert found == [1, 0, 0, 1], f"The classes 0, 1, 1, 0 are to become 1, 0, 0, 1; with your g they become {found}."

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_without_noise(way_back):
    import torch
    a = torch.tensor([0.5, -0.5]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    quiet, noisy = way_back(lambda x: x / 2, lambda x: x, a, 0.0, torch.Generator().manual_seed(0))
    assert isinstance(quiet, float) and isinstance(noisy, float), f"Two floats were expected; yours are {type(quiet).__name__} and {type(noisy).__name__}."
    assert abs(quiet - 0.25) < 1e-6, f"0.5 comes back as 0.25, so the mean absolute error is 0.25; yours is {quiet:.4f}."
    assert abs(noisy - 0.25) < 1e-6, f"With sigma = 0 noise changes nothing; yours gives {noisy:.4f}."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_many_images(wrong_pair):
    import torch
    generator = torch.Generator().manual_seed(3)
    for classes, n, becomes in ((2, 12, [1, 0]), (4, 40, [1, 2, 3, 0]), (5, 60, [3, 4, 2, 0, 1]), (3, 9, [0, 1, 2])):
        labels_a = torch.randint(classes, (n,), generator=generator)
        labels_b = torch.tensor(becomes)[labels_a][torch.randperm(n, generator=generator)]
        g, f = wrong_pair(labels_a.clone(), labels_b.clone(), list(becomes))
        g, f = torch.as_tensor(g), torch.as_tensor(f)
        everyone = torch.arange(n)
        assert torch.equal(g.sort().values, everyone), "Some image of B is used twice, or never."
        assert torch.equal(f[g], everyone) and torch.equal(g[f], everyone), "A cycle does not close."
        assert torch.equal(labels_b[g], torch.tensor(becomes)[labels_a]), f"With becomes={becomes} the classes do not become what they should."
    for labels_a, labels_b, becomes in (([0, 0, 1], [1, 1, 0], [0, 1]), ([0, 1], [0, 1, 1], [1, 0]), ([0, 0, 1, 1], [0, 1, 1, 2], [1, 0, 2])):
        try:
            wrong_pair(torch.tensor(labels_a), torch.tensor(labels_b), becomes)
        except ValueError:
            continue
        assert False, f"There are no such tables for the classes {labels_a} and {labels_b} and becomes={becomes}: a ValueError was expected."

# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
""" # END TEST CONFIG
def test_noise(way_back):
    import math
    import torch
    shape = (400, 3, 5, 5)
    flat = lambda value: (lambda x: torch.full_like(x, value))  # noqa: E731
    seen = []

    def watching(x):
        seen.append(x.clone())
        return x

    quiet, noisy = way_back(flat(0.0), watching, torch.zeros(shape), 0.2, torch.Generator().manual_seed(4))
    assert abs(quiet) < 1e-7, f"Without noise the error is 0; yours is {quiet:.4f}."
    wanted = 0.2 * math.sqrt(2 / math.pi)
    assert abs(noisy - wanted) < 0.004, f"Normal noise of 0.2 has a mean absolute value of {wanted:.4f}; your error is {noisy:.4f}."
    seen.clear()
    quiet, noisy = way_back(flat(1.0), watching, torch.zeros(shape), 0.5, torch.Generator().manual_seed(5))
    # the mean of |min(1 + 0.5 e, 1)|: what is clipped below -1 (e < -4) does not count here
    wanted = 1 - 0.5 / math.sqrt(2 * math.pi) + math.exp(-2) / math.sqrt(2 * math.pi) - math.erfc(math.sqrt(2))
    assert abs(quiet - 1) < 1e-6, "Without noise the translation goes back as it is."
    assert max(float(x.max()) for x in seen) <= 1 and abs(noisy - wanted) < 0.01, f"White with noise, clipped to [-1, 1], is {wanted:.3f} away from 0 on average; yours is {noisy:.3f}."
    torch.manual_seed(6)
    one = way_back(flat(0.0), watching, torch.zeros(2, 1, 2, 2), 0.3, torch.Generator().manual_seed(7))
    torch.rand(5)
    two = way_back(flat(0.0), watching, torch.zeros(2, 1, 2, 2), 0.3, torch.Generator().manual_seed(7))
    other = way_back(flat(0.0), watching, torch.zeros(2, 1, 2, 2), 0.3, torch.Generator().manual_seed(8))
    assert one[1] == two[1] != other[1], "The noise does not come from the generator."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Second experiment: the colour that is not there
#
# The same world without pairs. Heap A holds digits in ink, heap B *other* digits in white. A white digit says nothing about the ink, so an honest $F$ can do no better than question 1: its best answer under L1, with the expected error that is printed as the **floor**. No pair of translators whose white digits are silent about the ink can have a smaller expected error on the way from A to B and back. **Before you run it**: will the cycle error end above the floor or below? And which ink will $F$ paint when it is given *true* white digits?
#
# The step is your `generators_step`, the discriminators see what your `History` hands out, and `way_back` shakes the translations. At the end stands the pair of question 7, tables that turn every digit into the next one.

# %%
class Residual(nn.Module):
    """Maps h of shape (n, width, 8, 8) to h + r(h), r of two convolutions."""

    def __init__(self, width):
        super().__init__()
        layers = []
        for _ in range(2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, h):
        return h + self.layers(h)


def make_generator(width=12):
    """Return a network from images (n, 3, 8, 8) to the same shape, in [-1, 1]."""
    return nn.Sequential(
        nn.Conv2d(3, width, 5, padding=2, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        Residual(width), Residual(width),
        nn.Conv2d(width, 3, 5, padding=2), nn.Tanh(),
    ).to(device)


def make_discriminator(width=12):
    """Return a PatchGAN with the layers of LAYERS: 2x2 logits for images of 8x8."""
    (k, s, p), *_ = LAYERS
    layers = [nn.Conv2d(3, width, k, s, p), nn.LeakyReLU(0.2)]
    sizes = (width, 2 * width), (2 * width, 1)
    for (inputs, outputs), (k, s, p) in zip(sizes, LAYERS[1:]):
        layers += [nn.Conv2d(inputs, outputs, k, s, p)]
        if outputs > 1:
            layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers).to(device)


def train_cycle(seed, steps, weight=10.0, sigma=0.0):
    """Return G and F, trained on two heaps that share no digit."""
    torch.manual_seed(seed)
    g, f = make_generator(), make_generator()
    d_a, d_b = make_discriminator(), make_discriminator()
    adam_g, adam_d = (
        torch.optim.Adam([*x.parameters(), *y.parameters()], 1e-3, betas=(0.5, 0.999))
        for x, y in ((g, f), (d_a, d_b))
    )
    rates = [falling(adam, steps) for adam in (adam_g, adam_d)]
    histories = History(50), History(50)
    lots = torch.Generator().manual_seed(seed)
    heap_a, heap_b = colour[::2], white[1::2]
    for _ in range(steps):
        a, b = (
            heap[torch.randint(len(heap), (32,), generator=lots).to(device)]
            for heap in (heap_a, heap_b)
        )
        told = generators_step(g, f, d_a, d_b, adam_g, a, b, weight, sigma)
        loss_d = 0.0
        for d, real, history, fake in zip(
            (d_a, d_b), (a, b), histories, (told["fake_a"], told["fake_b"])
        ):
            at_real, at_fake = d(real), d(history(fake))
            loss_d += ((at_real - 1).square().mean() + at_fake.square().mean()) / 2
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()
        for rate in rates:
            rate.step()
    return g.eval(), f.eval()


@torch.no_grad()
def ink_found(images):
    """Share of the test digits whose strongest channel is that of their true ink."""
    return (images.mean((2, 3)).argmax(1) == test_ink).float().mean().item()


if passed("q1", "q5", "q6", "q7"):
    judge = metrics.judge("digits", 8, device)

    def kept(images, classes):
        """Share of the images that the judge reads as these classes."""
        read = judge.logits(images.mean(1, keepdim=True)).argmax(1)
        return (read == classes).float().mean().item()

    answers = [best_answers(three, SHARES)[0] for three in test_inked.unbind(1)]
    honest = torch.stack(answers)
    floor = (SHARES * (test_inked - honest).abs().mean((1, 2, 3, 4))).sum()
    real = kept(test_white, test_digit)
    print(f"floor {floor:.3f}; the judge reads {real:.1%} of true white digits")
    for seed in range(scale.seeds):
        g, f = train_cycle(seed, scale.cycle_steps)
        shaken = [
            way_back(g, f, test_colour, sigma, torch.Generator().manual_seed(9))
            for sigma in (0.1, 0.3, 1.0)
        ]
        with torch.no_grad():
            fake = g(test_colour)
            back, from_true = f(fake), f(test_white)
        print(f"seed {seed}: cycle error {shaken[0][0]:.3f}", end="")
        print("; with noise of 0.1, 0.3, 1:", *(f"{noisy:.3f}" for _, noisy in shaken))
        print(f"  ink found in F(G(a)) {ink_found(back):.1%}", end="")
        print(f", in F(true white) {ink_found(from_true):.1%}", end="")
        print(f"; digits kept in G(a) {kept(fake, test_digit):.1%}")

    few = torch.cat([(test_digit == c).nonzero().flatten()[:30] for c in range(10)])
    heap_a, heap_b = test_colour[few], test_white[few.flip(0)]
    classes_a, classes_b = test_digit[few].cpu(), test_digit[few.flip(0)].cpu()
    next_digit = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    tables = wrong_pair(classes_a, classes_b, next_digit)
    table_g, table_f = (torch.as_tensor(table, device=device) for table in tables)
    returned = heap_a[table_f[table_g]]
    print(f"tables: cycle error {(returned - heap_a).abs().mean():.3f}", end="")
    print(f", digits kept {kept(heap_b[table_g], classes_a.to(device)):.1%}")

# %%
# @title Figure: there and back, for the last run
if passed("q1", "q5", "q6", "q7"):
    rows = {"a": test_colour, "G(a)": fake, "F(G(a))": back, "true white": test_white, "F(true white)": from_true}
    figure = plt.figure(figsize=(8.4, 2.6))
    ax = plot.images(torch.cat([images[::30][:16] for images in rows.values()]), columns=16, ax=figure.add_axes((0.18, 0, 0.82, 1)))
    for number, name in enumerate(rows):
        ax.text(-2, 9 * number + 5, name, ha="right", va="center", fontsize=10)
    plt.show()

# %% [raw]
# # BEGIN QUESTION
# name: q8
# manual: true
# points: 8

# %% [markdown]
# ## Question 8: report
#
# Run the second experiment with at least **three seeds**, then change **one thing** in it (the weight of the cycles, the noise `sigma` in training, the shares of the inks, one ink instead of three, the width of the networks, a buffer of size 2, ...), say beforehand what you expect, and run the same seeds again. Report in about 300 words, one table and one figure.
#
# | Points | For |
# |---|---|
# | 1 | what the first experiment showed: the colours that L1 and L2 painted beside those that question 1 gives, and why neither is an ink |
# | 2 | a prediction that was made before the run and could have failed, with its reason |
# | 2 | a table with every seed before and after the change: cycle error beside the floor, ink found in $F(G(a))$ and in $F$ of true white digits, digits kept beside the judge's value for true ones |
# | 2 | an explanation of where the ink is hidden and of what speaks for it: the floor, noise, true white digits, the figure |
# | 1 | what your numbers do not show: seeds, budget, size of the images, the measures themselves |

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# A good report says of the first experiment that each channel is bright with a probability below one half, so that L1's best image is black, digit and all, and L2's is a mixture with the shares of the inks; neither is an ink, since each pixel and channel is answered on its own. The networks painted nearly these (three seeds, 300 steps, 500 test digits): L1 black, at 11.1 dB; L2 a tone of about (0.39, 0.33, 0.20) at 12.7 to 12.8 dB, where the best possible have 11.1 and 12.9. Without skips the distance to the best L2 image grew from 27.4 to 28.0 dB to 17.3 to 17.9 dB. pix2pix has the lowest PSNR, 10.2 to 10.6 dB, and is nearest to a possible image (0.06 to 0.08 beside 0.16 and more). Of the second: the cycle error ends at 0.083 to 0.086 (three seeds, 200 steps), below the floor of 0.203, which no pair can pass whose white digits are silent about the ink. So $G(a)$ carries it: the ink is found in 99.8 to 100 % of $F(G(a))$ and in 34.0 to 36.0 % of $F$ of true white digits, where $F$ can only guess. The digits pay: the judge reads 78.8 to 83.0 % of them beside 99.2 % of true ones, and the figure shows why, tinted pixels in and around the strokes. The message is not faint: noise of 0.1 leaves a cycle error of 0.086 to 0.091 and noise of 0.3 one of 0.110 to 0.119; noise of 1 brings it above the floor (0.231 to 0.272). So a way back that survives small noise does not prove that nothing is hidden; $F$ of true white digits is the sharper test. With one ink there is nothing to hide, and the floor is 0. The tables show that a cycle error of 0 and a perfect heap B say nothing about which digit became which. Limits to name: three seeds, images of 8×8, some hundred steps, a judge of digits that was trained on real ones, an ink that is read by the strongest channel only.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run everything from the top once more (*Runtime, Restart and run all* in Colab), save, and hand in this notebook.
