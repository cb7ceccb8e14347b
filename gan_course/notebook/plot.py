"""Figures of the course. Each function draws into a given or new matplotlib ``Axes`` and returns it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn
from torchvision.utils import make_grid

from gan_course.train import History

#: The colours of Okabe and Ito (2008), told apart by colour-blind readers: real data, generated data, discriminator,
#: and more.
REAL, FAKE, DISCRIMINATOR = "#0072B2", "#D55E00", "#009E73"
COLORS = [REAL, FAKE, DISCRIMINATOR, "#CC79A7", "#E69F00", "#56B4E9", "#000000"]


def images(x: Tensor, *, columns: int = 8, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a grid of images.

    Args:
        x: ``(n, C, H, W)``; float in [-1, 1] or uint8; C is 1 or 3.
        columns: images per row.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not len(x):
        raise ValueError(f"x must be (n, 1 or 3, H, W) with n at least 1, got {tuple(x.shape)}")
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    ax = ax or plt.figure(figsize=(columns * 0.55, -(-len(x) // columns) * 0.55 + 0.3)).gca()
    ax.imshow(image_grid(x, columns).permute(1, 2, 0).numpy(), interpolation="none")  # pixels stay pixels in SVG
    ax.set_axis_off()
    ax.set_title(title, fontsize=10)
    return ax


def image_grid(x: Tensor, columns: int = 8) -> Tensor:
    """Lay images ``(n, C, H, W)``, float in [-1, 1] or uint8, out as one uint8 image ``(3, H', W')`` on the CPU."""
    if x.dtype != torch.uint8:
        x = x.detach().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return make_grid(x.cpu(), nrow=columns, padding=1, pad_value=128)


def losses(history: History, names: Sequence[str] = ("loss_d", "loss_g"), *, ax: Axes | None = None) -> Axes:
    """Draw columns of a history against the step, in nats for losses with logarithms."""
    ax = ax or plt.figure(figsize=(6, 3)).gca()
    colors, styles = cycle([DISCRIMINATOR, FAKE, *COLORS[3:]]), cycle(["-", "--", ":", "-."])
    for name, color, style in zip(names, colors, styles, strict=False):
        ax.plot(history["step"], history[name], color=color, linestyle=style, label=name)
    ax.set_xlabel("step")
    ax.set_ylabel("mean over the log interval")
    ax.legend(frameon=False)
    return ax


@torch.no_grad()
def decision_surface(discriminator: nn.Module, *, extent: float, ax: Axes | None = None, resolution: int = 101) -> Axes:
    """Draw ``D(x) = sigmoid(logit)`` over the square ``[-extent, extent]^2`` in the plane.

    Args:
        discriminator: maps ``(n, 2)`` to logits ``(n,)``.
    """
    ax = ax or plt.figure(figsize=(4.5, 4)).gca()
    device = next(discriminator.parameters()).device
    ticks = torch.linspace(-extent, extent, resolution)
    x = ticks.numpy()
    points = torch.cartesian_prod(ticks, ticks).to(device)
    training = discriminator.training
    d = torch.sigmoid(discriminator.eval()(points)).view(resolution, resolution).T.cpu().numpy()
    discriminator.train(training)
    mesh = ax.pcolormesh(x, x, d, cmap="cividis", vmin=0, vmax=1, shading="gouraud", rasterized=True)
    ax.figure.colorbar(mesh, ax=ax, label="D(x)", fraction=0.046, pad=0.04)
    ax.set_aspect("equal")
    return ax


def latent_walk(model: nn.Module, z: Tensor, *, columns: int, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw what the generator makes of latents ``(n, latent_dim)``, ``columns`` to a row."""
    return images(model.decode(z), columns=columns, ax=ax, title=title)


def slerp(a: Tensor, b: Tensor, steps: int) -> Tensor:
    r"""Interpolate between latents along the arc, :math:`(\sin((1-t)\omega) a + \sin(t\omega) b)/\sin\omega`.

    A straight line between two Gaussian latents passes through short vectors, which the generator hardly ever met:
    in d dimensions nearly all of them have a length near :math:`\sqrt d` (White, 2016).

    Args:
        a, b: ``(d,)``, not parallel.
        steps: points, both ends included.

    Returns:
        ``(steps, d)``.
    """
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    omega = torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))
    if omega.sin() < 1e-6:
        raise ValueError("a and b must not be parallel: the arc between them is not defined")
    t = torch.linspace(0, 1, steps, device=a.device, dtype=a.dtype)[:, None]
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / omega.sin()
