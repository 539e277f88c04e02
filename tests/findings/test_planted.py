"""The planted networks do what their names say, by direct looks at their activations and logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from modscope import planted
from modscope.activations import record
from modscope.errors import InputError
from modscope.losses import accuracies, losses
from modscope.model import Transformer
from modscope.task import ModularTask

KS = (1, 4, 7)
Build = Callable[..., tuple[Transformer, ModularTask]]


def logits_of(network: Transformer) -> np.ndarray:
    return network.all_logits().numpy()


def like(logits: np.ndarray, *, envelope: bool, sign: int = 1) -> float:
    """Share of the logits' variance that lies on the sum of cosines, with or without |cos w(a -+ b)/2|."""
    n = np.arange(len(logits))
    a, b, c = n[:, None, None], n[None, :, None], n[None, None, :]
    ideal = np.zeros(logits.shape)
    for k in KS:
        w = 2 * np.pi * k / len(n)
        ideal += np.cos(w * (a + sign * b - c)) * (
            np.abs(np.cos(w * (a - sign * b) / 2)) if envelope else 1.0
        )
    return np.corrcoef(logits.ravel(), ideal.ravel())[0, 1] ** 2


def spread_of_pattern(network: Transformer, task: ModularTask) -> float:
    return float(record(network, task).at("pattern").std(("a", "b")).max())


@pytest.mark.parametrize("operation", ["add", "subtract"])
@pytest.mark.parametrize("equals", [True, False])
@pytest.mark.parametrize("p", [23, 30])
@pytest.mark.parametrize("build", [planted.clock, planted.pizza, planted.rectified_sum])
def test_planted_networks_answer(build: Build, p: int, equals: bool, operation: str) -> None:
    if build is planted.clock and equals and operation == "subtract":
        with pytest.raises(InputError, match="cannot subtract"):
            build(p, KS, equals=equals, operation=operation)
        return
    network, task = build(p, KS, equals=equals, operation=operation)
    assert task.operation == operation
    logits, sign = logits_of(network), 1 if operation == "add" else -1
    assert accuracies(logits, task).all == 1.0
    assert like(logits, envelope=build is planted.pizza, sign=sign) > 0.998
    assert like(logits, envelope=build is planted.pizza, sign=-sign) < 0.5


@pytest.mark.parametrize("operation", ["add", "subtract"])
@pytest.mark.parametrize("shares", [(0.5, 0.25, 0.25), (0.0, 0.5, 0.5), (0.0, 0.0, 1.0)])
def test_a_mixture_is_the_sum_of_its_parts(shares: tuple[float, ...], operation: str) -> None:
    names = ("clock", "rectified sum", "pizza")
    network, _ = planted.mixture(
        23, KS, dict(zip(names, shares, strict=True)), operation=operation, equals=False
    )
    builders = (planted.clock, planted.rectified_sum, planted.pizza)
    parts = [logits_of(build(23, KS, operation=operation, equals=False)[0]) for build in builders]
    sizes = (1.0, np.pi / 4, np.pi / 4)  # of a rectified sum alone the waves have the mean weight 4 / pi
    expected = sum(share * size * part for share, size, part in zip(shares, sizes, parts, strict=True))
    assert np.corrcoef(logits_of(network).ravel(), expected.ravel())[0, 1] > 0.9999


@pytest.mark.parametrize("equals", [True, False])
def test_clock_is_a_product_in_attention(equals: bool) -> None:
    network, task = planted.clock(23, KS, equals=equals)
    assert spread_of_pattern(network, task) > 0.03
    assert like(logits_of(network), envelope=False) > 0.999


def test_rectified_sums_have_constant_attention() -> None:
    for build, envelope in ((planted.pizza, True), (planted.rectified_sum, False)):
        network, task = build(23, KS)
        assert spread_of_pattern(network, task) < 1e-9
        assert like(logits_of(network), envelope=envelope) > 0.999
        assert like(logits_of(network), envelope=not envelope) < 0.9


def test_between_is_the_sum_of_its_parts() -> None:
    network, task = planted.between(23, KS, 0.5)
    assert accuracies(logits_of(network), task).all == 1.0
    constant = record(network, task).at("pattern").mean(("a", "b")).values
    pattern = np.broadcast_to(constant, (23 * 23, *constant.shape)).copy()
    tokens = torch.from_numpy(task.tokens())
    half = network.run(tokens, replace={"pattern": torch.from_numpy(pattern)})["logits"].numpy()
    signal = [
        np.take_along_axis(x.reshape(-1, 23), task.labels.reshape(-1, 1), 1).mean() - x.mean()
        for x in (half, logits_of(network))
    ]
    assert signal[0] / signal[1] == pytest.approx(0.5, abs=0.02)


def test_memoriser_knows_its_training_pairs_only() -> None:
    for operation in ("add", "subtract"):
        network, task = planted.memoriser(16, operation=operation)
        found = accuracies(logits_of(network), task)
        assert found.train == 1.0
        assert found.test is not None
        assert found.test < 0.2


def test_random_weights_are_at_chance() -> None:
    network, task = planted.random_weights(23)
    assert losses(logits_of(network), task).all > 2.5
