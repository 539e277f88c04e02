"""Pictures of training: each measure over the epochs, its phases shaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from modscope.progress import Phases
from modscope.progress.story import TrainingStory
from modscope.report.chart import chart, panels
from modscope.report.look import Look
from modscope.report.marks import Dots, Line, Mark, Span
from modscope.report.scales import Axis, axis_over, share_tick
from modscope.report.style import colour_of
from modscope.runs import written

__all__ = ["draw_training"]

Curve = tuple[str, str, np.ndarray, np.ndarray]  # name, colour, epochs, values

_SHADES = {"memorising": 0.16, "circuit forming": 0.08, "clean-up": 0.16, "settled": 0.04}


def draw_training(look: Look, story: TrainingStory) -> Markup:
    """Losses, losses of the key frequencies, sparsity, clusters, symmetry, mechanism and size of the weights."""
    return panels(
        _losses(story),
        _restricted(story),
        _sparsity(story),
        _clusters(look, story),
        _symmetry(story),
        _mechanism(story),
    )


def _spans(phases: Phases) -> list[Mark]:
    return [
        Span(phase.start, phase.end, phase.name, opacity=_SHADES.get(phase.name, 0.1))
        for phase in phases.phases
    ]


def _over_epochs(
    story: TrainingStory,
    curves: Sequence[Curve],
    *,
    title: str,
    label: str,
    log: bool = False,
    shares: bool = False,
) -> Markup:
    shown = [curve for curve in curves if np.isfinite(curve[3]).any()]
    marks: list[Mark] = _spans(story.phases)
    for _, colour, at, values in shown:
        marks.append(Line(at, values, colour, 1.5))
        if len(at) <= 40:
            marks.append(Dots(at, values, colour, 2))
    everything = np.concatenate([values for *_, values in shown]) if shown else np.zeros(1)
    last = max([int(at[-1]) for *_, at, _ in shown], default=1)
    first = min([int(at[0]) for *_, at, _ in shown], default=0)
    y = axis_over(
        everything, label, log=log, zero=not log, grid=True, form=share_tick if shares else Axis(0, 1).form
    )
    return chart(
        marks,
        x=Axis(first, max(last, first + 1), "step"),
        y=y,
        title=title,
        legend=[(colour, name) for name, colour, *_ in shown],
        height=230,
    )


def _of(story: TrainingStory, variable: str, **at: object) -> tuple[np.ndarray, np.ndarray]:
    measures = story.measures
    if variable not in measures:
        return measures.epoch.values, np.full(measures.sizes["epoch"], np.nan)
    values = measures[variable].sel(at)
    return values.epoch.values, values.values


def _losses(story: TrainingStory) -> Markup:
    curves: list[Curve] = []
    for name, colour in (("train", "var(--key-2)"), ("test", "var(--key-1)")):
        column = f"{name}_loss"
        if column in story.losses and story.losses.sizes["epoch"]:
            known = written(story.losses, column)
            curves.append((name, colour, known.epoch.values, known.values))
        else:
            curves.append((name, colour, *_of(story, "loss", split=name)))
    return _over_epochs(story, curves, title="loss", label="loss (nats)", log=True)


def _restricted(story: TrainingStory) -> Markup:
    rows = (
        ("the network, all pairs", "var(--ink)", "loss", {"split": "all"}),
        (
            "restricted: key frequencies only",
            "var(--key-3)",
            "restricted_loss",
            {"split": "all", "mask": "directions"},
        ),
        (
            "excluded: without them, training pairs",
            "var(--key-6)",
            "excluded_loss",
            {"split": "train", "mask": "directions"},
        ),
    )
    curves = [
        (name, colour, *_of(story, variable, **_known(story, variable, at)))
        for name, colour, variable, at in rows
    ]
    return _over_epochs(
        story, curves, title="the key frequencies' part of the answer", label="loss (nats)", log=True
    )


def _known(story: TrainingStory, variable: str, at: Mapping[str, str]) -> dict[str, object]:
    """A selection, over all pairs where the split is not known."""
    if variable in story.measures and at["split"] == "train":
        train = story.measures[variable].sel(split="train")
        if not np.isfinite(train.values).any():
            return {**at, "split": "all"}
    return dict(at)


def _sparsity(story: TrainingStory) -> Markup:
    rows = (
        ("Gini of W_E", "var(--key-1)", "gini", "embedding"),
        ("Gini of W_L", "var(--key-2)", "gini", "neuron_logit"),
        ("W_E at the key frequencies", "var(--key-3)", "key_share", "embedding"),
    )
    curves = [(name, colour, *_of(story, variable, map=which)) for name, colour, variable, which in rows]
    return _over_epochs(story, curves, title="the embedding becomes sparse", label="0 to 1", shares=False)


def _clusters(look: Look, story: TrainingStory) -> Markup:
    curves: list[Curve] = []
    if "cluster_neurons" in story.measures:
        for k in story.measures.k.values:
            at, values = _of(story, "cluster_neurons", k=k)
            curves.append((f"frequency {int(k)}", colour_of(int(k), look.colours), at, values))
    return _over_epochs(story, curves, title="neurons explained by each key frequency", label="neurons")


def _symmetry(story: TrainingStory) -> Markup:
    turned = "difference_share" if story.measures.attrs.get("operation") == "subtract" else "sum_share"
    words = "a − b" if turned == "difference_share" else "a + b"
    rows = (
        ("neurons even about c/2", "var(--key-1)", "even", "mlp_post"),
        (f"neurons on {words}", "var(--key-2)", turned, "mlp_post"),
        (f"logits on {words}", "var(--key-6)", turned, "logits"),
    )
    hooks = story.measures.hook.values.tolist() if "hook" in story.measures.coords else []
    curves = [
        (name, colour, *_of(story, variable, hook=hook))
        for name, colour, variable, hook in rows
        if hook in hooks
    ]
    return _over_epochs(
        story, curves, title="symmetry, and where the answer lies", label="share of energy", shares=True
    )


def _mechanism(story: TrainingStory) -> Markup:
    rows = (
        ("rectified sum", "var(--key-1)", "rectified"),
        ("product in attention", "var(--key-2)", "product"),
        ("memorised", "var(--key-4)", "memorised"),
    )
    curves = (
        [(name, colour, *_of(story, "mechanism", part=part)) for name, colour, part in rows]
        if "mechanism" in story.measures
        else []
    )
    return _over_epochs(
        story, curves, title="which mechanism makes the answer", label="share of the margin", shares=True
    )
