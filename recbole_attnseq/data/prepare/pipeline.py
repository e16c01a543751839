"""The preparation of one data set: read, judge, sort, filter, write, record."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from recbole_attnseq.data.prepare.archive import Member, Raw, sha256
from recbole_attnseq.data.prepare.atomic import new_folder
from recbole_attnseq.data.prepare.collect import Collected, Collector, Options, raw_columns
from recbole_attnseq.data.prepare.filters import (
    Mask,
    consecutive_repeats,
    duplicates,
    k_core,
    session_starts,
)
from recbole_attnseq.data.prepare.output import write_inter, write_side
from recbole_attnseq.data.prepare.readers import read
from recbole_attnseq.data.prepare.report import Report, Summary
from recbole_attnseq.data.prepare.source import Batch, Interactions, Source, Table
from recbole_attnseq.data.prepare.spool import Columns, Spool, by_user
from recbole_attnseq.errors import UserError

DUPLICATE = "repeated in user, item, time and behaviour"
REPEAT = "consecutive repeats of an item"
Feed = Callable[[Collector], None]


@dataclass
class Prepared:
    """What a preparation made: the folder, the figures and the drops."""

    folder: Path
    summary: Summary
    report: Report
    record: dict[str, Any]


def prepare(
    source: Source,
    raw: Raw,
    out: Path,
    options: Options | None = None,
    *,
    force: bool = False,
    progress: bool = False,
) -> Prepared:
    """Makes RecBole's atomic files of an owner's download.

    Args:
        source: the declaration of the data set.
        raw: the download.
        out: the folder to make; its name becomes the files' stem.
        options: filters.
        force: replace an existing folder.
        progress: show a progress bar on standard error.

    Raises:
        UserError: bad input, an existing folder, a full disk; nothing partial is left.
    """
    options = options or Options()

    def feed(collector: Collector) -> None:
        forms = source.interactions
        if source.alternatives:
            forms = tuple(form for form in forms if raw.find(form.table.files))[:1]
            if not forms:
                raise _lacks(source, raw, *(one.table for one in source.interactions))
        for form in forms:
            _feed(collector, form, raw, source, progress)

    return run(source, feed, out, options, raw=raw, force=force)


def run(
    source: Source,
    feed: Feed,
    out: Path,
    options: Options,
    *,
    raw: Raw | None = None,
    report: Report | None = None,
    force: bool = False,
) -> Prepared:
    """As :func:`prepare`, for interactions that ``feed`` hands to the collector."""
    options.check()
    report = report if report is not None else Report()
    with new_folder(out, force, raw.path if raw is not None else None) as (fresh, scratch):
        collector = Collector(source, options, report, scratch)
        for note in source.notes:
            report.note(note)
        feed(collector)
        data = collector.finish()
        columns, spool = _sort(data, source, options, report, scratch)
        try:
            keep = _core(columns, data, options, report)
            if not keep.any():
                raise UserError(
                    f"{source.name}: no interaction is left of {report.rows:,} rows; dropped: {report.reasons()}."
                )
            files: dict[str, str] = {}
            summary, kept_users, kept_items = write_inter(columns, keep, data, options, fresh, out.name, files)
        finally:
            spool.remove()
        if raw is not None:
            write_side(source, raw, data, kept_users, kept_items, fresh, out.name, report, files)
        record = _record(source, raw, options, summary, report, files, out.name)
        (fresh / f"{out.name}.meta.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return Prepared(out, summary, report, record)


def _feed(collector: Collector, form: Interactions, raw: Raw, source: Source, progress: bool) -> None:
    report = collector.report
    if form.batches is not None:
        _take(collector, form.batches(raw, report), form, str(raw.path))
        return
    members = raw.find(form.table.files, form.table.first)
    if not members:
        if form.table.optional:
            report.note(f"no {' or '.join(form.table.files)} in the download")
            return
        raise _lacks(source, raw, form.table)
    for member in members:
        with _bar(member, progress) as tick:
            batches = read(form.table, member, raw_columns(form), report, tick)
            _take(collector, batches, form, member.label)


def _lacks(source: Source, raw: Raw, *tables: Table) -> UserError:
    patterns = " or ".join(pattern for table in tables for pattern in table.files)
    return UserError(f"{raw.path}: no archive of '{source.name}': it lacks {patterns}; it holds {raw.describe()}.")


def _take(collector: Collector, batches: Iterable[Batch], form: Interactions, label: str) -> None:
    row = 0
    for batch in batches:
        raw_rows = len(next(iter(batch.values()))) if batch else 0
        if form.table.compute is not None and batch:
            batch = form.table.compute(batch)
            # A row may hold several interactions: the table of drops counts interactions.
            collector.report.rows += len(next(iter(batch.values()))) - raw_rows
        _check_columns(batch, form, label)
        collector.take(batch, form, label, row)
        row += raw_rows


def _check_columns(batch: Batch, form: Interactions, label: str) -> None:
    needed = [form.user, form.item, *([form.time] if form.time else [])]
    lacking = [name for name in needed if name not in batch]
    if lacking:
        found = ", ".join(sorted(batch)) or "none of those asked for"
        raise UserError(
            f"{label}: has no column '{lacking[0]}' (of the columns to read it has: {found}); wrong "
            "file, or name its columns."
        )


@contextlib.contextmanager
def _bar(member: Member, progress: bool) -> Iterator[Callable[[int], object] | None]:
    if not progress:
        yield None
        return
    with tqdm(total=member.size or None, unit="B", unit_scale=True, desc=member.name[-40:]) as bar:
        yield bar.update


def _sort(data: Collected, source: Source, options: Options, report: Report, scratch: Path) -> tuple[Columns, Spool]:
    """Rows by (user, time, source order), duplicates and repeats dropped, sessions numbered."""
    drop_duplicates = source.duplicates if options.drop_duplicates is None else options.drop_duplicates
    dtypes = {name: column.dtype for name, column in data.columns.items()}
    if options.session_gap is not None:
        dtypes["session_id"] = np.dtype(np.int64)
    spool = Spool(scratch, dtypes)
    sessions = 0
    for part in by_user(data.columns, len(data.users), scratch):
        if options.session_gap is not None:
            start = session_starts(part["user"], part["time"], options.session_gap)
            part["session_id"] = np.cumsum(start) + sessions
            sessions += int(start.sum())
        if drop_duplicates:
            part = _drop(
                part,
                duplicates(part["user"], part["item"], part["time"], part.get("behaviour")),
                DUPLICATE,
                report,
            )
        if options.drop_repeats:
            part = _drop(part, consecutive_repeats(part["user"], part["item"]), REPEAT, report)
        spool.append(part)
    return spool.finish(), spool


def _drop(part: Columns, bad: Mask, reason: str, report: Report) -> Columns:
    report.drop(reason, int(bad.sum()))
    return {name: column[~bad] for name, column in part.items()} if bad.any() else part


def _core(columns: Columns, data: Collected, options: Options, report: Report) -> Mask:
    if options.user_min <= 1 and options.item_min <= 1:
        return np.ones(len(columns["user"]), bool)
    keep = k_core(
        columns["user"], columns["item"], len(data.users), len(data.items), options.user_min, options.item_min
    )
    reason = f"outside the core ({options.user_min} a user, {options.item_min} an item)"
    report.drop(reason, int(len(keep) - keep.sum()))
    return keep


def _record(
    source: Source,
    raw: Raw | None,
    options: Options,
    summary: Summary,
    report: Report,
    files: dict[str, str],
    stem: str,
) -> dict[str, Any]:
    kept = options.behaviours or source.behaviours
    used = options.drop_duplicates if options.drop_duplicates is not None else source.duplicates
    return {
        "name": stem,
        "source": source.name,
        "title": source.title,
        "page": source.page,
        "licence": source.licence,
        "citation": source.citation,
        "archive": {} if raw is None else {path.name: sha256(path) for path in raw.files()},
        "options": {**dataclasses.asdict(options), "behaviours": list(kept), "drop_duplicates": used},
        "counts": summary.as_dict(),
        "rows_read": report.rows,
        "dropped": report.dropped,
        "notes": report.notes,
        "files": files,
        "hash": files[f"{stem}.inter"],
    }
