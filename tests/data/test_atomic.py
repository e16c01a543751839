"""Atomic files: what pandas reads, and the line that is wrong."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recbole_attnseq.data.atomic import read_atomic
from recbole_attnseq.errors import UserError
from recbole_attnseq.training.session import make_config

HEADER = "item_id:token\ttitle:token\tprice:float"
QUOTED = ('1\t"a ""b"""\t1.5', '2\t"b, c"\t', '3\t"two"\t"2.5"', '"4"\tNA\t-3', '5\t"NA"\t1e3', '6\ta"b\t0')
PLAIN = ('1\t"Yes" they said\t1.5', '2\t"open\t2', "3\t'x'\t", "4\t\t7", "null\tNA\t7")


def write(folder: Path, *lines: str) -> str:
    path = folder / "shop.item"
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return str(path)


def by_pandas(path: str, **options: object) -> pd.DataFrame:
    names = ["item_id", "title", "price"]
    kinds = {"item_id": str, "title": str, "price": float}
    return pd.read_csv(path, sep="\t", names=names, skiprows=1, dtype=kinds, **options)


def same(frame: pd.DataFrame, other: pd.DataFrame) -> None:
    assert list(frame) == list(other)
    for name in frame:
        assert frame[name].isna().tolist() == other[name].isna().tolist()
        assert frame[name].dropna().tolist() == other[name].dropna().tolist()


def test_quoted_cells_are_those_of_pandas(tmp_path: Path) -> None:
    path = write(tmp_path, *QUOTED)
    frame = read_atomic(path, "\t", ["item_id", "title", "price"])
    same(frame, by_pandas(path))
    assert frame["title"].tolist()[:3] == ['a "b"', "b, c", "two"]


def test_a_separator_within_quotes(tmp_path: Path) -> None:
    """Unless all columns are there without it: then the quotes are marks like any other."""
    names = ["item_id", "title", "price"]
    path = write(tmp_path, '1\t"Heat\tThe"\t1', '2\t"Up"\t2')
    same(read_atomic(path, "\t", names), by_pandas(path))
    assert read_atomic(path, "\t", names)["title"].tolist() == ["Heat\tThe", "Up"]
    path = write(tmp_path, '1\t"Heat\t3"', '2\t"Up"\t2'.replace('"Up"', "Up"))
    with pytest.raises(UserError, match=":2: '3\"' in column 'price' is not a number"):
        read_atomic(path, "\t", names)


def test_a_quoted_field_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    path = write(tmp_path, '1\t"' + "x" * 200_000 + '"\t1')
    assert len(read_atomic(path, "\t", ["item_id", "title", "price"])["title"][0]) == 200_000
    with pytest.raises(UserError, match=":3: 2 columns"):
        read_atomic(write(tmp_path, '1\t"' + "x" * 200_000 + '"\t1', '2\t"y"'), "\t", ["item_id", "title", "price"])


def test_separators_and_encodings_that_cannot_be(tmp_path: Path) -> None:
    path = write(tmp_path, *PLAIN)
    with pytest.raises(UserError, match="field_separator is '::'; it must be one"):
        read_atomic(path, "::", ["item_id"])
    with pytest.raises(UserError, match="unknown encoding 'utf8x'"):
        read_atomic(path, "\t", ["item_id"], encoding="utf8x")


def test_a_quote_that_closes_nowhere_is_a_mark_like_others(tmp_path: Path) -> None:
    path = write(tmp_path, *PLAIN)
    same(read_atomic(path, "\t", ["item_id", "title", "price"]), by_pandas(path, quoting=3))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((*QUOTED, '7\t"short"'), ":8: 2 columns where the header declares 3"),
        ((*QUOTED, '7\t"long"\t1\t2'), ":8: 4 columns where the header declares 3"),
        (('1\t"a"\t1', "2\tb"), ":3: 2 columns"),
        (('1\t"a, b"\t"cheap"', "2\tb\t3"), ":2: 'cheap' in column 'price' is not a number"),
        (("1\ta\t1", "2\tb"), ":3: 2 columns"),
        (("1\ta\tdear",), ":2: 'dear' in column 'price' is not a number"),
    ],
)
def test_the_wrong_line_is_named(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_atomic(write(tmp_path, *lines), "\t", ["item_id", "title", "price"])


@pytest.mark.parametrize("quote", ["", '"'])
def test_words_of_a_float_seq_are_numbers(workdir: Path, quote: str) -> None:
    from recbole.data import create_dataset

    folder = workdir / "dataset" / "shop"
    folder.mkdir(parents=True)
    rows = [f"u{i % 3}\ti{i}\t{i}\t{quote}{i}.5 2{quote}" for i in range(9)]
    rows[5] = f"u2\ti5\t5\t{quote}1 two{quote}"
    header = "user_id:token\titem_id:token\ttimestamp:float\tvector:float_seq"
    load = {"inter": ["user_id", "item_id", "timestamp", "vector"]}
    (folder / "shop.inter").write_text("\n".join([header, *rows]), encoding="utf-8")
    with pytest.raises(UserError, match=r"shop.inter:7: 'two' in column 'vector' is not a number"):
        create_dataset(make_config("BPR", "shop", (), {"load_col": load, "data_path": "dataset/"}))
    (folder / "shop.inter").write_text("\n".join([header, *rows[:5]]), encoding="utf-8")
    assert create_dataset(make_config("BPR", "shop", (), {"load_col": load, "data_path": "dataset/"})).inter_feat[
        "vector"
    ].iloc[1].tolist() == [1.5, 2.0]
