"""The numbers published for real checkpoints, reached by the first look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modscope.activations import Activations, record
from modscope.analysis.answer.keys import RULES
from modscope.analysis.overview.summary import Summary, summarise
from modscope.analysis.plane.symmetry import swap_shares
from modscope.analysis.weights.frequencies import energy_shares, weight_table
from modscope.checkpoints import open_checkpoint

CHECKPOINTS = {
    "nanda": "nanda_mainline",
    "chughtai": "chughtai_C113_T_seed1",
    "flat": "flat_p113/checkpoint_final.pt",
    "flat_memorised": "flat_p113/checkpoint_e001000.pt",
    "pizza_A": "pizza_A",
    "pizza_B": "pizza_B",
}


@pytest.fixture(scope="module")
def first_look(published: Path, mainline_summary: Summary) -> Callable[[str], Summary]:
    """The first look at one of the networks, each taken once."""
    looks = {"nanda": mainline_summary}

    def look(name: str) -> Summary:
        if name not in looks:
            checkpoint = open_checkpoint(published / CHECKPOINTS[name])
            looks[name] = summarise(record(checkpoint.model, checkpoint.task))
        return looks[name]

    return look


def close(got: float | None, wanted: float, digits: float) -> bool:
    print(f"got {got!r}, published {wanted!r}")
    return got is not None and abs(got - wanted) <= digits


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("nanda", (14, 35, 41, 42, 52)),
        ("chughtai", (16, 30, 56)),
        ("flat", (4, 24, 26, 53)),
        ("flat_memorised", ()),
        ("pizza_A", (3, 15, 17)),
        ("pizza_B", (13, 16, 21)),
    ],
)
def test_default_rule_finds_the_key_frequencies(
    first_look: Callable[[str], Summary], name: str, keys: tuple[int, ...]
) -> None:
    summary = first_look(name)
    assert summary.keys.rule == "logit_share"
    assert summary.keys.frequencies == keys
    # The peaks of W_L and the clusters of neurons are other evidence, and say the same.
    assert summary.sets["neuron_clusters"] == keys
    assert summary.sets["neuron_logit_peaks"] == keys


def test_nanda_losses(first_look: Callable[[str], Summary]) -> None:
    summary = first_look("nanda")
    assert close(summary.loss.train, 9.7715e-08, 5e-13)
    assert close(summary.loss.test, 3.1206e-07, 5e-12)
    assert close(summary.loss.all, 2.4777e-07, 6e-12)
    assert summary.accuracy.to_dict() == {"train": 1.0, "test": 1.0, "all": 1.0}


def test_nanda_frequencies_in_the_embedding(first_look: Callable[[str], Summary]) -> None:
    summary = first_look("nanda")
    shares = summary.shares["embedding"]
    assert close(float(shares.sel(k=list(summary.keys.frequencies)).sum()), 0.927, 5e-4)
    rest = shares.drop_sel(k=list(summary.keys.frequencies))
    assert int(rest.idxmax()) == 31
    assert close(float(rest.max()), 0.055, 5e-4)
    assert list(summary.relations.harmonics.values()) == [28, 43, 31, 29, 9]
    assert list(summary.relations.subharmonics.values()) == [(7,), (39,), (36,), (21,), (26,)]
    # The rule of the demo takes the second harmonic of 41 for a key frequency.
    assert summary.sets["embedding_norm"] == (14, 31, 35, 41, 42, 52)
    assert summary.relations.origins(31) == ("2*41",)


def test_nanda_clusters_of_neurons(first_look: Callable[[str], Summary]) -> None:
    summary = first_look("nanda")
    assert summary.clusters.counts() == {14: 44, 35: 95, 41: 145, 42: 87, 52: 72}
    assert summary.clusters.explained.sum() == 443


def test_nanda_logits(first_look: Callable[[str], Summary]) -> None:
    summary = first_look("nanda")
    assert close(summary.logit_fve, 0.95385, 5e-6)
    assert close(summary.logit_fit_loss, 3.514e-08, 5e-12)
    main = summary.restrictions["directions"]
    assert close(main.restricted_loss.all, 4.3352e-08, 1e-12)
    assert close(main.excluded_loss.all, 6.913, 5e-4)
    assert close(main.excluded_loss.train, 6.5818, 5e-5)
    assert summary.cautions == ()


def test_chughtai(first_look: Callable[[str], Summary]) -> None:
    summary = first_look("chughtai")
    assert close(summary.loss.test, 1.885e-07, 5e-11)
    assert close(summary.logit_fve, 0.9685, 5e-5)


def test_flat_end_and_memorised(first_look: Callable[[str], Summary]) -> None:
    assert close(first_look("flat").loss.all, 2.06e-04, 5e-07)
    assert first_look("flat").accuracy.all == 1.0
    memorised = first_look("flat_memorised")
    assert close(memorised.accuracy.all, 0.304, 5e-4)
    assert any("no key frequencies" in text for text in memorised.cautions)
    assert memorised.to_dict()["restricted_loss"] is None


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("flat_memorised", 0.64, 0.75), ("flat", 0.999, 1.0), ("nanda", 0.999, 1.0)],
)
def test_swap_symmetry_tells_memorised_from_grokked(
    published: Path, name: str, low: float, high: float
) -> None:
    checkpoint = open_checkpoint(published / CHECKPOINTS[name])
    acts = record(checkpoint.model, checkpoint.task)
    shares = swap_shares(acts, ["z", "mlp_post", "logits"]).symmetric
    logits = acts.at("logits").transpose("answer", "a", "b").values.astype(float)
    logits -= logits.mean(axis=(1, 2), keepdims=True)
    even = (logits + logits.swapaxes(1, 2)) / 2
    assert float(shares.sel(hook="logits")) == pytest.approx((even**2).sum() / (logits**2).sum(), rel=1e-5)
    # one digit past the two that are published
    assert float(shares.min()) > low - 0.0005, shares
    assert float(shares.max()) <= high, shares


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_sets_are_named_and_shares_add_up(first_look: Callable[[str], Summary], name: str) -> None:
    values = first_look(name).to_dict()
    assert list(values["key_frequency_sets"]) == list(RULES)
    for shares in (values["embedding_energy"], values["unembedding_energy"], values["neuron_logit_energy"]):
        assert sum(shares.values()) == pytest.approx(1.0)
    for hook, terms in values["energy"].items():
        if hook == "pattern" and name == "pizza_A":
            assert set(terms.values()) == {None}  # attention that never changes has no variance to share out
            continue
        assert sum(terms.values()) == pytest.approx(1.0)


def test_the_token_equals_is_not_in_the_transform(mainline: Activations) -> None:
    assert mainline.network is not None
    table = weight_table(mainline.network, "embedding")
    assert table.shape == (113, 128)
    assert energy_shares(table).k.values[-1] == 56
