"""Item encoders: item numbers to item vectors."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from recbole_attnseq.flat import ranges
from recbole_attnseq.nn.item_lists import AllBags, ItemLists, bags
from recbole_attnseq.registry import Registry

ITEM_ENCODERS: Registry[type[ItemEncoder]] = Registry("item encoder")


class ItemEncoder(nn.Module):
    """What every item encoder promises: ``forward(items)`` maps (...) numbers to (..., D) vectors.

    Number 0 is padding. ``inputs`` embeds the history that the user encoder reads; ``forward`` gives the
    candidates' vectors, which may differ. Where ``made_with`` says of what, it is made with ``lists``: what is known
    of each item, or its neighbours in histories.
    """

    made_with: ClassVar[Literal["features", "neighbours"] | None] = None

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


class ListEncoder(IdEncoder):
    """An embedding per item, and a weighted list of something for each.

    Args:
        lists: of every item.
    """

    def __init__(
        self,
        *,
        items: int,
        width: int,
        dense: bool,
        tied: bool,
        scale: float,
        lists: ItemLists,
        sparse: bool = False,
    ) -> None:
        super().__init__(items=items, width=width, dense=dense, tied=tied, scale=scale, sparse=sparse)
        self.offsets: Tensor
        self.values: Tensor
        self.weights: Tensor
        for name in ("offsets", "values", "weights"):
            self.register_buffer(name, getattr(lists, name))

    def sums(self, table: nn.Embedding, items: Tensor | None = None) -> Tensor:
        """Weighted sums (..., D) of ``table``'s rows over the lists of ``items`` (...), or (N, D) over all."""
        if items is None:
            return bags(table.weight, self.values, self.offsets[:-1], self.weights, table.sparse)
        flat = items.flatten()
        first = self.offsets[flat]
        counts = self.offsets[flat + 1] - first
        place = ranges(first, counts)
        starts = counts.cumsum(0) - counts
        return bags(table.weight, self.values[place], starts, self.weights[place], table.sparse).view(*items.shape, -1)

    def more(self, table: nn.Embedding, items: Tensor | None = None) -> Tensor:
        """What the lists add to the rows of ``table`` of ``items`` (...), (..., D), or to all of them, (N, D)."""
        raise NotImplementedError

    def inputs(self, items: Tensor) -> Tensor:
        return super().inputs(items) + self.more(self.history, items)

    def forward(self, items: Tensor) -> Tensor:
        result: Tensor = self.dense(self.table(items) + self.more(self.table, items))
        return result

    def all(self) -> Tensor:
        result: Tensor = self.dense(self.table.weight + self.more(self.table))
        return result


@ITEM_ENCODERS.register("features")
class FeatureEncoder(ListEncoder):
    """An embedding per item plus, field by field, the mean embedding of what is known of it.

    Items alike share what they are learned from, which helps those that few have taken. Vectors are sums, as in
    factorisation machines; histories and candidates share the features' table.
    """

    made_with = "features"

    def __init__(self, *, width: int, scale: float, lists: ItemLists, **options: Any) -> None:
        super().__init__(width=width, scale=scale, lists=lists, **options)
        self.features = nn.Embedding(lists.count, width)
        nn.init.normal_(self.features.weight, std=scale)

    def more(self, table: nn.Embedding, items: Tensor | None = None) -> Tensor:
        """The sum over fields of the mean feature embedding (..., D) of ``items`` (...), or (N, D) of all."""
        return self.sums(self.features, items)


@ITEM_ENCODERS.register("neighbours")
class NeighbourEncoder(ListEncoder):
    """An embedding per item plus, through a gate that starts shut, the mean embedding of its neighbours in histories.

    An item is also the company that it keeps: where few have taken it, its neighbours know it better than its own
    embedding. One step of the smoothing over a graph of items that LightGCN (He et al., SIGIR 2020) does over one of
    users and items; the lists hold each item's neighbours, with shares of how often each was one.
    """

    made_with = "neighbours"

    def __init__(self, *, lists: ItemLists, **options: Any) -> None:
        super().__init__(lists=lists, **options)
        self.gate = nn.Parameter(torch.zeros(()))
        back = lists.transposed()
        self.back_offsets: Tensor
        self.back_values: Tensor
        self.back_weights: Tensor
        for name in ("offsets", "values", "weights"):
            self.register_buffer(f"back_{name}", getattr(back, name), persistent=False)

    def more(self, table: nn.Embedding, items: Tensor | None = None) -> Tensor:
        """The gated mean embedding (..., D) of the neighbours of ``items`` (...), or (N, D) of everyone's."""
        if table.sparse:
            return self.gate * self.sums(table, items)
        # Lists of frequent items are long, and a batch holds them often: everyone's at once is the less work.
        there = (self.values, self.offsets, self.weights)
        back = (self.back_values, self.back_offsets, self.back_weights)
        means: Tensor = self.gate * AllBags.apply(table.weight, there, back)  # type: ignore[no-untyped-call]
        return means if items is None else means[items]
