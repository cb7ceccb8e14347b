"""Checkpoints: one file that holds all a run needs to go on as if it had never stopped."""

from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan_course import models
from gan_course.errors import CheckpointError

FORMAT = 1


def capture(model: nn.Module) -> dict[str, Any]:
    """Return the state of ``model`` with its optimizers (by attribute name) and the torch random state.

    A module's ``state_dict`` leaves its optimizers out, and with them Adam's moments: a run resumed without them
    goes another way.
    """
    return {
        **identity(model),
        "model": model.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers(model)},
        "rng": random_state(next(model.parameters()).device),
    }


def identity(model: nn.Module) -> dict[str, Any]:
    """Return the ``family`` and the ``settings`` of a model: a model from elsewhere has its class's name and none."""
    return {"family": getattr(model, "family", type(model).__name__), "settings": getattr(model, "settings", {})}


def restore(model: nn.Module, state: dict[str, Any]) -> None:
    """Put what :func:`capture` returned back into ``model``, its optimizers and the random state.

    Raises:
        CheckpointError: the model's family, settings or weights are others than those of the state.
    """
    family, settings = identity(model).values()
    if state["family"] != family:
        raise CheckpointError(f"the checkpoint is of family {state['family']!r}, the model of {family!r}")
    if differing := differences(state["settings"], settings):
        raise CheckpointError(f"the checkpoint was made with other settings: {differing}")
    with _fitting(f"the model of family {family!r}"):
        model.load_state_dict(state["model"])
        for name, optimizer in optimizers(model):
            optimizer.load_state_dict(state["optimizers"][name])
            for group in optimizer.param_groups:  # a recorded step (gan_course.train.graph) has them otherwise
                group["lr"], group["capturable"] = float(group["lr"]), False
        set_random_state(next(model.parameters()).device, state["rng"])


@contextmanager
def _fitting(what: str) -> Iterator[None]:
    """Say in one line that a checkpoint's content does not fit, which shows in as many ways as it can be changed."""
    try:
        yield
    except Exception as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise CheckpointError(f"the checkpoint does not fit {what} ({reason})") from error


def random_state(device: torch.device) -> dict[str, Tensor | None]:
    """Return the state of torch's generators on the CPU and on ``device`` (None there if it is the CPU)."""
    on_device = None
    if device.type != "cpu":
        on_device = torch.get_device_module(device).get_rng_state(*_which(device))
    return {"cpu": torch.get_rng_state(), "device": on_device}


def set_random_state(device: torch.device, state: dict[str, Tensor | None]) -> None:
    """Put what :func:`random_state` returned back; what was saved on the CPU leaves ``device`` as it is."""
    torch.set_rng_state(state["cpu"].cpu())
    if state["device"] is not None and device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state["device"].cpu(), *_which(device))


def _which(device: torch.device) -> tuple[torch.device, ...]:
    return () if device.type == "mps" else (device,)  # there is only one of Apple's, and torch.mps takes no argument


def save(path: Path | str, state: dict[str, Any]) -> None:
    """Write ``state`` so that a crash at any moment leaves either the old file or the new one, whole.

    Raises:
        CheckpointError: if a tensor is not finite, or something is there that :func:`load` would refuse, or the file
            cannot be written (the disk is full); the old file stays.
    """
    state = _plain(state)
    if broken := not_finite(state):
        raise CheckpointError(f"{broken[0]} holds values that are not finite: not saved, {path} stays as it was")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    try:
        with open(beside, "wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _keep_name(path.parent)
    except (OSError, RuntimeError) as error:  # torch's writer makes a RuntimeError of what the file reports
        beside.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise CheckpointError(f"{path} cannot be written ({reason}); what was saved before stays") from error


def _keep_name(folder: Path) -> None:
    """Have the folder itself written, so that a renamed file keeps its new name if the power fails."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        opened = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # some file systems cannot; the file itself is whole and has its name
            os.fsync(opened)
        os.close(opened)


def load(path: Path | str, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint without executing anything in it (``weights_only``).

    Raises:
        CheckpointError: if the file is missing, damaged, or not a checkpoint of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; train first, or name the folder given to --out")
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load reads changed numbers without a word
            if member := archive.testzip():
                raise zipfile.BadZipFile(f"wrong checksum of {member}")
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # damage shows in many ways: from the archive, the pickle in it, or the tensors
        reason = f"{type(error).__name__} {error}".splitlines()[0][:120]
        what = f"{path} is damaged or not a checkpoint ({reason})"
        raise CheckpointError(f"{what}; move it away to start again, it is not overwritten") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this version of gan_course (format {FORMAT})")
    return state


def load_model(path: Path | str, device: torch.device | str = "cpu") -> tuple[nn.Module, dict[str, Any]]:
    """Build the model that a checkpoint describes; return it in evaluation mode, with the whole state."""
    state = load(path, device)
    with _fitting("what it says of itself"):
        model = models.family(state["family"])(**state["settings"]).to(device)
        model.load_state_dict(state["model"])
    return model.eval(), state


def differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return ``"lr was 0.1, now 0.2"`` for every key with another value, or an empty string."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return "; ".join(f"{key} was {old.get(key)}, now {new.get(key)}" for key in keys)


def optimizers(model: nn.Module) -> list[tuple[str, torch.optim.Optimizer]]:
    """Return the optimizers of ``model`` with the names of the attributes that hold them."""
    return [(name, value) for name, value in vars(model).items() if isinstance(value, torch.optim.Optimizer)]


def not_finite(state: dict[str, Any]) -> list[str]:
    """Return the names of the tensors in ``state`` that hold NaN or infinity."""
    floating = ((name, tensor) for name, tensor in tensors(state) if tensor.is_floating_point())
    return [name for name, tensor in floating if not torch.isfinite(tensor).all()]


def _plain(value: Any, name: str = "state") -> Any:
    """Return ``value`` with NumPy's numbers as Python's; all else that ``weights_only`` could not read is refused."""
    if value is None or type(value) in (bool, int, float, str) or isinstance(value, Tensor | OrderedDict):
        return value  # an OrderedDict is a module's state, which is tensors
    if isinstance(value, dict):
        return {key: _plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_plain(item, f"{name}[{i}]") for i, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, np.generic):
        return value.item()
    kind = type(value).__name__
    raise CheckpointError(f"{name} is of type {kind}, not saved: a checkpoint holds numbers, text and tensors only")


def tensors(value: Any, name: str = "state") -> Iterator[tuple[str, Tensor]]:
    """Yield all tensors within dicts, lists and tuples, with names such as ``state.model.generator.weight``."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from tensors(item, f"{name}[{i}]")
