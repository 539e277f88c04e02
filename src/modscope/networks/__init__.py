"""Networks beyond the one-layer transformer of `modscope.model`, with the same face.

`layered` has one to four layers, norms, gated MLPs, rotary positions, any sequence of tokens; `deep_mlp` MLPs
of no to three hidden layers; `families` makes any network from its description; `kinds` says what a network is
and what may be said of it.
"""
