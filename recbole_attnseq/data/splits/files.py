"""A split as RecBole's ``benchmark_filename`` files: ``NAME.train.inter`` and so on for valid and test.

RecBole's sequential datasets read each row of such files as a target with its history in ``item_id_list``;
they build no prefixes of their own. So the training part gets one row for each target it can learn, and the
validation and test parts one for each target to rank.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recbole_attnseq.data.prepare.atomic import AtomicFile, new_files
from recbole_attnseq.data.splits.by_time import Split
from recbole_attnseq.errors import UserError

Array = npt.NDArray[Any]
_SPECS = ("user_id:token", "item_id:token", "timestamp:float")
_HISTORY = "item_id_list:token_seq"


@dataclass(frozen=True)
class Written:
    """A split as it was written: rows by part and in none, the cuts, the longest history, the hash of its pairs."""

    rows: dict[str, int]
    left_out: int
    valid_from: float
    test_from: float
    history: int
    split_hash: str


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
    force: bool = False,
) -> Written:
    """Writes the three files, all or none; run with ``benchmark_filename: [train, valid, test]``.

    With a history also set ``alias_of_item_id: [item_id_list]``, so that RecBole numbers both columns alike.

    Args:
        folder: an existing folder.
        name: the data set's name.
        split: masks over the rows.
        user, item: (R,) codes.
        time: (R,) times, in any order; ties keep the order of the rows.
        user_tokens, item_tokens: tokens of the codes.
        history: longest history of a row, in items; 0 writes rows without history, for models that are not
            sequential.
        force: replace the files of an earlier split.

    Returns:
        What was written; it also stands in ``NAME.split.json``. A row without any earlier interaction has no
        history and is left out where histories are written.

    Raises:
        UserError: a token that an atomic file cannot hold, an earlier split, a full disk; nothing partial is left.
    """
    for tokens in (user_tokens, item_tokens):
        bad = next((token for token in tokens if any(mark in str(token) for mark in "\t\n\r")), None)
        if bad is not None:
            raise UserError(f"token {bad!r} holds a tab or line break, which an atomic file cannot.")
    blank = next((token for token in item_tokens if " " in str(token)), None)
    if history and blank is not None:
        raise UserError(f"item {blank!r} holds a blank, which separates the items of a history; rename it.")
    # Here and not above: the module also reads RecBole's loaders, and brings torch, which a preparation without a
    # split does not need.
    from recbole_attnseq.data.split_hash import split_hash

    # What the split leaves out is no history either: a model could not know its items.
    used = np.flatnonzero(split.train | split.valid | split.test)
    order = used[np.lexsort((used, time[used], user[used]))]
    user, item, time = user[order], item[order], time[order]
    fresh = np.r_[True, user[1:] != user[:-1]]
    begin = np.flatnonzero(fresh)[np.cumsum(fresh) - 1]
    whole = bool((time == np.floor(time)).all() and (np.abs(time) < 2**53).all())
    users, items = [str(token) for token in user_tokens], [str(token) for token in item_tokens]
    names = [items[code] for code in item]
    written: dict[str, tuple[Array, Array]] = {}
    record_name = f"{name}.split.json"
    # The record comes last: where it stands, the files before it are whole and its own.
    with new_files(folder, [*(f"{name}.{part}.inter" for part in split.parts()), record_name], force) as fresh:
        for part, mask in split.parts().items():
            rows = np.flatnonzero(mask[order])
            if history:
                rows = rows[rows > begin[rows]]
            written[part] = (user[rows], item[rows])
            with AtomicFile(fresh / f"{name}.{part}.inter", [*_SPECS, _HISTORY] if history else _SPECS) as file:
                for row in rows:
                    when = str(int(time[row])) if whole else repr(float(time[row]))
                    values = [users[user[row]], names[row], when]
                    if history:
                        values.append(" ".join(names[max(begin[row], row - history) : row]))
                    file.line(values)
        record = Written(
            rows={part: len(codes) for part, (codes, _) in written.items()},
            left_out=len(split.train) - sum(len(codes) for codes, _ in written.values()),
            valid_from=split.valid_from,
            test_from=split.test_from,
            history=history,
            split_hash=split_hash(written, users, items),
        )
        (fresh / record_name).write_text(json.dumps(asdict(record), indent=2) + "\n", "utf-8")
    return record
