"""What one rank is worth: the ranking metrics of a single target, and the names that a table may use."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from recbole_attnseq.errors import UserError, unknown_name

Floats = npt.NDArray[np.float64]

CUTOFFS = (5, 10, 20)
ACCURACY = ("Recall", "NDCG", "MRR", "Hit", "Precision", "F1")
BEYOND = ("ItemCoverage", "GiniIndex", "AveragePopularity", "TailPercentage")
# Of the others, more is better.
SMALLER_IS_BETTER = frozenset({"giniindex", "averagepopularity"})


def split_name(name: str) -> tuple[str, int]:
    """``"NDCG@10"`` as ``("ndcg", 10)``.

    Raises:
        UserError: no such metric, or a cut-off that is no whole number above 0.
    """
    metric, at, k = name.partition("@")
    known = {known.lower(): known for known in (*ACCURACY, *BEYOND)}
    if metric.lower() not in known:
        raise unknown_name("metric", metric, known.values())
    if not at or not k.isdigit() or int(k) < 1:
        raise UserError(f"metric '{name}' has no cut-off; write {known[metric.lower()]}@10.")
    return metric.lower(), int(k)


def per_target(name: str, ranks: Iterable[int]) -> Floats:
    """A ranking metric of every target, one relevant item each.

    Args:
        name: e.g. ``"ndcg@10"``.
        ranks: (R,) place of each target, 1 for the first; (S, R) of several seeds, as an array.

    Returns:
        As many values in [0, 1]. Their mean is RecBole's metric.
    """
    metric, k = split_name(name)
    rank = np.asarray(list(ranks) if not isinstance(ranks, np.ndarray) else ranks, dtype=np.float64)
    hit = (rank <= k).astype(np.float64)
    if metric in ("recall", "hit"):
        return hit
    if metric == "ndcg":
        return hit / np.log2(rank + 1)
    if metric == "mrr":
        return hit / rank
    if metric == "precision":
        return hit / k
    if metric == "f1":
        return 2 * hit / (k + 1)
    raise UserError(f"metric '{name}' does not follow from ranks; choose one of {', '.join(ACCURACY)}.")
