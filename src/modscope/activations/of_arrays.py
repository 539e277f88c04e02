"""The record of activations alone: arrays over the pairs, from wherever, with no network behind them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr
from torch import Tensor

from modscope.activations.axes import feature_axes, labelled
from modscope.activations.face import Activations
from modscope.errors import InputError, MissingHook, MissingWeight, UnknownName, shown
from modscope.operations import Operation
from modscope.residues import residues_in
from modscope.task import ModularTask

__all__ = ["READ", "ArrayRecord", "RecordWithoutNetwork", "feature_names", "task_of"]

READ = "read"  # the one position of such a record
_NUMBERS_AT_ONCE = 1 << 23


class RecordWithoutNetwork(Activations):
    """What records of arrays, functions and foreign modules share: pictures (a, b, feature) and nothing to run again.

    Hooks have the names that they were given; the ones that modscope knows (mlp_post, resid_post, logits, ...) are what
    its measures look for.
    """

    positions = "read"

    def __init__(self, task: ModularTask) -> None:
        self.task = task
        self.derived = {}

    @abstractmethod
    def _picture(self, hook: str) -> xr.DataArray:
        """The array of a hook, (a, b, feature...), or (token, feature...)."""

    @property
    @abstractmethod
    def _alternatives(self) -> Mapping[str, str]:
        """Other names of hooks -> the names in `hooks`."""

    @property
    def input_positions(self) -> tuple[str, ...]:
        return ("a", "b")

    @property
    def read_position(self) -> str:
        return READ

    def hook_name(self, name: str) -> str:
        if name in self.hooks:
            return name
        if name in self._alternatives:
            return self._alternatives[name]
        if name in _known_hooks():
            raise MissingHook(f"not applicable: the record has no {name}: it holds {_listed(self.hooks)}")
        raise UnknownName.of("hook", name, self.hooks)

    def __getitem__(self, name: str) -> xr.DataArray:
        hook = self.hook_name(name)
        x = self._picture(hook)
        if hook in self.joint_hooks:
            return x.expand_dims(pos=[READ])
        return x if "pos" in x.dims else x.expand_dims(pos=list(self.input_positions))

    def at(self, name: str, pos: str | None = None) -> xr.DataArray:
        hook = self.hook_name(name)
        x = self._picture(hook)
        if hook in self.joint_hooks:
            if pos not in (None, READ):
                raise UnknownName.of("position", pos, (READ,))
            return x
        pos = self.input_positions[0] if pos in (None, READ) else pos
        if pos not in self.input_positions:
            raise UnknownName.of("position", pos, self.input_positions)
        return x.sel(pos=pos, drop=True) if "pos" in x.dims else x

    def load(self, *names: str) -> Activations:
        for name in names:
            self.hook_name(name)
        return self

    def forget(self, *names: str) -> None:
        """Nothing: what was given cannot be had again."""

    @property
    def kept(self) -> tuple[str, ...]:
        return self.joint_hooks

    def blocks(self, *names: str) -> Iterator[dict[str, xr.DataArray]]:
        pictures = {}
        for name in names:
            hook = self.hook_name(name)
            if hook not in self.joint_hooks:
                raise UnknownName.of("hook that depends on both tokens", name, self.joint_hooks)
            pictures[name] = self._picture(hook)
        p = self.task.p
        widest = max((x.size // p for x in pictures.values()), default=1)
        size = max(1, _NUMBERS_AT_ONCE // max(1, widest))
        for start in range(0, p, size):
            yield {name: x.isel(a=slice(start, min(start + size, p))) for name, x in pictures.items()}

    def resume(
        self, replace: Mapping[str, np.ndarray], *, keep: Iterable[str] = ("logits",)
    ) -> Iterator[tuple[range, dict[str, np.ndarray]]]:
        if replace:
            raise MissingWeight(
                f"not applicable: {_listed(list(replace))} cannot be replaced: the record is of activations alone, "
                "so nothing behind them can be computed again"
            )
        for block in self.blocks(*keep):
            first = next(iter(block.values()))
            rows = range(int(first.a.values[0]), int(first.a.values[-1]) + 1)
            yield rows, {name: x.values for name, x in block.items()}

    def reading(self, residues: Sequence[int]) -> ArrayRecord:
        order = np.array(residues_in(residues, self.task.p), int)
        arrays = {}
        for hook in self.hooks:
            x = self._picture(hook)
            dims = [dim for dim in ("a", "b", "token") if dim in x.dims]
            moved = x.isel(dict.fromkeys(dims, order))
            arrays[hook] = moved.assign_coords({dim: np.arange(len(order)) for dim in dims})
        return ArrayRecord(arrays, self.task)

    def renamed(
        self, residues: Sequence[int], task: ModularTask, answers: Sequence[int] | None = None
    ) -> ArrayRecord:
        """The same activations as those of another task: its token i stands for residues[i], its answer i for answers[i], or
        residues[i] if they are not given."""
        order, n = np.array(residues_in(residues, self.task.p), int), len(residues)
        read = order if answers is None else np.array(residues_in(answers, self.task.p), int)
        arrays = {}
        for hook in self.hooks:
            x = self._picture(hook)
            for dim in ("a", "b", "token", *(["answer"] if hook == "logits" else [])):
                if dim in x.dims:
                    x = x.isel({dim: read if dim == "answer" else order}).assign_coords({dim: np.arange(n)})
            arrays[hook] = x.assign_attrs(p=task.p, operation=task.operation)
        return ArrayRecord(arrays, task)


class ArrayRecord(RecordWithoutNetwork):
    """A record whose arrays are all there; made by `Activations.from_arrays`."""

    def __init__(self, arrays: Mapping[str, xr.DataArray], task: ModularTask) -> None:
        super().__init__(task)
        self._arrays = dict(arrays)

    @classmethod
    def of(cls, arrays: Mapping[str, object], task: ModularTask | int) -> ArrayRecord:
        """The record of arrays over (a, b, ...); see `Activations.from_arrays`."""
        if not isinstance(arrays, Mapping) or not arrays:
            raise InputError("expected a mapping from the names of hooks to arrays over (a, b, ...)")
        task = task_of(task)
        return cls({str(name): _named(str(name), x, task) for name, x in arrays.items()}, task)

    @property
    def hooks(self) -> tuple[str, ...]:
        return tuple(self._arrays)

    @property
    def joint_hooks(self) -> tuple[str, ...]:
        return tuple(hook for hook, x in self._arrays.items() if "a" in x.dims)

    @property
    def nbytes(self) -> int:
        return sum(x.nbytes for x in self._arrays.values())

    @property
    def _alternatives(self) -> Mapping[str, str]:
        return {}

    def _picture(self, hook: str) -> xr.DataArray:
        return self._arrays[hook]


def task_of(task: ModularTask | int) -> ModularTask:
    """The task of a record; a number means pairs of so many numbers, of whose answers nothing is said."""
    if isinstance(task, ModularTask):
        return task
    if isinstance(task, bool) or not isinstance(task, int | np.integer):
        raise InputError(f"task {task!r}: expected a ModularTask, or how many values a and b have")
    return ModularTask(int(task), Operation.of(np.full((int(task), int(task)), -1)))


def feature_names(hook: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The names of the axes of an activation beside a and b: those of the hook, where modscope knows it.

    >>> feature_names("mlp_post", (12,)), feature_names("layers.1.act", (12,)), feature_names("x", (2, 3))
    (('neuron',), ('feature',), ('feature0', 'feature1'))
    """
    known = feature_axes(hook) if hook in _known_hooks() else ()
    if len(known) == len(shape):
        return known
    return ("feature",) if len(shape) == 1 else tuple(f"feature{i}" for i in range(len(shape)))


def _known_hooks() -> tuple[str, ...]:
    return (
        "embed", "pos_embed", "resid_pre", "q", "k", "v", "attn_scores", "pattern", "z", "attn_out", "resid_mid",
        "mlp_pre", "mlp_post", "mlp_out", "resid_post", "logits",
    )  # fmt: skip


def _named(hook: str, given: object, task: ModularTask) -> xr.DataArray:
    """An array with the axes a and b first, float, labelled, checked."""
    p = task.p
    attrs = {"hook": hook, "p": p, "operation": task.operation}
    dims: tuple[str, ...] = ()
    coords: dict[str, object] = {}
    if isinstance(given, xr.DataArray):
        if "token" in given.dims and "a" not in given.dims:
            return _token_table(hook, given, p).assign_attrs(attrs)
        if not {"a", "b"} <= set(given.dims):
            raise InputError(
                f"{hook} has the axes {', '.join(map(str, given.dims))}: expected a and b among them"
            )
        _state_the_same(hook, given, task)
        given = given.transpose("a", "b", ...)
        dims = tuple(map(str, given.dims))
        coords = {d: given[d].values for d in dims[2:] if d in given.coords}
    x = _numbers(hook, given)
    if x.ndim < 2 or x.shape[:2] != (p, p):
        shape = " x ".join(map(str, x.shape)) or "one number"
        raise InputError(f"{hook} is {shape}: expected its first two axes, a and b, to be {p} x {p}")
    if x.ndim == 2:
        x, dims = x[..., None], (*dims, "feature") if dims else ()
    if hook == "logits":
        if x.ndim != 3 or x.shape[2] < p:
            raise InputError(
                f"logits of shape {x.shape}: expected ({p}, {p}, answer) with {p} answers or more"
            )
        x, dims = x[..., :p], ("a", "b", "answer")
    dims = dims or ("a", "b", *feature_names(hook, x.shape[2:]))
    return labelled(x, dims, hook, attrs, **coords)


def _state_the_same(hook: str, given: xr.DataArray, task: ModularTask) -> None:
    """InputError where an array says that it is of another p, or that its places are not the residues in their order."""
    if given.attrs.get("p", task.p) != task.p:
        raise InputError(f"{hook} states p = {shown(given.attrs['p'])}: expected that of the task, {task.p}")
    for axis in ("a", "b"):
        _hold_all_residues(hook, given, axis, task.p)


def _hold_all_residues(hook: str, given: xr.DataArray, axis: str, p: int) -> None:
    """A size may be right by chance: where an axis has coordinates, they have to be 0 to p - 1 in their order."""
    if axis in given.coords and not np.array_equal(given[axis].values, np.arange(p)):
        raise InputError(
            f"{hook}: axis {axis} has the coordinates {shown(given[axis].values.tolist())}: expected the residues 0 to {p - 1} in "
            "their order"
        )


def _numbers(hook: str, given: object) -> np.ndarray:
    values = given.detach().cpu().float().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if values.dtype.kind not in "fiub":
        raise InputError(f"{hook} holds {values.dtype}: expected real numbers")
    x = values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)
    wrong = int((~np.isfinite(x)).sum())
    if wrong and hook != "logits":
        raise InputError(f"{hook} has {wrong} of {x.size} numbers that are NaN or infinite")
    return np.ascontiguousarray(x)


def _token_table(hook: str, given: xr.DataArray, p: int) -> xr.DataArray:
    first = [dim for dim in ("pos", "token") if dim in given.dims]
    x = given.transpose(*first, ...)
    if x.sizes["token"] != p:
        raise InputError(f"{hook} has {x.sizes['token']} tokens: expected p = {p}")
    if "pos" in first and x.sizes["pos"] != 2:
        raise InputError(f"{hook} has {x.sizes['pos']} positions: expected 2, those of a and b")
    _hold_all_residues(hook, x, "token", p)
    named = x.copy(data=_numbers(hook, x.values)).rename(hook)
    named = named.assign_coords(token=np.arange(p))
    return named.assign_coords(pos=["a", "b"]) if "pos" in first else named


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
