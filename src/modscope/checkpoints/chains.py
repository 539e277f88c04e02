"""MLPs from their tensors: embeddings, then linear layers one after the other, told by sizes.

The first layer reads the embeddings of all positions side by side, or their sum; without embeddings tokens are
one-hot. What constant tokens add to it is a bias, and goes there exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

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
        p, activation = vocabulary.p, settings.activation or "relu"
        tables, first, constant = self._entering(vocabulary)
        layers = [(first, self._bias(0, constant)), *self.layers[1:]]
        answers = self.answers
        if answers < p:
            raise CheckpointError(f"{answers} answers for p = {p} residues: expected at least as many")
        start = vocabulary.first if answers >= vocabulary.first + p else 0
        last, bias = layers[-1]
        cut = {name: w[:, start : start + p] for name, w in last.items()} if isinstance(last, dict) else last[:, start : start + p]
        layers[-1] = (cut, None if bias is None else bias[start : start + p])  # type: ignore[assignment]
        return _network(p, activation, tables, layers, summed=self.summed)

    def _bias(self, layer: int, constant: Tensor | None) -> Tensor | None:
        bias = self.layers[layer][1]
        return bias if constant is None else constant if bias is None else bias + constant

    def _entering(
        self, vocabulary: Vocabulary
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """The tables of a and b, the parts of the first layer that read them, and what constants add."""
        weight, p = self.layers[0][0], vocabulary.p
        starts = {"a": vocabulary.first, "b": vocabulary.first if vocabulary.second is None else vocabulary.second}
        width = self.tables[0].shape[1] if self.tables else weight.shape[0] // (len(vocabulary.sequence))
        if not self.summed and weight.shape[0] != width * len(vocabulary.sequence):
            raise CheckpointError(
                f"the first layer reads {weight.shape[0]} numbers, which are not {len(vocabulary.sequence)} positions"
            )
        tables, parts, constant = {}, {}, None
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
                raise CheckpointError(f"{name} stands twice in the sequence: this MLP reads each residue once")
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
    layers: list[tuple[Mapping[str, Tensor] | Tensor, Tensor | None]],
    *,
    summed: bool,
) -> Network:
    first, last = layers[0][0], layers[-1][0]
    assert isinstance(first, Mapping)
    if len(layers) == 1:
        return _linear(p, activation, tables, first, layers[0][1])
    assert isinstance(last, Tensor)
    biases = tuple(n for n, b in (("b_in", any(b is not None for _, b in layers[:-1])), ("b_U", layers[-1][1] is not None)) if b)
    d_embed = tables["a"].shape[1] if tables else None
    if len(layers) == 2:
        config = PairMLPConfig(
            p, d_hidden=last.shape[0], d_embed=d_embed, activation=activation, d_vocab_out=last.shape[1], biases=biases
        )
        weights = {f"embed.W_E_{n}": table for n, table in tables.items()} | {f"mlp.W_in_{n}": w for n, w in first.items()}
        weights |= {"unembed.W_U": last}
        weights |= {n: b for n, b in (("mlp.b_in", layers[0][1]), ("unembed.b_U", layers[1][1])) if b is not None}
        return PairMLP(config, {name: weights[name].clone() for name in config.shapes()})
    shared = bool(tables) and torch.equal(tables["a"], tables["b"])
    hidden = (next(iter(first.values())).shape[1], *(w.shape[1] for w, _ in layers[1:-1] if isinstance(w, Tensor)))
    deep = DeepMLPConfig(
        p, hidden=hidden, d_embed=d_embed, shared=shared, summed=summed, activation=activation,
        d_vocab_out=last.shape[1], biases=biases,
    )  # fmt: skip
    weights = {"embed.W_E": tables["a"]} if shared else {f"embed.W_E_{n}": table for n, table in tables.items()}
    weights |= {"blocks.0.mlp.W_in": first["a"]} if summed else {f"blocks.0.mlp.W_in_{n}": w for n, w in first.items()}
    for i, (matrix, bias) in enumerate(layers[1:-1], 1):
        assert isinstance(matrix, Tensor)
        weights[f"blocks.{i}.mlp.W_in"] = matrix
    for i, (_, bias) in enumerate(layers[:-1]):
        weights[f"blocks.{i}.mlp.b_in"] = torch.zeros(hidden[i]) if bias is None else bias
    weights["unembed.W_U"] = last
    if layers[-1][1] is not None:
        weights["unembed.b_U"] = layers[-1][1]
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
    weights = {"embed.W_E_a": rows["a"], "embed.W_E_b": rows["b"], "unembed.W_U": torch.eye(answers)}
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
    for turned in (True, False):
        kept = [tensors[n].T if turned == n.lower().endswith("weight") else tensors[n] for n in linear]
        fits = all(x.shape[1] == y.shape[0] for x, y in zip(kept, kept[1:], strict=False))
        fits &= all(n not in biases or len(tensors[biases[n]]) == w.shape[1] for n, w in zip(linear, kept, strict=True))
        if tables:
            fits &= kept[0].shape[0] % tensors[tables[0]].shape[1] == 0
        if fits:
            layers = tuple((w.float(), tensors[biases[n]].float() if n in biases else None) for n, w in zip(linear, kept, strict=True))
            return Chain(tuple(tensors[name].float() for name in tables), layers)
    return None


def _bias_of(name: str, tensors: Mapping[str, Tensor]) -> str | None:
    stem, _, last = name.rpartition(".")
    options = [re.sub("weight$", "bias", last), re.sub(r"^W", "b", last), re.sub(r"^w", "b", last)]
    for option in options:
        full = f"{stem}.{option}" if stem else option
        if option != last and full in tensors and tensors[full].ndim == 1:
            return full
    return None
