"""Waiting for a storage that is away for a while."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError

from recbole_attnseq.training.processes import uninterrupted

# What a storage raises where a trial is finished already; Optuna gave it a name of its own in 4.x.
AlreadyFinished: type[Exception] = getattr(optuna.exceptions, "UpdateFinishedTrialError", RuntimeError)

_SETTLE = 10.0  # seconds; the longest pause between two attempts is half of it


class Patience:
    """How long to wait for a storage that does not answer: twice as long each time, with some chance in it.

    Args:
        seconds: in all, before giving up.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._back = -_SETTLE
        self._gone = False  # once the patience has run out, no other call waits for as long again

    def settle(self) -> None:
        """After an outage, give other workers time for a sign of life before anybody judges them dead."""
        time.sleep(max(0.0, self._back + _SETTLE - time.monotonic()))

    def call(self, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """``action(*args, **kwargs)``, again and again while the storage is away.

        An interrupt waits for the end of an attempt, as half a transaction would lock SQLite's file; not for the next.

        Raises:
            StorageInternalError: the patience has run out.
        """
        begin, pause, tries = time.monotonic(), 0.2, 0
        while True:
            try:
                with uninterrupted():
                    result = action(*args, **kwargs)
                self._gone = False
                if tries and time.monotonic() - begin > _SETTLE:
                    self._back = time.monotonic()
                return result
            except AlreadyFinished:
                # The attempt before may have been written although its answer was lost.
                if tries and action.__name__ == "set_trial_state_values":
                    return True
                raise
            except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
                if self._gone or time.monotonic() - begin + pause > self.seconds:
                    self._gone = True
                    raise
                if tries == 0 and begin - _told.get("at", -60.0) >= 60:
                    _told["at"] = begin
                    print(
                        f"attnseq: the storage does not answer ({first_line(error)}); trying for {self.seconds:.0f} s.",
                        file=sys.stderr,
                    )
            tries += 1
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _SETTLE / 2)


_told: dict[str, float] = {}


def first_line(error: BaseException) -> str:
    """The part of a database error that says what is wrong."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    cause = getattr(cause, "orig", None) or cause
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
