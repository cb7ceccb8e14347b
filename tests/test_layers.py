"""Layers against torch's own functions, torch.linalg, explicit matrices and plain loops."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from gan_course import layers

MODULES = {
    "linear": (lambda: nn.Linear(5, 7), 0),
    "convolution": (lambda: nn.Conv2d(3, 6, 3), 0),
    "transposed convolution": (lambda: nn.ConvTranspose2d(3, 6, 4, 2, 1), 1),
    "embedding": (lambda: nn.Embedding(9, 4), 0),
}
over_modules = pytest.mark.parametrize(("make", "dim"), MODULES.values(), ids=MODULES)


def as_matrix(weight: torch.Tensor, dim: int) -> torch.Tensor:
    """One row per output."""
    return torch.stack([row.flatten() for row in weight.detach().unbind(dim)])


def power(module: nn.Module) -> layers.SpectralNorm:
    return module.parametrizations.weight[0]


# ---- spectral norm ----


@over_modules
def test_largest_singular_value_is_one_after_convergence(make, dim):
    torch.manual_seed(0)
    module = make()
    weight = module.weight.detach().clone()
    layers.spectral_norm(module)
    layers.advance_spectral_norms(module, 200)
    sigma = torch.linalg.matrix_norm(as_matrix(weight, dim), ord=2)
    torch.testing.assert_close(module.weight.detach(), weight / sigma, rtol=1e-3, atol=0)
    assert torch.linalg.matrix_norm(as_matrix(module.weight, dim), ord=2).item() == pytest.approx(1, abs=1e-3)


@over_modules
def test_agrees_with_torch_when_the_vectors_are_the_same(make, dim):
    ours = make()
    theirs = parametrizations.spectral_norm(copy.deepcopy(ours)).eval()
    layers.spectral_norm(ours)
    theirs.parametrizations.weight[0]._u.copy_(power(ours).u)
    theirs.parametrizations.weight[0]._v.copy_(power(ours).v)
    torch.testing.assert_close(ours.weight, theirs.weight)
    probe = torch.randn_like(ours.weight)
    (ours.weight * probe).sum().backward()
    (theirs.weight * probe).sum().backward()
    torch.testing.assert_close(ours.parametrizations.weight.original.grad, theirs.parametrizations.weight.original.grad)


def test_one_advance_is_algorithm_1():
    module = layers.spectral_norm(nn.Linear(5, 7).double())
    w, u = module.parametrizations.weight.original.detach(), power(module).u.clone()
    v = w.T @ u / (w.T @ u).norm()
    layers.advance_spectral_norms(nn.Sequential(nn.ReLU(), nn.Sequential(module)))
    torch.testing.assert_close(power(module).v, v)
    torch.testing.assert_close(power(module).u, w @ v / (w @ v).norm())
    torch.testing.assert_close(module.weight, w / (power(module).u @ w @ v))


@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
def test_no_forward_moves_the_vectors(mode):
    network = nn.Sequential(layers.spectral_norm(nn.Conv2d(2, 3, 3)), layers.spectral_norm(nn.Conv2d(3, 2, 3)))
    network.train(mode)
    before = [b.clone() for b in network.buffers()]
    with torch.no_grad():
        for module in network:
            module.parametrizations.weight.original += torch.randn_like(module.weight)  # the vectors are behind
    for _ in range(3):
        network(torch.randn(2, 2, 6, 6)).sum().backward()
    assert len(before) == 4 and all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))
    layers.advance_spectral_norms(network)
    assert not any(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))


def test_gradient_through_the_norm_matches_finite_differences():
    """At the exact singular vectors the derivative of sigma by W is u v', though u and v are held fixed."""
    torch.manual_seed(0)
    w = torch.randn(4, 3, dtype=torch.float64)
    norm = layers.SpectralNorm(w, iterations=2_000)
    probe = torch.randn(4, 3, dtype=torch.float64)
    variable = w.clone().requires_grad_(True)
    (norm(variable) * probe).sum().backward()

    def exact(matrix):
        return ((matrix / torch.linalg.svdvals(matrix)[0]) * probe).sum().item()

    numeric = torch.empty_like(w)
    for index in range(12):
        step = torch.zeros(12, dtype=torch.float64)
        step[index] = 1e-6
        step = step.view(4, 3)
        numeric.view(-1)[index] = (exact(w + step) - exact(w - step)) / 2e-6
    torch.testing.assert_close(variable.grad, numeric, rtol=1e-6, atol=1e-7)


def test_state_and_copies_keep_the_vectors():
    module = layers.spectral_norm(nn.Linear(5, 7))
    nn.init.normal_(module.parametrizations.weight.original)  # the vectors are behind, so that an advance moves them
    twin = copy.deepcopy(module)
    other = layers.spectral_norm(nn.Linear(5, 7))
    other.load_state_dict(module.state_dict())
    x = torch.randn(3, 5)
    assert torch.equal(twin(x), module(x)) and torch.equal(other(x), module(x))
    layers.advance_spectral_norms(twin)
    assert not torch.equal(power(twin).u, power(module).u)
    assert sum(p.numel() for p in module.parameters()) == 42 and set(dict(module.named_buffers())) == {
        "parametrizations.weight.0.u",
        "parametrizations.weight.0.v",
    }


def test_advance_passes_over_other_parametrizations():
    module = parametrizations.weight_norm(nn.Linear(3, 3))
    before = copy.deepcopy(module.state_dict())
    layers.advance_spectral_norms(nn.Sequential(module, parametrizations.orthogonal(nn.Linear(3, 3))))
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_spectral_norm_of_a_vector_is_refused():
    module = nn.BatchNorm1d(4)
    with pytest.raises(ValueError, match=r"weight must have at least 2 dimensions, got shape \(4,\)"):
        layers.spectral_norm(module)
    assert not parametrize.is_parametrized(module)


# ---- GroupSort ----


@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 4), st.lists(st.integers(1, 3), max_size=2))
def test_groupsort_sorts_within_groups(batch, groups, group, places):
    x = torch.randn(batch, groups * group, *places, dtype=torch.float64)
    y = layers.GroupSort(group)(x)
    assert y.shape == x.shape
    for b in range(batch):
        for g in range(groups):
            rows = slice(g * group, (g + 1) * group)
            columns_in, columns_out = (t[b, rows].reshape(group, -1).T.tolist() for t in (x, y))
            assert [sorted(column) for column in columns_in] == columns_out


@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 4))
def test_groupsort_keeps_norms_and_is_1_lipschitz(batch, groups, group):
    sort = layers.GroupSort(group)
    x, other, upstream = torch.randn(3, batch, groups * group, dtype=torch.float64)
    x.requires_grad_(True)
    (gradient,) = torch.autograd.grad(sort(x), x, upstream)
    torch.testing.assert_close(gradient.norm(dim=1), upstream.norm(dim=1))
    torch.testing.assert_close(gradient.sort(1).values, upstream.sort(1).values)  # it permutes, no more
    moved = (sort(x) - sort(other)).norm(dim=1)
    assert (moved <= (x - other).norm(dim=1) + 1e-12).all()


def test_groupsort_refuses_what_does_not_divide():
    with pytest.raises(ValueError, match="group must be at least 2, got 1"):
        layers.GroupSort(1)
    with pytest.raises(ValueError, match=r"x must have a multiple of group \(3\) features, got 4"):
        layers.GroupSort(3)(torch.zeros(2, 4))


# ---- conditional batch norm ----


@pytest.mark.parametrize("training", [True, False])
def test_conditional_batch_norm_is_batch_norm_with_the_gain_and_bias_of_the_class(training):
    torch.manual_seed(0)
    norm = layers.ConditionalBatchNorm2d(3, 4).double().train(training)
    nn.init.normal_(norm.gain.weight)
    nn.init.normal_(norm.bias.weight)
    norm.norm.running_mean.normal_()
    norm.norm.running_var.uniform_(0.5, 2)
    mean, var = norm.norm.running_mean.clone(), norm.norm.running_var.clone()
    x, labels = 2 + 3 * torch.randn(6, 3, 4, 5, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2, 0])
    got = norm(x, labels)
    for i, label in enumerate(labels.tolist()):
        m, v = mean.clone(), var.clone()
        all_of_this_class = F.batch_norm(x, m, v, norm.gain.weight[label], norm.bias.weight[label], training)
        torch.testing.assert_close(got[i], all_of_this_class[i])
    torch.testing.assert_close(norm.norm.running_mean, m)  # one update, with statistics over all classes
    torch.testing.assert_close(norm.norm.running_var, v)
    assert torch.equal(m, mean) is not training


def test_conditional_batch_norm_starts_as_batch_norm():
    x, labels = torch.randn(5, 3, 4, 4), torch.tensor([0, 1, 0, 1, 1])
    torch.testing.assert_close(layers.ConditionalBatchNorm2d(3, 2)(x, labels), nn.BatchNorm2d(3)(x))
    with pytest.raises(IndexError):
        layers.ConditionalBatchNorm2d(3, 2)(x, labels + 1)


# ---- self-attention ----


@pytest.mark.parametrize("spectral", [False, True])
def test_self_attention_is_the_equations_in_a_loop(spectral):
    torch.manual_seed(0)
    layer = layers.SelfAttention(16, spectral).double()
    nn.init.constant_(layer.gamma, 0.7)
    x = torch.randn(2, 16, 3, 2, dtype=torch.float64)
    with torch.no_grad():
        got = layer(x)
        wq, wk, wv, wo = (m.weight.flatten(1) for m in (layer.query, layer.key, layer.value, layer.out))
        for image, result in zip(x.flatten(2), got.flatten(2), strict=True):
            places = [image[:, i] for i in range(6)]
            for j, here in enumerate(places):
                scores = [torch.exp((wk @ there) @ (wq @ here)) for there in places]
                o = sum(s / sum(scores) * (wv @ there) for s, there in zip(scores, places, strict=True))
                torch.testing.assert_close(result[:, j], 0.7 * (wo @ o) + here)


def test_self_attention_starts_as_the_identity_and_can_learn():
    layer, x = layers.SelfAttention(8), torch.randn(2, 8, 3, 3)
    y = layer(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert layer.gamma.grad.abs() > 0


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_self_attention_does_not_know_where_places_are(seed):
    torch.manual_seed(seed)
    layer = layers.SelfAttention(8).double()
    nn.init.ones_(layer.gamma)
    x, order = torch.randn(1, 8, 4, 3, dtype=torch.float64), torch.randperm(12)
    shuffled = x.flatten(2)[..., order].unflatten(2, (4, 3))
    torch.testing.assert_close(layer(shuffled).flatten(2), layer(x).flatten(2)[..., order])


def test_self_attention_needs_eight_channels():
    with pytest.raises(ValueError, match="channels must be at least 8, got 7"):
        layers.SelfAttention(7)


# ---- up-blocks ----


def test_upsample_repeats_pixels():
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(layers.upsample(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))


def matrix_of(linear_map, shape: tuple[int, ...]) -> torch.Tensor:
    """The matrix of a linear map of tensors of ``shape``, column by column from the unit tensors."""
    size = torch.Size(shape).numel()
    return torch.stack([linear_map(e.view(1, *shape)).flatten() for e in torch.eye(size, dtype=torch.float64)], 1)


@given(st.sampled_from([(4, 2, 1), (3, 1, 1), (2, 2, 0), (5, 3, 1), (4, 1, 0)]), st.integers(1, 2), st.integers(1, 2))
@settings(max_examples=20, deadline=None)
def test_transposed_convolution_is_the_transposed_matrix(kernel_stride_padding, channels_in, channels_out):
    kernel, stride, padding = kernel_stride_padding
    small = 3
    large = (small - 1) * stride - 2 * padding + kernel
    weight = torch.randn(channels_in, channels_out, kernel, kernel, dtype=torch.float64)
    down = matrix_of(lambda x: F.conv2d(x, weight, None, stride, padding), (channels_out, large, large))
    x = torch.randn(1, channels_in, small, small, dtype=torch.float64)
    up = F.conv_transpose2d(x, weight, None, stride, padding)
    torch.testing.assert_close(up.flatten(), down.T @ x.flatten())


def test_the_up_blocks_are_linear_maps_then_batch_norm_and_relu():
    """The transposed block is the transposed matrix of a stride-2 convolution; the other doubles, then convolves."""
    transposed, resized = layers.transposed_up(2, 3).double(), layers.resize_up(2, 3).double()
    x = torch.randn(4, 2, 3, 3, dtype=torch.float64)
    weight = transposed[0].weight.detach()
    down = matrix_of(lambda y: F.conv2d(y, weight, None, 2, 1), (3, 6, 6))
    up = (x.flatten(1) @ down).view(4, 3, 6, 6)
    torch.testing.assert_close(transposed(x), F.batch_norm(up, None, None, training=True).relu())
    doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    up = F.conv2d(doubled, resized[1].weight, None, padding=1)
    torch.testing.assert_close(resized(x), F.batch_norm(up, None, None, training=True).relu())


def overlaps(kernel: int, stride: int, padding: int) -> torch.Tensor:
    """How many inputs each inner output of a transposed convolution is made of."""
    ones = torch.ones(1, 1, 8, 8)
    return F.conv_transpose2d(ones, torch.ones(1, 1, kernel, kernel), None, stride, padding)[
        0, 0, kernel:-kernel, kernel:-kernel
    ]


@pytest.mark.parametrize("make", [layers.transposed_up, layers.resize_up])
def test_the_up_blocks_have_no_checkerboard_built_in(make):
    block = make(1, 1)[:-2]  # without batch norm and ReLU
    for p in block.parameters():
        nn.init.ones_(p)
    inner = block(torch.ones(1, 1, 8, 8))[0, 0, 2:-2, 2:-2]
    assert (inner == inner[0, 0]).all()
    assert overlaps(4, 2, 1).unique().tolist() == [4]
    assert overlaps(3, 2, 1).unique().tolist() == [1, 2, 4]  # the kernel to avoid


# ---- residual blocks ----


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("num_classes", [None, 3])
def test_res_block_up_is_its_figure(num_classes, spectral):
    """The shortcut doubles first and convolves then, as in the figure; the block does it in the other order."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d if num_classes is None else lambda c: layers.ConditionalBatchNorm2d(c, num_classes)
    block = layers.ResBlockUp(4, 6, norm, spectral).double()
    x = torch.randn(5, 4, 3, 3, dtype=torch.float64)
    labels = None if num_classes is None else torch.tensor([0, 1, 2, 1, 0])
    if labels is not None:
        for norm in (block.norm1, block.norm2):
            nn.init.normal_(norm.gain.weight)
            nn.init.normal_(norm.bias.weight)

    def normalised(h, norm):
        h = F.batch_norm(h, None, None, training=True)
        if labels is not None:
            h = h * norm.gain.weight[labels][..., None, None] + norm.bias.weight[labels][..., None, None]
        return h.relu()

    def double(h):
        return h.repeat_interleave(2, 2).repeat_interleave(2, 3)

    h = F.conv2d(double(normalised(x, block.norm1)), block.conv1.weight, block.conv1.bias, padding=1)
    h = F.conv2d(normalised(h, block.norm2), block.conv2.weight, block.conv2.bias, padding=1)
    expected = h + F.conv2d(double(x), block.shortcut.weight, block.shortcut.bias)
    got = block(x) if labels is None else block(x, labels)
    assert got.shape == (5, 6, 6, 6)
    torch.testing.assert_close(got, expected)
    convolutions = (block.conv1, block.conv2, block.shortcut)
    assert all(parametrize.is_parametrized(convolution) == spectral for convolution in convolutions)


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(("channels_out", "downsample"), [(4, True), (6, True), (4, False), (6, False)])
def test_res_block_down_is_its_figure(spectral, first, channels_out, downsample):
    """The shortcut convolves first and averages then, as in the figure; the block does it in the other order."""
    block = layers.ResBlockDown(4, channels_out, downsample, first, spectral).double()
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    h = x if first else x.clamp(min=0)
    h = F.conv2d(h, block.conv1.weight, block.conv1.bias, padding=1).clamp(min=0)
    h = F.conv2d(h, block.conv2.weight, block.conv2.bias, padding=1)
    shortcut = x
    if downsample or channels_out != 4:
        shortcut = F.conv2d(x, block.shortcut.weight, block.shortcut.bias)
    expected = h + shortcut
    if downsample:  # averaging 2x2 pixels of the sum
        expected = expected.unflatten(3, (-1, 2)).mean(4).unflatten(2, (-1, 2)).mean(3)
    got = block(x)
    assert got.shape == (2, channels_out, *((3, 3) if downsample else (6, 6)))
    torch.testing.assert_close(got, expected)
    assert block.conv1.out_channels == (channels_out if first else 4)
    normalised = [m for m in block.modules() if isinstance(m, layers.SpectralNorm)]
    convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert len(normalised) == (len(convolutions) if spectral else 0)


@pytest.mark.parametrize("norm", [nn.InstanceNorm2d, nn.BatchNorm2d])
def test_residual_block_keeps_the_shape_and_reflects_the_border(norm):
    block = layers.ResidualBlock(3, norm).double()
    x = torch.randn(4, 3, 5, 5, dtype=torch.float64)
    first, second = (m for m in block.layers if isinstance(m, nn.Conv2d))

    def reflected(h):  # rows 1, 0 1 2 3 4, 3: the border itself is not repeated
        places = [1, 0, 1, 2, 3, 4, 3]
        return h[:, :, places][:, :, :, places]

    def normalised(h):
        dims = (2, 3) if norm is nn.InstanceNorm2d else (0, 2, 3)
        var, mean = torch.var_mean(h, dims, correction=0, keepdim=True)
        return (h - mean) / (var + 1e-5).sqrt()

    h = normalised(F.conv2d(reflected(x), first.weight)).relu()
    expected = x + normalised(F.conv2d(reflected(h), second.weight))
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.ResBlockUp(2, 3),
        lambda: layers.ResBlockDown(2, 3, spectral=True),
        lambda: layers.ResidualBlock(2),
        lambda: layers.ConditionalBatchNorm2d(2, 2),
    ],
    ids=["up", "down", "residual", "conditional norm"],
)
def test_gradients_of_blocks_match_finite_differences(make):
    torch.manual_seed(0)
    block = make().double()
    labels = (torch.tensor([0, 1]),) if isinstance(block, layers.ConditionalBatchNorm2d) else ()
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: block(x, *labels), (x,))


@pytest.mark.gpu
def test_spectral_norm_is_made_where_the_weight_is():
    module = layers.spectral_norm(nn.Linear(5, 7, device="cuda"))
    assert power(module).u.is_cuda and power(module).v.is_cuda
    layers.advance_spectral_norms(module, 100)
    assert torch.linalg.matrix_norm(module.weight, ord=2).item() == pytest.approx(1, abs=1e-3)


# ---- minibatch standard deviation ----


@pytest.mark.parametrize("shape", [(8, 5), (12, 3, 4, 6)])
@pytest.mark.parametrize("group", [2, 4])
def test_minibatch_std_is_its_definition_in_a_loop(shape, group):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    y = layers.MinibatchStd(group)(x)
    assert y.shape == (shape[0], shape[1] + 1, *shape[2:])
    assert torch.equal(y[:, :-1], x)
    for i in range(shape[0]):
        members = x[i // group * group : i // group * group + group].flatten(1)
        mean = sum(members[:, j].std(correction=0) for j in range(members.shape[1])) / members.shape[1]
        torch.testing.assert_close(y[i, -1], mean.expand(shape[2:]), rtol=1e-5, atol=0)


def test_minibatch_std_sees_a_collapsed_group_and_has_a_finite_gradient_there():
    x = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    y = layers.MinibatchStd()(x)
    assert y[:, -1].max().item() <= 1.01e-4
    y.sum().backward()
    assert torch.isfinite(x.grad).all()
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(layers.MinibatchStd(2), (x,))


def test_minibatch_std_refuses_what_does_not_divide():
    with pytest.raises(ValueError, match=r"B a multiple of group \(4\), got \(6, 2\)"):
        layers.MinibatchStd()(torch.zeros(6, 2))
    with pytest.raises(ValueError, match="group must be at least 2, got 1"):
        layers.MinibatchStd(1)


# ---- augmentation ----


PLAIN = {"brightness": 0, "saturation": 0, "contrast": 0, "shift": 0, "cutout": 0}


def test_augment_without_strength_is_the_identity():
    x = torch.rand(5, 3, 8, 6) * 2 - 1
    assert torch.equal(layers.augment(x, **PLAIN), x)


@pytest.mark.parametrize(("height", "width", "down", "right"), [(8, 16, 1, 2), (20, 36, 3, 5)])
def test_augment_shifts_whole_images_and_uncovers_black(height, width, down, right):
    """By an eighth of the sides, halves rounded up: of 20 by 3 and of 36 by 5, where Python's round has 2 and 4."""
    torch.manual_seed(0)
    x = torch.rand(600, 2, height, width) * 2 - 1
    y = layers.augment(x, **{**PLAIN, "shift": 0.125})
    padded = F.pad(x, (right, right, down, down), value=-1.0)
    found = set()
    for one, image in zip(y, padded, strict=True):
        windows = image.unfold(1, height, 1).unfold(2, width, 1)  # (2, rows, columns, height, width)
        places = (windows == one[:, None, None]).all(-1).all(-1).all(0).nonzero()
        assert len(places) == 1
        found.add(tuple(places[0].tolist()))
    assert len(found) == (2 * down + 1) * (2 * right + 1)  # each shift occurs


def test_augment_changes_colours_as_much_as_it_says():
    """Offsets and factors, found again in images of which one channel or one half is known."""
    torch.manual_seed(0)
    n = 4000

    def uniform(drawn: torch.Tensor, low: float, high: float) -> None:
        assert low - 1e-6 <= drawn.min() and drawn.max() <= high + 1e-6
        assert drawn.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
        assert drawn.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.05)

    uniform(layers.augment(torch.zeros(n, 1, 8, 8), **{**PLAIN, "brightness": 0.5})[:, 0, 0, 0], -0.5, 0.5)
    colours = torch.tensor([0.6, 0.0, -0.3]).view(1, 3, 1, 1).expand(n, 3, 2, 2)  # mean .1
    y = layers.augment(colours, **{**PLAIN, "saturation": 1.0})
    uniform((y[:, 0, 0, 0] - 0.1) / 0.5, 0, 2)
    torch.testing.assert_close(y.mean(1), torch.full((n, 2, 2), 0.1))
    grey = torch.rand(3, 1, 8, 8).expand(3, 3, 8, 8)
    torch.testing.assert_close(layers.augment(grey, **{**PLAIN, "saturation": 1.0}), grey)
    halves = torch.tensor([-0.4, 0.2]).view(1, 1, 1, 2).expand(n, 3, 2, 2)  # mean -.1
    y = layers.augment(halves, **{**PLAIN, "contrast": 0.5})
    uniform((y[:, 0, 0, 1] + 0.1) / 0.3, 0.5, 1.5)
    torch.testing.assert_close(y.mean((1, 2, 3)), torch.full((n,), -0.1))


@pytest.mark.parametrize(("side", "cutout", "hole"), [(32, 0.5, 16), (8, 0.25, 2), (9, 0.33, 3), (5, 0.5, 3)])
def test_augment_cuts_a_square_whose_centre_is_anywhere(side, cutout, hole):
    """Row r is cut by the squares with a centre c in [r - (hole - 1) / 2, r + (hole - 1) / 2], where centres lie on the
    side's pixels for an odd hole and on the side + 1 lines between them for an even one."""
    torch.manual_seed(0)
    n = 20_000
    holes = layers.augment(torch.zeros(n, 1, side, side), **{**PLAIN, "cutout": cutout})[:, 0] == -1
    centres = torch.arange(side) if hole % 2 else torch.arange(side + 1) - 0.5
    share = ((centres - torch.arange(side)[:, None]).abs() <= (hole - 1) / 2).double().mean(1)  # per row
    expected = share[:, None] * share
    middle = side // 2
    assert expected[middle, middle].item() == pytest.approx((hole / (side + 1 - hole % 2)) ** 2)
    error = (expected * (1 - expected) / n).sqrt()
    assert ((holes.double().mean(0) - expected).abs() <= 5 * error).all()
    assert holes.any(1).sum(1).max() == hole and holes.any(2).sum(1).max() == hole
    least = (hole + 1) // 2  # of the side of a square whose centre lies on the border
    assert holes.any(1).sum(1).min() == least and holes.any(2).sum(1).min() == least


def test_augment_passes_the_gradient_of_what_is_still_seen():
    torch.manual_seed(0)
    x = torch.rand(3, 2, 8, 8, dtype=torch.float64, requires_grad=True)

    def seeded(x, **strengths):
        torch.manual_seed(1)
        return layers.augment(x, **strengths)

    assert gradcheck(seeded, (x,))
    seeded(x, saturation=0, contrast=0).sum().backward()
    assert set(x.grad.unique().tolist()) == {0.0, 1.0}


def test_augment_names_what_is_wrong():
    with pytest.raises(ValueError, match=r"x must be \(B, C, H, W\), got \(3, 8\)"):
        layers.augment(torch.zeros(3, 8))
    with pytest.raises(ValueError, match=r"shift must lie in \[0, 1\], got 2"):
        layers.augment(torch.zeros(1, 1, 8, 8), shift=2)
