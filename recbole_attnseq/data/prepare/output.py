"""The files of a prepared data set: ``.inter`` with its figures, ``.item``, ``.user`` and others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recbole_attnseq.data.prepare import side as side_tables
from recbole_attnseq.data.prepare.archive import Raw, sha256
from recbole_attnseq.data.prepare.atomic import AtomicFile, floats, tokens, write_table
from recbole_attnseq.data.prepare.collect import Collected, Options
from recbole_attnseq.data.prepare.filters import Mask, met_before
from recbole_attnseq.data.prepare.report import Report, Summary
from recbole_attnseq.data.prepare.source import Source
from recbole_attnseq.data.prepare.spool import Columns, chunks, user_chunks
from recbole_attnseq.data.prepare.vocabulary import Vocabulary


def write_inter(
    columns: Columns,
    keep: Mask,
    data: Collected,
    options: Options,
    folder: Path,
    stem: str,
    files: dict[str, str],
) -> tuple[Summary, Mask, Mask]:
    """Writes the interactions, a piece of whole users at a time.

    Args:
        columns: rows by (user, time, source order).
        keep: the rows to write.
        data: the vocabularies and fields.
        options: whether sessions were numbered.
        folder, stem: where to write.
        files: the file's checksum is added here.

    Returns:
        the figures, and whether each user and each item occurs in what was written.
    """
    present = {name: kind for name, kind in data.specs.items() if _present(columns[name], kind)}
    specs = ["user_id:token", "item_id:token", "timestamp:float", *(f"{n}:{k}" for n, k in present.items())]
    names = {name: pa.array(data.vocabularies[name].names, pa.string()) for name in present if present[name] != "float"}
    users, items = pa.array(data.users.names, pa.string()), pa.array(data.items.names, pa.string())
    if options.session_gap is not None:
        specs.append("session_id:token")
    kept_users, kept_items = np.zeros(len(users), bool), np.zeros(len(items), bool)
    ties = repeats = 0
    first, last = np.inf, -np.inf
    lengths = np.zeros(len(users), np.int64)
    with AtomicFile(folder / f"{stem}.inter", specs) as file:
        for chunk in user_chunks(columns["user"]):
            mask = keep[chunk]
            part = {name: column[chunk][mask] for name, column in columns.items()}
            user, item, when = part["user"], part["item"], part["time"]
            if not len(user):
                continue
            kept_users[user], kept_items[item] = True, True
            lengths += np.bincount(user, minlength=len(users))
            ties += int(((user[1:] == user[:-1]) & (when[1:] == when[:-1])).sum())
            repeats += met_before(user, item)
            first, last = min(first, float(when.min())), max(last, float(when.max()))
            texts = [tokens(users, user), tokens(items, item), floats(when, data.whole["time"])]
            for name, kind in present.items():
                texts.append(
                    floats(part[name], data.whole[name]) if kind == "float" else tokens(names[name], part[name])
                )
            if options.session_gap is not None:
                texts.append(pa.array(part["session_id"]).cast(pa.string()))
            file.rows(texts)
    files[f"{stem}.inter"] = file.sha256
    lengths = lengths[lengths > 0]
    summary = Summary(
        users=int(kept_users.sum()),
        items=int(kept_items.sum()),
        interactions=int(lengths.sum()),
        first_time=first,
        last_time=last,
        ordinal=data.ordinal,
        ties=ties,
        repeats=repeats,
        shortest=int(lengths.min()),
        median=float(np.median(lengths)),
        longest=int(lengths.max()),
    )
    return summary, kept_users, kept_items


def _present(column: Any, kind: str) -> bool:
    """Whether a field has any value: one that a variant of the source lacks is not written."""
    for part in chunks(len(column)):
        values = column[part]
        if (~np.isnan(values)).any() if kind == "float" else (values >= 0).any():
            return True
    return False


def write_side(
    source: Source,
    raw: Raw,
    data: Collected,
    kept_users: Mask,
    kept_items: Mask,
    folder: Path,
    stem: str,
    report: Report,
    files: dict[str, str],
) -> None:
    """Writes ``.item`` and ``.user`` where the source has any field of them, and the source's further files.

    Args:
        source, raw: the declaration and the download.
        data: the vocabularies.
        kept_users, kept_items: whether each id occurs in the interactions.
        folder, stem: where to write.
        report: for notes.
        files: checksums are added here.

    Raises:
        UserError: a side table that must be there is not.
    """
    for kind, vocabulary, kept in (("item", data.items, kept_items), ("user", data.users, kept_users)):
        rows: dict[int, dict[str, str]] = {}
        specs: dict[str, str] = {}
        for table in (one for one in source.side if one.kind == kind):
            if side_tables.collect(raw, table, vocabulary, kept, rows, report):
                specs.update({one.name: one.spec for one in table.fields})
        specs = {name: spec for name, spec in specs.items() if any(row.get(name) for row in rows.values())}
        if not specs:
            continue
        # Every id gets a row, an empty one if need be: RecBole drops interactions whose item the file lacks.
        table_rows = {
            vocabulary.names[code]: [rows.get(code, {}).get(name, "") for name in specs]
            for code in np.flatnonzero(kept).tolist()
        }
        name = f"{stem}.{kind}"
        files[name] = write_table(folder / name, [f"{kind}_id:token", *specs.values()], table_rows)
        lacking = int(kept.sum()) - len(rows)
        if lacking:
            report.note(f"{lacking:,} {kind}s have no fields in the {kind} file")
    if source.extra is not None:
        names = _names(data.items, kept_items)
        for name in source.extra(raw, names, folder, stem):
            files[name] = sha256(folder / name)


def _names(vocabulary: Vocabulary, kept: Mask) -> set[str]:
    return {vocabulary.names[code] for code in np.flatnonzero(kept)}
