"""What is never held whole of a large network gives the numbers that it gives when it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modscope import planted
from modscope.activations import record
from modscope.analysis.answer import logits
from modscope.analysis.neurons.clusters import Clusters
from modscope.analysis.overview.specimens import neuron_pictures, neuron_specimen
from modscope.analysis.overview.summary import summarise
from modscope.analysis.plane import energy, symmetry
from modscope.analysis.plane.energy import is_small
from modscope.findings import findings


def _everything(p: int, operation: str) -> dict[str, Any]:
    network, task = planted.rectified_sum(p, [2, 5], operation=operation)
    acts = record(network, task)
    summary = summarise(acts)
    found = findings(acts, key_frequencies=summary.keys.frequencies, grounds=summary.grounds)
    # planted neurons are explained equally well, up to rounding
    told = Clusters(summary.clusters.frequency, summary.clusters.fve.round(6))
    specimen, pictures = neuron_specimen(acts, told), neuron_pictures(acts, told, count=2)
    assert ("logits" in acts.kept) == is_small(acts)
    values = {
        "summary": summary.to_dict(),
        "findings": [finding.to_dict() for finding in found],
        "neuron": [specimen.neuron, specimen.pre.values.tolist(), specimen.post_power.values.tolist()],
        "pictures": [picture.values.tolist() for picture in pictures.values()],
    }
    return dict(_flat(json.loads(json.dumps(values)), ""))


def _flat(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in _flat(part, f"{path}/{key}")]
    if isinstance(value, list):
        return [pair for i, part in enumerate(value) for pair in _flat(part, f"{path}/{i}")]
    return [(path, value)]


@pytest.mark.parametrize(("p", "operation"), [(13, "add"), (12, "subtract")])
def test_the_report_of_a_network_that_passes_in_blocks_has_the_same_numbers(
    p: int, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _everything(p, operation)
    monkeypatch.setattr(energy, "_KEPT_BYTES", 0)  # no network is small
    monkeypatch.setattr(energy, "_HELD_BYTES", 0)  # no hook is held while it is looked at
    monkeypatch.setattr(logits, "_HELD_BYTES", 0)
    monkeypatch.setattr(symmetry, "_GROUP_BYTES", 4 * p * p * 5)
    passing = _everything(p, operation)
    assert passing.keys() == whole.keys()
    for path, value in whole.items():
        if isinstance(value, float):
            assert passing[path] == pytest.approx(value, rel=1e-6, abs=1e-9, nan_ok=True), path
        else:
            assert passing[path] == value, path
