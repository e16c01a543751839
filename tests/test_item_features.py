"""What the .item file says of each item, as the encoder gets it."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_attnseq.errors import UserError
from recbole_attnseq.item_features import item_features
from recbole_attnseq.model import AttnSeq
from recbole_attnseq.nn.item_lists import ItemLists
from recbole_attnseq.training.session import configure, train
from tests.atomic_files import write_table
from tests.data.test_dataset import parts


def table(name: str) -> list[dict[str, str]]:
    """The .item file as it lies there."""
    with open(Path("dataset") / name / f"{name}.item", encoding="utf-8") as file:
        return [{k.split(":")[0]: v for k, v in row.items()} for row in csv.DictReader(file, delimiter="\t")]


def shares(row: dict[str, str], fields: list[str]) -> dict[tuple[str, str], float]:
    """Each token's share of its field."""
    found = {}
    for field in fields:
        tokens = row[field].split(" ") if row[field] else []
        found.update({(field, token): count / len(tokens) for token, count in Counter(tokens).items()})
    return found


@pytest.mark.parametrize("fields", [["class"], ["year"], ["class", "year"], ["year", "class"]])
def test_every_item_has_what_its_row_says(tiny: str, fields: list[str]) -> None:
    dataset = parts(tiny)[0]
    features = item_features(dataset, fields)
    names = [(field, token) for field in fields for token in dataset.field2id_token[field][1:]]
    assert features.count == len(names)
    assert features.offsets[:2].tolist() == [0, 0], "padding has none"
    rows = {row["item_id"]: row for row in table(tiny)}
    for item in range(1, dataset.item_num):
        place = slice(*features.offsets[item : item + 2].tolist())
        found = {names[v]: w for v, w in zip(features.values[place], features.weights[place].tolist(), strict=True)}
        token = dataset.id2token(dataset.iid_field, item)
        assert found == pytest.approx(shares(rows[token], fields)), token


def test_a_token_that_occurs_twice_counts_twice(workdir: Path) -> None:
    write_table(
        workdir / "dataset" / "twice" / "twice.inter",
        "user_id:token item_id:token timestamp:float",
        [(f"u{u}", f"i{i}", i) for u in range(4) for i in range(6)],
    )
    rows = [(f"i{i}", "a b a a" if i == 2 else "b") for i in range(6)]
    write_table(workdir / "dataset" / "twice" / "twice.item", "item_id:token tags:token_seq", rows)
    dataset = parts("twice")[0]
    features: ItemLists = item_features(dataset, ["tags"])
    place = slice(*features.offsets[dataset.token2id("item_id", "i2") :][:2].tolist())
    names = dataset.field2id_token["tags"][1:][features.values[place]]
    assert dict(zip(names, features.weights[place].tolist(), strict=True)) == {"a": 0.75, "b": 0.25}


@pytest.mark.parametrize(
    ("load", "fields", "words"),
    [
        (None, ["clas"], "'clas', which is not loaded of items (loaded: class, price, year)"),
        (None, ["item_id"], "'item_id', which is not loaded"),
        (None, ["price"], "'price', a column of numbers"),
        ({"inter": ["user_id", "item_id", "timestamp"]}, ["class"], "(loaded: none). load_col"),
    ],
)
def test_what_cannot_be_embedded_is_named(tiny: str, load: Any, fields: list[str], words: str) -> None:
    with pytest.raises(UserError) as caught:
        item_features(parts(tiny, load_col=load)[0], fields)
    assert words in str(caught.value)


def test_features_that_nothing_reads_are_told_of(tiny: str, caplog: pytest.LogCaptureFixture) -> None:
    dataset = parts(tiny, selected_features=["class"])[0]
    AttnSeq(dataset.config, dataset)
    assert "selected_features is ['class'], but item_encoder 'id' uses none" in caplog.text


@pytest.mark.parametrize("loss", [{}, {"loss_type": "sampled_softmax", "num_negatives": 20, "sparse_updates": True}])
def test_a_new_item_is_recommended_for_what_it_is(workdir: Path, quiet: dict[str, Any], loss: dict[str, Any]) -> None:
    """Users of two genres; each validation and test target is an item of its user's genre that training hardly saw."""
    random, rows = torch.Generator().manual_seed(0), []
    for user in range(60):
        genre = user % 2
        seen = (torch.randperm(12, generator=random)[:5] * 2 + genre).tolist()
        rare = [24 + 2 * (user // 2 % 15) + genre, 24 + 2 * ((user // 2 + 1) % 15) + genre]
        rows += [(f"u{user}", f"i{item}", time) for time, item in enumerate([*seen, *rare])]
    place = workdir / "dataset" / "genres"
    write_table(place / "genres.inter", "user_id:token item_id:token timestamp:float", rows)
    write_table(place / "genres.item", "item_id:token genre:token", [(f"i{i}", f"g{i % 2}") for i in range(54)])
    settings = {
        **quiet, **loss, "hidden_size": 16, "inner_size": 16, "n_layers": 1, "epochs": 15, "learning_rate": 0.01,
        "train_batch_size": 64, "embedding_dropout_prob": 0.0, "hidden_dropout_prob": 0.0, "exclude_history": True,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "metrics": ["Recall"], "topk": [20], "valid_metric": "Recall@20",
    }  # fmt: skip
    known = {**settings, "item_encoder": "features", "selected_features": ["genre"]}
    found = [train(configure("AttnSeq", "genres", settings=one)).test_result["recall@20"] for one in (settings, known)]
    # 22 of the 54 items are new and of the right genre.
    assert found[1] > 0.75
    assert found[0] < 0.6
