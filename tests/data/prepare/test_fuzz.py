"""Whatever the input: a plain error, or files whose counts are right. Never a traceback, never a wrong count."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_attnseq.data.prepare.archive import Raw
from recbole_attnseq.data.prepare.catalogue import SOURCES
from recbole_attnseq.data.prepare.collect import Options
from recbole_attnseq.data.prepare.generic import prepare_files, prepare_frame
from recbole_attnseq.data.prepare.pipeline import Prepared, prepare
from recbole_attnseq.data.prepare.vocabulary import NULLS
from recbole_attnseq.errors import UserError
from tests.data.prepare.helpers import adds_up, gz, zip_bytes

_FUZZ = settings(max_examples=80, deadline=None)
_CELL = st.one_of(
    st.sampled_from(
        ["a", "b", "1", "2.0", "", " ", '"', '""', "nan", "None", "a\tb", "a\nb", "\r", "x,y", "é", "\x00", "'"]
    ),
    st.text(max_size=6),
)
_TIME = st.one_of(
    st.integers(-10, 2_000_000_000).map(str), st.sampled_from(["", "x", "1e3", "inf", "1.5", "-0"]), _CELL
)


def _attempt(make: Callable[[Path], Prepared]) -> Prepared | None:
    """Runs a preparation; a :class:`UserError` of one line is a fair answer, with nothing left behind."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "mine"
        try:
            prepared = make(out)
        except UserError as error:
            message = str(error)
        else:
            assert adds_up(prepared)
            _reads_back(prepared)
            return prepared
        assert "\n" not in message
        assert not list(Path(folder).iterdir())
        return None


def _reads_back(prepared: Prepared) -> None:
    """RecBole's way of reading must find the very counts of the record."""
    name = prepared.folder.name
    for kind in ("inter", "item", "user"):
        path = prepared.folder / f"{name}.{kind}"
        if not path.exists():
            continue
        header = path.read_text("utf-8").split("\n", 1)[0].split("\t")
        types = {column: float if column.endswith(":float") else str for column in header}
        frame = pd.read_csv(path, delimiter="\t", dtype=types, engine="python", encoding="utf-8")
        assert list(frame.columns) == header
        if kind == "inter":
            assert len(frame) == prepared.summary.interactions
            assert frame["user_id:token"].nunique() == prepared.summary.users
            assert frame["item_id:token"].nunique() == prepared.summary.items
            assert not frame[["user_id:token", "item_id:token", "timestamp:float"]].isna().any().any()
            users = frame["user_id:token"]
            assert (users != users.shift()).sum() == prepared.summary.users
            gaps = frame["timestamp:float"].diff()[users == users.shift()]
            assert (gaps >= 0).all()
        else:
            assert frame[header[0]].is_unique


@given(st.lists(st.tuples(_CELL, _CELL, _TIME), max_size=20), st.booleans())
@_FUZZ
def test_csv_written_properly(rows: list[tuple[str, str, str]], ordinal: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        quoted = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
        path.write_bytes("\n".join(["user,item,time", *quoted]).encode("utf-8", "replace"))
        unit = "ordinal" if ordinal else "s"
        _attempt(lambda out: prepare_files(Raw(path), out, user="user", item="item", time="time", time_unit=unit))


@given(
    st.binary(max_size=200),
    st.sampled_from(["x.csv", "x.tsv", "x.jsonl", "x.parquet", "x.csv.gz", "x.zip", "x.tar", "x.xlsx"]),
)
@_FUZZ
def test_bytes_of_any_kind(content: bytes, name: str) -> None:
    for data in (content, b"user,item,time\n" + content, b"user\titem\ttime\na\tb\t1\n" + content):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(gz(data) if name.endswith(".gz") else data)
            _attempt(functools.partial(_generic, path))


def _generic(path: Path, out: Path) -> Prepared:
    return prepare_files(Raw(path), out, user="user", item="item", time="time", time_unit="ordinal")


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    max_leaves=4,
)


@given(
    st.lists(
        st.fixed_dictionaries({}, optional={"user": _JSON, "item": _JSON, "time": _JSON, "score": _JSON}), max_size=12
    )
)
@_FUZZ
def test_json_of_any_shape(rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        _attempt(
            lambda out: prepare_files(
                Raw(path), out, user="user", item="item", time="time", time_unit="ordinal", rating="score"
            )
        )


_OBJECT = st.one_of(st.none(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.booleans())


@given(st.lists(st.tuples(_OBJECT, _OBJECT, st.one_of(st.none(), st.integers(-5, 10**10), st.floats())), max_size=15))
@_FUZZ
def test_frame_of_any_objects(rows: list[tuple[Any, Any, Any]]) -> None:
    frame = pd.DataFrame(rows, columns=["user", "item", "time"]).astype({"user": object, "item": object})
    _attempt(lambda out: prepare_frame(frame, out, user="user", item="item", time="time", time_unit="ordinal"))


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 6), st.integers(1, 5)), min_size=1, max_size=60
    ),
    st.builds(
        Options,
        min_rating=st.one_of(st.none(), st.integers(1, 5)),
        drop_duplicates=st.one_of(st.none(), st.booleans()),
        drop_repeats=st.booleans(),
        session_gap=st.one_of(st.none(), st.integers(1, 4)),
        user_min=st.integers(0, 3),
        item_min=st.integers(0, 3),
    ),
)
@_FUZZ
def test_filters_against_plain_python(rows: list[tuple[int, int, int, int]], options: Options) -> None:
    frame = pd.DataFrame(rows, columns=["user", "item", "time", "score"])
    prepared = _attempt(
        lambda out: prepare_frame(
            frame, out, user="user", item="item", time="time", time_unit="ordinal", rating="score", options=options
        )
    )
    left = [row for row in rows if options.min_rating is None or row[3] >= options.min_rating]
    first = {user: number for number, user in reversed(list(enumerate(dict.fromkeys(row[0] for row in rows))))}
    left.sort(key=lambda row: (first[row[0]], row[2]))
    if options.drop_duplicates:
        once: dict[tuple[int, ...], tuple[int, int, int, int]] = {}
        for row in left:
            once.setdefault(row[:3], row)
        left = list(once.values())
    if options.drop_repeats:
        left = [row for before, row in zip([None, *left], left, strict=False) if not before or before[:2] != row[:2]]
    while True:
        users, items = ([row[n] for row in left] for n in (0, 1))
        kept = [
            row for row in left if users.count(row[0]) >= options.user_min and items.count(row[1]) >= options.item_min
        ]
        if len(kept) == len(left):
            break
        left = kept
    assert (prepared.summary.interactions if prepared else 0) == len(left)


@given(st.sampled_from(sorted(SOURCES)), st.data())
@settings(max_examples=150, deadline=None)
def test_named_sources_with_garbage_in_the_right_places(name: str, data: st.DataObject) -> None:
    source = SOURCES[name]
    files: dict[str, bytes] = {}
    for table in [form.table for form in source.interactions] + [form.table for form in source.side]:
        pattern = table.files[0]
        member = pattern.replace("[!m]", "X").replace("[0-9]", "1").replace("*", "x")
        if member in files:
            continue
        line = st.lists(_CELL, min_size=1, max_size=len(table.columns or "12345678"))
        rows = data.draw(st.lists(line, max_size=6), label=member)
        content = "\n".join(table.separator.join(row) for row in rows)
        files[member] = content.encode("utf-8", "replace")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw.zip"
        path.write_bytes(zip_bytes(files))
        _attempt(lambda out: prepare(source, Raw(path), out))


def test_nulls_are_those_of_pandas() -> None:
    from pandas._libs.parsers import STR_NA_VALUES

    assert set(STR_NA_VALUES) == NULLS
