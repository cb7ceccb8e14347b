"""The command line: ``gan-course list | train | sample | evaluate | data``."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import __version__, data, metrics, models, parallel
from gan_course.data import DataSet, Domains, catalogue, glyphs, translation
from gan_course.errors import CheckpointError, DataError, unknown
from gan_course.metrics import inception
from gan_course.notebook import profiles
from gan_course.train import checkpoint, fit
from gan_course.train.runs import CHECKPOINT
from gan_course.train.schedule import DECAYS
from gan_course.train.speed import PRECISIONS

DATA_HELP = (
    "digits, glyphs, mnist, fashion-mnist, cifar10, stl10, or a folder of images; for translators TASK-NAME, as in"
    " neon-digits, or facades, horse2zebra, or a folder of pairs or domains, and from-NAME for the way back"
)
EXTRACTORS = ("judge", "pixels", "inception")


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
    if fitting["steps"] < 1:
        raise ValueError(f"--steps must be at least 1, got {fitting['steps']}")
    usual_size = recipe.pop("size", None)
    size = usual_size if options.size is None else options.size
    train_set = load_data(models.family(options.family), options.data, "train", size, options.channels, device)
    torch.manual_seed(options.seed)
    usual = inspect.signature(models.family(options.family)).parameters
    known = [name for name in usual if name != "shape"]  # which the data have
    if options.lr is not None:
        recipe |= {name: options.lr for name in known if name in ("lr", "lr_g", "lr_d")}
    for name, value in options.set:
        if name not in known:
            raise unknown(f"setting of family {options.family!r}", name, known)
        if isinstance(usual[name].default, bool) and not isinstance(value, bool):
            raise ValueError(f"--set {name} must be true or false, got {value!r}")
        recipe[name] = value
    try:
        model = models.build(options.family, train_set, **recipe).to(device)
    except TypeError as error:
        if not options.set:
            raise
        raise ValueError(f"--set gives a value of the wrong type ({error})") from error
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
        source = _run_data(model, state, options, "test", device).a.images(options.n)
        beside = torch.stack([source, model.translate(source)], 1).flatten(0, 1)
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


def evaluate(options: argparse.Namespace) -> None:
    """Measure samples of a run beside real images, print and keep the numbers."""
    device = profiles.device(options.device)
    model, state = checkpoint.load_model(options.run / CHECKPOINT, device)
    train_set, test_set = (_run_data(model, state, options, split, device) for split in ("train", "test"))
    name = _data_name(model, state, options)
    if name == "cifar10":  # which may have given the version in JPEG
        name = train_set.name
    if train_set.shape != tuple(model.shape):
        raise ValueError(
            f"--data {name} has images of shape {train_set.shape}, the run in {options.run} makes {tuple(model.shape)}"
        )
    extractor, probabilities, called = _extractor(options.features, name, model.shape, device)
    translates = isinstance(test_set, Domains)
    numbers = [len(one) for one in ((train_set.b, test_set.a, test_set.b) if translates else (train_set, test_set))]
    count = min(options.n, *(numbers if translates else numbers[:1]))
    if min(options.n, *numbers) < 6:
        raise ValueError(
            f"--n must be at least 6, and so must the numbers of images in both splits,"
            f" {' and '.join(map(str, numbers))}; got {options.n}"
        )
    if translates:
        real, reference = train_set.b.draw(count), test_set.b.images(count)
        samples, extra = model.translate(test_set.a.images(count)), {}
        if test_set.paired:  # then b is the truth of a
            extra["error_to_truth"] = ((samples - reference).square().mean() / reference.var(0).mean()).item()
    else:
        real, reference = train_set.draw(count), test_set.draw(count)
        samples, extra = _judged_samples(model, name, test_set, reference, probabilities, count, options.seed)
    rows = {
        "generated": {**metrics.evaluate(samples, reference, extractor, probabilities), **extra},
        "real": metrics.evaluate(real, reference, extractor, probabilities),
    }
    if name.startswith("stacked-"):
        judge = metrics.judge(name.removeprefix("stacked-"), model.shape[-1], device)
        rows["generated"] |= metrics.summarize_stacked(samples, judge)
        rows["real"] |= metrics.summarize_stacked(real, judge)
    result = {
        "data": name, "step": state["step"], "samples": len(samples), "reference": len(reference),
        "features": called, "seed": options.seed, **rows,
    }  # fmt: skip
    path = options.run / "metrics.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(
        f"{name}, step {state['step']:,}: {len(samples):,} generated and as many real training images, each against"
        f" {len(reference):,} test images"
    )
    print(f"features: {called}\n{'':16}  {'generated':>12}  {'real':>12}")
    for metric, value in rows["generated"].items():
        beside = f"{rows['real'][metric]:12.4g}" if metric in rows["real"] else ""
        print(f"{metric:16}  {value:12.4g}  {beside}".rstrip())
    print(f"written to {path}")


def _judged_samples(
    model: nn.Module,
    name: str,
    test_set: DataSet,
    reference: Tensor,
    probabilities: Callable[[Tensor], Tensor] | None,
    n: int,
    seed: int,
) -> tuple[Tensor, dict[str, float]]:
    """Draw samples; return them with what only their family can be asked: is the condition obeyed, how many bits?"""
    generator, device = torch.Generator().manual_seed(seed), reference.device
    if getattr(model, "reads_captions", False):
        drawn = data.load(name, size=model.shape[-1], split="test", device=device)  # what the captions are about
        rows = torch.arange(n, device=device) % len(drawn)
        samples = model.sample(n, labels=test_set.labels[rows], generator=generator)
        found = glyphs.measured_colors(samples)
        obeyed = {f"{factor}_obeyed": found[factor] == drawn.factors[factor][rows] for factor in found}
        return samples, {factor: right.float().mean().item() for factor, right in obeyed.items()}
    samples = model.sample(n, generator=generator)
    if hasattr(model, "bits_per_pixel"):
        return samples, {"bits_per_pixel": model.bits_per_pixel(reference).mean().item()}
    if probabilities and model.settings.get("num_classes") == len(test_set.classes or []):
        wanted = models.common.cycled_labels(n, len(test_set.classes), device)
        return samples, {"class_accuracy": (probabilities(samples).argmax(1) == wanted).float().mean().item()}
    return samples, {}


def show_data(options: argparse.Namespace) -> None:
    """Fetch a data set or two domains if need be, verify and describe them."""
    for split in data.SPLITS:
        if translation.is_task(options.name):
            paired = translation.has_pairs(options.name)
            both = data.load_domains(options.name, size=options.size, split=split, paired=paired)
            size = f"{len(both):,} pairs" if paired else f"{len(both.a):,} and {len(both.b):,} unpaired images"
            print(f"{options.name} {split}: {size} of shape {both.a.shape}")
            shown, columns = both.images(32).flatten(0, 1), 8  # an image of a, one of b: its partner if there are any
        else:
            images = data.load(options.name, size=options.size, split=split)
            line = f"{images.name} {split}: {len(images):,} images of shape {images.shape}"
            if images.labels is not None:
                line += f", images per class {images.labels.bincount().tolist()}"
            print(line)
            shown, columns = images.draw(64), None
        if options.out and split == "train":
            _write_grid(shown, options.out, columns)


def load_data(
    model: type[nn.Module] | nn.Module,
    name: str,
    split: str,
    size: int | None,
    channels: int | None,
    device: torch.device,
    paired: bool = False,
) -> DataSet | Domains:
    """Load a data set in the form that a family is trained on: domains for a translator, captions for text."""
    if hasattr(model, "translate"):
        if channels not in (None, 3):
            raise ValueError(
                f"--channels must be 3 for family {model.family!r}, which translates colours; got {channels}"
            )
        return data.load_domains(name, size=size, split=split, paired=paired or model.paired, device=device)
    if translation.is_task(name) and not Path(name).is_dir():
        raise ValueError(f"--data {name!r} is for translators; family {model.family!r} needs a data set")
    images = data.load(name, size=size, split=split, channels=channels, device=device)
    if getattr(model, "reads_captions", False):
        if not isinstance(images, glyphs.Glyphs):
            raise ValueError(f"--data must be glyphs for family {model.family!r}, which reads captions; got {name!r}")
        return images.captioned()
    return images


def _run_data(
    model: nn.Module, state: dict[str, Any], options: argparse.Namespace, split: str, device: torch.device
) -> DataSet | Domains:
    """Load the data of a run (or ``--data``) at the size and in the colours of its model."""
    name = _data_name(model, state, options)
    channels = None if options.data else model.shape[-3]
    paired = translation.has_pairs(name)  # where a translation can be compared with the truth
    return load_data(model, name, split, model.shape[-1], channels, device, paired=paired)


def _data_name(model: nn.Module, state: dict[str, Any], options: argparse.Namespace) -> str:
    """Return ``--data``, or what the run was trained on; captions are on glyphs."""
    return options.data or ("glyphs" if getattr(model, "reads_captions", False) else state["run"]["data"])


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


def _extractor(
    wanted: str | None, name: str, shape: tuple[int, ...], device: torch.device
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor] | None, str]:
    """Return functions to features and (or None) class probabilities, and what to call them."""
    size, known = shape[-1], metrics.JUDGES.get((name, shape[-1]))
    if wanted is None:
        wanted = "judge" if len(shape) == 3 and known is not None and known.channels == shape[0] else "pixels"
    if wanted == "inception":
        network = inception.load(device)
        return network.features, network.probabilities, "inception"
    if wanted == "judge":
        judge = metrics.judge(name, size, device)
        return judge.features, judge.probabilities, f"judge of {name} at {size}x{size}"
    pool = max(size // 16, 1)  # at most 16x16 values per channel
    return partial(metrics.pixels, pool=pool), None, f"pixels, averaged over {pool}x{pool}" if pool > 1 else "pixels"


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
