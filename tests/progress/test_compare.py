"""Networks side by side, and a run against a published curve."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from tests.training.small import small
from typer.testing import CliRunner

from modscope.cli import app
from modscope.errors import InputError
from modscope.progress import against_curve, columns, compare, progress, read_curve
from modscope.runs import Run, written
from modscope.training.running import train

SOME = ["loss", "sparsity"]


def curve_file(folder: Path, text: str) -> Path:
    file = folder / "curve.csv"
    file.write_text(text)
    return file


def test_each_column_is_the_last_epoch_of_its_run(run: Run) -> None:
    early = Run(run.path, run.task, run.epochs[:3], run.losses, files=run.files, _network_at=run._network_at)
    found = compare({"late": run, "early": early}, measures=SOME)
    alone = columns(progress(run, measures=SOME))
    for name, (late, first) in found.values.items():
        assert late == alone[name][-1]
        assert first == alone[name][2]
        assert found.difference(name) == (0.0, first - late)
    assert "loss.test" in found.largest(5)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["networks"] == ["late", "early"]


def test_networks_of_other_p_are_compared_where_they_can_be(run: Run, tmp_path: Path) -> None:
    other = train(small(), tmp_path / "seven")
    found = compare({"one": run, "two": other}, measures=[*SOME, "clusters"])
    assert math.isfinite(found.values["gini.embedding"][1])
    keys = [name for name in found.values if name.startswith("cluster_neurons")]
    assert keys


def test_one_network_is_too_few(run: Run) -> None:
    with pytest.raises(InputError, match="at least two"):
        compare({"one": run})


def test_a_run_against_its_own_curve_is_not_apart_and_against_another_it_is(run: Run, tmp_path: Path) -> None:
    found = progress(run, measures=["loss"])
    own = {"epoch": found.epoch.values.astype(float), "test_loss": columns(found)["loss.test"]}
    (match,) = against_curve(found, own)
    assert (match.column, match.points, match.largest) == ("loss.test", len(run.epochs), 0.0)
    (apart,) = against_curve(found, own | {"test_loss": 10 * own["test_loss"]})
    assert apart.median == pytest.approx(1.0)
    between = {"epoch": np.array([40.0, 5000.0]), "loss.train": np.array([1.0, 1.0])}
    (inside,) = against_curve(found, between)
    assert inside.points == 1
    logs = np.log10(columns(found)["loss.train"])
    assert inside.largest == pytest.approx(abs((logs[0] + logs[1]) / 2))


def test_curves_without_anything_in_common_are_said(run: Run) -> None:
    found = progress(run, measures=["loss"])
    with pytest.raises(InputError, match="train_loss"):
        against_curve(found, {"epoch": np.array([0.0]), "what": np.array([1.0])})
    with pytest.raises(
        InputError, match="none of the curve's 1 points lies inside of the run, which goes from epoch 0 to"
    ):
        against_curve(found, {"epoch": np.array([9e9]), "test_loss": np.array([1.0])})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first column is called epoch or step"),
        ("epoch,test_loss\n", "with a line or more"),
        ("loss,epoch\n1,2\n", "first column"),
        ("epoch;test_loss\n1;2\n", "first column"),
        ("epoch,test_loss\n1,x\n", "line 2, test_loss: expected a number, not 'x'"),
        ("epoch,test_loss\n1,2\n2,2,3\n", "line 3 has 3 cells, its head 2"),
        ("epoch,test_loss\n\n,2\n", "line 3: expected a number as its epoch"),
        ("epoch,test_loss\ninf,2\n", "expected a number as its epoch"),
        ("epoch,test_loss\n1,2\n3,2\n1,3\n", "epoch 1 stands there twice"),
        ("epoch,test_loss\n1,-2\n", "a loss is not below 0, and this is -2"),
        ("epoch,test_loss,test_loss\n1,2,3\n", "two of its columns have one name"),
        ("\x00", "curve.csv"),
    ],
)
def test_files_that_are_no_curve_are_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        read_curve(curve_file(tmp_path, text))
    with pytest.raises(InputError, match="cannot be read as CSV: No such file"):
        read_curve(tmp_path / "missing.csv")


def test_lines_of_a_curve_may_stand_in_any_order(tmp_path: Path) -> None:
    found = read_curve(curve_file(tmp_path, "\ufeffepoch,test_loss\n50,1\n0,2\n"))
    assert (found["epoch"].tolist(), found["test_loss"].tolist()) == ([0, 50], [2, 1])


def test_losses_of_a_run_are_compared_at_the_steps_they_were_written(run: Run) -> None:
    # Between checkpoints the test loss is not a straight line: the run's own losses, thinned, lie on it.
    scored = written(run.losses, "test_loss")
    theirs = {"epoch": scored.epoch.values.astype(float), "test_loss": scored.values}
    found = progress(run, measures=["loss"])
    (fine,) = against_curve(found, theirs, losses=run.losses)
    (coarse,) = against_curve(found, theirs)
    assert (fine.largest, fine.points, fine.left_out, fine.apart) == (0.0, len(scored), 0, 10)
    assert coarse.largest > 0.01
    assert coarse.apart == 80
    assert "ours every 10 steps or less" in str(fine)
    (short,) = against_curve(found, theirs | {"epoch": theirs["epoch"] + 400}, losses=run.losses)
    assert (short.left_out, short.points) == (40, len(scored) - 40)


def test_empty_cells_are_gaps(tmp_path: Path) -> None:
    found = read_curve(curve_file(tmp_path, "step, test_loss\n0,2\n10,\n"))
    assert found["epoch"].tolist() == [0, 10]
    assert math.isnan(found["test_loss"][1])


def test_the_command(grokked: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    train(small(), tmp_path / "seven")
    both = [str(grokked), str(tmp_path / "seven")]
    text = runner.invoke(app, ["compare", *both, "--measures", "loss,sparsity"])
    assert text.exit_code == 0, text.output
    assert "key frequencies" in text.stdout
    assert "sparse-embedding" in text.stdout
    drawn = tmp_path / "curves.svg"
    figure = runner.invoke(
        app, ["compare", *both, "--measures", "loss", "--no-findings", "--figure", str(drawn), "--json"]
    )
    assert figure.exit_code == 0, figure.output
    assert drawn.read_text().startswith("<?xml")
    assert json.loads(figure.stdout)["networks"] == ["run", "seven"]
    curve = curve_file(tmp_path, "epoch,test_loss\n0,2.5\n80,3\n")
    against = runner.invoke(app, ["compare", str(grokked), "--curve", str(curve)])
    assert against.exit_code == 0, against.output
    assert "loss.test: 2 points" in against.stdout
    of_a_measure = curve_file(tmp_path, "epoch,circularity\n0,.5\n80,.5\n")
    against = runner.invoke(app, ["compare", str(grokked), "--curve", str(of_a_measure)])
    assert "circularity: 2 points" in against.stdout
    unknown = runner.invoke(app, ["compare", *both, "--figure", str(tmp_path / "curves.txt")])
    assert "expected a name that ends with .svg, .png, .pdf" in str(unknown.exception)
    alone = runner.invoke(app, ["compare", str(grokked)])
    assert "give a second one" in str(alone.exception)
