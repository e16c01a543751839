"""Times of any notation to exact seconds since 1970 (UTC), as float64.

A float64 holds today's seconds to a quarter of a microsecond, so milliseconds and microseconds stay distinct.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recbole_attnseq.data.prepare.vocabulary import NULLS, as_text
from recbole_attnseq.errors import UserError

PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "ordinal": 1.0}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def check_unit(unit: str) -> None:
    """Raises :class:`UserError` where ``unit`` is no unit, ``iso`` or format of dates."""
    if unit not in PER_SECOND and unit != "iso" and "%" not in unit:
        known = ", ".join([*PER_SECOND, "iso"])
        raise UserError(
            f"unknown time unit '{unit}'; give one of {known} or a date format such as '%Y-%m-%d %H:%M:%S'."
        )
    if "%" in unit:
        try:
            pd.to_datetime(pd.Series(["2000"], dtype=object), format=unit, errors="coerce")
        except ValueError as error:
            raise UserError(f"time unit '{unit}' is no date format ({error}); e.g. '%Y-%m-%d %H:%M:%S'.") from error


def seconds(column: Any, unit: str) -> tuple[Floats, Mask]:
    """Times of a column.

    Args:
        column: numbers, text or Arrow timestamps.
        unit: ``s``, ``ms``, ``us``, ``ns``, ``ordinal``, ``iso`` or a ``strptime`` format.

    Returns:
        seconds (NaN where there is no valid time), and whether each value was missing (rather than wrong).
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        return _ticks(pc.cast(column, pa.int64()), PER_SECOND[column.type.unit])
    if unit in ("ms", "us", "ns"):
        try:
            return _ticks(pc.cast(column, pa.int64()), PER_SECOND[unit])
        except pa.ArrowInvalid:
            # Some value is empty, or no integer: the general way below looks at each.
            pass
    if unit in PER_SECOND:
        values, missing = _numbers(column)
        return values / PER_SECOND[unit], missing
    return _dates(as_text(column), unit)


def _ticks(ticks: pa.Array, per_second: float) -> tuple[Floats, Mask]:
    """Integer ticks as seconds. Whole seconds and the rest apart: nanoseconds exceed what a float64 holds."""
    missing = np.asarray(ticks.is_null().to_numpy(zero_copy_only=False), bool)
    whole, rest = np.divmod(pc.fill_null(ticks, 0).to_numpy(zero_copy_only=False), int(per_second))
    return np.where(missing, np.nan, whole + rest / per_second), missing


def numbers(column: Any) -> Floats:
    """A column as float64, NaN where it holds no finite number."""
    return _numbers(column)[0]


def _numbers(column: Any) -> tuple[Floats, Mask]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type):
        missing = np.asarray(column.is_null().to_numpy(zero_copy_only=False), bool)
        values = np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
        return np.where(np.isfinite(values), values, np.nan), missing | np.isnan(values)
    text = as_text(column)
    # Empty values are common; turned to nulls they do not spoil the fast path.
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    missing = np.asarray(text.is_null().to_numpy(zero_copy_only=False), bool)
    try:
        values = np.asarray(pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowInvalid:
        words = [None if word is None else word.strip() for word in text.to_pylist()]
        values = np.array([float(w) if w and _NUMBER.fullmatch(w) else np.nan for w in words], np.float64)
        missing = np.array([w is None or w in NULLS for w in words], bool)
    return np.where(np.isfinite(values), values, np.nan), missing


def _dates(text: pa.Array, unit: str) -> tuple[Floats, Mask]:
    coded = pc.dictionary_encode(text)
    words = coded.dictionary.to_pylist()
    stripped = pd.Series([word.strip() for word in words], dtype=object)
    parsed = pd.to_datetime(stripped, format="ISO8601" if unit == "iso" else unit, utc=True, errors="coerce")
    ticks = parsed.dt.tz_localize(None).to_numpy("datetime64[us]")
    whole, rest = np.divmod(ticks.astype(np.int64), 1_000_000)
    table = np.append(np.where(np.isnat(ticks), np.nan, whole + rest / 1e6), np.nan)
    null = np.append(np.array([word.strip() in NULLS for word in words], bool), True)
    indices = pc.fill_null(coded.indices, len(words)).to_numpy(zero_copy_only=False)
    return table[indices], null[indices]
