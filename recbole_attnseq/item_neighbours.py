"""Which items are taken next to each other in the histories of training, for item encoders that are made with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from recbole_attnseq.data.store import SequenceStore
from recbole_attnseq.errors import UserError
from recbole_attnseq.flat import offsets
from recbole_attnseq.nn.item_lists import ItemLists

Ints = npt.NDArray[np.int64]

# Where nothing is said. Lists are cut so that their length does not grow with the data.
WINDOW, LIMIT = 3, 100
AT_ONCE = 1 << 22  # pairs that are sorted at a time


def item_neighbours(store: SequenceStore, items: int, window: int = WINDOW, limit: int = LIMIT) -> ItemLists:
    """The items that each item is most often within ``window`` steps of, weighted by their shares, which add up to 1.

    A target and an item of its history are neighbours of each other; items that no target of training reaches have
    none. Among neighbours that are equally frequent the smaller number stays.

    Args:
        store: of the training part of a split, so that nothing is known of what is validated or tested.
        items: N, padding included.
        window: how many steps before a target count.
        limit: most neighbours of an item.
    """
    key, count = _frequencies(store, items, window)
    one, other = key // items, key % items
    found = [_most_frequent(part, limit) for part in _by_items(one, other, count, items)]
    item, neighbour, times = (np.concatenate(parts) for parts in zip(*found, strict=True))
    share = times / np.bincount(item, weights=times, minlength=items)[item]
    return ItemLists(
        offsets=offsets(torch.from_numpy(np.bincount(item, minlength=items))),
        values=torch.from_numpy(neighbour),
        weights=torch.from_numpy(share.astype(np.float32)),
        count=items,
    )


def _frequencies(store: SequenceStore, items: int, window: int) -> tuple[Ints, Ints]:
    """Pairs of different items, as ascending numbers ``smaller * N + greater`` (P,), and how often each occurs (P,)."""
    numbers = store.items.numpy()
    found, counts = [], []
    for step in range(1, window + 1):
        target = store.target[store.length >= step].numpy()
        one, other = numbers[target], numbers[target - step]
        apart = one != other
        key, count = np.unique((np.minimum(one, other) * items + np.maximum(one, other))[apart], return_counts=True)
        found.append(key)
        counts.append(count)
    key, count = np.concatenate(found), np.concatenate(counts)
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    return key[first], np.add.reduceat(count[order], first) if len(first) else count


def _by_items(one: Ints, other: Ints, count: Ints, items: int) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Every pair from both of its sides, as item, neighbour and count, in parts of whole items, which bounds memory."""
    ends = np.cumsum(np.bincount(one, minlength=items) + np.bincount(other, minlength=items))
    begin = 0
    while begin < items:
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + AT_ONCE, side="right")))
        left, right = (np.flatnonzero((side >= begin) & (side < end)) for side in (one, other))
        yield (
            np.concatenate([one[left], other[right]]),
            np.concatenate([other[left], one[right]]),
            np.concatenate([count[left], count[right]]),
        )
        begin = end


def _most_frequent(part: tuple[Ints, Ints, Ints], limit: int) -> tuple[Ints, Ints, Ints]:
    """Of each item the ``limit`` most frequent neighbours, ordered by item, then by count, then by number."""
    item, neighbour, count = part
    order = np.lexsort((neighbour, -count, item))
    item = item[order]
    kept = np.arange(len(item)) - np.searchsorted(item, item) < limit
    order = order[kept]
    return part[0][order], neighbour[order], count[order]


def check_neighbours(window: object, limit: object) -> tuple[int, int]:
    """``neighbour_window`` and ``neighbour_limit``, or what they are where nothing is said.

    Raises:
        UserError: no whole number from 1 on.
    """
    found = []
    for key, value, usual in (("neighbour_window", window, WINDOW), ("neighbour_limit", limit, LIMIT)):
        chosen = usual if value is None else value
        if isinstance(chosen, bool) or not isinstance(chosen, int) or chosen < 1:
            raise UserError(f"{key} is {value!r}; give a whole number, 1 or more, such as {usual}.")
        found.append(chosen)
    return found[0], found[1]
