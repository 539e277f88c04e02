"""Independent forward passes from torch.nn modules, with state dicts as public repositories have them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS = {
    "relu": nn.ReLU(),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "tanh": nn.Tanh(),
    "quadratic": lambda x: x**2,
    "identity": nn.Identity(),
    "gelu_tanh": nn.GELU(approximate="tanh"),
}


def turned(x: Tensor, neighbours: bool) -> Tensor:
    """RoPE by complex numbers: x [batch, head, pos, d_head]."""
    n, m = x.shape[2], x.shape[3]
    angle = torch.outer(torch.arange(n).double(), 10000.0 ** (-torch.arange(0, m, 2).double() / m))
    unit = torch.polar(torch.ones_like(angle), angle)
    if neighbours:
        z = torch.view_as_complex(x.double().reshape(*x.shape[:3], m // 2, 2).contiguous()) * unit
        return torch.view_as_real(z).flatten(-2).to(x)
    z = torch.complex(x.double()[..., : m // 2], x.double()[..., m // 2 :]) * unit
    return torch.cat((z.real, z.imag), dim=-1).to(x)


class Attention(nn.Module):
    def __init__(self, d: int, heads: int, kv: int, *, bias: bool, fused: bool) -> None:
        super().__init__()
        self.heads, self.kv, self.m = heads, kv, d // heads
        if fused:
            self.qkv_proj = nn.Linear(d, (heads + 2 * kv) * self.m, bias=bias)
        else:
            self.q_proj = nn.Linear(d, heads * self.m, bias=bias)
            self.k_proj = nn.Linear(d, kv * self.m, bias=bias)
            self.v_proj = nn.Linear(d, kv * self.m, bias=bias)
        self.o_proj = nn.Linear(heads * self.m, d, bias=bias)

    def forward(
        self, x: Tensor, *, rotary: str, causal: bool, rate: float, hooks: dict[str, Tensor]
    ) -> Tensor:
        if hasattr(self, "qkv_proj"):
            m = self.m
            q, k, v = self.qkv_proj(x).split([self.heads * m, self.kv * m, self.kv * m], dim=-1)
        else:
            q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        q = q.unflatten(-1, (self.heads, self.m))
        k, v = (
            y.unflatten(-1, (self.kv, self.m)).repeat_interleave(self.heads // self.kv, 2) for y in (k, v)
        )
        hooks |= {"q": q, "k": k, "v": v}
        q, k, v = (y.transpose(1, 2) for y in (q, k, v))
        if rotary:
            q, k = turned(q, rotary == "neighbours"), turned(k, rotary == "neighbours")
            hooks |= {"rot_q": q.transpose(1, 2), "rot_k": k.transpose(1, 2)}
        mask = torch.ones(q.shape[2], q.shape[2]).tril().bool() if causal else None
        z = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        if rate != 1:
            seen = v.cumsum(2) if causal else v.sum(2, keepdim=True).expand_as(v)
            z = rate * z + (1 - rate) * seen
        hooks["z"] = z.transpose(1, 2)
        return self.o_proj(hooks["z"].flatten(-2))


class Block(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        d, f, bias = config["d"], config["f"], config["bias"]
        self.config = config
        self.self_attn = Attention(d, config["heads"], config["kv"], bias=bias, fused=config["fused"])
        if config["norm"]:
            norm = nn.LayerNorm if config["norm"] == "layer" else nn.RMSNorm
            self.norm1 = norm(d, eps=1e-5, elementwise_affine=config["learned"])
            if f:
                self.norm2 = norm(d, eps=1e-5, elementwise_affine=config["learned"])
        if f:
            self.mlp = nn.Module()
            if config["gated"]:
                self.mlp.gate_proj = nn.Linear(d, f, bias=bias)
            self.mlp.up_proj = nn.Linear(d, f, bias=bias)
            self.mlp.down_proj = nn.Linear(f, d, bias=bias)

    def _bare(self, x: Tensor) -> Tensor:
        """The norm without its weights, which a reader folds into what follows."""
        shape = x.shape[-1:]
        return (
            functional.layer_norm(x, shape)
            if self.config["norm"] == "layer"
            else functional.rms_norm(x, shape, eps=1e-5)
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        c = self.config
        hooks = {"resid_pre": x}
        before, after = c["norm"] and not c["after"], c["norm"] and c["after"]
        if before:
            hooks["ln1"] = self._bare(x)
        read = self.norm1(x) if before else x
        out = self.self_attn(read, rotary=c["rotary"], causal=c["causal"], rate=c["rate"], hooks=hooks)
        hooks["attn_out"] = out
        x = x + out
        x = self.norm1(x) if after else x
        if not c["f"]:
            return hooks | {"resid_post": x}
        hooks["resid_mid"] = x
        if before:
            hooks["ln2"] = self._bare(x)
        read = self.norm2(x) if before else x
        act = ACTIVATIONS[c["act"]]
        if c["gated"]:
            hooks["mlp_pre"], hooks["mlp_pre_linear"] = self.mlp.gate_proj(read), self.mlp.up_proj(read)
            hooks["mlp_post"] = act(hooks["mlp_pre"]) * hooks["mlp_pre_linear"]
        else:
            hooks["mlp_pre"] = self.mlp.up_proj(read)
            hooks["mlp_post"] = act(hooks["mlp_pre"])
        hooks["mlp_out"] = self.mlp.down_proj(hooks["mlp_post"])
        x = x + hooks["mlp_out"]
        return hooks | {"resid_post": self.norm2(x) if after else x}


DEFAULTS: dict[str, Any] = {
    "layers": 2, "d": 8, "heads": 4, "kv": 4, "f": 10, "norm": "", "after": False, "learned": True, "final": True,
    "act": "relu", "gated": False, "rotary": "", "causal": True, "rate": 1.0, "bias": True, "fused": False,
    "tied": False, "tokens": 9, "length": 4,
}  # fmt: skip


class Reference(nn.Module):
    """A decoder as public repositories write it."""

    def __init__(self, **switches: Any) -> None:
        super().__init__()
        c = self.config = {**DEFAULTS, **switches}
        self.token_embedding = nn.Embedding(c["tokens"], c["d"])
        if not c["rotary"]:
            self.position_embedding = nn.Embedding(c["length"], c["d"])
        self.layers = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        if c["norm"] and c["final"] and not c["after"]:
            norm = nn.LayerNorm if c["norm"] == "layer" else nn.RMSNorm
            self.norm = norm(c["d"], eps=1e-5, elementwise_affine=c["learned"])
        if not c["tied"]:
            self.lm_head = nn.Linear(c["d"], c["tokens"], bias=c["bias"])
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.6)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        """Every hook, at every position."""
        x = self.token_embedding(tokens)
        hooks = {"embed": x}
        if not self.config["rotary"]:
            hooks["pos_embed"] = self.position_embedding.weight[: tokens.shape[1]].expand_as(x)
            x = x + hooks["pos_embed"]
        for i, block in enumerate(self.layers):
            found = block(x)
            x = found["resid_post"]
            prefix = f"blocks.{i}." if self.config["layers"] > 1 else ""
            hooks |= {f"{prefix}{name}": value for name, value in found.items()}
        if hasattr(self, "norm"):
            hooks["ln_final"] = self.layers[0]._bare(x)
            x = self.norm(x)
        head = functional.linear(x, self.token_embedding.weight) if self.config["tied"] else self.lm_head(x)
        return hooks | {"logits": head}

    def stated(self, p: int, sequence: list[str], tokens: dict[str, int]) -> dict[str, Any]:
        """All switches as a config of modscope's words states them."""
        c = self.config
        return {
            "p": p, "sequence": sequence, "tokens": tokens, "n_heads": c["heads"], "n_kv_heads": c["kv"],
            "activation": c["act"], "norm": c["norm"], "norm_after": c["after"], "causal": c["causal"],
            "rotary": c["rotary"] or "none", "attention_rate": c["rate"], "fused": "qkv", "operation": "add", "split": {"kind": "none"},
        }  # fmt: skip
