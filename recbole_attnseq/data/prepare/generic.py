"""Any table of interactions: columns named by the person, or a pandas DataFrame from Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from recbole_attnseq.data.prepare.archive import Member, Raw
from recbole_attnseq.data.prepare.collect import Collector, Options, raw_columns
from recbole_attnseq.data.prepare.pipeline import Prepared, prepare, run
from recbole_attnseq.data.prepare.readers import header
from recbole_attnseq.data.prepare.report import Report
from recbole_attnseq.data.prepare.source import Field, Interactions, Source, Table
from recbole_attnseq.data.prepare.text import TextStream
from recbole_attnseq.errors import UserError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

NAME = "generic"
_FORMATS = {
    ".csv": ("delimited", ","),
    ".tsv": ("delimited", "\t"),
    ".txt": ("delimited", "\t"),
    ".inter": ("delimited", "\t"),
    ".jsonl": ("jsonl", ","),
    ".json": ("jsonl", ","),
    ".ndjson": ("jsonl", ","),
    ".parquet": ("parquet", ","),
    ".pq": ("parquet", ","),
    ".xlsx": ("xlsx", ","),
}
_WORDS = ("comma", "semicolon", "tab", "pipe")
_MARKS = {"\\t": "\t", **dict(zip(_WORDS, ",;\t|", strict=True))}
_FRAME_ROWS = 1 << 18
SEQUENCES = "sequences"
SEQUENCE_COLUMNS = ("user", "item")
_CHOICES = ("delimited", "jsonl", "parquet", "xlsx", SEQUENCES)


def describe(
    *,
    user: str,
    item: str,
    time: str | None = None,
    time_unit: str = "s",
    rating: str | None = None,
    behaviour: str | None = None,
    session: str | None = None,
    fields: tuple[str, ...] = (),
    table: Table | None = None,
) -> Source:
    """A source whose columns a person names.

    Args:
        user, item: columns of the ids.
        time: column of the time; without one the order of the rows is the time.
        time_unit: ``s``, ``ms``, ``us``, ``ns``, ``iso``, ``ordinal`` or a ``strptime`` format.
        rating, behaviour, session: columns of these atomic fields.
        fields: further fields of ``.inter`` as ``column:type`` or ``name:type=column``.
        table: how the file is written.
    """
    specs = [Field("rating:float", rating)] if rating else []
    specs += [Field("behaviour:token", behaviour)] if behaviour else []
    specs += [Field("session_id:token", session)] if session else []
    specs += [_field(text) for text in fields]
    names = [spec.name for spec in specs] + ["user_id", "item_id", "timestamp"]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"--field: '{twice}' is given twice; name the second otherwise, e.g. other:token={twice}.")
    form = Interactions(
        table=table or Table(files=("*",)),
        user=user,
        item=item,
        time=time,
        unit=time_unit,
        fields=tuple(specs),
    )
    return Source(
        name=NAME,
        domain="e-commerce",
        title="a table of interactions",
        page="",
        licence="",
        size="",
        citation="",
        get="any CSV, TSV, JSON lines, parquet or Excel file, also inside gz, bz2, zip or tar",
        interactions=(form,),
    )


def _field(text: str) -> Field:
    spec, _, column = text.partition("=")
    name, _, kind = spec.rpartition(":")
    if not name or kind not in ("token", "token_seq", "float"):
        raise UserError(f"--field '{text}' is not NAME:TYPE or NAME:TYPE=COLUMN with TYPE token, token_seq or float.")
    return Field(spec, column)


def prepare_files(
    raw: Raw,
    out: Path,
    *,
    user: str,
    item: str,
    time: str | None = None,
    time_unit: str = "s",
    rating: str | None = None,
    behaviour: str | None = None,
    session: str | None = None,
    fields: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
    format: str | None = None,
    separator: str | None = None,
    columns: tuple[str, ...] | None = None,
    quoted: bool = True,
    encoding: str = "utf-8",
    options: Options | None = None,
    force: bool = False,
    progress: bool = False,
) -> Prepared:
    """Atomic files of the tables in ``raw``; see :func:`describe` for the columns.

    Args:
        files: patterns of the members to read; all of them where empty.
        format: ``delimited``, ``jsonl``, ``parquet``, ``xlsx``, from the name where ``None``; or ``sequences``, lines
            of a user and their items in order, whose columns are ``user`` and ``item``.
        separator: between columns; from the name where ``None``, of sequences any white space.
        columns: names where the file has no header line.
        quoted: whether ``"`` encloses values.
        encoding: of text files.

    Raises:
        UserError: as :func:`~recbole_attnseq.data.prepare.pipeline.prepare`; also for a column that the file
            lacks, with those it has.
    """
    members = raw.find(files or ("*",))
    if not members:
        raise UserError(f"{raw.path}: holds no {' or '.join(files) or 'file'}; it holds {raw.describe()}.")
    guess, mark = _guess(members[0])
    if format is not None and format not in _CHOICES:
        raise unknown_name("format", format, _CHOICES)
    if format == SEQUENCES:
        mark, columns = " ", SEQUENCE_COLUMNS
    table = Table(
        files=files or ("*",),
        format=format or guess,
        separator=_separator(separator) if separator is not None else mark,
        columns=columns,
        quoted=quoted,
        encoding=encoding,
    )
    source = describe(
        user=user,
        item=item,
        time=time,
        time_unit=time_unit,
        rating=rating,
        behaviour=behaviour,
        session=session,
        fields=fields,
        table=table,
    )
    _check_header(table, members[0], source.interactions[0])
    return prepare(source, raw, out, options, force=force, progress=progress)


def _separator(text: str) -> str:
    decoded = _MARKS.get(text, text)
    if not decoded or "\n" in decoded or "\r" in decoded or '"' in decoded or not decoded.isascii():
        raise UserError(f"--separator {text!r} cannot separate columns; give for example ',' or '\\t' or '::'.")
    return decoded


def _guess(member: Member) -> tuple[str, str]:
    suffix = Path(member.name).suffix.lower()
    return _FORMATS.get(suffix, ("delimited", ","))


def _check_header(table: Table, member: Member, form: Interactions) -> None:
    """Names a column that a text table lacks before the long read, with those it has."""
    if table.format not in ("delimited", SEQUENCES):
        return
    names, line = table.columns, ""
    if names is None:
        with member.open() as stream:
            several = table.separator if len(table.separator) > 1 else ""
            text = TextStream(stream, member.label, table.encoding, several)
            line = text.readline()
            if not line.strip():
                what = "its first line" if text.read(1) else "the file"
                raise UserError(
                    f"{member.label}: {what} is empty, where the columns' names should be; give another file, or the "
                    "names by --columns."
                )
        names = header(line, table)
    wanted = sorted(raw_columns(form))
    lacking = [name for name in wanted if name not in names]
    if lacking:
        hint = _separator_hint(line, table) if len(names) == 1 else ""
        raise UserError(f"{member.label}: {unknown_name('column', lacking[0], names[:50])}{hint}")
    _check_once(member.label, wanted, names)


def _separator_hint(line: str, table: Table) -> str:
    """What to say where a header is one column, and would be several with another separator."""
    counts = {word: len(header(line, replace(table, separator=_MARKS[word]))) for word in _WORDS}
    word = max(counts, key=lambda word: counts[word])
    return f" The line has {counts[word]} columns with --separator {word}." if counts[word] > 1 else ""


def _check_once(label: str, wanted: Iterable[str], names: Sequence[str]) -> None:
    twice = next((name for name in wanted if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{label}: there are {names.count(twice)} columns '{twice}'; rename all but the one to read.")


def prepare_frame(
    frame: pd.DataFrame,
    out: str | Path,
    *,
    user: str,
    item: str,
    time: str | None = None,
    time_unit: str = "s",
    rating: str | None = None,
    behaviour: str | None = None,
    session: str | None = None,
    fields: tuple[str, ...] = (),
    options: Options | None = None,
    force: bool = False,
) -> Prepared:
    """Atomic files of a pandas DataFrame.

    Args:
        frame: one row an interaction. Datetime columns need no ``time_unit``.
        out: the folder to make.

    The other arguments are those of :func:`describe`.

    Raises:
        UserError: a column is missing, or as :func:`~recbole_attnseq.data.prepare.pipeline.prepare`.
    """
    source = describe(
        user=user,
        item=item,
        time=time,
        time_unit=time_unit,
        rating=rating,
        behaviour=behaviour,
        session=session,
        fields=fields,
    )
    form = source.interactions[0]
    names = [str(name) for name in frame.columns]
    frame = frame.set_axis(names, axis=1)
    lacking = sorted(raw_columns(form) - set(names))
    if lacking:
        raise unknown_name("column of the DataFrame", lacking[0], names)
    _check_once("the DataFrame", sorted(raw_columns(form)), names)
    report = Report()

    def feed(collector: Collector) -> None:
        for start in range(0, len(frame), _FRAME_ROWS):
            part = frame.iloc[start : start + _FRAME_ROWS]
            batch = {name: _arrow(part[name]) for name in raw_columns(form)}
            report.rows += len(part)
            collector.take(batch, form, "DataFrame", start)

    return run(source, feed, Path(out), options or Options(), report=report, force=force)


def _arrow(column: pd.Series) -> pa.Array:
    try:
        array = pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # A column of mixed types: its text is what the ids are compared by.
        array = pa.array([None if value is None or value != value else str(value) for value in column], pa.string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
