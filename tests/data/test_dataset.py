"""The store of RecBole's data sets: what training sees are the very rows that RecBole's loaders hold."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset

from recbole_attnseq.data.batches import SequenceBatches
from recbole_attnseq.data.dataset import sequence_store
from recbole_attnseq.errors import UserError
from tests.atomic_files import write_table, write_tiny
from tests.data.stores import seen

MAXIMUM = 4


def parts(name: str, **changes: Any) -> list[Any]:
    """Train, validation and test data sets."""
    settings = {"MAX_ITEM_LIST_LENGTH": MAXIMUM, "load_col": None, "train_neg_sample_args": None, **changes}
    config = Config(model="AttnSeq", dataset=name, config_dict=settings)
    built: list[Any] = create_dataset(config).build()
    return built


def rows_of(dataset: Any) -> list[tuple[int, list[int]]]:
    """(target, history) of every row, read through RecBole's columns."""
    feat = dataset.inter_feat
    histories, lengths = feat["item_id_list"].tolist(), feat["item_length"].tolist()
    return [
        (target, history[:length])
        for target, history, length in zip(feat["item_id"].tolist(), histories, lengths, strict=True)
    ]


def compare(dataset: Any) -> int:
    """Assert that windows and prefixes show exactly the data set's rows; the number of rows."""
    rows = sorted(rows_of(dataset))
    for stride in (1, 3, 1000):
        batches = SequenceBatches(sequence_store(dataset), size=16, stride=stride, bucket=stride == 1, seed=0)
        shown = [pair for batch in batches.epoch(0) if batch is not None for pair in seen(batch, MAXIMUM)]
        assert sorted(shown) == rows
    return len(rows)


def test_leave_one_out(workdir: Path) -> None:
    write_tiny(workdir / "dataset")
    train, valid, test = parts("tiny", eval_args={"split": {"LS": "valid_and_test"}, "order": "TO"})
    assert compare(valid) == compare(test) == 40
    assert compare(train) > 40
    assert max(len(history) for _, history in rows_of(test)) == MAXIMUM


def test_ratios_in_time_order(workdir: Path) -> None:
    write_tiny(workdir / "dataset")
    train, valid, test = parts("tiny", eval_args={"split": {"RS": [0.6, 0.2, 0.2]}, "order": "TO"})
    assert compare(train) > compare(valid) > 0
    assert compare(test) > 0


def test_benchmark_files(workdir: Path) -> None:
    header = "user_id:token item_id_list:token_seq item_id:token"
    place = workdir / "dataset" / "fixed"
    files = {
        "train": [("u1", "a", "b"), ("u1", "a b", "c"), ("u2", "b c d e", "a"), ("u3", "e", "d")],
        "valid": [("u1", "a b c", "d"), ("u2", "c d e a", "b")],
        "test": [("u1", "a b c d", "e"), ("u2", "d e a b", "c"), ("u3", "e d", "a")],
    }
    for part, lines in files.items():
        write_table(place / f"fixed.{part}.inter", header, lines)
    built = parts(
        "fixed",
        benchmark_filename=["train", "valid", "test"],
        alias_of_item_id=["item_id_list"],
        eval_args={"order": "TO"},
    )
    assert [compare(dataset) for dataset in built] == [4, 2, 3]
    names = built[0].field2id_token["item_id"]
    stored = sequence_store(built[1])
    histories = [
        [names[int(item)] for item in stored.items[int(end) - int(length) : int(end)]]
        for end, length in zip(stored.target, stored.length, strict=True)
    ]
    assert histories == [["a", "b", "c"], ["c", "d", "e", "a"]]
    assert [names[int(item)] for item in stored.items[stored.target]] == ["d", "b"]


@pytest.mark.parametrize("part", [0, 1, 2])
def test_the_store_gathers_nothing(workdir: Path, part: int) -> None:
    """It shares the one flat array of items; what it adds is three numbers a target."""
    write_tiny(workdir / "dataset")
    dataset = parts("tiny", eval_args={"split": {"LS": "valid_and_test"}, "order": "TO"})[part]
    stored = sequence_store(dataset)
    assert stored.items.data_ptr() == sequence_store(dataset).items.data_ptr()
    assert len(stored.target) == len(stored.length) == len(stored.sequence) == len(dataset)
    assert stored.items.dtype == stored.target.dtype == torch.int64


@pytest.mark.parametrize(
    "split",
    [
        {"LS": "valid_and_test"},
        {"LS": "valid_only"},
        {"LS": "test_only"},
        {"RS": [0.8, 0.1, 0.1]},
        {"RS": [0.5, 0.3, 0.2]},
        {"RS": [3, 1, 0]},
    ],
)
def test_splits_are_recboles_row_for_row(tiny: str, quiet: dict[str, Any], split: dict[str, Any]) -> None:
    """The vectorised splits give the rows, and the order of the rows, of the methods that they replace."""
    from recbole.data.dataset.sequential_dataset import SequentialDataset

    from recbole_attnseq.data.dataset import AttnSeqDataset
    from recbole_attnseq.training.session import configure

    arguments = {"split": split, "order": "TO", "group_by": "user", "mode": "full"}
    config = configure("AttnSeq", tiny, settings={**quiet, "eval_args": arguments})
    ours, theirs = AttnSeqDataset(config).build(), SequentialDataset(config).build()
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.inter_feat.interaction.target.equal(other.inter_feat.interaction.target)
        assert mine.inter_feat.interaction.length.equal(other.inter_feat.interaction.length)


def test_a_row_without_a_history_is_named() -> None:
    columns = {
        "item_id_list": torch.tensor([[1, 2], [0, 0], [3, 0]]), "item_length": torch.tensor([2, 0, 1]),
        "item_id": torch.tensor([3, 1, 2]),
    }  # fmt: skip
    dataset = SimpleNamespace(
        inter_feat=columns, iid_field="item_id", item_id_list_field="item_id_list", dataset_name="mine",
        item_list_length_field="item_length",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"1 of 3 rows .* 'mine' have an empty item_id_list \(row 2"):
        sequence_store(dataset)
    dataset.inter_feat = {name: column[[0, 2]] for name, column in columns.items()}
    assert sequence_store(dataset).length.tolist() == [2, 1]
