# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: -language_info
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Modular addition as signal processing
#
# A one-layer transformer that adds mod p, looked at with an oscilloscope: every activation on all p x p inputs is
# a wave over the residues. The pictures follow, in their order, those of the notebook that first looked at such a
# network this way ("Transformer Modular Addition Through A Signal Processing Lens"). Each is one call of modscope.
# Under each stands what to see, and what the measured findings say, which is not always what the picture suggests.
#
# Every view moves: click it, then Space plays, arrows step, `f` turns the wave into its spectrum, `?` lists the keys.
# Nothing needs a running kernel or a network once it has been drawn; each view is a page of its own.
#
# The environment variable MODSCOPE_NETWORK may name any checkpoint that modscope reads; without it, the network
# that ships with modscope is used, trained by the published recipe. Numbers and verdicts below are those of the
# network that was run; the text says only what does not depend on it.

# %%
import os
from functools import partial

import numpy as np
import xarray as xr

import modscope as ms
from modscope import analysis, signal
from modscope.analysis import measure_table, table_of
from modscope.findings import findings

# %% [markdown]
# ## The network
#
# Loss and accuracy on all pairs, measured in float64, and the key frequencies, with the rule that finds them.

# %%
path = os.environ.get("MODSCOPE_NETWORK")
checkpoint = ms.open_checkpoint(path) if path else ms.shipped_network()
acts, p = ms.record(checkpoint.model, checkpoint.task), checkpoint.task.p
print(*(f"{name:15} {value:.3g}" for name, value in checkpoint.measured.items()), sep="\n")

# %%
found_keys = analysis.key_frequencies(acts)
keys, related = found_keys.frequencies, analysis.relations(found_keys.frequencies, p)
print(f"key frequencies {keys}: {found_keys.definition}")
print("second harmonics", related.harmonics, "\nsubharmonics", related.subharmonics)

# %% [markdown]
# All findings at once: effect, control, verdict. They come back one by one, where their picture is.

# %%
found = findings(acts, key_frequencies=keys)
print(found)

# %% [markdown]
# Three shorthands for what follows: views with the key frequencies marked, in 16 bits (a badge in the view gives the
# error); an activation at "=", some features only, with the waves last; and the same in the order (c, a).

# %%
show = partial(ms.show, key_frequencies=keys, precision="int16")


def at(hook, **some):
    return acts.at(hook).isel(some or {"d_model": [0, 1]}).transpose(..., "a", "b")


def rows_of_c(hook, **some):
    return ms.in_order(at(hook, **some), "c", "a")


# %% [markdown]
# A wave viewer takes any array: here noise, of three axes, without its controls.

# %%
noise = np.random.default_rng(0).normal(size=(3, 4, p))
ms.show(noise, dims=("x", "y", "n"), controls=False, title="noise")

# %% [markdown]
# ## The embedding
#
# Each dimension of the embedding is a wave over the tokens. Play the epochs and watch the spectrum empty itself, all
# but a few frequencies. (A checkpoint without its history shows its last state.)

# %%
history = ms.shipped_run().weights("W_E") if not path else acts["embed"].expand_dims(epoch=1)
history = history.isel(token=slice(0, p), d_model=[0, 1, 2, 3]).transpose("d_model", "epoch", "token")
show(history, x="token", play="epoch", mode="both", title="W_E over training")

# %%
print(found["sparse-embedding"])

# %% [markdown]
# ## The order (c, a)
#
# The pairs that have one answer: as a goes up, b goes down. At c/2 the two meet, and what follows mirrors what was.

# %%
pairs = analysis.overview.examples(acts).isel(c=8, a=slice(0, 10))
table_of(pairs, "Pairs with c = 8", rows="a", only=["b", "label", "guess", "split"])

# %% [markdown]
# The residual stream at the end, row by row of c. The marks are a, b and the two fixed points of a -> c - a.
# Play c: each wave is its own mirror image about c/2, and about c/2 + p/2. **What this does not tell:** evenness
# about c/2 in this order is f(a, b) = f(b, a). A network that treats its inputs alike has it, whatever it computes.

# %%
show(rows_of_c("resid_post"), x="a", play="c", select={"c": 8, "a": 3}, fold=True, title="resid_post")

# %%
print(found["even-about-half-c"])

# %%
measure_table(acts, "symmetry", keys)

# %% [markdown]
# A hand-made wave, far from any sinusoid, its reversed and shifted copy, and their sum. The sum is even about both
# fixed points, whatever the wave: nothing sinusoidal is needed for that.

# %%
parts = analysis.inputs.reversed_sums(analysis.inputs.hand_made_wave(p))
centres = ["shift/2", "shift/2 + p/2"]
ms.show(
    parts, p=p, x="n", play="shift", overlay="part", markers=centres, select={"shift": 30}, precision="int16"
)

# %% [markdown]
# The idealised stream: unit cosines about c/2 of each key frequency, and (frequency 0) their sum. a and b lie at equal
# distances from c/2, on either side, whatever a and c are.

# %%
ideal = analysis.inputs.ideal_stream(p, keys).isel(a=0, drop=True).rename(b="a")
show(
    ideal, x="a", play="c", select={"frequency": -1, "c": 8, "a": 3}, title="cosines about c/2, and their sum"
)

# %% [markdown]
# ## The MLP: neurons
#
# Neurons of one key frequency before the ReLU, in the order of their phase. Each is close to cos(wa + phi) + cos(wb + phi).

# %%
k = keys[0]
waves = analysis.neurons.waves(acts, keys)
own = np.flatnonzero(waves.frequency.values == k)
own = own[np.argsort(waves.phase.values[own])]
show(
    at("mlp_pre", neuron=own[:: len(own) // 3][:3]),
    x="b",
    play="a",
    title=f"mlp_pre, neurons of frequency {k}",
)

# %%
print(found["phases-agree"], found["one-frequency"], sep="\n\n")

# %%
measure_table(acts, "clusters", keys)

# %% [markdown]
# Ideal neurons with evenly spread phases, to compare.

# %%
show(
    analysis.neurons.ideal_neurons(p, k, analysis.neurons.even_phases(4)),
    x="b",
    play="a",
    title="ideal neurons",
)

# %% [markdown]
# The running sum over ideal neurons with the ReLU and without, each neuron weighted by cos(2 phi). Play the neurons:
# the rectified sum turns into cos w(a + b), the linear one vanishes. Without the weights, the rectified
# sum is a function of a - b: it is the weights that choose the answer, not the rectifier alone.

# %%
total = analysis.neurons.ideal_running_sum(p, k, number=8).isel(neuron=[0, 3, 7])
show(
    [total.rectified, total.linear],
    x="b",
    play="a",
    select={"neuron": -1, "a": 43},
    title="running sum, ideal",
)

# %%
plain = analysis.neurons.ideal_running_sum(p, k, number=8, weighted=False).isel(neuron=[7])
show([plain.rectified, plain.linear], x="b", play="a", select={"a": 43}, title="running sum, not weighted")

# %% [markdown]
# The same over the real neurons of that frequency, weighted as W_out weighs them for one dimension.

# %%
real = analysis.neurons.cluster_running_sum(acts, k, output=0)
real = real.isel(neuron=[0, real.sizes["neuron"] // 2, -1])
lines = [real.rectified, real.linear]
show(lines, x="b", play="a", select={"neuron": -1, "a": 43}, scale="all", title="running sum, real neurons")

# %%
print(found["phases-tile"], found["output-phase"], sep="\n\n")

# %% [markdown]
# What all neurons of that frequency write into the residual stream.

# %%
W_out = analysis.weights.linear_maps(acts.model)["W_out"].weight
written = xr.dot(at("mlp_post", neuron=own), W_out.isel(neuron=own, d_model=[0, 1]), dim="neuron")
show(written.transpose("d_model", "a", "b"), x="b", play="a", select={"a": 43}, title=f"written at {k}")

# %% [markdown]
# The output of the MLP with only this frequency left, along both axes.

# %%
one = signal.keep_frequencies(at("mlp_out"), ("a", "b"), [k])
show(one, x="b", play="a", select={"a": 1}, title=f"mlp_out, frequency {k} alone")

# %% [markdown]
# ## Second harmonics
#
# Amplitude at 2k over the amplitude at k, hook by hook, along one axis. A wave on a + b counts at k here, so the answer
# itself never shows up as a harmonic. What the ReLU adds is to be read against what was there before it.

# %%
table_of(
    analysis.neurons.harmonic_proportion(acts, keys),
    "Amplitude at 2k over k",
    rows="hook",
    columns="k",
    only=["proportion"],
)

# %%
print(found["second-harmonics"])

# %% [markdown]
# The MLP's output, as wave and spectrum, and then with everything but DC, the key frequencies and their harmonics removed.

# %%
show(at("mlp_out"), x="b", play="a", mode="both", title="mlp_out")

# %%
kept = {0, *keys, *related.harmonics.values()}
others = [j for j in range(p // 2 + 1) if j not in kept]
show(
    signal.remove_frequencies(at("mlp_out"), "b", others),
    x="b",
    play="a",
    title="mlp_out, key frequencies and harmonics",
)

# %% [markdown]
# ## Before attention: the same wave, reversed
#
# v at position a and at position b, in the order (c, a), then (a, b). In the first, b carries the wave of a, reversed
# and shifted by c. What differs is the positional embedding, a constant.

# %%
v = acts.expand("v").sel(pos=["a", "b"]).isel(head=[0, 1], d_head=0).transpose("head", "pos", "a", "b")
show(ms.in_order(v, "c", "a"), x="a", play="c", overlay="pos", select={"c": 8}, title="v, order (c, a)")

# %%
show(v.isel(head=[0]), x="b", play="a", overlay="pos", title="v, order (a, b)")

# %%
print(found["reversed-inputs"])

# %%
measure_table(acts, "reversal", keys)

# %% [markdown]
# ## The unembedding beside the residual stream
#
# W_U of one dimension as a wave over the answer, beside the same dimension at resid_mid, attn_out and resid_post, each
# scaled to unit spread. At a = 0 the answer is b; play a, and the wave of an answer has to move along, to the left, while
# a wave of b alone stays where it is. The finding asks this of the phases, of all dimensions at once.

# %%
W_U = analysis.weights.linear_maps(acts.model)["W_U"].weight.isel(answer=slice(0, p), d_model=[0, 1])
still = W_U.rename(answer="b").expand_dims(a=p).transpose("d_model", "a", "b")


def beside(hook):
    lines = [at(hook) / acts.at(hook).std(), still / W_U.std()]
    return show(lines, names=[hook, "W_U"], x="b", play="a", scale="all", title=f"{hook} and W_U")


# %%
beside("resid_mid")

# %%
beside("attn_out")

# %%
show(at("z", head=[0, 1], d_head=0), x="b", play="a", title="z")

# %%
beside("resid_post")

# %%
print(found["shared-phases"])

# %% [markdown]
# ## W_out in the frequency domain
#
# A linear map does not touch the residues, so it may be applied to spectra. All frequencies give the plain product;
# with DC and the key frequencies only, what is left out shows as the difference (`compare`: A-B in the view).

# %%
post = rows_of_c("mlp_post", neuron=slice(None))
product = analysis.weights.spectral_matmul(post, W_out.isel(d_model=[0]), "a")
filtered = analysis.weights.spectral_matmul(post, W_out.isel(d_model=[0]), "a", frequencies=[0, *keys])
show([product, filtered], names=["product", "key frequencies"], x="a", play="c", title="mlp_post W_out")

# %%
measure_table(acts, "gains", keys)

# %% [markdown]
# ## Through the MLP
#
# The MLP's output in the order (c, a); a few neurons after the ReLU in that order; then neurons before and after the
# ReLU in the order (a, b), over each other. The cut bottoms are the harmonics and the terms on a + b and a - b.

# %%
show(rows_of_c("mlp_out"), x="a", play="c", mode="both", title="mlp_out, order (c, a)")

# %%
show(
    rows_of_c("mlp_post", neuron=own[:: len(own) // 2][:2]),
    x="a",
    play="c",
    mode="both",
    title="mlp_post, order (c, a)",
)

# %%
few = own[:: len(own) // 2][:2]
show(
    [at("mlp_pre", neuron=few), at("mlp_post", neuron=few)],
    x="b",
    play="a",
    mode="both",
    title="before and after the ReLU",
)

# %%
show(rows_of_c("resid_post"), x="a", play="c", mode="both", title="resid_post, wave and spectrum")

# %% [markdown]
# ## Attention
#
# The scores from "=" to a and to b, head by head. A score is one wave of one token; only the softmax lets the two meet.

# %%
scores = rows_of_c("attn_scores", head=[0, 1]).sel(key_pos=["a", "b"])
show(scores, x="a", play="c", overlay="key_pos", mode="both", select={"c": 8}, title="attn_scores")

# %%
measure_table(acts, "scores", keys)

# %% [markdown]
# The weights that come of it. Whether they are equal for a and for b on average is one question, whether they are
# pair by pair another: the view and the table show both, and the findings say what the answer owes to them.

# %%
pattern = rows_of_c("pattern", head=[0]).sel(key_pos=["a", "b"])
show(pattern, x="a", play="c", overlay="key_pos", select={"c": 8}, scale="all", title="pattern")

# %%
ms.heatmap(at("pattern", head=[0, 1]).sel(key_pos="a"), x="b", y="a", precision="int16", title="weight on a")

# %%
measure_table(acts, "pattern", keys)

# %%
print(found["equal-weights"], found["constant-attention"], sep="\n\n")

# %% [markdown]
# A product of two waves holds the sum and the difference of their frequencies, a sum holds the frequencies themselves, and
# rows of both are even about c/2: by hand, then for one dimension of one head, q at b times k at a.

# %%
made = analysis.inputs.product_and_sum_of_waves(p, (k, k), (-0.9, -0.9))
show([made[name] for name in made], x="a", play="c", mode="both", title="two waves, their product, their sum")

# %%
qk = analysis.inputs.score_products(acts, 0, 0)
show(
    [qk.q, qk.k, qk["product"], qk["sum"]],
    x="a",
    play="c",
    mode="both",
    title="q, k, product and sum, head 0",
)

# %% [markdown]
# The unembedding and the first row of the residual stream: a = 0, where the answer is b. Both are functions of the
# answer, and they are one and the same curve but for their size. The row of c = 0 is another wave altogether.

# %%
first, row_c = at("resid_post").isel(a=0, drop=True), rows_of_c("resid_post").isel(c=0, drop=True)
lines = [W_U.rename(answer="b"), first, row_c.rename(a="b")]
both = [x / np.sqrt((x**2).sum()) for x in lines]
show(both, names=["W_U", "a = 0", "c = 0"], x="b", play="d_model", mode="both", title="W_U, first rows")

# %% [markdown]
# q at a and at b in the order (c, a), and its waves as numbers: every dimension of q in a head may be the same wave up
# to scale and sign, which shows as phases that agree up to pi.

# %%
q = acts.expand("q").sel(pos=["a", "b"]).isel(head=0, d_head=[0, 1]).transpose("d_head", "pos", "a", "b")
show(
    ms.in_order(q, "c", "a"), x="a", play="c", overlay="pos", mode="both", select={"c": 8}, title="q, head 0"
)

# %%
table = analysis.inputs.waves(acts, "q", keys).sel(pos="a", harmonic=1).isel(head=0, d_head=slice(0, 8))
table_of(
    table, "q at a, head 0: amplitude and phase", rows="d_head", columns="k", only=["amplitude", "phase"]
)

# %%
measure_table(acts, "heads", keys)

# %% [markdown]
# ## The stream rebuilt
#
# The last residual stream once more, as it is. Then beside a sum of cosines about c/2 and a bias for each c, fitted by
# least squares: the whole fit, and the cosines alone.

# %%
show(rows_of_c("resid_post"), x="a", play="c", title="resid_post, order (c, a)")

# %%
show(at("resid_post"), x="b", play="a", title="resid_post, order (a, b)")

# %%
model = analysis.stream.stream_model(acts, keys)
cosines = model.picture(model.cosines()).isel(d_model=[0, 1]).transpose("d_model", "a", "b")
show([at("resid_post"), cosines], names=["resid_post", "cosines"], x="b", play="a", title="the cosines alone")

# %%
rebuilt = model.picture().isel(d_model=[0]).transpose("d_model", "a", "b")
key_part = signal.keep_frequencies(at("resid_post", d_model=[0]), ("a", "b"), [0, *keys])
show(
    [key_part, rebuilt],
    names=["resid_post, key frequencies", "rebuilt"],
    x="b",
    play="a",
    title="rebuilt, order (a, b)",
)

# %%
pair = [rows_of_c("resid_post", d_model=[0]), ms.in_order(rebuilt, "c", "a")]
show(pair, names=["resid_post", "rebuilt"], x="a", play="c", title="rebuilt, order (c, a)")

# %% [markdown]
# How well each of them answers: the cosines are a function of a plus a function of b, and no linear unembedding can turn
# such a sum into the answer. All that depends on a + b is in the bias.

# %%
table_of(analysis.stream.rebuilt_stream(acts, keys), "Rebuilt residual stream", rows="model", columns="split")

# %%
print(found["rebuilt-stream"], found["cosines-carry-the-answer"], sep="\n\n")

# %% [markdown]
# The stream from the unembedding: the wave that W_U has over the answers, at the key frequencies, read at c = a + b. In
# the order (a, b) it is a wave that moves, in the order (c, a) a line that goes up and down.

# %%
answer = xr.DataArray(checkpoint.task.labels, dims=("a", "b"), attrs=at("resid_post").attrs)
wave = (
    signal.keep_frequencies(W_U, "answer", keys)
    .isel(answer=answer)
    .assign_attrs(p=p, operation=checkpoint.task.operation)
)
scaled = [wave / W_U.std(), at("resid_post") / acts.at("resid_post").std()]
show(
    scaled,
    names=["from W_U", "resid_post"],
    x="b",
    play="a",
    scale="all",
    title="the stream from W_U, order (a, b)",
)

# %%
turned = [
    ms.in_order(x.assign_attrs(wave.attrs).drop_vars("answer", errors="ignore"), "c", "a") for x in scaled
]
show(
    turned,
    names=["from W_U", "resid_post"],
    x="a",
    play="c",
    scale="all",
    title="the stream from W_U, order (c, a)",
)

# %%
table_of(
    analysis.stream.error_budget(acts, keys),
    "What each cause adds to W_U's waves",
    rows="step",
    only=["r2", "added"],
)

# %% [markdown]
# ## Attention with a constant pattern
#
# z of one head as it is, and as it would be if the pattern were its mean over all pairs. The finding "Attention is a
# constant average" above says what this costs the answer; the table says which share of z and of attn_out it keeps.

# %%
mean = acts.at("pattern").mean(("a", "b")).rename(key_pos="pos").isel(head=0)
averaged = xr.dot(mean, acts.expand("v").isel(head=0, d_head=[0]), dim="pos").transpose("d_head", "a", "b")
averaged = ms.in_order(averaged.assign_attrs(at("resid_post").attrs), "c", "a")
lines = [rows_of_c("z", head=0, d_head=[0]), averaged]
show(lines, names=["z", "z, constant pattern"], x="a", play="c", mode="both", title="z, head 0")

# %%
measure_table(acts, "products", keys)

# %% [markdown]
# attn_out with the key frequencies only.

# %%
passed = signal.keep_frequencies(rows_of_c("attn_out"), "a", keys)
show(passed, x="a", play="c", mode="both", title="attn_out, key frequencies")

# %% [markdown]
# ## Two-dimensional spectra
#
# One neuron of the largest key frequency before and after the ReLU in the basis const, cos k, sin k of a and b, size of each coefficient; then the
# root mean square over all dimensions of attn_out and mlp_out. The first column and row are waves of one token; the
# blocks off them are products, which is where a + b and a - b live.

# %%
n = int(np.flatnonzero(waves.frequency.values == keys[-1])[0])
pre, post = (abs(analysis.plane.coefficient_plane(acts, hook, n)) for hook in ("mlp_pre", "mlp_post"))
heat = partial(ms.heatmap, x="b", y="a", precision="int16", height=660)
heat(pre, title="mlp_pre") | heat(post, title="mlp_post")

# %%
planes = [analysis.plane.coefficient_plane(acts, hook) for hook in ("attn_out", "mlp_out")]
heat(planes[0], title="attn_out") | heat(planes[1], title="mlp_out")

# %%
measure_table(acts, "terms", keys)

# %%
spectrum = partial(show, x="b", y="a", mode="spectrum2d", height=660)
spectrum(at("mlp_pre", neuron=n), title="mlp_pre") | spectrum(at("mlp_post", neuron=n), title="mlp_post")

# %% [markdown]
# ## What is true of it
#
# The rest of the findings: which mechanism, what the answer needs, and what it is made of.

# %%
shown = ("which-mechanism", "products-not-needed", "logits-are-cosines", "distance-irrelevant")
print(*(found[name] for name in (*shown, "key-frequencies-suffice", "key-frequencies-needed")), sep="\n\n")
