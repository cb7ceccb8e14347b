"""Data sets that live on the device.

A :class:`DataSet` is one uint8 tensor on the device, and a ``batch`` that gathers rows and maps them to [-1, 1]. There
are no worker processes and no per-item Python, which for small images is what makes the usual ``DataLoader`` slow.
:func:`order` says which rows come next, from the position alone.
"""

from __future__ import annotations

import functools
import zlib

import torch
from torch import Tensor

SPLITS = ("train", "test")


class DataSet:
    """Images or points on one device, with a fast ``batch``.

    Args:
        x: images, uint8 (N, C, H, W) with C of 1 or 3; or points, finite float32 (N, ...).
        labels: class numbers (N,), or sequences of word numbers (N, L), of any integer dtype; kept as int64 beside x.
        name: the name it was loaded under.
        classes: names of the classes (or words); labels must then be below ``len(classes)``.

    Raises:
        ValueError: empty set, wrong dtype or shape, NaN or infinity, labels of another length or out of range.
    """

    def __init__(self, x: Tensor, labels: Tensor | None = None, *, name: str, classes: list[str] | None = None):
        if not isinstance(x, Tensor) or x.dtype not in (torch.uint8, torch.float32):
            got = getattr(x, "dtype", type(x).__name__)
            raise ValueError(f"x: got {got}, expected a tensor, uint8 for images or float32 for points")
        if x.dtype == torch.uint8 and (x.dim() != 4 or x.shape[1] not in (1, 3)):
            raise ValueError(f"x: got uint8 of shape {tuple(x.shape)}, expected images (N, 1 or 3, H, W)")
        if x.dim() < 2:
            raise ValueError(f"x: got shape {tuple(x.shape)}, expected (N, ...) with at least 2 dimensions")
        if x.numel() == 0:
            raise ValueError(f"x: got an empty set of shape {tuple(x.shape)}, expected at least one item")
        if x.dtype == torch.float32 and not torch.isfinite(x).all():
            bad = int((~torch.isfinite(x)).flatten(1).any(1).nonzero()[0])
            raise ValueError(f"x: item {bad} holds NaN or infinity, expected finite numbers")
        self.x = x.contiguous()
        self.labels = None if labels is None else _checked_labels(labels, len(x), classes).to(x.device)
        self.name = name
        self.classes = None if classes is None else list(classes)

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        kind = "images" if self.x.dtype == torch.uint8 else "points"
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"DataSet({self.name!r}: {len(self):,} {kind} of shape {self.shape}{classes}, on {self.x.device})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (C, H, W) for images."""
        return tuple(self.x.shape[1:])

    def batch(self, indices: Tensor) -> Tensor:
        """Rows ``indices`` (int64 (B,), 0 to N-1) as a new float32 (B, ...): images in [-1, 1].

        Raises:
            ValueError: an index is out of range (checked on the CPU, where it is free of a device synchronisation).
        """
        if indices.device.type == "cpu" and indices.numel():
            low, high = indices.aminmax()
            if low < 0 or high >= len(self):
                raise ValueError(f"indices: got {int(low)} to {int(high)}, expected 0 to {len(self) - 1}")
        # index_select is about twice as fast as x[indices] on uint8.
        rows = self.x.index_select(0, indices.to(self.x.device, non_blocking=True))
        # A division, because 255 / 127.5 - 1 is exactly 1 and 255 * (1 / 127.5) - 1 is not.
        return rows.float().div_(127.5).sub_(1.0) if rows.dtype == torch.uint8 else rows

    def images(self, n: int | None = None) -> Tensor:
        """The first ``n`` items (all by default, at most all) as one float32 batch."""
        if n is not None and n < 1:
            raise ValueError(f"n: got {n}, expected at least 1")
        return self.batch(torch.arange(len(self), device=self.x.device)[:n])

    def take(self, seed: int, start: int, count: int) -> tuple[Tensor, Tensor | None]:
        """Items ``start`` to ``start + count - 1`` of the endless reading that :func:`order` gives for ``seed``.

        They come as :meth:`batch` gives them, with their labels or None.
        """
        indices = order(len(self), seed, start, count, self.x.device)
        return self.batch(indices), None if self.labels is None else self.labels[indices]

    def crc32(self) -> int:
        """A checksum of all items and labels: what tells two sets of the same name and size apart."""
        crc = zlib.crc32(self.x.cpu().numpy())
        return crc if self.labels is None else zlib.crc32(self.labels.cpu().numpy(), crc)

    def draw(self, n: int, seed: int = 0) -> Tensor:
        """``n`` different items (at most all) drawn with ``seed``, as one float32 batch.

        For measuring, prefer it to the first ``n``: in MNIST's test set, these come from other writers than the last.
        """
        if n < 1:
            raise ValueError(f"n: got {n}, expected at least 1")
        return self.batch(order(len(self), seed, 0, min(n, len(self)), self.x.device))

    def to(self, device: str | torch.device) -> DataSet:
        """The same set on another device."""
        return DataSet(self.x.to(device), self.labels, name=self.name, classes=self.classes)


class Domains:
    """Two sets of images side by side, to train translators between them.

    One item is a stack ``(2, C, H, W)``: an image of the first domain and one of the second.

    Args:
        a, b: images of the same shape on the same device.
        paired: whether image i of ``a`` belongs to image i of ``b``. If not, each domain is read in an order of its
            own, so that nothing can be learned from which images come together, and the sets may differ in size.
        name: the name of the two together.

    Raises:
        ValueError: the shapes differ, or paired sets have different sizes.
    """

    def __init__(self, a: DataSet, b: DataSet, *, paired: bool, name: str):
        if a.shape != b.shape:
            raise ValueError(f"b: got items of shape {b.shape}, expected {a.shape} as in a")
        if paired and len(a) != len(b):
            raise ValueError(f"b: got {len(b):,} items, expected {len(a):,} as in a, for the sets are paired")
        self.a, self.b, self.paired, self.name = a, b, paired, name

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __repr__(self) -> str:
        return f"Domains({self.name!r}: {'pairs' if self.paired else 'unpaired'}, {self.a!r}, {self.b!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item, (2, C, H, W)."""
        return (2, *self.a.shape)

    def take(self, seed: int, start: int, count: int) -> tuple[Tensor, None]:
        """Items ``start`` to ``start + count - 1`` of an endless reading, ``(count, 2, C, H, W)`` in [-1, 1]."""
        other = seed if self.paired else seed ^ 0x5BD1E995  # any other seed: the two orders are then independent
        return torch.stack([self.a.take(seed, start, count)[0], self.b.take(other, start, count)[0]], 1), None

    def crc32(self) -> int:
        """A checksum of both sets and of whether they are paired."""
        return zlib.crc32(f"{self.a.crc32()} {self.b.crc32()} {self.paired}".encode())

    def images(self, n: int | None = None) -> Tensor:
        """The first ``n`` items (all by default, at most all of the smaller set), ``(n, 2, C, H, W)``."""
        least = min(len(self.a), len(self.b))
        n = least if n is None else min(n, least)
        return torch.stack([self.a.images(n), self.b.images(n)], 1)

    def to(self, device: str | torch.device) -> Domains:
        """The same sets on another device."""
        return Domains(self.a.to(device), self.b.to(device), paired=self.paired, name=self.name)


def _checked_labels(labels: Tensor, n: int, classes: list[str] | None) -> Tensor:
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels: got {getattr(labels, 'dtype', type(labels).__name__)}, expected an integer tensor")
    if labels.dim() not in (1, 2) or len(labels) != n or not labels.numel():
        raise ValueError(f"labels: got shape {tuple(labels.shape)}, expected ({n},) or ({n}, L), one for each item")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (classes is not None and high >= len(classes)):
        top = f"to {len(classes) - 1}" if classes is not None else "or more"
        raise ValueError(f"labels: got values from {low} to {high}, expected 0 {top}")
    return labels.long().contiguous()


# --- which rows come next -------------------------------------------------------------------------
def order(n: int, seed: int, start: int, count: int, device: str | torch.device = "cpu") -> Tensor:
    """Positions ``start`` ... ``start + count - 1`` of an endless reshuffled reading of ``n`` items, int64 (count,).

    Epoch e (positions e n ... e n + n - 1) is a permutation of 0 ... n-1 that depends on (n, seed, e) only. So there is
    no state to save: a run that stopped after ``start`` items goes on from that number, and several processes take
    slices of the same sequence.

    Raises:
        ValueError: n < 1, start < 0 or count < 0.
    """
    for name, value, least in (("n", n, 1), ("start", start, 0), ("count", count, 0)):
        if value < least:
            raise ValueError(f"{name}: got {value}, expected at least {least}")
    parts, position, stop = [], start, start + count
    while position < stop:
        epoch, offset = divmod(position, n)
        take = min(n - offset, stop - position)
        parts.append(_permutation(n, seed, epoch, torch.device(device))[offset : offset + take])
        position += take
    # cat copies, so that a caller cannot write into the cached permutation.
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.long, device=device)


@functools.lru_cache(maxsize=8)  # two epochs of each of two domains, and some room
def _permutation(n: int, seed: int, epoch: int, device: torch.device) -> Tensor:
    """Drawn on the CPU, so that it is the same everywhere; kept on ``device``, so that no batch waits for a copy."""
    # torch's CPU generator keeps only the low 32 bits of its seed, so the mixing must reach them: splitmix64 of the
    # seed (Steele et al., 2014), its high half added to the epoch, then the 32-bit finalizer of MurmurHash3.
    # The last two are bijections of the epoch modulo 2**32, so no two epochs of one seed share a generator.
    z = (seed + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    z ^= z >> 31
    h = ((z >> 32) + epoch) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return torch.randperm(n, generator=torch.Generator("cpu").manual_seed(h ^ (h >> 16))).to(device)
