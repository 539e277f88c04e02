"""The knob: whatever slice is asked for, it is the activation of the turned network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modscope import planted
from modscope.activations import record
from modscope.analysis.causes.turning import turned_pictures
from modscope.checkpoints import save_safetensors
from modscope.cli.view import _opened, _turning
from modscope.errors import InputError
from modscope.model import Transformer, TransformerConfig
from modscope.orders import in_order
from modscope.task import ModularTask
from modscope.viewer.serve import RunPage

P, KS = 29, (1, 4, 7)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> RunPage:
    network, task = planted.rectified_sum(P, KS)
    path = save_safetensors(tmp_path_factory.mktemp("turns") / "net.safetensors", network, task)
    return _turning(opened(path))


def opened(path: Path) -> RunPage:
    return _opened(path, mapping=None, config=None, p=None, operation=None)


def test_the_answer_moves_as_the_knob_is_turned(page: RunPage) -> None:
    pick = page.catalogue.pick()
    assert pick.name == "logits"
    layout = page.catalogue.layout(pick)
    assert layout.dims == ("turn", "answer", "a", "b")
    assert page.notes[0] == "the circles 1, 4, 7 of the embedding turned: by s, the answer moves by 2 s"
    logits = page.slices.read(pick, [0, 1], [0, 0, 3, 5])
    assert logits.argmax(axis=1).tolist() == [(8 + 2 * s) % P for s in range(P)]
    answer = page.catalogue.pick("activations", "answer", None, "c,a")
    whole = page.slices.read(answer, [1, 2], [4, 0, 0])
    assert np.array_equal(whole, np.broadcast_to((np.arange(P)[:, None] + 8) % P, (P, P)))


def test_slices_are_those_of_the_turned_network(page: RunPage) -> None:
    acts = record(page.run.model(), page.run.task)
    for hook, order in (("logits", "a,b"), ("mlp_post", "c,a"), ("resid_post", "c,b")):
        pick = page.catalogue.pick("activations", hook, None, order)
        found = turned_pictures(acts, KS, [2.0], hook=hook).isel(turn=0)
        found = found if order == "a,b" else in_order(found, *order.split(","))
        expected = found.transpose(..., *order.split(",")).values
        assert np.allclose(page.slices.read(pick, [1, 2, 3], [2, 0, 0, 0]), expected, atol=1e-4)
        assert np.allclose(page.slices.read(pick, [3, 1], [2, 0, 6, 0]), expected[:, 6].T, atol=1e-4)
        assert np.allclose(page.slices.read(pick, [2], [2, 1, 0, 3]), expected[1, :, 3], atol=1e-4)


def test_the_page_opens_with_the_knob_on_play(page: RunPage) -> None:
    description = page.description(page.catalogue.pick())
    state = description["spec"]["views"][0]["state"]
    assert (state["play"], state["x"]) == ("turn", "answer")
    json.dumps(description, allow_nan=False)


def test_a_network_without_key_frequencies_has_no_knob(tmp_path: Path) -> None:
    network = Transformer.initialised(TransformerConfig(7, d_model=8, n_heads=2, d_mlp=8))
    other = save_safetensors(tmp_path / "net.safetensors", network, ModularTask(7, "max"))
    with pytest.raises(InputError, match=r"not applicable: .*nothing turns"):
        _turning(opened(other))
