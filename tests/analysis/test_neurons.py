"""Neurons with planted waves, filters and output phases are found as they were planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modscope import planted as planted_networks
from modscope.activations import Activations, record
from modscope.analysis.neurons.clusters import row_frequencies
from modscope.analysis.neurons.waves import (
    cluster_summary,
    matched_filters,
    neuron_waves,
    output_phases,
    phase_tiling,
)
from modscope.errors import InputError, UnknownName
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.signal import frequency_fve, phase_distance
from modscope.task import ModularTask

TURN = 2 * np.pi


def planted(
    p: int,
    frequency: list[int],
    r: np.ndarray,
    phase_a: np.ndarray,
    phase_b: np.ndarray,
    *,
    psi: np.ndarray | None = None,
    bias: float = 0.3,
    operation: str = "add",
    activation: str = "relu",
) -> Activations:
    """Neurons activation(r cos(wa + phi_a) + r cos(wb + phi_b) + bias), sent with cos(wc + psi)."""
    n, k = np.arange(p)[:, None], np.array(frequency)
    config = PairMLPConfig(p, d_hidden=len(k), biases=("b_in",), activation=activation)
    psi = phase_a + phase_b if psi is None else psi
    weights = {
        "mlp.W_in_a": r * np.cos(TURN * k * n / p + phase_a),
        "mlp.W_in_b": r * np.cos(TURN * k * n / p + phase_b),
        "mlp.b_in": np.full(len(k), bias),
        "unembed.W_U": np.cos(TURN * k * n / p + psi).T,
    }
    network = PairMLP(config, {name: torch.from_numpy(w) for name, w in weights.items()})
    return record(network, ModularTask(p, operation))


def uniform(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, n)


@pytest.mark.parametrize("p", [13, 16])
@pytest.mark.parametrize("rule", ["fve", "along b"])
def test_planted_waves_are_found(p: int, rule: str) -> None:
    ks = [1, 3, 5, 5, 6, 3, 2]
    r, phi = np.linspace(0.5, 2, 7), uniform(7)
    found = neuron_waves(planted(p, ks, r, phi, phi), rule=rule)  # type: ignore[arg-type]
    assert found.frequency.values.tolist() == ks
    for name in ("amplitude", "amplitude_a", "amplitude_b"):
        np.testing.assert_allclose(found[name], r, atol=1e-9)
    for name in ("phase", "phase_a", "phase_b"):
        np.testing.assert_allclose(phase_distance(found[name].values, phi), 0, atol=1e-7)
    np.testing.assert_allclose(found.phase_gap, 0, atol=1e-7)
    np.testing.assert_allclose(found.fve_pre, 1, atol=1e-9)
    np.testing.assert_allclose(found.fve_rectified, 1, atol=1e-9)
    assert float(found.fve_post.max()) < 0.95
    np.testing.assert_allclose(found.share.sum("part"), 1, atol=1e-9)
    np.testing.assert_allclose(found.share.sel(stage="pre", part="linear"), 1, atol=1e-9)


def test_fve_is_that_of_the_nine_products() -> None:
    acts = planted(13, [2, 4, 5], np.ones(3), uniform(3), uniform(3, 1))
    found = neuron_waves(acts)
    expected = frequency_fve(acts.at("mlp_post")).transpose("neuron", "k")
    np.testing.assert_allclose(found.fve, expected.max("k"), atol=1e-9)


def test_two_phases_do_not_fit_one() -> None:
    phi, gap = uniform(5), np.array([0.0, 0.5, 1.0, 2.0, np.pi])
    found = neuron_waves(planted(17, [2, 3, 4, 5, 6], np.ones(5), phi, phi + gap))
    np.testing.assert_allclose(found.phase_gap, gap, atol=1e-6)
    # two unit phasors at an angle: their mean has length cos(gap / 2)
    np.testing.assert_allclose(found.fve_pre, np.cos(gap / 2) ** 2, atol=1e-9)
    assert np.all(np.diff(found.fve_rectified) < 0)


@pytest.mark.parametrize("p", [13, 16])
def test_a_subtraction_shares_the_phase_of_a_and_minus_b(p: int) -> None:
    phi = uniform(6)
    acts = planted(p, [1, 2, 3, 4, 5, 6], np.ones(6), phi, -phi, operation="subtract")
    found = neuron_waves(acts)
    np.testing.assert_allclose(phase_distance(found.phase.values, phi), 0, atol=1e-7)
    np.testing.assert_allclose(found.phase_gap, 0, atol=1e-7)
    for name in ("fve_pre", "fve_rectified"):
        np.testing.assert_allclose(found[name], 1, atol=1e-9)
    np.testing.assert_allclose(output_phases(acts, found).expected, np.angle(np.exp(2j * phi)), atol=1e-7)


def test_only_the_frequencies_named_are_tried() -> None:
    acts = planted(13, [2, 4], np.ones(2), uniform(2), uniform(2))
    assert neuron_waves(acts, [4, 5]).frequency.values[1] == 4
    assert neuron_waves(acts, [5]).frequency.values.tolist() == [5, 5]
    with pytest.raises(InputError, match="from 1 to 6"):
        neuron_waves(acts, [7])
    with pytest.raises(UnknownName, match="did you mean 'along b'"):
        neuron_waves(acts, rule="along a")  # type: ignore[arg-type]


def test_dead_neurons_have_no_wave() -> None:
    acts = planted(11, [2, 3], np.ones(2), uniform(2), uniform(2), bias=-5.0)
    found = neuron_waves(acts)
    assert found.frequency.values.tolist() == [0, 0]
    for name in ("amplitude", "phase", "fve", "fve_pre", "fve_post", "fve_rectified"):
        assert np.isnan(found[name]).all(), name
    assert cluster_summary(found).sizes["k"] == 0
    assert phase_tiling(found).sizes.get("k", 0) == 0
    assert np.isnan(output_phases(acts, found).distance).all()


@pytest.mark.parametrize("p", [13, 16])
@pytest.mark.parametrize("operation", ["add", "subtract"])
def test_planted_output_phases_are_found(p: int, operation: str) -> None:
    ks = [1, 3, 5, 5, 6, 3, 2, 1]
    phi_a, phi_b = uniform(8), uniform(8, 1)
    sign = 1 if operation == "add" else -1
    offset = np.linspace(-2, 2, 8)
    acts = planted(p, ks, np.ones(8), phi_a, phi_b, psi=phi_a + sign * phi_b + offset, operation=operation)
    found = output_phases(acts, neuron_waves(acts, rule="along b"))
    np.testing.assert_allclose(found.distance, abs(offset), atol=1e-6)
    np.testing.assert_allclose(found.share, 1, atol=1e-9)
    np.testing.assert_allclose(found.amplitude, 1, atol=1e-9)
    np.testing.assert_allclose(phase_distance(found.psi.values, phi_a + sign * phi_b + offset), 0, atol=1e-6)


def test_a_rectified_wave_is_at_the_sum_of_the_phases() -> None:
    phi_a, phi_b = uniform(4), uniform(4, 1)
    acts = planted(61, [3, 4, 5, 6], np.ones(4), phi_a, phi_b, bias=0.0)
    found = output_phases(acts, neuron_waves(acts, rule="along b"))
    assert float(found.measured_distance.max()) < 0.05


def test_phases_of_strangers_are_a_quarter_turn_away() -> None:
    n = 300
    acts = planted(13, [2] * n, np.ones(n), uniform(n), uniform(n, 1))
    found = output_phases(acts, neuron_waves(acts))
    assert float(found.distance.max()) < 1e-6
    assert float(found.control.mean()) == pytest.approx(np.pi / 2, abs=0.1)


def test_output_phases_need_an_answer_on_a_line() -> None:
    acts = planted(7, [2], np.ones(1), uniform(1), uniform(1), operation="multiply")
    with pytest.raises(InputError, match="expected add or subtract"):
        output_phases(acts, neuron_waves(acts))


def test_even_phases_tile_better_than_random_and_bunched_ones_worse() -> None:
    n = 24
    even, bunched = TURN * np.arange(n) / n + 0.1, 0.3 * np.arange(n) / n
    acts = planted(
        17,
        [2] * n + [5] * n,
        np.ones(2 * n),
        np.concatenate([even, bunched]),
        np.concatenate([even, bunched]),
    )
    found = phase_tiling(neuron_waves(acts))
    assert found.k.values.tolist() == [2, 5]
    first, second = found.sel(k=2), found.sel(k=5)
    assert float(first.largest_gap) == pytest.approx(1, abs=1e-6)
    assert float(first.kuiper) == pytest.approx(1 / n, abs=1e-6)
    assert float(first.resultant.max()) < 1e-6
    assert float(second.resultant.sel(order=1)) > 0.99
    assert float(first.kuiper) < float(first.control_kuiper) < float(second.kuiper)
    np.testing.assert_allclose(found.control_resultant, np.sqrt(np.pi / n) / 2, rtol=0.15)  # Rayleigh
    again = phase_tiling(neuron_waves(acts))
    assert found.identical(again)


@pytest.mark.parametrize("p", [11, 12])
def test_matched_filters_are_recognised(p: int) -> None:
    """Each dimension of the stream holds cosines or sines of one frequency, so the planes are square."""
    config = TransformerConfig(p, d_model=40, n_heads=1, d_mlp=13, attention_rate=0.0)
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() / 4 for n, s in config.shapes().items()}
    n, k, phi = np.arange(p), np.arange(13) % (p // 2) + 1, uniform(13)
    stream = np.zeros((p, 40))
    for j in range(1, p // 2 + 1):
        stream[:, 2 * j], stream[:, 2 * j + 1] = np.cos(TURN * j * n / p), np.sin(TURN * j * n / p)
    weights["embed.W_E"][:p] = torch.from_numpy(stream)
    weights["blocks.0.attn.W_V"] = weights["blocks.0.attn.W_O"] = torch.eye(40).double()[None]
    R = np.fft.fft(stream, axis=0)[k] / p
    phi = np.where(2 * k == p, 0.0, phi)
    weights["blocks.0.mlp.W_in"] = torch.from_numpy((R * np.exp(-1j * phi[:, None])).real.T.copy())
    acts = record(Transformer(config, weights), ModularTask(p))
    waves = neuron_waves(acts, rule="along b")
    assert waves.frequency.values.tolist() == k.tolist()
    np.testing.assert_allclose(phase_distance(waves.phase.values, phi), 0, atol=1e-6)
    found = matched_filters(acts, waves)
    np.testing.assert_allclose(found.correlation, 1, atol=1e-9)
    np.testing.assert_allclose(found.inside, 1, atol=1e-9)
    assert float(found.control.max()) < 0.5
    assert float(found.control_inside.mean()) == pytest.approx(2 / 40, rel=0.6)


def test_filters_need_a_residual_stream() -> None:
    acts = planted(7, [2], np.ones(1), uniform(1), uniform(1))
    with pytest.raises(InputError, match="residual stream"):
        matched_filters(acts, neuron_waves(acts))


def test_neurons_that_read_a_product_have_no_phase_in_a() -> None:
    acts = record(*planted_networks.clock(29, (3, 5)))
    waves = neuron_waves(acts)
    assert np.isnan(waves.phase).all()
    assert float(waves.fve_pre.max()) < 1e-9
    np.testing.assert_allclose(waves.share.sel(stage="pre", part="sum"), 1, atol=1e-3)
    assert phase_tiling(waves).sizes.get("k", 0) == 0
    assert np.isnan(output_phases(acts, waves).distance).all()
    assert np.isnan(cluster_summary(waves).phase_gap).all()


def test_a_rectified_sum_writes_at_twice_its_phase() -> None:
    for network, task in (planted_networks.pizza(29, (3, 5)), planted_networks.rectified_sum(29, (3, 5))):
        acts = record(network, task)
        waves = neuron_waves(acts)
        found = output_phases(acts, waves)
        assert float(found.distance.max()) < 1e-6
        np.testing.assert_allclose(found.control.mean(), np.pi / 2, atol=0.3)
        assert cluster_summary(waves).k.values.tolist() == [3, 5]


def test_mainline_neurons(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    along_b = neuron_waves(mainline, mainline_keys, rule="along b")
    count = int((along_b.frequency == 14).sum())
    print("neurons of frequency 14 along b:", count)
    assert count == 44
    waves = neuron_waves(mainline)
    summary = cluster_summary(waves)
    print(summary.to_dataframe())
    assert summary.k.values.tolist() == list(mainline_keys)
    assert summary.explained.values.tolist() == [44, 95, 145, 87, 72]
    out = output_phases(mainline, waves).where(waves.fve > 0.85)
    print("psi - 2 phi:", float(out.distance.median()), "control", float(out.control.median()))
    assert float(out.distance.median()) < 0.1
    assert float(out.control.median()) > 1
    filters = matched_filters(mainline, waves)
    print("matched filter:", float(filters.correlation.mean()), "control", float(filters.control.mean()))
    assert float(filters.correlation.mean()) > 3 * float(filters.control.mean())


def test_largest_frequencies_in_one_row(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    found = row_frequencies(mainline, c=0)
    assert found.sel(k=list(mainline_keys)).values.tolist() == [46, 117, 136, 79, 98]
    assert int(found.sum()) == 512
    harmonics = {28, 43, 31, 29, 9}
    assert set(found.k.values.tolist()) <= {*mainline_keys, *harmonics}
