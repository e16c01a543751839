"""The filters of the literature, over arrays.

All but :func:`k_core` want rows sorted by (user, time).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recbole_attnseq.data.prepare.spool import Array, chunks

Mask = npt.NDArray[np.bool_]
_IN_MEMORY = 1 << 25


def duplicates(user: Array, item: Array, time: Array, behaviour: Array | None = None) -> Mask:
    """Rows that repeat an earlier one in user, item, time and behaviour.

    Args:
        user, item, time, behaviour: columns of one length.

    Returns:
        True for every row but the first of its kind, in the order given.
    """
    kind = np.zeros(len(user), np.int32) if behaviour is None else behaviour
    order = np.lexsort((kind, time, item, user))
    same = np.ones(len(user), bool)
    same[:1] = False
    for column in (user, item, time, kind):
        ordered = column[order]
        same[1:] &= ordered[1:] == ordered[:-1]
    result = np.zeros(len(user), bool)
    result[order] = same
    return result


def consecutive_repeats(user: Array, item: Array) -> Mask:
    """Rows with the same user and item as the row before: the first of a run is kept."""
    repeat = np.zeros(len(user), bool)
    repeat[1:] = (user[1:] == user[:-1]) & (item[1:] == item[:-1])
    return repeat


def session_starts(user: Array, time: Array, gap: float) -> Mask:
    """Rows that begin a session: the user's first, or more than ``gap`` seconds after the row before."""
    start = np.ones(len(user), bool)
    start[1:] = (user[1:] != user[:-1]) | (time[1:] - time[:-1] > gap)
    return start


def met_before(user: Array, item: Array) -> int:
    """How many rows show an item that the user has in an earlier row."""
    order = np.lexsort((item, user))
    user, item = user[order], item[order]
    return int(((user[1:] == user[:-1]) & (item[1:] == item[:-1])).sum())


def k_core(user: Array, item: Array, users: int, items: int, user_min: int, item_min: int) -> Mask:
    """The k-core: drop users and items with too few interactions, again and again until none is left.

    The result does not depend on the order of dropping: it is the largest set of rows in which every user has
    ``user_min`` and every item ``item_min``. Repeats count, as in the preprocessing of the papers.

    Args:
        user, item: codes; may be memory maps, which are read in pieces.
        users, items: numbers of codes.
        user_min, item_min: least interactions of a user and of an item.

    Returns:
        True for the rows that stay.
    """
    keep = np.ones(len(user), bool)
    per_user, per_item = np.zeros(users, np.int64), np.zeros(items, np.int64)
    for part in chunks(len(user)):
        per_user += np.bincount(user[part], minlength=users)
        per_item += np.bincount(item[part], minlength=items)
    alive = np.ones(len(user), bool)
    places: Array | None = None
    while ((per_user > 0) & (per_user < user_min)).any() or ((per_item > 0) & (per_item < item_min)).any():
        user_ok, item_ok = per_user >= user_min, per_item >= item_min
        for part in chunks(len(user)):
            u, i = user[part], item[part]
            gone = alive[part] & ~(user_ok[u] & item_ok[i])
            if gone.any():
                per_user -= np.bincount(u[gone], minlength=users)
                per_item -= np.bincount(i[gone], minlength=items)
                alive[part] &= ~gone
        left = int(alive.sum())
        # Rounds are many and late ones drop little: carry only what is left.
        if left <= len(user) // 2 and left <= _IN_MEMORY:
            here = np.flatnonzero(alive)
            places = here if places is None else places[here]
            user, item, alive = user[here], item[here], np.ones(left, bool)
    if places is None:
        return alive
    keep[:] = False
    keep[places[alive]] = True
    return keep
