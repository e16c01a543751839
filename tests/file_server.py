"""A server on this machine that breaks off, changes its file, or has none."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator


class FileServer(http.server.ThreadingHTTPServer):
    """Serves one file with ranges; ``breaks`` connections end half-way, ``replaced`` comes after the first."""

    content = bytes(range(256)) * 4000
    replaced: bytes | None = None
    breaks = 0
    ranges = True
    status = 200
    length = True
    head_length = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive.zip"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FileServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _head(self, start: int = 0, status: int = 200) -> None:
        content = self.server.content
        self.send_response(status)
        if self.server.length and (self.server.head_length or self.command != "HEAD"):
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


@contextlib.contextmanager
def serving() -> Iterator[FileServer]:
    """The server, for as long as the block lasts."""
    one = FileServer()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.shutdown()
        one.server_close()
        thread.join()


def nobody(name: str = "archive.zip") -> str:
    """An address where nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/{name}"
