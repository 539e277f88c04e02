"""AdamW, the brake and the clipping of updates for networks in a stack: the same arithmetic as `Stepper`, all at once.

Nothing here asks the device for a number, so that a step can be recorded once and played again (CUDA graphs).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from modscope.training.brake import CUT, LEAST, RECOVERY, TURNED
from modscope.training.optimisers import rates_of
from modscope.training.recipe import Recipe

__all__ = ["ManyStepper", "SlotStepper"]


class ManyStepper:
    """The optimiser of every network in a stack; each has its own rates, age and brake.

    Rates are looked up by age, for as many steps as a recipe may take.
    """

    def __init__(self, stack: Mapping[str, Tensor], steps: int) -> None:
        self.stack, self.names = stack, list(stack)
        first = next(iter(stack.values()))
        networks, device = len(first), first.device
        self.first = {name: torch.zeros_like(w) for name, w in stack.items()}
        self.second = {name: torch.zeros_like(w) for name, w in stack.items()}
        self.before = {name: torch.zeros_like(w) for name, w in stack.items()}
        self.age = torch.zeros(networks, dtype=torch.int64, device=device)
        self.known = torch.zeros(
            networks, dtype=torch.bool, device=device
        )  # whether `before` is of the last step
        self.shares = torch.ones(networks, len(self.names), dtype=torch.float64, device=device)
        self.rates = torch.zeros(networks, steps + 1, dtype=torch.float64, device=device)
        self.decays = torch.zeros_like(self.rates)
        numbers = ("beta1", "beta2", "epsilon", "brake_below", "clips")
        self.how = {name: torch.zeros(networks, dtype=torch.float64, device=device) for name in numbers}

    def tensors(self) -> list[Tensor]:
        """Everything that a step changes."""
        moments = [value for part in (self.first, self.second, self.before) for value in part.values()]
        return [*moments, self.age, self.known, self.shares]

    def begin(self, i: int, recipe: Recipe) -> None:
        """Network i starts from nothing, by the rates of a recipe."""
        how = recipe.optimiser
        for part in (self.first, self.second, self.before):
            for value in part.values():
                value[i].zero_()
        self.age[i], self.known[i], self.shares[i] = 0, False, 1.0
        pairs = [rates_of(how, step) for step in range(min(recipe.stop.steps + 1, self.rates.shape[1]))]
        for table, values in zip((self.rates, self.decays), zip(*pairs, strict=True), strict=True):
            table[i, : len(values)] = torch.tensor(values, dtype=torch.float64)
        own = (*how.betas, how.epsilon, how.brake_below, float(how.update_clipping))
        for name, number in zip(self.how, own, strict=True):
            self.how[name][i] = number

    @torch.no_grad()
    def step(self, grads: Mapping[str, Tensor]) -> None:
        """Every network takes the step of its age."""
        at = self.age[:, None]
        rate, decay = (table.gather(1, at)[:, 0] for table in (self.rates, self.decays))
        shares = self._braked(grads, rate)
        count = self.age.double() + 1
        bias1 = 1 - self.how["beta1"] ** count
        bias2 = 1 - self.how["beta2"] ** count
        for i, name in enumerate(self.names):
            weight, grad, m, v = self.stack[name], grads[name], self.first[name], self.second[name]
            square = grad.square()
            braked = rate * shares[:, i]
            clipped = braked * self._clipping(square, v, bias2)
            beta1, beta2 = (_along(self.how[key], grad) for key in ("beta1", "beta2"))
            m.add_((grad - m) * (1 - beta1))
            v.mul_(beta2).add_(square * (1 - beta2))
            # AdamW multiplies the decay by the rate, and the decay is not to be clipped.
            weight.mul_(_along(1 - braked * decay, grad))
            root = v.sqrt().div_(_along(bias2.sqrt(), grad)).add_(_along(self.how["epsilon"], grad))
            weight.sub_(m.div(root).mul_(_along(clipped / bias1, grad)))
        self.age.add_(1)

    def _braked(self, grads: Mapping[str, Tensor], rate: Tensor) -> Tensor:
        """The share of the rate that each tensor of each network moves by, [network, tensor]."""
        works = rate <= self.how["brake_below"]
        judged = works & self.known
        for i, name in enumerate(self.names):
            grad, before = grads[name].flatten(1), self.before[name].flatten(1)
            size = grad.norm(dim=1) * before.norm(dim=1)
            turned = (grad * before).sum(1) < TURNED * size
            share = self.shares[:, i]
            next_share = torch.where(
                turned, (share * CUT).clamp(min=LEAST), (share * RECOVERY).clamp(max=1.0)
            )
            share.copy_(torch.where(works, torch.where(judged, next_share, share), torch.ones_like(share)))
            before.copy_(grad)
        self.known.copy_(works)
        return self.shares

    def _clipping(self, square: Tensor, second: Tensor, bias2: Tensor) -> Tensor:
        """1 / max(1, root mean square of gradient over its running root mean square), [network]; 1 in the first step."""
        beta2, epsilon = self.how["beta2"], self.how["epsilon"]
        running = torch.lerp(second, square, _along(1 - beta2, square)).div_(_along(bias2, square))
        running = torch.maximum(running, _along(epsilon**2, square))
        excess = square.div(running).flatten(1).mean(1).sqrt().clamp(min=1.0).double()
        clips = (self.how["clips"] > 0) & (self.age > 0)
        return torch.where(clips, 1 / excess, torch.ones_like(excess))


def _along(values: Tensor, like: Tensor) -> Tensor:
    """A number of each network, to be multiplied with its tensor."""
    return values.to(like.dtype).view(-1, *[1] * (like.ndim - 1))


class SlotStepper:
    """The optimiser of one network in a stack, with the face of `Stepper`: what it keeps, either can take back."""

    def __init__(self, many: ManyStepper, i: int, recipe: Recipe) -> None:
        self.many, self.i, self.how = many, i, recipe.optimiser
        self.many.begin(i, recipe)

    def rates(self, step: int) -> tuple[float, float]:
        """Learning rate and weight decay of a step; the first step is number 0."""
        return rates_of(self.how, step)

    def decay_time(self, step: int) -> float:
        """In how many steps weight decay alone shrinks a weight by the factor e, at the rates of a step."""
        rate, decay = self.rates(step)
        return 1.0 / (rate * decay) if rate * decay > 0 else math.inf

    def state(self) -> dict[str, Tensor]:
        """All that has to be kept to go on, by the names of `Stepper.state`."""
        many, i = self.many, self.i
        kept: dict[str, Tensor] = {}
        for j, name in enumerate(many.names):
            kept[f"brake.share.{name}"] = many.shares[i, j].cpu().clone()
            if many.known[i]:
                kept[f"brake.before.{name}"] = many.before[name][i].cpu().clone()
            if many.age[i] > 0:
                kept[f"adamw.step.{name}"] = many.age[i].float().cpu()
                kept[f"adamw.exp_avg.{name}"] = many.first[name][i].cpu().clone()
                kept[f"adamw.exp_avg_sq.{name}"] = many.second[name][i].cpu().clone()
        return kept

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""
        many, i = self.many, self.i
        parts = {"exp_avg": many.first, "exp_avg_sq": many.second}
        for name, value in state.items():
            kind, key, weight = name.split(".", 2)
            if kind == "adamw" and key == "step":
                many.age[i] = int(value)
            elif kind == "adamw":
                parts[key][weight][i].copy_(value)
            elif key == "share":
                many.shares[i, many.names.index(weight)] = float(value)
            else:
                many.before[weight][i].copy_(value)
                many.known[i] = True
