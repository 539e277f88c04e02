"""Every config refuses the same wrong switches in the same words."""

from __future__ import annotations

from typing import Any

import pytest

from modscope.errors import InputError, UnknownName
from modscope.model import PairMLPConfig, TransformerConfig
from modscope.networks.deep_mlp import DeepMLPConfig
from modscope.networks.layered_config import LayeredConfig

EVERY = (TransformerConfig, PairMLPConfig, LayeredConfig, DeepMLPConfig)


@pytest.mark.parametrize("config", EVERY)
@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ({"d_vocab_out": 0}, "d_vocab_out = 0: expected a positive integer"),
        ({"d_vocab_out": True}, "d_vocab_out = True: expected a positive integer"),
        ({"biases": "b_in"}, "expected a list of names"),
        ({"biases": ["b_im"]}, "b_im"),
        ({"activation": "rely"}, "relu"),
    ],
)
def test_a_wrong_switch_is_one_sentence(config: Any, switch: dict[str, Any], words: str) -> None:
    with pytest.raises((InputError, UnknownName), match=words):
        config(5, **switch)


@pytest.mark.parametrize("config", [TransformerConfig, LayeredConfig])
@pytest.mark.parametrize("rate", [5, -0.1, float("nan"), 10**400, "1"])
def test_an_attention_rate_is_from_0_to_1(config: Any, rate: Any) -> None:
    with pytest.raises(InputError, match="expected a number from 0 to 1"):
        config(5, attention_rate=rate)
