"""Waves before attention: reversal, the table of amplitudes and phases, what each head carries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modscope.activations import Activations, record
from modscope.analysis.inputs.waves import (
    head_frequencies,
    reversal_errors,
    token_hooks,
    wave_rows,
    wave_table,
)
from modscope.errors import InputError, UnknownName
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.orders import in_order
from modscope.task import ModularTask


def network(p: int, **switches: object) -> Transformer:
    config = TransformerConfig(p, **{"d_model": 10, "n_heads": 3, "d_head": 4, "d_mlp": 13, **switches})  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    return Transformer(
        config, {n: torch.randn(s, generator=generator).double() for n, s in config.shapes().items()}
    )


def acts_of(p: int, operation: str = "add", **switches: object) -> Activations:
    return record(network(p, **switches), ModularTask(p, operation))


@pytest.mark.parametrize(
    ("p", "operation", "equals"), [(7, "add", True), (8, "subtract", True), (9, "add", False)]
)
def test_reversal_errors_are_those_of_the_whole_pictures(p: int, operation: str, equals: bool) -> None:
    acts = acts_of(p, operation, equals=equals)
    errors = reversal_errors(acts)
    assert errors.hook.values.tolist() == ["resid_pre", "q", "k", "v"]
    n = np.arange(p)
    sign = 1 if operation == "add" else -1
    other = sign * (n[:, None] - n[None, :]) % p  # b, in the order (c, a)
    for hook in ("resid_pre", "q", "v"):
        whole = acts.expand(hook)
        X_a, X_b = (in_order(whole.sel(pos=pos), "c", "a").values for pos in ("a", "b"))
        for name, a, b in (
            ("raw", X_a, X_b),
            ("centred", X_a - X_a.mean(1)[:, None], X_b - X_b.mean(1)[:, None]),
        ):
            size = np.linalg.norm(a)
            rows = n[:, None]
            expected = {
                "reversed and shifted": a[rows, other],
                "not reversed": a[rows, -other % p],
                "not shifted": a,
            }
            for relation, prediction in expected.items():
                got = float(errors[name].sel(hook=hook, relation=relation))
                assert got == pytest.approx(np.linalg.norm(b - prediction) / size, abs=1e-7), (
                    hook,
                    name,
                    relation,
                )


def test_one_embedding_makes_the_waves_equal_up_to_dc_and_two_do_not() -> None:
    centred = reversal_errors(acts_of(11)).centred
    assert float(centred.sel(relation="reversed and shifted").max()) < 1e-7
    assert float(centred.sel(relation="not shifted").min()) == pytest.approx(2**0.5, abs=1e-6)
    assert float(centred.sel(relation="permuted").min()) > 0.8
    apart = record(PairMLP.initialised(PairMLPConfig(11, d_hidden=6, d_embed=5)), ModularTask(11))
    assert token_hooks(apart) == ("embed",)
    assert float(reversal_errors(apart).centred.sel(hook="embed", relation="reversed and shifted")) > 0.8


def test_reversal_is_refused_where_b_is_no_shifted_a() -> None:
    with pytest.raises(InputError, match=r"'multiply'.*add and subtract only"):
        reversal_errors(acts_of(7, "multiply"))


@pytest.mark.parametrize("p", [11, 12, 15])
def test_the_table_finds_planted_waves(p: int) -> None:
    net = network(p)
    n, k, w = np.arange(p), 2, 2 * np.pi / p
    with torch.no_grad():
        net.weight("W_E")[:p] = 0
        net.weight("W_E")[:p, 0] = torch.from_numpy(
            3 * np.cos(w * k * n + 0.7) + 0.5 * np.cos(w * 2 * k * n - 1.1)
        )
    table = wave_table(record(net, ModularTask(p)), "resid_pre", [k])
    at = table.sel(pos="a", k=k).isel(d_model=0)
    np.testing.assert_allclose(at.amplitude, [3, 0.5], atol=1e-9)
    np.testing.assert_allclose(at.phase, [0.7, -1.1], atol=1e-9)
    assert float(at.dc) == pytest.approx(float(net.weight("W_pos")[0, 0]))
    assert table.frequency.values.tolist() == [[2, 4]]


@pytest.mark.parametrize(("p", "operation"), [(7, "add"), (8, "subtract")])
def test_rows_after_attention_are_transformed_like_an_fft(p: int, operation: str) -> None:
    acts = acts_of(p, operation)
    keys = [1, 3]
    table = wave_table(acts, "z", keys)
    rows = in_order(acts.at("z"), "c", "a").transpose("c", "head", "d_head", "a").values
    C = np.fft.fft(rows) / p
    for k in keys:
        for h, f in ((1, k), (2, min(2 * k % p, -2 * k % p))):
            got = table.sel(k=k, harmonic=h).transpose("c", "head", "d_head")
            np.testing.assert_allclose(got.amplitude, abs(C[..., f]) * (1 if 2 * f == p else 2), atol=1e-9)
            turn = np.exp(1j * got.phase.values) - np.exp(1j * np.angle(C[..., f]))
            np.testing.assert_allclose(abs(turn), 0, atol=1e-6)
    np.testing.assert_allclose(table.dc, rows.mean(-1), atol=1e-9)


def test_the_long_table_has_every_wave_once() -> None:
    acts = acts_of(11)
    table = wave_rows(acts, [2, 3])
    assert len(table.rows) == 3 * 2 * 3 * 4 * 2 * 2
    assert len({row[:6] for row in table.rows}) == len(table.rows)
    found = wave_table(acts, "v", [2, 3]).sel(pos="b", k=3, harmonic=2).isel(head=1, d_head=2)
    row = next(row for row in table.rows if row[:6] == ("v", "b", 1, 2, 3, 5))
    assert row[6:] == (float(found.amplitude), float(found.phase), float(found.dc))
    stream = wave_rows(acts, [2], hooks=["resid_pre"])
    assert len(stream.rows) == 2 * 10 * 2
    assert {row[2] for row in stream.rows} == {None}
    assert max(map(len, str(stream).splitlines())) <= 80
    with pytest.raises(InputError, match="before attention"):
        wave_rows(acts, [2], hooks=["z"])


def test_a_harmonic_that_is_dc_has_no_phase() -> None:
    table = wave_table(acts_of(8), "k", [4, 2])
    assert table.frequency.values.tolist() == [[4, 0], [2, 4]]
    assert np.isnan(table.phase.sel(k=4, harmonic=2)).all()
    assert np.isfinite(table.phase.sel(k=4, harmonic=1)).all()


def test_bad_questions_about_waves_are_refused() -> None:
    acts = acts_of(7)
    with pytest.raises(InputError, match="key frequency 4 mod 7: expected an integer from 1 to 3"):
        wave_table(acts, "q", [4])
    with pytest.raises(InputError, match="at least one"):
        wave_table(acts, "q", [])
    with pytest.raises(UnknownName, match="did you mean 'resid_post'"):
        wave_table(acts, "resid_pots", [1])
    with pytest.raises(InputError, match="a wave for each position"):
        wave_table(acts, "embed", [1])


@pytest.mark.parametrize("p", [11, 12])
def test_heads_carry_the_frequency_they_were_given(p: int) -> None:
    net = network(p)
    n, given = np.arange(p), (1, 4, 2)
    with torch.no_grad():
        net.weight("W_E")[:p] = 0
        net.weight("W_K")[:] = 0
        for head, k in enumerate(given):
            net.weight("W_E")[:p, head] = torch.from_numpy(np.cos(2 * np.pi * k * n / p + head))
            net.weight("W_K")[head, head, :] = 1.0
    found = head_frequencies(record(net, ModularTask(p)))
    assert found.frequency.sel(hook="k").values.tolist() == list(given)
    np.testing.assert_allclose(found.largest.sel(hook="k"), 1, atol=1e-9)
    np.testing.assert_allclose(found.share.sum("k"), 1, atol=1e-9)
    among = head_frequencies(record(net, ModularTask(p)), [2, 3])
    assert among.frequency.sel(hook="k", head=2) == 2
    assert float(among.largest.sel(hook="k", head=0)) < 1e-9


def test_a_head_without_a_wave_carries_nothing() -> None:
    net = network(7)
    with torch.no_grad():
        net.weight("W_K")[1] = 0
    found = head_frequencies(record(net, ModularTask(7)))
    assert found.frequency.sel(hook="k").values.tolist()[1] == 0
    assert np.isnan(found.largest.sel(hook="k", head=1))
    with pytest.raises(InputError, match="no heads"):
        head_frequencies(record(PairMLP.initialised(PairMLPConfig(7, d_hidden=6)), ModularTask(7)))


def test_mainline_phases_of_q_and_frequencies_of_k(
    mainline: Activations, mainline_keys: tuple[int, ...]
) -> None:
    table = wave_table(mainline, "q", mainline_keys).sel(pos="a").isel(head=0, d_head=0)
    # The published five stand at the key frequencies themselves, harmonic 1.
    phases = table.phase.sel(harmonic=1).values
    print("hook q base phases", phases)
    np.testing.assert_allclose(phases, [-1.9905, -0.3054, -2.8256, 1.0147, -2.9427], atol=1e-4)
    assert table.frequency.sel(harmonic=2).values.tolist() == [28, 43, 31, 29, 9]
    carried = head_frequencies(mainline, mainline_keys)
    print("frequencies of k", carried.frequency.sel(hook="k").values, carried.largest.sel(hook="k").values)
    assert carried.frequency.sel(hook="k").values.tolist() == [35, 42, 52, 42]
    errors = reversal_errors(mainline)
    print(errors.to_dataframe())
    assert float(errors.centred.sel(relation="reversed and shifted").max()) < 1e-5
