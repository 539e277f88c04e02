"""A layout nobody has seen is read through a mapping, and the error about it drafts that mapping."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.checkpoints.written import random_pair_mlp, random_transformer, same_logits, saved

from modscope.checkpoints import open_checkpoint, save_safetensors
from modscope.checkpoints.axes import Source, arranged, axis_sizes, parsed_axes
from modscope.checkpoints.drafting import drafted_mapping
from modscope.checkpoints.suggesting import draft, looks_like
from modscope.cli import main
from modscope.errors import CheckpointError, InputError, ModscopeError
from modscope.model import Network
from modscope.task import ModularTask

NETWORK = random_transformer(
    3, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7, biases=("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out")
)
EQUAL = random_transformer(
    3, p=15, d_model=16, n_heads=4, d_head=4, d_mlp=16, biases=("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out")
)


def torch_modules(network: Network) -> dict[str, torch.Tensor]:
    """The network as torch.nn's own modules store it: fused q, k, v of MultiheadAttention, nn.Linear, nn.Embedding."""
    weight = network.weight
    d_model = weight("W_E").shape[1]
    rows = [torch.einsum("hdm->hmd", weight(f"W_{x}")).reshape(-1, d_model) for x in "QKV"]
    return {
        "tok_emb.weight": weight("W_E").clone(),
        "pos_emb.weight": weight("W_pos").clone(),
        "attn.in_proj_weight": torch.cat(rows),
        "attn.in_proj_bias": torch.cat([weight(f"b_{x}").reshape(-1) for x in "QKV"]),
        "attn.out_proj.weight": weight("W_O").reshape(-1, d_model).T.clone(),
        "attn.out_proj.bias": weight("b_O").clone(),
        "mlp.0.weight": weight("W_in").T.clone(),
        "mlp.0.bias": weight("b_in").clone(),
        "mlp.2.weight": weight("W_out").T.clone(),
        "mlp.2.bias": weight("b_out").clone(),
        "head.weight": torch.cat((weight("W_U").T, torch.randn(4, d_model))),
        "freqs": torch.arange(3.0),
    }


MODULES = """
states = "ema.net"
ignore = ["freqs"]
[settings]
p = {p}
operation = "subtract"
split = {{kind = "torch", fraction = 0.5, seed = 3}}
[sizes]
head = {heads}
qkv = 3
[weights]
W_E = {{tensor = "tok_emb.weight", axes = "vocab d_model"}}
W_pos = {{tensor = "pos_emb.weight", axes = "pos d_model"}}
W_Q = {{tensor = "attn.in_proj_weight", axes = "(qkv head d_head) d_model", take = {{qkv = 0}}}}
W_K = {{tensor = "attn.in_proj_weight", axes = "(qkv head d_head) d_model", take = {{qkv = 1}}}}
W_V = {{tensor = "attn.in_proj_weight", axes = "(qkv head d_head) d_model", take = {{qkv = 2}}}}
b_Q = {{tensor = "attn.in_proj_bias", axes = "(qkv head d_head)", take = {{qkv = 0}}}}
b_K = {{tensor = "attn.in_proj_bias", axes = "(qkv head d_head)", take = {{qkv = 1}}}}
b_V = {{tensor = "attn.in_proj_bias", axes = "(qkv head d_head)", take = {{qkv = 2}}}}
W_O = {{tensor = "attn.out_proj.weight", axes = "d_model (head d_head)"}}
b_O = {{tensor = "attn.out_proj.bias"}}
W_in = {{tensor = "mlp.0.weight", axes = "d_mlp d_model"}}
b_in = {{tensor = "mlp.0.bias"}}
W_out = {{tensor = "mlp.2.weight", axes = "d_model d_mlp"}}
b_out = {{tensor = "mlp.2.bias"}}
W_U = {{tensor = "head.weight", axes = "answer d_model", take = {{answer = "0:{p}"}}}}
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("network", [NETWORK, EQUAL], ids=repr)
def test_a_mapping_reads_the_modules_of_torch(network: Network, tmp_path: Path) -> None:
    path = saved({"ema": {"net": torch_modules(network)}, "decay": 0.99}, tmp_path / "net.pt")
    heads = network.weight("W_Q").shape[0]
    text = MODULES.format(p=network.config.p, heads=heads)
    checkpoint = open_checkpoint(path, mapping=written(tmp_path / "map.toml", text))
    assert same_logits(checkpoint.model, network)
    assert checkpoint.task.operation == "subtract"
    assert (checkpoint.task.split.kind, checkpoint.task.split.seed) == ("torch", 3)
    assert checkpoint.layout == "mapping map.toml"


def test_constants_scales_and_the_mlp_family(tmp_path: Path) -> None:
    network = random_pair_mlp(1, p=6, d_hidden=5)
    weight = network.weight
    state = {"first": torch.cat((weight("W_in_a"), weight("W_in_b"))).T * 4, "second": weight("W_U").T}
    text = """
    [sizes]
    pair = 2
    [weights]
    W_in_a = {tensor = "first", axes = "d_hidden (pair d_embed)", take = {pair = 0}, scale = 0.25}
    W_in_b = {tensor = "first", axes = "d_hidden (pair d_embed)", take = {pair = 1}, scale = 0.25}
    W_U = {tensor = "second", axes = "answer d_hidden"}
    b_in = {constant = 0}
    """
    checkpoint = open_checkpoint(
        saved(state, tmp_path / "net.pt"), mapping=written(tmp_path / "map.toml", text)
    )
    assert same_logits(checkpoint.model, network)
    assert checkpoint.model.config.d_embed is None  # type: ignore[union-attr]


@pytest.mark.parametrize("network", [NETWORK, EQUAL], ids=repr)
def test_the_error_for_an_unknown_layout_drafts_the_mapping(network: Network, tmp_path: Path) -> None:
    state = torch_modules(network)
    del state["attn.in_proj_bias"]
    path = saved(state, tmp_path / "net.pt")
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    text = str(caught.value)
    for name, tensor in state.items():
        assert f"  {name} {tuple(tensor.shape)}" in text
    assert "This looks like a transformer of one layer, with q, k and v in one tensor" in text
    draft = text.partition("as far as can be told:")[2]
    heads, p = network.weight("W_Q").shape[0], network.config.p
    assert "weights" not in tomllib.loads(draft)  # the names tell them
    asked = re.findall(r"^# (\w+) = \?", draft, re.MULTILINE)
    assert {"p", "sequence", "n_heads", "activation"} <= set(asked)
    answers = {
        "p": str(p),
        "sequence": '["a", "b", "="]',
        "n_heads": str(heads),
        "fused": '"qkv"',
        "activation": '"relu"',
    }
    for name, answer in answers.items():
        draft = re.sub(rf"^# {name} = \?.*$", f"{name} = {answer}", draft, flags=re.MULTILINE)
    checkpoint = open_checkpoint(path, mapping=written(tmp_path / "map.toml", draft))
    for name in ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_in", "W_out", "W_U", "b_in", "b_out", "b_O"):
        assert torch.equal(checkpoint.model.weight(name), network.weight(name)), name


def test_drafts_are_written_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved({"ema": torch_modules(NETWORK)} | torch_modules(NETWORK), tmp_path / "net.pt")
    text, kind = drafted_mapping(path)
    assert kind.startswith(
        "a transformer of one layer, with q, k and v in one tensor; 12 tokens, 3 positions, 15 answers"
    )
    assert text.startswith(f"# {kind}\n[settings]")
    assert "# n_heads = ?  # one of " in text
    monkeypatch.setattr(
        sys, "argv", ["modscope", "inspect", str(path), "--draft", str(tmp_path / "map.toml")]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert (tmp_path / "map.toml").read_text() == text
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code  # what is there is not written over
    own = save_safetensors(tmp_path / "own.safetensors", NETWORK, ModularTask(11))
    with pytest.raises(InputError, match="it needs no mapping"):
        drafted_mapping(own)


def test_kinds_are_named_before_anything_is_drafted() -> None:
    plain = torch_modules(NETWORK)
    layered = {
        f"blocks.{i}.{name}": x
        for i in range(2)
        for name, x in plain.items()
        if name.startswith(("attn", "mlp"))
    }
    outer = {name: x for name, x in plain.items() if not name.startswith(("attn", "mlp", "freqs"))}
    norms = {f"blocks.{i}.ln1.{part}": torch.ones(12) for i in range(2) for part in ("weight", "bias")}
    assert looks_like(outer | layered | norms).startswith(
        "a transformer of two layers, with LayerNorm, with q, k and v in one"
    )
    characters = (
        outer | {"tok_emb.weight": torch.zeros(14, 12), "pos_emb.weight": torch.zeros(9, 12)} | layered
    )
    assert "14 tokens, 9 positions, 15 answers: characters, it seems" in looks_like(characters)
    tokens = torch.zeros(113, 8)
    old = {
        "embedding": tokens,
        "positional": torch.zeros(3, 8),
        "mystery": torch.zeros(2, 3, 4),
        "readout": torch.zeros(8, 113),
    }
    assert "# p = ?  # 113 tokens, 113 answers" in draft(old)
    assert "p = 112  # from 113 tokens and 112 answers" in draft(old | {"readout": torch.zeros(8, 112)})


def test_the_draft_leaves_open_what_it_cannot_tell(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(
            saved(
                {
                    "alpha": torch.zeros(4, 4),
                    "token_embedding": torch.zeros(4, 4),
                    "mixer": torch.zeros(2, 4, 3),
                },
                tmp_path / "net.pt",
            )
        )
    draft = str(caught.value).partition("as far as can be told:")[2]
    assert '# W_Q = {tensor = "?", axes = "head d_model d_head"}' in draft
    assert "# 4 x 4: is this the order?" in draft
    assert "# not used: alpha (4, 4), mixer (2, 4, 3)" in draft


SMALL = {"embedding": torch.zeros(4, 4)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weights = 3", "expected a table"),
        ("[weight]\n", "did you mean 'weights'"),
        ("[weights]\nW_e = {tensor = 'x'}", "did you mean 'W_E'"),
        ("[weights]\nW_E = 'x'", "expected {tensor"),
        ("[weights]\nW_E = {tensors = 'x'}", "did you mean 'tensor'"),
        ("[weights]\nW_E = {axes = 'vocab d_model'}", "expected tensor ="),
        ("[weights]\nW_E = {tensor = 'x', axes = 'vocab d_modle'}", "leave d_modle vocab: expected vocab d_model"),
        ("[weights]\nW_E = {tensor = 'x', axes = 'vocab (d_model'}", "expected names as in"),
        ("[weights]\nW_E = {tensor = 'x', axes = 'vocab vocab'}", "occurs twice"),
        ("[weights]\nW_E = {tensor = 'x', take = {token = 0}}", "axis of W_E to take from 'token'"),
        ("[weights]\nW_E = {tensor = 'x', take = {vocab = 'first'}}", "a slice such as '0:113'"),
        ("[weights]\nW_E = {tensor = 'x'}", "leaves out W_pos, W_Q"),
        ("[sizes]\nhead = 0\n[weights]\nW_U = {tensor = 'x'}\nW_in_a = {tensor = 'x'}\nW_in_b = {tensor = 'x'}", "size of head = 0"),
        ("[weights]\nW_U = {tensor = 'x'}\nW_in_a = {tensor = 'y'}\nW_in_b = {tensor = 'y'}", "missing x, y;"),
        ("states = 'ema'\n[weights]\nW_U = {tensor = 'x'}\nW_in_a = {tensor = 'y'}\nW_in_b = {tensor = 'y'}", "states = 'ema'"),
    ],
)  # fmt: skip
def test_mappings_that_cannot_be_followed(text: str, message: str, tmp_path: Path) -> None:
    path = saved(SMALL, tmp_path / "net.pt")
    with pytest.raises(ModscopeError, match=message):
        open_checkpoint(path, mapping=written(tmp_path / "map.toml", text))


def test_sizes_are_solved_through_merged_axes() -> None:
    patterns = {"x": ((24,), "(a b c)"), "y": ((6,), "(b c)"), "z": ((2,), "b")}
    assert axis_sizes(patterns, {}) == {"b": 2, "c": 3, "a": 4}
    with pytest.raises(CheckpointError, match="the sizes of a and b are not known"):
        axis_sizes({"x": ((6,), "(a b)")}, {})
    with pytest.raises(CheckpointError, match="cannot be divided"):
        axis_sizes({"x": ((7,), "(a b)")}, {"a": 2})
    with pytest.raises(CheckpointError, match="axis a is 3 in y but 2 in x"):
        axis_sizes({"x": ((2,), "a"), "y": ((3,), "a")}, {})


def test_arranging_copies_and_agrees_with_indexing() -> None:
    x = torch.arange(24.0).reshape(2, 12)
    y = arranged(x, Source("x", "d (head m)", {"head": 2}), "m d", {"d": 2, "head": 3, "m": 4})
    for d in range(2):
        for m in range(4):
            assert y[m, d] == x[d, 2 * 4 + m]
    y += 1
    assert x[0, 8] == 8
    with pytest.raises(InputError, match="cannot take number 3"):
        arranged(x, Source("x", "d (head m)", {"head": 3}), "m d", {"d": 2, "head": 3, "m": 4})
    with pytest.raises(InputError, match="keeps none"):
        arranged(x, Source("x", "d m", {"m": (5, 5)}), "m d", {"d": 2, "m": 12})
    assert parsed_axes("(a b)(c d) e") == (("a", "b"), ("c", "d"), ("e",))


@given(data=st.data())
def test_any_order_and_merging_of_axes_is_undone(data: st.DataObject) -> None:
    sizes = {"head": data.draw(st.integers(1, 4)), "d_model": data.draw(st.integers(1, 4)), "d_head": 3}
    x = torch.arange(float(np.prod(list(sizes.values())))).reshape(list(sizes.values()))
    order = data.draw(st.permutations(range(3)))
    merged = data.draw(st.sampled_from([((0,), (1,), (2,)), ((0, 1), (2,)), ((0,), (1, 2)), ((0, 1, 2),)]))
    names = [list(sizes)[axis] for axis in order]
    axes = " ".join("(" + " ".join(names[i] for i in group) + ")" for group in merged)
    # numpy does the storing, so that reading is compared with something else.
    stored = x.numpy().transpose(order).reshape([-1 if len(g) > 1 else sizes[names[g[0]]] for g in merged])
    shape = tuple(torch.tensor(stored).shape)
    known = axis_sizes({"w": (shape, axes)}, sizes)
    assert torch.equal(arranged(torch.tensor(stored), Source("w", axes), "head d_model d_head", known), x)


def test_errors_of_arguments(tmp_path: Path) -> None:
    path: Any = saved(SMALL, tmp_path / "net.pt")
    with pytest.raises(InputError, match="no such file"):
        open_checkpoint(path, mapping=tmp_path / "none.toml")
