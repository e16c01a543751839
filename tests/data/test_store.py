"""The flat store: pieces cover every target once and show each its history."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_attnseq.data.store import CONTEXTS, SequenceStore, Windows, windows
from recbole_attnseq.flat import begins, latest, ranges
from tests.data.stores import recbole_rows, some_of, store_of

USERS = st.lists(st.integers(1, 30), min_size=1, max_size=8).filter(lambda lengths: max(lengths) > 1)


@settings(max_examples=100, deadline=None)
@given(USERS, st.integers(1, 12), st.integers(1, 40))
def test_pieces_share_out_the_targets_and_begin_with_the_first_ones_history(
    lengths: list[int], maximum: int, stride: int
) -> None:
    store = store_of(lengths, maximum)
    cut = windows(store, stride)
    rows = recbole_rows(lengths, maximum)
    taken: list[int] = []
    for start, end, row, count in zip(*(x.tolist() for x in (cut.start, cut.end, cut.row, cut.count)), strict=True):
        assert 1 <= count <= stride
        targets = store.items[store.target[row : row + count]].tolist()
        piece = store.items[start:end].tolist()
        assert len(set(store.sequence[row : row + count].tolist())) == 1
        assert piece[: len(rows[targets[0]])] == rows[targets[0]]
        assert piece[-len(rows[targets[-1]]) :] == rows[targets[-1]]
        taken += targets
    assert sorted(taken) == sorted(rows)


def pieces(store: SequenceStore, cut: Windows) -> list[tuple[list[int], list[int]]]:
    """The items and the targets of each piece."""
    return [
        (store.items[start:end].tolist(), store.items[store.target[row : row + count]].tolist())
        for start, end, row, count in zip(*(x.tolist() for x in (cut.start, cut.end, cut.row, cut.count)), strict=True)
    ]


@settings(max_examples=100, deadline=None)
@given(USERS, st.integers(1, 12), st.integers(1, 40))
def test_window_context_cuts_sequences_into_disjoint_shares(lengths: list[int], maximum: int, stride: int) -> None:
    """Worked out by hand: user by user, every ``stride`` targets from the first on, each with what lies between."""
    store = store_of(lengths, maximum)
    expected, start = [], 1
    for length in lengths:
        user = list(range(start, start + length))
        for place in range(0, length - 1, stride):
            targets = user[place + 1 : place + 1 + stride]
            expected.append((user[place : place + len(targets)], targets))
        start += length
    assert pieces(store, windows(store, stride, "window")) == expected


@settings(max_examples=100, deadline=None)
@given(USERS, st.integers(1, 12), st.integers(1, 40))
def test_exact_context_shows_every_target_its_history_and_nothing_before(
    lengths: list[int], maximum: int, stride: int
) -> None:
    store = store_of(lengths, maximum)
    rows, taken = recbole_rows(lengths, maximum), []
    for history, targets in pieces(store, windows(store, stride, "exact")):
        assert len(targets) <= stride
        for back, target in enumerate(reversed(targets)):
            assert history[: len(history) - back] == rows[target]
            taken.append(target)
    assert sorted(taken) == sorted(rows)
    # A history that is not cut shares its piece with those before it.
    short = windows(store, 1000, "exact")
    assert int(short.count.max()) == max(min(length - 1, maximum) for length in lengths)


@settings(max_examples=60, deadline=None)
@given(USERS, st.integers(1, 12), st.integers(1, 40), st.sampled_from(CONTEXTS), st.data())
def test_gaps_between_targets_make_no_piece_longer(
    lengths: list[int], maximum: int, stride: int, context: str, data: st.DataObject
) -> None:
    whole = store_of(lengths, maximum)
    kept = data.draw(st.lists(st.sampled_from(range(len(whole.target))), min_size=1, unique=True))
    cut = windows(some_of(whole, torch.tensor(sorted(kept))), stride, context)
    assert int(cut.count.sum()) == len(kept)
    assert int((cut.end - cut.start).max()) <= stride - 1 + (1 if context == "window" else maximum)


@settings(max_examples=50, deadline=None)
@given(USERS, st.integers(1, 12))
def test_stride_one_gives_the_prefixes(lengths: list[int], maximum: int) -> None:
    store = store_of(lengths, maximum)
    cut = windows(store, 1)
    rows = recbole_rows(lengths, maximum)
    for start, end, row in zip(cut.start.tolist(), cut.end.tolist(), cut.row.tolist(), strict=True):
        assert store.items[start:end].tolist() == rows[int(store.items[store.target[row]])]


@settings(max_examples=50, deadline=None)
@given(USERS, st.integers(1, 12), st.integers(1, 40))
def test_a_longer_stride_never_needs_more_tokens(lengths: list[int], maximum: int, stride: int) -> None:
    store = store_of(lengths, maximum)
    tokens = [int((cut.end - cut.start).sum()) for cut in (windows(store, stride), windows(store, stride + 40))]
    assert tokens[1] <= tokens[0]
    assert tokens[1] == sum(length - 1 for length in lengths)  # whole histories: every token once


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_rows_of_benchmark_files_keep_their_histories(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    width = max(lengths) + data.draw(st.integers(0, 3))
    histories = torch.zeros(len(lengths), width, dtype=torch.long)
    for row, length in enumerate(lengths):
        histories[row, :length] = torch.arange(1, length + 1) + 10 * row
    targets = torch.arange(len(lengths)) + 1000
    store = SequenceStore.from_rows(histories, torch.tensor(lengths), targets)
    assert store.items[store.target].tolist() == targets.tolist()
    assert store.length.tolist() == lengths
    for row, length in enumerate(lengths):
        end = int(store.target[row])
        assert store.items[end - length : end].tolist() == histories[row, :length].tolist()
    # Rows that only look like neighbours must not be joined.
    assert windows(store, 100).count.tolist() == [1] * len(lengths)


@settings(max_examples=50, deadline=None)
@given(USERS, st.integers(1, 12), st.randoms())
def test_sorting_keeps_each_target_with_its_length_and_sequence(lengths: list[int], maximum: int, random) -> None:  # type: ignore[no-untyped-def]
    store = store_of(lengths, maximum)
    order = list(range(len(store.target)))
    random.shuffle(order)
    store = replace(store, moment=store.target.double() * 7)
    restored = some_of(store, torch.tensor(order)).sorted_by_position()
    for name in ("target", "length", "sequence", "moment"):
        assert torch.equal(getattr(restored, name), getattr(store, name))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=10))
@settings(max_examples=50, deadline=None)
def test_ranges_lie_end_to_end(pairs: list[tuple[int, int]]) -> None:
    start, length = (torch.tensor([pair[i] for pair in pairs], dtype=torch.long) for i in (0, 1))
    assert ranges(start, length).tolist() == [s + i for s, n in pairs for i in range(n)]


@pytest.mark.parametrize("keys", [[], [4], [4, 4], [4, 4, 1, 4, 4, 4, 2]])
def test_a_group_begins_where_a_key_changes(keys: list[int]) -> None:
    expected = [place == 0 or key != keys[place - 1] for place, key in enumerate(keys)]
    assert begins(torch.tensor(keys, dtype=torch.long)).tolist() == expected
    places = [max(place for place in range(end + 1) if expected[place]) for end in range(len(keys))]
    assert latest(torch.tensor(expected, dtype=torch.bool)).tolist() == places
