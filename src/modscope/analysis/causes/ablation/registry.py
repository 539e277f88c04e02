"""All ablations that a network has, one of them with its controls, and the table of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.answer.keys import given_or_found
from modscope.analysis.causes.ablation.attention import attention_ablations
from modscope.analysis.causes.ablation.filters import logit_ablations, neuron_filter_ablations
from modscope.analysis.causes.ablation.mlp import (
    cluster_ablations,
    nonlinearity_ablations,
    path_ablations,
    random_neurons,
)
from modscope.analysis.causes.ablation.tokens import token_ablations
from modscope.analysis.causes.ablation.trial import (
    SHUFFLED,
    Ablation,
    ChangedHook,
    ChangedNetwork,
    Outcome,
    by_name,
)
from modscope.analysis.causes.ablation.turns import named_turn, turn_ablations
from modscope.analysis.plane.marginals import checked_frequencies
from modscope.analysis.stream.scores import scores_of_blocks
from modscope.analysis.tables import Table
from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.networks.kinds import layer_count
from modscope.pace import paced

__all__ = [
    "AblationResult",
    "ablate",
    "ablate_all",
    "ablate_with",
    "ablation_dataset",
    "ablation_table",
    "ablations",
]

SPLITS = ("train", "test", "all")
Matched = Literal["size", "energy"]

# What a family of ablations needs, for a network that has none of it.
_NEEDS = {
    "pattern-": "attention",
    "attention-": "attention",
    "head-": "attention",
    "half-": "ReLU neurons",
    "skip-": "a residual stream",
    "mlp-mean": "a residual stream",
    "neurons-without": "an answer that turns on a circle, as those of add, subtract and multiply mod a prime do",
    "neurons-only": "an answer that turns on a circle, as those of add, subtract and multiply mod a prime do",
    "neurons-key": "an answer that turns on a circle, as those of add, subtract and multiply mod a prime do",
    "logits-": "an answer that turns on a circle, as those of add, subtract and multiply mod a prime do",
}


@dataclass(frozen=True, repr=False)
class AblationResult:
    """What one ablation does to loss and accuracy, beside the network as it is and random changes of its size.

    `ablated`, `intact` and each of `controls` hold loss and accuracy by split; `control` says in words what
    a control is.
    """

    name: str
    says: str
    control: str
    intact: Outcome
    ablated: Outcome
    controls: tuple[Outcome, ...]

    def _title(self) -> str:
        return f"{self.name}: {self.says}"

    def _table(self) -> Table:
        """Loss and accuracy by split, as they are, ablated, and the median of the controls."""
        rows = []
        for split in SPLITS:
            if self.intact.loss.to_dict()[split] is None:
                continue
            for which in ("loss", "accuracy"):
                intact, ablated = (getattr(o, which).to_dict()[split] for o in (self.intact, self.ablated))
                drawn = self.control_losses(split) if which == "loss" else self.control_accuracies(split)
                control = float(np.median(drawn)) if len(drawn) else None
                rows.append((f"{which}, {split}", intact, ablated, control))
        head = f"{self._title()}\ncontrol: {self.control}, median of {len(self.controls)}"
        return Table(head, ("", "as it is", "ablated", "control"), tuple(rows))

    def __repr__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()

    @public
    def control_losses(self, split: str = "all") -> np.ndarray:
        """The loss of each control; NaN where the split is not known."""
        return np.array([o.loss.to_dict()[split] for o in self.controls], np.float64)

    @public
    def control_accuracies(self, split: str = "all") -> np.ndarray:
        """The accuracy of each control; NaN where the split is not known."""
        return np.array([o.accuracy.to_dict()[split] for o in self.controls], np.float64)

    @property
    def share_of_controls_as_bad(self) -> float:
        """The share of controls whose loss on all pairs is at least that of the ablation; NaN without any."""
        losses = self.control_losses()
        return float(np.mean(losses >= self.ablated.loss.all)) if len(losses) else float("nan")


@public
def ablations(
    acts: Activations, key_frequencies: Sequence[int] | None = None, *, seed: int = 0
) -> dict[str, Ablation]:
    """Every ablation that applies to this network, by name, none of them run yet.

    key_frequencies: those of the default rule (`key_frequencies`), if none are given.

    Names: pattern-mean, pattern-constant, pattern-uniform, pattern-equalised, pattern-swapped (with /head=H
    for one head), attention-mean, head-mean/head=H; nonlinearity-removed, half-linear, half-absolute;
    skip-mean, mlp-mean; cluster-mean/k=K, clusters-mean, clusters-only, neurons-random/n=N; neurons-... (filters);
    logits-restricted/mask=M, logits-excluded/mask=M (with /k=K for one frequency); embeddings-permuted/n=N;
    turn-circles/s=S, turn-rest/s=S (`turns`: any S, with /k=K for one circle, /at=a for who reads it).
    What needs attention, a residual stream, ReLU, key frequencies, or an answer that turns on a circle (`circle_of`) is
    left out where the network has none. `seed` draws the permuted tokens.
    """
    circle = acts.circle
    chosen = given_or_found(acts, key_frequencies)
    ks = checked_frequencies(chosen, circle.n) if chosen else ()
    found = [
        *attention_ablations(acts),
        *nonlinearity_ablations(acts),
        *path_ablations(acts),
        *(cluster_ablations(acts, ks) if ks and "mlp_post" in acts else ()),
        *random_neurons(acts, seed=seed),
    ]
    if ks and circle.sign is not None and "mlp_post" in acts:
        found += neuron_filter_ablations(acts, ks)
    found = [_in_its_layer(acts, one) for one in found]
    found += token_ablations(acts, seed=seed)
    found += turn_ablations(acts, ks)
    if ks and circle.sign is not None:
        found += logit_ablations(acts, ks)
    return by_name(found)


def _in_its_layer(acts: Activations, ablation: Ablation) -> Ablation:
    """The same ablation, which says that it is one of the last layer where there are several."""
    layers = layer_count(acts.model)
    return replace(ablation, says=f"layer {layers - 1}: {ablation.says}") if layers > 1 else ablation


@public
def ablate(
    acts: Activations,
    name: str,
    key_frequencies: Sequence[int] | None = None,
    *,
    controls: int = 20,
    matched: Matched = "size",
    seed: int = 0,
) -> AblationResult:
    """One ablation with its random controls, on a resumed forward pass.

    key_frequencies: those of the default rule (`key_frequencies`), if none are given.

    matched "size": a control is a random set as large as the one removed or kept, where there is such a set;
    "energy": it is the same change dealt to random pairs, for every ablation of an activation. Random sets
    can carry far less energy than what they are compared with; the energy of the change is in
    `ablated.changed`. Every control has its own stream of random numbers (seed, number of the control), so a
    result does not depend on what else was run.
    Raises UnknownName for a name that no ablation has, InputError for one that does not apply here.
    """
    return ablate_all(acts, key_frequencies, names=[name], controls=controls, matched=matched, seed=seed)[0]


@public
def ablate_all(
    acts: Activations,
    key_frequencies: Sequence[int] | None = None,
    *,
    names: Iterable[str] | None = None,
    controls: int = 20,
    matched: Matched = "size",
    seed: int = 0,
) -> tuple[AblationResult, ...]:
    """Several ablations (all that apply, if none is named), each with its random controls; see `ablate`."""
    if controls < 0:
        raise InputError(f"{controls} controls: expected 0 or more")
    if matched not in ("size", "energy"):
        raise UnknownName.of("way to match controls", matched, ("size", "energy"))
    ks = given_or_found(acts, key_frequencies)
    known = ablations(acts, ks, seed=seed)
    chosen = list(known) if names is None else list(names)
    for name in chosen:
        if name not in known and (turn := named_turn(acts, ks, name)) is not None:
            known[name] = turn
        _check_name(name, known)
    intact = _intact(acts)
    return tuple(_run(known[name], intact, controls, matched, seed) for name in paced(chosen, "ablations"))


@public
def ablate_with(
    acts: Activations,
    hook: str,
    values: np.ndarray,
    *,
    controls: int = 20,
    seed: int = 0,
    name: str = "custom",
) -> AblationResult:
    """An activation replaced by values of your own, [a, b, feature]; controls deal the change to random pairs.

    For instance constants of your choice for the attention pattern: `np.broadcast_to([0.463, 0.537, 0.0],
    acts.at("pattern").shape)`. Raises UnknownName for a hook that does not depend on both tokens, InputError
    for another shape.
    """
    hook = acts.hook_name(hook)
    if hook not in acts.joint_hooks:
        raise UnknownName.of("hook that depends on both tokens", hook, acts.joint_hooks)
    if np.shape(values) != acts.at(hook).shape:
        raise InputError(f"{hook} of shape {np.shape(values)}: expected {acts.at(hook).shape}")
    own = Ablation(name, f"{hook} replaced", SHUFFLED, lambda: ChangedHook(acts, hook, np.asarray(values)))
    return _run(own, _intact(acts), controls, "size", seed)


def _check_name(name: str, known: dict[str, Ablation]) -> None:
    if name in known:
        return
    for start, needed in _NEEDS.items():
        if name.startswith(start) and not any(other.startswith(start) for other in known):
            raise InputError(f"ablation {name!r} is not applicable to this network: it needs {needed}")
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    families = ", ".join(dict.fromkeys(other.split("/")[0] for other in known))
    raise UnknownName(f"unknown ablation {name!r}: this network has {families} and their parts{hint}")


def _run(ablation: Ablation, intact: Outcome, controls: int, matched: Matched, seed: int) -> AblationResult:
    trial = ablation.start()
    ablated = trial.outcome()
    draw = trial.control if matched == "size" else trial.shuffled
    outcomes = tuple(draw(np.random.default_rng((seed, i))) for i in paced(range(controls), ablation.name))
    says = ablation.control if matched == "size" or isinstance(trial, ChangedNetwork) else SHUFFLED
    return AblationResult(ablation.name, ablation.says, says, intact, ablated, outcomes)


def _intact(acts: Activations) -> Outcome:
    blocks = ((rows, block["logits"]) for rows, block in acts.resume({}))
    return Outcome(*scores_of_blocks(blocks, acts.task), 0.0)


@public
def ablation_dataset(results: Sequence[AblationResult]) -> xr.Dataset:
    """Results as one Dataset: loss, accuracy, intact_loss, intact_accuracy over (ablation, split),
    control_loss and control_accuracy over (ablation, control, split), changed over ablation."""
    if not results:
        raise InputError("no results of ablations were given: expected at least one")

    def scores(outcomes: Iterable[Outcome], which: str) -> list[list[float | None]]:
        return [[getattr(o, which).to_dict()[split] for split in SPLITS] for o in outcomes]

    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for which in ("loss", "accuracy"):
        variables[which] = _over(("ablation", "split"), scores((r.ablated for r in results), which))
        variables[f"intact_{which}"] = _over(
            ("ablation", "split"), scores((r.intact for r in results), which)
        )
        drawn = [scores(r.controls, which) for r in results]
        variables[f"control_{which}"] = _over(("ablation", "control", "split"), drawn)
    variables["changed"] = _over(("ablation",), [r.ablated.changed for r in results])
    coords = {
        "ablation": [r.name for r in results],
        "split": list(SPLITS),
        "says": ("ablation", [r.says for r in results]),
        "control_says": ("ablation", [r.control for r in results]),
    }
    return xr.Dataset(variables, coords)


def _over(dims: tuple[str, ...], values: object) -> tuple[tuple[str, ...], np.ndarray]:
    return dims, np.array(values, np.float64)


@public
def ablation_table(results: Sequence[AblationResult], *, split: str = "test") -> Table:
    """One row per ablation: loss and accuracy (in percent) on a split beside the medians of its controls.

    Falls back to all pairs where no split is known.
    """
    if split not in SPLITS:
        raise UnknownName.of("split", split, SPLITS)
    if any(r.intact.loss.to_dict()[split] is None for r in results):
        split = "all"
    rows = []
    for r in results:
        loss, accuracy = r.ablated.loss.to_dict()[split], r.ablated.accuracy.to_dict()[split]
        losses, accuracies = r.control_losses(split), r.control_accuracies(split)
        medians = [float(np.median(x)) if len(x) else float("nan") for x in (losses, 100 * accuracies)]
        rows.append((r.name, loss, medians[0], 100 * (accuracy or 0.0), medians[1]))
    columns = ("ablation", "loss", "c. loss", "acc. %", "c. %")
    return Table(f"Ablations, {split} pairs; c.: median of the controls", columns, tuple(rows))
