"""Layered networks from tensors by canonical name: vocabulary cut out, norms folded, one-layer ones made plain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from modscope.checkpoints.settings import Settings
from modscope.checkpoints.vocabulary import Vocabulary
from modscope.errors import CheckpointError
from modscope.model import Network, Transformer, TransformerConfig
from modscope.networks.layered import LayeredTransformer
from modscope.networks.layered_config import LayeredConfig

__all__ = ["layered_network"]

Weights = dict[str, Tensor]


def layered_network(
    weights: Weights, settings: Settings, vocabulary: Vocabulary, notes: list[str]
) -> Network:
    """The network of canonical weights (`blocks.0.attn.W_Q`, ...) in the file's vocabulary.

    Norms before a linear map are folded into it, tokens and answers that the input does not use are left out, and
    what is one plain layer on (a, b) or (a, b, "=") becomes the one-layer `Transformer`.
    """
    weights = dict(weights)
    _refuse_two_kinds_of_positions(weights, settings)
    _untie(weights, notes)
    _scale_embedding(weights, settings, notes)
    _cut_tokens(weights, vocabulary, notes)
    _cut_positions(weights, vocabulary, notes)
    _fold_attention_scale(weights, settings, notes)
    config = _config(weights, settings, vocabulary)
    weights = _with_equal_norms(weights, config)
    config, weights = _folded(config, weights, notes)
    network = LayeredTransformer(config, {name: weights[name] for name in config.shapes()})
    return _plain(network)


def _refuse_two_kinds_of_positions(weights: Weights, settings: Settings) -> None:
    if settings.rotary and "pos_embed.W_pos" in weights:
        raise CheckpointError("positions are stated to be rotary, and the file has a table of positions")


def _untie(weights: Weights, notes: list[str]) -> None:
    if "unembed.W_U" not in weights:
        weights["unembed.W_U"] = weights["embed.W_E"].T.contiguous()
        notes.append("no unembedding in the file: taken to be the embedding transposed")


def _scale_embedding(weights: Weights, settings: Settings, notes: list[str]) -> None:
    if settings.embed_scale not in (None, 1.0):
        weights["embed.W_E"] = weights["embed.W_E"] * settings.embed_scale
        notes.append(f"embedding times {settings.embed_scale:g}, folded into W_E")


def _cut_tokens(weights: Weights, vocabulary: Vocabulary, notes: list[str]) -> None:
    table, p, first = weights["embed.W_E"], vocabulary.p, vocabulary.first
    blocks = [table[first : first + p]]
    if vocabulary.second is not None:
        blocks.append(table[vocabulary.second : vocabulary.second + p])
    for number in vocabulary.numbers.values():
        blocks.append(table.new_zeros(1, table.shape[1]) if number is None else table[number : number + 1])
    weights["embed.W_E"] = torch.cat(blocks)
    left = len(table) - len(weights["embed.W_E"]) + sum(n is None for n in vocabulary.numbers.values())
    if left > 0:
        notes.append(f"{left} of {len(table)} tokens are not in the sequence and were left out")
    answers = weights["unembed.W_U"].shape[1]
    start = first if answers >= first + p else 0
    if answers < p:
        raise CheckpointError(f"{answers} answers for p = {p} residues: expected at least as many")
    for name in ("unembed.W_U", "unembed.b_U"):
        if name in weights:
            weights[name] = weights[name][..., start : start + p].contiguous()
    if answers > p:
        notes.append(f"{answers - p} of {answers} answers are no residues and were left out of the logits")


def _cut_positions(weights: Weights, vocabulary: Vocabulary, notes: list[str]) -> None:
    table = weights.get("pos_embed.W_pos")
    if table is None:
        return
    count = len(vocabulary.sequence)
    if len(table) < count:
        raise CheckpointError(
            f"sequence {' '.join(vocabulary.sequence)} has {count} tokens; the network has {len(table)} positions"
        )
    if len(table) > count:
        notes.append(f"W_pos has {len(table)} positions, of which the input uses {count}")
    weights["pos_embed.W_pos"] = table[:count].clone()


def _fold_attention_scale(weights: Weights, settings: Settings, notes: list[str]) -> None:
    usual = weights["blocks.0.attn.W_Q"].shape[2] ** 0.5
    scale = settings.attention_scale
    if scale is None or abs(scale - usual) < 1e-6 * usual:
        return
    for name in weights:
        if name.endswith(("attn.W_Q", "attn.b_Q")):
            weights[name] = weights[name] * (usual / scale)
    notes.append(f"scores divided by {scale:g} instead of sqrt(d_head): folded into W_Q")


def _config(weights: Weights, settings: Settings, vocabulary: Vocabulary) -> LayeredConfig:
    layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    if settings.n_layers not in (None, layers):
        raise CheckpointError(f"n_layers = {settings.n_layers}: the tensors are those of {layers}")
    heads, d_model, d_head = weights["blocks.0.attn.W_Q"].shape
    has_mlp = "blocks.0.mlp.W_in" in weights
    norms = [name for name in weights if name.split(".")[-2].startswith("ln")]
    return LayeredConfig(
        vocabulary.p,
        n_layers=layers,
        d_model=d_model,
        n_heads=heads,
        d_head=d_head,
        n_kv_heads=weights["blocks.0.attn.W_K"].shape[0],
        d_mlp=weights["blocks.0.mlp.W_in"].shape[1] if has_mlp else 0,
        sequence=vocabulary.sequence,
        constants=tuple(vocabulary.numbers),
        separate=vocabulary.second is not None,
        table="pos_embed.W_pos" in weights,
        rotary=settings.rotary or "",
        rotary_base=settings.rotary_base or 10000.0,
        rotary_width=settings.rotary_width or 0,
        causal=True if settings.causal is None else settings.causal,
        attention_rate=1.0 if settings.attention_rate is None else settings.attention_rate,
        activation=settings.activation or ("silu" if "blocks.0.mlp.W_gate" in weights else "relu"),
        gated="blocks.0.mlp.W_gate" in weights,
        norm=settings.norm or ("layer" if norms else ""),
        norm_after=bool(settings.norm_after),
        norm_final=_has_final_norm(weights, settings, norms),
        norm_weights=tuple(kind for kind in "wb" if any(name.endswith(f".{kind}") for name in norms)),
        norm_epsilon=1e-5 if settings.norm_epsilon is None else settings.norm_epsilon,
        biases=tuple(dict.fromkeys(n.split(".")[-1] for n in weights if n.split(".")[-1].startswith("b_"))),
    )


def _has_final_norm(weights: Weights, settings: Settings, norms: list[str]) -> bool:
    if norms:
        return any(name.startswith("ln_final") for name in norms)
    return bool(settings.norm) and not settings.norm_after


def _with_equal_norms(weights: Weights, config: LayeredConfig) -> Weights:
    """The weights with ones and zeros where one norm or layer lacks what another has."""
    every, dtype = dict(weights), weights["embed.W_E"].dtype
    for name, shape in config.shapes().items():
        if name in every:
            continue
        short = name.split(".")[-1]
        if short == "w":
            every[name] = torch.ones(shape, dtype=dtype)
        elif short == "b" or short.startswith("b_"):
            every[name] = torch.zeros(shape, dtype=dtype)
        else:
            raise CheckpointError(f"missing {name}, which other layers have")
    return every


def _folded(config: LayeredConfig, weights: Weights, notes: list[str]) -> tuple[LayeredConfig, Weights]:
    """The same network whose norms before linear maps have no weights: they are in the maps."""
    if not config.norm_weights or config.norm_after:
        return config, weights
    weights, biases = dict(weights), set(config.biases)
    readers = {"ln1": ("attn.{}_Q", "attn.{}_K", "attn.{}_V"), "ln2": ("mlp.{}_gate", "mlp.{}_in")}
    for layer in range(config.n_layers):
        for norm, maps in readers.items():
            names = [f"blocks.{layer}.{one}" for one in maps]
            biases |= _fold(weights, f"blocks.{layer}.{norm}", names)
    biases |= _fold(weights, "ln_final", ["unembed.{}_U"])
    notes.append("the weights of the norms were folded into the maps that follow them")
    values = {**asdict(config), "norm_weights": (), "biases": tuple(sorted(biases))}
    folded = LayeredConfig(**values)
    return folded, _with_equal_norms(weights, folded)


def _fold(weights: Weights, norm: str, maps: list[str]) -> set[str]:
    gain, shift = weights.pop(f"{norm}.w", None), weights.pop(f"{norm}.b", None)
    made = set()
    for pattern in maps:
        name, bias = pattern.format("W"), pattern.format("b")
        if name not in weights:
            continue
        matrix = weights[name]
        if shift is not None:
            added = torch.einsum("d,...dm->...m", shift.double(), matrix.double()).to(matrix.dtype)
            weights[bias] = added + weights[bias] if bias in weights else added
            made.add(bias.split(".")[-1])
        if gain is not None:
            weights[name] = matrix * gain[:, None]
    return made


def _plain(network: LayeredTransformer) -> Network:
    """The one-layer transformer where the network is nothing more."""
    c = network.config
    plain = (
        c.n_layers == 1 and not c.norm and not c.gated and c.d_mlp and c.table and not c.rotary
        and c.kv_heads == c.n_heads and not c.separate and c.read == c.positions[-1]
        and (c.sequence == ("a", "b") or (c.sequence[:2] == ("a", "b") and len(c.sequence) == 3))
        and len(c.constants) == len(c.sequence) - 2
    )  # fmt: skip
    if not plain:
        return network
    values: Mapping[str, Any] = {
        name: getattr(c, name)
        for name in ("d_model", "n_heads", "d_head", "d_mlp", "causal", "attention_rate", "activation", "d_vocab_out", "biases")
    }  # fmt: skip
    config = TransformerConfig(c.p, equals=len(c.sequence) == 3, **values)
    return Transformer(config, network.weights)
