"""The split's fingerprint: equal for equal targets, whatever the order, the numbering or the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation

from recbole_attnseq.data.split_hash import split_hash

pytestmark = pytest.mark.filterwarnings("ignore")

USERS, ITEMS = ["[PAD]", "ann", "bob"], ["[PAD]", "x", "y", "z"]
LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}


def pairs(*rows: tuple[int, int]) -> tuple[Any, Any]:
    return np.array([user for user, _ in rows]), np.array([item for _, item in rows])


def base() -> dict[str, Any]:
    return {"train": pairs((1, 1), (2, 2)), "valid": pairs((1, 2)), "test": pairs((2, 3))}


def test_value_is_frozen() -> None:
    """A change of the hash makes all recorded runs incomparable: it must be meant."""
    assert split_hash(base(), USERS, ITEMS) == "b8854a076522aa74"


def test_order_of_rows_and_numbering_do_not_matter() -> None:
    expected = split_hash(base(), USERS, ITEMS)
    assert split_hash({**base(), "train": pairs((2, 2), (1, 1))}, USERS, ITEMS) == expected
    other = {"train": pairs((2, 3), (1, 1)), "valid": pairs((2, 1)), "test": pairs((1, 2))}
    assert split_hash(other, ["[PAD]", "bob", "ann"], ["[PAD]", "y", "z", "x"]) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"test": pairs((1, 3))},
        {"test": pairs((2, 1))},
        {"train": pairs((1, 1), (2, 2), (2, 2))},
        {"train": pairs((1, 2), (2, 1))},
        {"train": pairs((1, 1)), "valid": pairs((1, 2), (2, 2))},
        {"valid": pairs()},
    ],
    ids=["another user", "another item", "a pair twice", "items swapped", "moved to valid", "no validation"],
)
def test_any_other_split_has_another_hash(change: dict[str, Any]) -> None:
    changed = {name: (user.astype(int), item.astype(int)) for name, (user, item) in {**base(), **change}.items()}
    assert split_hash(changed, USERS, ITEMS) != split_hash(base(), USERS, ITEMS)


def hash_of(model: str, dataset: str, **settings: Any) -> str:
    given = {"load_col": None, "eval_args": LEAVE_ONE_OUT, "show_progress": False, **settings}
    config = Config(model=model, dataset=dataset, config_dict=given)
    data_preparation(config, create_dataset(config))
    return str(config["split_hash"])


def test_sequential_and_general_models_share_a_split(tiny: str) -> None:
    no_negatives = {"train_neg_sample_args": None}
    expected = hash_of("BPR", tiny)
    assert hash_of("Pop", tiny) == expected
    assert hash_of("AttnSeq", tiny) == expected
    assert hash_of("SASRec", tiny, **no_negatives) == expected
    assert hash_of("SASRec", tiny, MAX_ITEM_LIST_LENGTH=1, **no_negatives) == expected
    assert hash_of("SASRec", tiny, seed=1, train_batch_size=7, **no_negatives) == expected


def test_rows_without_a_time_change_nothing_but_that_they_are_gone(tiny: str) -> None:
    whole = hash_of("BPR", tiny)
    assert whole == "b946d4b5cb9767f6"  # as it was when such rows were given the mean of all times
    with Path("dataset/tiny/tiny.inter").open("a") as file:
        file.write("u0\ti1\t5\t\nu1\ti2\t5\tNaN\n")
    assert hash_of("BPR", tiny) == hash_of("AttnSeq", tiny) == whole


def test_another_split_of_the_same_data_differs(tiny: str) -> None:
    ratios = {**LEAVE_ONE_OUT, "split": {"RS": [0.6, 0.2, 0.2]}}
    few = {"user_inter_num_interval": "[8,inf)"}
    hashes = [hash_of("BPR", tiny), hash_of("BPR", tiny, eval_args=ratios), hash_of("BPR", tiny, **few)]
    assert len(set(hashes)) == 3
