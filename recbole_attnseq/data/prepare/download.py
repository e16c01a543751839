"""Download of an owner's file: size first, resume after a break, checksum at the end.

A part is kept as ``FILE.part`` with the server's identity of the file beside it, so that a file which changed
in between is fetched anew rather than glued together from two versions.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from recbole_attnseq.data.prepare.source import Download
from recbole_attnseq.errors import UserError

_BLOCK = 1 << 18
_ATTEMPTS = 5
_TIMEOUT = 30.0
_BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError)


@dataclass(frozen=True)
class _Remote:
    """What the server says of the file: its length (-1 unknown) and its identity (empty if none)."""

    size: int
    identity: str


def fetch(
    source: Download,
    folder: Path,
    *,
    say: Callable[[str], object] = print,
    progress: bool = False,
    attempts: int = _ATTEMPTS,
    timeout: float = _TIMEOUT,
) -> Path:
    """The file of ``source`` in ``folder``, fetched where it is not there yet.

    Args:
        source: address and checksum.
        folder: made where missing.
        say: shown the size and the address before the first byte.
        progress: show a progress bar.
        attempts: connections to try before giving up; each resumes where the last one broke off.
        timeout: seconds without a byte after which a connection counts as broken.

    Returns:
        The path of the whole and checked file.

    Raises:
        UserError: no connection, an answer that is an error, a checksum that does not match; one line that
            gives the address and where to put the file by hand.
    """
    name = Path(urllib.parse.urlsplit(source.url).path).name
    target = folder / name
    _check_address(source.url)
    if target.exists():
        _check_sum(target, source, keep=True)
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(source, target, say, progress, attempts, timeout)
    except urllib.error.HTTPError as error:
        raise UserError(
            f"{source.url}: the server answers {error.code} {error.reason}; {_by_hand(source, target)}."
        ) from error
    except urllib.error.URLError as error:
        raise UserError(f"{source.url}: cannot be reached ({error.reason}); {_by_hand(source, target)}.") from error
    except _BROKEN as error:
        raise UserError(
            f"{source.url}: the connection broke off ({error or type(error).__name__}); "
            f"run the command again to go on, or {_by_hand(source, target)}."
        ) from error
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror or error}).") from error
    return target


def _check_address(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    # Plain http would let anyone on the way change the file; a server on this machine has no way.
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
        raise UserError(f"{url}: not an https address.")


def _by_hand(source: Download, target: Path) -> str:
    return f"download {source.url} by hand and put it at {target}"


def _fetch(
    source: Download,
    target: Path,
    say: Callable[[str], object],
    progress: bool,
    attempts: int,
    timeout: float,
) -> None:
    part = target.with_name(target.name + ".part")
    mark = target.with_name(target.name + ".part.json")
    remote = _ask(source.url, timeout)
    size = f"{remote.size / 1e6:,.1f} MB" if remote.size >= 0 else "of unknown size"
    say(f"{target.name}: {size} from {source.url}")
    if part.exists() and _read_mark(mark) != remote.identity:
        part.unlink()
    mark.write_text(json.dumps({"identity": remote.identity}), "utf-8")
    for attempt in range(attempts):
        try:
            _append(source.url, part, remote, progress, timeout)
        except _BROKEN:
            if attempt + 1 == attempts:
                raise
            continue
        have = part.stat().st_size
        if remote.size < 0 or have == remote.size:
            break
        if have > remote.size:
            part.unlink()
    else:
        raise ConnectionError(f"{part.stat().st_size if part.exists() else 0} of {remote.size} bytes arrived")
    _check_sum(part, source, keep=False)
    os.replace(part, target)
    mark.unlink(missing_ok=True)


def _ask(url: str, timeout: float) -> _Remote:
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout) as answer:
        return _remote(answer)


def _remote(answer: http.client.HTTPResponse) -> _Remote:
    length = answer.headers.get("Content-Length")
    identity = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    return _Remote(int(length) if length and length.isdigit() else -1, identity)


def _read_mark(mark: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        # Without an identity there is no telling whether the file changed: begin anew.
        return json.loads(mark.read_text("utf-8"))["identity"] or None
    return None


def _append(url: str, part: Path, remote: _Remote, progress: bool, timeout: float) -> None:
    have = part.stat().st_size if part.exists() else 0
    if 0 <= remote.size == have:
        return
    request = urllib.request.Request(url)
    if have and remote.identity:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", remote.identity)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        total = remote.size if remote.size >= 0 else None
        coming = answer.headers.get("Content-Length", "")
        came = 0
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(total=total, initial=have if resumed else 0, unit="B", unit_scale=True, disable=not progress) as bar,
        ):
            while block := answer.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
                came += len(block)
    if coming.isdigit() and came < int(coming):  # urllib takes an early end for the end
        raise ConnectionError(f"{came} of {coming} bytes arrived")


def _check_sum(path: Path, source: Download, keep: bool) -> None:
    for kind, wanted in (("sha256", source.sha256), ("md5", source.md5)):
        if not wanted:
            continue
        digest = hashlib.new(kind, usedforsecurity=False)
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        found = digest.hexdigest()
        if found != wanted:
            if not keep:
                path.unlink()
            advice = "remove it and run again" if keep else "run again; if it repeats, the owner changed the file"
            raise UserError(f"{path}: {kind} is {found}, not {wanted}; {advice}.")
