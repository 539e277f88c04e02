"""From the tensors of a network that is no known layout to everything that it takes to run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from modscope.checkpoints.axes import check_numbers
from modscope.checkpoints.chains import Chain, chain_in
from modscope.checkpoints.layered import layered_network
from modscope.checkpoints.layouts import GENERAL, Layout, recognised
from modscope.checkpoints.parts import NamedParts, named_parts
from modscope.checkpoints.settings import Settings
from modscope.checkpoints.trying import Found, operators_among, tried
from modscope.checkpoints.vocabulary import Vocabulary, possible_vocabularies, stated_vocabulary
from modscope.errors import CheckpointError
from modscope.model import Network

__all__ = ["general_network", "layout_of", "resolved"]

_ACTIVATIONS = ("relu", "gelu", "silu", "gelu_tanh", "quadratic", "tanh", "identity")


def layout_of(tensors: Mapping[str, Tensor], settings: Settings) -> Layout | None:
    """The layout of a file: a known one of one plain layer, else `GENERAL` where names or sizes tell a network."""
    known = recognised(tensors)
    if known is not None and not _is_more(tensors, settings, known):
        return known
    if named_parts(tensors) is not None or (known is None and chain_in(tensors) is not None):
        return GENERAL
    return known


def _is_more(tensors: Mapping[str, Tensor], settings: Settings, known: Layout) -> bool:
    """Whether a network whose names are of a known layout is more than one plain layer on (a, b) or (a, b, "=")."""
    stated = settings.sequence is not None or bool(settings.norm) or bool(settings.rotary)
    if known.family != "transformer" or stated:
        return stated
    parts = named_parts(tensors)
    if parts is None:
        return False
    more = any(role.startswith("ln") or role == "W_gate" for _, role in parts.roles.found)
    missing = any(source.tensor not in tensors for source in known.required.values())
    p = parts.answers if parts.answers < parts.tokens else settings.p or parts.tokens
    return more or missing or len(parts.roles.layers) > 1 or parts.tokens - p > 1


def general_network(
    tensors: Mapping[str, Tensor], settings: Settings, notes: list[str], vocabulary: Vocabulary | None = None
) -> Network:
    """The network of tensors told by names and sizes, for resolved settings."""
    chosen = vocabulary or settings.vocabulary
    if chosen is None:
        raise CheckpointError("the sequence of tokens is not known: give sequence = [...] in a mapping")
    parts = named_parts(tensors)
    if parts is not None:
        return layered_network(parts.weights(settings), settings, chosen, notes)
    for name, tensor in tensors.items():
        check_numbers(name, tensor)
    chain = chain_in(tensors)
    if chain is None:
        raise CheckpointError("the tensors are neither those of a transformer nor those of an MLP")
    return chain.network(settings, chosen)


def resolved(tensors: Mapping[str, Tensor], settings: Settings, notes: list[str]) -> Settings:
    """The settings with the vocabulary and all that tensors do not tell: as stated, else found by trying.

    Adds a note on what was found so, or on what had to be assumed.
    """
    if settings.vocabulary is not None:
        return settings
    parts, chain = named_parts(tensors), chain_in(tensors)
    if parts is not None:
        vocabularies, choices = _of_parts(parts, settings), _choices(parts, settings)
    else:
        assert chain is not None
        vocabularies = _of_chain(chain, settings)
        choices = _without_known({"activation": _ACTIVATIONS}, settings)

    def build(one: Settings, vocabulary: Vocabulary) -> Network:
        return general_network(tensors, one, [], vocabulary)

    found = tried(build, settings, vocabularies, choices)
    if not found.convinces:
        _refuse_guesses(parts, chain, settings, choices, found)
    if settings.sequence is None:
        tokens = parts.tokens if parts is not None else chain.tokens if chain is not None else 0
        named = operators_among(build, found, tokens, settings)
        found = replace(found, vocabulary=named)
    notes.append(_said(found, settings, choices))
    return replace(found.settings, vocabulary=found.vocabulary)


def _refuse_guesses(
    parts: NamedParts | None,
    chain: Chain | None,
    settings: Settings,
    choices: Mapping[str, tuple[Any, ...]],
    found: Found,
) -> None:
    """Raises CheckpointError where what nobody stated cannot be told from sizes, and trying did not tell it."""
    source = parts or chain
    assert source is not None
    tried_all = f"none of {found.tried} combinations answers better than guesses"
    p = settings.p or (source.answers if source.answers < source.tokens else None)
    names = [name for name in found.vocabulary.sequence if name not in ("a", "b")]
    usual = found.vocabulary.sequence in (("a", "b"), ("a", "b", "="))
    told = usual and source.tokens - len(names) in (p, None if p else source.tokens - len(names))
    if settings.sequence is None and not (told and (parts is not None or settings.p is not None)):
        positions = f", {source.positions} positions" if source.positions else ""
        raise CheckpointError(
            f"{source.tokens} tokens{positions}, {source.answers} answers do not tell what the network reads, and "
            f'{tried_all}: give p and sequence = ["a", "+", "b", "="] with tokens = {{"+" = ..., "=" = ...}}'
        )
    if "n_heads" in choices:
        raise CheckpointError(
            f"the number of heads does not show in the tensors, and {tried_all}: give n_heads"
        )


def _said(found: Found, settings: Settings, choices: Mapping[str, tuple[Any, ...]]) -> str:
    """What was found, or had to be assumed, in one sentence."""
    values = [f"{name.replace('_', ' ')} {_value(getattr(found.settings, name))}" for name in choices]
    values += [] if settings.sequence else [f"tokens {found.vocabulary}"]
    values += [] if settings.p else [f"p = {found.vocabulary.p}"]
    if not values:
        return "every switch was stated"
    if found.convinces:
        how = f"answers {found.operation} with {found.accuracy:.0%} of a sample right"
        return f"not stated, found by trying {found.tried}: {', '.join(values)}; the network so {how}"
    return f"assumed, not stated: {', '.join(values)}; none of {found.tried} combinations answers better than guesses"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in ("", None) else "none"


def _without_known(choices: Mapping[str, tuple[Any, ...]], settings: Settings) -> dict[str, tuple[Any, ...]]:
    """The choices that nobody stated and that are choices."""
    return {
        name: values
        for name, values in choices.items()
        if getattr(settings, name) is None and len(values) > 1
    }


def _of_chain(chain: Chain, settings: Settings) -> Iterable[Vocabulary]:
    if settings.sequence is not None:
        tokens = chain.tokens or chain.layers[0][0].shape[0] // len(settings.sequence.sequence)
        return [stated_vocabulary(settings.sequence, p=settings.p, tokens=tokens, positions=chain.positions)]
    if chain.tables:
        positions = chain.positions
        return possible_vocabularies(
            p=settings.p, tokens=chain.tokens, positions=positions, answers=chain.answers, exact=positions is not None
        )  # fmt: skip
    width = chain.layers[0][0].shape[0]
    return [
        vocabulary
        for count in (2, 3, 4)
        if width % count == 0
        for vocabulary in possible_vocabularies(
            p=settings.p, tokens=width // count, positions=count, answers=chain.answers, exact=True
        )
    ]


def _of_parts(parts: NamedParts, settings: Settings) -> Iterable[Vocabulary]:
    if settings.sequence is not None:
        return [
            stated_vocabulary(
                settings.sequence,
                p=settings.p,
                tokens=parts.tokens,
                positions=parts.positions,
                separate=parts.second is not None,
            )
        ]
    if parts.second is not None:
        return parts.separate_vocabularies(settings.p)
    positions = parts.positions
    return possible_vocabularies(
        p=settings.p, tokens=parts.tokens, positions=positions, answers=parts.answers,
        exact=positions is not None and positions <= 5,
    )  # fmt: skip


def _choices(parts: NamedParts, settings: Settings) -> dict[str, tuple[Any, ...]]:
    """What the tensors of a transformer do not tell, the usual value first."""
    roles = parts.roles
    gated = roles.has("W_gate")
    normed, final = roles.has("ln1.w"), roles.has("ln_final.w")
    shifted = roles.has("ln1.b")
    activations = ("silu", "gelu", "relu", "gelu_tanh") if gated else _ACTIVATIONS
    choices: dict[str, tuple[Any, ...]] = {
        "activation": activations if roles.has("W_in") else ("relu",),
        "norm_after": ((False, True) if final else (True, False)) if normed else (False,),
        "norm": ("layer",) if shifted else ("rms", "layer") if normed else ("",),
        "rotary": _rotary(parts),
        "fused": ("qkv", "heads") if parts.is_fused else ("qkv",),
        "n_heads": tuple(parts.head_counts()) if parts.has_merged_heads else (None,),
    }
    one_layer_read_last = len(roles.layers) == 1
    choices["causal"] = (True,) if one_layer_read_last else (True, False)
    if parts.sinusoidal:
        choices["embed_scale"] = (1.0, float(parts.d_model**0.5))
    return _without_known(choices, settings)


def _rotary(parts: NamedParts) -> tuple[str, ...]:
    if parts.roles.has("W_pos"):
        return ("",)
    return ("halves", "neighbours") if parts.roles.rotary else ("halves", "neighbours", "")
