"""MLPs from their tensors: embeddings, then linear layers one after the other, told by sizes.

The first layer reads the embeddings of all positions side by side, or their sum; without embeddings tokens are
one-hot. What constant tokens add to it is a bias, and goes there exactly.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from modscope.checkpoints.settings import Settings
from modscope.checkpoints.vocabulary import Vocabulary
from modscope.errors import CheckpointError
from modscope.model import Network, PairMLP, PairMLPConfig
from modscope.networks.deep_mlp import DeepMLP, DeepMLPConfig

__all__ = ["Chain", "chain_in"]

_TABLE = re.compile(r"emb|wte|tok|(^|[._])w?_?e(_?[abxy12])?(\.|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Chain:
    """The tables of tokens, one or one for each residue, and the linear layers [input, output] with their biases."""

    tables: tuple[Tensor, ...]
    layers: tuple[tuple[Tensor, Tensor | None], ...]

    @property
    def tokens(self) -> int:
        """The number of tokens of a table, or of one-hot vectors: 0 where only the sequence can tell."""
        return len(self.tables[0]) if self.tables else 0

    @property
    def answers(self) -> int:
        """The number of logits."""
        return self.layers[-1][0].shape[1]

    @property
    def summed(self) -> bool:
        """Whether the first layer reads the sum of the embeddings."""
        return bool(self.tables) and self.layers[0][0].shape[0] == self.tables[0].shape[1]

    @property
    def positions(self) -> int | None:
        """The number of embeddings side by side; None for a sum or one-hot tokens, which do not tell it."""
        if not self.tables or self.summed:
            return None
        return self.layers[0][0].shape[0] // self.tables[0].shape[1]

    def network(self, settings: Settings, vocabulary: Vocabulary) -> Network:
        """The network that reads a sequence: one hidden layer makes a `PairMLP`, others a `DeepMLP`."""
        chain = self._with_residues_as_answers(vocabulary)
        tables, first, constant = chain._entering(vocabulary)
        bias = chain.layers[0][1]
        if constant is not None:
            bias = constant if bias is None else bias + constant
        return _network(
            vocabulary.p,
            settings.activation or "relu",
            tables,
            (first, bias),
            chain.layers[1:],
            summed=self.summed,
        )

    def _with_residues_as_answers(self, vocabulary: Vocabulary) -> Chain:
        p, answers = vocabulary.p, self.answers
        if answers < p:
            raise CheckpointError(f"{answers} answers for p = {p} residues: expected at least as many")
        kept = slice(vocabulary.first, vocabulary.first + p) if answers >= vocabulary.first + p else slice(p)
        weight, bias = self.layers[-1]
        last = (weight[:, kept], None if bias is None else bias[kept])
        return replace(self, layers=(*self.layers[:-1], last))

    def _entering(self, vocabulary: Vocabulary) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """The tables of a and b, the parts of the first layer that read them, and what constants add."""
        weight, p = self.layers[0][0], vocabulary.p
        starts = {
            "a": vocabulary.first,
            "b": vocabulary.first if vocabulary.second is None else vocabulary.second,
        }
        width = self.tables[0].shape[1] if self.tables else weight.shape[0] // (len(vocabulary.sequence))
        if not self.summed and weight.shape[0] != width * len(vocabulary.sequence):
            raise CheckpointError(
                f"the first layer reads {weight.shape[0]} numbers, which are not {len(vocabulary.sequence)} positions"
            )
        tables: dict[str, Tensor] = {}
        parts: dict[str, Tensor] = {}
        constant: Tensor | None = None
        for i, name in enumerate(vocabulary.sequence):
            block = weight if self.summed else weight[i * width : (i + 1) * width]
            table = self._table(name)
            if name not in starts:
                number = vocabulary.numbers[name]
                if number is None:
                    continue
                added = block[number] if table is None else table[number] @ block
                constant = added if constant is None else constant + added
            elif table is None:
                rows = block[starts[name] : starts[name] + p]
                parts[name] = parts[name] + rows if name in parts else rows
            elif name in parts and not self.summed:
                raise CheckpointError(
                    f"{name} stands twice in the sequence: this MLP reads each residue once"
                )
            else:
                tables[name], parts[name] = table[starts[name] : starts[name] + p], block
        return tables, parts, constant

    def _table(self, name: str) -> Tensor | None:
        if not self.tables:
            return None
        return self.tables[1] if name == "b" and len(self.tables) > 1 else self.tables[0]


def _network(
    p: int,
    activation: str,
    tables: Mapping[str, Tensor],
    first: tuple[Mapping[str, Tensor], Tensor | None],
    later: Sequence[tuple[Tensor, Tensor | None]],
    *,
    summed: bool,
) -> Network:
    parts, bias = first
    if not later:
        return _linear(p, activation, tables, parts, bias)
    *inner, (last, last_bias) = later
    hidden = (parts["a"].shape[1], *(matrix.shape[1] for matrix, _ in inner))
    d_embed = tables["a"].shape[1] if tables else None
    hidden_biases = [bias, *(b for _, b in inner)]
    biases = ("b_in",) * any(b is not None for b in hidden_biases) + ("b_U",) * (last_bias is not None)
    weights = {"unembed.W_U": last}
    if last_bias is not None:
        weights["unembed.b_U"] = last_bias
    if not inner:
        config = PairMLPConfig(
            p, d_hidden=hidden[0], d_embed=d_embed, activation=activation, d_vocab_out=last.shape[1], biases=biases
        )  # fmt: skip
        weights |= {f"embed.W_E_{n}": table for n, table in tables.items()}
        weights |= {f"mlp.W_in_{n}": matrix for n, matrix in parts.items()}
        weights |= {} if bias is None else {"mlp.b_in": bias}
        return PairMLP(config, {name: weights[name].clone() for name in config.shapes()})
    shared = bool(tables) and torch.equal(tables["a"], tables["b"])
    deep = DeepMLPConfig(
        p, hidden=hidden, d_embed=d_embed, shared=shared, summed=summed, activation=activation,
        d_vocab_out=last.shape[1], biases=biases,
    )  # fmt: skip
    weights |= {"embed.W_E": tables["a"]} if shared else {f"embed.W_E_{n}": t for n, t in tables.items()}
    weights |= (
        {"blocks.0.mlp.W_in": parts["a"]}
        if summed
        else {f"blocks.0.mlp.W_in_{n}": w for n, w in parts.items()}
    )
    weights |= {f"blocks.{i}.mlp.W_in": matrix for i, (matrix, _) in enumerate(inner, 1)}
    for i, one in enumerate(hidden_biases):
        weights[f"blocks.{i}.mlp.b_in"] = last.new_zeros(hidden[i]) if one is None else one
    return DeepMLP(deep, {name: weights[name].clone() for name in deep.shapes()})


def _linear(
    p: int, activation: str, tables: Mapping[str, Tensor], first: Mapping[str, Tensor], bias: Tensor | None
) -> Network:
    """Logits that are sums of a row for a and a row for b."""
    rows = {n: tables[n] @ w if tables else w for n, w in first.items()}
    answers = rows["a"].shape[1]
    config = DeepMLPConfig(
        p, hidden=(), d_embed=answers, summed=True, activation=activation, d_vocab_out=answers,
        biases=() if bias is None else ("b_U",),
    )  # fmt: skip
    weights = {
        "embed.W_E_a": rows["a"],
        "embed.W_E_b": rows["b"],
        "unembed.W_U": torch.eye(answers, dtype=rows["a"].dtype),
    }
    return DeepMLP(config, weights if bias is None else {**weights, "unembed.b_U": bias})


def chain_in(tensors: Mapping[str, Tensor]) -> Chain | None:
    """The MLP that the tensors make, or None where they do not make one.

    >>> names = {"emb.weight": torch.ones(7, 4), "fc1.weight": torch.ones(9, 8), "fc2.weight": torch.ones(7, 9)}
    >>> found = chain_in(names)
    >>> found.positions, found.tokens, found.answers
    (2, 7, 7)
    """
    if any(tensor.ndim not in (1, 2) or not tensor.is_floating_point() for tensor in tensors.values()):
        return None
    matrices = [name for name, tensor in tensors.items() if tensor.ndim == 2]
    named = [name for name in matrices if _TABLE.search(name) and "unemb" not in name.lower()]
    attempts = [named] if named else [matrices[:1], []]
    for tables in attempts:
        chain = _chained(tensors, tables, [name for name in matrices if name not in tables])
        if chain is not None:
            return chain
    return None


def _chained(tensors: Mapping[str, Tensor], tables: list[str], linear: list[str]) -> Chain | None:
    if not 0 <= len(tables) <= 2 or not 1 <= len(linear) <= 4:
        return None
    biases = {name: bias for name in linear if (bias := _bias_of(name, tensors))}
    if len(tensors) != len(tables) + len(linear) + len(biases):
        return None
    wide = any(tensor.dtype == torch.float64 for tensor in tensors.values())
    dtype = torch.float64 if wide else torch.float32
    for turned in (True, False):
        kept = [tensors[n].T if turned == n.lower().endswith("weight") else tensors[n] for n in linear]
        fits = all(x.shape[1] == y.shape[0] for x, y in itertools.pairwise(kept))
        fits &= all(
            n not in biases or len(tensors[biases[n]]) == w.shape[1]
            for n, w in zip(linear, kept, strict=True)
        )
        if tables:
            fits &= kept[0].shape[0] % tensors[tables[0]].shape[1] == 0
        if fits:
            layers = tuple(
                (w.to(dtype), tensors[biases[n]].to(dtype) if n in biases else None)
                for n, w in zip(linear, kept, strict=True)
            )
            return Chain(tuple(tensors[name].to(dtype) for name in tables), layers)
    return None


def _bias_of(name: str, tensors: Mapping[str, Tensor]) -> str | None:
    stem, _, last = name.rpartition(".")
    options = [re.sub("weight$", "bias", last), re.sub(r"^W", "b", last), re.sub(r"^w", "b", last)]
    for option in options:
        full = f"{stem}.{option}" if stem else option
        if option != last and full in tensors and tensors[full].ndim == 1:
            return full
    return None
