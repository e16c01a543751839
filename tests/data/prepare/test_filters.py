"""Filters against plain definitions."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_attnseq.data.prepare import filters

_PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=60)


def _plain_core(pairs: list[tuple[int, int]], user_min: int, item_min: int) -> list[int]:
    """The core as its definition says, one user or item at a time."""
    rows = list(range(len(pairs)))
    while True:
        users = Counter(pairs[row][0] for row in rows)
        items = Counter(pairs[row][1] for row in rows)
        bad_user = next((u for u, n in users.items() if n < user_min), None)
        bad_item = next((i for i, n in items.items() if n < item_min), None)
        if bad_user is None and bad_item is None:
            return rows
        rows = [r for r in rows if (pairs[r][0] != bad_user if bad_user is not None else pairs[r][1] != bad_item)]


@given(_PAIRS, st.integers(0, 4), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_k_core_is_the_fixed_point(pairs: list[tuple[int, int]], user_min: int, item_min: int) -> None:
    user, item = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
    keep = filters.k_core(user, item, 8, 8, user_min, item_min)
    assert np.flatnonzero(keep).tolist() == _plain_core(pairs, user_min, item_min)


def test_k_core_unravels_a_chain() -> None:
    # Each end has one interaction; dropping it exposes the next, so that nothing is left after many rounds.
    length = 200
    user = np.repeat(np.arange(length, dtype=np.int32), 2)
    item = np.arange(2 * length, dtype=np.int32) // 2 + np.tile(np.array([0, 1], np.int32), length)
    assert not filters.k_core(user, item, length, length + 1, 2, 2).any()
    item[-1] = 0
    assert filters.k_core(user, item, length, length + 1, 2, 2).all()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)), max_size=40))
@settings(max_examples=100, deadline=None)
def test_duplicates_keep_the_first(rows: list[tuple[int, int, int, int]]) -> None:
    columns = [np.array([row[n] for row in rows], np.int32) for n in range(4)]
    seen: set[tuple[int, ...]] = set()
    expected = [row in seen or seen.add(row) is not None for row in rows]
    assert filters.duplicates(*columns).tolist() == expected


def test_repeats_sessions_and_met_before() -> None:
    user = np.array([0, 0, 0, 0, 1, 1])
    item = np.array([5, 5, 6, 5, 5, 6])
    time = np.array([0.0, 1, 5, 5, 0, 100])
    assert filters.consecutive_repeats(user, item).tolist() == [False, True, False, False, False, False]
    assert filters.session_starts(user, time, 3).tolist() == [True, False, True, False, True, True]
    assert filters.session_starts(user, time, 4).tolist() == [True, False, False, False, True, True]
    assert filters.met_before(user, item) == 2
