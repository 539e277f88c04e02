"""Laws of the first analysis, on data made by hand and by independent loops."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import record
from modscope.analysis.answer.logits import logit_fit
from modscope.analysis.answer.restriction import (
    MASKS,
    excluded_logits,
    key_part,
    restricted_logits,
    restricted_loss,
    restriction,
)
from modscope.analysis.neurons.clusters import clusters, neuron_fve
from modscope.analysis.plane.energy import energy_by_hook, frequency_plane, pair_energy
from modscope.analysis.plane.symmetry import even_fraction
from modscope.analysis.weights.frequencies import energy_shares, gini, inverse_participation_ratio, relations
from modscope.circle import circle_of, primitive_root
from modscope.errors import InputError, UnknownName
from modscope.losses import StreamedLogits, cross_entropy, losses
from modscope.model import Transformer, TransformerConfig
from modscope.task import ModularTask

SIZES = (5, 8, 9, 12, 13, 17)
OPERATIONS = ("add", "subtract", "multiply")


def tasks() -> st.SearchStrategy[ModularTask]:
    return st.one_of(
        st.builds(ModularTask, st.sampled_from(SIZES), st.sampled_from(("add", "subtract"))),
        st.builds(ModularTask, st.sampled_from((5, 13, 17)), st.just("multiply")),
    )


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def picture(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("a", "b", "neuron")[: values.ndim])


def cosines(task: ModularTask, alpha: dict[int, float]) -> np.ndarray:
    """sum of alpha_k cos w_k(a + b - c) as [a, b, answer], with c from the labels by search, not by formula."""
    circle = circle_of(task)
    place = {residue: i for i, residue in enumerate(circle.residues)}
    cube = np.zeros((task.p, task.p, task.p))
    labels = task.labels
    for a in place:
        for b in place:
            d = place[int(labels[a, b])] - np.array(list(place.values()))
            cube[a, b, list(place)] = sum(w * np.cos(2 * np.pi * k * d / circle.n) for k, w in alpha.items())
    return cube


@pytest.mark.parametrize("p", [5, 7, 13, 113])
def test_powers_of_a_primitive_root_are_all_units(p: int) -> None:
    circle = circle_of(ModularTask(p, "multiply"))
    assert sorted(circle.residues) == list(range(1, p))
    assert circle.residues[1] == primitive_root(p)


@given(tasks())
def test_answer_places_follow_the_labels(task: ModularTask) -> None:
    circle = circle_of(task)
    places = np.array(circle.residues)[circle.answer_places()]
    assert (places == circle.pairs(task.labels)).all()


@pytest.mark.parametrize(("p", "operation"), [(8, "multiply"), (7, "x^2+xy+y^2"), (7, "random")])
def test_tasks_without_a_circle_say_so(p: int, operation: str) -> None:
    circle = circle_of(ModularTask(p, operation))
    assert circle.sign is None
    with pytest.raises(InputError, match="do not lie on a circle"):
        logit_fit(noise(p, p, p), ModularTask(p, operation))


@given(tasks(), st.integers(0, 3))
def test_fit_finds_planted_cosines(task: ModularTask, seed: int) -> None:
    n = circle_of(task).n
    ks = np.random.default_rng(seed).choice(np.arange(1, n // 2 + 1), size=2, replace=False)
    planted = {int(ks[0]): 3.0, int(ks[1]): -0.5}
    fit = logit_fit(cosines(task, planted), task)
    assert fit.alpha.sel(k=list(planted)).values == pytest.approx(list(planted.values()))
    assert fit.share(planted) == pytest.approx(1.0)
    assert float(fit.fve.sum()) == pytest.approx(1.0)


@given(st.sampled_from(SIZES), st.integers(0, 3))
def test_fit_is_a_least_squares_fit(p: int, seed: int) -> None:
    task, cube = ModularTask(p), noise(p, p, p, seed=seed)
    columns = [cosines(task, {k: 1.0}).ravel() for k in range(p // 2 + 1)]
    wanted = np.linalg.lstsq(np.stack(columns, axis=1), cube.ravel(), rcond=None)[0]
    assert logit_fit(cube, task).alpha.values == pytest.approx(wanted)


def test_loss_of_the_fit_is_the_loss_of_its_logits() -> None:
    task = ModularTask(13)
    cube = cosines(task, {2: 3.0, 5: 2.0}) + 0.1 * noise(13, 13, 13)
    fit = logit_fit(cube, task)
    alone = cosines(task, {k: float(fit.alpha.sel(k=k)) for k in (2, 5)})
    assert fit.loss([2, 5]) == pytest.approx(losses(alone, task).all)


@given(tasks(), st.sampled_from(MASKS), st.integers(0, 3))
def test_kept_and_removed_parts_add_up(task: ModularTask, mask: str, seed: int) -> None:
    logits = noise(task.p, task.p, task.p, seed=seed)
    kept = restricted_logits(logits, task, [1, 2], mask=mask)
    removed = excluded_logits(logits, task, [1, 2], mask=mask)
    whole = circle_of(task).pairs(logits)
    assert np.allclose(kept + removed, whole + whole.mean(axis=(0, 1)))


@given(st.sampled_from(SIZES), st.sampled_from(["add", "subtract"]), st.sampled_from(MASKS))
def test_parts_are_orthogonal_projections(p: int, operation: str, mask: str) -> None:
    task, logits = ModularTask(p, operation), noise(p, p, p)
    once = key_part(logits, task, [1, 2], mask=mask)
    assert np.allclose(key_part(once, task, [1, 2], mask=mask), once)
    assert float((once * (logits - once)).sum()) == pytest.approx(0.0, abs=1e-8)


@given(st.sampled_from(SIZES))
def test_each_mask_holds_the_one_before(p: int) -> None:
    task, logits = ModularTask(p), noise(p, p, p)
    masks = ("cube", "directions", "2x2", "3x3")
    energy = [float((key_part(logits, task, [1, 2], mask=m) ** 2).sum()) for m in masks]
    assert 0 < energy[0] < energy[1] < energy[2] < energy[3]


@given(st.sampled_from(SIZES), st.sampled_from(["directions", "2x2", "3x3"]))
def test_masks_agree_with_explicit_waves(p: int, mask: str) -> None:
    task, logits, n = ModularTask(p), noise(p, p, 3), np.arange(p)
    a, b = np.meshgrid(n, n, indexing="ij")
    waves = []
    for k in (1, 2):
        w = 2 * np.pi * k / p
        ca, sa, cb, sb = np.cos(w * a), np.sin(w * a), np.cos(w * b), np.sin(w * b)
        if mask == "directions":
            waves += [np.cos(w * (a + b)), np.sin(w * (a + b))]
        else:
            waves += [ca * cb, ca * sb, sa * cb, sa * sb]
        if mask == "3x3":
            waves += [ca, sa, cb, sb]
    columns = np.stack([w.ravel() for w in waves], axis=1)
    fitted = columns @ np.linalg.lstsq(columns, logits.reshape(p * p, 3), rcond=None)[0]
    got = key_part(logits, task, [1, 2], mask=mask)
    assert np.allclose(got.reshape(p * p, 3), fitted)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_restriction_tells_right_frequencies_from_wrong_ones(operation: str) -> None:
    task = ModularTask(13, operation)
    logits = cosines(task, {2: 20.0, 5: 20.0})
    right, wrong = restriction(logits, task, [2, 5]), restriction(logits, task, [1, 3])
    assert right.restricted_accuracy.all == 1.0
    assert right.excluded_accuracy.all < 0.2
    assert wrong.restricted_accuracy.all < 0.2
    assert wrong.excluded_accuracy.all == 1.0
    assert right.restricted_loss == restricted_loss(logits, task, [2, 5])


def test_masks_and_frequencies_that_are_not_there() -> None:
    task, logits = ModularTask(7), noise(7, 7, 7)
    with pytest.raises(UnknownName, match="did you mean 'directions'"):
        key_part(logits, task, [1], mask="direction")
    with pytest.raises(InputError, match="from 1 to 3"):
        key_part(logits, task, [4])


@given(st.sampled_from(SIZES), st.data())
def test_fve_finds_the_frequency_of_a_neuron(p: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, p // 2))
    n, w = np.arange(p), 2 * np.pi * k / p
    ca, cb = np.cos(w * n + 0.3)[:, None], np.cos(w * n + 1.1)
    x = picture(np.stack((ca + cb, ca * cb + 2, np.full((p, p), 3.0)), axis=-1))
    found = clusters(neuron_fve(x))
    assert found.fve.tolist() == pytest.approx([1.0, 1.0, 0.0])
    assert found.frequency.tolist() == [k, k, 0]
    assert found.counts() == {k: 2}


@given(st.sampled_from(SIZES), st.integers(0, 3))
def test_fve_agrees_with_least_squares(p: int, seed: int) -> None:
    x, n = noise(p, p, seed=seed), np.arange(p)
    got = neuron_fve(picture(x[..., None])).values[0]
    a, b = np.meshgrid(n, n, indexing="ij")
    for k in range(1, p // 2 + 1):
        w = 2 * np.pi * k / p
        one_a = [np.ones((p, p)), np.cos(w * a), np.sin(w * a)]
        one_b = [np.ones((p, p)), np.cos(w * b), np.sin(w * b)]
        columns = np.stack([(u * v).ravel() for u in one_a for v in one_b], axis=1)
        fitted = columns @ np.linalg.lstsq(columns, x.ravel(), rcond=None)[0]
        left = ((x.ravel() - fitted) ** 2).sum() / ((x - x.mean()) ** 2).sum()
        assert got[k - 1] == pytest.approx(1 - left)


@given(st.sampled_from(SIZES), st.integers(0, 3))
def test_energies_add_up_and_find_their_terms(p: int, seed: int) -> None:
    rng, n = np.random.default_rng(seed), np.arange(p)
    a, b = np.meshgrid(n, n, indexing="ij")
    table = rng.normal(size=p)
    table -= table.mean()
    assert sum(pair_energy(picture(noise(p, p, 2, seed=seed))).shares().values()) == pytest.approx(1.0)
    assert pair_energy(picture(table[a] + table[::-1][b])).linear == pytest.approx(1.0)
    assert pair_energy(picture(table[(a + b) % p])).sum == pytest.approx(1.0)
    if p % 2:  # for even p the component (-1)**(a - b) counts as sum
        assert pair_energy(picture(table[(a - b) % p])).difference == pytest.approx(1.0)
    cross = np.cos(2 * np.pi * a / p) * np.cos(4 * np.pi * b / p)
    assert pair_energy(picture(cross)).cross == pytest.approx(1.0)


@given(st.sampled_from(SIZES), st.sampled_from(["add", "subtract"]), st.integers(0, 3))
def test_even_fraction_agrees_with_the_order_c_a(p: int, operation: str, seed: int) -> None:
    x, circle = noise(p, p, 2, seed=seed), circle_of(ModularTask(p, operation))
    sign = circle.turn
    ordered = np.empty_like(x)  # [c, a]
    for c in range(p):
        for a in range(p):
            ordered[c, a] = x[a, sign * (c - a) % p]
    ordered -= ordered.mean(axis=1, keepdims=True)
    back = np.array([[ordered[c, (c - a) % p] for a in range(p)] for c in range(p)])
    even = (ordered + back) / 2
    wanted = (even**2).sum() / (ordered**2).sum()
    assert even_fraction(picture(x), circle) == pytest.approx(wanted)


def test_white_noise_is_half_even_and_functions_of_c_are_nothing() -> None:
    assert even_fraction(picture(noise(61, 61, 8))) == pytest.approx(0.5, abs=0.01)
    n = np.arange(7)
    assert np.isnan(even_fraction(picture(np.cos(2 * np.pi * (n[:, None] + n) / 7))))


@given(st.sampled_from(SIZES))
def test_frequency_plane_holds_the_linear_terms(p: int) -> None:
    x = picture(noise(p, p, 3))
    plane = frequency_plane(x)
    assert float(plane.sum()) == pytest.approx(1.0)
    linear = float(plane.sel(k_a=0).sum() + plane.sel(k_b=0).sum())
    assert linear == pytest.approx(pair_energy(x).linear)


@given(st.sampled_from(SIZES), st.data())
def test_energy_shares_find_a_planted_frequency(p: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, p // 2))
    table = 5 + np.cos(2 * np.pi * k * np.arange(p) / p)[:, None] * np.array([1.0, 2.0, -1.0])
    shares = energy_shares(table)
    assert float(shares.sel(k=k)) == pytest.approx(1.0)
    assert inverse_participation_ratio(shares) == pytest.approx(1.0)
    assert gini(shares) == pytest.approx(1 - 1 / (p // 2))


@given(st.lists(st.floats(0.1, 9.0), min_size=2, max_size=9))
def test_gini_agrees_with_mean_differences(values: list[float]) -> None:
    x = np.array(values)
    wanted = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert gini(x) == pytest.approx(wanted, abs=1e-12)
    assert 1 / len(x) <= inverse_participation_ratio(x) + 1e-12


def test_even_p_has_no_subharmonics_or_two() -> None:
    assert relations([1, 2, 4], 8).subharmonics == {1: (), 2: (1, 3), 4: (2,)}
    assert relations([2], 12).subharmonics == {2: (1, 5)}
    with pytest.raises(InputError, match="from 1 to 4"):
        relations([5], 8)


def test_a_large_network_is_looked_at_hook_by_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Transformer.initialised(TransformerConfig(11, d_model=8, n_heads=2, d_mlp=12))
    kept = record(network, ModularTask(11))
    whole = energy_by_hook(kept)
    monkeypatch.setattr("modscope.analysis.plane.energy._KEPT_BYTES", 0)
    acts = record(network, ModularTask(11)).load("mlp_post")
    assert energy_by_hook(acts) == whole
    assert kept.kept == kept.joint_hooks
    assert acts.kept == ("mlp_post",)


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply"])
def test_logits_that_pass_in_blocks_give_what_the_whole_gives(operation: str) -> None:
    p = 7
    task, logits = ModularTask(p, operation), noise(p, p, p)
    blocks = logits.reshape(p * p, p)
    passing = StreamedLogits(lambda: (blocks[i : i + 3 * p] for i in range(0, p * p, 3 * p)), p, p)
    whole, streamed = (logit_fit(x, task) for x in (logits, passing))
    np.testing.assert_allclose(streamed.fve, whole.fve, rtol=1e-12)
    assert streamed.uncentred == pytest.approx(whole.uncentred)
    for mask in MASKS:
        one, other = (restriction(x, task, [1, 3], mask=mask) for x in (logits, passing))
        assert one.restricted_loss.all == pytest.approx(other.restricted_loss.all, rel=1e-12)
        assert one.excluded_loss.all == pytest.approx(other.excluded_loss.all, rel=1e-12)
        assert one.restricted_loss.all == pytest.approx(
            np.mean(
                cross_entropy(
                    restricted_logits(logits, task, [1, 3], mask=mask), circle_of(task).pairs(task.labels)
                )
            )
        )
