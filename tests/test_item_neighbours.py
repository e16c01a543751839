"""Which items are neighbours, against counting by hand; and what an encoder made with them learns."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_attnseq.data.dataset import sequence_store
from recbole_attnseq.data.store import SequenceStore
from recbole_attnseq.errors import UserError
from recbole_attnseq.item_neighbours import check_neighbours, item_neighbours
from recbole_attnseq.model import AttnSeq
from recbole_attnseq.nn.item_lists import ItemLists
from recbole_attnseq.training.session import configure, train
from tests.atomic_files import write_table
from tests.data.test_dataset import parts


def by_hand(store: SequenceStore, items: int, window: int, limit: int) -> list[dict[int, float]]:
    """Every item's neighbours and their shares, target by target."""
    counts: list[Counter[int]] = [Counter() for _ in range(items)]
    for target, length in zip(store.target.tolist(), store.length.tolist(), strict=True):
        for step in range(1, min(window, length) + 1):
            one, other = store.items[target].item(), store.items[target - step].item()
            if one != other:
                counts[int(one)][int(other)] += 1
                counts[int(other)][int(one)] += 1
    kept = [sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))[:limit] for count in counts]
    return [{other: count / sum(c for _, c in row) for other, count in row} for row in kept]


def as_found(lists: ItemLists) -> list[dict[int, float]]:
    rows = [slice(a, b) for a, b in zip(lists.offsets[:-1].tolist(), lists.offsets[1:].tolist(), strict=True)]
    return [dict(zip(lists.values[row].tolist(), lists.weights[row].tolist(), strict=True)) for row in rows]


@pytest.mark.parametrize("window", [1, 3, 50])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_neighbours_are_those_of_counting_by_hand(tiny: str, window: int, limit: int) -> None:
    dataset = parts(tiny)[0]
    store = sequence_store(dataset)
    found = as_found(item_neighbours(store, dataset.item_num, window, limit))
    wanted = by_hand(store, dataset.item_num, window, limit)
    assert any(wanted)
    assert [list(row) for row in found] == [list(row) for row in wanted], "and the most frequent is the first"
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other)


def test_parts_of_the_catalogue_give_what_all_of_it_gives(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = parts(tiny)[0]
    store = sequence_store(dataset)
    whole = item_neighbours(store, dataset.item_num)
    monkeypatch.setattr("recbole_attnseq.item_neighbours.AT_ONCE", 20)
    cut = item_neighbours(store, dataset.item_num)
    for name in ("offsets", "values", "weights"):
        assert getattr(cut, name).equal(getattr(whole, name))


def test_rows_of_a_benchmark_file_give_what_sequences_give() -> None:
    """The sequence 1 2 3 1 4, whole, and as the rows that RecBole makes of it."""
    whole = SequenceStore(torch.tensor([1, 2, 3, 1, 4]), torch.arange(1, 5), torch.arange(1, 5), torch.zeros(4).long())
    rows = torch.tensor([[1, 0, 0, 0], [1, 2, 0, 0], [1, 2, 3, 0], [1, 2, 3, 1]])
    split = SequenceStore.from_rows(rows, torch.arange(1, 5), torch.tensor([2, 3, 1, 4]))
    assert as_found(item_neighbours(whole, 5)) == as_found(item_neighbours(split, 5))
    assert as_found(item_neighbours(whole, 5))[1] == pytest.approx({2: 2 / 5, 3: 2 / 5, 4: 1 / 5})


def test_what_is_held_out_makes_no_neighbours(tiny: str) -> None:
    """The held-out items of every user, made into others, leave the lists as they are; those of training do not."""
    dataset = parts(tiny)[0]
    store = sequence_store(dataset)
    before = as_found(item_neighbours(store, dataset.item_num))
    seen = torch.zeros(len(store.items), dtype=torch.bool)
    for target, length in zip(store.target.tolist(), store.length.tolist(), strict=True):
        seen[target - length : target + 1] = True
    assert not seen.all()
    for change, same in ((~seen, True), (seen, False)):
        items = torch.where(change, store.items % (dataset.item_num - 1) + 1, store.items)
        other = SequenceStore(items, store.target, store.length, store.sequence)
        assert (as_found(item_neighbours(other, dataset.item_num)) == before) is same


def test_a_history_without_pairs_gives_empty_lists() -> None:
    store = SequenceStore(torch.tensor([2, 2, 2]), torch.tensor([1, 2]), torch.tensor([1, 2]), torch.tensor([0, 0]))
    lists = item_neighbours(store, 4)
    assert lists.offsets.tolist() == [0] * 5
    assert lists.values.tolist() == []


@pytest.mark.parametrize(
    ("window", "limit", "words"),
    [
        (0, None, "neighbour_window is 0"),
        ("3", None, "neighbour_window is '3'"),
        (None, True, "neighbour_limit is True"),
    ],
)
def test_what_cannot_be_a_number_of_steps_is_named(window: Any, limit: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_neighbours(window, limit)


def test_the_keys_reach_the_lists(tiny: str) -> None:
    """A window of 1 and one neighbour each, by the configuration."""
    dataset = parts(tiny, item_encoder="neighbours", neighbour_window=1, neighbour_limit=1)[0]
    encoder = AttnSeq(dataset.config, dataset).network.item_encoder
    wanted = item_neighbours(sequence_store(dataset), dataset.item_num, 1, 1)
    assert encoder.offsets.equal(wanted.offsets)
    assert encoder.values.equal(wanted.values)
    assert encoder.offsets.diff().max() == 1


@pytest.mark.parametrize("loss", [{}, {"loss_type": "sampled_softmax", "num_negatives": 20, "sparse_updates": True}])
def test_a_rare_item_is_recommended_for_the_company_it_keeps(
    workdir: Path, quiet: dict[str, Any], loss: dict[str, Any]
) -> None:
    """Users of two genres; what each takes at last is of the genre, but was taken once in training, among its kind."""
    random, rows = torch.Generator().manual_seed(0), []
    for user in range(60):
        genre = user % 2
        seen = (torch.randperm(12, generator=random)[:5] * 2 + genre).tolist()
        rare = [24 + 2 * (user // 2) + genre, *(24 + 2 * ((user // 2 + k) % 30) + genre for k in (1, 2))]
        rows += [(f"u{user}", f"i{item}", time) for time, item in enumerate([*seen, *rare])]
    write_table(workdir / "dataset" / "company" / "company.inter", "user_id:token item_id:token timestamp:float", rows)
    settings = {
        **quiet, **loss, "hidden_size": 16, "inner_size": 16, "n_layers": 1, "epochs": 15, "learning_rate": 0.01,
        "train_batch_size": 64, "embedding_dropout_prob": 0.0, "hidden_dropout_prob": 0.0, "exclude_history": True,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "metrics": ["Recall"], "topk": [30], "valid_metric": "Recall@30",
    }  # fmt: skip
    session = train(configure("AttnSeq", "company", settings={**settings, "item_encoder": "neighbours"}))
    # 30 of 72 items, and half are of the genre.
    assert session.test_result["recall@30"] > 0.75
    gate = session.trainer.model.network.item_encoder.gate.item()
    assert gate > 0.1, "company counts for the item, not against it"
