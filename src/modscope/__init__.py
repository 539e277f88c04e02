"""modscope: an oscilloscope for transformers that do modular arithmetic."""

from __future__ import annotations

import sys
from importlib import import_module

from modscope._version import __version__

# Where each public name lives; it is imported when first asked for, so `import modscope` stays light.
_HOMES = {
    "Checkpoint": "modscope.checkpoints",
    "open_checkpoint": "modscope.checkpoints",
    "save_safetensors": "modscope.checkpoints",
    "shipped_network": "modscope.shipped",
    "shipped_run": "modscope.shipped",
    "Run": "modscope.runs",
    "ModularTask": "modscope.task",
    "Operation": "modscope.operations",
    "Split": "modscope.task",
    "PairMLP": "modscope.model",
    "PairMLPConfig": "modscope.model",
    "Transformer": "modscope.model",
    "TransformerConfig": "modscope.model",
    "Net": "modscope.workbench",
    "open": "modscope.workbench",
    "Activations": "modscope.activations",
    "record": "modscope.activations",
    "record_function": "modscope.activations",
    "record_module": "modscope.activations",
    "with_replaced": "modscope.activations",
    "in_order": "modscope.orders",
    "grid": "modscope.viewer",
    "heatmap": "modscope.viewer",
    "show": "modscope.viewer",
    "ModscopeError": "modscope.errors",
}

# Rooms of the house that `import modscope` opens when they are asked for.
_ROOMS = (
    "activations", "analysis", "checkpoints", "findings", "operations", "orders", "planted", "progress", "report", "reproduce",
    "runs", "signal", "sweep", "training", "viewer",
)  # fmt: skip

__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> object:
    give_arrays_their_methods()
    if name in _ROOMS:
        found: object = import_module(f"modscope.{name}")
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'modscope' has no attribute {name!r}")
    give_arrays_their_methods()
    return found


def give_arrays_their_methods() -> None:
    """`x.ms` on every DataArray (`modscope.accessor`), as soon as there are DataArrays."""
    xarray = sys.modules.get("xarray")
    if xarray is not None and not hasattr(xarray.DataArray, "ms"):
        xarray.register_dataarray_accessor("ms")(
            lambda array: import_module("modscope.accessor").SignalAccessor(array)
        )


give_arrays_their_methods()


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
