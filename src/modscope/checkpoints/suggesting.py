"""A mapping for an unknown layout, filled in as far as names and sizes allow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from torch import Tensor

from modscope.checkpoints.chains import Chain, chain_in
from modscope.checkpoints.layouts import CANONICAL
from modscope.checkpoints.parts import NamedParts, named_parts
from modscope.checkpoints.settings import Settings

__all__ = ["draft", "looks_like", "suggested_mapping"]

_LISTED = 60
_CHARACTERS = 24  # tokens; fewer with many positions are digits and signs
_NORMS = r"(^|[._])(ln|norm|layer_?norm|rms_?norm|rms)[\d_]*([._]|$)"

# weight -> what its tensor tends to be called; the first that fits takes the tensor
_NAMES: Mapping[str, str] = {
    "W_pos": r"pos",
    "W_U": r"unembed|lm_head|w_u\b|readout|classifier|fc_out|(^|\.)(head|output|decoder)\.",
    "W_E": r"emb|wte|tok|w_e\b",
    "W_Q": r"(^|[._])(w_?q|q|query|queries|q_proj|to_q)([._]|$)",
    "W_K": r"(^|[._])(w_?k|k|key|keys|k_proj|to_k)([._]|$)",
    "W_V": r"(^|[._])(w_?v|v|value|values|v_proj|to_v)([._]|$)",
    "W_O": r"attn.*(out|c_proj|proj)|(^|[._])(w_?o|o|o_proj|out_proj|to_out)([._]|$)",
    "W_in": r"w_in|fc1|c_fc|up_proj|linear1|lin1|(mlp|ff|ffn)\.(0|in|fc_in|net\.0)",
    "W_out": r"w_out|fc2|c_proj|down_proj|linear2|lin2|(mlp|ff|ffn)\.(2|3|out|fc_out|net\.2)",
}
_FUSED = r"in_proj|qkv|c_attn"
# The order of axes that PyTorch's own modules have: embeddings by entry, linear layers by output.
_MODULE_AXES: Mapping[str, str] = {
    "W_pos": "pos d_model",
    "W_U": "answer d_model",
    "W_E": "vocab d_model",
    "W_Q": "(head d_head) d_model",
    "W_K": "(head d_head) d_model",
    "W_V": "(head d_head) d_model",
    "W_O": "d_model (head d_head)",
    "W_in": "d_mlp d_model",
    "W_out": "d_model d_mlp",
}


def suggested_mapping(tensors: Mapping[str, Tensor], settings: Settings | None = None) -> str:
    """The tensors of a file, what kind of network they look like, and the mapping that would read them, to be completed.

    What names and sizes do not tell is asked for with a question mark.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    listed = [f"  {name} {shape}" for name, shape in list(shapes.items())[:_LISTED]]
    if len(shapes) > _LISTED:
        listed.append(f"  ... and {len(shapes) - _LISTED} more")
    return "\n".join(
        [
            "It has the tensors",
            *listed,
            f"This looks like {looks_like(tensors)}.",
            "Say what is missing in a TOML file and give it as --mapping (mapping=...); `modscope inspect PATH --draft FILE` "
            "writes it. Filled in as far as can be told:",
            "",
            draft(tensors, settings),
        ]
    )


def draft(tensors: Mapping[str, Tensor], settings: Settings | None = None) -> str:
    """A mapping for the tensors of a file as TOML, with what is known filled in and a comment for what is asked.

    Where names or sizes tell every weight it has settings alone, else a line for each weight.
    """
    settings = settings or Settings()
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    head = [f"# {looks_like(tensors)}"]
    parts, chain = named_parts(tensors), chain_in(tensors)
    if parts is not None:
        return "\n".join([*head, "[settings]  # names tell every weight", *_of_parts(parts, settings)])
    if chain is not None:
        return "\n".join([*head, "[settings]  # sizes tell every layer", *_of_chain(chain, settings)])
    return "\n".join([*head, *_toml(shapes)])


def looks_like(tensors: Mapping[str, Tensor]) -> str:
    """What kind of network some tensors look like, in words.

    >>> import torch
    >>> looks_like({"net.0.weight": torch.zeros(9, 4), "net.2.weight": torch.zeros(8, 8), "net.4.weight": torch.zeros(7, 8)})
    'an MLP with one hidden layer of 8; 9 tokens, 2 positions, 7 answers'
    """
    parts, chain = named_parts(tensors), chain_in(tensors)
    if parts is not None:
        return _parts_in_words(parts)
    if chain is not None:
        sizes = [weight.shape[1] for weight, _ in chain.layers[:-1]]
        layers = (
            f"{_counted(len(sizes), 'hidden layer')} of {', '.join(map(str, sizes))}"
            if sizes
            else "no hidden layer"
        )
        return f"an MLP with {layers}; {_tokens_in_words(chain.tokens, chain.positions, chain.answers)}"
    shapes = [tuple(tensor.shape) for tensor in tensors.values()]
    norms = any(re.search(_NORMS, name.lower()) for name in tensors)
    attention = any(re.search(r"attn|attention|qkv|[._][qkv][._]", name.lower()) for name in tensors)
    kind = "a transformer" if attention else "a network"
    with_norm = " with norms" if norms else ""
    return f"{kind}{with_norm} whose names are not known, of {len(shapes)} tensors"


def _parts_in_words(parts: NamedParts) -> str:
    layers = parts.roles.layers
    found = [f"a transformer of {_counted(len(layers), 'layer')}"]
    norms = [role for _, role in parts.roles.found if role.startswith("ln")]
    if norms:
        found.append(
            "with "
            + ("LayerNorm" if any(role.endswith(".b") for role in norms) else "norms (RMSNorm or LayerNorm)")
        )
    if not parts.roles.has("W_in"):
        found.append("without MLP")
    if parts.roles.has("W_gate"):
        found.append("with a gated MLP")
    if parts.is_fused:
        found.append("with q, k and v in one tensor")
    if not parts.roles.has("W_U"):
        found.append("with tied embeddings")
    return f"{', '.join(found)}; {_tokens_in_words(parts.tokens, parts.positions, parts.answers)}"


def _tokens_in_words(tokens: int, positions: int | None, answers: int) -> str:
    places = f", {positions} positions" if positions else ""
    said = f"{tokens or 'unknown'} tokens{places}, {answers} answers"
    if 0 < tokens <= _CHARACTERS and (positions or 0) > 5:
        said += ": characters, it seems, and numbers spelled in digits are not read"
    return said


def _counted(count: int, what: str) -> str:
    words = {1: "one", 2: "two", 3: "three", 4: "four"}
    return f"{words.get(count, count)} {what}{'' if count == 1 else 's'}"


def _of_parts(parts: NamedParts, settings: Settings) -> list[str]:
    lines = _of_tokens(parts.tokens, parts.positions, parts.answers, settings)
    if parts.has_merged_heads:
        counts = ", ".join(map(str, parts.head_counts()))
        lines.append(_line_of("n_heads", settings.n_heads, f"one of {counts}"))
    if parts.is_fused:
        lines.append(_line_of("fused", settings.fused, '"qkv" one after the other, or "heads" head by head'))
    lines.append(_line_of("activation", settings.activation, "relu, gelu, silu, tanh, quadratic, ..."))
    if any(role.startswith("ln") for _, role in parts.roles.found):
        lines.append(_line_of("norm", settings.norm, '"layer" or "rms"'))
    return [*lines, _line_of("causal", settings.causal, "true, or false where every position sees all")]


def _of_chain(chain: Chain, settings: Settings) -> list[str]:
    lines = _of_tokens(chain.tokens, chain.positions, chain.answers, settings)
    return [*lines, _line_of("activation", settings.activation, "relu, gelu, tanh, quadratic, ...")]


def _of_tokens(tokens: int, positions: int | None, answers: int, settings: Settings) -> list[str]:
    """The lines on what is read: p, sequence, token numbers and operation."""
    vocabulary = settings.vocabulary
    p = settings.p or (vocabulary.p if vocabulary else None)
    if p is None and answers == tokens - 1:
        lines = [f"p = {answers}  # from {tokens} tokens and {answers} answers"]
    else:
        lines = [
            _line_of(
                "p", p, f"{tokens or 'an unknown number of'} tokens, {answers} answers: how many residues"
            )
        ]
    if vocabulary is not None:
        among = list(vocabulary.operators)
        names = ", ".join(json.dumps(among if name in among else name) for name in vocabulary.sequence)
        numbers = [
            f"{json.dumps(n)} = {json.dumps('zero' if t is None else t)}"
            for n, t in vocabulary.numbers.items()
        ]
        lines.append(f"sequence = [{names}]")
        lines += [f"tokens = {{{', '.join(numbers)}}}"] if numbers else []
    else:
        places = f"what the {positions} positions read" if positions else "what is read, in order"
        lines += [
            f'# sequence = ?  # {places}, such as ["a", "+", "b", "="]',
            '# tokens = ?  # such as {"+" = 113, "=" = 115}',
        ]
    return [
        *lines,
        _line_of("operation", settings.operation, 'such as "add"; recognised from the answers if left out'),
    ]


def _line_of(name: str, value: object, asks: str) -> str:
    return f"# {name} = ?  # {asks}" if value is None else f"{name} = {json.dumps(value)}"


def _toml(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    found = _matched(shapes)
    used = {tensor for tensor, _ in found.values()}
    width = _model_width(found, shapes)
    asked = [
        '# operation = ?  # such as "add"; recognised from the answers if left out',
        "# activation = ?  # relu if left out",
    ]
    lines = ["[settings]", _modulus_line(found, shapes, width), *asked]
    if any("(head" in axes or "qkv" in axes for _, axes in found.values()):
        lines += ["[sizes]", "# head = ?  # how many heads"]
        lines += ["qkv = 3"] if any("qkv" in axes for _, axes in found.values()) else []
    lines.append("[weights]")
    for weight in CANONICAL["transformer"]:
        if weight in found:
            lines.append(_line(weight, *found[weight], shapes, width))
        elif not weight.startswith("b_"):
            lines.append(f'# {weight} = {{tensor = "?", axes = "{CANONICAL["transformer"][weight]}"}}')
    rest = [name for name in shapes if name not in used]
    if rest:
        lines.append("# not used: " + ", ".join(f"{name} {shapes[name]}" for name in rest[:_LISTED]))
    return lines


def _matched(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[str, str]]:
    """weight -> (tensor, axes), each tensor for one weight only, a fused one for three."""
    left = dict(shapes)
    found: dict[str, tuple[str, str]] = {}
    fused = [name for name, shape in left.items() if re.search(_FUSED, name.lower()) and len(shape) == 2]
    if fused:
        del left[fused[0]]
        found |= dict.fromkeys(("W_Q", "W_K", "W_V"), (fused[0], "(qkv head d_head) d_model"))
    for weight, pattern in _NAMES.items():
        for name, shape in left.items():
            if weight not in found and len(shape) in (2, 3) and re.search(pattern, name.lower()):
                found[weight] = (name, _axes(weight, name, shape))
        if weight in found:
            left.pop(found[weight][0], None)
    for weight in ("W_O", "W_in", "W_out", "W_U"):
        bias = found[weight][0].removesuffix("weight") + "bias" if weight in found else ""
        if bias in left and len(left[bias]) == 1:
            short = weight.replace("W", "b")
            found[short] = (bias, CANONICAL["transformer"][short])
    return found


def _axes(weight: str, name: str, shape: tuple[int, ...]) -> str:
    canonical = CANONICAL["transformer"][weight]
    if len(shape) == 3:
        return canonical
    # A matrix over all heads, or one of a module, is stored as PyTorch does; another may well be multiplied from the right.
    as_module = name.endswith("weight") or len(canonical.split()) == 3 or weight in ("W_E", "W_pos")
    return _MODULE_AXES[weight] if as_module else canonical


def _modulus_line(
    found: Mapping[str, tuple[str, str]], shapes: Mapping[str, tuple[int, ...]], width: int | None
) -> str:
    """p where tokens and answers tell it: as many answers as residues, and one token more or none."""
    if width is None or "W_E" not in found or "W_U" not in found:
        return "# p = ?  # how many residues"
    sizes = [[size for size in shapes[found[weight][0]] if size != width] for weight in ("W_E", "W_U")]
    if any(len(left) != 1 for left in sizes):
        return "# p = ?  # how many residues"
    tokens, answers = sizes[0][0], sizes[1][0]
    if answers == tokens - 1:
        return f"p = {answers}  # from {tokens} tokens and {answers} answers"
    return f"# p = ?  # {tokens} tokens, {answers} answers: how many of them are residues"


def _model_width(found: Mapping[str, tuple[str, str]], shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    # Two or three positions tell the other axis of W_pos apart from everything else.
    shape = shapes[found["W_pos"][0]] if "W_pos" in found else ()
    return max(shape) if len(shape) == 2 and min(shape) in (2, 3) else None


def _line(
    weight: str, tensor: str, axes: str, shapes: Mapping[str, tuple[int, ...]], width: int | None
) -> str:
    shape = shapes[tensor]
    groups = re.findall(r"\([^)]*\)|\w+", axes)
    doubt = ""
    if len(shape) == 2 and "d_model" in groups:
        at = groups.index("d_model")
        if shape[0] == shape[1] or width is None:
            doubt = f"  # {shape[0]} x {shape[1]}: is this the order?"
        elif shape[at] != width and shape[1 - at] == width:
            axes = " ".join(reversed(groups))
    elif len(shape) == 3:
        doubt = f"  # {shape}: is this the order?"
    take = f", take = {{qkv = {'QKV'.index(weight[2])}}}" if "qkv" in axes else ""
    return f'{weight} = {{tensor = {json.dumps(tensor)}, axes = "{axes}"{take}}}{doubt}'
