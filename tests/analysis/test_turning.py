"""Turned circles: the whole table turned is other tokens read, the answer goes where the operation says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modscope import planted
from modscope.activations import record
from modscope.analysis.causes.ablation import ablate_all, ablations
from modscope.analysis.causes.turning import turned_rows, turning_of
from modscope.errors import InputError, UnknownName
from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.networks.layered import LayeredTransformer
from modscope.networks.layered_config import LayeredConfig
from modscope.shipped import shipped_network
from modscope.task import ModularTask, Split

OPERATIONS = ("a+b", "a-b", "a*b", "a/b", "2a+3b+1", "b-a")


def network(kind: str, p: int) -> Network:
    if kind == "one layer":
        return Transformer.initialised(TransformerConfig(p, d_model=8, n_heads=2, d_mlp=12))
    if kind == "two tables":
        return PairMLP.initialised(PairMLPConfig(p, d_hidden=9, d_embed=6))
    if kind == "one-hot":
        return PairMLP.initialised(PairMLPConfig(p, d_hidden=9))
    separate, tied = kind == "separate", kind == "tied"
    config = LayeredConfig(
        p, n_layers=2, d_model=8, n_heads=2, d_mlp=12, norm="layer", separate=separate, tied=tied,
        sequence=("a", "+", "b", "="), constants=("+", "="),
    )  # fmt: skip
    return LayeredTransformer.initialised(config)


KINDS = ("one layer", "two tables", "one-hot", "separate", "shared", "tied")


@given(
    n=st.integers(3, 12),
    shift=st.floats(-20, 20),
    seed=st.integers(0, 5),
    ks=st.sets(st.integers(1, 6)),
)
def test_turning_is_exact_on_chosen_frequencies_alone(n: int, shift: float, seed: int, ks: set[int]) -> None:
    ks = {k for k in ks if 2 * k < n}
    table = np.random.default_rng(seed).standard_normal((n, 3))
    turned = turned_rows(table, sorted(ks), shift)
    back = turned_rows(turned, sorted(ks), -shift)
    assert np.allclose(back, table)
    before, after = np.fft.rfft(table, axis=0), np.fft.rfft(turned, axis=0)
    assert np.allclose(np.abs(before), np.abs(after))
    for k in range(len(before)):
        turn = np.exp(2j * np.pi * k * shift / n) if k in ks else 1.0
        assert np.allclose(after[k], before[k] * turn)


def test_residues_without_a_place_keep_their_rows() -> None:
    table = np.random.default_rng(0).standard_normal((7, 3))
    turned = turned_rows(table, [1, 2, 3], 2, places=(1, 3, 2, 6, 4, 5))
    assert np.array_equal(turned[0], table[0])
    assert np.allclose(turned[[1, 3, 2, 6, 4, 5]], table[[2, 6, 4, 5, 1, 3]])


@pytest.mark.parametrize("kind", [*KINDS, "no equals"])
@pytest.mark.parametrize("reader", ["both", "a", "b"])
def test_several_turns_in_one_pass_answer_as_each_alone(kind: str, reader: str) -> None:
    plain = TransformerConfig(8, d_model=8, n_heads=2, d_mlp=12, equals=False, causal=False)
    net = Transformer.initialised(plain) if kind == "no equals" else network(kind, 8)
    turning = turning_of(record(net.to(torch.float64), ModularTask(8)))
    a, b = np.divmod(np.random.default_rng(0).permutation(64)[:23], 8)
    shifts = [0, 1, -3, 2.5]
    found = turning.answers([1, 3, 4], shifts, a, b, reader)  # type: ignore[arg-type]
    alone = [turning.turned([1, 3, 4], s, reader).run(a, b).argmax(-1) for s in shifts]  # type: ignore[arg-type]
    assert np.array_equal(found, alone)
    assert turning.answers([1], [], a, b).shape == (0, 23)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("reader", ["both", "a", "b"])
@pytest.mark.parametrize("shift", [1, -2])
def test_every_frequency_turned_reads_other_tokens(
    kind: str, operation: str, reader: str, shift: int
) -> None:
    p = 7
    task = ModularTask(p, operation)
    acts = record(network(kind, p), task)
    turning = turning_of(acts)
    geometry = turning.geometry
    every = list(range(1, turning.n // 2 + 1))
    turned = turning.turned(every, shift, reader)  # type: ignore[arg-type]
    next_a, next_b = np.arange(p), np.arange(p)
    shift_b = shift if turning.factor is None else shift * turning.factor
    if reader != "b":
        next_a[list(geometry.a)] = np.roll(geometry.a, -shift)
    if reader != "a":
        along = shift_b if reader == "both" else shift
        next_b[list(geometry.b)] = np.roll(geometry.b, -along)
    expected = acts.at("logits").values[np.ix_(next_a, next_b)]
    assert np.allclose(turned.rows(range(p)), expected, atol=1e-4)
    moved = turning.moved_labels(turning.moves(shift, reader))  # type: ignore[arg-type]
    has_place = np.isin(np.arange(p), geometry.a)[:, None] & np.isin(np.arange(p), geometry.b)
    assert np.array_equal(moved[has_place], task.labels[np.ix_(next_a, next_b)][has_place])


def test_by_how_much_each_operation_moves() -> None:
    for kind, operation, both in (
        ("one layer", "a+b", 6), ("one layer", "a-b", 0), ("two tables", "a-b", 0), ("two tables", "2a+3b", 6),
        ("one layer", "a*b", 6), ("one layer", "a/b", 0),
    ):  # fmt: skip
        turning = turning_of(record(network(kind, 7), ModularTask(7, operation)))
        assert turning.moves(3) % turning.n == both % turning.n, (kind, operation)
        assert turning.readers == ("both" if both else "a")
        assert turning.moves(3, "a") == 3


def test_the_answer_follows_the_planted_circles() -> None:
    net, task = planted.rectified_sum(29, (1, 4, 7))
    acts = record(net, task)
    turning = turning_of(acts)
    for shift, reader in ((1, "both"), (5, "both"), (-3, "a"), (4, "b"), (0.5, "both"), (2.5, "both")):
        answers = turning.turned((1, 4, 7), shift, reader).rows(range(29)).argmax(-1)  # type: ignore[arg-type]
        assert np.array_equal(answers, turning.moved_labels(turning.moves(shift, reader)))  # type: ignore[arg-type]
    rest = [k for k in range(1, 15) if k not in (1, 4, 7)]
    assert np.array_equal(turning.turned(rest, 5).rows(range(29)).argmax(-1), task.labels)


def test_the_shipped_network_turns_as_it_was_found_to() -> None:
    checkpoint = shipped_network()
    acts = record(checkpoint.model, checkpoint.task)
    names = ["turn-circles/s=1", "turn-circles/s=17", "turn-rest/s=17", "turn-circles/s=17/k=1"]
    one, far, rest, single = ablate_all(acts, (1, 5, 7, 29), names=names, controls=2)
    assert one.ablated.accuracy.all == 1.0
    assert far.ablated.accuracy.all == pytest.approx(0.9997, abs=5e-5)
    assert rest.ablated.accuracy.all > 0.999
    assert single.ablated.accuracy.all == 0.0
    for result in (one, far):
        assert result.control_accuracies().max() == 0.0
    assert rest.control_accuracies().max() < 0.5


def test_the_ablations_by_name() -> None:
    net, task = planted.rectified_sum(29, (1, 4, 7))
    acts = record(net, task)
    listed = [name for name in ablations(acts, (1, 4, 7)) if name.startswith("turn")]
    assert listed == ["turn-circles/s=1", "turn-circles/s=4", "turn-rest/s=4"]
    half = ablate_all(acts, (1, 4, 7), names=["turn-circles/s=2.5/at=both"], controls=1)[0]
    assert "turned by 2.5 for a and b; scored by the answer 5 places on" in half.says
    assert half.ablated.accuracy.all == 1.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("turn-circles/s=0.25", "the answer would move by 0.5 places"),
        ("turn-circles/s=x", "expected turn-circles/s=17"),
        ("turn-circle/s=1", "expected turn-circles/s=17"),
        ("turn-circles/s=1/k=99", "frequency 99: expected numbers from 1 to 14"),
    ],
)
def test_turns_that_cannot_be_made(name: str, message: str) -> None:
    net, task = planted.rectified_sum(29, (1, 4, 7))
    with pytest.raises(InputError, match=message):
        ablate_all(record(net, task), (1, 4, 7), names=[name], controls=0)


def test_what_has_no_circle_says_so() -> None:
    net = network("one layer", 8)
    for operation, message in (
        ("max", "the residues are compared"),
        ("random", "random labels"),
        ("D4", "group D4"),
    ):
        acts = record(net, ModularTask(8, operation, Split("none")))
        with pytest.raises(InputError, match=f"not applicable: .*{message}"):
            turning_of(acts)
        assert not [name for name in ablations(acts, (1,)) if name.startswith("turn")]
    with pytest.raises(UnknownName, match="reader"):
        turning_of(record(net, ModularTask(8))).turned((1,), 1, "c")  # type: ignore[arg-type]


def test_turned_weights_leave_the_network_as_it_was() -> None:
    net, task = planted.rectified_sum(29, (1, 4, 7))
    before = {name: weight.clone() for name, weight in net.weights.items()}
    turning_of(record(net, task)).turned((1, 4), 3, "a").rows(range(2))
    assert all(torch.equal(net.weights[name], weight) for name, weight in before.items())
