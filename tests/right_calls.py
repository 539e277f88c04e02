"""A right value for every argument that a public function needs, by the argument's name, or for one function alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from tests.checkpoints.written import flat_state

import modscope as ms
from modscope import analysis, operations, planted, progress, report, signal
from modscope.operations import Operation, parsed

__all__ = ["KEYS", "P", "Right"]

P, KEYS = 7, [1, 3]


class Right:
    """Made once, in a folder."""

    def __init__(self, folder: Path) -> None:
        network, task = planted.rectified_sum(P, KEYS, phases=4)
        self.acts = acts = ms.record(network, task)
        x, logits = acts.at("mlp_post"), acts.at("logits")
        checkpoint = ms.open_checkpoint(ms.save_safetensors(folder / "net.safetensors", network, task))
        run = ms.Run.of(checkpoint)
        self.curve, self.answers = folder / "curve.csv", folder / "answers.csv"
        self.curve.write_text("epoch,loss.train\n0,1\n100,2\n")
        added = np.add.outer(np.arange(P), np.arange(P)) % P
        self.answers.write_text("\n".join(",".join(map(str, row)) for row in added))
        rows = np.random.default_rng(0).normal(size=(P, 4))
        shares = xr.DataArray([0.7, 0.2, 0.1], dims="k", coords={"k": [1, 2, 3]})
        tokens = xr.DataArray(rows, dims=("token", "d_model"))
        over_epochs = progress.measured(run, _norm)
        self.values: dict[str, Any] = {
            "acts": acts, "source": acts, "network": network, "task": task, "hook": "mlp_post", "p": P, "n": P, "k": 1, "j": 1, "length": P,
            "key_frequencies": KEYS, "frequencies": KEYS, "ks": KEYS, "x": x, "axis": "a", "axes": "a", "logits": logits, "labels": task.labels,
            "waves": analysis.neurons.waves(acts), "operation": "add", "a": 1, "b": 1, "c": 1, "run": run, "runs": {"one": run, "two": run},
            "across": "neuron", "before": "mlp_pre", "after": "mlp_post", "table": added, "text": "a + b", "path": self.curve, "answers": added,
            "values": x.values, "number": 4, "first": "c", "second": "a", "wave": rows[:, 0], "embedding": rows, "share": 0.5, "shares": shares,
            "function": _sums, "phases": [0.0, 1.0], "trend": "linear", "s": 1, "direction": "sum", "dataset": over_epochs, "threshold": 0.5,
            "checkpoint": checkpoint, "paper": "zhong2023", "bias": 0.0, "pre": acts.at("mlp_pre"), "weighted": True, "of": _norm, "head": 0, "dim": 0,
            "replace": {"mlp_post": "zero"}, "part": "linear", "turns": [0.5], "module": _Sums(), "inputs": ["a", "b"], "at": [0.5],
            "names": None, "dims": ("d_model",),
        }  # fmt: skip
        torch.save({"state_dicts": [flat_state(network)] * 2, "epochs": [0, 100]}, folder / "many.pt")
        series = ms.Run.of(ms.open_checkpoint(folder / "many.pt"))
        first = next(iter(analysis.causes.ablations(acts, KEYS)))
        result = analysis.ablate_all(acts, KEYS, names=[first], controls=2)
        losses = np.array([2.0, 0.1, 0.01])
        # where an argument means something else than elsewhere, or its default would take long
        self.special: dict[str, dict[str, Any]] = {
            "ablate": {"name": first, "controls": 2},
            "ablate_all": {"names": [first], "controls": 2},
            "ablate_with": {"controls": 2},
            "ablation_dataset": {"results": result},
            "ablation_table": {"results": result},
            "against_curve": {"found": over_epochs, "curve": {"epoch": np.array([0.0]), "norm": np.array([1.0])}},
            "answer_amplitudes": {"logits": logits},
            "answer_waves": {"alpha": np.ones(P // 2 + 1)},
            "clusters": {"fve": analysis.neurons.fve(x)},
            "compare": {"measures": "fast"},
            "component_norms": {"table": rows},
            "energy_shares": {"table": rows},
            "envelope_fit": {"Z": analysis.stream.center_phasors(acts, KEYS)},
            "findings": {"only": ["one-frequency"]},
            "geometry_of": {"operation": Operation.of("add")},
            "group_table": {"name": "C7"},
            "group_order": {"name": "C7"},
            "gradient_symmetricity": {"triples": 5},
            "distance_irrelevance": {"logits": logits.values},
            "lottery": {"runs": [series, series], "draws": 10},
            "mixture": {"shares": {"clock": 0.5, "pizza": 0.5}},
            "running_sum": {"pre": acts.at("mlp_pre").transpose("neuron", "a", "b")},
            "logits_of_labels": {"logits": logits.values},
            "logits_of_pairs": {"logits": logits.values, "pairs": np.array([0, 1])},
            "own_curves": {"found": over_epochs},
            "unmeasured_columns": {"found": over_epochs, "curve": {"epoch": np.array([0.0]), "loss": np.array([1.0])}},
            "margins": {"logits": logits.values},
            "measure_table": {"name": next(iter(analysis.MEASURES))},
            "part_of": {"x": x.values, "found": analysis.plane.marginals(acts, "mlp_post")},
            "period_basis": {"periods": [3.0]},
            "phase_distance": {"first": x, "second": 0.1},
            "phases_of": {"epochs": np.array([0, 1, 2]), "train_accuracy": 1 - losses / 3, "test_accuracy": 1 - losses / 3, "test_loss": losses, "weight_norm": losses},
            "polynomial_of": {"x": parsed("a + b")},
            "polynomial_text": {"polynomial": operations.polynomial_of(parsed("a + b"))},
            "product_and_sum_of_waves": {"frequencies": (1, 3), "phases": (0.0, 1.0)},
            "progress": {"measures": "fast"},
            "quadrature_errors": {"numbers": [2], "arcs": [1.0], "draws": 2},
            "report_page": {"look": report.Look(analysis.overview.summarise(acts), acts, title="net")},
            "residues_in": {"values": [1, 2]},
            "rebuilt_from": {"waves": tokens},
            "rebuilt_waves": {"hook": "q"},
            "spectral_matmul": {"x": tokens, "weight": xr.DataArray(np.ones((4, 2)), dims=("d_model", "neuron")), "axes": "token"},
            "split_frequencies": {"axes": "a"},
            "synthesise": {"phasors": signal.spectrum(x, "a")},
            "table_from": {"path": self.answers},
            "table_of": {"results": analysis.neurons.cluster_summary(analysis.neurons.waves(acts, KEYS)), "title": "clusters", "rows": "k"},
            "tap_coherence": {"name": "W_out"},
            "top_terms": {"plane": analysis.plane.coefficient_plane(acts, "mlp_post", 0)},
            "from_fourier": {"x": signal.to_fourier(x, "a")},
            "wave_defect": {"y": x},
            "wave_defects": {"x": tokens, "axis": "token", "item": "d_model"},
            "wave_groups": {"defects": signal.wave_defects(tokens, "token", "d_model")},
            "weight_table": {"which": "embedding"},
            "wave_rows": {"hooks": ["q"]},
            "relation_defects": {"x": tokens, "axis": "token", "across": "d_model"},
            "group_defects": {"hook": "q", "across": "d_head"},
            "worst_examples": {"table": analysis.overview.examples(acts)},
        }  # fmt: skip

    def strangers(self, argument: str) -> tuple[Any, ...]:
        """What would be right for a network of another p."""
        network, task = planted.clock(5, [1])
        acts = ms.record(network, task)
        return {
            "acts": (acts,), "source": (acts,), "task": (task,), "network": (network,), "x": (acts.at("mlp_post"),), "logits": (acts.at("logits"),),
            "labels": (task.labels,), "answers": (task.labels,), "waves": (analysis.neurons.waves(acts),), "values": (acts.at("mlp_post").values,),
            "found": (analysis.plane.marginals(acts, "mlp_post"),), "p": (5, 6), "k": (4,), "n": (5,),
        }.get(argument, ())  # fmt: skip


def _sums(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.eye(P)[(a + b) % P]


def _norm(acts: Any) -> xr.Dataset:
    return xr.Dataset({"norm": float(abs(acts.at("logits")).max())})


class _Sums(torch.nn.Module):
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.eye(P)[tokens.sum(1) % P]
