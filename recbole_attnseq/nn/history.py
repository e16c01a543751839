"""Items that a user took before, as far as a batch holds them: left out of the loss where it is told to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Histories:
    """What lies behind each query of a batch.

    A model that is ranked among new items alone would otherwise learn at every step that the items just taken do
    not come again, which the ranking knows already, and pay for it with what they tell of the user's taste. Where
    histories are long and catalogues small this is most of what there is to learn from.

    Attributes:
        counts: (M,) how many items each query has.
        items: (P,) their numbers, query by query, repeated where they were taken repeatedly.
        targets: (M,) the item that followed; it is compared with even where it was taken before.
    """

    counts: Tensor
    items: Tensor
    targets: Tensor

    def part(self, rows: slice, items: slice) -> Histories:
        """Of the queries ``rows``, whose items are ``items``."""
        return Histories(self.counts[rows], self.items[items], self.targets[rows])

    def bounds(self, rows: list[int]) -> list[int]:
        """How many of ``items`` lie before each of the queries ``rows``, which may be M."""
        ends = torch.cat([self.counts.new_zeros(1), self.counts.cumsum(0)])
        result: list[int] = ends[rows].tolist()
        return result

    @property
    def rows(self) -> Tensor:
        """(P,) the query that each of ``items`` belongs to."""
        return torch.repeat_interleave(torch.arange(len(self.counts), device=self.items.device), self.counts)

    def leave_out(self, logits: Tensor) -> None:
        """Write -inf over the logits of the items, in the first M rows of contiguous ``logits`` (M or more, N)."""
        rows = logits[: len(self.targets)]
        kept = rows.gather(1, self.targets[:, None])
        logits.view(-1).index_fill_(0, self.rows * logits.shape[1] + self.items, float("-inf"))
        rows.scatter_(1, self.targets[:, None], kept)

    def among(self, candidates: Tensor) -> Tensor:
        """(M, K) True where one of ``candidates`` (K,), shared by all queries, is left out."""
        known, column = torch.unique(candidates, return_inverse=True)
        place = torch.searchsorted(known, self.items).clamp(max=len(known) - 1)
        found = known[place] == self.items
        taken = torch.zeros(len(self.counts), len(known), dtype=torch.bool, device=candidates.device)
        taken[self.rows[found], place[found]] = True
        return taken[:, column] & (candidates != self.targets[:, None])
