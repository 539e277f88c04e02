"""Energy by direction and frequency: the parts sum to the whole, planted waves are found where they were put."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import Activations, record
from modscope.analysis.plane.energy import pair_energy
from modscope.analysis.plane.terms import line_means, term_energy
from modscope.errors import UnknownName
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.signal import fourier_basis
from modscope.task import ModularTask


def random_acts(p: int, operation: str = "add", **switches: object) -> Activations:
    config = TransformerConfig(p, **{"d_model": 10, "n_heads": 3, "d_head": 4, "d_mlp": 13, **switches})  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() / 2 for n, s in config.shapes().items()}
    return record(Transformer(config, weights), ModularTask(p, operation))


def by_coefficients(x: np.ndarray) -> dict[str, np.ndarray]:
    """Energy [k, feature] by direction from the products of basis rows, the slow way."""
    p = len(x)
    F = fourier_basis(p)
    C = np.einsum("ia,jb,abf->ijf", F, F, x) / p
    out = {name: np.zeros((p // 2, x.shape[-1])) for name in ("a", "b", "sum", "difference")}
    for k in range(1, (p - 1) // 2 + 1):
        c, s = 2 * k - 1, 2 * k
        out["a"][k - 1] = C[c, 0] ** 2 + C[s, 0] ** 2
        out["b"][k - 1] = C[0, c] ** 2 + C[0, s] ** 2
        out["sum"][k - 1] = ((C[c, c] - C[s, s]) ** 2 + (C[s, c] + C[c, s]) ** 2) / 2
        out["difference"][k - 1] = ((C[c, c] + C[s, s]) ** 2 + (C[s, c] - C[c, s]) ** 2) / 2
    if p % 2 == 0:
        out["a"][-1], out["b"][-1], out["sum"][-1] = C[-1, 0] ** 2, C[0, -1] ** 2, C[-1, -1] ** 2
    return out


@given(p=st.integers(3, 12))
def test_directions_are_the_combinations_of_fourier_coefficients(p: int) -> None:
    acts = random_acts(p)
    parts = term_energy(acts, "mlp_post")
    expected = by_coefficients(acts.at("mlp_post").values)
    for line, energy in expected.items():
        np.testing.assert_allclose(parts.energy.sel(line=line), energy, atol=1e-12)
    np.testing.assert_allclose(parts.total, acts.at("mlp_post").var(("a", "b")), atol=1e-12)
    np.testing.assert_allclose(parts.energy.sum(("line", "k")) + parts.cross, parts.total, atol=1e-12)


@pytest.mark.parametrize("p", [9, 10])
def test_the_terms_of_all_features_are_those_of_the_hook(p: int) -> None:
    acts = random_acts(p)
    for hook in ("z", "mlp_post", "logits"):
        parts, whole = term_energy(acts, hook), pair_energy(acts.at(hook))
        total = float(parts.total.sum())
        on = parts.energy.sum([d for d in parts.energy.dims if d != "line"]) / total
        assert float(on.sel(line=["a", "b"]).sum()) == pytest.approx(whole.linear)
        assert float(on.sel(line="sum")) == pytest.approx(whole.sum)
        assert float(on.sel(line="difference")) == pytest.approx(whole.difference)
        assert float(parts.cross.sum()) / total == pytest.approx(whole.cross)


@pytest.mark.parametrize("p", [9, 10])
def test_means_along_lines(p: int) -> None:
    acts = random_acts(p, equals=False)
    means, x = line_means(acts, "z"), acts.at("z").values
    a, b = np.indices((p, p))
    for line, n in (("a", a), ("b", b), ("sum", (a + b) % p), ("difference", (a - b) % p)):
        for residue in (0, 1, p - 1):
            np.testing.assert_allclose(
                means["mean"].sel(line=line, n=residue), x[n == residue].mean(0), atol=1e-12
            )
    np.testing.assert_allclose(means.average, x.mean((0, 1)), atol=1e-12)
    assert means.average.dims == ("head", "d_head")


@pytest.mark.parametrize(("operation", "line"), [("add", "sum"), ("subtract", "difference")])
def test_the_nyquist_product_counts_once_on_the_side_of_the_answer(operation: str, line: str) -> None:
    p = 6
    net = PairMLP(
        PairMLPConfig(p, d_hidden=2, activation="quadratic"),
        {name: torch.zeros(shape) for name, shape in PairMLPConfig(p, d_hidden=2).shapes().items()},
    )
    flip = torch.tensor([1.0, -1] * 3)
    net.weight("W_in_a")[:, 0] = flip
    net.weight("W_in_b")[:, 0] = flip  # (x + y)^2 = 2 + 2xy
    parts = term_energy(record(net, ModularTask(p, operation)), "mlp_post").isel(neuron=0)
    assert float(parts.energy.sel(line=line, k=3)) == pytest.approx(4)
    assert float(parts.energy.sum()) == pytest.approx(float(parts.total)) == pytest.approx(4)


def test_rounding_of_a_constant_is_not_energy() -> None:
    p = 7
    config = PairMLPConfig(p, d_hidden=3)
    weights = {name: torch.full(shape, 1000.1) for name, shape in config.shapes().items()}
    parts = term_energy(record(PairMLP(config, weights), ModularTask(p)), "mlp_post")
    assert float(parts.total.sum()) == float(parts.energy.sum()) == float(parts.cross.sum()) == 0


def test_only_pictures_have_directions() -> None:
    with pytest.raises(UnknownName, match="depends on both tokens"):
        term_energy(random_acts(5), "resid_pre")
