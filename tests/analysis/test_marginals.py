"""One-number parts: means over the rest by loops, and powers that add up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import Activations, record
from modscope.analysis.plane.marginals import checked_frequencies, marginals, phasors_of
from modscope.errors import InputError
from modscope.model import Transformer, TransformerConfig
from modscope.task import ModularTask


def small(p: int, operation: str = "add", **switches: object) -> Activations:
    config = TransformerConfig(p, d_model=10, n_heads=3, d_head=4, d_mlp=13, **switches)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() / 2 for n, s in config.shapes().items()}
    return record(Transformer(config, weights), ModularTask(p, operation))


@pytest.mark.parametrize("operation", ["add", "subtract"])
@pytest.mark.parametrize("p", [7, 8, 9])
def test_marginals_are_means_over_the_rest(p: int, operation: str) -> None:
    acts = small(p, operation)
    found = marginals(acts, "blocks.0.mlp.hook_post")
    x = acts.at("mlp_post").values
    x = x - x.mean((0, 1))
    sign = 1 if operation == "add" else -1
    for n in range(p):
        at_c = [x[a, b] for a in range(p) for b in range(p) if (a + sign * b) % p == n]
        np.testing.assert_allclose(found.of_a[n], x[n].mean(0), atol=1e-12)
        np.testing.assert_allclose(found.of_b[n], x[:, n].mean(0), atol=1e-12)
        np.testing.assert_allclose(found.of_answer[n], np.mean(at_c, 0), atol=1e-12)
    assert found.power == pytest.approx(float((x**2).sum()) / p**2)


@given(p=st.integers(3, 12), operation=st.sampled_from(["add", "subtract"]))
def test_the_four_directions_and_the_rest_add_up(p: int, operation: str) -> None:
    acts = small(p, operation)
    found = marginals(acts, "logits")
    n = np.arange(p)
    a, b = n[:, None], n[None, :]
    x = acts.at("logits").values
    rest = x - found.mean - found.of_a[a] - found.of_b[b]
    rest = rest - found.of_answer[(a + found.sign * b) % p] - found.of_opposite[(a - found.sign * b) % p]
    shares = found.share(found.of_a, found.of_b, found.of_answer, found.of_opposite)
    assert shares + float((rest**2).sum()) / p**2 / found.power == pytest.approx(1.0)


def test_a_head_axis_is_flattened_and_other_operations_are_refused() -> None:
    assert marginals(small(7), "z").of_a.shape == (7, 12)
    with pytest.raises(InputError, match="not applicable to operation 'multiply'"):
        marginals(small(7, "multiply"), "z")
    with pytest.raises(InputError, match="each once"):
        checked_frequencies([2, 2], 7)
    with pytest.raises(InputError, match="0 is DC"):
        checked_frequencies([0], 7)


@given(p=st.integers(3, 12), seed=st.integers(0, 5))
def test_all_phasors_give_back_the_wave(p: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((p, 2))
    ks = range(p // 2 + 1)
    C = phasors_of(x, ks)
    n = np.arange(p)
    back = sum((C[k] * np.exp(2j * np.pi * k * n / p)[:, None]).real for k in ks)
    np.testing.assert_allclose(back, x, atol=1e-12)
