"""What a config says of a network, in the words of several projects, read into one vocabulary.

A config is data. The text of a function in it is compared with known ones, never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from modscope.checkpoints.vocabulary import Stated, Vocabulary, read_stated
from modscope.errors import CheckpointError, InputError, UnknownName, shown, turned_into
from modscope.model import ACTIVATIONS
from modscope.operations import Operation
from modscope.schema import whole_number
from modscope.task import OPERATIONS, Split

__all__ = ["Settings", "settings_from"]


@dataclass(frozen=True)
class Settings:
    """What is known of a network beside its weights; None is unknown."""

    p: int | None = None
    operation: str | None = None
    table: str | None = None  # the answers of an operation that is a table
    fraction: float | None = None
    seed: int | None = None
    split: Split | None = None
    convention: str | None = None  # whose way of drawing the split: "python", "torch" or "unseeded"
    equals: bool | None = None
    causal: bool | None = None
    attention_rate: float | None = None
    activation: str | None = None
    n_heads: int | None = None
    d_head: int | None = None
    attention_scale: float | None = None  # what scores are divided by; None is sqrt(d_head)
    epochs: int | None = None
    n_layers: int | None = None
    n_kv_heads: int | None = None
    norm: str | None = None
    norm_after: bool | None = None
    norm_epsilon: float | None = None
    rotary: str | None = None
    rotary_base: float | None = None
    rotary_width: int | None = None
    fused: str | None = None  # how q, k and v share a tensor: "qkv" one after the other, "heads" head by head
    embed_scale: float | None = None
    sequence: Stated | None = None
    vocabulary: Vocabulary | None = None  # what the sequence was found to be in the file's numbers

    def over(self, other: Settings) -> Settings:
        """These settings, and those of the other where these say nothing."""
        missing = {f.name: getattr(other, f.name) for f in fields(self) if getattr(self, f.name) is None}
        return replace(self, **missing)


# setting -> the keys under which projects write it
_KEYS: Mapping[str, tuple[str, ...]] = {
    "p": ("p", "C", "group_parameter", "modulus", "mod", "prime", "P"),
    "operation": ("operation", "fn_name", "funcs", "group", "task", "op"),
    "fraction": ("fraction", "frac_train", "train_frac", "frac", "train_fraction"),
    "seed": ("split_seed", "data_seed", "seed"),
    "equals": ("equals", "eqn_sign"),
    "causal": ("causal", "attention_dir"),
    "attention_rate": ("attention_rate", "attn_coeff"),
    "activation": ("activation", "act_fn", "act_type", "activation_fn", "act"),
    "n_heads": ("n_heads", "num_heads", "n_head", "nhead", "heads"),
    "d_head": ("d_head",),
    "epochs": ("num_epochs", "n_epochs", "epochs", "epoch"),
    "n_layers": ("n_layers", "num_layers", "n_layer", "depth"),
    "n_kv_heads": ("n_kv_heads", "n_key_value_heads", "num_kv_heads", "num_key_value_heads"),
    "norm": ("norm", "normalization_type", "normalization"),
    "norm_after": ("norm_after",),
    "norm_epsilon": ("norm_epsilon", "layer_norm_eps", "norm_eps", "rms_norm_eps"),
    "rotary": ("rotary",),
    "rotary_base": ("rotary_base", "rope_theta", "rope_base"),
    "rotary_width": ("rotary_width", "rotary_dim"),
    "fused": ("fused",),
    "embed_scale": ("embed_scale",),
}

# Tables of a config whose keys mean other things: the p of a dropout, the epochs of a warm-up.
_OTHER_TABLES = ("split", "optimizer", "optim", "scheduler", "lr_scheduler", "dropout", "wandb", "logging")
_MOST_TABLES = 64

_OPERATION_WORDS: Mapping[str, tuple[str, ...]] = {
    "add": ("+", "addition", "plus", "a+b", "x+y", "mod_add", "modular_addition", "modadd", "cyclicgroup"),
    "subtract": ("-", "subtraction", "minus", "a-b", "x-y"),
    "multiply": ("*", "multiplication", "times", "mul", "a*b", "x*y"),
    "x^2+xy+y^2": ("x2xyy2", "x**2+x*y+y**2"),
    "random": ("rand", "random_labels"),
}
_ACTIVATION_WORDS = {
    **{name: name for name in ACTIVATIONS},
    "quad": "quadratic",
    "square": "quadratic",
    "swish": "silu",
    "swiglu": "silu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "linear": "identity",
    "none": "identity",
}
_NORM_WORDS = {
    "ln": "layer", "lnpre": "layer", "layer": "layer", "layernorm": "layer", "layer_norm": "layer",
    "rms": "rms", "rmspre": "rms", "rmsnorm": "rms", "rms_norm": "rms", "none": "", "": "", "null": "",
}  # fmt: skip


def settings_from(
    config: Mapping[str, Any], *, source: object, passed_over: list[str] | None = None
) -> Settings:
    """The settings that a config states, whichever project wrote it, in it or in the tables within it.

    A key of the config itself comes before the same key of a table within. passed_over: a list that takes a
    sentence for each value that is not understood, as a neighbour's words may mean something else; without it such a
    value raises CheckpointError. What the model cannot do (an activation, LayerNorm, two vocabularies) always does.

    >>> settings_from({"fn_name": "add", "p": 113, "frac_train": 0.3}, source="config").operation
    'add'
    >>> settings_from({"funcs": "lambda x: (x[0]+x[1])%59", "attn_coeff": 0}, source="config").attention_rate
    0.0
    >>> settings_from({"task": {"p": 23, "op": "add"}, "model_config": {"act_fn": "GELU"}}, source="config").activation
    'gelu'
    """
    with turned_into(CheckpointError, str(source), inputs=True):
        return _settings_from(config, source, passed_over)


def _settings_from(config: Mapping[str, Any], source: object, passed_over: list[str] | None) -> Settings:
    tables = _tables(config)
    flat = {key: value for table in reversed(tables) for key, value in table.items()}
    _refuse_unsupported(flat, source)
    found: dict[str, Any] = {}
    for name, read in _READ.items():
        found[name], wrong = _understood(tables, name, read)
        # An activation that is stated and not known is a property of the network: no other may stand in for it.
        if (
            wrong
            and found[name] is None
            and (
                passed_over is None
                or name == "activation"
                or (name == "norm" and "normalization_type" in flat)
            )
        ):
            raise CheckpointError(f"{source}: {wrong[0]}")
        if wrong and passed_over is not None:
            passed_over += [f"{source}: passed over: {sentence}" for sentence in wrong]
    lens = "normalization_type" in flat
    if flat.get("positional_embedding_type") == "rotary" and found["rotary"] is None:
        found["rotary"] = "neighbours" if flat.get("rotary_adjacent_pairs") else "halves"
    return Settings(
        **{**found, "norm_after": False if lens and found["norm_after"] is None else found["norm_after"]},
        split=Split.from_dict(flat["split"]) if isinstance(flat.get("split"), Mapping) else None,
        convention=_convention(flat, found["operation"]),
        causal=_causal(_first(flat, _KEYS["causal"]), flat),
        attention_scale=_attention_scale(flat),
        sequence=_sequence(flat),
    )


def _tables(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The config and the tables in it, the outer ones first."""
    tables = [config]
    for table in tables:
        # A table that holds itself, or very many, is nobody's config.
        if len(tables) > _MOST_TABLES:
            break
        inner = [(key, value) for key, value in table.items() if isinstance(value, Mapping)]
        tables += [value for key, value in inner if key not in _OTHER_TABLES]
    return tables


def _understood(
    tables: list[Mapping[str, Any]], name: str, read: Callable[[Any], Any]
) -> tuple[Any, list[str]]:
    """The first value of a setting that is understood, and what is wrong with those before it."""
    wrong: list[str] = []
    for table in tables:
        for key in _KEYS[name]:
            # A list or a table under such a key means something else.
            if not isinstance(table.get(key), str | int | float):
                continue
            try:
                return read(table[key]), wrong
            except (InputError, TypeError) as error:
                text = str(error)
                wrong.append(text if text.startswith(f"{key} ") else f"{key}: {text}")
    return None, wrong


def _first(config: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((config[key] for key in keys if config.get(key) is not None), None)


def _refuse_unsupported(config: Mapping[str, Any], source: object) -> None:
    unsupported = {
        "use_linear": "the network is a linear mixer without attention",
        "parallel_attn_mlp": "attention and MLP run side by side",
    }
    for key, meaning in unsupported.items():
        if config.get(key) not in (None, False, 0):
            raise CheckpointError(f"{source}: {key} is set: {meaning}, which is not read")
    if config.get("model") in ("BilinearNet", "BetterTwoLayerMLP"):
        raise CheckpointError(
            f"{source}: the network is a {shown(config['model'], quoted=False)}: expected a transformer or an MLP of one layer"
        )
    positions = config.get("positional_embedding_type", "standard")
    if positions not in ("standard", "rotary"):
        raise CheckpointError(
            f"{source}: positional_embedding_type is {shown(positions)}: expected 'standard' or 'rotary'"
        )


def _integer(value: Any, name: str) -> int | None:
    return None if value is None else whole_number(value, name)


def _number(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise InputError(f"{name} = {shown(value)}: expected a number from 0 to 1")
    return float(value)


def _switch(value: Any, name: str) -> bool:
    if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1)):
        return bool(value)
    raise InputError(f"{name} = {shown(value)}: expected true or false")


def _operation(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 200:
        raise InputError(f"operation {shown(value)}: expected a name")
    text = re.sub(r"\s+", "", value)
    for operation, words in _OPERATION_WORDS.items():
        if text.lower() in (operation, *words):
            return operation
    function = re.fullmatch(r"lambdax:\((.+)\)%\d+", text)
    try:
        return Operation.of(function[1].replace("x[0]", "a").replace("x[1]", "b") if function else text).name
    except UnknownName:
        raise UnknownName.of("operation", value, OPERATIONS) from None
    except InputError as error:
        raise InputError(
            f"operation {value!r} is not understood ({error}); give config={{'operation': ...}}"
        ) from None


def _activation(value: Any) -> str | None:
    if value is None:
        return None
    word = str(value).rsplit(".", 1)[-1].removesuffix("()").lower()
    if word not in _ACTIVATION_WORDS:
        raise UnknownName.of("activation function", value, ACTIVATIONS)
    return _ACTIVATION_WORDS[word]


def _equals(value: Any) -> bool | None:
    return None if value is None else _switch(value, "equals")


def _causal(value: Any, config: Mapping[str, Any]) -> bool | None:
    # Zhong et al. write "casual" and then do not use the mask: both positions see both.
    if "attn_coeff" in config:
        return False
    if value in ("causal", "bidirectional"):
        return value == "causal"
    return None if value is None else _switch(value, "causal")


def _convention(config: Mapping[str, Any], operation: str | None) -> str | None:
    if "attn_coeff" in config:
        return "unseeded"
    if "group_parameter" in config or ("group" in config and operation is not None):
        return "torch"
    return "python" if "fn_name" in config else None


_READ: Mapping[str, Callable[[Any], Any]] = {
    "p": lambda value: _integer(value, "p"),
    "operation": _operation,
    "fraction": lambda value: _number(value, "train fraction"),
    "seed": lambda value: _integer(value, "seed"),
    "equals": _equals,
    "attention_rate": lambda value: _number(value, "attention rate"),
    "activation": _activation,
    "n_heads": lambda value: _integer(value, "n_heads"),
    "d_head": lambda value: _integer(value, "d_head"),
    "epochs": lambda value: _integer(value, "epochs"),
    "n_layers": lambda value: _integer(value, "n_layers"),
    "n_kv_heads": lambda value: _integer(value, "n_kv_heads"),
    "norm": lambda value: _word(value, "norm", _NORM_WORDS),
    "norm_after": lambda value: bool(value),
    "norm_epsilon": lambda value: _positive(value, "norm_epsilon"),
    "rotary": lambda value: _word(
        value, "rotary", {"halves": "halves", "neighbours": "neighbours", "none": ""}
    ),
    "rotary_base": lambda value: _positive(value, "rotary_base"),
    "rotary_width": lambda value: _integer(value, "rotary_width"),
    "fused": lambda value: _word(value, "fused", {"qkv": "qkv", "heads": "heads"}),
    "embed_scale": lambda value: _positive(value, "embed_scale"),
}


def _word(value: Any, name: str, words: Mapping[str, str]) -> str:
    word = str(value).lower()
    if word not in words:
        raise UnknownName.of(name, value, words)
    return words[word]


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InputError(f"{name} = {value!r}: expected a number above 0")
    return float(value)


def _sequence(config: Mapping[str, Any]) -> Stated | None:
    sequence = config.get("sequence")
    return read_stated(sequence, config.get("tokens", {})) if isinstance(sequence, list | tuple) else None


def _attention_scale(config: Mapping[str, Any]) -> float | None:
    if config.get("use_attn_scale") is False:
        return 1.0
    scale = config.get("attn_scale")
    if scale is None or scale == -1:
        return None
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < 1e9:
        raise InputError(f"attn_scale = {shown(scale)}: expected a positive number")
    return float(scale)
