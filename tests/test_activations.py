"""The record of all pairs: names, sizes, orders, and agreement with a run on the tokens."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import Activations, record
from modscope.activations import of_network as module
from modscope.errors import InputError, UnknownName
from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.orders import in_order
from modscope.task import ModularTask

SWITCHES: list[dict[str, object]] = [
    {},
    {"biases": ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U")},
    {"equals": False, "causal": False},
    {"equals": False, "causal": False, "attention_rate": 0.0},
    {"attention_rate": 0.5},
    {"p": 8},
]


def random_network(switches: dict[str, object]) -> Transformer:
    config = TransformerConfig(**{"p": 7, "d_model": 10, "n_heads": 3, "d_head": 4, "d_mlp": 13, **switches})  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    return Transformer(
        config, {n: torch.randn(s, generator=generator).double() / 2 for n, s in config.shapes().items()}
    )


def by_tokens(network: Network, positions: str = "read") -> dict[str, np.ndarray]:
    p = network.config.p
    tokens = torch.as_tensor(ModularTask(p).tokens(equals=network.config.equals))
    kept = network.run(tokens, keep=network.hooks, positions=positions)  # type: ignore[arg-type]
    return {hook: x.numpy().reshape(p, p, *x.shape[1:]) for hook, x in kept.items()}


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_the_record_is_the_run_on_all_tokens(switches: dict[str, object]) -> None:
    network = random_network(switches)
    acts = record(network, ModularTask(network.config.p))
    expected = by_tokens(network)
    for hook in acts.hooks:
        whole = acts.expand(hook).transpose("a", "b", "pos", ...)
        wanted = expected[hook] if hook not in acts.joint_hooks else expected[hook][:, :, None]
        np.testing.assert_allclose(whole.values, wanted, atol=1e-12, err_msg=hook)
        assert tuple(whole.dims[:3]) == ("a", "b", "pos")


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_all_positions_agree_too(switches: dict[str, object]) -> None:
    network = random_network(switches)
    acts = record(network, ModularTask(network.config.p), positions="all")
    expected = by_tokens(network, "all")
    for hook in acts.joint_hooks:
        np.testing.assert_allclose(acts[hook].transpose("a", "b", "pos", ...), expected[hook], atol=1e-12)
        for pos in network.config.positions:
            assert (acts.at(hook, pos) == acts[hook].sel(pos=pos)).all()


def test_tables_hold_one_row_a_token() -> None:
    network = random_network({})
    acts = record(network, ModularTask(7))
    assert acts["q"].dims == ("pos", "token", "head", "d_head")
    assert acts["q"].shape == (2, 7, 3, 4)
    assert acts.at("q", "=").dims == ("head", "d_head")
    assert acts.at("embed", "=").shape == (10,)
    assert acts["embed"].shape == (7, 10)
    assert list(acts["pattern"].key_pos.values) == ["a", "b", "="]
    assert acts["resid_post"].sel(pos="=").dims == ("a", "b", "d_model")
    assert acts["blocks.0.mlp.hook_post"].identical(acts["mlp_post"])
    assert len(acts) == len(list(acts)) == 16


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network({})
    whole = record(network, ModularTask(7)).load()
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", 15)
    parts = record(network, ModularTask(7)).load()
    streamed = list(record(network, ModularTask(7)).blocks("mlp_post", "logits"))
    assert len(streamed) == 4
    for hook in whole.joint_hooks:
        np.testing.assert_allclose(parts[hook], whole[hook], atol=1e-12)
    for hook in ("mlp_post", "logits"):
        joined = xr.concat([block[hook] for block in streamed], dim="a")
        np.testing.assert_allclose(joined, whole.at(hook), atol=1e-12)
        assert (joined.a == np.arange(7)).all()


@pytest.mark.parametrize("kind", ["read", "all", "arrays"])
def test_blocks_of_plain_arrays_are_the_rows_of_the_record(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_IN_PASSING", 3)
    monkeypatch.setattr(module, "_PAIRS_IN_PASSING", 1)
    network, task = random_network({}), ModularTask(7)
    acts = record(network, task, positions="all" if kind == "all" else "read")
    whole = {hook: acts.at(hook).values for hook in ("pattern", "mlp_post")}
    if kind == "arrays":
        acts = Activations.from_arrays(whole, task)
    rows = []
    for some, block in acts.array_blocks("pattern", "mlp_post"):
        rows += list(some)
        for hook, values in block.items():
            np.testing.assert_array_equal(values, whole[hook][some.start : some.stop])
    assert rows == list(range(7))
    with pytest.raises(UnknownName):
        next(acts.array_blocks("embed"))


def test_arrays_are_computed_when_asked_for_and_can_be_forgotten() -> None:
    acts = record(random_network({}), ModularTask(7))
    before = acts.nbytes
    assert acts["mlp_post"] is not None
    assert acts.nbytes == before + 7 * 7 * 13 * 8
    acts.forget("mlp_post")
    assert acts.nbytes == before


def test_pair_mlp_has_its_own_hooks() -> None:
    network = PairMLP.initialised(PairMLPConfig(6, d_hidden=9, d_embed=4))
    acts = record(network, ModularTask(6))
    assert acts["embed"].dims == ("pos", "token", "d_model")
    assert acts.at("mlp_post").shape == (6, 6, 9)
    expected = network.all_logits()
    np.testing.assert_allclose(acts.at("logits"), expected, atol=1e-6)


def test_bad_requests_say_what_there_is() -> None:
    acts = record(random_network({}), ModularTask(7))
    with pytest.raises(UnknownName, match="did you mean 'resid_post'"):
        acts["resid_pots"]
    with pytest.raises(InputError, match='record with positions="all"'):
        acts.at("resid_post", "a")
    with pytest.raises(UnknownName, match="unknown position 'c'"):
        acts.at("q", "c")
    with pytest.raises(InputError, match="must agree"):
        record(random_network({}), ModularTask(11))
    with pytest.raises(UnknownName, match="depends on both tokens"):
        next(acts.blocks("q"))


def picture(p: int, operation: str) -> xr.DataArray:
    values = np.random.default_rng(p).normal(size=(2, p, p, 3))
    return xr.DataArray(values, dims=("pos", "a", "b", "d"), attrs={"p": p, "operation": operation})


ORDERS = list(itertools.permutations("abc", 2))


@given(
    p=st.sampled_from([3, 4, 7, 9, 12]),
    order=st.sampled_from(ORDERS),
    operation=st.sampled_from(["add", "subtract"]),
)
def test_an_order_is_undone_exactly(p: int, order: tuple[str, str], operation: str) -> None:
    x = picture(p, operation)
    y = in_order(x, *order)
    assert y.dims == ("pos", *order, "d")
    assert (in_order(y, "a", "b").values == x.values).all()
    task = ModularTask(p, operation)
    for u, v in itertools.product(range(p), repeat=2):
        at = dict(zip(order, (u, v), strict=True))
        a, b = next(
            (a, b)
            for a, b in itertools.product(range(p), repeat=2)
            if all({"a": a, "b": b, "c": task.labels[a, b]}[n] == at[n] for n in order)
        )
        assert (y.isel(at).values == x.isel(a=a, b=b).values).all()


@pytest.mark.parametrize("order", ORDERS[1:])
def test_multiplication_is_ordered_by_its_own_answer_without_zero(order: tuple[str, str]) -> None:
    x = picture(7, "multiply")
    y = in_order(x, *order)
    assert y.sizes[order[0]] == 6
    task = ModularTask(7, "multiply")
    for a, b in itertools.product(range(1, 7), repeat=2):
        named = {"a": a, "b": b, "c": int(task.labels[a, b])}
        assert (y.sel({n: named[n] for n in order}).values == x.isel(a=a, b=b).values).all()
    assert (in_order(y, "a", "b").values == x.isel(a=slice(1, None), b=slice(1, None)).values).all()


def test_orders_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match="needs a prime p"):
        in_order(picture(8, "multiply"), "c", "a")
    with pytest.raises(InputError, match="no order by c"):
        in_order(picture(7, "x^2+xy+y^2"), "c", "a")
    with pytest.raises(InputError, match="two different"):
        in_order(picture(7, "add"), "c", "c")
    with pytest.raises(UnknownName, match="unknown axis 'd'"):
        in_order(picture(7, "add"), "d", "a")
    with pytest.raises(InputError, match="exactly two"):
        in_order(picture(7, "add").isel(a=0), "c", "a")
    with pytest.raises(InputError, match="sizes 6 and 7"):
        in_order(picture(7, "add").isel(a=slice(6)), "c", "a")


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("hook", ["attn_scores", "pattern", "z", "resid_mid", "mlp_post", "logits"])
def test_a_resumed_record_is_a_run_with_that_activation_replaced(
    switches: dict[str, object], hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_network(switches)
    p = network.config.p
    acts = record(network, ModularTask(p)).load()
    values = acts.at(hook).values[::-1] * 1.5
    tokens = torch.as_tensor(ModularTask(p).tokens(equals=network.config.equals))
    replaced = torch.as_tensor(values.copy()).flatten(0, 1)
    expected = network.run(tokens, keep=("mlp_pre", "logits"), replace={hook: replaced})
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", 3 * p)
    for record_before in (acts, record(network, ModularTask(p))):
        blocks = list(record_before.resume({hook: values}, keep=("mlp_pre", "logits")))
        assert [len(rows) for rows, _ in blocks[:-1]] == [3] * (len(blocks) - 1)
        for name in ("mlp_pre", "logits"):
            whole = np.concatenate([block[name] for _, block in blocks]).reshape(p * p, -1)
            np.testing.assert_allclose(whole, expected[name].numpy(), atol=1e-12)


def test_what_cannot_be_resumed_is_refused() -> None:
    acts = record(random_network({}), ModularTask(7))
    with pytest.raises(UnknownName, match="unknown hook that depends on both tokens 'q'"):
        list(acts.resume({"q": np.zeros((7, 7, 3, 4))}))
    with pytest.raises(InputError, match=r"mlp_post of shape \(7, 8, 13\): expected \(7, 7, feature\)"):
        list(acts.resume({"mlp_post": np.zeros((7, 8, 13))}))
    with pytest.raises(InputError, match='positions="read"'):
        list(record(random_network({}), ModularTask(7), positions="all").resume({}))


def test_a_part_of_a_picture_or_another_order_of_it_is_not_reordered() -> None:
    x = xr.DataArray(
        np.arange(49).reshape(7, 7),
        dims=("a", "b"),
        coords={"a": range(7), "b": range(7)},
        attrs={"p": 7, "operation": "add"},
    )
    for part in (
        x.isel(a=slice(0, 5), b=slice(0, 5)),
        x.isel(a=slice(2, 7), b=slice(2, 7)),
        x.isel(a=[3, 1, 0, 2, 4, 5, 6]),
        x.isel(a=[0, 0, 1, 2, 3, 4, 5]),
        x.isel(a=slice(0, 5), b=slice(0, 5)).drop_vars(["a", "b"]),
        x.assign_coords(a=np.arange(7) + 0.5),
        x.assign_coords(a=list("abcdefg")),
    ):
        with pytest.raises(InputError, match="expected"):
            in_order(part, "c", "a")
    units = in_order(x, "c", "a", operation="multiply")
    np.testing.assert_array_equal(in_order(units, "a", "b", operation="multiply"), x[1:, 1:])
    with pytest.raises(InputError, match=r"xarray\.DataArray"):
        in_order(np.zeros((7, 7)), "c", "a")  # type: ignore[arg-type]


def test_what_does_not_fit_is_refused_with_how_much_it_would_take(monkeypatch) -> None:
    task = ModularTask(300)
    acts = record(Transformer.initialised(TransformerConfig(300, d_model=8, n_heads=2, d_mlp=16)), task)
    monkeypatch.setattr("modscope.memory.free_bytes", lambda: 10**6)
    with pytest.raises(
        InputError, match=r"mlp_post of all 300 \* 300 pairs would take 5.8 MB of memory, and"
    ):
        _ = acts["mlp_post"]
    with pytest.raises(InputError, match=r"p = 300: the answers of all 300 \* 300 pairs would take 2.2 MB"):
        _ = ModularTask(300).labels
