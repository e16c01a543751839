"""Item encoders: item numbers to item vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_attnseq.flat import ranges
from recbole_attnseq.registry import Registry

ITEM_ENCODERS: Registry[type[ItemEncoder]] = Registry("item encoder")


class ItemEncoder(nn.Module):
    """What every item encoder promises: ``forward(items)`` maps (...) numbers to (..., D) vectors.

    Number 0 is padding. ``inputs`` embeds the history that the user encoder reads; ``forward`` gives the
    candidates' vectors, which may differ. Where ``uses_features``, it is made with ``features``.
    """

    uses_features: ClassVar[bool] = False

    def inputs(self, items: Tensor) -> Tensor:
        """Embedding (T, D) of history items (T,)."""
        raise NotImplementedError

    def forward(self, items: Tensor) -> Tensor:
        """Vectors (..., D) of candidate items (...)."""
        raise NotImplementedError

    def all(self) -> Tensor:
        """Vectors (N, D) of every item."""
        raise NotImplementedError


@ITEM_ENCODERS.register("id")
class IdEncoder(ItemEncoder):
    """An embedding per item and, as in the reference architecture, a dense layer with ReLU on the candidates.

    Args:
        items: N, padding included.
        width: D.
        dense: put dense + ReLU between a candidate's embedding and its vector.
        tied: read histories with the candidates' table; False gives histories a table of their own.
        scale: standard deviation of the initial embeddings.
        sparse: give the tables sparse gradients, for catalogues of which a step touches a small part.
    """

    def __init__(self, *, items: int, width: int, dense: bool, tied: bool, scale: float, sparse: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(items, width, padding_idx=0, sparse=sparse)
        self.history = self.table if tied else nn.Embedding(items, width, padding_idx=0, sparse=sparse)
        self.dense = nn.Sequential(nn.Linear(width, width), nn.ReLU()) if dense else nn.Identity()
        # No set: its order follows memory addresses, and with it which table gets which draws.
        for table in [self.table] if tied else [self.table, self.history]:
            nn.init.normal_(table.weight, std=scale)
            with torch.no_grad():
                table.weight[0].zero_()

    def inputs(self, items: Tensor) -> Tensor:
        result: Tensor = self.history(items)
        return result

    def forward(self, items: Tensor) -> Tensor:
        result: Tensor = self.dense(self.table(items))
        return result

    def all(self) -> Tensor:
        result: Tensor = self.dense(self.table.weight)
        return result


@dataclass(frozen=True)
class ItemFeatures:
    """What is known of items besides their numbers: a weighted list of features for each.

    Attributes:
        offsets: (N + 1,) where each item's list begins and the last one ends; padding's is empty.
        values: (P,) features, item by item, in 0..count-1.
        weights: (P,) how much each counts; those of one field of an item add up to 1.
        count: how many features there are.
    """

    offsets: Tensor
    values: Tensor
    weights: Tensor
    count: int


@ITEM_ENCODERS.register("features")
class FeatureEncoder(IdEncoder):
    """An embedding per item plus, field by field, the mean embedding of what is known of it.

    Items alike share what they are learned from, which helps those that few have taken. Vectors are sums, as in
    factorisation machines; histories and candidates share the features' table.

    Args:
        features: what is known of each item.
    """

    uses_features = True

    def __init__(
        self,
        *,
        items: int,
        width: int,
        dense: bool,
        tied: bool,
        scale: float,
        features: ItemFeatures,
        sparse: bool = False,
    ) -> None:
        super().__init__(items=items, width=width, dense=dense, tied=tied, scale=scale, sparse=sparse)
        self.features = nn.Embedding(features.count, width)
        nn.init.normal_(self.features.weight, std=scale)
        self.offsets: Tensor
        self.values: Tensor
        self.weights: Tensor
        for name in ("offsets", "values", "weights"):
            self.register_buffer(name, getattr(features, name))

    def described(self, items: Tensor) -> Tensor:
        """Sum over fields of the mean feature embedding (..., D) of items (...)."""
        flat = items.flatten()
        first = self.offsets[flat]
        counts = self.offsets[flat + 1] - first
        place = ranges(first, counts)
        return self._bags(self.values[place], counts.cumsum(0) - counts, self.weights[place]).view(*items.shape, -1)

    def _bags(self, values: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
        table = self.features.weight
        bags: Tensor = F.embedding_bag(values, table, starts, mode="sum", per_sample_weights=weights.to(table))
        return bags

    def inputs(self, items: Tensor) -> Tensor:
        return super().inputs(items) + self.described(items)

    def forward(self, items: Tensor) -> Tensor:
        result: Tensor = self.dense(self.table(items) + self.described(items))
        return result

    def all(self) -> Tensor:
        described = self._bags(self.values, self.offsets[:-1], self.weights)
        result: Tensor = self.dense(self.table.weight + described)
        return result
