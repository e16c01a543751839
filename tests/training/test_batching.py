"""How settings become batches, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recbole_attnseq.data.batches import SequenceBatches
from recbole_attnseq.errors import UserError
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.training.batching import check_batching, cut
from tests.building import network
from tests.data.stores import recbole_rows, store_of

LENGTHS, WINDOW = [40, 3, 9, 26], 5
DEFAULTS: dict[str, Any] = {
    "train_batch_size": 64,
    "train_batch_tokens": None,
    "train_batches": "auto",
    "train_context": "full",
    "seed": 0,
}


def batches(encoder: str = "transformer", **changes: Any) -> SequenceBatches:
    return cut({**DEFAULTS, **changes}, network(user_encoder=encoder), store_of(LENGTHS, WINDOW))


def longest(found: SequenceBatches) -> int:
    return int((found.pieces.end - found.pieces.start).max())


@pytest.mark.parametrize(
    ("encoder", "context", "expected"),
    [
        ("transformer", "full", 39),  # whole histories under a band
        ("gru", "full", 2 * WINDOW - 1),  # overlapping windows: a recurrent state would remember everything
        ("bilstm", "full", WINDOW),  # prefixes
        ("transformer", "window", WINDOW),
        ("gru", "window", WINDOW),
        ("transformer", "exact", WINDOW),
        ("gru", "exact", WINDOW),
    ],
)
def test_the_longest_piece_follows_encoder_and_context(encoder: str, context: str, expected: int) -> None:
    found = batches(encoder, train_context=context)
    assert longest(found) == expected
    assert found.targets == len(recbole_rows(LENGTHS, WINDOW))


@pytest.mark.parametrize("encoder", ["transformer", "gru", "lstm"])
def test_exact_context_gives_every_target_the_state_of_its_own_history(encoder: str) -> None:
    """Two layers look back over two windows in full context; in exact context not an item more than evaluation."""
    part = network(user_encoder=encoder, n_layers=2)
    store, rows = store_of(LENGTHS, WINDOW), recbole_rows(LENGTHS, WINDOW)
    same = {}
    for context in ("exact", "full"):
        found, equal = cut({**DEFAULTS, "train_context": context}, part, store), []
        for batch in found.epoch(0):
            assert batch is not None
            known = torch.where(batch.items > 0, batch.items % 11 + 1, 0)  # the network knows 12 items
            with torch.no_grad():
                states = part.states(known, Packing(batch.lengths, WINDOW))[batch.queries]
                for state, target in zip(states, batch.targets.tolist(), strict=True):
                    history = torch.tensor(rows[target]) % 11 + 1
                    alone = part.states(history, Packing(torch.tensor([len(history)]), WINDOW))[-1]
                    equal.append(torch.allclose(state, alone, rtol=1e-9, atol=1e-9))
        assert len(equal) == len(rows)
        same[context] = all(equal)
    assert same == {"exact": True, "full": False}


def test_batches_of_tokens() -> None:
    found = batches(train_batch_tokens=48)
    assert max(len(batch.items) for batch in found.epoch(0) if batch is not None) <= 48
    assert {len(batch.items) % 6 for batch in found.epoch(0) if batch is not None} == {0}  # eighths of 48
    with pytest.raises(UserError, match="train_batch_tokens is 4, but the longest history takes 5"):
        batches(train_batch_tokens=4)


@pytest.mark.parametrize(
    ("changes", "given", "message"),
    [
        ({"train_batches": "all"}, {}, "train_batches is 'all'; choose auto, windows or prefixes"),
        ({"train_context": "half"}, {}, "train_context is 'half'; choose full, window or exact"),
        ({"train_batch_tokens": 0}, {}, "train_batch_tokens is 0; give a whole number from 1 on"),
        ({"train_batch_tokens": 9.5}, {}, "train_batch_tokens is 9.5"),
        ({"train_batch_tokens": True}, {}, "train_batch_tokens is True"),
        (
            {"train_batch_tokens": 4096},
            {"train_batch_size": 2048, "train_batch_tokens": 4096},
            r"train_batch_tokens \(4096\) and train_batch_size \(2048\) are both given",
        ),
        ({"train_context": "window", "train_batches": "prefixes"}, {}, "cut to one item"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_batching({**DEFAULTS, **changes}, given)


def test_settings_that_can_work_pass() -> None:
    check_batching(DEFAULTS, {"train_batch_size": 64})
    check_batching({**DEFAULTS, "train_batch_tokens": 100}, {"train_batch_tokens": 100})
    check_batching({**DEFAULTS}, {"train_batch_tokens": None, "train_batch_size": 64})


@pytest.mark.parametrize(("key", "value"), [("train_batches", "windows"), ("train_context", "window")])
def test_an_encoder_that_is_not_causal_trains_on_prefixes_alone(key: str, value: str) -> None:
    with pytest.raises(UserError, match=f"{key} is {value}, but the user encoder 'bilstm' is not causal"):
        batches("bilstm", **{key: value})
