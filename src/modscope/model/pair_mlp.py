"""The family without attention: two tokens, one hidden layer, logits."""

from __future__ import annotations

import torch
from torch import Tensor

from modscope.model.configs import ACTIVATIONS, PairMLPConfig
from modscope.model.network import Network, Pull

__all__ = ["PairMLP"]


class PairMLP(Network):
    """The MLP-only family: logits = activation(x_a W_in_a + x_b W_in_b + b_in) W_U + b_U.

    Each x is a one-hot token, or that position's own embedding of it.

    >>> network = PairMLP.initialised(PairMLPConfig(5, d_hidden=16))
    >>> tuple(network(torch.tensor([[1, 3]])).shape), network.hooks
    ((1, 5), ('embed', 'mlp_pre', 'mlp_post', 'logits'))
    """

    family = "mlp"
    config: PairMLPConfig
    hooks = ("embed", "mlp_pre", "mlp_post", "logits")
    first_joint_hook = "mlp_pre"

    def _embed(self, at: Pull) -> Tensor:
        tokens = at.need_tokens()
        if self.config.d_embed is None:
            return torch.nn.functional.one_hot(tokens, self.config.p).to(self.dtype)
        return torch.stack((self.weight("W_E_a")[tokens[:, 0]], self.weight("W_E_b")[tokens[:, 1]]), dim=1)

    def _mlp_pre(self, at: Pull) -> Tensor:
        x = at["embed"]
        return self._plus_bias(x[:, 0] @ self.weight("W_in_a") + x[:, 1] @ self.weight("W_in_b"), "b_in")

    def _mlp_post(self, at: Pull) -> Tensor:
        return ACTIVATIONS[self.config.activation](at["mlp_pre"])

    def _logits(self, at: Pull) -> Tensor:
        return self._plus_bias(at["mlp_post"] @ self.weight("W_U"), "b_U")
