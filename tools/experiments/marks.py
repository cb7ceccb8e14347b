"""Two marks far apart: readers with and without self-attention, from several starts, on all images of a small world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gan_course.layers import SelfAttention
from gan_course.losses import discriminator_hinge
from tools.experiments import Entry

#: ``gain`` is that of the orthogonal start (all biases 0), or null for torch's own start; ``gamma`` is where the
#: attention's factor begins; ``late`` is the number of convolutions that come after the middle layer.
READERS: dict[str, dict[str, Any]] = {
    "convolutions": {"attention": False, "gain": 2.0},
    "plain": {"gamma": 0.0},
    "plain_gamma": {"gamma": 1.0},
    "orthogonal": {"gain": 2.0, "gamma": 0.0},
    "orthogonal_gamma": {"gain": 2.0, "gamma": 1.0},
    "convolution_after": {"gain": 2.0, "gamma": 1.0, "late": 1},
}


class Reader(nn.Module):
    """Three 3x3 convolutions with ReLU, ``middle`` before the last ``late`` of them, a sum over all places, a logit."""

    def __init__(self, middle: nn.Module, width: int, late: int = 0):
        super().__init__()
        convolutions = [nn.Sequential(nn.Conv2d(c, width, 3, padding=1), nn.ReLU()) for c in (3, width, width)]
        self.early = nn.Sequential(*convolutions[: 3 - late])
        self.middle = middle
        self.late = nn.Sequential(*convolutions[3 - late :])
        self.logit = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, 3, H, W)`` to logits ``(B,)``."""
        return self.logit(self.late(self.middle(self.early(x))).sum((2, 3))).squeeze(1)


class Even(nn.Module):
    """Self-attention with the weights of another, whose shares are all equal."""

    def __init__(self, attention: SelfAttention):
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        mean = self.attention.value(x).mean((2, 3), keepdim=True)
        return x + self.attention.gamma * self.attention.out(mean)


def world(height: int, width: int) -> tuple[Tensor, Tensor]:
    """All images with a mark in column 1 and a mark in the last but one, of one colour and of two colours."""
    colours, rows = torch.arange(3), torch.arange(height)
    left, right, row, other = torch.cartesian_prod(colours, colours, rows, rows).T
    x, i = torch.zeros(len(left), 3, height, width), torch.arange(len(left))
    x[i, left, row, 1] = x[i, right, other, width - 2] = 1
    return x[left == right], x[left != right]


def marks(
    seed: int, device: torch.device, *,
    readers: dict[str, dict[str, Any]], height: int, width: int, channels: int, steps: int, halfway: int, lr: float,
) -> dict[str, Any]:  # fmt: skip
    """Teach each of ``readers`` to tell images with two marks of one colour from those with two colours, by the hinge
    loss of all such images in every step. Before: the spread of the attention's scores, and how small the gradient of
    the difference of mean logits is beside that of one mean (``signal``). After: loss, share told right, and the loss
    with even attention in place of the learned one."""
    one, two = (x.to(device) for x in world(height, width))
    row: dict[str, Any] = {}
    for name, how in readers.items():
        reader = started(seed, channels, **how).to(device)
        attention = reader.middle if isinstance(reader.middle, SelfAttention) else None
        found = {"signal": signal(reader, one, two)}
        if attention:
            found["scores"] = spread(reader, torch.cat([one, two]))
        for step in teach(reader, one, two, steps, lr):
            if step == halfway:
                found["loss_halfway"] = loss(reader, one, two)
        with torch.no_grad():
            right = (reader(one) > 0).double().mean() + (reader(two) < 0).double().mean()
            found |= {"loss": loss(reader, one, two), "right": round(right.item() / 2, 4)}
            if attention:
                shares = attention.attention(reader.early(torch.cat([one, two])))
                found |= {"gamma": round(attention.gamma.item(), 4), "largest": round(shares.amax(2).mean().item(), 4)}
                reader.middle = Even(attention)
                found["loss_even"] = loss(reader, one, two)
        row[name] = found
    return row


def started(
    seed: int, channels: int, attention: bool = True, gain: float | None = None, gamma: float = 0.0, late: int = 0
) -> Reader:
    """Return a reader at its start."""
    torch.manual_seed(seed)
    reader = Reader(SelfAttention(channels) if attention else nn.Identity(), channels, late)
    if gain is not None:
        for parameter in reader.parameters():
            if parameter.ndim > 1:
                nn.init.orthogonal_(parameter, gain)
            else:
                nn.init.zeros_(parameter)
    if attention:
        nn.init.constant_(reader.middle.gamma, gamma)
    return reader


def teach(reader: Reader, one: Tensor, two: Tensor, steps: int, lr: float) -> Iterator[int]:
    """Train, and yield the number of steps after each."""
    adam = torch.optim.Adam(reader.parameters(), lr)
    for step in range(1, steps + 1):
        adam.zero_grad()
        discriminator_hinge(reader(one), reader(two)).backward()
        adam.step()
        yield step


@torch.no_grad()
def loss(reader: Reader, one: Tensor, two: Tensor) -> float:
    """The hinge loss of all images."""
    return round(discriminator_hinge(reader(one), reader(two)).item(), 4)


@torch.no_grad()
def spread(reader: Reader, x: Tensor) -> float:
    """The standard deviation of one place's scores over the places it looks at, on average."""
    h = reader.early(x)
    query, key = reader.middle.query(h).flatten(2), reader.middle.key(h).flatten(2)
    return float(f"{(query.mT @ key).std(2).mean().item():.2e}")


def signal(reader: Reader, one: Tensor, two: Tensor) -> float:
    """The length of the gradient of the difference of mean logits, beside that of one mean, in double precision."""
    reader, parameters = reader.double(), list(reader.parameters())
    mean_one, mean_two = reader(one.double()).mean(), reader(two.double()).mean()
    lengths = [
        torch.cat([g.flatten() for g in torch.autograd.grad(y, parameters, retain_graph=True)]).norm()
        for y in (mean_one - mean_two, mean_one)
    ]
    reader.float()
    return float(f"{(lengths[0] / lengths[1]).item():.2e}")


ENTRIES = {
    "biggan_marks": Entry(
        marks,
        {"readers": READERS, "height": 4, "width": 10, "channels": 16, "steps": 400, "halfway": 200, "lr": 3e-3},
        range(10),
    ),
}
