"""The pattern, the scores, and the product of attention and value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from modscope import planted
from modscope.activations import Activations, record
from modscope.analysis.inputs.attention import (
    log_odds_additivity,
    pattern_statistics,
    product_and_sum_of_waves,
    product_parts,
    score_products,
    score_shares,
)
from modscope.errors import InputError, UnknownName
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.orders import in_order
from modscope.signal import spectrum
from modscope.task import ModularTask


def network(p: int, **switches: object) -> Transformer:
    config = TransformerConfig(p, **{"d_model": 10, "n_heads": 3, "d_head": 4, "d_mlp": 13, **switches})  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    return Transformer(
        config, {n: torch.randn(s, generator=generator).double() for n, s in config.shapes().items()}
    )


def acts_of(p: int, operation: str = "add", **switches: object) -> Activations:
    return record(network(p, **switches), ModularTask(p, operation))


SWITCHES = [{}, {"equals": False, "causal": False}, {"attention_rate": 0.5}]


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("p", [7, 8])
def test_pattern_statistics_are_those_of_the_softmax(p: int, switches: dict[str, object]) -> None:
    acts = acts_of(p, **switches)
    found, A = pattern_statistics(acts), acts.at("pattern").values.reshape(p * p, 3, -1)
    np.testing.assert_allclose(found["mean"], A.mean(0), atol=1e-12)
    np.testing.assert_allclose(found.spread, A.std(0), atol=1e-12)
    np.testing.assert_allclose(found.lowest, A.min(0))
    np.testing.assert_allclose(found.highest, A.max(0))
    for head in range(3):
        assert float(found.correlation[head]) == pytest.approx(
            np.corrcoef(A[:, head, 0], A[:, head, 1])[0, 1]
        )
    np.testing.assert_allclose(found.gap, abs(A[..., 0] - A[..., 1]).mean(0), atol=1e-12)


def test_constant_attention_has_no_correlation() -> None:
    found = pattern_statistics(acts_of(7, attention_rate=0.0))
    np.testing.assert_allclose(found["mean"], 1)
    np.testing.assert_allclose(found.spread, 0)
    assert np.isnan(found.correlation).all()


def test_networks_without_attention_say_so() -> None:
    acts = record(PairMLP.initialised(PairMLPConfig(7, d_hidden=6)), ModularTask(7))
    for question in (pattern_statistics, score_shares, log_odds_additivity, product_parts):
        with pytest.raises(InputError, match="no attention"):
            question(acts)


@pytest.mark.parametrize("p", [11, 12])
def test_the_score_is_found_at_the_frequency_of_the_key(p: int) -> None:
    net = network(p)
    n = np.arange(p)
    with torch.no_grad():
        net.weight("W_E")[:p] = 0
        net.weight("W_E")[:p, 0] = torch.from_numpy(
            np.cos(2 * np.pi * 3 * n / p) + 2 * np.cos(2 * np.pi * n / p)
        )
    found = score_shares(record(net, ModularTask(p)))
    np.testing.assert_allclose(
        found.share.sel(key_pos=["a", "b"], k=[3, 1]), np.tile([0.2, 0.8], (3, 2, 1)), atol=1e-9
    )
    np.testing.assert_allclose(found.mixed.sel(key_pos=["a", "b"]), 0, atol=1e-9)
    assert np.isnan(found.share.sel(key_pos="=")).all()


def test_a_query_at_b_mixes_frequencies() -> None:
    p = 11
    net = network(p, equals=False)
    n, w = np.arange(p), 2 * np.pi / p
    with torch.no_grad():
        for name in ("W_E", "W_pos", "W_Q", "W_K"):
            net.weight(name)[:] = 0
        net.weight("W_E")[:, 0] = torch.from_numpy(np.cos(w * 2 * n))
        net.weight("W_E")[:, 1] = torch.from_numpy(np.cos(w * 3 * n))
        net.weight("W_Q")[:, 0, 0] = 1
        net.weight("W_K")[:2, 0, 0] = 1  # heads 0, 1: cos(2b) cos(2a)
        net.weight("W_K")[2, 1, 0] = 1  # head 2: cos(2b) cos(3a)
    found = score_shares(record(net, ModularTask(p)))
    np.testing.assert_allclose(found.share.sel(key_pos="a", k=2), [1, 1, 0], atol=1e-9)
    np.testing.assert_allclose(found.mixed.sel(key_pos="a"), [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(found.share.sum("k") + found.mixed, 1, atol=1e-9)


@pytest.mark.parametrize("p", [7, 8])
def test_log_odds_are_additive_where_the_query_is_equals(p: int) -> None:
    found = log_odds_additivity(acts_of(p))
    assert found.ratio.values.tolist() == ["a/b", "a/=", "b/="]
    np.testing.assert_allclose(found.log_odds, 1, atol=1e-9)
    assert float(found["pattern"].max()) < 0.999
    joint = log_odds_additivity(acts_of(p, equals=False))
    assert joint.ratio.values.tolist() == ["a/b"]
    assert float(joint.log_odds.max()) < 0.9


def test_additive_share_of_noise_is_two_over_p_plus_one() -> None:
    p = 61
    acts = acts_of(p, equals=False)
    noise = np.random.default_rng(0).standard_normal((p, p, 3, 2))
    acts._joint["attn_scores"] = torch.from_numpy(noise).flatten(0, 1)
    assert float(log_odds_additivity(acts).log_odds.mean()) == pytest.approx(2 / (p + 1), rel=0.25)


@pytest.mark.parametrize("p", [7, 8])
def test_constant_attention_makes_only_one_dimensional_terms(p: int) -> None:
    parts = product_parts(acts_of(p, attention_rate=0.0))
    assert parts.place.values.tolist() == ["z head 0", "z head 1", "z head 2", "attn_out"]
    np.testing.assert_allclose(parts.linear, 1, atol=1e-9)
    np.testing.assert_allclose(parts.constant_pattern, 1, atol=1e-9)


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_parts_of_the_product_sum_to_one(switches: dict[str, object]) -> None:
    p = 9
    acts = acts_of(p, **switches, biases=("b_O", "b_V", "b_in", "b_out"))
    parts = product_parts(acts, [1, 3])
    total = parts.linear + parts["sum"] + parts.difference + parts.cross + parts.other
    np.testing.assert_allclose(total, 1, atol=1e-9)
    assert float(parts.other.min()) > 0
    # attn_out with the mean pattern, by a resumed run
    tokens = torch.from_numpy(acts.task.tokens(equals=acts.model.config.equals))
    mean = acts.at("pattern").mean(("a", "b")).values
    fixed = torch.from_numpy(np.tile(mean, (p * p, 1, 1)))
    out = acts.model.run(tokens, keep=("attn_out",), replace={"pattern": fixed})["attn_out"].numpy()
    x = acts.at("attn_out").values.reshape(p * p, -1)
    expected = 1 - ((x - out) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
    assert float(parts.constant_pattern[-1]) == pytest.approx(expected, abs=1e-9)


def test_parts_of_the_product_refuse_frequencies_that_are_none() -> None:
    with pytest.raises(InputError, match="from 1 to 3"):
        product_parts(acts_of(7), [4])


@pytest.mark.parametrize(("operation", "equals"), [("add", True), ("subtract", False)])
def test_products_over_the_head_are_the_score(operation: str, equals: bool) -> None:
    acts = acts_of(7, operation, equals=equals)
    waves = score_products(acts, 2, 1, query="=" if equals else "b", key="a")
    score = in_order(acts.at("attn_scores"), "c", "a").isel(head=2).sel(key_pos="a")
    np.testing.assert_allclose(waves.score.transpose("c", "a"), score.transpose("c", "a"), atol=1e-9)
    np.testing.assert_allclose(waves["product"], waves.q * waves.k)
    np.testing.assert_allclose(waves["sum"], waves.q + waves.k)
    for bad in ({"head": 3, "dim": 0}, {"head": 0, "dim": 4}):
        with pytest.raises(InputError, match="expected 0 to"):
            score_products(acts, **bad)
    with pytest.raises(UnknownName, match="position"):
        score_products(acts, 0, 0, key="x")


@pytest.mark.parametrize("p", [11, 12])
def test_a_product_doubles_the_frequency_and_a_sum_keeps_it(p: int) -> None:
    waves = product_and_sum_of_waves(p, (2, 2), (0.3, -1.0))
    power = {name: abs(spectrum(waves[name], "a")) for name in ("product", "sum")}
    assert float(power["product"].sel(k=2).max()) < 1e-9
    np.testing.assert_allclose(power["product"].sel(k=4), 0.5, atol=1e-9)
    assert float(power["sum"].sel(k=[k for k in range(p // 2 + 1) if k != 2]).max()) < 1e-9
    # what a product keeps of a + b is the mean of each row
    c = np.arange(p)
    np.testing.assert_allclose(waves["product"].mean("a"), np.cos(4 * np.pi * c / p - 0.7) / 2, atol=1e-9)


def test_a_clock_multiplies_in_attention_and_a_sum_does_not() -> None:
    made = {
        name: product_parts(record(*build(29, (3, 5))), [3, 5]) for name, build in planted_networks().items()
    }
    assert float(made["clock"]["sum"][-1]) > 0.999
    for name in ("pizza", "rectified_sum"):
        assert float(made[name].linear[-1]) == pytest.approx(1)
        assert float(made[name].constant_pattern[-1]) == pytest.approx(1)
    assert float(made["clock"].constant_pattern[-1]) < 0.1


def planted_networks() -> dict[str, Callable[..., tuple[Transformer, ModularTask]]]:
    return {"clock": planted.clock, "pizza": planted.pizza, "rectified_sum": planted.rectified_sum}


def test_mainline_pattern(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    found = pattern_statistics(mainline)
    print(found["mean"].values, found.spread.values)
    np.testing.assert_allclose(found["mean"].sel(head=0), [0.42173, 0.42205, 0.15622], atol=1e-5)
    shares = score_shares(mainline)
    carried = shares.share.sel(key_pos="a").argmax("k").values + 1
    print("score frequencies", carried, shares.share.sel(key_pos="a", k=list(mainline_keys)).values)
    assert carried.tolist() == [35, 42, 52, 42]
    parts = product_parts(mainline, mainline_keys)
    print(parts.to_dataframe())
    assert 0.8 < float(parts.linear[-1]) < 0.9
