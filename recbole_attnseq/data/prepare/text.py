"""A byte stream made fit for a parser: UTF-8 throughout, whole lines at a time, counted."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO, cast

from recbole_attnseq.errors import UserError

UNIT = "\x1f"
"""The one-character separator that stands in for a longer one: no text contains it."""

_BLOCK = 1 << 20
_LONGEST = 1 << 26


class _Recoded:
    """Bytes of several to a character as UTF-8."""

    def __init__(self, raw: IO[bytes], label: str, encoding: str) -> None:
        self._raw, self._label, self._encoding = raw, label, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def read(self, size: int) -> bytes:
        """About ``size`` bytes; none at the end."""
        while True:
            block = self._raw.read(size)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{self._label}: not {self._encoding} ({error.reason}); give the file's encoding, e.g. "
                    "--encoding latin-1."
                ) from error
            if text or not block:
                return text.encode()


class TextStream:
    """Bytes of a text file for a parser that wants UTF-8.

    Args:
        raw: the decompressed content.
        label: what error messages call the file.
        encoding: of the content; anything but UTF-8 is recoded.
        replace: a separator of several characters, which becomes :data:`UNIT`.

    Raises:
        UserError: on reading a line that is not valid in ``encoding`` (with its number), or one so long that
            the file cannot be a table.
    """

    def __init__(self, raw: IO[bytes], label: str, encoding: str = "utf-8", replace: str = "") -> None:
        try:
            name = codecs.lookup(encoding).name
            "".encode(name)  # of bytes, such as base64, or of text to text, such as rot13: LookupError too
        except LookupError as error:
            raise UserError(f"unknown encoding '{encoding}'; give one that Python knows, e.g. latin-1.") from error
        if name.startswith(("utf-16", "utf-32")):  # their line breaks are not of one byte
            raw, name = cast(IO[bytes], _Recoded(raw, label, name)), "utf-8"
        self._raw = raw
        self._label = label
        self._encoding = name
        self._replace = replace.encode()
        self._rest = b""
        self._start = True
        self._ready = b""
        self._ended = False
        self.lines = 0
        self.closed = False

    def readable(self) -> bool:
        """For parsers that ask."""
        return True

    def seekable(self) -> bool:
        """For parsers that ask."""
        return False

    def close(self) -> None:
        """The content belongs to whoever opened it; only this view ends."""
        self.closed = True

    def readline(self) -> str:
        """The next line without its line break; empty at the end."""
        while b"\n" not in self._ready:
            block = self._next()
            if not block:
                break
            self._ready += block
        line, _, self._ready = self._ready.partition(b"\n")
        return line.decode().removesuffix("\r")

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes (all of them where negative), as UTF-8."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_BLOCK), b""))
        if not self._ready:
            self._ready = self._next()
        out, self._ready = self._ready[:size], self._ready[size:]
        return out

    def __iter__(self) -> Iterator[str]:
        """The lines, line breaks removed."""
        rest = b""
        while block := self.read(_BLOCK):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            for line in lines:
                yield line.decode().removesuffix("\r")
        if rest:
            yield rest.decode().removesuffix("\r")

    def _next(self) -> bytes:
        """The next block of whole lines."""
        if self._ended:
            return b""
        pieces = [self._rest]
        size = len(self._rest)
        while True:
            block = self._raw.read(_BLOCK)
            if not block:
                self._ended = True
                self._rest = b""
                break
            size += len(block)
            cut = block.rfind(b"\n") + 1
            if cut:
                pieces.append(block[:cut])
                self._rest = block[cut:]
                break
            pieces.append(block)
            if size > _LONGEST:
                raise UserError(
                    f"{self._label}:{self.lines + 1}: a line of more than {_LONGEST >> 20} MB; this is no text table."
                )
        return self._clean(b"".join(pieces))

    def _clean(self, text: bytes) -> bytes:
        if self._start:
            self._start = False
            text = text.removeprefix(codecs.BOM_UTF8)
        try:
            decoded = text.decode(self._encoding)
        except UnicodeDecodeError as error:
            line = self.lines + 1 + text.count(b"\n", 0, error.start)
            column = error.start - (text.rfind(b"\n", 0, error.start) + 1) + 1
            likely = "utf-16" if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "latin-1"
            raise UserError(
                f"{self._label}:{line}:{column}: byte 0x{text[error.start]:02x} is not {self._encoding}; "
                f"give the file's encoding, e.g. --encoding {likely}."
            ) from error
        if self._encoding not in ("utf-8", "ascii"):
            text = decoded.encode()
        self.lines += text.count(b"\n")
        return text.replace(self._replace, UNIT.encode()) if self._replace else text
