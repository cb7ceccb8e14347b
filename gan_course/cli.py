"""The command line: ``gan-course train | sample | evaluate | data``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from torchvision.utils import save_image

from gan_course import __version__, checkpoint, data, metrics, models, plot, profiles
from gan_course.errors import CheckpointError, DataError
from gan_course.features import judge
from gan_course.models import gan
from gan_course.train import CHECKPOINT, fit


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 2 for what the user can mend, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (ValueError, DataError, CheckpointError, FloatingPointError, OSError) as error:
        print(f"gan-course: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        print(f"gan-course: {str(interruption) or 'interrupted'}; the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def train(options: argparse.Namespace) -> None:
    """Train a model, or go on with the run in ``--out``."""
    saved = options.out / CHECKPOINT
    device = profiles.device(options.device)
    recipe = dict(gan.RECIPES["digits" if options.data == "digits" else "mnist"])
    suits = recipe.pop("steps")
    steps = suits if options.steps is None else options.steps
    if steps < 1:
        raise ValueError(f"--steps must be at least 1, got {steps}")
    if options.lr is not None:
        recipe |= {"lr_g": options.lr, "lr_d": options.lr}
    train_set = data.load(options.data, size=options.size, device=device)
    torch.manual_seed(options.seed)
    model = models.family(options.family)(shape=train_set.shape, **recipe).to(device)
    if not saved.exists():
        print(f"{options.data}: {len(train_set):,} images of shape {train_set.shape}; new run in {options.out}")
    else:
        print(f"going on with the run in {options.out}")
    fit(
        model,
        train_set,
        steps,
        batch=options.batch,
        seed=options.seed,
        out=options.out,
        snapshot_every=max(steps // 20, 1) if options.snapshot_every is None else options.snapshot_every,
        checkpoint_seconds=options.checkpoint_seconds,
    )


def sample(options: argparse.Namespace) -> None:
    """Write a grid of samples."""
    model, _ = checkpoint.load_model(options.run / CHECKPOINT, profiles.device(options.device))
    samples = model.sample(options.n, generator=torch.Generator().manual_seed(options.seed))
    _write_grid(samples, options.out)


def evaluate(options: argparse.Namespace) -> None:
    """Measure samples of a run beside real images, print and keep the numbers."""
    device = profiles.device(options.device)
    model, state = checkpoint.load_model(options.run / CHECKPOINT, device)
    name = options.data or state["run"]["data"]
    size = model.shape[-1]
    train_set = data.load(name, size=size, device=device)
    test_set = data.load(name, size=size, split="test", device=device)
    if train_set.shape != tuple(model.shape):
        raise ValueError(
            f"--data {name} has images of shape {train_set.shape}, the run in {options.run} makes {model.shape}"
        )
    critic = judge(name, size, device)
    samples = model.sample(options.n, generator=torch.Generator().manual_seed(options.seed))
    reference = test_set.draw(options.n)
    result = {
        "data": name, "step": state["step"], "samples": options.n,
        "reference": len(reference), "seed": options.seed,
        "generated": metrics.summarize(samples, reference, critic),
        "real": metrics.summarize(train_set.draw(options.n), reference, critic),
    }  # fmt: skip
    print(f"{name}, step {state['step']:,}: {options.n:,} samples against {len(reference):,} test images")
    print(f"{'':10}  Fréchet distance  classes  rarest  confidence")
    for who in ("generated", "real"):
        row = result[who]
        shares = f"{row['classes']:7d}  {row['least_share']:6.3f}  {row['confidence']:10.3f}"
        print(f"{who:10}  {row['frechet']:16.2f}  {shares}")
    path = options.run / "metrics.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}")


def show_data(options: argparse.Namespace) -> None:
    """Fetch a data set if need be, verify and describe it."""
    for split in ("train", "test"):
        images = data.load(options.name, size=options.size, split=split)
        line = f"{options.name} {split}: {len(images):,} images of shape {images.shape}"
        if images.labels is not None:
            line += f", images per class {images.labels.bincount().tolist()}"
        print(line)
        if options.out and split == "train":
            _write_grid(images.images(64), options.out)


def _write_grid(images: torch.Tensor, path: Path) -> None:
    columns = max(round(len(images) ** 0.5), 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(plot.image_grid(images, columns).float() / 255, path)
    print(f"{len(images)} images in {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gan-course", description="Train, sample and evaluate the models of the GAN course."
    )
    parser.add_argument("--version", action="version", version=f"gan-course {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    one = commands.add_parser("train", help="train a model; run again, it resumes by itself")
    one.set_defaults(command=train)
    one.add_argument("family", help=f"family of models: {', '.join(models.FAMILIES)}")
    one.add_argument(
        "--data", required=True, metavar="NAME", help="digits, mnist, fashion-mnist, or a folder of images"
    )
    one.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the run")
    one.add_argument("--steps", type=int, help="steps in all; a larger number extends a finished run")
    one.add_argument("--size", type=int, help="image size in pixels (default: as the data are)")
    one.add_argument("--batch", type=int, default=64, help="images per update (default: %(default)s)")
    one.add_argument("--lr", type=float, help="learning rate of both networks (default: what suits the data)")
    one.add_argument(
        "--seed", type=int, default=0, help="seed of weights, data order and latents (default: %(default)s)"
    )
    one.add_argument(
        "--snapshot-every",
        type=int,
        metavar="STEPS",
        help="steps between sample grids (default: a twentieth)",
    )
    one.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=30,
        metavar="S",
        help="least time between checkpoints (default: %(default)s)",
    )

    one = commands.add_parser("sample", help="write a grid of samples of a run")
    one.set_defaults(command=sample)
    one.add_argument("run", type=Path, metavar="DIR", help="folder of the run")
    one.add_argument("--n", type=int, default=64, help="samples (default: %(default)s)")
    one.add_argument(
        "--out",
        type=Path,
        default=Path("grid.png"),
        metavar="FILE",
        help="image to write (default: %(default)s)",
    )
    one.add_argument("--seed", type=int, default=0, help="seed of the latents (default: %(default)s)")

    one = commands.add_parser("evaluate", help="measure samples of a run beside real images")
    one.set_defaults(command=evaluate)
    one.add_argument("run", type=Path, metavar="DIR", help="folder of the run")
    one.add_argument("--data", metavar="NAME", help="data set (default: the one it was trained on)")
    one.add_argument("--n", type=int, default=2000, help="samples (default: %(default)s)")
    one.add_argument("--seed", type=int, default=0, help="seed of the latents (default: %(default)s)")

    for name in ("train", "sample", "evaluate"):
        commands.choices[name].add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")

    one = commands.add_parser("data", help="fetch, verify and describe a data set")
    one.set_defaults(command=show_data)
    one.add_argument("name", help="digits, mnist, fashion-mnist, or a folder of images")
    one.add_argument("--size", type=int, help="image size in pixels (default: as the data are)")
    one.add_argument("--out", type=Path, metavar="FILE", help="write a grid of 64 images here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
