"""What a long-running command does about the process that it is: how it ends, and what it leaves on disk."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class _Shield:
    """Of the main thread: how many blocks are not to be interrupted, and whether an interrupt waits for them."""

    depth = 0
    pending = False

    def interrupt(self, number: int, frame: object) -> None:
        if self.depth and not self.pending:
            self.pending = True
            return
        self.pending = False
        raise KeyboardInterrupt


_shield = _Shield()


@contextmanager
def interruptible() -> Iterator[None]:
    """A cluster's SIGTERM ends a command as Ctrl-C does: with its bookkeeping, and with what it has started.

    Either waits for the end of an :func:`uninterrupted` block. A handler of Ctrl-C that is not Python's own stays.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    before: dict[signal.Signals, Any] = {number: signal.signal(number, _shield.interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What must not stop halfway. An interrupt that comes inside is raised at its end; a second one does not wait.

    A database connection that is left in the middle of a statement, for instance, may keep its lock: then nothing can
    be written any more, not even that the run was interrupted.

    Raises:
        KeyboardInterrupt: at the end, or at the second interrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _shield.depth += 1
    try:
        yield
    finally:
        _shield.depth -= 1
        if not _shield.depth and _shield.pending:
            _shield.pending = False
            raise KeyboardInterrupt


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write in place of another: it takes the name at the end, and whatever goes wrong leaves the old one."""
    target = Path(path)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a file, whole or not at all: a full disk or a kill leaves the old one. Folders are made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
