r"""PixelCNN: an image as a sequence of pixels, each drawn given all before it. van den Oord et al. (2016a, 2016b).

The probability of an image is exact, a product of one softmax over grey levels per pixel,

.. math:: p(x) = \prod_i p(x_i \mid x_1, \dots, x_{i-1}) \qquad \text{(2016a, equation 1)}

in raster order: rows from the top, each from the left. Masked convolutions compute all factors in one pass, so
training is fast; drawing an image takes one pass per pixel. Two stacks of them, one that sees the rows above and one
that sees the pixels to the left, leave no blind spot (2016b, section 2.2).

2016a is "Pixel recurrent neural networks", 2016b is "Conditional image generation with PixelCNN decoders".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy

from gan_course import checks, parallel
from gan_course.checks import Count, ImageShape, Levels, Positive, Share, recorded
from gan_course.models import common
from gan_course.models.ema import EMA

#: Settings per data set, chosen after trial runs; table likelihood_digits_autoregressive tells what the first reach.
RECIPES = {
    "digits": {"levels": 17, "width": 32, "layers": 5, "dropout": 0.1, "lr": 4e-3, "batch": 32, "steps": 700},
    "mnist": {"size": 16, "levels": 8, "width": 32, "layers": 5, "lr": 4e-3, "batch": 32, "steps": 700},
}

CHUNK = 500  # images in memory at once where there is no gradient, fewer if they are large or have many levels


def to_levels(x: Tensor, levels: int) -> Tensor:
    """Map values in [-1, 1] to int64 0 to ``levels - 1``, each to the nearest of evenly spaced grey levels.

    The digits have 17 levels, which :mod:`gan_course.data` rounds to 8 bits: all of them come back exactly.
    """
    return ((x + 1) / 2 * (levels - 1)).round().clamp(0, levels - 1).long()


def from_levels(level: Tensor, levels: int) -> Tensor:
    """Map floating-point levels 0 to ``levels - 1``, or means of them, to [-1, 1]."""
    return level / (levels - 1) * 2 - 1


class MaskedConv2d(nn.Conv2d):
    """A convolution that sees nothing of what comes later along one dimension; 2016a, section 3.4.

    Args:
        channels_in, channels_out: channels.
        kernel: odd sizes, ``(rows, columns)``; the output has the size of the input.
        dim: 2 to mask rows and look up; 3 to mask columns and look left, with kernels of one row.
        kind: "A" masks the centre of the kernel too, "B" does not. The first layer must be an A, or each pixel would
            see itself; from then on the centre holds what is known of the pixels before.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: tuple[int, int], dim: int, kind: str):
        super().__init__(channels_in, channels_out, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
        place = torch.arange(kernel[dim - 2]) - kernel[dim - 2] // 2
        seen = place < 0 if kind == "A" else place <= 0
        self.register_buffer("mask", seen.to(self.weight.dtype).view((-1, 1) if dim == 2 else (1, -1)))

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


def gate(x: Tensor) -> Tensor:
    """Map ``(B, 2 width, H, W)`` to ``(B, width, H, W)``: tanh of one half, sigmoid of the other; 2016b, equation 2."""
    values, gates = x.chunk(2, 1)
    return values.tanh() * gates.sigmoid()


class GatedLayer(nn.Module):
    """One layer of both stacks, with kernels of an odd side ``size``; 2016b, figure 2.

    With masks of kind "B" the horizontal stack is residual. Dropout is in that stack only.
    """

    def __init__(self, channels_in: int, width: int, size: int, kind: str, dropout: float):
        super().__init__()
        self.residual = kind == "B"
        self.up = MaskedConv2d(channels_in, 2 * width, (size, size), 2, kind)
        self.left = MaskedConv2d(channels_in, 2 * width, (1, size), 3, kind)  # twice the width: values and gates
        self.across = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Sequential(parallel.Dropout(dropout), nn.Conv2d(width, width, 1))

    def horizontal(self, x: Tensor, above: Tensor) -> Tensor:
        """Map the horizontal stack so far and what ``up`` gave at these rows to ``(B, width, h, W)``."""
        h = self.out(gate(self.left(x) + self.across(above)))
        return x + h if self.residual else h


class PixelCNN(nn.Module):
    """Logits of every pixel's level given the pixels before it.

    Args:
        levels: grey levels.
        width: channels per stack.
        layers: gated layers; the first has kernels of side 7, the others of 3. A pixel sees all earlier ones within
            ``layers + 2`` rows and columns.
        dropout: dropout in the horizontal stack and the head.
    """

    def __init__(self, levels: int, width: int, layers: int, dropout: float):
        super().__init__()
        rest = [GatedLayer(width, width, 3, "B", dropout) for _ in range(layers - 1)]
        self.layers = nn.ModuleList([GatedLayer(2, width, 7, "A", dropout), *rest])
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, 2 * width, 1),
            nn.ReLU(), parallel.Dropout(dropout), nn.Conv2d(2 * width, levels, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, 1, H, W)`` in [-1, 1] to logits ``(B, levels, H, W)``."""
        return self.horizontal(x, self.vertical(x))

    def vertical(self, x: Tensor) -> list[Tensor]:
        """Return one ``(B, 2 width, H, W)`` per layer: at each pixel, what the rows above tell."""
        h, above = with_ones(x), []
        for layer in self.layers:
            above.append(layer.up(h))
            h = gate(above[-1])
        return above

    def horizontal(self, x: Tensor, above: list[Tensor]) -> Tensor:
        """Return the logits at some rows ``(B, 1, h, W)`` of the images, given the vertical stack at these rows."""
        h = with_ones(x)
        for layer, seen in zip(self.layers, above, strict=True):
            h = layer.horizontal(h, seen)
        return self.head(h)


def with_ones(x: Tensor) -> Tensor:
    """Add a channel of ones: it tells grey from the zeros that convolutions see beyond the border."""
    return torch.cat([x, torch.ones_like(x)], 1)


class Autoregressive(nn.Module):
    """PixelCNN: a gated network for grey images, and its training step: maximum likelihood.

    Args:
        shape: shape of one image, ``(1, H, W)``.
        levels: grey levels that images are taken to have; each value is mapped to the nearest (:func:`to_levels`).
        width, layers, dropout: as of :class:`PixelCNN`.
        lr, beta1, beta2: Adam's learning rate and decay rates.
        ema_decay: decay of the average that everything but :meth:`step` uses.
    """

    family = "autoregressive"
    n_critic = 1  # batches per step

    @recorded
    def __init__(
        self,
        shape: ImageShape = (1, 28, 28), levels: Levels = 256, width: Count = 32, layers: Count = 5,
        dropout: Share = 0.0, lr: Positive = 2e-3, beta1: Share = 0.9, beta2: Share = 0.999, ema_decay: Share = 0.99,
    ):  # fmt: skip
        super().__init__()
        if shape[0] != 1:
            raise ValueError(f"shape must be (1, H, W), for this model draws grey images only, got {shape}")
        self.shape, self.levels = shape, levels
        self.network = PixelCNN(levels, width, layers, dropout)
        self.ema = EMA(self.network, ema_decay)
        self.optimizer = common.adam(self.network, lr, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Take one step down the mean of minus log p(x), ``real`` being ``(1, B, 1, H, W)``; ``loss`` is in bits per
        pixel."""
        checks.check_real(real, self.shape)
        loss = self.bits(self.network, real.flatten(0, 1)).mean()  # exact: no bound and no second network
        common.update(self.optimizer, loss)
        self.ema.update(self.network)
        return common.logged(loss=loss)

    def bits(self, network: nn.Module, x: Tensor) -> Tensor:
        """Return ``(B, H, W)``: minus the binary logarithm of each factor, for images ``(B, 1, H, W)``."""
        level = to_levels(x, self.levels)
        # The network sees levels as well, so that p is a function of the image that it is the probability of.
        logits = network(from_levels(level.to(x.dtype), self.levels))
        return cross_entropy(logits, level.squeeze(1), reduction="none") / math.log(2)

    @torch.no_grad()
    def bits_per_pixel(self, x: Tensor) -> Tensor:
        """Return the exact :math:`-\\log_2 p(x)` per pixel, ``(n,)``, of images ``(n, 1, H, W)`` in [-1, 1]."""
        checks.check_images(x, self.shape)
        return torch.cat([self.bits(self.ema, part).mean((1, 2)) for part in x.split(self._chunk())])

    def _chunk(self) -> int:
        return max(min(CHUNK, 2**23 // (self.levels * math.prod(self.shape))), 1)

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``(n, 1, H, W)`` images with values on the levels, in [-1, 1], pixel by pixel; ``labels`` are not used.

        A pixel is the level with the largest sum of logit and Gumbel noise, which is a draw from the softmax. The
        noise of a ``generator`` on the CPU is the same for every device.
        """
        checks.at_least("n", n, 1)
        sizes = [min(self._chunk(), n - start) for start in range(0, n, self._chunk())]
        return torch.cat([self._draw(size, generator) for size in sizes])

    def _draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        network, (_, height, width) = self.ema.network, self.shape
        weight = next(self.parameters())
        noise = torch.empty(n, self.levels, dtype=weight.dtype, device=generator.device if generator else weight.device)
        x = torch.zeros(n, *self.shape, dtype=weight.dtype, device=weight.device)
        for i in range(height):
            # What the rows above tell is the same for the whole row, and only this row is gone through pixel by pixel.
            row, above = x[:, :, i : i + 1], [v[:, :, i:] for v in network.vertical(x[:, :, : i + 1])]
            for j in range(width):
                logits = network.horizontal(row, above)[:, :, 0, j]
                gumbel = -noise.exponential_(generator=generator).log().to(x.device)
                row[:, 0, 0, j] = from_levels((logits + gumbel).argmax(1).to(x.dtype), self.levels)
        return x
