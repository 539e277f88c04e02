"""From the tensors of a known layout to a network: every tensor accounted for, every size agreed upon."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from modscope.checkpoints.axes import arranged, axis_sizes, check_numbers
from modscope.checkpoints.layouts import CANONICAL, Layout
from modscope.checkpoints.mapped import canonical_tensors
from modscope.checkpoints.resolving import general_network
from modscope.checkpoints.settings import Settings
from modscope.errors import CheckpointError, InputError, listed
from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig

__all__ = ["assembled"]

_BIASES = {"transformer": ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U"), "mlp": ("b_in", "b_U")}


def assembled(
    layout: Layout,
    tensors: Mapping[str, Tensor],
    settings: Settings,
    *,
    sizes: Mapping[str, int],
    source: object,
) -> tuple[Network, list[str]]:
    """The network whose weights are stored in a layout, and notes on what was left out of the file.

    Raises CheckpointError where a tensor is missing, unknown, not finite, not of floating point, or of a size
    that does not fit the others or p.
    """
    try:
        if layout.family == "general":
            notes: list[str] = []
            named = canonical_tensors(layout, tensors, settings, sizes)
            return general_network(named, settings, notes), notes
        if layout.family == "transformer" and settings.n_layers not in (None, 1):
            raise CheckpointError(f"n_layers = {settings.n_layers}: the tensors are those of one layer")
        notes = _account(layout, tensors)
        sizes = _all_sizes(layout, tensors, settings, sizes)
        weights = _weights(layout, tensors, sizes)
        if layout.family == "mlp":
            return _pair_mlp(weights, settings), notes
        return _transformer(weights, settings, notes), notes
    except (CheckpointError, InputError) as error:
        raise CheckpointError(f"{source}: {layout.title}: {error}") from error


def _account(layout: Layout, tensors: Mapping[str, Tensor]) -> list[str]:
    """Refuses what is missing or unknown; a tensor that repeats another is left out with a note."""
    used = {source.tensor for source in layout.sources.values() if source.tensor in tensors}
    extra = [name for name in tensors if name not in used and name not in layout.buffers]
    missing = [
        source.tensor
        for source in layout.required.values()
        if source.constant is None and source.tensor not in tensors
    ]
    repeats = {
        name: next((other for other in used if torch.equal(tensors[name], tensors[other])), None)
        for name in extra
    }
    unknown = [f"{name} {tuple(tensors[name].shape)}" for name in extra if repeats[name] is None]
    found = []
    if missing:
        found.append(f"missing {listed(dict.fromkeys(missing))}")
    if unknown:
        found.append(f"tensors that are not of this layout: {listed(unknown)}")
    if found:
        raise CheckpointError("; ".join(found))
    return [f"{name} repeats {repeats[name]} and was left out" for name in extra]


def _all_sizes(
    layout: Layout, tensors: Mapping[str, Tensor], settings: Settings, sizes: Mapping[str, int]
) -> dict[str, int]:
    known = {**layout.sizes, **sizes}
    if settings.n_heads is not None:
        known.setdefault("head", settings.n_heads)
    if settings.d_head is not None:
        known.setdefault("d_head", settings.d_head)
    patterns = {
        # Two weights may come from one tensor, so the weight's name is part of the key.
        f"{weight} ({source.tensor})": (tuple(tensors[source.tensor].shape), source.axes)
        for weight, source in layout.sources.items()
        if source.tensor in tensors
    }
    return axis_sizes(patterns, known)


def _weights(layout: Layout, tensors: Mapping[str, Tensor], sizes: Mapping[str, int]) -> dict[str, Tensor]:
    weights = {}
    wanted = CANONICAL[layout.family]
    for weight, source in layout.sources.items():
        if source.constant is not None:
            shape = [sizes[axis] for axis in wanted[weight].split()]
            weights[weight] = torch.full(shape, float(source.constant))
        elif source.tensor in tensors:
            check_numbers(source.tensor, tensors[source.tensor])
            weights[weight] = arranged(tensors[source.tensor], source, wanted[weight], sizes)
    wide = any(weight.dtype == torch.float64 for weight in weights.values())
    return {name: weight.to(torch.float64 if wide else torch.float32) for name, weight in weights.items()}


def _modulus(vocab: int, positions: int, answers: int, settings: Settings) -> tuple[int, bool]:
    """p and whether there is "=", from the numbers of tokens, positions and answers."""
    equals = settings.equals
    if equals is None:
        equals = positions >= 3 if settings.p is None else vocab > settings.p and positions >= 3
    p = vocab - equals if settings.p is None else settings.p
    fits = vocab in (p, p + 1) if not equals else vocab == p + 1
    # A third position is for "=": a p that leaves no token for it is another network's.
    fits = fits and not (settings.equals is None and not equals and positions > 2)
    if not fits or answers < p or positions < 2 + equals:
        with_equals = ' and "="' if equals else ""
        raise CheckpointError(
            f"p = {p} does not fit: {vocab} tokens, {positions} positions, {answers} answers; expected {p} residues"
            f"{with_equals}, that is {p + equals} tokens, {2 + equals} positions and at least {p} answers"
        )
    if settings.p is None and answers not in (p, p + 1):
        raise CheckpointError(f"{vocab} tokens and {answers} answers do not tell p: give p")
    return p, equals


def _transformer(weights: dict[str, Tensor], settings: Settings, notes: list[str]) -> Transformer:
    vocab, d_model = weights["W_E"].shape
    p, equals = _modulus(vocab, weights["W_pos"].shape[0], weights["W_U"].shape[1], settings)
    _trim(weights, "W_E", 0, p + equals, "token", notes)
    _trim(weights, "W_pos", 0, 2 + equals, "position", notes)
    _trim_answers(weights, p, notes)
    n_heads, _, d_head = weights["W_Q"].shape
    _fold_attention_scale(weights, settings, notes)
    config = TransformerConfig(
        p,
        d_model=d_model,
        n_heads=n_heads,
        d_head=d_head,
        d_mlp=weights["W_in"].shape[1],
        equals=equals,
        causal=True if settings.causal is None else settings.causal,
        attention_rate=1.0 if settings.attention_rate is None else settings.attention_rate,
        activation=settings.activation or "relu",
        biases=tuple(name for name in _BIASES["transformer"] if name in weights),
    )
    return Transformer(config, _named(weights, config))


def _pair_mlp(weights: dict[str, Tensor], settings: Settings) -> PairMLP:
    embedded = "W_E_a" in weights
    p = weights["W_E_a" if embedded else "W_in_a"].shape[0]
    if settings.p not in (None, p):
        raise CheckpointError(f"p = {settings.p} does not fit: {p} tokens; expected {settings.p}")
    if weights["W_U"].shape[1] != p:
        raise CheckpointError(f"{p} tokens and {weights['W_U'].shape[1]} answers: expected as many of each")
    config = PairMLPConfig(
        p,
        d_hidden=weights["W_U"].shape[0],
        d_embed=weights["W_E_a"].shape[1] if embedded else None,
        activation=settings.activation or "relu",
        biases=tuple(name for name in _BIASES["mlp"] if name in weights),
    )
    return PairMLP(config, _named(weights, config))


def _named(weights: Mapping[str, Tensor], config: TransformerConfig | PairMLPConfig) -> dict[str, Tensor]:
    return {full: weights[full.split(".")[-1]] for full in config.shapes()}


def _trim(weights: dict[str, Tensor], name: str, dim: int, kept: int, unit: str, notes: list[str]) -> None:
    size = weights[name].shape[dim]
    if size > kept:
        weights[name] = weights[name].narrow(dim, 0, kept).clone()
        notes.append(f"{name} has {size} {unit}s, of which the input uses {kept}; the rest was left out")


def _trim_answers(weights: dict[str, Tensor], p: int, notes: list[str]) -> None:
    answers = weights["W_U"].shape[1]
    if answers > p:
        weights["W_U"] = weights["W_U"][:, :p].clone()
        if "b_U" in weights:
            weights["b_U"] = weights["b_U"][:p].clone()
        what = 'the answer "="' if answers == p + 1 else f"{answers - p} answers"
        notes.append(f"{what} beyond the residues was left out of the logits")


def _fold_attention_scale(weights: dict[str, Tensor], settings: Settings, notes: list[str]) -> None:
    usual = weights["W_Q"].shape[2] ** 0.5
    scale = settings.attention_scale
    if scale is None or abs(scale - usual) < 1e-6 * usual:
        return
    for name in ("W_Q", "b_Q"):
        if name in weights:
            weights[name] = weights[name] * (usual / scale)
    notes.append(f"scores divided by {scale:g} instead of sqrt(d_head): folded into W_Q")
