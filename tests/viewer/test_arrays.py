"""Activations in files: read safely, measured, and shown as what they are."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import save_file

from modscope.activations import Activations, record
from modscope.activations.files import arrays_in, holds_arrays
from modscope.checkpoints import save_safetensors
from modscope.cli import main
from modscope.cli.opening import arrays_of_pairs
from modscope.errors import InputError
from modscope.model import Transformer, TransformerConfig
from modscope.orders import in_order
from modscope.task import ModularTask
from modscope.viewer.arrays import page_of_arrays, page_of_record

P = 7


def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    n = np.arange(P)
    logits = 9.0 * np.eye(P)[(n[:, None] - n) % P] + generator.standard_normal((P, P, P))
    return {
        "mlp_post": generator.standard_normal((P, P, 4)).astype(np.float32),
        "logits": logits.astype(np.float32),
    }


@pytest.fixture(params=["npz", "compressed", "safetensors"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "safetensors":
        save_file(arrays(), str(tmp_path / "x.safetensors"))
        return tmp_path / "x.safetensors"
    write = np.savez if request.param == "npz" else np.savez_compressed
    write(tmp_path / "x.npz", **arrays())
    return tmp_path / "x.npz"


def test_files_of_activations(file: Path, tmp_path: Path) -> None:
    assert holds_arrays(file)
    found = arrays_in(file)
    assert all(np.array_equal(found[name], x) for name, x in arrays().items())
    acts, notes = arrays_of_pairs(file)
    assert acts is not None
    assert acts.task.operation == "subtract"
    assert notes[0].startswith("operation not stated: a-b on 100.0% of the pairs")
    np.save(tmp_path / "alone.npy", arrays()["mlp_post"])
    alone, notes = arrays_of_pairs(tmp_path / "alone.npy", operation="a*b")
    assert alone is not None
    assert alone.hooks == ("alone",)
    assert alone.task.operation == "multiply"
    assert arrays_of_pairs(tmp_path / "alone.npy")[1] == (
        "operation not stated: taken to be add, for the order (c, a) and what is said of c",
    )


def test_files_of_weights_are_not_taken_for_activations(tmp_path: Path) -> None:
    network = Transformer.initialised(TransformerConfig(P, d_model=8, n_heads=2, d_mlp=8))
    assert not holds_arrays(save_safetensors(tmp_path / "net.safetensors", network, ModularTask(P)))
    save_file({name: w.numpy() for name, w in network.weights.items()}, str(tmp_path / "bare.safetensors"))
    assert not holds_arrays(tmp_path / "bare.safetensors")
    assert not holds_arrays(tmp_path / "net.pt")


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\0" * 10**6)
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\1\2", 24), (b"PK\3\4", 22)):  # what the archive says of the unpacked size
        data[data.index(mark) + at : data.index(mark) + at + 4] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(bytes(data))


def test_files_that_hold_no_arrays(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(InputError, match="no such file"):
        arrays_in(path)
    for content in (b"", b"PK\3\4 cut", b"text"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"x\.npz: not a whole file of arrays"):
            arrays_in(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\nsize 9\n")
    with pytest.raises(InputError, match="Git LFS pointer"):
        arrays_in(path)
    np.savez(path, x=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"not a whole file of arrays|expected an array"):
        arrays_in(path)
    np.savez(path, x=np.array(["a"]))
    with pytest.raises(InputError, match="x is <U1"):
        arrays_in(path)
    bomb(path)
    with pytest.raises(InputError):
        arrays_in(path)


def test_slices_are_those_of_the_record(file: Path) -> None:
    acts, notes = arrays_of_pairs(file)
    assert acts is not None
    page = page_of_record(acts, file, notes)
    for order in ("a,b", "c,a", "c,b"):
        for hook in acts.hooks:
            pick = page.catalogue.pick("activations", hook, None, order)
            layout = page.catalogue.layout(pick)
            whole = page.slices.read(pick, range(len(layout.dims)), [0] * len(layout.dims))
            first, second = order.split(",")
            x: xr.DataArray = acts.at(hook) if order == "a,b" else in_order(acts.at(hook), first, second)
            assert np.array_equal(whole, x.transpose(..., first, second).values)
            one = page.slices.read(pick, [2], [1, 3, 0])
            assert np.array_equal(one, whole[1, 3])
            assert np.array_equal(page.slices.read(pick, [0, 1], [0, 0, 2]), whole[:, :, 2])
    spec = page.spec(page.catalogue.pick())
    assert spec["tensors"][0]["name"] == "mlp_post"
    json.dumps(page.description(page.catalogue.pick()), allow_nan=False)


def test_arrays_of_any_shape_have_numbered_axes(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((3, 5, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    assert arrays_of_pairs(tmp_path / "x.npy") == (None, ())
    page = page_of_arrays(arrays_in(tmp_path / "x.npy"), tmp_path / "x.npy")
    pick = page.catalogue.pick()
    assert page.catalogue.layout(pick).dims == ("axis0", "axis1", "axis2")
    assert np.array_equal(page.slices.read(pick, [2, 0], [0, 4, 0]), x[:, 4].T)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["modscope", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_commands_take_files_of_activations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.npz"
    network = Transformer.initialised(TransformerConfig(P, d_model=8, n_heads=2, d_mlp=8))
    acts = record(network, ModularTask(P))
    np.savez(path, **{hook: acts.at(hook).values for hook in ("mlp_pre", "mlp_post", "logits")})
    code, out, err = run(monkeypatch, capsys, "findings", path, "--operation", "add", "--json")
    assert code == 0, err
    verdicts = {finding["id"]: finding["verdict"] for finding in json.loads(out)}
    assert verdicts["turned-circles"] == "not applicable"
    code, out, err = run(monkeypatch, capsys, "measure", path, "symmetry", "outputs", "--operation", "add")
    assert code == 2
    assert "the record has no map from neurons to logits, W_out W_U" in err
    code, out, err = run(monkeypatch, capsys, "measure", path, "symmetry", "--operation", "add")
    assert code == 0, err
    assert "mlp_post" in out
    code, out, err = run(monkeypatch, capsys, "inspect", path)
    assert code == 2
    assert "arrays and not weights: `modscope view`" in err
    np.save(tmp_path / "y.npy", np.zeros((3, 4)))
    code, out, err = run(monkeypatch, capsys, "measure", tmp_path / "y.npy")
    assert code == 2
    assert "expected the first two axes of each to be p x p" in err
    code, out, err = run(monkeypatch, capsys, "measure", path, "--epoch", 3)
    assert code == 2
    assert "holds activations, not weights" in err


def test_a_record_knows_nothing_of_the_file_it_came_from(file: Path) -> None:
    acts, _ = arrays_of_pairs(file)
    assert isinstance(acts, Activations)
    file.unlink()
    assert acts.at("logits").shape == (P, P, P)
