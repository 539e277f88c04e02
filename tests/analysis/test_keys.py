"""Key frequencies on networks whose frequencies are known because their weights were written by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modscope import planted
from modscope.activations import record
from modscope.analysis.answer.keys import RULES, evidence_of, key_frequencies
from modscope.analysis.overview.summary import summarise
from modscope.errors import InputError, UnknownName
from modscope.model import Network, PairMLP, PairMLPConfig
from modscope.task import ModularTask

GROKKED = {
    "clock": planted.clock(23, (2, 5, 11)),
    "clock, even p": planted.clock(24, (1, 7)),
    "clock, composite p": planted.clock(15, (1, 7)),
    "pizza": planted.pizza(23, (3, 8)),
    "rectified sum": planted.rectified_sum(31, (4, 9, 13)),
    "between": planted.between(23, (2, 7), 0.5),
}
PLANTED = {
    "clock": (2, 5, 11),
    "clock, even p": (1, 7),
    "clock, composite p": (1, 7),
    "pizza": (3, 8),
    "rectified sum": (4, 9, 13),
    "between": (2, 7),
}


@pytest.mark.parametrize("name", GROKKED)
def test_default_rule_finds_what_was_planted(name: str) -> None:
    network, task = GROKKED[name]
    assert key_frequencies(record(network, task)).frequencies == PLANTED[name]


@pytest.mark.parametrize("p", [23, 24, 31])
def test_networks_without_a_mechanism_have_none(p: int) -> None:
    for network, task in (planted.memoriser(p), planted.random_weights(p)):
        summary = summarise(record(network, task))
        assert summary.keys.frequencies == ()
        assert summary.to_dict()["restricted_loss"] is None
        assert len(summary.cautions) >= 2


def test_a_memoriser_is_called_one() -> None:
    summary = summarise(record(*planted.memoriser(23)))
    assert any("it has memorised" in text for text in summary.cautions)


def test_wrong_key_frequencies_are_noticed() -> None:
    network, task = GROKKED["pizza"]
    wrong = summarise(record(network, task), frequencies=(1, 5))
    assert any("not the ones that the network uses" in text for text in wrong.cautions)
    right = summarise(record(network, task), frequencies=(3, 8))
    assert not any("not the ones" in text for text in right.cautions)


def multiplying(p: int, ks: tuple[int, ...]) -> tuple[Network, ModularTask]:
    """A one-hot MLP that multiplies: quadratic neurons (cos(w i + phase) + cos(w j + phase))**2 on the logarithms
    i and j of the factors hold cos(w (i + j) + 2 phase), which the unembedding reads."""
    logs = {pow(_root(p), i, p): i for i in range(p - 1)}
    place = np.array([logs.get(r, 0) for r in range(p)])
    unit = np.array([r in logs for r in range(p)])
    rows_in, rows_out = [], []
    for k in ks:
        w = 2 * np.pi * k / (p - 1)
        for phase in np.arange(8) * np.pi / 4:
            rows_in.append(np.cos(w * place + phase) * unit)
            rows_out.append(np.cos(w * place + 2 * phase) * unit)
    w_in, w_out = np.stack(rows_in, axis=1), np.stack(rows_out)
    config = PairMLPConfig(p, d_hidden=w_in.shape[1], activation="quadratic")
    weights = {
        "mlp.W_in_a": torch.tensor(w_in, dtype=torch.float32),
        "mlp.W_in_b": torch.tensor(w_in, dtype=torch.float32),
        "unembed.W_U": torch.tensor(5 * w_out, dtype=torch.float32),
    }
    return PairMLP(config, weights), ModularTask(p, "multiply")


def _root(p: int) -> int:
    return next(g for g in range(2, p) if len({pow(g, i, p) for i in range(p - 1)}) == p - 1)


def test_multiplication_is_read_on_the_discrete_logarithms() -> None:
    network, task = multiplying(23, (2, 5))
    acts = record(network, task)
    summary = summarise(acts)
    assert summary.keys.frequencies == (2, 5)
    assert summary.circle.n == 22
    assert summary.restrictions["directions"].restricted_accuracy.all == 1.0
    assert summary.restrictions["directions"].excluded_accuracy.all < 0.3
    # On the residues themselves the same network has no frequencies at all.
    assert float(summary.shares["embedding"].sel(k=[2, 5]).sum()) > 0.99
    addition = summarise(record(network, ModularTask(23)))
    assert addition.keys.frequencies == ()


def test_rules_by_name() -> None:
    network, task = GROKKED["clock"]
    evidence = evidence_of(record(network, task))
    for rule in RULES:
        found = key_frequencies(evidence, rule)
        assert found.rule == rule
        assert found.definition
        assert set(found.frequencies) == {int(k) for k in found.measure.k[found.measure > found.threshold]}
    with pytest.raises(UnknownName, match="did you mean 'logit_share'"):
        key_frequencies(evidence, "logit_shares")


def test_a_rule_that_does_not_apply_is_an_error_without_fallback() -> None:
    network, _ = GROKKED["clock"]
    acts = record(network, ModularTask(23, "random"))
    with pytest.raises(InputError, match="do not lie on a circle"):
        key_frequencies(acts, "logit_share", fallback=False)
    assert key_frequencies(acts, "logit_share").rule == "neuron_clusters"
