"""Linear and quadratic terms: planted coefficients, two hooks side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modscope.activations import Activations, record
from modscope.analysis.controls import permuted_tokens
from modscope.analysis.plane.quadratic import (
    coefficient_plane,
    compare_hooks,
    feature_terms,
    terms_by_frequency,
    top_terms,
)
from modscope.analysis.tables import table_of
from modscope.errors import InputError
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.task import ModularTask


def picture(x: np.ndarray) -> Activations:
    config = PairMLPConfig(len(x), d_hidden=x.shape[-1])
    weights = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in config.shapes().items()}
    acts = record(PairMLP(config, weights), ModularTask(len(x)))
    acts._joint["mlp_pre"] = torch.from_numpy(x.reshape(len(x) ** 2, -1))
    return acts


def transformer_acts(p: int, **switches: object) -> Activations:
    config = TransformerConfig(p, **{"d_model": 10, "n_heads": 3, "d_head": 4, "d_mlp": 13, **switches})  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() for n, s in config.shapes().items()}
    return record(Transformer(config, weights), ModularTask(p))


@pytest.mark.parametrize("p", [11, 12])
def test_planted_terms_stand_where_their_labels_say(p: int) -> None:
    a, b = np.indices((p, p))
    w = 2 * np.pi / p
    x = (
        3
        + 2 * np.cos(w * 2 * a)
        + 4 * np.cos(w * 3 * a) * np.sin(w * 3 * b)
        + np.sin(w * a) * np.cos(w * 4 * b)
    )
    acts = picture(x[..., None])
    plane = coefficient_plane(acts, "mlp_pre", 0)
    assert float(plane.sel(a="const", b="const")) == pytest.approx(3)
    assert float(plane.sel(a="cos 2", b="const")) == pytest.approx(2**0.5)
    assert float(plane.sel(a="cos 3", b="sin 3")) == pytest.approx(2)
    assert float((plane**2).sum()) == pytest.approx(np.mean(x**2))
    top = top_terms(plane, count=3)
    assert top.label_a.values.tolist() == ["cos 3", "cos 2", "sin 1"]
    assert top.kind.values.tolist() == ["quadratic", "linear", "cross"]
    np.testing.assert_allclose(top.share, np.array([4, 2, 0.25]) / 6.25, atol=1e-12)
    np.testing.assert_allclose(top["size"], [2, 2**0.5, 0.5], atol=1e-12)
    by_k = terms_by_frequency(acts, "mlp_pre")
    assert float(by_k.linear.sel(k=2)) == pytest.approx(2 / 6.25)
    assert float(by_k.quadratic.sel(k=3)) == pytest.approx(4 / 6.25)
    assert float(by_k["sum"].sel(k=3)) == pytest.approx(2 / 6.25)
    assert float(by_k.cross) == pytest.approx(0.25 / 6.25)


def test_the_plane_of_all_features_is_their_root_mean_square() -> None:
    acts = transformer_acts(7)
    whole = coefficient_plane(acts, "z")
    each = [coefficient_plane(acts, "z", (h, d)) for h in range(3) for d in range(4)]
    np.testing.assert_allclose(whole, np.sqrt(np.mean([f.values**2 for f in each], axis=0)), atol=1e-12)
    assert whole.frequency_a.values.tolist() == [0, 1, 1, 2, 2, 3, 3]


def test_features_that_are_not_there_are_refused() -> None:
    acts = transformer_acts(7)
    for feature in (13, -1, (0, 0)):
        with pytest.raises(InputError, match=r"below \(13,\) for the axes neuron"):
            coefficient_plane(acts, "mlp_post", feature)
    with pytest.raises(InputError, match="depends on one token"):
        coefficient_plane(acts, "resid_pre")


@pytest.mark.parametrize("p", [8, 9])
def test_shares_sum_to_one(p: int) -> None:
    acts = transformer_acts(p)
    for hook in ("resid_pre", "q", "embed", "z", "mlp_post", "logits"):
        found = terms_by_frequency(acts, hook)
        total = float(found.linear.sum() + found.quadratic.sum() + found.cross)
        assert total == pytest.approx(1), hook
        np.testing.assert_allclose(found.quadratic, found["sum"] + found.difference)
    assert np.isnan(terms_by_frequency(acts, "pos_embed").linear).all()


def test_white_noise_is_spread_thin() -> None:
    p = 31
    found = terms_by_frequency(picture(np.random.default_rng(0).standard_normal((p, p, 40))), "mlp_pre")
    np.testing.assert_allclose(found.linear, 4 / (p * p - 1), rtol=0.4)
    np.testing.assert_allclose(found.quadratic, 4 / (p * p - 1), rtol=0.4)


def test_an_activation_that_squares_makes_quadratic_terms() -> None:
    p, k = 11, 3
    config = PairMLPConfig(p, d_hidden=1, activation="quadratic")
    wave = torch.cos(2 * torch.pi * k * torch.arange(p) / p).double()[:, None]
    weights = {"mlp.W_in_a": wave, "mlp.W_in_b": wave, "unembed.W_U": torch.ones(1, p).double()}
    acts = record(PairMLP(config, weights), ModularTask(p))
    found = compare_hooks(acts, "mlp_pre", "blocks.0.mlp.hook_post", count=2)
    # (cos u + cos v)^2 = 1 + cos 2u / 2 + cos 2v / 2 + 2 cos u cos v, variances 1/8, 1/8, 1
    assert found.k.values.tolist() == [3, 5]
    np.testing.assert_allclose(found.sel(k=3).to_array(), [1, 0, 0, 0.8], atol=1e-9)
    np.testing.assert_allclose(found.sel(k=5).to_array(), [0, 0.2, 0, 0], atol=1e-9)
    assert found.attrs == {"before": "mlp_pre", "after": "mlp_post"}
    text = str(table_of(found, "Before and after", rows="k"))
    assert max(map(len, text.splitlines())) <= 80


def test_features_name_their_own_frequencies() -> None:
    p = 13
    a, b = np.indices((p, p))
    w = 2 * np.pi / p
    x = np.stack(
        [np.cos(w * 2 * a) + 3 * np.cos(w * 5 * (a + b)), 2 * np.sin(w * 6 * b) + np.sin(w * 4 * a), 0.0 * a],
        -1,
    )
    found = feature_terms(picture(x), "mlp_pre", count=2)
    assert found.linear_frequency.values.tolist()[0][0] == 2
    assert found.linear_frequency.values.tolist()[1] == [6, 4]
    assert found.linear_frequency.values.tolist()[2] == [0, 0]
    assert found.quadratic_frequency.values[0][0] == 5
    np.testing.assert_allclose(found.quadratic_share[0, 0], 0.9)
    np.testing.assert_allclose(found.linear_share[1], [0.8, 0.2])


def test_mainline_terms(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    found = compare_hooks(mainline, "mlp_pre", "mlp_post", count=5)
    print(table_of(found, "mlp_pre and mlp_post", rows="k"))
    assert sorted(found.k.values.tolist()) == list(mainline_keys)
    assert float((found.quadratic_after / found.quadratic_before).min()) > 2
    control = compare_hooks(permuted_tokens(mainline), "mlp_pre", "mlp_post", count=5)
    print("permuted tokens, largest linear share:", float(control.linear_before.max()))
    assert float(control.linear_before.max()) < 0.1 < float(found.linear_before.min())
