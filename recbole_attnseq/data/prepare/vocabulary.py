"""Text to integer codes, in order of first appearance, and the rules for what an atomic file can hold."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MISSING = -1
UNWRITABLE = -2

# What pandas, and with it RecBole, reads back as a missing value: as an id it would vanish without a word.
NULLS = frozenset(
    (
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
        *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    )
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FLOAT_ID = re.compile(r"(-?\d+)\.0*")


def as_text(column: Any) -> pa.Array:
    """A column of any type as strings; integers stored as floats lose their ``.0``."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return pa.array([None if v is None else v.decode("utf-8", "backslashreplace") for v in column.to_pylist()])
    if pa.types.is_nested(column.type):
        # As JSON, which the fields of lists read.
        return pa.array([None if v is None else json.dumps(v, default=str) for v in column.to_pylist()], pa.string())
    if pa.types.is_floating(column.type):
        # Arrow prints 1e20 for a large id; Python's integer does not.
        return pa.array([_number(v) for v in column.to_pylist()], pa.string())
    return pc.cast(column, pa.string())


def _number(value: float | None) -> str | None:
    if value is None or value != value:
        return None
    return str(int(value)) if value.is_integer() else repr(value)


def clean(text: str) -> str:
    """A value that an atomic file can hold: no tab, no line break, no quote at its start.

    RecBole reads its files with Python's csv reader, for which a quote that opens a field encloses it.
    """
    text = " ".join(text.split()) if not text.isalnum() else text
    text = _CONTROL.sub(" ", text).strip()
    return "'" + text[1:] if text.startswith('"') else text


class Vocabulary:
    """Ids, or values of one field, and their codes.

    Args:
        ids: whether the values are ids: what cannot be written is then refused (:data:`UNWRITABLE`) rather
            than cleaned, because cleaning could make one id of two.
        float_ids: ``12.0`` means ``12``.
    """

    def __init__(self, ids: bool = True, float_ids: bool = False) -> None:
        self.names: list[str] = []
        self._ids = ids
        self._float_ids = float_ids
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def code(self, text: str) -> int:
        """The code of one value; a new one where the value is new."""
        code = self._codes.get(text)
        if code is None:
            code = self._add(text)
            self._codes[text] = code
        return code

    def find(self, text: str | None) -> int:
        """The code of an id, or :data:`MISSING` where it is unknown; adds nothing."""
        if text is None:
            return MISSING
        code = self._codes.get(text)
        return self._codes.get(self._normal(text), MISSING) if code is None else code

    def encode(self, column: Any) -> npt.NDArray[np.int32]:
        """Codes of a column; :data:`MISSING` and :data:`UNWRITABLE` are negative."""
        coded = pc.dictionary_encode(as_text(column))
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.combine_chunks()
        lookup = np.fromiter(
            (self.code(text) for text in coded.dictionary.to_pylist()), np.int32, len(coded.dictionary)
        )
        indices = coded.indices
        if not indices.null_count:
            return lookup[indices.to_numpy()] if len(lookup) else np.empty(0, np.int32)
        lookup = np.append(lookup, np.int32(MISSING)).astype(np.int32)
        result: npt.NDArray[np.int32] = lookup[pc.fill_null(indices, len(lookup) - 1).to_numpy()]
        return result

    def _normal(self, text: str) -> str:
        text = text.strip()
        if self._float_ids and (match := _FLOAT_ID.fullmatch(text)):
            text = match.group(1)
        return text if self._ids else clean(text)

    def _add(self, text: str) -> int:
        normal = self._normal(text)
        if normal in NULLS:
            return MISSING
        # "[PAD]" is RecBole's own id for padding.
        if self._ids and (_CONTROL.search(normal) or normal[0] == '"' or normal == "[PAD]"):
            return UNWRITABLE
        known = self._codes.get(normal)
        if known is not None:
            return known
        self._codes[normal] = len(self.names)
        self.names.append(normal)
        return self._codes[normal]
