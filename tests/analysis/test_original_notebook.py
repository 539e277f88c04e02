"""The table of the original notebook names calls that exist and run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modscope as ms
from modscope.analysis.neurons import waves as neurons
from modscope.model import Transformer, TransformerConfig
from modscope.task import ModularTask

DOC = Path(__file__).resolve().parents[2] / "docs" / "original-notebook.md"
KEYS = (2, 5)


def rows() -> list[list[str]]:
    lines = [line for line in DOC.read_text().splitlines() if re.match(r"\| \d", line)]
    return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]


def calls() -> list[str]:
    return sorted({code for row in rows() for code in re.findall(r"`([^`]+)`", row[2])})


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that the opening of the page defines, for a small network with two planted frequencies."""
    code = re.search(r"```python\n(.*?)\n\n", DOC.read_text(), re.S)
    assert code
    found: dict[str, Any] = {}
    exec(code.group(1), found)
    p = 13
    config = TransformerConfig(p, d_model=12, n_heads=2, d_head=5, d_mlp=16)
    generator = torch.Generator().manual_seed(0)
    weights = {n: torch.randn(s, generator=generator) / 3 for n, s in config.shapes().items()}
    tokens = np.arange(p)[:, None]
    planted = np.cos(2 * np.pi * np.repeat(KEYS, 6) * tokens / p + np.arange(12))
    weights["embed.W_E"][:p] = torch.from_numpy(planted).float()
    network, task = Transformer(config, weights), ModularTask(p)
    path = ms.save_safetensors(tmp_path_factory.mktemp("run") / "network.safetensors", network, task)
    acts = ms.record(network, task)
    waves = neurons.neuron_waves(acts, KEYS, rule="along b")
    k = int(waves.frequency[0])
    found |= {
        "run": found["Run"].open(path),
        "checkpoint": ms.open_checkpoint(path),
        "acts": acts,
        "keys": KEYS,
        "p": p,
        "k": k,
        "waves": waves,
        "members": np.flatnonzero(waves.frequency == k),
    }
    return found


def test_every_cell_is_in_the_table_once() -> None:
    assert all(len(row) == 4 for row in rows())
    cells = [int(cell) for row in rows() for cell in row[0].split(", ")]
    assert sorted(cells) == list(range(1, 59))


@pytest.mark.parametrize("call", calls())
def test_every_call_runs(call: str, names: dict[str, Any]) -> None:
    if re.search(r"\bms\.(show|heatmap)\b", call) and not hasattr(ms, "show"):
        pytest.skip("the interactive view is not installed")
    assert eval(call, names) is not None
