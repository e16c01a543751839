"""Atomic files, written to a temporary folder that becomes the data set only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recbole_attnseq.errors import UserError


class AtomicFile:
    """One atomic file: a header of ``name:type`` and rows of tab-separated text.

    Args:
        path: where to write.
        specs: the header's fields.

    It is a context manager; the checksum of what was written is in ``sha256`` afterwards.
    """

    def __init__(self, path: Path, specs: Sequence[str]) -> None:
        self._digest = hashlib.sha256()
        self._file: BinaryIO = path.open("wb")
        self.sha256 = ""
        self._write("\t".join(specs).encode() + b"\n")

    def rows(self, columns: Sequence[pa.Array]) -> None:
        """Appends rows given as one string array per field."""
        if not len(columns[0]):
            return
        lines = pc.binary_join_element_wise(*columns[:-1], pc.binary_join_element_wise(columns[-1], "", "\n"), "\t")
        # The characters of a string array lie one after another: with a line break in each they are the file.
        start, end = (int(v) for v in (_offset(lines, 0), _offset(lines, len(lines))))
        self._write(memoryview(lines.buffers()[2])[start:end])

    def line(self, values: Sequence[str]) -> None:
        """Appends one row."""
        self._write("\t".join(values).encode() + b"\n")

    def __enter__(self) -> AtomicFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            # A disk that is full shows here at the latest.
            self._file.flush()
            os.fsync(self._file.fileno())
            self.sha256 = self._digest.hexdigest()
        with contextlib.suppress(OSError):
            self._file.close()

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._digest.update(data)


def _offset(strings: pa.Array, index: int) -> int:
    kind = np.int64 if pa.types.is_large_string(strings.type) else np.int32
    offsets = np.frombuffer(strings.buffers()[1], kind)
    return int(offsets[strings.offset + index])


def tokens(names: pa.Array, codes: npt.NDArray[np.int32]) -> pa.Array:
    """The text of codes; negative codes give empty text."""
    indices = pa.array(codes, pa.int32(), mask=codes < 0)
    return pc.fill_null(names.take(indices), "")


def floats(values: npt.NDArray[np.float64], whole: bool) -> pa.Array:
    """Numbers as text that reads back exactly; NaN gives empty text.

    Args:
        values: the numbers.
        whole: whether every number of the file's column is an integer, to be written without a point.
    """
    missing = np.isnan(values)
    if whole:
        numbers: Any = pa.array(np.where(missing, 0, values).astype(np.int64), mask=missing)
    else:
        numbers = pa.array(values, mask=missing)
    return pc.fill_null(pc.cast(numbers, pa.string()), "")


def check_target(out: Path, force: bool, raw: Path | None = None) -> None:
    """Raises :class:`UserError` where ``out`` exists and may not be replaced.

    Args:
        out: the final folder.
        force: it may be replaced if it is a data set that was prepared here.
        raw: the owner's download, which must not lie in it.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: exists and is no folder; give another --out.")
    if not out.exists() or not any(out.iterdir()):
        return
    if not force:
        raise UserError(f"{out}: exists already; give --force to replace it, or another --out.")
    # All that the folder holds would go: it must be what this command makes, and not hold the last copy of the raw.
    if not (out / f"{out.name}.meta.json").is_file():
        raise UserError(
            f"{out}: is no prepared data set (it lacks {out.name}.meta.json), so --force does not replace it; "
            "give another --out, or remove it yourself."
        )
    if raw is not None and raw.resolve().is_relative_to(out.resolve()):
        raise UserError(f"{raw}: lies in {out}, which --force would replace; move it, or give another --out.")


@contextlib.contextmanager
def new_folder(out: Path, force: bool, raw: Path | None = None) -> Iterator[tuple[Path, Path]]:
    """A folder that appears as ``out`` when the block ends well, and leaves nothing behind otherwise.

    Args:
        out, force, raw: see :func:`check_target`.

    Yields:
        the folder to write to, and a scratch folder beside it (on the same disk).

    Raises:
        UserError: ``out`` exists, cannot be written, or the disk is full.
    """
    check_target(out, force, raw)
    with _work(out) as work:
        fresh, scratch = work / "new", work / "scratch"
        fresh.mkdir()
        scratch.mkdir()
        yield fresh, scratch
        _put([(fresh, out)], work)


@contextlib.contextmanager
def new_files(folder: Path, names: Sequence[str], force: bool) -> Iterator[Path]:
    """Files that appear in an existing folder when the block ends well, all of them or none.

    Args:
        folder: where they are to lie.
        names: their names.
        force: replace existing ones; otherwise they are an error.

    Yields:
        the folder to write them to.

    Raises:
        UserError: one of them exists, cannot be written, or the disk is full.
    """
    present = next((folder / name for name in names if (folder / name).exists()), None)
    if present is not None and not force:
        raise UserError(f"{present}: exists already; give --force to replace it.")
    with _work(folder) as work:
        fresh = work / "new"
        fresh.mkdir()
        yield fresh
        _put([(fresh / name, folder / name) for name in names], work)


@contextlib.contextmanager
def _work(out: Path) -> Iterator[Path]:
    """A temporary folder beside ``out`` that does not outlive the block; what the disk refuses is a UserError."""
    work: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        yield work
    except OSError as error:
        raise UserError(f"{out}: {_reason(error)}; nothing was written.") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def _put(moves: Sequence[tuple[Path, Path]], work: Path) -> None:
    """Moves each (new, target) into place, what lay there to ``work``; broken off half-way, it moves all back."""
    kept = [work / f"old{number}" for number in range(len(moves))]
    try:
        for (new, target), old in zip(moves, kept, strict=True):
            if target.exists():
                target.rename(old)
            new.rename(target)
    except BaseException:
        for (new, target), old in zip(moves, kept, strict=True):
            if not new.exists() and target.exists():
                target.rename(new)
            if old.exists():
                old.rename(target)
        raise


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some room or give another --out"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write there; give another --out"
    place = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{place}"


def write_table(path: Path, specs: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Writes a small table of key to values, and returns its checksum."""
    with AtomicFile(path, specs) as file:
        for key, values in rows.items():
            file.line([key, *values])
    return file.sha256
