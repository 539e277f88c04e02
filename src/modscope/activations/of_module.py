"""The record of somebody's own module or function: run on all pairs, its parts kept by forward hooks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from modscope.activations.axes import labelled
from modscope.activations.face import Activations
from modscope.activations.of_arrays import ArrayRecord, RecordWithoutNetwork, feature_names, task_of
from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.task import ModularTask

__all__ = ["ModuleRecord", "record_function", "record_module"]

Inputs = Sequence[object] | Tensor | np.ndarray | tuple[Any, ...] | Callable[[Tensor, Tensor], Any]
LOGITS = "logits"
_PART = re.compile(r"(?P<module>.*?)(?P<side>\.in)?(\[(?P<index>\d+)\])?")


@public
def record_module(
    module: nn.Module,
    task: ModularTask | int,
    *,
    inputs: Inputs,
    hooks: Iterable[str] | Mapping[str, str] | None = None,
    read: int = -1,
    answers: Sequence[int] | None = None,
    batch: int = 4096,
) -> Activations:
    """All activations of any torch module on all pairs of a task, by forward hooks; nothing of it has to be known.

    inputs: what the module is given for the pairs: a sequence of "a", "b" and token numbers, such as ["a", 113, "b",
    115]; or a tensor, or a tuple of tensors, with a row for each pair (a major); or a function of a and b
    (int64 tensors of a batch) that gives one of these. hooks: names of modules in `named_modules`, whose output is
    recorded; "NAME.in" is what a module is given, "NAME[1]" the second thing it returns. A mapping gives them names of modscope's:
    {"mlp_post": "layers.1.mlp.act"}; all that give a tensor for each pair, if not said. read: the position whose
    activation is kept where a module gives one for every position. answers: which outputs are the answers
    0..p-1; the first p, if not said. batch: pairs at a time.
    The module's output is the hook `logits`. Activations are computed when first asked for and kept, in evaluation
    mode, without gradients. Raises UnknownName for a hook that is not there, with the nearest name, InputError for inputs of
    another length or an output that has no row for each pair.

    >>> net = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 5))
    >>> acts = record_module(net, ModularTask(5), inputs=["a", "b"], hooks={"mlp_post": "3"})
    >>> acts.hooks, acts.at("mlp_post").sizes["neuron"], acts.at("logits").shape
    (('mlp_post', 'logits'), 4, (5, 5, 5))
    """
    if not isinstance(module, nn.Module):
        raise InputError(
            f"a {type(module).__name__}: expected a torch.nn.Module; record_function takes functions"
        )
    return ModuleRecord(module, task_of(task), inputs, hooks, read, answers, batch)


@public
def record_function(
    function: Callable[[np.ndarray, np.ndarray], Any], task: ModularTask | int, *, batch: int = 4096
) -> Activations:
    """The record of a function of a and b (int64 arrays of a batch of pairs): logits [pair, answer], or a mapping
    from names of hooks to arrays [pair, ...].

    It is called on all pairs at once where they are no more than `batch`. Raises InputError for a result that has no row
    for each pair.

    >>> acts = record_function(lambda a, b: np.eye(5)[(a + b) % 5], ModularTask(5))
    >>> acts.at("logits").values[2, 4].argmax()
    np.int64(1)
    """
    task = task_of(task)
    p = task.p
    first, second = np.divmod(np.arange(p * p), p)
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, p * p, batch):
        a, b = first[start : start + batch], second[start : start + batch]
        result = function(a.copy(), b.copy())
        for name, x in result.items() if isinstance(result, Mapping) else [(LOGITS, result)]:
            values = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
            if values.ndim < 1 or len(values) != len(a):
                raise InputError(
                    f"{name}: the function gives shape {values.shape} for {len(a)} pairs: expected a row for each"
                )
            parts.setdefault(str(name), []).append(values)
    whole = {name: np.concatenate(found) for name, found in parts.items()}
    return ArrayRecord.of({name: x.reshape(p, p, *x.shape[1:]) for name, x in whole.items()}, task)


class ModuleRecord(RecordWithoutNetwork):
    """The record of a torch module; made by `record_module`."""

    def __init__(
        self,
        module: nn.Module,
        task: ModularTask,
        inputs: Inputs,
        hooks: Iterable[str] | Mapping[str, str] | None,
        read: int,
        answers: Sequence[int] | None,
        batch: int,
    ) -> None:
        super().__init__(task)
        self.module, self._read, self._batch = module, read, max(1, int(batch))
        self._inputs = _Inputs(inputs, task.p, _device_of(module))
        self._answers = _checked_answers(answers, task.p)
        self._kept: dict[str, xr.DataArray] = {}
        self._positions_first: set[str] = set()
        self._parts = _chosen(module, hooks)
        tried = self._tried(list(self._parts.values()))
        missing = [part for part in self._parts.values() if part not in tried]
        if hooks is not None and missing:
            raise InputError(
                f"hook {missing[0]!r} gives no tensor with a row for each pair: it cannot be recorded"
            )
        self._parts = {name: part for name, part in self._parts.items() if part in tried}
        self._parts.setdefault(LOGITS, "")

    @property
    def hooks(self) -> tuple[str, ...]:
        return tuple(self._parts)

    @property
    def joint_hooks(self) -> tuple[str, ...]:
        return self.hooks

    @property
    def _alternatives(self) -> Mapping[str, str]:
        return {part: name for name, part in self._parts.items() if part}

    @property
    def kept(self) -> tuple[str, ...]:
        return tuple(hook for hook in self.hooks if hook in self._kept)

    @property
    def nbytes(self) -> int:
        return sum(x.nbytes for x in self._kept.values())

    def load(self, *names: str) -> Activations:
        wanted = [self.hook_name(name) for name in names] or list(self.hooks)
        wanted = [hook for hook in wanted if hook not in self._kept]
        if wanted:
            self._kept |= self._recorded(wanted)
        return self

    def forget(self, *names: str) -> None:
        for hook in [self.hook_name(name) for name in names] or list(self._kept):
            self._kept.pop(hook, None)

    def _picture(self, hook: str) -> xr.DataArray:
        self.load(hook)
        return self._kept[hook]

    # How the module is run

    def _recorded(self, hooks: Sequence[str]) -> dict[str, xr.DataArray]:
        p = self.task.p
        whole: dict[str, list[np.ndarray]] = {hook: [] for hook in hooks}
        for start in range(0, p * p, self._batch):
            numbers = range(start, min(start + self._batch, p * p))
            taken = self._run(numbers, {hook: self._parts[hook] for hook in hooks})
            for hook in hooks:
                if hook not in taken:
                    raise InputError(f"hook {hook!r}: the module did not run it on pairs {start} and later")
                whole[hook].append(taken[hook])
        found = {}
        for hook, parts in whole.items():
            x = np.concatenate(parts)
            x = x.reshape(p, p, *x.shape[1:])
            dims = ("a", "b", *feature_names(hook, x.shape[2:]))
            found[hook] = labelled(x, dims, hook, self.attrs(hook))
        return found

    def _tried(self, parts: Sequence[str]) -> set[str]:
        """The parts that give a tensor with a row for each of a few pairs; checks the output and the inputs too."""
        # as many pairs as there are positions would not tell which axis is which
        count = 7 if self._inputs.of(range(1), *_pairs(range(1), self.task.p))[1] != 7 else 6
        caught, length = self._outputs(range(count), {*parts, ""})
        tensors = {part: _tensor_of(x, part) for part, x in caught.items()}
        self._positions_first = {
            part
            for part, x in tensors.items()
            if x is not None and x.ndim >= 3 and x.shape[:2] == (length, count)
        }
        taken = self._run(range(count), {part: part for part in [*parts, ""]})
        if "" not in taken:
            raise InputError(
                "the module's output has no row for each pair: expected logits [pair, (position,) answer]"
            )
        if taken[""].ndim != 2 or taken[""].shape[1] < self.task.p:
            raise InputError(
                f"the module's output has the shape {taken[''].shape} for {count} pairs: expected at least p = "
                f"{self.task.p} answers for each"
            )
        return {part for part in taken if part}

    @torch.no_grad()
    def _outputs(self, numbers: range, parts: set[str]) -> tuple[dict[str, Any], int]:
        """What parts of the module give on some pairs, and the number of positions."""
        arguments, length = self._inputs.of(numbers, *_pairs(numbers, self.task.p))
        caught: dict[str, Any] = {}
        with _evaluating(self.module), _caught(self.module, parts, caught):
            caught[""] = self.module(*arguments)
        return caught, length

    def _run(self, numbers: range, wanted: Mapping[str, str]) -> dict[str, np.ndarray]:
        """The wanted parts on some pairs: name -> [pair, feature...]."""
        caught, length = self._outputs(numbers, set(wanted.values()))
        found = {}
        for name, part in wanted.items():
            x = _tensor_of(caught.get(part), part)
            if x is not None and part in self._positions_first:
                x = x[self._read]  # as torch's own attention has them
            elif x is not None:
                x = _at_read(x, len(numbers), length, self._read)
            if x is not None:
                values = x.detach().to("cpu", torch.float32).numpy()
                found[name] = self._as_answers(values) if part == "" else values
        return found

    def _as_answers(self, logits: np.ndarray) -> np.ndarray:
        if self._answers is None:
            return logits[:, : self.task.p] if logits.ndim == 2 else logits
        if max(self._answers) >= logits.shape[-1]:
            raise InputError(f"answer {max(self._answers)}: the module has {logits.shape[-1]} outputs")
        return logits[..., list(self._answers)]


def _pairs(numbers: range, p: int) -> tuple[Tensor, Tensor]:
    a, b = np.divmod(np.arange(numbers.start, numbers.stop), p)
    return torch.from_numpy(a), torch.from_numpy(b)


class _Inputs:
    """What a module is given for some of the pairs."""

    def __init__(self, given: Inputs, p: int, device: torch.device) -> None:
        self.given, self.p, self.device = given, p, device
        if not callable(given) and not _is_sequence(given):
            for x in given if isinstance(given, tuple) else (given,):
                if len(x) != p * p:
                    raise InputError(
                        f"inputs of {len(x)} rows: expected one for each of the {p} x {p} = {p * p} pairs"
                    )
        elif _is_sequence(given):
            for word in given:  # type: ignore[union-attr]
                if word not in ("a", "b") and (
                    isinstance(word, bool) or not isinstance(word, int | np.integer)
                ):
                    raise InputError(f'inputs {list(given)!r}: expected "a", "b" and token numbers')  # type: ignore[arg-type]
            if "a" not in given or "b" not in given:  # type: ignore[operator]
                raise InputError(f'inputs {list(given)!r}: expected "a" and "b" among them')  # type: ignore[arg-type]

    def of(self, numbers: range, a: Tensor, b: Tensor) -> tuple[tuple[Any, ...], int]:
        """The arguments for pairs by number, and how many positions they have (0: not known)."""
        given: Any = self.given
        if callable(given):
            made = given(a, b)
            parts = made if isinstance(made, tuple) else (made,)
        elif _is_sequence(given):
            columns = [
                a if word == "a" else b if word == "b" else torch.full_like(a, int(word)) for word in given
            ]
            parts = (torch.stack(columns, dim=1),)
        else:
            rows = slice(numbers.start, numbers.stop)
            parts = tuple(x[rows] for x in (given if isinstance(given, tuple) else (given,)))
        tensors = tuple(torch.as_tensor(x).to(self.device) if not isinstance(x, dict) else x for x in parts)
        first = next((x for x in tensors if isinstance(x, Tensor)), None)
        if first is not None and (first.ndim < 1 or len(first) != len(a)):
            raise InputError(
                f"inputs of shape {tuple(first.shape)} for {len(a)} pairs: expected a row for each"
            )
        return tensors, int(first.shape[1]) if first is not None and first.ndim > 1 else 0


def _is_sequence(given: object) -> bool:
    return isinstance(given, list) or (
        isinstance(given, tuple) and all(isinstance(word, str | int | np.integer) for word in given)
    )


def _device_of(module: nn.Module) -> torch.device:
    first = next(iter(module.parameters()), None)
    return torch.device("cpu") if first is None else first.device


def _checked_answers(answers: Sequence[int] | None, p: int) -> Sequence[int] | None:
    if answers is not None and len(answers) != p:
        raise InputError(f"{len(answers)} answers: expected the outputs that stand for 0 to p - 1 = {p - 1}")
    if answers is not None and min(answers) < 0:
        raise InputError(f"answer {min(answers)}: expected the numbers of outputs, from 0")
    return answers


def _chosen(module: nn.Module, hooks: Iterable[str] | Mapping[str, str] | None) -> dict[str, str]:
    """Hook -> the part of the module that it is."""
    modules = {name: part for name, part in module.named_modules() if name}
    if hooks is None:
        return {name: name for name in modules}
    if isinstance(hooks, str):
        hooks = [hooks]
    chosen = dict(hooks) if isinstance(hooks, Mapping) else {name: name for name in hooks}
    for part in chosen.values():
        found = _PART.fullmatch(part)
        name = found["module"] if found else part
        if name not in modules:
            raise UnknownName.of("hook", name, modules)
    return {str(name): part for name, part in chosen.items()}


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def _caught(module: nn.Module, parts: set[str], into: dict[str, Any]) -> Iterator[None]:
    """While it lasts, what the parts of a module are given and give back is put into a mapping."""
    modules = dict(module.named_modules())
    handles = []
    for part in parts:
        found = _PART.fullmatch(part)
        if not part or found is None:
            continue

        def keep(
            _: nn.Module,
            given: Any,
            result: Any = None,
            *,
            part: str = part,
            side: bool = bool(found["side"]),
        ) -> None:
            into[part] = given if side else result

        owner = modules[found["module"]]
        handles.append(
            owner.register_forward_pre_hook(keep) if found["side"] else owner.register_forward_hook(keep)
        )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensor_of(x: Any, part: str) -> Tensor | None:
    """The tensor that a part gives: the one named by [i], or the first."""
    found = _PART.fullmatch(part)
    index = int(found["index"]) if found and found["index"] else 0
    if isinstance(x, Mapping):  # the outputs of language models are mappings with logits among them
        x = x.get(LOGITS, next(iter(x.values()), None))
    if isinstance(x, tuple | list):
        x = x[index] if index < len(x) else None
    return x if isinstance(x, Tensor) and not x.is_complex() else None


def _at_read(x: Tensor, pairs: int, length: int, read: int) -> Tensor | None:
    """What a tensor holds for each pair at the read position; None where it has no row for each pair."""
    if x.ndim < 1 or x.shape[0] != pairs:
        return None
    if x.ndim == 1:
        return x[:, None]
    if x.ndim == 4 and length and x.shape[2] == x.shape[3] == length:
        return x[:, :, read]  # patterns [pair, head, query, key]
    if x.ndim >= 3 and length and x.shape[1] == length:
        return x[:, read]
    return x
