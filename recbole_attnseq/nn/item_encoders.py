"""Item encoders: item numbers to item vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_attnseq.registry import Registry

ITEM_ENCODERS: Registry[type[ItemEncoder]] = Registry("item encoder")


class ItemEncoder(nn.Module):
    """What every item encoder promises: ``forward(items)`` maps (...) numbers to (..., D) vectors.

    Number 0 is padding. ``inputs`` embeds the history that the user encoder reads; ``forward`` gives the
    candidates' vectors, which may differ.
    """

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
        for table in {self.table, self.history}:
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
