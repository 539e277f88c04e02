"""One network with several operators: a checkpoint for each, of which one is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from modscope.checkpoints.checkpoint import Checkpoint
from modscope.checkpoints.settings import Settings
from modscope.operations import Operation

__all__ = ["one_of"]


def one_of(views: Mapping[str, Checkpoint], settings: Settings) -> Checkpoint:
    """The view whose answers are those of the operation that is wanted, the first if none is; with all views."""
    chosen = next(iter(views))
    if settings.operation is not None:
        wanted = Operation(settings.operation, settings.table or "")
        chosen = next((name for name, view in views.items() if view.task.what == wanted), chosen)
    seen = {
        name: replace(view, notes=(_note_on_views(views, name), *view.notes)) for name, view in views.items()
    }
    return replace(seen[chosen], views=seen)


def _note_on_views(views: Mapping[str, Checkpoint], here: str) -> str:
    others = ", ".join(f"{name} ({view.task.operation})" for name, view in views.items() if name != here)
    return f"one network with {len(views)} operators, here with {here}; the other views: {others}"
