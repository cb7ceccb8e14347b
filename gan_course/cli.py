"""The command line: ``gan-course list | train | sample | evaluate | data``."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import __version__, data, metrics, models, parallel
from gan_course.data import DataSet, Domains, catalogue, glyphs, translation
from gan_course.errors import CheckpointError, DataError, NoSplitError, unknown
from gan_course.metrics.report import EXTRACTORS
from gan_course.notebook import profiles
from gan_course.train import checkpoint, fit
from gan_course.train.runs import CHECKPOINT
from gan_course.train.schedule import DECAYS
from gan_course.train.speed import PRECISIONS

DATA_HELP = (
    "digits, glyphs, mnist, fashion-mnist, cifar10, stl10, or a folder of images; for translators TASK-NAME, as in"
    " neon-digits, or facades, horse2zebra, or a folder of pairs or domains, and from-NAME for the way back"
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 2 for what the user can mend, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"gan-course: warning: {message}", file=sys.stderr)
            if not -(2**63) <= getattr(options, "seed", 0) < 2**64:
                raise ValueError(f"seed must lie in -2**63 to 2**64 - 1, got {options.seed}")
            options.command(options)
    except (ValueError, DataError, CheckpointError, FloatingPointError, OSError) as error:
        print(f"gan-course: error: {_by_option(str(error), options)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        print(f"gan-course: {str(interruption) or 'interrupted'}; the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def _by_option(message: str, options: argparse.Namespace) -> str:
    """A message about an argument of a function, with the name of the option that it came from."""
    argument = re.match("[a-z_]*", message)[0]
    option = {"name": "data", "real": "batch"}.get(argument, argument)  # of what is real, all but the number is right
    given = option in vars(options) and option not in ("command", "family", "run")
    return f"--{option.replace('_', '-')}{message[len(argument) :]}" if given else message


def show_list(options: argparse.Namespace) -> None:
    """Show what there is: families, data sets, metrics."""
    print("Families of models (gan-course train FAMILY --data NAME), with the data that they have settings for:")
    for name, model in models.FAMILIES.items():
        print(f"  {name:15} {_first_line(model)} [{', '.join(models.recipes(name))}]")
    print("\nData sets:")
    for name, text in catalogue.NAMES.items():
        print(f"  {name:15} {text}")
    print("\nData sets for translators (from-NAME for the way back; or the path of a folder of pairs or domains):")
    for name, text in translation.SETS.items():
        print(f"  {name:15} {text}")
    print("\nTasks for translators (TASK-NAME with the name of a data set; from-TASK-NAME for the way back):")
    for name, task in translation.TASKS.items():
        print(f"  {name:15} {_first_line(task)}")
    for name, (a, b) in translation.GLYPH_TASKS.items():
        print(f"  {name:15} {', '.join(a.values())} to {', '.join(b.values())} (glyphs only)")
    for title, by_command in (("gan-course evaluate RUN", True), ("of points and modes: gan_course.metrics", False)):
        print(f"\nMetrics ({title}):")
        for name, metric in metrics.METRICS.items():
            if (metric.needs != "points") == by_command:
                print(f"  {name:15} {metric.description}{f'; {metric.better} is better' if metric.better else ''}")


def train(options: argparse.Namespace) -> None:
    """Train a model, or go on with the run in ``--out``."""
    with parallel.processes(profiles.device(options.device)) as device:
        _train(options, device)


def _train(options: argparse.Namespace, device: torch.device) -> None:
    recipe = models.recipe(options.family, options.data)
    fitting = {"steps": 2_000, "batch": 64, "warmup": 0, "decay_from": None, "decay": "linear"}
    fitting = {name: recipe.pop(name, usual) for name, usual in fitting.items()}
    fitting |= {name: given for name in fitting if (given := getattr(options, name)) is not None}
    family, size = models.family(options.family), recipe.pop("size", None)
    usual = inspect.signature(family).parameters
    known = [name for name in usual if name != "shape"]  # which the data have
    if options.lr is not None:
        recipe |= {name: options.lr for name in known if name in ("lr", "lr_g", "lr_d")}
    for name, value in options.set:
        if name not in known:
            raise unknown(f"setting of family {options.family!r}", name, known)
        if isinstance(usual[name].default, bool) and not isinstance(value, bool):
            raise ValueError(f"--set {name} must be true or false, got {value!r}")
        recipe[name] = value
    load = partial(load_data, family, options.data, "train", channels=options.channels, device=device)
    try:
        if options.size is not None:
            size = options.size
        elif size is None:  # no recipe tells it: as large as the data are and the family can
            size = models.fitting_size(options.family, load(size=None, limit=2), **recipe)
        train_set = load(size=size)
        torch.manual_seed(options.seed)
        model = models.build(options.family, train_set, **recipe).to(device)
    except TypeError as error:
        if not options.set:
            raise
        raise ValueError(f"--set gives a value of the wrong type ({error})") from error
    if options.start_from is not None and not (options.out / CHECKPOINT).exists():
        checkpoint.restore(model, checkpoint.load(options.start_from / CHECKPOINT, device))
    if "num_classes" in model.settings and train_set.labels.ndim == 1 and parallel.rank() == 0:
        print(f"classes: {_numbered(train_set.classes)}")
    fit(
        model,
        train_set,
        **fitting,
        seed=options.seed,
        precision=options.precision,
        channels_last=options.channels_last,
        graph=options.graph,
        out=options.out,
        snapshot_every=max(fitting["steps"] // 20, 1) if options.snapshot_every is None else options.snapshot_every,
        checkpoint_seconds=options.checkpoint_seconds,
    )


def sample(options: argparse.Namespace) -> None:
    """Write a grid of samples; of a translator, test images each beside its translation."""
    device = profiles.device(options.device)
    model, state = checkpoint.load_model(options.run / CHECKPOINT, device)
    if hasattr(model, "translate"):
        if options.labels is not None or options.caption is not None:
            raise ValueError(f"--labels and --caption are not for translators such as {model.family!r}")
        name, way = _data_of_run(model, state, options)
        source = translation.load_source(name, size=model.shape[-2:], device=device, limit=options.n).images(options.n)
        translated = model.translate(source) if way == "ab" else model.translate(source, way)
        beside = torch.stack([source, translated], 1).flatten(0, 1)
        _write_grid(beside, options.out, columns=2 * max(round((len(source) / 2) ** 0.5), 1))
        return
    if options.data:
        raise ValueError(f"--data is for translators, which need images; {model.family!r} does not")
    labels = _labels(model, options)
    samples = model.sample(
        options.n,
        labels=None if labels is None else labels.to(device),
        generator=torch.Generator().manual_seed(options.seed),
    )
    _write_grid(samples, options.out)
    if "num_classes" in model.settings and options.caption is None and (classes := state["run"].get("classes")):
        drawn = "all in turn" if options.labels is None else " ".join(map(str, options.labels))
        print(f"classes: {drawn}; known: {_numbered(classes)}")


def evaluate(options: argparse.Namespace) -> None:
    """Measure samples of a run beside real images, print and keep the numbers."""
    model, state = checkpoint.load_model(options.run / CHECKPOINT, device := profiles.device(options.device))
    name, way = _data_of_run(model, state, options)
    sets = [
        load_data(model, name, split, model.shape[-2:], model.shape[-3], device, translation.has_pairs(name))
        for split in data.SPLITS
    ]
    measured = metrics.evaluate_model(
        model, *sets, n=options.n, features=options.features, seed=options.seed, direction=way,
        classes=state["run"].get("classes"),
    )  # fmt: skip
    name = sets[0].name if name == "cifar10" else name  # which may have given the version in JPEG
    result = {"data": name, "step": state["step"], **measured}
    path = options.run / "metrics.json"
    path.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    print(
        f"{name}, step {state['step']:,}: {measured['samples']:,} generated and as many real training images of shape"
        f" {model.shape[-3:]}, each against {measured['reference']:,} test images"
    )
    print(f"features: {measured['features']}\n{'':16}  {'generated':>12}  {'real':>12}")
    for metric in measured["generated"]:
        values = [measured[row][metric] for row in ("generated", "real") if metric in measured[row]]
        shown = ("not finite" if value is None else f"{value:.4g}" for value in values)
        print(f"{metric:16}" + "".join(f"  {value:>12}" for value in shown))
    print(f"written to {path}")


def show_data(options: argparse.Namespace) -> None:
    """Fetch a data set or two domains if need be, verify and describe them."""
    wanted = options.out
    for split in data.SPLITS:
        try:
            shown, columns = _described(options.name, options.size, split)
        except NoSplitError as missing:
            print(f"no {split} images: {missing}")
            continue
        if wanted:
            _write_grid(shown, wanted, columns)
        wanted = None


def _described(name: str, size: int | None, split: str) -> tuple[Tensor, int | None]:
    """Print what a split holds; return images to show and how many stand in a row."""
    if translation.is_task(name):
        paired = translation.has_pairs(name)
        both = data.load_domains(name, size=size, split=split, paired=paired)
        number = f"{len(both):,} pairs" if paired else f"{len(both.a):,} and {len(both.b):,} unpaired images"
        print(f"{name} {split}: {number} of shape {both.a.shape}")
        return both.images(32).flatten(0, 1), 8  # an image of a, one of b: its partner if there are any
    images = data.load(name, size=size, split=split)
    line = f"{images.name} {split}: {len(images):,} images of shape {images.shape}"
    if images.labels is not None:
        line += f"; classes: {_numbered(images.classes, images.labels.bincount().tolist())}"
    print(line)
    return images.draw(64), None


def load_data(
    model: type[nn.Module] | nn.Module,
    name: str,
    split: str,
    size: int | tuple[int, int] | None,
    channels: int | None,
    device: torch.device,
    paired: bool = False,
    limit: int | None = None,
) -> DataSet | Domains:
    """Load a data set in the form that a family is trained on: domains for a translator, captions for text."""
    if hasattr(model, "translate"):
        if channels not in (None, 3):
            raise ValueError(
                f"--channels must be 3 for family {model.family!r}, which translates colours; got {channels}"
            )
        paired = paired or model.paired
        return data.load_domains(name, size=size, split=split, paired=paired, device=device, limit=limit)
    if translation.is_task(name) and not Path(name).is_dir():
        raise ValueError(f"--data {name!r} is for translators; family {model.family!r} needs a data set")
    images = data.load(name, size=size, split=split, channels=channels, device=device, limit=limit)
    if getattr(model, "reads_captions", False):
        if not isinstance(images, glyphs.Glyphs):
            raise ValueError(f"--data must be glyphs for family {model.family!r}, which reads captions; got {name!r}")
        return images.captioned()
    return images


def _data_of_run(model: nn.Module, state: dict[str, Any], options: argparse.Namespace) -> tuple[str, str]:
    """Return ``--data``, or what the run was trained on (captions are on glyphs), and the way to translate it."""
    trained_on = state["run"]["data"]
    name = options.data or ("glyphs" if getattr(model, "reads_captions", False) else trained_on)
    way = translation.direction(name, trained_on) if hasattr(model, "translate") else "ab"
    if way == "ba" and model.paired:
        raise ValueError(
            f"--data {name} asks for the way back, which a run of {model.family!r} on {trained_on} has not learned;"
            f" {'leave out' if name.startswith('from-') else 'begin with'} from-, or train one on the way back"
        )
    return name, way


def _numbered(classes: list[str], counts: list[int] | None = None, most: int = 20) -> str:
    """The classes with their numbers, as ``--labels`` takes them."""
    shown = [name if name == str(number) else f"{number} {name}" for number, name in enumerate(classes[:most])]
    shown = [f"{name} ({count:,})" for name, count in zip(shown, counts, strict=False)] if counts else shown
    return ", ".join(shown) + (f", ... {len(classes):,} in all" if len(classes) > most else "")


def _labels(model: nn.Module, options: argparse.Namespace) -> Tensor | None:
    """Return what ``--labels`` or ``--caption`` ask for, ``(n,)`` or ``(n, L)``, or None."""
    if options.caption is not None:
        if not getattr(model, "reads_captions", False):
            raise ValueError(f"--caption is for families that read captions; {model.family!r} does not")
        words = glyphs.tokens([options.caption], glyphs.VOCABULARY)
        if not words.any() or options.labels is not None:
            raise ValueError("--caption must have words, and no --labels beside it")
        return words.expand(options.n, -1)
    if options.labels is None:
        return None
    if "num_classes" not in model.settings or getattr(model, "reads_captions", False):
        raise ValueError(f"--labels is for families that are conditioned on a class; {model.family!r} is not")
    return torch.tensor(options.labels)[torch.arange(options.n) % len(options.labels)]


def _write_grid(images: Tensor, path: Path, columns: int | None = None) -> None:
    from torchvision.utils import save_image  # these take a second or two to import

    from gan_course.notebook import plot

    columns = columns or max(round(len(images) ** 0.5), 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_image(plot.image_grid(images, columns).float() / 255, path)
    except ValueError as error:  # from Pillow, which goes by the name
        raise ValueError(f"--out must be the name of an image file, such as grid.png; got {path} ({error})") from error
    print(f"{len(images)} images in {path}")


def _first_line(thing: object) -> str:
    return thing.__doc__.strip().splitlines()[0].rstrip(".")


def _setting(text: str) -> tuple[str, Any]:
    """Read ``name=value``; a value that is not a Python literal is a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    if value.lower() in ("true", "false", "none"):
        value = value.capitalize()
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gan-course", description="Train, sample and evaluate the models of the GAN course."
    )
    parser.add_argument("--version", action="version", version=f"gan-course {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    one = commands.add_parser("list", help="show families of models, data sets and metrics")
    one.set_defaults(command=show_list)

    one = commands.add_parser("train", help="train a model; run again, it resumes by itself")
    one.set_defaults(command=train)
    one.add_argument("family", help=f"family of models: {', '.join(models.FAMILIES)}")
    one.add_argument("--data", required=True, metavar="NAME", help=DATA_HELP)
    one.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the run")
    one.add_argument(
        "--start-from", type=Path, metavar="DIR",
        help="begin with the weights and optimizers of another run, to go on with other data, batch or schedule",
    )  # fmt: skip
    one.add_argument("--steps", type=int, help="steps in all; a larger number extends a finished run")
    one.add_argument("--size", type=int, help="image size in pixels (default: what suits family and data)")
    one.add_argument("--channels", type=int, help="1 for grey, 3 for colour (default: as the data are)")
    one.add_argument("--batch", type=int, help="images per update (default: what suits family and data)")
    one.add_argument("--lr", type=float, help="learning rate of all networks (default: what suits family and data)")
    one.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="any other setting of the family; may be given several times",
    )  # fmt: skip
    one.add_argument(
        "--seed", type=int, default=0, help="seed of weights, data order and latents (default: %(default)s)"
    )
    one.add_argument("--warmup", type=int, metavar="STEPS", help="steps over which learning rates rise (default: 0)")
    one.add_argument("--decay-from", type=int, metavar="STEP", help="step from which they fall (default: never)")
    one.add_argument("--decay", choices=DECAYS, help="how they fall (default: linear)")
    one.add_argument(
        "--precision", choices=PRECISIONS, default="auto",
        help="auto: bf16 for convolutions where the device computes it in hardware (default: %(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--channels-last", action=argparse.BooleanOptionalAction, default="auto",
        help="another order in memory, in which convolutions may be faster (default: %(default)s)",
    )  # fmt: skip
    one.add_argument("--graph", action="store_true", help="replay each step as a CUDA graph")
    one.add_argument(
        "--snapshot-every", type=int, metavar="STEPS", help="steps between sample grids (default: a twentieth)"
    )
    one.add_argument(
        "--checkpoint-seconds", type=float, default=30, metavar="S",
        help="least time between checkpoints (default: %(default)s)",
    )  # fmt: skip

    one = commands.add_parser("sample", help="write a grid of samples (or translations) of a run")
    one.set_defaults(command=sample)
    one.add_argument("run", type=Path, metavar="DIR", help="folder of the run")
    one.add_argument("--n", type=int, default=64, help="samples (default: %(default)s)")
    one.add_argument("--labels", type=int, nargs="+", metavar="K", help="classes to draw, in turn (default: all)")
    one.add_argument("--caption", metavar="TEXT", help="caption to draw, as 'a red A on a yellow background'")
    one.add_argument(
        "--out", type=Path, default=Path("grid.png"), metavar="FILE", help="image to write (default: %(default)s)"
    )

    one = commands.add_parser("evaluate", help="measure samples of a run beside real images")
    one.set_defaults(command=evaluate)
    one.add_argument("run", type=Path, metavar="DIR", help="folder of the run")
    one.add_argument(
        "--n",
        type=int,
        default=2000,
        help="samples; at most as many as there are training images (default: %(default)s)",
    )
    one.add_argument(
        "--features", choices=EXTRACTORS, help="space to measure in (default: a judge where there is one, else pixels)"
    )

    for name, whose in (("sample", "images to translate"), ("evaluate", "data set")):
        commands.choices[name].add_argument("--data", metavar="NAME", help=f"{whose} (default: that of the run)")
        commands.choices[name].add_argument(
            "--seed", type=int, default=0, help="seed of the latents (default: %(default)s)"
        )
    for name in ("train", "sample", "evaluate"):
        commands.choices[name].add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")

    one = commands.add_parser("data", help="fetch, verify and describe a data set")
    one.set_defaults(command=show_data)
    one.add_argument("name", help=DATA_HELP)
    one.add_argument("--size", type=int, help="image size in pixels (default: as the data are)")
    one.add_argument("--out", type=Path, metavar="FILE", help="write a grid of 64 images here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
