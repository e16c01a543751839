"""Downloads from a server on this machine that breaks off, changes its file, or has none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from recbole_attnseq.data.prepare.download import fetch
from recbole_attnseq.data.prepare.source import Download
from recbole_attnseq.errors import UserError
from tests.file_server import FileServer, nobody, serving

_CONTENT = FileServer.content


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as one:
        yield one


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_size_first_then_the_file(server: FileServer, tmp_path: Path) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        assert server.asked == []

    path = fetch(Download(server.address, sha256=_sum(_CONTENT)), tmp_path / "raw", say=say)
    assert said == [f"archive.zip: 1.0 MB from {server.address}"]
    assert path.read_bytes() == _CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["archive.zip"]
    fetch(Download(server.address, sha256=_sum(_CONTENT)), tmp_path / "raw", say=said.append)
    assert len(server.asked) == 1, "a file that is there is not fetched again"


def test_resumes_where_it_broke_off(server: FileServer, tmp_path: Path) -> None:
    server.breaks = 2
    path = fetch(Download(server.address, sha256=_sum(_CONTENT)), tmp_path, say=lambda line: None)
    assert path.read_bytes() == _CONTENT
    half = len(_CONTENT) // 2
    assert server.asked == ["", f"bytes={half}-", f"bytes={half + half // 2}-"]


def test_resumes_in_a_later_run(server: FileServer, tmp_path: Path) -> None:
    server.breaks = 1
    source = Download(server.address, sha256=_sum(_CONTENT))
    with pytest.raises(
        UserError, match=r"run the command again to go on, or download .* by hand and put it at"
    ) as error:
        fetch(source, tmp_path, say=lambda line: None, attempts=1)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "archive.zip").exists()
    fetch(source, tmp_path, say=lambda line: None, attempts=1)
    assert server.asked[-1] == f"bytes={len(_CONTENT) // 2}-"
    assert (tmp_path / "archive.zip").read_bytes() == _CONTENT


@pytest.mark.parametrize("later", [False, True])
def test_a_file_that_changes_is_fetched_anew(server: FileServer, tmp_path: Path, later: bool) -> None:
    new = _CONTENT[::-1] + b"more"
    server.breaks = 1
    server.replaced = new
    source = Download(server.address)
    if later:
        with pytest.raises(UserError, match="broke off"):
            fetch(source, tmp_path, say=lambda line: None, attempts=1)
        fetch(source, tmp_path, say=lambda line: None)
    else:
        with pytest.raises(UserError, match="broke off"):
            fetch(source, tmp_path, say=lambda line: None, attempts=2)
        fetch(source, tmp_path, say=lambda line: None)
    assert (tmp_path / "archive.zip").read_bytes() == new


def test_a_server_without_ranges_starts_over(server: FileServer, tmp_path: Path) -> None:
    server.breaks, server.ranges = 1, False
    assert fetch(Download(server.address), tmp_path, say=lambda line: None).read_bytes() == _CONTENT


def test_a_server_that_does_not_tell_the_size(server: FileServer, tmp_path: Path) -> None:
    server.length = False
    said: list[str] = []
    assert fetch(Download(server.address), tmp_path, say=said.append).read_bytes() == _CONTENT
    assert said == [f"archive.zip: of unknown size from {server.address}"]


def test_an_early_end_is_noticed_where_only_the_answer_tells_the_size(server: FileServer, tmp_path: Path) -> None:
    server.head_length, server.breaks = False, 2
    assert fetch(Download(server.address), tmp_path, say=lambda line: None).read_bytes() == _CONTENT
    assert len(server.asked) == 3


def test_wrong_checksum(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sha256 is .*, not 00; run again"):
        fetch(Download(server.address, sha256="00"), tmp_path, say=lambda line: None)
    assert not list(tmp_path.glob("*.zip*.part"))
    (tmp_path / "archive.zip").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"md5 is .*; remove it and run again"):
        fetch(Download(server.address, md5="00"), tmp_path, say=lambda line: None)
    assert (tmp_path / "archive.zip").read_bytes() == b"mine"


def test_not_found(server: FileServer, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(UserError) as error:
        fetch(Download(server.address), tmp_path / "raw", say=lambda line: None)
    target = tmp_path / "raw" / "archive.zip"
    assert str(error.value) == (
        f"{server.address}: the server answers 404 Not Found; download {server.address} by hand and put it at {target}."
    )


def test_offline_is_one_line_with_address_and_place(tmp_path: Path) -> None:
    address = nobody()
    with pytest.raises(UserError) as error:
        fetch(Download(address), tmp_path / "raw", say=lambda line: None)
    message = str(error.value)
    assert message.startswith(f"{address}: cannot be reached (")
    assert message.endswith(f"download {address} by hand and put it at {tmp_path / 'raw' / 'archive.zip'}.")
    assert "\n" not in message


def test_only_https(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not an https address"):
        fetch(Download("http://files.example.org/archive.zip"), tmp_path)
