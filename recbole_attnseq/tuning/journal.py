"""Optuna's journal file, which outlasts a full disk."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from recbole_attnseq.tuning.patience import Patience


class WholeLines(JournalFileSymlinkLock):  # type: ignore[misc]
    """Optuna's lock; whoever takes it first removes the half line that a full disk or a dead writer has left.

    The next entry would be written behind it, on the same line, and the journal could be read no more.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def acquire(self) -> bool:
        """See :class:`JournalFileSymlinkLock`."""
        taken = bool(super().acquire())
        with suppress(FileNotFoundError), open(self.path, "rb+") as file:
            file.truncate(end_of_lines(file))
        return taken


def end_of_lines(file: Any, block: int = 65536) -> int:
    """Where the last whole line of a binary file ends."""
    position = file.seek(0, os.SEEK_END)
    while position:
        begin = max(0, position - block)
        file.seek(begin)
        found = file.read(position - begin).rfind(b"\n")
        if found >= 0:
            return int(begin + found + 1)
        position = begin
    return 0


class PatientJournal(JournalFileBackend):  # type: ignore[misc]
    """Optuna's journal, which waits for room on a full disk.

    Args:
        path: the journal file; made if need be.
        patience: how long to wait.
    """

    def __init__(self, path: str, patience: Patience) -> None:
        super().__init__(path, lock_obj=WholeLines(path))
        self.patience = patience

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """See :class:`JournalFileBackend`.

        Raises:
            StorageInternalError: the file could not be written for as long as the patience lasted.
        """
        self.patience.call(self._append, logs)

    def _append(self, logs: list[dict[str, Any]]) -> None:
        try:
            super().append_logs(logs)
        except OSError as error:
            raise StorageInternalError(str(error)) from error
