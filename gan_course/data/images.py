"""Image files: which there are below a folder, how they are read, cut and resized."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.errors import DataError

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


def resize(x: Tensor, size: int | None) -> Tensor:
    """Middle square of uint8 images (N, C, H, W), resized to (N, C, size, size); None changes nothing."""
    if size is None or x.shape[2:] == (size, size):
        return x
    height, width = x.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    x = x[:, :, top : top + side, left : left + side]
    out = torch.empty(*x.shape[:2], size, size, dtype=torch.uint8, device=x.device)
    step = 1000  # bounds the float copy
    for i in range(0, len(x), step):
        part = F.interpolate(x[i : i + step].float(), size=(size, size), mode="bilinear", antialias=True)
        out[i : i + step] = part.round_().clamp_(0, 255)
    return out


def to_grey(x: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) to (N, 1, H, W): 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, as Pillow does it."""
    out = torch.empty(len(x), 1, *x.shape[2:], dtype=torch.uint8)
    weights = torch.tensor([19595, 38470, 7471], dtype=torch.int32).view(3, 1, 1)
    step = 1000  # bounds the copy in 32 bits
    for i in range(0, len(x), step):
        out[i : i + step, 0] = ((x[i : i + step] * weights).sum(1) + 0x8000) >> 16
    return out


def image_files(folder: Path) -> list[Path]:
    """The images below a folder, at any depth, in the order of their paths; hidden ones do not count."""
    found = (f for f in folder.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES and f.is_file())
    return sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(folder).parts))


def no_images(folder: Path) -> DataError:
    """The error for a folder without images."""
    return DataError(f"{folder} holds no images, expected files that end in {' '.join(sorted(IMAGE_SUFFIXES))}")


def read_images(
    files: Sequence[Path], size: int | None = None, channels: int | None = None, parts: int = 1
) -> list[Tensor]:
    """Read images from files, each of which may hold several side by side.

    Args:
        files: at least one.
        size: side that every image is brought to, as in :func:`load`; by default all must be of one size.
        channels: 1 or 3; by default 1 if every file is a grey one, else 3.
        parts: square images that each file holds; 1 may have any shape.

    Returns:
        For each part, from left to right, a tensor ``(len(files), channels, H, W)``, uint8.

    Raises:
        DataError: a file cannot be read, or has another size than the first or than the parts want.
    """
    from tqdm import tqdm

    rows, first = [], None
    for file in tqdm(files, desc="reading images", unit="image", delay=2, leave=False):
        image = _read_image(file, channels)
        height, width = image.shape[1:]
        if parts > 1 and width != parts * height:
            raise DataError(f"{file} is {width}x{height}, expected {parts} square images side by side")
        if size is None and first is not None and image.shape[1:] != first.shape[1:]:
            raise DataError(
                f"{file} is {width}x{height} but {files[0]} is {first.shape[2]}x{first.shape[1]}; give a size to bring"
                " them to one"
            )
        first = image if first is None else first
        rows.append([resize(part[None], size)[0] for part in image.chunk(parts, 2)])
    if channels is None and any(len(part) == 3 for row in rows for part in row):
        rows = [[part.expand(3, -1, -1) for part in row] for row in rows]
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def _read_image(file: Path, channels: int | None) -> Tensor:
    """uint8 (C, H, W), upright; C is 1 for grey files and 3 for others unless ``channels`` is given."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            image = ImageOps.exif_transpose(image)  # loads the pixels, so a truncated file fails here
            if image.mode == "F":
                raise ValueError("its pixels are floating-point numbers without a known range")
            if image.mode.startswith("I"):  # 16-bit grey, which convert("L") would clip instead of scale
                array = np.asarray(image).astype(np.int64)
                image = Image.fromarray((array.clip(0, 65535) // 257).astype(np.uint8))
            grey = image.mode in ("1", "L", "LA", "La")
            if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            wanted = channels or (1 if grey else 3)
            array = np.array(image.convert("L" if wanted == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file} cannot be read as an image ({reason}); replace it or remove it") from error
    return torch.from_numpy(array).reshape(*array.shape[:2], wanted).permute(2, 0, 1)
