"""Stores for the tests, and what RecBole would show of them, built row by row as RecBole does."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from recbole_attnseq.data.batches import Batch
from recbole_attnseq.data.prefixes import prefix_rows
from recbole_attnseq.data.store import SequenceStore

# Tiny tensors gain nothing from threads, and waiting for a busy core costs seconds.
torch.set_num_threads(1)


def store_of(lengths: Sequence[int], maximum: int) -> SequenceStore:
    """Users of the given numbers of interactions. Items are numbered through, so that each tells its place."""
    user = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    target, length = prefix_rows(user, maximum)
    return SequenceStore(torch.arange(1, len(user) + 1), target, length, user[target])


def some_of(store: SequenceStore, rows: torch.Tensor) -> SequenceStore:
    """The store with the targets at ``rows`` only, as a split leaves them."""
    return store.rows(rows)


def recbole_rows(lengths: Sequence[int], maximum: int) -> dict[int, list[int]]:
    """Target item to the history that RecBole's data augmentation would pair it with."""
    rows: dict[int, list[int]] = {}
    start = 1
    for length in lengths:
        items = list(range(start, start + length))
        for position in range(1, length):
            rows[items[position]] = items[max(0, position - maximum) : position]
        start += length
    return rows


def seen(batch: Batch, window: int) -> list[tuple[int, list[int]]]:
    """Each target of a batch with the last ``window`` tokens of its piece up to its query."""
    pieces, ends, found = batch.items.split(batch.lengths.tolist()), batch.lengths.cumsum(0).tolist(), []
    for query, target in zip(batch.queries.tolist(), batch.targets.tolist(), strict=True):
        piece = next(index for index, end in enumerate(ends) if query < end)
        place = query - (ends[piece] - len(pieces[piece]))
        found.append((target, pieces[piece][max(0, place - window + 1) : place + 1].tolist()))
    return found
