"""Networks whose weights are written by hand, so that the mechanism is known and not inferred: ground truth for any tool.

Every builder returns (network, task); `answering` the network alone. Waves are cos and sin of 2 pi k n / p over the tokens n;
the residual stream is divided into slots, and each head or neuron reads one and writes another. All take any p of at
least 3, odd or even, frequencies from 1 to p//2, and `operation` "add" or "subtract".

>>> import modscope
>>> network, task = rectified_sum(11, [2, 3])
>>> modscope.open(modscope.record(network, task), keys=[2, 3]).summary.accuracy.all
1.0
"""

from modscope.planted.tables import answering, memoriser, pair_table, random_weights
from modscope.planted.waves import between, clock, mixture, pizza, rectified_sum

__all__ = [
    "answering",
    "between",
    "clock",
    "memoriser",
    "mixture",
    "pair_table",
    "pizza",
    "random_weights",
    "rectified_sum",
]
