"""What stands in for two methods of RecBole's ``Dataset``: reading an atomic file, and numbering its tokens.

Both give exactly what RecBole's own give, numbers included, in a fraction of the time and memory: tokens of the
interaction file stay codes into their distinct values from the parser to the final ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from recbole.utils import FeatureSource, FeatureType

from recbole_attnseq.data.atomic import read_atomic, read_header, wrong_sequence
from recbole_attnseq.errors import UserError


def load_feat(self: Any, filepath: str, source: Any) -> pd.DataFrame | None:
    """Stands in for ``Dataset._load_feat``.

    Raises:
        UserError: the file is malformed; named with its line.
    """
    load_col, unload_col = self._get_load_and_unload_col(source)
    interactions = source == FeatureSource.INTERACTION
    if load_col == set() and not interactions:
        return None
    separator, encoding = self.config["field_separator"], self.config["encoding"]
    columns = []
    header = read_header(filepath, separator, encoding)
    for column in header:
        kind = FeatureType(column.type)
        if (load_col is not None and column.name not in load_col) or (unload_col and column.name in unload_col):
            continue
        if isinstance(source, FeatureSource) or source != "link":
            self.field2source[column.name] = source
            self.field2type[column.name] = kind
            if not column.type.endswith("seq"):
                self.field2seqlen[column.name] = 1
            if "float" in column.type:
                self.field2bucketnum[column.name] = 2
        columns.append((column.name, kind))
    if interactions:
        _check_interactions(self, filepath, [column.name for column in header], dict(columns))
    if not columns:
        self.logger.warning(f"No columns has been loaded from [{source}]")
        return None
    frame = read_atomic(
        filepath,
        separator,
        [name for name, _ in columns],
        encoding=encoding,
        categorical=interactions and self.benchmark_filename_list is None,
        times=self.time_field if interactions else None,
    )
    limits = self.config["seq_len"] or {}
    for name, kind in columns:
        if kind in (FeatureType.TOKEN_SEQ, FeatureType.FLOAT_SEQ):
            between = self.config["seq_separator"]
            try:
                values = _sequences(frame[name], between, kind == FeatureType.FLOAT_SEQ)
            except ValueError as error:
                raise wrong_sequence(filepath, separator, name, between, encoding) or error from error
            longest = max(map(len, values))
            if name in limits:
                values = [value[: limits[name]] for value in values]
                longest = min(longest, limits[name])
            frame[name] = pd.Series(values, index=frame.index, dtype=object)
            self.field2seqlen[name] = longest
    return frame


def _check_interactions(self: Any, path: str, header: Sequence[str], loaded: Mapping[str, FeatureType]) -> None:
    """Refuse a file of interactions without its users and items; one that comes split may do without users.

    Raises:
        UserError: names the columns that there are, and where there is one alone, what columns are separated by.
    """
    ids = {"USER_ID_FIELD": self.uid_field, "ITEM_ID_FIELD": self.iid_field}
    wanted = {key: name for key, name in ids.items() if name and not self.benchmark_filename_list}
    for key, name in wanted.items():
        if loaded.get(name) == FeatureType.TOKEN:
            continue
        if name in loaded:
            kind = loaded[name].value
            raise UserError(f"{path}:1: column '{name}' ({key}) is declared {kind}; declare it {name}:token.")
        if name in header:
            raise UserError(f"{path}: column '{name}' ({key}) is not loaded; list it in load_col, not in unload_col.")
        advice = f"set {key} to one of them."
        if len(header) == 1:
            advice = (
                f"field_separator is {self.config['field_separator']!r}: set it to what separates the columns of the "
                "file (by default a tab)."
            )
        raise UserError(f"{path}:1: there is no column '{name}' ({key}) but {', '.join(map(repr, header))}; {advice}")
    if not loaded:
        raise UserError(f"{path}: no column is loaded; list some of {', '.join(header)} in load_col's 'inter'.")


def _sequences(texts: pd.Series, separator: str, numbers: bool) -> list[npt.NDArray[Any]]:
    cells = texts.where(texts.notna(), "").tolist()
    words = [[word for word in cell.split(separator) if word] for cell in cells]
    if numbers:
        return [np.array([float(word) for word in row]) for row in words]
    return [np.array(row) for row in words]


def remap(self: Any, remap_list: Sequence[tuple[pd.DataFrame, str, Any]]) -> None:
    """Stands in for ``Dataset._remap``: number tokens 1, 2, ... by first appearance over the listed columns.

    Args:
        remap_list: (table, column, type) of the columns that share one numbering, in order.
    """
    if not remap_list:
        return
    numbers: dict[str, int] = {"[PAD]": 0}
    numbered = [_number(feat[field], kind, numbers) for feat, field, kind in remap_list]
    tokens = np.array(list(numbers))
    for (feat, field, kind), ids in zip(remap_list, numbered, strict=True):
        if field not in self.field2id_token:
            self.field2id_token[field] = tokens
            self.field2token_id[field] = numbers
        if kind == FeatureType.TOKEN_SEQ:
            ends = np.cumsum([len(row) for row in feat[field]])
            feat[field] = pd.Series(np.split(ids, ends[:-1]), index=feat.index, dtype=object)
        else:
            feat[field] = ids


def _number(column: pd.Series, kind: Any, numbers: dict[str, int]) -> npt.NDArray[np.int64]:
    """The ids of a column's tokens in order; new tokens join ``numbers``, missing ones are 0."""
    if kind == FeatureType.TOKEN_SEQ:
        codes, distinct = pd.factorize(np.concatenate(column.to_list()) if len(column) else np.array([], dtype=str))
    elif isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy()
        used = pd.unique(codes)  # in order of appearance; rows may have been filtered since the file was read
        used = used[used >= 0]
        place = np.full(len(column.cat.categories), -1, dtype=np.int64)
        place[used] = np.arange(len(used))
        codes = np.where(codes >= 0, place[codes], -1)
        distinct = column.cat.categories.to_numpy()[used]
    else:
        codes, distinct = pd.factorize(column.to_numpy())
    ids = np.zeros(len(distinct) + 1, dtype=np.int64)  # one more, at -1, for the missing
    for position, token in enumerate(distinct):
        ids[position] = numbers.setdefault(str(token), len(numbers))
    return ids[codes]
