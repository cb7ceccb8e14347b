"""Image files: which there are below a folder, which of its subfolders are splits, how they are read, cut, resized."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.errors import DataError

IMAGE_SUFFIXES = set(".png .jpg .jpeg .jpe .jfif .bmp .webp .gif .tif .tiff .ppm .pgm .pnm .tga .jp2 .avif".split())
#: split -> names of its subfolder, in capitals or not; the first that is there counts
SPLIT_NAMES = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation")}
ORIENTATION = 0x0112  # the tag of EXIF
PASS = 1000  # images that are converted at a time, so that their copies in wider numbers stay small

#: side of a square, or (height, width); None for images as they are
Size = int | tuple[int, int] | None


def resize(x: Tensor, size: Size) -> Tensor:
    """Resize uint8 images (N, C, H, W), after cutting the largest rectangle of the wanted proportions from the middle.

    Bilinear and antialiased, in float32, the same on every device.
    """
    height, width = (size, size) if isinstance(size, int) else size or x.shape[2:]
    if x.shape[2:] == (height, width):
        return x
    scale = min(x.shape[2] / height, x.shape[3] / width)
    tall, wide = (max(round(side * scale), 1) for side in (height, width))
    top, left = (x.shape[2] - tall) // 2, (x.shape[3] - wide) // 2
    x = x[:, :, top : top + tall, left : left + wide]
    out = torch.empty(*x.shape[:2], height, width, dtype=torch.uint8, device=x.device)
    for into, part in zip(out.split(PASS), x.split(PASS), strict=True):
        into.copy_(F.interpolate(part.float(), (height, width), mode="bilinear", antialias=True).round_())
    return out


def to_grey(x: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) to (N, 1, H, W): 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, as Pillow does it."""
    out = torch.empty(len(x), 1, *x.shape[2:], dtype=torch.uint8)
    weights = torch.tensor([19595, 38470, 7471], dtype=torch.int32).view(3, 1, 1)
    for into, part in zip(out.split(PASS), x.split(PASS), strict=True):
        into.copy_(((part * weights).sum(1, keepdim=True) + 0x8000) >> 16)
    return out


def natural(name: str) -> tuple[list[int | str], str]:
    """A key that sorts names with the numbers in them as numbers: 2.jpg before 10.jpg."""
    return [int(t) if i % 2 else t for i, t in enumerate(re.split(r"(\d+)", name))], name


def image_files(folder: Path, around: frozenset[str] = frozenset()) -> list[Path]:
    """The images below a folder, at any depth, in the order of their paths, numbers in them as numbers.

    Links are followed, but for one that leads back to a folder ``around`` it. Hidden files and folders do not count.
    """
    if (real := os.path.realpath(folder)) in around:
        return []
    found = []
    for name in sorted((name for name in os.listdir(folder) if not name.startswith(".")), key=natural):
        path = folder / name
        if path.suffix.lower() in IMAGE_SUFFIXES and os.path.isfile(path):
            found.append(path)
        elif os.path.isdir(path):
            found += image_files(path, around | {real})
    return found


def some_images(folder: Path) -> list[Path]:
    """What :func:`image_files` finds, or DataError if that is nothing."""
    if files := image_files(folder):
        return files
    raise DataError(f"{folder} holds no images, expected files that end in {' '.join(sorted(IMAGE_SUFFIXES))}")


def check_folder(folder: Path, wanted: str) -> None:
    """Raise DataError, with what is ``wanted``, unless this is a folder."""
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {found}, expected a folder of {wanted}")


def subfolders(folder: Path) -> dict[str, Path]:
    """The subfolders by their names in small letters; of Train/ and train/, the latter."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name.lower(): path for path in found if path.is_dir() and not path.name.startswith(".")}


def splits(folder: Path, side: str = "") -> dict[str, Path]:
    """The subfolders that are splits (:data:`SPLIT_NAMES`): of all, or of one ``side``, "A" or "B" as in trainA.

    Without a subfolder to train on, there are splits only if no subfolder has another name: classes may be called
    valid and invalid.
    """
    there = subfolders(folder)
    known = {name + end for names in SPLIT_NAMES.values() for name in names for end in ("", "a", "b")}
    found = {}
    for split, names in SPLIT_NAMES.items():
        for name in reversed(names):  # so that the first remains
            if place := there.get(name + side.lower()):
                found[split] = place
    return found if "train" in found or there.keys() <= known else {}


def channels_of(files: Sequence[Path]) -> int:
    """1 if every file is a grey image, else 3; from what their first bytes say."""
    for file in files:
        with _opened(file) as image:
            if image.mode not in ("1", "L", "LA", "La", "F") and not image.mode.startswith("I"):
                return 3
    return 1


def are_pairs(files: Sequence[Path]) -> bool:
    """Whether images, two or more, are all twice as wide as high, as two squares side by side are."""
    for file in files:
        with _opened(file) as image:
            if image.width != 2 * image.height:
                return False
    return len(files) > 1


def read_images(files: Sequence[Path], size: Size = None, channels: int = 3, parts: int = 1) -> Tensor:
    """Read images from files, each of which may hold several side by side.

    Args:
        files: at least one.
        size: what every image is brought to, as in :func:`resize`; by default all must be of one size.
        channels: 1 or 3.
        parts: square images that each file holds; 1 may have any shape.

    Returns:
        uint8 ``(parts, len(files), channels, H, W)``; the parts from left to right.

    Raises:
        DataError: a file cannot be read, or has another size than the first or than the parts want.
    """
    from tqdm import tqdm

    shown = "ipykernel" in sys.modules or sys.stderr.isatty()  # elsewhere a bar only fills a log
    for i, file in enumerate(tqdm(files, "reading images", unit="image", delay=2, leave=False, disable=not shown)):
        image = _read_image(file, channels)
        height, width = image.shape[1:]
        if parts > 1 and width != parts * height:
            raise DataError(f"{file} is {width}x{height}, expected {parts} square images side by side")
        pieces = torch.stack([resize(part[None], size)[0] for part in image.chunk(parts, 2)])
        if i == 0:
            first = f"{width}x{height}"
            out = torch.empty(parts, len(files), *pieces.shape[1:], dtype=torch.uint8)
        elif size is None and f"{width}x{height}" != first:
            raise DataError(f"{file} is {width}x{height} but {files[0]} is {first}; give a size to bring them to one")
        out[:, i] = pieces
    return out


def _read_image(file: Path, channels: int) -> Tensor:
    """uint8 (channels, H, W), upright."""
    with _opened(file) as image:
        from PIL import Image

        image.load()  # a truncated file fails here; and some have EXIF after the pixels
        if (turned := _turned(image)) is not None:
            image = image.transpose(turned)
        if image.mode == "F":
            raise ValueError("its pixels are floating-point numbers without a known range")
        if image.mode.startswith("I"):  # grey of 16 or 32 bits, which convert("L") would clip instead of scale
            array = np.asarray(image).astype(np.int64)
            if array.min() < 0 or array.max() > 65535:
                raise ValueError(f"its pixels are whole numbers from {array.min()} to {array.max()}, not 0 to 65535")
            image = Image.fromarray((array // 257).astype(np.uint8))
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        array = np.array(image.convert("L" if channels == 1 else "RGB"))
    return torch.from_numpy(array).reshape(*array.shape[:2], channels).permute(2, 0, 1)


def _turned(image: Any) -> Any:
    """How EXIF says that a loaded Pillow image is to be turned, as its ``transpose`` takes it, or None."""
    from PIL.Image import Transpose as T

    turns = [T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.FLIP_TOP_BOTTOM, T.TRANSPOSE, T.ROTATE_270, T.TRANSVERSE, T.ROTATE_90]
    try:
        return dict(enumerate(turns, 2)).get(image.getexif().get(ORIENTATION))
    except Exception:  # EXIF is often malformed, in ways that Pillow does not foresee, around pixels that are whole
        return None


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open an image; whatever is wrong with it becomes a DataError that names the file."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            yield image
    except Exception as error:  # damage shows in many ways, and each format has its own
        reason = " ".join(str(error).split())
        raise DataError(f"{file} cannot be read as an image ({reason}); replace it or remove it") from error
