"""The network, readable in one sitting: one attention layer, one MLP, no LayerNorm.

    embed -> resid_pre -> q k v -> attn_scores -> pattern -> z -> attn_out -> resid_mid
          -> mlp_pre -> mlp_post -> mlp_out -> resid_post -> logits

Every activation has a name (a hook) and one formula in terms of earlier ones. A run pulls the ones it
needs, so it can start from any replaced activation: "the logits if `mlp_post` were this".
"""

from __future__ import annotations

import torch
from torch import Tensor

from modscope.model.configs import ACTIVATIONS, TransformerConfig
from modscope.model.network import FULL_HOOKS, Network, Pull

__all__ = ["Transformer"]


class Transformer(Network):
    """The one-layer transformer of the field: attention, then an MLP, on a residual stream.

    Weights have TransformerLens names and axis orders: W_E[vocab, d_model], W_pos[pos, d_model],
    W_Q W_K W_V[head, d_model, d_head], W_O[head, d_head, d_model], W_in[d_model, d_mlp],
    W_out[d_mlp, d_model], W_U[d_model, answer].

    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> logits = network(torch.tensor([[1, 3, 5]]))
    >>> tuple(logits.shape)
    (1, 5)
    >>> silent = network.run(torch.tensor([[1, 3, 5]]), replace={"mlp_post": torch.zeros(1, 16)})["logits"]
    >>> bool((silent == logits).all())
    False
    """

    family = "transformer"
    config: TransformerConfig
    hooks = tuple(FULL_HOOKS)
    first_joint_hook = "attn_scores"

    def _embed(self, at: Pull) -> Tensor:
        return self.weight("W_E")[at.need_tokens()]

    def _pos_embed(self, at: Pull) -> Tensor:
        return self.weight("W_pos").expand(len(at.need_tokens()), -1, -1)

    def _resid_pre(self, at: Pull) -> Tensor:
        return at["embed"] + at["pos_embed"]

    def _project(self, at: Pull, name: str) -> Tensor:
        x = torch.einsum("bpd,hdm->bphm", at["resid_pre"], self.weight(f"W_{name}"))
        return self._plus_bias(x, f"b_{name}")

    def _q(self, at: Pull) -> Tensor:
        return self._project(at, "Q")

    def _k(self, at: Pull) -> Tensor:
        return self._project(at, "K")

    def _v(self, at: Pull) -> Tensor:
        return self._project(at, "V")

    def _attn_scores(self, at: Pull) -> Tensor:
        q = at["q"] if at.every_position else at["q"][:, -1:]
        scores = torch.einsum("bqhm,bkhm->bqhk", q, at["k"]) / self.config.head_size**0.5
        if not at.every_position:
            return scores[:, 0]
        seen = self._seen(scores.shape[-1]).to(scores.device)
        return scores.masked_fill(~seen[:, None], -torch.inf)

    def _seen(self, n: int) -> Tensor:
        seen = torch.ones(n, n, dtype=torch.bool)
        return seen.tril() if self.config.causal else seen

    def _pattern(self, at: Pull) -> Tensor:
        rate = self.config.attention_rate
        # keys are few and pairs many: with the keys first the numbers of many pairs are taken at once
        keys_first = at["attn_scores"].movedim(-1, 0).contiguous()
        pattern = torch.softmax(keys_first, dim=0).movedim(0, -1).contiguous()
        if rate == 1.0:
            return pattern
        return rate * pattern + (1.0 - rate) * torch.isfinite(at["attn_scores"]).to(pattern.dtype)

    def _z(self, at: Pull) -> Tensor:
        ends = "bqhk,bkhm->bqhm" if at.every_position else "bhk,bkhm->bhm"
        return torch.einsum(ends, at["pattern"], at["v"])

    def _attn_out(self, at: Pull) -> Tensor:
        z = at["z"]
        out = z.flatten(-2) @ self.weight("W_O").flatten(0, 1)
        return self._plus_bias(out, "b_O")

    def _resid_mid(self, at: Pull) -> Tensor:
        skip = at["resid_pre"] if at.every_position else at["resid_pre"][:, -1]
        return at.plus("attn_out", skip)

    def _mlp_pre(self, at: Pull) -> Tensor:
        return self._plus_bias(at["resid_mid"] @ self.weight("W_in"), "b_in")

    def _mlp_post(self, at: Pull) -> Tensor:
        pre = at.let_go("mlp_pre") if self.config.activation == "relu" else None
        return ACTIVATIONS[self.config.activation](at["mlp_pre"]) if pre is None else pre.relu_()

    def _mlp_out(self, at: Pull) -> Tensor:
        return self._plus_bias(at["mlp_post"] @ self.weight("W_out"), "b_out")

    def _resid_post(self, at: Pull) -> Tensor:
        return at.plus("mlp_out", at["resid_mid"])

    def _logits(self, at: Pull) -> Tensor:
        return self._plus_bias(at["resid_post"] @ self.weight("W_U"), "b_U")
