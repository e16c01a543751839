"""Archives read in place, whole or damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from recbole_attnseq.data.prepare.archive import Raw
from recbole_attnseq.data.prepare.report import Report
from recbole_attnseq.data.prepare.streams import Gzip
from recbole_attnseq.errors import UserError
from tests.data.prepare.helpers import gz, made, tarred, text, write, zip_bytes, zipped

_RATINGS = text(*(f"{user}::{item}::5::{1_000_000_000 + item}" for user in range(400) for item in range(30)))


def _content(raw: Raw, pattern: str) -> bytes:
    (member,) = raw.find((pattern,))
    with member.open() as stream:
        return stream.read()


def test_same_bytes_from_every_kind_of_archive(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "folder", a__dat=_RATINGS, b__dat__gz=gz(_RATINGS), c__dat__bz2=bz2.compress(_RATINGS),
        d__dat__xz=lzma.compress(_RATINGS),
    )  # fmt: skip
    for name in "abcd":
        assert _content(Raw(folder), f"{name}.dat") == _RATINGS
    files = {"in/a.dat": _RATINGS, "in/b.dat.gz": gz(_RATINGS), "in/c.zip": zip_bytes({"deep/d.dat": _RATINGS})}
    for archive in (
        zipped(tmp_path / "x.zip", files),
        tarred(tmp_path / "x.tar.gz", {k: files[k] for k in list(files)[:2]}),
    ):
        assert _content(Raw(archive), "in/a.dat") == _RATINGS
        assert _content(Raw(archive), "b.dat") == _RATINGS
    assert _content(Raw(tmp_path / "x.zip"), "deep/d.dat") == _RATINGS


def test_what_lies_there_twice_is_read_once(tmp_path: Path) -> None:
    """An archive beside what was unpacked from it, a file beside its .gz; others of the same name stay."""
    folder = tmp_path / "f"
    write(folder / "ml-1m", ratings__dat=_RATINGS, users__dat=b"1", users__dat__gz=gz(b"1"))
    zipped(folder / "ml-1m.zip", {"ml-1m/ratings.dat": _RATINGS, "ml-1m/movies.dat": b"2"})
    tarred(folder / "flat.tar.gz", {"ratings.dat": _RATINGS})
    zipped(folder / "other.zip", {"ratings.dat": b"other"})
    found = [(member.label.removeprefix(str(folder)), member.name) for member in Raw(folder).members]
    assert found == [
        ("/ml-1m/ratings.dat", "ml-1m/ratings.dat"),
        ("/ml-1m/users.dat", "ml-1m/users.dat"),
        ("/ml-1m.zip:ml-1m/movies.dat", "ml-1m/movies.dat"),
        ("/other.zip:ratings.dat", "ratings.dat"),
    ]


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_members_of_a_packed_archive_are_unpacked_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened anew for each, the time would grow with the square of their number."""
    files = {f"{number}.dat": text(*map(str, range(number, 2000))) for number in range(9)}
    copied: list[object] = []
    copy, unpack = shutil.copyfileobj, tarfile.open
    if kind == "zip":
        path = zipped(tmp_path / "x.zip", {"in.zip": zipped(tmp_path / "in.zip", files).read_bytes()})
        monkeypatch.setattr("shutil.copyfileobj", lambda *words: copied.append(words) or copy(*words))
    else:
        path = tarred(tmp_path / "x.tar.gz", files)
        monkeypatch.setattr("tarfile.open", lambda *words: copied.append(words) or unpack(*words))
    raw = Raw(path)
    for member in raw.find(("*.dat",)):
        with member.open() as stream:
            assert stream.read() == files[member.name]
    assert len(copied) == (1 if kind == "zip" else 2)  # to list them, and to read them
    with raw.members[3].open() as one, raw.members[0].open() as other:  # two at a time are two readers
        assert (one.read(4), other.read(3)) == (b"3\n4\n", b"0\n1")


def test_a_damaged_bz2_and_a_damaged_second_member(tmp_path: Path) -> None:
    content = bytearray(bz2.compress(_RATINGS))
    content[len(content) // 2] ^= 255
    write(tmp_path / "f", ratings__dat__bz2=bytes(content))
    with pytest.raises(UserError, match=r"ratings\.dat\.bz2: truncated or damaged archive \(Invalid data stream\)"):
        made("ml-1m", tmp_path / "f", tmp_path / "out")
    second = bytearray(gz(b"more"))
    second[3] ^= 0xE0  # flags that no gzip has
    write(tmp_path / "g", ratings__dat__gz=gz(_RATINGS) + bytes(second))
    with pytest.raises(UserError, match="truncated or damaged"):
        made("ml-1m", tmp_path / "g", tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", ratings__dat=_RATINGS)
    (folder / "ratings.dat").chmod(0)
    with pytest.raises(UserError, match=r"ratings\.dat: cannot be read \(Permission denied\)"):
        made("ml-1m", folder, tmp_path / "out")


def test_patterns_match_whole_path_parts(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", ratings__dat=b"1", my_ratings__dat=b"2")
    assert [m.name for m in Raw(folder).find(("ratings.dat",))] == ["ratings.dat"]
    assert [m.name for m in Raw(folder).find(("*ratings.dat",))] == ["my_ratings.dat", "ratings.dat"]
    assert [m.name for m in Raw(folder).find(("nothing", "ratings.dat", "my*"), first=True)] == ["ratings.dat"]


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("kind", ["zip", "tar.gz", "gz"])
def test_truncated_archive(tmp_path: Path, kind: str, keep: float) -> None:
    if kind == "zip":
        path = zipped(tmp_path / "ml-1m.zip", {"ml-1m/ratings.dat": _RATINGS})
    elif kind == "tar.gz":
        path = tarred(tmp_path / "ml-1m.tar.gz", {"ml-1m/ratings.dat": _RATINGS})
    else:
        path = write(tmp_path / "f", ratings__dat__gz=gz(_RATINGS)) / "ratings.dat.gz"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(UserError, match=r"truncated or damaged archive .*; download it again\.$") as error:
        made("ml-1m", path, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_flipped_byte_in_gz_is_noticed(tmp_path: Path) -> None:
    content = bytearray(gz(_RATINGS))
    content[-6] ^= 1
    raw = write(tmp_path / "f", ratings__dat__gz=bytes(content))
    with pytest.raises(UserError, match="truncated or damaged"):
        made("ml-1m", raw, tmp_path / "out")


def test_damage_far_into_a_long_file(tmp_path: Path) -> None:
    rows = text(*(f"{number % 997}::{number * 7919 % 99991}::5::{1_000_000_000 + number}" for number in range(400_000)))
    packed = gz(rows)
    raw = write(tmp_path / "cut", ratings__dat__gz=packed[:-10_000])
    with pytest.raises(UserError, match=r"ratings\.dat\.gz: truncated or damaged"):
        made("ml-1m", raw, tmp_path / "out")
    raw = write(tmp_path / "byte", ratings__dat=rows + b"1::2::5::\xff\n")
    with pytest.raises(UserError, match=r"ratings\.dat:400001:10: byte 0xff is not utf-8"):
        made("ml-1m", raw, tmp_path / "out")
    raw = write(tmp_path / "row", ratings__dat=rows + b"1::2::5\n")
    assert made("ml-1m", raw, tmp_path / "out").report.dropped == {"malformed row": 1}


def test_gzip_reads_what_the_library_reads(tmp_path: Path) -> None:
    path = write(tmp_path / "f", a__gz=gz(b"one" * 50_000) + gz(b"") + gz(b"two") + b"\0" * 600) / "a.gz"
    with path.open("rb") as raw:
        assert Gzip(raw).read() == gzip.decompress(path.read_bytes())


def test_wrong_archive_says_what_it_holds(tmp_path: Path) -> None:
    path = zipped(tmp_path / "ml-100k.zip", {"ml-100k/u.data": b"1\t1\t5\t1\n"})
    with pytest.raises(UserError, match=r"no archive of 'ml-1m': it lacks ratings\.dat; it holds ml-100k/u\.data\.$"):
        made("ml-1m", path, tmp_path / "out")


def test_all_alternatives_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lacks sessions\.idomaar or events\.idomaar; it holds x\.csv\.$"):
        made("30music", write(tmp_path / "raw", x__csv=b"1"), tmp_path / "out")


def test_unreadable_kinds(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", yoochoose__7z=b"7z", plain__zip=b"this is no zip")
    with pytest.raises(UserError, match="cannot be read in place; unpack it"):
        Raw(folder / "yoochoose.7z")
    with pytest.raises(UserError, match="truncated or damaged"):
        Raw(folder / "plain.zip")
    with pytest.raises(UserError, match="no such file or folder"):
        Raw(tmp_path / "missing")


def test_progress_counts_stored_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "f", a__gz=gz(_RATINGS)) / "a.gz"
    seen: list[int] = []
    (member,) = Raw(path).members
    with member.open(seen.append) as stream:
        assert stream.read() == _RATINGS
    assert sum(seen) == member.size == path.stat().st_size


def test_report_keeps_the_first_place() -> None:
    report = Report()
    report.drop("bad", 0, "nowhere")
    report.drop("bad", 2, "file:1")
    report.drop("bad", 3, "file:9")
    assert report.reasons() == "5 bad (first: file:1)"
