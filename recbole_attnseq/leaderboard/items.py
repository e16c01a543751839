"""Beyond accuracy: which items a model shows, by RecBole's own metrics on one count of popularity for all models.

RecBole counts an item's popularity in a model's own training rows, which leave out every user's first item where
the model is sequential. Here the counts are the split's, so that the figures of two models compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.evaluator import metrics
from recbole.evaluator.collector import DataStruct
from torch import Tensor

from recbole_attnseq.data.split_hash import pairs_of_loaders
from recbole_attnseq.leaderboard.measures import BEYOND, CUTOFFS
from recbole_attnseq.training.session import Session


@torch.no_grad()
def top_items(session: Session, k: int) -> Tensor | None:
    """(R, k) the items that the trained model would show for each row of the test loader, best first.

    Returns:
        None where the candidates were sampled.
    """
    trainer, loader = session.trainer, session.test
    if not isinstance(loader, FullSortEvalDataLoader):
        return None
    k = min(k, loader._dataset.item_num - 1)
    if hasattr(trainer, "rank"):
        shown: Tensor | None = trainer.rank(loader._dataset, top=k).top
        return shown
    if hasattr(trainer, "restart_rows"):
        trainer.restart_rows(loader)
    trainer.model.eval()
    return torch.cat([trainer._full_sort_batch_eval(batch)[1].topk(k, dim=1).indices.cpu() for batch in loader])


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
    """:func:`item_metrics` of a finished session; empty where the candidates were sampled."""
    top = top_items(session, max(CUTOFFS))
    if top is None:
        return {}
    count = int(session.train._dataset.item_num)
    _, items = pairs_of_loaders(session.train, session.valid, session.test)["train"]
    return item_metrics(top, count, np.bincount(items, minlength=count).tolist())
