"""Streams under the archives: a gzip that forgives rubbish at its end, and one that reports progress."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import IO, Any

Tick = Callable[[int], object]
"""Told how many stored bytes a read took."""


class Ticking(io.RawIOBase):
    """Tells a progress bar of every read."""

    def __init__(self, raw: IO[bytes], tick: Tick) -> None:
        self._raw = raw
        self._tick = tick

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._tick(len(data))
        return len(data)


class Gzip(io.BufferedIOBase):
    """Gzip that forgives bytes after a complete member.

    Some of Amazon's review files carry rubbish after the last member. A member whose checksum held is data;
    what follows and is no gzip is not. A member that ends before its checksum remains an error.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._zip = zlib.decompressobj(31)
        self._tail = b""
        self._members = 0
        self._ended = False
        self._started = False

    def readable(self) -> bool:
        return True

    def read1(self, size: int | None = -1) -> bytes:
        return self.read(size)

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        while not self._ended:
            data = self._tail or self._raw.read(1 << 16)
            self._tail = b""
            if not data:
                if self._started or not self._members:
                    raise EOFError("compressed file ended before its end mark")
                self._ended = True
                break
            if not self._started and self._members:
                data = data.lstrip(b"\0")
                if not data:
                    continue
            try:
                out = self._zip.decompress(data, size)
            except zlib.error:
                # What begins as a member does and is none is a damaged one, not rubbish.
                if self._started or not self._members or data.startswith(b"\x1f\x8b"):
                    raise
                self._ended = True
                break
            self._started = True
            if self._zip.eof:
                self._tail = self._zip.unused_data
                self._zip = zlib.decompressobj(31)
                self._members += 1
                self._started = False
            else:
                self._tail = self._zip.unconsumed_tail
            if out:
                return out
        return b""
