"""Small classifiers that judge generated digits and characters.

A judge is a convolutional network that was trained to read the images of one data set at one size. It answers two
questions about generated images: which class does each show, and how surely (:meth:`Judge.probabilities`); and how far
are the images from real ones, as a Frechet distance of its 64 features (:meth:`Judge.features`). The judge of glyphs
also tells the other factors (:meth:`Judge.factors`); its features were trained for all of them together, so that a
distance sees wrong colours as well as wrong shapes.

Such a distance is comparable only within one judge, for the features of another set, size or training have another
scale, and at one number of images. Put it beside the value that real images of the same number get
(``JudgeInfo.floor``). It is not the Inception FID of the literature.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.errors import DataError
from gan_course.metrics import inputs

WEIGHTS = Path(__file__).parent.parent / "weights"
N_FEATURES = 64
N_CLASSES = 10


@dataclass(frozen=True)
class JudgeInfo:
    """What is known about a judge, as ``tools/train_judges.py`` measured it on the test split."""

    file: str  #: name of the weights in ``gan_course/weights``
    accuracy: float  #: share of the real test images that it reads correctly, in [0, 1]
    confidence: float  #: mean of its largest class probability over the same images, in [0, 1]
    #: Frechet distance of real training images (the first 2,000, or all 1,297 of digits) to all real test images: what
    #: a perfect generator would get at these numbers
    floor: float
    parameters: int  #: number of weights
    channels: int = 1  #: of its images
    widths: tuple[int, ...] = (32, 32, 64)  #: see :class:`Judge`
    residual: bool = False  #: see :class:`Judge`
    #: for each other factor that it tells, the number of values and the share it reads correctly
    factors: Mapping[str, tuple[int, float]] = field(default_factory=dict)


# Lines as printed by tools/train_judges.py.
JUDGES: dict[tuple[str, int], JudgeInfo] = {
    ("digits", 8): JudgeInfo("digits-8.safetensors", 0.9920, 0.9854, 4.88, 45162),
    ("digits", 16): JudgeInfo("digits-16.safetensors", 0.9980, 0.9898, 4.95, 45162),
    ("mnist", 16): JudgeInfo("mnist-16.safetensors", 0.9891, 0.9863, 1.40, 45162),
    ("mnist", 28): JudgeInfo("mnist-28.safetensors", 0.9926, 0.9924, 3.70, 65642),
    ("glyphs", 32): JudgeInfo(
        "glyphs-32.safetensors", 0.9995, 0.9968, 42.05, 75832, channels=3, widths=(32, 32, 48),
        factors={
            "family": (7, 0.8765), "weight": (2, 0.998), "slant": (2, 0.9975), "scale": (2, 0.9985),
            "ink": (6, 1.0), "background": (6, 0.9995), "texture": (5, 0.996),
        },
    ),
    ("cifar10-jpeg", 32): JudgeInfo(
        "cifar10-jpeg-32.safetensors", 0.8833, 0.9060, 0.08, 675938, channels=3, widths=(24, 48, 96, 128), residual=True
    ),
}  # fmt: skip


def _convolution(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(_convolution(channels, channels), _convolution(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Judge(nn.Module):
    """Convolutional classifier of square images.

    Three 3x3 convolutions, each with ReLU and 2x2 max pooling, bring the image down to (C, size // 8, size // 8);
    images below 16x16 skip the first pooling. A ``residual`` judge, for photos, has one convolution at full size and
    then, for each further width, a convolution that halves the side and a residual block, all with batch norm, and
    takes the mean over all places. A linear layer gives the 64 features (leaky ReLU: with ReLU a third of them were
    zero on all images) and another one the 10 logits; each further factor has a linear layer of its own.

    ``forward`` can be differentiated with respect to the images. The other methods are for measuring: no gradient, any
    number of images in chunks, on the device of the judge. A residual judge's measure is the mean over an image and its
    mirror image, which reads more photos correctly.

    Args:
        size: side of the images in pixels, 8 or more.
        channels: of the images, 1 (grey) or 3 (colour).
        widths: channels of the convolutions; three if not ``residual``.
        factors: number of values of each other factor to tell.
        residual: see above.
    """

    def __init__(
        self,
        size: int,
        channels: int = 1,
        widths: tuple[int, ...] = (32, 32, 64),
        factors: Mapping[str, int] | None = None,
        residual: bool = False,
    ):
        super().__init__()
        if size < 8:
            raise ValueError(f"size: got {size}, expected at least 8")
        self.size, self.channels = size, channels
        self.body = None
        if residual:
            halvings = [[_convolution(a, b, stride=2), _Residual(b)] for a, b in itertools.pairwise(widths)]
            self.body = nn.Sequential(_convolution(channels, widths[0]), *itertools.chain(*halvings))
        else:
            self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1)
            self.conv2 = nn.Conv2d(widths[0], widths[1], 3, padding=1)
            self.conv3 = nn.Conv2d(widths[1], widths[2], 3, padding=1)
            self.pools = 2 if size < 16 else 3
        self.fc = nn.Linear(widths[-1] * (1 if residual else (size >> self.pools) ** 2), N_FEATURES)
        self.head = nn.Linear(N_FEATURES, N_CLASSES)
        self.heads = nn.ModuleDict({name: nn.Linear(N_FEATURES, n) for name, n in (factors or {}).items()})

    def _features(self, x: Tensor) -> Tensor:
        if self.body is not None:
            return F.leaky_relu(self.fc(self.body(x).mean((2, 3))), 0.1)
        h = F.relu(self.conv1(x))
        if self.pools == 3:
            h = F.max_pool2d(h, 2)
        h = F.max_pool2d(F.relu(self.conv2(h)), 2)
        h = F.max_pool2d(F.relu(self.conv3(h)), 2)
        return F.leaky_relu(self.fc(h.flatten(1)), 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, 10) of images (n, channels, size, size) in [-1, 1]."""
        return self.head(self._features(x))

    def all_logits(self, x: Tensor) -> dict[str, Tensor]:
        """Logits (n, 10) for ``class`` and (n, values) for each other factor, of images as :meth:`forward`."""
        h = self._features(x)
        return {"class": self.head(h), **{name: head(h) for name, head in self.heads.items()}}

    def features(self, x: Tensor, chunk: int = 1000) -> Tensor:
        """Features (n, 64), float32, of images (n, channels, size, size) in [-1, 1].

        Raises:
            ValueError: wrong shape or dtype, no image, NaN, or values outside [-1, 1].
        """
        return self._in_chunks(self._features, x, chunk)

    def logits(self, x: Tensor, chunk: int = 1000) -> Tensor:
        """Logits (n, 10), float32. Arguments and errors as for :meth:`features`."""
        return self._in_chunks(self, x, chunk)

    def probabilities(self, x: Tensor, chunk: int = 1000) -> Tensor:
        """Class probabilities (n, 10), float32. Arguments and errors as for :meth:`features`."""
        return self.logits(x, chunk).softmax(1)

    @torch.no_grad()
    def factors(self, x: Tensor, chunk: int = 1000) -> dict[str, Tensor]:
        """The most probable value, int64 (n,), of each other factor. Arguments and errors as for :meth:`features`."""
        h = self.features(x, chunk)
        return {name: head(h).argmax(1) for name, head in self.heads.items()}

    @torch.no_grad()
    def _in_chunks(self, function: Callable[[Tensor], Tensor], x: Tensor, chunk: int) -> Tensor:
        shape = (self.channels, self.size, self.size)
        if x.dim() != 4 or x.shape[1:] != shape or len(x) == 0:
            expected = f"(n, {', '.join(map(str, shape))}) with n of 1 or more"
            raise ValueError(f"x: got shape {tuple(x.shape)}, expected {expected}")
        if not x.is_floating_point():
            raise ValueError(f"x: got {x.dtype}, expected floating-point images in [-1, 1]")
        low, high = (float(v) for v in x.aminmax())
        if not (low >= -1.001 and high <= 1.001):  # written so that NaN fails too
            raise ValueError(f"x: got values from {low:.4g} to {high:.4g}, expected images in [-1, 1]")
        device = self.head.weight.device

        def measured(part: Tensor) -> Tensor:
            part = part.to(device, torch.float32)
            return function(part) if self.body is None else (function(part) + function(part.flip(3))) / 2

        return torch.cat([measured(part) for part in x.split(chunk)])


def judge(data: str, size: int, device: str | torch.device = "cpu") -> Judge:
    """The trained judge of a data set at a size, in eval mode and frozen.

    Raises:
        ValueError: there is none; names those there are, the nearest first.
        DataError: its weights are missing or damaged.
    """
    if (data, size) not in JUDGES:
        nearest = sorted(JUDGES, key=lambda key: (key[0] != data, abs(key[1] - size)))
        known = ", ".join(f"{name} at {side}x{side}" for name, side in nearest)
        raise ValueError(f"no judge for {data!r} at {size}x{size}; there is one for {known}")
    from safetensors.torch import load_file

    info = JUDGES[data, size]
    net = Judge(size, info.channels, info.widths, {name: n for name, (n, _) in info.factors.items()}, info.residual)
    try:
        net.load_state_dict(load_file(WEIGHTS / info.file))  # into float32, also where float16 is stored
    except Exception as error:  # safetensors has its own error classes, not derived from OSError
        reason = " ".join(str(error).split())
        raise DataError(f"{WEIGHTS / info.file} cannot be read ({reason}); install the package again") from error
    if info.residual:
        net.to(memory_format=torch.channels_last)  # a third faster on a CPU
    return net.requires_grad_(False).eval().to(device)


def pixels(images: Tensor, pool: int = 1) -> Tensor:
    """The simplest features: the pixels themselves, ``(n, C * H * W / pool**2)``, float32.

    Distances between them say little about what images show (one pixel's shift is far), but they need no network.
    ``functools.partial(pixels, pool=4)`` is an extractor of small averaged images.

    Args:
        images: ``(n, C, H, W)`` in [-1, 1].
        pool: side of the squares that are averaged; where it does not divide H or W, some are larger by a
            pixel or more, and overlap.

    Raises:
        ValueError: see :func:`gan_course.metrics.inputs.check_images`; or ``pool`` is larger than the images.
    """
    inputs.check_images(images)
    height, width = images.shape[2:]
    if not 1 <= pool <= min(height, width):
        raise ValueError(f"pool must lie in 1 to the smaller side of {(height, width)}, got {pool}")
    images = images.detach().float()
    if height % pool or width % pool:
        return F.adaptive_avg_pool2d(images, (height // pool, width // pool)).flatten(1)
    return F.avg_pool2d(images, pool).flatten(1)
