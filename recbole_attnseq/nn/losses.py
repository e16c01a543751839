"""Losses over scores: each takes the target's score and the negatives' scores of every query.

``positive`` is (M,), ``negative`` (M, K) with ``-inf`` where a negative is the target itself by accident. All
return the mean over the M queries. ``softmax`` needs every item as a candidate; the others take a sample.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_attnseq.registry import Registry

LOSSES: Registry[type[Loss]] = Registry("loss")


class Loss(nn.Module):
    """What every loss promises.

    Args:
        items: N, how many real items there are to choose negatives from.
        negatives: K, how many are drawn.
        calibration: t of gBCE; the others ignore it.
    """

    sampled = True

    def __init__(self, *, items: int, negatives: int, calibration: float) -> None:
        super().__init__()
        self.items = items
        self.negatives = negatives
        self.calibration = calibration

    def forward(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Mean loss over the queries: scores (M,) of the targets and (M, K) of the negatives."""
        raise NotImplementedError


@LOSSES.register("softmax")
class Softmax(Loss):
    """Cross-entropy over all items; ``negative`` then holds every item but the target."""

    sampled = False

    def forward(self, positive: Tensor, negative: Tensor) -> Tensor:
        everything = torch.cat([positive[:, None], negative], dim=1)
        return (torch.logsumexp(everything, dim=1) - positive).mean()


@LOSSES.register("sampled_softmax")
class SampledSoftmax(Softmax):
    """Cross-entropy over the target and K uniform negatives, which stand for all N by their number.

    Each negative weighs (N - 1) / K, the usual log-Q correction, so the sum estimates the full one without bias
    and scores mean the same at any K.
    """

    sampled = True

    def forward(self, positive: Tensor, negative: Tensor) -> Tensor:
        weight = math.log(max(1.0, (self.items - 1) / self.negatives))
        return super().forward(positive, negative + weight)


@LOSSES.register("bce")
class BinaryCrossEntropy(Loss):
    """A sigmoid output for each candidate: the target 1, the negatives 0 (their mean counts as much)."""

    def forward(self, positive: Tensor, negative: Tensor) -> Tensor:
        return (F.softplus(-positive) + F.softplus(negative).mean(1)).mean()


@LOSSES.register("gbce")
class GeneralisedBCE(Loss):
    """gBCE of gSASRec (Petrov and Macdonald, RecSys 2023): sigmoid(s)^beta for the target, against overconfidence.

    With sampling rate r = K / (N - 1): beta = r (t (1 - 1/r) + 1/r).
    """

    def __init__(self, *, items: int, negatives: int, calibration: float) -> None:
        super().__init__(items=items, negatives=negatives, calibration=calibration)
        rate = min(1.0, negatives / max(1, items - 1))
        self.beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)

    def forward(self, positive: Tensor, negative: Tensor) -> Tensor:
        return (self.beta * F.softplus(-positive) + F.softplus(negative).sum(1)).mean()


class _LinearCrossEntropy(torch.autograd.Function):
    """Softmax cross-entropy of states times items; the gradient is taken chunk by chunk, on the way forward."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, items: Tensor, targets: Tensor, chunk: int) -> Tensor:
        # With autograd off (evaluation) the gradients are not wanted, but the loss is.
        state_gradient, item_gradient = torch.empty_like(states), torch.zeros_like(items)
        total = states.new_zeros(())
        for start in range(0, len(states), chunk):
            part, target = states[start : start + chunk], targets[start : start + chunk, None]
            logits = part @ items.T
            logits[:, 0] = float("-inf")  # padding is no candidate
            picked = logits.gather(1, target)
            peak = logits.amax(1, keepdim=True)
            logits = logits.sub_(peak).exp_()
            mass = logits.sum(1, keepdim=True)
            total += (mass.log() + peak - picked).sum()
            logits /= mass
            logits.scatter_add_(1, target, logits.new_full((), -1.0).expand_as(target))
            state_gradient[start : start + chunk] = logits @ items
            item_gradient.addmm_(logits.T, part)
        ctx.save_for_backward(state_gradient, item_gradient)
        ctx.count = len(states)
        return total / len(states)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        state_gradient, item_gradient = ctx.saved_tensors
        scale = gradients[0] / ctx.count
        return state_gradient * scale, item_gradient * scale, None, None


def linear_cross_entropy(states: Tensor, items: Tensor, targets: Tensor, budget: int) -> Tensor:
    """Mean full-softmax cross-entropy of ``states @ items.T`` without ever holding all logits.

    Args:
        states: (M, D), temperature included.
        items: (N, D); row 0 is padding and takes no part.
        targets: (M,) in 1..N-1.
        budget: most logits at a time, in elements.

    Returns:
        The mean over M.
    """
    chunk = max(1, min(len(states), budget // len(items)))
    result: Tensor = _LinearCrossEntropy.apply(states, items, targets, chunk)
    return result
