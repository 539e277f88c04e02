"""Arrays in, roles, marks and errors; pages and files out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import modscope as ms
from modscope.errors import InputError, UnknownName
from modscope.viewer import expressions, fragments
from modscope.viewer.compat import draw_heatmap, draw_vector
from modscope.viewer.pack import unpacked

ZEROS = np.zeros((3, 5, 7), np.float32)


def spec_of(text: str, name: str = "modscope-spec") -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found.group(1))


def test_torch_numpy_and_xarray_show_the_same_numbers(waves: xr.DataArray) -> None:
    dims = waves.dims
    views = [ms.show(waves), ms.show(waves.values, dims=dims), ms.show(torch.tensor(waves.values), dims=dims)]
    for view in views:
        np.testing.assert_array_equal(unpacked(view.blocks()[0], waves.shape), waves.values)
    half = ms.show(torch.tensor(waves.values).bfloat16().requires_grad_())
    assert half.tensors[0].values.dtype == np.float32


def test_the_viewer_imports_neither_torch_nor_xarray() -> None:
    code = (
        "import sys, numpy as np, modscope; modscope.show(np.zeros((3, 4)))._repr_html_();"
        "assert not {'torch', 'xarray'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_features_last_activations_are_waves_over_residues() -> None:
    x = xr.DataArray(np.zeros((5, 5, 8)), dims=("a", "b", "d_model"))
    state = ms.show(x).state
    assert (state["x"], state["play"]) == ("b", "a")
    named = ms.show(x.rename(b="c"), x="a", play="c", select={"d_model": 3, "c": 2}).state
    assert (named["x"], named["play"], named["select"]) == ("a", "c", {"a": 0, "c": 2, "d_model": 3})
    plain = ms.show(np.zeros((2, 3, 4))).state
    assert (plain["x"], plain["play"]) == ("axis2", "axis1")


def test_a_state_makes_its_view_again(waves: xr.DataArray) -> None:
    view = ms.show(
        waves, select={"c": 4}, mode="both", quantity="power", fold=True, mute=[2], seconds_per_cycle=3
    )
    assert ms.show(waves, **view.state).state == view.state


def test_labels_select_and_are_shown() -> None:
    x = xr.DataArray(np.zeros((2, 5)), dims=("pos", "a"), coords={"pos": ["b", "="]})
    view = ms.show(x, select={"pos": "="})
    assert view.state["select"]["pos"] == 1
    assert view.views[0]["labels"] == {"pos": ["b", "="]}
    units = xr.DataArray(np.zeros((4, 4)), dims=("c", "a"), coords={"a": [1, 2, 3, 4]})
    assert ms.show(units).views[0]["coords"] == {"a": [1.0, 2.0, 3.0, 4.0]}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ms.show([ZEROS, ZEROS[:2]]), r"array 2 .*\(2, 5, 7\).*array 1 .*\(3, 5, 7\).*same shape"),
        (lambda: ms.show([ZEROS, ZEROS[0]]), "expected the same axes"),
        (lambda: ms.show(ZEROS, dims=("a", "b")), "expected 3 different names"),
        (lambda: ms.show(ZEROS, x="axs1"), "did you mean 'axis1'"),
        (lambda: ms.show(ZEROS, play=7), "expected an axis from 0 to 2"),
        (lambda: ms.show(ZEROS, x="axis1", play="axis1"), "two different axes"),
        (
            lambda: ms.show(ZEROS, select={"axis0": 3}),
            "index 3 of axis axis0: expected an integer from 0 to 2",
        ),
        (lambda: ms.show(ZEROS, select={"axis9": 3}), "unknown axis in select"),
        (lambda: ms.show(ZEROS, mode="wav"), "did you mean 'wave'"),
        (lambda: ms.show(ZEROS, colour="red"), "unknown option of show 'colour'"),
        (lambda: ms.show(ZEROS, markers=["q/2"]), "unknown name in 'q/2'"),
        (lambda: ms.show(ZEROS, markers=["__import__('os')"]), "unknown function"),
        (lambda: ms.show(ZEROS, message="{axis0.real}"), "Attribute is not allowed"),
        (lambda: ms.show(ZEROS, seconds_per_cycle=0), "number of seconds above 0"),
        (lambda: ms.show(ZEROS, labels={"axis0": ["a"]}), "1 labels for axis axis0: expected 3"),
        (lambda: ms.show(np.zeros(())), "expected at least one axis"),
        (lambda: ms.show(np.zeros((2, 0))), "expected at least one axis and one value"),
        (lambda: ms.show(np.array(["a", "b"])), "expected an array of numbers, got dtype"),
        (lambda: ms.show(ZEROS, periodic="zz"), "unknown axis in periodic 'zz'"),
        (lambda: ms.show(ZEROS, offset=-1), "offset = -1: expected True or a number from 0"),
        (lambda: ms.show([[1, 2], [3]]), "unequal lengths"),
        (lambda: ms.show([ZEROS] * 11), "at most 10"),
        (lambda: ms.show(ZEROS, names=["a", "b"]), "2 names for 1 arrays"),
        (lambda: ms.show(ZEROS, overlay="axis5"), "unknown axis 'axis5'"),
        (lambda: ms.grid(), "expected one view at least"),
        (lambda: ms.show(ZEROS).save("x.gif"), r"expected a name that ends in \.html"),
        (lambda: ms.show(ZEROS).save("/no/such/folder/x.html"), "there is no folder"),
    ],
)
def test_bad_input_is_one_clear_sentence(call: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_marks_and_message_come_by_themselves_for_rows_c(waves: xr.DataArray) -> None:
    spec = ms.show(waves).views[0]
    assert [m["expr"] for m in spec["markers"]] == ["a", "b", "c/2", "c/2 + p/2"]
    assert spec["message"] == {"template": "{a} + {b} = {c} (mod {p})", "auto": True}
    assert spec["symmetry"] == ["c/2", "c/2 + p/2"]
    subtracted = ms.show(waves.assign_attrs(operation="subtract")).views[0]
    assert subtracted["message"] == {"template": "{a} − {b} = {c} (mod {p})", "auto": True}
    assert subtracted["symmetry"] == []
    assert ms.show(ZEROS).views[0]["message"] is None
    uneven = ms.show(np.zeros((5, 31)), dims=("c", "a")).views[0]
    assert (uneven["p"], uneven["message"], uneven["markers"]) == (None, None, []), (
        "5 and 31 are no one modulus"
    )


def test_callables_are_tabulated_over_the_axes_they_depend_on() -> None:
    def points(indices: list[int]) -> tuple[list[float], list[str]]:
        return [indices[1] / 2, indices[1] / 2 + 3.5], ["half", "half + p/2"]

    spec = draw_vector(ZEROS, get_points=points, get_message=lambda indices: f"row {indices[0]}").views[0]
    first, second = spec["markers"]
    assert first == {
        "label": "half",
        "table": {"axes": ["axis1"], "shape": [5], "values": [0, 0.5, 1, 1.5, 2]},
    }
    assert second["table"]["values"][2] == 4.5
    assert spec["message"]["table"] == {
        "axes": ["axis0"],
        "shape": [3],
        "values": ["row 0", "row 1", "row 2"],
    }
    named = ms.show(ZEROS, dims=("d", "c", "a"), message=lambda c: f"c is {c}").views[0]
    assert named["message"]["table"]["axes"] == ["c"]
    with pytest.raises(InputError, match="would be called"):
        ms.show(np.zeros((300, 300)), message=lambda at: f"{at}")


def test_expressions_floor_as_python_does() -> None:
    names = {"a": 5, "c": 2, "p": 7}
    for text in ("(c - a) % p", "(c - a) // 2", "-a ** 2", "max(a, c) / 2", "round(a / 2)"):
        assert expressions.evaluate(text, names) == eval(text, {"max": max, "round": round}, names)


def test_names_of_the_original() -> None:
    view = draw_vector([ZEROS, ZEROS + 1], start_play_axis=0, start_indices=[1, 4], full_mode=False)
    assert view.state["play"] == "axis0"
    assert view.state["select"] == {"axis0": 1, "axis1": 4, "axis2": 0}
    assert view.views[0]["full"] is False
    assert draw_heatmap(ZEROS).state["mode"] == "heatmap"
    with pytest.raises(InputError, match="at most 3"):
        draw_vector(ZEROS, start_indices=[0, 0, 0, 0])


def test_overlay_by_arrays_and_by_axis() -> None:
    view = ms.show(ZEROS, overlay=[ZEROS + 1], names=["one", "two"])
    assert [line["name"] for line in view.views[0]["lines"]] == ["one", "two"]
    heads = ms.show(ZEROS, dims=("head", "c", "a"), overlay="head").views[0]
    assert heads["dims"] == ["c", "a"]
    assert [line["fix"] for line in heads["lines"]] == [{"head": 0}, {"head": 1}, {"head": 2}]
    assert len({t.name for t in ms.show([ZEROS, ZEROS]).tensors}) == 2


def test_views_side_by_side_carry_a_tensor_once(waves: xr.DataArray) -> None:
    both = ms.show(waves) | ms.heatmap(waves) | ms.show(waves * 2)
    spec = spec_of(both._repr_html_().replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">"))
    assert (len(spec["views"]), len(spec["tensors"]), spec["across"]) == (3, 2, 3)
    assert [view["lines"][0]["t"] for view in spec["views"]] == [0, 0, 1]
    linked = (
        ms.heatmap(waves) | ms.show(waves, select={"c": 3}) | ms.show(waves, select={"c": 4, "d_model": 1})
    )
    assert [view["select"] for view in linked.states] == [{"d_model": 1, "c": 3, "a": 0}] * 3
    apart = ms.grid(ms.heatmap(waves), ms.show(waves, select={"c": 3}), link=False)
    assert [view["select"]["c"] for view in apart.states] == [0, 3]
    assert ms.grid([ms.show(waves), ms.show(waves)], [ms.show(waves)]).across == 2


def test_the_page_is_whole_and_asks_for_nothing(waves: xr.DataArray, tmp_path: Path) -> None:
    view = ms.show(waves, title="</script><script>alert(1)</script> & <b>")
    path = view.save(tmp_path / "x.html")
    text = path.read_text("utf-8")
    assert not re.search(r"https?://", text)
    assert "<script>alert(1)" not in text
    assert spec_of(text)["views"][0]["title"] == "</script><script>alert(1)</script> & <b>"
    assert text.count("</script>") == text.count("<script")
    assert list(tmp_path.iterdir()) == [path]


def test_a_frame_holds_page_still_and_sentence(waves: xr.DataArray) -> None:
    text = ms.show(waves, title="Rows")._repr_html_()
    assert text.count("<iframe") == 1
    assert 'sandbox="allow-scripts allow-downloads"' in text
    assert '<img src="data:image/png;base64,' in text
    assert "Rows: wave over a, moving along c." in text


def test_fragments_share_bundle_and_blocks(waves: xr.DataArray) -> None:
    once, elements = fragments([ms.show(waves), ms.show(waves, mode="spectrum"), ms.show(waves * 2)])
    assert once.count('<script type="module">') == 1
    assert once.count('type="application/octet-stream"') == 2
    assert [spec_of(once, f"modscope-spec-{n}")["views"][0]["state"]["mode"] for n in range(2)] == [
        "wave",
        "spectrum",
    ]
    assert all(f'data-modscope="modscope-spec-{n}"' in text for n, text in enumerate(elements))


def test_a_folder_keeps_every_number_beside_the_page(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((100, 113, 113)).astype(np.float32)
    view = ms.show(x)
    assert view.blocks()[0].enc == "i16"
    path = view.save(tmp_path / "big.html", folder=True)
    assert path.stat().st_size < 200_000
    tensor = spec_of(path.read_text())["tensors"][0]
    assert tensor["enc"] == "f32"
    assert (tmp_path / tensor["src"]).is_file()


def test_what_a_page_cannot_carry_is_cut_and_said() -> None:
    x = np.zeros((300, 200, 200), np.float32)
    with pytest.warns(UserWarning, match="only axis0=7 of 300 is in it"):
        spec = ms.show(x, select={"axis0": 7}).page_spec()
    assert spec["tensors"][0]["kept"] == {"axis0": [7, 300]}
    assert spec["views"][0]["dims"] == ["axis1", "axis2"]


@pytest.mark.parametrize("mode", ["wave", "spectrum", "both", "heatmap", "spectrum2d", "multiples", "ridge"])
def test_stills_and_numbers(waves: xr.DataArray, mode: str, tmp_path: Path) -> None:
    view = ms.show(waves, mode=mode, select={"d_model": 1, "c": 4}, key_frequencies=[4, 7])
    assert view.save(tmp_path / "x.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert view.svg().lstrip().startswith("<svg ")
    rows = [line.split(",") for line in view.csv().splitlines()]
    assert len({len(row) for row in rows}) == 1
    if mode == "wave":
        got = np.array([float(row[1]) for row in rows[1:]], np.float32)
        np.testing.assert_array_equal(got, waves.values[1, 4])


@pytest.mark.parametrize("p", [2, 7, 8, 113])
def test_csv_of_a_spectrum_is_the_package_s_spectrum(p: int) -> None:
    wave = np.random.default_rng(p).standard_normal(p).astype(np.float32)
    rows = ms.show(wave, mode="spectrum", quantity="power").csv().splitlines()[1:]
    power = np.array([float(row.split(",")[1]) for row in rows])
    assert power.sum() == pytest.approx(float((wave.astype(np.float64) ** 2).mean()))
    if p >= 3:
        from modscope.signal import power as signal_power

        np.testing.assert_allclose(power, signal_power(wave.astype(np.float64), 0), rtol=1e-9, atol=1e-12)


def test_unknown_names_are_key_errors_too() -> None:
    with pytest.raises(UnknownName):
        ms.show(ZEROS, y="nowhere")


def test_one_picture_an_index(waves: xr.DataArray, tmp_path: Path) -> None:
    view = ms.show(waves[:, :4], p=31)
    paths = view.frames(tmp_path / "film", every=2, dpi=40)
    assert [path.name for path in paths] == ["0000.png", "0001.png"]
    assert paths[0].read_bytes() != paths[1].read_bytes()
    assert view.at(c=2).state["select"]["c"] == 2
    with pytest.raises(InputError, match="index 9 of axis c"):
        view.at(c=9)
    with pytest.raises(UnknownName, match="unknown axis 'd'"):
        view.at(d=1)


def first_spec(view: Any) -> dict[str, Any]:
    return view.page_spec()["views"][0]


def test_only_whole_axes_of_residues_are_circles_unless_told() -> None:
    p = 7
    x = xr.DataArray(np.zeros((3, p, p)), dims=("d_model", "c", "a"), attrs={"p": p})
    assert first_spec(ms.show(x))["periodic"] == ["a", "c"]
    assert first_spec(ms.show(x[:, :4]))["periodic"] == ["a"]
    assert first_spec(ms.show(x.assign_coords(a=list("uvwxyz."))))["periodic"] == ["c"]
    assert first_spec(ms.show(x[:, :, 1:].assign_coords(a=range(1, p))))["periodic"] == ["c"]
    assert first_spec(ms.show(x.rename(a="step")))["periodic"] == ["c"]
    assert first_spec(ms.show(np.zeros((p, p)), p=p))["periodic"] == []
    assert first_spec(ms.show(np.zeros((p, p)), periodic=True))["periodic"] == ["axis0", "axis1"]
    assert first_spec(ms.show(x, periodic=False))["periodic"] == []
    assert first_spec(ms.show(x, periodic="d_model"))["periodic"] == ["d_model"]


def test_rows_over_c_start_where_the_marks_are_apart() -> None:
    x = xr.DataArray(np.zeros((113, 113)), dims=("c", "a"), attrs={"p": 113})
    assert ms.show(x).state["select"] == {"c": 40, "a": 0}
    assert ms.show(x, select={"c": 0}).state["select"] == {"c": 0, "a": 0}
    assert ms.show(x.values).state["select"] == {"axis0": 0, "axis1": 0}


def test_complex_arrays_are_shown_by_their_parts() -> None:
    z = np.array([[3 + 4j, -1j], [1, 0]])
    view = ms.show(z, dims=("row", "k"))
    assert first_spec(view)["labels"]["part"] == ["magnitude", "phase", "real", "imaginary"]
    assert first_spec(view)["angles"] == {"dim": "part", "at": 1}
    np.testing.assert_allclose(view.tensors[0].values[:, 0, 0], [5, np.angle(3 + 4j), 3, 4], rtol=1e-6)
    assert view.state["select"] == {"part": 0, "row": 0, "k": 0}


def test_what_float32_cannot_keep_is_said() -> None:
    def lost(x: Any) -> str:
        return ms.show(x).page_spec()["tensors"][0]["lost"]

    assert lost(np.zeros((2, 3), np.float32)) == ""
    assert lost(np.zeros((2, 3))) == "", "what float32 holds exactly is not lost"
    assert lost(np.array([[0.1, 0.2]])) == "float64 ±3.0e-9"
    assert lost(np.array([[1e300, 1.0]])) == "1 beyond float32"
    assert lost(np.array([[2**24, 5]])) == ""
    assert lost(np.array([[2**24 + 1, 5]])) == "int64 ±1"
    assert lost(np.array([[True, False]])) == ""


@pytest.mark.parametrize("precision", ["float32", "int16"])
def test_masked_values_are_kept_apart_from_nan(precision: str) -> None:
    x = np.ma.masked_array([[1.0, 2.0, np.nan], [3.0, 99.0, 5.0]], [[0, 0, 0], [0, 1, 0]])
    view = ms.show(x, precision=precision)
    meta = view.page_spec()["tensors"][0]
    assert (meta["nan"], meta["masked"], meta["hi"]) == (1, 1, 5.0)
    assert np.isnan(unpacked(view.blocks()[0], (2, 3))).tolist() == [
        [False, False, True],
        [False, True, False],
    ]


def test_the_original_s_arguments_are_taken() -> None:
    from modscope.viewer import compat

    x = np.zeros((4, 3, 5))
    view = compat.draw_vector(
        x,
        axis_names=["d", "c", "a"],
        label_maps=[None, lambda i, start, end: f"c{i} of {end}", None],
        descriptor=lambda indices: f"row {indices[1]}",
        time_in_seconds=3,
        start_gui_type="frequency",
        scale_factor=1.5,
        start_play_axis=1,
        start_indices=[2],
    )
    spec = first_spec(view)
    assert spec["dims"] == ["d", "c", "a"]
    assert spec["labels"]["c"][1] == "c1 of 2"
    assert spec["message"]["table"]["values"] == ["row 0", "row 1", "row 2"]
    assert (spec["height"], spec["periodic"]) == (900, ["a"])
    assert (view.state["seconds_per_cycle"], view.state["mode"], view.state["play"]) == (3, "spectrum", "c")
    matrix = compat.draw_matrix(
        x, xmap=lambda i, start, end: f"x{i}", ymap=list("uvw"), descriptor=lambda i: f"picture {i}"
    )
    spec = first_spec(matrix)
    assert spec["labels"] == {"axis1": ["u", "v", "w"], "axis2": ["x0", "x1", "x2", "x3", "x4"]}
    assert spec["message"]["table"]["values"] == [f"picture {i}" for i in range(4)]
    with pytest.raises(UnknownName, match="start_gui_type"):
        compat.draw_vector(x, start_gui_type="film")
    with pytest.raises(InputError, match="scale_factor"):
        compat.draw_vector(x, scale_factor=0)


def test_copied_code_names_the_array_as_the_caller_does() -> None:
    mine = np.zeros((3, 5))
    spec = first_spec(ms.show(mine, p=5, periodic=True))
    assert spec["setup"] == "import modscope as ms"
    assert spec["call"] == "ms.show(mine, p=5, periodic=True"
    other = mine + 1
    assert first_spec(ms.show([mine, other]))["call"].startswith("ms.show([mine, other]")
    nameless = first_spec(ms.show(np.ones((2, 3))))
    assert "np.load('x.npy')" in nameless["setup"]
    assert nameless["call"].startswith("ms.show(x, dims=['axis0', 'axis1']")


def test_guided_bookmarks_follow_from_the_axes() -> None:
    p = 5
    x = xr.DataArray(
        np.random.default_rng(0).standard_normal((2, 3, p, p)),
        dims=("epoch", "neuron", "c", "a"),
        attrs={"p": p},
    )
    x[:, 2] *= 9
    marks = {mark["label"]: mark["state"] for mark in first_spec(ms.show(x, bookmarks=True))["bookmarks"]}
    assert list(marks) == ["even about c/2", "its spectrum", "one neuron", "all neurons", "over training"]
    assert marks["one neuron"]["index"] == {"neuron": 2}, "the one that varies most"
    assert marks["over training"]["play"] == "epoch"
    # A neuron that was not measured is not the one that varies most, and nothing is said of it.
    gap = x.copy()
    gap[:, 0] = np.nan
    gap[0, 2] = np.inf
    marks = {mark["label"]: mark["state"] for mark in first_spec(ms.show(gap, bookmarks=True))["bookmarks"]}
    assert marks["one neuron"]["index"] == {"neuron": 2}
    # Rows that have no mirror line are not called even, and an array of no residues has nothing to offer.
    square = first_spec(ms.show(x[0, 0], operation="ratio", bookmarks=True))["bookmarks"]
    assert [mark["label"] for mark in square] == ["its spectrum"]
    assert first_spec(ms.show(np.zeros((4, 6)), bookmarks=True))["bookmarks"] == []
    assert first_spec(ms.show(x))["bookmarks"] == []


def test_a_heat_map_that_is_cut_keeps_its_two_axes() -> None:
    x = np.zeros((30, 1000, 1000), np.float32)
    with pytest.warns(UserWarning, match="only axis0=0 of 30 is in it"):
        spec = ms.heatmap(x).page_spec()
    assert spec["views"][0]["state"]["play"] == "axis1"
    assert ms.heatmap(x[:10]).page_spec()["tensors"][0].get("kept") is None, "ten million numbers have room"
