"""What is attacked: a file of each kind that modscope opens, how it is damaged, and everything that is asked of it then."""

from __future__ import annotations

import io
import json
import random
import shutil
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load, save
from tests.checkpoints.written import flat_state, lens_state, old_state, random_transformer
from tests.fuzz.mutations import in_bytes, in_instructions, in_tree, toml
from tests.sweep.tiny import three_networks
from tests.training.small import small

from modscope.checkpoints import Checkpoint, open_checkpoint, save_safetensors
from modscope.runs import Run
from modscope.runs.events import Event
from modscope.sweep.population import Population
from modscope.sweep.results import Sweep
from modscope.sweep.running import write_table
from modscope.sweep.status import standing
from modscope.sweep.storage import Storage
from modscope.sweep.table import read_table, written
from modscope.task import ModularTask, Split
from modscope.training.presets import recipe_from_toml
from modscope.training.recipe import Recipe
from modscope.training.running import resume, train
from modscope.training.steering import Steering

__all__ = ["TARGETS", "Bases"]

_MAPPING: dict[str, Any] = {
    "settings": {"p": 5, "operation": "add", "activation": "relu"},
    "sizes": {"head": 2},
    "states": "",
    "ignore": ["blocks.0.attn.mask", "blocks.0.attn.IGNORE"],
    "weights": {
        "W_E": {"tensor": "embed.W_E", "axes": "vocab d_model"},
        "W_pos": {"tensor": "pos_embed.W_pos", "axes": "pos d_model"},
        **{f"W_{x}": {"tensor": f"blocks.0.attn.W_{x}", "axes": "head d_model d_head"} for x in "QKV"},
        "W_O": {"tensor": "blocks.0.attn.W_O", "axes": "head d_head d_model", "scale": 1.0},
        "W_in": {"tensor": "blocks.0.mlp.W_in", "axes": "d_model d_mlp", "take": {"d_mlp": "0:4"}},
        "b_in": {"constant": 0.0},
        "W_out": {"tensor": "blocks.0.mlp.W_out", "axes": "d_mlp d_model"},
        "W_U": {"tensor": "unembed.W_U", "axes": "d_model answer"},
    },
}
_CONFIG: dict[str, Any] = {
    "p": 5, "fn_name": "add", "frac_train": 0.3, "seed": 0, "act_fn": "relu", "n_heads": 2, "d_head": 4, "n_layers": 1,
    "normalization_type": None, "attn_scale": -1, "causal": True, "equals": True, "num_epochs": 100, "task": {"op": "+"},
    "split": {"kind": "python", "fraction": 0.5, "seed": 1, "packed_mask": ""}, "attn_coeff": 0,
}  # fmt: skip


class Bases:
    """The unharmed files, made once in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        network = random_transformer(3, p=5, d_model=8, n_heads=2, d_mlp=4)
        self.state = lens_state(network)
        self.contents: dict[str, Any] = {
            "model": old_state(network), "epoch": 3, "train_losses": [2.0, 1.5, 1.0], "test_losses": [2.0, 1.5, 1.0],
            "config": dict(_CONFIG), "train_indices": [0, 3, 4], "train_loss": 1.0, "test_acc": 0.5,
        }  # fmt: skip
        self.many: dict[str, Any] = {
            "state_dicts": [flat_state(network), flat_state(network)], "epochs": [0, 100], "model": flat_state(network),
        }  # fmt: skip
        own = save_safetensors(
            folder / "own.safetensors", network, ModularTask(5, "subtract", Split("torch", 0.5, 3)),
            {"epoch": 3, "losses": {"train": 1.0, "all": 2.0}, "accuracies": {"train": 1.0}, "begun_anew": [1]},
        ).read_bytes()  # fmt: skip
        self.own = own
        length = int.from_bytes(own[:8], "little")
        self.metadata = json.loads(own[8 : 8 + length])["__metadata__"]
        self.recipe = small(engine="plain").to_dict()
        changes = Steering(events=(Event(3, "learning_rate", 1e-3), Event(7, "remove_frequency", 1.0)))
        train(small(engine="plain", stop__steps=10, keep__resume=5), folder / "run", steering=changes)
        write_table(three_networks(folder / "sweep"))

    def zipped(self, contents: Any) -> bytes:
        return _saved(contents, zipped=True)


def _saved(contents: Any, *, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(contents, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def _looked_at(checkpoint: Checkpoint) -> None:
    json.dumps(checkpoint.to_dict(), allow_nan=False)
    "\n".join(import_module("modscope.cli.inspect")._lines(checkpoint)).encode("utf-8", "backslashreplace")
    run = Run.of(checkpoint)
    for epoch in run.epochs[:2]:
        run.model(epoch)


def _bytes_of(name: str, make: Callable[[Bases], bytes]) -> Callable[[Bases, random.Random, Path], None]:
    def attack(bases: Bases, chance: random.Random, place: Path) -> None:
        (place / name).write_bytes(in_bytes(make(bases), chance))
        _looked_at(open_checkpoint(place / name))

    return attack


def _objects(bases: Bases, chance: random.Random, place: Path) -> None:
    contents = in_tree(chance.choice((bases.contents, bases.many)), chance, objects=True)
    (place / "net.pt").write_bytes(_saved(contents, zipped=chance.random() < 0.7))
    _looked_at(open_checkpoint(place / "net.pt"))


def _instructions(bases: Bases, chance: random.Random, place: Path) -> None:
    """Other instructions in an archive that is otherwise as it should be."""
    with (
        zipfile.ZipFile(io.BytesIO(bases.zipped(bases.contents))) as old,
        zipfile.ZipFile(place / "net.pt", "w") as new,
    ):
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(
                entry.filename, in_instructions(data, chance) if entry.filename.endswith("data.pkl") else data
            )
    _looked_at(open_checkpoint(place / "net.pt"))


def _config(bases: Bases, chance: random.Random, place: Path) -> None:
    (place / "net.pt").write_bytes(bases.zipped(bases.state))
    (place / "config.json").write_text(json.dumps(in_tree(_CONFIG, chance)))
    _looked_at(open_checkpoint(place / "net.pt"))


def _mapping(bases: Bases, chance: random.Random, place: Path) -> None:
    (place / "net.pt").write_bytes(bases.zipped(bases.state))
    changed = in_tree(_MAPPING, chance)
    text = toml(changed if isinstance(changed, dict) else {})
    (place / "m.toml").write_bytes(
        in_bytes(text.encode(), chance) if chance.random() < 0.2 else text.encode()
    )
    _looked_at(open_checkpoint(place / "net.pt", mapping=place / "m.toml"))


def _metadata(bases: Bases, chance: random.Random, place: Path) -> None:
    """One of our own files with other metadata, without the sum that would tell."""
    changed = json.dumps(in_tree(json.loads(bases.metadata["modscope"]), chance))
    (place / "net.safetensors").write_bytes(save(load(bases.own), {"modscope": changed}))
    _looked_at(open_checkpoint(place / "net.safetensors"))


def _recipe(bases: Bases, chance: random.Random, place: Path) -> None:
    changed = in_tree(bases.recipe, chance)
    (place / "r.toml").write_text(toml(changed if isinstance(changed, dict) else {}))
    recipe = recipe_from_toml(place / "r.toml")
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def _csv(rows: list[Any]) -> str:
    return "\n".join(",".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows)


def _run_folder(bases: Bases, chance: random.Random, place: Path) -> None:
    run = place / "run"
    shutil.copytree(bases.folder / "run", run)
    name = chance.choice(
        (
            "manifest.json",
            "environment.json",
            "recipe.toml",
            "losses.csv",
            "events.json",
            "resume.safetensors",
        )
    )
    data = (run / name).read_bytes()
    if name.endswith("json") and chance.random() < 0.8:
        changed = json.dumps(in_tree(json.loads(data), chance)).encode()
    elif name == "losses.csv" and chance.random() < 0.8:
        rows = in_tree([line.split(",") for line in data.decode().split("\n")], chance)
        changed = _csv(rows if isinstance(rows, list) else []).encode("utf-8", "surrogatepass")
    elif name == "recipe.toml" and chance.random() < 0.8:
        table = in_tree(tomllib.loads(data.decode()), chance)
        changed = toml(table if isinstance(table, dict) else {}).encode()
    elif name.endswith("safetensors") and chance.random() < 0.8:
        length = int.from_bytes(data[:8], "little")
        state = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["state"])
        changed = save(load(data), {"state": json.dumps(in_tree(state, chance))})
    else:
        changed = in_bytes(data, chance)
    (run / name).write_bytes(changed)
    opened = Run.open(run)
    _ = opened.notes, opened.losses.to_dict()
    opened.model()
    if Recipe.from_dict(tomllib.loads((run / "recipe.toml").read_text())).stop.steps <= 10:
        resume(run, steps=12)


def _sweep(bases: Bases, chance: random.Random, place: Path) -> None:
    here = place / "sweep"
    shutil.copytree(bases.folder / "sweep", here)
    file = chance.choice(sorted(path for path in here.rglob("*") if path.is_file()))
    data = file.read_bytes()
    if file.suffix == ".json" and chance.random() < 0.8:
        file.write_text(json.dumps(in_tree(json.loads(data), chance)))
    else:
        file.write_bytes(in_bytes(data, chance))
    sweep = Sweep(Storage(here))
    _ = sweep.failures(), repr(sweep), standing(sweep).lines()
    write_table(sweep)
    assert (here / "table.csv").read_text().count("\n") > len(
        _population((here / "table.parquet").read_bytes()).table
    )
    sweep.spread()


def _table(bases: Bases, chance: random.Random, place: Path) -> None:
    """A sweep's table whose bytes, columns or values are other than they were."""
    data = (bases.folder / "sweep" / "table.parquet").read_bytes()
    if chance.random() < 0.4:
        _population(in_bytes(data, chance))
        return
    columns = in_tree(pq.read_table(io.BytesIO(data)).to_pydict(), chance)
    try:
        changed = written(pa.table(columns))
    except (pa.ArrowException, AttributeError, TypeError, ValueError, OverflowError):
        return  # no table can hold it
    _population(changed)


def _population(data: bytes) -> Population:
    """What a table says of its networks."""
    population = Population(read_table(data, "table.parquet"))
    json.dumps(population.to_dict(), allow_nan=False)
    return population


TARGETS: Mapping[str, Callable[[Bases, random.Random, Path], None]] = {
    "bytes of a zipped torch file": _bytes_of("net.pt", lambda bases: bases.zipped(bases.contents)),
    "bytes of an old torch file": _bytes_of("net.pt", lambda bases: _saved(bases.contents, zipped=False)),
    "bytes of a safetensors file": _bytes_of("net.safetensors", lambda bases: bases.own),
    "objects of a torch file": _objects,
    "instructions of a pickle": _instructions,
    "a config beside a file": _config,
    "a mapping": _mapping,
    "metadata of an own file": _metadata,
    "a recipe": _recipe,
    "a run folder": _run_folder,
    "a sweep": _sweep,
    "the table of a sweep": _table,
}
