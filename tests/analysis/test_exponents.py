"""Multiplication in the exponents: the same network, read as an addition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modscope.activations import Activations, record
from modscope.analysis.neurons.waves import neuron_waves, output_phases
from modscope.analysis.plane.exponents import as_addition
from modscope.analysis.plane.symmetry import even_fractions
from modscope.errors import InputError
from modscope.losses import losses
from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.task import ModularTask, Split

POWERS = {7: [1, 3, 2, 6, 4, 5], 11: [1, 2, 4, 8, 5, 10, 9, 7, 3, 6]}


def networks(p: int) -> list[Network]:
    transformer = {"d_model": 10, "n_heads": 3, "d_head": 4, "d_mlp": 13}
    return [
        Transformer.initialised(TransformerConfig(p, **transformer, biases=("b_U", "b_in"))),  # type: ignore[arg-type]
        Transformer.initialised(TransformerConfig(p, **transformer, equals=False, d_vocab_out=p + 2)),  # type: ignore[arg-type]
        PairMLP.initialised(PairMLPConfig(p, d_hidden=6)),
        PairMLP.initialised(PairMLPConfig(p, d_hidden=6, d_embed=5)),
    ]


@pytest.mark.parametrize("p", [7, 11])
@pytest.mark.parametrize("which", range(4))
def test_tokens_and_answers_stand_for_powers(p: int, which: int) -> None:
    acts = record(networks(p)[which], ModularTask(p, "multiply", Split("python", 0.4, 1)))
    found, g = as_addition(acts), POWERS[p]
    assert (found.task.p, found.task.operation) == (p - 1, "add")
    np.testing.assert_allclose(
        found.at("logits").values, acts.at("logits").values[np.ix_(g, g, g)], atol=1e-5
    )
    np.testing.assert_array_equal(found.task.train_mask, acts.task.train_mask[np.ix_(g, g)])
    labels = acts.task.labels[np.ix_(g, g)]
    np.testing.assert_array_equal(np.array(g)[found.task.labels], labels)


def test_losses_are_those_of_the_task_without_zero() -> None:
    p = 7
    acts = record(networks(p)[0], ModularTask(p, "multiply"))
    found, g = as_addition(acts), POWERS[7]
    logits = torch.from_numpy(acts.at("logits").values[np.ix_(g, g, g)]).double()
    labels = torch.from_numpy(found.task.labels)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert losses(found.at("logits").values, found.task).all == pytest.approx(float(expected), abs=1e-6)


def planted(p: int, ks: list[int], phases: np.ndarray) -> Activations:
    """Neurons ReLU(cos(w i + phi) + cos(w j + phi)), sent with cos(w l + 2 phi), at the tokens g^i, g^j, g^l."""
    g, i = POWERS[p], np.arange(p - 1)[:, None]
    w = 2 * np.pi * np.array(ks) / (p - 1)
    config = PairMLPConfig(p, d_hidden=len(ks))
    weights = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in config.shapes().items()}
    for name in ("mlp.W_in_a", "mlp.W_in_b"):
        weights[name][g] = torch.from_numpy(np.cos(w * i + phases))
    weights["unembed.W_U"][:, g] = torch.from_numpy(np.cos(w * i + 2 * phases).T.copy())
    return record(PairMLP(config, weights), ModularTask(p, "multiply"))


def test_waves_over_the_exponents_are_found() -> None:
    phases = np.linspace(-2.5, 2.5, 8)
    acts = as_addition(planted(11, [1, 2, 3, 4] * 2, phases))
    waves = neuron_waves(acts, rule="along b")
    assert waves.frequency.values.tolist() == [1, 2, 3, 4] * 2
    np.testing.assert_allclose(waves.phase, phases, atol=1e-9)
    assert float(output_phases(acts, waves).distance.max()) < 1e-6
    np.testing.assert_allclose(even_fractions(acts, ["mlp_pre", "logits"]).even, 1)


def test_what_is_no_multiplication_mod_a_prime_is_refused() -> None:
    config = PairMLPConfig(8, d_hidden=3)
    with pytest.raises(InputError, match="do not lie on a circle"):
        as_addition(record(PairMLP.initialised(config), ModularTask(8, "multiply")))
    with pytest.raises(InputError, match="max"):
        as_addition(record(PairMLP.initialised(config), ModularTask(8, "max")))
    few = PairMLP.initialised(PairMLPConfig(7, d_hidden=3, d_vocab_out=5))
    with pytest.raises(InputError, match="5 answers"):
        as_addition(record(few, ModularTask(7, "multiply")))


def test_an_unknown_split_stays_unknown() -> None:
    acts = record(networks(7)[2], ModularTask(7, "multiply", Split("none")))
    assert as_addition(acts).task.split.kind == "none"
