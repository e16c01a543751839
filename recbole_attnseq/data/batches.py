"""Batches of whole sequences or of prefixes: packed, shuffled by seed, cut by their number of targets or tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_attnseq.data.store import SequenceStore, Windows, windows
from recbole_attnseq.errors import UserError
from recbole_attnseq.flat import ranges

OPEN_BATCHES = 8  # among which a piece looks for room: more hardly fill better, and mix the epoch's order more
WORTH_SEARCHING = 0.01  # share of a batch


@dataclass(frozen=True)
class Batch:
    """Histories end to end, and what is to be predicted after which of their tokens.

    Attributes:
        items: (T,) history items.
        lengths: (B,) tokens of each history.
        queries: (M,) tokens, ascending, whose next item is a target.
        targets: (M,) that item.
        moments: (M, 2) float64 time of each target and of the item before it, None where nobody asks for it.
        gaps: (T,) how long each history item waited for, None where nobody asks for it.
    """

    items: Tensor
    lengths: Tensor
    queries: Tensor
    targets: Tensor
    moments: Tensor | None = None
    gaps: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        parts = (self.items, self.lengths, self.queries, self.targets, self.moments, self.gaps)
        return Batch(*(None if x is None else x.to(device, non_blocking=True) for x in parts))  # type: ignore[arg-type]


class SequenceBatches:
    """Every target once an epoch, in batches of about ``size`` targets or ``tokens`` tokens.

    Args:
        store: the targets and their histories.
        size: targets a batch; a batch is filled until the next piece would exceed it.
        stride: most targets of one piece (see :func:`~recbole_attnseq.data.store.windows`); 1 for prefixes.
        context: what a piece shows its targets: full, window or exact (see the same function).
        tokens: history tokens a batch, in place of ``size``: the memory of a step then hardly varies, whatever share
            of the tokens has a target.
        round_to: fill each batch up to a multiple of this many tokens with one idle sequence of padding items, which
            has no targets. A CPU's kernels are generated for the shapes they meet: few shapes, few generations.
        bucket: put pieces of like length together, for encoders that pad or where pieces are prefixes.
        seed: of the shuffle; epoch e of equal seeds is equal.

    Raises:
        UserError: ``size`` is below 1, ``tokens`` does not hold the longest history, or the store holds no target.
    """

    def __init__(
        self,
        store: SequenceStore,
        *,
        size: int,
        stride: int,
        bucket: bool,
        seed: int,
        round_to: int = 1,
        context: str = "full",
        tokens: int | None = None,
    ) -> None:
        if size < 1 or stride < 1:
            raise UserError(f"train_batch_size is {size}; a batch needs room for at least one target.")
        if len(store.target) == 0:
            raise UserError(
                "nothing to train on: no user of the training part has two interactions; check the split and filters."
            )
        self.store = store.sorted_by_position()
        self.size = size
        self.tokens = tokens
        if tokens is not None:
            longest = int(store.length.max())
            if tokens < longest:
                raise UserError(
                    f"train_batch_tokens is {tokens}, but the longest history takes {longest} tokens: raise it to "
                    f"{longest} at least, or lower MAX_ITEM_LIST_LENGTH to {max(tokens, 1)}."
                )
            # In full context a piece's first target may bring that many tokens, and each further one brings one.
            stride, size = min(stride, tokens - longest + 1 if context == "full" else tokens), tokens
        self.pieces: Windows = windows(self.store, min(stride, size), context)
        self.weight = self.pieces.count if tokens is None else self.pieces.end - self.pieces.start
        self.bucket = bucket
        self.seed = seed
        self.round_to = round_to

    @property
    def targets(self) -> int:
        """Targets an epoch."""
        return len(self.store.target)

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Iterator[Batch | None]:
        """The batches of epoch ``number``, in an order that depends on it and the seed alone.

        With several processes each gets its share ``rank`` of every batch, or None where that is empty, so that
        all take the same number of steps.
        """
        for pieces in self._plan(number):
            mine = pieces[rank::world]
            yield self.assemble(mine) if len(mine) else None

    @property
    def limit(self) -> int:
        """Most targets, or tokens, of a batch."""
        return self.size if self.tokens is None else self.tokens

    def steps(self, number: int = 0) -> int:
        """Batches of epoch ``number``."""
        return len(self._plan(number))

    def _plan(self, number: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        order = torch.randperm(len(self.pieces.start), generator=generator)
        if self.bucket:
            # Sorting by length within pools of many batches keeps the padding small and the batches random.
            length = (self.pieces.end - self.pieces.start)[order]
            pool = self.weight[order].cumsum(0) // (self.limit * 32)
            order = order[torch.argsort(pool * (int(length.max()) + 1) + length, stable=True)]
        batch = fill(self.weight[order], self.limit)
        plan = list(order[torch.argsort(batch, stable=True)].split(torch.bincount(batch).tolist()))
        if self.bucket:
            shuffled = torch.randperm(len(plan), generator=generator).tolist()
            plan = [plan[index] for index in shuffled]
        return plan

    def assemble(self, pieces: Tensor) -> Batch:
        """The batch of the given pieces (B,)."""
        start, end = self.pieces.start[pieces], self.pieces.end[pieces]
        lengths, count = end - start, self.pieces.count[pieces]
        rows = ranges(self.pieces.row[pieces], count)
        target = self.store.target[rows]
        # Position of a token in the batch minus its position in the store, per piece.
        shift = lengths.cumsum(0) - lengths - start
        queries = target - 1 + torch.repeat_interleave(shift, count)
        tokens = ranges(start, lengths)
        items = self.store.items[tokens]
        gaps = None if self.store.gaps is None else self.store.gaps[tokens]
        idle = -len(items) % self.round_to
        if self.tokens is not None:
            idle = min(idle, self.tokens - len(items))
        if idle:
            items = torch.cat([items, items.new_zeros(idle)])
            gaps = None if gaps is None else torch.cat([gaps, gaps.new_zeros(idle)])
            lengths = torch.cat([lengths, lengths.new_tensor([idle])])
        moments = None if self.store.moment is None else self.store.moment[rows]
        return Batch(items, lengths, queries, self.store.items[target], moments, gaps)


def fill(count: Tensor, size: int) -> Tensor:
    """Number of the batch of each piece (P,), filling batches up to ``size`` of what ``count`` (P,) counts.

    A piece goes into the first of the last few batches that has room for it. Where pieces are small against a batch,
    the last one alone is as good, and one search a batch finds what it holds.
    """
    # What the next piece leaves unfilled on average where it alone decides: half a piece, drawn by its size.
    left = float(count.double().square().sum() / count.sum().clamp(min=1)) / 2
    return _first_fit(count, size) if left > WORTH_SEARCHING * size else _next_fit(count, size)


def _next_fit(count: Tensor, size: int) -> Tensor:
    ends = count.cumsum(0)
    batch = torch.zeros_like(count)
    begin, number, done = 0, 0, 0
    while begin < len(count):
        stop = max(begin + 1, int(torch.searchsorted(ends, done + size, right=True)))
        batch[begin:stop] = number
        done = int(ends[stop - 1])
        begin, number = stop, number + 1
    return batch


def _first_fit(count: Tensor, size: int) -> Tensor:
    room: list[int] = []  # of the open batches, oldest first
    first, batch = 0, []  # number of the oldest open one
    for piece in count.tolist():
        place = next((place for place, free in enumerate(room) if free >= piece), None)
        if place is None:
            if len(room) == OPEN_BATCHES:
                room.pop(0)
                first += 1
            room.append(size)
            place = len(room) - 1
        room[place] -= piece
        batch.append(first + place)
    return torch.tensor(batch, dtype=count.dtype)
