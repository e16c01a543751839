"""Owners' archives in miniature, and what the preparers make of them."""

from __future__ import annotations

import argparse
import gzip
import io
import tarfile
import zipfile
from pathlib import Path

from recbole_attnseq.data.prepare import command
from recbole_attnseq.data.prepare.pipeline import Prepared


def text(*lines: str, encoding: str = "utf-8") -> bytes:
    """Lines as the bytes of a file."""
    return "".join(line + "\n" for line in lines).encode(encoding)


def write(folder: Path, **files: bytes) -> Path:
    """Writes files; a double underscore in a keyword stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """A zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """A zip archive in memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    """A compressed tar archive."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def gz(content: bytes) -> bytes:
    """Compressed content."""
    return gzip.compress(content, mtime=0)


def made(
    name: str,
    raw: Path,
    out: Path,
    *,
    behaviours: tuple[str, ...] = (),
    min_rating: float | None = None,
    session_gap: float | None = None,
    drop_repeats: bool = False,
) -> Prepared:
    """Prepares a data set by name, as ``attnseq prepare`` does with the words that these arguments stand for."""
    words = [name, "--raw", str(raw), "--out", str(out / name), "--force", "--quiet"]
    words += ["--keep-behaviour", ",".join(behaviours)] if behaviours else []
    words += ["--min-rating", str(min_rating)] if min_rating is not None else []
    words += ["--session-gap", str(session_gap)] if session_gap is not None else []
    words += ["--drop-repeats"] if drop_repeats else []
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.carry_out(parser.parse_args(words))


def lines(prepared: Prepared, kind: str = "inter") -> list[str]:
    """The lines of an atomic file."""
    path = prepared.folder / f"{prepared.folder.name}.{kind}"
    content = path.read_text("utf-8")
    assert content.endswith("\n")
    return content[:-1].split("\n")


def adds_up(prepared: Prepared) -> bool:
    """Whether every row read is either written or counted as dropped."""
    report = prepared.report
    return report.rows == sum(report.dropped.values()) + prepared.summary.interactions
