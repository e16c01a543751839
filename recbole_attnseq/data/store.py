"""Sequences stored flat: one array of items, and (start, end) pairs into it. Nothing is copied or padded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SequenceStore:
    """The targets of one part of a split, and where their histories lie.

    Attributes:
        items: (M,) item of every interaction, ordered by (user, time).
        target: (R,) position in ``items`` of each target, ascending within a sequence.
        length: (R,) length of the history before each target, at least 1.
        sequence: (R,) which sequence (user) each target belongs to; equal ones adjacent.
    """

    items: Tensor
    target: Tensor
    length: Tensor
    sequence: Tensor

    @classmethod
    def from_rows(cls, histories: Tensor, lengths: Tensor, targets: Tensor) -> SequenceStore:
        """A store of unrelated rows, as benchmark files hold them.

        Args:
            histories: (R, L) items, padded on the right.
            lengths: (R,) items in each history.
            targets: (R,) item that follows.
        """
        rows = len(targets)
        whole = torch.cat([histories, histories.new_zeros(rows, 1)], dim=1)
        whole[torch.arange(rows), lengths] = targets
        column = torch.arange(whole.shape[1])
        items = whole[column <= lengths[:, None]]
        return cls(items, (lengths + 1).cumsum(0) - 1, lengths, torch.arange(rows))

    def sorted_by_position(self) -> SequenceStore:
        """The same targets in the order of the flat array, so that a sequence's targets are adjacent."""
        order = torch.argsort(self.target)
        return SequenceStore(self.items, self.target[order], self.length[order], self.sequence[order])


@dataclass(frozen=True)
class Windows:
    """Pieces of a store's sequences, each with the targets it trains.

    Attributes:
        start: (P,) first history token of each piece, a position in the store's items.
        end: (P,) one past the last history token; the target after it is the piece's last.
        row: (P,) first of the piece's targets among the store's.
        count: (P,) how many targets the piece trains.
    """

    start: Tensor
    end: Tensor
    row: Tensor
    count: Tensor


def windows(store: SequenceStore, stride: int) -> Windows:
    """Cut sequences so that a piece trains at most ``stride`` targets and shows the first its whole history.

    Later targets of a piece see at least as much as their own histories. ``stride`` 1 gives RecBole's prefixes.

    Args:
        store: targets sorted by position (see :meth:`SequenceStore.sorted_by_position`).
        stride: most targets of a piece, at least 1.
    """
    rows = torch.arange(len(store.target))
    first = torch.ones(len(rows), dtype=torch.bool)
    first[1:] = store.sequence[1:] != store.sequence[:-1]
    rank = rows - torch.where(first, rows, 0).cummax(0).values
    row = rows[rank % stride == 0]
    count = torch.diff(row, append=row.new_tensor([len(rows)]))
    start = store.target[row] - store.length[row]
    return Windows(start, store.target[row + count - 1], row, count)


def ranges(start: Tensor, length: Tensor) -> Tensor:
    """The integers ``start .. start + length - 1`` of every pair, end to end: (sum of lengths,)."""
    ends = length.cumsum(0)
    shift = torch.repeat_interleave(start - (ends - length), length)
    return torch.arange(len(shift)) + shift
