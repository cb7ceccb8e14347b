"""The errors that a user can do something about; the command line shows them as one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DataError(RuntimeError):
    """A data set is missing, incomplete or damaged."""


class NoSplitError(DataError):
    """A folder has no images to train on, or none to measure by."""


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged, or belongs to another run."""


def unknown(kind: str, name: object, known: Iterable[object]) -> ValueError:
    """Return the error for a ``name`` that is none of the ``known`` ones of its ``kind`` (such as "loss")."""
    names = [str(k) for k in known]
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ValueError(f"unknown {kind} {str(name)!r}; known: {', '.join(names)}.{hint}")
