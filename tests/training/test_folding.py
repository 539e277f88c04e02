"""The products within compiled code, how threads share the tables, and training where there is no library of products."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from tests.training.test_engines import check, shaken

from modscope.model import TransformerConfig
from modscope.task import ModularTask
from modscope.training import sources
from modscope.training.engines import PlainEngine
from modscope.training.fast import FastEngine
from modscope.training.folding import Share
from modscope.training.products import can_multiply, product
from modscope.training.tables import Pairs

CONFIG = TransformerConfig(13, d_model=16, n_heads=2, d_mlp=40)
multiplies = pytest.mark.skipif(
    not can_multiply(), reason="PyTorch brings no library here that can be called"
)


@njit
def _multiplied(A, B, out, A_turned, B_turned, add):
    product(A, B, out, A_turned, B_turned, add)


@multiplies
@settings(deadline=None, max_examples=60)
@given(
    sizes=st.tuples(*[st.integers(1, 20)] * 3),
    more=st.tuples(*[st.integers(0, 5)] * 3),
    flags=st.tuples(*[st.booleans()] * 3),
    seed=st.integers(0, 99),
)
def test_a_product_of_parts_of_arrays_is_that_of_numpy(sizes, more, flags, seed):
    (rows, inner, columns), (A_turned, B_turned, add) = sizes, flags
    chance = np.random.default_rng(seed)

    def part(shape, wider):
        whole = chance.normal(size=(shape[0], shape[1] + wider)).astype(np.float32)
        return whole[:, wider // 2 : wider // 2 + shape[1]]

    A = part((inner, rows) if A_turned else (rows, inner), more[0])
    B = part((columns, inner) if B_turned else (inner, columns), more[1])
    out = part((rows, columns), more[2])
    expected = (A.T if A_turned else A) @ (B.T if B_turned else B) + add * out
    _multiplied(A, B, out, A_turned, B_turned, add)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


@given(
    threads=st.integers(1, 9),
    d_mlp=st.integers(1, 300),
    p=st.integers(3, 120),
    heads=st.sampled_from([1, 2, 4]),
)
def test_every_place_is_in_one_share(threads, d_mlp, p, heads):
    config = TransformerConfig(p, d_model=8, n_heads=heads, d_mlp=d_mlp)
    each = [Share.of(config, i, threads) for i in range(threads)]
    for parts, size in zip(zip(*each, strict=True), (d_mlp, p - 1, p + 4, heads, 8), strict=True):
        assert parts[0][0] == 0
        assert parts[-1][1] == size
        assert all(one[1] == next_one[0] for one, next_one in itertools.pairwise(parts))
        assert all(first <= last for first, last in parts)


@multiplies
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_that_fold_together_find_the_gradients_of_one(threads):
    task, network = ModularTask(13), shaken(CONFIG, 3)
    pairs = Pairs.of(task, task.train_mask)
    found = []
    for engine in (
        FastEngine(CONFIG, threads=threads),
        FastEngine(CONFIG, threads=threads),
        PlainEngine(CONFIG),
    ):
        weights = {name: w.clone().requires_grad_() for name, w in network.weights.items()}
        for _ in range(2):
            engine.gradients(weights, pairs)
        found.append({name: w.grad.clone() for name, w in weights.items()})
    for name, plain in found[2].items():
        assert torch.equal(found[0][name], found[1][name]), name
        assert (found[0][name] - plain).norm() <= 1e-5 * max(plain.norm(), 1e-3), name


@multiplies
def test_weights_whose_rows_are_not_in_turn_in_memory_have_gradients_too():
    task, network = ModularTask(13), shaken(CONFIG, 3)
    pairs, found = Pairs.of(task, task.train_mask), []
    for laid in (lambda w: w.clone(), lambda w: w.mT.contiguous().mT if w.ndim > 1 else w.clone()):
        weights = {name: laid(w).requires_grad_() for name, w in network.weights.items()}
        FastEngine(CONFIG).gradients(weights, pairs)
        found.append({name: w.grad.clone() for name, w in weights.items()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_without_a_library_of_products_the_same_gradients_are_found(monkeypatch):
    monkeypatch.setattr(sources, "can_multiply", lambda: False)
    assert not sources.FoldedTables.fit(CONFIG)
    check(FastEngine(CONFIG, threads=2), shaken(CONFIG, 4), ModularTask(13))


@multiplies
def test_the_published_kind_of_network_is_folded_by_hand_and_no_other():
    assert sources.FoldedTables.fit(CONFIG)
    assert not sources.FoldedTables.fit(TransformerConfig(13, d_model=16, n_heads=2, d_mlp=40, equals=False))
    assert not sources.FoldedTables.fit(
        TransformerConfig(13, d_model=16, n_heads=2, d_mlp=40, attention_rate=0.5)
    )
    biased = TransformerConfig(13, d_model=16, n_heads=2, d_mlp=40, biases=("b_Q",))
    assert not sources.FoldedTables.fit(biased)
