"""Wherever a size stands for a modulus or a place for a residue: the places have to be the residues, or it is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

import modscope as ms
from modscope.activations import Activations
from modscope.errors import InputError

P = 7


def picture(a: object = None, **attrs: object) -> xr.DataArray:
    values = np.random.default_rng(0).normal(size=(P, P, 3))
    coords = {"a": np.arange(P) if a is None else a, "b": np.arange(P)}
    return xr.DataArray(values, dims=("a", "b", "neuron"), coords=coords, attrs=attrs)


PLACES = {
    "another order": np.roll(np.arange(P), 1),
    "from 1": np.arange(1, P + 1),
    "words": list("abcdefg"),
    "between": np.arange(P) + 0.5,
    "twice": [0, 0, 1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_arrays_of_other_places_are_no_record(places: object) -> None:
    with pytest.raises(
        InputError, match=r"mlp_post: axis a has the coordinates .*: expected the residues 0 to 6"
    ):
        Activations.from_arrays({"mlp_post": picture(places)}, ms.ModularTask(P))
    table = xr.DataArray(np.zeros((P, 2)), dims=("token", "d_model"), coords={"token": places})
    with pytest.raises(InputError, match="embed: axis token has the coordinates"):
        Activations.from_arrays({"embed": table}, ms.ModularTask(P))


def test_an_array_of_another_p_is_no_record() -> None:
    with pytest.raises(InputError, match="mlp_post states p = 10: expected that of the task, 7"):
        Activations.from_arrays({"mlp_post": picture(p=10)}, ms.ModularTask(P))
    assert Activations.from_arrays({"mlp_post": picture(p=P)}, ms.ModularTask(P)).hooks == ("mlp_post",)


@pytest.mark.parametrize("wrong", [-1, P, 10**6])
def test_a_record_is_not_read_at_places_that_there_are_not(wrong: int) -> None:
    acts = Activations.from_arrays({"mlp_post": picture()}, ms.ModularTask(P))
    with pytest.raises(InputError, match=rf"residue {wrong} mod 7: expected a whole number from 0 to 6"):
        acts.reading([0, 1, 2, 3, 4, 5, wrong])


def test_the_answers_of_a_module_are_not_counted_from_the_end() -> None:
    with pytest.raises(InputError, match="answer -1: expected the numbers of outputs, from 0"):
        ms.record_module(
            torch.nn.Embedding(P, P), ms.ModularTask(P), inputs=["a", "b"], answers=[0, 1, 2, 3, 4, 5, -1]
        )


def modulus_shown(x: xr.DataArray, **options: object) -> object:
    return ms.show(x, x="a", play="b", **options).views[0]["p"]


def test_a_part_of_the_residues_is_not_their_modulus() -> None:
    whole = picture()
    assert modulus_shown(whole) == P
    assert modulus_shown(whole.isel(a=slice(2, P), b=slice(2, P))) is None
    assert modulus_shown(picture(p=P).isel(a=slice(2, P))) == P
    assert modulus_shown(picture(PLACES["from 1"], p=P)) is None  # one of its places is not on the circle


def test_a_modulus_that_the_places_do_not_lie_below_is_refused() -> None:
    assert modulus_shown(picture(), p=10) == 10
    with pytest.raises(
        InputError, match="p = 5: axis a has places that are no residues: expected them from 0 to 4"
    ):
        modulus_shown(picture(), p=5)


@pytest.mark.parametrize("places", [PLACES["another order"], PLACES["from 1"], PLACES["between"]])
def test_methods_of_arrays_need_the_residues_in_their_order(places: object) -> None:
    x = picture(places, p=P)
    for look in (
        lambda: x.ms.spectrum("a"),
        lambda: x.ms.shift(1, "a"),
        lambda: x.ms.in_order("c", "a"),
        lambda: x.ms.even(0, "a"),
        lambda: x.ms.swap(),
    ):
        with pytest.raises(InputError):
            look()
