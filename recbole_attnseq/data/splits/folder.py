"""A prepared data set, split by the clock and written beside its ``.inter``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recbole_attnseq.data.prepare.archive import Raw
from recbole_attnseq.data.prepare.readers import read
from recbole_attnseq.data.prepare.report import Report
from recbole_attnseq.data.prepare.source import Table
from recbole_attnseq.data.prepare.times import numbers
from recbole_attnseq.data.prepare.vocabulary import Vocabulary
from recbole_attnseq.data.splits.by_time import by_global_time, by_last_days
from recbole_attnseq.data.splits.files import Written, write_benchmark
from recbole_attnseq.errors import UserError

GLOBAL_TIME, LAST_DAYS = "global-time", "last-days"
KINDS = (GLOBAL_TIME, LAST_DAYS)
_COLUMNS = {"user": "user_id:token", "item": "item_id:token", "time": "timestamp:float"}


def split_folder(
    folder: Path, kind: str, shares: tuple[float, ...] = (), *, history: int = 50, force: bool = False
) -> Written:
    """Splits ``NAME/NAME.inter`` and writes ``NAME.train.inter``, ``NAME.valid.inter`` and ``NAME.test.inter``.

    Args:
        folder: the data set's folder; its name is the stem of the files.
        kind: ``global-time``, or ``last-days`` of sessions, which are a user's ``session_id`` where the file has it
            (a row without one stands by itself) and the users otherwise.
        shares: for ``global-time`` the three ratios (default 0.8, 0.1, 0.1), for ``last-days`` the days of
            test and of validation (default 1, 1).
        history: longest history of a row; 0 for none.
        force: replace the files of an earlier split.

    Raises:
        UserError: no such file, a line that cannot be read or lacks its user or item, shares that make no sense, a
            split that comes out empty, an earlier split, a full disk.
    """
    inter = folder / f"{folder.name}.inter"
    if kind not in KINDS:
        raise UserError(f"unknown split '{kind}'. Known: {', '.join(KINDS)}.")
    wanted = 3 if kind == GLOBAL_TIME else 2
    if shares and len(shares) != wanted:
        raise UserError(f"the split {kind} takes {wanted} numbers, not {len(shares)}.")
    user, item, time, session, users, items = _load(inter)
    if kind == GLOBAL_TIME:
        first, second, third = shares or (0.8, 0.1, 0.1)
        split = by_global_time(user, item, time, ratios=(first, second, third))
    else:
        test, valid = shares or (1.0, 1.0)
        split = by_last_days(_sittings(user, session), item, time, test_days=test, valid_days=valid)
    return write_benchmark(folder, folder.name, split, user, item, time, users, items, history=history, force=force)


def _load(inter: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], Any, Any]:
    users, items, sessions = Vocabulary(), Vocabulary(), Vocabulary()
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    member = Raw(inter).members[0]
    table = Table(files=("*",), separator="\t", quoted=False)
    report = Report()
    for batch in read(table, member, {*_COLUMNS.values(), "session_id:token"}, report):
        lacking = next((name for name in _COLUMNS.values() if name not in batch), None)
        if lacking:
            raise UserError(f"{inter}: has no column {lacking}, which a split by time needs.")
        user = users.encode(batch[_COLUMNS["user"]])
        session = sessions.encode(batch["session_id:token"]) if "session_id:token" in batch else user
        parts.append((user, items.encode(batch[_COLUMNS["item"]]), numbers(batch[_COLUMNS["time"]]), session))
    if not parts:
        raise UserError(f"{inter}: holds no interactions.")
    if report.dropped:
        raise UserError(f"{inter}: lines that cannot be read: {report.reasons()}; mend or remove them.")
    user, item, time, session = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    for name, codes in ((_COLUMNS["user"], user), (_COLUMNS["item"], item)):
        bad = np.flatnonzero(codes < 0)
        if len(bad):
            raise UserError(
                f"{inter}: {len(bad)} of {len(codes)} rows have no {name} that RecBole could hold (row {bad[0] + 1} is "
                "the first: none, [PAD], or one that begins with a quote); remove or rename them."
            )
    return user, item, time, session, users.names, items.names


def _sittings(user: npt.NDArray[Any], session: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(R,) code of each row's session: a user's own, as numbers may begin anew with each; a row without one is one."""
    alone = session < 0
    codes: npt.NDArray[Any] = user.astype(np.int64) * (int(session.max()) + 1) + session
    codes[alone] = -1 - np.arange(alone.sum())
    return codes
