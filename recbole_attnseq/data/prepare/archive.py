"""Files where the owner packed them: folders, gz, bz2, zip and tar, read in place.

Nothing is unpacked to disk, so a 50 GB archive needs no 50 GB more. Every failure to read (a cut archive, a
bad checksum, a kind that cannot be read) becomes a :class:`UserError` that names the file.
"""

from __future__ import annotations

import bz2
import contextlib
import fnmatch
import gzip
import hashlib
import io
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from recbole_attnseq.data.prepare.streams import Gzip, Tick, Ticking
from recbole_attnseq.errors import UserError

_PACKED = (".gz", ".bz2", ".xz")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz")
_UNREADABLE = (".7z", ".rar")
READ_ERRORS = (EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, gzip.BadGzipFile)

Opener = Callable[["Tick | None"], contextlib.AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class Member:
    """One file inside what the person gave.

    Args:
        name: path inside the archive or folder, without ``.gz``; what patterns are matched with.
        label: what error messages call it.
        path: the file on disk that holds it.
        size: bytes as stored, for the progress bar; 0 where not known.
        opener: opens the (decompressed) content.
        inside: of a member of an archive, bytes when it is unpacked; None for a file by itself.
    """

    name: str
    label: str
    path: Path
    size: int
    opener: Opener
    inside: int | None = None

    @contextlib.contextmanager
    def open(self, tick: Tick | None = None) -> Iterator[IO[bytes]]:
        """The content as a binary stream; read errors come out as :class:`UserError`.

        Args:
            tick: told how many stored bytes each read took.
        """
        opened = False
        try:
            with self.opener(tick) as stream:
                opened = True
                yield stream
        except READ_ERRORS as error:
            raise UserError(damaged(self.label, error)) from error
        except OSError as error:
            if not opened:
                raise UserError(f"{self.label}: cannot be read ({error.strerror or error}).") from error
            # bz2 says so without a number; what has one may as well be about the file that is written.
            if error.errno is not None:
                raise
            raise UserError(damaged(self.label, error)) from error


def damaged(label: str, error: BaseException) -> str:
    """The line about a file that cannot be read to its end."""
    reason = str(error).strip().partition("\n")[0].rstrip(".:") or type(error).__name__
    return f"{label}: truncated or damaged archive ({reason}); download it again."


class Raw:
    """The owner's download: a file, an archive or a folder of either.

    Args:
        path: what the person gave with ``--raw``.

    Raises:
        UserError: the path is missing, or a kind of archive that the standard library cannot read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._used: set[Path] = set()
        if not self.path.exists():
            raise UserError(f"{self.path}: no such file or folder; give the owner's download with --raw.")
        try:
            self.members = _once(list(_list(self.path)))
        except (*READ_ERRORS, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(damaged(str(self.path), error)) from error
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror or error}).") from error

    def find(self, patterns: tuple[str, ...], first: bool = False) -> list[Member]:
        """Members whose name matches a pattern, in the order of the patterns, then by name.

        Args:
            patterns: shell patterns of the path's end (``ml-1m/ratings.dat`` or ``ratings.dat``).
            first: give only what the first successful pattern matches.
        """
        found: dict[str, Member] = {}
        for pattern in patterns:
            hits = [m for m in self.members if _matches(m.name, pattern)]
            for member in sorted(hits, key=lambda m: m.name):
                found.setdefault(member.label, member)
                self._used.add(member.path)
            if first and found:
                break
        return list(found.values())

    def files(self) -> list[Path]:
        """The files on disk of which something was found, for checksums: a folder may hold much else."""
        return sorted(self._used)

    def describe(self, limit: int = 8) -> str:
        """The names of the first members, for error messages."""
        names = [member.name for member in self.members]
        more = f" and {len(names) - limit} more" if len(names) > limit else ""
        return (", ".join(names[:limit]) or "nothing") + more


def sha256(path: Path) -> str:
    """Checksum of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _matches(name: str, pattern: str) -> bool:
    parts = name.replace(os.sep, "/").split("/")
    depth = pattern.count("/") + 1
    return len(parts) >= depth and fnmatch.fnmatchcase("/".join(parts[-depth:]), pattern)


def _bare(name: str) -> str:
    for ending in _PACKED:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _list(path: Path) -> Iterator[Member]:
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            yield from _list_file(file, str(file.relative_to(path)))
    else:
        yield from _list_file(path, path.name)


def _once(members: list[Member]) -> list[Member]:
    """Without what lies there twice: an archive's members beside what was unpacked from it, a file beside its .gz."""
    plain: dict[str, list[Member]] = {}
    for member in members:
        if member.inside is None:
            plain.setdefault(Path(member.name).name, []).append(member)

    def again(member: Member) -> bool:
        others = plain.get(Path(member.name).name, [])
        if member.inside is None:
            return any(other.name == member.name and other.label < member.label for other in others)
        return any(other.size == member.inside and _ends_alike(other, member) for other in others)

    return [member for member in members if not again(member)]


def _ends_alike(one: Member, other: Member) -> bool:
    short, long = sorted((one.name.replace(os.sep, "/"), other.name), key=len)
    return long == short or long.endswith(f"/{short}")


def _list_file(path: Path, name: str) -> Iterator[Member]:
    lower = name.lower()
    if lower.endswith(_UNREADABLE):
        # In a folder it may lie beside what was unpacked from it; alone it is an error.
        if path.name == name:
            raise UserError(f"{path}: this kind of archive cannot be read in place; unpack it and give the folder.")
        return
    if lower.endswith(".zip"):
        yield from _list_zip(lambda: zipfile.ZipFile(path), path, str(path))
    elif lower.endswith(_ARCHIVES):
        yield from _list_tar(path)
    else:
        yield Member(_bare(name), str(path), path, path.stat().st_size, _opener(lambda: path.open("rb"), name))


def _list_zip(open_zip: Callable[[], zipfile.ZipFile], path: Path, label: str) -> Iterator[Member]:
    with open_zip() as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    for info in infos:
        if info.filename.startswith("__MACOSX/"):
            continue
        inner = f"{label}:{info.filename}"

        def stream(info: zipfile.ZipInfo = info) -> IO[bytes]:
            return _InZip(open_zip(), info)

        if info.filename.lower().endswith(".zip"):
            nested = _nested(stream)
            yield from _list_zip(nested, path, inner)
        else:
            opener = _opener(stream, info.filename)
            yield Member(_bare(info.filename), inner, path, info.compress_size, opener, info.file_size)


def _nested(stream: Callable[[], IO[bytes]]) -> Callable[[], zipfile.ZipFile]:
    """Opens a zip inside a zip, from a temporary copy: a seek back in a packed one reads it from its beginning."""
    copies: list[IO[bytes]] = []

    def open_zip() -> zipfile.ZipFile:
        if not copies:
            copy = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the list of members
            with stream() as packed:
                shutil.copyfileobj(packed, copy, 1 << 20)
            copies.append(copy)
        return zipfile.ZipFile(copies[0])

    return open_zip


def _opener(stream: Callable[[], IO[bytes]], name: str) -> Opener:
    return lambda tick: _open(stream, name, tick)


class _InZip(io.BufferedReader):
    """A member of a zip that closes the archive together with itself."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        try:
            super().__init__(cast(io.RawIOBase, archive.open(info)), 1 << 16)
        except (RuntimeError, NotImplementedError) as error:
            raise UserError(f"{info.filename}: cannot be read ({error}); unpack it and give the folder.") from error
        self._archive = archive

    def close(self) -> None:
        super().close()
        archive = getattr(self, "_archive", None)
        if archive is not None:
            archive.close()


def _list_tar(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        infos = [info for info in archive if info.isfile()]
    free: list[tarfile.TarFile] = []  # at most one, waiting where its last member ended
    for info in infos:

        def stream(info: tarfile.TarInfo = info) -> IO[bytes]:
            # Opened anew, a compressed archive is decompressed from its beginning for every member.
            archive = free.pop() if free else tarfile.open(path)  # noqa: SIM115 - closed with a member
            content = archive.extractfile(info)
            if content is None:
                raise UserError(f"{path}:{info.name}: not a plain file.")
            return _InTar(archive, content, free)

        opener = _opener(stream, info.name)
        yield Member(_bare(info.name), f"{path}:{info.name}", path, info.size, opener, info.size)


class _InTar(io.BufferedReader):
    """A member of a tar that hands the archive back when it is closed."""

    def __init__(self, archive: tarfile.TarFile, content: IO[bytes], free: list[tarfile.TarFile]) -> None:
        super().__init__(cast(io.RawIOBase, content), 1 << 16)
        self._archive: tarfile.TarFile | None = archive
        self._free = free

    def close(self) -> None:
        super().close()
        archive, self._archive = getattr(self, "_archive", None), None
        if archive is not None and self._free:
            archive.close()
        elif archive is not None:
            self._free.append(archive)


@contextlib.contextmanager
def _open(stream: Callable[[], IO[bytes]], name: str, tick: Tick | None) -> Iterator[IO[bytes]]:
    lower = name.lower()
    with stream() as source:
        raw = source if tick is None else cast(IO[bytes], Ticking(source, tick))
        if lower.endswith(".gz"):
            yield cast(IO[bytes], Gzip(raw))
        elif lower.endswith(".bz2"):
            with bz2.open(raw) as plain:
                yield cast(IO[bytes], plain)
        elif lower.endswith(".xz"):
            with lzma.open(raw) as plain:
                yield cast(IO[bytes], plain)
        else:
            yield raw
