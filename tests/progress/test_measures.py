"""Each progress measure against the single-checkpoint measure, or a formula written independently."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import modscope as ms
from modscope.analysis.answer import (
    circle_fits,
    circularity,
    distance_irrelevance,
    excluded_loss,
    gradient_symmetricity,
    key_frequencies,
    logit_fit,
    restricted_loss,
)
from modscope.analysis.causes import margins, mechanism
from modscope.analysis.causes.ablation import ablate
from modscope.analysis.inputs import pattern_statistics
from modscope.analysis.neurons import clusters
from modscope.analysis.neurons.clusters import neuron_fve
from modscope.analysis.plane.energy import pair_energy
from modscope.analysis.plane.symmetry import even_fraction
from modscope.analysis.weights import energy_shares, gini, weight_table
from modscope.errors import InputError, UnknownName
from modscope.losses import accuracies, losses
from modscope.planted import clock, pizza  # networks written by hand
from modscope.progress import FAST, MEASURES, chosen_measures, over_epochs, simple_neurons
from modscope.progress.kept import Kept
from modscope.progress.moment import Frame, Moment
from modscope.runs import Run
from modscope.task import ModularTask


@pytest.fixture(scope="module")
def found(grokked) -> xr.Dataset:
    return Run.open(grokked).progress(keep=False)


@pytest.fixture(scope="module")
def last(grokked):
    run = Run.open(grokked)
    return ms.record(run.model(), run.task)


def at_end(found: xr.Dataset, name: str) -> np.ndarray:
    return found[name].isel(epoch=-1).values


def test_the_last_epoch_has_the_single_checkpoint_measures_to_the_last_digit(found, last) -> None:
    logits, task = last.at("logits").values, last.task
    keys = key_frequencies(last).frequencies
    assert tuple(found.attrs["key_frequencies"]) == keys
    assert found.attrs["key_epoch"] == found.epoch.values[-1]
    assert at_end(found, "loss").tolist() == list(losses(logits, task).to_dict().values())
    assert at_end(found, "accuracy").tolist() == list(accuracies(logits, task).to_dict().values())
    for mask in ("directions", "2x2", "3x3", "cube"):
        for kind, of in (("restricted", restricted_loss), ("excluded", excluded_loss)):
            scores = of(logits, task, keys, mask=mask)
            row = found[f"{kind}_loss"].isel(epoch=-1).sel(mask=mask).values
            assert row.tolist() == [scores.train, scores.test, scores.all]
    even = {hook: even_fraction(last.at(hook)) for hook in last.joint_hooks}
    assert at_end(found, "even").tolist() == list(even.values())
    assert found.sum_share.isel(epoch=-1).sel(hook="mlp_post") == pair_energy(last.at("mlp_post")).sum
    assert at_end(found, "gradient_symmetricity") == gradient_symmetricity(last)
    assert at_end(found, "distance_irrelevance") == distance_irrelevance(logits, task)
    assert at_end(found, "circularity") == circularity(weight_table(last.model, "embedding"))
    fits = circle_fits(last, keys)
    assert at_end(found, "q_clock").tolist() == fits.clock.values.tolist()
    assert at_end(found, "q_pizza").tolist() == fits.pizza.values.tolist()
    whole = mechanism(last, keys)
    assert at_end(found, "mechanism").tolist() == [
        whole.rectified,
        whole.product,
        whole.memorised,
        whole.pizza,
    ]
    np.testing.assert_array_equal(at_end(found, "attention_spread"), pattern_statistics(last).spread.values)
    assert at_end(found, "logit_key_share") == logit_fit(logits, task).share(keys)
    shares = energy_shares(weight_table(last.model, "embedding"))
    assert float(found.gini.isel(epoch=-1).sel(map="embedding")) == gini(shares)
    assert float(found.margin.isel(epoch=-1).sel(split="all")) == float(margins(logits, task.labels).mean())


def test_restricting_neurons_is_the_ablation_of_that_name(found, last) -> None:
    keys = key_frequencies(last).frequencies
    for kind, name in (("restricted", "only-a+b"), ("excluded", "without-a+b")):
        changed = ablate(last, f"neurons-{name}", keys, controls=1)
        row = found[f"{kind}_loss"].isel(epoch=-1).sel(mask="neurons", split="all")
        assert float(row) == pytest.approx(changed.ablated.loss.all, rel=1e-4)


def test_squared_weights_and_norm_are_the_same_number(found, run) -> None:
    norm = run.losses.weight_norm.sel(epoch=list(run.epochs)).values
    np.testing.assert_allclose(np.sqrt(found.squared_weights.values), norm, rtol=1e-6)


def test_clusters_are_counted_at_the_key_frequencies(found, last) -> None:
    own = clusters(neuron_fve(last.at("mlp_post")))
    for k, count in own.counts_at(found.attrs["key_frequencies"]).items():
        assert float(found.cluster_neurons.isel(epoch=-1).sel(k=k)) == count
        of = own.fve[own.frequency == k]
        assert float(found.cluster_fve.isel(epoch=-1).sel(k=k)) == pytest.approx(np.median(of))


def test_swap_symmetry_is_the_energy_of_the_symmetric_part(found, last) -> None:
    x = last.at("mlp_post").values.astype(np.float64)
    x = x - x.mean(axis=(0, 1))
    same = (x + x.swapaxes(0, 1)) / 2
    expected = (same**2).sum() / (x**2).sum()
    assert float(found.swap_symmetric.isel(epoch=-1).sel(place="mlp_post")) == pytest.approx(expected)


def test_logit_similarity_is_the_cosine_with_the_character(found, last) -> None:
    # Chughtai et al. 2023: the characters of the representations of the cyclic group, at a b c^-1
    p, logits = last.task.p, last.at("logits").values.astype(np.float64)
    n = np.arange(p)
    offset = n[:, None, None] + n[:, None] - n
    cube = logits - logits.mean(axis=-1, keepdims=True)  # as they centre: softmax cannot see the mean
    similar = {}
    for k in range(1, p // 2 + 1):
        wave = np.cos(2 * np.pi * k * offset / p)
        similar[k] = (cube * wave).sum() / np.linalg.norm(cube) / np.linalg.norm(wave)
    for k in found.attrs["key_frequencies"]:
        value = float(found.logit_similarity.isel(epoch=-1).sel(k=k))
        assert value == pytest.approx(similar[k], rel=1e-6)
    assert float(found.key_representations[-1]) == sum(value > 0.005 for value in similar.values())


def test_a_simple_neuron_is_the_best_least_squares_fit_of_one_frequency(last) -> None:
    # McCracken et al. 2025: cos(wa + s) and cos(wb + t) of one frequency, amplitudes and phases free
    p = last.task.p
    x = last.at("mlp_pre").values.reshape(p * p, -1).astype(np.float64)
    a, b = np.indices((p, p)).reshape(2, -1)
    best, fits = np.full(x.shape[1], -np.inf), x.copy()
    for k in range(1, p // 2 + 1):
        w = 2 * np.pi * k / p
        design = np.stack([np.ones(p * p), *(f(w * n) for n in (a, b) for f in (np.cos, np.sin))], axis=1)
        model = design @ np.linalg.lstsq(design, x, rcond=None)[0]
        r2 = 1 - ((x - model) ** 2).sum(axis=0) / ((x - x.mean(axis=0)) ** 2).sum(axis=0)
        fits[:, r2 > best] = model[:, r2 > best]
        best = np.maximum(best, r2)
    found = simple_neurons(last)
    np.testing.assert_allclose(found.r2, best, rtol=1e-5)
    post = np.maximum(fits, 0).reshape(p, p, -1).astype(np.float32)
    logits = np.concatenate([block["logits"] for _, block in last.resume({"mlp_post": post})])
    assert found.accuracy.all == (logits.argmax(-1) == last.task.labels).mean()
    residual = ((x - fits) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
    assert found.total_r2 == pytest.approx(1 - residual, rel=1e-5)


def test_phase_sine_and_participation_by_their_formulas(found, last) -> None:
    # He et al. 2026: mean |sin(psi - 2 phi)| over neurons, and sum of fourth powers over the squared sum of squares
    p = last.task.p
    pre = last.at("mlp_pre").values.astype(np.float64)
    frequency = neuron_fve(last.at("mlp_post")).values.argmax(axis=1) + 1
    n = np.arange(p)
    W_L = (last.model.weight("W_out") @ last.model.weight("W_U")).double().numpy()[:, :p]
    sines, ratios = [], []
    for i, k in enumerate(frequency):
        turn = np.exp(-2j * np.pi * k * n / p)
        phi_a, phi_b = np.angle(turn @ pre[:, :, i].mean(1)), np.angle(turn @ pre[:, :, i].mean(0))
        psi = np.angle(turn @ W_L[i])
        sines.append(abs(np.sin(psi - phi_a - phi_b)))
        size = sum(np.abs(np.fft.rfft(pre[:, :, i].mean(axis))[1:]) ** 2 for axis in (0, 1))
        ratios.append((size**2).sum() / size.sum() ** 2)
    assert float(found.phase_sine.isel(epoch=-1).sel(neurons="all")) == pytest.approx(
        np.mean(sines), rel=1e-4
    )
    side = found.neuron_participation.isel(epoch=-1).sel(side="input")
    assert float(side) == pytest.approx(np.mean(ratios), rel=1e-4)


def test_excluded_loss_at_the_start_is_the_loss_and_restricted_at_the_end_below_the_test_loss(found) -> None:
    first = found.isel(epoch=0)
    assert float(first.excluded_loss.sel(mask="directions", split="all")) == pytest.approx(
        float(first.loss.sel(split="all")), rel=0.02
    )
    end = found.isel(epoch=-1)
    assert float(end.restricted_loss.sel(mask="directions", split="test")) < float(end.loss.sel(split="test"))


def test_at_chance_there_is_no_mechanism(found) -> None:
    assert np.isnan(found.mechanism.isel(epoch=0).values).all()


@pytest.mark.parametrize("build", [clock, pizza])
def test_planted_networks_have_what_was_planted(build) -> None:
    network, task = build(17, (2, 5))
    acts = ms.record(network, task)
    moment = Moment(acts, Frame(task, key_frequencies(acts).frequencies))
    shares = MEASURES["mechanism"].of(moment)["mechanism"]
    part = "product" if build is clock else "rectified"
    assert float(shares.sel(part=part)) > 0.9
    swap = MEASURES["symmetry"].of(moment)["swap_symmetric"]
    assert float(swap.sel(place="logits")) > 0.999


def test_measures_that_do_not_apply_say_why() -> None:
    task = ModularTask(7, "random")
    network = ms.Transformer.initialised(ms.TransformerConfig(7, d_model=8, n_heads=2, d_mlp=16))
    moment = Moment(ms.record(network, task), Frame(task, (1,)))
    for name in ("mechanism", "distance", "characters", "restricted", "circles"):
        with pytest.raises(InputError):
            MEASURES[name].of(moment)
    without = Moment(ms.record(network, ModularTask(7)), Frame(ModularTask(7)))
    with pytest.raises(InputError, match="no key frequencies"):
        MEASURES["restricted"].of(without)


@pytest.mark.parametrize("p", [6, 7, 8])
@pytest.mark.parametrize("operation", ["add", "subtract"])
def test_every_measure_is_finite_and_shares_are_shares(p: int, operation: str) -> None:
    task = ModularTask(p, operation)
    network = ms.Transformer.initialised(ms.TransformerConfig(p, d_model=9, n_heads=3, d_mlp=11), seed=p)
    moment = Moment(ms.record(network, task), Frame(task, (1, 2)))
    for name, measure in MEASURES.items():
        for value in measure.of(moment).values():
            assert np.asarray(value).ndim <= 2, name
    symmetry = MEASURES["symmetry"].of(moment)
    for share in symmetry.values():
        known = share.values[np.isfinite(share.values)]
        assert ((known >= 0) & (known <= 1 + 1e-9)).all()


def test_names_of_measures() -> None:
    assert chosen_measures("all") == tuple(MEASURES)
    assert chosen_measures("fast") == FAST
    assert set(MEASURES) - set(FAST) == {"symmetricity", "simple-neurons"}
    with pytest.raises(UnknownName, match="loss"):
        chosen_measures(["los"])


def test_the_shipped_run_from_the_start_over_memorising_to_settled() -> None:
    found = ms.shipped_run().progress(
        measures=["loss", "restricted", "symmetry"], epochs=[0, 1000, 9350], keep=False
    )
    assert found.attrs["key_epoch"] == 9350
    first, memorised, end = (found.isel(epoch=i) for i in range(3))
    directions = {"mask": "directions", "split": "all"}
    assert float(first.excluded_loss.sel(directions)) == pytest.approx(
        float(first.loss.sel(split="all")), rel=1e-3
    )
    assert float(memorised.restricted_loss.sel(directions)) < float(memorised.loss.sel(split="test"))
    restricted = float(end.restricted_loss.sel(mask="directions", split="test"))
    assert restricted < float(end.loss.sel(split="test"))
    assert float(memorised.swap_symmetric.sel(place="logits")) < 0.9
    assert float(memorised.even.sel(hook="logits")) < 0.85
    assert float(end.swap_symmetric.sel(place="logits")) > 0.999
    assert float(end.even.sel(hook="logits")) > 0.999


def test_every_measure_of_the_shipped_run_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    # An installed package is not written into, and a first look does not wait.
    monkeypatch.setattr(over_epochs, "_measured", lambda moment, name: pytest.fail(f"{name} was measured"))
    monkeypatch.setattr(
        Kept, "put", lambda self, epoch, numbers: pytest.fail(f"{sorted(numbers)} was written")
    )
    found = ms.shipped_run().progress()
    assert np.isfinite(found.gradient_symmetricity).all()
