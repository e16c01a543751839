"""The state of a cell: done, stale, failed, in conflict; and records that must never count."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from recbole_attnseq import data_rules
from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard import schedule
from recbole_attnseq.leaderboard.board import Board, read_board
from recbole_attnseq.leaderboard.cells import (
    Cell,
    State,
    best_yaml,
    cells_of,
    read_inventory,
    state_of,
    write_failure,
)
from recbole_attnseq.leaderboard.estimates import duration, seconds_for
from recbole_attnseq.leaderboard.runner import Places, claimed, reason_of, snapshot_path
from recbole_attnseq.leaderboard.schedule import Queue, in_vain
from tests.leaderboard.fakes import SPLIT, fake_facts, fake_record, ranks, with_config, write_board

RUNS = Path("results/runs")
MODELS = {"Pop": {"seeds": [1, 2]}, "SASRec": {"settings": {"train_neg_sample_args": None}}}


@pytest.fixture
def board(workdir: Path) -> Board:
    return read_board(write_board(workdir / "boards", MODELS))


def _cells(board: Board) -> list[Cell]:
    return cells_of(board, Path("results/studies"))


def _state(cell: Cell, split: str | None = SPLIT) -> State:
    return state_of(cell, read_inventory(RUNS, ["tiny"]), RUNS, split)


def test_missing_then_done(board: Board) -> None:
    cell, other, *_ = _cells(board)
    assert _state(cell).word == "missing"
    path = fake_record(cell, ranks(1, 0.1)).save(RUNS)
    assert (_state(cell).word, _state(cell).path) == ("done", path)
    assert _state(other).word == "missing"


def test_another_configuration_is_stale_and_says_in_what(board: Board) -> None:
    *_, before = [cell for cell in _cells(board) if cell.row.name == "SASRec"]
    fake_record(before, ranks(1, 0.1)).save(RUNS)
    changed = {**MODELS, "SASRec": {"settings": {"train_neg_sample_args": None, "n_layers": 1}}}
    (cell,) = [c for c in _cells(read_board(write_board(Path("boards"), changed))) if c.row.name == "SASRec"]
    state = _state(cell)
    assert state.word == "stale"
    assert state.why.endswith("was made with n_layers 2 instead of 1")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"eval_args": {"split": {"LS": "valid_only"}, "order": "TO", "mode": "full"}}, "eval_args.split"),
        ({"user_inter_num_interval": "[5,inf)"}, "user_inter_num_interval [5,inf) instead of [0,inf)"),
    ],
)
def test_rows_of_one_table_share_a_split(workdir: Path, settings: dict[str, object], words: str) -> None:
    """Its records would be of another split than the table's, and so stale for ever."""
    board = read_board(write_board(workdir / "boards", {"Pop": None, "AttnSeq": {"settings": settings}}))
    with pytest.raises(UserError, match="model 'AttnSeq' on 'tiny' has another split than 'Pop'") as caught:
        _cells(board)
    assert words in str(caught.value)


def test_a_search_with_another_budget_is_another_search(workdir: Path) -> None:
    board = read_board(write_board(workdir / "boards", {"Pop": {"tune": {"trials": 20}}}))
    other = read_board(write_board(workdir / "boards", {"Pop": {"tune": {"timeout": 600}}}))
    names = [best_yaml(found.rows[0], Path("studies")).parent.name for found in (board, other)]
    assert names == ["Pop-tiny-20-trials", "Pop-tiny-600-s"]


@pytest.mark.parametrize("changed", ["row", "file"])
def test_a_search_under_other_settings_is_not_taken_for_the_row_s(workdir: Path, changed: str) -> None:
    """The winner would overrule what the board's files say now, or be run with what it was found without."""
    file = workdir / "mine.yaml"
    file.write_text("train_batch_size: 256\n")
    row = {"tune": {"trials": 2}, "config_files": [str(file)], "settings": {"stopping_step": 3}}
    board = read_board(write_board(workdir / "boards", {"BPR": row}))
    best = best_yaml(board.rows[0], Path("results/studies"))
    best.parent.mkdir(parents=True)
    # Not searched: the batch, the patience and the metrics, in RecBole's words; searched: learning rate and width.
    best.write_text(
        "model: BPR\ndataset: tiny\ntrain_batch_size: 256\nstopping_step: 3\nlearning_rate: 0.01\nembedding_size: 32\n"
    )
    (cell,) = _cells(board)
    assert (cell.config["learning_rate"], cell.config["train_batch_size"]) == (0.01, 256)
    if changed == "file":
        file.write_text("train_batch_size: 512\n")
    else:
        row["settings"] = {"stopping_step": 5}
    board = read_board(write_board(workdir / "boards", {"BPR": row}))
    with pytest.raises(UserError) as caught:
        _cells(board)
    words = {"file": "train_batch_size 256 instead of 512", "row": "stopping_step 3 instead of 5"}[changed]
    assert words in str(caught.value)
    assert f"remove that folder ({best.parent}) to search again" in str(caught.value)


def _searched(monkeypatch: pytest.MonkeyPatch, winner: str) -> tuple[Cell, Queue, list[Cell]]:
    """A cell that waits for its search, the queue that will find ``winner`` for it, and the cells that came to run."""
    board = read_board(write_board(Path("boards"), {"BPR": {"tune": {"trials": 2}}}))
    places = Places(RUNS, Path("studies"), Path("data"), Path("scratch"))
    best = best_yaml(board.rows[0], places.studies)

    def found(*_: object) -> None:
        best.parent.mkdir(parents=True, exist_ok=True)
        best.write_text(winner)

    ran: list[Cell] = []
    monkeypatch.setattr(schedule, "search", found)
    monkeypatch.setattr(schedule, "run_cell", lambda cell, *_: ran.append(cell) or "failed")
    (waiting,) = cells_of(board, places.studies)
    return waiting, Queue(board, [waiting], places, {"tiny": SPLIT}), ran


def test_a_searched_cell_that_another_leaderboard_runs_is_left_to_it(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings, once found, make it the cell that the other holds: it waits for that one's lock."""
    waiting, queue, ran = _searched(monkeypatch, "learning_rate: 0.01\n")
    board, places = queue.board, queue.places
    schedule.search(waiting.row, places, board.path)
    (final,) = cells_of(board, places.studies)
    assert (waiting.waits, final.waits) == (True, False)
    with claimed(final, places) as lock:
        assert lock is not None
        assert not queue._visit(waiting, lambda: None)
    assert ran == []
    assert queue._visit(waiting, lambda: None)
    assert [cell.config_hash for cell in ran] == [final.config_hash]


def test_a_search_that_the_defaults_win_is_run_and_waits_for_nobody(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell that was found is then the very one that was locked for the search."""
    waiting, queue, ran = _searched(monkeypatch, "learning_rate: 0.001\n")  # BPR's own
    assert queue._visit(waiting, lambda: None)
    assert [cell.config_hash for cell in ran] == [waiting.config_hash]


def test_seeds_wait_for_one_search(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its budget is the row's, so a second leaderboard leaves it to the first, whichever seed either has."""
    board = read_board(write_board(Path("boards"), {"BPR": {"tune": {"timeout": 60}, "seeds": [1, 2]}}))
    places = Places(RUNS, Path("studies"), Path("data"), Path("scratch"))
    first, second = cells_of(board, places.studies)
    searched: list[str] = []
    monkeypatch.setattr(schedule, "search", lambda row, *_: searched.append(row.name) or "all trials failed")
    queue = Queue(board, [first, second], places, {"tiny": SPLIT})
    with claimed(first, places) as lock:
        assert lock is not None
        assert not queue._visit(second, lambda: None)
    assert searched == []
    assert len(queue.run(lambda: None)) == 2, "no settings, no result at either seed"
    assert searched == ["BPR"], "and what found nothing is not searched again for the next seed"


def test_two_rows_do_not_share_a_search(workdir: Path) -> None:
    tuned = {"model": "BPR", "tune": {"trials": 2}}
    board = read_board(write_board(workdir / "boards", {"BPR +": tuned, "BPR -": tuned}))
    with pytest.raises(UserError, match=r"searches of 'BPR \+' and 'BPR -' would both be called BPR-tiny-2-trials"):
        cells_of(board, Path("studies"))


def test_settings_that_a_prepared_folder_brings_are_in_the_hash(workdir: Path) -> None:
    """As they are in the record of the run, which reads them from its --data_path."""
    board = read_board(write_board(workdir / "boards", {"Pop": None}, datasets={"mine": {}}, settings={}))
    meta = workdir / "far/mine/mine.meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text('{"source": "generic"}')
    (there,), (elsewhere,) = (cells_of(board, Path("none"), data) for data in (Path("far"), None))
    assert there.config["load_col"] == {"inter": ["user_id", "item_id", "timestamp"]}
    assert there.config_hash != elsewhere.config_hash


def test_another_split_is_stale(board: Board) -> None:
    cell = _cells(board)[0]
    fake_record(cell, ranks(1, 0.1), split="0" * 16).save(RUNS)
    assert (_state(cell).word, _state(cell, None).word) == ("stale", "done")
    assert "of split 0000000000000000, the data now give feedfacefeedface" in _state(cell).why


def test_what_auto_meant_otherwise_is_stale_and_says_so(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    (cell,) = _cells(read_board(write_board(Path("boards"), {"AttnSeq": {"settings": {"hidden_dropout_prob": 0.1}}})))
    resolved = {"embedding_dropout_prob": 0.5, "hidden_dropout_prob": 0.1, "history_negatives": False}
    notes = {"resolved": resolved, "counts": {"targets": 900, "users": 100, "items": 50}}
    record = dataclasses.replace(fake_record(cell, ranks(1, 0.1)), notes=notes)
    path = record.save(RUNS)
    assert _state(cell).word == "done"
    monkeypatch.setattr(data_rules, "FEW_TARGETS", 900 / 50 / 1.4)
    state = _state(cell)
    assert (state.word, state.why) == ("stale", f"{path.name}: embedding_dropout_prob: auto was 0.5, now it is 0.3")
    fake_record(cell, ranks(1, 0.1)).save(RUNS)  # of before records said so
    assert _state(cell).word == "done"


def _attnseq(**settings: object) -> Cell:
    row = {"model": "AttnSeq", "settings": settings}
    (cell,) = _cells(read_board(write_board(Path("boards"), {"a row": row})))
    return cell


# How many different waits the made-up split has; a history takes 0.19 of its items, and an item has 38 targets.
SEVERAL, ONE, UNKNOWN = {"waits": 7}, {"waits": 1}, {"waits": None}


@pytest.mark.parametrize(
    ("said", "asked", "facts", "same"),
    [
        ({"time_gaps": True}, {}, SEVERAL, True),
        ({"time_gaps": False}, {}, SEVERAL, False),
        ({}, {"time_gaps": False}, SEVERAL, False),
        ({"time_gaps": True}, {}, ONE, False),
        ({"time_gaps": False}, {}, ONE, True),
        ({"time_gaps": True}, {}, UNKNOWN, False),  # nobody knows what auto would come to
        ({"time_gaps": False}, {}, UNKNOWN, False),
        ({"members": 1}, {}, None, True),
        ({}, {"members": 1, "time_gaps": True}, SEVERAL, True),
        ({"members": 2}, {}, None, False),
        ({"history_negatives": False, "hidden_dropout_prob": 0.5}, {}, SEVERAL, True),
        ({}, {"history_negatives": False, "time_gaps": True}, SEVERAL, True),
        ({"history_negatives": False}, {}, None, False),
        ({"history_negatives": True}, {}, SEVERAL, False),
        ({"time_gaps": True, "n_layers": 1}, {}, SEVERAL, False),
        ({"user_encoder": "transformer_mean", "mean_dropout_prob": 0.5}, {}, SEVERAL, True),
        ({"user_encoder": "transformer_mean", "mean_dropout_prob": 0.0}, {}, SEVERAL, False),
        ({"user_encoder": "transformer"}, {}, SEVERAL, False),
        ({"user_encoder": "transformer"}, {}, ONE, True),
        ({"user_encoder": "transformer"}, {}, UNKNOWN, False),
    ],
)
def test_a_record_in_other_words_is_the_same_computation_or_not(
    workdir: Path, said: dict[str, object], asked: dict[str, object], facts: dict[str, Any] | None, same: bool
) -> None:
    path = fake_record(_attnseq(**said), ranks(1, 0.1)).save(RUNS)
    if facts is not None:
        fake_facts("tiny", **facts).save(RUNS)
    state = _state(_attnseq(**asked))
    assert (state.word == "done") == same
    assert (state.path == path) == same
    other = _state(_attnseq(**asked), "0" * 16)
    assert other.word == "stale" if same else other.word != "done"
    assert ("is of split" in other.why) == same


def test_what_is_left_out_of_a_mean_is_no_matter_of_an_encoder_without_one(workdir: Path) -> None:
    assert "mean_dropout_prob" not in _attnseq(user_encoder="gru").config
    whole, auto, half = (
        _attnseq(user_encoder="transformer_mean", **settings).config_hash
        for settings in ({"mean_dropout_prob": 0.0}, {}, {"mean_dropout_prob": 0.5})
    )
    assert whole != auto == half


def test_a_record_of_before_there_were_waits_is_one_without(workdir: Path) -> None:
    record = fake_record(_attnseq(time_gaps=False), ranks(1, 0.1))
    config = {key: value for key, value in record.config.items() if key != "time_gaps"}
    with_config(record, config).save(RUNS)
    assert _state(_attnseq(time_gaps=False)).word == "done"
    assert _state(_attnseq()).word == "stale"
    fake_facts("tiny", **ONE).save(RUNS)
    assert _state(_attnseq()).word == "done", "where places stand for times, nobody reads waits"


def test_of_equal_computations_the_one_in_its_own_words_counts(workdir: Path) -> None:
    cell = _attnseq()
    fake_facts("tiny", **SEVERAL).save(RUNS)
    other = fake_record(_attnseq(time_gaps=True), ranks(2, 0.1)).save(RUNS)
    assert _state(cell).path == other
    third = fake_record(_attnseq(time_gaps=True, history_negatives=False), ranks(3, 0.1)).save(RUNS)
    assert _state(cell).path is None, "two that disagree may both be right where they were made: the cell runs"
    own = fake_record(cell, ranks(1, 0.1)).save(RUNS)
    assert (_state(cell).word, _state(cell).path) == ("done", own)
    assert third != own


def test_what_auto_came_to_in_a_run_is_what_it_computed(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a rule would make of it today."""
    fake_facts("tiny").save(RUNS)
    notes = {"resolved": {"hidden_dropout_prob": 0.5, "time_gaps": True}}
    path = dataclasses.replace(fake_record(_attnseq(), ranks(1, 0.1)), notes=notes).save(RUNS)
    asked = _attnseq(hidden_dropout_prob=0.5, time_gaps=True)
    assert _state(asked).path == path
    monkeypatch.setattr(data_rules, "FEW_TARGETS", 10)
    assert (_state(asked).word, _state(asked).path) == ("done", path)
    other = _attnseq(time_gaps=True)  # says auto as the record does, of dropout that a rule has moved since
    assert _state(other).path is None


def test_two_records_of_one_cell(board: Board) -> None:
    """Equal ones are one; of two that disagree neither counts, and both are named."""
    cell = _cells(board)[0]
    path = fake_record(cell, ranks(1, 0.1)).save(RUNS)
    path.with_name("copy.json").write_text(path.read_text())
    assert _state(cell).word == "done"
    other = dataclasses.replace(fake_record(cell, ranks(2, 0.1)), row="other")
    path.with_name("copy.json").write_text(other.save(Path("elsewhere")).read_text())
    state = _state(cell)
    assert state.word == "conflict"
    assert path.name in state.why
    assert "copy.json" in state.why


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"schema": 99})])
def test_bad_records_are_named_and_never_count(board: Board, text: str) -> None:
    cell = _cells(board)[0]
    path = fake_record(cell, ranks(1, 0.1)).save(RUNS)
    path.write_text(text)
    inventory = read_inventory(RUNS, ["tiny"])
    assert inventory.records["tiny"] == []
    (line,) = inventory.skipped
    assert path.name in line
    assert _state(cell).word == "missing"


def test_a_record_in_the_wrong_folder_is_named(board: Board) -> None:
    path = fake_record(_cells(board)[0], ranks(1, 0.1)).save(RUNS)
    other = RUNS / "elsewhere" / path.name
    other.parent.mkdir()
    path.rename(other)
    inventory = read_inventory(RUNS, ["tiny", "elsewhere"])
    assert inventory.records == {"tiny": [], "elsewhere": []}
    assert "is of data set tiny" in inventory.skipped[0]


def test_a_failure_keeps_its_reason(board: Board) -> None:
    cell = _cells(board)[0]
    write_failure(cell.failure_path(RUNS), {"reason": "killed by SIGKILL", "time_limit": None})
    assert (_state(cell).word, _state(cell).why) == ("failed", "killed by SIGKILL")
    fake_record(cell, ranks(1, 0.1)).save(RUNS)
    assert _state(cell).word == "done"


def test_what_a_time_limit_stopped_waits_for_a_longer_one(board: Board) -> None:
    cell = dataclasses.replace(_cells(board)[0], row=dataclasses.replace(_cells(board)[0].row, time_limit=60.0))
    longer = dataclasses.replace(cell, row=dataclasses.replace(cell.row, time_limit=61.0))
    stopped = State("failed", "stopped by the time limit of 60 s", limit=60.0)
    crashed = State("failed", "exit code 1: a fault", limit=60.0)
    assert in_vain(cell, stopped, retry=False)
    assert not in_vain(cell, crashed, retry=False)
    assert not in_vain(longer, stopped, retry=False)
    assert not in_vain(cell, stopped, retry=True)


@pytest.mark.parametrize(("before", "kept"), [(60.0, False), (30.0, True), (None, True)])
def test_a_run_that_has_used_up_its_time_begins_anew_when_asked_for(
    board: Board, before: float | None, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more time, or behind a crash, it goes on from its snapshot."""
    cell = dataclasses.replace(_cells(board)[0], row=dataclasses.replace(_cells(board)[0].row, time_limit=60.0))
    places = Places(RUNS, Path("studies"), Path("data"), Path("scratch"))
    reason = f"stopped by the time limit of {before} s" if before else "killed by SIGKILL"
    write_failure(cell.failure_path(RUNS), {"reason": reason, "time_limit": before})
    snapshot = snapshot_path(cell, places)
    snapshot.parent.mkdir()
    snapshot.touch()
    found: list[bool] = []
    monkeypatch.setattr(schedule, "run_cell", lambda *_: found.append(snapshot.exists()) or "failed")
    Queue(board, [cell], places, {"tiny": "a" * 16}, retry=True).run(lambda: None)
    assert found == [kept]
    snapshot.touch()  # interrupted this time: it goes on from here, whatever the first run's end was
    Queue(board, [cell], places, {"tiny": "a" * 16}, retry=True).run(lambda: None)
    assert found == [kept, True]


def test_estimates_look_at_the_row_then_the_model_then_other_data(board: Board) -> None:
    pop, _, sasrec = sorted(_cells(board), key=lambda cell: cell.row.name)
    facts = {
        "a" * 16: fake_facts("tiny", split="a" * 16),
        "b" * 16: fake_facts("big", split="b" * 16, train_count=36000),
    }
    assert seconds_for(pop, read_inventory(RUNS, ["tiny"]), facts) is None
    elsewhere = dataclasses.replace(fake_record(pop, ranks(1, 0.1), seconds=50, split="b" * 16), dataset="big")
    elsewhere.save(RUNS)
    # 36,000 targets took 50 s; here are 3,600.
    assert seconds_for(pop, read_inventory(RUNS, ["tiny", "big"]), facts) == pytest.approx(5)
    fake_record(dataclasses.replace(pop, seed=7), ranks(1, 0.1), seconds=8).save(RUNS)
    assert seconds_for(pop, read_inventory(RUNS, ["tiny", "big"]), facts) == pytest.approx(8)
    assert seconds_for(sasrec, read_inventory(RUNS, ["tiny", "big"]), facts) is None
    assert [duration(s) for s in (40, 700, 12600)] == ["40 s", "12 min", "3.5 h"]


def test_estimates_count_the_tokens_of_models_whose_targets_bring_their_histories(board: Board) -> None:
    sasrec = next(cell for cell in _cells(board) if cell.row.name == "SASRec")
    longest = sasrec.config["MAX_ITEM_LIST_LENGTH"]
    facts = {
        "a" * 16: fake_facts("tiny", split="a" * 16, history=[3] * 200),
        "b" * 16: fake_facts("big", split="b" * 16, history=[100] * 200),
    }
    elsewhere = dataclasses.replace(fake_record(sasrec, ranks(1, 0.1), seconds=100, split="b" * 16), dataset="big")
    elsewhere.save(RUNS)
    # As many targets, but histories of 1, 2 and 3 items here; of 1 to 100, cut at the longest, there.
    there = sum(min(length, longest) for length in range(1, 101)) / 100
    assert longest == 50
    assert seconds_for(sasrec, read_inventory(RUNS, ["tiny", "big"]), facts) == pytest.approx(100 * 2 / there)


def test_estimates_follow_the_data_set_nearest_in_work(board: Board) -> None:
    sasrec = next(cell for cell in _cells(board) if cell.row.name == "SASRec")
    near, far = "b" * 16, "c" * 16
    facts = {
        "a" * 16: fake_facts("tiny", split="a" * 16, history=[30] * 200),
        near: fake_facts("near", split=near, history=[60] * 200),
        far: fake_facts("far", split=far, history=[2] * 200),
    }
    for name, split, seconds in (("near", near, 100.0), ("far", far, 90.0)):
        dataclasses.replace(fake_record(sasrec, ranks(1, 0.1), seconds=seconds, split=split), dataset=name).save(RUNS)
    there = sum(min(length, 50) for length in range(1, 61)) / 60
    estimate = seconds_for(sasrec, read_inventory(RUNS, ["tiny", "near", "far"]), facts)
    assert estimate == pytest.approx(100 * 15.5 / there)


def test_estimates_scale_as_two_models_of_the_sort_do(workdir: Path) -> None:
    """Here these take three and five times what they take there, whatever the work of an epoch would say."""
    softmax = {"settings": {"train_neg_sample_args": None}}
    models = {"SASRec": softmax, "GRU4Rec": softmax, "NARM": softmax, "BPR": None}
    board = read_board(write_board(workdir / "boards", models))
    cells = {cell.row.name: cell for cell in _cells(board)}
    facts = {"a" * 16: fake_facts("tiny", split="a" * 16), "b" * 16: fake_facts("big", split="b" * 16)}

    def run(name: str, dataset: str, seconds: float) -> None:
        split = {"tiny": "a", "big": "b"}[dataset] * 16
        record = fake_record(cells[name], ranks(1, 0.1), seconds=seconds, split=split)
        dataclasses.replace(record, dataset=dataset).save(RUNS)

    def estimate() -> float | None:
        return seconds_for(cells["SASRec"], read_inventory(RUNS, ["tiny", "big"]), facts)

    run("SASRec", "big", 100)
    run("GRU4Rec", "big", 10)
    run("GRU4Rec", "tiny", 30)
    run("BPR", "big", 1)
    run("BPR", "tiny", 900)  # of another sort: says nothing of a sequential model
    assert estimate() == pytest.approx(100)  # one companion is too few: equal work
    run("NARM", "big", 10)
    run("NARM", "tiny", 50)
    assert estimate() == pytest.approx(400)


def test_estimates_of_attnseq_know_its_encoder(workdir: Path) -> None:
    """A row that looks both ways is told by its like elsewhere, by tokens, and not by windows on the same data."""
    slow = {"model": "AttnSeq", "settings": {"user_encoder": "bilstm", "attention": "multihead"}}
    board = read_board(write_board(workdir / "boards", {"AttnSeq": None, "slow": slow}))
    fast, slow = _cells(board)
    facts = {
        "a" * 16: fake_facts("tiny", split="a" * 16, history=[3] * 200),
        "b" * 16: fake_facts("big", split="b" * 16, history=[5] * 200),
    }
    fake_record(fast, ranks(1, 0.1), seconds=7, split="a" * 16).save(RUNS)
    inventory = ["tiny", "big"]
    assert seconds_for(slow, read_inventory(RUNS, inventory), facts) is None
    dataclasses.replace(fake_record(slow, ranks(1, 0.1), seconds=90, split="b" * 16), dataset="big").save(RUNS)
    assert seconds_for(slow, read_inventory(RUNS, inventory), facts) == pytest.approx(90 * 2 / 3)
    assert seconds_for(fast, read_inventory(RUNS, inventory), facts) == pytest.approx(7)


def test_estimates_of_attnseq_know_its_members_and_what_is_made_of_a_transformer(workdir: Path) -> None:
    rows = {
        "AttnSeq": None,
        "mean": {"model": "AttnSeq", "settings": {"user_encoder": "transformer_mean"}},
        "three": {"model": "AttnSeq", "settings": {"members": 3}},
        "gru": {"model": "AttnSeq", "settings": {"user_encoder": "gru"}},
    }
    one, mean, three, gru = _cells(read_board(write_board(workdir / "boards", rows)))
    facts = {"a" * 16: fake_facts("tiny", split="a" * 16)}
    fake_record(three, ranks(1, 0.1), seconds=60, split="a" * 16).save(RUNS)
    estimates = [seconds_for(cell, read_inventory(RUNS, ["tiny"]), facts) for cell in (one, mean, gru)]
    assert estimates == [pytest.approx(20), pytest.approx(20), None]
    again = dataclasses.replace(three, seed=7)
    assert seconds_for(again, read_inventory(RUNS, ["tiny"]), facts) == pytest.approx(60)


def test_reasons_are_one_line_without_paths_of_the_machine() -> None:
    assert reason_of(-9, "") == "killed by SIGKILL, perhaps for want of memory"
    assert reason_of(2, "noise\nattnseq: error: no folder /home/me/data/x.\n") == "exit code 2: no folder x."
    trace = 'Traceback\n  File "/home/me/a.py", line 3\nRuntimeError: not enough memory in /tmp/x/y\n'
    assert reason_of(1, trace) == "exit code 1: RuntimeError: not enough memory in y"
    assert reason_of(1, "") == "exit code 1: nothing was printed"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"settings": {"n_layer": 1}}, "unknown parameter 'n_layer'.*Did you mean 'n_layers'"),
        ({"settings": {"lr": 0.1}}, "unknown setting 'lr'.* learning_rate,"),
        ({"datasets": {"tiny": {"settings": {"num_layers": 1}}}}, "unknown setting 'num_layers'.* n_layers"),
    ],
)
def test_a_row_sets_nothing_that_its_model_does_not_read(entry: dict, said: str, workdir: Path) -> None:
    """It would be run with the defaults, and its name would promise something else."""
    entry = {**entry, "settings": {"train_neg_sample_args": None, **entry.get("settings", {})}}
    board = read_board(write_board(workdir / "boards", {"SASRec": entry}))
    with pytest.raises(UserError, match=rf"model 'SASRec' on 'tiny': {said}"):
        _cells(board)
