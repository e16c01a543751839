"""Splits by the clock: hand-worked cases, planted leaks, and RecBole reading the files."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_attnseq.data.prepare.atomic import AtomicFile
from recbole_attnseq.data.split_hash import hash_of_loaders, split_hash
from recbole_attnseq.data.splits import Split, by_global_time, by_last_days, check_no_leak, command, write_benchmark
from recbole_attnseq.data.splits.folder import split_folder
from recbole_attnseq.errors import UserError

# Two users; item 3 appears only at the end.
_USER = np.array([0, 0, 0, 0, 1, 1, 1, 1])
_ITEM = np.array([0, 1, 2, 0, 1, 0, 2, 3])
_TIME = np.array([1.0, 2, 6, 9, 1, 5, 6, 9])


def _rows(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask).tolist()


def test_global_cuts_by_hand() -> None:
    split = by_global_time(_USER, _ITEM, _TIME, cuts=(5, 9), known_items=False)
    assert [_rows(part) for part in split.parts().values()] == [[0, 1, 4], [2, 5, 6], [3, 7]]
    # Item 2 and item 3 are not in training: their rows cannot be targets.
    known = by_global_time(_USER, _ITEM, _TIME, cuts=(5, 9))
    assert [_rows(part) for part in known.parts().values()] == [[0, 1, 4], [5], [3]]


def test_ratios_place_the_cuts_at_whole_instants() -> None:
    split = by_global_time(_USER, _ITEM, _TIME, ratios=(4, 2, 2), known_items=False)
    # Sorted times: 1 1 2 5 6 6 9 9. The fifth is 6 and the seventh 9.
    assert (split.valid_from, split.test_from) == (6, 9)
    assert [_rows(part) for part in split.parts().values()] == [[0, 1, 4, 5], [2, 6], [3, 7]]


def test_targets_first_and_last_of_each_user() -> None:
    user, item, time = np.zeros(6, int), np.zeros(6, int), np.array([0.0, 1, 2, 3, 4, 5])
    first = by_global_time(user, item, time, cuts=(1, 4), targets="first")
    last = by_global_time(user, item, time, cuts=(1, 4), targets="last")
    assert (_rows(first.valid), _rows(first.test)) == ([1], [4])
    assert (_rows(last.valid), _rows(last.test)) == ([3], [5])


def test_known_users() -> None:
    user = np.array([0, 1, 0, 1, 2, 0])
    item = np.zeros(6, int)
    time = np.array([0.0, 0, 1, 1, 2, 2])
    split = by_global_time(user, item, time, cuts=(1, 2), known_users=True)
    assert _rows(split.test) == [5]


def test_sessions_by_the_last_days() -> None:
    session = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4])
    item = np.array([0, 1, 0, 1, 0, 1, 0, 1, 9])
    time = np.array([0.0, 1, 4, 6, 5.5, 5.8, 8.5, 10, 7])
    # One test day before 10 begins at 9, three validation days before that at 6.
    drop = by_last_days(session, item, np.r_[time[:7], 9.5, 7], test_days=1, valid_days=3, day=1, straddling="later")
    assert (drop.valid_from, drop.test_from) == (5.5, 8.5)
    split = by_last_days(session, item, time, test_days=2, valid_days=3, day=1)
    assert (split.valid_from, split.test_from) == (5, 8)
    # Session 1 runs across a cut and is left out; session 4 has an item that training lacks.
    assert [_rows(part) for part in split.parts().values()] == [[0, 1], [4, 5], [6, 7]]
    later = by_last_days(session, item, time, test_days=2, valid_days=3, day=1, straddling="later")
    assert _rows(later.valid) == [2, 3, 4, 5]


def test_a_planted_leak_is_caught() -> None:
    good = by_global_time(_USER, _ITEM, _TIME, cuts=(5, 9), known_items=False)
    check_no_leak(good, _TIME)
    for part, row, message in (
        ("train", 3, "an interaction is in two parts"),
        ("test", 1, "an interaction is in two parts"),
    ):
        masks = {name: mask.copy() for name, mask in good.parts().items()}
        masks[part][row] = True
        with pytest.raises(UserError, match=message):
            check_no_leak(Split(**masks, valid_from=5, test_from=9), _TIME)
    moved = {name: mask.copy() for name, mask in good.parts().items()}
    moved["train"][1], moved["test"][1] = False, True
    with pytest.raises(UserError, match="leak: 1 interactions of the test part lie before its cut"):
        check_no_leak(Split(**moved, valid_from=5, test_from=9), _TIME)
    moved = {name: mask.copy() for name, mask in good.parts().items()}
    moved["train"][3], moved["test"][3] = True, False
    with pytest.raises(UserError, match="leak: 1 interactions of the training part lie after the cut"):
        check_no_leak(Split(**moved, valid_from=5, test_from=9), _TIME)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 30)), min_size=1, max_size=60),
    st.booleans(),
    st.sampled_from(["all", "first", "last"]),
)
@settings(max_examples=200, deadline=None)
def test_no_split_leaks(rows: list[tuple[int, int, int]], known: bool, targets: str) -> None:
    user, item, time = (np.array(column, float if n == 2 else int) for n, column in enumerate(zip(*rows, strict=True)))
    makers = (
        lambda: by_global_time(user, item, time, known_items=known, targets=targets),
        lambda: by_last_days(user, item, time, test_days=3, valid_days=4, day=2, known_items=known),
    )
    for make in makers:
        try:
            split = make()
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017 - an error is one of two fair answers
            continue
        train, valid, test = (time[mask] for mask in split.parts().values())
        assert train.max() < valid.min() <= valid.max() < test.min()
        if known:
            assert set(item[split.test]) <= set(item[split.train])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cuts": (5, 5)}, "not in order"),
        ({"cuts": (0, 5)}, "the train part of the split is empty"),
        ({"ratios": (1, 0, 1)}, "must be positive"),
        ({"ratios": (float("nan"), 1, 1)}, "must be positive"),
        ({"targets": "some"}, "targets must be all, first or last"),
        ({"cuts": (5, 99)}, "the test part of the split is empty"),
    ],
)
def test_cuts_that_make_no_sense(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        by_global_time(_USER, _ITEM, _TIME, **arguments)  # type: ignore[arg-type]


def test_times_that_are_missing() -> None:
    with pytest.raises(UserError, match="1 interactions have no time"):
        by_global_time(_USER, _ITEM, np.r_[_TIME[:-1], np.nan])
    with pytest.raises(UserError, match="there are no interactions"):
        by_global_time(_USER[:0], _ITEM[:0], _TIME[:0])
    with pytest.raises(UserError, match="differ in length: 8, 8, 7"):
        by_last_days(_USER, _ITEM, _TIME[:-1])
    with pytest.raises(UserError, match="must be positive"):
        by_last_days(_USER, _ITEM, _TIME, test_days=0)
    with pytest.raises(UserError, match="straddling must be"):
        by_last_days(_USER, _ITEM, _TIME, straddling="half")


_TOKENS = (["ann", "bob"], ["a", "b", "c", "d"])


def _files(folder: Path, history: int) -> dict[str, list[str]]:
    split = by_global_time(_USER, _ITEM, _TIME, cuts=(5, 9), known_items=False)
    order = np.random.default_rng(0).permutation(len(_USER))
    moved = Split(*(mask[order] for mask in split.parts().values()), valid_from=5, test_from=9)
    columns = (_USER[order], _ITEM[order], _TIME[order])
    written = write_benchmark(folder, "x", moved, *columns, *_TOKENS, history=history, force=True)
    record = json.loads((folder / "x.split.json").read_text())
    assert record == dataclasses.asdict(written)
    assert (record["valid_from"], record["test_from"], record["history"]) == (5, 9, history)
    return {part: (folder / f"x.{part}.inter").read_text().splitlines() for part in ("train", "valid", "test")}


def test_benchmark_files_by_hand(tmp_path: Path) -> None:
    assert _files(tmp_path, history=2) == {
        "train": ["user_id:token\titem_id:token\ttimestamp:float\titem_id_list:token_seq", "ann\tb\t2\ta"],
        "valid": [
            "user_id:token\titem_id:token\ttimestamp:float\titem_id_list:token_seq",
            "ann\tc\t6\ta b",
            "bob\ta\t5\tb",
            "bob\tc\t6\tb a",
        ],
        "test": [
            "user_id:token\titem_id:token\ttimestamp:float\titem_id_list:token_seq",
            "ann\ta\t9\tb c",
            "bob\td\t9\ta c",
        ],
    }
    assert _files(tmp_path, history=0)["train"] == [
        "user_id:token\titem_id:token\ttimestamp:float",
        "ann\ta\t1",
        "ann\tb\t2",
        "bob\tb\t1",
    ]


def test_tokens_that_do_not_fit_a_history(tmp_path: Path) -> None:
    split = by_global_time(_USER, _ITEM, _TIME, cuts=(5, 9), known_items=False)
    with pytest.raises(UserError, match="item 'a b' holds a blank"):
        write_benchmark(tmp_path, "x", split, _USER, _ITEM, _TIME, ["u", "v"], ["a b", "c", "d", "e"])
    with pytest.raises(UserError, match="holds a tab or line break"):
        write_benchmark(tmp_path, "x", split, _USER, _ITEM, _TIME, ["u\t", "v"], ["a", "c", "d", "e"])


def test_recbole_reads_the_files(tmp_path: Path) -> None:
    pytest.importorskip("recbole")
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation

    import recbole_attnseq  # noqa: F401 - RecBole needs its remedies on current libraries

    folder = tmp_path / "x"
    folder.mkdir()
    expected = _files(folder, history=50)
    settings_ = {
        "data_path": str(tmp_path),
        "benchmark_filename": ["train", "valid", "test"],
        "alias_of_item_id": ["item_id_list"],
        "load_col": {"inter": ["user_id", "item_id", "timestamp", "item_id_list"]},
        "train_neg_sample_args": None,
        "eval_args": {"order": "TO", "mode": "full", "group_by": "user", "split": {"LS": "valid_and_test"}},
        "use_gpu": False,
        "MAX_ITEM_LIST_LENGTH": 50,
    }
    config = Config(model="SASRec", dataset="x", config_dict=settings_)
    dataset = create_dataset(config)
    loaders = data_preparation(config, dataset)
    assert hash_of_loaders(*loaders) == json.loads((folder / "x.split.json").read_text())["split_hash"]
    for name, loader in zip(expected, loaders, strict=True):
        feat = loader._dataset.inter_feat
        items = dataset.field2id_token["item_id"]
        users = dataset.field2id_token["user_id"]
        lengths = feat["item_length"].numpy()
        found = sorted(
            f"{users[u]}\t{items[i]}\t{' '.join(items[h[:n]])}"
            for u, i, h, n in zip(
                feat["user_id"].numpy(), feat["item_id"].numpy(), feat["item_id_list"].numpy(), lengths, strict=True
            )
        )
        rows = [row.split("\t") for row in expected[name][1:]]
        assert found == sorted("\t".join((u, i, h)) for u, i, _, h in rows)


def test_split_hash_tells_splits_apart() -> None:
    def of(split: Split) -> str:
        return split_hash({name: (_USER[mask], _ITEM[mask]) for name, mask in split.parts().items()}, *_TOKENS)

    one = by_global_time(_USER, _ITEM, _TIME, cuts=(5, 9), known_items=False)
    assert of(one) == of(by_global_time(_USER, _ITEM, _TIME, cuts=(4, 8), known_items=False))
    assert of(one) != of(by_global_time(_USER, _ITEM, _TIME, cuts=(5, 9)))
    assert of(one) != of(by_global_time(_USER, _ITEM, _TIME, cuts=(6, 9), known_items=False))


def test_a_prepared_folder_is_split(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    day = 86400
    rows = ["user_id:token\titem_id:token\ttimestamp:float\tsession_id:token"]
    for session in range(10):
        # A user has two sessions; each session is a day.
        rows += [f"u{session // 2}\ti{step}\t{session * day + step}\ts{session}" for step in range(3)]
    (folder / "x.inter").write_text("\n".join(rows) + "\n")
    written = split_folder(folder, "last-days", (1.5, 2.0))
    # The last interaction is in session 9: sessions 8 and 9 are test, 6 and 7 validation. A user's first row of
    # all has no history, the first row of its second session has one.
    assert written.rows == {"train": 6 * 3 - 3, "valid": 2 * 3 - 1, "test": 2 * 3 - 1}
    written = split_folder(folder, "global-time", (0.6, 0.2, 0.2), history=0, force=True)
    assert written.rows == {"train": 18, "valid": 6, "test": 6}
    with pytest.raises(UserError, match="takes 3 numbers, not 2"):
        split_folder(folder, "global-time", (1, 2))
    with pytest.raises(UserError, match="unknown split 'random'"):
        split_folder(folder, "random")
    (folder / "x.inter").write_text("user_id:token\titem_id:token\n1\t2\n")
    with pytest.raises(UserError, match="has no column timestamp:float"):
        split_folder(folder, "last-days")


def test_rows_that_cannot_be_read_or_have_no_id_are_refused(tmp_path: Path) -> None:
    """RecBole would drop them; counted by their codes they would be other items'."""
    folder = tmp_path / "x"
    folder.mkdir()
    good = [f"u{n % 3}\ti{n % 4}\t{n}" for n in range(30)]
    for bad, message in (
        ("\ti1\t5", r"1 of 31 rows have no user_id:token that RecBole could hold \(row 31"),
        ("u1\tNA\t5", "no item_id:token"),
        ("u1\t[PAD]\t5", "no item_id:token"),
        (
            "u1 broken line",
            r"lines that cannot be read: 1 malformed row \(first: .*x\.inter, row 1 or later: 1 columns",
        ),
    ):
        (folder / "x.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *good, bad, ""]))
        with pytest.raises(UserError, match=message):
            split_folder(folder, "global-time")
    assert [path.name for path in folder.iterdir()] == ["x.inter"]


def test_sessions_are_a_users_own_and_a_row_without_one_stands_alone(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    day = 86400
    rows = []
    for user in range(5):
        rows += [f"u{user}\ti{step}\t{step}\t" for step in range(4)]  # what was before there were sessions
        # Numbered anew for each user: one session of all that have number 1 would go through every cut.
        rows += [
            f"u{user}\ti{step}\t{(2 * user + number) * day + step}\t{number}" for number in (1, 2) for step in (0, 1)
        ]
    head = "user_id:token\titem_id:token\ttimestamp:float\tsession_id:token"
    (folder / "x.inter").write_text("\n".join([head, *rows, ""]))
    written = split_folder(folder, "last-days", (1.5, 2.0), history=0)
    assert written.rows == {"train": 5 * 4 + 6 * 2, "valid": 2 * 2, "test": 2 * 2}
    assert written.left_out == 0
    written = split_folder(folder, "last-days", (1.5, 2.0), force=True)
    assert written.left_out == 5  # the first of each user has no history


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A prepared folder with a split and whatever else may lie there."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = ["user_id:token\titem_id:token\ttimestamp:float", *(f"{n % 3}\t{n % 4}\t{n}" for n in range(30))]
    (folder / "mine.inter").write_text("\n".join(rows) + "\n")
    split_folder(folder, "global-time")
    return folder


def _content(folder: Path) -> dict[str, bytes]:
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "something is left beside the folder"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_earlier_split_is_kept_without_force(mine: Path) -> None:
    before = _content(mine)
    with pytest.raises(UserError, match=r"mine\.train\.inter: exists already; give --force"):
        split_folder(mine, "global-time", (0.5, 0.3, 0.2))
    assert _content(mine) == before
    split_folder(mine, "global-time", (0.5, 0.3, 0.2), force=True)
    assert _content(mine).keys() == before.keys()
    assert _content(mine)["mine.split.json"] != before["mine.split.json"]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["writing", "moving"])
def test_a_full_disk_or_an_interruption_leaves_nothing_partial(
    place: str, fault: BaseException, force: bool, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not force:
        for path in mine.iterdir():
            if path.name != "mine.inter":
                path.unlink()
    before = _content(mine)
    owner, name = (AtomicFile, "line") if place == "writing" else (Path, "rename")
    whole, calls = getattr(owner, name), iter(range(10**6))

    def breaks_off(self: Any, *words: Any) -> Any:
        # The third move with force is that of the second file: one is in place by then.
        if next(calls) == (20 if place == "writing" else 2):
            raise fault
        return whole(self, *words)

    monkeypatch.setattr(owner, name, breaks_off)
    with pytest.raises((UserError, KeyboardInterrupt), match="disk is full" if isinstance(fault, OSError) else None):
        split_folder(mine, "global-time", (0.5, 0.3, 0.2), force=force)
    monkeypatch.undo()
    assert _content(mine) == before


def _split(*words: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args(words))


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = ["user_id:token\titem_id:token\ttimestamp:float", *(f"{n % 3}\t{n % 4}\t{n}" for n in range(30))]
    (folder / "mine.inter").write_text("\n".join(rows) + "\n")
    _split(str(folder), "--shares", "6,2,2", "--history", "5")
    out = capsys.readouterr().out
    # 18 rows of training, less the first of each user, which has no history.
    assert re.match(r"mine: global-time: 15 train, 6 valid, 6 test, 3 in none .*; split hash [0-9a-f]{16}\n", out)
    assert (folder / "mine.test.inter").read_text().split("\n")[-2] == "2\t1\t29\t2 1 0 3 2"
    for words, message in (
        ([str(tmp_path / "nothing")], "no such file; make it with `attnseq prepare`"),
        ([str(folder), "--shares", "1,x,2"], "are not numbers"),
        ([str(folder), "--history", "-1"], "--history must not be negative"),
        ([str(folder), "--by", "last-days", "--shares", "9,9"], "the train part of the split is empty"),
    ):
        with pytest.raises(UserError, match=message):
            _split(*words)
