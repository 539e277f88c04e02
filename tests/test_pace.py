"""Long work says how far it is: to whoever watches, on a terminal, and in one sentence where there is none."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.processes import in_terminal

import modscope as ms
from modscope import bars
from modscope.activations import record
from modscope.analysis.causes import ablate_all
from modscope.bars import shown_in_notebook, shown_work
from modscope.checkpoints import answers, open_checkpoint, save_safetensors
from modscope.findings import CLAIMS, findings
from modscope.model import Transformer, TransformerConfig
from modscope.pace import is_watched, paced, told, watched_by
from modscope.task import ModularTask


class Heard:
    """What was told, stretch by stretch."""

    def __init__(self) -> None:
        self.open: dict[int, str] = {}
        self.told: list[tuple[str, int, int | None]] = []

    def begun(self, what: str, of: int | None) -> int:
        number = len(self.told) + len(self.open) + 1
        self.open[number] = what
        return number

    def reached(self, stretch: int, done: int, of: int | None, what: str | None) -> None:
        self.told.append((what or self.open[stretch], done, of))

    def ended(self, stretch: int) -> None:
        del self.open[stretch]


@given(sizes=st.lists(st.integers(1, 9), max_size=6), taken=st.integers(0, 6))
def test_each_step_is_passed_on_and_told_when_it_is_done(sizes: list[int], taken: int) -> None:
    heard = Heard()
    with watched_by(heard):
        steps = paced(sizes, "work", sum(sizes), size=int)
        got = [next(steps, None) for _ in range(taken)]
        steps.close()
    assert [one for one in got if one is not None] == sizes[:taken]
    done = sizes[: max(0, taken - 1)]  # the last that was asked for may still be under way
    assert [done for _, done, _ in heard.told] == np.cumsum(done, dtype=int).tolist()
    assert not heard.open
    assert not is_watched()


def test_who_watches_one_thread_is_not_told_of_another() -> None:
    heard = Heard()
    with watched_by(heard):
        own = contextvars.copy_context()  # as a server gives its own to its threads
        other = threading.Thread(target=lambda: own.run(list, paced(range(3), "elsewhere")))
        other.start()
        other.join()
        with told("outer", 2) as reached:
            reached(1, 3, "outer, b")
    assert heard.told == [("outer, b", 1, 3)]
    assert not heard.open


def network(p: int, d: int = 1) -> tuple[Transformer, ModularTask]:
    return Transformer.initialised(TransformerConfig(p, d_model=d, n_heads=1, d_mlp=d)), ModularTask(p)


def test_the_work_on_a_network_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_HELD", 0)  # all logits are made block by block
    heard, path = Heard(), save_safetensors(tmp_path / "net.safetensors", *network(12))
    with watched_by(heard):
        checkpoint = open_checkpoint(path)
        record(checkpoint.model, checkpoint.task).load("mlp_post")
        findings(checkpoint)
        ablate_all(record(*network(6)), [1], names=["mlp-mean"], controls=3)
    for what, of in (
        ("logits of all 12 * 12 pairs", 12),
        ("polynomials that the answers mod 12 might be", 124),
        ("mlp_post of all 12 * 12 pairs", 12),
        ("judging claims", len(CLAIMS)),
        ("mlp-mean", 3),
    ):
        assert [done for name, done, _ in heard.told if name == what][-1] == of, what
    assert not heard.open


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass for what is shown."""
    now = [0.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    return passes


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(2.0, "hooks: about 20 s, going by the first 1 of 9\n"), (70.0, "hooks: about 10 min, going by the first 1 of 9\n"), (0.9, ""), (1.05, "")],
)  # fmt: skip
def test_without_a_terminal_long_work_is_one_sentence_and_short_work_none(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str], seconds: float, said: str
) -> None:
    with shown_work():
        for _ in paced(range(9), "hooks"):
            clock(seconds)
    assert capsys.readouterr() == ("", said)


def test_where_the_first_step_is_long_what_is_known_of_it_is_said(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with shown_work():
        for _ in paced(range(2), "claims"):
            for _ in paced(range(30), "rows"):
                clock(1.5)
    assert capsys.readouterr().err == "claims, rows: about 40 s, going by the first 1 of 30\n"


def test_at_a_prompt_what_is_called_is_shown_and_in_a_script_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with shown_in_notebook():
        assert not is_watched()
    monkeypatch.setattr("sys.ps1", ">>> ", raising=False)
    with shown_in_notebook():
        assert is_watched()
    seen = []

    def unchanged(x: np.ndarray) -> np.ndarray:
        seen.append(is_watched())
        return x

    ms.open().with_(mlp_pre=unchanged)["mlp_pre"]
    assert seen
    assert all(seen)


def test_on_a_terminal_inspect_shows_how_far_it_is_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    path = save_safetensors(tmp_path / "large.safetensors", *network(1800))
    code, drawn = in_terminal(
        ["inspect", str(path)], interrupt=lambda drawn: "logits of all 1800 * 1800 pairs" in drawn
    )
    assert (code, "Traceback" in drawn) == (130, False), drawn
    assert "/1800" in drawn
    assert drawn.rstrip().splitlines()[-1].endswith("modscope: stopped")
