"""Any table, by named columns: formats, units, bad input."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_attnseq.data.prepare import atomic
from recbole_attnseq.data.prepare.archive import Raw, sha256
from recbole_attnseq.data.prepare.collect import Options
from recbole_attnseq.data.prepare.generic import prepare_files, prepare_frame
from recbole_attnseq.data.prepare.pipeline import Prepared
from recbole_attnseq.errors import UserError
from tests.data.prepare.helpers import adds_up, gz, lines, text, write, zipped

_ROWS = [("u2", "b", 30, 1.5), ("u1", "a", 20, 2.0), ("u2", "a", 10, 3.0)]
_EXPECTED = [
    "user_id:token\titem_id:token\ttimestamp:float\trating:float",
    "u2\ta\t10\t3",
    "u2\tb\t30\t1.5",
    "u1\ta\t20\t2",
]


def _generic(path: Path, out: Path, **arguments: Any) -> Prepared:
    arguments = {"user": "user", "item": "item", "time": "time", "time_unit": "ordinal", **arguments}
    return prepare_files(Raw(path), out / "mine", force=True, **arguments)


def _csv(separator: str = ",") -> bytes:
    return text(*(separator.join(map(str, row)) for row in [("user", "item", "time", "score"), *_ROWS]))


def _parquet() -> bytes:
    buffer = io.BytesIO()
    user, item, time, score = zip(*_ROWS, strict=True)
    pq.write_table(pa.table({"user": user, "item": item, "time": time, "score": score}), buffer)
    return buffer.getvalue()


def _jsonl() -> bytes:
    return text(*(json.dumps(dict(zip(("user", "item", "time", "score"), row, strict=True))) for row in _ROWS))


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("x.csv", _csv(), {}),
        ("x.csv.gz", gz(_csv()), {}),
        ("x.tsv", _csv("\t"), {}),
        ("x.dat", _csv("::"), {"separator": "::"}),
        ("x.csv", _csv(";"), {"separator": "semicolon"}),
        ("x.csv", b"\xef\xbb\xbf" + _csv(), {}),
        ("x.csv", _csv().replace(b"\n", b"\r\n"), {}),
        ("x.csv", _csv()[:-1], {}),
        ("x.csv", _csv().partition(b"\n")[2], {"columns": ("user", "item", "time", "score")}),
        ("x.jsonl", _jsonl(), {}),
        ("x.parquet", _parquet(), {}),
        ("x.bin", _parquet(), {"format": "parquet"}),
    ],
)
def test_every_format_gives_the_same_file(tmp_path: Path, name: str, content: bytes, options: dict[str, Any]) -> None:
    path = write(tmp_path / "raw", **{name: content}) / name
    prepared = _generic(path, tmp_path, rating="score", **options)
    assert lines(prepared) == _EXPECTED
    assert adds_up(prepared)
    assert prepared.record["hash"] == sha256(prepared.folder / "mine.inter")
    inside = zipped(tmp_path / "x.zip", {name: content})
    assert lines(_generic(inside, tmp_path, rating="score", **options)) == _EXPECTED


def test_frame_equals_file(tmp_path: Path) -> None:
    frame = pd.DataFrame(_ROWS, columns=["user", "item", "time", "score"])
    prepared = prepare_frame(
        frame, tmp_path / "mine", user="user", item="item", time="time", time_unit="ordinal", rating="score"
    )
    assert lines(prepared) == _EXPECTED
    with pytest.raises(UserError, match=r"unknown column of the DataFrame 'usr'\. Did you mean 'user'\?"):
        prepare_frame(frame, tmp_path / "two", user="usr", item="item")


def test_frame_of_dates_missing_values_and_mixed_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "who": [1.0, None, 2.0, 1.0],
            "what": ["x", "y", 3, None],
            "when": pd.to_datetime(
                ["2020-01-02 00:00:00.123456789", "2020-01-01", None, "2020-01-01"], format="ISO8601"
            ),
        }
    )
    prepared = prepare_frame(frame, tmp_path / "mine", user="who", item="what", time="when")
    assert lines(prepared)[1:] == ["1\tx\t1577923200.1234567"]
    assert prepared.report.dropped == {"without a user": 1, "without an item": 1, "without a time": 1}
    assert adds_up(prepared)


def test_extra_fields_and_session(tmp_path: Path) -> None:
    rows = text("user,item,time,kind,visit,place,price", 'a,x,1,view,9,"New York",1.5', "a,y,2,buy,9,,")
    path = write(tmp_path / "raw", x__csv=rows)
    prepared = _generic(
        path, tmp_path, behaviour="kind", session="visit", fields=("where:token=place", "price:float"),
        options=Options(behaviours=("view", "buy")),
    )  # fmt: skip
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tbehaviour:token\tsession_id:token\twhere:token\tprice:float",
        "a\tx\t1\tview\t9\tNew York\t1.5",
        "a\ty\t2\tbuy\t9\t\t",
    ]


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("s", "1500000000", "1500000000"),
        ("s", "1500000000.25", "1500000000.25"),
        ("ms", "1500000000123", "1500000000.123"),
        ("us", "1500000000123456", "1500000000.123456"),
        ("ns", "1500000000123456789", "1500000000.1234567"),
        ("iso", "2017-07-14T02:40:00Z", "1500000000"),
        ("iso", "2017-07-14T04:40:00+02:00", "1500000000"),
        ("iso", "2017-07-14 02:40:00.5", "1500000000.5"),
        ("%d.%m.%Y %H:%M", "14.07.2017 02:40", "1500000000"),
        ("ordinal", "-3", "-3"),
    ],
)
def test_units_of_time(tmp_path: Path, unit: str, value: str, expected: str) -> None:
    path = write(tmp_path / "raw", x__csv=text("user,item,time", f"a,b,{value}"))
    assert lines(_generic(path, tmp_path, time_unit=unit))[1] == f"a\tb\t{expected}"


def test_order_of_rows_is_the_time_where_there_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", x__csv=text("user,item", "a,3", "b,1", "a,2"))
    assert lines(_generic(path, tmp_path, time=None))[1:] == ["a\t3\t0", "a\t2\t2", "b\t1\t1"]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (text("a 3 1", "b 2", "", "c", "a 1 3"), {}),
        (text("a\t3  1 ", " b\t2", "c"), {}),
        (text("a,3,1", "b,2", "c"), {"separator": "comma"}),
    ],
)
def test_lines_of_a_user_and_their_items(tmp_path: Path, content: bytes, options: dict[str, Any]) -> None:
    """Their order is the time, a user's later line goes on; who has no item is counted, with the line."""
    path = write(tmp_path / "raw", x__txt=content) / "x.txt"
    prepared = _generic(path, tmp_path, time=None, format="sequences", **options)
    again = ["a\t1\t3", "a\t3\t4"] if content.endswith(b"a 1 3\n") else []
    assert lines(prepared)[1:] == ["a\t3\t0", "a\t1\t1", *again, "b\t2\t2"]
    assert prepared.report.dropped == {"malformed row": 1}
    assert prepared.report.examples["malformed row"].endswith(f"x.txt:{4 if again else 3}: a user without items")
    assert adds_up(prepared)


def test_lines_of_a_user_and_their_items_have_no_other_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", x__txt=text("a 1 2"))
    with pytest.raises(UserError, match=r"unknown column 'when'\..* Known: item, user\."):
        _generic(path, tmp_path, format="sequences", time="when")


def test_rows_that_lack_something_are_counted_with_their_place(tmp_path: Path) -> None:
    rows = text(
        "user,item,time",
        "a,b,1",
        ",b,1",
        "a,,1",
        "a,b,",
        "NULL,b,1",
        "a,b,soon",
        "a,b",
        "a,b,1,2",
        '"a\tb",b,1',
        '"""a",b,1',
        "[PAD],b,1",
        "a,b,inf",
        "",
    )
    prepared = _generic(write(tmp_path / "raw", x__csv=rows) / "x.csv", tmp_path)
    assert lines(prepared)[1:] == ["a\tb\t1"]
    assert prepared.report.rows == 12
    unwritable = "whose user an atomic file cannot hold (tab, line break, leading quote)"
    assert prepared.report.dropped == {
        "malformed row": 2,
        "without a user": 2,
        "without an item": 1,
        "without a time": 1,
        "whose time cannot be read": 2,
        unwritable: 3,
    }
    assert prepared.report.examples["without an item"].endswith("x.csv, row 3")
    assert adds_up(prepared)


def test_ids_survive_recboles_reader(tmp_path: Path) -> None:
    odd = ["a b", 'in"side', "ünïcode", "#1", "1e5", "007", "a,b", "'", "\\", "True", "-"]
    rows = text("user\titem\ttime", *(f"{name}\t{name}\t{number}" for number, name in enumerate(odd)))
    prepared = _generic(write(tmp_path / "raw", x__tsv=rows), tmp_path, quoted=False)
    read = pd.read_csv(
        prepared.folder / "mine.inter",
        delimiter="\t",
        dtype={"user_id:token": str, "item_id:token": str},
        engine="python",
    )
    assert list(read["user_id:token"]) == odd
    assert list(read["item_id:token"]) == odd


def test_mixed_encodings_name_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", x__csv=text("user,item,time", "é,b,1") + "ab,é,2\n".encode("latin-1")) / "x.csv"
    with pytest.raises(UserError, match=r"x\.csv:3:4: byte 0xe9 is not utf-8; .*--encoding latin-1\.$"):
        _generic(path, tmp_path)
    assert lines(_generic(path, tmp_path, encoding="latin-1"))[2] == "ab\té\t2"
    with pytest.raises(UserError, match="unknown encoding 'utf-9'"):
        _generic(path, tmp_path, encoding="utf-9")


def test_times_of_the_wrong_unit(tmp_path: Path) -> None:
    milliseconds = write(tmp_path / "ms", x__csv=text("user,item,time", "a,b,1500000000123", "a,c,1500000000124"))
    with pytest.raises(UserError, match=r"lie in the future as seconds; give --time-unit ms\.$"):
        _generic(milliseconds, tmp_path, time_unit="s")
    seconds = write(tmp_path / "s", x__csv=text("user,item,time", "a,b,1500000000"))
    with pytest.raises(UserError, match=r"lie before 1980 as ms; give --time-unit s\.$"):
        _generic(seconds, tmp_path, time_unit="ms")
    dates = write(tmp_path / "d", x__csv=text("user,item,time", "a,b,2020-01-01"))
    with pytest.raises(UserError, match=r"row 1: times in 'time' such as '2020-01-01' are not s; give --time-unit iso"):
        _generic(dates, tmp_path, time_unit="s")
    for folder, unit in ((seconds, "s"), (milliseconds, "ms")):
        with pytest.raises(UserError, match=rf"are not iso; give --time-unit {unit}\.$"):
            _generic(folder, tmp_path, time_unit="iso")
    with pytest.raises(UserError, match="unknown time unit 'weeks'"):
        _generic(seconds, tmp_path, time_unit="weeks")
    ordinal = write(tmp_path / "o", x__csv=text("user,item,time", "a,b,1"))
    assert "--time-unit ordinal" in _generic(ordinal, tmp_path, time_unit="s").report.notes[0]


def test_single_dates_in_the_future_or_before_1970(tmp_path: Path) -> None:
    rows = text("user,item,time", "a,b,1500000000", "a,c,9000000000", "a,d,-5", "a,e,1500000001", "a,f,1500000002")
    prepared = _generic(write(tmp_path / "raw", x__csv=rows), tmp_path, time_unit="s")
    assert prepared.report.dropped == {"whose time lies before 1970": 1, "whose time lies in the future": 1}
    early = _generic(tmp_path / "raw", tmp_path, time_unit="s", options=Options(latest=1500000001.5))
    assert early.summary.interactions == 2


def test_text_of_two_bytes_a_character_is_known_by_its_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", x__csv="user,item,time\na,b,1\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"x\.csv:1:1: byte 0x.. is not utf-8; .*--encoding utf-16\.$"):
        _generic(path, tmp_path)


@pytest.mark.parametrize("layout", ["[{row}, {row}]", "[\n{row},\n{row}\n]", " [\n {row}]"])
def test_a_json_array_is_no_table_of_lines(tmp_path: Path, layout: str) -> None:
    """Of an array with an object a line, the last line alone is an object."""
    content = layout.replace("{row}", '{"user": "a", "item": "b", "time": 1}')
    path = write(tmp_path / "raw", x__jsonl=text(content))
    with pytest.raises(UserError, match=r"x\.jsonl:1: a JSON array; write an object a line"):
        _generic(path, tmp_path)


def test_missing_column_lists_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", x__csv=text("userid,item,time", "a,b,1"))
    with pytest.raises(UserError, match=r"unknown column 'user'\. Did you mean 'userid'\? Known: item, time, userid\."):
        _generic(path, tmp_path)
    jsonl = write(tmp_path / "j", x__jsonl=text('{"uid": 1, "item": 2, "time": 3}'))
    with pytest.raises(UserError, match=r"no interaction is left of 1 rows; dropped: 1 without a user"):
        _generic(jsonl, tmp_path)
    parquet = write(tmp_path / "p", x__parquet=_parquet())
    with pytest.raises(UserError, match="has no column 'who'"):
        _generic(parquet, tmp_path, user="who")
    with pytest.raises(UserError, match="not a readable parquet file"):
        _generic(write(tmp_path / "q", x__parquet=b"PAR1 no"), tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("x.csv", b"", {}, r"x\.csv: the file is empty, where the columns' names should be"),
        ("x.csv", b"", {"quoted": False}, r"x\.csv: the file is empty"),
        ("x.csv", b"\nuser,item,time\na,b,1\n", {}, r"x\.csv: its first line is empty"),
        ("x.csv", _csv(";"), {}, r"unknown column 'item'\..* The line has 4 columns with --separator semicolon\."),
        ("x.csv", _csv("\t"), {}, r"with --separator tab\."),
        ("x.tsv", _csv("|"), {}, r"with --separator pipe\."),
        ("x.tsv", _csv(","), {}, r"with --separator comma\."),
        ("x.csv", text("user", "a"), {}, r"Known: user\.$"),
        ("x.csv", text("user,item,time,item", "a,b,1,c"), {}, r"x\.csv: there are 2 columns 'item'; rename"),
        ("x.csv", text("a,b,1,c"), {"columns": ("user", "item", "time", "item")}, r"there are 2 columns 'item'"),
    ],
)
def test_headers_that_cannot_be_meant(
    tmp_path: Path, name: str, content: bytes, options: dict[str, Any], words: str
) -> None:
    path = write(tmp_path / "raw", **{name: content}) / name
    with pytest.raises(UserError, match=words):
        _generic(path, tmp_path, **options)
    assert not (tmp_path / "mine").exists()


def test_a_column_that_nobody_reads_may_occur_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", x__csv=text("user,item,time,x,x", "a,b,1,2,3"))
    assert lines(_generic(path, tmp_path))[1:] == ["a\tb\t1"]
    frame = pd.DataFrame([["a", "b", "c"]], columns=["user", "item", "item"])
    with pytest.raises(UserError, match="the DataFrame: there are 2 columns 'item'"):
        prepare_frame(frame, tmp_path / "two", user="user", item="item")


def test_fields_are_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", x__csv=_csv())
    for field in ("score", "score:number", ":token"):
        with pytest.raises(UserError, match="is not NAME:TYPE"):
            _generic(path, tmp_path, fields=(field,))
    with pytest.raises(UserError, match="'rating' is given twice"):
        _generic(path, tmp_path, rating="score", fields=("rating:float=score",))
    with pytest.raises(UserError, match="--min-rating: 'generic' has no rating"):
        _generic(path, tmp_path, options=Options(min_rating=3))
    with pytest.raises(UserError, match="--session-gap must be a positive number"):
        _generic(path, tmp_path, options=Options(session_gap=0))
    with pytest.raises(UserError, match="cannot separate columns"):
        _generic(path, tmp_path, separator="\n")


def test_filters_apply_in_their_order(tmp_path: Path) -> None:
    rows = text(
        "user,item,time,score",
        *("a,x,1,5", "a,x,2,5", "a,y,3,1", "a,z,4,5", "b,x,1,5", "b,z,2,5", "c,x,9,5", "a,x,1,5"),
    )
    options = Options(min_rating=2, drop_repeats=True, drop_duplicates=True, user_min=2, item_min=2)
    prepared = _generic(write(tmp_path / "raw", x__csv=rows), tmp_path, rating="score", options=options)
    # y falls to its rating, a's second x to the repeat, c to the core.
    assert [line.split("\t")[:3] for line in lines(prepared)[1:]] == [
        ["a", "x", "1"],
        ["a", "z", "4"],
        ["b", "x", "1"],
        ["b", "z", "2"],
    ]
    assert prepared.report.dropped == {
        "rated below 2": 1,
        "repeated in user, item, time and behaviour": 1,
        "consecutive repeats of an item": 1,
        "outside the core (2 a user, 2 an item)": 1,
    }
    assert adds_up(prepared)
    with pytest.raises(UserError, match=r"no interaction is left of 8 rows; dropped: 8 outside the core"):
        _generic(tmp_path / "raw", tmp_path, options=Options(user_min=9))


def test_an_existing_folder_needs_force(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", x__csv=_csv())
    out = write(tmp_path / "mine", precious__txt=b"mine")
    arguments: dict[str, Any] = {"user": "user", "item": "item", "time": "time", "time_unit": "ordinal"}
    with pytest.raises(UserError, match=r"mine: exists already; give --force to replace it, or another --out\.$"):
        prepare_files(Raw(path), out, **arguments)
    with pytest.raises(UserError, match=r"mine: is no prepared data set"):
        prepare_files(Raw(path), out, force=True, **arguments)
    assert (out / "precious.txt").read_bytes() == b"mine"
    write(out, mine__meta__json=b"{}", mine__item=b"of before")
    prepare_files(Raw(path), out, force=True, **arguments)
    assert sorted(p.name for p in out.iterdir()) == ["mine.inter", "mine.meta.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "raw"]
    with pytest.raises(UserError, match="exists and is no folder"):
        prepare_files(Raw(path), path / "x.csv", **arguments)


def test_force_replaces_prepared_data_alone(tmp_path: Path) -> None:
    """A folder that holds anything else, the raw file above all, is not ours to remove."""
    content = text("user,item,time", *(f"u{n % 3},i{n % 4},{n}" for n in range(30)))
    mine = write(tmp_path / "mine", events__csv=content)
    with pytest.raises(UserError, match=r"is no prepared data set \(it lacks mine\.meta\.json\)"):
        prepare_files(Raw(mine / "events.csv"), mine, user="user", item="item", time="time", force=True)
    write(tmp_path / "raw", events__csv=content)
    made = prepare_files(Raw(tmp_path / "raw"), tmp_path / "new", user="user", item="item", time="time")
    (made.folder / "events.csv").write_bytes(content)
    for raw in (made.folder / "events.csv", made.folder):
        with pytest.raises(UserError, match=r"lies in .*, which --force would replace"):
            prepare_files(Raw(raw), made.folder, user="user", item="item", time="time", force=True)
    assert (mine / "events.csv").read_bytes() == (made.folder / "events.csv").read_bytes() == content


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_encodings_of_several_bytes_a_character(tmp_path: Path, encoding: str) -> None:
    """Excel's "Unicode text" among them."""
    rows = ["user,item,time", *(f"ü{n % 3},i{n % 4},{n}" for n in range(3000))]
    wide = write(tmp_path / "wide", x__csv=text(*rows, encoding="utf-8").decode().encode(encoding))
    plain = write(tmp_path / "plain", x__csv=text(*rows))
    found = [
        prepare_files(Raw(raw), tmp_path / raw.name / "x", user="user", item="item", time="time", encoding=name)
        for raw, name in ((wide, encoding), (plain, "utf-8"))
    ]
    assert lines(found[0]) == lines(found[1])
    write(tmp_path / "wide", x__csv=text(*rows).decode().encode(encoding)[:-1])
    with pytest.raises(UserError, match=r"x\.csv: not utf-(16|32)"):
        prepare_files(Raw(wide), tmp_path / "cut", user="user", item="item", time="time", encoding=encoding)


@pytest.mark.parametrize("unit", ["%Q", "%Y-%m-%d %"])
def test_no_format_of_dates(tmp_path: Path, unit: str) -> None:
    raw = write(tmp_path / "raw", x__csv=text("user,item,time", "a,b,2020"))
    with pytest.raises(UserError, match="is no date format"):
        prepare_files(Raw(raw), tmp_path / "x", user="user", item="item", time="time", time_unit=unit)


def test_a_frame_whose_columns_have_numbers_for_names(tmp_path: Path) -> None:
    frame = pd.DataFrame({0: list("aab"), 1: list("xyx"), 2: [1, 2, 3]})
    made = prepare_frame(frame, tmp_path / "x", user="0", item="1", time="2", time_unit="ordinal")
    assert made.summary.interactions == 3
    assert list(frame) == [0, 1, 2]


@pytest.mark.parametrize("force", [False, True])
def test_a_full_disk_leaves_nothing_partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool) -> None:
    path = write(tmp_path / "raw", x__csv=_csv())
    out = write(tmp_path / "mine", old__txt=b"old", mine__meta__json=b"{}") if force else tmp_path / "mine"
    write_bytes = atomic.AtomicFile._write
    calls = []

    def full(self: atomic.AtomicFile, data: bytes) -> None:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_bytes(self, data)

    monkeypatch.setattr(atomic.AtomicFile, "_write", full)
    with pytest.raises(UserError, match=r"mine: the disk is full; free some room .*; nothing was written\.$"):
        prepare_files(Raw(path), out, user="user", item="item", time="time", time_unit="ordinal", force=force)
    assert sorted(p.name for p in tmp_path.iterdir()) == (["mine", "raw"] if force else ["raw"])
    assert not force or (out / "old.txt").read_bytes() == b"old"


def test_the_result_does_not_depend_on_the_size_of_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"u{n * 7919 % 61},i{n * 31 % 23},{n * 104729 % 50}" for n in range(3000)]
    path = write(tmp_path / "raw", x__csv=text("user,item,time", *rows))
    options = Options(drop_repeats=True, session_gap=5, user_min=2, item_min=2, drop_duplicates=True)
    whole = _generic(path, tmp_path, options=options)
    expected = (whole.record["hash"], whole.summary, whole.report.dropped)
    monkeypatch.setattr("recbole_attnseq.data.prepare.spool.BUCKET_ROWS", 100)
    monkeypatch.setattr("recbole_attnseq.data.prepare.spool.CHUNK_ROWS", 64)
    monkeypatch.setattr("recbole_attnseq.data.prepare.readers._BLOCK_BYTES", 1000)
    parts = _generic(path, tmp_path, options=options)
    assert (parts.record["hash"], parts.summary, parts.report.dropped) == expected


def test_record_tells_how_it_was_made(tmp_path: Path) -> None:
    path = write(tmp_path / "raw", x__csv=_csv()) / "x.csv"
    prepared = _generic(path, tmp_path, rating="score", options=Options(min_rating=1))
    record = json.loads((prepared.folder / "mine.meta.json").read_text())
    assert record == prepared.record
    assert record["archive"] == {"x.csv": sha256(path)}
    assert record["options"]["min_rating"] == 1
    assert record["counts"]["interactions"] == 3
    assert record["counts"]["density"] == 3 / 4
    assert record["files"] == {"mine.inter": sha256(prepared.folder / "mine.inter")}
    write(tmp_path / "raw", unrelated__bin=b"x")
    assert set(_generic(tmp_path / "raw", tmp_path, files=("*.csv",)).record["archive"]) == {"x.csv"}
