"""Pairs of image domains whose hidden truth is known, to train and to measure translators.

A task changes each image of a data set into its partner. Paired, the two are shown together (pix2pix). Unpaired, one
half of the images is shown as it is and only the changed *other* half (CycleGAN): no image has its partner among them,
but :func:`partners` still knows it, so that a translation can be compared with what it should have been.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from gan_course import data, glyphs
from gan_course.data import DataSet, Domains
from gan_course.errors import unknown
from gan_course.glyphs import Glyphs

PAPER, INK = (250, 215, 50), (45, 20, 95)  # yellow and dark violet, of "neon"


def neon(x: Tensor) -> Tensor:
    """Bright strokes on black become thicker dark strokes on yellow.

    The strokes grow by a sixteenth of the side in each direction (at least one pixel), so the way back has to thin
    them: more than a change of colours.
    """
    radius = _radius(x)
    ink = max_pool2d(_luminance(x), 2 * radius + 1, stride=1, padding=radius) / 255
    paper, dark = (torch.tensor(colour, device=x.device).view(3, 1, 1) for colour in (PAPER, INK))
    return _to_bytes(paper + (dark - paper) * ink)


def edges(x: Tensor) -> Tensor:
    """The image as a pencil drawing: the slope of its brightness (Sobel's filter), dark on white."""
    filters = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]], device=x.device) / 4
    filters = torch.stack([filters, filters.T])[:, None]
    slope = conv2d(pad(_luminance(x), (1, 1, 1, 1), mode="replicate"), filters)  # (N, 2, H, W)
    return _to_bytes(255 - torch.linalg.vector_norm(slope, dim=1, keepdim=True).expand(-1, 3, -1, -1))


def rotate(x: Tensor) -> Tensor:
    """The image turned left by 90 degrees.

    A warning: every way of changing one digit into another can be undone, so cycles close under wrong translations.
    """
    return x.rot90(1, (2, 3)).contiguous()


#: name -> function from images, uint8 ``(N, 3, H, W)``, to their partners of the same type and shape
TASKS: dict[str, Callable[[Tensor], Tensor]] = {"neon": neon, "edges": edges, "rotate": rotate}

#: name -> factors of the two domains, for ``glyphs`` alone: a character is drawn again with one factor changed
GLYPH_TASKS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "italic": ({"slant": "upright"}, {"slant": "italic"}),
    "bold": ({"weight": "regular"}, {"weight": "bold"}),
    "red": ({"ink": "blue"}, {"ink": "red"}),
    "texture": ({"texture": "plain"}, {"texture": "striped"}),
}


def undo(x: Tensor, task: str) -> Tensor:
    """Return the grey images ``(n, 1, H, W)`` behind changed ones ``(n, 3, H, W)``, all in [-1, 1].

    A fixed rule that knows the task, to measure by: a classifier of the original images can so read a translation in
    either domain. ``rotate`` is undone exactly; of ``neon``, the colour's place between paper and ink is thinned by as
    much as the strokes grew. A pencil drawing cannot be undone by a rule.

    Raises:
        ValueError: the task is unknown or has no such rule.
    """
    if task not in ("neon", "rotate"):
        raise unknown("task that can be undone", task, ("neon", "rotate"))
    if task == "rotate":
        return x.rot90(-1, (2, 3)).mean(1, keepdim=True)
    paper, dark = (torch.tensor(colour, device=x.device).view(3, 1, 1) / 127.5 - 1 for colour in (PAPER, INK))
    ink = ((x - paper) * (dark - paper)).sum(1, keepdim=True) / (dark - paper).square().sum()
    radius = _radius(x)
    return -max_pool2d(-ink.clamp(0, 1), 2 * radius + 1, stride=1, padding=radius) * 2 - 1


def partners(images: DataSet, task: str) -> DataSet:
    """Return the true partners of ``images`` (uint8, RGB, square) in their order, with their labels.

    Raises:
        ValueError: the task is unknown or for glyphs only, or the images are not RGB or not square.
    """
    if task in GLYPH_TASKS and isinstance(images, Glyphs):
        return images.changed(**GLYPH_TASKS[task][1])
    _check_task(task, images.name)
    channels, height, width = images.shape
    if channels != 3 or height != width:
        raise ValueError(f"images must be (3, size, size), got {images.shape}; load them with channels=3 and a size")
    return DataSet(TASKS[task](images.x), images.labels, name=f"{images.name} ({task})", classes=images.classes)


def is_task(name: str) -> bool:
    """Return whether ``name`` is one for :func:`load`, such as ``"neon-digits"``, and not that of a data set."""
    return os.fspath(name).removeprefix("from-").partition("-")[0] in {*TASKS, *GLYPH_TASKS}


def load(
    name: str,
    *,
    size: int | None = None,
    split: str = "train",
    paired: bool = False,
    device: str | torch.device = "cpu",
    limit: int | None = None,
) -> Domains:
    """Load the two domains of a task.

    Args:
        name: ``task-base``, such as ``"neon-digits"``: ``a`` holds images of the base (a name or folder for
            :func:`gan_course.data.load`), ``b`` changed ones. ``from-task-base``, such as ``"from-edges-digits"``,
            is the same the other way round, as pix2pix translates: from drawings in ``a`` to images in ``b``. A task
            by factor (:data:`GLYPH_TASKS`) shows only glyphs that have its factors, in fonts with all faces.
        size, split, device, limit: as for :func:`gan_course.data.load`; ``limit`` counts the images of the base.
        paired: whether ``b[i]`` is the partner of ``a[i]``. If not, half of the images (every second) are kept and
            the others are changed, so that the two domains have no image in common.

    Returns:
        Domains of RGB images; ``a.labels`` and ``b.labels`` are those of the base.

    Raises:
        ValueError: an argument is out of range, or a name is unknown (with the nearest known one).
        DataError: the base cannot be had.
    """
    text = os.fspath(name)
    task, dash, base = text.removeprefix("from-").partition("-")
    if not dash or not base:
        known = ", ".join([*TASKS, *GLYPH_TASKS])
        raise ValueError(
            f"name must be task-base or from-task-base, such as 'neon-digits', with task one of {known}; got {text!r}"
        )
    if task in GLYPH_TASKS and base == "glyphs":
        original, changed = _glyphs(task, size, split, paired, limit)
    else:
        _check_task(task, base)
        whole = data.load(base, size=size, split=split, channels=3, limit=limit)  # on the CPU, as on every machine
        _check_least(text, len(whole), paired)
        original = whole if paired else _every_second(whole, 0)
        changed = partners(whole if paired else _every_second(whole, 1), task)
    a, b = (changed, original) if text.startswith("from-") else (original, changed)
    return Domains(a, b, paired=paired, name=text).to(device)


def _glyphs(task: str, size: int | None, split: str, paired: bool, limit: int | None) -> tuple[DataSet, DataSet]:
    if split not in data.SPLITS:
        raise unknown("split", split, data.SPLITS)
    n = glyphs.SPLIT_SIZES[split] if limit is None else limit
    _check_least(f"{task}-glyphs", n, paired)
    a, b = GLYPH_TASKS[task]
    faces, size = {"family": glyphs.COMPLETE_FAMILIES}, 32 if size is None else size
    both = glyphs.domains(
        n if paired else n // 2, glyphs.SPLIT_SEEDS[split], size, a=a, b=b, paired=paired, fixed=faces
    )
    return both.a, both.b


def _check_task(task: str, base: str) -> None:
    if task in GLYPH_TASKS:
        raise ValueError(f"task {task!r} is for glyphs only, got {base!r}; for any images there are {', '.join(TASKS)}")
    if task not in TASKS:
        raise unknown("task", task, [*TASKS, *GLYPH_TASKS])


def _check_least(name: str, n: int, paired: bool) -> None:
    if not paired and n < 2:
        raise ValueError(f"{name!r} must have at least 2 images to be unpaired, got {n}")


def _every_second(images: DataSet, first: int) -> DataSet:
    labels = None if images.labels is None else images.labels[first::2]
    return DataSet(images.x[first::2], labels, name=images.name, classes=images.classes)


def _radius(x: Tensor) -> int:
    return max(1, x.shape[-1] // 16)


def _luminance(x: Tensor) -> Tensor:
    """Brightness ``(N, 1, H, W)`` in [0, 255], by the weights of ITU-R BT.601 in thousandths."""
    weights = torch.tensor([299.0, 587.0, 114.0], device=x.device).view(3, 1, 1)
    return (x * weights).sum(1, keepdim=True) / 1000  # sums of whole numbers: the same on every machine


def _to_bytes(x: Tensor) -> Tensor:
    return x.round().clamp(0, 255).to(torch.uint8)
