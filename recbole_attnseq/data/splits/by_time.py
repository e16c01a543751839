"""Which interactions are trained on, selected on and tested on, decided by the clock.

Leave-one-out tests some users at a time when others are still in training: the model has seen the future of
the catalogue. A global cut does not have this leak (Meng et al., Exploring Data Splitting Strategies, RecSys
2020; Ji et al., A Critical Study on Data Leakage, TOIS 2023). Session models are tested on the last days, as
in GRU4Rec (Hidasi et al., ICLR 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recbole_attnseq.errors import UserError

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
DAY = 86400.0


@dataclass(frozen=True)
class Split:
    """Masks over the interactions, which overlap nowhere; a row in none of them is left out.

    Args:
        train, valid, test: (R,) each.
        valid_from, test_from: the cuts, in the unit of the times.
    """

    train: Mask
    valid: Mask
    test: Mask
    valid_from: float
    test_from: float

    def parts(self) -> Mapping[str, Mask]:
        """The masks by RecBole's names of the parts."""
        return {"train": self.train, "valid": self.valid, "test": self.test}


def by_global_time(
    user: Array,
    item: Array,
    time: Array,
    *,
    ratios: tuple[float, float, float] = (0.8, 0.1, 0.1),
    cuts: tuple[float, float] | None = None,
    known_items: bool = True,
    known_users: bool = False,
    targets: str = "all",
) -> Split:
    """One cut in time for all users: train before it, then validation, then test.

    Interactions at the very time of a cut go to the later part, all of them, so that no instant is in two.

    Args:
        user, item: (R,) codes.
        time: (R,) times, in any unit, in any order.
        ratios: shares of the interactions, which place the cuts.
        cuts: the two cuts themselves; they take the place of ``ratios``.
        known_items: leave out validation and test rows whose item is not in the training part: a model that
            learns items cannot score them.
        known_users: the same for users.
        targets: of a user's rows within validation, and within test: ``all``, ``first`` or ``last``.

    Raises:
        UserError: ratios or cuts that make no sense, times that are missing, or a part that comes out empty.
    """
    _check(user, item, time)
    if targets not in ("all", "first", "last"):
        raise UserError(f"targets must be all, first or last, not '{targets}'.")
    valid_from, test_from = cuts if cuts is not None else _cuts(time, ratios)
    if not valid_from < test_from:
        raise UserError(
            f"the cuts {valid_from:g} and {test_from:g} are not in order; too many interactions may share one time."
        )
    train = time < valid_from
    valid = (time >= valid_from) & (time < test_from)
    test = time >= test_from
    for column, known in ((item, known_items), (user, known_users)):
        if known:
            seen = np.isin(column, np.unique(column[train]))
            valid, test = valid & seen, test & seen
    if targets != "all":
        valid, test = _one(user, time, valid, targets), _one(user, time, test, targets)
    return _checked(Split(train, valid, test, float(valid_from), float(test_from)), time)


def by_last_days(
    session: Array,
    item: Array,
    time: Array,
    *,
    test_days: float = 1.0,
    valid_days: float = 1.0,
    day: float = DAY,
    straddling: str = "drop",
    known_items: bool = True,
) -> Split:
    """Whole sessions by the last days: test, the days before them validation, all earlier ones training.

    Args:
        session, item: (R,) codes; the session takes the user's place.
        time: (R,) times.
        test_days, valid_days: lengths of the two parts, counted back from the last interaction.
        day: units of ``time`` in a day.
        straddling: what becomes of a session that a cut runs through: ``drop`` leaves it out, so that no
            part holds an interaction from before its cut; ``later`` puts it where it ends, as GRU4Rec does.
        known_items: leave out validation and test rows whose item is not in the training part.

    Raises:
        UserError: lengths that make no sense, times that are missing, or a part that comes out empty.
    """
    _check(session, item, time)
    if straddling not in ("drop", "later"):
        raise UserError(f"straddling must be drop or later, not '{straddling}'.")
    if not (test_days > 0 and valid_days > 0 and day > 0):
        raise UserError(f"test_days {test_days:g}, valid_days {valid_days:g} and day {day:g} must be positive.")
    _, code = np.unique(session, return_inverse=True)
    count = int(code.max()) + 1
    start, end = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(start, code, time)
    np.maximum.at(end, code, time)
    test_from = float(time.max()) - test_days * day
    valid_from = test_from - valid_days * day
    part = np.digitize(end, [valid_from, test_from])
    crossing = part != np.digitize(start, [valid_from, test_from])
    if straddling == "drop":
        part = np.where(crossing, -1, part)
    train, valid, test = (part[code] == number for number in range(3))
    if known_items:
        seen = np.isin(item, np.unique(item[train]))
        valid, test = valid & seen, test & seen
    split = Split(train, valid, test, valid_from, test_from)
    return _checked(split, time, whole=straddling == "drop")


def check_no_leak(split: Split, time: Array, *, whole: bool = True) -> None:
    """Raises where a part holds an interaction from the time of another.

    Args:
        split: the masks.
        time: (R,) times.
        whole: also hold validation and test to begin at their cuts; sessions that end after a cut but begin
            before it break this, and only this.

    Raises:
        UserError: masks that overlap, or an interaction on the wrong side of a cut; it says how many.
    """
    if (split.train & split.valid).any() or (split.train & split.test).any() or (split.valid & split.test).any():
        raise UserError("leak: an interaction is in two parts of the split.")
    rules = [
        ("training", "after the cut before validation", split.train & (time >= split.valid_from)),
        ("validation", "after the cut before test", split.valid & (time >= split.test_from)),
    ]
    if whole:
        rules.append(("validation", "before its cut", split.valid & (time < split.valid_from)))
        rules.append(("test", "before its cut", split.test & (time < split.test_from)))
    for name, where, bad in rules:
        if bad.any():
            raise UserError(f"leak: {int(bad.sum())} interactions of the {name} part lie {where}.")


def _checked(split: Split, time: Array, whole: bool = True) -> Split:
    check_no_leak(split, time, whole=whole)
    for name, mask in split.parts().items():
        if not mask.any():
            raise UserError(f"the {name} part of the split is empty; choose other cuts.")
    return split


def _check(user: Array, item: Array, time: Array) -> None:
    if not len(user) == len(item) == len(time):
        raise UserError(f"user, item and time differ in length: {len(user)}, {len(item)}, {len(time)}.")
    if not len(time):
        raise UserError("there are no interactions to split.")
    if not np.isfinite(time).all():
        raise UserError(f"{int((~np.isfinite(time)).sum())} interactions have no time; a split by time needs one.")


def _cuts(time: Array, ratios: tuple[float, float, float]) -> tuple[float, float]:
    if not all(0 < ratio < np.inf for ratio in ratios):
        raise UserError(f"ratios {ratios} must be positive numbers.")
    ordered = np.sort(time)
    shares = np.cumsum(ratios)[:2] / sum(ratios)
    first, second = (ordered[min(round(share * len(ordered)), len(ordered) - 1)] for share in shares)
    return float(first), float(second)


def _one(user: Array, time: Array, mask: Mask, which: str) -> Mask:
    """Of each user's rows under ``mask`` the first or last by time; ties keep the order of the rows."""
    rows = np.flatnonzero(mask)
    rows = rows[np.lexsort((rows, time[rows], user[rows]))]
    sorted_user = user[rows]
    edge = np.ones(len(rows), bool)
    if which == "first":
        edge[1:] = sorted_user[1:] != sorted_user[:-1]
    else:
        edge[:-1] = sorted_user[1:] != sorted_user[:-1]
    result = np.zeros(len(mask), bool)
    result[rows[edge]] = True
    return result
