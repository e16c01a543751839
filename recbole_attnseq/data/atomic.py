"""Reading RecBole's atomic files through Arrow: fast, small in memory, and exact about what is wrong where.

An atomic file is delimited text whose header names and types its columns: ``user_id:token  timestamp:float``.
RecBole reads it with pandas' pure-Python parser, as strings, and fills short lines with missing values in silence.
"""

from __future__ import annotations

import codecs
import csv
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

from recbole_attnseq.errors import UserError

TYPES = ("token", "token_seq", "float", "float_seq")
# What pandas, and so RecBole, takes for a missing value.
MISSING = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
]  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of a header: its name and its type, one of :data:`TYPES`."""

    name: str
    type: str


def read_header(path: str, separator: str, encoding: str | None = None) -> list[Column]:
    """The columns that the first line of an atomic file declares.

    Raises:
        UserError: the file is missing or empty, or its first line is no header.
    """
    if not os.path.isfile(path):
        raise UserError(f"{path} does not exist; check the data set's folder and name.")
    if len(separator.encode()) != 1:
        raise UserError(f"{path}: field_separator is {separator!r}; it must be one ASCII character, such as a tab.")
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError:
        raise UserError(f"{path}: unknown encoding '{encoding}'; set one that Python knows, e.g. latin-1.") from None
    with open(path, encoding=encoding or "utf-8-sig", errors="replace") as file:
        line = file.readline().rstrip("\r\n")
    if not line:
        raise UserError(f"{path}:1: the file is empty; it needs a header such as user_id:token and one line a row.")
    columns = []
    for cell in line.split(separator):
        name, colon, kind = cell.rpartition(":")
        if not colon or not name:
            raise UserError(
                f"{path}:1: '{_short(cell)}' is no column header. The first line must name and type "
                "every column, "
                f"separated as field_separator says ({separator!r}), e.g. "
                f"user_id:token{separator}timestamp:float."
            )
        if kind not in TYPES:
            raise UserError(f"{path}:1: column '{name}' has type '{kind}'; choose one of {', '.join(TYPES)}.")
        columns.append(Column(name, kind))
    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}:1: column '{name}' occurs twice; rename or remove one.")
    return columns


def read_atomic(
    path: str,
    separator: str,
    wanted: Sequence[str],
    *,
    encoding: str | None = None,
    categorical: bool = False,
    times: str | None = None,
) -> pd.DataFrame:
    """Read some columns of an atomic file.

    Args:
        path: the file.
        separator: between columns, one character.
        wanted: names of the columns to read, a subset of the header's.
        encoding: of the text, UTF-8 by default.
        categorical: give token columns as codes into their distinct values rather than as strings.
        times: the column with the times of the rows, which can be nothing but numbers.

    Returns:
        Float columns as float64, all others as strings (or categoricals), in the order of the file.

    Raises:
        UserError: a line with too many or too few columns, a value that is no number, or bytes that are no text;
            named with file and line.
    """
    columns = read_header(path, separator, encoding)
    types = {
        c.name: pa.float64()
        if c.type == "float"
        else pa.dictionary(pa.int32(), pa.string())
        if categorical and c.type == "token"
        else pa.string()
        for c in columns
    }
    quoted = _is_quoted(path, separator, len(columns))
    try:
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(
                column_names=[c.name for c in columns],
                skip_rows=1,
                encoding=encoding or "utf8",
                block_size=1 << 24,
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=separator, quote_char='"' if quoted else False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types,
                include_columns=list(wanted),
                null_values=MISSING,
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise _diagnose(path, separator, columns, wanted, encoding, quoted, times, str(error)) from error
    if table.num_rows == 0:
        raise UserError(f"{path}: a header but no rows; a data set needs at least one interaction, user or item.")
    if categorical:
        table = table.unify_dictionaries()
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame


def _is_quoted(path: str, separator: str, columns: int) -> bool:
    """Whether fields that begin with a quote are quoted fields: they all end with one too, within their line.

    A title such as ``"Yes" they said`` is no quoted field; a parser that took its first quote for an opening one
    could swallow the lines that follow. Nor is one quoted whose line has all its columns when quotes are marks like
    any other, and fewer when they are not.
    """
    mark = separator.encode()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if text.find(b'\n"') < 0 and text.find(mark + b'"') < 0:
            return False
    with open(path, "rb") as lines:
        for line in lines:
            plain = line.rstrip(b"\r\n").split(mark) if b'"' in line else []
            if any(cell.startswith(b'"') for cell in plain):
                cells = _unquoted(line.decode("latin-1").rstrip("\r\n"), separator)
                if cells is None or len(cells) < len(plain) == columns:
                    return False
    return True


def _unquoted(line: str, separator: str) -> list[str] | None:
    """The cells of a line whose quotes are quotes; None where one closes nowhere, or before its cell ends."""
    before = csv.field_size_limit(len(line) + 1)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error:
        return None
    finally:
        csv.field_size_limit(before)


def _rows(path: str, separator: str, encoding: str | None, quoted: bool) -> Iterator[tuple[int, list[str] | None]]:
    """The cells of every line after the header, with its number; None where its bytes are no text."""
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            if number > 1 and raw.strip(b"\r\n"):
                try:
                    line = raw.decode(encoding or "utf-8").rstrip("\r\n")
                except UnicodeDecodeError:
                    yield number, None
                    continue
                yield number, (_unquoted(line, separator) if quoted else None) or line.split(separator)


def _diagnose(
    path: str,
    separator: str,
    columns: Sequence[Column],
    wanted: Sequence[str],
    encoding: str | None,
    quoted: bool,
    times: str | None,
    reason: str,
) -> UserError:
    """Find the first line that is wrong; only called once something is, so it may be slow."""
    floats = [i for i, c in enumerate(columns) if c.type == "float" and c.name in wanted]
    for number, cells in _rows(path, separator, encoding, quoted):
        if cells is None:
            return UserError(
                f"{path}:{number}: not valid {encoding or 'UTF-8'} text; set encoding, or convert the file."
            )
        if len(cells) != len(columns):
            return UserError(
                f"{path}:{number}: {len(cells)} columns where the header declares {len(columns)}; "
                f"mend the line ('{_short(separator.join(cells))}') or the field_separator ({separator!r})."
            )
        for i in floats:
            if cells[i] not in MISSING and not _is_number(cells[i]):
                name = columns[i].name
                # Tokens have no order: times that are declared as such would be sorted by first appearance.
                otherwise = "" if name == times else f", or declare the column {name}:token"
                return UserError(
                    f"{path}:{number}: '{_short(cells[i])}' in column '{name}' is not a number; "
                    f"mend the value{otherwise}."
                )
    return UserError(f"{path}: cannot be read ({reason}).")


def wrong_sequence(
    path: str, separator: str, column: str, seq_separator: str, encoding: str | None = None
) -> UserError | None:
    """Find the first word of a ``float_seq`` column that is no number; None where there is none."""
    names = [each.name for each in read_header(path, separator, encoding)]
    place = names.index(column)
    for number, cells in _rows(path, separator, encoding, _is_quoted(path, separator, len(names))):
        for word in cells[place].split(seq_separator) if cells and cells[place] not in MISSING else ():
            if word and not _is_number(word):
                return UserError(
                    f"{path}:{number}: '{_short(word)}' in column '{column}' is not a number; mend the value, or "
                    f"declare the column {column}:token_seq."
                )
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
