"""A mapping for an unknown layout, filled in as far as names and sizes allow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from torch import Tensor

from modscope.checkpoints.layouts import CANONICAL

__all__ = ["suggested_mapping"]

_LISTED = 60

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


def suggested_mapping(tensors: Mapping[str, Tensor]) -> str:
    """The tensors of a file, and the mapping that would read them, to be completed by hand.

    Orders of axes that the sizes cannot confirm are marked with a comment.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    listed = [f"  {name} {shape}" for name, shape in list(shapes.items())[:_LISTED]]
    if len(shapes) > _LISTED:
        listed.append(f"  ... and {len(shapes) - _LISTED} more")
    return "\n".join(
        [
            "It has the tensors",
            *listed,
            "Say what they are in a TOML file and give it as --mapping (mapping=...). Filled in as far as can be told:",
            "",
            *_toml(shapes),
        ]
    )


def _toml(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    found = _matched(shapes)
    used = {tensor for tensor, _ in found.values()}
    width = _model_width(found, shapes)
    settings = [_modulus_line(found, shapes, width), '# operation = "add"', '# activation = "relu"']
    lines = ["[settings]", *settings]
    if any("(head" in axes or "qkv" in axes for _, axes in found.values()):
        lines += ["[sizes]", "head = 4  # how many heads?"]
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
    shape = shapes[found["W_E"][0]] if "W_E" in found else ()
    if width is None or len(shape) != 2 or width not in shape:
        return "# p = 113"
    tokens = shape[1] if shape[0] == width else shape[0]
    equals = min(shapes[found["W_pos"][0]]) == 3
    return f"p = {tokens - equals}  # from {tokens} tokens{', one of them =' if equals else ''}"


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
