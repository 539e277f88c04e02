"""The layouts of weights in use, as tables: canonical name, tensor name, order of its axes.

Old and TransformerLens files share their names. They are told apart by the number of axes of W_O, two or
three; never by sizes, which are equal in many real networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from modscope.checkpoints.axes import Source, parsed_axes

__all__ = ["CANONICAL", "GENERAL", "LAYOUTS", "Family", "Layout", "recognised", "without_prefix"]

Family = Literal["transformer", "mlp", "general"]

# The axes of every weight as modscope keeps it.
CANONICAL: Mapping[Family, Mapping[str, str]] = {
    "transformer": {
        "W_E": "vocab d_model",
        "W_pos": "pos d_model",
        "W_Q": "head d_model d_head",
        "b_Q": "head d_head",
        "W_K": "head d_model d_head",
        "b_K": "head d_head",
        "W_V": "head d_model d_head",
        "b_V": "head d_head",
        "W_O": "head d_head d_model",
        "b_O": "d_model",
        "W_in": "d_model d_mlp",
        "b_in": "d_mlp",
        "W_out": "d_mlp d_model",
        "b_out": "d_model",
        "W_U": "d_model answer",
        "b_U": "answer",
    },
    "mlp": {
        "W_E_a": "vocab d_embed",
        "W_E_b": "vocab d_embed",
        "W_in_a": "d_embed d_hidden",
        "W_in_b": "d_embed d_hidden",
        "b_in": "d_hidden",
        "W_U": "d_hidden answer",
        "b_U": "answer",
    },
}

_HOMES = {
    "W_E": "embed",
    "W_pos": "pos_embed",
    "W_U": "unembed",
    "b_U": "unembed",
    **dict.fromkeys(("W_in", "b_in", "W_out", "b_out"), "blocks.0.mlp"),
    **dict.fromkeys(("W_Q", "b_Q", "W_K", "b_K", "W_V", "b_V", "W_O", "b_O"), "blocks.0.attn"),
}


@dataclass(frozen=True)
class Layout:
    """One way of storing a network: where each weight is, and which tensors hold no weight.

    Biases are optional; every other weight of the table is required.
    """

    name: str
    title: str
    sources: Mapping[str, Source]
    family: Family = "transformer"
    buffers: frozenset[str] = frozenset()
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def required(self) -> dict[str, Source]:
        """The weights without which this is not the layout."""
        return {weight: source for weight, source in self.sources.items() if not weight.startswith("b_")}

    def fit(self, tensors: Mapping[str, Tensor]) -> float:
        """Share of the required tensors that are there with the right number of axes."""
        found = [
            source.tensor in tensors and tensors[source.tensor].ndim == len(parsed_axes(source.axes))
            for source in self.required.values()
        ]
        return sum(found) / len(found) if found else 0.0


_LENS_NAMES = {weight: f"{home}.{weight}" for weight, home in _HOMES.items()}
_LENS_BUFFERS = frozenset({"blocks.0.attn.mask", "blocks.0.attn.IGNORE"})


def _table(names: Mapping[str, str], axes: Mapping[str, str]) -> dict[str, Source]:
    return {weight: Source(names[weight], axes[weight]) for weight in axes if weight in names}


TRANSFORMER_LENS = Layout(
    "transformer-lens",
    "TransformerLens state dict",
    _table(_LENS_NAMES, CANONICAL["transformer"]),
    buffers=_LENS_BUFFERS,
)

OLD = Layout(
    "old",
    "layout of Nanda et al. 2023 and Zhong et al. 2023",
    _table(
        _LENS_NAMES,
        {
            "W_E": "d_model vocab",
            "W_pos": "pos d_model",
            "W_Q": "head d_head d_model",
            "W_K": "head d_head d_model",
            "W_V": "head d_head d_model",
            "W_O": "d_model (head d_head)",
            "W_in": "d_mlp d_model",
            "b_in": "d_mlp",
            "W_out": "d_model d_mlp",
            "b_out": "d_model",
            "W_U": "d_model answer",
        },
    ),
    buffers=_LENS_BUFFERS,
)

FLAT = Layout(
    "flat",
    "plain names: embeddings and linear layers of PyTorch, attention by head",
    {
        "W_E": Source("token_embed.weight", "vocab d_model"),
        "W_pos": Source("pos_embed.weight", "pos d_model"),
        "W_Q": Source("W_Q", "head d_model d_head"),
        "W_K": Source("W_K", "head d_model d_head"),
        "W_V": Source("W_V", "head d_model d_head"),
        "W_O": Source("W_O", "head d_head d_model"),
        "b_Q": Source("b_Q", "head d_head"),
        "b_K": Source("b_K", "head d_head"),
        "b_V": Source("b_V", "head d_head"),
        "b_O": Source("b_O", "d_model"),
        "W_in": Source("W_in.weight", "d_mlp d_model"),
        "b_in": Source("W_in.bias", "d_mlp"),
        "W_out": Source("W_out.weight", "d_model d_mlp"),
        "b_out": Source("W_out.bias", "d_model"),
        "W_U": Source("unembed.weight", "answer d_model"),
        "b_U": Source("unembed.bias", "answer"),
    },
    buffers=frozenset({"mask", "causal_mask"}),
)


def _stacked_mlp(name: str, a: str, b: str) -> Layout:
    return Layout(
        name,
        "MLP of Chughtai et al. 2023: two embeddings, stacked, one hidden layer",
        {
            "W_E_a": Source(a, "vocab d_embed"),
            "W_E_b": Source(b, "vocab d_embed"),
            "W_in_a": Source("W", "(pair d_embed) d_hidden", {"pair": 0}),
            "W_in_b": Source("W", "(pair d_embed) d_hidden", {"pair": 1}),
            "W_U": Source("W_U", "d_hidden answer"),
        },
        family="mlp",
        sizes={"pair": 2},
    )


STACKED_MLP = _stacked_mlp("stacked-mlp", "W_x", "W_y")
EARLY_STACKED_MLP = _stacked_mlp("early-stacked-mlp", "W_E_a", "W_E_b")

SUMMED_MLP = Layout(
    "summed-mlp",
    "MLP of Chughtai et al. 2023: two embeddings, summed, ReLU",
    {
        "W_in_a": Source("W_x", "d_embed d_hidden"),
        "W_in_b": Source("W_y", "d_embed d_hidden"),
        "W_U": Source("W_U", "d_hidden answer"),
    },
    family="mlp",
)

_PAIR_NAMES = {
    "W_E_a": "embed.W_E_a",
    "W_E_b": "embed.W_E_b",
    "W_in_a": "mlp.W_in_a",
    "W_in_b": "mlp.W_in_b",
    "b_in": "mlp.b_in",
    "W_U": "unembed.W_U",
    "b_U": "unembed.b_U",
}
PAIR_MLP = Layout(
    "pair-mlp",
    "modscope's own names of an MLP with embeddings",
    _table(_PAIR_NAMES, CANONICAL["mlp"]),
    family="mlp",
)
_ONE_HOT_AXES = {weight: axes for weight, axes in CANONICAL["mlp"].items() if not weight.startswith("W_E")}
ONE_HOT_MLP = Layout(
    "one-hot-mlp", "modscope's own names of a one-hot MLP", _table(_PAIR_NAMES, _ONE_HOT_AXES), family="mlp"
)

# Of layouts that fit equally the first is taken, so the one with more tensors stands before its part.
LAYOUTS: tuple[Layout, ...] = (
    TRANSFORMER_LENS,
    OLD,
    FLAT,
    STACKED_MLP,
    EARLY_STACKED_MLP,
    SUMMED_MLP,
    PAIR_MLP,
    ONE_HOT_MLP,
)

# No table: what tensors are is told by their names and sizes (`roles`, `parts`, `chains`).
GENERAL = Layout("by-name", "network told by the names and sizes of its tensors", {}, family="general")

_WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "transformer.")


def without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without a prefix that all their names share, as DataParallel and torch.compile put there.

    >>> list(without_prefix({"module._orig_mod.embed.W_E": Tensor(1)}))
    ['embed.W_E']
    """
    names = dict(tensors)
    while names and (shared := [w for w in _WRAPPERS if all(name.startswith(w) for name in names)]):
        names = {name.removeprefix(shared[0]): tensor for name, tensor in names.items()}
    return names


def recognised(tensors: Mapping[str, Tensor]) -> Layout | None:
    """The layout that most of whose required tensors are there by name and number of axes, if any."""
    best = max(LAYOUTS, key=lambda layout: layout.fit(tensors))
    return best if best.fit(tensors) > 0.5 else None
