"""What is known of a checkpoint and its network, as names and values for a table."""

from __future__ import annotations

from pathlib import Path

from modscope.boundary import public
from modscope.checkpoints import Checkpoint
from modscope.model import Network, TransformerConfig
from modscope.networks.kinds import described
from modscope.networks.layered_config import LayeredConfig
from modscope.report.words import loss_text, percent
from modscope.task import ModularTask, Split

__all__ = ["checkpoint_facts", "shown_path"]


@public
def shown_path(path: Path) -> str:
    """A path as a page may show it: as it was given, or the end of it where it starts at the root of somebody's disk.

    >>> shown_path(Path("runs/add113")), shown_path(Path("/home/ada/runs/add113/final.pt"))
    ('runs/add113', 'add113/final.pt')
    """
    return "/".join(path.parts[-2:]) if path.is_absolute() else str(path)


@public
def checkpoint_facts(checkpoint: Checkpoint) -> dict[str, str]:
    """The rows of the report's table about the network: where it came from, its shape, its task."""
    facts = {"file": shown_path(checkpoint.source), "layout": checkpoint.layout}
    if checkpoint.epoch is not None:
        facts["epoch"] = f"{checkpoint.epoch:,}"
    facts |= {"task": _task_text(checkpoint.task), "split": _split_text(checkpoint.task.split)}
    facts |= _network_facts(checkpoint.model)
    stated = [_stated_text(name, value) for name, value in checkpoint.stated.items()]
    if stated:
        agrees = {True: ", as measured", False: ", which is not what was measured", None: ""}[
            checkpoint.agrees
        ]
        facts["stated in the file"] = ", ".join(stated) + agrees
    return facts


def _task_text(task: ModularTask) -> str:
    formula = {"add": "a + b", "subtract": "a − b", "multiply": "a · b", "x^2+xy+y^2": "a² + ab + b²"}
    what = formula.get(task.operation)
    pairs = f"{task.p**2:,} pairs"
    return f"{what} mod {task.p}, {pairs}" if what else f"{task.operation} labels mod {task.p}, {pairs}"


def _split_text(split: Split) -> str:
    if split.kind == "none":
        return "not known; numbers are over all pairs"
    share = f"{percent(split.fraction)} of all pairs are trained on"
    names = {"python": "random.shuffle of the list of pairs", "torch": "torch.randperm"}
    return f"{share}, drawn by {names[split.kind]}, seed {split.seed}" if split.kind in names else share


def _network_facts(network: Network) -> dict[str, str]:
    config = network.config
    size = sum(weight.numel() for weight in network.weights.values())
    facts = {"network": described(network)}
    if isinstance(config, TransformerConfig | LayeredConfig):
        reads = f"reads {', '.join('“=”' if name == '=' else name for name in config.positions)}"
        looks = "each position sees itself and earlier ones" if config.causal else "each position sees all"
        facts["attention"] = f"{reads}; {looks}; attention rate {config.attention_rate:g}"
    return facts | {"activation": config.activation, "weights": f"{size:,}"}


def _stated_text(name: str, value: float) -> str:
    text = percent(value, 2) if name.endswith("accuracy") else loss_text(value)
    return f"{name.replace('_', ' ')} {text}"
