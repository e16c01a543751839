"""Similarities: how the vectors of states and items are prepared so that a dot product compares them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from recbole_attnseq.registry import Registry


@dataclass(frozen=True)
class Similarity:
    """One way to compare vectors.

    Attributes:
        prepare: (..., D) to (..., D), applied to states and items alike before the dot product.
        logit_scale: D to the factor on attention logits, so that they start at the size of ``U'V / sqrt(D)`` for
            coordinates of unit variance.
        tempered: divide scores by the temperature.
    """

    prepare: Callable[[Tensor], Tensor]
    logit_scale: Callable[[int], float]
    tempered: bool


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors, dim=-1)


def _same(vectors: Tensor) -> Tensor:
    return vectors


SIMILARITIES: Registry[Similarity] = Registry("similarity")
SIMILARITIES.register("cosine")(Similarity(_unit, math.sqrt, tempered=True))
SIMILARITIES.register("dot")(Similarity(_same, lambda width: 1 / math.sqrt(width), tempered=False))
