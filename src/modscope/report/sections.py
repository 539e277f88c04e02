"""The sections of a report, in their order: each takes a look and gives what stands on the page, or None."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

from markupsafe import Markup

from modscope.analysis.answer.logits import offset_profile, sum_profile
from modscope.analysis.circle import circle_of
from modscope.analysis.overview.examples import worst_examples
from modscope.analysis.overview.specimens import (
    neuron_specimen,
    wave_specimen,
)
from modscope.report import figures
from modscope.report.look import Look
from modscope.report.style import css_class
from modscope.report.viewers import neuron_viewer, wave_viewer
from modscope.report.words import answer, count, loss_text, number_text, percent
from modscope.viewer import View

__all__ = ["SECTIONS", "Section", "Table"]


_MOST_PRODUCTS = 66  # of twelve key frequencies; with more the table says nothing to a reader


@dataclass(frozen=True)
class Table:
    """A table of the page: its heads, and rows of cells; a cell may be markup."""

    heads: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """One part of the page.

    short: its title in the page's navigation; seen: what the picture shows, for this network; warning: what it does not prove; definition: exactly what was
    computed, folded away; figure: inline SVG or any other markup; alternative: the figure in words; viewer: the same to play with.
    """

    name: str
    short: str
    title: str
    seen: str
    warning: str = ""
    definition: Sequence[str] = ()
    figure: Markup | None = None
    alternative: str = ""
    tables: Sequence[Table] = ()
    viewer: View | None = None


def spectra_section(look: Look) -> Section:
    """Where the weights' energy lies by frequency, and the rules for key frequencies."""
    summary = look.summary
    keys, shares = summary.keys.frequencies, summary.shares["embedding"]
    inside = float(shares.sel(k=list(keys)).sum()) if keys else None
    seen = (
        f"{percent(inside)} of the embedding's energy lies at the {count(len(keys), 'key frequency', 'key frequencies')}: "
        "each number is stored as a few positions on circles. The way out, from the neurons to the logits, uses the same ones."
        if keys
        else "The energy is spread over all frequencies: there is no small set that stands out."
    )
    rules = [
        [rule, "does not apply" if found is None else _chips(found, look), _used(rule, summary.keys.rule)]
        for rule, found in summary.sets.items()
    ]
    return Section(
        "frequencies",
        "Frequencies",
        "Frequencies in the weights",
        seen,
        "A frequency in the embedding need not be used: second harmonics (marked 2·k) are often there and take no part in the answer. "
        "That is why the key frequencies are read off the logits.",
        (
            "Rows of W_E for the p residues (not “=”), transformed over the residues with the orthonormal real basis 1, cos, sin, …; "
            "squares summed over features, cosine and sine, as a share of all but DC. W_L = W_out W_U, transformed over its p columns; W_U alike.",
            f"Rule in use, {summary.keys.rule}: {summary.keys.definition}.",
        ),
        Markup(figures.draw_spectra(look)),
        "Bars of energy by frequency for embedding, neuron-to-logit map and unembedding.",
        (Table(("rule", "frequencies", ""), rules, "Key frequencies by every rule"),),
    )


def _used(rule: str, used: str) -> str:
    return "used here" if rule == used else ""


def _chips(frequencies: Sequence[int], look: Look, *, most: int = 16) -> Markup:
    """Frequencies as coloured labels."""
    if not frequencies:
        return Markup("none")
    labels = [
        Markup('<span class="chip" style="--c: var(--{})">{}</span>').format(css_class(k, look.colours), k)
        for k in frequencies[:most]
    ]
    rest = f" and {len(frequencies) - most} more" if len(frequencies) > most else ""
    return Markup(" ").join(labels) + rest


def relations_section(look: Look) -> Section | None:
    """Where harmonics, subharmonics and products of the key frequencies fall."""
    table = look.summary.relations
    if not table.harmonics:
        return None
    rows = [
        [
            _chips((k,), look),
            _related(table.harmonics[k], look),
            _related(table.third_harmonics[k], look),
            _related(table.subharmonics[k], look),
        ]
        for k in table.harmonics
    ]
    products = [
        [
            Markup("{} × {}").format(_chips((j,), look), _chips((k,), look)),
            _related(plus, look),
            _related(minus, look),
        ]
        for (j, k), (plus, minus) in table.intermodulation.items()
    ]
    tables = [Table(("k", "2k", "3k", "k/2"), rows, "Harmonics and subharmonics, aliased")]
    if 0 < len(products) <= _MOST_PRODUCTS:
        tables.append(Table(("waves", "sum", "difference"), products, "What a product of two waves holds"))
    return Section(
        "arithmetic",
        "Arithmetic",
        "Arithmetic of the frequencies",
        "A rectifier makes harmonics; a product of two waves makes their sum and difference. These are the places to look for them.",
        "That a frequency of this table has energy does not tell where it came from: on a circle of p places many routes end at the same number.",
        (
            f"k and p − k are one real wave, so every result is folded into 0..{table.n // 2}. k/2 is the frequency whose second harmonic is k; "
            "for even p there is none or there are two.",
        ),
        tables=tables,
    )


def _related(k: int | None, look: Look) -> object:
    if k is None:
        return "–"
    return _chips((k,), look) if k in look.colours else k


def clusters_section(look: Look) -> Section:
    """How many neurons follow one frequency each."""
    found = look.summary.clusters
    explained, neurons = int(found.explained.sum()), len(found.fve)
    return Section(
        "neurons",
        "Neurons",
        "Neurons by frequency",
        f"{explained} of {neurons} neurons are explained to more than 85 % by one frequency each"
        + (f", in {count(len(found.counts()), 'cluster')}." if explained else "."),
        "A neuron counts as explained by a frequency k whether it follows a + b, a − b, or a and b separately: this says which frequency, not which mechanism.",
        (
            "For each neuron of mlp_post and each k from 1 to p//2 (the last one included): energy of the centred activation over all pairs in "
            "{1, cos w_k a, sin w_k a} × {1, cos w_k b, sin w_k b}, over its whole energy. The best k names the cluster.",
        ),
        Markup(figures.draw_clusters(look)),
        "Histogram of explained variance by neuron, and sizes of the clusters.",
    )


def wave_section(look: Look) -> Section | None:
    """One feature of the residual stream in the order (c, a)."""
    if look.summary.circle.sign is None:
        return None
    hook = "resid_post" if "resid_post" in look.acts.hooks else "mlp_post"
    specimen = wave_specimen(look.acts, hook)
    share = look.summary.even[hook]
    mirrored, whose = "f(b, a)", "Every network that treats its inputs alike"
    if look.summary.circle.sign == -1:
        mirrored, whose = "f(−b, −a)", "Every subtraction that treats a and −b alike"
    return Section(
        "symmetry",
        "Symmetry",
        "Waves, even about c/2" if share > 0.9 else "Waves and their mirror images about c/2",
        f"Sort the pairs by their answer c, and each feature becomes a stack of waves in a. In {hook} {percent(share)} of their "
        f"energy is even: read backwards about c/2 (rings), a row {_likeness(share)} (dots).",
        f"Evenness about c/2 is the same statement as f(a, b) = {mirrored}. {whose} has it, whatever its mechanism; it may tell "
        "when a network generalises, not how.",
        (
            "Row c holds the pairs with answer c, column a the first number. The thin line is the band-limited wave through the dots. Even part about c/2: (x(c, a) + x(c, c − a))/2 after the mean of each row is taken away. "
            f"The feature shown changes most with a at fixed c; the row shown is its strongest ({hook}, feature {specimen.feature}, c = {specimen.c}).",
        ),
        Markup(figures.draw_wave(specimen)),
        "Heat map of a feature over c and a; one of its rows with its mirror image.",
        viewer=wave_viewer(look, specimen),
    )


def _likeness(share: float) -> str:
    """How like its mirror image a row is, by the share of energy that is even (white noise: one half)."""
    if share > 0.99:
        return "is itself"
    return "is nearly itself" if share > 0.9 else "is not itself"


def neuron_section(look: Look) -> Section:
    """One neuron before and after the activation function."""
    specimen = neuron_specimen(look.acts, look.summary.clusters)
    side = "left" if look.summary.circle.sign == -1 else "right"
    known = (
        f"frequency {specimen.frequency} explains {percent(specimen.fve)} of it"
        if specimen.frequency
        else "it follows no frequency"
    )
    return Section(
        "one-neuron",
        "One neuron",
        "One neuron, before and after",
        f"Neuron {specimen.neuron}: {known}. Left: the neuron over all pairs, with a and b sorted by their angle at its frequency. Right: what lies on the lines k_b = 0 and k_a = 0 depends on one number alone; what lies on the {side} diagonal "
        f"depends on {answer(look.summary)}. What the lower row has and the upper one has not, the activation function has made.",
        "It is one neuron, the median of its cluster: look at others before believing it.",
        (
            "Pictures over all pairs, their means removed; sorted by k·a mod p and k·b mod p where k has no factor in common with p. Spectra: power of each real wave cos(2π(k_a a + k_b b)/p + phase), DC left out, on a scale of 50 dB; "
            "a + b lies at (k, k), a − b at (−k, k). The six strongest are named with their share of the variance.",
        ),
        Markup(figures.draw_neuron(specimen)),
        "Heat maps of one neuron over a and b, before and after its activation function, and their spectra.",
        viewer=neuron_viewer(look),
    )


def logits_section(look: Look) -> Section | None:
    """The logits as a sum of cosines."""
    fit = look.summary.fit
    if fit is None:
        return None
    circle = circle_of(look.acts.task)
    offsets = offset_profile(sum_profile(look.acts.at("logits"), circle), circle)
    keys, turned = look.summary.keys.frequencies, answer(look.summary)
    seen = (
        f"Cosines of w_k({turned}−c) at the key frequencies explain {percent(look.summary.logit_fve)} of the logits' variance. They agree only where "
        f"{turned} = c: there they add up to the peak. As logits of their own they have a loss of {loss_text(look.summary.logit_fit_loss)}."
        if keys
        else f"No cosine of w_k({turned}−c) explains 1 % of the logits' variance; all together explain {percent(float(fit.fve.sum()))}."
    )
    return Section(
        "logits",
        "Logits",
        "Logits as sums of cosines",
        seen,
        "Any network that is right and treats all shifts alike has such logits. They say what is computed, not how.",
        (
            f"α_k is the projection of the p³ cube of logits on cos w_k({turned}−c); these are orthogonal, so shares add up. Share: energy of the cosine over the sum of squares "
            f"about the cube's one mean. The dots are means over all triples with the same {turned}−c.",
        ),
        Markup(figures.draw_logits(look, offsets)),
        "Share of each cosine, and the mean logit by offset with the fitted curve.",
    )


def losses_section(look: Look) -> Section | None:
    """Restricted and excluded losses."""
    main = look.summary.restrictions.get("directions")
    if main is None:
        return None
    rows = [
        [
            mask,
            *(loss_text(r.restricted_loss.to_dict()[s]) for s in ("train", "test", "all")),
            *(loss_text(r.excluded_loss.to_dict()[s]) for s in ("train", "test", "all")),
        ]
        for mask, r in look.summary.restrictions.items()
    ]
    turned = answer(look.summary)
    heads = ("mask", "kept: train", "test", "all", "without: train", "test", "all")
    return Section(
        "ablation",
        "Ablation",
        "Are these frequencies enough, and are they needed?",
        f"With only the key frequencies of {turned} left in the logits the loss is {loss_text(main.restricted_loss.all)}; with them taken out it is "
        f"{loss_text(main.excluded_loss.all)} (guessing: {loss_text(log(look.summary.p))}).",
        f"This edits the logits, the last thing the network makes. It shows which functions of {turned} carry the answer, not how earlier layers made them.",
        (
            f"directions: cos w_k({turned}) and sin w_k({turned}) of every logit (Nanda et al. 2023). "
            "2x2: {cos, sin}(w_k a) × {cos, sin}(w_k b). 3x3: {1, cos, sin} × {1, cos, sin} without 1 × 1. "
            f"cube: only α_k cos w_k({turned}−c). Each logit's mean over all pairs stays in every case.",
            "Cross-entropy in float64, mean over the pairs of a split.",
        ),
        Markup(figures.draw_losses(look)),
        "Losses on a logarithmic axis with key frequencies kept and removed.",
        (Table(heads, rows, "Losses by mask and split"),),
    )


def energy_section(look: Look) -> Section:
    """Where the energy lies and how even it is, hook by hook."""
    energy = look.summary.energy
    hook = "mlp_out" if "mlp_out" in energy else "mlp_post"
    first = next((h for h in ("resid_mid", "mlp_pre") if h in energy), hook)
    turned = answer(look.summary)
    share = {h: e.difference if turned == "a−b" else e.sum for h, e in energy.items()}
    return Section(
        "energy",
        "Energy",
        "Where the answer appears",
        f"Before the MLP {percent(share[first])} of the energy ({first}) depends on {turned} alone; in {hook} it is "
        f"{percent(share[hook])}, and in the logits {percent(share['logits'])}.",
        "Energy is not use: a small share that is read by the next layer can matter more than a large one that is not. "
        "The pattern is odd rather than even because what goes to a is taken from b; a score is a function of a alone or of b alone, and that has one half.",
        (
            "Centred activation over all pairs, all features together. a alone, b alone: the bins (±k, 0), (0, ±k) of the two-dimensional transform; a + b: (k, k); "
            "a − b: (k, −k); cross: everything else. They add up to 1. For even p the wave (−1)^(a+b) counts as a + b.",
            "Even about c/2: share of the energy, row means at fixed c removed, that stays when a is replaced by c − a. White noise has one half; nothing is shown where nothing is left.",
        ),
        Markup(figures.draw_energy(look)),
        "Stacked bars of energy by kind of term, and even fractions, for every hook.",
    )


def examples_section(look: Look) -> Section:
    """The examples with the largest loss."""
    table = look.summary.examples
    wrong = int((table.guess.values != table.label.values).sum())
    worst = worst_examples(table, 8)
    rows = [
        [
            w["a"],
            w["b"],
            w["label"],
            w["guess"],
            w["split"] or "–",
            number_text(w["margin"]),
            loss_text(w["loss"]),
        ]
        for w in worst
    ]
    return Section(
        "examples",
        "Examples",
        "Pair by pair",
        f"{count(wrong, 'pair').capitalize()} of {table.loss.size:,} {'is' if wrong == 1 else 'are'} answered wrongly. "
        + (
            "Rows and columns that stand out are single numbers that the network finds hard."
            if wrong
            else "Even right answers differ in how safe they are."
        ),
        "A mean loss is mostly the loss of its few worst pairs.",
        ("Cross-entropy of each pair in float64; margin: the answer's logit minus the largest other one.",),
        Markup(figures.draw_margins(look)),
        "Loss of every pair as a heat map, and histograms of margins.",
        (Table(("a", "b", "answer", "guess", "split", "margin", "loss"), rows, "The largest losses"),),
    )


# What a report shows, in this order. A section that does not apply to a network gives None.
SECTIONS: tuple[Callable[[Look], Section | None], ...] = (
    spectra_section,
    clusters_section,
    wave_section,
    neuron_section,
    energy_section,
    logits_section,
    losses_section,
    relations_section,
    examples_section,
)
