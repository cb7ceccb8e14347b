"""Building blocks: spectral normalisation, GroupSort, conditional batch norm, self-attention, up and down blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, normalize
from torch.nn.utils import parametrize


class SpectralNorm(nn.Module):
    r"""A weight divided by its largest singular value, :math:`W / \sigma(W)`, as a torch parametrization.

    Miyato et al. (2018), section 2.1 and Algorithm 1. The weight is seen as a matrix with one row per output (for a
    convolution: ``(out, in * kh * kw)``; its largest singular value is not the norm of the convolution, which it
    bounds only up to a factor: Tsuzuku et al., 2018). Power iteration keeps two vectors,

    .. math:: v \leftarrow W^\top u / \|W^\top u\|, \qquad u \leftarrow W v / \|W v\|, \qquad \sigma = u^\top W v,

    as buffers. Using the weight never moves them; :func:`advance_spectral_norms` does, once per discriminator update
    however often that update runs the network. So all passes of an update, the generator's step and evaluation see the
    same weights. :func:`torch.nn.utils.parametrizations.spectral_norm` advances in every training-mode pass instead.

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
        made_like = {"dtype": weight.dtype, "device": weight.device}
        self.register_buffer("u", normalize(torch.randn(rows, **made_like), dim=0))
        self.register_buffer("v", torch.empty(columns, **made_like))
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
    1). Sorting permutes its inputs, and loses nothing.

    Args:
        group: features per group; it must divide the number of features ``(B, features, ...)``.
    """

    def __init__(self, group: int = 2):
        super().__init__()
        if group < 2:
            raise ValueError(f"group must be at least 2, got {group}")
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] % self.group:
            raise ValueError(f"x must have a multiple of group ({self.group}) features, got {x.shape[1]}")
        return x.unflatten(1, (-1, self.group)).sort(2).values.flatten(1, 2)


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm whose gain and bias are learned for each class; Dumoulin et al. (2017), de Vries et al. (2017).

    Args:
        features: channels.
        num_classes: number of classes.
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
    grows with :math:`(HW)^2`.

    Args:
        channels: at least 8.
        spectral: whether the four 1x1 convolutions are spectrally normalised.
    """

    def __init__(self, channels: int, spectral: bool = False):
        super().__init__()
        if channels < 8:
            raise ValueError(f"channels must be at least 8, got {channels}")
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
    """Double the size by repeating pixels and convolving: every output is made by the same number of inputs.

    The cure for checkerboards of Odena et al. (2016). Followed by batch norm and ReLU.
    """
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def transposed_up(channels_in: int, channels_out: int) -> nn.Sequential:
    """Double the size by a transposed convolution, kernel 4, stride 2; Radford et al. (2016).

    The kernel is a multiple of the stride, so the overlap is even, though what is learned need not be. Followed by
    batch norm and ReLU.
    """
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class ResBlockUp(nn.Module):
    """Residual block of the generator that doubles the size; Miyato et al. (2018), appendix B.4, figure 8.

    Args:
        channels_in, channels_out: channels.
        num_classes: classes of its conditional batch norm; None for a plain one.
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

    Args:
        channels: channels.
        norm: class of the normalisation, called with the number of channels. It must subtract a mean, as batch and
            instance norm do: the convolutions have no bias.
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
