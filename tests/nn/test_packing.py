"""The packing: who may see whom, and no token lost on the way into blocks or padding and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_attnseq.nn.packing import Packing
from tests.building import window_of

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=6)
WINDOWS = st.integers(1, 50)


def packed(lengths: list[int], window: int) -> Packing:
    return Packing(torch.tensor(lengths), window)


@settings(max_examples=60, deadline=None)
@given(LENGTHS, WINDOWS)
def test_the_mask_shows_each_token_its_window_and_nothing_else(lengths: list[int], window: int) -> None:
    packing = packed(lengths, window)
    keys = packing.keys(torch.arange(1, packing.tokens + 1))  # numbered from 1: 0 is filling
    visible = packing.tokens_of(torch.where(packing.mask, keys[:, None], -1))
    for token, row in enumerate(visible.tolist()):
        first, end = window_of(token, packing)
        assert [key for key in row if key >= 0] == list(range(first + 1, end + 1))


@settings(max_examples=60, deadline=None)
@given(LENGTHS, WINDOWS)
def test_every_token_lies_in_one_sequence_and_sees_itself(lengths: list[int], window: int) -> None:
    packing = packed(lengths, window)
    assert packing.tokens == sum(lengths)
    assert packing.longest == max(lengths)
    assert packing.sequence.tolist() == [b for b, length in enumerate(lengths) for _ in range(length)]
    assert packing.starts.tolist() == [sum(lengths[:b]) for b in range(len(lengths))]
    assert packing.last.tolist() == [sum(lengths[: b + 1]) - 1 for b in range(len(lengths))]
    for token in range(packing.tokens):
        start = packing.starts[packing.sequence[token]]
        assert int(packing.first[token]) == max(int(start), token - window + 1)


@settings(max_examples=30, deadline=None)
@given(LENGTHS, WINDOWS)
def test_no_query_is_blind_not_even_the_filling(lengths: list[int], window: int) -> None:
    """A softmax over nothing is not a number, and its gradient would spread."""
    assert packed(lengths, window).mask.any(-1).all()


@settings(max_examples=60, deadline=None)
@given(LENGTHS, WINDOWS, st.sampled_from([(), (3,), (2, 3)]))
def test_round_trips_lose_nothing(lengths: list[int], window: int, shape: tuple[int, ...]) -> None:
    packing = packed(lengths, window)
    tokens = torch.randn(packing.tokens, *shape)
    assert torch.equal(packing.unpad(packing.pad(tokens)), tokens)
    assert torch.equal(packing.tokens_of(packing.queries(tokens)), tokens)
    own = packing.keys(tokens)[:, packing.keys(tokens).shape[1] // 2 :]
    assert torch.equal(packing.tokens_of(own), tokens)


@settings(max_examples=60, deadline=None)
@given(LENGTHS)
def test_padding_lies_behind_each_sequence_and_is_zero(lengths: list[int]) -> None:
    packing = packed(lengths, 5)
    tokens = torch.arange(1, packing.tokens + 1)
    padded = packing.pad(tokens)
    assert padded.shape == (len(lengths), max(lengths))
    for row, part in zip(padded.tolist(), tokens.split(lengths), strict=True):
        assert row == part.tolist() + [0] * (max(lengths) - len(part))


@settings(max_examples=60, deadline=None)
@given(LENGTHS, WINDOWS)
def test_distances_count_steps_back(lengths: list[int], window: int) -> None:
    packing = packed(lengths, window)
    keys = packing.keys(torch.arange(packing.tokens))
    queries = packing.queries(torch.arange(packing.tokens))
    back = queries[..., None] - keys[:, None]
    seen = packing.mask & (torch.arange(packing.blocks * packing.block).view(queries.shape) < packing.tokens)[..., None]
    distance = packing.distance.expand_as(seen)
    assert torch.equal(distance[seen], back[seen])
    assert int(distance.max()) < packing.window
    assert int(distance.min()) >= 0


@pytest.mark.parametrize(("lengths", "window"), [([3, 0], 2), ([], 2), ([3], 0), ([2, -1], 1)])
def test_empty_sequences_and_windows_are_refused(lengths: list[int], window: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Packing(torch.tensor(lengths, dtype=torch.long), window)


@pytest.mark.parametrize(("lengths", "window"), [([4, 1, 9, 6], 3), ([1], 5), ([40, 2], 50)])
def test_histories_go_back_to_the_start_of_the_sequence(lengths: list[int], window: int) -> None:
    """Beyond the window as well: what was taken was taken."""
    packing = packed(lengths, window)
    starts = [sum(lengths[:i]) for i, length in enumerate(lengths) for _ in range(length)]
    queries = torch.arange(sum(lengths))[::2]
    first, counts = packing.histories(queries)
    assert first.tolist() == [starts[query] for query in queries.tolist()]
    assert (first + counts - 1).tolist() == queries.tolist()
