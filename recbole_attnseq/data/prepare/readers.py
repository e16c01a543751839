"""Readers: one member of an archive in, batches of raw columns out, in constant memory.

Rows that do not parse (a wrong number of columns, a line that is no JSON) are counted in the report, never
guessed at.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from recbole_attnseq.data.prepare.archive import Member
from recbole_attnseq.data.prepare.report import Report
from recbole_attnseq.data.prepare.source import Batch, Table
from recbole_attnseq.data.prepare.streams import Tick
from recbole_attnseq.data.prepare.text import UNIT, TextStream
from recbole_attnseq.data.prepare.xlsx import read_xlsx
from recbole_attnseq.errors import UserError

MALFORMED = "malformed row"
_BLOCK_BYTES = 8 << 20
_ROWS = 1 << 17


def read(table: Table, member: Member, columns: set[str], report: Report, tick: Tick | None = None) -> Iterator[Batch]:
    """The rows of one member, as batches of raw columns.

    Args:
        table: how the file is written.
        member: the file.
        columns: raw columns to load; a column that the file lacks is simply absent from the batches.
        report: where rows read and rows malformed are counted.
        tick: progress in stored bytes.

    Raises:
        UserError: the file is damaged, not text in the declared encoding, or not of this format.
    """
    # A parquet file is read from its end, which no running count of bytes describes.
    with member.open(None if table.format == "parquet" else tick) as stream:
        if table.format == "parquet":
            yield from _parquet(stream, member, columns, report)
        elif table.format == "xlsx":
            yield from _strings(read_xlsx(stream, member.label), columns, report)
        else:
            separator = table.separator if len(table.separator) > 1 else ""
            text = TextStream(stream, member.label, table.encoding, separator)
            if table.format == "jsonl":
                yield from _strings(_json_rows(text, member.label, report), columns, report)
            elif table.format == "sequences":
                rows = _sequence_rows(text, None if table.separator == " " else table.separator, member.label, report)
                yield from _strings(rows, columns, report)
            elif table.format == "lines":
                yield from _strings(({"line": line} for line in text if line), columns, report)
            else:
                yield from _delimited(text, table, member, columns, report)


def header(text: str, table: Table) -> tuple[str, ...]:
    """The column names of a header line; raises :class:`UserError` where it is none."""
    separator = UNIT if len(table.separator) > 1 else table.separator
    if table.quoted:
        try:
            return tuple(name.strip() for name in next(csv.reader([text], delimiter=separator), []))
        except csv.Error as error:
            raise UserError(f"the first line is no header of columns ({error}): {text[:60]!r}.") from error
    return tuple(name.strip() for name in text.split(separator))


def _delimited(text: TextStream, table: Table, member: Member, columns: set[str], report: Report) -> Iterator[Batch]:
    names = table.columns if table.columns is not None else header(text.readline(), table)
    # Positions, not names, so that a header with a name twice keeps its first column.
    keys = [str(position) for position in range(len(names))]
    wanted = {name: str(names.index(name)) for name in columns if name in names}
    if not wanted:
        if names:
            yield {}
        return
    done = 0

    def malformed(row: Any) -> str:
        # A quote that never closes swallows lines: each counts, not only the first.
        lines = (row.text or "").strip("\r\n").count("\n") + 1
        report.rows += lines
        report.drop(
            MALFORMED,
            lines,
            f"{member.label}, row {done + 1} or later: {row.actual_columns} columns, not {row.expected_columns}",
        )
        return "skip"

    try:
        reader = pacsv.open_csv(
            cast(IO[bytes], text),
            read_options=pacsv.ReadOptions(column_names=keys, block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=UNIT if len(table.separator) > 1 else table.separator,
                quote_char='"' if table.quoted else False,
                newlines_in_values=table.quoted,
                invalid_row_handler=malformed,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={key: pa.string() for key in keys},
                include_columns=sorted(wanted.values()),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
        for batch in reader:
            report.rows += batch.num_rows
            done += batch.num_rows
            yield {name: batch.column(key) for name, key in wanted.items()}
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        if "Empty CSV" in reason:
            return
        raise UserError(
            f"{member.label}: cannot be read as text with separator {table.separator!r} after row {done} ({reason})."
        ) from error


def _json_rows(text: TextStream, label: str, report: Report) -> Iterator[dict[str, Any]]:
    first = True
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        if first and line.lstrip().startswith("["):
            raise UserError(f"{label}:{number}: a JSON array; write an object a line (jq -c '.[]' does it).")
        first = False
        row = _json(line)
        if isinstance(row, dict):
            yield row
        else:
            report.rows += 1
            report.drop(MALFORMED, 1, f"{label}:{number}: no JSON object")


def _sequence_rows(text: TextStream, separator: str | None, label: str, report: Report) -> Iterator[dict[str, Any]]:
    """A line is a user and what they took, in its order; ``None`` separates by any white space."""
    for number, line in enumerate(text, start=1):
        user, *items = [part.strip() for part in line.split(separator)] or [""]
        if items:
            yield from ({"user": user, "item": item} for item in items)
        elif user:
            report.rows += 1
            report.drop(MALFORMED, 1, f"{label}:{number}: a user without items")


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        pass
    try:
        # Amazon's metadata of 2014 and the Steam files are Python literals, not JSON.
        return ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _strings(rows: Iterator[dict[str, Any]], columns: set[str], report: Report) -> Iterator[Batch]:
    """Batches of text columns from rows of Python values."""
    store: dict[str, list[str | None]] = {name: [] for name in columns}
    count = 0
    for row in rows:
        for name, values in store.items():
            values.append(_text(row.get(name)))
        count += 1
        if count == _ROWS:
            report.rows += count
            yield {name: pa.array(values, pa.string()) for name, values in store.items()}
            store = {name: [] for name in columns}
            count = 0
    if count:
        report.rows += count
        yield {name: pa.array(values, pa.string()) for name, values in store.items()}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        # A lone surrogate (legal in JSON, not in UTF-8) must not merge two ids: keep it apart as its escape.
        return value if value.isascii() or _encodable(value) else value.encode("unicode_escape").decode()
    if isinstance(value, (list, dict, tuple)):
        try:
            return json.dumps(value, ensure_ascii=True, default=str)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parquet(stream: IO[bytes], member: Member, columns: set[str], report: Report) -> Iterator[Batch]:
    with tempfile.TemporaryFile() as copy:
        source: IO[bytes] = stream
        # The format is read from its end: a stream that cannot seek fast is copied to disk, not to memory.
        if not isinstance(stream, io.BufferedReader) or type(stream) is not io.BufferedReader:
            shutil.copyfileobj(stream, copy, 1 << 20)
            copy.seek(0)
            source = cast(IO[bytes], copy)
        try:
            file = pq.ParquetFile(source)
            names = [name for name in file.schema_arrow.names if name in columns]
            if not names:
                yield {}
                return
            for batch in file.iter_batches(batch_size=_ROWS, columns=names):
                report.rows += batch.num_rows
                yield {name: batch.column(index) for index, name in enumerate(batch.schema.names)}
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise UserError(f"{member.label}: not a readable parquet file ({str(error).splitlines()[0]}).") from error
