"""F1@k against scikit-learn's definition, worked by hand, and inside RecBole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recbole_attnseq import run
from recbole_attnseq.metrics import f1


def harmonic(hits: list[bool], relevant: int, k: int) -> float:
    """F1 from precision and recall, as textbooks have it."""
    found = sum(hits[:k])
    precision, recall = found / k, found / relevant
    return 2 * precision * recall / (precision + recall) if found else 0.0


def test_by_hand() -> None:
    hits = np.array([[True, False, True], [False, False, False]])
    values = f1(hits, np.array([2, 1]))
    assert values[0].tolist() == pytest.approx([2 / 3, 1 / 2, 4 / 5])
    assert values[1].tolist() == [0, 0, 0]


def test_is_the_harmonic_mean_of_precision_and_recall() -> None:
    random = np.random.default_rng(0)
    hits = random.random((50, 10)) < 0.3
    relevant = hits.sum(axis=1) + random.integers(1, 5, size=50)
    values = f1(hits, relevant)
    for user in range(50):
        for k in range(1, 11):
            assert values[user, k - 1] == pytest.approx(harmonic(hits[user].tolist(), int(relevant[user]), k))


def test_equals_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    for _ in range(20):
        truth, ranking = random.random(15) < 0.4, random.permutation(15)
        truth[0] = True
        recommended = np.zeros(15, dtype=bool)
        recommended[ranking[:5]] = True
        value = f1(truth[ranking[:5]][None], np.array([truth.sum()]))[0, -1]
        assert value == pytest.approx(metrics.f1_score(truth, recommended))


@pytest.mark.filterwarnings("ignore")
def test_recbole_reports_it_and_selects_by_it(tiny: str, quiet: dict[str, Any]) -> None:
    """With one relevant item a user, F1@k is 2 hit / (k + 1): a check on the whole path."""
    settings = {**quiet, "metrics": ["F1", "Recall"], "valid_metric": "F1@5", "topk": [5, 10], "epochs": 1}
    result = run("GRU4Rec", tiny, config_dict={**settings, "train_neg_sample_args": None, "metric_decimal_place": 9})
    assert result is not None
    test = result["test_result"]
    assert result["best_valid_score"] == result["best_valid_result"]["f1@5"]
    assert test["recall@10"] > 0
    for k in (5, 10):
        assert test[f"f1@{k}"] == pytest.approx(2 * test[f"recall@{k}"] / (k + 1))
