"""The pictures of the report that the reader can play."""

from __future__ import annotations

from typing import Any

from modscope.analysis.overview.scenes import GrowingSum, InputWaves, RebuiltFeature
from modscope.analysis.overview.specimens import WaveSpecimen, neuron_pictures, wave_pictures
from modscope.orders import in_order
from modscope.progress.story import TrainingStory
from modscope.report.look import Look
from modscope.viewer import View, show

__all__ = [
    "input_viewer",
    "neuron_viewer",
    "pattern_viewer",
    "rebuilt_viewer",
    "sum_viewer",
    "training_viewers",
    "wave_viewer",
]


def wave_viewer(look: Look, specimen: WaveSpecimen) -> View:
    """The strongest features of a hook as waves in a, played over c, starting at a specimen's row."""
    return show(
        wave_pictures(look.acts, specimen.hook, count=_viewer_pictures(look, 12)),
        x="a",
        play="c",
        select={"c": specimen.c},
        title=f"{specimen.hook}, the strongest features: each row c as a wave in a",
        **_circle_options(look),
    )


def _viewer_pictures(look: Look, most: int) -> int:
    """How many pictures a viewer of the page holds: fewer where each is large."""
    return max(1, min(most, int(600_000 / look.summary.circle.n**2)))


def _circle_options(look: Look) -> dict[str, Any]:
    circle = look.summary.circle
    turned = "add" if circle.turn > 0 else "subtract"
    return {
        "p": circle.n,
        "operation": turned,
        "key_frequencies": look.summary.keys.frequencies,
        "bookmarks": True,
    }


def neuron_viewer(look: Look) -> View | None:
    """A neuron of each cluster before and after the activation function; None where there is no order (c, a)."""
    if look.summary.circle.sign is None:
        return None
    return show(
        neuron_pictures(look.acts, look.summary.clusters, count=_viewer_pictures(look, 8)),
        x="a",
        play="c",
        title="the median neuron of each cluster, before and after",
        **_circle_options(look),
    )


def _fits(look: Look, pictures: int) -> bool:
    """Whether so many pictures over all pairs may stand in one viewer of the page."""
    return pictures * look.summary.circle.n**2 <= 130_000


def input_viewer(look: Look, waves: InputWaves, c: int) -> View | None:
    """The waves at a and at b over all answers; None for a modulus whose page would be too heavy."""
    if not _fits(look, 2 * waves.at_a.sizes["feature"]):
        return None
    return show(
        {"at a": waves.at_a, "at b": waves.at_b},
        x="a",
        play="c",
        select={"c": c},
        title=f"{waves.hook} at both positions: watch b's wave run against a's",
        **_circle_options(look),
    )


def pattern_viewer(look: Look) -> View | None:
    """The attention of each head on a in the order (c, a); None without attention or for a large modulus."""
    acts = look.adding
    if not _fits(look, acts["pattern"].sizes["head"]):
        return None
    on_a = acts.at("pattern").sel(key_pos="a", drop=True)
    return show(
        in_order(on_a, "c", "a", operation=acts.task.operation).transpose("head", "c", "a"),
        x="a",
        play="c",
        title="the attention of each head on a: each row c as a wave in a",
        **_circle_options(look),
    )


def sum_viewer(look: Look, sums: GrowingSum) -> View | None:
    """The sum over the first neurons as pictures in the order (c, a), played over how many there are."""
    if not _fits(look, sums.pictures.sizes["step"]):
        return None
    ordered = in_order(sums.pictures, "c", "a", operation=look.adding.task.operation).transpose(
        "step", "c", "a"
    )
    return show(
        ordered.rename(step="neurons"),
        x="a",
        play="neurons",
        title=f"the sum over the first neurons of frequency {sums.k}",
        **_circle_options(look),
    )


def rebuilt_viewer(look: Look, feature: RebuiltFeature, c: int) -> View | None:
    """The stream and the rebuilt one over all answers; None for a modulus whose page would be too heavy."""
    if not _fits(look, 2 * feature.real.sizes["feature"]):
        return None
    return show(
        {"the network's": feature.real, "rebuilt": feature.rebuilt},
        x="a",
        play="c",
        select={"c": c},
        title=f"{feature.hook}, the features that vary most, beside the same rebuilt from a few waves",
        **_circle_options(look),
    )


def training_viewers(look: Look, story: TrainingStory) -> tuple[View, ...]:
    """Two films: the embedding's spectrum, and one neuron where it was filmed and is not too heavy for a page."""
    last = len(story.told) - 1
    spectrum = show(
        story.spectrum.rename("share of the energy"),
        x="k",
        play="epoch",
        select={"epoch": last},
        title="the embedding's spectrum over training",
        bookmarks=True,
    )
    film = story.neuron
    if film is None or film.size > 400_000:
        return (spectrum,)
    neuron = show(
        film,
        x=str(film.dims[-1]),
        play="epoch",
        select={"epoch": last, str(film.dims[1]): min(40, film.shape[1] - 1)},
        title=f"neuron {film.attrs['neuron']} after the nonlinearity, over training",
        p=look.summary.p,
        operation=str(film.attrs["operation"]),
        key_frequencies=look.summary.keys.frequencies,
        bookmarks=True,
    )
    return spectrum, neuron
