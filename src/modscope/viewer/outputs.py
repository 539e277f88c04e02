"""What the outputs of a notebook carry, so that an array that ten of them show is stored once.

The first output that shows an array carries its block; later ones name the block by the hash of its content, and the
page finds it. An output may rely on another only where that one will still be there: whatever a cell carried is
forgotten as soon as the cell runs again, is deleted or clears its output, and a cell that is run again although the
other was not carries its numbers itself. So running a cell again always mends a view.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modscope.viewer.page import say_if_large
from modscope.viewer.parcels import Parcels

__all__ = ["Outputs", "outputs_here"]

# Text in all outputs of a notebook beyond which a warning says how much it is.
NOTEBOOK_LIMIT = 24_000_000


@dataclass(frozen=True)
class Run:
    """One run of a cell; `number` is the one in brackets beside it."""

    cell: str
    number: int


@dataclass
class Outputs:
    """Which cell of a notebook carries which blocks."""

    parcels: Parcels = field(default_factory=Parcels)
    carriers: dict[str, tuple[Run, int]] = field(default_factory=dict)
    now: Run = Run("", 0)
    # The run before the present one, of each cell.
    before: dict[str, int] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def begin(self, run: Run, deleted: Iterable[str] = ()) -> None:
        """A cell runs: what it carried before goes with its output, as does what deleted cells carried."""
        self.forget({run.cell, *deleted})
        self.before[run.cell] = self._last.get(run.cell, 0)
        self._last[run.cell] = run.number
        self.now = run

    def forget(self, cells: Iterable[str]) -> None:
        """The outputs of these cells are gone."""
        gone = set(cells)
        self.carriers = {name: held for name, held in self.carriers.items() if held[0].cell not in gone}

    def elsewhere(self, sizes: Mapping[str, int]) -> dict[str, str]:
        """Of these blocks (with the lengths of their texts), those that another output carries, and where it is.

        The others are from now on carried by the present cell.

        >>> outputs = Outputs()
        >>> outputs.begin(Run("first cell", 1)); outputs.elsewhere({"numbers": 100})
        {}
        >>> outputs.begin(Run("second cell", 2)); outputs.elsewhere({"numbers": 100})
        {'numbers': 'the one of [1]'}
        >>> outputs.begin(Run("second cell", 3)); outputs.elsewhere({"numbers": 100})  # it alone is run again
        {}
        """
        there = {name: self.carriers[name][0] for name in sizes if self._lasts(name)}
        new = {name: (self.now, size) for name, size in sizes.items() if name not in there}
        self.carriers |= new
        if new:
            whole = sum(size for _, size in self.carriers.values())
            say_if_large(whole, "what the outputs of this notebook hold", NOTEBOOK_LIMIT)
        return {name: f"the one of [{run.number}]" for name, run in there.items()}

    def _lasts(self, name: str) -> bool:
        """Whether the output that carries a block may be relied upon by the present cell."""
        if name not in self.carriers:
            return False
        run = self.carriers[name][0]
        return run.cell == self.now.cell or run.number > self.before.get(self.now.cell, 0)


def outputs_here() -> Outputs | None:
    """The outputs of the notebook that runs this code; None where an output may not rely on another.

    That is outside of a notebook's cells (in the callback of a slider), where what is shown will be replaced
    (`display_id`), where outputs are captured, and in front ends that keep them apart or do not say which cell runs.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "get_parent") or "google.colab" in sys.modules:
        return None
    run = _run_of(shell)
    if run is None or type(shell.display_pub).__name__.startswith("Capturing") or _will_be_replaced():
        return None
    outputs = getattr(shell, "modscope_outputs", None)
    if outputs is None:
        outputs = shell.modscope_outputs = Outputs()
        outputs.begin(run)
        _follow(shell, outputs)
    return outputs


def _run_of(shell: Any) -> Run | None:
    """The run of a cell that is under way."""
    parent = shell.get_parent() or {}
    if parent.get("header", {}).get("msg_type") != "execute_request":
        return None
    number = int(shell.execution_count)
    if cell := parent.get("metadata", {}).get("cellId"):
        return Run(str(cell), number)
    # Who runs a notebook unattended runs each cell once.
    return Run(f"run {number}", number) if parent.get("content", {}).get("allow_stdin") is False else None


def _follow(shell: Any, outputs: Outputs) -> None:
    """Keeps the outputs in step with the cells that run and those that clear their output."""

    def begins(_: object = None) -> None:
        deleted = (shell.get_parent() or {}).get("metadata", {}).get("deletedCells", ())
        if run := _run_of(shell):
            outputs.begin(run, map(str, deleted))

    def published(message: dict[str, Any]) -> dict[str, Any]:
        if message.get("header", {}).get("msg_type") == "clear_output":
            outputs.forget({outputs.now.cell})
        return message

    shell.events.register("pre_run_cell", begins)
    if hasattr(shell.display_pub, "register_hook"):
        shell.display_pub.register_hook(published)


def _will_be_replaced() -> bool:
    """Whether IPython's `display` shows this under a name, by which other code may put something in its place."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "display" and frame.f_globals.get("__name__", "").startswith("IPython."):
            return bool(frame.f_locals.get("display_id") or frame.f_locals.get("update"))
        frame = frame.f_back  # type: ignore[assignment]
    return False
