"""Prefixes as views are, row by row, what RecBole's own augmentation builds."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.dataset import Dataset
from torch import Tensor

from recbole_attnseq.data.prefixes import PrefixColumns, PrefixInteraction, prefix_rows
from tests.atomic_files import write_table
from tests.remedies import without

pytestmark = pytest.mark.filterwarnings("ignore")

Parts = list[dict[str, Tensor]]


def parts_of(dataset: str, model: str = "GRU4Rec", **settings: Any) -> Parts:
    """Every column of the train, validation and test rows, by the RecBole that is imported now."""
    from recbole.config import Config
    from recbole.data import create_dataset

    given = {"show_progress": False, "train_neg_sample_args": None, "load_col": None, **settings}
    built = create_dataset(Config(model=model, dataset=dataset, config_dict=given)).build()
    return [{field: part.inter_feat[field] for field in part.inter_feat} for part in built]


def original_and_ours(dataset: str, **settings: Any) -> tuple[Parts, Parts]:
    """Both, with RecBole's own split by time, since the exact one needs to know our rows."""
    with without("lazy prefixes", "exact time split"):
        original = parts_of(dataset, **settings)
    with without("exact time split"):
        ours = parts_of(dataset, **settings)
    return original, ours


def assert_equal(original: Parts, ours: Parts) -> None:
    assert len(original) == len(ours) == 3
    for theirs, mine in zip(original, ours, strict=True):
        assert list(theirs) == list(mine)
        for field in theirs:
            assert theirs[field].dtype == mine[field].dtype
            assert torch.equal(theirs[field], mine[field]), field


def by_time(split: dict[str, Any], group_by: str | None = "user") -> dict[str, Any]:
    return {"split": split, "order": "TO", "group_by": group_by, "mode": "full"}


@pytest.mark.parametrize("maximum", [1, 10])
@pytest.mark.parametrize(
    "eval_args",
    [
        by_time({"LS": "valid_and_test"}),
        by_time({"LS": "valid_only"}),
        by_time({"LS": "test_only"}),
        by_time({"RS": [0.7, 0.1, 0.2]}),
        by_time({"RS": [0.7, 0.1, 0.2]}, group_by=None),
        by_time({"TS": [0.7, 0.1, 0.2]}),
    ],
    ids=lambda value: f"{value['split']}-{value['group_by']}",
)
def test_rows_are_recboles(workdir: Path, eval_args: dict[str, Any], maximum: int) -> None:
    if "TS" in eval_args["split"] and not hasattr(Dataset, "time_based_split"):
        pytest.skip("RecBole 1.2.0 has no splits by time")
    some = {"user_inter_num_interval": "[20,24]", "MAX_ITEM_LIST_LENGTH": maximum}
    original, ours = original_and_ours("ml-100k", eval_args=eval_args, **some)
    assert len(original[0]["item_id"]) > 1000
    assert_equal(original, ours)


@pytest.mark.slow
def test_all_of_ml_100k_has_recboles_rows(workdir: Path) -> None:
    original, ours = original_and_ours("ml-100k", load_col={"inter": ["user_id", "item_id", "timestamp"]})
    assert sum(len(part["item_id"]) for part in original) == 100_000 - 943
    assert_equal(original, ours)


def test_lists_of_every_kind_of_column_are_recboles(workdir: Path) -> None:
    random = np.random.default_rng(0)
    words = [" ".join(random.choice(list("abcd"), size=random.integers(0, 4))) for _ in range(60)]
    numbers = [" ".join(f"{x:.3f}" for x in random.normal(size=3)) for _ in range(60)]
    rows = [(f"u{i % 7}", f"i{i % 11}", i / 9, words[i], numbers[i], 100 - i) for i in range(60)]
    header = "user_id:token item_id:token rating:float tags:token_seq vector:float_seq timestamp:float"
    write_table(Path("dataset/mixed/mixed.inter"), header, rows)
    settings = {"MAX_ITEM_LIST_LENGTH": 4, "numerical_features": ["rating"], "unused_col": {"inter": ["timestamp"]}}
    original, ours = original_and_ours("mixed", **settings)
    train = original[0]
    assert train["tags_list"].shape[1:] == (4, 3)
    assert train["rating_list"].shape[1:] == (4, 2)
    assert "timestamp" not in train
    assert_equal(original, ours)


def test_benchmark_files_keep_their_rows(workdir: Path) -> None:
    header = "user_id:token item_id_list:token_seq item_id:token timestamp:float"
    files = {
        "train": [("u", "a b", "c", 9), ("v", "b c a d", "d", 2), ("u", "a", "b", 5)],
        "valid": [("u", "a b c", "d", 10)],
        "test": [("v", "d c", "a", 1), ("w", "a b c d e", "b", 3)],
    }
    for part, rows in files.items():
        write_table(Path(f"dataset/bench/bench.{part}.inter"), header, rows)
    settings = {"benchmark_filename": list(files), "alias_of_item_id": ["item_id_list"], "MAX_ITEM_LIST_LENGTH": 3}
    original, ours = original_and_ours("bench", **settings)
    assert [len(part["item_id"]) for part in ours] == [3, 1, 2]
    assert ours[0]["timestamp"].tolist() == [9, 2, 5]
    assert_equal(original, ours)


def test_matrices_for_graph_models_are_recboles(tiny: str) -> None:
    def matrix() -> Any:
        from recbole.config import Config
        from recbole.data import create_dataset

        config = Config(model="GRU4Rec", dataset=tiny, config_dict={"load_col": None, "train_neg_sample_args": None})
        return create_dataset(config).build()[0].inter_matrix(form="csr").toarray()

    with without("lazy prefixes"):
        theirs = matrix()
    assert theirs.sum() > 100
    assert (matrix() == theirs).all()


@pytest.fixture
def rows() -> PrefixInteraction:
    """Users 1, 1, 1, 2, 2 with items 5, 6, 7, 8, 9: three prefixes."""
    user, item = torch.tensor([1, 1, 1, 2, 2]), torch.tensor([5, 6, 7, 8, 9])
    target, length = prefix_rows(user, 2)
    return PrefixInteraction(PrefixColumns({"u": user, "i": item}, {"i_list": ("i", 3)}, "n", target, length))


def test_a_worked_example(rows: PrefixInteraction) -> None:
    assert rows["i"].tolist() == [6, 7, 9]
    assert rows["n"].tolist() == [1, 2, 1]
    assert rows["i_list"].tolist() == [[5, 0, 0], [5, 6, 0], [8, 0, 0]]
    assert rows["u"].tolist() == [1, 1, 2]
    assert rows.columns == ["u", "i", "n", "i_list"]
    assert rows[1]["i_list"].tolist() == [5, 6, 0]


@pytest.mark.parametrize(
    "index",
    [[2, 0], np.array([2, 0]), torch.tensor([2, 0]), slice(0, 2), range(1, 3), torch.tensor([True, False, True]), []],
    ids=["list", "numpy", "tensor", "slice", "range", "mask", "empty"],
)
def test_every_index_takes_the_rows_it_would_take_of_a_matrix(rows: PrefixInteraction, index: Any) -> None:
    positions = list(index) if isinstance(index, range) else index
    expected = rows["i_list"][torch.tensor(positions, dtype=torch.long) if len(rows[index]) == 0 else positions]
    assert rows[index]["i_list"].tolist() == expected.tolist()


def test_asking_for_a_name_gathers_nothing(rows: PrefixInteraction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PrefixColumns, "__getitem__", lambda *_: pytest.fail("gathered"))
    assert "i_list" in rows
    assert "other" not in rows


def test_a_new_column_stays_with_its_rows(rows: PrefixInteraction) -> None:
    view = rows[[2, 0]]
    view["label"] = torch.tensor([1.0, 0.0])
    assert view[[1]]["label"].tolist() == [0]
    assert "label" not in rows
    view.sort("i")
    assert view["label"].tolist() == [0, 1]


def test_copies_and_pickles_are_equal(rows: PrefixInteraction) -> None:
    for again in (pickle.loads(pickle.dumps(rows)), copy.deepcopy(rows)):
        assert torch.equal(again["i_list"], rows["i_list"])


def test_a_batch_does_not_carry_the_whole_table(tiny: str) -> None:
    """What a loader's worker sends to the trainer is as large as the batch."""
    from recbole.config import Config
    from recbole.data import create_dataset

    config = Config(model="GRU4Rec", dataset=tiny, config_dict={"load_col": None, "train_neg_sample_args": None})
    train = create_dataset(config).build()[0]
    batch = train[np.array([0, 1])]
    assert not isinstance(batch, PrefixInteraction)
    assert batch["item_id_list"].shape[0] == 2
    assert "price" in batch  # the item's features are joined, as RecBole does
    assert len(pickle.dumps(batch)) < len(pickle.dumps(train.inter_feat))


def test_no_rows_where_nobody_has_two_interactions() -> None:
    for user in (torch.tensor([1, 2, 3]), torch.tensor([], dtype=torch.long)):
        target, length = prefix_rows(user, 5)
        assert target.tolist() == length.tolist() == []
