"""Tables of the published kind of network and the way back from their gradients, by hand, in place.

The same formulas as `modscope.training.tables`, for "=", attention rate 1 and no biases in attention. By hand
because the matrix products here take 1 ms of a step and what automatic differentiation adds to them
(intermediate arrays, first touched in every step) would take 4 ms more. In one thread: threads that ask PyTorch for so
small products wait at the interpreter's lock for longer than they gain.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from modscope.model import PairMLPConfig, TransformerConfig

__all__ = ["Folding"]


class Folding:
    """Buffers for one network; `forward` fills them from the weights, `backward` turns them into gradients.

    After `forward`: base [column], left and right [head, token, column] as in `PairTables`, C, and the scores
    of each token relative to that of "=", to_left and to_right [token, head].
    """

    def __init__(self, config: TransformerConfig) -> None:
        self.config = config
        p, heads, size, d = config.p, config.n_heads, config.head_size, config.d_model
        columns, rows = config.d_mlp + config.answers - 1, config.vocabulary + 3
        self.base = torch.empty(columns)
        self.left, self.right = torch.empty(heads, p, columns), torch.empty(heads, p, columns)
        self.C = torch.empty(config.d_mlp, config.answers - 1)
        self._linear, self._grad_C = torch.empty_like(self.C), torch.empty_like(self.C)
        self._read = torch.empty(d, columns)
        self._grad_read = torch.empty(d, columns)
        self._through, self._grad_through = (torch.empty(heads, size, columns) for _ in range(2))
        self._carried, self._grad_carried = (torch.empty(heads, rows, columns) for _ in range(2))
        self._values, self._grad_values = (torch.empty(heads, rows, size) for _ in range(2))
        self._grad_in, self._grad_out = torch.empty(d, config.d_mlp), torch.empty(config.d_mlp, d)

    @classmethod
    def fits(cls, config: TransformerConfig | PairMLPConfig) -> bool:
        """Whether these formulas are those of the network."""
        return (
            isinstance(config, TransformerConfig)
            and config.equals
            and config.attention_rate == 1.0
            and set(config.biases) <= {"b_in", "b_out", "b_U"}
        )

    @torch.no_grad()
    def forward(self, weights: Mapping[str, Tensor], turned: Tensor) -> None:
        """Fill the tables; turned is 1 for each neuron whose sign is turned, 0 for the others."""
        short = self._short = {name.split(".")[-1]: weight.detach() for name, weight in weights.items()}
        self._turned, self._sign = turned[:, None], 1.0 - 2.0 * turned
        self._fold_output(short)
        p = self.config.p
        self._tokens = torch.cat((short["W_E"], short["W_pos"]))
        self._stream = self._tokens[p] + self._tokens[-1]
        self._fold_heads()
        last = self._carried[:, p].sum(0) + self._carried[:, -1].sum(0)
        torch.mv(self._read.T, self._stream, out=self.base)
        self.base.add_(last).add_(self._bias)
        self._fold_scores(short)

    def _fold_heads(self) -> None:
        p, short = self.config.p, self._short
        torch.matmul(self._tokens, short["W_V"], out=self._values)
        torch.mm(short["W_O"].flatten(0, 1), self._read, out=self._through.flatten(0, 1))
        carried = torch.bmm(self._values, self._through, out=self._carried)
        last = carried[:, p] + carried[:, -1]
        torch.add(carried[:, :p], (carried[:, p + 1] - last)[:, None], out=self.left)
        torch.add(carried[:, :p], (carried[:, p + 2] - last)[:, None], out=self.right)

    def _fold_output(self, short: Mapping[str, Tensor]) -> None:
        """C, and what multiplies the residual stream: W_in with signs, and the skip path with turned neurons."""
        neurons = self.config.d_mlp
        W_in, W_U = short["W_in"], short["W_U"]
        self._relative = W_U[:, :-1] - W_U[:, -1:]
        torch.mm(short["W_out"], self._relative, out=self.C)
        torch.mul(self.C, self._turned, out=self._linear)
        torch.mul(W_in, self._sign, out=self._read[:, :neurons])
        self._read[:, neurons:] = torch.addmm(self._relative, W_in, self._linear)
        bias = torch.zeros_like(self.base)
        if "b_in" in short:
            bias[:neurons] = short["b_in"] * self._sign
            bias[neurons:] += short["b_in"] @ self._linear
        if "b_out" in short:
            bias[neurons:] += short["b_out"] @ self._relative
        if "b_U" in short:
            bias[neurons:] += short["b_U"][:-1] - short["b_U"][-1:]
        self._bias = bias

    def _fold_scores(self, short: Mapping[str, Tensor]) -> None:
        p, size = self.config.p, self.config.head_size
        self._q = torch.einsum("d,hde->he", self._stream, short["W_Q"]) / size**0.5
        self._key = torch.einsum("he,hde->dh", self._q, short["W_K"])
        scores = self._tokens @ self._key
        last = scores[p] + scores[-1]
        self.to_left = scores[:p] + (scores[p + 1] - last)
        self.to_right = scores[:p] + (scores[p + 2] - last)

    @torch.no_grad()
    def backward(
        self, base: Tensor, left: Tensor, right: Tensor, C: Tensor, to_left: Tensor, to_right: Tensor
    ) -> dict[str, Tensor]:
        """Gradients of the weights by short name, from those of the tables (shapes as after `forward`)."""
        p = self.config.p
        grads = {name: torch.empty_like(self._short[name]) for name in ("W_V", "W_O")}
        of_tokens = self._unfold_heads(base, left, right, grads)
        self._grad_read.addr_(self._stream, base)
        stream = self._read @ base
        stream = stream + self._unfold_scores(of_tokens, to_left, to_right, grads)
        of_tokens[p] += stream
        of_tokens[-1] += stream
        grads["W_E"], grads["W_pos"] = of_tokens[: p + 1], of_tokens[p + 1 :]
        self._unfold_output(base, C, grads)
        return grads

    def _unfold_heads(self, base: Tensor, left: Tensor, right: Tensor, grads: dict[str, Tensor]) -> Tensor:
        """Fill in the gradients of W_V, of W_O and of what reads the stream; returns the heads' part of the tokens'."""
        p, short = self.config.p, self._short
        carried, values, through = self._grad_carried, self._grad_values, self._grad_through
        torch.add(left, right, out=carried[:, :p])
        at_left, at_right = left.sum(1), right.sum(1)
        at_last = base - at_left - at_right
        for row, sums in ((p, at_last), (p + 1, at_left), (p + 2, at_right), (p + 3, at_last)):
            carried[:, row] = sums
        torch.bmm(carried, self._through.mT, out=values)
        torch.bmm(self._values.mT, carried, out=through)
        torch.matmul(self._tokens.T, values, out=grads["W_V"])
        torch.mm(through.flatten(0, 1), self._read.T, out=grads["W_O"].flatten(0, 1))
        torch.mm(short["W_O"].flatten(0, 1).T, through.flatten(0, 1), out=self._grad_read)
        return values.transpose(0, 1).flatten(1) @ short["W_V"].transpose(0, 1).flatten(1).T

    def _unfold_scores(
        self, tokens: Tensor, to_left: Tensor, to_right: Tensor, grads: dict[str, Tensor]
    ) -> Tensor:
        """Add the scores' part to the gradient of the tokens; returns that of the stream at "="."""
        at_left, at_right = to_left.sum(0), to_right.sum(0)
        last = -(at_left + at_right)
        scores = torch.cat((to_left + to_right, torch.stack((last, at_left, at_right, last))))
        tokens.addmm_(scores, self._key.T)
        key = self._tokens.T @ scores
        grads["W_K"] = torch.einsum("he,dh->hde", self._q, key)
        q = torch.einsum("dh,hde->he", key, self._short["W_K"]) / self.config.head_size**0.5
        grads["W_Q"] = torch.einsum("d,he->hde", self._stream, q)
        return torch.einsum("hde,he->d", self._short["W_Q"], q)

    def _unfold_output(self, base: Tensor, C: Tensor, grads: dict[str, Tensor]) -> None:
        neurons, short = self.config.d_mlp, self._short
        skip, logits = self._grad_read[:, neurons:], base[neurons:]

        torch.mul(self._grad_read[:, :neurons], self._sign, out=self._grad_in)
        grads["W_in"] = self._grad_in.addmm_(skip, self._linear.T)
        linear = torch.mm(short["W_in"].T, skip, out=self._grad_C)
        if "b_in" in short:
            grads["b_in"] = base[:neurons] * self._sign + self._linear @ logits
            linear.addr_(short["b_in"], logits)
        torch.addcmul(C, linear, self._turned, out=self._grad_C)  # linear is the same memory
        relative = torch.addmm(skip, short["W_out"].T, self._grad_C)
        if "b_out" in short:
            grads["b_out"] = self._relative @ logits
            relative.addr_(short["b_out"], logits)
        grads["W_U"] = torch.cat((relative, -relative.sum(1, keepdim=True)), 1)
        grads["W_out"] = torch.mm(self._grad_C, self._relative.T, out=self._grad_out)
        if "b_U" in short:
            grads["b_U"] = torch.cat((logits, -logits.sum()[None]))
