"""The rebuilt residual stream against an explicit least-squares fit, planted streams and published numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import Activations, record
from modscope.analysis.stream.budget import error_budget
from modscope.analysis.stream.model import rebuilt_stream, stream_model
from modscope.analysis.stream.phasors import center_phasors, envelope_fit, phase_agreement
from modscope.analysis.stream.scores import scores_of_parts
from modscope.errors import InputError, UnknownName
from modscope.losses import accuracies, losses
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.orders import in_order
from modscope.task import ModularTask, Split


def small(p: int, operation: str = "add", **switches: object) -> Activations:
    config = TransformerConfig(p, d_model=10, n_heads=3, d_head=4, d_mlp=13, **switches)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() / 2 for n, s in config.shapes().items()}
    return record(Transformer(config, weights), ModularTask(p, operation))


def planted(acts: Activations, hook: str, values: np.ndarray) -> Activations:
    """The record with one activation written by hand."""
    acts._joint[hook] = torch.as_tensor(values).flatten(0, 1)
    return acts


def design(p: int, ks: list[int], sign: int, *, free_bias: bool) -> np.ndarray:
    """Columns of the model over pairs (a major), written as in its definition with c in 0..p-1."""
    a, b = np.divmod(np.arange(p * p), p)
    c = (a + sign * b) % p
    columns = [np.ones(p * p)]
    for k in ks:
        w = 2 * np.pi * k / p
        columns += [np.cos(w * (a - c / 2)) * np.cos(w * c / 2), -np.cos(w * (a - c / 2)) * np.sin(w * c / 2)]
        if not free_bias:
            columns += [np.cos(w * c), np.sin(w * c)]
    if free_bias:
        columns += list(np.eye(p)[:, c])
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("operation", ["add", "subtract"])
@pytest.mark.parametrize(("p", "ks"), [(7, [1, 3]), (8, [2, 4]), (9, [3, 4])])
@pytest.mark.parametrize("free_bias", [True, False])
def test_the_model_is_the_least_squares_fit(p: int, ks: list[int], operation: str, free_bias: bool) -> None:
    acts = small(p, operation)
    X = design(p, ks, 1 if operation == "add" else -1, free_bias=free_bias)
    y = acts.at("resid_post").values.reshape(p * p, -1)
    left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    r2 = 1 - (left**2).sum() / ((y - y.mean(0)) ** 2).sum()
    logits = ((y - left) @ acts.model.weight("W_U").numpy()).reshape(p, p, -1)
    found = rebuilt_stream(acts, ks).sel(model="cosines + bias" if free_bias else "cosines + key bias")
    assert float(found.r2) == pytest.approx(r2)
    np.testing.assert_allclose(found.loss, list(losses(logits, acts.task).to_dict().values()))
    np.testing.assert_allclose(found.accuracy, list(accuracies(logits, acts.task).to_dict().values()))


@given(p=st.integers(5, 12), k=st.integers(1, 6), operation=st.sampled_from(["add", "subtract"]))
def test_a_planted_stream_is_found(p: int, k: int, operation: str) -> None:
    k = min(k, (p - 1) // 2)
    sign = 1 if operation == "add" else -1
    P = _complex(p)
    a, b = np.divmod(np.arange(p * p), p)
    c = (a + sign * b) % p
    w = 2 * np.pi * k / p
    x = np.cos(w * (a - c / 2))[:, None] * (np.exp(1j * w * c / 2)[:, None] * P).real + (c**2)[:, None]
    acts = planted(small(p, operation), "resid_post", x.reshape(p, p, -1))
    model = stream_model(acts, [k])
    np.testing.assert_allclose(model.phasors[0], P, atol=1e-9)
    assert float(rebuilt_stream(acts, [k]).r2.sel(model="cosines + bias")) == pytest.approx(1.0)
    fit = envelope_fit(center_phasors(acts, [k]))
    np.testing.assert_allclose([fit.even.item(), fit.fve.item()], 1.0)
    np.testing.assert_allclose(fit.amplitude[0] * np.exp(1j * fit.phase[0]), P, atol=1e-9)


@pytest.mark.parametrize("operation", ["add", "subtract"])
def test_the_picture_is_the_formula_row_by_row(operation: str) -> None:
    p, ks = 9, [2, 4]
    acts = small(p, operation)
    model = stream_model(acts, ks)
    rows = in_order(model.picture(), "c", "a")
    assert rows.dims == ("c", "a", "d_model")
    bias = in_order(acts.at("resid_post"), "c", "a").mean("a").values
    a = np.arange(p)
    for c in (0, 5):
        wanted = np.zeros((p, 10)) + bias[c]
        for k, P in zip(ks, model.phasors, strict=True):
            w = 2 * np.pi * k / p
            wanted += np.cos(w * (a - c / 2))[:, None] * (P * np.exp(1j * w * c / 2)).real
        np.testing.assert_allclose(rows.sel(c=c), wanted, atol=1e-9)
    one = model.picture(model.cosines(frequencies=[2])) + model.picture(model.cosines(frequencies=[4]))
    whole = model.picture(model.cosines()) + model.picture({})
    np.testing.assert_allclose(one, whole, atol=1e-12)
    assert stream_model(acts, ks, hook="z").picture().dims == ("a", "b", "head", "d_head")
    with pytest.raises(UnknownName, match="unknown frequency of this model 3"):
        model.cosines(frequencies=[3])


def _complex(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.standard_normal(10) + 1j * generator.standard_normal(10)


def test_center_phasors_are_those_of_each_row() -> None:
    acts = small(9)
    Z = center_phasors(acts, [2, 4], hook="mlp_pre")
    x = acts.at("mlp_pre").values
    c, a = 5, np.arange(9)
    row = x[a, (c - a) % 9]
    for k in (2, 4):
        wave = np.exp(-2j * np.pi * k / 9 * (a - c / 2)) @ row * 2 / 9
        np.testing.assert_allclose(Z.sel(k=k, c=c), wave, atol=1e-12)


@pytest.mark.parametrize("hook", ["mlp_out", "z"])
def test_other_hooks_are_replaced_and_resumed(hook: str) -> None:
    acts = small(7, equals=False, causal=False)
    model = stream_model(acts, [1, 2, 3], hook=hook)
    parts = {"of_a": model.marginals.of_a, "of_answer": model.marginals.of_answer}
    n = np.arange(7)
    values = model.marginals.mean + parts["of_a"][n[:, None]] + parts["of_answer"][(n[:, None] + n) % 7]
    tokens = torch.as_tensor(acts.task.tokens(equals=False))
    shape = acts.at(hook).shape[2:]
    logits = acts.model.run(tokens, replace={hook: torch.as_tensor(values).reshape(49, *shape)})["logits"]
    loss, accuracy = scores_of_parts(acts, model.marginals, parts)
    grid = logits.numpy().reshape(7, 7, -1)
    assert loss.all == pytest.approx(losses(grid, acts.task).all)
    assert accuracy == accuracies(grid, acts.task)


@pytest.mark.parametrize("operation", ["add", "subtract"])
@pytest.mark.parametrize("p", [7, 8])
def test_the_budget_ends_at_the_network_itself(p: int, operation: str) -> None:
    acts = small(p, operation, biases=("b_in", "b_U"))
    budget = error_budget(acts, [1, p // 2])
    assert (budget.added.values > -1e-12).all()
    assert float(budget.added.sum()) == pytest.approx(1.0)
    logits = acts.at("logits").values
    assert float(budget.loss.sel(step="cross terms", split="test")) == pytest.approx(
        losses(logits, acts.task).test
    )


def test_a_stream_that_is_the_unembedding_agrees_with_it() -> None:
    p, acts = 11, small(11)
    W = acts.model.weight("W_U").numpy()
    a, b = np.divmod(np.arange(p * p), p)
    acts = planted(acts, "resid_post", 3 * W.T[(a + b) % p].reshape(p, p, -1))
    found = phase_agreement(acts, [2, 5])
    assert float(found.by_row.max()) < 1e-6
    assert float(found.exact.max()) < 1e-6
    np.testing.assert_allclose(found.cosine, 1.0)
    # unrelated phases are pi/2 apart on average, whatever is planted
    assert abs(float(found.exact_control.mean()) - np.pi / 2) < 0.3
    steps = error_budget(acts, [1, 2, 3, 4, 5]).r2
    np.testing.assert_allclose(steps.values, 1.0)
    turned = planted(small(p), "resid_post", W.T[(a + b + 1) % p].reshape(p, p, -1))
    np.testing.assert_allclose(
        phase_agreement(turned, [2, 5]).exact.mean("d_model"), 2 * np.pi * np.array([2, 5]) / p
    )


def test_without_a_residual_stream_or_a_sum_it_is_not_applicable() -> None:
    network = PairMLP.initialised(PairMLPConfig(7, d_hidden=12))
    with pytest.raises(InputError, match="not applicable"):
        rebuilt_stream(record(network, ModularTask(7)), [1])
    with pytest.raises(InputError, match="not applicable"):
        phase_agreement(record(network, ModularTask(7)), [1])
    with pytest.raises(InputError, match="not applicable"):
        error_budget(small(7, "multiply"), [1])
    with pytest.raises(InputError, match="expected an integer from 1 to 3"):
        rebuilt_stream(small(7), [1, 5])
    with pytest.raises(UnknownName, match="did you mean 'resid_post'"):
        rebuilt_stream(small(7), [1], hook="resid_pots")


def test_an_unembedding_with_fewer_answers_has_no_waves_over_the_answer() -> None:
    acts = small(7, d_vocab_out=5)
    acts = record(acts.model, ModularTask(7, "add", Split("none")))
    with pytest.raises(InputError, match="W_U has 5 answers: expected at least p = 7"):
        phase_agreement(acts, [1])
    more = small(7, d_vocab_out=8)
    assert "W_U, one gain" in rebuilt_stream(more, [1]).model


def test_without_a_split_only_all_pairs_are_judged() -> None:
    acts = record(small(7).model, ModularTask(7, split=Split("none")))
    found = rebuilt_stream(acts, [2])
    assert np.isnan(found.loss.sel(split=["train", "test"])).all()
    assert np.isfinite(found.loss.sel(split="all")).all()


def test_golden_numbers_of_the_rebuilt_stream(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    found = rebuilt_stream(mainline, mainline_keys)
    print(found.r2.to_series(), found.loss.to_pandas(), sep="\n")
    at = found.sel(model="cosines + key bias")
    assert float(at.r2) == pytest.approx(0.9650, abs=5e-5)
    assert float(at.loss.sel(split="all")) == pytest.approx(5.481e-08, abs=5e-12)
    at = found.sel(model="cosines + bias")
    assert float(at.r2) == pytest.approx(0.97036, abs=5e-6)
    assert float(at.loss.sel(split="all")) == pytest.approx(5.168e-08, abs=5e-12)
    # the answer is in the bias: the cosines about c/2 alone are at chance
    assert float(found.accuracy.sel(model="cosines only", split="all")) < 0.02
    assert float(found.accuracy.sel(model="bias only", split="all")) == 1.0


def test_golden_phase_agreement(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    found = phase_agreement(mainline, mainline_keys)
    by_row, exact = float(found.by_row.mean()), float(found.exact.mean())
    print(
        f"by row {by_row:.4f} rad, exact {exact:.4f} rad, permuted {float(found.by_row_control.mean()):.4f} rad"
    )
    assert by_row == pytest.approx(0.189, abs=5e-4)
    assert exact < 0.05
    assert float(found.by_row_control.min()) > 1.4
