"""One object over a network: it hands on what the functions give, and adds nothing of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import modscope as ms
from modscope.analysis import ablate, key_frequencies, measure_table, mechanism
from modscope.errors import InputError, UnknownName
from modscope.findings import findings
from modscope.workbench import Net


@pytest.fixture(scope="module")
def net() -> Net:
    return ms.open()


def test_the_shipped_network_in_one_line(net: Net) -> None:
    acts = ms.record(net.model, net.task)
    assert net.keys == key_frequencies(acts).frequencies
    assert net.epochs == ms.shipped_run().epochs
    assert net.epoch == net.epochs[-1]
    xr.testing.assert_identical(net["resid_post"], acts.at("resid_post"))
    xr.testing.assert_identical(net["q"], acts["q"])
    assert net["W_E"].dims == ("token", "d_model")
    np.testing.assert_array_equal(net["W_E"], net.model.weight("W_E").detach())


def test_it_hands_on_what_the_functions_give(net: Net) -> None:
    assert net.measure("clusters") == measure_table(net.acts, "clusters", net.keys)
    assert net.ablate("pattern-mean", controls=1) == ablate(net.acts, "pattern-mean", net.keys, controls=1)
    assert net.mechanism.shares() == mechanism(net.acts, net.keys).shares()
    one = net.finding("even-about-half-c")
    assert one.effect == findings(net.acts, only=["even-about-half-c"])[0].effect
    with pytest.raises(UnknownName, match="measure"):
        net.measure("cluster")


def test_frequencies_are_found_where_none_are_given(net: Net) -> None:
    assert measure_table(net.acts, "clusters") == net.measure("clusters")
    assert ablate(net.acts, "clusters-mean", controls=1) == net.ablate("clusters-mean", controls=1)
    assert mechanism(net.acts).shares() == net.mechanism.shares()


def test_the_rule_for_key_frequencies_is_replaceable(net: Net) -> None:
    by_rule = net.with_keys("embedding_norm")
    assert by_rule.key_frequencies.rule == "embedding_norm"
    assert ms.open(net.acts, keys=(29, 1)).keys == net.with_keys(1, 29).keys == (1, 29)
    assert net.with_keys(1, 29).key_frequencies.rule == "given"
    with pytest.raises(UnknownName, match="rule"):
        _ = net.with_keys("logit_shares").keys


def test_views_have_marks_and_frequencies_by_themselves(net: Net) -> None:
    view = net.show("resid_post", order=("c", "a"), play="c", d_model=[0, 43])
    (tensor,) = view.tensors
    expected = ms.in_order(net["resid_post"].isel(d_model=[0, 43]), "c", "a")
    np.testing.assert_array_equal(tensor.values, expected)
    (spec,) = view.views
    assert spec["keys"] == list(net.keys)
    assert [marker["label"] for marker in spec["markers"]][:2] == ["a", "b"]
    assert view.state["play"] == "c"
    two = net.show(["mlp_pre", "mlp_post"], neuron=3)
    assert [line["name"] for line in two.views[0]["lines"]] == ["mlp_pre", "mlp_post"]
    scores = net.show("pattern", key_pos="a")
    assert scores.tensors[0].dims == ("a", "b", "head")


def test_other_epochs(net: Net) -> None:
    early = net.at_epoch(0)
    assert early.epoch == 0
    assert early.acts.task == net.task
    assert not np.allclose(early["W_E"], net["W_E"])
    np.testing.assert_array_equal(ms.open(net.run, epoch=0)["W_E"], early["W_E"])
    with pytest.raises(InputError, match="the nearest is 0"):
        net.at_epoch(1)
    with pytest.raises(InputError, match="no run behind"):
        ms.open(net.acts).at_epoch(0)


def test_counterfactuals_are_nets(net: Net) -> None:
    constant = net.with_(pattern=[0.463, 0.537, 0.0])
    assert constant.acts.replaced == ("pattern",)
    assert constant.keys == net.keys
    direct = ms.record(net.model, net.task, replace={"pattern": [0.463, 0.537, 0.0]})
    xr.testing.assert_identical(constant["logits"], direct.at("logits"))
    assert "replaced" in repr(constant)
    assert constant.summary.cautions[0].startswith("the activation of pattern is replaced")
    by_value = net.ablate(pattern=[0.463, 0.537, 0.0], controls=1)
    assert by_value.ablated.loss.all == pytest.approx(constant.summary.loss.all, rel=1e-4)
    assert ms.open(replace={"pattern": "mean"}).acts.replaced == ("pattern",)
    with pytest.raises(InputError, match="nothing to replace"):
        net.with_()
    with pytest.raises(InputError, match="one activation at a time"):
        net.ablate("pattern-mean", pattern="mean")


def test_the_report_is_a_page(net: Net, tmp_path: Path) -> None:
    page = net.with_(pattern="mean").report(with_findings=False)
    assert "replaced" in page.html
    path = page.save(tmp_path / "report.html")
    assert path.read_text("utf-8") == page.html
    assert page._repr_html_().startswith("<iframe srcdoc=")
    assert "MB" in repr(page)


def test_every_kind_of_source(tmp_path: Path, net: Net) -> None:
    path = ms.save_safetensors(tmp_path / "own.safetensors", net.model, net.task)
    checkpoint = ms.open_checkpoint(path)
    for source in (path, str(path), checkpoint, ms.Run.open(path), net.acts):
        again = ms.open(source)
        np.testing.assert_allclose(again["logits"], net["logits"], atol=1e-4)
        assert again.keys == net.keys
    with pytest.raises(InputError, match="no such file"):
        ms.open(tmp_path / "nothing")
    with pytest.raises(InputError, match="the source is no path"):
        ms.open(net.acts, p=113)
    with pytest.raises(InputError, match="has no epochs"):
        ms.open(net.acts, epoch=3)
    with pytest.raises(InputError, match="expected a path, a checkpoint, a run or a record"):
        ms.open(3)  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match=r"hook or weight 'resid_pots' \(did you mean 'resid_post'"):
        _ = net["resid_pots"]
