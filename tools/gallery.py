#!/usr/bin/env python3
"""Make the pictures of the landing page: train small models of the package and keep what they draw.

Each function below trains one model with one seed; samples are the first ones drawn, none is chosen. Pictures go to
book/_static/gallery/, and into gallery.json what made them, how long it took and how good they are. Each takes minutes.
`cards` copies the first figure of each chapter there, for its card.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import torch
from PIL import Image
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a script's path holds its own folder only

from gan_course import data, metrics, models  # noqa: E402
from gan_course.models import cyclegan, gan, pix2pix  # noqa: E402
from gan_course.notebook.plot import image_grid  # noqa: E402
from gan_course.train import fit  # noqa: E402
from tools import execute  # noqa: E402

FOLDER = ROOT / "book" / "_static" / "gallery"
SEED = 0


def picture(x: Tensor, columns: int, scale: int) -> Image.Image:
    """Lay images ``(n, C, H, W)`` out in a grid, each of their pixels ``scale`` pixels wide."""
    drawn = Image.fromarray(image_grid(x, columns).permute(1, 2, 0).contiguous().numpy())
    return drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST)


def trained(family: str, train_set: Any, recipe: dict[str, Any], **options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """Train a model by a recipe; return it and what is to be said of it."""
    torch.manual_seed(SEED)
    settings = {name: value for name, value in recipe.items() if name not in ("steps", "batch", "size")}
    model = models.build(family, train_set, **settings)
    began = time.perf_counter()
    fit(model, train_set, recipe["steps"], batch=recipe["batch"], seed=SEED, precision="float32", **options)
    return model, {"family": family, "data": train_set.name, **recipe, "seconds": round(time.perf_counter() - began, 1)}


def digits() -> dict[str, Any]:
    """A GAN of two perceptrons learns MNIST: what it makes of the same 40 latents, from the first step to the last."""
    train_set, recipe = data.load("mnist"), {**gan.RECIPES["mnist"], "batch": 64}
    shown = {0, 25, 50, 100, 200, 300, 450, 700, 1_000, 1_500, 2_500, 4_000, 6_000, recipe["steps"]}
    z = torch.randn(40, 64, generator=torch.Generator().manual_seed(SEED))
    frames = {}

    def look(model: nn.Module) -> dict[str, float]:
        step = 25 * len(seen)
        seen.append(step)
        if step in shown:
            with torch.no_grad():  # of the last weights: their average lags behind at first
                frames[step] = picture(model.generator.eval()(z), 10, 2)
        return {}

    seen: list[int] = []
    model, facts = trained("gan", train_set, recipe, snapshot_every=25, snapshot_size=1, probe=look)
    test = data.load("mnist", split="test").draw(2_000)
    judge = metrics.judge("mnist", 28, torch.device("cpu"))
    for name, x in {"frechet": model.sample(2_000), "floor": train_set.draw(2_000, SEED)}.items():
        facts[name] = round(metrics.summarize(x, test, judge)["frechet"], 1)
    last = picture(model.decode(z), 10, 2)
    last.save(FOLDER / "digits.webp", lossless=True)
    first, *rest = [frames[step] for step in sorted(frames)]
    times = [350] * len(rest) + [2_500]  # milliseconds
    first.save(FOLDER / "digits_moving.webp", save_all=True, append_images=rest, duration=times, loop=0, quality=40)
    return facts


def neon() -> dict[str, Any]:
    """CycleGAN turns digits into neon signs, without ever having seen a pair: above test images, below what it made."""
    recipe = cyclegan.RECIPES["neon-digits"]
    model, facts = trained("cyclegan", data.load_domains("neon-digits", size=recipe["size"]), recipe)
    x = data.load_domains("neon-digits", size=recipe["size"], split="test", paired=True).a.images()[:12]
    picture(torch.cat([x, model.translate(x)]), 12, 3).save(FOLDER / "neon.webp", lossless=True)
    return facts


def edges() -> dict[str, Any]:
    """pix2pix fills in outlines of digits: above test outlines, in the middle what it made, below the truth."""
    recipe = pix2pix.RECIPES["from-edges-digits"]
    model, facts = trained("pix2pix", data.load_domains("from-edges-digits", size=recipe["size"], paired=True), recipe)
    test = data.load_domains("from-edges-digits", size=recipe["size"], split="test", paired=True)
    x, truth = test.images()[:12].unbind(1)
    picture(torch.cat([x, model.translate(x), truth]), 12, 3).save(FOLDER / "edges.webp", lossless=True)
    return facts


def first_figure(chapter: Path) -> str:
    """Return the first figure of a chapter, as its notebook stores it."""
    cells = nbformat.read(chapter, as_version=4).cells
    data = (output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
    return next("".join(kinds["image/svg+xml"]) for kinds in data if "image/svg+xml" in kinds)


def cards() -> None:
    """Copy the first figure of each chapter, for its card."""
    for chapter in execute.chapters():
        if "appendix" not in chapter.parts:
            (FOLDER / f"{chapter.stem}.svg").write_text(first_figure(chapter), encoding="utf-8")


PICTURES: dict[str, Callable[[], dict[str, Any]]] = {made.__name__: made for made in (digits, neon, edges)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*PICTURES, "cards"], help="what to make")
    names = parser.parse_args().names
    FOLDER.mkdir(parents=True, exist_ok=True)
    if "cards" in names:
        names.remove("cards")
        cards()
    table = FOLDER / "gallery.json"
    told = json.loads(table.read_text()) if table.exists() else {}
    for name in names:
        facts = PICTURES[name]()
        told[name] = {"what": PICTURES[name].__doc__, **facts, "seed": SEED, "torch": torch.__version__}
        told[name]["date"] = date.today().isoformat()
        table.write_text(json.dumps(told, indent=1) + "\n")
        print(name, facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
