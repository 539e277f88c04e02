"""The key frequencies of a network, by each published rule under its own name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.answer.logits import LogitFit, recorded_fit
from modscope.analysis.neurons.clusters import Clusters, recorded_clusters
from modscope.analysis.weights.frequencies import component_norms, energy_shares, recorded_table
from modscope.boundary import public
from modscope.circle import Circle
from modscope.display import Shown, bars_svg, facts_html
from modscope.errors import InputError, UnknownName

__all__ = [
    "DEFAULT_RULE",
    "RULES",
    "Evidence",
    "KeyFrequencies",
    "evidence_of",
    "given_or_found",
    "key_frequencies",
]

DEFAULT_RULE = "logit_share"


@dataclass(frozen=True, repr=False)
class KeyFrequencies(Shown):
    """A set of key frequencies and the rule that found it.

    frequencies: sorted; empty where the rule finds none. measure (k): what the rule looked at; threshold: what
    it had to exceed. definition: the rule in one sentence.
    """

    rule: str
    frequencies: tuple[int, ...]
    definition: str
    measure: xr.DataArray
    threshold: float

    def _told(self) -> dict[str, object]:
        found = " ".join(map(str, self.frequencies)) or "none"
        return {
            "frequencies": found,
            "rule": f"{self.rule}: {self.definition}",
            "threshold": f"{self.threshold:.4g}",
        }

    def _repr_html_(self) -> str:
        ks = [int(k) for k in self.measure.k.values]
        picture = bars_svg(ks, self.measure.values, self.frequencies, limit=self.threshold)
        return facts_html(self._title(), self._told(), picture)


class Evidence(Shown):
    """What the rules look at, each computed when a rule asks: of a record without weights, or without some activation,
    the others can still be had."""

    def __init__(self, acts: Activations) -> None:
        self.acts = acts

    def _told(self) -> dict[str, object]:
        return {"circle": f"{self.circle.n} places: {self.circle.name}", "hooks": ", ".join(self.acts.hooks)}

    @cached_property
    def circle(self) -> Circle:
        """The circle of the task."""
        return self.acts.circle

    @cached_property
    def embedding(self) -> np.ndarray:
        """The rows of the embedding on the circle, [place, feature]; MissingWeight where there are none."""
        return self.circle.rows(recorded_table(self.acts, "embedding"))

    @cached_property
    def neuron_logit(self) -> np.ndarray:
        """The columns of W_L on the circle, [place, neuron]; MissingWeight where there are none."""
        return self.circle.answer_rows(recorded_table(self.acts, "neuron_logit"))

    @cached_property
    def clusters(self) -> Clusters:
        """The neurons by their best frequency."""
        return recorded_clusters(self.acts)

    @cached_property
    def fit(self) -> LogitFit | None:
        """The logits as cosines; None where the answer does not turn on a circle, or no logits were recorded."""
        if self.circle.sign is None or "logits" not in self.acts:
            return None
        return recorded_fit(self.acts)


def evidence_of(acts: Activations) -> Evidence:
    """What the rules look at, from a record."""
    return Evidence(acts)


Found = tuple[xr.DataArray, float]
Rule = Callable[[Evidence], Found | None]


def _embedding_norm(evidence: Evidence) -> Found:
    norms = component_norms(evidence.embedding)
    largest = np.zeros(norms.k.values.max() + 1)
    np.maximum.at(largest, norms.k.values, norms.values)
    largest[0] = 0.0
    return _over_k(largest[1:]), float(largest.max() / 4)


def _cumulative_energy(evidence: Evidence) -> Found:
    shares = energy_shares(evidence.embedding)
    falling = np.sort(shares.values)[::-1]
    enough = np.searchsorted(np.cumsum(falling), 0.9)
    following = falling[enough + 1] if enough + 1 < len(falling) else 0.0
    return shares, float(following)


def _neuron_clusters(evidence: Evidence) -> Found:
    counts = evidence.clusters.counts()
    numbers = [float(counts.get(k, 0)) for k in range(1, evidence.circle.n // 2 + 1)]
    return _over_k(np.array(numbers)), 0.0


def _neuron_logit_peaks(evidence: Evidence) -> Found:
    shares = energy_shares(evidence.neuron_logit)
    return shares, float(max(shares.max() / 16, 9 * shares.median()))


def _logit_similarity(evidence: Evidence) -> Found | None:
    similarity = _similarity(evidence)
    return None if similarity is None else (similarity, 0.005)


def _logit_share(evidence: Evidence) -> Found | None:
    similarity = _similarity(evidence)
    if similarity is None:
        return None
    shares = similarity * abs(similarity)
    # A look-up table of some pairs has a little of every frequency; a network of small p may use them all.
    crowd = 3 * float(shares.median()) if float(shares.sum()) < 0.5 else 0.0
    return shares, max(0.01, crowd)


def _similarity(evidence: Evidence) -> xr.DataArray | None:
    """Cosine of the angle between the centred cube of logits and cos w_k(a + b - c), (k)."""
    if evidence.fit is None:
        return None
    fit = evidence.fit.fve.isel(k=slice(1, None))
    return fit.copy(data=np.sign(evidence.fit.alpha.values[1:]) * np.sqrt(fit.values))


def _over_k(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims="k", coords={"k": np.arange(1, len(values) + 1)})


RULES: Mapping[str, tuple[Rule, str]] = {
    "logit_share": (
        _logit_share,
        "cos w_k(a+b-c) explains at least 1 % of the variance of the logits, with a positive weight; where all "
        "cosines together explain less than half of it, also three times as much as the median one",
    ),
    "logit_similarity": (
        _logit_similarity,
        "the logits' cosine similarity with cos w_k(a+b-c) is above 0.005 (Chughtai et al. 2023)",
    ),
    "embedding_norm": (
        _embedding_norm,
        "the norm of the embedding's cosine or sine component is above a quarter of the largest (TransformerLens demo)",
    ),
    "cumulative_energy": (
        _cumulative_energy,
        "the fewest frequencies that hold 90 % of the embedding's energy outside DC",
    ),
    "neuron_clusters": (
        _neuron_clusters,
        "at least one neuron is explained to more than 85 % by this frequency (Nanda et al. 2023)",
    ),
    "neuron_logit_peaks": (
        _neuron_logit_peaks,
        "a visible peak of the neuron-to-logit map W_L (Nanda et al. 2023), made exact: its norm is above a "
        "quarter of the largest and three times the median",
    ),
}


@public
def key_frequencies(
    source: Activations | Evidence, rule: str = DEFAULT_RULE, *, fallback: bool = True
) -> KeyFrequencies:
    """The key frequencies of a network under a rule of `RULES`.

    Rules on the logits do not apply where the answer does not turn on a circle (x^2+xy+y^2, random labels):
    then `neuron_clusters` stands in, and the result says so, unless fallback is False (InputError).
    Raises UnknownName for a rule that there is not, InputError for another source.
    """
    if not isinstance(source, Activations | Evidence):
        raise InputError(
            f"key frequencies of {type(source).__name__}: expected a record of activations (ms.record(network, task)); of an "
            "embedding alone, energy_shares says where its energy lies"
        )
    if rule not in RULES:
        raise UnknownName.of("rule for key frequencies", rule, RULES)
    evidence = evidence_of(source) if isinstance(source, Activations) else source
    function, definition = RULES[rule]
    found = function(evidence)
    if found is None:
        if not fallback:
            evidence.circle.turn  # noqa: B018  raises the error that says why
        return key_frequencies(evidence, "neuron_clusters")
    measure, threshold = found
    ks = tuple(int(k) for k in measure.k.values[measure.values > threshold])
    return KeyFrequencies(rule, ks, definition, measure, threshold)


found_by_rule = key_frequencies  # where an argument has that name


def given_or_found(acts: Activations, key_frequencies: Sequence[int] | None) -> tuple[int, ...]:
    """The key frequencies given, or where none are, those of the default rule."""
    if key_frequencies is not None:
        return tuple(int(k) for k in key_frequencies)
    return found_by_rule(acts).frequencies
