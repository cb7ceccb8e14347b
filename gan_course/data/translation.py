"""Two domains of images, to train and to measure translators between them.

The truth of a *task* is known: it changes each image of a data set into its partner. Paired, the two are shown together
(pix2pix). Unpaired, one half of the images is shown as it is and only the changed *other* half (CycleGAN): no image has
its partner among them, but :func:`partners` still knows it, so that a translation can be compared with what it should
have been.

Then there are photographs (:data:`SETS`, from :mod:`gan_course.data.downloads`) and folders, in one of three layouts,
in all of which ``val`` counts where there is no ``test`` (:data:`gan_course.data.images.SPLIT_NAMES`):

- pairs side by side, as for pix2pix: ``train/`` and ``test/`` hold files each of which is a pair, a square image of
  domain a on the left and its partner in domain b on the right.
- pairs in two folders: ``train/a/`` and ``train/b/``, ``test/a/`` and ``test/b/``; partners have the same name, up to
  its suffix.
- unpaired domains, as for CycleGAN: ``trainA/``, ``trainB/``, ``testA/`` and ``testB/`` hold the images of domains a
  and b; no image has a partner.

A translator can also be given images without partners (:func:`load_source`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from gan_course.data import catalogue, downloads, glyphs
from gan_course.data.glyphs import Glyphs
from gan_course.data.images import Size, are_pairs, check_folder, some_images, splits, subfolders
from gan_course.data.sets import DataSet, Domains
from gan_course.errors import DataError, unknown

PAPER, INK = (250, 215, 50), (45, 20, 95)  # yellow and dark violet, of "neon"
COPPER, PINE = (240, 150, 90), (10, 60, 50)  # strokes and paper of "copper"


def neon(x: Tensor) -> Tensor:
    """Bright strokes on black become thicker dark strokes on yellow.

    The strokes grow by a sixteenth of the side in each direction (at least one pixel), so the way back has to thin
    them: more than a change of colours.
    """
    return _painted(_widest(_luminance(x) / 255), PAPER, INK)


def glow(x: Tensor) -> Tensor:
    """Bright strokes on black become thicker yellow strokes on dark violet: neon with its colours exchanged."""
    return _painted(_widest(_luminance(x) / 255), INK, PAPER)


def copper(x: Tensor) -> Tensor:
    """Bright strokes on black become copper ones, as thin as before, on dark green."""
    return _painted(_luminance(x) / 255, PINE, COPPER)


def negative(x: Tensor) -> Tensor:
    """The image with dark and bright exchanged."""
    return 255 - x


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


def inked(x: Tensor, hue: Tensor) -> Tensor:
    """Bright strokes on black, uint8 ``(N, 3, H, W)``, in inks of full saturation: image i in that of ``hue[i]``.

    Hues lie in [0, 1): red 0, green 1/3, blue 2/3. The same strokes in white are one image for all hues, so no
    translator can know a hue from it: a pair of domains that is many to one.
    """
    place = (torch.tensor([5.0, 3.0, 1.0], device=x.device) + 6 * hue[:, None]) % 6  # of red, green and blue
    ink = 1 - torch.minimum(place, 4 - place).clamp(0, 1)
    return _to_bytes(_luminance(x) * ink[:, :, None, None])


def hue_of(x: Tensor) -> Tensor:
    """Return the hues ``(n,)`` in [0, 1) of the mean colours of images ``(n, 3, H, W)`` in [-1, 1].

    An angle in the plane across grey; that of an ink of :func:`inked` is within 0.004 of its hue.
    """
    red, green, blue = x.mean((2, 3)).unbind(1)
    return torch.atan2(3**0.5 * (green - blue), 2 * red - green - blue) / (2 * torch.pi) % 1


def _painted(strokes: Tensor, paper: tuple[int, ...], ink: tuple[int, ...]) -> Tensor:
    """Mixtures of two colours by the shares of the ink, ``(N, 1, H, W)`` in [0, 1]."""
    paper, ink = (torch.tensor(colour, device=strokes.device).view(3, 1, 1) for colour in (paper, ink))
    return _to_bytes(paper + (ink - paper) * strokes)


def _widest(x: Tensor) -> Tensor:
    """The largest value within a sixteenth of the side, at least one pixel, of images ``(N, 1, H, W)``."""
    radius = max(1, x.shape[-1] // 16)
    return max_pool2d(x, 2 * radius + 1, stride=1, padding=radius)


def _luminance(x: Tensor) -> Tensor:
    """Brightness ``(N, 1, H, W)`` in [0, 255], by the weights of ITU-R BT.601 in thousandths."""
    weights = torch.tensor([299.0, 587.0, 114.0], device=x.device).view(3, 1, 1)
    return (x * weights).sum(1, keepdim=True) / 1000  # sums of whole numbers: the same on every machine


def _to_bytes(x: Tensor) -> Tensor:
    return x.round().clamp(0, 255).to(torch.uint8)


#: name -> function from images, uint8 ``(N, 3, H, W)``, to their partners of the same type and shape
TASKS: dict[str, Callable[[Tensor], Tensor]] = {
    "neon": neon, "glow": glow, "copper": copper, "edges": edges, "negative": negative, "rotate": rotate,
}  # fmt: skip

#: tasks that paint strokes -> colours of paper and ink, and whether the strokes grew
_PAINTED = {"neon": (PAPER, INK, True), "glow": (INK, PAPER, True), "copper": (PINE, COPPER, False)}

#: name -> factors of the two domains, for ``glyphs`` alone: a character is drawn again with one factor changed
GLYPH_TASKS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "italic": ({"slant": "upright"}, {"slant": "italic"}),
    "bold": ({"weight": "regular"}, {"weight": "bold"}),
    "red": ({"ink": "blue"}, {"ink": "red"}),
    "texture": ({"texture": "plain"}, {"texture": "striped"}),
}

#: name -> what it is; folders come by their path
SETS = {
    "facades": "photos of facades to maps of their parts, 400 and 106 pairs, 256x256; downloaded (30 MB)",
    "horse2zebra": "horses to zebras, unpaired, 1,067 and 1,334 photos (120 and 140), 256x256; downloaded (117 MB)",
}


def undo(x: Tensor, task: str) -> Tensor:
    """Return the grey images ``(n, 1, H, W)`` behind changed ones ``(n, 3, H, W)``, all in [-1, 1].

    A fixed rule that knows the task, to measure by: a classifier of the original images can so read a translation in
    either domain. ``rotate`` and ``negative`` are undone exactly; of painted strokes, the colour's place between paper
    and ink, thinned by as much as the strokes grew. A pencil drawing cannot be undone by a rule.

    Raises:
        ValueError: the task is unknown or has no such rule.
    """
    if task == "negative":
        return -x.mean(1, keepdim=True)
    if task == "rotate":
        return x.rot90(-1, (2, 3)).mean(1, keepdim=True)
    if task not in _PAINTED:
        raise unknown("task that can be undone", task, (*_PAINTED, "negative", "rotate"))
    *colours, grew = _PAINTED[task]
    paper, ink = (torch.tensor(colour, device=x.device).view(3, 1, 1) / 127.5 - 1 for colour in colours)
    share = ((x - paper) * (ink - paper)).sum(1, keepdim=True) / (ink - paper).square().sum()
    share = share.clamp(0, 1)
    return (-_widest(-share) if grew else share) * 2 - 1


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


def is_task(name: str | os.PathLike) -> bool:
    """Return whether ``name`` is one for :func:`load_domains` and not for :func:`gan_course.data.catalogue.load`.

    A folder of pairs may be meant as one of ordinary images, so it does not count.
    """
    text = os.fspath(name)
    base = _base(text)
    return base != text or _is_task(base) or base in SETS or bool(splits(catalogue.absolute(base), "A"))


def has_pairs(name: str | os.PathLike) -> bool:
    """Return whether :func:`load_domains` can give ``name`` with ``paired=True``; it does not look for errors."""
    base = _base(os.fspath(name))
    if base in SETS:
        return base == "facades"
    return not splits(catalogue.absolute(base), "A")


def load_domains(
    name: str | os.PathLike,
    *,
    size: Size = None,
    split: str = "train",
    paired: bool = False,
    device: str | torch.device = "cpu",
    limit: int | None = None,
) -> Domains:
    """Load two domains.

    Args:
        name: a task, a set, or the path of a folder; ``from-`` before it swaps the two domains, as pix2pix translates:
            ``"from-edges-digits"`` from drawings in ``a`` to images in ``b``, ``"from-facades"`` from maps to photos.

            A task is ``task-base``, such as ``"neon-digits"``: ``a`` holds images of the base (a name or folder for
            :func:`gan_course.data.catalogue.load`), ``b`` changed ones. A task by factor (:data:`GLYPH_TASKS`) shows
            only glyphs that have its factors, in fonts with all faces. Of ``"facades"``, ``val`` is left out.
        size, device: as for :func:`gan_course.data.catalogue.load`.
        split: ``"train"`` or ``"test"``.
        paired: whether ``b[i]`` is the partner of ``a[i]``. If not, half of the images (every second) are kept and of
            the others only the partners, so that the two domains have no image in common.
        limit: keep the first ``limit`` images of the base, pairs of the folder, or images of each unpaired domain.

    Returns:
        Domains of RGB images. ``a.labels`` and ``b.labels`` are those of the base of a task; else there are none. Files
        are read in the order of their paths, numbers in them as numbers.

    Raises:
        ValueError: an argument is out of range, a name is unknown (with the nearest known one), or there are no pairs.
        DataError: files are missing, damaged or cannot be downloaded; says which and what to do.
    """
    text = _with_absolute_path(os.fspath(name))
    base = _base(text)
    size = catalogue.check_arguments(size, split, limit)
    if paired and not has_pairs(base):
        raise ValueError(
            f"paired: got True, but in {base!r} no image has a partner; expected False, and a family that learns"
            " without pairs, such as cyclegan (images that have partners: one name for both, in train/a/ and train/b/)"
        )
    if _is_task(base):
        original, changed = _task(base, size, split, paired, limit)
    elif base in SETS:
        folder, remedy = downloads.folder(base)
        parts = [split] if has_pairs(base) else [f"{split}{side}" for side in "AB"]
        if fault := downloads.fault(base, folder, parts):
            raise DataError(f"{fault}; {remedy}")
        original, changed = _folder(base, folder, size, split, paired, limit)
    elif catalogue.is_path(base):
        original, changed = _folder(base, Path(base), size, split, paired, limit)
    elif "-" in base.strip("-"):
        raise unknown("task", base.partition("-")[0], [*TASKS, *GLYPH_TASKS])
    else:
        raise ValueError(
            "name must be task-base or from-task-base, such as 'neon-digits', with task one of"
            f" {', '.join([*TASKS, *GLYPH_TASKS])}; or one of {', '.join(SETS)}; or the path of a folder; got {text!r}"
        )
    a, b = (original, changed) if base == text else (changed, original)
    return Domains(a, b, paired=paired, name=text).to(device)


def in_turn(images: DataSet, *tasks: str) -> DataSet:
    """Return ``images`` spread over many domains, labelled by these, to train a translator between all of them.

    Image i is shown as it is where i is a multiple of k + 1, with k tasks, and changed by task j where j is the
    remainder: no image is seen in two domains. ``partners(images, task)`` is the truth.

    Raises:
        ValueError: no or unknown tasks, or images as for :func:`partners`.
    """
    if not tasks:
        raise ValueError("tasks: got none, expected at least one, such as 'neon'")
    domain = torch.arange(len(images), device=images.x.device) % (len(tasks) + 1)
    x = images.x.clone()
    for number, task in enumerate(tasks, 1):
        x[domain == number] = partners(images, task).x[domain == number]
    return DataSet(x, domain, name=f"{images.name} by style", classes=["plain", *tasks])


def load_source(
    name: str | os.PathLike, *, size: Size = None, device: str | torch.device = "cpu", limit: int | None = None
) -> DataSet:
    """Load images to translate, RGB: those of the first domain, to test with if there are any.

    Args:
        name: as for :func:`load_domains`; or a folder of images without partners, or of one domain, such as ``testA``.
            Images of which all, two or more, are twice as wide as high are taken for pairs side by side.
        size, device, limit: as there.
    """
    text = os.fspath(name)
    size = catalogue.check_arguments(size, "test", limit)
    base = _base(text)
    folder, back = catalogue.absolute(base), base != text
    if _is_task(base) or base in SETS or not folder.is_dir():
        return load_domains(text, size=size, split="test", paired=has_pairs(text), device=device, limit=limit).a
    parts = splits(folder, "AB"[back]) or splits(folder) or {"train": folder}
    place = parts.get("test", parts.get("train"))
    files = some_images(_sides(place).get("ab"[back], place))
    halves = 2 if are_pairs(files) else 1
    return DataSet(catalogue.decoded(files, size, 3, halves, limit)[-1 if back else 0], name=text).to(device)


def direction(name: str, trained_on: str) -> str:
    """The way of the first domain of ``name`` for a translator trained on ``trained_on``: "ab" or, back, "ba".

    ``from-`` before a folder of images without partners means the way back.
    """
    forward = "" if _is_alone(catalogue.absolute(_base(name))) else trained_on
    return "ab" if name.startswith("from-") == forward.startswith("from-") else "ba"


# --- what a name means ----------------------------------------------------------------------------
def _base(text: str) -> str:
    return text.removeprefix("from-")


def _is_task(base: str) -> bool:
    task, _, rest = base.partition("-")
    return bool(rest) and task in {*TASKS, *GLYPH_TASKS}


def _with_absolute_path(text: str) -> str:
    base = _base(text)
    folder = base.partition("-")[2] if _is_task(base) else base
    if folder in SETS or not catalogue.is_path(folder):
        return text
    return text.removesuffix(folder) + str(catalogue.absolute(folder))


def _sides(part: Path) -> dict[str, Path]:
    """The subfolders a/ and b/ of a split, if both are there."""
    found = subfolders(part)
    return {side: found[side] for side in "ab"} if found.keys() >= {"a", "b"} else {}


def _is_alone(folder: Path) -> bool:
    """Whether a folder holds images of one domain, without partners."""
    if not folder.is_dir() or splits(folder, "A") or splits(folder, "B"):
        return False
    part = next(iter(splits(folder).values()), folder)
    return not _sides(part) and not are_pairs(some_images(part))


# --- making the two domains -----------------------------------------------------------------------
def _task(base: str, size: Size, split: str, paired: bool, limit: int | None) -> tuple[DataSet, DataSet]:
    task, _, name = base.partition("-")
    if task in GLYPH_TASKS and name == "glyphs":
        n = min(glyphs.SPLIT_SIZES[split], limit or glyphs.SPLIT_SIZES[split])
        _check_least(base, n, paired)
        (a, b), seed, fixed = GLYPH_TASKS[task], glyphs.SPLIT_SEEDS[split], {"family": glyphs.COMPLETE_FAMILIES}
        both = glyphs.domains(n if paired else n // 2, seed, size or 32, a=a, b=b, paired=paired, fixed=fixed)
        return both.a, both.b
    _check_task(task, name)
    whole = catalogue.load(name, size=size, split=split, channels=3, limit=limit)  # on the CPU, as on every machine
    _check_least(base, len(whole), paired)
    if paired:
        return whole, partners(whole, task)
    return _every_second(whole, 0), partners(_every_second(whole, 1), task)


def _folder(
    name: str, folder: Path, size: Size, split: str, paired: bool, limit: int | None
) -> tuple[DataSet, DataSet]:
    """The two domains in a folder, in one of the three layouts."""
    check_folder(folder, "pairs, or one with trainA/ and trainB/")
    if splits(folder, "A"):
        sides = [catalogue.split_of(folder, splits(folder, side), split, f"{split}{side}") for side in "AB"]
        a, b = (catalogue.decoded(some_images(side), size, 3, limit=limit)[0] for side in sides)
        _check_same_shape(folder, a, b)
        return DataSet(a, name=f"{name} (A)"), DataSet(b, name=f"{name} (B)")
    part = catalogue.split_of(folder, splits(folder) or {"train": folder}, split)
    if sides := _sides(part):
        a, b = (catalogue.decoded(files, size, 3, limit=limit)[0] for files in _partners_by_name(part, sides))
        _check_same_shape(part, a, b)
    else:
        a, b = catalogue.decoded(some_images(part), size, 3, parts=2, limit=limit)
    left, right = DataSet(a, name=f"{name} (left)"), DataSet(b, name=f"{name} (right)")
    _check_least(name, len(left), paired)
    return (left, right) if paired else (_every_second(left, 0), _every_second(right, 1))


def _check_same_shape(folder: Path, a: Tensor, b: Tensor) -> None:
    if a.shape[1:] != b.shape[1:]:
        first, second = (f"{x.shape[-1]}x{x.shape[-2]}" for x in (a, b))
        raise DataError(f"{folder}: the two sides are {first} and {second}; give a size to bring them to one")


def _partners_by_name(part: Path, sides: dict[str, Path]) -> list[list[Path]]:
    """The images of both sides, each at the place of its partner."""
    files = {side: some_images(place) for side, place in sides.items()}
    a, b = ({file.relative_to(sides[side]).with_suffix(""): file for file in files[side]} for side in "ab")
    for mine, others, other in ((a, b, "b"), (b, a, "a")):
        if alone := mine.keys() - others.keys():
            raise DataError(f"{part}: {mine[min(alone)]} has no partner of the same name in {sides[other].name}/")
    if len(a) < len(files["a"]) or len(b) < len(files["b"]):
        raise DataError(f"{part}: two files of one side have the same name up to their suffixes")
    return [list(a.values()), [b[name] for name in a]]


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
