"""Batches: every target once an epoch, each with RecBole's history before it, in a seeded order."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_attnseq.data.batches import OPEN_BATCHES, Batch, SequenceBatches, fill
from recbole_attnseq.data.store import CONTEXTS, SequenceStore
from recbole_attnseq.errors import UserError
from tests.data.stores import recbole_rows, seen, some_of, store_of

USERS = st.lists(st.integers(1, 30), min_size=1, max_size=8).filter(lambda lengths: max(lengths) > 1)
MAXIMA = st.integers(1, 12)
CUTS = {"size": st.integers(1, 60), "stride": st.integers(1, 40), "bucket": st.booleans(), "seed": st.integers(0, 99)}


def made(store: SequenceStore, **changes: Any) -> SequenceBatches:
    return SequenceBatches(store, **{"size": 16, "stride": 8, "bucket": False, "seed": 0, **changes})


def every(batches: SequenceBatches, number: int = 0) -> list[Batch]:
    found = [batch for batch in batches.epoch(number) if batch is not None]
    assert len(found) == batches.steps(number)
    return found


def equal(left: list[Batch], right: list[Batch]) -> bool:
    """Whether two epochs are the same, batch by batch."""
    return [(b.items.tolist(), b.targets.tolist()) for b in left] == [
        (b.items.tolist(), b.targets.tolist()) for b in right
    ]


def log_normal_users(count: int = 400) -> list[int]:
    generator = random.Random(0)
    return [2 + int(generator.lognormvariate(2.5, 1.0)) for _ in range(count)]


@settings(max_examples=150, deadline=None)
@given(USERS, MAXIMA, st.fixed_dictionaries(CUTS), st.integers(0, 5))
def test_every_target_once_an_epoch_with_exactly_recboles_history(
    lengths: list[int], maximum: int, cut: dict[str, Any], number: int
) -> None:
    batches = made(store_of(lengths, maximum), **cut)
    rows = recbole_rows(lengths, maximum)
    shown = [pair for batch in every(batches, number) for pair in seen(batch, maximum)]
    assert sorted(target for target, _ in shown) == sorted(rows)
    assert batches.targets == len(rows)
    for target, history in shown:
        assert history == rows[target]


@settings(max_examples=100, deadline=None)
@given(USERS, MAXIMA, st.fixed_dictionaries(CUTS), st.data())
def test_a_split_that_leaves_gaps_and_disorder_loses_no_history(
    lengths: list[int], maximum: int, cut: dict[str, Any], data: st.DataObject
) -> None:
    """Between two targets of a piece may lie items that are another part's; the history holds them all the same."""
    whole = store_of(lengths, maximum)
    rows = recbole_rows(lengths, maximum)
    kept = data.draw(st.lists(st.sampled_from(range(len(whole.target))), min_size=1, unique=True))
    part = some_of(whole, torch.tensor(kept))
    shown = [pair for batch in every(made(part, **cut)) for pair in seen(batch, maximum)]
    assert sorted(target for target, _ in shown) == sorted(part.items[part.target].tolist())
    for target, history in shown:
        assert history[-len(rows[target]) :] == rows[target]


@settings(max_examples=60, deadline=None)
@given(USERS, MAXIMA, st.integers(1, 40), st.booleans())
def test_prefixes_end_at_their_only_query(lengths: list[int], maximum: int, size: int, bucket: bool) -> None:
    """What encoders that are not causal need: nothing behind the query, nothing before RecBole's history."""
    rows = recbole_rows(lengths, maximum)
    for batch in every(made(store_of(lengths, maximum), size=size, stride=1, bucket=bucket)):
        assert torch.equal(batch.queries, batch.lengths.cumsum(0) - 1)
        for target, history in zip(batch.targets.tolist(), batch.items.split(batch.lengths.tolist()), strict=True):
            assert history.tolist() == rows[target]


@settings(max_examples=100, deadline=None)
@given(USERS, MAXIMA, st.fixed_dictionaries(CUTS))
def test_batches_keep_to_their_size_and_are_well_filled(lengths: list[int], maximum: int, cut: dict[str, Any]) -> None:
    batches = made(store_of(lengths, maximum), **cut)
    sizes = [len(batch.targets) for batch in every(batches)]
    assert min(sizes) >= 1
    assert max(sizes) <= cut["size"]
    # Any two in a row would not have fitted into one.
    assert len(sizes) <= 2 * -(-sum(sizes) // cut["size"])
    for batch in every(batches):
        assert (batch.lengths >= 1).all()
        assert int(batch.lengths.sum()) == len(batch.items)
        assert (batch.queries.diff() > 0).all()


@settings(max_examples=100, deadline=None)
@given(
    USERS, MAXIMA, st.fixed_dictionaries(CUTS), st.integers(0, 60), st.sampled_from(CONTEXTS), st.sampled_from([1, 16])
)
def test_batches_keep_to_their_tokens(
    lengths: list[int], maximum: int, cut: dict[str, Any], more: int, context: str, round_to: int
) -> None:
    store = store_of(lengths, maximum)
    tokens = int(store.length.max()) + more
    batches = made(store, **{**cut, "size": 1}, tokens=tokens, context=context, round_to=round_to)
    epoch = every(batches)
    assert sorted(target for batch in epoch for target in batch.targets.tolist()) == sorted(
        recbole_rows(lengths, maximum)
    )
    assert max(len(batch.items) for batch in epoch) <= tokens
    if round_to == 1:
        # Any two in a row would not have fitted into one.
        total = sum(len(batch.items) for batch in epoch)
        assert len(epoch) <= 2 * -(-total // tokens)
    if context != "window":
        rows = recbole_rows(lengths, maximum)
        assert all(history == rows[target] for batch in epoch for target, history in seen(batch, maximum))


@pytest.mark.parametrize("size", [64, 512, 100_000])
def test_batches_are_nearly_full_whatever_the_pieces(size: int) -> None:
    lengths = torch.tensor(log_normal_users(2000)).clamp(max=size)
    batch = fill(lengths, size)
    filled = torch.zeros(int(batch.max()) + 1, dtype=torch.long).scatter_add_(0, batch, lengths)
    assert int(filled.max()) <= size
    assert int(filled.min()) > 0
    assert len(filled) <= 1.05 * int(lengths.sum()) / size + 1
    assert (batch - batch.cummax(0).values).min() > -OPEN_BATCHES  # neighbours in the shuffle stay near each other


def test_tokens_that_do_not_hold_one_history_are_refused() -> None:
    store = store_of([30, 4], 12)
    with pytest.raises(UserError, match="train_batch_tokens is 11, but the longest history takes 12 tokens"):
        made(store, tokens=11)
    made(store, tokens=12)
    made(store_of([5, 4], 12), tokens=4)  # the data's longest counts, not the most that would be allowed


@pytest.mark.parametrize("bucket", [True, False])
@pytest.mark.parametrize("stride", [1, 8])
def test_the_shuffle_is_seeded_and_differs_from_epoch_to_epoch(bucket: bool, stride: int) -> None:
    store = store_of(log_normal_users(60), 10)
    first, again = (made(store, bucket=bucket, stride=stride, seed=3) for _ in range(2))
    assert equal(every(first, 2), every(again, 2))
    list(first.epoch(7))
    assert equal(every(first, 2), every(again, 2)), "an epoch depends on those that ran before"
    assert not equal(every(first, 2), every(first, 3))
    assert not equal(every(first, 2), every(made(store, bucket=bucket, stride=stride, seed=4), 2))


def test_the_shuffle_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    every(made(store_of([9, 9, 9], 5)))
    assert torch.equal(torch.rand(3), expected)


def test_neighbours_do_not_stay_neighbours() -> None:
    """Pieces of one user, and users beside each other in the file, fall into different batches."""
    batches = every(made(store_of([50] * 40, 10), size=40, stride=10))
    users = [{(int(item) - 1) // 50 for item in batch.targets} for batch in batches]
    assert sum(len(found) for found in users) / len(users) > 3


@settings(max_examples=60, deadline=None)
@given(USERS, st.fixed_dictionaries(CUTS), st.integers(1, 5))
def test_the_shares_of_the_processes_are_the_batch(lengths: list[int], cut: dict[str, Any], world: int) -> None:
    batches = made(store_of(lengths, 6), **cut)
    whole = every(batches, 1)
    shares = [list(batches.epoch(1, rank, world)) for rank in range(world)]
    assert {len(share) for share in shares} == {len(whole)}, "processes take different numbers of steps"
    for step, batch in enumerate(whole):
        parts = [share[step] for share in shares]
        together = [pair for part in parts if part is not None for pair in seen(part, 6)]
        assert sorted(together) == sorted(seen(batch, 6))


def padding(batches: SequenceBatches) -> float:
    """Share of padding were each batch a matrix."""
    epoch = every(batches)
    cells = sum(len(batch.lengths) * int(batch.lengths.max()) for batch in epoch)
    return 1 - sum(len(batch.items) for batch in epoch) / cells


@pytest.mark.parametrize("stride", [1, 50])
def test_buckets_need_little_padding(stride: int) -> None:
    store = store_of(log_normal_users(), 50)
    bucketed, plain = (made(store, size=256, stride=stride, bucket=bucket) for bucket in (True, False))
    assert padding(bucketed) < 0.15
    assert padding(plain) > 0.3  # what they save


def test_buckets_come_in_no_order_of_length() -> None:
    store = store_of(log_normal_users(), 50)
    longest = [int(batch.lengths.max()) for batch in every(made(store, size=64, stride=1, bucket=True))]
    rises = sum(b > a for a, b in itertools.pairwise(longest))
    assert 0.25 < rises / len(longest) < 0.75


def test_a_batch_moves_to_a_device_as_a_whole() -> None:
    batch = every(made(store_of([5, 4], 5)))[0].to(torch.device("meta"))
    assert {x.device.type for x in (batch.items, batch.lengths, batch.queries, batch.targets)} == {"meta"}


@pytest.mark.parametrize("size", [0, -3])
def test_a_batch_without_room_is_refused(size: int) -> None:
    with pytest.raises(UserError, match=f"train_batch_size is {size}"):
        made(store_of([5], 5), size=size)


@pytest.mark.parametrize("bucket", [True, False])
def test_an_empty_training_part_is_refused(bucket: bool) -> None:
    with pytest.raises(UserError, match="nothing to train on"):
        made(store_of([1, 1], 5), bucket=bucket)
