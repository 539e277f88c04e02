"""Arrays of a file in the browser: activations over pairs, or tensors of any shape, picked and played like a run's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.errors import MissingWeight
from modscope.model import Network
from modscope.runs import Run
from modscope.task import ModularTask
from modscope.viewer.catalogue import ACTIVATIONS, Catalogue, Layout, Offer, Pick
from modscope.viewer.html import bundle
from modscope.viewer.serve import RunPage
from modscope.viewer.slices import Slices, Wanted, gathered

__all__ = ["ArrayCatalogue", "ArrayPage", "page_of_arrays", "page_of_record"]


class ArrayPage(RunPage):
    """What the server says of some arrays."""

    arrays: Mapping[str, xr.DataArray]

    @cached_property
    def catalogue(self) -> Catalogue:
        """What there is to pick."""
        return ArrayCatalogue(self.run, self.arrays)

    @cached_property
    def slices(self) -> Slices:
        """Where the values come from."""
        return _ArraySlices(self.catalogue, self.arrays)

    @cached_property
    def mark(self) -> str:
        """A text that differs between files, and between states of one."""
        at = self.run.path.stat() if self.run.path.exists() else None
        state = (str(self.run.path), at and at.st_mtime_ns, at and at.st_size, bundle())
        return hashlib.sha256(repr(state).encode()).hexdigest()[:16]

    def _setup(self, pick: Pick) -> str:
        """Code that makes the array of a pick."""
        path = str(self.run.path.resolve())
        name = pick.name if pick.name.isidentifier() else "x"
        if self.run.path.suffix == ".npy":
            loaded = f"{name} = np.load({path!r})"
        elif self.run.path.suffix == ".npz":
            loaded = f"{name} = np.load({path!r})[{pick.name!r}]"
        else:
            loaded = f"from safetensors.numpy import load_file\n\n{name} = load_file({path!r})[{pick.name!r}]"
        return f"import modscope as ms\nimport numpy as np\n\n{loaded}"


def page_of_record(acts: Activations, path: Path, notes: Sequence[str] = ()) -> ArrayPage:
    """The page of a record of activations over pairs, in the orders (a, b), (c, a), (c, b)."""
    return _page({hook: acts.at(hook) for hook in acts.joint_hooks}, acts.task, path, notes)


def page_of_arrays(arrays: Mapping[str, np.ndarray], path: Path, notes: Sequence[str] = ()) -> ArrayPage:
    """The page of arrays of any shapes; their axes are numbered."""
    named = {
        name: xr.DataArray(x, dims=[f"axis{i}" for i in range(x.ndim)], name=name)
        for name, x in arrays.items()
    }
    longest = max(max(x.shape) for x in arrays.values())
    return _page(named, ModularTask(max(3, longest)), path, notes)


def _page(
    arrays: Mapping[str, xr.DataArray], task: ModularTask, path: Path, notes: Sequence[str]
) -> ArrayPage:
    def without(_: int) -> Network:
        raise MissingWeight("not applicable: the file holds activations alone, without a network")

    losses = xr.Dataset(coords={"epoch": np.arange(0)})
    page = ArrayPage(Run(path, task, (0,), losses, _network_at=without), path.name, tuple(notes))
    object.__setattr__(page, "arrays", arrays)
    return page


class ArrayCatalogue(Catalogue):
    """What there is to pick of some arrays."""

    def __init__(self, run: Run, arrays: Mapping[str, xr.DataArray]) -> None:
        self.run, self.task, self.arrays = run, run.task, arrays

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        return tuple(Offer(ACTIVATIONS, name, (), self._orders(name)) for name in self.arrays)

    def _usual(self) -> tuple[str, ...]:
        return ("resid_post", "mlp_post")

    def is_joint(self, hook: str) -> bool:
        return self.arrays[hook].dims[:2] == ("a", "b")

    def layout(self, pick: Pick) -> Layout:
        x = self.arrays[pick.name]
        sizes: dict[str, int] = {str(dim): x.sizes[dim] for dim in x.dims if dim not in ("a", "b")}
        coords: dict[str, list[Any]] = {dim: x[dim].values.tolist() for dim in sizes if dim in x.coords}
        if pick.order is not None:
            table = self.pairs[pick.order]
            sizes |= {str(dim): size for dim, size in table.sizes.items()}
            coords |= {str(dim): table[dim].values.tolist() for dim in table.dims if dim in table.coords}
        return Layout(tuple(sizes), tuple(sizes.values()), coords)


class _ArraySlices(Slices):
    def __init__(self, catalogue: Catalogue, arrays: Mapping[str, xr.DataArray]) -> None:
        super().__init__(catalogue)
        self.arrays = arrays

    def _fill(self, into: np.ndarray, pick: Pick, wanted: Wanted) -> None:
        values = self.arrays[pick.name].values
        if pick.order is None:
            into[...] = values[wanted]
            return
        *features, first, second = wanted
        pairs = np.asarray(self.catalogue.pairs[pick.order].values[first, second])
        p = self.catalogue.task.p
        rows = values[(slice(None), slice(None), *features)]
        gathered(into, rows.reshape(p * p, *rows.shape[2:]), pairs)
