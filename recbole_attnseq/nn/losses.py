"""Losses over scores: each takes the target's score and the negatives' scores of every query.

``positive`` is (M,), ``negative`` (M, K) with ``-inf`` where a negative is no candidate: the target itself by
accident, or an item of the history where those are left out. All return the mean over the M queries.
``softmax`` needs every item as a candidate; the others take a sample.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_attnseq.registry import Registry

LOSSES: Registry[type[Loss]] = Registry("loss")


class Loss(nn.Module):
    """What every loss promises.

    A class with ``sampled = False`` meets all items but the target, in one piece; ``softmax`` alone has a way of its
    own that never holds all scores.

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

    Each negative weighs N / K: the usual log-Q correction. So the sum estimates the full one without bias, whatever
    is left out of both, and scores mean the same at any K.
    """

    sampled = True

    def forward(self, positive: Tensor, negative: Tensor) -> Tensor:
        return super().forward(positive, negative + math.log(self.items / negative.shape[1]))


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
