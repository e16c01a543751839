"""Sequences stored flat: one array of items, and (start, end) pairs into it. Nothing is copied or padded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_attnseq.flat import begins, latest


@dataclass(frozen=True)
class SequenceStore:
    """The targets of one part of a split, and where their histories lie.

    Attributes:
        items: (M,) item of every interaction, ordered by (user, time).
        target: (R,) position in ``items`` of each target, ascending within a sequence.
        length: (R,) length of the history before each target, at least 1.
        sequence: (R,) which sequence (user) each target belongs to; equal ones adjacent.
        moment: (R, 2) float64 time of each target and of the item before it, None where nobody asks for it.
        gaps: (M,) how long each interaction waited for (see :func:`~recbole_attnseq.flat.waits`), None
            where nobody asks for it.
    """

    items: Tensor
    target: Tensor
    length: Tensor
    sequence: Tensor
    moment: Tensor | None = None
    gaps: Tensor | None = None

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
        return self.rows(order)

    def rows(self, index: Tensor) -> SequenceStore:
        """The targets at ``index`` (R',), with the same interactions behind them."""
        moment = None if self.moment is None else self.moment[index]
        return SequenceStore(
            self.items, self.target[index], self.length[index], self.sequence[index], moment, self.gaps
        )


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


CONTEXTS = ("full", "window", "exact")


def windows(store: SequenceStore, stride: int, context: str = "full") -> Windows:
    """Cut sequences into pieces of at most ``stride`` steps with targets. ``stride`` 1 gives RecBole's prefixes.

    Args:
        store: targets sorted by position (see :meth:`SequenceStore.sorted_by_position`).
        stride: most targets of a piece, at least 1.
        context: ``full``: a piece shows its first target its whole history, and later ones at least as much as
            theirs. ``window``: a piece begins one item before its first target, so every token is met once and a
            target sees what its own piece holds. ``exact``: a piece joins only targets whose histories begin at the
            same item, so every target sees its own history and nothing before it, however many layers look back.
    """
    first = begins(store.sequence)
    begin = store.target - store.length
    if context == "exact":
        # Within a sequence histories begin where they did before, or later once they are cut at the maximum.
        first = first | begins(begin)
    # By the places of the targets, not by their number: where a split took some out, pieces stay as short.
    origin = store.target[latest(first)]
    part = (store.target - origin) // stride
    first = first | begins(part)
    row = first.nonzero().flatten()
    count = torch.diff(row, append=row.new_tensor([len(store.target)]))
    start = store.target[row] - 1 if context == "window" else begin[row]
    return Windows(start, store.target[row + count - 1], row, count)
