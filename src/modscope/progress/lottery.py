"""Which frequencies win: the rank of the final key frequencies in the embedding's spectrum before they had won."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.analysis.weights.frequencies import energy_shares, weight_table
from modscope.boundary import public
from modscope.errors import InputError
from modscope.progress.over_epochs import run_keys
from modscope.progress.phases import phases
from modscope.runs import Run

__all__ = ["lottery"]

MOMENTS = ("initialisation", "memorisation")


@public
def lottery(runs: Sequence[Run], *, draws: int = 20_000, seed: int = 0) -> xr.Dataset:
    """Whether the key frequencies of a run were strong in its embedding from the start, against chance.

    Frequencies are ranked by their share of the embedding's energy, 1 the strongest. Over (run, moment), moments
    "initialisation" (the first checkpoint) and "memorisation" (the checkpoint nearest to where the training accuracy is
    first .99): `mean_rank` of the key frequencies as a share of the number of frequencies, in (0, 1], 1/2 in expectation
    if the winners were drawn at random; `chance`, the share of `draws` random sets of as many frequencies whose mean rank
    is as small or smaller. Over (moment): the same for all runs together, `overall_rank` and `overall_chance`.
    Over (run, moment, key): `rank`, NaN beyond a run's keys. Over (run): `keys`, how many; `memorised_epoch`.
    Raises InputError for runs without key frequencies, or with one checkpoint only.
    """
    if not runs:
        raise InputError("no runs: expected at least one")
    generator = np.random.default_rng(seed)
    ranks = [_ranks(run) for run in runs]
    most = max(r.shape[1] for r, _, _ in ranks)
    table = np.full((len(runs), 2, most), np.nan)
    mean, chance = np.empty((len(runs), 2)), np.empty((len(runs), 2))
    total, drawn_total = np.zeros(2), np.zeros(draws)
    for i, (r, n, _) in enumerate(ranks):
        table[i, :, : r.shape[1]] = r
        drawn = _random_mean_ranks(generator, n, r.shape[1], draws)
        mean[i] = r.mean(axis=1) / n
        chance[i] = [(drawn <= value + 1e-12).mean() for value in mean[i]]
        total += mean[i]
        drawn_total += drawn
    overall = total / len(runs)
    return xr.Dataset(
        {
            "rank": (("run", "moment", "key"), table),
            "mean_rank": (("run", "moment"), mean),
            "chance": (("run", "moment"), chance),
            "overall_rank": (("moment",), overall),
            "overall_chance": (
                ("moment",),
                [(drawn_total / len(runs) <= value + 1e-12).mean() for value in overall],
            ),
            "keys": (("run",), [r.shape[1] for r, _, _ in ranks]),
            "memorised_epoch": (("run",), [epoch for _, _, epoch in ranks]),
        },
        {"run": [str(run.path) for run in runs], "moment": list(MOMENTS)},
        {"draws": draws, "seed": seed},
    )


def _ranks(run: Run) -> tuple[np.ndarray, int, int]:
    """Ranks [moment, key] of the final key frequencies, the number of frequencies, and the epoch of memorisation."""
    if len(run.epochs) < 2:
        raise InputError(f"{run.path}: has one checkpoint: which frequencies win shows only over training")
    keys = run_keys(run).frequencies
    if not keys:
        raise InputError(f"{run.path}: the run ends without key frequencies")
    first = run.begun_anew[-1] if run.begun_anew else run.epochs[0]
    first = min((e for e in run.epochs if e >= first), default=run.epochs[0])
    dated = phases(run).phases
    end = dated[0].end if dated else first
    memorised = min(run.epochs, key=lambda epoch: abs(epoch - end))
    rows, n = [], 0
    for epoch in (first, memorised):
        shares = energy_shares(weight_table(run.model(epoch), "embedding"))
        n = shares.sizes["k"]
        order = shares.values.argsort()[::-1].argsort() + 1
        rows.append(order[np.array(keys) - 1])
    return np.array(rows, dtype=float), n, memorised


def _random_mean_ranks(generator: np.random.Generator, n: int, m: int, draws: int) -> np.ndarray:
    """Mean rank over n of m frequencies drawn without putting back, [draw]."""
    chosen = generator.random((draws, n)).argpartition(m - 1, axis=1)[:, :m] + 1
    return chosen.mean(axis=1) / n
