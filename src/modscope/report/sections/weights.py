"""Frequencies in the weights, and the arithmetic of frequencies."""

from __future__ import annotations

from markupsafe import Markup

from modscope.report import figures
from modscope.report.look import Look
from modscope.report.sections.section import Section, Table, chips
from modscope.report.words import count, percent

__all__ = ["relations_section", "spectra_section"]

_MOST_PRODUCTS = 66  # of twelve key frequencies; with more the table says nothing to a reader


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
        [rule, "does not apply" if found is None else chips(found, look), _used(rule, summary.keys.rule)]
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
        figures.draw_spectra(look),
        "Bars of energy by frequency for embedding, neuron-to-logit map and unembedding.",
        (Table(("rule", "frequencies", ""), rules, "Key frequencies by every rule"),),
    )


def _used(rule: str, used: str) -> str:
    return "used here" if rule == used else ""


def relations_section(look: Look) -> Section | None:
    """Where harmonics, subharmonics and products of the key frequencies fall."""
    table = look.summary.relations
    if not table.harmonics:
        return None
    rows = [
        [
            chips((k,), look),
            _related(table.harmonics[k], look),
            _related(table.third_harmonics[k], look),
            _halves(table.subharmonics[k], look),
        ]
        for k in table.harmonics
    ]
    products = [
        [
            Markup("{} × {}").format(chips((j,), look), chips((k,), look)),
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


def _halves(halves: tuple[int, ...], look: Look) -> object:
    """The frequencies whose double a frequency is: one, two, or none."""
    if not halves:
        return "–"
    return Markup(", ").join(Markup("{}").format(_related(half, look)) for half in halves)


def _related(k: int | None, look: Look) -> object:
    if k is None:
        return "–"
    return chips((k,), look) if k in look.colours else k
