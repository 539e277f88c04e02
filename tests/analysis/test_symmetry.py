"""Evenness about c/2, the swap of a and b, fixed points, circulant pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope import signal
from modscope.activations import Activations, record
from modscope.analysis.controls import permuted_tokens, untrained
from modscope.analysis.plane.symmetry import (
    circulant_defects,
    covariance_defect,
    even_fractions,
    fixed_point_slopes,
    fixed_points,
    swap_shares,
)
from modscope.errors import InputError
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.orders import in_order
from modscope.task import ModularTask


def transformer_acts(p: int, operation: str = "add", **switches: object) -> Activations:
    config = TransformerConfig(p, **{"d_model": 10, "n_heads": 3, "d_head": 4, "d_mlp": 13, **switches})  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() for n, s in config.shapes().items()}
    return record(Transformer(config, weights), ModularTask(p, operation))


def picture(x: np.ndarray, operation: str = "add", hook: str = "mlp_pre") -> Activations:
    """A record whose picture at a hook is x [a, b, feature]."""
    p = len(x)
    config = PairMLPConfig(p, d_hidden=x.shape[-1] if hook != "logits" else 4)
    weights = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in config.shapes().items()}
    acts = record(PairMLP(config, weights), ModularTask(p, operation))
    acts._joint[hook] = torch.from_numpy(x.reshape(p * p, -1))
    return acts


def noise(p: int, features: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((p, p, features))


@given(p=st.integers(3, 14), seed=st.integers(0, 5))
def test_even_about_half_c_is_symmetric_under_the_swap(p: int, seed: int) -> None:
    x = noise(p, 5, seed)
    rows = in_order(xr.DataArray(x, dims=("a", "b", "neuron")), "c", "a")
    found = even_fractions(picture(x), ["mlp_pre"]).isel(hook=0)
    by_reflection = float(signal.even_fraction(rows, "a", "c"))
    assert float(found.even) == pytest.approx(by_reflection, abs=1e-12)
    # the same, without the order by c: f(a, b) = f(b, a) once what depends on a + b alone is gone
    n = np.arange(p)
    alone = rows.mean("a").transpose("c", "neuron").values[(n[:, None] + n) % p]
    rest = x - alone
    symmetric = (rest + rest.swapaxes(0, 1)) / 2
    assert float(found.even) == pytest.approx(np.sum(symmetric**2) / np.sum(rest**2), abs=1e-12)


@pytest.mark.parametrize("p", [8, 11])
def test_symmetric_pictures_are_even_and_antisymmetric_ones_odd(p: int) -> None:
    x = noise(p, 3)
    even, odd = x + x.swapaxes(0, 1), x - x.swapaxes(0, 1)
    assert float(even_fractions(picture(even), ["mlp_pre"]).isel(hook=0).even) == pytest.approx(1)
    assert float(even_fractions(picture(odd), ["mlp_pre"]).isel(hook=0).odd) == pytest.approx(1)
    assert float(swap_shares(picture(even), ["mlp_pre"]).isel(hook=0).symmetric) == pytest.approx(1)
    assert float(swap_shares(picture(odd), ["mlp_pre"]).isel(hook=0).antisymmetric) == pytest.approx(1)


def test_white_noise_is_half_even() -> None:
    p = 41
    found = even_fractions(picture(noise(p, 30)), ["mlp_pre"]).isel(hook=0)
    assert float(found.even) == pytest.approx(0.5, abs=0.01)
    assert float(swap_shares(picture(noise(p, 30)), ["mlp_pre"]).isel(hook=0).symmetric) == pytest.approx(
        (p + 1) / (2 * p), abs=0.01
    )


@pytest.mark.parametrize("equals", [True, False])
def test_the_wave_of_one_position_is_half_even(equals: bool) -> None:
    acts = transformer_acts(9, equals=equals)
    found = even_fractions(acts, ["resid_pre", "q"])
    whole = in_order(acts.expand("q").sel(pos="a"), "c", "a")
    assert float(signal.even_fraction(whole, "a", "c")) == pytest.approx(0.5)
    np.testing.assert_allclose(found.even, 0.5, atol=1e-12)


def test_all_hooks_are_named_and_constant_ones_have_no_symmetry() -> None:
    acts = transformer_acts(7, attention_rate=0.0)
    found = even_fractions(acts)
    assert found.hook.values.tolist()[:4] == ["resid_pre", "q", "k", "v"]
    assert found.hook.values.tolist()[-1] == "logits"
    assert np.isnan(found.even.sel(hook="pattern"))
    # constant attention weighs a and b alike
    assert float(found.even.sel(hook="attn_out")) == pytest.approx(1)


def test_operations_without_a_circle_have_no_evenness() -> None:
    with pytest.raises(InputError, match="do not lie on a circle"):
        even_fractions(transformer_acts(7, "random"))
    with pytest.raises(InputError, match="those of add"):
        fixed_point_slopes(transformer_acts(7, "multiply"))


@pytest.mark.parametrize("p", [9, 10])
def test_subtraction_is_antisymmetric_in_the_answer(p: int) -> None:
    a, b, c = np.indices((p, p, p))
    w = 2 * np.pi / p
    ideal = np.cos(w * 2 * (a - b - c)) + np.cos(w * (a - b - c))
    found = covariance_defect(picture(ideal, "subtract", "logits"))
    assert float(found.defect) == pytest.approx(0, abs=1e-12)
    assert float(found.plain) == pytest.approx(0.5)
    # half of it is in the sine, which changes sign with the swap
    assert float(
        swap_shares(picture(ideal, "subtract", "logits"), ["logits"]).isel(hook=0).antisymmetric
    ) == pytest.approx(0.5)
    added = np.cos(w * 2 * (a + b - c))
    assert float(covariance_defect(picture(added, "add", "logits")).defect) == pytest.approx(0, abs=1e-12)
    assert float(covariance_defect(picture(noise(p, p), "add", "logits")).defect) == pytest.approx(
        0.5, abs=0.1
    )
    with pytest.raises(InputError, match="expected add or subtract"):
        covariance_defect(transformer_acts(7, "multiply"))
    with pytest.raises(InputError, match="9 answers: expected p = 7"):
        covariance_defect(transformer_acts(7, d_vocab_out=9))


@given(p=st.integers(3, 20))
def test_fixed_points_are_what_the_reflection_leaves_in_place(p: int) -> None:
    found = fixed_points(p)
    for c in range(p):
        for name in ("first", "second"):
            point = float(found[name].sel(c=c))
            assert (c - point) % p == pytest.approx(point)
        assert int(found.integer.sel(c=c)) == sum((c - a) % p == a for a in range(p))


@pytest.mark.parametrize("p", [8, 11])
def test_even_rows_are_flat_at_both_fixed_points(p: int) -> None:
    x = noise(p, 4)
    n, w = np.arange(p), 2 * np.pi / p
    a, b = n[:, None, None], n[None, :, None]
    even = fixed_point_slopes(picture(x + x.swapaxes(0, 1)), ["mlp_pre"]).isel(hook=0)
    assert float(even["first"]) == pytest.approx(0, abs=1e-9)
    assert float(even["second"]) == pytest.approx(0, abs=1e-9)
    odd = fixed_point_slopes(picture(np.sin(w * (a - b)) + 0 * x), ["mlp_pre"]).isel(hook=0)
    # sin w(2a - c): all of its slope is at the fixed points, sqrt 2 times the root mean square
    assert float(odd["first"]) == pytest.approx(2**0.5)
    # band-limited slopes, beside differences of the interpolated wave
    rows = in_order(xr.DataArray(x, dims=("a", "b", "neuron")), "c", "a").transpose("c", "a", "neuron").values
    k = np.fft.fftfreq(p, 1 / p)
    C = np.fft.fft(rows, axis=1)
    step = 1e-5

    def at(place: np.ndarray) -> np.ndarray:
        return np.einsum("ck,ckn->cn", np.exp(1j * w * place[:, None] * k), C).real / p

    slope = (at(n / 2 + step) - at(n / 2 - step)) / (2 * step)
    fine = np.stack([at(np.full(p, t)) for t in np.arange(0, p, 1 / 16)])
    everywhere = np.gradient(np.concatenate([fine, fine[:1]]), 1 / 16, axis=0)
    expected = (np.mean(slope**2) / np.mean(everywhere[1:-1] ** 2)) ** 0.5
    assert float(fixed_point_slopes(picture(x), ["mlp_pre"]).isel(hook=0)["first"]) == pytest.approx(
        expected, rel=0.05
    )


@pytest.mark.parametrize("p", [8, 9])
def test_circulant_defects(p: int) -> None:
    n = np.arange(p)
    f = np.random.default_rng(1).standard_normal((p, 3))
    for name, index in (("sum", (n[:, None] + n) % p), ("difference", (n[:, None] - n) % p)):
        found = circulant_defects(picture(f[index]), ["mlp_pre"]).isel(hook=0)
        assert float(found[name]) == pytest.approx(0, abs=1e-9)
        assert float(found["a"]) == pytest.approx(1)
    found = circulant_defects(picture(noise(p, 3)), ["mlp_pre"]).isel(hook=0)
    expected = signal.circulant_defect(noise(p, 3)[..., 0], (0, 1), direction="sum")
    alone = circulant_defects(picture(noise(p, 3)[..., :1]), ["mlp_pre"]).isel(hook=0)
    assert float(alone["sum"]) == pytest.approx(float(expected))
    assert float(found["sum"]) == pytest.approx(p / (p + 1), abs=0.1)


def test_a_permuted_and_an_untrained_network_have_the_symmetry_too(mainline: Activations) -> None:
    found, permuted, fresh = (
        even_fractions(acts, ["resid_post"]).even.item()
        for acts in (mainline, permuted_tokens(mainline), untrained(mainline))
    )
    print("even fraction of resid_post", found, "permuted", permuted, "untrained", fresh)
    assert found > 0.999
    assert permuted > 0.99
    # A query that sees neither a nor b weighs them alike from the start: evenness is no sign of training.
    assert fresh > 0.99
