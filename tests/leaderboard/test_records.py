"""Run records: complete, readable again, named by what they are, refused when they are not whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.records import RunRecord, make_record, read_record
from recbole_attnseq.training.session import configure, train

SPLIT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}


def _record(model: str, dataset: str, quiet: dict[str, Any], **settings: Any) -> RunRecord:
    given = {**quiet, "epochs": 2, "eval_args": SPLIT, "hidden_size": 16, "inner_size": 16, **settings}
    return make_record(train(configure(model, dataset, settings=given)), given, {"compiled": False})


def test_a_record_survives_its_file_and_explains_its_metrics(tiny: str, quiet: dict[str, Any]) -> None:
    record = _record("AttnSeq", tiny, quiet)
    path = record.save("runs")
    assert path == Path("runs/tiny") / record.name
    assert read_record(path) == record
    assert record.users == sorted(record.users, key=record.users.index)
    assert len(record.users) == 40
    ndcg = np.mean([1 / np.log2(rank + 1) if rank <= 10 else 0 for rank in record.ranks])
    assert record.test["ndcg@10"] == pytest.approx(ndcg, abs=1e-4)
    assert [point["epoch"] for point in record.curve] == [0, 1]
    assert record.valid["ndcg@10"] == max(point["valid"] for point in record.curve)
    assert record.notes["resolved"]["embedding_dropout_prob"] in (0.2, 0.3, 0.4, 0.5)
    assert record.notes["resolved"]["history_negatives"] is True
    assert record.notes["resolved"]["precision"] in ("float32", "bfloat16")
    events = len(Path("dataset", tiny, f"{tiny}.inter").read_text().splitlines()) - 1
    # Of each user's events the first is no target, the last two are the validation's and the test's.
    assert record.notes["counts"] == {"targets": events - 3 * 40, "users": 40, "items": 30, "waits": 1}
    assert record.config["embedding_dropout_prob"] == "auto", "what was asked for is what identifies it"
    assert record.parameters > 0
    assert record.peak_memory > 50
    assert record.seconds > 0


def test_the_same_run_gives_the_same_record_and_another_another_name(tiny: str, quiet: dict[str, Any]) -> None:
    first, second = _record("AttnSeq", tiny, quiet), _record("AttnSeq", tiny, quiet)
    assert first.name == second.name
    assert first.ranks == second.ranks
    assert first.test == second.test
    assert _record("AttnSeq", tiny, quiet, learning_rate=0.01).name != first.name
    assert _record("AttnSeq", tiny, quiet, seed=7).name.split("-")[1] == "7"


def test_models_of_both_kinds_share_users_and_split(tiny: str, quiet: dict[str, Any]) -> None:
    ours, pop = _record("AttnSeq", tiny, quiet), _record("Pop", tiny, quiet)
    assert ours.split_hash == pop.split_hash
    assert ours.users == pop.users


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda text: text[: len(text) // 2], "corrupt"),
        (lambda text: json.dumps({**json.loads(text), "schema": 99}), "schema 99"),
        (lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "ranks"}), "ranks"),
        (lambda text: "[]", "schema None"),
        (lambda text: '{"schema": 1, "dataset": "tiny", "users": []}', "no record of a run"),
        (lambda text: json.dumps({**json.loads(text), "ranks": json.loads(text)["ranks"][1:]}), "a rank for each user"),
        (lambda text: json.dumps({**json.loads(text), "ranks": None}), "ranks is no list"),
        (lambda text: json.dumps({**json.loads(text), "hardware": None}), "hardware is no dict"),
        (lambda text: json.dumps({**json.loads(text), "seconds": float("nan")}), "seconds is no float"),
        (lambda text: json.dumps({**json.loads(text), "valid": {"ndcg@10": None}}), "valid holds what is no number"),
        (lambda text: _with_rank(text, None), "rank None is no place"),
        (lambda text: _with_rank(text, 0), "rank 0 is no place"),
        (lambda text: _with_rank(text, "x"), "rank 'x' is no place"),
        (lambda text: json.dumps({**json.loads(text), "curve": [{"epoch": 0}]}), "a point of its curve lacks"),
        (lambda text: json.dumps({**json.loads(text), "config_hash": "0" * 12}), "its configuration has hash"),
    ],
)
def test_spoiled_records_are_refused(tiny: str, quiet: dict[str, Any], spoil: Any, reason: str) -> None:
    path = _record("Pop", tiny, quiet, epochs=1).save("runs")
    path.write_text(spoil(path.read_text()))
    with pytest.raises(UserError, match=reason) as caught:
        read_record(path)
    assert str(path) in str(caught.value)


def test_epochs_are_counted_by_their_numbers(tiny: str, quiet: dict[str, Any]) -> None:
    """Not every epoch need be validated, and none where there is nothing to validate on."""
    assert _record("BPR", tiny, quiet, epochs=4, eval_step=2).epochs == 4
    unseen = {"split": {"LS": "test_only"}, "order": "TO", "mode": "full"}
    assert _record("BPR", tiny, quiet, epochs=3, eval_args=unseen).epochs == 3


def test_a_folder_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_record(tmp_path)


def test_a_missing_record_is_named() -> None:
    with pytest.raises(UserError, match=r"nowhere\.json does not exist"):
        read_record("nowhere.json")


def _with_rank(text: str, rank: Any) -> str:
    values = json.loads(text)
    return json.dumps({**values, "ranks": [*values["ranks"][:-1], rank]})
