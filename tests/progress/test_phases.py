"""Phases dated by their rules, what has settled, who joins which cluster, and which frequencies win."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from tests.training.small import small

import modscope as ms
from modscope.errors import InputError
from modscope.progress import histories, lottery, movements, phases, phases_of
from modscope.progress.histories import _memberships
from modscope.runs import Run
from modscope.training.running import train


def curves(n: int, memorised: int, falls: int, rests: int) -> tuple[np.ndarray, ...]:
    """Accuracies, test loss and norm that change at given places, over n evaluations ten steps apart."""
    i = np.arange(n)
    return (
        10 * i,
        np.where(i >= memorised, 1.0, 0.3),
        np.where(i >= falls, 1.0, 0.1),
        np.where(i >= falls, 1e-3, 9.0),
        np.where(i >= rests, 30.0, 60.0),
    )


@given(st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)))
def test_planted_phases_are_found_where_they_were_planted(lengths: tuple[int, int, int]) -> None:
    memorised, falls = lengths[0], lengths[0] + lengths[1]
    rests = falls + lengths[2]
    found = phases_of(*curves(rests + 20, memorised, falls, rests))
    assert [(p.name, p.start, p.end) for p in found.phases] == [
        ("memorising", 0, 10 * memorised),
        ("circuit forming", 10 * memorised, 10 * falls),
        ("clean-up", 10 * falls, 10 * rests),
        ("settled", 10 * rests, 10 * (rests + 19)),
    ]
    assert found.at(10 * falls - 1) == "circuit forming"


def test_runs_that_end_early_are_not_called_settled() -> None:
    never = phases_of(*curves(40, 99, 99, 99))
    assert [p.name for p in never.phases] == ["memorising"]
    assert "never reaches" in never.why
    memorised = phases_of(*curves(40, 5, 99, 99))
    assert [p.name for p in memorised.phases] == ["memorising", "circuit forming"]
    assert "not generalised" in memorised.why
    moving = phases_of(*curves(40, 5, 20, 39))
    assert moving.phases[-1].name == "clean-up"
    assert "not settled" in moving.why


def test_a_test_loss_that_rises_again_is_not_generalisation() -> None:
    epochs, train_accuracy, test_accuracy, test_loss, norm = curves(40, 5, 20, 25)
    test_loss[-3:] = 9.0
    found = phases_of(epochs, train_accuracy, test_accuracy, test_loss, norm)
    assert "not generalised" in found.why


def test_too_little_to_tell_is_said(tmp_path: Path) -> None:
    assert "too few" in phases_of(*curves(5, 1, 2, 3)).why
    run = train(small(), tmp_path / "run")
    assert not phases(run).phases
    assert "too few" in phases(run).why
    assert "cannot be dated" in phases(Run.open(run.files[run.epochs[-1]])).why


def test_only_the_last_beginning_is_dated(run: Run) -> None:
    whole = phases(run)
    assert whole.phases[0].start == 0
    later = Run(run.path, run.task, run.epochs, run.losses, begun_anew=(400,), _network_at=run._network_at)
    assert phases(later).phases[0].start == 400


def dataset(values: object, epochs: object, name: str = "x") -> xr.Dataset:
    return xr.Dataset({name: ("epoch", np.asarray(values, dtype=float))}, {"epoch": np.asarray(epochs)})


def test_what_still_moves_is_told_from_what_rests() -> None:
    n = np.arange(0, 1001, 50)
    assert movements(dataset(np.minimum(n, 500), n))["x"].verdict == "settled"
    still = movements(dataset(n, n))["x"]
    assert (still.verdict, still.moved, still.since) == ("still moves", 100.0, 900)
    assert still.share == pytest.approx(0.1)
    assert movements(dataset(0.5 + 1e-15 * n, n))["x"].verdict == "settled"
    assert movements(dataset(8e-12 * n, n, "sum_share"))["sum_share"].verdict == "settled"
    assert movements(dataset(1e-9 * n, n, "sum_share"))["sum_share"].verdict == "still moves"
    # a loss that falls by a factor of ten over the last tenth moves, however small it is
    assert movements(dataset(10.0 ** (-n / 100), n, "loss"))["loss"].verdict == "still moves"


def test_too_sparse_runs_cannot_tell() -> None:
    assert movements(dataset([1, 2], [0, 10]))["x"].verdict == "cannot be told"
    sparse = movements(dataset([1, 2, 3, 3], [0, 10, 100, 1000]))["x"]
    assert sparse.verdict == "cannot be told"
    assert "no checkpoint between steps 100 and 1000" in sparse.why
    assert movements(dataset([1, 2, np.nan], [0, 5, 10]))["x"].verdict == "cannot be told"
    assert movements(dataset([np.nan] * 3, [0, 5, 10]))["x"].verdict == "cannot be told"


def test_joining_leaving_and_changing() -> None:
    epochs = np.array([0, 10, 20, 30])
    clusters = np.array([[0, 2, 0, 1, 0], [3, 2, 0, 0, 0], [3, 0, 0, 2, 0], [3, 2, 0, 2, 1]], dtype=float)
    joined, left, changed = _memberships(epochs, clusters)
    np.testing.assert_array_equal(joined, [10, 30, np.nan, 20, 30])
    assert left.tolist() == [0, 1, 0, 1, 0]
    assert changed.tolist() == [0, 0, 0, 1, 0]


def test_histories_are_the_waves_of_each_epoch(run: Run) -> None:
    found = histories(run, epochs=run.epochs[::5])
    acts = ms.record(run.model(), run.task)
    W_E = acts.model.weight("W_E").double().numpy()[: run.task.p]
    k = int(found.embedding_frequency[-1, 3])
    wave = np.exp(-2j * np.pi * k * np.arange(run.task.p) / run.task.p) @ W_E[:, 3] * 2 / run.task.p
    assert float(found.embedding_amplitude[-1, 3]) == pytest.approx(abs(wave))
    assert float(found.embedding_phase[-1, 3]) == pytest.approx(np.angle(wave))
    assert found.head_frequency.sizes["head"] == 4
    np.testing.assert_allclose(found.embedding_spectrum.sum("k"), 1.0)
    assert set(np.unique(found.neuron_cluster[-1])) - {0.0} <= set(map(float, range(1, 7)))


def test_the_lottery_is_against_chance(run: Run) -> None:
    found = lottery([run, run])
    assert found.sizes == {"run": 2, "moment": 2, "key": found.sizes["key"]}
    n, m = run.task.p // 2, int(found["keys"][0])
    mean = float(found.mean_rank[0, 0])
    assert mean == pytest.approx(float(found["rank"][0, 0, :m].mean()) / n)
    # exact chance for few frequencies: all sets of m of n
    from itertools import combinations

    sets = [np.mean(s) / n for s in combinations(range(1, n + 1), m)]
    exact = np.mean([s <= mean + 1e-12 for s in sets])
    assert float(found.chance[0, 0]) == pytest.approx(exact, abs=0.02)


def test_the_lottery_needs_a_run_over_training(run: Run) -> None:
    with pytest.raises(InputError, match="one checkpoint"):
        lottery([Run.open(run.files[run.epochs[-1]])])
    with pytest.raises(InputError, match="at least one"):
        lottery([])
