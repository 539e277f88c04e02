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
from modscope.analysis import table_of
from modscope.citing import works_of

# %% [markdown]
# ## The network
#
# Loss and accuracy on all pairs, measured in float64, and the key frequencies, with the rule that finds them.

# %%
net = ms.open(os.environ.get("MODSCOPE_NETWORK") or None)
acts, task, p = net.acts, net.task, net.task.p
net.checkpoint

# %%
keys, related = net.keys, analysis.relations(net.keys, p)
print(net.key_frequencies)
print("second harmonics", related.harmonics, "\nsubharmonics", related.subharmonics)

# %% [markdown]
# All findings at once: effect, control, verdict. They come back one by one, where their picture is.

# %%
found = net.findings()
print(found)

# %% [markdown]
# Three shorthands for what follows: views with the key frequencies marked; an activation at "=", all its features or
# some, with the waves last; and the same in the order (c, a). Pictures are kept in this file as sums of waves, so that it holds all
# dimensions of an activation and stays light; no value is off by more than 1/128 of its picture's range (the badge has the largest error).

# %%
show = partial(net.show, precision="waves")


def at(hook, **some):
    return acts.at(hook).isel(some).transpose(..., "a", "b")


def rows_of_c(hook, **some):
    return ms.in_order(at(hook, **some), "c", "a")


# %% [markdown]
# A wave viewer takes any array: here noise, of three axes, without its controls.

# %%
noise = np.random.default_rng(0).normal(size=(2, 3, p))
ms.show(noise, dims=("x", "y", "n"), controls=False, title="noise")

# %% [markdown]
# ## The embedding
#
# Each dimension of the embedding is a wave over the tokens. Play the epochs and watch the spectrum empty itself, all
# but a few frequencies. (A checkpoint without its history shows its last state.)

# %%
history = net.run.weights("W_E").isel(token=slice(0, p)).transpose("d_model", "epoch", "token")
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
show(
    rows_of_c("resid_post"),
    x="a",
    play="c",
    select={"c": 8, "a": 3},
    fold=True,
    title="resid_post",
)

# %%
print(found["even-about-half-c"])

# %%
net.measure("symmetry")

# %% [markdown]
# A hand-made wave, far from any sinusoid, its reversed and shifted copy, and their sum. The sum is even about both
# fixed points, whatever the wave: nothing sinusoidal is needed for that.

# %%
parts = analysis.inputs.reversed_sums(analysis.inputs.hand_made_wave(p))
centres = ["shift/2", "shift/2 + p/2"]
ms.show(
    parts,
    p=p,
    x="n",
    play="shift",
    overlay="part",
    markers=centres,
    select={"shift": p // 4},
    precision="waves",
)

# %% [markdown]
# The idealised stream: unit cosines about c/2 of each key frequency, and (frequency 0) their sum. Play c, or a: the marks
# a and b lie at equal distances from c/2, on either side, and the wave has one value at both, whatever a and c are.

# %%
ideal = analysis.inputs.ideal_stream(p, keys).rename(b="n")
show(
    ideal,
    x="n",
    play="c",
    markers=["a", "b", "c/2", "c/2 + p/2"],
    periodic=["c", "a", "n"],
    select={"frequency": -1, "c": 8, "a": 3},
    message="{a} + {b} = {c} (mod {p})",
    title="cosines about c/2, and their sum",
)

# %% [markdown]
# ## The MLP: neurons
#
# The neurons of one key frequency before the ReLU, in the order of their phase: all that it explains to more than
# 85 % after the ReLU, of the key frequency that has most of them. Each is close to cos(wa + phi) + cos(wb + phi). Play a, or the
# neurons. Beside them as many ideal ones.

# %%
clusters = analysis.neurons.clusters(analysis.neurons.fve(acts.at("mlp_post"), acts.circle))
k = max(keys, key=lambda key: len(clusters.members(key)))
sums = analysis.neurons.cluster_running_sum(acts, k, output=0)
own = sums.number.values
best = int(own[clusters.fve[own].argmax()])

# %%
pre = at("mlp_pre", neuron=own)
ideal_pre = analysis.neurons.ideal_neurons(p, k, analysis.neurons.even_phases(len(own)))
real = show(pre, x="b", play="a", title=f"mlp_pre, the {len(own)} neurons of frequency {k}")
real | show(ideal_pre, x="b", play="a", title="ideal neurons, phases evenly spread")

# %%
print(found["phases-agree"], found["one-frequency"], sep="\n\n")

# %%
net.measure("clusters")

# %% [markdown]
# The running sum over the ideal neurons, step by step, each weighted by cos(2 phi): with the ReLU, without it, and under them
# the neuron that is added, after and before it. Play the neurons: the rectified sum turns into cos w(a + b), the linear one
# vanishes. Sums are scaled to the size of a neuron, and lines are stacked. Without the weights (on the right), the rectified sum is a function
# of a - b: it is the weights that choose the answer, not the rectifier alone.

# %%
traces = partial(
    show, names=["sum with ReLU", "sum without", "neuron after", "neuron before"], x="b", offset=True
)


def stacked(total, before):
    sums = [total.rectified, total.linear]
    return [*(x * (before.std() / total.rectified.std()) for x in sums), np.maximum(before, 0), before]


# %%
# Of the middle half of the neurons the one that varies most after the ReLU, and the a where it does.
def start(before):
    n = len(before) // 4
    spread = np.maximum(before, 0).std("b").transpose("neuron", "a").values[n : 3 * n]
    i, a = np.unravel_index(spread.argmax(), spread.shape)
    return {"neuron": n + int(i), "a": int(a)}


# %%
total = analysis.neurons.ideal_running_sum(p, k, number=len(own))
plain = analysis.neurons.ideal_running_sum(p, k, number=len(own), weighted=False)
steps = traces(
    stacked(total, ideal_pre),
    play="neuron",
    select=start(ideal_pre),
    title="running sum, neuron by neuron",
)
steps | show(
    [plain.rectified.isel(neuron=[-1]), plain.linear.isel(neuron=[-1])],
    names=["with ReLU", "without"], x="b", play="a", title="not weighted, all neurons",
)  # fmt: skip

# %% [markdown]
# The same over the real neurons of that frequency, weighted as W_out weighs them for one dimension.

# %%
traces(
    stacked(sums, pre.assign_coords(neuron=sums.neuron)), play="neuron", select=start(pre),
    title=f"running sum, the neurons of {k}",
)  # fmt: skip

# %%
print(found["phases-tile"], found["output-phase"], sep="\n\n")

# %% [markdown]
# What all neurons of that frequency write into the residual stream, and the output of the MLP with only this frequency left,
# along both axes.

# %%
W_out = analysis.weights.linear_maps(acts.model)["W_out"].weight
every = np.flatnonzero(clusters.frequency == k)
written = xr.dot(at("mlp_post", neuron=every), W_out.isel(neuron=every, d_model=range(16)), dim="neuron")
written = show(
    written.transpose("d_model", "a", "b"), x="b", play="a", select={"a": p // 3}, title=f"written at {k}"
)
written | show(at("mlp_out").ms.keep([k]), x="b", play="a", title=f"mlp_out, frequency {k} alone")

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
# In one row, c = 0, each neuron has a largest frequency after the ReLU. How many have which; those that are no key frequency
# are harmonics.

# %%
counts = analysis.neurons.row_frequencies(acts, c=0)
table_of(counts.to_dataset(name="neurons"), "Largest frequency after the ReLU at c = 0", rows="k")

# %% [markdown]
# The MLP's output, as wave and spectrum, and then with everything but DC, the key frequencies and their harmonics removed.

# %%
kept = sorted({0, *keys, *related.harmonics.values()})
filtered = show(
    at("mlp_out").ms.keep(kept, "b"), x="b", play="a", title="mlp_out, key frequencies and harmonics"
)
show(at("mlp_out"), x="b", play="a", mode="both", title="mlp_out") | filtered

# %% [markdown]
# ## Before attention: the same wave, reversed
#
# v at position a and at position b, in the order (c, a), then (a, b). In the first, b carries the wave of a, reversed
# and shifted by c. What differs is the positional embedding, a constant.

# %%
v = acts.expand("v").sel(pos=["a", "b"]).transpose("head", "d_head", "pos", "a", "b")
rows = show(v.ms.in_order("c", "a"), x="a", play="c", overlay="pos", select={"c": 8}, title="v, order (c, a)")
rows | show(v, x="b", play="a", overlay="pos", title="v, order (a, b)")

# %%
print(found["reversed-inputs"])

# %%
net.measure("reversal")

# %% [markdown]
# ## The unembedding beside the residual stream
#
# W_U of each dimension as a wave over the answer, beside the same dimension at resid_mid, attn_out and resid_post, scaled
# to its size. At a = 0 the answer is b; play a, and the wave of an answer has to move along, to the left, while
# a wave of b alone stays where it is. The finding asks this of the phases, of all dimensions at once.

# %%
W_U = analysis.weights.linear_maps(acts.model)["W_U"].weight.isel(answer=slice(0, p))
still = W_U.rename(answer="b").expand_dims(a=p).transpose("d_model", "a", "b")


# %%
def beside(hook, **some):
    x = at(hook, **some)
    lines = [x, still.isel(some) * (x.std() / W_U.std())]
    return show(lines, names=[hook, "W_U"], x="b", play="a", scale="all", title=f"{hook} and W_U")


# %%
z = show(at("z"), x="b", play="a", title="z of all heads")
ms.grid([beside("resid_mid"), beside("attn_out", d_model=range(16))], [z, beside("resid_post")])

# %%
print(found["shared-phases"])

# %% [markdown]
# ## W_out in the frequency domain
#
# A linear map does not touch the residues, so it may be applied to spectra. All frequencies give the plain product;
# with DC and the key frequencies only, what is left out shows as the difference (`compare`: A-B in the view).

# %%
post = rows_of_c("mlp_post", neuron=slice(None))
some = W_out.isel(d_model=range(4))
product = analysis.weights.spectral_matmul(post, some, "a")
filtered = analysis.weights.spectral_matmul(post, some, "a", frequencies=[0, *keys])
show([product, filtered], names=["product", "key frequencies"], x="a", play="c", title="mlp_post W_out")

# %%
net.measure("gains")

# %% [markdown]
# ## Through the MLP
#
# The MLP's output in the order (c, a); a few neurons after the ReLU in that order; then neurons before and after the
# ReLU in the order (a, b), over each other. The cut bottoms are the harmonics and the terms on a + b and a - b.

# %%
few = own[np.linspace(0, len(own) - 1, 8).astype(int)]
after = show(rows_of_c("mlp_post", neuron=few), x="a", play="c", mode="both", title="mlp_post, order (c, a)")
show(rows_of_c("mlp_out"), x="a", play="c", mode="both", title="mlp_out, order (c, a)") | after

# %%
both = [at("mlp_pre", neuron=few), at("mlp_post", neuron=few)]
show(both, names=["before", "after"], x="b", play="a", mode="both", title="before and after the ReLU")

# %% [markdown]
# The neuron that its frequency explains best, over training, of the run behind this network: play the epochs. (A checkpoint without its history shows its last
# state.)

# %%
film = net.run.record("mlp_post", neuron=best, order=("c", "a")).load()
show(film, x="a", play="epoch", select={"epoch": -1, "c": p // 3}, title=f"neuron {best} over training")

# %% [markdown]
# ## Attention
#
# The scores from "=" to a and to b, head by head. A score is one wave of one token; only the softmax lets the two meet.

# %%
scores = rows_of_c("attn_scores").sel(key_pos=["a", "b"])
show(scores, x="a", play="c", overlay="key_pos", mode="both", select={"c": 8}, title="attn_scores")

# %%
net.measure("scores")

# %% [markdown]
# The weights that come of it. Whether they are equal for a and for b on average is one question, whether they are
# pair by pair another: the view and the table show both, and the findings say what the answer owes to them.

# %%
pattern = rows_of_c("pattern").sel(key_pos=["a", "b"])
drawn = show(pattern, x="a", play="c", overlay="key_pos", select={"c": 8}, scale="all", title="pattern")
weight = at("pattern").sel(key_pos="a")
drawn | ms.heatmap(weight, x="b", y="a", precision="waves", title="weight on a")

# %%
net.measure("pattern")

# %%
print(found["equal-weights"], found["constant-attention"], sep="\n\n")

# %% [markdown]
# A product of two waves holds the sum and the difference of their frequencies, a sum holds the frequencies themselves, and
# rows of both are even about c/2: by hand, then for one dimension of one head, q at b times k at a.

# %%
made = analysis.inputs.product_and_sum_of_waves(p, (k, k), (-0.9, -0.9))
by_hand = show([made[name] for name in made], x="a", play="c", mode="both", title="two waves, product, sum")
qk = analysis.inputs.score_products(acts, 0, 0)
lines = [qk.q, qk.k, qk["product"], qk["sum"]]
by_hand | show(lines, x="a", play="c", mode="both", title="q, k, product and sum, head 0")

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
q = acts.expand("q").sel(pos=["a", "b"]).transpose("head", "d_head", "pos", "a", "b")
show(ms.in_order(q, "c", "a"), x="a", play="c", overlay="pos", mode="both", select={"c": 8}, title="q")

# %%
table = analysis.inputs.waves(acts, "q", keys).sel(pos="a", harmonic=1).isel(head=0, d_head=slice(0, 8))
table_of(
    table, "q at a, head 0: amplitude and phase", rows="d_head", columns="k", only=["amplitude", "phase"]
)

# %%
net.measure("heads")

# %% [markdown]
# q rebuilt from the key frequencies with one phase for each, shared by all dimensions, beside q itself; and how much of it that is,
# with the second harmonics, with all frequencies, and for k and v. One wave up to amplitude and sign is true of q over *all*
# frequencies.

# %%
own_q = acts.at("q", "a").transpose("head", "d_head", "token")
made_q = analysis.inputs.rebuilt_from(acts.at("q", "a"), keys).transpose("head", "d_head", "token")
show([own_q, made_q], names=["q", "rebuilt"], x="token", play="d_head", mode="both", title="q, rebuilt")

# %%
net.measure("rebuilt")

# %% [markdown]
# ## The stream rebuilt
#
# The last residual stream once more, as it is. Then beside a sum of cosines about c/2 and a bias for each c, fitted by
# least squares: the whole fit, and the cosines alone.

# %%
model = analysis.stream.stream_model(acts, keys)
rebuilt, cosines = (model.picture(*part).transpose("d_model", "a", "b") for part in ((), (model.cosines(),)))
alone = [at("resid_post"), cosines]
whole = [rows_of_c("resid_post"), rebuilt.ms.in_order("c", "a")]

# %%
left = show(alone, names=["resid_post", "cosines"], x="b", play="a", title="the cosines alone, order (a, b)")
left | show(whole, names=["resid_post", "rebuilt"], x="a", play="c", title="cosines and bias, order (c, a)")

# %%
key_part = at("resid_post").ms.keep([0, *keys], ("a", "b"))
show(
    [key_part, rebuilt],
    names=["key frequencies", "rebuilt"],
    x="b",
    play="a",
    title="resid_post, key frequencies, rebuilt",
)

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
answer = xr.DataArray(task.labels, dims=("a", "b"), attrs=at("resid_post").attrs)
wave = (
    signal.keep_frequencies(W_U, "answer", keys)
    .isel(answer=answer)
    .assign_attrs(p=p, operation=task.operation)
)
made = (
    (wave * (acts.at("resid_post").std() / W_U.std()))
    .assign_attrs(wave.attrs)
    .drop_vars("answer", errors="ignore")
)
scaled = [made, at("resid_post")]
turned = [made.ms.in_order("c", "a"), rows_of_c("resid_post")]

# %%
stream = partial(show, names=["from W_U", "resid_post"], scale="all")
left = stream(scaled, x="b", play="a", title="the stream from W_U, order (a, b)")
left | stream(turned, x="a", play="c", title="the stream from W_U, order (c, a)")

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
# z as it is, and as it would be if the pattern were its mean over all pairs. The finding "Attention is a
# constant average" above says what this costs the answer; the table says which share of z and of attn_out it keeps.

# %%
averaged = net.with_(pattern="mean")["z"].transpose("head", "d_head", "a", "b")
lines = [rows_of_c("z", d_head=range(8)), averaged.isel(d_head=range(8)).ms.in_order("c", "a")]
show(
    lines,
    names=["z", "z, constant pattern"],
    x="a",
    play="c",
    mode="both",
    title="z of all heads",
)

# %%
net.measure("products")

# %% [markdown]
# attn_out with the key frequencies only.

# %%
passed = rows_of_c("attn_out").ms.keep(keys)
show(passed, x="a", play="c", mode="both", title="attn_out, key frequencies")

# %% [markdown]
# ## Two-dimensional spectra
#
# The best explained neuron before and after the ReLU in the basis const, cos k, sin k of a and b, size of each coefficient; then the
# root mean square over all dimensions of attn_out and mlp_out. The first column and row are waves of one token; the
# blocks off them are products, which is where a + b and a - b live.

# %%
n = best
pre, post = (abs(analysis.plane.coefficient_plane(acts, hook, n)) for hook in ("mlp_pre", "mlp_post"))
heat = partial(ms.heatmap, x="b", y="a", precision="waves", height=660)
heat(pre, title="mlp_pre") | heat(post, title="mlp_post")

# %%
planes = [analysis.plane.coefficient_plane(acts, hook) for hook in ("attn_out", "mlp_out")]
heat(planes[0], title="attn_out") | heat(planes[1], title="mlp_out")

# %%
net.measure("terms")

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

# %% [markdown]
# What to cite: modscope, the network's own paper where its file tells which that is, and the papers behind the measures.

# %%
print(*works_of(net.checkpoint), sep="\n\n")
