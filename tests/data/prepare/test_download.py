"""Downloads from a server on this machine that breaks off, changes its file, or has none."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recbole_attnseq.data.prepare.download import fetch
from recbole_attnseq.data.prepare.source import Download
from recbole_attnseq.errors import UserError

_CONTENT = bytes(range(256)) * 4000


class _Server(http.server.ThreadingHTTPServer):
    """Serves one file with ranges; ``breaks`` connections end half-way, ``replaced`` comes after the first."""

    content = _CONTENT
    replaced: bytes | None = None
    breaks = 0
    ranges = True
    status = 200
    length = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive.zip"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _head(self, start: int = 0, status: int = 200) -> None:
        content = self.server.content
        self.send_response(status)
        if self.server.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()

    def do_HEAD(self) -> None:
        if self.server.status != 200:
            self.send_error(self.server.status)
        else:
            self._head()

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range", "")
        server.asked.append(wanted)
        if server.status != 200:
            self.send_error(server.status)
            return
        current = f'"{hashlib.md5(server.content).hexdigest()}"'
        fresh = self.headers.get("If-Range", current) == current
        start = int(wanted[6:-1]) if wanted and server.ranges and fresh else 0
        self._head(start, 206 if start else 200)
        body = server.content[start:]
        if server.breaks:
            server.breaks -= 1
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if server.replaced is not None:
                server.content, server.replaced = server.replaced, None
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[_Server]:
    one = _Server()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    yield one
    one.shutdown()
    one.server_close()
    thread.join()


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_size_first_then_the_file(server: _Server, tmp_path: Path) -> None:
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


def test_resumes_where_it_broke_off(server: _Server, tmp_path: Path) -> None:
    server.breaks = 2
    path = fetch(Download(server.address, sha256=_sum(_CONTENT)), tmp_path, say=lambda line: None)
    assert path.read_bytes() == _CONTENT
    half = len(_CONTENT) // 2
    assert server.asked == ["", f"bytes={half}-", f"bytes={half + half // 2}-"]


def test_resumes_in_a_later_run(server: _Server, tmp_path: Path) -> None:
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
def test_a_file_that_changes_is_fetched_anew(server: _Server, tmp_path: Path, later: bool) -> None:
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


def test_a_server_without_ranges_starts_over(server: _Server, tmp_path: Path) -> None:
    server.breaks, server.ranges = 1, False
    assert fetch(Download(server.address), tmp_path, say=lambda line: None).read_bytes() == _CONTENT


def test_a_server_that_does_not_tell_the_size(server: _Server, tmp_path: Path) -> None:
    server.length = False
    said: list[str] = []
    assert fetch(Download(server.address), tmp_path, say=said.append).read_bytes() == _CONTENT
    assert said == [f"archive.zip: of unknown size from {server.address}"]


def test_wrong_checksum(server: _Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sha256 is .*, not 00; run again"):
        fetch(Download(server.address, sha256="00"), tmp_path, say=lambda line: None)
    assert not list(tmp_path.glob("*.zip*.part"))
    (tmp_path / "archive.zip").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"md5 is .*; remove it and run again"):
        fetch(Download(server.address, md5="00"), tmp_path, say=lambda line: None)
    assert (tmp_path / "archive.zip").read_bytes() == b"mine"


def test_not_found(server: _Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(UserError) as error:
        fetch(Download(server.address), tmp_path / "raw", say=lambda line: None)
    target = tmp_path / "raw" / "archive.zip"
    assert str(error.value) == (
        f"{server.address}: the server answers 404 Not Found; download {server.address} by hand and put it at {target}."
    )


def test_offline_is_one_line_with_address_and_place(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/archive.zip"
    with pytest.raises(UserError) as error:
        fetch(Download(address), tmp_path / "raw", say=lambda line: None)
    message = str(error.value)
    assert message.startswith(f"{address}: cannot be reached (")
    assert message.endswith(f"download {address} by hand and put it at {tmp_path / 'raw' / 'archive.zip'}.")
    assert "\n" not in message


def test_only_https(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not an https address"):
        fetch(Download("http://files.example.org/archive.zip"), tmp_path)
