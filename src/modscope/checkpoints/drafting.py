"""A mapping for somebody's file, drafted with all that it tells, for a person to finish."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modscope.checkpoints.folders import Found, weights_in
from modscope.checkpoints.known import settings_of
from modscope.checkpoints.own import METADATA_KEY
from modscope.checkpoints.reading import read_file
from modscope.checkpoints.resolving import layout_of, resolved
from modscope.checkpoints.states import states_in
from modscope.checkpoints.suggesting import draft, looks_like
from modscope.errors import CheckpointError, InputError

__all__ = ["drafted_mapping"]


def drafted_mapping(
    path: str | os.PathLike[str],
    *,
    p: int | None = None,
    config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    epoch: int | None = None,
) -> tuple[str, str]:
    """The draft of a mapping for a file of weights as TOML, and what kind of network it looks like.

    What is stated in the file, in a config beside it or by the arguments is filled in, and so is what was found by trying;
    what nobody tells is a comment with a question mark. Raises InputError for modscope's own files, which need none.
    """
    given = Path(path)
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    found = weights_in(given, epoch) if given.is_dir() else Found(given, epoch)
    contents = read_file(found.path)
    if METADATA_KEY in contents.metadata:
        raise InputError(f"{found.path}: written by modscope: it needs no mapping")
    settings, _ = settings_of(contents, p, config, None, [])
    tensors = states_in(contents, last_epoch=settings.epochs).at(found.epoch).tensors
    layout = layout_of(tensors, settings)
    if layout is not None and layout.family == "general":
        with contextlib.suppress(CheckpointError, InputError):
            settings = resolved(tensors, settings, [])
    return draft(tensors, settings) + "\n", looks_like(tensors)
