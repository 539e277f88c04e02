"""Groups of waves that are the same up to a transformation, and groups that are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import Activations, record
from modscope.analysis.controls import random_phases
from modscope.analysis.inputs.equivalence import RELATIONS, group_defects, relation_defects
from modscope.errors import InputError, UnknownName
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.task import ModularTask


def pair(u: np.ndarray, v: np.ndarray) -> xr.DataArray:
    return xr.DataArray(np.stack([u, v]), dims=("head", "token"))


def wave(p: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(p)
    return x - x.mean()


TRANSFORMED = {
    "identical": lambda u: u,
    "sign": lambda u: -u,
    "shift": lambda u: np.roll(u, 3),
    "reversal": lambda u: np.roll(u[::-1], 2),
    "spectrum": lambda u: random_phases(xr.DataArray(u, dims="n"), "n", seed=4).values,
}


@given(p=st.integers(7, 30), relation=st.sampled_from(list(RELATIONS)), dc=st.booleans(), scale=st.booleans())
def test_each_relation_sees_its_own_transformation_and_no_finer_one(
    p: int, relation: str, dc: bool, scale: bool
) -> None:
    u = wave(p)
    v = TRANSFORMED[relation](u) * (2.5 if scale else 1) + (0.7 if dc else 0)
    found = relation_defects(pair(u, v), "token", "head").defect
    seen = found.sel(dc="removed" if dc else "kept", scale="removed" if scale else "kept")
    assert float(seen.sel(relation=relation)) == pytest.approx(0, abs=1e-9)
    if scale:
        assert float(found.sel(relation=relation, dc="removed", scale="kept")) > 0.1
    if dc:
        assert float(found.sel(relation=relation, dc="kept", scale="removed")) > 1e-3
    if relation != "identical":
        assert float(seen.sel(relation="identical")) > 1e-3


def test_the_defect_is_one_minus_the_squared_agreement() -> None:
    u, v = wave(11, 1) + 0.4, 2 * wave(11, 2) - 0.3
    found = relation_defects(pair(u, v), "token", "head").defect
    for dc, (x, y) in {"kept": (u, v), "removed": (u - u.mean(), v - v.mean())}.items():
        for scale, size in {
            "kept": (x @ x + y @ y) / 2,
            "removed": np.linalg.norm(x) * np.linalg.norm(y),
        }.items():
            for relation, r in {"identical": max(x @ y, 0), "sign": abs(x @ y)}.items():
                at = found.sel(relation=relation, dc=dc, scale=scale)
                assert float(at) == pytest.approx(1 - (r / size) ** 2, abs=1e-12)


def test_large_waves_weigh_more_where_the_scale_counts() -> None:
    u, v = wave(13, 1), wave(13, 2)
    large, small = np.stack([10 * u, 10 * u]), np.stack([u, v])
    x = xr.DataArray(np.stack([large, small]), dims=("head", "pos", "token"))
    found = relation_defects(x, "token", "pos").defect.sel(relation="identical", dc="removed")
    alone = relation_defects(x.isel(head=[1]), "token", "pos").defect.sel(relation="identical", dc="removed")
    assert float(found.sel(scale="removed")) == pytest.approx(float(alone.sel(scale="removed")) / 2)
    energies = [200 * (u @ u), u @ u + v @ v]
    expected = float(alone.sel(scale="kept")) * energies[1] / sum(energies)
    assert float(found.sel(scale="kept")) == pytest.approx(expected)


def test_the_control_is_noise_and_nearer_where_more_is_allowed() -> None:
    x = xr.DataArray(np.tile(wave(31), (40, 1)), dims=("head", "token"))
    found = relation_defects(x, "token", "head")
    control = found.control.sel(dc="kept", scale="kept")
    same = [relation for relation in RELATIONS if relation != "reversal"]
    np.testing.assert_allclose(found.defect.sel(relation=same), 0, atol=1e-9)
    assert float(control.sel(relation="identical")) > 0.95
    assert 0.7 < float(control.sel(relation="shift")) < float(control.sel(relation="sign"))
    assert float(control.sel(relation="spectrum")) < 0.5


def test_silence_has_no_defect() -> None:
    x = pair(np.full(7, 2.0), np.full(7, 3.0))
    found = relation_defects(x, "token", "head").defect
    assert np.isnan(found.sel(dc="removed")).all()
    assert float(found.sel(dc="kept", scale="removed", relation="identical")) == pytest.approx(0)
    one = relation_defects(x.isel(head=[0]), "token", "head").defect
    assert np.isnan(one).all()


def test_axes_that_are_not_there_are_named() -> None:
    x = pair(wave(5), wave(5))
    with pytest.raises(UnknownName, match="head, token"):
        relation_defects(x, "token", "pos")
    with pytest.raises(InputError, match="two different"):
        relation_defects(x, "token", "token")


def acts_of(p: int) -> Activations:
    config = TransformerConfig(p, d_model=40, n_heads=3, d_head=4, d_mlp=13)
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() for n, s in config.shapes().items()}
    return record(Transformer(config, weights), ModularTask(p))


def test_groups_of_a_network() -> None:
    acts = acts_of(9)
    same = group_defects(acts, "q", "pos").defect
    assert float(same.sel(relation="identical", dc="removed", scale="kept")) == pytest.approx(0, abs=1e-9)
    assert float(same.sel(relation="identical", dc="kept", scale="kept")) > 0.01
    rows = group_defects(acts, "attn_out", "c", seed=2)
    assert rows.identical(group_defects(acts, "attn_out", "c", seed=2))
    assert float(rows.defect.sel(relation="identical", dc="removed", scale="kept")) > 0.1
    assert group_defects(acts, "mlp_post", "neuron").defect.notnull().all()
    with pytest.raises(UnknownName, match="did you mean 'd_head'"):
        group_defects(acts, "z", "d_heads")
    with pytest.raises(InputError, match="no waves"):
        group_defects(acts, "pos_embed", "pos")


def test_even_rows_reversed_are_even_rows_shifted() -> None:
    acts = record(PairMLP.initialised(PairMLPConfig(11, d_hidden=5)), ModularTask(11))
    x = acts.at("mlp_pre").values
    acts._joint["mlp_pre"] = torch.from_numpy((x + x.swapaxes(0, 1)).reshape(121, -1))
    found = group_defects(acts, "mlp_pre", "c").defect
    np.testing.assert_allclose(found.sel(relation="shift"), found.sel(relation="reversal"), atol=1e-6)


def test_mainline_heads_read_one_wave(mainline: Activations) -> None:
    found = group_defects(mainline, "k", "d_head")
    defect, control = (
        x.sel(relation="sign", dc="removed", scale="removed") for x in (found.defect, found.control)
    )
    print("k within a head, up to sign and scale:", float(defect), "noise:", float(control))
    assert float(defect) < 0.01
    assert float(control) > 0.9
