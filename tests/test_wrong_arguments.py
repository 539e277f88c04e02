"""Public functions with wrong things in the place of each argument: a sentence of modscope's own, or an answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import modscope as ms
from modscope import residues, signal
from modscope.errors import InputError, ModscopeError
from modscope.viewer.expressions import evaluate, filled

P = 7
TASK = ms.ModularTask(P)
NETWORK = ms.Transformer.initialised(ms.TransformerConfig(P, d_model=8, n_heads=2, d_mlp=8))
ACTS = ms.record(NETWORK, TASK)
X = xr.DataArray(
    np.random.default_rng(0).normal(size=(P, P, 3)).astype(np.float32),
    dims=("a", "b", "neuron"),
    coords={"a": range(P), "b": range(P)},
    attrs={"p": P, "operation": "add"},
)
TOKENS = torch.zeros(2, 3, dtype=torch.int64)


def sums(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.eye(P)[(a + b) % P]


WRONG: tuple[Any, ...] = (
    None, 2.5, -1, 10**30, float("nan"), float("inf"), "", "no such", "\ud800", b"x", [], {}, (1, (2,)), True, slice(0, 2), 1j,
    object(), sums, np.zeros((2, 3)), np.ma.masked_array(np.zeros(P), mask=[1] * P), X.isel(a=0), xr.DataArray(["a"] * P, dims="a"),
    torch.zeros(3), torch.tensor(-1), NETWORK, TASK, np.array([[0, 1], [1]], dtype=object), [True, None], Path("none"),
)  # fmt: skip
TABLE: Mapping[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "ModularTask": (ms.ModularTask, (P, "add", ms.Split(), 0), {}),
    "Split": (ms.Split, ("python", 0.3, 0, b""), {}),
    "Split.of_mask": (ms.Split.of_mask, (np.eye(P, dtype=bool),), {}),
    "Operation.of": (ms.Operation.of, ("add",), {}),
    "TransformerConfig": (
        ms.TransformerConfig,
        (),
        {"p": P, "d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 8, "attention_rate": 1.0, "activation": "relu", "d_vocab_out": P, "biases": ("b_in",)},
    ),
    "PairMLPConfig": (ms.PairMLPConfig, (), {"p": P, "d_hidden": 8, "d_embed": 4, "activation": "relu", "biases": ()}),
    "Transformer": (ms.Transformer, (NETWORK.config, NETWORK.weights), {}),
    "network()": (NETWORK, (TOKENS,), {}),
    "network.run": (NETWORK.run, (TOKENS,), {"keep": ("logits",), "replace": None}),
    "network.weight": (NETWORK.weight, ("W_E",), {}),
    "record": (ms.record, (NETWORK, TASK), {"positions": "read", "replace": None}),
    "record_function": (ms.record_function, (sums, TASK), {"batch": 16}),
    "with_replaced": (ms.with_replaced, (ACTS, {"mlp_post": "zero"}), {}),
    "acts[]": (ACTS.__getitem__, ("mlp_post",), {}),
    "acts.at": (ACTS.at, ("mlp_post", "="), {}),
    "in_order": (ms.in_order, (X, "c", "a"), {"operation": "add"}),
    "open_checkpoint": (ms.open_checkpoint, ("nowhere",), {"p": P, "config": {}, "mapping": None, "epoch": None, "operation": None}),
    "Run.open": (ms.Run.open, ("nowhere",), {}),
    "show": (ms.show, (X,), {"x": "a", "play": "b"}),
    "heatmap": (ms.heatmap, (X,), {"y": "a", "x": "b"}),
    "grid": (ms.grid, (ms.show(X),), {"columns": 1}),
    "open": (ms.open, (ACTS,), {"keys": None}),
    **{
        name: (getattr(signal, name), (X, *rest), {})
        for name, rest in {
            "spectrum": ("a",), "power": ("a",), "amplitude": ("a",), "phase": ("a",), "to_fourier": ("a",), "swap": (), "swap_fraction": (),
            "keep_frequencies": ("a", [1]), "remove_frequencies": ("a", [1]), "resample": ("a", 14), "shift": ("a", 1.5), "interpolate": ("a", [0.5]),
            "reflect": ("a", 3), "even_part": ("a", 3), "odd_part": ("a", 3), "even_fraction": ("a", 3), "spectrum_at": ("a", [1]),
            "energy_by_term": (), "term_spectrum": (), "circulant_defect": (),
        }.items()
    },
    "fourier_basis": (signal.fourier_basis, (P,), {}),
    "cosine_wave": (signal.cosine_wave, (P, 2), {}),
    **{
        name: (getattr(residues, name), given, {})
        for name, given in {
            "modulus": (7,), "frequencies": (7,), "alias": (2, 7), "harmonic": (2, 2, 7), "subharmonic": (2, 7), "intermodulation": (1, 2, 7),
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_a_wrong_thing_in_any_place_is_a_sentence_or_an_answer(
    name: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function, places, named = TABLE[name]
    calls = [((*places[:i], wrong, *places[i + 1 :]), named) for i in range(len(places)) for wrong in WRONG]
    calls += [(places, {**named, key: wrong}) for key in named for wrong in WRONG]
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for given, options in calls:
            try:
                function(*given, **options)
            except ModscopeError as error:
                refused += 1
                assert len(str(error)) < 3000  # noqa: PT017 - an error is one of two good outcomes
    assert refused > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [None, 3, "a\0b", "n" * 300, b"x"])
@pytest.mark.parametrize("network", [None, 3])
def test_nothing_is_saved_of_a_wrong_thing(path: Any, network: Any, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (
        (path, NETWORK, TASK, {}),
        ("net.safetensors", network, TASK, {}),
        ("net.safetensors", NETWORK, network, {}),
        ("net.safetensors", NETWORK, TASK, {"x": sums}),
    ):
        with pytest.raises(ModscopeError):
            ms.save_safetensors(*given)
    assert list(tmp_path.iterdir()) == []


def test_the_sentence_names_the_argument_and_what_was_expected() -> None:
    with pytest.raises(InputError, match=r"record: network = (?s:.*): a Checkpoint; expected Network"):
        ms.record(ms.shipped_network())  # type: ignore[call-arg, arg-type]
    with pytest.raises(InputError, match=r"record: missing a required argument: 'task'"):
        ms.record(NETWORK)  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"record: network = .*: a ModularTask; expected Network"):
        ms.record(TASK, TASK)  # type: ignore[arg-type]
    for tokens in (torch.zeros(2, 3), torch.full((2, 3), -1), torch.full((2, 3), 99)):
        with pytest.raises(InputError):
            NETWORK(tokens)


@pytest.mark.parametrize(
    "text", ["1/0", "9**9**9", "9**9**9**9", "2**-9999", "(-1)**0.5", "1e308*10", "c/(a-a)", "(" * 5000, "1+" * 5000 + "1", "-" * 400 + "1", "", "c c", "None", "round(1,2,3)", "min()"]
)  # fmt: skip
def test_an_expression_that_is_no_number_is_a_sentence(text: str) -> None:
    try:
        assert evaluate(text, {"c": 3, "a": 5, "p": 7}) == 0 or set(text) <= set("-1")
    except InputError as error:
        assert len(str(error)) < 600  # noqa: PT017 - an error is one of two good outcomes


def test_a_long_word_is_shortened_in_every_error() -> None:
    assert len(str(InputError(f"d_model = {'9' * 5000!r}: expected"))) < 300
    with pytest.raises(ModscopeError) as caught:
        ms.TransformerConfig(5, d_model="9" * 5000)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 400


def test_formats_have_bounds_and_views_stand_beside_views() -> None:
    assert filled("{c:.2f}", {"c": 2}) == "2.00"
    with pytest.raises(InputError, match="expected one such as"):
        filled("{c:999999999d}", {"c": 2})
    with pytest.raises(InputError, match="expected another view"):
        ms.show(X) | 5  # type: ignore[operator]
