"""Everything the first look at a network says, in one object."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.answer.keys import (
    DEFAULT_RULE,
    RULES,
    Evidence,
    KeyFrequencies,
    evidence_of,
    key_frequencies,
)
from modscope.analysis.answer.logits import LogitFit, keep_streams, recorded_logits, recorded_profile
from modscope.analysis.answer.restriction import (
    MASKS,
    Restriction,
    excluded_loss_by_frequency,
    recorded_restriction,
)
from modscope.analysis.neurons.clusters import Clusters
from modscope.analysis.overview.cautions import cautions
from modscope.analysis.overview.examples import examples, worst_examples
from modscope.analysis.plane.energy import PairEnergy, each_hook, is_small, recorded_pair_energy
from modscope.analysis.plane.symmetry import recorded_even_fraction
from modscope.analysis.weights.frequencies import (
    MAPS,
    Relations,
    energy_shares,
    gini,
    inverse_participation_ratio,
    recorded_table,
    relations,
)
from modscope.boundary import public
from modscope.circle import Circle
from modscope.display import Shown
from modscope.errors import InputError, MissingWeight
from modscope.grounds import Grounds, grounds_of
from modscope.losses import Scores

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True, repr=False)
class Summary(Shown):
    """The first look at a network, computed once; `to_dict` gives it as JSON values.

    grounds: whether there is anything to judge, asked before everything else.

    What does not apply to a task is None: the logits' fit, restrictions and evenness need an answer that
    turns on a circle, and restrictions need at least one key frequency. `cautions` says in one sentence each
    what makes the numbers less trustworthy than they look.
    """

    p: int
    operation: str
    circle: Circle
    accuracy: Scores
    loss: Scores
    keys: KeyFrequencies
    sets: Mapping[str, tuple[int, ...] | None]
    relations: Relations
    shares: Mapping[str, xr.DataArray]
    clusters: Clusters
    fit: LogitFit | None
    restrictions: Mapping[str, Restriction]
    excluded_by_frequency: Mapping[int, Scores]
    even: Mapping[str, float]
    energy: Mapping[str, PairEnergy]
    examples: xr.Dataset
    cautions: tuple[str, ...]
    grounds: Grounds

    @property
    def is_guessing(self) -> bool:
        """Whether the accuracy over all pairs is what guessing gives."""
        return any(problem.kind == "chance" for problem in self.grounds.problems)

    @property
    def logit_fve(self) -> float | None:
        """Share of the logits' variance, without each pair's mean, that the key frequencies' cosines of a + b - c explain."""
        return None if self.fit is None else self.fit.share(self.keys.frequencies)

    @property
    def logit_fve_uncentred(self) -> float | None:
        """The same share with each pair's mean over the answers counted as variance, as published shares do."""
        return None if self.fit is None else self.fit.uncentred_share(self.keys.frequencies)

    @property
    def carried(self) -> bool:
        """Whether the key frequencies alone give the answers that the network has right, nine tenths of them at least."""
        main = self.restrictions.get("directions")
        return main is not None and main.restricted_accuracy.all >= 0.9 * self.accuracy.all

    @property
    def logit_fit_loss(self) -> float | None:
        """Loss of logits made only of these cosines."""
        if self.fit is None or not self.keys.frequencies:
            return None
        return self.fit.loss(self.keys.frequencies)

    def to_dict(self) -> dict[str, Any]:
        """All numbers as JSON values in full precision; what is not a finite number is None."""
        main = self.restrictions.get("directions")
        ks = self.keys.frequencies
        values = {
            **self.grounds.to_dict(),
            "p": self.p,
            "operation": self.operation,
            "circle": {"places": self.circle.n, "order": self.circle.name, "sign": self.circle.sign},
            "accuracy": self.accuracy.to_dict(),
            "loss": self.loss.to_dict(),
            "key_frequencies": list(ks),
            "key_frequency_rule": self.keys.rule,
            "key_frequency_definition": self.keys.definition,
            "key_frequency_sets": {rule: None if s is None else list(s) for rule, s in self.sets.items()},
            "cautions": list(self.cautions),
            "harmonics": self.relations.harmonics,
            "third_harmonics": self.relations.third_harmonics,
            "subharmonics": self.relations.subharmonics,
            "intermodulation": [
                {"of": list(pair), "sum": plus, "difference": minus}
                for pair, (plus, minus) in self.relations.intermodulation.items()
            ],
            **{f"{name}_energy": _by_k(shares) for name, shares in self.shares.items()},
            "sparsity": {
                name: {"gini": gini(s), "inverse_participation_ratio": inverse_participation_ratio(s)}
                for name, s in self.shares.items()
            },
            "neurons": len(self.clusters.fve),
            "neurons_per_frequency": self.clusters.counts_at(sorted({*ks, *self.clusters.counts()})),
            "neurons_explained": int(self.clusters.explained.sum()),
            "logit_fve": self.logit_fve,
            "logit_fve_uncentred": self.logit_fve_uncentred,
            "logit_fit_loss": self.logit_fit_loss,
            "logit_alpha": None if self.fit is None else _by_k(self.fit.alpha),
            "logit_fve_by_frequency": None if self.fit is None else _by_k(self.fit.fve),
            "restricted_loss": main and main.restricted_loss.to_dict(),
            "restricted_accuracy": main and main.restricted_accuracy.to_dict(),
            "excluded_loss": main and main.excluded_loss.to_dict(),
            "restrictions": {mask: _restriction_dict(r) for mask, r in self.restrictions.items()},
            "excluded_loss_by_frequency": {k: s.to_dict() for k, s in self.excluded_by_frequency.items()},
            "even_fraction": dict(self.even),
            "energy": {hook: energy.shares() for hook, energy in self.energy.items()},
            "worst_examples": worst_examples(self.examples),
        }
        return _json(values)


def _by_k(values: xr.DataArray) -> dict[int, float]:
    return {int(k): float(v) for k, v in zip(values.k.values, values.values, strict=True)}


def _restriction_dict(r: Restriction) -> dict[str, Any]:
    return {
        "restricted_loss": r.restricted_loss.to_dict(),
        "restricted_accuracy": r.restricted_accuracy.to_dict(),
        "excluded_loss": r.excluded_loss.to_dict(),
        "excluded_accuracy": r.excluded_accuracy.to_dict(),
    }


def _json(value: Any) -> Any:
    """Values that JSON can hold: keys as strings, numbers that are not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): _json(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@public
def summarise(
    acts: Activations,
    *,
    rule: str = DEFAULT_RULE,
    frequencies: Iterable[int] | None = None,
    stated: Mapping[str, float] | None = None,
    grounds: Grounds | None = None,
) -> Summary:
    """The first look at a network from its record.

    rule: how key frequencies are found (`RULES`); frequencies: taken as they are, instead of a rule. stated: losses and
    accuracies that the network's file gives, which tell one that has memorised where the split is not known. grounds:
    whether there is anything to judge, where it is known; found if not given.
    """
    task = acts.task
    with np.errstate(all="ignore"):  # a broken network has infinite logits; its numbers become None
        if is_small(acts):
            acts.load()  # one pass for all that follows
        else:
            keep_streams(acts)
        logits = recorded_logits(acts)
        evidence = evidence_of(acts)
        keys = _given(frequencies, evidence) if frequencies is not None else key_frequencies(evidence, rule)
        turns = evidence.circle.sign is not None and bool(keys.frequencies)
        restrictions: dict[str, Restriction] = {
            str(mask): recorded_restriction(acts, keys.frequencies, mask=mask) for mask in MASKS if turns
        }
        if grounds is None:
            grounds = grounds_of(logits, task, stated=stated)
        accuracy = grounds.accuracy
        energy, even = _energies(acts, evidence.circle)
        return Summary(
            p=task.p,
            operation=task.operation,
            circle=evidence.circle,
            accuracy=accuracy,
            loss=grounds.loss,
            keys=keys,
            sets={name: _set(evidence, name) for name in RULES},
            relations=relations(keys.frequencies, evidence.circle.n),
            shares=_shares(acts, evidence.circle),
            clusters=evidence.clusters if "mlp_post" in acts else Clusters(np.zeros(0, int), np.zeros(0)),
            fit=evidence.fit,
            restrictions=restrictions,
            excluded_by_frequency=excluded_loss_by_frequency(
                logits, task, keys.frequencies, profile=recorded_profile(acts)
            )
            if turns
            else {},
            even=even,
            energy=energy,
            examples=examples(acts),
            grounds=grounds,
            cautions=_counterfactual(acts)
            + cautions(
                circle=evidence.circle,
                grounds=grounds,
                keys=keys,
                rule=rule,
                fit=evidence.fit,
                restrictions=restrictions,
            ),
        )


def _counterfactual(acts: Activations) -> tuple[str, ...]:
    if not acts.replaced:
        return ()
    return (
        f"the activation of {', '.join(acts.replaced)} is replaced: these are numbers of what the network would do, "
        "not of what it does",
    )


def _shares(acts: Activations, circle: Circle) -> dict[str, xr.DataArray]:
    """Energy by frequency of each map of weights that there is."""
    found: dict[str, xr.DataArray] = {}
    for name in MAPS:
        rows = circle.rows if name == "embedding" else circle.answer_rows
        with contextlib.suppress(MissingWeight):
            found[name] = energy_shares(rows(recorded_table(acts, name)))
    return found


def _energies(acts: Activations, circle: Circle) -> tuple[dict[str, PairEnergy], dict[str, float]]:
    """Energy by kind of term and even fraction of every hook, each looked at once."""
    energy, even = {}, {}
    for hook in each_hook(acts):
        energy[hook] = recorded_pair_energy(acts, hook)
        even[hook] = float("nan") if circle.sign is None else recorded_even_fraction(acts, hook)
    return energy, even


def _given(frequencies: Iterable[int], evidence: Evidence) -> KeyFrequencies:
    half = evidence.circle.n // 2
    ks = tuple(sorted({int(k) for k in frequencies}))
    if not ks or not 0 < ks[0] <= ks[-1] <= half:
        raise InputError(f"key frequencies {list(ks)}: expected numbers from 1 to {half}")
    measure = xr.DataArray(
        np.isin(np.arange(1, half + 1), ks).astype(float), dims="k", coords={"k": np.arange(1, half + 1)}
    )
    return KeyFrequencies("given", ks, "named by the reader", measure, 0.5)


def _set(evidence: Evidence, rule: str) -> tuple[int, ...] | None:
    try:
        return key_frequencies(evidence, rule, fallback=False).frequencies
    except InputError:
        return None
