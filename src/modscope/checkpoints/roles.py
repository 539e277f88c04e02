"""What the tensors of a transformer are, told from their names as public repositories give them.

A name is split into a layer (the number after `blocks`, `layers`, `h`, ...), a place within it and `weight` or `bias`;
the words of the place tell the role. Roles have the canonical names of the weights (`W_Q`, `b_in`, `ln1.w`), and where
several weights are one tensor those of the whole (`W_QKV`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Named", "Roles", "roles_in", "stacked_heads"]

_LAYER = re.compile(
    r"(?:^|\.)(?:blocks|layers?|h|resblocks|transformer_blocks|encoder_layers|decoder_layers|transformer_layers|"
    r"transformer|encoder|decoder|stack)\.(\d+)\.(?!(?:weight|bias)$)(.+)$"
)
_LAYER_WITHIN = re.compile(
    r"^(?P<kind>[a-z_]*(?:attn|attention|attentions|mlp|ffn?|feed_?forward|ln|norm)[a-z_]*?s?(?:_?[12])?)\.(?P<layer>\d+)\.(?P<rest>.+)$",
    re.IGNORECASE,
)
_BUFFERS = re.compile(
    r"(^|[._])(mask|causal_mask|attn_mask|tril|masked_bias|ignore|position_ids|positions|inv_freq|cos_cached|sin_cached|"
    r"rotary_sin|rotary_cos|freqs_cis|freqs|cos|sin|num_batches_tracked)$"
)
_ROTARY = re.compile(r"inv_freq|cos_cached|sin_cached|rotary|rope|freqs_cis")

_NORM = r"ln|lnorm|norm|layer_?norm|rms_?norm|rms"
_ATTENTION = re.compile(r"(^|[._])(self_?)?(attn|attention|attentions|mha|sa|multi_?head\w*)")
_FIRST_NORM = re.compile(
    rf"({_NORM})_?1$|(attn|attention|input|pre)_?({_NORM})|({_NORM})_?(attn|attention|in|pre)"
)
_SECOND_NORM = re.compile(
    rf"({_NORM})_?2$|(mlp|ffn?|feed_?forward|post)_?(attention_|attn_)?({_NORM})|({_NORM})_?(mlp|ffn?|post)"
)
_IN_ATTENTION: tuple[tuple[str, str], ...] = (
    ("QKV", r"(w_?)?qkv(_proj)?|in_proj|c_attn|to_qkv|query_key_value"),
    (
        "Q",
        r"(w_?)?q(uery|ueries)?|(to_?|w_?|lin_?|linear_?|fc_?)q(uery)?|q(uery)?_?(proj|linear|lin|layer)|wq",
    ),
    ("K", r"(w_?)?k(eys?)?|(to_?|w_?|lin_?|linear_?|fc_?)k(ey)?|k(ey)?_?(proj|linear|lin|layer)|wk"),
    ("V", r"(w_?)?v(alues?)?|(to_?|w_?|lin_?|linear_?|fc_?)v(alue)?|v(alue)?_?(proj|linear|lin|layer)|wv"),
    (
        "O",
        r"(w_?)?o(ut|utput)?|(o|out|output|c)_?(proj|linear|lin|layer)|proj|projection|to_out|wo|dense|fc(_out)?|unify_?heads|linear",
    ),
)
_IN_MLP: tuple[tuple[str, str], ...] = (
    ("gate", r"(w_?)?gate(_proj)?|wi_0|w_?g"),
    (
        "out",
        r"(w_?)?out(put)?|fc_?2|c_proj|down(_proj)?|linear_?2|lin_?2|l2|w2|fc_out|proj|dense_4h_to_h|out_proj|w_?down|output_layer",
    ),
    (
        "in",
        r"(w_?)?in(put)?|fc_?1|c_fc|up(_proj)?|linear_?1|lin_?1|l1|w[13]|fc_in|dense_h_to_4h|fc|wi(_1)?|in_proj|w_?up|hidden|input_layer",
    ),
)
_OUTER: tuple[tuple[str, str], ...] = (
    ("W_pos", r"pos|wpe|position"),
    ("W_U", r"unembed|un_emb|lm_?head|(^|[._])(w_?u|head|readout|classifier|fc_?out|output|decoder|out|to_logits|"
            r"output_(layer|proj|projection)|out_proj|proj_out|logits|linear|fc|final|final_(linear|layer|proj)|proj|output_head)$"),
    ("W_E", r"emb|wte|(^|[._])(tok|token|tokens|w_?e|e)$"),
)  # fmt: skip


@dataclass(frozen=True)
class Named:
    """One tensor with its role: module where PyTorch's linear layers store it, [output, input]."""

    tensor: str
    module: bool


@dataclass
class Roles:
    """The roles found: (layer, role) -> tensor, layer None outside; what is a buffer and what nobody knows."""

    found: dict[tuple[int | None, str], Named] = field(default_factory=dict)
    buffers: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    rotary: bool = False

    @property
    def layers(self) -> list[int]:
        """The numbers of the layers, in order."""
        return sorted({layer for layer, _ in self.found if layer is not None})

    def has(self, role: str) -> bool:
        """Whether some tensor has the role, in whichever layer."""
        return any(known == role for _, known in self.found)

    @property
    def complete(self) -> bool:
        """Whether there is an embedding, and attention in every layer."""
        attention = all(
            (layer, "W_QKV") in self.found or all((layer, f"W_{n}") in self.found for n in "QKV")
            for layer in self.layers
        )
        outputs = all((layer, "W_O") in self.found for layer in self.layers)
        embedded = self.has("W_E") or (self.has("W_E_a") and self.has("W_E_b"))
        return bool(self.layers) and attention and outputs and embedded and not self.unknown


def stacked_heads(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with those of single heads (`sa.heads.0.key.weight`) put together as one, [(head d_head), d_model].

    >>> list(stacked_heads({"sa.heads.0.key.weight": torch.ones(2, 6), "sa.heads.1.key.weight": torch.ones(2, 6)}))
    ['sa.heads.key.weight']
    """
    parts: dict[str, list[Tensor]] = {}
    for name, tensor in tensors.items():
        found = re.match(r"^(.*\bheads)\.(\d+)\.(.+)$", name)
        whole = f"{found[1]}.{found[3]}" if found else name
        parts.setdefault(whole, []).append(tensor)
    return {name: torch.cat(some) if len(some) > 1 else some[0] for name, some in parts.items()}


def roles_in(tensors: Mapping[str, Tensor]) -> Roles:
    """The role of every tensor of a transformer.

    >>> names = ["wte.weight", "h.0.attn.c_attn.weight", "h.0.attn.c_proj.weight", "h.0.mlp.c_fc.weight"]
    >>> tensors = {name: torch.ones(2, 2) for name in names} | {"h.0.ln_1.weight": torch.ones(2)}
    >>> [(layer, role) for layer, role in roles_in(tensors).found]
    [(None, 'W_E'), (0, 'W_QKV'), (0, 'W_O'), (0, 'W_in'), (0, 'ln1.w')]
    """
    roles = Roles()
    gated = {_place(name)[0] for name in tensors if re.search(r"(^|[._])w3\b", name)}
    numbered = _numbered(tensors)
    for name, tensor in tensors.items():
        if _is_buffer(name, tensor):
            roles.buffers.append(name)
            roles.rotary |= bool(_ROTARY.search(name.lower()))
            continue
        layer, place = _place(name)
        role = numbered.get(name) or _role(layer, place, tensor, layer in gated)
        key = (_layer_of(layer, role), role or "")
        if role is None or key in roles.found:
            roles.unknown.append(name)
        else:
            roles.found[key] = Named(name, _is_module(name))
    return roles


def _layer_of(layer: int | None, role: str | None) -> int | None:
    """Layer 0 for a part of a layer that is not numbered, as in networks of one layer."""
    outer = ("W_E", "W_pos", "W_U", "b_U", "ln_final")
    return 0 if layer is None and role is not None and not role.startswith(outer) else layer


def _is_buffer(name: str, tensor: Tensor) -> bool:
    last = name.rsplit(".", 1)[-1].lower()
    if not tensor.is_floating_point() or tensor.ndim == 0:
        return True
    return bool(_BUFFERS.search(last)) or (last == "bias" and tensor.ndim > 2)


def _is_module(name: str) -> bool:
    return name.lower().endswith("weight")


def _place(name: str) -> tuple[int | None, str]:
    """The layer of a tensor and its place there, in lower case."""
    found = _LAYER.search(name)
    if found:
        return int(found[1]), found[2].lower()
    within = _LAYER_WITHIN.match(name)
    if within and not (re.search(r"mlp|ff", within["kind"].lower()) and within["rest"] in ("weight", "bias")):
        return int(within["layer"]), f"{within['kind']}.{within['rest']}".lower()
    return None, name.lower()


def _role(layer: int | None, place: str, tensor: Tensor, gated: bool) -> str | None:
    words, last = re.sub(r"[._](weight|bias)$", "", place), place.rsplit(".", 1)[-1]
    is_bias = place.endswith("bias") or last.startswith("b_") or last in ("b", "beta")
    norm = _norm_role(layer, words, tensor, is_bias)
    if norm:
        return norm
    kind = "b" if is_bias else "W"
    leaf = re.sub(r"^b_", "w_", words.rsplit(".", 1)[-1]) if is_bias else words.rsplit(".", 1)[-1]
    leaves = [part for part in (leaf, *reversed(words.split("."))) if part]
    if _ATTENTION.search(words) or (layer is not None and _matches(leaf, _IN_ATTENTION[:4])):
        found = next((role for part in leaves if (role := _matches(part, _IN_ATTENTION))), None)
        return f"{kind}_{found}" if found else None
    in_mlp = layer is not None or re.search(r"(^|[._])(mlp|ffn?|feed_?forward)\b", words)
    if in_mlp or re.fullmatch(r"w_(in|out|gate)|(linear|fc)_?[12]", leaf):
        found = next((role for part in leaves if (role := _matches(part, _IN_MLP))), None)
        if gated and leaf == "w1":
            found = "gate"
        return f"{kind}_{found}" if found else None
    if _matches(leaf, _IN_ATTENTION[:4]) or re.fullmatch(r"w_?o", leaf):
        return f"{kind}_{_matches(leaf, _IN_ATTENTION)}"
    return _outer_role(words, leaf, kind)


def _outer_role(words: str, leaf: str, kind: str) -> str | None:
    if words in ("pe", "pos_encoder.pe", "positional_encoding.pe") or leaf == "pe":
        return "W_pos"
    for role, pattern in _OUTER:
        if re.search(pattern, re.sub(r"(^|\.)b_u$", r"\1w_u", words)):
            if role == "W_E" and (side := re.search(r"[._](a|b|x|y|left|right)$", words)):
                role += "_a" if side[1] in ("a", "x", "left") else "_b"
            return role if kind == "W" else ("b_U" if role == "W_U" else None)
    return None


def _norm_role(layer: int | None, words: str, tensor: Tensor, is_bias: bool) -> str | None:
    if tensor.ndim != 1 or not re.search(rf"(^|[._])\w*({_NORM})", words):
        return None
    part = re.sub(r"\.(w|b|gamma|beta|scale|g|w_ln|b_ln)$", "", words).rsplit(".", 1)[-1]
    kind = "b" if is_bias or words.endswith(("b_ln", ".beta")) else "w"
    if re.search(r"(^|_)(q|k|query|key)_?(ln|norm)|(ln|norm)_?(q|k)$", part):
        return None
    if re.search(r"final|_f$|_out$|post$", part) and layer is None:
        return f"ln_final.{kind}"
    if _SECOND_NORM.search(part):
        return f"ln2.{kind}"
    if _FIRST_NORM.search(part):
        return f"ln1.{kind}"
    return f"ln_final.{kind}" if layer is None else f"ln1.{kind}"


def _matches(part: str, table: tuple[tuple[str, str], ...]) -> str | None:
    return next((role for role, pattern in table if re.fullmatch(pattern, part)), None)


def _numbered(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The roles of MLPs written as nn.Sequential, whose linear layers are told by their order."""
    found: dict[str, str] = {}
    groups: dict[str, list[tuple[int, str]]] = {}
    for name in tensors:
        _, place = _place(name)
        match = re.search(r"^(.*(?:mlp|ffn?|feed_?forward|net|fc|layers)\S*?)\.(\d+)\.(weight|bias)$", place)
        if match and tensors[name].ndim in (1, 2):
            group = name.lower().rsplit(f".{match[2]}.", 1)[0]
            groups.setdefault(group, []).append((int(match[2]), name))
    for members in groups.values():
        numbers = sorted({number for number, name in members if tensors[name].ndim == 2})
        if len(numbers) == 2:
            for number, name in members:
                if number in numbers:
                    kind = "W" if tensors[name].ndim == 2 else "b"
                    found[name] = f"{kind}_{'in' if number == numbers[0] else 'out'}"
    return found
