"""What is known beside the weights: arguments first, then the mapping, the file, the config beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modscope.checkpoints.folders import config_beside
from modscope.checkpoints.mapping import Mapped, read_mapping
from modscope.checkpoints.reading import Contents, read_table
from modscope.checkpoints.settings import Settings, settings_from
from modscope.residues import modulus

__all__ = ["settings_of"]


def settings_of(
    contents: Contents,
    p: int | None,
    config: Mapping[str, Any] | str | os.PathLike[str] | None,
    mapping: str | os.PathLike[str] | None,
    notes: list[str],
) -> tuple[Settings, Mapped | None]:
    """What is known beside the weights: arguments first, then the mapping, the file, the config beside it."""
    settings = Settings(p=None if p is None else modulus(p))
    if config is not None:
        table = config if isinstance(config, Mapping) else read_table(Path(config))
        settings = settings.over(
            settings_from(table, source="config" if isinstance(config, Mapping) else config)
        )
    mapped = read_mapping(Path(mapping)) if mapping is not None else None
    if mapped is not None:
        settings = settings.over(settings_from(mapped.settings, source=mapping))
    for key in ("config", "cfg", "args", "hparams", "hyper_parameters"):
        inside = contents.data.get(key)
        if isinstance(inside, Mapping):
            settings = settings.over(settings_from(inside, source=key, passed_over=notes))
    if config is None:
        table, beside = config_beside(contents.path)
        if beside is not None:
            notes.append(f"config read from {beside.name}")
            settings = settings.over(settings_from(table, source=beside.name, passed_over=notes))
    return settings, mapped
