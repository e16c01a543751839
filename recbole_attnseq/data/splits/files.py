"""A split as RecBole's ``benchmark_filename`` files: ``NAME.train.inter`` and so on for valid and test.

RecBole's sequential datasets read each row of such files as a target with its history in ``item_id_list``;
they build no prefixes of their own. So the training part gets one row for each target it can learn, and the
validation and test parts one for each target to rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recbole_attnseq.data.prepare.atomic import AtomicFile
from recbole_attnseq.data.splits.by_time import Split
from recbole_attnseq.errors import UserError

Array = npt.NDArray[Any]
_SPECS = ("user_id:token", "item_id:token", "timestamp:float")
_HISTORY = "item_id_list:token_seq"


def write_benchmark(
    folder: Path,
    name: str,
    split: Split,
    user: Array,
    item: Array,
    time: Array,
    user_tokens: Sequence[str],
    item_tokens: Sequence[str],
    *,
    history: int = 50,
) -> dict[str, int]:
    """Writes the three files; run with ``benchmark_filename: [train, valid, test]``.

    With a history also set ``alias_of_item_id: [item_id_list]``, so that RecBole numbers both columns alike.

    Args:
        folder: an existing folder; files of these names are replaced.
        name: the data set's name.
        split: masks over the rows.
        user, item: (R,) codes.
        time: (R,) times, in any order; ties keep the order of the rows.
        user_tokens, item_tokens: tokens of the codes.
        history: longest history of a row, in items; 0 writes rows without history, for models that are not
            sequential.

    Returns:
        Rows written, by part. A row without any earlier interaction has no history and is left out.

    Raises:
        UserError: a token that an atomic file cannot hold.
    """
    for tokens in (user_tokens, item_tokens):
        bad = next((token for token in tokens if any(mark in str(token) for mark in "\t\n\r")), None)
        if bad is not None:
            raise UserError(f"token {bad!r} holds a tab or line break, which an atomic file cannot.")
    blank = next((token for token in item_tokens if " " in str(token)), None)
    if history and blank is not None:
        raise UserError(f"item {blank!r} holds a blank, which separates the items of a history; rename it.")
    order = np.lexsort((np.arange(len(user)), time, user))
    user, item, time = user[order], item[order], time[order]
    masks = {part: mask[order] for part, mask in split.parts().items()}
    used = masks["train"] | masks["valid"] | masks["test"]
    starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]]) if len(user) else np.empty(0, np.int64)
    begin = np.repeat(starts, np.diff(np.r_[starts, len(user)]))
    whole = bool((time == np.floor(time)).all() and (np.abs(time) < 2**53).all())
    counts = {}
    for part, mask in masks.items():
        file = AtomicFile(folder / f"{name}.{part}.inter", [*_SPECS, _HISTORY] if history else _SPECS)
        counts[part] = 0
        try:
            for row in np.flatnonzero(mask):
                when = str(int(time[row])) if whole else repr(float(time[row]))
                values = [str(user_tokens[user[row]]), str(item_tokens[item[row]]), when]
                if history:
                    # What the split leaves out is no history either: a model could not know its items.
                    past = np.flatnonzero(used[begin[row] : row])[-history:] + begin[row]
                    if not len(past):
                        continue
                    values.append(" ".join(str(item_tokens[code]) for code in item[past]))
                file.line(values)
                counts[part] += 1
            file.close()
        except BaseException:
            file.abandon()
            raise
    return counts
