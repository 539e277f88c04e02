"""Canonical weights from tensors whose roles are known by name: orders of axes told by sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from modscope.checkpoints.axes import Source, arranged, axis_sizes, check_numbers
from modscope.checkpoints.roles import Named, Roles, roles_in, stacked_heads
from modscope.checkpoints.settings import Settings
from modscope.checkpoints.vocabulary import Vocabulary
from modscope.errors import CheckpointError

__all__ = ["NamedParts", "named_parts"]

# The axes of every weight of a layered transformer as modscope keeps it; x stands for the heads of q, or of k and v.
AXES: Mapping[str, str] = {
    "W_E": "vocab d_model",
    "W_pos": "pos d_model",
    "W_Q": "head d_model d_head",
    "W_K": "kv_head d_model d_head",
    "W_V": "kv_head d_model d_head",
    "b_Q": "head d_head",
    "b_K": "kv_head d_head",
    "b_V": "kv_head d_head",
    "W_O": "head d_head d_model",
    "b_O": "d_model",
    "W_gate": "d_model d_mlp",
    "b_gate": "d_mlp",
    "W_in": "d_model d_mlp",
    "b_in": "d_mlp",
    "W_out": "d_mlp d_model",
    "b_out": "d_model",
    "ln1.w": "d_model",
    "ln1.b": "d_model",
    "ln2.w": "d_model",
    "ln2.b": "d_model",
    "ln_final.w": "d_model",
    "ln_final.b": "d_model",
    "W_U": "d_model answer",
    "b_U": "answer",
}
_OUTER = {"W_E": "embed.W_E", "W_pos": "pos_embed.W_pos", "W_U": "unembed.W_U", "b_U": "unembed.b_U"}
_HEAD_COUNTS = (4, 1, 2, 8, 3, 6, 12, 16)


def full_name(layer: int | None, role: str) -> str:
    """The canonical name of a weight: blocks.0.attn.W_Q."""
    if layer is None:
        return _OUTER.get(role, role)
    if role.startswith("ln"):
        return f"blocks.{layer}.{role}"
    return f"blocks.{layer}.{'attn' if role[-1] in 'QKVO' else 'mlp'}.{role}"


@dataclass(frozen=True)
class NamedParts:
    """The tensors of a transformer with their roles; `weights` arranges them."""

    tensors: Mapping[str, Tensor]
    roles: Roles
    d_model: int
    transposed: bool  # PyTorch's linear layers, but [input, output], as in GPT-2's Conv1D
    old: bool  # the layout of Nanda et al. 2023, [output, input] without modules

    @property
    def has_merged_heads(self) -> bool:
        """Whether the number of heads does not show in the tensors."""
        found = self._first("W_Q") or self._first("W_QKV")
        return found is not None and self.tensors[found.tensor].ndim == 2

    @property
    def is_fused(self) -> bool:
        """Whether q, k and v are one tensor."""
        return self.roles.has("W_QKV")

    def head_counts(self) -> list[int]:
        """The numbers of heads that the sizes allow, the likely ones first."""
        found = self._first("W_Q") or self._first("W_QKV")
        assert found is not None
        shape = list(self.tensors[found.tensor].shape)
        rows = max(shape) if self.is_fused else (shape[0] if shape[1] == self.d_model else shape[1])
        width = rows // 3 if self.is_fused else rows
        return [count for count in _HEAD_COUNTS if width % count == 0 and width // count >= 2]

    @property
    def tokens(self) -> int:
        """The number of rows of all embeddings together."""
        return sum(
            self._token_axis(named)
            for (_, role), named in self.roles.found.items()
            if role in ("W_E", "W_E_a", "W_E_b")
        )

    def _token_axis(self, named: Named) -> int:
        shape = self.tensors[named.tensor].shape
        first_is_width = self.old or shape[1] != self.d_model
        return shape[1] if first_is_width and shape[0] == self.d_model else shape[0]

    @property
    def second(self) -> int | None:
        """Where the rows of b begin, if a and b have tables of their own."""
        found = self._first("W_E_a")
        return None if found is None else self._token_axis(found)

    @property
    def positions(self) -> int | None:
        """The number of rows of the table of positions, if there is one."""
        found = self._first("W_pos")
        if found is None:
            return None
        shape = self.tensors[found.tensor].shape
        return shape[0] if shape[1] == self.d_model else shape[1]

    @property
    def answers(self) -> int:
        """The number of logits."""
        found = self._first("W_U")
        if found is None:
            return self.tokens
        shape = self.tensors[found.tensor].shape
        return (
            shape[0] if shape[1] == self.d_model and (found.module or shape[0] != self.d_model) else shape[1]
        )

    @property
    def sinusoidal(self) -> bool:
        """Whether the table of positions is made of sines and cosines and not learned."""
        found = self._first("W_pos")
        if found is None or self.positions is None:
            return False
        table = self.tensors[found.tensor]
        norms = (table if table.shape[1] == self.d_model else table.T).double().square().sum(dim=1)
        return bool((norms - self.d_model / 2).abs().max() < 1e-3 * self.d_model)

    def separate_vocabularies(self, p: int | None) -> list[Vocabulary]:
        """The inputs that tables of a and b allow: (a, b), or with a constant of the table of a after them."""
        second, positions = self.second or 0, self.positions or 2
        size = min(second, self.tokens - second) if p is None else p
        answers = min(self.answers, size) if p is None else p
        if positions == 2:
            return [Vocabulary(answers, ("a", "b"), {}, 0, second)]
        numbers = [n for n in range(self.tokens) if not (n < answers or second <= n < second + answers)]
        return [Vocabulary(answers, ("a", "b", "="), {"=": n}, 0, second) for n in numbers]

    def _first(self, role: str) -> Named | None:
        return next((named for (_, known), named in self.roles.found.items() if known == role), None)

    def weights(self, settings: Settings) -> dict[str, Tensor]:
        """Canonical name -> weight, for a number of heads and an order of the fused axes.

        Raises CheckpointError where sizes do not agree.
        """
        tensors, found = dict(self.tensors), dict(self.roles.found)
        for named in found.values():
            check_numbers(named.tensor, tensors[named.tensor])
        for key, named in self.roles.found.items():
            if key[1] in ("W_QKV", "b_QKV"):
                del found[key]
                found |= _split(key, named, tensors, settings, self.transposed)
        sources = {
            key: self._source(key[1], named, tensors[named.tensor], settings)
            for key, named in found.items()
            if key[1] not in ("W_E_a", "W_E_b")
        }
        known: dict[str, int] = {"d_model": self.d_model}
        if self.has_merged_heads and settings.n_heads:
            known["head"] = settings.n_heads
        if settings.d_head:
            known["d_head"] = settings.d_head
        patterns = {s.tensor: (tuple(tensors[s.tensor].shape), s.axes) for s in sources.values()}
        sizes = axis_sizes(_by_queries_first(patterns), known)
        weights = {
            full_name(*key): arranged(tensors[source.tensor], source, AXES[key[1]], sizes)
            for key, source in sources.items()
        }
        if (None, "W_E_a") in found:
            weights["embed.W_E"] = _stacked_tables(tensors, found, self.d_model)
        wide = any(weight.dtype == torch.float64 for weight in weights.values())
        return {name: weight.to(torch.float64 if wide else torch.float32) for name, weight in weights.items()}

    def _source(self, role: str, named: Named, tensor: Tensor, settings: Settings) -> Source:
        wanted = AXES[role]
        parts = wanted.split()
        if tensor.ndim == 1 and len(parts) == 2:
            return Source(named.tensor, f"({wanted})")
        if tensor.ndim == len(parts) == 1:
            return Source(named.tensor, wanted)
        if len(parts) == 3:
            return Source(named.tensor, self._head_axes(role, named, tensor))
        if tensor.ndim != 2 or len(parts) != 2:
            raise CheckpointError(f"{named.tensor} has shape {tuple(tensor.shape)}: expected {wanted}")
        return Source(named.tensor, self._matrix_axes(role, named, tensor))

    def _matrix_axes(self, role: str, named: Named, tensor: Tensor) -> str:
        wanted = AXES[role]
        turned = " ".join(reversed(wanted.split()))
        linear = role not in ("W_E", "W_pos", "b_Q", "b_K", "b_V")
        likely = turned if linear and (named.module != (self.transposed and named.module)) else wanted
        if self.old:
            likely = {"W_E": "d_model vocab", "W_in": "d_mlp d_model", "W_out": "d_model d_mlp"}.get(
                role, wanted
            )
        at = likely.split().index("d_model") if "d_model" in likely else None
        if at is not None and tensor.shape[at] != self.d_model and tensor.shape[1 - at] == self.d_model:
            return turned if likely == wanted else wanted
        return likely

    def _head_axes(self, role: str, named: Named, tensor: Tensor) -> str:
        head, rest = ("kv_head", "d_head") if role in ("W_K", "W_V") else ("head", "d_head")
        if tensor.ndim == 2:
            merged, output = f"({head} {rest})", role == "W_O"
            module = (named.module and not self.transposed) or self.old
            axes = [merged, "d_model"]
            if output == module:
                axes.reverse()
            at = axes.index("d_model")
            if tensor.shape[at] != self.d_model and tensor.shape[1 - at] == self.d_model:
                axes.reverse()
            return " ".join(axes)
        if tensor.ndim != 3:
            raise CheckpointError(
                f"{named.tensor} has shape {tuple(tensor.shape)}: expected two or three axes"
            )
        order = ["head d_model d_head", "head d_head d_model", "d_model head d_head", "head d_head d_model"]
        if role == "W_O":
            order = ["head d_head d_model", "head d_model d_head", "d_model head d_head"]
        elif self.old:
            order.insert(0, "head d_head d_model")
        fitting = [a for a in order if tensor.shape[a.split().index("d_model")] == self.d_model]
        if not fitting:
            raise CheckpointError(
                f"{named.tensor} has shape {tuple(tensor.shape)}: no axis is d_model = {self.d_model}"
            )
        return (
            fitting[0].replace("head", head, 1)
            if fitting[0].startswith("head")
            else fitting[0].replace(" head", f" {head}", 1)
        )


def _by_queries_first(
    patterns: Mapping[str, tuple[tuple[int, ...], str]],
) -> dict[str, tuple[tuple[int, ...], str]]:
    """The patterns with those of q before those of k and v, which take d_head from them."""
    return dict(sorted(patterns.items(), key=lambda entry: "kv_head" in entry[1][1]))


def _split(
    key: tuple[int | None, str],
    named: Named,
    tensors: dict[str, Tensor],
    settings: Settings,
    transposed: bool,
) -> dict[tuple[int | None, str], Named]:
    """Three tensors in the place of a fused one: q, k and v one after the other, or head by head."""
    layer, role = key
    whole, kind = tensors[named.tensor], role[0]
    dim = 0
    if whole.ndim == 2:
        by_size = [d for d in (0, 1) if whole.shape[d] % 3 == 0 and whole.shape[d] > whole.shape[1 - d]]
        dim = by_size[0] if by_size else int(transposed or not named.module)
    heads = settings.n_heads or 1
    groups = settings.n_kv_heads or heads
    found: dict[tuple[int | None, str], Named] = {}
    rows = whole.movedim(dim, 0)
    if whole.ndim > 2 and whole.shape[0] == 3:
        pieces = dict(zip("QKV", whole.unbind(0), strict=True))
        dim = 0
    elif settings.fused == "heads":
        by_head = rows.reshape(heads, 3, -1, *rows.shape[1:])
        pieces = {n: by_head[:, i].flatten(0, 1).movedim(0, dim) for i, n in enumerate("QKV")}
    else:
        width = rows.shape[0] // (heads + 2 * groups)
        sizes = [heads * width, groups * width, groups * width]
        if sum(sizes) != rows.shape[0]:
            raise CheckpointError(
                f"{named.tensor}: an axis of {rows.shape[0]} is not that of q, k and v of {heads} heads"
            )
        pieces = {n: piece.movedim(0, dim) for n, piece in zip("QKV", rows.split(sizes), strict=True)}
    for name, piece in pieces.items():
        label = f"{named.tensor} ({name.lower()})"
        tensors[label] = piece
        found[layer, f"{kind}_{name}"] = replace(named, tensor=label)
    return found


def _stacked_tables(
    tensors: Mapping[str, Tensor], found: Mapping[tuple[int | None, str], Named], d_model: int
) -> Tensor:
    tables = [tensors[found[None, f"W_E_{side}"].tensor] for side in "ab"]
    tables = [table if table.shape[1] == d_model else table.T for table in tables]
    rest = [tensors[found[None, "W_E"].tensor]] if (None, "W_E") in found else []
    return torch.cat([*tables, *rest])


def named_parts(tensors: Mapping[str, Tensor]) -> NamedParts | None:
    """The parts of a transformer told by name, or None where something is missing or unknown."""
    whole = stacked_heads(tensors)
    roles = roles_in(whole)
    if not roles.complete:
        return None
    whole = {
        name: tensor.reshape(tensor.shape[-2:])
        if tensor.ndim == 3 and 1 in tensor.shape[:1] and "pos" in name.lower()
        else tensor
        for name, tensor in whole.items()
    }
    for named in [n for (_, role), n in roles.found.items() if role == "W_pos"]:
        table = whole[named.tensor]
        whole[named.tensor] = table.squeeze() if table.ndim > 2 else table
    d_model = _width(whole, roles)
    old = any(role == "W_Q" and whole[n.tensor].ndim == 3 for (_, role), n in roles.found.items()) and any(
        role == "W_O" and whole[n.tensor].ndim == 2 and not n.module for (_, role), n in roles.found.items()
    )
    return NamedParts(whole, roles, d_model, _is_transposed(whole, roles, d_model), old)


def _width(tensors: Mapping[str, Tensor], roles: Roles) -> int:
    """d_model: the size that the tensors of the residual stream share."""
    for (_, role), named in roles.found.items():
        if role.startswith("ln") or role in ("b_O", "b_out"):
            return tensors[named.tensor].shape[0]
    streams = [
        set(tensors[named.tensor].shape)
        for (_, role), named in roles.found.items()
        if role in ("W_E", "W_E_a", "W_pos", "W_U", "W_O", "W_in")
    ]
    shared = set.intersection(*streams)
    if not shared:
        raise CheckpointError("the tensors share no size that could be d_model: they are not of one network")
    embedding = next(n for (_, role), n in roles.found.items() if role in ("W_E", "W_E_a"))
    last = tensors[embedding.tensor].shape[-1]
    return last if last in shared else max(shared)


def _is_transposed(tensors: Mapping[str, Tensor], roles: Roles, d_model: int) -> bool:
    """Whether matrices named weight are [input, output], told by those that are not square."""
    for (_, role), named in roles.found.items():
        shape = tensors[named.tensor].shape
        if not named.module or len(shape) != 2 or shape[0] == shape[1]:
            continue
        if role in ("W_in", "W_gate", "W_QKV", "W_Q"):
            return shape[0] == d_model
        if role == "W_out":
            return shape[1] == d_model
    return False
