"""Numbers and verdicts as words for a page."""

from __future__ import annotations

import math

from modscope.analysis.overview.summary import Summary

__all__ = ["answer", "count", "loss_text", "number_text", "order_note", "percent", "subtitle", "verdict"]

_SMALL = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_DOING = {
    "add": "adds",
    "subtract": "subtracts",
    "multiply": "multiplies",
    "x^2+xy+y^2": "computes a² + ab + b²",
    "random": "knows random labels",
}


def count(n: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun: `count(1, "neuron")` is "one neuron".

    >>> count(1, "neuron"), count(14, "frequency", "frequencies")
    ('one neuron', '14 frequencies')
    """
    number = _SMALL[n] if 0 <= n < len(_SMALL) else f"{n:,}"
    return f"{number} {noun if n == 1 else plural or noun + 's'}"


def percent(share: float | None, digits: int = 1) -> str:
    r"""A share as a percentage; never 100 % for what is less than 1, nor 0 for what is more than nothing.

    >>> percent(0.95385), percent(0.99999), percent(1.0), percent(1e-5), percent(None)
    ('95.4\xa0%', '>\xa099.9\xa0%', '100\xa0%', '<\xa00.1\xa0%', '–')
    """
    if share is None or not math.isfinite(share):
        return "–"
    if share == 1.0:
        return "100\u00a0%"
    text = f"{100 * share:.{digits}f}"
    top = f"{100 - 10**-digits:.{digits}f}"
    if float(text) == 0 and share > 0:
        return f"<\u00a0{10**-digits:.{digits}f}\u00a0%"
    return f">\u00a0{top}\u00a0%" if float(text) == 100 else f"{text}\u00a0%"


def loss_text(loss: float | None) -> str:
    """A loss with three digits, powers of ten written out.

    >>> loss_text(3.1206e-07), loss_text(6.9130), loss_text(None)
    ('3.12·10⁻⁷', '6.91', '–')
    """
    if loss is None or not math.isfinite(loss):
        return "–"
    if loss == 0 or 1e-2 <= abs(loss) < 1e4:
        return f"{loss:#.3g}".rstrip(".")
    mantissa, exponent = f"{loss:.2e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def number_text(value: float | None) -> str:
    """A plain number with two decimals, with a proper minus.

    >>> number_text(-1.234), number_text(float("nan"))
    ('−1.23', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.2f}".replace("-", "−")


def answer(summary: Summary) -> str:
    """What the answer is of the two places on the task's circle: "a+b", or "a−b" for subtraction."""
    return "a−b" if summary.circle.sign == -1 else "a+b"


def order_note(summary: Summary) -> str:
    """What a, b and c stand for where they are not the numbers themselves; empty where they are."""
    if summary.circle.whole or summary.circle.sign is None:
        return ""
    return (
        f"Multiplication adds exponents: below, a, b and c are the exponents of the numbers as powers of "
        f"{summary.circle.residues[1]}, {summary.circle.n} places on a circle, and pairs with a 0 are left out."
    )


def verdict(summary: Summary) -> str:
    """What the network does and how well, in one sentence."""
    doing = f"{_DOING.get(summary.operation, summary.operation)} mod {summary.p}"
    wrong = round((1 - summary.accuracy.all) * summary.p**2)
    keys = summary.keys.frequencies
    train, test = summary.accuracy.train, summary.accuracy.test
    if summary.is_guessing:
        return f"This network {doing} no better than by guessing."
    if train is not None and test is not None and train > 0.9 and test < 0.5:
        return f"This network has memorised: it knows {percent(train)} of its training pairs and {percent(test)} of the others."
    how = "without an error" if wrong == 0 else f"with {count(wrong, 'error')} in {summary.p**2:,} pairs"
    if summary.accuracy.all < 0.9:
        how = f"with {percent(summary.accuracy.all)} of the answers right"
    waves = f", on {count(len(keys), 'frequency', 'frequencies')}" if keys else ""
    return f"This network {doing} {how}{waves}."


def subtitle(summary: Summary) -> str:
    """What its key frequencies carry, in one or two sentences; what is missing where there are none."""
    main = summary.restrictions.get("directions")
    if not summary.keys.frequencies:
        return (
            "No frequency stands out in its logits, so nothing here can be read as a sum of a few waves."
            if summary.fit is not None
            else "Its labels do not turn on a circle, so what is said of waves on a + b does not apply."
        )
    if main is None or summary.fit is None:
        return "Key frequencies were found in its neurons; its labels do not turn on a circle."
    share = f"Cosines of w({answer(summary)}−c) at these frequencies make up {percent(summary.logit_fve)} of the variance of its logits."
    return (
        f"{share} With nothing else left in the logits the loss is {loss_text(main.restricted_loss.all)}; "
        f"without them it is {loss_text(main.excluded_loss.all)}, where guessing costs {math.log(summary.p):.2f}."
    )
