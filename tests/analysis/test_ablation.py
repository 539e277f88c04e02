"""Ablations against runs on the tokens, the sizes of their controls, and networks whose mechanism is planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modscope import planted
from modscope.activations import Activations, record
from modscope.analysis.causes.ablation import (
    ablate,
    ablate_all,
    ablate_with,
    ablation_dataset,
    ablation_table,
    ablations,
    intermodulation_set,
)
from modscope.analysis.causes.ablation.attention import equalised_pattern, mean_pattern, swapped_pattern
from modscope.analysis.causes.ablation.filters import other_frequencies
from modscope.analysis.causes.ablation.tokens import permuted_embeddings
from modscope.analysis.causes.ablation.trial import ChangedHook
from modscope.errors import InputError, UnknownName
from modscope.losses import accuracies, losses
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.residues import alias
from modscope.signal import remove_frequencies
from modscope.task import ModularTask, Split


def small(p: int, operation: str = "add", **switches: object) -> Activations:
    config = TransformerConfig(p, d_model=10, n_heads=3, d_head=4, d_mlp=13, **switches)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() / 2 for n, s in config.shapes().items()}
    return record(Transformer(config, weights), ModularTask(p, operation))


def direct(acts: Activations, hook: str, values: np.ndarray) -> tuple[object, object]:
    """Losses and accuracies by one run on all tokens with an activation replaced."""
    task = acts.task
    tokens = torch.as_tensor(task.tokens(equals=acts.model.config.equals))
    replaced = torch.as_tensor(values.copy()).flatten(0, 1)
    logits = acts.model.run(tokens, replace={hook: replaced})["logits"].numpy().reshape(task.p, task.p, -1)
    return losses(logits, task), accuracies(logits, task)


NETWORKS = [
    {"p": 9},
    {"p": 8, "operation": "subtract"},
    {"p": 9, "equals": False, "causal": False},
    {"p": 7, "equals": False, "causal": False, "attention_rate": 0.0},
    {"p": 7, "operation": "multiply", "activation": "gelu"},
    {"p": 7, "operation": "random", "activation": "quadratic"},
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_every_ablation_runs_on_every_kind_of_network(network: dict[str, object]) -> None:
    acts = small(**network)  # type: ignore[arg-type]
    results = ablate_all(acts, [1, 2], controls=2)
    assert {r.name for r in results} == set(ablations(acts, [1, 2]))
    for r in results:
        for outcome in (r.ablated, *r.controls):
            assert np.isfinite(outcome.loss.all), r.name
            assert 0 <= outcome.accuracy.all <= 1
        assert r.intact.loss.all == pytest.approx(losses(acts.at("logits").values, acts.task).all)


def test_what_a_network_does_not_have_is_left_out() -> None:
    whole = ablations(small(9), [2])
    assert {"pattern-mean/head=2", "half-absolute", "logits-restricted/mask=cube"} <= set(whole)
    gelu = ablations(small(7, "multiply", activation="gelu"), [2])
    assert {"nonlinearity-removed", "neurons-only-a+b"} <= set(gelu)
    assert not {"half-absolute", "half-linear"} & set(gelu)
    assert "neurons-only-a+b" not in ablations(small(9, "multiply"), [2])
    flat = record(PairMLP.initialised(PairMLPConfig(7, d_hidden=12), seed=1), ModularTask(7))
    names = set(ablations(flat, [2]))
    assert not any(name.startswith(("pattern", "head", "skip", "mlp-mean")) for name in names)
    assert {"neurons-only-a+b", "embeddings-permuted/n=7", "nonlinearity-removed"} <= names
    assert all(np.isfinite(r.ablated.loss.all) for r in ablate_all(flat, [2], controls=1))


@pytest.mark.parametrize("network", NETWORKS[:4], ids=str)
def test_pattern_ablations_are_runs_with_that_pattern(network: dict[str, object]) -> None:
    acts = small(**network)  # type: ignore[arg-type]
    A = acts.at("pattern").values
    mean = np.zeros_like(A) + A.mean((0, 1))
    equal = A.copy()
    equal[..., 0] = equal[..., 1] = (A[..., 0] + A[..., 1]) / 2
    swapped = A[..., [1, 0, *range(2, A.shape[-1])]]
    constant = np.zeros_like(A)
    constant[..., :2] = A.sum(-1, keepdims=True) / 2
    one = A.copy()
    one[:, :, 1] = mean[:, :, 1]
    wanted = {
        "pattern-mean": mean,
        "pattern-equalised": equal,
        "pattern-swapped": swapped,
        "pattern-constant": constant,
        "pattern-mean/head=1": one,
    }
    for name, pattern in wanted.items():
        found = ablate(acts, name, [2], controls=0).ablated
        loss, accuracy = direct(acts, "pattern", pattern)
        assert found.loss.all == pytest.approx(loss.all), name  # type: ignore[attr-defined]
        assert found.accuracy == accuracy
        assert found.changed == pytest.approx(((pattern - A) ** 2).sum() / (A**2).sum())


@given(seed=st.integers(0, 20))
def test_laws_of_patterns(seed: int) -> None:
    A = np.random.default_rng(seed).dirichlet(np.ones(3), (5, 5, 2))
    for change in (mean_pattern, equalised_pattern, swapped_pattern):
        np.testing.assert_allclose(change(A).sum(-1), 1)
    assert (swapped_pattern(swapped_pattern(A)) == A).all()
    np.testing.assert_allclose(equalised_pattern(swapped_pattern(A)), equalised_pattern(A))
    np.testing.assert_allclose(mean_pattern(mean_pattern(A)), mean_pattern(A))


def test_mlp_ablations_are_runs_with_those_neurons() -> None:
    acts = small(8)
    pre, post, mid = (acts.at(h).values for h in ("mlp_pre", "mlp_post", "resid_mid"))
    n = np.arange(8)
    cos, sin = np.cos(2 * np.pi * 2 * n / 8), np.sin(2 * np.pi * 2 * n / 8)
    along = np.stack((np.ones(8), cos, sin)) / np.sqrt([[8], [4], [4]])
    both = 2 * np.pi * 2 * (n[:, None] + n) / 8
    total = np.stack((np.cos(both), np.sin(both))) / np.sqrt(32)
    wanted = {
        "nonlinearity-removed": ("mlp_post", pre),
        "half-linear": ("mlp_post", pre / 2),
        "half-absolute": ("mlp_post", abs(pre) / 2),
        "skip-mean": ("resid_post", acts.at("resid_post").values - mid + mid.mean((0, 1))),
        "neurons-key-only/along=b": ("mlp_post", np.einsum("abn,kb,kB->aBn", post, along, along)),
        "neurons-without-harmonics/along=a": (
            "mlp_post",
            post - np.einsum("abn,a,A->Abn", post, (-1.0) ** n, (-1.0) ** n) / 8,
        ),
        "neurons-without-a+b": ("mlp_post", post - np.einsum("abn,kab,kAB->ABn", post, total, total)),
        "neurons-only-a+b": (
            "mlp_post",
            post.mean((0, 1)) + np.einsum("abn,kab,kAB->ABn", post, total, total),
        ),
    }
    for name, (hook, values) in wanted.items():
        assert ablate(acts, name, [2], controls=0).ablated.loss.all == pytest.approx(
            direct(acts, hook, values)[0].all  # type: ignore[attr-defined]
        ), name


def test_multiplication_is_filtered_on_its_circle_and_zero_left_alone() -> None:
    acts = small(7, "multiply")
    x = acts.at("mlp_post").values
    powers = [1, 3, 2, 6, 4, 5]  # of 3 mod 7
    n = np.arange(6)
    angle = 2 * np.pi * 2 * (n[:, None] + n) / 6
    waves = np.stack((np.cos(angle), np.sin(angle))) / np.sqrt(18)
    on_circle = x[np.ix_(powers, powers)]
    wanted = x.copy()
    wanted[np.ix_(powers, powers)] -= np.einsum("abn,kab,kAB->ABn", on_circle, waves, waves)
    found = ablate(acts, "neurons-without-a+b", [2], controls=0).ablated
    assert found.loss.all == pytest.approx(direct(acts, "mlp_post", wanted)[0].all)  # type: ignore[attr-defined]
    logits = acts.at("logits").values.copy()
    on_circle = logits[np.ix_(powers, powers)]
    part = np.einsum("abn,kab,kAB->ABn", on_circle, waves, waves)
    logits[np.ix_(powers, powers)] = part + on_circle.mean((0, 1))
    found = ablate(acts, "logits-restricted/mask=directions", [2], controls=0).ablated
    assert found.loss.all == pytest.approx(losses(logits, acts.task).all)


def test_a_shuffled_change_has_the_size_of_the_change_and_keeps_the_mean() -> None:
    acts = small(9)
    values = acts.at("mlp_post").values * 1.5
    seen: list[np.ndarray] = []
    trial = ChangedHook(acts, "mlp_post", values)
    trial.acts.resume = lambda replace: seen.append(replace["mlp_post"]) or iter(())  # type: ignore[method-assign,func-returns-value,assignment,return-value]
    trial.control(np.random.default_rng(0))
    before = acts.at("mlp_post").values
    np.testing.assert_allclose(((seen[0] - before) ** 2).sum(), ((values - before) ** 2).sum())
    np.testing.assert_allclose(seen[0].mean((0, 1)), values.mean((0, 1)))
    assert not np.allclose(seen[0], values)


@given(p=st.integers(9, 60), seed=st.integers(0, 5), count=st.integers(1, 8))
def test_random_frequencies_are_as_many_and_neither_dc_nor_key(p: int, seed: int, count: int) -> None:
    ks = [1, p // 2]
    drawn = other_frequencies(np.random.default_rng(seed), count, ks, p)
    assert len(set(drawn)) == min(count, p // 2 - 2)
    assert not set(drawn) & {0, *ks}
    assert set(drawn) <= set(range(p // 2 + 1))


@given(p=st.integers(7, 60), seed=st.integers(0, 5))
def test_the_set_of_sums_and_differences_is_what_products_hold(p: int, seed: int) -> None:
    ks = sorted(np.random.default_rng(seed).choice(np.arange(1, p // 2 + 1), 3, replace=False).tolist())
    n = np.arange(p)
    found = set()
    for j in ks:
        for k in ks:
            product = np.cos(2 * np.pi * j * n / p + 0.4) * np.cos(2 * np.pi * k * n / p + 0.9)
            found |= {alias(int(i), p) for i in np.flatnonzero(abs(np.fft.fft(product)) > 1e-6)}
    assert set(intermodulation_set(ks, p)) == found - {0} - set(ks)


def test_permuted_embeddings_run_in_a_circle() -> None:
    acts = small(7)
    tokens = np.array([4, 1, 6])
    W, V = acts.model.weight("W_E"), permuted_embeddings(acts.model, tokens).weight("W_E")
    for old, new in ((1, 4), (6, 1), (4, 6), (0, 0), (7, 7)):
        assert (V[new] == W[old]).all()


def test_results_depend_on_the_seed_alone() -> None:
    acts = small(7)
    first = ablate(acts, "neurons-without-a+b", [2], controls=4, seed=3)
    again = ablate_all(acts, [2], names=["pattern-mean", "neurons-without-a+b"], controls=4, seed=3)[1]
    other = ablate(acts, "neurons-without-a+b", [2], controls=4, seed=4)
    assert first.controls == again.controls
    assert (
        first.control_losses() == ablate(small(7), first.name, [2], controls=4, seed=3).control_losses()
    ).all()
    assert first.controls != other.controls


def test_bad_names_and_numbers_are_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'pattern-mean'"):
        ablate(small(7), "patern-mean", [2])
    with pytest.raises(
        InputError, match="'neurons-only-a\\+b' is not applicable to this network: it needs an answer"
    ):
        ablate(small(7, "random"), "neurons-only-a+b", [2])
    with pytest.raises(UnknownName, match="unknown way to match controls 'sise'"):
        ablate(small(7), "pattern-mean", [2], matched="sise")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="-1 controls"):
        ablate(small(7), "pattern-mean", [2], controls=-1)
    with pytest.raises(InputError, match="key frequency 9"):
        ablate(small(7), "pattern-mean", [9])
    with pytest.raises(InputError, match="at least one"):
        ablation_dataset([])


def test_controls_of_the_same_energy_are_the_shuffled_change() -> None:
    acts = small(9)
    by_size = ablate(acts, "neurons-without-a+b", [2], controls=3)
    by_energy = ablate(acts, "neurons-without-a+b", [2], controls=3, matched="energy")
    assert by_size.ablated == by_energy.ablated
    assert by_size.control != by_energy.control
    assert (by_size.control_losses() != by_energy.control_losses()).all()
    x = acts.at("mlp_post").values
    change = remove_frequencies(x, (0, 1), [2], terms="sum") - x
    order = np.random.default_rng((0, 1)).permutation(81)
    dealt = x + change.reshape(81, -1)[order].reshape(x.shape)
    wanted = direct(acts, "mlp_post", dealt)[0].all  # type: ignore[attr-defined]
    assert by_energy.control_losses()[1] == pytest.approx(wanted)


def test_an_activation_of_ones_own_can_be_put_in() -> None:
    acts = small(9)
    values = np.broadcast_to([0.25, 0.75, 0.0], acts.at("pattern").shape)
    found = ablate_with(acts, "blocks.0.attn.hook_pattern", values, controls=2)
    assert found.ablated.loss.all == pytest.approx(direct(acts, "pattern", values)[0].all)  # type: ignore[attr-defined]
    assert len(found.controls) == 2
    with pytest.raises(InputError, match=r"pattern of shape \(9, 9, 3\): expected \(9, 9, 3, 3\)"):
        ablate_with(acts, "pattern", values[..., 0])
    with pytest.raises(UnknownName, match="depends on both tokens 'q'"):
        ablate_with(acts, "q", values)


def test_dataset_and_table_hold_the_results() -> None:
    acts = record(small(7).model, ModularTask(7, split=Split("none")))
    results = ablate_all(acts, [2], names=["pattern-mean", "clusters-mean"], controls=3)
    data = ablation_dataset(results)
    assert dict(data.sizes) == {"ablation": 2, "split": 3, "control": 3}
    assert float(data.loss.sel(ablation="pattern-mean", split="all")) == results[0].ablated.loss.all
    assert np.isnan(data.loss.sel(split="test")).all()
    table = ablation_table(results)
    assert table.rows[0][1] == results[0].ablated.loss.all
    assert max(map(len, str(table).splitlines())) <= 80


KS = (1, 4, 7)


def test_a_planted_clock_needs_its_pattern_and_not_its_mlp() -> None:
    acts = record(*planted.clock(17, KS))
    by = {
        n: ablate(acts, n, KS, controls=0).ablated
        for n in ("pattern-mean", "nonlinearity-removed", "mlp-mean")
    }
    assert by["pattern-mean"].accuracy.all < 0.2
    assert by["mlp-mean"].accuracy.all == 1.0


def test_a_planted_rectified_sum_needs_its_mlp_and_not_its_pattern() -> None:
    acts = record(*planted.rectified_sum(17, KS))
    names = (
        "pattern-mean",
        "nonlinearity-removed",
        "mlp-mean",
        "half-absolute",
        "skip-mean",
        "neurons-only-a+b",
    )
    by = {n: ablate(acts, n, KS, controls=0).ablated.accuracy.all for n in names}
    assert by["pattern-mean"] == by["half-absolute"] == by["skip-mean"] == by["neurons-only-a+b"] == 1.0
    assert by["nonlinearity-removed"] < 0.5
    assert by["mlp-mean"] < 0.2


def test_a_planted_memoriser_gains_nothing_from_frequencies() -> None:
    acts = record(*planted.memoriser(7))
    kept = ablate(acts, "neurons-only-a+b", [1], controls=20)
    assert kept.ablated.accuracy.train is not None
    assert kept.ablated.accuracy.train < 0.9
    assert 0 <= kept.share_of_controls_as_bad <= 1


def test_golden_ablations(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    def ablated(name: str) -> object:
        return ablate(mainline, name, mainline_keys, controls=0).ablated.loss

    found = ablated("neurons-without-intermodulation/along=b")
    kept, removed = ablated("logits-restricted/mask=directions"), ablated("logits-excluded/mask=directions")
    print(intermodulation_set(mainline_keys, 113), found, kept, removed, sep="\n")
    assert found.test == pytest.approx(1.679e-07, abs=5e-11)  # type: ignore[attr-defined]
    assert kept.all == pytest.approx(4.3352e-08, abs=5e-12)  # type: ignore[attr-defined]
    assert removed.all == pytest.approx(6.913, abs=5e-4)  # type: ignore[attr-defined]
    assert removed.train == pytest.approx(6.5818, abs=5e-5)  # type: ignore[attr-defined]
