"""Records without a network: of arrays, of functions, of foreign modules; measures say the same, or what they miss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from tests import own_network
from torch import Tensor, nn

import modscope as ms
from modscope import planted
from modscope.activations import Activations
from modscope.analysis import summarise
from modscope.analysis.answer.keys import RULES, key_frequencies
from modscope.analysis.overview.measures import MEASURES, measure_table
from modscope.errors import InputError, MissingHook, MissingWeight, UnknownName
from modscope.findings import CLAIMS, findings
from modscope.model import Transformer, TransformerConfig
from modscope.task import ModularTask, Split

KS = (1, 4, 7)
HOOKS = ("mlp_pre", "mlp_post", "resid_post", "logits")


@pytest.fixture(scope="module")
def full() -> Activations:
    network, task = planted.pizza(29, KS)
    return ms.record(network, task)


@pytest.fixture(scope="module")
def free(full: Activations) -> Activations:
    return ms.Activations.from_arrays({hook: full.at(hook).values for hook in HOOKS}, full.task)


def test_the_face_of_arrays(full: Activations, free: Activations) -> None:
    assert free.network is None
    assert free.hooks == free.joint_hooks == HOOKS
    for hook in HOOKS:
        xr.testing.assert_identical(free.at(hook), full.at(hook))
        assert free[hook].dims == ("pos", *full.at(hook).dims)
        whole = xr.concat([block[hook] for block in free.blocks(hook)], "a")
        assert np.array_equal(whole.transpose(*free.at(hook).dims).values, free.at(hook).values)
    again = np.concatenate([x["logits"] for _, x in free.resume({})])
    assert np.array_equal(again, free.at("logits").values)
    assert "pattern" not in free
    assert free.load() is free
    free.forget()
    assert free.kept == HOOKS


def test_what_is_missing_is_named(free: Activations) -> None:
    with pytest.raises(MissingHook, match="the record has no pattern: it holds mlp_pre, mlp_post"):
        free.at("pattern")
    with pytest.raises(UnknownName, match="did you mean 'mlp_post'"):
        free.at("mlp_pots")
    with pytest.raises(MissingWeight, match="no weight W_U"):
        free.weight("W_U")
    with pytest.raises(MissingWeight, match="mlp_post cannot be replaced"):
        list(free.resume({"mlp_post": free.at("mlp_post").values}))
    with pytest.raises(MissingWeight, match="activations alone"):
        free.model  # noqa: B018
    with pytest.raises(MissingWeight):
        ms.with_replaced(free, {"mlp_post": "mean"}).at("logits")


@pytest.mark.parametrize("rule", RULES)
def test_key_frequencies_by_every_rule(rule: str, full: Activations, free: Activations) -> None:
    if rule in ("embedding_norm", "cumulative_energy", "neuron_logit_peaks"):
        with pytest.raises(
            MissingWeight, match=r"the record has no (embedding W_E|map from neurons to logits)"
        ):
            key_frequencies(free, rule)
    else:
        assert key_frequencies(free, rule).frequencies == key_frequencies(full, rule).frequencies


NEEDS_MORE = {
    "reversal": "no wave of one token", "heads": "no q, k or v", "pattern": "no pattern", "scores": "no attn_scores",
    "rebuilt": "no wave of one token", "products": "no z", "outputs": "W_out W_U", "gains": "W_Q ... W_U", "waves": "no wave of one token",
}  # fmt: skip


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_agrees_or_says_what_it_misses(name: str, full: Activations, free: Activations) -> None:
    if name in NEEDS_MORE:
        with pytest.raises((MissingHook, MissingWeight), match=f"not applicable: .*{NEEDS_MORE[name]}"):
            measure_table(free, name, KS)
        return
    found, known = measure_table(free, name, KS), measure_table(full, name, KS)
    columns = {column: i for i, column in enumerate(known.columns)}
    rows = {
        tuple(str(cell) for cell in row[:2]) if name in ("groups", "periods") else str(row[0]): row
        for row in known.rows
    }
    for row in found.rows:
        whole = rows[tuple(str(cell) for cell in row[:2]) if name in ("groups", "periods") else str(row[0])]
        for column, cell in zip(found.columns, row, strict=True):
            if isinstance(cell, float) and np.isfinite(cell):
                assert cell == pytest.approx(whole[columns[column]], abs=1e-5), (row[0], column)


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_finding_agrees_or_says_what_it_misses(
    claim: str, full: Activations, free: Activations
) -> None:
    found, known = findings(free, only=[claim])[claim], findings(full, only=[claim])[claim]
    if found.verdict == "not applicable":
        assert any(
            word in found.reason for word in ("the record has no", "the record holds no", "activations alone")
        )
    else:
        assert found.verdict == known.verdict
        assert found.effect.value == pytest.approx(known.effect.value, abs=1e-6, nan_ok=True)


def test_which_findings_need_no_weights(free: Activations) -> None:
    said = {finding.id for finding in findings(free) if finding.verdict != "not applicable"}
    assert said >= {
        "even-about-half-c", "one-frequency", "phases-agree", "phases-tile", "second-harmonics", "logits-are-cosines",
        "distance-irrelevant", "key-frequencies-suffice", "key-frequencies-needed",
    }  # fmt: skip


def test_the_first_look(full: Activations, free: Activations) -> None:
    found, known = summarise(free), summarise(full)
    assert found.keys.frequencies == known.keys.frequencies
    assert found.clusters.counts() == known.clusters.counts()
    assert found.shares == {}
    for hook in HOOKS:
        assert found.even[hook] == pytest.approx(known.even[hook])
        assert found.energy[hook].shares() == pytest.approx(known.energy[hook].shares())
    assert (
        summarise(ms.Activations.from_arrays({"logits": free.at("logits")}, free.task)).to_dict()["neurons"]
        == 0
    )


def test_multiplication_is_read_as_addition_of_logarithms() -> None:
    network = Transformer.initialised(TransformerConfig(11, d_model=12, n_heads=2, d_mlp=24), seed=3)
    task = ModularTask(11, "multiply", Split("python", 0.4, 1))
    full = ms.record(network, task)
    free = ms.Activations.from_arrays({hook: full.at(hook) for hook in HOOKS}, task)
    for name in ("symmetry", "clusters", "terms"):
        found, known = (measure_table(acts, name, (1, 2)) for acts in (free, full))
        assert found.title == known.title
        rows = {row[0]: row for row in known.rows}
        for row in found.rows:
            assert row[1] == pytest.approx(rows[row[0]][1], abs=1e-5)
    for claim in ("even-about-half-c", "one-frequency"):
        found, known = (findings(acts, only=[claim])[claim] for acts in (free, full))  # type: ignore[assignment]
        assert found.verdict == known.verdict  # type: ignore[attr-defined]


def test_axes_are_named_and_put_first() -> None:
    x = np.random.default_rng(0).standard_normal((5, 5, 3))
    moved = xr.DataArray(x, dims=("a", "b", "part"), coords={"part": ["x", "y", "z"]}).transpose(
        "part", "b", "a"
    )
    acts = ms.Activations.from_arrays(
        {"moved": moved, "plain": x[..., 0], "t": torch.from_numpy(x)}, ModularTask(5)
    )
    assert np.array_equal(acts.at("moved").values, x)
    assert acts.at("moved").part.values.tolist() == ["x", "y", "z"]
    assert acts.at("plain").dims == ("a", "b", "feature")
    assert acts.at("t").values.dtype == np.float32
    tokens = xr.DataArray(x[0], dims=("token", "d_model"))
    with_table = ms.Activations.from_arrays({"embed": tokens, "x": x}, ModularTask(5))
    assert with_table.joint_hooks == ("x",)
    assert with_table["embed"].dims == ("pos", "token", "d_model")
    assert with_table.expand("embed").sizes["a"] == 5
    assert findings(with_table, only=["sparse-embedding"])[0].reason.startswith("the record has no")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "expected a mapping"),
        (np.zeros((5, 5, 2)), "expected a mapping"),
        ({"x": np.zeros((4, 5, 2))}, "x is 4 x 5 x 2: expected its first two axes, a and b, to be 5 x 5"),
        ({"x": np.zeros(25)}, "x is 25: expected"),
        ({"x": np.full((5, 5, 1), np.nan)}, "25 of 25 numbers that are NaN"),
        ({"x": np.full((5, 5, 1), "n")}, "expected real numbers"),
        ({"x": np.zeros((5, 5, 1), complex)}, "expected real numbers"),
        ({"logits": np.zeros((5, 5, 4))}, "with 5 answers or more"),
        (
            {"x": xr.DataArray(np.zeros((5, 5)), dims=("a", "c"))},
            "the axes a, c: expected a and b among them",
        ),
        ({"x": xr.DataArray(np.zeros((4, 2)), dims=("token", "d"))}, "4 tokens: expected p = 5"),
    ],
)
def test_arrays_that_make_no_record(arrays: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ms.Activations.from_arrays(arrays, ModularTask(5))


def test_a_number_of_values_in_place_of_a_task() -> None:
    acts = ms.Activations.from_arrays({"x": np.zeros((6, 6, 2))}, 6)
    assert acts.task.p == 6
    assert not acts.task.defined.any()
    with pytest.raises(InputError, match="expected a ModularTask, or how many values"):
        ms.Activations.from_arrays({"x": np.zeros((6, 6, 2))}, "add")  # type: ignore[arg-type]


# Functions


@given(p=st.integers(3, 9), batch=st.integers(1, 100))
def test_a_function_is_recorded_in_any_batches(p: int, batch: int) -> None:
    def function(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        return {"mlp_post": np.stack([a, b, a * b], axis=1), "logits": np.eye(p)[(a + b) % p]}

    acts = ms.record_function(function, ModularTask(p), batch=batch)
    n = np.arange(p)
    assert np.array_equal(acts.at("mlp_post").values[..., 2], n[:, None] * n)
    assert np.array_equal(acts.at("logits").values.argmax(-1), acts.task.labels)


def test_functions_that_have_no_row_for_each_pair() -> None:
    with pytest.raises(InputError, match=r"gives shape \(3,\) for 25 pairs"):
        ms.record_function(lambda a, b: np.zeros(3), ModularTask(5))


# Foreign modules


@pytest.fixture(scope="module")
def own() -> tuple[Activations, Activations]:
    net, task = own_network.trained(), ModularTask(own_network.P)
    hooks = {
        "mlp_pre": "blocks.1.up", "mlp_post": "blocks.1.act", "resid_post": "blocks.1.end", "pattern": "blocks.1.mix",
        "blocks.0.mlp_post": "blocks.0.down.in",
    }  # fmt: skip
    free = ms.record_module(net, task, inputs=["a", "b", own_network.P], hooks=hooks)
    return free, ms.record(own_network.in_own_words(net), task)


def test_two_layers_with_layernorm_are_measured_alike(own: tuple[Activations, Activations]) -> None:
    free, full = own
    for hook in free.hooks:
        assert np.allclose(free.at(hook).values, full.at(hook).values, atol=1e-4), hook
    assert free.at("pattern").dims == ("a", "b", "head", "key_pos")
    assert (free.at("logits").values.argmax(-1) == free.task.labels).mean() > 0.9
    assert key_frequencies(free).frequencies == key_frequencies(full).frequencies != ()
    first, second = summarise(free), summarise(full)
    assert first.clusters.counts() == second.clusters.counts()
    assert first.loss.all == pytest.approx(second.loss.all, abs=1e-6)
    for hook, known in (
        ("mlp_post", "blocks.1.mlp_post"),
        ("resid_post", "blocks.1.resid_post"),
        ("logits", "logits"),
    ):
        assert first.even[hook] == pytest.approx(second.even[known], abs=1e-5)
        assert first.energy[hook].shares() == pytest.approx(second.energy[known].shares(), abs=1e-5)
    for finding in findings(free):
        known_finding = findings(full, only=[finding.id])[0]
        if finding.verdict != "not applicable":
            assert finding.verdict == known_finding.verdict
            assert finding.effect.value == pytest.approx(known_finding.effect.value, abs=1e-4, nan_ok=True)


class Odd(nn.Module):
    """Attention with positions first, a part that is not run, a tuple, dropout, and more outputs than answers."""

    def __init__(self, p: int) -> None:
        super().__init__()
        self.embed, self.attend = nn.Embedding(p + 2, 8), nn.MultiheadAttention(8, 2)
        self.unused, self.drop, self.head = nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, p + 2)
        self.runs = 0

    def forward(self, x: Tensor) -> Tensor:
        self.runs += len(x)
        y = self.embed(x).transpose(0, 1)
        y, _ = self.attend(y, y, y)
        return self.head(self.drop(y.transpose(0, 1)))


def test_what_modules_give_is_read_whatever_its_order() -> None:
    p = 5
    torch.manual_seed(0)
    net = Odd(p).train()
    acts = ms.record_module(net, ModularTask(p), inputs=["a", 5, "b", 6], batch=4)
    assert acts.hooks == ("embed", "attend", "drop", "head", "logits")
    tokens = torch.tensor([[a, 5, b, 6] for a in range(p) for b in range(p)])
    before = net.runs
    net.eval()
    with torch.no_grad():
        y = net.embed(tokens).transpose(0, 1)
        attended, weights = net.attend(y, y, y)
    net.train()
    assert np.allclose(acts.at("attend").values.reshape(25, 8), attended[-1].numpy(), atol=1e-6)
    assert acts.at("logits").shape == (p, p, p)
    assert np.allclose(acts.at("embed").values.reshape(25, 8), y[-1].numpy())
    assert net.runs == before + 3 * 25  # one pass for each hook, none twice
    acts.at("attend")
    assert net.runs == before + 3 * 25
    assert net.training
    assert net.drop.training
    assert not net.attend._forward_hooks
    second = ms.record_module(
        net, ModularTask(p), inputs=["a", 5, "b", 6], hooks=["attend[1]", "head.in"], read=2
    )
    assert np.allclose(second.at("attend[1]").values.reshape(25, 4), weights[:, 2].numpy(), atol=1e-6)
    assert second.at("head.in").shape == (p, p, 8)


def test_answers_inputs_and_functions_of_pairs() -> None:
    p = 5
    net = Odd(p)
    tokens = np.array([[a, 5, b, 6] for a in range(p) for b in range(p)])
    by_list = ms.record_module(net, ModularTask(p), inputs=["a", 5, "b", 6]).at("logits").values
    for inputs in (
        tokens,
        torch.from_numpy(tokens),
        (tokens,),
        lambda a, b: torch.stack([a, 0 * a + 5, b, 0 * a + 6], 1),
    ):
        assert np.array_equal(
            ms.record_module(net, ModularTask(p), inputs=inputs).at("logits").values, by_list
        )
    turned = ms.record_module(net, ModularTask(p), inputs=tokens, answers=[4, 3, 2, 1, 0])
    assert np.array_equal(turned.at("logits").values, by_list[..., ::-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hooks": ["attend.out_porj"]}, "did you mean 'attend.out_proj'"),
        ({"hooks": ["unused"]}, "'unused' gives no tensor with a row for each pair"),
        (
            {"inputs": np.zeros((24, 4), int)},
            "inputs of 24 rows: expected one for each of the 5 x 5 = 25 pairs",
        ),
        ({"inputs": ["a", "+", "b"]}, 'expected "a", "b" and token numbers'),
        ({"inputs": ["a", 3]}, 'expected "a" and "b" among them'),
        ({"inputs": lambda a, b: a[:2, None]}, "expected a row for each"),
        ({"answers": [1, 2]}, "2 answers"),
        ({"answers": [1, 2, 3, 4, 99]}, "answer 99: the module has 7 outputs"),
    ],
)
def test_modules_that_cannot_be_recorded(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ms.record_module(Odd(5), ModularTask(5), **({"inputs": ["a", 5, "b", 6]} | options))


def test_what_is_no_module_or_gives_no_answers() -> None:
    with pytest.raises(InputError, match=r"expected a torch\.nn\.Module"):
        ms.record_module(lambda x: x, ModularTask(5), inputs=["a", "b"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least p = 5 answers"):
        ms.record_module(nn.Sequential(nn.Embedding(5, 3)), ModularTask(5), inputs=["a", "b"])
