"""No verdict where nothing is known: planted networks, networks of other operations, and every file in reach."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import checkpoints_folder

from modscope import planted
from modscope.activations import record
from modscope.analysis.causes.mechanism import mechanism
from modscope.analysis.overview.summary import Summary, summarise
from modscope.checkpoints import Checkpoint, open_checkpoint
from modscope.findings import Findings, findings
from modscope.model import Network, Transformer
from modscope.operations import Operation
from modscope.report.words import verdict
from modscope.task import ModularTask, Split

KS = (1, 4, 7)
HIDDEN = Split("none")


def judged(network: Network, task: ModularTask) -> tuple[Summary, Findings]:
    acts = record(network, task)
    return summarise(acts), findings(acts)


def nothing_is_said(network: Network, task: ModularTask, why: str) -> Summary:
    """Every claim not applicable for one reason, which the cautions and the JSON give first."""
    summary, found = judged(network, task)
    assert set(found.verdicts().values()) == {"not applicable"}
    assert {finding.reason for finding in found} == {summary.grounds.why_not}
    assert why in summary.grounds.why_not
    assert summary.cautions[0] == summary.grounds.why_not
    values = summary.to_dict()
    assert next(iter(values)) == "can_be_judged"
    assert values["can_be_judged"] is False
    assert values["problems"][0]["says"] == summary.grounds.why_not
    return summary


PLANTED = {
    "clock": (lambda: planted.clock(29, KS), "product in attention (clock) 100 %"),
    "rectified sum": (lambda: planted.rectified_sum(29, KS), "rectified sum 100 %"),
    "pizza": (
        lambda: planted.pizza(29, KS),
        "rectified sum 100 %; 100 % of the circles' weight is pizza",
    ),
    "a fifth": (
        lambda: planted.between(29, KS, 0.2),
        "rectified sum 80 % / product in attention (clock) 20 %",
    ),
    "subtracting clock": (
        lambda: planted.clock(29, KS, operation="subtract"),
        "product in attention (clock) 100 %",
    ),
    "subtracting pizza": (
        lambda: planted.pizza(29, KS, operation="subtract"),
        "rectified sum 100 %; 100 % of the circles' weight is pizza",
    ),
    "every frequency": (
        lambda: planted.rectified_sum(11, (1, 2, 3, 4, 5)),
        "rectified sum 100 %",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mechanism_is_told_with_and_without_its_split(name: str) -> None:
    build, words = PLANTED[name]
    network, task = build()
    for split in (task.split, HIDDEN):
        summary, found = judged(network, replace_split(task, split))
        assert not summary.grounds.problems
        told = found["which-mechanism"].summary
        known = split is task.split
        assert told == (words if known else f"{words}; memorisation not known without a split")
        assert ("memorisation" in found["which-mechanism"].numbers) == known
        assert "without an error" in verdict(summary)
    does = "adds" if task.operation == "add" else "subtracts"
    assert verdict(summary).startswith(f"This network {does} mod {task.p}")


def replace_split(task: ModularTask, split: Split) -> ModularTask:
    return ModularTask(task.p, task.what, split, task.label_seed)


def test_where_every_frequency_is_key_there_is_no_control() -> None:
    network, task = planted.rectified_sum(11, (1, 2, 3, 4, 5))
    _, found = judged(network, task)
    for claim in (
        "key-frequencies-suffice",
        "key-frequencies-needed",
        "logits-are-cosines",
        "rebuilt-stream",
    ):
        assert found[claim].verdict == "not applicable"
        assert "5 of the 5 frequencies are key" in found[claim].reason


def test_gelu_in_the_place_of_relu_changes_no_verdict() -> None:
    network, task = planted.clock(29, KS)
    smooth = Transformer(replace(network.config, activation="gelu"), network.weights)
    assert mechanism(record(smooth, task), KS).product > 0.9
    assert str(mechanism(record(smooth, replace_split(task, HIDDEN)), KS)).endswith("without a split")


def test_a_memoriser_is_called_so_only_where_its_split_is_known() -> None:
    network, task = planted.memoriser(16)
    summary, found = judged(network, task)
    assert verdict(summary).startswith("This network has memorised: it knows 100")
    assert found["which-mechanism"].summary == "memorisation 100 %"
    others = {finding.verdict for finding in found if finding.id != "which-mechanism"}
    assert others == {"not applicable"}
    hidden = nothing_is_said(network, replace_split(task, HIDDEN), "may have memorised")
    assert "memorisation" not in str(mechanism(record(network, replace_split(task, HIDDEN)), ()))[:30]
    assert "too few to say how" in verdict(hidden)


OTHERS = {
    "max": 13, "a/b": 13, "a^2+b^2": 13, "x^3+xy": 13, "D7": 14, "Q8": 8, "a+2b+1": 13, "A4": 12, "a-b": 13,
}  # fmt: skip


@pytest.mark.parametrize("text", OTHERS)
def test_an_operation_is_not_judged_as_another_one(text: str) -> None:
    p = OTHERS[text]
    operation = Operation.of(text)
    network = planted.answering(np.maximum(operation.labels(p), 0))
    summary = nothing_is_said(network, ModularTask(p), "the answers are those of")
    assert operation.text in summary.grounds.why_not
    assert "was opened as one that adds" in verdict(summary)
    right, found = judged(network, ModularTask(p, operation))
    assert not right.grounds.problems
    assert found.ids
    assert "memoris" not in verdict(right)
    if right.circle.sign is None:
        assert found["which-mechanism"].verdict == "not applicable"


def test_permuted_answers_and_random_tables_are_no_addition() -> None:
    rng = np.random.default_rng(0)
    p = 13
    permuted = rng.permutation(p)[ModularTask(p).labels]
    summary = nothing_is_said(planted.answering(permuted), ModularTask(p), "a circle of 13 places")
    assert summary.grounds.recognition.best.share == 1.0
    table = rng.integers(p, size=(p, p))
    nothing_is_said(planted.answering(table), ModularTask(p), "no better than guessing")
    own = summarise(record(planted.answering(table), ModularTask(p, table)))
    assert not own.grounds.problems
    assert verdict(own) == "This network gives the answers of a table without an error."


# --- files


@dataclass(frozen=True)
class Truth:
    """What is known of a file: its operation, how the headline begins, its mechanism ("-": not applicable), and words of
    its first caution ("": none)."""

    operation: str
    headline: str
    mechanism: str
    caution: str = ""
    options: tuple[tuple[str, object], ...] = ()


FILES: dict[str, Truth] = {
    "checkpoints/nanda_mainline": Truth(
        "add", "adds mod 113 without an error, on five", "rectified sum 63 %"
    ),
    "checkpoints/chughtai_C113_T_seed1": Truth("add", "adds mod 113 without an error, on three", "product"),
    "checkpoints/pizza_A/*.pt": Truth("add", "adds mod 59 without an error", "rectified sum 100 %"),
    "checkpoints/pizza_B/*.pt": Truth("add", "adds mod 59 without an error", ""),
    "checkpoints/flat_p113/checkpoint_final.pt": Truth("add", "adds mod 113 without an error, on four", ""),
    "checkpoints/flat_p113/checkpoint_e001000.pt": Truth("add", "has memorised", "-", "it has memorised"),
    "cases/network_q.pt": Truth("divide", "divides mod 29 with three errors", ""),
    "cases/network_r.pt": Truth("a^2+b^2", "computes a²+b² mod 29", "-", "do not turn on a circle"),
    "cases/network_s.pt": Truth("max", "computes max(a,b) of 0 to 28", "-", "do not turn on a circle"),
    "cases/network_u.pt": Truth("D14", "multiplies in the group D14", "-", "do not turn on a circle"),
    "cases/network_v.pt": Truth("add", "adds mod 23 without an error", ""),
    "cases/network_v.pt@1": Truth("add", "adds mod 23", "-", "no better than guessing", (("epoch", 1),)),
    "cases/network_w": Truth("add", "adds mod 23 without an error", ""),
    "cases/network_t.pt": Truth("add", "adds mod 29 with 23 errors", ""),
    "cases/network_y.pth": Truth("add", "adds mod 23 without an error", ""),
    "cases/network_z.pt": Truth("add", "adds mod 23 with one error", ""),
    "cases/network_x": Truth("add", "adds mod 23 without an error", ""),
}


def opened(name: str, truth: Truth) -> Checkpoint:
    path, _, _ = name.partition("@")
    folder, _, rest = path.partition("/")
    root = checkpoints_folder()
    root = root if folder == "checkpoints" else Path(os.environ.get("MODSCOPE_CASES", root.parent / "cases"))
    found = sorted(root.glob(rest))
    if not found:
        pytest.skip(f"{name} is not at {root}")
    return open_checkpoint(found[0], **dict(truth.options))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FILES)
def test_what_is_said_of_a_file_is_true(name: str) -> None:
    truth = FILES[name]
    checkpoint = opened(name, truth)
    assert checkpoint.task.operation == truth.operation
    acts = record(checkpoint.model, checkpoint.task)
    summary = summarise(acts, stated=checkpoint.stated)
    assert truth.headline in verdict(summary)
    assert bool(truth.caution) == bool(summary.cautions) or summary.cautions[0].startswith(
        "the key frequencies'"
    )
    if truth.caution:
        assert truth.caution in summary.cautions[0]
    found = findings(checkpoint, only=["which-mechanism"])["which-mechanism"]
    if truth.mechanism == "-":
        assert found.verdict == "not applicable"
    else:
        assert found.verdict in ("holds", "holds in part")
        assert truth.mechanism in found.summary
    assert found.reason == checkpoint.grounds.why_not or not checkpoint.grounds.problems
