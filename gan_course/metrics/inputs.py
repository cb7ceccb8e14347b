"""What comes into a metric: checked, on the CPU, in float64."""

from __future__ import annotations

from torch import Tensor

#: Elements in the largest block of pairwise values; 32 MB in float64.
CHUNK = 4_000_000


def block(columns: Tensor) -> int:
    """How many rows may be compared with all ``columns`` at once."""
    return max(CHUNK // len(columns), 1)


def double(x: Tensor) -> Tensor:
    """Return ``x`` on the CPU in float64; moved before it is converted, because Apple's MPS has no float64."""
    return x.detach().cpu().double()


def rows(name: str, x: Tensor, least: int) -> Tensor:
    """Return a matrix of at least ``least`` rows in float64."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ValueError(f"{name} must be a floating-point tensor, got {getattr(x, 'dtype', type(x).__name__)}")
    if x.ndim != 2 or len(x) < least or not x.shape[1]:
        rows = {1: "one row", 2: "two rows", 3: "three rows", 4: "four rows"}[least]
        raise ValueError(f"{name} must be (n, d) with at least {rows}, got {tuple(x.shape)}")
    x = double(x)
    if not x.isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinite values")
    return x


def pair(name_a: str, a: Tensor, name_b: str, b: Tensor, least: int = 2) -> tuple[Tensor, Tensor]:
    a, b = rows(name_a, a, least), rows(name_b, b, least)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{name_a} and {name_b} must have the same d, got {a.shape[1]} and {b.shape[1]}")
    return a, b


def checked_probabilities(probabilities: Tensor) -> Tensor:
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(f"probabilities must be (n, K) with n at least 1, got {tuple(probabilities.shape)}")
    probabilities = double(probabilities)
    if not ((probabilities.sum(1) - 1).abs() <= 1e-3).all() or (probabilities < 0).any():
        raise ValueError("probabilities must have rows that sum to 1; apply softmax to logits first")
    return probabilities


def check_images(images: Tensor) -> None:
    """Raise ValueError unless ``images`` are at least one, ``(n, 1 or 3, H, W)``, floating point and in [-1, 1].

    Features of images in [0, 255] would be wrong without any other sign. (Images in [0, 1] cannot be told from pale
    ones.)
    """
    if images.dim() != 4 or images.shape[1] not in (1, 3) or not images.numel():
        raise ValueError(f"images must be (n, 1 or 3, H, W) with n at least 1, got {tuple(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(f"images must be floating point in [-1, 1], got {images.dtype}")
    low, high = (float(v) for v in images.detach().aminmax())
    if not (low >= -1.001 and high <= 1.001):  # written so that NaN fails too
        raise ValueError(f"images must lie in [-1, 1], got values from {low:.4g} to {high:.4g}")
