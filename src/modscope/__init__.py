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

__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> object:
    give_arrays_their_methods()
    if name not in _HOMES:
        raise AttributeError(f"module 'modscope' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
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
    return sorted(__all__)
