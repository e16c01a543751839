"""F1@k, the one metric of the usual set that RecBole lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from recbole.evaluator import metrics, register
from recbole.evaluator.base_metric import TopkMetric


def f1(hits: npt.NDArray[np.bool_], relevant: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """F1 of every cut-off: ``2 P R / (P + R) = 2 hits / (k + relevant)``, per user.

    Args:
        hits: (users, k) whether the item at each rank is relevant.
        relevant: (users,) how many relevant items each user has.

    Returns:
        (users, k) F1@1 to F1@k.
    """
    ranks = np.arange(1, hits.shape[1] + 1)
    result: npt.NDArray[np.float64] = 2 * np.cumsum(hits, axis=1) / (ranks + relevant[:, None])
    return result


class F1(TopkMetric):  # type: ignore[misc]
    """Harmonic mean of Precision@k and Recall@k of each user, averaged over users."""

    def calculate_metric(self, dataobject: Any) -> dict[str, float]:
        """RecBole's entry point: ``{"f1@10": ...}``."""
        hits, relevant = self.used_info(dataobject)
        result: dict[str, float] = self.topk_result("f1", f1(hits, relevant))
        return result


def register_f1() -> None:
    """Add ``F1`` to RecBole's metrics."""
    metrics.F1 = F1
    register.metrics_dict["f1"] = F1
    register.metric_types["f1"] = F1.metric_type
    register.metric_information["f1"] = F1.metric_need
