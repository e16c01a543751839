"""Waits as doublings, and where a network reads them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_attnseq.flat import WAITS, row_waits, waits
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.time_gaps import TimeGaps
from tests.building import LENGTHS, WINDOW, histories, network

START = 1_500_000_000.0


def gapped(**changes: object) -> Network:
    plain = network(**changes)
    torch.manual_seed(3)
    return Network(plain.settings, time_gaps=True).double().eval()


@given(st.lists(st.lists(st.floats(0, 1e15), min_size=1, max_size=6), min_size=1, max_size=5))
def test_a_bucket_is_the_doubling_of_the_wait(histories_of: list[list[float]]) -> None:
    times = [torch.tensor(each, dtype=torch.float64).cumsum(0) for each in histories_of]
    sequence = torch.repeat_interleave(
        torch.arange(len(histories_of)), torch.tensor([len(each) for each in histories_of])
    )
    buckets = waits(torch.cat(times), sequence).split([len(each) for each in histories_of])
    for each, found in zip(times, buckets, strict=True):
        assert found[0] == 0
        for wait, bucket in zip(each.diff().tolist(), found[1:].tolist(), strict=True):
            assert 2 ** (bucket - 1) <= 1 + wait < 2**bucket


def test_rows_side_by_side_have_the_waits_of_rows_end_to_end() -> None:
    lengths = [3, 1, 5]
    times = [START + torch.tensor([0.0, 3, 3, 90_000, 90_001][:length], dtype=torch.float64) for length in lengths]
    side_by_side = torch.zeros(3, 5, dtype=torch.float64)
    for row, each in zip(side_by_side, times, strict=True):
        row[: len(each)] = each
    expected = waits(torch.cat(times), torch.repeat_interleave(torch.arange(3), torch.tensor(lengths)))
    found = row_waits(side_by_side)
    assert torch.cat([row[:length] for row, length in zip(found, lengths, strict=True)]).equal(expected)
    assert ((found >= 0) & (found < WAITS)).all(), "padding has a place in the table too"


def test_waits_at_the_edges() -> None:
    times = torch.tensor([0.0, 0, 1, 4, 2.0**80])
    assert waits(times, torch.zeros(5)).tolist() == [0, 1, 2, 3, WAITS - 1]
    minute = torch.tensor([START, START + 1, START + 60], dtype=torch.float64)
    assert waits(minute, torch.zeros(3)).tolist() == [0, 2, 1 + int(math.log2(60))]
    assert waits(torch.empty(0, dtype=torch.float64), torch.empty(0)).tolist() == []


def test_where_a_history_begins_nothing_is_known_of_the_wait() -> None:
    """So a cut history is read as it is in a longer one's place: whatever lies in its first place."""
    gaps = TimeGaps(4, 0.02)
    starts = torch.tensor([0, 3])
    one, other = torch.tensor([5, 1, 2, 7, 3]), torch.tensor([0, 1, 2, 9, 3])
    assert torch.equal(gaps(one, starts), gaps(other, starts))
    assert one.tolist() == [5, 1, 2, 7, 3], "what the caller gave stays as it was"


def test_waits_change_the_scores_and_only_of_their_own_history() -> None:
    part = gapped()
    items, lengths = histories()
    gaps = torch.ones(len(items), dtype=torch.int32)
    changed = gaps.clone()
    changed[lengths[:2].sum() - 1] = 9  # the second history's last step
    with torch.no_grad():
        before, after = (part.scores(items, Packing(lengths, WINDOW, each)) for each in (gaps, changed))
    assert (before[1, 1:] != after[1, 1:]).all()
    others = torch.arange(len(lengths)) != 1
    assert torch.equal(before[others], after[others])


def test_batch_equals_single() -> None:
    part = gapped()
    items, lengths = histories()
    gaps = torch.arange(len(items)) % WAITS
    with torch.no_grad():
        together = part.scores(items, Packing(lengths, WINDOW, gaps))
        for row, (history, waits) in enumerate(zip(items.split(list(LENGTHS)), gaps.split(list(LENGTHS)), strict=True)):
            alone = part.scores(history, Packing(lengths[row : row + 1], WINDOW, waits))
            torch.testing.assert_close(together[row], alone[0], rtol=1e-9, atol=1e-9)


def test_a_packing_without_waits_is_refused() -> None:
    items, lengths = histories()
    with pytest.raises(ValueError, match="time_gaps"):
        gapped().scores(items, Packing(lengths, WINDOW))
