"""The measures of one epoch, by name: each is a few numbers over named axes, or says why it does not apply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.analysis.answer.clock_and_pizza import (
    circle_fits,
    circularity,
    distance_irrelevance,
    gradient_cosines,
)
from modscope.analysis.answer.restriction import MASKS, Restriction, restriction
from modscope.analysis.causes.replacement import margins
from modscope.analysis.inputs.attention import pattern_statistics
from modscope.analysis.neurons.waves import median
from modscope.analysis.plane.symmetry import swap_shares
from modscope.analysis.plane.terms import line_means
from modscope.analysis.weights.frequencies import (
    MAPS,
    Map,
    energy_shares,
    gini,
    inverse_participation_ratio,
    weight_table,
)
from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.losses import Scores, by_split, losses_and_accuracies
from modscope.model import Transformer
from modscope.progress.moment import Moment
from modscope.progress.simple_neurons import simple_neurons
from modscope.signal import basis_frequencies, fourier_basis

__all__ = ["FAST", "MEASURES", "ProgressMeasure", "chosen_measures"]

SPLITS = ("train", "test", "all")
NEURONS = "neurons"
Values = Mapping[str, xr.DataArray | float]


@dataclass(frozen=True)
class ProgressMeasure:
    """One measure: its name, what it says, the numbers that it gives of a moment, and whether it is slow.

    `of` raises InputError where the measure does not apply to the network.
    """

    name: str
    says: str
    of: Callable[[Moment], Values]
    slow: bool = False


def _scores(scores: Scores) -> xr.DataArray:
    values = [np.nan if v is None else v for v in (scores.train, scores.test, scores.all)]
    return xr.DataArray(np.array(values, dtype=np.float64), dims="split", coords={"split": list(SPLITS)})


def _loss(moment: Moment) -> Values:
    loss, accuracy = losses_and_accuracies(moment.logits, moment.task)
    return {"loss": _scores(loss), "accuracy": _scores(accuracy)}


def _margin(moment: Moment) -> Values:
    values = margins(moment.logits, moment.task.labels)
    return {"margin": _scores(by_split(values, moment.task))}


def _restricted(moment: Moment) -> Values:
    ks, circle = moment.keys, moment.circle
    _ = circle.turn
    found: dict[str, Restriction] = {
        str(mask): restriction(moment.logits, moment.task, ks, mask=mask) for mask in MASKS
    }
    rows = {
        f"{kind}_{what}": [_scores(getattr(found[mask], f"{kind}_{what}")) for mask in found]
        for kind in ("restricted", "excluded")
        for what in ("loss", "accuracy")
    }
    masks = list(found)
    if circle.whole:
        masks.append(NEURONS)
        for kind, keep in (("restricted", True), ("excluded", False)):
            logits = _with_neurons(moment, ks, keep=keep)
            loss, accuracy = losses_and_accuracies(logits, moment.task)
            rows[f"{kind}_loss"].append(_scores(loss))
            rows[f"{kind}_accuracy"].append(_scores(accuracy))
    along = xr.DataArray(masks, dims="mask", name="mask")
    return {name: xr.concat(values, dim=along) for name, values in rows.items()}


def _with_neurons(moment: Moment, ks: tuple[int, ...], *, keep: bool) -> np.ndarray:
    """Logits when of the neurons only their mean and the answer's waves at some frequencies are kept, or these removed."""
    acts, p = moment.acts, moment.task.p
    x = acts.at("mlp_post").values
    means = line_means(acts, "mlp_post")
    profile = means["mean"].sel(line=moment.circle.direction).values - means.average.values
    rows = fourier_basis(p)[np.isin(basis_frequencies(p), ks)]
    part, places = rows.T @ (rows @ profile), moment.circle.answer_places()
    if isinstance(acts.model, Transformer):
        # From the neurons on everything is linear: what is taken out of them is taken out of the logits by W_L.
        W_L = weight_table(acts.model, "neuron_logit").T
        read = (part @ W_L)[places]
        logits = moment.logits[..., :p]
        return logits - x @ W_L.astype(x.dtype) + read + means.average.values @ W_L if keep else logits - read
    changed = part.astype(x.dtype)[places]
    changed = changed + means.average.values.astype(x.dtype) if keep else x - changed
    return np.concatenate([block["logits"] for _, block in acts.resume({"mlp_post": changed})])


def _restricted_by_frequency(moment: Moment) -> Values:
    _ = moment.circle.turn
    found = [restriction(moment.logits, moment.task, [k]) for k in moment.keys]
    along = xr.DataArray(list(moment.keys), dims="k", name="k")
    return {
        f"{kind}_loss_by_frequency": xr.concat(
            [_scores(getattr(r, f"{kind}_loss")) for r in found], dim=along
        )
        for kind in ("restricted", "excluded")
    }


def _by_place(moment: Moment, name: Map) -> np.ndarray:
    """A table by residue (the embedding) or by answer (the other maps), in the order of the circle."""
    table = weight_table(moment.acts.model, name)
    return moment.circle.rows(table) if name == "embedding" else moment.circle.answer_rows(table)


def _sparsity(moment: Moment) -> Values:
    shares = {name: energy_shares(_by_place(moment, name)) for name in MAPS}
    return {
        "gini": moment.named([gini(s) for s in shares.values()], "map", MAPS),
        "participation": moment.named([inverse_participation_ratio(s) for s in shares.values()], "map", MAPS),
    }


def _squared_weights(moment: Moment) -> Values:
    weights = moment.acts.model.weights.values()
    return {"squared_weights": float(sum(float(w.detach().double().square().sum()) for w in weights))}


def _key_shares(moment: Moment) -> Values:
    ks = list(moment.keys)
    shares = [float(energy_shares(_by_place(moment, name)).sel(k=ks).sum()) for name in MAPS]
    found: dict[str, xr.DataArray | float] = {"key_share": moment.named(shares, "map", MAPS)}
    if moment.evidence.fit is not None:
        found["logit_key_share"] = moment.evidence.fit.share(ks)
    return found


def _clusters(moment: Moment) -> Values:
    clusters = moment.evidence.clusters
    of = [clusters.frequency == k for k in moment.keys]
    return {
        "cluster_neurons": moment.named(list(clusters.counts_at(moment.keys).values()), "k", moment.keys),
        "cluster_fve": moment.named([median(clusters.fve[members]) for members in of], "k", moment.keys),
        "neurons_explained": float(clusters.explained.sum()),
        "neurons_fve": float(clusters.fve.mean()),
    }


SWAPPED = ("mlp_post", "logits")


def _symmetry(moment: Moment) -> Values:
    energy, even = moment.planes
    hooks = list(energy)
    swapped = swap_shares(moment.acts, [hook for hook in hooks if hook in SWAPPED])
    return {
        "even": moment.named(list(even.values()), "hook", hooks),
        "swap_symmetric": moment.named(swapped.symmetric.values, "place", swapped.hook.values.tolist()),
        "sum_share": moment.named([e.sum for e in energy.values()], "hook", hooks),
        "difference_share": moment.named([e.difference for e in energy.values()], "hook", hooks),
    }


PARTS = ("rectified", "product", "memorised", "pizza")


def _mechanism(moment: Moment) -> Values:
    found = moment.mechanism
    parts = [getattr(found, part) for part in PARTS]
    values = [part if found.applies and part is not None else np.nan for part in parts]
    return {"mechanism": moment.named(values, "part", PARTS)}


def _phases(moment: Moment) -> Values:
    outputs, explained = moment.outputs, moment.evidence.clusters.explained
    distance = outputs.distance.values
    sines = np.abs(np.sin(outputs.psi.values - outputs.expected.values))
    of_all, of_explained = np.isfinite(distance), np.isfinite(distance) & explained
    among = {"all": of_all, "explained": of_explained}
    written = weight_table(moment.acts.model, "neuron_logit")
    read = moment.pre.energy.sel(line=["a", "b"]).sum("line").transpose("k", "neuron").values
    return {
        "phase_distance": moment.named([median(distance[m]) for m in among.values()], "neurons", list(among)),
        "phase_sine": moment.named([_mean(sines[m]) for m in among.values()], "neurons", list(among)),
        "neuron_participation": moment.named(
            [_participation(read), _participation(_energy_by_frequency(written))], "side", ("input", "output")
        ),
    }


def _mean(x: np.ndarray) -> float:
    return float(x.mean()) if x.size else float("nan")


def _energy_by_frequency(table: np.ndarray) -> np.ndarray:
    """[k, feature] of a table [residue, feature], k = 1..p//2."""
    energy = np.abs(np.fft.rfft(table, axis=0)[1:]) ** 2
    if len(table) % 2 == 0:
        energy[-1] /= 2
    return energy


def _participation(energy: np.ndarray) -> float:
    """The mean over neurons of the sum of squared shares of energy [k, neuron]; constant neurons are left out."""
    alive = energy.sum(axis=0) > 0
    shares = energy[:, alive] / energy[:, alive].sum(axis=0)
    return _mean((shares**2).sum(axis=0))


def _attention(moment: Moment) -> Values:
    found = pattern_statistics(moment.acts)
    return {"attention_mean": found["mean"], "attention_spread": found.spread}


def _distance(moment: Moment) -> Values:
    return {"distance_irrelevance": distance_irrelevance(moment.logits, moment.task)}


def _circularity(moment: Moment) -> Values:
    return {"circularity": circularity(weight_table(moment.acts.model, "embedding"))}


def _circles(moment: Moment) -> Values:
    found = circle_fits(moment.acts, moment.keys)
    return {"q_clock": found.clock, "q_pizza": found.pizza}


SIMILAR = 0.005


def _characters(moment: Moment) -> Values:
    fit = moment.evidence.fit
    if fit is None:
        raise InputError(f"the answer of {moment.task.operation} does not turn on a circle")
    similarity = (np.sign(fit.alpha.values) * np.sqrt(fit.fve.values))[1:]
    of_keys = [similarity[k - 1] for k in moment.frame.keys]
    return {
        "logit_similarity": moment.named(of_keys, "k", moment.frame.keys),
        "key_representations": float((similarity > SIMILAR).sum()),
    }


def _symmetricity(moment: Moment) -> Values:
    cosines = gradient_cosines(moment.acts, triples=moment.frame.triples)
    return {
        "gradient_symmetricity": float(cosines.sum() / len(cosines)),
        "gradient_symmetricity_error": float(cosines.std(ddof=1) / np.sqrt(len(cosines))),
    }


def _simple(moment: Moment) -> Values:
    found = simple_neurons(moment.acts)
    return {
        "simple_neuron_r2": found.total_r2,
        "simple_neuron_median_r2": median(found.r2),
        "simple_neuron_accuracy": _scores(found.accuracy),
        "simple_neuron_loss": _scores(found.loss),
    }


MEASURES: Mapping[str, ProgressMeasure] = {
    measure.name: measure
    for measure in (
        ProgressMeasure("loss", "loss and accuracy on train, test and all pairs", _loss),
        ProgressMeasure("margin", "the right logit minus the mean logit, by split", _margin),
        ProgressMeasure(
            "restricted",
            "loss and accuracy with only the key frequencies kept (restricted) and with them taken out (excluded), by mask",
            _restricted,
        ),
        ProgressMeasure(
            "restricted-by-frequency",
            "restricted and excluded loss of each key frequency alone, mask directions",
            _restricted_by_frequency,
        ),
        ProgressMeasure(
            "sparsity",
            "Gini coefficient and inverse participation ratio of W_E, W_U and W_L over frequencies",
            _sparsity,
        ),
        ProgressMeasure("squared-weights", "sum of all squared weights", _squared_weights),
        ProgressMeasure(
            "key-shares",
            "share of W_E, W_U, W_L and of the logits' variance at the key frequencies",
            _key_shares,
        ),
        ProgressMeasure("clusters", "neurons of each key frequency and what it explains of them", _clusters),
        ProgressMeasure(
            "symmetry", "even, swap-symmetric, a+b and a-b shares of each hook's energy", _symmetry
        ),
        ProgressMeasure(
            "mechanism", "shares of the margin: rectified, product, memorised; pizza", _mechanism
        ),
        ProgressMeasure(
            "phases",
            "psi from 2 phi: median distance and mean |sin(psi - 2 phi)|; mean participation ratio of neurons",
            _phases,
        ),
        ProgressMeasure(
            "attention", "mean and spread of the attention over the pairs, by head and key", _attention
        ),
        ProgressMeasure("distance", "distance irrelevance of the right logit", _distance),
        ProgressMeasure("circularity", "circularity of the embedding's first components", _circularity),
        ProgressMeasure("circles", "fits of Q_clock and Q_pizza to each key circle alone", _circles),
        ProgressMeasure(
            "characters",
            "the logits' cosine similarity with the characters of the key frequencies, and how many exceed 0.005",
            _characters,
        ),
        ProgressMeasure(
            "symmetricity", "gradient symmetricity and its standard error", _symmetricity, slow=True
        ),
        ProgressMeasure(
            "simple-neurons", "fit of neurons by simple neurons, and what these answer", _simple, slow=True
        ),
    )
}
FAST = tuple(name for name, measure in MEASURES.items() if not measure.slow)


@public
def chosen_measures(names: Iterable[str] | str | None) -> tuple[str, ...]:
    """The names of measures, in the order of the registry; "fast" and "all" stand for many; all where none is named.

    >>> chosen_measures(["margin", "loss"])
    ('loss', 'margin')
    """
    wanted = ["all"] if names is None else [names] if isinstance(names, str) else list(names)
    found: set[str] = set()
    for name in wanted:
        if name in ("fast", "all"):
            found |= set(FAST if name == "fast" else MEASURES)
        elif name in MEASURES:
            found.add(name)
        else:
            raise UnknownName.of("progress measure", name, [*MEASURES, "fast", "all"])
    return tuple(name for name in MEASURES if name in found)
