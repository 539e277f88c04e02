"""To and from TransformerLens. Its names and axis orders are modscope's own; what is left are biases and buffers."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modscope.checkpoints.assembling import assembled
from modscope.checkpoints.layouts import TRANSFORMER_LENS
from modscope.checkpoints.resolving import layout_of, resolved
from modscope.checkpoints.settings import Settings, settings_from
from modscope.errors import CheckpointError, InputError, ModscopeError
from modscope.model import Network, TransformerConfig
from modscope.writing import write_whole

__all__ = [
    "from_hooked_transformer",
    "hooked_transformer",
    "save_transformer_lens",
    "transformer_lens_config",
    "transformer_lens_state",
]


def transformer_lens_config(model: Network) -> dict[str, Any]:
    """The arguments of a `HookedTransformerConfig` for the same network.

    Raises InputError for what TransformerLens has not: the MLP-only family, an attention rate other than 1,
    the quadratic activation.

    >>> from modscope.model import Transformer, TransformerConfig
    >>> model = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> config = transformer_lens_config(model)
    >>> config["d_vocab"], config["d_vocab_out"], config["n_ctx"], config["attention_dir"]
    (6, 5, 3, 'causal')
    """
    config = _expressible(model)
    return {
        "n_layers": 1,
        "d_model": config.d_model,
        "n_ctx": len(config.positions),
        "d_head": config.head_size,
        "n_heads": config.n_heads,
        "d_mlp": config.d_mlp,
        "act_fn": config.activation,
        "d_vocab": config.vocabulary,
        "d_vocab_out": config.answers,
        "normalization_type": None,
        "attention_dir": "causal" if config.causal else "bidirectional",
        "dtype": model.dtype,
        "device": "cpu",
    }


def _expressible(model: Network) -> TransformerConfig:
    config = model.config
    if not isinstance(config, TransformerConfig):
        raise InputError(
            f"a {type(model).__name__} has no counterpart in TransformerLens: expected a Transformer"
        )
    if config.attention_rate != 1.0:
        raise InputError(f"attention rate {config.attention_rate}: TransformerLens has rate 1 only")
    if config.activation not in ("relu", "gelu"):
        raise InputError(f"activation {config.activation!r}: TransformerLens has relu and gelu")
    return config


def transformer_lens_state(model: Network) -> dict[str, Tensor]:
    """The state dict of the same network in TransformerLens, all biases present (zero where there is none)
    and the attention mask with them, so that `load_state_dict` takes it strictly.
    """
    config = _expressible(model)
    every = TransformerConfig(
        config.p, d_model=config.d_model, n_heads=config.n_heads, d_head=config.head_size, d_mlp=config.d_mlp,
        equals=config.equals, d_vocab_out=config.answers,
        biases=("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U"),
    )  # fmt: skip
    state = {
        name: model.weights[name].clone() if name in model.weights else torch.zeros(shape, dtype=model.dtype)
        for name, shape in every.shapes().items()
    }
    seen = torch.ones(len(config.positions), len(config.positions), dtype=torch.bool)
    state["blocks.0.attn.mask"] = seen.tril() if config.causal else seen
    state["blocks.0.attn.IGNORE"] = torch.tensor(-torch.inf)
    return state


def save_transformer_lens(path: str | os.PathLike[str], model: Network) -> Path:
    """The network as a TransformerLens state dict in a `.pt` file, its config in a `.json` file beside it.

    To load there: `HookedTransformer(HookedTransformerConfig(**json.load(...)))`, then `load_state_dict`.
    Returns the path of the state dict.
    """
    path = Path(path)
    if path.suffix not in (".pt", ".pth"):
        raise InputError(f"{path}: expected a name that ends in .pt for a TransformerLens state dict")
    config = {name: value for name, value in transformer_lens_config(model).items() if name != "dtype"}
    buffer = io.BytesIO()
    torch.save(transformer_lens_state(model), buffer)
    write_whole(path.with_suffix(".json"), json.dumps(config, indent=1), refusal=CheckpointError)
    write_whole(path, buffer.getvalue(), refusal=CheckpointError)
    return path


def hooked_transformer(model: Network) -> Any:
    """The same network as a TransformerLens `HookedTransformer`; needs the extra `transformer-lens`."""
    lens = _transformer_lens()
    hooked = lens.HookedTransformer(lens.HookedTransformerConfig(**transformer_lens_config(model)))
    hooked.load_state_dict(transformer_lens_state(model), strict=False)
    return hooked


def from_hooked_transformer(hooked: Any, *, p: int | None = None) -> Network:
    """The network in a TransformerLens `HookedTransformer`: a `LayeredTransformer` where it has more than one plain layer.

    Raises CheckpointError where it has what modscope's transformers have not.
    """
    values = {name: value for name, value in vars(hooked.cfg).items() if not name.startswith("_")}
    settings = Settings(p=p).over(settings_from(values, source="HookedTransformer"))
    tensors = {name: tensor.detach().cpu() for name, tensor in hooked.state_dict().items()}
    layout = layout_of(tensors, settings) or TRANSFORMER_LENS
    if layout.family == "general":
        settings = resolved(tensors, settings, [])
    model, _ = assembled(layout, tensors, settings, sizes={}, source="HookedTransformer")
    return model


def _transformer_lens() -> Any:
    try:
        import transformer_lens
    except ImportError as error:
        raise ModscopeError(
            "TransformerLens is not installed: install the extra with `pip install 'modscope[transformer-lens]'`"
        ) from error
    if not hasattr(transformer_lens, "HookedTransformer"):
        raise ModscopeError("this version of TransformerLens has no HookedTransformer: expected one before 4")
    return transformer_lens
