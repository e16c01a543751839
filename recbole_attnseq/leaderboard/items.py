"""Beyond accuracy: which items a model shows, by RecBole's own metrics on one count of popularity for all models.

RecBole counts an item's popularity in a model's own training rows, which leave out every user's first item where
the model is sequential. Here the counts are the split's, so that the figures of two models compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from recbole.evaluator import metrics
from recbole.evaluator.collector import DataStruct
from torch import Tensor

from recbole_attnseq.data.split_hash import pairs_of_loaders
from recbole_attnseq.leaderboard.measures import BEYOND, CUTOFFS
from recbole_attnseq.training.recbole_ranking import rank_loader
from recbole_attnseq.training.session import Session


def item_metrics(
    top: Tensor, item_count: int, trained: Sequence[int], cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, float]:
    """RecBole's ItemCoverage, GiniIndex, AveragePopularity and TailPercentage at each cut-off.

    Args:
        top: (R, k) recommended items, best first.
        item_count: N, items of the catalogue, padding included, as RecBole counts them.
        trained: (N,) training interactions of each item.
        cutoffs: those above k are left out.
    """
    struct = DataStruct()
    struct.set("rec.items", top)
    struct.set("data.num_items", item_count)
    struct.set("data.count_items", {item: int(count) for item, count in enumerate(trained) if count})
    config = {"topk": [k for k in cutoffs if k <= top.shape[1]], "metric_decimal_place": 6, "tail_ratio": None}
    result: dict[str, float] = {}
    for name in BEYOND:
        values: dict[str, Any] = getattr(metrics, name)(config).calculate_metric(struct)
        result.update({key: float(value) for key, value in values.items()})
    return result


def beyond_accuracy(session: Session) -> dict[str, float]:
    """:func:`item_metrics` of a finished session; empty where its targets were not ranked among all items."""
    count = int(session.train._dataset.item_num)
    ranking = rank_loader(session.trainer, session.test, top=min(max(CUTOFFS), count - 1))
    if ranking is None or ranking.top is None:
        return {}
    _, items = pairs_of_loaders(session.train, session.valid, session.test)["train"]
    return item_metrics(ranking.top, count, np.bincount(items, minlength=count).tolist())
