"""What several claims look at, computed once and only when a claim asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.answer.keys import Evidence as KeyEvidence
from modscope.analysis.answer.keys import evidence_of, key_frequencies
from modscope.analysis.answer.logits import recorded_logits, recorded_profile
from modscope.analysis.causes.mechanism import Mechanism, mechanism
from modscope.analysis.causes.replacement import margins
from modscope.analysis.neurons.waves import neuron_waves, output_phases
from modscope.analysis.plane.marginals import Marginals, checked_frequencies, marginals
from modscope.analysis.stream.model import StreamModel, stream_model
from modscope.circle import Circle
from modscope.findings.finding import Verdict
from modscope.grounds import Grounds, grounds_of
from modscope.losses import Logits, Scores, accuracies, losses, row_blocks
from modscope.networks.kinds import need_stream
from modscope.task import ModularTask

__all__ = ["NEEDS", "Bench"]

# need -> the verdict on a claim about a network without it, and the sentence that says why
NEEDS: Mapping[str, tuple[Verdict, str]] = {
    "weights": (
        "not applicable",
        "the record is of activations alone: it has no weights to change and run again",
    ),
    "attention": ("not applicable", "this network has no attention"),
    "stream": ("not applicable", "this network has no residual stream"),
    "answer": ("not applicable", "the answer of {operation} is neither a + b nor a - b"),
    "addition": ("not applicable", "the claim is about addition; this network's task is {operation}"),
    "keys": ("not applicable", "no frequency stands out in this network: it has no key frequencies"),
    "others": (
        "not applicable",
        "{keys} of the {all} frequencies are key: there are not as many others to compare with",
    ),
    "neurons": (
        "not applicable",
        "no neuron reads waves of a and of b of one frequency that explains it to 85 %",
    ),
}


class Bench:
    """One network's record on the bench, with the measurements that claims share.

    Every property is computed when first asked for and kept; large arrays stay in the record.
    """

    def __init__(
        self,
        acts: Activations,
        *,
        key_frequencies: Sequence[int] | None = None,
        seed: int = 0,
        grounds: Grounds | None = None,
    ) -> None:
        self.acts, self.seed = acts, seed
        self._grounds = grounds
        self._given = None if key_frequencies is None else checked_frequencies(key_frequencies, acts.task.p)
        self._marginals: dict[str, Marginals] = {}

    @property
    def task(self) -> ModularTask:
        """The task of the network."""
        return self.acts.task

    @property
    def p(self) -> int:
        """The modulus."""
        return self.acts.task.p

    def lacks(self, need: str) -> tuple[Verdict, str] | None:
        """The verdict on a claim with this need and why, where the network does not meet it; else None."""
        has: Mapping[str, Callable[[], bool]] = {
            "weights": lambda: self.acts.network is not None,
            "attention": lambda: self._has_pattern(),
            "stream": lambda: self._has_stream(),
            "answer": lambda: self.task.operation in ("add", "subtract"),
            "addition": lambda: self.task.operation == "add",
            "keys": lambda: bool(self.ks),
            "others": lambda: 2 * len(self.ks) <= self.p // 2,
            "neurons": lambda: bool(self.acts.hook_name("mlp_post")) and bool(len(self.explained)),
        }
        if has[need]():
            return None
        verdict, why = NEEDS[need]
        named = {"operation": self.task.what.text}
        if need == "others":
            named |= {"keys": str(len(self.ks)), "all": str(self.p // 2)}
        return verdict, why.format(**named)

    def _has_pattern(self) -> bool:
        if self.acts.network is None:
            self.acts.hook_name("pattern")  # of arrays: MissingHook says what they are
        return "pattern" in self.acts

    def _has_stream(self) -> bool:
        """Whether there is a residual stream that the unembedding reads; NotApplicable where a norm stands between."""
        if self.acts.network is not None:
            need_stream(self.acts.network, "the claim")
        return "resid_post" in self.acts

    @cached_property
    def grounds(self) -> Grounds | None:
        """Whether there is anything to judge; None for a record without logits, of which nobody can say."""
        if self._grounds is not None or "logits" not in self.acts:
            return self._grounds
        return grounds_of(self.logits, self.task)

    @cached_property
    def circle(self) -> Circle:
        """The circle on which the residues of the task lie."""
        return self.acts.circle

    @cached_property
    def keys_evidence(self) -> KeyEvidence:
        """The embedding, clusters and the fit of the logits that key frequencies are read from."""
        return evidence_of(self.acts)

    @cached_property
    def ks(self) -> tuple[int, ...]:
        """The key frequencies: those given, or those that the default rule finds."""
        return key_frequencies(self.keys_evidence).frequencies if self._given is None else self._given

    @cached_property
    def logits(self) -> Logits:
        """Logits [a, b, answer]; of a network of large p made block by block where they are looked at."""
        return recorded_logits(self.acts)

    @cached_property
    def guesses(self) -> np.ndarray:
        """The largest answer of each pair among the residues, [a, b]."""
        p, logits = self.p, self.logits
        if logits.shape[2] == p:
            return logits.argmax(axis=-1)
        return np.concatenate([block[..., :p].argmax(axis=-1) for _, block in row_blocks(logits)])

    @cached_property
    def margin(self) -> np.ndarray:
        """The right logit minus the mean logit of each pair, [a, b]."""
        return margins(self.logits, self.task.labels)

    @property
    def profile(self) -> np.ndarray:
        """The mean logits over the pairs of one place of the answer, [place, answer]."""
        return recorded_profile(self.acts)

    @cached_property
    def loss(self) -> Scores:
        """The network's own loss."""
        if self.grounds is not None and self.grounds.task == self.task:
            return self.grounds.loss
        return losses(self.logits, self.task)

    @cached_property
    def accuracy(self) -> Scores:
        """The network's own accuracy."""
        if self.grounds is not None and self.grounds.task == self.task:
            return self.grounds.accuracy
        return accuracies(self.logits, self.task)

    def marginal(self, hook: str) -> Marginals:
        """The parts of a hook that are functions of one number."""
        if hook not in self._marginals:
            self._marginals[hook] = marginals(self.acts, hook)
        return self._marginals[hook]

    @cached_property
    def mechanism(self) -> Mechanism:
        """Which mechanism makes the answer, with the replacements that it follows from."""
        return mechanism(self.acts, self.ks, marginal=self.marginal, grounds=self.grounds)

    @cached_property
    def waves(self) -> xr.Dataset:
        """The wave of every neuron."""
        return neuron_waves(self.acts, rectified=False)

    @cached_property
    def explained(self) -> np.ndarray:
        """The numbers of the neurons that one frequency explains to more than 85 %, and that read it from a and b."""
        reads = np.isfinite(self.waves.phase_a.values) & np.isfinite(self.waves.phase_b.values)
        return np.flatnonzero(
            self.keys_evidence.clusters.explained & (self.waves.frequency.values > 0) & reads
        )

    @cached_property
    def outputs(self) -> xr.Dataset:
        """The phase with which every neuron writes on the logits."""
        return output_phases(self.acts, self.waves, seed=self.seed)

    @cached_property
    def stream(self) -> StreamModel:
        """The residual stream fitted by cosines about c/2 and a bias."""
        return stream_model(self.acts, self.ks)

    def generator(self) -> np.random.Generator:
        """A fresh stream of random numbers from the seed."""
        return np.random.default_rng(self.seed)

    def other_frequencies(self, draws: int) -> list[tuple[int, ...]]:
        """Random sets of frequencies, as many in each as there are key frequencies and none of them key.

        Claims that need them need "others": that there are as many.
        """
        every = np.arange(1, self.p // 2 + 1)
        others = np.setdiff1d(every, self.ks)
        size, generator = len(self.ks), self.generator()
        return [tuple(sorted(map(int, generator.choice(others, size, replace=False)))) for _ in range(draws)]
