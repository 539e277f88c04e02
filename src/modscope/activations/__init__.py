"""Every activation on all p*p inputs, as named arrays, each stored once and computed when asked for.

`face` is what every record can do; `of_network` the record of any network with weights, `one_layer` that of the
one-layer transformer, which stores what depends on one token once, `counterfactual` a record in which something is
replaced and what follows is run again.
"""

from modscope.activations.axes import feature_axes
from modscope.activations.face import Activations
from modscope.activations.of_arrays import RecordWithoutNetwork
from modscope.activations.of_module import record_function, record_module
from modscope.activations.recording import record, with_replaced

__all__ = [
    "Activations",
    "RecordWithoutNetwork",
    "feature_axes",
    "record",
    "record_function",
    "record_module",
    "with_replaced",
]
