"""Every command on trained networks of several layers, of attention alone, and of gated neurons behind norms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from modscope.activations import Activations, record
from modscope.analysis.causes.ablation import ablate_all
from modscope.analysis.causes.mechanism import mechanism
from modscope.analysis.overview.measures import MEASURES, measure_table
from modscope.analysis.overview.summary import summarise
from modscope.analysis.weights.maps import linear_maps, map_gains
from modscope.checkpoints import open_checkpoint
from modscope.cli import app
from modscope.errors import NotApplicable
from modscope.findings import findings
from modscope.runs.run import Run
from modscope.viewer.catalogue import Catalogue

TRAINED = Path(__file__).parent / "trained"
NAMES = ("two_layers_norm", "attention_only", "gated_rotary")


@pytest.fixture(scope="module", params=NAMES)
def path(request: pytest.FixtureRequest) -> Path:
    return TRAINED / f"{request.param}.safetensors"


@pytest.fixture(scope="module")
def acts(path: Path) -> Activations:
    checkpoint = open_checkpoint(path)
    return record(checkpoint.model, checkpoint.task)


def test_the_network_knows_its_task(acts: Activations) -> None:
    assert summarise(acts).accuracy.test > 0.9


def test_mechanisms_are_those_of_one_plain_layer(acts: Activations) -> None:
    with pytest.raises(NotApplicable, match="one layer without norms; this network has"):
        mechanism(acts)


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_gives_a_table_or_says_why_not(acts: Activations, name: str) -> None:
    try:
        table = measure_table(acts, name, (2, 5))
    except NotApplicable as error:
        assert str(error).startswith("not applicable: ")  # noqa: PT017 - one of two good outcomes
    else:
        assert table.rows


def test_ablations_run_and_name_the_layer(acts: Activations) -> None:
    chosen = ["pattern-mean", "attention-mean", "embeddings-permuted/n=2"]
    results = ablate_all(acts, (2, 5), names=chosen, controls=1)
    assert all(0 <= result.ablated.accuracy.all <= 1 for result in results)
    if any(hook.startswith("blocks.1") for hook in acts):
        assert results[0].says.startswith("layer 1: ")


def test_claims_are_judged_or_not_applicable(acts: Activations) -> None:
    found = findings(acts)
    assert found["which-mechanism"].verdict == "not applicable"
    if "ln_final" in acts:
        assert "a norm stands between" in found["rebuilt-stream"].reason
    if "mlp_post" not in acts:
        assert "no MLP" in found["output-phase"].reason


def test_replaced_by_itself_nothing_changes(acts: Activations) -> None:
    for hook in (h for h in acts.joint_hooks if h != "logits"):
        blocks = [x["logits"] for _, x in acts.resume({hook: acts.at(hook).values})]
        np.testing.assert_allclose(np.concatenate(blocks), acts.at("logits"), atol=2e-4, err_msg=hook)


def test_every_linear_map_makes_what_it_writes(acts: Activations) -> None:
    gains = map_gains(acts)
    assert set(gains["map"].values) == set(linear_maps(acts.model))
    for m in linear_maps(acts.model).values():
        if not acts.is_joint(m.reads):
            continue
        x, written = acts.at(m.reads).values, acts.at(m.writes).values
        product = (
            x.reshape(23, 23, -1) @ m.weight.values.reshape(m.channels, -1) if m.weight.ndim == 2 else None
        )
        if product is not None:
            rest = (written - product).reshape(529, -1)
            np.testing.assert_allclose(rest - rest[:1], 0, atol=2e-4, err_msg=m.name)  # a bias is left


def test_every_array_of_the_viewer_has_its_layout(path: Path) -> None:
    catalogue = Catalogue(Run.open(path))
    names = [offer.name for offer in catalogue.offers]
    assert len(set(names)) == len(names)
    assert catalogue.pick().name.endswith("resid_post")
    for offer in catalogue.offers:
        for position in offer.positions or (None,):
            layout = catalogue.layout(catalogue.pick(offer.group, offer.name, position, None))
            assert min(layout.shape) > 0


def test_the_command_line(tmp_path: Path) -> None:
    path = str(TRAINED / "attention_only.safetensors")
    more = ["--no-findings", "--no-open", "--out", str(tmp_path / "page.html")]
    for arguments in (["inspect", path], ["report", path, *more]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert "Traceback" not in result.output
