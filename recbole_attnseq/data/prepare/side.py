"""Side information: `.item` and `.user` files for the ids that the interactions kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from recbole_attnseq.data.prepare.archive import Member, Raw
from recbole_attnseq.data.prepare.collect import wanted
from recbole_attnseq.data.prepare.readers import read
from recbole_attnseq.data.prepare.report import Report
from recbole_attnseq.data.prepare.source import Field, Side
from recbole_attnseq.data.prepare.times import numbers
from recbole_attnseq.data.prepare.vocabulary import NULLS, Vocabulary, as_text, clean
from recbole_attnseq.errors import UserError

JSON = "json"


def value(field: Field, text: str | None) -> str:
    """The atomic value of one raw value.

    Args:
        field: its type and separator. ``split="json"`` reads a JSON list, nested or not.
        text: the raw value.
    """
    if text is None or text in NULLS:
        return ""
    if field.type.startswith("token") and not field.type.endswith("seq"):
        return clean(text)
    if field.split == JSON:
        return _first_safe(" ".join(dict.fromkeys(_element(part) for part in _flat(text))).strip())
    if field.split:
        return _first_safe(" ".join(_element(part) for part in text.split(field.split) if part.strip()))
    return clean(text)


def _element(text: str) -> str:
    # A blank separates elements in an atomic file.
    return "_".join(clean(text).split())


def _first_safe(text: str) -> str:
    return "'" + text[1:] if text.startswith('"') else text


def _flat(text: str) -> Iterable[str]:
    try:
        loaded = json.loads(text)
    except ValueError:
        return [text]
    stack, flat = [loaded], []
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack.extend(reversed(part))
        elif part is not None and not isinstance(part, dict):
            flat.append(str(part))
    return flat


def collect(
    raw: Raw,
    side: Side,
    vocabulary: Vocabulary,
    kept: npt.NDArray[np.bool_],
    rows: dict[int, dict[str, str]],
    report: Report,
) -> bool:
    """Reads one side table into ``rows``.

    Args:
        raw: the owner's download.
        side: the table.
        vocabulary: the ids.
        kept: whether each id occurs in the interactions that are written.
        rows: code to field to value; filled here.
        report: for notes.

    Returns:
        Whether the download holds the table.

    Raises:
        UserError: a table that must be there is not, or lacks its key column.
    """
    members = raw.find(side.table.files, side.table.first)
    if not members:
        if side.table.optional:
            report.note(f"no {' or '.join(side.table.files)}: no {side.kind} fields from it")
            return False
        raise UserError(f"{raw.path}: holds no {' or '.join(side.table.files)}; it holds {raw.describe()}.")
    # Side tables are counted on their own: the table of drops adds up over interactions alone.
    own = Report()
    for member in members:
        _member(side, member, vocabulary, kept, rows, own)
    if own.dropped:
        report.note(f"{side.kind} file: {own.reasons()}")
    return True


def _member(
    side: Side,
    member: Member,
    vocabulary: Vocabulary,
    kept: npt.NDArray[np.bool_],
    rows: dict[int, dict[str, str]],
    report: Report,
) -> None:
    columns = {side.key, *wanted(side.table.needs, side.fields)} | ({side.newest} if side.newest else set())
    stamps: dict[int, float] = {}
    for batch in read(side.table, member, columns, report):
        if side.table.compute is not None:
            batch = side.table.compute(batch)
        if side.key not in batch:
            raise UserError(f"{member.label}: has no column '{side.key}', which holds the {side.kind}'s id.")
        keys = [vocabulary.find(text) for text in as_text(batch[side.key]).to_pylist()]
        texts: dict[str, Callable[[int], str]] = {}
        for field in side.fields:
            texts[field.name] = _column(field, batch.get(field.raw))
        times = numbers(batch[side.newest]) if side.newest in batch else None
        for position, code in enumerate(keys):
            if code < 0 or not kept[code]:
                continue
            row = rows.setdefault(code, {})
            newer = times is not None and times[position] > stamps.get(code, -np.inf)
            if newer and times is not None:
                stamps[code] = float(times[position])
            for name, at in texts.items():
                if side.gather:
                    row[name] = _add(row.get(name, ""), at(position))
                elif newer or not row.get(name):
                    row[name] = at(position)


def _add(words: str, more: str) -> str:
    return " ".join(dict.fromkeys([*words.split(), *more.split()]))


def _column(field: Field, column: Any) -> Callable[[int], str]:
    if column is None:
        return lambda position: ""
    if field.type == "float":
        values = numbers(column)
        return lambda position: "" if np.isnan(values[position]) else f"{values[position]:.17g}"
    texts = as_text(column).to_pylist()
    return lambda position: value(field, texts[position])
