"""The network against an independent forward pass, and the laws of its hooks."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.model import (
    Network,
    PairMLP,
    PairMLPConfig,
    Transformer,
    TransformerConfig,
)
from modscope.networks.families import network_from_dict
from modscope.task import ModularTask

ALL_BIASES = ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U")


def random_transformer(seed: int = 0, **switches: object) -> Transformer:
    """All sizes different, every weight (biases too) non-zero, float64."""
    sizes = {"p": 7, "d_model": 10, "n_heads": 3, "d_head": 4, "d_mlp": 13, "biases": ALL_BIASES}
    config = TransformerConfig(**{**sizes, **switches})  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    return Transformer(
        config,
        {
            name: torch.randn(shape, generator=generator, dtype=torch.float64) / 2
            for name, shape in config.shapes().items()
        },
    )


def tokens_of(network: Network) -> torch.Tensor:
    return torch.as_tensor(ModularTask(network.config.p).tokens(equals=network.config.equals))


def naive_logits(network: Transformer, tokens: torch.Tensor) -> torch.Tensor:
    """The forward pass written out with loops over examples, heads and positions."""
    config = network.config
    w = {name.split(".")[-1]: value for name, value in network.weights.items()}
    activation = {"relu": lambda x: x.clamp(min=0), "quadratic": lambda x: x * x}.get(
        config.activation, lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    )
    rows = []
    for example in tokens.tolist():
        stream = [w["W_E"][t] + w["W_pos"][i] for i, t in enumerate(example)]
        read = len(stream) - 1
        out = torch.zeros_like(stream[read]) + w["b_O"]
        for head in range(config.n_heads):
            query = stream[read] @ w["W_Q"][head] + w["b_Q"][head]
            keys = [x @ w["W_K"][head] + w["b_K"][head] for x in stream]
            values = [x @ w["W_V"][head] + w["b_V"][head] for x in stream]
            scores = torch.stack([query @ key for key in keys]) / math.sqrt(config.head_size)
            exps = torch.exp(scores - scores.max())
            weights = config.attention_rate * exps / exps.sum() + 1 - config.attention_rate
            out = out + sum(a * v for a, v in zip(weights, values, strict=True)) @ w["W_O"][head]
        mid = stream[read] + out
        post = mid + activation(mid @ w["W_in"] + w["b_in"]) @ w["W_out"] + w["b_out"]
        rows.append(post @ w["W_U"] + w["b_U"])
    return torch.stack(rows)


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"equals": False, "causal": False},
        {"equals": False, "causal": False, "attention_rate": 0.0},
        {"attention_rate": 0.4},
        {"activation": "gelu"},
        {"activation": "quadratic", "d_vocab_out": 11},
        {"p": 8, "d_model": 6, "d_mlp": 5},
    ],
    ids=str,
)
def test_logits_agree_with_loops(switches: dict[str, object]) -> None:
    network = random_transformer(**switches)
    tokens = tokens_of(network)
    torch.testing.assert_close(network(tokens), naive_logits(network, tokens), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(network.all_logits().flatten(0, 1), network(tokens), rtol=1e-11, atol=1e-11)


def test_a_run_resumed_from_any_hook_gives_the_same_logits() -> None:
    network = random_transformer()
    tokens = tokens_of(network)
    every = network.run(tokens, keep=network.hooks)
    for hook in network.hooks[:-1]:
        again = network.run(tokens, replace={hook: every[hook]})["logits"]
        torch.testing.assert_close(again, every["logits"])
        changed = network.run(tokens, replace={hook: every[hook] * 0.5 + 0.1})["logits"]
        assert not torch.allclose(changed, every["logits"]), hook


@given(
    kept=st.lists(st.sampled_from(Transformer.hooks), min_size=1, max_size=4),
    given_hook=st.sampled_from((None, "attn_out", "mlp_pre", "mlp_out")),
)
def test_what_a_run_keeps_or_was_given_is_never_written_over(kept: list[str], given_hook: str | None) -> None:
    network = random_transformer()
    tokens = network.tokens_of_rows(range(2))
    every = network.run(tokens, keep=network.hooks)
    replace = {} if given_hook is None else {given_hook: every[given_hook].clone()}
    found = network.run(tokens, keep=kept, replace=replace)
    for name, x in (found | replace).items():
        torch.testing.assert_close(x, every[name], rtol=1e-12, atol=1e-12)


def test_the_read_position_is_the_last_row_of_all_positions() -> None:
    for switches in ({}, {"equals": False, "causal": False}, {"attention_rate": 0.3}):
        network = random_transformer(**switches)  # type: ignore[arg-type]
        tokens = tokens_of(network)
        read = network.run(tokens, keep=network.hooks)
        every = network.run(tokens, keep=network.hooks, positions="all")
        joint = network.hooks[network.hooks.index(network.first_joint_hook) :]
        for hook in joint:
            torch.testing.assert_close(every[hook][:, -1], read[hook])


def test_a_causal_position_does_not_see_later_ones() -> None:
    network = random_transformer()
    one = network.run(torch.tensor([[1, 2, 7]]), keep=["resid_post"], positions="all")["resid_post"]
    two = network.run(torch.tensor([[1, 5, 7]]), keep=["resid_post"], positions="all")["resid_post"]
    torch.testing.assert_close(one[:, 0], two[:, 0])
    assert not torch.allclose(one[:, 1], two[:, 1])


@given(seed=st.integers(0, 10_000))
def test_pattern_sums_to_one(seed: int) -> None:
    network = random_transformer(seed)
    pattern = network.run(tokens_of(network), keep=["pattern"])["pattern"]
    torch.testing.assert_close(pattern.sum(-1), torch.ones_like(pattern[..., 0]))


def test_short_and_full_names_are_the_same() -> None:
    network = random_transformer()
    assert network.weight("W_Q") is network.weight("blocks.0.attn.W_Q")
    tokens = tokens_of(network)
    kept = network.run(tokens, keep=["mlp_post", "blocks.0.mlp.hook_post"])
    assert kept["mlp_post"] is kept["blocks.0.mlp.hook_post"]
    with pytest.raises(UnknownName, match="did you mean 'mlp_post'"):
        network.run(tokens, keep=["mlp_pos"])
    with pytest.raises(UnknownName, match="unknown weight"):
        network.weight("post")


def test_a_bias_left_out_is_zero() -> None:
    network = random_transformer()
    zeros = {
        name: w * 0 if name.split(".")[-1].startswith("b_") else w for name, w in network.weights.items()
    }
    bare_config = dataclasses.replace(network.config, biases=())
    bare = Transformer(bare_config, {n: w for n, w in zeros.items() if n in bare_config.shapes()})
    tokens = tokens_of(network)
    torch.testing.assert_close(bare(tokens), Transformer(network.config, zeros)(tokens))


@pytest.mark.parametrize("d_embed", [None, 5])
def test_pair_mlp_agrees_with_its_formula(d_embed: int | None) -> None:
    config = PairMLPConfig(6, d_hidden=9, d_embed=d_embed, activation="quadratic", biases=("b_in", "b_U"))
    network = PairMLP.initialised(config, seed=1).to(torch.float64)
    for a, b in itertools.product(range(6), repeat=2):
        x_a = network.weight("W_E_a")[a] if d_embed else torch.eye(6, dtype=torch.float64)[a]
        x_b = network.weight("W_E_b")[b] if d_embed else torch.eye(6, dtype=torch.float64)[b]
        hidden = x_a @ network.weight("W_in_a") + x_b @ network.weight("W_in_b") + network.weight("b_in")
        expected = hidden**2 @ network.weight("W_U") + network.weight("b_U")
        torch.testing.assert_close(network(torch.tensor([[a, b]]))[0], expected)


def test_networks_round_trip_through_their_description() -> None:
    for network in (random_transformer(), PairMLP.initialised(PairMLPConfig(5, d_embed=4))):
        again = network_from_dict(network.to_dict(), network.weights)
        assert again.config == network.config
        tokens = tokens_of(network)
        torch.testing.assert_close(again(tokens), network(tokens))


def test_initialisation_depends_on_its_seed_only() -> None:
    config = TransformerConfig(11)
    one, same, other = (Transformer.initialised(config, seed=s) for s in (0, 0, 1))
    for name in one.weights:
        assert torch.equal(one.weights[name], same.weights[name])
    assert not torch.equal(one.weight("W_E"), other.weight("W_E"))
    assert abs(float(one.weight("W_in").std()) * math.sqrt(128) - 1) < 0.02


def test_bad_configs_and_weights_say_what_is_wrong() -> None:
    with pytest.raises(InputError, match="not divisible by n_heads"):
        TransformerConfig(7, d_model=10, n_heads=3)
    with pytest.raises(InputError, match="positive integer"):
        TransformerConfig(7, d_mlp=0)
    with pytest.raises(UnknownName, match="did you mean 'relu'"):
        TransformerConfig(7, activation="rellu")
    with pytest.raises(UnknownName, match="bias"):
        TransformerConfig(7, biases=("b_x",))
    network = random_transformer()
    weights = dict(network.weights)
    with pytest.raises(UnknownName, match="unknown weight"):
        Transformer(network.config, {**weights, "embed.W_X": weights["embed.W_E"]})
    with pytest.raises(InputError, match=r"expected \(8, 10\)"):
        Transformer(network.config, {**weights, "embed.W_E": weights["embed.W_E"].T})
    del weights["embed.W_E"]
    with pytest.raises(InputError, match="is missing"):
        Transformer(network.config, weights)
    with pytest.raises(InputError, match="no tokens"):
        network.run(keep=["q"])
    with pytest.raises(UnknownName, match="family"):
        network_from_dict({"family": "rnn", "p": 5}, {})
