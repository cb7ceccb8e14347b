"""The command line: ``gan-course list | train | sample | evaluate | export-web | data``."""

from __future__ import annotations

import argparse
import ast
import gzip
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

from gan_course import __version__, checks, data, metrics, models, parallel
from gan_course.data import DataSet, Domains, catalogue, glyphs, translation
from gan_course.data.images import Size, channels_of, check_folder, read_images, some_images
from gan_course.errors import CheckpointError, DataError, NoSplitError, unknown
from gan_course.metrics.report import EXTRACTORS
from gan_course.models import export, stargan, trained
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
            warnings.simplefilter("ignore", DeprecationWarning)  # of libraries, which no user of a command can heed
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
    given = option in vars(options) and option not in ("command", "family", "run", "model")
    return f"--{option.replace('_', '-')}{message[len(argument) :]}" if given else message


def show_list(options: argparse.Namespace) -> None:
    """Show families of models, data sets and metrics."""
    tasks = {name: _first_line(task) for name, task in translation.TASKS.items()}
    for name, (a, b) in translation.GLYPH_TASKS.items():
        tasks[name] = f"{', '.join(a.values())} to {', '.join(b.values())} (glyphs only)"
    by_command, others = {}, {}
    for name, metric in metrics.METRICS.items():
        text = metric.description + (f"; {metric.better} is better" if metric.better else "")
        (others if metric.needs == "points" else by_command)[name] = text
    for title, entries in {
        "Families of models (gan-course train FAMILY --data NAME), with the data that they have settings for": {
            name: f"{_first_line(model)} [{', '.join(models.recipes(name))}]" for name, model in models.FAMILIES.items()
        },
        "Data sets": catalogue.NAMES,
        "Data sets for translators (from-NAME for the way back; or the path of a folder of pairs or domains)":
            translation.SETS,
        "Tasks for translators (TASK-NAME with the name of a data set; from-TASK-NAME for the way back)": tasks,
        "Metrics (gan-course evaluate RUN)": by_command,
        "Metrics (of points and modes: gan_course.metrics)": others,
    }.items():  # fmt: skip
        print(f"{title}:", *(f"  {name:15} {text}" for name, text in entries.items()), "", sep="\n")


def train(options: argparse.Namespace) -> None:
    """Train a model; run again, it resumes by itself."""
    family, recipe = models.family(options.family), models.recipe(options.family, options.data)
    size = recipe.pop("size", None) if options.size is None else options.size
    to_fit = ("steps", *inspect.getfullargspec(fit).kwonlyargs)
    fitting = {"steps": 2_000} | {name: recipe.pop(name) for name in to_fit if name in recipe}
    fitting |= {name: given for name in to_fit if (given := getattr(options, name, None)) is not None}
    fitting.setdefault("snapshot_every", max(fitting["steps"] // 20, 1))
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
    with parallel.processes(profiles.device(options.device)) as device:
        load = partial(load_data, family, options.data, "train", channels=options.channels, device=device)
        try:
            if size is None:  # as large as the data are and the family can
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
        fit(model, train_set, **fitting)


def sample(options: argparse.Namespace) -> None:
    """Write a grid of samples of a run; of a translator, images each beside its translation."""
    checks.at_least("n", options.n, 1)
    device = profiles.device(options.device)
    model, state = checkpoint.load_model(options.run / CHECKPOINT, device)
    if hasattr(model, "translate"):
        source, translated = _translations(model, state, options, device)
        beside = torch.stack([source, translated], 1).flatten(0, 1)
        _write_grid(beside, options.out, columns=2 * max(round((len(source) / 2) ** 0.5), 1))
        return
    if options.data:
        raise ValueError(f"--data is for translators, which need images; {model.family!r} does not")
    labels, generator = _labels(model, options), torch.Generator().manual_seed(options.seed)
    _write_grid(model.sample(options.n, labels if labels is None else labels.to(device), generator), options.out)
    if "num_classes" in model.settings and options.caption is None and (classes := state["run"].get("classes")):
        drawn = "all in turn" if options.labels is None else " ".join(map(str, options.labels))
        print(f"classes: {drawn}; known: {_numbered(classes)}")


def _translations(
    model: nn.Module, state: dict[str, Any], options: argparse.Namespace, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return images and their translations: to the other domain, or to those that ``--labels`` name, in turn."""
    if options.caption is not None or (options.labels is not None and hasattr(model, "paired")):
        raise ValueError(f"--labels and --caption are not for translators such as {model.family!r}")
    name, way = _data_of_run(model, state, options)
    if hasattr(model, "paired"):
        source = translation.load_source(name, size=model.shape[-2:], device=device, limit=options.n).images(options.n)
        return source, model.translate(source) if way == "ab" else model.translate(source, way)
    channels, *size = model.shape
    source = load_data(model, name, "test", tuple(size), channels, device, limit=options.n).images(options.n)
    if options.labels is None:
        return source, model.translate(source)
    if len(options.labels) % len(model.groups):
        got = f"{len(options.labels)} for {len(model.groups)} groups"
        raise ValueError(f"--labels must name whole domains, a word of each group; got {got}")
    labels = torch.tensor(options.labels).view(-1, len(model.groups))
    return source, model.translate(source, labels[torch.arange(len(source)) % len(labels)])


def evaluate(options: argparse.Namespace) -> None:
    """Measure samples of a run, or images of any program, beside real images; print and keep the numbers."""
    of_run = options.samples is None
    if (options.run is None) == of_run:
        raise ValueError("evaluate needs the folder of a run, or --samples with a folder of images, and not both")
    about, shape, found = (_measured_run if of_run else _measured_files)(options, profiles.device(options.device))
    source = f"step {about['step']:,}" if of_run else about["folder"]
    print(
        f"{about['data']}, {source}: {found['samples']:,} generated and as many real training images of shape"
        f" {shape}, each against {found['reference']:,} test images"
    )
    print(f"features: {found['features']}\n{'':16}  {'generated':>12}  {'real':>12}")
    for metric in found["generated"]:
        values = [found[row][metric] for row in ("generated", "real") if metric in found[row]]
        shown = ("not finite" if value is None else f"{value:.4g}" for value in values)
        print(f"{metric:16}" + "".join(f"  {value:>12}" for value in shown))
    if path := options.out or (options.run / "metrics.json" if of_run else None):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**about, **found}, indent=1, allow_nan=False) + "\n")
        print(f"written to {path}")


def _measured_run(
    options: argparse.Namespace, device: torch.device
) -> tuple[dict[str, Any], tuple[int, ...], dict[str, Any]]:
    """What is measured, the shape of its images, and the numbers."""
    if options.size is not None:
        raise ValueError("--size is for --samples; the images of a run have a size")
    model, state = checkpoint.load_model(options.run / CHECKPOINT, device)
    name, way = _data_of_run(model, state, options)
    *_, channels, height, width = model.shape
    load = partial(load_data, model, name, size=(height, width), channels=channels, device=device)
    sets = [load(split=split, paired=translation.has_pairs(name)) for split in data.SPLITS]
    asked = {"n": 2000 if options.n is None else options.n, "features": options.features, "seed": options.seed}
    found = metrics.evaluate_model(model, *sets, **asked, direction=way, classes=state["run"].get("classes"))
    name = sets[0].name if name == "cifar10" else name  # which may have given the version in JPEG
    return {"data": name, "step": state["step"]}, (channels, height, width), found


def _measured_files(
    options: argparse.Namespace, device: torch.device
) -> tuple[dict[str, Any], tuple[int, ...], dict[str, Any]]:
    """As :func:`_measured_run`, of a folder of images."""
    if options.data is None:
        raise ValueError("--data must be given beside --samples: the data set that these images are to be like")
    if translation.is_task(options.data) and not Path(options.data).is_dir():
        raise ValueError(f"--data {options.data!r} is for translators; --samples are compared with a data set")
    catalogue.check_arguments(options.size, "train", None)
    files, x = _read_samples(options.samples, options.size)
    sets = [data.load(options.data, size=options.size, split=split, device=device) for split in data.SPLITS]
    samples = DataSet(_checked_samples(files, x, sets[0]), name="samples").images()
    asked = {"n": options.n, "features": options.features, "seed": options.seed}
    found = metrics.evaluate_samples(samples, *sets, **asked)
    return {"data": sets[0].name, "folder": str(options.samples)}, sets[0].shape, found


def _read_samples(folder: Path, size: int | None) -> tuple[list[Path], Tensor]:
    """The files of images in a folder, and uint8 ``(n, C, H, W)``, with one channel if all of them are grey."""
    try:
        check_folder(folder, "images")
        files = some_images(folder)
        x = read_images(files, size, channels_of(files))[0]
    except DataError as error:
        raise DataError(f"samples: {error}") from error
    if (brightest := int(x.max())) < 16:
        warnings.warn(
            f"{folder}: no pixel is brighter than {brightest} of 255, were values written that had not been brought to"
            " 0 to 255?",
            stacklevel=2,
        )
    return files, x


def _checked_samples(files: list[Path], x: Tensor, real: DataSet) -> Tensor:
    """Return ``x`` with the channels of the data, or raise ValueError with what differs from them."""
    wanted, like = real.shape, f"as those of {real.name!r}"
    if x.shape[2:] != wanted[1:]:
        got, expected = (f"{width}x{height}" for height, width in (x.shape[2:], wanted[1:]))
        raise ValueError(
            f"samples: {files[0]} is {got}, expected images of {expected} {like}; --size brings both to one size"
        )
    if x.shape[1] == 1 and wanted[0] == 3:
        raise ValueError(f"samples: {files[0]} and all others are grey, expected images in colour {like}")
    if x.shape[1] == 3 and wanted[0] == 1:  # many programs write grey as three equal channels
        if len(coloured := (x != x[:, :1]).flatten(1).any(1).nonzero()):
            raise ValueError(f"samples: {files[int(coloured[0])]} is in colour, expected grey images {like}")
        x = x[:, :1]
    return x


def export_web(options: argparse.Namespace) -> None:
    """Write a generator for web pages: a script with weights of 8 bits."""
    folder, classes = Path(options.model), options.classes
    if options.model in trained.TRAINED:
        model = trained.load(options.model)
    elif (folder / CHECKPOINT).exists():
        model, state = checkpoint.load_model(folder / CHECKPOINT, "cpu")
        classes = classes or (state["run"].get("classes") if "num_classes" in model.settings else None)
    else:
        known = ", ".join(trained.TRAINED)
        raise ValueError(f"model must be the folder of a run, or one of {known}; got {options.model!r}")
    if classes is None and getattr(model, "reads_captions", False) and model.num_classes == len(glyphs.VOCABULARY):
        classes = glyphs.VOCABULARY
    path = options.out if options.out.suffix == ".js" else options.out / f"{folder.resolve().name}.js"
    text = export.to_script(model, path.stem, direction=options.direction, classes=classes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    small = len(gzip.compress(text.encode(), 9))
    print(f"{path}: {len(text):,} bytes, {small:,} compressed")


def show_data(options: argparse.Namespace) -> None:
    """Fetch, verify and describe a data set."""
    for split in data.SPLITS:
        try:
            shown, columns = _described(options.name, options.size, split)
        except NoSplitError as missing:
            print(f"no {split} images: {missing}")
            continue
        if options.out:
            _write_grid(shown, options.out, columns)
        options.out = None  # one split is enough


def _described(name: str, size: int | None, split: str) -> tuple[Tensor, int | None]:
    """Print what a split holds; return images to show and how many stand in a row."""
    if translation.is_task(name):
        paired = translation.has_pairs(name)
        both = data.load_domains(name, size=size, split=split, paired=paired)
        number = f"{len(both):,} pairs" if paired else f"{len(both.a):,} and {len(both.b):,} unpaired images"
        print(f"{name} {split}: {number} of shape {both.a.shape}")
        return both.images(32).flatten(0, 1), 8  # an image of a, one of b: its partner if there are any
    images = data.load(name, size=size, split=split)
    known = images.labels is not None
    classes = f"; classes: {_numbered(images.classes, images.labels.bincount().tolist())}" if known else ""
    print(f"{images.name} {split}: {len(images):,} images of shape {images.shape}{classes}")
    return images.draw(64), None


def load_data(
    model: type[nn.Module] | nn.Module,
    name: str,
    split: str,
    size: Size,
    channels: int | None,
    device: torch.device,
    paired: bool = False,
    limit: int | None = None,
) -> DataSet | Domains:
    """Load a data set in the form that a family is trained on: two domains for a translator between two, captions for
    text, and for a translator between many domains labels that name them."""
    given, family = {"size": size, "split": split, "device": device, "limit": limit}, model.family
    if hasattr(model, "paired"):
        if channels not in (None, 3):
            raise ValueError(f"--channels must be 3 for family {family!r}, which translates colours; got {channels}")
        return data.load_domains(name, paired=paired or model.paired, **given)
    if translation.is_task(name) and not Path(name).is_dir():
        raise ValueError(f"--data {name!r} is for translators; family {family!r} needs a data set")
    images = data.load(name, channels=channels, **given)
    if hasattr(model, "translate") and isinstance(images, glyphs.Glyphs):
        return images.labelled(*stargan.GLYPH_FACTORS)
    if not getattr(model, "reads_captions", False):
        return images
    if not isinstance(images, glyphs.Glyphs):
        raise ValueError(f"--data must be glyphs for family {family!r}, which reads captions; got {name!r}")
    return images.captioned()


def _data_of_run(model: nn.Module, state: dict[str, Any], options: argparse.Namespace) -> tuple[str, str]:
    """Return ``--data``, or what the run was trained on (captions are on glyphs), and the way to translate it."""
    trained_on = state["run"]["data"]
    name = options.data or ("glyphs" if trained_on.startswith("glyphs ") else trained_on)
    way = translation.direction(name, trained_on) if hasattr(model, "paired") else "ab"
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
    parser = argparse.ArgumentParser("gan-course", description="Train, sample and evaluate models of the GAN course.")
    parser.add_argument("--version", action="version", version=f"gan-course {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    add = {}
    for function in (show_list, train, sample, evaluate, export_web, show_data):
        name = function.__name__.removeprefix("show_").replace("_", "-")
        one = commands.add_parser(name, help=_first_line(function))
        one.set_defaults(command=function)
        add[name] = one.add_argument

    option = add["train"]
    option("family", help=f"family of models: {', '.join(models.FAMILIES)}")
    option("--data", required=True, metavar="NAME", help=DATA_HELP)
    option("--out", required=True, type=Path, metavar="DIR", help="folder of the run")
    option("--start-from", type=Path, metavar="DIR", help="another run, to begin with its weights and optimizers")
    option("--steps", type=int, help="steps in all; a larger number extends a finished run")
    option("--size", type=int, help="image size in pixels (default: what suits family and data)")
    option("--channels", type=int, help="1 for grey, 3 for colour (default: as the data are)")
    option("--batch", type=int, help="images per update (default: what suits family and data)")
    option("--lr", type=float, help="learning rate of all networks (default: what suits family and data)")
    option(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="any other setting of the family; may be given several times",
    )  # fmt: skip
    option("--seed", type=int, default=0, help="seed of weights, data order and latents (default: 0)")
    option("--warmup", type=int, metavar="STEPS", help="steps over which learning rates rise (default: 0)")
    option("--decay-from", type=int, metavar="STEP", help="step from which they fall (default: never)")
    option("--decay", choices=DECAYS, help="how they fall (default: linear)")
    option("--precision", choices=PRECISIONS, help="auto, the default: bf16 for convolutions where hardware has it")
    option(
        "--channels-last", action=argparse.BooleanOptionalAction,
        help="another order in memory, in which convolutions may be faster (default: auto)",
    )  # fmt: skip
    option("--graph", action="store_true", help="replay each step as a CUDA graph")
    option("--snapshot-every", type=int, metavar="STEPS", help="steps between sample grids (default: a twentieth)")
    option("--checkpoint-seconds", type=float, metavar="S", help="least time between checkpoints (default: 30)")

    option = add["sample"]
    option("run", type=Path, metavar="DIR", help="folder of the run")
    option("--n", type=int, default=64, help="samples (default: 64)")
    option("--data", metavar="NAME", help="images to translate (default: those of the run)")
    option("--labels", type=int, nargs="+", metavar="K", help="classes to draw, in turn (default: all)")
    option("--caption", metavar="TEXT", help="caption to draw, as 'a red A on a yellow background'")
    option("--out", type=Path, default=Path("grid.png"), metavar="FILE", help="image to write (default: grid.png)")

    option = add["evaluate"]
    option("run", type=Path, nargs="?", metavar="DIR", help="folder of the run")
    option("--samples", type=Path, metavar="DIR", help="folder of images from any program, instead of a run")
    option("--n", type=int, help="samples, at most as many as training images (default: 2000, or all of --samples)")
    option("--data", metavar="NAME", help="data set (default: that of the run)")
    option("--size", type=int, help="side that --samples and data are brought to (default: that of the data)")
    option("--features", choices=EXTRACTORS, help="space to measure in (default: a judge if there is one, else pixels)")
    option("--out", type=Path, metavar="FILE", help="JSON to write (default: metrics.json in the folder of the run)")

    for name, drawn in {"sample": "the latents", "evaluate": "the latents, or of the choice among --samples"}.items():
        add[name]("--seed", type=int, default=0, help=f"seed of {drawn} (default: 0)")
    for name in ("train", "sample", "evaluate"):
        add[name]("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")

    option = add["export-web"]
    option("model", metavar="NAME", help=f"folder of the run, or a trained generator: {', '.join(trained.TRAINED)}")
    option("out", type=Path, metavar="OUT", help="script to write, NAME.js in pages that load it; or its folder")
    option("--direction", default="ab", metavar="WAY", help="generator of a CycleGAN: ab or ba (default: ab)")
    option("--classes", nargs="+", metavar="NAME", help="names of the classes (default: those of the run, or none)")

    option = add["data"]
    option("name", help=DATA_HELP)
    option("--size", type=int, help="image size in pixels (default: as the data are)")
    option("--out", type=Path, metavar="FILE", help="write a grid of 64 images here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
