"""``attnseq prepare``: an owner's download, or any table, into atomic files."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from recbole_attnseq.data.prepare.archive import Raw
from recbole_attnseq.data.prepare.catalogue import SOURCES
from recbole_attnseq.data.prepare.collect import Options
from recbole_attnseq.data.prepare.download import fetch
from recbole_attnseq.data.prepare.generic import NAME as GENERIC
from recbole_attnseq.data.prepare.generic import SEQUENCE_COLUMNS, SEQUENCES, prepare_files
from recbole_attnseq.data.prepare.pipeline import Prepared, prepare
from recbole_attnseq.data.prepare.report import run_command, table
from recbole_attnseq.data.prepare.source import RECBOLES_OWN, Interactions, Side, Source, Table
from recbole_attnseq.errors import UserError, unknown_name

RAW_FOLDER = Path("datasets/raw")
_COLUMNS = ("user", "item", "time", "rating", "behaviour", "session")
_GENERIC_ONLY = (*_COLUMNS, "time_unit", "field", "files", "format", "separator", "columns", "no_quotes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``attnseq prepare``."""
    parser.add_argument("name", metavar="NAME", help=f"a data set of `attnseq datasets`, or '{GENERIC}' for any table")
    parser.add_argument("--raw", type=Path, help="the owner's archive, file or folder, as it came")
    parser.add_argument("--download", action="store_true", help="fetch it from the owner where they allow it")
    parser.add_argument("--out", type=Path, help="folder to make (default: datasets/NAME)")
    parser.add_argument("--recbole", action="store_true", help="write to RecBole's own path, dataset/NAME")
    parser.add_argument("--force", action="store_true", help="replace an existing folder")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--encoding", help="of text files, where it is not the owner's usual one")
    filters = parser.add_argument_group("filters")
    filters.add_argument(
        "--k-core", type=int, metavar="K", help="users and items with K interactions, to a fixed point"
    )
    filters.add_argument("--min-user", type=int, metavar="K", help="the core's bound for users alone")
    filters.add_argument("--min-item", type=int, metavar="K", help="the core's bound for items alone")
    filters.add_argument("--min-rating", type=float, metavar="R", help="drop what is rated lower, or not rated")
    filters.add_argument("--keep-behaviour", metavar="A,B", help="behaviours to keep; 'all' for every one")
    filters.add_argument("--drop-repeats", action="store_true", help="of consecutive repeats keep the first")
    filters.add_argument("--duplicates", choices=("keep", "drop"), help="rows alike in user, item, time and behaviour")
    filters.add_argument("--session-gap", type=float, metavar="SECONDS", help="silence that begins a new session_id")
    generic = parser.add_argument_group(f"columns of '{GENERIC}'")
    for name in _COLUMNS:
        generic.add_argument(f"--{name}", metavar="COLUMN", help=f"column of the {name}")
    generic.add_argument(
        "--time-unit", metavar="UNIT", help="s, ms, us, ns, iso, ordinal or a date format (default: s)"
    )
    generic.add_argument("--field", action="append", metavar="NAME:TYPE[=COLUMN]", help="a further field of .inter")
    generic.add_argument("--files", metavar="PATTERN", action="append", help="members of an archive to read")
    generic.add_argument(
        "--format",
        help=f"delimited, jsonl, parquet or xlsx (default: from the name), {SEQUENCES}: lines of a user and items",
    )
    generic.add_argument("--separator", help="between columns (default: from the name)")
    generic.add_argument("--columns", metavar="A,B,C", help="names, where the file has no header line")
    generic.add_argument("--no-quotes", action="store_true", help="a double quote is a character like any other")


def run(args: argparse.Namespace) -> None:
    """Prepares a data set and prints its table; the record stands in ``NAME.meta.json``.

    Raises:
        UserError: an unknown name or option, bad input, an existing folder.
    """
    prepared = carry_out(args)
    print(table(str(prepared.folder), prepared.summary, prepared.report))
    print(f"\nRun it with: {run_command(prepared.folder)}")


def carry_out(args: argparse.Namespace) -> Prepared:
    """What :func:`run` prints."""
    options = _options(args)
    out = _out(args)
    progress = not args.quiet and sys.stderr.isatty()
    if args.name == GENERIC:
        return _generic(args, out, options, progress)
    if args.name not in SOURCES:
        raise unknown_name("data set", args.name, [*SOURCES, GENERIC])
    given = [name for name in _GENERIC_ONLY if getattr(args, name)]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise UserError(
            f"{option}: the columns of '{args.name}' are known; use `attnseq prepare {GENERIC}` to name them."
        )
    source = _encoded(SOURCES[args.name], args.encoding)
    return prepare(source, Raw(_raw(args, source, progress)), out, options, force=args.force, progress=progress)


def _options(args: argparse.Namespace) -> Options:
    core = args.k_core or 0
    return Options(
        min_rating=args.min_rating,
        behaviours=_words(args.keep_behaviour),
        drop_duplicates=None if args.duplicates is None else args.duplicates == "drop",
        drop_repeats=args.drop_repeats,
        session_gap=args.session_gap,
        user_min=core if args.min_user is None else args.min_user,
        item_min=core if args.min_item is None else args.min_item,
    )


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip()) if text else ()


def _out(args: argparse.Namespace) -> Path:
    if args.recbole and args.out:
        raise UserError("--recbole and --out name two places; give one of them.")
    if args.name == GENERIC and not args.out:
        raise UserError(f"--out: '{GENERIC}' needs the folder to make, e.g. --out datasets/my-shop.")
    root = Path("dataset" if args.recbole else "datasets")
    # A relative path ends in a name; "." has none, and the name is the stem of the files.
    out = Path(args.out) if args.out else root / args.name
    if not out.name or any(character.isspace() for character in out.name):
        raise UserError(f"--out {out}: give a folder whose name can name the data set, without blanks.")
    if args.name == GENERIC and out.name == RECBOLES_OWN:
        raise UserError(f"--out {out}: RecBole reads its own {out.name} wherever yours lies; give another name.")
    return out


def _raw(args: argparse.Namespace, source: Source, progress: bool) -> Path:
    if args.download:
        if not source.download:
            raise UserError(
                f"'{source.name}' cannot be downloaded without asking its owner; get {source.get} "
                f"from {source.page} "
                f"and give it with --raw."
            )
        folder = args.raw or RAW_FOLDER / source.name
        for one in source.download:
            fetch(one, Path(folder), progress=progress)
        return Path(folder)
    if args.raw is None:
        hint = ", or --download" if source.download else ""
        raise UserError(f"--raw: give the path of {source.get} from {source.page}{hint}.")
    return Path(args.raw)


def _encoded(source: Source, encoding: str | None) -> Source:
    if not encoding:
        return source

    def table_with(form: Table) -> Table:
        return dataclasses.replace(form, encoding=encoding)

    def inter(form: Interactions) -> Interactions:
        return dataclasses.replace(form, table=table_with(form.table))

    def side(form: Side) -> Side:
        return dataclasses.replace(form, table=table_with(form.table))

    return dataclasses.replace(
        source, interactions=tuple(map(inter, source.interactions)), side=tuple(map(side, source.side))
    )


def _generic(args: argparse.Namespace, out: Path, options: Options, progress: bool) -> Prepared:
    if args.download:
        raise UserError(f"--download: '{GENERIC}' has no address; give the file with --raw.")
    if args.format == SEQUENCES:  # its columns need not be named
        args.user, args.item = args.user or SEQUENCE_COLUMNS[0], args.item or SEQUENCE_COLUMNS[1]
    for name in ("raw", "user", "item"):
        if getattr(args, name) is None:
            raise UserError(f"--{name} is missing: `attnseq prepare {GENERIC} --raw FILE --user COLUMN --item COLUMN`.")
    return prepare_files(
        Raw(args.raw),
        out,
        user=args.user,
        item=args.item,
        time=args.time,
        time_unit=args.time_unit or "s",
        rating=args.rating,
        behaviour=args.behaviour,
        session=args.session,
        fields=tuple(args.field or ()),
        files=tuple(args.files or ()),
        format=args.format,
        separator=args.separator,
        columns=_words(args.columns) or None,
        quoted=not args.no_quotes,
        encoding=args.encoding or "utf-8",
        options=options,
        force=args.force,
        progress=progress,
    )


def read_record(folder: Path) -> dict[str, object]:
    """The record of a prepared data set.

    Raises:
        UserError: ``folder`` holds none.
    """
    path = folder / f"{folder.name}.meta.json"
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no readable record; prepare the data set with `attnseq prepare`.") from error
    return dict(record)
