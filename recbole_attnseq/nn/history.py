"""Items that a user took before, as far as a batch holds them: left out of the loss where it is told to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_attnseq.flat import ranges


@dataclass(frozen=True)
class Histories:
    """What lies behind each query of a batch.

    A model that is ranked among new items alone would otherwise learn at every step that the items just taken do
    not come again, which the ranking knows already, and pay for it with what they tell of the user's taste. Where
    histories are long and catalogues small this is most of what there is to learn from.

    Attributes:
        stream: (T,) item numbers of all sequences of the batch, end to end.
        starts: (M,) the token where each query's history begins.
        counts: (M,) how many items it has.
        targets: (M,) the item that followed; it is compared with even where it was taken before.
    """

    stream: Tensor
    starts: Tensor
    counts: Tensor
    targets: Tensor

    def part(self, rows: slice | Tensor) -> Histories:
        """Of the queries ``rows``."""
        return Histories(self.stream, self.starts[rows], self.counts[rows], self.targets[rows])

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Every query (P,) with every item (P,) of its history, repeated where it was taken repeatedly.

        P may be far above M: call it on a :meth:`part` where queries are many.
        """
        rows = torch.repeat_interleave(torch.arange(len(self.counts), device=self.stream.device), self.counts)
        return rows, self.stream[ranges(self.starts, self.counts)]

    def leave_out(self, logits: Tensor) -> None:
        """Write -inf over the logits of the items, in the first M rows of contiguous ``logits`` (M or more, N)."""
        real = logits[: len(self.targets)]
        kept = real.gather(1, self.targets[:, None])
        rows, items = self.pairs()
        logits.view(-1).index_fill_(0, rows * logits.shape[1] + items, float("-inf"))
        real.scatter_(1, self.targets[:, None], kept)

    def among(self, candidates: Tensor) -> Tensor:
        """(M, K) True where one of ``candidates`` (K,), shared by all queries, is left out."""
        known, column = torch.unique(candidates, return_inverse=True)
        rows, items = self.pairs()
        place = torch.searchsorted(known, items).clamp(max=len(known) - 1)
        found = known[place] == items
        taken = torch.zeros(len(self.counts), len(known), dtype=torch.bool, device=candidates.device)
        taken[rows[found], place[found]] = True
        return taken[:, column] & (candidates != self.targets[:, None])
