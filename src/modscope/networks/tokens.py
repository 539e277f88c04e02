"""The rows of weights that stand for residues: read, changed or renamed alike in every kind of network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from modscope.errors import InputError
from modscope.model import Network, Transformer
from modscope.networks.deep_mlp import DeepMLPConfig
from modscope.networks.layered_config import LayeredConfig

__all__ = [
    "is_residue",
    "pair_logits",
    "read_position",
    "renamed",
    "residue_positions",
    "residue_rows",
    "untied",
    "with_residue_copies",
    "with_residue_rows",
    "with_second_residues",
]


def residue_positions(network: Network) -> tuple[int, int]:
    """The numbers of the (first) positions of a and of b in the input.

    >>> from modscope.networks.layered import LayeredTransformer
    >>> config = LayeredConfig(5, sequence=("a", "+", "b"), constants=("+",), d_model=8)
    >>> residue_positions(LayeredTransformer.initialised(config))
    (0, 2)
    """
    positions = network.config.positions
    return positions.index("a"), positions.index("b")


def read_position(network: Network) -> str:
    """The name of the position where the answer is read."""
    config = network.config
    return config.read if isinstance(config, LayeredConfig) else config.positions[-1]


def is_residue(network: Network, position: str) -> bool:
    """Whether a residue stands at a position of the input, and not a constant token."""
    config = network.config
    sequence = config.sequence if isinstance(config, LayeredConfig) else config.positions
    return sequence[config.positions.index(position)] in ("a", "b")


def _tables(network: Network) -> dict[str, tuple[int, ...]]:
    """Weight -> where in it blocks of p rows by residue begin, those of a first."""
    config = network.config
    if isinstance(config, LayeredConfig):
        return {"embed.W_E": (0, config.p) if config.separate else (0,)}
    embedded = [name for name in network.weights if name.startswith("embed.W_E")]
    if embedded:
        return dict.fromkeys(embedded, (0,))
    if isinstance(config, DeepMLPConfig):
        names = [name for name in network.weights if name.startswith("blocks.0.mlp.W_in")] or ["unembed.W_U"]
        return dict.fromkeys(names, (0,))
    return {"mlp.W_in_a": (0,), "mlp.W_in_b": (0,)}


def residue_rows(network: Network) -> list[Tensor]:
    """The tables [residue, feature] through which tokens enter: one where a and b share it, else a's and b's.

    Rows of the embedding; where tokens are one-hot, of the first layer.

    >>> from modscope.model import PairMLP, PairMLPConfig
    >>> [tuple(rows.shape) for rows in residue_rows(PairMLP.initialised(PairMLPConfig(5, d_hidden=8)))]
    [(5, 8), (5, 8)]
    """
    p = network.config.p
    return [
        network.weights[name][start : start + p]
        for name, starts in _tables(network).items()
        for start in starts
    ]


def untied(network: Network) -> Network:
    """The same network with an unembedding of its own, so that its embedding can be changed alone."""
    config: Any = network.config
    if not getattr(config, "tied", False):
        return network
    weights = {**network.weights, "unembed.W_U": network.weight("W_U").clone()}
    return type(network)(replace(config, tied=False), weights)


def with_residue_rows(network: Network, *changes: Callable[[Tensor], Tensor]) -> Network:
    """The network with each of its tables [residue, feature] replaced by what `change` makes of it.

    One change is for every table; of two the first is for a's and the second for b's, which a network with one
    table for both has not (InputError). The rows of constant tokens and the unembedding stay as they are.
    """
    network, p = untied(network), network.config.p
    tables = [(name, start) for name, starts in _tables(network).items() for start in starts]
    if len(changes) not in (1, len(tables)):
        raise InputError(f"{len(changes)} changes of tokens: the network has {len(tables)} table of residues")
    weights = dict(network.weights)
    for i, (name, start) in enumerate(tables):
        rows = weights[name].detach().clone()
        rows[start : start + p] = changes[i % len(changes)](rows[start : start + p].clone())
        weights[name] = rows
    return type(network)(network.config, weights)


def with_second_residues(network: Network, change: Callable[[Tensor], Tensor]) -> Network:
    """The network with one table for a and b that knows 2p tokens: p + i is token i after a change of the table.

    So one of the two positions can read changed tokens (`pair_tokens(p + a, b)`) while the other reads them as they
    are. Raises InputError for a network with tables of their own for a and b.

    >>> from modscope.model import Transformer, TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2))
    >>> with_second_residues(network, lambda rows: rows.roll(1, 0)).config.p
    10
    """
    rows = residue_rows(network)
    own = rows[0].detach().clone()
    return with_residue_copies(network, [own, change(own.clone())])


def with_residue_copies(network: Network, copies: Sequence[Tensor]) -> Network:
    """The network with one table for a and b that knows several tables of p residues: p i + n is token n of copy i.

    Each position can read another copy (`pair_tokens(p + a, 2 * p + b)`), and pairs of several copies run as one batch.
    Raises InputError for a network with tables of their own for a and b.

    >>> from modscope.model import Transformer, TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2))
    >>> rows = residue_rows(network)[0]
    >>> with_residue_copies(network, [rows, rows.roll(1, 0), rows.roll(2, 0)]).config.p
    15
    """
    network, p = untied(network), network.config.p
    tables = [(name, start) for name, starts in _tables(network).items() for start in starts]
    if len(tables) != 1:
        raise InputError(f"the network has {len(tables)} tables of residues: expected one for a and b")
    name = tables[0][0]
    config: Any = network.config
    weights = network.weights | {name: torch.cat((*copies, network.weights[name].detach()[p:]))}
    return type(network)(replace(config, p=len(copies) * p, d_vocab_out=config.answers), weights)


def pair_logits(network: Network, a: Tensor, b: Tensor) -> Tensor:
    """The logits of some pairs, [pair, answer]; in a one-layer transformer what depends on one token is computed once a token.

    >>> from modscope.model import Transformer, TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2))
    >>> a, b = torch.tensor([1, 4, 2]), torch.tensor([0, 3, 2])
    >>> bool(torch.allclose(pair_logits(network, a, b), network(network.pair_tokens(a, b)), atol=1e-6))
    True
    """
    if not isinstance(network, Transformer) or len(a) < network.config.p:
        return network(network.pair_tokens(a, b))
    if not network.config.equals:
        residues = torch.arange(network.config.p)
        kept = network.run(network.pair_tokens(residues, residues), keep=("resid_pre", "q", "k", "v"))
        given = {name: torch.stack((kept[name][a, 0], kept[name][b, 1]), dim=1) for name in ("k", "v")}
        return network.run(replace=given | {name: kept[name][b] for name in ("q", "resid_pre")})["logits"]
    return network.run(replace=_of_pairs(network, a, b))["logits"]


def _of_pairs(network: Transformer, a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """The pattern of some pairs read at "=", what it mixes, and the stream that it is added to."""
    residues = torch.arange(network.config.p)
    stream = network.run(network.pair_tokens(residues, residues), keep=("resid_pre",))["resid_pre"]
    of_equals = network.run(replace={"resid_pre": stream[:1, 2:]}, keep=("q", "k", "v"))
    values = network.run(replace={"resid_pre": stream[:, :2]}, keep=("v",))["v"]
    # one query reads all keys: what it reads of the stream is one vector a head, so keys are never made
    q, scale = of_equals["q"][0, 0], network.config.head_size**0.5
    scores = stream[:, :2] @ torch.einsum("hm,hdm->dh", q, network.weight("W_K"))
    if network.has_weight("b_K"):
        scores += torch.einsum("hm,hm->h", q, network.weight("b_K"))
    constant = torch.einsum("hm,hm->h", q, of_equals["k"][0, 0]).expand(len(a), -1)
    of_a, of_b = (scores[:, i].contiguous().index_select(0, x) for i, x in enumerate((a, b)))
    at_read = torch.stack((of_a, of_b, constant), dim=-1) / scale
    pattern = network.run(keep=("pattern",), replace={"attn_scores": at_read})["pattern"]
    v_a, v_b = (values[:, i].contiguous().index_select(0, x) for i, x in enumerate((a, b)))
    z = v_a.mul_(pattern[..., 0:1]).addcmul_(pattern[..., 1:2], v_b)
    z.addcmul_(pattern[..., 2:3], of_equals["v"][0, 0])
    return {"pattern": pattern, "z": z, "resid_pre": stream[:1].expand(len(a), -1, -1)}


def renamed(network: Network, residues: Sequence[int], answers: Sequence[int] | None = None) -> Network:
    """The network whose token i and answer i stand for residues[i]; residues not listed are left out.

    answers: the residues of the answers, where they are others than those of the tokens.

    Raises InputError where the network has fewer answers than residues.

    >>> from modscope.model import PairMLP, PairMLPConfig
    >>> network = PairMLP.initialised(PairMLPConfig(5, d_hidden=8))
    >>> mirrored = renamed(network, [0, 4, 3, 2, 1])
    >>> bool((mirrored.all_logits()[1, 2, 3] == network.all_logits()[4, 3, 2]).all())
    True
    """
    network = untied(network)
    config: Any = network.config
    p, order = config.p, torch.as_tensor(list(residues))
    read = order if answers is None else torch.as_tensor(list(answers))
    if config.answers < p:
        raise InputError(f"{config.answers} answers: expected p = {p} or more")
    weights = dict(network.weights)
    for name, starts in _tables(network).items():
        rows = weights[name]
        blocks = [rows[start : start + p][order] for start in starts]
        weights[name] = torch.cat([*blocks, rows[len(starts) * p :]])
    for name in weights:
        if name.startswith("unembed."):
            weights[name] = weights[name][..., read]
    return type(network)(replace(config, p=len(order), d_vocab_out=len(order)), weights)
