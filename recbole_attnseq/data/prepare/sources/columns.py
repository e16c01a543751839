"""Small transformations of raw columns that several declarations share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_attnseq.data.prepare.source import Batch
from recbole_attnseq.data.prepare.times import numbers, seconds
from recbole_attnseq.data.prepare.vocabulary import as_text


def text_map(column: str, change: Callable[[str], str | None], target: str = "") -> Callable[[Batch], Batch]:
    """A ``compute`` that rewrites one text column, value by distinct value.

    Args:
        column: the raw column; where it is absent the batch stays as it is.
        change: the new value, or ``None`` for missing.
        target: name of the new column; replaces ``column`` where empty.
    """

    def compute(batch: Batch) -> Batch:
        if column not in batch:
            return batch
        return {**batch, target or column: mapped(batch[column], change)}

    return compute


def mapped(column: pa.Array, change: Callable[[str], str | None]) -> pa.Array:
    """The column with ``change`` applied to each value that is not missing."""
    coded = pc.dictionary_encode(as_text(column))
    return pa.array([change(v) for v in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)


def chained(*steps: Callable[[Batch], Batch]) -> Callable[[Batch], Batch]:
    """One ``compute`` after another."""

    def compute(batch: Batch) -> Batch:
        for step in steps:
            batch = step(batch)
        return batch

    return compute


def first_of(target: str, *columns: str) -> Callable[[Batch], Batch]:
    """A ``compute`` that takes, row by row, the first of ``columns`` that holds text."""

    def compute(batch: Batch) -> Batch:
        rows = len(next(iter(batch.values()))) if batch else 0
        result = pa.nulls(rows, pa.string())
        for column in columns:
            if column in batch:
                text = as_text(batch[column])
                text = pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), pa.scalar(None, pa.string()), text)
                result = pc.coalesce(result, text)
        return {**batch, target: result}

    return compute


def date_plus(target: str, date: str, unit: str, offset: str, per_second: float) -> Callable[[Batch], Batch]:
    """A ``compute`` that adds an offset to a date, giving seconds.

    Args:
        target: name of the new column.
        date, unit: column of the date, and its notation.
        offset: column of the time since then.
        per_second: how many units of ``offset`` a second has.
    """

    def compute(batch: Batch) -> Batch:
        if date not in batch or offset not in batch:
            return batch
        day, _ = seconds(batch[date], unit)
        when = day + numbers(batch[offset]) / per_second
        return {**batch, target: pa.array(when, pa.float64(), mask=np.isnan(when))}

    return compute


def explode(lists: tuple[str, ...], keep: tuple[str, ...]) -> Callable[[Batch], Batch]:
    """A ``compute`` that makes one row of each list element.

    Args:
        lists: columns of lists that run in parallel; absent ones are left out. Where a row's are not equally long,
            they cannot be aligned: its first stays, the others are missing.
        keep: plain columns to repeat for each element.
    """

    def compute(batch: Batch) -> Batch:
        present = [name for name in lists if name in batch]
        if not present:
            return batch
        parents = pc.list_parent_indices(batch[present[0]])
        lengths = [pc.fill_null(pc.list_value_length(batch[name]), 0).to_numpy(False) for name in present]
        aligned = np.logical_and.reduce([length == lengths[0] for length in lengths])
        inside = aligned[parents.to_numpy(False)]
        place = pa.array(np.cumsum(inside) - 1, pa.int64(), mask=~inside)
        result = {present[0]: pc.list_flatten(batch[present[0]])}
        for name in present[1:]:
            result[name] = pc.list_flatten(batch[name].filter(pa.array(aligned))).take(place)
        return {**result, **{name: batch[name].take(parents) for name in keep if name in batch}}

    return compute
