"""Building blocks: spectral normalisation, GroupSort, minibatch standard deviation, differentiable augmentation,
modulated convolutions, conditional batch norm, self-attention, up and down blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, normalize
from torch.nn.utils import parametrize

from gan_course import checks, parallel


class SpectralNorm(nn.Module):
    r"""A weight divided by (an estimate of) its largest singular value, :math:`W / \sigma(W)`: a torch parametrization.

    Miyato et al. (2018), section 2.1 and Algorithm 1. The weight is seen as a matrix with one row per output (for a
    convolution: ``(out, in * kh * kw)``; its largest singular value is not the norm of the convolution, which it
    bounds only up to a factor: Tsuzuku et al., 2018). Power iteration keeps two vectors,

    .. math:: v \leftarrow W^\top u / \|W^\top u\|, \qquad u \leftarrow W v / \|W v\|, \qquad \sigma = u^\top W v,

    as buffers. Using the weight never moves them; :func:`advance_spectral_norms` does, once per discriminator update
    however often that update runs the network. So all passes of an update, the generator's step and evaluation see the
    same weights. :func:`torch.nn.utils.parametrizations.spectral_norm` advances in every training-mode pass instead.

    This :math:`\sigma` is never above the largest singular value, and one iteration per update lags behind a moving
    weight. So what is used has a largest singular value of 1 or more: 1.16 on average and 1.68 at most with SNGAN's
    recipe for digits (a rate of 2e-3), 1.08 and 1.12 with its ResNet at 2e-4; with torch's cadence 1.10 and 1.54, 1.06
    and 1.09.

    Args:
        weight: the weight to normalise; two dimensions or more.
        dim: the dimension of the outputs; 1 for transposed convolutions.
        iterations: power iterations at the start.
    """

    def __init__(self, weight: Tensor, dim: int = 0, iterations: int = 15):
        super().__init__()
        if weight.ndim < 2:
            raise ValueError(f"weight must have at least 2 dimensions, got shape {tuple(weight.shape)}")
        self.dim = dim
        rows, columns = self._matrix(weight).shape
        self.register_buffer("u", normalize(torch.randn(rows, dtype=weight.dtype, device=weight.device), dim=0))
        self.register_buffer("v", weight.new_empty(columns))
        self.advance(weight, iterations)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    @torch.no_grad()
    def advance(self, weight: Tensor, iterations: int = 1) -> None:
        """Do power iterations towards the leading singular vectors of ``weight``."""
        matrix = self._matrix(weight)
        with torch.autocast(weight.device.type, enabled=False):
            for _ in range(iterations):
                self.v.copy_(normalize(matrix.T @ self.u, dim=0))
                self.u.copy_(normalize(matrix @ self.v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):  # the norm needs full precision
            sigma = self.u @ (self._matrix(weight) @ self.v)  # u and v are constants, the gradient flows through W
        return weight / sigma


def spectral_norm(module: nn.Module, name: str = "weight") -> nn.Module:
    """Normalise ``module``'s weight (of a linear, convolution or embedding layer) by :class:`SpectralNorm`."""
    dim = 1 if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d) else 0
    parametrize.register_parametrization(module, name, SpectralNorm(getattr(module, name), dim))
    return module


def advance_spectral_norms(network: nn.Module, iterations: int = 1) -> None:
    """Do power iterations in every spectrally normalised layer; call it once before each discriminator update."""
    for module in network.modules():
        if isinstance(module, parametrize.ParametrizationList) and isinstance(module[0], SpectralNorm):
            module[0].advance(module.original, iterations)


class GroupSort(nn.Module):
    """Sort the features within groups: an activation that keeps the norm of every gradient.

    The optimal Wasserstein critic has slope 1 almost everywhere. A network of 1-Lipschitz layers keeps that slope only
    if no layer loses any of it; ReLU does, so that with ReLU only linear functions reach it (Anil et al., 2019, theorem
    1). Sorting permutes its inputs, and loses nothing. ``group`` must divide the number of features.
    """

    def __init__(self, group: int = 2):
        super().__init__()
        self.group = checks.at_least("group", group, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, features, ...)`` to the same shape."""
        if x.shape[1] % self.group:
            raise ValueError(f"x must have a multiple of group ({self.group}) features, got {x.shape[1]}")
        return x.unflatten(1, (-1, self.group)).sort(2).values.flatten(1, 2)


class MinibatchStd(nn.Module):
    r"""Append how much the samples of a group differ: a statistic that betrays a generator without variety.

    For each group of consecutive samples, the standard deviation of each feature over the group is averaged over all
    features and places; that one number becomes one more feature (channel) of every sample in the group. Karras et al.
    (2018), section 3, who draw no further randomness and learn nothing for it; a simple form of the minibatch
    discrimination of Salimans et al. (2016), section 3.2. (In the authors' code the samples of a group are not
    consecutive, but B / group apart.)

    Samples of one group are judged together. So ``group``, at least 2, must divide the batch, and real and generated
    samples must not share a group: where they pass in one batch, first all real ones and then all generated ones, it
    must divide the number of each.
    """

    def __init__(self, group: int = 4):
        super().__init__()
        self.group = checks.at_least("group", group, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, ...)`` to ``(B, C + 1, ...)``."""
        if x.ndim < 2 or len(x) % self.group or not len(x):
            raise ValueError(f"x must be (B, C, ...) with B a multiple of group ({self.group}), got {tuple(x.shape)}")
        groups = x.unflatten(0, (-1, self.group))
        std = (groups.var(1, correction=0) + 1e-8).sqrt()  # the small number keeps the gradient finite at 0
        mean = std.flatten(1).mean(1).repeat_interleave(self.group)  # (B,)
        return torch.cat([x, mean.view(-1, *[1] * (x.ndim - 1)).expand(-1, 1, *x.shape[2:])], 1)


def augment(
    x: Tensor, *,
    brightness: float = 0.5, saturation: float = 1.0, contrast: float = 0.5, shift: float = 0.125, cutout: float = 0.25,
) -> Tensor:  # fmt: skip
    r"""Change each image at random in a way that gradients pass: what the discriminator is to see in place of ``x``.

    Used on real **and** generated images, and in the generator's step too. Then the generator learns to match the
    distribution of the changed images, which determines the original one as long as the change can be undone on
    average; with real images alone it would learn to make changed ones. Zhao et al. (2020), section 3; Karras et
    al. (2020), section 2. These are the changes of Zhao et al. in the order of their code ("color, translation,
    cutout"), and their strengths but for the cutout's, .5 there. What is uncovered or cut is 0 there, here black.

    Args:
        x: images ``(B, C, H, W)``, -1 is black; the result is of the same shape.
        brightness: an offset from [-brightness, brightness] is added to an image; the result may leave [-1, 1].
        saturation: each pixel's differences from its mean over channels are multiplied by a number from
            [1 - saturation, 1 + saturation]; no change to grey images.
        contrast: the same for the differences from the mean of the whole image.
        shift: images move by up to this share of their sides, in whole pixels (halves rounded up).
        cutout: a square of this share of the sides becomes black; 0 for none. Its centre is anywhere in the image, so
            near the border a part of the square is outside.
    """
    if x.ndim != 4:
        raise ValueError(f"x must be (B, C, H, W), got {tuple(x.shape)}")
    strengths = {"brightness": brightness, "saturation": saturation, "contrast": contrast}
    for name, value in {**strengths, "shift": shift, "cutout": cutout}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1], got {value}")
    b, _, height, width = x.shape
    draws = parallel.rand(b, 7, dtype=x.dtype, device=x.device)[:, :, None, None, None]  # uniform on [0, 1)
    x = x + brightness * (2 * draws[:, 0] - 1)
    x = torch.lerp(x.mean(1, keepdim=True), x, 1 + saturation * (2 * draws[:, 1] - 1))
    x = torch.lerp(x.mean((1, 2, 3), keepdim=True), x, 1 + contrast * (2 * draws[:, 2] - 1))

    # Where each pixel comes from, and whether it is still there. (B, 1, H, 1) and (B, 1, 1, W) make (B, 1, H, W).
    rows = torch.arange(height, device=x.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=x.device).view(1, 1, 1, -1)
    most_down, most_right = int(shift * height + 0.5), int(shift * width + 0.5)
    from_row = rows - _below(2 * most_down + 1, draws[:, 3]) + most_down
    from_column = columns - _below(2 * most_right + 1, draws[:, 4]) + most_right
    inside = (from_row >= 0) & (from_row < height) & (from_column >= 0) & (from_column < width)
    image = torch.arange(b, device=x.device).view(-1, 1, 1)
    at = (image, slice(None), from_row.clamp(0, height - 1)[:, 0], from_column.clamp(0, width - 1)[:, 0])
    x = x[at].movedim(-1, 1)  # the indices come first: (B, H, W, C)

    tall, wide = int(cutout * height + 0.5), int(cutout * width + 0.5)
    # The middle of a square with an even side lies between two pixels: one place more, so that both borders are alike.
    top = _below(height + 1 - tall % 2, draws[:, 5]) - tall // 2
    left = _below(width + 1 - wide % 2, draws[:, 6]) - wide // 2
    hole = (rows >= top) & (rows < top + tall) & (columns >= left) & (columns < left + wide)
    return x.where(inside & ~hole, -1.0)


def _below(n: int, uniform: Tensor) -> Tensor:
    """Turn numbers from [0, 1) into whole ones from 0 to ``n - 1``, though a product may be rounded up to ``n``."""
    return (n * uniform).floor().long().clamp(max=n - 1)


def modulated_convolution(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool = True) -> Tensor:
    r"""Convolve each sample by weights of its own, :math:`w'_{jik} = s_i w_{jik}`, and give each output unit scale.

    Karras et al. (2020), equations 1 and 3. With ``demodulate`` the j-th output is divided by
    :math:`\sqrt{\sum_{i,k} w'^2_{jik} + 10^{-8}}`: what its standard deviation would be if inputs were independent with
    variance 1. Weights are shared: scaling inputs by the style and outputs by that number is the same convolution.

    Args:
        x: ``(B, in, H, W)``.
        weight: ``(out, in, k, k)`` with k odd.
        style: ``(B, in)``.
        demodulate: whether outputs are rescaled.

    Returns:
        ``(B, out, H, W)``.
    """
    if style.shape != x.shape[:2]:
        raise ValueError(f"style must be {tuple(x.shape[:2])}, one number for each channel, got {tuple(style.shape)}")
    out = conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
    if demodulate:
        squared = style.square() @ weight.square().sum((2, 3)).T  # (B, out): sum over i and k of (s_i w_jik)^2
        out = out * (squared + 1e-8).rsqrt()[:, :, None, None]
    return out


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm whose gain and bias depend on a condition, here the class; de Vries et al. (2017).

    Dumoulin et al. (2017) had done so for styles with instance norm.
    """

    def __init__(self, features: int, num_classes: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.gain = nn.Embedding(num_classes, features)
        self.bias = nn.Embedding(num_classes, features)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` and class numbers ``(B,)`` to ``(B, C, H, W)``."""
        return self.norm(x) * self.gain(labels)[:, :, None, None] + self.bias(labels)[:, :, None, None]


class SelfAttention(nn.Module):
    r"""Every place looks at every other: :math:`\gamma\,o + x`. Zhang et al. (2019), equations 1 to 3.

    Keys and queries have an eighth of the channels; values half of them, as in the authors' code (which also pools keys
    and values; here every place is looked at). :math:`\gamma` starts at 0, so the layer starts as the identity. Memory
    grows with :math:`(HW)^2`. There are at least 8 channels; with ``spectral``, the four 1x1 convolutions are
    spectrally normalised.
    """

    def __init__(self, channels: int, spectral: bool = False):
        super().__init__()
        checks.at_least("channels", channels, 8)
        norm = spectral_norm if spectral else nn.Identity()
        self.query = norm(nn.Conv2d(channels, channels // 8, 1, bias=False))
        self.key = norm(nn.Conv2d(channels, channels // 8, 1, bias=False))
        self.value = norm(nn.Conv2d(channels, channels // 2, 1, bias=False))
        self.out = norm(nn.Conv2d(channels // 2, channels, 1, bias=False))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        attention = (query.mT @ key).softmax(2)  # (B, HW, HW): row i says where place i looks
        out = (value @ attention.mT).unflatten(2, x.shape[2:])
        return x + self.gamma * self.out(out)


def upsample(x: Tensor) -> Tensor:
    """Double height and width by repeating each pixel."""
    return interpolate(x, scale_factor=2, mode="nearest")


def resize_up(channels_in: int, channels_out: int) -> nn.Sequential:
    """Double the size by repeating pixels and convolving, then batch norm and ReLU; Odena et al. (2016).

    The cure for checkerboards: every output is made by the same number of inputs.
    """
    return nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out), nn.ReLU(),
    )  # fmt: skip


def transposed_up(channels_in: int, channels_out: int) -> nn.Sequential:
    """Double the size by a transposed convolution, kernel 4, stride 2, batch norm and ReLU.

    The kernel is a multiple of the stride, so the overlap is even, though what is learned need not be. Radford et al.
    (2016), figure 1, have kernels of 5, which is no multiple of 2; later programs for the same network have 4.
    """
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels_out), nn.ReLU(),
    )  # fmt: skip


class ResBlockUp(nn.Module):
    """Residual block of the generator that doubles the size; Miyato et al. (2018), appendix B.4, figure 8.

    Its batch norm is conditional where there is a number of classes.
    """

    def __init__(self, channels_in: int, channels_out: int, num_classes: int | None = None):
        super().__init__()
        self.conditional = num_classes is not None
        norm = (lambda c: ConditionalBatchNorm2d(c, num_classes)) if self.conditional else nn.BatchNorm2d
        self.norm1, self.norm2 = norm(channels_in), norm(channels_out)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)  # norm2 would subtract a bias
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map ``(B, in, H, W)`` (and class numbers ``(B,)``) to ``(B, out, 2H, 2W)``."""
        given = (labels,) if self.conditional else ()
        h = self.conv1(upsample(self.norm1(x, *given).relu()))
        h = self.conv2(self.norm2(h, *given).relu())
        return h + upsample(self.shortcut(x))  # a 1x1 convolution and repeating pixels may change places


class ResBlockDown(nn.Module):
    """Spectrally normalised residual block of the discriminator; Miyato et al. (2018), appendix B.4, figure 8.

    As in the authors' code, the second convolution changes the number of channels, in the first block the first one.

    Args:
        channels_in, channels_out: channels; where they are equal and the size is kept, the shortcut is the identity.
        downsample: whether to halve height and width by averaging.
        first: whether it is the first block, which sees the image and begins without a ReLU.
        spectral: whether to normalise the weights.
    """

    def __init__(
        self, channels_in: int, channels_out: int, downsample: bool = True, first: bool = False, spectral: bool = True
    ):
        super().__init__()
        norm = spectral_norm if spectral else nn.Identity()
        self.downsample, self.first = downsample, first
        hidden = channels_out if first else channels_in
        self.conv1 = norm(nn.Conv2d(channels_in, hidden, 3, padding=1))
        self.conv2 = norm(nn.Conv2d(hidden, channels_out, 3, padding=1))
        changes = downsample or channels_in != channels_out
        self.shortcut = norm(nn.Conv2d(channels_in, channels_out, 1)) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in, H, W)`` to ``(B, out, H/2, W/2)``, or to ``(B, out, H, W)`` without downsampling."""
        h = self.conv2(self.conv1(x if self.first else x.relu()).relu())
        if not self.downsample:
            return h + self.shortcut(x)
        return avg_pool2d(h, 2) + self.shortcut(avg_pool2d(x, 2))  # a 1x1 convolution and averaging may change places


class ResidualBlock(nn.Module):
    """Residual block that keeps size and channels; Johnson et al. (2016), as in the generator of Zhu et al. (2017).

    ``norm``, called with the number of channels, must subtract a mean, as batch and instance norm do: the convolutions
    have no bias.
    """

    def __init__(self, channels: int, norm: type[nn.Module] = nn.InstanceNorm2d):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False), norm(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False), norm(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        return x + self.layers(x)


def initialize(network: nn.Module, std: float = 0.02) -> None:
    """Draw all weights of linear and convolutional layers from N(0, std^2) and set biases to 0.

    Radford et al. (2016), section 4; Isola et al. (2017), appendix 6.2. The gains of batch norm are drawn around 1, as
    in the authors' code: around 0 they would switch their layers off.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
