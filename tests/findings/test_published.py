"""The findings on published networks, and their agreement with a notebook's way of computing them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from modscope import planted
from modscope.activations import record
from modscope.checkpoints import open_checkpoint
from modscope.findings import Findings, findings


@pytest.fixture
def nanda(mainline_findings: Findings) -> Findings:
    return mainline_findings


HOLD_OF_NANDA = {
    "sparse-embedding",
    "turned-circles",
    "reversed-inputs",
    "even-about-half-c",
    "one-frequency",
    "phases-agree",
    "phases-tile",
    "output-phase",
    "rebuilt-stream",
    "shared-phases",
    "logits-are-cosines",
    "key-frequencies-suffice",
    "key-frequencies-needed",
}
IN_PART = {
    "which-mechanism",
    "distance-irrelevant",
    "products-not-needed",
    "second-harmonics",
}
NOT_OF_NANDA = {"cosines-carry-the-answer", "equal-weights", "constant-attention"}


def test_verdicts_on_the_main_run(nanda: Findings) -> None:
    verdicts = nanda.verdicts()
    assert {name for name, verdict in verdicts.items() if verdict == "holds"} == HOLD_OF_NANDA
    assert {name for name, verdict in verdicts.items() if verdict == "holds in part"} == IN_PART
    assert {name for name, verdict in verdicts.items() if verdict == "does not hold"} == NOT_OF_NANDA


def test_numbers_of_the_main_run(nanda: Findings) -> None:
    def number(claim: str, name: str) -> float:
        return nanda[claim].numbers[name]

    assert number("sparse-embedding", "share at the key frequencies") == pytest.approx(0.927, abs=5e-4)
    assert number("one-frequency", "neurons explained") == 443
    assert [number("one-frequency", f"neurons of frequency {k}") for k in (14, 35, 41, 42, 52)] == [
        44, 95, 145, 87, 72,
    ]  # fmt: skip
    published = number("logits-are-cosines", "share of variance with each pair's mean counted")
    assert published == pytest.approx(0.95385, abs=5e-6)
    assert nanda["logits-are-cosines"].effect.value == pytest.approx(published, abs=5e-4)
    assert number("logits-are-cosines", "loss of the fit") == pytest.approx(3.514e-08, rel=2e-3)
    assert number("key-frequencies-suffice", "restricted loss, all") == pytest.approx(4.3352e-08, rel=1e-3)
    assert number("key-frequencies-needed", "excluded loss, all") == pytest.approx(6.913, abs=1e-3)
    assert number("key-frequencies-needed", "excluded loss, train") == pytest.approx(6.5818, abs=1e-3)
    assert number("shared-phases", "by row, all dimensions alike") == pytest.approx(0.189, abs=1e-3)
    assert number("rebuilt-stream", "with a bias free in c") == pytest.approx(0.97036, abs=1e-5)
    assert number("distance-irrelevant", "distance irrelevance") == pytest.approx(0.7498, abs=1e-4)
    error = number("distance-irrelevant", "gradient symmetricity, standard error")
    assert 0.002 < error < 0.02
    assert number("distance-irrelevant", "gradient symmetricity") == pytest.approx(0.37, abs=4 * error)
    assert number("constant-attention", "accuracy, constant pattern") == pytest.approx(0.449, abs=2e-3)


def test_the_main_run_is_in_part_both(nanda: Findings) -> None:
    found = nanda["which-mechanism"]
    assert found.verdict == "holds in part"
    assert found.numbers["rectified sum"] == pytest.approx(0.632, abs=0.005)
    assert found.numbers["product in attention"] == pytest.approx(0.359, abs=0.005)
    assert found.summary.startswith("rectified sum 63 % / product in attention (clock) 36 %")


def test_a_memorised_network_is_called_so(published: Path) -> None:
    found = findings(open_checkpoint(published / "flat_p113" / "checkpoint_e001000.pt"))
    assert set(found.verdicts().values()) == {"not applicable"}
    assert all(finding.reason.startswith("it has memorised, as its file states") for finding in found)


def test_effects_agree_with_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    plain = __import__("plain_findings")
    network, task = planted.pizza(59, (3, 8, 14, 22))
    network = network.to(torch.float32)
    theirs, found = plain.plain_findings(network, task), findings(record(network, task))
    sys.modules.pop("plain_findings")
    assert set(theirs) == set(found.ids)
    for finding in found:
        effect, _ = theirs[finding.id]
        assert effect == pytest.approx(finding.effect.value, rel=2e-3, abs=2e-3), finding.id


@pytest.mark.slow
def test_a_large_modulus_fits_in_four_gigabytes() -> None:
    import subprocess

    code = (
        "import torch; from modscope import planted; from modscope.activations import record\n"
        "from modscope.findings import findings\n"
        "network, task = planted.rectified_sum(331, (3, 20, 50, 77, 101, 130, 149, 160))\n"
        "found = findings(record(network.to(torch.float32), task))\n"
        "assert found['which-mechanism'].summary == 'rectified sum 100 %'\n"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc, which this system does not have")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True)
    assert int(done.stdout.split()[-1]) / 1024**2 < 4.0
