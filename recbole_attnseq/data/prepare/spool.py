"""Columns on disk: what keeps memory constant while interactions are collected, sorted and filtered.

Each column is a file of fixed-width numbers, memory-mapped for reading; text is held as codes of a
vocabulary. Sorting scatters the rows into buckets of whole users and sorts one bucket at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Columns = dict[str, Array]

BUCKET_ROWS = 1 << 22
CHUNK_ROWS = 1 << 20


class Spool:
    """Appends rows of named columns to files.

    Args:
        folder: an existing folder for the files; they vanish with it.
        dtypes: the columns.
    """

    def __init__(self, folder: Path, dtypes: Mapping[str, npt.DTypeLike]) -> None:
        self._dtypes = {name: np.dtype(dtype) for name, dtype in dtypes.items()}
        self._paths = {name: folder / f"{index}-{id(self)}.bin" for index, name in enumerate(dtypes)}
        self._files: dict[str, BinaryIO] = {name: path.open("wb") for name, path in self._paths.items()}
        self.rows = 0

    def append(self, columns: Mapping[str, Array]) -> None:
        """Adds rows; every column of the spool must be there, of one length."""
        lengths = {len(columns[name]) for name in self._dtypes}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}.")
        for name, dtype in self._dtypes.items():
            self._files[name].write(np.ascontiguousarray(columns[name], dtype).data)
        self.rows += lengths.pop()

    def finish(self) -> Columns:
        """The columns as read-only memory maps."""
        self.close()
        return {
            name: np.memmap(path, self._dtypes[name], mode="r") if self.rows else np.empty(0, self._dtypes[name])
            for name, path in self._paths.items()
        }

    def close(self) -> None:
        """Closes the files."""
        for file in self._files.values():
            file.close()

    def remove(self) -> None:
        """Deletes the files; memory maps that are still open keep their content on POSIX systems."""
        self.close()
        for path in self._paths.values():
            if path.exists():
                os.unlink(path)


def chunks(rows: int) -> Iterator[slice]:
    """Slices that cover ``rows`` rows in order, :data:`CHUNK_ROWS` each."""
    size = CHUNK_ROWS
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def user_chunks(user: Array) -> Iterator[slice]:
    """Slices of whole users over a sorted user column, each of about :data:`CHUNK_ROWS` rows."""
    size = CHUNK_ROWS
    start, rows = 0, len(user)
    while start < rows:
        end = min(start + size, rows)
        if end < rows:
            # A user who does not fit is left to the next slice, unless one alone exceeds the size.
            first = int(np.searchsorted(user, user[end], side="left"))
            end = first if first > start else int(np.searchsorted(user, user[end], side="right"))
        yield slice(start, end)
        start = end


def by_user(columns: Columns, users: int, folder: Path) -> Iterator[Columns]:
    """Rows sorted by (user, time, source order), a bucket of whole users of about :data:`BUCKET_ROWS` at a time.

    Args:
        columns: ``user`` (int32 codes), ``time`` (float64) and any others, in source order. The dictionary is
            emptied once the rows are scattered, so that their memory can go.
        users: number of user codes.
        folder: for the scattered copy, which is needed where there is more than one bucket.
    """
    rows = len(columns["user"])
    if rows <= BUCKET_ROWS:
        yield _sorted({name: np.asarray(column) for name, column in columns.items()})
        return
    counts = np.zeros(users, np.int64)
    for part in chunks(rows):
        counts += np.bincount(columns["user"][part], minlength=users)
    bucket = ((np.cumsum(counts) - counts) // BUCKET_ROWS).astype(np.int32)
    sizes = np.bincount(bucket, weights=counts).astype(np.int64)
    ends = np.cumsum(sizes)
    cursor = ends - sizes
    scattered = {
        name: _reserved(folder / f"scatter-{index}.bin", column.dtype, rows)
        for index, (name, column) in enumerate(columns.items())
    }
    for part in chunks(rows):
        target = bucket[columns["user"][part]]
        order = np.argsort(target, kind="stable")
        share = np.bincount(target, minlength=len(sizes))
        stops = np.cumsum(share)
        for name, column in columns.items():
            values = column[part][order]
            for number in np.flatnonzero(share):
                at = cursor[number]
                scattered[name][at : at + share[number]] = values[stops[number] - share[number] : stops[number]]
        cursor += share
    columns.clear()
    for end, size in zip(ends, sizes, strict=True):
        if size:
            yield _sorted({name: np.array(column[end - size : end]) for name, column in scattered.items()})


def _reserved(path: Path, dtype: npt.DTypeLike, rows: int) -> Array:
    """A writable memory map whose room on disk is taken now: a full disk must be an error, not a dead process."""
    with path.open("wb") as file:
        size = np.dtype(dtype).itemsize * rows
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, dtype, mode="r+", shape=(rows,))


def _sorted(columns: Columns) -> Columns:
    order = np.lexsort((columns["time"], columns["user"]))
    return {name: column[order] for name, column in columns.items()}
