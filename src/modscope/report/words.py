"""Numbers and verdicts as words for a page."""

from __future__ import annotations

import math

from modscope.analysis.overview.summary import Summary
from modscope.analysis.weights.frequencies import fundamental
from modscope.grounds import Grounds, Problem
from modscope.task import ModularTask

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
    "divide": "divides",
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
    circle = summary.circle
    if circle.whole or circle.sign is None:
        return ""
    if circle.n < circle.p:
        doing = "Multiplication adds" if circle.sign > 0 else "Division subtracts"
        return (
            f"{doing} exponents: below, a, b and c are the exponents of the numbers as powers of "
            f"{circle.residues[1]}, {circle.n} places on a circle, and pairs with a 0 are left out."
        )
    return f"Below, a, b and c are places on the circle of the residues: the numbers in the order {_listed(circle.residues)}."


def _listed(residues: tuple[int, ...]) -> str:
    return ", ".join(map(str, residues[:6])) + (", ..." if len(residues) > 6 else "")


def verdict(summary: Summary) -> str:
    """What the network does and how well, in one sentence."""
    grounds = summary.grounds
    doing = doing_of(grounds.task)
    right = percent(summary.accuracy.all)
    pairs = int(grounds.task.defined.sum())
    wrong = round((1 - summary.accuracy.all) * pairs)
    problem = grounds.problem
    if problem is not None:
        return _not_judged(problem, grounds, doing, right)
    how = "without an error" if wrong == 0 else f"with {count(wrong, 'error')} in {pairs:,} pairs"
    if summary.accuracy.all < 0.9:
        how = f"with {right} of the answers right"
    keys = summary.keys.frequencies
    return f"This network {doing} {how}{_waves(keys, summary.circle.n) if summary.carried else ''}."


def _not_judged(problem: Problem, grounds: Grounds, doing: str, right: str) -> str:
    """The headline of a network of which nothing can be said but what it does not do."""
    best = grounds.recognition.best
    if problem.kind == "operation":
        return (
            f"This network was opened as one that {doing}, with {right} of the answers right; its answers are those of "
            f"{best.text}, on {percent(best.share)} of the pairs."
        )
    if problem.kind == "chance":
        return f"This network {doing} no better than by guessing."
    if problem.kind == "memorised":
        known = grounds.split_known
        train = grounds.accuracy.train if known else grounds.stated["train_accuracy"]
        test = grounds.accuracy.test if known else grounds.stated["test_accuracy"]
        shares = f"{percent(train)} of its training pairs and {percent(test)} of the others"
        knows = f"it knows {shares}" if known else f"its file states {shares} right"
        return f"This network has memorised: {knows}."
    if problem.kind == "accuracy":
        return f"This network {doing} with only {right} of the answers right: too few to say how."
    if problem.kind == "loss":
        return (
            f"This network {doing} with {right} of the answers right and a loss far above that of guessing."
        )
    return "This network is broken: some of its logits are not finite numbers."


def doing_of(task: ModularTask) -> str:
    """What a network of a task does: adds mod 113, computes a²+b² mod 29, multiplies in the group D14.

    >>> doing_of(ModularTask(14, "D7")), doing_of(ModularTask(7, "max")), doing_of(ModularTask(7, "a^2+b^2"))
    ('multiplies in the group D7', 'computes max(a,b) of 0 to 6', 'computes a²+b² mod 7')
    """
    if task.operation in _DOING:
        return f"{_DOING[task.operation]} mod {task.p}"
    what = task.what
    if what.group is not None:
        return f"multiplies in the group {what.name}"
    if what.is_table:
        found = task.geometry
        return (
            f"multiplies in {found.says}"
            if found.kind in ("group", "circle")
            else "gives the answers of a table"
        )
    where = f"of 0 to {task.p - 1}" if task.geometry.kind == "axis" else f"mod {task.p}"
    return f"computes {what.text.replace('^2', '²').replace('^3', '³')} {where}"


def _waves(keys: tuple[int, ...], n: int) -> str:
    """On how many frequencies, or on which circle with its harmonics."""
    if not keys:
        return ""
    base = fundamental(keys, n)
    if base is not None:
        others = ", ".join(str(k) for k in keys if k != base)
        return f", on one circle, of frequency {base}, and its harmonics {others}"
    return f", on {count(len(keys), 'frequency', 'frequencies')}"


def subtitle(summary: Summary) -> str:
    """What its key frequencies carry, in one or two sentences; what is missing where there are none."""
    if summary.grounds.problems:
        return f"Nothing is said of how it works: {summary.grounds.why_not}."
    main = summary.restrictions.get("directions")
    if not summary.keys.frequencies:
        return (
            "No frequency stands out in its logits, so nothing here can be read as a sum of a few waves."
            if summary.fit is not None
            else f"Its answer does not turn on a circle ({summary.circle.name}), so what is said of waves on a + b does not apply."
        )
    if main is None or summary.fit is None:
        return "Key frequencies were found in its neurons; its labels do not turn on a circle."
    share = f"Cosines of w({answer(summary)}−c) at these frequencies make up {percent(summary.logit_fve)} of the variance of its logits."
    fve, published = summary.logit_fve, summary.logit_fve_uncentred
    if fve is not None and published is not None and fve - published > 0.005:
        share += f" ({percent(published)} where what a pair adds to all its logits alike, which softmax cannot see, is counted.)"
    return (
        f"{share} With nothing else left in the logits the loss is {loss_text(main.restricted_loss.all)}; "
        f"without them it is {loss_text(main.excluded_loss.all)}, where guessing costs {math.log(summary.p):.2f}."
    )
