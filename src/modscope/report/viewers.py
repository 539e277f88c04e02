"""The pictures of the report that the reader can play."""

from __future__ import annotations

from typing import Any

from modscope.analysis.overview.specimens import WaveSpecimen, neuron_pictures, wave_pictures
from modscope.report.look import Look
from modscope.viewer import View, show

__all__ = ["neuron_viewer", "wave_viewer"]


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
    return {"p": circle.n, "operation": turned, "key_frequencies": look.summary.keys.frequencies}


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
