"""How long the sequences of a data set are: a histogram in the terminal, or a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from recbole_attnseq.data.prepare.archive import Raw
from recbole_attnseq.data.prepare.readers import read
from recbole_attnseq.data.prepare.report import Report
from recbole_attnseq.data.prepare.source import Table
from recbole_attnseq.data.prepare.vocabulary import Vocabulary
from recbole_attnseq.errors import UserError

_WIDTH = 50


def lengths(inter: Path) -> npt.NDArray[np.int64]:
    """The number of interactions of each user of an ``.inter`` file.

    Raises:
        UserError: the file is missing or has no ``user_id``.
    """
    users = Vocabulary()
    counts = np.zeros(0, np.int64)
    member = Raw(inter).members[0]
    table = Table(files=("*",), separator="\t", quoted=False)
    for batch in read(table, member, {"user_id:token"}, Report()):
        if "user_id:token" not in batch:
            raise UserError(f"{inter}: has no column user_id:token; it is no atomic file of interactions.")
        codes = users.encode(batch["user_id:token"])
        codes = codes[codes >= 0]
        fresh = np.bincount(codes, minlength=len(users))
        fresh[: len(counts)] += counts
        counts = fresh
    return counts


def bins(counts: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """(shortest, longest, users) of bins that double in width: 1, 2, 3-4, 5-8 and so on."""
    result = []
    low, high = 1, 1
    while low <= int(counts.max(initial=0)):
        result.append((low, high, int(((counts >= low) & (counts <= high)).sum())))
        low, high = high + 1, high * 2
    return result


def text(counts: npt.NDArray[np.int64]) -> str:
    """The histogram as lines of text."""
    rows = bins(counts)
    top = max((users for _, _, users in rows), default=1) or 1
    lines = []
    for low, high, users in rows:
        label = str(low) if low == high else f"{low}-{high}"
        bar = "#" * -(-users * _WIDTH // top)
        lines.append(f"{label:>13} {users:>12,} {bar}".rstrip())
    quarters = np.percentile(counts, [25, 50, 75, 95])
    shown = ", ".join(f"{value:g}" for value in quarters)
    return "\n".join([f"{'length':>13} {'users':>12}", *lines, f"quartiles and 95th percentile: {shown}"])


def picture(counts: npt.NDArray[np.int64], title: str, path: Path) -> None:
    """The histogram as a picture; the file's ending gives its format.

    Raises:
        UserError: matplotlib is not installed, or cannot write this format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            "--plot FILE needs matplotlib: pip install 'recbole-attnseq[plot]'; --plot alone needs nothing."
        ) from error
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    rows = bins(counts)
    axes.bar(
        [str(low) if low == high else f"{low}-{high}" for low, high, _ in rows],
        [users for _, _, users in rows],
    )
    axes.set(xlabel="interactions of a user", ylabel="users", title=title)
    axes.tick_params(axis="x", rotation=60)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be written ({error}).") from error
