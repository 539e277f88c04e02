"""From the phasors of the unembedding to the logits, one cause at a time: what each step adds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.stream.model import as_rows, stream_model, unembedding_waves
from modscope.analysis.stream.scores import explained, scores_of_blocks, scores_of_parts
from modscope.boundary import public

__all__ = ["error_budget"]


@public
def error_budget(acts: Activations, key_frequencies: Sequence[int]) -> xr.Dataset:
    """What each cause adds between "W_U's waves alone" and the real residual stream, in order.

    Each step is the least-squares fit of a family of models that contains the one before, so `r2` cannot
    fall and `added`, its increase, is the share of the variance of resid_post that this cause alone
    explains (they sum to 1):

    1. "one gain": g Re(U_dk e^{i w_k c}), U the phasors of W_U over the answer at the key frequencies
    2. "gain per frequency": g_k instead of g
    3. "phase per frequency": g_k complex, one turn for all dimensions
    4. "own phasors": every dimension its own amplitude and phase at the key frequencies in c
    5. "other frequencies of c": the whole function of the answer
    6. "cosines about c/2": functions of a plus the same of b, at the key frequencies
    7. "other even 1-D waves": the same at all frequencies
    8. "odd 1-D waves": where a and b are treated differently
    9. "opposite diagonal": functions of a - b (a + b for subtraction)
    10. "cross terms": the rest; the activation itself

    Variables over `step`: added, r2; loss and accuracy (step, split) of that model, unembedded in float64
    with the mean over pairs kept. Raises InputError where not applicable.
    """
    model = stream_model(acts, key_frequencies)
    found, ks = model.marginals, model.key_frequencies
    steps = {name: {"of_answer": table} for name, table in unembedding_waves(acts, found, ks).items()}
    steps["own phasors"] = model.bias(key_only=True)
    steps["other frequencies of c"] = last = model.bias()
    steps["cosines about c/2"] = last | model.cosines()
    even = (found.of_a + _mirrored(found.of_b, found.sign)) / 2
    steps["other even 1-D waves"] = last | {"of_a": even, "of_b": _mirrored(even, found.sign)}
    steps["odd 1-D waves"] = last | {"of_a": found.of_a, "of_b": found.of_b}
    steps["opposite diagonal"] = steps["odd 1-D waves"] | {"of_opposite": found.of_opposite}
    rows = {
        name: (explained(found, parts), *scores_of_parts(acts, found, parts)) for name, parts in steps.items()
    }
    whole = scores_of_blocks(((r, x["logits"]) for r, x in acts.resume({})), acts.task)
    rows["cross terms"] = (1.0, *whole)
    budget = as_rows(rows, "step")
    return budget.assign(added=("step", np.diff(budget.r2.values, prepend=0.0)))


def _mirrored(x: np.ndarray, sign: int) -> np.ndarray:
    """What a wave of a is as a wave of b in an even picture: itself, or x[-n] for subtraction."""
    return x if sign == 1 else x[-np.arange(len(x)) % len(x)]
