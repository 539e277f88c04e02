"""Controls keep what they should keep and lose the rest; tables are readable and complete."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import record
from modscope.analysis.controls import permuted_tokens, random_phases, untrained, white_noise_like
from modscope.analysis.tables import Table, table_of
from modscope.errors import InputError
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.signal import amplitude, phase
from modscope.task import ModularTask


@given(p=st.integers(3, 16), seed=st.integers(0, 3))
def test_random_phases_keep_every_amplitude(p: int, seed: int) -> None:
    x = xr.DataArray(np.random.default_rng(9).standard_normal((4, p, 2)), dims=("head", "token", "d_head"))
    turned = random_phases(x, "token", seed=seed)
    np.testing.assert_allclose(amplitude(turned, "token"), amplitude(x, "token"), atol=1e-12)
    assert not np.allclose(turned, x)
    np.testing.assert_array_equal(turned, random_phases(x, "token", seed=seed))


def test_random_phases_are_spread_over_the_circle() -> None:
    x = xr.DataArray(np.tile(np.cos(2 * np.pi * np.arange(9) / 9), (4000, 1)), dims=("n", "token"))
    found = phase(random_phases(x, "token"), "token").sel(k=1)
    assert abs(np.exp(1j * found.values).mean()) < 0.05
    with pytest.raises(InputError, match="expected one of n, token"):
        random_phases(x, "b")


def test_noise_has_the_names_and_no_structure() -> None:
    x = xr.DataArray(np.full((50, 60), 7.0), dims=("a", "b"), coords={"a": np.arange(50)})
    found = white_noise_like(x, seed=1)
    assert found.dims == x.dims
    assert float(found.std()) == pytest.approx(1, abs=0.05)
    assert not np.array_equal(found, white_noise_like(x, seed=2))


@pytest.mark.parametrize("equals", [True, False])
def test_permuted_tokens_relabel_the_residues(equals: bool) -> None:
    config = TransformerConfig(7, d_model=10, n_heads=3, d_head=4, d_mlp=13, equals=equals)
    acts = record(Transformer.initialised(config), ModularTask(7))
    order = np.random.default_rng(3).permutation(7)
    found = permuted_tokens(acts, seed=3)
    expected = acts.at("logits").values[np.ix_(order, order)]
    np.testing.assert_allclose(found.at("logits").values, expected, atol=1e-6)


@pytest.mark.parametrize("d_embed", [None, 5])
def test_permuted_tokens_of_the_mlp_family(d_embed: int | None) -> None:
    acts = record(PairMLP.initialised(PairMLPConfig(7, d_hidden=6, d_embed=d_embed)), ModularTask(7))
    order = np.random.default_rng(0).permutation(7)
    expected = acts.at("logits").values[np.ix_(order, order)]
    np.testing.assert_allclose(permuted_tokens(acts).at("logits").values, expected, atol=1e-6)


def test_untrained_is_another_network_of_the_same_make() -> None:
    config = TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16)
    acts = record(Transformer.initialised(config).to(torch.float64), ModularTask(5))
    found = untrained(acts, seed=4)
    assert found.model.config == config
    assert found.model.dtype == torch.float64
    assert not np.allclose(found.at("logits"), acts.at("logits"))


def wide_results() -> xr.Dataset:
    return xr.Dataset(
        {
            "share": (("hook", "k"), np.arange(24.0).reshape(2, 12) / 7),
            "even": (("hook",), [0.5, np.nan]),
            "odd_one": (("hook", "head", "k"), np.zeros((2, 3, 12))),
        },
        {"hook": ["resid_post", "logits"], "k": np.arange(1, 13)},
    )


def test_tables_fit_in_eighty_columns_and_lose_nothing() -> None:
    table = table_of(wide_results(), "Shares", rows="hook", columns="k")
    text = str(table)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("resid_post") == 2  # the first column stands in both blocks
    assert [c for c in table.columns if c not in text] == []
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert rows[0] == list(table.columns)
    assert float(rows[1][2]) == 1 / 7


def test_numbers_that_do_not_exist_are_dashes() -> None:
    text = str(table_of(wide_results(), "Even", rows="hook", only=["even"]))
    assert text.splitlines()[-1].split() == ["logits", "-"]
    assert str(Table("x", ("a", "b"), ((1, None),))).splitlines()[-1].split() == ["1", "-"]


def test_a_table_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="has the axes 'head'"):
        table_of(wide_results(), "None", rows="head")
